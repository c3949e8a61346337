"""The power-law fit: exactness of the search, invariances, refusals, and what a result shows."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import matplotlib as mpl
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta

import spinnet as sn
from spinnet.errors import InputError, StatisticsError
from spinnet.tails import fit_power_law, fit_truncated
from spinnet.tails.powerlaw.drawing import band, binned, thinned
from spinnet.tails.powerlaw.ks_search import TWO_SIDED, exponents, search, suffix_statistics

mpl.use("Agg")

CONVENTIONS = ("csn", "left", "two-sided")


def _pareto(seed: int, n: int, alpha: float = 2.5) -> np.ndarray:
    return np.random.default_rng(seed).pareto(alpha - 1.0, n) + 1.0


@pytest.mark.parametrize("how", CONVENTIONS)
@pytest.mark.parametrize("alpha", [1.3, 2.5, 4.5])
@pytest.mark.parametrize("ties", [False, True])
def test_continuous_search_equals_brute_force(how, alpha, ties, brute_force, body_and_tail):
    x = body_and_tail(np.random.default_rng(int(10 * alpha)), 400, alpha)
    if ties:
        x = np.ceil(x * 4) / 4  # grid of a quarter, many ties, no zero
    fit = fit_power_law(x, discrete=False, convention=how)
    xmin, exponent, distance = brute_force(x, False, how=how)
    assert fit.xmin == xmin
    # Sums of 400 logarithms in two orders.
    assert fit.alpha == pytest.approx(exponent, abs=1e-11)
    assert fit.ks_distance == pytest.approx(distance, abs=1e-12)


@pytest.mark.parametrize("how", CONVENTIONS)
@pytest.mark.parametrize("alpha", [1.9, 2.5, 3.5])
def test_integer_search_equals_brute_force(how, alpha, brute_force):
    rng = np.random.default_rng(int(10 * alpha))
    x = rng.zipf(alpha, 500 if alpha < 3 else 5000)
    x = x[x < 4000]  # the reference walks over every integer
    fit = fit_power_law(x, convention=how)
    xmin, exponent, distance = brute_force(x, True, how=how)
    assert fit.discrete
    assert fit.xmin == xmin
    assert fit.alpha == pytest.approx(exponent, abs=1e-8)  # the reference differentiates by steps
    assert fit.ks_distance == pytest.approx(distance, abs=1e-8)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_skipping_never_changes_the_minimum(discrete, seed):
    """Lower bounds against every candidate, on laws and sizes that stress different bounds."""
    rng = np.random.default_rng(seed)
    n = 2000
    x = [
        lambda: rng.pareto(1.5, n) + 1.0,
        lambda: rng.lognormal(1.0, 1.5, n) + 1.0,
        lambda: rng.exponential(20.0, n) + 1.0,
        lambda: np.exp(rng.gamma(0.3, 3.0, n)),
    ][seed % 4]()
    if discrete:
        x = np.floor(x)
    values, counts = np.unique(x, return_counts=True)
    for how in CONVENTIONS:
        fit = fit_power_law(values, discrete, counts=counts, convention=how)
        scan = fit.scan()  # test_scan compares it with single fits
        assert fit.ks_distance == pytest.approx(scan.ks_distance.min(), abs=1e-13)
        assert fit.xmin == scan.xmin[np.argmin(scan.ks_distance)]


def test_integer_exponents_solve_the_likelihood_for_any_start():
    values = np.array([1.0, 2.0, 3.0, 5.0, 9.0, 40.0, 1000.0, 1e6, 1e6 + 1])
    counts = np.array([1e6, 10.0, 1.0, 1.0, 5.0, 3.0, 2.0, 7.0, 1.0])
    tail, log_sum = suffix_statistics(np.log(values), counts)
    found = exponents(values, tail, log_sum, values.size - 1, True, math.inf)
    for k, alpha in enumerate(found):
        u, c = values[k:], counts[k:]

        def log_likelihood(s, u=u, c=c):
            # ln of q^s zeta(s, q), which stays finite at q = 1e6; see test_zeta for its accuracy.
            from spinnet.tails.zeta import hurwitz_value

            return -(c @ np.log(u / u[0])) * s - c.sum() * math.log(hurwitz_value(s, u[0]))

        # At a smooth maximum a relative step of 1e-3 must lose on both sides.
        assert log_likelihood(alpha) > log_likelihood(1 + (alpha - 1) * 1.001)
        assert log_likelihood(alpha) > log_likelihood(1 + (alpha - 1) / 1.001)


def test_smallest_of_equally_good_cut_offs_wins():
    # Every tail is halved by its first value: its two-sided distance is exactly 1 - 1/2 there,
    # and smaller everywhere else.  The first value alone holds more, and is worse; the coarse
    # first pass over 48 candidates does not see the second.
    m = 200
    counts = 2.0 ** np.concatenate([[m + 2.0], np.arange(m, 0, -1), [1.0]])
    values = 2.0 ** np.arange(counts.size)
    tail, log_sum = suffix_statistics(np.log(values), counts)
    assert np.all(tail[2:-1] * 2 == tail[1:-2])
    k, distance, _ = search(values, np.log(values), tail, log_sum, 2.0, False, math.inf, TWO_SIDED)
    assert (k, distance) == (1, 0.5)


def test_log_likelihood_and_survival_are_those_of_the_law():
    x = _pareto(3, 500)
    fit = fit_power_law(x, xmin=1.0)
    alpha = 1 + x.size / np.log(x).sum()
    assert fit.alpha == pytest.approx(alpha, rel=1e-13)
    assert fit.alpha_error == pytest.approx((alpha - 1) / math.sqrt(500), rel=1e-13)
    density = np.log((alpha - 1) * x**-alpha).sum()
    assert fit.log_likelihood == pytest.approx(density, rel=1e-12)
    np.testing.assert_allclose(fit.sf([0.5, 1.0, 2.0]), [1.0, 1.0, 2.0 ** (1 - alpha)], rtol=1e-14)
    assert fit.decades == pytest.approx(math.log10(x.max()))
    z = np.random.default_rng(4).zipf(2.5, 500)
    fit = fit_power_law(z, xmin=2)
    tail = z[z >= 2]
    mass = -fit.alpha * np.log(tail) - np.log(zeta(fit.alpha, 2))
    assert fit.log_likelihood == pytest.approx(mass.sum(), rel=1e-12)
    expected = zeta(fit.alpha, [2, 3, 3]) / zeta(fit.alpha, 2)
    np.testing.assert_allclose(fit.sf([1, 3, 2.5]), expected, rtol=1e-14)
    # Fisher information by a second difference of the log-likelihood, O(h^2) = 1e-6 relative.
    h = 1e-3
    curve = [np.log(zeta(fit.alpha + j * h, 2)) for j in (-1, 0, 1)]
    information = tail.size * (curve[0] - 2 * curve[1] + curve[2]) / h**2
    assert fit.alpha_error == pytest.approx(information**-0.5, rel=1e-5)


@pytest.mark.statistical
def test_known_cut_off_gives_an_unbiased_exponent_with_the_stated_error():
    # 400 data sets: the mean pull is normal with error 1/20, its variance with error ~ sqrt(2/400).
    # Bias of the continuous MLE is 1/n = .002 of (alpha - 1), or .045 sigma: allowed for.
    pulls = []
    for seed in range(400):
        fit = fit_power_law(_pareto(seed, 500), xmin=1.0)
        pulls.append((fit.alpha - 2.5) / fit.alpha_error)
    assert abs(np.mean(pulls) - 0.045) < 4 / 20  # false alarm 6e-5
    assert abs(np.var(pulls) - 1.0) < 4 * math.sqrt(2 / 400)


SETTINGS = settings(derandomize=True, deadline=None, max_examples=25)


@SETTINGS
@given(seed=st.integers(0, 10**6), power=st.integers(-300, 290), how=st.sampled_from(CONVENTIONS))
def test_change_of_units_changes_only_xmin(seed, power, how):
    x, unit = _pareto(seed, 300), 10.0**power
    one = fit_power_law(x, False, convention=how)
    other = fit_power_law(x * unit, False, convention=how)
    # The logarithms of 300 products round: 1e-16 ln(unit) each, at random.
    assert other.alpha == pytest.approx(one.alpha, rel=1e-12)
    assert other.ks_distance == pytest.approx(one.ks_distance, abs=1e-12)
    assert other.xmin == pytest.approx(one.xmin * unit, rel=1e-12)


@SETTINGS
@given(seed=st.integers(0, 10**6), discrete=st.booleans(), how=st.sampled_from(CONVENTIONS))
def test_order_of_the_data_does_not_matter(seed, discrete, how):
    x = np.floor(_pareto(seed, 400, 2.0)) if discrete else _pareto(seed, 400)
    shuffled = np.random.default_rng(seed).permutation(x)
    assert fit_power_law(shuffled, convention=how) == _nan_free(fit_power_law(x, convention=how))


@SETTINGS
@given(seed=st.integers(0, 10**6), discrete=st.booleans())
def test_counts_are_repetitions(seed, discrete):
    x = np.floor(_pareto(seed, 400, 2.0)) if discrete else np.ceil(_pareto(seed, 400) * 8) / 8
    values, counts = np.unique(x, return_counts=True)
    mixed = np.random.default_rng(seed).permutation(values.size)
    raw = fit_power_law(x, discrete)
    assert fit_power_law(values[mixed], discrete, counts=counts[mixed]) == _nan_free(raw)


@SETTINGS
@given(seed=st.integers(0, 10**6), discrete=st.booleans(), how=st.sampled_from(CONVENTIONS))
def test_data_taken_twice_give_the_same_fit(seed, discrete, how):
    # The csn steps (0:n-1)/n of real numbers are not invariant, all the others are.
    if how == "csn" and not discrete:
        how = "two-sided"
    x = np.floor(_pareto(seed, 400, 2.0)) if discrete else _pareto(seed, 400)
    one = fit_power_law(x, convention=how)
    two = fit_power_law(np.concatenate([x, x]), convention=how, min_tail=100)
    assert two.xmin == one.xmin
    assert two.alpha == pytest.approx(one.alpha, rel=1e-12)
    assert two.ks_distance == pytest.approx(one.ks_distance, abs=1e-12)


class _nan_free:  # noqa: N801
    """Equality of two fits in which NaN equals NaN."""

    def __init__(self, fit):
        self.record = fit.to_dict()

    def __eq__(self, other):
        return self.record == other.to_dict()

    __hash__ = None


def test_kind_of_data_is_detected_and_recorded():
    z = np.random.default_rng(1).zipf(2.0, 300)
    fit = fit_power_law(z)
    assert (fit.discrete, fit.discrete_detected) == (True, True)
    fit = fit_power_law(z.astype(float), discrete=True)
    assert (fit.discrete, fit.discrete_detected) == (True, False)
    assert not fit_power_law(z + 0.5).discrete
    assert not fit_power_law(z * 2.0**60).discrete  # whole in float64, but not by measurement


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([1.0, np.nan, 2.0, np.nan], ["2 NaN", "(1,)"]),
        ([1.0, 2.0, np.inf], ["1 NaN or infinite", "(2,)"]),
        ([1.0, 2.0, -3.0, 0.0], ["2 value(s) <= 0", "(2,)", "-3.0"]),
        ([1.0, 0.0, 2.0, 0.0], ["2 value(s) <= 0", "(1,)", 'zeros="drop"']),
        (np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), ["masked", "1"]),
        (np.array([1 + 2j]), ["real numbers", "complex"]),
        ([None, 1.0], ["x must be"]),
        ([[1.0, 2.0]], ["dimension", "(1, 2)"]),
        (["a"], ["real numbers"]),
    ],
)
def test_bad_data_are_refused_by_count_and_place(x, words):
    with pytest.raises(InputError) as error:
        fit_power_law(x)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"convention": "cns"}, "did you mean 'csn'"),
        ({"n_bootstrap": -1}, "n_bootstrap"),
        ({"n_bootstrap": 2.5}, "n_bootstrap"),
        ({"rng": -3}, "rng"),
        ({"rng": "seed"}, "rng"),
        ({"min_tail": 1}, "min_tail"),
        ({"xmin": 0.0}, "xmin"),
        ({"xmin": math.nan}, "xmin"),
        ({"discrete": "yes"}, "discrete"),
        ({"discrete": True}, "whole numbers"),
        ({"counts": [1, 2]}, "counts"),
        ({"counts": np.full(300, 0.5)}, "counts"),
        ({"counts": np.full(300, -1)}, "counts"),
        ({"zeros": "keep"}, "zeros"),
        ({"workers": 0}, "workers"),
        ({"precision": 0.0}, "precision"),
        ({"precision": 0.6}, "at most 0.5"),
        ({"precision": math.nan}, "precision"),
        ({"precision": 0.1, "n_bootstrap": 5}, "not both"),
        ({"precision": 1e-12}, "GB"),
        ({"n_bootstrap": 10**12}, "GB"),
    ],
)
def test_bad_options_are_refused_by_name(options, word):
    with pytest.raises(InputError, match=word.replace("(", r"\(")):
        fit_power_law(_pareto(1, 300), **options)


def test_integer_data_need_an_integer_cut_off():
    with pytest.raises(InputError, match="integer"):
        fit_power_law(np.random.default_rng(1).zipf(2.0, 300), xmin=1.5)


def test_zeros_are_left_out_only_on_request_and_counted():
    x = _pareto(1, 300)
    padded = np.insert(x, [0, 7, 300], 0.0)
    with pytest.raises(InputError, match="3 value"):
        fit_power_law(padded)
    fit = fit_power_law(padded, zeros="drop")
    assert fit.n_zeros == 3
    assert fit.to_dict() | {"n_zeros": 0} == fit_power_law(x).to_dict()
    assert "3 zero(s) left out" in fit.summary()
    with pytest.raises(InputError, match=r">= 0, got 1 value\(s\) < 0, .* \(1,\): -1.0"):
        fit_power_law([1.0, -1.0, 0.0], zeros="drop")
    # with multiplicities, zeros count as often as they occur, and what never occurs is no data
    z = np.arange(-1, 400)
    counts = np.bincount(np.random.default_rng(2).zipf(1.8, 900).clip(0, 399), minlength=400)
    counts = np.concatenate([[0, 5], counts[1:]])
    fit = fit_power_law(z, zeros="drop", counts=counts)
    raw = np.repeat(z, counts)
    assert fit.n_zeros == 5
    assert fit.to_dict() == fit_power_law(raw, zeros="drop").to_dict()
    with pytest.raises(InputError, match="1 value"):
        fit_power_law(z, counts=counts)


def test_detected_integers_are_told():
    z = np.random.default_rng(1).zipf(2.0, 300)
    assert "fitted as integers" in fit_power_law(z).summary()
    assert "fitted as integers" not in fit_power_law(z, True).summary()
    assert "note" not in fit_power_law(_pareto(1, 300)).summary()


def test_density_and_survival_are_those_of_one_law():
    real = fit_power_law(_pareto(1, 400))
    x = np.array([1.5, 4.0, 30.0]) * real.xmin
    slope = -(real.sf(x * (1 + 1e-5)) - real.sf(x * (1 - 1e-5))) / (2e-5 * x)
    np.testing.assert_allclose(real.pdf(x), slope, rtol=1e-8)  # the central difference: h^2
    assert real.pdf(0.5 * real.xmin) == 0.0
    whole = fit_power_law(np.random.default_rng(1).zipf(2.0, 500))
    k = np.arange(whole.xmin, whole.xmin + 50)
    np.testing.assert_allclose(whole.pdf(k), whole.sf(k) - whole.sf(k + 1), rtol=1e-10)
    assert whole.pdf(whole.xmin + 0.5) == 0.0


def test_extreme_scales_have_the_fit_of_ordinary_ones():
    x = _pareto(5, 300, 3.0)
    for unit in (2.0**-1000, 2.0**1000):  # exact products
        one, other = fit_power_law(x), fit_power_law(x * unit)
        assert other.xmin == one.xmin * unit
        assert other.alpha == pytest.approx(one.alpha, rel=1e-12)
        # each density is divided by the unit
        shift = one.n_tail * math.log(unit)
        assert other.log_likelihood == pytest.approx(one.log_likelihood - shift, rel=1e-12)
        again = fit_power_law(x * unit, n_bootstrap=5, rng=1)
        # draws below the smallest number or beyond the largest would not be finite
        assert again.alpha_bootstrap_error == pytest.approx(
            fit_power_law(x, n_bootstrap=5, rng=1).alpha_bootstrap_error, rel=1e-9
        )


@pytest.mark.parametrize(
    "x",
    [
        [],
        [3.0],
        np.full(1000, 2.5),
        np.arange(1, 50),
        np.repeat(np.arange(1.5, 10.0), 100),
    ],
)
def test_data_without_a_tail_are_refused_with_what_there_is(x):
    with pytest.raises(StatisticsError) as error:
        fit_power_law(x)
    assert error.value.estimate["n"] == len(x)


def test_cut_off_beyond_the_data_is_refused():
    with pytest.raises(StatisticsError, match="min_tail"):
        fit_power_law(_pareto(1, 300), xmin=1e9)
    with pytest.raises(StatisticsError, match="not all equal"):
        fit_power_law(np.concatenate([np.arange(1, 20), np.full(100, 40)]), xmin=40)


def test_one_large_tie_at_the_top_is_not_a_tail():
    x = np.concatenate([np.full(100, 40.0), np.arange(1, 12)])
    assert fit_power_law(x).xmin < 40


def test_fixed_cut_off_between_data_values_keeps_the_tail_above():
    x = _pareto(2, 400)
    fit = fit_power_law(x, xmin=1.5)
    tail = x[x >= 1.5]
    assert (fit.xmin, fit.n_tail, fit.xmin_fixed) == (1.5, tail.size, True)
    assert fit.alpha == pytest.approx(1 + tail.size / np.log(tail / 1.5).sum(), rel=1e-12)
    # For integers, the empty integers between xmin and the first value count in the distance.
    z = np.repeat([5, 6, 7, 8, 9, 10, 12, 15, 20, 40], 10)
    fit = fit_power_law(z, xmin=2)
    assert fit.ks_distance >= 1 - fit.sf(5) - 1e-15


def test_largest_integer_exponent_range_is_handled():
    x = np.concatenate([np.full(10**5, 10**6), 10**6 + np.arange(1, 12)])
    fit = fit_power_law(x)
    assert np.isfinite([fit.alpha, fit.ks_distance, fit.log_likelihood]).all()


def test_steep_integer_laws_at_a_large_cut_off_have_a_survival():
    x = np.floor(1e7 * np.random.default_rng(0).random(500) ** (-1 / 80))
    fit = fit_power_law(x, xmin=1e7)
    at = np.array([1e7, 1.01e7, 2e7, np.inf])
    with mp.workdps(60):
        exact = [mp.zeta(fit.alpha, int(v)) / mp.zeta(fit.alpha, 10**7) for v in at[:-1]]
    # alpha = 80 multiplies the rounding of a logarithm, 1e-16: some 1e-14.
    np.testing.assert_allclose(fit.sf(at), [*map(float, exact), 0.0], rtol=1e-13)


def test_data_over_six_hundred_decades_have_a_finite_fit():
    # Equally spaced logarithms from the smallest subnormal number to 1e300.
    y = np.linspace(math.log(5e-324), math.log(1e300), 200)
    x = np.exp(y)
    fit = fit_power_law(x, xmin=5e-324)
    logs = np.log(x) - math.log(5e-324)
    alpha = 1 + 1 / logs.mean()
    assert fit.alpha == pytest.approx(alpha, rel=1e-14)
    exact = 200 * (math.log(alpha - 1) - math.log(5e-324)) - alpha * logs.sum()
    assert fit.log_likelihood == pytest.approx(exact, rel=1e-13)
    assert fit.decades == pytest.approx(logs[-1] / math.log(10), rel=1e-13)
    assert fit.sf([1e300, math.inf]) == pytest.approx([math.exp((1 - alpha) * logs[-1]), 0.0])
    for law in ("lognormal", "exponential"):
        assert math.isfinite(fit.compare(law).normalized_ratio)


@pytest.mark.parametrize(
    "x",
    [
        2.0**53 - np.repeat(np.arange(12.0), 60),
        1e300 * (1 + np.arange(60) * 2.0**-52),
    ],
    ids=["integers", "real numbers"],
)
def test_values_of_equal_logarithms_have_no_tail(x):
    with pytest.raises(StatisticsError, match="equal to rounding of their logarithms"):
        fit_power_law(x)


def test_bootstrap_of_more_points_than_memory_is_refused():
    values = np.arange(1, 30)
    counts = np.round(1e15 / values**2.5)
    assert fit_power_law(values, counts=counts).n == counts.sum()
    with pytest.raises(InputError, match="n_bootstrap must be 0 for more than 1e"):
        fit_power_law(values, counts=counts, n_bootstrap=2)


def test_summary_dict_and_plot_tell_the_same_numbers():
    fit = fit_power_law(_pareto(1, 400), n_bootstrap=5, rng=3)
    record = fit.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["alpha"] == fit.alpha
    assert record["seed"] == {"entropy": "3", "spawn_key": []}
    assert f"{fit.alpha:.4f}" in fit.summary()
    assert fit_power_law(_pareto(1, 400)).to_dict()["p_value"] is None
    for word in ("zeta" if fit.discrete else "Pareto", "csn", "5 bootstrap", "seed 3"):
        assert word in fit.caption()
    assert f"spinnet {fit.version}" in fit.caption()


def test_survival_plot_shows_all_data_the_scaled_fit_and_its_band():
    x = np.append(_pareto(1, 400), np.linspace(0.1, 0.9, 100))
    fit = fit_power_law(x, n_bootstrap=50, rng=3)
    ax = fit.plot()
    data, line, cut_off = ax.lines
    assert data.get_ydata()[0] == 1.0  # all the data, not the tail alone
    assert line.get_ydata()[0] == pytest.approx(fit.n_tail / fit.n)
    assert line.get_xdata()[0] == pytest.approx(fit.xmin)
    assert cut_off.get_xdata()[0] == fit.xmin
    label = line.get_label()
    for part in (f"{fit.alpha:.2f}", f"{fit.alpha_bootstrap_error:.2f}", f"p = {fit.p_value:.2f}"):
        assert part in label
    assert str(fit.n_tail) in label
    assert fit.plot(ax) is ax
    mpl.pyplot.close(ax.figure)


def test_band_of_the_fit_is_that_of_its_resamples():
    x = _pareto(1, 400)
    fit = fit_power_law(x, n_bootstrap=80, rng=3)
    grid = fit.xmin * np.array([1.0, 3.0, 20.0])
    low, high = band(fit, grid)
    r = fit.bootstrap.resampled
    curves = r.n_tail[:, None] / fit.n * (grid / r.xmin[:, None]) ** (1 - r.alpha[:, None])
    expected = np.quantile(np.minimum(curves, 1.0), [0.025, 0.975], axis=0)
    np.testing.assert_allclose([low, high], expected, rtol=1e-12)
    middle = fit.sf(grid) * fit.n_tail / fit.n
    assert np.all((low <= middle) & (middle <= high))


def test_density_plot_is_log_binned():
    for x, discrete in (
        (_pareto(1, 3000), False),
        (np.random.default_rng(0).zipf(2.2, 5000), True),
    ):
        fit = fit_power_law(x, discrete)
        values, counts = np.unique(x, return_counts=True)
        centre, density, error = binned(values.astype(float), counts, discrete)
        assert np.all(np.diff(centre) > 0)
        if discrete:
            small = centre < 4
            np.testing.assert_allclose(density[small], counts[: small.sum()] / x.size)
        else:
            # the bins share the data: their masses add up to one
            assert np.all(np.diff(np.log(centre)) > 0.1)
        np.testing.assert_allclose(error**2 / density, density / (density / error) ** 2)
        ax = fit.plot(kind="pdf")
        data, line = ax.lines[0], ax.lines[-2]
        np.testing.assert_array_equal(data.get_ydata(), density)
        grid = line.get_xdata()
        np.testing.assert_allclose(line.get_ydata(), fit.pdf(grid) * fit.n_tail / fit.n)
        mpl.pyplot.close(ax.figure)
    with pytest.raises(InputError, match="kind"):
        fit.plot(kind="cdf")


def test_bins_hold_all_the_data():
    for discrete in (False, True):
        values = np.array([1.0, 2.0, 3.0, 10.0, 11.0, 500.0])
        counts = np.array([5.0, 1.0, 1.0, 2.0, 1.0, 3.0])
        centre, density, _ = binned(values, counts, discrete)
        if discrete:
            assert centre[:3].tolist() == pytest.approx([1.0, 2.0, 3.0])
            assert density[:3].tolist() == pytest.approx([5 / 13, 1 / 13, 1 / 13])
        edges = np.exp(np.linspace(0, math.log(500), 28))
        if not discrete:
            held = density * np.diff(edges)[np.searchsorted(edges, centre) - 1]
            assert held.sum() == pytest.approx(1.0)


def test_plot_of_many_points_stays_small():
    ax = fit_power_law(np.random.default_rng(0).zipf(1.6, 20_000)).plot()
    assert len(ax.lines[0].get_xdata()) <= 460
    mpl.pyplot.close(ax.figure)


def test_import_is_light():
    code = (
        "import sys, spinnet.tails; "
        "print([m for m in ('numba', 'matplotlib', 'sympy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_name_is_reached_from_the_top():
    assert sn.tails.fit_power_law is fit_power_law


def test_thinning_keeps_both_ends_and_all_of_few():
    for size in (0, 1, 120, 460):
        np.testing.assert_array_equal(thinned(size), np.arange(size))
    for size in (461, 1000, 10**7):
        kept = thinned(size)
        assert kept.size <= 460
        assert {0, 1, 2, 3, 4} <= set(kept.tolist())  # the first integers hold most points
        np.testing.assert_array_equal(kept[-60:], np.arange(size - 60, size))


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("discrete", [False, True])
def test_law_is_evaluated_anywhere_but_not_of_words(window, discrete):
    x = np.random.default_rng(1).zipf(2.2, 400)
    x = x[x < 400]
    fit = fit_truncated(x, discrete=discrete) if window else fit_power_law(x, discrete)
    for law in (fit.sf, fit.pdf):
        values = law([math.nan, math.inf, 3.0, -math.inf])
        assert np.isnan(values).tolist() == [True, False, False, False]
        assert values[1] == 0.0
        assert values[2] > 0.0
        for bad in ("a", ["1"], [1j], None):
            with pytest.raises(InputError, match="x must be real numbers"):
                law(bad)
    assert fit.sf(-math.inf) == 1.0
