r"""Averages of one spin over a Gaussian local field, at any temperature.

With u = beta x and x normal of mean `mu` and width `sigma` (both times beta), the averages are
integrals of functions of u that vanish like exp(-2|u|), plus a closed form:

.. math:: \tanh u = [\tanh u - \mathrm{erf}(a u)] + \mathrm{erf}(a u), \quad a = \sqrt\pi/2,

whose last term has the average erf(a mu / sqrt(1 + 2 a^2 sigma^2)).  The rest is summed on an
even grid: in the normal variable while sigma <= 1, in u itself beyond, so that a step of tanh far
narrower than the field's width is never missed.  The poles of sech are at +-i pi/2, so the even
grid errs by less than exp(-80).  What a field far beyond its width (|mu| > 24 > 2 sigma^2) leaves
to p is below 1e-20 and has no digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Array = NDArray[np.float64]

_NODES = 400
_NORMAL_STEP, _LOCAL_STEP = 20 / _NODES, 48 / _NODES
_NORMAL = _NORMAL_STEP * np.arange(-_NODES // 2, _NODES // 2 + 1)
_LOCAL = _LOCAL_STEP * np.arange(-_NODES // 2, _NODES // 2 + 1)
_SLOPE = np.sqrt(np.pi) / 2  # erf(_SLOPE u) has the slope of tanh u at 0


@dataclass(frozen=True)
class Averages:
    """Averages over the local field u, each of shape (n,).

    Attributes
    ----------
    m, q, p : ndarray
        <tanh u>, <tanh^2 u>, and p = <sech^2 u> = 1 - q with all its digits.
    sech4 : ndarray
        <sech^4 u>.
    odd : ndarray
        <tanh u sech^2 u>.
    entropy : ndarray
        <ln 2cosh u - u tanh u>, the entropy of a spin in the field.
    """

    m: Array
    q: Array
    p: Array
    sech4: Array
    odd: Array
    entropy: Array


def average(mu: Array, sigma: Array) -> Averages:
    """Return the averages at u = mu + sigma z; both of shape (n,)."""
    narrow = sigma <= 1
    u, weight = _grid(mu, sigma, narrow)
    t = np.tanh(u)
    decay = np.exp(-2 * np.abs(u))
    sech2 = 4 * decay / (1 + decay) ** 2
    entropy = np.log1p(decay) + 2 * np.abs(u) * decay / (1 + decay)
    p = (weight * sech2).sum(axis=1)
    return Averages(
        m=np.where(narrow, _narrow_mean(mu, sigma), _wide_mean(mu, np.where(narrow, 1.0, sigma))),
        q=np.where(narrow, (weight * t**2).sum(axis=1), 1 - p),
        p=p,
        sech4=(weight * sech2**2).sum(axis=1),
        odd=(weight * t * sech2).sum(axis=1),
        entropy=(weight * entropy).sum(axis=1),
    )


def _narrow_mean(mu: Array, sigma: Array) -> Array:
    """Return <tanh u> as the average of [tanh(mu + y) + tanh(mu - y)]/2, which keeps its digits.

    That is sinh(2 mu)/(cosh(2 mu) + cosh(2 y)), here over cosh(2 mu).
    """
    y = np.minimum(sigma, 1.0)[:, None] * _NORMAL
    decay = np.exp(-2 * np.abs(mu))
    ratio = np.cosh(2 * y) * (2 * decay / (1 + decay**2))[:, None]
    weight = _NORMAL_STEP / np.sqrt(2 * np.pi) * np.exp(-(_NORMAL**2) / 2)
    return np.asarray(np.tanh(2 * mu) * (weight / (1 + ratio)).sum(axis=1))


def _wide_mean(mu: Array, sigma: Array) -> Array:
    """Return <tanh u>: the odd part of the weight against an odd function, and the closed form."""
    u, centre, square = np.abs(_LOCAL), np.abs(mu)[:, None], sigma[:, None] ** 2
    with np.errstate(under="ignore"):
        bell = np.exp(-((u - centre) ** 2) / (2 * square))
        odd = -np.expm1(-2 * u * centre / square) * bell
    rest = np.tanh(u) - erf(_SLOPE * u)
    total = (odd * rest).sum(axis=1) * (_LOCAL_STEP / 2 / np.sqrt(2 * np.pi)) / sigma
    closed = erf(_SLOPE * np.abs(mu) / np.sqrt(1 + 2 * _SLOPE**2 * sigma**2))
    return np.asarray(np.sign(mu) * (closed + total))


def _grid(mu: Array, sigma: Array, narrow: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return nodes u and weights of the average, each of shape (n, nodes)."""
    wide = np.where(narrow, 1.0, sigma)[:, None]
    z = np.where(narrow[:, None], _NORMAL, (_LOCAL - mu[:, None]) / wide)
    u = np.where(narrow[:, None], mu[:, None] + sigma[:, None] * _NORMAL, _LOCAL)
    step = np.where(narrow, _NORMAL_STEP, _LOCAL_STEP / wide[:, 0])
    with np.errstate(under="ignore"):
        weight = np.exp(-(z**2) / 2) * (step[:, None] / np.sqrt(2 * np.pi))
    return u, weight
