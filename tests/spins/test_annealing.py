"""ln Z by annealing populations, against exact sums, with errors that are what they say."""

from __future__ import annotations

import json
import math

import networkx as nx
import numpy as np
import pytest

import spinnet as sn
from spinnet.errors import ConvergenceError, InputError
from spinnet.spins.montecarlo import annealing
from spinnet.spins.montecarlo.annealing import METHODS, log_partition, systematic
from spinnet.spins.montecarlo.updates import SwendsenWang, Wolff

TEMPERATURES = [0.3, 0.8, 1.5]


def build(name):
    rng = np.random.default_rng(2)
    torus = nx.grid_2d_graph(4, 4, periodic=True)
    if name == "glass":
        G = rng.normal(size=(14, 14)) / math.sqrt(14)
        return sn.Ising((G + G.T) / math.sqrt(2), constant=3.0), None
    if name == "glass in fields":
        G = rng.normal(size=(10, 10)) / math.sqrt(10)
        return sn.Ising((G + G.T) / math.sqrt(2), rng.normal(size=10)), sn.Metropolis()
    if name == "bipartite":
        return sn.Bipartite(rng.normal(size=(6, 5)), 0.2, rng.normal(size=5)), None
    update = {"torus": sn.HeatBath(), "torus wolff": Wolff(), "torus sw": SwendsenWang()}[name]
    return sn.Ising.from_graph(torus, h=0.05), update


NAMES = ("glass", "glass in fields", "bipartite", "torus", "torus wolff", "torus sw")


def z_of(found, exact):
    return (found.log_z - exact.log_z) / found.log_z_error


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_log_z_agrees_with_the_exact_sum(name, method, seed):
    model, update = build(name)
    found = log_partition(
        model, TEMPERATURES, method=method, update=update, n_replicas=300, n_sweeps=4, n_runs=32,
        rng=seed,
    )  # fmt: skip
    exact = sn.exact.enumerate(model, TEMPERATURES)
    # 32 runs: Student's t of 31 degrees of freedom exceeds 5 once in 5e4
    assert np.abs(z_of(found, exact)).max() < 5
    assert found.log_z_error.max() < 0.1
    assert np.abs((found.energy - exact.energy) / found.energy_error).max() < 6
    np.testing.assert_allclose(
        found.free_energy, -found.log_z / (np.array(TEMPERATURES) * model.n_spins), rtol=1e-14
    )


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["glass", "torus", "torus wolff"])
def test_errors_of_log_z_are_calibrated(name, method, seed):
    model, update = build(name)
    exact = sn.exact.enumerate(model, TEMPERATURES)
    z = np.array([
        z_of(
            log_partition(
                model, TEMPERATURES, method=method, update=update, n_replicas=200, n_sweeps=4,
                rng=seed + k,
            ),
            exact,
        )
        for k in range(40)
    ])  # fmt: skip
    # 40 t-variates of 15 degrees of freedom have the variance 15/13; the sum of their squares
    # leaves this interval once in 1e4 (the three temperatures are not independent)
    square = (z**2).mean(axis=0)
    rng = np.random.default_rng(1)
    draws = (rng.standard_t(15, size=(100_000, 40)) ** 2).mean(axis=1)
    low, high = np.quantile(draws, [5e-5, 1 - 5e-5])
    assert np.all((square > low) & (square < high)), square
    assert np.all(np.abs(z.mean(axis=0)) < 4.5 * math.sqrt(15 / 13 / 40))


@pytest.mark.statistical
def test_the_curie_weiss_model_of_a_thousand_spins(seed):
    beta = [0.5, 1.0, 1.2]
    found = log_partition(
        sn.CurieWeiss(1000), beta, update=SwendsenWang(), n_replicas=100, n_sweeps=1, rng=seed
    )
    # t of 15 degrees of freedom exceeds 6 once in 4e4
    assert np.abs(z_of(found, sn.exact.curie_weiss(1000, beta))).max() < 6
    assert found.log_z_error.max() < 0.2


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
def test_two_percent_of_the_couplings_are_caught(method, seed):
    torus = nx.grid_2d_graph(4, 4, periodic=True)
    exact = sn.exact.enumerate(sn.Ising.from_graph(torus), 0.8)
    wrong = sn.Ising.from_graph(torus, J=1.02)
    found = log_partition(wrong, 0.8, method=method, n_replicas=1000, n_sweeps=2, rng=seed)
    assert abs(z_of(found, exact)) > 6


