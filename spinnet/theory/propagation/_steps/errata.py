"""What the slides and notes print, next to what holds."""

from __future__ import annotations

import mpmath
import sympy as sp

from spinnet.theory.checking import Derivation, Ranges
from spinnet.theory.propagation import _quadrature as quadrature
from spinnet.theory.propagation._steps.common import CORRELATED, depth_to_reach, over_weights
from spinnet.theory.propagation.averages import c, p, q, q1, q2, rho, sigma_b, sigma_w, u
from spinnet.theory.propagation.critical import small_variance
from spinnet.theory.propagation.geometry import Delta, metric
from spinnet.theory.propagation.kernels import kernel
from spinnet.theory.propagation.maps import (
    N_here,
    N_next,
    at_dropout_fixed_point,
    at_fixed_point,
    chi,
    chi_1,
    chi_q,
    correlation_map,
    depth_scale,
    dropout_correlation_map,
    dropout_gradient_map,
    gradient_map,
    length_map,
    xi_c,
    xi_grad,
)

_X = sp.symbols("x_1:4", real=True)
_Y = sp.symbols("y_1:4", real=True)
_B = sp.Symbol("b", real=True)
_CHAOTIC = (sp.Rational(5, 2), sp.Rational(3, 10))  # sigma_w, sigma_b
_UNEQUAL: Ranges = {N_here: (2, 5), N_next: (7, 12)}


def add(d: Derivation) -> None:
    """Add the sections."""
    d.section("Errata of the slides: maps")
    _recursions(d)
    _correlations(d)
    d.section("Errata of the slides: phases")
    _stability(d)
    _tanh_network(d)
    _depth_scales(d)
    _corner(d)
    d.section("Errata of the slides: gradients, dropout, depth")
    _gradients(d)
    _dropout(d)
    d.section("Errata of the notes and of released code")
    _notes(d)


def _unit(number: int, inputs: tuple[sp.Expr, ...], limit: int = 3) -> sp.Expr:
    """Return h_i of a unit whose sum runs over the first `limit` of three inputs."""
    weights = _weights(number)[:limit]
    return sum(w * x for w, x in zip(weights, inputs[:limit], strict=True)) + _B


def _weights(number: int) -> tuple[sp.Symbol, ...]:
    return tuple(sp.Symbol(f"W_{number}{j}", real=True) for j in range(1, 4))


def _over_layer(expr: sp.Expr, fan: int = 3) -> sp.Expr:
    """Return the average over two units' weights of variance sigma_w^2/`fan`, and the bias."""
    weights = (*_weights(1), *_weights(2))
    return over_weights(expr, (*weights, _B), [sigma_w**2 / fan] * 6 + [sigma_b**2])


def _recursions(d: Derivation) -> None:
    variance = _over_layer(_unit(1, _X) ** 2)
    d.refute(
        "(a) printed <h^2> = <W phi> + sigma_b^2",
        _over_layer(_unit(1, _X)) + sigma_b**2,
        variance,
        note="The square is missing: W has mean 0. Fan-in 3, inputs x.",
    )
    d.refute(
        "(b) printed sum over j up to i - 1",
        _over_layer(_unit(2, _X, limit=1) ** 2),
        variance,
        note="The sum of every unit runs over all N_{l-1} inputs; here i = 2.",
    )
    covariance = _over_layer(_unit(1, _X) * _unit(1, _Y))
    both = _over_layer(_unit(1, _X) * _unit(1, _Y)) + _over_layer(_unit(2, _X) * _unit(2, _Y))
    d.refute(
        "(c) printed q_ab = sum over units of h_a h_b",
        both,
        covariance,
        note="1/N_l is missing, and the sum runs over the N_l units of the layer; here 2.",
    )
    d.step(
        "(c) the mean over the 2 units of the layer",
        both / 2,
        sigma_w**2 / 3 * sum(s * t for s, t in zip(_X, _Y, strict=True)) + sigma_b**2,
    )
    d.refute(
        "(q) printed variance sigma_w^2/N_l of the weights, N_l = 2 the width of this layer",
        _over_layer(_unit(1, _X) ** 2, fan=2),
        variance,
        note="N_l must mean the fan-in, 3 here.",
    )


