"""NNGP and tangent kernels: closed forms, structure, and finite networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation.activations import ACTIVATIONS, get_activation
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.gaussian_process import nngp, ntk

X = np.random.default_rng(5).standard_normal((7, 5)) * np.linspace(0.3, 2.5, 7)[:, None]


def _relu_step(k: np.ndarray, w2: float, b2: float) -> tuple[np.ndarray, np.ndarray]:
    """Cho and Saul's arc-cosine kernels of degree 1 and 0."""
    root = np.sqrt(np.outer(np.diag(k), np.diag(k)))
    angle = np.arccos(np.clip(k / root, -1, 1))
    one = root / (2 * math.pi) * (np.sin(angle) + (math.pi - angle) * np.cos(angle))
    return w2 * one + b2, (math.pi - angle) / (2 * math.pi)


def _erf_step(k: np.ndarray, w2: float, b2: float) -> tuple[np.ndarray, np.ndarray]:
    """Williams' arcsine kernel and its derivative."""
    scale = np.sqrt(np.outer(1 + 2 * np.diag(k), 1 + 2 * np.diag(k)))
    return (
        w2 * 2 / math.pi * np.arcsin(2 * k / scale) + b2,
        4 / math.pi / np.sqrt(scale**2 - 4 * k**2),
    )


