"""Critical exponents from Monte Carlo: sampler, errors, scaling and sweeps together.

Curie-Weiss, and the dual of a layer of rank one whose weights have different sizes and signs.
"""

from __future__ import annotations

import numpy as np
import pytest

import spinnet as sn
from spinnet.spins import critical
from spinnet.spins.montecarlo.replicated import replicated_projections

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


@pytest.mark.slow
@pytest.mark.statistical
def test_magnetisation_and_susceptibility_scale_as_mean_field_says(runs: list) -> None:
    """Both exponents within 4 standard errors (false alarm 1.3e-4), which are below 0.03."""
    fit = sn.critical.exponents(runs, beta_c=1.0)
    assert abs(fit.beta_over_nu - 0.25) < 4 * fit.beta_over_nu_error
    assert abs(fit.gamma_over_nu - 0.5) < 4 * fit.gamma_over_nu_error
    assert fit.beta_over_nu_error < 0.02
    assert fit.gamma_over_nu_error < 0.03


@pytest.mark.slow
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


# --- a low-rank ferromagnetic dual ---------------------------------------------------------------

U = np.array([1.0, -0.7, 1.3, 0.8, -1.1, 0.6])
V = np.array([0.9, -1.2, 0.7, 1.0])
DUAL = sn.NetworkDual(np.outer(U, V), fields="zero", kind="bipartite")
MODE = np.concatenate([U / np.linalg.norm(U), V / np.linalg.norm(V)]) / np.sqrt(2)
SHARE = float(1 / (MODE.size * np.sum(MODE**4)))
BETA_C = float(4 / np.linalg.norm(U) / np.linalg.norm(V))  # 4/sigma_max: levels of +-1
TRUTH = {"beta": 0.5, "gamma": 1.0, "delta": 3.0}


def dual_table(copies: int, beta: np.ndarray, n_sweeps: int, n_burn_in: int, seed: int) -> object:
    a = replicated_projections(
        DUAL, copies, beta, MODE, n_sweeps=n_sweeps, n_burn_in=n_burn_in, rng=seed
    )
    return critical.projection_table(a, beta, copies * MODE.size)


def size_sweep(seed: int, *, sweeps: int, copies: tuple[int, ...]) -> list:
    tables = []
    for k in copies:
        width = 1.2 / np.sqrt(k * MODE.size * SHARE)
        beta = BETA_C * (1 - width * np.linspace(-1, 1, 7))
        length, burn_in = int(sweeps * k**0.5) + 200, int(10 * k**0.5)
        tables.append(dual_table(k, beta, length, burn_in, seed + k))
    return tables


def test_the_critical_point_of_the_dual_is_that_of_its_singular_value() -> None:
    assert sn.critical_beta(DUAL) == pytest.approx(BETA_C, rel=1e-10)


@pytest.mark.slow
@pytest.mark.statistical
def test_the_dual_scales_in_size_as_mean_field_says(seed: int) -> None:
    """beta, gamma and delta within 2 standard errors.

    A right program fails one of three independent comparisons for 13 % of all seeds; the seed
    is the checksum of this name, and was not chosen.  The errors are tested below.
    """
    tables = size_sweep(seed, sweeps=40, copies=(8, 16, 32, 64, 128, 256))
    fit = critical.exponents(tables, beta_c=BETA_C)
    found = fit.converted
    for name, value in TRUTH.items():
        assert abs(getattr(found, name) - value) < 2 * getattr(found, f"{name}_error"), name
    assert found.delta_error < 0.4
    assert found.gamma_error < 0.3


@pytest.mark.statistical
def test_the_dual_scales_in_temperature_as_mean_field_says(seed: int) -> None:
    """A million spins: beta, gamma and gamma' within 2 standard errors (13 %, as above)."""
    t = np.geomspace(0.03, 0.4, 9)
    beta = BETA_C / np.concatenate([1 - t, 1 + t])
    table = dual_table(100_000, beta, 300, 300, seed)
    fit = critical.temperature_exponents(table, BETA_C, participation_ratio=SHARE)
    for name, value in (("beta", 0.5), ("gamma", 1.0), ("gamma_prime", 1.0)):
        assert abs(getattr(fit, name) - value) < 2 * fit.error(name), name
    assert fit.error("beta") < 0.02
    assert fit.error("gamma") < 0.3
    assert abs(fit.amplitude_ratio - 2) < 4 * fit.amplitude_ratio_error


@pytest.mark.slow
@pytest.mark.statistical
def test_curie_weiss_scales_as_mean_field_says(seed: int) -> None:
    """Heat bath: beta, gamma, delta from N-sweeps within 2 standard errors (13 %, as above)."""
    runs = [
        sn.sample(
            sn.CurieWeiss(n),
            beta=1 - 1.2 * np.linspace(-1, 1, 7) / np.sqrt(n),
            n_sweeps=int(40 * n**0.5),
            n_replicas=32,
            n_burn_in=int(5 * n**0.5),
            rng=seed + n,
        )
        for n in (32, 64, 128, 256, 512)
    ]
    found = critical.exponents(runs, beta_c=1.0).converted
    for name, value in TRUTH.items():
        assert abs(getattr(found, name) - value) < 2 * getattr(found, f"{name}_error"), name
    assert found.delta_error < 0.5


@pytest.mark.statistical
def test_delta_from_runs_in_a_field(seed: int) -> None:
    """Within 4 standard errors of 3: false alarm 6e-5."""
    h = np.geomspace(0.02, 0.4, 8)
    runs = [
        sn.sample(
            sn.CurieWeiss(1024, h=float(x)), 1.0, n_sweeps=150, n_replicas=32, n_burn_in=50, rng=k
        )
        for k, x in enumerate(h, start=seed)
    ]
    fit = critical.field_exponent(runs)
    assert abs(fit.delta - 3) < 4 * fit.error
    assert fit.n_points >= 6


@pytest.mark.slow
@pytest.mark.statistical
def test_converted_errors_are_calibrated_over_fifty_seeds(seed: int) -> None:
    """Independent draws: var z of beta, gamma, delta, nu_bar in 0.4-1.8 (4.2 sqrt(2/49) is 0.85),
    and at least 42 of 50 within 2 standard errors (fewer: once in 1e4)."""
    sizes, z = (256, 512, 1024, 2048, 4096), []
    for k in range(50):
        tables = []
        for n in sizes:
            beta = 1 - 0.8 * np.linspace(-1, 1, 7) / np.sqrt(n)
            streams = np.random.SeedSequence([seed, k, n]).spawn(beta.size)
            m = [
                sn.iid_curie_weiss(n, float(b), 6_400, rng=s)
                for b, s in zip(beta, streams, strict=True)
            ]
            samples = np.array(m).reshape(beta.size, 32, -1) * np.sqrt(n)
            tables.append(critical.projection_table(samples, beta, n))
        found = critical.exponents(tables, beta_c=1.0).converted
        z.append(
            [
                (getattr(found, name) - value) / getattr(found, f"{name}_error")
                for name, value in (TRUTH | {"nu_bar": 2.0}).items()
            ]
        )
    values = np.array(z)
    assert np.all((values.var(axis=0) > 0.4) & (values.var(axis=0) < 1.8))
    assert np.all(np.abs(values.mean(axis=0)) < 0.7)
    assert np.all((np.abs(values) < 2).sum(axis=0) >= 42)
