"""Parametrisations, quantiles and moments of stable laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from spinnet.errors import InputError
from spinnet.tails import stable

LAWS = [
    (2.0, 0.0),
    (1.5, 0.3),
    (1.2, 1.0),
    (1.0, 0.5),
    (1.0, -1.0),
    (0.97, 1.0),
    (0.5, 1.0),
    (0.5, -0.4),
    (0.3, 0.2),
    (0.05, 0.3),
]
PROBABILITIES = np.array([1e-300, 1e-100, 1e-10, 0.01, 0.3, 0.5, 0.7, 0.999, 1 - 1e-12])


@pytest.mark.parametrize("source", ["S0", "S1"])
@pytest.mark.parametrize("alpha", [0.4, 1.0, 1.3, 2.0])
def test_conversion_keeps_the_law(source: str, alpha: float) -> None:
    target = "S1" if source == "S0" else "S0"
    x = np.array([-3.0, 0.1, 5.0])
    other = stable.convert(alpha, 0.6, 2.5, -1.0, source=source, target=target)
    first = stable.pdf(x, alpha, 0.6, 2.5, -1.0, source)
    np.testing.assert_allclose(stable.pdf(x, *other, target), first, rtol=1e-12)
    back = stable.convert(*other, source=target, target=source)
    np.testing.assert_allclose(np.array(back), [alpha, 0.6, 2.5, -1.0], rtol=1e-14)


def test_s1_is_the_written_characteristic_function() -> None:
    # phi(t) = E e^(itX) in S1 at alpha = 0.5, beta = 1 is that of the Levy law on x > 0
    assert stable.pdf(-1e-3, 0.5, 1.0) == 0.0
    assert stable.pdf(1.0, 0.5, 1.0) == pytest.approx(np.exp(-0.5) / np.sqrt(2 * np.pi), rel=1e-14)
    # and S0 is shifted by beta tan(pi alpha/2) = 1
    assert stable.pdf(0.0, 0.5, 1.0, parametrization="S0") == stable.pdf(1.0, 0.5, 1.0)


def test_poole_scale_is_the_standard_deviation_of_a_normal() -> None:
    law = stable.convert(2.0, 0.0, 1.7, 0.0, source="poole", target="S1")
    x = np.array([-2.0, 0.3])
    np.testing.assert_allclose(stable.pdf(x, *law), norm.pdf(x, scale=1.7), rtol=1e-14)
    back = stable.convert(*law, source="S1", target="poole")
    assert float(back.scale) == pytest.approx(1.7, rel=1e-15)
    with pytest.raises(InputError, match="beta must be 0 for the convention 'poole'"):
        stable.convert(1.5, 0.1, source="poole", target="S0")
    with pytest.raises(InputError, match="target must be one of"):
        stable.convert(1.5, source="S1", target="B")


@pytest.mark.parametrize("name", ["S0", "S1"])
@pytest.mark.parametrize(("alpha", "beta"), LAWS)
def test_quantiles_invert_the_distribution(alpha: float, beta: float, name: str) -> None:
    with np.errstate(over="ignore"):
        lower = np.asarray(stable.ppf(PROBABILITIES, alpha, beta, parametrization=name))
        upper = np.asarray(stable.isf(PROBABILITIES, alpha, beta, parametrization=name))
    assert (lower[1:] >= lower[:-1]).all()
    assert (upper[1:] <= upper[:-1]).all()
    # a quantile rounded at the end of the support, or at 1e-308, has lost its relative accuracy
    spacing = 4e-16 if name == "S1" else 1e-12
    for p, q, inverse in (
        (PROBABILITIES, lower, stable.cdf),
        (PROBABILITIES, upper, stable.sf),
    ):
        ends = [stable.ppf(end, alpha, beta, parametrization=name) for end in (0.0, 1.0)]
        finite = np.isfinite(q)
        q, p = q[finite], p[finite]
        good = np.abs(q) > 1e-290
        for end in ends:
            good &= np.abs(q - end) > spacing * np.abs(q)
        if name == "S0" and alpha < 1.0:
            good &= p > 1e-5
        assert good.sum() > 2
        back = np.asarray(inverse(q[good], alpha, beta, parametrization=name))
        # the condition number of ln p is up to |ln p| in a light tail
        np.testing.assert_allclose(back, p[good], rtol=3e-12)


@pytest.mark.parametrize("alpha", [1.95, 1.9987549669584463, 2 - 1e-6, 2 - 1e-9, 2 - 1e-13])
def test_quantiles_between_a_light_bulk_and_a_weak_heavy_tail(alpha: float) -> None:
    # ln sf has a kink there, over which Newton's steps circle
    p = np.concatenate([np.logspace(-14, -0.4, 200), [0.5]])
    for beta in (0.0, -0.7):
        back = stable.sf(stable.isf(p, alpha, beta), alpha, beta)
        np.testing.assert_allclose(back, p, rtol=1e-12)
        back = stable.cdf(stable.ppf(p, alpha, beta), alpha, beta)
        np.testing.assert_allclose(back, p, rtol=1e-12)


def test_quantiles_at_and_beyond_the_ends() -> None:
    assert stable.ppf(0.0, 0.5, 1.0) == 0.0
    assert stable.ppf(1.0, 0.5, 1.0) == np.inf
    assert stable.isf(1.0, 0.5, 1.0, 2.0, 3.0) == 3.0
    assert stable.ppf(1.0, 0.5, -1.0, parametrization="S0") == 1.0
    assert stable.ppf(0.0, 1.0, 0.5) == -np.inf
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(InputError, match=r"p must be in \[0, 1\]"):
            stable.ppf(bad, 1.5)


def test_moments() -> None:
    assert stable.mean(1.5, 0.3, 2.0, 7.0) == 7.0
    assert np.isnan(stable.mean(1.0, 0.3))
    assert stable.mean(0.5, 1.0) == np.inf
    assert stable.variance(2.0, 0.0, 3.0) == 18.0
    assert stable.variance(1.99) == np.inf
    # E|Z| of a standard normal, and E|X|^(1/2) of a Cauchy law, 1 / cos(pi/4)
    assert stable.absolute_moment(1.0, 2.0, np.sqrt(0.5)) == pytest.approx(np.sqrt(2 / np.pi))
    assert stable.absolute_moment(4.0, 2.0, np.sqrt(0.5)) == pytest.approx(3.0)
    assert stable.absolute_moment(0.5, 1.0, 4.0) == pytest.approx(2 * np.sqrt(2.0))
    assert stable.absolute_moment(1.5, 1.5) == np.inf
    with pytest.raises(InputError, match="order must be > -1"):
        stable.absolute_moment(-1.0, 1.5)


def test_mean_in_s0_against_the_density() -> None:
    u = np.linspace(-60.0, 60.0, 8001)
    x = np.sinh(u)
    density = stable.pdf(x, 1.7, 0.5, parametrization="S0")
    first = float((x * density * np.cosh(u)).sum() * (u[1] - u[0]))
    assert stable.mean(1.7, 0.5, parametrization="S0") == pytest.approx(first, rel=1e-8)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(1.5, 0.7), (1.0, 1.0), (0.6, 0.5), (0.6, -0.5), (0.95, -1.0), (0.5, 1.0)]
)
def test_mode_is_the_largest_density(alpha: float, beta: float) -> None:
    for name in ("S0", "S1"):
        place = float(stable.mode(alpha, beta, 2.0, 1.0, name))
        around = place + np.array([-1e-3, 0.0, 1e-3])
        values = np.asarray(stable.logpdf(around, alpha, beta, 2.0, 1.0, name))
        assert values[1] > values[0]
        assert values[1] > values[2]
    if alpha == 0.5:
        assert stable.mode(0.5, 1.0) == pytest.approx(1.0 / 3.0, rel=1e-7)
    assert stable.median(alpha, 0.0, 2.0, 5.0) == pytest.approx(5.0, abs=1e-12)
