"""MeanField: fixed points, maps, depth scales, noise, edges."""

from __future__ import annotations

import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from spinnet import Activation, InputError, MeanField
from spinnet.propagation import (
    ACTIVATIONS,
    AdditiveGaussian,
    Dropout,
    MultiplicativeGaussian,
    leaky_relu,
    scaled_erf,
)

CONCAVE = ("tanh", "erf", "sin", "hard_tanh", "sigmoid")


# ---------------------------------------------------------------------- fixed points of the length
def test_gelu_has_three_fixed_points_and_the_input_picks_one():
    net = MeanField("gelu", sigma_w2=1.9881, sigma_b2=0.165)
    points = net.fixed_points()
    assert [p.stable for p in points] == [True, False, True]
    np.testing.assert_allclose([p.q for p in points], [1.583, 3.291, 10.607], atol=5e-4)
    np.testing.assert_allclose([points[0].chi_1, points[2].chi_1], [0.955, 1.016], atol=1e-3)
    # the map itself, iterated from either side of the unstable point, ends where q_star says
    for q0, phase in ((0.1, "ordered"), (3.2, "ordered"), (3.4, "chaotic"), (100.0, "chaotic")):
        chosen = MeanField("gelu", sigma_w2=1.9881, sigma_b2=0.165, q0=q0)
        assert chosen.phase == phase
        assert net.propagate_length(q0, 12_000)[-1] == pytest.approx(chosen.q_star, rel=1e-9)


def test_gelu_without_bias_dies_or_grows():
    net = MeanField("gelu", sigma_w2=2.1, sigma_b=0.0)
    assert [(p.q == 0, p.stable) for p in net.fixed_points()] == [(True, True), (False, False)]
    assert net.fixed_points()[1].q == pytest.approx(3.105, abs=5e-4)
    assert net.q_star == 0
    grows = MeanField("gelu", sigma_w2=2.1, sigma_b=0.0, q0=4.0)
    assert grows.q_star == math.inf
    assert grows.phase == "unbounded"
    assert math.isnan(grows.c_star)


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_a_map_that_tends_to_the_identity_has_no_roots_there(name):
    # sigma_w^2 = 2: V(q) / q -> 1 as q grows
    assert [p.q for p in MeanField(name, math.sqrt(2), 0.0).fixed_points()] == [0.0]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("sigma_b", [0.0, 0.3, 1.0])
def test_fixed_points_are_fixed_and_slopes_are_slopes(name, sigma_b):
    for sigma_w in (0.7, 1.3, 2.5):
        net = MeanField(name, sigma_w, sigma_b)
        for point in net.fixed_points():
            assert float(net.length_map(point.q)) == pytest.approx(point.q, rel=1e-13, abs=1e-300)
            if point.q > 0:
                h = 1e-5 * point.q
                lower, upper = net.length_map([point.q - h, point.q + h])
                assert (upper - lower) / (2 * h) == pytest.approx(point.slope, abs=1e-8)
            assert point.stable == (abs(point.slope) < 1)


@pytest.mark.parametrize("name", CONCAVE)
def test_concave_maps_have_one_stable_length_and_a_scan_finds_no_other(name):
    net = MeanField(name, 2.5, 0.3)
    q = np.geomspace(1e-8, 1e4, 20_001)
    changes = np.flatnonzero(np.diff(np.sign(net.length_map(q) - q)))
    assert len(changes) == len(net.fixed_points()) == 1
    assert q[changes[0]] <= net.q_star <= q[changes[0] + 1]


def test_two_lengths_about_to_merge_are_both_found():
    # just inside and just outside the saddle-node at the upper end of gelu's bistable window
    # raise sigma_b^2 until the stable and the unstable root are less than 1 % apart
    lift = np.linspace(0, 0.3, 301)
    counts = [len(MeanField("gelu", sigma_w2=2.05, sigma_b2=b).fixed_points()) for b in lift]
    assert set(counts) == {0, 2}
    last = int(np.flatnonzero(counts)[-1])
    low, high = lift[last], lift[last + 1]
    for _ in range(20):
        middle = (low + high) / 2
        found = len(MeanField("gelu", sigma_w2=2.05, sigma_b2=middle).fixed_points())
        low, high = (middle, high) if found else (low, middle)
    pair = MeanField("gelu", sigma_w2=2.05, sigma_b2=low).fixed_points()
    assert len(pair) == 2
    assert pair[1].q / pair[0].q < 1.01
    assert [p.stable for p in pair] == [True, False]


