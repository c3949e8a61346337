"""The power-law fit with an upper cut-off: the law on [xmin, xmax], for any real exponent."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.powerlaw import fit_power_law
from spinnet.tails.powerlaw.bootstrap import _draw_tail, survival_table

mpl.use("Agg")

CONVENTIONS = ("csn", "left", "two-sided")
SETTINGS = settings(derandomize=True, deadline=None, max_examples=20)


def _draw(rng, n, alpha, low, high):
    """Real numbers of density x^-alpha on [low, high], by the plain inverse (alpha != 1)."""
    a = 1.0 - alpha
    u = rng.random(n)
    return (low**a + u * (high**a - low**a)) ** (1.0 / a)


def _draw_integers(rng, n, alpha, low, high):
    x = np.arange(low, high + 1)
    p = x ** -float(alpha)
    return rng.choice(x, n, p=p / p.sum())


def _brute_force(x, xmax, discrete, how, min_tail=50):
    """Every distinct value as xmin; sums over all integers, the textbook normaliser."""
    best = (math.nan, math.nan, math.inf)
    x = np.sort(np.asarray(x, dtype=float))
    for q in np.unique(x)[:-1]:
        tail = x[x >= q]
        n = tail.size
        if n < min_tail:
            break
        mean = np.log(tail / q).mean()
        grid = np.arange(q, xmax + 1) if discrete else None

        def score(s, q=q, grid=grid, mean=mean):
            if discrete:
                p = (grid / q) ** -s
                return p @ np.log(grid / q) / p.sum() - mean
            b, t = math.log(xmax / q), 1.0 - s
            if abs(t) * b < 1e-4:
                return b / 2 + t * b * b / 12 - mean
            return b / -math.expm1(-t * b) - 1.0 / t - mean

        alpha = brentq(score, -40.0, 40.0, xtol=1e-13)
        if discrete:
            p = (grid / q) ** -alpha
            survival = np.append(np.cumsum(p[::-1])[::-1], 0.0) / p.sum()
            at = np.abs(survival[:-1] - (tail[None, :] >= grid[:, None]).mean(1))
            after = np.abs(survival[1:] - (tail[None, :] > grid[:, None]).mean(1))
            d = at[np.isin(grid, tail)].max() if how == "left" else max(at.max(), after.max())
        else:
            t = 1.0 - alpha
            fitted = (xmax**t - tail**t) / (xmax**t - q**t)
            left = np.abs(fitted - (tail[None, :] >= tail[:, None]).mean(1))
            right = np.abs(fitted - (tail[None, :] > tail[:, None]).mean(1))
            d = left.max() if how == "left" else max(left.max(), right.max())
            if how == "csn":
                d = np.abs(fitted - np.arange(n, 0, -1) / n).max()
        if d < best[2]:
            best = (float(q), float(alpha), float(d))
    return best


@pytest.mark.parametrize("how", CONVENTIONS)
@pytest.mark.parametrize("alpha", [-1.5, 0.4, 1.0001, 2.5])
@pytest.mark.parametrize("discrete", [False, True])
def test_window_search_equals_brute_force(how, alpha, discrete):
    rng = np.random.default_rng(int(100 + 10 * alpha))
    if discrete:
        x, xmax = _draw_integers(rng, 400, alpha, 3, 120), 125
        x[:60] = rng.integers(1, 5, 60)
    else:
        x, xmax = _draw(rng, 250, alpha, 1.0, 30.0), 32.0
        x[:50] = rng.uniform(0.3, 1.5, 50)
    fit = fit_power_law(x, discrete, xmax=xmax, convention=how)
    xmin, exponent, distance = _brute_force(x, xmax, discrete, how)
    assert fit.xmin == xmin
    assert fit.alpha == pytest.approx(exponent, abs=1e-9)  # the bracketing stops at 1e-13 in score
    assert fit.ks_distance == pytest.approx(distance, abs=1e-9)


def test_exponent_one_is_an_ordinary_value():
    # Equally spaced logarithms have the mean L/2, which is alpha = 1 exactly.
    y = (np.arange(200) + 0.5) / 200
    fit = fit_power_law(np.exp(3.0 * y), xmin=1.0, xmax=math.exp(3.0))
    assert fit.alpha == pytest.approx(1.0, abs=1e-13)
    # p(x) = 1/(3 x): ln L = -sum ln x - n ln 3; Var(ln x) = 9/12
    assert fit.log_likelihood == pytest.approx(-200 * 1.5 - 200 * math.log(3.0), rel=1e-13)
    assert fit.alpha_error == pytest.approx(1 / math.sqrt(200 * 9 / 12), rel=1e-9)
    np.testing.assert_allclose(fit.sf(np.exp([0.0, 1.0, 2.0])), [1.0, 2 / 3, 1 / 3], rtol=1e-12)
    np.testing.assert_allclose(fit.pdf([0.5, 2.0, 21.0]), [0.0, 1 / 6, 0.0], rtol=1e-12)
    assert fit.sf(math.exp(3.0)) == 0.0
    # and its neighbours are not far: y^(1 + h) moves the mean by about -L h/4
    shift = [
        fit_power_law(np.exp(3.0 * y ** (1 + h)), xmin=1.0, xmax=math.exp(3.0)).alpha
        for h in (-1e-6, 1e-6)
    ]
    assert shift[0] < 1.0 < shift[1]
    assert shift[1] - shift[0] == pytest.approx(2e-6, rel=1e-4)


@pytest.mark.parametrize("alpha", [-1.0, 0.0, 1.0, 2.0])
def test_window_of_integers_has_the_law_of_direct_sums(alpha):
    x = np.arange(4, 61)
    p = x**-alpha / (x**-alpha).sum()
    counts = np.round(p * 1e9)
    fit = fit_power_law(x, xmin=4, xmax=60, counts=counts)
    assert fit.alpha == pytest.approx(alpha, abs=1e-7)  # counts are rounded to 1e-9
    np.testing.assert_allclose(fit.pdf(x), p, rtol=1e-6)
    np.testing.assert_allclose(fit.sf(x), np.cumsum(p[::-1])[::-1], rtol=1e-6)
    assert fit.sf(61) == 0.0
    assert fit.pdf([3, 4.5, 61]).tolist() == [0.0, 0.0, 0.0]
    y = np.log(x / 4)
    variance = p @ y**2 - (p @ y) ** 2
    assert fit.alpha_error == pytest.approx(1 / math.sqrt(fit.n * variance), rel=1e-6)
    assert fit.log_likelihood == pytest.approx(counts @ np.log(p), rel=1e-7)


@pytest.mark.parametrize("discrete", [False, True])
def test_far_cut_off_is_none(discrete):
    rng = np.random.default_rng(5)
    x = rng.zipf(2.5, 1000) if discrete else rng.pareto(1.5, 1000) + 1.0
    free, far = fit_power_law(x), fit_power_law(x, xmax=2.0**53)
    assert far.xmin == free.xmin
    # The mass beyond 2^53 is (2^53)^-1.5 = 1e-24, and ln(2^53) times that.
    assert far.alpha == pytest.approx(free.alpha, abs=1e-11)
    assert far.ks_distance == pytest.approx(free.ks_distance, abs=1e-11)
    assert far.log_likelihood == pytest.approx(free.log_likelihood, rel=1e-11)
    assert far.alpha_error == pytest.approx(free.alpha_error, rel=1e-9)


def test_points_above_are_left_out_counted_and_told():
    x = np.random.default_rng(5).pareto(1.0, 1000) + 1.0
    fit = fit_power_law(x, xmax=20.0, n_bootstrap=10, rng=1)
    inside = fit_power_law(x[x <= 20.0], xmax=20.0, n_bootstrap=10, rng=1)
    n_above = int((x > 20.0).sum())
    assert (fit.n_above, fit.n, inside.n_above) == (n_above, x.size - n_above, 0)
    assert fit.to_dict() | {"n_above": 0} == inside.to_dict()
    assert f"{n_above} value(s) above left out" in fit.summary()
    assert fit.to_dict()["xmax"] == 20.0
    assert "on [xmin, 20]" in fit.caption()
    with pytest.raises(InputError, match="without xmax"):
        fit.compare("lognormal")


def test_figures_are_shares_of_all_points_those_above_included():
    x = np.random.default_rng(5).pareto(1.0, 1000) + 1.0
    x = np.append(x[x <= 20.0], [30.0] * 40 + [50.0] * 5)  # with ties above
    fit = fit_power_law(x, xmin=2.0, xmax=20.0, n_bootstrap=20, rng=1)
    assert fit.n_above == 45
    ax = fit.plot()
    data, line = ax.lines[:2]
    assert data.get_xdata().max() == 50.0
    assert line.get_ydata()[0] == pytest.approx((x >= 2.0).mean(), rel=1e-12)
    assert line.get_ydata()[-1] == pytest.approx(45 / x.size, rel=1e-12)
    mpl.pyplot.close(ax.figure)
    ax = fit.plot(kind="pdf")
    (line,) = (one for one in ax.lines if one.get_label().startswith(r"$\alpha"))
    expected = fit.pdf(2.0) * fit.n_tail / x.size
    assert line.get_ydata()[0] == pytest.approx(expected, rel=1e-12)
    mpl.pyplot.close(ax.figure)


def test_exponent_of_cut_data_is_not_that_of_the_cut_law():
    """Ignoring the cut-off biases alpha by far more than its error."""
    x = _draw(np.random.default_rng(6), 5000, 2.0, 1.0, 50.0)
    fit = fit_power_law(x, xmin=1.0, xmax=50.0)
    # 4 standard errors: false alarm 6e-5
    assert abs(fit.alpha - 2.0) < 4 * fit.alpha_error
    assert fit_power_law(x, xmin=1.0).alpha - 2.0 > 4 * fit.alpha_error


@pytest.mark.statistical
@pytest.mark.parametrize("alpha", [-0.5, 0.999, 2.0])
def test_known_window_gives_an_unbiased_exponent_with_the_stated_error(alpha):
    # 300 data sets of 400: mean pull normal with error 1/sqrt(300), variance with sqrt(2/300).
    pulls = []
    for seed in range(300):
        x = _draw(np.random.default_rng([7, seed]), 400, alpha, 2.0, 100.0)
        fit = fit_power_law(x, xmin=2.0, xmax=100.0)
        pulls.append((fit.alpha - alpha) / fit.alpha_error)
    # The bias of a maximum-likelihood estimate is O(1/n), so O(1/sqrt(n)) = .05 of its error.
    assert abs(np.mean(pulls)) < 4 / math.sqrt(300) + 0.05
    assert abs(np.var(pulls) - 1.0) < 4 * math.sqrt(2 / 300) + 0.02


@pytest.mark.statistical
@pytest.mark.parametrize("alpha", [-200.0, -1.5, 1.0, 1.0 + 1e-13, 1.3, 2.5])
def test_bootstrap_draws_real_numbers_of_the_window(alpha):
    # One Kolmogorov-Smirnov test each at p > 6e-5 (4 sigma).
    n = 20_000
    values, logs, counts = np.empty(n), np.empty(n), np.empty(n)
    state = np.random.SeedSequence(4).generate_state(4, np.uint64)
    size = _draw_tail(state, n, 2.0, alpha, 50.0, np.empty(0), values, logs, counts, 0)
    assert counts[:size].sum() == n
    assert size > 0.999 * n  # in increasing order, so that nothing is merged but equal numbers
    assert values[:size].min() >= 2.0
    assert values[:size].max() <= 50.0
    np.testing.assert_allclose(np.log(values[:size]), logs[:size], rtol=1e-14)
    y, z = np.log(values[:size] / 2.0) / math.log(25.0), (1.0 - alpha) * math.log(25.0)
    law = y if abs(z) < 1e-9 else np.expm1(z * y) / math.expm1(z)
    assert stats.kstest(law, "uniform").pvalue > 6e-5


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("alpha", "low", "high"),
    [(-2.0, 1, 30), (1.0, 3, 5000), (1.5, 1, 10**6), (0.2, 50, 9000), (-200.0, 1, 5000)],
)
def test_bootstrap_draws_integers_of_the_window(alpha, low, high):
    # Chi-square on 30 cells, which the table and the bisection beyond it feed; p > 6e-5 each.
    n = 20_000
    values, logs, counts = np.empty(n), np.empty(n), np.empty(n)
    state = np.random.SeedSequence(4).generate_state(4, np.uint64)
    table = survival_table(float(low), alpha, float(high))
    law = (float(low), alpha, float(high), table)
    size = _draw_tail(state, n, *law, values, logs, counts, 0)
    values, counts = values[:size], counts[:size]
    assert counts.sum() == n
    assert values.min() >= low
    assert values.max() <= high
    x = np.arange(low, high + 1)
    p = (x / high) ** -float(alpha)
    cdf = np.cumsum(p) / p.sum()
    ends = np.unique(np.searchsorted(cdf, np.linspace(0, 1, 31)[1:-1]))
    ends = ends[ends < x.size - 1]
    expected = n * np.diff(np.concatenate([[0.0], cdf[ends], [1.0]]))
    observed = np.bincount(np.searchsorted(x[ends], values), counts, minlength=expected.size)
    assert stats.chisquare(observed, expected).pvalue > 6e-5


@SETTINGS
@given(seed=st.integers(0, 10**6), power=st.integers(-290, 290), how=st.sampled_from(CONVENTIONS))
def test_change_of_units_changes_only_the_cut_offs(seed, power, how):
    x, unit = _draw(np.random.default_rng(seed), 200, 1.2, 1.0, 80.0), 10.0**power
    one = fit_power_law(x, False, xmax=70.0, convention=how)
    other = fit_power_law(x * unit, False, xmax=70.0 * unit, convention=how)
    # Logarithms near 670 round at 1e-13.
    assert other.alpha == pytest.approx(one.alpha, abs=1e-11)
    assert other.ks_distance == pytest.approx(one.ks_distance, abs=1e-12)
    assert other.xmin == pytest.approx(one.xmin * unit, rel=1e-12)


@SETTINGS
@given(seed=st.integers(0, 10**6), discrete=st.booleans())
def test_order_and_counts_do_not_matter(seed, discrete):
    rng = np.random.default_rng(seed)
    x = np.ceil(_draw(rng, 300, 0.7, 1.0, 60.0) * (1 if discrete else 4)) / (1 if discrete else 4)
    raw = fit_power_law(x, discrete, xmax=50.0).to_dict()
    values, counts = np.unique(x, return_counts=True)
    mixed = rng.permutation(values.size)
    assert fit_power_law(rng.permutation(x), discrete, xmax=50.0).to_dict() == raw
    again = fit_power_law(values[mixed], discrete, xmax=50.0, counts=counts[mixed])
    assert again.to_dict() == raw


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"xmax": math.nan}, ["xmax", "finite"]),
        ({"xmax": -1.0}, ["xmax", "> 0", "-1.0"]),
        ({"xmax": 5.0, "xmin": 5.0}, ["xmin must be < xmax", "5.0"]),
        ({"xmax": [3.0, 4.0]}, ["xmax", "single number"]),
    ],
)
def test_bad_upper_cut_offs_are_refused_by_name(options, words):
    with pytest.raises(InputError) as error:
        fit_power_law(np.random.default_rng(1).pareto(1.5, 300) + 1.0, **options)
    for word in words:
        assert word in str(error.value)


def test_upper_cut_off_of_integers_is_an_integer():
    z = np.random.default_rng(1).zipf(2.0, 300)
    with pytest.raises(InputError, match="xmax must be an integer"):
        fit_power_law(z, xmax=100.5)


def test_windows_with_too_little_in_them_are_refused():
    x = np.random.default_rng(1).pareto(1.5, 300) + 1.0
    for xmax in (0.5, 1.001):
        with pytest.raises(StatisticsError, match="up to xmax") as error:
            fit_power_law(x, xmax=xmax)
        assert error.value.estimate["n"] == int((x <= xmax).sum())
    top = np.concatenate([np.arange(1.5, 20.0), np.full(100, 25.5)])
    with pytest.raises(StatisticsError, match="not all equal to a cut-off"):
        fit_power_law(top, xmin=25.5, xmax=30.0)
    with pytest.raises(StatisticsError, match="not all equal to a cut-off"):
        fit_power_law(top, xmin=21.0, xmax=25.5)


@pytest.mark.parametrize("discrete", [False, True])
def test_data_piled_up_at_the_upper_end_have_a_finite_fit(discrete):
    # The best law rises like x^1000: its sums, scaled by their first term, would overflow.
    x = np.concatenate([np.full(2000, 1000.0), np.arange(985.0, 1000.0), [2.0]])
    fit = fit_power_law(x, discrete, xmin=2.0, xmax=1000.0)
    assert fit.alpha < -100
    assert np.isfinite([fit.alpha_error, fit.ks_distance, fit.log_likelihood]).all()
    assert math.isfinite(fit_power_law(x, discrete, xmax=1000.0).ks_distance)
