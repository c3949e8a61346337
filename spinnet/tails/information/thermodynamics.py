r"""Thermodynamics of a probability law: states of energy E = -ln p, rescaled to a temperature T.

At temperature T a state has probability :math:`p^{1/T}/Z(T)`, so that T = 1 is the law itself;
C(T) = Var_T(E)/T^2.  States of equal energy are one level; sums run over levels, in logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spinnet.tails.information.spectrum import Floats, Spectrum


class Levels(NamedTuple):
    """Energy and ln(number of states) of each level, and how often each of its states was seen.

    `seen` is what the probability of a level rests on: the count of the pattern, or of the
    population count.
    """

    energy: Floats
    log_states: Floats
    seen: Floats


@dataclass(frozen=True, eq=False)
class EntropyOfEnergy:
    """S(E) and the straight line through it; slope 1 without residual is Zipf's law.

    Attributes
    ----------
    energy, entropy : ndarray
        In nats, of all units together: S(E) = ln(number of states of energy <= E); for
        independent units, mean energy and entropy over the grid of temperatures; of a pairwise
        law, at most 1000 points of the curve.
    slope, intercept : float
        Of the line fitted with the observed probabilities as weights (independent: equal weights).
    residual : float
        Root mean square deviation from the line in nats, with the same weights.
    """

    energy: Floats
    entropy: Floats
    slope: float
    intercept: float
    residual: float


def levels_of_patterns(spectrum: Spectrum) -> Levels:
    """Return the levels with frequencies for probabilities: one per distinct count."""
    return Levels(-np.log(spectrum.k / spectrum.n_total), np.log(spectrum.m), spectrum.k)


def levels_of_population(histogram: Floats) -> Levels:
    """Return the levels of an exchangeable law from how often K = 0..N units were active.

    Each of the C(N, K) states of K active units has probability p(K)/C(N, K).
    """
    from scipy.special import gammaln

    n = histogram.size - 1
    K = np.flatnonzero(histogram)
    log_states = gammaln(n + 1.0) - gammaln(K + 1.0) - gammaln(n - K + 1.0)
    return Levels(log_states - np.log(histogram[K] / histogram.sum()), log_states, histogram[K])


def weights_at(levels: Levels, temperatures: Floats) -> Floats:
    """Return the probability of each level (columns) at each temperature (rows)."""
    log_weight = levels.log_states - levels.energy / temperatures[:, None]
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def heat_of_levels(levels: Levels, temperatures: Floats) -> Floats:
    """Return C(T) = Var_T(E)/T^2 of all units together, shape (n_temperatures,)."""
    weight = weights_at(levels, temperatures)
    mean = weight @ levels.energy
    spread = (levels.energy - mean[:, None]) ** 2
    return np.asarray((weight * spread).sum(axis=1) / temperatures**2)


def rare_share(levels: Levels, temperatures: Floats, fewest: float) -> Floats:
    """Return the probability at each temperature of what was seen fewer than `fewest` times."""
    return np.asarray(weights_at(levels, temperatures) @ (levels.seen < fewest))


def gaps_of_rates(rates: Floats) -> Floats:
    """Return the energy gaps |ln(f/(1 - f))| of independent units; 0 for units always on or off.

    Such a unit adds nothing to C at any temperature, as a gap of 0 does.
    """
    varying = (rates > 0.0) & (rates < 1.0)
    f = np.where(varying, rates, 0.5)
    return np.asarray(np.abs(np.log(f) - np.log1p(-f)))


def heat_of_gaps(gaps: Floats, temperatures: Floats) -> Floats:
    """Return C(T) = sum_i q_i (1 - q_i) (gap_i/T)^2 with q_i = 1/(1 + exp(gap_i/T))."""
    from scipy.special import expit

    x = gaps / temperatures[:, None]
    return np.asarray((expit(x) * expit(-x) * x * x).sum(axis=1))


def energy_and_entropy_of_gaps(rates: Floats, temperatures: Floats) -> tuple[Floats, Floats]:
    """Return mean energy and entropy of independent units at each temperature."""
    from scipy.special import expit

    varying = (rates > 0.0) & (rates < 1.0)
    f = rates[varying]
    ground = -np.log(np.maximum(f, 1.0 - f)).sum()
    x = gaps_of_rates(f) / temperatures[:, None]
    excited = expit(-x)
    energy = ground + (excited * x).sum(axis=1) * temperatures
    entropy = (np.log1p(np.exp(-x)) + excited * x).sum(axis=1)
    return np.asarray(energy), np.asarray(entropy)


def entropy_of_energy(levels: Levels) -> EntropyOfEnergy:
    """Return S(E) over the levels seen, with its line."""
    order = np.argsort(levels.energy)
    energy = levels.energy[order]
    entropy = np.logaddexp.accumulate(levels.log_states[order])
    probability = np.exp(levels.log_states[order] - energy)
    return line_through(energy, entropy, probability)


def line_through(energy: Floats, entropy: Floats, weight: Floats) -> EntropyOfEnergy:
    """Return S(E) with the line of least weighted squares; slope NaN for a single energy."""
    share = weight / weight.sum()
    x, y = energy - share @ energy, entropy - share @ entropy
    spread = float(share @ x**2)
    slope = float(share @ (x * y)) / spread if spread > 0.0 else np.nan
    residual = np.sqrt(share @ (y - slope * x) ** 2)
    return EntropyOfEnergy(
        energy, entropy, slope, float(share @ entropy - slope * (share @ energy)), float(residual)
    )


def top_of(curve: Floats, temperatures: Floats) -> tuple[float, float, bool]:
    """Return place and height of the maximum by a parabola, and whether it is at an end."""
    k = int(np.argmax(curve))
    if k in (0, curve.size - 1):
        return float(temperatures[k]), float(curve[k]), True
    x, y = temperatures[k - 1 : k + 2] - temperatures[k], curve[k - 1 : k + 2] - curve[k]
    left, right = y[0] / x[0], y[2] / x[2]  # slopes of the two chords
    bend = (right - left) / (x[2] - x[0])
    if bend >= 0.0:  # a plateau
        return float(temperatures[k]), float(curve[k]), False
    tangent = (left * x[2] - right * x[0]) / (x[2] - x[0])
    shift = -tangent / (2.0 * bend)
    return float(temperatures[k] + shift), float(curve[k] + 0.5 * tangent * shift), False
