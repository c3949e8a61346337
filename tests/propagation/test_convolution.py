"""Periodic convolutional networks: the covariance map, its modes, and networks with channels."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation.activations import get_activation
from spinnet.propagation.convolution import ConvolutionMeanField, correlations
from spinnet.propagation.gaussian import MeanField

ORDERED = MeanField("tanh", sigma_w=1.3, sigma_b=0.3)
CHAOTIC = MeanField("tanh", sigma_w=2.5, sigma_b=0.3)
PUBLISHED = (0.93981, 0.85587, 0.62654, 0.31327)


def _image(shape: tuple[int, ...], channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1806).standard_normal((channels, *shape))


# ---------------------------------------------------------------------- modes
def test_mode_factors_of_three_taps_on_twelve_positions():
    cnn = ConvolutionMeanField(ORDERED, shape=12, taps=3)
    np.testing.assert_allclose(ORDERED.chi_1 * cnn.mode_factors[:4], PUBLISHED, atol=5e-6)
    np.testing.assert_allclose(cnn.xi_c[:4], -1 / np.log(PUBLISHED), rtol=1e-4)
    assert cnn.mode_factors[0] == 1
    assert cnn.xi_c[0] == pytest.approx(ORDERED.xi_c, rel=1e-13)
    assert cnn.xi_q[0] == pytest.approx(ORDERED.xi_q, rel=1e-12)
    assert cnn.mode_factors[4] == pytest.approx(0, abs=1e-16)  # 1 + 2 cos(2 pi / 3)


def _deviation(covariance: np.ndarray, limit: float, mode: int, distance: int) -> complex:
    """Fourier amplitude of K(a, a + distance) - limit along a."""
    n = len(covariance)
    a = np.arange(n)
    values = covariance[a, (a + distance) % n] - limit
    return complex(np.sum(values * np.exp(2j * math.pi * mode * a / n)))


@pytest.mark.parametrize("distance", [1, 3])
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_the_covariance_map_damps_each_mode_by_its_factor(mode, distance):
    cnn, q, n = ConvolutionMeanField(ORDERED, shape=12, taps=3), ORDERED.q_star, 12
    base = 1e-8 * q * (1 - np.eye(n))
    for a in range(n):
        b = (a + distance) % n
        extra = 0.4 * 1e-8 * q * math.cos(2 * math.pi * mode * a / n)
        base[a, b] += extra
        base[b, a] += extra
    path = cnn.propagate_covariance(q - base, 3)
    sizes = [abs(_deviation(layer, q, mode, distance)) for layer in path]
    np.testing.assert_allclose(np.divide(sizes[1:], sizes[:-1]), PUBLISHED[mode], atol=6e-6)


def test_modes_of_the_length_and_of_the_chaotic_phase():
    taps = [0.1, 0.2, 0.0, 0.4, 0.3]  # no symmetry: modes travel, and their size is |v(omega)|
    cnn, n = ConvolutionMeanField(CHAOTIC, shape=9, taps=taps), 9
    omega = 2 * math.pi * np.arange(n) / n
    direct = [abs(sum(v * np.exp(1j * (k - 2) * w) for k, v in enumerate(taps))) for w in omega]
    np.testing.assert_allclose(cnn.mode_factors, direct, atol=1e-15)
    q, c, size = CHAOTIC.q_star, CHAOTIC.c_star, 1e-6
    start = q * ((1 - c) * np.eye(n) + c)
    for mode in (1, 2):
        wave = size * np.cos(omega * mode)
        lengths = cnn.propagate_covariance(start + np.diag(wave), 2)
        sizes = [abs(_deviation(layer, q, mode, 0)) for layer in lengths]
        expected = abs(CHAOTIC.chi_q) * direct[mode]
        np.testing.assert_allclose(np.divide(sizes[1:], sizes[:-1]), expected, rtol=1e-5)
        assert cnn.xi_q[mode] == pytest.approx(-1 / math.log(expected), rel=1e-12)
        pairs = start.copy()
        for a in range(n):
            pairs[a, (a + 2) % n] += wave[a]
            pairs[(a + 2) % n, a] += wave[a]
        sizes = [
            abs(_deviation(layer, q * c, mode, 2)) for layer in cnn.propagate_covariance(pairs, 2)
        ]
        expected = CHAOTIC.chi_c * direct[mode]
        np.testing.assert_allclose(np.divide(sizes[1:], sizes[:-1]), expected, rtol=1e-5)
        assert cnn.xi_c[mode] == pytest.approx(-1 / math.log(expected), rel=1e-12)


def test_delta_orthogonal_filters_transmit_every_mode_alike():
    cnn = ConvolutionMeanField(CHAOTIC, shape=(4, 6), taps=np.pad([[1.0]], 1))
    np.testing.assert_allclose(cnn.mode_factors, 1, rtol=1e-15)
    np.testing.assert_allclose(cnn.xi_c, CHAOTIC.xi_c, rtol=1e-12)
    # positions do not talk: each pair follows the map of a fully connected network
    sigma = cnn.input_covariance(_image((4, 6)))
    q = np.diag(sigma)
    c = CHAOTIC.propagate_correlation(correlations(sigma), 3, q1=q[:, None], q2=q[None, :])
    np.testing.assert_allclose(
        correlations(cnn.propagate_covariance(sigma, 3)[-1]), c[-1], atol=1e-13
    )


def test_two_dimensions_factorise():
    row, column = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.4])
    both = ConvolutionMeanField(ORDERED, shape=(5, 8), taps=np.outer(row, column))
    one = ConvolutionMeanField(ORDERED, shape=5, taps=row)
    two = ConvolutionMeanField(ORDERED, shape=8, taps=column)
    np.testing.assert_allclose(
        both.mode_factors, np.outer(one.mode_factors, two.mode_factors), atol=1e-15
    )
    assert ConvolutionMeanField(ORDERED, (5, 8), 3).profile.shape == (3, 3)
    assert ConvolutionMeanField(ORDERED, (5, 8), (1, 3)).profile.shape == (1, 3)


def test_scales_of_critical_and_marginal_networks():
    relu = MeanField("relu", sigma_w=math.sqrt(2), sigma_b=0.0)
    cnn = ConvolutionMeanField(relu, shape=6, taps=3)
    assert cnn.xi_c[0] == cnn.xi_q[0] == math.inf
    assert cnn.xi_c[1] == pytest.approx(-1 / math.log(2 / 3), rel=1e-14)
    assert ConvolutionMeanField(CHAOTIC, 6, 2).xi_c[3] == pytest.approx(0, abs=0.03)  # lambda = 0


# ---------------------------------------------------------------------- covariances
@pytest.mark.parametrize(
    ("shape", "taps"),
    [((5,), np.array([0.2, 0.5, 0.3])), ((3, 4), np.array([[0.1, 0.4], [0.3, 0.2]]))],
)
def test_the_map_is_its_definition(shape, taps):
    # sums over positions and taps, one by one; erf in closed form
    w2, b2 = 1.44, 0.09
    net = MeanField("erf", sigma_w2=w2, sigma_b2=b2)
    cnn = ConvolutionMeanField(net, shape, taps)
    image = _image(shape)
    places = list(product(*(range(n) for n in shape)))

    def shifted(place: tuple[int, ...], tap: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(
            (a + k - (m - 1) // 2) % n
            for a, k, m, n in zip(place, tap, taps.shape, shape, strict=True)
        )

    def mixed(value: dict[tuple[tuple[int, ...], tuple[int, ...]], float]) -> np.ndarray:
        result = np.array(
            [
                [
                    sum(
                        taps[tap] * value[shifted(a, tap), shifted(b, tap)]
                        for tap in np.ndindex(*taps.shape)
                    )
                    for b in places
                ]
                for a in places
            ]
        )
        return w2 * result + b2

    first = mixed(
        {(a, b): float(np.mean(image[:, *a] * image[:, *b])) for a in places for b in places}
    )
    np.testing.assert_allclose(cnn.input_covariance(image), first, rtol=1e-13)
    angle = {}
    for (i, a), (j, b) in product(enumerate(places), repeat=2):
        scale = math.sqrt((1 + 2 * first[i, i]) * (1 + 2 * first[j, j]))
        angle[a, b] = 2 / math.pi * math.asin(2 * first[i, j] / scale)
    second = mixed(angle)
    np.testing.assert_allclose(cnn.covariance_map(first), second, rtol=1e-12)
    np.testing.assert_array_equal(cnn.propagate_covariance(first, 0), first[None])


def test_shifting_the_image_shifts_the_covariance():
    cnn = ConvolutionMeanField(ORDERED, shape=(3, 4), taps=2)
    image = _image((3, 4))
    plain = cnn.propagate_covariance(cnn.input_covariance(image), 2)[-1].reshape(3, 4, 3, 4)
    moved = np.roll(image, (1, 2), axis=(1, 2))
    shifted = cnn.propagate_covariance(cnn.input_covariance(moved), 2)[-1].reshape(3, 4, 3, 4)
    np.testing.assert_allclose(shifted, np.roll(plain, (1, 2, 1, 2), axis=(0, 1, 2, 3)), rtol=1e-12)


@pytest.mark.parametrize("net", [ORDERED, CHAOTIC])
def test_every_image_ends_at_the_fixed_point(net):
    cnn = ConvolutionMeanField(net, shape=6, taps=3)
    path = cnn.propagate_covariance(cnn.input_covariance(_image((6,))), 250)
    c = correlations(path)
    assert np.all(np.diagonal(c, axis1=1, axis2=2) == 1)
    np.testing.assert_allclose(np.diagonal(path[-1]), net.q_star, rtol=1e-12)
    np.testing.assert_allclose(c[-1][~np.eye(6, dtype=bool)], net.c_star, atol=1e-5)
    assert np.array_equal(path, np.swapaxes(path, 1, 2))


@pytest.mark.statistical
def test_networks_with_channels():
    # 30 networks of 250 channels on a ring of 5, 3 taps; the 15 covariances of layer 3 within 5
    # standard errors of the theory (t law of 29 degrees of freedom: a false alarm once in 2500
    # for all); shifts O(1/channels) are below half an error
    n, channels, depth, sigma_w, sigma_b = 5, 250, 3, 1.5, 0.3
    taps = np.array([0.5, 0.3, 0.2])
    activation = get_activation("tanh")
    image = _image((n,), channels=4)
    rng = np.random.default_rng(45)
    seen = []
    for _ in range(30):
        x = image
        for _layer in range(depth + 1):
            filters = rng.standard_normal((3, channels, len(x))) * (sigma_w / math.sqrt(len(x)))
            h = sigma_b * rng.standard_normal((channels, 1)) * np.ones(n)
            for k, variance in enumerate(taps):  # the tap at k reaches to position + k - 1
                h = h + math.sqrt(variance) * filters[k] @ np.roll(x, 1 - k, axis=1)
            x = activation(h)
        seen.append((h.T @ h / channels)[np.triu_indices(n)])
    net = MeanField("tanh", sigma_w, sigma_b)
    cnn = ConvolutionMeanField(net, n, taps)
    theory = cnn.propagate_covariance(cnn.input_covariance(image), depth)[-1]
    error = np.std(seen, axis=0, ddof=1) / math.sqrt(30)
    assert error.max() < 0.03
    assert np.all(np.abs(np.mean(seen, axis=0) - theory[np.triu_indices(n)]) < 5 * error)
    assert np.ptp(theory[np.triu_indices(n)]) > 10 * error.max()  # the pattern is seen


def test_refusals():
    with pytest.raises(InputError, match="no noise"):
        ConvolutionMeanField(MeanField("tanh", 1.0, 0.1, keep=0.9), 4, 3)
    with pytest.raises(InputError, match="net must be a MeanField"):
        ConvolutionMeanField("tanh", 4, 3)
    with pytest.raises(InputError, match="add up to 1"):
        ConvolutionMeanField(ORDERED, 4, [0.5, 0.4])
    with pytest.raises(InputError, match="taps must be at most shape"):
        ConvolutionMeanField(ORDERED, 4, 5)
    with pytest.raises(InputError, match="taps must have 2 axes"):
        ConvolutionMeanField(ORDERED, (4, 4), [0.5, 0.5])
    with pytest.raises(InputError, match="one or two integers"):
        ConvolutionMeanField(ORDERED, (2, 2, 2), 1)
    with pytest.raises(InputError, match="4096 positions"):
        ConvolutionMeanField(ORDERED, (65, 64), 3)
    cnn = ConvolutionMeanField(ORDERED, 3, 3)
    with pytest.raises(InputError, match="image must have shape"):
        cnn.input_covariance(np.zeros((2, 4)))
    with pytest.raises(InputError, match="symmetric"):
        cnn.covariance_map(np.eye(3) + np.eye(3, k=1))
    with pytest.raises(InputError, match="correlations in"):
        cnn.covariance_map(np.eye(3) * 0.5 + 1 - np.eye(3) * 1)
    with pytest.raises(InputError, match="on the diagonal"):
        cnn.covariance_map(np.zeros((3, 3)))
    with pytest.raises(InputError, match="covariance must have shape"):
        cnn.covariance_map(np.eye(4))
    with pytest.raises(InputError, match="square"):
        correlations([1.0, 2.0])
