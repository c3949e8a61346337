"""Log-densities of neighbouring standard laws at many points at once, by interpolation.

The likelihood and its gradient need the log-density of one law and of its neighbours in
stable_alpha and beta at the same points.  They are interpolated by Chebyshev polynomials in
asinh(z), in which tails are nearly straight; panels are halved until the last coefficients are
negligible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Law = tuple[float, float]

FLOOR = -700.0  # log-densities below are cut here: the likelihood stays finite
_ORDER = 16
_TOLERANCE = 1e-10
_MAX_ROUNDS = 14
_WIDEST = 2.0  # of a panel, in asinh(z)
_FEW = 150  # points times stable_alpha up to which none are interpolated
_SLOPE_STEP = 1e-4

_K = np.arange(_ORDER)
_NODES = np.cos(np.pi * (_K + 0.5) / _ORDER)
_TO_COEFFICIENTS = 2.0 / _ORDER * np.cos(np.pi * np.outer(_K, _K + 0.5) / _ORDER)
_TO_COEFFICIENTS[0] *= 0.5


def log_density(law: Law, z: Floats) -> Floats:
    """Return the log-density of a standard law in S0, cut at FLOOR."""
    return log_functions(law, z)[0]


def log_functions(law: Law, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Return log pdf, log cdf and log sf, cut at FLOOR.

    They are computed directly: the tables of `standard` pay only for laws that are used often.
    """
    from spinnet.tails.stable.standard import standard

    values = standard(law[0], law[1]).direct(np.asarray(z, dtype=np.float64))
    values = np.maximum(np.nan_to_num(values, nan=FLOOR, neginf=FLOOR), FLOOR)
    return values[0], values[1], values[2]


class Panels:
    """Intervals in y = asinh(z) on which the log-density of a law is a polynomial."""

    def __init__(self, law: Law, low: float, high: float) -> None:
        edges = np.linspace(low, high, 2 + int((high - low) / _WIDEST))
        todo = np.stack([edges[:-1], edges[1:]], axis=1)
        done: list[Floats] = []
        kept: list[Floats] = []
        for round_ in range(_MAX_ROUNDS):
            coefficients = _coefficients(law, todo)
            size = 1.0 + np.abs(coefficients[:, 0])
            good = np.abs(coefficients[:, -2:]).max(axis=1) <= _TOLERANCE * size
            if round_ == _MAX_ROUNDS - 1:
                good[:] = True
            done.append(todo[good])
            kept.append(coefficients[good])
            todo = todo[~good]
            if todo.size == 0:
                break
            middle = todo.mean(axis=1)
            left, right = np.c_[todo[:, 0], middle], np.c_[middle, todo[:, 1]]
            todo = np.concatenate([left, right])
        bounds = np.concatenate(done)
        order = np.argsort(bounds[:, 0])
        self.bounds: Floats = bounds[order]
        self.coefficients: Floats = np.concatenate(kept)[order]

    def of(self, law: Law) -> Floats:
        """Return the coefficients of another law on the same intervals."""
        return _coefficients(law, self.bounds)

    def evaluate(self, z: Floats, others: Sequence[Law]) -> tuple[Floats, Floats, list[Floats]]:
        """Return log-density and slope in z of the law, and the log-densities of others."""
        y = np.arcsinh(z)
        which = np.searchsorted(self.bounds[1:, 0], y, side="right")
        low, high = self.bounds[which].T
        t = np.clip((2.0 * y - low - high) / (high - low), -1.0, 1.0)
        basis = np.polynomial.chebyshev.chebvander(t, _ORDER - 1)
        values = np.einsum("nk,nk->n", basis, self.coefficients[which])
        derivative = np.polynomial.chebyshev.chebder(self.coefficients, axis=1)
        slope = np.einsum("nk,nk->n", basis[:, :-1], derivative[which])
        slope *= 2.0 / ((high - low) * np.hypot(1.0, z))
        rest = [np.einsum("nk,nk->n", basis, self.of(law)[which]) for law in others]
        return values, slope, rest


def _coefficients(law: Law, bounds: Floats) -> Floats:
    middle, half = bounds.mean(axis=1), 0.5 * (bounds[:, 1] - bounds[:, 0])
    y = middle[:, None] + half[:, None] * _NODES
    return log_density(law, np.sinh(y)) @ _TO_COEFFICIENTS.T


def neighbouring(law: Law, others: Sequence[Law], z: Floats) -> tuple[Floats, Floats, list[Floats]]:
    """Return log-density and slope of `law` at the points z, and the log-densities of others."""
    if z.size * law[0] <= _FEW:
        return at_each(law, others, z)
    low, high = np.arcsinh([z.min(), z.max()])
    return Panels(law, float(low) - 1e-6, float(high) + 1e-6).evaluate(z, others)


def at_each(law: Law, others: Sequence[Law], z: Floats) -> tuple[Floats, Floats, list[Floats]]:
    """Return the same point by point, the slope by differences within the narrowest feature."""
    from scipy.special import gammaln

    alpha, beta = law
    # f''/f at the mode of the symmetric law is -Gamma(3/alpha) / Gamma(1/alpha)
    width = float(np.exp(0.5 * (gammaln(1.0 / alpha) - gammaln(3.0 / alpha))))
    centre = -beta * np.tan(0.5 * np.pi * alpha) if alpha < 0.9 else 0.0
    h = _SLOPE_STEP * (width + np.abs(z - centre))
    below, values, above = log_density(law, np.stack([z - h, z, z + h]))
    return values, (above - below) / (2.0 * h), [log_density(other, z) for other in others]
