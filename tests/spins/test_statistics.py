"""Errors of correlated data against processes whose truth is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats
from scipy.signal import lfilter

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins import statistics


def ar1(rng, rho, shape, mean=0.0):
    """Stationary x_t = rho x_{t-1} + noise of variance 1: tau = (1 + rho)/(2 (1 - rho))."""
    noise = rng.normal(size=shape) * math.sqrt(1 - rho**2)
    start = rng.normal(size=(shape[0], 1))
    return lfilter([1.0], [1.0, -rho], noise, axis=1, zi=rho * start)[0] + mean


@pytest.mark.statistical
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.97])
def test_autocorrelation_time_of_ar1(rho, seed):
    n_replicas, n_steps = 16, 20_000
    tau = (1 + rho) / (2 * (1 - rho))
    data = ar1(np.random.default_rng(seed), rho, (n_replicas, n_steps), mean=3.0)
    found = statistics.autocorrelation_time(data)
    # Sokal: Var(tau) = 2 (2 M + 1)/n tau^2 with window M = 6 tau; 4 standard errors, and the
    # bias e^-6 of the window; max(1/2, .) only cuts white noise from below
    error = tau * math.sqrt(2 * (12 * tau + 1) / data.size)
    assert abs(found - tau) < 4 * error + math.exp(-6) * tau, (found, tau, error, data.shape)
    np.testing.assert_allclose(
        statistics.effective_sample_size(data), data.size / (2 * found), rtol=1e-14
    )


@pytest.mark.statistical
@pytest.mark.parametrize("rho", [-0.3, -0.6, -0.9])
def test_alternating_series_know_their_mean_better_than_white_noise(rho, seed):
    found = statistics.autocorrelation(ar1(np.random.default_rng(seed), rho, (4, 20_000)))
    tau = (1 + rho) / (2 * (1 - rho))
    assert abs(found.tau - tau) < 4 * found.error, (tau, found.summary())
    # the window follows the memory, 2 tau of the even lags - 1/2, and not tau
    memory = 0.5 + 2 * rho**2 / (1 - rho**2)
    assert 0.8 * memory < found.memory < 1.25 * memory
    assert found.window >= 6 * found.memory


def test_series_that_do_not_move_have_no_autocorrelation_time():
    for value in (0.0, 1.0, -1e12, 1 / 3):
        constant = np.full((4, 100), value)
        assert math.isnan(statistics.autocorrelation_time(constant))
        assert math.isnan(statistics.split_rhat(constant))
        result = statistics.estimate(np.full((8, 100), value))
        np.testing.assert_allclose(result.value, value, rtol=1e-15)
        assert result.error <= 1e-15 * abs(value)
        assert result.note == ""
    assert math.isnan(statistics.autocorrelation_time([5.0]))
    assert math.isnan(statistics.split_rhat([1.0, 2.0, 3.0]))


def test_chains_frozen_at_different_values_never_mix():
    frozen = np.repeat(np.arange(4.0)[:, None], 100, axis=1)
    assert statistics.split_rhat(frozen) == math.inf
    # the pooled autocorrelation never decays: tau is of the order of the chain
    assert statistics.autocorrelation(frozen).tau > 10
    assert math.isnan(statistics.autocorrelation_time(frozen))


@pytest.mark.statistical
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_split_rhat_is_that_of_arviz(offset, seed):
    data = ar1(np.random.default_rng(seed), 0.8, (6, 1000)) + offset * np.arange(6)[:, None]
    expected = array_stats.rhat(data, method="split")
    np.testing.assert_allclose(statistics.split_rhat(data), expected, rtol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_effective_sample_size_is_near_that_of_arviz(rho, seed):
    data = ar1(np.random.default_rng(seed), rho, (8, 5000))
    expected = float(array_stats.ess(data, method="mean"))
    # two windows on the same 40 000 values: each is good to 5 % at tau = 9.5 (Sokal's formula)
    np.testing.assert_allclose(statistics.effective_sample_size(data), expected, rtol=0.1)


@pytest.mark.statistical
@pytest.mark.parametrize(("n_replicas", "n_steps"), [(64, 200), (8, 200), (2, 8000), (1, 16_000)])
def test_standard_errors_are_calibrated(n_replicas, n_steps, seed):
    """z = (mean - truth)/error over 200 series has the variance of Student's t.

    The variance of z is (units - 1)/(units - 3), and its scatter over 200 series is measured
    from the kurtosis of t; the band is 4 of those (false alarms below 1e-4 each).
    """
    rng = np.random.default_rng(seed)
    z = []
    for _ in range(200):
        result = statistics.estimate(ar1(rng, 0.8, (n_replicas, n_steps), mean=1.0))
        z.append(float((result.value - 1) / result.error))
    # few chains: N/(2 W + 1 - 2 tau) = N/(10 tau + 1) values stand behind the error (Wolff)
    units = n_replicas if n_replicas >= 8 else n_replicas * n_steps / 46
    variance = (units - 1) / (units - 3)
    kurtosis = 3 + 6 / max(units - 5, 1)
    scatter = variance * math.sqrt((kurtosis - 1) / 200)
    assert abs(np.mean(np.square(z)) - variance) < 4 * scatter, (np.mean(np.square(z)), variance)
    assert abs(np.mean(z)) < 4 * math.sqrt(variance / 200)


def test_the_error_of_a_mean_is_the_scatter_of_the_replicas(seed):
    data = np.random.default_rng(seed).normal(size=(12, 50))
    result = statistics.estimate(data)
    np.testing.assert_allclose(result.value, data.mean(), rtol=1e-13)
    direct = data.mean(axis=1).std(ddof=1) / math.sqrt(12)
    np.testing.assert_allclose(result.error, direct, rtol=1e-12)


def test_the_jackknife_leaves_out_one_replica_at_a_time(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(2, 1, size=(10, 40)), rng.normal(1, 1, size=(10, 40))
    result = statistics.derive([x, y], lambda a, b: math.sqrt(a) / b, x)  # plain floats suffice
    keep = [np.delete(np.arange(10), k) for k in range(10)]
    left = np.array([math.sqrt(x[k].mean()) / y[k].mean() for k in keep])
    direct = math.sqrt(9 / 10 * np.sum((left - left.mean()) ** 2))
    np.testing.assert_allclose(result.value, math.sqrt(x.mean()) / y.mean(), rtol=1e-13)
    np.testing.assert_allclose(result.error, direct, rtol=1e-10)


def test_too_few_or_too_short_chains_give_a_reason_instead_of_an_error(seed):
    rng = np.random.default_rng(seed)
    for data in (ar1(rng, 0.99, (4, 500)), rng.normal(size=(1, 3)), [[1.0]]):
        result = statistics.estimate(data)
        assert np.isnan(result.error)
        assert "give no error: use at least 8 replicas" in result.note
        assert "(?)" in str(result)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.42358, 0.0012, "0.4236(12)"),
        (0.42358, 0.000999, "0.4236(10)"),
        (0.42358, 0.0996, "0.42(10)"),
        (-1.5, 0.25, "-1.50(25)"),
        (12.345, 9.96, "12(10)"),
        (12.345, 2.34, "12.3(23)"),
        (123.4, 12.3, "123(12)"),
        (5678.9, 1234.0, "5679(1234)"),
        (1.0, 0.0, "1(0)"),
        (1.0, 1e-17, "1(0)"),
        (1e15, 3.0, "1000000000000000.0(30)"),
        (-9.76429e-163, 1.57e-162, "-1.0(16)e-162"),
        (1.234e17, 2.3e14, "1.2340(23)e17"),
        (1.7e308, 1e307, "1.70(10)e308"),
        (0.0, 0.01, "0.000(10)"),
        (1.0, math.nan, "1(?)"),
        (math.nan, math.nan, "nan(?)"),
        (math.nan, 0.1, "nan"),
    ],
)
def test_errors_are_printed_in_units_of_the_last_digits(value, error, text):
    assert statistics.format_with_error(value, error) == text


def test_estimates_print_and_are_plain_numbers():
    one = statistics.estimate(np.tile([0.0, 1.0], (8, 10)))
    grid = statistics.stack([one, one], (2,))
    assert str(one) == "0.5(0)"
    assert repr(grid) == "Estimate([0.5(0), 0.5(0)])"
    assert grid.value.shape == grid.tau.shape == (2,)
    assert json.loads(json.dumps(grid.to_dict()))["value"] == [0.5, 0.5]


def test_binder_cumulant_of_known_laws():
    np.testing.assert_allclose(sn.binder_cumulant([1.0, 2.0], [1.0, 4.0]), 2 / 3, rtol=1e-15)
    assert sn.binder_cumulant(1.0, 3.0) == 0
    assert np.isnan(sn.binder_cumulant(0.0, 0.0))


@pytest.mark.parametrize("series", [[], np.empty((3, 0)), np.zeros((2, 2, 2)), [np.nan], ["a"]])
def test_what_is_no_set_of_chains_is_refused(series):
    for function in (
        statistics.estimate,
        statistics.autocorrelation_time,
        statistics.split_rhat,
        statistics.effective_sample_size,
    ):
        with pytest.raises(InputError, match="series must"):
            function(series)


def test_the_summary_of_a_run_says_why_numbers_are_missing():
    model = sn.CurieWeiss(16)
    short = sn.sample(model, [0.5, 0.9], n_sweeps=3, n_replicas=8, rng=1).summary().splitlines()
    assert short[-3].endswith("errors are one standard error over replicas")
    assert short[-2].startswith("sampled by Independent()")
    assert short[-1].startswith("chains of 3 step(s) are shorter than 50 autocorrelation times")
    few = sn.sample(model, 0.9, n_sweeps=20, n_replicas=2, rng=1, update=sn.HeatBath())
    few = few.summary().splitlines()
    assert few[-3].endswith("errors are one standard error from autocorrelations")
    assert few[-2].startswith("sampled by HeatBath()")
    assert few[-1].startswith("2 chain(s) of 20 sweeps give no error: use at least 8 replicas")
    alone = sn.sample(sn.CurieWeiss(1), 0.9, n_sweeps=900, n_replicas=2, rng=1).summary()
    assert "give no error" in alone  # |m| = 1 does not move


# --- independent Curie-Weiss samples ------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("n", "beta", "J", "h"),
    [
        (1, 0.7, 1.0, 0.3),
        (2, 1.0, 1.0, 0.0),
        (10, 1.3, 1.0, 0.0),
        (11, 0.9, 1.0, -0.2),
        (40, 1.0, -0.5, 0.1),
        (12, 0.0, 1.0, 1.0),
    ],
)
def test_independent_samples_follow_the_exact_probabilities(n, beta, J, h, seed):
    size = 200_000
    m = sn.iid_curie_weiss(n, beta, size, J=J, h=h, rng=seed)
    total = np.arange(-n, n + 1, 2)
    log_p = np.array([math.log(math.comb(n, (n + t) // 2)) for t in total])
    log_p += beta * (J * total**2 / (2 * n) + h * total)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    counts = np.array([(np.rint(m * n) == t).sum() for t in total])
    assert counts.sum() == size
    rare = size * p < 10
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(size * p[~rare], size * p[rare].sum())
    keep = expected > 5
    chi2 = np.sum((observed - expected)[keep] ** 2 / expected[keep])
    # false-alarm rate 1e-4
    assert chi2 < stats.chi2.ppf(1 - 1e-4, keep.sum() - 1 or 1), (chi2, observed, expected)


@pytest.mark.statistical
@pytest.mark.parametrize(("n", "beta"), [(1000, 1.0), (10**6, 1.0), (10**7, 0.5), (10**6, 1.2)])
def test_moments_of_independent_samples(n, beta, seed):
    m = sn.iid_curie_weiss(n, beta, 20_000, rng=seed)
    exact = sn.exact.curie_weiss(n, beta)
    for values, expected in [(np.abs(m), exact.abs_m), (m**2, exact.m2), (m**4, exact.m4), (m, 0)]:
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert abs(values.mean() - expected) < 4 * error, (values.mean(), expected, error)


def test_independent_samples_repeat_with_their_seed():
    assert (
        sn.iid_curie_weiss(50, 1.0, 9, rng=3).tolist()
        == sn.iid_curie_weiss(50, 1.0, 9, rng=3).tolist()
    )
    assert sn.iid_curie_weiss(50, 1.0, 0).shape == (0,)
    assert np.abs(sn.iid_curie_weiss(7, 1e6, 100, h=-0.1, rng=3) + 1).max() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1.0, 5), "n_spins must be"),
        ((5, -1.0, 5), "beta must be >= 0"),
        ((5, [1.0, 2.0], 5), "beta must be a single number"),
        ((5, np.inf, 5), "beta must be finite"),
        ((5, 1.0, -1), "n_samples must be an integer >= 0"),
    ],
)
def test_bad_requests_for_independent_samples_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        sn.iid_curie_weiss(*arguments)
