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
OUTERMOST = 10.0  # effective samples at either end of the energies that tell of what is missing
LEAST_EFFECTIVE = 50.0  # effective samples below which a temperature counts as not covered
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


def most_outside(n_eff: Array) -> Array:
    """Return the share of the weight that may lie on the outermost samples.

    Beyond it, what no sample has seen biases fluctuations.  z^2 of the specific heat, 1.15 if
    calibrated, for outside sqrt(n_eff) in [0.35, 0.5], [0.5, 0.75], [0.75, 1] and [1, 1.25] is
    1.2, 1.4, 1.7, 2.5 for Gaussian energies, and 1.1, 1.8, 3.3, 3.7 for Curie-Weiss of 100 spins.
    Few samples may do worse, as long as the outermost weigh hardly more than the others.
    """
    root = np.sqrt(np.maximum(n_eff, 1.0))
    return np.asarray(np.clip(1.5 * OUTERMOST / root, 0.5, 1.25) / root)


def covered(n_eff: Array, outside: Array) -> NDArray[np.bool_]:
    """Tell where the samples stand behind averages."""
    return np.asarray((n_eff >= LEAST_EFFECTIVE) & (outside <= most_outside(n_eff)))


def limits(n_eff: float, outside: float) -> str:
    """Say how far a temperature is from being covered."""
    return (
        f"{n_eff:.3g} effective samples, needed {LEAST_EFFECTIVE:g}; {outside:.2g} of the weight "
        f"on the outermost, allowed {float(most_outside(np.array(n_eff))):.2g}"
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
