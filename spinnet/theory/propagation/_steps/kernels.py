"""Closed-form kernels: derived with Price's theorem, then compared with quadrature."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation import _quadrature as quadrature
from spinnet.theory.propagation._steps.common import PAIR
from spinnet.theory.propagation.averages import (
    average,
    density,
    p,
    pair_average,
    pair_density,
    q,
    q1,
    q2,
    u,
    u1,
    u2,
)
from spinnet.theory.propagation.kernels import alpha, kernel


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Closed-form kernels")
    _erf(d)
    _sin(d)
    _relu(d)
    _gelu(d)
    _against_quadrature(d)


def _pair_of(f: sp.Expr) -> sp.Expr:
    """Return E[f(u_1) f(u_2)]."""
    return pair_average(f.subs(u, u1) * f.subs(u, u2))


def _erf(d: Derivation) -> None:
    erf, slope = kernel("erf"), sp.diff(sp.erf(u), u)
    d.step(
        "erf: E[phi' phi']",
        erf.pair_slope,
        4 / (sp.pi * sp.sqrt((1 + 2 * q1) * (1 + 2 * q2) - 4 * p**2)),
        ranges=PAIR,
    )
    d.step(
        "erf: it is the Gaussian integral",
        _pair_of(slope),
        4 / (sp.pi * sp.sqrt((1 + 2 * q1) * (1 + 2 * q2) - 4 * p**2)),
        ranges=PAIR,
    )
    d.step(
        "erf: E[phi phi] vanishes at p = 0",
        erf.pair.subs(p, 0),
        0,
        note="phi is odd. With Price's theorem this fixes the arcsine kernel.",
    )
    d.step(
        "erf: E[phi^2], E[phi'^2]",
        [erf.length, erf.slope],
        [2 / sp.pi * sp.asin(2 * q / (1 + 2 * q)), 4 / (sp.pi * sp.sqrt(1 + 4 * q))],
    )


def _sin(d: Derivation) -> None:
    sin = kernel("sin")
    d.step("sin: E[phi phi]", _pair_of(sp.sin(u)), sp.exp(-(q1 + q2) / 2) * sp.sinh(p))
    d.step("sin: E[phi' phi']", _pair_of(sp.cos(u)), sin.pair_slope)
    d.step(
        "sin: E[phi^2], E[phi'^2]",
        [sin.length, sin.slope],
        [(1 - sp.exp(-2 * q)) / 2, (1 + sp.exp(-2 * q)) / 2],
    )


def _relu(d: Derivation) -> None:
    relu, c = kernel("relu"), p / sp.sqrt(q1 * q2)
    d.step(
        "relu: E[phi'' phi''] is the density of the pair at the kink",
        relu.pair_curvature,
        pair_density().subs({u1: 0, u2: 0}),
        note="phi'' = delta(u).",
        ranges=PAIR,
    )
    d.step(
        "relu: E[phi' phi'] at p = 0",
        relu.pair_slope.subs(p, 0),
        sp.Integral(density(), (u, 0, sp.oo)).doit() ** 2,
        note="phi' is the step function: the probability of u > 0, squared.",
    )
    mean = sp.Integral(u * density(), (u, 0, sp.oo)).doit()
    d.step(
        "relu: E[phi phi] at p = 0",
        relu.pair.subs(p, 0),
        mean.subs(q, q1) * mean.subs(q, q2),
        note="E[phi]^2. Price's theorem twice, from here: the arc-cosine kernel.",
    )
    d.step(
        "relu: E[phi' phi'] is the probability of a quadrant",
        relu.pair_slope.rewrite(sp.asin),
        sp.Rational(1, 4) + sp.asin(c) / (2 * sp.pi),
        ranges=PAIR,
    )
    r, at, theta = (sp.Symbol(name, positive=True) for name in ("r", "varphi", "theta"))
    radial = sp.integrate(r**3 * sp.exp(-(r**2) / 2), (r, 0, sp.oo))
    sector = sp.integrate(
        sp.expand_trig(sp.cos(at) * sp.cos(at - theta)), (at, theta - sp.pi / 2, sp.pi / 2)
    )
    d.step(
        "relu: arc-cosine kernel",
        relu.pair,
        sp.sqrt(q1 * q2) / (2 * sp.pi) * radial * sector.subs(theta, sp.acos(c)),
        note="The average in polar coordinates: u_1 and u_2 are r cos(varphi) and r cos(varphi - "
        "theta), theta = arccos c, both positive in a sector of angle pi - theta.",
        ranges=PAIR,
    )
    step = sp.Integral(density(), (u, 0, sp.oo)).doit()
    d.step(
        "leaky_relu",
        alpha**2 * p + 2 * alpha * (1 - alpha) * p * step + (1 - alpha) ** 2 * relu.pair,
        kernel("leaky_relu").pair,
        note="phi = alpha u + (1 - alpha) relu; E[u_1 relu(u_2)] = p E[relu'] by Stein.",
        ranges=PAIR,
    )


def _gelu(d: Derivation) -> None:
    gelu = kernel("gelu")
    first, second = (sp.diff(gelu.activation, u, k) for k in (1, 2))
    d.step(
        "gelu: phi''",
        second,
        (2 - u**2) * density(sp.S.One),
        note="A polynomial times a Gaussian: its averages are elementary.",
    )
    averaged = sp.factor(sp.simplify(_pair_of(sp.expand(second))))
    d.step(
        "gelu: E[phi'' phi'']",
        sp.simplify(gelu.pair_curvature),
        averaged,
        note="Price's theorem twice.",
        ranges=PAIR,
    )
    d.step(
        "gelu: E[phi' phi'] at p = 0",
        gelu.pair_slope.subs(p, 0),
        sp.Rational(1, 4),
        note="E[phi']^2, with phi' = 1/2 + an odd function.",
    )
    d.step("gelu: phi' is 1/2 + an odd function", first + first.subs(u, -u), 1)
    mean = q * average(density(sp.S.One))
    d.step(
        "gelu: E[phi phi] at p = 0",
        gelu.pair.subs(p, 0),
        mean.subs(q, q1) * mean.subs(q, q2),
        note="E[phi]^2, and E[u Phi(u)] = q E[Phi'] by Stein.",
    )
    _gelu_scaled(d)
    a, b = 1 + q1, 1 + q2
    rest = a * b - p**2
    d.step(
        "gelu: E[phi' phi']",
        gelu.pair_slope,
        sp.Rational(1, 4)
        + sp.asin(p / sp.sqrt(a * b)) / (2 * sp.pi)
        + p / (2 * sp.pi * sp.sqrt(rest)) * ((a + b) / (a * b) + 1 / rest),
        ranges=PAIR,
    )
    root = sp.sqrt(1 + 2 * q)
    angle = sp.asin(q / (1 + q)) / (2 * sp.pi)
    d.step(
        "gelu: E[phi^2]",
        gelu.length,
        q * (sp.Rational(1, 4) + angle) + q**2 / (sp.pi * (1 + q) * root),
    )
    d.step(
        "gelu: E[phi'^2]",
        gelu.slope,
        sp.Rational(1, 4) + angle + q * (3 + 5 * q) / (2 * sp.pi * (1 + q) * root**3),
    )


def _gelu_scaled(d: Derivation) -> None:
    """State the kernel with a scale in each argument, by which silu is a mixture of gelus."""
    a, b = sp.symbols("a b", positive=True)
    A, B = 1 + a**2 * q1, 1 + b**2 * q2
    weight = a * b / (2 * sp.pi * sp.sqrt(A * B - a**2 * b**2 * p**2))
    place = {q1: a**2 * q1, q2: b**2 * q2, p: a * b * p}
    d.step(
        "gelu: E[u_1 Phi(a u_1) u_2 Phi(b u_2)]",
        kernel("gelu").pair.subs(place, simultaneous=True) / (a * b),
        p * (sp.Rational(1, 4) + sp.asin(a * b * p / sp.sqrt(A * B)) / (2 * sp.pi))
        + weight * (q1 * q2 + p**2 - p**2 * (a**2 * q1 / A + b**2 * q2 / B)),
        ranges=PAIR,
    )


def _against_quadrature(d: Derivation) -> None:
    names = ("erf", "gelu", "relu", "sin")
    rules = (
        quadrature.erf_pair,
        quadrature.gelu_pair,
        quadrature.relu_pair,
        quadrature.sin_pair,
    )
    by_quadrature = [
        quadrature.numeric_function(f"E_{name}_{name}", rf"E_{{\mathrm{{{name}}}}}", rule, 3)
        for name, rule in zip(names, rules, strict=True)
    ]
    d.step(
        "E[phi phi] by quadrature: erf, gelu, relu, sin",
        [mean(q1, q2, p) for mean in by_quadrature],
        [kernel(name).pair for name in names],
        note="Unequal variances, trapezoidal rule over u_1; u_2 given u_1 is averaged by hand.",
        ranges=PAIR,
    )
