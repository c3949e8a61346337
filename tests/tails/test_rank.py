"""Zipf fits: exponents of any sign, bias and intervals, refusals, diagnostics."""

from __future__ import annotations

import json
import math
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.tails import fit_zipf
from spinnet.tails.rank import diagnose_counts
from spinnet.tails.rank.laws import zipf_exponent

mpl.use("Agg")


def _law(s: float, n: int) -> np.ndarray:
    p = np.arange(1, n + 1.0) ** -s
    return p / p.sum()


def _draw(seed: object, s: float, n: int, m: int) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(m, _law(s, n))


@pytest.mark.parametrize("s", [-1.5, -0.2, 0.0, 0.5, 1.0, 1.3, 3.0])
@pytest.mark.parametrize("r_max", [2, 30, 5000])
def test_exponent_is_recovered_from_its_own_mean(s, r_max):
    ranks = np.arange(1, r_max + 1.0)
    mean_log = float(_law(s, r_max) @ np.log(ranks))
    # Rounding of the mean (1e-16 ln r_max) over its slope Var(ln r), which is > 0.1 here.
    assert zipf_exponent(mean_log, r_max) == pytest.approx(s, abs=1e-12)


def test_exponent_needs_a_mean_inside_the_range():
    for mean_log in (0.0, math.log(50), 9.0):
        with pytest.raises(InputError, match="mean_log"):
            zipf_exponent(mean_log, 50)


@pytest.mark.parametrize("s", [0.4, 0.9, 1.0, 1.6])
def test_fit_is_the_maximum_of_the_conditional_likelihood(s):
    counts = _draw(1, s, 500, 50_000)
    fit = fit_zipf(counts, k_min=12)
    k = np.sort(counts)[::-1]
    k = k[k >= 12]
    ranks = np.arange(1, k.size + 1.0)

    def log_likelihood(z):
        return float(-z * (k @ np.log(ranks)) - k.sum() * np.log(np.sum(ranks**-z)))

    best = minimize_scalar(lambda z: -log_likelihood(z), (s - 0.1, s + 0.1), tol=1e-12)
    assert fit.zipf == pytest.approx(best.x, abs=1e-6)  # a minimum is flat: root of rounding
    assert fit.log_likelihood == pytest.approx(log_likelihood(fit.zipf), rel=1e-12)
    assert (fit.r_max, fit.n_fitted, fit.k_min) == (k.size, k.sum(), 12)
    share = k / k.sum()
    law = ranks**-fit.zipf / np.sum(ranks**-fit.zipf)
    np.testing.assert_allclose(fit.pmf(ranks), law, rtol=1e-12)
    np.testing.assert_array_equal(fit.pmf([0, k.size + 1, math.nan]), [0.0, 0.0, math.nan])
    tail = law.sum() - np.cumsum(law)[:3]
    np.testing.assert_allclose(fit.sf([0.5, 1.5, 3, 4]), [1.0, *tail], rtol=1e-12)
    np.testing.assert_array_equal(fit.sf([k.size + 1, math.nan]), [0.0, math.nan])
    assert fit.kl_divergence == pytest.approx(share @ np.log(share / law), rel=1e-9)
    assert fit.largest_misfit == pytest.approx(np.abs(share / law - 1).max(), rel=1e-9)
    log_rank = np.log(ranks)
    variance = law @ log_rank**2 - (law @ log_rank) ** 2
    assert fit.zipf_error == pytest.approx((k.sum() * variance) ** -0.5, rel=1e-9)
    assert fit.alpha == 1 + 1 / fit.zipf


