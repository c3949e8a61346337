"""Large samples as few weighted points, on which sums of smooth functions stay the same.

Neighbours in rank form cells, small in the tails (single points at the ends) and larger in the
bulk.  Each cell of more than one point becomes two points of the same mean and variance, so that
the sum of a function over the sample changes only in the third order of the cell's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.validation import finite_array

Floats = NDArray[np.float64]

LARGEST_KEPT = 20_000  # samples up to this size are used point by point
_GROWTH = 1.0 / 128.0  # a cell holds at most this share of the points beyond it
_LARGEST_SPREAD = 1e150  # squares of the standardised data must not overflow
_LARGEST = 1e307
_SMALLEST_N = 10


@dataclass(frozen=True)
class Sample:
    """Sorted data, and weighted points that stand for them.

    Attributes
    ----------
    values : ndarray, shape (n,)
        Sorted.
    points, weights : ndarray, shape (n_points,)
        The weights add up to n.
    starts : ndarray of int
        First rank of each cell; the cells are single points for small samples.
    """

    values: Floats
    points: Floats
    weights: Floats
    starts: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of observations."""
        return int(self.values.size)

    def total(self, values: Floats) -> float:
        """Return the sum over the sample of a function given at `points`."""
        return float(self.weights @ values)

    def scaled(self, loc: float, scale: float) -> Sample:
        """Return the sample of (x - loc) / scale."""
        return Sample(
            (self.values - loc) / scale, (self.points - loc) / scale, self.weights, self.starts
        )


def read_values(x: ArrayLike, smallest: int = _SMALLEST_N) -> Floats:
    """Return the data flattened and sorted, after checking that a law can be fitted to them."""
    values = np.sort(finite_array("x", x).ravel())
    if values.size < smallest:
        raise StatisticsError(
            f"x has {values.size} value(s), a fit needs at least {smallest}",
            estimate={"n": int(values.size)},
        )
    largest = max(-float(values[0]), float(values[-1]))
    if largest > _LARGEST:
        raise InputError(
            f"x must lie within {-_LARGEST:g} and {_LARGEST:g}, for differences to be finite, got "
            f"{values[0] if largest == -values[0] else values[-1]:g}; divide x by a constant"
        )
    if values[0] == values[-1]:
        raise StatisticsError(
            f"all {values.size} values of x equal {values[0]}: a fit needs data that vary",
            estimate={"n": int(values.size), "loc": float(values[0]), "scale": 0.0},
        )
    return values


def centre_and_spread(values: Floats) -> tuple[float, float]:
    """Return the median and the interquartile range of sorted data, or another positive spread.

    More than half of the data may be equal; then the narrowest symmetric range of quantiles that
    is not empty is taken.
    """
    median = float(np.median(values))
    for share in (0.25, 0.1, 0.05, 0.01, 1e-3):
        low, high = np.quantile(values, [share, 1.0 - share])
        if high > low:
            break
    else:
        low, high = values[0], values[-1]
    spread = float(high - low)
    # differences, so that data near the largest double do not overflow
    reach = max(
        float(values[-1] / spread - median / spread), float(median / spread - values[0] / spread)
    )
    if not np.isfinite(spread) or reach > _LARGEST_SPREAD:
        raise InputError(
            f"x must lie within {_LARGEST_SPREAD:g} interquartile ranges of its median, got "
            f"{reach:g}; leave out what is not data"
        )
    return median, spread


def compress(values: Floats, largest: int = LARGEST_KEPT) -> Sample:
    """Return the sorted data with points and weights that stand for them."""
    if values.size <= largest:
        ranks = np.arange(values.size)
        return Sample(values, values, np.ones(values.size), ranks)
    starts = _cell_starts(values.size)
    sizes = np.diff(starts, append=values.size)
    first = values[starts]
    offsets = values - np.repeat(first, sizes)
    means = np.add.reduceat(offsets, starts) / sizes
    spreads = np.add.reduceat((offsets - np.repeat(means, sizes)) ** 2, starts) / sizes
    shift = np.sqrt(spreads)
    single = sizes == 1
    points = np.concatenate([(first + means - shift), (first + means + shift)[~single]])
    weights = np.concatenate([np.where(single, 1.0, 0.5 * sizes), 0.5 * sizes[~single]])
    order = np.argsort(points, kind="stable")
    return Sample(values, points[order], weights[order], starts)


def _cell_starts(n: int) -> NDArray[np.int64]:
    """Return the first rank of each cell; cells grow from both ends towards the middle."""
    ranks, rank = [], 0
    while rank < n // 2:
        ranks.append(rank)
        rank += max(1, int(rank * _GROWTH))
    upper = [n - rank for rank in ranks[1:] if n - rank > ranks[-1]]
    return np.array(ranks + upper[::-1], dtype=np.int64)
