"""Monte Carlo against exact sums: each kernel, each update, each error bar."""

from __future__ import annotations

import itertools
import json
import math

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

import spinnet as sn
from spinnet.errors import InputError, StatisticsError
from spinnet.spins.montecarlo import kernels, transition_matrix
from spinnet.spins.montecarlo.chains import SequentialChains, make_chains

SEQUENTIAL = (sn.HeatBath(), sn.Metropolis(), sn.Metropolis(heat_bath_every=2))
REPLICAS = 64


def build(name, seed=5):
    """Systems small enough to enumerate."""
    rng = np.random.default_rng(seed)
    w, bias = 1.5 * rng.normal(size=(5, 4)), rng.normal(size=4)
    if name == "dense":
        return sn.Ising(rng.normal(size=(10, 10)) / 3, rng.normal(size=10) / 2)
    if name == "sparse":
        return sn.Ising.from_graph(nx.grid_2d_graph(3, 4), J=0.6, h=0.1)
    if name == "bipartite01":
        return sn.Bipartite(w, rng.normal(size=5), bias)
    return sn.NetworkDual(w, bias, kind=name)


def claim(agrees, run, exact, name):
    """Compare every average with its exact value."""
    for field in ("abs_m", "m2", "energy", "susceptibility"):
        estimate = getattr(run, field) if field == "susceptibility" else run.estimate(field)
        agrees(f"{name} {field}", estimate, getattr(exact, field), replicas=REPLICAS)
    # U and c are differences of larger numbers: an absolute precision
    agrees(f"{name} U", run.binder, exact.binder, replicas=REPLICAS, absolute=0.01)
    agrees(f"{name} c", run.specific_heat, exact.specific_heat, replicas=REPLICAS, absolute=0.02)


# --- averages ---------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("update", SEQUENTIAL[:2], ids=repr)
def test_curie_weiss_averages(update, seed, agrees):
    beta = 1 / np.array([0.8, 1.0, 1.3])
    run = sn.sample(sn.CurieWeiss(64), beta, n_sweeps=10_000, update=update, rng=seed)
    claim(agrees, run, sn.exact.curie_weiss(64, beta), repr(update))


@pytest.mark.statistical
@pytest.mark.parametrize("update", SEQUENTIAL, ids=repr)
@pytest.mark.parametrize("name", ["dense", "sparse", "bipartite01", "bipartite", "collapsed"])
def test_averages_of_small_systems(name, update, seed, agrees):
    model = build(name) if name != "collapsed" else sn.NetworkDual(np.eye(6) + 1, 0.2, "collapsed")
    run = sn.sample(model, [0.5, 1.0], n_sweeps=6000, update=update, rng=seed)
    claim(agrees, run, sn.exact.enumerate(model, [0.5, 1.0]), f"{name} {update}")


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["bipartite01", "bipartite", "marginal"])
def test_averages_of_layers_drawn_in_blocks(name, seed, agrees):
    model = build(name)
    run = sn.sample(model, [0.5, 1.0], n_sweeps=4000, rng=seed)
    assert run.update == sn.BlockGibbs()
    claim(agrees, run, sn.exact.enumerate(model, [0.5, 1.0]), name)


@pytest.mark.statistical
@pytest.mark.parametrize("update", [*SEQUENTIAL, sn.BlockGibbs()], ids=repr)
def test_infinite_temperature_in_every_replica(update, seed):
    model = sn.NetworkDual(np.ones((6, 4)), 1.0)
    run = sn.sample(model, 0.0, n_sweeps=4000, n_replicas=16, update=update, rng=seed)
    m = run.series["m"]
    # the m of ten free spins has variance 1/10; tau <= 8 + 1/2 for Metropolis, whose memory
    # ends with each heat bath; 16 x 2 comparisons at 5 standard errors alarm once in 5e4
    tau = 0.5 if not isinstance(update, sn.Metropolis) else update.heat_bath_every + 0.5
    error = math.sqrt(2 * tau / 4000)
    assert np.all(np.abs(m.mean(axis=1)) < 5 * error * math.sqrt(0.1))
    assert np.all(np.abs((m**2).mean(axis=1) - 0.1) < 5 * error * math.sqrt(0.02))


