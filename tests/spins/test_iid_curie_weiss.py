"""Independent exact samples of the Curie-Weiss model, and the tables and subsets behind them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.montecarlo import alias, subsets
from spinnet.spins.montecarlo.iid import iid_curie_weiss_spins

ALARM = 1e-6  # of each chi-square: about 30 of them alarm once in 3e4


def chi_square(counts, p):
    """Return the p-value of counts against probabilities, rare values joined."""
    expected = p * counts.sum()
    common = expected >= 10
    seen = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    keep = wanted > 0
    assert seen[~keep].sum() == 0
    return stats.chi2.sf(np.sum((seen - wanted)[keep] ** 2 / wanted[keep]), max(1, keep.sum() - 1))


def exact_weights(n, beta, J, h):
    """Return every M and its probability, from plain logarithms of factorials."""
    M = np.arange(-n, n + 1, 2)
    log_w = gammaln(n + 1) - gammaln((n + M) / 2 + 1) - gammaln((n - M) / 2 + 1)
    log_w += beta * (J * M**2 / (2 * n) + h * M)
    w = np.exp(log_w - log_w.max())
    return M, w / w.sum()


CASES = [
    (1, 0.7, 1.0, 0.3),
    (3, 0.0, 1.0, 0.0),
    (5, 1.0, -1.3, 0.2),
    (6, 50.0, 1.0, 0.01),
    (6, 1e6, 1.0, 0.0),
    (7, 1e6, -1.0, -1e3),
    (8, 0.3, 0.0, -0.8),
    (64, 1.3, 1.0, 0.0),
    (301, 1.0, 1.0, -0.02),
    (300, 3.0, -2.0, 0.1),
]


@pytest.mark.statistical
@pytest.mark.parametrize("case", CASES, ids=str)
def test_magnetisations_follow_the_sum_over_states(case, seed):
    n, beta, J, h = case
    m = sn.iid_curie_weiss(n, beta, 200_000, J=J, h=h, rng=seed)
    _, p = exact_weights(n, beta, J, h)
    totals = np.rint(m * n).astype(int)
    assert np.array_equal(m, totals / n)
    counts = np.bincount((totals + n) // 2, minlength=n + 1)
    assert counts.sum() == 200_000
    assert chi_square(counts, p) > ALARM


@pytest.mark.statistical
@pytest.mark.parametrize("change", [{"J": 1.02}, {"beta": 1.02}, {"h": 0.004}])
def test_a_defect_of_two_percent_is_caught(change, seed):
    arguments = {"beta": 1.0, "J": 1.0, "h": 0.0} | change
    m = sn.iid_curie_weiss(64, arguments.pop("beta"), 400_000, rng=seed, **arguments)
    counts = np.bincount(np.rint((m + 1) * 32).astype(int), minlength=65)
    assert chi_square(counts, exact_weights(64, 1.0, 1.0, 0.0)[1]) < ALARM


@pytest.mark.statistical
def test_ten_million_spins(seed):
    m = sn.iid_curie_weiss(10_000_000, 1.0, 200_000, rng=seed)
    exact = sn.exact.curie_weiss(10_000_000, 1.0)
    for values, mean in ((m**2, exact.m2), (m**4, exact.m4), (np.abs(m), exact.abs_m)):
        # five standard errors: one alarm in 6e5 for each
        assert abs(values.mean() - mean) < 5 * values.std() / math.sqrt(len(m))
    assert np.abs(np.corrcoef(m[1:], m[:-1])[0, 1]) < 5 / math.sqrt(len(m))


def test_draws_do_not_depend_on_how_they_are_cut_into_calls():
    table = alias.MagnetizationTable.of(40, 1.0, 1.0, 0.1)
    layouts = np.array([table.layout] * 2)

    def draw(cuts):
        states = np.random.SeedSequence(4).generate_state(64, np.uint64).reshape(2, 32)
        parts, done = [], 0
        for size in cuts:
            out = np.empty((2, size))
            alias.draw_totals(
                *(states, layouts, np.zeros(2, np.int64), table.alias.columns, table.alias.rest),
                *(done, 1.0, out),
            )
            parts.append(out)
            done += size
        return np.hstack(parts)

    whole = draw([60])
    assert not np.array_equal(whole[0], whole[1])
    for cuts in ([1] * 60, [7, 1, 8, 8, 3, 33], [16, 44], [59, 1]):
        np.testing.assert_array_equal(draw(cuts), whole)


def test_the_alias_table_holds_its_weights_to_rounding():
    rng = np.random.default_rng(2)
    for weights in (rng.random(1000), rng.random(37) ** 20, np.ones(8), np.array([0.0, 3.0])):
        table = alias.AliasTable.of(weights)
        n = len(weights)
        threshold = (table.columns >> np.uint64(32)).astype(float) * 2.0**-32
        threshold += table.rest * 2.0**-64
        share = threshold.copy()
        np.add.at(share, (table.columns & np.uint64(2**32 - 1)).astype(int), 1 - threshold)
        np.testing.assert_allclose(share / n, weights / weights.sum(), atol=4e-16)


def test_a_tie_of_32_bits_is_decided_by_the_others():
    # two columns: the fraction is the low 63 bits of the word, shifted; the threshold of
    # column 0 ends in its low half, so that words around it tie in the high half
    columns = np.array([(5 << 32) | 1, (2**32 - 1) << 32 | 1], np.uint64)
    rest = np.array([1 << 31, 2**32 - 1], np.uint32)
    from spinnet.compiling import compiled
    from spinnet.simd.vectors import load, store

    @compiled()
    def columns_of(words, out):
        store(out, 0, alias.drawn(load(words, 0, 8), 2, 0, columns_, rest_))

    columns_, rest_ = columns, rest
    edge = (5 << 31) + (1 << 30)  # times 2: threshold 5 2^32 + 2^31
    words = np.array([0, edge - 1, edge, edge + 1, 5 << 31, 6 << 31, 2**63, 2**64 - 1], np.uint64)
    out = np.empty(8, np.int64)
    columns_of(words, out)
    assert out.tolist() == [0, 0, 1, 1, 0, 1, 1, 1]


# --- configurations ---------------------------------------------------------------------------


def subset_stream(seed):
    return np.random.SeedSequence(seed).generate_state(subsets.SUBSET_WORDS, np.uint64)


@pytest.mark.statistical
@pytest.mark.parametrize("case", [(1, 0), (1, 1), (6, 2), (6, 3), (7, 5), (130, 1), (130, 129)])
def test_subsets_of_a_given_size_are_uniform(case, seed):
    n, k = case
    size = 200_000
    spins = np.empty((size, n), np.int8)
    none = np.empty((0, subsets.padded_words(n)), np.uint64)
    subsets.random_subsets(np.full(size, k), n, subset_stream(seed), spins, none)
    assert ((spins == 1) | (spins == -1)).all()
    assert ((spins == 1).sum(axis=1) == k).all()
    if n < 10:
        index = (spins == 1) @ (1 << np.arange(n))
        states = [s for s in range(1 << n) if bin(s).count("1") == k]
        counts = np.bincount(index, minlength=1 << n)[states]
    else:
        counts = (spins == (1 if k == 1 else -1)).sum(axis=0)
    assert chi_square(counts, np.full(len(counts), 1 / len(counts))) > ALARM


@pytest.mark.statistical
@pytest.mark.parametrize(("q", "digits"), [(1, 1), (3, 3), (5, 6), (12, 5)])
def test_independent_bits_have_their_probability(q, digits, seed):
    words = np.empty(subsets.padded_words(100_000), np.uint64)
    state = subset_stream(seed)[: subsets.STATE_WORDS]
    count = subsets._independent_bits(words, state, 100_000, q, digits)
    assert count == np.unpackbits(words.view(np.uint8)).sum()
    p = q / 2**digits
    assert abs(count - 1e5 * p) < 5 * math.sqrt(1e5 * p * (1 - p))


@pytest.mark.statistical
def test_one_of_few_ones_is_taken_away_at_random(seed):
    places = [0, 63, 64, 700, 1535]
    start = np.zeros(24, np.uint64)
    for place in places:
        start[place >> 6] |= np.uint64(1) << np.uint64(place & 63)
    state = subset_stream(seed)[:4]
    counts = np.zeros(5)
    for _ in range(20_000):
        words = start.copy()
        subsets._take_away(words, state, 5)
        up = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
        gone = [k for k, place in enumerate(places) if place not in up]
        assert len(gone) == 1
        assert len(up) == 4
        counts[gone] += 1
    assert chi_square(counts, np.full(5, 0.2)) > ALARM
    # many ones at once, in a set of which they are found by counting
    spins = np.empty((300, 20_000), np.int8)
    none = np.empty((0, subsets.padded_words(20_000)), np.uint64)
    subsets.random_subsets(np.full(300, 300), 20_000, subset_stream(seed), spins, none)
    assert ((spins == 1).sum(axis=1) == 300).all()
    counts = (spins == 1).reshape(300, 20, 1000).sum(axis=(0, 2))
    assert chi_square(counts, np.full(20, 0.05)) > ALARM


@pytest.mark.statistical
@pytest.mark.parametrize("k", [0, 9, 120, 350, 500, 633, 777, 995])
def test_larger_subsets_have_the_correlations_of_uniform_ones(k, seed):
    n, size = 1000, 4000
    spins = np.empty((size, n), np.int8)
    none = np.empty((0, subsets.padded_words(n)), np.uint64)
    subsets.random_subsets(np.full(size, k), n, subset_stream(seed), spins, none)
    up = spins == 1
    assert (up.sum(axis=1) == k).all()
    p = k / n
    if not 0 < k < n:
        return
    counts = up.sum(axis=0)
    # counts of sites: variance size p (1 - p), negatively correlated by 1/(n - 1)
    chi2 = np.sum((counts - size * p) ** 2) / (size * p * (1 - p)) * (n - 1) / n
    assert stats.chi2.sf(chi2, n - 1) > ALARM
    assert stats.chi2.cdf(chi2, n - 1) > ALARM
    # ones in the first half: hypergeometric, whatever word or lane a place is in
    for part in (up[:, : n // 2], up[:, ::2], up[:, :64], up[:, 960:]):
        seen = np.bincount(part.sum(axis=1), minlength=part.shape[1] + 1)
        law = stats.hypergeom(n, k, part.shape[1]).pmf(np.arange(len(seen)))
        assert chi_square(seen, law) > ALARM
    # neighbours both up
    pairs = (up[:, 1:] & up[:, :-1]).sum(axis=1)
    mean = (n - 1) * k * (k - 1) / (n * (n - 1))
    assert abs(pairs.mean() - mean) < 5 * pairs.std() / math.sqrt(size)


@pytest.mark.statistical
def test_configurations_follow_the_boltzmann_distribution(seed):
    model = sn.CurieWeiss(6, J=0.9, h=-0.2)
    spins = iid_curie_weiss_spins(6, 0.8, 300_000, J=0.9, h=-0.2, rng=seed)
    states = np.where((np.arange(64)[:, None] >> np.arange(6)) & 1, 1, -1)
    p = np.exp(-0.8 * model.energy(states))
    counts = np.bincount((spins == 1) @ (1 << np.arange(6)), minlength=64)
    assert chi_square(counts, p / p.sum()) > ALARM


@pytest.mark.parametrize("n", [1, 8, 63, 64, 65, 511, 512, 513, 1000])
def test_packed_configurations_are_the_same_ones(n):
    m = sn.iid_curie_weiss(n, 0.9, 50, h=0.1, rng=5)
    spins = iid_curie_weiss_spins(n, 0.9, 50, h=0.1, rng=5)
    assert spins.dtype == np.int8
    np.testing.assert_array_equal(spins.mean(axis=1), m)
    bits = iid_curie_weiss_spins(n, 0.9, 50, h=0.1, rng=5, packed=True)
    np.testing.assert_array_equal(bits, np.packbits(spins > 0, axis=1, bitorder="little"))


def test_streams_and_refusals():
    generator = np.random.default_rng(1)
    first, second = (sn.iid_curie_weiss(100, 1.0, 20, rng=generator) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(*(sn.iid_curie_weiss(9, 1.0, 20, rng=3) for _ in range(2)))
    assert iid_curie_weiss_spins(5, 1.0, 0, rng=1).shape == (0, 5)
    for bad, name in [
        ((0, 1.0, 1), "n_spins"),
        ((4, -1.0, 1), "beta"),
        ((4, 1.0, -1), "n_samples"),
    ]:
        for function in (sn.iid_curie_weiss, iid_curie_weiss_spins):
            with pytest.raises(InputError, match=name):
                function(*bad)
    with pytest.raises(InputError, match="lower n_samples"):
        iid_curie_weiss_spins(10_000_000, 1.0, 10_000_000)
