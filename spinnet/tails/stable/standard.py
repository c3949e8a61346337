"""The standard stable law in S0 (scale 1, location 0) of one (stable_alpha, beta)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.tails.stable.direct import points
from spinnet.tails.stable.parameters import side_constants

Floats = NDArray[np.float64]


class StandardStable:
    """Distribution functions of S0(stable_alpha, beta, 1, 0) on float64 arrays."""

    def __init__(self, stable_alpha: float, beta: float) -> None:
        self.stable_alpha = float(stable_alpha)
        self.beta = float(beta)
        self._right = side_constants(self.stable_alpha, self.beta)
        self._left = side_constants(self.stable_alpha, -self.beta)

    def _direct(self, x: ArrayLike) -> Floats:
        values = np.asarray(x, dtype=np.float64)
        flat = values.ravel()
        out = points(flat, flat - self._right[3], self._right, self._left)
        return np.asarray(out.reshape(3, *values.shape))

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return the log-density."""
        return np.asarray(self._direct(x)[0])

    def pdf(self, x: ArrayLike) -> Floats:
        """Return the density."""
        return np.exp(self.logpdf(x))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x)."""
        return np.exp(self._direct(x)[1])

    def sf(self, x: ArrayLike) -> Floats:
        """Return P(X > x)."""
        return np.exp(self._direct(x)[2])

    def score(self, x: ArrayLike) -> Floats:
        """Return d logpdf / dx."""
        x = np.asarray(x, dtype=np.float64)
        step = 1e-4 * (1.0 + np.abs(x))
        return np.asarray((self.logpdf(x + step) - self.logpdf(x - step)) / (2.0 * step))


@lru_cache(maxsize=64)
def standard(stable_alpha: float, beta: float = 0.0) -> StandardStable:
    """Return the law of these parameters, made once."""
    return StandardStable(stable_alpha, beta)
