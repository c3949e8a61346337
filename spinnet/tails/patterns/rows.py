"""Rows of bits: packing, checks, 64-bit words, and groups of equal rows.

A packed row holds eight units to a byte, the first unit in the highest bit, as
``numpy.packbits(..., axis=1)`` makes it; the bits past the last unit are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import finite_float, integer, refuse_masked

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

_CHUNK_BYTES = 1 << 20  # what is worked on stays in the processor's cache


def pack_active(values: ArrayLike, threshold: float = 0.0) -> Bytes:
    """Pack the bits values > threshold, one row per input, eight units to a byte.

    It works through the rows in pieces that stay in the cache, which is about 1.5 times as fast
    as ``numpy.packbits(values > threshold, axis=1)`` and never holds the whole boolean matrix.

    Parameters
    ----------
    values : array_like of real numbers, shape (n_inputs, n_units)
        Activations.
    threshold : float
        A unit is on where its value is greater.

    Returns
    -------
    ndarray of uint8, shape (n_inputs, ceil(n_units / 8))

    Raises
    ------
    InputError
        If `values` is not a matrix of real numbers, or holds NaN.

    Examples
    --------
    >>> pack_active([[0.5, -1.0, 2.0], [0.0, 0.0, 1e-9]]).tolist()
    [[160], [32]]
    """
    array = read_matrix("values", values)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or array.shape[1] == 0:
        raise InputError(
            "values must be real numbers of shape (n_inputs, n_units) with n_units >= 1, got "
            f"dtype {array.dtype} and shape {array.shape}"
        )
    threshold = finite_float("threshold", threshold)
    packed = np.empty((len(array), -(-array.shape[1] // 8)), np.uint8)
    step = max(1, _CHUNK_BYTES // (array.shape[1] * array.itemsize))
    for start in range(0, len(array), step):
        part = array[start : start + step]
        if array.dtype.kind == "f" and np.isnan(part.min()):
            row, unit = np.argwhere(np.isnan(part))[0]
            raise InputError(
                f"values must not hold NaN, got {int(np.isnan(array).sum())}, the first at index "
                f"({start + row}, {unit})"
            )
        packed[start : start + step] = np.packbits(part > threshold, axis=1)
    return packed


def read_matrix(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return `value` as an array, refusing masked values and rows of unequal length."""
    refuse_masked(name, value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must be rows of equal length, got {value!r:.80}") from error


def width_of(array: NDArray[Any], n_bits: int | None, name: str = "bits") -> int:
    """Return `n_bits`, or else the number of columns of bool rows, of bits of packed ones."""
    if array.ndim != 2 or array.dtype not in (np.bool_, np.uint8) or array.shape[1] == 0:
        raise InputError(
            f"{name} must be bool of shape (n, n_bits) or packed uint8 of shape (n, n_bytes), got "
            f"dtype {array.dtype} and shape {array.shape}"
        )
    whole = array.shape[1] * (1 if array.dtype == np.bool_ else 8)
    return whole if n_bits is None else integer("n_bits", n_bits, minimum=1)


def units_of(array: NDArray[Any], n_bits: int | None, name: str, width_name: str) -> int:
    """Return `width_of`, refusing zeros and ones in bytes, which are hardly packed bits."""
    width = width_of(array, n_bits, name)
    if n_bits is None and array.dtype == np.uint8 and array.size and array.max() <= 1:
        raise InputError(
            f"{width_name} must be given where uint8 rows hold only 0 and 1: as packed bits they "
            f"have {width} units, most of them never on; convert zeros and ones, one to a unit, "
            "with .astype(bool)"
        )
    return width


def check_rows(rows: ArrayLike, n_bits: int, name: str) -> NDArray[Any]:
    """Return rows of `n_bits` units, bool (n, n_bits) or packed uint8, if they are such rows."""
    array = read_matrix(name, rows)
    n_bytes = -(-n_bits // 8)
    if array.ndim == 2 and array.dtype == np.bool_ and array.shape[1] == n_bits:
        return array
    if array.ndim != 2 or array.dtype != np.uint8 or array.shape[1] != n_bytes:
        advice = ""
        if array.ndim == 2 and array.shape[1] == n_bits and array.dtype.kind in "iu":
            advice = "; convert rows of zeros and ones with .astype(bool)"
        raise InputError(
            f"{name} must be bool of shape (n, {n_bits}) or packed uint8 of shape (n, {n_bytes}), "
            f"got dtype {array.dtype} and shape {array.shape}{advice}"
        )
    _check_padding(array, n_bits, name)
    return array


def _check_padding(packed: Bytes, n_bits: int, name: str) -> None:
    spare = -n_bits % 8
    if spare == 0:
        return
    bad = (packed[:, -1] & np.uint8((1 << spare) - 1)) != 0
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"{name} must be zero in the last {spare} bit(s) of the last byte, past unit {n_bits}, "
            f"got {int(bad.sum())} row(s) that are not, the first at index {first}: byte "
            f"{int(packed[first, -1])}; pack with numpy.packbits(bits, axis=1), whose order is "
            "'big', and give n_bits as the number of units"
        )


def rows_per_chunk(n_bits: int) -> int:
    """Return how many rows to work on at once."""
    return max(1, min(1 << 15, _CHUNK_BYTES // (8 * n_words(n_bits))))


def n_words(n_bits: int) -> int:
    """Return the number of 64-bit words of a row."""
    return -(-n_bits // 64)


def as_words(rows: NDArray[Any], n_bits: int) -> Words:
    """Return checked rows as little-endian 64-bit words (n, n_words), zero past the last byte."""
    packed = np.packbits(rows, axis=1) if rows.dtype == np.bool_ else rows
    width = 8 * n_words(n_bits)
    if packed.shape[1] != width or not (packed.flags.c_contiguous and packed.flags.aligned):
        padded = np.zeros((len(packed), width), np.uint8)
        padded[:, : packed.shape[1]] = packed
        packed = padded
    return packed.view("<u8").astype(np.uint64, copy=False)


def from_words(words: Words, n_bits: int) -> Bytes:
    """Return words as packed rows (n, n_bytes)."""
    columns = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8)
    return columns[:, : -(-n_bits // 8)].copy()


def row_groups(
    rows: NDArray[Any],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Group the equal rows of a matrix by their bytes.

    Returns
    -------
    first : ndarray of int64, shape (n_distinct,)
        Index of the first row of each group.
    group : ndarray of int64, shape (n_rows,)
        Group of each row.
    counts : ndarray of int64, shape (n_distinct,)
        Size of each group.
    """
    rows = np.ascontiguousarray(rows)
    width = rows.shape[1] * rows.dtype.itemsize
    keys: NDArray[Any]
    if width <= 8:  # an integer sorts ten times faster than a string of bytes
        padded = np.zeros((len(rows), 8), np.uint8)
        padded[:, :width] = rows.view(np.uint8).reshape(len(rows), width)
        keys = padded.view(np.uint64)[:, 0]
    else:
        keys = rows.view(np.dtype((np.void, width)))[:, 0]
    _, first, group, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    return first.astype(np.int64), group.reshape(-1).astype(np.int64), counts.astype(np.int64)
