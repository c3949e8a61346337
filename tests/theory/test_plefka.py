"""Plefka's expansion against the Legendre transform solved in numbers, and TAP against SK."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp

from spinnet.errors import InputError
from spinnet.theory import plefka
from spinnet.theory.checking import DerivationError


def gibbs(beta, J, m):
    """Return -beta G(m) by Newton's method on the fields, without any expansion."""
    n = len(m)
    states = list(itertools.product((1, -1), repeat=n))

    def weights(fields):
        return [
            mpmath.exp(
                beta * sum(x * s[i] * s[j] for (i, j), x in J.items())
                + sum(f * (a - b) for f, a, b in zip(fields, s, m, strict=True))
            )
            for s in states
        ]

    def gap(*fields):
        p = weights(fields)
        total = sum(p)
        return [
            sum(w * s[i] for w, s in zip(p, states, strict=True)) / total - m[i] for i in range(n)
        ]

    fields = mpmath.findroot(gap, [mpmath.atanh(x) for x in m], tol=1e-70)
    return mpmath.log(sum(weights(list(fields))))


@pytest.mark.parametrize("n", [2, 3])
def test_expansion_is_the_series_of_the_exact_legendre_transform(n):
    order = 5 if n == 2 else 4
    with mpmath.workdps(45):
        m = [mpmath.mpf(x) / 10 for x in (3, -6, 5)[:n]]
        pairs = list(itertools.combinations(range(n), 2))
        J = {p: mpmath.mpf(x) / 10 for p, x in zip(pairs, (9, -4, 7), strict=False)}
        # polynomial through 15 values: its error is below (k/40)^15 of the series, 1e-12
        points = [mpmath.mpf(k) / 40 for k in range(-7, 8)]
        matrix = mpmath.matrix([[b**k for k in range(15)] for b in points])
        exact = mpmath.lu_solve(matrix, mpmath.matrix([gibbs(b, J, m) for b in points]))
        values = {str(s): x for s, x in zip(plefka.magnetizations(n), m, strict=True)}
        values |= {f"J_{i + 1}_{j + 1}": x for (i, j), x in J.items()}
        for k, term in enumerate(plefka.expansion(n, order)):
            ours = term.evalf(30, subs={s: values[s.name] for s in term.free_symbols})
            assert float(ours) == pytest.approx(float(exact[k]), rel=1e-9, abs=1e-12), k


def test_coefficients_beyond_the_second_are_those_of_georges_and_yedidia():
    m_1, m_2 = plefka.magnetizations(2)
    J = plefka.couplings(2)[0, 1]
    u, v = 1 - m_1**2, 1 - m_2**2
    third = sp.Rational(2, 3) * J**3 * m_1 * m_2 * u * v
    fourth = -(J**4) * u * v * (1 + 3 * m_1**2 + 3 * m_2**2 - 15 * m_1**2 * m_2**2) / 12
    terms = plefka.expansion(2, 4)
    assert sp.expand(terms[3] - third) == sp.expand(terms[4] - fourth) == 0


def test_zero_couplings_and_one_spin_leave_the_entropy():
    assert plefka.expansion(1, 3)[1:] == (0, 0, 0)
    term = plefka.expansion(3, 3)
    free = dict.fromkeys([s for t in term[1:] for s in t.free_symbols if s.name[0] == "J"], 0)
    assert all(t.subs(free) == 0 for t in term[1:])


def enumerated(J, h, beta):
    n = len(h)
    states = np.array(list(itertools.product((1, -1), repeat=n)))
    logs = beta * (np.einsum("si,ij,sj->s", states, J, states) / 2 + states @ h)
    weights = np.exp(logs - logs.max())
    return -(logs.max() + np.log(weights.sum())) / (beta * n), weights @ states / weights.sum()


