"""What the statistics accept as a set of chains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import finite_array

Array = NDArray[np.float64]
MIN_UNITS = 8  # replicas from which their scatter gives errors


def as_chains(series: ArrayLike) -> Array:
    """Return `series` as a finite array of shape (n_chains, n_steps): not a copy, if it is one."""
    data = np.atleast_2d(series if _is_finite(series) else finite_array("series", series))
    if data.ndim != 2 or data.size == 0:
        raise InputError(f"series must have shape (n_replicas, n_steps), got {np.shape(series)}")
    return data


def _is_finite(series: object) -> bool:
    """Tell cheaply of plain float64 whether it is finite; False where only a closer look tells."""
    if type(series) is not np.ndarray or series.dtype != np.float64:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(series.sum()))


def evaluated(function: Callable[..., Any], arguments: Sequence[Any] | Array) -> Array:
    """Return the function of averages as float64; refuse what is no real number, as None."""
    if not callable(function):
        raise InputError(f"function must be callable, got {function!r:.80}")
    value = function(*arguments)
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise InputError(f"function must return real numbers, got {value!r:.80}")
    return array.astype(np.float64)


def safe_unit(data: Array) -> float:
    """Return a power of two near the largest value, 1 for values whose squares are safe.

    Dividing by it changes no digit, and squares then neither vanish nor overflow.
    """
    largest = max(float(data.max()), -float(data.min()))
    if largest == 0 or 1e-100 < largest < 1e100:
        return 1.0
    return float(2.0 ** max(np.frexp(largest)[1] - 1, -1000))


def root_of_squares(data: Array) -> Array:
    """Return the root of the sum of squares along the first axis."""
    unit = safe_unit(data)
    return np.asarray(unit * np.sqrt(np.sum((data / unit) ** 2, axis=0)))
