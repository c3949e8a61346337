"""Parallel tempering: exact sums, the joint transition matrix, exchanges, states, refusals."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from scipy import sparse, stats

import spinnet as sn
from spinnet.errors import InputError, StatisticsError
from spinnet.spins.montecarlo import tempering as placing
from spinnet.spins.montecarlo import transition_matrix
from spinnet.spins.montecarlo.chains import KERNELS, exchanging
from spinnet.spins.montecarlo.chains.tempered import TemperedChains
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.updates import UPDATES

ALARM = 1e-5  # for each chi-square


def build(name, seed=5):
    """Systems small enough to enumerate."""
    rng = np.random.default_rng(seed)
    if name == "torus":
        return sn.Ising.from_graph(nx.grid_2d_graph(4, 4, periodic=True), J=1.0)
    if name == "torus in a field":
        return sn.Ising.from_graph(nx.grid_2d_graph(4, 4, periodic=True), J=1.0, h=0.05)
    if name == "sk":
        return sn.Ising(rng.normal(size=(10, 10)) / 3, rng.normal(size=10) / 4)
    if name == "marginal":
        return sn.NetworkDual(rng.normal(size=(4, 3)), rng.normal(size=3), kind="marginal")
    return sn.Bipartite(1.5 * rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=4))


def tempered(model, beta, update, n_replicas, seed, **options):
    return TemperedChains(model, beta, update, n_replicas, np.random.SeedSequence(seed), **options)


# --- averages ---------------------------------------------------------------------------------

LADDER = [0.0, 0.2, 0.44, 0.8, 1.4]
AVERAGES = [
    ("torus", sn.HeatBath()),
    ("torus in a field", sn.Metropolis()),
    ("sk", sn.HeatBath()),
    ("sk", sn.Metropolis(3)),
    ("two layers", sn.BlockGibbs()),
    ("two layers", sn.HeatBath()),
    ("marginal", sn.BlockGibbs()),
]


def claim(agrees, run, exact, name):
    """Compare each temperature; 15 numbers of which a right program misses one in 5900 each."""
    for field in ("abs_m", "m2", "energy"):
        estimate = run.estimate(field)
        agrees(f"{name} {field}", estimate, getattr(exact, field), replicas=64, absolute=0.06)


@pytest.mark.statistical
@pytest.mark.parametrize(("name", "update"), AVERAGES, ids=[f"{n}-{u}" for n, u in AVERAGES])
def test_averages_at_every_temperature(name, update, seed, agrees):
    model = build(name)
    run = sn.sample(model, LADDER, n_sweeps=1500, update=update, rng=seed, tempering=True)
    claim(agrees, run, sn.exact.enumerate(model, LADDER), f"{name} {update}")
    assert np.all(run.n_burn_in == run.n_burn_in[0])
    assert not run.exchange.problems


@pytest.mark.statistical
def test_exchanges_now_and_then_and_a_falling_ladder(seed, agrees):
    model, beta = build("sk"), LADDER[::-1]
    every = sn.Tempering(exchange_every=3)
    run = sn.sample(model, beta, n_sweeps=1500, update=sn.HeatBath(), rng=seed, tempering=every)
    claim(agrees, run, sn.exact.enumerate(model, beta), "falling")
    assert run.exchange.attempts.sum() == 1500 // 3 * 2  # two of four pairs at each step


@pytest.mark.statistical
def test_replicas_at_one_temperature_are_independent(seed):
    run = sn.sample(
        build("sk"), LADDER, n_sweeps=3000, n_replicas=12, update=sn.HeatBath(), rng=seed,
        tempering=True,
    )  # fmt: skip
    for k in range(len(LADDER)):
        energy = run.series["energy"][k]
        z = np.corrcoef(energy)[np.triu_indices(12, 1)]
        z *= np.sqrt(3000 / max(1.0, 2 * float(run.estimate("energy").tau[k])))
        # 66 pairs at each of 5 temperatures beyond 5 standard errors: once in 5000
        assert np.abs(z).max() < 5
        assert len({row.tobytes() for row in energy}) == 12


def able():
    """Return each kernel with each update on a small model of each family."""
    rng = np.random.default_rng(5)
    models = [build("torus"), build("sk"), build("two layers"), sn.CurieWeiss(14, h=0.1)]
    models.append(sn.Hopfield(rng.choice([-1.0, 1.0], (2, 12)), 0.1))
    models.append(sn.LowRank(rng.normal(size=(10, 1)) / 3, rng.normal(size=10) / 4))
    return [
        (model, update(), name)
        for model, update in itertools.product(models, UPDATES)
        for name, kernel in KERNELS.items()
        if not kernel.refusal(model, update())
    ]


@pytest.mark.slow
@pytest.mark.statistical
def test_every_kernel_may_be_tempered(seed):
    for model, update, name in able():
        exact = sn.exact.enumerate(model, LADDER)
        chains = tempered(model, LADDER, update, 64, seed, kernel=name)
        chains.advance(100)
        parts = [chains.advance(250) for _ in range(4)]
        m, energy = (np.hstack(series) for series in zip(*parts, strict=True))
        for k in range(len(LADDER)):
            rows = slice(64 * k, 64 * k + 64)
            # about 35 kernels with 10 numbers each: a right program fails once in 17 seeds at 4,
            # and once in 400 at the 5 that a t of 63 degrees of freedom passes once in 2e5
            for field, series in (("m2", m**2), ("energy", energy)):
                estimate = sn.statistics.estimate(series[rows])
                z = (estimate.value - getattr(exact, field)[k]) / max(estimate.error, 1e-9)
                assert abs(z) < 5, (model, update, name, k, field, z)


# --- the joint transition matrix --------------------------------------------------------------


def exchange_matrix(energies, betas, first):
    """Return X[s, t] of one exchange step; s is a tuple of one state at each temperature."""
    n, n_beta = len(energies), len(betas)
    joint = list(itertools.product(range(n), repeat=n_beta))
    X = np.eye(len(joint))
    for k in range(first, n_beta - 1, 2):
        step = np.zeros_like(X)
        for i, state in enumerate(joint):
            a, b = state[k], state[k + 1]
            p = min(1.0, np.exp((betas[k] - betas[k + 1]) * (energies[a] - energies[b])))
            swapped = (*state[:k], b, a, *state[k + 2 :])
            step[i, joint.index(swapped)] += p
            step[i, i] += 1 - p
        X = X @ step
    return X


def joint_sweep(model, betas, update, first):
    """Return all joint states, the product measure and the matrix of a sweep with exchange."""
    states = transition_matrix(model, 0.0, update)[0]
    energies = model.energy(states)
    sweep, p = np.ones((1, 1)), np.ones(1)
    for beta in betas:
        sweep = np.kron(sweep, transition_matrix(model, beta, update)[1])
        weight = np.exp(-beta * (energies - energies.min()))
        p = np.kron(p, weight / weight.sum())
    joint = np.array(list(itertools.product(range(len(states)), repeat=len(betas))))
    return states, joint, p, sweep @ exchange_matrix(energies, betas, first)


SMALL = {
    "two spins, three temperatures": (
        sn.Ising([[0.0, 0.8], [0.8, 0.0]], [0.3, -0.2]),
        [0.2, 0.9, 2.0],
    ),
    "three spins, two temperatures": (
        sn.Ising([[0.0, 0.9, -0.4], [0.9, 0.0, 0.6], [-0.4, 0.6, 0.0]], [0.2, 0.0, -0.1]),
        [1.5, 0.4],
    ),
}


def seen_against(model, betas, update, first, each, seed, before=None):
    """Return (chi-square, freedom) of sweeps with exchange, started at every joint state."""
    states, joint, _, P = joint_sweep(model, betas, update, first)
    n_beta, n = len(betas), len(joint)
    # other kernels visit the spins in another order, and this one is for sparse couplings
    model = sn.Ising(sparse.csr_array(model.couplings), model.fields)
    chains = tempered(model, betas, update, n * each, seed, kernel="sequential")
    for _ in range(first):  # the even pairs come first
        chains.advance(1, record=False)
    start = np.repeat(np.arange(n), each)
    chains.place(states[joint[start].T.ravel()])
    if before is not None:
        before(chains)
    chains.advance(1, record=False)
    weight = (1 << np.arange(model.n_spins)).astype(np.int64)
    single = ((chains.spins > 0) @ weight).reshape(n_beta, -1)
    end = np.zeros(n * each, np.int64)
    for row in single:
        end = end * len(states) + row
    counts = np.bincount(start * n + end, minlength=n * n).reshape(n, n)
    assert counts[P < 1e-15].sum() == 0
    chi2, freedom = 0.0, 0
    for row, p in zip(counts, P * each, strict=True):
        common = p >= 10
        groups = [*zip(row[common], p[common], strict=True)]
        if p[~common].sum() >= 10:
            groups.append((row[~common].sum(), p[~common].sum()))
        chi2 += sum((seen - expected) ** 2 / expected for seen, expected in groups)
        freedom += len(groups) - 1
    return chi2, freedom


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("update", [sn.HeatBath(), sn.Metropolis()], ids=repr)
def test_sweep_and_exchange_keep_the_product_of_the_boltzmann_distributions(name, first, update):
    model, betas = SMALL[name]
    _, _, p, P = joint_sweep(model, betas, update, first)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(p @ P, p, atol=1e-12)  # rounding of 64 terms of size 1


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("name", "first"),
    [(name, first) for name in SMALL for first in (0, 1) if first < len(SMALL[name][1]) - 1],
)
def test_the_chains_realise_the_joint_matrix(name, first, seed):
    model, betas = SMALL[name]
    chi2, freedom = seen_against(model, betas, sn.HeatBath(), first, 4000, seed)
    assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


SLOW = [pytest.param(f"{what} off", marks=pytest.mark.slow) for what in ("energies 5%", "beta 2%")]


@pytest.mark.statistical
@pytest.mark.parametrize("defect", ["sign", "always", "pair", *SLOW])
def test_a_defect_of_the_exchange_is_caught(defect, seed, monkeypatch):
    model, betas = SMALL["two spins, three temperatures"]
    right = exchanging.step

    def wrong(m, energy, ladder, first, *rest):
        if defect == "sign":
            return right(m, -energy, ladder, first, *rest)
        if defect == "energies 5% off":
            return right(m, 1.05 * energy, ladder, first, *rest)
        if defect == "always":
            return right(m, 0 * energy, ladder, first, *rest)
        return right(m, energy, ladder, 1 - first, *rest)

    def colder(chains):
        chains.inner.betas = 1.02 * chains.inner.betas

    if defect != "beta 2% off":
        monkeypatch.setattr(exchanging, "step", wrong)
    each = 50_000 if "off" in defect else 4000
    before = colder if defect == "beta 2% off" else None
    chi2, freedom = seen_against(model, betas, sn.HeatBath(), 0, each, seed, before)
    assert chi2 > stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


# --- the record of the exchanges --------------------------------------------------------------


@pytest.mark.statistical
def test_acceptance_rates_are_those_of_the_exact_distributions(seed):
    model, beta = build("sk"), np.array([0.3, 0.8, 1.5, 2.5])
    run = sn.sample(
        model, beta, n_sweeps=4000, n_replicas=32, update=sn.HeatBath(), rng=seed, tempering=True
    )
    states = transition_matrix(model, 0.0, sn.HeatBath())[0]
    energy = model.energy(states)
    p = np.exp(-beta[:, None] * (energy - energy.min()))
    p /= p.sum(axis=1, keepdims=True)
    for k in range(3):
        gain = (beta[k] - beta[k + 1]) * (energy[:, None] - energy)
        expected = p[k] @ np.exp(np.minimum(gain, 0)) @ p[k + 1]
        z = (run.exchange.acceptance[k] - expected) / run.exchange.acceptance_error[k]
        assert abs(z) < 4.5  # Student's t of 31 degrees of freedom: one alarm in 3600 for three
    assert run.exchange.barrier == pytest.approx(3 - run.exchange.acceptance.sum())
    assert list(run.exchange.attempts) == [2000] * 3


def test_round_trips_are_those_of_the_walkers():
    chains = tempered(build("sk"), LADDER, sn.HeatBath(), 4, 3)
    n_rows = chains.n_replicas
    origin, trips = np.zeros(n_rows, int), np.zeros(4, int)
    for _ in range(2000):
        chains.advance(1)
        for r in range(4):
            first, last = chains._rows[0, r], chains._rows[-1, r]
            trips[r] += origin[first] == 2
            origin[first] = 1
            origin[last] = 2 if origin[last] else 0
    assert trips.min() > 5
    assert list(chains.exchange.round_trips) == list(trips)
    assert np.all(np.sort(chains._rows, axis=None) == np.arange(n_rows))
    assert np.all(chains._rows // 5 == np.arange(4))  # no walker leaves its replica
    np.testing.assert_array_equal(chains.inner.betas[chains._rows.ravel()], chains.betas)


@pytest.mark.parametrize(
    ("name", "kernel", "update"),
    [("torus", "bits", sn.HeatBath()), ("curie-weiss", "independent", sn.Independent())],
)
@pytest.mark.parametrize("n_beta", [2, 5, 6])
def test_round_trips_where_configurations_move(name, kernel, update, n_beta):
    model = sn.CurieWeiss(12) if name == "curie-weiss" else build(name)
    chains = tempered(model, np.linspace(0.1, 0.5, n_beta), update, 3, 3, kernel=kernel)
    who = np.tile(np.arange(n_beta), (3, 1))  # the walker at each temperature of a replica
    origin, trips, seen = np.zeros((3, n_beta), int), np.zeros(3, int), 0
    for _ in range(600):
        chains.advance(1)
        accepted = chains.exchange.accepted
        for r, k in zip(*np.nonzero(accepted - seen), strict=True):
            who[r, [k, k + 1]] = who[r, [k + 1, k]]
        seen = accepted
        for r in range(3):
            first, last = who[r, 0], who[r, -1]
            trips[r] += origin[r, first] == 2
            origin[r, first] = 1
            origin[r, last] = 2 if origin[r, last] else 0
    assert trips.min() > 5
    assert list(chains.exchange.round_trips) == list(trips)


def test_draws_that_exchange_keep_their_temperatures():
    model, beta = sn.CurieWeiss(12, h=0.1), np.linspace(0.0, 1.5, 600)  # tables of 512 are kept
    chains = tempered(model, beta, sn.Independent(), 2, 3, kernel="independent")
    tables = chains.inner._tables
    for size in (1, 6):
        m, energy = chains.advance(size)
        np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), atol=1e-9)
        np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-12)
    assert chains.exchange.accepted.sum() > 0
    assert chains.inner._tables is tables


def test_counters_begin_with_the_measurements():
    beta = [0.2, 0.5, 0.8]
    run = sn.sample(
        build("sk"), beta, n_sweeps=100, n_replicas=3, n_burn_in=77, rng=1, tempering=True,
        update=sn.HeatBath(),
    )  # fmt: skip
    assert run.exchange.n_sweeps == 100
    assert list(run.exchange.attempts) == [50, 50]
    assert run.exchange.accepted.shape == (3, 2)
    assert np.all(run.n_burn_in == 77)


def test_problems_are_named():
    record = Exchange(
        np.array([0.1, 0.2, 0.9]), np.array([[50, 1], [40, 0]]), np.array([100, 100]),
        np.array([0, 0]), 200,
    )  # fmt: skip
    assert list(record.weak) == [1]
    assert "beta = 0.2 and 0.9 exchange in 0.50% of the attempts" in record.problems[0]
    assert "no configuration came from end to end" in record.problems[1]
    assert "0.45 on average" not in record.summary()
    assert "beta = 0.2 with 0.9" in record.summary()
    plain = record.to_dict()
    assert plain["acceptance"] == [0.45, 0.005]
    assert plain["round_trips"] == [0, 0]
    nothing = Exchange(np.array([0.1, 0.2]), np.zeros((2, 1), int), np.array([0]), np.zeros(2), 0)
    assert nothing.summary() == "exchange: no attempts yet"


def test_the_record_is_in_summary_and_plain_values():
    run = sn.sample(
        sn.CurieWeiss(40), [0.5, 1.0], n_sweeps=100, n_burn_in=0, rng=1, tempering=True,
        update=sn.HeatBath(),
    )  # fmt: skip
    assert "round trips per replica in 1000 sweeps" in run.summary()
    assert run.to_dict()["exchange"]["n_sweeps"] == 100
    plain = sn.sample(sn.CurieWeiss(40), [0.5, 1.0], n_sweeps=100, n_burn_in=0, rng=1)
    assert plain.exchange is None
    assert "exchange" not in plain.to_dict()


# --- the rows ---------------------------------------------------------------------------------

SETS = [("sk", sn.HeatBath()), ("torus", sn.Metropolis(3)), ("two layers", sn.BlockGibbs())]


@pytest.mark.parametrize(("name", "update"), SETS, ids=[n for n, _ in SETS])
def test_rows_are_in_the_order_of_the_temperatures(name, update):
    model = build(name)
    chains = tempered(model, LADDER, update, 3, 7)
    for size in (1, 5, 2):
        m, energy = chains.advance(size)
        spins = chains.spins
        # float32 sums of the kernels: 1e-6 of the largest sum of couplings, about 10
        np.testing.assert_allclose(energy[:, -1], model.energy(spins), atol=2e-5)
        np.testing.assert_allclose(m[:, -1], spins.mean(axis=1), atol=1e-12)
        chains.place(spins)
        np.testing.assert_array_equal(chains.spins, spins)
    rows = np.random.default_rng(1).permutation(15)
    chains.select(rows)
    np.testing.assert_array_equal(chains.spins, spins[rows])
    np.testing.assert_array_equal(chains.betas, np.repeat(LADDER, 3))


@pytest.mark.parametrize(("name", "update"), SETS, ids=[n for n, _ in SETS])
@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_restored_state_goes_on_bit_for_bit(name, update, at):
    model, tempering = build(name), sn.Tempering(2 if at == 4 else 1)
    chains = tempered(model, LADDER, update, 3, 7, tempering=tempering)
    chains.advance(at)
    state = chains.state()
    rest = chains.advance(9)
    again = tempered(model, LADDER, update, 3, 8, tempering=tempering)
    again.restore(state)
    for mine, yours in zip(rest, again.advance(9), strict=True):
        assert mine.tobytes() == yours.tobytes()
    assert chains.spins.tobytes() == again.spins.tobytes()
    for key, value in chains.state().items():
        np.testing.assert_array_equal(value, again.state()[key])


def test_the_same_bits_whatever_the_threads_and_others_with_another_seed():
    def bits(workers, seed):
        chains = tempered(build("sk"), LADDER, sn.HeatBath(), 4, seed)
        chains.workers = workers
        assert chains.inner.workers == workers
        return chains.advance(50)[1].tobytes()

    assert bits(1, 1) == bits(2, 1) != bits(1, 2)


def test_every_replica_draws_its_exchanges_from_its_own_stream():
    chains = tempered(build("sk"), LADDER, sn.HeatBath(), 4, 7)
    before = chains._rng.copy()
    assert len({row.tobytes() for row in before}) == 4
    chains.advance(1)
    assert np.all(chains._rng != before)


def test_a_ladder_may_change_on_the_way():
    chains = tempered(build("sk"), LADDER, sn.HeatBath(), 3, 7)
    chains.advance(20)
    warmer = np.array(LADDER) / 2
    chains.betas = np.repeat(warmer, 3)
    np.testing.assert_array_equal(chains.ladder, warmer)
    np.testing.assert_array_equal(chains.inner.betas[chains._rows.ravel()], chains.betas)
    with pytest.raises(InputError, match="the same in all replicas"):
        chains.betas = np.arange(15.0)


def test_observers_see_one_temperature_at_a_time():
    shapes = set()

    def pair(spins):
        shapes.add(spins.shape)
        return spins[:, 0] * spins[:, 1]

    def mean(spins):
        return spins.mean(axis=1)

    run = sn.sample(
        build("sk"), LADDER, n_sweeps=20, n_replicas=3, n_burn_in=5, rng=1, tempering=True,
        observers=[pair, mean],
    )  # fmt: skip
    assert shapes == {(3, 10)}
    np.testing.assert_allclose(run.series["mean"], run.series["m"], atol=1e-12)


# --- replicas as bits -------------------------------------------------------------------------


@pytest.mark.parametrize(("n_replicas", "moves"), [(3, True), (40, True), (130, False)])
def test_bits_that_exchange_temperatures_move(n_replicas, moves):
    model = sn.Ising.from_graph(nx.grid_2d_graph(4, 4, periodic=True), J=1.0, h=1.0)
    chains = tempered(model, LADDER, sn.Metropolis(), n_replicas, 7, kernel="bits")
    assert chains._swaps_bits == moves  # 130 ladders of 5 are cut by the end of 512 bits
    home = chains._rows.copy()
    for size in (1, 3, 20):
        m, energy = chains.advance(size)
        spins = chains.spins
        np.testing.assert_allclose(energy[:, -1], model.energy(spins), atol=1e-9)
        np.testing.assert_allclose(m[:, -1], spins.mean(axis=1), atol=1e-12)
        assert np.array_equal(chains._rows, home) == moves
    assert np.all(chains.exchange.accepted.sum(axis=0) > 0)


@pytest.mark.statistical
@pytest.mark.parametrize("n_replicas", [64, 130])
def test_averages_of_bits(n_replicas, seed, agrees):
    model = sn.Ising.from_graph(nx.grid_2d_graph(4, 4, periodic=True), J=1.0, h=1.0)
    warm = 0.5 * np.array(LADDER)  # at 1.4, no spin may ever turn against field and bonds
    chains = tempered(model, warm, sn.Metropolis(), n_replicas, seed, kernel="bits")
    chains.advance(200)
    m, energy = (
        np.hstack(parts) for parts in zip(*[chains.advance(250) for _ in range(6)], strict=True)
    )
    exact = sn.exact.enumerate(model, warm)
    for k in range(len(warm)):
        rows = slice(k * n_replicas, (k + 1) * n_replicas)
        for field, series in (("magnetization", m), ("m2", m**2), ("energy", energy)):
            estimate = sn.statistics.estimate(series[rows])
            value = getattr(exact, field)[k]
            agrees(f"{field} {k}", estimate, value, replicas=n_replicas, absolute=0.06)


@pytest.mark.parametrize("n_beta", [2, 7, 64, 100])
def test_swaps_move_whole_configurations(n_beta):
    model = build("torus")
    chains = tempered(model, np.linspace(0, 1, n_beta), sn.HeatBath(), 2, 7, kernel="bits")
    assert chains._swaps_bits
    spins, rows = chains.inner.spins, chains._rows
    rng = np.random.default_rng(1)
    for first in (0, 1):
        expected, labels = spins.copy(), np.arange(2 * n_beta, dtype=np.int8)
        chains._origin[:] = labels
        for r in range(2):
            for k in range(first, n_beta - 1, 2):
                if rng.random() < 0.6:
                    a, b = rows[k, r], rows[k + 1, r]
                    rows[k, r], rows[k + 1, r] = b, a
                    expected[[a, b]] = expected[[b, a]]
                    labels[[a, b]] = labels[[b, a]]
        chains._carry_out()
        spins = chains.inner.spins
        np.testing.assert_array_equal(spins, expected)
        np.testing.assert_array_equal(chains._origin, labels)
        np.testing.assert_array_equal(rows, np.arange(2 * n_beta).reshape(2, n_beta).T)


# --- valleys ----------------------------------------------------------------------------------


@pytest.mark.statistical
def test_tempering_mixes_valleys_that_plain_chains_do_not_leave(seed, agrees):
    model, beta = sn.CurieWeiss(64, h=0.02), np.linspace(0.4, 2.0, 12)
    common = {"n_sweeps": 3000, "update": sn.HeatBath(), "rng": seed}
    with pytest.raises(StatisticsError, match="not mixed at beta=2"):
        sn.sample(model, beta[-1], **common)
    run = sn.sample(model, beta, **common, tempering=True)
    exact = sn.exact.curie_weiss(64, beta, h=0.02)
    agrees("m", run.estimate("magnetization"), exact.magnetization, replicas=64, absolute=0.01)
    agrees("energy", run.estimate("energy"), exact.energy, replicas=64, absolute=0.01)


def test_burn_in_is_judged_at_every_temperature(seed):
    # the first temperatures mix at once; the two coldest are frozen apart and hardly exchange
    model = sn.CurieWeiss(200, h=0.02)
    with pytest.raises(StatisticsError, match=r"not mixed at beta=2\.5 after") as error:
        sn.sample(
            model, [0.2, 0.3, 2.5], n_sweeps=1000, rng=seed, update=sn.HeatBath(), tempering=True
        )
    assert max(error.value.estimate.values()) > 1.05


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "tempering", "words"),
    [
        (0.5, True, r"at least two inverse temperatures .* got shape \(\)"),
        ([0.5], True, r"got shape \(1,\)"),
        ([[0.5, 0.6], [0.7, 0.8]], True, r"got shape \(2, 2\)"),
        ([0.5, 0.7, 0.6], True, "got 0.7 and then 0.6 at index 2; sort it"),
        ([0.7, 0.5, 0.6], True, "got 0.5 and then 0.6 at index 2"),
        ([0.5, 0.5, 0.6], True, "got 0.5 and then 0.5 at index 1"),
        ([0.5, 0.6], "yes", "True, False or a spinnet.Tempering, got 'yes'"),
        ([0.5, 0.6], 1, "True, False or a spinnet.Tempering, got 1"),
    ],
)
def test_temperatures_that_cannot_exchange_are_refused(beta, tempering, words):
    with pytest.raises(InputError, match=words):
        sn.sample(sn.CurieWeiss(10), beta, tempering=tempering)


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_the_interval_is_checked(every):
    with pytest.raises(InputError, match="exchange_every"):
        sn.Tempering(every)


# --- placing ----------------------------------------------------------------------------------


@pytest.mark.statistical
def test_placed_temperatures_exchange_evenly(seed):
    model = sn.Ising.from_graph(nx.grid_2d_graph(8, 8, periodic=True), J=1.0)
    ladder = sn.place_temperatures(model, 0.1, 1.0, n_sweeps=400, rng=seed)
    rates = ladder.exchange.acceptance
    # rates rest on about 1600 attempts each: +-0.013, and twice that from correlated sweeps
    assert np.all(np.abs(rates - rates.mean()) < 0.12), rates
    assert 0.45 < rates.mean() < 0.62
    assert (ladder.beta[0], ladder.beta[-1]) == (0.1, 1.0)
    assert np.all(np.diff(ladder.beta) > 0)
    assert len(ladder.beta) == pytest.approx(2 * ladder.barrier + 1, abs=2)
    few = sn.place_temperatures(model, 0.1, 1.0, 6, n_sweeps=400, rng=seed)
    assert len(few.beta) == 6
    assert few.barrier == pytest.approx(ladder.barrier, rel=0.15)
    rates = few.exchange.acceptance
    assert np.all(np.abs(rates - rates.mean()) < 0.12), rates
    rare = sn.place_temperatures(model, 0.1, 1.0, acceptance=0.23, n_sweeps=400, rng=seed)
    assert len(rare.beta) < len(ladder.beta)
    assert 0.18 < rare.exchange.acceptance.mean() < 0.4


@pytest.mark.parametrize(
    ("model", "ends", "n"),
    [
        (sn.CurieWeiss(30), (0.0, 1e6), None),  # frozen from beta = 3 on
        (sn.Ising(np.zeros((4, 4))), (0.0, 1.0), 2),  # every exchange is accepted
        (sn.Ising([[0.0]], 0.4), (0.5, 5.0), None),
    ],
)
def test_extreme_ranges_are_placed(model, ends, n):
    ladder = sn.place_temperatures(model, *ends, n_sweeps=128, rng=1, update=sn.HeatBath())
    assert np.all(np.diff(ladder.beta) > 0)
    assert (ladder.beta[0], ladder.beta[-1]) == ends
    assert ladder.exchange.acceptance.min() > 0.35
    if n is not None:
        assert len(ladder.beta) == n
    assert ladder.to_dict()["beta"] == ladder.beta.tolist()
    assert "temperatures, barrier" in ladder.summary()


def test_placing_repeats_with_its_seed():
    def place(seed):
        return sn.place_temperatures(sn.CurieWeiss(50), 0.2, 1.5, n_sweeps=64, rng=seed).beta

    np.testing.assert_array_equal(place(1), place(1))
    assert not np.array_equal(place(1)[1:-1], place(2)[1:-1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.5, 0.5), "0 <= beta_min < beta_max, got 0.5 and 0.5"),
        ((1.0, 0.5), "got 1 and 0.5"),
        ((-0.1, 0.5), "got -0.1 and 0.5"),
        ((0.1, np.inf), "beta_max"),
        ((0.1, 0.5, 1), "n must be"),
        ((0.1, 0.5, 5000), "n must be at most 2000"),
    ],
)
def test_impossible_ranges_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        sn.place_temperatures(sn.CurieWeiss(10), *arguments, rng=1)


@pytest.mark.parametrize("acceptance", [0.0, 1.0, -1.0])
def test_impossible_rates_are_refused(acceptance):
    with pytest.raises(InputError, match="acceptance"):
        sn.place_temperatures(sn.CurieWeiss(10), 0.1, 0.5, acceptance=acceptance, rng=1)


@pytest.mark.parametrize(
    "given", [{"n_sweeps": 10**12}, {"n_replicas": 10**9}, {"n": 2000, "n_sweeps": 10**9}]
)
def test_a_pilot_beyond_the_memory_is_refused(given):
    with pytest.raises(InputError, match=r"with n_sweeps=\d+ would take .* lower n_replicas"):
        sn.place_temperatures(sn.CurieWeiss(10), 0.1, 0.5, rng=1, **given)


def test_few_temperatures_may_be_asked_for_where_many_are_needed(monkeypatch):
    monkeypatch.setattr(placing, "_MOST", 20)
    model = sn.CurieWeiss(1000)
    given = {"n_sweeps": 65, "n_replicas": 2, "update": sn.Independent(), "rng": 1}
    with pytest.raises(InputError, match="at most 20"):
        sn.place_temperatures(model, 0.0, 3.0, **given)
    ladder = sn.place_temperatures(model, 0.0, 3.0, 3, **given)
    assert len(ladder.beta) == 3
    assert "exchange in 0.00% of the attempts" in ladder.summary()


def test_a_range_of_too_many_temperatures_is_refused():
    model = sn.CurieWeiss(100)
    with pytest.raises(InputError, match="narrow the range, or lower acceptance"):
        sn.place_temperatures(
            model, 0.5, 3.0, acceptance=0.999, n_sweeps=64, n_replicas=2, rng=1,
            update=sn.HeatBath(),
        )  # fmt: skip