def test_equal_counts_have_exponent_zero():
    # Cancellation of two means of ln r near 4: a few 1e-16 over Var(ln r) = 0.85.
    assert fit_zipf(np.full(100, 50)).zipf == pytest.approx(0.0, abs=1e-14)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("s", "n", "m", "bias"),
    [
        (0.5, 10**3, 10**4, -0.019),
        (0.7, 10**5, 10**6, -0.008),
        (1.0, 10**5, 10**4, -0.006),
        (1.0, 10**5, 10**6, -0.003),
        (1.3, 10**5, 10**4, -0.006),
        (1.3, 10**5, 10**6, -0.001),
    ],
)
def test_bias_of_ranks_above_the_noise_is_small_and_known(s, n, m, bias):
    # Bias known from 12 repeats to three decimals; 12 more here.  4 sigma of the difference of
    # the two means, plus half of the last digit.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)  # low coverage is the point
        found = np.array([fit_zipf(_draw([k, 11], s, n, m)).zipf - s for k in range(12)])
    assert abs(found.mean() - bias) < 4 * found.std(ddof=1) * math.sqrt(2 / 12) + 5e-4


@pytest.mark.statistical
def test_interval_covers_and_p_value_is_calibrated():
    # 100 data sets.  Coverage near its nominal .95: at least .95 - 4 sigma = .86 (it is higher
    # for s = 1).  Share of p < .1: .1 +- .12 (4 sigma).  Interval and p of 60 resamples each.
    fits = [fit_zipf(_draw([k, 12], 1.0, 1000, 50_000), n_bootstrap=60, rng=k) for k in range(100)]
    assert np.mean([fit.ci[0] <= 1.0 <= fit.ci[1] for fit in fits]) > 0.86
    assert abs(np.mean([fit.p_value < 0.1 for fit in fits]) - 0.1) < 0.12
    # Uniform p have mean 1/2 +- .029: 4 sigma.  Replicates cut off at r_max would give mean 1.
    assert abs(np.mean([fit.p_value for fit in fits]) - 0.5) < 0.115
    assert np.mean([fit.bias for fit in fits]) < 0  # resampling makes rank curves look flatter


def test_wrong_law_has_a_small_p_value_and_a_large_misfit():
    p = np.exp(-np.arange(200) / 25.0)
    counts = np.random.default_rng(1).multinomial(10**5, p / p.sum())
    fit = fit_zipf(counts, n_bootstrap=50, rng=1)
    assert fit.p_value == 0.0
    assert fit.largest_misfit > 0.5
    assert fit.kl_divergence > 0.05


def test_interval_is_bias_corrected_and_reproducible():
    counts = _draw(3, 1.0, 1000, 50_000)
    fit = fit_zipf(counts, n_bootstrap=40, rng=8)
    assert fit_zipf(counts, n_bootstrap=40, rng=8) == fit
    assert fit_zipf(counts, n_bootstrap=40, rng=9).ci != fit.ci
    assert sum(fit.ci) / 2 == pytest.approx(fit.zipf - fit.bias, rel=1e-12)
    extra = abs(fit.bias) if abs(fit.bias) > fit.zipf_bootstrap_error else 0.0
    half = (fit.ci[1] - fit.ci[0]) / 2
    assert half == pytest.approx(1.959963984540054 * fit.zipf_bootstrap_error + extra, rel=1e-9)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), factor=st.integers(1, 50))
def test_order_zeros_and_epochs_do_not_matter(seed, factor):
    counts = _draw(seed, 0.8, 60, 6000)
    fit = fit_zipf(counts)
    mixed = np.random.default_rng(seed).permutation(np.append(counts, [0, 0]))
    assert fit_zipf(mixed).zipf == fit.zipf
    repeated = fit_zipf(counts * factor, k_min=10 * factor)
    assert repeated.zipf == pytest.approx(fit.zipf, abs=1e-12)  # rounding of one mean


def test_diagnostics_count_what_was_seen():
    counts = np.array([500, 300, 200, *[12] * 40, *[2] * 7, *[1] * 5])
    with pytest.warns(SpinnetWarning):
        fit = fit_zipf(np.append(counts, [1] * 200))
    assert (fit.n_distinct, fit.n_singletons, fit.r_max) == (255, 205, 43)
    assert fit.n_total == 1000 + 480 + 14 + 205
    assert fit.coverage == pytest.approx(1 - 205 / fit.n_total)
    assert fit.chao1 == pytest.approx(255 + 205 * 204 / (2 * 8))
    assert fit.decades == pytest.approx(math.log10(43))
    assert fit.undersampled
    assert len(fit.warnings) == 1
    assert "coverage" in fit.warnings[0]


