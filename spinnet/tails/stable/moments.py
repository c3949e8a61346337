"""Mean, variance, absolute moments, median and mode of alpha-stable laws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from spinnet.errors import InputError
from spinnet.tails.stable.distribution import ppf
from spinnet.tails.stable.parameters import PARAMETRIZATIONS, broadcast, checked, shift
from spinnet.validation import choice, finite_array

Floats = NDArray[np.float64]


def _result(value: Floats) -> Floats | float:
    return value if value.ndim else float(value)


def mean(
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the mean: the location in S1 for stable_alpha > 1, else NaN (or +-inf one-sided).

    Laws of stable_alpha < 1 and beta = +-1 have one infinite tail only, and the mean +-inf; so
    has stable_alpha = 1 with beta = +-1 a tail whose mean diverges to +-inf.
    """
    choice("parametrization", parametrization, PARAMETRIZATIONS)
    alpha, skew, c, d = broadcast(**checked(stable_alpha, beta, scale, loc)._asdict())
    if parametrization == "S0":
        d = d - shift(alpha, skew, c)
    divergent = np.where(skew == 1.0, np.inf, np.where(skew == -1.0, -np.inf, np.nan))
    return _result(np.where(alpha > 1.0, d, divergent))


def variance(
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the variance: 2 scale^2 for stable_alpha = 2, else infinite."""
    choice("parametrization", parametrization, PARAMETRIZATIONS)
    alpha, _, c, _ = broadcast(**checked(stable_alpha, beta, scale, loc)._asdict())
    return _result(np.where(alpha == 2.0, 2.0 * c * c, np.inf))


def absolute_moment(
    order: ArrayLike, stable_alpha: ArrayLike, scale: ArrayLike = 1.0
) -> Floats | float:
    r"""Return E|X|^p of a symmetric law (beta = 0, loc = 0) for p > -1; infinite from p = alpha.

    .. math:: E|X|^p = c^p\,\frac{2^p\,\Gamma((1+p)/2)\,\Gamma(1-p/\alpha)}
                                {\sqrt{\pi}\,\Gamma(1-p/2)}

    Parameters
    ----------
    order : array_like
        p > -1.
    stable_alpha, scale : array_like
        As in `pdf`.

    Raises
    ------
    InputError
        For an order <= -1, or a parameter out of range.
    """
    p = finite_array("order", order)
    if (p <= -1.0).any():
        raise InputError(f"order must be > -1, got {p.min()}: the moment diverges at the centre")
    alpha, _, c, _ = checked(stable_alpha, 0.0, scale, 0.0)
    p, alpha, c = broadcast(order=p, stable_alpha=alpha, scale=c)
    normal = alpha == 2.0
    finite = (p < alpha) | normal
    q = np.where(finite, p, 0.0)
    # at alpha = 2 the two gamma functions of the tail cancel
    r = np.where(normal, 0.0, q)
    log_tail = gammaln(1.0 - r / alpha) - gammaln(1.0 - 0.5 * r)
    log_moment = q * np.log(2.0 * c) + gammaln(0.5 * (1.0 + q)) - 0.5 * np.log(np.pi) + log_tail
    return _result(np.where(finite, np.exp(log_moment), np.inf))


def median(
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the median, ppf(1/2)."""
    return ppf(0.5, stable_alpha, beta, scale, loc, parametrization)


def mode(
    stable_alpha: ArrayLike,
    beta: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    loc: ArrayLike = 0.0,
    parametrization: str = "S1",
) -> Floats | float:
    """Return the place of the maximum of the density (stable laws are unimodal).

    It is `loc` for beta = 0, and else the zero of the tabulated derivative of the log-density;
    for stable_alpha >= 0.1.
    """
    from spinnet.tails.stable.standard import standard

    choice("parametrization", parametrization, PARAMETRIZATIONS)
    parameters = broadcast(**checked(stable_alpha, beta, scale, loc)._asdict())
    alpha, skew, c, d = (np.ravel(value) for value in parameters)
    if ((alpha < 0.1) & (skew != 0.0)).any():
        raise InputError(f"stable_alpha must be >= 0.1 for the mode, got {alpha.min()}")
    out = np.empty(alpha.size)
    for i in range(alpha.size):
        x0, y = (0.0, 0.0) if skew[i] == 0.0 else standard(alpha[i], skew[i]).mode()
        out[i] = y if parametrization == "S1" and alpha[i] != 1.0 else x0
    base = d
    if parametrization == "S1":
        base = d + np.where(alpha == 1.0, shift(np.ones_like(alpha), skew, c), 0.0)
    return _result((base + c * out).reshape(parameters[0].shape))
