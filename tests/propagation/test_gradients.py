"""Gradient profiles, trainable depth, iterations, and the two classes of critical decay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinnet.errors import ConvergenceError, InputError
from spinnet.propagation import AdditiveGaussian, Dropout, MeanField, MultiplicativeGaussian
from spinnet.propagation.critical import critical_sigma_w
from spinnet.propagation.gradients import (
    critical_decay,
    gradient_profile,
    iterations,
    max_depth,
)

EPS = float(np.finfo(float).eps)


# ------------------------------------------------------------------ profiles
@pytest.mark.parametrize("sigma_w", [1.3, 2.5])
def test_constant_width_decays_with_xi_grad(sigma_w: float) -> None:
    net = MeanField("tanh", sigma_w, 0.3)
    profile = gradient_profile(net, 30)
    back = np.arange(30, -1, -1)
    assert profile.variance == pytest.approx(np.exp(-back / net.xi_grad), rel=1e-11)
    assert profile.covariance == pytest.approx(np.exp(-back / net.xi_c), rel=1e-11)
    assert profile.norm_squared == pytest.approx(profile.variance)
    assert (net.xi_grad > 0) == (sigma_w == 1.3)
    ratio = profile.correlation[:-1] / profile.correlation[1:]
    assert ratio == pytest.approx(np.full(30, net.chi_c / net.chi_1), rel=1e-11)
    # squared norm of dE/dW per weight: variance times the activity below
    activity = (net.q_star - 0.3**2) / sigma_w**2
    assert profile.weight_norm_squared == pytest.approx(profile.variance[1:] * activity)


def test_widths_enter_as_the_next_layer_over_this_one() -> None:
    net = MeanField("tanh", 1.7, 0.4)
    widths = [50, 20, 80, 10]
    profile = gradient_profile(net, 3, widths=widths)
    for layer in (2, 1, 0):
        factor = net.chi_1 * widths[layer + 1] / widths[layer]
        assert profile.variance[layer] == pytest.approx(factor * profile.variance[layer + 1])
        assert profile.norm_squared[layer] == pytest.approx(widths[layer] * profile.variance[layer])
        below = (net.q_star - 0.16) / 1.7**2
        expected = widths[layer + 1] * widths[layer] * profile.variance[layer + 1] * below
        assert profile.weight_norm_squared[layer] == pytest.approx(expected)
        slope = net.chi_c * widths[layer + 1] / widths[layer]
        assert profile.covariance[layer] == pytest.approx(slope * profile.covariance[layer + 1])
    assert profile.variance[-1] == profile.covariance[-1] == 1
    assert profile.norm_squared[-1] == 10
    constant = gradient_profile(net, 3, widths=7)
    assert constant.widths.tolist() == [7, 7, 7, 7]
    per_unit = gradient_profile(net, 3)
    assert constant.variance == pytest.approx(per_unit.variance)
    assert constant.norm_squared == pytest.approx(7 * per_unit.norm_squared)
    assert constant.weight_norm_squared == pytest.approx(49 * per_unit.weight_norm_squared)


def test_relu_at_criticality_keeps_the_norm_of_every_gradient() -> None:
    profile = gradient_profile(MeanField("relu", math.sqrt(2), 0.0), 40, widths=8, q1=3.0)
    assert profile.q == pytest.approx(np.full(41, 3.0))
    assert profile.norm_squared == pytest.approx(np.full(41, 8.0))
    assert profile.weight_norm_squared == pytest.approx(np.full(40, 8 * 8 * 1.5))


def test_off_equilibrium_each_layer_has_its_own_slopes() -> None:
    net = MeanField("erf", 1.5, 0.2)
    c0 = np.array([[0.2, 0.9], [1.0, -0.4]])
    profile = gradient_profile(net, 4, q1=6.0, c0=c0)
    q, c = 6.0, c0
    slopes, pairs = [], []
    for layer in range(4):
        assert profile.q[layer] == pytest.approx(q, rel=1e-13)
        assert profile.c[layer] == pytest.approx(c, abs=1e-13)
        norm = 1 + 2 * q
        slopes.append(1.5**2 * 4 / math.pi / math.sqrt(1 + 4 * q))
        pairs.append(1.5**2 * 4 / math.pi / np.sqrt(norm**2 - (2 * q * c) ** 2))
        p = 1.5**2 * 2 / math.pi * np.arcsin(2 * q * c / norm) + 0.04
        q = 1.5**2 * 2 / math.pi * math.asin(2 * q / norm) + 0.04
        c = p / q
    assert profile.variance == pytest.approx([math.prod(slopes[k:]) for k in range(5)])
    assert profile.covariance.shape == (5, 2, 2)
    for k in range(4):
        assert profile.covariance[k] == pytest.approx(np.prod(pairs[k:], axis=0), rel=1e-12)
    # equal inputs have equal gradients
    assert profile.covariance[:, 1, 0] == pytest.approx(profile.variance)
    assert profile.correlation[:, 1, 0] == pytest.approx(np.ones(5))


def test_dropout_multiplies_the_variance_by_one_over_keep_and_not_the_covariance() -> None:
    net = MeanField("tanh", 1.3, 0.3, keep=0.9)
    profile = gradient_profile(net, 14)
    kernel, q = net.activation.kernel, net.q_star
    slope = 1.3**2 * float(kernel.slope_moment(q))
    assert profile.variance[0] == pytest.approx((slope / 0.9) ** 14, rel=1e-12)
    assert profile.covariance[0] == pytest.approx(net.chi_c**14, rel=1e-12)
    # finite networks gave .9775 where the theory has .9846, and .791 for ReLU, sigma_w = 1.2
    assert profile.variance[0] ** (1 / 14) == pytest.approx(0.9846, abs=5e-5)
    relu = gradient_profile(MeanField("relu", 1.2, 0.3, keep=0.9), 1)
    assert relu.variance[0] == pytest.approx(0.8, rel=1e-12)
    # weights' gradients see the masked activity
    masked = float(kernel.second_moment(q)) / 0.9
    assert profile.weight_norm_squared[-1] == pytest.approx(masked)
    shared = gradient_profile(MeanField("tanh", 1.3, 0.3, noise=Dropout(0.9, shared=True)), 5)
    plain = gradient_profile(MeanField("tanh", 1.3 / math.sqrt(0.9), 0.3), 5)
    assert shared.variance == pytest.approx(plain.variance, rel=1e-12)
    assert shared.covariance == pytest.approx(plain.covariance, rel=1e-12)


def test_gaussian_noise_enters_the_gradients_or_only_the_lengths() -> None:
    factor = MeanField("tanh", 1.3, 0.3, noise=MultiplicativeGaussian(0.5))
    same = MeanField("tanh", 1.3, 0.3, keep=0.8)  # 1 + 0.5^2 = 1/0.8
    assert gradient_profile(factor, 5).variance == pytest.approx(gradient_profile(same, 5).variance)
    term = MeanField("tanh", 1.3, 0.3, noise=AdditiveGaussian(0.4))
    profile = gradient_profile(term, 5)
    kernel, q = term.activation.kernel, term.q_star
    assert profile.variance[-2] == pytest.approx(1.69 * float(kernel.slope_moment(q)))
    assert profile.weight_norm_squared[-1] == pytest.approx(float(kernel.second_moment(q)) + 0.16)


def test_signals_that_die_out_have_the_slope_at_zero() -> None:
    profile = gradient_profile(MeanField("tanh", 0.5, 0.0), 3)
    assert profile.q.tolist() == [0, 0, 0, 0]
    assert profile.variance == pytest.approx([0.25**3, 0.25**2, 0.25, 1])
    assert profile.weight_norm_squared.tolist() == [0, 0, 0]


@pytest.mark.statistical
@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_finite_networks_have_these_gradients(keep: float) -> None:
    """40 networks of widths 250 to 400, in logarithms, which are near normal.

    Beyond four standard errors by chance 6e-5 per number, 21 numbers each: false alarms in 3e-3.
    Corrections of order depth/width, below 5 per cent, are allowed for.
    """
    from spinnet.propagation.simulate import Ensemble

    widths = [250, 400, 300, 250, 350, 300]
    net = MeanField("tanh", 1.6, 0.3, keep)
    theory = gradient_profile(net, 5, widths, c0=[0.6])
    ensemble = Ensemble("tanh", 1.6, 0.3, keep=keep, width=300, n_networks=40, rng=3)
    found = ensemble.gradient_profile(5, widths, c0=[0.6])
    assert found.covariance is not None
    for name in ("variance", "covariance", "norm_squared", "weight_norm_squared"):
        samples = getattr(found, name).samples
        expected = np.asarray(getattr(theory, name))
        expected = expected.reshape(len(expected), 1)
        error = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
        gap = np.abs(samples.mean(axis=0) - expected)
        assert (gap <= 4 * error + 0.05 * expected).all(), name


def test_exploding_gradients_overflow_quietly_and_their_correlation_does_not() -> None:
    profile = gradient_profile(MeanField("tanh", 3.0, 0.3), 3000, c0=0.5)
    assert profile.variance[0] == math.inf
    assert 0 <= profile.correlation[0] < 1e-300
    assert np.isfinite(profile.correlation).all()


def test_bad_profiles_are_refused() -> None:
    net = MeanField("tanh", 1.3, 0.3)
    with pytest.raises(InputError, match="depth must be an integer >= 1"):
        gradient_profile(net, 0)
    with pytest.raises(InputError, match="widths must hold depth \\+ 1 = 4 numbers"):
        gradient_profile(net, 3, widths=[10, 10, 10])
    with pytest.raises(InputError, match="widths must be an integer >= 1, got 0"):
        gradient_profile(net, 1, widths=[10, 0])
    with pytest.raises(InputError, match="widths must be"):
        gradient_profile(net, 1, widths=-3)
    with pytest.raises(InputError, match=r"c0 must be in \[-1, 1\]"):
        gradient_profile(net, 1, c0=1.5)
    with pytest.raises(InputError, match="q1 must be > 0"):
        gradient_profile(net, 1, q1=0.0)
    for bad in (MeanField("relu", math.sqrt(2), 0.0), MeanField("relu", 1.5, 0.1)):
        with pytest.raises(InputError, match="q1 must be given"):
            gradient_profile(bad, 2)
    with pytest.raises(InputError, match="c0 must be given"):
        gradient_profile(MeanField("relu", 1.5, 0.1), 2, q1=1.0)


# ------------------------------------------------------------------ iterations
@pytest.mark.parametrize(
    ("sigma_w", "one_per_cent", "ten_per_cent"),
    [
        (1.3, [8, 6, 7, 7, 7, 7], [5, 3, 4, 4, 4, 4]),
        (2.5, [6, 4, 1, 3, 3, 4], [4, 3, 0, 2, 2, 2]),
        (4.0, [5, 4, 3, 2, 1, 2], [3, 3, 2, 1, 0, 1]),
    ],
)
def test_iterations_of_the_specification(
    sigma_w: float, one_per_cent: list[int], ten_per_cent: list[int]
) -> None:
    net = MeanField("tanh", sigma_w, 0.3)
    q0 = [0.1, 1, 4, 8, 12, 15]
    assert iterations(net, q0).tolist() == one_per_cent
    assert iterations(net, q0, 0.1).tolist() == ten_per_cent
    assert net.iterations(q0).tolist() == one_per_cent


def test_iterations_are_the_first_layer_within_tolerance() -> None:
    net = MeanField("gelu", 1.3, 0.4)
    q0 = np.array([[0.01, 0.5], [2.0, 80.0]])
    count = iterations(net, q0, 1e-3)
    path = np.abs(net.propagate_length(q0, 200) / net.q_star - 1)
    for index in np.ndindex(2, 2):
        first = int(count[index])
        assert path[(first, *index)] <= 1e-3
        assert (path[(slice(None, first), *index)] > 1e-3).all()
    assert iterations(net, net.q_star).tolist() == 0


def test_iterations_say_where_a_length_went_instead() -> None:
    """Two stable lengths: q0 picks one, and the other is never reached."""
    net = MeanField("gelu", sigma_w2=1.9881, sigma_b2=0.165, q0=1.0)
    assert net.q_star == pytest.approx(1.583, abs=1e-3)
    assert iterations(net, [0.5, 2.0], 0.01, limit=2000).min() > 0
    with pytest.raises(ConvergenceError, match=r"q0=20 settles at q=10\.60"):
        iterations(net, [0.5, 20.0])
    with pytest.raises(ConvergenceError, match="after limit=3 layers") as caught:
        iterations(MeanField("tanh", 1.3, 0.3), 0.1, limit=3)
    assert isinstance(caught.value.solution, np.ndarray)


def test_iterations_need_a_length_to_settle_at() -> None:
    for net in (MeanField("tanh", 0.5, 0.0), MeanField("relu", 1.5, 0.1)):
        with pytest.raises(InputError, match="positive finite q_star"):
            iterations(net, 1.0)
    net = MeanField("tanh", 1.3, 0.3)
    with pytest.raises(InputError, match="tol must be > 0"):
        iterations(net, 1.0, 0.0)
    with pytest.raises(InputError, match="q0 must be >= 0"):
        iterations(net, -1.0)


# ------------------------------------------------------------------ trainable depth
def test_max_depth_is_six_correlation_depths() -> None:
    """The depths beside which the specification lists training accuracies."""
    for variance, depth in ((1.0, 22), (1.4, 64), (3.0, 54), (4.0, 42)):
        net = MeanField("tanh", sigma_w2=variance, sigma_b2=0.05)
        assert max_depth(net) == pytest.approx(depth, abs=0.5)
    assert max_depth(net, 1.5) == pytest.approx(1.5 * net.xi_c)
    assert net.max_depth() == max_depth(net)
    assert max_depth(MeanField("relu", math.sqrt(2), 0.0)) == math.inf
    with pytest.raises(InputError, match="k must be > 0"):
        max_depth(net, 0.0)


# ------------------------------------------------------------------ critical decay
@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "gelu", "silu", "sigmoid"])
def test_smooth_activations_decay_like_one_over_depth(name: str) -> None:
    """1/(1 - c^l) grows by 1/amplitude per layer, to relative order 1 - c = 1e-5."""
    sigma_b = 1.0 if name in ("gelu", "silu") else 0.3
    net = MeanField(name, critical_sigma_w(name, sigma_b), sigma_b)
    decay = critical_decay(net)
    assert decay.exponent == 1
    path = net.propagate_correlation(1 - 1e-5, 50)
    growth = np.diff(1 / (1 - path[[0, 50]]))[0] / 50
    assert 1 / growth == pytest.approx(decay.amplitude, rel=1e-3)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "hard_tanh", "selu"])
def test_kinked_activations_decay_like_one_over_depth_squared(name: str) -> None:
    """(1 - c^l)^(-1/2) grows by amplitude^(-1/2) per layer, to relative order 1e-4."""
    sigma_b = 0.0 if name in ("relu", "leaky_relu") else 0.3
    net = MeanField(name, critical_sigma_w(name, sigma_b), sigma_b)
    decay = critical_decay(net)
    assert decay.exponent == 2
    path = net.propagate_correlation(1 - 1e-8, 50)
    growth = np.diff((1 - path[[0, 50]]) ** -0.5)[0] / 50
    # selu bends between its kinks as well, which is the next order with a larger number
    assert growth**-2 == pytest.approx(decay.amplitude, rel=5e-3 if name == "selu" else 2e-3)


def test_decay_of_sin_over_twenty_thousand_layers() -> None:
    """The map in closed form; the next order is ln(l)/l, 1e-3 there."""
    net = MeanField("sin", critical_sigma_w("sin", 0.3), 0.3)
    q, epsilon = net.q_star, 0.5
    for _ in range(20_000):  # e^-q (sinh q - sinh(q - q eps)), as a product
        half = q * epsilon / 2
        epsilon = net.sigma_w**2 / q * math.exp(-q) * 2 * math.cosh(q - half) * math.sinh(half)
    assert epsilon * 20_000 == pytest.approx(critical_decay(net).amplitude, rel=2e-3)


def test_decay_of_relu_over_a_hundred_thousand_layers() -> None:
    """The arc-cosine map; the specification has l^2 (1 - c) = 44.394 at this depth."""
    epsilon = 0.5
    for _ in range(100_000):
        angle = 2 * math.asin(math.sqrt(epsilon / 2))
        epsilon -= (math.sin(angle) - angle * math.cos(angle)) / math.pi
    assert epsilon * 1e10 == pytest.approx(44.394, abs=0.005)
    net = MeanField("relu", math.sqrt(2), 0.0)
    assert epsilon * 1e10 == pytest.approx(critical_decay(net).amplitude, rel=1e-3)


def test_relu_amplitude_is_nine_halves_of_pi_squared() -> None:
    decay = critical_decay(MeanField("relu", math.sqrt(2), 0.0))
    assert decay.amplitude == pytest.approx(4.5 * math.pi**2, rel=4 * EPS)


def test_shared_masks_only_change_the_gain() -> None:
    keep = 0.8
    sigma_w = critical_sigma_w("tanh", 0.3)
    shared = MeanField("tanh", sigma_w * math.sqrt(keep), 0.3, noise=Dropout(keep, shared=True))
    plain = critical_decay(MeanField("tanh", sigma_w, 0.3))
    assert critical_decay(shared).amplitude == pytest.approx(plain.amplitude, rel=1e-9)


def test_decay_is_refused_away_from_criticality() -> None:
    for sigma_w in (1.3, 2.5):
        with pytest.raises(InputError, match="net must be critical, chi_1 = 1, got chi_1"):
            critical_decay(MeanField("tanh", sigma_w, 0.3))
    with pytest.raises(InputError, match="noise that differs"):
        critical_decay(MeanField("tanh", critical_sigma_w("tanh", 0.3), 0.3, keep=0.9))
    with pytest.raises(InputError, match="positive finite q_star, got 0"):
        critical_decay(MeanField("tanh", 1.0, 0.0))
    with pytest.raises(InputError, match="must not be linear"):
        critical_decay(MeanField("linear", 1.0, 0.0))
    with pytest.raises(InputError, match="q grows from layer to layer"):
        critical_decay(MeanField("relu", math.sqrt(2), 0.3))


def test_exploding_signals_overflow_to_infinity_without_warnings() -> None:
    net = MeanField("relu", 3.0, 0.3)  # q and squared gradients grow by 4.5 per layer
    profile = net.gradient_profile(600, q1=1.0, c0=0.5)
    assert profile.variance[0] == math.inf
    assert profile.variance[-2] == pytest.approx(4.5, rel=1e-14)
    deep = net.gradient_profile(150, q1=1.0, c0=0.5)
    np.testing.assert_allclose(
        deep.weight_norm_squared, 4.5 ** (150 - np.arange(1, 151)) * deep.q[:-1] / 2, rtol=1e-12
    )
    assert deep.q[-2] > 1e60
    assert net.propagate_curve(600, 1.0).metric[-1] == math.inf
