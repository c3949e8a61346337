"""Finite width: variances, shifts and bands against closed forms and against networks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from scipy import integrate

from spinnet.errors import InputError
from spinnet.propagation import finite_width as fw
from spinnet.propagation.activations import get_activation, leaky_relu
from spinnet.propagation.finite_width import finite_width_band, finite_width_gradient
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.gaussian_process import half_squared_difference

RELU = MeanField("relu", sigma_w2=2.0, sigma_b=0.0)
TANH = MeanField("tanh", 1.3, 0.3)
CHAOS = MeanField("tanh", 2.5, 0.3)


# ---------------------------------------------------------------------- closed forms
def test_relu_at_criticality():
    # E[phi^4] = 3 q^2/2 and F = q/2: K is a product of independent factors of variance 5/N
    band = finite_width_band(RELU, 100, 40, q0=0.7)
    layers = np.arange(41)
    np.testing.assert_allclose(band.kernel_variance / 0.49, 1.05**layers - 1, rtol=1e-12, atol=0)
    np.testing.assert_array_equal(band.kernel_shift, 0)
    total = (1 + 2 / 100) * 1.05**layers - 1  # E q^2 = (1 + 2/N) E K^2
    np.testing.assert_allclose((band.length.sd / 0.7) ** 2, total, rtol=1e-12)
    assert band.is_exact
    assert band.reliable_depth == 40
    gradient = finite_width_gradient(RELU, 100, 40, q0=0.7)
    np.testing.assert_allclose(gradient.relative_variance[::-1], 1.05**layers - 1, rtol=1e-11)
    np.testing.assert_allclose(gradient.mean, 1, rtol=1e-13)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.3, 1.0])
def test_homogeneous_activations_with_bias(slope):
    # K' = sigma_w^2 K X + sigma_b^2, E X = f, Var X = (3 g - f^2)/N, with moments f, g of slopes
    w, b, n, depth = 1.4, 0.3, 50, 12
    f, g = (1 + slope**2) / 2, (1 + slope**4) / 2
    mean, square = 1.0, 1.0
    for _ in range(depth):
        square = w**2 * (f * f + (3 * g - f * f) / n) * square + 2 * w * f * mean * b + b * b
        mean = w * f * mean + b
    net = MeanField(leaky_relu(slope), sigma_w2=w, sigma_b2=b)
    band = finite_width_band(net, n, depth, q0=1.0)
    assert band.is_exact
    assert band.q[-1] == pytest.approx(mean, rel=1e-13)
    assert band.kernel_variance[-1] == pytest.approx(square - mean**2, rel=1e-11)
    own = (3 * g / f**2 - 1) / n
    gradient = finite_width_gradient(net, n, depth, q0=1.0)
    assert gradient.relative_variance[0] == pytest.approx((1 + own) ** depth - 1, rel=1e-11)


def test_sin_by_hand():
    # F = (1 - e^-2q)/2, E sin^4 = 3/8 - e^-2q/2 + e^-8q/8, F'' = -2 e^-2q
    w, q, n = 1.5, 0.8, 64
    net = MeanField("sin", sigma_w2=w, sigma_b2=0.1)
    band = finite_width_band(net, n, 2, q0=q)
    second = (1 - math.exp(-2 * q)) / 2
    fourth = 3 / 8 - math.exp(-2 * q) / 2 + math.exp(-8 * q) / 8
    noise = w * w * (fourth - second**2) / n
    assert band.kernel_variance[1] == pytest.approx(noise, rel=1e-12)
    q1 = w * second + 0.1
    assert band.q[1] == pytest.approx(q1, rel=1e-14)
    assert band.kernel_shift[1] == 0
    assert band.kernel_shift[2] == pytest.approx(-w * math.exp(-2 * q1) * noise, rel=1e-10)
    fourth = 3 / 8 - math.exp(-2 * q1) / 2 + math.exp(-8 * q1) / 8
    fresh = w * w * (fourth - (1 - math.exp(-2 * q1)) ** 2 / 4) / n
    kept = (w * math.exp(-2 * q1)) ** 2 * noise
    assert band.kernel_variance[2] == pytest.approx(kept + fresh, rel=1e-12)
    # gradient: cos^2 sin^2 and cos^4 from the same exponentials; chi_1' = -w e^-2q
    cos2, cos4 = (1 + math.exp(-2 * q)) / 2, fourth_of_cos(q)
    one = finite_width_gradient(net, n, 1, q0=q)
    assert one.mean[0] == pytest.approx(w * cos2, rel=1e-14)
    assert one.relative_variance[0] == pytest.approx((3 * cos4 / cos2**2 - 1) / n, rel=1e-12)
    two = finite_width_gradient(net, n, 2, q0=q)
    later = (1 + math.exp(-2 * q1)) / 2
    response = -math.exp(-2 * q1) / later
    mixed = (1 - math.exp(-8 * q)) / 8
    expected = (
        one.relative_variance[0]
        + response**2 * noise
        + (3 * fourth_of_cos(q1) / later**2 - 1) / n
        + 2 * response * w * (mixed / cos2 - second) / n
    )
    assert two.relative_variance[0] == pytest.approx(expected, rel=1e-10)


def fourth_of_cos(q: float) -> float:
    return 3 / 8 + math.exp(-2 * q) / 2 + math.exp(-8 * q) / 8


def test_bend_of_the_length_map_counts_kinks():
    # hard tanh, z = 1/sqrt(q), n the normal density: F' = P(|h| < 1) - 2 z n(z), F'' = -z^5 n(z)
    net = MeanField("hard_tanh", 1.5, 0.2)
    band = finite_width_band(net, 100, 2, q0=0.8)
    z = 1 / math.sqrt(band.q[1])
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    bend = -(z**5) * density * 2.25
    assert band.kernel_shift[2] == pytest.approx(bend * band.kernel_variance[1] / 2, rel=1e-9)


def test_linear_pairs_follow_wishart():
    # phi = x: after one layer both K and the measured averages are Wishart
    n, c = 40, 0.3
    band = finite_width_band(MeanField("linear", 1.0, 0.0), n, 1, q0=2.0, c0=c)
    np.testing.assert_allclose(
        band.correlation_kernel_variance, [0, (1 - c * c) ** 2 / n], rtol=1e-12, atol=1e-18
    )
    np.testing.assert_allclose(
        band.correlation.sd**2, (1 - c * c) ** 2 / n * np.array([1, 2]), rtol=1e-11
    )
    # E r = c - c (1 - c^2)/(2 N) (Fisher), twice
    np.testing.assert_allclose(
        band.correlation.mean, c - c * (1 - c * c) / (2 * n) * np.array([1, 2]), rtol=1e-11
    )


# ---------------------------------------------------------------------- expansion of one layer
@pytest.mark.parametrize("name", ["tanh", "relu", "hard_tanh", "gelu", "sin"])
@pytest.mark.parametrize("epsilon", [0.4, 1.0, 1.6])
def test_the_expansion_of_one_layer_in_s_t_d(name, epsilon):
    # plain differences of E[(phi(u1) - phi(u2))^2]/2 at unequal lengths
    kernel, q, w = get_activation(name).kernel, 1.2, 1.7
    d = q * epsilon
    maps = fw._pair_map(
        MeanField(name, sigma_w2=w, sigma_b=0.0), np.array([q]), np.array([epsilon])
    )

    def after(s: float, t: float, d: float) -> float:
        q1, q2 = s + t, s - t
        e = 1 - (s - d) / math.sqrt(q1 * q2)
        return w * float(half_squared_difference(kernel, *np.array([[q1], [q2], [e]]))[0])

    h = 2e-3
    x = np.array([q, 0.0, d])
    step = np.eye(3) * h

    def first(i: int) -> float:
        return (
            8 * (after(*(x + step[i])) - after(*(x - step[i])))
            - after(*(x + 2 * step[i]))
            + after(*(x - 2 * step[i]))
        ) / (12 * h)

    def second(i: int, j: int) -> float:
        a, b = step[i], step[j]
        if i == j:
            return (
                16 * (after(*(x + a)) + after(*(x - a)))
                - after(*(x + 2 * a))
                - after(*(x - 2 * a))
                - 30 * after(*x)
            ) / (12 * h * h)
        mixed = (
            after(*(x + a + b)) - after(*(x + a - b)) - after(*(x - a + b)) + after(*(x - a - b))
        )
        return mixed / (4 * h * h)

    close = {"abs": 3e-9}  # truncation h^4 and rounding 1e-16/h
    assert first(0) == pytest.approx(float(maps.d_s[0]), **close)
    assert first(2) == pytest.approx(float(maps.d_d[0]), **close)
    assert first(1) == pytest.approx(0, **close)
    close = {"abs": 3e-5}  # h^2 of the mixed difference, 1e-15/h^2
    for value, (i, j) in zip(
        (maps.d_ss, maps.d_sd, maps.d_dd, maps.d_tt), ((0, 0), (0, 2), (2, 2), (1, 1)), strict=True
    ):
        assert second(i, j) == pytest.approx(float(value[0]), **close)


def test_fourth_moments_of_pairs_in_closed_form():
    # ReLU (Cho and Saul, degree 2): E[phi1^2 phi2^2] = q^2 [3 sin cos + (pi - t)(1 + 2 cos^2)]/2pi
    q = 1.7
    for epsilon in (1e-6, 0.2, 1.0, 1.9):
        c = 1 - epsilon
        angle = math.acos(c)
        squares = (3 * math.sin(angle) * c + (math.pi - angle) * (1 + 2 * c * c)) / (2 * math.pi)
        noise = fw._noise(RELU, q, epsilon)
        assert noise[0] == pytest.approx(q * q * (0.75 + squares / 2 - 0.25), rel=1e-11)
        assert noise[2] == pytest.approx(
            q * q * (0.75 - squares / 2), rel=1e-4 * epsilon, abs=1e-14
        )
    # linear: d is half a squared normal, Var = 2 d^2; Cov(s, d) = d^2
    noise = fw._noise(MeanField("linear", 1.0, 0.0), q, 1e-9)
    assert noise[1] == pytest.approx(2e-18 * q * q, rel=1e-13)
    assert noise[3] == pytest.approx(1e-18 * q * q, rel=1e-4)  # of two terms 1e9 times larger


@pytest.mark.parametrize("name", ["tanh", "hard_tanh"])
def test_fourth_moments_of_pairs_by_nested_quadrature(name):
    activation, q, c = get_activation(name), 3.0, 0.8
    net = MeanField(name, 1.0, 0.1)

    def average(g) -> float:
        z, w = np.polynomial.legendre.leggauss(60)
        edges = np.sort(
            [-9, -4, -2, *(k / math.sqrt(q) for k in (*activation.kinks, 0.0)), 2, 4, 9]
        )
        x = np.concatenate([(a + b) / 2 + (b - a) / 2 * z for a, b in pairwise(edges)])
        weight = np.concatenate([(b - a) / 2 * w for a, b in pairwise(edges)])
        weight = weight * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)

        def inside(u: float) -> float:
            width = math.sqrt(q * (1 - c * c))
            points = sorted((k - c * u) / width for k in (*activation.kinks, 0.0))
            value, _ = integrate.quad(
                lambda y: (
                    float(g(np.array(u), np.array(c * u + width * y)))
                    * math.exp(-y * y / 2)
                    / math.sqrt(2 * math.pi)
                ),
                -9,
                9,
                points=[p for p in points if abs(p) < 9],
                epsabs=1e-11,
                epsrel=1e-10,
                limit=200,
            )
            return value

        return float(
            sum(w * inside(math.sqrt(q) * u) for u, w in zip(x, weight, strict=True) if w > 1e-13)
        )

    def covariance(u1: np.ndarray, u2: np.ndarray) -> np.ndarray:
        f1, f2 = activation(u1), activation(u2)
        return (f1 * f1 + f2 * f2) * (f1 - f2) ** 2 / 4

    kernel = activation.kernel
    expected = average(covariance) - float(kernel.second_moment(q)) * float(
        kernel.deficit(q, 1 - c)
    )
    assert fw._noise(net, q, 1 - c)[3] == pytest.approx(expected, abs=2e-8)


@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "gelu"])
def test_pairs_contain_the_single_input(name):
    net = MeanField(name, 1.5, 0.3)
    band = finite_width_band(net, 100, 5, q0=0.7, c0=0.4)
    maps = fw._pair_map(net, band.q[:-1], band.one_minus_c[:-1])
    total = (maps.noise[0] + maps.noise[2]) / 100  # K_11 = s + t
    v = np.zeros(6)
    for k in range(5):
        v[k + 1] = maps.s_s[k] ** 2 * v[k] + total[k]
    np.testing.assert_allclose(band.kernel_variance, v, rtol=1e-10)


# ---------------------------------------------------------------------- structure
def test_bands_scale_as_one_over_width_and_follow_n_sigma():
    one = finite_width_band(TANH, 1000, 6, q0=1.5, c0=0.2)
    two = finite_width_band(TANH, 4000, 6, q0=1.5, c0=0.2, n_sigma=4.0)
    np.testing.assert_allclose(one.kernel_variance, 4 * two.kernel_variance, rtol=1e-12)
    np.testing.assert_allclose(one.kernel_shift, 4 * two.kernel_shift, rtol=1e-12)
    np.testing.assert_allclose(
        one.correlation_kernel_variance, 4 * two.correlation_kernel_variance, rtol=1e-12
    )
    np.testing.assert_allclose(
        one.correlation.mean - one.c, 4 * (two.correlation.mean - two.c), rtol=1e-9
    )
    for a, b in ((one.length, two.length), (one.correlation, two.correlation)):
        assert np.all((a.low < a.mean) & (a.mean < a.high))
        # four sigma at half the sd is the same width, up to the shift in the middle
        np.testing.assert_allclose(a.high - a.low, b.high - b.low, rtol=5e-3)
    np.testing.assert_allclose(one.c, TANH.propagate_correlation(0.2, 6, q1=1.5), rtol=1e-13)
    np.testing.assert_array_equal(one.q, TANH.propagate_length(1.5, 6))


def test_every_layer_has_its_own_width():
    widths = [50, 200, 1000, 70]
    band = finite_width_band(RELU, widths, 3, q0=1.0, c0=0.5)
    np.testing.assert_allclose(
        1 + band.kernel_variance, np.cumprod([1, 1 + 5 / 50, 1 + 5 / 200, 1 + 5 / 1000]), rtol=1e-12
    )
    np.testing.assert_allclose(
        band.length.sd**2 - band.kernel_variance,
        2 * (1 + band.kernel_variance) / widths,
        rtol=1e-11,
    )
    sampling = band.correlation.sd**2 - band.correlation_kernel_variance
    np.testing.assert_allclose(sampling, (1 - band.c**2) ** 2 / widths, rtol=1e-9)
    # a linear network keeps c, and each layer below adds (1 - c^2)^2 over its width
    linear = finite_width_band(MeanField("linear", 1.0, 0.0), widths, 3, q0=1.0, c0=0.5)
    expected = 0.5625 * np.cumsum([0, 1 / 50, 1 / 200, 1 / 1000])
    np.testing.assert_allclose(linear.correlation_kernel_variance, expected, rtol=1e-10)
    gradient = finite_width_gradient(RELU, widths, 3, q0=1.0)
    np.testing.assert_allclose(
        gradient.relative_variance,
        [1.1 * 1.025 * 1.005 - 1, 1.025 * 1.005 - 1, 0.005, 0],
        rtol=1e-11,
        atol=1e-15,
    )


def test_identical_inputs_stay_identical_and_opposite_ones_of_odd_functions():
    same = finite_width_band(TANH, 100, 4, c0=1.0)
    assert np.all(same.c == 1)
    assert np.all(same.correlation.low == 1)
    assert np.all(same.correlation.sd == 0)
    odd = finite_width_band(MeanField("tanh", 1.5, 0.0), 100, 4, c0=-1.0)
    np.testing.assert_allclose(odd.correlation.mean, -1, rtol=1e-12)
    np.testing.assert_allclose(odd.correlation.sd, 0, atol=1e-7)
    none = TANH.finite_width_band(100, 4)
    assert none.c is None
    assert none.correlation is None


@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "relu"])
def test_close_inputs_scatter_relatively(name):
    # 1 - c is a product over layers: its relative scatter does not depend on how close they are
    net = MeanField(name, 1.2, 0.3)
    far, near = (finite_width_band(net, 100, 5, q0=1.0, c0=1 - e) for e in (1e-6, 1e-10))
    scatter = [np.sqrt(b.correlation_kernel_variance) / b.one_minus_c for b in (far, near)]
    assert scatter[0][-1] > 0.2
    np.testing.assert_allclose(scatter[0], scatter[1], rtol=2e-3)


def test_reliable_is_said():
    band = finite_width_band(TANH, 20, 10, c0=0.9)
    assert not band.reliable.all()
    assert band.reliable[0]
    depth = band.reliable_depth
    assert band.reliable[: depth + 1].all()
    assert not band.reliable[depth + 1]
    assert finite_width_band(TANH, 10_000, 10, c0=0.9).reliable.all()
    gradient = finite_width_gradient(CHAOS, 100, 10)
    assert not gradient.reliable[0]
    assert gradient.reliable[-1]


# ---------------------------------------------------------------------- networks
class _Networks(NamedTuple):
    """Arrays of shape (depth + 1, n_networks)."""

    kernel: np.ndarray
    kernel_c: np.ndarray
    length: np.ndarray
    c: np.ndarray


def _networks(net: MeanField, n: int, depth: int, q0: float, c0: float, count: int) -> _Networks:
    """Draw `count` networks of width n with explicit weights, and follow two inputs."""
    rng = np.random.default_rng([1901, n, depth])
    seen: list[list[np.ndarray]] = []
    square = np.linalg.cholesky(q0 * np.array([[1, c0], [c0, 1]]))
    h = rng.standard_normal((count, n, 2)) @ square.T
    kernel = np.broadcast_to(square @ square.T, (count, 2, 2))
    for layer in range(depth + 1):
        measured = np.swapaxes(h, 1, 2) @ h / n
        seen.append(
            [
                kernel[:, 0, 0],
                kernel[:, 0, 1] / np.sqrt(kernel[:, 0, 0] * kernel[:, 1, 1]),
                measured[:, 0, 0],
                measured[:, 0, 1] / np.sqrt(measured[:, 0, 0] * measured[:, 1, 1]),
            ]
        )
        if layer < depth:
            x = net.activation(h)
            kernel = net.sigma_w**2 * np.swapaxes(x, 1, 2) @ x / n + net.sigma_b**2
            weights = rng.standard_normal((count, n, n), dtype=np.float32)
            h = weights @ x * (net.sigma_w / math.sqrt(n))
            h = h + net.sigma_b * rng.standard_normal((count, n, 1))
    return _Networks(*(np.array(a) for a in zip(*seen, strict=True)))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("net", "q0", "c0"), [(TANH, 0.61, 0.6), (CHAOS, 4.2, 0.9), (RELU, 1.0, 0.3)]
)
def test_networks_scatter_as_predicted(net, q0, c0):
    # 1500 networks, width 60, 5 layers.  A variance has relative standard error sqrt((k - 1)/n),
    # k the kurtosis, here below 5: 0.052.  Beyond 4.5 of them (a false alarm once in 1e5 for each
    # of 20) 8 per cent are left for the next order in depth/width.
    n, depth, count = 60, 5, 1500
    seen = _networks(net, n, depth, q0, c0, count)
    band = finite_width_band(net, n, depth, q0=q0, c0=c0)
    assert band.reliable.all() or net is RELU
    pairs = [
        (seen.kernel[1:], band.kernel_variance[1:]),
        (seen.kernel_c[1:], band.correlation_kernel_variance[1:]),
        (seen.length, band.length.sd**2),
        (seen.c, band.correlation.sd**2),
    ]
    for values, variance in pairs:
        assert np.all(np.abs(values.var(axis=1, ddof=1) / variance - 1) < 4.5 * 0.052 + 0.08)
    # a pooled figure, five times sharper: the mean ratio over layers, which are correlated
    ratios = [np.mean(values.var(axis=1, ddof=1) / variance) for values, variance in pairs]
    assert np.all(np.abs(np.array(ratios) - 1) < 0.15)
    # the mean, within 4.5 standard errors (once in 1e5 for each of 12)
    for values, mean in ((seen.length, band.length.mean), (seen.c, band.correlation.mean)):
        error = values.std(axis=1, ddof=1) / math.sqrt(count)
        assert np.all(np.abs(values.mean(axis=1) - mean) < 4.5 * error + 3e-3 * np.abs(mean))
    # bands of two sigma hold 95 per cent: binomial error 0.0056, and the shape of the law
    for values, two in ((seen.length, band.length), (seen.c, band.correlation)):
        inside = np.mean((values > two.low[:, None]) & (values < two.high[:, None]), axis=1)
        assert np.all(np.abs(inside - 0.9545) < 4.5 * 0.0056 + 0.01)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("net", "q0", "c0"), [(TANH, 0.61, 0.6), (MeanField("gelu", 1.2, 0.4), 1.0, 0.2)]
)
def test_shifts_of_the_mean(net, q0, c0):
    # layers are drawn by their exact law given K, which is cheap: 40 000 networks of width 30.
    # Shifts of up to 30 standard errors lie within 5 of them (a false alarm once in 2e5 for all)
    # and 15 per cent, for the next order
    n, depth, count = 30, 5, 40_000
    rng = np.random.default_rng(44)
    k11, k22, k12 = np.full(count, q0), np.full(count, q0), np.full(count, c0 * q0)
    lengths, correlations = [], []
    for _ in range(depth + 1):
        a = np.sqrt(k11)
        b = k12 / a
        z = rng.standard_normal((2, count, n))
        h1 = a[:, None] * z[0]
        h2 = b[:, None] * z[0] + np.sqrt(k22 - b * b)[:, None] * z[1]
        sums = [np.einsum("ij,ij->i", f, g) for f, g in ((h1, h1), (h2, h2), (h1, h2))]
        lengths.append((k11 + k22) / 2)
        correlations.append(sums[2] / np.sqrt(sums[0] * sums[1]))
        x, y = net.activation(h1), net.activation(h2)
        k11, k22, k12 = (
            net.sigma_w**2 * np.einsum("ij,ij->i", f, g) / n + net.sigma_b**2
            for f, g in ((x, x), (y, y), (x, y))
        )
    band = finite_width_band(net, n, depth, q0=q0, c0=c0)
    for values, infinite, mean in (
        (lengths, band.q, band.q + band.kernel_shift),
        (correlations, band.c, band.correlation.mean),
    ):
        error = np.std(values, axis=1, ddof=1) / math.sqrt(count)
        shift, expected = np.mean(values, axis=1) - infinite, mean - infinite
        assert np.abs(expected / np.maximum(error, 1e-300)).max() > 10
        assert np.all(np.abs(shift - expected) <= 5 * error + 0.15 * np.abs(expected) + 1e-14)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("net", "published"),
    [(TANH, 0.24), (CHAOS, 0.36), (MeanField("hard_tanh", 2.5, 0.3), 0.36)],
)
def test_gradients_scatter_as_predicted(net, published):
    # at width 500 and 8 layers simulated networks scatter by 0.24 to 0.40
    figure = finite_width_gradient(net, 500, 8).relative_variance[0]
    assert math.sqrt(figure) == pytest.approx(published, abs=0.006)
    # 1200 networks, width 60, 4 layers, back-propagated: the relative variance of |delta|^2 has
    # a standard error of 0.06 (kurtosis below 5); 4.5 of them and 8 per cent for the next order
    n, depth, count = 60, 4, 1200
    theory = finite_width_gradient(net, n, depth)
    rng = np.random.default_rng(1611)
    h = math.sqrt(net.q_star) * rng.standard_normal((count, n, 1))
    layers = []
    for _ in range(depth):
        weights = rng.standard_normal((count, n, n), dtype=np.float32)
        weights *= net.sigma_w / math.sqrt(n)
        layers.append((weights, net.activation.derivative(h)))
        h = weights @ net.activation(h) + net.sigma_b * rng.standard_normal((count, n, 1))
    delta = rng.standard_normal((count, n, 1))
    delta /= np.linalg.norm(delta, axis=1, keepdims=True)
    for layer in range(depth - 1, -1, -1):
        weights, slope = layers[layer]
        delta = slope * (np.swapaxes(weights, 1, 2) @ delta)
        size = np.sum(delta**2, axis=(1, 2)) / theory.mean[layer]
        ratio = size.var(ddof=1) / size.mean() ** 2 / theory.relative_variance[layer]
        assert abs(ratio - 1) < 4.5 * 0.06 + 0.08
        assert abs(size.mean() - 1) < 4.5 * size.std() / math.sqrt(count) + 0.02


# ---------------------------------------------------------------------- arguments
def test_refusals():
    with pytest.raises(InputError, match="no noise"):
        finite_width_band(MeanField("tanh", 1.0, 0.1, keep=0.5), 10, 3)
    with pytest.raises(InputError, match="net must be a MeanField"):
        finite_width_gradient("tanh", 10, 3)
    with pytest.raises(InputError, match="q0 must be given where q_star is nan"):
        finite_width_band(RELU, 10, 3)
    with pytest.raises(InputError, match=r"q0 must be given where q_star is 0"):
        finite_width_band(MeanField("tanh", 0.5, 0.0), 10, 3)
    with pytest.raises(InputError, match="q0 must be > 0"):
        finite_width_band(TANH, 10, 3, q0=0.0)
    with pytest.raises(InputError, match=r"depth \+ 1 = 4 of them, got 3"):
        finite_width_band(TANH, [10, 10, 10], 3)
    with pytest.raises(InputError, match="width must be an integer >= 1"):
        finite_width_band(TANH, 0, 3)
    with pytest.raises(InputError, match=r"c0 must be in \[-1, 1\], got 1.2"):
        finite_width_band(TANH, 10, 3, c0=1.2)
    with pytest.raises(InputError, match="n_sigma"):
        finite_width_band(TANH, 10, 3, n_sigma=-1)
    with pytest.raises(InputError, match="depth must be at most 166 here: the length of layer 167"):
        finite_width_gradient(MeanField("relu", 2.0**-0.5, 0.0), 10, 400, q0=1.0)
    assert len(finite_width_band(TANH, 10, 0, c0=0.3).q) == 1
    assert finite_width_gradient(TANH, 10, 0).relative_variance[0] == 0
