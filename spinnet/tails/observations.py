"""Reading of one-dimensional data: checked, and reduced to sorted distinct values and counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import choice, finite_array

Floats = NDArray[np.float64]

# Integers beyond 2^53 are not exact in float64, in which the fits are done.
_LARGEST_INTEGER = 2.0**53
_LARGEST_TOTAL = 2.0**62  # draws are counted in int64


@dataclass(frozen=True)
class Observations:
    """Sorted distinct `values` with their `counts`, both float64.

    `integers` tells whether all are whole numbers, `n_zeros` how many zeros were left out.
    """

    values: Floats
    counts: Floats
    integers: bool
    n_zeros: int = 0

    @property
    def n(self) -> int:
        """Number of observations."""
        return int(self.counts.sum())

    def up_to(self, largest: float) -> Observations:
        """Return those <= `largest`."""
        end = int(np.searchsorted(self.values, largest, side="right"))
        return Observations(self.values[:end], self.counts[:end], self.integers, self.n_zeros)


def read(x: ArrayLike, counts: ArrayLike | None = None, *, zeros: str = "refuse") -> Observations:
    """Check positive data (with optional multiplicities) and return them reduced.

    Entries of `x` that occur zero times are no data.  Zeros are refused, or with
    ``zeros="drop"`` left out and counted.
    """
    choice("zeros", zeros, ("refuse", "drop"))
    array = finite_array("x", x, ndim=1)
    weights = None if counts is None else multiplicities("counts", counts)
    if weights is not None and weights.shape != array.shape:
        raise InputError(
            f"counts must have one entry per value, got shape {weights.shape} for x of "
            f"shape {array.shape}"
        )
    present = np.ones(array.shape, dtype=bool) if weights is None else weights > 0.0
    _refuse_non_positive(array, present, zeros)
    positive = present & (array > 0.0)
    n_zeros = 0
    if not positive.all():
        dropped = present & ~positive
        n_zeros = int(dropped.sum() if weights is None else weights[dropped].sum())
        array = array[positive]
        weights = None if weights is None else weights[positive]
    integers = bool(
        array.size and array.max() <= _LARGEST_INTEGER and np.all(array == np.rint(array))
    )
    values, totals = _reduce(array, weights, integers)
    return Observations(values, totals, integers, n_zeros)


def _refuse_non_positive(array: Floats, present: NDArray[np.bool_], zeros: str) -> None:
    bad = present & ((array < 0.0) if zeros == "drop" else (array <= 0.0))
    if not bad.any():
        return
    first = int(np.argmax(bad))
    rule, broken, ways = "> 0", "<= 0", "drop them or shift"
    if zeros == "drop":
        rule, broken = ">= 0", "< 0"
    elif not (present & (array < 0.0)).any():
        ways = 'leave them out knowingly with zeros="drop", or shift'
    raise InputError(
        f"x must be {rule}, got {int(np.count_nonzero(bad))} value(s) {broken}, the "
        f"first at index ({first},): {array[first]}; a power law has no mass there: {ways}"
    )


def multiplicities(name: str, value: ArrayLike) -> Floats:
    """Return `value` as float64 whole numbers >= 0."""
    array = finite_array(name, value, ndim=1)
    bad = (array < 0.0) | (array != np.rint(array)) | (array > _LARGEST_INTEGER)
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"{name} must be whole numbers >= 0 and <= 2^53, got {int(np.count_nonzero(bad))} "
            f"other value(s), the first at index ({first},): {array[first]}"
        )
    if array.sum() > _LARGEST_TOTAL:
        raise InputError(f"{name} must add up to at most 2^62, got {array.sum():.6g}")
    return array


def log_ratio(values: ArrayLike, reference: float) -> Floats:
    """Return ln(values/reference), also where the quotient overflows."""
    array = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        quotient = array / reference
    if np.isinf(quotient).any():
        return np.asarray(np.log(array) - np.log(reference))
    return np.asarray(np.log(quotient))  # closer to the truth for nearly equal values


def _reduce(array: Floats, weights: Floats | None, integers: bool) -> tuple[Floats, Floats]:
    """Return sorted distinct values and their counts; small integers without a sort."""
    if integers and array.max() <= max(4 * array.size, 100_000):
        totals = np.bincount(array.astype(np.int64), weights)
        values = np.flatnonzero(totals)
        return values.astype(np.float64), totals[values].astype(np.float64)
    if weights is None:
        array = np.sort(array)
    else:
        order = np.argsort(array)
        array, weights = array[order], weights[order]
    starts = np.flatnonzero(np.diff(array, prepend=-1.0))
    if weights is None:
        return array[starts], np.diff(starts, append=array.size).astype(np.float64)
    return array[starts], np.add.reduceat(weights, starts) if starts.size else weights
