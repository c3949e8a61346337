"""Configurations with a given number of up spins, uniform among all of them, as bits.

Bits are first drawn independently with one probability q/2^d, which takes d random words for 64
bits; given their number, the set of ones is uniform.  Ones are then added or taken away at random
places until their number is the one asked for: a uniform subset of a uniform set is uniform, so
that the result is exact whatever q/2^d was.  The digits d are so many that rounding the
probability moves the number of ones by no more than chance does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.random import STATE_WORDS, load_stream, next_words, store_stream
from spinnet.simd.vectors import bits_mask, filled, load, popcount, reduce_add, select, splat, store
from spinnet.xoshiro import next_word

SUBSET_WORDS = STATE_WORDS + 4  # of a stream of subsets: a vector state, then a scalar one
_SPARSE = 100  # a set with less than this part of all places is filled one by one
_SCAN, _RARE = 512, 16  # ones are found by counting if fewer, and less than a 16th of all
_LOW = np.uint64(0xFFFFFFFF)
_STEP = np.uint64(0x9E3779B97F4A7C15)


def padded_words(n: int) -> int:
    """Return the words of 64 bits that `n` bits take here: a multiple of 8."""
    return 8 * math.ceil(n / 512)


@compiled(inline="always")
def below(word: Any, n: Any) -> Any:
    """Return a number from 0 to n - 1 (n < 2^32), given 64 random bits; biased by n 2^-64."""
    n = np.uint64(n)
    low = (word & _LOW) * n
    return np.int64(((word >> np.uint64(32)) * n + (low >> np.uint64(32))) >> np.uint64(32))


@compiled()
def _independent_bits(words: Any, state: Any, n: int, q: int, digits: int) -> Any:
    """Fill `words` with bits that are 1 with probability q/2^digits; return how many are."""
    stream = load_stream(state)
    while q % 2 == 0:
        q //= 2
        digits -= 1
    for w in range(0, (n + 63) // 64, 8):
        x = filled(stream[0], 0)
        rest = q
        for _ in range(digits):
            stream, r = next_words(stream)
            x = (x | r) if rest & 1 else (x & r)
            rest >>= 1
        store(words, w, x)
    store_stream(state, stream)
    last = n // 64
    if n % 64:
        words[last] &= (np.uint64(1) << np.uint64(n % 64)) - np.uint64(1)
        last += 1
    for w in range(last, words.shape[0]):
        words[w] = 0
    total = filled(stream[0], 0)
    for w in range(0, words.shape[0], 8):
        total = total + popcount(load(words, w, 8))
    return np.int64(reduce_add(total))


@compiled()
def _take_away(words: Any, s: Any, count: int) -> None:
    """Take away one of `count` ones, found by counting."""
    rank = below(next_word(s), count)
    for w in range(0, words.shape[0], 8):
        here = np.int64(reduce_add(popcount(load(words, w, 8))))
        if rank >= here:
            rank -= here
            continue
        for k in range(w, w + 8):
            word = words[k]
            while word != 0:
                lowest = word & (~word + np.uint64(1))
                if rank == 0:
                    words[k] ^= lowest
                    return
                word ^= lowest
                rank -= 1


@compiled()
def fill_subset(words: Any, state: Any, n: int, k: int) -> None:
    """Set `k` of the first `n` bits of `words`, uniform among all such sets.

    Parameters
    ----------
    words : uint64, (padded_words(n),)
    state : uint64, (SUBSET_WORDS,)
        A stream, which moves on.
    """
    few = min(k, n - k)
    count: Any = 0
    if few * _SPARSE < n:
        words[:] = 0
    else:
        spread = math.sqrt(few * (n - few) / n)
        digits = max(1, math.ceil(math.log2(n / spread)))
        q = round(few / n * 2.0**digits)
        count = _independent_bits(words, state[:STATE_WORDS], n, q, digits)
    s = np.empty(4, np.uint64)
    s[:] = state[STATE_WORDS:]
    while count > few and count < _SCAN and count * _RARE < n:
        _take_away(words, s, count)
        count -= 1
    wanted = np.uint64(1 if count > few else 0)  # what a place must hold to be changed
    missing = abs(few - count)
    while missing > 0:
        place = below(next_word(s), n)
        shift = np.uint64(place & 63)
        change = ((words[place >> 6] >> shift) & np.uint64(1)) == wanted
        words[place >> 6] ^= np.uint64(change) << shift
        missing -= np.int64(change)
    state[STATE_WORDS:] = s
    if few != k:
        for w in range(n // 64):
            words[w] = ~words[w]
        if n % 64:
            words[n // 64] ^= (np.uint64(1) << np.uint64(n % 64)) - np.uint64(1)


@compiled()
def bits_to_spins(words: Any, n: int, spins: Any) -> None:
    """Write the first `n` bits as -1 and +1 (int8)."""
    for w in range(n // 64):
        mask = bits_mask(words[w], 64)
        store(spins, 64 * w, select(mask, splat(np.int8(1), 64), splat(np.int8(-1), 64)))
    for i in range(n - n % 64, n):
        bit = (words[i >> 6] >> np.uint64(i & 63)) & np.uint64(1)
        spins[i] = 1 if bit else -1


@compiled(inline="always")
def _mixed(z: Any) -> Any:
    """Return the words of SplitMix64 at the state `z`: a permutation of all words."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled()
def seed_stream(state: Any, key: Any, number: int) -> None:
    """Fill the words of a stream from two words of a key and the number of a configuration."""
    own = _mixed(key[0] + _STEP * np.uint64(number))
    for i in range(state.shape[0]):
        state[i] = _mixed(own ^ _mixed(key[1] + _STEP * np.uint64(i + 1)))


@compiled(nogil=True)
def subsets_as_spins(ups: Any, n: int, keys: Any, numbers: Any, spins: Any) -> None:
    """Write configurations with `ups` up spins; row r is a function of its key and number.

    Parameters
    ----------
    ups : int64, (n_rows,)
    keys : uint64, (n_rows, 2)
    numbers : int64, (n_rows,)
    spins : int8, (n_rows, n)
    """
    words = np.empty(8 * ((n + 511) // 512), np.uint64)
    state = np.empty(SUBSET_WORDS, np.uint64)
    for r in range(ups.shape[0]):
        seed_stream(state, keys[r], numbers[r])
        fill_subset(words, state, n, ups[r])
        bits_to_spins(words, n, spins[r])


@compiled(nogil=True)
def random_subsets(ups: Any, n: int, state: Any, spins: Any, bits: Any) -> None:
    """Write configurations with `ups` up spins, one after the other from one stream.

    Parameters
    ----------
    ups : int64, (n_rows,)
    state : uint64, (SUBSET_WORDS,)
    spins : int8, (n_rows, n), or (0, n)
    bits : uint64, (n_rows, padded_words(n)), or (0, padded_words(n))
        Whichever has rows is written.
    """
    words = np.empty(8 * ((n + 511) // 512), np.uint64)
    for r in range(ups.shape[0]):
        fill_subset(words, state, n, ups[r])
        if spins.shape[0] > 0:
            bits_to_spins(words, n, spins[r])
        if bits.shape[0] > 0:
            bits[r, :] = words
