r"""Averages in 60 digits, as SymPy functions that a derivation can compare with closed forms.

`check_equal` compares in 80 digits and asks for 50 of them.  The trapezoidal rule on the line
converges geometrically for the analytic functions here: halving its step squares its error, so it
stops once two steps agree in 32 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

_DIGITS = 60
_HALF = 32
Real = Any  # mpmath.mpf


def numeric_function(
    name: str, latex: str, rule: Callable[..., Real], arguments: int = 1
) -> type[sp.Function]:
    """Return a SymPy function evaluated by `rule` in 60 digits, and printed as given.

    Parameters
    ----------
    name : str
        An identifier; how the function reads as text.
    latex : str
        How it reads in LaTeX, before its arguments.
    rule : callable
        From mpf arguments to an mpf.
    """
    remembered = lru_cache(maxsize=256)(rule)

    def evaluate(*values: Real) -> Real:
        with mpmath.workdps(_DIGITS):
            return remembered(*(+mpmath.mpmathify(value) for value in values))

    def printed(self: sp.Function, printer: Any, exp: str | None = None) -> str:
        inner = ", ".join(printer._print(argument) for argument in self.args)
        body = rf"{latex}\left({inner}\right)"
        return body if exp is None else rf"{body}^{{{exp}}}"

    body = {
        "nargs": arguments,
        "_imp_": staticmethod(evaluate),
        "_latex": printed,
        "_eval_is_real": lambda self: True,
        "_eval_evalf": lambda self, prec: None,  # SymPy would ask for a few digits, to no use
    }
    return type(name, (sp.Function,), body)


def trapezoid(f: Callable[[Real], Real], low: float, high: float) -> Real:
    """Return the integral of a smooth f that has decayed to 0 at `low` and `high`."""
    step = mpmath.mpf(high - low) / 32
    total = sum(f(low + k * step) for k in range(33))
    previous = total * step
    for _ in range(12):
        step /= 2
        count = int(mpmath.nint((high - low) / step))
        total += sum(f(low + k * step) for k in range(1, count, 2))
        if abs(total * step - previous) <= mpmath.mpf(10) ** -_HALF * abs(previous):
            return total * step
        previous = total * step
    raise ArithmeticError(f"the trapezoidal rule did not converge in 12 halvings on {low}..{high}")


def gaussian_mean(f: Callable[[Real], Real], variance: Real) -> Real:
    """Return E f(u), u of the given variance, for an analytic f."""
    width = mpmath.sqrt(variance)
    normal = 1 / mpmath.sqrt(2 * mpmath.pi)
    return trapezoid(lambda z: normal * mpmath.exp(-z * z / 2) * f(width * z), -18, 18)


def _sech2(x: Real) -> Real:
    return mpmath.sech(x) ** 2


@lru_cache(maxsize=1)
def tanh_means() -> tuple[type[sp.Function], ...]:
    r"""Return E[u phi phi'], E[phi'^2], E[phi phi''], E[phi^2] of tanh as functions of q."""
    tanh = mpmath.tanh
    return (
        numeric_function(
            "E_u_phi_dphi",
            r"\langle u\,\phi\,\phi'\rangle",
            lambda q: gaussian_mean(lambda x: x * tanh(x) * _sech2(x), q),
        ),
        numeric_function(
            "E_dphi_dphi",
            r"\langle \phi'^2\rangle",
            lambda q: gaussian_mean(lambda x: _sech2(x) ** 2, q),
        ),
        numeric_function(
            "E_phi_ddphi",
            r"\langle \phi\,\phi''\rangle",
            lambda q: gaussian_mean(lambda x: -2 * tanh(x) ** 2 * _sech2(x), q),
        ),
        numeric_function(
            "E_phi_phi",
            r"\langle \phi^2\rangle",
            lambda q: gaussian_mean(lambda x: tanh(x) ** 2, q),
        ),
    )


# --- two pre-activations, the second averaged first, in closed form --------------------------


def _conditional(q1: Real, q2: Real, p: Real) -> tuple[Real, Real]:
    """Return the slope of E[u_2 | u_1] in u_1, and the variance of u_2 given u_1."""
    return p / q1, q2 - p * p / q1


def erf_pair(q1: Real, q2: Real, p: Real) -> Real:
    """Return E[erf u_1 erf u_2] by one quadrature."""
    slope, rest = _conditional(q1, q2, p)
    scale = slope / mpmath.sqrt(1 + 2 * rest)
    return gaussian_mean(lambda x: mpmath.erf(x) * mpmath.erf(scale * x), q1)


def gelu_pair(q1: Real, q2: Real, p: Real) -> Real:
    """Return E[u_1 Phi(u_1) u_2 Phi(u_2)] by one quadrature."""
    slope, rest = _conditional(q1, q2, p)
    width = mpmath.sqrt(1 + rest)

    def inner(mean: Real) -> Real:
        return mean * mpmath.ncdf(mean / width) + rest / width * mpmath.npdf(mean / width)

    return gaussian_mean(lambda x: x * mpmath.ncdf(x) * inner(slope * x), q1)


def relu_pair(q1: Real, q2: Real, p: Real) -> Real:
    """Return E[max(u_1, 0) max(u_2, 0)] by one quadrature over u_1 = e^t > 0."""
    slope, rest = _conditional(q1, q2, p)
    width = mpmath.sqrt(rest)
    normal = 1 / mpmath.sqrt(2 * mpmath.pi * q1)

    def integrand(t: Real) -> Real:
        x = mpmath.exp(t - mpmath.exp(-t))  # decays doubly exponentially on the left
        mean = slope * x
        inner = mean * mpmath.ncdf(mean / width) + width * mpmath.npdf(mean / width)
        return x * inner * normal * mpmath.exp(-x * x / (2 * q1)) * x * (1 + mpmath.exp(-t))

    return trapezoid(integrand, -5, 5)


def sin_pair(q1: Real, q2: Real, p: Real) -> Real:
    """Return E[sin u_1 sin u_2] by one quadrature."""
    slope, rest = _conditional(q1, q2, p)
    damping = mpmath.exp(-rest / 2)
    return gaussian_mean(lambda x: mpmath.sin(x) * damping * mpmath.sin(slope * x), q1)


# --- the Kolmogorov law -----------------------------------------------------------------------


def kolmogorov_density(K: Real) -> Real:
    """Return f(K) by whichever of its two series is the shorter."""
    terms = range(1, 40)
    if K > 0.75:
        return 8 * K * sum((-1) ** (n + 1) * n * n * mpmath.exp(-2 * (n * K) ** 2) for n in terms)
    total = mpmath.mpf(0)
    for n in terms:
        a = ((2 * n - 1) * mpmath.pi) ** 2 / 8
        total += (2 * a / K**4 - 1 / K**2) * mpmath.exp(-a / K**2)
    return mpmath.sqrt(2 * mpmath.pi) * total


@lru_cache(maxsize=2)
def kolmogorov_nodes(step: float = 1 / 28, low: float = -2.5, high: float = 2.25) -> Any:
    """Return scales 1/(sqrt(2) K) and weights of the trapezoidal rule in ln K."""
    with mpmath.workdps(_DIGITS):
        nodes = []
        for k in range(round((high - low) / step) + 1):
            K = mpmath.exp(mpmath.mpf(low) + k * mpmath.mpf(step))
            nodes.append((1 / (mpmath.sqrt(2) * K), mpmath.mpf(step) * K * kolmogorov_density(K)))
        return [(s, w) for s, w in nodes if w > mpmath.mpf(10) ** -_DIGITS]


def tanh_by_mixture(x: Real) -> Real:
    """Return the sum over nodes of w erf(s x)."""
    return mpmath.fsum(w * mpmath.erf(s * x) for s, w in kolmogorov_nodes())


def _mixed(term: Callable[[Real, Real], Real]) -> Real:
    """Return the sum over pairs of nodes of w_j w_k term(s_j, s_k), for a symmetric term."""
    nodes = kolmogorov_nodes()
    total = mpmath.mpf(0)
    for j, (s, w) in enumerate(nodes):
        inner = sum(v * term(s, t) for t, v in nodes[:j])
        total += w * (2 * inner + w * term(s, s))
    return total


def tanh_pair(q: Real, c: Real) -> Real:
    """Return E[tanh u_1 tanh u_2] at equal variances, from the arcsine kernel of erf."""
    roots = {s: 1 / mpmath.sqrt(1 + 2 * s * s * q) for s, _ in kolmogorov_nodes()}
    return _mixed(lambda s, t: mpmath.asin(2 * s * t * q * c * roots[s] * roots[t])) * (
        2 / mpmath.pi
    )


def tanh_pair_slope(q: Real, c: Real) -> Real:
    """Return E[tanh' u_1 tanh' u_2] at equal variances."""

    def term(s: Real, t: Real) -> Real:
        a, b = 1 + 2 * s * s * q, 1 + 2 * t * t * q
        return s * t / mpmath.sqrt(a * b - (2 * s * t * q * c) ** 2)

    return _mixed(term) * 4 / mpmath.pi


# --- fixed points of a tanh network -----------------------------------------------------------


@lru_cache(maxsize=8)
def tanh_length_fixed_point(sigma_w: Real, sigma_b: Real) -> Real:
    """Return q* > 0, by Newton from above."""
    means = tanh_means()
    square, slope = means[3]._imp_, means[0]._imp_
    q = sigma_w**2 + sigma_b**2
    for _ in range(60):
        gap = sigma_w**2 * square(q) + sigma_b**2 - q
        move = gap / (1 - sigma_w**2 * slope(q) / q)
        q += move
        if abs(move) < mpmath.mpf(10) ** -_HALF * q:
            return q
    raise ArithmeticError(f"no fixed point at sigma_w={sigma_w}, sigma_b={sigma_b}")


@lru_cache(maxsize=8)
def tanh_correlation_fixed_point(sigma_w: Real, sigma_b: Real) -> Real:
    """Return c* < 1 of a chaotic network, by Newton from the left."""
    q = tanh_length_fixed_point(sigma_w, sigma_b)
    c = mpmath.mpf(_approximate_fixed_point(float(q), float(sigma_w), float(sigma_b)))
    for _ in range(2):  # 15 digits, then 30, then 60
        image = (sigma_w**2 * tanh_pair(q, c) + sigma_b**2) / q
        c += (image - c) / (1 - sigma_w**2 * tanh_pair_slope(q, c))
    return c


def _approximate_fixed_point(q: float, sigma_w: float, sigma_b: float) -> float:
    s, w = (np.array([float(x[k]) for x in kolmogorov_nodes()]) for k in (0, 1))
    a = 1 + 2 * s * s * q
    ratio = 2 * q * np.outer(s, s) / np.sqrt(np.outer(a, a))
    c = 0.0
    for _ in range(60):
        image = (sigma_w**2 * 2 / math.pi * (w @ np.arcsin(ratio * c) @ w) + sigma_b**2) / q
        slope = sigma_w**2 * 2 / math.pi / q * (w @ (ratio / np.sqrt(1 - (ratio * c) ** 2)) @ w)
        c += (image - c) / (1 - slope)
    return c
