"""Density and distribution functions of stable laws against closed forms, mpmath and identities."""

from __future__ import annotations

import doctest
from itertools import pairwise
from types import ModuleType

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import cauchy, levy, levy_stable, norm

from spinnet.errors import InputError
from spinnet.tails import stable
from spinnet.tails.stable import distribution, sampling
from spinnet.tails.stable.standard import StandardStable, standard

LAWS = [
    (2.0, 0.0),
    (1.9999, 0.2),
    (1.8, -1.0),
    (1.5, 0.0),
    (1.5, 0.7),
    (1.2, 1.0),
    (1.01, -0.5),
    (1.0, 0.0),
    (1.0, 0.5),
    (1.0, -1.0),
    (0.99, 1.0),
    (0.8, 0.3),
    (0.5, 1.0),
    (0.5, -0.4),
    (0.3, 0.9),
]
GRID = np.concatenate([-np.logspace(6, -3, 28), [0.0], np.logspace(-3, 6, 28)])


@mp.mp.workdps(25)
def _inversion(x: float, alpha: float, beta: float) -> tuple[mp.mpf, mp.mpf]:
    """(pdf, sf) by Gil-Pelaez on the real axis in 25 digits: nothing shared with the package."""
    a, b, x = mp.mpf(alpha), mp.mpf(beta), mp.mpf(x)

    def phase(t: mp.mpf) -> mp.mpf:
        skew = 2 / mp.pi * t * mp.log(t) if a == 1 else mp.tan(mp.pi * a / 2) * (t - t**a)
        return -x * t - b * skew

    top = mp.mpf(60) ** (1 / a)
    cuts = [top * mp.mpf(2) ** (-k) for k in range(60, 6, -6)] + [
        top * k / 40 for k in range(1, 41)
    ]
    cuts = [mp.mpf(0), *cuts]
    pdf = mp.quad(lambda t: mp.exp(-(t**a)) * mp.cos(phase(t)), cuts) / mp.pi
    sf = mp.mpf(1) / 2 + mp.quad(lambda t: mp.exp(-(t**a)) * mp.sin(phase(t)) / t, cuts) / mp.pi
    return pdf, sf


@pytest.mark.parametrize(
    ("alpha", "beta", "x"),
    [(1.7, 0.4, 1.5), (1.0, 0.5, -2.0), (1.0, 0.01, 5.0), (1.3, -0.9, 6.0), (1.01, 0.0, 3.0)],
)
def test_direct_values_agree_with_inversion_in_25_digits(
    alpha: float, beta: float, x: float
) -> None:
    density, upper = _inversion(x, alpha, beta)
    assert stable.pdf(x, alpha, beta, parametrization="S0") == pytest.approx(
        float(density), rel=1e-13
    )
    assert stable.sf(x, alpha, beta, parametrization="S0") == pytest.approx(float(upper), rel=1e-13)


@pytest.mark.parametrize("near", [0.0, 1e-12])
def test_closed_forms_by_the_general_code(near: float) -> None:
    # moving alpha by 1e-12 moves the logarithms by at most 1e-12 ln|x|; the Gaussian is compared
    # where its heavy tail, of weight 1e-12, is still below it
    x = np.concatenate([-np.logspace(-3, 6, 40), np.logspace(-3, 6, 40)])
    tolerance = 1e-13 if near == 0.0 else 3e-11
    for sign in (-1.0, 1.0):
        alpha = 1.0 + sign * near
        np.testing.assert_allclose(stable.pdf(x, alpha), cauchy.pdf(x), rtol=tolerance)
        np.testing.assert_allclose(stable.cdf(x, alpha), cauchy.cdf(x), rtol=tolerance)
        np.testing.assert_allclose(stable.sf(x, alpha), cauchy.sf(x), rtol=tolerance)
    small = np.linspace(-4.0, 4.0, 33) if near else np.linspace(-35.0, 35.0, 71)
    tolerance = 1e-8 if near else 1e-12
    scale = np.sqrt(0.5)
    for function in ("pdf", "cdf", "sf", "logpdf"):
        mine = getattr(stable, function)(small, 2.0 - near, 0.3, scale)
        np.testing.assert_allclose(mine, getattr(norm, function)(small), rtol=tolerance)
    positive = np.logspace(-2.5, 6, 60)
    alpha = 0.5 + near
    tolerance = 2e-12 if near == 0.0 else 1e-8
    np.testing.assert_allclose(stable.pdf(positive, alpha, 1), levy.pdf(positive), rtol=tolerance)
    np.testing.assert_allclose(stable.cdf(positive, alpha, 1), levy.cdf(positive), rtol=tolerance)
    np.testing.assert_allclose(stable.sf(positive, alpha, 1), levy.sf(positive), rtol=tolerance)
    assert stable.pdf(-1e-9, alpha, 1) == 0.0
    assert stable.cdf(0.0, alpha, 1) == 0.0


