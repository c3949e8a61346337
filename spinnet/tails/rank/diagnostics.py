r"""What a set of counts can tell at all: coverage, unseen patterns, ranks above the noise.

With M inputs, f_1 patterns seen once and f_2 seen twice:

* coverage, the probability that a new input shows a pattern seen before, is 1 - f_1/M (Good,
  Biometrika 40, 237 (1953)), or in the version of Chao and Jost (Ecology 93, 2533 (2012), eq. 4a)
  1 - (f_1/M) (M-1) f_1 / ((M-1) f_1 + 2 f_2), which estimates the coverage of these M inputs
  rather than of M - 1.  The two differ by about 2 f_2/M^2, less than their error in any data.
* the number of patterns, seen or not, is at least D + f_1 (f_1 - 1) / (2 (f_2 + 1)) in the mean
  (Chao, Scand. J. Stat. 11, 265 (1984); form without f_2 = 0 as a special case).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import StatisticsError
from spinnet.tails.observations import multiplicities
from spinnet.validation import choice, integer

Floats = NDArray[np.float64]

MIN_RANKS = 20
MIN_COVERAGE = 0.9
MIN_DECADES = 1.5


@dataclass(frozen=True)
class CountDiagnostics:
    """What the counts of distinct patterns can carry.

    Attributes
    ----------
    n_total, n_distinct, n_singletons, n_doubletons : int
        Inputs M, distinct patterns D, and patterns seen once and twice.
    coverage : float
        Estimated probability that a new input shows a pattern seen before: 1 - n_singletons/M.
    chao1, chao1_error : float
        Lower estimate of the number of distinct patterns, seen or not, and its standard error.
    k_min, r_max : int
        The count cut, and the number of patterns with counts >= `k_min`.
    decades : float
        log10 of `r_max`.
    warnings : tuple of str
        What limits a fit to these counts.
    """

    n_total: int
    n_distinct: int
    n_singletons: int
    n_doubletons: int
    coverage: float
    chao1: float
    chao1_error: float
    k_min: int
    r_max: int
    decades: float
    warnings: tuple[str, ...]

    @property
    def undersampled(self) -> bool:
        """Whether `r_max` < 20 or `coverage` < 0.9."""
        return self.r_max < MIN_RANKS or self.coverage < MIN_COVERAGE

    def summary(self) -> str:
        """Return a few lines for people."""
        return "\n".join(
            [
                f"{self.n_total} inputs, {self.n_distinct} distinct patterns, "
                f"{self.n_singletons} seen once, {self.n_doubletons} twice",
                f"  coverage {self.coverage:.3f}, at least {self.chao1:.0f} +- "
                f"{self.chao1_error:.0f} patterns exist (Chao1)",
                f"  {self.r_max} ranks have counts >= {self.k_min} ({self.decades:.2f} decades)",
                *(f"  caution: {text}" for text in self.warnings),
            ]
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON."""
        names = self.__dataclass_fields__
        record: dict[str, object] = {"schema": 1, "kind": "count-diagnostics"}
        record.update({name: getattr(self, name) for name in names})
        return record | {"undersampled": self.undersampled, "warnings": list(self.warnings)}


def diagnose_counts(counts: ArrayLike, *, k_min: int = 10) -> CountDiagnostics:
    """Return what the counts of distinct patterns can carry.

    Parameters
    ----------
    counts : array_like, shape (n,)
        How often each distinct pattern was seen, in any order; zeros are left out.
    k_min : int
        Smallest count that a rank fit would use.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0, or a bad `k_min`.
    StatisticsError
        No count > 0.

    Examples
    --------
    >>> diagnose_counts([40, 20, 11, 2, 1, 1]).coverage
    0.9733333333333334
    """
    return diagnose_ranked(ranked_counts(counts), integer("k_min", k_min, minimum=1))