def solved(order, J, h, beta):
    """Return F and m of the expansion cut after beta^order, by damped iteration."""
    num = plefka.free_energy(3, order).compile()
    names = {f"J_{i + 1}_{j + 1}": J[i, j] for i, j in itertools.combinations(range(3), 2)}
    m = np.tanh(beta * h)
    for _ in range(400):
        slope = 3 * beta * num.gradient(m, beta=beta, h=h, **names) - np.arctanh(m)
        m = 0.5 * m + 0.5 * np.tanh(-slope)
    return float(num.value(m, beta=beta, h=h, **names)), m


def test_each_order_gains_a_power_of_beta_on_enumeration():
    J = np.array([[0, 0.9, -0.4], [0.9, 0, 0.7], [-0.4, 0.7, 0]])
    h = np.array([0.3, -0.2, 0.5])
    for order in (1, 2, 3):
        errors = []
        for beta in (0.1, 0.2):
            exact, means = enumerated(J, h / beta, beta)  # beta h stays: m stays of order one
            value, m = solved(order, J, h / beta, beta)
            errors.append((beta * abs(value - exact), np.abs(m - means).max()))
        # beta F misses by beta^(order + 1), to 40 % at these beta; a wrong last term loses one
        ratio = np.divide(errors[1], errors[0])
        np.testing.assert_allclose(np.log2(ratio), order + 1, atol=0.5)


def test_tap_is_the_tanh_of_its_field_and_the_hessian_its_derivative():
    J = np.array([[0, 0.9, -0.4], [0.9, 0, 0.7], [-0.4, 0.7, 0]])
    h, beta = np.array([0.3, -0.2, 0.5]), 0.7
    _, m = solved(2, J, h, beta)
    square = J**2
    field = h + J @ m - beta * m * (square @ (1 - m**2))
    np.testing.assert_allclose(m, np.tanh(beta * field), atol=1e-12)
    values = {plefka.beta: beta} | dict(zip(plefka.magnetizations(3), m, strict=True))
    values |= {plefka.couplings(3)[i, j]: J[i, j] for i, j in ((0, 1), (0, 2), (1, 2))}
    values |= dict(zip(plefka.fields(3), h, strict=True))
    ours = np.array(plefka.tap_field(3).subs(values).tolist(), float).ravel()
    np.testing.assert_allclose(ours, field, rtol=1e-12)
    hessian = np.array(plefka.hessian(3).subs(values).tolist(), float)
    diagonal = np.diag(1 / (1 - m**2) + beta**2 * square @ (1 - m**2))
    expected = diagonal - beta * J - 2 * beta**2 * square * np.outer(m, m)
    np.testing.assert_allclose(hessian, expected, rtol=1e-12)
    response = np.linalg.inv(hessian) * beta  # dm/dh, against a difference of two solutions
    for j in range(3):
        step = 1e-5 * np.eye(3)[j]
        moved = (solved(2, J, h + step, beta)[1] - solved(2, J, h - step, beta)[1]) / 2e-5
        np.testing.assert_allclose(response[:, j], moved, atol=1e-9)


def test_equations_come_in_the_order_of_the_spins():
    equations = plefka.free_energy(3).self_consistency()
    assert [eq.lhs for eq in equations] == list(plefka.magnetizations(3))
    for equation, field in zip(equations, plefka.tap_field(3), strict=True):
        assert sp.expand(equation.rhs.args[0] - plefka.beta * field) == 0


def test_compiled_free_energy_needs_every_coupling():
    num = plefka.free_energy(2).compile()
    with pytest.raises(InputError, match="missing parameter 'J_1_2'"):
        num.value([0.1, 0.2], beta=1.0, h=np.zeros(2))
    for bad in (lambda: plefka.expansion(0, 1), lambda: plefka.expansion(2, -1)):
        with pytest.raises(InputError, match="must be an integer"):
            bad()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_wrong_coefficient_does_not_pass_the_derivation(monkeypatch, k):
    from spinnet.theory import _plefka_steps

    right = plefka.expansion

    def wrong(n, order):
        terms = list(right(n, order))
        if order >= k:
            terms[k] *= sp.Rational(9, 10)
        return tuple(terms)

    monkeypatch.setattr(plefka, "expansion", wrong)
    with pytest.raises(DerivationError, match=f"step 'Order {k}"):
        _plefka_steps.build()
