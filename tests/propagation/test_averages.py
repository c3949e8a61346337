"""Averages over one Gaussian, against closed forms and 30-digit quadrature."""

import math

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from spinnet.errors import InputError
from spinnet.propagation.activations import ACTIVATIONS, Activation, get_activation
from spinnet.propagation.averages import gaussian_average, gaussian_nodes, mesh_of

Q = np.array([1e-12, 1e-8, 1e-4, 1e-2, 0.3, 1.0, 7.0, 100.0, 1e4])
P = 0.3141592653589793  # a place for a kink that no mesh has as an edge by itself


def smooth_ramp(second=True):
    """0, then (x - P)^2 / 2 over a unit length, then a straight line: phi'' jumps twice."""
    return Activation(
        lambda x: np.clip(x - P, 0, 1) ** 2 / 2 + np.maximum(x - P - 1, 0),
        lambda x: np.clip(x - P, 0, 1),
        (lambda x: 1.0 * ((x > P) & (x < 1 + P))) if second else None,
        kinks=(),
    )


def scaled(name, factor):
    """phi(factor x)."""
    phi = get_activation(name)
    return Activation(
        lambda x: phi(factor * x),
        lambda x: factor * phi.derivative(factor * x),
        lambda x: factor**2 * phi.second_derivative(factor * x),
    )


def second_moment(activation, q):
    return gaussian_average(lambda h: activation(h) ** 2, q, activation=activation)


def slope_moment(activation, q):
    return gaussian_average(lambda h: activation.derivative(h) ** 2, q, activation=activation)


