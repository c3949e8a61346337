"""The steps of `plefka.derivation`, section by section.

The expansion comes from `plefka.expansion`, which works in multilinear polynomials; it is checked
against the Legendre transform made of explicit sums over states, and against textbook forms.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import sympy as sp

from spinnet.theory import plefka
from spinnet.theory.algebra import Derivation, SpinEntropy, gaussian_average
from spinnet.theory.plefka import beta

_R = sp.Rational


def build() -> Derivation:
    """Return the whole derivation, every step checked."""
    d = Derivation(
        "TAP by Plefka's expansion",
        "Plefka, J. Phys. A 15 (1982) 1971; Georges and Yedidia, J. Phys. A 24 (1991) 2173",
    )
    for part in (_legendre, _expansion, _two_spins, _tap, _onsager, _sk, _how_it_fails):
        part(d)
    return d


def _inside(n: int) -> dict[sp.Symbol, tuple[float, float]]:
    return dict.fromkeys(plefka.magnetizations(n), (-0.9, 0.9))


def _pairs(n: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(n), 2))


def _legendre(d: Derivation) -> None:
    d.section("Legendre transform")
    n = 2
    m, J = plefka.magnetizations(n), plefka.couplings(n)
    fields = sp.symbols("lambda_1:3", real=True)
    states = list(itertools.product((1, -1), repeat=n))
    weights = [
        sp.exp(beta * J[0, 1] * s[0] * s[1] + sum(a * b for a, b in zip(fields, s, strict=True)))
        for s in states
    ]
    total = sum(weights)
    gibbs = sp.log(total) - sum(a * b for a, b in zip(fields, m, strict=True))
    means = [sum(w * s[i] for w, s in zip(weights, states, strict=True)) / total for i in (0, 1)]
    d.step(
        "Stationary in lambda where the means are m",
        [sp.diff(gibbs, a) for a in fields],
        [mean - x for mean, x in zip(means, m, strict=True)],
        note="d/d lambda of ln sum_s exp(beta J s_1 s_2 + lambda (s - m)) is the mean less m; the "
        "function is convex in lambda, and the zero its minimum.",
    )
    d.step(
        "Slope in beta at fixed m",
        sp.diff(gibbs, beta),
        sum(w * J[0, 1] * s[0] * s[1] for w, s in zip(weights, states, strict=True)) / total,
        note="<-H_0>, the mean of J s_1 s_2: stationarity removes the change of lambda with beta.",
    )
    x = sp.Symbol("m", real=True)
    d.step(
        "Order 0: the entropy s(m) of independent spins",
        (sp.log(2 * sp.cosh(sp.atanh(x))) - sp.atanh(x) * x),
        SpinEntropy(x),
        note="At beta = 0, lambda = artanh m.",
        ranges={x: (-0.9, 0.9)},
    )


@lru_cache(maxsize=4)
def _by_states(n: int, top: int) -> list[sp.Expr]:
    """Return the coefficients of beta^1..beta^top of the Legendre transform, by sums over states.

    Conditions on <1> and <s_i>, order by order, in the field of rational functions of m and J.
    """
    m, J = plefka.magnetizations(n), plefka.couplings(n)
    field = sp.QQ.frac_field(*m, *(J[p] for p in _pairs(n)))
    means = [field.from_sympy(x) for x in m]
    states = list(itertools.product((1, -1), repeat=n))
    one = field.one
    prior, energies = [], []
    for s in states:
        weight, energy = one, field.zero
        for i in range(n):
            weight *= (one + means[i] * s[i]) / 2
        for i, j in _pairs(n):
            energy += field.from_sympy(J[i, j]) * s[i] * s[j]
        prior.append(weight)
        energies.append(energy)

    def average(values: list[sp.Expr]) -> sp.Expr:
        return sum((w * v for w, v in zip(prior, values, strict=True)), field.zero)

    factors, exponents, terms = [[one] * len(states)], [[field.zero] * len(states)], []
    for k in range(1, top + 1):
        products = [e * f for e, f in zip(energies, factors[k - 1], strict=True)]
        terms.append(average(products) / k)
        rest = [
            sum(
                (exponents[j][a] * factors[k - j][a] * j for j in range(1, k)),
                field.zero,
            )
            / k
            for a in range(len(states))
        ]
        own = energies if k == 1 else [field.zero] * len(states)
        given = [r + e for r, e in zip(rest, own, strict=True)]
        # fields of order k hold the means, a constant holds the normalisation
        mu = [
            -average([g * (s[i] - means[i]) for g, s in zip(given, states, strict=True)])
            / (one - means[i] ** 2)
            for i in range(n)
        ]
        shift = -average(given)
        exponents.append(
            [
                e + shift + sum((mu[i] * (s[i] - means[i]) for i in range(n)), field.zero)
                for e, s in zip(own, states, strict=True)
            ]
        )
        factors.append([r + e for r, e in zip(rest, exponents[k], strict=True)])
    return [field.to_sympy(term) for term in terms]


def _variance(n: int) -> list[sp.Expr]:
    return [1 - x**2 for x in plefka.magnetizations(n)]


def _textbook(n: int) -> list[sp.Expr]:
    """Return orders 1 to 3 as printed by Georges and Yedidia."""
    m, J, v = plefka.magnetizations(n), plefka.couplings(n), _variance(n)
    first = sum(J[i, j] * m[i] * m[j] for i, j in _pairs(n))
    second = sum(J[i, j] ** 2 * v[i] * v[j] for i, j in _pairs(n)) / 2
    third = sum(2 * J[i, j] ** 3 * m[i] * v[i] * m[j] * v[j] for i, j in _pairs(n)) / 3
    for i, j, k in itertools.combinations(range(n), 3):
        third += J[i, j] * J[j, k] * J[i, k] * v[i] * v[j] * v[k]
    return [first, second, third]


def _expansion(d: Derivation) -> None:
    d.section("Expansion in beta")
    titles = ("naive mean field", "the Onsager term", "the next correction")
    notes = (
        "",
        "beta^2/2 times the sum over pairs of J^2 (1-m_i^2)(1-m_j^2).",
        "Pairs, 2/3 J^3 m_i (1-m_i^2) m_j (1-m_j^2), and the triangle J J J (1-m^2)^3.",
    )
    exact = _by_states(3, 3)
    for k, (title, note, printed) in enumerate(
        zip(titles, notes, _textbook(3), strict=True), start=1
    ):
        d.step(f"Order {k}: {title}", plefka.expansion(3, 3)[k], printed, note=note)
        d.step(
            f"Order {k} from the sum over the states of three spins",
            exact[k - 1],
            printed,
            note="The exact Legendre transform, its fields solved for order by order.",
        )
    J = plefka.couplings(2)[0, 1]
    (a, b), (u, v) = plefka.magnetizations(2), _variance(2)
    fourth = -(J**4) / 12 * u * v * (1 + 3 * a**2 + 3 * b**2 - 15 * a**2 * b**2)
    d.step("Order 4 of one pair", plefka.expansion(2, 4)[4], fourth)
    d.step("Order 4 of one pair from its states", _by_states(2, 4)[3], fourth)


def _two_spins(d: Derivation) -> None:
    d.section("Two spins, exactly")
    m_1, m_2 = plefka.magnetizations(2)
    J, q = plefka.couplings(2)[0, 1], sp.Symbol("q", real=True)
    f_1, f_2 = sp.symbols("lambda_1 lambda_2", real=True)
    weight = {
        (s, t): sp.exp(beta * J * s * t + f_1 * s + f_2 * t) for s in (1, -1) for t in (1, -1)
    }
    d.step(
        "Odds ratio",
        weight[1, 1] * weight[-1, -1] / (weight[1, -1] * weight[-1, 1]),
        sp.exp(4 * beta * J),
        note="Free of the fields lambda.",
    )
    chance = {(s, t): (1 + s * m_1 + t * m_2 + s * t * q) / 4 for s in (1, -1) for t in (1, -1)}
    odds = chance[1, 1] * chance[-1, -1], chance[1, -1] * chance[-1, 1]
    d.step(
        "Its numerator and denominator from the means and q = <s_1 s_2>, times 16",
        [16 * part for part in odds],
        [(1 + q) ** 2 - (m_1 + m_2) ** 2, (1 - q) ** 2 - (m_1 - m_2) ** 2],
    )
    top = 3
    terms = plefka.expansion(2, top + 1)
    series = sum(k * terms[k] * beta ** (k - 1) for k in range(1, top + 2)) / J
    growth = sum((4 * beta * J) ** k / sp.factorial(k) for k in range(top + 1))
    equation = sp.expand((odds[0] - growth * odds[1]).subs(q, series))
    d.step(
        "The expansion solves numerator = exp(4 beta J) denominator to third order",
        [equation.coeff(beta, k) for k in range(top + 1)],
        [0] * (top + 1),
        note="With q = (1/J) d(-beta G)/d beta: beta^0 .. beta^3 of the difference.",
    )


def _tap(d: Derivation) -> None:
    d.section("TAP: free energy, equations, stability")
    n = 3
    m, h, J, v = (
        plefka.magnetizations(n),
        plefka.fields(n),
        plefka.couplings(n),
        _variance(n),
    )
    squares = J.applyfunc(lambda x: x**2)
    free = plefka.free_energy(n)
    column = sp.Matrix(v)
    printed = (
        sum(SpinEntropy(x) for x in m)
        + beta * (m.T * J * m)[0] / 2
        + beta * (h.T * m)[0]
        + beta**2 * (column.T * squares * column)[0] / 4
    )
    d.step("-beta N F", -beta * n * free.expr, printed, ranges=_inside(n))
    field = h + J * m - beta * sp.diag(*m) * squares * column
    d.step("Local field of TAP", plefka.tap_field(n), field)
    d.step(
        "F is stationary at m = tanh(beta field)",
        sp.Matrix([beta * n * sp.diff(free.expr, x) for x in m]),
        sp.Matrix([sp.atanh(x) - beta * f for x, f in zip(m, field, strict=True)]),
        ranges=_inside(n),
    )
    equations = plefka.free_energy(2).self_consistency()
    assert isinstance(equations, list)
    d.step(
        "Equations of two spins",
        [eq.rhs for eq in equations],
        [sp.tanh(beta * f) for f in plefka.tap_field(2)],
        ranges=_inside(2),
    )
    diagonal = sp.diag(*(1 / a + beta**2 * b for a, b in zip(v, squares * column, strict=True)))
    mixed = sp.Matrix(n, n, lambda i, j: 2 * beta**2 * squares[i, j] * m[i] * m[j])
    d.step(
        "Hessian of beta N F",
        plefka.hessian(n),
        diagonal - beta * J - mixed,
        note="delta_ij [1/(1-m_i^2) + beta^2 sum_k J_ik^2 (1-m_k^2)] - beta J_ij - 2 beta^2 "
        "J_ij^2 m_i m_j; a state needs it positive.",
        ranges=_inside(n),
    )


def _onsager(d: Derivation) -> None:
    d.section("What the Onsager term repairs")
    J = plefka.couplings(2)[0, 1]
    at = dict.fromkeys(plefka.magnetizations(2), 0)
    t = sp.tanh(beta * J)
    exact = sp.Matrix([[1, t], [t, 1]]).inv()
    series = exact.applyfunc(lambda e: sp.series(e, beta, 0, 3).removeO())
    d.step(
        "The Hessian of TAP at m = 0 is the inverse of the correlations, to beta^2: two spins",
        plefka.hessian(2).subs(at),
        series,
        note="Exactly <s_1 s_2> = tanh(beta J).",
    )
    naive = sp.hessian(2 * beta * plefka.free_energy(2, 1).expr, list(plefka.magnetizations(2)))
    d.refute(
        "That of the naive mean field is too",
        sp.Matrix(naive).subs(at),
        series,
        note="It lacks beta^2 J^2 on the diagonal: each spin feels its own echo.",
    )
    n, size = sp.Symbol("N", positive=True), sp.Symbol("J", positive=True)
    pair = beta**2 * plefka.expansion(2, 2)[2].subs(J, size / n)
    d.step(
        "In the Curie-Weiss model: the Onsager term of N spins, and per spin, N -> oo",
        [sp.limit(n * (n - 1) / 2 * pair.subs(at) / k, n, sp.oo) for k in (1, n)],
        [beta**2 * size**2 / 4, 0],
        note="J_ij = J/N, m = 0: of order one in all, so the naive mean field is right per spin.",
    )


def _sk(d: Derivation) -> None:
    d.section("Sherrington and Kirkpatrick: couplings of variance J^2/N")
    N, J, e = sp.symbols("N J lambda", positive=True)
    z = sp.Symbol("J_ij", real=True)
    pairs = N * (N - 1) / 2
    second = plefka.expansion(2, 2)[2].subs(dict.fromkeys(plefka.magnetizations(2), 0))
    mean = gaussian_average(second, plefka.couplings(2)[0, 1], variance=J**2 / N)
    d.step(
        "Paramagnet: ln Z/N = ln 2 + beta^2 J^2/4, N -> oo",
        sp.log(2) + sp.limit(pairs * beta**2 * mean / N, N, sp.oo),
        sp.log(2) + beta**2 * J**2 / 4,
    )
    # ln prod cosh(beta J_ij) plus loops: the mean of Z itself is a product over pairs
    annealed = gaussian_average(sp.exp(beta * z), z, variance=J**2 / N)
    d.step(
        "ln of the mean of Z agrees, without any expansion",
        sp.log(2) + sp.expand_log(sp.log(annealed), force=True) * pairs / N,
        sp.log(2) + beta**2 * J**2 / 4 * (1 - 1 / N),
    )
    three = plefka.hessian(3).subs(dict.fromkeys(plefka.magnetizations(3), 0))
    squares = plefka.couplings(3).applyfunc(lambda x: x**2)
    d.step(
        "Hessian at m = 0",
        three,
        sp.eye(3) + beta**2 * sp.diag(*(squares * sp.ones(3, 1))) - beta * plefka.couplings(3),
        note="For large N each row sum of J_ij^2 is J^2: an eigenvalue lambda of J gives "
        "1 + beta^2 J^2 - beta lambda.",
    )
    mode = 1 + beta**2 * J**2 - beta * e
    d.step(
        "Lowest mode, lambda = 2 J: never below zero",
        mode.subs(e, 2 * J),
        (1 - beta * J) ** 2,
        note="The semicircle ends at 2 J.  The mode touches zero at T = J and is positive again "
        "below: a positive Hessian alone does not exclude the paramagnet there.",
    )
    d.refute(
        "It is the lowest mode of the naive mean field",
        (1 - beta * e).subs(e, 2 * J),
        (1 - beta * J) ** 2,
        note="1 - 2 beta J vanishes at T = 2 J: the naive T_c is twice the true one.",
    )
    d.step(
        "Mean over the modes of 1/mode: <s_i^2> = 1, T > J",
        _over_semicircle(1),
        1,
        note="g = beta J.  T times the response at a site is 1 - m^2 = 1, as it must be.",
    )
    d.step(
        "Mean over the modes of 1/mode^2: the spin-glass susceptibility, T > J",
        _over_semicircle(2),
        1 / (1 - _g**2),
        note="(1/N) sum_ij <s_i s_j>^2, which diverges at T = J.  For g > 1 the pole inside is 1/g "
        "and the mean before it 1/g^2, not 1: TAP contradicts s_i^2 = 1, and Plefka's condition "
        "1 - beta^2 J^2 > 0 fails.",
    )


_g = sp.Symbol("g", positive=True)


def _over_semicircle(power: int) -> sp.Expr:
    r"""Return the mean of :math:`(1+g^2-g\lambda/J)^{-power}` over the semicircle, g < 1.

    With lambda = 2 J cos theta and z = e^{i theta} the density is -(z - 1/z)^2/4 on the unit
    circle, twice normalised; the poles inside are 0 and g.
    """
    z = sp.Symbol("z")
    integrand = -((z - 1 / z) ** 2) / (2 * z * ((1 - _g * z) * (1 - _g / z)) ** power)
    integrand = sp.together(sp.cancel(integrand))
    return sp.cancel(sum(sp.residue(integrand, z, pole) for pole in (0, _g)))


def _how_it_fails(d: Derivation) -> None:
    d.section("Checks that must fail")
    exact = _by_states(3, 3)
    second, third = _textbook(3)[1:]
    d.refute("Onsager term with the other sign", exact[1], -second)
    d.refute(
        "Onsager term with every pair counted twice",
        exact[1],
        2 * second,
        note="beta^2/4 belongs before a sum over all i and j, beta^2/2 before a sum over pairs.",
    )
    m, J, v = plefka.magnetizations(3), plefka.couplings(3), _variance(3)
    triangle = J[0, 1] * J[1, 2] * J[0, 2] * v[0] * v[1] * v[2]
    d.refute("Third order without the triangle", exact[2], third - triangle)
    d.refute("Third order with 1/3 in place of 2/3", exact[2], (third - triangle) / 2 + triangle)
    wrong = plefka.fields(3) + J * m
    d.refute(
        "Equations of TAP without the reaction",
        plefka.tap_field(3),
        wrong,
        note="That is the naive mean field.",
    )
