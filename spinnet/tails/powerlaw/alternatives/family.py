r"""Maximum likelihood of two-parameter laws that hold the power law at theta_2 = 0.

A law is given by ln f and its derivatives in theta = (theta_1, theta_2), theta_2 >= 0; the rest
(norms over real numbers, integers or cells, the likelihood with gradient and Hessian, Newton's
method on the half-plane) is the same for all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError
from spinnet.tails.powerlaw.alternatives.integration import (
    cell_nodes,
    integral,
    lattice_sum,
    support,
)
from spinnet.tails.powerlaw.alternatives.tail import ROUND, SUM, Tail

Floats = NDArray[np.float64]
Theta = tuple[float, float]
# value, gradient (2,), Hessian (2, 2)
Objective = tuple[float, Floats, Floats]

_CHUNK = 32_768  # values whose cells are held at once
_MAX_STEPS = 300
_DECREMENT = 1e-15  # twice what is left to gain, in nats per observation


class Family(ABC):
    """A density f(x), x = origin e^y, up to its norm."""

    name: str

    @abstractmethod
    def log_density(self, theta: Theta, y: Floats) -> Floats:
        """Return ln f."""

    @abstractmethod
    def slope(self, theta: Theta, y: float) -> float:
        """Return d(ln f + y)/dy, which must not increase."""

    @abstractmethod
    def derivatives(self, theta: Theta, y: Floats) -> Floats:
        """Return d_1, d_2, d_11, d_12, d_22 of ln f in theta, shape (5,) + y.shape."""

    def growth(self, theta: Theta) -> float:
        """Return the rate at which ln f grows, e^(growth y), where it does."""
        return 1.0

    def rows(self, theta: Theta, y: Floats, log_ref: float | Floats = 0.0) -> Floats:
        """Return f/exp(log_ref), times the derivatives that ln Z and its cumulants need."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            f = np.exp(self.log_density(theta, y) - log_ref)
            d1, d2, d11, d12, d22 = self.derivatives(theta, y)
            factors = np.stack([np.ones_like(y), d1, d2, d11 + d1**2, d12 + d1 * d2, d22 + d2**2])
            return np.asarray(np.where(f > 0.0, factors * f, 0.0))


def log_norm(family: Family, theta: Theta, origin: float, kind: str) -> Objective:
    """Return ln Z, its gradient and its Hessian; Z includes the unit of `origin`."""

    def log_f(y: float) -> float:
        return float(family.log_density(theta, np.array([y]))[0]) + y

    def slope(y: float) -> float:
        return family.slope(theta, y)

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        low, high, top = support(log_f, slope)

        def rows(y: Floats, log_measure: float | Floats) -> Floats:
            return family.rows(theta, y, top - log_measure)

        if kind == SUM:
            sums = lattice_sum(rows, slope, origin, low, high, family.growth(theta))
        else:
            sums = integral(rows, low, high, family.growth(theta))
        value = math.log(sums[0]) + top + math.log(origin)
        return value, *_cumulants(sums / sums[0])


def _cumulants(means: Floats) -> tuple[Floats, Floats]:
    """Return gradient and Hessian of the logarithm of an integral from its relative derivatives."""
    g1, g2 = means[1], means[2]
    cross = means[4] - g1 * g2
    hessian = np.array([[means[3] - g1 * g1, cross], [cross, means[5] - g2 * g2]])
    return np.array([g1, g2]), hessian


def mean_log_density(family: Family, theta: Theta, tail: Tail) -> Objective:
    """Return the average over the data of ln f (ln of the cell's mass), gradient and Hessian."""
    if tail.kind == ROUND:
        return _mean_log_cell(family, theta, tail)
    d = tail.mean(family.derivatives(theta, tail.y))
    value = float(tail.mean(family.log_density(theta, tail.y)))
    return value, d[:2], np.array([[d[2], d[3]], [d[3], d[4]]])


def log_cells(family: Family, theta: Theta, tail: Tail) -> Floats:
    """Return ln of the mass of f in the cell of each value."""
    return np.concatenate([np.log(cells[0]) + ref for cells, ref, _ in _cells(family, theta, tail)])


