"""Replicas as bits: against transition matrices, exact sums, and themselves in other groupings."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.montecarlo import transition_matrix
from spinnet.spins.montecarlo.chains import bits, bits_kernels, bits_layout
from spinnet.spins.montecarlo.chains.bits import BitChains

UPDATES = (sn.HeatBath(), sn.Metropolis(), sn.Metropolis(heat_bath_every=2))
ALARM = 1e-5  # for each chi-square


def signed(graph, seed=0, unit=1.0, fields=None):
    """Couplings of one size and random sign on a graph; fields in units of it."""
    rng = np.random.default_rng(seed)
    n = graph.number_of_nodes()
    J = sp.triu(nx.to_scipy_sparse_array(graph, format="csr", dtype=float), 1).tocsr()
    J.data = unit * rng.choice([-1.0, 1.0], J.nnz)
    h = np.zeros(n) if fields is None else unit * np.resize(fields, n)
    return sn.Ising(sp.csr_array(J + J.T), h)


def torus(length=4):
    return sn.Ising.from_graph(nx.grid_2d_graph(length, length, periodic=True))


def multiples():
    J = np.array([[0, 2, -1, 0], [2, 0, 3, 1], [-1, 3, 0, 0], [0, 1, 0, 0]]) * 0.2
    return sn.Ising(J, [0.2, 0.0, -0.6, 0.4])


def tangle(n=60, seed=3):
    """A graph with isolated spins and many degrees, and fields of a few units."""
    graph = nx.gnp_random_graph(n, 5 / n, seed=seed)
    graph.add_edges_from([(0, k) for k in range(1, 20)])
    graph.remove_edges_from([*graph.edges(n - 1)])
    return signed(graph, seed, 0.7, [0, 0, 1, -2, 0, 3, 0])


SMALL = {
    "pair": lambda: signed(nx.path_graph(2)),
    "chain": lambda: signed(nx.path_graph(4), 1, 0.8, [1, 0, -1, 2]),
    "degree 4": lambda: signed(nx.complete_graph(5), 2, 0.9),
    "degree 5": lambda: signed(nx.complete_graph(4), 3, 0.5, [2]),
    "degree 6": lambda: signed(nx.complete_graph(5), 4, 0.4, [2, -2]),
    "degree 7": lambda: signed(nx.path_graph(3), 5, 0.3, [6, -5, 4]),
    "degree 14": lambda: signed(nx.complete_graph(4), 6, 0.15, [11, -9, 0, 3]),
    "multiples": multiples,
    "free": lambda: sn.Ising(np.zeros((3, 3)), [0.0, 0.5, -1.0]),
    "one": lambda: sn.Ising([[0.0]]),
}


def made(monkeypatch, model, beta, update, n_words, n_replicas, seed=1):
    """Return chains in blocks of so many words a spin."""
    groups = -(-n_replicas // (64 * n_words))
    monkeypatch.setattr(bits_layout, "grouping", lambda n, r: (n_words, groups))
    return BitChains(model, beta, update, n_replicas, np.random.SeedSequence(seed))


def in_order(model, chains):
    """Return the model with its spins in the order of the sweep, and that order."""
    order = np.argsort(chains._layout.place)
    J = model.couplings.toarray() if model.is_sparse else model.couplings
    return sn.Ising(J[np.ix_(order, order)], model.fields[order]), order


def misfit(chains, beta, repeats, sweep=1):
    """Return (chi-square, degrees of freedom) of single sweeps against their matrix."""
    model, order = in_order(chains.model, chains)
    states, P = transition_matrix(model, beta, chains.update, sweep)
    n = len(states)
    each = chains.n_replicas // n
    start = np.repeat(np.arange(n), each)
    spins = np.empty((len(start), len(order)), np.int8)
    spins[:, order] = states[start]
    weight = 1 << np.arange(len(order))
    counts = np.zeros((n, n))
    for _ in range(repeats):
        chains._done = sweep - 1
        chains.place(spins)
        chains.advance(1, record=False)
        end = (chains.spins[: len(start), order] > 0) @ weight
        counts += np.bincount(start * n + end, minlength=n * n).reshape(n, n)
    if counts[P == 0].sum() > 0:  # a transition that cannot be
        return math.inf, 1
    chi2, freedom = 0.0, 0
    for row, p in zip(counts, P * each * repeats, strict=True):
        common = p >= 10
        groups = [*zip(row[common], p[common], strict=True)]
        if p[~common].sum() >= 10:
            groups.append((row[~common].sum(), p[~common].sum()))
        chi2 += sum((seen - expected) ** 2 / expected for seen, expected in groups)
        freedom += len(groups) - 1
    return chi2, freedom


# --- one sweep --------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("n_words", [8, 2, 1])
@pytest.mark.parametrize("name", SMALL)
def test_a_sweep_realises_the_transition_matrix(name, n_words, seed, monkeypatch):
    model, beta = SMALL[name](), 0.4
    for update, sweep in ((sn.HeatBath(), 1), (sn.Metropolis(2), 1), (sn.Metropolis(2), 2)):
        chains = made(monkeypatch, model, beta, update, n_words, 4096, seed)
        chi2, freedom = misfit(chains, beta, 60, sweep)
        if freedom:
            assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom, sweep)


@pytest.mark.statistical
@pytest.mark.parametrize("update", [sn.HeatBath(), sn.Metropolis()], ids=repr)
@pytest.mark.parametrize("name", ["degree 4", "degree 6", "degree 5"])
@pytest.mark.parametrize("defect", ["temperature 2% off", "self-coupling", "a sign"])
def test_a_small_defect_is_caught(defect, name, update, seed, monkeypatch):
    model, beta = SMALL[name](), 0.4
    chains = made(monkeypatch, model, beta, update, 8, 8192, seed)
    starts, signs = chains._layout.slots
    if defect == "temperature 2% off":  # and thereby every coupling and field
        chains.betas = 1.02 * chains.betas
    elif defect == "self-coupling":
        starts[0] = 0
    else:
        signs[0] = ~signs[0]
    chi2, freedom = misfit(chains, beta, 150)
    assert chi2 > stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


@pytest.mark.statistical
def test_rare_flips_have_their_probability(seed, monkeypatch):
    # twelve digits of this probability are zero: all flips are decided by the digits after them
    p = 3.1e-5
    model = sn.Ising(sp.csr_array((64, 64)), 1.0)
    for update, chance in ((sn.HeatBath(), p / (1 + p)), (sn.Metropolis(2000), p)):
        chains = made(monkeypatch, model, -math.log(p) / 2, update, 8, 512, seed)
        chains.place(np.ones((512, 64), np.int8))
        m, _ = chains.advance(1500)
        down = (1 - m[:, 1 if update == UPDATES[0] else 0 :: 2]) * 32
        # Metropolis: a spin that is down goes up at once, so that down / (1 - down) = p
        events, trials = down.sum(), down.size * 64
        expected = trials * (chance if update == sn.HeatBath() else p / (1 + p))
        # Poisson to 4.5 standard errors: a false alarm once in 1e5
        assert abs(events - expected) < 4.5 * math.sqrt(expected), (events, expected)


def test_planes_hold_the_digits_of_the_probabilities(monkeypatch):
    model = SMALL["degree 7"]()
    betas = np.linspace(0, 3, 100)
    chains = made(monkeypatch, model, betas, sn.Metropolis(), 2, 100)
    new = betas.copy()
    new[[3, 70]] = 1.7, 900.0
    chains.betas = new
    width = 8 * (chains._layout.max_degree + 1)
    planes = chains._planes[0].reshape(2, 64, 2, width // 8, 8)
    for y in chains._layout.ys:
        weight = np.exp(-2 * new * 0.3 * y)
        for rule, p in enumerate([weight / (1 + weight), np.minimum(weight, 1 - 2.0**-64)]):
            for lane in range(100):
                word, bit = divmod(lane, 64)
                digits = (planes[rule, :, 0, y, word::2] >> np.uint64(bit)) & np.uint64(1)
                assert (digits == digits[:, :1]).all()  # the same for each spin of a block
                value = sum(float(d) * 2.0 ** -(k + 1) for k, d in enumerate(digits[:, 0]))
                assert value == pytest.approx(p[lane], rel=1e-14, abs=2.0**-64)
        if y + 2 <= chains._layout.max_degree:
            np.testing.assert_array_equal(
                planes[:, :, 1, y], planes[:, :, 0, y] ^ planes[:, :, 0, y + 2]
            )


# --- long runs --------------------------------------------------------------------------------


def scores(series, exact):
    """Return z of each row's mean, its error from 64 batches."""
    batches = series.reshape(len(series), 64, -1).mean(axis=2)
    error = batches.std(axis=1, ddof=1) / 8
    return (batches.mean(axis=1) - exact) / error


