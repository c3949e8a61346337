"""Compiled kernels of the null models, on packed bits.

Random numbers come from xoshiro256++ (Blackman and Vigna, ACM TOMS 47, 36 (2021)); the four
words of its state are drawn from the caller's Generator, so that a seed fixes every bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.xoshiro import uniform

Words = NDArray[np.uint64]


def stream(random: np.random.Generator, n_streams: int = 1) -> Words:
    """Return states of xoshiro256++, shape (n_streams, 4)."""
    return random.integers(0, 2**64, size=(n_streams, 4), dtype=np.uint64)


@compiled(nogil=True)
def scatter(counts: NDArray[np.int64], state: Words, row: NDArray[np.uint8]) -> None:
    """Set unit u (of at most eight, the first at the top bit) on `counts[u]` random inputs.

    Every set of inputs is equally likely: inputs are drawn until enough different ones are
    found, the rarer of on and off, so that at most half are searched for.
    """
    n = row.size
    for u in range(counts.size):
        mask = np.uint8(128 >> u)
        on = 2 * counts[u] > n
        left = n - counts[u] if on else counts[u]
        start = mask if on else np.uint8(0)
        if on:
            for i in range(n):
                row[i] |= mask
        while left > 0:
            i = int(uniform(state) * n)
            if (row[i] & mask) == start:
                row[i] ^= mask
                left -= 1


@compiled(inline="always")
def _ones(word: Any) -> Any:
    """Return the number of set bits of a 64-bit word."""
    x = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled(nogil=True)
def _trade(a: Words, b: Words, state: Words) -> None:
    """Deal the bits set in only one of two rows out again, as many to each row as before."""
    n = 0  # bits that differ, and those of them that `a` has
    k = 0
    for w in range(a.size):
        n += _ones(a[w] ^ b[w])
        k += _ones(a[w] & ~b[w])
    for w in range(a.size):
        if k == 0 and n == 0:
            return
        left = a[w] ^ b[w]
        dealt = left
        to_a = np.uint64(0)
        while left != np.uint64(0):
            bit = left & (~left + np.uint64(1))
            left ^= bit
            chosen = uniform(state) * n < k
            to_a |= bit if chosen else np.uint64(0)
            k -= 1 if chosen else 0
            n -= 1
        common = a[w] & b[w]
        a[w] = common | to_a
        b[w] = common | (dealt ^ to_a)


@compiled(nogil=True)
def sweep(rows: Words, order: NDArray[np.int64], state: Words) -> None:
    """Pair the rows at random and let every pair trade; with an odd number, one row rests."""
    n = order.size
    for i in range(n - 1, 0, -1):
        j = int(uniform(state) * (i + 1))
        order[i], order[j] = order[j], order[i]
    for i in range(0, n - 1, 2):
        _trade(rows[order[i]], rows[order[i + 1]], state)


@compiled(inline="always")
def _log_sum(x: Any, y: Any) -> Any:
    """Return log(e^x + e^y), also for -infinity."""
    high, low = (x, y) if x > y else (y, x)
    if low == -math.inf:
        return high
    return high + math.log1p(math.exp(low - high))


@compiled(nogil=True)
def log_symmetric(fields: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log e_k(w_i, ..., w_n-1), w = exp(fields), as a table [i, k]; -infinity where 0.

    e_k is the elementary symmetric polynomial: the sum over all patterns with k active units.
    """
    n = fields.size
    table = np.full((n + 1, n + 1), -math.inf)
    table[n, 0] = 0.0
    for i in range(n - 1, -1, -1):
        table[i, 0] = 0.0
        for k in range(1, n - i + 1):
            table[i, k] = _log_sum(table[i + 1, k], fields[i] + table[i + 1, k - 1])
    return table


@compiled(nogil=True)
def mixed_rates(
    fields: NDArray[np.float64], table: NDArray[np.float64], log_p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the rates under p(K) w^sigma / e_K(w): the gradient of sum_K p(K) log e_K(w).

    One pass backwards through the recursion of `log_symmetric` (reverse-mode differentiation);
    every term is positive, so that nothing cancels.
    """
    n = fields.size
    above = np.empty(n + 1)  # log of the derivative of the sum by e_k(w_i, ..., w_n-1)
    for k in range(n + 1):
        above[k] = log_p[k] - table[0, k]
    rates = np.empty(n)
    for i in range(n):
        total = 0.0
        for k in range(1, n - i + 1):
            total += math.exp(fields[i] + above[k] + table[i + 1, k - 1])
        rates[i] = total
        for k in range(n - i):
            above[k] = _log_sum(above[k], fields[i] + above[k + 1])
    return rates


@compiled(nogil=True)
def draw_given_counts(
    fields: NDArray[np.float64],
    table: NDArray[np.float64],
    counts: NDArray[np.int64],
    state: Words,
    out: NDArray[np.uint8],
) -> None:
    """Fill each row with a pattern of `counts[row]` active units, drawn unit by unit."""
    n = fields.size
    for row in range(counts.size):
        k = counts[row]
        for i in range(n):
            if k == 0:
                break
            p = math.exp(fields[i] + table[i + 1, k - 1] - table[i, k])
            if k == n - i or uniform(state) < p:
                out[row, i] = 1
                k -= 1


@compiled(nogil=True)
def heat_bath(
    sigma: NDArray[np.uint8],
    local: NDArray[np.float64],
    fields: NDArray[np.float64],
    couplings: NDArray[np.float64],
    first: int,
    every: int,
    state: Words,
    rows: NDArray[np.uint8],
    trace: NDArray[np.float64],
) -> None:
    """Run sweeps of one chain; `local` holds h_i + sum_j J_ij sigma_j and is kept up to date.

    After sweep `first`, and then after each `every` sweeps, the state is copied to the next of
    `rows`, and population count and energy h.sigma + J sigma sigma to the next of `trace`, until
    both are full.
    """
    n = sigma.size
    done = 0
    wait = first
    while done < max(len(rows), len(trace)):
        for i in range(n):
            on = np.uint8(uniform(state) * (1.0 + math.exp(-local[i])) < 1.0)
            if on != sigma[i]:
                sigma[i] = on
                change = 1.0 if on else -1.0
                for j in range(n):
                    local[j] += change * couplings[i, j]
        wait -= 1
        if wait > 0:
            continue
        wait = every
        if done < len(rows):
            for i in range(n):
                rows[done, i] = sigma[i]
        if done < len(trace):
            count = 0.0
            energy = 0.0
            for i in range(n):
                if sigma[i]:
                    count += 1.0
                    energy += 0.5 * (local[i] + fields[i])
            trace[done, 0] = count
            trace[done, 1] = energy
        done += 1


@compiled(nogil=True)
def conditional_terms(
    local: NDArray[np.float64],
    rows: NDArray[np.uint8],
    share: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> float:
    """Return the sum of share ln(1 + e^l) - share sigma l over rows and units.

    `local` is overwritten with share (p - sigma), p = 1/(1 + e^-l), and the sums of
    share p (1 - p) are added to `variance`.
    """
    total = 0.0
    for m in range(rows.shape[0]):
        row = 0.0
        for i in range(rows.shape[1]):
            x = local[m, i]
            e = math.exp(-abs(x))
            row += max(x, 0.0) + math.log1p(e) - rows[m, i] * x
            p = (1.0 if x > 0.0 else e) / (1.0 + e)
            variance[i] += share[m] * e / (1.0 + e) ** 2
            local[m, i] = share[m] * (p - rows[m, i])
        total += share[m] * row
    return total
