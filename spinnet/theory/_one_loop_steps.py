"""The steps of `dual.loop_derivation`: the Gaussian integral about a saddle, and its determinant.

V stays free and stands for a saddle: the fields are those at which it is stationary.
"""

from __future__ import annotations

import sympy as sp

from spinnet.theory import curie_weiss as cw
from spinnet.theory import dual
from spinnet.theory.algebra import Derivation, SpinEntropy, gaussian_integral, saddle_point
from spinnet.theory.dual import beta

_R = sp.Rational
_SIZES = (1, 2, 3)


def build() -> Derivation:
    """Return the whole derivation, every step checked."""
    d = Derivation(
        "The one-loop determinant of a network's dual",
        "Oprisa and Toth, arXiv:1702.08039, with the contour of U along the imaginary axis",
    )
    for part in (
        _quadratic_form,
        _integral,
        _from_the_entropy,
        _convergence,
        _free_energy,
        _curie_weiss,
        loop_errors,
    ):
        part(d)
    return d


def _small(n: int) -> dict[sp.Symbol, tuple[float, float]]:
    """Return couplings for which the saddle is a minimum, and V inside (-1, 1)."""
    inside = dict.fromkeys(dual.order(n), (0.1, 0.9))
    return {beta: (0.2, 0.9), **dict.fromkeys(dual.weights(n), (-0.9, 0.9)), **inside}


def _variances(n: int) -> sp.Matrix:
    return sp.diag(*(1 - v**2 for v in dual.order(n)))


def _at_saddle(n: int) -> dict[sp.Symbol, sp.Expr]:
    return {u: sp.atanh(v) for u, v in zip(dual.conjugate(n), dual.order(n), strict=True)}


def _stability(n: int) -> sp.Matrix:
    return sp.eye(n) - beta * dual.couplings(n) * _variances(n) / n


def _column(letter: str, n: int) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(sp.symbols(f"{letter}_1:{n + 1}", real=True))


def _quadratic_form(d: Derivation) -> None:
    d.section("Quadratic form along the contour")
    for n in _SIZES:
        v, u = _column("v", n), _column("u", n)
        epsilon = sp.Symbol("epsilon", real=True)
        moved = {x: x + epsilon * dx for x, dx in zip(dual.order(n), v, strict=True)}
        moved |= {x: x + sp.I * epsilon * dx for x, dx in zip(dual.conjugate(n), u, strict=True)}
        action = dual.effective_hamiltonian(n).subs(moved, simultaneous=True)
        second = sp.diff(action, epsilon, 2).subs(epsilon, 0).subs(_at_saddle(n)) / 2
        coupled = (v.T * dual.couplings(n) * v)[0]
        form = -beta * coupled / (2 * n) + sp.I * (u.T * v)[0]
        form += (u.T * _variances(n) * u)[0] / 2
        d.step(
            f"H^g to second order in v and U = U_0 + i u, N = {n}",
            sp.expand(second),
            sp.expand(form),
            note="-(beta/2N) v A v + i u v + u D u/2 with D = diag(1 - V^2).",
            ranges=_small(n),
        )
    n = 2
    both = [*dual.order(n), *dual.conjugate(n)]
    d.step(
        "The rotated Hessian is the matrix of this form",
        dual.rotated_hessian(n).subs(_at_saddle(n)),
        sp.Matrix(
            sp.BlockMatrix(
                [
                    [-beta * dual.couplings(n) / n, sp.I * sp.eye(n)],
                    [sp.I * sp.eye(n), _variances(n)],
                ]
            ).as_explicit()
        ),
        note=f"Rows and columns {', '.join(map(str, both))}.",
    )


def _integral(d: Derivation) -> None:
    d.section("Gaussian integral: u first, then v")
    for n in _SIZES:
        D, v = _variances(n), _column("v", n)
        inner = gaussian_integral(D, sp.Matrix(-sp.I * v))
        d.step(
            f"Integral over u, N = {n}",
            inner,
            (2 * sp.pi) ** _R(n, 2)
            / sp.sqrt(D.det())
            * sp.exp(-sum(x**2 / e for x, e in zip(v, D.diagonal(), strict=True)) / 2),
            note="Convergent always: D is positive.",
            ranges=_small(n),
        )
        left = D.inv() - beta * dual.couplings(n) / n
        generic = sp.Matrix(n, n, lambda i, j: sp.Symbol(f"Q_{min(i, j)}_{max(i, j)}"))
        outer = gaussian_integral(generic, sp.zeros(n, 1))
        outer = outer.subs(dict(zip(generic, left, strict=True)))
        measure = (2 * sp.pi) ** n  # dU/(2 pi i) = du/2 pi
        d.step(
            f"Integral over v: the determinant, N = {n}",
            inner.subs(dict.fromkeys(v, 0)) * outer / measure,
            1 / sp.sqrt(_stability(n).det()),
            note="exp(-v (D^-1 - beta A/N) v/2): together det(1 - beta A D/N)^(-1/2).",
            ranges=_small(n),
        )
        d.step(
            f"The full Hessian has the same determinant up to (-1)^N, N = {n}",
            dual.determinant(dual.hessian(n).subs(_at_saddle(n))),
            (-1) ** n * _stability(n).det(),
        )


