"""Continuous piecewise-linear activations: ReLU, leaky ReLU, hard tanh, the identity, the user's.

One Gaussian: moments of truncated normal laws.  Two: phi'' is a sum of delta functions of weight
m_i at the kinks k_i, so that by Plackett's identity (Biometrika 41, 351, 1954), with n2 the
bivariate normal density of covariance t,

    E[phi''(u1) phi''(u2)] = M(t) = sum_ij m_i m_j n2(k_i, k_j; t),
    E[phi' phi'](p) = E[phi'] E[phi'] + int_0^p M dt,
    E[phi phi](p) = E[phi] E[phi] + p E[phi'] E[phi'] + int_0^p (p - t) M dt.

With t = sqrt(q1 q2) sin(theta) the integrands are smooth up to c = 1, but for large q they have
a layer of width |k_i - k_j| / sqrt(q) there: panels that shrink by halves resolve it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, gammainc, gammaincc, ndtr

from spinnet.propagation.kernels.base import Kernel, gauss_legendre

Array = NDArray[np.float64]
_ONE_KINK = 32  # nodes: no layer
_PANELS, _PER_PANEL = 40, 16
_TINY = 1e-290  # stands for q = 0: sqrt and quotients stay finite


@cache
def _graded_nodes(n_kinks: int) -> tuple[Array, Array]:
    """Return nodes and weights on [0, 1], crowded at 0 where there is a layer to resolve."""
    if n_kinks < 2:
        return gauss_legendre(_ONE_KINK)
    nodes, weights = gauss_legendre(_PER_PANEL)
    edges = np.concatenate([[0.0], 0.5 ** np.arange(_PANELS - 1, -1, -1)])
    widths = np.diff(edges)[:, None]
    return (edges[:-1, None] + widths * nodes).ravel(), (widths * weights).ravel()


def _mass(z: Array) -> tuple[Array, Array]:
    """Return the integral of the normal density from 0 to z, and from abs(z) to infinity."""
    return erf(z / np.sqrt(2)) / 2, ndtr(-np.abs(z))


def _second(z: Array) -> tuple[Array, Array]:
    """Return the same integrals of t^2 n(t)."""
    x = z * z / 2
    return np.sign(z) * gammainc(1.5, x) / 2, gammaincc(1.5, x) / 2


def _between(z: Array, integral: Callable[[Array], tuple[Array, Array]]) -> Array:
    """Return the integrals between neighbouring z, from -inf to inf, without cancellation."""
    ends = np.ones((*z.shape[:-1], 1))
    z = np.concatenate([-np.inf * ends, z, np.inf * ends], axis=-1)
    centre, tail = integral(z)
    left, right = z[..., :-1], z[..., 1:]
    result = np.diff(centre, axis=-1)
    result = np.where(left > 1, -np.diff(tail, axis=-1), result)
    return np.asarray(np.where(right < -1, np.diff(tail, axis=-1), result))


def _ratio(a: Array, b: Array) -> Array:
    """Return a / b, 0 where a is."""
    return np.asarray(np.where(a == 0, 0.0, a / b))


class PiecewiseLinearKernel(Kernel):
    """Kernel of a continuous piecewise-linear function.

    Parameters
    ----------
    kinks : sequence of float, shape (n,)
        Increasing.
    slopes : sequence of float, shape (n + 1,)
        Slope of each piece, from left to right.
    value_at_zero : float
        phi(0).
    """

    def __init__(
        self, kinks: Sequence[float], slopes: Sequence[float], value_at_zero: float
    ) -> None:
        self._kinks = np.asarray(kinks, dtype=np.float64)
        self._slopes = np.asarray(slopes, dtype=np.float64)
        self._jumps = np.diff(self._slopes)
        self._home = home = int(np.searchsorted(self._kinks, 0.0))
        intercepts = np.zeros(len(self._slopes))
        intercepts[home] = value_at_zero
        for i in range(home, len(self._kinks)):
            intercepts[i + 1] = intercepts[i] - self._jumps[i] * self._kinks[i]
        for i in range(home - 1, -1, -1):
            intercepts[i] = intercepts[i + 1] + self._jumps[i] * self._kinks[i]
        self._intercepts = intercepts
        self.smooth = not np.any(self._jumps)
        self.odd = bool(
            value_at_zero == 0
            and np.array_equal(self._kinks, -self._kinks[::-1])
            and np.array_equal(self._slopes, self._slopes[::-1])
        )
        self.homogeneous = value_at_zero == 0 and not np.any(self._kinks)
        self.concave = self.homogeneous or (
            self.odd and bool(np.all(np.diff(self._slopes[len(self._slopes) // 2 :]) <= 0))
        )

    def _pieces(self, q: ArrayLike) -> tuple[Array, Array, Array]:
        """Return the mass, first and second moment of each piece, last axis: pieces."""
        q = np.asarray(q, dtype=np.float64)[..., None]
        root = np.sqrt(q)
        z = self._kinks / np.sqrt(np.maximum(q, _TINY))
        density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        none = np.zeros((*density.shape[:-1], 1))
        first = -np.diff(np.concatenate([none, density, none], axis=-1), axis=-1)
        return _between(z, _mass), root * first, q * _between(z, _second)

    def mean(self, q: ArrayLike) -> Array:
        mass, first, _ = self._pieces(q)
        return np.asarray(mass @ self._intercepts + first @ self._slopes)

    def second_moment(self, q: ArrayLike) -> Array:
        mass, first, second = self._pieces(q)
        a, b = self._slopes, self._intercepts
        return np.asarray(second @ (a * a) + first @ (2 * a * b) + mass @ (b * b))

    def second_moment_slope(self, q: ArrayLike) -> Array:
        q = np.maximum(np.asarray(q, dtype=np.float64), _TINY)
        _, first, second = self._pieces(q)
        a, b = self._slopes, self._intercepts
        return np.asarray((second @ (a * a) + first @ (a * b)) / q)

    def slope_moment(self, q: ArrayLike) -> Array:
        return np.asarray(self._pieces(q)[0] @ self._slopes**2)

    def length_deficit(self, q: ArrayLike) -> Array:
        if np.any(self._kinks == 0) or self._intercepts[self._home]:
            return super().length_deficit(q)
        # the piece around 0 cancels term by term
        mass, first, second = self._pieces(q)
        a, b, slope = self._slopes, self._intercepts, self._slopes[self._home]
        return np.asarray(second @ (slope**2 - a * a) - first @ (2 * a * b) - mass @ (b * b))

    def _mean_slope(self, q: ArrayLike) -> Array:
        return np.asarray(self._pieces(q)[0] @ self._slopes)

    # ------------------------------------------------------------------ pairs
    def _density(self, q1: Array, q2: Array, below: Array, above: Array) -> Array:
        """Return sqrt(q1 q2 (1 - s^2)) M at correlation s = 1 - `below` = `above` - 1."""
        r1, r2 = np.sqrt(np.maximum(q1, _TINY)), np.sqrt(np.maximum(q2, _TINY))
        total = np.zeros(np.broadcast_shapes(q1.shape, below.shape))
        for m, k in zip(self._jumps, self._kinks, strict=True):
            for n, other in zip(self._jumps, self._kinks, strict=True):
                x, y = k / r1, other / r2
                # (x^2 - 2 s x y + y^2) / (1 - s^2), by the square that vanishes at s = 1 or -1
                with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                    near = _ratio(np.square(x - y), below * above) + 2 * x * y / above
                    far = _ratio(np.square(x + y), below * above) - 2 * x * y / below
                total += m * n * np.exp(-np.where(below < 1, near, far) / 2)
        return total / (2 * np.pi)

    def _from_zero(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike, power: int) -> Array:
        """Return int_0^p (p - t)^power M dt."""
        if self.smooth:
            return np.zeros(np.broadcast_shapes(np.shape(q1), np.shape(q2), np.shape(epsilon)))
        nodes, weights = _graded_nodes(len(self._kinks))
        q1, q2, epsilon = (
            np.asarray(a, dtype=np.float64)[..., None] for a in np.broadcast_arrays(q1, q2, epsilon)
        )
        # angles from c = 1 and from c = -1; the layers are at the end of the integral
        near, far = np.sqrt(epsilon), np.sqrt(2 - epsilon)
        from_one, from_minus_one = 2 * np.arctan2(near, far), 2 * np.arctan2(far, near)
        end = np.pi / 2 - from_one
        below = 2 * np.sin((from_one + end * nodes) / 2) ** 2
        above = 2 * np.sin((from_minus_one - end * nodes) / 2) ** 2
        density = self._density(q1, q2, below, above)
        factor = 1.0 if power == 0 else np.sqrt(q1 * q2) * (below - epsilon)
        return np.asarray(np.sum(weights * end * density * factor, axis=-1))

    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        p = (1 - np.asarray(epsilon)) * np.sqrt(np.asarray(q1) * np.asarray(q2))
        base = self.mean(q1) * self.mean(q2) + p * self._mean_slope(q1) * self._mean_slope(q2)
        return np.asarray(base + self._from_zero(q1, q2, epsilon, 1))

    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        base = self._mean_slope(q1) * self._mean_slope(q2)
        return np.asarray(base + self._from_zero(q1, q2, epsilon, 0))

    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        q1, q2, epsilon = (
            np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(q1, q2, epsilon)
        )
        if self.smooth:
            return np.zeros(q1.shape)
        q1, q2 = np.maximum(q1, _TINY), np.maximum(q2, _TINY)
        below, above = epsilon, 2 - epsilon
        density = self._density(q1, q2, below, above)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            value = density / np.sqrt(q1 * q2 * below * above)
        return np.asarray(np.where(density == 0, 0.0, value))

    def _to_one(self, q: Array, epsilon: Array, factor_of_distance: bool) -> Array:
        """Return q^2 int_c^1 g(s) M ds, g = 1 - s or s - c."""
        nodes, weights = _graded_nodes(len(self._kinks))
        q, epsilon = q[..., None], epsilon[..., None]
        top = 2 * np.arcsin(np.sqrt(epsilon / 2))
        rest = top * nodes
        distance = 2 * np.sin(rest / 2) ** 2
        density = self._density(q, q, distance, 2 * np.cos(rest / 2) ** 2)
        g = (
            distance
            if factor_of_distance
            else 2 * np.sin((top - rest) / 2) * np.sin((top + rest) / 2)
        )
        return np.asarray(np.sum(weights * top * q * density * g, axis=-1))

    def _integrated_deficit(self, q: Array, epsilon: Array) -> Array:
        straight = q * epsilon * self.slope_moment(q)
        return straight if self.smooth else straight - self._to_one(q, epsilon, False)

    def _integrated_remainder(self, q: Array, epsilon: Array) -> Array:
        return np.zeros(q.shape) if self.smooth else self._to_one(q, epsilon, True)
