r"""Exact search for the lower cut-off xmin that minimises the Kolmogorov-Smirnov distance.

The data enter as sorted distinct values u_0 < ... < u_(m-1) with suffix counts
T_i = #{x >= u_i}.  For the candidate xmin = u_k the empirical survival is E_i = T_i/T_k and the
fitted one F_i = P(X >= u_i).  Conventions for the distance D_k = max_i (...):

* ``LEFT``      |F_i - E_i| only;
* ``CSN``       also |F_i - (T_(i+1) + 1)/T_k|: the empirical steps (0:n-1)/n of Clauset, Shalizi
  and Newman's code, ties kept;
* ``TWO_SIDED`` also |F_i - T_(i+1)/T_k|: the textbook supremum.

For integers ``CSN`` and ``TWO_SIDED`` both mean the maximum over all integers >= xmin, reached at
some u_i or just below some u_i.

Two rigorous bounds make the search exact and fast.  (a) F and E both decrease, so inside a block
of nodes (l, h) no deviation exceeds max(F_l - E_h, E_(l+1) - F_h).  (b) From candidate k to k + 1,
D falls by at most max(1 - E_(k+1), 1 - F_(k+1)) (both curves are rescaled by a number in [0, 1])
plus the largest change of F at fixed xmin when alpha changes.  With a = alpha - 1 and
L = E[ln(X/xmin)], |dF/dalpha| <= exp(-a L)/a: it is 1/(e a) for the Pareto law, and holds for the
zeta law because that is stochastically smaller than a Pareto law rounded down.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.zeta import hurwitz, hurwitz_value

LEFT, CSN, TWO_SIDED = 0, 1, 2

Floats = NDArray[np.float64]

_LEAF = 8  # nodes in a block that are looked at one by one
_GRID = 48  # candidates evaluated first, so that the sweep starts with a good incumbent
_SLACK = 1e-12  # rounding of the accumulated bound; far below any distance that matters


@compiled(nogil=True, error_model="numpy")
def suffix_statistics(log_values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return T_k (length m + 1) and S_k = sum_(i>=k) c_i ln(u_i/u_k), free of cancellation."""
    m = log_values.size
    tail = np.zeros(m + 1)
    log_sum = np.zeros(m)
    tail[m - 1] = counts[m - 1]
    for k in range(m - 2, -1, -1):
        tail[k] = tail[k + 1] + counts[k]
        log_sum[k] = log_sum[k + 1] + tail[k + 1] * (log_values[k + 1] - log_values[k])
    return tail, log_sum


@compiled(nogil=True, error_model="numpy")
def solve_alpha(q: float, mean_log: float, guess: float) -> float:
    """Solve E_alpha[ln(X/q)] = mean_log for the zeta law on q, q+1, ... (CSN eq. 3.5).

    Newton on ln E against ln(alpha - 1), nearly a straight line of slope -1, inside a bracket.
    The Pareto estimate 1/mean_log is an upper bound of alpha - 1.
    """
    lo, hi = 0.0, 1.0 / mean_log
    a = guess - 1.0
    if not 0.0 < a < hi:
        a = 1.0 / (mean_log - math.log1p(-0.5 / q))  # CSN eq. 3.7
    for _ in range(200):
        m0, m1, m2 = hurwitz(1.0 + a, q)
        mean = m1 / m0
        residual = math.log(mean / mean_log)
        if residual > 0.0:
            lo = a
        else:
            hi = a
        slope = a * (m2 / m0 - mean * mean) / mean
        new = a * math.exp(residual / slope)
        if abs(new - a) <= 4e-15 * a:
            return 1.0 + new
        if not lo < new < hi:
            new = math.sqrt(lo * hi) if lo > 0.0 else 0.5 * hi
            if new == a or new in (lo, hi):
                break
        a = new
    return 1.0 + a