def test_levy_log_density_beyond_underflow() -> None:
    y = np.array([1e-4, 1e-6, 1e-12])
    expected = -0.5 / y - 1.5 * np.log(y) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(stable.logpdf(y, 0.5, 1), expected, rtol=1e-13)
    assert (stable.pdf(y, 0.5, 1) == 0).all()
    # sf of |N| > 1 / sqrt(y) is the Levy cdf
    np.testing.assert_allclose(
        stable.logcdf(y, 0.5, 1), np.log(2) + norm.logsf(y**-0.5), rtol=1e-12
    )


@pytest.mark.parametrize(("alpha", "beta"), LAWS)
def test_tables_agree_with_direct_values(alpha: float, beta: float) -> None:
    law = StandardStable(alpha, beta)
    x = np.concatenate([GRID, law.zeta + GRID])
    direct = law.direct(x)
    _ = law.domains
    for row, name in zip(direct, ("logpdf", "logcdf", "logsf"), strict=True):
        table = getattr(law, name)(x)
        seen = row > -740.0
        # 2e-13, and the rounding of the logarithm (and of x in a light tail) where it is large
        error = np.abs(table[seen] - row[seen]) / np.maximum(1.0, np.abs(row[seen]) / 10.0)
        assert error.max() < 2e-13, name
        assert (np.exp(table[~seen]) < 1e-300).all()


@pytest.mark.parametrize(("alpha", "beta"), LAWS)
def test_the_sf_falls_and_complements_the_cdf(alpha: float, beta: float) -> None:
    law = standard(alpha, beta)
    x = np.sort(np.concatenate([GRID, law.zeta + GRID, np.linspace(-10, 10, 2001)]))
    lower, upper = law.cdf(x), law.sf(x)
    np.testing.assert_allclose(lower + upper, 1.0, rtol=3e-14)
    # up to the rounding of the table
    assert (np.diff(upper) <= 1e-13 * upper[1:]).all()
    assert (np.diff(lower) >= -1e-13 * lower[1:]).all()


@pytest.mark.parametrize(("alpha", "beta"), LAWS)
def test_density_is_the_derivative_of_the_cdf_and_has_mass_one(alpha: float, beta: float) -> None:
    law = standard(alpha, beta)
    edges = np.array([-300.0, -30.0, -3.0, -0.3, 0.1, 0.7, 2.0, 7.0, 50.0, 500.0])
    breaks = sorted({*edges, law.zeta} if abs(law.zeta) < 300 else {*edges})
    mass = float(law.cdf(np.array(breaks[0])) + law.sf(np.array(breaks[-1])))
    for low, high in pairwise(breaks):
        part = quad(lambda t: float(law.pdf(np.array(t))), low, high, limit=200)[0]
        below, above = law.cdf(np.array([low, high]))
        first, second = law.sf(np.array([low, high]))
        expected = above - below if above < 0.5 else first - second
        # quad stops at 1.5e-8 absolutely
        assert part == pytest.approx(float(expected), rel=1e-7, abs=1e-9)
        mass += part
    assert mass == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("alpha", [0.4, 0.95, 1.0, 1.04, 1.6, 1.98])
@pytest.mark.parametrize("beta", [0.0, 0.01, 0.6, 1.0])
def test_reflection(alpha: float, beta: float) -> None:
    x = np.array([-300.0, -13.0, -2.0, 0.0, 0.4, 3.0, 25.0, 4e4])
    law, mirror = StandardStable(alpha, beta), StandardStable(alpha, -beta)
    np.testing.assert_allclose(law.pdf(x), mirror.pdf(-x), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x), mirror.sf(-x), rtol=1e-12)


