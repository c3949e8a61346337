r"""Series of the stable laws in the S1 variable y > 0, with precomputed coefficients.

With u = yC (constants: ``parameters.side_constants``) and chi = pi (1 - alpha rho),

.. math::
    \mathrm{pdf} &= \frac{1}{\pi y}\sum_{k\ge1}
    \frac{\Gamma(k\alpha+1)}{k!}\sin(k\chi)\,u^{-k\alpha} \\
    \mathrm{pdf} &= \frac{C}{\pi}\sum_{k\ge1} (-1)^{k-1}\frac{\Gamma(k/\alpha+1)}{k!}
    \sin(k\pi\rho)\,u^{k-1}

(Zolotarev 1986, section 2.5; the first converges for alpha < 1 and is asymptotic for alpha > 1,
the second is entire for alpha > 1 and not used for alpha < 1).  The survival function follows
term by term.  A series is used only where its last term and the loss of digits are small.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from spinnet.compiling import compiled

Floats = NDArray[np.float64]
_TERMS = 70


def series_coefficients(k: Floats) -> Floats:
    """Return the coefficients of u^(-k alpha) and of u^k, shape (2, 70), for `side_constants`."""
    alpha, rho, chi, product = k[0], k[4], k[5], k[9]
    n = np.arange(1, _TERMS + 1)
    flip = np.where(n % 2 == 1, 1.0, -1.0)
    far = np.sin(n * chi) if chi < product else flip * np.sin(n * product)
    out = np.zeros((2, _TERMS))
    log_factorial = gammaln(n + 1.0)
    out[0] = np.exp(gammaln(n * alpha + 1.0) - log_factorial) * far / np.pi
    if alpha > 1.0:
        near = flip * np.sin(n * rho) / np.pi
        out[1] = np.exp(gammaln(n / alpha + 1.0) - log_factorial) * near
    return out


@compiled(nogil=True, error_model="numpy")
def far_series(y: float, k: Floats, coefficients: Floats) -> tuple[bool, float, float, float]:
    """Return (usable, log pdf, log cdf, log sf) from the series in 1/y."""
    alpha, eps, chi, product, log_c = k[0], k[1], k[5], k[9], k[7]
    log_u = math.log(y) + log_c
    log_step = -alpha * log_u
    if chi == 0.0 or product <= 0.0 or log_step > 1.5:
        return False, 0.0, 0.0, 0.0
    if log_step < -300.0:  # one term, which may underflow
        if coefficients[0, 0] <= 0.0:
            return False, 0.0, 0.0, 0.0
        log_sf = math.log(coefficients[0, 0] / alpha) + log_step
        return True, log_sf + math.log(alpha) - math.log(y), -math.exp(log_sf), log_sf
    step = math.exp(log_step)
    density = upper = 0.0
    largest = smallest = 0.0
    power = 1.0
    for i in range(_TERMS):
        power *= step
        term = coefficients[0, i] * power
        # the bound of the term, whatever its sine
        size = math.exp(math.lgamma((i + 1) * alpha + 1.0) - math.lgamma(i + 2.0)) * power
        if i == 0:
            smallest = size
        elif eps > 0.0 and size > smallest:
            break
        density += term
        upper += term / ((i + 1) * alpha)
        largest = max(largest, abs(term))
        smallest = size
        if size < 1e-18 * abs(density):
            break
    first = coefficients[0, 0] * step
    if first <= 0.0 or density <= 0.0:
        return False, 0.0, 0.0, 0.0
    if smallest * min(1.0, max(chi, 1e-300)) > 1e-16 * density or largest > 4.0 * density:
        return False, 0.0, 0.0, 0.0
    if smallest > 1e-16 * density and chi > 0.1:
        return False, 0.0, 0.0, 0.0
    if upper > 0.5:
        return False, 0.0, 0.0, 0.0
    if eps > 0.0:
        # what no power of 1/y sees: the saddle, of weight exp(-eps (u / alpha)^(alpha / eps))
        saddle = alpha / eps * (log_u - math.log(alpha)) + math.log(eps)
        if saddle < 7.0 and math.exp(saddle) < 44.0 - math.log(first):
            return False, 0.0, 0.0, 0.0
    log_first = math.log(coefficients[0, 0]) + log_step
    log_pdf = log_first + math.log(density / first) - math.log(y)
    log_sf = log_first + math.log(upper / first)
    return True, log_pdf, math.log1p(-upper), log_sf


@compiled(nogil=True, error_model="numpy")
def near_series(y: float, k: Floats, coefficients: Floats) -> tuple[bool, float, float, float]:
    """Return (usable, log pdf, log cdf, log sf) from the series in y, for alpha > 1."""
    log_c, rho, omega = k[7], k[4] / math.pi, k[6] / math.pi
    u = y * math.exp(log_c)
    if k[1] <= 0.0 or u > 3.0:
        return False, 0.0, 0.0, 0.0
    density = change = largest = size = 0.0
    power = 1.0
    for i in range(_TERMS):
        term = coefficients[1, i] * power
        density += term
        largest = max(largest, abs(term))
        power *= u
        change += coefficients[1, i] * power / (i + 1)
        size = math.exp(math.lgamma((i + 1) / k[0] + 1.0) - math.lgamma(i + 2.0)) * power
        if size < 1e-18 * density:
            break
    upper, lower = rho - change, omega + change
    loss = max(largest / density, max(rho, abs(change)) / upper, max(omega, abs(change)) / lower)
    if not (size < 1e-16 * density and 0.0 < loss < 10.0 and min(upper, lower, density) > 0.0):
        return False, 0.0, 0.0, 0.0
    return True, math.log(density) + log_c, math.log(lower), math.log(upper)
