"""Null models that keep both margins of a raster: the swap chain and its maximum-entropy cousin."""

from __future__ import annotations

import itertools
import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import comb
from scipy.stats import chi2

from spinnet.errors import InputError, SpinnetWarning
from spinnet.tails import nulls

Floats = NDArray[np.float64]


def raster(n_inputs: int, n_units: int, seed: int = 1) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    common = rng.random((n_inputs, 1))
    return np.asarray(rng.random((n_inputs, n_units)) < rng.random(n_units) * 2 * common)


def all_patterns(n: int) -> NDArray[np.int64]:
    return np.array(list(itertools.product([0, 1], repeat=n)))


def entropy(p: Floats) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


@pytest.mark.parametrize(("n_inputs", "n_units"), [(4, 12), (3, 3), (50, 9), (41, 64), (30, 130)])
def test_swaps_keep_both_margins_exactly(n_inputs, n_units):
    data = raster(n_inputs, n_units)
    null = nulls.raster_marginals(data)
    drawn = null.sample(rng=3)
    assert np.array_equal(drawn.sum(axis=0), data.sum(axis=0))
    assert np.array_equal(drawn.sum(axis=1), data.sum(axis=1))
    assert np.array_equal(drawn, null.sample(rng=3))
    packed = nulls.raster_marginals(np.packbits(data, axis=1), n_units)
    assert np.array_equal(packed.sample(rng=3), np.packbits(drawn, axis=1))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 20))), st.integers(0, 2**32))
def test_any_raster_keeps_what_its_nulls_promise(data, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)  # rasters alone with their margins
        swapped = nulls.raster_marginals(data, n_sweeps=4).sample(rng=seed)
    assert np.array_equal(swapped.sum(axis=0), data.sum(axis=0))
    assert np.array_equal(swapped.sum(axis=1), data.sum(axis=1))
    shuffled = nulls.shuffle_units(data).sample(rng=seed)
    assert np.array_equal(shuffled.sum(axis=0), data.sum(axis=0))
    both = nulls.raster_marginals(data, method="maxent")
    assert both.moment_error < 1e-9
    assert np.isfinite(both.log_probability(data)).all()
    assert -1e-9 < both.entropy <= nulls.independent(data).entropy + 1e-9


def test_the_order_of_inputs_and_of_units_does_not_matter():
    data = raster(200, 12)
    null = nulls.raster_marginals(data, method="maxent")
    order = np.random.default_rng(2).permutation(12)
    moved = nulls.raster_marginals(data[::-1, order], method="maxent")
    np.testing.assert_allclose(moved.rates, null.rates[order], atol=3e-12)
    np.testing.assert_allclose(
        moved.log_probability(data[:, order]), null.log_probability(data), atol=1e-8
    )


@pytest.mark.statistical
@pytest.mark.parametrize(
    "data",
    [
        [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]],
        [[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1], [0, 1, 0, 0], [1, 0, 0, 1]],  # one row rests
        [[1, 0, 1, 0, 1, 1], [0, 1, 0, 1, 0, 0]],
    ],
)
def test_every_raster_of_the_same_margins_is_equally_likely(data):
    # brute-force enumeration, and a chi-square at a false-alarm rate of 1e-6 each
    data = np.array(data)
    rows = [
        [r for r in itertools.product([0, 1], repeat=data.shape[1]) if sum(r) == k]
        for k in data.sum(axis=1)
    ]
    columns = data.sum(axis=0)
    members = {m for m in itertools.product(*rows) if np.array_equal(np.sum(m, axis=0), columns)}
    assert len(members) > 5
    null = nulls.raster_marginals(data)
    draws = 40 * len(members)
    found: dict[object, int] = dict.fromkeys(members, 0)
    for seed in np.random.SeedSequence(2).spawn(draws):
        found[tuple(map(tuple, null.sample(rng=seed).astype(int).tolist()))] += 1
    assert len(found) == len(members)
    statistic = sum((count - 40) ** 2 / 40 for count in found.values())
    assert statistic < chi2.isf(1e-6, len(members) - 1)
    # as many degrees of freedom: too even a spread would mean draws that are not independent
    assert statistic > chi2.ppf(1e-6, len(members) - 1)


