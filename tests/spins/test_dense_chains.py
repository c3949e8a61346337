"""Dense systems in blocks of 64 spins: each update, each type of number, each path of the code."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
from scipy import stats

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.montecarlo import transition_matrix
from spinnet.spins.montecarlo.chains import dense_couplings
from spinnet.spins.montecarlo.chains.dense import DenseChains
from spinnet.spins.montecarlo.chains.dense_couplings import common_unit, number_type, stored
from spinnet.spins.montecarlo.plan import model_arrays, model_from_arrays

UPDATES = (sn.HeatBath(), sn.Metropolis())
ALARM = 1e-5  # for each chi-square
# sites that the paths tell apart: the first block, its end, the second, a whole chunk, the rest
SITES = np.array([3, 63, 64, 130, 520, 527])


def chains_of(model, beta, update, n_replicas, seed=1):
    return DenseChains(model, beta, update, n_replicas, np.random.SeedSequence(seed))


def symmetric(values):
    upper = np.triu(values, 1)
    return upper + upper.T


def glass(n, kind, seed=3):
    """Couplings stored as float32, int8, int8 with few rows a sum, and int16."""
    rng = np.random.default_rng(seed)
    whole = {"int8": 1, "int8 few": 60, "int16": 3000}
    if kind == "float32":
        return symmetric(rng.normal(size=(n, n))) / math.sqrt(n)
    top = whole[kind]
    k = rng.integers(-top, top + 1, size=(n, n))
    k[0, 1:3] = 1, top  # the unit shows in the first row
    return symmetric(k) / (top * math.sqrt(n))


KINDS = ("float32", "int8", "int8 few", "int16")


def small(kind):
    rng = np.random.default_rng(11)
    J = rng.normal(size=(4, 4)) if kind == "float32" else glass(4, kind) * 2
    return sn.Ising(J, rng.normal(size=4) / 2)


def spread(J, h):
    """The couplings of a few spins among 530, whose others are free."""
    big, fields = np.zeros((530, 530)), np.zeros(530)
    big[np.ix_(SITES, SITES)], fields[SITES] = J, h
    return sn.Ising(big, fields)


def misfit(chains, states, P, repeats, sites=slice(None), sweep=1):
    """Return (chi-square, degrees of freedom) of one sweep of the kernel against P."""
    n, width = states.shape
    each = chains.n_replicas // n
    start = np.ones((n * each, chains.model.n_spins), np.int8)
    start[:, sites] = np.repeat(states, each, axis=0)
    counts = np.zeros(n * n, np.int64)
    for _ in range(repeats):
        chains._done = sweep - 1
        chains.place(start)
        chains.advance(1, record=False)
        end = (chains.spins[:, sites] == 1) @ (1 << np.arange(width))
        counts += np.bincount(np.repeat(np.arange(n), each) * n + end, minlength=n * n)
    counts = counts.reshape(n, n)
    assert counts[P == 0].sum() == 0, "the kernel made a transition that has probability 0"
    expected = P * each * repeats
    common = expected >= 10
    chi2 = float(((counts - expected)[common] ** 2 / expected[common]).sum())
    freedom = int(common.sum()) - n
    rare, rare_seen = (expected * ~common).sum(axis=1), (counts * ~common).sum(axis=1)
    some = rare >= 10
    chi2 += float(((rare_seen - rare)[some] ** 2 / rare[some]).sum())
    return chi2, freedom + int(some.sum())


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("kind", ["float32", "int8 few"])
def test_a_sweep_realises_the_transition_matrix(kind, update, seed):
    model, beta = small(kind), 0.7
    assert stored(model).kind.dtype == kind.split()[0]
    for sweep in (1, 8):
        states, P = transition_matrix(model, beta, update, sweep)
        chains = chains_of(model, beta, update, 16 * 500, [seed, sweep])
        chi2, freedom = misfit(chains, states, P, 40, sweep=sweep)
        assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("kind", ["float32", "int8 few"])
def test_a_sweep_across_blocks_realises_the_transition_matrix(kind, update, seed):
    J = glass(6, kind) * 2.0
    h = np.random.default_rng(4).normal(size=6) / 3
    states, P = transition_matrix(sn.Ising(J, h), 0.8, update)
    chains = chains_of(spread(J, h), 0.8, update, 64 * 8, seed)
    chi2, freedom = misfit(chains, states, P, 80, SITES)
    assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("defect", ["J 2% off", "self-coupling", "beta 2% off", "field 5% off"])
def test_a_small_defect_is_caught(defect, update, seed):
    model, beta = small("float32"), 0.7
    states, P = transition_matrix(model, beta, update)
    wrong = sn.Ising(
        model.couplings * (1.02 if defect.startswith("J") else 1.0),
        model.fields * (1.05 if defect.startswith("field") else 1.0),
    )
    if defect == "self-coupling":
        diagonal = 0.02 * np.abs(model.couplings).max() * np.eye(model.n_spins)
        wrong._couplings = wrong.couplings + diagonal
    chains = chains_of(wrong, beta * (1.02 if "beta" in defect else 1), update, 16 * 1000, seed)
    chi2, freedom = misfit(chains, states, P, 200)
    assert chi2 > stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("beta", [0.0, 0.6, 2.0])
def test_every_replica_follows_the_boltzmann_distribution(kind, update, beta, seed):
    J = glass(8, kind) * 1.5
    model = sn.Ising(J, np.linspace(-0.5, 0.4, 8))
    exact = sn.exact.enumerate(model, beta)
    chains = chains_of(model, beta, update, 12, seed)
    chains.advance(200, record=False)
    blocks = [chains.advance(250) for _ in range(64)]
    m, energy = (np.hstack(parts) for parts in zip(*blocks, strict=True))
    for name, series, value in (
        ("m", m, exact.magnetization),
        ("m2", m**2, exact.m2),
        ("energy", energy, exact.energy),
    ):
        # 64 batch means of 250 sweeps, far longer than the memory of 8 spins: Student's t with
        # 63 degrees of freedom exceeds 4.5 once in 33 000; 12 x 3 x 12 comparisons
        batches = series.reshape(12, 64, 250).mean(axis=2)
        error = batches.std(axis=1, ddof=1) / 8 + 1e-12
        assert np.all(np.abs(batches.mean(axis=1) - value) < 4.5 * error), name
        pooled = (batches.mean() - value) / (np.sqrt((error**2).mean() / 12))
        assert abs(pooled) < 4.5, (name, pooled)


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES, ids=repr)
def test_replicas_are_independent(update, seed):
    chains = chains_of(sn.Ising(glass(70, "float32")), 0.5, update, 24, seed)
    m = np.hstack([chains.advance(250)[0] for _ in range(16)])
    lags = [np.mean(m[:, :-k] * m[:, k:]) / np.mean(m**2) for k in range(1, 30)]
    square = 1 + 2 * float(np.sum(np.square(lags)))
    z = np.corrcoef(m)[np.triu_indices(24, 1)] * math.sqrt(m.shape[1] / square)
    # 276 normals: the largest exceeds 5 once in 6000; their squares average 1 +- 0.085
    assert np.abs(z).max() < 5
    assert np.mean(z**2) < 1 + 4 * math.sqrt(2 / 276) + 0.1
    assert len({row.tobytes() for row in chains.spins}) == 24


@pytest.mark.parametrize("update", UPDATES, ids=repr)
def test_cold_replicas_end_in_local_minima(update):
    model = sn.Ising(glass(90, "float32"), 0.1)
    for beta in (1e4, 1e30, 1e40):
        chains = chains_of(model, beta, update, 9)
        chains.advance(200, record=False)
        stable = chains.spins * model.local_fields(chains.spins)
        assert stable.min() > -1e-4
        m, energy = chains.advance(3)
        assert np.ptp(energy, axis=1).max() < 1e-6
        assert np.ptp(m, axis=1).max() == 0


@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("n_replicas", [5, 80])
def test_at_zero_temperature_spins_follow_their_fields_one_by_one(update, n_replicas):
    # every flip changes which spins of the block flip after it: no order but the right one will do
    model = sn.Ising(glass(150, "float32"), 0.1)
    chains = chains_of(model, 1e30, update, n_replicas)
    spins = chains.spins.astype(float)
    J = model.couplings.astype(np.float32).astype(float)
    for _ in range(3):
        before = spins.copy()
        for i in range(150):
            spins[:, i] = np.where(spins @ J[:, i] + 0.1 > 0, 1, -1)
        chains.advance(1, record=False)
        assert (chains.spins == spins).all()
        assert (spins != before).any()


@pytest.mark.parametrize("n_replicas", [3, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_cached_fields_and_records_are_those_of_the_spins(kind, n_replicas):
    n = 600
    model = sn.Ising(glass(n, kind), np.linspace(-1, 1, n), constant=3.0)
    w = stored(model)
    assert w.kind.dtype == kind.split()[0]
    expected = {"int16": np.int32, "float32": np.float32}
    assert w.field_type == expected.get(kind, np.int16)
    chains = chains_of(model, 0.8, sn.Metropolis(), n_replicas)
    for size in (1, 40, 215):
        m, energy = chains.advance(size)
        spins = chains.spins.astype(float)
        exact = model.energy(spins)
        np.testing.assert_allclose(m[:, -1], spins.mean(axis=1), atol=1e-14)
        # a field of size 1 to 3 is rounded 10 times a sweep: 6e-8 sqrt(2560) = 3e-6, and the
        # largest of 1800; the energy is a sum of 600 of them
        tolerance = 1e-7 if kind == "float32" else 1e-13
        np.testing.assert_allclose(energy[:, -1], exact, rtol=tolerance * 10)
        fields = chains._fields[:, :n] * w.unit
        precision = 4e-5 if kind == "float32" else 1e-12
        np.testing.assert_allclose(fields, spins @ model.couplings, atol=precision)


def same(left, right):
    for a, b in zip(left, right, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_no_way_of_grouping_replicas_changes_a_bit(kind, update):
    model = sn.Ising(glass(600, kind), 0.1)
    betas = np.linspace(0.2, 1.5, 11)
    whole = chains_of(model, betas, update, 11)
    threaded = chains_of(model, betas, update, 11)
    threaded.workers = 2
    few = chains_of(model, betas[:3], update, 3)
    few.place(whole.spins[:3])
    for _ in range(2):
        m, energy = whole.advance(20)
        same(threaded.advance(20), (m, energy))
        same(few.advance(20), (m[:3].copy(), energy[:3].copy()))
    assert len({row.tobytes() for row in m}) == 11
    same([threaded.spins], [whole.spins])


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_a_state_goes_on_bit_for_bit(kind):
    model = sn.Ising(glass(100, kind), 0.1)
    for before in ((), (256,), (100,), (256, 100), (1, 1)):
        chains = chains_of(model, 0.9, sn.Metropolis(3), 5)
        for size in before:
            chains.advance(size)
        state = chains.state()
        again = chains_of(model, 0.9, sn.Metropolis(3), 5, seed=2)
        again.restore(state)
        for size in (1, 30, 256, 7):
            same(again.advance(size), chains.advance(size))
        same([again.spins], [chains.spins])


def test_one_call_or_many_go_the_same_way():
    model = sn.Ising(glass(100, "float32"), 0.1)
    whole, steps = (chains_of(model, 0.9, sn.Metropolis(), 5) for _ in range(2))
    m, energy = whole.advance(256)
    parts = [steps.advance(1) for _ in range(256)]
    same((m, energy), [np.hstack(column) for column in zip(*parts, strict=True)])


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_select_and_betas_take_effect_at_once(kind):
    model = sn.Ising(glass(100, kind), 0.1)
    chains = chains_of(model, 0.5, sn.HeatBath(), 6)
    chains.advance(10)
    before = chains.spins
    rows = np.array([5, 5, 0, 1, 2, 4])
    chains.select(rows)
    assert (chains.spins == before[rows]).all()
    chains.betas = [0, 0, 0, 1e9, 1e9, 1e9]
    _, energy = chains.advance(100)
    # single-precision fields of size 1, of 100 spins, after 110 sweeps
    np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), rtol=1e-6, atol=3e-5)
    assert np.ptp(energy[3:, 60:], axis=1).max() < 1e-6
    assert np.ptp(energy[:3], axis=1).min() > 1
    chains.place(before)
    assert (chains.spins == before).all()


@pytest.mark.statistical
@pytest.mark.parametrize("update", UPDATES, ids=repr)
def test_free_spins_clamped_spins_and_a_single_one(update, seed):
    h = np.linspace(-1, 1, 70)
    h[5], h[69] = 1e9, -1e9
    for model in (sn.Ising(np.zeros((70, 70)), h), sn.Ising([[0.0]], 0.4)):
        chains = chains_of(model, 0.9, update, 4000, seed)
        for _ in range(8):
            chains.advance(1, record=False)
        mean, p = chains.spins.mean(axis=0), np.tanh(0.9 * model.fields)
        # after a heat bath the 4000 spins of a site are independent; 70 x 2 normals exceed 5
        # once in 12 000
        assert np.all(np.abs(mean - p) <= 5 * np.sqrt((1 - p**2) / 4000))


def test_rare_flips_have_their_probability():
    # p = e^-20 = 2e-9 a sweep, 2e8 attempts: 0.41 expected; 1/3 less or more than e^-14 are seen
    model = sn.Ising(np.zeros((64, 64)), 1.0)
    for update, log_p in ((sn.Metropolis(), 14.0), (sn.HeatBath(), 14.0)):
        chains = chains_of(model, log_p / 2, update, 4096)
        seen = 0
        for _ in range(100):
            chains._done = 0
            chains.place(np.ones((4096, 64), np.int8))
            chains.advance(1, record=False)
            seen += int((chains.spins < 0).sum())
        expected = 64 * 4096 * 100 * math.exp(-log_p)  # 21.8
        assert abs(seen - expected) < 5 * math.sqrt(expected)


def test_units_of_couplings():
    eye = np.ones((5, 5)) - np.eye(5)
    assert number_type(np.zeros((5, 5)))[0] == np.int8
    assert number_type(eye / 3)[:3] == (np.int8, 1 / 3, 1)
    assert number_type(200.0 * eye + 3 * np.eye(5))[0] == np.int16
    assert common_unit(np.array([[0, 0.2, 0.3], [0.2, 0, 0.7], [0.3, 0.7, 0]])) == pytest.approx(
        0.1
    )
    assert common_unit(glass(20, "float32")) == 0
    assert number_type(1e38 * glass(20, "float32"))[1] > 1e30
    assert number_type(1e-38 * glass(20, "float32"))[1] < 1e-30
    wide = np.full((300, 300), 120, np.int8)  # sums of rows leave int16
    assert number_type(wide)[0] == np.int16
    assert number_type(120.0 * eye - eye[:, ::-1])[1] == 1
    lowest = np.array([[0, -128], [-128, 0]], np.int8)
    assert number_type(lowest)[0] == np.int16


@pytest.mark.parametrize("scale", [1e-35, 1e35])
def test_any_unit_of_energy_will_do(scale):
    model, scaled = (sn.Ising(glass(80, "float32") * k, 0.1 * k) for k in (1.0, scale))
    chains = chains_of(scaled, 0.8 / scale, sn.Metropolis(), 3)
    twin = chains_of(model, 0.8, sn.Metropolis(), 3)
    m, energy = chains.advance(20)
    same((m,), (twin.advance(20)[0],))
    np.testing.assert_allclose(energy[:, -1], scaled.energy(chains.spins), rtol=1e-6)


def test_what_the_chains_refuse():
    refuse = DenseChains.refusal
    dense = sn.Ising(glass(5, "float32"))
    assert refuse(dense, sn.HeatBath()) == ""
    assert refuse(sn.NetworkDual(np.eye(3), kind="collapsed"), sn.Metropolis()) == ""
    assert "one by one" in refuse(dense, sn.BlockGibbs())
    assert "equal" in refuse(sn.CurieWeiss(5), sn.HeatBath())
    assert "sparse" in refuse(sn.Ising.from_graph(nx.path_graph(4)), sn.HeatBath())
    marginal = sn.NetworkDual(np.eye(3), kind="marginal")
    assert "marginal" in refuse(marginal, sn.HeatBath())


def test_levels_are_those_of_the_model():
    rng = np.random.default_rng(1)
    pair = sn.Bipartite(rng.normal(size=(4, 3)), 0.2, -0.3)
    model = pair
    if DenseChains.refusal(model, sn.HeatBath()):
        model = sn.NetworkDual(rng.normal(size=(4, 4)), 0.3, "collapsed")
    chains = chains_of(model, 0.7, sn.HeatBath(), 5)
    m, energy = chains.advance(4)
    assert set(np.unique(chains.spins)) <= set(model.levels)
    np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), rtol=1e-5)
    np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-14)


# --- large matrices, which are not copied --------------------------------------------------------


def large(kind, n=2900):
    rng = np.random.default_rng(2)
    if kind == "float32":
        upper = np.triu(rng.standard_normal((n, n), dtype=np.float32) / np.float32(50), 1)
    else:
        top = 1 if kind == "int8" else 1000
        upper = np.triu(rng.integers(-top, top + 1, (n, n)), 1).astype(kind)
    return upper + upper.T


@pytest.mark.parametrize("kind", ["float32", "int8", "int16"])
def test_a_large_matrix_is_shared_and_everything_reads_it_rightly(kind, monkeypatch):
    J = large(kind)
    h = np.linspace(-1, 1, len(J))
    model, copied = sn.Ising(J, h, 2.0), sn.Ising(J.astype(float), h, 2.0)
    assert np.shares_memory(model.couplings, J)
    assert not model.couplings.flags.writeable
    assert model.couplings.dtype == kind
    assert copied.couplings.dtype == np.float64
    spins = np.random.default_rng(1).choice([-1, 1], size=(3, len(J)))
    np.testing.assert_allclose(model.energy(spins), copied.energy(spins), rtol=1e-12)
    assert model.energy(spins[0]).shape == ()
    fields = copied.local_fields(spins)
    np.testing.assert_allclose(model.local_fields(spins), fields, atol=1e-9)
    # the kernel reads it in place too: no line of it is whole, and the last row has a copy
    monkeypatch.setattr(dense_couplings, "_COPIED", 0)
    beta = {"float32": 1.0, "int8": 0.02, "int16": 3e-5}[kind]
    for n_replicas in (2, 17):
        one, other = (chains_of(m, beta, sn.Metropolis(), n_replicas) for m in (model, copied))
        assert np.shares_memory(stored(model).memory[0], J)
        m, energy = one.advance(3)
        same((m, energy), other.advance(3))
        np.testing.assert_allclose(energy[:, -1], model.energy(one.spins), rtol=1e-6)


def test_a_large_matrix_that_cannot_be_shared_is_copied():
    J = large("float32")
    for change in ("diagonal", "asymmetric", "rows apart"):
        other = np.zeros((2902, 2902), np.float32)[:2900, :2900]
        other[:] = J
        other = other if change == "rows apart" else other.copy()
        if change == "diagonal":
            other[7, 7] = 3
        elif change == "asymmetric":
            other[2899, 3] += 1
        model = sn.Ising(other)
        assert model.couplings.dtype == np.float64
        assert not np.shares_memory(model.couplings, other)
    J[5, 2] = np.nan
    for other in (J, np.asfortranarray(J)):
        with pytest.raises(InputError, match=r"J must be finite, got nan at index \(5, 2\)"):
            sn.Ising(other)


def test_a_large_matrix_by_columns_or_read_only_is_shared_too():
    J = large("int8")
    J.flags.writeable = False
    for other in (J, J.T):
        model = sn.Ising(other)
        assert np.shares_memory(model.couplings, J)
        assert model.couplings.flags.c_contiguous


def test_a_small_matrix_of_few_bits_becomes_float64():
    for kind in (np.float32, np.int8, np.int16):
        J = symmetric(np.arange(16).reshape(4, 4)).astype(kind)
        model = sn.Ising(J)
        assert model.couplings.dtype == np.float64
        J[0, 1] = 99
        assert model.couplings[0, 1] == 1


def test_mean_field_and_checksums_take_a_large_matrix_of_few_bits():
    J = large("int8")
    model, copied = sn.Ising(J, 0.3), sn.Ising(J.astype(float), 0.3)
    left, right = (system_of(m, diagonal=False).coupling for m in (model, copied))
    x = np.linspace(-1, 1, len(J))
    assert left.apply(x).tobytes() == right.apply(x).tobytes()
    again = model_from_arrays(model_arrays(model))
    assert again.couplings.dtype == np.int8
    assert (again.couplings == J).all()
