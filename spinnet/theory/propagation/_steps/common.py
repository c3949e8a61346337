"""What several sections share: activations with arbitrary coefficients, and safe ranges."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from spinnet.theory.checking import Ranges
from spinnet.theory.propagation.averages import c, gaussian_moment, p, q1, q2, u

# inside the domain of a pair: p^2 < q_1 q_2
PAIR: Ranges = {q1: (1.1, 3.0), q2: (1.1, 3.0), p: (-1.0, 1.0)}
CORRELATED: Ranges = {c: (-0.9, 0.9)}
NAMED = ("erf", "gelu", "relu", "sin")
SMOOTH = ("erf", "gelu", "sin")


def polynomial(degree: int, letter: str = "a") -> sp.Expr:
    """Return an activation a_0 + a_1 u + ..., with arbitrary real coefficients."""
    coefficients = sp.symbols(f"{letter}_0:{degree + 1}", real=True)
    return sp.Add(*(a * u**k for k, a in enumerate(coefficients)))


def over_weights(
    expr: sp.Expr, weights: Sequence[sp.Symbol], variances: Sequence[sp.Expr]
) -> sp.Expr:
    """Return the average of a polynomial in independent centred Gaussian `weights`."""
    averaged = gaussian_moment(expr, list(weights), sp.diag(*variances).tolist())
    assert averaged is not None  # polynomials have closed averages
    return averaged
