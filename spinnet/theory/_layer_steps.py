"""The steps of `layers.map_derivation` and `layers.claim_derivation`, section by section."""

from __future__ import annotations

import itertools

import mpmath
import sympy as sp

from spinnet.theory import dual, layers
from spinnet.theory.algebra import Derivation, SpinEntropy, gaussian_average
from spinnet.theory.layers import beta

_R = sp.Rational
_SOURCE = "Oprisa and Toth, arXiv:1702.08039, arXiv:1705.11023"
_SIZES = ((1, 1), (2, 3), (3, 2))


def column(letter: str, size: int) -> sp.ImmutableMatrix:
    """Return a column of real symbols."""
    return sp.ImmutableMatrix(sp.symbols(f"{letter}_1:{size + 1}", real=True))


def layer(n_a: int, n_b: int) -> tuple[sp.ImmutableMatrix, sp.ImmutableMatrix, sp.ImmutableMatrix]:
    """Return w, h (layer b) and g (layer a) in symbols."""
    w = sp.ImmutableMatrix(n_a, n_b, lambda i, j: sp.Symbol(f"w_{i + 1}_{j + 1}", real=True))
    return w, column("h", n_b), column("g", n_a)


NORM = sp.Symbol("nu", positive=True)


def bits(spins: sp.MatrixBase) -> sp.ImmutableMatrix:
    """Return (1 + sigma)/2."""
    return sp.ImmutableMatrix((spins + sp.ones(*spins.shape)) / 2)


def with_one(units: sp.MatrixBase) -> sp.ImmutableMatrix:
    """Return (1, a)."""
    return sp.ImmutableMatrix(sp.ones(1, 1).col_join(units))


def build_map() -> Derivation:
    """Return the derivation of the map, every step checked."""
    d = Derivation("From units {0,1} to spins, by congruence", _SOURCE)
    for part in (_one_pair, _congruence, _any_size, _clamped, map_errors):
        part(d)
    return d


def _one_pair(d: Derivation) -> None:
    d.section("One pair and one site")
    w, sigma, tau, h = sp.symbols("w sigma tau h", real=True)
    a, b = (1 + sigma) / 2, (1 + tau) / 2
    d.step(
        "A pair of units",
        w * a * b,
        w / 4 * sigma * tau + w / 4 * sigma + w / 4 * tau + w / 4,
        note="A quarter of the coupling, a quarter as field on either side, a constant.  H is a "
        "sum over pairs and sites, so that this line is the map at any size.",
    )
    d.step("A biased unit", h * b, h / 2 * tau + h / 2)


def _congruence(d: Derivation) -> None:
    d.section("Congruence, sizes 1 x 1, 2 x 3, 3 x 2")
    for n_a, n_b in _SIZES:
        w, h, g = layer(n_a, n_b)
        sigma, tau = column("sigma", n_a), column("tau", n_b)
        size = f"{n_a} x {n_b}"
        d.step(
            f"(1, a) = P (1, sigma), {n_a} units",
            layers.lift(n_a) * with_one(sigma),
            with_one(bits(sigma)),
        )
        matrix = layers.padded(w, h, g, norm=NORM)
        a, b = bits(sigma), bits(tau)
        d.step(
            f"Biases as row and column 0, {size}",
            -(with_one(a).T * matrix * with_one(b))[0] / NORM,
            layers.energy(w, a, b, h, g, norm=NORM),
            note="Bias of layer b in row 0, of layer a in column 0, W_00 = 0.",
        )
        form = dual.bipartite_to_ising(w, h, g, norm=NORM)
        d.step(
            f"P_a^T W P_b is the model in spins, {size}",
            layers.congruent(matrix),
            layers.padded_spins(form, norm=NORM),
        )
        in_spins = layers.energy(form.couplings, sigma, tau, form.fields_b, form.fields_a)
        d.step(
            f"Energies agree, {size}",
            in_spins + form.constant,
            layers.energy(w, a, b, h, g, norm=NORM),
            note="As polynomials in the spins, hence in every state.",
        )
    w, h, g = layer(2, 3)
    corner = layers.congruent(layers.padded(w, h, g, norm=NORM))[0, 0]
    d.step(
        "The corner is the constant",
        corner,
        sum(w) / 4 + NORM * (sum(h) + sum(g)) / 2,
        note="-norm times the constant of H.",
    )
    d.step(
        "The map loses nothing",
        [layers.lift(n).det() for n in (1, 2, 3, 4)],
        [_R(1, 2**n) for n in (1, 2, 3, 4)],
        note="det P = 2^-n: P can be inverted.",
    )


