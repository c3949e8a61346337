"""Where a noisy difference of two curves changes its sign, as far as the data support it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
SIGNIFICANT = 3.0  # joint standard errors that each side of a crossing must show
_CLEAR = 2.0  # standard errors from 0 or 2/3 that a cumulant at a crossing must show
_PHASES = (0.0, 2 / 3)  # cumulants of the disordered and of the ordered phase


def likeliest_rise(gap: Array, sigma: Array | None) -> int | None:
    """Return k such that the difference turns from < 0 at k to >= 0 at k + 1; None if never.

    Of several, the one with the largest likelihood of the signs on both sides,
    prod Phi(-+ gap/sigma); without errors the one with the largest sum of -+ gap.

    Parameters
    ----------
    gap : ndarray, shape (n,)
    sigma : ndarray, shape (n,), or None
    """
    rises = np.flatnonzero((gap[:-1] < 0) & (gap[1:] >= 0))
    if rises.size == 0:
        return None
    if sigma is None:
        below, above = -gap, gap
    else:
        below, above = special.log_ndtr(-gap / sigma), special.log_ndtr(gap / sigma)
    score = np.cumsum(below)[rises] + above.sum() - np.cumsum(above)[rises]
    return int(rises[np.argmax(score)])


def support(gap: Array, sigma: Array, k: int) -> tuple[float, float]:
    """Return how many errors the difference is < 0 up to k, and > 0 from k + 1 on.

    Each is the largest sum(z)/sqrt(n) over the n points next to the change, any n.
    """
    z = gap / sigma
    return _best_run(-z[: k + 1][::-1]), _best_run(z[k + 1 :])


def _best_run(z: Array) -> float:
    return float(np.max(np.cumsum(z) / np.sqrt(np.arange(1, z.size + 1))))


def in_one_phase(values: Array, sigma: Array) -> bool:
    """Return whether all cumulants agree with 0, or all with 2/3, within two errors."""
    return any(bool(np.all(np.abs(values - u) < _CLEAR * sigma)) for u in _PHASES)


def significant_changes(gap: Array, sigma: Array | None) -> list[tuple[int, int]]:
    """Return (i, j), neighbours among the points that differ from 0, of opposite signs."""
    clear = gap != 0 if sigma is None else np.abs(gap) >= SIGNIFICANT * sigma
    rows = np.flatnonzero(clear)
    return [(int(i), int(j)) for i, j in itertools.pairwise(rows) if gap[i] * gap[j] < 0]