def _correlations(d: Derivation) -> None:
    erf, sin = kernel("erf"), kernel("sin")
    overlap = sigma_w**2 * erf.at_correlation(erf.pair, c) / q
    d.refute(
        "(d) printed c' = (sigma_w^2/q) E[phi phi] + sigma_b^2",
        overlap + sigma_b**2,
        correlation_map("erf"),
        note="sigma_b^2 stands inside: (sigma_w^2 E[phi phi] + sigma_b^2)/q.",
        ranges=CORRELATED,
    )
    d.refute(
        "(d) with it C(1) = 1",
        at_fixed_point(overlap.subs(c, 1) + sigma_b**2, "erf"),
        1,
    )
    root = c * sp.sqrt(q1 * q2)
    d.refute(
        "(e) printed u_2 = sqrt(q) (c z_1 + ...), with the q of u_1",
        sin.pair.subs({q2: q1, p: c * q1}, simultaneous=True),
        sin.pair.subs(p, root),
        note="u_2 takes its own variance, q* once both are there. phi = sin.",
        ranges=CORRELATED,
    )
    d.refute(
        "(f) printed chi_1 with Dz_1 Dz_2 phi'(u_1) phi'(u_2)",
        chi("erf"),
        chi_1("erf"),
        note="That is chi(c); chi_1 = sigma_w^2 E[phi'(u)^2] is its value at c = 1.",
        ranges=CORRELATED,
    )


def _stability(d: Derivation) -> None:
    sign = sp.sign(chi_1("erf") - 1)
    d.refute(
        "(g) printed: c = 1 is not stable, that is chi_1 > 1",
        sign,
        1,
        note="Stable if and only if chi_1 < 1. phi = erf.",
        ranges={sigma_w: (0.2, 0.8)},
    )
    d.step(
        "(g) erf at sigma_w < sqrt(pi)/2: chi_1 < 1, c = 1 is stable",
        sign,
        -1,
        ranges={sigma_w: (0.2, 0.88)},
    )
    d.refute(
        "(h) printed c* -> 0 deep in the chaotic phase: C(0) = 0",
        correlation_map("erf").subs(c, 0),
        0,
        note="C(0) = sigma_b^2/q for odd phi: c* = 0 needs sigma_b = 0 too.",
    )


def _tanh_network(d: Derivation) -> None:
    """Refute (h) and (j) at the chaotic tanh network, sigma_w = 5/2 and sigma_b = 3/10."""
    star, single, double = (
        quadrature.numeric_function(name, latex, rule, 2)
        for name, latex, rule in (
            ("c_star", r"c^*", quadrature.tanh_correlation_fixed_point),
            ("chi_1_tanh", r"\chi_1", _chi_1),
            ("chi_c_tanh", r"\chi_c", _chi_c),
        )
    )
    d.refute(
        "(h) c* = 0, tanh at sigma_w = 5/2, sigma_b = 3/10",
        star(*_CHAOTIC),
        0,
        note="c* = 0.12210.",
    )
    d.refute(
        "(j) printed xi_c with phi' phi' at one point, in the chaotic phase",
        -1 / sp.log(single(*_CHAOTIC)),
        -1 / sp.log(double(*_CHAOTIC)),
        note="tanh at sigma_w = 5/2, sigma_b = 3/10: -2.17 instead of 5.109. The single average "
        "is chi_1, right in the ordered phase only; the double average at c* is needed.",
    )


def _chi_1(weights: mpmath.mpf, biases: mpmath.mpf) -> mpmath.mpf:
    place = quadrature.tanh_length_fixed_point(weights, biases)
    return weights**2 * quadrature.tanh_pair_slope(place, 1)


