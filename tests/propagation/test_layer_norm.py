"""Layer normalisation: the map at q = 1, its fixed point, and networks that normalise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation.activations import get_activation, scaled_erf
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.layer_norm import LayerNormMeanField

GRID = np.linspace(-1, 1, 41)


def test_slopes_of_tanh_and_relu():
    assert LayerNormMeanField("tanh", 1.0, 0.0).chi_1 == pytest.approx(1.177807, abs=5e-7)
    relu = LayerNormMeanField("relu", 1.0, 0.0)
    assert relu.chi_1 == 1
    assert relu.phase == "critical"
    assert relu.xi_c == relu.xi_grad == math.inf
    assert relu.c_star == 1


def test_erf_in_closed_form():
    # F(1) = (2/pi) asin(2/3), E[phi'^2] = (4/pi)/sqrt(5), H = (2/pi) asin(2c/3)
    w2, b2 = 1.7, 0.2
    net = LayerNormMeanField("erf", math.sqrt(w2), math.sqrt(b2))
    variance = w2 * 2 / math.pi * math.asin(2 / 3) + b2
    expected = (w2 * 2 / math.pi * np.arcsin(2 * GRID / 3) + b2) / variance
    np.testing.assert_allclose(net.correlation_map(GRID), expected, rtol=0, atol=1e-15)
    assert net.chi_1 == pytest.approx(w2 * 4 / math.pi / math.sqrt(5) / variance, rel=1e-15)
    slope = w2 * 4 / math.pi / np.sqrt(9 - 4 * GRID**2) / variance
    np.testing.assert_allclose(net.correlation_slope(GRID), slope, rtol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "hard_tanh", "sin", "silu"])
def test_it_is_the_plain_network_whose_length_is_one(name):
    # dividing by the standard deviation is dividing the weights by it: q = 1 is then fixed
    net = LayerNormMeanField(name, 1.4, 0.25)
    root = math.sqrt(net.variance)
    plain = MeanField(name, 1.4 / root, 0.25 / root, q0=1.0)
    assert plain.length_map(1.0) == pytest.approx(1.0, rel=1e-15)
    assert plain.q_star == pytest.approx(1.0, rel=1e-10)
    np.testing.assert_allclose(net.correlation_map(GRID), plain.correlation_map(GRID), atol=1e-9)
    assert net.chi_1 == pytest.approx(plain.chi_1, rel=1e-9)
    assert net.c_star == pytest.approx(plain.c_star, rel=1e-7)
    assert net.xi_c == pytest.approx(plain.xi_c, rel=1e-7)


@pytest.mark.parametrize("name", ["tanh", "gelu", "hard_tanh", "silu", "erf"])
def test_the_fixed_point_is_fixed_and_iteration_reaches_it(name):
    net = LayerNormMeanField(name, 1.0, 0.1)
    assert net.phase == "chaotic"
    assert 0 < net.c_star < 1
    assert float(net.correlation_map(net.c_star)) == pytest.approx(net.c_star, abs=4e-16)
    path = net.propagate_correlation([0.0, 0.999], 600)
    np.testing.assert_allclose(path[-1], net.c_star, rtol=1e-5)
    assert net.chi_c == pytest.approx(float(net.correlation_slope(net.c_star)), rel=1e-13)
    # errors shrink by chi_c per layer: xi_c is that of the iteration
    small = np.abs(path[150:160, 0] - net.c_star)
    assert -1 / np.log(small[1:] / small[:-1]).mean() == pytest.approx(net.xi_c, rel=0.05)


def test_without_biases_the_weights_do_not_matter_and_odd_functions_decorrelate():
    for name in ("tanh", "sin", "hard_tanh"):
        one, three = (LayerNormMeanField(name, w, 0.0) for w in (1.0, 3.0))
        assert one.chi_1 == pytest.approx(three.chi_1, rel=1e-15)
        assert one.c_star == three.c_star == 0
        assert one.chi_c == pytest.approx(float(one.correlation_slope(0.0)), rel=1e-14)
    constant = LayerNormMeanField("tanh", 0.0, 1.0)
    assert constant.chi_1 == 0
    assert constant.xi_c == 0
    np.testing.assert_array_equal(constant.correlation_map(GRID), 1)


def test_next_to_criticality_both_slopes_keep_their_digits():
    # sigma_b moves chi_1 through 1; C(1 - e) = 1 - chi_1 e + bend e^2/2 gives 1 - chi_c = chi_1 - 1
    kernel = get_activation("gelu").kernel
    second, slope = float(kernel.second_moment(1.0)), float(kernel.slope_moment(1.0))
    for gap in (1e-4, 1e-7, 1e-10):
        bias = math.sqrt(slope / (1 + gap) - second)
        net = LayerNormMeanField("gelu", 1.0, bias)
        assert net.phase == "chaotic"
        bend = float(kernel.curvature_moment(1.0)) / net.variance
        rounding = 1e-15 / gap
        assert net.one_minus_c_star == pytest.approx(2 * gap / bend, rel=5 * gap + 4 * rounding)
        assert net.one_minus_chi_c == pytest.approx(gap, rel=5 * gap + 4 * rounding)
        assert net.xi_grad == pytest.approx(-1 / gap, rel=gap + 4 * rounding)


@pytest.mark.statistical
@pytest.mark.parametrize(("name", "sigma_b"), [("tanh", 0.0), ("relu", 0.0), ("gelu", 0.3)])
def test_networks_that_normalise(name, sigma_b):
    # 16 networks of 500 units; 3 numbers within 5 standard errors of the theory (t law of 15
    # degrees of freedom: a false alarm once in 6000 each); shifts O(1/N) are below half an error
    activation = get_activation(name)
    net = LayerNormMeanField(name, 1.3, sigma_b)
    width, depth, close = 500, 5, 1e-4
    c0 = np.array([0.3, 0.9, 1 - close])
    rng = np.random.default_rng(20161106)
    seen = []
    for _ in range(16):
        g = rng.standard_normal((width, 4))
        h = np.column_stack([g[:, [0]], c0 * g[:, [0]] + np.sqrt(1 - c0**2) * g[:, 1:]])
        for _ in range(depth):
            weights = rng.standard_normal((width, width)) * (1.3 / math.sqrt(width))
            h = weights @ activation(h) + sigma_b * rng.standard_normal((width, 1))
            h = (h - h.mean(axis=0)) / h.std(axis=0)
        seen.append(1 - np.mean(h[:, [0]] * h[:, 1:], axis=0))
    seen = np.log(np.array(seen))  # the distance of close inputs is a product over layers
    expected = np.log(1 - net.propagate_correlation(c0, depth)[-1])
    error = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
    assert np.all(error < 0.1)
    # a logarithm of scatter s lies s^2/2 below the logarithm of the mean
    shift = seen.var(axis=0, ddof=1) / 2
    assert np.all(np.abs(seen.mean(axis=0) + shift - expected) < 5 * error)


def test_refusals():
    with pytest.raises(InputError, match="sigma_w"):
        LayerNormMeanField("tanh", -1.0, 0.0)
    with pytest.raises(InputError, match="finite variance > 0"):
        LayerNormMeanField("tanh", 0.0, 0.0)
    with pytest.raises(InputError, match=r"c must be in \[-1, 1\], got 1.5"):
        LayerNormMeanField("tanh", 1.0, 0.0).correlation_map([0.0, 1.5])
    with pytest.raises(InputError, match=r"c0 must be in \[-1, 1\]"):
        LayerNormMeanField("tanh", 1.0, 0.0).propagate_correlation(-2.0, 3)
    with pytest.raises(InputError, match="depth"):
        LayerNormMeanField("tanh", 1.0, 0.0).propagate_correlation(0.5, -1)


def test_an_activation_of_ones_own():
    net = LayerNormMeanField(scaled_erf(2.0, 0.7, 0.0), 1.0, 0.0)
    assert net.chi_1 == pytest.approx(
        0.98 / 1.98 / math.asin(0.98 / 1.98) * 1.98 / math.sqrt(1.98**2 - 0.98**2), rel=1e-14
    )
