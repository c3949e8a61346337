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

LEFT, CSN = 0, 1  # as in ks_search; 2 is two-sided

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
def distance(
    values: Floats,
    counts: Floats,
    alpha: float,
    xmin: float,
    xmax: float,
    log_norm: float,
    discrete: bool,
    convention: int,
) -> float:
    """Return the Kolmogorov-Smirnov distance of sorted distinct `values` within [xmin, xmax]."""
    n = counts.sum()
    above = n
    best = 0.0
    fitted = 1.0
    last = -1.0
    for i in range(values.size):
        x = values[i]
        if not (discrete and x == last + 1.0):  # else carried over from the value before
            fitted = survival(x, alpha, xmin, xmax, log_norm, discrete)
        best = max(best, abs(fitted - above / n))
        above -= counts[i]
        if discrete:
            fitted -= math.exp(-alpha * math.log1p((x - xmin) / xmin) - log_norm)
            last = x
        if convention == CSN and not discrete:
            best = max(best, abs(fitted - (above + 1.0) / n))
        elif convention != LEFT:
            best = max(best, abs(fitted - above / n))
    return best


@compiled(nogil=True, error_model="numpy")
def fit_bounded(
    values: Floats,
    counts: Floats,
    xmin: float,
    xmax: float,
    discrete: bool,
    convention: int,
) -> tuple[float, float, float]:
    """Return (alpha, log_norm, distance) of sorted distinct `values` within [xmin, xmax].

    NaN where all values lie on one bound.
    """
    total = 0.0
    for i in range(values.size):
        total += counts[i] * _log_ratio(values[i], xmin)
    alpha = solve_exponent(total / counts.sum(), xmin, xmax, discrete)
    if math.isnan(alpha):
        return math.nan, math.nan, math.nan
    log_norm, _, _ = law_moments(alpha, xmin, xmax, discrete)
    d = distance(values, counts, alpha, xmin, xmax, log_norm, discrete, convention)
    return alpha, log_norm, d


@compiled(nogil=True, error_model="numpy")
def quantiles(u: Floats, alpha: float, xmin: float, xmax: float) -> Floats:
    """Return x with P(X <= x) = u for each `u` in (0, 1), real numbers."""
    length = _log_ratio(xmax, xmin)
    z = (1.0 - alpha) * length
    x = np.empty(u.size)
    for i in range(u.size):
        if abs(z) < 1e-12:
            t = u[i]
        elif z > 0.0:
            t = 1.0 + math.log1p((1.0 - u[i]) * math.expm1(-z)) / z
        else:
            t = math.log1p(u[i] * math.expm1(z)) / z
        x[i] = min(max(xmin * math.exp(t * length), xmin), xmax)
    return x


@compiled(nogil=True, error_model="numpy")
def survivals(
    x: Floats, alpha: float, xmin: float, xmax: float, log_norm: float, discrete: bool
) -> Floats:
    """Return `survival` for each entry of a one-dimensional `x`."""
    result = np.empty(x.size)
    for i in range(x.size):
        result[i] = survival(x[i], alpha, xmin, xmax, log_norm, discrete)
    return result
