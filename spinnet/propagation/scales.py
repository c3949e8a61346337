"""Depth scales: in how many layers a deviation falls by a factor e."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def depth_scale(slope: ArrayLike, one_minus_slope: ArrayLike) -> NDArray[np.float64]:
    """Return -1/ln|slope|, from whichever of `slope` and `one_minus_slope` is exact.

    Infinite at slope 1, 0 at slope 0, negative for slopes above 1; NaN stays NaN.
    """
    slope, rest = (np.asarray(a, dtype=np.float64) for a in (slope, one_minus_slope))
    with np.errstate(divide="ignore", invalid="ignore"):
        small = 1 / np.abs(np.log(np.abs(slope)))
        large = np.where(rest == 0, np.inf, -1 / np.log1p(-rest))
    return np.asarray(np.where(np.isnan(slope), np.nan, np.where(slope < 0.5, small, large)))
