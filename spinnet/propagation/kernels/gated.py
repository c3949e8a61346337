"""phi(x) = sum_k w_k x Phi(a_k x), Phi the normal distribution function: GELU, and SiLU to 1e-15.

With A = 1 + a^2 q1, B = 1 + b^2 q2, T = A B - a^2 b^2 p^2, Q = a b / (2 pi sqrt(T)) and
R = q1 q2 + p^2 (1/A + 1/B - 1),

    H = E[u1 Phi(a u1) u2 Phi(b u2)] = p [1/4 + arcsin(a b p / sqrt(A B)) / (2 pi)] + Q R,
    dH/dp = 1/4 + arcsin(a b p / sqrt(A B)) / (2 pi) + Q p (1/A + 1/B + 1/T),
    d^2H/dp^2 = Q [1 + (1/A + 1/B + 1/T)(1 + X) + 2 X/T],   X = a^2 b^2 p^2 / T.

T and R are written as sums of positive terms: with e = 1 - c^2 = epsilon (2 - epsilon),
T = 1 + a^2 q1 + b^2 q2 + a^2 b^2 q1 q2 e and R = q1 q2 (e + c^2 (1/A + 1/B)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.kernels.base import Kernel
from spinnet.propagation.kernels.pairs import NodePairs, same

Array = NDArray[np.float64]


class GatedKernel(Kernel):
    """Kernel of sum_k weights_k x Phi(scales_k x).

    Parameters
    ----------
    weights, scales : ndarray, shape (n_nodes,)
    """

    def __init__(self, weights: Array, scales: Array) -> None:
        self._pairs = NodePairs(scales, weights)
        self._weights, self._scales = weights, scales

    def mean(self, q: ArrayLike) -> Array:
        q = np.asarray(q, dtype=np.float64)[..., None]
        a = self._scales
        terms = self._weights * a * q / np.sqrt(2 * np.pi * (1 + a * a * q))
        return np.asarray(terms.sum(axis=-1))

    def second_moment(self, q: ArrayLike) -> Array:
        return self.overlap(q, q, 0.0)

    def second_moment_slope(self, q: ArrayLike) -> Array:
        def term(a: Array, b: Array, q: Array) -> Array:
            x = a * b * q
            inverse_a, inverse_b = 1 / (1 + a * a * q), 1 / (1 + b * b * q)
            both = inverse_a + inverse_b
            square = a * a + b * b
            t = 1 + square * q
            big_q = a * b / (2 * np.pi * np.sqrt(t))
            slope_r = 2 * q * both - q * q * ((a * inverse_a) ** 2 + (b * inverse_b) ** 2)
            return (
                0.25
                + np.arctan2(x, np.sqrt(t)) / (2 * np.pi)
                + big_q * (q * both / 2 - square / (2 * t) * q * q * both + slope_r)
            )

        return self._pairs.sum(term, q, symmetric=True)

    def slope_moment(self, q: ArrayLike) -> Array:
        return self.slope_overlap(q, q, 0.0)

    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(a: Array, b: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            g = _gate(a, b, q1, q2, epsilon)
            c, e = 1 - epsilon, epsilon * (2 - epsilon)
            return g.p * g.quadrant + g.big_q * q1 * q2 * (e + c * c * g.inverse)

        return self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))

    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(a: Array, b: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            g = _gate(a, b, q1, q2, epsilon)
            return g.quadrant + g.big_q * g.p * (g.inverse + 1 / g.t)

        return self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))

    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(a: Array, b: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            g = _gate(a, b, q1, q2, epsilon)
            x = (a * b * g.p) ** 2 / g.t
            return g.big_q * (1 + (g.inverse + 1 / g.t) * (1 + x) + 2 * x / g.t)

        return self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))


class _Gate(NamedTuple):
    p: Array
    t: Array
    big_q: Array
    quadrant: Array  # 1/4 + arcsin(...) / (2 pi)
    inverse: Array  # 1/A + 1/B


def _gate(a: Array, b: Array, q1: Array, q2: Array, epsilon: Array) -> _Gate:
    product = q1 * q2
    p = (1 - epsilon) * np.sqrt(product)
    t = 1 + a * a * q1 + b * b * q2 + (a * b) ** 2 * product * epsilon * (2 - epsilon)
    return _Gate(
        p=p,
        t=t,
        big_q=a * b / (2 * np.pi * np.sqrt(t)),
        quadrant=0.25 + np.arctan2(a * b * p, np.sqrt(t)) / (2 * np.pi),
        inverse=1 / (1 + a * a * q1) + 1 / (1 + b * b * q2),
    )
