"""Scaling functions of mean field against mpmath, exact sums, and constants of the literature."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import gammaln

import spinnet as sn
from spinnet.spins import critical
from spinnet.theory import critical_scaling


def integral(r: float, y: float, f: object) -> mpmath.mpf:
    """The unnormalised integral of f(x) p(x) with 25 digits."""
    points = [mpmath.mpf(k) / 2 for k in range(-40, 41)]
    return mpmath.quad(lambda x: f(x) * mpmath.exp(-r * x**2 / 2 - x**4 / 12 + y * x), points)


@pytest.mark.parametrize(("r", "y"), [(0, 0), (-5, 0), (3, 1.5), (-2, -0.3), (40, 0), (-3, 6)])
def test_scaling_functions_agree_with_integrals_of_25_digits(r: float, y: float) -> None:
    with mpmath.workdps(25):
        z = integral(r, y, lambda x: 1)
        mean, square, fourth, absolute = (
            integral(r, y, f) / z for f in (lambda x: x, lambda x: x**2, lambda x: x**4, abs)
        )
        expected = {
            "abs_x": absolute,
            "x2": square,
            "x4": fourth,
            "binder": 1 - fourth / (3 * square**2),
            "susceptibility": square - mean**2,
            "susceptibility_abs": square - absolute**2,
            "specific_heat": (fourth - square**2) / 4,
        }
    found = critical.mean_field_scaling(r, y)
    assert float(found.x) == pytest.approx(float(mean), abs=1e-13)
    for name, value in expected.items():
        assert float(getattr(found, name)) == pytest.approx(float(value), rel=1e-12), name


def test_the_values_at_tc_are_gamma_functions() -> None:
    """mu_k = 12^{k/4} Gamma((k+1)/4)/Gamma(1/4), U = 1 - Gamma(1/4)^4/(24 pi^2)."""
    found = critical.mean_field_scaling(0.0)
    g = [mpmath.gamma(mpmath.mpf(k) / 4) for k in (1, 2, 3)]
    assert float(found.abs_x) == pytest.approx(float(mpmath.root(12, 4) * g[1] / g[0]), rel=1e-14)
    assert float(found.x2) == pytest.approx(float(mpmath.sqrt(12) * g[2] / g[0]), rel=1e-14)
    assert float(found.binder) == pytest.approx(0.27052012825784, abs=1e-13)
    assert float(found.specific_heat) == pytest.approx(0.4072900642, abs=1e-10)


def test_maxima_are_where_exact_sums_of_large_systems_have_them() -> None:
    """r = -2.2568473920, 1.6572974585 and r = -1.2449799295, 0.5149305717, by quadrature."""
    heat, chi = (critical.maximum_of(q) for q in ("specific_heat", "susceptibility_abs"))
    assert heat.r == pytest.approx(-2.2568473920, abs=1e-9)
    assert heat.height == pytest.approx(1.6572974585, abs=1e-9)
    assert chi.r == pytest.approx(-1.2449799295, abs=1e-9)
    assert chi.height == pytest.approx(0.5149305717, abs=1e-9)
    for maximum, name in ((heat, "specific_heat"), (chi, "susceptibility_abs")):
        beside = critical.mean_field_scaling(maximum.r + np.array([-0.01, 0.01]))
        assert np.all(getattr(beside, name) < maximum.height)


@pytest.mark.parametrize("r", [-2.0, 0.0, 1.5])
def test_next_order_leaves_errors_of_order_one_over_n(r: float) -> None:
    """The relative difference to exact sums times N settles; without the term it grows as
    N^{1/2}."""
    scaled, bare = [], []
    for n in (10**4, 10**6):
        exact = sn.exact.curie_weiss(n, 1 - r / np.sqrt(n))
        value = float(exact.abs_m) * n**0.25
        scaled.append(n * abs(value / float(critical.mean_field_scaling(r, n_spins=n).abs_x) - 1))
        bare.append(n * abs(value / float(critical.mean_field_scaling(r).abs_x) - 1))
    assert scaled[1] < 1.5 * scaled[0]
    assert scaled[1] < 20
    assert bare[1] > 5 * bare[0]


GRID = np.meshgrid(np.linspace(-9, 9, 13), [-4.0, -0.3, 0.0, 0.02, 1.0, 30.0], indexing="ij")
IN_THEORY = {
    "abs_x": "abs_m",
    "x": "magnetization",
    "x2": "m2",
    "x4": "m4",
    "binder": "binder",
    "susceptibility": "susceptibility",
    "susceptibility_abs": "susceptibility_abs",
    "specific_heat": "specific_heat",
}


@pytest.mark.parametrize(("name", "symbolic"), IN_THEORY.items())
def test_they_are_the_functions_of_the_theory_with_its_correction(name: str, symbolic: str) -> None:
    scaling = critical_scaling.compiled()
    r, y = GRID
    limit = np.asarray(getattr(critical.mean_field_scaling(r, y), name))
    # plain moments lose the digits of <x^4> that cancel in Var(x^2), up to 1e4 to 1 here
    np.testing.assert_allclose(limit, scaling.value(symbolic, r, y), rtol=1e-11, atol=1e-14)
    n = 10**8
    full = np.asarray(getattr(critical.mean_field_scaling(r, y, n_spins=n), name))
    slope = scaling.correction(symbolic, r, y)
    # what follows is of order N^{-1/2} = 1e-4 and grows with powers of r and y
    scale = np.abs(slope) + np.abs(limit) * (1 + r**2 + np.abs(y))
    assert np.all(np.abs((full - limit) * np.sqrt(n) - slope) <= 2e-3 * scale)


def test_maxima_are_those_of_the_theory() -> None:
    for name in ("specific_heat", "susceptibility_abs"):
        ours, theirs = critical.maximum_of(name), critical_scaling.maximum(name)
        assert ours.r == pytest.approx(float(theirs.r), abs=1e-11)
        assert ours.height == pytest.approx(float(theirs.value), rel=1e-13)


@pytest.mark.parametrize(("r", "y"), [(-1.0, 0.8), (0.5, -2.0)])
def test_specific_heat_in_a_field_has_the_energy_of_the_field(r: float, y: float) -> None:
    errors = []
    for n in (2_000, 8_000):
        m = np.arange(-n, n + 1, 2) / n
        k, b = 1 - r / np.sqrt(n), y / n**0.75  # beta J and beta h
        up = n * (1 + m) / 2
        logs = n * (k * m**2 / 2 + b * m) - gammaln(up + 1) - gammaln(n - up + 1)
        p = np.exp(logs - logs.max())
        p /= p.sum()
        energy = k * m**2 / 2 + b * m
        exact = n * (p @ (energy - p @ energy) ** 2)
        law = float(critical.mean_field_scaling(r, y, n_spins=n).specific_heat)
        errors.append(n * abs(exact - law))
    assert errors[1] < 1.3 * errors[0]  # O(1/N) is left; a missing N^{-1/2} term would double it


def test_limits_of_large_arguments() -> None:
    """Gaussian above (x^2 = 1/r), two wells below (x^2 = 3|r|), x = (3y)^{1/3} in a field."""
    high, low = critical.mean_field_scaling(1e5), critical.mean_field_scaling(-1e5)
    assert float(high.x2) == pytest.approx(1e-5, rel=1e-8)
    assert float(low.x2) == pytest.approx(3e5, rel=1e-8)
    assert float(low.specific_heat) == pytest.approx(1.5, rel=1e-6)
    assert float(critical.mean_field_scaling(0.0, 1e6).x) == pytest.approx(3e6 ** (1 / 3), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, np.nan],), "r must be finite"),
        (([1.0, -2e6, 3.0],), r"r must be within \+-1e\+06, got -2e\+06"),
        (([1, 2], [1, 2, 3]), "r and y must broadcast"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(sn.InputError, match=message):
        critical.mean_field_scaling(*arguments)
    with pytest.raises(sn.InputError, match="quantity must be"):
        critical.maximum_of("binder")
