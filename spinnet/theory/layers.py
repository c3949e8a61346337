r"""Two layers of spins and one: the padded form of a layer, its congruence, and the 1-loop claim.

A layer of weights w (rows a, columns b) has the energy
:math:`H=-\frac1{norm}\sum w_{ij}a_ib_j-h\cdot b-g\cdot a`.  Here stand its padded matrix, the
congruence that takes units {0,1} to spins, and the partition functions of two layers and of one
that the talk on Oprisa & Toth (arXiv:1702.08039) claims to be equal at one loop; they are not.
The arguments are told in derivations/bipartite_map.py and derivations/one_loop_claim.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import sympy as sp

from spinnet.errors import InputError
from spinnet.theory.checking import Derivation
from spinnet.theory.dual import IsingForm
from spinnet.validation import integer

beta = sp.Symbol("beta", positive=True)
_HALF = sp.Rational(1, 2)


def states(n: int, values: tuple[int, int] = (1, -1)) -> Iterator[sp.ImmutableMatrix]:
    """Yield the 2^n columns of n units of the two `values`."""
    for state in itertools.product(values, repeat=integer("n", n, minimum=1, maximum=12)):
        yield sp.ImmutableMatrix(state)


def energy(
    w: sp.MatrixBase,
    a: sp.MatrixBase,
    b: sp.MatrixBase,
    b_bias: sp.MatrixBase,
    a_bias: sp.MatrixBase,
    *,
    norm: Any = 1,
) -> sp.Expr:
    """Return H of one state of a layer: columns a and b of either level."""
    return -(a.T * w * b)[0] / norm - (b_bias.T * b)[0] - (a_bias.T * a)[0]


def padded(
    w: sp.MatrixBase, b_bias: sp.MatrixBase, a_bias: sp.MatrixBase, *, norm: Any = 1
) -> sp.ImmutableMatrix:
    r"""Return W with :math:`H=-\frac1{norm}(1,a)^TW(1,b)`.

    The bias of layer b is row 0, that of layer a is column 0, both times norm and with a plus;
    the corner is 0.  Unit 0 of both layers is clamped to 1 and is never summed over.
    """
    n_a, n_b = w.shape
    if b_bias.shape != (n_b, 1) or a_bias.shape != (n_a, 1):
        raise InputError(
            f"b_bias and a_bias must be columns of {n_b} and {n_a} entries for w of shape "
            f"{w.shape}, got {b_bias.shape} and {a_bias.shape}"
        )
    top = sp.Matrix([[0]]).row_join(norm * b_bias.T)
    return sp.ImmutableMatrix(top.col_join((norm * a_bias).row_join(w)))


def lift(n: int) -> sp.ImmutableMatrix:
    r"""Return P with (1, a) = P (1, sigma) for a = (1 + sigma)/2.

    Entrywise :math:`P_{ki}=\frac12(\delta_{i0}+\delta_{ki})`, k and i from 0.
    """
    size = integer("n", n, minimum=1) + 1
    return sp.ImmutableMatrix(size, size, lambda k, i: _HALF * (int(i == 0) + int(k == i)))


def congruent(w_padded: sp.MatrixBase) -> sp.ImmutableMatrix:
    r"""Return :math:`P_a^TWP_b`, the padded matrix of the same model in spins."""
    rows, columns = w_padded.shape
    return sp.ImmutableMatrix(lift(rows - 1).T * w_padded * lift(columns - 1))


def padded_spins(form: IsingForm, *, norm: Any = 1) -> sp.ImmutableMatrix:
    """Return the padded matrix of a model in spins: the constant in the corner, then fields."""
    g, k, couplings = (sp.Matrix(part) for part in (form.fields_a, form.fields_b, form.couplings))
    top = sp.Matrix([[-form.constant]]).row_join(k.T)
    return sp.ImmutableMatrix(norm * top.col_join(g.row_join(couplings)))


# --- two layers against one -------------------------------------------------------------------


def two_layers(w: sp.MatrixBase) -> sp.Expr:
    r"""Return :math:`Z_{bip}(W)=\sum_{ab}e^{\frac\beta{2N}a^TWb}`, spins, norm 2N, no fields."""
    n = _square(w)
    return sum(
        sp.exp(beta * (a.T * w * b)[0] / (2 * n))
        for a, b in itertools.product(states(n), states(n))
    )


def one_layer(w: sp.MatrixBase) -> sp.Expr:
    r"""Return :math:`Z_{full}(W)=\sum_se^{\frac\beta{2N}s^TWs}`, diagonal included."""
    n = _square(w)
    return sum(sp.exp(beta * (s.T * w * s)[0] / (2 * n)) for s in states(n))


def _square(w: sp.MatrixBase) -> int:
    if w.rows != w.cols:
        raise InputError(f"w must be square for one layer to stand for two, got shape {w.shape}")
    return int(w.rows)


def uniform_two_layers(n: int, coupling: sp.Expr) -> sp.Expr:
    r"""Return Z of two layers of n spins, all weights equal: K = beta w, :math:`e^{KAB/2N}`."""
    size = integer("n", n, minimum=1)
    rows = [(sp.binomial(size, k), size - 2 * k) for k in range(size + 1)]
    return sum(
        x * y * sp.exp(coupling * sp.Rational(A * B, 2 * size))
        for (x, A), (y, B) in itertools.product(rows, rows)
    )


def uniform_one_layer(n: int, coupling: sp.Expr) -> sp.Expr:
    r"""Return Z of one layer of n spins, all weights equal: K = beta w, :math:`e^{KM^2/2N}`."""
    size = integer("n", n, minimum=1)
    return sum(
        sp.binomial(size, k) * sp.exp(coupling * sp.Rational((size - 2 * k) ** 2, 2 * size))
        for k in range(size + 1)
    )


def log_ratio_at_one_loop(k: list[sp.Expr]) -> sp.Expr:
    r"""Return :math:`\ln Z_{bip}(W)-2\ln Z_{full}(W/2)=\frac12\sum_i\ln\frac{1-k_i}{1+k_i}`.

    For symmetric positive semidefinite W above T_c, with k_i the eigenvalues of beta W/2N; below,
    those of beta D W/2N at the saddle, D = diag(1 - m^2), and ln 2 less (two wells against four).
    It is negative, and of order N unless the rank of W stays finite.
    """
    return sum((sp.log((1 - x) / (1 + x)) for x in k), sp.S.Zero) / 2


def uniform_critical_point() -> tuple[sp.Expr, sp.Expr]:
    r"""Return the exact critical point of a uniform {0,1} layer, weights w, norm 2N, h = -w/2.

    First :math:`x-\tanh\frac1{1+x}`, whose root x is the magnetisation of layer a (and -x that of
    b), then :math:`T_c/w=(1-x^2)/8` as an expression in x.
    """
    x = sp.Symbol("x", real=True)
    return x - sp.tanh(1 / (1 + x)), (1 - x**2) / 8


def map_derivation() -> Derivation:
    """Return the checked derivation of the map from units {0,1} to spins."""
    from spinnet.theory._layer_steps import build_map

    return build_map()


def claim_derivation() -> Derivation:
    """Return the checked derivation of the 1-loop claim, where it holds and where it fails."""
    from spinnet.theory._layer_steps import build_claim

    return build_claim()