@pytest.mark.parametrize(("name", "step"), [("relu", _relu_step), ("erf", _erf_step)])
def test_against_the_recursions_in_closed_form(name, step):
    w2, b2 = 1.8, 0.09
    k = w2 * X @ X.T / 5 + b2
    theta = k.copy()
    bare = k - b2
    for depth in range(4):
        args = (name, X, math.sqrt(w2), math.sqrt(b2), depth)
        # acos near c = 1 loses half the digits of the reference, not of nngp
        np.testing.assert_allclose(nngp(*args), k, rtol=1e-12)
        np.testing.assert_allclose(ntk(*args), theta, rtol=1e-7)
        np.testing.assert_allclose(ntk(*args, train_biases=False), bare, rtol=1e-7)
        k, slopes = step(k, w2, b2)
        theta, bare = k + w2 * slopes * theta, k - b2 + w2 * slopes * bare


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_diagonals_and_pairs_are_those_of_the_mean_field(name):
    w, b, depth = 1.3, 0.2, 2
    net = MeanField(name, w, b)
    x = X[[0, 3, 6]]
    k = nngp(name, x, w, b, depth)
    q0 = w * w * np.sum(x * x, axis=1) / 5 + b * b
    q = net.propagate_length(q0, depth)
    np.testing.assert_allclose(np.diag(k), q[-1], rtol=1e-14)
    c0 = (w * w * x[0] @ x[2] / 5 + b * b) / math.sqrt(q0[0] * q0[2])
    c = net.propagate_correlation(c0, depth, q1=q0[0], q2=q0[2])[-1]
    assert k[0, 2] / math.sqrt(k[0, 0] * k[2, 2]) == pytest.approx(float(c), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("kernel", [nngp, ntk])
@pytest.mark.parametrize("name", ["tanh", "relu", "hard_tanh", "gelu", "sin"])
def test_symmetric_semidefinite_and_duplicates_exact(kernel, name):
    x = np.concatenate([X, X[2:4], X[:1] * (1 + 1e-9), np.zeros((2, 5))])
    k = kernel(name, x, 1.6, 0.1, 3)
    assert np.array_equal(k, k.T)
    np.testing.assert_array_equal(k[7:9], k[2:4])
    assert k[2, 7] == k[2, 2] == k[7, 7]
    np.testing.assert_array_equal(k[10], k[11])
    eigenvalues = np.linalg.eigvalsh(k)
    assert eigenvalues[0] > -1e-14 * eigenvalues.sum()  # rounding of 12 eigenvalues
    # the order of the inputs does not matter
    order = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(kernel(name, x[order], 1.6, 0.1, 3), k[np.ix_(order, order)])


def test_no_bias_and_a_silent_input():
    for name in ("tanh", "relu", "silu"):
        k = nngp(name, [[0.0, 0.0], [1.0, 2.0]], 1.5, 0.0, 2)
        assert k[0, 0] == k[0, 1] == k[1, 0] == 0
        assert k[1, 1] > 0
    # phi(0) != 0: a silent input speaks from the second layer on
    k = nngp("sigmoid", [[0.0, 0.0], [1.0, 2.0]], 1.5, 0.0, 1)
    np.testing.assert_allclose(k[0], [2.25 * 0.25, 2.25 * 0.25], rtol=1e-15)


@pytest.mark.parametrize("name", ["tanh", "relu", "hard_tanh", "gelu"])
def test_close_inputs_of_equal_length_keep_their_distance(name):
    # 1 - c = 1e-12 at the input; rounding of K would leave 4 digits of its growth
    w, b, depth = 1.5, 0.2, 3
    angle = math.sqrt(2e-12)
    x = np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    k = nngp(name, x, w, b, depth)
    net = MeanField(name, w, b)
    q = net.propagate_length(w * w / 2 + b * b, depth)
    growth = np.prod(w * w * net.activation.kernel.slope_moment(q[:-1]))
    distance = k[0, 0] - k[0, 1]
    expected = w * w / 2 * 1e-12 * growth
    # K holds it to eps K; the kinks' correction is O(sqrt(1 - c)) = 1e-6
    assert distance == pytest.approx(expected, abs=2e-16 * k[0, 0] + 4e-6 * expected)


def test_linear_networks_by_hand():
    w2, b2 = 1.3, 0.4
    x = X[:3]
    gram = x @ x.T / 5
    k0 = w2 * gram + b2
    k1, k2 = w2 * k0 + b2, w2 * (w2 * k0 + b2) + b2
    args = ("linear", x, math.sqrt(w2), math.sqrt(b2))
    np.testing.assert_allclose(nngp(*args, 2), k2, rtol=1e-14)
    np.testing.assert_allclose(ntk(*args, 2), k2 + w2 * k1 + w2**2 * k0, rtol=1e-14)
    without = (k2 - b2) + w2 * (k1 - b2) + w2**2 * (k0 - b2)
    np.testing.assert_allclose(ntk(*args, 2, train_biases=False), without, rtol=1e-14)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_finite_networks(name):
    # 40 networks of 300 units, gradients by back-propagation in the tangent parametrisation; 9
    # numbers within 5 standard errors (t law of 39 degrees of freedom: a false alarm once in
    # 9000 for all); shifts O(1/N) are below half an error
    activation = get_activation(name)
    sigma_w, sigma_b, n, depth = 1.4, 0.3, 300, 2
    x = np.array([[1.0, 0.5, -0.2], [0.3, -1.0, 0.8]])
    rng = np.random.default_rng(1806)
    seen = []
    for _ in range(40):
        values, weights, inside = x.T, [], []
        for fan_in, fan_out in ((3, n), (n, n), (n, 1)):
            omega = rng.standard_normal((fan_out, fan_in))
            h = sigma_w / math.sqrt(fan_in) * omega @ values
            h = h + sigma_b * rng.standard_normal((fan_out, 1))
            weights.append((omega, values))
            inside.append(h)
            values = activation(h)
        delta = np.ones((1, 2))
        tangent, bare = np.zeros((2, 2)), np.zeros((2, 2))
        for layer in range(depth, -1, -1):
            omega, below = weights[layer]
            fan_in = omega.shape[1]
            own = sigma_w**2 / fan_in * below.T @ below
            bare += (delta.T @ delta) * own
            tangent += (delta.T @ delta) * (own + sigma_b**2)
            if layer == depth:
                covariance = own + sigma_b**2
            if layer > 0:
                slope = activation.derivative(inside[layer - 1])
                delta = slope * (omega.T @ delta) * (sigma_w / math.sqrt(fan_in))
        upper = np.triu_indices(2)
        seen.append(np.concatenate([k[upper] for k in (covariance, tangent, bare)]))
    args = (name, x, sigma_w, sigma_b, depth)
    theory = [nngp(*args), ntk(*args), ntk(*args, train_biases=False)]
    expected = np.concatenate([k[upper] for k in theory])
    error = np.std(seen, axis=0, ddof=1) / math.sqrt(40)
    assert np.all(error < 0.05 * np.abs(expected).max())
    assert np.all(np.abs(np.mean(seen, axis=0) - expected) < 5 * error)


def test_refusals():
    with pytest.raises(InputError, match="inputs must have 2 dimension"):
        nngp("relu", [1.0, 2.0], 1.0, 0.0, 1)
    with pytest.raises(InputError, match="at least one number"):
        nngp("relu", np.zeros((0, 3)), 1.0, 0.0, 1)
    with pytest.raises(InputError, match="finite"):
        ntk("relu", [[np.nan]], 1.0, 0.0, 1)
    with pytest.raises(InputError, match="sigma_b"):
        ntk("relu", [[1.0]], 1.0, -0.1, 1)
    with pytest.raises(InputError, match="depth"):
        nngp("relu", [[1.0]], 1.0, 0.1, 1.5)
    with pytest.raises(InputError, match="train_biases"):
        ntk("relu", [[1.0]], 1.0, 0.1, 1, train_biases=1)
    with pytest.raises(InputError, match="did you mean 'relu'"):
        nngp("rellu", [[1.0]], 1.0, 0.1, 1)
