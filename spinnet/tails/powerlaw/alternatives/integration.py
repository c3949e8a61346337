r"""Norms of densities over real numbers, integers and half-integer cells, by function values alone.

All laws here have the form f(x), x = origin e^y, with ln f(x) + y concave in y.  The range where
f(x) e^y exceeds exp(-50) of its peak is found first; beyond it nothing counts in double precision.

* Integrals: Gauss-Legendre in y on panels.
* Sums over integers >= q: terms one by one while ln f changes by more than a tenth from one
  integer to the next; from there on, with z = w - 1/2,

  .. math:: \sum_{x \ge w} F(x) = \int_z^\infty F \, dx + \Big(\frac{1}{D}
            - \frac{1}{2 \sinh(D/2)}\Big) F(z), \qquad D = d/dx,

  (Euler-Maclaurin at midpoints), the odd derivatives taken from F at z +- 1/2, 1, ... 3.  The
  first one left out is below 1e-15 of F.  No cost grows with the range of the law or of the data.
* Cells [x - 1/2, x + 1/2]: Gauss-Legendre.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bernoulli, roots_legendre

Floats = NDArray[np.float64]
# Rows of F exp(log_measure) at y = ln(x/origin), shape (rows, points): together they do not
# overflow where f is small and e^y large
Rows = Callable[[Floats, float | Floats], Floats]

_DEPTH = 50.0  # exp(-50) of the peak is outside double precision
_PANEL = 2.5  # longest panel in growth * y: exp(e^(growth y)) is smooth over it
_NODES = 24
_CELL_NODES = 16
_STEEP = 0.1
_SMALLEST = 40.0  # integers below are always added one by one: ln x is not smooth near 0
_DIRECT = 1024.0  # a support of fewer integers is added directly
_STENCIL = 6


@cache
def _legendre(n: int) -> tuple[Floats, Floats]:
    nodes, weights = roots_legendre(n)
    return nodes, weights


@cache
def _endpoint_weights() -> Floats:
    """Return w_j with sum_j w_j (F(z + j/2) - F(z - j/2)) = (1/D - 1/(2 sinh(D/2))) F(z)."""
    order = np.arange(1, _STENCIL + 1)
    odd = 2 * order - 1
    factorial = np.array([math.factorial(k) for k in odd], dtype=np.float64)
    system = 2.0 * (0.5 * order[None, :]) ** odd[:, None] / factorial[:, None]
    even = bernoulli(2 * _STENCIL)[2 * order]
    at_half = (2.0 ** (1 - 2.0 * order) - 1.0) * even  # B_2n(1/2)
    return np.asarray(np.linalg.solve(system, -at_half / (factorial * 2.0 * order)))


def support(
    log_f: Callable[[float], float], slope: Callable[[float], float]
) -> tuple[float, float, float]:
    """Return (low, high, largest ln f + y): the range of y >= 0 that counts in double precision.

    `log_f` is ln f + y, concave, and `slope` its derivative.
    """
    peak = 0.0
    if slope(0.0) > 0.0:
        step = 1.0
        while slope(step) > 0.0:
            step *= 2.0
        while slope(step) < -1.0 and step > 1e-12 and slope(0.5 * step) <= 0.0:
            step *= 0.5
        left, right = 0.0, step
        for _ in range(60):
            peak = 0.5 * (left + right)
            if slope(peak) > 0.0:
                left = peak
            else:
                right = peak
    top = log_f(peak)
    high = peak + _reach(lambda d: log_f(peak + d) - top, math.inf)
    low = peak - _reach(lambda d: log_f(peak - d) - top, peak) if peak > 0.0 else 0.0
    return max(low, 0.0), high, top


def _reach(drop: Callable[[float], float], limit: float) -> float:
    """Return a distance at which the concave `drop` is below -50, by at most a few, or `limit`."""
    if limit < math.inf and drop(limit) > -_DEPTH:
        return limit
    far = min(1.0, limit)
    while drop(far) > -_DEPTH:
        far *= 2.0
    near = 0.0
    for _ in range(200):
        if drop(far) > -1.1 * _DEPTH:
            break
        middle = 0.5 * (near + far)
        if drop(middle) > -_DEPTH:
            near = middle
        else:
            far = middle
    return far


def integral(rows: Rows, low: float, high: float, growth: float) -> Floats:
    """Return the integral of each row over x = origin e^y, `low` < y < `high`, over `origin`.

    ln f is a polynomial in y and e^(growth y).
    """
    n_panels = max(3, math.ceil(max(1.0, growth) * (high - low) / _PANEL))
    edges = np.linspace(low, high, n_panels + 1)
    nodes, weights = _legendre(_NODES)
    half = 0.5 * np.diff(edges)
    y = (edges[:-1, None] + half[:, None] * (nodes + 1.0)).ravel()
    return np.asarray(rows(y, y) @ (half[:, None] * weights).ravel())


def lattice_sum(
    rows: Rows, slope: Callable[[float], float], q: float, low: float, high: float, growth: float
) -> Floats:
    """Return the sum of each row over the integers x >= q, over q; y = ln(x/q)."""
    first = q + math.floor(q * math.expm1(low))
    last = q + q * math.expm1(min(high, 700.0))
    switch = max(first, _SMALLEST)
    while switch < last and _steepness(slope, q, switch, high) > _STEEP:
        switch = math.ceil(1.3 * switch)
    if last - first < _DIRECT or switch >= last:
        switch = math.ceil(last) + 1.0
    head = np.arange(switch - first) + (first - q)
    total = rows(np.log1p(head / q), 0.0).sum(axis=1) if head.size else 0.0
    if switch > last:
        return np.asarray(total / q)
    z = switch - q - 0.5
    tail = integral(rows, math.log1p(z / q), high, growth)
    weights = _endpoint_weights()
    shift = 0.5 * np.arange(1, _STENCIL + 1)
    ahead = rows(np.log1p((z + shift) / q), 0.0)
    behind = rows(np.log1p((z - shift) / q), 0.0)
    return np.asarray((total + (ahead - behind) @ weights) / q + tail)


def _steepness(slope: Callable[[float], float], q: float, x: float, high: float) -> float:
    """Return the largest |d ln f/dx| from `x` on, from a few places."""
    start = math.log1p((x - q) / q)
    places = [start + share * (high - start) for share in (0.0, 0.1, 0.3, 0.6, 1.0)]
    return max(abs(slope(y) - 1.0) * math.exp(-y) / q for y in places)


def cell_nodes(values: Floats, origin: float) -> tuple[Floats, Floats]:
    """Return y, shape (values, nodes), and weights of the cells [x - 1/2, x + 1/2]."""
    nodes, weights = _legendre(_CELL_NODES)
    x = values[:, None] + 0.5 * nodes
    return np.log1p((x - origin) / origin), 0.5 * weights
