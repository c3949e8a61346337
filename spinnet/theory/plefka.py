r"""Plefka's expansion: the Gibbs free energy of given magnetisations, in powers of beta.

.. math:: H=-\sum_{i<j}J_{ij}s_is_j-\sum_ih_is_i,\qquad
    -\beta G(m)=\min_\lambda\ln\sum_s e^{-\beta H_0+\sum_i\lambda_i(s_i-m_i)}+\beta\sum_ih_im_i,

H_0 the energy without fields.  At order 0 it is the entropy of independent spins, at order 1 the
naive mean field, at order 2 the Onsager term of TAP.  Every function takes the number of spins
and builds the statement in explicit symbols ``J_i_j`` (i < j), ``h_i``, ``m_i``, i from 1.
Sources: T. Plefka, J. Phys. A 15 (1982) 1971; Thouless, Anderson and Palmer, Phil. Mag. 35 (1977)
593; Georges and Yedidia, J. Phys. A 24 (1991) 2173.  The argument is told in
derivations/plefka_expansion.py.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TypeAlias

import sympy as sp

from spinnet.theory.algebra import FreeEnergy, SpinEntropy
from spinnet.theory.checking import Derivation
from spinnet.validation import integer

beta = sp.Symbol("beta", positive=True)

_REFERENCE = "Plefka, J. Phys. A 15 (1982) 1971; Thouless, Anderson and Palmer (1977)"

# A function of the spins as a multilinear polynomial in y_i = s_i - m_i: coefficients by subset.
_Multilinear: TypeAlias = "dict[frozenset[int], sp.Expr]"


def magnetizations(n: int) -> sp.ImmutableMatrix:
    """Return the column of symbols ``m_i``."""
    return sp.ImmutableMatrix(_size(n), 1, lambda i, _: sp.Symbol(f"m_{i + 1}", real=True))


def fields(n: int) -> sp.ImmutableMatrix:
    """Return the column of symbols ``h_i``."""
    return sp.ImmutableMatrix(_size(n), 1, lambda i, _: sp.Symbol(f"h_{i + 1}", real=True))


def couplings(n: int) -> sp.ImmutableMatrix:
    """Return J, symmetric with zero diagonal, in the symbols ``J_i_j`` with i < j."""

    def entry(i: int, j: int) -> sp.Expr:
        low, high = sorted((i + 1, j + 1))
        return sp.Symbol(f"J_{low}_{high}", real=True) if low < high else sp.S.Zero

    return sp.ImmutableMatrix(_size(n), n, entry)


def _size(n: int) -> int:
    return integer("n", n, minimum=1)


@lru_cache(maxsize=32)
def expansion(n: int, order: int) -> tuple[sp.Expr, ...]:
    r"""Return the coefficients of beta^0 .. beta^order of -beta G without field terms.

    The distribution at coupling beta is :math:`p_0(s)e^{X(\beta,s)}`, with p_0 the independent
    spins of means m.  In y_i = s_i - m_i the averages under p_0 are coefficients, so that the
    conditions on <1> and <s_i> fix, order by order, the constant and the linear part of X and
    leave the pair terms J_ij y_i y_j; then d(-beta G)/d beta = <-H_0>.

    Parameters
    ----------
    n : int
        Number of spins.  A term of order k joins at most k spins, so that n = k is generic.
    order : int
        Highest power of beta.

    Returns
    -------
    tuple of Expr
        Polynomials in m and J, after the entropy.
    """
    size, top = _size(n), integer("order", order, minimum=0)
    m, J = magnetizations(size), couplings(size)
    pairs = {frozenset(p): J[p] for p in itertools.combinations(range(size), 2)}
    terms = [sum((SpinEntropy(x) for x in m), sp.S.Zero)]
    factors: list[_Multilinear] = [{frozenset(): sp.S.One}]  # R = e^X by powers of beta
    exponents: list[_Multilinear] = [{}]
    for k in range(1, top + 1):
        terms.append(_mean_energy(pairs, factors[k - 1], m) / k)
        rest = _next_factor(exponents, factors, k, m)
        fixed = {s: -c for s, c in rest.items() if len(s) < 2}
        exponents.append(pairs | fixed if k == 1 else fixed)
        factors.append(_added(rest, exponents[k]))
    return (terms[0], *map(sp.factor, terms[1:]))


def _mean_energy(pairs: _Multilinear, factor: _Multilinear, m: sp.Matrix) -> sp.Expr:
    """Return the coefficient of <-H_0>: J_ij s_i s_j under p_0 times one order of e^X."""
    one = frozenset[int]()
    total = sp.S.Zero
    for pair, strength in pairs.items():
        i, j = sorted(pair)
        variance = (1 - m[i] ** 2) * (1 - m[j] ** 2)
        total += strength * m[i] * m[j] * factor.get(one, 0)
        total += strength * variance * factor.get(pair, 0)
    return sp.expand(total)


def _next_factor(
    exponents: list[_Multilinear], factors: list[_Multilinear], k: int, m: sp.Matrix
) -> _Multilinear:
    """Return order k of e^X without its X_k: k R_k = sum_j j X_j R_{k-j}."""
    total: _Multilinear = {}
    for j in range(1, k):
        product = _product(exponents[j], factors[k - j], m)
        total = _added(total, {s: sp.Rational(j, k) * c for s, c in product.items()})
    return total


def _added(first: _Multilinear, second: _Multilinear) -> _Multilinear:
    keys = first.keys() | second.keys()
    sums = {s: sp.expand(first.get(s, 0) + second.get(s, 0)) for s in keys}
    return {s: c for s, c in sums.items() if c != 0}


def _product(first: _Multilinear, second: _Multilinear, m: sp.Matrix) -> _Multilinear:
    """Multiply two polynomials in y; y_i^2 = 1 - m_i^2 - 2 m_i y_i, since s_i^2 = 1."""
    total: dict[frozenset[int], sp.Expr] = {}
    for (s, a), (t, b) in itertools.product(first.items(), second.items()):
        common, lone = sorted(s & t), s ^ t
        for kept in itertools.product((False, True), repeat=len(common)):
            c = a * b
            for i, linear in zip(common, kept, strict=True):
                c *= -2 * m[i] if linear else 1 - m[i] ** 2
            key = lone | {i for i, linear in zip(common, kept, strict=True) if linear}
            total[key] = total.get(key, 0) + c
    return {s: sp.expand(c) for s, c in total.items()}


@lru_cache(maxsize=16)
def free_energy(n: int, order: int = 2) -> FreeEnergy:
    r"""Return the free energy per spin of the expansion cut after beta^order.

    Order 1 is the naive mean field, order 2 is TAP:

    .. math:: -\beta NF=\sum_is(m_i)+\frac\beta2m^TJm+\beta h\cdot m
        +\frac{\beta^2}4\sum_{ij}J_{ij}^2(1-m_i^2)(1-m_j^2).

    Compiled functions take ``m`` and ``h`` of shape (..., n), ``beta`` and each ``J_i_j``.
    """
    size = _size(n)
    m, h, J = magnetizations(size), fields(size), couplings(size)
    series = sum(beta**k * term for k, term in enumerate(expansion(size, order)))
    expr = -(series + beta * (h.T * m)[0]) / (size * beta)
    pairs = [J[p] for p in itertools.combinations(range(size), 2)]
    return FreeEnergy(
        expr,
        tuple(m),
        (beta, *pairs, *h),
        _REFERENCE,
        field=tuple(h),
        arrays=(("h", sp.ImmutableDenseNDimArray(list(h))),),
        name=f"F_{order}",
    )


def tap_field(n: int) -> sp.ImmutableMatrix:
    r"""Return :math:`h_i+\sum_jJ_{ij}m_j-\beta m_i\sum_jJ_{ij}^2(1-m_j^2)`, the field of TAP.

    m_i = tanh(beta times this) at a stationary point: the last term takes back the part of the
    field that spin i itself has caused at its neighbours.
    """
    m = magnetizations(n)
    expr = -n * free_energy(n).expr - sum(SpinEntropy(x) for x in m) / beta
    return sp.ImmutableMatrix([sp.expand(sp.diff(expr, x)) for x in m])


def hessian(n: int) -> sp.ImmutableMatrix:
    """Return beta n times the second derivatives of F_TAP; a state needs them positive."""
    scaled = beta * n * free_energy(n).expr
    return sp.ImmutableMatrix(sp.hessian(scaled, list(magnetizations(n))))


def derivation() -> Derivation:
    """Return the checked derivation, from the Legendre transform to TAP."""
    from spinnet.theory._plefka_steps import build

    return build()
