r"""The stretched exponential, P(X >= x) = exp(-g h(y)), h = (e^(beta y) - 1)/beta.

Here y = ln(x/origin), g > 0 and beta >= 0 (above 1: a Weibull law); beta = 0 is the power law
P = (x/origin)^-g, where a fit of exp(-(rate x)^beta) would run to an infinite rate.  With
H(beta) = mean h = mean int_0^y e^(beta s) ds, the best g of real numbers is 1/H, and what is left
to minimise, ln H - beta mean y, is convex in beta, ln H being the logarithm of a Laplace
transform: one root of one monotone function.  Integers start from there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.errors import ConvergenceError
from spinnet.tails.powerlaw.alternatives.boundary import NestingFamily, PowerMeans
from spinnet.tails.powerlaw.alternatives.family import Theta
from spinnet.tails.powerlaw.alternatives.tail import SUM, FittedLaw, Tail
from spinnet.tails.zeta import _exponential_moments

Floats = NDArray[np.float64]

_LARGEST_BETA = 1e12


@compiled(nogil=True, error_model="numpy")
def _growth(beta: float, y: Floats) -> Floats:
    """Return int_0^y s^k e^(beta s) ds, k = 0, 1, 2, shape (3, size); beta >= 0 is any."""
    result = np.empty((3, y.size))
    for i in range(y.size):
        g0, g1, g2 = _exponential_moments(beta * y[i])
        result[0, i] = y[i] * g0
        result[1, i] = y[i] ** 2 * g1
        result[2, i] = y[i] ** 3 * g2
    return result


@compiled(nogil=True, error_model="numpy")
def _log_mean_growth(beta: float, y: Floats, counts: Floats) -> tuple[float, float, float]:
    """Return ln H and its first two derivatives in beta, scaled by e^(beta max y)."""
    top = y[-1]
    total = m0 = m1 = m2 = 0.0
    for i in range(y.size):
        # int_0^y = e^(beta y) int_0^y e^(-beta u) du, s = y - u, has no overflow
        g0, g1, g2 = _exponential_moments(-beta * y[i])
        scale = counts[i] * y[i] * math.exp(beta * (y[i] - top))
        m0 += scale * g0
        m1 += scale * y[i] * (g0 - g1)
        m2 += scale * y[i] ** 2 * (g0 - 2.0 * g1 + g2)
        total += counts[i]
    mean = m1 / m0
    return math.log(m0 / total) + beta * top, mean, m2 / m0 - mean * mean


class StretchedExponential(NestingFamily):
    """theta = (ln g, beta)."""

    name = "stretched-exponential"

    def log_density(self, theta: Theta, y: Floats) -> Floats:
        """Return ln f, the same at the origin for all beta."""
        h = _growth(theta[1], y.ravel())[0].reshape(y.shape)
        return np.asarray((theta[1] - 1.0) * y - math.exp(theta[0]) * h)

    def slope(self, theta: Theta, y: float) -> float:
        """Return d(ln f + y)/dy."""
        return theta[1] - math.exp(min(theta[0] + theta[1] * y, 709.0))

    def derivatives(self, theta: Theta, y: Floats) -> Floats:
        """Return the derivatives in theta."""
        h = math.exp(theta[0]) * _growth(theta[1], y.ravel()).reshape(3, *y.shape)
        return np.stack([-h[0], y - h[1], -h[0], -h[1], -h[2]])

    def growth(self, theta: Theta) -> float:
        """Return beta."""
        return theta[1]

    def power_law(self, alpha: float) -> Theta:
        """Return (ln(alpha - 1), 0)."""
        return math.log(alpha - 1.0), 0.0

    def edge_slope(self, alpha: float, mean: PowerMeans, tail: Tail) -> float:
        """Return E[y] - mean y - (g/2) (E[y^2] - mean y^2), g = alpha - 1."""
        g = 0.5 * (alpha - 1.0)
        gap = (mean.law(1) - mean.data(1)) - g * (mean.law(2) * (1.0 - 1e-12) - mean.data(2))
        return gap

    def starts(self, alpha: float, tail: Tail) -> list[Theta]:
        """Return the power law, and the best law of real numbers from its own origin."""
        return [(math.log(alpha - 1.0), 0.0), profile(_shifted(tail), tail.counts)]

    def parameters(self, theta: Theta, tail: Tail) -> dict[str, float]:
        """Return beta, g, and the rate of exp(-(rate x)^beta), NaN at beta = 0."""
        log_g, beta = theta
        rate = math.nan
        if beta > 0.0:
            log_rate = (log_g - math.log(beta)) / beta - math.log(tail.origin)
            rate = math.exp(log_rate) if abs(log_rate) < 700.0 else math.nan
        return {"beta": beta, "g": math.exp(log_g), "rate": rate}


def _shifted(tail: Tail) -> Floats:
    """Return y of the values; of integers from the middle of the first gap below."""
    if tail.kind != SUM:
        return tail.y
    return np.log(tail.values / (tail.xmin - 0.5))


def profile(y: Floats, counts: Floats) -> Theta:
    """Return (ln g, beta) of real numbers: Newton on d ln H/dbeta = mean y inside a bracket."""
    mean_y = float(counts @ y / counts.sum())
    log_h, slope, curvature = _log_mean_growth(0.0, y, counts)
    if slope >= mean_y:
        return -log_h, 0.0
    low, high, beta = 0.0, math.inf, 0.0
    for _ in range(300):
        new = beta + (mean_y - slope) / curvature
        new = min(new, 4.0 * beta + 4.0 / mean_y)
        if not low < new < high:
            new = 0.5 * (low + min(high, 2.0 * low + 2.0))
        done = abs(new - beta) <= 1e-14 * new
        beta = new
        log_h, slope, curvature = _log_mean_growth(beta, y, counts)
        if done or new in (low, high):
            return -log_h, beta
        if slope < mean_y:
            low = beta
        else:
            high = beta
        if beta > _LARGEST_BETA:
            break
    raise ConvergenceError(
        f"the stretched exponential has no finite exponent (beta = {beta:.3g}): the values are "
        "almost equal; raise xmin or compare with another law",
        solution=(-log_h, beta),
    )


def fit_real(tail: Tail) -> FittedLaw:
    """Fit real numbers, in closed form but for one root."""
    family = StretchedExponential()
    log_g, beta = profile(tail.y, tail.counts)
    if beta == 0.0:
        return FittedLaw(
            tail.power, family.parameters(family.power_law(tail.alpha), tail), 2, degenerate=True
        )
    log_density = family.log_density((log_g, beta), tail.y) + log_g - math.log(tail.origin)
    return FittedLaw(log_density, family.parameters((log_g, beta), tail), 2)
