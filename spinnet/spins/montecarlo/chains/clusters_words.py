"""Random words for the cluster kernels: xoshiro256++ in registers, and what is drawn from them.

The kernels write to arrays of bytes, which may alias any memory; a stream whose four words are
local values is not reloaded after each write.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled


@compiled(inline="always")
def next_word(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Return 64 random bits and the four words of the stream after them."""
    total = a + d
    word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + a
    shifted = b << np.uint64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << np.uint64(45)) | (d >> np.uint64(19))
    return word, a, b, c, d


@compiled(inline="always")
def below(word: Any, n: Any) -> Any:
    """Return a number from 0 to n - 1 (n < 2^32), uniform to 1 in 2^32."""
    return np.int64(((word >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@compiled(inline="always")
def exponential(word: Any) -> Any:
    """Return an exponential variate of mean 1, -ln u with u = 2^-53, ..., 1."""
    return -math.log(np.float64((word >> np.uint64(11)) + np.uint64(1)) * 2.0**-53)


@compiled(inline="always")
def uniform_of(word: Any) -> Any:
    """Return a uniform number in [0, 1) of 53 bits."""
    return np.float64(word >> np.uint64(11)) * 2.0**-53
