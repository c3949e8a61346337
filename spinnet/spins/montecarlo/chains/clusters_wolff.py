"""Kernel of the Wolff update: one cluster after the other, grown and flipped.

U. Wolff, Phys. Rev. Lett. 62, 361 (1989).  A spin is a byte, 1 where it is up; a spin that waits
in the queue of its cluster has 2 added, so that it is not tested again.  A spin is flipped when
its turn comes: its bonds then see each neighbour as it is, and the change of the energy is that
of flipping the spins one by one.

In fields, a grown cluster is flipped with probability min(1, exp(-2 beta sum_C h_i s_i)), which
keeps the Boltzmann distribution for fields of any sign.

A random word serves four bonds that are all alike, or two that are not.  Its 16 or 32 bits
decide but once in 2^16 or 2^32 bonds, when another word decides the rest of the probability.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.spins.montecarlo.chains.clusters_words import (
    below,
    exponential,
    next_word,
    uniform_of,
)

UNKNOWN = -(2**62)  # a pair sum that has to be counted
_LOW = np.uint64(0xFFFF)
_HALF = np.uint64(0xFFFFFFFF)
_FLIP = np.uint8(1)
_WAITING = np.uint8(2)


@compiled()
def fill_limits(limits: Any, J: Any, beta: Any) -> None:
    """Write the first 32 bits of the chance 1 - exp(-2 beta J) of every bond into `limits`."""
    for k in range(J.shape[0]):
        scaled = -math.expm1(-2.0 * beta * J[k]) * 4294967296.0
        limits[k] = np.uint32(min(scaled, 4294967295.0))


@compiled()
def grow_alike(
    s: Any, state: Any, indptr: Any, indices: Any, p: Any, h: Any, one_sign: Any, limit: Any,
    queue: Any,
) -> Any:  # fmt: skip
    """Grow and flip the cluster of the spin in queue[0]; see :func:`wolff_sweeps`.

    Returns
    -------
    tuple
        Spins flipped, spins in the queue, the change of the pair sum, sum_C h_i s_i before.
    """
    a, b, c, d = state[0], state[1], state[2], state[3]
    scaled = p * 65536.0
    first = np.uint64(min(scaled, 65535.0))
    rest = scaled - np.float64(first)
    old = s[queue[0]]
    s[queue[0]] = old | _WAITING
    word = np.uint64(0)
    head, tail, same, ends, pull = 0, 1, 0, 0, 0.0
    while head < tail:
        i = queue[head]
        head += 1
        s[i] = old ^ _FLIP
        if h.shape[0] > 0:
            pull += h[i] if old else -h[i]
            if one_sign and pull > limit:
                break
        start, stop = indptr[i], indptr[i + 1]
        ends += stop - start
        for k in range(start, stop):
            if (k - start) & 3 == 0:
                word, a, b, c, d = next_word(a, b, c, d)
            part = word & _LOW
            word >>= np.uint64(16)
            joins = part < first
            if part == first:
                extra, a, b, c, d = next_word(a, b, c, d)
                joins = uniform_of(extra) < rest
            j = indices[k]
            spin = s[j]
            same += (spin & _FLIP) == old
            joined: Any = np.uint8(joins) & np.uint8(spin == old)
            # no branch: what does not join is overwritten by the next
            s[j] = spin | (joined << np.uint8(1))
            queue[tail] = j
            tail += joined
    state[0], state[1], state[2], state[3] = a, b, c, d
    return head, tail, 2 * (ends - 2 * same), pull


@compiled()
def grow_varied(
    s: Any, state: Any, indptr: Any, indices: Any, J: Any, limits: Any, beta: Any, h: Any,
    one_sign: Any, limit: Any, queue: Any,
) -> Any:  # fmt: skip
    """Grow and flip a cluster over bonds that are not alike; see :func:`grow_alike`."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    old = s[queue[0]]
    s[queue[0]] = old | _WAITING
    word = np.uint64(0)
    head, tail, pull = 0, 1, 0.0
    while head < tail:
        i = queue[head]
        head += 1
        s[i] = old ^ _FLIP
        if h.shape[0] > 0:
            pull += h[i] if old else -h[i]
            if one_sign and pull > limit:
                break
        start, stop = indptr[i], indptr[i + 1]
        for k in range(start, stop):
            if (k - start) & 1 == 0:
                word, a, b, c, d = next_word(a, b, c, d)
            part = word & _HALF
            word >>= np.uint64(32)
            first = np.uint64(limits[k])
            joins = part < first
            if part == first:
                extra, a, b, c, d = next_word(a, b, c, d)
                scaled = -math.expm1(-2.0 * beta * J[k]) * 4294967296.0
                joins = uniform_of(extra) < scaled - np.float64(first)
            j = indices[k]
            spin = s[j]
            joined: Any = np.uint8(joins) & np.uint8(spin == old)
            s[j] = spin | (joined << np.uint8(1))
            queue[tail] = j
            tail += joined
    state[0], state[1], state[2], state[3] = a, b, c, d
    return head, tail, 0, pull