@pytest.mark.statistical
@pytest.mark.parametrize("update", SEQUENTIAL, ids=repr)
def test_free_spins_follow_their_fields(update, seed, agrees):
    h = np.linspace(-1, 1, 8) + 0.05
    model = sn.Ising(np.zeros((8, 8)), h)
    watch = {f"s{i}": (lambda s, i=i: s[:, i]) for i in range(8)}
    run = sn.sample(model, 0.9, n_sweeps=3000, update=update, observers=watch, rng=seed)
    for i in range(8):
        agrees(f"s{i}", run.estimate(f"s{i}"), np.tanh(0.9 * h[i]), replicas=64, absolute=0.02)


@pytest.mark.statistical
def test_replicas_are_independent(seed):
    for model, update in [
        (sn.CurieWeiss(32), sn.HeatBath()),
        (sn.CurieWeiss(32), sn.Metropolis()),
        (build("bipartite"), sn.BlockGibbs()),
    ]:
        run = sn.sample(model, 0.8, n_sweeps=4000, n_replicas=24, update=update, rng=seed)
        m = run.series["m"]
        z = np.corrcoef(m)[np.triu_indices(24, 1)]
        # a correlation of two series has the sum of rho^2, at least 1, where a mean has 2 tau
        z *= math.sqrt(4000 / max(1.0, 2 * float(run.estimate("magnetization").tau)))
        # 276 pairs: the largest of as many normals exceeds 5 once in 6000; and their spread
        # about 0 has the variance 1, to 4 of its own errors (squares of slow series widen it)
        assert np.abs(z).max() < 5
        assert np.mean(z**2) < 1 + 4 * math.sqrt(2 / 276) + 0.1
        assert len({row.tobytes() for row in m}) == 24


# --- the kernels ------------------------------------------------------------------------------


def small(name):
    rng = np.random.default_rng(11)
    J, h = rng.normal(size=(3, 3)), rng.normal(size=3) / 2
    return {
        "dense": sn.Ising(J, h),
        "sparse": sn.Ising.from_graph(nx.path_graph(3), J=-0.9, h=[0.3, -0.2, 0.1]),
        "curie-weiss": sn.CurieWeiss(3, J=1.4, h=-0.3),
        "bipartite01": sn.Bipartite(2 * rng.normal(size=(2, 1)), [0.3, -0.4], 0.2),
        "bipartite": sn.NetworkDual(2 * rng.normal(size=(1, 2)), 0.3),
        "collapsed": sn.NetworkDual(J, h, "collapsed"),
        "one": sn.Ising([[0.0]], 0.4),
    }[name]


LAYERS = ("bipartite01", "bipartite")
SMALL = ("dense", "sparse", "curie-weiss", "collapsed", "one", *LAYERS)
PAIRS = [*itertools.product(SMALL, SEQUENTIAL), *((name, sn.BlockGibbs()) for name in LAYERS)]


@pytest.mark.parametrize(("name", "update"), PAIRS, ids=[f"{n}-{u}" for n, u in PAIRS])
def test_each_sweep_leaves_the_boltzmann_distribution_fixed(name, update):
    model = small(name)
    for beta, sweep in itertools.product([0.0, 0.7, 5.0], [1, 2, 8]):
        states, P = transition_matrix(model, beta, update, sweep)
        p = np.exp(-beta * (model.energy(states) - model.energy(states).min()))
        p /= p.sum()
        np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-13)
        assert P.min() >= 0
        np.testing.assert_allclose(p @ P, p, atol=1e-12)  # rounding of 8 terms of size 1


def misfit(chains, states, P, each, sweep=1):
    """Return (chi-square, degrees of freedom) of one sweep of the kernel against P."""
    n = len(states)
    chains._done = sweep - 1
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


EACH = 40_000
ALARM = 1e-5  # for each chi-square


# sweeps 1 and 2 of Metropolis(2) are of either rule on every model; one model shows the period 8
REALISED = [(n, u) for n, u in PAIRS if n == "dense" or u != sn.Metropolis()]


@pytest.mark.statistical
@pytest.mark.parametrize(("name", "update"), REALISED, ids=[f"{n}-{u}" for n, u in REALISED])
def test_the_kernels_realise_the_transition_matrix(name, update, seed):
    model, beta = small(name), 0.7
    period = update.heat_bath_every if isinstance(update, sn.Metropolis) else 1
    for sweep in sorted({1, period}):
        states, P = transition_matrix(model, beta, update, sweep)
        stream = np.random.SeedSequence([seed, sweep])
        chains = make_chains(model, beta, update, len(states) * EACH, stream)
        chi2, freedom = misfit(chains, states, P, EACH, sweep)
        if freedom:  # one spin under Metropolis at J = h = 0 would leave nothing to chance
            assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom, sweep)


