"""softplus(x) = ln(1 + e^x) as a mixture of smoothed ReLUs, to 1e-15.

The sigmoid is sum_k w_k Phi(x / tau_k), tau_k = sqrt(2) / s_k with the nodes of tanh; its
integral is sum_k w_k E_z[relu(x + tau_k z)].  So every average is an arc-cosine kernel (Cho and
Saul, NIPS 2009) with variances q + tau^2 and the covariance p of the pre-activations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.kernels.base import Kernel
from spinnet.propagation.kernels.nodes import erf_nodes_of_tanh
from spinnet.propagation.kernels.pairs import NodePairs, same

Array = NDArray[np.float64]
_TWO_PI = 2 * np.pi


class SoftplusKernel(Kernel):
    """Kernel of softplus."""

    def __init__(self) -> None:
        weights, scales = erf_nodes_of_tanh()
        self._weights, self._widths = weights, 2 / scales**2  # tau^2
        self._pairs = NodePairs(self._widths, weights)

    def mean(self, q: ArrayLike) -> Array:
        q = np.asarray(q, dtype=np.float64)[..., None]
        return np.asarray((self._weights * np.sqrt((q + self._widths) / _TWO_PI)).sum(axis=-1))

    def second_moment(self, q: ArrayLike) -> Array:
        return self.overlap(q, q, 0.0)

    def second_moment_slope(self, q: ArrayLike) -> Array:
        def term(s: Array, t: Array, q: Array) -> Array:
            v1, v2 = q + s, q + t
            rest = np.sqrt(q * (s + t) + s * t)
            return rest * (1 / v1 + 1 / v2) / (2 * _TWO_PI) + _quadrant(q, rest)

        return self._pairs.sum(term, q, symmetric=True)

    def slope_moment(self, q: ArrayLike) -> Array:
        return self.slope_overlap(q, q, 0.0)

    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            p, rest = _covariance(s, t, q1, q2, epsilon)
            return rest / _TWO_PI + p * _quadrant(p, rest)

        return self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))

    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            return _quadrant(*_covariance(s, t, q1, q2, epsilon))

        return self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))

    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        def term(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> Array:
            return 1 / (_TWO_PI * _covariance(s, t, q1, q2, epsilon)[1])

        return self._pairs.sum(term, q1, q2, epsilon, symmetric=same(q1, q2))


def _covariance(s: Array, t: Array, q1: Array, q2: Array, epsilon: Array) -> tuple[Array, Array]:
    """Return p and sqrt((q1 + s)(q2 + t) - p^2)."""
    product = q1 * q2
    rest = product * epsilon * (2 - epsilon) + q1 * t + q2 * s + s * t
    return (1 - epsilon) * np.sqrt(product), np.sqrt(rest)


def _quadrant(p: Array, rest: Array) -> Array:
    """Return the probability that both of two Gaussians are positive."""
    return 0.25 + np.arctan2(p, rest) / _TWO_PI
