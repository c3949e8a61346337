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
def _transform(n: int) -> Array:
    """Return the matrix from values at the nodes to coefficients.

    Its errors would add up at the ends of the interval: angles, which are multiples of pi/(2n),
    are reduced to the first octant as integers.
    """
    k = np.arange(n)[:, None]
    steps = (k * (2 * np.arange(n) + 1 + 2 * n)) % (4 * n)
    steps = np.minimum(steps, 4 * n - steps)
    sign = np.where(steps > n, -1.0, 1.0)
    steps = np.minimum(steps, 2 * n - steps)
    unit = np.pi / (2 * n)
    cosine = np.where(2 * steps > n, np.sin(unit * (n - steps)), np.cos(unit * steps))
    matrix = sign * cosine * 2 / n
    matrix[0] /= 2
    return np.asarray(matrix)


def coefficients(values: Array) -> Array:
    """Return the Chebyshev coefficients of values at the nodes, along the last axis."""
    return np.asarray(values @ _transform(values.shape[-1]).T)


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
