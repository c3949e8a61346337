"""Circles in random networks: against derivatives of the iterated maps, references, limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from spinnet.errors import InputError, KinkedActivationError
from spinnet.propagation import Activation, Dropout, MeanField, MultiplicativeGaussian
from spinnet.propagation.geometry.curves import (
    autocorrelation,
    propagate_curve,
    saturation_curvature,
    shallow_length,
    shallow_length_bound,
)

# Relative: ten layers of averages good to a few eps
ROUNDING = 2e-13


# ------------------------------------------------------------------ the recursion, from its maps
def erf_covariance(p: Any, q: Any) -> Any:
    return 2 / mp.pi * mp.asin(2 * p / (1 + 2 * q))


def sin_covariance(p: Any, q: Any) -> Any:
    return mp.exp(-q) * mp.sinh(p)


COVARIANCES = {"erf": erf_covariance, "sin": sin_covariance}


def by_differentiation(
    name: str, sigma_w: float, sigma_b: float, depth: int, first: Any
) -> list[tuple[Any, Any]]:
    """Metric and curvature from the Taylor series of the iterated covariance in the angle."""
    kernel = COVARIANCES[name]
    with mp.workdps(60):
        gain, bias = mp.mpf(sigma_w) ** 2, mp.mpf(sigma_b) ** 2
        lengths = [mp.mpf(first)]
        for _ in range(depth - 1):
            lengths.append(gain * kernel(lengths[-1], lengths[-1]) + bias)
        found = []
        for layer in range(depth):

            def covariance(angle: Any, layer: int = layer) -> Any:
                p = lengths[0] * mp.cos(angle)
                for q in lengths[:layer]:
                    p = gain * kernel(p, q) + bias
                return p

            second, fourth = (mp.diff(covariance, 0, n) for n in (2, 4))
            found.append((-second, fourth / second**2))
        return found


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b", "q1"),
    [
        ("erf", 2.0, 0.3, 0.4),
        ("erf", 0.8, 0.3, 5.0),
        ("sin", 1.6, 0.2, 0.3),
        ("sin", 1.1, 0.5, 2.0),
    ],
)
def test_the_recursion_is_the_chain_rule_off_equilibrium(
    name: str, sigma_w: float, sigma_b: float, q1: float
) -> None:
    curve = propagate_curve(MeanField(name, sigma_w, sigma_b), 5, q1=q1)
    expected = by_differentiation(name, sigma_w, sigma_b, 5, q1)
    assert curve.metric == pytest.approx([float(g) for g, _ in expected], rel=ROUNDING)
    assert curve.curvature_squared == pytest.approx([float(k) for _, k in expected], rel=ROUNDING)


def test_the_recursion_is_the_chain_rule_at_the_fixed_point() -> None:
    net = MeanField("erf", 2.5, 0.3)
    curve = propagate_curve(net, 4)
    expected = by_differentiation("erf", 2.5, 0.3, 4, net.q_star)
    assert curve.q.tolist() == [net.q_star] * 4
    # the trajectory of the reference leaves q_star by rounding only
    assert curve.metric == pytest.approx([float(g) for g, _ in expected], rel=1e-12)
    assert curve.curvature_squared == pytest.approx([float(k) for _, k in expected], rel=1e-12)


def test_tanh_matches_the_frozen_references(references: dict[str, Any]) -> None:
    assert len(references["geometry"]) >= 5
    for record in references["geometry"]:
        net = MeanField("tanh", float(record["sigma_w"]), float(record["sigma_b"]))
        curve = propagate_curve(net, 10, q1=None if record["first"] == "q_star" else 1.0)
        for name, values in (
            ("q", curve.q),
            ("metric", curve.metric),
            ("curvature_squared", curve.curvature_squared),
            ("gauss", curve.gauss_metric),
        ):
            assert values == pytest.approx([float(x) for x in record[name]], rel=1e-12), record


# ------------------------------------------------------------------ closed forms and limits
@pytest.mark.parametrize("name", ["tanh", "gelu", "sin", "silu"])
@pytest.mark.parametrize("sigma_w", [1.3, 2.5])
def test_closed_forms_at_the_fixed_point(name: str, sigma_w: float) -> None:
    if name in ("gelu", "silu"):
        sigma_w = 1.0 + 0.16 * sigma_w  # they have no fixed point beyond sqrt(2)
    net = MeanField(name, sigma_w, 0.3)
    curve = propagate_curve(net, 12)
    kernel, q, chi_1 = net.activation.kernel, net.q_star, net.chi_1
    chi_2 = sigma_w**2 * float(kernel.curvature_moment(q))
    layer = np.arange(12)
    limit = 3 * chi_2 / (chi_1 * (chi_1 - 1))
    assert curve.metric == pytest.approx(q * chi_1**layer, rel=ROUNDING)
    expected = limit + (1 / q - limit) * chi_1 ** (-layer.astype(float))
    assert curve.curvature_squared == pytest.approx(expected, rel=1e-11)
    assert curve.gauss_metric == pytest.approx(curve.curvature_squared * curve.metric)
    assert curve.gauss_metric[0] == pytest.approx(1)


def test_chaotic_curvature_saturates_while_length_grows() -> None:
    net = MeanField("tanh", 4.0, 0.3)
    curve = propagate_curve(net, 60)
    assert curve.curvature_squared[-1] == pytest.approx(saturation_curvature(net), rel=1e-12)
    growth = curve.length()[-1] / curve.length()[-2]
    assert growth == pytest.approx(math.sqrt(net.chi_1), rel=1e-12)
    assert curve.gauss_length[-1] / curve.gauss_length[-2] == pytest.approx(growth, rel=1e-12)


def test_ordered_gauss_metric_stays_bounded() -> None:
    net = MeanField("tanh", 1.1, 0.3)
    curve = propagate_curve(net, 200)
    chi_2 = 1.1**2 * float(net.activation.kernel.curvature_moment(net.q_star))
    limit = 1 + 3 * chi_2 * net.q_star / (net.chi_1 * (1 - net.chi_1))
    assert curve.gauss_metric[-1] == pytest.approx(limit, rel=1e-9)
    ratio = curve.curvature_squared[-1] / curve.curvature_squared[-2]
    assert ratio == pytest.approx(1 / net.chi_1, rel=1e-9)
    assert saturation_curvature(net) == math.inf


def test_a_linear_network_keeps_the_circle_round() -> None:
    curve = propagate_curve(MeanField("linear", 0.8, 0.5), 6, q1=2.0)
    assert curve.metric == pytest.approx(2.0 * 0.64 ** np.arange(6))
    assert curve.gauss_metric == pytest.approx(np.ones(6))


def test_lengths_scale_with_the_width() -> None:
    curve = propagate_curve(MeanField("tanh", 2.5, 0.3), 4)
    assert curve.length(100) == pytest.approx(10 * curve.length())
    assert curve.length(7)[0] == pytest.approx(2 * math.pi * math.sqrt(7 * curve.q[0]))
    assert curve.gauss_length == pytest.approx(2 * math.pi * np.sqrt(curve.gauss_metric))


@pytest.mark.parametrize("name", ["relu", "hard_tanh", "selu", "leaky_relu"])
def test_kinks_leave_the_metric_alone(name: str) -> None:
    net = MeanField(name, 1.0, 0.3)
    curve = propagate_curve(net, 5)
    assert curve.metric == pytest.approx(net.q_star * net.chi_1 ** np.arange(5))
    assert np.isfinite(curve.length(10)).all()
    for value in ("curvature_squared", "gauss_metric", "gauss_length"):
        with pytest.raises(KinkedActivationError, match=name):
            getattr(curve, value)
    with pytest.raises(KinkedActivationError):
        saturation_curvature(net)


def test_shared_noise_is_a_larger_gain_and_independent_noise_is_refused() -> None:
    shared = propagate_curve(MeanField("tanh", 1.4, 0.3, noise=Dropout(0.8, shared=True)), 4)
    plain = propagate_curve(MeanField("tanh", 1.4 / math.sqrt(0.8), 0.3), 4)
    assert shared.metric == pytest.approx(plain.metric, rel=1e-12)
    assert shared.curvature_squared == pytest.approx(plain.curvature_squared, rel=1e-12)
    for net in (
        MeanField("tanh", 1.4, 0.3, keep=0.9),
        MeanField("tanh", 1.4, 0.3, noise=MultiplicativeGaussian(0.1)),
    ):
        with pytest.raises(InputError, match="no curve"):
            propagate_curve(net, 3)


def test_a_curve_needs_a_length() -> None:
    critical = MeanField("relu", math.sqrt(2), 0.0)
    with pytest.raises(InputError, match="q1 must be given"):
        propagate_curve(critical, 3)
    assert propagate_curve(critical, 3, q1=2.0).metric == pytest.approx([2, 2, 2])
    with pytest.raises(InputError, match="q1 must be given"):
        propagate_curve(MeanField("tanh", 0.5, 0.0), 3)
    with pytest.raises(InputError, match="q1 must be > 0"):
        propagate_curve(critical, 3, q1=0.0)
    with pytest.raises(InputError, match="depth must be an integer >= 1"):
        propagate_curve(critical, 0, q1=1.0)
    with pytest.raises(InputError, match="width must be an integer >= 1"):
        propagate_curve(critical, 1, q1=1.0).length(0)


def test_the_method_of_the_network_is_this_function() -> None:
    net = MeanField("tanh", 2.5, 0.3)
    assert net.propagate_curve(3).metric.tolist() == propagate_curve(net, 3).metric.tolist()


@pytest.mark.statistical
def test_finite_networks_have_these_metrics_and_curvatures() -> None:
    """Mean over 24 networks of width 400; beyond four standard errors by chance 6e-5 per number.

    15 numbers: false alarms in 1e-3.  Corrections of order depth/width, below 3 per cent, are
    allowed for.
    """
    from spinnet.propagation.simulate import Ensemble

    net = MeanField("tanh", 2.0, 0.3)
    curve = propagate_curve(net, 5)
    ensemble = Ensemble("tanh", 2.0, 0.3, width=400, n_networks=24, rng=11)
    found = ensemble.propagate_curve(5)
    assert found.curvature_squared is not None
    assert found.gauss_metric is not None
    for measured, theory in (
        (found.metric, curve.metric),
        (found.curvature_squared, curve.curvature_squared),
        (found.gauss_metric, curve.gauss_metric),
    ):
        samples = measured.samples
        error = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
        assert (np.abs(samples.mean(axis=0) - theory) < 4 * error + 0.03 * theory).all()


# ------------------------------------------------------------------ autocorrelation
def test_autocorrelation_iterates_the_correlation_map() -> None:
    net = MeanField("tanh", 2.5, 0.3)
    angles = np.array([[0.0, 0.1], [1.0, math.pi]])
    path = autocorrelation(net, angles, 6)
    assert path.shape == (6, 2, 2)
    assert path[0] == pytest.approx(np.cos(angles))
    assert path == pytest.approx(net.propagate_correlation(np.cos(angles), 5), abs=1e-12)
    assert net.autocorrelation(angles, 6).tolist() == path.tolist()


def test_small_angles_are_followed_to_relative_accuracy() -> None:
    """1 - c^l = chi_1^(l-1) (1 - cos dtheta) while that is small; 1 - c would be off by 2e-2."""
    net = MeanField("tanh", 4.0, 0.3)
    angle, depth = 1e-7, 16
    with mp.workdps(30):
        first = 1 - mp.cos(mp.mpf(angle))
    expected = float(first) * net.chi_1 ** (depth - 1)
    assert 1e-9 < expected < 1e-8  # 1e-16 / 1e-9 of rounding, 4e-8 of the next order
    assert 1 - autocorrelation(net, angle, depth)[-1] == pytest.approx(expected, rel=1e-6)


def test_metric_is_the_curvature_of_the_autocorrelation() -> None:
    net = MeanField("tanh", 2.5, 0.3)
    step = 1e-4
    values = autocorrelation(net, step, 4)
    metric = 2 * (1 - values) / step**2 * net.q_star
    assert metric == pytest.approx(propagate_curve(net, 4).metric, rel=1e-6)


def test_circle_in_the_input() -> None:
    """x of length (q_star - sigma_b^2) / sigma_w^2 per component; c^1 from the affine layer."""
    net = MeanField("tanh", 1.3, 0.4)
    angles = np.linspace(0, math.pi, 7)
    radius = (net.q_star - 0.4**2) / 1.3**2
    first = (1.3**2 * radius * np.cos(angles) + 0.4**2) / net.q_star
    path = autocorrelation(net, angles, 3, input_circle=True)
    assert path[0] == pytest.approx(first, abs=1e-14)
    assert path[1] == pytest.approx(net.correlation_map(first), abs=1e-13)


@pytest.mark.parametrize("name", ["tanh", "relu", "hard_tanh"])
def test_centred_autocorrelation_has_no_mean(name: str) -> None:
    net = MeanField(name, 1.3 if name == "relu" else 2.5, 0.3)
    # midpoints of a periodic grid: for kinks the error of the rule is 40 n^-4 by layer 4
    angles = (np.arange(800) + 0.5) * 2 * math.pi / 800
    plain = autocorrelation(net, angles, 4)
    centred = autocorrelation(net, angles, 4, centred=True)
    assert np.abs(centred.mean(axis=1)).max() < 5e-10
    shift = plain - centred
    assert np.ptp(shift, axis=1).max() < 1e-15 * 10
    assert shift[1, 0] > 1e-3


def test_centred_autocorrelation_deep_in_the_chaotic_phase() -> None:
    """Deep down c is c_star nearly everywhere: so is the mean."""
    net = MeanField("tanh", 2.5, 0.3)
    shift = autocorrelation(net, 1.0, 120) - autocorrelation(net, 1.0, 120, centred=True)
    assert shift[-1] == pytest.approx(net.c_star, rel=1e-9)


def test_noise_of_their_own_decorrelates_even_coinciding_points() -> None:
    net = MeanField("tanh", 1.3, 0.3, keep=0.9)
    path = autocorrelation(net, 0.0, 150)
    assert path[0] == 1
    assert path[1] == pytest.approx(float(net.correlation_map(1.0)), rel=1e-13)
    assert path[-1] == pytest.approx(net.c_star, rel=1e-9)


def test_autocorrelation_refuses_what_has_no_meaning() -> None:
    with pytest.raises(InputError, match="fixed point"):
        autocorrelation(MeanField("gelu", 1.6, 0.5), 0.1, 3)
    with pytest.raises(InputError, match="fixed point"):
        autocorrelation(MeanField("relu", math.sqrt(2), 0.0), 0.1, 3, input_circle=True)
    with pytest.raises(InputError, match="centred must be True or False"):
        autocorrelation(MeanField("tanh", 1.3, 0.3), 0.1, 3, centred=1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dtheta must be finite"):
        autocorrelation(MeanField("tanh", 1.3, 0.3), math.nan, 3)


# ------------------------------------------------------------------ shallow networks
def test_shallow_length_of_the_specification() -> None:
    assert shallow_length("tanh", 500, 1.0) == pytest.approx(95.74, abs=0.005)


def test_shallow_length_is_that_of_a_sampled_circle() -> None:
    """One network of width 20 000: its length scatters by 1/sqrt(width)."""
    rng = np.random.default_rng(5)
    n, q = 20_000, 2.0
    a, b = np.linalg.qr(rng.standard_normal((n, 2)))[0].T * math.sqrt(n * q)
    theta = np.arange(400) * 2 * math.pi / 400
    x = np.tanh(np.outer(np.cos(theta), a) + np.outer(np.sin(theta), b))
    length = np.linalg.norm(np.diff(x, axis=0, append=x[:1]), axis=1).sum()
    assert length == pytest.approx(shallow_length("tanh", n, q), rel=5e-3)


@pytest.mark.parametrize(
    ("name", "value_range"), [("tanh", 2), ("erf", 2), ("hard_tanh", 2), ("sigmoid", 1)]
)
def test_theorem_1_and_its_saturation(name: str, value_range: float) -> None:
    bound = shallow_length_bound(name, 500)
    assert bound == pytest.approx(2 * value_range * 500)
    assert shallow_length_bound(name, 500, 3, closed=False) == pytest.approx(4 * value_range * 500)
    # total variation of a large circle: each neuron runs up and down its range once
    rng = np.random.default_rng(6)
    a, b = np.linalg.qr(rng.standard_normal((500, 2)))[0].T * math.sqrt(500 * 1e4)
    theta = np.arange(20_000) * 2 * math.pi / 20_000
    h = np.outer(np.cos(theta), a) + np.outer(np.sin(theta), b)
    x = MeanField(name, 1.0, 0.0).activation(h)
    variation = np.abs(np.diff(x, axis=0, append=x[:1])).sum()
    # a few neurons look along the circle's plane at less than the range's scale
    assert 0.99 * bound < variation <= bound * (1 + 1e-12)
    for q in (1.0, 100.0, 1e4):
        assert shallow_length(name, 500, q) < bound


def test_theorem_1_needs_a_bounded_non_decreasing_activation() -> None:
    for name in ("relu", "linear", "softplus", "selu"):
        with pytest.raises(InputError, match="must be bounded"):
            shallow_length_bound(name, 10)
    for name in ("sin", "gelu", "silu"):
        with pytest.raises(InputError, match="non-decreasing"):
            shallow_length_bound(name, 10)
    with pytest.raises(InputError, match="even on a closed curve"):
        shallow_length_bound("tanh", 10, 3)
    own = Activation(
        lambda x: 3 / (1 + np.exp(-x)),
        lambda x: 3 * np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2,
        kinks=(),
        name="logistic",
    )
    assert shallow_length_bound(own, 10) == pytest.approx(60)