def _any_size(d: Derivation) -> None:
    """Matrices x^k y^l span all matrices of any size: the congruence is checked on them."""
    d.section("Congruence at any size")
    i, k, l = (sp.Symbol(s, integer=True, nonnegative=True) for s in "ikl")  # noqa: E741
    N = sp.Symbol("N", integer=True, positive=True)
    x = sp.Symbol("x", positive=True)
    entry = (sp.KroneckerDelta(i, 0) + sp.KroneckerDelta(k, i)) / 2
    d.step(
        "Entries of P: P_ki = (delta_i0 + delta_ki)/2",
        layers.lift(3),
        sp.Matrix(4, 4, lambda a, b: entry.subs({k: a, i: b})),
    )
    u = sp.Sum(x**k * entry, (k, 0, N))
    ranges = {i: (1, 4), N: (4, 8), x: (0.1, 0.9)}
    d.step(
        "A row of powers x^k, column i >= 1 of P",
        u.subs(i, sp.Symbol("i", integer=True, positive=True)),
        x ** sp.Symbol("i", integer=True, positive=True) / 2,
        note="Rank-one matrices W_kl = x^k y^l span all matrices of N_a + 1 rows and N_b + 1 "
        "columns; P_a^T W P_b is then a product of two such rows.  Hence w_ij/4 inside.",
        ranges={**ranges, sp.Symbol("i", integer=True, positive=True): (1, 4)},
    )
    d.step(
        "The same, column 0",
        u.subs(i, 0),
        1 + sp.Sum(x**l, (l, 1, N)) / 2,
        note="Hence row 0 of the spin model: W_0j/2 + sum_i W_ij/4, and the corner likewise.",
        ranges=ranges,
    )


def _clamped(d: Derivation) -> None:
    d.section("Partition function and the clamped spin")
    w, h, g = layer(1, 2)
    form = dual.bipartite_to_ising(w, h, g)
    pairs = [(s, t) for s in layers.states(1) for t in layers.states(2)]
    of_bits = sum(sp.exp(-beta * layers.energy(w, bits(s), bits(t), h, g)) for s, t in pairs)
    args = form.couplings, form.fields_b, form.fields_a
    of_spins = sum(
        sp.exp(-beta * (layers.energy(args[0], s, t, *args[1:]) + form.constant)) for s, t in pairs
    )
    d.step("Z of a 1 x 2 layer", of_spins, of_bits, note="Eight states, constant included.")
    matrix = layers.congruent(layers.padded(w, h, g))
    free = sum(
        sp.exp(beta * (sp.Matrix([s0, *s]).T * matrix * sp.Matrix([t0, *t]))[0])
        for s0, t0 in itertools.product((1, -1), repeat=2)
        for s, t in pairs
    )
    d.refute(
        "Z with the padding spins summed over, up to their four states",
        free / 4,
        of_bits,
        note="Spin 0 stands for the number 1: it is clamped.",
    )
    d.refute(
        "Z without the constant",
        sum(sp.exp(-beta * layers.energy(args[0], s, t, *args[1:])) for s, t in pairs),
        of_bits,
    )


