r"""The bivariate normal distribution function, and its inverse in the correlation.

.. math:: \Phi_2(h, k; \rho) = P(X \le h, Y \le k)
          = \tfrac12 \Phi(h) + \tfrac12 \Phi(k) - T(h, a_h) - T(k, a_k) - \delta,

with Owen's T function, a_h = (k - rho h)/(h sqrt(1 - rho^2)), a_k with h and k exchanged, and
delta = 1/2 where h and k lie on different sides of 0, else 0 (Owen, Ann. Math. Stat. 27, 1075
(1956), eq. 2.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, owens_t

from spinnet.errors import InputError
from spinnet.validation import correlations, finite_array

Floats = NDArray[np.float64]

_MAX_STEPS = 80


def bivariate_normal_cdf(h: ArrayLike, k: ArrayLike, rho: ArrayLike) -> Floats:
    """Return P(X <= h, Y <= k) for standard normal X, Y of correlation `rho`.

    Parameters
    ----------
    h, k : array_like
        Finite thresholds.
    rho : array_like
        Correlations in [-1, 1]; all three broadcast.

    Returns
    -------
    ndarray
        Within about 1e-16, absolutely.

    Raises
    ------
    InputError
        NaN or infinite thresholds, a correlation outside [-1, 1], or shapes that do not broadcast.

    Examples
    --------
    >>> float(bivariate_normal_cdf(0.0, 0.0, 0.5).round(12))
    0.333333333333
    """
    arrays = finite_array("h", h), finite_array("k", k), correlations("rho", rho)
    try:
        h, k, rho = np.broadcast_arrays(*arrays)
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise InputError(f"h, k and rho must broadcast, got shapes {shapes}") from error
    # both thresholds at or below 0, where probabilities are small and the terms no larger
    flip_h, flip_k = h > 0, k > 0
    low = _lower_orthant(-np.abs(h), -np.abs(k), np.where(flip_h == flip_k, rho, -rho))
    one_flipped = np.where(flip_h, ndtr(k), ndtr(h)) - low
    both = ndtr(h) - ndtr(-k) + low
    out = np.where(flip_h & flip_k, both, np.where(flip_h ^ flip_k, one_flipped, low))
    return np.asarray(np.clip(out, 0.0, np.minimum(ndtr(h), ndtr(k))))


def correlation_from_orthant(h: Floats, k: Floats, p: Floats) -> Floats:
    """Solve P(X <= h, Y <= k) = p for the correlation, for thresholds h, k <= 0.

    Newton steps in the angle theta = arcsin(rho) inside a bracket, for all pairs at once; p <= 0
    gives -1 and p >= Phi(min(h, k)) gives 1.
    """
    theta = np.full(p.shape, np.nan)
    smaller = ndtr(np.minimum(h, k))
    theta[p <= 0.0] = -np.pi / 2
    theta[p >= smaller] = np.pi / 2
    todo = np.flatnonzero(np.isnan(theta))
    h, k, p = h[todo], k[todo], p[todo]
    low, high = np.full(p.shape, -np.pi / 2), np.full(p.shape, np.pi / 2)
    x = _first_guess(h, k, p)
    for _ in range(_MAX_STEPS):
        value = _lower_orthant(h, k, np.sin(x)) - p
        low, high = np.where(value < 0, x, low), np.where(value > 0, x, high)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            new = x - value / _slope(h, k, x)
        outside = ~((new > low) & (new < high))  # also NaN
        new = np.where(outside, (low + high) / 2, new)
        new = np.where(value == 0, x, new)
        # quadratic: after a step of 1e-9 the error left is rounding
        done = np.abs(new - x) <= np.where(outside, 1e-15, 1e-9)
        theta[todo[done]] = new[done]
        left = ~done
        if not left.any():
            break
        todo, h, k, p = todo[left], h[left], k[left], p[left]
        x, low, high = new[left], low[left], high[left]
    else:
        theta[todo] = x  # bisection alone has gone to rounding by then
    return np.asarray(np.sin(theta))


def thresholds(rates: ArrayLike) -> Floats:
    """Return the h with Phi(h) = rate; infinite for rates 0 and 1."""
    array = finite_array("rates", rates)
    bad = (array < 0) | (array > 1)
    if bad.any():
        first = int(np.argmax(bad.ravel()))
        raise InputError(
            f"rates must be in [0, 1], got {int(bad.sum())} other value(s), the first at index "
            f"({first},): {array.ravel()[first]}"
        )
    return np.asarray(ndtri(array))


def _lower_orthant(h: Floats, k: Floats, rho: Floats) -> Floats:
    """Return the distribution function for h, k <= 0."""
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    half = 0.5 * (ndtr(h) + ndtr(k))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = half - _owen(h, k, rho, root) - _owen(k, h, rho, root)
    both_zero = (h == 0) & (k == 0)
    if both_zero.any():
        value = np.where(both_zero, 0.25 + np.arcsin(rho) / (2 * np.pi), value)
    value = np.where(rho >= 1, ndtr(np.minimum(h, k)), np.where(rho <= -1, 0.0, value))
    return np.asarray(np.clip(value, 0.0, ndtr(np.minimum(h, k))))


def _owen(h: Floats, k: Floats, rho: Floats, root: Floats) -> Floats:
    """Return T(h, (k - rho h)/(h root)), for h <= 0 with its limit at 0."""
    # k - rho h in a form that does not cancel near rho = +-1
    numerator = np.where(rho > 0, (k - h) + (1.0 - rho) * h, (k + h) - (1.0 + rho) * h)
    slope = numerator / (np.where(h == 0, -0.0, h) * root)
    return np.asarray(owens_t(h, slope))


def _slope(h: Floats, k: Floats, theta: Floats) -> Floats:
    """Return the derivative by theta: exp(-(h^2 - 2 rho h k + k^2)/(2 cos^2 theta))/(2 pi)."""
    rho, cosine = np.sin(theta), np.cos(theta)
    form = np.where(
        rho > 0, (h - k) ** 2 + 2 * h * k * (1 - rho), (h + k) ** 2 - 2 * h * k * (1 + rho)
    )
    return np.asarray(np.exp(-form / (2.0 * cosine**2)) / (2.0 * np.pi))


def _first_guess(h: Floats, k: Floats, p: Floats) -> Floats:
    """Return the angle that is right to first order in the covariance."""
    at_zero = np.exp(-(h**2 + k**2) / 2.0) / (2.0 * np.pi)
    return np.asarray(np.clip((p - ndtr(h) * ndtr(k)) / at_zero, -1.0, 1.0))