def _cells(family: Family, theta: Theta, tail: Tail) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield (rows integrated over cells, their log scale, counts) for chunks of the values."""
    for start in range(0, tail.values.size, _CHUNK):
        y, weights = cell_nodes(tail.values[start : start + _CHUNK], tail.origin)
        ref = family.log_density(theta, y).max(axis=1)
        cells = family.rows(theta, y, ref[:, None]) @ weights
        yield cells, ref, tail.counts[start : start + _CHUNK]


def _mean_log_cell(family: Family, theta: Theta, tail: Tail) -> Objective:
    value, gradient, hessian = 0.0, np.zeros(2), np.zeros((2, 2))
    for cells, ref, counts in _cells(family, theta, tail):
        value += float(counts @ (np.log(cells[0]) + ref))
        means = cells / cells[0]
        g = means[1:3]
        gradient += g @ counts
        second = np.array([[means[3], means[4]], [means[4], means[5]]])
        hessian += (second - g[:, None] * g[None, :]) @ counts
    return value / tail.n, gradient / tail.n, hessian / tail.n


def objective(family: Family, theta: Theta, tail: Tail) -> Objective:
    """Return minus the average log-likelihood, its gradient and Hessian; infinite if undefined."""
    try:
        with np.errstate(all="ignore"):
            z = log_norm(family, theta, tail.origin, tail.kind)
            data = mean_log_density(family, theta, tail)
    except (OverflowError, ValueError):  # a logarithm of 0: nothing of the law is representable
        return math.inf, np.zeros(2), np.eye(2)
    if not all(np.isfinite(part).all() for part in (*z, *data)):
        return math.inf, np.zeros(2), np.eye(2)
    return z[0] - data[0], z[1] - data[1], z[2] - data[2]


def minimise(family: Family, start: Theta, tail: Tail) -> tuple[Theta, float]:
    """Return theta with theta_2 >= 0 at a minimum of `objective`, and the minimum.

    Newton's method with the Hessian made positive and the step halved until the objective falls;
    from theta_2 > 0 a step goes at most half of the way to the boundary.
    """
    theta = start
    value, gradient, hessian = objective(family, theta, tail)
    for _ in range(_MAX_STEPS):
        step = _newton_step(gradient, hessian)
        decrement = -float(gradient @ step)
        if not decrement > _DECREMENT:
            return theta, value
        scale = 1.0
        if theta[1] + step[1] <= 0.0:
            if theta[1] < 1e-290:
                return theta, value
            scale = -0.5 * theta[1] / float(step[1])
        while True:
            trial = (theta[0] + scale * float(step[0]), theta[1] + scale * float(step[1]))
            new = objective(family, trial, tail)
            if new[0] <= value - 0.1 * scale * decrement:
                break
            scale *= 0.5
            if scale * decrement < 1e-16 * (1.0 + abs(value)) or scale < 1e-12:
                return theta, value  # flat to rounding
        theta, (value, gradient, hessian) = trial, new
    if decrement < 1e-10:  # a supremum at infinity, such as two neighbouring integers have
        return theta, value
    raise ConvergenceError(
        f"the {family.name} alternative did not converge in {_MAX_STEPS} Newton steps "
        f"(decrement {decrement:.2g}); compare with another law or raise xmin",
        solution=theta,
    )


def _newton_step(gradient: Floats, hessian: Floats) -> Floats:
    """Return -H^-1 g in scaled variables, negative curvatures reversed."""
    scale = np.sqrt(np.abs(np.diag(hessian)))
    scale = np.where((scale > 0.0) & np.isfinite(scale), scale, 1.0)
    values, vectors = np.linalg.eigh(hessian / scale[:, None] / scale[None, :])
    values = np.maximum(np.abs(values), 1e-10)
    return np.asarray(-(vectors @ ((vectors.T @ (gradient / scale)) / values)) / scale)


def fitted_log_density(family: Family, theta: Theta, tail: Tail) -> Floats:
    """Return the normalised log density (or probability) at the values of the tail."""
    log_z = log_norm(family, theta, tail.origin, tail.kind)[0]
    if tail.kind == ROUND:
        return log_cells(family, theta, tail) - log_z
    return family.log_density(theta, tail.y) - log_z
