"""The autocorrelation time, its error and its refusals, against processes of known memory."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import numpy as np
import pytest
from scipy.signal import lfilter

from spinnet.errors import InputError, StatisticsError
from spinnet.spins import statistics
from spinnet.spins.statistics.autocovariance import pooled_autocovariance

mpl.use("Agg")


def ar1(rng, tau, shape):
    """Stationary autoregression of variance 1 with the given integrated time."""
    rho = (2 * tau - 1) / (2 * tau + 1)
    noise = rng.normal(size=shape) * math.sqrt(1 - rho**2)
    start = rng.normal(size=(shape[0], 1))
    return lfilter([1.0], [1.0, -rho], noise, axis=1, zi=rho * start)[0]


@pytest.mark.parametrize(("n_chains", "n_steps"), [(1, 1), (1, 5), (3, 64), (4, 65), (2, 5000)])
def test_autocovariances_are_the_sums_they_stand_for(n_chains, n_steps, seed):
    x = np.random.default_rng(seed).normal(size=(n_chains, n_steps))
    for n_lags in {1, min(64, n_steps), min(65, n_steps), min(700, n_steps), n_steps}:
        direct = [
            np.sum(x[:, : n_steps - k] * x[:, k:]) / (n_chains * (n_steps - k))
            for k in range(n_lags)
        ]
        # rounding of sums of 10 000 products of order 1, over at least one pair
        np.testing.assert_allclose(pooled_autocovariance(x, n_lags), direct, atol=1e-11)


@pytest.mark.statistical
@pytest.mark.parametrize("method", ["sokal", "gamma"])
@pytest.mark.parametrize(
    ("tau", "n_chains", "n_steps"),
    [(0.5, 1, 5000), (1.0, 4, 1000), (10.0, 1, 20_000), (10.0, 16, 1250), (100.0, 2, 50_000)],
)
def test_claimed_errors_of_tau_are_its_scatter(method, tau, n_chains, n_steps, seed):
    """z over 100 series: variance 1 and mean 0, each to 4 of its own standard errors.

    The chance of a false alarm is 6e-5 a comparison for normal z.  The window makes two
    exceptions: for white noise the window of "gamma" is one or two lags, shorter than its error
    formula allows for, which leaves z below 1; and tau of n = 1000 tau is low by 0.1 errors.
    """
    rng = np.random.default_rng(seed)
    found = [
        statistics.autocorrelation(ar1(rng, tau, (n_chains, n_steps)), method=method)
        for _ in range(100)
    ]
    z = np.array([(item.tau - tau) / item.error for item in found])
    spread = 4 * math.sqrt(2 / z.size)
    low = 0.25 if (method, tau) == ("gamma", 0.5) else 1 - spread
    assert low < np.mean(z**2) < 1 + spread, np.mean(z**2)
    assert abs(z.mean()) < 4 / math.sqrt(z.size) + 0.2, z.mean()
    assert all(item.reliable for item in found)


@pytest.mark.statistical
@pytest.mark.parametrize("tau", [0.5, 1.0, 10.0, 100.0])
def test_errors_of_means_are_calibrated(tau, seed):
    """Few long chains: z over 60 series of 1000 tau, one chain and two in turn."""
    rng = np.random.default_rng(seed)
    z = []
    for k in range(60):
        n_chains = 1 + k % 2
        result = statistics.estimate(ar1(rng, tau, (n_chains, int(1000 * tau) // n_chains)))
        assert result.note == ""
        z.append(float(result.value / result.error))
    # 60 normal z: the mean of their squares scatters by 0.18; 4 of these (false alarms 1e-4)
    assert 0.27 < np.mean(np.square(z)) < 1.73 * 1.04, np.mean(np.square(z))


@pytest.mark.statistical
def test_functions_of_few_chains_have_calibrated_errors(seed):
    """m^2/<x>: the autocorrelations of the linearised series give the error."""
    rng = np.random.default_rng(seed)
    z = []
    for _ in range(100):
        x = 3 + ar1(rng, 5.0, (2, 4000))
        ratio = statistics.derive([x, x**2], lambda a, b: b / a**2, x)
        z.append(float((ratio.value - 10 / 9) / ratio.error))
    assert abs(np.mean(np.square(z)) - 1) < 4 * math.sqrt(2 / 100)  # false alarms 6e-5


def test_common_mean_is_given_back():
    # four values of two chains by hand: covariances about the common mean, window to the end
    x = np.array([[1.0, 2.0], [4.0, 5.0]])
    found = statistics.autocorrelation(x, window=1e-9)
    c0 = np.mean((x - 3) ** 2)
    c1 = np.mean((x[:, 0] - 3) * (x[:, 1] - 3))
    total = (c0 + 2 * c1) * (1 + 3 / 4)
    assert found.window == 1
    np.testing.assert_allclose(found.variance, c0 + total / 4, rtol=1e-14)
    np.testing.assert_allclose(found.tau, total / (2 * (c0 + total / 4)), rtol=1e-14)


@pytest.mark.statistical
def test_means_of_single_chains_would_hide_chains_that_differ(seed):
    rng = np.random.default_rng(seed)
    apart = rng.normal(size=(4, 1000)) + 10 * np.arange(4)[:, None]
    assert statistics.autocorrelation(apart).tau > 100
    assert not statistics.autocorrelation(apart).reliable


def test_short_chains_are_refused_for_few_and_for_many(seed):
    rng = np.random.default_rng(seed)
    for n_chains in (1, 4, 16, 64):
        x = ar1(rng, 10.0, (n_chains, 300))
        found = statistics.autocorrelation(x)
        assert not found.reliable
        assert "300 step(s) are shorter than 50 autocorrelation times" in found.note
        assert found.tau > 0  # told, and not to be trusted
        assert math.isnan(statistics.autocorrelation_time(x))
        assert math.isnan(statistics.effective_sample_size(x))
        with pytest.raises(StatisticsError, match="shorter than 50") as caught:
            statistics.autocorrelation_time(x, strict=True)
        assert caught.value.estimate.tau == found.tau
        result = statistics.estimate(x)
        assert math.isnan(result.tau)
        assert math.isnan(result.n_eff)
        assert math.isnan(result.tau_error)
        if n_chains < 8:
            assert math.isnan(result.error)
            assert "give no error" in result.note
        else:  # replicas are independent whatever the length
            assert result.error > 0
            assert f"over {n_chains} replicas, rests on their starts" in result.note


def test_fifty_autocorrelation_times_are_the_limit(seed):
    long = ar1(np.random.default_rng(seed), 10.0, (8, 4000))
    tau = statistics.autocorrelation_time(long, strict=True)
    kept = [n for n in range(300, 800, 10) if statistics.autocorrelation(long[:, :n]).reliable]
    # tau of each piece is known to a fifth, so that the limit lies near 50 tau of the whole
    assert 0.6 * 50 * tau < kept[0] < 1.6 * 50 * tau


def test_drifting_and_frozen_chains_give_no_error(seed):
    rng = np.random.default_rng(seed)
    drifting = rng.normal(size=(16, 1000)) + np.linspace(0, 1, 1000)
    result = statistics.estimate(drifting)
    assert math.isnan(result.error)
    assert "drift" in result.note
    frozen = np.repeat(rng.normal(size=(16, 1)), 100, axis=1)
    result = statistics.estimate(frozen)
    assert math.isnan(result.error)
    assert result.rhat == math.inf
    assert "frozen at different values" in result.note
    for still in (np.full((1, 500), 2.0), np.full((3, 500), 2.0)):
        assert math.isnan(statistics.estimate(still).error)  # one start tells nothing
    still = statistics.estimate(np.full((8, 500), 2.0))
    assert (still.error, still.note) == (0, "")
    with pytest.raises(StatisticsError, match="does not move"):
        statistics.autocorrelation_time(frozen[:1], strict=True)


@pytest.mark.statistical
def test_drift_alarms_are_rare(seed):
    rng = np.random.default_rng(seed)
    notes = [statistics.estimate(ar1(rng, 2.0, (8, 200))).note for _ in range(300)]
    assert not any("drift" in note for note in notes)  # level 1e-5: once in 330 such tests


@pytest.mark.statistical
def test_two_state_chains_have_the_time_of_their_matrix(seed):
    """Flips with probability p up and q down: rho(t) = (1 - p - q)^t, an exact tau."""
    rng = np.random.default_rng(seed)
    p, q = 0.05, 0.15
    state, chain = np.zeros(8), np.empty((8, 20_000))
    for t in range(chain.shape[1]):
        u = rng.random(8)
        state = np.where(state == 0, u < p, u >= q).astype(float)
        chain[:, t] = state
    found = statistics.autocorrelation(chain)
    tau = (2 - p - q) / (2 * (p + q))
    assert abs(found.tau - tau) < 4 * found.error, (found.summary(), tau)
    assert abs(found.variance - p * q / (p + q) ** 2) < 0.01


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_values_whose_squares_are_no_doubles_keep_their_errors(scale, seed):
    few = ar1(np.random.default_rng(seed), 2.0, (3, 800))
    many = ar1(np.random.default_rng(seed), 2.0, (9, 60))
    for x in (few, many):
        plain, moved = statistics.autocorrelation(x), statistics.autocorrelation(scale * x)
        np.testing.assert_allclose(moved.tau, plain.tau, rtol=1e-7)
        np.testing.assert_allclose(moved.mean_error / scale, plain.mean_error, rtol=1e-7)
        assert json.dumps(moved.to_dict(), allow_nan=False)
        plain, moved = statistics.estimate(x), statistics.estimate(scale * x)
        np.testing.assert_allclose(moved.error / scale, plain.error, rtol=1e-7)
        # rounding of the scaled series moves a number near 1 by rounding
        np.testing.assert_allclose(statistics.split_rhat(scale * x), plain.rhat, rtol=1e-7)
        blocks = [statistics.blocking(factor * x).errors / factor for factor in (1, scale)]
        np.testing.assert_allclose(blocks[1], blocks[0], rtol=1e-7)
    for resample in (statistics.jackknife, lambda *a: statistics.bootstrap(*a, rng=1)):
        errors = [resample([factor * many], lambda a: a).errors / factor for factor in (1, scale)]
        np.testing.assert_allclose(errors[1], errors[0], rtol=1e-7)


@pytest.mark.statistical
def test_a_function_is_refused_where_one_of_its_averages_is_not_known(seed):
    """chi about <m> = 0 has no slope in <m>: to first order an unknown <m> would do no harm."""
    rng = np.random.default_rng(seed)
    m = np.sign(ar1(rng, 400.0, (2, 2000)))
    m += 0.1 * rng.normal(size=m.shape)
    assert not statistics.autocorrelation(m).reliable
    assert statistics.autocorrelation(m**2).reliable
    found = statistics.derive([m**2, m], lambda m2, m1: m2 - m1**2, m**2)
    assert math.isnan(found.error)
    assert "give no error" in found.note
    still = np.ones_like(m)  # an average that does not move is known, if another moves
    assert statistics.derive([m**2, still], lambda m2, one: m2 * one, m**2).error > 0


def test_scale_and_shift_change_nothing(seed):
    x = ar1(np.random.default_rng(seed), 5.0, (3, 3000))
    plain = statistics.autocorrelation(x)
    for scale, shift in ((1e-30, 0.0), (1e30, 0.0), (-2.0, 1e6)):
        moved = statistics.autocorrelation(scale * x + shift)
        np.testing.assert_allclose(moved.tau, plain.tau, rtol=1e-7)
        assert moved.window == plain.window


def test_strictly_alternating_series_have_no_autocorrelation_time():
    found = statistics.autocorrelation(np.tile([0.0, 1.0], 500))
    assert not found.reliable
    assert math.isnan(found.mean_error) or found.mean_error < 0.05


def test_results_speak_to_people_and_machines(seed):
    found = statistics.autocorrelation(ar1(np.random.default_rng(seed), 3.0, (2, 2000)))
    assert "sokal window of" in found.summary()
    assert repr(found).startswith(f"Autocorrelation(tau={found.tau:.4g}, error=")
    assert "2 x 2000 steps" in repr(found)
    assert "array" not in repr(found)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["tau"] == found.tau
    assert len(plain["rho"]) == found.window + 1
    ax = found.plot()
    assert ax.get_xlabel() == "lag (steps)"
    ax.figure.clear()
    nothing = statistics.autocorrelation([1.0, 1.0]).to_dict()
    assert nothing["tau"] is None


def test_arguments_are_checked():
    with pytest.raises(InputError, match="method must be one of 'sokal', 'gamma'"):
        statistics.autocorrelation([1.0, 2.0], method="sokol")
    with pytest.raises(InputError, match="window must be > 0"):
        statistics.autocorrelation([1.0, 2.0], window=0)
    with pytest.raises(InputError, match="kind must be one of"):
        statistics.effective_sample_size([1.0, 2.0], kind="bulky")
