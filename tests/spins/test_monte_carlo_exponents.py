"""Critical exponents of Curie-Weiss from Monte Carlo: sampler, errors and scaling together."""

from __future__ import annotations

import numpy as np
import pytest

import spinnet as sn

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)


@pytest.fixture(scope="module")
def runs() -> list:
    return [
        sn.sample(
            sn.CurieWeiss(n),
            beta=[1.0],
            n_sweeps=1500,
            n_replicas=32,
            n_burn_in=400,
            update=sn.Metropolis(),
            rng=1000 + n,
        )
        for n in SIZES
    ]


@pytest.mark.statistical
def test_magnetisation_and_susceptibility_scale_as_mean_field_says(runs: list) -> None:
    """Both exponents within 4 standard errors (false alarm 1.3e-4), which are below 0.03."""
    fit = sn.critical.exponents(runs, beta_c=1.0)
    assert abs(fit.beta_over_nu - 0.25) < 4 * fit.beta_over_nu_error
    assert abs(fit.gamma_over_nu - 0.5) < 4 * fit.gamma_over_nu_error
    assert fit.beta_over_nu_error < 0.02
    assert fit.gamma_over_nu_error < 0.03


@pytest.mark.statistical
def test_the_binder_cumulant_at_tc_follows_the_exact_finite_size_sums(runs: list) -> None:
    """Seven sizes within 4.5 standard errors of the exact sum: false alarm 5e-5."""
    for run in runs:
        exact = sn.exact.curie_weiss(run.model.n_spins, 1.0)
        z = (run.binder.value[0] - exact.binder) / run.binder.error[0]
        assert abs(z) < 4.5, f"N = {run.model.n_spins}: z = {z:.2f}"


@pytest.mark.statistical
def test_independent_samples_give_the_same_exponents() -> None:
    """Exact independent draws, no chain: within 4 standard errors, false alarm 1.3e-4."""
    rows = []
    for n in SIZES:
        m = sn.iid_curie_weiss(n, 1.0, 40_000, rng=n)
        for name, values in (("abs_m", np.abs(m)), ("m2", m**2)):
            rows.append((name, values.mean(), values.std(ddof=1) / 200))
    table = {"n_spins": np.array(SIZES), "beta": np.ones(len(SIZES))}
    for name in ("abs_m", "m2"):
        table[name] = np.array([v for k, v, _ in rows if k == name])
        table[f"{name}_error"] = np.array([e for k, _, e in rows if k == name])
    fit = sn.critical.exponents(table, beta_c=1.0)
    assert abs(fit.beta_over_nu - 0.25) < 4 * fit.beta_over_nu_error < 0.02
    assert abs(fit.gamma_over_nu - 0.5) < 4 * fit.gamma_over_nu_error < 0.04
