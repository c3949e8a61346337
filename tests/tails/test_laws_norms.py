"""Norms of the alternative laws: closed forms, arbitrary precision and plain sums."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.tails.powerlaw.alternatives.cut_off import CutOff, log_exponential_integral
from spinnet.tails.powerlaw.alternatives.family import log_norm, objective
from spinnet.tails.powerlaw.alternatives.integration import cell_nodes
from spinnet.tails.powerlaw.alternatives.lognormal import Lognormal
from spinnet.tails.powerlaw.alternatives.stretched_exponential import StretchedExponential
from spinnet.tails.powerlaw.alternatives.tail import Tail
from spinnet.tails.zeta import hurwitz


@pytest.mark.parametrize("p", [-200.0, -50.5, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 10.25, 80.0])
@pytest.mark.parametrize("z", [1e-200, 1e-30, 1e-8, 1e-3, 0.1, 1.0, 3.0, 20.0, 1e4, 1e8])
def test_exponential_integral_of_real_order(p, z):
    # e^z Gamma(1 - p, z) z^(p - 1), by mpmath.
    with mp.workdps(60):
        exact = mp.log(mp.expint(mp.mpf(p), mp.mpf(z)))
    # Relative to the logarithm: |p ln z| is what rounding multiplies.
    assert log_exponential_integral(p, z) == pytest.approx(float(exact), rel=1e-13, abs=1e-13)


def test_exponential_integral_where_the_library_of_reference_fails():
    # E_p(z) = e^-z (1/(z + p/(1 + 1/(z + (p + 1)/(1 + 2/(z + ...)))))), DLMF 8.19.17.
    with mp.workdps(40):
        fraction = mp.mpf(300)
        for k in range(4000, 0, -1):
            fraction = 300 + (80 + k - 1) / (1 + k / fraction)
        exact = float(-300 - mp.log(fraction))
    assert log_exponential_integral(80.0, 300.0) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("z", [0.0, -1.0, math.inf, 1e301])
def test_exponential_integral_needs_a_positive_argument(z):
    with pytest.raises(InputError, match="z must be"):
        log_exponential_integral(1.0, z)


@pytest.mark.parametrize("theta", [(-3.0, 0.2), (0.5, 0.0), (-60.0, 9.0), (2.0, 0.7), (-0.2, 1e-9)])
def test_stretched_norm_is_one_over_g(theta):
    log_z, gradient, hessian = log_norm(StretchedExponential(), theta, 5.0, "continuous")
    assert log_z == pytest.approx(math.log(5.0) - theta[0], abs=1e-12 * (1 + abs(theta[0])))
    np.testing.assert_allclose(gradient, [-1.0, 0.0], atol=1e-10)
    assert abs(hessian).max() < 1e-8


LAWS = [
    (Lognormal(), theta)
    for theta in [(3, 0.5), (0, 0.8), (-2, 2), (8, 0.01), (2, 40), (-20, 40), (-3000, 1000)]
]
LAWS += [(StretchedExponential(), theta) for theta in [(-1, 0.3), (0, 1), (-6, 2), (-20, 4)]]


def _cut_offs(q):
    return [
        (1.5, 0.001 * q / 30),
        (-2, 0.05 * q),
        (2.5, 1e-4 * q),
        (0, 0.11 * q),
        (1, 3 * q),
        (0.05, 2e-3 * q),
    ]


@pytest.mark.parametrize("q", [1.0, 2.0, 30.0, 5e4])
def test_integer_norms_are_the_sums(q):
    x = np.arange(q, q + (400_000 if q > 1e3 else 60_000))
    y = np.log1p((x - q) / q)
    checked = 0
    for law, theta in LAWS + [(CutOff(), theta) for theta in _cut_offs(q)]:
        log_w = law.log_density(theta, y)
        if log_w[-1] - log_w.max() > -45:  # not over within the plain sum
            continue
        checked += 1
        rows = law.rows(theta, y, log_w.max())[:3]
        exact = rows.sum(axis=1)  # pairwise: rounding of 1e-15
        log_z, gradient, _ = log_norm(law, theta, q, "sum")
        assert log_z == pytest.approx(math.log(exact[0]) + log_w.max(), rel=1e-14, abs=2e-14)
        scale = np.abs(rows[1:]).sum(axis=1) / exact[0]  # of terms that may cancel
        np.testing.assert_allclose(
            gradient, np.divide(exact[1:], exact[0]), rtol=1e-12, atol=1e-13 * scale.max()
        )
    assert checked >= 6


@pytest.mark.parametrize("q", [1.0, 7.0, 1e4])
@pytest.mark.parametrize("alpha", [1.3, 2.0, 4.5, 30.0])
def test_integer_norms_hold_the_zeta_law_exactly(q, alpha):
    m0, m1, m2 = hurwitz(alpha, q)
    log_z, gradient, hessian = log_norm(Lognormal(), (alpha, 0.0), q, "sum")
    assert log_z == pytest.approx(math.log(m0), abs=1e-14)
    assert gradient[0] == pytest.approx(-m1 / m0, rel=1e-13)
    assert hessian[0, 0] == pytest.approx(m2 / m0 - (m1 / m0) ** 2, rel=1e-11)
    log_z, gradient, _ = log_norm(StretchedExponential(), (math.log(alpha - 1), 0.0), q, "sum")
    assert log_z == pytest.approx(math.log(m0), abs=1e-14)


@pytest.mark.parametrize("kind", ["continuous", "sum", "round"])
@pytest.mark.parametrize(
    ("law", "theta"),
    [(Lognormal(), (1.4, 0.2)), (CutOff(), (0.8, 0.05)), (StretchedExponential(), (-0.4, 0.4))],
    ids=["lognormal", "cut-off", "stretched"],
)
def test_gradient_and_curvature_are_those_of_the_value(law, theta, kind):
    values = np.array([2.0, 3, 5, 6, 11, 40, 200])
    tail = Tail(values, np.array([9.0, 5, 3, 2, 2, 1, 1]), 2.0, 2.0, 0.0, kind)
    _, gradient, hessian = objective(law, theta, tail)
    h = 2e-5
    for i, direction in enumerate(np.eye(2)):
        plus, minus = (objective(law, tuple(theta + s * h * direction), tail) for s in (1, -1))
        # Central differences: h^2 times third derivatives of order one.
        assert (plus[0] - minus[0]) / (2 * h) == pytest.approx(gradient[i], abs=1e-6)
        np.testing.assert_allclose((plus[1] - minus[1]) / (2 * h), hessian[i], atol=1e-5)


def test_cells_integrate_smooth_functions():
    values = np.array([1.0, 2.0, 9.0, 1e6])
    y, weights = cell_nodes(values, 0.5)
    for power in (-3.0, -1.0, 0.4, 8.0):
        ours = np.exp(power * y) @ weights
        high, low = (values + 0.5) / 0.5, (values - 0.5) / 0.5
        with mp.workdps(30):
            exact = [
                float(0.5 * mp.quad(lambda u: u**power, [a, b]))  # noqa: B023
                for a, b in zip(low, high, strict=True)
            ]
        np.testing.assert_allclose(ours, exact, rtol=1e-13)
