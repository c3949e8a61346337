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


def unpacked_spins(bits: Bits, n_spins: int, levels: tuple[int, int]) -> NDArray[np.int8]:
    """Return bits (..., n_bytes) as configurations (..., n_spins) in the levels of a model."""
    low, high = levels
    spins = np.unpackbits(bits, axis=-1, count=n_spins, bitorder="little").view(np.int8)
    if (low, high) != (0, 1):
        spins *= np.int8(high - low)
        spins += np.int8(low)
    return spins
