r"""Entropy estimators that are a constant plus a sum over the patterns seen, in nats.

H = c + sum_i t(k_i), where the constant and the term t may depend on the number of inputs M, of
patterns seen D, and of patterns seen once and twice, f_1 and f_2.  In this form an estimate
without one input takes no new sum, which makes the jackknife fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Totals(NamedTuple):
    """What constants and terms may depend on."""

    M: float
    D: float
    f1: float
    f2: float


class Parts(NamedTuple):
    """The constant, and the term of a pattern seen k > 0 times."""

    constant: float
    term: Callable[[Floats], Floats]


def plug_in(totals: Totals) -> Parts:
    """Return -p ln p at p = k/M."""
    M = totals.M
    return Parts(0.0, lambda k: -(k / M) * np.log(k / M))


def miller_madow(totals: Totals) -> Parts:
    """Add (D - 1)/(2M), the leading bias of the plug-in were all patterns seen (Miller, 1955)."""
    return Parts((totals.D - 1.0) / (2.0 * totals.M), plug_in(totals).term)


def grassberger(totals: Totals) -> Parts:
    """Return ln M - (1/M) sum k G(k), with G(k) = psi(k) + (-1)^k/2 [psi((k+1)/2) - psi(k/2)].

    Grassberger, "Entropy estimates from insufficient samplings", arXiv:physics/0307138 (2003,
    revised 2008): G(1) = -gamma - ln 2, G(2) = 2 - gamma - ln 2, G(2n+1) = G(2n) and
    G(2n+2) = G(2n) + 2/(2n+1).  It is not his estimator of 1988, whose G(k) is
    psi(k) + (-1)^k/(k (k+1)).  Derived for Poisson counts, it is 1/(2M) too large at a given M
    where every pattern is seen often.
    """
    from scipy.special import digamma

    M = totals.M

    def term(k: Floats) -> Floats:
        sign = 1.0 - 2.0 * (k % 2)
        half = digamma((k + 1.0) / 2.0) - digamma(k / 2.0)
        return np.asarray(-(k / M) * (digamma(k) + 0.5 * sign * half))

    return Parts(math.log(M), term)


def chao_shen(totals: Totals) -> Parts:
    """Weight q = C k/M by its odds of being seen (Chao, Shen, Environ. Ecol. Stat. 10, 429, 2003).

    C is the coverage 1 - f_1/M; where all were seen once, f_1 is taken as M - 1.
    """
    M = totals.M
    C = 1.0 - (totals.f1 if totals.f1 < M else M - 1.0) / M

    def term(k: Floats) -> Floats:
        q = np.minimum(C * k / M, 1.0)  # k = M + 1 is met, and cancels, in the jackknife
        with np.errstate(divide="ignore"):  # q = 1: seen for certain
            seen = -np.expm1(M * np.log1p(-q))
        return -q * np.log(q) / seen

    return Parts(0.0, term)


def zhang(totals: Totals) -> Parts:
    """Return sum (k/M) [psi(M) - psi(k)], whose bias falls exponentially with M.

    Zhang, Neural Comput. 24, 1368 (2012), in the closed form of Schurmann, ibid. 27, 2097 (2015).
    """
    from scipy.special import digamma

    M = totals.M
    return Parts(0.0, lambda k: np.asarray((k / M) * (digamma(M) - digamma(k))))


def chao_wang_jost(totals: Totals) -> Parts:
    """Add to Zhang's sum what f_1 and f_2 tell of the patterns unseen.

    Chao, Wang, Jost, Methods Ecol. Evol. 4, 1091 (2013).
    """
    return Parts(_unseen(totals), zhang(totals).term)


def _unseen(totals: Totals) -> float:
    """Return (f_1/M) (1-A)^(1-M) [-ln A - sum_(r<M) (1-A)^r/r].

    The bracket is sum_(r>=M) (1-A)^r/r, so that the whole is f_1/M sum_(j>=0) (1-A)^(j+1)/(M+j),
    which neither cancels nor overflows.
    """
    M, _, f1, f2 = totals
    if f1 == 0:
        return 0.0
    odds = 2.0 * f2 / f1 if f2 > 0 else 2.0 / (f1 - 1.0) if f1 > 1 else math.inf
    A = 1.0 if math.isinf(odds) else odds / (M - 1.0 + odds)
    return 0.0 if A >= 1.0 else f1 / M * geometric_tail(A, M)


def geometric_tail(A: float, M: float) -> float:
    """Return sum_(j>=0) x^(j+1)/(M+j) at x = 1 - A, 0 < A < 1.

    It is x times the integral of exp(-M u)/(1 - x exp(-u)) over u > 0, taken in v = M u.
    """
    from scipy.integrate import quad

    x = 1.0 - A

    def integrand(v: float) -> float:
        return math.exp(-v) / (M * A - M * x * math.expm1(-v / M))

    knee = min(M * A, 30.0)  # where the denominator starts to grow
    below, _ = quad(integrand, 0.0, knee, epsabs=0.0, epsrel=1e-11)
    above, _ = quad(integrand, knee, 60.0, epsabs=0.0, epsrel=1e-11, limit=200)
    return x * float(below + above)


ESTIMATORS: dict[str, Callable[[Totals], Parts]] = {
    "plug-in": plug_in,
    "miller-madow": miller_madow,
    "grassberger": grassberger,
    "chao-shen": chao_shen,
    "zhang": zhang,
    "chao-wang-jost": chao_wang_jost,
}