@pytest.mark.statistical
@pytest.mark.parametrize("n_words", [8, 1])
@pytest.mark.parametrize("update", UPDATES[:2], ids=repr)
@pytest.mark.parametrize("name", ["torus", "glass", "fields"])
def test_each_lane_has_its_own_temperature(name, update, n_words, seed, monkeypatch):
    graph = nx.grid_2d_graph(4, 4, periodic=True)
    model = {
        "torus": torus(),
        "glass": signed(graph, 8),
        "fields": signed(nx.grid_2d_graph(3, 4), 8, 0.8, [1, 0, -1]),
    }[name]
    R = 512
    ladder = np.linspace(0.0, 0.55, 16)
    betas = np.resize(ladder, R)
    chains = made(monkeypatch, model, betas, update, n_words, R, seed)
    chains.advance(512, record=False)
    parts = [chains.advance(256) for _ in range(32)]
    m, energy = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    exact = sn.exact.enumerate(model, ladder)
    for series, truth in ((m**2, exact.m2), (energy, exact.energy)):
        z = scores(series, np.resize(np.asarray(truth), R))
        # Student's t of 63 degrees exceeds 5.5 with the chance 7e-7, in 512 lanes 4e-4; and
        # the mean of 512 z^2 (1.03 +- 0.066) stays below 1 + 5 errors if every lane is right
        assert np.abs(z).max() < 5.5
        assert np.mean(z**2) < 1.36
        pooled = z.reshape(-1, 16).sum(axis=0) / math.sqrt(R / 16)
        assert np.abs(pooled).max() < 4.5  # 16 temperatures: a false alarm once in 5000


