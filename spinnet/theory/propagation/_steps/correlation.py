"""The correlation map: slope, convexity, stability of c = 1."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps.common import SMOOTH, polynomial
from spinnet.theory.propagation.averages import (
    average,
    c,
    chi1,
    chi2,
    density,
    pair_average,
    q,
    sigma_b,
    sigma_w,
    u,
    u1,
    u2,
)
from spinnet.theory.propagation.critical import distance_map, epsilon, smooth_distance_map
from spinnet.theory.propagation.kernels import ACTIVATIONS, Kernel, kernel
from spinnet.theory.propagation.maps import (
    at_fixed_point,
    chi,
    chi_1,
    chi_2,
    correlation_map,
    xi_c,
    xi_grad,
)


def add(d: Derivation) -> None:
    """Add the sections."""
    d.section("Correlation map")
    _slope(d)
    d.section("Hermite expansion and convexity")
    _hermite(d)
    _convexity(d)
    d.section("Stability of c = 1")
    _stability(d)
    _phases(d)


def _over_one_variable(name: str) -> Kernel:
    """Return the averages over one pre-activation, without the closed kernel of a pair."""
    phi = ACTIVATIONS[name]
    if name != "relu":
        return Kernel(phi)
    half = (u, 0, sp.oo)
    length, slope = (sp.integrate(f * density(), half) for f in (u**2, 1))
    return Kernel(phi, closed_length=length, closed_slope=slope, kinked=True)


def _at_c(expr: sp.Expr) -> sp.Expr:
    """Return the average of `expr` in u1, u2 at equal variances q and correlation c."""
    return pair_average(expr, variances=(q, q), covariance=c * q)


def _slope(d: Derivation) -> None:
    phi = polynomial(4)
    first, second = (sp.diff(phi, u, k) for k in (1, 2))
    curve = correlation_map(phi)
    apart = [(name, _over_one_variable(name)) for name in ("relu", "sin")]
    d.step(
        "C(1) = 1",
        [at_fixed_point(correlation_map(f).subs(c, 1), g) for f, g in ((phi, phi), *apart)],
        [1] * (1 + len(apart)),
        note="At q = V(q), V from E[phi^2] integrated by itself; a polynomial of degree 4, then "
        "relu, sin.",
    )
    d.step(
        "C'(c) = chi(c)",
        sp.diff(curve, c),
        sigma_w**2 * _at_c(first.subs(u, u1) * first.subs(u, u2)),
        note="Price's theorem, p = c q.",
    )
    d.step(
        "C''(c)",
        sp.diff(curve, c, 2),
        sigma_w**2 * q * _at_c(second.subs(u, u1) * second.subs(u, u2)),
    )
    d.step(
        "chi(1) = chi_1",
        sigma_w**2 * _at_c(first.subs(u, u1) * first.subs(u, u2)).subs(c, 1),
        sigma_w**2 * average(first**2),
        note="At c = 1, and only there, the double average is the single one.",
    )
    d.step(
        "chi(1) = chi_1: erf, relu, sin",
        [chi(name).subs(c, 1) for name in ("erf", "relu", "sin")],
        [chi_1(_over_one_variable(name)) for name in ("erf", "relu", "sin")],
        note="The derivative of the kernel at c = 1, and E[phi'^2] integrated by itself.",
    )


def _hermite(d: Derivation) -> None:
    phi, degree = polynomial(5), 5
    d.step(
        "E[phi phi] is a power series in c with squares as coefficients",
        _at_c(phi.subs(u, u1) * phi.subs(u, u2)),
        sp.Add(*(_coefficient(phi, n) ** 2 * c**n for n in range(degree + 1))),
        note="A_n = E[phi(sqrt(q) z) He_n(z)]/sqrt(n!), real. Hence H is convex for 0 <= c <= 1.",
    )
    squares = [_coefficient(phi, n) ** 2 for n in range(degree + 1)]
    d.step("The coefficients sum to E[phi^2]", sp.Add(*squares), average(phi**2))
    d.step(
        "Their mean order is q E[phi'^2]",
        sp.Add(*(n * a for n, a in enumerate(squares))),
        q * average(sp.diff(phi, u) ** 2),
    )
    orders = (1, 2, 3, 5)
    d.step(
        "Coefficients of sin: n = 1, 2, 3, 5",
        [_coefficient(sp.sin(u), n) ** 2 for n in orders],
        [sp.exp(-q) * q**n / sp.factorial(n) if n % 2 else 0 for n in orders],
        note="They sum to exp(-q) sinh(q c).",
    )


def _coefficient(phi: sp.Expr, n: int) -> sp.Expr:
    """Return A_n, with the probabilists' polynomials He_n(u/sqrt(q))."""
    x = sp.Symbol("x")
    polynomial_n = sp.hermite_prob_poly(n, x).subs(x, u / sp.sqrt(q))
    return average(phi * polynomial_n) / sp.sqrt(sp.factorial(n))


