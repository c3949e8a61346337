"""Bootstrap replicates: reproducible, calibrated where the law holds, and able to reject."""

from __future__ import annotations

import _thread
import threading

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from scipy.special import zeta

from spinnet.errors import SpinnetWarning
from spinnet.tails import fit_power_law, fit_truncated
from spinnet.tails.powerlaw.bootstrap import Plan, _draw_tail, _next, run_replicates, survival_table
from spinnet.tails.powerlaw.p_values import share_as_far

mpl.use("Agg")


def _states(seed: int, n: int) -> np.ndarray:
    return np.random.SeedSequence(seed).generate_state(4 * n, np.uint64).reshape(n, 4)


def test_stream_is_xoshiro256plusplus():
    # Reference values: the published C code (prng.di.unimi.it) started at the state 1, 2, 3, 4
    # gives 41943041, 58720359, 3588806011781223, ... as 64-bit integers.
    state = np.array([1, 2, 3, 4], dtype=np.uint64)
    drawn = [_next(state) for _ in range(3)]
    expected = [((k >> 12) + 0.5) * 2.0**-52 for k in (41943041, 58720359, 3588806011781223)]
    assert drawn == expected


def test_uniform_numbers_stay_inside_the_open_interval():
    # xoshiro256++ returns rotl(s0 + s3, 23) + s0: with s0 = 0 and s3 all ones, the largest word.
    largest = np.array([0, 0, 0, 2**64 - 1], dtype=np.uint64)
    assert _next(largest) == 1 - 2.0**-53
    assert _next(np.zeros(4, dtype=np.uint64)) == 2.0**-53


@pytest.mark.statistical
def test_uniform_numbers_are_uniform():
    # One Kolmogorov-Smirnov test at p > 6e-5 (4 sigma).
    state = _states(1, 1)[0]
    assert stats.kstest([_next(state) for _ in range(20_000)], "uniform").pvalue > 6e-5


@pytest.mark.statistical
@pytest.mark.parametrize(("alpha", "xmin"), [(1.5, 1.0), (2.5, 3.0), (3.5, 60.0)])
def test_integer_tail_is_drawn_from_the_zeta_law(alpha, xmin):
    # 20 000 draws, chi-square on cells that the table (2048 integers) and the bisection beyond
    # it both feed; false alarm 6e-5 each.
    n = 20_000
    values, logs, counts = np.empty(n), np.empty(n), np.empty(n)
    table = survival_table(xmin, alpha, np.inf)
    size = _draw_tail(_states(7, 1)[0], n, xmin, alpha, np.inf, table, values, logs, counts, 0)
    values, counts = values[:size], counts[:size]
    assert counts.sum() == n
    assert np.all(np.diff(values) > 0)
    assert np.all(values == np.rint(values))
    survival = np.geomspace(1.0, 2e-3, 25)
    edges = [xmin]
    while zeta(alpha, edges[-1]) / zeta(alpha, xmin) > survival[-1]:
        edges.append(np.ceil(edges[-1] * 1.3 + 0.5))
    levels = zeta(alpha, edges) / zeta(alpha, xmin)
    expected = n * -np.diff(levels, append=0.0)
    cell = np.searchsorted(edges, values, side="right") - 1
    observed = np.bincount(cell, counts, minlength=len(edges))
    assert stats.chisquare(observed, expected).pvalue > 6e-5


@pytest.mark.statistical
def test_real_tail_is_drawn_from_the_pareto_law():
    n = 20_000
    values, logs, counts = np.empty(n), np.empty(n), np.empty(n)
    size = _draw_tail(_states(8, 1)[0], n, 2.0, 2.5, np.inf, np.empty(0), values, logs, counts, 0)
    assert counts[:size].sum() == n
    np.testing.assert_allclose(np.log(values[:size]), logs[:size], rtol=1e-14)
    assert stats.kstest(values[:size] / 2.0, "pareto", args=(1.5,)).pvalue > 6e-5


def test_same_seed_gives_the_same_numbers():
    x = np.random.default_rng(0).pareto(1.5, 500) + 1.0
    one, two, other = (fit_power_law(x, n_bootstrap=20, rng=seed) for seed in (5, 5, 6))
    assert one == two
    assert one.to_dict()["seed"] == {"entropy": "5", "spawn_key": []}
    assert other.alpha_bootstrap_error != one.alpha_bootstrap_error
    generator = np.random.default_rng(5)
    first = fit_power_law(x, n_bootstrap=20, rng=generator)
    assert fit_power_law(x, n_bootstrap=20, rng=generator) != first


