"""Singular values of the Jacobian."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation.averages import sigma_w
from spinnet.theory.propagation.spectra import (
    L,
    jacobian_inverse,
    jacobian_moments,
    linear_edge,
    linear_edge_point,
    m,
    mu1,
    mu2,
    relu_edge_point,
    slope_inverse,
    slope_inverse_from_moments,
)

_R = sp.Rational


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Singular values of the Jacobian")
    _moments(d)
    _linear(d)
    _relu(d)


def _moments(d: Derivation) -> None:
    w = sp.Symbol("w", positive=True)
    first, second = slope_inverse_from_moments().subs(m, 1 / w), mu1 / w + mu2 / w**2
    image = second.subs(w, first)
    d.step(
        "Inverse of M = mu_1/w + mu_2/w^2, to second order",
        [sp.limit(w**k * (image - known), w, sp.oo) for k, known in ((1, 0), (2, 1 / w))],
        [1, 0],
        note="w(m) = mu_1/m + mu_2/mu_1: inserting it gives m back, with no term m^2.",
    )
    for orthogonal in (False, True):
        inverse = jacobian_inverse(slope_inverse_from_moments(), orthogonal=orthogonal)
        leading = sp.limit(m * inverse, m, 0)
        following = sp.simplify(sp.limit(sp.diff(sp.simplify(m * inverse), m), m, 0))
        mean, spread = jacobian_moments(orthogonal=orthogonal)
        kind = "orthogonal" if orthogonal else "Gaussian"
        d.step(
            f"Mean and relative variance of squared singular values, {kind} weights",
            [leading, following / leading - 1],
            [mean, spread],
            note="z = m_1/m + m_2/m_1 + ..., so m_2/m_1^2 is the ratio of the two coefficients.",
        )


def _linear(d: Derivation) -> None:
    z = jacobian_inverse(slope_inverse(sp.S.One))
    d.step(
        "Linear network: z(m)",
        z,
        sigma_w ** (2 * L) * (1 + m) ** (L + 1) / m,
    )
    d.step(
        "z(m) is smallest at m = 1/L",
        _log_slope(z).subs(m, linear_edge_point()),
        0,
    )
    d.step(
        "Upper edge of a linear network",
        z.subs(m, linear_edge_point()),
        linear_edge(),
        note="sigma_w^(2 L) (L + 1)^(L + 1)/L^L: 14.93 for 5 layers, while the mean stays at 1.",
    )
    x = sp.Symbol("x")
    series = sp.S.Zero
    for _ in range(4):  # m = x (1 + m)^(L+1), x = 1/z at sigma_w = 1
        binomial = sp.Add(*(sp.ff(L + 1, k) / sp.factorial(k) * series**k for k in range(5)))
        expanded = sp.expand(x * binomial)
        series = sp.Add(*(sp.factor(expanded.coeff(x, k)) * x**k for k in range(1, 5)))
    d.step(
        "Moments of a linear network: 1 to 4",
        [series.coeff(x, k) for k in range(1, 5)],
        [sp.ff((L + 1) * k, k - 1) / sp.factorial(k) for k in range(1, 5)],
        note="Numbers of Fuss and Catalan; 1, L + 1, ...",
    )


def _log_slope(expr: sp.Expr) -> sp.Expr:
    return sp.diff(sp.expand_log(sp.log(expr)), m)


def _relu(d: Derivation) -> None:
    for orthogonal in (False, True):
        z = jacobian_inverse(slope_inverse(_R(1, 2)), orthogonal=orthogonal)
        kind = "orthogonal" if orthogonal else "Gaussian"
        factor = (1 + m) ** (-L if orthogonal else 0)
        scaled = z.subs(sigma_w, sp.sqrt(2))
        d.step(
            f"relu at sigma_w^2 = 2, {kind} weights: z(m)",
            scaled,
            (1 + m) / m * (1 + 2 * m) ** L * factor,
        )
        d.step(
            f"relu, {kind} weights: z(m) is smallest at",
            _log_slope(scaled).subs(m, relu_edge_point(orthogonal=orthogonal)),
            0,
            note="m = 1/(L - 2)" if orthogonal else "m = (1 - L + sqrt(L^2 + 1))/(2 L)",
            ranges={L: (2.5, 9.0)},
        )