EACH_DEFECT = 300_000


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(
    ("defect", "update"),
    [
        ("J 2% off", sn.HeatBath()),
        ("J 2% off", sn.Metropolis()),
        ("self-coupling", sn.HeatBath()),
        ("self-coupling", sn.Metropolis()),
        ("field 5% off", sn.HeatBath()),
        ("beta 2% off", sn.HeatBath()),
    ],
    ids=str,
)
def test_a_small_defect_of_a_kernel_is_caught(defect, update, seed):
    dense, beta = small("dense"), 0.7
    model = sn.Ising(sp.csr_array(dense.couplings), dense.fields)
    states, P = transition_matrix(model, beta, update)
    chains = SequentialChains(model, beta, update, 8 * EACH_DEFECT, np.random.SeedSequence(seed))
    J, h = model.couplings.copy(), np.array(model.fields)
    if defect == "J 2% off":
        J *= 1.02
    elif defect == "self-coupling":
        J = sp.csr_array(J + 0.02 * abs(J).max() * sp.eye_array(3))
    elif defect == "field 5% off":
        h *= 1.05
    else:
        chains.betas = chains.betas * 1.02
    chains._arguments = (*(x.astype(np.int64) for x in (J.indptr, J.indices)), J.data, h)
    chi2, freedom = misfit(chains, states, P, EACH_DEFECT)
    assert chi2 > stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


@pytest.mark.statistical
def test_a_coupling_wrong_by_two_percent_is_caught_by_the_averages(seed, agrees):
    run = sn.sample(sn.CurieWeiss(64, J=1.02), 1.0, n_sweeps=15_000, rng=seed)
    with pytest.raises(AssertionError, match="standard error"):
        claim(agrees, run, sn.exact.curie_weiss(64, 1.0), "J = 1.02")


def test_the_table_brackets_the_flip_probability():
    for rule in (kernels.HEAT_BATH, kernels.METROPOLIS):
        table = kernels.flip_table(rule)
        edge = math.nextafter(40.0, 0.0)
        grid = np.arange(-1280, 1280) / 32
        for y in [*grid, *np.nextafter(grid, 50), *np.nextafter(grid, -50), edge, -edge]:
            if not -40 < y < 40:
                continue
            k = int((y + 40.0) * 32)
            assert k + 3 < len(table)
            p = kernels.flip_probability.py_func(y, rule)
            assert table[k + 3] <= p <= table[k]


@pytest.mark.parametrize("name", ["dense", "sparse", "bipartite01", "bipartite", "collapsed", "cw"])
@pytest.mark.parametrize("update", [*SEQUENTIAL[:2], sn.BlockGibbs()], ids=repr)
def test_what_is_recorded_is_the_magnetisation_and_energy_of_the_spins(name, update):
    if isinstance(update, sn.BlockGibbs) and name not in LAYERS:
        name = "bipartite"
    model = {
        "cw": sn.CurieWeiss(10, J=-0.7, h=0.3),
        "collapsed": sn.NetworkDual(np.arange(16.0).reshape(4, 4), 0.3, "collapsed"),
    }.get(name) or build(name)
    chains = make_chains(model, 0.6, update, 5, np.random.SeedSequence(1))
    for size in (1, 3, 256):
        m, energy = chains.advance(size)
        assert m.shape == energy.shape == (5, size)
        np.testing.assert_allclose(m[:, -1], chains.spins.mean(axis=1), atol=1e-14)
        # cached fields are single precision: 1e-7 of their size, over some hundred updates
        scale = np.abs(model.energy(chains.spins)).max() + 10
        np.testing.assert_allclose(
            energy[:, -1], model.energy(chains.spins), atol=2e-6 * scale, rtol=0
        )