def test_relu_lines():
    assert MeanField("relu", 1.2, 0.3).q_star == pytest.approx(0.09 / (1 - 0.72), rel=1e-14)
    marginal = MeanField("relu", math.sqrt(2), 0.0)
    assert math.isnan(marginal.q_star)
    assert marginal.is_marginal
    assert marginal.phase == "marginal"
    assert marginal.fixed_points() == ()
    assert marginal.xi_q == marginal.xi_c == math.inf
    assert MeanField("relu", math.sqrt(2), 0.0, q0=3.7).q_star == 3.7
    assert MeanField("relu", 1.5, 0.1).q_star == math.inf
    assert MeanField("relu", math.sqrt(2), 0.1).q_star == math.inf
    assert MeanField("relu", 1.0, 1.0, keep=0.5).q_star == math.inf
    assert MeanField("relu", 1.0, 0.0).q_star == 0
    assert MeanField("leaky_relu", sigma_w2=2 / 1.01, sigma_b=0).is_marginal


@pytest.mark.parametrize("name", ["tanh", "sin", "hard_tanh"])
def test_signals_die_up_to_sigma_w_of_one(name):
    for sigma_w in (0.5, 1.0):
        net = MeanField(name, sigma_w, 0.0)
        assert net.q_star == 0
        assert net.c_star == 1
    assert MeanField(name, 1.0, 0.0).xi_q == math.inf
    assert MeanField(name, 1.0, 0.0).phase == "critical"
    assert MeanField(name, 1.001, 0.0).q_star > 0


@pytest.mark.parametrize("sigma_b", [1e-3, 1e-8, 1e-12, 1e-25])
def test_a_trace_of_bias_at_the_corner(sigma_b):
    # sigma_w = 1: q* of tanh ~ (b / 2)^(1/2); of hard_tanh b = 2 int_1^inf (h^2 - 1) dN(0, q)
    tanh = MeanField("tanh", 1.0, sigma_b)
    assert tanh.q_star == pytest.approx(sigma_b / math.sqrt(2), rel=2 * sigma_b + 1e-12)
    q = MeanField("hard_tanh", 1.0, sigma_b).q_star
    z = 1 / math.sqrt(q)
    tail = special.ndtr(-z)
    lost = 2 * (q * (z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + tail) - tail)
    assert lost == pytest.approx(sigma_b**2, rel=1e-10)


def test_tricritical_decay_of_the_length():
    path = MeanField("tanh", 1.0, 0.0).propagate_length(1.0, 5000)
    assert 2 * 5000 * path[-1] == pytest.approx(1, abs=1e-3)


# ---------------------------------------------------------------------- correlations
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_stable_correlation_is_where_the_map_ends(name):
    for sigma_w in (0.9, 1.3, 2.5):
        net = MeanField(name, sigma_w, 0.4)
        if not math.isfinite(net.q_star):
            continue
        assert float(net.correlation_map(net.c_star)) == pytest.approx(net.c_star, abs=1e-14)
        if net.xi_c > 15 or (name == "selu" and net.xi_c > 3):  # two-dimensional quadrature
            continue
        depth = int(30 * net.xi_c) + 5
        path = net.propagate_correlation([0.1, 0.9], depth)
        np.testing.assert_allclose(path[-1], net.c_star, atol=1e-11)
        assert float(net.correlation_slope(net.c_star)) == pytest.approx(net.chi_c, abs=1e-12)
        assert float(net.correlation_map(1.0)) == pytest.approx(1.0, abs=1e-14)
        # c approaches c* by the factor chi_c per layer
        tail = np.abs(path[:, 0] - net.c_star)
        good = np.flatnonzero((tail > 1e-9) & (tail < 1e-6))
        if len(good) > 1:
            steps = good[-1] - good[0]
            rate = (tail[good[-1]] / tail[good[0]]) ** (1 / steps)
            assert rate == pytest.approx(net.chi_c, abs=1e-4)


def test_correlation_slope_is_the_slope_of_the_map():
    for name in ("tanh", "relu", "hard_tanh", "gelu", "softplus"):
        net = MeanField(name, 1.2, 0.3)
        c = np.array([-0.8, -0.1, 0.0, 0.6, 0.97])
        h = 1e-5
        numeric = (net.correlation_map(c + h) - net.correlation_map(c - h)) / (2 * h)
        np.testing.assert_allclose(net.correlation_slope(c), numeric, atol=1e-8)


