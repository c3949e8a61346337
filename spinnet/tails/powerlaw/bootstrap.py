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

Replicates may be spread over threads, which compute different replicates and nothing in common.

Nothing is sorted: resampled data are counts over the known distinct values, and the fitted tail is
generated in increasing order from exponential spacings (Renyi, Acta Math. Hung. 4, 191 (1953)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.powerlaw.bounded import real_position
from spinnet.tails.powerlaw.ks_search import fixed, search, suffix_statistics
from spinnet.tails.powerlaw.laws import log_normaliser, survival
from spinnet.xoshiro import next_word

Floats = NDArray[np.float64]

_TABLE = 2048  # integers whose survival is tabulated before the inverse is found by bisection
_LARGEST = 2.0**53  # integers beyond are not exact in float64


@compiled(nogil=True, error_model="numpy")
def _next(state: NDArray[np.uint64]) -> float:
    """Return a uniform number in (0, 1) and advance the xoshiro256++ `state`."""
    return (
        np.float64(next_word(state) >> np.uint64(12)) + 0.5
    ) * 2.0**-52  # exact, so never 0 or 1


@compiled(nogil=True, error_model="numpy")
def survival_table(xmin: float, alpha: float, top: float) -> Floats:
    """Return P(X >= xmin + j) of the law on integers, j = 0, 1, ..."""
    table = np.empty(_TABLE)
    log_norm = log_normaliser(alpha, xmin, True, top)
    for j in range(_TABLE):
        table[j] = survival(xmin + j, math.log1p(j / xmin), xmin, alpha, log_norm, True, top)
    return table


@compiled(nogil=True, error_model="numpy")
def _quantile(
    wanted: float, low: float, xmin: float, alpha: float, log_norm: float, top: float
) -> float:
    """Return the largest integer x >= low with P(X >= x) >= wanted, capped at 2^53."""
    last = min(top, _LARGEST)
    high = 2.0 * low
    while high < last:
        if survival(high, math.log(high / xmin), xmin, alpha, log_norm, True, top) < wanted:
            break
        low, high = high, 2.0 * high
    if high >= last:
        high = last + 1.0 if top <= _LARGEST else last
    while high - low > 1.0:
        mid = math.floor(0.5 * (low + high))
        if survival(mid, math.log(mid / xmin), xmin, alpha, log_norm, True, top) < wanted:
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
    top: float,
    table: Floats,
    out_values: Floats,
    out_logs: Floats,
    out_counts: Floats,
    size: int,
) -> int:
    """Append `n` sorted draws of the fitted tail after `size` values; return the new size.

    `table` is empty for real numbers.
    """
    first = size
    exponential = 0.0
    log_q, log_top = math.log(xmin), math.log(top)
    log_norm = log_normaliser(alpha, xmin, table.size > 0, top)
    j = 0
    x = xmin
    for i in range(n):
        exponential -= math.log(_next(state)) / (n - i)
        above = math.exp(-exponential)
        if table.size == 0:
            if top == math.inf:
                y = exponential / (alpha - 1.0)
                out_logs[size] = log_q + y
            else:
                below = -math.expm1(-exponential)
                y = real_position(below, above, alpha - 1.0, log_top - log_q)
                out_logs[size] = min(log_q + y, log_top)
            out_values[size] = min(math.exp(out_logs[size]), top)
            out_counts[size] = 1.0
            if size == first or out_logs[size] > out_logs[size - 1]:
                size += 1
            else:
                out_counts[size - 1] += 1.0
            continue
        while j + 1 < table.size and table[j + 1] >= above:
            j += 1
        if j + 1 < table.size:
            x = xmin + j
        else:
            x = _quantile(above, max(x, xmin + j), xmin, alpha, log_norm, top)
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
    top: float,
    table: Floats,
    xmin_fixed: bool,
    min_tail: float,
    discrete: bool,
    convention: int,
) -> tuple[float, float, float, float]:
    """Return (D, alpha, xmin, n_tail) of one replicate; NaN if it cannot be fitted.

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
        size = _draw_tail(state, n_tail, xmin, alpha, top, table, u, logs, counts, size)
    u, logs, counts = u[:size], logs[:size], counts[:size]
    if xmin_fixed:
        k, d, a = fixed(u, logs, counts, xmin, discrete, top, convention)
        return d, a, xmin, counts[max(k, 0) :].sum()
    tail, log_sum = suffix_statistics(logs, counts)
    k, d, a = search(u, logs, tail, log_sum, min_tail, discrete, top, convention)
    if k < 0:
        return math.nan, math.nan, math.nan, math.nan
    return d, a, u[k], tail[k]


@dataclass(frozen=True)
class Replicates:
    """Refitted replicates, one entry each; NaN where a replicate could not be fitted.

    Attributes
    ----------
    ks_distance, alpha, xmin, n_tail : ndarray, shape (n_bootstrap,)
        As those of the fit.
    """

    ks_distance: Floats
    alpha: Floats
    xmin: Floats
    n_tail: Floats

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which replicates could be fitted."""
        return np.isfinite(self.ks_distance)


@dataclass(frozen=True)
class Bootstrap:
    """Both kinds of replicates of one fit (module docstring).

    Attributes
    ----------
    goodness : Replicates
        Semi-parametric.
    resampled : Replicates
        Nonparametric.
    """

    goodness: Replicates
    resampled: Replicates


@dataclass(frozen=True)
class Plan:
    """The fit that is repeated: its data, its result, and its options.

    `values` and `counts` are the distinct data in increasing order, `top` is xmax or infinity.
    """

    values: Floats
    counts: Floats
    xmin: float
    alpha: float
    top: float
    xmin_fixed: bool
    min_tail: int
    discrete: bool
    convention: int


def run_replicates(
    seed: np.random.SeedSequence,
    n_bootstrap: int,
    plan: Plan,
    *,
    semiparametric: bool,
    workers: int = 1,
    bar: Any = None,
) -> Replicates:
    """Return `n_bootstrap` replicates of a fit, computed by `workers` threads.

    `bar` is a progress bar, advanced by one per replicate.  Ctrl-C is heard after the replicates
    at work.
    """
    states = seed.generate_state(4 * n_bootstrap, np.uint64).reshape(-1, 4)
    owner = np.repeat(np.arange(plan.values.size), plan.counts.astype(np.int64))
    log_values = np.log(plan.values)
    n_body = owner.size
    if semiparametric:
        n_body = int(plan.counts[plan.values < plan.xmin].sum())
    tabulated = plan.discrete and semiparametric
    table = survival_table(plan.xmin, plan.alpha, plan.top) if tabulated else np.empty(0)
    rows = np.empty((n_bootstrap, 4))

    def one(r: int) -> None:
        rows[r] = replicate(
            states[r],
            plan.values,
            log_values,
            owner,
            n_body,
            plan.xmin,
            plan.alpha,
            plan.top,
            table,
            plan.xmin_fixed,
            float(plan.min_tail),
            plan.discrete,
            plan.convention,
        )

    for _ in _completed(one, n_bootstrap, workers):
        if bar is not None:
            bar.update()
    return Replicates(*(column.copy() for column in rows.T))


def _completed(one: Any, n: int, workers: int) -> Iterator[None]:
    """Call one(0), ..., one(n - 1), in threads if `workers` > 1; yield after each."""
    if workers == 1:
        for r in range(n):
            yield one(r)
        return
    todo = iter(range(n))
    pool = ThreadPoolExecutor(workers)
    try:
        running: set[Future[None]] = {pool.submit(one, r) for r in islice(todo, 4 * workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(one, r) for r in islice(todo, len(done))}
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C only what has begun is waited for
