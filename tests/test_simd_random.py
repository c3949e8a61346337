"""The vector generator: the scalar one in every lane, and streams that pass statistical tests."""

import functools

import numpy as np
import pytest

from spinnet import xoshiro
from spinnet.errors import InputError
from spinnet.simd import random_tests
from spinnet.simd.random import (
    STATE_WORDS,
    load_stream,
    next_words,
    seed_states,
    store_stream,
    uniform_float32,
    uniform_float64,
)
from spinnet.simd.random_tests import check_generator, check_words
from spinnet.simd.vectors import store


@pytest.fixture(scope="module")
def draws():
    """Compiled functions that fill an array from a state."""
    from numba import njit

    @njit
    def words(state, out):
        stream = load_stream(state)
        for i in range(0, out.size, 8):
            stream, vector = next_words(stream)
            store(out, i, vector)
        store_stream(state, stream)

    @njit
    def float32(state, out):
        stream = load_stream(state)
        for i in range(0, out.size, 16):
            stream, vector = uniform_float32(stream)
            store(out, i, vector)
        store_stream(state, stream)

    @njit
    def float64(state, out):
        stream = load_stream(state)
        for i in range(0, out.size, 8):
            stream, vector = uniform_float64(stream)
            store(out, i, vector)
        store_stream(state, stream)

    return words, float32, float64


def scalar_words(state, n):
    """Return n words of each of the eight streams, one by one, and their states after it."""
    columns = [np.ascontiguousarray(state.reshape(4, 8)[:, lane]) for lane in range(8)]
    words = [[xoshiro.next_word(column) for _ in range(n)] for column in columns]
    return np.array(words, np.uint64).T.copy(), np.array(columns, np.uint64).T.ravel()


def test_every_lane_is_the_scalar_generator(draws):
    state = seed_states(np.random.SeedSequence(7), 1)[0]
    expected, after = scalar_words(state, 300)
    out = np.empty(8 * 300, np.uint64)
    draws[0](state, out)
    np.testing.assert_array_equal(out.reshape(-1, 8), expected)
    np.testing.assert_array_equal(state, after)


def test_scalar_generator_is_the_published_one():
    """First words from the state (1, 2, 3, 4), by the definition in plain integers."""
    mask, s, expected = 2**64 - 1, [1, 2, 3, 4], []

    def rotated(x, k):
        return ((x << k) | (x >> (64 - k))) & mask

    for _ in range(50):
        expected.append((rotated((s[0] + s[3]) & mask, 23) + s[0]) & mask)
        t = (s[1] << 17) & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 45)
    state = np.array([1, 2, 3, 4], np.uint64)
    assert [int(xoshiro.next_word(state)) for _ in range(50)] == expected
    assert expected[:2] == [41943041, 58720359]


def test_floats_are_the_high_bits_of_the_words(draws):
    state = seed_states(np.random.SeedSequence(8), 2)
    words, _ = scalar_words(state[0], 40)
    halves = words.view(np.uint32)  # the low half first, as on every machine that Numba serves
    out = np.empty(16 * 40, np.float32)
    draws[1](state[0], out)
    np.testing.assert_array_equal(out.reshape(40, 16), (halves >> 8) * np.float32(2.0**-24))

    words, _ = scalar_words(state[1], 40)
    wide = np.empty(8 * 40)
    draws[2](state[1], wide)
    np.testing.assert_array_equal(wide.reshape(40, 8), (words >> np.uint64(11)) * 2.0**-53)


def test_seeds_give_distinct_streams_that_do_not_depend_on_their_number():
    seed = np.random.SeedSequence(3)
    few, many = seed_states(seed, 2), seed_states(seed, 50)
    assert few.shape == (2, STATE_WORDS)
    np.testing.assert_array_equal(few, many[:2])
    streams = many.reshape(50, 4, 8).transpose(0, 2, 1).reshape(400, 4)
    assert len(np.unique(streams, axis=0)) == 400
    assert len(np.unique(streams)) == 1600
    assert not np.intersect1d(streams, seed_states(np.random.SeedSequence(4), 50)).size


