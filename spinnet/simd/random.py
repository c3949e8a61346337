"""Random numbers in vectors: xoshiro256++ (Blackman and Vigna, ACM TOMS 47, 36 (2021)), 8 streams.

A state is 32 words of 64 bits: word ``8 w + k`` is word w of stream k, and stream k is the
scalar generator of :mod:`spinnet.xoshiro` bit for bit.  Within a kernel the state is a value,
a tuple of four vectors, so that it stays in registers::

    stream = load_stream(state)  # state: uint64, (32,), contiguous
    stream, words = next_words(stream)
    stream, u = uniform_float32(stream)
    store_stream(state, stream)

Each call takes one word of every stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.simd.vectors import convert, filled, load, reinterpret, store

STATE_WORDS = 32  # of a vector state: four words of each of eight streams
_NOT_ZERO = np.uint64(0x9E3779B97F4A7C15)  # any word but zero: zeros stay zeros for ever


def seed_states(seed: np.random.SeedSequence, n_states: int) -> NDArray[np.uint64]:
    """Return `n_states` states of eight streams each.

    Each is 2048 bits of ``seed.generate_state``; a stream is never all zeros, where it would
    stay.  Were states uniform, any two of k streams would overlap within L words each with a
    chance below k^2 L 2^-255.  They are hashes of the 128 bits of the seed, of which a stream
    sees 64: the same stream of two seeds is equal with a chance of 2^-64.

    Parameters
    ----------
    seed : SeedSequence
    n_states : int

    Returns
    -------
    ndarray of uint64, shape (n_states, 32)
        The first states do not depend on `n_states`.
    """
    words: Any = seed.generate_state(n_states * STATE_WORDS, np.uint64).reshape(-1, 4, 8)
    dead = ~words.any(axis=1)
    words[:, 0][dead] = _NOT_ZERO
    return np.asarray(words.reshape(-1, STATE_WORDS), dtype=np.uint64)


@compiled(forceinline=True)
def load_stream(state: Any) -> Any:
    """Return the four vectors of a state (uint64, (32,))."""
    return load(state, 0, 8), load(state, 8, 8), load(state, 16, 8), load(state, 24, 8)


@compiled(forceinline=True)
def store_stream(state: Any, stream: Any) -> None:
    """Write a stream back into its state."""
    store(state, 0, stream[0])
    store(state, 8, stream[1])
    store(state, 16, stream[2])
    store(state, 24, stream[3])


@compiled(forceinline=True)
def next_words(stream: Any) -> Any:
    """Return (stream, words): the stream moved on, and 64 random bits in each of 8 lanes."""
    s0, s1, s2, s3 = stream
    total = s0 + s3
    words = ((total << 23) | (total >> 41)) + s0
    t = s1 << 17
    s2 = s2 ^ s0
    s3 = s3 ^ s1
    s1 = s1 ^ s2
    s0 = s0 ^ s3
    s2 = s2 ^ t
    s3 = (s3 << 45) | (s3 >> 19)
    return (s0, s1, s2, s3), words


@compiled(forceinline=True)
def digits_float32(stream: Any) -> Any:
    """Return (stream, k): 16 uniform whole numbers in [0, 2^24), as float32.

    Lanes 2 k and 2 k + 1 are the high 24 bits of the low and of the high half of word k.
    """
    stream, words = next_words(stream)
    bits = reinterpret(reinterpret(words, np.uint32) >> 8, np.int32)
    return stream, convert(bits, np.float32)


@compiled(forceinline=True)
def uniform_float32(stream: Any) -> Any:
    """Return (stream, u): 16 uniform float32, multiples of 2^-24 in [0, 1).

    They are :func:`digits_float32` times 2^-24.
    """
    stream, k = digits_float32(stream)
    return stream, k * filled(k, 5.9604644775390625e-08)


@compiled(forceinline=True)
def uniform_float64(stream: Any) -> Any:
    """Return (stream, u): 8 uniform float64, multiples of 2^-53 in [0, 1)."""
    stream, words = next_words(stream)
    u = convert(reinterpret(words >> 11, np.int64), np.float64)
    return stream, u * filled(u, 1.1102230246251565e-16)
