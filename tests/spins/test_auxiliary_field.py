"""The auxiliary field: its sweep against quadrature, its chains against exact sums."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats
from scipy.special import expit

import spinnet as sn
from spinnet.spins.montecarlo.chains.auxiliary import AuxiliaryChains
from spinnet.spins.montecarlo.chains.factors import factors_of, refusal_of

UPDATE = sn.AuxiliaryField()
GIBBS = sn.AuxiliaryField(heat_bath_every=1)
NEVER = sn.AuxiliaryField(heat_bath_every=10**9)  # sweeps that are overrelaxed alone


def made(model, beta, n_replicas, seed, update=UPDATE):
    return AuxiliaryChains(model, beta, update, n_replicas, np.random.SeedSequence(seed))


def all_states(n):
    return np.where((np.arange(1 << n)[:, None] >> np.arange(n)) & 1, 1, -1).astype(np.int8)


def sweep_matrix(factors, h, beta):
    """Return P[s, s'], the spins drawn independently given x, averaged over x given s.

    The trapezoidal rule over z = (x - F.s) sqrt(beta) of analytic functions within +-9 standard
    deviations: at a step of 0.1 its error is far below what any count sees.
    """
    n, rank = factors.shape
    states = all_states(n)
    axis = np.arange(-9, 9.05, 0.3)
    z = np.array(list(itertools.product(axis, repeat=rank))).reshape(-1, rank)
    weight = np.exp(-0.5 * np.sum(z**2, axis=1))
    weight /= weight.sum()
    P = np.empty((len(states), len(states)))
    for k, s in enumerate(states):
        a = beta * h + (beta * (s @ factors) + math.sqrt(beta) * z) @ factors.T
        for j, target in enumerate(states):
            P[k, j] = weight @ np.prod(expit(2 * target * a), axis=1)
    return states, P


def small(name):
    rng = np.random.default_rng(21)
    return {
        "rank 1": sn.LowRank([0.9, -0.5, 0.7, 0.2], [0.3, -0.2, 0.0, 0.1]),
        "rank 2": sn.LowRank(rng.normal(size=(4, 2)), 0.2, constant=1.5),
        "hopfield": sn.Hopfield([[1, 1, -1, 1], [1, -1, -1, 1]]),
        "curie-weiss": sn.CurieWeiss(3, J=1.3, h=-0.4),
        "one": sn.LowRank([[0.8]], 0.5),
        "free": sn.LowRank(np.zeros((3, 1)), [0.4, 0.0, -1.2]),
        "one rank free": sn.LowRank([[0.0, 0.9], [0.0, 0.6]]),
    }[name]


NAMES = ("rank 1", "rank 2", "hopfield", "curie-weiss", "one", "free", "one rank free")


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_leaves_the_boltzmann_distribution_fixed(name):
    model = small(name)
    for beta in (0.0, 0.6, 1.5):
        states, P = sweep_matrix(factors_of(model), model.fields, beta)
        p = np.exp(-beta * model.energy(states))
        p /= p.sum()
        np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-12)
        # the error of the quadrature
        np.testing.assert_allclose(p @ P, p, atol=1e-6)


ROUNDS, EACH = 50, 500  # starts from each state: rounds of so many replicas
ALARM = 1e-6  # of each chi-square


def misfit(chains, states, P, rounds=ROUNDS, sweeps=1):
    """Return (chi-square, degrees of freedom) of a few sweeps, many times from each state."""
    n = len(states)
    each = chains.n_replicas // n
    weight = 1 << np.arange(states.shape[1])
    start = np.repeat(np.arange(n), each) * n
    counts = np.zeros(n * n)
    for _ in range(rounds):
        chains.place(np.repeat(states, each, axis=0))
        chains.advance(sweeps, record=False)
        counts += np.bincount(start + (chains.spins > 0) @ weight, minlength=n * n)
    chi2, freedom = 0.0, 0
    for row, expected in zip(counts.reshape(n, n), P * each * rounds, strict=True):
        common = expected >= 10
        seen, wanted = row[common], expected[common]
        if expected[~common].sum() >= 10:
            seen = np.append(seen, row[~common].sum())
            wanted = np.append(wanted, expected[~common].sum())
        chi2 += float(np.sum((seen - wanted) ** 2 / wanted))
        freedom += len(wanted) - 1
    return chi2, freedom


@pytest.mark.statistical
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_realises_its_transition_matrix(name, seed):
    model = small(name)
    for beta in (0.0, 0.7):
        states, P = sweep_matrix(factors_of(model), model.fields, beta)
        chains = made(model, beta, len(states) * EACH, seed, GIBBS)
        chi2, freedom = misfit(chains, states, P)
        assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom, beta)


def overrelaxed_matrix(factors, h, beta, step):
    """Return P[s, s''] of two overrelaxed sweeps, with x drawn given s before the first.

    The probability of a flip has a kink where a field is 0: the error of the trapezoidal rule is
    of order step^2.
    """
    n, rank = factors.shape
    states = all_states(n)
    axis = np.arange(-8, 8 + step / 2, step)
    z = np.array(list(itertools.product(axis, repeat=rank)))
    weight = np.exp(-0.5 * np.sum(z**2, axis=1))
    weight /= weight.sum()

    def rows(s, a):
        """Return the probabilities of every state after Metropolis from s in the fields a."""
        flip = np.exp(-2 * np.maximum(s * a, 0.0))
        return np.prod(np.where((states == s)[:, None], 1 - flip, flip), axis=2).T

    P = np.zeros((len(states), len(states)))
    for k, s in enumerate(states):
        x = beta * (s @ factors) + math.sqrt(beta) * z
        first = rows(s, beta * h + x @ factors.T)
        for j, middle in enumerate(states):
            reflected = 2 * beta * (middle @ factors) - x
            P[k] += (weight * first[:, j]) @ rows(middle, beta * h + reflected @ factors.T)
    return states, P


OVERRELAXED = [("rank 1", 0.02), ("curie-weiss", 0.02), ("rank 2", 0.2), ("free", 0.02)]


@pytest.mark.statistical
@pytest.mark.parametrize(("name", "step"), OVERRELAXED, ids=[n for n, _ in OVERRELAXED])
def test_overrelaxed_sweeps_realise_their_transition_matrix(name, step, seed):
    model, beta = small(name), 0.7
    states, P = overrelaxed_matrix(factors_of(model), model.fields, beta, step)
    p = np.exp(-beta * model.energy(states))
    p /= p.sum()
    np.testing.assert_allclose(p @ P, p, atol=0.1 * step**2)
    chains = made(model, beta, len(states) * EACH, seed, NEVER)
    chi2, freedom = misfit(chains, states, P, sweeps=2)
    assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)
    if name == "rank 1":
        chains._units = chains._units * math.sqrt(1.02)
        chi2, freedom = misfit(chains, states, P, sweeps=2, rounds=400)
        assert chi2 > stats.chi2.ppf(1 - ALARM, freedom), "J 2 % off"


def cycle_matrix(factors, h, beta, period, step):
    """Return P[s, s'] of a heat bath and the overrelaxed sweeps after it, along every path."""
    n, rank = factors.shape
    states = all_states(n)
    z = np.array(list(itertools.product(np.arange(-8, 8 + step / 2, step), repeat=rank)))
    weight = np.exp(-0.5 * np.sum(z**2, axis=1))
    weight /= weight.sum()
    P = np.zeros((len(states), len(states)))

    def follow(start, s, x, mass, left):
        if left == 0:
            P[start, np.flatnonzero((states == s).all(axis=1))] += mass.sum()
            return
        x = 2 * beta * (s @ factors) - x
        flip = np.exp(-2 * np.maximum(s * (beta * h + x @ factors.T), 0.0))
        for target in states:
            p = np.prod(np.where(target == s, 1 - flip, flip), axis=1)
            follow(start, target, x, mass * p, left - 1)

    for start, s in enumerate(states):
        x = beta * (s @ factors) + math.sqrt(beta) * z
        for target in states:
            p = np.prod(expit(2 * target * (beta * h + x @ factors.T)), axis=1)
            follow(start, target, x, weight * p, period - 1)
    return states, P


CYCLES = [
    ([1.2, 0.8], [0.1, 0.0], 4),
    ([0.9, 0.0], [0.0, 0.0], 4),
    ([0.9, -0.5, 0.7], [0.3, 0, 0], 3),
]


@pytest.mark.statistical
@pytest.mark.parametrize(("factors", "h", "period"), CYCLES)
def test_a_cycle_of_sweeps_keeps_the_gibbs_measure_and_reaches_every_state(
    factors, h, period, seed
):
    model, beta = sn.LowRank(factors, h), 0.8
    states, P = cycle_matrix(model.factors, model.fields, beta, period, 0.02)
    p = np.exp(-beta * model.energy(states))
    p /= p.sum()
    np.testing.assert_allclose(p @ P, p, atol=1e-4)
    assert P.min() > 1e-4  # whatever the sweeps between conserve, the heat bath does not
    chains = made(model, beta, len(states) * EACH, seed, sn.AuxiliaryField(period))
    chains.advance(period - 1, record=False)  # the heat bath is next
    chi2, freedom = misfit(chains, states, P, sweeps=period)
    assert chi2 < stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


@pytest.mark.statistical
@pytest.mark.parametrize("model", [sn.LowRank(np.zeros((6, 2))), sn.Hopfield(np.ones((2, 6)))])
def test_no_replica_of_free_spins_keeps_anything_between_heat_baths(model, seed):
    # beta = 0, where the sweeps between flip every spin every time
    run = sn.sample(model, 0.0, n_sweeps=4 * 4000, n_replicas=32, n_burn_in=3, update=UPDATE,
                    rng=seed, observers={"pair": lambda s: s[:, 0] * s[:, 5]})  # fmt: skip
    # 32 replicas, a value from each heat bath: 4000 independent ones
    for values, mean, spread in (
        (run.series["pair"][:, ::4], 0.0, 1.0),
        (run.series["m"][:, ::4], 0.0, math.sqrt(1 / 6)),
        (run.series["m"][:, ::4] ** 2, 1 / 6, math.sqrt(2 * 5 / 6**3)),
    ):
        z = (values.mean(axis=1) - mean) / spread * math.sqrt(4000)
        assert np.abs(z).max() < 5.5  # 192 normals: one alarm in 1e5
        after = np.array([np.corrcoef(row[1:], row[:-1])[0, 1] for row in values])
        assert np.abs(after).max() * math.sqrt(3999) < 5.5
    # the sweeps between are s, -s, s, -s
    m = run.series["m"].reshape(32, -1, 4)
    np.testing.assert_array_equal(m[:, :, 1:], -m[:, :, :-1])


DEFECTS = ("J 2% off", "beta 2% off", "field 5% off", "self-coupling")


@pytest.mark.statistical
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_small_defect_of_the_sweep_is_caught(defect, seed):
    model, beta = small("rank 2"), 0.7
    states, P = sweep_matrix(factors_of(model), model.fields, beta)
    chains = made(model, beta, 16 * EACH, seed, GIBBS)
    if defect == "J 2% off":
        chains._units = chains._units * math.sqrt(1.02)
    elif defect == "beta 2% off":
        chains.betas = chains.betas * 1.02
    elif defect == "field 5% off":
        chains._uniform_h *= 1.05
    else:  # one more factor on the first spin alone: it would hold on to its own past
        own = np.zeros((4, 1))
        own[0] = 0.2
        wrong = sn.LowRank(np.hstack([model.factors, own]), model.fields)
        chains = made(wrong, beta, 16 * EACH, seed, GIBBS)
    chi2, freedom = misfit(chains, states, P, rounds=600)
    assert chi2 > stats.chi2.ppf(1 - ALARM, freedom), (chi2, freedom)


# --- long runs against exact sums ------------------------------------------------------------


def larger(name):
    rng = np.random.default_rng(5)
    return {
        "real": sn.LowRank(rng.normal(size=(11, 3)) / 2, rng.normal(size=11) / 2),
        "hopfield": sn.Hopfield(rng.choice([-1, 1], size=(5, 12)), 0.1),
        "curie-weiss": sn.CurieWeiss(10, J=0.9, h=0.05),
        "dense": sn.Ising(np.outer([1, 2, 1, -1, 2, 1], [1, 2, 1, -1, 2, 1]) / 6.0),
    }[name]


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["real", "hopfield", "curie-weiss", "dense"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.8])
def test_every_replica_agrees_with_the_sum_over_states(name, beta, seed):
    model = larger(name)
    exact = sn.exact.enumerate(model, beta)
    n_sweeps, n_replicas = 6000, 16
    chains = made(model, beta, n_replicas, seed)
    chains.advance(200, record=False)
    m, energy = chains.advance(n_sweeps)
    for series, mean in ((m**2, exact.m2), (m, exact.magnetization), (energy, exact.energy)):
        # the memory of free spins ends with each heat bath; NaN stands for too short a series
        taus = np.asarray(sn.statistics.autocorrelation_time(series))
        tau = max(2.5, float(np.max(taus[np.isfinite(taus)], initial=0.0)))
        error = series.std(axis=1) * math.sqrt(2 * tau / n_sweeps) + 1e-12
        z = (series.mean(axis=1) - float(np.ravel(mean)[0])) / error
        # 4 x 3 x 3 x 16 = 576 comparisons at 5 standard errors: one alarm in 3000
        assert np.abs(z).max() < 5
        assert abs(z.mean()) * math.sqrt(n_replicas) < 4.5


@pytest.mark.statistical
@pytest.mark.parametrize("n_spins", [300, 1000])
def test_large_systems_agree_with_the_exact_curie_weiss_model(n_spins, seed, agrees):
    pattern = np.random.default_rng(3).choice([-1, 1], size=(1, n_spins))
    for model in (sn.CurieWeiss(n_spins, h=0.01), sn.Hopfield(pattern, 0.01 * pattern[0])):
        chains = made(model, 1.0, 64, seed)
        chains.advance(300, record=False)
        _, energy = chains.advance(3000)
        exact = sn.exact.curie_weiss(n_spins, 1.0, h=0.01)
        mean = energy.mean(axis=1) - model.constant
        error = mean.std(ddof=1) / 8
        # <E> without its constant: the double sum less its diagonal
        assert abs(mean.mean() - exact.energy - 0.5) < 4.5 * error
        assert error < 0.05 * abs(float(exact.energy))


@pytest.mark.statistical
def test_replicas_and_spins_are_independent(seed):
    # free spins: every correlation is that of noise
    chains = made(sn.LowRank(np.zeros((100, 1))), 1.0, 32, seed, GIBBS)
    states = []
    for _ in range(400):
        chains.advance(1, record=False)
        states.append(chains.spins)
    s = np.array(states, dtype=np.float64)  # (sweep, replica, spin)
    flat = s.transpose(1, 2, 0).reshape(3200, 400)
    corr = flat @ flat.T / 400
    z = corr[np.triu_indices(3200, 1)] * 20
    # 5e6 normals: the largest exceeds 6.5 once in 2500 times; their variance is 1 to 6e-4
    assert np.abs(z).max() < 6.5
    assert abs(np.mean(z**2) - 1) < 0.005
    assert len({row.tobytes() for row in s[-1]}) == 32
    later = np.mean(s[1:] * s[:-1], axis=0) * math.sqrt(399)
    assert np.abs(later).max() < 6


# --- what chains promise ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 15, 16, 17, 255, 256, 257, 300])
@pytest.mark.parametrize("kind", ["real", "patterns", "uniform"])
def test_recorded_energies_are_those_of_the_spins(n, kind):
    rng = np.random.default_rng(n)
    model = {
        "real": sn.LowRank(rng.normal(size=(n, 5)), rng.normal(size=n), constant=3.0),
        "patterns": sn.Hopfield(rng.choice([-1, 1], size=(4, n)), 0.2),
        "uniform": sn.CurieWeiss(n, 1.2, -0.1),
    }[kind]
    chains = made(model, rng.random(5), 5, n)
    for size in (1, 3, 64):
        m, energy = chains.advance(size)
        assert m.shape == energy.shape == (5, size)
        np.testing.assert_array_equal(m[:, -1], chains.spins.mean(axis=1))
        # factors are rounded to single precision, 6e-8 of each
        scale = np.sum(factors_of(model) ** 2) * n + 1
        tolerance = 2e-7 * scale if kind == "real" else 1e-13 * scale
        np.testing.assert_allclose(energy[:, -1], model.energy(chains.spins), atol=tolerance)
    m, energy = chains.advance(2, record=False)
    assert m.shape == energy.shape == (0, 2)


def test_state_threads_selection_and_temperatures():
    model = small("rank 2")
    model = sn.LowRank(np.tile(model.factors, (80, 1)) / 9, 0.1)

    def run(cuts, workers=1, restart=False):
        chains = made(model, np.linspace(0.3, 1.5, 6), 6, 9)
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
            if k == 0:
                chains.select(np.array([5, 0, 0, 3, 1, 2]))
                chains.betas = chains.betas[::-1]
        return np.concatenate(parts, axis=2), chains.spins

    m, spins = run([5, 7, 4])
    for other in ([5, 7, 4], 2, False), ([5, 7, 4], 1, True), ([5, 1, 1, 5, 4], 2, True):
        again, again_spins = run(*other)
        assert again.tobytes() == m.tobytes()
        assert again_spins.tobytes() == spins.tobytes()
    assert len({row.tobytes() for row in m[0]}) == 6
    chains = made(model, 1.0, 6, 9)
    chains.place(spins)
    np.testing.assert_array_equal(chains.spins, spins)
    chains.select(np.array([1, 1, 0, 0, 5, 4]))
    np.testing.assert_array_equal(chains.spins, spins[[1, 1, 0, 0, 5, 4]])


@pytest.mark.parametrize("beta", [1e3, 1e20, 1e40])
def test_the_coldest_chains_stay_in_a_ground_state(beta):
    patterns = np.array([[1] * 40, [1, -1] * 20])
    for model in (
        sn.Hopfield(patterns, 1e-3),
        sn.LowRank(patterns[1] * 1e19, np.linspace(0.0, 1e-3, 40)),
        sn.CurieWeiss(40, 1e40, 1e39),
    ):
        chains = made(model, beta, 4, 1)
        ground = patterns[1] if isinstance(model, sn.LowRank) and model.rank == 1 else patterns[0]
        chains.place(np.tile(ground, (4, 1)))
        m, energy = chains.advance(20)
        assert np.isfinite(energy).all()
        np.testing.assert_array_equal(chains.spins, np.tile(ground, (4, 1)))
        np.testing.assert_array_equal(m, ground.mean())


def test_a_clamped_spin_does_not_spoil_the_energies_of_others():
    h = np.zeros(20)
    h[3] = 1e9
    model = sn.LowRank(np.linspace(0.1, 0.5, 20), h)
    chains = made(model, 1.0, 8, 2)
    _, energy = chains.advance(50)
    assert (chains.spins[:, 3] == 1).all()
    # 1e9 in double precision: steps of 1.2e-7, some times
    np.testing.assert_allclose(energy[:, -1] + 1e9, model.energy(chains.spins) + 1e9, atol=3e-6)


# --- which models have factors ---------------------------------------------------------------


def test_factors_are_found_in_explicit_couplings():
    rng = np.random.default_rng(4)
    real = rng.normal(size=(30, 3))
    patterns = rng.choice([-1.0, 1.0], size=(30, 4))
    cases = {
        "diagonal given": sn.Ising(real @ real.T),
        "diagonal lost": sn.Hopfield(patterns.T).to_ising(),
        "sparse": sn.Ising(sp.csr_array(patterns @ patterns.T)),
    }
    for name, model in cases.items():
        factors = factors_of(model)
        assert factors.shape[1] <= 4, name
        J = (
            model.couplings
            if isinstance(model.couplings, np.ndarray)
            else model.couplings.toarray()
        )
        product = factors @ factors.T
        np.fill_diagonal(product, 0.0)
        np.testing.assert_allclose(product, J, atol=1e-9 * np.abs(J).max(), err_msg=name)
    assert factors_of(sn.CurieWeiss(5, J=0.0)).shape == (5, 1)


def test_models_without_few_factors_are_refused_with_the_reason():
    rng = np.random.default_rng(4)
    full = rng.normal(size=(100, 100))
    for model, reason in [
        (sn.CurieWeiss(5, J=-1.0), "J < 0"),
        (sn.Ising(full), "have rank 99; 64 at most"),
        (sn.LowRank(rng.normal(size=(100, 65))), "rank 65; 64 at most"),
        (sn.Bipartite(full), "couplings among"),
        (sn.Ising(np.zeros((2001, 2001))), "up to 2000 spins"),
    ]:
        assert reason in refusal_of(model)
        assert AuxiliaryChains.refusal(model, UPDATE) == refusal_of(model)
    assert AuxiliaryChains.refusal(sn.CurieWeiss(5), sn.HeatBath())


def test_it_works_through_sample():
    run = sn.sample(sn.Hopfield(np.ones((2, 300))), [0.4, 0.8], n_sweeps=500, update=UPDATE, rng=1)
    assert run.update == UPDATE
    exact = sn.exact.curie_weiss(300, run.beta, J=2.0)
    z = (run.estimate("m2").value - exact.m2) / run.estimate("m2").error
    assert np.abs(z).max() < 4.5  # two of Student's t with 63 degrees of freedom


@pytest.mark.statistical
def test_normal_numbers_are_normal_to_their_tails(seed):
    from spinnet.compiling import compiled
    from spinnet.spins.montecarlo.normals import normal

    @compiled()
    def fill(state, out):
        for i in range(out.shape[0]):
            out[i] = normal(state)

    x = np.empty(2_000_000)
    fill(np.random.SeedSequence(seed).generate_state(4, np.uint64), x)
    edges = stats.norm.ppf(np.linspace(0, 1, 401))
    assert stats.chisquare(np.histogram(x, edges)[0]).pvalue > ALARM
    # the tail, which begins at 3.654, and the layers next to it
    edges = np.array([0, 3.0, 3.3, 3.6, 3.654, 3.7, 3.8, 4.0, 4.3, np.inf])
    expected = 2 * len(x) * np.diff(stats.norm.cdf(edges))
    counts = np.histogram(np.abs(x), edges)[0]
    assert stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > ALARM
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 5 / math.sqrt(len(x))
