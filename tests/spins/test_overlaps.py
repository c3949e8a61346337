"""Overlaps of replicas: against exact sums, and with the power to see shared random numbers."""

from __future__ import annotations

import json
import tracemalloc

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.montecarlo import overlaps
from spinnet.spins.montecarlo.chains import make_chains
from spinnet.spins.montecarlo.storage import packed_bits, turned, unpacked_spins

pytestmark = pytest.mark.filterwarnings("error")


def glass(n, seed=1, h=0.0):
    rng = np.random.default_rng(seed)
    J = np.triu(rng.normal(size=(n, n)), 1) / np.sqrt(n)
    return sn.Ising(J + J.T, h)


def exact_pairs(model, beta):
    """Return all values of q of two copies with their probabilities, and <q^2>, by enumeration."""
    n = model.n_spins
    up = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    low, high = model.levels
    energy = model.energy(low + (high - low) * up)
    p = np.exp(-beta * (energy - energy.min()))
    p /= p.sum()
    signs = 2.0 * up - 1
    q = np.rint(signs @ signs.T).astype(int)  # n times the overlap
    mass = np.bincount((q.ravel() + n) // 2, weights=np.outer(p, p).ravel(), minlength=n + 1)
    return np.linspace(-1, 1, n + 1), mass


def z_of_distribution(found, model, beta):
    """Return z of P(q) bin by bin (one value each), and of <q>, <|q|>, <q^2>."""
    q, mass = exact_pairs(model, beta)
    np.testing.assert_allclose(found.centres, q, atol=1e-12)
    z = (found.density * np.diff(found.edges) - mass) / (found.density_error * np.diff(found.edges))
    moments = [
        (found.q - mass @ q) / found.q_error,
        (found.q_abs - mass @ np.abs(q)) / found.q_abs_error,
        (found.q2 - mass @ q**2) / found.q2_error,
    ]
    return np.array([*z, *moments])


# --- the arithmetic ---------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(-1, 1), (0, 1)])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 64, 65, 200])
def test_bits_and_overlaps_are_those_of_the_spins(n, levels):
    rng = np.random.default_rng(n)
    spins = rng.choice(np.array(levels, np.int8), size=(5, 6, n))
    bits = packed_bits(spins, levels[1])
    assert bits.shape == (5, 6, -(-n // 8))
    np.testing.assert_array_equal(unpacked_spins(bits, n, levels), spins)
    signs = np.where(spins == levels[1], 1.0, -1.0)
    expected = (signs[0:4:2] * signs[1:4:2]).mean(axis=-1)
    np.testing.assert_allclose(overlaps.pair_overlaps(bits, n), expected, atol=1e-15)
    distribution = overlaps.distribution(bits, n, 1.0)
    every = np.array([signs[i] * signs[j] for i in range(5) for j in range(i)]).mean(axis=-1)
    np.testing.assert_allclose(distribution.q2, np.mean(every**2), atol=1e-14)
    assert np.isnan(distribution.q2_error)
    assert distribution.note == "5 replicas give no errors: at least 8 are needed"


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("n_groups", [1, 3])
def test_bits_of_replicas_are_turned_into_bits_of_spins(n, n_groups):
    up = np.random.default_rng(n).integers(0, 2, size=(64 * n_groups, n), dtype=np.uint8)
    words = np.packbits(np.ascontiguousarray(up.T), axis=1, bitorder="little").view(np.uint64)
    np.testing.assert_array_equal(turned(words), packed_bits(up, 1))


def test_large_systems_are_compared_in_pieces(monkeypatch):
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 256, size=(4, 9, 13), dtype=np.uint8)
    whole = overlaps.pair_overlaps(bits, 104)
    monkeypatch.setattr(overlaps, "_CHUNK", 40)
    np.testing.assert_array_equal(overlaps.pair_overlaps(bits, 104), whole)


@pytest.mark.parametrize("n_replicas", [8, 11])
def test_errors_over_all_pairs_are_those_of_their_definition(monkeypatch, n_replicas):
    # Hoeffding's variance from the table of all pairs, which is not kept; and pieces change nothing
    bits = np.random.default_rng(5).integers(0, 256, size=(n_replicas, 6, 2), dtype=np.uint8)
    bits[:, :, 0] |= bits[:, :1, 0]  # replicas of different means
    found = overlaps.distribution(bits, 16, 1.0)
    i, j = np.triu_indices(n_replicas, 1)
    q = np.array([overlaps.pair_overlaps(bits[[a, b]], 16)[0] for a, b in zip(i, j, strict=True)])
    q2, q4 = (q**2).mean(axis=1), (q**4).mean(axis=1)
    m2, m4 = q2.mean(), q4.mean()
    columns = {"q": q.mean(axis=1), "q_abs": np.abs(q).mean(axis=1), "q2": q2}
    columns["binder"] = 2 * m4 * q2 / (3 * m2**3) - q4 / (3 * m2**2)
    for name, x in columns.items():
        x = x - x.mean()
        share = (i[:, None] == i) ^ (j[:, None] == j) | (i[:, None] == j) | (j[:, None] == i)
        one, same = np.sum(np.outer(x, x)[share]), np.sum(x**2)
        # both about the mean of all pairs: solved for what they are about the true one
        n, n_pairs = n_replicas, len(x)
        bias = np.array([[n_pairs - 1, -2 * (n - 2)], [-2 * (n - 2), 0.0]])
        per = 2 * (n - 2)
        bias[1] = [-per, n_pairs * per - per**2]
        z2, z1 = np.linalg.solve(bias, [same, one])
        z1 = max(z1, 0.0)
        z2 = (same + per * z1) / (n_pairs - 1)
        expected = np.sqrt((per * z1 + z2) / n_pairs)
        assert getattr(found, f"{name}_error") == pytest.approx(expected, rel=1e-9), name
    monkeypatch.setattr(overlaps, "_CHUNK", 100)
    pieces = overlaps.distribution(bits, 16, 1.0)
    np.testing.assert_allclose(pieces.density_error, found.density_error, rtol=1e-12)
    assert pieces.binder_error == pytest.approx(found.binder_error, rel=1e-12)


def test_many_replicas_need_no_table_of_their_pairs():
    bits = np.random.default_rng(6).integers(0, 256, size=(1200, 1, 4), dtype=np.uint8)
    tracemalloc.start()
    overlaps.distribution(bits, 32, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # the table of 719 400 pairs has 213 MB


def test_link_overlaps_are_the_means_over_bonds():
    model = sn.Ising.from_graph(nx.grid_2d_graph(3, 5), J=0.3)
    rng = np.random.default_rng(3)
    spins = rng.choice([-1, 1], size=(4, 7, 15))
    found = overlaps.link_overlaps(packed_bits(spins, 1), model)
    J = model.couplings.tocoo()
    i, j = J.coords
    links = spins[..., i] * spins[..., j]
    np.testing.assert_allclose(found, (links[0:4:2] * links[1:4:2]).mean(axis=-1), atol=1e-15)
    with pytest.raises(InputError, match="link overlaps need a sparse model, got Ising"):
        overlaps.link_overlaps(packed_bits(spins, 1), glass(15))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 64, 99, 100, 1000, 1001])
@pytest.mark.parametrize("bins", [None, 1, 2, 7, 20, 50, 5000])
def test_bins_hold_the_same_number_of_overlaps_each(n, bins):
    edges = overlaps.overlap_bins(n, bins)
    q = -1 + 2 * np.arange(n + 1) / n
    counts = np.histogram(q, edges)[0]
    assert counts.sum() == n + 1
    assert len(counts) <= (bins or 100)
    assert len(set(counts[1:-1])) <= 1
    assert counts[0] <= counts.max() >= counts[-1]
    np.testing.assert_allclose(edges, -edges[::-1], atol=1e-14)
    assert counts[0] == counts[-1] > 0
    if bins is None and n < 100:
        assert len(counts) == n + 1


def test_edges_of_the_user_are_taken():
    bits = np.random.default_rng(1).integers(0, 256, size=(8, 20, 2), dtype=np.uint8)
    found = overlaps.distribution(bits, 16, 1.0, [0.0, 0.5, 1.0])
    q = np.array([overlaps.pair_overlaps(bits[[i, j]], 16)[0] for i in range(8) for j in range(i)])
    counts = np.histogram(q, [0.0, 0.5, 1.0])[0]
    np.testing.assert_allclose(found.density * 0.5, counts / q.size, atol=1e-14)
    # overlaps on an edge belong to the bin above it, whatever the rounding
    edges = np.linspace(-1, 1, 6)
    ten = overlaps.distribution(bits & np.array([255, 3], np.uint8), 10, 1.0, edges)
    q = np.array(
        [
            overlaps.pair_overlaps(bits[[i, j]] & np.array([255, 3], np.uint8), 10)[0]
            for i in range(8)
            for j in range(i)
        ]
    )
    counts = np.histogram(np.rint(10 * q), np.rint(10 * edges))[0]
    np.testing.assert_allclose(ten.density * 0.4, counts / q.size, atol=1e-14)
    for edges in ([0.5], [0.0, 0.0], [1.0, 0.0]):
        with pytest.raises(InputError, match="bins must be a number, or edges that rise"):
            overlaps.distribution(bits, 16, 1.0, edges)


# --- against exact sums -----------------------------------------------------------------------
# Each z is of Student's t with 63 or 31 degrees of freedom: beyond 4.5 once in 33 000 or 11 000.


@pytest.mark.statistical
@pytest.mark.parametrize("pairs", ["all", "disjoint"])
@pytest.mark.parametrize("h", [0.0, 0.3])
def test_p_of_q_of_a_small_glass(pairs, h, seed):
    model = glass(10, h=h)
    run = sn.sample(model, [0.4, 1.2], n_sweeps=3000, store_every=3, rng=seed)
    for k, beta in enumerate(run.beta):
        found = run.overlap_distribution(k, pairs=pairs)
        assert np.sum(found.density * np.diff(found.edges)) == pytest.approx(1, abs=1e-12)
        z = z_of_distribution(found, model, beta)
        # bins that few pairs reach have skewed errors
        mass = exact_pairs(model, beta)[1]
        often = np.append(mass * 1000 > 5, [True] * 3)
        assert np.abs(z[often]).max() < 4.5


@pytest.mark.statistical
def test_units_of_zero_and_one_count_as_signs(seed):
    weights = np.random.default_rng(2).normal(size=(4, 4))
    model = sn.Bipartite(weights, 0.2, -0.1, levels=(0, 1))
    run = sn.sample(model, 0.9, n_sweeps=1000, store_every=1, rng=seed)
    assert set(np.unique(run.configurations(0))) == {0, 1}
    assert np.abs(z_of_distribution(run.overlap_distribution(0), model, 0.9)).max() < 4.5


@pytest.mark.statistical
def test_tempered_replicas_are_independent_at_each_temperature(seed):
    model, betas = glass(9, seed=4), [0.5, 1.0, 1.5]
    run = sn.sample(model, betas, n_sweeps=3000, store_every=3, rng=seed, tempering=True)
    for k, beta in enumerate(betas):
        assert np.abs(z_of_distribution(run.overlap_distribution(k), model, beta)).max() < 4.5


@pytest.mark.statistical
def test_the_sk_model_at_high_temperature(seed):
    # N [<q^2>] = 1/(1 - beta^2) + O(1/N) above T_c (here 1/N below 0.02), h = 0
    run = sn.sample(glass(256), 0.5, n_sweeps=400, n_replicas=32, store_every=4, rng=seed)
    found = run.overlap_distribution(0)
    assert abs(256 * found.q2 - 4 / 3) < 4 * 256 * found.q2_error + 0.02
    assert 256 * found.q2_error < 0.02
    assert abs(256 * found.q2 - 1) > 8 * 256 * found.q2_error  # unlike free spins


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("tilt", [0.0, 0.6])
def test_errors_over_all_pairs_are_calibrated(tilt, seed):
    # without tilt the mean overlap with any one replica is 0 (a degenerate U-statistic), with it
    # each replica has its own mean; 400 repeats know a ratio of variances to 7 %
    rng = np.random.default_rng(seed)
    n_spins, n_replicas, values, errors = 16, 12, [], []
    for _ in range(400):
        centre = rng.normal(tilt, tilt, size=(n_replicas, 1, 1))
        up = rng.random((n_replicas, 6, n_spins)) < 1 / (1 + np.exp(-2 * centre))
        found = overlaps.distribution(packed_bits(up, True), n_spins, 1.0)
        middle = found.density[n_spins // 2], found.density_error[n_spins // 2]
        values.append([found.q, found.q_abs, found.q2, middle[0], found.binder])
        own = [found.q_error, found.q_abs_error, found.q2_error, middle[1], found.binder_error]
        errors.append(own)
    ratio = np.mean(np.square(errors), axis=0) / np.var(values, axis=0)
    # a negative part of the variance counts as 0: errors may be too large, not too small
    assert np.all(ratio > 1 - 0.28)
    assert np.all(ratio < 1.5)


@pytest.mark.statistical
def test_random_numbers_shared_between_replicas_are_seen(seed):
    # each replica by itself stays right: only overlaps can tell
    model, beta = sn.Ising(sp.csr_array(glass(8, seed=3).couplings)), 0.8

    def sampled(shared):
        chains = make_chains(
            model, beta, sn.HeatBath(), 64, np.random.SeedSequence(seed), "sequential"
        )
        bits = np.empty((64, 600, 1), np.uint8)
        series = np.empty((64, 600))
        chains.advance(100)
        for t in range(600):
            if shared and t % 4 == 0:  # pairs have one stream, once in 4 sweeps
                chains._rng[1::2] = chains._rng[0::2]
            m, _ = chains.advance(1)
            if shared and t % 4 == 0:
                chains._rng[1::2] = np.random.default_rng((seed, t)).integers(
                    1, 2**63, size=(32, 4), dtype=np.uint64
                )
            series[:, t] = m[:, 0] ** 2
            bits[:, t] = packed_bits(chains.spins, 1)
        exact = sn.exact.enumerate(model, beta).m2
        means = series.mean(axis=1)
        z_m2 = (means.mean() - exact) / (means.std(ddof=1) / 8)
        found = overlaps.distribution(bits, 8, beta, pairs="disjoint")
        return z_m2, z_of_distribution(found, model, beta)[-3:]

    right_m2, right = sampled(False)
    assert abs(right_m2) < 4.5
    assert np.abs(right).max() < 4.5
    wrong_m2, wrong = sampled(True)
    assert abs(wrong_m2) < 5.5
    assert np.abs(wrong).max() > 8


# --- runs -------------------------------------------------------------------------------------


def test_a_run_without_configurations_says_how_to_get_them():
    run = sn.sample(sn.CurieWeiss(8), 0.5, n_sweeps=20, n_replicas=8, n_burn_in=0, rng=1)
    for ask in (run.overlaps, run.configurations, run.overlap_distribution, run.link_overlaps):
        with pytest.raises(InputError, match=r"stored no configurations .*store_every=10"):
            ask(0)


def test_overlaps_need_two_replicas_and_a_temperature_of_the_run():
    kept = {"n_sweeps": 20, "n_burn_in": 0, "store_every": 5, "rng": 1}
    run = sn.sample(sn.CurieWeiss(8), 0.5, n_replicas=1, **kept)
    for ask in (run.overlaps, run.overlap_distribution):
        with pytest.raises(InputError, match="overlaps need at least 2 replicas, got n_replicas=1"):
            ask(0)
    run = sn.sample(sn.CurieWeiss(8), [0.5, 0.6], n_replicas=8, **kept)
    assert run.overlaps(1).shape == (4, 4)
    np.testing.assert_array_equal(run.overlaps(-1), run.overlaps(1))
    for index in (2, -3, 0.5, "x"):
        with pytest.raises(InputError, match="index must be an integer"):
            run.overlaps(index)
    with pytest.raises(InputError, match="pairs must be"):
        run.overlap_distribution(0, pairs="some")


def test_the_distribution_prints_plots_and_is_plain():
    run = sn.sample(
        sn.CurieWeiss(8), 0.5, n_sweeps=40, n_replicas=16, n_burn_in=0, store_every=5, rng=1
    )
    found = run.overlap_distribution(0)
    assert "all pairs of 16 replicas, 8 configurations of each" in found.summary()
    assert json.loads(json.dumps(found.to_dict()))["n_stored"] == 8
    axes = found.plot()
    assert axes.get_ylabel() == "$P(q)$"
    few = sn.sample(
        sn.CurieWeiss(8), 0.5, n_sweeps=40, n_replicas=3, n_burn_in=0, store_every=5, rng=1
    ).overlap_distribution(0)
    assert few.to_dict()["q2_error"] is None
    assert "(?)" in few.summary()
    few.plot()


def test_an_observer_can_be_an_overlap():
    def neighbours(spins):
        return (spins * np.roll(spins, 1, axis=0)).mean(axis=1)

    run = sn.sample(
        sn.CurieWeiss(8),
        0.5,
        n_sweeps=30,
        n_replicas=8,
        n_burn_in=0,
        observers=[neighbours],
        store_every=1,
        rng=1,
    )
    np.testing.assert_allclose(run.series["neighbours"][1::2], run.overlaps(0), atol=1e-15)
