"""R-hat and effective sample sizes against ArviZ, and blocking, jackknife and bootstrap."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import numpy as np
import pytest
from arviz_stats.base import array_stats
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, sampled_from
from scipy.signal import lfilter

from spinnet.errors import InputError, StatisticsError
from spinnet.spins import statistics

mpl.use("Agg")


def ar1(rng, rho, shape):
    noise = rng.normal(size=shape) * math.sqrt(1 - rho**2)
    start = rng.normal(size=(shape[0], 1))
    return lfilter([1.0], [1.0, -rho], noise, axis=1, zi=rho * start)[0]


CASES = [(2, 4, 0.3), (4, 11, 0.9), (3, 500, -0.8), (5, 1001, 0.5), (2, 3000, 0.99), (8, 300, 0.0)]


@pytest.mark.parametrize(("n_chains", "n_steps", "rho"), CASES)
@pytest.mark.parametrize("kind", ["normal", "cauchy", "integers"])
def test_rank_statistics_are_those_of_arviz(n_chains, n_steps, rho, kind, seed):
    x = ar1(np.random.default_rng(seed), rho, (n_chains, n_steps))
    x = {"normal": x, "cauchy": np.tan(x), "integers": np.rint(3 * x)}[kind]
    # the same definitions: rounding alone
    np.testing.assert_allclose(statistics.rank_rhat(x), array_stats.rhat(x), rtol=1e-12)
    for name, more in (("bulk", {}), ("tail", {"prob": 0.05})):
        expected = array_stats.ess(x, method=name, **more)
        found = statistics.effective_sample_size(x, kind=name)
        np.testing.assert_allclose(found, expected, rtol=1e-11, err_msg=name)


SHAPES = {
    "normal": lambda x: x,
    "integers": lambda x: np.rint(2 * x),
    "two values": lambda x: np.where(x > 0.3, 1.0, -1.0),
    "rare": lambda x: (x > 1.8).astype(float),
    "heavy": lambda x: np.exp(5 * x),
    "walk": lambda x: np.cumsum(x, axis=1),
    "alternating": lambda x: x * (-1.0) ** np.arange(x.shape[1]),
    "one stuck": lambda x: np.where(np.arange(len(x))[:, None] == 0, x[0, 0], x),
}


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    n_chains=integers(1, 6),
    n_steps=integers(4, 140),
    rho=floats(-0.95, 0.99),
    kind=sampled_from(sorted(SHAPES)),
    seed=integers(0, 2**32 - 1),
)
def test_rank_statistics_are_those_of_arviz_for_any_chains(n_chains, n_steps, rho, kind, seed):
    x = SHAPES[kind](ar1(np.random.default_rng(seed), rho, (n_chains, n_steps)))
    if np.ptp(x) == 0:
        assert math.isnan(statistics.effective_sample_size(x, kind="bulk"))  # ArviZ: their number
        return
    for name, more in (("bulk", {}), ("tail", {"prob": 0.05})):
        expected = array_stats.ess(x, method=name, **more)
        found = statistics.effective_sample_size(x, kind=name)
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=name)
    if n_chains == 1:  # ArviZ refuses; here the halves are compared, as two chains of theirs
        assert not math.isnan(statistics.rank_rhat(x))
        return
    for name, function in (("rank", statistics.rank_rhat), ("split", statistics.split_rhat)):
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = float(array_stats.rhat(x, method=name))
        # rounding makes 1e15 of infinity
        same = function(x) == expected or min(function(x), expected) > 1e10
        assert same or abs(function(x) / expected - 1) < 1e-9, (name, function(x), expected)


def test_folding_sees_what_means_cannot(seed):
    x = np.random.default_rng(seed).normal(size=(4, 1000))
    x[0] *= 5
    assert statistics.split_rhat(x) < 1.01
    assert statistics.rank_rhat(x) > 1.1


def test_ranks_see_chains_without_a_variance(seed):
    x = np.random.default_rng(seed).standard_cauchy(size=(4, 1000))
    x[0] += 3
    assert statistics.split_rhat(x) < 1.05
    assert statistics.rank_rhat(x) > 1.1


def test_series_without_ranks_have_no_rank_statistics():
    for x in (np.ones((3, 50)), np.ones((3, 3)), [[1.0, 2.0, 3.0]]):
        assert math.isnan(statistics.rank_rhat(x))
        assert math.isnan(statistics.effective_sample_size(x, kind="bulk"))
        assert math.isnan(statistics.effective_sample_size(x, kind="tail"))
    two_states = np.tile([-1.0, 1.0, 1.0, -1.0], (2, 25))  # folded about 0 they are one
    assert math.isfinite(statistics.rank_rhat(two_states))


# --- blocking -----------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("rho", [0.0, 0.8, 0.95])
def test_blocking_agrees_with_the_autocorrelation_time(rho, seed):
    x = ar1(np.random.default_rng(seed), rho, (4, 30_000))
    blocks, time = statistics.blocking(x), statistics.autocorrelation(x)
    truth = math.sqrt((1 + rho) / (1 - rho) / x.size)
    # a block of b steps misses tau/b of the variance, below a tenth at the level of Lee et al.
    assert abs(blocks.error - truth) < 4 * blocks.error_error + 0.05 * truth, blocks.summary()
    assert abs(blocks.error - time.mean_error) < 4 * blocks.error_error + 0.05 * truth
    assert blocks.tau == 0.5 * (blocks.error / blocks.errors[0]) ** 2


def test_blocks_are_averages_of_neighbours():
    x = np.array([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 1.0, 3.0]])
    blocks = statistics.blocking(x)
    assert blocks.length.tolist() == [1, 2, 4]
    assert blocks.n_blocks.tolist() == [8, 4, 2]
    for size, error in zip(blocks.length, blocks.errors, strict=True):
        means = x.reshape(2, -1, size).mean(axis=2).ravel()
        np.testing.assert_allclose(error, means.std(ddof=1) / math.sqrt(means.size), rtol=1e-14)
    assert blocks.level is None  # too few
    assert math.isnan(blocks.error)
    assert "run longer" in blocks.summary()


def test_blocking_of_what_does_not_move_and_of_one_value():
    assert statistics.blocking(np.ones((2, 64))).error == 0
    alone = statistics.blocking([1.0])
    assert math.isnan(alone.error)
    assert json.dumps(alone.to_dict(), allow_nan=False)
    ax = statistics.blocking(np.arange(256.0) % 7).plot()
    assert ax.get_xlabel() == "length of a block (steps)"
    ax.figure.clear()


# --- jackknife and bootstrap --------------------------------------------------------------------


def moments(x, y):
    return [x, x * y, y - x**2]


@pytest.mark.statistical
def test_covariance_of_derived_quantities_is_their_scatter(seed):
    """Mean, product and variance of 400 sets of 32 replicas: covariance and correlation."""
    rng = np.random.default_rng(seed)
    truth = np.array([1.0, 2.0, 1.0])
    z, corr = [], []
    for _ in range(400):
        x = rng.normal(1, 1, size=(32, 40))
        found = statistics.jackknife([x, x**2], moments)
        np.testing.assert_allclose(found.values, moments(x.mean(), (x**2).mean()), rtol=1e-12)
        z.append((found.values - truth) / found.errors)
        corr.append(found.correlation[0, 2])
    # Student's t of 31: variance 31/29; 400 squares scatter by 7 %: 4 of these, plus curvature
    np.testing.assert_allclose(np.mean(np.square(z), axis=0), 31 / 29, atol=0.35)
    # mean and variance of normal numbers are independent: correlations scatter by 1/sqrt(32)
    assert abs(np.mean(corr)) < 4 / math.sqrt(32 * 400)
    assert abs(np.std(corr) - 1 / math.sqrt(31)) < 0.04


def test_bias_of_a_square_is_the_variance_of_the_mean(seed):
    x = np.random.default_rng(seed).normal(size=(16, 5))
    found = statistics.jackknife([x], lambda a: a**2)
    # for a square the jackknife is exact: f(mean) - corrected = variance of the mean
    np.testing.assert_allclose(found.bias, x.mean(axis=1).var(ddof=1) / 16, rtol=1e-10)
    plain = statistics.derive([x], lambda a: a**2, x)
    np.testing.assert_allclose(plain.bias, found.bias[0], rtol=1e-10)
    np.testing.assert_allclose(plain.error, found.errors[0], rtol=1e-12)
    assert abs(statistics.estimate(x).bias) < 1e-15


def test_bootstrap_and_jackknife_agree_on_a_mean(seed):
    x = np.random.default_rng(seed).normal(size=(24, 10))
    by_drawing = statistics.bootstrap([x], lambda a: a, n_resamples=4000, rng=seed)
    by_leaving_out = statistics.jackknife([x], lambda a: a)
    # 4000 redraws know a standard deviation to 1.1 %: 4 of these
    np.testing.assert_allclose(by_drawing.errors, by_leaving_out.errors, rtol=0.045)
    few = [
        r([x[:8]], lambda a: a, **more).errors
        for r, more in (
            (statistics.jackknife, {}),
            (statistics.bootstrap, {"n_resamples": 4000, "rng": seed}),
        )
    ]
    np.testing.assert_allclose(few[1], few[0], rtol=0.045)  # of 8, uncorrected redraws lose 6 %
    low, high = by_drawing.interval(0.6827)[0]
    np.testing.assert_allclose((high - low) / 2, by_drawing.errors[0], rtol=0.1)
    again = statistics.bootstrap([x], lambda a: a, n_resamples=4000, rng=seed)
    np.testing.assert_array_equal(again.replicates, by_drawing.replicates)
    assert by_drawing.seed["entropy"] == str(seed)
    assert json.dumps(by_drawing.to_dict(), allow_nan=False)
    assert "bootstrap over 24 replicas" in by_drawing.summary()


def test_what_has_no_errors_over_replicas_is_refused(seed):
    x = np.random.default_rng(seed).normal(size=(8, 5))
    for resample in (statistics.jackknife, statistics.bootstrap):
        with pytest.raises(StatisticsError, match="at least 8 replicas, got 3"):
            resample([x[:3]], lambda a: a)
        with pytest.raises(InputError, match="same replicas"):
            resample([x, x[:7]], lambda a, b: a)
        with pytest.raises(InputError, match="at least one observable"):
            resample([], lambda: 1.0)
        with pytest.raises(InputError, match="function must return"):
            resample([x], lambda a: np.zeros((2, 2)))
        with pytest.raises(InputError, match="function must return real numbers, got None"):
            resample([x], lambda a: None)
        with pytest.raises(InputError, match="function must return real numbers, got 'x'"):
            resample([x], lambda a: "x")
        with pytest.raises(InputError, match=r"got \[1, \[2, 3\]\]"):
            resample([x], lambda a: [1, [2, 3]])
        with pytest.raises(InputError, match="function must be callable, got 3"):
            resample([x], 3)
        with pytest.raises(InputError, match=r"one array of shape \(8, 5\); put it into a list"):
            resample(x, lambda a: a)
    with pytest.raises(InputError, match="function must return real numbers, got None"):
        statistics.derive([x[:2]], lambda a: None, x[:2])
    with pytest.raises(InputError, match="level must"):
        statistics.bootstrap([x], lambda a: a, n_resamples=9, rng=1).interval("most")
    with pytest.raises(InputError, match="n_resamples must be"):
        statistics.bootstrap([x], lambda a: a, n_resamples=1)
    with pytest.raises(InputError, match="interval needs bootstrap"):
        statistics.jackknife([x], lambda a: a).interval()
    with pytest.raises(InputError, match="function must return one number, got 2"):
        statistics.derive([x], lambda a: [a, a], x)


def test_notes_of_a_grid_say_where_they_hold(seed):
    rng = np.random.default_rng(seed)
    good, short = (statistics.estimate(rng.normal(size=(8, n))) for n in (500, 6))
    assert statistics.stack([short, short], (2,)).note == short.note
    grid = statistics.stack([good, short, good, short], (2, 2))
    assert grid.note == f"{short.note} (at index 1, 3)"
    assert grid.tau_error.shape == grid.bias.shape == (2, 2)
    plain = json.loads(json.dumps(grid.to_dict(), allow_nan=False))
    assert plain["tau"][0][1] is None
    assert grid.note in grid.summary()
