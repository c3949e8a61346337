"""What all power-law fits check alike: convention, kind of data, bounds, arguments of the law."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.tails.observations import Observations
from spinnet.validation import positive_float, refuse_masked

CONVENTIONS = {"left": 0, "csn": 1, "two-sided": 2}  # as in ks_search
_LARGEST_INTEGER = 2.0**53


def resolve_kind(discrete: bool | None, data: Observations) -> bool:
    """Return whether to fit integers; refuse fractions where integers were asked for."""
    if discrete is None:
        return data.integers
    if not isinstance(discrete, (bool, np.bool_)):
        raise InputError(f"discrete must be True, False or None, got {discrete!r:.80}")
    if discrete and data.n and not data.integers:
        fractions = data.values[data.values != np.rint(data.values)]
        found = f"{data.values[-1]}"
        if fractions.size:
            found = f"{fractions.size} distinct fraction(s), the smallest {fractions[0]}"
        raise InputError(
            f"discrete=True needs whole numbers <= 2^53, got {found}; use discrete=False, or "
            "divide by the unit of the data"
        )
    return bool(discrete)


def check_bound(name: str, value: float, discrete: bool) -> float:
    """Return a bound > 0, an integer up to 2^53 for integer data."""
    bound = positive_float(name, value)
    if discrete and not (bound.is_integer() and bound <= _LARGEST_INTEGER):
        raise InputError(f"{name} must be an integer from 1 to 2^53 for integer data, got {bound}")
    return bound


def law_arguments(x: ArrayLike) -> NDArray[np.float64]:
    """Return where a law is to be evaluated: real numbers, infinite and NaN ones included."""
    refuse_masked("x", x)
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise InputError(f"x must be real numbers, got {x!r:.80} (dtype {array.dtype})")
    return array.astype(np.float64)
