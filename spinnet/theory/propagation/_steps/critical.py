"""The critical line, how correlations decay on it, and its corner."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps.common import NAMED
from spinnet.theory.propagation.averages import chi1, chi2, q, sigma_b, sigma_w, u
from spinnet.theory.propagation.critical import (
    corner_expansion,
    critical_decay,
    critical_line,
    distance_map,
    epsilon,
    gelu_doubly_critical_point,
    layers,
    relu_distance_map,
    small_variance,
    smooth_distance_map,
)
from spinnet.theory.propagation.kernels import kernel
from spinnet.theory.propagation.maps import chi_1, chi_q, length_map


def add(d: Derivation) -> None:
    """Add the sections."""
    d.section("Critical line")
    _line(d)
    _doubly_critical(d)
    d.section("Decay on the critical line")
    _smooth_decay(d)
    _relu_decay(d)
    d.section("The corner (1, 0)")
    _corner(d)


def _on_line(expr: sp.Expr, name: str) -> sp.Expr:
    weights, biases = critical_line(name)
    return expr.subs({sigma_w: sp.sqrt(weights), sigma_b: sp.sqrt(biases)})


def _solved(name: str) -> list[sp.Expr]:
    """Return sigma_w^2 and sigma_b^2 from chi_1 = 1 and V(q) = q."""
    x, y, S, F = sp.symbols("x y S F", positive=True)
    solution = sp.solve([S * x - 1, F * x + y - q], [x, y])
    alone = {sigma_w: 1, sigma_b: 0}
    means = {S: chi_1(name).subs(alone), F: length_map(name).subs(alone)}
    return [solution[unknown].subs(means) for unknown in (x, y)]


def _line(d: Derivation) -> None:
    names = (*NAMED, "hard_tanh")
    d.step(
        "On the line: chi_1 = 1 and V(q) = q, solved for sigma_w^2 and sigma_b^2",
        [_solved(name) for name in names],
        [list(critical_line(name)) for name in names],
        note="Of each q one point of the line: no root has to be found in two variables. erf, "
        "gelu, relu, sin, hard_tanh.",
    )
    d.step(
        "Critical line of erf",
        list(critical_line("erf")),
        [
            sp.pi / 4 * sp.sqrt(1 + 4 * q),
            q - sp.sqrt(1 + 4 * q) / 2 * sp.asin(2 * q / (1 + 2 * q)),
        ],
        note="sigma_w^2, then sigma_b^2.",
    )
    d.step(
        "Critical line of sin",
        list(critical_line("sin")),
        [2 / (1 + sp.exp(-2 * q)), q - sp.tanh(q)],
    )
    d.step(
        "Critical line of relu",
        [chi_1("relu"), *critical_line("relu")],
        [sigma_w**2 / 2, 2, 0],
        note="chi_1 does not depend on q: it is 1 at sigma_w^2 = 2 for every sigma_b, but only at "
        "sigma_b = 0 has the length map a fixed point there.",
    )
    d.step(
        "Ends at sigma_b = 0: sigma_w of erf, sin, hard_tanh, gelu",
        [sp.limit(1 / sp.sqrt(kernel(n).slope), q, 0) for n in ("erf", "sin", "hard_tanh", "gelu")],
        [sp.sqrt(sp.pi) / 2, 1, 1, 2],
        note="1/|phi'(0)|.",
    )


def _doubly_critical(d: Derivation) -> None:
    gelu = kernel("gelu")
    bend = gelu.length_derivative - gelu.slope
    d.step(
        "E[phi phi''] of gelu",
        bend,
        q * (2 + 3 * q - q**2) / (2 * sp.pi * (1 + q) ** 2 * (1 + 2 * q) ** sp.Rational(3, 2)),
        note="V' - chi_1 over sigma_w^2. On the line chi_q = 1 + E[phi phi'']/E[phi'^2]: above 1, "
        "an unstable fixed point, for q below the root of q^2 = 3 q + 2.",
    )
    place = gelu_doubly_critical_point()[0]
    d.step(
        "Doubly critical point of gelu: q",
        place,
        (3 + sp.sqrt(17)) / 2,
        note="The positive root. There sigma_w^2 = 1.98305825744 and sigma_b^2 = 0.17292239076.",
    )
    d.step(
        "Doubly critical point of gelu: chi_q",
        _on_line(chi_q("gelu"), "gelu").subs(q, place),
        1,
    )


def _smooth_decay(d: Derivation) -> None:
    curve = smooth_distance_map().subs(chi1, 1)
    d.step(
        "Smooth phi: growth of 1/(1 - c) per layer",
        sp.limit(1 / curve - 1 / epsilon, epsilon, 0),
        q * chi2 / 2,
        note="1 - c decays as a power law where chi_1 = 1, since the linear term is gone.",
    )
    decay = critical_decay("smooth")
    d.step(
        "Smooth phi: 1 - c = 2/(q chi_2 l)",
        1 / decay.subs(layers, layers + 1) - 1 / decay,
        q * chi2 / 2,
    )


def _relu_decay(d: Derivation) -> None:
    exact, leading = distance_map("relu").subs(sigma_w, sp.sqrt(2)), relu_distance_map()
    d.step(
        "relu: 1 - C(1 - epsilon) begins with epsilon^(3/2) beyond epsilon",
        [
            exact.subs(epsilon, 0),
            sp.limit((sp.diff(exact, epsilon) - 1) / sp.sqrt(epsilon), epsilon, 0),
        ],
        [0, sp.expand((sp.diff(leading, epsilon) - 1) / sp.sqrt(epsilon))],
        note="Value at 0, and slope less 1 over sqrt(epsilon). phi'' is a delta function: chi_2 "
        "is infinite, and another power law takes over.",
    )
    d.step(
        "relu: growth of (1 - c)^(-1/2) per layer",
        sp.limit(((leading / epsilon) ** -sp.Rational(1, 2) - 1) / sp.sqrt(epsilon), epsilon, 0),
        sp.sqrt(2) / (3 * sp.pi),
    )
    decay = critical_decay("relu")
    d.step(
        "relu: 1 - c = (9 pi^2/2)/l^2",
        1 / sp.sqrt(decay.subs(layers, layers + 1)) - 1 / sp.sqrt(decay),
        sp.sqrt(2) / (3 * sp.pi),
    )


def _corner(d: Derivation) -> None:
    R = sp.Rational
    phi = sp.tanh(u)
    small = small_variance(phi**2, 3)
    d.step(
        "E[phi^2] of tanh at small q",
        small,
        q - 2 * q**2 + R(17, 3) * q**3,
        note="Taylor series averaged term by term: an asymptotic series.",
    )
    d.step("Growth of 1/q per layer at (1, 0)", sp.limit(1 / small - 1 / q, q, 0), 2)
    power = 1 / (2 * layers)
    d.step(
        "q = 1/(2 l) at (1, 0): l^2 times the change per layer",
        sp.limit(layers**2 * (small - q).subs(q, power), layers, sp.oo),
        sp.limit(layers**2 * (power.subs(layers, layers + 1) - power), layers, sp.oo),
        note="No exponential approach: xi_q diverges here.",
    )
    e = epsilon
    expansion = corner_expansion(4)
    d.step(
        "q* at sigma_w = 1 + epsilon",
        expansion.q_star,
        e + R(4, 3) * e**2 - R(7, 9) * e**3 + R(773, 270) * e**4,
    )
    residual = (1 + e) ** 2 * small_variance(phi**2, 5).subs(q, expansion.q_star)
    d.step(
        "It solves q = V(q) to its order",
        [sp.expand(residual - expansion.q_star).coeff(e, k) for k in range(6)],
        [0] * 6,
    )
    d.step("chi_1 - 1", expansion.chi_1 - 1, R(4, 3) * e**2 - R(40, 9) * e**3 + R(2692, 135) * e**4)
    d.step(
        "1 - chi_c",
        1 - expansion.chi_c,
        R(2, 3) * e**2 - R(20, 9) * e**3 + R(1058, 135) * e**4,
        note="phi is odd and sigma_b = 0: c* = 0, and chi_c = sigma_w^2 E[phi']^2.",
    )
    d.step(
        "xi_c",
        expansion.xi_c,
        R(3, 2) / e**2 + 5 / e - R(22, 15),
        note="1504998.55 at epsilon = 1/1000.",
    )
    slope = sp.expand(sp.diff((1 + e) ** 2 * small_variance(phi**2, 3), q))
    d.step(
        "chi_q at the corner",
        sp.limit(slope.subs(q, expansion.q_star), e, 0),
        1,
        note="Hence xi_q is infinite: it does diverge, at this one point.",
    )
