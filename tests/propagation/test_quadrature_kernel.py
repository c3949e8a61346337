"""The kernel of any activation: against closed forms, 30 digits, and the closed-form kernels.

The last is a test of both: the closed forms and the quadrature share no formula.
"""

import math

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from spinnet.errors import KinkedActivationError
from spinnet.propagation.activations import ACTIVATIONS, Activation, get_activation
from spinnet.propagation.kernels import pair_quadrature
from spinnet.propagation.kernels.quadrature import QuadratureKernel

Q = [1e-8, 1e-3, 0.3, 1.0, 12.0, 1e3]
RATIOS = [1.0, 40.0]
EPSILON = [0.0, 1e-13, 1e-7, 1e-3, 0.03, 0.2, 1.0, 1.95, 1.9999, 2.0]
P = 0.3141592653589793
SINGLE = ("mean", "second_moment", "second_moment_slope", "slope_moment")
PAIR = ("overlap", "slope_overlap", "curvature_overlap")
_KERNELS = {}


def quadrature(name):
    if name not in _KERNELS:
        _KERNELS[name] = QuadratureKernel(get_activation(name))
    return _KERNELS[name]


def grid():
    q1, ratio, epsilon = np.meshgrid(Q, RATIOS, EPSILON, indexing="ij")
    return q1.ravel(), (q1 * ratio).ravel(), epsilon.ravel()


def assert_close(value, expected, scale, tolerance):
    """|value - expected| <= tolerance * scale, infinities at the same places."""
    value, expected, scale = np.broadcast_arrays(value, expected, scale)
    infinite = np.isinf(expected)
    assert_array_equal(value[infinite], expected[infinite])
    value, expected, scale = (part[~infinite] for part in (value, expected, scale))
    error = np.abs(value - expected)
    assert np.all(error <= tolerance * scale), np.nanmax(error / scale)


# ---------------------------------------------------------------------- closed forms
def erf_reference(q1, q2, epsilon):
    c = 1 - epsilon
    a, b, p = 1 + 2 * q1, 1 + 2 * q2, c * np.sqrt(q1 * q2)
    # 1 - x^2 without cancellation, x = 2p / sqrt(ab)
    rest = (1 + 2 * (q1 + q2) + 4 * q1 * q2 * epsilon * (2 - epsilon)) / (a * b)
    slope = 4 / np.pi / np.sqrt(a * b * rest)
    return (
        2 / np.pi * np.arctan2(2 * p, np.sqrt(a * b * rest)),
        slope,
        slope * 4 * p / (a * b * rest),
    )


def sin_reference(q1, q2, epsilon):
    root, apart = np.sqrt(q1 * q2), (np.sqrt(q1) - np.sqrt(q2)) ** 2 / 2
    plus, minus = (np.exp(-apart - e * root) / 2 for e in (epsilon, 2 - epsilon))
    small = np.exp(-(q1 + q2) / 2) * np.sinh((1 - epsilon) * np.minimum(root, 1))
    odd = np.where(root < 1, small, plus - minus)
    return odd, plus + minus, odd


def relu_reference(q1, q2, epsilon):
    theta = 2 * np.arcsin(np.sqrt(epsilon / 2))
    sine = np.sqrt(epsilon * (2 - epsilon))
    root = np.sqrt(q1 * q2)
    with np.errstate(divide="ignore"):
        curvature = 1 / (2 * np.pi * root * sine)
    overlap = root * (sine + (1 - epsilon) * (np.pi - theta)) / (2 * np.pi)
    return overlap, (np.pi - theta) / (2 * np.pi), curvature


@pytest.mark.parametrize(
    ("name", "reference", "tolerance"),
    # sin(h) at h = 300 and more is known to 1e-13
    [("erf", erf_reference, 1e-14), ("sin", sin_reference, 1e-12), ("relu", relu_reference, 1e-14)],
    ids=["erf", "sin", "relu"],
)
def test_pairs_agree_with_closed_forms(name, reference, tolerance):
    kernel = quadrature(name)
    q1, q2, epsilon = grid()
    expected = reference(q1, q2, epsilon)
    for order, method in enumerate(PAIR):
        near = np.minimum(epsilon, 2 - epsilon) if (name, order) == ("relu", 2) else 0 * epsilon
        largest = reference(q1, q1, near)[order] * reference(q2, q2, near)[order]
        value = getattr(kernel, method)(q1, q2, epsilon)
        assert_close(value, expected[order], np.sqrt(np.abs(largest)), tolerance)


