"""Likelihood ratios of rank laws: definitions, nesting, calibration."""

from __future__ import annotations

import json
import math
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import chi2, norm

from spinnet.errors import InputError, SpinnetWarning
from spinnet.tails.rank import fit_zipf
from spinnet.tails.rank.comparison import compare
from spinnet.tails.rank.laws import PARAMETERS, fit_law, log_likelihood

mpl.use("Agg")

MODELS = tuple(PARAMETERS)
BOUNDARY = ("zipf-mandelbrot", "cut-off", "stretched-exponential")


def _draw(seed: object, p: np.ndarray, m: int) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(m, p / p.sum())


def _zipf(s: float, n: int) -> np.ndarray:
    return np.arange(1, n + 1.0) ** -s


@pytest.fixture(scope="module")
def bent() -> np.ndarray:
    """Counts of a Zipf-Mandelbrot law."""
    return _draw(1, (np.arange(1, 301.0) + 5) ** -1.2, 100_000)


@pytest.mark.parametrize("alternative", MODELS[1:])
def test_ratio_is_vuongs_over_single_inputs(bent, alternative):
    fit = fit_zipf(bent)
    row = fit.compare(alternative)
    k = np.sort(bent)[::-1]
    k = k[k >= 10]
    ranks = np.arange(1, k.size + 1)
    other = fit_zipf(bent, alternative)
    inputs = np.repeat(np.log(fit.pmf(ranks)) - np.log(other.pmf(ranks)), k)  # one per input
    assert row.ratio == pytest.approx(inputs.sum(), rel=1e-9)
    assert row.ratio == pytest.approx(fit.log_likelihood - other.log_likelihood, rel=1e-9)
    z = inputs.sum() / (inputs.std() * math.sqrt(inputs.size))
    assert row.normalized_ratio == pytest.approx(z, rel=1e-9)
    assert row.p_value == pytest.approx(2 * norm.sf(abs(z)), rel=1e-7, abs=1e-300)
    assert row.delta_aic == pytest.approx(other.aic - fit.aic, abs=1e-6)
    assert row.delta_bic == pytest.approx(other.bic - fit.bic, abs=1e-6)
    assert row.kl_divergence == fit.kl_divergence
    assert row.alternative_kl_divergence == pytest.approx(other.kl_divergence, rel=1e-12)
    assert row.parameters == other.parameters
    assert (row.n_fitted, row.n_ranks) == (k.sum(), k.size)


@pytest.mark.parametrize("alternative", MODELS[1:])
def test_the_other_way_round_is_the_same_with_a_minus(bent, alternative):
    there = fit_zipf(bent).compare(alternative)
    back = fit_zipf(bent, alternative).compare("zipf")
    for name in ("ratio", "normalized_ratio", "delta_aic", "delta_bic"):
        assert getattr(back, name) == pytest.approx(-getattr(there, name), rel=1e-12)
    for name in ("p_value", "nested_p_value"):
        assert getattr(back, name) == pytest.approx(getattr(there, name), nan_ok=True)
    assert back.nested == there.nested
    assert back.verdict == there.verdict


@pytest.mark.parametrize("family", [*BOUNDARY, "lognormal", "dgbd"])
def test_nested_p_is_chi_square_halved_on_a_boundary(family):
    counts = _draw(3, _zipf(0.9, 100) * np.exp(-0.001 * np.arange(100)), 100_000)
    row = fit_zipf(counts).compare(family)
    assert row.nested == "zipf"
    assert row.ratio <= 0
    factor = 0.5 if family in BOUNDARY else 1.0
    assert row.parameter_place == ("boundary" if family in BOUNDARY else "interior")
    assert 0.0 < row.nested_p_value < 0.2  # a place where the formula is seen
    assert row.nested_p_value == pytest.approx(factor * chi2.sf(-2 * row.ratio, 1), rel=1e-9)


