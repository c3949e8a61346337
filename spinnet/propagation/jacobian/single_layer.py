"""One orthogonal layer: lambda = sigma_w^2 x is the squared slope itself, in units of the gain.

Its law is that of x(h) for a Gaussian h, from the places where x(h) takes a given value.
"""

from __future__ import annotations

import itertools
import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from spinnet.propagation.jacobian.slopes import SlopeLaw

Array = NDArray[np.float64]

_REACH = 37.5  # in standard deviations
_BISECTIONS = 70


class SlopeDistribution:
    """Density and distribution function of the part of x that is no atom."""

    def __init__(self, law: SlopeLaw) -> None:
        self.law = law

    @cached_property
    def _branches(self) -> tuple[Array, Array]:
        """Intervals of h on which x(h) is monotone, and x at their ends; shape (n, 2) twice."""
        law, ends = self.law, []
        reach = _REACH * math.sqrt(law.q)
        for low, high in law.pieces:
            a = np.nextafter(max(low, -reach), math.inf)
            b = np.nextafter(min(high, reach), -math.inf)
            inside, _, _ = law.on_panels
            h = np.unique(np.concatenate([inside.ravel(), -inside.ravel(), np.linspace(a, b, 401)]))
            h = h[(h >= a) & (h <= b)]
            x = law.squares(h)
            turns = [a, *self._stationary(h, x), b]
            ends += list(itertools.pairwise(turns))
        places = np.array(ends, dtype=np.float64).reshape(-1, 2)
        return places, law.squares(places)

    def _stationary(self, h: Array, x: Array) -> list[float]:
        """Return where x(h) turns between grid points."""
        changes = np.diff(x)
        some = np.flatnonzero(np.abs(changes) > 1e-14 * x.max())
        turns = some[:-1][np.sign(changes[some[:-1]]) != np.sign(changes[some[1:]])]
        found = []
        for k, following in zip(turns, some[np.searchsorted(some, turns) + 1], strict=True):
            sign = -1.0 if changes[k] > 0 else 1.0  # a maximum lies between
            bounds = (float(h[k]), float(h[following + 1]))
            result = minimize_scalar(
                lambda y, sign=sign: sign * float(self.law.squares(np.array([y]))[0]),
                bounds=bounds,
                method="bounded",
                options={"xatol": 1e-10 * (bounds[1] - bounds[0])},
            )
            found.append(float(result.x))
        return found

    def _places(self, x: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return h with x(h) = x on each branch, clipped to its ends, and whether it is inside."""
        places, values = self._branches
        rising = values[:, 1] > values[:, 0]
        low = np.broadcast_to(places[:, 0], (x.size, rising.size)).copy()
        high = np.broadcast_to(places[:, 1], low.shape).copy()
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            below = (self.law.squares(middle) < x[:, None]) == rising
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        inside = (x[:, None] > values.min(axis=1)) & (x[:, None] < values.max(axis=1))
        return (low + high) / 2, inside

    def stationary_values(self) -> Array:
        """Return x > 0 at the ends of the branches, increasing."""
        values = np.unique(self._branches[1])
        return np.asarray(values[values > 0])

    def mass_per_log(self, x: Array) -> Array:
        """Return x times the density at x, shape (n,); infinite at a stationary value."""
        h, inside = self._places(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = self.law.activation.derivative(h)
            steepness = np.abs(2 * self.law.activation.second_derivative(h) / slope)
            shares = self._density(h) / steepness
        shares = np.where(inside & (slope != 0), shares, 0.0)
        return np.asarray(shares.sum(axis=1))

    def cdf(self, x: Array) -> Array:
        """Return the mass at values up to x, atoms apart, shape (n,)."""
        places, values = self._branches
        sigma = math.sqrt(self.law.q)
        h, _ = self._places(x)
        rising = values[:, 1] > values[:, 0]
        near = np.where(rising, places[:, 0], h)
        far = np.where(rising, h, places[:, 1])
        flip = np.where(near > 0, -1.0, 1.0)  # the difference of two small tails
        share = flip * (ndtr(flip * far / sigma) - ndtr(flip * near / sigma))
        return np.asarray(self.law.keep * share.sum(axis=1))

    def _density(self, h: Array) -> Array:
        scale = self.law.keep / math.sqrt(2 * math.pi * self.law.q)
        return np.asarray(scale * np.exp(-(h**2) / (2 * self.law.q)))
