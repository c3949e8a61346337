"""Bundled images, images from a folder, and the network that comes with the package."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.networks import FeedForward, datasets, fingerprint, load_bundled

BUNDLED_MD5 = {
    # the official files, as their authors publish them
    "fashion-mnist-t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "fashion-mnist-t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    # scikit-learn's file
    "digits.csv.gz": "9b335364a7bfd63947c7480a5bd51f2d",
}


@pytest.fixture(scope="module")
def fashion():
    return datasets.load("fashion-mnist")


@pytest.mark.parametrize(("name", "md5"), BUNDLED_MD5.items())
def test_bundled_files_are_the_published_ones(name, md5):
    content = (datasets.bundled_folder() / name).read_bytes()
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


def test_every_bundled_file_has_its_notice():
    folder = datasets.bundled_folder()
    notice = (folder / "NOTICE.md").read_text()
    for path in folder.iterdir():
        assert path.name in notice or path.name == "NOTICE.md"


def test_fashion_mnist_holds_ten_balanced_classes(fashion):
    assert fashion.images.shape == (10_000, 28, 28)
    assert fashion.images.dtype == np.float32
    assert fashion.labels.dtype == np.int64
    assert (fashion.images.min(), fashion.images.max()) == (0.0, 1.0)
    assert np.bincount(fashion.labels).tolist() == [1000] * 10
    assert fashion.inputs.shape == (10_000, 784)
    assert np.shares_memory(fashion.inputs, fashion.images)


def test_digits_hold_the_test_part_of_uci():
    digits = datasets.load("digits")
    assert digits.images.shape == (1797, 8, 8)
    # class sizes of UCI's optdigits.names
    expected = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(digits.labels).tolist() == expected
    assert np.all(digits.images * 16 == np.round(digits.images * 16))
    assert digits.images.max() == 1


def test_images_cannot_be_changed_in_place(fashion):
    with pytest.raises(ValueError, match="read-only"):
        fashion.images[0, 0, 0] = 1


def _write_idx(folder, stem, array, *, compress=True):
    content = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content += array.tobytes()
    path = folder / (f"{stem}.gz" if compress else stem)
    path.write_bytes(gzip.compress(content) if compress else content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A folder of two idx files, and their md5 in place of the official ones."""
    images = np.arange(3 * 28 * 28, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28)
    labels = np.array([7, 2, 1], dtype=np.uint8)
    folder = tmp_path / "mnist"
    folder.mkdir()
    md5 = (
        _write_idx(folder, "train-images-idx3-ubyte", images),
        _write_idx(folder, "train-labels-idx1-ubyte", labels, compress=False),
    )
    monkeypatch.setitem(datasets._IDX_MD5, ("mnist", "train"), md5)
    monkeypatch.delenv(datasets.ENVIRONMENT_VARIABLE, raising=False)
    return tmp_path, images, labels


@pytest.mark.parametrize("how", ["root", "root itself", "environment"])
def test_idx_files_are_read_from_a_folder(tiny_mnist, how, monkeypatch):
    folder, images, labels = tiny_mnist
    root = {"root": folder, "root itself": folder / "mnist", "environment": None}[how]
    if root is None:
        monkeypatch.setenv(datasets.ENVIRONMENT_VARIABLE, str(folder))
    data = datasets.load("mnist", split="train", root=root)
    # one rounding of the division by 255 in float32
    np.testing.assert_allclose(data.images, images / 255, rtol=2**-23)
    assert data.labels.tolist() == labels.tolist()
    assert data.source == str(folder / "mnist")


def test_altered_file_is_refused_with_both_md5(tiny_mnist):
    folder, images, _ = tiny_mnist
    _write_idx(folder / "mnist", "train-images-idx3-ubyte", images[:2])
    with pytest.raises(InputError, match=r"not the official file.*expected"):
        datasets.load("mnist", split="train", root=folder)


def test_truncated_file_is_refused(tiny_mnist):
    folder, _, _ = tiny_mnist
    path = folder / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cannot read .*train-images"):
        datasets.load("mnist", split="train", root=folder)


def test_missing_files_name_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv(datasets.ENVIRONMENT_VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(InputError) as caught:
        datasets.load("mnist", split="train")
    for part in ("train-images-idx3-ubyte", "elsewhere/mnist", "SPINNET_DATA", "root="):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar10"}, "not available in this version; available are 'digits'"),
        ({"name": "fashion-mnits"}, "did you mean 'fashion-mnist'"),
        ({"name": "digits", "split": "train"}, "test part only"),
        ({"name": "digits", "root": "."}, "no meaning for 'digits'"),
        ({"name": "mnist", "split": "validation"}, "split must be one of"),
    ],
)
def test_unknown_sets_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        datasets.load(**arguments)


def test_bundled_network_is_the_recorded_one(fashion):
    network = load_bundled()
    assert isinstance(network, FeedForward)
    assert network.layer_names == ("fc1", "fc2", "fc3", "fc4")
    assert network.widths == (784, 100, 50, 20, 10)
    assert [layer.activation for layer in network.layers] == ["relu"] * 3 + ["identity"]
    recorded = network.metadata["sha256"]
    assert network.fingerprint() == recorded == fingerprint(network.arrays())
    assert recorded in (datasets.bundled_folder() / "NOTICE.md").read_text()
    # two images in 10,000: logits that tie to float32 rounding may fall either way
    recorded_accuracy = float(network.metadata["test_accuracy"])
    assert network.accuracy(fashion) == pytest.approx(recorded_accuracy, abs=2e-4)
    assert recorded_accuracy > 0.88


def test_bundled_initial_network_is_untrained(fashion):
    initial = load_bundled().initial
    assert initial is not None
    assert initial.origin == "initial"
    # ten balanced classes; an untrained network of this width stays within 0.1 of chance
    assert abs(initial.accuracy(fashion) - 0.1) < 0.1
    for layer in initial.layers:  # PyTorch's default: uniform within +-1/sqrt(n_in)
        assert np.abs(layer.weights).max() <= layer.n_in**-0.5
        assert np.abs(layer.weights).max() > 0.95 * layer.n_in**-0.5
