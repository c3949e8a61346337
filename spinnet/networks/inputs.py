"""Inputs of a network: checks, files, and duplicates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.networks._reading import READ_ERRORS, existing_file, npz_archive, read_csv, read_npy
from spinnet.networks.datasets import Dataset
from spinnet.validation import refuse_masked


def check_inputs(
    inputs: ArrayLike | Dataset, n_in: int | None = None, *, name: str = "inputs"
) -> NDArray[np.float32]:
    """Return inputs as float32 of shape (n_inputs, n_in), axes beyond the first flattened.

    Raises InputError on values that are not real and finite, on no inputs, and on a width other
    than `n_in`.
    """
    refuse_masked(name, inputs)
    try:
        raw = inputs.images if isinstance(inputs, Dataset) else np.asarray(inputs)
    except ValueError as error:
        raise InputError(f"{name} must be an array of numbers, got rows that differ") from error
    if raw.dtype.kind not in "fiub":
        raise InputError(f"{name} must be an array of real numbers, got dtype {raw.dtype}")
    if raw.ndim < 2:
        raise InputError(
            f"{name} must have shape (n_inputs, {n_in or 'n_units'}), got {raw.shape}; "
            "reshape a single one with [None, :]"
        )
    if raw.size == 0:
        raise InputError(f"{name} must hold at least one row, got shape {raw.shape}")
    flat = raw.reshape(len(raw), -1)
    if n_in is not None and flat.shape[1] != n_in:
        raise InputError(
            f"{name} must have {n_in} values per row, got {flat.shape[1]} (shape {raw.shape})"
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(flat, dtype=np.float32)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        raise InputError(
            f"{name} must be finite in float32, got {int(bad.sum())} NaN or infinite value(s), "
            f"the first at index ({row}, {column}): {flat[row, column]}"
        )
    return values


def load_inputs(path: str | os.PathLike[str], *, key: str | None = None) -> NDArray[np.float32]:
    """Read inputs of a network from a .npy, .npz or .csv file.

    Parameters
    ----------
    path : path
        A .csv file has one input per line, comma-separated, with no header.
    key : str, optional
        Name of the array in a .npz file; not needed where the file holds a single one.

    Returns
    -------
    ndarray of float32, shape (n_inputs, n_values)
        Axes beyond the first are flattened.
    """
    path = existing_file(path, (".npy", ".npz", ".csv"), "inputs")
    suffix = path.suffix.lower()
    if key is not None and suffix != ".npz":
        raise InputError(f"key={key!r} has no meaning for {path}: only a .npz file has keys")
    try:
        array: NDArray[Any]
        if suffix == ".csv":
            array = read_csv(path, 2)
        elif suffix == ".npy":
            array = read_npy(path)
        else:
            array = _array_of_npz(path, key)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{path}: cannot read it as {suffix}: {error}") from error
    return check_inputs(array, name=str(path))


def first_occurrences(inputs: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return, in order, the rows of `inputs` that equal no earlier row."""
    from spinnet.tails.patterns.rows import row_groups

    # adding zero turns -0.0 into 0.0, which has other bytes but is the same input
    first, _, _ = row_groups(inputs + np.float32(0))
    return np.sort(first)


def _array_of_npz(path: Path, key: str | None) -> NDArray[np.generic]:
    with npz_archive(path) as file:
        names = list(file.files)
        if key is None and len(names) != 1:
            raise InputError(
                f"{path}: holds {len(names)} arrays ({', '.join(names)}); save the array alone, "
                "as .npy, or name one with key= of load_inputs"
            )
        if key is not None and key not in names:
            raise InputError(f"{path}: no array {key!r}; the file holds {', '.join(names)}")
        array: NDArray[np.generic] = file[key or names[0]]
        return array
