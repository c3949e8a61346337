"""What several sections share: activations with arbitrary coefficients, and safe ranges."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from spinnet.theory.checking import Ranges
from spinnet.theory.propagation.averages import c, gaussian_moment, p, q1, q2, u
from spinnet.theory.propagation.critical import layers

# inside the domain of a pair: p^2 < q_1 q_2
PAIR: Ranges = {q1: (1.1, 3.0), q2: (1.1, 3.0), p: (-1.0, 1.0)}
CORRELATED: Ranges = {c: (-0.9, 0.9)}
NAMED = ("erf", "gelu", "relu", "sin")
SMOOTH = ("erf", "gelu", "sin")


def polynomial(degree: int, letter: str = "a") -> sp.Expr:
    """Return an activation a_0 + a_1 u + ..., with arbitrary real coefficients."""
    coefficients = sp.symbols(f"{letter}_0:{degree + 1}", real=True)
    return sp.Add(*(a * u**k for k, a in enumerate(coefficients)))


def depth_to_reach(rate: sp.Expr, fraction: sp.Expr) -> sp.Expr:
    """Return the l at which x_l = fraction * x_0, where x_(l+1) = rate * x_l and rate > 0."""
    x, n = sp.Function("x"), sp.Symbol("n", integer=True, nonnegative=True)
    factor = sp.Symbol("factor", positive=True)
    solution = sp.rsolve(x(n + 1) - factor * x(n), x(n), {x(0): 1}).subs(n, layers)
    (depth,) = sp.solve(solution - fraction, layers)
    return depth.subs(factor, rate)


def over_weights(
    expr: sp.Expr, weights: Sequence[sp.Symbol], variances: Sequence[sp.Expr]
) -> sp.Expr:
    """Return the average of a polynomial in independent centred Gaussian `weights`."""
    averaged = gaussian_moment(expr, list(weights), sp.diag(*variances).tolist())
    assert averaged is not None  # polynomials have closed averages
    return averaged