def test_a_block_draw_of_an_unlikely_level_is_no_likelier_than_its_resolution():
    from numba import njit

    from spinnet.simd.vectors import convert, lane_numbers, mask_bits, popcount_word, splat
    from spinnet.spins.montecarlo.chains.block_kernels import is_high

    @njit
    def drawn(log2_odds_of_low, begin, end):
        """Return for how many of the equal steps k of a uniform number a unit is high."""
        count = 0
        for k in range(begin, end, 16):
            steps = convert(lane_numbers(16) + splat(np.int64(k), 16), np.float32)
            count += popcount_word(mask_bits(is_high(splat(log2_odds_of_low, 16), steps)))
        return count

    # at p = expit(-50) = 2e-22 not one of the 2^24 steps may be below
    for p in (2e-22, 2.9e-8, 3.1e-8, 1e-6, 0.25, 0.3, 0.5, 0.7, 1 - 1e-6, 1.0):
        y = -200.0 if p == 1.0 else (math.log1p(-p) - math.log(p)) / math.log(2.0)
        # to half a step of the uniform numbers, and the single precision of y and p
        error = abs(drawn(np.float32(y), 0, 2**24) - p * 2**24)
        assert error <= 0.5 + 2**24 * 4e-7 * min(p, 1 - p) + 1
        assert p > 2.5e-8 or error < 1e-6
    assert drawn(np.float32(0.0), 0, 2**24) == 2**23
    for y, n in ((-np.inf, 16), (np.inf, 0), (np.nan, 0), (1e30, 0), (-1e30, 16)):
        assert drawn(np.float32(y), 0, 16) == n
        assert drawn(np.float32(y), 2**24 - 16, 2**24) == n


def test_a_clamped_spin_does_not_spoil_the_others():
    h = np.zeros(10)
    h[0] = 1e9
    rng = np.random.default_rng(3)
    J = rng.normal(size=(10, 10)) / 3
    bipartite = sn.Bipartite(rng.normal(size=(5, 5)) / 3, h[:5], levels=(-1, 1))
    for model, update in [
        (sn.Ising(J, h), sn.HeatBath()),
        (sn.Ising(J, h), sn.Metropolis()),
        (bipartite, sn.BlockGibbs()),
    ]:
        run = sn.sample(model, 1.0, n_sweeps=300, n_replicas=32, update=update, rng=3)
        assert (run.spins[:, 0] == 1).all()
        rest = run.series["energy"][:, -1] + 1e9
        expected = [model.energy(s) + 1e9 for s in run.spins]
        np.testing.assert_allclose(rest, expected, atol=3e-6)  # 1e9 in double: 1.2e-7, some times


# --- error bars -------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("n_replicas", [2, 64])
def test_standard_errors_are_calibrated(n_replicas, seed):
    exact = sn.exact.curie_weiss(16, 1.0)
    seeds = np.random.SeedSequence(seed).spawn(50)
    z = {"abs_m": [], "m2": [], "energy": [], "binder": [], "susceptibility_abs": []}
    for stream in seeds:
        run = sn.sample(
            sn.CurieWeiss(16), 1.0, n_sweeps=64_000 // n_replicas, n_replicas=n_replicas,
            n_burn_in=200, rng=stream,
        )  # fmt: skip
        for name, scores in z.items():
            estimate = getattr(run, name, None) or run.estimate(name)
            scores.append(float((estimate.value - getattr(exact, name)) / estimate.error))
    # 50 z-scores of Student's t with 15 (blocks) or 63 degrees of freedom: the variance of z is
    # close to chi-square/50 times 15/13 or 63/61; the band leaves out 1e-4 on each side
    freedom = 15 if n_replicas < 8 else 63
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], 50) / 50
    for name, scores in z.items():
        variance = float(np.mean(np.square(scores)))
        assert low < variance < high * freedom / (freedom - 2), (name, variance)


# --- runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dense", "sparse", "bipartite", "marginal", "cw"])
def test_the_same_seed_gives_the_same_bits(name):
    model = sn.CurieWeiss(20) if name == "cw" else build(name)

    def bits(rng):
        run = sn.sample(model, [0.3, 0.9], n_sweeps=300, n_replicas=4, n_burn_in=10, rng=rng)
        return [values.tobytes() for values in run.series.values()] + [run.spins.tobytes()]

    assert bits(7) == bits(7) == bits(np.random.SeedSequence(7)) != bits(8)
    generator, again = np.random.default_rng(1), np.random.default_rng(1)
    first, second = bits(generator), bits(generator)
    assert first != second
    assert [first, second] == [bits(again), bits(again)]