def _from_the_entropy(d: Derivation) -> None:
    d.section("The same determinant without U")
    copies = sp.Symbol("L", positive=True)
    for n in _SIZES:
        V, h = dual.order(n), dual.fields(n)
        weight = beta * (V.T * dual.couplings(n) * V)[0] / (2 * n) + beta * (h.T * V)[0]
        weight += sum(SpinEntropy(x) for x in V)
        laplace = saddle_point(-weight, list(V), list(V), copies)
        stirling = sum(sp.log(copies / (2 * sp.pi * (1 - x**2))) for x in V) / 2
        d.step(
            f"Laplace's method for the magnetisations of N blocks of L spins, N = {n}",
            laplace + stirling,
            copies * weight - sp.log(_stability(n).det()) / 2,
            note="Blocks of L spins make the saddle exact for large L; Stirling's prefactor is "
            "(L/2 pi (1 - V^2))^(1/2) a block.  One loop is the L^0 term.",
            ranges={**_small(n), copies: (1, 9)},
        )


def _convergence(d: Derivation) -> None:
    d.section("Convergent exactly while lambda_max < 1")
    n = 2
    root = sp.diag(*(sp.sqrt(1 - v**2) for v in dual.order(n)))
    left = _variances(n).inv() - beta * dual.couplings(n) / n
    symmetric = beta * root * dual.couplings(n) * root / n
    d.step(
        "Congruence with D^(1/2)",
        root * left * root,
        sp.eye(n) - symmetric,
        note="By Sylvester's law D^-1 - beta A/N is positive as long as every eigenvalue of "
        "beta D^(1/2) A D^(1/2)/N is below 1.",
        ranges=_small(n),
    )
    d.step(
        "Same determinant",
        (sp.eye(n) - symmetric).det(),
        _stability(n).det(),
        ranges=_small(n),
    )
    a, b, c, k = sp.symbols("a b c k", real=True)
    matrix = sp.Matrix([[a, b], [b, c]])
    top = (a + c) / 2 + sp.sqrt((a - c) ** 2 / 4 + b**2)
    vector = sp.Matrix([b, top - a])
    d.step(
        "Along the top eigenvector the form is (1 - lambda_max) v^2",
        (vector.T * (sp.eye(2) - matrix) * vector)[0],
        (1 - top) * (vector.T * vector)[0],
        note="Any symmetric 2 x 2 matrix; negative above 1, where the integral over v diverges.",
    )
    both = sp.diag(k, k)
    d.refute(
        "A positive determinant is enough",
        sp.sign((sp.eye(2) - both).det()),
        sp.sign(1 - k),
        note="Two modes beyond 1 make it positive again: the sign of the determinant is no test.",
    )
    d.step(
        "The true Hessian is indefinite at every V: its first entry and last",
        [dual.hessian(1)[0, 0], dual.hessian(1)[1, 1]],
        [-beta * dual.weights(1)[0], -(sp.sech(dual.conjugate(1)[0]) ** 2)],
        note="Both negative for W > 0 with 1 off the diagonal: no minimum, and none is needed.",
    )


def _free_energy(d: Derivation) -> None:
    d.section("Free energy to one loop")
    for n in _SIZES:
        log_z = n * sp.log(2) - dual.on_shell(n) - sp.log(_stability(n).det()) / 2
        d.step(
            f"F_1 = -T ln Z/N, N = {n}",
            dual.one_loop(n).expr,
            -log_z / (n * beta),
            note="F_0 + (T/2N) ln det(1 - beta A D/N).",
            ranges=_small(n),
        )
    n = 2
    mixed = dual.weights(n).T
    swapped = dict(zip(dual.weights(n), mixed, strict=True))
    d.step(
        "Only W + W^T enters",
        dual.one_loop(n).expr.subs(swapped, simultaneous=True),
        dual.one_loop(n).expr,
        ranges=_small(n),
    )


