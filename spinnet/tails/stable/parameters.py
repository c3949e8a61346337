r"""Parametrisations of the alpha-stable laws, and the constants of Zolotarev's integral.

With the scale c and the location d, for stable_alpha != 1 and t > 0:

.. math:: \log\varphi(t) = -(ct)^\alpha (1 - i\beta\tan\tfrac{\pi\alpha}{2}) + i d_1 t
          = -(ct)^\alpha \left(1 + i\beta\tan\tfrac{\pi\alpha}{2}\,((ct)^{1-\alpha}-1)\right)
            + i d_0 t

"S1" is the first form, "S0" the second (Nolan); the second is continuous at stable_alpha = 1.
"poole" is S1 with beta = 0 and the scale z of log phi = -(zt)^alpha / 2, so that
stable_alpha = 2 is a normal law of standard deviation z.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import choice, finite_array, positive_array

Floats = NDArray[np.float64]
PARAMETRIZATIONS = ("S1", "S0")
CONVENTIONS = ("S1", "S0", "poole")
# Nearer to 1 than this, stable_alpha is moved: it changes log-densities by less than 1e-15 ln|x|.
_NEAREST_ONE = 2.0**-50


class Parameters(NamedTuple):
    """The four parameters of a stable law, each of the broadcast shape."""

    stable_alpha: Floats
    beta: Floats
    scale: Floats
    loc: Floats


def _refuse(name: str, array: Floats, bad: NDArray[np.bool_], allowed: str) -> None:
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        where = f", the first at index {index}" if index else ""
        raise InputError(
            f"{name} must be {allowed}, got {int(bad.sum())} other value(s){where}: {array[index]}"
        )


def stable_alphas(value: ArrayLike) -> Floats:
    """Return stability indices as an array; refuse values outside (0, 2]."""
    alpha = finite_array("stable_alpha", value)
    _refuse("stable_alpha", alpha, (alpha <= 0) | (alpha > 2), "in (0, 2]")
    return alpha


def betas(value: ArrayLike) -> Floats:
    """Return skewness parameters as an array; refuse values outside [-1, 1]."""
    beta = finite_array("beta", value)
    _refuse("beta", beta, np.abs(beta) > 1, "in [-1, 1]")
    return beta


def checked(
    stable_alpha: ArrayLike, beta: ArrayLike, scale: ArrayLike, loc: ArrayLike
) -> Parameters:
    """Return the parameters as arrays, each of its own shape, after checking their ranges."""
    return Parameters(
        stable_alphas(stable_alpha),
        betas(beta),
        positive_array("scale", scale),
        finite_array("loc", loc),
    )


def common_shape(**arrays: NDArray[Any]) -> tuple[int, ...]:
    """Return the broadcast shape of named arguments; refuse shapes that have none."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"the arguments must broadcast, got the shapes {shapes}") from error


def broadcast(**arrays: Floats) -> list[Floats]:
    """Return views of named arguments, all of their common shape."""
    shape = common_shape(**arrays)
    return [np.broadcast_to(array, shape) for array in arrays.values()]


def half_tangent(alpha: float) -> float:
    """Return tan(pi alpha / 2), accurate near 1 and 2 (where it is huge and zero)."""
    if alpha > 1.25:
        return -half_tangent(2.0 - alpha)
    if alpha > 0.75:
        return -1.0 / math.tan(0.5 * math.pi * (alpha - 1.0)) if alpha != 1.0 else math.inf
    if alpha < 0.25:
        return math.tan(0.5 * math.pi * alpha)
    quarter = math.tan(0.5 * math.pi * (alpha - 0.5))  # exactly 1 at alpha = 1/2
    return (1.0 + quarter) / (1.0 - quarter)


_half_tangents = np.vectorize(half_tangent, otypes=[np.float64])


