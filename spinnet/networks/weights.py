"""Files of named weight arrays: .npz and .safetensors, read without ever running code from them.

Every array is checked where it enters: numeric, not empty, finite.  A file that carries pickled
objects (a PyTorch state dict, an npz of objects) is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.files import write_atomically
from spinnet.networks._reading import READ_ERRORS, existing_file, npz_archive
from spinnet.validation import refuse_masked

_SUFFIXES = (".npz", ".safetensors")
_HINTS = {
    ".pt": "torch",
    ".pth": "torch",
    ".th": "torch",
    ".ckpt": "torch",
    ".bin": "torch",
    ".onnx": "onnx",
}
_ADVICE = {
    "torch": "; PyTorch files are pickles: save the state dict with safetensors.torch.save_file",
    "onnx": "; ONNX is not read in this version: save its initializers with numpy.savez",
}


def load_weights(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read the named arrays of a .npz or .safetensors file.

    Parameters
    ----------
    path : path
        The suffix says the format.

    Returns
    -------
    dict of str to ndarray
        With the file's names and dtypes, as stored (nothing is transposed), in the file's
        order; a .safetensors file does not keep the order in which it was written.

    Notes
    -----
    `load_network` makes a network of the file, and `FeedForward.from_arrays` one of the arrays.
    Both read ``.weight`` arrays as PyTorch stores them, (n_out, n_in), and all other names
    (``W1``, ``fc1/kernel``) as (n_in, n_out), unless the shapes contradict this; they warn
    where the shapes decide nothing.

    Raises
    ------
    InputError
        No such file, a format that is not read, a damaged file, or an array that is empty, not
        numeric, or not finite (the message gives its name and the first bad index).
    """
    return read_weights(path)[0]


def read_weights(
    path: str | os.PathLike[str],
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a weights file and the metadata it carries (a .npz carries none).

    The parameters and errors are those of `load_weights`.
    """
    try:
        file = existing_file(path, _SUFFIXES, "weights")
    except InputError as error:
        suffix = Path(path).suffix.lower() if isinstance(path, (str, Path)) else ""
        raise InputError(f"{error}{_ADVICE.get(_HINTS.get(suffix, ''), '')}") from None
    npz = file.suffix.lower() == ".npz"
    arrays, metadata = _read_npz(file) if npz else _read_safetensors(file)
    if not arrays:
        raise InputError(f"{file}: the file holds no arrays")
    for name, array in arrays.items():
        check_weights(f"{file}: array {name!r}", array)
    return arrays, metadata


def save_weights(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays to a .safetensors file, with text metadata.

    The file is written under a temporary name beside `path` and then renamed.

    Parameters
    ----------
    path : path
        Must end in ``.safetensors``.
    arrays : mapping of str to ndarray
        At least one.
    metadata : mapping of str to str, optional

    Raises
    ------
    InputError
        Arrays or metadata that such a file cannot hold, or a folder that cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"path must end in '.safetensors', got {str(path)!r}")
    if not arrays:
        raise InputError("arrays must hold at least one array, got none")
    for name, array in arrays.items():
        check_weights(f"array {name!r}", array)
    text = dict(metadata or {})
    for kind, words in (("arrays", arrays), ("metadata", text), ("metadata", text.values())):
        bad = [word for word in words if not isinstance(word, str)]
        if bad:
            raise InputError(f"{kind} must be named and described by text, got {bad[0]!r:.80}")
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        content = _with_sorted_header(save(contiguous, metadata=text))
    except SafetensorError as error:
        raise InputError(f"arrays cannot be saved as safetensors: {error}") from error
    write_atomically(path, lambda stream: stream.write(content))


def fingerprint(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the sha256 of named arrays: of names, dtypes, shapes and little-endian bytes.

    The names are taken in sorted order, so the hash does not depend on the order in the file.
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_weights(what: str, array: object) -> None:
    """Raise InputError unless `array` is a non-empty array of finite real numbers."""
    refuse_masked(what, array)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"{what} must hold real numbers, got {kind}")
    if array.size == 0:
        raise InputError(f"{what} is empty (shape {array.shape})")
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        raise InputError(
            f"{what} must be finite, got {int(bad.sum())} NaN or infinite value(s), "
            f"the first at index {index}: {array[index]}"
        )


def _with_sorted_header(content: bytes) -> bytes:
    """Return a safetensors file with its header in sorted order: equal contents, equal bytes.

    The library writes metadata in an arbitrary order.  Offsets count from the end of the header,
    whose length stays a multiple of 8.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    try:
        with npz_archive(path) as file:
            return {name: file[name] for name in file.files}, {}
    except InputError:
        raise
    except READ_ERRORS as error:
        advice = "; arrays of Python objects are never read" if "pickle" in str(error) else ""
        raise InputError(f"{path}: cannot read it as an npz archive: {error}{advice}") from error


def _read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, dict(file.metadata() or {})
    except (OSError, MemoryError, SafetensorError, TypeError, AttributeError) as error:
        # TypeError and AttributeError: a dtype that NumPy lacks, such as bfloat16
        raise InputError(f"{path}: cannot read it as a safetensors file: {error}") from error
