"""Stored configurations: one bit for each spin, packed into bytes, the first spin lowest.

A bit is 1 for the upper level of the model.  In the files of a run they are the array
:data:`STORED`, which ``numpy.unpackbits(stored, axis=-1, count=n_spins, bitorder="little")``
reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STORED = "stored"  # the name of the array in parts and results
Bits = NDArray[np.uint8]


def n_bytes(n_spins: int) -> int:
    """Return the bytes of one configuration."""
    return -(-n_spins // 8)


def n_stored(n_sweeps: int, store_every: int) -> int:
    """Return how many configurations of each replica there are after `n_sweeps` measurements."""
    return n_sweeps // store_every if store_every else 0


def packed_bits(spins: NDArray[Any], high: int) -> Bits:
    """Return configurations (..., n_spins) as bits (..., n_bytes)."""
    return np.packbits(spins == high, axis=-1, bitorder="little")


def turned(words: NDArray[np.uint64]) -> Bits:
    """Return bits of many replicas a spin as bits of many spins a replica.

    Squares of 64 x 64 bits are turned in six rounds, each of which exchanges the off-diagonal
    quarters of all squares of one size (H. S. Warren, Hacker's Delight, 2nd ed., section 7-3).

    Parameters
    ----------
    words : ndarray of uint64, shape (n_spins, n_groups)
        Bit r % 64 of word r // 64 belongs to replica r.

    Returns
    -------
    ndarray of uint8, shape (64 n_groups, n_bytes)
    """
    n, n_groups = words.shape
    blocks = np.zeros((-(-n // 64), 64, n_groups), np.uint64)
    blocks.reshape(-1, n_groups)[:n] = words
    mask = 2**64 - 1
    for size in (32, 16, 8, 4, 2, 1):
        mask ^= mask << size & 2**64 - 1
        pairs = blocks.reshape(len(blocks), -1, 2, size, n_groups)
        low, high = pairs[:, :, 0], pairs[:, :, 1]
        move = (low >> np.uint64(size) ^ high) & np.uint64(mask)
        high ^= move
        low ^= move << np.uint64(size)
    rows = np.ascontiguousarray(blocks.transpose(2, 1, 0)).reshape(64 * n_groups, -1)
    return rows.astype("<u8", copy=False).view(np.uint8)[:, : n_bytes(n)]


def unpacked_spins(bits: Bits, n_spins: int, levels: tuple[int, int]) -> NDArray[np.int8]:
    """Return bits (..., n_bytes) as configurations (..., n_spins) in the levels of a model."""
    low, high = levels
    spins = np.unpackbits(bits, axis=-1, count=n_spins, bitorder="little").view(np.int8)
    if (low, high) != (0, 1):
        spins *= np.int8(high - low)
        spins += np.int8(low)
    return spins
