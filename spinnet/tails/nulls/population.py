r"""Maximum entropy with given rates and a given distribution of the population count.

.. math:: p(\sigma) = e^{\sum_i h_i \sigma_i + V(K)} / Z = P(K)\,
          e^{\sum_i h_i \sigma_i} / e_K(w), \qquad K = \sum_i \sigma_i,\; w_i = e^{h_i},

with e_K the elementary symmetric polynomial: the potential V of the population count is solved
for in closed form, so that P(K) is the observed distribution and only the fields h remain.  They
maximise the concave r.h - sum_K P(K) log e_K(w), whose gradient costs n_units^2 operations.
(Tkacik et al., J. Stat. Mech. P03011 (2013), "K-pairwise", without its pairs.  The population
tracking model of O'Donnell et al., Neural Comput. 29, 50 (2017), approximates this one.)

Fields are infinite where the data leave no freedom: a set S of units that is filled first on
every input, K_S = min(K, |S|).  The counts tell where (Gale and Ryser), and the model falls into
blocks of units, one after another, each with a population count that follows from K.  Units that
never vary are blocks of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import entr, expit

from spinnet.errors import ConvergenceError
from spinnet.memory import refuse_beyond_memory
from spinnet.tails.nulls.model import PatternModel
from spinnet.tails.nulls.raster import Bits, Bools, Counts, Floats, Raster

_TOLERANCE = 1e-12  # largest error of a rate
_GOOD_ENOUGH = 1e-9
_MAX_STEPS = 500


class _Block(NamedTuple):
    """Units filled after `start` others: their fields, and log e_k of them from each unit on."""

    units: Counts
    start: int
    fields: Floats
    table: Floats

    def counts(self, population: Counts) -> Counts:
        """Return how many of these units are active when K units are."""
        return np.clip(population - self.start, 0, self.units.size)


@dataclass(frozen=True, eq=False)
class PopulationModel(PatternModel):
    """Largest entropy for the rates and the distribution of the population count.

    Attributes
    ----------
    population : ndarray, shape (n_units + 1,)
        Probability of each number of active units, that of the data.
    fields : ndarray, shape (n_units,)
        h, of mean 0 within each block; infinite fields are replaced by the order of the blocks.
    rates : ndarray, shape (n_units,)
        Of the model.
    moment_error : float
        Largest difference of the model's rates from the data's.
    n_blocks : int
        1 unless some units are always filled before others.
    """

    population: Floats = field(repr=False)
    rates: Floats = field(repr=False)
    moment_error: float
    _blocks: tuple[_Block, ...] = field(repr=False)

    name: ClassVar[str] = "raster_marginals"
    keeps: ClassVar[str] = (
        "the rate of each unit and the distribution of the population count, on average"
    )

    @property
    def n_blocks(self) -> int:
        """Number of blocks of units."""
        return len(self._blocks)

    @property
    def fields(self) -> Floats:
        """Fields of the units, of mean 0 within each block."""
        out = np.empty(self.n_units)
        for block in self._blocks:
            out[block.units] = block.fields
        return out

    @property
    def entropy(self) -> float:
        """Entropy of one pattern, in nats."""
        total = float(entr(self.population).sum())
        for block in self._blocks:
            p = _block_law(self.population, block.start, block.units.size)
            seen = p > 0
            total += float(p[seen] @ block.table[0][seen])
            total -= float(block.fields @ self.rates[block.units])
        return total

    def _log_probability(self, patterns: Bools) -> Floats:
        population = patterns.sum(axis=1)
        with np.errstate(divide="ignore"):
            out = np.log(self.population)[population]
        for block in self._blocks:
            inside = patterns[:, block.units]
            k = inside.sum(axis=1)
            out = out + inside @ block.fields - block.table[0][k]
            out[k != block.counts(population)] = -np.inf
        return np.asarray(out)

    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        from spinnet.tails.nulls.kernels import draw_given_counts, stream

        population = random.choice(self.n_units + 1, size=n_inputs, p=self.population)
        state = stream(random)[0]
        step = max(1, (1 << 22) // self.n_units)
        parts = []
        for start in range(0, n_inputs, step):
            k = population[start : start + step]
            rows = np.zeros((k.size, self.n_units), np.uint8)
            for block in self._blocks:
                drawn = np.zeros((k.size, block.units.size), np.uint8)
                draw_given_counts(block.fields, block.table, block.counts(k), state, drawn)
                rows[:, block.units] = drawn
            parts.append(np.packbits(rows, axis=1))
        return np.concatenate(parts)

    def _facts(self) -> Mapping[str, object]:
        return {
            "method": "maxent",
            "entropy": self.entropy,
            "moment_error": self.moment_error,
            "n_blocks": self.n_blocks,
        }


def population_model(data: Raster) -> PopulationModel:
    """Fit the model; see `raster_marginals`.

    Raises
    ------
    ConvergenceError
        If the rates cannot be met within 1e-9, which no data are known to cause.
    """
    n = data.n_units
    refuse_beyond_memory(8.0 * (n + 1) ** 2, f"{n} units", "take a subset of the units")
    counts = data.unit_counts()
    rows_with = np.bincount(data.population_counts(), minlength=n + 1)
    population = rows_with / data.n_inputs
    target = counts / data.n_inputs
    rates = np.empty(n)
    blocks = []
    for units, start in _split(counts, rows_with):
        law = _block_law(population, start, units.size)
        fields, table, rates[units] = _fit_fields(target[units], law)
        blocks.append(_Block(units, start, fields, table))
    error = float(np.abs(rates - target).max())
    if error > _GOOD_ENOUGH:
        raise ConvergenceError(
            f"the rates of the population model are off by {error:.3g} after {_MAX_STEPS} steps",
            solution=rates,
        )
    return PopulationModel(data.n_inputs, n, data.packed, population, rates, error, tuple(blocks))


def _split(counts: Counts, rows_with: Counts) -> list[tuple[Counts, int]]:
    """Return the units of each block with the number of units before it.

    The s most active units are filled first on every input exactly if their counts add up to
    sum over inputs of min(K, s), the largest value possible.
    """
    n = counts.size
    order = np.argsort(-counts, kind="stable")
    k = np.arange(n + 1)
    at_least = rows_with[::-1].cumsum()[::-1]  # inputs with K >= k
    largest = np.cumsum(at_least[1:])  # sum of min(K, s) for s = 1, ..., n
    edges = k[1:][np.cumsum(counts[order]) == largest].tolist()
    starts = [0, *edges[:-1]]
    return [(np.sort(order[a:b]), a) for a, b in zip(starts, edges, strict=True)]


def _block_law(population: Floats, start: int, size: int) -> Floats:
    """Return the distribution of clip(K - start, 0, size)."""
    k = np.clip(np.arange(population.size) - start, 0, size)
    return np.bincount(k, population, minlength=size + 1).astype(np.float64)


def _fit_fields(target: Floats, law: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (fields, table of log e_k, rates) of a block, by quasi-Newton ascent."""
    from spinnet.tails.nulls.kernels import log_symmetric, mixed_rates

    with np.errstate(divide="ignore"):
        log_law = np.log(law)
    seen = law > 0

    def evaluate(fields: Floats) -> tuple[float, Floats, Floats]:
        table = log_symmetric(fields)
        value = float(target @ fields - law[seen] @ table[0][seen])
        return value, table, mixed_rates(fields, table, log_law)

    fields = np.zeros(target.size) if target.size == 1 else np.log(target / (1.0 - target))
    fields -= fields.mean()
    value, table, rates = evaluate(fields)
    for _ in range(_MAX_STEPS):
        error = float(np.abs(target - rates).max())
        if error <= _TOLERANCE:
            break
        step = np.linalg.solve(_curvature(fields, law), target - rates)
        step -= step.mean()  # a common shift changes nothing
        size = 1.0
        while size > 1e-6:
            trial = fields + size * step
            new = evaluate(trial)
            # near the maximum the value is flat to rounding, and the gradient decides
            if new[0] > value or np.abs(target - new[2]).max() < error:
                break
            size /= 2.0
        else:
            break
        fields, (value, table, rates) = trial, new
    return fields, table, rates


def _curvature(fields: Floats, law: Floats) -> Floats:
    """Return the covariance of the units, with independent units tilted to K for each K.

    Given K, units are nearly independent with the fields shifted so that K are active on
    average, less the one degree of freedom that K takes away (Hajek, Ann. Math. Stat. 35, 1491
    (1964)).  The gradient is exact, so that this affects the path and not the solution.
    """
    n = fields.size
    k = np.flatnonzero(law[1:n]) + 1
    if k.size == 0:
        return np.eye(n)
    p = expit(fields + _tilts(fields, k)[:, None])
    v = p * (1.0 - p)
    weight = law[k]
    total = np.maximum(v.sum(axis=1), 1e-300)
    matrix = np.diag(weight @ v) - (v * (weight / total)[:, None]).T @ v
    scale = max(float(np.trace(matrix)), 1e-300) / n
    return np.asarray(matrix + scale / n + 1e-12 * scale * np.eye(n))


def _tilts(fields: Floats, k: Counts) -> Floats:
    """Return t with sum_i sigmoid(h_i + t) = k, interpolated in a table."""
    t = np.linspace(-fields.max() - 30.0, -fields.min() + 30.0, 400)
    return np.interp(k, expit(fields + t[:, None]).sum(axis=1), t)
