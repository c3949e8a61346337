"""Chebyshev interpolation on [0, 1], at the roots of T_n."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@cache
def nodes(n: int) -> Array:
    """Return the n roots of T_n(2t - 1), increasing."""
    return np.asarray(np.square(np.sin(np.pi * (2 * np.arange(n) + 1) / (4 * n))))


@cache
def _transform(n: int) -> NDArray[np.longdouble]:
    """Return the matrix from values at the nodes to coefficients."""
    k = np.arange(n)[:, None]
    # angles are multiples of pi/(2n), reduced as integers: the cosine of a large x loses digits
    steps = (k * (2 * np.arange(n) + 1 + 2 * n)) % (4 * n)
    pi = 4 * np.arctan(np.longdouble(1))
    matrix = np.cos(pi / (2 * n) * np.where(steps > 2 * n, 4 * n - steps, steps)) * 2 / n
    matrix[0] /= 2
    return np.asarray(matrix)


def coefficients(values: Array) -> Array:
    """Return the Chebyshev coefficients of values at the nodes, along the last axis.

    In extended precision, where there is one: rounding errors of the size of the function in
    every coefficient would all add up at the ends of the interval.
    """
    matrix = _transform(values.shape[-1])
    return np.asarray(values.astype(np.longdouble) @ matrix.T, dtype=np.float64)


def basis(t: Array, n: int) -> Array:
    """Return T_0 ... T_{n-1} at 2t - 1, along a new first axis."""
    result = np.empty((n, *t.shape))
    y = 2 * t - 1
    result[0] = 1
    if n > 1:
        result[1] = y
    y = 2 * y
    for k in range(2, n):
        np.multiply(y, result[k - 1], out=result[k])
        result[k] -= result[k - 2]
    return result


def interpolation(t: Array, n: int) -> Array:
    """Return the Lagrange polynomials of the n nodes at `t`, along a new last axis.

    By the barycentric formula, whose terms keep their relative accuracy.
    """
    weights = np.sin(np.pi * (2 * np.arange(n) + 1) / (2 * n))
    weights[1::2] *= -1
    gap = t[..., None] - nodes(n)
    hit = gap == 0
    terms = weights / np.where(hit, 1.0, gap)
    terms /= terms.sum(axis=-1, keepdims=True)
    at_node = hit.any(axis=-1, keepdims=True)
    return np.where(at_node, hit.astype(np.float64), terms)


def derivative(coefficients: Array) -> Array:
    """Return the coefficients of d/dt, along the last axis."""
    n = coefficients.shape[-1]
    result = np.zeros_like(coefficients)
    for k in range(n - 1, 0, -1):
        above = result[..., k + 1] if k + 1 < n else 0.0
        result[..., k - 1] = above + 2 * k * coefficients[..., k]
    result[..., 0] /= 2
    return 2 * result


def clenshaw(coefficients: Array, t: Array) -> Array:
    """Return the sum over the first axis of coefficients * T_k(2t - 1).

    `coefficients` has shape (n, m, n_points), `t` (n_points,); one polynomial for each point.
    """
    y = 2 * t - 1
    twice = 2 * y
    b1 = np.zeros(coefficients.shape[1:])
    b2 = np.zeros_like(b1)
    for k in range(len(coefficients) - 1, 0, -1):
        # b2 becomes the new b1
        np.subtract(coefficients[k], b2, out=b2)
        b2 += twice * b1
        b1, b2 = b2, b1
    return np.asarray(coefficients[0] + y * b1 - b2)


def significant(coefficients: Array, floor: float) -> int:
    """Return how many coefficients along the last axis are needed to reach `floor`."""
    large = np.abs(coefficients).reshape(-1, coefficients.shape[-1]).max(axis=0) > floor
    return int(np.flatnonzero(large)[-1]) + 1 if large.any() else 1
