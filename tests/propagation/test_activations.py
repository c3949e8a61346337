"""The named activations, and the interface of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from spinnet import Activation, InputError
from spinnet.propagation import ACTIVATIONS, get_activation, leaky_relu, scaled_erf
from spinnet.propagation.kernels.nodes import erf_nodes_of_tanh


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_derivatives(name):
    phi = get_activation(name)
    x = np.linspace(-6, 6, 400)  # no kink is hit
    h = 1e-5
    np.testing.assert_allclose((phi(x + h) - phi(x - h)) / (2 * h), phi.derivative(x), atol=1e-9)
    numeric = (phi.derivative(x + h) - phi.derivative(x - h)) / (2 * h)
    np.testing.assert_allclose(numeric, phi.second_derivative(x), atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_large_arguments_do_no_harm(name, dtype):
    phi = get_activation(name)
    x = np.array([-1e4, -800.0, -30.0, 0.0, 30.0, 800.0, 1e4], dtype=dtype)
    for function in (phi, phi.derivative, phi.second_derivative):
        values = function(x)
        assert values.dtype == dtype
        assert values.shape == x.shape
        assert np.isfinite(values).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_are_those_that_a_search_finds(name):
    phi = get_activation(name)
    found = Activation(phi, phi.derivative, phi.second_derivative)
    assert found.kinks == phi.kinks
    np.testing.assert_allclose(found.slope_jumps, phi.slope_jumps, rtol=1e-9)
    assert phi.is_smooth == (not phi.kinks) == phi.kernel.smooth


def test_values_that_everybody_knows():
    assert get_activation("selu")(np.array([1.0]))[0] == pytest.approx(1.0507009873554805)
    assert get_activation("selu")(np.array([-50.0]))[0] == pytest.approx(-1.7580993408473766)
    assert get_activation("gelu")(np.array([1.0]))[0] == pytest.approx(0.8413447460685429)
    assert get_activation("silu")(np.array([1.0]))[0] == pytest.approx(0.7310585786300049)
    assert get_activation("leaky_relu")(np.array([-2.0]))[0] == pytest.approx(-0.2)
    assert scaled_erf(2.0, 0.5, 0.1)(np.array([1.0]))[0] == pytest.approx(
        2 * special.erf(0.5) + 0.1
    )


def test_tanh_is_a_mixture_of_error_functions():
    weights, scales = erf_nodes_of_tanh()
    x = np.linspace(-40, 40, 20_001)
    mixture = (weights * special.erf(scales * x[:, None])).sum(axis=1)
    np.testing.assert_allclose(mixture, np.tanh(x), atol=1e-15)
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    assert (weights * scales).sum() * 2 / np.sqrt(np.pi) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("name", ["Tanh", "leaky-relu", "HARD_TANH"])
def test_names_are_forgiving(name):
    assert get_activation(name).name == name.lower().replace("-", "_")


def test_bad_activations():
    with pytest.raises(InputError, match="did you mean 'softplus'"):
        get_activation("soft_plus")
    with pytest.raises(InputError, match=r"wrap a function of your own in spinnet\.Activation"):
        get_activation(np.tanh)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="derivative must be a function of an array, got None"):
        Activation(np.tanh, None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="derivative must be the derivative of f"):
        Activation(np.tanh, np.cosh)
    with pytest.raises(InputError, match="must be finite"):
        Activation(lambda x: np.where(x > 3, np.nan, x), np.ones_like)
    with pytest.raises(InputError, match="must return the shape it is given"):
        Activation(lambda x: x.sum(), np.ones_like)
    with pytest.raises(InputError, match="it jumps by 2"):
        Activation(np.sign, np.zeros_like)
    with pytest.raises(InputError, match="amplitude and scale must not be 0"):
        scaled_erf(0.0)
    with pytest.raises(InputError, match="slope must be finite"):
        leaky_relu(np.inf)
