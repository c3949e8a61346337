"""Compiled kernels of the null models, on packed bits.

Random numbers come from xoshiro256++ (Blackman and Vigna, ACM TOMS 47, 36 (2021)); the four
words of its state are drawn from the caller's Generator, so that a seed fixes every bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled

Words = NDArray[np.uint64]


def stream(random: np.random.Generator, n_streams: int = 1) -> Words:
    """Return states of xoshiro256++, shape (n_streams, 4)."""
    return random.integers(0, 2**64, size=(n_streams, 4), dtype=np.uint64)


@compiled(inline="always")
def _uniform(state: Any) -> Any:
    """Return a uniform number in [0, 1) of 53 bits and advance `state`."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    total = s0 + s3
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    t = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3
    return (result >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled(nogil=True)
def scatter(counts: NDArray[np.int64], state: Words, row: NDArray[np.uint8]) -> None:
    """Set unit u (of at most eight, the first at the top bit) on `counts[u]` random inputs.

    Every set of inputs is equally likely: inputs are drawn until enough different ones are
    found, the rarer of on and off, so that at most half are searched for.
    """
    n = row.size
    for u in range(counts.size):
        mask = np.uint8(128 >> u)
        on = 2 * counts[u] > n
        left = n - counts[u] if on else counts[u]
        start = mask if on else np.uint8(0)
        if on:
            for i in range(n):
                row[i] |= mask
        while left > 0:
            i = int(_uniform(state) * n)
            if (row[i] & mask) == start:
                row[i] ^= mask
                left -= 1
