"""Laws of ranks: normalisers against mpmath, maxima against scipy, errors against simulation."""

from __future__ import annotations

import itertools
import math
import warnings

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.tails.rank import fit_zipf
from spinnet.tails.rank.laws import (
    PARAMETERS,
    Law,
    _bend,
    _bend_slope,
    _stretch,
    _stretch_slope,
    divergence,
    fit_law,
    relative_misfit,
)
from spinnet.tails.zeta import truncated_sum

# The weights of each law, written out once more; R is the number of ranks.
WEIGHTS = {
    "zipf": lambda r, R, s: r**-s,
    "zipf-mandelbrot": lambda r, R, s, q: (r + q) ** -s,
    "cut-off": lambda r, R, s, rate: r**-s * np.exp(-rate * r),
    "lognormal": lambda r, R, a, c: r**-a * np.exp(-c / 2 * np.log(r) ** 2),
    "exponential": lambda r, R, rate: np.exp(-rate * r),
    "stretched-exponential": lambda r, R, g, beta: np.exp(-g * (r**beta - 1) / beta),
    "dgbd": lambda r, R, a, b: (R + 1 - r) ** b / r**a,
}
TRUE = {
    "zipf": (0.9,),
    "zipf-mandelbrot": (1.4, 7.0),
    "cut-off": (0.8, 0.01),
    "lognormal": (0.3, 0.3),
    "exponential": (0.02,),
    "stretched-exponential": (0.5, 0.3),
    "dgbd": (0.9, 0.8),
}
BOTH = ("zipf-mandelbrot", "cut-off", "stretched-exponential")


def _p(model: str, n: int, *values: float) -> np.ndarray:
    weight = WEIGHTS[model](np.arange(1.0, n + 1), n, *values)
    return weight / weight.sum()


def _counts(model: str, seed: object, n: int = 200, m: int = 100_000) -> np.ndarray:
    """Counts in the true order, so that standard errors mean what they say."""
    return np.random.default_rng(seed).multinomial(m, _p(model, n, *TRUE[model])).astype(float)


@pytest.mark.parametrize("model", PARAMETERS)
def test_law_is_the_formula_it_names(model):
    law = fit_law(model, _counts(model, 1))
    np.testing.assert_allclose(np.exp(law.log_p), _p(model, 200, *law.values), rtol=1e-12)
    ranks = np.arange(1.0, 201)
    np.testing.assert_allclose(law.log_pmf(ranks), law.log_p, atol=1e-12)


