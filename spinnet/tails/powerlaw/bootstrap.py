"""Bootstrap replicates of a power-law fit: goodness of fit, and errors of alpha and xmin.

Each replicate owns a xoshiro256++ stream (Blackman and Vigna, ACM TOMS 47, 36 (2021)) whose
256-bit state is spawned from the fit's seed: replicate r is the same number whatever the number
of replicates, their order, or the machine.

Two kinds of replicate:

* *semi-parametric* (CSN section 4.1): every point is drawn from the fitted tail with probability
  n_tail/n, else from the data below xmin; the whole fit is then repeated.  The share of replicates
  whose distance reaches the observed one is the p-value.
* *nonparametric*: n points drawn from the data with replacement, refitted; the spread of alpha
  and xmin is their standard error.

Nothing is sorted: resampled data are counts over the known distinct values, and the fitted tail is
generated in increasing order from exponential spacings (Renyi, Acta Math. Hung. 4, 191 (1953)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.powerlaw.ks_search import fixed, search, suffix_statistics
from spinnet.tails.zeta import hurwitz_value

Floats = NDArray[np.float64]

_TABLE = 2048  # integers whose survival is tabulated before the inverse is found by bisection
_LARGEST = 2.0**53  # integers beyond are not exact in float64


@compiled(nogil=True, error_model="numpy")
def _next(state: NDArray[np.uint64]) -> float:
    """Return a uniform number in (0, 1) and advance the xoshiro256++ `state`."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    total = s0 + s3
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    state[1] = s1 ^ (s2 ^ s0)
    state[0] = s0 ^ (s3 ^ s1)
    state[2] = (s2 ^ s0) ^ (s1 << np.uint64(17))
    s3 ^= s1
    state[3] = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    return (np.float64(result >> np.uint64(12)) + 0.5) * 2.0**-52  # exact, so never 0 or 1


@compiled(nogil=True, error_model="numpy")
def survival_table(xmin: float, alpha: float) -> Floats:
    """Return P(X >= xmin + j) of the zeta law, j = 0, 1, ..."""
    table = np.empty(_TABLE)
    norm = hurwitz_value(alpha, xmin)
    for j in range(_TABLE):
        x = xmin + j
        table[j] = hurwitz_value(alpha, x) / norm * math.exp(-alpha * math.log1p(j / xmin))
    return table


@compiled(nogil=True, error_model="numpy")
def _quantile(survival: float, low: float, xmin: float, alpha: float, norm: float) -> float:
    """Return the largest integer x >= low with P(X >= x) >= survival, capped at 2^53."""
    high = 2.0 * low
    while high < _LARGEST:
        if hurwitz_value(alpha, high) / norm * (high / xmin) ** -alpha < survival:
            break
        low, high = high, 2.0 * high
    high = min(high, _LARGEST)
    while high - low > 1.0:
        mid = math.floor(0.5 * (low + high))
        if hurwitz_value(alpha, mid) / norm * (mid / xmin) ** -alpha < survival:
            high = mid
        else:
            low = mid
    return low


@compiled(nogil=True, error_model="numpy")
def _draw_tail(
    state: NDArray[np.uint64],
    n: int,
    xmin: float,
    alpha: float,
    table: Floats,
    out_values: Floats,
    out_logs: Floats,
    out_counts: Floats,
    size: int,
) -> int:
    """Append `n` sorted draws of the fitted tail after `size` values; return the new size.

    `table` is empty for the Pareto law.
    """
    first = size
    exponential = 0.0
    log_q = math.log(xmin)
    norm = hurwitz_value(alpha, xmin) if table.size > 0 else 0.0
    j = 0
    x = xmin
    for i in range(n):
        exponential -= math.log(_next(state)) / (n - i)
        if table.size == 0:
            out_logs[size] = log_q + exponential / (alpha - 1.0)
            out_values[size] = math.exp(out_logs[size])
            out_counts[size] = 1.0
            if size == first or out_logs[size] > out_logs[size - 1]:
                size += 1
            else:
                out_counts[size - 1] += 1.0
            continue
        survival = math.exp(-exponential)
        while j + 1 < table.size and table[j + 1] >= survival:
            j += 1
        if j + 1 < table.size:
            x = xmin + j
        else:
            x = _quantile(survival, max(x, xmin + j), xmin, alpha, norm)
        if size > first and out_values[size - 1] == x:
            out_counts[size - 1] += 1.0
        else:
            out_values[size], out_logs[size], out_counts[size] = x, math.log(x), 1.0
            size += 1
    return size


