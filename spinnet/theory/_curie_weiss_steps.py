"""The steps of `curie_weiss.derivation`, section by section.

Each left-hand side is computed from the model; each right-hand side is the statement as a
textbook prints it.
"""

from __future__ import annotations

import itertools

import sympy as sp

from spinnet.theory import curie_weiss as cw
from spinnet.theory.algebra import Derivation, gaussian_average, saddle_point
from spinnet.theory.curie_weiss import J, K, N, beta, h, m, t, tau, y

_R = sp.Rational
_INSIDE = {m: (0.1, 0.9)}
_PARAMAGNET = {K: (0.1, 0.9)}


def build() -> Derivation:
    """Return the whole derivation, every step checked."""
    d = Derivation("The Curie-Weiss model", "Oprisa and Toth, arXiv:1702.08039, arXiv:1705.11023")
    for part in (
        _partition_function,
        _saddle,
        _gibbs,
        _response,
        _landau,
        _exponents,
        _beyond_the_saddle,
        _finite_size,
        _errata,
        _errata_of_scales,
    ):
        part(d)
    return d


def _boltzmann_sum(n: int, diagonal: bool = True) -> sp.Expr:
    """Return Z of n spins, state by state; without the diagonal, pairs i != j only."""
    total = sp.S.Zero
    for spins in itertools.product((1, -1), repeat=n):
        square = sum(spins) ** 2 - (0 if diagonal else n)
        total += sp.exp(beta * (J * sp.Rational(square, 2 * n) + h * sum(spins)))
    return total


def _partition_function(d: Derivation) -> None:
    d.section("Partition function")
    M = sp.Symbol("M", real=True)
    d.step(
        "Z sums over the total magnetisation",
        _boltzmann_sum(3),
        cw.partition_function(3),
        note="Three spins, all eight states; binomial multiplicities.",
    )
    d.step(
        "Hubbard-Stratonovich",
        gaussian_average(sp.exp(beta * J * m * M), m, variance=1 / (N * beta * J)),
        sp.exp(beta * J * M**2 / (2 * N)),
        note="A Gaussian field m of variance 1/(N beta J) linearises the square of M, since J > 0.",
    )
    one_spin = sum(sp.exp(beta * (J * m + h) * s) for s in (1, -1))
    d.step("Sum over one spin", one_spin, 2 * sp.cosh(beta * (J * m + h)))
    d.step(
        "Free-energy density",
        -sp.log(sp.exp(-beta * J * m**2 / 2) * one_spin) / beta,
        cw.free_energy().expr,
        note="Z = sqrt(N beta J/(2 pi)) Int dm exp(-N beta f(m)), exactly.",
    )
    d.step(
        "The integral is Z",
        gaussian_average((2 * sp.cosh(beta * (J * m + h))) ** 3, m, variance=1 / (3 * beta * J)),
        cw.partition_function(3),
        note="Three spins: the Gaussian average of (2 cosh)^3.",
    )


def _saddle(d: Derivation) -> None:
    d.section("Saddle point")
    f = cw.free_energy()
    d.step("Stationarity", f.stationarity()[0], J * (m - sp.tanh(beta * (J * m + h))))
    d.step(
        "Self-consistency",
        sp.tanh(cw.local_field()),
        sp.tanh(beta * (J * m + h)),
        note="The stationary m equals this.",
    )
    d.step("Field of a stationary m", cw.field_at(), sp.atanh(m) / beta - J * m, ranges=_INSIDE)
    on_shell = f.hessian()[0].subs(h, cw.field_at())
    d.step("Curvature at a stationary m", on_shell, J * (1 - beta * J * (1 - m**2)), ranges=_INSIDE)
    d.step("Critical point", cw.critical_beta(), 1 / J, note="Curvature 0 at m = h = 0.")
    spinodal = sp.sqrt(1 - 1 / (beta * J))
    ordered = {beta: (1.2, 2.0), J: (1.2, 2.0)}
    d.step(
        "Spinodal",
        sp.diff(cw.field_at(), m).subs(m, spinodal),
        0,
        note="dh/dm = 0 at m^2 = 1 - T/J: two branches meet.",
        ranges=ordered,
    )
    d.step(
        "Coercive field",
        -cw.field_at(spinodal),
        J * spinodal - sp.atanh(spinodal) / beta,
        ranges=ordered,
    )