def test_a_temperature_has_its_own_stream():
    run = sn.sample(sn.CurieWeiss(20), [0.9, 0.9], n_sweeps=50, n_replicas=4, n_burn_in=5, rng=7)
    assert run.series["m"][0].tobytes() != run.series["m"][1].tobytes()


def test_shapes_follow_beta():
    for beta in (0.5, [0.5], [[0.3, 0.5, 0.7]]):
        run = sn.sample(sn.CurieWeiss(6), beta, n_sweeps=20, n_replicas=3, n_burn_in=0, rng=1)
        grid = np.shape(beta)
        assert run.series["m"].shape == run.series["energy"].shape == (*grid, 3, 20)
        assert run.spins.shape == (*grid, 3, 6)
        assert run.spins.dtype == np.int8
        assert set(np.unique(run.spins)) <= {-1, 1}
        for estimate in (run.estimate("m2"), run.binder, run.susceptibility, run.specific_heat):
            assert estimate.value.shape == estimate.error.shape == grid
    bits = sn.sample(build("bipartite01"), 0.5, n_sweeps=5, n_replicas=3, n_burn_in=0, rng=1)
    assert set(np.unique(bits.spins)) <= {0, 1}
    seen = sn.sample(build("marginal"), 0.5, n_sweeps=5, n_replicas=3, n_burn_in=0, rng=1)
    assert seen.spins.shape == (3, 5)


def test_observers_see_the_spins_of_each_sweep():
    def total(spins):
        return spins.sum(axis=1)

    watch = {"first": lambda s: s[:, 0], "total": total}
    run = sn.sample(sn.CurieWeiss(8), [0.4, 1.0], n_sweeps=60, n_replicas=9, observers=watch, rng=2)
    np.testing.assert_allclose(run.series["total"], 8 * run.series["m"], atol=1e-12)
    assert (run.series["first"][..., -1] == run.spins[..., 0]).all()
    assert run.estimate("first").value.shape == (2,)
    by_name = sn.sample(sn.CurieWeiss(8), 0.4, n_sweeps=5, n_replicas=9, observers=[total], rng=2)
    assert "total" in by_name.names


@pytest.mark.parametrize(
    ("observers", "words"),
    [
        ({"x": lambda s: s}, r"observers\['x'\] must return shape \(4,\).*got \(4, 6\)"),
        ({"x": lambda s: 1.0}, r"must return shape \(4,\).*got \(\)"),
        ({"x": lambda s: s[:, 0] * 1j}, r"observers\['x'\] must be real"),
        ({"x": lambda s: s[:, 0] * np.nan}, r"observers\['x'\] must be finite"),
        ({"energy": lambda s: s[:, 0]}, "must not reuse the name 'energy'"),
        ({"beta": lambda s: s[:, 0]}, "must not reuse the name 'beta'"),
        ({"spins": lambda s: s[:, 0]}, "must not reuse the name 'spins'"),
        ({"x": 3}, r"observers\['x'\] must be a name and a function"),
        ({1: lambda s: s[:, 0]}, r"observers\[1\] must be a name and a function"),
        ([lambda s: s[:, 0], lambda s: s[:, 1]], "observers must have different names"),
        (len, "observers must be a list of functions of the spins, or a dict"),
        ("total", "observers must be a list of functions of the spins, or a dict"),
    ],
    ids=[str(k) for k in range(12)],
)
def test_bad_observers_are_refused(observers, words):
    with pytest.raises(InputError, match=words):
        sn.sample(
            sn.CurieWeiss(6), 0.5, n_sweeps=5, n_replicas=4, n_burn_in=0, observers=observers, rng=1
        )


