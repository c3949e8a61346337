"""Sampled curves: where they peak."""

from __future__ import annotations

import numpy as np

from spinnet.comparison.layer import Array


def peak(x: Array, y: Array) -> float:
    """Return the abscissa of the maximum, by a parabola through the top three points.

    At an end of the grid that end is returned.
    """
    k = int(np.argmax(y))
    if k in (0, len(x) - 1):
        return float(x[k])
    c = np.polyfit(x[k - 1 : k + 2] - x[k], y[k - 1 : k + 2], 2)
    return float(x[k] - c[1] / (2 * c[0]))