def test_replicate_does_not_depend_on_how_many_there_are():
    x = np.sort(np.random.default_rng(0).pareto(1.5, 300) + 1.0)
    fit = fit_power_law(x)
    plan = Plan(x, np.ones(x.size), fit.xmin, fit.alpha, np.inf, False, 50, False, 1)
    few, many = (
        run_replicates(np.random.SeedSequence(9), n, plan, semiparametric=True) for n in (5, 12)
    )
    np.testing.assert_array_equal(few.ks_distance, many.ks_distance[:5])


def test_fixed_cut_off_stays_fixed_in_the_bootstrap():
    x = np.random.default_rng(0).pareto(1.5, 800) + 1.0
    fit = fit_power_law(x, xmin=1.0, n_bootstrap=200, rng=1)
    assert fit.xmin_bootstrap_error == 0.0
    # Then the resampled error is the textbook one: 1/sqrt(2 R) = 5 % at one sigma.
    assert fit.alpha_bootstrap_error == pytest.approx(fit.alpha_error, rel=0.2)


def test_replicates_that_cannot_be_fitted_are_counted():
    # Two points above a fixed xmin: resamples often hold none of them, or twice the same.
    values = np.arange(1.0, 13.0)
    counts = np.array([60, *[1] * 11])
    with pytest.warns(SpinnetWarning, match="could not be fitted"):
        fit = fit_power_law(values, False, 11.0, counts=counts, min_tail=2, n_bootstrap=50, rng=1)
    assert 0 < fit.n_failed < 100
    assert np.isfinite(fit.p_value)


@pytest.mark.parametrize("kind", ["reals", "integers", "window"])
def test_numbers_do_not_depend_on_the_threads(kind):
    rng = np.random.default_rng(0)
    x = rng.zipf(2.2, 800) if kind == "integers" else rng.pareto(1.5, 400) + 1.0
    options = {"xmax": 30.0} if kind == "window" else {}
    one, *others = (
        fit_power_law(x, n_bootstrap=30, rng=5, workers=k, **options) for k in (1, 2, 5)
    )
    for other in others:
        assert other == one
        for name in ("goodness", "resampled"):
            for part in ("ks_distance", "alpha", "xmin", "n_tail"):
                np.testing.assert_array_equal(
                    getattr(getattr(one.bootstrap, name), part),
                    getattr(getattr(other.bootstrap, name), part),
                )


def test_replicates_make_the_numbers_of_the_result():
    x = np.random.default_rng(0).pareto(1.5, 400) + 1.0
    fit = fit_power_law(x, n_bootstrap=60, rng=5)
    good, resampled = fit.bootstrap.goodness, fit.bootstrap.resampled
    assert fit.p_value == np.mean(good.ks_distance >= fit.ks_distance)
    assert fit.p_value_error == pytest.approx(np.sqrt(fit.p_value * (1 - fit.p_value) / 60))
    assert fit.alpha_bootstrap_error == pytest.approx(resampled.alpha.std(ddof=1))
    assert fit.alpha_interval == tuple(np.quantile(resampled.alpha, [0.025, 0.975]))
    assert fit.xmin_interval == tuple(np.quantile(resampled.xmin, [0.025, 0.975]))
    assert np.all((resampled.n_tail >= 50) & (resampled.n_tail <= x.size))
    assert np.isin(resampled.xmin, x).all()  # resamples hold the data's own values
    assert not np.isin(good.xmin, x).all()
    assert "bootstrap" not in fit.to_dict()


def test_p_is_the_share_as_far_ties_counted_and_failures_left_out():
    p, error, n_failed = share_as_far(np.array([0.1, 0.2, 0.2, 0.3, np.nan]), 0.2)
    assert (p, n_failed) == (0.75, 1)
    assert error == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    p, error, n_failed = share_as_far(np.full(3, np.nan), 0.2)
    assert np.isnan([p, error]).all()
    assert n_failed == 3


def test_no_replicate_as_far_is_below_one_over_their_number():
    x = np.random.default_rng(0).exponential(1.0, 3000) + 0.1
    fit = fit_power_law(x, xmin=0.1, n_bootstrap=40, rng=5)
    assert (fit.p_value, fit.p_value_error) == (0.0, 0.0)  # the share, as CSN define it
    assert "p < 0.025\n" in fit.summary()
    truncated = fit_truncated(x, n_bootstrap=40, rng=5)
    assert "p < 0.025 (40 replicates" in truncated.summary()
    for result in (fit, truncated):
        ax = result.plot()
        assert any("p < 0.025" in label for label in ax.get_legend_handles_labels()[1])
        mpl.pyplot.close(ax.figure)