@compiled(nogil=True, error_model="numpy")
def _node(
    i: int,
    values: Floats,
    log_values: Floats,
    tail: Floats,
    n: float,
    log_q: float,
    alpha: float,
    norm: float,
    convention: int,
) -> tuple[float, float]:
    """Return F_i and the largest deviation at node i; `norm` is M_0(alpha, q), 0 if continuous."""
    upper = tail[i] / n
    if norm > 0.0:
        mass = math.exp(-alpha * (log_values[i] - log_q)) / norm
        survival = mass * hurwitz_value(alpha, values[i])
        gap = abs(survival - upper)
        if convention != LEFT:
            gap = max(gap, abs(survival - mass - tail[i + 1] / n))
        return survival, gap
    survival = math.exp((1.0 - alpha) * (log_values[i] - log_q))
    gap = abs(survival - upper)
    if convention == CSN:
        gap = max(gap, abs(survival - (tail[i + 1] + 1.0) / n))
    elif convention == TWO_SIDED:
        gap = max(gap, abs(survival - tail[i + 1] / n))
    return survival, gap


@compiled(nogil=True, error_model="numpy")
def distance(
    start: int,
    hint: int,
    values: Floats,
    log_values: Floats,
    tail: Floats,
    log_q: float,
    alpha: float,
    norm: float,
    convention: int,
) -> tuple[float, int]:
    """Return the exact distance over nodes >= `start` and the node where it is reached."""
    n = tail[start]
    low, high = start, values.size - 1
    f_low, best = _node(low, values, log_values, tail, n, log_q, alpha, norm, convention)
    arg = low
    f_high, gap = _node(high, values, log_values, tail, n, log_q, alpha, norm, convention)
    if gap > best:
        best, arg = gap, high
    if start < hint < high:
        _, gap = _node(hint, values, log_values, tail, n, log_q, alpha, norm, convention)
        if gap > best:
            best, arg = gap, hint
    nodes = np.empty((72, 2), np.int64)
    survival = np.empty((72, 2))
    nodes[0, 0], nodes[0, 1], survival[0, 0], survival[0, 1] = low, high, f_low, f_high
    size = 1
    while size > 0:
        size -= 1
        low, high = nodes[size, 0], nodes[size, 1]
        f_low, f_high = survival[size, 0], survival[size, 1]
        if max(f_low - tail[high] / n, tail[low + 1] / n - f_high) <= best:
            continue
        if high - low <= _LEAF:
            for i in range(low + 1, high):
                _, gap = _node(i, values, log_values, tail, n, log_q, alpha, norm, convention)
                if gap > best:
                    best, arg = gap, i
            continue
        mid = (low + high) // 2
        f_mid, gap = _node(mid, values, log_values, tail, n, log_q, alpha, norm, convention)
        if gap > best:
            best, arg = gap, mid
        nodes[size, 0], nodes[size, 1], survival[size, 0], survival[size, 1] = (
            low,
            mid,
            f_low,
            f_mid,
        )
        size += 1
        nodes[size, 0], nodes[size, 1] = mid, high
        survival[size, 0], survival[size, 1] = f_mid, f_high
        size += 1
    return best, arg


@compiled(nogil=True, error_model="numpy")
def exponents(
    values: Floats, tail: Floats, log_sum: Floats, n_candidates: int, discrete: bool
) -> Floats:
    """Return the maximum-likelihood alpha of the first `n_candidates` cut-offs."""
    alpha = np.empty(n_candidates)
    guess = 0.0
    for k in range(n_candidates):
        if discrete:
            guess = solve_alpha(values[k], log_sum[k] / tail[k], guess)
            alpha[k] = guess
        else:
            alpha[k] = 1.0 + tail[k] / log_sum[k]  # CSN eq. 3.1
    return alpha