def test_slope_overlaps_are_right_relative_to_themselves_next_to_perfect_correlation():
    epsilon = 10.0 ** -np.arange(1, 30, 2)
    for name, reference in (("erf", erf_reference), ("relu", relu_reference)):
        kernel = quadrature(name)
        for order, method in ((1, "slope_overlap"), (2, "curvature_overlap")):
            value = getattr(kernel, method)(3.0, 3.0, epsilon)
            assert_allclose(value, reference(3.0, 3.0, epsilon)[order], rtol=1e-14)


def test_deficit_and_remainder_of_relu():
    q, epsilon = 2.0, 10.0 ** -np.arange(0.0, 15)
    with mp.workdps(60):
        expected = []
        for e in epsilon:
            c = 1 - mp.mpf(float(e))
            overlap = (mp.sqrt(1 - c * c) + c * (mp.pi - mp.acos(c))) / mp.pi
            slope = (mp.pi - mp.acos(c)) / (2 * mp.pi)
            expected.append((float(1 - overlap), float(1 - overlap - 2 * (1 - c) * slope)))
    kernel = quadrature("relu")
    deficit, remainder = np.transpose(expected)
    assert_allclose(kernel.deficit(q, epsilon), deficit, rtol=1e-13)
    assert_allclose(kernel.remainder(q, epsilon), remainder, rtol=1e-12)


# ---------------------------------------------------------------------- 30 digits
SCALE, ALPHA = (
    mp.mpf("1.0507009873554804934193349852946"),
    mp.mpf("1.6732632423543772848170429916717"),
)
SELU = (
    lambda x: SCALE * (x if x > 0 else ALPHA * mp.expm1(x)),
    lambda x: SCALE if x > 0 else SCALE * ALPHA * mp.exp(x),
)


def smoothed_selu(x, t):
    """Return E[selu(x + t y)] and E[selu'(x + t y)] over normal y."""
    z = x / t
    decayed = ALPHA * mp.exp(x + t * t / 2) * mp.ncdf(-z - t)
    return (
        SCALE * (x * mp.ncdf(z) + t * mp.npdf(z) + decayed - ALPHA * mp.ncdf(-z)),
        SCALE * (mp.ncdf(z) + decayed),
    )


@pytest.mark.parametrize(
    ("q1", "q2", "epsilon"),
    [(0.8, 0.8, 0.3), (1.5, 4.0, 1e-2), (1.5, 4.0, 1e-7), (30.0, 2.0, 1e-3), (2.0, 0.7, 1.8)],
)
def test_selu_agrees_with_thirty_digits(q1, q2, epsilon):
    kernel = quadrature("selu")
    with mp.workdps(30):
        a, b, c = mp.sqrt(q1), mp.sqrt(q2), 1 - mp.mpf(epsilon)
        s = mp.sqrt(1 - c * c)
        ends = {mp.mpf(x) for x in (-12, -6, -3, -1, 0, 1, 3, 6, 12)}
        ends |= {side * k * s for side in (-1, 1) for k in (1, 3, 9) if k * s < 1}
        for order, method in enumerate(PAIR[:2]):
            expected = mp.quad(
                lambda x, k=order: SELU[k](a * x) * mp.npdf(x) * smoothed_selu(b * c * x, b * s)[k],
                sorted(ends),
            )
            value = getattr(kernel, method)(q1, q2, epsilon)
            assert_allclose(value, float(expected), rtol=2e-14)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 1.0, 1.7])
def test_price_theorem_holds_for_selu(epsilon):
    # d/dp E[phi phi] = E[phi' phi'], d/dp E[phi' phi'] = E[phi'' phi''] with the delta function
    kernel, q1, q2 = quadrature("selu"), 0.9, 2.2
    root, step = math.sqrt(q1 * q2), 0.02 * min(epsilon, 2 - epsilon)
    for lower, upper in (("overlap", "slope_overlap"), ("slope_overlap", "curvature_overlap")):
        values = getattr(kernel, lower)(q1, q2, epsilon + step * np.arange(-4, 5))
        weights = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
        numerical = -(weights @ values) / step / root
        assert_allclose(getattr(kernel, upper)(q1, q2, epsilon), numerical, rtol=2e-9)


@pytest.mark.parametrize("q", [1e-6, 0.5, 30.0])
def test_slope_of_the_length_map_of_selu(q):
    kernel = quadrature("selu")
    h = 1e-3 * q
    values = kernel.second_moment(q + h * np.arange(-2, 3))
    numerical = values @ np.array([1, -8, 0, 8, -1]) / (12 * h)
    assert_allclose(kernel.second_moment_slope(q), numerical, rtol=1e-10)


