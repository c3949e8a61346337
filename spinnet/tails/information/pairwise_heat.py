"""C(T) of the law of largest entropy with the rates and pair rates of the data, by enumeration.

Schneidman et al., Nature 440, 1007 (2006); its specific heat, Tkacik et al., PNAS 112, 11508
(2015).  Unlike frequencies of whole patterns, its moments need few inputs; what it says above T = 1
rests on how rarely two units do what they hardly ever do together.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError, InputError, StatisticsError
from spinnet.tails.information import thermodynamics as thermo
from spinnet.tails.information.sample import FEWEST, Sample, block_sums
from spinnet.tails.information.spectrum import Floats

LARGEST_N = 20  # units that vary: 2^n patterns are enumerated
# More energies are binned, which leaves out the variance within a bin: about 1e-7 nats^2.
_MOST_LEVELS = 1 << 15
_SHOWN = 1000


def pairwise_sample(rows: NDArray[Any], n_units: int, grid: Floats) -> Sample:
    """Return C(T) of rows of units, bool (n, n_units) or packed uint8."""
    active, _ = block_sums(rows, n_units, lambda part: part.sum(axis=0, dtype=np.int64))
    n_inputs = len(rows)
    varying = np.flatnonzero((active.sum(axis=0) > 0) & (active.sum(axis=0) < n_inputs))
    if varying.size > LARGEST_N:
        raise InputError(
            f"data must have at most {LARGEST_N} units that vary for 'pairwise', got "
            f"{varying.size}: take a subset of the units"
        )
    if n_inputs < 2:
        raise StatisticsError(f"data holds {n_inputs} input(s); at least 2 are needed")
    sums, sizes = block_sums(rows, n_units, lambda part: _pairs(part[:, varying]))
    joint = sums.sum(axis=0) / n_inputs
    try:
        levels = _levels(joint)
    except StatisticsError as error:
        among = "" if varying.size == n_units else " (numbers among the units that vary)"
        raise StatisticsError(
            "no pairwise law of finite couplings has the joint rates of data: "
            f"{str(error).partition(';')[0]}{among}; leave units out or take more inputs",
            estimate=None,
        ) from error

    def replicate(random: np.random.Generator) -> Floats:
        taken = random.multinomial(sizes.size, np.full(sizes.size, 1.0 / sizes.size))
        again = np.tensordot(taken.astype(np.float64), sums, 1) / (taken @ sizes)
        try:
            return thermo.heat_of_levels(_levels(again), grid)
        except (StatisticsError, ConvergenceError):
            return np.full(grid.size, math.nan)

    settled = bool(_rarest(joint) * n_inputs >= FEWEST - 0.5)
    return Sample(
        heat=thermo.heat_of_levels(levels, grid),
        replicate=replicate,
        states=_thinned(thermo.entropy_of_energy(levels)),
        reliable=(grid <= 1.0) | settled,
        coverage=math.nan,
        n_units=n_units,
        n_inputs=n_inputs,
        n_constant=n_units - varying.size,
    )


def _pairs(part: NDArray[Any]) -> Floats:
    """Return how often both units of each pair were active."""
    active = part.astype(np.float64)
    return np.asarray(active.T @ active)


def _levels(joint: Floats) -> thermo.Levels:
    """Return the levels of the pairwise law of moments that all lie inside (0, 1)."""
    n = len(joint)
    if n < 2:  # one unit, or none: no pairs
        p = np.array([1.0 - joint.sum(), joint.sum()])[: n + 1]
        energy = -np.log(p)
    else:
        from spinnet.tails.nulls import pairwise_from_moments

        rates = np.diag(joint)
        if not ((rates > 0.0) & (rates < 1.0)).all():
            raise StatisticsError("a unit never changes", estimate=None)
        numbers = np.arange(1 << n, dtype="<u4")[:, None].view(np.uint8)
        states = np.unpackbits(numbers, axis=1, bitorder="little")[:, :n]
        energy = -pairwise_from_moments(rates, joint).log_probability(states)
    return _binned(energy)


def _binned(energy: Floats) -> thermo.Levels:
    """Return states of one energy each, or so many that they share the means of narrow bins."""
    if energy.size > _MOST_LEVELS:
        low, high = float(energy.min()), float(energy.max())
        place = ((energy - low) * (_MOST_LEVELS / (high - low))).astype(np.int64)
        count = np.bincount(place).astype(np.float64)
        total = np.bincount(place, energy)
        energy, states = total[count > 0] / count[count > 0], count[count > 0]
    else:
        states = np.ones(energy.size)
    return thermo.Levels(energy, np.log(states), states)


def _rarest(joint: Floats) -> float:
    """Return the least probability of any of the four states of any pair, or of a single unit."""
    rates = np.diag(joint)
    if rates.size == 0:
        return 1.0
    cells = np.stack([joint, rates[:, None] - joint, 1.0 - rates[:, None] - rates + joint])
    off = ~np.eye(rates.size, dtype=bool)
    least = cells[:, off].min() if rates.size > 1 else 1.0
    return float(min(least, rates.min(), (1.0 - rates).min()))


def _thinned(states: thermo.EntropyOfEnergy) -> thermo.EntropyOfEnergy:
    """Return the same line with at most about 1000 points of the curve."""
    step = -(-states.energy.size // _SHOWN)
    return thermo.EntropyOfEnergy(
        states.energy[::step],
        states.entropy[::step],
        states.slope,
        states.intercept,
        states.residual,
    )
