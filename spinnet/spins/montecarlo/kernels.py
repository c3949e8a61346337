"""Sequential spin kernels, compiled by Numba.

A spin with y = 2 beta s_i l_i flips with probability p(y): heat bath 1/(1 + e^y), Metropolis
min(1, e^-y).  p falls with y, so a table of p on a grid brackets it: a uniform number outside
the bracket decides at once, and only one inside it (about one in thirty) needs the
exponential.  The outcome is the exact one.

Each replica has its own xoshiro256++ stream (D. Blackman & S. Vigna, "Scrambled linear
pseudorandom number generators", 2021), whose four words live in a row of `rng`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.xoshiro import uniform

HEAT_BATH, METROPOLIS = 0, 1
_Y_MAX = 40.0  # beyond, p or 1 - p is below 2^-53: no 53-bit uniform number tells them apart
_BINS = 32  # table steps per unit of y


@compiled(inline="always")
def flip_probability(y: Any, rule: Any) -> Any:
    """Return the probability of a flip that costs `y` in units of the temperature."""
    if rule == HEAT_BATH:
        return 1.0 / (1.0 + math.exp(y))
    return math.exp(-y) if y > 0.0 else 1.0


def flip_table(rule: int) -> NDArray[np.float64]:
    """Return p at the grid -40, ..., 40, with more entries at the ends for rounding."""
    grid = np.linspace(-_Y_MAX, _Y_MAX, int(2 * _Y_MAX * _BINS) + 1)
    table = [flip_probability.py_func(float(y), rule) for y in grid]
    return np.array([table[0], *table, table[-1], table[-1]])


@compiled(inline="always")
def _flips(y: Any, state: Any, table: Any, rule: Any) -> Any:
    if y >= _Y_MAX:
        return False
    if y <= -_Y_MAX:
        return True
    u = uniform(state)
    # bin k covers [y_k, y_k+1]; the neighbours' values bracket p whatever the rounding of k
    k = int((y + _Y_MAX) * _BINS)
    if u >= table[k]:
        return False
    if u < table[k + 3]:
        return True
    return u < flip_probability(y, rule)


@compiled(nogil=True)
def sparse_sweeps(
    spins: Any,
    rng: Any,
    indptr: Any,
    indices: Any,
    data: Any,
    h: Any,
    betas: Any,
    tables: Any,
    rules: Any,
    out: Any,
) -> None:
    """Sweep a sparse system; `tables` and `rules` hold the tables and the rule of each sweep.

    Parameters
    ----------
    spins : int8, (n_replicas, n)
    rng : uint64, (n_replicas, 4)
    indptr, indices, data : int64 (n + 1,), int64 (nnz,), float64 (nnz,)
    h : float64, (n,)
    betas : float64, (n_replicas,)
    tables : float64, (2, bins)
    rules : int64, (n_sweeps,)
    out : float64, (n_replicas, n_sweeps, 2)
        Sum of the spins and pair-plus-field energy after each sweep; may have 0 replicas.
    """
    n_replicas, n = spins.shape
    for r in range(n_replicas):
        s, state = spins[r], rng[r]
        energy, total = 0.0, 0
        for i in range(n):
            local = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                local += data[k] * s[indices[k]]
            energy -= s[i] * (0.5 * local + h[i])
            total += s[i]
        for t in range(rules.shape[0]):
            rule = rules[t]
            table = tables[rule]
            for i in range(n):
                local = h[i]
                for k in range(indptr[i], indptr[i + 1]):
                    local += data[k] * s[indices[k]]
                if _flips(2.0 * betas[r] * s[i] * local, state, table, rule):
                    energy += 2.0 * s[i] * local
                    total -= 2 * s[i]
                    s[i] = -s[i]
            if out.shape[0] > 0:
                out[r, t, 0] = total
                out[r, t, 1] = energy


@compiled(nogil=True)
def uniform_sweeps(
    spins: Any, rng: Any, J: float, h: float, betas: Any, tables: Any, rules: Any, out: Any
) -> None:
    """Sweep the Curie-Weiss model, whose local field is h + (J/N)(M - s_i): O(1) a spin."""
    n_replicas, n = spins.shape
    for r in range(n_replicas):
        s, state = spins[r], rng[r]
        total = 0
        for i in range(n):
            total += s[i]
        for t in range(rules.shape[0]):
            rule = rules[t]
            table = tables[rule]
            for i in range(n):
                local = h + J / n * (total - s[i])
                if _flips(2.0 * betas[r] * s[i] * local, state, table, rule):
                    total -= 2 * s[i]
                    s[i] = -s[i]
            if out.shape[0] > 0:
                out[r, t, 0] = total
                out[r, t, 1] = -0.5 * J / n * (total * total - n) - h * total
