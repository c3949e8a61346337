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
from spinnet.tails.powerlaw.alternatives import (
    ALTERNATIVE_NAMES,
    adjust_p_values,
    compare_all,
    compare_tail,
)
from spinnet.tails.powerlaw.alternatives.comparison import tabulate
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


def _pareto_ratio(seed, n, alpha, law):
    x = np.sort(np.random.default_rng(seed).pareto(alpha - 1, n) + 1.0)
    a = 1.0 + n / np.log(x).sum()
    norm = -math.log(a - 1.0)
    return compare_tail(
        law, x, np.ones(n), xmin=1.0, alpha=a, log_norm=norm, discrete=False
    ).nested_p_value


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(
    ("law", "alpha", "expected"),
    [
        ("truncated", 1.5, 0.1),
        ("truncated", 4.0, 0.1),
        ("stretched-exponential", 2.5, 0.1),
        ("cut-off", 1.2, 0.07),
        ("cut-off", 2.0, 0.08),
        ("cut-off", 5.0, 0.11),
    ],
)
def test_nested_p_values_hold_their_level(law, alpha, expected):
    # Share of p < .1 over 200 samples of 800: standard error .021, 4 of them .085.
    p = [_pareto_ratio([9, k], 800, alpha, law) for k in range(200)]
    assert abs(np.mean(np.array(p) < 0.1) - expected) < 0.085


def _fit_stub(values, counts, **options):
    class Fit:
        def compare(self, alternative, *, discretisation="sum"):
            return compare_tail(
                alternative, values, counts, discretisation=discretisation, **options
            )

    return Fit()