def _curie_weiss(d: Derivation) -> None:
    d.section("Consequences in the Curie-Weiss model")
    J, m, K, N, h = cw.J, cw.m, cw.K, cw.N, cw.h
    gap = 1 - beta * J * (1 - m**2)
    for n in _SIZES:
        uniform = dict.fromkeys(dual.weights(n), J) | dict.fromkeys(dual.order(n), m)
        d.step(
            f"All weights J, all V = m: one mode, N = {n}",
            sp.factor(_stability(n).subs(uniform).det()),
            gap,
        )
        uniform |= dict.fromkeys(dual.fields(n), h)
        d.step(
            f"F_1 of the dual, N = {n}",
            dual.one_loop(n).expr.subs(uniform).subs(cw.beta, beta),
            cw.free_energy().expr + sp.log(gap) / (2 * n * beta),
            ranges={m: (-0.9, 0.9), beta: (0.2, 0.9), J: (0.2, 0.9)},
        )
    second_order = {m: (0.1, 0.9), beta: (0.2, 0.9), J: (0.2, 0.9)}
    chi = beta * (1 - m**2) / gap
    loop = sp.log(gap) / (2 * beta * N)
    d.step(
        "<m> in a field: -dF_1/dh beyond m",
        -sp.diff(loop, m) * chi,
        -beta * J * m * (1 - m**2) / (N * gap**2),
        note="-K m (1 - m^2)/(N D^2), D = 1 - K (1 - m^2).",
        ranges=second_order,
    )
    slope = -sp.diff(loop, m) * chi  # the correction to m; its slope in h at m = 0
    correction = (sp.diff(slope, m) * chi).subs(m, 0)
    d.step(
        "N <m^2> above T_c",
        ((chi.subs(m, 0) + correction) / beta).subs(beta, K / J),
        1 / (1 - K) - K / (N * (1 - K) ** 3),
        note="T times the slope of <m> in h at h = 0.",
        ranges={K: (0.1, 0.9)},
    )
    action = (beta * cw.free_energy().expr).subs({h: 0, beta: K / J}).subs(J, 1)
    loops = sp.log(N * K / (2 * sp.pi)) / 2 + saddle_point(action, m, 0, N, correction=True)
    d.step(
        "ln Z above T_c, with the two-loop term",
        loops,
        N * sp.log(2) - sp.log(1 - K) / 2 - K**2 / (4 * N * (1 - K) ** 2),
        note="The determinant is the N^0 term, its failure the next.",
        ranges={K: (0.1, 0.9)},
    )
    two_loops = saddle_point(action, m, 0, N, correction=True) - saddle_point(action, m, 0, N)
    d.step(
        "Near T_c two loops are -1/(4 r^2), r = N^(1/2) (1 - K)",
        sp.limit(sp.cancel(two_loops * N * (1 - K) ** 2), K, 1),
        -_R(1, 4),
        note="r^2 times the two-loop term as K -> 1: the expansion is one in 1/r^2, and ends where "
        "r is no longer large.",
    )


def loop_errors(d: Derivation) -> None:
    """Add item 15: the scalar formula 2 pi/f'' and the real contour."""
    d.section("The printed Gaussian")
    n = 1
    rotated = dual.rotated_hessian(n).subs(_at_saddle(n))
    d.step(
        "15: the printed derivatives are right",
        dual.hessian(n),
        sp.Matrix(
            [
                [-beta * dual.weights(n)[0], 1],
                [1, -1 + sp.tanh(dual.conjugate(n)[0]) ** 2],
            ]
        ),
    )
    d.step(
        "15: det^(-1/2) along U = U_0 + i u, one site",
        1 / sp.sqrt(rotated.det()),
        1 / sp.sqrt(_stability(n).det()),
        ranges=_small(n),
    )
    d.refute(
        "15: printed (2 pi/f'')^(1/2), variable by variable",
        1 / sp.sqrt(sp.Mul(*dual.hessian(n).subs(_at_saddle(n)).diagonal())),
        1 / sp.sqrt(_stability(n).det()),
        note="The product of the two second derivatives drops the 1 that couples U and V.",
        ranges={**_small(n), dual.weights(n)[0]: (0.1, 0.9)},
    )
    d.refute(
        "15: det^(-1/2) of the Hessian as it stands, U along the real axis",
        1 / sp.sqrt(dual.hessian(n).subs(_at_saddle(n)).det()),
        1 / sp.sqrt(_stability(n).det()),
        note="A factor i for each spin, and an integral that diverges.",
        ranges=_small(n),
    )