CLOSED = {
    "linear": (lambda q: q, np.ones_like),
    "erf": (
        lambda q: 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)),
        lambda q: 4 / np.pi / np.sqrt(1 + 4 * q),
    ),
    "relu": (lambda q: q / 2, lambda q: 0.5 + 0 * q),
    "leaky_relu": (lambda q: q * 1.01 / 2, lambda q: 1.01 / 2 + 0 * q),
    "sin": (lambda q: -np.expm1(-2 * q) / 2, lambda q: (1 + np.exp(-2 * q)) / 2),
    "hard_tanh": (
        lambda q: q * special.gammainc(1.5, 1 / (2 * q)) + special.erfc(1 / np.sqrt(2 * q)),
        lambda q: special.erf(1 / np.sqrt(2 * q)),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_moments_agree_with_closed_forms_over_sixteen_decades(name):
    activation = get_activation(name)
    second, slope = CLOSED[name]
    assert_allclose(second_moment(activation, Q), second(Q), rtol=1e-14)
    assert_allclose(slope_moment(activation, Q), slope(Q), rtol=1e-14)


EXACT = {
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "gelu": lambda x: x * mp.ncdf(x),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "selu": lambda x: (
        mp.mpf("1.0507009873554804934193349852946")
        * (x if x > 0 else mp.mpf("1.6732632423543772848170429916717") * mp.expm1(x))
    ),
}


def exact_average(g, q, places=(0,)):
    """Return E[g(h)] to about 30 digits; g smooth between `places`."""
    with mp.workdps(30):
        sigma = mp.sqrt(mp.mpf(q))
        cuts = {sigma * k for k in range(-14, 15)}
        for place in places:
            cuts |= {place + s * mp.mpf(2) ** k for s in (-1, 1) for k in range(-3, 9)}
            cuts.add(mp.mpf(place))
        ends = sorted(x for x in cuts if abs(x) <= 14 * sigma)
        value = mp.quad(lambda h: g(h) * mp.npdf(h / sigma) / sigma, ends)
        return float(value)


def test_the_twelve_activations_are_all_tested():
    assert set(CLOSED) | set(EXACT) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("q", [1e-6, 0.7, 1e4])
def test_second_moments_agree_with_thirty_digits(name, q):
    activation, exact = get_activation(name), EXACT[name]
    assert_allclose(second_moment(activation, q), exact_average(lambda h: exact(h) ** 2, q), 1e-14)


@pytest.mark.parametrize("q", [1e-6, 0.7, 1e4])
def test_slope_moments_agree_with_thirty_digits(q):
    expected = exact_average(lambda h: mp.sech(h) ** 4, q)
    assert_allclose(slope_moment(get_activation("tanh"), q), expected, 1e-14)


@pytest.mark.parametrize("q", [1e-9, 1e-4, 0.01, 1.0, 30.0, 1e4])
def test_fast_oscillations_are_resolved(q):
    wave = scaled("sin", 30.0)
    assert_allclose(second_moment(wave, q), -np.expm1(-1800 * q) / 2, rtol=2e-14)
    assert_allclose(slope_moment(wave, q), 450 * (1 + np.exp(-1800 * q)), rtol=2e-14)


@pytest.mark.parametrize("q", [1e-9, 1e-5, 0.01, 1.0, 100.0])
def test_a_steep_function_is_a_shallow_one_of_larger_variance(q):
    steep, tanh = scaled("tanh", 50.0), get_activation("tanh")
    assert_allclose(second_moment(steep, q), second_moment(tanh, 2500 * q), rtol=1e-14)
    assert_allclose(slope_moment(steep, q), 2500 * slope_moment(tanh, 2500 * q), rtol=1e-14)


def test_an_oscillation_beyond_resolution_is_sampled_and_does_not_take_for_ever():
    h, _ = gaussian_nodes(scaled("sin", 30.0), 1e8)
    assert h.size < 2_000_000
    assert_allclose(second_moment(scaled("sin", 30.0), 1e8), 0.5, rtol=1e-2)


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("q", [0.01, 0.5, 40.0])
def test_a_jump_of_the_second_derivative_needs_no_declaration(second, q):
    def slope(h):
        return min(max(h - mp.mpf(P), 0), 1)

    expected = exact_average(lambda h: slope(h) ** 2, q, places=(mp.mpf(P), 1 + mp.mpf(P)))
    assert_allclose(slope_moment(smooth_ramp(second), q), expected, rtol=2e-14)


def test_kinks_where_no_panel_ends_are_respected():
    bent = Activation(
        lambda x: np.maximum(x - P, 0), lambda x: 1.0 * (x > P), lambda x: 0 * x, kinks=(P,)
    )
    for q in (0.1, 1.0, 1e3):
        assert_allclose(slope_moment(bent, q), special.ndtr(-P / math.sqrt(q)), rtol=1e-14)


# ---------------------------------------------------------------------- nodes
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "sin"])
@pytest.mark.parametrize("q", [1e-8, 1.0, 1e3])
def test_nodes_carry_the_moments_of_a_gaussian(name, q):
    h, w = gaussian_nodes(get_activation(name), q)
    assert h.shape == w.shape == (h.size,)
    assert (w > 0).all()
    assert (np.diff(h) > 0).all()
    expected = [1.0, q, 3 * q**2, 15 * q**3]
    assert_allclose([w @ h**k for k in (0, 2, 4, 6)], expected, rtol=1e-14)
    assert abs(w @ h) < 1e-15 * math.sqrt(q)
    assert h[-1] > 37 * math.sqrt(q)


def test_rare_values_count():
    # E[exp(8 z)] = exp(32): all of it from beyond z = 5
    soft = get_activation("softplus")
    assert_allclose(
        gaussian_average(lambda h: np.exp(8 * h), 1.0, activation=soft), math.exp(32), 1e-14
    )


def test_no_panel_holds_a_kink():
    h, w = gaussian_nodes(get_activation("hard_tanh"), 2.0)
    assert_allclose(w[np.abs(h) < 1].sum(), special.erf(0.5), rtol=1e-14)


def test_zero_variance():
    h, w = gaussian_nodes(get_activation("tanh"), 0.0)
    assert_array_equal(h, [0.0])
    assert_array_equal(w, [1.0])
    relu = get_activation("relu")
    assert slope_moment(relu, 0.0) == 0.5
    assert_allclose(slope_moment(relu, 1e-300), 0.5, rtol=1e-15)
    assert second_moment(relu, 0.0) == 0
    assert second_moment(get_activation("sigmoid"), 0.0) == 0.25