@compiled()
def count_pairs(s: Any, indptr: Any, indices: Any) -> Any:
    """Return the sum of s_i s_j over the entries (i, j)."""
    pairs = 0
    for i in range(s.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            pairs += 1 if s[indices[k]] == s[i] else -1
    return pairs


@compiled()
def sum_pairs(s: Any, indptr: Any, indices: Any, J: Any) -> Any:
    """Return the sum of J_ij s_i s_j over the entries (i, j)."""
    pairs = 0.0
    for i in range(s.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            pairs += J[k] if s[indices[k]] == s[i] else -J[k]
    return pairs


@compiled()
def totals(s: Any, gauge: Any, h: Any) -> Any:
    """Return the sums of g_i s_i and of h_i s_i."""
    n = s.shape[0]
    up, total, pull = 0, 0, 0.0
    if gauge.shape[0] == 0:
        for i in range(n):
            up += s[i]
        total = 2 * up - n
    else:
        for i in range(n):
            total += gauge[i] if s[i] else -gauge[i]
    for i in range(h.shape[0]):
        pull += h[i] if s[i] else -h[i]
    return total, pull


@compiled(nogil=True)
def wolff_sweeps(
    spins: Any, rng: Any, pairs: Any, indptr: Any, indices: Any, J: Any, h: Any, one_sign: Any,
    gauge: Any, betas: Any, counts: Any, record: Any, out: Any,
) -> None:  # fmt: skip
    """Sweep replicas.

    Parameters
    ----------
    spins : uint8, (n_replicas, n)
        1 for up.
    rng : uint64, (n_replicas, 4)
    pairs : int64, (n_replicas,)
        Sum of s_i s_j over the bonds, or UNKNOWN; kept up where all bonds are alike.
    indptr, indices : int32, as in CSR; each bond twice
    J : float64
        One number where all bonds are alike, else one for each entry; >= 0.
    h : float64, (n,), or empty where no field acts
    one_sign : bool
        Whether no two fields have different signs: a cluster can then stop growing where its
        field alone forbids the flip.
    gauge : int8, (n,), or empty
        Signs of the spins in the magnetisation.
    betas : float64, (n_replicas,)
    counts : float64, (n_replicas, 2)
        Clusters of a sweep, and the chance of one more.
    record : bool
    out : float64, (n_replicas, n_sweeps, 4)
        Sums of g_i s_i, of J_ij s_i s_j over bonds and of h_i s_i after each sweep (if
        recorded), and the spins visited in it.
    """
    n = spins.shape[1]
    queue = np.empty(n + 1, np.int32)
    alike = J.shape[0] == 1
    limits = np.empty(0 if alike else J.shape[0], np.uint32)
    filled = -1.0
    for r in range(spins.shape[0]):
        s, state, beta = spins[r], rng[r], betas[r]
        p = 0.0
        if alike:
            p = -math.expm1(-2.0 * beta * J[0])
            if record and pairs[r] == UNKNOWN:
                pairs[r] = count_pairs(s, indptr, indices) // 2
        elif beta != filled:
            fill_limits(limits, J, beta)
            filled = beta
        for t in range(out.shape[1]):
            visited = 0
            word, a, b, c, d = next_word(state[0], state[1], state[2], state[3])
            n_clusters = np.int64(counts[r, 0]) + np.int64(uniform_of(word) < counts[r, 1])
            state[0], state[1], state[2], state[3] = a, b, c, d
            for _ in range(n_clusters):
                word, a, b, c, d = next_word(state[0], state[1], state[2], state[3])
                queue[0] = below(word, n)
                old = s[queue[0]]
                limit = np.inf
                if h.shape[0] > 0 and beta > 0.0:
                    word, a, b, c, d = next_word(a, b, c, d)
                    limit = exponential(word) / (2.0 * beta)
                state[0], state[1], state[2], state[3] = a, b, c, d
                if alike:
                    head, tail, change, pull = grow_alike(
                        s, state, indptr, indices, p, h, one_sign, limit, queue
                    )
                else:
                    head, tail, change, pull = grow_varied(
                        s, state, indptr, indices, J, limits, beta, h, one_sign, limit, queue
                    )
                visited += head
                if pull > limit:
                    for k in range(tail):
                        s[queue[k]] = old
                elif pairs[r] != UNKNOWN:
                    pairs[r] += change
            if record:
                total, field = totals(s, gauge, h)
                out[r, t, 0], out[r, t, 2] = total, field
                if alike:
                    out[r, t, 1] = J[0] * pairs[r]
                else:
                    out[r, t, 1] = 0.5 * sum_pairs(s, indptr, indices, J)
            out[r, t, 3] = visited
