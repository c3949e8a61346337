"""The length map and the two forms of its slope."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation import _quadrature as quadrature
from spinnet.theory.propagation._steps.common import depth_to_reach, over_weights, polynomial
from spinnet.theory.propagation.averages import average, density, q, sigma_b, sigma_w, u
from spinnet.theory.propagation.kernels import kernel
from spinnet.theory.propagation.maps import chi_1, chi_q, depth_scale, length_map


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Length map")
    _one_layer(d)
    _slope(d)
    _kinks(d)
    _fixed_points(d)


def _one_layer(d: Derivation) -> None:
    weights, x, y = (sp.symbols(f"{s}_1:4", real=True) for s in "Wxy")
    b = sp.Symbol("b", real=True)
    variances = [sigma_w**2 / 3] * 3 + [sigma_b**2]
    first, second = (sum(w * s for w, s in zip(weights, v, strict=True)) + b for v in (x, y))
    d.step(
        "Variance of a pre-activation, fan-in 3",
        over_weights(first**2, (*weights, b), variances),
        sigma_w**2 / 3 * sum(s**2 for s in x) + sigma_b**2,
        note="Averaged over W_j of variance sigma_w^2/3 and b; x = phi(h) of the layer before. "
        "Many units: the mean of x^2 becomes E_q[phi^2].",
    )
    d.step(
        "Covariance of two inputs, fan-in 3",
        over_weights(first * second, (*weights, b), variances),
        sigma_w**2 / 3 * sum(s * t for s, t in zip(x, y, strict=True)) + sigma_b**2,
        note="The mean of x y becomes E[phi(u_1) phi(u_2)].",
    )


def _slope(d: Derivation) -> None:
    phi = polynomial(4)
    first, second = (sp.diff(phi, u, k) for k in (1, 2))
    slope = sp.diff(length_map(phi), q)
    d.step(
        "Slope of the length map, first form",
        slope,
        sigma_w**2 * average(u * phi * first) / q,
        note="Heat equation, then Stein: F' = E[(phi^2)'']/2 = E[u phi phi']/q. Polynomial phi "
        "of degree 4, arbitrary coefficients.",
    )
    d.step(
        "Slope of the length map, second form",
        slope,
        chi_1(phi) + sigma_w**2 * average(phi * second),
        note="Stein once more: E[u phi phi']/q = E[phi'^2] + E[phi phi''].",
    )
    whole, square, bend, _ = quadrature.tanh_means()
    d.step(
        "The two forms for tanh",
        whole(q) / q,
        square(q) + bend(q),
        note="By quadrature, phi = tanh.",
    )
    for name in ("erf", "sin"):
        f = kernel(name).activation
        d.step(
            f"Slope of the length map, {name}",
            sp.diff(length_map(name), q),
            chi_1(name) + sigma_w**2 * _second_part(f),
        )


def _second_part(f: sp.Expr) -> sp.Expr:
    """Return E[phi phi''] of erf or sin, in closed form.

    For erf, phi'' = -2 u phi', and Stein's identity takes u away.
    """
    if f.func is sp.sin:
        return average(-(f**2))
    slope = sp.diff(f, u)
    # E[u g] = q E[g'] with g = phi phi': E[phi phi''] = -2 q (E[phi'^2] + E[phi phi''])
    return -2 * q * average(slope**2) / (1 + 2 * q)


def _kinks(d: Derivation) -> None:
    inside = sp.integrate(u**2 * density(), (u, -1, 1))
    within = sp.integrate(density(), (u, -1, 1))
    hard = kernel("hard_tanh")
    d.step(
        "E[phi^2] of hard_tanh",
        inside + 1 - within,
        hard.length,
        note="phi is u inside (-1, 1) and +-1 outside.",
    )
    d.step(
        "E[phi'^2] of hard_tanh",
        within,
        hard.slope,
    )
    d.step(
        "Slope of the length map, hard_tanh",
        sp.diff(length_map("hard_tanh"), q),
        sigma_w**2 * inside / q,
        note="The first form, E[u phi phi']/q, holds at kinks as it stands.",
    )
    edge = density().subs(u, 1)
    d.step(
        "The second form needs the delta functions of phi''",
        chi_q("hard_tanh"),
        chi_1("hard_tanh") + sigma_w**2 * (-1 * edge - 1 * edge),
        note="phi'' = delta(u + 1) - delta(u - 1), weighted with phi = -1 and 1.",
    )
    place = {q: sp.Rational(4, 5), sigma_w: 1}
    d.refute(
        "The second form with phi'' taken point by point, hard_tanh at q = 4/5",
        chi_q("hard_tanh", pointwise=True).subs(place),
        sp.diff(length_map("hard_tanh"), q).subs(place),
        note="0.736 instead of 0.259.",
    )
    d.refute(
        "The second form with phi'' taken point by point, hard_tanh",
        chi_q("hard_tanh", pointwise=True),
        sp.diff(length_map("hard_tanh"), q),
    )


def _fixed_points(d: Derivation) -> None:
    place = sigma_b**2 / (1 - sigma_w**2 / 2)
    d.step(
        "Fixed point of relu",
        length_map("relu").subs(q, place),
        place,
        note="For sigma_w^2 < 2; at 2 and sigma_b = 0 every q is a fixed point.",
        ranges={sigma_w: (0.2, 1.3)},
    )
    rate = sp.Symbol("chi", positive=True)
    d.step(
        "Depth scale",
        [depth_scale(rate), depth_scale(-rate)],
        [depth_to_reach(rate, sp.exp(-1))] * 2,
        note="A small deviation is multiplied by chi in each layer, x_(l+1) = chi x_l. Solved for "
        "the depth at which 1/e of it is left; a factor -chi changes signs only.",
        ranges={rate: (0.1, 0.9)},
    )