def test_odd_activation_without_bias_decorrelates_completely():
    for name in ("tanh", "erf", "sin", "hard_tanh"):
        net = MeanField(name, 2.5, 0.0)
        assert net.c_star == 0
        assert net.chi_c == pytest.approx(float(net.correlation_slope(0.0)), abs=1e-14)
        assert net.phase == "chaotic"


def test_corner_of_the_phase_diagram():
    # sigma_w = 1 + eps, sigma_b = 0: xi_c -> 3 / (2 eps^2)
    assert MeanField("tanh", 1 + 1e-3, 0).xi_c == pytest.approx(1504998.55, abs=0.01)
    assert MeanField("tanh", 1 + 1e-6, 0).xi_c == pytest.approx(1.500005e12, rel=1e-6)
    eps = 1e-5
    net = MeanField("tanh", 1 + eps, 0)
    assert net.q_star == pytest.approx(eps + 4 / 3 * eps**2, rel=1e-9)
    assert net.one_minus_chi_c == pytest.approx(2 / 3 * eps**2, rel=1e-4)
    assert MeanField("tanh", 1 + 1e-9, 0).phase == "chaotic"
    for eps in (1e-12, 2.0**-30, 1e-4):  # sin: (sigma_w^2 - 1) q = sigma_w^2 (q - F) = q^2 + ...
        sigma_w = 1 + eps
        expected = (sigma_w - 1) * (sigma_w + 1) / sigma_w**2
        assert MeanField("sin", sigma_w, 0).q_star == pytest.approx(expected, rel=2 * eps + 1e-14)


def test_depth_scale_from_both_sides_of_the_line():
    critical = 1.395583975154902
    below, above = (MeanField("tanh", critical * (1 + s * 1e-3), 0.3) for s in (-1, 1))
    assert below.xi_c == pytest.approx(1184.4, abs=0.05)
    assert above.xi_c == pytest.approx(1189.6, abs=0.05)
    assert (below.phase, above.phase) == ("ordered", "chaotic")
    assert below.xi_grad > 0 > above.xi_grad


def test_unequal_lengths_converge_to_the_same_fixed_point():
    net = MeanField("tanh", 2.5, 0.3)
    path = net.propagate_correlation(0.3, 200, q1=0.1, q2=9.0)
    assert path[-1] == pytest.approx(net.c_star, abs=1e-12)
    equal = net.propagate_correlation([0.3], 5, q1=net.q_star)
    np.testing.assert_allclose(equal, net.propagate_correlation([0.3], 5), atol=1e-13)


def test_sin_far_beyond_its_period():
    # q = w / 2 + b to e^-q, and (1 - c) q = y solves y = (w / 2)(1 - e^-y)
    net = MeanField("sin", 1.5, 3e5)
    y = optimize.brentq(lambda y: y + 1.125 * math.expm1(-y), 0.05, 1.0, xtol=1e-15)
    assert net.q_star == pytest.approx(9e10 + 1.125, rel=1e-15)
    assert net.one_minus_c_star * net.q_star == pytest.approx(y, rel=1e-12)
    assert net.chi_c == pytest.approx(1.125 * math.exp(-y), rel=1e-12)


def test_faint_networks_keep_their_digits():
    net = MeanField("linear", 1.000025e-5, 0.0)
    assert net.chi_1 == net.chi_q == pytest.approx(1.000025e-5**2, rel=1e-15)


def test_identical_and_opposite_inputs():
    net = MeanField("tanh", 1.3, 0.0, q0=1.0)
    np.testing.assert_allclose(net.correlation_map([1.0, -1.0]), [1.0, -1.0], atol=1e-15)
    quiet = MeanField("tanh", 0.5, 0.0)  # q* = 0: the map of weak signals is linear
    np.testing.assert_allclose(quiet.correlation_map([0.3, -0.7]), [0.3, -0.7], atol=1e-15)


# ---------------------------------------------------------------------- noise
def test_dropout_moves_the_fixed_point_away_from_one():
    net = MeanField("tanh", 1.3, 0.3, keep=0.9)
    assert net.q_star == pytest.approx(0.7198, abs=5e-5)
    assert net.c_star == pytest.approx(0.5122, abs=5e-5)
    lost = (1 / 0.9 - 1) * 1.69 * float(net.activation.kernel.second_moment(net.q_star))
    assert 1 - float(net.correlation_map(1.0)) == pytest.approx(lost / net.q_star, rel=1e-13)
    assert net.gradient_factor == pytest.approx(net.chi_1 / 0.9)
    assert net.phase == "noisy"
    relu = MeanField("relu", 1.2, 0.3, keep=0.9)
    assert (round(relu.q_star, 4), round(relu.c_star, 4)) == (0.45, 0.7896)


