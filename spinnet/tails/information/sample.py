"""What every estimator of C(T) returns, and sums over blocks of consecutive inputs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.information.spectrum import Floats
from spinnet.tails.information.thermodynamics import EntropyOfEnergy

FEWEST = 10  # a probability that rests on fewer observations is rare ...
RARE_SHARE = 0.05  # ... and C(T) is unreliable where such carry more than this share

CHUNK_BITS = 1 << 24
_N_BLOCKS = 1000


class Sample(NamedTuple):
    """An estimate of C(T) and what it takes to draw it again; NaN where a draw has none."""

    heat: Floats
    replicate: Callable[[np.random.Generator], Floats]
    states: EntropyOfEnergy
    reliable: NDArray[np.bool_]
    coverage: float
    n_units: int
    n_inputs: int
    n_constant: int


def block_sums(
    rows: NDArray[Any], n_units: int, sum_of: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[Floats, Floats]:
    """Return `sum_of` unpacked rows for each of up to 1000 blocks of them, and the block sizes."""
    ends = np.linspace(0, len(rows), min(_N_BLOCKS, max(len(rows), 1)) + 1).astype(np.int64)
    step = max(1, CHUNK_BITS // n_units)
    sums = []
    for start, end in pairwise(ends.tolist()):
        total: Any = 0.0
        for low in range(start, max(end, start + 1), step):
            part = rows[low : min(low + step, end)]
            if part.dtype != np.bool_:
                part = np.unpackbits(part, axis=1, count=n_units)
            total = total + sum_of(part)
        sums.append(total)
    return np.array(sums, dtype=np.float64), np.diff(ends).astype(np.float64)
