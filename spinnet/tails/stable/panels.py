"""Piecewise Chebyshev tables of log pdf, log cdf and log sf, built and checked adaptively.

A `Domain` is an interval of a stretched coordinate v on which the three functions are smooth:
x = sinh(v) for alpha >= 0.9, and y = x - zeta = +-e^v on each side of zeta below (where the
density has every derivative at zeta, but no Taylor series).  Beyond 1e15 scales the
series are as good.  An interval is halved until the last coefficients of all three
functions are below 2e-14 (plus the rounding of the values), the accuracy of the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled

Floats = NDArray[np.float64]
DEGREE = 16
_TOLERANCE = 2e-14
_ROUNDING = 1e-15  # of each logarithm, of the coordinate, and of the routes, per unit of size
_NARROWEST = 0.02
_N = np.arange(DEGREE + 1)
_COSINES = np.cos(np.pi * (_N + 0.5) / (DEGREE + 1))
# values at the Chebyshev points to coefficients
_TRANSFORM = np.cos(np.pi * np.outer(_N, _N + 0.5) / (DEGREE + 1)) * 2.0 / (DEGREE + 1)
_TRANSFORM[0] *= 0.5


class Table(NamedTuple):
    """Edges (n + 1) in v, and coefficients (3, n, 17) of log pdf, log cdf, log sf."""

    edges: Floats
    coefficients: Floats


def build(evaluate: Callable[[Floats], Floats], low: float, high: float) -> Table:
    """Return the table of `evaluate` (v -> array (3, n) of logarithms) on [low, high].

    All intervals of one generation are evaluated in one call.
    """
    todo = np.linspace(low, high, max(2, math.ceil((high - low) / 10.0)) + 1)
    lows, highs = todo[:-1], todo[1:]
    done: list[tuple[Floats, Floats, Floats]] = []
    while lows.size:
        centre, half = 0.5 * (lows + highs), 0.5 * (highs - lows)
        nodes = centre[:, None] + half[:, None] * _COSINES
        values = evaluate(nodes.ravel()).reshape(3, lows.size, DEGREE + 1)
        coefficients = values @ _TRANSFORM.T
        size = np.abs(values).max(axis=2)
        error = np.abs(coefficients[:, :, -2:]).sum(axis=2)
        good = (error <= _TOLERANCE + _ROUNDING * size).all(axis=0) | (half < 0.5 * _NARROWEST)
        done.append((lows[good], highs[good], coefficients[:, good]))
        lows, middle, highs = lows[~good], centre[~good], highs[~good]
        lows, highs = np.concatenate([lows, middle]), np.concatenate([middle, highs])
    starts = np.concatenate([part[0] for part in done])
    order = np.argsort(starts)
    edges = np.append(starts[order], high)
    stacked = np.concatenate([part[2] for part in done], axis=1)[:, order]
    return Table(edges, np.ascontiguousarray(stacked))


@compiled(nogil=True, error_model="numpy")
def _find(v: float, edges: Floats) -> int:
    low, high = 0, edges.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if v < edges[middle]:
            high = middle
        else:
            low = middle
    return low


@compiled(nogil=True, error_model="numpy")
def interpolate(v: float, edges: Floats, coefficients: Floats) -> float:
    """Return one function of a table at `v` inside its edges (Clenshaw)."""
    i = _find(v, edges)
    t = (2.0 * v - edges[i] - edges[i + 1]) / (edges[i + 1] - edges[i])
    b1 = b2 = 0.0
    for j in range(DEGREE, 1, -1):
        b1, b2 = 2.0 * t * b1 - b2 + coefficients[i, j], b1
    # the two large terms stay out of the recursion, which would amplify their rounding
    rest = t * (2.0 * t * b1 - b2) - b1
    return float(rest + coefficients[i, 1] * t + coefficients[i, 0])


@compiled(nogil=True, error_model="numpy")
def interpolate_slope(v: float, edges: Floats, coefficients: Floats) -> tuple[float, float]:
    """Return one function of a table and its derivative in v."""
    i = _find(v, edges)
    width = edges[i + 1] - edges[i]
    t = (2.0 * v - edges[i] - edges[i + 1]) / width
    b1 = b2 = d1 = d2 = 0.0
    for j in range(DEGREE, 0, -1):
        d1, d2 = 2.0 * t * d1 - d2 + 2.0 * b1, d1
        b1, b2 = 2.0 * t * b1 - b2 + coefficients[i, j], b1
    value = t * b1 - b2 + coefficients[i, 0]
    # derivative of t b1 - b2: the recursion for d1 runs one step behind b1
    return value, (b1 + t * d1 - d2) * 2.0 / width


@compiled(nogil=True, error_model="numpy")
def coordinate(x: float, y: float, kind: int) -> float:
    """Return v: asinh(x) for `kind` 0, ln y for 1 (y > 0), ln(-y) for 2 (y < 0)."""
    if kind == 0:
        size = abs(x)
        v = math.log1p(size + size * size / (1.0 + math.sqrt(1.0 + size * size)))
        if size > 1e150:
            v = math.log(size) + math.log(2.0)
        return v if x >= 0.0 else -v
    return math.log(y) if kind == 1 else math.log(-y)
