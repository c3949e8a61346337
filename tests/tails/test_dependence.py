"""Dependence of series: known autocorrelations, nominal error rates, errors of dependent fits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr

from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.tails.dependence import block_bootstrap, check_independence
from spinnet.tails.dependence.blocks import automatic_block
from spinnet.tails.powerlaw import fit_power_law

RHO = 0.95


def gaussian_ar(rng, n, rho=RHO):
    """A stationary series of unit variance with autocorrelation rho^|lag|."""
    start = rng.standard_normal()
    steps = rng.standard_normal(n) * math.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], steps, zi=[rho * start])[0]


def pareto_ar(rng, n, alpha=2.5):
    """The same series with an exact Pareto marginal, xmin = 1."""
    return ndtr(-gaussian_ar(rng, n)) ** (-1.0 / (alpha - 1.0))


def test_the_autocorrelation_is_its_definition():
    x = np.random.default_rng(1).pareto(1.0, 300) + 1.0
    y = np.log(x) - np.log(x).mean()
    r = check_independence(x, max_lag=120).autocorrelation()
    expected = [y[: y.size - k] @ y[k:] / (y @ y) for k in range(121)]
    np.testing.assert_allclose(r, expected, atol=1e-13)


def test_the_statistic_is_its_definition():
    x = np.random.default_rng(2).pareto(1.0, 200) + 1.0
    found = check_independence(x, max_lag=11)
    r, n = found.autocorrelation(), 200
    scores = {}
    for m in (1, 2, 4, 8, 11):
        q = n * (n + 2) * sum(r[k] ** 2 / (n - k) for k in range(1, m + 1))
        scores[m] = (q - m) / math.sqrt(2 * m)
    assert found.statistic == pytest.approx(max(scores.values()), rel=1e-12)
    assert found.window == max(scores, key=scores.__getitem__)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("n", "null", "series"), [(150, "permutation", 600), (20_500, "normal", 300)]
)
def test_independent_values_fail_as_often_as_stated(n, null, series):
    # very heavy tails: ln x has all moments even so.  Shares within 4 binomial errors of nominal.
    rng = np.random.default_rng(3)
    found = [
        check_independence(rng.pareto(0.5, n) + 1.0, n_permutations=199, max_lag=30, rng=rng)
        for _ in range(series)
    ]
    assert {f.null for f in found} == {null}
    p = np.array([f.p_value for f in found])
    for level in (0.05, 0.2, 0.5):
        share = (p <= level + 1e-9).mean()
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / series) + 0.005
    assert all(f.independent == (f.p_value >= 0.05) for f in found)
    assert all(f.decorrelation_lag == 1 for f in found if f.independent)


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["memory", "period", "trend", "alternation"])
def test_dependence_of_every_kind_is_found(kind):
    # each effect has a signal of 8 standard deviations or more in one of the windows
    rng = np.random.default_rng(4)
    n = 4000
    noise = rng.standard_normal(n)
    t = np.arange(n)
    log_x = {
        "memory": gaussian_ar(rng, n, 0.2),
        "period": noise + 0.5 * np.sin(2 * np.pi * t / 150),
        "trend": noise + 0.6 * t / n,
        "alternation": noise - 0.2 * np.roll(noise, 1),
    }[kind]
    found = check_independence(np.exp(log_x))
    assert not found.independent
    assert found.p_value == pytest.approx(1 / 1000)


@pytest.mark.statistical
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95, -0.5])
def test_the_autocorrelation_time_of_ar1_is_known(rho):
    # tau = (1 + rho)/(2 (1 - rho)), never below 1/2; relative error of Sokal's estimate
    # sqrt(2 (2 W + 1)/n), W = 6 tau, times 5 for one false alarm in 10^6
    n = 200_000
    x = np.exp(gaussian_ar(np.random.default_rng(5), n, rho))
    found = check_independence(x)
    tau = max(0.5, (1 + rho) / (2 * (1 - rho)))
    error = 5 * math.sqrt(2 * (12 * tau + 1) / n)
    assert found.tau == pytest.approx(tau, rel=error)
    assert found.n_effective == pytest.approx(n / (2 * found.tau))
    if rho > 0:
        # |r| falls to 1.96/sqrt(n) at ln(1.96/sqrt(n))/ln(rho), up to noise of about 1/sqrt(n)
        lag = math.log(1.96 / math.sqrt(n)) / math.log(rho)
        assert 0.6 * lag < found.decorrelation_lag < 1.7 * lag + 2


def test_thinning_leaves_independent_values():
    x = pareto_ar(np.random.default_rng(6), 30_000)
    found = check_independence(x)
    step = found.decorrelation_lag
    assert 40 < step < 200
    kept = found.thinned(x)
    np.testing.assert_array_equal(kept, x[::step])
    np.testing.assert_array_equal(found.thinned(x, offset=step - 1), x[step - 1 :: step])
    assert check_independence(kept).independent
    assert f"one value in {step} ({kept.size} remain" in found.summary()
    # all offsets together are the series
    parts = np.concatenate([found.thinned(x, offset=k) for k in range(step)])
    np.testing.assert_array_equal(np.sort(parts), np.sort(x))
    integers = np.arange(30_000)
    assert found.thinned(integers).dtype == integers.dtype


def test_the_decorrelation_lag_is_the_first_of_two_within_the_band():
    x = pareto_ar(np.random.default_rng(19), 5000)
    found = check_independence(x)
    inside = np.abs(found.autocorrelation()) <= 1.96 / math.sqrt(5000)
    expected = next(k for k in range(1, 1000) if inside[k] and inside[k + 1])
    assert found.decorrelation_lag == expected


def test_a_trend_has_no_decorrelation_lag():
    x = np.exp(np.linspace(0, 5, 400))
    found = check_independence(x, max_lag=50)
    assert found.decorrelation_lag is None
    assert "trend" in found.summary()
    with pytest.raises(StatisticsError, match="up to lag 50") as caught:
        found.thinned(x)
    assert caught.value.estimate["max_lag"] == 50


def test_scale_does_not_matter_and_order_does():
    x = pareto_ar(np.random.default_rng(7), 2000)
    base = check_independence(x)
    scaled = check_independence(x * 1e-30)
    assert (scaled.p_value, scaled.decorrelation_lag) == (base.p_value, base.decorrelation_lag)
    assert scaled.tau == pytest.approx(base.tau, rel=1e-9)
    # a power only stretches ln x
    assert check_independence(x**3).tau == pytest.approx(base.tau, rel=1e-9)
    rng = np.random.default_rng(0)
    shuffled = [check_independence(rng.permutation(x), n_permutations=99) for _ in range(20)]
    assert not base.independent
    assert sum(found.independent for found in shuffled) >= 14  # 19 expected: fails once in 10^4


def test_the_test_is_the_same_every_time_and_for_every_seed_nearly():
    x = np.random.default_rng(8).pareto(1.0, 500) + 1.0
    assert check_independence(x) == check_independence(x)
    p = [check_independence(x, rng=s).p_value for s in range(8)]
    assert len(set(p)) > 1
    assert np.std(p) < 0.1


@pytest.mark.statistical
@pytest.mark.slow
def test_false_alarms_of_dependent_data_and_their_cure():
    # power_laws.md 2.4: AR(1) data with an exact Pareto marginal are rejected (p < 0.1) in half
    # of the cases; thinned to tau*, in a tenth.  80 series: errors 0.056 and 0.034; the limits
    # are 4 errors away from 0.5 and 0.1.
    rng = np.random.default_rng(9)
    rejected, thinned = [], []
    for _ in range(80):
        short = pareto_ar(rng, 2000)
        rejected.append(fit_power_law(short, n_bootstrap=60, rng=rng).p_value < 0.1)
        long = pareto_ar(rng, 15_000)
        kept = check_independence(long, n_permutations=99).thinned(long)
        thinned.append(fit_power_law(kept, n_bootstrap=60, rng=rng).p_value < 0.1)
    assert np.mean(rejected) > 0.28
    assert np.mean(thinned) < 0.1 + 4 * 0.034


@pytest.mark.statistical
def test_the_block_bootstrap_error_is_the_true_one():
    # n = 4000, xmin known.  True sd from 400 series (relative error 0.035), mean of 16 bootstrap
    # errors (0.2 each, measured: 0.05), blocks bias it by -0.05 (Politis and White's formula):
    # 0.05 + 4 sqrt(0.035^2 + 0.05^2) = 0.29.  The textbook error is 6 times too small.
    rng = np.random.default_rng(10)
    n = 4000
    alphas = [fit_power_law(pareto_ar(rng, n), xmin=1.0).alpha for _ in range(400)]
    found = [
        block_bootstrap(pareto_ar(rng, n), xmin=1.0, n_bootstrap=60, rng=rng) for _ in range(16)
    ]
    assert np.mean([f.alpha_error for f in found]) == pytest.approx(np.std(alphas), rel=0.29)
    assert np.mean([f.inflation for f in found]) > 4
    assert all(f.xmin_error == 0 and f.xmin_interval == (1.0, 1.0) for f in found)
    covered = np.mean([f.alpha_interval[0] <= 2.5 <= f.alpha_interval[1] for f in found])
    assert covered >= 10 / 16  # 95 % nominal: below this once in 10^6


@pytest.mark.statistical
@pytest.mark.slow
def test_the_block_bootstrap_holds_with_xmin_searched_for():
    # as above; the spread of single bootstrap errors is 0.25, the mean of 16: 0.06
    rng = np.random.default_rng(12)
    n = 4000
    alphas = [fit_power_law(pareto_ar(rng, n)).alpha for _ in range(300)]
    found = [block_bootstrap(pareto_ar(rng, n), n_bootstrap=60, rng=rng) for _ in range(16)]
    assert np.mean([f.alpha_error for f in found]) == pytest.approx(np.std(alphas), rel=0.34)
    assert all(f.xmin_error > 0 for f in found)


@pytest.mark.statistical
def test_for_independent_values_the_error_is_the_textbook_one():
    # 200 resamples: relative error 0.05; blocks of a few values change nothing else
    x = np.random.default_rng(13).pareto(1.5, 3000) + 1.0
    found = block_bootstrap(x, xmin=1.0, rng=1)
    assert found.block <= 15
    assert found.inflation == pytest.approx(1.0, abs=0.25)
    single = block_bootstrap(x, block=1, xmin=1.0, rng=1)
    assert single.inflation == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(("rho", "n"), [(0.5, 100_000), (0.9, 100_000), (0.95, 100_000)])
def test_the_automatic_block_is_that_of_the_known_autocovariance(rho, n):
    # G/g = 2 rho/(1 - rho^2) for AR(1), so the block is (3/2 (2 rho/(1 - rho^2))^2 n)^(1/3)
    expected = (1.5 * (2 * rho / (1 - rho**2)) ** 2 * n) ** (1 / 3)
    found = automatic_block(gaussian_ar(np.random.default_rng(14), n, rho))
    assert found == pytest.approx(expected, rel=0.2)


def test_resamples_are_blocks_of_the_series_closed_to_a_circle():
    from spinnet.tails.dependence.blocks import _circular_blocks

    rng = np.random.default_rng(15)
    seen = set()
    for _ in range(200):
        index = _circular_blocks(10, 4, rng)
        assert index.shape == (10,)
        for start in (0, 4, 8):
            part = index[start : start + 4]
            np.testing.assert_array_equal((part - part[0]) % 10, np.arange(part.size))
            seen.add(int(part[0]))
    assert seen == set(range(10))


def test_a_seed_gives_the_same_resamples_and_blocks_are_obeyed():
    x = pareto_ar(np.random.default_rng(16), 1000)
    a, b = (block_bootstrap(x, block=25, n_bootstrap=20, rng=3) for _ in range(2))
    assert a.to_dict() == b.to_dict()
    np.testing.assert_array_equal(a.replicates()[0], b.replicates()[0])
    assert a.block == 25
    alphas, xmins = a.replicates()
    assert a.alpha_interval == pytest.approx(np.percentile(alphas, [2.5, 97.5]))
    assert a.xmin_interval == pytest.approx(np.percentile(xmins, [2.5, 97.5]))
    assert a.alpha_error == pytest.approx(np.std(alphas, ddof=1))
    other = block_bootstrap(x, block=25, n_bootstrap=20, rng=4)
    assert other.alpha_error != a.alpha_error
    fit = fit_power_law(x)
    assert (a.alpha, a.xmin) == (fit.alpha, fit.xmin)
    wide = block_bootstrap(x, block=25, n_bootstrap=20, rng=3, confidence=0.5)
    assert wide.alpha_error == a.alpha_error
    assert wide.alpha_interval[1] < a.alpha_interval[1]
    options = block_bootstrap(x, n_bootstrap=20, rng=3, min_tail=900, convention="left")
    same = fit_power_law(x, min_tail=900, convention="left")
    assert (options.alpha, options.xmin) == (same.alpha, same.xmin)
    window = block_bootstrap(x, n_bootstrap=20, rng=3, xmin=1.0, xmax=5.0)
    assert window.alpha == fit_power_law(x, xmin=1.0, xmax=5.0).alpha
    assert window.alpha != block_bootstrap(x, n_bootstrap=20, rng=3, xmin=1.0).alpha


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**900])
def test_errors_scale_with_the_unit(scale):
    x = pareto_ar(np.random.default_rng(21), 400)
    base, found = (block_bootstrap(x * s, n_bootstrap=20, rng=1) for s in (1.0, scale))
    assert found.xmin_error == pytest.approx(base.xmin_error * scale, rel=1e-9)
    assert found.xmin_interval == pytest.approx(np.array(base.xmin_interval) * scale, rel=1e-9)
    assert found.alpha_error == pytest.approx(base.alpha_error, rel=1e-9)


def test_a_given_xmin_keeps_resamples_with_short_tails():
    # a tail of exactly min_tail: half of the resamples have fewer, and leaving them out would
    # narrow the distribution of alpha
    x = np.random.default_rng(20).pareto(1.5, 400) + 1.0
    xmin = float(np.sort(x)[-50])
    found = block_bootstrap(x, xmin=xmin, min_tail=50, n_bootstrap=200, rng=1)
    assert found.n_failed == 0
    # 200 resamples: relative error 0.05; the number in the tail, which varies, adds 1/(2*50)
    assert found.inflation == pytest.approx(1.0, abs=0.25)
    assert "99.5 %" in block_bootstrap(x, confidence=0.995, n_bootstrap=20, rng=1).summary()


def test_resamples_without_a_fit_are_counted():
    # one block holds nearly all distinct values: resamples without it have too few
    x = np.concatenate([np.full(600, 2.0), np.linspace(3, 9, 12)])
    with pytest.warns(SpinnetWarning, match="resamples could not be fitted and are left out"):
        found = block_bootstrap(x, block=300, n_bootstrap=40, discrete=False, rng=1, min_tail=10)
    assert 0 < found.n_failed <= 20
    assert np.isnan(found.replicates()[0]).sum() == found.n_failed
    assert "not fitted" in found.summary()
    with pytest.raises(StatisticsError, match="too few blocks") as caught:
        block_bootstrap(x, block=5, n_bootstrap=40, discrete=False, rng=1, min_tail=10)
    assert isinstance(caught.value.estimate, int)


GOOD = np.exp(np.random.default_rng(0).standard_normal(100))


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ([1.0, math.nan], {}, r"x must be finite, got 1 .* index \(1,\)"),
        ([1.0, 0.0, -1.0], {}, r"x must be > 0, got 2 .* index \(1,\): 0"),
        (np.ones((3, 3)), {}, "1 dimension"),
        (GOOD, {"max_lag": 0}, "max_lag must be an integer >= 1 and <= 98, got 0"),
        (GOOD, {"max_lag": 99}, "max_lag must be"),
        (GOOD, {"n_permutations": 10}, "n_permutations must be an integer >= 19"),
        (GOOD, {"rng": 1.5}, "rng must be"),
    ],
)
def test_bad_input_of_the_check_is_named(x, options, message):
    with pytest.raises(InputError, match=message):
        check_independence(x, **options)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ([1.0, math.inf], {}, "x must be finite"),
        (GOOD, {"block": 51}, "block must be an integer >= 1 and <= 50, got 51"),
        (GOOD, {"block": "atuo"}, "block must be 'auto' or an integer, got 'atuo'"),
        (GOOD, {"block": 0}, "block must be"),
        (GOOD, {"n_bootstrap": 10}, "n_bootstrap must be an integer >= 20"),
        (GOOD, {"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1"),
        (GOOD, {"convention": "cns"}, "did you mean 'csn'"),
        (GOOD, {"discrete": True}, "whole numbers"),
    ],
)
def test_bad_input_of_the_bootstrap_is_named(x, options, message):
    with pytest.raises(InputError, match=message):
        block_bootstrap(x, **options)


@pytest.mark.parametrize("function", [check_independence, block_bootstrap])
def test_too_little_data_is_refused(function):
    with pytest.raises(StatisticsError, match=r"x has 49 value\(s\)") as caught:
        function(np.arange(1.0, 50.0))
    assert caught.value.estimate == {"n": 49}
    with pytest.raises(StatisticsError, match="all 60 values of x are equal"):
        function(np.full(60, 0.1))


def test_thinning_another_series_is_refused():
    found = check_independence(GOOD)
    with pytest.raises(InputError, match=r"shape \(100,\) as checked, got \(99,\)"):
        found.thinned(GOOD[1:])
    with pytest.raises(InputError, match="offset must be an integer >= 0 and <= 0, got 1"):
        found.thinned(GOOD, offset=1)


def test_records_are_plain_json_and_figures_are_labelled():
    from matplotlib.figure import Figure

    x = pareto_ar(np.random.default_rng(18), 1500)
    check = check_independence(x)
    boot = block_bootstrap(x, n_bootstrap=20, rng=2)
    for result in (check, boot):
        record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert record["n"] == 1500
        assert record["schema"] == 1
        ax = Figure().subplots()
        assert result.plot(ax) is ax
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    assert check.to_dict()["decorrelation_lag"] == check.decorrelation_lag
    assert boot.to_dict()["alpha_interval"] == list(boot.alpha_interval)
    assert f"blocks of {boot.block}" in boot.summary()
