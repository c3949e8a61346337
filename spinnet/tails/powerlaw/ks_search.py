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

With an upper cut-off `top` (``laws``), bound (b) is not used: every candidate has its exponent
solved for, and is left only when the deviation at one node already exceeds the smallest distance
found.  That is exact whatever the law, and costs a few evaluations of it per candidate.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.powerlaw.laws import exponent, log_normaliser, log_variance, survival
from spinnet.tails.zeta import hurwitz_value

LEFT, CSN, TWO_SIDED = 0, 1, 2

Floats = NDArray[np.float64]

_LEAF = 2  # nodes in a block that are looked at one by one
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
def _node(
    x: float,
    y: float,
    above: float,
    beyond: float,
    q: float,
    alpha: float,
    log_norm: float,
    discrete: bool,
    top: float,
    convention: int,
) -> tuple[float, float]:
    """Return F and the largest deviation at the node x = u_i.

    y = ln(x/q), above = T_i/T_k; beyond is T_(i+1)/T_k, or (T_(i+1) + 1)/T_k for reals by
    ``CSN``.  Numbers only: passing arrays costs as much as the exponential.
    """
    fitted = survival(x, y, q, alpha, log_norm, discrete, top)
    gap = abs(fitted - above)
    if convention != LEFT:
        mass = math.exp(-alpha * y - log_norm) if discrete else 0.0
        gap = max(gap, abs(fitted - mass - beyond))
    return fitted, gap


@compiled(nogil=True, error_model="numpy")
def distance(
    start: int,
    hint: int,
    limit: float,
    values: Floats,
    log_values: Floats,
    tail: Floats,
    q: float,
    log_q: float,
    alpha: float,
    log_norm: float,
    discrete: bool,
    top: float,
    convention: int,
) -> tuple[float, int]:
    """Return the exact distance over nodes >= `start` and the node where it is reached.

    Above `limit` the search stops: what is returned is then a lower bound.
    """
    n = tail[start]
    low, high = start, values.size - 1
    law = (q, alpha, log_norm, discrete, top, convention)
    extra = 1.0 if convention == CSN and not discrete else 0.0

    def look(i: int) -> tuple[float, float]:
        y = log_values[i] - log_q
        found: tuple[float, float] = _node(
            values[i], y, tail[i] / n, (tail[i + 1] + extra) / n, *law
        )
        return found

    f_low, best = look(low)
    arg = low
    f_high, gap = look(high)
    if gap > best:
        best, arg = gap, high
    if start < hint < high:
        _, gap = look(hint)
        if gap > best:
            best, arg = gap, hint
    nodes = np.empty((72, 2), np.int64)
    ends = np.empty((72, 2))
    nodes[0, 0], nodes[0, 1], ends[0, 0], ends[0, 1] = low, high, f_low, f_high
    size = 1
    while size > 0 and best <= limit:
        size -= 1
        low, high = nodes[size, 0], nodes[size, 1]
        f_low, f_high = ends[size, 0], ends[size, 1]
        if max(f_low - tail[high] / n, tail[low + 1] / n - f_high) <= best:
            continue
        if high - low <= _LEAF:
            for i in range(low + 1, high):
                _, gap = look(i)
                if gap > best:
                    best, arg = gap, i
            continue
        mid = (low + high) // 2
        f_mid, gap = look(mid)
        if gap > best:
            best, arg = gap, mid
        nodes[size, 0], nodes[size, 1], ends[size, 0], ends[size, 1] = low, mid, f_low, f_mid
        size += 1
        nodes[size, 0], nodes[size, 1], ends[size, 0], ends[size, 1] = mid, high, f_mid, f_high
        size += 1
    return best, arg


@compiled(nogil=True, error_model="numpy")
def n_candidates(values: Floats, tail: Floats, log_sum: Floats, min_tail: float) -> int:
    """Return how many cut-offs have T_k >= `min_tail` and two values of different logarithms."""
    count = 0
    while count < values.size - 1 and tail[count] >= min_tail and log_sum[count] > 0.0:
        count += 1
    return count


@compiled(nogil=True, error_model="numpy")
def exponents(
    values: Floats, tail: Floats, log_sum: Floats, count: int, discrete: bool, top: float
) -> Floats:
    """Return the maximum-likelihood alpha of the first `count` cut-offs; NaN if there is none."""
    alpha = np.empty(count)
    guess = math.nan
    for k in range(count):
        guess = exponent(values[k], log_sum[k] / tail[k], guess, discrete, top)
        alpha[k] = guess
    return alpha


@compiled(nogil=True, error_model="numpy")
def _largest_fall(
    k: int,
    values: Floats,
    log_values: Floats,
    tail: Floats,
    log_sum: Floats,
    alpha: Floats,
    log_norm: float,
    discrete: bool,
) -> float:
    """Return an upper bound of D_k - D_(k+1) (module docstring, b)."""
    a, b = alpha[k] - 1.0, alpha[k + 1] - 1.0
    step = log_values[k + 1] - log_values[k]
    if discrete:
        lost = 1.0 - hurwitz_value(alpha[k], values[k + 1]) * math.exp(-alpha[k] * step - log_norm)
    else:  # 1 - exp(-z) < z - z^2/2 + z^3/6: without an exponential, for each candidate pays it
        z = a * step
        lost = min(1.0, z * (1.0 - z * (0.5 - z / 6.0)))
    change = abs(b - a)
    smallest = min(a, b)
    mean_log = log_sum[k + 1] / tail[k + 1]  # L at the new alpha
    if a > b:  # L at the old alpha is smaller; -dL/dalpha = Var <= E[ln^2] <= 2/a^2
        mean_log = max(0.0, mean_log - 2.0 * change / smallest**2)
    rescaled = max(1.0 - tail[k + 1] / tail[k], lost)
    z = smallest * mean_log
    growth = 1.0 + z * (1.0 + z * (0.5 + z / 6.0))  # < exp(z)
    fall: float = rescaled + change / (smallest * growth)
    return fall


