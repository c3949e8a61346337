"""p-values by simulation: the share of replicates at least as far from their own fit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def share_as_far(replicates: NDArray[np.float64], observed: float) -> tuple[float, float, int]:
    """Return (p, its binomial error, number of NaN replicates, which are left out)."""
    valid = replicates[np.isfinite(replicates)]
    n_failed = replicates.size - valid.size
    if valid.size == 0:
        return math.nan, math.nan, n_failed
    p = float((valid >= observed).mean())
    return p, math.sqrt(p * (1.0 - p) / valid.size), n_failed


def p_text(p: float, error: float | None, n_valid: int) -> str:
    """Return ``"p = 0.12 +- 0.03"``, without the error if it is None.

    Where no replicate was as far, all that is known is p < 1/n_valid.
    """
    if p == 0.0 and n_valid > 0:
        return f"p < {1.0 / n_valid:.2g}"
    if error is None:
        return f"p = {p:.2g}" if p < 0.01 else f"p = {p:.2f}"
    return f"p = {p:.3f} +- {error:.3f}"