def test_a_raster_alone_with_its_margins_is_told():
    nested = np.tril(np.ones((6, 4), bool))
    with pytest.warns(SpinnetWarning, match="every sample is the data"):
        null = nulls.raster_marginals(nested)
    assert null.unique
    assert np.array_equal(null.sample(rng=1), nested)
    assert not nulls.raster_marginals(np.eye(3, dtype=bool)).unique


def test_the_mixing_check_sees_too_few_sweeps():
    # half of the columns ordered up, half down: far from a typical raster
    data = np.sort(raster(4000, 40), axis=0)
    data[:, ::2] = data[::-1, ::2]
    with pytest.warns(SpinnetWarning, match="raise n_sweeps"):
        short = nulls.raster_marginals(data, n_sweeps=8)
    assert not short.mixing.mixed
    assert short.mixing.memory > 0.01
    null = nulls.raster_marginals(data)
    assert null.mixing.mixed
    assert null.mixing.distances.size == null.mixing.n_sweeps
    assert null.mixing.distances[0] < 0.8 * null.mixing.plateau
    # chains far longer have the same distance: 5 % is ten times the noise of this raster's
    longer = nulls.raster_marginals(data, n_sweeps=8 * null.mixing.n_sweeps)
    assert null.mixing.plateau == pytest.approx(longer.mixing.plateau, rel=0.05)


def test_swaps_draw_only_the_number_of_inputs_of_the_data():
    with pytest.raises(InputError, match="n_inputs must be 20"):
        nulls.raster_marginals(raster(20, 4)).sample(19)
    with pytest.raises(InputError, match="did you mean 'swap'"):
        nulls.raster_marginals(raster(20, 4), method="swaps")
    with pytest.raises(InputError, match="n_sweeps must be an integer >= 1"):
        nulls.raster_marginals(raster(20, 4), n_sweeps=0)
    with pytest.raises(InputError, match="n_sweeps is of method 'swap' only, got 5"):
        nulls.raster_marginals(raster(20, 4), method="maxent", n_sweeps=5)
    for method in ("swap", "maxent"):
        with pytest.raises(InputError, match="rng must be None"):
            nulls.raster_marginals(raster(20, 4), method=method, rng="a")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_maximum_entropy_model_has_both_margins_and_the_form(seed):
    data = raster(300, 6, seed)
    null = nulls.raster_marginals(data, method="maxent")
    patterns = all_patterns(6)
    log_p = null.log_probability(patterns)
    p = np.exp(log_p)
    count = patterns.sum(axis=1)
    # rounding, and the tolerance 1e-12 of the rates
    assert p.sum() == pytest.approx(1.0, abs=1e-11)
    np.testing.assert_allclose(p @ patterns, data.mean(axis=0), atol=2e-12)
    observed = np.bincount(data.sum(axis=1), minlength=7) / 300
    np.testing.assert_allclose(np.bincount(count, p), observed, atol=1e-11)
    assert null.moment_error <= 1e-12
    assert null.entropy == pytest.approx(entropy(p), abs=1e-10)
    # ln p is linear in sigma and a function of K: nothing else
    seen = np.isfinite(log_p)
    features = np.column_stack([patterns, count[:, None] == np.arange(7)])[seen].astype(float)
    fitted = features @ np.linalg.lstsq(features, log_p[seen], rcond=None)[0]
    np.testing.assert_allclose(fitted, log_p[seen], atol=1e-9)


def test_no_model_of_the_same_margins_has_more_entropy():
    null = nulls.raster_marginals(raster(500, 5), method="maxent")
    patterns = all_patterns(5)
    p = np.exp(null.log_probability(patterns))
    fixed = np.column_stack([patterns, patterns.sum(axis=1)[:, None] == np.arange(6)]).T
    _, singular, vectors = np.linalg.svd(fixed.astype(float))
    free = vectors[(singular > 1e-12).sum() :]
    assert len(free) == 32 - 10
    for direction in free:
        step = 0.3 * p[p > 0].min() * direction
        step[p == 0] = 0.0
        for sign in (1, -1):
            assert entropy(p + sign * step) < entropy(p) + 1e-12


