"""Counting the bits of each lane over all spins or bonds: trees of full adders."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.logic import load_pair, majority, xor3
from spinnet.simd.vectors import load, splat, store

LEVELS = 28  # of the memory part of a counter: up to 8 * (2^28 - 1) inputs
CHUNK = 16  # sweeps whose counts wait to be written together


@compiled(nogil=True)
def count(
    spins: Any, owns: Any, starts: Any, signs: Any, valid: Any, plain: Any, lists: Any,
    counter: Any,
) -> Any:  # fmt: skip
    """Count ones over all pairs in each of 512 lanes; return the pairs over 8, rounded up.

    A tree of full adders: `counter` holds at 8 (2 l) the sum bit of weight 8 * 2^l and at
    8 (2 l + 1) the one that waits for its partner; the bits of weight 1, 2 and 4 follow.
    """
    n, p, q = owns.shape[0], plain[0], plain[1]
    ones = load(spins, 0, 8)
    ones = ones ^ ones
    twos, fours = ones, ones
    for level in range(2 * LEVELS):
        store(counter, 8 * level, ones)
    k, eights = 0, 0
    zero = ones
    while k < n:
        if n - k >= 8:
            x1 = load_pair(spins, owns, starts, lists, signs, valid, k, p, q)
            x2 = load_pair(spins, owns, starts, lists, signs, valid, k + 1, p, q)
            a, ones = majority(ones, x1, x2), xor3(ones, x1, x2)
            x1 = load_pair(spins, owns, starts, lists, signs, valid, k + 2, p, q)
            x2 = load_pair(spins, owns, starts, lists, signs, valid, k + 3, p, q)
            b, ones = majority(ones, x1, x2), xor3(ones, x1, x2)
            c, twos = majority(twos, a, b), xor3(twos, a, b)
            x1 = load_pair(spins, owns, starts, lists, signs, valid, k + 4, p, q)
            x2 = load_pair(spins, owns, starts, lists, signs, valid, k + 5, p, q)
            a, ones = majority(ones, x1, x2), xor3(ones, x1, x2)
            x1 = load_pair(spins, owns, starts, lists, signs, valid, k + 6, p, q)
            x2 = load_pair(spins, owns, starts, lists, signs, valid, k + 7, p, q)
            b, ones = majority(ones, x1, x2), xor3(ones, x1, x2)
            d, twos = majority(twos, a, b), xor3(twos, a, b)
            e, fours = majority(fours, c, d), xor3(fours, c, d)
            k += 8
        else:
            x1 = load_pair(spins, owns, starts, lists, signs, valid, k, p, q)
            a, ones = ones & x1, ones ^ x1
            b, twos = twos & a, twos ^ a
            e, fours = fours & b, fours ^ b
            k += 1
        level, passed = 0, eights
        while passed & 1:
            total = load(counter, 16 * level, 8)
            waiting = load(counter, 16 * level + 8, 8)
            store(counter, 16 * level, xor3(total, waiting, e))
            store(counter, 16 * level + 8, zero)
            e = majority(total, waiting, e)
            level += 1
            passed >>= 1
        store(counter, 16 * level + 8, e)
        eights += 1
    store(counter, 16 * LEVELS, ones)
    store(counter, 16 * LEVELS + 8, twos)
    store(counter, 16 * LEVELS + 16, fours)
    return eights


@compiled(nogil=True)
def transpose(rows: Any) -> None:
    """Exchange bit c of row r with bit r of row c, in each of 8 words; rows: (512,)."""
    width = 32
    mask = np.uint64(0xFFFFFFFF)
    while width:
        for k in range(0, 64, 2 * width):
            for j in range(8 * k, 8 * (k + width), 8):
                high, low = load(rows, j, 8), load(rows, j + 8 * width, 8)
                t = ((high >> width) ^ low) & splat(mask, 8)
                store(rows, j, high ^ (t << width))
                store(rows, j + 8 * width, low ^ t)
        width >>= 1
        mask ^= mask << np.uint64(width)


@compiled(nogil=True)
def total_of_lanes(counter: Any, eights: Any, n_words: Any, rows: Any, out: Any) -> None:
    """Write the count of each replica, of all spins of a block; out: int64, (64 n_words,).

    The sum bits of a lane are the digits of one number, and the waiting ones of another: with
    the digits as 64 rows, exchanging rows and lanes gives both.  `rows` is scratch, (512,).
    """
    zero = load(counter, 0, 8) ^ load(counter, 0, 8)
    for digit in range(3):
        store(rows, 8 * digit, load(counter, 16 * LEVELS + 8 * digit, 8))
        store(rows, 8 * (32 + digit), zero)
    for digit in range(3, 32):
        store(rows, 8 * digit, zero)
        store(rows, 8 * (32 + digit), zero)
    level = 0
    while eights >> level:
        store(rows, 8 * (level + 3), load(counter, 16 * level, 8))
        store(rows, 8 * (level + 35), load(counter, 16 * level + 8, 8))
        level += 1
    transpose(rows)
    half = splat(np.uint64(0xFFFFFFFF), 8)
    for j in range(0, 512, 8):
        both = load(rows, j, 8)
        store(rows, j, (both & half) + (both >> 32))
    for word in range(n_words):
        for lane in range(64):
            total = np.uint64(0)
            for w in range(8 * lane + word, 8 * lane + 8, n_words):
                total += rows[w]
            out[64 * word + lane] = total


@compiled(nogil=True)
def write(seen: Any, row: Any, begin: Any, end: Any, scale: Any, m: Any, energy: Any) -> None:
    """Turn counts of a chunk of sweeps into magnetisations and energies."""
    n, unit, constant, n_bonds = scale[0], scale[1], scale[2], scale[3]
    for lane in range(min(seen.shape[2], m.shape[0] - row)):
        for t in range(begin, end):
            m[row + lane, t] = (2.0 * seen[0, t - begin, lane] - n) / n
            energy[row + lane, t] = unit * (2.0 * seen[1, t - begin, lane] - n_bonds) + constant
