"""Wolff and Swendsen-Wang: each sweep against its matrix, long runs against exact sums."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
from scipy import stats

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.models.low_rank import LowRank
from spinnet.spins.montecarlo import transition_matrix
from spinnet.spins.montecarlo.chains.clusters import SwendsenWangChains, WolffChains
from spinnet.spins.montecarlo.transition import independent_draw
from spinnet.spins.montecarlo.transition_auxiliary import auxiliary_field_sweep
from spinnet.spins.montecarlo.updates import (
    SwendsenWang,
    Wolff,
)

KINDS = [(WolffChains, Wolff()), (SwendsenWangChains, SwendsenWang())]
NAMES = ["wolff", "swendsen-wang"]
ALARM = 1e-5  # for each chi-square
LIMIT = 5.0  # standard errors of 64 replicas: a right program fails one comparison in 2e5
CRITICAL = 0.5 * math.log(1 + math.sqrt(2))


def build(name):
    """Systems small enough to enumerate."""
    rng = np.random.default_rng(11)
    positive = np.abs(rng.normal(size=(4, 4)))
    signs = np.array([1, -1, -1, 1])
    torus = nx.grid_2d_graph(4, 4, periodic=True)
    return {
        "varied": lambda: sn.Ising(positive / 2, [0.3, -0.4, 0.2, 0.0]),
        "alike": lambda: sn.Ising.from_graph(nx.cycle_graph(4), J=0.8),
        "isolated": lambda: sn.Ising(np.pad([[0.0, 0.9], [0.9, 0.0]], (0, 2))),
        "free": lambda: sn.Ising(np.zeros((3, 3)), [0.5, 0.0, -0.7]),
        "field": lambda: sn.Ising.from_graph(nx.path_graph(4), J=0.7, h=-0.3),
        "gauged": lambda: sn.Ising(positive * np.outer(signs, signs) / 2, [0.3, -0.4, 0.2, 0.0]),
        "curie-weiss": lambda: sn.CurieWeiss(4, J=1.4),
        "curie-weiss field": lambda: sn.CurieWeiss(4, J=1.4, h=-0.3),
        "bipartite01": lambda: sn.Bipartite(2 * positive[:2, :2], [0.3, -0.4], -0.8),
        "collapsed": lambda: sn.NetworkDual(4 * positive, 0.2, "collapsed"),
        "one": lambda: sn.Ising([[0.0]], 0.4),
        "lonely": lambda: sn.Ising([[0.0]]),
        "torus": lambda: sn.Ising.from_graph(torus),
        "torus field": lambda: sn.Ising.from_graph(torus, h=0.04),
        "antiferromagnet": lambda: sn.Ising.from_graph(torus, J=-1.0, h=0.5),
        "dense": lambda: sn.Ising(np.abs(rng.normal(size=(9, 9))) / 4, rng.normal(size=9) / 3),
        "magnet": lambda: sn.CurieWeiss(12),
        "magnet field": lambda: sn.CurieWeiss(12, J=1.3, h=-0.1),
    }[name]()


SMALL = (
    "varied", "alike", "isolated", "free", "field", "gauged", "curie-weiss", "curie-weiss field",
    "bipartite01", "collapsed", "one", "lonely",
)  # fmt: skip
LARGER = ("torus", "torus field", "antiferromagnet", "dense", "magnet", "magnet field")


def gibbs(model, beta, states):
    weight = np.exp(-beta * (e := model.energy(states)) + beta * e.min())
    return weight / weight.sum()


def sweep_matrix(chains, step, beta):
    """Return the matrix of a sweep: that of Wolff is a mixture of two powers of the step."""
    if isinstance(chains, SwendsenWangChains):
        return step
    per_sweep = chains._clusters_at(beta)
    whole = math.floor(per_sweep)
    more = min(max(per_sweep - whole, 0.25), 0.75)
    power = np.linalg.matrix_power(step, whole)
    return (1 - more) * power + more * power @ step


def misfit(chains, states, P, each):
    """Return (chi-square, degrees of freedom) of one sweep against P."""
    n = len(states)
    chains.place(np.repeat(states, each, axis=0))
    chains.advance(1, record=False)
    weight = (1 << np.arange(states.shape[1])).astype(np.int64)
    end = (chains.spins == chains.model.levels[1]) @ weight
    start = np.repeat(np.arange(n), each)
    counts = np.bincount(start * n + end, minlength=n * n).reshape(n, n)
    assert counts[P == 0].sum() == 0, "the kernel made a transition that has probability 0"
    chi2, freedom = 0.0, 0
    for row, p in zip(counts, P * each, strict=True):
        common = p >= 10
        groups = [*zip(row[common], p[common], strict=True)]
        if p[~common].sum() >= 10:
            groups.append((row[~common].sum(), p[~common].sum()))
        chi2 += sum((seen - expected) ** 2 / expected for seen, expected in groups)
        freedom += len(groups) - 1
    return chi2, freedom


def z_of(model, beta, m, energy):
    """Return (mean - exact)/error of four averages, one row a quantity."""
    exact = (
        sn.exact.curie_weiss(model.n_spins, beta, J=model.J, h=model.h)
        if isinstance(model, sn.CurieWeiss)
        else sn.exact.enumerate(model, beta)
    )
    pairs = [
        (m, exact.magnetization),
        (m**2, exact.m2),
        (np.abs(m), exact.abs_m),
        (energy, exact.energy),
    ]
    z = []
    for series, value in pairs:
        means = series.mean(axis=1)
        error = means.std(ddof=1) / math.sqrt(len(means))
        still = error < 1e-12 and abs(means.mean() - value) < 1e-9
        z.append(0.0 if still else (means.mean() - float(value)) / error)
    return np.array(z)


# --- matrices ---------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.7, 30.0])
@pytest.mark.parametrize("update", [u for _, u in KINDS], ids=NAMES)
@pytest.mark.parametrize("name", SMALL)
def test_each_step_leaves_the_boltzmann_distribution_fixed(name, update, beta):
    model = build(name)
    states, P = transition_matrix(model, beta, update)
    # sums of at most 2^6 products of rounded numbers
    np.testing.assert_allclose(P.sum(axis=1), 1.0, atol=1e-12)
    p = gibbs(model, beta, states)
    np.testing.assert_allclose(p @ P, p, atol=1e-12)
    flow = p[:, None] * P
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)  # both updates are reversible


@pytest.mark.parametrize("beta", [0.0, 0.7, 3.0])
def test_independent_and_auxiliary_field_steps_leave_it_fixed(beta):
    rng = np.random.default_rng(3)
    model = LowRank(rng.normal(size=(4, 2)), rng.normal(size=4))
    for system in (model, sn.CurieWeiss(4, h=0.2)):
        bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
        states = (2 * bits - 1).astype(np.int8)
        for step in (auxiliary_field_sweep, independent_draw):
            P = step(system, beta, states)
            p = gibbs(system, beta, states)
            np.testing.assert_allclose(P.sum(axis=1), 1.0, atol=1e-12)
            np.testing.assert_allclose(p @ P, p, atol=1e-12)


def test_matrices_of_clusters_refuse_what_has_none():
    with pytest.raises(InputError, match="n_spins <= 8 for clusters, got 9"):
        transition_matrix(sn.CurieWeiss(9), 1.0, Wolff())


def test_the_matrix_of_the_auxiliary_field_is_that_of_its_heat_baths():
    model = sn.CurieWeiss(3, h=0.2)
    with pytest.raises(InputError, match="sweep must be a multiple of heat_bath_every=4, got 1"):
        transition_matrix(model, 1.0, sn.AuxiliaryField())
    P = transition_matrix(model, 1.0, sn.AuxiliaryField(), sweep=8)[1]
    np.testing.assert_array_equal(P, transition_matrix(model, 1.0, sn.AuxiliaryField(1))[1])


# --- kernels ----------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
@pytest.mark.parametrize("name", SMALL)
def test_the_kernels_realise_the_transition_matrix(name, kind, update, seed):
    model = build(name)
    for beta in (0.0, 0.7):
        states, step = transition_matrix(model, beta, update)
        each = 12_000
        chains = kind(model, beta, update, len(states) * each, np.random.SeedSequence(seed))
        P = sweep_matrix(chains, step, beta)
        chi2, freedom = misfit(chains, states, P, each)
        assert freedom > 0
        assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom, beta)


@pytest.mark.statistical
@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
@pytest.mark.parametrize("name", LARGER)
def test_averages_over_the_ends_of_sweeps_are_exact(name, kind, update, seed):
    model = build(name)
    for beta in (0.0, 0.25, CRITICAL, 1.2):
        chains = kind(model, beta, update, 64, np.random.SeedSequence([seed, int(8 * beta)]))
        chains.advance(100, record=False)
        m, energy = chains.advance(1500)
        assert np.abs(z_of(model, beta, m, energy)).max() < LIMIT, (beta, chains.name)
        # each replica by itself: none is stuck.  Where rare defects of the ordered state decide,
        # its average is far from normal.
        if beta <= CRITICAL:
            means = energy.mean(axis=1)
            z = (means - means.mean()) / means.std(ddof=1)
            # 64 means of 1500 sweeps: the largest of as many normals exceeds 5 once in 3e4
            assert np.abs(z).max() < LIMIT or np.ptp(means) < 1e-12
            tau = float(sn.statistics.autocorrelation_time(energy)) if beta > 0 else 0.5
            within = energy.std() * math.sqrt(2 * max(tau, 0.5) / 1500)
            # the spread of the replicas is that of their own noise; chi-square of 63
            assert means.std(ddof=1) < within * 1.6 + 1e-12


@pytest.mark.statistical
def test_a_sweep_that_ended_when_n_spins_were_held_would_be_biased(seed):
    # the trap that the fixed number of clusters avoids: proven by doing it
    model, beta = build("torus"), 0.35
    chains = WolffChains(model, beta, Wolff(), 64, np.random.SeedSequence(seed))
    chains._clusters[beta] = 1.0
    chains.advance(100, record=False)
    one = np.array([[1.0, 0.0]])
    ends = np.empty((64, 400))
    for r in range(64):
        for t in range(400):
            held = 0.0
            while held < model.n_spins:
                out = np.empty((1, 1, 4))
                rows = slice(r, r + 1)
                own = (chains._up[rows], chains._rng[rows], chains._pairs[rows], np.array([beta]))
                chains._kernel(*own, one, True, out)
                held += out[0, 0, 3]
            ends[r, t] = out[0, 0, 0] / model.n_spins
    means = (ends**2).mean(axis=1)
    z = (means.mean() - sn.exact.enumerate(model, beta).m2) / (means.std(ddof=1) / 8)
    assert abs(z) > 6


@pytest.mark.statistical
@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
@pytest.mark.parametrize("defect", ["J", "beta", "field"])
def test_two_percent_are_caught(defect, kind, update, seed):
    model, beta = build("torus field"), 0.4
    factor = {"J": 1.02, "beta": 1.0, "field": 1.0}[defect]
    graph = nx.grid_2d_graph(4, 4, periodic=True)
    wrong = sn.Ising.from_graph(graph, J=factor, h=0.04 * (1.1 if defect == "field" else 1.0))
    used = beta * (1.02 if defect == "beta" else 1.0)
    chains = kind(wrong, used, update, 64, np.random.SeedSequence(seed))
    chains.advance(100, record=False)
    m, energy = chains.advance(4000)
    assert np.abs(z_of(model, beta, m, energy)).max() > LIMIT


@pytest.mark.statistical
@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
def test_replicas_are_independent(kind, update, seed):
    for name in ("torus", "magnet"):
        chains = kind(build(name), 0.35, update, 24, np.random.SeedSequence(seed))
        chains.advance(100, record=False)
        m, energy = chains.advance(3000)
        for series in (m, energy):
            tau = float(sn.statistics.autocorrelation_time(series))
            z = np.corrcoef(series)[np.triu_indices(24, 1)] * math.sqrt(3000 / max(1, 2 * tau))
            # 276 pairs: the largest of as many normals exceeds 5 once in 6000
            assert np.abs(z).max() < 5
            assert np.mean(z**2) < 1 + 4 * math.sqrt(2 / 276) + 0.1
        assert len({row.tobytes() for row in m}) == 24


@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
@pytest.mark.parametrize("name", [*SMALL, *LARGER])
def test_what_is_recorded_is_the_magnetisation_and_energy_of_the_spins(name, kind, update):
    model = build(name)
    chains = kind(model, 0.6, update, 5, np.random.SeedSequence(1))
    for n_sweeps in (1, 7, 3):
        m, energy = chains.advance(n_sweeps)
        assert m.shape == energy.shape == (5, n_sweeps)
        # m is a ratio of whole numbers; energies are sums of at most 100 terms of order 1
        np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-15)
        np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), atol=1e-12)
    assert chains.advance(2, record=False)[0].shape == (0, 2)
    np.testing.assert_allclose(chains.advance(1)[1][:, 0], model.energy(chains.spins), atol=1e-12)


def test_energies_of_inner_sweeps_are_those_of_single_sweeps():
    for kind, update in KINDS:
        for name in ("torus field", "dense", "magnet"):
            one, many = (
                kind(build(name), 0.5, update, 3, np.random.SeedSequence(4)) for _ in range(2)
            )
            m, energy = many.advance(6)
            for t in range(6):
                m_one, energy_one = one.advance(1)
                assert np.array_equal(m_one[:, 0], m[:, t])
                assert np.array_equal(energy_one[:, 0], energy[:, t])


# --- the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
@pytest.mark.parametrize("name", ["torus field", "dense", "gauged", "magnet"])
def test_states_selections_and_threads_keep_every_bit(name, kind, update):
    model = build(name)
    beta = np.linspace(0.2, 0.6, 6)

    def fresh(workers=1):
        chains = kind(model, beta, update, 6, np.random.SeedSequence(9))
        chains.workers = workers
        return chains

    def bits(chains):
        return b"".join(part.tobytes() for part in chains.advance(20)) + chains.spins.tobytes()

    chains = fresh()
    chains.advance(10)
    state = chains.state()
    first = bits(chains)
    other = fresh()
    other.restore(state)
    assert bits(other) == first
    threaded = fresh(workers=2)
    threaded.advance(10)
    assert bits(threaded) == first
    assert kind(model, beta, update, 6, np.random.SeedSequence(8)).spins.tobytes() != (
        fresh().spins.tobytes()
    )

    rows = np.array([2, 2, 0, 5, 1, 1])
    chains.advance(3)
    before = chains.spins
    chains.select(rows)
    np.testing.assert_array_equal(chains.spins, before[rows])
    chains.place(before)
    np.testing.assert_array_equal(chains.spins, before)
    energy = chains.advance(4)[1]
    np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), atol=1e-12)
    assert len({row.tobytes() for row in chains.spins}) > 1


def test_a_random_start_grows_the_clusters_of_its_temperature():
    # at K clusters a sweep, with K of the ordered state, Wolff would leave it almost as it is
    model = sn.Ising.from_graph(nx.grid_2d_graph(64, 64, periodic=True))
    chains = WolffChains(model, 0.5, Wolff(), 8, np.random.SeedSequence(1))
    state = chains.state()
    m, energy = chains.advance(4)
    # the exact energy at this temperature is -1.7456 per spin (Onsager), that of a random state 0
    assert abs(energy.mean() / 4096 + 1.7456) < 0.01
    again = WolffChains(model, 0.5, Wolff(), 8, np.random.SeedSequence(1))
    again.advance(1)
    again.restore(state)
    assert np.array_equal(again.advance(4)[0], m)
    placed = WolffChains(model, 0.5, Wolff(), 8, np.random.SeedSequence(1))
    placed.place(np.where(np.random.default_rng(1).random((8, 4096)) < 0.5, 1, -1))
    assert placed.advance(1)[1].mean() / 4096 > -1.0


def test_the_pilot_has_a_cost_of_order_n(monkeypatch):
    # a sweep of the Curie-Weiss model is O(N) whatever it does: N of them would be O(N^2)
    sweeps = []
    kernel = WolffChains._kernel

    def counted(self, *parts):
        sweeps.append(parts[-1].shape[1])
        kernel(self, *parts)

    monkeypatch.setattr(WolffChains, "_kernel", counted)
    for beta in (0.1, 1.0, 1.3):
        chains = WolffChains(sn.CurieWeiss(5000), beta, Wolff(), 1, np.random.SeedSequence(1))
        per_sweep = float(chains.clusters_per_sweep[0])
        assert sum(sweeps) < 60
        sweeps.clear()
        # N/(mean size): 1/(1 - beta) in the hot phase, so that K is N (1 - beta)
        if beta < 1:
            assert abs(per_sweep / 5000 - (1 - beta)) < 0.02


@pytest.mark.parametrize("sign", [1, -1])
def test_the_lowest_number_of_eight_bits_is_a_coupling_like_others(sign):
    # large matrices stay in the type they have, and -(-128) is no int8
    J = np.zeros((3000, 3000), dtype=np.int8)
    J[0, 1] = J[1, 0] = -128
    J[1, 2] = J[2, 1] = sign * 127
    model = sn.Ising(J)
    assert model.couplings.dtype == np.int8
    for update in (Wolff(), SwendsenWang()):
        run = sn.sample(model, 0.01, n_sweeps=50, n_replicas=4, update=update, n_burn_in=20, rng=1)
        np.testing.assert_array_equal(run.series["energy"][..., -1].ravel(),
                                      model.energy(run.spins).ravel())  # fmt: skip
        # two free bonds: <E> = -128 tanh 1.28 - 127 tanh 1.27; a spread of 100 over 200 values
        assert abs(run.series["energy"].mean() + 217.9) < 40


@pytest.mark.statistical
@pytest.mark.parametrize(("kind", "update"), KINDS, ids=NAMES)
def test_temperatures_may_change_between_sweeps(kind, update, seed):
    model = build("dense")
    chains = kind(model, 0.1, update, 64, np.random.SeedSequence(seed))
    chains.advance(20)
    chains.betas = np.repeat([0.5, 1.0], 32)
    chains.advance(50, record=False)
    m, energy = chains.advance(2000)
    for part, beta in ((slice(0, 32), 0.5), (slice(32, 64), 1.0)):
        assert np.abs(z_of(model, beta, m[part], energy[part])).max() < LIMIT


def test_strong_bonds_never_break_and_cold_systems_turn_as_one():
    graph = nx.grid_2d_graph(4, 4, periodic=True)
    for kind, update in KINDS:
        for J in (1.0, graph):
            weights = nx.adjacency_matrix(graph) * 1.0
            if J is graph:
                weights.data *= np.random.default_rng(1).uniform(1, 2, len(weights.data))
            model = sn.Ising((weights + weights.T) / 2)
            chains = kind(model, 1e30, update, 8, np.random.SeedSequence(2))
            chains.place(np.ones((8, 16), dtype=np.int8))
            m, _ = chains.advance(200)
            assert set(np.unique(m)) == {-1.0, 1.0}
            assert np.all(np.abs(m.mean(axis=1)) < 0.5)


def test_runs_go_through_the_public_call():
    model = build("torus")
    for update in (Wolff(), SwendsenWang()):
        run = sn.sample(model, [0.3, 0.5], n_sweeps=400, n_replicas=16, update=update, rng=1)
        assert run.update == update
        assert np.all(np.abs(run.estimate("m2").value - sn.exact.enumerate(
            model, [0.3, 0.5]).m2) < 6 * run.estimate("m2").error)  # fmt: skip


def test_models_without_clusters_are_refused_with_the_reason():
    frustrated = -np.ones((3, 3))
    cases = [
        (sn.Ising(frustrated), r"J\[0, 1\] is -1"),
        (sn.Ising.from_graph(nx.cycle_graph(5), J=-0.5), r"J\[0, 1\] is -0.5"),
        (sn.CurieWeiss(5, J=-1.0), "J is -1"),
        (sn.NetworkDual(np.ones((2, 2)), kind="marginal"), "no pairwise energies|BlockGibbs"),
    ]
    for model, words in cases:
        for kind, update in KINDS:
            assert kind.refusal(model, update)
            with pytest.raises(InputError, match=words):
                sn.sample(model, 0.5, n_sweeps=10, update=update)
    assert not WolffChains.refusal(sn.Ising.from_graph(nx.cycle_graph(6), J=-0.5), Wolff())
    # the first bond named is one of the frustrated loop, not of a part that a gauge change cures
    parts = nx.disjoint_union(nx.path_graph(3), nx.cycle_graph(3))
    assert "J[3, 4]" in WolffChains.refusal(sn.Ising.from_graph(parts, J=-1.0), Wolff())
    assert WolffChains.refusal(build("torus"), sn.HeatBath()) == "it flips clusters"
