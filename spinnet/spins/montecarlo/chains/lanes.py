"""Exchanges among replicas that are bits of a word: neighbouring bits are swapped.

A new temperature for a bit changes its part of every threshold, which costs as much as a sweep
of a small system.  Where the temperatures of a ladder are neighbouring bits, a pair of them is
swapped in 64 spins at once by a shift and a mask, so that all exchanges of all ladders cost
one pass over the words of spins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.vectors import load, store


@compiled(nogil=True)
def swap_neighbours(words: Any, n_words: int, rows: Any, origin: Any, row_betas: Any) -> None:
    """Move configurations where `rows` says that they have exchanged temperatures.

    Parameters
    ----------
    words : uint64, (n_groups, size + 8)
        Blocks of 8 words: `n_words` of each spin, with one bit for each row.
    rows : int64, (n_beta, n_replicas)
        Of temperature k of replica r: n_beta r + k, or a neighbour after an exchange, which is
        undone when the configurations have moved.
    origin, row_betas : int8 and float64, (n_rows,)
        Which move along, and go back.
    """
    n_beta, n_replicas = rows.shape
    n_groups, n = words.shape[0], words.shape[1] - 8
    lower = np.zeros((n_groups, 8), np.uint64)  # the lower bit of each pair
    upper = np.zeros((n_groups, 8), np.uint64)
    for r in range(n_replicas):
        for k in range(n_beta - 1):
            row = n_beta * r + k
            if rows[k, r] == row + 1:
                group, lane = row // (64 * n_words), row % (64 * n_words)
                for word in range(0, 8, n_words):
                    lower[group, word + lane // 64] |= np.uint64(1) << np.uint64(lane % 64)
                    up = lane + 1
                    upper[group, word + up // 64] |= np.uint64(1) << np.uint64(up % 64)
                rows[k, r], rows[k + 1, r] = row, row + 1
                origin[row], origin[row + 1] = origin[row + 1], origin[row]
                row_betas[row], row_betas[row + 1] = row_betas[row + 1], row_betas[row]
    before = np.zeros(9, np.uint64)
    for group in range(n_groups):
        own = words[group]
        before[1:] = own[:8]
        low, high = load(lower[group], 0, 8), load(upper[group], 0, 8)
        down = load(before, 0, 8)
        for i in range(0, n, 8):
            # of the first and last word the masks take no bit of another spin
            x = load(own, i, 8)
            next_down = load(own, i + 7, 8)  # before the store, for which it would have to wait
            from_above = (x >> 1) | (load(own, i + 1, 8) << 63)
            from_below = (x << 1) | (down >> 63)
            store(own, i, x ^ ((x ^ from_above) & low) ^ ((x ^ from_below) & high))
            down = next_down
