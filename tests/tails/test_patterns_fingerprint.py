"""Quality of the fingerprints: agreement of both codes, avalanche, structured patterns."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from spinnet.tails.patterns import rows
from spinnet.tails.patterns.fingerprint import MURMUR, SEEDS, SPLITMIX, fingerprints
from spinnet.tails.patterns.kernels import fingerprint_rows

MASK = 2**64 - 1


def by_python_integers(words):
    """The mixes as the module states them, on Python's integers."""

    def mix(x, a, b, c, d, e):
        x ^= x >> a
        x = x * b & MASK
        x ^= x >> c
        x = x * d & MASK
        return x ^ x >> e

    first, second = SEEDS
    for word in words:
        first = mix(first ^ word, *SPLITMIX)
        second = mix((second + word) & MASK, *MURMUR)
    return first, second


@pytest.mark.parametrize("n_words", [1, 2, 8, 33])
def test_the_three_codes_agree(n_words):
    words = np.random.default_rng(n_words).integers(0, MASK, (50, n_words), np.uint64, True)
    words[0], words[1] = 0, MASK
    expected = [by_python_integers([int(word) for word in row]) for row in words]
    plain = fingerprints(words)
    assert [tuple(map(int, row)) for row in plain] == expected
    keys = np.empty((50, 2), np.uint64)
    fingerprint_rows(words, keys)
    np.testing.assert_array_equal(keys, plain)
    verbatim = np.empty((50, 2 + n_words), np.uint64)
    fingerprint_rows(words, verbatim)
    np.testing.assert_array_equal(verbatim, np.hstack([plain, words]))


def structured(n_bits):
    """All patterns of 0, 1 or 2 active units, the complements, and the runs from the start."""
    pairs = np.array(list(combinations(range(n_bits), 2)))
    sparse = np.zeros((1 + n_bits + len(pairs), n_bits), bool)
    sparse[np.arange(1, 1 + n_bits), np.arange(n_bits)] = True
    sparse[np.arange(1 + n_bits, len(sparse)), pairs[:, 0]] = True
    sparse[np.arange(1 + n_bits, len(sparse)), pairs[:, 1]] = True
    runs = np.tril(np.ones((n_bits, n_bits), bool))[2:-3]  # others are among those above
    return np.packbits(np.vstack([sparse, ~sparse, runs]), axis=1)


def test_structured_patterns_of_500_units_do_not_collide_in_either_half():
    packed = structured(500)
    assert len(packed) == 2 * (1 + 500 + 124_750) + 495
    marks = fingerprints(rows.as_words(packed, 500))
    for lane in marks.T:
        # random 64-bit values would collide with probability 251,000^2 / 2^65 = 2e-9
        assert len(np.unique(lane)) == len(packed)
    # Places in a table are the low bits of lane 0: 2^20 places take about as many as at random.
    low = np.unique(marks[:, 0] & np.uint64(2**20 - 1)).size
    expected = 2**20 * -np.expm1(-len(packed) / 2**20)
    assert abs(low - expected) < 5 * np.sqrt(expected)  # the true spread is smaller still


def test_a_flip_just_above_and_in_the_next_word_does_not_cancel():
    # in a mix of multiply and shift only, bits 63 and 31 of the next word undo bit 63
    base = np.random.default_rng(0).integers(0, MASK, (2000, 8), np.uint64, True)
    marks = fingerprints(base)
    for first, second in ((63, 63), (63, 31), (63, 33), (63, 30), (0, 0)):
        flipped = base.copy()
        flipped[:, 3] ^= np.uint64(1 << first)
        flipped[:, 4] ^= np.uint64(1 << second)
        assert (fingerprints(flipped) != marks).all()


@pytest.mark.statistical
@pytest.mark.parametrize("n_words", [1, 8])
def test_every_input_bit_changes_every_output_bit_half_the_time(n_words):
    # Avalanche.  Each of the 128 x 64 n_words shares of flips has a standard error of
    # 0.5/sqrt(4096) = 0.0078; at 6 of them, with at most 65,536 shares, a true coin fails
    # with probability 65,536 x 2e-9 = 1.3e-4.
    n = 4096
    words = np.random.default_rng(n_words).integers(0, MASK, (n, n_words), np.uint64, True)
    before = fingerprints(words)
    worst = 0.0
    for word in range(n_words):
        for bit in range(64):
            flipped = words.copy()
            flipped[:, word] ^= np.uint64(1 << bit)
            change = np.ascontiguousarray(fingerprints(flipped) ^ before).view(np.uint8)
            share = np.unpackbits(change, axis=1).mean(axis=0)
            worst = max(worst, float(np.abs(share - 0.5).max()))
    assert worst < 6 * 0.5 / np.sqrt(n)


@pytest.mark.statistical
def test_the_two_halves_are_independent():
    # Correlation of each bit of one half with each of the other, over consecutive integers:
    # 4096 pairs, standard error 1/sqrt(20000); at 6 of them a false alarm has odds 1e-5.
    n = 20_000
    marks = fingerprints(np.arange(n, dtype=np.uint64)[:, None])
    bits = np.unpackbits(marks.view(np.uint8).reshape(n, 16), axis=1).astype(np.float64) * 2 - 1
    product = bits[:, :64].T @ bits[:, 64:] / n
    assert np.abs(product).max() < 6 / np.sqrt(n)
    assert np.abs(bits.mean(axis=0)).max() < 6 / np.sqrt(n)
