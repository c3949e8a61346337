r"""The lognormal tail, f(x) ~ x^-a exp(-(c/2) y^2), y = ln(x/origin), c >= 0.

With sigma^2 = 1/c and mu = ln origin - (a - 1)/c it is the lognormal cut at the origin: an
exponential family in (y, y^2), so that the likelihood is concave, and c = 0 is the power law,
where a fit in (mu, sigma) would run to mu = -infinity.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.powerlaw.alternatives.boundary import NestingFamily, PowerMeans
from spinnet.tails.powerlaw.alternatives.family import Theta
from spinnet.tails.powerlaw.alternatives.tail import Tail

Floats = NDArray[np.float64]


class Lognormal(NestingFamily):
    """theta = (a, c)."""

    name = "lognormal"

    def log_density(self, theta: Theta, y: Floats) -> Floats:
        """Return ln f."""
        return -theta[0] * y - 0.5 * theta[1] * y * y

    def slope(self, theta: Theta, y: float) -> float:
        """Return d(ln f + y)/dy."""
        return 1.0 - theta[0] - theta[1] * y

    def derivatives(self, theta: Theta, y: Floats) -> Floats:
        """Return the derivatives in theta; the second ones vanish."""
        zero = np.zeros_like(y)
        return np.stack([-y, -0.5 * y * y, zero, zero, zero])

    def power_law(self, alpha: float) -> Theta:
        """Return (alpha, 0)."""
        return alpha, 0.0

    def edge_slope(self, alpha: float, mean: PowerMeans, tail: Tail) -> float:
        """Return (mean y^2 - E y^2)/2."""
        return 0.5 * (mean.data(2) - mean.law(2) * (1.0 - 1e-12))

    def starts(self, alpha: float, tail: Tail) -> list[Theta]:
        """Return the power law, and the lognormal without a cut."""
        m1, m2 = float(tail.mean(tail.y)), float(tail.mean(tail.y**2))
        variance = m2 - m1 * m1
        uncut = [(1.0 - m1 / variance, 1.0 / variance)] if variance > 0.0 else []
        return [(alpha, 0.0), *uncut]

    def parameters(self, theta: Theta, tail: Tail) -> dict[str, float]:
        """Return mu and sigma of ln x, and (a, c)."""
        a, c = theta
        sigma = 1.0 / math.sqrt(c) if c > 0.0 else math.inf
        mu = math.log(tail.origin) - (a - 1.0) / c if c > 0.0 else -math.inf
        return {"mu": mu, "sigma": sigma, "a": a, "c": c}