@pytest.mark.parametrize("model", [m for m in PARAMETERS if m != "dgbd"])
def test_law_continues_past_the_last_rank(model):
    law = fit_law(model, _counts(model, 1))
    far = np.array([250.0, 1000.0])
    weight = WEIGHTS[model](far, 200, *law.values) / WEIGHTS[model](1.0, 200, *law.values)
    np.testing.assert_allclose(law.log_pmf(far) - law.log_p[0], np.log(weight), rtol=1e-11)


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize("truth", ["zipf-mandelbrot", "stretched-exponential", "dgbd"])
def test_fit_is_the_maximum_that_scipy_finds(model, truth):
    counts = _counts(truth, 2)
    law = fit_law(model, counts)
    share = counts / counts.sum()

    def minus_log_likelihood(values):
        with np.errstate(all="ignore"):
            value = -float(share @ np.log(_p(model, 200, *values)))
        return value if math.isfinite(value) else 1e9

    mine = -float(share @ law.log_p)
    assert mine == pytest.approx(minus_log_likelihood(law.values), rel=1e-12)
    low = 0.0 if model in BOTH else None
    bounds = [(None, None)] * (len(law.values) - 1) + [(low, None)]
    options = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-9, "fatol": 1e-15}
    best = minimize(
        minus_log_likelihood, TRUE[model], method="Nelder-Mead", bounds=bounds, options=options
    )
    assert mine <= best.fun + 1e-13  # no point is better than the fit
    # A flat top: the search ends within the root of the rounding, 1e-8 of the curvature.
    np.testing.assert_allclose(law.values, best.x, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("s", [-1.0, 0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("n", [3, 100, 3000])
def test_zipf_sums_are_sums(s, n):
    with mp.workdps(40):
        terms = [mp.mpf(r) ** -mp.mpf(s) for r in range(1, n + 1)]
        logs = [mp.log(r) for r in range(1, n + 1)]
        exact = [mp.fsum(t * x**k for t, x in zip(terms, logs, strict=True)) for k in range(3)]
    np.testing.assert_allclose(truncated_sum(s, 1.0, float(n)), [float(x) for x in exact], 5e-15)


@pytest.mark.parametrize("s", [-1.0, 0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("model", ["zipf", "lognormal", "cut-off", "dgbd"])
def test_any_exponent_is_found_from_its_own_shares(model, s):
    # cut-off cannot bend up: with rate 0 it has the Zipf law at the end of its range.
    n, extra = 60, {"zipf": (), "lognormal": (0.1,), "cut-off": (0.01,), "dgbd": (0.3,)}[model]
    law = fit_law(model, 1e6 * _p(model, n, s, *extra))
    # Rounding of shares over the flattest direction of the likelihood.
    np.testing.assert_allclose(law.values, (s, *extra), atol=1e-9)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("zipf-mandelbrot", (1.0, 3.0)),
        ("zipf-mandelbrot", (0.5, 0.5)),
        ("zipf-mandelbrot", (40.0, 2000.0)),
        ("stretched-exponential", (1.0, 0.5)),
        ("stretched-exponential", (0.01, 1.7)),
        ("stretched-exponential", (1e-3, 3.0)),
    ],
)
def test_profiled_shape_is_found_from_its_own_shares(model, values):
    law = fit_law(model, 1e6 * _p(model, 100, *values))
    np.testing.assert_allclose(law.values, values, rtol=1e-6)
    assert not law.at_zipf


@pytest.mark.parametrize("model", BOTH)
def test_zipf_law_is_the_end_of_its_families(model):
    counts = 1e6 * np.arange(1.0, 101) ** -0.8 + 50.0  # bends the other way
    zipf, law = fit_law("zipf", counts), fit_law(model, counts)
    assert law.at_zipf
    assert law.values == (zipf.values[0], 0.0)
    np.testing.assert_array_equal(law.log_p, zipf.log_p)
    assert math.isnan(law.errors[1])
    assert "Zipf law" in law.note


def test_zipf_mandelbrot_ends_at_the_exponential():
    counts = 1e6 * np.exp(-((np.arange(100) / 40.0) ** 1.5))  # falls faster than an exponential
    law, limit = fit_law("zipf-mandelbrot", counts), fit_law("exponential", counts)
    np.testing.assert_allclose(law.log_p, limit.log_p, atol=1e-12)
    assert law.rate == pytest.approx(limit.values[0], rel=1e-12)
    np.testing.assert_allclose(law.log_pmf(np.array([300.0])), limit.log_pmf(np.array([300.0])))
    with pytest.warns(SpinnetWarning, match="decades"):
        fit = fit_zipf(np.round(counts[:30]), "zipf-mandelbrot")
    assert math.isnan(fit.zipf)
    assert "infinity" in fit.note
    assert fit.to_dict()["parameters"] == {"s": None, "q": None}


def test_shape_within_rounding_of_its_limit_is_the_limit():
    law = fit_law("zipf-mandelbrot", 2.0 ** np.arange(50, 3, -1))  # geometric to the last digit
    assert law.values == (math.inf, math.inf)
    assert law.rate == pytest.approx(math.log(2), rel=1e-12)


def test_exponential_is_inside_its_families():
    counts = 1e6 * np.exp(-0.03 * np.arange(1.0, 101))
    assert fit_law("cut-off", counts).values == pytest.approx((0.0, 0.03), abs=1e-10)
    g, beta = fit_law("stretched-exponential", counts).values
    assert (g, beta) == pytest.approx((0.03, 1.0), rel=1e-8)


@pytest.mark.parametrize("model", PARAMETERS)
def test_flat_counts_are_the_uniform_law(model):
    law = fit_law(model, np.full(50, 7.0))
    np.testing.assert_allclose(law.log_p, -math.log(50), atol=1e-13)
    assert divergence(np.full(50, 7.0), law.log_p) < 1e-25


@pytest.mark.parametrize("model", PARAMETERS)
def test_one_huge_count_keeps_the_law(model):
    # Nearly all mass on rank 1: KL is at most that of "rank 1, else uniform", about 3e-11 here.
    law = fit_law(model, np.array([1e15] + [20.0] * 25))
    assert np.isfinite(law.log_p).all()
    assert np.exp(law.log_p).sum() == pytest.approx(1.0, abs=1e-12)
    assert divergence(np.array([1e15] + [20.0] * 25), law.log_p) < 2e-10


@pytest.mark.parametrize("model", [m for m in PARAMETERS if m != "stretched-exponential"])
def test_many_ranks_are_fitted_exactly(model):
    n = 100_000
    values = {"exponential": (1e-5,), "cut-off": (0.8, 1e-5)}.get(model, TRUE[model])
    law = fit_law(model, 1e9 * _p(model, n, *values))
    np.testing.assert_allclose(law.values, values, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "slope", "place"),
    [
        (_bend, _bend_slope, lambda r: r),
        (_stretch, _stretch_slope, np.log),
    ],
)
@pytest.mark.parametrize("x", [1e-9, 1e-5, 3e-4, 0.02, 0.7])
def test_shape_derivatives_are_derivatives(function, slope, place, x):
    ranks = np.array([2.0, 3.0, 50.0, 4000.0])
    with mp.workdps(50):

        def exact(v, r):
            if function is _bend:
                return mp.log1p(v * (r - 1)) / v
            return mp.expm1(v * mp.log(r)) / v

        expected = [float(mp.diff(lambda v, r=r: exact(v, mp.mpf(r)), mp.mpf(x))) for r in ranks]
        values = [float(exact(mp.mpf(x), mp.mpf(r))) for r in ranks]
    np.testing.assert_allclose(function(x, place(ranks)), values, rtol=1e-14)
    # Both branches meet at u = 1e-3, where the closed form has lost 1e-16/1e-6 of its value.
    np.testing.assert_allclose(slope(x, place(ranks)), expected, rtol=1e-9)


@pytest.mark.statistical
@pytest.mark.parametrize("model", PARAMETERS)
def test_standard_errors_are_those_of_repeated_draws(model):
    # 64 draws: the sd of a standardised deviation is within 4/sqrt(128) = .36 of 1 and its mean
    # within .5 of 0 (4 sigma each, 24 comparisons: false alarm 2e-3 in all).
    laws = [fit_law(model, _counts(model, [k, 4])) for k in range(64)]
    z = (np.array([law.values for law in laws]) - TRUE[model]) / [law.errors for law in laws]
    assert np.isfinite(z).all()
    np.testing.assert_allclose(z.std(axis=0, ddof=1), 1.0, atol=0.36)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=0.5)


def test_divergence_does_not_cancel():
    rng = np.random.default_rng(0)
    log_p = rng.normal(size=40)
    log_p -= np.log(np.exp(log_p).sum())
    for scale in (1e-9, 1e-4, 0.1, 3.0):
        counts = np.round(1e15 * np.exp(log_p + scale * rng.normal(size=40)))
        with mp.workdps(40):
            p = [mp.exp(mp.mpf(float(x))) for x in log_p]
            total = mp.fsum(mp.mpf(float(k)) for k in counts)
            share = [mp.mpf(float(k)) / total for k in counts]
            # p adds up to 1 + rounding, which the sum of non-negative terms does not see
            exact = mp.fsum(s * mp.log(s / x) - s + x for s, x in zip(share, p, strict=True))
        # each misfit x is known to 1e-15: relative 1e-15/scale of x^2
        assert divergence(counts, log_p) == pytest.approx(float(exact), rel=1e-12 + 1e-14 / scale)
    assert divergence(np.array([4.0, 0.0]), np.log([0.5, 0.5])) == pytest.approx(math.log(2))
    assert divergence(np.array([4.0, 4.0]), np.array([0.0, -800.0])) == pytest.approx(
        0.5 * (math.log(0.5)) + 0.5 * (math.log(0.5) + 800.0)
    )
    assert relative_misfit(np.array([4.0, 4.0]), np.array([0.0, -800.0]))[1] == math.inf


@settings(derandomize=True, deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    factor=st.integers(2, 50),
    model=st.sampled_from(list(PARAMETERS)),
)
def test_permutation_and_duplication_do_not_matter(seed, factor, model):
    p = np.arange(1.0, 61) ** -0.8
    counts = np.random.default_rng(seed).multinomial(6000, p / p.sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)
        fit = fit_zipf(counts, model)
        mixed = np.random.default_rng(seed).permutation(np.append(counts, [0, 0]))
        again = fit_zipf(mixed, model)
        more = fit_zipf(counts * factor, model, k_min=10 * factor)
    assert again.parameters == fit.parameters
    for name, value in fit.parameters.items():
        # shape parameters are roots found to 1e-13 of a slope rounded at 1e-16 of its terms
        assert more.parameters[name] == pytest.approx(value, rel=1e-6, abs=1e-8)
    assert more.kl_divergence == pytest.approx(fit.kl_divergence, rel=1e-9)
    assert more.log_likelihood == pytest.approx(factor * fit.log_likelihood, rel=1e-12)


@pytest.mark.parametrize(
    "cast",
    [
        list,
        np.array,
        lambda c: np.array(c, dtype=np.uint64),
        lambda c: np.array(c, dtype=np.float32),
        lambda c: [float(x) for x in c],
        lambda c: np.array(c, dtype=object),
    ],
    ids=["list", "int64", "uint64", "float32", "floats", "objects"],
)
def test_counts_of_any_type_are_the_same_counts(cast):
    counts = [int(1e5 / r**0.8) for r in range(1, 101)]
    assert fit_zipf(cast(counts), "lognormal") == fit_zipf(counts, "lognormal")


def test_truncated_is_another_name_of_zipf():
    counts = np.round(1e5 / np.arange(1, 101) ** 0.8)
    fit = fit_zipf(counts, "truncated")
    assert fit.model == "zipf"
    assert fit == fit_zipf(counts)
    with pytest.raises(InputError, match="did you mean 'lognormal'"):
        fit_zipf(counts, "log-normal")


@pytest.mark.parametrize("model", PARAMETERS)
def test_exponent_is_defined_where_the_law_has_one(model):
    counts = np.sort(_counts(model, 5))[::-1]
    fit = fit_zipf(counts, model)
    has = model in ("zipf", "zipf-mandelbrot", "cut-off", "dgbd")
    assert math.isfinite(fit.zipf) == math.isfinite(fit.zipf_error) == has
    if has:
        name = PARAMETERS[model][0]
        assert (fit.zipf, fit.zipf_error) == (fit.parameters[name], fit.errors[name])
        assert fit.alpha == 1 + 1 / fit.zipf
    else:
        assert "no Zipf exponent" in fit.note
        assert "no Zipf exponent" in fit.summary()
        assert math.isnan(fit.alpha)
        assert fit.to_dict()["zipf"] is None


@pytest.mark.parametrize("model", PARAMETERS)
def test_result_adds_up(model):
    counts = np.sort(_counts(model, 6))[::-1]
    fit = fit_zipf(counts, model)
    ranks = np.arange(1, fit.r_max + 1)
    p = fit.pmf(ranks)
    used = counts[counts >= 10]
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(fit.pmf([0, -3, fit.r_max + 1]), 0.0)
    np.testing.assert_allclose(fit.sf(ranks), p[::-1].cumsum()[::-1], rtol=1e-10)
    np.testing.assert_array_equal(fit.sf([-1, 1, fit.r_max + 1, 1e30]), [1, 1, 0, 0])
    assert fit.sf(2.5) == fit.sf(3)
    assert math.isnan(fit.sf(math.nan))
    assert fit.log_likelihood == pytest.approx(used @ np.log(p), rel=1e-12)
    share = used / used.sum()
    assert fit.kl_divergence == pytest.approx(share @ np.log(share / p), rel=1e-8)
    assert fit.largest_misfit == pytest.approx(np.abs(share / p - 1).max(), rel=1e-9)
    k = len(PARAMETERS[model])
    assert fit.aic == 2 * k - 2 * fit.log_likelihood
    assert fit.bic == k * math.log(used.sum()) - 2 * fit.log_likelihood


def test_too_few_ranks_for_the_parameters_are_refused():
    with pytest.raises(StatisticsError, match="needs at least 3"):
        fit_zipf([50, 20], "dgbd", force=True)
    with pytest.warns(SpinnetWarning):
        assert fit_zipf([50, 30, 20], "dgbd", force=True).kl_divergence < 1e-20  # saturated
    with pytest.raises(StatisticsError, match="more ranks"):
        fit_law("cut-off", np.array([3.0, 2.0]))


def test_families_contain_their_members():
    counts = np.sort(_counts("dgbd", 8))[::-1]
    best = {m: -float(counts @ fit_law(m, counts).log_p) for m in PARAMETERS}
    for family, member in itertools.product(BOTH, ("zipf", "exponential")):
        assert best[family] <= best[member] + 1e-7
    assert best["lognormal"] <= best["zipf"] + 1e-7
    assert isinstance(fit_law("zipf", counts), Law)


def test_a_curve_that_bends_up_is_not_passed_off_as_a_lognormal():
    up, down = (
        fit_zipf(np.round(1e6 * _p("lognormal", 200, 1.0, c)), "lognormal") for c in (-0.1, 0.1)
    )
    assert up.parameters["c"] == pytest.approx(-0.1, abs=0.01)
    assert "bends up" in up.note
    assert "bends up" not in down.note
