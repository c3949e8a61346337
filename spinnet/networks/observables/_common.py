"""What the four observables share: plain numbers for JSON, axes, jackknife errors of moments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLACK, VERMILLION, BLUE, GREY = "#000000", "#D55E00", "#0072B2", "#999999"


def plain(value: Any) -> Any:
    """Return `value` in types that JSON knows; NaN and infinities become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def central_moments(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the second, third and fourth moments about the mean."""
    d = values - values.mean()
    return float((d**2).mean()), float((d**3).mean()), float((d**4).mean())


def leave_one_out_moments(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the central moments of the sample without each of its values in turn.

    With d = x - mean(x), the mean of the others is a = -d_i / (n - 1), and the moments about it
    follow from the raw moments R_k = (sum d^k - d_i^k) / (n - 1).
    """
    n = len(values)
    d = values - values.mean()
    a = -d / (n - 1)
    r2, r3, r4 = (((d**k).sum() - d**k) / (n - 1) for k in (2, 3, 4))
    return (
        r2 - a**2,
        r3 - 3 * a * r2 + 2 * a**3,
        r4 - 4 * a * r3 + 6 * a**2 * r2 - 3 * a**4,
    )


def jackknife_error(replicates: NDArray[np.float64]) -> float:
    """Return the standard error from leave-one-out replicates (NaN if any is undefined)."""
    n = len(replicates)
    if n < 2 or not np.isfinite(replicates).all():
        return math.nan
    return float(np.sqrt((n - 1) * np.var(replicates)))
