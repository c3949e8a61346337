"""The steps of `dual.derivation`, section by section.

Statements at a saddle point are made explicit by keeping V free and giving the field at which V
is stationary: h_i = T artanh V_i - (A V)_i/N.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import sympy as sp

from spinnet.theory import dual
from spinnet.theory.algebra import (
    Derivation,
    LogCosh,
    gaussian_average,
    gaussian_integral,
    saddle_point,
)
from spinnet.theory.checking import Ranges
from spinnet.theory.dual import beta


def build(n: int) -> Derivation:
    """Return the whole derivation for `n` spins, every step checked."""
    d = Derivation(
        f"The spin system dual to a network layer, {n} spins",
        "Oprisa and Toth, arXiv:1702.08039, arXiv:1705.11023",
    )
    _exact_form(d, n)
    _saddle(d, n)
    _contour(d, n)
    _free_energy(d, n)
    _response(d, n)
    _bipartite(d)
    _padded(d)
    _errata_of_the_saddle(d, n)
    _errata_of_the_layer(d)
    return d


def _states(n: int, values: tuple[int, int] = (1, -1)) -> Iterator[sp.ImmutableMatrix]:
    for state in itertools.product(values, repeat=n):
        yield sp.ImmutableMatrix(state)


def _fields_at(n: int) -> dict[sp.Symbol, sp.Expr]:
    """Return the fields at which V is stationary."""
    local = dual.couplings(n) * dual.order(n) / n
    return {
        h: sp.atanh(v) / beta - a
        for h, v, a in zip(dual.fields(n), dual.order(n), local, strict=True)
    }


def _saddle_u(n: int) -> dict[sp.Symbol, sp.Expr]:
    return {u: sp.atanh(v) for u, v in zip(dual.conjugate(n), dual.order(n), strict=True)}


def settled(expr: sp.Expr) -> sp.Expr:
    """Cancel inside tanh, where a field at the saddle leaves artanh V."""
    return expr.replace(sp.tanh, lambda x: sp.tanh(sp.expand(x)))


def _paramagnet(n: int) -> Ranges:
    """Return small couplings: inside them det(1 - beta A D/N) > 0."""
    return {beta: (0.2, 0.9), **dict.fromkeys(dual.weights(n), (-0.9, 0.9))}


def _exact_form(d: Derivation, n: int) -> None:
    d.section("Exact integral form")
    u, c = sp.symbols("u c", real=True)
    width = sp.Symbol("epsilon", positive=True)
    d.step("Sum over one spin", sum(sp.exp(s * u) for s in (1, -1)), 2 * sp.cosh(u))
    # Int dV Int du/(2 pi) cos(u) exp(-i u V) phi(V), phi = exp(-epsilon V^2/2 + c V)
    inner = gaussian_integral(sp.Matrix([[width]]), sp.Matrix([c - sp.I * u]))
    prefactor, exponent = inner.subs(u, 0) * sp.exp(-(c**2) / (2 * width)), -((u + sp.I * c) ** 2)
    fourier = prefactor * gaussian_average(
        sp.cos(u).rewrite(sp.exp), u, mean=-sp.I * c, variance=width
    )
    d.step("Inner Gaussian", inner, prefactor * sp.exp(exponent / (2 * width)))
    d.step(
        "Delta functions of one spin",
        fourier * sp.sqrt(2 * sp.pi * width) / (2 * sp.pi),
        sp.exp(-width / 2) * sp.cosh(c),
        note="Int dV Int dU/(2 pi i) exp(-U V + ln cosh U) phi(V) = (phi(1) + phi(-1))/2, along "
        "the imaginary axis U = i u; phi is Gaussian here, the form that the energy takes.",
    )
    left, right = _transform_of_z(n)
    d.step(
        f"Z of {n} spins from the integral over V and U",
        left,
        right,
        note="2^N Int dV Int dU/(2 pi i)^N exp(-H^g), done in closed form for a matrix with "
        "diagonal shifted by -c to converge (s_i^2 = 1: the shift only multiplies Z), "
        "against the sum over states.",
    )


def _transform_of_z(n: int) -> tuple[sp.Expr, sp.Expr]:
    """Return Z of the shifted matrix by the double Gaussian integral, and by enumeration.

    Both integrals of exp(-H^g) are Gaussian once cosh U is a sum over signs: V first, with
    M = c - beta A/N and source beta h - i u, then u.
    """
    shift = sp.Integer(5)  # makes M positive definite for the sampled couplings
    M = sp.Matrix(shift * sp.eye(n) - beta * dual.couplings(n) / n)
    b = beta * dual.fields(n)
    inverse = M.inv(method="ADJ")
    over_v = (2 * sp.pi) ** sp.Rational(n, 2) / sp.sqrt(M.det())
    integral = sp.S.Zero
    for s in _states(n):  # prod cos u_i = 2^-n sum_s exp(i s.u)
        source = sp.I * (s - inverse * b)
        integral += (
            over_v
            * sp.exp((b.T * inverse * b)[0] / 2)
            * gaussian_integral(inverse.applyfunc(sp.together), source)
        )
    transformed = integral / (2 * sp.pi) ** n * sp.exp(n * shift / 2)
    exact = sum(sp.exp(-beta * dual.energy(n, s)) for s in _states(n))
    return transformed, exact


def _saddle(d: Derivation, n: int) -> None:
    d.section("Saddle point")
    A, V, U, h = dual.couplings(n), dual.order(n), dual.conjugate(n), dual.fields(n)
    g = dual.gradient(n)
    d.step("Gradient in V", g[:n, 0], U - beta * (A * V / n + h), note="A = (W + W^T)/2.")
    d.step("Gradient in U", g[n:, 0], V - U.applyfunc(sp.tanh))
    equations = dual.saddle_point(n)
    d.step(
        "Saddle point",
        sp.Matrix([eq.rhs for eq in equations]),
        sp.Matrix([*(beta * (A * V / n + h)), *U.applyfunc(sp.tanh)]),
        note="U_i, then V_i.",
    )
    blocks = sp.BlockMatrix(
        [
            [-beta * A / n, sp.eye(n)],
            [sp.eye(n), -sp.diag(*(1 - sp.tanh(u) ** 2 for u in U))],
        ]
    ).as_explicit()
    d.step("Hessian, true signs", dual.hessian(n), blocks, note="Rows and columns V, then U.")


def _contour(d: Derivation, n: int) -> None:
    d.section("Rotated contour and one loop")
    A, eye = dual.couplings(n), sp.eye(n)
    D = sp.diag(*(1 - v**2 for v in dual.order(n)))
    full = dual.hessian(n).subs(_saddle_u(n))
    target = (eye - beta * A * D / n).det()
    d.step("Determinant of the Hessian", full.det(), (-1) ** n * target, note="D = diag(1 - V^2).")
    d.step(
        "Determinant along the contour U = U_0 + i u",
        dual.rotated_hessian(n).subs(_saddle_u(n)).det(),
        target,
        note="Each imaginary direction turns one sign: the Gaussian converges.",
    )
    d.step(
        "Integrating u first",
        D.det() * (D.inv() - beta * A / n).det(),
        target,
        note="exp(-v (D^-1 - beta A/N) v/2): a minimum while the largest eigenvalue of "
        "beta D^(1/2) A D^(1/2)/N is below 1.",
        ranges=dict.fromkeys(dual.order(n), (0.1, 0.9)),
    )
    large = sp.Symbol("L", positive=True)
    u, v = sp.symbols("u v", real=True)
    a, s = sp.symbols("a s", positive=True)
    loop = saddle_point(s * u**2 / 2 + sp.I * u * v + a * v**2 / 2, (v, u), (0, 0), large)
    d.step(
        "One loop is det^(-1/2)",
        loop,
        sp.log(2 * sp.pi / large) - sp.log(1 + a * s) / 2,
        note="One site with a = -beta A/N: 2 pi/f'' of one variable becomes this determinant.",
    )


def _free_energy(d: Derivation, n: int) -> None:
    d.section("Free energy")
    A, V, h = dual.couplings(n), dual.order(n), dual.fields(n)
    f0, at = dual.free_energy(n).expr, _fields_at(n)
    inside = dict.fromkeys(V, (0.1, 0.9))
    logs = sum(LogCosh(x) for x in beta * (A * V / n + h))
    on_shell = beta * (V.T * A * V)[0] / (2 * n) - logs
    d.step("H^g at the saddle in U", dual.on_shell(n), on_shell)
    d.step("F_0 per spin", f0, (on_shell / beta) / n - sp.log(2) / beta)
    d.step(
        "F_0 is stationary at the saddle",
        sp.Matrix([sp.diff(f0, v).subs(at) for v in V]),
        sp.zeros(n, 1),
        ranges=inside,
    )
    d.step(
        "Magnetisation",
        -sum(sp.diff(f0, field) for field in h).subs(at),
        sum(V) / n,
        note="-dF_0/dh with a uniform field; stationarity removes the change of V.",
        ranges=inside,
    )
    shape = sp.diag(*(1 - v**2 for v in V))
    d.step(
        "Curvature of F_0 at the saddle",
        sp.hessian(f0, list(V)).subs(at),
        (A - beta * A * shape * A / n) / n**2,
        ranges=inside,
    )
    d.step(
        "F_1 adds one loop",
        dual.one_loop(n).expr - f0,
        sp.log((sp.eye(n) - beta * A * shape / n).det()) / (2 * n * beta),
        ranges={**inside, **_paramagnet(n)},
    )


def _response(d: Derivation, n: int) -> None:
    d.section("Linear response")
    V = dual.order(n)
    at = sp.Matrix(list(_fields_at(n).values()))
    response = dual.linear_response(n)
    d.step(
        "Response inverts dh/dV",
        response * at.jacobian(list(V)),
        sp.eye(n),
        note="h(V) = T artanh V - A V/N is explicit; its inverse Jacobian is dV/dh.",
        ranges=_paramagnet(n),
    )
    D = sp.diag(*(1 - v**2 for v in V))
    d.step(
        "Fixed-point form of the response",
        response,
        beta * D * (sp.eye(n) + dual.couplings(n) * response / n),
        note="dV/dh = beta (1 - V^2)(1 + A dV/dh / N), with W symmetrised.",
        ranges=_paramagnet(n),
    )
    d.step("The response is symmetric", response, response.T, ranges=_paramagnet(n))


# --- layers ----------------------------------------------------------------------------------

_N_A, _N_B = 2, 3


def _layer() -> tuple[sp.ImmutableMatrix, sp.ImmutableMatrix, sp.ImmutableMatrix, sp.Symbol]:
    """Return w, h (layer b), g (layer a) and norm of a 2 x 3 layer in symbols."""

    def column(letter: str, size: int) -> sp.ImmutableMatrix:
        return sp.ImmutableMatrix(sp.symbols(f"{letter}_1:{size + 1}", real=True))

    w = sp.ImmutableMatrix(_N_A, _N_B, lambda i, j: sp.Symbol(f"w_{i + 1}_{j + 1}", real=True))
    return w, column("h", _N_B), column("g", _N_A), sp.Symbol("nu", positive=True)


def _energy01(a: sp.Matrix, b: sp.Matrix) -> sp.Expr:
    w, h, g, norm = _layer()
    return -(a.T * w * b)[0] / norm - (h.T * b)[0] - (g.T * a)[0]


def _layer_states() -> Iterator[tuple[sp.ImmutableMatrix, sp.ImmutableMatrix]]:
    yield from itertools.product(_states(_N_A), _states(_N_B))


def _to_bits(spins: sp.Matrix) -> sp.Matrix:
    return (spins + sp.ones(*spins.shape)) / 2


def _bipartite(d: Derivation) -> None:
    d.section("Layers of 0 and 1 as spins")
    w, h, g, norm = _layer()
    form = dual.bipartite_to_ising(w, h, g, norm=norm)
    spin_energies, bit_energies = [], []
    for sigma, tau in _layer_states():
        energy = -(sigma.T * form.couplings * tau)[0] + form.constant
        energy -= (form.fields_a.T * sigma)[0] + (form.fields_b.T * tau)[0]
        spin_energies.append(sp.expand(energy))
        bit_energies.append(_energy01(_to_bits(sigma), _to_bits(tau)))
    d.step(
        "Energies agree state by state",
        sp.Matrix(spin_energies),
        sp.Matrix(bit_energies),
        note="All 32 states of a 2 x 3 layer with biases on both sides, nu = norm.",
    )
    d.step("Couplings shrink by 4", form.couplings, w / (4 * norm))
    d.step("Fields appear on layer b", form.fields_b, h / 2 + w.T * sp.ones(_N_A, 1) / (4 * norm))
    d.step("Fields appear on layer a", form.fields_a, g / 2 + w * sp.ones(_N_B, 1) / (4 * norm))
    x = sp.Symbol("x", real=True)
    d.step(
        "Softplus of a marginalised unit",
        -sp.log(sum(sp.exp(beta * x * b) for b in (0, 1))) / beta,
        -sp.log(1 + sp.exp(beta * x)) / beta,
        note="T -> 0 gives -max(x, 0): the ReLU is the clamped ground state.",
    )


def _padded_matrix() -> sp.Matrix:
    w, h, g, norm = _layer()
    top = sp.Matrix([[0]]).row_join(norm * h.T)
    return top.col_join((norm * g).row_join(w))


def _lift(size: int) -> sp.Matrix:
    """Return P with (1, a) = P (1, sigma)."""
    half = sp.Rational(1, 2)
    lower = (half * sp.ones(size, 1)).row_join(half * sp.eye(size))
    return sp.Matrix([[1, *([0] * size)]]).col_join(lower)


def _spin_padded() -> sp.Matrix:
    """Return the padded matrix of the spin model, from `bipartite_to_ising`."""
    w, h, g, norm = _layer()
    form = dual.bipartite_to_ising(w, h, g, norm=norm)
    couplings, bias_a, bias_b = (
        sp.Matrix(x) for x in (form.couplings, form.fields_a, form.fields_b)
    )
    top = sp.Matrix([[-form.constant]]).row_join(bias_b.T)
    return norm * top.col_join(bias_a.row_join(couplings))


def _padded(d: Derivation) -> None:
    d.section("Padded form")
    norm = _layer()[3]
    one = sp.ones(1, 1)
    bits = [(_to_bits(s), _to_bits(t)) for s, t in _layer_states()]
    d.step(
        "Biases as row and column 0",
        sp.Matrix(
            [-(one.col_join(a).T * _padded_matrix() * one.col_join(b))[0] / norm for a, b in bits]
        ),
        sp.Matrix([_energy01(a, b) for a, b in bits]),
        note="Bias of layer b in row 0, of layer a in column 0; W_00 = 0; unit 0 is clamped to 1.",
    )
    d.step(
        "Congruence P_a^T W P_b",
        _lift(_N_A).T * _padded_matrix() * _lift(_N_B),
        _spin_padded(),
        note="(1, a) = P (1, sigma): the map to spins in one line.",
    )


def _errata_of_the_saddle(d: Derivation, n: int) -> None:
    d.section("Errata of the talk: saddle point")
    W, V, U, h = dual.weights(n), dual.order(n), dual.conjugate(n), dual.fields(n)
    g, u = dual.gradient(n), sp.Symbol("u", real=True)
    at, inside = _fields_at(n), dict.fromkeys(V, (0.1, 0.9))
    d.refute(
        "12: printed sum over s of exp(U s) = cosh U",
        sum(sp.exp(s * u) for s in (1, -1)),
        sp.cosh(u),
        note="2 cosh U: hence 2^N in Z.",
    )
    free = sum(sp.exp(-beta * dual.energy(n, s)) for s in _states(n)).subs(
        dict.fromkeys([*W, *h], 0)
    )
    origin = dict.fromkeys([*W, *h, *V], 0)
    exact = -sp.log(free) / (beta * n)
    d.step("12: free spins", dual.free_energy(n).expr.subs(origin), exact)
    d.refute(
        "12: printed F = (T/N) H_0",
        (dual.on_shell(n) / (beta * n)).subs(origin),
        exact,
        note="Without -T ln 2 the entropy of free spins is lost.",
    )
    if n > 1:  # a 1 x 1 matrix is symmetric
        d.refute(
            "14: printed dH/dV = U - (beta/N) W V - beta h",
            g[:n, 0],
            U - beta * (W * V / n + h),
            note="The derivative sees (W + W^T)/2 only.",
        )
    magnetisation = sum(sp.diff(dual.free_energy(n).expr, field) for field in h)
    d.refute(
        "17: printed m = dF/dh",
        settled(magnetisation.subs(at)),
        sum(V) / n,
        note="F per spin; the sign is wrong.",
        ranges=inside,
    )
    bare = {W[i, i]: 0 for i in range(n)}  # short formulas; the response above has the diagonal
    total = settled(_second_field_derivative(n)).subs(bare)
    chi = sp.factor(sum(dual.linear_response(n)).subs(bare) / n)
    safe = {**inside, **_paramagnet(n)}
    d.step("17: chi = -d^2F/dh^2", -total, chi, ranges=safe)
    d.refute("17: printed chi = d^2F/dh^2", total, chi, ranges=safe)


def _second_field_derivative(n: int) -> sp.Expr:
    """Return d^2F_0/dh^2 along the saddle, uniform field, at the fields that make V stationary."""
    f0, V, h = dual.free_energy(n).expr, dual.order(n), dual.fields(n)
    slope = sum(sp.diff(f0, field) for field in h)
    moved = dual.linear_response(n) * sp.ones(n, 1)
    change = sum(sp.diff(slope, field) for field in h)
    change += sum(sp.diff(slope, v) * dv for v, dv in zip(V, moved, strict=True))
    return change.subs(_fields_at(n))


def _errata_of_the_layer(d: Derivation) -> None:
    d.section("Errata of the talk: layers")
    w, h, g, norm = _layer()

    def same_w(sigma: sp.Matrix, tau: sp.Matrix) -> sp.Expr:
        return -(sigma.T * w * tau)[0] / norm - (h.T * tau)[0] - (g.T * sigma)[0]

    gaps = [_energy01(_to_bits(s), _to_bits(t)) - same_w(s, t) for s, t in _layer_states()]
    d.refute(
        "7: printed map with the same w, up to a constant",
        sp.Matrix([sp.expand(gap - gaps[0]) for gap in gaps]),
        sp.zeros(len(gaps), 1),
        note="The difference depends on the state: w/4, and site-dependent fields.",
    )
    one = sp.ones(1, 1)
    wrong = _padded_matrix()
    wrong[0, 0] = norm * h[0]
    ground = one.col_join(sp.zeros(_N_A, 1)), one.col_join(sp.zeros(_N_B, 1))
    d.refute(
        "8: printed W_00 = 2 N h",
        -(ground[0].T * wrong * ground[1])[0] / norm,
        0,
        note="With all units off the energy is 0; a corner entry shifts F.",
    )
    flipped = _padded_matrix()
    flipped[0, 1:] = -flipped[0, 1:]
    d.refute(
        "8: printed bias -2 N h",
        _lift(_N_A).T * flipped * _lift(_N_B),
        _spin_padded(),
        note="Every bias enters W with a plus.",
    )
    _errata_of_tc(d)
    _errata_of_the_padding(d)


def _errata_of_tc(d: Derivation) -> None:
    """Item 10: T_c of two layers and of one, uniform weights J and norm = 2N, by eigenvalues."""
    J, n = sp.Symbol("J", positive=True), 2
    block = J * sp.ones(n, n) / (2 * n)
    zero = sp.zeros(n, n)
    pair = sp.Matrix(sp.BlockMatrix([[zero, block], [block.T, zero]]).as_explicit())
    single = J * sp.ones(n, n) / n
    two, one, half = (max(m.eigenvals(), key=lambda x: x / J) for m in (pair, single, single / 2))
    d.step(
        "10: T_c of two layers is that of one layer with W/2",
        two,
        half,
        note="Uniform weights, two nodes a layer: T_c is the largest eigenvalue of the coupling "
        "matrix, J/2.",
    )
    d.refute(
        "10: printed Z of two layers = Z of one with the same W",
        two,
        one,
        note="T_c is off by 2.",
    )


def _errata_of_the_padding(d: Derivation) -> None:
    """Item 13: one spin with V_0 = 1 clamped and the bias 2 N h in column 0 of W."""
    V, h, N = sp.Symbol("V", real=True), sp.Symbol("h", real=True), sp.Symbol("N", positive=True)
    padded = sp.Matrix([[0, 0], [2 * N * h, 0]])
    spins = sp.Matrix([1, V])
    slope = sp.diff(-beta / (2 * N) * (spins.T * padded * spins)[0], V)
    d.step("13: the derivative of H^g by V is the field", slope, -beta * h)
    d.refute(
        "13: printed gradient -(beta/N) sum W_ij V_j of the padded W",
        -beta / N * (padded * spins)[1],
        slope,
        note="-(beta/N) W_10 V_0 counts the bias twice.",
    )
    d.step(
        "13: with (W + W^T)/2 it counts once",
        -beta / N * ((padded + padded.T) / 2 * spins)[1],
        slope,
    )