def map_errors(d: Derivation) -> None:
    """Refute the printed and the likely variants of the map."""
    d.section("What the map is not")
    w, h, g = layer(2, 2)
    matrix = layers.padded(w, h, g, norm=NORM)
    form = dual.bipartite_to_ising(w, h, g, norm=NORM)
    target = layers.padded_spins(form, norm=NORM)
    sigma, tau = column("sigma", 2), column("tau", 2)
    exact = layers.energy(w, bits(sigma), bits(tau), h, g, norm=NORM)
    same = layers.energy(w, sigma, tau, h, g, norm=NORM)
    gap = sp.expand(exact - same)
    spins = [*sigma, *tau]
    d.refute(
        "7: printed: the same w in spins, up to a constant",
        gap,
        gap.subs(dict.fromkeys(spins, 0)),
        note="The difference depends on the state.",
    )
    halved = layers.energy(w / 4, sigma, tau, h / 2, g / 2, norm=NORM)
    d.refute(
        "7: w/4 and half the biases, without the fields that w generates",
        sp.expand(exact - halved),
        sp.expand(exact - halved).subs(dict.fromkeys(spins, 0)),
        note="Each site lacks a quarter of its summed weights.",
    )
    d.step(
        "7: w/4, h/2, g/2 and the generated fields leave a constant",
        sp.expand(exact - layers.energy(form.couplings, sigma, tau, form.fields_b, form.fields_a)),
        -(sum(w) / (4 * NORM) + sum(h) / 2 + sum(g) / 2),
    )
    swapped = layers.padded(w, g, h, norm=NORM)
    d.refute(
        "8: printed: bias of layer b in the first column",
        layers.congruent(swapped),
        target,
        note="Rows are a: column 0 belongs to layer a.",
    )
    corner = sp.Matrix(matrix)
    corner[0, 0] = NORM * h[0]
    d.refute("8: printed: W_00 = 2 N h", layers.congruent(corner), target)
    d.step(
        "8: it shifts every energy by -h, and so m = -(1/N) dF/dh by 1/N",
        sp.expand(
            -(with_one(sigma).T * layers.congruent(corner) * with_one(tau))[0] / NORM - exact
        ),
        -h[0],
        note="norm = 2 N; h_1 stands for h.",
    )
    negative = sp.Matrix(matrix)
    negative[0, 1:] = -negative[0, 1:]
    d.refute("8: printed: -2 N h, here in row 0", layers.congruent(negative), target)
    last = sp.Matrix(w.col_join(NORM * h.T)).row_join(sp.Matrix([*(NORM * g), 0]))
    last_one = [sp.Matrix([*units, 1]) for units in (bits(sigma), bits(tau))]
    d.step(
        "8: the last row would do, if the 1 is last too",
        -(last_one[0].T * last * last_one[1])[0] / NORM,
        exact,
    )
    d.refute(
        "8: the last row with the 1 in front",
        -(with_one(bits(sigma)).T * last * with_one(bits(tau)))[0] / NORM,
        exact,
    )
    d.step(
        "8: row 0 for layer b, column 0 for layer a, plus signs, corner 0",
        layers.congruent(matrix),
        target,
    )


# --- the 1-loop claim ---------------------------------------------------------------------------


def build_claim() -> Derivation:
    """Return the derivation of the 1-loop claim, every step checked."""
    d = Derivation("Two layers and one: the 1-loop claim", _SOURCE)
    for part in (
        _inequality,
        _mean_field,
        _one_loop,
        _numbers,
        claim_errors,
        _other_failures,
        _uniform_network,
    ):
        part(d)
    return d


def _symmetric(n: int) -> sp.ImmutableMatrix:
    def entry(i: int, j: int) -> sp.Symbol:
        low, high = sorted((i + 1, j + 1))
        return sp.Symbol(f"W_{low}_{high}", real=True)

    return sp.ImmutableMatrix(n, n, entry)


def _root(n: int) -> sp.ImmutableMatrix:
    """Return L in symbols; L L^T is any positive semidefinite matrix."""
    return sp.ImmutableMatrix(n, n, lambda i, j: sp.Symbol(f"L_{i + 1}_{j + 1}", real=True))


