"""Counts of patterns reduced to what entropies need: how many patterns were seen k times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import StatisticsError
from spinnet.tails.observations import multiplicities

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Distinct counts `k` > 0, increasing, and how many patterns have each, `m`; both float64."""

    k: Floats
    m: Floats

    @property
    def n_total(self) -> int:
        """Number of inputs M."""
        return int(self.k @ self.m)

    @property
    def n_distinct(self) -> int:
        """Number of patterns seen."""
        return int(self.m.sum())

    def seen(self, times: int) -> int:
        """Return the number of patterns seen `times` times."""
        return int(self.m[self.k == times].sum())

    @property
    def coverage(self) -> float:
        """Good-Turing coverage 1 - m_1/M: the estimated probability of the patterns seen."""
        return 1.0 - self.seen(1) / self.n_total


def read_counts(counts: ArrayLike) -> Spectrum:
    """Return the spectrum of counts, leaving out zeros, which carry no probability.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0.
    StatisticsError
        No count > 0.
    """
    array = multiplicities("counts", counts)
    array = array[array > 0]
    if array.size == 0:
        raise StatisticsError("counts has no entry > 0: nothing was seen", estimate=None)
    k, m = np.unique(array, return_counts=True)
    return Spectrum(k, m.astype(np.float64))
