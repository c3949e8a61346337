"""Exact spectra of the random-site chain, and z from them and from simulated chains."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import spinnet as sn
from spinnet.spins import critical
from spinnet.spins.critical.dynamics import tau_with_error

mpl.use("Agg")
KNOWN = {
    sn.HeatBath: {16: 1.3842, 256: 1.3062, 4096: 1.2763, 65536: 1.2683},
    sn.Metropolis: {16: 0.8946, 256: 0.7519, 4096: 0.6864, 65536: 0.6581},
}


@pytest.mark.parametrize("update", [sn.HeatBath(), sn.Metropolis()])
def test_exact_relaxation_times_at_tc_are_those_of_the_transition_matrix(update: object) -> None:
    for n, value in KNOWN[type(update)].items():
        tau = critical.exact_relaxation_time(n, 1.0, update)
        assert tau / np.sqrt(n) == pytest.approx(value, abs=6e-5)


@pytest.mark.parametrize("update", [sn.HeatBath(), sn.Metropolis()])
@pytest.mark.parametrize("beta", [0.4, 1.3])
def test_spectrum_agrees_with_the_dense_matrix_over_all_states(update: object, beta: float) -> None:
    """2^6 states, energies from the model: the chain of M is its symmetric part."""
    n, J, h = 6, 0.8, 0.15
    model = sn.CurieWeiss(n, J=J, h=h)
    states = np.array([[1 - 2 * (k >> i & 1) for i in range(n)] for k in range(2**n)])
    energy = model.energy(states)
    matrix = np.zeros((2**n, 2**n))
    for k in range(2**n):
        for i in range(n):
            step = beta * (energy[k ^ (1 << i)] - energy[k])
            rate = min(1, np.exp(-step)) if update == sn.Metropolis() else 1 / (1 + np.exp(step))
            matrix[k, k ^ (1 << i)] += rate / n
    matrix[np.diag_indices(2**n)] = 1 - matrix.sum(axis=1)
    total = states.sum(axis=1)
    lumped = np.array(
        [
            [matrix[np.argmax(total == a)][total == b].sum() for b in range(-n, n + 1, 2)]
            for a in range(-n, n + 1, 2)
        ]
    )
    eigenvalues = np.sort(np.linalg.eigvals(lumped).real)
    for parity, level in (("odd", 2), ("even", 3)):
        tau = critical.exact_relaxation_time(n, beta, update, J=J, h=h, parity=parity)
        assert tau == pytest.approx(-1 / (n * np.log(eigenvalues[-level])), rel=1e-10)


def test_limits_off_criticality() -> None:
    """T > T_c: 1/(1 - K) for heat bath; K = 0: one sweep."""
    assert critical.exact_relaxation_time(10**5, 0.5) == pytest.approx(2, rel=1e-3)
    assert critical.exact_autocorrelation_time(10**5, 0.5) == pytest.approx(2, rel=1e-3)
    assert critical.exact_autocorrelation_time(10**6, 0.0) == pytest.approx(1, rel=1e-5)


def test_critical_amplitudes_are_the_levels_of_the_fokker_planck_operator() -> None:
    assert critical.critical_amplitude() == pytest.approx(1.2655708555, abs=1e-9)
    assert critical.critical_amplitude(sn.Metropolis()) == pytest.approx(0.6327854277, abs=1e-9)
    assert critical.critical_amplitude(parity="even") == pytest.approx(1 / 2.57135, rel=1e-5)


def test_integrated_time_is_the_resolvent_of_the_dense_matrix() -> None:
    n, beta = 12, 1.1
    total = np.arange(-n, n + 1, 2)
    up = (n - total) / (2 * n) / (1 + np.exp(-2 * beta * (total + 1) / n))
    down = (n + total) / (2 * n) / (1 + np.exp(2 * beta * (total - 1) / n))
    matrix = np.diag(up + down) - np.diag(up[:-1], 1) - np.diag(down[1:], -1)
    values, vectors = np.linalg.eig(matrix.T)
    weight = np.abs(vectors[:, np.argmin(np.abs(values))].real)
    f = np.linalg.lstsq(matrix, total.astype(float), rcond=None)[0]
    f -= (weight @ f) / weight.sum()
    expected = (weight * total) @ f / (weight @ total**2) / n
    assert critical.exact_autocorrelation_time(n, beta) == pytest.approx(expected, rel=1e-9)


def test_exact_times_give_z_one_half() -> None:
    """What is left is of the next order: 1e-3 for heat bath, 3e-3 for Metropolis from N = 64."""
    sizes = 2 ** np.arange(6, 17, 2)
    for update, omega, z_limit in ((sn.HeatBath(), 0.5, 1e-3), (sn.Metropolis(), 0.25, 3e-3)):
        tau = [critical.exact_relaxation_time(int(n), 1.0, update) for n in sizes]
        fit = critical.dynamic_exponent({"n_spins": sizes, "tau": tau}, correction=omega)
        assert fit.z == pytest.approx(0.5, abs=z_limit)
        # a straight line is off by more
        assert abs(fit.uncorrected.slope - 0.5) > 3 * abs(fit.z - 0.5)
    assert critical.dynamic_exponent({"n_spins": sizes, "tau": tau}).z != fit.z


def random_site_chains(n: int, n_sweeps: int, rng: np.random.Generator) -> np.ndarray:
    """m after each of `n_sweeps` random-site heat-bath sweeps of 48 replicas at T_c."""
    total = rng.choice([-1, 1], (48, n)).sum(axis=1)
    m = np.empty((48, n_sweeps))
    for sweep in range(-10 * int(n**0.5), n_sweeps):
        for _ in range(n):
            spin = np.where(rng.random(48) < (n + total) / (2 * n), 1, -1)
            rest = total - spin
            new = np.where(rng.random(48) < 1 / (1 + np.exp(-2 * rest / n)), 1, -1)
            total = rest + new
        if sweep >= 0:
            m[:, sweep] = total / n
    return m


@pytest.mark.statistical
def test_tau_of_a_simulated_random_site_chain_is_the_exact_one(seed: int) -> None:
    """Within 4 standard errors of 5 % (false alarm 2e-4); sampling once a sweep changes the
    sum by 1/(12 tau^2), below 1 %."""
    tau, error = tau_with_error(random_site_chains(25, 600, np.random.default_rng(seed)))
    exact = critical.exact_autocorrelation_time(25, 1.0)
    assert abs(tau - exact) < 4 * error < 0.3 * exact


@pytest.mark.statistical
def test_errors_of_tau_are_calibrated(seed: int) -> None:
    """50 sets of AR(1) chains of tau = 9.5: var z within 0.4-1.8, 4.2 sqrt(2/49) about 1."""
    rng = np.random.default_rng(seed)
    a, z = 0.9, []
    for _ in range(50):
        x = np.empty((16, 1500))
        x[:, 0] = rng.standard_normal(16) / np.sqrt(1 - a * a)
        noise = rng.standard_normal(x.shape)
        for k in range(1, 1500):
            x[:, k] = a * x[:, k - 1] + noise[:, k]
        tau, error = tau_with_error(x)
        z.append((tau - 0.5 * (1 + a) / (1 - a)) / error)
    assert 0.4 < np.var(z) < 1.8
    assert abs(np.mean(z)) < 0.7


@pytest.mark.slow
@pytest.mark.statistical
def test_z_from_heat_bath_runs(seed: int) -> None:
    """z within 4 standard errors of 1/2 (false alarm 6e-5), which are below 0.12."""
    runs = [
        sn.sample(
            sn.CurieWeiss(n),
            beta=1.0,
            update=sn.HeatBath(),
            n_sweeps=int(150 * n**0.5),
            n_replicas=32,
            n_burn_in=int(10 * n**0.5),
            rng=seed + n,
        )
        for n in (64, 144, 324, 729)
    ]
    fit = critical.dynamic_exponent(runs)
    assert abs(fit.z - 0.5) < 4 * fit.error
    assert fit.uncorrected.error < 0.05
    assert abs(fit.uncorrected.slope - 0.5) < 4 * fit.uncorrected.error + 0.03


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"n_spins": [8, 16]}, "lacks 'tau'"),
        ({"n_spins": [8, 16], "tau": [1.0, 2.0], "tua": [1, 2]}, "unknown column 'tua'"),
        ({"n_spins": [8, 16], "tau": [1.0, -2.0]}, "must be > 0"),
        ({"n_spins": [8, 8], "tau": [1.0, 2.0]}, "each size once"),
        (7, "mapping of columns or a sequence of runs"),
    ],
)
def test_bad_sources_are_named(source: object, message: str) -> None:
    with pytest.raises(sn.InputError, match=message):
        critical.dynamic_exponent(source)


def test_draws_without_dynamics_are_refused() -> None:
    runs = [sn.sample(sn.CurieWeiss(n), 1.0, n_sweeps=60, n_replicas=8, rng=n) for n in (50, 100)]
    with pytest.raises(sn.InputError, match="no dynamics; sample with update=HeatBath"):
        critical.dynamic_exponent(runs)


def test_short_chains_and_deep_wells_are_refused() -> None:
    short, other = (
        sn.sample(
            sn.CurieWeiss(n),
            1.0,
            update=sn.HeatBath(),
            n_sweeps=60,
            n_replicas=8,
            n_burn_in=5,
            rng=1,
        )
        for n in (100, 200)
    )
    with pytest.raises(sn.StatisticsError, match=r"n_spins=100: autocorrelation time .* sample"):
        critical.dynamic_exponent([short, other])
    with pytest.raises(sn.InputError, match="wells are"):
        critical.exact_relaxation_time(1000, 2.0)
    with pytest.raises(sn.InputError, match="wells that a chain can leave"):
        critical.exact_autocorrelation_time(1000, 3.0)
    with pytest.raises(sn.InputError, match="n_spins must be"):
        critical.exact_relaxation_time(1, 1.0)
    with pytest.raises(sn.InputError, match="update must be"):
        critical.exact_relaxation_time(8, 1.0, sn.BlockGibbs())


def test_result_prints_exports_and_draws() -> None:
    sizes = np.array([64, 256, 1024, 4096])
    tau = 1.3 * sizes**0.5
    fit = critical.dynamic_exponent({"n_spins": sizes, "tau": tau, "tau_error": 0.02 * tau})
    assert "mean field 0.5" in fit.summary()
    assert fit.to_dict()["z"] == pytest.approx(0.5)
    assert fit.amplitude_half == pytest.approx(1.3)
    labels = [text.get_text() for text in fit.plot().get_legend().get_texts()]
    assert any("mean field" in label for label in labels)
