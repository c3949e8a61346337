"""Sparse kernels: 32 replicas in a word, 16 sites of a colour, one by one; against exact sums."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

import spinnet as sn
from spinnet.simd.vectors import load, mask_bits
from spinnet.spins.montecarlo import transition_matrix
from spinnet.spins.montecarlo.chains import masked_kernels
from spinnet.spins.montecarlo.chains.coloured import ColouredChains, blocks_of
from spinnet.spins.montecarlo.chains.masked import MaskedChains
from spinnet.spins.montecarlo.chains.masked_rows import rows_of
from spinnet.spins.montecarlo.chains.sequential import SequentialChains

FAST = (MaskedChains, ColouredChains)
KERNELS = (*FAST, SequentialChains)
UPDATES = (sn.HeatBath(), sn.Metropolis(), sn.Metropolis(heat_bath_every=2))
ALARM = 1e-5  # for each chi-square
PLACES = (
    *((0.0, UPDATES[0]), (0.0, UPDATES[2]), (0.8, UPDATES[0])),
    *((0.8, UPDATES[1]), (3.0, UPDATES[0]), (3.0, UPDATES[2])),
)


def bonds(n, pairs, values, h=0.0):
    """Return a sparse model with given bonds."""
    i, j = np.array(pairs).T
    upper = sp.coo_array((np.asarray(values, dtype=float), (i, j)), shape=(n, n))
    return sn.Ising(sp.csr_array(upper + upper.T), h)


def torus(length, J=1.0, h=0.0):
    """Return a square lattice with periodic edges."""
    i = np.arange(length**2).reshape(length, length)
    near = [np.roll(i, -1, axis).ravel() for axis in (0, 1)]
    pairs = np.concatenate([np.c_[i.ravel(), j] for j in near])
    return bonds(length**2, pairs, np.full(len(pairs), J), h)


def model_called(name):
    rng = np.random.default_rng(4)
    if name == "fields":  # a triangle with a tail, one spin without a bond, real couplings
        pairs = [(0, 1), (1, 2), (0, 2), (2, 3)]
        return bonds(5, pairs, rng.normal(size=4), rng.normal(size=5) / 2)
    if name == "no fields":
        return bonds(4, [(0, 1), (1, 2), (2, 3), (0, 3)], rng.normal(size=4))
    if name == "integers":  # few distinct fields, and one that is 0
        return bonds(4, [(0, 1), (1, 2), (0, 2), (2, 3)], [1.0, -1.0, 1.0, 1.0])
    if name == "star":  # rows of very different size
        return bonds(6, [(0, j) for j in range(1, 6)], 3.0 ** -np.arange(5), 0.1)
    if name == "free":
        return sn.Ising(sp.csr_array((4, 4)), [0.0, 0.0, 0.5, -1.0])
    assert name == "one"
    return sn.Ising(sp.csr_array((1, 1)), 0.4)


SMALL = ("fields", "no fields", "integers", "star", "free", "one")


def chains_of(kernel, model, beta, update, n_replicas, seed):
    return kernel(model, beta, update, n_replicas, np.random.SeedSequence(seed))


def in_order(chains, model, beta, update, sweep=1):
    """Return the states and the matrix of a sweep that takes the sites as the chains do."""
    order = np.arange(model.n_spins)
    if isinstance(chains, ColouredChains):
        order = np.argsort(blocks_of(model)[1])
    renamed = sn.Ising(model.couplings[order][:, order], model.fields[order])
    states, P = transition_matrix(renamed, beta, update, sweep)
    index = (states[:, np.argsort(order)] == 1) @ (1 << np.arange(model.n_spins))
    back = np.argsort(index)
    return states, P[np.ix_(back, back)]


def misfit(chains, states, P, each, sweep):
    """Return (chi-square, degrees of freedom) of one sweep against P, `each` times per state."""
    n, counts = len(states), 0
    at_once = chains.n_replicas // n
    for _ in range(each // at_once):
        chains._done = sweep - 1
        chains.place(np.repeat(states, at_once, axis=0))
        chains.advance(1, record=False)
        end = (chains.spins == 1) @ (1 << np.arange(states.shape[1]))
        start = np.repeat(np.arange(n), at_once)
        counts = counts + np.bincount(start * n + end, minlength=n * n).reshape(n, n)
    each = each // at_once * at_once
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


@pytest.mark.statistical
@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
@pytest.mark.parametrize("name", SMALL)
def test_one_sweep_follows_the_transition_matrix(kernel, name, seed):
    model = model_called(name)
    each = 96_000 >> model.n_spins
    for k, (beta, update) in enumerate(PLACES):
        period = update.heat_bath_every if isinstance(update, sn.Metropolis) else 1
        for sweep in {1, period}:
            n_replicas = each // 20 << model.n_spins
            chains = chains_of(kernel, model, beta, update, n_replicas, [seed, k, sweep])
            states, P = in_order(chains, model, beta, update, sweep)
            chi2, freedom = misfit(chains, states, P, each, sweep)
            if freedom:
                assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom, beta, update)


@pytest.mark.statistical
@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
def test_each_replica_has_its_own_temperature(kernel, seed):
    # one step from each of 32 states at each of 41 temperatures: coprime, so that all pairs meet
    model, betas, rounds = model_called("fields"), np.linspace(0, 2, 41), 100
    n = 1 << model.n_spins
    chains = chains_of(kernel, model, np.resize(betas, n * 41 * 5), sn.HeatBath(), n * 41 * 5, seed)
    states, _ = transition_matrix(model, 0.0, sn.HeatBath())
    start = np.arange(chains.n_replicas) % n
    # the first site of the sweep sees the configuration as it was placed
    first = 0 if kernel is MaskedChains else np.argmin(blocks_of(model)[1])
    up = 0.0
    for _ in range(rounds):
        chains.place(states[start])
        chains.advance(1, record=False)
        up = up + (chains.spins[:, first] == 1)
    expected = 1 / (1 + np.exp(-2 * chains.betas * model.local_fields(states)[start, first]))
    for beta in betas:  # 41 comparisons at 5 standard errors: one alarm in 4e4
        here = chains.betas == beta
        error = math.sqrt(rounds * (expected[here] * (1 - expected[here])).sum())
        assert abs(up[here].sum() - rounds * expected[here].sum()) < 5 * error


def exact_moments(model, beta):
    """Return the exact averages of |m|, m^2 and energy."""
    n = model.n_spins
    states = 2.0 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1) - 1
    energy, m = model.energy(states), states.mean(axis=1)
    p = np.exp(-beta * (energy - energy.min()))
    return [float(p @ x / p.sum()) for x in (np.abs(m), m**2, energy)]


LONG = {
    "torus": (lambda: torus(4), 0.44),
    "field": (lambda: torus(4, h=0.2), 0.3),
    "real": (lambda: model_called("fields"), 1.0),
    "cold": (lambda: model_called("integers"), 2.0),
    "hot": (lambda: torus(4), 0.0),
}


@pytest.mark.statistical
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
@pytest.mark.parametrize("update", UPDATES[:2], ids=repr)
@pytest.mark.parametrize("name", LONG)
def test_every_replica_agrees_with_the_exact_averages(kernel, update, name, seed):
    make, beta = LONG[name]
    model, n_blocks, block = make(), 40, 256
    n_replicas = 64 if kernel is MaskedChains else 20
    chains = chains_of(kernel, model, beta, update, n_replicas, seed)
    chains.advance(256, record=False)
    rows = [[x.mean(axis=1) for x in (abs(m), m**2, e)]
            for m, e in (chains.advance(block) for _ in range(n_blocks))]  # fmt: skip
    means = np.array(rows)  # (blocks, 3, replicas); blocks of 256 sweeps hold many tau
    average, error = means.mean(axis=0), means.std(axis=0, ddof=1) / math.sqrt(n_blocks)
    for k, exact in enumerate(exact_moments(model, beta)):
        spread = np.maximum(error[k], 1e-12)
        # 40 blocks: Student's t of 39; 64 x 3 comparisons at 5.5 raise one alarm in 2000
        assert np.abs((average[k] - exact) / spread).max() < 5.5
        pooled = average[k].std(ddof=1) / math.sqrt(n_replicas)
        assert abs(average[k].mean() - exact) < 4.5 * max(pooled, 1e-12)
        # and the replicas spread as their own errors say: chi-square, to 5 of its errors
        ratio = average[k].var(ddof=1) / np.mean(spread**2)
        assert abs(ratio - 1) < 5 * math.sqrt(2 / n_replicas) + 5 * math.sqrt(2 / 39 / n_replicas)


@pytest.mark.statistical
@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
def test_replicas_are_independent(kernel, seed):
    n = 96
    for update in UPDATES[:2]:
        chains = chains_of(kernel, torus(6), 0.2, update, n, seed)
        m = chains.advance(256)[0], *(chains.advance(256)[0] for _ in range(15))
        series = np.concatenate(m, axis=1)[:, 64:]
        tau = 12 if isinstance(update, sn.Metropolis) else 4
        z = np.corrcoef(series)[np.triu_indices(n, 1)] * math.sqrt(series.shape[1] / tau)
        # 4560 pairs, tau taken large: the largest of as many normals exceeds 5.5 once in 6000
        assert np.abs(z).max() < 5.5
        thinned = series[:, ::32]  # about independent: the spread of rho is that of noise
        z = np.corrcoef(thinned)[np.triu_indices(n, 1)] * math.sqrt(thinned.shape[1])
        assert abs(np.mean(z**2) - 1) < 6 * math.sqrt(2 / z.size) + 0.03
    hot = chains_of(kernel, torus(8), 0.0, sn.HeatBath(), 64, seed)
    hot.advance(256)
    assert len({row.tobytes() for row in hot.spins}) == 64


@pytest.mark.statistical
@pytest.mark.parametrize("defect", ["J", "beta", "h", "neighbour", "none"])
def test_a_small_defect_of_the_kernel_of_colours_is_caught(defect, seed):
    model, beta, update = model_called("fields"), 0.9, sn.HeatBath()
    chains = chains_of(ColouredChains, model, beta, update, 32 * 1000, seed)
    states, P = in_order(chains, model, beta, update)
    blocks = chains._blocks
    if defect == "J":
        steps, base = (np.rint(1.02 * x).astype(np.int32) for x in (blocks.steps, blocks.base))
        blocks = blocks._replace(steps=steps, base=base)
    elif defect == "beta":
        chains.betas = 1.02 * chains.betas
    elif defect == "h":
        blocks = blocks._replace(h_scaled=np.float32(1.05) * blocks.h_scaled)
    elif defect == "neighbour":
        blocks = blocks._replace(near=np.roll(blocks.near, 16))
    chains._blocks = blocks
    chi2, freedom = misfit(chains, states, P, 40_000, 1)
    assert (chi2 > stats.chi2.ppf(1 - ALARM, freedom)) == (defect != "none"), (chi2, freedom)


@pytest.mark.statistical
@pytest.mark.parametrize("defect", ["J", "beta", "h", "self-coupling", "none"])
def test_a_small_defect_of_the_kernel_is_caught(defect, seed):
    model, beta, update = model_called("fields"), 0.9, sn.HeatBath()
    states, P = transition_matrix(model, beta, update)
    each = 50_000
    chains = chains_of(MaskedChains, model, beta, update, len(states) * each // 10, seed)
    rows = chains._rows
    if defect == "J":
        twice, base = (1.02 * rows.twice).astype(np.int32), (1.02 * rows.base).astype(np.int32)
        rows = rows._replace(twice=twice, base=base)
    elif defect == "beta":
        chains.betas = 1.02 * chains.betas
    elif defect == "h":
        rows = rows._replace(h_scaled=np.float32(1.05) * rows.h_scaled)
    elif defect == "self-coupling":  # spin 4 has no bond: give it one to itself
        twice, indptr = rows.twice.copy(), rows.indptr.copy()
        indices, base = rows.indices.copy(), rows.base.copy()
        twice[indptr[4]] = int(0.02 * 2 / rows.unit[4])
        indices[indptr[4]], base[4] = 4, -twice[indptr[4]] // 2
        indptr[5] += 1
        rows = rows._replace(indptr=indptr, indices=indices, twice=twice, base=base)
    chains._rows = rows
    chi2, freedom = misfit(chains, states, P, each, 1)
    assert (chi2 > stats.chi2.ppf(1 - ALARM, freedom)) == (defect != "none"), (chi2, freedom)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
@pytest.mark.parametrize("update", UPDATES[:2], ids=repr)
@pytest.mark.parametrize("name", [*SMALL, "torus", "large"])
def test_what_is_recorded_is_the_magnetisation_and_energy_of_the_spins(kernel, update, name):
    rng = np.random.default_rng(2)
    if name == "large":
        pairs = rng.integers(0, 500, (2000, 2))
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        model = bonds(500, pairs, rng.normal(size=len(pairs)), rng.normal(size=500))
    else:
        model = torus(4, h=0.3) if name == "torus" else model_called(name)
    chains = chains_of(kernel, model, rng.uniform(0, 1, 70), update, 70, 3)
    scale = np.abs(model.couplings).sum() + np.abs(model.fields).sum() + 1
    for size in (1, 3, 64):
        m, energy = chains.advance(size)
        assert m.shape == energy.shape == (70, size)
        np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-14)
        # couplings of 2^-29 of a row, changed at random at each of some 1e5 flips
        np.testing.assert_allclose(
            energy[:, -1], model.energy(chains.spins), rtol=0, atol=1e-8 * scale
        )


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_a_run_goes_on_bit_for_bit_and_replicas_are_moved(kernel):
    model = torus(4, h=0.1)
    update = sn.Metropolis(heat_bath_every=3)
    chains, other = (chains_of(kernel, model, 0.5, update, 40, s) for s in (1, 2))
    chains.advance(7)
    saved = chains.state()
    first = chains.advance(20)
    other.restore(saved)
    again = other.advance(20)
    for x, y in zip(first, again, strict=True):
        assert x.tobytes() == y.tobytes()
    np.testing.assert_array_equal(chains.spins, other.spins)
    rows = np.arange(40)[::-1] // 2
    expected = chains.spins[rows]
    chains.select(rows)
    np.testing.assert_array_equal(chains.spins, expected)
    given = np.where(np.random.default_rng(1).random((40, 16)) < 0.5, 1, -1).astype(np.int8)
    chains.place(given)
    np.testing.assert_array_equal(chains.spins, given)
    chains.betas = np.full(40, 1e30)
    up = np.ones((40, 16), np.int8)
    chains.place(up)
    m, energy = chains.advance(30)
    assert (m == 1).all()
    np.testing.assert_allclose(energy, float(model.energy(up[0])), atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_results_do_not_depend_on_threads_and_depend_on_the_seed(kernel):
    model = torus(5)
    runs = []
    for workers, seed in [(1, 1), (2, 1), (3, 1), (1, 2)]:
        chains = chains_of(kernel, model, 0.4, sn.HeatBath(), 100, seed)
        chains.workers = workers
        runs.append((chains.advance(20), chains.spins))
    for (m, energy), spins in runs[1:3]:
        assert m.tobytes() == runs[0][0][0].tobytes()
        assert energy.tobytes() == runs[0][0][1].tobytes()
        np.testing.assert_array_equal(spins, runs[0][1])
    assert runs[3][0][0].tobytes() != runs[0][0][0].tobytes()
    assert len({row.tobytes() for row in runs[0][0][1]}) == 100


def test_colours_and_blocks_hold_each_site_and_bond_once():
    rng = np.random.default_rng(8)
    pairs = np.unique(np.sort(rng.integers(0, 300, (900, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    for model in (bonds(300, pairs, rng.normal(size=len(pairs))), torus(20), model_called("star")):
        blocks, places, _ = blocks_of(model)
        assert len(set(places)) == model.n_spins
        held = np.concatenate([16 * b + np.flatnonzero([(m >> k) & 1 for k in range(16)])
                               for b, m in enumerate(blocks.lanes.tolist())])  # fmt: skip
        assert set(held) == set(places.tolist())
        site = {int(p): i for i, p in enumerate(places)}
        seen = set()
        for b, (start, end) in enumerate(itertools.pairwise(blocks.starts)):
            for lane, j in itertools.product(range(16), range(start, end)):
                other = int(blocks.near[16 * j + lane])
                assert other // 16 != b, "two spins of a block are neighbours"
                if other < 16 * len(blocks.lanes):
                    seen.add((site[16 * b + lane], site[other]))
        J = model.couplings.tocoo()
        assert seen == set(zip(J.row.tolist(), J.col.tolist(), strict=True))


@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
def test_the_first_replicas_do_not_depend_on_the_number_of_replicas(kernel):
    few, many = (chains_of(kernel, torus(5), 0.4, sn.HeatBath(), n, 1) for n in (20, 90))
    assert few.advance(10)[0].tobytes() == many.advance(10)[0][:20].tobytes()


@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
@pytest.mark.parametrize("update", UPDATES[:2], ids=repr)
def test_a_clamped_spin_does_not_spoil_the_others(kernel, update):
    model, beta = torus(4), 0.4
    for size in (1e4, 1e9, 1e38):
        h = np.zeros(16)
        h[0] = size
        clamped = sn.Ising(model.couplings, h)
        chains = chains_of(kernel, clamped, beta, update, 640, 1)
        chains.advance(64, record=False)
        spins = np.concatenate([chains.advance(8, record=False) and chains.spins
                                for _ in range(50)])  # fmt: skip
        assert (spins[:, 0] == 1).all()
        # with spin 0 up, the others have the correlations with it that the free model has
        n = 16
        states = 2.0 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1) - 1
        p = np.exp(-beta * model.energy(states))
        exact = (p * states[:, 0]) @ states / p.sum()
        # 32 000 configurations, 8 sweeps apart: tau below 5 of these steps
        assert np.abs(spins.mean(axis=0) - exact).max() < 5 * math.sqrt(10 / len(spins))


@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
def test_a_forbidden_flip_never_happens_and_a_sure_one_always(kernel):
    model = torus(4)
    for update in UPDATES[:2]:
        chains = chains_of(kernel, model, [1e30, 30.0] * 3200, update, 6400, 1)
        chains.place(np.ones((6400, 16), np.int8))
        m, energy = chains.advance(20)  # 2e6 attempts at e^-240 and less
        assert (m == 1).all()
        assert (energy == -32).all()


def test_the_probability_of_an_event_to_its_resolution():
    @compiled_here
    def seen(t, one, words, out):
        for i in range(0, t.size, 16):
            out[i // 16] = mask_bits(
                masked_kernels.against(load(t, i, 16), load(words, 0, 8), np.float32(one))
            )

    def steps(x, one):
        """Return how many of the 2^32 uniform numbers give the event of odds e^-x."""
        low, high = 0, 1 << 32  # the event happens for all numbers below a limit
        t, out = np.full(16, x / np.log(2), np.float32), np.zeros(1, np.uint64)
        while low < high:
            middle = (low + high) // 2
            seen(t, one, np.full(8, middle * ((1 << 32) + 1), np.uint64), out)
            assert out[0] in (0, 0xFFFF)
            low, high = (middle + 1, high) if out[0] else (low, middle)
        return low

    for one, x in itertools.product((0, 1), [*np.geomspace(1e-3, 22, 60), 0.0]):
        exact = 2.0**32 / (one + math.exp(x))
        # 2^-32 (half a step, and the half of the uniform number), and single precision
        assert abs(steps(x, one) - exact) <= 1.01 + exact * (3 + 2.4 * x) * 1e-7
    assert steps(0.0, 0) == 1 << 32  # a flip that costs nothing happens for each number
    assert steps(23.0, 0) == 0
    assert steps(200.0, 1) == steps(1e30, 0) == 0  # not even for the number 0


def clamped_pair(size):
    """Return a spin with a field of 0.4, and two that a bond and fields of some size hold."""
    return bonds(3, [(0, 1)], [size], [size, 0.0, 0.4])


def test_many_colours_are_not_taken_for_full_blocks():
    pairs = list(itertools.combinations(range(300), 2))  # each spin a colour of its own
    complete = bonds(300, pairs, np.random.default_rng(1).normal(size=len(pairs)))
    blocks, _, _ = blocks_of(complete)
    assert len(blocks.lanes) == 300
    fastest = (SequentialChains, MaskedChains)
    seconds = [k.cost(complete, sn.Metropolis(), 1) for k in fastest]
    assert ColouredChains.cost(complete, sn.Metropolis(), 1) > max(seconds)


WIDE = {
    "free, one clamped": (sn.Ising(sp.csr_array((3, 3)), [1e20, -1e20, 0.4]), 1.0, 2),
    "free, one far more": (sn.Ising(sp.csr_array((3, 3)), [1e38, -1e38, 0.4]), 1.0, 2),
    "one strong bond": (clamped_pair(1e20), 1.0, 2),
    "one stronger bond": (clamped_pair(1e38), 1.0, 2),
    "one weak bond": (bonds(3, [(0, 1)], [1e-310], [0.4, 0.4, 0.4]), 1.0, 0),
    "hot, strong fields": (bonds(3, [(0, 1)], [1.0], [4e19, 4e19, 4e19]), 1e-20, 0),
    "weak couplings": (bonds(3, [(0, 1)], [1e-12], [0.0, 0.0, 4e-13]), 1e12, 2),
    "strong couplings": (bonds(3, [(0, 1)], [1e12], [0.0, 0.0, 4e11]), 1e-12, 2),
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", WIDE)
def test_weak_fields_act_beside_strong_ones_or_are_refused(name, seed):
    model, beta, site = WIDE[name]
    run = sn.sample(model, beta, n_sweeps=256, n_replicas=200, n_burn_in=8, update=sn.HeatBath(),
                    observers={"s": lambda s: s[:, site]}, rng=seed)  # fmt: skip
    # heat bath of spins without neighbours has no memory; at 5 standard errors of 51 200 values
    assert abs(run.series["s"].mean() - math.tanh(0.4)) < 5 / math.sqrt(51_200)


def test_spins_that_single_precision_cannot_hold_are_refused():
    for name in ("free, one far more", "one stronger bond", "one weak bond"):
        for kernel in FAST:
            assert "single precision" in kernel.refusal(WIDE[name][0], sn.HeatBath()), name
    for name in WIDE.keys() - {"free, one far more", "one stronger bond", "one weak bond"}:
        assert MaskedChains.refusal(WIDE[name][0], sn.HeatBath()) == "", name
    for size, fits in ((1e37, True), (1e39, False)):  # of single precision, the end is 3e38
        strong = sn.Ising(torus(4).couplings, [size, *[0.0] * 15])
        assert (MaskedChains.refusal(strong, sn.HeatBath()) == "") == fits
        assert np.isfinite(rows_of(strong).h_scaled).all() or not fits


def compiled_here(function):
    from numba import njit

    return njit(function)


def test_couplings_that_32_bits_cannot_hold_are_refused():
    assert MaskedChains.refusal(torus(4), sn.HeatBath()) == ""
    assert "sparse" in MaskedChains.refusal(sn.Ising(np.ones((3, 3))), sn.HeatBath())
    assert "one by one" in MaskedChains.refusal(torus(4), sn.Wolff())
    # spin 1 has a strong neighbour with strong bonds elsewhere, and a weak one
    uneven = bonds(4, [(0, 1), (1, 2), (2, 3)], [1.23e-5, 1.7e-5, 1e6])
    assert "differ too much" in MaskedChains.refusal(uneven, sn.HeatBath())
    assert SequentialChains.refusal(uneven, sn.HeatBath()) == ""
    weak = bonds(4, [(0, 1), (1, 2), (2, 3)], [1.23e-5, 1.7e-5, 1e-3])
    assert MaskedChains.refusal(weak, sn.HeatBath()) == ""
    rows = rows_of(weak)
    unit = rows.unit[np.arange(4) * rows.varies[1]]
    J = np.repeat(unit, np.diff(rows.indptr)) * rows.twice[:6] / 2
    np.testing.assert_allclose(J, weak.couplings.data, atol=1e-3 * 2.0**-29, rtol=0)
    assert J[0] == J[1]  # the same number in the rows of both its spins
    assert J[2] == J[3]
    assert J[4] == J[5]
