"""Figures 5 and 6 of Schoenholz et al.: which networks train, without and with dropout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.plotting import BLACK
from spinnet.propagation.activations import Activation
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.sweep import COLORS, make, panels
from spinnet.propagation.trainability import accuracy_map, depth_line, trainability
from spinnet.randomness import RandomState, seed_sequence
from spinnet.validation import positive_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEPTHS = (8, 16, 24, 32, 40, 48)
WEIGHTS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0)
_MARKERS = "os^Dvp"


def fig5(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    activation: str | Activation = "tanh",
    depths: Sequence[int] = DEPTHS,
    sigma_w2: ArrayLike = WEIGHTS,
    sigma_b2: float = 0.05,
    width: int = 120,
    steps: int = 300,
    learning_rate: float = 0.03,
    batch: int = 128,
    optimizer: str = "sgd",
    n_scored: int = 2000,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    rng: RandomState = None,
) -> FigureData:
    """Train networks over depth and sigma_w2, and compare with the line of 6 xi_c.

    Parameters are those of :func:`spinnet.propagation.trainability.trainability`; the defaults
    take about three minutes on one core for the 8x8 digits.

    Returns
    -------
    FigureData
        ``depths`` (n,), ``weights`` (m,), values of `sigma_w2`, ``xi_c`` (m,), ``accuracy``,
        ``error``, ``loss`` (n, m); the line ``sigma_w2``, ``line_xi_c``.

    Raises
    ------
    InputError, CheckpointError, MissingDependencyError
        As :func:`~spinnet.propagation.trainability.trainability`.

    Notes
    -----
    The paper trains on MNIST and CIFAR-10 with width 300, depths from 10 to 300, sigma_w^2 from 1
    to 4 and sigma_b^2 = 0.05, for 200 steps of SGD at a rate of 1e-3, and longer.
    """
    return _figure(
        "schoenholz.fig5",
        images,
        labels,
        (1.0,),
        checkpoint,
        rng,
        activation=activation,
        depths=depths,
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        width=width,
        steps=steps,
        learning_rate=learning_rate,
        batch=batch,
        optimizer=optimizer,
        n_scored=n_scored,
        progress=progress,
    )


def fig6(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    keep: ArrayLike = (0.99, 0.98, 0.94),
    activation: str | Activation = "tanh",
    depths: Sequence[int] = DEPTHS,
    sigma_w2: ArrayLike = WEIGHTS,
    sigma_b2: float = 0.05,
    width: int = 120,
    steps: int = 300,
    learning_rate: float = 0.03,
    batch: int = 128,
    optimizer: str = "sgd",
    n_scored: int = 2000,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    rng: RandomState = None,
) -> FigureData:
    """Train networks with dropout over depth and sigma_w2, and compare with 6 xi_c.

    Parameters are those of :func:`spinnet.propagation.trainability.trainability`, for up to five
    values of `keep`, with a checkpoint of its own for each: "grid.npz" stands for
    "grid-keep0.99.npz" and so on.  The defaults take about ten minutes on one core for the 8x8
    digits.

    Returns
    -------
    FigureData
        As :func:`fig5`, with one more axis in front for ``keep`` (k,): ``xi_c`` (k, m),
        ``accuracy``, ``error``, ``loss`` (k, n, m), ``line_xi_c``.

    Raises
    ------
    InputError, CheckpointError, MissingDependencyError
        As :func:`~spinnet.propagation.trainability.trainability`.

    Notes
    -----
    The paper keeps 0.99, 0.98 and 0.94 of the activations, and is else as in :func:`fig5`.
    """
    probabilities = np.atleast_1d(positive_array("keep", keep))
    if probabilities.ndim != 1 or not 1 <= probabilities.size < len(COLORS):
        raise InputError(f"keep must be 1 to {len(COLORS) - 1} values, got {probabilities.shape}")
    if len({f"{rho:g}" for rho in probabilities}) < probabilities.size:  # they name checkpoints
        raise InputError(f"keep must be values that differ, got {probabilities.tolist()}")
    return _figure(
        "schoenholz.fig6",
        images,
        labels,
        tuple(probabilities.tolist()),
        checkpoint,
        rng,
        activation=activation,
        depths=depths,
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        width=width,
        steps=steps,
        learning_rate=learning_rate,
        batch=batch,
        optimizer=optimizer,
        n_scored=n_scored,
        progress=progress,
    )


def _figure(
    name: str,
    images: ArrayLike,
    labels: ArrayLike,
    keep: tuple[float, ...],
    checkpoint: str | Path | None,
    rng: RandomState,
    **options: Any,
) -> FigureData:
    several = name == "schoenholz.fig6"
    seed = seed_sequence(rng)
    results = []
    for rho, child in zip(keep, seed.spawn(len(keep)), strict=True):
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and several:
            path = path.with_name(f"{path.stem}-keep{rho:g}{path.suffix}")
        stream = None if path is not None and rng is None else child  # None: the checkpoint's
        results.append(
            trainability(images, labels, keep=rho, checkpoint=path, rng=stream, **options)
        )
    first = results[0]
    arrays: dict[str, Any] = {
        "depths": first.depths,
        "weights": first.sigma_w2,
        "sigma_w2": first.line_sigma_w2,
    }
    for key in ("xi_c", "accuracy", "error", "loss", "line_xi_c"):
        arrays[key] = [getattr(r, key) for r in results] if several else getattr(first, key)
    parameters = {k: v for k, v in first.parameters.items() if k not in ("depths", "sigma_w2")}
    if several:
        arrays["keep"] = np.array(keep)
        del parameters["keep"]
    parameters["seed"] = [r.seed for r in results] if several else first.seed
    return make(name, arrays, parameters, _draw)


def _draw(data: FigureData) -> Figure:
    several = "keep" in data
    accuracy, error, xi_c, line = (
        data[key] if several else data[key][None]
        for key in ("accuracy", "error", "xi_c", "line_xi_c")
    )
    maps = len(accuracy)
    columns = 2 if maps in (1, 3) else 3
    rows = -(-(maps + 1) // columns)
    figure: Figure
    figure, axes = panels(rows, columns, width=3.5 * columns, height=2.8 * rows + 0.3)
    last = axes.ravel()[maps]
    for ax in axes.ravel()[maps + 1 :]:
        ax.set_axis_off()
        ax.set_title("", loc="left")
    for k, ax in enumerate(axes.ravel()[:maps]):
        mesh = accuracy_map(ax, data["weights"], data["depths"], accuracy[k])
        depth_line(ax, data["sigma_w2"], line[k])
        figure.colorbar(mesh, ax=ax, label="training accuracy")
        if several:
            ax.set_title(rf"$\rho = {data['keep'][k]:g}$")
        _collapse(last, data, k, accuracy[k], error[k], xi_c[k])
    last.axvline(6.0, color=BLACK, ls="--", lw=1)
    last.set_xscale("log")
    last.set_ylim(-0.03, 1.06)
    last.set_xlabel(r"depth over $\xi_c$")
    last.set_ylabel("training accuracy")
    handles, labels = axes.ravel()[0].get_legend_handles_labels()
    more, names = last.get_legend_handles_labels()
    figure.legend(handles + more, labels + names, loc="outside upper center", ncols=4)
    return figure


def _collapse(ax: Axes, data: FigureData, k: int, accuracy: Any, error: Any, xi_c: Any) -> None:
    """Draw accuracies against depth in units of xi_c."""
    if "keep" in data:
        groups = [(np.isfinite(xi_c), rf"$\rho = {data['keep'][k]:g}$")]
    else:
        middle = xi_c[np.newaxis].argmax()
        inside = np.arange(xi_c.size)
        groups = [
            (inside < middle, r"$\sigma_w^2$ below the peak of $\xi_c$"),
            (inside >= middle, "above it"),
        ]
    for shift, (part, label) in enumerate(groups):
        x = (data["depths"][:, None] / xi_c)[:, part].ravel()
        plotting.points(
            ax,
            x,
            accuracy[:, part].ravel(),
            error[:, part].ravel(),
            color=COLORS[k + shift],
            marker=_MARKERS[k + shift],
            label=label,
        )
