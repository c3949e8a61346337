"""Arguments are refused before any work, by messages that name argument, value and rule."""

from __future__ import annotations

import numpy as np
import pytest

from spinnet import errors, validation
from spinnet.errors import InputError


def test_every_error_is_a_spinnet_error_and_its_standard_kind():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.ConvergenceError, RuntimeError)
    assert issubclass(errors.StatisticsError, ValueError)
    assert issubclass(errors.CheckpointError, OSError)
    assert issubclass(errors.MissingDependencyError, ImportError)
    for name in (
        "InputError",
        "ConvergenceError",
        "StatisticsError",
        "CheckpointError",
        "MissingDependencyError",
    ):
        assert issubclass(getattr(errors, name), errors.SpinnetError)
    assert issubclass(errors.SpinnetWarning, UserWarning)


def test_errors_carry_what_was_computed():
    assert errors.ConvergenceError("stopped", solution=[1]).solution == [1]
    assert errors.StatisticsError("short", estimate=2).estimate == 2
    assert errors.ConvergenceError("stopped").solution is None


def test_a_near_name_is_suggested_and_a_far_one_is_not():
    assert errors.did_you_mean("absm", ["abs_m", "m2"]) == "; did you mean 'abs_m'?"
    assert errors.did_you_mean("xyz", ["abs_m", "m2"]) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1.0, np.nan], r"x must be finite, got 1 NaN or infinite.*index \(1,\): nan"),
        (np.inf, r"x must be finite.*: inf"),
        (None, "x must be finite"),
        ([1j], "x must be real numbers, got dtype complex"),
        ("0.5", "x must be real numbers"),
        (["a", "b"], "x must be real numbers"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "x must be real numbers"),
        ([[1, 2], [3]], "x must be an array of real numbers"),
        (object(), "x must be an array of real numbers"),
        ({"a": 1}, "x must be an array of real numbers"),
    ],
)
def test_what_is_not_an_array_of_finite_reals_is_refused(value, words):
    with pytest.raises(InputError, match=words):
        validation.finite_array("x", value)


def test_arrays_come_back_as_float64_copies():
    source = np.arange(3.0)
    result = validation.finite_array("x", source)
    result[0] = 7
    assert source[0] == 0
    assert validation.finite_array("x", [True, False]).dtype == np.float64
    assert validation.finite_array("x", np.float32(0.5)).shape == ()
    assert validation.finite_array("x", []).size == 0


def test_wrong_dimensions_and_signs_name_the_place():
    with pytest.raises(InputError, match=r"W must have 2 dimension\(s\), got shape \(3,\)"):
        validation.finite_array("W", [1, 2, 3], ndim=2)
    with pytest.raises(InputError, match=r"beta must be > 0, got -0.4 at index \(1,\)"):
        validation.positive_array("beta", [1, -0.4])
    with pytest.raises(InputError, match=r"beta must be > 0, got 0\.0"):
        validation.positive_array("beta", 0.0)
    assert validation.positive_array("beta", 0.0, zero=True) == 0
    with pytest.raises(InputError, match="norm must be a single number"):
        validation.positive_float("norm", [1.0, 2.0])


def test_temperatures_are_finite_not_negative_and_not_empty():
    assert validation.inverse_temperatures([0, 1e6]).tolist() == [0.0, 1e6]
    for value, words in [
        ([], "at least one value"),
        (-1, "must be >= 0, got -1.0"),
        (np.inf, "must be finite"),
        (np.nan, "must be finite"),
        (1e300, r"within \+-1e\+40, got 1e\+300"),
    ]:
        with pytest.raises(InputError, match=words):
            validation.inverse_temperatures(value)


def test_numbers_whose_energies_would_overflow_are_refused():
    with pytest.raises(InputError, match=r"J must be within \+-1e\+40, got 1e\+300"):
        validation.bounded_array("J", [[0, -1e300]])
    with pytest.raises(InputError, match="J must be within"):
        validation.bounded_float("J", 1e41)
    assert validation.bounded_float("J", -1e40) == -1e40


@pytest.mark.parametrize("value", [5, 5.0, np.int8(5), np.float64(5), np.array(5)], ids=repr)
def test_whole_numbers_of_any_kind_are_integers(value):
    result = validation.integer("n", value, minimum=1, maximum=9)
    assert result == 5
    assert type(result) is int


@pytest.mark.parametrize("value", [0, 10, 2.5, True, "5", None, [5], np.nan, np.inf, 5 + 0j])
def test_what_is_no_allowed_integer_is_refused(value):
    with pytest.raises(InputError, match="n must be an integer >= 1 and <= 9, got"):
        validation.integer("n", value, minimum=1, maximum=9)


def test_a_choice_names_the_options_and_the_nearest():
    assert validation.choice("kind", "full", ("full", "half")) == "full"
    with pytest.raises(InputError, match="one of 'full', 'half', got 'ful'; did you mean 'full'"):
        validation.choice("kind", "ful", ("full", "half"))
    for value in (None, 3, ["full"]):
        with pytest.raises(InputError, match="kind must be one of"):
            validation.choice("kind", value, ("full", "half"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False]), "must not hold masked values"),
        (np.array(["1.5", 2], dtype=object), "must be real numbers, got '1.5'"),
        ([10**400], "must be an array of real numbers"),
    ],
)
def test_values_that_numpy_would_reinterpret_are_refused(value, words):
    with pytest.raises(InputError, match=words):
        validation.finite_array("x", value)


def test_a_masked_array_without_a_mask_is_an_array():
    array = np.ma.masked_array([1.0, 2.0])
    assert validation.finite_array("x", array).tolist() == [1.0, 2.0]