@pytest.mark.statistical
def test_no_state_of_the_4x4_torus_is_a_trap(seed):
    # under Metropolis alone dozens of these states lie on closed deterministic cycles
    states = 2 * ((np.arange(1 << 16)[:, None] >> np.arange(16)) & 1).astype(np.int8) - 1
    chains = BitChains(torus(), 0.44, sn.Metropolis(), 1 << 16, np.random.SeedSequence(seed))
    chains.place(states)
    first = chains.advance(8)[1]
    low, high = first.min(axis=1), first.max(axis=1)
    total = np.zeros(1 << 16)
    for k in range(40):
        energy = chains.advance(16)[1]
        low, high = np.minimum(low, energy.min(axis=1)), np.maximum(high, energy.max(axis=1))
        if k >= 8:
            total += energy.mean(axis=1)
    assert np.all(high > low)
    mean = total / 32
    exact = float(sn.exact.enumerate(torus(), [0.44]).energy[0])
    # 65536 independent lanes after 128 sweeps, with tau below 10
    assert abs(mean.mean() - exact) < 4.5 * mean.std() / 256
    assert np.abs(mean - exact).max() < 8 * mean.std()


@pytest.mark.statistical
def test_free_spins_and_infinite_temperature(seed, monkeypatch):
    free = sn.Ising(np.zeros((8, 8)), np.array([0, 0, 1, -1, 2, -2, 3, 0]) * 0.25)
    for model, beta in ((free, 0.9), (tangle(), 0.0)):
        for update in UPDATES[:2]:
            chains = made(monkeypatch, model, beta, update, 1, 64, seed)
            up = np.zeros((64, model.n_spins))
            product = np.zeros(64)
            for _ in range(400):
                chains.advance(8, record=False)  # each ends with a heat bath
                up += chains.spins
                product += chains.spins[:, 0] * chains.spins[:, 1]
            truth = np.tanh(beta * model.fields)
            z = (up / 400 - truth) / np.sqrt((1 - truth**2) / 400)
            # at most 64 x 60 means beyond 5.2: once in 1300; two free spins are independent
            assert np.abs(z).max() < 5.2
            assert np.abs(product / 20).max() < 5.2