def _inequality(d: Derivation) -> None:
    d.section("Z_bip(W) <= Z_full(W/2)^2 for W = L L^T")
    a, b = column("a", 3), column("b", 3)
    w = _symmetric(3)
    d.step(
        "Polarisation, W symmetric",
        (a.T * w * a)[0] / 2 + (b.T * w * b)[0] / 2 - (a.T * w * b)[0],
        ((a - b).T * w * (a - b))[0] / 2,
        note="Entry by entry, hence at any size.",
    )
    root = _root(3)
    d.step(
        "Its right side is half a sum of squares",
        ((a - b).T * root * root.T * (a - b))[0],
        sum(x**2 for x in root.T * (a - b)),
        note="So a^T W b <= (a^T W a + b^T W b)/2: no pair of states beats a = b, and ground "
        "states agree, max a^T W b = max s^T W s.",
    )
    full = dual.weights(2)
    x, y = column("a", 2), column("b", 2)
    d.refute(
        "Polarisation, W not symmetric",
        (x.T * full * x)[0] / 2 + (y.T * full * y)[0] / 2 - (x.T * full * y)[0],
        ((x - y).T * full * (x - y))[0] / 2,
    )
    root = _root(2)
    w = sp.ImmutableMatrix(root * root.T)
    square = layers.one_layer(w / 2) ** 2
    states = list(itertools.product(layers.states(2), repeat=2))
    weights = [sp.exp(beta * ((s.T * w * s)[0] + (t.T * w * t)[0]) / 8) for s, t in states]
    d.step("Weights of two copies of one layer with W/2", sum(weights), square)
    gaps = [sp.exp(-beta * sum(e**2 for e in root.T * (s - t)) / 8) for s, t in states]
    d.step(
        "Z_bip is their sum, each times a number that is at most 1",
        layers.two_layers(w),
        sum(p * g for p, g in zip(weights, gaps, strict=True)),
        note="exp(-(beta/4N) |L^T (a - b)|^2) <= 1: hence Z_bip(W) <= Z_full(W/2)^2.",
    )


def _mean_field(d: Derivation) -> None:
    d.section("Mean field: x = y")
    n = 2
    x, y = column("x", n), column("y", n)
    w = _symmetric(n)

    def one(v: sp.MatrixBase, matrix: sp.MatrixBase) -> sp.Expr:
        """Return ln of the weight of mean spins v in one layer."""
        return beta * (v.T * matrix * v)[0] / (2 * n) + sum(SpinEntropy(e) for e in v)

    def two(v: sp.MatrixBase, u: sp.MatrixBase) -> sp.Expr:
        entropy = sum(SpinEntropy(e) for e in (*v, *u))
        return beta * (v.T * w * u)[0] / (2 * n) + entropy

    inside = dict.fromkeys([*x, *y], (-0.9, 0.9))
    d.step(
        "Two layers lie below two copies of one with W/2",
        one(x, w / 2) + one(y, w / 2) - two(x, y),
        beta * ((x - y).T * w * (x - y))[0] / (4 * n),
        note="Nonnegative for W positive semidefinite.",
        ranges=inside,
    )
    d.step(
        "Equal at x = y: F_bip(W) = 2 F_full(W/2) to leading order",
        two(x, x),
        2 * one(x, w / 2),
        ranges=inside,
    )
    d.refute(
        "F_bip(W) = F_full(W), as printed",
        two(x, x),
        one(x, w),
        note="Half the entropy is missing: the wrong T_c.",
        ranges=inside,
    )