def test_equal_rates_give_the_exchangeable_model():
    counts = np.array([0, 1, 1, 2, 2, 2, 4, 4])
    data = np.concatenate([np.roll(np.arange(4) < k, s)[None] for k in counts for s in range(4)])
    null = nulls.raster_marginals(data, method="maxent")
    patterns = all_patterns(4)
    share = np.bincount(counts, minlength=5) / 8
    k = patterns.sum(axis=1)
    np.testing.assert_allclose(
        np.exp(null.log_probability(patterns)), share[k] / comb(4, k), atol=1e-13
    )


def test_units_filled_first_are_blocks_of_their_own():
    # units 2 and 0 always come first, unit 5 is never and unit 3 always active
    rng = np.random.default_rng(4)
    data = np.zeros((400, 7), bool)
    data[:, 3] = True
    head = rng.integers(0, 3, 400)
    data[head == 2, :] |= np.array([1, 0, 1, 0, 0, 0, 0], bool)
    data[head == 1, 0] = rng.random((head == 1).sum()) < 0.7
    data[(head == 1) & ~data[:, 0], 2] = True
    tail = rng.random((400, 3)) < [0.2, 0.5, 0.4]
    data[:, [1, 4, 6]] = tail & (head == 2)[:, None]
    null = nulls.raster_marginals(data, method="maxent")
    assert null.n_blocks == 4
    patterns = all_patterns(7)
    p = np.exp(null.log_probability(patterns))
    assert p.sum() == pytest.approx(1.0, abs=1e-11)
    np.testing.assert_allclose(p @ patterns, data.mean(axis=0), atol=2e-12)
    assert null.entropy == pytest.approx(entropy(p), abs=1e-10)
    allowed = patterns[p > 0]
    assert allowed[:, 3].all()
    assert not allowed[:, 5].any()
    assert allowed[allowed[:, [1, 4, 6]].any(axis=1)][:, [0, 2]].all()
    drawn = null.sample(2000, rng=1)
    assert np.isfinite(null.log_probability(drawn)).all()


@pytest.mark.statistical
def test_samples_of_the_maximum_entropy_model_follow_its_probabilities():
    # one chi-square over all patterns of five units, at a false-alarm rate of 1e-6
    null = nulls.raster_marginals(raster(200, 5), method="maxent")
    drawn = null.sample(20_000, rng=6)
    patterns = all_patterns(5)
    expected = 20_000 * np.exp(null.log_probability(patterns))
    found = np.bincount(drawn @ (1 << np.arange(5)[::-1]), minlength=32)
    kept = expected > 0
    assert found[~kept].sum() == 0
    statistic = ((found - expected)[kept] ** 2 / expected[kept]).sum()
    assert statistic < chi2.isf(1e-6, kept.sum() - 1)


def test_many_units_with_extreme_rates_converge():
    rng = np.random.default_rng(8)
    rates = np.exp(rng.uniform(-8, 0, 150))
    data = rng.random((3000, 150)) < rates * rng.uniform(0, 1, (3000, 1))
    null = nulls.raster_marginals(data, method="maxent")
    assert null.moment_error < 1e-11
    np.testing.assert_allclose(null.rates, data.mean(axis=0), atol=1e-11)


def test_rows_that_are_all_on_or_all_off_leave_no_freedom():
    data = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1]])
    null = nulls.raster_marginals(data, method="maxent")
    assert null.entropy == pytest.approx(entropy(np.array([1 / 3, 2 / 3])), rel=1e-12)
    assert np.isneginf(null.log_probability([[1, 0, 0]])).all()


def test_entropy_falls_as_more_is_kept():
    data = raster(2000, 6)
    _, counts = np.unique(data, axis=0, return_counts=True)
    both = nulls.raster_marginals(data, method="maxent").entropy
    assert nulls.independent(data).entropy > both > entropy(counts / 2000)


def test_models_describe_themselves():
    data = raster(60, 5)
    for method in ("swap", "maxent"):
        null = nulls.raster_marginals(data, method=method)
        record = json.loads(json.dumps(null.to_dict()))
        assert record["method"] == method
        assert record["name"] == "raster_marginals"
        assert method in null.summary()
        if method == "swap":
            assert record["seed"] == {"entropy": "0", "spawn_key": []}
    assert not math.isnan(record["entropy"])