def _gibbs(d: Derivation) -> None:
    d.section("Gibbs density")
    f, g = cw.free_energy().expr, cw.gibbs_free_energy().expr
    mu, u = sp.symbols("mu u", real=True)
    inner = g.subs(m, mu) + J * (m - mu) ** 2 / 2
    place = {mu: sp.tanh(u), m: (u / beta - h) / J}
    d.step(
        "f is an inner minimum over g: stationarity",
        sp.diff(inner, mu).subs(place, simultaneous=True),
        0,
        note="At mu = tanh(u), u = beta (J m + h).",
    )
    d.step(
        "f is an inner minimum over g: convexity",
        sp.diff(inner, mu, 2),
        1 / (beta * (1 - mu**2)),
        note="Positive: so f(m) = min over mu of g(mu) + J (m - mu)^2/2, hence f <= g.",
        ranges={mu: (-0.9, 0.9)},
    )
    d.step(
        "f is an inner minimum over g: value",
        inner.subs(place, simultaneous=True),
        f.subs(m, (u / beta - h) / J),
    )
    saddle = {h: cw.field_at()}
    d.step("f = g at a stationary point", f.subs(saddle), g.subs(saddle), ranges=_INSIDE)
    d.refute(
        "f is not g elsewhere",
        f,
        g,
        note="The two densities share stationary points and values there, and nothing else.",
        ranges=_INSIDE,
    )


def _response(d: Derivation) -> None:
    d.section("Response")
    f = cw.free_energy().expr
    saddle = {h: cw.field_at()}
    gap = 1 - beta * J * (1 - m**2)
    d.step("Magnetisation", -sp.diff(f, h).subs(saddle), m, ranges=_INSIDE)
    d.step("Susceptibility", cw.susceptibility(), beta * (1 - m**2) / gap)
    d.step(
        "Susceptibility inverts the field",
        1 / sp.diff(cw.field_at(), m),
        cw.susceptibility(),
    )
    d.step("Energy", cw.energy(), -J * m**2 / 2 - h * m)
    d.step(
        "Specific heat",
        cw.specific_heat(),
        (beta * (J * m + h)) ** 2 * (1 - m**2) / gap,
    )


def _landau(d: Derivation) -> None:
    d.section("Landau series and exponents")
    d.step(
        "Landau series",
        cw.free_energy().landau_series(6),
        -sp.log(2) / beta
        + J * (1 - beta * J) * m**2 / 2
        + beta**3 * J**4 * m**4 / 12
        - beta**5 * J**6 * m**6 / 45,
    )
    R = sp.Rational
    d.step(
        "m^2 below T_c",
        cw.magnetization_series(5),
        3 * tau - R(12, 5) * tau**2 + R(12, 175) * (tau**3 + tau**4) + R(22668, 336875) * tau**5,
    )
    d.step(
        "m^2 below T_c, in K = J/T",
        cw.magnetization_series(2, "K"),
        3 * (K - 1) - R(27, 5) * (K - 1) ** 2,
    )
    d.step("chi J above T_c", J * cw.susceptibility_above(), 1 / t)
    d.step(
        "chi J below T_c", cw.susceptibility_series(1), 1 / (2 * tau) - R(9, 10) + 18 * tau / 175
    )
    d.step(
        "Critical isotherm",
        cw.critical_isotherm_series(7),
        y * (1 - y**2 / 5 + 3 * y**4 / 175 + 2 * y**6 / 1575),
        note="y = (3 h/J)^(1/3).",
    )
    d.step(
        "Specific heat below T_c",
        cw.specific_heat_series(2),
        R(3, 2) - R(12, 5) * tau + R(18, 175) * tau**2,
        note="c = 0 above: a jump.",
    )


def _exponents(d: Derivation) -> None:
    R = sp.Rational
    table = cw.exponents()
    d.step(
        "Exponents beta, gamma, delta, alpha, nu_bar",
        [table[name] for name in ("beta", "gamma", "delta", "alpha", "nu_bar")],
        [R(1, 2), 1, 3, 0, 2],
    )
    d.step(
        "Amplitudes B, Gamma+, Gamma-, D, jump of c",
        [
            table.amplitudes[name]
            for name in (
                "magnetization",
                "susceptibility_above",
                "susceptibility_below",
                "field",
                "specific_heat_jump",
            )
        ],
        [sp.sqrt(3), 1 / J, 1 / (2 * J), J / 3, R(3, 2)],
    )
    d.step(
        "Universal ratio Gamma+ D B^(delta-1)",
        table.amplitudes["universal_ratio"],
        1,
    )
    d.step("Widom", table["gamma"], table["beta"] * (table["delta"] - 1))