def _one_loop(d: Derivation) -> None:
    d.section("One loop")
    for n in (1, 2, 3):
        k = _symmetric(n)
        eye, zero = sp.eye(n), sp.zeros(n, n)
        block = sp.Matrix(sp.BlockMatrix([[zero, k], [k, zero]]).as_explicit())
        d.step(
            f"Determinant of two layers, k = beta W/2N, N = {n}",
            (sp.eye(2 * n) - block).det(),
            (eye - k).det() * (eye + k).det(),
        )
    values = list(sp.symbols("k_1:4", positive=True))
    two = -sp.log(sp.Mul(*((1 - k) * (1 + k) for k in values))) / 2
    one = -sp.log(sp.Mul(*(1 - k for k in values))) / 2
    small = dict.fromkeys(values, (0.1, 0.9))
    d.step(
        "ln Z_bip(W) - 2 ln Z_full(W/2) at one loop",
        two - 2 * one,
        layers.log_ratio_at_one_loop(values),
        note="-1/2 ln det of each: 1/2 sum ln [(1-k)/(1+k)].",
        ranges=small,
    )
    K, m = sp.symbols("K m", positive=True)
    d.step(
        "Curie-Weiss, beta W_ij = K: one eigenvalue K/2",
        [layers.log_ratio_at_one_loop([K / 2]), max((sp.ones(3) * K / 6).eigenvals())],
        [sp.log((1 - K / 2) / (1 + K / 2)) / 2, K / 2],
        note="At K = 1: -0.549306; the exact sums give -0.548753 at N = 800.",
        ranges={K: (0.1, 1.9)},
    )
    z, k = sp.Symbol("z", positive=True), K * (1 - m**2) / 2
    ordered = sp.Matrix([[1, -k], [-k, 1]])
    d.step(
        "Below T_c: k takes the factor 1 - m^2, and two wells stand against four",
        sp.log(2 * z / sp.sqrt(ordered.det())) - 2 * sp.log(2 * sp.sqrt(z) / sp.sqrt(1 - k)),
        layers.log_ratio_at_one_loop([k]) - sp.log(2),
        note="z is the common leading weight; x = y = +m or -m, against four signs.",
        ranges={K: (0.1, 0.9), m: (0.1, 0.9)},
    )


def _per_spin(z: sp.Expr, n_spins: int) -> sp.Rational:
    """Return ln Z per spin, rounded to four digits."""
    return _R(round(10**4 * sp.N(sp.log(z) / n_spins, 30)), 10**4)


def _numbers(d: Derivation) -> None:
    d.section("Exact sums, N = 12, beta = 2, uniform weights +1 and -1")
    n, two, one = 12, layers.uniform_two_layers, layers.uniform_one_layer
    K = sp.Symbol("K", real=True)
    ones = sp.ones(3, 3) * K / beta
    d.step(
        "Sums over magnetisations are the sums over states, N = 3",
        [layers.two_layers(ones), layers.one_layer(ones)],
        [two(3, K), one(3, K)],
    )
    d.step(
        "ln Z per spin: two layers, one with W, one with W/2",
        [
            _per_spin(z, size)
            for z, size in ((two(n, sp.S(2)), 24), (one(n, sp.S(2)), n), (one(n, sp.S(1)), n))
        ],
        [_R("0.7284"), _R("1.0881"), _R("0.7751")],
    )
    d.step(
        "The same for weights -1",
        [
            _per_spin(z, size)
            for z, size in ((two(n, sp.S(-2)), 24), (one(n, sp.S(-2)), n), (one(n, sp.S(-1)), n))
        ],
        [_R("0.7284"), _R("0.6466"), _R("0.6638")],
        note="Two layers do not see the sign: a -> -a undoes it.  One layer does.",
    )


def claim_errors(d: Derivation) -> None:
    """Add item 10: the printed claim against exact sums and T_c."""
    d.section("The printed claim")
    K = sp.Symbol("K", positive=True)
    two, one = layers.uniform_two_layers(6, K), layers.uniform_one_layer(6, K)
    d.refute(
        "10: printed Z_bip(W) = Z_full(W), uniform weights, N = 6",
        two,
        one,
        note="As it stands even the number of states differs.",
    )
    d.refute("10: the same, ln Z per spin", sp.log(two) / 12, sp.log(one) / 6)
    d.refute(
        "10: Z_bip(W) = Z_full(W/2)^2 at finite N",
        two,
        layers.uniform_one_layer(6, K / 2) ** 2,
        note="Only to leading order, for weights of low rank.",
    )
    d.step(
        "10: Z_bip(W) <= Z_full(W/2)^2 there: sign of the right side less the left",
        [
            sp.sign(layers.uniform_one_layer(6, k / 2) ** 2 - layers.uniform_two_layers(6, k))
            for k in (_R(1, 2), sp.S(2), sp.S(8))
        ],
        [1, 1, 1],
        note="At K = 1/2, 2, 8; the proof for any positive semidefinite W is in one_loop_claim.",
    )
    n = 2
    J = sp.Symbol("J", positive=True)
    matrix = J * sp.ones(n, n) / (2 * n)
    pair = sp.Matrix(
        sp.BlockMatrix([[sp.zeros(n, n), matrix], [matrix.T, sp.zeros(n, n)]]).as_explicit()
    )
    d.step(
        "10: T_c of two uniform layers, and of one layer with W/2",
        [max(m.eigenvals(), key=lambda e: e / J) for m in (pair, J * sp.ones(n, n) / (2 * n))],
        [J / 2, J / 2],
        note="The largest eigenvalue of the coupling matrix.",
    )
    d.refute(
        "10: T_c of two uniform layers is that of one layer with W",
        max(pair.eigenvals(), key=lambda e: e / J),
        max((J * sp.ones(n, n) / n).eigenvals(), key=lambda e: e / J),
        note="J/2 against J.",
    )


