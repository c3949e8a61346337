"""Crossings that the data support, and those of noise."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import spinnet as sn
from spinnet.spins import critical
from spinnet.spins.critical.sign_changes import likeliest_rise, significant_changes, support

GRID = np.round(np.linspace(0.86, 1.14, 15), 3)


@functools.cache
def runs(sizes: tuple[int, ...] = (128, 256, 512)) -> list[sn.Run]:
    """Short runs: the cumulants of the disordered phase are noise about 0."""
    return [
        sn.sample(sn.CurieWeiss(n), GRID, n_sweeps=500, n_replicas=16, rng=201 + n) for n in sizes
    ]


def noisy_cumulants(
    sizes: tuple[int, ...], beta: np.ndarray, error: float, seed: int
) -> dict[str, np.ndarray]:
    """Exact cumulants with Gaussian noise of one size, as a table."""
    rng = np.random.default_rng(seed)
    exact = [sn.exact.curie_weiss(n, beta) for n in sizes]
    moments = [np.concatenate([getattr(e, k) for e in exact]) for k in ("abs_m", "m2", "m4")]
    binder = 1 - moments[2] / (3 * moments[1] ** 2)
    return {
        "n_spins": np.repeat(sizes, beta.size),
        "beta": np.tile(beta, len(sizes)),
        "abs_m": moments[0],
        "abs_m_error": 0.01 * moments[0],
        "m2": moments[1],
        "m2_error": 0.02 * moments[1],
        "binder": binder + error * rng.standard_normal(binder.size),
        "binder_error": np.full(binder.size, error),
    }


def test_the_likeliest_change_of_sign_is_taken() -> None:
    gap = np.array([-0.1, 0.1, -0.2, -2.0, -3.0, 2.0, 4.0, -0.1, 0.1])
    assert likeliest_rise(gap, None) == 4
    assert likeliest_rise(gap, np.full(9, 0.5)) == 4
    assert likeliest_rise(-np.abs(gap), None) is None
    below, above = support(gap, np.full(9, 0.5), 4)
    assert below == pytest.approx(10 / np.sqrt(2))
    assert above == pytest.approx(12 / np.sqrt(2))
    assert significant_changes(gap, np.full(9, 0.5)) == [(4, 5)]
    assert len(significant_changes(gap, None)) == 5


@pytest.mark.statistical
def test_crossings_are_not_taken_from_the_noise_of_the_disordered_phase() -> None:
    """20 tables of two crossings, each within 4.5 errors of the exact one: false alarm 3e-4."""
    fine = [sn.exact.curie_weiss(n, np.linspace(0.96, 1.06, 51)) for n in (64, 256, 1024)]
    expected = critical.binder_crossings(fine).beta
    for seed in range(20):
        table = noisy_cumulants((64, 256, 1024), GRID, 0.015, seed)
        found = critical.binder_crossings(table, n_resamples=60, rng=seed)
        assert np.all(np.abs(found.beta - expected) < 4.5 * found.beta_error), seed
        assert np.all(found.beta_error < 0.03)


@pytest.mark.statistical
def test_data_of_one_phase_have_no_crossing() -> None:
    """40 pairs in each phase: a false alarm of 3 joint errors on both sides is below 1e-4."""
    for beta in (np.linspace(0.6, 0.8, 15), np.linspace(1.5, 1.9, 15)):
        for seed in range(40):
            table = noisy_cumulants((256, 1024), beta, 0.03, seed)
            with pytest.raises(sn.StatisticsError, match="do not cross"):
                critical.binder_crossings(table, n_resamples=20, rng=seed)


@pytest.mark.statistical
def test_short_runs_have_their_crossings_at_the_transition_or_none() -> None:
    try:
        found = critical.binder_crossings(runs(), rng=1)
    except sn.StatisticsError as error:
        assert "do not cross" in str(error)  # noqa: PT017
        return
    assert np.all(np.abs(found.beta - 1) < 4 * found.beta_error + 0.01)
    assert np.all(found.beta_error < 0.03)
    fit = critical.exponents(runs(), correction=None, rng=1)
    assert abs(fit.beta_c - 1) < 4 * fit.beta_c_error


@pytest.mark.statistical
def test_a_collapse_is_one_about_the_transition() -> None:
    """Noise in the disordered phase collapses too; 10 tables within 4.5 errors, or refused."""
    kept = 0
    for seed in range(10):
        table = noisy_cumulants((128, 256, 512), GRID, 0.02, seed)
        try:
            fit = critical.collapse(table, "binder", n_resamples=30, rng=seed)
        except sn.StatisticsError:
            continue
        kept += 1
        assert abs(fit.beta_c - 1) < 4.5 * fit.beta_c_error, seed
        assert abs(fit.beta_c - 1) < 0.05, seed
        for n in (128, 256, 512):
            assert fit.x[fit.n_spins == n].min() < 0 < fit.x[fit.n_spins == n].max()
    assert kept >= 3
    ordered = noisy_cumulants((128, 256, 512), np.linspace(0.6, 0.8, 15), 0.02, 0)
    with pytest.raises(sn.StatisticsError, match="no first beta_c"):
        critical.collapse(ordered, "binder", rng=1)


@pytest.mark.statistical
def test_reweighted_curves_cross_where_they_differ_by_their_errors() -> None:
    """Both in the disordered phase: refused; about beta_c: within 4.5 errors, no range chosen."""
    disordered = np.linspace(0.5, 0.7, 5)
    curves = [
        critical.reweight(
            sn.sample(sn.CurieWeiss(n), disordered, n_sweeps=300, n_replicas=16, rng=n),
            np.linspace(0.5, 0.7, 11),
        )
        for n in (128, 512)
    ]
    with pytest.raises(sn.StatisticsError, match="cross 0 times by 3 errors on both sides"):
        critical.crossing(*curves)
    near = [critical.reweight(run, np.linspace(0.87, 1.1, 24)) for run in runs((64, 512))]
    place = critical.crossing(*near)
    assert abs(place.beta - 1.01150829) < 4.5 * place.beta_error  # of the exact cumulants
    assert place.beta_error < 0.02