def test_exponential_is_nested_too(bent):
    fit = fit_zipf(_draw(1, np.exp(-np.arange(1, 200) / 30.0), 50_000), "exponential")
    for family, place in (
        ("zipf-mandelbrot", "boundary"),
        ("cut-off", "interior"),
        ("stretched-exponential", "interior"),
    ):
        row = fit.compare(family)
        assert (row.nested, row.parameter_place) == ("exponential", place)
        assert row.nested_p_value > 1e-4
    row = fit.compare("zipf")
    assert row.nested is None
    assert math.isnan(row.nested_p_value)
    assert row.verdict == "exponential"
    with pytest.warns(SpinnetWarning):
        faster = fit_zipf(np.round(1e6 * np.exp(-((np.arange(20) / 9.0) ** 2))), "exponential")
    assert faster.compare("zipf-mandelbrot").degenerate


def test_family_that_ends_at_zipf_is_degenerate():
    counts = np.round(1e6 * _zipf(0.8, 100) + 5000)
    fit = fit_zipf(counts)
    for family in BOUNDARY:
        row = fit.compare(family)
        assert row.degenerate
        assert (row.ratio, row.p_value, row.nested_p_value) == (0.0, 1.0, 1.0)
        assert row.verdict == "undecided"
        assert row.delta_aic == 2.0
        assert "same law" in row.summary()
    assert fit.compare("zipf").degenerate
    assert fit_zipf(counts, "cut-off").compare("zipf-mandelbrot").degenerate


@pytest.mark.statistical
def test_nested_p_values_are_calibrated_for_known_ranks():
    # 150 draws in their true order: the share of p < .1 is .1 +- .0245, 4 sigma = .098 (one
    # family; 5 families: false alarm 3e-4).  A missing factor 1/2 gives .05 or .2, so that the
    # place of the parameter shows in the mean: p is uniform for an interior parameter (mean .5
    # +- .094), and 1 with probability 1/2, else uniform to 1/2, on a boundary (.625 +- .12).
    p = _zipf(0.9, 100)
    draws = [_draw([k, 6], p, 50_000).astype(float) for k in range(150)]
    base = [log_likelihood(k, fit_law("zipf", k).log_p) for k in draws]
    for family in (*BOUNDARY, "lognormal", "dgbd"):
        gain = [
            2 * (log_likelihood(k, fit_law(family, k).log_p) - low)
            for k, low in zip(draws, base, strict=True)
        ]
        gain = np.maximum(gain, 0.0)
        half = 0.5 if family in BOUNDARY else 1.0
        p_values = np.where(gain < 1e-9, 1.0, half * chi2.sf(gain, 1))
        assert abs(np.mean(p_values < 0.1) - 0.1) < 0.098
        mean = 0.625 if family in BOUNDARY else 0.5
        assert abs(p_values.mean() - mean) < 0.12


@pytest.mark.statistical
@pytest.mark.slow
def test_bootstrap_p_knows_about_ranking():
    # A true Zipf law whose last ranks are all seen: ranking bends its end.  50 data sets.  The
    # chi-square p rejects more than half of them at .05; the bootstrap p of 20 replicates
    # (uniform on 0, 1/20, ...) is < .1 in a share .1 +- .042: 4 sigma = .17.
    asymptotic, bootstrap = [], []
    for k in range(50):
        row = fit_zipf(_draw([k, 7], _zipf(0.7, 1000), 100_000)).compare(
            "dgbd", n_bootstrap=20, rng=k
        )
        asymptotic.append(row.nested_p_value)
        bootstrap.append(row.bootstrap_p_value)
    assert np.mean(np.array(asymptotic) < 0.05) > 0.5
    assert abs(np.mean(np.array(bootstrap) < 0.1) - 0.1) < 0.17


