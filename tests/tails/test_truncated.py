"""Doubly truncated power laws against arbitrary precision, brute force and simulation."""

from __future__ import annotations

import json
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.powerlaw.bounded import law_moments, quantiles, solve_exponent
from spinnet.tails.powerlaw.laws import survivals
from spinnet.tails.powerlaw.truncated import fit_truncated
from spinnet.tails.powerlaw.truncated_bootstrap import Sampler, draw_integers
from spinnet.tails.zeta import truncated_log_sum, truncated_moments

EXPONENTS = [-900.0, -40.0, -2.5, -1.0, -0.3, 0.0, 0.7, 1.0, 1.0 + 1e-13, 1.5, 3.0, 60.0, 2000.0]


def _integer_moments(alpha, a, b):
    """(ln of the norm, mean, variance) of ln(x/a), term by term."""
    with mp.workdps(50):
        y = [mp.log(mp.mpf(x) / a) for x in range(a, b + 1)]
        w = [mp.exp(-mp.mpf(alpha) * t) for t in y]
        norm = mp.fsum(w)
        mean = mp.fsum(t * v for t, v in zip(y, w, strict=True)) / norm
        variance = mp.fsum((t - mean) ** 2 * v for t, v in zip(y, w, strict=True)) / norm
        return float(mp.log(norm)), float(mean), float(variance)


def _real_moments(alpha, a, b):
    """The same for real numbers, from the closed form and its derivatives in alpha."""
    with mp.workdps(60):
        length = mp.log(mp.mpf(b) / mp.mpf(a))

        def log_norm(s):
            u = (s - 1) * length
            return mp.log(mp.mpf(a) * length * (-mp.expm1(-u) / u if u else 1))

        s = mp.mpf(alpha)
        return (
            float(log_norm(s)),
            float(-mp.diff(log_norm, s, h=mp.mpf(10) ** -20)),
            float(mp.diff(log_norm, s, 2, h=mp.mpf(10) ** -20)),
        )


@pytest.mark.parametrize("alpha", EXPONENTS)
@pytest.mark.parametrize(("a", "b"), [(1, 2), (1, 30), (7, 300), (1000, 1003), (900, 1500)])
def test_integer_sums_hold_for_any_exponent(alpha, a, b):
    log_norm, mean, variance = _integer_moments(alpha, a, b)
    ours = truncated_moments(alpha, float(a), float(b))
    # Rounding: 1e-13 of sums up to 1000 terms; of the logarithm, as ln(b/a) |alpha| is.
    assert ours[0] == pytest.approx(log_norm, rel=1e-13, abs=1e-13)
    assert ours[1] == pytest.approx(mean, rel=1e-13, abs=1e-300)
    assert ours[2] == pytest.approx(variance, rel=1e-12, abs=1e-300)
    assert truncated_log_sum(alpha, float(a), float(b)) == ours[0]


@pytest.mark.parametrize("alpha", EXPONENTS)
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.001), (0.3, 2.0), (1e-5, 1e7)])
def test_real_moments_hold_for_any_exponent(alpha, a, b):
    log_norm, mean, variance = _real_moments(alpha, a, b)
    ours = law_moments(alpha, a, b, False)
    assert ours[0] == pytest.approx(log_norm, rel=1e-13, abs=1e-13)
    assert ours[1] == pytest.approx(mean, rel=1e-12)  # (b/a - 1) carries 1e-13 at b/a = 1.001
    assert ours[2] == pytest.approx(variance, rel=1e-11)


@settings(max_examples=150, deadline=None)
@given(
    alpha=st.floats(-30, 30),
    a=st.integers(1, 1000),
    decades=st.floats(0.1, 6),
    discrete=st.booleans(),
)
def test_exponent_is_recovered_from_the_mean(alpha, a, decades, discrete):
    b = float(math.ceil(a * 10**decades) + 1)
    _, mean, variance = law_moments(alpha, float(a), b, discrete)
    found = solve_exponent(mean, float(a), b, discrete)
    # The mean carries 4e-16 ln(b/a); the exponent that over the variance.
    noise = 1e-14 * math.log(b / a) / variance
    assert found == pytest.approx(alpha, rel=1e-11, abs=1e-11 + noise)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("alpha", [-4.0, -0.5, 0.0, 1.0, 2.5, 30.0])
