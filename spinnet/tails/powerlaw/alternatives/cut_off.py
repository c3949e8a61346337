r"""The power law with exponential cut-off, f(x) ~ x^-a exp(-rate x), rate >= 0, any real a.

An exponential family in (ln x, x), so that the likelihood is concave; rate = 0 is the power law.
Its norm is the generalised exponential integral, int_q^inf x^-a e^(-rate x) dx
= q^(1-a) E_a(rate q) (DLMF 8.19.2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.tails.powerlaw.alternatives.boundary import NestingFamily, PowerMeans
from spinnet.tails.powerlaw.alternatives.family import Theta, log_norm
from spinnet.tails.powerlaw.alternatives.tail import CONTINUOUS, Tail
from spinnet.validation import finite_float, positive_float

Floats = NDArray[np.float64]


class CutOff(NestingFamily):
    """theta = (a, eta), eta = rate * origin."""

    name = "cut-off"

    def log_density(self, theta: Theta, y: Floats) -> Floats:
        """Return ln f, 0 at the origin."""
        return -theta[0] * y - theta[1] * np.expm1(y)

    def slope(self, theta: Theta, y: float) -> float:
        """Return d(ln f + y)/dy."""
        return 1.0 - theta[0] - theta[1] * math.exp(min(y, 709.0))

    def derivatives(self, theta: Theta, y: Floats) -> Floats:
        """Return the derivatives in theta; the second ones vanish."""
        zero = np.zeros_like(y)
        return np.stack([-y, -np.expm1(y), zero, zero, zero])

    def power_law(self, alpha: float) -> Theta:
        """Return (alpha, 0)."""
        return alpha, 0.0

    def edge_slope(self, alpha: float, mean: PowerMeans, tail: Tail) -> float:
        """Return mean x/origin - E[x]/origin: minus infinity up to alpha = 2."""
        return mean.data_excess() - mean.law_excess() * (1.0 - 1e-12)

    def starts(self, alpha: float, tail: Tail) -> list[Theta]:
        """Return laws that end near the largest value, and the one of exponential shape."""
        excess = np.expm1(tail.y)
        scale = 1.0 / float(tail.mean(excess))
        return [(0.0, scale), (1.0, 0.3 * scale), (alpha, 1.0 / max(float(excess[-1]), 1e-300))]

    def parameters(self, theta: Theta, tail: Tail) -> dict[str, float]:
        """Return the exponent and the rate."""
        return {"alpha": theta[0], "rate": theta[1] / tail.origin}


def log_exponential_integral(p: float, z: float) -> float:
    r"""Return ln E_p(z), E_p(z) = int_1^inf t^-p e^(-z t) dt, for real p and z > 0.

    Gauss-Legendre in ln t over the range that counts; the error is a few 1e-15 times the larger
    of 1 and abs(p ln z).

    >>> round(math.exp(log_exponential_integral(1.0, 1.0)), 12)
    0.219383934396
    """
    p, z = finite_float("p", p), positive_float("z", z)
    if z > 1e300:
        raise InputError(f"z must be <= 1e300, got {z}")
    return log_norm(CutOff(), (p, z), 1.0, CONTINUOUS)[0] - z
