"""Residual networks: maps, gradients, growth laws, and finite networks."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation.activations import get_activation
from spinnet.propagation.residual import ResidualMeanField

# sigma_w, sigma_b, sigma_v, sigma_a from p = 1: lengths and gradients of published precision
TANH = ("tanh", 1.3, 0.3, 1.0, math.sqrt(0.05))
RELU = ("relu", 1.0, 0.0, math.sqrt(0.5), 0.0)
WEAK = ("tanh", 1.0, 0.1, 0.5, 0.0)


@pytest.mark.parametrize(
    ("args", "length", "gradient"),
    [(TANH, "8.33", "23.3"), (RELU, "9.31", "9.31"), (WEAK, "2.160", "2.59")],
)
def test_ten_blocks(args, length, gradient):
    path = ResidualMeanField(*args).propagate(1.0, 10)
    for value, text in ((path.p[-1], length), (path.gradients[0], gradient)):
        assert f"{value:.{len(text.split('.')[1])}f}" == text


def test_relu_grows_geometrically():
    w, b, v, a = 0.9, 0.4, 0.8, 0.3
    path = ResidualMeanField("relu", w, b, v, a).propagate([0.0, 1.0, 5.0], 30)
    rate, added = 1 + v * v * w * w / 2, v * v * b * b / 2 + a * a
    layers = np.arange(31)[:, None]
    start = np.array([0.0, 1.0, 5.0])
    exact = start * rate**layers + added * (rate**layers - 1) / (rate - 1)
    np.testing.assert_allclose(path.p, exact, rtol=1e-13)
    np.testing.assert_allclose(path.q, w * w * exact[:-1] + b * b, rtol=1e-13)
    np.testing.assert_allclose(path.gradients, np.broadcast_to(rate ** (30.0 - layers), (31, 3)))


def test_erf_by_hand():
    net = ResidualMeanField("erf", 1.1, 0.2, 0.7, 0.1)
    q = 1.1**2 * 0.8 + 0.04
    assert net.pre_activation(0.8) == pytest.approx(q, rel=1e-15)
    grown = 0.8 + 0.49 * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + 0.01
    assert net.length_map(0.8) == pytest.approx(grown, rel=1e-14)
    factor = 1 + 0.49 * 1.21 * 4 / math.pi / math.sqrt(1 + 4 * q)
    assert net.gradient_factor(0.8) == pytest.approx(factor, rel=1e-14)
    pair = net.propagate_pair(0.3, 1, p1=0.8, p2=1.5)
    q2, p12 = 1.21 * 1.5 + 0.04, 0.3 * math.sqrt(0.8 * 1.5)
    inside = 1.21 * p12 + 0.04
    angle = math.asin(2 * inside / math.sqrt((1 + 2 * q) * (1 + 2 * q2)))
    after = p12 + 0.49 * 2 / math.pi * angle + 0.01
    assert pair.p2[1] == pytest.approx(float(net.length_map(1.5)), rel=1e-15)
    assert pair.c[1] == pytest.approx(after / math.sqrt(pair.p1[1] * pair.p2[1]), rel=1e-13)
    slope = 4 / math.pi / math.sqrt((1 + 2 * q) * (1 + 2 * q2) - 4 * inside**2)
    assert pair.gradient_factors[0] == pytest.approx(1 + 0.49 * 1.21 * slope, rel=1e-13)


@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "gelu", "relu"])
def test_pairs_contain_the_single_input_and_keep_small_distances(name):
    net = ResidualMeanField(name, 1.2, 0.3, 0.9, 0.2)
    alone = net.propagate(1.3, 8)
    pair = net.propagate_pair([1.0, 1 - 2.0**-40, 0.4, -1.0], 8, p1=1.3)
    np.testing.assert_allclose(pair.p1, np.tile(alone.p[:, None], 4), rtol=1e-15)
    assert np.all(pair.c[:, 0] == 1)
    np.testing.assert_allclose(pair.gradient_factors[:, 0], alone.gradient_factors, rtol=1e-13)
    # squared distances p (1 - c) of close inputs grow as squared gradients do
    product = np.cumprod(np.append(1.0, alone.gradient_factors))
    rtol = 1e-10 if get_activation(name).is_smooth else 1e-5  # corrections O(eps), O(sqrt(eps))
    np.testing.assert_allclose(
        pair.one_minus_c[:, 1] * alone.p / 1.3, product * 2.0**-40, rtol=rtol
    )
    # unequal lengths, the same pair from either side, and next to equal lengths
    one = net.propagate_pair(0.4, 8, p1=1.3, p2=0.7)
    other = net.propagate_pair(0.4, 8, p1=0.7, p2=1.3)
    np.testing.assert_allclose(one.c, other.c, rtol=1e-14)
    near = net.propagate_pair(0.4, 8, p1=1.3, p2=1.3 * (1 + 1e-9))
    np.testing.assert_allclose(near.c, pair.c[:, 2], atol=1e-8)


def test_growth_of_bounded_activations_is_slow():
    # int sech^4 = 4/3, int (2/sqrt(pi) exp(-x^2))^2 = 2 sqrt(2/pi), int 1 over [-1, 1] = 2
    squares = {"tanh": 4 / 3, "erf": 2 * math.sqrt(2 / math.pi), "hard_tanh": 2.0}
    w, v, a = 1.2, 0.9, 0.2
    for name, square in squares.items():
        net = ResidualMeanField(name, w, 0.3, v, a)
        growth = net.asymptotics()
        s = v * v + a * a
        assert (growth.length, growth.gradient) == ("linear", "stretched")
        assert growth.length_rate == pytest.approx(s, rel=1e-7)
        rate = 2 * v * v * w * square / math.sqrt(2 * math.pi * s)
        assert growth.gradient_rate == pytest.approx(rate, rel=1e-7)
        path = net.propagate(1.0, 2400)
        logs = np.log(path.gradients[0] / path.gradients)
        root = math.sqrt(2400) - math.sqrt(600)
        assert (path.p[-1] - path.p[600]) / 1800 == pytest.approx(s, rel=0.03)
        assert (logs[-1] - logs[600]) / root == pytest.approx(rate, rel=0.03)


def test_growth_of_unbounded_activations_is_exponential():
    for name, f in (
        ("relu", 0.5),
        ("gelu", 0.5),
        ("silu", 0.5),
        ("linear", 1.0),
        ("softplus", 0.5),
    ):
        net = ResidualMeanField(name, 1.1, 0.3, 0.8, 0.2)
        growth = net.asymptotics()
        assert (growth.length, growth.gradient) == ("exponential", "exponential")
        assert growth.length_rate == pytest.approx(math.log1p(1.21 * 0.64 * f), rel=1e-7)
        assert growth.gradient_rate == pytest.approx(growth.length_rate, rel=1e-7)
        path = net.propagate(1.0, 50)
        assert math.log(path.p[-1] / path.p[-2]) == pytest.approx(growth.length_rate, rel=1e-3)
        assert math.log(path.gradients[-2]) == pytest.approx(growth.gradient_rate, rel=1e-3)
    # sin is bounded, its slope is not square integrable: E[cos^2] -> 1/2
    growth = ResidualMeanField("sin", 1.0, 0.0, 1.0, 0.0).asymptotics()
    assert (growth.length, growth.gradient) == ("linear", "exponential")
    assert growth.length_rate == pytest.approx(0.5, rel=1e-7)
    assert growth.gradient_rate == pytest.approx(math.log(1.5), rel=1e-7)


def test_blocks_without_one_of_their_weights():
    still = ResidualMeanField("tanh", 1.0, 0.5, 0.0, 0.0)
    np.testing.assert_array_equal(still.propagate(0.7, 4).p, 0.7)
    assert still.asymptotics().length == "constant"
    fed = ResidualMeanField("erf", 0.0, 0.5, 1.5, 0.2)
    growth = fed.asymptotics()
    rate = 2.25 * 2 / math.pi * math.asin(0.5 / 1.5) + 0.04
    assert (growth.length, growth.gradient) == ("linear", "constant")
    assert growth.length_rate == pytest.approx(rate, rel=1e-14)
    np.testing.assert_allclose(np.diff(fed.propagate(0.0, 5).p), rate, rtol=1e-13)
    np.testing.assert_array_equal(fed.propagate(0.0, 5).gradients, 1)


class _Seen(NamedTuple):
    p: float
    c: float
    gradient: float


def _network(args: tuple[str, float, float, float, float], depth: int, seed: int) -> _Seen:
    """Draw one network of 250 units; two inputs of correlation 0.5; a random output gradient."""
    name, sigma_w, sigma_b, sigma_v, sigma_a = args
    activation, n = get_activation(name), 250
    rng = np.random.default_rng([2017, seed])
    g = rng.standard_normal((n, 2))
    g, _ = np.linalg.qr(g)
    x = math.sqrt(n) * np.column_stack([g[:, 0], 0.5 * g[:, 0] + math.sqrt(0.75) * g[:, 1]])
    jacobians = []
    for _ in range(depth):
        w = rng.standard_normal((n, n)) * (sigma_w / math.sqrt(n))
        v = rng.standard_normal((n, n)) * (sigma_v / math.sqrt(n))
        h = w @ x + sigma_b * rng.standard_normal((n, 1))
        x = x + v @ activation(h) + sigma_a * rng.standard_normal((n, 1))
        jacobians.append((w, v, activation.derivative(h[:, 0])))
    gradient = rng.standard_normal(n)
    gradient /= np.linalg.norm(gradient)
    for w, v, slope in reversed(jacobians):
        gradient = gradient + w.T @ (slope * (v.T @ gradient))
    c = x[:, 0] @ x[:, 1] / np.linalg.norm(x[:, 0]) / np.linalg.norm(x[:, 1])
    return _Seen(float(x[:, 0] @ x[:, 0] / n), float(c), float(gradient @ gradient))


@pytest.mark.statistical
@pytest.mark.parametrize("args", [TANH, RELU, WEAK])
def test_finite_networks(args):
    # 25 networks; 3 numbers within 4.5 standard errors of the theory (t law of 24 degrees of
    # freedom: a false alarm once in 7000 each); shifts O(1/N) are below half an error
    depth = 6
    seen = np.array([_network(args, depth, seed) for seed in range(25)])
    net = ResidualMeanField(*args)
    path, pair = net.propagate(1.0, depth), net.propagate_pair(0.5, depth)
    expected = [path.p[-1], pair.c[-1], path.gradients[0]]
    error = seen.std(axis=0, ddof=1) / 5
    assert np.all(error < 0.06 * np.array(expected))
    assert np.all(np.abs(seen.mean(axis=0) - expected) < 4.5 * error)


def test_refusals():
    with pytest.raises(InputError, match="sigma_v"):
        ResidualMeanField("tanh", 1.0, 0.0, -1.0)
    net = ResidualMeanField("relu", 1.0, 0.0, 1.0)
    with pytest.raises(InputError, match="p0"):
        net.propagate(-1.0, 3)
    with pytest.raises(InputError, match=r"c0 must be in \[-1, 1\], got 1.1"):
        net.propagate_pair(1.1, 3)
    with pytest.raises(InputError, match="must broadcast"):
        net.propagate_pair([0.1, 0.2], 3, p1=[1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="p1"):
        net.propagate_pair(0.5, 3, p1=0.0)
    with pytest.raises(InputError, match="depth must be at most 11"):
        net.propagate(1e148, 100)
    with pytest.raises(InputError, match="depth must be at most"):
        ResidualMeanField("gelu", 1.0, 0.0, 1.0).propagate_pair(0.5, 100)