@pytest.mark.parametrize("alpha", [1.1, 1.4, 1.75, 1.95])
@pytest.mark.parametrize("beta", [-1.0, -0.5, 0.0, 0.8])
def test_duality_of_alpha_and_its_inverse(alpha: float, beta: float) -> None:
    # Zolotarev's form (scale with C = 1, rho given): x f_alpha(x; rho) for x > 0 equals
    # x^-alpha f_(1/alpha)(x^-alpha; alpha rho) up to the Jacobian: P(Y > x | Y > 0) of alpha is
    # P(Y' < x^-alpha | Y' > 0) of 1/alpha
    law = StandardStable(alpha, beta)
    rho = law.right[4] / np.pi
    dual_alpha = 1.0 / alpha
    angle = np.pi * dual_alpha * (alpha * rho - 0.5)
    dual_beta = float(np.clip(np.tan(angle) / np.tan(np.pi * dual_alpha / 2), -1, 1))
    dual = StandardStable(dual_alpha, dual_beta)
    u = np.array([0.05, 0.3, 1.0, 2.0, 6.0])
    y = u * np.exp(-law.right[7])
    y_dual = u**-alpha * np.exp(-dual.right[7])
    upper = np.exp(law.direct(y + law.zeta, y)[2]) / rho
    below = np.exp(dual.direct(y_dual + dual.zeta, y_dual)[1]) - dual.right[6] / np.pi
    np.testing.assert_allclose(upper, below / (alpha * rho), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("alpha", "beta"), [(1.5, 0.3), (1.0, -0.5), (0.7, 0.9)])
def test_the_law_of_a_sum(alpha: float, beta: float) -> None:
    # X1 + X2 has the scale 2^(1/alpha) and twice the location, in S1; trapezoidal rule in asinh
    u = np.linspace(-30.0, 30.0, 6001)
    t = np.sinh(u)
    law = standard(alpha, beta)
    location = 0.0 if alpha == 1.0 else law.zeta
    for s in (-1.0, 0.5, 4.0):
        mixed = float((0.01 * np.cosh(u) * law.pdf(t) * law.pdf(s - t)).sum())
        expected = stable.pdf(s, alpha, beta, 2.0 ** (1 / alpha), 2 * location)
        assert mixed == pytest.approx(expected, rel=1e-11 if alpha >= 1.0 else 1e-5)


def test_scaling_and_shift_in_both_parametrisations() -> None:
    x = np.array([-4.0, 0.2, 9.0])
    for alpha in (0.6, 1.5):
        for name in ("S0", "S1"):
            one = stable.pdf((x - 2.0) / 3.0, alpha, 0.4, parametrization=name)
            two = stable.pdf(x, alpha, 0.4, 3.0, 2.0, name)
            np.testing.assert_allclose(two, np.asarray(one) / 3.0, rtol=1e-12)
    # at alpha = 1 S1 has the extra shift 2/pi beta c ln c
    moved = x - 2.0 / np.pi * 0.4 * 3.0 * np.log(3.0)
    np.testing.assert_allclose(
        stable.cdf(x, 1.0, 0.4, 3.0), stable.cdf(moved, 1.0, 0.4, 3.0, 0.0, "S0"), rtol=1e-12
    )


def test_s0_is_continuous_at_one() -> None:
    x = np.array([-50.0, -3.0, 0.0, 2.0, 11.0, 13.0, 1e5])
    for beta in (0.0, 0.01, 0.5, 1.0):
        at_one = StandardStable(1.0, beta).direct(x)
        for alpha in (1 - 1e-12, 1 + 1e-12):
            near = StandardStable(alpha, beta).direct(x)
            seen = at_one > -700
            np.testing.assert_allclose(near[seen], at_one[seen], rtol=1e-10, atol=1e-10)


def test_the_heavy_tail_near_two_is_relatively_accurate() -> None:
    # sf ~ Gamma(alpha) sin(pi alpha/2) / pi x^-alpha [1 + O(x^-alpha)]; at 1e4 to 1e-7
    for alpha in (1.99, 1.9999, 2 - 1e-9):
        leading = (
            mp.gamma(alpha) * mp.sin(mp.pi * mp.mpf(alpha) / 2) / mp.pi * mp.mpf(1e4) ** -alpha
        )
        assert stable.sf(1e4, alpha) == pytest.approx(float(leading), rel=1e-6)