@compiled(nogil=True, error_model="numpy")
def search(
    values: Floats,
    log_values: Floats,
    tail: Floats,
    log_sum: Floats,
    min_tail: float,
    discrete: bool,
    top: float,
    convention: int,
) -> tuple[int, float, float]:
    """Return (k, D_k, alpha_k) of the best cut-off; k = -1 if there is no candidate.

    Ties go to the smallest xmin.
    """
    count = n_candidates(values, tail, log_sum, min_tail)
    if count == 0:
        return -1, math.nan, math.nan
    unbounded = top == math.inf
    alpha = exponents(values, tail, log_sum, count, discrete, top)
    best, arg_best, hint = math.inf, count, 0
    ratio = (tail[count - 1] / tail[0]) ** (1.0 / _GRID)
    target, k = tail[0], 0
    while k < count:
        log_norm = log_normaliser(alpha[k], values[k], discrete, top)
        law = (values[k], log_values[k], alpha[k], log_norm, discrete, top, convention)
        d, hint = distance(k, hint, best, values, log_values, tail, *law)
        if d < best:
            best, arg_best = d, k
        target *= ratio
        k += 1
        while k < count and tail[k] > target:
            k += 1
    lower, log_norm = -math.inf, math.nan
    extra = 1.0 if convention == CSN and not discrete else 0.0
    for k in range(count):
        if not unbounded:
            lower = -math.inf
        elif k > 0:
            lower -= _largest_fall(
                k - 1, values, log_values, tail, log_sum, alpha, log_norm, discrete
            )
        if discrete or not unbounded:  # the Pareto survival needs no norm
            log_norm = log_normaliser(alpha[k], values[k], discrete, top)
        if lower > best + _SLACK:
            continue
        law = (values[k], log_values[k], alpha[k], log_norm, discrete, top, convention)
        if hint > k:
            n = tail[k]
            _, gap = _node(
                values[hint],
                log_values[hint] - log_values[k],
                tail[hint] / n,
                (tail[hint + 1] + extra) / n,
                values[k],
                *law[2:],
            )
            lower = max(lower, gap)
            if lower > best + _SLACK:
                continue
        limit = math.inf if unbounded else best  # a true distance lets more candidates be skipped
        lower, hint = distance(k, hint, limit, values, log_values, tail, *law)
        if lower < best or (lower == best and k < arg_best):
            best, arg_best = lower, k
    if arg_best == count:
        return -1, math.nan, math.nan
    return arg_best, best, alpha[arg_best]


@compiled(nogil=True, error_model="numpy")
def every(
    first: int,
    alpha: Floats,
    values: Floats,
    log_values: Floats,
    tail: Floats,
    discrete: bool,
    top: float,
    convention: int,
) -> tuple[Floats, Floats]:
    """Return the exact distance and the error of alpha of candidates `first`, `first` + 1, ...

    None is skipped; `alpha` holds their exponents.
    """
    result, error = np.empty(alpha.size), np.empty(alpha.size)
    hint = 0
    for i in range(alpha.size):
        k, a = first + i, alpha[i]
        log_norm = log_normaliser(a, values[k], discrete, top)
        law = (values[k], log_values[k], a, log_norm, discrete, top, convention)
        result[i], hint = distance(k, hint, math.inf, values, log_values, tail, *law)
        error[i] = 1.0 / math.sqrt(tail[k] * log_variance(a, values[k], discrete, top))
    return result, error


@compiled(nogil=True, error_model="numpy")
def fixed(
    values: Floats,
    log_values: Floats,
    counts: Floats,
    xmin: float,
    discrete: bool,
    top: float,
    convention: int,
) -> tuple[int, float, float]:
    """Return (first node >= xmin, D, alpha) at a given xmin; node -1 if the tail has no spread."""
    start = int(np.searchsorted(values, xmin))
    log_q = math.log(xmin)
    if start >= values.size or values[start] >= top:
        return -1, math.nan, math.nan
    tail, log_sum = suffix_statistics(log_values[start:], counts[start:])
    mean_log = log_sum[0] / tail[0] + (log_values[start] - log_q)
    if mean_log <= 0.0:
        return -1, math.nan, math.nan
    alpha = exponent(xmin, mean_log, math.nan, discrete, top)
    log_norm = log_normaliser(alpha, xmin, discrete, top)
    law = (xmin, log_q, alpha, log_norm, discrete, top, convention)
    d, _ = distance(0, 0, math.inf, values[start:], log_values[start:], tail, *law)
    return start, d, alpha


@compiled(nogil=True, error_model="numpy")
def within(
    values: Floats,
    y: Floats,
    counts: Floats,
    xmin: float,
    xmax: float,
    discrete: bool,
    convention: int,
) -> tuple[float, float]:
    """Return (D, alpha) of sorted `values` in [xmin, xmax], y = ln(values/xmin).

    NaN where all lie on one bound.
    """
    n = counts.sum()
    tail = np.zeros(values.size + 1)
    total = 0.0
    for i in range(values.size - 1, -1, -1):
        tail[i] = tail[i + 1] + counts[i]
        total += counts[i] * y[i]
    alpha = exponent(xmin, total / n, math.nan, discrete, xmax)
    if math.isnan(alpha):
        return math.nan, math.nan
    log_norm = log_normaliser(alpha, xmin, discrete, xmax)
    law = (xmin, 0.0, alpha, log_norm, discrete, xmax, convention)
    d, _ = distance(0, 0, math.inf, values, y, tail, *law)
    return d, alpha
