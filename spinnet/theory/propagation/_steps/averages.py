"""Stein's identity, and Price's theorem."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps.common import PAIR, polynomial
from spinnet.theory.propagation.averages import (
    average,
    density,
    p,
    pair_average,
    pair_density,
    q,
    q1,
    u,
    u1,
    u2,
)
from spinnet.theory.propagation.kernels import kernel


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Gaussian averages")
    _densities(d)
    _stein(d)
    _price(d)


def _densities(d: Derivation) -> None:
    n, n2 = density(), pair_density()
    d.step(
        "The density falls as u/q",
        u * n,
        -q * sp.diff(n, u),
        note="Against a function g, integrated by parts: Stein's identity E[u g] = q E[g'], for "
        "every g of moderate growth; the jumps of g count as delta functions in g'.",
    )
    d.step(
        "The density obeys the heat equation",
        sp.diff(n, q),
        sp.diff(n, u, 2) / 2,
        note="Against phi^2: dE[phi^2]/dq = E[(phi^2)'']/2.",
    )
    d.step(
        "The density of a pair obeys Plackett's equation",
        sp.diff(n2, p),
        sp.diff(n2, u1, u2),
        note="Against phi(u_1) phi(u_2), integrated by parts twice: Price's theorem "
        "dE[phi phi]/dp = E[phi' phi'], for every phi of moderate growth.",
        ranges=PAIR,
    )
    d.step(
        "The density of a pair obeys the heat equation in each variable",
        sp.diff(n2, q1),
        sp.diff(n2, u1, 2) / 2,
        ranges=PAIR,
    )


def _stein(d: Derivation) -> None:
    g, a = polynomial(6, "g"), sp.Symbol("a", real=True)
    d.step(
        "Stein's identity, polynomials of degree 6",
        average(u * g),
        q * average(sp.diff(g, u)),
        note="With u = sqrt(q) z this is E[z g(z)] = E[g'(z)].",
    )
    d.step(
        "Stein's identity, exponentials",
        average(u * sp.exp(a * u)),
        q * average(a * sp.exp(a * u)),
        note="Hence for every superposition of exponentials.",
    )


def _price(d: Derivation) -> None:
    phi = polynomial(5)
    derivatives = [sp.diff(phi, u, k) for k in range(3)]
    products = [pair_average(f.subs(u, u1) * f.subs(u, u2)) for f in derivatives]
    d.step(
        "Price's theorem, polynomials of degree 5",
        sp.diff(products[0], p),
        products[1],
        note="Variances and covariance arbitrary.",
    )
    d.step("Price's theorem, twice", sp.diff(products[0], p, 2), products[2])
    a, b = sp.symbols("a b", real=True)
    wave = sp.exp(a * u1 + b * u2)
    d.step(
        "Price's theorem, exponentials",
        sp.diff(pair_average(wave), p),
        pair_average(a * b * wave),
        note="Hence for every pair of superpositions of exponentials.",
    )
    d.step(
        "Price's theorem, sin",
        sp.diff(kernel("sin").pair, p),
        pair_average(sp.cos(u1) * sp.cos(u2)),
    )
    slope = sp.diff(sp.erf(u), u)
    d.step(
        "Price's theorem, erf",
        sp.diff(kernel("erf").pair, p),
        pair_average(slope.subs(u, u1) * slope.subs(u, u2)),
        note="The derivatives of erf are Gaussian, and so is their average.",
        ranges=PAIR,
    )
