"""The exchange step of parallel tempering, compiled by Numba."""

from __future__ import annotations

import math
from typing import Any

from spinnet.compiling import compiled
from spinnet.xoshiro import uniform

NOWHERE, FIRST, LAST = 0, 1, 2  # the end of the ladder that a configuration has come from


@compiled(nogil=True)
def put_in_order(m: Any, energy: Any, rows: Any, at: int, out_m: Any, out_energy: Any) -> None:
    """Write series of the inner rows, (n_rows, size), into columns from `at` on, by temperature.

    `rows` (n_beta, n_replicas) holds the inner row of each temperature.
    """
    n_beta, n_replicas = rows.shape
    for k in range(n_beta):
        for r in range(n_replicas):
            row, line = rows[k, r], k * n_replicas + r
            for t in range(m.shape[1]):
                out_m[line, at + t] = m[row, t]
                out_energy[line, at + t] = energy[row, t]


@compiled(nogil=True)
def exchange(
    energy: Any,
    betas: Any,
    first: int,
    rng: Any,
    rows: Any,
    row_betas: Any,
    origin: Any,
    accepted: Any,
    trips: Any,
) -> int:
    """Exchange the pairs (k, k + 1), k = first, first + 2, ...; return how many were accepted.

    Every attempt draws one number, from the stream of its replica.

    Parameters
    ----------
    energy : float64, (n_rows, size)
        Of the inner rows; the last column counts.
    betas : float64, (n_beta,)
    rng : uint64, (n_replicas, 4)
    rows : int64, (n_beta, n_replicas)
        The inner row of each temperature.
    row_betas, origin : float64 and int8, (n_rows,)
        The inverse temperature of each inner row, and the end that it has come from.
    accepted, trips : int64, (n_replicas, n_beta - 1) and (n_replicas,)
        Counters.
    """
    n_beta, n_replicas = rows.shape
    end = energy.shape[1] - 1
    total = 0
    for r in range(n_replicas):
        state = rng[r]
        for k in range(first, n_beta - 1, 2):
            a, b = rows[k, r], rows[k + 1, r]
            gain = (betas[k] - betas[k + 1]) * (energy[a, end] - energy[b, end])
            u = uniform(state)
            if gain >= 0.0 or u < math.exp(gain):
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
