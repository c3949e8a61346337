"""Compiled fingerprints and the open-addressing table of `CompiledTable`.

The keys lie densely in the order of their first occurrence; the table proper is an array of
64-bit slots, each 0 (free) or a key's index + 1 in the low half and, in the high half, the
key's leading 32 bits, which settle nearly every comparison without looking the key up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.patterns.fingerprint import MURMUR, SEEDS, SPLITMIX

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]

_SEED_0, _SEED_1 = np.uint64(SEEDS[0]), np.uint64(SEEDS[1])
_A0, _A1, _A2, _A3, _A4 = (np.uint64(step) for step in SPLITMIX)
_B0, _B1, _B2, _B3, _B4 = (np.uint64(step) for step in MURMUR)
_HALF = np.uint64(32)
_INDEX = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_FREE = np.uint64(0)

N_DISTINCT, N_ROWS, N_TOTAL = 0, 1, 2  # places in the state array of a table


@compiled(nogil=True)
def fingerprint_rows(words: Words, keys: Words) -> None:
    """Write the fingerprint of each row to the first two columns of `keys`.

    Further columns of `keys`, if there are any, take the words themselves.
    """
    n_words = words.shape[1]
    verbatim = keys.shape[1] > 2
    for i in range(words.shape[0]):
        x, y = _SEED_0, _SEED_1
        for j in range(n_words):
            word = words[i, j]
            x ^= word
            x ^= x >> _A0
            x *= _A1
            x ^= x >> _A2
            x *= _A3
            x ^= x >> _A4
            y += word
            y ^= y >> _B0
            y *= _B1
            y ^= y >> _B2
            y *= _B3
            y ^= y >> _B4
            if verbatim:
                keys[i, 2 + j] = word
        keys[i, 0] = x
        keys[i, 1] = y


@compiled(nogil=True)
def insert(
    new: Words, weights: Counts, slots: Words, keys: Words, counts: Counts, state: Counts
) -> None:
    """Add `weights` to the counts of the rows of `new`, entering those not yet among `keys`.

    There must be room: len(new) free rows of `keys`, and more slots than keys after it.
    """
    mask = np.uint64(slots.size - 1)
    width = keys.shape[1]
    n = state[N_DISTINCT]
    for i in range(new.shape[0]):
        tag = new[i, 0] >> _HALF
        place = new[i, 0] & mask
        while True:
            slot = slots[place]
            if slot == _FREE:
                for j in range(width):
                    keys[n, j] = new[i, j]
                counts[n] = weights[i]
                n += 1
                slots[place] = (tag << _HALF) | np.uint64(n)
                break
            if slot >> _HALF == tag:
                index = np.int64(slot & _INDEX) - 1
                same = True
                for j in range(width):
                    if keys[index, j] != new[i, j]:
                        same = False
                        break
                if same:
                    counts[index] += weights[i]
                    break
            place = (place + _ONE) & mask
        state[N_TOTAL] += weights[i]
    state[N_DISTINCT] = n
    state[N_ROWS] += new.shape[0]


@compiled(nogil=True)
def fill_slots(slots: Words, keys: Words, n: Any) -> None:
    """Enter the first `n` rows of `keys`, all different, into empty `slots`."""
    mask = np.uint64(slots.size - 1)
    for i in range(n):
        place = keys[i, 0] & mask
        while slots[place] != _FREE:
            place = (place + _ONE) & mask
        slots[place] = (keys[i, 0] >> _HALF << _HALF) | np.uint64(i + 1)
