"""What is found out about a user's activation: faults, kinks, jumps, second derivatives."""

import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from spinnet.errors import InputError
from spinnet.propagation.activations import ACTIVATIONS, Activation, get_activation
from spinnet.propagation.detection import (
    Continued,
    check_functions,
    differentiate,
    find_kinks,
    slope_jumps,
)

ROOT2 = math.sqrt(2.0)


def bent(*kinks_and_jumps):
    """A continuous function whose slope jumps by m at k, for each (k, m)."""
    pairs = kinks_and_jumps
    return (
        lambda x: sum(m * np.maximum(x - k, 0) for k, m in pairs),
        lambda x: sum(m * (x > k) for k, m in pairs),
    )


# ---------------------------------------------------------------------- kinks
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_named_activations_are_what_they_claim(name):
    named = get_activation(name)
    functions = (named, named.derivative, named.second_derivative)
    check_functions(*functions)
    found = find_kinks(*functions[:2])
    assert found == named.kinks
    assert_allclose(slope_jumps(*functions[:2], found), named.slope_jumps, rtol=1e-14)


@pytest.mark.parametrize(
    "places", [(math.pi / 10,), (-ROOT2, 1e-3), (-49.9, 1 / 3, 0.3334, 17.3), (-3.0, 0.0, 3.0)]
)
def test_kinks_are_found_to_the_last_bit(places):
    f, derivative = bent(*((k, 0.25 + k * k) for k in places))
    found = find_kinks(f, derivative)
    assert len(found) == len(places)
    for k, at in zip(places, found, strict=True):
        assert k == at or math.nextafter(k, at) == at
    assert_allclose(slope_jumps(f, derivative, found), [0.25 + k * k for k in places], rtol=1e-11)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda x: 1.0 * (x > 0),
        lambda x: 1.0 * (x >= 0),
        lambda x: np.heaviside(x, 0.5),
    ],
    ids=["left", "right", "half"],
)
def test_the_value_at_a_kink_does_not_matter(derivative):
    def relu(x):
        return np.maximum(x, 0)

    check_functions(relu, derivative)
    assert find_kinks(relu, derivative) == (0.0,)
    assert slope_jumps(relu, derivative, (0.0,)) == (1.0,)


def test_both_sides_of_hard_tanh_are_returned_exactly():
    f, closed = (lambda x: np.clip(x, -1, 1)), (lambda x: 1.0 * (np.abs(x) <= 1))
    assert find_kinks(f, closed) == find_kinks(f, lambda x: 1.0 * (np.abs(x) < 1)) == (-1.0, 1.0)


def test_small_kinks_of_growing_functions_are_found():
    f, derivative = (
        lambda x: x**3 + 1e-3 * np.abs(x - 0.1),
        lambda x: 3 * x**2 + 1e-3 * np.sign(x - 0.1),
    )
    found = find_kinks(f, derivative)
    assert found == (0.1,)
    assert_allclose(slope_jumps(f, derivative, found), [2e-3], rtol=1e-10)


def test_small_kinks_of_fast_functions_are_found():
    # within a cell of the grid the slope changes by ten times the jump
    found = find_kinks(
        lambda x: 20 * np.sin(5 * x) + 0.15 * np.abs(x - 0.1),
        lambda x: 100 * np.cos(5 * x) + 0.15 * np.sign(x - 0.1),
    )
    assert found == (0.1,)


@pytest.mark.parametrize("steepness", [10.0, 100.0, 1e4, 1e6])
@pytest.mark.parametrize("centre", [0.0, 1 / 3])
def test_steep_functions_have_no_kinks(steepness, centre):
    def argument(x):
        return np.clip(steepness * (x - centre), -300, 300)

    assert (
        find_kinks(lambda x: np.tanh(argument(x)), lambda x: steepness / np.cosh(argument(x)) ** 2)
        == ()
    )


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (np.sin, np.cos),
        (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x)),
        (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
        (np.exp, np.exp),
        (special.erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x)),  # subnormal tails
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2),  # tails in steps of 1e-16
        # a value that is wrong at a single place is no jump
        (
            np.sinc,
            lambda x: np.where(x == 0, 0.5, (np.cos(np.pi * x) - np.sinc(x)) / (x + (x == 0))),
        ),
    ],
    ids=["sin", "sin30", "softsign", "exp", "erf", "tanh", "sinc"],
)
def test_smooth_functions_have_no_kinks(f, derivative):
    assert find_kinks(f, derivative) == ()


