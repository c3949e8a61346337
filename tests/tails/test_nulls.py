"""Null models that keep rates, and the test of a statistic against a null model."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from spinnet.errors import InputError
from spinnet.tails import nulls

Bools = NDArray[np.bool_]


def raster(n_inputs: int, n_units: int, seed: int = 1) -> Bools:
    rng = np.random.default_rng(seed)
    common = rng.random((n_inputs, 1)) < 0.4
    return np.asarray((rng.random((n_inputs, n_units)) < rng.random(n_units)) ^ common)


@pytest.mark.parametrize(("n_inputs", "n_units"), [(2, 2), (97, 8), (500, 13), (64, 100)])
def test_shuffles_keep_every_rate_exactly(n_inputs, n_units):
    data = raster(n_inputs, n_units)
    data[:, 0], data[:, 1] = True, False  # units always and never active
    drawn = nulls.shuffle_units(data).sample(rng=3)
    assert drawn.dtype == np.bool_
    assert drawn.shape == data.shape
    assert np.array_equal(drawn.sum(axis=0), data.sum(axis=0))


@pytest.mark.parametrize("make", [nulls.shuffle_units, nulls.independent])
def test_packed_data_give_the_same_samples_packed(make):
    data = raster(200, 21)
    packed = np.packbits(data, axis=1)
    plain, null = make(data), make(packed, 21)
    drawn = null.sample(rng=5)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn, np.packbits(plain.sample(rng=5), axis=1))
    assert null.sample_shape == packed.shape


@pytest.mark.parametrize("make", [nulls.shuffle_units, nulls.independent])
def test_a_seed_fixes_every_bit(make):
    null = make(raster(300, 30))
    assert np.array_equal(null.sample(rng=7), null.sample(rng=7))
    assert not np.array_equal(null.sample(rng=7), null.sample(rng=8))


@pytest.mark.statistical
def test_shuffles_are_equally_likely():
    # 2 of 4 inputs and 1 of 4: 24 rasters.  One chi-square at a false-alarm rate of 1e-6.
    data = np.array([[1, 0], [1, 0], [0, 1], [0, 0]])
    null = nulls.shuffle_units(data)
    seeds = np.random.SeedSequence(11).spawn(6000)
    codes = [int("".join(map(str, null.sample(rng=s).astype(int).ravel())), 2) for s in seeds]
    _, counts = np.unique(codes, return_counts=True)
    assert counts.size == 24
    assert ((counts - 250) ** 2 / 250).sum() < chi2.isf(1e-6, 23)


@pytest.mark.statistical
def test_independent_samples_have_the_rates_and_no_covariance():
    # 12 rates and 66 covariances at 5 standard errors: false-alarm rate below 5e-5
    null = nulls.independent(raster(1000, 12))
    drawn = null.sample(40_000, rng=2).astype(float)
    variance = null.rates * (1 - null.rates)
    assert (np.abs(drawn.mean(axis=0) - null.rates) < 5 * np.sqrt(variance / 40_000)).all()
    centred = drawn - null.rates
    pair = np.triu_indices(12, 1)
    covariance = (centred.T @ centred / 40_000)[pair]
    assert (np.abs(covariance) < 5 * np.sqrt(np.outer(variance, variance)[pair] / 40_000)).all()


@pytest.mark.statistical
def test_independent_samples_have_binomial_counts():
    # 8 x 500 counts: the chi-square of their spread, at a false-alarm rate of 2e-6
    null = nulls.independent(raster(200, 8))
    random = np.random.default_rng(4)
    counts = np.array([null.sample(rng=random).sum(axis=0) for _ in range(500)])
    z = (counts - 200 * null.rates) / np.sqrt(200 * null.rates * (1 - null.rates))
    assert chi2.ppf(1e-6, z.size) < (z**2).sum() < chi2.isf(1e-6, z.size)


def test_independent_probabilities_are_those_of_the_product():
    data = raster(50, 6)
    data[:, 2] = True
    null = nulls.independent(data)
    patterns = np.array(list(itertools.product([0, 1], repeat=6)))
    rates = data.mean(axis=0)
    expected = np.prod(np.where(patterns == 1, rates, 1 - rates), axis=1)
    # rounding of a product of six factors
    np.testing.assert_allclose(np.exp(null.log_probability(patterns)), expected, atol=1e-15)
    assert np.isneginf(null.log_probability(patterns)[patterns[:, 2] == 0]).all()
    kept = expected[expected > 0]
    assert null.entropy == pytest.approx(-(kept * np.log(kept)).sum(), rel=1e-13)


def test_log_probability_takes_packed_patterns_of_a_packed_model():
    data = raster(60, 11)
    packed = np.packbits(data, axis=1)
    plain = nulls.independent(data).log_probability(data)
    assert np.array_equal(nulls.independent(packed, 11).log_probability(packed), plain)


def test_a_shuffle_draws_only_the_number_of_inputs_of_the_data():
    with pytest.raises(InputError, match="n_inputs must be 20, that of the data, got 21"):
        nulls.shuffle_units(raster(20, 3)).sample(21)
    assert nulls.independent(raster(20, 3)).sample(7, rng=1).shape == (7, 3)


@pytest.mark.parametrize(
    ("bad", "n_units", "words"),
    [
        (
            np.array([[0, 1], [2, 1], [3, 0]]),
            None,
            r"2 other value\(s\), the first at index \(1, 0\): 2",
        ),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), None, r"the first at index \(1, 0\): nan"),
        (np.array([[0.5, 1.0], [0.0, 1.0]]), None, "threshold real values"),
        (np.zeros((0, 3), bool), None, r"must not be empty, got shape \(0, 3\)"),
        (np.zeros((3, 0), bool), None, "must not be empty"),
        (np.zeros((1, 3), bool), None, r"at least 2 inputs \(rows\), got 1"),
        (np.zeros((3, 1), bool), None, r"at least 2 units \(columns\), got 1"),
        (np.zeros(5, bool), None, r"1 dimension\(s\)"),
        ([[1, 0], [1]], None, "rows of equal length"),
        (np.array([["a", "b"], ["c", "d"]]), None, "0 and 1, got dtype"),
        (np.ma.array([[0, 1], [1, 0]], mask=[[1, 0], [0, 0]]), None, "masked"),
        (np.zeros((3, 2), bool), 9, "must be packed: uint8"),
        (np.zeros((3, 2), np.uint8), 20, r"shape \(n_inputs, 3\)"),
        (np.full((3, 2), 1, np.uint8), 9, r"bits set beyond n_units=9 in 3 row\(s\)"),
        (np.zeros((3, 2), np.uint8), 0, "n_units must be an integer >= 1"),
        (np.zeros((3, 2), np.uint8), True, "n_units must be an integer >= 1"),
    ],
)
def test_bad_rasters_are_named(bad, n_units, words):
    for make in (nulls.shuffle_units, nulls.independent):
        with pytest.raises(InputError, match=words):
            make(bad, n_units)


def test_patterns_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"patterns must have 3 units \(columns\), got 4"):
        nulls.independent(raster(9, 3)).log_probability(np.zeros((2, 4)))


def test_rank_p_values_follow_the_rule():
    class Fixed:
        name = "fixed"
        sample_shape = (4, 2)

        def sample(self, n_inputs=None, *, rng=None):
            return next(values)

    data = np.zeros((4, 2))
    # two surrogates equal 2, one of them but for rounding
    for observed, greater, less in [(2.0, 5, 4), (0.0, 6, 1), (9.0, 1, 6), (2.5, 3, 4)]:
        values = iter([1.0, 2.0, 3.0, 2.0 * (1 + 1e-15), 4.0])
        test = nulls.compare_with_null(
            lambda x, v=observed: v if isinstance(x, np.ndarray) else x,
            data,
            Fixed(),
            n_surrogates=5,
        )
        assert test.p_greater == greater / 6
        assert test.p_less == less / 6
        assert test.p_two_sided == min(1.0, 2 * min(greater, less) / 6)
        assert test.z_score == pytest.approx((observed - 2.4) / np.std([1, 2, 3, 2, 4], ddof=1))


def _pairs(x: Bools) -> float:
    return float((x.astype(float).T @ x).sum())


def test_a_null_test_can_be_repeated_and_saved():
    data = raster(80, 6)
    null = nulls.shuffle_units(data)
    first = nulls.compare_with_null(_pairs, data, null, n_surrogates=40, rng=4)
    more = nulls.compare_with_null(_pairs, data.astype(int), null, n_surrogates=60, rng=4)
    assert np.array_equal(first.surrogates, more.surrogates[:40])
    record = json.loads(json.dumps(first.to_dict()))
    assert record["kind"] == "null-test"
    assert record["null"] == "shuffle_units"
    assert record["seed"] == {"entropy": "4", "spawn_key": []}
    assert len(record["surrogates"]) == record["n_surrogates"] == 40
    assert f"z = {first.z_score:.2f}" in first.summary()
    # the units share a common cause, so that they are active together
    assert first.p_greater == 1 / 41


def test_equal_surrogates_have_no_z_score():
    data = raster(30, 4)
    test = nulls.compare_with_null(
        lambda x: x.mean(), data, nulls.shuffle_units(data), n_surrogates=20, rng=1
    )
    assert math.isnan(test.z_score)
    assert test.p_value == 1.0
    assert test.to_dict()["z_score"] is None


@pytest.mark.statistical
def test_p_values_are_calibrated_under_the_null():
    # 200 data sets of independent units: the number of p <= 0.1 is at most Binomial(200, 0.1)
    # (ties make it smaller); more than 45 has probability 1e-7.  And they are not all large.
    rng = np.random.default_rng(5)
    p = []
    for seed in range(200):
        data = rng.random((60, 5)) < 0.4
        null = nulls.shuffle_units(data)
        p.append(nulls.compare_with_null(_pairs, data, null, n_surrogates=59, rng=seed).p_value)
    assert 2 <= (np.array(p) <= 0.1).sum() <= 45


def test_a_bad_statistic_or_null_is_named():
    data = raster(30, 4)
    null = nulls.shuffle_units(data)
    with pytest.raises(InputError, match="finite number, got nan on the data"):
        nulls.compare_with_null(lambda x: math.nan, data, null)
    with pytest.raises(InputError, match="must return a number"):
        nulls.compare_with_null(lambda x: x, data, null)
    with pytest.raises(InputError, match="must return a number, got '3' on the data"):
        nulls.compare_with_null(lambda x: "3", data, null)
    with pytest.raises(InputError, match="1000000000000000 surrogates would take"):
        nulls.compare_with_null(_pairs, data, null, n_surrogates=10**15)
    with pytest.raises(InputError, match="must be callable"):
        nulls.compare_with_null(3, data, null)
    with pytest.raises(InputError, match=r"of shape \(30, 4\), got shape \(29, 4\)"):
        nulls.compare_with_null(_pairs, data[1:], null)
    with pytest.raises(InputError, match="n_surrogates must be an integer >= 2"):
        nulls.compare_with_null(_pairs, data, null, n_surrogates=1)
    with pytest.raises(InputError, match="data must hold only 0 and 1"):
        nulls.compare_with_null(_pairs, data + 1.5, null)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[1, 0], [1]], "data must have rows of equal length"),
        (np.ma.array(np.eye(4), mask=np.eye(4)), "data must not hold masked values, got 4"),
        (np.eye(4).astype(complex), "data must hold 0 and 1, got dtype complex128"),
        (np.eye(4).astype(object), "data must hold 0 and 1, got dtype object"),
        (2 * np.eye(4), r"data must hold only 0 and 1, got 4 other value\(s\), the first at index"),
    ],
)
def test_data_that_the_null_model_cannot_be_made_from_are_named(data, words):
    with pytest.raises(InputError, match=words):
        nulls.compare_with_null(_pairs, data, nulls.shuffle_units(np.eye(4)), n_surrogates=3)


def test_data_of_other_kinds_of_null_model_are_checked_too():
    data = raster(30, 9)
    packed = np.packbits(data, axis=1)
    with pytest.raises(InputError, match="must be packed: uint8"):
        nulls.compare_with_null(np.sum, packed.astype(int), nulls.shuffle_units(packed, 9))
    inputs = nulls.gaussian_surrogate(np.eye(3))
    with pytest.raises(InputError, match="data must be finite, got 3 NaN"):
        nulls.compare_with_null(np.nansum, np.diag([np.nan] * 3), inputs)
    for other in (None, data):
        with pytest.raises(InputError, match="null must be a null model"):
            nulls.compare_with_null(_pairs, data, other)


def test_a_statistic_sees_the_form_of_the_samples_and_may_overwrite_it():
    data = raster(30, 4)
    before = data.copy()
    kinds = []

    def sorting(x):
        kinds.append(x.dtype)
        x.sort(axis=0)
        return 0.0

    nulls.compare_with_null(sorting, data, nulls.shuffle_units(data), n_surrogates=2)
    assert np.array_equal(data, before)
    whole = np.arange(12).reshape(3, 4)
    nulls.compare_with_null(sorting, whole, nulls.gaussian_surrogate(whole), n_surrogates=2)
    assert kinds == [np.bool_] * 3 + [np.float64] * 3
    packed = np.packbits(data, axis=1)
    nulls.compare_with_null(sorting, packed, nulls.shuffle_units(packed, 4), n_surrogates=2)
    assert np.array_equal(packed, np.packbits(before, axis=1))


def test_a_large_statistic_has_the_z_score_of_a_small_one():
    data = raster(50, 5)
    null = nulls.shuffle_units(data)
    one, large = (
        nulls.compare_with_null(lambda x, f=f: f * _pairs(x), data, null, n_surrogates=20, rng=1)
        for f in (1.0, 1e250)  # the squares overflow
    )
    assert large.z_score == pytest.approx(one.z_score, rel=1e-12)
    assert "inf" not in large.summary()


def test_a_statistic_that_varies_by_rounding_only_is_drawn():
    # as a sum in two orders does: NumPy cannot make bins of such a width
    values = itertools.cycle([0.3777777777, 0.37777777770000006])
    data = raster(30, 4)
    test = nulls.compare_with_null(
        lambda x: next(values), data, nulls.shuffle_units(data), n_surrogates=20
    )
    assert math.isnan(test.z_score)
    from matplotlib.figure import Figure

    ax = test.plot(Figure().subplots())
    assert [bar.get_height() for bar in ax.patches] == [20]
    low, high = ax.get_xlim()
    assert high - low < 0.2 * test.observed


def test_the_picture_shows_the_observed_value():
    data = raster(40, 4)
    test = nulls.compare_with_null(_pairs, data, nulls.shuffle_units(data), n_surrogates=30, rng=2)
    from matplotlib.figure import Figure

    ax = test.plot(Figure().subplots())
    assert ax.lines[0].get_xdata()[0] == test.observed
    assert sum(bar.get_height() for bar in ax.patches) == 30
    assert ax.get_xlabel()


def test_models_describe_themselves():
    null = nulls.independent(raster(40, 4))
    record = json.loads(json.dumps(null.to_dict()))
    assert record["name"] == "independent"
    assert record["entropy"] == null.entropy
    assert "4 units, 40 inputs" in null.summary()
