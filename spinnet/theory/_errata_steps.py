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
from spinnet.theory.algebra import Derivation, LogCosh, gaussian_average
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
    spins = sp.Matrix(sp.symbols("s_1:4", real=True))
    square = -J / (2 * 3) * sum(spins) ** 2
    d.step(
        "1: -J M^2/2N is the sum over all i, j, i = j included",
        square,
        -J / (2 * 3) * sum(x * y for x, y in itertools.product(spins, repeat=2)),
    )
    pairs = _curie_weiss_steps._boltzmann_sum(3, diagonal=False)
    d.refute(
        "1: Z without the diagonal is the same",
        pairs,
        _curie_weiss_steps._boltzmann_sum(3),
        note="The constant J/2 counts in Z and F, not in any average.",
    )
    f, saddle = cw.free_energy().expr, {h: cw.field_at()}
    total = cw.N * f
    d.step(
        "2: m = -(1/N) dF/db at the saddle",
        -sp.diff(total, h).subs(saddle) / cw.N,
        m,
        ranges=_INSIDE,
    )
    states = list(itertools.product((1, -1), repeat=3))
    weights = [sp.exp(beta * (J * _R(sum(s) ** 2, 6) + h * sum(s))) for s in states]
    free = -sp.log(cw.partition_function(3)) / beta
    d.step(
        "2: the same exactly, three spins: mean of m over the states",
        sum(w * _R(sum(s), 3) for w, s in zip(weights, states, strict=True)) / sum(weights),
        -sp.diff(free, h) / 3,
    )
    equation = m - sp.diff(f, m) / J  # f is stationary where this is m
    d.step(
        "3: f is stationary where m = tanh(K m + b/T), K = J/T",
        equation,
        sp.tanh(beta * J * m + beta * h),
        note="m - (1/J) df/dm.",
    )
    mu = sp.Symbol("mu", positive=True)
    moment = J * m**2 / 2 - sp.log(sum(sp.exp(s * mu * beta * (J * m + h)) for s in (1, -1))) / beta
    coupling = beta * J * mu**2
    d.step(
        "3: spins +-mu: m = mu tanh((K/mu) m + mu b/T), K = J mu^2/T",
        m - sp.diff(moment, m) / J,
        mu * sp.tanh(coupling * m / mu + mu * beta * h),
        note="What is printed, with mu for the b in front and below.",
    )
    d.step(
        "4: in the equation of m, K is J/T",
        equation.subs(beta, cw.K / J),
        sp.tanh(cw.K * m + cw.K / J * h),
        note="At T = J/K, and b/T = K b/J.",
    )
    mean = mu * sp.tanh(beta * mu * (J * m + h))  # chi = dm/db along m = mean(m, b)
    chi = (sp.diff(mean, h) / (1 - sp.diff(mean, m))).subs({m: 0, h: 0})
    critical = sp.Symbol("T_c", positive=True)
    place = {beta: 1 / (critical * (1 + cw.t)), J: critical / mu**2}
    d.step(
        "5: what is printed is chi above T_c, with the moment mu for b",
        sp.cancel(chi.subs(place)),
        mu**2 / (critical * cw.t),
        note="T_c = J mu^2, t = T/T_c - 1.",
    )