def test_short_ranges_are_named_in_one_warning():
    with pytest.warns(SpinnetWarning) as caught:
        fit = fit_zipf([*range(60, 35, -1), *[1] * 200])
    assert len(caught) == 1
    assert len(fit.warnings) == 2
    assert all(text in str(caught[0].message) for text in fit.warnings)


def test_undersampled_counts_are_refused_with_the_diagnostics():
    counts = _draw(1, 0.5, 10**5, 10**4)
    with pytest.raises(StatisticsError, match="force=True") as error:
        fit_zipf(counts)
    estimate = error.value.estimate
    assert estimate["r_max"] < 20
    assert estimate["coverage"] < 0.3
    assert estimate["n_total"] == 10**4
    assert estimate == diagnose_counts(counts).to_dict()
    with pytest.raises(StatisticsError):  # one rank carries no exponent, forced or not
        fit_zipf([100, 1, 1], force=True)
    with pytest.raises(StatisticsError):
        fit_zipf([0, 0])
    with pytest.warns(SpinnetWarning, match="only 4 ranks"):
        assert fit_zipf([100, 50, 33, 25], force=True).undersampled


@pytest.mark.parametrize(
    ("counts", "options", "word"),
    [
        ([1.5, 2.0], {}, "whole numbers"),
        ([3, -1], {}, "whole numbers"),
        ([3, np.nan], {}, "1 NaN"),
        ([[3, 4]], {}, "dimension"),
        ([3, 4], {"model": "zipff"}, "did you mean 'zipf'"),
        ([3, 4], {"k_min": 0}, "k_min"),
        ([3, 4], {"n_bootstrap": -1}, "n_bootstrap"),
        ([3, 4], {"force": 1}, "force"),
        ([3, 4], {"rng": "x"}, "rng"),
    ],
)
def test_bad_arguments_are_refused_by_name(counts, options, word):
    with pytest.raises(InputError, match=word):
        fit_zipf(counts, **options)


@pytest.mark.parametrize(
    ("counts", "word"),
    [([1e18] * 30, r"<= 2\^53"), ([2.0**53] * 1000, r"add up to at most 2\^62")],
)
def test_counts_that_cannot_be_drawn_are_refused(counts, word):
    with pytest.raises(InputError, match=word):
        fit_zipf(counts, n_bootstrap=2)


def test_huge_counts_keep_their_exponent_and_a_divergence_of_zero():
    exact = 1e15 / np.arange(1, 101) ** 1.2
    fit = fit_zipf(np.round(exact), n_bootstrap=2, rng=0)
    assert fit.zipf == pytest.approx(1.2, abs=1e-10)  # counts rounded at 1e-13 of the last
    flat = fit_zipf([50] * 40)
    assert (flat.zipf, flat.kl_divergence) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_summary_dict_and_plot_tell_the_same_numbers():
    fit = fit_zipf(_draw(1, 1.0, 2000, 20_000), n_bootstrap=5, rng=3)
    record = fit.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert f"{fit.zipf:.4f}" in fit.summary()
    ax = fit.plot()
    data, line = ax.lines
    assert data.get_ydata()[0] == pytest.approx(fit._counts[0] / fit.n_total)
    assert line.get_xdata()[-1] == pytest.approx(fit.r_max)
    grey = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert grey.x0 == pytest.approx(fit.r_max + 0.5)
    assert fit.plot(ax) is ax
    mpl.pyplot.close(ax.figure)
    assert fit_zipf(_draw(1, 1.0, 200, 20_000)).to_dict()["ci"] == [None, None]
