"""Resolution, relevance and their curve over subsets of units."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.information import entropy, relevance, resolution, resolution_relevance

COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=40)


def brute_force(counts):
    """(H[s], H[k]) input by input: each input knows its pattern and how often that was seen."""
    inputs = [(pattern, k) for pattern, k in enumerate(counts) for _ in range(k)]
    M = len(inputs)

    def of(labels):
        return -sum(c / M * math.log(c / M) for c in Counter(labels).values())

    return of([pattern for pattern, _ in inputs]), of([k for _, k in inputs])


@given(counts=COUNTS)
def test_both_are_entropies_over_inputs(counts):
    fine, relevant = brute_force(counts)
    assert resolution(counts) == pytest.approx(fine, rel=1e-12, abs=1e-12)
    assert relevance(counts) == pytest.approx(relevant, rel=1e-12, abs=1e-12)
    assert resolution(counts) == pytest.approx(entropy(counts).value, rel=1e-14, abs=1e-14)
    assert relevance(counts) <= resolution(counts) + 1e-12


def test_the_normalised_forms_divide_by_ln_m():
    counts = [5, 3, 1, 1]
    assert resolution(counts, normalised=True) == resolution(counts) / math.log(10)
    assert relevance(counts, normalised=True) == relevance(counts) / math.log(10)
    assert resolution([1]) == relevance([1]) == 0.0
    with pytest.raises(StatisticsError, match="one input"):
        resolution([1], normalised=True)


@pytest.fixture(scope="module")
def correlated():
    rng = np.random.default_rng(21)
    common = rng.standard_normal((3000, 1))
    return common + rng.standard_normal((3000, 21)) > 0.5


def test_the_curve_counts_the_subsets_it_says(correlated):
    curve = resolution_relevance(correlated, [1, 4, 9, 21], n_subsets=3, rng=5)
    assert curve.sizes.tolist() == [1, 4, 9, 21]
    # all units: no choice of subset
    whole = list(Counter(map(bytes, correlated)).values())
    assert curve.resolution[-1] == pytest.approx(resolution(whole), rel=1e-12)
    assert curve.relevance[-1] == pytest.approx(relevance(whole), rel=1e-12)
    assert curve.n_distinct[-1] == len(whole)
    assert curve.coverage[-1] == pytest.approx(1 - whole.count(1) / 3000, rel=1e-12)
    assert curve.resolution_spread[-1] < 1e-12
    # the subsets, from the seed that the result records
    child = np.random.SeedSequence(int(curve.seed["entropy"]), spawn_key=curve.seed["spawn_key"])
    random = np.random.default_rng(child)
    orders = [random.permutation(21)[:21] for _ in range(3)]
    for k, size in enumerate(curve.sizes):
        made = [list(Counter(map(bytes, correlated[:, order[:size]])).values()) for order in orders]
        fine = [resolution(counts) for counts in made]
        relevant = [relevance(counts) for counts in made]
        assert curve.resolution[k] == pytest.approx(np.mean(fine), rel=1e-12)
        assert curve.relevance[k] == pytest.approx(np.mean(relevant), rel=1e-12)
        assert curve.relevance_spread[k] == pytest.approx(np.std(relevant, ddof=1), abs=1e-12)


def test_packed_rows_give_the_same_curve(correlated, monkeypatch):
    plain = resolution_relevance(correlated, rng=6, n_subsets=2)
    monkeypatch.setattr("spinnet.tails.information.multiscale._CHUNK_BITS", 5000)
    packed = np.packbits(correlated, axis=1)
    again = resolution_relevance(packed, rng=6, n_subsets=2, n_bits=21)
    assert again.to_dict() == plain.to_dict()
    assert plain.sizes[0] == 1
    assert plain.sizes[-1] == 21
    assert (np.diff(plain.resolution) > 0).all()


def test_slope_and_area_of_the_curve(correlated):
    curve = resolution_relevance(correlated, range(1, 22), n_subsets=4, rng=7)
    x = np.concatenate([[0], curve.resolution]) / math.log(3000)
    y = np.concatenate([[0], curve.relevance]) / math.log(3000)
    area = sum((x[k + 1] - x[k]) * (y[k + 1] + y[k]) / 2 for k in range(21))
    assert curve.area == pytest.approx(area, rel=1e-12)
    assert 0 < curve.area < 0.5  # below the diagonal, as H[k] <= H[s]
    slope = -(curve.relevance[5] - curve.relevance[4]) / (curve.resolution[5] - curve.resolution[4])
    assert curve.slope[4] == pytest.approx(slope, rel=1e-12)
    best = int(np.flatnonzero(curve.sizes == curve.zipf_size)[0])
    assert (curve.slope[:best] < 1).all()
    assert curve.undersampled.tolist() == (curve.coverage < 0.9).tolist()


def test_units_that_say_nothing():
    constant = np.zeros((50, 3), bool)
    curve = resolution_relevance(constant, rng=1, n_subsets=1)
    assert curve.resolution.tolist() == [0, 0, 0]
    assert np.isnan(curve.slope).all()
    assert curve.area == 0.0
    assert np.isnan(curve.resolution_spread).all()
    assert json.loads(json.dumps(curve.to_dict()))["slope"] == [None, None]


def test_summary_dictionary_and_plot(correlated):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    curve = resolution_relevance(correlated, rng=8, n_subsets=2)
    assert "3000 inputs, 1 to 21 of 21 units, 2 subset(s) each" in curve.summary()
    assert json.loads(json.dumps(curve.to_dict()))["seed"]["entropy"] == "8"
    ax = curve.plot(Figure().subplots())
    assert "H[s]" in ax.get_xlabel()
    labels = ax.get_legend_handles_labels()[1]
    assert r"$\mu = 1$ (Zipf)" in labels
    assert "coverage < 0.9" in labels
    (line,) = [item for item in ax.lines if item.get_label().startswith("$")]
    x, y = line.get_data()
    assert np.diff(y)[0] == pytest.approx(-np.diff(x)[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resolution([]), StatisticsError, "nothing"),
        (lambda: relevance([2.5]), InputError, "whole numbers"),
        (lambda: resolution_relevance(np.zeros(4, bool)), InputError, r"shape \(4,\)"),
        (lambda: resolution_relevance(np.zeros((4, 2))), InputError, "float64"),
        (lambda: resolution_relevance(np.zeros((1, 4), bool)), StatisticsError, "at least 2"),
        (lambda: resolution_relevance(np.zeros((4, 2), bool), [3]), InputError, "<= 2"),
        (lambda: resolution_relevance(np.zeros((4, 2), bool), [0]), InputError, ">= 1"),
        (lambda: resolution_relevance(np.zeros((4, 2), bool), []), InputError, "sizes"),
        (lambda: resolution_relevance(np.zeros((4, 2), bool), [1.5]), InputError, "sizes"),
        (lambda: resolution_relevance(np.zeros((4, 2), bool), None, 0), InputError, "n_subsets"),
        (lambda: resolution_relevance(np.zeros((4, 2), bool), rng="a"), InputError, "rng"),
    ],
    ids=[str(k) for k in range(11)],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
