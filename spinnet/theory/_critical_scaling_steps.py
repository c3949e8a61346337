"""The steps of `critical_scaling.derivation`, section by section.

Each left-hand side is computed from the model or from the weight; each right-hand side is the
statement as the literature prints it.
"""

from __future__ import annotations

import sympy as sp

from spinnet.theory import critical_scaling as cs
from spinnet.theory import curie_weiss as cw
from spinnet.theory.algebra import Derivation, SpinEntropy
from spinnet.theory.critical_scaling import delta, r, x, y

_R = sp.Rational
_NEAR = {r: (-3, 3)}
_QUARTER = sp.gamma(_R(1, 4))


def build() -> Derivation:
    """Return the whole derivation, every step checked."""
    d = Derivation(
        "Finite-size scaling at the mean-field critical point",
        "Ellis and Newman, Z. Wahrscheinlichkeitstheorie 44 (1978) 117; Oprisa and Toth, "
        "arXiv:1702.08039",
    )
    for part in (
        _density,
        _moments,
        _at_the_critical_point,
        _corrections,
        _one_function,
        _maxima,
        _exponents,
        _how_it_fails,
    ):
        part(d)
    return d


def _density(d: Derivation) -> None:
    d.section("From the exact density to the weight")
    size = sp.Symbol("N", positive=True)
    m, K, field = cw.m, cw.K, sp.Symbol("b", real=True)  # b = beta h
    exponent = -cw.beta * cw.gibbs_free_energy().expr
    d.step(
        "Exponent of the Gibbs density",
        exponent.subs({cw.J: K / cw.beta, cw.h: field / cw.beta}),
        K * m**2 / 2 + field * m + SpinEntropy(m),
        note="P(m) is exp of N times this, times Stirling's prefactor (1 - m^2)^(-1/2).",
        ranges={m: (-0.9, 0.9)},
    )
    d.step(
        "Scaling variables: each term is of order one",
        (size * (1 - K) * m**2 / 2 - size * field * m + size * m**4 / 12).subs(
            {K: 1 - r / sp.sqrt(size), m: x / size ** _R(1, 4), field: y / size ** _R(3, 4)}
        ),
        r * x**2 / 2 - y * x + x**4 / 12,
        note="r = N^(1/2) (1 - J/T), y = beta h N^(3/4), x = m N^(1/4).",
    )
    weight, correction = cs.log_weight()
    d.step("ln P(x), N large", weight, -r * x**2 / 2 - x**4 / 12 + y * x)
    d.step(
        "Its N^(-1/2) term",
        correction,
        x**2 / 2 - x**6 / 30,
        note="The same for every r and y: x^2/2 is Stirling's prefactor, x^6/30 the entropy.",
    )
    other, field_correction = cs.field_log_weight()
    d.step(
        "The Hubbard-Stratonovich field has the same limit",
        other,
        -r * x**2 / 2 - x**4 / 12 + y * x,
        note="From -N beta f(m), the integrand of Z.",
    )
    d.step(
        "The N^(-1/2) term of the field is another",
        field_correction,
        r**2 * x**2 / 2 + r * x**4 / 3 + x**6 / 45 - y * (r * x + x**3 / 3),
    )
    d.refute(
        "The two densities agree at order N^(-1/2)",
        field_correction,
        correction,
        note="The field is m plus noise of variance T/(J N): its moments are not those of m.",
    )


def _average(expr: sp.Expr) -> sp.Expr:
    """Return the average of a polynomial in x, even at y = 0, in closed form."""
    return sum(c * cs.moment(k) for (k,), c in sp.Poly(expr, x).terms())


