"""Bad arguments of simulations, geometry and architectures: refused by name, before any work."""

# mypy: disable-error-code="arg-type, list-item"

from collections.abc import Callable

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation import (
    ConvolutionMeanField,
    LayerNormMeanField,
    MeanField,
    ResidualMeanField,
    finite_width_band,
    finite_width_gradient,
    geometry,
    phase_diagram,
    simulate,
)

NET = MeanField("tanh", 1.5, 0.3)
NETWORK = simulate.network("tanh", [3, 8, 8], 1.5, 0.1, rng=1)
NETS = simulate.Ensemble("tanh", 1.5, 0.3, width=8, n_networks=2, rng=1)
Cases = list[tuple[str, Callable[[], object]]]

HUGE = 10**13  # no machine has the memory


def errors_of_modes(**options: object) -> object:
    chosen: dict[str, object] = {"n_in": 4, "n_out": 4, "n_points": 20, "frequencies": [1]}
    hidden = options.pop("hidden_widths", [4])
    return geometry.fourier_errors("tanh", hidden, 1.5, 0.1, **{**chosen, **options})


TOO_LARGE: Cases = [
    ("depth", lambda: geometry.propagate_curve(NET, HUGE)),
    ("depth", lambda: geometry.autocorrelation(NET, 0.1, HUGE)),
    ("depth", lambda: finite_width_band(NET, 10, HUGE)),
    ("depth", lambda: finite_width_gradient(NET, 10, HUGE)),
    ("depth", lambda: ResidualMeanField("tanh", 1.0, 0.0).propagate(1.0, HUGE)),
    ("depth", lambda: ResidualMeanField("tanh", 1.0, 0.0).propagate_pair(0.1, HUGE)),
    ("depth", lambda: LayerNormMeanField("tanh", 1.0, 0.0).propagate_correlation(0.1, HUGE)),
    ("depth", lambda: ConvolutionMeanField(NET, 4, 3).propagate_covariance(np.eye(4), HUGE)),
    ("taps", lambda: ConvolutionMeanField(NET, 4, HUGE)),
    ("layers", lambda: NETS.propagate_length(1.0, HUGE)),
    ("layers", lambda: NETS.propagate_correlation(0.5, HUGE)),
    ("layers", lambda: NETS.gradient_profile(HUGE)),
    ("layers", lambda: NETS.propagate_curve(HUGE)),
    ("layers", lambda: NETS.autocorrelation(0.1, HUGE)),
    ("angles", lambda: NETS.autocorrelation(0.1, 2, n_theta=HUGE)),
    ("layers", lambda: NETS.jacobian(HUGE)),
    ("networks", lambda: errors_of_modes(n_networks=HUGE)),
]


@pytest.mark.parametrize(("name", "call"), TOO_LARGE, ids=map(str, range(len(TOO_LARGE))))
def test_sizes_beyond_the_memory_are_refused(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=name):
        call()


WRONG: Cases = [
    ("net", lambda: geometry.propagate_curve("tanh", 2)),
    ("net", lambda: geometry.autocorrelation(None, 0.1, 2)),
    ("net", lambda: geometry.saturation_curvature(3.0)),
    ("network", lambda: geometry.find_boundary(NET)),
    ("network", lambda: geometry.boundary_curvature(NET, np.ones(8), np.ones(3))),
    ("hidden_widths", lambda: errors_of_modes(hidden_widths=4)),
    ("widths", lambda: errors_of_modes(hidden_widths=["4"])),
    ("n_in", lambda: errors_of_modes(n_in="4")),
    ("n_in", lambda: errors_of_modes(n_in=[4])),
    ("closed", lambda: geometry.shallow_length_bound("tanh", 3, closed="no")),
    ("keep_points", lambda: NETWORK.curve(8, keep_points=1)),
    ("curvature", lambda: NETWORK.curve(8, curvature="no")),
    ("layer", lambda: NETWORK.curve(8, keep_points=[1]).principal_components([1])),
    ("keep_weights", lambda: simulate.network("tanh", [3, 4], 1.0, 0.0, keep_weights="no")),
    ("weights", lambda: simulate.Network.from_weights("tanh", None)),
    ("biases", lambda: simulate.Network.from_weights("tanh", [[[1.0]]], 0.0)),
    ("c0", lambda: NETS.gradient_profile(2, c0=[])),
    ("widths", lambda: NETS.gradient_profile(1, [[], 3])),
    ("shape", lambda: ConvolutionMeanField(NET, [4, []], 1)),
    ("n_sigma", lambda: finite_width_band(NET, 10, 2, n_sigma=1e13)),
    ("path", lambda: phase_diagram("tanh", 1.5, 0.1).save("")),
    ("path", lambda: phase_diagram("tanh", 1.5, 0.1).save("..")),
]