def test_slope_of_the_length_map_at_tiny_variance_and_a_value_at_zero():
    # E[h phi phi'] / q cancels here: sigmoid(0) = 1/2
    kernel = quadrature("sigmoid")
    q = np.array([1e-14, 1e-9, 1e-5])
    # F = 1/4 + q/16 - q^2/32 + ...
    assert_allclose(kernel.second_moment_slope(q), 1 / 16 - q / 16, rtol=1e-9)
    assert_allclose(kernel.second_moment_slope(0.0), 1 / 16, rtol=1e-15)


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "sin"])
def test_length_deficit_of_small_variances(name):
    # of order q^2: sum of the series of phi
    expected = {"tanh": 2.0, "gelu": -3 / (2 * math.pi), "silu": -3 / 16, "sin": 1.0}[name]
    q = np.array([1e-10, 1e-8])
    assert_allclose(quadrature(name).length_deficit(q), expected * q**2, rtol=2e-7)


def test_length_deficit_of_kinked_functions():
    assert_allclose(quadrature("relu").length_deficit([0.1, 10.0]), 0, atol=1e-15)
    kernel = quadrature("selu")
    direct = kernel.slope_moment(0.0) * 0.8 - kernel.second_moment(0.8)
    assert_allclose(kernel.length_deficit(0.8), direct, rtol=1e-13)


# ---------------------------------------------------------------------- closed-form kernels
OTHERS = [name for name in ACTIVATIONS if name != "selu"]  # which has no closed form


@pytest.mark.parametrize("name", OTHERS)
def test_single_averages_agree_with_the_closed_forms(name):
    kernel, closed = quadrature(name), get_activation(name).kernel
    q = np.array(Q)
    scale = {
        "mean": np.sqrt(closed.second_moment(q)),
        "second_moment": closed.second_moment(q),
        "second_moment_slope": np.maximum(
            closed.second_moment(q) / q, closed.second_moment_slope(q)
        ),
        "slope_moment": closed.slope_moment(q),
    }
    for method in SINGLE:
        value, expected = getattr(kernel, method)(q), getattr(closed, method)(q)
        assert value.shape == q.shape
        assert value.dtype == np.float64
        assert_close(value, expected, scale[method], 5e-14)
    assert kernel.smooth == closed.smooth
    assert kernel.odd == closed.odd
    assert kernel.name == name


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("method", PAIR)
def test_pairs_agree_with_the_closed_forms(name, method):
    kernel, closed = quadrature(name), get_activation(name).kernel
    q1, q2, epsilon = grid()
    near = 0 * epsilon
    if method == "curvature_overlap" and not closed.smooth:
        # delta functions on a line of their own: infinite, or 0
        q1, q2, epsilon = (x[(epsilon > 0) & (epsilon < 2)] for x in (q1, q2, epsilon))
        near = np.minimum(np.minimum(epsilon, 2 - epsilon), 0.3)
    value = getattr(kernel, method)(q1, q2, epsilon)
    expected = getattr(closed, method)(q1, q2, epsilon)
    scale = np.sqrt(
        np.multiply(*(getattr(closed, method)(q, q, near) for q in (q1, q2))).clip(1e-280)
    )
    assert_close(value, expected, scale, 5e-13)


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "leaky_relu"])
def test_differences_agree_with_the_closed_forms(name):
    kernel, closed = quadrature(name), get_activation(name).kernel
    q, epsilon = np.array([[0.1], [4.0]]), np.array([1e-14, 1e-6, 0.05])
    assert_allclose(kernel.deficit(q, epsilon), closed.deficit(q, epsilon), rtol=1e-12)
    assert_allclose(kernel.remainder(q, epsilon), closed.remainder(q, epsilon), rtol=1e-12)


# ---------------------------------------------------------------------- the user's own
def smooth_ramp(second=True):
    return Activation(
        lambda x: np.clip(x - P, 0, 1) ** 2 / 2 + np.maximum(x - P - 1, 0),
        lambda x: np.clip(x - P, 0, 1),
        (lambda x: 1.0 * ((x > P) & (x < 1 + P))) if second else None,
        kinks=(),
    )