def _convexity(d: Derivation) -> None:
    shares = sp.symbols("p_1:6", positive=True)
    curve = 1 - sp.Add(*shares) + sp.Add(*(s * c**n for n, s in enumerate(shares, 1)))
    ladder = sp.Add(*(s * sp.Add(*(c**k for k in range(n))) for n, s in enumerate(shares, 1)))
    d.step(
        "Distance to c = 1 over distance before",
        (1 - curve) / (1 - c),
        ladder,
        note="C = sum of p_n c^n with p_n >= 0 and C(1) = 1 (five terms shown). The ratio grows "
        "with c on [0, 1).",
    )
    d.step(
        "The ratio ends at chi_1",
        ladder.subs(c, 1),
        sp.diff(curve, c).subs(c, 1),
        note="If chi_1 <= 1 the ratio stays below 1, so C(c) > c on [0, 1): c = 1 attracts every "
        "c. If chi_1 > 1 it crosses 1 once: one more fixed point c* in [0, 1), where C crosses "
        "the diagonal from above, hence chi(c*) < 1.",
    )


def _stability(d: Derivation) -> None:
    phi = polynomial(4)
    away = phi.subs(u, u1) - phi.subs(u, u2)
    d.step(
        "1 - C(1 - epsilon) as the average of a square",
        sigma_w**2 / (2 * q) * _at_c(away**2).subs(c, 1 - epsilon),
        distance_map(phi),
        note="Nothing cancels in this form, however small epsilon is.",
    )
    d.step(
        "It is 1 - C(1 - epsilon) at the fixed point",
        [1 - at_fixed_point(correlation_map(f).subs(c, 1 - epsilon), f) for f in (phi, *SMOOTH)],
        [distance_map(f) for f in (phi, *SMOOTH)],
        ranges={epsilon: (0.1, 1.9)},
    )
    d.step(
        "Its expansion: chi_1 epsilon - q chi_2 epsilon^2/2",
        [_coefficients(f) for f in (phi, *SMOOTH)],
        [[chi_1(f), -q * chi_2(f) / 2] for f in (phi, *SMOOTH)],
        note="So c = 1 is stable for chi_1 < 1, unstable for chi_1 > 1. A polynomial of degree "
        "4, then erf, gelu, sin.",
    )


def _coefficients(phi: sp.Expr | str) -> list[sp.Expr]:
    """Return the coefficients of epsilon and epsilon^2 in `distance_map`."""
    curve = distance_map(phi)
    return [sp.diff(curve, epsilon, k).subs(epsilon, 0) / sp.factorial(k) for k in (1, 2)]


def _phases(d: Derivation) -> None:
    d.step(
        "Ordered phase: xi_c = -1/ln chi_1",
        [xi_c(name).subs(c, 1) for name in ("erf", "relu", "sin")],
        [xi_grad(_over_one_variable(name)) for name in ("erf", "relu", "sin")],
        note="c* = 1, so chi_c = chi(1) = chi_1: correlations and gradients share one depth "
        "scale. Chaotic phase: chi(c*) < 1 < chi_1, and they do not.",
    )
    origin = {c: 0, sigma_b: 0}
    weights = sp.sqrt(q / kernel("sin").length)  # q is the fixed point at sigma_b = 0
    d.step(
        "Chaotic phase, sin at sigma_b = 0: C(0), chi(0), chi_1",
        [f("sin").subs(origin).subs(sigma_w, weights) for f in (correlation_map, chi, chi_1)],
        [0, q / sp.sinh(q), q / sp.tanh(q)],
        note="phi odd and no bias: c* = 0. chi_c < 1 < chi_1 at every q > 0.",
    )
    star = sp.solve(smooth_distance_map() - epsilon, epsilon)[0]
    slope = sp.diff(smooth_distance_map(), epsilon).subs(epsilon, star)
    d.step(
        "Just above the line: 1 - c*, chi_c",
        [star, slope],
        [2 * (chi1 - 1) / (q * chi2), 2 - chi1],
        note="To leading order in chi_1 - 1.",
    )
    side = sp.Symbol("delta", positive=True)
    d.step(
        "xi_c |chi_1 - 1| tends to 1 from both sides of the line",
        [
            sp.limit(-side / sp.log(rate), side, 0)
            for rate in (slope.subs(chi1, 1 + side), 1 - side)
        ],
        [1, 1],
    )