def test_bootstrap_is_reproducible_and_only_where_nested(bent):
    fit = fit_zipf(bent)
    row = fit.compare("lognormal", n_bootstrap=8, rng=4)
    assert row == fit.compare("lognormal", n_bootstrap=8, rng=4)
    assert row.bootstrap_p_value == 0.0
    assert row.verdict == "lognormal"
    assert (row.n_bootstrap, row.n_failed) == (8, 0)
    assert row.seed == {"entropy": "4", "spawn_key": []}
    apart = fit.compare("exponential", n_bootstrap=8, rng=4)
    assert (apart.n_bootstrap, apart.seed) == (0, None)
    assert math.isnan(apart.bootstrap_p_value)
    flat = fit_zipf(_draw(9, _zipf(1.0, 2000), 50_000))
    p = flat.compare("cut-off", n_bootstrap=30, rng=1).bootstrap_p_value
    assert p > 0.05  # one data set of the Zipf law itself: false alarm at most .05


def test_table_ranks_by_aic_and_finds_the_truth(bent):
    fit = fit_zipf(bent)
    table = fit.compare_all()
    assert {row.alternative for row in table.rows} == set(MODELS) - {"zipf"}
    deltas = [row.delta_aic for row in table.rows]
    assert deltas == sorted(deltas)
    assert table.best == "zipf-mandelbrot"
    assert table["zipf-mandelbrot"].verdict == "zipf-mandelbrot"
    assert fit_zipf(bent, "zipf-mandelbrot").compare_all().best == "zipf-mandelbrot"
    record = table.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    for name in set(MODELS) - {"zipf"}:
        assert name in table.summary()
    few = fit.compare_all(["truncated", "dgbd"], n_bootstrap=3, rng=1)
    assert sorted(row.alternative for row in few.rows) == ["dgbd", "zipf"]
    ax = table.plot()
    assert "zipf" in ax.get_xlabel()
    mpl.pyplot.close(ax.figure)


def test_laws_with_too_many_parameters_are_named_not_dropped():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)
        fit = fit_zipf([100, 50], force=True)
    table = fit.compare_all()
    assert [row.alternative for row in table.rows] == ["exponential"]
    assert set(table.skipped) == set(MODELS) - {"zipf", "exponential"}
    assert "more ranks" in table.summary()


def test_bad_arguments_are_refused(bent):
    fit = fit_zipf(bent)
    with pytest.raises(InputError, match="did you mean 'cut-off'"):
        fit.compare("cutoff")
    with pytest.raises(InputError, match="n_bootstrap"):
        compare(fit, "dgbd", n_bootstrap=-1)
    for models in ("dgbd", 3):
        with pytest.raises(InputError, match="models must be a sequence"):
            fit.compare_all(models)
    with pytest.raises(InputError, match="alternative"):
        fit.compare_all(["dgbd"])["zipf"]


def test_tables_say_what_ranking_does_and_figures_show_the_p_that_accounts_for_it():
    ranks = np.arange(1, 201.0)
    law = ranks**-0.8
    counts = np.random.default_rng(3).multinomial(20_000, law / law.sum())
    fit = fit_zipf(counts)
    plain = fit.compare_all(["cut-off", "exponential"])
    assert "come out too small" in plain.summary()
    better = fit.compare_all(["cut-off", "exponential"], n_bootstrap=9, rng=1)
    assert "come out too small" not in better.summary()
    ax = better.plot()
    shown = [text.get_text() for text in ax.texts]
    assert f"{better['cut-off'].bootstrap_p_value:.2g} (bootstrap)" in shown
    assert abs(better["exponential"].normalized_ratio) > 30.0
    assert ax.get_xscale() == "symlog"
    assert fit.compare_all(["cut-off"]).plot().get_xscale() == "linear"


def test_small_parameters_keep_their_digits():
    ranks = np.arange(1, 2001.0)
    fit = fit_zipf(np.round(1e7 * ranks**-0.8 * np.exp(-5.2e-5 * ranks)), "cut-off")
    assert f"rate = {fit.parameters['rate']:.3g} +-" in fit.summary()
    assert "rate = 5.2" in fit.summary()