CASES = [
    ({"beta": []}, "beta must hold at least one value"),
    ({"beta": -0.1}, "beta must be >= 0"),
    ({"beta": np.inf}, "beta must be finite"),
    ({"beta": [0.5, np.nan]}, "beta must be finite"),
    ({"beta": 1e300}, "beta must be within"),
    ({"n_sweeps": 0}, "n_sweeps must be an integer >= 1, got 0"),
    ({"n_sweeps": 1.5}, "n_sweeps must be an integer"),
    ({"n_replicas": 0}, "n_replicas must be an integer >= 1, got 0"),
    ({"n_burn_in": -1}, "n_burn_in .* must be an integer >= 0, got -1"),
    ({"n_burn_in": "Auto"}, "n_burn_in .* must be an integer"),
    ({"update": sn.HeatBath}, "update must be HeatBath.*pass an instance"),
    ({"update": "heat bath"}, "update must be HeatBath"),
    ({"update": sn.BlockGibbs()}, "cannot sample CurieWeiss.* needs a two-layer system"),
    ({"model": np.eye(3)}, "model must be a spin model, got ndarray"),
    ({"model": build("marginal"), "update": sn.HeatBath()}, "must be BlockGibbs.*'marginal'"),
    ({"rng": -1}, "rng must be None, an integer >= 0"),
]


@pytest.mark.parametrize(("change", "words"), CASES, ids=[str(k) for k in range(len(CASES))])
def test_bad_runs_are_refused(change, words):
    arguments = {"model": sn.CurieWeiss(6), "beta": 0.5, "n_sweeps": 5, "n_replicas": 4, "rng": 1}
    arguments.update(change)
    with pytest.raises(InputError, match=words):
        sn.sample(arguments.pop("model"), arguments.pop("beta"), **arguments)


def test_bad_updates_and_matrices_are_refused():
    for period in (0, 2.5, True, None):
        with pytest.raises(InputError, match="heat_bath_every must be an integer >= 1"):
            sn.Metropolis(period)
    model = sn.CurieWeiss(3)
    for arguments, words in [
        ((sn.CurieWeiss(11), 1.0, sn.HeatBath()), "n_spins <= 10, got 11"),
        ((model, -1.0, sn.HeatBath()), "beta must be >= 0"),
        ((model, 1.0, sn.HeatBath), "pass an instance"),
        ((model, 1.0, sn.BlockGibbs()), "needs a two-layer system"),
        ((model, 1.0, sn.Metropolis(), 0), "sweep must be an integer >= 1"),
        ((small("bipartite"), 1.0, "Metropolis"), "update must be"),
        ((build("marginal"), 1.0, sn.BlockGibbs()), "kind='marginal'"),
        ((build("marginal"), 1.0, sn.HeatBath()), "kind='marginal'"),
        ((np.eye(3), 1.0, sn.HeatBath()), "model must be a spin model, got ndarray"),
    ]:
        with pytest.raises(InputError, match=words):
            transition_matrix(*arguments)


