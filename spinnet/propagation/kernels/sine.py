"""phi = sin: averages of products of exponentials, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.kernels.base import Kernel

Array = NDArray[np.float64]


class SineKernel(Kernel):
    """Kernel of sin: H = exp(-(q1 + q2)/2) sinh(p)."""

    odd = True
    concave = True

    def mean(self, q: ArrayLike) -> Array:
        return np.zeros_like(np.asarray(q, dtype=np.float64))

    def second_moment(self, q: ArrayLike) -> Array:
        return np.asarray(-np.expm1(-2 * np.asarray(q, dtype=np.float64)) / 2)

    def second_moment_slope(self, q: ArrayLike) -> Array:
        return np.asarray(np.exp(-2 * np.asarray(q, dtype=np.float64)))

    def slope_moment(self, q: ArrayLike) -> Array:
        return np.asarray((1 + np.exp(-2 * np.asarray(q, dtype=np.float64))) / 2)

    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        near, far, p = _exponents(q1, q2, epsilon)
        # neither exponential can overflow, and small p are kept
        larger = np.exp(np.maximum(near, far))
        return np.asarray(np.sign(p) * larger * -np.expm1(-2 * np.abs(p)) / 2)

    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        near, far, _ = _exponents(q1, q2, epsilon)
        return np.asarray((np.exp(near) + np.exp(far)) / 2)

    def length_deficit(self, q: ArrayLike) -> Array:
        return _exponential_remainder(2 * np.asarray(q, dtype=np.float64)) / 2

    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        return self.overlap(q1, q2, epsilon)


def _exponential_remainder(x: Array) -> Array:
    """Return exp(-x) - 1 + x, by its series where that cancels."""
    term, series = x * x / 2, np.zeros_like(x)
    for n in range(3, 18):
        series = series + term
        term = -term * x / n
    return np.asarray(np.where(x < 0.5, series, np.expm1(-x) + x))


def _exponents(q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> tuple[Array, Array, Array]:
    """Return p - (q1 + q2)/2 and -p - (q1 + q2)/2 without cancellation, and p."""
    r1, r2 = np.sqrt(np.asarray(q1, np.float64)), np.sqrt(np.asarray(q2, np.float64))
    epsilon = np.asarray(epsilon, dtype=np.float64)
    apart, product = (r1 - r2) ** 2 / 2, r1 * r2
    return -apart - product * epsilon, -apart - product * (2 - epsilon), (1 - epsilon) * product