def test_nodes_are_kept_and_cannot_be_spoilt():
    tanh = get_activation("tanh")
    h, w = gaussian_nodes(tanh, 0.123)
    assert gaussian_nodes(tanh, 0.123)[0] is h
    for array in (h, w):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_only_some_nodes_are_kept():
    mesh = mesh_of(scaled("tanh", 2.0))
    first = mesh.gaussian_nodes(1.0)[0]
    for q in np.linspace(2, 3, 200):
        mesh.gaussian_nodes(float(q))
    again = mesh.gaussian_nodes(1.0)[0]
    assert again is not first
    assert_array_equal(again, first)


# ---------------------------------------------------------------------- shapes
def test_shapes_of_averages():
    tanh = get_activation("tanh")
    q = np.array([[0.5, 1.0, 2.0], [0.0, 0.5, 1.0]])

    def powers(h):
        return np.stack([h**2, h**4])

    values = gaussian_average(powers, q, activation=tanh)
    assert values.shape == (2, 2, 3)
    assert_allclose(values, [q, 3 * q**2], rtol=1e-14)
    assert gaussian_average(powers, 1.0, activation=tanh).shape == (2,)
    assert gaussian_average(np.square, 1.0, activation=tanh).shape == ()
    assert gaussian_average(np.square, [], activation=tanh).shape == (0,)


def test_complex_averages():
    # E[exp(i t h)] = exp(-t^2 q / 2)
    values = gaussian_average(
        lambda h: np.exp(1j * h), [0.1, 1.0, 5.0], activation=get_activation("sin")
    )
    assert values.dtype == np.complex128
    assert_allclose(values.real, np.exp(-np.array([0.1, 1.0, 5.0]) / 2), rtol=1e-13)
    assert_allclose(values.imag, 0, atol=1e-16)


@pytest.mark.parametrize("q", [-1.0, math.nan, math.inf, [1.0, -1e-9]])
def test_impossible_variances_are_refused(q):
    tanh = get_activation("tanh")
    with pytest.raises(InputError, match="q must be"):
        gaussian_average(np.square, q, activation=tanh)
    with pytest.raises(InputError, match="q must be"):
        gaussian_nodes(tanh, q)


# ---------------------------------------------------------------------- meshes
def test_breaks_are_found_and_smooth_places_are_not():
    assert mesh_of(get_activation("tanh")).breaks.size == 0
    assert mesh_of(scaled("tanh", 50.0)).breaks.size == 0
    assert_array_equal(mesh_of(get_activation("selu")).breaks, [0.0])
    assert_array_equal(mesh_of(get_activation("hard_tanh")).breaks, [-1.0, 1.0])
    softsign = Activation(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2)
    assert softsign.kinks == ()
    assert_array_equal(mesh_of(softsign).breaks, [0.0])


def test_single_precision_functions_do_not_ask_for_endless_panels():
    def single(x):
        return np.asarray(np.tanh(np.asarray(x, dtype=np.float32)), dtype=np.float64)

    rough = Activation(single, lambda x: 1 - single(x) ** 2)
    assert mesh_of(rough).edges(1e3).size < 200
    assert_allclose(second_moment(rough, 1.0), second_moment(get_activation("tanh"), 1.0), 1e-6)


@pytest.mark.parametrize("name", ["tanh", "selu", "silu", "sin"])
def test_second_derivatives_from_the_panels(name):
    activation = get_activation(name)
    h = np.concatenate([np.linspace(-9.95, 9.97, 333), [40.0, -1e3]])
    assert_allclose(
        mesh_of(activation).curvature(h.reshape(5, 67)),
        activation.second_derivative(h).reshape(5, 67),
        atol=3e-12,
    )


def test_equal_activations_share_a_mesh_and_a_dead_one_leaves_none():
    from spinnet.propagation.averages import _MESHES

    assert mesh_of(get_activation("tanh")) is mesh_of(get_activation("tanh"))
    before = len(_MESHES)
    temporary = scaled("tanh", 3.0)
    mesh_of(temporary)
    assert len(_MESHES) == before + 1
    del temporary
    assert len(_MESHES) == before