USERS = {
    "steep": Activation(
        lambda x: np.tanh(50 * x), lambda x: 50 / np.cosh(np.clip(50 * x, -300, 300)) ** 2
    ),
    "kinks anywhere": Activation(
        lambda x: np.maximum(x - P, 0) + 0.3 * np.maximum(x + math.sqrt(2), 0),
        lambda x: 1.0 * (x > P) + 0.3 * (x > -math.sqrt(2)),
    ),
    "hard swish": Activation(
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(np.abs(x) < 3, (2 * x + 3) / 6, 1.0 * (x > 0)),
        lambda x: np.where(np.abs(x) < 3, 1 / 3, 0.0),
    ),
    "softsign": Activation(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "smooth ramp": smooth_ramp(),
    "selu": get_activation("selu"),
}


@pytest.mark.parametrize("name", USERS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_two_rules_for_pairs_agree(name, order, monkeypatch):
    pairs = QuadratureKernel(USERS[name])._pairs
    for q1, q2 in ((0.01, 0.01), (1.0, 1.0), (1.0, 3.0), (50.0, 30.0)):
        for s in (0.05, 0.2, 0.5):
            epsilon = s * s / (1 + math.sqrt(1 - s * s))
            top = epsilon if pairs._jumps.size else 0.0
            size = math.sqrt(pairs.average(order, q1, q1, top) * pairs.average(order, q2, q2, top))
            for near in (epsilon, 2 - epsilon):
                monkeypatch.setattr(pair_quadrature, "_SWITCH", 0.0)
                wide = pairs.average(order, q1, q2, near)
                monkeypatch.setattr(pair_quadrature, "_SWITCH", 1.0)
                monkeypatch.setattr(pair_quadrature, "_WIDE_LIMIT", 0)
                narrow = pairs.average(order, q1, q2, near)
                monkeypatch.undo()
                assert abs(wide - narrow) <= 3e-14 * size, (q1, q2, near)


def test_fast_oscillations():
    wave = QuadratureKernel(
        Activation(lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x), name="wave")
    )
    for q in (1e-4, 0.1, 40.0):
        for epsilon in (1e-9, 1e-5, 1e-3, 0.3):
            overlap, slope, _ = sin_reference(900 * q, 900 * q, epsilon)
            assert_allclose(wave.overlap(q, q, epsilon), overlap, rtol=1e-12, atol=1e-13)
            assert_allclose(wave.slope_overlap(q, q, epsilon), 900 * slope, rtol=1e-12, atol=1e-10)


def test_second_derivatives_need_not_be_given():
    given, made = (QuadratureKernel(smooth_ramp(second)) for second in (True, False))
    for epsilon in (1e-6, 0.01, 0.4, 1.0):
        assert_allclose(
            made.curvature_overlap(0.5, 0.8, epsilon),
            given.curvature_overlap(0.5, 0.8, epsilon),
            rtol=1e-11,
        )
    # between the jumps phi'' = 1: a probability
    s = math.sqrt(0.5)
    inside = special.ndtr((1 + P) / s) - special.ndtr(P / s)
    assert_allclose(given.curvature_moment(0.5), inside, rtol=1e-13)
    assert_allclose(made.curvature_moment(0.5), inside, rtol=1e-11)


def test_formulas_that_overflow_far_out():
    naive = Activation(lambda x: np.log(1 + np.exp(x)), lambda x: 1 / (1 + np.exp(-x)))
    kernel, closed = QuadratureKernel(naive), get_activation("softplus").kernel
    for q in (1.0, 1e4, 1e8):
        assert_allclose(kernel.second_moment(q), closed.second_moment(q), rtol=1e-13)
        assert_allclose(kernel.overlap(q, q, 0.5), closed.overlap(q, q, 0.5), rtol=1e-13)


def test_exponential_growth():
    # E[exp(u1 + u2)] = exp((q1 + q2) / 2 + p)
    kernel = QuadratureKernel(Activation(np.exp, np.exp, np.exp))
    for q1, q2, epsilon in (
        (1.0, 1.0, 0.1),
        (9.0, 4.0, 0.01),
        (20.0, 20.0, 1.5),
        (60.0, 60.0, 0.6),
    ):
        exponent = (q1 + q2) / 2 + (1 - epsilon) * math.sqrt(q1 * q2)
        size = 1e-13 * math.exp(q1 + q2)
        assert_allclose(kernel.overlap(q1, q2, epsilon), math.exp(exponent), rtol=0, atol=size)
    assert kernel.second_moment(1e6) == math.inf


def test_a_cubic():
    # E[u1^3 u2^3] = 9 q1 q2 p + 6 p^3
    kernel = QuadratureKernel(Activation(lambda x: x**3, lambda x: 3 * x**2, lambda x: 6 * x))
    q1, q2, epsilon = grid()
    p = (1 - epsilon) * np.sqrt(q1 * q2)
    root = np.sqrt(q1 * q2)
    value = kernel.overlap(q1, q2, epsilon)
    assert_close(value, 9 * root**2 * p + 6 * p**3, 15 * root**3, 1e-14)
    assert_close(kernel.curvature_overlap(q1, q2, epsilon), 36 * p, 36 * root, 1e-14)
    assert kernel.odd


# ---------------------------------------------------------------------- edges
def test_odd_functions_are_told_from_others():
    assert quadrature("tanh").odd
    assert QuadratureKernel(USERS["softsign"]).odd
    assert not quadrature("gelu").odd
    assert not QuadratureKernel(
        Activation(lambda x: np.tanh(x) + 1e-15, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2)
    ).odd
    assert quadrature("tanh").mean(3.0) == 0


def test_zero_variance():
    for name in ("selu", "sigmoid", "tanh"):
        kernel, phi = quadrature(name), get_activation(name)
        zero = float(phi(np.zeros(1))[0])
        assert kernel.mean(0.0) == zero
        assert kernel.second_moment(0.0) == zero**2
        assert_allclose(kernel.overlap(0.0, 2.0, 0.3), zero * kernel.mean(2.0), rtol=1e-15)
        assert kernel.overlap(0.0, 0.0, 0.3) == zero**2
        assert_allclose(
            kernel.slope_overlap(0.0, 0.0, 0.3), kernel.slope_overlap(1e-30, 1e-30, 0.3), rtol=1e-13
        )
    # the side of the kink on which u1 -> 0 lies goes with that of u2
    assert_allclose(quadrature("relu").slope_overlap(0.0, 0.0, 1.0), 0.25, rtol=1e-14)
    assert_allclose(quadrature("relu").slope_overlap(0.0, 5.0, 0.5), 1 / 3, rtol=1e-14)
    shifted = Activation(lambda x: np.abs(x) + 1, np.sign)
    assert QuadratureKernel(shifted).second_moment_slope(0.0) == math.inf


def test_perfect_correlation_and_anticorrelation():
    for name in ("selu", "tanh"):
        kernel, phi = quadrature(name), get_activation(name)
        assert_allclose(kernel.overlap(2.0, 2.0, 0.0), kernel.second_moment(2.0), rtol=1e-14)
        assert_allclose(kernel.slope_overlap(2.0, 2.0, 0.0), kernel.slope_moment(2.0), rtol=1e-14)
        h = np.linspace(-12, 12, 240_001)
        density = np.exp(-h * h / 4) / math.sqrt(4 * math.pi) * (h[1] - h[0])
        # a fine trapezoid: to h^2 at the kink
        expected = np.sum(density * phi(h) * phi(-h))
        assert_allclose(kernel.overlap(2.0, 2.0, 2.0), expected, rtol=1e-8)


def test_curvature_of_kinked_functions():
    kernel = quadrature("selu")
    with pytest.raises(KinkedActivationError, match="selu"):
        kernel.curvature_moment(1.0)
    assert kernel.curvature_overlap(1.0, 1.0, 0.0) == math.inf
    # kinks of opposite sign meet at c = -1
    assert quadrature("hard_tanh").curvature_overlap(1.0, 1.0, 2.0) == -math.inf
    assert math.isfinite(float(quadrature("hard_tanh").curvature_overlap(1.0, 2.0, 0.0)))


def test_arguments_change_places():
    kernel = quadrature("selu")
    for epsilon in (1e-5, 0.4, 1.9):
        for method in PAIR:
            first = getattr(kernel, method)(0.3, 8.0, epsilon)
            assert getattr(kernel, method)(8.0, 0.3, epsilon) == first


def test_shapes():
    kernel = quadrature("selu")
    q = np.array([[0.5], [1.0]])
    values = kernel.overlap(q, 1.0, np.array([0.1, 0.2, 0.3]))
    assert values.shape == (2, 3)
    assert values[1, 2] == kernel.overlap(1.0, 1.0, 0.3)
    assert kernel.overlap(1.0, 1.0, 0.3).shape == ()
    assert kernel.mean([]).shape == (0,)
    assert kernel.overlap(np.zeros((0, 2)), 1.0, 0.5).shape == (0, 2)


def test_repeated_points_cost_nothing():
    kernel = QuadratureKernel(USERS["softsign"])
    kernel.overlap(1.0, 1.0, 0.37)
    before = kernel._pair.cache_info().misses
    kernel.overlap([1.0, 1.0], 1.0, 0.37)
    assert kernel._pair.cache_info().misses == before
