r"""Compiled kernels of the doubly truncated power law: p(x) ~ x^-alpha on [xmin, xmax], any alpha.

For real numbers put y = ln(x/xmin), L = ln(xmax/xmin), t = y/L and z = (1 - alpha) L: t has the
density exp(z t) on [0, 1] up to its norm expm1(z)/z, so that alpha = 1 is z = 0, an ordinary
point, and t -> 1 - t is z -> -z.  For integers the sums are those of ``spinnet.tails.zeta``.
The likelihood depends on the data through the mean of y alone (Deluca and Corral, Acta Geophys.
61, 1351 (2013), eq. 13; Hanel et al., PLoS ONE 12, e0170920 (2017)), and is concave in alpha.

Everywhere p(x) = (x/xmin)^-alpha exp(-log_norm): a density, or a probability mass.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.zeta import _exponential_moments, truncated_log_sum, truncated_moments

Floats = NDArray[np.float64]

_MAX_STEPS = 300


@compiled(nogil=True, error_model="numpy")
def _log_ratio(x: float, xmin: float) -> float:
    """Return ln(x/xmin), also where the quotient overflows."""
    quotient = x / xmin
    return math.log(x) - math.log(xmin) if math.isinf(quotient) else math.log(quotient)


@compiled(nogil=True, error_model="numpy")
def tilted_moments(z: float) -> tuple[float, float, float]:
    """Return ln int_0^1 exp(z t) dt, and the mean and variance of t under that density."""
    r = abs(z)
    if r < 2.0:
        g0, g1, g2 = _exponential_moments(-r)
        log_norm, mean = math.log(g0), g1 / g0
        variance = g2 / g0 - mean * mean
    else:
        log_norm = math.log(-math.expm1(-r) / r)
        decay = math.exp(-r)
        rest = decay / (1.0 - decay)
        mean = 1.0 / r - rest
        variance = 1.0 / (r * r) - rest / (1.0 - decay)
    if z > 0.0:
        return log_norm + z, 1.0 - mean, variance
    return log_norm, mean, variance


@compiled(nogil=True, error_model="numpy")
def law_moments(
    alpha: float, xmin: float, xmax: float, discrete: bool
) -> tuple[float, float, float]:
    """Return log_norm, and the mean and variance of ln(x/xmin)."""
    if discrete:
        log_sum, mean, variance = truncated_moments(alpha, xmin, xmax)
        return log_sum, mean, variance
    length = _log_ratio(xmax, xmin)
    log_norm, mean, variance = tilted_moments((1.0 - alpha) * length)
    return log_norm + math.log(xmin) + math.log(length), length * mean, length**2 * variance


@compiled(nogil=True, error_model="numpy")
def _solve_tilt(mean: float) -> float:
    """Return z at which t has the given `mean`, strictly between 0 and 1.

    Newton on 1/E[t], nearly a straight line in r = -z >= 0, inside the bracket (0, 1/mean).
    """
    m = min(mean, 1.0 - mean)
    low, high = 0.0, 1.0 / m
    r = 12.0 * (0.5 - m) if m > 0.25 else high
    for _ in range(_MAX_STEPS):
        _, value, variance = tilted_moments(-r)
        if value > m:
            low = r
        else:
            high = r
        new = r + value * (value / m - 1.0) / variance
        if abs(new - r) <= 1e-15 * (1.0 + r):
            r = new
            break
        if not low < new < high:
            new = 0.5 * (low + high)
            if new in (low, high):
                break
        r = new
    return -r if mean < 0.5 else r


@compiled(nogil=True, error_model="numpy")
def solve_exponent(mean_log: float, xmin: float, xmax: float, discrete: bool) -> float:
    """Solve E_alpha[ln(x/xmin)] = `mean_log` on [xmin, xmax]; NaN unless 0 < mean_log < L.

    Integers: Newton on the logit of E/L, from the law of real numbers on half-integer bounds.
    """
    length = math.log1p((xmax - xmin) / xmin) if discrete else _log_ratio(xmax, xmin)
    if not 0.0 < mean_log < length:
        return math.nan
    if not discrete:
        exponent: float = 1.0 - _solve_tilt(mean_log / length) / length
        return exponent
    wide = math.log((xmax + 0.5) / (xmin - 0.5))
    s: float = 1.0 - _solve_tilt((mean_log + math.log(xmin / (xmin - 0.5))) / wide) / wide
    target = math.log(mean_log / (length - mean_log))
    low, high = -math.inf, math.inf
    for _ in range(_MAX_STEPS):
        _, mean, variance = truncated_moments(s, xmin, xmax)
        step = math.inf
        if 0.0 < mean < length and variance > 0.0:
            slope = variance * length / (mean * (length - mean))
            step = (math.log(mean / (length - mean)) - target) / slope
        if mean > mean_log:
            low = s
        else:
            high = s
        reach = 2.0 * (1.0 + abs(s))
        if abs(step) > reach:
            step = reach if mean > mean_log else -reach
        new = s + step
        if abs(step) <= 1e-13 * (1.0 + abs(s)):  # quadratic: the error left is rounding
            return new
        if not low < new < high:
            new = 0.5 * (low + high)
            if new in (low, high):
                return new
        s = new
    return s


@compiled(nogil=True, error_model="numpy")
def survival(
    x: float, alpha: float, xmin: float, xmax: float, log_norm: float, discrete: bool
) -> float:
    """Return P(X >= x) for xmin <= x <= xmax (x an integer if `discrete`)."""
    if discrete:
        log_sum = truncated_log_sum(alpha, x, xmax)
        result: float = math.exp(log_sum - alpha * math.log1p((x - xmin) / xmin) - log_norm)
        return result
    length = _log_ratio(xmax, xmin)
    z = (1.0 - alpha) * length
    t = _log_ratio(x, xmin) / length
    share: float = 1.0 - t
    if z > 1e-12:
        share = math.expm1(-z * share) / math.expm1(-z)
    elif z < -1e-12:
        share = math.exp(z * t) * math.expm1(z * share) / math.expm1(z)
    return share


@compiled(nogil=True, error_model="numpy")
def real_position(below: float, above: float, a: float, length: float) -> float:
    """Return y where P(X >= x) = above = 1 - below, for reals on a window of this length in y."""
    c = abs(a)
    t = c * length
    if a < 0.0:  # mirrored: the distance from the upper end
        below, above = above, below
    if t < 1e-300:
        z = below * length
    elif t < 1.0:
        z = -math.log1p(below * math.expm1(-t)) / c
    else:  # no cancellation: both terms are positive
        z = -math.log(above + below * math.exp(-t)) / c
    z = min(max(z, 0.0), length)
    return length - z if a < 0.0 else z


@compiled(nogil=True, error_model="numpy")
def quantiles(u: Floats, alpha: float, xmin: float, xmax: float) -> Floats:
    """Return x with P(X <= x) = u for each `u` in (0, 1), real numbers."""
    length = _log_ratio(xmax, xmin)
    x = np.empty(u.size)
    for i in range(u.size):
        y = real_position(u[i], 1.0 - u[i], alpha - 1.0, length)
        # beyond e^709 only the logarithm of x is safe
        point = xmin * math.exp(y) if y < 700.0 else math.exp(math.log(xmin) + y)
        x[i] = min(max(point, xmin), xmax)
    return x
