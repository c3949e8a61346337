"""Reading of binary rasters: checked, and kept as packed bits.

A raster holds one row per input and one column per unit.  It is given as an array of 0 and 1 of
shape (n_inputs, n_units), of any real dtype, or packed eight units to a byte, as
``numpy.packbits(raster, axis=1)`` packs, together with `n_units`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import integer, refuse_masked

Bits = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_BLOCK = 1 << 22  # entries unpacked at a time: the working memory stays at some tens of MB


@dataclass(frozen=True, eq=False)
class Raster:
    """Packed bits with their number of units, and whether the user gave them packed.

    Attributes
    ----------
    bits : ndarray of uint8, shape (n_inputs, ceil(n_units / 8))
        Read-only; the padding bits are zero.
    n_units : int
    packed : bool
    """

    bits: Bits
    n_units: int
    packed: bool

    @property
    def n_inputs(self) -> int:
        """Number of rows."""
        return len(self.bits)

    def blocks(self) -> Iterator[Bits]:
        """Yield the rows unpacked, as 0 and 1 of shape (n_rows, n_units), some at a time."""
        step = max(1, _BLOCK // self.n_units)
        for start in range(0, self.n_inputs, step):
            yield np.unpackbits(self.bits[start : start + step], axis=1, count=self.n_units)

    def unit_counts(self) -> Counts:
        """Return on how many inputs each unit is active, shape (n_units,)."""
        total = np.zeros(self.n_units, np.int64)
        for block in self.blocks():
            total += block.sum(axis=0, dtype=np.int64)
        return total

    def population_counts(self) -> Counts:
        """Return how many units are active on each input, shape (n_inputs,)."""
        return np.asarray(np.bitwise_count(self.bits).sum(axis=1, dtype=np.int64))

    def joint_counts(self) -> Counts:
        """Return on how many inputs each pair of units is active, shape (n_units, n_units).

        Counts of a block stay below 2^24, so that the products in float32 are exact.
        """
        total = np.zeros((self.n_units, self.n_units), np.int64)
        for block in self.blocks():
            dense = block.astype(np.float32)
            total += (dense.T @ dense).astype(np.int64)
        return total


def read_raster(raster: ArrayLike, n_units: int | None = None, *, name: str = "raster") -> Raster:
    """Return a checked raster of at least two inputs and two units.

    Raises
    ------
    InputError
        Values other than 0 and 1 (with their number and the first index), a wrong shape, fewer
        than two inputs or units, or padding bits that are set.
    """
    result = read_patterns(raster, n_units, name=name)
    if result.n_inputs < 2:
        raise InputError(
            f"{name} must hold at least 2 inputs (rows), got {result.n_inputs}: one input leaves "
            "a null model nothing to vary"
        )
    if result.n_units < 2:
        raise InputError(
            f"{name} must hold at least 2 units (columns), got {result.n_units}: null models of "
            "a raster are about how units act together"
        )
    return result


def read_patterns(raster: ArrayLike, n_units: int | None = None, *, name: str) -> Raster:
    """Return checked rows of any number >= 1."""
    refuse_masked(name, raster)
    try:
        array = np.asarray(raster)
    except ValueError as error:
        raise InputError(f"{name} must have rows of equal length, got {raster!r:.80}") from error
    if array.ndim != 2:
        raise InputError(
            f"{name} must have shape (n_inputs, n_units), got {array.ndim} dimension(s) of shape "
            f"{array.shape}"
        )
    if array.size == 0:
        raise InputError(f"{name} must not be empty, got shape {array.shape}")
    if n_units is not None:
        return _read_packed(array, n_units, name)
    bits = np.packbits(_zeros_and_ones(array, name), axis=1)
    bits.setflags(write=False)
    return Raster(bits, array.shape[1], packed=False)


def _read_packed(array: NDArray[Any], n_units: int, name: str) -> Raster:
    n_units = integer("n_units", n_units, minimum=1)
    width = -(-n_units // 8)
    if array.dtype != np.uint8 or array.shape[1] != width:
        raise InputError(
            f"{name} with n_units={n_units} must be packed: uint8 of shape (n_inputs, {width}), "
            f"got dtype {array.dtype} and shape {array.shape}; leave n_units out for an array of "
            "0 and 1"
        )
    bad = (array[:, -1] & _padding(n_units)) != 0
    if bad.any():
        raise InputError(
            f"{name} has bits set beyond n_units={n_units} in {int(bad.sum())} row(s), the first "
            f"at index {int(np.argmax(bad))}; pack with numpy.packbits(..., axis=1)"
        )
    bits = np.array(array, order="C")
    bits.setflags(write=False)
    return Raster(bits, n_units, packed=True)


def _padding(n_units: int) -> np.uint8:
    """Return the mask of the bits of the last byte that belong to no unit."""
    return np.uint8((1 << (-n_units % 8)) - 1)


def _zeros_and_ones(array: NDArray[Any], name: str) -> Bools:
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold 0 and 1, got dtype {array.dtype}")
    bad = (array != 0) & (array != 1)  # also NaN
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        raise InputError(
            f"{name} must hold only 0 and 1, got {int(bad.sum())} other value(s), the first at "
            f"index {index}: {array[index]}; threshold real values first"
        )
    return array.astype(np.bool_)


def unpack(bits: Bits, n_units: int) -> Bools:
    """Return packed rows as booleans, shape (n_rows, n_units)."""
    return np.unpackbits(bits, axis=1, count=n_units).view(np.bool_)
