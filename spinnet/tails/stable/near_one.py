r"""Stable laws near alpha = 1 by contours of the S0 inversion integral that cross nothing.

With psi(t) = t^alpha + i beta tan(pi alpha/2) (t - t^alpha), for which alpha = 1 is no special
case, pdf(x) = Re int exp(-itx - psi(t)) dt / pi over any ray into the lower right quadrant.

* `ray`: t = s / (1 + ix), on which a Cauchy law is e^-s exactly; for small alpha - 1 and beta.
* `laplace`: the negative imaginary axis, t = -is, where
  pdf = int e^{-sx - Re psi} sin((1 + beta) sin(pi alpha/2) s^alpha) ds / pi and sf has one power
  of s less; for heavy tails at |x| >> 1.  It has no cancellation, and x - zeta does not occur.

Both by the trapezoidal rule in ln s, which converges like exp(-pi^2 / step).
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled

Floats = NDArray[np.float64]
_STEP = 0.15


@compiled(nogil=True, error_model="numpy")
def laplace(x: float, k: Floats) -> tuple[float, float, float]:
    """Return (log pdf, log cdf, log sf) at `x` > 4 for alpha near 1 and beta > -1."""
    alpha, eps, beta = k[0], k[1], k[2]
    tangent = -1.0 / math.tan(0.5 * math.pi * eps)
    cosine, sine = -math.sin(0.5 * math.pi * eps), math.cos(0.5 * math.pi * eps)
    deficit = -2.0 * math.sin(0.25 * math.pi * eps) ** 2
    log_x = math.log(x)
    density = upper = 0.0
    # both sums are over s x = e^w and in units of x^-alpha, so that they do not underflow
    for i in range(int(48.0 / _STEP)):
        w = -40.0 + i * _STEP
        log_s = w - log_x
        s = math.exp(log_s)
        power = math.exp(alpha * log_s)
        real = power * cosine - beta * tangent * s * (sine * math.expm1(eps * log_s) + deficit)
        phase = (1.0 + beta) * sine * power
        scaled = (1.0 + beta) * sine * math.exp(alpha * w)
        if phase > 1e-4:
            scaled *= math.sin(phase) / phase
        else:
            scaled *= 1.0 - phase * phase / 6.0
        sx = math.exp(w)
        value = math.exp(-sx - real) * scaled
        upper += value
        density += value * sx
        if sx + real > 60.0:
            break
    log_unit = math.log(_STEP / math.pi) - alpha * log_x
    log_sf = math.log(upper) + log_unit
    return math.log(density) + log_unit - log_x, math.log1p(-math.exp(log_sf)), log_sf


@compiled(nogil=True, error_model="numpy")
def ray(x: float, k: Floats) -> tuple[float, float, float]:
    """Return (log pdf, log cdf, log sf) at |x| <= 4 for small alpha - 1 and beta."""
    eps, beta = k[1], k[2]
    factor = complex(1.0, beta / math.tan(0.5 * math.pi * eps))
    log_turn = cmath.log(complex(1.0, x))
    density, upper = 0.0j, 0.0
    for i in range(int(46.0 / _STEP)):
        w = -42.0 + i * _STEP
        s = math.exp(w)
        if s > 60.0:
            break
        log_t = w - log_turn
        z = eps * log_t
        # expm1 of a complex number without cancellation
        half = math.sin(0.5 * z.imag)
        grown = math.expm1(z.real)
        power = complex(
            grown * math.cos(z.imag) - 2.0 * half * half, (grown + 1.0) * math.sin(z.imag)
        )
        value = cmath.exp(-s - cmath.exp(log_t) * power * factor)
        density += value * s
        upper += value.imag
    pdf = (density * _STEP / complex(1.0, x)).real / math.pi
    change = (upper * _STEP - math.atan(x)) / math.pi
    return math.log(pdf), math.log(0.5 - change), math.log(0.5 + change)