def test_survival_is_the_sum_of_the_density(alpha, discrete):
    a, b = 3.0, 400.0
    x = np.array([3.0, 4.0, 17.0, 200.0, 399.0, 400.0])
    ours = survivals(x, np.log(x / a), a, alpha, discrete, b)
    with mp.workdps(30):
        s = mp.mpf(alpha)
        if discrete:
            total = [mp.fsum(mp.mpf(k) ** -s for k in range(int(v), 401)) for v in x]
        else:
            power = 1 - s
            total = [(400**power - v**power) if power else mp.log(400 / v) for v in map(mp.mpf, x)]
        exact = [float(t / total[0]) for t in total]
    np.testing.assert_allclose(ours, exact, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_fit_is_the_maximum_of_the_likelihood(discrete, seed):
    rng = np.random.default_rng(seed)
    x = 1.0 + 80.0 * rng.random(300) ** (1 + seed)
    x = np.rint(x) if discrete else x
    fit = fit_truncated(x, 1, 90)
    grid = np.arange(1, 91)

    def loss(s):
        if discrete:
            norm = np.sum(grid**-s)
        else:
            norm = math.log(90) if s == 1 else (90 ** (1 - s) - 1) / (1 - s)
        return s * np.log(x).mean() + math.log(norm)

    best = minimize_scalar(loss, bracket=(0.2, 1.3), tol=1e-10)
    # A flat minimum: the simplex is right to the root of rounding, 1e-7.
    assert fit.alpha == pytest.approx(best.x, abs=1e-6)
    assert fit.log_likelihood == pytest.approx(-x.size * best.fun, abs=1e-9)
    h = 1e-3
    curvature = (loss(fit.alpha + h) + loss(fit.alpha - h) - 2 * loss(fit.alpha)) / h**2
    assert fit.alpha_error == pytest.approx((x.size * curvature) ** -0.5, rel=1e-5)


@pytest.mark.parametrize("convention", ["left", "csn", "two-sided"])
@pytest.mark.parametrize("discrete", [False, True])
def test_distance_is_the_largest_step_by_step(discrete, convention):
    rng = np.random.default_rng(3)
    x = np.sort(np.rint(40 * rng.random(200) ** 3) + 3)
    x = x if discrete else x + rng.choice([0.0, 0.25], 200)
    x.sort()
    fit = fit_truncated(x, 2, 50, discrete, convention=convention)
    if discrete:
        grid = np.arange(2.0, 51.0)
        at = fit.sf(grid) - (x[None] >= grid[:, None]).mean(1)
        after = fit.sf(grid + 1) - (x[None] > grid[:, None]).mean(1)
        best = np.abs(at[np.isin(grid, x)]).max()
        if convention != "left":
            best = max(np.abs(at).max(), np.abs(after).max())
    else:
        survival = fit.sf(x)
        best = np.abs(survival - (x[None] >= x[:, None]).mean(1)).max()
        above = (x[None] > x[:, None]).mean(1)
        if convention == "csn":
            best = max(best, np.abs(survival - above - 1 / 200).max())
        elif convention == "two-sided":
            best = max(best, np.abs(survival - above).max())
    assert fit.ks_distance == pytest.approx(best, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    unit=st.floats(1e-9, 1e9),
    repeats=st.integers(2, 4),
)
def test_fit_knows_no_unit_order_or_way_of_counting(seed, unit, repeats):
    rng = np.random.default_rng(seed)
    x = rng.pareto(0.7, 60) + 1.0
    fit = fit_truncated(x)
    scaled = fit_truncated(x * unit, discrete=False)
    assert scaled.alpha == pytest.approx(fit.alpha, rel=1e-9, abs=1e-9)
    assert scaled.ks_distance == pytest.approx(fit.ks_distance, abs=1e-9)
    shuffled = fit_truncated(rng.permutation(x))
    assert (shuffled.alpha, shuffled.ks_distance) == (fit.alpha, fit.ks_distance)
    z = np.ceil(x)
    values, counts = np.unique(z, return_counts=True)
    if values.size > 1:
        raw, counted = fit_truncated(z), fit_truncated(values, counts=counts)
        assert raw.to_dict() == counted.to_dict()
    many = fit_truncated(np.repeat(x, repeats), convention="two-sided")
    once = fit_truncated(x, convention="two-sided")
    assert many.alpha == pytest.approx(once.alpha, rel=1e-12)
    assert many.ks_distance == pytest.approx(once.ks_distance, abs=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("alpha", [-3.0, -0.5, 0.0, 1.0, 2.2])
@pytest.mark.parametrize(("a", "b"), [(1, 30), (1, 20_000), (50_000, 60_000)])
def test_integer_draws_have_the_probabilities_of_the_law(alpha, a, b):
    # Mean of ln(x/a) over 50,000 draws against its exact value: 5 standard errors, 15 cases, a
    # false alarm in 1e-5 of all runs.
    values, counts = Sampler(alpha, float(a), float(b), True).draw(50_000, np.random.default_rng(5))
    assert counts.sum() == 50_000
    assert np.all(np.diff(values) > 0)
    assert a <= values[0]
    assert values[-1] <= b
    _, mean, variance = law_moments(alpha, float(a), float(b), True)
    y = float(counts @ np.log(values / a)) / 50_000
    assert abs(y - mean) < 5 * math.sqrt(variance / 50_000)
    fitted = survivals(values + 1.0, np.log((values + 1.0) / a), float(a), alpha, True, float(b))
    d = np.abs(fitted - (1.0 - np.cumsum(counts) / 50_000)).max()
    assert d < 2.6 / math.sqrt(50_000)  # probability 3e-6 each, by Massart's bound


@pytest.mark.statistical
@pytest.mark.parametrize("alpha", [-3.0, -0.5, 1.0, 2.2])
def test_rejection_draws_small_integers_too(alpha):
    # Chi-square of 40,000 draws over 1..12 against the probabilities: 11 degrees of freedom,
    # exceeded at 45 with probability 5e-6.
    x = draw_integers(40_000, alpha, 1.0, 12.0, np.random.default_rng(2))
    expected = np.arange(1.0, 13.0) ** -alpha
    expected *= 40_000 / expected.sum()
    seen = np.bincount(x.astype(int), minlength=13)[1:]
    assert ((seen - expected) ** 2 / expected).sum() < 45


@pytest.mark.parametrize("seed", range(8))
def test_conventions_differ_as_they_should(seed):
    # Small samples, where 1/n counts.
    x = np.sort(1.0 + 9.0 * np.random.default_rng(seed).random(12) ** 2)
    fits = {how: fit_truncated(x, 1, 10, convention=how) for how in ("left", "csn", "two-sided")}
    survival, i = fits["csn"].sf(x), np.arange(12)
    left = np.abs(survival - (12 - i) / 12).max()
    assert fits["left"].ks_distance == pytest.approx(left, abs=1e-12)
    assert fits["csn"].ks_distance == pytest.approx(left, abs=1e-12)  # no ties: one and the same
    both = max(left, np.abs(survival - (11 - i) / 12).max())
    assert fits["two-sided"].ks_distance == pytest.approx(both, abs=1e-12)


def test_quantiles_invert_the_survival():
    u = np.linspace(0.01, 0.99, 33)
    for alpha in (-50.0, -1.0, 1.0, 1.0 + 1e-13, 3.0, 80.0):
        x = quantiles(u, alpha, 2.0, 900.0)
        ours = survivals(x, np.log(x / 2.0), 2.0, alpha, False, 900.0)
        np.testing.assert_allclose(ours, 1 - u, rtol=1e-11)


def test_quantiles_over_six_hundred_decades_are_finite():
    # alpha = 1: ln x is uniform, and e^(ln xmax - ln xmin) overflows.
    u = np.array([0.1, 0.5, 0.9])
    x = quantiles(u, 1.0, 1e-300, 1e300)
    np.testing.assert_allclose(np.log10(x), -300 + 600 * u, atol=1e-9)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("bounds", [(1.0, 100.0), (None, None)])
@pytest.mark.parametrize("discrete", [False, True])
def test_p_values_are_uniform_under_the_law(bounds, discrete):
    # 120 data sets of 99 replicates: the share with p < .25 is .25 +- .04 (and at most .01 from
    # the granularity of p); 4.5 sigma each of four cases: false alarm 3e-5.
    small = 0
    for k in range(120):
        rng = np.random.default_rng([7, k])
        values, counts = Sampler(0.8, 1.0, 100.0, discrete).draw(150, rng)
        fit = fit_truncated(values, *bounds, discrete, counts=counts, n_bootstrap=99, rng=k)
        small += fit.p_value < 0.25
    assert abs(small / 120 - 0.25) < 0.18


@pytest.mark.statistical
def test_p_value_rejects_another_law_and_is_the_same_again():
    x = np.random.default_rng(1).exponential(1.0, 1000) + 0.5
    fit = fit_truncated(x, n_bootstrap=99, rng=3)
    assert fit.p_value < 0.02
    assert fit_truncated(x, n_bootstrap=99, rng=3).to_dict() == fit.to_dict()
    assert fit.seed is not None


@pytest.mark.parametrize("discrete", [False, True])
def test_alpha_one_is_an_ordinary_value(discrete):
    values = np.arange(1.0, 101.0)
    # Weights that make the mean of ln x that of 1/x exactly, up to rounding.
    counts = np.rint(1e9 / values)
    fit = fit_truncated(values, 1, 100, discrete, counts=counts)
    if discrete:
        assert fit.alpha == pytest.approx(1.0, abs=1e-8)  # counts are rounded to 1e-7
    assert math.isfinite(fit.alpha_error)


def test_result_is_plain_to_read_store_and_draw():
    import matplotlib as mpl

    mpl.use("Agg")
    x = np.random.default_rng(1).zipf(1.8, 500)
    fit = fit_truncated(x[x < 1000], xmax=1000, n_bootstrap=20, rng=1)
    record = fit.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert "alpha" in fit.summary()
    assert "p = " in fit.summary()
    ax = fit.plot()
    assert ax.get_xlabel() == "$x$"
    support = np.arange(fit.xmin, fit.xmax + 1)
    assert fit.pdf(support).sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(fit.pdf([0.5, 1.5, 1001]), 0.0)
    assert fit.sf(1001.0) == 0.0
    assert fit.sf(0.0) == 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": [1.0, math.nan, 2.0]}, r"x must be finite.*1 NaN.*\(1,\)"),
        ({"x": [1.0, -2.0, 0.0]}, r"2 value\(s\) <= 0.*\(1,\)"),
        ({"x": np.ones((2, 2))}, "1 dimension"),
        ({"x": [1.5, 2.0], "discrete": True}, "1 distinct"),
        ({"x": [1, 2, 3], "xmin": 0.5, "discrete": True}, "xmin must be an integer"),
        ({"x": [1, 2, 3], "xmin": 3, "xmax": 2}, "xmin must be < xmax"),
        ({"x": [1, 2, 3], "xmax": math.inf}, "xmax must be finite"),
        ({"x": [1, 2, 3], "convention": "both"}, "convention must be one of"),
        ({"x": [1, 2, 3], "n_bootstrap": -1}, "n_bootstrap"),
        ({"x": [1, 2], "counts": [1]}, "one entry per value"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(InputError, match=words):
        fit_truncated(**arguments)


@pytest.mark.parametrize(
    "x", [[], [3.0] * 50, [1.0, 2.0], [1.0] * 30], ids=["empty", "equal", "few", "equal at 1"]
)
def test_too_little_data_says_what_there_is(x):
    with pytest.raises(StatisticsError) as caught:
        fit_truncated(x)
    assert caught.value.estimate["n"] == len(x)


def test_extreme_values_do_not_overflow():
    x = np.geomspace(1e-300, 1e300, 50)
    assert fit_truncated(x).alpha == pytest.approx(1.0, abs=1e-12)  # uniform in ln x
    one_bound = np.append(np.full(10_000, 2.0), 2.0 + 1e-9)
    steep = fit_truncated(one_bound, 2.0, 4.0)
    assert steep.alpha > 1e12
    growing = fit_truncated(np.append(np.full(10_000, 4.0), 4.0 - 1e-9), 2.0, 4.0)
    assert growing.alpha < -1e12
    huge = fit_truncated(np.array([1.0, 2.0**53] * 20))
    assert huge.alpha == pytest.approx(1.0, abs=0.1)
