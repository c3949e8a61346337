"""Files of weights: round trips, refusals, and the chain of layers made of named arrays."""

from __future__ import annotations

import io
import itertools
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinnet.errors import InputError, SpinnetWarning
from spinnet.networks import FeedForward, fingerprint, load_network, load_weights, save_weights
from spinnet.networks.inputs import load_inputs
from spinnet.networks.weights import read_weights


def arrays_of(widths, seed=0):
    """Named arrays of a network in PyTorch's orientation."""
    rng = np.random.default_rng(seed)
    result = {}
    for k, (n_in, n_out) in enumerate(itertools.pairwise(widths), 1):
        result[f"fc{k}.weight"] = rng.normal(size=(n_out, n_in)).astype(np.float32)
        result[f"fc{k}.bias"] = rng.normal(size=n_out).astype(np.float32)
    return result


def assert_same(left, right):
    assert list(left) == list(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], strict=True)


def test_npz_round_trip(tmp_path):
    arrays = arrays_of((5, 4, 3))
    np.savez(tmp_path / "net.npz", **arrays)
    assert_same(load_weights(tmp_path / "net.npz"), arrays)


def test_safetensors_round_trip_with_metadata(tmp_path):
    arrays = arrays_of((5, 4, 3))
    metadata = {"seed": "7", "note": "two words"}
    save_weights(tmp_path / "net.safetensors", arrays, metadata)
    loaded, found = read_weights(tmp_path / "net.safetensors")
    assert_same(dict(sorted(loaded.items())), dict(sorted(arrays.items())))
    assert found == metadata
    assert list(tmp_path.iterdir()) == [tmp_path / "net.safetensors"]


def test_equal_contents_give_equal_bytes(tmp_path):
    arrays = arrays_of((5, 4, 3))
    metadata = {f"key{k}": str(k) for k in range(20)}
    for name, order in (("a", 1), ("b", -1)):
        save_weights(
            tmp_path / f"{name}.safetensors", arrays, dict(list(metadata.items())[::order])
        )
    a, b = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_fingerprint_sees_names_values_and_shapes_not_order():
    arrays = arrays_of((5, 4, 3))
    reference = fingerprint(arrays)
    assert fingerprint(dict(reversed(arrays.items()))) == reference
    big_endian = {name: a.astype(">f4") for name, a in arrays.items()}
    assert fingerprint(big_endian) == reference
    changed = {name: a.copy() for name, a in arrays.items()}
    changed["fc1.bias"][0] = np.nextafter(changed["fc1.bias"][0], np.float32(9))
    assert fingerprint(changed) != reference
    assert fingerprint(arrays | {"fc1.weight": arrays["fc1.weight"].T}) != reference


def test_network_round_trip_through_a_file(tmp_path):
    arrays = arrays_of((6, 4, 4, 2))
    arrays |= {f"initial.{k}": v for k, v in arrays_of((6, 4, 4, 2), seed=1).items()}
    save_weights(tmp_path / "net.safetensors", arrays, {"seed": "3"})
    network = load_network(tmp_path / "net.safetensors", activation="tanh")
    assert network.metadata["seed"] == "3"
    assert network.fingerprint() == fingerprint(arrays)
    assert network.layers[0].activation == "tanh"


