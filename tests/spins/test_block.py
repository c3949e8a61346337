"""Block Gibbs: one sweep against its matrix, long runs against exact sums, streams and threads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

import spinnet as sn
from spinnet.errors import CheckpointError
from spinnet.spins.montecarlo import transition_matrix
from spinnet.spins.montecarlo.chains.block import BlockChains

GIBBS = sn.BlockGibbs()
ALARM = 1e-5  # for each chi-square and each set of z-scores, of a correct kernel
REPLICAS = 1000  # from each state


def two_layers(name):
    """Return a small system of two layers."""
    rng = np.random.default_rng(6)
    w, g, k = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=2)
    if name == "one by one":
        return sn.Bipartite([[0.8]], 0.3, levels=(-1, 1))
    if name == "isolated units":
        w[1], w[:, 0] = 0.0, 0.0
        return sn.Bipartite(w, [g[0], 0.0], levels=(-1, 1))
    return sn.Bipartite(w, g, k, levels=(0, 1) if name == "0 and 1" else (-1, 1), scale=0.9)


def wide(levels=(-1, 1), n_a=37, n_b=20, strength=0.3):
    """Return a system whose layers fill vectors of sixteen units, but not the last."""
    rng = np.random.default_rng(3)
    w = strength * rng.normal(size=(n_a, n_b))
    return sn.Bipartite(w, rng.normal(size=n_a) / 3, rng.normal(size=n_b) / 3, levels=levels)


def chains_of(model, beta=0.7, n_replicas=8, seed=1):
    return BlockChains(model, beta, GIBBS, n_replicas, np.random.SeedSequence(seed))


# --- one sweep --------------------------------------------------------------------------------


def p_value(chains, model, beta, rounds):
    """Return the probability of a worse chi-square of one sweep from every state."""
    states, P = transition_matrix(model, beta, GIBBS)
    start = np.repeat(states, chains.n_replicas // len(states), axis=0)
    bits = 1 << np.arange(model.n_spins)
    seen = np.zeros(P.shape)
    for _ in range(rounds):
        chains.place(start)
        chains.advance(1, record=False)
        ends = ((chains.spins == model.levels[1]) @ bits).reshape(len(states), -1)
        seen += [np.bincount(row, minlength=len(states)) for row in ends]
    order = np.argsort((states == model.levels[1]) @ bits)
    expected = rounds * len(start) / len(states) * P[:, order]
    assert not seen[expected == 0].any(), "a transition that has probability 0"
    common = expected >= 10
    chi2 = ((seen - expected)[common] ** 2 / expected[common]).sum()
    rare = [(s[~c].sum(), e[~c].sum()) for s, e, c in zip(seen, expected, common, strict=True)]
    chi2 += sum((s - e) ** 2 / e for s, e in rare if e >= 10)
    freedom = common.sum() + sum(e >= 10 for _, e in rare) - len(states)
    return stats.chi2.sf(chi2, freedom) if freedom else 1.0


@pytest.mark.statistical
@pytest.mark.parametrize("beta", [0.0, 0.7, 4.0])
@pytest.mark.parametrize("name", ["0 and 1", "-1 and 1", "isolated units", "one by one"])
def test_a_sweep_has_the_transition_matrix(name, beta):
    model = two_layers(name)
    chains = chains_of(model, beta, REPLICAS * 2**model.n_spins)
    assert p_value(chains, model, beta, 10) > ALARM


@pytest.mark.statistical
@pytest.mark.parametrize(
    "defect", ["J 2% off", "beta 2% off", "fields 5% off", "coupled to itself"]
)
def test_defects_are_caught(defect):
    model, beta = two_layers("-1 and 1"), 0.7
    chains = chains_of(model, beta, REPLICAS * 2**model.n_spins)
    if defect == "J 2% off":
        chains._a.into = chains._a.into * np.float32(1.02)
    elif defect == "beta 2% off":
        chains.betas = 1.02 * chains.betas
    elif defect == "fields 5% off":
        chains._a.biases *= np.float32(1.05)
        chains._b.biases *= np.float32(1.05)
    else:  # a unit of layer b follows the field of its neighbour, a little
        chains._b.into[:, 1] += np.float32(0.05) * chains._b.into[:, 0]
    assert p_value(chains, model, beta, 150) < ALARM


@pytest.mark.statistical
def test_all_units_of_wide_layers_are_drawn_given_the_other_layer():
    """Frequencies and pair correlations of every unit, given a fixed configuration."""
    model, n, beta = wide(), 10_000, 0.25  # no chance below 0.05: sums are Gaussian
    given = np.random.default_rng(8).choice([-1, 1], size=model.n_spins)
    chains = chains_of(model, beta, n)
    chains.place(np.tile(given, (n, 1)))
    chains.advance(1, record=False)
    a, b = chains.spins[:, :37].astype(float), chains.spins[:, 37:].astype(float)
    p = expit(2 * beta * (model.bias_a + given[37:] @ model.weights.T))
    centred = (a - (2 * p - 1)) / (2 * np.sqrt(p * (1 - p)))
    z = np.r_[
        centred.sum(axis=0) / np.sqrt(n),
        (centred.T @ centred / np.sqrt(n))[np.triu_indices(37, 1)],
    ]
    assert min(p.min(), 1 - p.max()) > 0.05
    q = expit(2 * beta * (model.bias_b + a @ model.weights))
    centred = (b - (2 * q - 1)) / (2 * np.sqrt(q * (1 - q)))
    z = np.r_[z, centred.mean(axis=0) * np.sqrt(n)]
    z = np.r_[z, (centred.T @ centred / np.sqrt(n))[np.triu_indices(20, 1)]]
    assert np.abs(z).max() < stats.norm.isf(ALARM / 2 / len(z))


# --- long runs --------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("levels", [(0, 1), (-1, 1)])
def test_each_replica_and_all_together_have_the_exact_averages(levels):
    model = wide(levels, 5, 4, strength=0.7)
    betas = np.repeat([0.0, 0.5, 1.0], 40)
    chains = chains_of(model, betas, len(betas))
    chains.advance(100, record=False)
    m, energy = (
        np.concatenate(parts, axis=1)
        for parts in zip(*(chains.advance(256) for _ in range(40)), strict=True)
    )
    z = []
    for k, beta in enumerate((0.0, 0.5, 1.0)):
        exact = sn.exact.enumerate(model, beta)
        rows = slice(40 * k, 40 * k + 40)
        for values, mean in ((m**2, exact.m2), (energy, exact.energy), (np.abs(m), exact.abs_m)):
            means = values[rows].mean(axis=1)
            z.append((means - np.asarray(mean)) / means.std(ddof=1))
    z = np.array(z)
    # z of a replica: 360 of Student's t with 39 degrees of freedom; pooled: 9
    assert np.abs(z).max() < stats.t.isf(ALARM / 2 / z.size, 39)
    pooled = z.mean(axis=1) * np.sqrt(40)
    assert np.abs(pooled).max() < stats.t.isf(ALARM / 2 / 9, 39)


@pytest.mark.statistical
def test_replicas_are_independent():
    model, n = wide(strength=0.05), 300
    chains = chains_of(model, 0.5, n)
    same = chains.spins[:1].repeat(n, axis=0)
    chains.place(same)
    chains.advance(20, record=False)
    total = np.zeros((n, n))
    for _ in range(30):
        chains.advance(3, record=False)
        s = chains.spins - chains.spins.mean(axis=0)
        total += s @ s.T
    assert len(np.unique(chains.spins, axis=0)) == n
    # correlations of different replicas: about 45 000 numbers of mean -1/n of the diagonal
    scale = np.diag(total).mean()
    upper = total[np.triu_indices(n, 1)] / scale
    assert abs(upper.mean() + 1 / (n - 1)) < 5 * upper.std() / np.sqrt(len(upper))
    assert np.abs(upper).max() < 7 * upper.std()


# --- the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        *(two_layers(name) for name in ("0 and 1", "-1 and 1", "isolated units", "one by one")),
        *(wide(), wide((0, 1)), wide(n_a=16, n_b=32), wide(n_a=300, n_b=2)),
        sn.Bipartite(np.full((5, 3), 0.2), levels=(-1, 1)),
        sn.NetworkDual(np.random.default_rng(1).normal(size=(5, 3)), 0.1, kind="bipartite"),
    ],
    ids=repr,
)
def test_energy_and_magnetisation_are_those_of_the_spins(model):
    chains = chains_of(model, [0.0, 0.5, 2.0, 1e9, np.inf], 5)
    assert set(np.unique(chains.spins)) <= set(model.levels)
    scale = np.abs(model.to_ising().couplings).sum() / 2 + np.abs(model.fields).sum()
    for _ in range(5):
        m, energy = chains.advance(3)
        assert m.shape == energy.shape == (5, 3)
        np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-14)
        np.testing.assert_allclose(
            energy[:, -1], model.energy(chains.spins), atol=1e-6 * scale, rtol=0
        )
    m, energy = chains.advance(4, record=False)
    assert m.shape == energy.shape == (0, 4)


def test_thousands_of_inputs_of_a_unit_are_summed_in_double_precision():
    rng = np.random.default_rng(2)
    w = rng.choice([-1.0, 1.0], size=(5000, 3))
    w[0] = 3e-4
    model = sn.Bipartite(w / 3, 0.1, levels=(-1, 1))
    chains = chains_of(model, 0.02, 4)
    assert chains._b.into.dtype == np.float64
    _, energy = chains.advance(3)
    np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), rtol=0, atol=2e-3)
    # at zero temperature each unit follows its field, however weak beside its neighbours'
    chains.betas = np.full(4, np.inf)
    chains.advance(2)
    a, b = chains.spins[:, :5000], chains.spins[:, 5000:]
    np.testing.assert_array_equal(b, np.sign(a @ w))


def test_a_state_goes_on_bit_for_bit():
    model = wide()
    chains, other = chains_of(model, 0.8, 6), chains_of(model, 0.8, 6, seed=2)
    chains.advance(10)
    state = {name: array.copy() for name, array in chains.state().items()}
    expected = chains.advance(20)
    other.restore(state)
    for first, second in zip(expected, other.advance(20), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(chains.spins, other.spins)
    for name, array in chains.state().items():
        np.testing.assert_array_equal(array, other.state()[name])


def test_a_state_of_the_old_random_stream_is_refused():
    chains = chains_of(wide())
    state = chains.state()
    before = chains.spins
    old = {**state, "rng": np.arange(4, dtype=np.uint64), "half": np.zeros(2, np.uint64)}
    with pytest.raises(CheckpointError, match=r"random stream .*shape \(4,\).*start anew"):
        chains.restore(old)
    np.testing.assert_array_equal(chains.spins, before)


@pytest.mark.parametrize("workers", [2, 3, 50])
def test_threads_change_no_bit(workers):
    model, betas = wide(), np.linspace(0, 1, 600)
    one, many = (chains_of(model, betas, 600) for _ in range(2))
    many.workers = workers
    for _ in range(2):
        for first, second in zip(one.advance(3), many.advance(3), strict=True):
            np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.spins, many.spins)


def test_a_replica_depends_on_its_own_stream_and_temperature_alone():
    model = wide()
    alone, others = chains_of(model, 0.8, 4), chains_of(model, [0.8, 0.1, 0.2, 0.8], 4)
    first, second = alone.advance(9)[1], others.advance(9)[1]
    np.testing.assert_array_equal(first[[0, 3]], second[[0, 3]])
    assert not np.array_equal(first[1], second[1])
    others.betas = np.full(4, 0.8)
    np.testing.assert_array_equal(alone.advance(9)[1][0], others.advance(9)[1][0])


def test_seeds_replicas_and_rows():
    model = wide()
    first, again, third = (chains_of(model, seed=seed) for seed in (4, 4, 5))
    runs = [chains.advance(5)[1] for chains in (first, again, third)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.any(runs[0] == runs[2])
    assert len(np.unique(runs[0], axis=0)) == 8
    rows = np.array([7, 0, 0, 1, 2, 3, 4, 5])
    spins = first.spins
    first.select(rows)
    np.testing.assert_array_equal(first.spins, spins[rows])
    first.place(spins)
    np.testing.assert_array_equal(first.spins, spins)
    np.testing.assert_array_equal(spins, again.spins)
    np.testing.assert_array_equal(again.advance(1)[1], first.advance(1)[1])
    first.select(np.zeros(8, dtype=np.intp))
    first.advance(1)
    assert len(np.unique(first.spins, axis=0)) == 8  # the streams stayed apart


def test_the_hidden_layer_of_a_marginal_is_drawn_given_the_inputs():
    model = sn.NetworkDual([[2.0, -2.0], [2.0, 2.0]], kind="marginal")
    chains = chains_of(model, 50.0, 16)
    spins = np.tile([1, -1], (16, 1))
    chains.place(spins)
    np.testing.assert_array_equal(chains.spins, spins)
    assert chains.spins.shape == (16, model.n_spins)
    hidden = chains._b.inside
    fields = model.as_bipartite().local_fields(np.hstack([spins, hidden]))[:, 2:]
    decided = np.abs(fields) > 0.5
    assert np.all((hidden > 0)[decided] == (fields > 0)[decided])


def test_start_is_at_random_and_cold_units_follow_their_fields():
    model = wide()
    start = chains_of(model, np.inf, 1000).spins
    assert np.abs(start.mean(axis=0)).max() < 5.5 / np.sqrt(1000)
    chains = chains_of(model, np.inf, 50)
    chains.advance(30, record=False)
    fields = model.local_fields(chains.spins)
    np.testing.assert_array_equal(chains.spins, np.sign(fields))


def test_refusals_and_costs():
    assert "layers" in BlockChains.refusal(wide(), sn.HeatBath())
    assert "two-layer" in BlockChains.refusal(sn.CurieWeiss(4), GIBBS)
    assert BlockChains.refusal(wide(), GIBBS) == ""
    costs = [BlockChains.cost(wide(), GIBBS, n) for n in (1, 10, 1000)]
    assert costs == sorted(costs)