def _beyond_the_saddle(d: Derivation) -> None:
    d.section("Beyond the saddle point")
    action = (beta * cw.free_energy().expr).subs({h: 0, beta: K / J})
    log_z = sp.log(N * K / (2 * sp.pi)) / 2
    log_z += saddle_point(action, m, 0, N, correction=True).subs(J, 1)
    d.step(
        "ln Z above T_c",
        log_z,
        N * sp.log(2) - sp.log(1 - K) / 2 - K**2 / (4 * N * (1 - K) ** 2),
        note="Laplace's method with its 1/N term; error O(1/N^2).",
        ranges=_PARAMAGNET,
    )
    gap = 1 - beta * J * (1 - m**2)
    one_loop = -sp.log(gap) / 2  # of ln Z
    d.step(
        "First correction to m in a field",
        sp.diff(one_loop, m) * cw.susceptibility() / (N * beta),
        -beta * J * m * (1 - m**2) / (N * gap**2),
        ranges={**_INSIDE, beta: (0.2, 0.9), J: (0.2, 0.9)},
    )
    chi = cw.susceptibility().subs(m, 0)
    curvature = sp.diff(one_loop.subs(m, chi * h), h, 2).subs(h, 0)
    second_moment = (chi / beta + curvature / (N * beta**2)).subs(beta, K / J)
    d.step(
        "N <m^2> above T_c",
        second_moment,
        1 / (1 - K) - K / (N * (1 - K) ** 3),
        note="From d^2 ln Z/dh^2 at h = 0; error O(1/N^2).",
        ranges=_PARAMAGNET,
    )
    d.step(
        "Pair correlator above T_c",
        (sp.limit(second_moment, N, sp.oo) - 1).subs(K, 1 / (1 + t)),
        1 / t,
        note="N <s_i s_j> for i != j, from N <m^2> = 1 + (N-1) <s_i s_j>; itself of order 1/N.",
    )


def _finite_size(d: Derivation) -> None:
    d.section("Finite size at the critical point")
    x = sp.Symbol("x", positive=True)
    weight, correction = cw.critical_weight(x)
    d.step("ln P(x), x = m N^(1/4)", weight, -(x**4) / 12)
    d.step(
        "Its N^(-1/2) correction",
        correction,
        x**2 / 2 - x**6 / 30,
        note="x^2/2 from Stirling's prefactor, x^6/30 from the entropy.",
    )
    quarter = sp.gamma(sp.Rational(1, 4))
    powers = (1, 2, 3, 4, 6, 8)
    d.step(
        "Moments of |x|: k = 1, 2, 3, 4, 6, 8",
        [cw.scaling_moment(k) for k in powers],
        [12 ** sp.Rational(k, 4) * sp.gamma(sp.Rational(k + 1, 4)) / quarter for k in powers],
    )
    c = cw.finite_size_constants()
    three = sp.gamma(sp.Rational(3, 4)) / quarter
    for title, name, value in (
        ("N^(1/4) <|m|>", "abs_m", 12 ** sp.Rational(1, 4) * sp.sqrt(sp.pi) / quarter),
        ("N^(1/2) <m^2>", "m2", sp.sqrt(12) * three),
        ("N <m^4>", "m4", sp.Integer(3)),
        ("<m^2>/<|m|>^2", "ratio", sp.sqrt(2)),
        ("<m^4>/<m^2>^2", "kurtosis", quarter**4 / (8 * sp.pi**2)),
        ("Binder cumulant", "binder", 1 - quarter**4 / (24 * sp.pi**2)),
        ("Specific heat", "specific_heat", sp.Rational(3, 4) - 3 * three**2),
        (
            "Z/2^N N^(-1/4)",
            "partition_function",
            3 ** sp.Rational(1, 4) * quarter / (2 * sp.sqrt(sp.pi)),
        ),
    ):
        d.step(title, c[name].leading, value)
    d.step(
        "Approach of the Binder cumulant to its limit",
        c["binder"].correction,
        sp.sqrt(3) * quarter / (15 * sp.gamma(sp.Rational(3, 4))),
        note="Coefficient of N^(-1/2), 0.3416: at N = 100 the cumulant is still 0.306, not 0.271.",
    )


