"""Distances between sorted data and a fitted law: Kolmogorov-Smirnov and Anderson-Darling.

The logarithms of cdf and sf are computed at the ends of cells of neighbouring ranks (single
points in the tails) and interpolated inside by cubic polynomials with the right slopes.  A cell
holds less than 1/128 of the data beyond it, so the error is far below that of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.stable.fit_sample import compress

Floats = NDArray[np.float64]

Tails = tuple[Floats, Floats, Floats]  # log pdf, log cdf, log sf

_EVERY_POINT = 500  # so many points are evaluated without interpolation
_WIDE = 0.05  # a cell across which cdf or sf changes by more, relatively, is evaluated in full


class Distances(NamedTuple):
    """Distances of a sample from a law."""

    ks: float
    anderson_darling: float


def distances(values: Floats, tails: Callable[[Floats], Tails]) -> Distances:
    """Return the two distances of sorted `values`; `tails` gives log pdf, log cdf and log sf."""
    below, above = _on_all(values, tails)
    n = values.size
    rank = np.arange(n)
    lower = np.exp(below)
    ks = max(float((lower - rank / n).max()), float(((rank + 1.0) / n - lower).max()))
    # D'Agostino and Stephens, Goodness-of-fit Techniques (1986), eq. 4.14
    total = (2.0 * rank + 1.0) @ below + (2.0 * (n - rank) - 1.0) @ above
    return Distances(ks, float(-n - total / n))


def _on_all(values: Floats, tails: Callable[[Floats], Tails]) -> tuple[Floats, Floats]:
    """Return log cdf and log sf at every value."""
    if values.size <= _EVERY_POINT:
        _, below, above = tails(values)
        return below, above
    nodes = np.unique(np.append(values[compress(values, _EVERY_POINT).starts], values[-1]))
    logpdf, below, above = tails(nodes)
    with np.errstate(over="ignore", under="ignore"):
        slopes = np.exp(logpdf - below), -np.exp(logpdf - above)
    rough = ~(np.isfinite(slopes[0]) & np.isfinite(slopes[1]))
    wide = (np.abs(np.diff(below)) > _WIDE) | (np.abs(np.diff(above)) > _WIDE)
    wide |= rough[1:] | rough[:-1]
    which = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    left = nodes[which]
    width = nodes[which + 1] - left
    t = (values - left) / width
    cubic = _hermite(t)
    result = []
    for value, slope in zip((below, above), slopes, strict=True):
        slope = np.where(rough, 0.0, slope)
        result.append(
            cubic[0] * value[which]
            + cubic[1] * value[which + 1]
            + width * (cubic[2] * slope[which] + cubic[3] * slope[which + 1])
        )
    direct = wide[which] & (t > 0.0) & (t < 1.0)
    if direct.any():
        _, result[0][direct], result[1][direct] = tails(values[direct])
    return result[0], result[1]


def _hermite(t: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the cubics that are 1 in value left and right, and in slope left and right."""
    right = t * t * (3.0 - 2.0 * t)
    return 1.0 - right, right, t * (1.0 - t) ** 2, t * t * (t - 1.0)