def shuffled(model, seed=0):
    """Return the model with its spins in random order."""
    order = np.random.default_rng(seed).permutation(model.n_spins)
    return sn.Ising(sp.csr_array(model.couplings[order][:, order]), model.fields[order])


@pytest.mark.statistical
@pytest.mark.parametrize("n_words", [8, 1])
def test_spins_taken_from_neighbour_to_neighbour(n_words, seed, monkeypatch):
    # what large systems do whose neighbours are far apart in memory
    monkeypatch.setattr(bits_layout, "_SMALL", 0)
    monkeypatch.setattr(bits_layout, "_NEAR", 0)
    graph = nx.disjoint_union(nx.cycle_graph(4), nx.path_graph(2))
    graph.add_node(6)
    for update in UPDATES[:2]:
        model = shuffled(signed(graph, 1, 0.8, [1, 0, 0]))
        chains = made(monkeypatch, model, 0.4, update, n_words, 4096, seed)
        chi2, freedom = misfit(chains, 0.4, 60)
        assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)
    for model in (shuffled(tangle()), shuffled(torus(6))):
        chains = made(monkeypatch, model, 0.4, sn.Metropolis(), n_words, 100, seed)
        assert sorted(bits_layout._sequence(chains._bonds, n_words)) == [*range(model.n_spins)]
        m, energy = chains.advance(20)
        np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-14)
        np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), atol=1e-10)
    # a lattice in any order has two colours, and its neighbours are at hand
    layout = bits_layout.lay_out(bits_layout.bonds_of(shuffled(torus(64))), 1)
    assert len(layout.runs) == 2
    where = layout.place[sp.coo_array(shuffled(torus(64)).couplings).coords[0]]
    other = layout.place[sp.coo_array(shuffled(torus(64)).couplings).coords[1]]
    half = 64 * 64 // 2
    assert np.median(np.abs(where % half - other % half)) <= 64


def test_a_lattice_in_rows_keeps_its_order(monkeypatch):
    monkeypatch.setattr(bits_layout, "_SMALL", 0)
    sequence = bits_layout._sequence(bits_layout.bonds_of(torus(16)), 8)
    np.testing.assert_array_equal(sequence, np.arange(256))


# --- lanes ------------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES[:2], ids=repr)
def test_lanes_are_independent(update, seed):
    chains = BitChains(torus(), 0.3, update, 128, np.random.SeedSequence(seed))
    chains.advance(256, record=False)
    m = np.concatenate([chains.advance(256)[0][:, ::8] for _ in range(64)], axis=1)
    z = np.corrcoef(m)[np.triu_indices(128, 1)] * math.sqrt(m.shape[1])
    tau = 1 + 2 * np.mean([np.corrcoef(row[:-1], row[1:])[0, 1] for row in m]) ** 2 / (1 - 0.5)
    # 8128 pairs: the largest normal exceeds 5.5 once in 3000
    assert np.abs(z).max() < 5.5 * math.sqrt(tau)
    assert np.mean(z**2) < tau * (1 + 5 * math.sqrt(2 / 8128)) + 0.05
    # one random number for all lanes would have made them all alike
    big = BitChains(torus(12), 0.3, update, 128, np.random.SeedSequence(seed))
    big.advance(2000, record=False)
    assert len({row.tobytes() for row in big.spins}) == 128