@pytest.mark.parametrize(("keep", "xi"), [(0.99, 14.478), (0.98, 10.505), (0.94, 6.174)])
def test_dropout_makes_the_depth_scale_finite(keep, xi):
    assert MeanField("tanh", sigma_w2=1.7603, sigma_b2=0.05, keep=keep).xi_c == pytest.approx(
        xi, abs=5e-4
    )


def test_noises_that_are_the_same_to_the_theory():
    keep = 0.8
    dropout = MeanField("gelu", 1.2, 0.3, keep=keep)
    gaussian = MeanField("gelu", 1.2, 0.3, noise=MultiplicativeGaussian(math.sqrt(1 / keep - 1)))
    assert dropout.c_star == pytest.approx(gaussian.c_star, rel=1e-13)
    assert dropout.xi_c == pytest.approx(gaussian.xi_c, rel=1e-12)
    shared = MeanField("gelu", 1.2, 0.3, noise=Dropout(keep, shared=True))
    wider = MeanField("gelu", 1.2 / math.sqrt(keep), 0.3)
    for attribute in ("q_star", "chi_1", "c_star", "xi_c", "xi_grad", "phase"):
        a, b = getattr(shared, attribute), getattr(wider, attribute)
        assert a == b if isinstance(a, str) else a == pytest.approx(b, rel=1e-10)
    additive = MeanField("tanh", 1.5, 0.3, noise=AdditiveGaussian(0.2, shared=True))
    biased = MeanField("tanh", 1.5, sigma_b2=0.09 + 1.5**2 * 0.04)
    assert additive.xi_c == pytest.approx(biased.xi_c, rel=1e-12)
    assert MeanField("tanh", 1.5, 0.3, noise=AdditiveGaussian(0.2)).q_star == pytest.approx(
        biased.q_star
    )


def test_xi_with_dropout_at_criticality_goes_like_the_root_of_the_noise():
    # xi ~ (2 delta q chi_2)^(-1/2) as delta -> 0
    critical = 1.395583975154902
    for keep in (1 - 1e-6, 1 - 1e-8):
        net = MeanField("tanh", critical, 0.3, keep=keep)
        kernel, q = net.activation.kernel, net.q_star
        delta = (1 / keep - 1) * critical**2 * float(kernel.second_moment(q)) / q
        chi_2 = critical**2 * float(kernel.curvature_moment(q))
        predicted = (2 * delta * q * chi_2) ** -0.5
        assert net.xi_c == pytest.approx(predicted, rel=10 * math.sqrt(1 - keep))


# ---------------------------------------------------------------------- properties
@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["tanh", "erf", "relu", "hard_tanh", "gelu", "sigmoid", "sin", "linear"]),
    st.just(0.0) | st.floats(1e-30, 6),
    st.just(0.0) | st.floats(1e-30, 3),
    st.floats(0.3, 1),
)
def test_every_point_has_numbers_or_a_reason(name, sigma_w, sigma_b, keep):
    net = MeanField(name, sigma_w, sigma_b, keep)
    if net.phase in ("marginal", "unbounded"):
        return
    assert net.q_star >= sigma_b**2 * (1 - 1e-12)
    assert 0 <= net.c_star <= 1
    assert -1e-12 <= net.chi_c <= 1 + 1e-12
    assert not math.isnan(net.xi_c + net.xi_grad)
    assert float(net.correlation_map(net.c_star)) == pytest.approx(net.c_star, abs=1e-9)


def test_rescaling_the_activation_rescales_the_weights():
    a, b = 0.7, 1.9  # a erf(b x) at (sigma_w, sigma_b) is erf at (a b sigma_w, b sigma_b)
    scaled = MeanField(scaled_erf(a, b), 1.4, 0.3)
    plain = MeanField("erf", a * b * 1.4, b * 0.3)
    assert scaled.q_star * b**2 == pytest.approx(plain.q_star, rel=1e-13)
    assert scaled.xi_c == pytest.approx(plain.xi_c, rel=1e-11)


