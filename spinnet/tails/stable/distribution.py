"""Density, distribution and quantile functions of alpha-stable laws, broadcasting like ufuncs."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.tails.stable.parameters import PARAMETRIZATIONS, checked, common_shape
from spinnet.validation import choice, refuse_masked

if TYPE_CHECKING:
    from spinnet.tails.stable.standard import StandardStable

Floats = NDArray[np.float64]


def _real(name: str, value: ArrayLike) -> Floats:
    """Return `value` as float64; infinities and NaN pass, as they do in ufuncs."""
    refuse_masked(name, value)
    array = np.asarray(value)
    if array.dtype.kind == "O" and all(isinstance(item, Real) for item in array.flat):
        try:  # integers beyond 64 bits, fractions
            array = array.astype(np.float64)
        except OverflowError as error:
            raise InputError(f"{name} must be within the range of float64") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be real numbers, got dtype {array.dtype}")
    return array.astype(np.float64, copy=False)


def _groups(
    alpha: Floats, beta: Floats, shape: tuple[int, ...]
) -> list[tuple[float, float, slice | NDArray[np.intp]]]:
    """Return (stable_alpha, beta, flat indices) for each distinct pair, broadcast to `shape`."""
    if 0 in shape:
        return []
    if alpha.min() == alpha.max() and beta.min() == beta.max():
        return [(float(alpha.flat[0]), float(beta.flat[0]), slice(None))]
    alpha, beta = (np.broadcast_to(array, shape).ravel() for array in (alpha, beta))
    order = np.lexsort((beta, alpha))
    a, b = alpha[order], beta[order]
    starts = np.flatnonzero(np.r_[True, (a[1:] != a[:-1]) | (b[1:] != b[:-1])])
    parts = np.split(order, starts[1:])
    return [(float(a[s]), float(b[s]), part) for s, part in zip(starts, parts, strict=True)]


def _locations(alpha: Floats, beta: Floats, scale: Floats, loc: Floats, name: str) -> Floats:
    """Return what is subtracted from x before the division by the scale.

    It is the location of the standard variable that the parametrisation describes: y (S1) or
    x (S0); at stable_alpha = 1 the two standard variables are one.
    """
    if name == "S1":
        one = alpha == 1.0
        if one.any():
            return loc + np.where(one, 2.0 / np.pi * beta * scale * np.log(scale), 0.0)
    return loc


def _pair(law: StandardStable, standardised: Floats, name: str) -> tuple[Floats, Floats | None]:
    """Return the standard S0 variable and, where known exactly, the standard S1 variable."""
    if name == "S1" and law.stable_alpha != 1.0:
        return standardised + law.zeta, standardised
    return standardised, None


def _evaluate(
    kind: str,
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike,
    scale: ArrayLike,
    loc: ArrayLike,
    parametrization: str,
) -> Floats | float:
    from spinnet.tails.stable.standard import standard

    choice("parametrization", parametrization, PARAMETRIZATIONS)
    values = _real("x", x)
    alpha, skew, c, d = checked(stable_alpha, beta, scale, loc)
    shape = common_shape(x=values, stable_alpha=alpha, beta=skew, scale=c, loc=d)
    with np.errstate(over="ignore", invalid="ignore"):
        z = (values - _locations(alpha, skew, c, d, parametrization)) / c
    z = np.broadcast_to(z, shape).ravel()
    out = np.empty(z.size)
    for a, b, where in _groups(alpha, skew, shape):
        law = standard(a, b)
        x0, y = _pair(law, z[where], parametrization)
        out[where] = getattr(law, kind)(x0, y)
    out = out.reshape(shape)
    if kind == "pdf":
        out /= c
    elif kind == "logpdf":
        out -= np.log(c)
    return out if shape else float(out)


def pdf(
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the density of a stable law; all arguments broadcast.

    Parameters
    ----------
    x : array_like
        Points; NaN gives NaN.
    stable_alpha : array_like
        Index of stability in (0, 2]; the density falls as x^-(1 + stable_alpha).
    beta : array_like
        Skewness in [-1, 1].
    scale, loc : array_like
        Scale c > 0 and location; log phi(t) = -(ct)^alpha + ... (`stable.parameters`), so that
        stable_alpha = 2 is a normal law of variance 2 c^2.
    parametrization : {"S1", "S0"}
        Nolan's names; "S0" is continuous at stable_alpha = 1.

    Returns
    -------
    float or ndarray
        Of the broadcast shape.

    Raises
    ------
    InputError
        For a parameter out of range (the message names it and the first index), and for shapes
        that do not broadcast.

    Notes
    -----
    The relative error is about 1e-13 for stable_alpha >= 0.3, at any x, in light tails times
    the size of the log-density.  Below 0.3 it grows as 1e-13 / stable_alpha, since the density
    spreads over 1 / stable_alpha decades.  In S0 the distance of x from the point
    zeta = -beta tan(pi stable_alpha/2), where laws of stable_alpha < 1 and beta = +-1 end, is
    known to the rounding of zeta only; S1 is measured from there and loses nothing.  Methods:
    `stable.zolotarev`, `stable.series`, `stable.near_one`, `stable.panels`.

    Examples
    --------
    >>> round(pdf(0.0, 1.0), 12)  # the Cauchy law
    0.318309886184
    >>> pdf([0.0, 10.0], [[1.5], [2.0]]).shape
    (2, 2)
    """
    return _evaluate("pdf", x, stable_alpha, beta, scale, loc, parametrization)


