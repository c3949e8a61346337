r"""The spin system dual to a network layer: exact integral form, saddle point, one loop.

.. math:: H = -\frac{1}{2N}\sum_{ij}W_{ij}s_is_j - \sum_i h_is_i,\qquad s_i=\pm1,

diagonal included, W not symmetric: only A = (W + W^T)/2 matters, and the diagonal is the constant
-tr W/2N.  Every function takes the number of spins n and builds the statement in explicit symbols
``W_i_j``, ``h_i``, ``V_i``, ``U_i``, i from 1, with N = n.  Sources: Oprisa & Toth,
arXiv:1702.08039 and 1705.11023; signs and factors as derived in derivations/network_dual.py.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.theory.algebra import FreeEnergy, LogCosh
from spinnet.theory.checking import Derivation
from spinnet.validation import finite_array, integer, positive_float

beta = sp.Symbol("beta", positive=True)

_REFERENCE = "dual of a network layer; Oprisa & Toth, arXiv:1702.08039, with corrected signs"


def weights(n: int) -> sp.ImmutableMatrix:
    """Return W, the n x n matrix of symbols ``W_i_j``; not symmetric."""
    size = _size(n)
    return sp.ImmutableMatrix(size, size, lambda i, j: sp.Symbol(f"W_{i + 1}_{j + 1}", real=True))


def couplings(n: int) -> sp.ImmutableMatrix:
    """Return A = (W + W^T)/2, the part of W that the energy sees."""
    return (weights(n) + weights(n).T) / 2


def fields(n: int) -> sp.ImmutableMatrix:
    """Return the column of symbols ``h_i``."""
    return _column("h", n)


def order(n: int) -> sp.ImmutableMatrix:
    """Return the column of symbols ``V_i``, the mean spins at the saddle."""
    return _column("V", n)


def conjugate(n: int) -> sp.ImmutableMatrix:
    """Return the column of symbols ``U_i``, the local fields at the saddle."""
    return _column("U", n)


def _size(n: int) -> int:
    return integer("n", n, minimum=1)


def _column(letter: str, n: int) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(_size(n), 1, lambda i, _: sp.Symbol(f"{letter}_{i + 1}", real=True))


def energy(n: int, spins: sp.Matrix) -> sp.Expr:
    """Return H of a column of `spins`, diagonal of W included."""
    quadratic = (spins.T * weights(n) * spins)[0]
    return -quadratic / (2 * n) - (fields(n).T * spins)[0]


def effective_hamiltonian(n: int) -> sp.Expr:
    r"""Return :math:`H^g = -\frac{\beta}{2N}V^TWV - \beta h\cdot V + \sum_i(U_iV_i-\ln\cosh U_i)`.

    :math:`Z = 2^N\prod_k\int dV_k\int_{-i\infty}^{i\infty}\frac{dU_k}{2\pi i}\,e^{-H^g}` exactly.
    """
    V, U = order(n), conjugate(n)
    return beta * energy(n, V) + (U.T * V)[0] - sum(LogCosh(u) for u in U)


def gradient(n: int) -> sp.ImmutableMatrix:
    """Return the derivatives of H^g by V_1..V_n, then by U_1..U_n."""
    action = effective_hamiltonian(n)
    return sp.ImmutableMatrix([sp.diff(action, x) for x in (*order(n), *conjugate(n))])


def saddle_point(n: int) -> list[sp.Eq]:
    r"""Return the 2n saddle equations solved for their variables.

    First :math:`U_i = \beta(\frac1N\sum_jA_{ij}V_j + h_i)`, then :math:`V_i = \tanh U_i`.
    """
    V, U = list(order(n)), list(conjugate(n))
    g = gradient(n)
    fields_at = [sp.Eq(u, sp.factor(sp.solve(g[i], u)[0])) for i, u in enumerate(U)]
    means = [sp.Eq(v, sp.solve(g[n + i], v)[0]) for i, v in enumerate(V)]
    return fields_at + means


def hessian(n: int) -> sp.ImmutableMatrix:
    r"""Return the 2n x 2n Hessian of H^g in (V, U), with the true signs of the derivatives.

    .. math:: \begin{pmatrix}-\beta A/N & 1\\ 1 & -\mathrm{diag}(\operatorname{sech}^2U)
        \end{pmatrix}

    It is indefinite: U runs along the imaginary axis, see `rotated_hessian`.
    """
    return sp.ImmutableMatrix(sp.hessian(effective_hamiltonian(n), [*order(n), *conjugate(n)]))


def rotated_hessian(n: int) -> sp.ImmutableMatrix:
    r"""Return the Hessian in (V, u) along the contour U = U_0 + i u.

    Its determinant is :math:`\det(1-\beta AD/N)`, D = diag(sech^2 U): positive while the saddle
    is a minimum of the free energy, and 0 at the critical point.
    """
    turn = sp.diag(sp.eye(n), sp.I * sp.eye(n))
    return sp.ImmutableMatrix(turn * hessian(n) * turn)


def on_shell(n: int) -> sp.Expr:
    r"""Return H^g with U eliminated, a function of V.

    .. math:: H_0 = \frac{\beta}{2N}V^TAV-\sum_i\ln\cosh\beta\Big(\frac1N(AV)_i+h_i\Big)
    """
    place = {eq.lhs: eq.rhs for eq in saddle_point(n)[:n]}
    logs = sum(LogCosh(place[u]) for u in conjugate(n))
    bilinear = effective_hamiltonian(n) + sum(LogCosh(u) for u in conjugate(n))
    return sp.expand(bilinear.subs(place)) - logs


@lru_cache(maxsize=16)
def free_energy(n: int) -> FreeEnergy:
    r"""Return the naive mean field per spin, :math:`F_0 = \frac{T}{N}H_0(V) - T\ln2`.

    Compiled functions take ``V`` of shape (..., n), ``W`` (..., n, n), ``h`` (..., n) and
    ``beta``.  F_0 is the free energy at a stationary V; the diagonal of W, a constant of the
    model, acts there as a spurious self-coupling: pass W with zero diagonal and add -tr W/2N^2
    per spin.
    """
    expr = on_shell(n) / (beta * n) - sp.log(2) / beta
    W, h = weights(n), fields(n)
    return FreeEnergy(
        expr,
        tuple(order(n)),
        (beta, *W, *h),
        _REFERENCE,
        field=tuple(h),
        arrays=(
            ("W", sp.ImmutableDenseNDimArray(W)),
            ("h", sp.ImmutableDenseNDimArray(list(h))),
        ),
        name="F_0",
    )


def stability(n: int) -> sp.ImmutableMatrix:
    """Return I - beta D A/N with D = diag(1 - V^2); singular where the response diverges."""
    return sp.ImmutableMatrix(sp.eye(n) - beta * _variance(n) * couplings(n) / n)


def _variance(n: int) -> sp.Matrix:
    return sp.diag(*(1 - v**2 for v in order(n)))


def linear_response(n: int) -> sp.ImmutableMatrix:
    r"""Return :math:`\partial V_i/\partial h_j = [(1-\beta DA/N)^{-1}\beta D]_{ij}` at a saddle V.

    Row sums are the response dV_i/dh to a uniform field; their mean is the susceptibility, which
    stays finite at T_c if the critical eigenvector is orthogonal to the uniform one.
    """
    inverse = stability(n).inv(method="ADJ")
    return sp.ImmutableMatrix(inverse * beta * _variance(n))


@lru_cache(maxsize=16)
def one_loop(n: int) -> FreeEnergy:
    r"""Return :math:`F_1 = F_0 + \frac{T}{2N}\ln\det(1-\frac{\beta}{N}DA)`, per spin.

    Evaluate it at the stationary V of `free_energy`, not at its own.  Where two symmetric saddles
    exchange, the multiplicity adds -T ln(2)/N.
    """
    base = free_energy(n)
    expr = base.expr + sp.log(determinant(stability(n))) / (2 * n * beta)
    return FreeEnergy(
        expr, base.order, base.params, _REFERENCE, field=base.field, arrays=base.arrays, name="F_1"
    )


def determinant(matrix: sp.MatrixBase) -> sp.Expr:
    """Return the determinant by Laplace's rule, each minor built once and left unexpanded.

    ``Matrix.det`` expands: minutes for four rows of symbols, where this takes milliseconds.
    """
    n = matrix.rows
    minors: dict[tuple[int, ...], sp.Expr] = {(): sp.Integer(1)}
    for row in range(n - 1, -1, -1):
        minors = {
            columns: sp.Add(
                *(
                    (-1) ** k * matrix[row, column] * minors[columns[:k] + columns[k + 1 :]]
                    for k, column in enumerate(columns)
                )
            )
            for columns in itertools.combinations(range(n), n - row)
        }
    return minors[tuple(range(n))]


# --- {0,1} layers -> +-1 spins ----------------------------------------------------------------

Matrix: TypeAlias = "NDArray[np.float64] | sp.ImmutableMatrix"


@dataclass(frozen=True)
class IsingForm:
    r"""A bipartite {0,1} model written in spins: a = (1 + sigma)/2, b = (1 + tau)/2.

    :math:`H = -\sum_{ij}\texttt{couplings}_{ij}\sigma_i\tau_j - \texttt{fields\_a}\cdot\sigma
    - \texttt{fields\_b}\cdot\tau + \texttt{constant}`, equal to the {0,1} energy state by state.

    Attributes
    ----------
    couplings : (n_a, n_b)     w / (4 norm).
    fields_a : (n_a,)          g_i/2 + sum_j w_ij / (4 norm).
    fields_b : (n_b,)          h_j/2 + sum_i w_ij / (4 norm).
    constant                   -(sum w/(4 norm) + sum h/2 + sum g/2).
    """

    couplings: Matrix
    fields_a: Matrix
    fields_b: Matrix
    constant: Any


def bipartite_to_ising(
    w: ArrayLike | sp.MatrixBase,
    b_bias: ArrayLike | sp.MatrixBase = 0,
    a_bias: ArrayLike | sp.MatrixBase = 0,
    *,
    norm: Any = 1,
) -> IsingForm:
    r"""Map :math:`H=-\frac1{norm}\sum w_{ij}a_ib_j-h\cdot b-g\cdot a`, a, b in {0,1}, to spins.

    Parameters
    ----------
    w : (n_a, n_b) array or SymPy matrix
        Weights from layer a to layer b; rectangular is allowed.
    b_bias, a_bias : (n_b,), (n_a,), or a number
        h and g, the biases of the two layers.
    norm : number or Expr
        Divides the double sum: 1 in the natural units of a network, 2N in the papers.

    Returns
    -------
    IsingForm
        NumPy arrays if every argument is numeric, SymPy matrices (fields as columns) otherwise.

    Examples
    --------
    >>> form = bipartite_to_ising([[1.0, 2.0]], b_bias=[0.0, 1.0])
    >>> form.couplings
    array([[0.25, 0.5 ]])
    >>> form.fields_b
    array([0.25, 1.  ])
    """
    if any(isinstance(x, (sp.Basic, sp.MatrixBase)) for x in (w, b_bias, a_bias, norm)):
        return _symbolic_form(w, b_bias, a_bias, sp.sympify(norm))
    matrix = finite_array("w", w, ndim=2)
    g = _bias("a_bias", a_bias, matrix.shape[0])
    h = _bias("b_bias", b_bias, matrix.shape[1])
    quarter = matrix / (4 * positive_float("norm", norm))
    constant = -(quarter.sum() + h.sum() / 2 + g.sum() / 2)
    return IsingForm(quarter, g / 2 + quarter.sum(1), h / 2 + quarter.sum(0), float(constant))


def _bias(name: str, value: ArrayLike, size: int) -> NDArray[np.float64]:
    array = finite_array(name, value)
    if array.shape not in ((), (size,)):
        raise InputError(f"{name} must be a number or have shape ({size},), got {array.shape}")
    return np.broadcast_to(array, (size,)).copy()


def _symbolic_form(w: Any, b_bias: Any, a_bias: Any, norm: sp.Expr) -> IsingForm:
    matrix = sp.ImmutableMatrix(w)
    n_a, n_b = matrix.shape
    g, h = _symbolic_bias("a_bias", a_bias, n_a), _symbolic_bias("b_bias", b_bias, n_b)
    quarter = matrix / (4 * norm)
    rows, columns = quarter * sp.ones(n_b, 1), quarter.T * sp.ones(n_a, 1)
    constant = -(sum(quarter) + sum(h) / 2 + sum(g) / 2)
    return IsingForm(quarter, g / 2 + rows, h / 2 + columns, constant)


def _symbolic_bias(name: str, value: Any, size: int) -> sp.ImmutableMatrix:
    if not hasattr(value, "__len__"):
        return sp.ImmutableMatrix([value] * size)
    column = sp.ImmutableMatrix(sp.flatten(value) if isinstance(value, sp.MatrixBase) else value)
    if column.shape != (size, 1):
        raise InputError(f"{name} must be a number or have length {size}, got {len(value)}")
    return column


def derivation(n: int = 2) -> Derivation:
    """Return the checked derivation of the dual, for `n` spins (2 or 3 are quick)."""
    from spinnet.theory._dual_steps import build

    return build(_size(n))


def loop_derivation() -> Derivation:
    """Return the checked derivation of the one-loop determinant, for one to three spins."""
    from spinnet.theory._one_loop_steps import build

    return build()
