"""Sums over many ranks of smooth functions, as sums over a few nodes.

The first ranks are nodes themselves.  Beyond them, ranks are taken in blocks whose ends differ by
10 %; on each, the counts, and the ranks themselves, are replaced by weights at Gauss-Legendre
nodes that have the same sums with every polynomial of degree below 12.  For a function whose next
singularity is at rank 0 or below, as those of the laws of ranks are, the sums agree to rounding;
for exp(c r/a) on a block of half width a, to about (c/2)^12/12!.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HEAD = 1000
_RATIO = 1.1
_DEGREE = 12


class Nodes(NamedTuple):
    """Places on the axis of ranks, the counts there, and ln(number of ranks) that each stands for.

    The counts of a node may be negative: only their sums with smooth functions mean something.
    """

    place: Floats
    counts: Floats
    log_size: Floats | float


def all_ranks(counts: Floats) -> Nodes:
    """Return one node for each rank."""
    return Nodes(np.arange(1.0, counts.size + 1.0), counts, 0.0)


def condensed(every: Nodes) -> Nodes:
    """Return fewer nodes for all ranks: 1000, and about 125 for each factor of e beyond."""
    counts, n = every.counts, every.counts.size
    if n <= 2 * _HEAD:
        return every
    n_blocks = int(np.ceil(np.log(n / _HEAD) / np.log(_RATIO)))
    edges = np.rint(np.geomspace(_HEAD, n, n_blocks + 1)).astype(np.int64)
    x, weight = np.polynomial.legendre.leggauss(_DEGREE)
    values = np.polynomial.legendre.legvander(x, _DEGREE - 1)
    back = weight[:, None] * values * (np.arange(_DEGREE) + 0.5)
    places, loads, sizes = [np.arange(1.0, _HEAD + 1.0)], [counts[:_HEAD]], [np.ones(_HEAD)]
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        centre, half = 0.5 * (start + 1 + end), 0.5 * (end - start)
        inside = (np.arange(start + 1.0, end + 1.0) - centre) / half
        basis = np.polynomial.legendre.legvander(inside, _DEGREE - 1)
        places.append(centre + half * x)
        loads.append(back @ (counts[start:end] @ basis))
        sizes.append(back @ basis.sum(axis=0))
    return Nodes(np.concatenate(places), np.concatenate(loads), np.log(np.concatenate(sizes)))
