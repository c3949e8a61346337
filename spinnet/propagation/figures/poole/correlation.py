"""Figure 2 of Poole et al.: the correlation map, its fixed point, and the order-chaos line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.plotting import BLACK, GREY
from spinnet.propagation.activations import Activation
from spinnet.propagation.critical import critical_line
from spinnet.propagation.diagram import phase_diagram
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.poole.length import MARKED
from spinnet.propagation.figures.sweep import (
    COLORS,
    DASHES,
    common,
    image,
    make,
    panels,
    row_of,
    setting,
    theories,
    theory_and_simulation,
    weights_of,
)
from spinnet.propagation.simulate import Ensemble
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import finite_array, integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fig2(
    *,
    activation: str | Activation = "tanh",
    sigma_w: ArrayLike = MARKED,
    sigma_b: float = 0.3,
    width: int = 1000,
    n_networks: int = 20,
    depth: int = 30,
    c0: ArrayLike = (0.2, 0.5, 0.8),
    grid: int = 41,
    rng: RandomState = None,
) -> FigureData:
    """Compute the correlation map at q*, its trajectories, its fixed point, and chi_1.

    Parameters
    ----------
    activation : str or Activation
    sigma_w : array_like
        Up to six values, each a curve.
    sigma_b : float
    width, n_networks : int
        Of the simulated networks; the paper has N = 1000.
    depth : int
        Layers of the trajectories.
    c0 : array_like
        Correlations in [-1, 1] that the trajectories start from, at least one.
    grid : int
        Points of sigma_w in [1, 5] and of sigma_b in [0, 4].
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        A: ``c_in`` (51,), ``C`` (n, 51), ``sim_c_in`` (11,), ``sim_mean``, ``sim_sd``,
        ``sim_sem`` (n, 11).  B: ``c0`` (m,), ``traj_theory``, ``traj_sim_mean``, ``_sd``,
        ``_sem`` (n, depth + 1, m).  C and D: ``sigma_w``, ``sigma_b`` (grid,), ``c_star``,
        ``chi_1`` (grid, grid), rows sigma_b; ``critical_sigma_w``, ``critical_sigma_b``, the line
        chi_1 = 1.  ``weights`` (n,) holds the curves' sigma_w.

    Raises
    ------
    InputError
        For bad sizes or parameters, or a sigma_w at which lengths have no fixed point.
    """
    phi, bias = common(activation, sigma_b)
    weights = weights_of(sigma_w)
    starts = row_of("c0", finite_array("c0", c0))
    if np.abs(starts).max() > 1:
        raise InputError(f"c0 must be in [-1, 1], got {starts[np.argmax(np.abs(starts))]}")
    width = integer("width", width, minimum=2)
    n_networks = integer("n_networks", n_networks, minimum=1)
    depth = integer("depth", depth, minimum=1)
    grid = integer("grid", grid, minimum=2)
    seed = seed_sequence(rng)
    c_in, sim_c_in = np.linspace(0, 1, 51), np.linspace(0, 1, 11)
    curves, sims, paths, sim_paths = [], [], [], []
    nets = theories(phi, weights, bias)
    for net, child in zip(nets, seed.spawn(len(nets)), strict=True):
        first, second = child.spawn(2)
        curves.append(net.correlation_map(c_in))
        ensemble = Ensemble(phi, net.sigma_w, bias, width=width, n_networks=n_networks, rng=first)
        one = ensemble.propagate_correlation(sim_c_in, 1)
        sims.append([one.mean[1], one.sd[1], one.sem[1]])
        paths.append(net.propagate_correlation(starts, depth))
        ensemble = Ensemble(phi, net.sigma_w, bias, width=width, n_networks=n_networks, rng=second)
        many = ensemble.propagate_correlation(starts, depth)
        sim_paths.append([many.mean, many.sd, many.sem])
    plane_w, plane_b = np.linspace(1, 5, grid), np.linspace(0, 4, grid)
    plane = phase_diagram(phi, plane_w, plane_b)
    line = critical_line(phi, sigma_b=np.linspace(0, 4, 161))
    sim, sim_path = np.array(sims), np.array(sim_paths)
    return make(
        "poole.fig2",
        {
            "weights": weights,
            "c_in": c_in,
            "C": curves,
            "sim_c_in": sim_c_in,
            "sim_mean": sim[:, 0],
            "sim_sd": sim[:, 1],
            "sim_sem": sim[:, 2],
            "c0": starts,
            "traj_theory": paths,
            "traj_sim_mean": sim_path[:, 0],
            "traj_sim_sd": sim_path[:, 1],
            "traj_sim_sem": sim_path[:, 2],
            "sigma_w": plane_w,
            "sigma_b": plane_b,
            "c_star": plane.c_star,
            "chi_1": plane.chi_1,
            "critical_sigma_w": line.sigma_w,
            "critical_sigma_b": line.sigma_b,
        },
        {
            "activation": phi.name,
            "sigma_b": bias,
            "width": width,
            "n_networks": n_networks,
            "depth": depth,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _draw(data: FigureData) -> Figure:
    figure, axes = panels(2, 2)
    a, b, c, d = axes.ravel()
    layers = np.arange(data["traj_theory"].shape[1])
    for k, w in enumerate(data["weights"]):
        color, dashes = COLORS[k], DASHES[k]
        label = rf"$\sigma_w = {w:g}$"
        plotting.line(a, data["c_in"], data["C"][k], color=color, dashes=dashes, label=label)
        plotting.points(
            a, data["sim_c_in"], data["sim_mean"][k], data["sim_sd"][k], color=color, size=2.5
        )
        for j in range(len(data["c0"])):
            theory_and_simulation(
                b,
                layers,
                data["traj_theory"][k, :, j],
                data["traj_sim_mean"][k, :, j],
                data["traj_sim_sd"][k, :, j],
                color=color,
                dashes=dashes,
                every=max(1, len(layers) // 15),
            )
    plotting.line(a, [0, 1], [0, 1], color=GREY, dashes=":", label="$C(c) = c$")
    plotting.points(a, [], [], color=BLACK, size=2.5, label="networks, mean and s.d.")
    a.set_xlabel("correlation $c^{l-1}$")
    a.set_ylabel("correlation $c^l$")
    figure.legend(loc="outside upper center", ncols=len(data["weights"]) + 2, title=setting(data))
    b.set_xlabel("layer $l$")
    b.set_ylabel("correlation $c^l$")
    image(figure, c, data["sigma_w"], data["sigma_b"], data["c_star"], "fixed point $c^*$")
    image(figure, d, data["sigma_w"], data["sigma_b"], data["chi_1"], r"slope $\chi_1$ at $c = 1$")
    for ax in (c, d):
        for color, thickness in ((BLACK, 2.4), ("white", 1.2)):  # seen on every colour
            ax.plot(data["critical_sigma_w"], data["critical_sigma_b"], color=color, lw=thickness)
        ax.set_title(r"line: $\chi_1 = 1$", fontsize="small")
        for k, w in enumerate(data["weights"]):
            ax.plot(w, data.parameters["sigma_b"], "o", color=COLORS[k], mec="white", ms=5)
        ax.set_xlim(data["sigma_w"][0], data["sigma_w"][-1])
        ax.set_ylim(data["sigma_b"][0], data["sigma_b"][-1])
    return figure
