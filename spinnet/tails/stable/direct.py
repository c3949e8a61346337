"""Log-density, log-cdf and log-sf of the standard stable law (S0) at one point, by the best route.

============================================  ==================================================
where                                         route
============================================  ==================================================
|alpha - 1| and |beta| below 0.02             `near_one.ray` for |x| <= 4, `near_one.laplace` beyond
|alpha - 1| < 0.05, |x| > 12, a heavy tail    `near_one.laplace`
far in the tail                               `series.far_series`
near y = 0, alpha > 1                         `series.near_series`
everywhere else                               `zolotarev.zolotarev`
============================================  ==================================================

Every route keeps relative accuracy in the smaller of cdf and sf, and in the density.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.stable.near_one import laplace, ray
from spinnet.tails.stable.series import far_series, near_series
from spinnet.tails.stable.zolotarev import zolotarev

Floats = NDArray[np.float64]


@compiled(nogil=True, error_model="numpy")
def _centre(k: Floats) -> tuple[float, float, float]:
    """Return the values at y = 0: C Gamma(1 + 1/alpha) sin(pi rho) / pi, 1 - rho, rho."""
    rho, omega, log_c = k[4], k[6], k[7]
    if rho == 0.0:
        return -math.inf, 0.0, -math.inf
    if omega == 0.0:
        return -math.inf, -math.inf, 0.0
    sine = math.sin(min(rho, omega))
    log_pdf = log_c + math.lgamma(1.0 + 1.0 / k[0]) + math.log(sine / math.pi)
    return log_pdf, math.log(omega / math.pi), math.log(rho / math.pi)


@compiled(nogil=True, error_model="numpy")
def _positive(x: float, y: float, k: Floats, coefficients: Floats) -> tuple[float, float, float]:
    """Return (log pdf, log cdf, log sf) at y > 0."""
    if k[4] == 0.0 or y == math.inf:
        return -math.inf, 0.0, -math.inf
    usable, density, lower, upper = near_series(y, k, coefficients)
    if usable:
        return density, lower, upper
    usable, density, lower, upper = far_series(y, k, coefficients)
    if usable:
        return density, lower, upper
    density, lower, upper = zolotarev(x, y, k)
    return density, lower, upper


@compiled(nogil=True, error_model="numpy")
def point(
    x: float, y: float, right: Floats, left: Floats, series: Floats
) -> tuple[float, float, float]:
    """Return (log pdf, log cdf, log sf); `y` = x - zeta is passed since rounding may lose it.

    `right` and `left` are the `side_constants` of beta and of -beta, `series` (2, 2, terms)
    their `series_coefficients`.
    """
    if math.isnan(x):
        return x, x, x
    size = abs(x)
    near_cauchy = abs(right[1]) < 0.02 and abs(right[2]) < 0.02
    if near_cauchy and size <= 4.0:
        density, lower, upper = ray(x, right)
        return density, lower, upper
    k = right if x > 0.0 else left
    if size < math.inf and (near_cauchy or (abs(k[1]) < 0.05 and size > 12.0 and k[2] > -1.0)):
        density, lower, upper = laplace(size, k)
        return (density, lower, upper) if x > 0.0 else (density, upper, lower)
    if y > 0.0:
        density, lower, upper = _positive(x, y, right, series[0])
        return density, lower, upper
    if y < 0.0:
        density, upper, lower = _positive(-x, -y, left, series[1])
        return density, lower, upper
    density, lower, upper = _centre(right)
    return density, lower, upper


@compiled(nogil=True, error_model="numpy")
def points(x: Floats, y: Floats, right: Floats, left: Floats, series: Floats) -> Floats:
    """Return `point` of each entry, shape (3, n)."""
    out = np.empty((3, x.size))
    for i in range(x.size):
        out[0, i], out[1, i], out[2, i] = point(x[i], y[i], right, left, series)
    return out
