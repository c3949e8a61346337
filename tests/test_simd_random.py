"""The vector generator: the scalar one in every lane, and streams that pass statistical tests."""

import numpy as np
import pytest

from spinnet import xoshiro
from spinnet.simd.random import (
    STATE_WORDS,
    load_stream,
    next_words,
    seed_states,
    store_stream,
    uniform_float32,
    uniform_float64,
)
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
