"""The steps of `errata.derivation`: those of the other derivations by item, and the rest here."""

from __future__ import annotations

import itertools

import sympy as sp

from spinnet.theory import (
    _curie_weiss_steps,
    _dual_steps,
    _layer_steps,
    _one_loop_steps,
    dual,
    layers,
)
from spinnet.theory import curie_weiss as cw
from spinnet.theory.algebra import Derivation, gaussian_average
from spinnet.theory.curie_weiss import J, beta, h, m
from spinnet.theory.errata import TABLE

_R = sp.Rational
_INSIDE = {m: (0.1, 0.9)}


def build() -> Derivation:
    """Return the derivation of the table, every step checked, in the order of the table."""
    collected = Derivation("Errata")
    for part in (
        _curie_weiss_steps._errata,
        _curie_weiss_steps._errata_of_scales,
        _magnetisation,
        _gaussian_identity,
        _layer_steps.map_errors,
        _signs_of_z,
        _layer_steps.claim_errors,
        _delta_functions,
        _dual_steps._errata_of_the_padding,
        _one_loop_steps.loop_errors,
        _unsymmetric,
        _response,
        _rectangular,
        _repeats,
    ):
        part(collected)
    _dual_steps._errata_of_the_saddle(collected, 2)
    d = Derivation(
        "Errata of the talk on criticality and deep learning",
        "Printed formulas of a talk (2017) on Oprisa and Toth, arXiv:1702.08039, 1705.11023",
    )
    for item in TABLE:
        d.section(item.title)
        d.take(step for step in collected if step.title.startswith(f"{item.number}: "))
    return d


def _magnetisation(d: Derivation) -> None:
    """Add what holds for items 1 to 5."""
    pairs = _curie_weiss_steps._boltzmann_sum(3, diagonal=False)
    d.refute(
        "1: Z without the diagonal is the same",
        pairs,
        _curie_weiss_steps._boltzmann_sum(3),
        note="The constant J/2 counts in Z and F, not in any average.",
    )
    f, saddle = cw.free_energy().expr, {h: cw.field_at()}
    d.step("2: m = -dF/db per spin", -sp.diff(f, h).subs(saddle), m, ranges=_INSIDE)
    d.step("3: m = tanh(K m + b/T)", sp.tanh(cw.local_field()).subs(saddle), m, ranges=_INSIDE)
    mu = sp.Symbol("mu", positive=True)
    moment = J * m**2 / 2 - sp.log(sum(sp.exp(s * mu * beta * (J * m + h)) for s in (1, -1))) / beta
    coupling = beta * J * mu**2
    d.step(
        "3: with a magnetic moment mu: m = mu tanh((K/mu) m + mu b/T), K = J mu^2/T",
        m - sp.diff(moment, m) / J,
        mu * sp.tanh(coupling * m / mu + mu * beta * h),
        note="The printed b in front and below was mu.",
    )
    d.step(
        "5: it is chi above T_c",
        cw.susceptibility_above(),
        cw.exponents().amplitudes["susceptibility_above"] / cw.t,
    )


def _gaussian_identity(d: Derivation) -> None:
    """Add item 6."""
    a, x, w = sp.symbols("a x w", real=True)
    d.step(
        "6: exp(a^2) as printed",
        gaussian_average(sp.exp(sp.sqrt(2) * a * x), x),
        sp.exp(a**2),
    )
    d.step(
        "6: a negative square needs an imaginary field",
        gaussian_average(sp.exp(sp.I * sp.sqrt(2) * a * x), x),
        sp.exp(-(a**2)),
    )
    d.refute(
        "6: exp(-a^2) with a real field",
        gaussian_average(sp.exp(sp.sqrt(2) * a * x), x),
        sp.exp(-(a**2)),
    )
    d.step(
        "6: the coupling of two layers has both signs",
        sorted(sp.Matrix([[0, w], [w, 0]]).eigenvals(), key=str),
        sorted([w, -w], key=str),
    )


def _signs_of_z(d: Derivation) -> None:
    """Add what holds for item 9."""
    n = 2
    free = dict.fromkeys(dual.fields(n), 0)
    total = sum(sp.exp(-dual.beta * dual.energy(n, s).subs(free)) for s in layers.states(n))
    d.step("9: Z = sum exp(-beta H)", total, layers.one_layer(dual.weights(n)))
    w = dual.weights(n)
    d.step(
        "9: two layers without fields do not see the sign",
        layers.two_layers(-w),
        layers.two_layers(w),
        note="The gauge a -> -a; there the slip is harmless.",
    )