def test_no_stream_is_all_zeros():
    class Zeros(np.random.SeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            return np.zeros(n_words, dtype)

    states = seed_states(Zeros(0), 3).reshape(3, 4, 8)
    assert states.any(axis=1).all()


# --- statistical tests --------------------------------------------------------------

# Of generators that are good, each test here fails with probability 1e-4 at most.
ALPHA = 1e-4
N, LANES = 2**14, 8


@functools.cache
def streams(lanes=LANES, plus=False):
    """Return N words of each stream of xoshiro256++ (or 256+), shape (N, lanes)."""
    states = seed_states(np.random.SeedSequence(11), lanes // 8).reshape(-1, 4, 8)
    s0, s1, s2, s3 = states.transpose(1, 0, 2).reshape(4, lanes)
    out = np.empty((N, lanes), np.uint64)
    for t in range(N):
        total = s0 + s3
        out[t] = total if plus else ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
        shifted = s1 << np.uint64(17)
        s2 = s2 ^ s0
        s3 = s3 ^ s1
        s1, s0, s2 = s1 ^ s2, s0 ^ s3, s2 ^ shifted
        s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    return out


@pytest.mark.statistical
@pytest.mark.parametrize("seed", [0])
def test_generator_passes_its_own_tests(seed):
    report = check_generator(seed)
    assert report.failures(ALPHA) == (), report.summary()
    assert report.p_value > ALPHA
    assert "all together" in report.summary()


@pytest.mark.statistical
def test_p_values_of_a_good_generator_are_uniform():
    """Means of p over 8 seeds: 0.5 +- 0.102 each; 4.5 standard errors, 2e-4 for 24 tests."""
    words = [np.random.default_rng(s).integers(0, 2**64, (N, LANES), np.uint64) for s in range(8)]
    reports = [check_words(w) for w in words]
    mean = np.mean([[c.p_value for c in r.checks] for r in reports], axis=0)
    discrete = [c.name.startswith(("rank", "repeated", "coll")) for c in reports[0].checks]
    assert np.all(np.abs(mean[~np.array(discrete)] - 0.5) < 4.5 * np.sqrt(1 / 12 / 8))
    assert np.all(mean > 0.5 - 4.5 * np.sqrt(1 / 12 / 8))


def congruential(bits_from):
    """Words of 64 bits made of one bit each of successive numbers of an LCG modulo 2^64."""
    x = np.arange(1, LANES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    out = np.zeros((N, LANES), np.uint64)
    for t in range(N):
        x = x * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        out[t] = x << np.uint64(64 - bits_from - 20) if bits_from < 44 else x
    return out


def defective(name):
    """Return words of a generator with a defect."""
    good = streams()
    words = good.copy()
    if name.endswith("of an LCG"):
        return congruential(0 if name.startswith("low") else 4)
    if name == "a shared stream":
        words[:, 3] = words[:, 1]
    elif name == "one word in 50 shared":
        words[::50, 5] = good[::50, 2]
    elif name == "streams that overlap":
        return np.stack([good[:, 0], np.roll(good[:, 0], 3000)], axis=1)
    elif name == "one bit of 64 biased":  # is 1 with probability 5/8
        words |= (good >> np.uint64(13) & good >> np.uint64(40) & np.uint64(1)) << np.uint64(9)
    elif name == "lowest bit of xoshiro256+":
        return streams(plus=True)
    elif name == "words of such bits":
        bits = (streams(64 * LANES, plus=True) & np.uint64(1)).astype(np.uint8)
        return np.packbits(bits, axis=1).view(np.uint64)
    return words


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("low bits of an LCG", "runs"),
        ("middle bits of an LCG", "runs"),
        ("a shared stream", "between streams"),
        ("one word in 50 shared", "repeated"),
        ("streams that overlap", "repeated"),
        ("one bit of 64 biased", "balance"),
        ("lowest bit of xoshiro256+", "rank of matrices of bit 0"),
        ("words of such bits", "rank of matrices of bit 32"),
    ],
)
def test_defects_are_found(name, test):
    failures = check_words(defective(name)).failures(ALPHA)
    assert any(failure.startswith(test) for failure in failures), failures


def test_float_tests_find_missing_and_coarse_bits():
    """Numbers of 23 bits; and 1 itself, which is not in [0, 1)."""
    rng = np.random.default_rng(2)
    digits = rng.integers(0, 2**24, (1, 2**16))
    good = [c.p_value for c in random_tests._float_checks("u", digits * 2.0**-24, 24)]
    coarse = [c.p_value for c in random_tests._float_checks("u", (digits & ~1) * 2.0**-24, 24)]
    closed = [c.p_value for c in random_tests._float_checks("u", np.ones((1, 64)), 24)]
    assert min(good) > ALPHA / 6
    assert min(coarse) < 1e-10
    assert min(closed) == 0.0


def test_rank_over_gf2():
    assert random_tests.rank_over_gf2([0b110, 0b011, 0b101]) == 2
    assert random_tests.rank_over_gf2([1, 2, 4, 0]) == 3


@pytest.mark.parametrize(
    "words", [np.zeros((100, 2), np.uint64), np.zeros((2**14, 2)), np.zeros(9)]
)
def test_too_few_or_other_words_are_refused(words):
    with pytest.raises(InputError, match="uint64"):
        check_words(words)
