"""Independent draws of couplings of rank one: configurations, energies, and what is promised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.montecarlo import rank_one
from spinnet.spins.montecarlo.chains import make_chains
from spinnet.spins.montecarlo.chains.independent_rank_one import RankOneChains
from spinnet.spins.montecarlo.choice import choose

UPDATE = sn.Independent()
ALARM = 1e-6  # of each chi-square


def made(model, beta, n_replicas, seed):
    return RankOneChains(model, beta, UPDATE, n_replicas, np.random.SeedSequence(seed))


def models():
    rng = np.random.default_rng(6)
    return {
        "real": sn.LowRank(rng.normal(size=5), rng.normal(size=5) / 2, constant=0.7),
        "uniform field": sn.LowRank(rng.normal(size=4), 0.1),
        "pattern": sn.Hopfield([[1, -1, -1, 1]]),
        "opposed": sn.LowRank([1.2, 1.2, -0.3, 0.9], [0.8, -0.9, 0.0, 0.4]),
        "free": sn.LowRank(np.zeros(3), [0.4, 0.0, -0.7]),
        "partly free": sn.LowRank([0.9, 0.0, 0.9], [0.0, 0.3, 0.0]),
        "one": sn.LowRank([0.8], 0.3),
    }


def p_of(model, beta, true_beta, seed, rounds=50):
    """Return the p-value of configurations drawn at `beta` for those of `true_beta`."""
    n = model.n_spins
    states = np.where((np.arange(1 << n)[:, None] >> np.arange(n)) & 1, 1, -1)
    energy = model.energy(states)
    p = np.exp(-true_beta * (energy - energy.min()))
    chains = made(model, beta, 4000, seed)
    counts = np.zeros(1 << n)
    for _ in range(rounds):
        chains.advance(1, record=False)
        counts += np.bincount((chains.spins > 0) @ (1 << np.arange(n)), minlength=1 << n)
    expected = p / p.sum() * counts.sum()
    common = expected >= 10
    seen = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum() + 1e-300)
    keep = wanted > 1e-3
    chi2 = np.sum((seen - wanted)[keep] ** 2 / wanted[keep])
    return stats.chi2.sf(chi2, max(1, keep.sum() - 1))


@pytest.mark.statistical
@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("beta", [0.0, 0.7, 4.0])
def test_configurations_follow_the_boltzmann_distribution(name, beta, seed):
    assert p_of(models()[name], beta, beta, seed) > ALARM


@pytest.mark.statistical
def test_defects_of_two_percent_are_caught(seed):
    model = models()["real"]
    assert p_of(model, 0.7 * 1.02, 0.7, seed, 150) < ALARM
    wrong = sn.LowRank(model.factors * math.sqrt(1.02), model.fields)
    states = np.where((np.arange(32)[:, None] >> np.arange(5)) & 1, 1, -1)
    wrong.energy = lambda s: model.energy(states)
    assert p_of(wrong, 0.7, 0.7, seed, 150) < ALARM


@pytest.mark.parametrize("beta", [0.3, 1.0, 1.4, 30.0])
def test_the_cells_bound_the_density_from_both_sides(beta):
    rng = np.random.default_rng(1)
    f, h = np.abs(rng.normal(size=40)) / 6, rng.normal(size=40) / 3
    counts = rng.integers(1, 4, 40).astype(float)
    table = rank_one.FieldTable.of(beta, f, beta * h, counts)
    left, width, low, rise, curvature = table.cells.T

    def log_density(zeta):
        a = np.abs(zeta[:, None] * f + beta * h)
        return -(zeta**2) / (2 * beta) + (a + np.log1p(np.exp(-2 * a))) @ counts

    for part in np.linspace(0, 1, 11):
        exact, chord = log_density(left + part * width), low + part * rise
        assert np.all(exact <= chord + width**2 / (8 * beta) + 1e-10)
        assert np.all(exact >= chord - curvature * width**2 / 8 - 1e-10)
    # the cells hold all of the mass: by the trapezoidal rule over the line
    reach = beta * counts @ f + 12 * math.sqrt(beta)
    grid = np.linspace(-reach, reach, 200_001)
    density = np.exp(log_density(grid) - low.max())
    within = np.zeros(len(grid), bool)
    for a, b in zip(left, left + width, strict=True):
        within |= (grid >= a - 1e-9 * reach) & (grid <= b + 1e-9 * reach)
    assert density[~within].sum() < 1e-20 * density.sum()


@pytest.mark.statistical
def test_large_systems_and_independence(seed):
    pattern = np.random.default_rng(3).choice([-1.0, 1.0], 500)
    betas = np.repeat([0.0, 0.9, 1.0, 1.2], 6)
    model = sn.LowRank(pattern / math.sqrt(500), 0.01 * pattern)
    chains = made(model, betas, 24, seed)
    _, energy = chains.advance(3000)
    exact = sn.exact.curie_weiss(500, betas, h=0.01)
    z = (energy.mean(axis=1) - exact.energy - 0.5) / energy.std(axis=1) * math.sqrt(3000)
    assert np.abs(z).max() < 5  # 24 normals: one alarm in 7e4
    z = np.corrcoef(energy)[np.triu_indices(24, 1)] * math.sqrt(3000)
    assert np.abs(z).max() < 5.5
    later = [np.corrcoef(row[1:], row[:-1])[0, 1] * math.sqrt(3000) for row in energy]
    assert np.abs(later).max() < 5


def test_energies_state_threads_and_temperatures():
    rng = np.random.default_rng(2)
    model = sn.LowRank(rng.normal(size=300) / 17, rng.normal(size=300), constant=2.0)

    def run(cuts, workers=1, restart=False):
        chains = made(model, np.linspace(0.0, 1.5, 6), 6, 9)
        chains.workers = workers
        parts = []
        for k, size in enumerate(cuts):
            if restart:
                state = {key: value.copy() for key, value in chains.state().items()}
                betas = chains.betas
                chains = made(model, 1.0, 6, 9)
                chains.advance(3)
                chains.betas = betas
                chains.restore(state)
            parts.append(np.stack(chains.advance(size)))
            np.testing.assert_array_equal(parts[-1][0, :, -1], chains.spins.mean(axis=1))
            np.testing.assert_allclose(
                parts[-1][1, :, -1], model.energy(chains.spins), atol=1e-4, rtol=1e-6
            )
            if k == 0:
                chains.betas = chains.betas[::-1]
        return np.concatenate(parts, axis=2).tobytes()

    assert run([5, 8]) == run([5, 8], 2) == run([5, 8], 1, True) == run([5, 1, 7], 2, True)


def test_choice_refusals_and_the_coldest_temperatures():
    model = sn.Hopfield(np.ones((1, 100)))
    chains = make_chains(model, 1.0, UPDATE, 2, np.random.SeedSequence(1))
    assert chains.name == "rank-one"
    for bad in (sn.Hopfield(np.ones((2, 4))), sn.Ising(np.ones((3, 3)))):
        assert "one number" in RankOneChains.refusal(bad, UPDATE)
    assert RankOneChains.refusal(model, sn.AuxiliaryField())
    assert RankOneChains.refusal(sn.LowRank(np.ones(200_001)), UPDATE)
    m, _ = made(model, 1e6, 4, 1).advance(5)
    assert np.all(np.abs(m) == 1)
    with pytest.raises(InputError, match=r"beta=1e\+20 is too cold"):
        made(model, 1e20, 4, 1).advance(1)


def test_where_it_is_too_cold_for_a_table_the_auxiliary_field_is_chosen():
    rng = np.random.default_rng(4)
    model = sn.Hopfield(rng.choice([-1, 1], (1, 100)))
    assert choose(model, [1.0, 1e8], 8, None).update == UPDATE
    assert choose(sn.LowRank(np.zeros(9), 1.0), 1e30, 8, None).update == UPDATE  # needs no table
    clamped = sn.LowRank(rng.normal(size=9), [1e9] * 9)
    for cold, beta in ((model, [1.0, 1e20]), (model, 1e40), (clamped, 1e3)):
        assert choose(cold, beta, 8, None).update == sn.AuxiliaryField()
        run = sn.sample(cold, beta, n_sweeps=20, n_replicas=4, n_burn_in=20, rng=1)
        assert run.update == sn.AuxiliaryField()
        assert np.isfinite(run.series["energy"]).all()
        with pytest.raises(InputError, match="is too cold for the table"):
            sn.sample(cold, beta, n_sweeps=20, n_replicas=4, update=UPDATE)
