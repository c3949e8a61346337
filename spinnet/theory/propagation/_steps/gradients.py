"""Back-propagation."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps.common import over_weights
from spinnet.theory.propagation.averages import q, sigma_w
from spinnet.theory.propagation.kernels import kernel
from spinnet.theory.propagation.maps import (
    N_before,
    N_here,
    N_next,
    chi,
    chi_1,
    gradient_covariance_map,
    gradient_map,
    length_map,
    weight_gradient,
    xi_grad,
)


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Back-propagation")
    _one_layer(d)
    _many_layers(d)


def _one_layer(d: Derivation) -> None:
    weights, delta, other = (sp.symbols(f"{s}_1:4", real=True) for s in ("W", "delta", "eta"))
    slope, slope2 = sp.symbols("phiprime phiprime_b", real=True)
    back = slope * sum(w * s for w, s in zip(weights, delta, strict=True))
    back2 = slope2 * sum(w * s for w, s in zip(weights, other, strict=True))
    spread = [sigma_w**2 / N_here] * 3
    square = sum(s**2 for s in delta)
    one = sp.expand(over_weights(back**2, weights, spread))
    d.step(
        "Variance of one gradient component, fan-out 3",
        one,
        sigma_w**2 / N_here * slope**2 * square,
        note="delta_i = phi'(h_i) sum_j W_ji delta_j; the W_ji are taken as independent of the "
        "forward pass. Their variance is sigma_w^2/N_l, N_l the fan-in of the layer above.",
    )
    d.step(
        "Covariance of two inputs, fan-out 3",
        over_weights(sp.expand(back * back2), weights, spread),
        sigma_w**2
        / N_here
        * slope
        * slope2
        * sum(s * t for s, t in zip(delta, other, strict=True)),
        note="Averaged over h, phi' phi' gives chi(c).",
    )
    gradient = sp.Symbol("qtilde", positive=True)
    d.step(
        "Gradient recursion, erf, fan-out 3",
        one.subs({s**2: gradient for s in delta}).subs(slope**2, kernel("erf").slope),
        gradient_map("erf").subs(N_next, 3) * gradient,
        note="Summed over 3 units: q~^l = chi_1 (N_{l+1}/N_l) q~^{l+1}.",
    )


def _many_layers(d: Derivation) -> None:
    names = ("erf", "gelu", "relu", "sin")
    widths = {N_here: 2, N_next: 3}
    square, overlap = (_over_two_units(same) for same in (True, False))
    single, double = sp.symbols("S P", positive=True)
    d.step(
        "The squared norm of the gradient changes by chi_1, whatever the widths: 3 units above, 2",
        [square.subs(single, kernel(f).slope) for f in names],
        [chi_1(f) for f in names],
        note="The sum over 2 units of delta_i^2, averaged over W, over that of the 3 units above.",
    )
    d.step(
        "Covariances of gradients change by chi(c), and by N_{l+1}/N_l per component",
        [overlap.subs(double, chi(f) / sigma_w**2) * 3 / 2 for f in names],
        [gradient_covariance_map(f).subs(widths) for f in names],
        note="3 units above, 2 below; e-fold depth xi_c where c = c*.",
    )
    above = sp.Symbol("k", positive=True)
    d.step(
        "Gradient profile at equal widths",
        sp.exp(-above / xi_grad("sin")),
        gradient_map("sin", equal_widths=True) ** above,
        note="k layers below the top; xi_grad < 0 (growth) where chi_1 > 1.",
    )
    gradient = sp.Symbol("qtilde", positive=True)
    delta, x = sp.symbols("delta_1:3", real=True), sp.symbols("x_1:4", real=True)
    norm = sp.Matrix(2, 3, lambda i, j: delta[i] * x[j]).norm() ** 2
    F = kernel("erf").length
    d.step(
        "Squared norm of the gradient by the weights, 3 units to 2, erf",
        sp.expand(norm).subs({s**2: gradient for s in delta} | {s**2: F for s in x}),
        weight_gradient(gradient).subs({N_here: 2, N_before: 3, q: length_map("erf")}),
        note="dE/dW_ij = delta_i phi(h_j), with E[phi^2] = F = (q - sigma_b^2)/sigma_w^2.",
    )


def _over_two_units(same: bool) -> sp.Expr:
    """Return the factor of sum_i delta_i eta_i from 3 units to the 2 below, averaged over W.

    E[phi'(h_i)^2] is S for the `same` input, and E[phi' phi'] is P for two.
    """
    delta, other = (sp.symbols(f"{s}_1:4", real=True) for s in ("delta", "eta"))
    other = delta if same else other
    weights = sp.symbols("W_1:4(1:3)", real=True)
    rows = [weights[i::2] for i in range(2)]
    total = sum(
        sum(w * s for w, s in zip(row, delta, strict=True))
        * sum(w * s for w, s in zip(row, other, strict=True))
        for row in rows
    )
    slopes = sp.Symbol("S" if same else "P", positive=True)
    averaged = over_weights(sp.expand(total), weights, [sigma_w**2 / 2] * 6) * slopes
    return sp.cancel(averaged / sum(s * t for s, t in zip(delta, other, strict=True)))
