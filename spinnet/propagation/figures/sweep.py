"""What the figures of both papers share: parameters of a run, panels, error bands."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, KinkedActivationError
from spinnet.plotting import BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.figures.data import Draw, FigureData
from spinnet.propagation.gaussian import MeanField
from spinnet.validation import positive_array, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

COLORS = (BLUE, GREEN, VERMILLION, PURPLE, ORANGE, SKY_BLUE)
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (3, 1)))


def make(
    name: str, arrays: Mapping[str, ArrayLike], parameters: Mapping[str, Any], draw: Draw
) -> FigureData:
    """Return the figure's data with the version that made it."""
    return FigureData(
        name=name,
        arrays={key: np.asarray(value) for key, value in arrays.items()},
        parameters=dict(parameters),
        version=spinnet.__version__,
        _draw=draw,
    )


def weights_of(sigma_w: ArrayLike) -> Array:
    """Return several values of sigma_w, checked."""
    array = np.atleast_1d(positive_array("sigma_w", sigma_w))
    if array.ndim != 1 or not 1 <= array.size <= len(COLORS):
        raise InputError(f"sigma_w must be 1 to {len(COLORS)} values, got shape {array.shape}")
    return array


def common(activation: str | Activation, sigma_b: float) -> tuple[Activation, float]:
    """Return the activation and sigma_b of a figure, checked."""
    return get_activation(activation), positive_float("sigma_b", sigma_b, zero=True)


def theories(activation: Activation, sigma_w: Array, sigma_b: float) -> list[MeanField]:
    """Return the theory of each sigma_w; refuse those whose lengths have no fixed point."""
    nets = [MeanField(activation, w, sigma_b) for w in sigma_w]
    for net in nets:
        if not 0 < net.q_star < math.inf:
            raise InputError(
                f"sigma_w must be where the length map has a fixed point q* > 0, got {net!r} with "
                f"q* = {net.q_star}"
            )
    return nets


def refuse_kinks(activation: Activation) -> None:
    """Raise KinkedActivationError for an activation without second derivative."""
    if not activation.is_smooth:
        raise KinkedActivationError(
            f"activation must be smooth for curvatures, got {activation.name!r}, which has kinks"
        )


def row_of(name: str, values: Array) -> Array:
    """Return a one-dimensional array of at least one value."""
    array = np.atleast_1d(values)
    if array.ndim != 1 or array.size == 0:
        raise InputError(
            f"{name} must be a number or a sequence of at least one, got shape {array.shape}"
        )
    return array


def panels(
    rows: int, columns: int, width: float = 7.0, height: float | None = None
) -> tuple[Figure, Any]:
    """Return a figure that pyplot does not know and its axes, lettered from A."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height or 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for letter, ax in zip(string.ascii_uppercase, axes.ravel(), strict=False):
        letter_of(ax, letter)
    return figure, axes


def letter_of(ax: Axes, letter: str) -> None:
    """Write a panel's letter left above its axes."""
    ax.set_title(letter, loc="left", fontweight="bold")


def image(
    figure: Figure,
    ax: Axes,
    x: Array,
    y: Array,
    values: Array,
    label: str,
    *,
    extend: str = "neither",
    **options: Any,
) -> None:
    """Draw a map over the (x, y) plane with its colour bar; values have shape (y, x).

    `extend` is "max" where colours end below the largest value, as `vmax` in `options` may say.
    """
    mesh = ax.pcolormesh(x, y, np.ma.masked_invalid(values), shading="nearest", **options)
    mesh.set_rasterized(True)
    figure.colorbar(mesh, ax=ax, label=label, extend=extend)
    ax.set_xlabel(r"$\sigma_w$")
    ax.set_ylabel(r"$\sigma_b$")


def theory_and_simulation(
    ax: Axes,
    x: ArrayLike,
    theory: ArrayLike,
    mean: ArrayLike,
    sd: ArrayLike,
    *,
    color: str,
    dashes: Any = "-",
    label: str | None = None,
    every: int = 1,
) -> None:
    """Draw theory as a line and, as points with one standard deviation, single networks."""
    plotting.line(ax, x, theory, color=color, dashes=dashes, label=label)
    keep: Sequence[int] = range(0, len(np.asarray(x)), every)
    plotting.points(
        ax,
        np.asarray(x)[keep],
        np.asarray(mean)[keep],
        np.asarray(sd)[keep],
        color=color,
        size=2.5,
    )


def setting(data: FigureData) -> str:
    """Return the activation and the bias of a figure, for its legend."""
    return rf"{data.parameters['activation']}, $\sigma_b = {data.parameters['sigma_b']:g}$"