def shift(stable_alpha: Floats, beta: Floats, scale: Floats) -> Floats:
    """Return d0 - d1, the location in S0 less the location in S1 (broadcasts).

    For stable_alpha != 1 it is beta scale tan(pi stable_alpha / 2), else 2/pi beta scale ln scale.
    """
    alpha, beta, scale = np.broadcast_arrays(stable_alpha, beta, scale)
    one = alpha == 1.0
    tangent = np.where(one, 0.0, _half_tangents(np.where(one, 2.0, alpha)))
    return np.asarray(beta * scale * np.where(one, 2.0 / np.pi * np.log(scale), tangent))


def convert(
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    *,
    source: str,
    target: str,
) -> Parameters:
    """Return the parameters in `target` of the law given in `source`; broadcasts.

    Parameters
    ----------
    stable_alpha, beta, scale, loc : array_like
        Index in (0, 2], skewness in [-1, 1], scale > 0 and location, in the convention `source`.
    source, target : {"S1", "S0", "poole"}
        The module docstring defines them.  "poole" needs beta = 0; its scale is 2^(1/alpha)
        times that of S1.

    Returns
    -------
    tuple
        `Parameters` (stable_alpha, beta, scale, loc): arrays of the broadcast shape.

    Raises
    ------
    InputError
        For a parameter out of range, an unknown convention, or "poole" with beta != 0.

    Notes
    -----
    S0 and S1 differ by the shift beta scale tan(pi stable_alpha / 2), which is infinite in the
    limit stable_alpha -> 1; J. P. Nolan, Univariate Stable Distributions (2020), section 1.3.
    """
    choice("source", source, CONVENTIONS)
    choice("target", target, CONVENTIONS)
    alpha, beta, scale, loc = broadcast(**checked(stable_alpha, beta, scale, loc)._asdict())
    if "poole" in (source, target):
        _refuse("beta", beta, beta != 0, "0 for the convention 'poole'")
    if source == "poole":
        scale = scale * 2.0 ** (-1.0 / alpha)
    elif source == "S0":
        loc = loc - shift(alpha, beta, scale)
    if target == "poole":
        scale = scale * 2.0 ** (1.0 / alpha)
    elif target == "S0":
        loc = loc + shift(alpha, beta, scale)
    return Parameters(*(np.array(value, dtype=np.float64) for value in (alpha, beta, scale, loc)))


def side_constants(alpha: float, beta: float) -> Floats:
    """Return the constants of the half line y > 0 that the kernels share (shape (10,)).

    They are alpha, alpha - 1, beta, zeta, pi rho, chi = pi (1 - alpha rho), omega = pi (1 - rho),
    ln C, delta = arctan(1 / |zeta|) and pi alpha rho, where y = x - zeta is the S1 variable,
    rho = P(y > 0) and C = (1 + zeta^2)^(-1/(2 alpha)).  Each angle is formed without cancellation
    where it vanishes (beta = -1 or +1, alpha = 1 or 2).
    """
    eps = alpha - 1.0
    if abs(eps) < _NEAREST_ONE:
        eps = _NEAREST_ONE
        alpha = 1.0 + eps
    tangent = half_tangent(alpha)
    zeta = -beta * tangent
    if alpha < 1.0:
        product = math.atan2((1.0 + beta) * tangent, 1.0 - beta * tangent * tangent)
        rho = product / alpha
        omega = math.atan2((1.0 - beta) * tangent, 1.0 + beta * tangent * tangent) / alpha
        chi = math.pi * -eps + alpha * omega
    else:
        chi = math.atan2(-(1.0 + beta) * tangent, 1.0 - beta * tangent * tangent)
        product = math.pi - chi
        rho = product / alpha
        omega = (eps * math.pi + chi) / alpha
    delta = math.atan2(1.0, abs(zeta))
    log_c = -0.5 * math.log1p(zeta * zeta) / alpha
    return np.array([alpha, eps, beta, zeta, rho, chi, omega, log_c, delta, product])