def _gaussian_identity(d: Derivation) -> None:
    """Add item 6; the integrals are done, and not looked up."""
    a, x, w = sp.symbols("a x w", real=True)

    def average(source: sp.Expr) -> sp.Expr:
        density = sp.exp(-(x**2) / 2 + source * x) / sp.sqrt(2 * sp.pi)
        return sp.powsimp(sp.integrate(density, (x, -sp.oo, sp.oo)))

    real = average(sp.sqrt(2) * a)
    d.step("6: as printed", real, sp.exp(a**2))
    d.step(
        "6: a negative square needs an imaginary field, 2^(1/2) i a x",
        average(sp.I * sp.sqrt(2) * a),
        sp.exp(-(a**2)),
    )
    d.refute("6: exp(-a^2) with a real field", real, sp.exp(-(a**2)))
    d.step(
        "6: the coupling of two layers has both signs: eigenvalues of one bond w",
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
    d.step(
        "11: H(s) as printed is right, one spin",
        sp.integrate(sp.DiracDelta(V - s) * V**2, (V, -sp.oo, sp.oo)),
        s**2,
        note="The delta function puts s in the place of V, W = 1.",
    )
    field, Y = sp.Symbol("c", real=True), sp.Symbol("Y", positive=True)
    weight = sp.exp(field * V)
    picked = [
        sp.integrate(sp.DiracDelta(V - value) * weight, (V, -sp.oo, sp.oo)) for value in (1, -1)
    ]
    d.step("11: sum over s around the delta functions", sum(picked), 2 * sp.cosh(field))
    d.refute(
        "11: printed: the sum over s not around them; what s = +1 leaves",
        picked[0],
        sum(picked),
        note="Z of one spin in a field c would depend on its state.",
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
        note="Integrated with exp(-s^2/2), which is 1 at s = 0, Y -> oo.",
    )
    d.refute(
        "11: printed (1/2 pi i) Int dy exp(x y) as delta(s)",
        sp.sin(x * Y) / (sp.pi * x),
        sp.sin(s * Y) / (sp.pi * s),
        note="Up to +-i Y; it mixes s and x, and does not depend on s.",
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
    logs = sum(LogCosh(dual.beta * x) for x in W * V / n + fields)
    printed = dual.beta * (V.T * W * V)[0] / (2 * n) - logs

    def at(matrix: sp.MatrixBase) -> dict[sp.Symbol, sp.Expr]:
        """Return the fields of which V = tanh(beta (matrix V/N + h)) is the solution."""
        local = matrix * V / n
        return {
            field: sp.atanh(v) / dual.beta - x for field, v, x in zip(fields, V, local, strict=True)
        }

    def slope(expr: sp.Expr, matrix: sp.MatrixBase) -> sp.Matrix:
        found = [_dual_steps.settled(sp.diff(expr, v).subs(at(matrix))) for v in V]
        return sp.Matrix(found).applyfunc(sp.expand)

    symmetric, zero = {W[1, 0]: W[0, 1]}, sp.zeros(n, 1)
    d.step(
        "16: F = (T/N) H_0 - T ln 2 for symmetric W",
        f0.subs(symmetric),
        printed.subs(symmetric) / (n * dual.beta) - sp.log(2) / dual.beta,
        ranges=inside,
    )
    d.step(
        "16: dH_0/dV at V = tanh(beta (W V/N + h)), H_0 as printed",
        slope(printed, W),
        dual.beta * (W - W.T) * V / (2 * n),
        note="Zero for symmetric W only.",
        ranges=inside,
    )
    d.refute(
        "16: printed: H_0 is stationary there",
        slope(printed, W),
        zero,
        note="For W not symmetric it is the fixed point of a dynamics, not of a free energy.",
        ranges=inside,
    )
    d.step(
        "16: F of the model is stationary at V = tanh(beta (A V/N + h)), A = (W + W^T)/2",
        slope(f0, A),
        zero,
        ranges=inside,
    )
    d.step(
        "17: m = -dF/dh, F per spin",
        _dual_steps.settled(-sum(sp.diff(f0, field) for field in fields).subs(at(A))),
        sum(V) / n,
        ranges=inside,
    )


def _response(d: Derivation) -> None:
    """Add item 18."""
    n = 2
    safe = _dual_steps._paramagnet(n)
    W = dual.weights(n)
    bare = {W[0, 0]: 0, W[1, 1]: 0}  # short formulas; network_dual keeps the diagonal
    response = dual.linear_response(n).subs(bare).applyfunc(sp.factor)
    safe = {**safe, **dict.fromkeys(dual.order(n), (0.1, 0.9))}
    D = sp.diag(*(1 - v**2 for v in dual.order(n)))

    right = (dual.beta * D * (sp.eye(n) + W.subs(bare) * response / n)).applyfunc(sp.factor)
    symmetric = {W[1, 0]: W[0, 1]}
    d.step(
        "18: as printed, for symmetric W",
        response.subs(symmetric),
        right.subs(symmetric),
        note="Two spins, W_11 = W_22 = 0; entry i, j is dV_i/dh_j.",
        ranges=safe,
    )
    d.refute("18: printed, W not symmetric", response, right, ranges=safe)
    strength = sp.Symbol("J", positive=True)
    repel = sp.Matrix([[0, -strength], [-strength, 0]])
    at = dict(zip(W, repel, strict=True)) | dict.fromkeys(dual.order(n), 0)
    found = dual.linear_response(n).subs(at)
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
        "18: at T_c = J/2 the uniform one is 1/J, and 1/chi of the other is 0",
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
        note="Two layers, left, against the marginal B B^T of one, right: eigenvalues are "
        "plus and minus the singular values of B, and zeros.  No equality to refute: W + W^T, "
        "which the printed formulas need, does not exist.",
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
        note="Deterministic inference: a unit is on in all showings of an input, with chance p, or "
        "in none.  The variance is that of three inputs shown once.",
        ranges=chance,
    )
    d.refute(
        "20: printed: the variance of 300 observations",
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