def _delta_functions(d: Derivation) -> None:
    """Add item 11: one spin in a field, and the representation of the delta function."""
    V, s, x = sp.symbols("V s x", real=True)
    field, Y = sp.Symbol("c", real=True), sp.Symbol("Y", positive=True)
    weight = sp.exp(field * V)
    picked = [
        sp.integrate(sp.DiracDelta(V - value) * weight, (V, -sp.oo, sp.oo)) for value in (1, -1)
    ]
    d.step("11: sum over s around the delta functions", sum(picked), 2 * sp.cosh(field))
    d.refute(
        "11: printed: the weight of one state without the sum",
        sp.exp(field * s),
        sum(picked),
        note="With the sum inside the exponent or left out, Z depends on s.",
        ranges={s: (-1, 1)},
    )
    y = sp.Symbol("y", real=True)

    def kernel(variable: sp.Expr) -> sp.Expr:
        """Return (1/2 pi i) Int exp(variable y) dy from -i Y to i Y."""
        return sp.simplify(
            sp.integrate((sp.exp(sp.I * variable * y)).rewrite(sp.cos), (y, -Y, Y), conds="none")
            / (2 * sp.pi)
        )

    u = sp.Symbol("u", nonzero=True, real=True)
    d.step("11: integral of exp(s y) up to +-i Y", kernel(u), sp.sin(u * Y) / (sp.pi * u))
    test = gaussian_average(sp.cos(x * y), x)  # the kernel integrated with a Gaussian, under Int dy
    mass = sp.integrate(test, (y, -Y, Y)) / sp.sqrt(2 * sp.pi)
    d.step(
        "11: it tends to delta(s)",
        sp.limit(mass, Y, sp.oo),
        1,
        note="Against a Gaussian of height 1 at s = 0.",
    )
    d.refute(
        "11: printed exp(x y) under the delta function of s",
        sp.sin(x * Y) / (sp.pi * x),
        sp.sin(s * Y) / (sp.pi * s),
        note="It does not depend on s.",
        ranges={x: (0.1, 3), s: (0.1, 3)},
    )


def _unsymmetric(d: Derivation) -> None:
    """Add what holds for items 14 and 17, and item 16."""
    n = 2
    A, W, V, U, fields = (
        dual.couplings(n),
        dual.weights(n),
        dual.order(n),
        dual.conjugate(n),
        dual.fields(n),
    )
    d.step(
        "14: dH/dV = U - (beta/2N)(W + W^T) V - beta h",
        dual.gradient(n)[:n, 0],
        U - dual.beta * ((W + W.T) * V / (2 * n) + fields),
    )
    d.refute(
        "14: printed second derivative -(beta/N) W", dual.hessian(n)[:n, :n], -dual.beta * W / n
    )
    d.step(
        "14: it is -(beta/2N)(W + W^T)", dual.hessian(n)[:n, :n], -dual.beta * (W + W.T) / (2 * n)
    )
    inside = dict.fromkeys(V, (0.1, 0.9))
    f0 = dual.free_energy(n).expr
    slope = sp.Matrix([sp.diff(f0, v) for v in V])

    def at(matrix: sp.MatrixBase) -> dict[sp.Symbol, sp.Expr]:
        local = matrix * V / n
        return {
            field: sp.atanh(v) / dual.beta - x for field, v, x in zip(fields, V, local, strict=True)
        }

    zero = sp.zeros(n, 1)
    d.refute(
        "16: printed: F is stationary at V = tanh(beta (W V/N + h))",
        slope.subs(at(W)),
        zero,
        note="The fixed point of a dynamics, not of F.",
        ranges=inside,
    )
    d.step("16: it is at V = tanh(beta (A V/N + h))", slope.subs(at(A)), zero, ranges=inside)
    symmetric = {W[1, 0]: W[0, 1]}
    d.step(
        "16: as printed for symmetric W",
        slope.subs(at(W)).subs(symmetric),
        zero,
        ranges=inside,
    )
    d.step(
        "17: m = -dF/dh",
        -sum(sp.diff(f0, field) for field in fields).subs(at(A)),
        sum(V) / n,
        ranges=inside,
    )


