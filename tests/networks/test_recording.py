"""Recording: thresholds, packed bits, layer inputs, duplicates and repeated passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinnet.errors import InputError, SpinnetWarning
from spinnet.networks import (
    Activations,
    Dataset,
    FeedForward,
    Layer,
    datasets,
    load_bundled,
    load_inputs,
    measure,
    patterns,
    record,
)


def network_of(activation="relu", widths=(6, 30, 12, 4)):
    rng = np.random.default_rng(0)
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


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("activation", "threshold"), [("relu", 0.0), ("tanh", 0.0), ("sigmoid", 0.5), ("identity", 0)]
)
def test_bits_are_the_activations_above_the_threshold(inputs, activation, threshold):
    network = network_of(activation)
    act = record(network, inputs)
    forward = network.forward(inputs)
    assert list(act) == ["fc1", "fc2", "fc3"]
    for name, layer in act.items():
        assert layer.threshold == (threshold if name != "fc3" else 0)
        np.testing.assert_array_equal(layer.values, forward[name])
        np.testing.assert_array_equal(layer.unpack(), forward[name] > layer.threshold)
        assert layer.bits.shape == (200, -(-layer.n_units // 8))
        assert layer.bits.dtype == np.uint8
        assert (layer.n_inputs, layer.n_units) == forward[name].shape


def test_a_relu_at_exactly_zero_is_off():
    network = FeedForward((Layer("a", np.eye(3), np.zeros(3)),))
    act = record(network, np.array([[0.0, -1.0, 1e-30]]))
    assert act["a"].unpack().tolist() == [[False, False, True]]


@given(n_units=st.integers(1, 40), seed=st.integers(0, 100))
def test_unpacking_inverts_packing(n_units, seed):
    values = np.random.default_rng(seed).normal(size=(5, n_units))
    layer = Activations.from_array(values)["layer"]
    np.testing.assert_array_equal(layer.unpack(), values.astype(np.float32) > 0)


def test_subset_holds_the_bits_of_the_chosen_nodes(inputs):
    layer = record(network_of(), inputs)["fc1"]
    units = np.array([2, 3, 17, 29])
    expected = np.packbits(layer.unpack()[:, units], axis=1)
    np.testing.assert_array_equal(layer.subset(units), expected)


def test_inputs_of_a_layer_are_the_outputs_of_the_one_before(inputs):
    network = network_of()
    act = record(network, inputs, layers=["fc3", "fc1"])
    assert list(act) == ["fc1", "fc3"]
    np.testing.assert_array_equal(act.inputs_of("fc1"), inputs)
    np.testing.assert_array_equal(act.inputs_of("fc3"), network.forward(inputs)["fc2"])
    np.testing.assert_array_equal(network["fc3"](act.inputs_of("fc3")), act["fc3"].values)


def test_recorded_arrays_are_read_only(inputs):
    act = record(network_of(), inputs)
    for array in (act["fc1"].values, act["fc1"].bits, act.inputs_of("fc1")):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
    assert inputs.flags.writeable  # the caller's own array stays as it was


def test_an_unknown_layer_is_an_input_error_and_a_key_error(inputs):
    act = record(network_of(), inputs, layers=["fc1"])
    assert "fc2" not in act
    assert act.get("fc2") is None
    with pytest.raises(InputError, match=r"no layer 'fc2' was recorded; there are fc1"):
        act["fc2"]


# --- repetition adds nothing ----------------------------------------------------------


def test_epochs_are_recorded_once_with_a_warning(inputs):
    network = network_of()
    once = record(network, inputs)
    with pytest.warns(SpinnetWarning, match=r"epochs=100.*recorded once"):
        many = record(network, inputs, epochs=100)
    assert many.epochs == 100
    assert many.n_inputs == 200
    np.testing.assert_array_equal(many["fc1"].bits, once["fc1"].bits)


@pytest.mark.parametrize("order", ["tiled", "shuffled"])
def test_inputs_fed_a_hundred_times_change_no_count_and_no_error(inputs, order):
    network = network_of()
    repeated = np.tile(inputs, (100, 1))
    if order == "shuffled":
        repeated = np.random.default_rng(3).permutation(repeated)
    with pytest.warns(SpinnetWarning, match="19800 of 20000 inputs equal an earlier one"):
        act = record(network, repeated)
    assert (act.n_inputs, act.n_duplicates) == (200, 19_800)
    once, many = (measure(a, network, "fc2", rng=1) for a in (record(network, inputs), act))
    for name in ("frequency", "error"):
        np.testing.assert_allclose(
            getattr(many.node_frequencies, name), getattr(once.node_frequencies, name), rtol=1e-12
        )
    np.testing.assert_array_equal(many.pattern_frequencies.counts, once.pattern_frequencies.counts)
    a, b = once.layer_activation, many.layer_activation
    # the same values summed in another order
    assert b.n_var_m_error == pytest.approx(a.n_var_m_error, rel=1e-9)
    assert b.binder_error == pytest.approx(a.binder_error, rel=1e-9)


def test_duplicates_can_be_kept_on_purpose(inputs):
    act = record(network_of(), np.tile(inputs, (2, 1)), duplicates="keep")
    assert (act.n_inputs, act.n_duplicates) == (400, 200)


def test_labels_follow_the_distinct_inputs():
    x = np.array([[1.0], [2.0], [1.0], [-0.0], [0.0]])
    network = FeedForward((Layer("a", np.ones((1, 1)), np.zeros(1)),))
    with pytest.warns(SpinnetWarning, match="2 of 5"):
        act = record(network, x, labels=[4, 5, 6, 7, 8])
    assert act.index.tolist() == [0, 1, 3]
    assert act.labels.tolist() == [4, 5, 7]


def test_a_dataset_brings_its_labels():
    images = np.random.default_rng(0).random((5, 2, 3)).astype(np.float32)
    data = Dataset(images, np.arange(5), "x", "test", "here", ())
    act = record(network_of(), data)
    assert act.labels.tolist() == [0, 1, 2, 3, 4]
    assert act.output_layer == "fc3"


# --- recorded activations of the user's own -------------------------------------------


def test_repeated_passes_in_recorded_activations_are_kept_once():
    values = np.random.default_rng(0).normal(size=(30, 9))
    with pytest.warns(SpinnetWarning, match="the same 30 rows 4 times"):
        act = Activations.from_array(np.tile(values, (4, 1)), labels=np.arange(120))
    assert (act.n_inputs, act.n_duplicates, act.epochs) == (30, 90, 4)
    assert act.labels.tolist() == list(range(30))


def test_repeated_passes_of_bits_are_kept_once():
    bits = np.random.default_rng(0).integers(0, 2, size=(30, 4))
    with pytest.warns(SpinnetWarning, match="the same 30 rows 3 times"):
        act = Activations.from_array(np.tile(bits, (3, 1)), threshold=0.5)
    assert act.n_inputs == 30


def test_equal_rows_of_real_values_are_warned_about_and_kept():
    values = np.random.default_rng(0).normal(size=(30, 9))
    values = np.concatenate([values, values[:5]])
    with pytest.warns(SpinnetWarning, match="5 of 35 rows"):
        act = Activations.from_array(values)
    assert (act.n_inputs, act.n_duplicates) == (35, 5)


def test_equal_bits_and_silent_rows_are_no_sign_of_repetition():
    bits = np.random.default_rng(0).integers(0, 2, size=(301, 3))
    assert Activations.from_array(bits).n_duplicates == 301 - 8
    values = np.maximum(np.random.default_rng(0).normal(size=(301, 2)) - 1, 0)
    values[values[:, 0] > 0, 1] += 0.25
    act = Activations.from_array(values)
    assert act.n_inputs == 301


def test_given_inputs_decide_what_is_a_duplicate():
    values = np.arange(8.0).reshape(4, 2)
    with pytest.warns(SpinnetWarning, match="1 of 4"):
        act = Activations.from_array(values, inputs=[[1], [2], [1], [3]], layer="mine")
    assert act["mine"].values.tolist() == [[0, 1], [2, 3], [6, 7]]
    assert act.inputs_of("mine").tolist() == [[1], [2], [3]]
    with pytest.raises(InputError, match="inputs of layer 'layer' are not known"):
        Activations.from_array(values).inputs_of("layer")


# --- bad inputs ------------------------------------------------------------------------


def _with(value):
    x = np.ones((3, 6))
    x[1, 4] = value
    return x


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (_with(np.nan), r"1 NaN or infinite value\(s\), the first at index \(1, 4\)"),
        (_with(np.inf), r"index \(1, 4\): inf"),
        (_with(1e300), r"finite in float32.*1e\+300"),
        (np.ones((3, 5)), r"must have 6 values per row, got 5"),
        (np.ones(6), r"shape \(n_inputs, 6\)"),
        (np.ones((0, 6)), "at least one row"),
        (np.array([["a"] * 6]), "real numbers, got dtype <U1"),
        (np.ones((2, 6), complex), "real numbers, got dtype complex128"),
        ([[1, 2], [3]], "rows that differ"),
        (np.array([[None] * 6]), "real numbers, got dtype object"),
    ],
)
def test_bad_inputs_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        record(network_of(), bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["fc9"]}, "no layer 'fc9'"),
        ({"layers": "fc1"}, "sequence of names"),
        ({"layers": []}, "at least one"),
        ({"epochs": 0}, "epochs must be"),
        ({"labels": [1, 2]}, "labels must be 200 integers"),
        ({"labels": np.ones(200)}, "got dtype float64"),
        ({"duplicates": "ignore"}, "duplicates must be one of"),
        ({"batch_size": -1}, "batch_size must be"),
    ],
)
def test_bad_options_are_refused(inputs, arguments, message):
    with pytest.raises(InputError, match=message):
        record(network_of(), inputs, **arguments)


def test_something_else_than_a_network_is_refused(inputs):
    with pytest.raises(InputError, match=r"must be a FeedForward, got dict.*from_arrays"):
        record({"W1": np.ones((6, 2))}, inputs)


@pytest.mark.parametrize("units", [[], [-1], [30], [0.5], [[1]]])
def test_bad_subsets_are_refused(inputs, units):
    with pytest.raises(InputError, match="units must"):
        record(network_of(), inputs)["fc1"].subset(units)


def test_grey_levels_not_divided_by_255_are_warned_about():
    x = np.random.default_rng(0).integers(0, 256, size=(3, 784))
    with pytest.warns(SpinnetWarning, match="divide grey levels by 255"):
        record(load_bundled(), x)


# --- files of inputs ---------------------------------------------------------------------


def test_inputs_are_read_from_each_format(tmp_path):
    x = np.random.default_rng(0).random((4, 2, 3)).astype(np.float32)
    flat = x.reshape(4, 6)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "one.npz", x)
    np.savez(tmp_path / "two.npz", images=x, labels=np.arange(4))
    np.savetxt(tmp_path / "x.csv", flat, delimiter=",", fmt="%.9g")
    np.savetxt(tmp_path / "row.csv", flat[:1], delimiter=",", fmt="%.9g")
    for name, key in (("x.npy", None), ("one.npz", None), ("two.npz", "images"), ("x.csv", None)):
        np.testing.assert_array_equal(load_inputs(tmp_path / name, key=key), flat, strict=True)
    assert load_inputs(tmp_path / "row.csv").shape == (1, 6)


def test_bad_input_files_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones((1, 1)), b=np.ones((1, 1)))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.array([[1.0, np.nan]]))
    (tmp_path / "noise.npy").write_bytes(b"noise")
    (tmp_path / "noise.npz").write_bytes(b"noise")
    (tmp_path / "single.npz").write_bytes((tmp_path / "nan.npy").read_bytes())
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    (tmp_path / "x.txt").write_text("1")
    for name, key, part in (
        ("two.npz", None, "holds 2 arrays (a, b); save the array alone, as .npy, or name"),
        ("two.npz", "c", "no array 'c'"),
        ("nan.npy", "a", "only a .npz file has keys"),
        ("objects.npy", None, "cannot read"),
        ("nan.npy", None, "index (0, 1)"),
        ("noise.npy", None, "cannot read"),
        ("noise.npz", None, "cannot read"),
        ("single.npz", None, "a single array"),
        ("words.csv", None, "row 1, column 1 holds 'a'"),
        ("x.txt", None, "'.txt'"),
        ("none.npy", None, "no such file"),
    ):
        with pytest.raises(InputError) as caught:
            load_inputs(tmp_path / name, key=key)
        assert part in str(caught.value)
        assert name in str(caught.value)


def test_counts_of_a_recorded_layer_sum_to_the_distinct_inputs(inputs):
    act = record(network_of(), inputs)
    for layer in act.values():
        assert patterns.pattern_counts(layer.bits).sum() == 200


def test_masked_values_are_refused():
    hidden = np.ma.masked_array(np.ones((3, 4)), np.eye(3, 4, dtype=bool))
    network = FeedForward.from_arrays({"W1": np.ones((4, 2)), "b1": np.ones(2)})
    with pytest.raises(InputError, match="inputs must not hold masked values, got 3"):
        record(network, hidden)
    with pytest.raises(InputError, match="'W1' must not hold masked values, got 3"):
        FeedForward.from_arrays({"W1": hidden})


def test_layers_and_roots_of_the_wrong_type_are_refused():
    with pytest.raises(InputError, match="layers must be a sequence of names, got 5"):
        record(network_of(), np.ones((2, 6)), layers=5)
    with pytest.raises(InputError, match="root must be the path of a folder, got 5"):
        datasets.load("mnist", root=5)