def _moments(d: Derivation) -> None:
    d.section("Moments")
    weight = sp.exp(cs.log_weight()[0])
    k = sp.Symbol("k", integer=True, positive=True)
    d.step(
        "Integration by parts",
        sp.diff(x ** (k + 1) * weight, x) / weight,
        (k + 1) * x**k - r * x ** (k + 2) - x ** (k + 4) / 3 + y * x ** (k + 1),
        note="The left side integrates to 0: <x^(k+4)> = 3 (k+1) <x^k> - 3 r <x^(k+2)> + 3 y "
        "<x^(k+1)>.",
        ranges={x: (0.1, 3)},
    )
    d.step(
        "Moments at y = 0, as confluent hypergeometric functions: k = 0, 1, 2, 4",
        [_series(cs.half_moment(j)) for j in (0, 1, 2, 4)],
        [_expanded(j) for j in (0, 1, 2, 4)],
        note="The first six terms in r, against exp(-r x^2/2) expanded under the integral.",
    )
    d.step(
        "The closed forms obey the recursion: k = 1",
        cs.half_moment(5),
        6 * cs.half_moment(1) - 3 * r * cs.half_moment(3),
        ranges=_NEAR,
    )
    d.step(
        "Derivative by r brings down x^2: k = 0, 1, 2",
        [sp.diff(cs.half_moment(j), r) for j in (0, 1, 2)],
        [-cs.half_moment(j + 2) / 2 for j in (0, 1, 2)],
        ranges=_NEAR,
    )
    modified = sp.sqrt(3 * r / 2) * sp.exp(3 * r**2 / 8)
    modified *= sp.besselk(_R(1, 4), 3 * r**2 / 8)
    d.step(
        "Z_0 is a Bessel function above T_c",
        2 * cs.half_moment(0),
        modified,
        ranges={r: (0.1, 3)},
    )


def _series(expr: sp.Expr) -> sp.Expr:
    """Return the Taylor polynomial in r to r^5 of the closed form."""
    return sum(sp.diff(expr, r, j).subs(r, 0) * r**j / sp.factorial(j) for j in range(6))


def _expanded(k: int) -> sp.Expr:
    """Return the same from the integrals of x^(k + 2 j) exp(-x^4/12) over the half line."""
    t = sp.Symbol("t", positive=True)
    quartic = sp.exp(-(t**4) / 12)
    return sum(
        (-r / 2) ** j / sp.factorial(j) * sp.integrate(t ** (k + 2 * j) * quartic, (t, 0, sp.oo))
        for j in range(6)
    )


def _at_tc(expr: sp.Expr) -> sp.Expr:
    """Put r = 0, where a hypergeometric function is 1."""
    at = expr.subs(r, 0).replace(lambda e: isinstance(e, sp.hyper), sp.hyperexpand)
    return sp.gammasimp(at)


def _zero_field(name: str) -> sp.Expr:
    return _at_tc(cs.observable(name).in_zero_field())


def _at_the_critical_point(d: Derivation) -> None:
    d.section("At the critical point")
    three = sp.gamma(_R(3, 4)) / _QUARTER
    for title, name, value in (
        ("N^(1/4) <|m|>", "abs_m", 12 ** _R(1, 4) * sp.sqrt(sp.pi) / _QUARTER),
        ("N^(1/2) <m^2> = N^(-1/2) T chi", "m2", sp.sqrt(12) * three),
        ("N <m^4>", "m4", sp.Integer(3)),
        ("<m^2>/<|m|>^2", "ratio", sp.sqrt(2)),
        ("<m^4>/<m^2>^2", "kurtosis", _QUARTER**4 / (8 * sp.pi**2)),
        ("Binder cumulant", "binder", 1 - _QUARTER**4 / (24 * sp.pi**2)),
        ("Specific heat", "specific_heat", _R(3, 4) - 3 * three**2),
        (
            "N^(-1/2) T chi of |m|",
            "susceptibility_abs",
            sp.sqrt(12) * three * (1 - 1 / sp.sqrt(2)),
        ),
        ("Z/2^N N^(-1/4)", "partition_function", 3 ** _R(1, 4) * _QUARTER / (2 * sp.sqrt(sp.pi))),
    ):
        d.step(title, _zero_field(name), value)
    k = sp.Symbol("k", integer=True, nonnegative=True)
    t = sp.Symbol("t", positive=True)
    d.step(
        "Moments <|x|^k>, every k",
        sp.integrate(t**k * sp.exp(-(t**4) / 12), (t, 0, sp.oo))
        / sp.integrate(sp.exp(-(t**4) / 12), (t, 0, sp.oo)),
        12 ** (k / 4) * sp.gamma((k + 1) / 4) / _QUARTER,
    )


