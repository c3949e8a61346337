"""Quantities made of reweighted averages, their jackknife errors, and what counts as covered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.spins.statistics import binder_cumulant
from spinnet.spins.statistics.chains import evaluated

Array = NDArray[np.float64]
Quantity = Callable[..., Any]
LEAST_EFFECTIVE = 50.0  # effective samples below which a temperature counts as not covered
# bound of outside sqrt(n_eff): beyond it, what no sample has seen biases fluctuations by more
# than an error (z^2 of the specific heat of Curie-Weiss, N = 400, grows from 1.3 to 3 there)
MOST_OUTSIDE = 1.25
CENTRED = ("centred energy", "centred energy2")  # less the reference: the variance keeps digits

QUANTITIES: dict[str, tuple[Any, ...]] = {
    "binder": (lambda n, m2, m4: binder_cumulant(m2, m4), "m2", "m4"),
    "susceptibility": (
        lambda n, beta, m2, m: beta * n * (m2 - m**2),
        "beta",
        "m2",
        "magnetization",
    ),
    "susceptibility_abs": (lambda n, beta, m2, a: beta * n * (m2 - a**2), "beta", "m2", "abs_m"),
    "specific_heat": (lambda n, beta, e, e2: beta**2 * (e2 - e**2) / n, "beta", *CENTRED),
}


def covered(n_eff: Array, outside: Array) -> NDArray[np.bool_]:
    """Tell where the samples stand behind averages."""
    return np.asarray((n_eff >= LEAST_EFFECTIVE) & (outside * np.sqrt(n_eff) <= MOST_OUTSIDE))


def limits(n_eff: float, outside: float) -> str:
    """Say how far a temperature is from being covered."""
    return (
        f"{n_eff:.3g} effective samples, needed {LEAST_EFFECTIVE:g}; {outside:.2g} of the weight "
        f"on the outermost, allowed {MOST_OUTSIDE / np.sqrt(n_eff):.2g}"
    )


def applied(function: Quantity, arguments: list[Any], like: Array) -> Array:
    """Return the function of averages, broadcast to the shape of `like`."""
    try:
        value = evaluated(function, arguments)
    except TypeError as error:
        raise InputError(
            f"function must take arrays of {len(arguments)} average(s), as numpy.log does and "
            f"math.log does not, got {type(error).__name__}: {error}"
        ) from error
    try:
        return np.array(np.broadcast_to(value, like.shape))
    except ValueError:
        raise InputError(
            f"function must return one number for each temperature, got shape {value.shape} for "
            f"averages of shape {like.shape}"
        ) from None


def jackknife_error(table: Array) -> tuple[Array, Array]:
    """Return error and bias from the values of all samples and of each set, (n + 1, n_beta)."""
    full, left = table[0], table[1:]
    n = len(left)
    centre = left.mean(axis=0)
    error = np.sqrt((n - 1) / n * np.sum((left - centre) ** 2, axis=0))
    return error, (n - 1) * (centre - full)