@compiled(nogil=True, error_model="numpy")
def _largest_fall(
    k: int,
    values: Floats,
    log_values: Floats,
    tail: Floats,
    log_sum: Floats,
    alpha: Floats,
    norm: float,
) -> float:
    """Return an upper bound of D_k - D_(k+1) (module docstring, b)."""
    a, b = alpha[k] - 1.0, alpha[k + 1] - 1.0
    step = log_values[k + 1] - log_values[k]
    if norm > 0.0:
        kept = math.exp(-alpha[k] * step) * hurwitz_value(alpha[k], values[k + 1]) / norm
    else:
        kept = math.exp(-a * step)
    change = abs(b - a)
    smallest = min(a, b)
    mean_log = log_sum[k + 1] / tail[k + 1]  # L at the new alpha
    if a > b:  # L at the old alpha is smaller; -dL/dalpha = Var <= E[ln^2] <= 2/a^2
        mean_log = max(0.0, mean_log - 2.0 * change / smallest**2)
    rescaled = max(1.0 - tail[k + 1] / tail[k], 1.0 - kept)
    fall: float = rescaled + change * math.exp(-smallest * mean_log) / smallest
    return fall


@compiled(nogil=True, error_model="numpy")
def search(
    values: Floats,
    log_values: Floats,
    tail: Floats,
    log_sum: Floats,
    min_tail: float,
    discrete: bool,
    convention: int,
) -> tuple[int, float, float]:
    """Return (k, D_k, alpha_k) of the best cut-off; k = -1 if no tail is large enough.

    A candidate needs T_k >= `min_tail` and two values whose logarithms differ.  Ties go to the
    smallest xmin.
    """
    n_candidates = 0
    while n_candidates < values.size - 1 and tail[n_candidates] >= min_tail:
        if log_sum[n_candidates] <= 0.0:
            break
        n_candidates += 1
    if n_candidates == 0:
        return -1, math.nan, math.nan
    alpha = exponents(values, tail, log_sum, n_candidates, discrete)
    best, arg_best, hint = math.inf, n_candidates, 0
    norm = 0.0
    ratio = (tail[n_candidates - 1] / tail[0]) ** (1.0 / _GRID)
    target, k = tail[0], 0
    while k < n_candidates:
        if discrete:
            norm = hurwitz_value(alpha[k], values[k])
        d, _ = distance(k, 0, values, log_values, tail, log_values[k], alpha[k], norm, convention)
        if d < best:
            best, arg_best = d, k
        target *= ratio
        k += 1
        while k < n_candidates and tail[k] > target:
            k += 1
    lower = -math.inf
    for k in range(n_candidates):
        if k > 0:
            lower -= _largest_fall(k - 1, values, log_values, tail, log_sum, alpha, norm)
        if discrete:
            norm = hurwitz_value(alpha[k], values[k])
        if lower > best + _SLACK:
            continue
        if hint > k:
            _, gap = _node(
                hint, values, log_values, tail, tail[k], log_values[k], alpha[k], norm, convention
            )
            lower = max(lower, gap)
            if lower > best + _SLACK:
                continue
        lower, hint = distance(
            k, hint, values, log_values, tail, log_values[k], alpha[k], norm, convention
        )
        if lower < best or (lower == best and k < arg_best):
            best, arg_best = lower, k
    return arg_best, best, alpha[arg_best]


@compiled(nogil=True, error_model="numpy")
def fixed(
    values: Floats,
    log_values: Floats,
    counts: Floats,
    xmin: float,
    discrete: bool,
    convention: int,
) -> tuple[int, float, float]:
    """Return (first node >= xmin, D, alpha) at a given xmin; node -1 if the tail has no spread."""
    start = int(np.searchsorted(values, xmin))
    log_q = math.log(xmin)
    if start >= values.size:
        return -1, math.nan, math.nan
    tail, log_sum = suffix_statistics(log_values[start:], counts[start:])
    mean_log = log_sum[0] / tail[0] + (log_values[start] - log_q)
    if mean_log <= 0.0:
        return -1, math.nan, math.nan
    alpha = solve_alpha(xmin, mean_log, 0.0) if discrete else 1.0 + 1.0 / mean_log
    norm = hurwitz_value(alpha, xmin) if discrete else 0.0
    d, _ = distance(0, 0, values[start:], log_values[start:], tail, log_q, alpha, norm, convention)
    return start, d, alpha