def test_leaky_relu_of_slope_one_is_linear():
    leaky, linear = MeanField(leaky_relu(1.0), 0.9, 0.1), MeanField("linear", 0.9, 0.1)
    assert leaky.q_star == linear.q_star
    assert leaky.activation.is_smooth


def test_no_weights_leave_the_biases():
    net = MeanField("tanh", 0.0, 0.5)
    assert (net.q_star, net.c_star, net.chi_1, net.xi_c) == (0.25, 1.0, 0.0, 0.0)
    nothing = MeanField("tanh", 0.0, 0.0)
    assert (nothing.q_star, nothing.xi_c) == (0.0, 0.0)


def test_named_activations_survive_pickling():
    for name in ACTIVATIONS:
        activation = MeanField(name, 1.0, 0.5).activation
        copy = pickle.loads(pickle.dumps(activation))
        assert copy == activation
        assert copy.kinks == activation.kinks
    copy = pickle.loads(pickle.dumps(leaky_relu(0.3)))
    assert copy == leaky_relu(0.3)
    assert copy != leaky_relu(0.2)


# ---------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tanh", -1.0, 0.3), "sigma_w must be >= 0, got -1.0"),
        (("tanh", 1.0, -0.3), "sigma_b must be >= 0"),
        (("tanh", math.nan, 0.3), "sigma_w must be finite"),
        (("tanh", [1.0, 2.0], 0.3), "sigma_w must be a single number"),
        (("tanh", "wide", 0.3), "sigma_w must be real numbers"),
        (("tanh", 1e9, 0.3), "sigma_w must be 0 or from 1e-30 to 1e\\+06, got 1e\\+09"),
        (("tanh", 1.0, 1e-200), "sigma_b must be 0 or from 1e-30"),
        (("tanh", 1.0, 0.3, 0.0), "keep must be > 0"),
        (("tanh", 1.0, 0.3, 1.1), r"keep must be a probability in \(0, 1\], got 1.1"),
        (("tahn", 1.0, 0.3), "did you mean 'tanh'"),
        ((np.tanh, 1.0, 0.3), "wrap a function of your own in spinnet.Activation"),
        (("tanh",), "give sigma_w or sigma_w2"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(InputError, match=message):
        MeanField(*arguments)


def test_bad_arguments_of_methods():
    net = MeanField("tanh", 1.5, 0.3)
    with pytest.raises(InputError, match=r"c must be in \[-1, 1\], got 1.5"):
        net.correlation_map([0.2, 1.5])
    with pytest.raises(InputError, match="q must be >= 0"):
        net.length_map(-1.0)
    with pytest.raises(InputError, match="depth must be an integer >= 0"):
        net.propagate_length(1.0, -1)
    with pytest.raises(InputError, match="must broadcast"):
        net.propagate_correlation([0.1, 0.2], 3, q1=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="q1 must be given"):
        net.propagate_correlation(0.1, 3, q2=1.0)
    with pytest.raises(InputError, match="give sigma_w or sigma_w2"):
        MeanField("tanh", 1.0, 0.3, sigma_w2=1.0)
    with pytest.raises(InputError, match="give keep or noise"):
        MeanField("tanh", 1.0, 0.3, keep=0.9, noise=Dropout(0.8))
    with pytest.raises(InputError, match="noise must be Dropout"):
        MeanField("tanh", 1.0, 0.3, noise="dropout")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="q0 must be >= 0"):
        MeanField("tanh", 1.0, 0.3, q0=-1.0)


def test_the_summary_says_what_there_is():
    text = MeanField("gelu", sigma_w2=1.9881, sigma_b2=0.165).summary()
    assert text.startswith("MeanField('gelu', sigma_w=1.41, sigma_b=0.406202): ordered\n")
    assert "another fixed point of the length, unstable: q = 3.29127" in text
    assert "another fixed point of the length, stable: q = 10.6065" in text
    assert re.search(r"xi_c +21\.56 +layers, e-fold of the correlation", text)
    assert "nan" in MeanField("relu", 2.0, 0.3).summary()


def test_a_function_of_the_users_own():
    net = MeanField(
        Activation(np.tanh, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2), 2.5, 0.3
    )
    built_in = MeanField("tanh", 2.5, 0.3)
    for attribute in ("q_star", "chi_q", "chi_1", "c_star", "chi_c"):
        assert getattr(net, attribute) == pytest.approx(getattr(built_in, attribute), abs=1e-11)
