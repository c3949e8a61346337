r"""Kernels of the four power laws: real numbers or integers, on [xmin, inf) or on [xmin, xmax].

With q = xmin, y = ln(x/q) and a = alpha - 1:

======== ==================== ================================== ==============
data     range                P(X >= x)                          exponent
======== ==================== ================================== ==============
reals    [q, inf)             exp(-a y)                          a > 0
integers [q, inf)             zeta(alpha, x)/zeta(alpha, q)      a > 0
reals    [q, xmax]            (e^-ay - e^-aL)/(1 - e^-aL)        any real
integers [q, xmax]            sum_x^xmax / sum_q^xmax j^-alpha   any real
======== ==================== ================================== ==============

where L = ln(xmax/q).  `top` is xmax, or infinity for none; the windows are those of ``bounded``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.tails.powerlaw import bounded
from spinnet.tails.zeta import hurwitz, hurwitz_value

Floats = NDArray[np.float64]

_law_moments, _window_exponent = bounded.law_moments, bounded.solve_exponent
_window_survival = bounded.survival


@compiled(nogil=True, error_model="numpy")
def solve_alpha(q: float, mean_log: float, guess: float) -> float:
    """Solve E_alpha[ln(X/q)] = mean_log for the zeta law on q, q+1, ... (CSN eq. 3.5).

    Newton on ln E against ln(alpha - 1), nearly a straight line of slope -1, inside a bracket.
    The Pareto estimate 1/mean_log is an upper bound of alpha - 1.
    """
    lo, hi = 0.0, 1.0 / mean_log
    a = guess - 1.0
    if not 0.0 < a < hi:
        a = 1.0 / (mean_log - math.log1p(-0.5 / q))  # CSN eq. 3.7
    for _ in range(200):
        m0, m1, m2 = hurwitz(1.0 + a, q)
        mean = m1 / m0
        residual = math.log(mean / mean_log)
        if residual > 0.0:
            lo = a
        else:
            hi = a
        slope = a * (m2 / m0 - mean * mean) / mean
        new = a * math.exp(residual / slope)
        if abs(new - a) <= 4e-15 * a:
            return 1.0 + new
        if not lo < new < hi:
            new = math.sqrt(lo * hi) if lo > 0.0 else 0.5 * hi
            if new == a or new in (lo, hi):
                break
        a = new
    return 1.0 + a


@compiled(nogil=True, error_model="numpy")
def exponent(q: float, mean_log: float, guess: float, discrete: bool, top: float) -> float:
    """Return the maximum-likelihood alpha of a tail whose mean of ln(x/q) is `mean_log` > 0.

    `guess` speeds up the zeta law.  NaN where no finite alpha is best: all data at `top`.
    """
    if top < math.inf:
        return float(_window_exponent(mean_log, q, top, discrete))
    if discrete:
        return float(solve_alpha(q, mean_log, guess))
    return 1.0 + 1.0 / mean_log  # CSN eq. 3.1


@compiled(nogil=True, error_model="numpy")
def log_normaliser(alpha: float, q: float, discrete: bool, top: float) -> float:
    """Return ln Z of p(x) = (x/q)^-alpha / Z, a density or a probability."""
    if top < math.inf:
        return float(_law_moments(alpha, q, top, discrete)[0])
    if discrete:
        return math.log(hurwitz_value(alpha, q))
    return math.log(q) - math.log(alpha - 1.0)


@compiled(nogil=True, error_model="numpy")
def log_variance(alpha: float, q: float, discrete: bool, top: float) -> float:
    """Return Var(ln x), the Fisher information on alpha in one observation."""
    if top < math.inf:
        return float(_law_moments(alpha, q, top, discrete)[2])
    if discrete:
        m0, m1, m2 = hurwitz(alpha, q)
        return float(m2 / m0 - (m1 / m0) ** 2)
    return 1.0 / ((alpha - 1.0) * (alpha - 1.0))


@compiled(nogil=True, error_model="numpy")
def survival(
    x: float, y: float, q: float, alpha: float, log_norm: float, discrete: bool, top: float
) -> float:
    """Return P(X >= x), y = ln(x/q).  Without a window the law is continued below q."""
    if top < math.inf:
        if x > top:
            return 0.0
        return float(_window_survival(x, alpha, q, top, log_norm, discrete))
    if discrete:
        return float(hurwitz_value(alpha, x) * math.exp(-alpha * y - log_norm))
    return math.exp((1.0 - alpha) * y)


@compiled(nogil=True, error_model="numpy")
def survivals(x: Floats, y: Floats, q: float, alpha: float, discrete: bool, top: float) -> Floats:
    """Return `survival` of each entry of one-dimensional `x`."""
    log_norm = log_normaliser(alpha, q, discrete, top)
    result = np.empty(x.size)
    for i in range(x.size):
        result[i] = survival(x[i], y[i], q, alpha, log_norm, discrete, top)
    return result