@pytest.mark.parametrize(("name", "call"), WRONG, ids=map(str, range(len(WRONG))))
def test_arguments_of_the_wrong_kind_are_named(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=rf"^{name}\b"):
        call()


def test_derivatives_that_overflow_are_refused() -> None:
    """Signals stay at 0, or on a sphere, where derivatives leave the range."""
    linear = simulate.network("linear", [4] * 60, 1e3, 0.0, dtype=np.float32, rng=1)
    for derivative in (linear.jacobian, linear.backward):
        with pytest.raises(InputError, match="overflows float32"):
            derivative(np.zeros(4))
    with pytest.raises(InputError, match="the curve overflows float64"):
        simulate.network("sin", [4] * 200, 1e3, 0.0, rng=1).curve(8)


def test_silent_layers_have_no_correlation_and_no_direction() -> None:
    """Without a warning: NaN where nothing is left to measure."""
    dead = simulate.Ensemble("tanh", 0.0, 0.0, width=4, n_networks=2, rng=1)
    correlation = dead.propagate_correlation(0.5, 2, q1=1.0).samples
    np.testing.assert_array_equal(correlation[:, 0], 0.5)
    assert np.isnan(correlation[:, 1:]).all()
    curve = geometry.propagate_curve(MeanField("tanh", 0.0, 1.0), 3, 1.0)
    np.testing.assert_array_equal(curve.metric, [1.0, 0.0, 0.0])
    assert curve.curvature_squared[0] == 1.0
    assert np.isnan(curve.curvature_squared[1:]).all()


def test_curvature_of_a_curve_that_shrinks_out_of_sight() -> None:
    """tanh is a straight line there: the image is an ellipse, of kappa ~ 1 / its size."""
    net = simulate.network("tanh", [2] * 200, 0.1, 0.0, rng=1)
    curve = net.curve(64, 1e-20)
    assert curve.curvature_squared is not None
    assert curve.gauss_metric is not None
    deep = curve.metric[120] > 0
    assert deep.all()
    assert curve.metric[120].max() < 1e-160  # whose square is no number
    # for a plane closed convex curve the unit tangent turns round once
    np.testing.assert_allclose(curve.length_gauss[:3], 2 * np.pi, rtol=1e-2)
    assert np.isfinite(curve.gauss_metric[120]).all()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_tanh", "selu"])
def test_opposite_inputs_of_activations_with_kinks_have_a_band(activation: str) -> None:
    """As the limit of nearly opposite ones, at which nothing diverges."""
    net = MeanField(activation, 1.2, 0.3)
    band = finite_width_band(net, 100, 3, q0=1.0, c0=-1.0)
    near = finite_width_band(net, 100, 3, q0=1.0, c0=-1.0 + 1e-12)
    assert band.correlation is not None
    assert near.correlation is not None
    for name in ("mean", "sd"):
        found, expected = getattr(band.correlation, name), getattr(near.correlation, name)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_opposite_inputs_stay_opposite_in_odd_networks() -> None:
    band = finite_width_band(MeanField("hard_tanh", 1.2, 0.0), 100, 3, q0=1.0, c0=-1.0)
    assert band.correlation is not None
    np.testing.assert_array_equal(band.correlation.mean, -1.0)
    np.testing.assert_array_equal(band.correlation.sd, 0.0)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_jacobians_where_signals_die_out(activation: str) -> None:
    """q_star = 0: tanh is the identity, and one layer has the quarter circle of radius 1."""
    spectrum = MeanField(activation, 0.5, 0.0).jacobian(1)
    if activation == "tanh":
        s = np.array([0.1, 0.5, 0.9])
        circle = np.sqrt(1 - s**2) * 4 / np.pi
        np.testing.assert_allclose(spectrum.density(s), circle, rtol=1e-9)
    else:  # free compression by 1/2: lambda_max = sigma_w^2 (1 + sqrt(1/2))^2
        top = spectrum.edges().lambda_max
        np.testing.assert_allclose(top, 0.25 * (1 + 0.5**0.5) ** 2, rtol=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "erf", "hard_tanh"])
def test_a_point_without_digits_does_not_fail_the_diagram(activation: str) -> None:
    """At sigma_w = 1e6 tables cannot tell 1/sigma_w^2 from 0: the errors must say so."""
    diagram = phase_diagram(activation, [1.5, 1e5, 1e6], [0.3, 3e5])
    for i, sigma_b in enumerate(diagram.sigma_b):
        for j, sigma_w in enumerate(diagram.sigma_w):
            net = MeanField(activation, float(sigma_w), float(sigma_b))
            off = abs(diagram.c_star[i, j] - net.c_star)
            assert off <= 3 * diagram.c_star_error[i, j] + 1e-12
    assert np.isfinite(diagram.c_star_error[0, 0])
