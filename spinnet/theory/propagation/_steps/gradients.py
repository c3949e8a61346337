"""Back-propagation."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps.common import over_weights
from spinnet.theory.propagation.averages import q, sigma_b, sigma_w
from spinnet.theory.propagation.kernels import kernel
from spinnet.theory.propagation.maps import (
    N_before,
    N_here,
    N_next,
    chi,
    chi_1,
    gradient_covariance_map,
    gradient_map,
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
    moments = {square: 3 * sp.Symbol("qtilde"), slope**2: kernel("erf").slope}
    d.step(
        "Variance of one gradient component, fan-out 3",
        over_weights(back**2, weights, spread),
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
    averaged = (sigma_w**2 / N_here * slope**2 * square).subs(moments)
    d.step(
        "Gradient recursion, erf, fan-out 3",
        averaged,
        gradient_map("erf").subs(N_next, 3) * sp.Symbol("qtilde"),
        note="Summed over 3 units: q~^l = chi_1 (N_{l+1}/N_l) q~^{l+1}.",
    )


def _many_layers(d: Derivation) -> None:
    names = ("erf", "gelu", "relu", "sin")
    d.step(
        "The squared norm of the gradient changes by chi_1, whatever the widths",
        [N_here * gradient_map(f) / N_next for f in names],
        [chi_1(f) for f in names],
    )
    d.step(
        "Covariances of gradients change by chi(c)",
        [N_here * gradient_covariance_map(f) / N_next for f in names],
        [chi(f) for f in names],
        note="e-fold depth xi_c where c = c*.",
    )
    above = sp.Symbol("k", positive=True)
    d.step(
        "Gradient profile at equal widths",
        sp.exp(-above / xi_grad("sin")),
        gradient_map("sin", equal_widths=True) ** above,
        note="k layers below the top; xi_grad < 0 (growth) where chi_1 > 1.",
    )
    gradient, square = sp.symbols("qtilde F", positive=True)
    d.step(
        "Squared norm of the gradient by the weights",
        N_here * gradient * N_before * square,
        weight_gradient(gradient).subs(q, sigma_w**2 * square + sigma_b**2),
        note="dE/dW_ij = delta_i phi(h_j), with E[phi^2] = F = (q - sigma_b^2)/sigma_w^2.",
    )
