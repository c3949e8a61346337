"""Curie-Weiss statements against 50-digit roots, exact sums and state enumeration."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.special import gammaln, logsumexp

from spinnet.errors import InputError
from spinnet.theory import curie_weiss as cw

R = sp.Rational


def exact_moments(n, beta, h=0.0):
    """Return ln Z, <|m|>, <m>, <m^2>, <m^4> from the sum over M, J = 1."""
    up = np.arange(n + 1)
    m = (2 * up - n) / n
    log_w = gammaln(n + 1) - gammaln(up + 1) - gammaln(n - up + 1) + n * beta * (m * m / 2 + h * m)
    log_z = logsumexp(log_w)
    p = np.exp(log_w - log_z)
    return log_z, p @ abs(m), p @ m, p @ m**2, p @ m**4


def solve_small(K):
    """Return the positive root for K slightly above 1, by bisection."""
    low, high = mpmath.mpf(10) ** -6, mpmath.mpf("0.9")
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if mpmath.tanh(K * middle) > middle else (low, middle)
    return low


@pytest.mark.parametrize("n", [1, 2, 5])
def test_partition_function_is_the_sum_over_states(n):
    beta, J, h = 0.7, 1.3, -0.4
    total = sum(
        np.exp(beta * (J * sum(s) ** 2 / (2 * n) + h * sum(s)))
        for s in itertools.product((-1, 1), repeat=n)
    )
    ours = cw.partition_function(n).subs({cw.beta: beta, cw.J: J, cw.h: h})
    assert float(ours) == pytest.approx(total, rel=1e-13)


def test_the_talks_sign_of_the_weight_changes_six_spins_as_recorded():
    at = {cw.J: 1, cw.h: 0}
    right = sp.log(cw.partition_function(6).subs({**at, cw.beta: 1}))
    wrong = sp.log(cw.partition_function(6).subs({**at, cw.beta: -1}))
    assert (round(float(right), 3), round(float(wrong), 3)) == (4.994, 3.801)


def test_critical_beta_is_where_order_appears():
    beta_c = float(cw.critical_beta().subs(cw.J, R(8, 10)))
    num = cw.free_energy().compile()
    above, below = (num.hessian(0.0, beta=beta_c * f, J=0.8, h=0.0) for f in (0.999, 1.001))
    assert above > 0 > below


def test_response_formulas_agree_with_finite_differences():
    beta, J, h, step = 1.4, 0.9, 0.12, mpmath.mpf(10) ** -15

    def state(b, field):
        m = mpmath.findroot(
            lambda m: m - mpmath.tanh(b * (J * m + field)), mpmath.mpf("0.9"), tol=1e-40
        )
        return m, -J * m**2 / 2 - field * m

    with mpmath.workdps(50):
        b = mpmath.mpf(beta)
        m, _ = state(b, mpmath.mpf(h))
        chi = (state(b, h + step)[0] - state(b, h - step)[0]) / (2 * step)
        t = 1 / b
        heat = (state(1 / (t + step), h)[1] - state(1 / (t - step), h)[1]) / (2 * step)
    at = {cw.beta: beta, cw.J: J, cw.h: h, cw.m: float(m)}
    assert float(cw.susceptibility().subs(at)) == pytest.approx(float(chi), rel=1e-12)
    assert float(cw.specific_heat().subs(at)) == pytest.approx(float(heat), rel=1e-12)
    assert float(cw.energy().subs(at)) == pytest.approx(float(state(b, h)[1]), rel=1e-12)
    num = cw.free_energy().compile()
    d = 1e-6
    up, down = (num.value(float(m), beta=beta, J=J, h=h + e) for e in (d, -d))
    slope = (up - down) / (2 * d)
    assert -slope == pytest.approx(float(m), rel=1e-9)  # central difference: O(d^2) + eps/d


def test_field_at_is_the_inverse_of_the_self_consistency():
    at = {cw.beta: 1.7, cw.J: 0.6, cw.m: -0.45}
    field = float(cw.field_at().subs(at))
    assert np.tanh(1.7 * (0.6 * -0.45 + field)) == pytest.approx(-0.45, rel=1e-14)


def test_gibbs_density_lies_above_and_touches_at_stationary_points():
    f, g = cw.free_energy().compile(), cw.gibbs_free_energy().compile()
    at = {"beta": 1.6, "J": 1.0, "h": 0.05}
    m = np.linspace(-1, 1, 401)
    gap = g.value(m, **at) - f.value(m, **at)
    assert gap.min() > -1e-15
    zeros = np.abs(f.gradient(m, **at)) < 1e-3
    assert gap[zeros].max() < 1e-5 < gap[~zeros].max()
    # the inner minimum over mu, on a grid
    mu = np.linspace(-0.9999, 0.9999, 20001)
    inner = g.value(mu, **at) + (0.3 - mu) ** 2 / 2
    assert inner.min() == pytest.approx(f.value(0.3, **at), abs=1e-8)


# --- series -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("variable", "n"), [("tau", 5), ("tau", 2), ("K", 3)])
def test_magnetisation_series_is_right_to_its_order(variable, n):
    series = cw.magnetization_series(n, variable)

    def error(small):
        with mpmath.workdps(50):
            small = mpmath.mpf(small)
            K = 1 / (1 - small) if variable == "tau" else 1 + small
            at = {cw.tau: sp.Float(str(small), 50), cw.K: sp.Float(str(1 + small), 50)}
            return abs(solve_small(K) ** 2 - mpmath.mpf(str(series.subs(at).evalf(40))))

    assert float(error("0.002") / error("0.001")) == pytest.approx(2 ** (n + 1), rel=0.03)


def test_critical_isotherm_is_right_to_its_order():
    series = cw.critical_isotherm_series(7)

    def error(y):
        with mpmath.workdps(50):
            y = mpmath.mpf(y)
            m = mpmath.findroot(lambda m: mpmath.atanh(m) - m - y**3 / 3, y, tol=1e-80)
            return abs(m - mpmath.mpf(str(series.subs(cw.y, sp.Float(str(y), 45)).evalf(40))))

    assert float(error("0.04") / error("0.02")) == pytest.approx(2**9, rel=0.05)


@pytest.mark.parametrize("quantity", ["chi", "c"])
def test_series_of_responses_are_right_to_their_order(quantity):
    series = cw.susceptibility_series(2) if quantity == "chi" else cw.specific_heat_series(2)
    formula = cw.susceptibility() if quantity == "chi" else cw.specific_heat()

    def error(tau):
        with mpmath.workdps(50):
            K = 1 / (1 - mpmath.mpf(tau))
            m = solve_small(K)
            at = {cw.beta: sp.Float(str(K), 50), cw.J: 1, cw.h: 0, cw.m: sp.Float(str(m), 50)}
            exact = formula.subs(at).evalf(40)
            return abs(exact - series.subs(cw.tau, sp.Float(tau, 50)).evalf(40))

    assert float(error("0.002") / error("0.001")) == pytest.approx(2**3, rel=0.05)


def test_series_arguments_are_checked():
    with pytest.raises(InputError, match="variable must be 'tau' or 'K'"):
        cw.magnetization_series(2, "t")
    with pytest.raises(InputError, match="n must be an integer"):
        cw.critical_isotherm_series(0)


# --- exponents --------------------------------------------------------------------------------


def test_exponents_are_exact_rationals():
    table = cw.exponents()
    assert dict(table) == {"beta": R(1, 2), "gamma": 1, "delta": 3, "alpha": 0, "nu_bar": 2}
    assert all(isinstance(value, sp.Rational) for value in table.values())
    assert table["gamma"] == table["beta"] * (table["delta"] - 1)
    assert table["alpha"] + 2 * table["beta"] + table["gamma"] == 2
    # hyperscaling at the upper critical dimension: nu_bar = nu d_c = 2 - alpha
    assert table["nu_bar"] == 2 - table["alpha"]


def test_amplitudes_are_those_of_the_solved_model():
    amplitude = cw.exponents().amplitudes
    tau, J = 1e-6, 0.7
    with mpmath.workdps(40):
        m = float(solve_small(1 / (1 - mpmath.mpf(tau))))
    at = {cw.J: J}
    assert m / tau**0.5 == pytest.approx(float(amplitude["magnetization"]), rel=1e-5)
    chi = float(cw.susceptibility().subs({cw.beta: 1 / (J * (1 - tau)), cw.J: J, cw.m: m}))
    assert chi * tau == pytest.approx(float(amplitude["susceptibility_below"].subs(at)), rel=1e-4)
    above = float(cw.susceptibility().subs({cw.beta: 1 / (J * (1 + tau)), cw.J: J, cw.m: 0}))
    assert above * tau == pytest.approx(float(amplitude["susceptibility_above"].subs(at)), rel=1e-4)
    field = J * (np.arctanh(1e-3) - 1e-3)
    assert field / 1e-9 == pytest.approx(float(amplitude["field"].subs(at)), rel=1e-5)
    isotherm = float(amplitude["critical_isotherm"]) * (field / J) ** (1 / 3)
    assert isotherm == pytest.approx(1e-3, rel=1e-5)
    heat = cw.specific_heat().subs({cw.beta: 1 / (J * (1 - tau)), cw.J: J, cw.m: m, cw.h: 0})
    assert float(heat) == pytest.approx(float(amplitude["specific_heat_jump"]), rel=1e-4)
    assert amplitude["susceptibility_ratio"] == 2
    assert amplitude["universal_ratio"] == 1


# --- finite size ------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2, 5, 8])
def test_scaling_moments_agree_with_quadrature(k):
    with mpmath.workdps(30):
        weight = [
            mpmath.quad(lambda x: x**j * mpmath.exp(-(x**4) / 12), [0, 2, 5, mpmath.inf])  # noqa: B023
            for j in (k, 0)
        ]
        assert abs(weight[0] / weight[1] - mpmath.mpf(str(cw.scaling_moment(k).evalf(25)))) < 1e-20


def test_closed_forms_of_the_finite_size_constants():
    c, quarter = cw.finite_size_constants(), sp.gamma(R(1, 4))
    expected = {
        "abs_m": 12 ** R(1, 4) * sp.sqrt(sp.pi) / quarter,
        "ratio": sp.sqrt(2),
        "kurtosis": quarter**4 / (8 * sp.pi**2),
        "binder": 1 - quarter**4 / (24 * sp.pi**2),
        "specific_heat": R(3, 4) - 3 * (sp.gamma(R(3, 4)) / quarter) ** 2,
    }
    for name, value in expected.items():
        assert abs((c[name].leading - value).evalf(30)) < 1e-28
    assert float(c["binder"].leading) == pytest.approx(0.27052012825784, abs=1e-14)
    assert float(c["partition_function"].leading) == pytest.approx(1.3460353224, abs=1e-10)


def test_expansions_at_tc_leave_an_error_of_order_one_over_n():
    c = cw.finite_size_constants()
    sizes = (2_000, 8_000)
    errors = {}
    for n in sizes:
        log_z, abs_m, _, m2, m4 = exact_moments(n, 1.0)
        exact = {
            "abs_m": abs_m,
            "m2": m2,
            "m4": m4,
            "binder": 1 - m4 / (3 * m2**2),
            "kurtosis": m4 / m2**2,
            "ratio": m2 / abs_m**2,
            "susceptibility": n * m2,
            "susceptibility_abs": n * (m2 - abs_m**2),
            "specific_heat": n * (m4 - m2**2) / 4,
            "partition_function": np.exp(log_z - n * np.log(2)),
        }
        assert set(exact) == set(c)
        for name, value in exact.items():
            scale = n ** float(c[name].scaling)
            errors.setdefault(name, []).append((value - c[name].at(n)) / scale)
    for name, (first, second) in errors.items():
        # What is left out is O(1/N): N times it stays put.  A wrong coefficient of N^-1/2 makes
        # it grow by 2 from one size to the next, a wrong limit by 4.
        scaled = abs(first) * sizes[0], abs(second) * sizes[1]
        assert scaled[1] < 1.2 * scaled[0] < 12, name


def test_one_over_n_corrections_above_tc():
    K, errors = 0.3, []
    for n in (200, 400):
        log_z, _, _, m2, _ = exact_moments(n, K)
        second = 1 / (1 - K) - K / (n * (1 - K) ** 3)
        laplace = n * np.log(2) - np.log(1 - K) / 2 - K**2 / (4 * n * (1 - K) ** 2)
        errors.append((n * m2 - second, log_z - laplace))
    # O(1/N^2) is left out; a wrong 1/N coefficient would give 2
    np.testing.assert_allclose(np.divide(*errors), 4, rtol=0.05)


def test_one_over_n_correction_to_m_in_a_field():
    K, h = 0.8, 0.1
    with mpmath.workdps(30):
        m = float(mpmath.findroot(lambda m: mpmath.tanh(K * (m + h)) - m, 0.3))
    gap = 1 - K * (1 - m * m)
    errors = [
        exact_moments(n, K, h)[2] - m + K * m * (1 - m * m) / (n * gap**2) for n in (1000, 2000)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
