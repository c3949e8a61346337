"""Split-sample exponent: ranks from one half of the inputs, counts from the other.

Ranks and frequencies of one sample share their noise, which bends the rank curve: a pattern that
was seen too often by chance also gets too small a rank.  Piantadosi (Psychon. Bull. Rev. 21, 1112
(2014)) takes ranks from a random half of the inputs and counts from the other, so that their noise
is independent.  Ranks are then sometimes wrong, which flattens or steepens the curve instead: the
split sample is no better an estimate, but its distance from the fit to all inputs shows how much
the ranking matters.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import StatisticsError
from spinnet.tails.rank.laws import fit_law

Floats = NDArray[np.float64]

_HYPERGEOMETRIC = 10**9  # NumPy's limit on the total


class SplitSample(NamedTuple):
    """Mean over splits of the exponent and of its error, their spread, and the splits that failed.

    `error` is that of one half, for known ranks.
    """

    s: float
    error: float
    spread: float
    n_failed: int
    n_ranks: float


def split_sample(
    ranked: Floats, k_min: int, n_splits: int, rng: np.random.Generator
) -> SplitSample:
    """Average the split-sample exponent of counts over random halves of the inputs.

    Ranks are those of patterns with at least `k_min` counts in the first half; ties are ordered
    at random, since any order of their own would leak the true one.
    """
    found = np.full((n_splits, 3), math.nan)
    for i in range(n_splits):
        counts = _counts_by_rank(ranked.astype(np.int64), k_min, rng)
        if np.count_nonzero(counts) < 2:
            continue
        try:
            law = fit_law("zipf", counts)
        except StatisticsError:
            continue
        found[i] = law.values[0], law.errors[0], counts.size
    good = found[np.isfinite(found[:, 0])]
    if not good.size:
        return SplitSample(math.nan, math.nan, math.nan, n_splits, 0.0)
    s, error, size = good.mean(axis=0)
    spread = good[:, 0].std(ddof=1) if len(good) > 1 else math.nan
    return SplitSample(float(s), float(error), float(spread), n_splits - len(good), float(size))


def _counts_by_rank(counts: NDArray[np.int64], k_min: int, rng: np.random.Generator) -> Floats:
    first = halve(counts, rng)
    order = np.lexsort((rng.random(first.size), -first))
    order = order[first[order] >= k_min]
    return (counts - first)[order].astype(np.float64)


def halve(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the counts of a random half of the inputs.

    Half of them without replacement; beyond 10^9 inputs each with probability 1/2, which changes
    the size of the half by a relative 1e-5 at most.
    """
    total = int(counts.sum())
    if total < _HYPERGEOMETRIC:
        return rng.multivariate_hypergeometric(counts, total // 2, method="marginals")
    return rng.binomial(counts, 0.5)
