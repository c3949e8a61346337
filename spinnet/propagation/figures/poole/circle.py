"""Figures 3 and 4 of Poole et al.: a circle pushed through random networks, and its geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.plotting import BLACK
from spinnet.propagation.activations import Activation
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.poole.boundary import (
    boundary_arrays,
    boundary_sizes,
    draw_boundary,
)
from spinnet.propagation.figures.poole.length import MARKED
from spinnet.propagation.figures.sweep import (
    COLORS,
    DASHES,
    common,
    letter_of,
    make,
    panels,
    refuse_kinks,
    setting,
    theories,
    theory_and_simulation,
    weights_of,
)
from spinnet.propagation.simulate import Ensemble, network
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COMPONENTS = 5
_DRAWN = 3
_RESOLVED = 0.9


def fig3(
    *,
    activation: str | Activation = "tanh",
    sigma_w: ArrayLike = MARKED,
    sigma_b: float = 0.3,
    width: int = 1000,
    n_networks: int = 10,
    n_theta: int = 500,
    layers: Sequence[int] = (5, 10, 15),
    rng: RandomState = None,
) -> FigureData:
    """Push a circle through random networks: its shape, and its autocorrelation.

    Layer 1 is the circle h(theta) = sqrt(N q*) (u0 cos theta + u1 sin theta).

    Parameters
    ----------
    activation : str or Activation
    sigma_w : array_like
        Up to six values, each a row.
    sigma_b : float
    width, n_networks : int
    n_theta : int
        Points on the circle, even.  Where they do not resolve it (neighbours' correlation below
        0.9), the drawing shows the points and not a curve.
    layers : sequence of int
        Layers shown, at least 2.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``theta`` (n_theta,), ``layers`` (m,), ``pcs`` (n, m, n_theta, 3) and ``fve`` (n, m, 5):
        principal components of one network's curve and the variance that they explain;
        ``dtheta`` (n_theta / 2 + 1,), ``autocorr_theory``, ``autocorr_mean``, ``autocorr_sd``,
        ``autocorr_sem`` (n, m, n_theta / 2 + 1).  ``weights`` (n,) holds the values of sigma_w.

    Raises
    ------
    InputError
        For bad sizes or parameters, or a sigma_w at which lengths have no fixed point.
    """
    phi, bias = common(activation, sigma_b)
    weights = weights_of(sigma_w)
    width = integer("width", width, minimum=_COMPONENTS)
    n_networks = integer("n_networks", n_networks, minimum=1)
    n_theta = integer("n_theta", n_theta, minimum=_COMPONENTS + 1)
    if n_theta % 2:
        raise InputError(f"n_theta must be even, got {n_theta}")
    shown = _layers(layers)
    depth = shown[-1]
    seed = seed_sequence(rng)
    dtheta = 2 * np.pi * np.arange(n_theta // 2 + 1) / n_theta
    index = np.array(shown) - 1
    pcs, fve, theory, sims = [], [], [], []
    nets = theories(phi, weights, bias)
    for net, child in zip(nets, seed.spawn(len(nets)), strict=True):
        one, many, start = child.spawn(3)
        w = net.sigma_w
        drawn = network(phi, [width] * (depth + 1), w, bias, rng=one)
        curve = drawn.curve(n_theta, net.q_star, curvature=False, keep_points=shown, rng=start)
        parts = [curve.principal_components(layer, _COMPONENTS) for layer in shown]
        pcs.append([points[:, :_DRAWN] for points, _ in parts])
        fve.append([share for _, share in parts])
        theory.append(net.autocorrelation(dtheta, depth)[index])
        ensemble = Ensemble(phi, w, bias, width=width, n_networks=n_networks, rng=many)
        found = ensemble.autocorrelation(dtheta, depth, n_theta=n_theta)
        sims.append([found.mean[index], found.sd[index], found.sem[index]])
    sim = np.array(sims)
    return make(
        "poole.fig3",
        {
            "weights": weights,
            "theta": 2 * np.pi * np.arange(n_theta) / n_theta,
            "layers": np.array(shown),
            "pcs": pcs,
            "fve": fve,
            "dtheta": dtheta,
            "autocorr_theory": theory,
            "autocorr_mean": sim[:, 0],
            "autocorr_sd": sim[:, 1],
            "autocorr_sem": sim[:, 2],
        },
        {
            "activation": phi.name,
            "sigma_b": bias,
            "width": width,
            "n_networks": n_networks,
            "n_theta": n_theta,
            "seed": seed_record(seed),
        },
        _draw_circle,
    )


def _draw_circle(data: FigureData) -> Figure:
    rows, columns = len(data["weights"]), len(data["layers"])
    figure, axes = panels(rows, columns + 1, width=1.75 * (columns + 1), height=1.9 * rows + 0.2)
    for k, w in enumerate(data["weights"]):
        for j, layer in enumerate(data["layers"]):
            ax = axes[k, j]
            first, second = data["pcs"][k, j, :, 0], data["pcs"][k, j, :, 1]
            if data["autocorr_theory"][k, j, 1] >= _RESOLVED:
                closed = np.append(np.arange(len(first)), 0)
                plotting.line(ax, first[closed], second[closed], color=COLORS[k], width=0.8)
            else:
                ax.plot(first, second, ".", color=COLORS[k], ms=2)
            share = 100 * data["fve"][k, j, :2].sum()
            ax.set_title(
                rf"$l = {layer}$, {share:.0f} % of variance", fontsize="small", loc="right"
            )
            ax.set_aspect("equal", adjustable="datalim")
            ax.set_xlabel("first component")
            if j == 0:
                ax.set_ylabel(rf"$\sigma_w = {w:g}$" + "\nsecond component")
        ax = axes[k, -1]
        for j, layer in enumerate(data["layers"]):
            theory_and_simulation(
                ax,
                data["dtheta"],
                data["autocorr_theory"][k, j],
                data["autocorr_mean"][k, j],
                data["autocorr_sd"][k, j],
                color=COLORS[j],
                dashes=DASHES[j],
                label=rf"$l = {layer}$",
                every=max(1, len(data["dtheta"]) // 15),
            )
        ax.set_xlabel(r"angle $\Delta\theta$ (rad)")
        ax.set_ylabel(r"autocorrelation $c^l(\Delta\theta)$")
        ax.legend()
    figure.suptitle(f"{setting(data)}; dots where neighbouring points are no longer alike")
    return figure


def fig4(
    *,
    activation: str | Activation = "tanh",
    sigma_w: ArrayLike = MARKED,
    sigma_b: float = 0.3,
    width: int = 1000,
    n_networks: int = 5,
    n_theta: int = 200,
    depth: int = 40,
    boundary_width: int = 200,
    boundary_depth: int = 10,
    n_points: int = 10,
    rng: RandomState = None,
) -> FigureData:
    """Compute curvature and length of a circle's image, and of decision boundaries, by layer.

    Parameters
    ----------
    activation : str or Activation
        Smooth.
    sigma_w : array_like
        Up to six values, each a curve.
    sigma_b : float
    width, n_networks, n_theta, depth : int
        Of the circle's networks.
    boundary_width, boundary_depth, n_points : int
        Of the network whose decision boundary is taken, and points on it.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``layers`` (depth,); for each of ``kappa_bar`` (sqrt(N) kappa), ``gE_bar`` (metric per
        neuron) and ``LG`` (length of the Gauss map's curve): ``_theory``, ``_mean``, ``_sd``,
        ``_sem`` (n, depth).  ``boundary_layers`` (L,), ``kappa_plus``, ``kappa_minus``,
        ``kappa_plus_sd``, ``kappa_minus_sd`` (n, 4, L): mean over points of the four largest and
        smallest principal curvatures.  ``weights`` (n,) holds the values of sigma_w.

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
    width = integer("width", width, minimum=2)
    n_networks = integer("n_networks", n_networks, minimum=1)
    n_theta = integer("n_theta", n_theta, minimum=3)
    depth = integer("depth", depth, minimum=2)
    sizes = boundary_sizes(boundary_width, boundary_depth, n_points, prefix="boundary_")
    nets = theories(phi, weights, bias)
    seed = seed_sequence(rng)
    streams = [child.spawn(2) for child in seed.spawn(len(nets))]
    # quick, and the only part that can fail: before the circles
    edges = [boundary_arrays(net, *sizes, one) for net, (_, one) in zip(nets, streams, strict=True)]
    boundaries = [edge for _, edge in edges]
    theory, sims = [], []
    for net, (many, _) in zip(nets, streams, strict=True):
        curve = net.propagate_curve(depth)
        theory.append([np.sqrt(curve.curvature_squared), curve.metric, curve.gauss_length])
        ensemble = Ensemble(phi, net.sigma_w, bias, width=width, n_networks=n_networks, rng=many)
        found = ensemble.propagate_curve(depth, n_theta=n_theta)
        assert found.curvature_squared is not None
        assert found.length_gauss is not None
        bent = found.curvature_squared
        # the error of a root, to first order
        root = np.sqrt(bent.mean)
        sims.append(
            [
                [root, bent.sd / (2 * root), bent.sem / (2 * root)],
                [found.metric.mean, found.metric.sd, found.metric.sem],
                [found.length_gauss.mean, found.length_gauss.sd, found.length_gauss.sem],
            ]
        )
    arrays = {"weights": weights, "layers": np.arange(1, depth + 1), "boundary_layers": edges[0][0]}
    curves, sim = np.array(theory), np.array(sims)
    for i, name in enumerate(("kappa_bar", "gE_bar", "LG")):
        arrays[f"{name}_theory"] = curves[:, i]
        for j, kind in enumerate(("mean", "sd", "sem")):
            arrays[f"{name}_{kind}"] = sim[:, i, j]
    for name in boundaries[0]:
        arrays[name] = np.array([edge[name] for edge in boundaries])
    return make(
        "poole.fig4",
        arrays,
        {
            "activation": phi.name,
            "sigma_b": bias,
            "width": width,
            "n_networks": n_networks,
            "n_theta": n_theta,
            "boundary_width": sizes[0],
            "boundary_depth": sizes[1],
            "n_points": sizes[2],
            "seed": seed_record(seed),
        },
        _draw_geometry,
    )


def _draw_geometry(data: FigureData) -> Figure:
    from matplotlib.figure import Figure

    n = len(data["weights"])
    figure = Figure(figsize=(7.0, 4.8), layout="constrained")
    grid = figure.add_gridspec(2, 3 * n)
    labels = {
        "kappa_bar": r"curvature $\sqrt{N}\,\kappa$",
        "gE_bar": r"metric $\bar g^E$ per neuron",
        "LG": r"Gauss-map length $L^G$ (rad)",
    }
    for i, (name, label) in enumerate(labels.items()):
        ax = figure.add_subplot(grid[0, i * n : (i + 1) * n])
        letter_of(ax, "ABC"[i])
        for k, w in enumerate(data["weights"]):
            theory_and_simulation(
                ax,
                data["layers"],
                data[f"{name}_theory"][k],
                data[f"{name}_mean"][k],
                data[f"{name}_sd"][k],
                color=COLORS[k],
                dashes=DASHES[k],
                label=rf"$\sigma_w = {w:g}$",
                every=max(1, len(data["layers"]) // 13),
            )
        ax.set_yscale("log")
        ax.set_xlabel("layer $l$")
        ax.set_ylabel(label)
        if i == 0:
            plotting.points(ax, [], [], color=BLACK, size=2.5, label="networks, mean and s.d.")
            ax.legend()
    shared = None
    for k, w in enumerate(data["weights"]):
        ax = figure.add_subplot(grid[1, k * 3 : (k + 1) * 3], sharey=shared)
        letter_of(ax, "DEFGHI"[k])
        draw_boundary(ax, data, k)
        ax.set_title(rf"$\sigma_w = {w:g}$", fontsize="small")
        shared = shared or ax
    figure.suptitle(setting(data))
    return figure


def _layers(layers: Sequence[int]) -> list[int]:
    shown = [integer("layers", layer, minimum=2) for layer in layers]
    if not shown or len(shown) > len(COLORS) or sorted(set(shown)) != shown:
        raise InputError(
            f"layers must be 1 to {len(COLORS)} increasing integers >= 2, got {list(layers)}"
        )
    return shown
