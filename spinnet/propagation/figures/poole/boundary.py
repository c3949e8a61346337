"""Figure 6 of Poole et al., and panel G of Figure 4: curvature of decision boundaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.propagation.activations import Activation
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.poole.length import MARKED
from spinnet.propagation.figures.sweep import (
    COLORS,
    Array,
    common,
    make,
    panels,
    refuse_kinks,
    theories,
    weights_of,
)
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.geometry.boundary import (
    BoundaryCurvature,
    boundary_curvature,
    find_boundary,
)
from spinnet.propagation.simulate import network
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 4


def boundary_sizes(width: int, depth: int, n_points: int, prefix: str = "") -> tuple[int, int, int]:
    """Return width and depth of a network and the number of points on its boundary, checked."""
    return (
        integer(f"{prefix}width", width, minimum=_SHOWN + 1),
        integer(f"{prefix}depth", depth, minimum=1),
        integer("n_points", n_points, minimum=1),
    )


def curvatures(
    theory: MeanField, width: int, depth: int, n_points: int, rng: np.random.SeedSequence
) -> BoundaryCurvature:
    """Return the principal curvatures of one network's decision boundary, layers 1 to `depth`."""
    one, two = rng.spawn(2)
    widths = [width] * (depth + 1)
    net = network(theory.activation, widths, theory.sigma_w, theory.sigma_b, rng=one)
    found = find_boundary(net, n_points, q=theory.q_star, layer=1, rng=two)
    return boundary_curvature(net, found.readout, found.points, layer=1)


def boundary_arrays(
    theory: MeanField, width: int, depth: int, n_points: int, rng: np.random.SeedSequence
) -> tuple[NDArray[np.int64], dict[str, Array]]:
    """Return layers, and mean and spread over points of the extreme curvatures, (4, layers)."""
    found = curvatures(theory, width, depth, n_points, rng)
    arrays = {}
    for name, values in (
        ("kappa_plus", found.largest(_SHOWN)),
        ("kappa_minus", found.smallest(_SHOWN)),
    ):
        arrays[name] = values.mean(axis=1).T
        arrays[f"{name}_sd"] = values.std(axis=1, ddof=1 if n_points > 1 else 0).T
    return found.layers, arrays


def draw_boundary(ax: Axes, data: FigureData, k: int) -> None:
    """Draw the extreme principal curvatures against the layer."""
    layers = data["boundary_layers"]
    for i in range(_SHOWN):
        for sign, name in ((1, "kappa_plus"), (-1, "kappa_minus")):
            mean, sd = data[name][k, i], data[f"{name}_sd"][k, i]
            label = rf"$\kappa_{{\pm {i + 1}}}$" if sign > 0 else None
            plotting.points(
                ax, layers, mean, sd, color=COLORS[i], marker="^" if sign > 0 else "v", label=label
            )
            plotting.line(ax, layers, mean, color=COLORS[i], width=0.6)
    ax.set_yscale("symlog", linthresh=1.0)
    ax.set_xlabel("layer $l$")
    ax.set_ylabel("principal curvature")
    if k == 0:
        ax.legend(ncols=2, title="mean and s.d. over points")


def fig6(
    *,
    activation: str | Activation = "tanh",
    sigma_w: ArrayLike = MARKED,
    sigma_b: float = 0.3,
    width: int = 200,
    depth: int = 10,
    n_points: int = 5,
    rng: RandomState = None,
) -> FigureData:
    """Compute all principal curvatures of decision boundaries, seen in layer 1.

    Parameters
    ----------
    activation : str or Activation
        Smooth.
    sigma_w : array_like
        Up to six values, each a panel.
    sigma_b : float
    width, depth : int
        Of the networks.
    n_points : int
        Points on each boundary.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``eigenvalues`` (n, n_points, width - 1), decreasing; ``layer`` (); ``weights`` (n,).

    Raises
    ------
    KinkedActivationError
        If the activation has kinks.
    InputError
        For bad sizes or parameters, or a sigma_w at which lengths have no fixed point.
    ConvergenceError
        If a network's read-out hardly changes sign; see ``geometry.boundary.find_boundary``.
    """
    phi, bias = common(activation, sigma_b)
    weights = weights_of(sigma_w)
    refuse_kinks(phi)
    width, depth, n_points = boundary_sizes(width, depth, n_points)
    nets = theories(phi, weights, bias)
    seed = seed_sequence(rng)
    values = [
        curvatures(net, width, depth, n_points, child).curvatures[0]
        for net, child in zip(nets, seed.spawn(len(nets)), strict=True)
    ]
    return make(
        "poole.fig6",
        {"weights": weights, "eigenvalues": values, "layer": 1},
        {
            "activation": phi.name,
            "sigma_b": bias,
            "width": width,
            "depth": depth,
            "n_points": n_points,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _draw(data: FigureData) -> Figure:
    figure, axes = panels(1, len(data["weights"]), height=2.6)
    for k, w in enumerate(data["weights"]):
        ax = axes[0, k]
        rank = np.arange(1, data["eigenvalues"].shape[-1] + 1)
        for i, values in enumerate(data["eigenvalues"][k]):
            color = COLORS[i % len(COLORS)]
            plotting.line(ax, rank, values, color=color, width=0.9, label=f"point {i + 1}")
        ax.set_title(rf"$\sigma_w = {w:g}$", fontsize="small")
        ax.set_xlabel("rank")
        ax.set_ylabel("principal curvature in layer 1")
        if k == 0:
            ax.legend()
    return figure
