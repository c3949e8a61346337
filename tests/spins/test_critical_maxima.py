"""Maxima per size, their extrapolation, and data collapse, against exact Curie-Weiss sums."""

from __future__ import annotations

import functools
import json

import matplotlib as mpl
import numpy as np
import pytest
from scipy import optimize

import spinnet as sn
from spinnet.spins import critical

mpl.use("Agg")
SIZES = (128, 256, 512, 1024, 2048)


@functools.cache
def exact(n: int, low: float, high: float, points: int) -> sn.exact.ExactResult:
    """Exact sums at r from `low` to `high`."""
    return sn.exact.curie_weiss(n, 1 - np.linspace(low, high, points) / np.sqrt(n))


def table(quantity: str, sizes: tuple[int, ...], *grid: float) -> dict[str, np.ndarray]:
    results = [exact(n, *grid) for n in sizes]
    return {
        "n_spins": np.concatenate([np.full(r.beta.size, r.n_spins) for r in results]),
        "beta": np.concatenate([r.beta for r in results]),
        quantity: np.concatenate([getattr(r, quantity) for r in results]),
    }


def noisy(columns: dict, quantity: str, relative: float, rng: np.random.Generator) -> dict:
    y = columns[quantity]
    noise = 1 + relative * rng.standard_normal(y.shape)
    return columns | {quantity: y * noise, f"{quantity}_error": relative * y}


