"""Curves: metric, curvature and Gauss metric, from derivatives of the iterated map."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation, Ranges
from spinnet.theory.propagation.averages import c, chi1, chi2, q, sigma_w
from spinnet.theory.propagation.geometry import (
    Delta,
    curvature_squared,
    curvature_squared_limit,
    curvature_squared_map,
    curvature_squared_of,
    gauss_metric,
    gauss_metric_map,
    layer,
    metric,
    metric_map,
    metric_of,
)
from spinnet.theory.propagation.maps import at_fixed_point, chi_1, chi_2, correlation_map

_K2, _K4, _C3, _C4 = sp.symbols("K_2 K_4 C_3 C_4", real=True)
_CURVE = 1 + _K2 * Delta**2 / 2 + _K4 * Delta**4 / 24
_RANGES: Ranges = {chi1: (1.2, 3.0), layer: (1, 6)}


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("Geometry of curves")
    _circle(d)
    _recursion(d)
    _closed_forms(d)
    _three_layers(d)


def _circle(d: Derivation) -> None:
    theta, N = sp.Symbol("theta", real=True), sp.Symbol("N", positive=True)
    h = sp.sqrt(N * q) * sp.Matrix([sp.cos(theta), sp.sin(theta)])
    v, a = sp.diff(h, theta), sp.diff(h, theta, 2)
    vv, aa, va = v.dot(v), a.dot(a), v.dot(a)
    d.step(
        "The circle in layer 1: g, kappa^2",
        [vv / N, N * (vv * aa - va**2) / vv**3],
        [metric_of(sp.cos(Delta)), curvature_squared_of(sp.cos(Delta))],
        note="From its velocity and acceleration, and from its correlation cos(Delta).",
    )
    d.step("Its Gauss metric", vv / N * N * (vv * aa - va**2) / vv**3, 1)


def _map() -> sp.Expr:
    """Return a correlation map with C(1) = 1, C' = chi_1, C'' = q chi_2 and two free terms."""
    x = c - 1
    return 1 + chi1 * x + q * chi2 * x**2 / 2 + _C3 * x**3 / 6 + _C4 * x**4 / 24


def _recursion(d: Derivation) -> None:
    image = _map().subs(c, _CURVE)
    d.step(
        "Derivatives of C(K(Delta)) at 0: second, fourth",
        [sp.diff(image, Delta, k).subs(Delta, 0) for k in (2, 4)],
        [chi1 * _K2, chi1 * _K4 + 3 * q * chi2 * _K2**2],
        note="K is even with K(0) = 1; third and fourth derivatives of C drop out.",
    )
    before, square = metric_of(_CURVE), curvature_squared_of(_CURVE)
    d.step("Metric of the next layer", metric_of(image), metric_map(before))
    d.step(
        "Squared curvature of the next layer",
        curvature_squared_of(image),
        curvature_squared_map(square),
        note="3 chi_2/chi_1^2 is made anew in each layer; what was there shrinks by chi_1.",
    )
    d.step(
        "Gauss metric of the next layer",
        metric_of(image) * curvature_squared_of(image),
        gauss_metric_map(before * square, before),
    )


def _closed_forms(d: Derivation) -> None:
    forms = [metric(), curvature_squared(), gauss_metric()]
    d.step(
        "Closed forms in layer 1",
        [f.subs(layer, 1) for f in forms],
        [q, 1 / q, 1],
        note="Metric, squared curvature, Gauss metric.",
    )
    g, kappa, gauss = forms
    d.step(
        "Closed forms obey the recursions",
        [f.subs(layer, layer + 1) for f in forms],
        [metric_map(g), curvature_squared_map(kappa), gauss_metric_map(gauss, g)],
        ranges=_RANGES,
    )
    d.step("Gauss metric = metric * squared curvature", g * kappa, gauss, ranges=_RANGES)
    limit = curvature_squared_limit()
    d.step(
        "Chaotic phase: the fixed point of the squared curvature",
        curvature_squared_map(limit),
        limit,
        note="Length grows as chi_1^(l/2) while the curvature stays.",
        ranges=_RANGES,
    )
    d.step(
        "Ordered phase: limit of the Gauss metric",
        gauss.subs(chi1 ** (layer - 1), 0),
        1 + 3 * chi2 * q / (chi1 * (1 - chi1)),
        note="chi_1^(l-1) tends to 0.",
        ranges={chi1: (0.2, 0.8)},
    )


def _three_layers(d: Derivation) -> None:
    curve = at_fixed_point(correlation_map("sin"), "sin")
    image = sp.cos(Delta)
    for _ in range(2):
        image = curve.subs(c, image)
    place = {chi1: chi_1("sin"), chi2: chi_2("sin"), layer: 3}
    d.step(
        "A sin network, layer 3: metric and squared curvature",
        [metric_of(image), curvature_squared_of(image)],
        [metric().subs(place), curvature_squared().subs(place)],
        note="C(C(cos Delta)) with the kernel of sin, differentiated.",
        ranges={sigma_w: (0.3, 0.8), q: (0.5, 2.0)},
    )
