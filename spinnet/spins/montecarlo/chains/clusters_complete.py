"""Cluster kernels for the Curie-Weiss model, in O(N) a sweep.

All N(N-1)/2 bonds are alike, and a spin that has been taken out of the queue tests those to the
spins of its sign that no cluster holds yet.  The number of tests between two successes is
geometric: floor(e/(2 beta J/N)) with e exponential of mean 1, so that failures cost nothing
(Y. Fukui & S. Todo, J. Comput. Phys. 228, 2629 (2009), reach O(N) likewise).
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


@compiled()
def _grow(sites: Any, end: Any, state: Any, reach: Any, pull: Any, limit: Any) -> Any:
    """Move the cluster of sites[end - 1] to sites[begin:end]; return `begin`.

    `reach` is 1/(2 beta J/N); growth ends where `pull` for each spin passes `limit`.
    """
    a, b, c, d = state[0], state[1], state[2], state[3]
    rest = end - 1  # sites[:rest] are in no cluster yet
    turn = end - 1
    while turn >= rest and (end - rest) * pull <= limit:
        position = 0
        while True:
            word, a, b, c, d = next_word(a, b, c, d)
            skip = exponential(word) * reach
            if not skip < rest - position:
                break
            position += int(skip)
            rest -= 1
            # the spin that comes to this position has not been tested yet
            sites[position], sites[rest] = sites[rest], sites[position]
        turn -= 1
    state[0], state[1], state[2], state[3] = a, b, c, d
    return rest


@compiled()
def _sort(s: Any, sites: Any) -> Any:
    """List the spins that are down in sites[0] and those up in sites[1]; return how many."""
    n_down, n_up = 0, 0
    for i in range(s.shape[0]):
        sites[0, n_down] = i
        sites[1, n_up] = i
        n_up += s[i]
        n_down += 1 - s[i]
    return n_down, n_up


@compiled()
def _write(out: Any, total: Any, J: Any, h: Any, n: Any) -> None:
    out[0] = total
    out[1] = 0.5 * J / n * (float(total) * total - n)
    out[2] = h * total


@compiled(nogil=True)
def wolff_complete(
    spins: Any, rng: Any, J: Any, h: Any, betas: Any, counts: Any, record: Any, out: Any
) -> None:
    """Sweep replicas of the Curie-Weiss model; arguments as in ``wolff_sweeps``."""
    n = spins.shape[1]
    sites = np.empty((2, n + 1), np.int32)
    size = np.empty(2, np.int64)
    for r in range(spins.shape[0]):
        s, state, beta = spins[r], rng[r], betas[r]
        rate = 2.0 * beta * J / n
        reach = 1.0 / rate if rate > 0.0 else np.inf
        for t in range(out.shape[1]):
            size[0], size[1] = _sort(s, sites)
            visited = 0
            word, a, b, c, d = next_word(state[0], state[1], state[2], state[3])
            n_clusters = np.int64(counts[r, 0]) + np.int64(uniform_of(word) < counts[r, 1])
            for _ in range(n_clusters):
                word, a, b, c, d = next_word(a, b, c, d)
                seed = below(word, n)
                up = 0 if seed < size[0] else 1
                seed -= up * size[0]
                limit = np.inf
                if h != 0.0 and beta > 0.0:
                    word, a, b, c, d = next_word(a, b, c, d)
                    limit = exponential(word) / (2.0 * beta)
                state[0], state[1], state[2], state[3] = a, b, c, d
                own, other = sites[up], sites[1 - up]
                end = size[up]
                own[seed], own[end - 1] = own[end - 1], own[seed]
                pull = h if up == 1 else -h
                begin = _grow(own, end, state, reach, pull, limit)
                a, b, c, d = state[0], state[1], state[2], state[3]
                visited += end - begin
                if (end - begin) * pull <= limit:
                    for k in range(begin, end):
                        other[size[1 - up]] = own[k]
                        size[1 - up] += 1
                        s[own[k]] = 1 - up
                    size[up] = begin
            state[0], state[1], state[2], state[3] = a, b, c, d
            if record:
                _write(out[r, t], size[1] - size[0], J, h, n)
            out[r, t, 3] = visited


@compiled(nogil=True)
def swendsen_wang_complete(
    spins: Any, rng: Any, J: Any, h: Any, betas: Any, record: Any, out: Any
) -> None:
    """Sweep replicas of the Curie-Weiss model; arguments as in ``swendsen_wang_sweeps``."""
    n = spins.shape[1]
    sites = np.empty((2, n + 1), np.int32)
    size = np.empty(2, np.int64)
    for r in range(spins.shape[0]):
        s, state, beta = spins[r], rng[r], betas[r]
        rate = 2.0 * beta * J / n
        reach = 1.0 / rate if rate > 0.0 else np.inf
        for t in range(out.shape[1]):
            size[0], size[1] = _sort(s, sites)
            total = 0
            for up in range(2):
                end = size[up]
                while end > 0:
                    begin = _grow(sites[up], end, state, reach, 0.0, np.inf)
                    word, a, b, c, d = next_word(state[0], state[1], state[2], state[3])
                    state[0], state[1], state[2], state[3] = a, b, c, d
                    field = 2.0 * beta * h * (end - begin)
                    sign = uniform_of(word) < 1.0 / (1.0 + math.exp(-field))
                    for k in range(begin, end):
                        s[sites[up, k]] = sign
                    total += (end - begin) * (1 if sign else -1)
                    end = begin
            if record:
                _write(out[r, t], total, J, h, n)