def test_jumps_of_the_function_itself_are_refused():
    def broken(x):
        return np.where(x > 0.3, 1 + x, x)

    with pytest.raises(InputError, match=r"continuous, but it jumps by 1 at x = 0\.3"):
        find_kinks(broken, np.ones_like)
    with pytest.raises(InputError, match="continuous, but it jumps by 1 at"):
        check_functions(broken, np.ones_like)
    with pytest.raises(InputError, match="continuous, but it jumps by 2 at x = 0"):
        Activation(np.sign, np.zeros_like)


def test_declared_kinks_must_be_kinks():
    f, derivative = bent((0.5, 2.0))
    assert slope_jumps(f, derivative, (0.5,), declared=True) == (2.0,)
    with pytest.raises(InputError, match=r"kinks.*does not jump at x = 0\.25;.*jumps at: 0\.5"):
        slope_jumps(f, derivative, (0.25, 0.5), declared=True)
    with pytest.raises(InputError, match="jumps at: nowhere"):
        Activation(np.tanh, lambda x: 1 / np.cosh(np.clip(x, -99, 99)) ** 2, kinks=(0.0,))
    with pytest.raises(InputError, match="finite"):
        slope_jumps(f, derivative, (math.nan,), declared=True)


def test_an_activation_finds_its_kinks():
    made = Activation(*bent((-1.5, 1.0), (ROOT2, -0.5)))
    assert_allclose(made.kinks, (-1.5, ROOT2), rtol=1e-15)
    assert_allclose(made.slope_jumps, (1.0, -0.5), rtol=1e-12)
    assert not made.is_smooth


# ---------------------------------------------------------------------- checks
def slope_of_tanh(x):
    return 1 / np.cosh(np.clip(x, -300, 300)) ** 2


def in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    ("f", "derivative", "message"),
    [
        (math.tanh, slope_of_tanh, r"f must take arrays.*\(3,\).*TypeError"),
        (lambda x: x if x > 0 else 0 * x, slope_of_tanh, "f must take arrays.*np.where"),
        (np.tanh, lambda x: 1.0, r"derivative must return the shape.*got \(\).*\(3,\)"),
        (np.sum, np.ones_like, "f must return the shape"),
        (lambda x: np.append(x, 0)[:-1].ravel(), np.ones_like, "f must return the shape"),
        (lambda x: x + 0j, np.ones_like, "f must return real numbers, got dtype complex128"),
        (lambda x: np.maximum(x, 0), lambda x: x > 0, "derivative must return real.*dtype bool"),
        (in_place, lambda x: 2 * np.ones_like(x), "f must not change its argument"),
        (np.log, lambda x: 1 / x, "f must be finite on .*, got"),
        (np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2), "derivative must be finite.*at x = 0$"),
        ("tanh", slope_of_tanh, "f must be a function, got str"),
        (np.tanh, lambda x: -slope_of_tanh(x), "derivative must be the derivative of f: at x ="),
        (np.tanh, lambda x: 1.01 * slope_of_tanh(x), "derivative must be the derivative of f"),
        (np.sin, lambda x: np.where(x > 49, 0, np.cos(x)), "derivative must be the derivative"),
    ],
    ids=[
        "math",
        "if",
        "scalar",
        "sum",
        "ravel",
        "complex",
        "bool",
        "in place",
        "log",
        "cbrt",
        "str",
        "sign",
        "1 percent",
        "one place",
    ],
)
def test_faults_are_named(f, derivative, message):
    with pytest.raises(InputError, match=message):
        check_functions(f, derivative)