@pytest.mark.parametrize("n_words", [8, 4, 1])
def test_a_lane_depends_on_no_other(n_words, monkeypatch):
    betas = np.full(100, 0.4)
    one = made(monkeypatch, torus(6), betas, sn.Metropolis(), n_words, 100)
    betas[7] = 5.0
    two = made(monkeypatch, torus(6), betas, sn.Metropolis(), n_words, 100)
    a, b = one.advance(200)[1], two.advance(200)[1]
    rest = np.delete(np.arange(100), 7)
    np.testing.assert_array_equal(a[rest], b[rest])
    assert not np.array_equal(a[7], b[7])


def test_replicas_and_seeds_differ_and_a_seed_repeats():
    runs = [
        BitChains(torus(6), 0.3, sn.HeatBath(), 70, np.random.SeedSequence(s)) for s in (1, 1, 2)
    ]
    m = [chains.advance(50)[0] for chains in runs]
    np.testing.assert_array_equal(m[0], m[1])
    assert not np.array_equal(m[0], m[2])
    assert len({row.tobytes() for row in m[0]}) == 70


# --- the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_words", [8, 4, 2, 1])
@pytest.mark.parametrize("name", ["tangle", "torus", "odd torus", *SMALL])
def test_m_and_energy_are_those_of_the_spins(name, n_words, monkeypatch):
    others = {"tangle": tangle, "torus": torus, "odd torus": lambda: torus(5)}
    model = (SMALL | others)[name]()
    chains = made(monkeypatch, model, 0.5, sn.Metropolis(3), n_words, 150)
    for size in (1, 17, 33):
        m, energy = chains.advance(size)
        spins = chains.spins
        assert m.shape == energy.shape == (150, size)
        assert set(np.unique(spins)) <= {-1, 1}
        np.testing.assert_allclose(m[:, -1], spins.mean(axis=1), atol=1e-14)
        np.testing.assert_allclose(energy[:, -1], model.energy(spins), atol=1e-10)
    empty = chains.advance(2, record=False)
    assert [part.shape for part in empty] == [(0, 2), (0, 2)]


@pytest.mark.parametrize("n_replicas", [1, 64, 65, 600])
def test_place_select_and_restore(n_replicas, monkeypatch):
    monkeypatch.setattr(bits, "_AT_ONCE", 16)  # spins at once, of 60
    model = tangle()
    chains = BitChains(model, 0.6, sn.Metropolis(5), n_replicas, np.random.SeedSequence(4))
    chains.advance(7)
    saved, spins = chains.state(), chains.spins
    expected = chains.advance(300)
    other = BitChains(model, 0.6, sn.Metropolis(5), n_replicas, np.random.SeedSequence(9))
    other.restore(saved)
    np.testing.assert_array_equal(other.spins, spins)
    np.testing.assert_array_equal(other.advance(300), expected)
    rows = np.random.default_rng(1).integers(0, n_replicas, n_replicas)
    before = other.spins
    other.select(rows)
    np.testing.assert_array_equal(other.spins, before[rows])
    other.place(spins)
    np.testing.assert_array_equal(other.spins, spins)


def test_temperatures_change_on_the_way():
    model, R = torus(8), 256
    chains = BitChains(model, 0.2, sn.HeatBath(), R, np.random.SeedSequence(4))
    betas = np.where(np.arange(R) % 3 == 0, 0.2, 2.0)
    chains.advance(100)
    chains.betas = betas
    np.testing.assert_array_equal(chains.betas, betas)
    energy = chains.advance(200)[1][:, -50:].mean(axis=1)
    assert energy[betas > 1].max() < -80 < energy[betas < 1].min() + 20
    fresh = BitChains(model, betas, sn.HeatBath(), R, np.random.SeedSequence(5))
    np.testing.assert_array_equal(chains._planes, fresh._planes)


def test_two_workers_give_the_same_bits():
    runs = []
    for workers in (1, 2, 3):
        chains = BitChains(torus(6), 0.4, sn.Metropolis(), 1300, np.random.SeedSequence(4))
        chains.workers = workers
        runs.append([*chains.advance(64), chains.spins])
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_zero_temperature_and_huge_fields():
    for update in UPDATES:
        chains = BitChains(torus(6), 1e6, update, 64, np.random.SeedSequence(1))
        energy = chains.advance(200)[1]
        assert np.isfinite(energy).all()
        assert np.all(np.diff(energy, axis=1) <= 0)  # nothing goes uphill