def test_the_two_bootstraps_have_streams_of_their_own():
    x = np.sort(np.random.default_rng(0).pareto(1.5, 200) + 1.0)
    fit = fit_power_law(x, n_bootstrap=6, rng=5)
    plan = Plan(x, np.ones(x.size), fit.xmin, fit.alpha, np.inf, False, 50, False, 1)
    streams = np.random.SeedSequence(5).spawn(2)
    for stream, name in zip(streams, ("goodness", "resampled"), strict=True):
        alone = run_replicates(stream, 6, plan, semiparametric=name == "goodness")
        np.testing.assert_array_equal(getattr(fit.bootstrap, name).alpha, alone.alpha)


@pytest.mark.statistical
def test_resamples_draw_every_point_alike():
    # alpha at a fixed xmin is 1 + 1/mean(ln x): the mean of ln x over 2000 resamples of 100 points
    # is that of the data to 4 standard errors (false alarm 6e-5).
    x = np.random.default_rng(0).pareto(1.5, 100) + 1.0
    fit = fit_power_law(x, xmin=1.0, n_bootstrap=2000, rng=5)
    means = 1.0 / (fit.bootstrap.resampled.alpha - 1.0)
    error = np.log(x).std() / np.sqrt(100 * 2000)
    assert abs(means.mean() - np.log(x).mean()) < 4 * error
    # and their spread that of a mean of 100: relative error 1/sqrt(2 * 2000), kurtosis aside
    assert means.std() == pytest.approx(np.log(x).std() / 10, rel=4 / np.sqrt(4000) + 0.02)


@pytest.mark.statistical
def test_body_and_tail_are_drawn_with_their_shares():
    # Tails of at least all points have one cut-off, the smallest point: 1/(alpha - 1) is the mean
    # of ln x over the whole replicate.  4 standard errors: false alarm 6e-5.
    body = np.repeat(np.arange(1.0, 11.0), [40, *[1] * 8, 20])
    counts = np.append(np.bincount(body.astype(int))[1:], 60.0)
    values = np.append(np.arange(1.0, 11.0), 11.0)
    n = int(counts.sum())
    plan = Plan(values, counts, 11.0, 2.5, np.inf, False, n, False, 1)
    drawn = run_replicates(np.random.SeedSequence(1), 2000, plan, semiparametric=True)
    assert (drawn.xmin == 1.0).all()
    means = 1.0 / (drawn.alpha - 1.0)
    y, share = np.log(values), counts / n
    expected = y @ share + share[-1] / 1.5  # Pareto: E ln(x/11) = 1/(alpha - 1)
    second = y**2 @ share + share[-1] * (2 * y[-1] / 1.5 + 2 / 1.5**2)
    assert abs(means.mean() - expected) < 4 * np.sqrt((second - expected**2) / n / 2000)


def test_precision_chooses_the_number_of_replicates():
    x = np.random.default_rng(0).pareto(1.5, 200) + 1.0
    fit = fit_power_law(x, precision=0.1, rng=5)
    assert fit.n_bootstrap == 25
    assert fit == fit_power_law(x, n_bootstrap=25, rng=5)
    assert fit_power_law(x, precision=0.05, rng=5).p_value_error <= 0.05
    assert fit_power_law(x, precision=0.07, rng=5).n_bootstrap == 52  # 51.02, rounded up


@pytest.mark.parametrize("workers", [1, 3])
def test_interrupt_stops_the_bootstrap(workers):
    # A hundred thousand replicates of ten thousand points take minutes.
    x = np.random.default_rng(0).pareto(1.5, 10_000) + 1.0
    fit_power_law(x, n_bootstrap=2, rng=1, workers=workers)  # compiled
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit_power_law(x, n_bootstrap=100_000, rng=1, workers=workers)
    timer.join()


def test_a_failing_replicate_is_raised_from_its_thread(monkeypatch):
    def broken(*_):
        raise ValueError("broken")

    monkeypatch.setattr("spinnet.tails.powerlaw.bootstrap.replicate", broken)
    with pytest.raises(ValueError, match="broken"):
        fit_power_law(
            np.random.default_rng(0).pareto(1.5, 100) + 1.0, n_bootstrap=9, rng=1, workers=2
        )


def test_progress_is_shown_on_request(capfd):
    x = np.random.default_rng(0).pareto(1.5, 100) + 1.0
    fit_power_law(x, n_bootstrap=4, rng=1)
    assert capfd.readouterr().err == ""
    fit_power_law(x, n_bootstrap=4, rng=1, progress=True)
    assert "replicate" in capfd.readouterr().err