def _chi_c(weights: mpmath.mpf, biases: mpmath.mpf) -> mpmath.mpf:
    place = quadrature.tanh_length_fixed_point(weights, biases)
    star = quadrature.tanh_correlation_fixed_point(weights, biases)
    return weights**2 * quadrature.tanh_pair_slope(place, star)


def _depth_scales(d: Derivation) -> None:
    d.refute(
        "(i) printed xi_1 = -1/ln chi_1 for the decay of q",
        -1 / sp.log(chi_1("sin")),
        depth_to_reach(sp.diff(length_map("sin"), q), sp.exp(-1)),
        note="The depth at which 1/e is left of a small deviation of q: xi_q = -1/ln|chi_q|.",
    )
    per_layer = sp.diff(correlation_map("sin"), c).subs(c, 1)
    efold = depth_to_reach(per_layer, sp.exp(-1))
    d.refute(
        "(k) printed 1/xi_c = (-ln chi_1)^(-1)",
        1 / (-sp.log(chi_1("sin"))),
        1 / efold,
        note="Inverted twice: xi_c = (-ln chi_1)^(-1) is the depth at which 1/e is left of 1 - c.",
        ranges={sigma_w: (0.3, 0.9)},
    )
    d.step(
        "(k) as it should read, at c* = 1",
        efold,
        xi_grad(sp.sin(u)),
        note="c_{l+1} - 1 = C'(1) (c_l - 1), solved for the depth at which 1/e is left; and "
        "-1/ln chi_1 with chi_1 = sigma_w^2 E[phi'^2] integrated over one variable.",
        ranges={sigma_w: (0.3, 0.9)},
    )
    place = {q: sp.Rational(4, 5), sigma_w: 1}
    d.refute(
        "(l) printed xi_q from chi_1 + sigma_w^2 E[phi phi''], for hard_tanh",
        depth_scale(chi_q("hard_tanh", pointwise=True).subs(place)),
        depth_scale(chi_q("hard_tanh").subs(place)),
        note="Right for smooth phi; kinks need the delta functions of phi''. q = 4/5: 3.27 "
        "instead of 0.74.",
    )


def _corner(d: Derivation) -> None:
    weights = sp.Symbol("sigma_w", positive=True)
    slope = sp.diff(weights**2 * small_variance(sp.tanh(u) ** 2, 2), q)
    d.refute(
        "(m) printed: xi_q stays always finite, that is 1/xi_q > 0",
        sp.sign(-sp.log(slope.subs({q: 0, weights: 1}))),
        1,
        note="At sigma_w = 1, sigma_b = 0 of tanh, q* = 0 and chi_q = 1: xi_q diverges.",
    )
    d.step(
        "(r) slope of the length map at q = 0 is sigma_w^2 phi'(0)^2: tanh, erf, sin",
        [slope.subs(q, 0), *(sp.limit(chi_q(f), q, 0) for f in ("erf", "sin"))],
        [sigma_w**2 * sp.diff(f, u).subs(u, 0) ** 2 for f in (sp.tanh(u), sp.erf(u), sp.sin(u))],
        note="q = 0 is a fixed point if sigma_b = 0. For tanh by the averaged Taylor series, for "
        "erf and sin by the closed kernels.",
    )
    d.refute(
        "(r) printed: the fixed point of tanh is always stable",
        sp.sign(1 - slope.subs(q, 0)),
        1,
        note="True of q* > 0, and of q* = 0 if sigma_w < 1.",
        ranges={sigma_w: (0.5, 2.5)},
    )


def _gradients(d: Derivation) -> None:
    gradient = sp.Symbol("qtilde", positive=True)
    d.refute(
        "(n) printed without N_{l+1}/N_l: q~^l = chi_1 q~^{l+1}",
        chi_1("erf") * gradient,
        gradient_map("erf") * gradient,
        ranges=_UNEQUAL,
    )
    d.refute(
        "(n) printed without the tilde: q = chi_1 q at the fixed point of the length map",
        chi_1("erf") * q,
        q,
        note="The recursion is one of gradients.",
    )


