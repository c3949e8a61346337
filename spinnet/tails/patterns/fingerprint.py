"""128-bit fingerprints of patterns: two unlike 64-bit mixes of the pattern's 64-bit words.

Each lane absorbs one word after the other and mixes after each: lane 0 by exclusive or and the
finaliser of SplitMix64 (Stafford's variant 13), lane 1 by addition and the finaliser of
MurmurHash3.  A mix is a bijection, so two patterns that differ within one word only, such as all
patterns of at most 64 units, never share a fingerprint.  For others, taking each lane as a random
function, n distinct patterns hold a pair of equal fingerprints with probability about
n^2 / 2^129: 1.5e-25 at n = 1e7, 1.5e-23 at 1e8.  The start values are fixed, so that counts
made in different processes can be merged; they are recorded in saved files.  These mixes do not
resist an adversary who knows them: ask for ``exact`` counting if patterns are chosen to collide.

`fingerprints` is the plain NumPy form; `spinnet.tails.patterns.kernels` has the same compiled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

# the first 64 bits of the fractional parts of the golden ratio and of sqrt(3)
SEEDS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
SPLITMIX = (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31)
MURMUR = (33, 0xFF51AFD7ED558CCD, 33, 0xC4CEB9FE1A85EC53, 33)


def fingerprints(words: Words) -> Words:
    """Return the fingerprints, shape (n_rows, 2), of rows of 64-bit words (n_rows, n_words)."""
    result = np.empty((len(words), 2), np.uint64)
    result[:, 0], result[:, 1] = SEEDS[0], SEEDS[1]
    first, second = np.ascontiguousarray(result.T)
    for word in words.T:
        first ^= word
        _mix(first, SPLITMIX)
        second += word
        _mix(second, MURMUR)
    result[:, 0], result[:, 1] = first, second
    return result


def _mix(x: Words, steps: tuple[int, int, int, int, int]) -> None:
    """Apply x ^= x >> a; x *= b; x ^= x >> c; x *= d; x ^= x >> e in place, modulo 2^64."""
    a, b, c, d, e = (np.uint64(step) for step in steps)
    x ^= x >> a
    x *= b
    x ^= x >> c
    x *= d
    x ^= x >> e
