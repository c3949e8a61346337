"""Comparison of families: against scipy's fits, brute force, and laws that are known."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.families import FamilyComparison, compare_families
from spinnet.tails.families.comparison import FAMILIES
from spinnet.tails.families.vuong import ratio_test

Floats = NDArray[np.float64]

SCIPY = {
    "normal": stats.norm,
    "laplace": stats.laplace,
    "logistic": stats.logistic,
    "cauchy": stats.cauchy,
    "student-t": stats.t,
    "generalised-normal": stats.gennorm,
}
QUICK = [*SCIPY, "lognormal-magnitude"]


def data(kind: str, n: int, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    sources = {
        "t": lambda: 2.0 + 0.1 * rng.standard_t(3.0, n),
        "cusp": lambda: stats.gennorm.rvs(0.7, size=n, random_state=rng),
        "flat": lambda: stats.gennorm.rvs(5.0, loc=-3.0, size=n, random_state=rng),
        "normal": lambda: rng.normal(5.0, 2.0, n),
        "skewed": lambda: rng.gamma(2.0, size=n) + 0.01,
    }
    return np.asarray(sources[kind]())


@pytest.mark.parametrize("kind", ["t", "cusp", "flat", "normal", "skewed"])
def test_likelihoods_are_at_least_those_of_scipy(kind: str) -> None:
    x = data(kind, 1500)
    found = compare_families(x, list(SCIPY))
    for name, law in SCIPY.items():
        theirs = law.logpdf(x, *law.fit(x)).sum()
        # equal to rounding, or better where scipy stops early
        assert found[name].log_likelihood >= theirs - 1e-6, name
        assert found[name].log_likelihood == pytest.approx(found[name].logpdf(x).sum(), abs=1e-6)


def test_closed_forms_are_exact() -> None:
    x = data("t", 999)
    found = compare_families(x, ["normal", "laplace", "lognormal"])
    assert found["normal"].parameters == pytest.approx({"loc": x.mean(), "scale": x.std()})
    median = np.median(x)
    laplace = {"loc": median, "scale": np.abs(x - median).mean()}
    assert found["laplace"].parameters == pytest.approx(laplace)
    logs = np.log(x)
    assert found["lognormal"].parameters == pytest.approx({"mu": logs.mean(), "sigma": logs.std()})
    theirs = stats.lognorm.logpdf(x, logs.std(), scale=np.exp(logs.mean())).sum()
    assert found["lognormal"].log_likelihood == pytest.approx(theirs, abs=1e-7)


def test_distances_are_those_of_scipy() -> None:
    x = data("t", 3000)
    found = compare_families(x, QUICK)
    for name, law in SCIPY.items():
        fit = found[name]
        p = fit.parameters
        shape = [value for key, value in p.items() if key not in ("loc", "scale")]
        frozen = law(*shape, p["loc"], p["scale"])
        assert fit.ks_distance == pytest.approx(stats.ks_1samp(x, frozen.cdf).statistic, abs=1e-7)
        ordered = np.sort(x)
        rank = np.arange(1, x.size + 1)
        both = frozen.logcdf(ordered) + frozen.logsf(ordered[::-1])
        by_hand = -x.size - ((2 * rank - 1) * both).mean()
        assert fit.anderson_darling == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "lognormal"])
def test_density_and_cdf_of_each_family_belong_together(name: str) -> None:
    x = data("t", 400) - 2.0
    fit = compare_families(x, [name])[name]
    grid = np.array([-0.5, -0.2, -0.03, 0.04, 0.3, 0.7])
    slope = (fit.cdf(grid + 1e-6) - fit.cdf(grid - 1e-6)) / 2e-6
    assert fit.pdf(grid) == pytest.approx(slope, rel=1e-6)
    assert fit.cdf(grid) + fit.sf(grid) == pytest.approx(np.ones(6), abs=1e-14)


@pytest.mark.statistical
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "lognormal"])
def test_draws_follow_the_fitted_law(name: str) -> None:
    fit = compare_families(data("t", 400) - 2.0, [name])[name]
    draws = fit._fitted.draw(np.random.default_rng(5), 4000)
    assert stats.ks_1samp(draws, fit.cdf).pvalue > 1e-5  # nine families: false alarm 1e-4


@pytest.mark.parametrize(
    ("law", "best"),
    [
        (stats.t(3.0), "student-t"),
        (stats.laplace(), "laplace"),
        (stats.gennorm(4.0), "generalised-normal"),
        (stats.logistic(), "logistic"),
        (stats.levy_stable(1.4, 0.0), "stable-symmetric"),
        (stats.levy_stable(1.4, 0.8), "stable"),
        (stats.lognorm(1.0), "lognormal"),
    ],
)
def test_the_true_family_wins(law: object, best: str) -> None:
    # 10,000 values: hundreds of nats to families that do not hold the truth; those that do hold
    # it, with more parameters, lose by AIC except when 2 log ratio > 2 per parameter (p = 0.16)
    x = law.rvs(size=10_000, random_state=np.random.default_rng(3))  # type: ignore[attr-defined]
    found = compare_families(x)
    assert found[best].aic - found.best.aic < 4.0
    for name in ("normal", "cauchy"):
        assert found[name].aic > found.best.aic + 50.0
        assert found[name].p_value < 1e-3


def test_ranking_weights_and_criteria_are_consistent() -> None:
    x = data("t", 2000)
    found = compare_families(x)
    aics = [fit.aic for fit in found.fits]
    assert aics == sorted(aics)
    assert sum(fit.aic_weight for fit in found.fits) == pytest.approx(1.0)
    for fit in found.fits:
        ratio = math.exp(-0.5 * (fit.aic - found.best.aic))
        assert fit.aic_weight == pytest.approx(ratio * found.best.aic_weight)
        assert fit.bic == pytest.approx(
            fit.aic + fit.n_parameters * (math.log(x.size) - 2.0), rel=1e-12
        )
    assert math.isnan(found.best.vuong_z)
    # larger families hold the smaller ones
    for small, large in (
        ("normal", "student-t"),
        ("normal", "generalised-normal"),
        ("laplace", "generalised-normal"),
        ("normal", "stable-symmetric"),
        ("cauchy", "student-t"),
        ("cauchy", "stable-symmetric"),
        ("stable-symmetric", "stable"),
    ):
        assert found[large].log_likelihood >= found[small].log_likelihood - 1e-6


def test_vuongs_statistic_is_that_of_the_definition() -> None:
    x = data("t", 800)
    found = compare_families(x, ["student-t", "laplace"])
    ratios = found["laplace"].logpdf(x) - found["student-t"].logpdf(x)
    z = ratios.sum() / (math.sqrt(x.size) * ratios.std())
    assert found["laplace"].vuong_z == pytest.approx(z, rel=1e-8)
    assert found["laplace"].p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-8)
    assert not found["laplace"].nested


def test_nested_families_are_tested_by_the_likelihood_ratio() -> None:
    ratios, weights = np.array([-1.5, 0.2]), np.ones(2)  # 2 log ratio = 2.6
    tail = stats.chi2.sf(2.6, 1)
    assert ratio_test(ratios, weights, "normal", "student-t")[1] == pytest.approx(0.5 * tail)
    assert ratio_test(ratios, weights, "cauchy", "student-t")[1] == pytest.approx(tail)
    two = stats.chi2.sf(2.6, 2)
    assert ratio_test(ratios, weights, "cauchy", "stable")[1] == pytest.approx(two)
    assert ratio_test(-ratios, weights, "normal", "student-t")[1] == 1.0


def test_large_samples_are_binned_without_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    from spinnet.tails.families import comparison

    x = data("t", 60_000)
    binned = compare_families(x, QUICK)
    plain = comparison.compress
    monkeypatch.setattr(comparison, "compress", lambda values: plain(values, values.size))
    exact = compare_families(x, QUICK)
    assert [fit.name for fit in binned.fits] == [fit.name for fit in exact.fits]
    for fit in binned.fits:
        # a hundredth of an AIC unit: third order in the width of the cells
        assert fit.log_likelihood == pytest.approx(exact[fit.name].log_likelihood, abs=0.01)


@pytest.mark.statistical
def test_bootstrap_accepts_the_true_law_and_refuses_a_wrong_one() -> None:
    x = data("normal", 2000, seed=7)
    found = compare_families(x, ["normal", "laplace"], n_bootstrap=99, rng=4)
    assert found["normal"].ks_p_value >= 0.02  # false alarm 1 % by the choice of the data
    assert found["laplace"].ks_p_value == 0.01  # 1 / (99 + 1): none of 99 is as far
    assert found["laplace"].ad_p_value == 0.01
    again = compare_families(x, ["laplace", "normal"], n_bootstrap=99, rng=4)
    assert again["normal"].ks_p_value == found["normal"].ks_p_value
    assert found.seed is not None
    other = compare_families(x, ["normal"], n_bootstrap=99, rng=5)
    assert other["normal"].ks_p_value != found["normal"].ks_p_value


@pytest.mark.statistical
@pytest.mark.slow
def test_bootstrap_p_values_are_uniform_for_the_true_law() -> None:
    # 200 data sets, share below 0.1: binomial sd 0.021, so within 4 sd of 0.1 (6e-5)
    rng = np.random.default_rng(8)
    below = 0
    for k in range(200):
        x = rng.standard_t(4.0, 200)
        found = compare_families(x, ["normal", "laplace"], n_bootstrap=19, rng=k)
        del found
        y = rng.laplace(size=200)
        below += (
            compare_families(y, ["laplace"], n_bootstrap=39, rng=k)["laplace"].ad_p_value <= 0.1
        )
    assert 0.1 - 0.085 < below / 200 < 0.1 + 0.085


def test_families_that_data_do_not_allow_are_named() -> None:
    x = np.r_[data("t", 50) - 2.0, 0.0, 0.0]
    found = compare_families(x, None)
    assert "52" not in found.skipped["lognormal"]
    assert "not positive" in found.skipped["lognormal"]
    assert found.skipped["lognormal-magnitude"].startswith("2 value(s) of x are zero")
    assert "left out" in found.summary()
    with pytest.raises(InputError, match="left out: 2 value"):
        found["lognormal-magnitude"]
    with pytest.raises(StatisticsError, match="family 'lognormal': "):
        compare_families(x, ["normal", "lognormal"])
    positive = compare_families(np.abs(x) + 1.0)
    assert "one sign only" in positive.skipped["lognormal-magnitude"]


def test_scale_shift_and_order_do_not_change_the_ranking() -> None:
    x = data("t", 500)
    base = compare_families(x, list(SCIPY))
    moved = compare_families(np.flip(1e-8 * x - 3e-7), list(SCIPY))
    for fit in base.fits:
        expected = fit.log_likelihood - x.size * math.log(1e-8)
        assert moved[fit.name].log_likelihood == pytest.approx(expected, abs=1e-5)
        assert moved[fit.name].ks_distance == pytest.approx(fit.ks_distance, abs=1e-6)


def test_result_can_be_read_written_and_drawn() -> None:
    from matplotlib.figure import Figure

    found = compare_families(data("t", 600), n_bootstrap=2, rng=1)
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["best"] == found.best.name
    assert len(record["fits"]) == len(found.fits)
    lines = found.summary().splitlines()
    assert lines[2].startswith(found.best.name)
    for kind in ("density", "tails", "qq"):
        ax = found.plot(Figure().subplots(), kind=kind)
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        legend, figure = ax.get_legend(), ax.get_figure()
        assert legend is not None
        assert figure is not None
        figure.draw_without_rendering()
        assert legend.get_window_extent().y1 <= ax.get_window_extent().y0  # hides nothing


def test_spikes_on_equal_values_are_left_out_with_the_reason() -> None:
    rng = np.random.default_rng(6)
    integers = rng.integers(0, 5, 1000)
    found = compare_families(integers)
    assert found.skipped["generalised-normal"].startswith("its likelihood grows towards a spike")
    assert found.best.name == "normal"
    with pytest.raises(StatisticsError, match="none of the families could be fitted"):
        compare_families(integers, ["generalised-normal"])
    mostly = np.r_[np.zeros(990), rng.normal(size=10)]
    found = compare_families(mostly)
    assert "spike" in found.skipped["student-t"]
    assert "spike" in found.skipped["cauchy"]
    assert "nine tenths" in found.skipped["stable"]


def test_huge_data_are_compared_as_others_without_warnings() -> None:
    x = data("t", 60) - 2.0
    base, huge = compare_families(x), compare_families(1e299 * x)
    assert [fit.name for fit in huge.fits] == [fit.name for fit in base.fits]
    json.dumps(huge.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [math.inf] * 20}, "NaN or infinite"),
        ({"x": np.arange(9.0)}, "at least 10"),
        ({"x": np.ones(40)}, "all 40 values"),
        ({"x": np.arange(20.0), "families": ["normall"]}, "did you mean 'normal'"),
        ({"x": np.arange(20.0), "families": "normal"}, "list of names"),
        ({"x": np.arange(20.0), "families": []}, "at least one"),
        ({"x": np.arange(20.0), "n_bootstrap": -1}, "n_bootstrap"),
        ({"x": np.arange(20.0), "rng": "a"}, "rng must be"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises((InputError, StatisticsError), match=message):
        compare_families(**arguments)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.skipif("SPINNET_DATA" not in os.environ, reason="needs the pretrained networks")
def test_trained_weights_are_student_like_rather_than_normal_or_stable() -> None:
    path = Path(os.environ["SPINNET_DATA"]) / "pretrained" / "advertorch_mlp.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with np.load(path) as file:
        name = max(file.files, key=lambda key: file[key].size)
        weights = file[name].ravel().astype(np.float64)
    found: FamilyComparison = compare_families(weights)
    assert found["student-t"].aic < found["normal"].aic
    assert found["student-t"].aic < found["stable-symmetric"].aic
