"""Networks from files: the user's, and the one that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path

from spinnet.errors import InputError
from spinnet.networks.architectures import FeedForward
from spinnet.networks.datasets import bundled_folder
from spinnet.networks.weights import read_weights

BUNDLED_NETWORK = "fashion_mnist_784-100-50-20-10.safetensors"


def load_network(
    path: str | os.PathLike[str], *, activation: str = "relu", output_activation: str = "identity"
) -> FeedForward:
    """Read a feed-forward network from a .npz or .safetensors file, with its metadata.

    The parameters beyond `path` are those of `FeedForward.from_arrays`.

    Orientation: ``.weight`` arrays are read as PyTorch stores them, (n_out, n_in), all others
    (``W1``, ``fc1/kernel``) as (n_in, n_out), unless the shapes contradict this.  Where the
    shapes decide nothing (only square layers, or a single one without bias), a SpinnetWarning
    says how the layers were read.

    Order: that of the numbers where the names differ only by these (``fc1``, ``fc2``), and of
    the file otherwise.  A .safetensors file does not keep the order of its arrays: the shapes
    give it, and names without numbers whose shapes fit in several orders are refused.
    """
    arrays, metadata = read_weights(path)
    try:
        return FeedForward.from_arrays(
            arrays,
            activation=activation,
            output_activation=output_activation,
            metadata=metadata,
            ordered=Path(path).suffix.lower() != ".safetensors",
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_bundled() -> FeedForward:
    """Return the network that comes with the package, with its `initial` network.

    A ReLU network 784-100-50-20-10 (layers fc1 to fc4) trained on Fashion-MNIST's 60,000
    training images by ``examples/train_bundled_network.py``; its `metadata` give the seed, the
    number of epochs and the test accuracy.
    """
    return load_network(bundled_folder() / BUNDLED_NETWORK)