@pytest.mark.statistical
def test_resampling_is_systematic_and_without_bias():
    rng = np.random.default_rng(5)
    weight = rng.exponential(size=20)
    weight /= weight.sum()
    counts = np.zeros(20)
    for _ in range(4000):
        copies = np.bincount(systematic(weight, rng.random()), minlength=20)
        assert np.all(copies >= np.floor(20 * weight - 1e-9))
        assert np.all(copies <= np.ceil(20 * weight + 1e-9))
        counts += copies
    # a share is binary about its floor: a variance of at most 1/4
    assert np.abs(counts / 4000 - 20 * weight).max() < 5 * 0.5 / math.sqrt(4000)


def test_infinite_temperature_free_spins_and_shapes():
    found = log_partition(sn.CurieWeiss(6), 0.0, n_replicas=10, n_runs=4, rng=1)
    assert found.log_z == pytest.approx(6 * math.log(2), rel=1e-15)
    assert found.log_z_error == 0
    assert found.free_energy == -np.inf
    one = log_partition(sn.Ising([[0.0]]), [[2.0], [0.5]], n_replicas=10, n_runs=4, rng=1)
    np.testing.assert_allclose(one.log_z, math.log(2), rtol=1e-15)
    assert one.beta.shape == one.log_z_error.shape == one.rho_t.shape == (2, 1)
    assert one.log_z_runs.shape == (4, 2, 1)


def test_families_and_weights_are_counted():
    model = build("torus")[0]
    common = {"n_replicas": 50, "n_sweeps": 1, "n_runs": 4, "rng": 3}
    bred = log_partition(model, [0.2, 1.0], **common)
    assert np.all(bred.effective_sample_size <= bred.families + 1e-9)
    assert bred.families[1] < bred.families[0] < 50
    assert np.all(bred.rho_t >= 1)
    weighed = log_partition(model, [0.2, 1.0], method="ais", **common)
    assert np.all(weighed.families == 50)
    assert weighed.effective_sample_size[1] < weighed.effective_sample_size[0] < 50


def test_a_population_too_small_gives_a_caution_and_then_no_error():
    # wide steps of few replicas on a strong ferromagnet
    model = sn.CurieWeiss(400, J=2.0)
    coarse = {"schedule": [0.0, 1.0, 2.0], "n_sweeps": 1, "n_runs": 8, "rng": 2}
    found = log_partition(model, [0.01, 2.0], n_replicas=8, method="ais", **coarse)
    assert np.isnan(found.log_z_error[1])
    assert "one run decides" in found.note
    assert "(?)" in found.summary()
    few = log_partition(sn.CurieWeiss(20), 0.3, n_replicas=10, n_runs=4, rng=1)
    assert "fewer than 20 effective replicas" in few.note


def test_the_schedule_holds_what_was_asked_for():
    model = sn.CurieWeiss(20)
    auto = log_partition(model, [1.0, 0.4], n_replicas=20, n_runs=4, n_sweeps=1, rng=1)
    assert auto.schedule[0] == 0
    assert {0.4, 1.0} <= set(auto.schedule)
    fine = log_partition(
        model, [1.0, 0.4], n_replicas=20, n_runs=4, n_sweeps=1, culling=0.02, rng=1
    )
    assert len(fine.schedule) > 2 * len(auto.schedule)
    given = log_partition(
        model, [1.0, 0.4], n_replicas=20, n_runs=4, schedule=[0.2, 0.9, 3.0], rng=1
    )
    assert given.schedule.tolist() == [0.0, 0.2, 0.4, 0.9, 1.0]


def test_temperatures_close_to_zero_are_reached():
    # the first steps are 1e41 times smaller than the way there
    model = build("torus")[0]
    found = log_partition(model, [1.0, 1e40], n_replicas=30, n_runs=4, n_sweeps=1, rng=1)
    assert 5 < len(found.schedule) < 100
    # the ground state: 32 bonds and 16 fields of 0.05
    assert found.energy[1] == pytest.approx(-32.8, rel=1e-12)
    assert found.log_z[1] == pytest.approx(32.8e40, rel=1e-12)


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(annealing, "WORTH_THREADS", 0.0)  # so that a small system uses them
    model = build("torus")[0]
    arguments = {"beta": 0.5, "n_replicas": 30, "n_runs": 4, "n_sweeps": 2}
    first, second, third, fourth = (
        log_partition(model, rng=seed, workers=workers, **arguments).log_z_runs.tobytes()
        for seed, workers in ((1, 1), (1, None), (1, 2), (2, 1))
    )
    assert first == second == third != fourth


