"""Counting of packed patterns, against a dictionary of tuples."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinnet.errors import InputError
from spinnet.networks import patterns

boolean_matrices = st.tuples(st.integers(1, 60), st.integers(1, 150)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.booleans())
)


@settings(deadline=None)  # the first call loads compiled code
@given(boolean_matrices)
def test_counts_equal_those_of_a_dictionary(bits):
    packed = np.packbits(bits, axis=1)
    expected = Counter(map(tuple, bits.tolist()))
    assert patterns.pattern_counts(packed).tolist() == sorted(expected.values(), reverse=True)
    unique, counts = patterns.unique_patterns(packed)
    found = {
        tuple(np.unpackbits(row, count=bits.shape[1]).astype(bool).tolist()): int(count)
        for row, count in zip(unique, counts, strict=True)
    }
    assert found == dict(expected)


@pytest.mark.parametrize("n_units", [8, 12, 64, 65, 500])
def test_counts_are_exact_on_many_rows(n_units):
    rng = np.random.default_rng(n_units)
    pool = rng.random((40, n_units)) < 0.5
    pool[1] = pool[0]
    pool[1, -1] ^= True  # differs in the last bit only
    bits = pool[rng.integers(0, 40, 5000)]
    expected = sorted(Counter(map(bytes, bits)).values(), reverse=True)
    assert patterns.pattern_counts(np.packbits(bits, axis=1)).tolist() == expected


def test_patterns_of_equal_count_come_in_order_of_occurrence():
    unique, counts = patterns.unique_patterns(np.array([[9], [3], [7], [7]], dtype=np.uint8))
    assert unique[:, 0].tolist() == [7, 9, 3]
    assert counts.tolist() == [2, 1, 1]


def test_coverage_is_one_minus_the_share_of_singletons():
    assert patterns.coverage([5, 3, 1, 1]) == 0.8
    assert patterns.coverage([1] * 7) == 0.0
    assert patterns.coverage([7]) == 1.0


def test_resolution_and_relevance_of_simple_counts():
    # eight inputs: two patterns seen thrice, two seen once
    counts = [3, 3, 1, 1]
    h_s = -2 * (3 / 8) * math.log(3 / 8) - 2 * (1 / 8) * math.log(1 / 8)
    h_k = -(6 / 8) * math.log(6 / 8) - (2 / 8) * math.log(2 / 8)
    assert patterns.resolution(counts) == pytest.approx(h_s, rel=1e-14)
    assert patterns.relevance(counts) == pytest.approx(h_k, rel=1e-14)


def test_relevance_vanishes_where_all_patterns_are_distinct():
    assert patterns.relevance([1] * 1000) == 0
    assert patterns.resolution([1] * 1000) == pytest.approx(math.log(1000), rel=1e-13)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_relevance_never_exceeds_resolution(counts):
    # the frequency is a function of the pattern, so its entropy cannot be larger
    assert patterns.relevance(counts) <= patterns.resolution(counts) + 1e-12


@given(n=st.integers(2_000, 3_000_000), n_units=st.integers(20, 1000))
def test_subset_size_lies_between_a_tenth_and_all_of_the_inputs(n, n_units):
    k = patterns.subset_size(n, n_units)
    assert 10 <= k <= 20
    assert n / 10 <= 2**k <= n


@pytest.mark.parametrize(
    ("n_inputs", "n_units", "expected"),
    [(10_000, 500, 12), (60_000, 500, 14), (100, 500, 10), (10**9, 500, 20), (10_000, 3, 3)],
)
def test_subset_size_keeps_its_bounds(n_inputs, n_units, expected):
    assert patterns.subset_size(n_inputs, n_units) == expected


def test_random_subsets_are_sorted_distinct_nodes_and_repeatable():
    units = np.arange(100, 150)
    subsets = patterns.random_subsets(units, 12, 5, rng=3)
    assert len({tuple(s) for s in subsets}) == 5
    for subset in subsets:
        assert len(np.unique(subset)) == 12
        assert np.isin(subset, units).all()
        assert (np.diff(subset) > 0).all()
    again = patterns.random_subsets(units, 12, 5, rng=3)
    assert all(np.array_equal(a, b) for a, b in zip(subsets, again, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patterns.pattern_counts(np.ones((3, 4))), "packed patterns"),
        (lambda: patterns.pattern_counts(np.ones(3, np.uint8)), "packed patterns"),
        (lambda: patterns.pattern_counts(np.ones((0, 2), np.uint8)), "packed patterns"),
        (lambda: patterns.coverage([]), "non-empty"),
        (lambda: patterns.coverage([2, 0]), "integers >= 1"),
        (lambda: patterns.coverage([2.5]), "integers >= 1"),
        (lambda: patterns.subset_size(0, 5), "n_inputs"),
        (lambda: patterns.random_subsets([1, 2], 3, 1), "size must be"),
        (lambda: patterns.random_subsets([1.5, 2.5], 1, 1), r"units must be .* got \[1.5"),
        (lambda: patterns.random_subsets([1, 1], 1, 1), "units must be different"),
        (lambda: patterns.random_subsets([[1, 2]], 1, 1), "units must be"),
        (lambda: patterns.random_subsets([-1, 2], 1, 1), "units must be"),
    ],
    ids=[str(k) for k in range(12)],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