def _dropout(d: Derivation) -> None:
    d.refute(
        "(o) printed: with dropout c = 1 is a fixed point, only unstable",
        at_dropout_fixed_point(dropout_correlation_map("erf").subs(c, 1), "erf"),
        1,
        note="It ceases to be a fixed point: C(1) < 1.",
        ranges={rho: (0.3, 0.95)},
    )
    d.refute(
        "(o) printed gradient factor chi_1 with dropout",
        chi_1("erf"),
        dropout_gradient_map("erf", equal_widths=True),
        note="chi_1/rho.",
        ranges={rho: (0.3, 0.95)},
    )
    # sin at sigma_b = 0: c* = 0, and sigma_w^2 = q/E[phi^2]
    weights = sp.sqrt(q / kernel("sin").length)
    rate = sp.diff(correlation_map("sin"), c).subs(c, 0).subs(sigma_w, weights)
    depth = depth_to_reach(rate, sp.exp(-6))
    scale = xi_c(sp.sin(u)).subs(c, 0).subs(sigma_w, weights)
    d.step(
        "(p) exp(-6) of a small correlation is left after L = 6 xi_c, sin at sigma_b = 0",
        depth,
        6 * scale,
        note="c_{l+1} = C'(0) c_l, solved for the depth. The paper's rule of thumb for the deepest "
        "network that trains is 6 xi_c.",
    )
    d.refute(
        "(p) printed summary: L up to xi_c",
        scale,
        depth,
        note="At xi_c a third of the correlation is left still.",
    )


def _notes(d: Derivation) -> None:
    theta = sp.Symbol("theta", real=True)
    together = sp.cos(theta) * sp.cos(theta + Delta) + sp.sin(theta) * sp.sin(theta + Delta)
    whole = sp.integrate(sp.simplify(together), (theta, 0, 2 * sp.pi))
    d.refute(
        "Figure 3: printed c(Delta) = integral of q(theta, theta + Delta)/q* over theta",
        whole,
        sp.cos(Delta),
        note="1/(2 pi) is missing; on the circle in layer 1 c = cos(Delta).",
    )
    pair = sp.symbols("U V", real=True)
    here, there = (pair[0] * sp.cos(x) + pair[1] * sp.sin(x) for x in (theta, theta + Delta))
    d.step(
        "Figure 3: as it should read",
        whole / (2 * sp.pi),
        over_weights(sp.expand(here * there), pair, [q, q]) / q,
        note="The mean over theta is the correlation of h = U cos(theta) + V sin(theta), U and V "
        "Gaussian of variance q, at any one theta.",
    )
    seen = sp.Symbol("q_l", positive=True)
    accepted = max(
        sp.solve(((seen - q) / q) ** 2 - sp.Rational(1, 100), seen), key=lambda root: root / q
    )
    d.refute(
        "Figure 1D: printed tolerance of 1 % in q, the largest q accepted",
        q * (1 + sp.Rational(1, 100)),
        accepted,
        note="The code compares the squared fractional error with 0.01, which is 10 % in q.",
    )
    width = sp.Symbol("N", positive=True)
    length = 2 * sp.pi * sp.sqrt(width * metric())
    d.refute(
        "Printed: the length of a curve does not grow with width",
        length.subs(width, 4 * width),
        length,
        note="It grows as sqrt(N); the length per root of N does not.",
    )
    radius = sp.Symbol("r", positive=True)
    circle = (radius * sp.cos(theta), radius * sp.sin(theta), sp.S.Zero)
    for title, scale, check in (
        ("released", sp.sqrt((width * q - sigma_b**2) / sigma_w**2), d.refute),
        ("right", sp.sqrt(width * (q - sigma_b**2)) / sigma_w, d.step),
    ):
        check(
            f"Radius of the input circle, {title}: variance of the first layer",
            _over_layer(sp.expand(_unit(1, circle) ** 2)).subs(radius, scale.subs(width, 3)),
            q,
            note="E[h^2] over weights and bias should be q*. N = 3 inputs.",
            ranges={q: (2.0, 4.0), sigma_b: (0.2, 1.2)},
        )