class Unpickled:
    """An object whose unpickling is noticed."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def _bad_files(folder):
    """(file name, what the message must contain) of files that must be refused."""
    good = arrays_of((4, 3))
    nan = {k: v.copy() for k, v in good.items()}
    nan["fc1.weight"][2, 1] = np.nan
    np.savez(folder / "nan.npz", **nan)
    np.savez(folder / "empty.npz")
    np.savez(folder / "hollow.npz", **{"fc1.weight": np.zeros((0, 3))})
    np.savez(folder / "text.npz", **{"fc1.weight": np.array([["a"]])})
    np.savez(folder / "complex.npz", **{"fc1.weight": np.ones((2, 2), complex)})
    np.savez(folder / "objects.npz", **{"fc1.weight": np.array([Unpickled()], dtype=object)})
    np.savez(folder / "cut.npz", **good)
    cut = folder / "cut.npz"
    cut.write_bytes(cut.read_bytes()[:-40])
    (folder / "noise.npz").write_bytes(b"not an archive")
    (folder / "pickle.npz").write_bytes(pickle.dumps([1, 2]))
    with (folder / "single.npz").open("wb") as stream:
        np.save(stream, np.ones(3))
    (folder / "noise.safetensors").write_bytes(b"\x08" + b"\0" * 20)
    (folder / "short.safetensors").write_bytes(b"")
    (folder / "net.pt").write_bytes(b"")
    (folder / "net.onnx").write_bytes(b"")
    (folder / "net.h5").write_bytes(b"")
    return {
        "nan.npz": ("array 'fc1.weight'", "1 NaN", "index (2, 1)"),
        "empty.npz": ("holds no arrays",),
        "hollow.npz": ("'fc1.weight'", "empty", "(0, 3)"),
        "text.npz": ("'fc1.weight'", "real numbers", "<U1"),
        "complex.npz": ("'fc1.weight'", "real numbers", "complex128"),
        "objects.npz": ("cannot read", "objects are never read"),
        "cut.npz": ("cannot read",),
        "noise.npz": ("cannot read",),
        "pickle.npz": ("cannot read",),
        "single.npz": ("a single array, not an npz archive",),
        "noise.safetensors": ("cannot read",),
        "short.safetensors": ("cannot read",),
        "net.pt": (".npz and .safetensors", "safetensors.torch.save_file"),
        "net.onnx": (".npz and .safetensors", "ONNX"),
        "net.h5": (".npz and .safetensors", "'.h5'"),
        "missing.npz": ("no such file",),
        "missing.safetensors": ("no such file",),
    }


def test_bad_files_are_refused_by_name(tmp_path):
    for name, parts in _bad_files(tmp_path).items():
        with pytest.raises(InputError) as caught:
            load_weights(tmp_path / name)
        for part in (name, *parts):
            assert part in str(caught.value), name


def _header(shape):
    """The start of a .npy file that declares a shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def _hostile_archives(folder):
    """(file name, what the message must contain) of archives made to do harm."""
    for name, shape in (("vast", (10**13,)), ("overflow", (10**21,))):
        with zipfile.ZipFile(folder / f"{name}.npz", "w") as archive:
            archive.writestr("a.npy", _header(shape))
    with zipfile.ZipFile(folder / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", _header((50,)) + bytes(400))
    damaged = bytearray((folder / "lzma.npz").read_bytes())
    damaged[50:-120] = bytes(b ^ 0x55 for b in damaged[50:-120])
    (folder / "lzma.npz").write_bytes(damaged)
    np.savez(folder / "plain.npz", a=np.ones(3))
    plain = (folder / "plain.npz").read_bytes()
    central = plain.find(b"PK\x01\x02")
    for name, local, offset, value in (("encrypted", 6, 8, 1), ("method", 8, 10, 97)):
        changed = bytearray(plain)
        changed[local] = changed[central + offset] = value
        (folder / f"{name}.npz").write_bytes(changed)
    with (
        zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(_header((2**27 + 2**20,)))
        for _ in range(129):
            member.write(bytes(2**23))
    (folder / "folder.npz").mkdir()
    return {
        "vast.npz": ("cannot read",),
        "overflow.npz": ("cannot read",),
        "lzma.npz": ("cannot read",),
        "encrypted.npz": ("cannot read", "encrypted"),
        "method.npz": ("cannot read", "compression"),
        "bomb.npz": ("would unpack to 108",),
        "folder.npz": ("is a folder",),
        f"{'a' * 300}.npz": ("no such file",),
    }


def test_hostile_archives_are_refused_by_name(tmp_path):
    for name, parts in _hostile_archives(tmp_path).items():
        for read in (load_weights, load_inputs):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            for part in (name, *parts):
                assert part in str(caught.value), name


@pytest.mark.parametrize("path", [5, None, b"a.npz"])
def test_what_is_not_a_path_is_refused(path):
    for read in (load_weights, load_inputs):
        with pytest.raises(InputError, match="path must be the path of a file, got"):
            read(path)


@pytest.mark.parametrize(
    ("name", "arrays", "metadata", "words"),
    [
        ("missing/a.safetensors", {"a": np.ones(3)}, {}, "does not exist"),
        ("a.safetensors", {}, {}, "at least one array"),
        ("a.safetensors", {1: np.ones(3)}, {}, "arrays must be named .* got 1"),
        ("a.safetensors", {"a": np.ones(3)}, {"seed": 1}, "metadata must be .* got 1"),
        ("a.safetensors", {"a": np.ones(3, np.longdouble)}, {}, "cannot be saved as safetensors"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_leaves_nothing(
    tmp_path, name, arrays, metadata, words
):
    with pytest.raises(InputError, match=words):
        save_weights(tmp_path / name, arrays, metadata)
    assert list(tmp_path.iterdir()) == []


# --- names and orientation -----------------------------------------------------------


def weights_of(network):
    return [(layer.weights, layer.bias) for layer in network.layers]


def assert_same_network(left, right):
    for (w, b), (v, c) in zip(weights_of(left), weights_of(right), strict=True):
        np.testing.assert_array_equal(w, v, strict=True)
        np.testing.assert_array_equal(b, c, strict=True)


@pytest.mark.parametrize(
    ("weight", "bias", "transpose"),
    [
        ("linear{k}.weight", "linear{k}.bias", False),
        ("net.{k}.weight", "net.{k}.bias", False),
        ("W{k}", "b{k}", True),
        ("w_{k}", "b_{k}", True),
        ("weights{k}", "biases{k}", True),
        ("dense_{k}/kernel", "dense_{k}/bias", True),
        ("Dense_{k}.kernel", "Dense_{k}.bias", True),
    ],
)
def test_every_naming_gives_the_same_network(weight, bias, transpose):
    reference = arrays_of((6, 4, 4, 2))
    renamed = {}
    for k in (3, 1, 2):  # the numbers order the layers, not the file
        matrix = reference[f"fc{k}.weight"]
        renamed[weight.format(k=k)] = matrix.T if transpose else matrix
        renamed[bias.format(k=k)] = reference[f"fc{k}.bias"]
    assert_same_network(
        FeedForward.from_arrays(renamed), FeedForward.from_arrays(arrays_of((6, 4, 4, 2)))
    )


@pytest.mark.filterwarnings("ignore:the shapes do not decide")
def test_layers_beyond_nine_come_in_numerical_order():
    network = FeedForward.from_arrays(dict(sorted(arrays_of((3,) * 12).items())))
    assert network.layer_names == tuple(f"fc{k}" for k in range(1, 12))


def test_names_without_a_common_stem_keep_the_order_of_the_file():
    a, b = arrays_of((5, 4)), arrays_of((4, 3), seed=1)
    network = FeedForward.from_arrays(
        {"features.3.weight": a["fc1.weight"], "classifier.0.weight": b["fc1.weight"]}
    )
    assert network.layer_names == ("features.3", "classifier.0")
    assert not network.layers[0].bias.any()


@given(
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=6),
    turned=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_orientation_follows_from_the_shapes_where_they_decide(widths, turned):
    reference = arrays_of(widths)
    stored = dict(reference)
    for k in range(1, len(widths)):
        matrix = reference[f"fc{k}.weight"]
        if turned[k - 1] and matrix.shape[0] != matrix.shape[1]:
            stored[f"fc{k}.weight"] = matrix.T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)  # squares beside turned layers
        # the length of each bias settles n_out
        assert_same_network(FeedForward.from_arrays(stored), FeedForward.from_arrays(reference))


def test_square_layer_follows_the_convention_of_its_name():
    matrix = np.arange(9.0).reshape(3, 3)
    with pytest.warns(SpinnetWarning, match=r"fc1 as \(n_out, n_in\).*name them W1"):
        torch = FeedForward.from_arrays({"fc1.weight": matrix})
    with pytest.warns(SpinnetWarning, match=r"fc1 as \(n_in, n_out\).*name them fc1.weight"):
        ours = FeedForward.from_arrays({"W1": matrix})
    np.testing.assert_array_equal(torch.layers[0].weights, matrix.T)
    np.testing.assert_array_equal(ours.layers[0].weights, matrix)


def test_square_layer_beside_a_turned_one_is_warned_about():
    arrays = {"W1": np.ones((4, 6)), "b1": np.ones(4), "W2": np.ones((4, 4)), "b2": np.ones(4)}
    with pytest.warns(SpinnetWarning, match="square layer"):
        network = FeedForward.from_arrays(arrays)
    assert network.widths == (6, 4, 4)


@pytest.mark.parametrize(
    ("widths", "bias", "warned"),
    [
        ((4, 4, 4), True, ["fc1, fc2 as (n_out, n_in)"]),  # a bias of a square decides nothing
        ((4, 6), False, ["fc1 as (n_out, n_in)"]),
        ((4, 6, 4), False, ["fc1, fc2 as (n_out, n_in)"]),  # 6 -> 4 -> 6 fits as well
        ((4, 6), True, []),
        ((4, 6, 3), False, []),
        ((6, 4, 4, 2), False, []),  # the others confirm the reading of the square
    ],
)
def test_a_reading_that_the_shapes_do_not_decide_is_said_once(widths, bias, warned):
    arrays = {k: v for k, v in arrays_of(widths).items() if bias or "bias" not in k}
    arrays |= {f"initial.{name}": array for name, array in arrays.items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert FeedForward.from_arrays(arrays).widths == widths
    assert [str(w.message).split("; read ")[1].split(", by")[0] for w in caught] == warned


def test_a_symmetric_matrix_needs_no_orientation():
    assert FeedForward.from_arrays({"W1": np.eye(3)}).widths == (3, 3)


# --- order ------------------------------------------------------------------------------


def saved_as(path, names, widths, *, bias=True):
    """Save a network under other names, in a file of either format; return its arrays."""
    arrays = arrays_of(widths)
    renamed = {}
    for k, name in enumerate(names, 1):
        renamed[f"{name}.weight"] = arrays[f"fc{k}.weight"]
        if bias:
            renamed[f"{name}.bias"] = arrays[f"fc{k}.bias"]
    if path.suffix == ".npz":
        np.savez(path, **renamed)
    else:
        save_weights(path, renamed)
    return arrays


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("names", "widths"),
    [
        (("zeta", "hidden", "alpha"), (6, 5, 4, 3)),
        (("zeta", "alpha"), (6, 4, 4)),
        (("in", "hidden2", "hidden10", "final"), (7, 4, 4, 4, 2)),
        (("features.0", "features.3", "classifier.0"), (6, 5, 4, 3)),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_names_without_numbers_are_ordered(tmp_path, suffix, names, widths, bias):
    path = tmp_path / f"net{suffix}"
    expected = FeedForward.from_arrays(saved_as(path, names, widths, bias=bias))
    network = load_network(path)
    assert network.layer_names == names
    for layer, reference in zip(network.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(layer.weights, reference.weights)


@pytest.mark.filterwarnings("ignore:the shapes do not decide")
@pytest.mark.parametrize(
    ("names", "widths"),
    [
        (("zeta", "alpha"), (4, 4, 4)),
        (("zeta", "beta", "alpha"), (6, 4, 4, 4)),
        (tuple(f"{letter}x" for letter in "ponmlkjihgfedcba"), (4,) * 17),
    ],
)
def test_an_order_that_cannot_be_told_is_refused(tmp_path, names, widths):
    saved_as(tmp_path / "net.safetensors", names, widths)
    with pytest.raises(InputError, match=r"does not keep the order.*number the.*numpy.savez"):
        load_network(tmp_path / "net.safetensors")
    saved_as(tmp_path / "net.npz", names, widths)
    assert load_network(tmp_path / "net.npz").layer_names == names


def test_unordered_layers_that_do_not_chain_are_refused(tmp_path):
    save_weights(
        tmp_path / "net.safetensors", {"a.weight": np.ones((4, 6)), "b.weight": np.ones((3, 5))}
    )
    with pytest.raises(InputError, match="do not follow"):
        load_network(tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        (
            {"fc1.weight": np.ones((4, 6)), "fc2.weight": np.ones((3, 5))},
            ("'fc2'", "(3, 5)", "'fc1'", "(4, 6)"),
        ),
        (
            {"fc1.weight": np.ones((4, 6)), "fc1.bias": np.ones(5)},
            ("'fc1.weight'", "(4, 6)", "'fc1.bias'", "(5,)"),
        ),
        ({"conv1.weight": np.ones((8, 1, 3, 3))}, ("'conv1.weight'", "(8, 1, 3, 3)")),
        ({"fc1.weight": np.ones((2, 2)), "scale": np.ones(2)}, ("'scale'", "W1")),
        ({}, ("(none)",)),
        ({"W1": np.ones((3, 2)), "w1": np.ones((2, 2)), "b1": np.ones(2)}, ("'b1'", "two layers")),
        ({1: np.ones((3, 2))}, ("mapping of names", "dict of int")),
        ([np.ones((3, 2))], ("mapping of names", "list")),
        ({"fc1.weight": np.array([[1.0, np.inf]])}, ("'fc1.weight'", "index (0, 1)")),
    ],
)
def test_arrays_that_do_not_chain_are_refused_by_name(arrays, parts):
    with pytest.raises(InputError) as caught:
        FeedForward.from_arrays(arrays)
    for part in parts:
        assert part in str(caught.value)
