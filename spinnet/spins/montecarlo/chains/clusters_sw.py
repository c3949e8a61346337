"""Kernel of the Swendsen-Wang update: all clusters at once, by union-find.

R. H. Swendsen & J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987).  The root of a cluster is its first
spin, so that one pass in order settles all: a root takes a coin of its own, any other spin that
of its parent, which stands before it.  In fields a cluster points up with the probability
1/(1 + exp(-2 beta sum_C h_i)) instead, its distribution given the bonds.

A sweep tests the bonds of the spins as the sweep before left them, and counts them on the way:
the energy after a sweep comes with the next one.  Bonds that hold are listed without a branch,
which could not be predicted, and joined in blocks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.spins.montecarlo.chains.clusters_wolff import (
    count_pairs,
    fill_limits,
    sum_pairs,
    totals,
)
from spinnet.spins.montecarlo.chains.clusters_words import next_word, uniform_of

_LOW = np.uint64(0xFFFF)
_HALF = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)


@compiled(inline="always")
def _join(parent: Any, root: Any, j: Any) -> Any:
    """Join the clusters of `root` and of spin j, halving paths; return the root of both."""
    while parent[j] != j:
        parent[j] = parent[parent[j]]
        j = parent[j]
    if j < root:
        parent[root] = j
        return j
    parent[j] = root
    return root


@compiled()
def _hold_alike(
    s: Any, state: Any, indptr: Any, indices: Any, begin: Any, end: Any, p: Any, held: Any
) -> Any:
    """List the bonds of spins begin..end to spins before them that hold.

    Returns
    -------
    tuple
        The number of bonds in `held`, and of equal pairs.
    """
    a, b, c, d = state[0], state[1], state[2], state[3]
    scaled = p * 65536.0
    first = np.uint64(min(scaled, 65535.0))
    rest = scaled - np.float64(first)
    word = np.uint64(0)
    found, same, left = 0, 0, 0
    for i in range(begin, end):
        spin = s[i]
        for k in range(indptr[i], indptr[i + 1]):
            if left == 0:
                word, a, b, c, d = next_word(a, b, c, d)
                left = 4
            left -= 1
            part = word & _LOW
            word >>= np.uint64(16)
            holds = part < first
            if part == first:
                extra, a, b, c, d = next_word(a, b, c, d)
                holds = uniform_of(extra) < rest
            j = indices[k]
            equal = s[j] == spin
            same += equal
            held[found, 0] = i
            held[found, 1] = j
            found += equal & holds
    state[0], state[1], state[2], state[3] = a, b, c, d
    return found, same


@compiled()
def _hold_varied(
    s: Any, state: Any, indptr: Any, indices: Any, begin: Any, end: Any, J: Any, limits: Any,
    beta: Any, held: Any,
) -> Any:  # fmt: skip
    """List the bonds that hold where not all are alike; see :func:`_hold_alike`."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    word = np.uint64(0)
    found, left = 0, 0
    for i in range(begin, end):
        spin = s[i]
        for k in range(indptr[i], indptr[i + 1]):
            if left == 0:
                word, a, b, c, d = next_word(a, b, c, d)
                left = 2
            left -= 1
            part = word & _HALF
            word >>= np.uint64(32)
            first = np.uint64(limits[k])
            holds = part < first
            if part == first:
                extra, a, b, c, d = next_word(a, b, c, d)
                scaled = -math.expm1(-2.0 * beta * J[k]) * 4294967296.0
                holds = uniform_of(extra) < scaled - np.float64(first)
            j = indices[k]
            held[found, 0] = i
            held[found, 1] = j
            found += (s[j] == spin) & holds
    state[0], state[1], state[2], state[3] = a, b, c, d
    return found


@compiled()
def _flip_clusters(s: Any, state: Any, parent: Any, coin: Any) -> None:
    """Flip each cluster with probability 1/2."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    word = np.uint64(0)
    for i in range(s.shape[0]):
        if i & 63 == 0:
            word, a, b, c, d = next_word(a, b, c, d)
        coin[i] = word & _ONE
        word >>= _ONE
        coin[i] = coin[parent[i]]
        s[i] ^= coin[i]
    state[0], state[1], state[2], state[3] = a, b, c, d


@compiled()
def _turn_clusters(
    s: Any, state: Any, parent: Any, coin: Any, h: Any, beta: Any, sums: Any
) -> None:
    """Draw the sign of each cluster in the field that acts on it."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    n = s.shape[0]
    for i in range(n):
        sums[i] = 0.0
        parent[i] = parent[parent[i]]
        sums[parent[i]] += h[i]
    for i in range(n):
        if parent[i] == i:
            word, a, b, c, d = next_word(a, b, c, d)
            # exp of a large number is infinite: the probability is 0, as it should be
            coin[i] = uniform_of(word) < 1.0 / (1.0 + math.exp(-2.0 * beta * sums[i]))
        s[i] = coin[parent[i]]
    state[0], state[1], state[2], state[3] = a, b, c, d


@compiled(nogil=True)
def swendsen_wang_sweeps(
    spins: Any, rng: Any, indptr: Any, indices: Any, cuts: Any, J: Any, h: Any, gauge: Any,
    betas: Any, record: Any, out: Any,
) -> None:  # fmt: skip
    """Sweep replicas.

    Parameters
    ----------
    indptr, indices : int32, as in CSR; each bond once, from the later spin to the earlier
    cuts : int64
        Where the blocks of spins begin, and n.
    others
        As in ``wolff_sweeps``; out[..., 3] is not used.
    """
    n = spins.shape[1]
    parent = np.empty(n, np.int32)
    coin = np.empty(n, np.uint8)
    sums = np.empty(h.shape[0])
    most = 0
    for block in range(cuts.shape[0] - 1):
        most = max(most, indptr[cuts[block + 1]] - indptr[cuts[block]])
    held = np.empty((most + 1, 2), np.int32)
    alike = J.shape[0] == 1
    limits = np.empty(0 if alike else J.shape[0], np.uint32)
    filled = -1.0
    for r in range(spins.shape[0]):
        s, state, beta = spins[r], rng[r], betas[r]
        p = 0.0
        if alike:
            p = -math.expm1(-2.0 * beta * J[0])
        elif beta != filled:
            fill_limits(limits, J, beta)
            filled = beta
        for t in range(out.shape[1]):
            same = 0
            for block in range(cuts.shape[0] - 1):
                begin, end = cuts[block], cuts[block + 1]
                if alike:
                    found, equal = _hold_alike(s, state, indptr, indices, begin, end, p, held)
                    same += equal
                else:
                    found = _hold_varied(
                        s, state, indptr, indices, begin, end, J, limits, beta, held
                    )
                for i in range(begin, end):
                    parent[i] = i
                last, root = -1, 0
                for k in range(found):
                    if held[k, 0] != last:
                        last = held[k, 0]
                        root = held[k, 0]
                    root = _join(parent, root, held[k, 1])
            if record and alike and t > 0:
                out[r, t - 1, 1] = J[0] * (2 * same - indptr[n])
            if h.shape[0] > 0:
                _turn_clusters(s, state, parent, coin, h, beta, sums)
            else:
                _flip_clusters(s, state, parent, coin)
            if record:
                out[r, t, 0], out[r, t, 2] = totals(s, gauge, h)
                if not alike:
                    out[r, t, 1] = sum_pairs(s, indptr, indices, J)
                elif t == out.shape[1] - 1:
                    out[r, t, 1] = J[0] * count_pairs(s, indptr, indices)
