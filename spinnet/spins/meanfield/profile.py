r"""What a coupling matrix looks like, whatever the temperature: tails, rows, spectrum.

Whether the couplings behave as independent numbers shows in the closed walks of four different
steps.  With r_i = sum_j J_ij^2, independent entries of mean 0 have

.. math:: \mathrm{tr} J^4 = 2 \sum_i r_i^2 - \sum_{ij} J_{ij}^4 + C_4, \qquad
    \langle C_4 \rangle = 0,

with any profile of variances.  C_4 over sum_i r_i^2 is the fourth free cumulant of the spectrum
over the square of the second, less what rows of unequal variance add: 0 for a semicircle and, for
two layers, for the law of Marchenko and Pastur; -1 for an orthogonal J.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from spinnet.spins.meanfield.couplings import BlockCoupling, Coupling, TopMode, UniformCoupling
from spinnet.spins.meanfield.spectrum import bulk_edge, bulk_square
from spinnet.spins.models.base import Array

_EXACT_TRACE = 400  # spins; above, tr J^4 comes from random probes
_PROBES = 32


@dataclass(frozen=True)
class Profile:
    """Statistics of a coupling matrix; each is explained in `Diagnosis`.

    Attributes
    ----------
    n_spins, narrow : int
        All spins, and those of the smaller of two layers (n_spins for one layer).
    uniform : bool
        Whether all pairs are coupled alike.
    row_square : float
        mean_i sum_j J_ij^2.
    bulk_square : float
        The same without the top mode, where that is separated from the bulk.
    row_spread, kurtosis, bond_ratio, neighbours, effective_neighbours, density : float
    strongest : float
        max |J_ij|.
    top, edge, gap : float
    reduced : float
        The temperature to which the reaction lowers that of naive mean field, `top`.
    separated : bool
    participation_ratio : float
    spectral_excess, spectral_noise : float
        C_4/sum_i r_i^2 of the bulk, and its standard deviation for independent entries.
    """

    n_spins: int
    narrow: int
    uniform: bool
    row_square: float
    bulk_square: float
    row_spread: float
    kurtosis: float
    bond_ratio: float
    neighbours: float
    effective_neighbours: float
    density: float
    strongest: float
    top: float
    edge: float
    gap: float
    reduced: float
    separated: bool
    participation_ratio: float
    spectral_excess: float
    spectral_noise: float


def participation_ratio(vector: Array) -> float:
    """Return 1/(N sum v^4) of a vector, normalised first: 1 if spread evenly, 1/N on one site."""
    square = vector**2 / np.sum(vector**2)
    return float(1 / (square.size * np.sum(square**2)))


def profile_of(coupling: Coupling, top: TopMode | None = None) -> Profile:
    """Return the statistics of a coupling matrix; `top` saves finding its top mode again."""
    top = coupling.top() if top is None else top
    # in units of the strongest bond, so that fourth powers neither overflow nor vanish
    strongest = coupling.strongest()
    unit = strongest if strongest > 0 else 1.0
    rows = coupling.row_squares(unit)
    fourths = coupling.fourth_powers(unit)
    edge, separated = bulk_edge(coupling, top)
    mean_row = float(rows.mean())
    bulk = bulk_square(coupling, top, separated=separated)
    bonds, n_bonds, possible = coupling.bonds()
    n = coupling.n_spins
    uniform = isinstance(coupling, UniformCoupling)
    excess, noise = _spectral_excess(coupling, top, rows, fourths, unit, separated)
    if bulk == 0:
        excess = math.nan
    return Profile(
        n_spins=n,
        narrow=min(coupling.n_a, coupling.n_b) if isinstance(coupling, BlockCoupling) else n,
        uniform=uniform,
        row_square=mean_row * unit**2,
        bulk_square=bulk,
        row_spread=_row_spread(coupling, rows),
        kurtosis=_kurtosis(bonds / unit),
        bond_ratio=strongest / (unit * math.sqrt(mean_row)) if mean_row > 0 else math.nan,
        neighbours=2 * n_bonds / n,
        effective_neighbours=_ratio(coupling.copies * float((rows**2).sum()), fourths),
        density=_ratio(n_bonds, possible),
        strongest=strongest,
        top=top.value,
        edge=edge,
        gap=top.value / edge if edge > 0 else math.inf if top.value > 0 else math.nan,
        reduced=_reduced(top, rows, unit) if bulk > 0 and not uniform else top.value,
        separated=separated,
        participation_ratio=participation_ratio(top.vector),
        spectral_excess=excess,
        spectral_noise=noise,
    )


def _reduced(top: TopMode, rows: Array, unit: float) -> float:
    """Return T of T + r/T = lambda_1, r = sum_i v_i^2 sum_j J_ij^2; lambda_1/2 if none solves it.

    TAP loses its paramagnet where lambda_max(J - diag(sum_j J_ij^2)/T) = T; the top mode v of J
    bounds that from below, and gives it to first order.
    """
    value = top.value / unit
    square = top.vector**2
    reaction = float(rows @ square) / float(square.sum())
    return unit * (value + math.sqrt(max(value**2 - 4 * reaction, 0.0))) / 2


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _kurtosis(bonds: Array) -> float:
    """Return <x^4>/<x^2>^2 about the mean; NaN where all bonds are alike."""
    if bonds.size == 0:
        return math.nan
    shifted = bonds - bonds.mean()
    second = float(np.mean(shifted**2))
    if second <= 1e-24 * max(float(np.mean(bonds**2)), np.finfo(float).tiny):
        return math.nan
    return float(np.mean(shifted**4)) / second**2


def _row_spread(coupling: Coupling, rows: Array) -> float:
    """Return standard deviation over mean of sum_j J_ij^2, the larger of two layers."""
    layers = np.split(rows, [coupling.n_a]) if isinstance(coupling, BlockCoupling) else [rows]
    return max(_ratio(float(r.std()), float(r.mean())) for r in layers)


def _spectral_excess(
    coupling: Coupling, top: TopMode, rows: Array, fourths: float, unit: float, separated: bool
) -> tuple[float, float]:
    """Return C_4/sum r^2 of the bulk and its spread for independent entries."""
    n = coupling.n_spins
    noise = 4.0 / n
    if isinstance(coupling, UniformCoupling) or float(rows.sum()) == 0:
        return math.nan, noise
    walks, error = _fourth_trace(coupling, unit)
    if separated:  # J v = lambda v: the bulk's J^2 is J^2 - lambda^2 v v^T, exactly
        pairs = 2 if isinstance(coupling, BlockCoupling) else 1
        square = (top.value / unit) ** 2
        walks -= pairs * square**2
        rows = np.maximum(rows - pairs * square * top.vector**2, 0.0)
    weight = float((rows**2).sum())
    if weight <= 1e-12 * fourths:
        return math.nan, noise
    return (walks - 2 * weight + fourths) / weight, math.hypot(noise, error / weight)


def _fourth_trace(coupling: Coupling, unit: float) -> tuple[float, float]:
    """Return tr J^4 and its standard error: sum of |J^2 z|^2 over the unit vectors or probes."""
    n = coupling.n_spins
    if n <= _EXACT_TRACE:
        values = coupling.eigenvalues() / unit
        return float(np.sum(values**4)), 0.0
    rng = np.random.default_rng(0)
    norms = np.empty(_PROBES)
    for k in range(_PROBES):
        probe = rng.choice([-1.0, 1.0], n)
        twice = coupling.apply(coupling.apply(probe) / unit) / unit
        norms[k] = float(twice @ twice)
    return float(norms.mean()), float(norms.std(ddof=1)) / math.sqrt(_PROBES)
