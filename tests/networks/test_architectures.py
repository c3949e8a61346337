"""The NumPy network: against an explicit float64 computation, and its null models."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinnet.errors import InputError
from spinnet.networks import Dataset, FeedForward, Layer, load_bundled
from spinnet.networks.architectures import ACTIVATIONS

WIDTHS = (5, 7, 4, 3)
SCALAR = {
    "relu": lambda x: x if x > 0 else 0.0,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "identity": lambda x: x,
}


def network_of(widths=WIDTHS, activation="relu", seed=0):
    rng = np.random.default_rng(seed)
    n = len(widths) - 1
    return FeedForward(
        tuple(
            Layer(
                f"fc{k + 1}",
                rng.normal(size=(widths[k], widths[k + 1])),
                rng.normal(size=widths[k + 1]),
                activation if k < n - 1 else "identity",
            )
            for k in range(n)
        )
    )


def explicit_forward(network, row):
    """The activations of each layer on one input, node by node in double precision."""
    result, values = [], [float(x) for x in row]
    for layer in network.layers:
        f = SCALAR[layer.activation]
        values = [
            f(
                math.fsum(values[i] * float(layer.weights[i, j]) for i in range(layer.n_in))
                + float(layer.bias[j])
            )
            for j in range(layer.n_out)
        ]
        result.append(values)
    return result


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_forward_equals_the_explicit_computation(activation, batch_size):
    network = network_of(activation=activation)
    x = np.random.default_rng(1).normal(size=(9, 5)).astype(np.float32)
    out = network.forward(x, batch_size=batch_size)
    assert list(out) == ["fc1", "fc2", "fc3"]
    for row in range(len(x)):
        for values, layer in zip(explicit_forward(network, x[row]), network.layers, strict=True):
            assert out[layer.name].dtype == np.float32
            # three layers of sums of at most 7 terms of order 10, each rounded at 6e-8
            np.testing.assert_allclose(out[layer.name][row], values, rtol=0, atol=5e-5)


def test_bundled_network_agrees_with_double_precision():
    network = load_bundled()
    x = np.random.default_rng(3).random((2, 784)).astype(np.float32)
    out = network.forward(x)
    for row in range(2):
        for values, layer in zip(explicit_forward(network, x[row]), network.layers, strict=True):
            # sums of up to 784 terms of order 0.1: rounding far below 1e-4
            np.testing.assert_allclose(out[layer.name][row], values, rtol=0, atol=1e-4)


def test_sigmoid_is_finite_in_both_tails():
    values = ACTIVATIONS["sigmoid"](np.array([-1e30, 0, 1e30], dtype=np.float32))
    assert values.tolist() == [0.0, 0.5, 1.0]


def test_predict_and_accuracy_take_the_largest_output():
    network = network_of()
    x = np.random.default_rng(2).normal(size=(50, 5)).astype(np.float32)
    expected = [int(np.argmax(explicit_forward(network, row)[-1])) for row in x]
    assert network.predict(x, batch_size=7).tolist() == expected
    labels = np.array(expected)
    labels[:10] = (labels[:10] + 1) % 3
    data = Dataset(x[:, None, :], labels, "x", "test", "here", ("a", "b", "c"))
    assert network.accuracy(data) == 0.8


def test_axes_beyond_the_first_are_flattened():
    network = network_of((12, 3, 2))
    x = np.random.default_rng(2).random((4, 3, 4))
    np.testing.assert_array_equal(
        network.forward(x)["fc2"], network.forward(x.reshape(4, 12))["fc2"]
    )


@given(seed=st.integers(0, 2**32))
def test_shuffling_keeps_the_entries_of_each_layer(seed):
    network = network_of()
    null = network.shuffled(seed)
    for old, new in zip(network.layers, null.layers, strict=True):
        np.testing.assert_array_equal(np.sort(old.weights.ravel()), np.sort(new.weights.ravel()))
        np.testing.assert_array_equal(old.bias, new.bias)
    assert null.fingerprint() == network.shuffled(seed).fingerprint()


def test_shuffling_some_layers_leaves_the_others():
    network = network_of()
    null = network.shuffled(5, layers=["fc2"])
    assert [
        np.array_equal(a.weights, b.weights)
        for a, b in zip(network.layers, null.layers, strict=True)
    ] == [True, False, True]
    # a layer's permutation does not depend on which others are permuted
    np.testing.assert_array_equal(null["fc2"].weights, network.shuffled(5)["fc2"].weights)
    assert "fc2" in null.origin
    assert network.origin == "given"


def test_null_models_do_not_inherit_the_accuracy_of_the_trained_network():
    network = load_bundled()
    for null in (network.shuffled(1), network.redraw_untrained(1), network.initial):
        assert dict(null.metadata) == {"input_range": "0 1"}


def test_untrained_redraw_permutes_known_initial_weights():
    network = load_bundled()
    null = network.redraw_untrained(1)
    assert "permuted" in null.origin
    for old, new in zip(network.initial.layers, null.layers, strict=True):
        assert not np.array_equal(old.weights, new.weights)
        for a, b in ((old.weights, new.weights), (old.bias, new.bias)):
            np.testing.assert_array_equal(np.sort(a, axis=None), np.sort(b, axis=None))


def test_untrained_redraw_without_initial_weights_is_uniform_and_says_so():
    null = network_of((400, 300, 2)).redraw_untrained(1)
    assert "uniform" in null.origin
    weights = null.layers[0].weights.astype(float)
    assert np.abs(weights).max() <= 400**-0.5
    # variance of a uniform law on +-a: a^2/3, and of its estimate 4 a^4/(45 n); five s.d.
    a = 400**-0.5
    error = math.sqrt(4 * a**4 / (45 * weights.size))
    assert abs(weights.var() - a**2 / 3) < 5 * error
    assert not np.array_equal(
        weights, network_of((400, 300, 2)).redraw_untrained(2).layers[0].weights
    )


def test_replacing_a_layer_gives_another_network():
    network = network_of()
    other = network.replace_layer("fc2", weights=np.zeros((7, 4)), activation="tanh")
    assert not other["fc2"].weights.any()
    assert other["fc2"].activation == "tanh"
    np.testing.assert_array_equal(other["fc2"].bias, network["fc2"].bias)
    assert network["fc2"].weights.any()


def test_weights_are_copied_and_read_only():
    weights = np.ones((2, 3), dtype=np.float32)
    layer = Layer("fc1", weights, np.zeros(3))
    weights[:] = 5
    assert layer.weights.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        layer.weights[0, 0] = 2


def ones(n_in, n_out, name="fc1"):
    return Layer(name, np.ones((n_in, n_out)), np.ones(n_out))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FeedForward(()), "at least one Layer"),
        (lambda: FeedForward((ones(2, 3), ones(3, 1))), "different names"),
        (lambda: FeedForward((ones(2, 3), ones(4, 1, "fc2"))), r"'fc1' has 3 nodes.*'fc2' takes 4"),
        (lambda: FeedForward((ones(2, 3),), initial=FeedForward((ones(2, 4),))), r"\(2, 3\)"),
        (lambda: Layer("fc1", np.ones((2, 3)), np.ones(2)), r"'fc1'.*length 2; expected 3"),
        (lambda: Layer("fc1", np.ones(3), np.ones(3)), r"weights of layer 'fc1' must have 2"),
        (lambda: Layer("fc1", np.array([[np.nan]]), np.ones(1)), r"index \(0, 0\)"),
        (lambda: Layer("fc1", np.array([[1e300]]), np.ones(1)), r"in float32"),
        (lambda: Layer("fc1", np.ones((1, 1)), np.ones(1), "rleu"), "did you mean 'relu'"),
        (lambda: network_of()["fc9"], r"no layer 'fc9'.*did you mean"),
        (lambda: network_of().shuffled(1, layers=["fc0"]), "no layer 'fc0'"),
        (lambda: network_of().shuffled("seed"), "rng must be"),
        (lambda: network_of().forward(np.ones((2, 6))), "must have 5 values per row, got 6"),
        (lambda: network_of().forward(np.ones(5)), r"shape \(n_inputs, 5\)"),
        (lambda: network_of().forward(np.ones((2, 5)), batch_size=0), "batch_size"),
        (lambda: network_of().forward(np.full((1, 5), 3e38)), "not finite"),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_import_is_light():
    code = (
        "import sys, spinnet.networks; "
        "print([m for m in ('torch', 'matplotlib', 'numba', 'scipy', 'sympy') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_single_name_is_no_sequence_of_layers():
    network = FeedForward((Layer("fc1", np.ones((2, 3)), np.zeros(3)),))
    with pytest.raises(InputError, match="layers must be a sequence of names, got 'fc1'"):
        network.shuffled(0, layers="fc1")