def _corrections(d: Derivation) -> None:
    d.section("Corrections of order N^(-1/2) at the critical point")
    three = sp.gamma(_R(3, 4)) / _QUARTER
    second = sp.sqrt(12) * three
    for title, name, value in (
        (
            "of N^(1/4) <|m|>: -0.0352",
            "abs_m",
            12 ** _R(3, 4) / (10 * _QUARTER)
            - 12 ** _R(1, 4) * sp.sqrt(sp.pi) / _QUARTER * second / 5,
        ),
        ("of N^(1/2) <m^2>: -0.2742", "m2", -(second**2) / 5),
        ("of the Binder cumulant: +0.3416", "binder", 2 / (5 * second)),
        ("of Z/2^N: one fifth of <x^2>", "partition_function", None),
    ):
        found = _at_tc(cs.correction_in_zero_field(name))
        expected = value if value is not None else _zero_field(name) * second / 5
        d.step(title, found, expected)
    d.step(
        "The same correction of Z from the field",
        _at_tc(_average(cs.field_log_weight()[1].subs({r: 0, y: 0}))),
        _at_tc(_average(cs.log_weight()[1])),
        note="Two densities, one integral: <x^6>/45 = <x^2>/2 - <x^6>/30.",
    )
    d.step(
        "They are those of the Curie-Weiss sums",
        [_at_tc(cs.correction_in_zero_field(name)) for name in ("m4", "specific_heat")],
        [cw.finite_size_constants()[name].correction for name in ("m4", "specific_heat")],
    )


def _one_function(d: Derivation) -> None:
    d.section("Zero field: one function q(r) = <x^2>")
    q, heat = cs.moment(2), cs.observable("specific_heat").in_zero_field()
    d.step("<x^4>", cs.moment(4), 3 - 3 * r * q, ranges=_NEAR)
    mean = cs.mean_x2
    place = {cs.mean_x4: 3 - 3 * r * mean, cs.mean_x: 0, cs.mean_x3: 0, y: 0}
    d.step(
        "Specific heat",
        cs.observable("specific_heat").leading.subs(place),
        (3 - 3 * r * mean - mean**2) / 4,
        note="var(x^2)/4.",
    )
    d.step(
        "Binder cumulant",
        cs.observable("binder").leading.subs(place),
        1 - (1 - r * mean) / mean**2,
        ranges={mean: (0.1, 3)},
    )
    equation = cs.variance_equation()
    unknown = sp.Function("q")(r)
    d.step(
        "q obeys an equation of Riccati",
        sp.diff(q, r),
        equation.rhs.subs(unknown, q),
        note="q' = -(3 - 3 r q - q^2)/2 = -2 c.",
        ranges=_NEAR,
    )
    d.step(
        "Slope of the specific heat",
        sp.diff(heat, r),
        (r + 2 * q / 3) * _R(3, 2) * heat - 3 * q / 4,
        note="At the maximum c = 3 q/(6 r + 4 q).",
        ranges=_NEAR,
    )
    far = sp.Symbol("a", positive=True)
    above = 1 / far - 1 / far**3  # q at r = a, solving the equation order by order
    below = 3 * far - 1 / far  # q at r = -a
    for title, place, guess, limit in (
        ("above T_c: T chi = 1/(1 - K), c = 0", far, above, 0),
        ("below T_c: m^2 = 3 tau, c = 3/2", -far, below, _R(3, 2)),
    ):
        c = (3 - 3 * place * guess - guess**2) / 4
        residual = sp.diff(guess, far) * (1 if place == far else -1) + 2 * c
        d.step(
            f"Far {title}: the equation of q holds to two orders",
            sp.limit(far**2 * residual if limit == 0 else residual, far, sp.oo),
            0,
        )
        d.step(f"Far {title}: limit of c", sp.limit(c, far, sp.oo), limit)


