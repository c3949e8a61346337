"""The exchange step of parallel tempering, compiled by Numba."""

from __future__ import annotations

import math
from typing import Any

from spinnet.compiling import compiled
from spinnet.xoshiro import uniform

FIRST, LAST = 1, 2  # the end of the ladder that a configuration has come from; 0 is neither


@compiled(forceinline=True)
def _accepts(gain: Any, u: Any) -> Any:
    """Return u < exp(gain), from 1 + x <= exp(x) <= 1/(1 - x) where these decide."""
    if u < 1.0 + gain:
        return True
    if u * (1.0 - gain) >= 1.0:
        return False
    return u < math.exp(gain)


@compiled(nogil=True)
def _put_in_order(
    m: Any, energy: Any, begin: int, end: int, rows: Any, at: int, out_m: Any, out_energy: Any
) -> None:
    """Write the sweeps `begin` to `end` of the inner rows by temperature, `at` lines later."""
    n_beta, n_replicas = rows.shape
    for t in range(begin, end):
        line = 0
        for k in range(n_beta):
            for r in range(n_replicas):
                row = rows[k, r]
                out_m[at + t, line] = m[row, t]
                out_energy[at + t, line] = energy[row, t]
                line += 1


@compiled(nogil=True)
def _exchange(
    energy: Any,
    last: int,
    betas: Any,
    first: int,
    rng: Any,
    rows: Any,
    row_betas: Any,
    origin: Any,
    accepted: Any,
    trips: Any,
) -> Any:
    """Exchange the pairs (first, first + 1), (first + 2, first + 3), ... of each replica."""
    n_beta, n_replicas = rows.shape
    total = 0
    for r in range(n_replicas):
        state = rng[r]
        for k in range(first, n_beta - 1, 2):
            a, b = rows[k, r], rows[k + 1, r]
            gain = (betas[k] - betas[k + 1]) * (energy[a, last] - energy[b, last])
            u = uniform(state)
            if _accepts(gain, u):
                rows[k, r], rows[k + 1, r] = b, a
                row_betas[a], row_betas[b] = betas[k + 1], betas[k]
                accepted[r, k] += 1
                total += 1
        here = rows[0, r]
        if origin[here] == LAST:
            trips[r] += 1
        origin[here] = FIRST
        here = rows[n_beta - 1, r]
        if origin[here] == FIRST:
            origin[here] = LAST
    return total


@compiled(nogil=True)
def step(
    m: Any,
    energy: Any,
    betas: Any,
    first: int,
    rng: Any,
    rows: Any,
    row_betas: Any,
    origin: Any,
    accepted: Any,
    trips: Any,
    at: int,
    out_m: Any,
    out_energy: Any,
) -> Any:
    """Exchange after some sweeps, and write these by temperature; return how many exchanged.

    What is written for the last sweep is as the exchange leaves it, like the configurations.
    Every attempt draws one number, from the stream of its replica.

    Parameters
    ----------
    m, energy : float64, (n_rows, size)
        Of the inner rows after each sweep.
    betas : float64, (n_beta,)
    first : int
        Of the first pair: 0 or 1, or -1 for no exchange.
    rng : uint64, (n_replicas, 4)
    rows : int64, (n_beta, n_replicas)
        The inner row of each temperature.
    row_betas, origin : float64 and int8, (n_rows,)
        The inverse temperature of each inner row, and the end that it has come from.
    accepted, trips : int64, (n_replicas, n_beta - 1) and (n_replicas,)
        Counters.
    at : int
        The line of the first sweep in the output.
    out_m, out_energy : float64, (n_sweeps, n_rows)
        By temperature; may have 0 rows.
    """
    last = energy.shape[1] - 1
    record = out_m.shape[1] > 0
    if record:
        _put_in_order(m, energy, 0, last, rows, at, out_m, out_energy)
    total = 0
    if first >= 0:
        total = _exchange(energy, last, betas, first, rng, rows, row_betas, origin, accepted, trips)
    if record:
        _put_in_order(m, energy, last, last + 1, rows, at, out_m, out_energy)
    return total