def test_table_of_all_laws():
    import matplotlib as mpl

    mpl.use("Agg")
    x = np.random.default_rng(5).lognormal(1.0, 1.0, 800)
    x = np.sort(x[x > 1.0])
    a = 1.0 + x.size / np.log(x).sum()
    options = {"xmin": 1.0, "alpha": a, "log_norm": -math.log(a - 1.0), "discrete": False}
    table = compare_all(_fit_stub(x, np.ones(x.size), **options))
    assert table.laws == ("power-law", *ALTERNATIVE_NAMES)
    assert table.n_tail == x.size
    power = x.size * math.log(a - 1.0) - a * np.log(x).sum()
    assert table.log_likelihood[0] == pytest.approx(power, rel=1e-12)
    k = np.array([1, 2, 1, 2, 2, 2])
    np.testing.assert_array_equal(table.n_parameters, k)
    np.testing.assert_allclose(table.aic, 2 * k - 2 * table.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(
        table.bic, k * math.log(x.size) - 2 * table.log_likelihood, rtol=1e-13
    )
    assert table.aic_weight.sum() == pytest.approx(1.0)
    assert table.laws[int(table.aic_weight.argmax())] == "lognormal"
    for weight, criterion in ((table.aic_weight, table.aic), (table.bic_weight, table.bic)):
        ratio = np.exp(-0.5 * (criterion[3] - criterion[1]))
        assert weight[3] / weight[1] == pytest.approx(ratio, rel=1e-9, abs=0.0)
    lines = table.summary().splitlines()
    assert len(lines) == 8
    places = {line.index(f"{value:.2f}") for line, value in zip(lines[1:7], table.aic, strict=True)}
    assert len(places) == 1  # all of one width here: an aligned column
    assert all(cell in lines[0] for cell in ("AIC", "BIC", "weight", "nested p"))
    assert lines[1].startswith("power-law")
    record = table.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    ax = table.plot()
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(ALTERNATIVE_NAMES)
    texts = {text.get_text() for text in ax.texts}
    assert {"p (nested)", "no Vuong test"} <= texts
    for ratio in table.ratios:
        nested = f"({ratio.nested_p_value:.2g})"
        vuong = f"{ratio.p_value:.2g}"
        want = {"exponential": vuong, "truncated": nested}
        assert want.get(ratio.alternative, f"{vuong} {nested}") in texts
    assert len(ax.lines) == 2 * 4 + 1  # an interval and a point per law but one; zero
    mpl.pyplot.close(ax.figure)


@pytest.mark.parametrize("discretisation", ["sum", "round"])
def test_no_vuong_test_of_a_law_that_ends_at_the_largest_value(discretisation):
    """It is nearer to every Pareto sample, by nearly the same amount at every point."""
    x = np.ceil(np.sort(np.random.default_rng(2).pareto(1.5, 2000) + 1.0))
    values, counts = np.unique(x, return_counts=True)
    options = {"xmin": 1.0, "alpha": 2.2, "log_norm": 0.4, "discrete": True}
    ratio = compare_tail(
        "truncated", values, counts.astype(float), discretisation=discretisation, **options
    )
    assert math.isnan(ratio.p_value)
    assert math.isnan(ratio.normalized_ratio)
    assert math.isnan(ratio.nested_p_value) == (discretisation == "round")
    assert "does not apply" in ratio.summary()
    assert "sign" not in ratio.summary()
    assert ratio.to_dict()["p_value"] is None
    table = tabulate([ratio])
    assert "does not apply to truncated" in table.summary()
    assert "nan" not in table.summary()


def test_table_names_what_is_wrong():
    fit = _fit_stub(np.array([1.0, 2.0]), np.ones(2))
    with pytest.raises(InputError, match="did you mean 'lognormal'"):
        compare_all(fit, ["log-normal"])
    with pytest.raises(InputError, match="distinct"):
        compare_all(fit, ["lognormal", "lognormal"])
    with pytest.raises(InputError, match="distinct"):
        compare_all(fit, [])
    with pytest.raises(InputError, match="sequence of names, got the text 'lognormal'"):
        compare_all(fit, "lognormal")


def test_sign_is_said_only_where_it_is_decided():
    rng = np.random.default_rng(1)
    alike = fit_power_law(rng.pareto(1.5, 3000) + 1.0).compare("cut-off")
    assert not alike.degenerate
    assert alike.p_value > 0.1
    assert "undecided" in alike.summary()
    apart = fit_power_law(rng.pareto(1.5, 2000) + 1.0, xmin=1.0).compare("exponential")
    assert apart.p_value < 0.1
    assert "favours the power law" in apart.summary()


@pytest.mark.parametrize("shape", [(1,), (40,), (5, 8)])
def test_adjusted_p_values_are_scipys(shape):
    p = np.random.default_rng(3).random(shape) ** 3
    expected = stats.false_discovery_control(p.ravel()).reshape(shape)
    np.testing.assert_allclose(adjust_p_values(p), expected, rtol=1e-14)
    with_gap = np.append(p.ravel(), math.nan)
    np.testing.assert_allclose(adjust_p_values(with_gap)[:-1], expected.ravel(), rtol=1e-14)
    assert math.isnan(adjust_p_values(with_gap)[-1])
    assert adjust_p_values([]).size == 0


@pytest.mark.parametrize("p", [[0.1, 1.2], [-1e-9], ["a"], [np.inf]])
def test_adjusted_p_values_refuse_what_is_no_probability(p):
    with pytest.raises(InputError, match="p_values"):
        adjust_p_values(p)


@pytest.mark.parametrize("law", ALTERNATIVE_NAMES)
@pytest.mark.parametrize("discrete", [False, True])
def test_ratio_knows_no_way_of_counting(law, discrete):
    rng = np.random.default_rng(12)
    values = np.arange(3.0, 60.0)
    counts = rng.integers(1, 9, values.size).astype(float)
    options = {"xmin": 3.0, "alpha": 2.0, "log_norm": 0.5, "discrete": discrete}
    one = compare_tail(law, values, counts, **options)
    twice = compare_tail(law, values, 2 * counts, **options)
    assert twice.ratio == pytest.approx(2 * one.ratio, rel=1e-9)
    assert twice.normalized_ratio == pytest.approx(
        math.sqrt(2) * one.normalized_ratio, rel=1e-8, nan_ok=True
    )
    for name, value in one.parameters.items():
        assert twice.parameters[name] == pytest.approx(value, rel=1e-6, nan_ok=True)


def test_bad_names_are_answered():
    options = {"xmin": 1.0, "alpha": 2.0, "log_norm": 0.0, "discrete": True}
    with pytest.raises(InputError, match="discretisation must be one of 'sum', 'round'"):
        compare_tail("lognormal", np.array([1.0, 2]), np.ones(2), discretisation="mass", **options)
    with pytest.raises(InputError, match="alternative must be one of"):
        compare_tail("weibull", np.array([1.0, 2]), np.ones(2), **options)


def test_nested_p_values_are_those_of_the_limit_laws():
    x = np.sort(np.random.default_rng(6).weibull(0.4, 300) + 0.2)
    norms = {"xmin": x[0], "log_norm": 0.0, "discrete": False}
    for law, alpha, degrees in [
        ("lognormal", 2.0, 0.5),
        ("stretched-exponential", 2.0, 0.5),
        ("cut-off", 1.4, 2),
        ("cut-off", 2.9, 1),
        ("cut-off", 3.1, 0.5),
        ("truncated", 2.0, 2),
    ]:
        ratio = compare_tail(law, x, np.ones(300), alpha=alpha, **norms)
        if ratio.ratio >= 0.0:  # alpha is not the best one here: R may have either sign
            assert ratio.nested_p_value == 1.0
            continue
        statistic = -2.0 * ratio.ratio
        p = (
            0.5 * stats.chi2(1).sf(statistic)
            if degrees == 0.5
            else stats.chi2(degrees).sf(statistic)
        )
        assert ratio.nested_p_value == pytest.approx(p, rel=1e-9, abs=0.0)


def test_p_of_the_half_and_half_mixture():
    x = np.sort(np.random.default_rng(1).lognormal(0.0, 1.0, 60))
    x = x[x > 1.0]
    a = 1.0 + x.size / np.log(x).sum()
    ratio = compare_tail(
        "lognormal",
        x,
        np.ones(x.size),
        xmin=1.0,
        alpha=a,
        log_norm=-math.log(a - 1),
        discrete=False,
    )
    assert ratio.ratio < -0.1
    p = 0.5 * stats.chi2(1).sf(-2.0 * ratio.ratio)
    assert ratio.nested_p_value == pytest.approx(p, rel=1e-9)


def test_a_fit_compares_with_all_laws_or_some_by_either_discretisation():
    fit = fit_power_law(np.random.default_rng(3).zipf(2.5, 2000), xmin=1)
    assert len(fit.compare_all().ratios) == len(ALTERNATIVE_NAMES)
    (summed,) = fit.compare_all(["lognormal"]).ratios
    (rounded,) = fit.compare_all(["lognormal"], discretisation="round").ratios
    assert summed == fit.compare("lognormal")
    assert rounded == fit.compare("lognormal", discretisation="round")
    assert rounded.log_likelihood != summed.log_likelihood
