"""Variances as arguments, and exponential fits of simulated decays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.propagation.activations import Activation
from spinnet.propagation.diagram import PhaseDiagram, phase_diagram
from spinnet.propagation.figures.sweep import COLORS
from spinnet.propagation.gaussian import MeanField
from spinnet.validation import finite_float, positive_array

Array = NDArray[np.float64]

_TRANSIENT = 0.2  # layers count where the theory decays by its last rate to within this share
_ABOVE_NOISE = 5.0  # and is this many standard errors of the simulation away from the fixed point
_FEWEST = 3  # layers, and the factor by which the deviation falls over them
_SPAN = 2.0


class Fit(NamedTuple):
    """Depth scale of a simulated decay, its jackknife error, and the same fit of the theory."""

    xi: float
    error: float
    theory: float


def variances(name: str, value: ArrayLike, *, most: int | None = None) -> Array:
    """Return a few values or a grid of variances, checked."""
    array = np.atleast_1d(positive_array(name, value, zero=name == "sigma_b2"))
    limit = len(COLORS) if most is None else most
    if array.ndim != 1 or not 1 <= array.size <= limit:
        raise InputError(f"{name} must be 1 to {limit} values, got shape {array.shape}")
    return array


def correlation(name: str, value: float) -> float:
    """Return a correlation, checked."""
    c = finite_float(name, value)
    if abs(c) > 1:
        raise InputError(f"{name} must be in [-1, 1], got {c}")
    return c


def theory_of(
    activation: Activation,
    sigma_w2: float,
    sigma_b2: float,
    keep: float = 1.0,
    *,
    names: str = "sigma_w2 and sigma_b2",
) -> MeanField:
    """Return the mean field of one network; refuse one whose length has no fixed point > 0."""
    net = MeanField(activation, sigma_w2=float(sigma_w2), sigma_b2=float(sigma_b2), keep=keep)
    if not 0 < net.q_star < np.inf:
        raise InputError(
            f"{names} must have a fixed point of the length, got {net!r} with "
            f"q_star = {net.q_star:g}"
        )
    return net


def plane(
    activation: Activation, sigma_w2: ArrayLike, sigma_b2: ArrayLike, keep: float = 1.0
) -> PhaseDiagram:
    """Return the phase diagram of a grid of variances."""
    return phase_diagram(activation, np.sqrt(sigma_w2), np.sqrt(sigma_b2), keep)


def fit_decay(samples: Array, theory: Array, xi: float) -> Fit:
    """Fit amplitude * exp(-layer / xi) to the mean of `samples`, deviations from a fixed point.

    Layers are weighted by their standard errors.  Those of the transient are left out, and those
    in which the deviation is lost in noise; NaN where fewer than three are left, or the deviation
    does not halve over them.  Layers of one network are not independent, and the error comes from
    leaving out one network at a time.

    Parameters
    ----------
    samples : ndarray, shape (n_networks, n_layers)
        Signed.
    theory : ndarray, shape (n_layers,)
        The same for infinite width.
    xi : float
        Its depth scale far down.
    """
    n = len(samples)
    if n < 2:
        return Fit(np.nan, np.nan, np.nan)
    sem = samples.std(axis=0, ddof=1) / np.sqrt(n)
    size = np.abs(theory)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = -np.diff(np.log(size)) * xi
        settled = np.append(np.abs(rate - 1) < _TRANSIENT, False)
    clear = (size > _ABOVE_NOISE * sem) & (sem > 0)
    good = settled & clear
    if not good.any():
        return Fit(np.nan, np.nan, np.nan)
    first = int(np.argmax(good))
    layers = np.arange(first, first + int(np.argmin(np.append(good[first:], False))))
    if layers.size < _FEWEST or size[layers[0]] < _SPAN * size[layers[-1]]:
        return Fit(np.nan, np.nan, np.nan)
    weight = size[layers] / sem[layers]
    sign = np.sign(theory[layers])
    total = samples[:, layers].sum(axis=0)
    left_out = sign * (total - samples[:, layers]) / (n - 1)
    rows = np.vstack([sign * total / n, size[layers], left_out])
    if (rows <= 0).any():
        return Fit(np.nan, np.nan, np.nan)
    centred = layers - np.average(layers, weights=weight**2)
    slopes = np.log(rows) @ (weight**2 * centred) / np.sum(weight**2 * centred**2)
    scales = -1 / slopes
    spread = np.sqrt((n - 1) * scales[2:].var())
    return Fit(float(scales[0]), float(spread), float(scales[1]))