def test_threads_are_used_where_they_are_worth_it(monkeypatch):
    used = []
    made = annealing.make_chains

    def watched(*given):
        used.append(made(*given))
        return used[-1]

    monkeypatch.setattr(annealing, "make_chains", watched)
    for n_sweeps, workers in ((1, 1), (100, 2)):
        log_partition(
            sn.Ising(np.ones((50, 50)) / 50), 0.1, schedule=[0.1], n_replicas=100, n_runs=4,
            n_sweeps=n_sweeps, update=sn.HeatBath(), workers=2, rng=1,
        )  # fmt: skip
        seconds = used[-1].sweep_seconds * n_sweeps
        assert (seconds >= annealing.WORTH_THREADS) == (workers == 2), "the test has lost its point"
        assert used[-1].workers == workers


def test_many_sweeps_are_done_in_blocks():
    # sums in single precision start anew with each call, and Ctrl-C waits for one call at most
    class Chains:
        n_replicas = 3

        def __init__(self):
            self.calls = []

        def advance(self, n_sweeps, record=True):
            self.calls.append((n_sweeps, record))
            return np.zeros((3, n_sweeps)), np.ones((3, n_sweeps))

    for n_sweeps, calls in ((1, []), (2, [1]), (257, [256]), (600, [256, 256, 87])):
        chains = Chains()
        way = annealing._Way(sn.CurieWeiss(2), None, n_sweeps, True, 1)
        np.testing.assert_array_equal(way.energies(chains, 0.5), np.ones(3))
        assert chains.calls == [*((n, False) for n in calls), (1, True)]


def test_results_are_shown_stored_and_drawn():
    found = log_partition(sn.CurieWeiss(8), [0.0, 0.5, 1.0], n_replicas=20, n_runs=4, rng=1)
    lines = found.summary().splitlines()
    assert lines[0].startswith("CurieWeiss(8, J=1.0, h=0.0): population-annealing, 4 runs of 20")
    assert len(lines) == 5 + bool(found.note)
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["free_energy"][0] is None
    assert stored["log_z"] == found.log_z.tolist()
    np.testing.assert_allclose(found.entropy[0], math.log(2), rtol=1e-14)
    ax = found.plot()
    assert ax.get_xlabel() == r"$\beta$"
    assert len(ax.lines[0].get_xdata()) == 2


def test_progress_and_interruption(capsys, monkeypatch):
    arguments = {"n_replicas": 10, "n_runs": 4, "n_sweeps": 1, "rng": 1}
    log_partition(sn.CurieWeiss(6), 0.5, progress=True, **arguments)
    assert "step" in capsys.readouterr().err
    calls = []
    whole = annealing._anneal

    def stop(*given):
        calls.append(1)
        if len(calls) == last:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(annealing, "_anneal", stop)
    last = 3
    with pytest.raises(KeyboardInterrupt, match="after 2 of 4 runs; too few") as caught:
        log_partition(sn.CurieWeiss(6), 0.5, **arguments)
    assert caught.value.result is None
    # runs that have finished are not lost: they are the first of those that there would have been
    calls, last = [], 6
    with pytest.raises(KeyboardInterrupt, match="after 5 of 9 runs; their result") as caught:
        log_partition(sn.CurieWeiss(6), 0.5, **arguments | {"n_runs": 9})
    kept = caught.value.result
    monkeypatch.setattr(annealing, "_anneal", whole)
    found = log_partition(sn.CurieWeiss(6), 0.5, **arguments | {"n_runs": 9})
    assert kept.n_runs == 5
    np.testing.assert_array_equal(kept.log_z_runs, found.log_z_runs[:5])
    assert kept.log_z_error > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beta": -1.0}, "beta must be >= 0, got -1"),
        ({"method": "magic"}, "method must be"),
        ({"n_replicas": 1}, "n_replicas must be"),
        ({"n_runs": 3}, "n_runs must be"),
        ({"n_sweeps": 0}, "n_sweeps must be"),
        ({"culling": 0.6}, r"culling must be in \(0, 0.5\], got 0.6"),
        ({"schedule": [0.5, 0.2]}, "schedule must be inverse temperatures >= 0 that rise"),
        ({"update": "heat"}, "update must be"),
        ({"model": sn.NetworkDual(np.ones((2, 2)), kind="marginal")}, "kind='bipartite' has"),
        ({"model": 3}, "model must be a spin model"),
        ({"n_replicas": 10**14}, "would take"),
        ({"workers": 0}, r"workers \(or None for all cores\) must be"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(change, words):
    arguments = {"model": sn.CurieWeiss(4), "beta": 0.5} | change
    with pytest.raises(InputError, match=words):
        log_partition(arguments.pop("model"), arguments.pop("beta"), **arguments)


def test_a_schedule_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(annealing, "_MOST_STEPS", 5)
    with pytest.raises(ConvergenceError, match="5 steps reach beta="):
        log_partition(sn.CurieWeiss(50), 2.0, culling=0.01, n_replicas=10, rng=1)
