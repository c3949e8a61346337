"""Checks of arguments, raised before any work: one sentence naming argument, value and rule."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, did_you_mean

# energies are squared and multiplied by beta: within this, nothing overflows
LARGEST = 1e40


def finite_array(name: str, value: ArrayLike, *, ndim: int | None = None) -> NDArray[np.float64]:
    """Return `value` as a float64 array; refuse NaN, infinities and a wrong `ndim`."""
    refuse_masked(name, value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufO":
            raise InputError(f"{name} must be real numbers, got dtype {array.dtype}")
        if array.dtype.kind == "O":
            for item in array.flat:
                if isinstance(item, (str, bytes)):  # NumPy would read it as a number
                    raise InputError(f"{name} must be real numbers, got {item!r:.80}")
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} must be an array of real numbers, got {value!r:.80}") from error
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), got shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        where = f" at index {index}" if index else ""
        raise InputError(
            f"{name} must be finite, got {int(bad.sum())} NaN or infinite value(s), "
            f"the first{where}: {array[index]}"
        )
    return array


def refuse_masked(name: str, value: object) -> None:
    """Raise InputError for an array with masked values, which numpy.asarray would unmask."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        hidden = int(np.ma.getmaskarray(value).sum())
        raise InputError(
            f"{name} must not hold masked values, got {hidden}; leave them out or fill them"
        )


def positive_array(name: str, value: ArrayLike, *, zero: bool = False) -> NDArray[np.float64]:
    """Return a finite float64 array of values > 0 (>= 0 with `zero`)."""
    array = finite_array(name, value)
    bad = array < 0 if zero else array <= 0
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        where = f" at index {index}" if index else ""
        raise InputError(f"{name} must be {'>=' if zero else '>'} 0, got {array[index]}{where}")
    return array


def correlations(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return an array of values in [-1, 1]."""
    array = finite_array(name, value)
    bad = np.abs(array) > 1
    if bad.any():
        raise InputError(f"{name} must be in [-1, 1], got {array[bad].ravel()[0]}")
    return array


def bounded_array(name: str, value: ArrayLike, *, ndim: int | None = None) -> NDArray[np.float64]:
    """Return a finite float64 array of values within +-1e40, which energies can be made of."""
    array = finite_array(name, value, ndim=ndim)
    if array.size and np.abs(array).max() > LARGEST:
        raise InputError(
            f"{name} must be within +-{LARGEST:g}, got {np.abs(array).max():g} in size; "
            "choose other units"
        )
    return array


def inverse_temperatures(value: ArrayLike) -> NDArray[np.float64]:
    """Return `beta` as an array of at least one value from 0 to 1e40."""
    array = bounded_array("beta", positive_array("beta", value, zero=True))
    if array.size == 0:
        raise InputError("beta must hold at least one value, got an empty array")
    return array


def finite_float(name: str, value: Any) -> float:
    """Return a finite float."""
    return float(finite_array(name, value, ndim=0))


def bounded_float(name: str, value: Any) -> float:
    """Return a float within +-1e40, which energies can be made of."""
    return float(bounded_array(name, value, ndim=0))


def positive_float(name: str, value: Any, *, zero: bool = False) -> float:
    """Return a finite float > 0 (>= 0 with `zero`)."""
    array = positive_array(name, value, zero=zero)
    if array.ndim != 0:
        raise InputError(f"{name} must be a single number, got shape {array.shape}")
    return float(array)


def integer(name: str, value: Any, *, minimum: int, maximum: int | None = None) -> int:
    """Return an integer in [`minimum`, `maximum`]; refuse booleans and fractions."""
    allowed = f"an integer >= {minimum}" + ("" if maximum is None else f" and <= {maximum}")
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} must be {allowed}, got {value!r}")
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} must be {allowed}, got {value!r:.80}") from error
    if number < minimum or (maximum is not None and number > maximum):
        raise InputError(f"{name} must be {allowed}, got {number}")
    return number


def choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`; name the nearest otherwise."""
    if isinstance(value, str) and value in allowed:
        return value
    hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
    options = ", ".join(repr(option) for option in allowed)
    raise InputError(f"{name} must be one of {options}, got {value!r:.80}{hint}")