def test_a_wrong_derivative_is_told_with_place_and_both_values():
    with pytest.raises(
        InputError, match=r"at x = -50 it gives -50, .* differences of f give -99\.99"
    ):
        check_functions(np.square, lambda x: x)


def test_a_wrong_second_derivative_is_refused():
    with pytest.raises(InputError, match="second_derivative must be the derivative of derivative"):
        check_functions(np.sin, np.cos, np.sin)
    check_functions(np.sin, np.cos, lambda x: -np.sin(x))


def test_what_is_right_passes():
    check_functions(lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x))
    check_functions(lambda x: 1e-12 * np.tanh(x), lambda x: 1e-12 * slope_of_tanh(x))
    check_functions(np.exp, np.exp, np.exp)
    check_functions(lambda x: 1 / (1 + np.exp(-20 * x)), lambda x: 5 / np.cosh(10 * x) ** 2)
    single = np.float32(1)
    check_functions(
        lambda x: np.tanh(np.asarray(x, np.float32)),
        lambda x: single - np.tanh(np.asarray(x, np.float32)) ** 2,
    )


# ---------------------------------------------------------------------- second derivatives
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numerical_second_derivatives(name):
    named = get_activation(name)
    x = np.concatenate([np.linspace(-7.03, 7.01, 201), [-45.0, 45.0, 300.0, -1e4]])
    second = differentiate(named.derivative, x, named.kinks)
    assert_allclose(second, named.second_derivative(x), atol=1e-12)


def test_steep_functions_are_differentiated_too():
    x = np.linspace(-0.3, 0.3, 101)
    second = differentiate(lambda x: 50 * slope_of_tanh(50 * x), x)
    expected = -5000 * np.tanh(50 * x) * slope_of_tanh(50 * x)
    assert_allclose(second, expected, atol=1e-10 * 2000)


def test_differences_do_not_step_across_kinks():
    # slope x^2 to the left of 1, x^3 + 5 to its right
    def derivative(x):
        return np.where(x < 1, x**2, x**3 + 5)

    near = np.array([1e-12, 1e-7, 1e-3, 0.3])
    assert_allclose(differentiate(derivative, 1 - near, (1.0,)), 2 * (1 - near), rtol=1e-11)
    assert_allclose(differentiate(derivative, 1 + near, (1.0,)), 3 * (1 + near) ** 2, rtol=1e-11)
    assert_allclose(differentiate(derivative, 1.0, (1.0,)), 3.0, rtol=1e-11)


def test_between_close_kinks():
    _, derivative = bent((0.0, 1.0), (1e-3, 2.0))
    x = np.array([-0.1, 5e-4, 0.1])

    def tilted(x):
        return derivative(x) + 4 * x

    assert_allclose(differentiate(tilted, x, (0.0, 1e-3)), 4.0, rtol=1e-10)


def test_shapes_are_kept():
    assert differentiate(np.cos, 0.5).shape == ()
    assert differentiate(np.cos, np.zeros((2, 0))).shape == (2, 0)
    assert_array_equal(differentiate(np.cos, np.zeros((2, 3))).shape, (2, 3))


# ---------------------------------------------------------------------- far away
def naive_softplus(x):
    return np.log(1 + np.exp(x))


def naive_logistic(x):
    return np.exp(x) / (1 + np.exp(x))


def test_formulas_that_overflow_are_continued():
    x = np.array([-1e5, -1.0, 0.0, 3.0, 709.0, 1e3, 1e5])
    slope = Continued(naive_logistic)
    assert_allclose(slope(x), special.expit(x), rtol=1e-14)
    assert_allclose(Continued(naive_softplus, slope)(x), np.logaddexp(0, x), rtol=1e-13)
    assert_array_equal(Continued(naive_softplus, slope)(x.reshape(7, 1)).shape, (7, 1))


def test_what_truly_overflows_still_does():
    assert Continued(np.exp, Continued(np.exp))(np.array([1e4]))[0] == math.inf


def test_continued_functions_can_be_pickled():
    copy = pickle.loads(pickle.dumps(Continued(np.tanh)))
    assert copy(0.5) == np.tanh(0.5)