def _response(d: Derivation) -> None:
    """Add item 18."""
    n = 2
    response, safe = dual.linear_response(n), _dual_steps._paramagnet(n)
    safe = {**safe, **dict.fromkeys(dual.order(n), (0.1, 0.9))}
    D = sp.diag(*(1 - v**2 for v in dual.order(n)))

    def right(matrix: sp.MatrixBase) -> sp.MatrixBase:
        return dual.beta * D * (sp.eye(n) + matrix * response / n)

    symmetric = {dual.weights(n)[1, 0]: dual.weights(n)[0, 1]}
    d.step(
        "18: as printed for symmetric W",
        response.subs(symmetric),
        right(dual.weights(n)).subs(symmetric),
        ranges=safe,
    )
    d.refute("18: printed, W not symmetric", response, right(dual.weights(n)), ranges=safe)
    strength = sp.Symbol("J", positive=True)
    W = sp.Matrix([[0, -strength], [-strength, 0]])
    at = dict(zip(dual.weights(n), W, strict=True)) | dict.fromkeys(dual.order(n), 0)
    found = response.subs(at)
    uniform, staggered = sp.ones(n, 1), sp.Matrix([1, -1])
    chi = [sp.simplify((v.T * found * v)[0] / n) for v in (uniform, staggered)]
    d.step(
        "18: two spins that repel: uniform response, and response of the top mode (1, -1)",
        chi,
        [
            dual.beta / (1 + dual.beta * strength / 2),
            dual.beta / (1 - dual.beta * strength / 2),
        ],
    )
    critical = {dual.beta: 2 / strength}
    d.step(
        "18: at T_c = J/2 only the second diverges",
        [chi[0].subs(critical), sp.simplify(1 / chi[1]).subs(critical)],
        [1 / strength, 0],
    )


def _rectangular(d: Derivation) -> None:
    """Add item 19: what stands in for a square W."""
    B = sp.ImmutableMatrix(2, 3, lambda i, j: sp.Symbol(f"B_{i + 1}_{j + 1}", real=True))
    block = sp.Matrix(sp.BlockMatrix([[sp.zeros(2, 2), B], [B.T, sp.zeros(3, 3)]]).as_explicit())
    eigenvalue = sp.Symbol("lambda", real=True)
    d.step(
        "19: a 2 x 3 layer as one symmetric coupling of five units",
        dual.determinant(eigenvalue * sp.eye(5) - block),
        eigenvalue * (eigenvalue**2 * sp.eye(2) - B * B.T).det(),
        note="Eigenvalues are plus and minus the singular values of B, and zeros: W + W^T, which "
        "the printed formulas need, does not exist.",
    )


def _repeats(d: Derivation) -> None:
    """Add item 20: three inputs shown r times, each on with probability p."""
    p, repeats = sp.Symbol("p", positive=True), 100
    n, chance = 3, {p: (0.1, 0.9)}
    states = list(itertools.product((0, 1), repeat=n))
    weights = [sp.Mul(*(p if bit else 1 - p for bit in s)) for s in states]
    means = [_R(repeats * sum(s), repeats * n) for s in states]
    mean = sum(w * x for w, x in zip(weights, means, strict=True))
    variance = sum(w * x**2 for w, x in zip(weights, means, strict=True)) - mean**2
    d.step(
        "20: variance of a frequency, three inputs shown 100 times each",
        variance,
        p * (1 - p) / n,
        note="That of three inputs shown once.",
        ranges=chance,
    )
    d.refute(
        "20: printed: 300 observations",
        variance,
        p * (1 - p) / (n * repeats),
        note="The error bar would be ten times too small.",
        ranges=chance,
    )
    hits = sum(w for w, s in zip(weights, states, strict=True) if repeats * sum(s) == repeats)
    total = n * repeats
    d.refute(
        "20: printed: counts of 300 binomial trials; chance of a count of 100",
        hits,
        sp.binomial(total, repeats) * p**repeats * (1 - p) ** (total - repeats),
        note="Counts are multiples of 100: a fit of their frequencies is void.",
        ranges=chance,
    )
