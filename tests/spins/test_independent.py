"""Sweeps that are independent draws: against exact sums, and what chains promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import spinnet as sn
from spinnet.spins.montecarlo.chains.independent import IndependentChains

UPDATE = sn.Independent()
ALARM = 1e-6  # of each chi-square


def made(model, beta, n_replicas, seed):
    return IndependentChains(model, beta, UPDATE, n_replicas, np.random.SeedSequence(seed))


def boltzmann(model, beta):
    n = model.n_spins
    states = np.where((np.arange(1 << n)[:, None] >> np.arange(n)) & 1, 1, -1)
    energy = model.energy(states)
    p = np.exp(-beta * (energy - energy.min()))
    return p / p.sum()


def p_value(counts, p):
    expected = p * counts.sum()
    common = expected >= 10
    seen = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    keep = wanted > 0
    return stats.chi2.sf(np.sum((seen - wanted)[keep] ** 2 / wanted[keep]), max(1, keep.sum() - 1))


MODELS = [sn.CurieWeiss(4, 1.2, -0.3), sn.CurieWeiss(3, -0.8), sn.CurieWeiss(1, 1.0, 0.4)]


def configurations(model, beta, seed, sweeps=50):
    chains = made(model, beta, 4000, seed)
    counts = np.zeros(1 << model.n_spins)
    for _ in range(sweeps):
        chains.advance(1, record=False)
        index = (chains.spins > 0) @ (1 << np.arange(model.n_spins))
        counts += np.bincount(index, minlength=len(counts))
    return counts


@pytest.mark.statistical
@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("beta", [0.0, 0.7, 3.0])
def test_configurations_follow_the_boltzmann_distribution(model, beta, seed):
    assert p_value(configurations(model, beta, seed), boltzmann(model, beta)) > ALARM


@pytest.mark.statistical
def test_a_defect_of_two_percent_is_caught(seed):
    model = MODELS[0]
    counts = configurations(sn.CurieWeiss(4, 1.2 * 1.02, -0.3), 0.7, seed, 250)
    assert p_value(counts, boltzmann(model, 0.7)) < ALARM
    counts = configurations(model, 0.7 * 1.02, seed, 250)
    assert p_value(counts, boltzmann(model, 0.7)) < ALARM


@pytest.mark.statistical
def test_each_replica_agrees_at_its_own_temperature(seed):
    betas = np.repeat([0.0, 0.8, 1.0, 1.3], 8)
    chains = made(sn.CurieWeiss(200, h=0.002), betas, 32, seed)
    m, energy = chains.advance(5000)
    exact = sn.exact.curie_weiss(200, betas, h=0.002)
    for series, mean in ((m, exact.magnetization), (m**2, exact.m2), (energy, exact.energy)):
        z = (series.mean(axis=1) - mean) / series.std(axis=1) * math.sqrt(5000)
        assert np.abs(z).max() < 5  # 96 normals: one alarm in 2e4
    # sweeps and replicas are independent
    z = np.corrcoef(m)[np.triu_indices(32, 1)] * math.sqrt(5000)
    assert np.abs(z).max() < 5.5
    assert abs(np.mean(z**2) - 1) < 4.5 * math.sqrt(2 / len(z))
    later = [np.corrcoef(row[1:], row[:-1])[0, 1] * math.sqrt(5000) for row in m]
    assert np.abs(later).max() < 5


@pytest.mark.statistical
def test_spins_of_one_sweep_know_nothing_of_those_before(seed):
    chains = made(sn.CurieWeiss(64, J=0.0), 1.0, 16, seed)
    states = []
    for _ in range(500):
        chains.advance(1, record=False)
        states.append(chains.spins.ravel().astype(float))
    s = np.array(states)
    assert np.abs(np.mean(s[1:] * s[:-1], axis=0) * math.sqrt(499)).max() < 6
    z = (s.T @ s / 500)[np.triu_indices(1024, 1)] * math.sqrt(500)
    assert np.abs(z).max() < 6.5  # 5e5 normals: one alarm in 2e4
    assert abs(np.mean(z**2) - 1) < 0.02


@pytest.mark.parametrize("n", [1, 2, 63, 64, 1000, 100_000])
def test_recorded_numbers_are_those_of_the_spins(n):
    model = sn.CurieWeiss(n, J=1.1, h=-0.003)
    chains = made(model, np.linspace(0, 2, 5), 5, n)
    start = chains.spins
    assert start.shape == (5, n)
    for size in (1, 7, 256):
        m, energy = chains.advance(size)
        assert m.shape == energy.shape == (5, size)
        np.testing.assert_array_equal(m[:, -1], chains.spins.mean(axis=1))
        np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), rtol=1e-14)
        np.testing.assert_array_equal(chains.spins, chains.spins)
    assert chains.advance(3, record=False)[0].shape == (0, 3)


def test_state_threads_selection_cuts_and_questions():
    model = sn.CurieWeiss(50)

    def run(cuts, workers=1, restart=False, ask=False):
        chains = made(model, np.linspace(0.5, 1.5, 6), 6, 9)
        chains.workers = workers
        parts, spins = [], []
        for k, size in enumerate(cuts):
            if restart:
                state = {key: value.copy() for key, value in chains.state().items()}
                betas = chains.betas
                chains = made(model, 1.0, 6, 9)
                chains.advance(3)
                chains.betas = betas
                chains.restore(state)
            if ask:
                assert chains.spins.shape == (6, 50)
            parts.append(np.stack(chains.advance(size)))
            if k == 0:
                chains.betas = chains.betas[::-1]
                chains.select(np.array([5, 0, 0, 3, 1, 2]))
                spins.append(chains.spins)
        return np.concatenate(parts, axis=2).tobytes(), spins[0].tobytes(), chains.spins.tobytes()

    expected = run([13, 20])
    for options in (
        {"cuts": [13, 20], "workers": 2},
        {"cuts": [13, 20], "restart": True},
        {"cuts": [13, 1, 1, 18], "ask": True, "restart": True},
    ):
        assert run(**options) == expected


def test_placed_and_selected_configurations():
    chains = made(sn.CurieWeiss(9), 1.0, 3, 2)
    chains.advance(5)
    spins = chains.spins
    chains.select(np.array([2, 2, 0]))
    np.testing.assert_array_equal(chains.spins, spins[[2, 2, 0]])
    by_hand = np.where(np.arange(27).reshape(3, 9) % 4 == 0, 1, -1).astype(np.int8)
    chains.place(by_hand)
    chains.select(np.array([1, 0, 0]))
    np.testing.assert_array_equal(chains.spins, by_hand[[1, 0, 0]])
    other = made(sn.CurieWeiss(9), 1.0, 3, 2)
    other.restore(chains.state())
    np.testing.assert_array_equal(other.spins, by_hand[[1, 0, 0]])
    m, _ = chains.advance(1)
    np.testing.assert_array_equal(chains.spins.mean(axis=1), m[:, 0])
    assert len({row.tobytes() for row in made(sn.CurieWeiss(64), 0.1, 20, 1).spins}) == 20


def test_refusals():
    for model, update in [
        (sn.Ising(np.ones((3, 3))), UPDATE),
        (sn.CurieWeiss(20_000_000), UPDATE),
        (sn.CurieWeiss(4), sn.HeatBath()),
    ]:
        assert IndependentChains.refusal(model, update)


@pytest.mark.statistical
def test_it_works_through_sample():
    run = sn.sample(sn.CurieWeiss(1000), [0.9, 1.0], n_sweeps=2000, update=UPDATE, rng=1)
    assert run.update == UPDATE
    exact = sn.exact.curie_weiss(1000, run.beta)
    z = (run.estimate("m2").value - exact.m2) / run.estimate("m2").error
    assert np.abs(z).max() < 4.5
    assert np.all(np.abs(run.estimate("m2").tau - 0.5) < 0.05)


@pytest.mark.statistical
def test_the_streams_of_configurations_have_nothing_in_common(seed):
    from spinnet.spins.montecarlo.subsets import subsets_as_spins

    words = np.random.SeedSequence(seed).generate_state(4, np.uint64).reshape(2, 2)
    keys = np.repeat(np.concatenate([words, words[::-1, ::-1]]), 200, axis=0)
    numbers = np.tile(np.arange(200), 4)
    spins = np.empty((800, 512), np.int8)
    subsets_as_spins(np.full(800, 256), 512, keys, numbers, spins)
    s = spins.astype(np.float64)
    # all rows have the same number of up spins: products have the variance 1/(n - 1)
    z = (s @ s.T / 512)[np.triu_indices(800, 1)] * math.sqrt(511)
    assert np.abs(z).max() < 6.5  # 3e5 normals: one alarm in 4e4
    assert abs(np.mean(z**2) - 1) < 0.02
