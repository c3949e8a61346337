"""Arrays and networks from the files that a command line or a job names."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinnet import networks
from spinnet.errors import InputError
from spinnet.files import check_writable, file_on_the_way, finite_or_null, write_atomically
from spinnet.networks import Activations, Dataset, FeedForward, Layer
from spinnet.networks._reading import READ_ERRORS, npz_archive, read_csv, read_npy


def load_matrix(path: Path) -> Any:
    """Read a matrix from a .npy file, or from a .npz of one array or of a SciPy sparse array."""
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"{path}: a matrix is read from .npy and .npz, got {path.suffix!r}")
    if not path.is_file():
        raise InputError(f"{path}: {file_on_the_way(path) or 'no such file'}")
    try:
        if path.suffix == ".npy":
            return read_npy(path)
        with npz_archive(path) as content:
            names = list(content.files)
            if "format" in names and "shape" in names:
                return sp.csr_array(sp.load_npz(path))
            if len(names) == 1:
                return content[names[0]]
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{path}: cannot be read as a matrix: {error}") from error
    raise InputError(
        f"{path}: holds {len(names)} arrays ({', '.join(names)}); a matrix file holds one"
    )


def load_labels(path: Path) -> NDArray[np.int64]:
    """Read the class of each input from a .npy file, or from a .csv with one number a line."""
    if path.suffix not in (".npy", ".csv"):
        raise InputError(f"{path}: labels are read from .npy and .csv, got {path.suffix!r}")
    if not path.is_file():
        raise InputError(f"{path}: {file_on_the_way(path) or 'no such file'}")
    try:
        values: NDArray[Any] = read_npy(path) if path.suffix == ".npy" else read_csv(path, 1)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{path}: cannot be read as labels: {error}") from error
    if values.ndim != 1 or values.dtype.kind not in "fiu" or np.any(values != np.floor(values)):
        raise InputError(
            f"{path}: labels must be a list of integers, got shape {values.shape} and dtype "
            f"{values.dtype}"
        )
    return values.astype(np.int64)


def load_network(
    weights: Path | None, activation: str | None = None, initial: Path | None = None
) -> FeedForward:
    """Return the network of a file, or the bundled one, with the network before its training."""
    if weights is None:
        if activation is not None:
            raise InputError(
                f"activation={activation!r} is for a network of your own: give its weights too"
            )
        network = networks.load_bundled()
    else:
        network = networks.load_network(weights, activation=activation or "relu")
    if initial is None:
        return network
    before = networks.load_network(initial, activation=activation or "relu")
    try:
        return replace(network, initial=before)
    except InputError as error:
        raise InputError(f"{initial}: {error}") from error


def load_layer(weights: Path | None, layer: str, activation: str | None = None) -> Layer:
    """Return one layer of the network of a file, or of the bundled one."""
    network = load_network(weights, activation)
    return network[layer]


def default_layer(network: FeedForward) -> str:
    """Return the last hidden layer, or the only layer."""
    return network.layer_names[-2 if len(network.layers) > 1 else -1]


def record_inputs(
    network: FeedForward, options: argparse.Namespace, layer: str
) -> tuple[Activations, str]:
    """Record a layer on the inputs that were asked for, and say which they are."""
    network[layer]  # an unknown layer is refused before the inputs are read
    inputs: Dataset | NDArray[np.float32]
    if options.inputs is None:
        if options.labels is not None:
            raise InputError("--labels belong to --inputs; the bundled images have theirs")
        if options.weights is not None and network.widths[0] != networks.load_bundled().widths[0]:
            raise InputError(
                f"--inputs is needed: the network of {options.weights} takes "
                f"{network.widths[0]} values, and the bundled images have 784"
            )
        inputs = networks.datasets.load("fashion-mnist")
        what = f"{len(inputs)} Fashion-MNIST test images"
        return networks.record(network, inputs, layers=[layer]), what
    inputs = networks.load_inputs(options.inputs)
    labels = None if options.labels is None else load_labels(options.labels)
    activations = networks.record(network, inputs, layers=[layer], labels=labels)
    return activations, f"{len(inputs)} inputs of {options.inputs}"


def check_outputs(outputs: dict[str, Path], inputs: dict[str, Path | None]) -> None:
    """Refuse, before any work, outputs that cannot be written or would destroy an input."""
    seen: dict[Path, str] = {}
    for name, path in outputs.items():
        check_writable(path, name)
        place = path.resolve()
        if place in seen:
            raise InputError(f"{name} and {seen[place]} name the same file, {str(path)!r}")
        seen[place] = name
    for name, source in inputs.items():
        if source is not None and source.resolve() in seen:
            raise InputError(f"{seen[source.resolve()]} would overwrite {name}, {str(source)!r}")


def write_json(path: Path, content: object) -> Path:
    """Write plain numbers, lists and dicts as JSON; what is not finite becomes null."""
    text = json.dumps(finite_or_null(content), indent=1, allow_nan=False) + "\n"

    def write(stream: BinaryIO) -> None:
        stream.write(text.encode())

    return write_atomically(path, write)
