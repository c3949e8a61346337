"""Dropout: masks averaged by enumeration, and what they do to the fixed point."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps.common import over_weights
from spinnet.theory.propagation.averages import c, chi1, chi2, q, rho, sigma_b, sigma_w
from spinnet.theory.propagation.critical import epsilon, smooth_distance_map
from spinnet.theory.propagation.kernels import kernel
from spinnet.theory.propagation.maps import (
    N_here,
    N_next,
    at_dropout_fixed_point,
    correlation_map,
    dropout_correlation_map,
    dropout_gradient_map,
    dropout_length_map,
    dropout_self_correlation,
)

_NAMES = ("erf", "relu", "sin")
Mask = Sequence[sp.Expr]


def over_masks(expr: Callable[..., sp.Expr], masks: int, units: int) -> sp.Expr:
    """Return the average of `expr` over so many independent masks, each kept with rho."""
    total = sp.S.Zero
    for bits in itertools.product((0, 1), repeat=masks * units):
        weight = sp.Mul(*(rho if bit else 1 - rho for bit in bits))
        rows = [bits[k * units : (k + 1) * units] for k in range(masks)]
        total += weight * expr(*rows)
    return sp.expand(total)


def masked_layer() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Return E[h^2], E[h h'] with independent masks, and with one mask, for fan-in 2."""
    weights, x, y = (sp.symbols(f"{s}_1:3", real=True) for s in "Wxy")
    b = sp.Symbol("b", real=True)
    variances = [sigma_w**2 / 2] * 2 + [sigma_b**2]

    def product(first: Mask, second: Mask, other: Sequence[sp.Symbol]) -> sp.Expr:
        h = sum(w * k * s / rho for w, k, s in zip(weights, first, x, strict=True)) + b
        g = sum(w * k * s / rho for w, k, s in zip(weights, second, other, strict=True)) + b
        return over_weights(h * g, (*weights, b), variances)

    return (
        over_masks(lambda mask: product(mask, mask, x), 1, 2),
        over_masks(lambda one, two: product(one, two, y), 2, 2),
        over_masks(lambda mask: product(mask, mask, y), 1, 2),
    )


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Dropout")
    _layer(d)
    _fixed_point(d)
    _gradients(d)


def _layer(d: Derivation) -> None:
    x, y = (sp.symbols(f"{s}_1:3", real=True) for s in "xy")
    square = sigma_w**2 / 2 * sum(s**2 for s in x)
    product = sigma_w**2 / 2 * sum(s * t for s, t in zip(x, y, strict=True))
    variance, apart, together = masked_layer()
    d.step(
        "Variance with dropout, fan-in 2",
        variance,
        square / rho + sigma_b**2,
        note="Units are kept with probability rho and divided by rho; all masks enumerated.",
    )
    d.step(
        "Covariance of two inputs, a mask for each",
        apart,
        product + sigma_b**2,
        note="No 1/rho: the masks are independent.",
    )
    d.step("Covariance of two inputs, the same mask", together, product / rho + sigma_b**2)


def _fixed_point(d: Derivation) -> None:
    d.step(
        "C(1) with dropout",
        [at_dropout_fixed_point(dropout_correlation_map(f).subs(c, 1), f) for f in _NAMES],
        [dropout_self_correlation(f) for f in _NAMES],
        note="1 - ((1 - rho)/rho) sigma_w^2 F/q < 1 for rho < 1, at the fixed point q of the "
        "length map with dropout: c = 1 is no fixed point. erf, relu, sin.",
    )
    same = [dropout_correlation_map(f, same_mask=True) for f in _NAMES]
    rescaled = [correlation_map(f).subs(sigma_w, sigma_w / sp.sqrt(rho)) for f in _NAMES]
    d.step(
        "The same mask for both inputs is sigma_w^2 -> sigma_w^2/rho",
        same,
        rescaled,
    )
    d.step(
        "The same mask restores c = 1",
        [
            at_dropout_fixed_point(curve.subs(c, 1), f)
            for curve, f in zip(same, _NAMES, strict=True)
        ],
        [1] * len(_NAMES),
    )
    loss = sp.Symbol("delta", positive=True)
    curve = loss + smooth_distance_map().subs(chi1, 1)
    star = max(sp.solve(curve - epsilon, epsilon), key=lambda root: root.is_positive is True)
    d.step(
        "1 - c* on the line chi_1 = 1",
        star,
        sp.sqrt(2 * loss / (q * chi2)),
        note="1 - c is mapped to delta + (1 - c) - q chi_2 (1 - c)^2/2, delta = 1 - C(1).",
    )
    rate = sp.diff(curve, epsilon).subs(epsilon, star)
    d.step(
        "xi_c stays finite: xi_c sqrt(2 delta q chi_2) tends to 1",
        sp.limit(-sp.sqrt(2 * loss * q * chi2) / sp.log(rate), loss, 0),
        1,
        note="So xi_c grows as (1 - rho)^(-1/2) and no further.",
    )
    d.step(
        "relu with dropout: slope of the length map",
        sp.diff(dropout_length_map("relu"), q),
        sigma_w**2 / (2 * rho),
        note="Variances are critical at sigma_w^2 = 2 rho.",
    )


def _gradients(d: Derivation) -> None:
    weight, delta, other = (sp.symbols(f"{s}_1:3", real=True) for s in ("W", "delta", "eta"))
    slope, slope2 = sp.symbols("phiprime phiprime_b", real=True)
    gradient = sp.Symbol("qtilde", positive=True)

    def product(first: Mask, second: Mask, cotangent: Sequence[sp.Symbol]) -> sp.Expr:
        one = slope * first[0] / rho * sum(w * s for w, s in zip(weight, delta, strict=True))
        two = slope2 * second[0] / rho * sum(w * s for w, s in zip(weight, cotangent, strict=True))
        return over_weights(one * two, weight, [sigma_w**2 / N_here] * 2)

    overlap = sum(s * t for s, t in zip(delta, other, strict=True))
    through = over_masks(lambda mask: product(mask, mask, delta), 1, 1).subs(slope2, slope)
    masked = through.subs({s**2: gradient for s in delta})
    d.step(
        "Gradient variance through a mask, fan-out 2",
        through,
        sigma_w**2 / (rho * N_here) * slope**2 * sum(s**2 for s in delta),
        note="delta_i = phi'(h_i) (mask_i/rho) sum_j W_ji delta_j: chi_1/rho per layer.",
    )
    d.step(
        "Gradient covariance, a mask for each input",
        over_masks(lambda one, two: product(one, two, other), 2, 1),
        sigma_w**2 / N_here * slope * slope2 * overlap,
        note="No 1/rho: chi(c) per layer.",
    )
    d.step(
        "Factor of the gradient variance",
        [masked.subs(slope**2, kernel(f).slope) for f in _NAMES],
        [dropout_gradient_map(f).subs(N_next, 2) * gradient for f in _NAMES],
        note="Summed over 2 units above, of variance q~ each: (chi_1/rho) N_{l+1}/N_l.",
    )