@compiled(nogil=True, error_model="numpy")
def replicate(
    state: NDArray[np.uint64],
    values: Floats,
    log_values: Floats,
    owner: NDArray[np.int64],
    n_body: int,
    xmin: float,
    alpha: float,
    table: Floats,
    xmin_fixed: bool,
    min_tail: float,
    discrete: bool,
    convention: int,
) -> tuple[float, float, float]:
    """Return (D, alpha, xmin) of one replicate; NaN if it cannot be fitted.

    `owner[i]` is the index in `values` of the i-th smallest point.  Points below `n_body` are
    resampled, a draw beyond is replaced by one from the fitted tail; `n_body = owner.size` is
    the nonparametric bootstrap.
    """
    n = owner.size
    hits = np.zeros(values.size)
    n_tail = 0
    for _ in range(n):
        i = int(_next(state) * n)
        if i < n_body:
            hits[owner[i]] += 1.0
        else:
            n_tail += 1
    capacity = min(values.size, n) + n_tail
    u, logs, counts = np.empty(capacity), np.empty(capacity), np.empty(capacity)
    size = 0
    for j in range(values.size):
        if hits[j] > 0.0:
            u[size], logs[size], counts[size] = values[j], log_values[j], hits[j]
            size += 1
    if n_tail > 0:
        size = _draw_tail(state, n_tail, xmin, alpha, table, u, logs, counts, size)
    u, logs, counts = u[:size], logs[:size], counts[:size]
    if xmin_fixed:
        k, d, a = fixed(u, logs, counts, xmin, discrete, convention)
        return d, a, xmin
    tail, log_sum = suffix_statistics(logs, counts)
    k, d, a = search(u, logs, tail, log_sum, min_tail, discrete, convention)
    if k < 0:
        return math.nan, math.nan, math.nan
    return d, a, u[k]


@dataclass(frozen=True)
class Replicates:
    """Refitted replicates, one entry each; NaN where a replicate could not be fitted."""

    ks_distance: Floats
    alpha: Floats
    xmin: Floats

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which replicates could be fitted."""
        return np.isfinite(self.ks_distance)


def run_replicates(
    seed: np.random.SeedSequence,
    n_bootstrap: int,
    *,
    values: Floats,
    counts: Floats,
    xmin: float,
    alpha: float,
    semiparametric: bool,
    xmin_fixed: bool,
    min_tail: int,
    discrete: bool,
    convention: int,
) -> Replicates:
    """Return `n_bootstrap` replicates of the fit (`xmin`, `alpha`) of the given data."""
    states = seed.generate_state(4 * n_bootstrap, np.uint64).reshape(-1, 4)
    owner = np.repeat(np.arange(values.size), counts.astype(np.int64))
    log_values = np.log(values)
    n_body = int(counts[values < xmin].sum()) if semiparametric else owner.size
    table = survival_table(xmin, alpha) if discrete and semiparametric else np.empty(0)
    rows = np.empty((n_bootstrap, 3))
    for r in range(n_bootstrap):  # a Python loop, so that Ctrl-C is heard
        rows[r] = replicate(
            states[r],
            values,
            log_values,
            owner,
            n_body,
            xmin,
            alpha,
            table,
            xmin_fixed,
            float(min_tail),
            discrete,
            convention,
        )
    return Replicates(rows[:, 0].copy(), rows[:, 1].copy(), rows[:, 2].copy())
