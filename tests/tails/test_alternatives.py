"""Likelihood ratios: maxima against a second method, signs, invariances, degenerate cases."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize
from scipy.special import erfcx

from spinnet.errors import InputError
from spinnet.tails import fit_power_law
from spinnet.tails.powerlaw.alternatives.family import log_norm
from spinnet.tails.powerlaw.alternatives.lognormal import Lognormal

# The closed form overflows beyond exp(700).
CONTINUOUS = [
    (a, c)
    for a in (-40.0, -3.0, 0.0, 1.0, 2.5, 30.0)
    for c in (1e-6, 0.01, 0.5, 30.0, 1e4)
    if a >= 1 or (1 - a) ** 2 / c < 1400
]


@pytest.mark.parametrize(("a", "c"), CONTINUOUS)
def test_continuous_normaliser_is_the_scaled_error_function(a, c):
    # int_0^inf exp(-(a-1) y - c y^2/2) dy, y = ln(x/q).
    exact = math.sqrt(math.pi / (2 * c)) * erfcx((a - 1) / math.sqrt(2 * c))
    log_z, gradient, _ = log_norm(Lognormal(), (a, c), 7.0, "continuous")
    # erfcx carries the rounding of its argument, amplified to x^2 eps = 1e-13 here.
    assert log_z == pytest.approx(math.log(7.0 * exact), rel=1e-12, abs=1e-12)
    # Integration by parts: c <y> = 1/Z' - (a - 1), cancelling for small c.
    scale = abs(a - 1) + 1 / exact
    assert -c * gradient[0] == pytest.approx(1 / exact - (a - 1), abs=1e-12 * scale)


def test_continuous_lognormal_is_at_its_maximum():
    """Nelder-Mead on SciPy's own lognormal, truncated at xmin, in (mu, ln sigma)."""
    x = np.random.default_rng(2).lognormal(1.0, 0.8, 2000)
    fit = fit_power_law(x, xmin=2.0)
    tail = x[x >= 2.0]

    def loss(p):
        law = stats.lognorm(math.exp(p[1]), scale=math.exp(p[0]))
        return -(law.logpdf(tail) - law.logsf(2.0)).sum()

    best = minimize(loss, [1.0, -0.2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9})
    ratio = fit.compare("lognormal")
    assert fit.log_likelihood - ratio.ratio == pytest.approx(-best.fun, abs=1e-6)
    assert ratio.parameters["mu"] == pytest.approx(best.x[0], abs=1e-5)
    assert ratio.parameters["sigma"] == pytest.approx(math.exp(best.x[1]), abs=1e-5)


def test_integer_lognormal_is_at_its_maximum():
    x = np.ceil(np.random.default_rng(2).lognormal(1.5, 0.7, 2000))
    fit = fit_power_law(x, xmin=2)
    tail = x[x >= 2]
    support = np.arange(2, 20_000)  # 12 sigma

    def loss(p):
        def weight(v):
            return -np.log(v) - (np.log(v) - p[0]) ** 2 / (2 * math.exp(2 * p[1]))

        return tail.size * np.logaddexp.reduce(weight(support)) - weight(tail).sum()

    best = minimize(loss, [1.5, -0.3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9})
    ratio = fit.compare("lognormal")
    assert fit.log_likelihood - ratio.ratio == pytest.approx(-best.fun, abs=1e-6)


@pytest.mark.parametrize("discrete", [False, True])
def test_exponential_is_scipys(discrete):
    x = np.random.default_rng(3).exponential(30.0, 1000) + 5
    x = np.ceil(x) if discrete else x
    fit = fit_power_law(x, discrete, 10)
    tail = x[x >= 10]
    if discrete:  # geometric on 1, 2, ...: its maximum likelihood is 1/mean
        exact = stats.geom(1 / (tail - 9).mean()).logpmf(tail - 9).sum()
    else:
        exact = stats.expon(10, (tail - 10).mean()).logpdf(tail).sum()
    ratio = fit.compare("exponential")
    assert ratio.ratio == pytest.approx(fit.log_likelihood - exact, abs=1e-8)
    assert ratio.ratio < 0
    assert ratio.p_value < 1e-3
    assert not ratio.nested
    assert math.isnan(ratio.nested_p_value)


