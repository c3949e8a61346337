"""tanh as a Gaussian scale mixture over the Kolmogorov law."""

from __future__ import annotations

import sympy as sp

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation import _quadrature as quadrature
from spinnet.theory.propagation.averages import u
from spinnet.theory.propagation.mixture import K, component, density_term, dual_density_term, n

_X = sp.Symbol("x", positive=True)


def add(d: Derivation) -> None:
    """Add the section."""
    d.section("tanh as a mixture of error functions")
    _termwise(d)
    _numerically(d)


def _termwise(d: Derivation) -> None:
    bump = sp.diff(component(), u).subs(u, _X)
    d.step(
        "Derivative of one component",
        bump,
        sp.sqrt(2 / sp.pi) / K * sp.exp(-(_X**2) / (2 * K**2)),
        note="At x > 0; both sides of the identity are odd.",
    )
    term = sp.simplify(density_term() / (-1) ** (n + 1))
    real = sp.Symbol("n", positive=True)  # integration is quicker without integer assumptions
    image = sp.integrate(sp.powsimp(sp.expand(term.subs(n, real) * bump)), (K, 0, sp.oo))
    d.step(
        "One term of the Kolmogorov density, integrated over K",
        sp.simplify(image),
        4 * real * sp.exp(-2 * real * _X),
        note="Up to its sign (-1)^(n+1).",
    )
    y = sp.Symbol("y", positive=True)
    partial = y - (-1) ** n * ((n + 1) * y ** (n + 1) + n * y ** (n + 2))
    d.step(
        "Partial sums of (-1)^(n+1) n y^n, times (1 + y)^2: one more term",
        sp.expand(partial - partial.subs(n, n - 1)),
        sp.expand((1 + y) ** 2 * (-1) ** (n + 1) * n * y**n),
        note="y - (-1)^n ((n + 1) y^(n+1) + n y^(n+2)) up to n; 0 at n = 0, and y as n grows if "
        "y < 1. So the sum over n >= 1 is y/(1 + y)^2.",
    )
    d.step(
        "The sum of all terms, with y = exp(-2 x)",
        (4 * y / (1 + y) ** 2).subs(y, sp.exp(-2 * _X)),
        sp.diff(sp.tanh(_X), _X),
        note="The derivatives agree, and both sides vanish at 0: tanh x = E[erf(x/sqrt(2) K)].",
    )


def _numerically(d: Derivation) -> None:
    mixed = quadrature.numeric_function(
        "erf_mixture", r"\operatorname{E}_K\operatorname{erf}", quadrature.tanh_by_mixture
    )
    d.step(
        "tanh by the mixture, 126 nodes in ln K",
        mixed(u),
        sp.tanh(u),
        note="Trapezoidal rule; uniform in x.",
    )
    d.step(
        "The two series of the Kolmogorov density",
        sp.Add(*(density_term().subs(n, k) for k in range(1, 25))),
        sp.Add(*(dual_density_term().subs(n, k) for k in range(1, 13))),
        note="24 and 12 terms: what is left out is below 1e-80 for 0.6 < K < 1.5.",
        ranges={K: (0.6, 1.5)},
    )
    total = quadrature.numeric_function(
        "E_phi_phi_mixture", r"\langle\phi^2\rangle_K", lambda v: quadrature.tanh_pair(v, 1)
    )
    slope = quadrature.numeric_function(
        "E_dphi_dphi_mixture",
        r"\langle\phi'^2\rangle_K",
        lambda v: quadrature.tanh_pair_slope(v, 1),
    )
    _, direct_slope, _, direct = quadrature.tanh_means()
    d.step(
        "E[tanh^2], E[tanh'^2] at q = 2: arcsine kernels mixed, and direct quadrature",
        [total(sp.Integer(2)), slope(sp.Integer(2))],
        [direct(sp.Integer(2)), direct_slope(sp.Integer(2))],
    )