def test_scipy_where_scipy_is_right() -> None:
    x = np.array([-3.0, -0.5, 1.0, 4.0])
    for alpha, beta in ((1.5, 0.3), (0.7, -0.5)):
        np.testing.assert_allclose(
            stable.pdf(x, alpha, beta), levy_stable.pdf(x, alpha, beta), rtol=1e-6
        )


def test_arguments_broadcast() -> None:
    out = stable.pdf(np.zeros((3, 1)), [0.5, 1.0, 1.5, 2.0], 0.0, 2.0)
    assert np.shape(out) == (3, 4)
    assert stable.pdf(0.0, 1.5, scale=2.0) == out[1, 2]
    assert isinstance(stable.pdf(0.0, 1.5), float)
    assert np.shape(stable.cdf(np.zeros(0), 1.5)) == (0,)


@pytest.mark.parametrize("module", [distribution, sampling])
def test_examples_in_docstrings(module: ModuleType) -> None:
    failed, run = doctest.testmod(module)
    assert run > 0
    assert failed == 0


def test_every_argument_broadcasts_as_in_a_loop() -> None:
    x = np.array([[-1.0], [0.3], [7.0]])
    alpha, beta = np.array([0.6, 1.0, 1.5, 1.5]), np.array([0.2, 0.5, 0.0, -0.4])
    scale, loc = np.array([[2.0], [0.5], [1.0]]), np.array([1.0, -1.0, 0.0, 3.0])
    for kind in ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"):
        function = getattr(stable, kind)
        for name in ("S0", "S1"):
            found = function(x, alpha, beta, scale, loc, name)
            alone = [
                [function(x[i, 0], alpha[j], beta[j], scale[i, 0], loc[j], name) for j in range(4)]
                for i in range(3)
            ]
            np.testing.assert_array_equal(found, alone)
            one = function(x, 1.5, 0.2, scale, loc, name)
            assert one.shape == (3, 4)
            assert one[2, 3] == function(7.0, 1.5, 0.2, 1.0, 3.0, name)
    quantiles = stable.ppf(np.array([[0.1], [0.9]]), alpha, beta, 2.0, loc)
    assert quantiles[1, 2] == stable.ppf(0.9, 1.5, 0.0, 2.0, 0.0)
    assert np.shape(stable.pdf(np.zeros((0, 3)), [1.0, 1.5, 2.0])) == (0, 3)


def test_a_value_does_not_depend_on_earlier_calls() -> None:
    x = np.linspace(-3.0, 3.0, 100)
    first = stable.pdf(x, 1.2345, 0.5)
    stable.pdf(np.linspace(-5.0, 5.0, 1000), 1.2345, 0.5)  # makes the table
    np.testing.assert_array_equal(stable.pdf(x, 1.2345, 0.5), first)


def test_integers_of_any_size_are_points() -> None:
    assert stable.sf(10**30, 1.5) == stable.sf(1e30, 1.5)
    np.testing.assert_array_equal(stable.pdf([10**30, 2], 1.5), stable.pdf([1e30, 2.0], 1.5))


def test_infinities_and_nan() -> None:
    x = np.array([-np.inf, np.inf, np.nan])
    for alpha, beta in LAWS:
        np.testing.assert_array_equal(stable.pdf(x, alpha, beta), [0, 0, np.nan])
        np.testing.assert_array_equal(stable.cdf(x, alpha, beta), [0, 1, np.nan])
        np.testing.assert_array_equal(stable.sf(x, alpha, beta), [1, 0, np.nan])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, [1.5, 0.0, 3.0]), r"stable_alpha must be in \(0, 2\], got 2 .* index \(1,\): 0.0"),
        ((0.0, 1.5, -1.1), "beta must be in"),
        ((0.0, 1.5, 0.0, 0.0), "scale must be > 0"),
        ((0.0, 1.5, 0.0, 1.0, np.nan), "loc must be finite"),
        ((["a"], 1.5), "x must be real"),
        ((None, 1.5), "x must be real"),
        ((10**400, 1.5), "x must be within the range of float64"),
        (([1.0, 2.0], [1.5, 1.6, 1.7]), r"x \(2,\), stable_alpha \(3,\)"),
        ((0.0, 1.5, 0.0, 1.0, 0.0, "S2"), "parametrization must be one of"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stable.pdf(*arguments)  # type: ignore[arg-type]