def test_vuong_statistic_is_that_of_the_pointwise_ratios():
    x = np.random.default_rng(5).pareto(1.5, 1000) + 1.0
    fit = fit_power_law(x, xmin=1.0)
    power = np.log(fit.alpha - 1) - fit.alpha * np.log(x)
    other = stats.expon(1.0, (x - 1).mean()).logpdf(x)
    d = power - other
    ratio = fit.compare("exponential")
    assert ratio.ratio == pytest.approx(d.sum(), rel=1e-12)
    statistic = d.sum() / (d.std() * math.sqrt(x.size))
    assert ratio.normalized_ratio == pytest.approx(statistic, rel=1e-12)
    assert ratio.p_value == pytest.approx(2 * stats.norm.sf(abs(statistic)), rel=1e-9)
    assert ratio.ratio > 0


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_power_law_never_beats_the_family_that_contains_it(discrete, seed):
    rng = np.random.default_rng(seed)
    x = rng.zipf(2.5, 800) if discrete else rng.pareto(1.5, 800) + 1.0
    ratio = fit_power_law(x).compare("lognormal")
    assert ratio.ratio <= 1e-9
    assert ratio.degenerate == (ratio.parameters["c"] == 0.0)


@pytest.mark.statistical
def test_nested_p_value_is_half_degenerate_under_the_power_law():
    # Under the law c = 0 half of the time (chi-bar-square): 200 sets, 4 sigma = .14, and p < .1
    # in a share .1 +- .085 (4 sigma).  A finite-n bias of the signed root, O(1/sqrt n) = .05, is
    # inside.
    ratios = [
        fit_power_law(np.random.default_rng([5, k]).pareto(1.5, 500) + 1.0, xmin=1.0).compare(
            "lognormal"
        )
        for k in range(200)
    ]
    assert abs(np.mean([r.degenerate for r in ratios]) - 0.5) < 0.14
    assert abs(np.mean([r.nested_p_value < 0.1 for r in ratios]) - 0.1) < 0.085


def test_narrow_lognormal_far_above_xmin_is_found():
    x = np.random.default_rng(1).lognormal(8.0, 0.05, 1000)
    ratio = fit_power_law(np.append(x, np.arange(1, 12) + 0.5), xmin=1.5).compare("lognormal")
    assert ratio.ratio < -10
    z = np.rint(np.random.default_rng(1).lognormal(6.0, 0.05, 1000))
    ratio = fit_power_law(z, xmin=1).compare("lognormal")
    assert ratio.parameters["mu"] == pytest.approx(np.log(z).mean(), abs=0.01)


def test_ratio_is_plain_to_read_and_to_store():
    x = np.random.default_rng(5).pareto(1.5, 1000) + 1.0
    for other in ("lognormal", "exponential"):
        ratio = fit_power_law(x).compare(other)
        record = ratio.to_dict()
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert other in ratio.summary()
    with pytest.raises(InputError, match="did you mean 'lognormal'"):
        fit_power_law(x).compare("log-normal")


@pytest.mark.parametrize("unit", [1e-310, 1e-9, 1e200])
def test_ratio_does_not_depend_on_the_unit(unit):
    x = np.random.default_rng(5).pareto(1.5, 300) + 1.0
    one, other = fit_power_law(x, xmin=1.0), fit_power_law(x * unit, xmin=unit)
    for law in ("lognormal", "exponential"):
        # Subnormal numbers of size 1e-310 carry some 13 digits.
        expected = one.compare(law).ratio
        assert other.compare(law).ratio == pytest.approx(expected, rel=1e-9, abs=1e-9)