def coverage(counts: ArrayLike, method: str = "good-turing") -> float:
    """Return the estimated probability that a new input shows a pattern seen before.

    Parameters
    ----------
    counts : array_like, shape (n,)
        How often each distinct pattern was seen, in any order; zeros are left out.
    method : {"good-turing", "chao-jost"}
        1 - f_1/M, or the refinement of Chao and Jost, which matters only for a few inputs.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0, or an unknown method.
    StatisticsError
        No count > 0.

    Examples
    --------
    >>> coverage([7, 1, 1, 1])
    0.7
    """
    choice("method", method, ("good-turing", "chao-jost"))
    ranked = ranked_counts(counts)
    total, once, twice = (float(x) for x in _totals(ranked))
    unseen = once / total
    if method == "chao-jost" and once > 0.0:
        # f_2 = 0: f_1 (f_1 - 1) / 2 stands for f_1^2 / (2 f_2), as in Chao1
        top = (total - 1.0) * (once if twice > 0.0 else once - 1.0)
        unseen *= top / (top + 2.0 * max(twice, 1.0))
    return 1.0 - unseen


def ranked_counts(counts: ArrayLike) -> Floats:
    """Return the counts > 0 in decreasing order."""
    ranked = multiplicities("counts", counts)
    ranked = np.sort(ranked[ranked > 0])[::-1]
    if ranked.size == 0:
        raise StatisticsError("counts has no entry > 0: there is nothing to rank", estimate={})
    return ranked


def diagnose_ranked(ranked: Floats, k_min: int) -> CountDiagnostics:
    """Return the diagnostics of counts in decreasing order."""
    total, once, twice = _totals(ranked)
    r_max = int(np.count_nonzero(ranked >= k_min))
    decades = math.log10(r_max) if r_max else 0.0
    share = 1.0 - once / total
    chao1, error = _chao1(ranked.size, once, twice)
    return CountDiagnostics(
        n_total=total,
        n_distinct=ranked.size,
        n_singletons=once,
        n_doubletons=twice,
        coverage=share,
        chao1=chao1,
        chao1_error=error,
        k_min=k_min,
        r_max=r_max,
        decades=decades,
        warnings=_cautions(r_max, share, decades),
    )


def _totals(ranked: Floats) -> tuple[int, int, int]:
    once = int(np.count_nonzero(ranked == 1))
    # in int64: beyond 2^53 a float sum drops single inputs
    return int(ranked.astype(np.int64).sum()), once, int(np.count_nonzero(ranked == 2))


def _chao1(distinct: int, once: int, twice: int) -> tuple[float, float]:
    """Return Chao1 and its standard error, by the delta method.

    The numbers f_k of patterns seen k times are multinomial over the patterns that exist, so
    that cov(f_i, f_j) = f_i (delta_ij - f_j/S).
    """
    total = distinct + once * (once - 1) / (2.0 * (twice + 1))
    slope_1 = 1.0 + (2.0 * once - 1.0) / (2.0 * (twice + 1.0))
    slope_2 = 1.0 - once * (once - 1.0) / (2.0 * (twice + 1.0) ** 2)
    rest = distinct - once - twice
    mean = rest + slope_1 * once + slope_2 * twice
    square = rest + slope_1**2 * once + slope_2**2 * twice
    return total, math.sqrt(max(0.0, square - mean**2 / total))


def _cautions(r_max: int, share: float, decades: float) -> tuple[str, ...]:
    notes = []
    if r_max < MIN_RANKS:
        notes.append(f"only {r_max} ranks are above the count cut, a fit needs {MIN_RANKS}")
    if share < MIN_COVERAGE:
        notes.append(
            f"coverage is {share:.3f} < {MIN_COVERAGE}: a new input often shows a pattern never "
            "seen, and the rank curve is not settled"
        )
    if decades < MIN_DECADES:
        notes.append(
            f"the fit spans {decades:.2f} decades of ranks < {MIN_DECADES}: other laws fit as "
            "well over so short a range"
        )
    return tuple(notes)
