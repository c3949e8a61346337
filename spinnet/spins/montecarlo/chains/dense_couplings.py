"""Dense couplings as the kernels read them: numbers, their unit, and rows of whole cache lines."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spinnet.spins.models import Ising, SpinModel
from spinnet.spins.montecarlo.chains.base import Array, single_precision_unit

Matrix: TypeAlias = NDArray[Any]

_BLOCK = 64
_COPIED = 1 << 26  # bytes: a matrix up to here is copied into rows of whole cache lines
_ROWS = 256  # of a matrix at a time


@dataclass(frozen=True, eq=False)
class StoredCouplings:
    """W with J = unit W, as float32 or integers, and what the kernels derive from it.

    Attributes
    ----------
    n, n_pad : int
        Spins, and spins of whole blocks.
    kind : ndarray
        An array of the type of W.
    field_type : dtype
        Of the sums of W.
    rows : ndarray of uint64, shape (n_pad,)
        Addresses of the rows, each followed by n_pad readable elements.
    group : int
        Rows whose sum cannot overflow the type of W.
    diagonal : ndarray of float32, shape (n_pad 64,)
        The 64 elements of each row in the block of its own spin.
    unit, constant : float
    scaled_h : ndarray of float32, shape (n_pad,)
    h : ndarray of float64, shape (n_pad,)
    largest_field : float
        In units of `unit`.
    memory : tuple
        What the addresses point into.
    """

    n: int
    n_pad: int
    kind: Matrix
    field_type: np.dtype[Any]
    rows: NDArray[np.uint64]
    group: int
    diagonal: NDArray[np.float32]
    unit: float
    constant: float
    scaled_h: NDArray[np.float32]
    h: Array
    largest_field: float
    memory: tuple[Matrix, ...]


_STORED: weakref.WeakKeyDictionary[SpinModel, StoredCouplings] = weakref.WeakKeyDictionary()


def stored(model: SpinModel) -> StoredCouplings:
    """Return the couplings of a dense model for the kernels, made once for each model."""
    if model not in _STORED:
        _STORED[model] = _store(model.to_ising())
    return _STORED[model]


def _store(ising: Ising) -> StoredCouplings:
    J: Any = ising.couplings
    n = len(J)
    n_pad = -(-n // _BLOCK) * _BLOCK
    dtype, unit, largest, row_sum = number_type(J)
    in_place = J.dtype == dtype and unit == 1.0 and J.nbytes > _COPIED and J.flags.c_contiguous
    rows, memory = _in_place(J, n_pad) if in_place else _copied(J, n_pad, dtype, unit)
    group = _BLOCK
    sums: dict[str, np.dtype[Any]] = {
        "f": np.dtype(np.float32),
        "b": np.dtype(np.int16),
        "h": np.dtype(np.int32),
    }
    if dtype != np.float32:
        group = min(_BLOCK, np.iinfo(dtype).max // max(largest, 1))
    h = np.zeros(n_pad)
    h[:n] = ising.fields
    return StoredCouplings(
        n,
        n_pad,
        np.zeros(64, dtype),
        sums[dtype.char],
        rows,
        group,
        _diagonal(J, n_pad, unit),
        unit,
        ising.constant,
        (h / unit).astype(np.float32),
        h,
        max(1.0, row_sum + float(np.abs(h).max()) / unit),
        memory,
    )


def row_blocks(n: int) -> list[slice]:
    """Return slices that cover n rows, a few at a time."""
    return [slice(a, min(a + _ROWS, n)) for a in range(0, n, _ROWS)]


def number_type(J: Matrix) -> tuple[np.dtype[Any], float, int, float]:
    """Return (type of W, unit, largest |W|, largest row sum of |W|) for J = unit W.

    Integers where all couplings are whole multiples, at most 32767, of one unit, to rounding;
    else float32, in a power of two where its range would not do.
    """
    parts = row_blocks(len(J))
    unit = 1.0 if J.dtype.kind == "i" else common_unit(J)
    if unit:
        largest, row_sum = 0, 0.0
        for part in parts:
            size = np.abs(J[part].astype(np.float64) / unit)
            largest = max(largest, round(float(size.max())))
            row_sum = max(row_sum, float(size.sum(axis=1).max()))
        if largest <= np.iinfo(np.int16).max and row_sum < np.iinfo(np.int32).max:
            narrow = largest <= np.iinfo(np.int8).max and row_sum <= np.iinfo(np.int16).max
            return np.dtype(np.int8 if narrow else np.int16), unit, largest, row_sum
    row_sum = max(float(np.abs(J[part]).sum(axis=1, dtype=np.float64).max()) for part in parts)
    if not 1e-8 < row_sum < 1e7:
        unit = max(single_precision_unit(np.abs(J[part])) for part in parts) if row_sum else 1.0
    else:
        unit = 1.0
    return np.dtype(np.float32), unit, 0, row_sum / unit


def common_unit(J: Matrix) -> float:
    """Return a number of which all entries are multiples (to rounding), or 0."""
    first = np.abs(J[0].astype(np.float64))
    if not np.any(first):
        first = next((np.abs(row.astype(np.float64)) for row in J if np.any(row)), first)
    some = first[first > 0]
    if not len(some):
        return 1.0
    # twice the rounding of the entries and of the unit
    tolerance = 4.0 * float(np.finfo(J.dtype if J.dtype.kind == "f" else np.float64).eps)
    for unit in (1.0, *(float(some.min()) / divisor for divisor in (1, 2, 3))):
        if float(some.max()) / unit > np.iinfo(np.int16).max or not _multiples(
            some, unit, tolerance
        ):
            continue
        # the mean of all entries of the row is nearer to the unit than the least entry alone
        best = 1.0 if unit == 1.0 else float(some.sum() / np.rint(some / unit).sum())
        if all(_multiples(J[part], best, tolerance) for part in row_blocks(len(J))):
            return best
    return 0.0


def _multiples(values: Matrix, unit: float, tolerance: float) -> bool:
    k = values / unit
    whole = np.rint(k)
    return bool(np.all(np.abs(k - whole) <= tolerance * np.abs(whole)))


def _in_place(J: Matrix, n_pad: int) -> tuple[NDArray[np.uint64], tuple[Matrix, ...]]:
    """Return the addresses of the rows of J itself; the last have copies with room behind."""
    n = len(J)
    rows = J.ctypes.data + np.arange(n_pad, dtype=np.uint64) * np.uint64(J.strides[0])
    n_safe = max(0, (n * n - n_pad) // n + 1)
    last = np.zeros((n_pad - n_safe, n_pad), J.dtype)
    last[: n - n_safe, :n] = J[n_safe:]
    rows[n_safe:] = last.ctypes.data + np.arange(len(last), dtype=np.uint64) * np.uint64(
        last.strides[0]
    )
    return rows, (J, last)


def _copied(
    J: Matrix, n_pad: int, dtype: np.dtype[Any], unit: float
) -> tuple[NDArray[np.uint64], tuple[Matrix, ...]]:
    """Return the addresses of the rows of a copy, whose rows begin on cache lines.

    Their distance is an odd number of lines, so that parts of 64 rows have places in a cache.
    """
    n, size = len(J), dtype.itemsize
    stride = (n_pad * size // 64 | 1) * 64
    raw = np.zeros(n_pad * stride + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    matrix = raw[offset : offset + n_pad * stride].view(dtype).reshape(n_pad, stride // size)
    for part in row_blocks(n):
        block = J[part] if unit == 1.0 else J[part] / unit
        matrix[part, :n] = block if dtype == np.float32 else np.rint(block)
    return matrix.ctypes.data + np.arange(n_pad, dtype=np.uint64) * np.uint64(stride), (raw,)


def _diagonal(J: Matrix, n_pad: int, unit: float) -> NDArray[np.float32]:
    """Return the 64 elements of each row in the block of its spin."""
    n = len(J)
    blocks = np.zeros((n_pad // _BLOCK, _BLOCK, _BLOCK), np.float32)
    for b, block in enumerate(blocks):
        sites = slice(b * _BLOCK, min((b + 1) * _BLOCK, n))
        size = sites.stop - sites.start
        block[:size, :size] = J[sites, sites] / unit
    return blocks.ravel()
