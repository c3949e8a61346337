r"""Random numbers of alpha-stable laws by the method of Chambers, Mallows and Stuck (1976).

With U uniform on (-pi/2, pi/2) and E exponential, in S0 and for every alpha, following Weron
(1996) in a form regular at alpha = 1.  With eps = 1 - alpha and T = tan(pi alpha/2),

.. math:: Y = \frac{\sin\alpha(U+\theta_0)}{(\cos\alpha\theta_0\cos U)^{1/\alpha}}
          \left(\frac{\cos(\alpha\theta_0+(\alpha-1)U)}{E}\right)^{(1-\alpha)/\alpha},
          \qquad X = Y + \zeta,

is written as in CMS: the two terms of size 1/eps that cancel in S0 are differenced by expm1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.randomness import RandomState, generator
from spinnet.tails.stable.parameters import (
    PARAMETRIZATIONS,
    _half_tangents,
    checked,
    common_shape,
    shift,
)
from spinnet.validation import choice, integer

Floats = NDArray[np.float64]
_NEAREST_ONE = 2.0**-50
_BLOCK = 1 << 16


def _shape(size: int | Sequence[int] | None, parameters: tuple[int, ...]) -> tuple[int, ...]:
    if size is None:
        return parameters
    entries = size if isinstance(size, (tuple, list)) else (size,)
    shape = tuple(integer("size", entry, minimum=0) for entry in entries)
    try:
        fits = np.broadcast_shapes(shape, parameters) == shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"size must be a shape that the parameters {parameters} fit, got {shape}")
    return shape


def _standard(alpha: Floats, beta: Floats, u: Floats, e: Floats) -> tuple[Floats, Floats]:
    """Return the S1 variable Y and the S0 variable X made of angles `u` and exponentials `e`.

    Y = a (1 + r) with X = Y + zeta.  With B = beta T,
    sin(alpha U + atan B) sqrt(1 + B^2) = sin(alpha U) + B cos(alpha U), and likewise for the
    cosine, so that Y = (sin(alpha U) + B cos(alpha U)) / cos U exp(eps z) with
    eps z = eps/alpha ln((cos(eps U) - B sin(-eps U)) / (E cos U)) and zeta = -B:
    X = (sin(alpha U) exp(eps z)) / cos U + B [cos(alpha U)/cos U exp(eps z) - 1].
    """
    eps = 1.0 - alpha
    eps = np.where(np.abs(eps) < _NEAREST_ONE, _NEAREST_ONE, eps)
    alpha = 1.0 - eps
    b = beta * _half_tangents(alpha) if alpha.ndim else beta * float(_half_tangents(alpha))
    cos_u, tan_u = np.cos(u), np.tan(u)
    # cos(eps U) + B sin(eps U) > 0 on the open interval
    log_ratio = np.log(np.cos(eps * u) + b * np.sin(eps * u)) - np.log(e * cos_u)
    exponent = eps / alpha * log_ratio
    growth = np.exp(exponent)
    sin_e, half = np.sin(eps * u), np.sin(0.5 * eps * u)
    # cos(alpha U)/cos U = 1 + [cos(eps U) - 1 + tan U sin(eps U)]
    excess = -2.0 * half * half + tan_u * sin_e
    first = (tan_u * np.cos(eps * u) - sin_e) * growth
    y = ((tan_u * np.cos(eps * u) - sin_e) + b * (1.0 + excess)) * growth
    # one-sided laws: the sum above may round across zero
    positive, negative = (alpha < 1.0) & (beta == 1.0), (alpha < 1.0) & (beta == -1.0)
    y = np.where(positive, np.maximum(y, 0.0), np.where(negative, np.minimum(y, 0.0), y))
    x = first + b * (np.expm1(exponent) + excess * growth)
    # far from 1 nothing cancels, and the powers may overflow
    return y, np.where(alpha < 0.5, y - b, x)


def _drawn(alpha: Floats, beta: Floats, u: Floats, e: Floats, name: str) -> Floats:
    """Return the standard variable of the parametrisation `name`."""
    y, x = _standard(alpha, beta, u, e)
    return x if name == "S0" else np.where(alpha == 1.0, x, y)


def rvs(
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
    *,
    size: int | Sequence[int] | None = None,
    rng: RandomState = None,
) -> Floats | float:
    """Return stable random numbers; all parameters broadcast.

    Parameters
    ----------
    stable_alpha, beta, scale, loc, parametrization
        As in `pdf`.
    size : int, tuple or list, optional
        Shape of the result, which the parameters must fit; their broadcast shape by default.
    rng : None, int, SeedSequence or Generator
        The same seed gives the same numbers.

    Returns
    -------
    float or ndarray
        Of shape `size`.

    Raises
    ------
    InputError
        For a parameter out of range, a bad `size` or `rng`, and shapes that do not broadcast.

    Notes
    -----
    The angle is never +-pi/2 and the exponential never 0, so that no NaN arises.  The largest
    draws are of order U^(-1/stable_alpha) with U uniform on a grid of 2^-53: below a
    stable_alpha of about 0.05 a draw may overflow to +-inf, which is then the nearest number.

    Examples
    --------
    >>> rvs([1.2, 1.8], 0.5, size=(1000, 2), rng=1).shape
    (1000, 2)
    """
    choice("parametrization", parametrization, PARAMETRIZATIONS)
    alpha, skew, c, d = checked(stable_alpha, beta, scale, loc)
    shape = _shape(size, common_shape(stable_alpha=alpha, beta=skew, scale=c, loc=d))
    random = generator(rng)
    u = np.pi * (random.random(shape) - 0.5 + 2.0**-54)
    e = np.maximum(random.standard_exponential(shape), np.finfo(np.float64).tiny)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if alpha.size == skew.size == 1:  # in blocks, since a dozen arrays are in use
            out = u.ravel()
            e = e.ravel()
            for start in range(0, out.size, _BLOCK):
                block = slice(start, start + _BLOCK)
                out[block] = _drawn(
                    alpha.ravel(), skew.ravel(), out[block], e[block], parametrization
                )
            out = out.reshape(shape)
        else:
            out = _drawn(alpha, skew, u, e, parametrization)
        if parametrization == "S1" and (alpha == 1.0).any():
            d = d + np.where(alpha == 1.0, shift(np.ones_like(alpha), skew, c), 0.0)
        out = c * out + d
    return out if shape else float(out)
