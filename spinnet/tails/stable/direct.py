"""Log-density, log-cdf and log-sf of the standard stable law (S0) at one point, by the best route.

The routes and where each is used are in `point`; none of them depends on a table.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.stable.zolotarev import zolotarev

Floats = NDArray[np.float64]


@compiled(nogil=True, error_model="numpy")
def point(x: float, y: float, right: Floats, left: Floats) -> tuple[float, float, float]:
    """Return (log pdf, log cdf, log sf); `y` = x - zeta is passed since rounding may lose it.

    `right` and `left` are the `side_constants` of beta and of -beta.
    """
    if y > 0.0:
        return zolotarev(x, y, right)
    density, upper, lower = zolotarev(-x, -y, left)
    return density, lower, upper


@compiled(nogil=True, error_model="numpy")
def points(x: Floats, y: Floats, right: Floats, left: Floats) -> Floats:
    """Return `point` of each entry, shape (3, n)."""
    out = np.empty((3, x.size))
    for i in range(x.size):
        out[0, i], out[1, i], out[2, i] = point(x[i], y[i], right, left)
    return out