def logpdf(
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the log-density, finite also where the density underflows (see `pdf`)."""
    return _evaluate("logpdf", x, stable_alpha, beta, scale, loc, parametrization)


def cdf(
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return P(X <= x), relatively accurate also where it is small (see `pdf`)."""
    return _evaluate("cdf", x, stable_alpha, beta, scale, loc, parametrization)


def logcdf(
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return ln P(X <= x) (see `pdf`)."""
    return _evaluate("logcdf", x, stable_alpha, beta, scale, loc, parametrization)


def sf(
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return P(X > x), relatively accurate also where it is small (see `pdf`)."""
    return _evaluate("sf", x, stable_alpha, beta, scale, loc, parametrization)


def logsf(
    x: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return ln P(X > x) (see `pdf`)."""
    return _evaluate("logsf", x, stable_alpha, beta, scale, loc, parametrization)


def _probabilities(name: str, value: ArrayLike) -> Floats:
    p = _real(name, value)
    bad = ~((p >= 0.0) & (p <= 1.0))
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        where = f", the first at index {index}" if index else ""
        raise InputError(
            f"{name} must be in [0, 1], got {int(bad.sum())} other value(s){where}: {p[index]}"
        )
    return p


def _quantile(
    upper: bool,
    p: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike,
    scale: ArrayLike,
    loc: ArrayLike,
    parametrization: str,
) -> Floats | float:
    from spinnet.tails.stable.quantiles import standard_quantile
    from spinnet.tails.stable.standard import standard

    choice("parametrization", parametrization, PARAMETRIZATIONS)
    q = _probabilities("p", p)
    alpha, skew, c, d = checked(stable_alpha, beta, scale, loc)
    shape = common_shape(p=q, stable_alpha=alpha, beta=skew, scale=c, loc=d)
    q = np.broadcast_to(q, shape).ravel()
    out = np.empty(q.size)
    for a, b, where in _groups(alpha, skew, shape):
        law = standard(a, b)
        x0, y = standard_quantile(law, q[where], upper)
        out[where] = y if parametrization == "S1" and a != 1.0 else x0
    with np.errstate(over="ignore"):
        out = c * out.reshape(shape) + _locations(alpha, skew, c, d, parametrization)
    return out if shape else float(out)


def ppf(
    p: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the quantile x with cdf(x) = p; the ends of the support at p = 0 and 1.

    Relative accuracy holds down to the smallest p; a quantile beyond 1e308 is infinite
    (stable_alpha below 1 and tiny p).  Arguments as in `pdf`; p outside [0, 1] is refused.

    Examples
    --------
    >>> round(ppf(0.75, 1.0), 12)
    1.0
    """
    return _quantile(False, p, stable_alpha, beta, scale, loc, parametrization)


def isf(
    p: ArrayLike,
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the point x with sf(x) = p (see `ppf`)."""
    return _quantile(True, p, stable_alpha, beta, scale, loc, parametrization)
