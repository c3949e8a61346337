r"""The power law as a member of the families: where it is the best one, the fit stops there.

Each family reaches the power law at theta_2 = 0.  There the slope of minus the average
log-likelihood in theta_2 is E[T] - mean T up to sign, T = d ln f/d theta_2, with the expectation
under the power law; the power law is a (for a convex problem: the) maximum if it points outwards.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError
from spinnet.tails.powerlaw.alternatives.family import (
    Family,
    Theta,
    fitted_log_density,
    minimise,
    objective,
)
from spinnet.tails.powerlaw.alternatives.integration import cell_nodes
from spinnet.tails.powerlaw.alternatives.tail import ROUND, SUM, FittedLaw, Tail

Floats = NDArray[np.float64]

_CHUNK = 32_768


class NestingFamily(Family):
    """A family with the power law x^-alpha at theta_2 = 0."""

    @abstractmethod
    def power_law(self, alpha: float) -> Theta:
        """Return theta of the power law."""

    @abstractmethod
    def edge_slope(self, alpha: float, mean: PowerMeans, tail: Tail) -> float:
        """Return d/dtheta_2 of minus the average log-likelihood at the power law."""

    @abstractmethod
    def starts(self, alpha: float, tail: Tail) -> list[Theta]:
        """Return places to start from, with theta_2 > 0 or where the slope is finite."""

    @abstractmethod
    def parameters(self, theta: Theta, tail: Tail) -> dict[str, float]:
        """Return the parameters to report."""


class PowerMeans:
    """Averages over the data and expectations under the power law at the same exponent."""

    def __init__(self, tail: Tail, alpha: float, cells: tuple[Floats, ...]) -> None:
        self._tail, self._alpha, self._cells = tail, alpha, cells

    def data(self, power: int) -> float:
        """Return the average of y^power; over each cell as the power law fills it."""
        if self._tail.kind != ROUND:
            return float(self._tail.mean(self._tail.y**power))
        return float(self._tail.mean(self._cells[power]))

    def data_excess(self) -> float:
        """Return the average of x/origin - 1."""
        if self._tail.kind != ROUND:
            return float(self._tail.mean(np.expm1(self._tail.y)))
        return float(self._tail.mean(self._cells[3]))

    def law(self, power: int) -> float:
        """Return E[y^power], power 1 or 2."""
        if self._tail.kind == SUM:
            from spinnet.tails.zeta import hurwitz

            moments = hurwitz(self._alpha, self._tail.xmin)
            return float(moments[power] / moments[0])
        return math.factorial(power) / (self._alpha - 1.0) ** power

    def law_excess(self) -> float:
        """Return E[x/origin] - 1, infinite up to alpha = 2."""
        if self._alpha <= 2.0:
            return math.inf
        if self._tail.kind == SUM:
            from spinnet.tails.zeta import hurwitz_value

            q = self._tail.xmin
            return float(hurwitz_value(self._alpha - 1.0, q) / hurwitz_value(self._alpha, q)) - 1.0
        return 1.0 / (self._alpha - 2.0)


def rounded_power(tail: Tail, upper: float = math.inf) -> tuple[float, Floats, tuple[Floats, ...]]:
    """Fit the law of cells of x^-a on [origin, upper]: (a, log masses, means over each cell).

    The means are those of 1, y, y^2 and e^y - 1.  Newton's method on the score, inside a bracket.
    """
    from spinnet.tails.powerlaw.bounded import law_moments

    low, high = (1.0 if math.isinf(upper) else -math.inf), math.inf
    a = max(tail.alpha, 1.01)
    for _ in range(200):
        log_mass, means = _power_cells(tail, a)
        if math.isinf(upper):
            mean, variance = 1.0 / (a - 1.0), 1.0 / (a - 1.0) ** 2
            log_z = math.log(tail.origin) - math.log(a - 1.0)
        else:
            log_z, mean, variance = law_moments(a, tail.origin, upper, False)
        score = mean - float(tail.mean(means[1]))  # falls with a
        within = float(tail.mean(means[2] - means[1] ** 2))
        step = score / (variance - within)
        if score > 0.0:
            low = a
        else:
            high = a
        if abs(step) < 1e-13 * (1.0 + abs(a)):
            break
        new = a + max(-1.0 - abs(a), min(step, 1.0 + abs(a)))
        if not low < new < high:
            new = 0.5 * (low + high) if math.isfinite(low + high) else 2.0 * a
        a = new
    return a, log_mass - log_z, means


def _power_cells(tail: Tail, a: float) -> tuple[Floats, tuple[Floats, ...]]:
    """Return ln of the integral of (x/origin)^-a over each cell, and means over the cells."""
    parts = []
    for start in range(0, tail.values.size, _CHUNK):
        y, weights = cell_nodes(tail.values[start : start + _CHUNK], tail.origin)
        log_f = -a * y
        ref = log_f.max(axis=1)
        f = np.exp(log_f - ref[:, None]) * weights
        mass = f.sum(axis=1)
        means = [(f * t).sum(axis=1) / mass for t in (np.ones_like(y), y, y**2, np.expm1(y))]
        parts.append(np.stack([np.log(mass) + ref, *means]))
    joined = np.concatenate(parts, axis=1)
    return joined[0], tuple(joined[1:])


def fit_nesting(family: NestingFamily, tail: Tail) -> FittedLaw:
    """Fit `family`; the power law itself where nothing of the family is better."""
    alpha, power = tail.alpha, tail.power
    cells: tuple[Floats, ...] = ()
    if tail.kind == ROUND:
        alpha, power, cells = rounded_power(tail)
    edge = FittedLaw(power, family.parameters(family.power_law(alpha), tail), 2, degenerate=True)
    slope = family.edge_slope(alpha, PowerMeans(tail, alpha, cells), tail)
    if slope >= 0.0:
        return edge
    starts = family.starts(alpha, tail)
    start = min(starts, key=lambda theta: objective(family, theta, tail)[0])
    theta, _ = minimise(family, start, tail)
    log_density = fitted_log_density(family, theta, tail)
    if tail.kind == ROUND and log_density.max() > 1e-9:
        raise ConvergenceError(
            f"the {family.name} alternative changes too fast within a cell of width 1 (theta = "
            f'{theta}); use discretisation="sum" or raise xmin',
            solution=theta,
        )
    gain = float(tail.mean(log_density - power))
    if theta[1] <= 0.0 or gain <= 0.0:
        return edge
    return FittedLaw(log_density, family.parameters(theta, tail), 2)