# r and value of 2.7, as they are printed; each is checked to all its digits
_PRINTED = {
    "specific_heat": ("-2.2568473920", "1.6572974585"),
    "susceptibility_abs": ("-1.2449799295", "0.5149305717"),
}


def _maxima(d: Derivation) -> None:
    d.section("Maxima over temperature")
    titles = {"specific_heat": "c", "susceptibility_abs": "chi of |m|"}
    for name, (place, height) in _PRINTED.items():
        closed = cs.observable(name).in_zero_field()
        slope, last = sp.diff(closed, r), sp.Rational(1, 2 * 10**10)
        d.step(
            f"{titles[name]} is largest at r = {place}",
            [sp.sign(slope.subs(r, sp.Rational(place) + s * last)) for s in (-1, 1)],
            [1, -1],
            note="Its slope changes sign within half a unit of the last digit.",
        )
        d.step(
            f"The largest {titles[name]} is {height}",
            sp.Rational(round(10**10 * cs.maximum(name).value), 10**10),
            sp.Rational(height),
            note="To ten digits, from the closed form at the root of its slope.",
        )
    d.refute(
        "The largest c is the jump 3/2 of the infinite system",
        cs.observable("specific_heat").in_zero_field().subs(r, _R("-2.2568473920")),
        _R(3, 2),
        note="It is 10 % larger at every N, and the peak sits below T_c by 2.26 N^(-1/2).",
    )


def _exponents(d: Derivation) -> None:
    d.section("Exponents in N")
    table, rows = cw.exponents(), cs.observables()
    nu = table["nu_bar"]
    d.step("beta/nu_bar, from |m|", -rows["abs_m"].scaling, table["beta"] / nu)
    d.step("gamma/nu_bar, from chi", rows["susceptibility"].scaling, table["gamma"] / nu)
    d.step("alpha/nu_bar, from c", rows["specific_heat"].scaling, table["alpha"] / nu)
    size, K = sp.symbols("N K", positive=True)
    d.step(
        "1/nu_bar, from the power of N in r",
        size * sp.diff(sp.log(sp.sqrt(size) * (1 - K)), size),
        1 / nu,
    )
    d.step(
        "beta delta/nu_bar, from the power of N in y",
        size * sp.diff(sp.log(K * size ** _R(3, 4)), size),
        table["beta"] * table["delta"] / nu,
    )
    q = cs.moment(2)
    binder = cs.observable("binder").in_zero_field()
    at_tc = _at_tc(q)
    d.step(
        "Slope of the Binder cumulant in K at T_c, over N^(1/2)",
        -_at_tc(sp.diff(binder, r)),
        3 / at_tc**3 - 2 / at_tc,
        note="dU/dK = N^(1/2) times this: U = 1 - (1 - r q)/q^2 and q' = -(3 - q^2)/2 at r = 0.",
    )


def _how_it_fails(d: Derivation) -> None:
    d.section("Checks that must fail")
    q = cs.moment(2)
    d.refute(
        "Weight with x^4/4: the Landau quartic without its 1/3",
        sp.sqrt(4) * sp.gamma(_R(3, 4)) / _QUARTER,
        _at_tc(q),
        note="ln cosh x = x^2/2 - x^4/12: with 1/4 every amplitude is off by 3^(1/2) or its root.",
    )
    d.refute(
        "r with the other sign",
        q.subs(r, 1),
        q.subs(r, -1),
        note="r > 0 is the paramagnet.",
    )
    d.refute(
        "Specific heat var(x^2)/2",
        _at_tc(cs.moment(4) - q**2) / 2,
        cw.finite_size_constants()["specific_heat"].leading,
        note="The energy is -J m^2/2 per spin: a quarter.",
    )
    d.step(
        "K^2 in front of var(m^2) adds -2 r c to the correction of c",
        sp.diff(cs.observable("specific_heat").expr, delta).subs({delta: 0, y: 0}),
        -2 * r * (cs.mean_x4 - cs.mean_x2**2) / 4,
    )
