"""Linear read-out of Fourier modes, and the length of shallow curves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation.geometry import shallow_length_bound
from spinnet.propagation.geometry.expressivity import (
    fourier_errors,
    fourier_modes,
    half_great_circle,
    outputs,
    random_function,
    regress,
    variation,
)
from spinnet.propagation.simulate import network


def test_the_angular_error_is_that_of_the_angle():
    # a target at 30 degrees to the span of the features and the constant
    n = 400
    modes = fourier_modes(n, [1, 2, 3])
    target = math.cos(math.pi / 6) * modes[:, 0] + math.sin(math.pi / 6) * modes[:, 2] + 0.0
    found = regress(modes[:, :2], np.stack([target, modes[:, 1], modes[:, 5]], axis=1))
    np.testing.assert_allclose(
        found.angular_error, [1 - math.cos(math.pi / 6), 0.0, 1.0], atol=1e-12
    )
    np.testing.assert_allclose(found.fit[:, 0], math.cos(math.pi / 6) * modes[:, 0], atol=1e-12)
    assert found.rank == 3


def test_a_constant_is_always_fitted():
    found = regress(np.linspace(-1, 1, 50)[:, None], 3 * np.ones(50))
    np.testing.assert_allclose(found.fit[:, 0], 3.0, rtol=1e-13)


def test_the_fit_is_least_squares():
    rng = np.random.default_rng(1)
    features, targets = rng.standard_normal((80, 6)), rng.standard_normal((80, 3))
    design = np.column_stack([features, np.ones(80)])
    expected = design @ np.linalg.lstsq(design, targets)[0]
    found = regress(features, targets)
    np.testing.assert_allclose(found.fit, expected, atol=1e-12)
    cosine = np.sum(targets * expected, 0) / (
        np.linalg.norm(targets, axis=0) * np.linalg.norm(expected, axis=0)
    )
    np.testing.assert_allclose(found.angular_error, 1 - cosine, rtol=1e-12)


def test_directions_below_the_resolution_are_left_out():
    modes = fourier_modes(200, [1, 2, 3])
    features = np.stack([modes[:, 0], modes[:, 0] + 1e-6 * modes[:, 1], modes[:, 0]], axis=1)
    fine, coarse = regress(features, modes[:, 1]), regress(features, modes[:, 1], resolution=1e-5)
    assert fine.rank == 3  # two directions and the constant: the copy adds none
    assert fine.angular_error[0] < 1e-9
    assert coarse.rank == 2
    assert coarse.angular_error[0] > 0.9


def test_fourier_modes_are_orthogonal():
    modes = fourier_modes(100, np.arange(1, 50))
    np.testing.assert_allclose(modes.T @ modes, 50 * np.eye(98), atol=1e-11)


def test_a_random_function_has_its_bandwidth():
    values = random_function(1000, 8.0, rng=3)
    assert values.mean() == pytest.approx(0, abs=1e-12)
    assert np.mean(values**2) == pytest.approx(1)
    power = np.abs(np.fft.rfft(values)) ** 2
    assert power[33:].sum() < 1e-6 * power.sum()  # exp(-(33/8)^2) = 4e-8 per mode
    assert power[9:].sum() > 1e-3 * power.sum()


def test_a_half_great_circle_is_one():
    theta, x = half_great_circle(30, 64, q=2.0, rng=4)
    np.testing.assert_allclose(np.sum(x**2, axis=1), 60.0, rtol=1e-12)
    np.testing.assert_allclose(x @ x[0] / 60.0, np.cos(theta), atol=1e-13)
    assert theta[-1] == pytest.approx(np.pi * 63 / 64)
    assert np.linalg.matrix_rank(x) == 2


def test_depth_and_not_width_reaches_high_frequencies():
    # Poole et al., figure 5, reduced: sigma_w = 4, sigma_b = 0.3, 200 inputs and outputs, 2000
    # points.  The error of a shallow network falls from 0 to near 1 at a frequency that its width
    # hardly moves, while three hidden layers are far beyond it.
    options = {"n_in": 200, "n_out": 200, "n_points": 2000, "n_networks": 2, "rng": 1}
    frequencies = [5, 20, 55, 70]

    def errors(hidden):
        return fourier_errors("tanh", hidden, 4.0, 0.3, frequencies=frequencies, **options)

    shallow, wide, deep = errors([300]), errors([1200]), errors([300, 300, 300])
    for found in (shallow, wide):
        assert np.all(found.error.mean[:2] < 0.01)
        assert np.all(found.error.mean[2:] > 0.6)
    assert np.all(deep.error.mean < 0.05)
    assert np.all(shallow.rank.mean < 0.6 * deep.rank.mean)
    assert deep.error.samples.shape == (2, 4)
    assert deep.error.parameters["n_points"] == 2000
    # in double precision the same shallow network reaches what it does not in single
    fine = fourier_errors("tanh", [300], 4.0, 0.3, frequencies=[55], resolution=0.0, **options)
    assert fine.error.mean[0] < 0.3


def test_outputs_are_the_last_layer():
    net = network("tanh", [5, 8, 6], 1.5, 0.3, rng=5)
    x = np.random.default_rng(5).standard_normal((4, 5))
    np.testing.assert_array_equal(outputs(net, x), net.forward(x)[-1])


# --- lengths of shallow curves --------------------------------------------------------------------


def test_variation_counts_what_a_curve_does():
    theta = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    curve = np.stack([3 * np.cos(theta), np.sin(3 * theta), np.zeros_like(theta)], axis=1)
    closed = variation(curve, closed=True)
    np.testing.assert_allclose(closed.total_variation, [12.0, 12.0, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(closed.sign_changes, [2, 6, 0])
    speed = np.hypot(3 * np.sin(theta), 3 * np.cos(3 * theta))
    assert closed.euclidean_length == pytest.approx(2 * np.pi * speed.mean(), rel=1e-5)
    half = variation(curve[:2001])
    np.testing.assert_allclose(half.total_variation, [6.0, 6.0, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(half.sign_changes, [0, 3, 0])


def test_a_pause_is_no_turn():
    points = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 1.0, 1.0, 0.0, 0.0, 3.0])[:, None]
    assert variation(points).sign_changes[0] == 2
    # the step back from 3 to 0 turns once more, and so does the first rise after it
    assert variation(points, closed=True).sign_changes[0] == 4


def test_a_closed_curve_turns_an_even_number_of_times():
    rng = np.random.default_rng(6)
    found = variation(rng.standard_normal((101, 50)), closed=True)
    assert np.all(found.sign_changes % 2 == 0)


@pytest.mark.parametrize("q", [1.0, 1e4])
def test_shallow_curves_are_within_theorem_one(q):
    # a circle of pre-activations through 500 tanh neurons: each coordinate turns twice
    width = 500
    net = network("tanh", [1, width], 1.0, 0.0, rng=7)
    curve = net.curve(6000, q, curvature=False, keep_points=[1])
    found = variation(np.tanh(curve.points[1]), closed=True)
    assert np.all(found.sign_changes == 2)
    bound = shallow_length_bound("tanh", width)
    assert bound == 2000.0
    assert found.euclidean_length <= found.total_variation.sum() <= bound * (1 + 1e-12)
    # mean field: L^E = 2 pi sqrt(N q E[phi'^2]); by quadrature 95.7 and 934 at these q
    z, step = np.linspace(-8, 8, 200_001, retstep=True)
    weight = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * step
    slope = float(np.sum(weight / np.cosh(np.clip(math.sqrt(q) * z, -100, 100)) ** 4))
    expected = 2 * math.pi * math.sqrt(width * q * slope)
    if q == 1.0:
        assert found.euclidean_length == pytest.approx(expected, rel=0.02)
    else:  # saturated: the total variation is at the bound, the length far below
        assert found.total_variation.sum() > 0.99 * bound
        assert found.euclidean_length < 0.6 * bound


def test_half_great_circles_are_within_theorem_one():
    _, x = half_great_circle(20, 4000, q=9.0, rng=8)
    net = network("sigmoid", [20, 300], 3.0, 0.5, rng=9)
    activity = np.asarray(net.activation(outputs(net, x)))
    found = variation(activity)
    assert found.sign_changes.max() == 1
    bound = shallow_length_bound("sigmoid", 300, 1, closed=False)
    assert found.total_variation.sum() <= bound == 600.0
    assert found.euclidean_length <= found.total_variation.sum()


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="n_points must be >= 2"):
        fourier_errors("tanh", [10], 1.0, 0.1, n_out=500, n_points=900)
    with pytest.raises(InputError, match=r"below n_points / 2 = 1000, got \[1000"):
        fourier_errors("tanh", [10], 1.0, 0.1, n_out=50, n_points=2000, frequencies=[1000])
    with pytest.raises(InputError, match="frequencies must be integers"):
        fourier_modes(100, [1.5])
    with pytest.raises(InputError, match="targets must have shape"):
        regress(np.ones((5, 2)), np.ones(6))
    with pytest.raises(InputError, match="targets must not be 0"):
        regress(np.ones((5, 2)), np.zeros(5))
    with pytest.raises(InputError, match="resolution must be below 1"):
        regress(np.ones((5, 2)), np.ones(5), resolution=1.0)
    with pytest.raises(InputError, match="at least 3 points"):
        variation(np.ones((2, 2)))
    with pytest.raises(InputError, match="GB; take fewer points"):
        half_great_circle(1000, 10**12)
    with pytest.raises(InputError, match="GB; take fewer points"):
        fourier_errors("tanh", [10], 1.0, 0.1, n_points=10**12)