def _other_failures(d: Derivation) -> None:
    d.section("Where even W/2 and a square fail")
    w = _symmetric(2)
    d.step(
        "Gauge a -> -a: two layers do not see the sign of W",
        layers.two_layers(-w),
        layers.two_layers(w),
    )
    d.step(
        "Antiferromagnet, N = 6: Z_bip(W) > Z_full(W/2)^2, sign of the difference",
        [
            sp.sign(layers.uniform_two_layers(6, -k) - layers.uniform_one_layer(6, -k / 2) ** 2)
            for k in (_R(1, 2), sp.S(2), sp.S(8))
        ],
        [1, 1, 1],
        note="At K = -1/2, -2, -8: W is not positive semidefinite, and the inequality turns round.",
    )
    J = sp.Symbol("J", real=True)
    twisted = sp.Matrix([[0, J], [-J, 0]])
    d.step(
        "Antisymmetric W: one layer sees nothing of it",
        layers.one_layer(twisted),
        4,
        note="Four states of energy 0: s^T W s keeps only (W + W^T)/2.",
    )
    d.refute(
        "Antisymmetric W: two layers do",
        layers.two_layers(twisted),
        16,
    )
    size, N, c = sp.symbols("J N c", positive=True)
    z, y = sp.symbols("z y", real=True)
    symmetrised = gaussian_average(((z + y) / 2) ** 2, z, variance=N * size**2)
    symmetrised = gaussian_average(symmetrised, y, variance=N * size**2)
    transitions = [sp.sqrt(N * v / (2 * N) ** 2) for v in (N * size**2, symmetrised)]
    d.step(
        "Independent Gaussian weights of variance N J^2: T_SG of two layers, of one with W/2",
        transitions,
        [size / 2, size / (2 * sp.sqrt(2))],
        note="T_SG^2 is the sum over j of the variance of J_ij = W_ij/2N; one layer sees only the "
        "symmetric half of W.",
    )
    d.refute("They are equal", *transitions)
    site = sp.Matrix([[c]])
    d.step(
        "W = c 1, one site: ln Z_bip(W) - 2 ln Z_full(W/2)",
        sp.log(layers.two_layers(site)) - 2 * sp.log(layers.one_layer(site / 2)),
        sp.log(sp.cosh(beta * c / 2)) - beta * c / 2,
        note="For N sites N times this with c/N in place of c: W of full rank with eigenvalues of "
        "order N makes the gap extensive.",
    )
    k = sp.Symbol("k", positive=True)
    exact = sp.log(sp.cosh(k)) - k
    d.step(
        "One loop gives its first term only",
        [
            sp.series(exact, k, 0, 2).removeO(),
            sp.diff(layers.log_ratio_at_one_loop([k]), k).subs(k, 0),
        ],
        [-k, -1],
    )
    d.refute(
        "One loop is exact for W = c 1",
        exact,
        layers.log_ratio_at_one_loop([k]),
        ranges={k: (0.1, 0.9)},
    )


def _digits(value: sp.Expr, digits: int) -> sp.Rational:
    return _R(round(10**digits * sp.N(value, digits + 20)), 10**digits)


