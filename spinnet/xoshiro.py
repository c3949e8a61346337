"""The random numbers of compiled code: xoshiro256++ (Blackman and Vigna, ACM TOMS 47, 36 (2021)).

A state is four words of 64 bits, in order and not all zero; whoever draws owns it and seeds it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled


@compiled(inline="always")
def next_word(state: Any) -> Any:
    """Return 64 random bits and advance `state`."""
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
    return result


@compiled(inline="always")
def uniform(state: Any) -> Any:
    """Return a uniform number in [0, 1) of 53 bits and advance `state`."""
    return (next_word(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)