# --- maxima ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", ["specific_heat", "susceptibility_abs"])
def test_maxima_of_exact_tables_are_those_of_the_sums(quantity: str) -> None:
    """Seven temperatures 0.1/N^{1/2} apart give 1e-7 in height, 1e-4 N^{-1/2} in place."""
    found = critical.maxima([exact(n, -4, 0.5, 46) for n in (1000, 10**4)], quantity)
    for k, n in enumerate((1000, 10**4)):
        best = optimize.minimize_scalar(
            lambda b, n=n: -float(getattr(sn.exact.curie_weiss(n, b), quantity)),
            bounds=(1, 1 + 4 / np.sqrt(n)),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert found.height[k] == pytest.approx(-best.fun, rel=1e-7)
        assert found.beta[k] == pytest.approx(best.x, abs=1e-4 / np.sqrt(n))
    assert np.all(np.isnan(found.height_error))


def test_maxima_of_the_specific_heat_tend_to_the_constants_of_mean_field() -> None:
    """c_max 1.5042, 1.6065, 1.6410 for N = 1e3, 1e4, 1e5, and 1.6573 in the limit."""
    sizes = (1000, 3000, 10**4, 3 * 10**4, 10**5)
    found = critical.maxima([exact(n, -4, 0.5, 46) for n in sizes])
    assert found.height[[0, 2, 4]] == pytest.approx([1.50415, 1.60647, 1.64096], abs=2e-5)
    limit = critical.extrapolate_maxima(found)
    assert limit.beta_c == pytest.approx(1, abs=1e-5)
    assert limit.height == pytest.approx(1.6572974585, abs=1e-4)
    assert limit.one_over_nu == pytest.approx(0.5, abs=5e-3)
    assert limit.shift == pytest.approx(2.2568473920, rel=0.05)


def test_maxima_of_the_susceptibility_grow_as_the_square_root_of_n() -> None:
    sizes = (1000, 3000, 10**4, 3 * 10**4, 10**5)
    chi = critical.extrapolate_maxima([exact(n, -4, 0.5, 46) for n in sizes], "susceptibility_abs")
    assert chi.beta_c == pytest.approx(1, abs=1e-6)
    assert chi.one_over_nu == pytest.approx(0.5, abs=1e-3)
    assert chi.growth is not None
    assert chi.growth.slope == pytest.approx(0.5, abs=1e-4)
    assert chi.growth.amplitude == pytest.approx(0.5149305717, rel=1e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("quantity", ["specific_heat", "susceptibility_abs"])
def test_errors_of_extrapolated_maxima_are_calibrated(quantity: str, seed: int) -> None:
    """100 tables of 0.5 % noise: var z of five numbers within 1 +- 4.2 sqrt(2/99)."""
    rng, z = np.random.default_rng(seed), []
    columns = table(quantity, tuple(2 * n for n in SIZES), -5, 1, 25)
    for _ in range(100):
        fit = critical.extrapolate_maxima(noisy(columns, quantity, 0.005, rng), quantity)
        row = [(fit.beta_c - 1) / fit.beta_c_error]
        row += [(fit.beta_c_free - 1) / fit.beta_c_free_error]
        row += [(fit.one_over_nu - 0.5) / fit.one_over_nu_error]
        if fit.growth is None:
            row.append((fit.height - 1.6572974585) / fit.height_error)
        else:
            row.append((fit.growth.slope - 0.5) / fit.growth.error)
        z.append(row)
    assert np.all((np.nanvar(z, axis=0) > 0.5) & (np.nanvar(z, axis=0) < 1.75))
    assert np.all(np.abs(np.nanmean(z, axis=0)) < 0.75)  # a bias of a third of an error
    assert np.isnan(z).sum() <= 4


@pytest.mark.statistical
def test_maxima_of_reweighted_runs_extrapolate_too(seed: int) -> None:
    """Within 4.5 standard errors of T_c = 1: false alarm 1e-5."""
    places = []
    for n in (64, 256, 1024):
        beta = 1 + np.linspace(0.5, 4, 4) / np.sqrt(n)
        run = sn.sample(sn.CurieWeiss(n), beta, n_sweeps=200, n_replicas=16, n_burn_in=60, rng=seed)
        curves = critical.reweight(run, np.linspace(beta[0], beta[-1], 21))
        places.append(critical.maximum(curves, "susceptibility_abs"))
    fit = critical.extrapolate_maxima(places, "susceptibility_abs")
    assert abs(fit.beta_c - 1) < 4.5 * fit.beta_c_error < 0.1
    with pytest.raises(sn.InputError, match="must hold maxima of 'specific_heat'"):
        critical.extrapolate_maxima(places, "specific_heat")


def test_maxima_at_the_end_or_without_the_column_are_refused() -> None:
    with pytest.raises(sn.StatisticsError, match="largest at the end of its temperatures"):
        critical.maxima([exact(1000, 0.5, 2, 9)])
    with pytest.raises(sn.InputError, match="lacks 'specific_heat'"):
        critical.maxima(table("abs_m", (128, 256), -1, 1, 5))
    with pytest.raises(sn.InputError, match="quantity must be one of"):
        critical.maxima([exact(1000, -4, 0.5, 46)], "binder")
    with pytest.raises(sn.InputError, match="depth must be"):
        critical.maxima([exact(1000, -4, 0.5, 46)], depth=1.0)
    with pytest.raises(sn.StatisticsError, match="at least 2 sizes"):
        critical.extrapolate_maxima([exact(1000, -4, 0.5, 46)])


# --- collapse ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "kappa"),
    [("binder", 0.0), ("abs_m", -0.25), ("susceptibility", 0.5), ("susceptibility_abs", 0.5)],
)
def test_exact_tables_collapse_with_the_exponents_of_mean_field(
    quantity: str, kappa: float
) -> None:
    """Sizes 128-2048: what one correction term leaves is below 4e-3."""
    fit = critical.collapse([exact(n, -1.2, 1.2, 13) for n in SIZES], quantity)
    assert fit.beta_c == pytest.approx(1, abs=4e-4)
    assert fit.one_over_nu == pytest.approx(0.5, abs=4e-3)
    assert fit.kappa == pytest.approx(kappa, abs=4e-3)
    straight = critical.collapse(
        [exact(n, -1.2, 1.2, 13) for n in SIZES], quantity, correction=None
    )
    assert abs(straight.beta_c - 1) > 5 * abs(fit.beta_c - 1)


def test_the_master_curve_is_the_scaling_function() -> None:
    fit = critical.collapse(
        [exact(n, -1.2, 1.2, 13) for n in SIZES], "binder", beta_c=1.0, one_over_nu=0.5
    )
    x = np.linspace(-0.9, 0.9, 7)
    assert fit.master_curve(x) == pytest.approx(critical.mean_field_scaling(x).binder, abs=2e-3)


@pytest.mark.slow
@pytest.mark.statistical
def test_errors_of_a_collapse_are_calibrated(seed: int) -> None:
    """50 tables of 0.3 % noise: var z within 0.4-1.9, p uniform, local misfit near 1."""
    rng = np.random.default_rng(seed)
    columns = table("susceptibility", SIZES, -1, 1, 13)
    z = []
    for k in range(50):
        fit = critical.collapse(
            noisy(columns, "susceptibility", 0.003, rng), "susceptibility", n_resamples=0
        )
        redrawn = None
        if k == 0:
            redrawn = critical.collapse(
                noisy(columns, "susceptibility", 0.003, rng), "susceptibility", rng=1
            )
            assert redrawn.kappa_error == pytest.approx(fit.kappa_error, rel=0.35)
        row = [(fit.beta_c - 1) / fit.beta_c_error, (fit.one_over_nu - 0.5) / fit.one_over_nu_error]
        z.append([*row, (fit.kappa - 0.5) / fit.kappa_error, fit.p_value, fit.local_misfit])
    values = np.array(z)
    assert np.all((values[:, :3].var(axis=0) > 0.4) & (values[:, :3].var(axis=0) < 1.9))
    assert np.all(np.abs(values[:, :3].mean(axis=0)) < 0.8)
    assert abs(values[:, 3].mean() - 0.5) < 4.2 / np.sqrt(12 * 50)
    assert 0.7 < values[:, 4].mean() < 2.5


def test_a_wrong_exponent_does_not_collapse() -> None:
    columns = noisy(table("abs_m", SIZES, -1, 1, 13), "abs_m", 0.003, np.random.default_rng(3))
    good = critical.collapse(columns, "abs_m", beta_c=1.0, one_over_nu=0.5, kappa=-0.25)
    wrong = critical.collapse(
        columns, "abs_m", beta_c=1.0, one_over_nu=0.5, kappa=-0.125, correction=None
    )
    assert good.p_value > 1e-4
    assert wrong.p_value < 1e-10
    assert wrong.local_misfit > 10 * good.local_misfit
    assert good.beta_c_error == good.kappa_error == 0


@pytest.mark.statistical
def test_data_against_the_exact_scaling_function_without_a_free_parameter(seed: int) -> None:
    """Large sizes of 1 % noise agree (p > 1e-4), a T_c off by 1 % does not."""
    columns = noisy(
        table("abs_m", (1024, 4096), -1, 1, 13), "abs_m", 0.01, np.random.default_rng(seed)
    )
    good = critical.mean_field_collapse(columns, "abs_m", 1.0)
    assert good.p_value > 1e-4
    assert good.dof == 26
    assert critical.mean_field_collapse(columns, "abs_m", 1.01).p_value < 1e-6


def test_scaled_exact_sums_approach_the_scaling_function_as_one_over_n() -> None:
    for quantity in ("binder", "abs_m", "m2", "susceptibility", "specific_heat"):
        off = [
            critical.mean_field_collapse(exact(n, -1, 1, 5), quantity, 1.0).largest_deviation
            for n in (1000, 10**4)
        ]
        assert off[1] < off[0] / 7
    assert np.isnan(critical.mean_field_collapse(exact(1000, -1, 1, 5), "binder", 1.0).chi2)


def test_bad_collapses_are_named() -> None:
    results = [exact(n, -1, 1, 5) for n in SIZES]
    with pytest.raises(sn.InputError, match="quantity must be one of"):
        critical.collapse(results, "energy")
    with pytest.raises(sn.StatisticsError, match="points of sizes"):
        critical.collapse(results[:2], "binder")
    with pytest.raises(sn.InputError, match="degree must be"):
        critical.collapse(results, "binder", degree=1)
    with pytest.raises(sn.InputError, match="next_order is that of Curie-Weiss"):
        critical.mean_field_collapse(results, "binder", 1.0, participation_ratio=0.5)
    with pytest.raises(sn.StatisticsError, match="no point lies within"):
        critical.mean_field_collapse(exact(1000, 3, 4, 5), "binder", 1.0)


def test_results_print_export_and_draw() -> None:
    columns = noisy(
        table("specific_heat", SIZES, -5, 1, 25), "specific_heat", 0.003, np.random.default_rng(1)
    )
    found = critical.maxima(columns)
    limit = critical.extrapolate_maxima(found)
    flat = noisy(table("binder", SIZES, -1, 1, 13), "binder", 0.003, np.random.default_rng(2))
    fit = critical.collapse(flat, "binder", n_resamples=5, rng=1)
    compared = critical.mean_field_collapse(flat, "binder", 1.0)
    for result in (found, limit, fit, compared):
        assert result.summary()
        json.dumps(result.to_dict(), allow_nan=False)
        assert result.plot().get_legend() is not None
    assert fit.to_dict()["seed"]
    assert "mean field 0.5" in limit.summary()