def _uniform_network(d: Derivation) -> None:
    d.section("The uniform {0,1} network solved")
    w, N, A, B = (sp.Symbol(s, positive=True) for s in ("w", "N", "A", "B"))

    def energy(a: sp.Expr, b: sp.Expr, bias: sp.Expr) -> sp.Expr:
        return -w * a * b / (2 * N) - bias * b

    d.step(
        "Symmetry A -> N - B, B -> N - A at h = -w/2",
        energy(N - B, N - A, -w / 2),
        energy(A, B, -w / 2),
        note="A and B units are on.",
    )
    d.refute("The same at h = 0", energy(N - B, N - A, 0), energy(A, B, 0))
    form = dual.bipartite_to_ising(w * sp.ones(3, 3), -w / 2, 0, norm=6)
    d.step(
        "In spins: coupling w/8N, fields w/8 and -w/8 on the two layers",
        [form.couplings[0, 0], form.fields_a[0], form.fields_b[0]],
        [w / 24, w / 8, -w / 8],
        note="N = 3.  Fields of opposite sign do not break the symmetry.",
    )
    x, kappa = sp.Symbol("x", real=True), sp.Symbol("kappa", positive=True)
    X, Y = sp.symbols("X Y", real=True)
    map_x, map_y = sp.tanh(kappa * (Y + 1)), sp.tanh(kappa * (X - 1))  # kappa = beta w/8
    d.step(
        "Its mean field has solutions y = -x, x = tanh kappa(1 - x)",
        [map_x.subs(Y, -x), map_y.subs(X, x)],
        [sp.tanh(kappa * (1 - x)), -sp.tanh(kappa * (1 - x))],
        note="x = tanh kappa(y + 1), y = tanh kappa(x - 1), kappa = beta w/8.",
    )
    slopes = sp.diff(sp.atanh(X), X) ** -1 * kappa, sp.diff(sp.atanh(Y), Y) ** -1 * kappa
    jacobian = sp.Matrix([[1, -slopes[0]], [-slopes[1], 1]]).subs({X: x, Y: -x})
    d.step(
        "It loses stability at kappa (1 - x^2) = 1",
        sp.factor(jacobian.det()),
        (1 - kappa * (1 - x**2)) * (1 + kappa * (1 - x**2)),
    )
    root, critical = layers.uniform_critical_point()
    (place,) = critical.free_symbols
    d.step(
        "Both together",
        x - sp.tanh(kappa * (1 - x)).subs(kappa, 1 / (1 - x**2)),
        root.subs(place, x),
        note="x = tanh(1/(1 + x)).",
        ranges={x: (-0.9, 0.9)},
    )
    with mpmath.workdps(40):
        solved = sp.Float(
            mpmath.nstr(mpmath.findroot(sp.lambdify(place, root, "mpmath"), 0.56), 38), 38
        )
    d.step(
        "Critical point: x, K_c = 1/(1 - x^2), T_c/w = 1/(8 K_c)",
        [_digits(e, 11) for e in (solved, 1 / (1 - solved**2), critical.subs(place, solved))],
        [_R("0.56437658856"), _R("1.46739650486"), _R("0.08518488329")],
        note="To eleven digits; occupations (1 + x)/2 and (1 - x)/2.",
    )
    n = 2
    block = sp.Matrix(
        sp.BlockMatrix(
            [[sp.zeros(n, n), sp.ones(n, n)], [sp.ones(n, n), sp.zeros(n, n)]]
        ).as_explicit()
    )
    top = [max((w * m).eigenvals(), key=lambda e: e / w) for m in (sp.ones(n, n) / n, block / 4)]
    M = sp.Symbol("M", real=True)
    gas = sp.Poly(sp.expand(-w * ((N + M) / 2) ** 2 / (2 * N) + w / 2 * (N + M) / 2), M)
    d.step(
        "Four other numbers called T_c: printed, spins with w, spins with w/4, one {0,1} layer",
        [*top, top[1] / 4, -2 * N * gas.coeff_monomial(M**2)],
        [w, w / 2, w / 8, w / 4],
        note="One layer as printed; two layers of spins, fields dropped; the lattice gas of one "
        "layer at h = -w/2, where its field vanishes.  The network itself: 0.0852 w.",
    )
    d.step("Field of that lattice gas", gas.coeff_monomial(M), 0)