ONE = {
    "curie-weiss": sn.CurieWeiss(1, J=2.0, h=0.5),
    "dense": sn.Ising([[3.0]], 0.5),
    "graph": sn.Ising.from_graph(nx.empty_graph(1), h=0.5),
    "bipartite01": sn.Bipartite([[2.0]], 0.5, -0.5),
    "bipartite": sn.NetworkDual([[2.0]], 0.5),
    "collapsed": sn.NetworkDual([[2.0]], 0.5, "collapsed"),
    "marginal": sn.NetworkDual([[2.0]], 0.5, "marginal"),
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", ONE)
def test_the_smallest_system_of_every_family(name, seed, agrees):
    model = ONE[name]
    exact = sn.exact.enumerate(model, 0.6)
    layered = name in ("bipartite01", "bipartite", "marginal")
    updates = [*SEQUENTIAL, sn.BlockGibbs()] if layered else SEQUENTIAL
    for update in updates[-1:] if name == "marginal" else updates:
        run = sn.sample(model, 0.6, n_sweeps=2000, update=update, rng=seed)
        for field in ("magnetization", "m2", "energy"):
            agrees(
                f"{name} {update} {field}", run.estimate(field), getattr(exact, field),
                replicas=64, absolute=0.03,
            )  # fmt: skip
        assert run.summary()


@pytest.mark.parametrize("size", [1e30, 1e-30, 1.0])
def test_units_do_not_matter_and_cold_systems_freeze(size):
    rng = np.random.default_rng(2)
    J, w = size * np.abs(rng.normal(size=(6, 6))), size * np.abs(rng.normal(size=(3, 3)))
    h = 10 * size  # above any sum of couplings: no state but the ground state is stable
    for model, update in [
        (sn.Ising(J, h), sn.HeatBath()),
        (sn.Ising(J, h), sn.Metropolis()),
        (sn.Bipartite(w, h, h, levels=(-1, 1)), sn.BlockGibbs()),
        (sn.Bipartite(w, h, h, levels=(-1, 1)), sn.HeatBath()),
        (sn.CurieWeiss(6, size, h), sn.HeatBath()),
    ]:
        for beta in (100 / size, 1e8 / size):
            run = sn.sample(
                model, beta, n_sweeps=20, n_replicas=8, update=update, n_burn_in=9, rng=1
            )
            assert (run.spins == 1).all()
            # couplings are single precision, 6e-8
            np.testing.assert_allclose(
                run.estimate("energy").value, float(model.energy(np.ones(6))), rtol=1e-6
            )
            for estimate in (run.susceptibility_abs, run.binder, run.specific_heat):
                assert np.isfinite(estimate.value)


def test_a_frozen_antiferromagnet_has_no_binder_cumulant_and_no_warning():
    run = sn.sample(sn.CurieWeiss(2, J=-1.0), 1e6, n_sweeps=20, n_replicas=8, rng=1)
    assert run.estimate("m2").value == 0
    assert np.isnan(run.binder.value)
    assert run.summary().splitlines()[2].split()[5] == "-"


def test_a_glass_that_does_not_mix_is_refused_with_its_rhat():
    rng = np.random.default_rng(4)
    J = np.triu(rng.normal(size=(100, 100)), 1) / 10
    glass = sn.Ising(J + J.T)
    with pytest.raises(
        StatisticsError, match=r"not mixed at beta=5 .*raise n_sweeps, or"
    ) as caught:
        sn.sample(glass, 5.0, n_sweeps=1000, n_replicas=16, rng=1)
    assert max(caught.value.estimate.values()) > 1.05
    run = sn.sample(glass, 5.0, n_sweeps=200, n_replicas=16, n_burn_in=300, rng=1)
    assert run.n_burn_in == 300
    assert run.estimate("energy").rhat > 1.05


def test_automatic_burn_in_is_recorded_and_grows_with_the_memory():
    chain = {"update": sn.HeatBath(), "n_replicas": 16, "rng": 1}
    fast = sn.sample(sn.CurieWeiss(32), 0.2, n_sweeps=2000, **chain)
    slow = sn.sample(sn.CurieWeiss(1024), 1.0, n_sweeps=3000, **chain)
    assert 64 <= fast.n_burn_in < slow.n_burn_in


def test_one_replica_gives_blocks_or_a_reason():
    def sampled(n_sweeps, n_burn_in):  # by a chain: independent draws need no blocks
        options = {"update": sn.Metropolis(), "n_burn_in": n_burn_in, "rng": 1}
        return sn.sample(sn.CurieWeiss(8), 0.3, n_sweeps=n_sweeps, n_replicas=1, **options)

    long = sampled(8000, 50)
    exact = sn.exact.curie_weiss(8, 0.3)
    estimate = long.estimate("m2")
    assert estimate.note == ""
    # 16 blocks: Student's t of 15 degrees of freedom exceeds 5 once in 6000
    assert abs(estimate.value - exact.m2) < 5 * estimate.error
    short = sampled(10, 5)
    assert np.isnan(short.estimate("m2").error)
    assert "use at least 8 replicas" in short.estimate("m2").note
    single = sampled(1, 0)
    assert np.isfinite(single.estimate("energy").value)
    assert "(?)" in single.summary()


def test_derived_quantities_take_any_function_of_averages():
    run = sn.sample(sn.CurieWeiss(16), [0.5, 1.0], n_sweeps=200, n_replicas=16, rng=1)
    plain = run.derived(lambda m2: math.sqrt(m2))
    np.testing.assert_allclose(plain.value, np.sqrt(run.estimate("m2").value), rtol=1e-14)
    np.testing.assert_allclose(
        plain.error, run.estimate("m2").error / (2 * plain.value), rtol=0.2
    )  # linear error propagation, to the first order
    chi = run.derived(lambda beta, m2: 16 * beta * m2)
    np.testing.assert_allclose(chi.value, 16 * run.beta * run.estimate("m2").value, rtol=1e-14)
    np.testing.assert_array_equal(run.derived(sn.binder_cumulant).value, run.binder.value)
    for bad in (lambda: run.estimate("absm"), lambda: run.derived(lambda absm: absm)):
        with pytest.raises(InputError, match="got 'absm'; did you mean 'abs_m'"):
            bad()


def test_specific_heat_of_two_temperatures_keeps_its_digits():
    # a constant of 1e6 in the energy must not cost the variance its digits
    J = np.ones((4, 4)) - np.eye(4)
    plain, shifted = (
        sn.sample(sn.Ising(J, constant=c), [0.2, 0.4], n_sweeps=500, n_replicas=8, rng=1)
        for c in (0.0, 1e6)
    )
    np.testing.assert_allclose(plain.specific_heat.value, shifted.specific_heat.value, rtol=1e-7)


def test_specific_heat_far_from_the_mean_of_the_grid_keeps_its_digits():
    # A bond of 1e8 lies frozen at beta = 0.5 and is free at 0, so that the mean energy of the
    # grid is 5e7 off; a third spin in a field of 1 holds all of the variance at beta = 0.5.
    model = sn.Bipartite([[1e8]], 0.0, 0.0, levels=(-1, 1))
    weak = sn.Ising(np.pad(np.asarray(model.couplings), (0, 1)), [0.0, 0.0, 1.0])
    arguments = {"n_sweeps": 500, "n_replicas": 8, "n_burn_in": 50, "rng": 1}
    cold = sn.sample(weak, [0.0, 0.5], **arguments)
    energy = cold.series["energy"][1]
    value = 0.25 * np.var(energy) / 3
    np.testing.assert_allclose(cold.specific_heat.value[1], value, rtol=1e-6)


def test_summary_and_json_hold_plain_numbers():
    run = sn.sample(sn.CurieWeiss(8), [0.3, 1.0], n_sweeps=50, n_replicas=8, rng=3)
    stored = json.loads(json.dumps(run.to_dict()))
    assert stored["model"] == {"model": "CurieWeiss", "n_spins": 8, "J": 1.0, "h": 0.0}
    assert stored["seed"] == {"entropy": "3", "spawn_key": []}
    assert stored["update"] == repr(run.update)
    assert stored["choice"] == run.choice
    assert stored["update"] in run.choice
    assert stored["estimates"]["m2"]["value"] == run.estimate("m2").value.tolist()
    lines = run.summary().splitlines()
    assert lines[0] == "CurieWeiss(8, J=1.0, h=0.0)"
    assert len(lines) == 6
    assert lines[-1] == f"sampled by {run.choice}"


def test_a_saved_run_is_read_without_pickle(tmp_path):
    run = sn.sample(
        sn.CurieWeiss(8), [0.3, 1.0], n_sweeps=20, n_replicas=1, n_burn_in=0, rng=3,
        observers={"first": lambda s: s[:, 0]},
    )  # fmt: skip
    for given, stem in [("run", "run"), ("a.npz", "a"), ("b.json", "b"), ("beta0.5", "beta0.5")]:
        assert run.save(tmp_path / given) == tmp_path / f"{stem}.json"
        with np.load(tmp_path / f"{stem}.npz", allow_pickle=False) as arrays:
            assert set(arrays) == {"beta", "spins", "m", "energy", "first"}
            assert arrays["m"].tobytes() == run.series["m"].tobytes()

        def refuse(name):
            raise AssertionError(f"{name} is not JSON")

        text = (tmp_path / f"{stem}.json").read_text()
        stored = json.loads(text, parse_constant=refuse)
        assert stored["estimates"]["m2"]["error"] == [None, None]  # one short chain: no error
    assert len(list(tmp_path.iterdir())) == 8


def test_saving_into_a_bad_place_is_refused(tmp_path):
    run = sn.sample(sn.CurieWeiss(4), 0.3, n_sweeps=5, n_replicas=2, n_burn_in=0, rng=3)
    with pytest.raises(InputError, match="missing' does not exist; make it first"):
        run.save(tmp_path / "missing" / "run")
    (tmp_path / "run.npz").mkdir()
    with pytest.raises(InputError, match="must name a file, got the folder"):
        run.save(tmp_path / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_progress_is_shown_on_request(capsys):
    for show in (False, True):
        sn.sample(
            sn.CurieWeiss(4), 0.3, n_sweeps=600, n_replicas=2, n_burn_in=0, rng=3, progress=show
        )
        captured = capsys.readouterr()
        assert captured.out == ""
        assert ("sweep" in captured.err) == show
