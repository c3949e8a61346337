"""Quantiles of the standard stable law by safeguarded Newton steps in a stretched variable.

The equation is ln F(w) = ln p for the smaller of cdf and sf.  In w = asinh(x) (or the sign and
logarithm of y = x - zeta for alpha < 0.9) heavy tails are straight lines and light ones concave,
so that Newton's steps converge from anywhere inside a bracket; the functions are the direct or
tabulated ones, whose relative accuracy carries over.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.stable.standard import StandardStable

Floats = NDArray[np.float64]
_FARTHEST = 709.0
_STEPS = 200
_SMALL = 1e-9  # Newton's steps of this size converge quadratically


def standard_quantile(law: StandardStable, p: Floats, upper: bool) -> tuple[Floats, Floats]:
    """Return (x, y) of S0(stable_alpha, beta, 1, 0) with cdf(x) = p, or sf(x) = p if `upper`."""
    x, y = np.empty(p.size), np.empty(p.size)
    low_end, high_end = _support(law)
    bottom, top = (p == 1.0, p == 0.0) if upper else (p == 0.0, p == 1.0)
    y[bottom], y[top] = low_end, high_end
    inside = ~(bottom | top)
    x = y + law.zeta
    if inside.any():
        x[inside], y[inside] = _solve(law, p[inside], upper)
    return x, y


def _support(law: StandardStable) -> tuple[float, float]:
    """Return the ends of the support in y."""
    one_sided = law.stable_alpha < 1.0 and abs(law.beta) == 1.0
    low = 0.0 if one_sided and law.beta > 0 else -math.inf
    high = 0.0 if one_sided and law.beta < 0 else math.inf
    return low, high


def _point(law: StandardStable, w: Floats, side: Floats) -> tuple[Floats, Floats, Floats]:
    """Return x, y and |dx/dw| at the stretched variable; `side` is 0 (asinh x) or the sign of y."""
    if law.stable_alpha >= 0.9:
        x = np.sinh(w)
        return x, x - law.zeta, np.cosh(w)
    y = side * np.exp(side * w)
    return y + law.zeta, y, np.abs(y)


def _solve(law: StandardStable, p: Floats, upper: bool) -> tuple[Floats, Floats]:
    """Newton's method with bisection where it leaves the bracket, all points together."""
    flip = p > 0.5
    small = np.where(flip, 1.0 - p, p)
    lower = flip if upper else ~flip  # solve for the cdf there, for the sf elsewhere
    target = np.log(small)
    centre = law.direct(np.array([law.zeta]), np.zeros(1))
    above = target < centre[2, 0]
    side = np.where(np.where(lower, target > centre[1, 0], above), 1.0, -1.0)
    # ln y runs upwards for y > 0, and ln(-y) downwards: w = side ln |y| is increasing in x
    low, high = np.full(p.size, -_FARTHEST), np.full(p.size, _FARTHEST)
    w = np.zeros(p.size)
    last = np.full(p.size, np.inf)  # sizes of the steps before
    active = np.ones(p.size, dtype=bool)
    for _ in range(_STEPS):
        k = np.flatnonzero(active)
        if not k.size:
            break
        xk, yk, stretch = _point(law, w[k], side[k])
        gap, slope = _gap(law, xk, yk, target[k], lower[k])
        low[k] = np.where(gap < 0, w[k], low[k])
        high[k] = np.where(gap < 0, high[k], w[k])
        with np.errstate(all="ignore"):
            step = w[k] - gap / (slope * stretch)
        size = np.abs(step - w[k])
        # between a light bulk and a heavy tail Newton's steps may circle: they must shrink
        newton = (step >= low[k]) & (step <= high[k]) & (size < np.maximum(0.5 * last[k], _SMALL))
        following = np.where(newton, step, 0.5 * (low[k] + high[k]))
        # a small step that does not halve the one before is rounding
        rounding = (last[k] < _SMALL) & (size >= 0.5 * last[k])
        following = np.where((gap == 0.0) | rounding, w[k], following)
        change = np.abs(following - w[k])
        settled = change <= 2e-16 * np.maximum(1.0, np.abs(w[k]))
        w[k], last[k] = following, change
        active[k] = ~settled
    x, y, _ = _point(law, w, side)
    far = (np.abs(w) > _FARTHEST - 1e-6) & (np.abs(y) > 1e300)
    infinite = np.copysign(np.inf, w)
    return np.where(far, infinite, x), np.where(far, infinite, y)


def _gap(
    law: StandardStable, x: Floats, y: Floats, target: Floats, lower: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return ln F - target, made increasing in x, and its derivative in x."""
    with np.errstate(all="ignore"):
        log_pdf, log_cdf, log_sf = law.logarithms(x, y)
        log_f = np.where(lower, log_cdf, log_sf)
        gap = np.where(lower, log_f - target, target - log_f)
        return gap, np.exp(log_pdf - log_f)
