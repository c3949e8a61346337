r"""Gaussian averages of functions of one or two pre-activations, and the symbols of the theory.

A pre-activation u is Gaussian with variance q; those of two inputs, u_1 and u_2, have variances
q_1 and q_2 and covariance p = c sqrt(q_1 q_2).  Averages are taken over the covariance itself,
never over its inverse, so that closed forms stay right at c = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy as sp

from spinnet.errors import InputError

sigma_w, sigma_b, q, q1, q2, rho = sp.symbols("sigma_w sigma_b q q_1 q_2 rho", positive=True)
c, p, u, u1, u2 = sp.symbols("c p u u_1 u_2", real=True)
chi1, chi2 = sp.symbols("chi_1 chi_2", positive=True)  # values of `chi_1` and `chi_2`

Covariance = Sequence[Sequence[sp.Expr]]


def average(expr: sp.Expr, *, variance: sp.Expr = q) -> sp.Expr:
    r"""Return :math:`E_q[f] = \int du\,f(u)\,e^{-u^2/2q}/\sqrt{2\pi q}`.

    Closed form for polynomials times exponentials of a quadratic (and so for sin, cos, sinh,
    cosh, and the derivatives of erf); otherwise an unevaluated Integral.

    Parameters
    ----------
    expr : Expr
        f, in the symbol ``u``.
    variance : Expr
        q.  A closed form may be taken at 0, where it is f(0).

    Examples
    --------
    >>> average(u**4)
    3*q**2
    """
    closed = gaussian_moment(expr, (u,), [[variance]])
    if closed is not None:
        return closed
    return sp.Integral(expr * density(variance), (u, -sp.oo, sp.oo))


def pair_average(
    expr: sp.Expr, *, variances: tuple[sp.Expr, sp.Expr] = (q1, q2), covariance: sp.Expr = p
) -> sp.Expr:
    r"""Return the average of `expr` in ``u1`` and ``u2`` over a centred pair of Gaussians.

    Closed form as in `average`; otherwise an unevaluated Integral over both, whose density exists
    for ``covariance**2 < variances[0] * variances[1]`` only.

    Parameters
    ----------
    expr : Expr
        In the symbols ``u1`` and ``u2``.
    variances : pair of Expr
        Of u_1 and u_2.
    covariance : Expr
        E[u_1 u_2], in magnitude at most the geometric mean of the variances.

    Examples
    --------
    >>> pair_average(u1**2 * u2**2)
    2*p**2 + q_1*q_2
    """
    first, second = variances
    closed = gaussian_moment(expr, (u1, u2), [[first, covariance], [covariance, second]])
    if closed is not None:
        return closed
    weight = pair_density(first, second, covariance)
    return sp.Integral(expr * weight, (u1, -sp.oo, sp.oo), (u2, -sp.oo, sp.oo))


def density(variance: sp.Expr = q) -> sp.Expr:
    r"""Return :math:`n_q(u) = e^{-u^2/2q}/\sqrt{2\pi q}`."""
    return sp.exp(-(u**2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)


def pair_density(first: sp.Expr = q1, second: sp.Expr = q2, covariance: sp.Expr = p) -> sp.Expr:
    r"""Return the density of (u_1, u_2) at variances `first`, `second` and a covariance.

    .. math:: n_2 = \frac{1}{2\pi\sqrt{q_1q_2-p^2}}
        \exp\Big(-\frac{q_2u_1^2-2pu_1u_2+q_1u_2^2}{2(q_1q_2-p^2)}\Big)
    """
    determinant = first * second - covariance**2
    square = second * u1**2 - 2 * covariance * u1 * u2 + first * u2**2
    return sp.exp(-square / (2 * determinant)) / (2 * sp.pi * sp.sqrt(determinant))


def gaussian_moment(
    expr: sp.Expr, variables: Sequence[sp.Symbol], covariance: Covariance
) -> sp.Expr | None:
    r"""Return the average of polynomials times :math:`e^{-x^TAx/2+k^Tx}`, or None if not of them.

    With S the covariance and :math:`G = (1+SA)^{-1}S`, a monomial in x averages to

    .. math:: \det(1+SA)^{-1/2}\,\partial_k^{\,n}\,e^{k^TGk/2} .

    S may be singular.  A may be complex; the real part of 1 + SA must be positive for the
    average to exist, which is not checked.

    Parameters
    ----------
    expr : Expr
    variables : sequence of Symbol
        x, centred Gaussian variables.
    covariance : (n, n) nested sequence of Expr
    """
    matrix = sp.Matrix(covariance)
    if matrix.shape != (len(variables),) * 2:
        raise InputError(
            f"covariance must be {len(variables)} x {len(variables)} like variables, "
            f"got {matrix.shape[0]} x {matrix.shape[1]}"
        )
    groups = _by_exponent(sp.sympify(expr), variables)
    if groups is None:
        return None
    return sp.Add(
        *(_moment(factor, exponent, variables, matrix) for exponent, factor in groups.items())
    )


def _by_exponent(expr: sp.Expr, variables: Sequence[sp.Symbol]) -> dict[sp.Expr, sp.Expr] | None:
    """Return {exponent: polynomial} with expr = sum of polynomial * exp(exponent), or None."""
    if expr.has(sp.cosh, sp.sinh, sp.cos, sp.sin):
        expr = expr.rewrite(sp.exp)
    groups: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(expr)):
        exponent, factor = sp.S.Zero, sp.S.One
        for part in sp.Mul.make_args(sp.powsimp(term)):
            if isinstance(part, sp.exp):
                exponent += part.args[0]
            else:
                factor *= part
        exponent = sp.expand(exponent)
        if not (factor.is_polynomial(*variables) and exponent.is_polynomial(*variables)):
            return None
        if sp.Poly(exponent, *variables).total_degree() > 2:
            return None
        groups[exponent] = groups.get(exponent, sp.S.Zero) + factor
    return groups


def _moment(
    factor: sp.Expr, exponent: sp.Expr, variables: Sequence[sp.Symbol], covariance: sp.Matrix
) -> sp.Expr:
    origin = dict.fromkeys(variables, 0)
    linear = [sp.diff(exponent, x).subs(origin) for x in variables]
    tilt = sp.eye(len(variables)) - covariance * sp.hessian(exponent, list(variables))
    green = (tilt.inv(method="ADJ") * covariance).applyfunc(sp.together)
    values = [*linear, *(green[i, j] for i, j in _triangle(len(variables)))]
    total = sp.Add(
        *(
            coefficient * _value(_derivative(powers), values)
            for powers, coefficient in sp.Poly(factor, *variables).terms()
        )
    )
    column = sp.Matrix(linear)
    constant = exponent.subs(origin) + (column.T * green * column)[0] / 2
    return sp.exp(sp.expand(constant)) * sp.expand(total) / sp.sqrt(tilt.det())


def _value(polynomial: sp.Poly, values: Sequence[sp.Expr]) -> sp.Expr:
    """Return the value of a polynomial; far quicker than `subs` where most values are 0."""
    total = sp.S.Zero
    for powers, coefficient in polynomial.terms():
        used = [(v, n) for v, n in zip(values, powers, strict=True) if n]
        if all(v != 0 for v, _ in used):
            total += coefficient * sp.Mul(*(v**n for v, n in used))
    return total


def _triangle(size: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(size) for j in range(i, size)]


@lru_cache(maxsize=8)
def _generating_symbols(size: int) -> tuple[list[sp.Dummy], list[sp.Dummy]]:
    """Return k, and the upper triangle of G, of the generating function exp(k G k/2)."""
    sources = [sp.Dummy(f"k_{i}") for i in range(size)]
    return sources, [sp.Dummy(f"G_{i}{j}") for i, j in _triangle(size)]


@lru_cache(maxsize=1024)
def _derivative(powers: tuple[int, ...]) -> sp.Poly:
    """Return the derivative of exp(k G k/2) by k of the given orders, over the exponential."""
    sources, entries = _generating_symbols(len(powers))
    if not any(powers):
        return sp.Poly(1, *sources, *entries)
    first = next(i for i, n in enumerate(powers) if n)
    lower = _derivative(tuple(n - (i == first) for i, n in enumerate(powers)))
    row = sp.Add(
        *(
            entry * sources[j if i == first else i]
            for (i, j), entry in zip(_triangle(len(powers)), entries, strict=True)
            if first in (i, j)
        )
    )
    return lower.diff(sources[first]) + lower * sp.Poly(row, *sources, *entries)
