"""phi(x) = offset + sum_k w_k erf(s_k x): erf itself, and to 1e-15 tanh and the sigmoid.

Every average is a sum over pairs of nodes of Williams' arcsine kernel (C. Williams, Neural
Computation 10, 1203, 1998),

    E[erf(s u1) erf(s' u2)] = (2/pi) arcsin(X),   X = 2 s s' p / sqrt(A B),
    A = 1 + 2 s^2 q1,  B = 1 + 2 s'^2 q2,  p = c sqrt(q1 q2),

and of its derivatives by p.  A B - (2 s s' p)^2 is written as a sum of positive terms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.kernels.base import Kernel
from spinnet.propagation.kernels.pairs import NodePairs, same

Array = NDArray[np.float64]
_TWO_OVER_PI = 2 / np.pi


class ErfMixtureKernel(Kernel):
    """Kernel of offset + sum_k weights_k erf(scales_k x).

    Parameters
    ----------
    weights, scales : ndarray, shape (n_nodes,)
        Scales are positive.
    offset : float
    """

    def __init__(self, weights: Array, scales: Array, offset: float) -> None:
        self._pairs = NodePairs(scales, weights)
        self._offset = offset
        self._slope = float(np.sum(weights * scales) * 2 / np.sqrt(np.pi))
        self.odd = offset == 0
        # Each arcsin(2 s s' q / sqrt(A B)) is concave in q.
        self.concave = bool(np.all(weights > 0) or np.all(weights < 0))

    def mean(self, q: ArrayLike) -> Array:
        return np.full_like(np.asarray(q, dtype=np.float64), self._offset)

    def second_moment(self, q: ArrayLike) -> Array:
        return self.overlap(q, q, 0.0)

    def second_moment_slope(self, q: ArrayLike) -> Array:
        def term(s: Array, t: Array, q: Array) -> Array:
            a, b = 1 + 2 * s * s * q, 1 + 2 * t * t * q
            return s * t * (1 / a + 1 / b) / np.sqrt(1 + 2 * q * (s * s + t * t))

        return _TWO_OVER_PI * self._pairs.sum(term, q, symmetric=True)

    def slope_moment(self, q: ArrayLike) -> Array:
        return self.slope_overlap(q, q, 0.0)

    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            y = 2 * s * t * (1 - epsilon) * np.sqrt(q1 * q2)
            return np.arctan2(y, np.sqrt(_rest(s, t, q1, q2, epsilon)))

        total = self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))
        return self._offset**2 + _TWO_OVER_PI * total

    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            return 2 * s * t / np.sqrt(_rest(s, t, q1, q2, epsilon))

        return _TWO_OVER_PI * self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))

    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            p = (1 - epsilon) * np.sqrt(q1 * q2)
            return (2 * s * t) ** 3 * p / _rest(s, t, q1, q2, epsilon) ** 1.5

        return _TWO_OVER_PI * self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))

    def deficit(self, q: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q: Array, epsilon: Array) -> Array:
            return _angle_difference(s, t, q, epsilon)[0]

        return _TWO_OVER_PI * self._pairs.sum(term, q, epsilon, symmetric=True)

    def remainder(self, q: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q: Array, epsilon: Array) -> Array:
            delta, tangent = _angle_difference(s, t, q, epsilon)
            # delta - (sin(a + delta) - sin a) / cos a, a the smaller angle
            return np.asarray(_minus_sine(delta) + tangent * 2 * np.sin(delta / 2) ** 2)

        return _TWO_OVER_PI * self._pairs.sum(term, q, epsilon, symmetric=True)

    def length_deficit(self, q: ArrayLike) -> Array:
        if self._offset:
            return super().length_deficit(q)

        def term(s: Array, t: Array, q: Array) -> Array:
            y = 2 * s * t * q
            square = 2 * q * (s * s + t * t) + y * y  # A B - 1
            root = np.sqrt(1 + square)
            x = y / root
            angle = np.arctan2(y, np.sqrt(1 + square - y * y))
            # y - arcsin(x) = (y - x) - (arcsin(x) - x)
            return np.asarray(x * square / (1 + root) - _minus_sine(angle))

        return _TWO_OVER_PI * self._pairs.sum(term, q, symmetric=True)


def _rest(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
    """Return A B - (2 s t p)^2."""
    a, b = 2 * s * s * q1, 2 * t * t * q2
    return 1 + a + b + a * b * epsilon * (2 - epsilon)


def _angle_difference(s: Array, t: Array, q: Array, epsilon: Array) -> tuple[Array, Array]:
    """Return arcsin(X at c = 1) - arcsin(X at c), and the tangent of the latter."""
    y = 2 * s * t * q
    low = y * (1 - epsilon)
    cos_top = np.sqrt(_rest(s, t, q, q, np.zeros_like(epsilon)))
    cos_low = np.sqrt(_rest(s, t, q, q, epsilon))
    square = (1 + 2 * s * s * q) * (1 + 2 * t * t * q)
    # sine and cosine of the difference, times A B; the first without cancellation for low >= 0
    total = y * cos_low + low * cos_top
    sine = np.where(
        low >= 0,
        square * y * y * epsilon * (2 - epsilon) / np.where(total > 0, total, 1.0),
        y * cos_low - low * cos_top,
    )
    cosine = cos_top * cos_low + y * low
    return np.arctan2(sine, cosine), low / cos_low


def _minus_sine(x: Array) -> Array:
    """Return x - sin(x) to relative accuracy."""
    square = x * x
    series = (
        x
        * square
        / 6
        * (
            1
            - square
            / 20
            * (1 - square / 42 * (1 - square / 72 * (1 - square / 110 * (1 - square / 156))))
        )
    )
    return np.where(np.abs(x) < 0.7, series, x - np.sin(x))
