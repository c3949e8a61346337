r"""Exact averages of a two-layer system whose smaller layer has at most 24 units.

Given one layer, the units of the other are independent,

.. math:: P(a_i = \text{high} | b) = \frac{1}{1 + e^{-\beta\,\Delta x_i(b)}},
          \qquad x_i(b) = g_i + \text{scale} \sum_j w_{ij} b_j,

with Delta the distance of the levels.  The smaller layer b is summed state by state with its
exact weight (:mod:`spinnet.spins.exact.layer_marginal`), and the other enters through its
conditional means and cumulants, so that its width costs no exponent: an average over b of
products of conditional means gives correlations, and cumulants of independent units add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spinnet.spins.exact.layer_marginal import LayerMarginal, layer_marginal
from spinnet.spins.exact.result import Array
from spinnet.spins.models import Bipartite

_CHUNK = 1 << 20  # conditional probabilities held at a time
_LARGEST_DISTRIBUTION = 2e11  # operations for the distribution of the total: some minutes


@dataclass(frozen=True, eq=False)
class _Part:
    """Some states of the summed layer: their weights, the states, and what they do to the other.

    Attributes
    ----------
    p : ndarray, shape (n_states,)
    b : ndarray, shape (n_states, n_b)
        In levels.
    x : ndarray, shape (n_states, n_a)
        Fields on the other layer.
    up : ndarray, shape (n_states, n_a)
        Chance of the high level.
    """

    p: Array
    b: Array
    x: Array
    up: Array


class TwoLayers:
    """A two-layer system seen from its smaller layer.

    Parameters
    ----------
    pair : Bipartite
    only_a : bool
        Report the units of layer a alone, as the marginal of a dual does.
    """

    def __init__(self, pair: Bipartite, *, only_a: bool) -> None:
        self.pair, self.only_a = pair, only_a
        self.summed = "a" if pair.n_a < pair.n_b else "b"
        weights = pair.scale * pair.weights
        if self.summed == "b":
            self.weights, self.own, self.other = weights, pair.bias_b, pair.bias_a
        else:
            self.weights, self.own, self.other = weights.T, pair.bias_a, pair.bias_b
        self.n_other, self.n_summed = self.weights.shape
        self.low, high = pair.levels
        self.step = high - self.low
        self.n_reported = pair.n_a if only_a else pair.n_spins

    def averages(self, beta: float) -> dict[str, Any]:
        """Return every average of an ExactResult at one temperature."""
        marginal = layer_marginal(self.pair, beta, self.summed)
        n = self.n_reported
        origin = self._origin(marginal, beta)
        total, energy = _Moments(origin[0]), _Moments(origin[1])
        sites = np.zeros(self.n_other + self.n_summed)
        products = np.zeros((self.n_other + self.n_summed,) * 2)
        variance = np.zeros(self.n_other)
        for part in self._parts(marginal, beta):
            spread = part.up * (1 - part.up)
            means = self.low + self.step * part.up
            total.add(part.p, *self._total(part, means, spread))
            energy.add(part.p, *self._energy(part, means, spread))
            both = np.hstack([means, part.b])
            sites += part.p @ both
            products += (both * part.p[:, None]).T @ both
            variance += self.step**2 * (part.p @ spread)
        index = np.arange(self.n_other)
        products[index, index] += variance
        means, correlations = self._ordered(sites, products)
        absolute = (total.raw(1), total.variance)  # of units 0 and 1: no sum is negative
        if self.low < 0:
            absolute = self._absolute_total(marginal, beta)
        return {
            "log_z": marginal.log_z,
            "energy": energy.raw(1),
            "specific_heat": beta**2 * energy.variance / n,
            "magnetization": total.raw(1) / n,
            "abs_m": absolute[0] / n,
            "m2": total.raw(2) / n**2,
            "m4": total.raw(4) / n**4,
            "susceptibility": beta * total.variance / n,
            "susceptibility_abs": beta * absolute[1] / n,
            "means": means,
            "correlations": correlations,
        }

    def _parts(self, marginal: LayerMarginal, beta: float) -> Iterator[_Part]:
        size = max(1, _CHUNK // (self.n_other + self.n_summed))
        bits = np.arange(self.n_summed)
        for first in range(0, len(marginal.log_p), size):
            index = np.arange(first, min(first + size, len(marginal.log_p)))
            b = self.low + self.step * ((index[:, None] >> bits) & 1).astype(np.float64)
            x = self.other + b @ self.weights.T
            up = expit(beta * self.step * x)
            yield _Part(np.exp(marginal.log_p[index]), b, x, up)

    def _origin(self, marginal: LayerMarginal, beta: float) -> tuple[float, float]:
        """Return total and energy at the likeliest state: moments are taken about them."""
        state = int(np.argmax(marginal.log_p))
        bits = (state >> np.arange(self.n_summed)) & 1
        b = (self.low + self.step * bits.astype(np.float64))[None]
        x = self.other + b @ self.weights.T
        part = _Part(np.ones(1), b, x, expit(beta * self.step * x))
        means, spread = self.low + self.step * part.up, part.up * (1 - part.up)
        total, energy = self._total(part, means, spread), self._energy(part, means, spread)
        return float(total[0][0]), float(energy[0][0])

    def _total(self, part: _Part, means: Array, spread: Array) -> tuple[Array, ...]:
        """Return the first four cumulants of the reported sum of units, given b."""
        mean = np.zeros(len(part.p))
        if self.summed == "a" or not self.only_a:
            mean = mean + part.b.sum(axis=1)
        if self.summed == "a" and self.only_a:
            zero = np.zeros(len(part.p))
            return mean, zero, zero, zero
        cumulants = (
            self.step**2 * spread,
            self.step**3 * spread * (1 - 2 * part.up),
            self.step**4 * spread * (1 - 6 * spread),
        )
        return mean + means.sum(axis=1), *(c.sum(axis=1) for c in cumulants)

    def _energy(self, part: _Part, means: Array, spread: Array) -> tuple[Array, ...]:
        """Return mean and variance of the energy given b."""
        mean = self.pair.constant - part.b @ self.own - np.sum(means * part.x, axis=1)
        return mean, self.step**2 * np.sum(spread * part.x**2, axis=1)

    def _ordered(self, sites: Array, products: Array) -> tuple[Array, Array]:
        """Return means and correlations with layer a first, and only what is reported."""
        index = np.arange(len(sites))
        if self.summed == "a":
            index = np.roll(index, self.n_summed)
        index = index[: self.n_reported]
        return sites[index], products[np.ix_(index, index)]

    def _absolute_total(self, marginal: LayerMarginal, beta: float) -> tuple[float, float]:
        """Return mean and variance of |sum of the reported units|; NaN if that takes too long."""
        mass = np.zeros(self.n_other + self.n_summed + 1)
        if self.only_a and self.summed == "a":
            for part in self._parts(marginal, beta):
                mass[: self.n_summed + 1] += np.bincount(self._ups(part), part.p, self.n_summed + 1)
        elif len(marginal.log_p) * self.n_other**2 / 2 > _LARGEST_DISTRIBUTION:
            return float("nan"), float("nan")
        else:
            from spinnet.spins.exact.total_distribution import add_distributions

            for part in self._parts(marginal, beta):
                ups = self._ups(part)
                add_distributions(part.p, 0 * ups if self.only_a else ups, part.up, mass)
        units = self.n_reported
        total = np.abs(2 * np.arange(units + 1) - units)
        mean = float(mass[: units + 1] @ total)
        return mean, float(mass[: units + 1] @ (total - mean) ** 2)

    def _ups(self, part: _Part) -> NDArray[np.int64]:
        """Return how many units of the summed layer are up in each state."""
        return np.asarray(np.sum(part.b > self.low, axis=1))


class _Moments:
    """Moments of a sum over states of independent parts, about an origin near the mean."""

    def __init__(self, origin: float) -> None:
        self.origin = origin
        self._central = np.zeros(5)

    def add(
        self,
        p: Array,
        mean: Array,
        variance: Array,
        third: Array | None = None,
        fourth: Array | None = None,
    ) -> None:
        """Add states of weight `p` with these conditional cumulants."""
        d = mean - self.origin
        self._central[0] += p.sum()
        self._central[1] += p @ d
        self._central[2] += p @ (variance + d**2)
        if third is not None and fourth is not None:
            self._central[3] += p @ (third + 3 * variance * d + d**3)
            self._central[4] += p @ (
                fourth + 3 * variance**2 + 4 * third * d + 6 * variance * d**2 + d**4
            )

    @property
    def variance(self) -> float:
        """The second cumulant."""
        return float(self._central[2] - self._central[1] ** 2)

    def raw(self, order: int) -> float:
        """Return the moment of an order up to 4 about zero."""
        c, o = self._central, self.origin
        binomials = {1: (1, 1), 2: (1, 2, 1), 4: (1, 4, 6, 4, 1)}[order]
        return float(sum(k * c[i] * o ** (order - i) for i, k in enumerate(binomials)))