def test_models_that_are_refused():
    dense = np.random.default_rng(1).normal(size=(6, 6))
    for model, words in [
        (sn.Ising(dense), "multiples"),
        (sn.Ising(np.ones((40, 40))), "more than 31"),
        (sn.Ising([[0, 1], [1, 0]], [0.3333, 0.1]), "multiples"),
        (sn.Ising([[0, 1], [1, 0]], 40.0), "multiples|bonds and units"),
        (sn.CurieWeiss(8), "Ising"),
        (sn.NetworkDual(np.ones((3, 2))), "Ising"),
    ]:
        reason = BitChains.refusal(model, sn.HeatBath())
        assert any(part in reason for part in words.split("|")), reason
    assert BitChains.refusal(torus(), sn.BlockGibbs())
    assert BitChains.refusal(torus(), sn.Wolff())
    assert BitChains.refusal(torus(), sn.Metropolis()) == ""
    with pytest.raises(InputError, match="multiples"):
        BitChains(sn.Ising(dense), 1.0, sn.HeatBath(), 4, np.random.SeedSequence(1))


def test_the_unit_may_be_a_part_of_the_weakest_coupling():
    bonds = bits_layout.bonds_of(sn.Ising([[0, 0.2], [0.2, 0]], [0.3, 0.0]))
    assert bonds.unit == pytest.approx(0.1)
    assert bonds.fields.tolist() == [3, 0]


def test_a_layout_is_made_once_and_follows_the_words_of_a_spin(monkeypatch):
    model = tangle()
    chains = [made(monkeypatch, model, 0.5, sn.Metropolis(), 2, 100) for _ in range(2)]
    assert chains[0]._layout is chains[1]._layout
    chains.append(made(monkeypatch, model, 0.5, sn.Metropolis(), 8, 100))
    assert chains[2]._layout.n_words == 8
    for one in chains:
        energy = one.advance(5)[1]
        np.testing.assert_allclose(energy[:, -1], model.energy(one.spins), atol=1e-10)


def test_sizes_that_occur_late_are_seen():
    values = np.zeros(10_000)
    values[[5, 9000, 9999]] = -2.0, 0.5, 2.0
    assert bits_layout._sizes(values).tolist() == [0.5, 2.0]
    assert bits_layout._sizes(np.zeros(3)).tolist() == []
    assert len(bits_layout._sizes(np.arange(1.0, 9999.0))) > bits_layout.MAX_DEGREE
    values[5000:5100] = np.arange(1, 101)
    assert len(bits_layout._sizes(values)) > bits_layout.MAX_DEGREE


def test_the_words_are_those_of_xoshiro256():
    from spinnet.compiling import compiled
    from spinnet.simd.random import load_stream, next_words, seed_states
    from spinnet.simd.vectors import store

    @compiled()
    def ours(state, out):
        stream = load_stream(state)
        for k in range(0, len(out), 16):
            store(out, k, bits_kernels._plus(stream))
            store(out, k + 8, bits_kernels._star(stream))
            stream = bits_kernels._advanced(stream)

    @compiled()
    def reference(state, out):
        stream = load_stream(state)
        for k in range(0, len(out), 8):
            stream, words = next_words(stream)
            store(out, k, words)

    state = seed_states(np.random.SeedSequence(1), 1)[0]
    both, plus = np.zeros(1600, np.uint64), np.zeros(800, np.uint64)
    ours(state.copy(), both)
    reference(state.copy(), plus)
    np.testing.assert_array_equal(both.reshape(-1, 2, 8)[:, 0], plus.reshape(-1, 8))
    # xoshiro256**: rotl(5 s1, 7) * 9
    x = 5 * int(state[8]) % 2**64
    assert int(both[8]) == ((x << 7 | x >> 57) % 2**64) * 9 % 2**64
