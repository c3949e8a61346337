"""Finite networks: conventions, derivatives by finite differences, laws of wide layers.

Theory enters as closed forms written here: for relu, erf and linear every average is elementary.
Statistical comparisons ask for 4 standard errors between networks, plus a relative bias of
2 (depth + 1) / width where means over networks of finite width differ from the limit at that
order; with 40 networks a right program exceeds 4 standard errors in one comparison out of 3700.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pytest
from scipy import stats

from spinnet.errors import InputError, KinkedActivationError
from spinnet.propagation import (
    ACTIVATIONS,
    Activation,
    AdditiveGaussian,
    Dropout,
    MeanField,
    MultiplicativeGaussian,
)
from spinnet.propagation.simulate import Ensemble, Measurement, Network, network
from spinnet.propagation.simulate.drawing import DrawnLayers, orthogonal, symmetric_stable

LIMIT = 4.0  # standard errors


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return zlib.crc32(request.node.name.encode())


def agree(measured: Measurement, theory: Any, bias: float = 0.0) -> None:
    """Assert that means over networks are within 4 standard errors and a bias of the theory."""
    expected = np.asarray(theory, dtype=np.float64)
    allowed = LIMIT * measured.sem + bias * np.maximum(np.abs(expected), 1e-12) + 1e-12
    apart = np.abs(measured.mean - expected)
    assert np.all(apart <= allowed), (
        f"{measured.name}: mean {measured.mean}, sem {measured.sem}, theory {expected}"
    )


# --- closed forms, for lengths q1, q2 and covariance p --------------------------------------------


def relu_overlap(q1, q2, p):
    c = np.clip(p / np.sqrt(q1 * q2), -1, 1)
    angle = np.arccos(c)
    return np.sqrt(q1 * q2) / (2 * np.pi) * (np.sqrt(1 - c**2) + c * (np.pi - angle))


def relu_slope(q1, q2, p):
    return (np.pi - np.arccos(np.clip(p / np.sqrt(q1 * q2), -1, 1))) / (2 * np.pi)


def erf_overlap(q1, q2, p):
    return 2 / np.pi * np.arcsin(2 * p / np.sqrt((1 + 2 * q1) * (1 + 2 * q2)))


def erf_slope(q1, q2, p):
    return 4 / np.pi / np.sqrt((1 + 2 * q1) * (1 + 2 * q2) - 4 * p**2)


def erf_curvature(q):
    return 16 / np.pi * q / (1 + 4 * q) ** 1.5


def linear_overlap(q1, q2, p):
    return p


def linear_slope(q1, q2, p):
    return np.ones_like(np.asarray(p, dtype=np.float64))


CLOSED = {
    "relu": (relu_overlap, relu_slope),
    "erf": (erf_overlap, erf_slope),
    "linear": (linear_overlap, linear_slope),
}


def trajectory(overlap, w2, b2, q0, depth, factor=1.0, offset=0.0):
    """Return q^0, ..., q^depth, noise included."""
    q = [np.asarray(q0, dtype=np.float64)]
    for _ in range(depth):
        q.append(w2 * (factor * overlap(q[-1], q[-1], q[-1]) + offset) + b2)
    return np.array(q)


def pair_trajectory(overlap, w2, b2, q0, c0, depth, factor=1.0):
    """Return c^0, ..., c^depth of inputs with noise of their own."""
    q = trajectory(overlap, w2, b2, q0, depth, factor)
    p = np.asarray(c0) * q0
    path = [np.asarray(c0, dtype=np.float64)]
    for i in range(depth):
        p = w2 * overlap(q[i], q[i], p) + b2
        path.append(p / q[i + 1])
    return np.array(path)


# --- conventions ----------------------------------------------------------------------------------


def test_forward_is_the_recursion_neuron_by_neuron():
    net = network("relu", [3, 5, 4, 2], 1.7, 0.4, rng=1)
    x = np.array([0.3, -1.2, 2.0])
    got = net.forward(x)
    signal = list(x)
    for layer in range(3):
        w, b = net.weights[layer], net.biases[layer]
        h = [sum(w[i, j] * signal[j] for j in range(len(signal))) + b[i] for i in range(len(b))]
        np.testing.assert_allclose(got[layer], h, rtol=1e-14)
        signal = [max(v, 0.0) for v in h]
    assert [h.shape for h in got] == [(5,), (4,), (2,)]
    assert net.depth == 3
    assert net.widths == (3, 5, 4, 2)


def test_a_batch_is_its_inputs_one_by_one():
    net = network("gelu", [4, 30, 20], 1.5, 0.2, rng=2)
    x = np.random.default_rng(0).standard_normal((7, 4))
    together = net.forward(x)
    assert [h.shape for h in together] == [(7, 30), (7, 20)]
    for k in range(7):
        for a, b in zip(together, net.forward(x[k]), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-12, atol=1e-14)


def test_a_later_layer_can_be_given():
    net = network("tanh", [4, 9, 8, 7], 1.5, 0.2, rng=3)
    h = net.forward([1.0, 2.0, 3.0, 4.0])
    later = net.forward(h[1], layer=2)
    assert len(later) == 2
    np.testing.assert_array_equal(later[0], h[1])
    np.testing.assert_allclose(later[1], h[2], rtol=1e-14)


@pytest.mark.statistical
def test_weights_have_variance_sigma_squared_over_fan_in(seed):
    net = network("tanh", [50, 400, 300], 1.5, 0.7, rng=seed)
    for w in net.weights:
        n = w.size
        scaled = w * math.sqrt(w.shape[1]) / 1.5
        # mean square of n normal numbers: standard error sqrt(2 / n), false alarm 6e-5 each
        assert abs(np.mean(scaled**2) - 1) < LIMIT * math.sqrt(2 / n)
        assert abs(np.mean(scaled)) < LIMIT / math.sqrt(n)
        assert stats.kstest(scaled.ravel()[:5000], "norm").pvalue > 1e-4
    for b in net.biases:
        assert abs(np.mean((b / 0.7) ** 2) - 1) < LIMIT * math.sqrt(2 / b.size)


def test_scales_may_differ_by_layer():
    one = network("tanh", [6, 6, 6], 1.0, 1.0, rng=4)
    two = network("tanh", [6, 6, 6], [2.0, 3.0], [0.0, 0.5], rng=4)
    for k in range(2):
        np.testing.assert_allclose(two.weights[k], [2.0, 3.0][k] * one.weights[k], rtol=1e-15)
        np.testing.assert_allclose(two.biases[k], [0.0, 0.5][k] * one.biases[k], rtol=1e-15)


def test_a_seed_is_a_network_at_any_precision_depth_and_storage():
    full = network("tanh", [5, 40, 40, 40], 1.5, 0.3, rng=11)
    lazy = network("tanh", [5, 40, 40, 40], 1.5, 0.3, rng=11, keep_weights=False)
    single = network("tanh", [5, 40, 40, 40], 1.5, 0.3, rng=11, dtype=np.float32)
    short = network("tanh", [5, 40, 40], 1.5, 0.3, rng=11)
    other = network("tanh", [5, 40, 40], 1.5, 0.3, rng=12)
    x = np.linspace(-1, 1, 5)
    assert isinstance(lazy.weights, DrawnLayers)
    for a, b, c in zip(full.forward(x), lazy.forward(x), single.forward(x), strict=True):
        np.testing.assert_array_equal(a, b)
        assert c.dtype == np.float32
        np.testing.assert_allclose(a, c, rtol=1e-4, atol=1e-5)  # a few roundings of 6e-8
    np.testing.assert_array_equal(short.weights[1], full.weights[1])
    assert not np.allclose(short.weights[0], other.weights[0])
    assert not np.allclose(full.weights[1], full.weights[2])
    np.testing.assert_array_equal(lazy.weights[-1], full.weights[2])
    assert [w.shape for w in lazy.weights[1:]] == [(40, 40), (40, 40)]
    with pytest.raises(ValueError, match="read-only"):
        full.weights[0][0, 0] = 1.0


def test_parameters_and_seed_make_the_network_again():
    net = network("tanh", [3, 4], 1.5, 0.3, stable_alpha=1.5, keep=0.5, rng=5)
    assert net.parameters["stable_alpha"] == 1.5
    assert net.parameters["sigma_w"] == 1.5
    assert net.parameters["widths"] == [3, 4]
    assert net.seed == {"entropy": "5", "spawn_key": []}


def test_own_weights_make_a_network():
    net = Network.from_weights("linear", [[[1.0, 2.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0, 1], [5]])
    np.testing.assert_allclose(net.forward([1.0, 1.0])[-1], [3.0 + 2.0 + 5.0])
    bare = Network.from_weights("linear", [[[1.0, 2.0]]])
    np.testing.assert_allclose(bare.forward([[1.0, 1.0], [0.0, 2.0]])[0], [[3.0], [4.0]])


# --- orthogonal and heavy-tailed weights ----------------------------------------------------------


@pytest.mark.parametrize(("n_out", "n_in"), [(30, 30), (20, 30), (30, 20)])
def test_orthogonal_weights_keep_the_norm_of_linear_networks(n_out, n_in):
    net = network("linear", [n_in, n_out], 1.5, 0.0, weights="orthogonal", rng=6)
    w = net.weights[0]
    if n_out <= n_in:
        np.testing.assert_allclose(w @ w.T, 2.25 * np.eye(n_out), atol=1e-13)
    if n_out >= n_in:
        np.testing.assert_allclose(w.T @ w, 2.25 * n_out / n_in * np.eye(n_in), atol=1e-13)
        x = np.random.default_rng(1).standard_normal(n_in)
        h = net.forward(x)[0]
        assert np.mean(h**2) == pytest.approx(2.25 * np.mean(x**2), rel=1e-13)
    assert np.mean(w**2) == pytest.approx(2.25 / n_in, rel=1e-13)


@pytest.mark.statistical
def test_orthogonal_weights_follow_haars_law(seed):
    rng = np.random.default_rng(seed)
    traces = np.array([np.trace(orthogonal(rng, 4, 4)) for _ in range(4000)])
    # for Haar O(4): E tr = 0, E tr^2 = 1, E tr^4 = 3; QR without the sign fix has E tr = -1.6.
    # Each bound is 4 standard errors: sqrt(1/4000), sqrt(2/4000).
    assert abs(traces.mean()) < LIMIT * math.sqrt(1 / 4000)
    assert abs(np.mean(traces**2) - 1) < LIMIT * math.sqrt(2 / 4000)


@pytest.mark.statistical
@pytest.mark.parametrize("alpha", [0.8, 1.0, 1.3, 1.8, 2.0])
def test_stable_numbers_have_their_characteristic_function(alpha, seed):
    n = 100_000
    z = symmetric_stable(np.random.default_rng(seed), alpha, (n,))
    for t in (0.3, 1.0, 2.5):
        exact = math.exp(-(t**alpha) / 2)
        spread = math.sqrt((0.5 + 0.5 * math.exp(-((2 * t) ** alpha) / 2) - exact**2) / n)
        # 15 comparisons of 6e-5 each
        assert abs(np.mean(np.cos(t * z)) - exact) < LIMIT * spread, t
        assert abs(np.mean(np.sin(t * z))) < LIMIT / math.sqrt(2 * n)


@pytest.mark.statistical
def test_heavy_tailed_layers_keep_their_scale(seed):
    # a linear layer of stable weights: h = (sigma_w^a mean|x|^a + sigma_b^a)^(1/a) z, at alpha = 1
    # z is a Cauchy variable of scale 1/2
    net = network("linear", [30, 4000], 1.5, 0.7, stable_alpha=1.0, rng=seed)
    x = np.random.default_rng(0).standard_normal(30)
    scale = (1.5 * np.mean(np.abs(x)) + 0.7) / 2
    # Kolmogorov-Smirnov at 1e-4
    assert stats.kstest(net.forward(x)[0], stats.cauchy(scale=scale).cdf).pvalue > 1e-4


@pytest.mark.statistical
def test_heavy_tailed_lengths_follow_the_exact_chain(seed):
    # given a layer, the next one's neurons are independent stable variables of scale q^(1/a): the
    # width-40 chain below, made with SciPy's sampler, has the law of the network.  KS at 1e-4.
    a, w, depth, width, count = 1.4, 1.3, 3, 40, 600
    nets = Ensemble("tanh", w, 0.2, width=width, n_networks=count, stable_alpha=a, rng=seed)
    got = nets.propagate_length(0.8, depth).samples
    rng = np.random.default_rng(seed + 1)
    q = np.full(count, 0.8)
    np.testing.assert_array_equal(got[:, 0], q)
    for layer in range(1, depth + 1):
        z = stats.levy_stable.rvs(a, 0, scale=2 ** (-1 / a), size=(count, width), random_state=rng)
        h = q[:, None] ** (1 / a) * z
        q = w**a * np.mean(np.abs(np.tanh(h)) ** a, axis=1) + 0.2**a
        assert stats.ks_2samp(got[:, layer], q).pvalue > 1e-4


# --- lengths and correlations ---------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "erf", "linear"])
def test_lengths_follow_the_closed_form(name, seed):
    w, b, depth, width = 1.3, 0.5, 3, 300
    q0 = np.array([0.3, 1.0, 5.0])
    nets = Ensemble(name, w, b, width=width, n_networks=40, rng=seed)
    measured = nets.propagate_length(q0, depth)
    assert measured.samples.shape == (40, depth + 1, 3)
    theory = trajectory(CLOSED[name][0], w**2, b**2, q0, depth)
    agree(measured, theory, 2 * (depth + 1) / width)
    np.testing.assert_allclose(measured.samples[:, 0], np.tile(q0, (40, 1)), rtol=1e-12)
    assert np.all(measured.sem[1:] < 0.06 * theory[1:])  # the agreement is not cheap


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "erf", "linear"])
def test_correlations_follow_the_closed_form(name, seed):
    w, b, depth, width, q0 = 1.3, 0.3, 3, 300, 1.5
    c0 = np.array([-0.9, 0.0, 0.5, 0.95])
    nets = Ensemble(name, w, b, width=width, n_networks=40, rng=seed)
    measured = nets.propagate_correlation(c0, depth, q1=q0)
    theory = pair_trajectory(CLOSED[name][0], w**2, b**2, q0, c0, depth)
    allowed = LIMIT * measured.sem + 2 * (depth + 1) / width
    assert np.all(np.abs(measured.mean - theory) <= allowed), measured.mean - theory
    apart = nets.propagate_correlation(c0, depth, q1=q0, distance=True)
    np.testing.assert_allclose(apart.samples, 1 - measured.samples, atol=1e-12)
    assert np.max(measured.sem) < 0.03


@pytest.mark.statistical
def test_correlations_of_unequal_lengths(seed):
    w, b, width = 1.3, 0.3, 300
    nets = Ensemble("erf", w, b, width=width, n_networks=40, rng=seed)
    measured = nets.propagate_correlation([0.4, -0.7], 1, q1=[0.5, 4.0], q2=3.0)
    q1, q2 = np.array([0.5, 4.0]), 3.0
    p = np.array([0.4, -0.7]) * np.sqrt(q1 * q2)
    top = w**2 * erf_overlap(q1, q2, p) + b**2
    bottom = [w**2 * erf_overlap(q, q, q) + b**2 for q in (q1, q2)]
    expected = top / np.sqrt(bottom[0] * bottom[1])
    assert np.all(np.abs(measured.mean[1] - expected) < LIMIT * measured.sem[1] + 4 / width)


def test_distances_have_no_cancellation():
    # a linear orthogonal network keeps angles: 1 - c stays what it was, to relative accuracy
    nets = Ensemble("linear", 1.0, 0.0, width=300, n_networks=3, weights="orthogonal", rng=1)
    c0 = 1 - 2.0**-40
    apart = nets.propagate_correlation(c0, 5, q1=1.0, distance=True)
    np.testing.assert_allclose(apart.samples, 2.0**-40, rtol=1e-3)  # 1e-16 / 1e-6 in each layer


NOISES = [
    (Dropout(0.7), 1 / 0.7, 0.0),
    (MultiplicativeGaussian(0.6), 1.36, 0.0),
    (AdditiveGaussian(0.5), 1.0, 0.25),
]


@pytest.mark.statistical
@pytest.mark.parametrize(("noise", "factor", "offset"), NOISES, ids=["drop", "factor", "term"])
def test_noise_adds_to_variances_and_not_to_covariances(noise, factor, offset, seed):
    w, b, depth, width, q0 = 1.2, 0.3, 2, 300, 1.0
    nets = Ensemble("relu", w, b, noise=noise, width=width, n_networks=40, rng=seed)
    lengths = trajectory(relu_overlap, w**2, b**2, q0, depth, factor, offset)
    agree(nets.propagate_length(q0, depth), lengths, 2 * (depth + 1) / width)
    c = nets.propagate_correlation(1.0, depth, q1=q0)
    p, expected = q0, [1.0]
    for i in range(depth):
        p = w**2 * relu_overlap(lengths[i], lengths[i], p) + b**2
        expected.append(float(p / lengths[i + 1]))
    assert np.all(np.abs(c.mean - expected) < LIMIT * c.sem + 2 * (depth + 1) / width)
    assert c.mean[-1] < 0.95


def test_shared_noise_keeps_equal_inputs_equal():
    for noise in (
        Dropout(0.5, True),
        MultiplicativeGaussian(1.0, True),
        AdditiveGaussian(1.0, True),
    ):
        net = network("tanh", [3, 50, 50], 1.5, 0.3, noise=noise, rng=8)
        h = net.forward(np.ones((2, 3)))
        np.testing.assert_array_equal(h[1][0], h[1][1])
        own = network("tanh", [3, 50, 50], 1.5, 0.3, noise=type(noise)(noise_value(noise)), rng=8)
        free = own.forward(np.ones((2, 3)))
        np.testing.assert_array_equal(free[0][0], free[0][1])  # no noise on the raw input
        assert not np.allclose(free[1][0], free[1][1])


def noise_value(noise) -> float:
    return noise.keep if isinstance(noise, Dropout) else noise.sigma


def test_dropout_is_inverted_and_masks_whole_units():
    net = network("linear", [1, 6, 1], 1.0, 0.0, keep=0.5, rng=9)
    h1, h2 = net.forward([1.0])
    w = net.weights[1][0]
    sums = {
        round(float(sum(2 * w[j] * h1[j] for j in range(6) if mask >> j & 1)), 12)
        for mask in range(64)
    }
    got = net.forward(np.ones((40, 1)))[1][:, 0]
    assert {round(float(v), 12) for v in got} <= sums
    assert round(float(h2[0]), 12) in sums
    assert np.unique(got).size > 5


def test_noise_repeats_unless_a_stream_is_given():
    net = network("tanh", [3, 50, 50], 1.5, 0.3, keep=0.5, rng=10)
    x = [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(net.forward(x)[1], net.forward(x)[1])
    np.testing.assert_array_equal(net.forward(x, rng=1)[1], net.forward(x, rng=1)[1])
    assert not np.allclose(net.forward(x, rng=1)[1], net.forward(x, rng=2)[1])


# --- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1.0, 0.6])
@pytest.mark.parametrize("name", ["tanh", "gelu", "sin"])
def test_gradients_by_finite_differences(name, keep):
    net = network(name, [4, 6, 5, 3], 1.6, 0.4, keep=keep, rng=21)
    x = np.random.default_rng(2).standard_normal((3, 4))
    top = np.array([0.7, -1.1, 0.4])
    deltas = net.backward(x, top)
    layers = net.forward(x)
    step = 1e-6
    for layer, (h, delta) in enumerate(zip(layers, deltas, strict=True), start=1):
        for j in range(h.shape[1]):
            up, down = h.copy(), h.copy()
            up[:, j] += step
            down[:, j] -= step
            change = net.forward(up, layer=layer)[-1] - net.forward(down, layer=layer)[-1]
            # truncation step^2, rounding 1e-16 / step
            np.testing.assert_allclose(delta[:, j], change @ top / (2 * step), atol=1e-8)
    np.testing.assert_allclose(net.backward(x[0], top)[0], net.backward(x[:1], top)[0][0])
    np.testing.assert_allclose(net.backward(x)[-1], 1.0)


@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_jacobians_by_finite_differences(keep):
    net = network("tanh", [4, 6, 5, 3], 1.6, 0.4, keep=keep, rng=22)
    x = np.random.default_rng(3).standard_normal((2, 4))
    h = net.forward(x)
    step = 1e-6

    def differences(function, at):
        columns = []
        for j in range(at.shape[1]):
            move = np.zeros(at.shape[1])
            move[j] = step
            columns.append((function(at + move) - function(at - move)) / (2 * step))
        return np.stack(columns, axis=2)

    pre = net.jacobian(x)
    assert pre.shape == (2, 3, 6)
    np.testing.assert_allclose(
        pre, differences(lambda a: net.forward(a, layer=1)[-1], h[0]), atol=1e-8
    )
    middle = net.jacobian(x, start=2, stop=3)
    np.testing.assert_allclose(
        middle, differences(lambda a: net.forward(a, layer=2)[-1], h[1]), atol=1e-8
    )
    np.testing.assert_allclose(pre, middle @ net.jacobian(x, stop=2), atol=1e-13)

    steps = list(net.walk(x))  # the masks of the last layer

    def activities(layers):
        factor = 1.0 if steps[-1].factor is None else steps[-1].factor
        return factor * np.tanh(layers[-1])

    post = net.jacobian(x, kind="post")
    assert post.shape == (2, 3, 4)
    np.testing.assert_allclose(
        post, differences(lambda a: activities(net.forward(a)), x), atol=1e-8
    )
    np.testing.assert_allclose(net.jacobian(x[0], kind="post"), net.jacobian(x[:1], kind="post")[0])
    parts = net.jacobian(x, kind="post", start=1) @ net.jacobian(x, kind="post", stop=1)
    np.testing.assert_allclose(post, parts, atol=1e-13)
    np.testing.assert_allclose(
        net.singular_values(x), np.linalg.svd(pre, compute_uv=False), atol=1e-13
    )


def test_jacobians_of_linear_orthogonal_networks_are_isometries():
    net = network("linear", [40] * 6, 1.1, 0.3, weights="orthogonal", rng=23)
    np.testing.assert_allclose(net.singular_values(np.ones(40)), 1.1**4, rtol=1e-12)
    np.testing.assert_allclose(net.singular_values(np.ones(40), kind="post"), 1.1**5, rtol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "erf"])
@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_squared_gradients_shrink_by_the_closed_form(name, keep, seed):
    w, b, depth, q0 = 1.3, 0.4, 2, 1.2
    widths = [300, 500, 400]
    nets = Ensemble(name, w, b, keep, n_networks=48, rng=seed)
    c0 = np.array([0.3, 0.9])
    got = nets.gradient_profile(depth, widths, q1=q0, c0=c0)
    overlap, slope = CLOSED[name]
    q = trajectory(overlap, w**2, b**2, q0, depth, 1 / keep)
    c = pair_trajectory(overlap, w**2, b**2, q0, c0, depth, 1 / keep)
    own, joint, one_weight = [1.0], [np.ones(2)], []
    for i in range(depth - 1, -1, -1):
        ratio = widths[i + 1] / widths[i]
        one_weight.append(own[-1] * widths[i + 1] * widths[i] * (q[i + 1] - b**2) / w**2)
        own.append(own[-1] * w**2 * ratio * float(slope(q[i], q[i], q[i])) / keep)
        joint.append(joint[-1] * w**2 * ratio * slope(q[i], q[i], c[i] * q[i]))
    bias = 2 * (depth + 1) / 300
    agree(got.variance, np.array(own[::-1])[:, None] * np.ones(2), bias)
    assert got.covariance is not None
    agree(got.covariance, np.array(joint[::-1]), bias)
    assert np.all(got.covariance.sem < 0.08 * np.array(joint[::-1]) + 1e-12)
    # |dE/dW^l|^2 = N_l N_{l-1} q~^l (q^l - sigma_b^2) / sigma_w^2
    agree(got.weight_norm_squared, np.array(one_weight[::-1])[:, None] * np.ones(2), bias)
    norm = got.norm_squared.samples / np.array(widths)[:, None]
    np.testing.assert_allclose(norm, got.variance.samples, rtol=1e-12)
    np.testing.assert_allclose(
        got.total.samples,
        got.weight_norm_squared.samples.sum(axis=1) + got.norm_squared.samples[:, 1:].sum(axis=1),
    )


def test_gradients_are_the_same_where_weights_are_drawn_twice(monkeypatch):
    def measure():
        return Ensemble("tanh", 1.5, 0.3, 0.9, width=20, n_networks=2, rng=25).gradient_profile(3)

    kept = measure()
    monkeypatch.setattr("spinnet.propagation.simulate.ensemble._KEPT", 0)
    np.testing.assert_array_equal(kept.variance.samples, measure().variance.samples)


def test_the_weight_gradient_has_the_norm_measured():
    # by brute force: dE/dW of a small network through a change of each weight
    nets = Ensemble("tanh", 1.5, 0.3, width=4, n_networks=1, rng=24)
    got = nets.gradient_profile(2, q1=1.0)
    net, start = next(nets._networks([4, 4, 4]))
    h = nets._start(start, np.array([1.0]))
    top = start.standard_normal(4)
    top *= math.sqrt(4 / float(top @ top))
    step = 1e-6
    for layer in (1, 2):
        total = 0.0
        for i in range(4):
            for j in range(4):
                ends = []
                for sign in (1, -1):
                    weights = [w.copy() for w in net.weights]
                    weights[layer][i, j] += sign * step
                    moved = Network.from_weights("tanh", weights, net.biases)
                    ends.append(float(moved.forward(h[0], layer=1)[-1] @ top))
                total += ((ends[0] - ends[1]) / (2 * step)) ** 2
        # differences are good to 1e-9
        assert got.weight_norm_squared.samples[0, layer - 1] == pytest.approx(total, rel=1e-6)


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["pre", "post"])
def test_mean_squared_singular_values_are_powers_of_chi(kind, seed):
    # erf: chi_1 = sigma_w^2 (4/pi)/sqrt(1 + 4q); "post" has its slopes one layer later
    w, b, depth, q0, width = 1.8, 0.3, 3, 1.5, 150
    got = Ensemble("erf", w, b, width=width, n_networks=40, rng=seed).jacobian(
        depth, kind=kind, q1=q0
    )
    q = trajectory(erf_overlap, w**2, b**2, q0, depth)
    chi = w**2 * erf_slope(q, q, q)
    layers = chi[:-1] if kind == "pre" else chi[1:]
    agree(got.mean_square, np.prod(layers), 2 * depth / width)
    assert got.singular_values.shape == (40, width)
    np.testing.assert_allclose(np.mean(got.singular_values**2, 1), got.mean_square.samples)


@pytest.mark.statistical
def test_singular_values_of_gaussian_products_spread_as_the_depth(seed):
    # linear layers: the relative variance of s^2 is L for Gaussian weights, up to O(L^2 / N)
    depth, width = 4, 300
    nets = Ensemble("linear", 1.3, 0.0, width=width, n_networks=20, rng=seed)
    got = nets.jacobian(depth, q1=1.0)
    assert abs(got.relative_variance.mean - depth) < LIMIT * got.relative_variance.sem + 0.1


# --- curves ---------------------------------------------------------------------------------------


def test_curve_derivatives_by_finite_differences():
    net = network("tanh", [1, 6, 7, 5], 1.9, 0.4, rng=31)
    curve = net.curve(24, 1.3, keep_points=[1, 2, 3])
    u0, u1 = curve.points[1][0], curve.points[1][6]  # theta = 0 and pi / 2
    assert u0 @ u0 == pytest.approx(6 * 1.3)
    assert u0 @ u1 == pytest.approx(0, abs=1e-14)

    def image(theta, layer):
        h = np.cos(theta)[:, None] * u0 + np.sin(theta)[:, None] * u1
        return net.forward(h, layer=1)[layer - 1]

    step = 1e-4
    for layer in (1, 2, 3):
        here = image(curve.theta, layer)
        ahead, behind = (image(curve.theta + s * step, layer) for s in (1, -1))
        np.testing.assert_allclose(curve.points[layer], here, atol=1e-13)
        v = (ahead - behind) / (2 * step)
        a = (ahead - 2 * here + behind) / step**2
        vv, aa, va = (np.sum(x * y, axis=1) for x, y in ((v, v), (a, a), (v, a)))
        n = here.shape[1]
        kappa2 = (vv * aa - va**2) / vv**3
        # truncation 1e-8 and rounding 1e-16 / step^2 = 1e-8, times derivatives of order 100
        np.testing.assert_allclose(curve.metric[layer - 1], vv / n, rtol=1e-5)
        np.testing.assert_allclose(curve.curvature_squared[layer - 1], n * kappa2, rtol=1e-4)
        np.testing.assert_allclose(curve.gauss_metric[layer - 1], kappa2 * vv, rtol=1e-4)
        np.testing.assert_allclose(curve.length[layer - 1], np.mean(here**2, axis=1), rtol=1e-13)


def test_lengths_are_those_of_fine_polygons():
    net = network("tanh", [1, 30, 40], 2.5, 0.3, rng=32)
    curve = net.curve(4000, 2.0, keep_points=[2])
    h = curve.points[2]
    edges = np.roll(h, -1, axis=0) - h
    # a polygon of n edges is short by O(1/n^2)
    assert curve.length_euclidean[1] == pytest.approx(np.linalg.norm(edges, axis=1).sum(), rel=1e-4)
    tangents = edges / np.linalg.norm(edges, axis=1)[:, None]
    turns = np.linalg.norm(np.roll(tangents, -1, axis=0) - tangents, axis=1)
    assert curve.length_gauss[1] == pytest.approx(turns.sum(), rel=1e-4)
    assert curve.length_euclidean[0] == pytest.approx(2 * np.pi * math.sqrt(30 * 2.0), rel=1e-12)
    half = net.curve(np.linspace(0, np.pi, 2001), 2.0, rng=5)
    assert not half.closed
    assert half.autocorrelation is None
    assert half.length_euclidean[0] == pytest.approx(np.pi * math.sqrt(60.0), rel=1e-12)


def test_linear_orthogonal_networks_scale_a_circle():
    net = network("linear", [1, 50, 50, 50], 1.3, 0.0, weights="orthogonal", rng=33)
    curve = net.curve(16, 2.0)
    for layer in range(3):
        np.testing.assert_allclose(curve.metric[layer], 2.0 * 1.69**layer, rtol=1e-12)
        np.testing.assert_allclose(curve.curvature_squared[layer], 0.5 / 1.69**layer, rtol=1e-12)
        np.testing.assert_allclose(curve.gauss_metric[layer], 1.0, rtol=1e-12)
        np.testing.assert_allclose(curve.autocorrelation[layer], np.cos(curve.theta), atol=1e-13)
    np.testing.assert_allclose(curve.length_gauss, 2 * np.pi, rtol=1e-12)


def test_autocorrelation_is_the_average_over_the_circle():
    net = network("tanh", [1, 20, 30], 2.5, 0.8, rng=34)
    curve = net.curve(12, 2.0, keep_points=[2])
    h = curve.points[2]
    gram = h @ h.T
    expected = [np.mean([gram[i, (i + j) % 12] for i in range(12)]) for j in range(12)]
    np.testing.assert_allclose(
        curve.autocorrelation[1], np.array(expected) / expected[0], rtol=1e-12
    )
    assert curve.parameters["seed"] == {"entropy": "34", "spawn_key": []}


def test_principal_components_of_a_circle_and_of_its_image():
    net = network("tanh", [1, 40, 60], 3.0, 0.3, rng=35)
    curve = net.curve(64, 2.0, keep_points=[1, 2])
    coordinates, explained = curve.principal_components(1, 3)
    np.testing.assert_allclose(explained, [0.5, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(np.sum(coordinates**2, axis=1), 40 * 2.0, rtol=1e-12)
    _, explained = curve.principal_components(2, 5)
    h = curve.points[2] - curve.points[2].mean(axis=0)
    values = np.linalg.eigvalsh(h.T @ h)[::-1]
    np.testing.assert_allclose(explained, values[:5] / values.sum(), rtol=1e-10)
    with pytest.raises(InputError, match="keep_points"):
        net.curve(16).principal_components(2)


def test_noise_is_the_same_along_a_curve():
    net = network("tanh", [1, 40, 40], 1.5, 0.3, keep=0.5, rng=36)
    fine = net.curve(720, 1.0, keep_points=[2])
    jumps = np.linalg.norm(np.roll(fine.points[2], -1, 0) - fine.points[2], axis=1).sum()
    assert jumps == pytest.approx(fine.length_euclidean[1], rel=1e-3)
    bare = network("tanh", [1, 40, 40], 1.5, 0.3, rng=36).curve(720, 1.0, keep_points=[2])
    assert not np.allclose(bare.points[2], fine.points[2])


@pytest.mark.statistical
def test_curves_follow_the_closed_form(seed):
    w, b, depth, q, width = 2.2, 0.3, 4, 2.0, 300
    nets = Ensemble("erf", w, b, width=width, n_networks=40, rng=seed)
    got = nets.propagate_curve(depth, q, n_theta=64)
    lengths = trajectory(erf_overlap, w**2, b**2, q, depth)
    metric, curvature, gauss = [q], [1 / q], [1.0]
    for i in range(depth - 1):
        chi1 = w**2 * erf_slope(lengths[i], lengths[i], lengths[i])
        chi2 = w**2 * erf_curvature(lengths[i])
        curvature.append(3 * chi2 / chi1**2 + curvature[-1] / chi1)
        gauss.append(gauss[-1] + 3 * chi2 / chi1 * metric[-1])
        metric.append(chi1 * metric[-1])
    agree(got.metric, metric, 2 * depth / width)
    assert got.curvature_squared is not None
    assert got.gauss_metric is not None
    assert got.length_gauss is not None
    # curvatures of single curves have a skewed law with a larger correction in 1/N
    agree(got.curvature_squared, curvature, 8 * depth / width)
    agree(got.gauss_metric, gauss, 8 * depth / width)
    # lengths are averages of square roots: below the root of the average by their variance
    assert np.all(got.length_euclidean.mean <= 2 * np.pi * np.sqrt(width * got.metric.mean) + 1e-9)
    np.testing.assert_allclose(
        got.length_euclidean.mean, 2 * np.pi * np.sqrt(width * np.array(metric)), rtol=0.05
    )


@pytest.mark.statistical
def test_autocorrelations_follow_the_correlation_map(seed):
    w, b, depth, q, width = 2.0, 0.4, 4, 2.0, 300
    shifts = np.array([0.05, 0.7, 2.0, np.pi])
    nets = Ensemble("erf", w, b, width=width, n_networks=40, rng=seed)
    got = nets.autocorrelation(shifts, depth, q1=q, n_theta=64)
    theory = pair_trajectory(erf_overlap, w**2, b**2, q, np.cos(shifts), depth - 1)
    assert got.samples.shape == (40, depth, 4)
    np.testing.assert_allclose(got.mean[0], np.cos(shifts), atol=1e-12)
    assert np.all(np.abs(got.mean - theory) <= LIMIT * got.sem + 2 * depth / width)


# --- beside the theory ----------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize(("name", "sigma_w"), [("tanh", 2.0), ("gelu", 1.3)])
def test_networks_follow_mean_field_theory(name, sigma_w, seed):
    depth, width = 4, 1000
    theory = MeanField(name, sigma_w, 0.3)
    nets = Ensemble(name, sigma_w, 0.3, width=width, n_networks=10, rng=seed)
    # 10 networks: Student's t of 9 degrees beyond 4 has probability 3e-3, of which the allowance
    # for bias leaves less
    q0 = np.array([0.5, 1.0, 2.0]) * theory.q_star
    bias = 4 * (depth + 1) / width
    agree(nets.propagate_length(q0, depth), theory.propagate_length(q0, depth), bias)
    c0 = np.array([0.2, 0.9])
    got = nets.propagate_correlation(c0, depth)
    expected = theory.propagate_correlation(c0, depth)
    assert np.all(np.abs(got.mean - expected) <= LIMIT * got.sem + bias)
    gradients = nets.gradient_profile(depth).variance
    agree(gradients, theory.gradient_factor ** np.arange(depth, -1, -1.0), bias)


# --- measurements ---------------------------------------------------------------------------------


def test_a_measurement_carries_what_made_it():
    nets = Ensemble("tanh", 1.5, 0.3, 0.9, width=50, n_networks=5, rng=3)
    one = nets.propagate_length([1.0, 2.0], 2)
    two = Ensemble("tanh", 1.5, 0.3, 0.9, width=50, n_networks=5, rng=3).propagate_length(
        [1.0, 2.0], 2
    )
    np.testing.assert_array_equal(one.samples, two.samples)
    np.testing.assert_allclose(one.sd, one.samples.std(axis=0, ddof=1))
    np.testing.assert_allclose(one.sem, one.sd / math.sqrt(5))
    table = one.to_dict()
    assert table["parameters"]["sigma_w"] == 1.5
    assert table["parameters"]["q0"] == [1.0, 2.0]
    assert table["parameters"]["noise"] == repr(Dropout(0.9))
    assert table["seed"] == {"entropy": "3", "spawn_key": []}
    assert table["version"]
    assert "length" in repr(one)
    single = Ensemble("tanh", 1.5, 0.3, width=50, n_networks=1, rng=3).propagate_length(1.0, 2)
    assert np.all(np.isnan(single.sem))
    scalar = Ensemble("tanh", 1.5, 0.3, width=20, n_networks=2, rng=3).jacobian(1)
    assert "+-" in repr(scalar.mean_square)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_precisions_measure_the_same(dtype):
    nets = Ensemble("tanh", 1.5, 0.3, width=60, n_networks=3, dtype=dtype, rng=4)
    exact = Ensemble("tanh", 1.5, 0.3, width=60, n_networks=3, rng=4)
    tolerance = 1e-4 if dtype == np.float32 else 1e-13
    for got, expected in (
        (nets.propagate_length(1.0, 3), exact.propagate_length(1.0, 3)),
        (nets.gradient_profile(3).variance, exact.gradient_profile(3).variance),
        (nets.propagate_curve(3).curvature_squared, exact.propagate_curve(3).curvature_squared),
        (nets.jacobian(2).mean_square, exact.jacobian(2).mean_square),
    ):
        assert got is not None
        assert expected is not None
        np.testing.assert_allclose(got.samples, expected.samples, rtol=tolerance)
    net = network("selu", [3, 20, 20], 1.0, 0.1, dtype=dtype, rng=1)
    assert net.jacobian(np.ones(3)).dtype == dtype
    assert net.backward(np.ones(3))[0].dtype == dtype


@pytest.mark.parametrize(
    "name",
    ACTIVATIONS,
)
def test_every_activation_runs_in_single_precision(name):
    net = network(name, [3, 10, 10], 1.5, 0.3, dtype=np.float32, keep=0.9, rng=1)
    x = np.ones((2, 3))
    assert all(h.dtype == np.float32 for h in net.forward(x))
    assert net.jacobian(x).dtype == np.float32
    curve = net.curve(8, curvature=net.activation.is_smooth, keep_points=[2])
    assert curve.points[2].dtype == np.float32
    assert np.all(np.isfinite(curve.metric))


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "tanhh"}, "did you mean 'tanh'"),
        ({"widths": [10]}, "widths must hold at least input and output"),
        ({"widths": 10}, "widths must be a sequence"),
        ({"widths": [10, 0]}, r"widths\[1\] must be an integer >= 1, got 0"),
        ({"widths": [10, 2.5]}, r"widths\[1\] must be an integer"),
        ({"widths": [10**6, 10**6]}, "more than the machine's .* GB; take smaller widths"),
        ({"widths": [10**6, 10**6], "keep_weights": False}, "GB; take smaller widths$"),
        ({"sigma_w": -1.0}, "sigma_w must be >= 0, got -1"),
        ({"sigma_b": float("nan")}, "sigma_b must be finite"),
        ({"sigma_w": [1.0, 2.0, 3.0]}, r"one per layer, shape \(2,\)"),
        ({"stable_alpha": 2.5}, "stable_alpha must be from 0.5 to 2, got 2.5"),
        ({"stable_alpha": 0.1}, "stable_alpha must be from 0.5 to 2, got 0.1"),
        ({"stable_alpha": 1.5, "weights": "orthogonal"}, "'gaussian' where stable_alpha < 2"),
        ({"weights": "orthogonl"}, "did you mean 'orthogonal'"),
        ({"keep": 0.0}, "keep must be > 0"),
        ({"keep": 1.5}, "keep must be a probability"),
        ({"keep": 0.5, "noise": Dropout(0.5)}, "keep or noise, not both"),
        ({"noise": 0.5}, "noise must be Dropout"),
        ({"dtype": np.int64}, "dtype must be float32 or float64, got int64"),
        ({"dtype": "nonsense"}, "dtype must be float32 or float64"),
        ({"rng": -1}, "rng must be"),
    ],
)
def test_network_refuses(arguments, message):
    given: dict[str, Any] = {
        "activation": "tanh", "widths": [3, 4, 5], "sigma_w": 1.0, "sigma_b": 0.1, **arguments
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        network(**given)


def test_inputs_are_checked():
    net = network("tanh", [3, 4, 5], 1.0, 0.1, rng=1)
    with pytest.raises(InputError, match="x must be finite"):
        net.forward([1.0, np.nan, 0.0])
    with pytest.raises(InputError, match=r"shape \(n_inputs, 3\) or \(3,\), got \(4,\)"):
        net.forward(np.ones(4))
    with pytest.raises(InputError, match=r"\(n_inputs, 5\)"):
        net.forward(np.ones(3), layer=2)
    with pytest.raises(InputError, match="got \\(0, 3\\)"):
        net.forward(np.ones((0, 3)))
    with pytest.raises(InputError, match="layer must be an integer"):
        net.forward(np.ones(3), layer=3)
    with pytest.raises(InputError, match=r"top must have shape \(5,\)"):
        net.backward(np.ones(3), np.ones(4))
    with pytest.raises(InputError, match="did you mean 'post'"):
        net.jacobian(np.ones(3), kind="posts")
    with pytest.raises(InputError, match="start must be below stop"):
        net.jacobian(np.ones(3), start=2, stop=2)
    with pytest.raises(InputError, match="start must be an integer >= 1"):
        net.jacobian(np.ones(3), start=0)
    with pytest.raises(InputError, match="x must be within the range of float32"):
        network("tanh", [1, 1], 1.0, 0.0, dtype=np.float32, rng=1).forward([1e300])
    with pytest.raises(InputError, match="range of float32"):
        network("tanh", [1, 4], 1e40, 0.0, dtype=np.float32, rng=1)


def test_an_overflow_names_its_layer():
    net = network("relu", [50] * 40, 1e20, 0.0, rng=1)
    with pytest.raises(InputError, match=r"overflows float64 at layer 1[5-7]"):
        net.forward(np.ones(50))


def test_curves_are_checked():
    net = network("relu", [1, 10, 10], 1.5, 0.3, rng=1)
    with pytest.raises(KinkedActivationError, match="kinks"):
        net.curve(16)
    flat = net.curve(16, curvature=False)
    assert flat.curvature_squared is None
    with pytest.raises(InputError, match="needs the curvature"):
        _ = flat.length_gauss
    smooth = network("tanh", [1, 10, 10], 1.5, 0.3, rng=1)
    with pytest.raises(InputError, match="increasing"):
        smooth.curve([0.0, 0.0, 1.0])
    with pytest.raises(InputError, match="more than once"):
        smooth.curve([0.0, 3.0, 7.0])
    with pytest.raises(InputError, match="q must be > 0"):
        smooth.curve(8, 0.0)
    with pytest.raises(InputError, match="keep_points must be"):
        smooth.curve(8, keep_points=[3])
    with pytest.raises(InputError, match="at least 2 neurons"):
        network("tanh", [1, 1], 1.0, 0.0, rng=1).curve(8)
    with pytest.raises(InputError, match="GB; take fewer points"):
        smooth.curve(10**10)


def test_own_weights_are_checked():
    with pytest.raises(InputError, match=r"weights\[1\] must have 2 columns"):
        Network.from_weights("tanh", [np.ones((2, 3)), np.ones((2, 3))])
    with pytest.raises(InputError, match="at least one matrix"):
        Network.from_weights("tanh", [])
    with pytest.raises(InputError, match="one vector per layer"):
        Network.from_weights("tanh", [np.ones((2, 3))], [])
    with pytest.raises(InputError, match=r"weights\[0\] must be finite"):
        Network.from_weights("tanh", [np.full((2, 3), np.nan)])


def test_ensembles_are_checked():
    nets = Ensemble("tanh", 1.5, 0.3, width=10, n_networks=2, rng=1)
    with pytest.raises(InputError, match=r"c0 must be in \[-1, 1\]"):
        nets.propagate_correlation(1.5, 2)
    with pytest.raises(InputError, match="q1 must be given where q2 is"):
        nets.propagate_correlation(0.5, 2, q2=1.0)
    with pytest.raises(InputError, match="must broadcast"):
        nets.propagate_correlation([0.1, 0.2], 2, q1=[1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="depth \\+ 1 = 3 numbers"):
        nets.gradient_profile(2, [10, 10])
    with pytest.raises(InputError, match=r"q1 must be given: .* fixed point inf"):
        Ensemble("relu", 2.0, 0.3, width=10, n_networks=2).propagate_curve(2)
    with pytest.raises(InputError, match="width must be an integer >= 2"):
        Ensemble("tanh", 1.5, 0.3, width=1)
    with pytest.raises(InputError, match="did you mean 'orthogonal'"):
        Ensemble("tanh", 1.5, 0.3, weights="orthogonall")
    heavy = Ensemble("tanh", 1.5, 0.3, stable_alpha=1.5, width=10, n_networks=2, rng=1)
    with pytest.raises(InputError, match="stable_alpha must be 2 for correlations"):
        heavy.propagate_correlation(0.5, 2, q1=1.0)
    with pytest.raises(InputError, match="q1 must be given where stable_alpha < 2"):
        heavy.jacobian(2)
    assert heavy.jacobian(2, q1=1.0).singular_values.shape == (2, 10)


def test_an_activation_of_ones_own():
    cube = Activation(lambda x: x**3, lambda x: 3 * x**2, lambda x: 6 * x, kinks=(), name="cube")
    net = network(cube, [2, 3, 1], 1.0, 0.2, rng=1)
    h = net.forward([0.5, -0.5])
    np.testing.assert_allclose(h[1], net.weights[1] @ h[0] ** 3 + net.biases[1])