def _errata(d: Derivation) -> None:
    d.section("Errata of the talk")
    f = cw.free_energy().expr
    saddle = {h: cw.field_at()}
    d.step(
        "1: without i = j, H is higher by J/2",
        sp.log(_boltzmann_sum(3)) - sp.log(_boltzmann_sum(3, diagonal=False)),
        beta * J / 2,
        note="ln Z of three spins with the sum over all i, j, less ln Z with i != j only.",
    )
    d.refute(
        "2: printed m = dF/db",
        sp.diff(N * f, h).subs(saddle),
        m,
        note="F = N f at the saddle: the sign is wrong, and 1/N is missing.",
        ranges=_INSIDE,
    )
    b = cw.field_at()
    d.refute(
        "3: printed m = b tanh((K/b) m + b/T)",
        m,
        b * sp.tanh(beta * J * m / b + beta * b),
        note="The prefactor is the magnetic moment, 1 here, and not the field b.",
        ranges=_INSIDE,
    )
    k = sp.sqrt(beta * J)
    d.step(
        "4: sqrt(J/T) belongs to y = K m",
        (k * sp.tanh(k * (k * m) + beta * h)).subs(saddle),
        k * m,
        note="With K = sqrt(J/T), y = K m obeys y = K tanh(K y + b/T).",
        ranges=_INSIDE,
    )
    d.refute(
        "4: printed K = sqrt(J/T) in m = tanh(K m + b/T)",
        sp.tanh(k * m + beta * h).subs(saddle),
        m,
        note="In the equation for m, K = J/T.",
        ranges=_INSIDE,
    )
    right = cw.partition_function(6).subs(h, 0)
    flipped = cw.partition_function(6).subs({beta: -beta, h: 0}, simultaneous=True)
    d.refute(
        "9: printed Z = sum exp(-(beta/2N) sum W s s), one layer",
        flipped,
        right,
        note="H has a minus sign, so the weight has a plus; no gauge removes it in one layer.",
    )
    d.step(
        "9: ln Z of six spins at beta J = 1, right sign and printed sign",
        [
            _R(round(1000 * sp.N(sp.log(z.subs({beta: 1, J: 1})), 20)), 1000)
            for z in (right, flipped)
        ],
        [_R("4.994"), _R("3.801")],
        note="To three digits.",
    )


def _errata_of_scales(d: Derivation) -> None:
    """Item 4's amplitude, and item 5."""
    printed = sp.series(3 * (K - 1) / K**3, K, 1, 3).removeO()
    series = cw.magnetization_series(2, "K")
    d.step(
        "4: amplitude of the printed m^2 = 3 (K-1)/K^3",
        sp.diff(printed, K).subs(K, 1),
        sp.diff(series, K).subs(K, 1),
        note="The factor of K - 1 at K = 1: right at leading order, with K = J/T.",
    )
    d.refute(
        "4: its next order in K - 1",
        sp.diff(printed, K, 2).subs(K, 1) / 2,
        sp.diff(series, K, 2).subs(K, 1) / 2,
        note="Printed -9, true -27/5.",
    )
    d.refute(
        "4: its amplitude of m^2 if K = sqrt(J/T)",
        sp.diff(printed, K).subs(K, 1),
        sp.diff(series.subs(K, K**2), K).subs(K, 1),
        note="The amplitude of m would be 6^(1/2), not 3^(1/2).",
    )
    amplitude = cw.exponents().amplitudes
    # N <s_i s_j>_c = T chi - (1 - m^2): the self term s_i^2 is not a correlation.
    connected = cw.susceptibility() / beta - (1 - m**2)
    pair = sp.cancel(connected.subs(m, 0).subs(beta, 1 / (J * (1 + t)))) / N
    d.step(
        "5: the pair correlator above T_c is (1/N) |t|^-1",
        pair,
        1 / (N * t),
        note="N <s_i s_j>_c = T chi - (1 - m^2), at m = 0, to leading order in N.",
    )
    d.refute(
        "5: printed 1/(T_c |t|) on both sides of T_c",
        amplitude["susceptibility_below"],
        amplitude["susceptibility_above"],
        note="This is chi above T_c; below, it is half as large.",
    )
    d.refute(
        "5: printed <s_i,s_j> = (b^2/T_c) |t|^-1, b read as the moment, 1",
        pair,
        cw.susceptibility_above(),
        note="Left the pair correlator; its sum over j, times beta, gives chi, the right side.",
        ranges={N: (2, 50)},
    )
    d.refute(
        "5: the same, b read as the field",
        pair,
        h**2 / (J * t),
        note="It would vanish at b = 0.",
        ranges={N: (2, 50)},
    )
    square = cw.magnetization_series(2)
    below = connected.subs(m, sp.sqrt(square)).subs(beta, 1 / (J * (1 - tau)))
    d.step(
        "5: tau N <s_i s_j>_c below T_c, tau -> 0: half that above",
        sp.limit(sp.cancel(tau * below), tau, 0),
        sp.Rational(1, 2),
        note="N <s_i s_j>_c = (1-m^2)(1-D)/D, D = 1 - K (1-m^2), tends to 1/(2 tau).",
    )
