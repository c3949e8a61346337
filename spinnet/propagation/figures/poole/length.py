"""Figure 1 of Poole et al.: the length map and its fixed point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from spinnet import plotting
from spinnet.plotting import BLACK, GREY
from spinnet.propagation.activations import Activation
from spinnet.propagation.diagram import phase_diagram
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.sweep import (
    COLORS,
    DASHES,
    Array,
    common,
    image,
    make,
    panels,
    row_of,
    setting,
    theory_and_simulation,
    weights_of,
)
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.simulate import Ensemble
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer, positive_array, positive_float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKED = (1.3, 2.5, 4.0)
_LIMIT = 2000  # layers that panel D waits for
_FAR = 1e100  # a length from which nothing returns


def fig1(
    *,
    activation: str | Activation = "tanh",
    sigma_w: ArrayLike = MARKED,
    sigma_b: float = 0.3,
    width: int = 1000,
    n_networks: int = 20,
    depth: int = 7,
    q0: ArrayLike = (3.94, 8.03, 12.12),
    grid: int = 41,
    tol: float = 0.01,
    rng: RandomState = None,
) -> FigureData:
    """Compute the length map, its trajectories, its fixed point, and how fast it gets there.

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
    q0 : array_like
        Lengths that the trajectories start from, at least one.
    grid : int
        Points of sigma_w in [1, 5] and of sigma_b in [0, 4].
    tol : float
        Panel D counts layers until abs(q/q* - 1) <= tol, on average over 25 lengths in (0, 15].
        (The released code compares the squared distance with 0.01, so that its panel is the one
        for tol = 0.1.)
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        A: ``q_in`` (100,), ``V`` (n, 100), ``sim_q_in`` (20,), ``sim_mean``, ``sim_sd``,
        ``sim_sem`` (n, 20).  B: ``q0`` (m,), ``traj_theory``, ``traj_sim_mean``, ``_sd``,
        ``_sem`` (n, depth + 1, m).  C and D: ``sigma_w``, ``sigma_b`` (grid,), ``q_star``,
        ``n_iter`` (grid, grid), rows sigma_b; infinite or NaN where there is no fixed point, and
        ``n_iter`` NaN also where it is 0 or not every start flows to it.  ``weights`` (n,) has the
        curves' sigma_w.

    Raises
    ------
    InputError
        For bad sizes or parameters.
    """
    phi, bias = common(activation, sigma_b)
    weights = weights_of(sigma_w)
    starts = row_of("q0", positive_array("q0", q0))
    width = integer("width", width, minimum=2)
    n_networks = integer("n_networks", n_networks, minimum=1)
    depth = integer("depth", depth, minimum=1)
    grid = integer("grid", grid, minimum=2)
    tol = positive_float("tol", tol)
    seed = seed_sequence(rng)
    q_in, sim_q_in = np.linspace(0, 15, 100), np.linspace(0.5, 15, 20)
    curves, sims, paths, sim_paths = [], [], [], []
    for w, child in zip(weights, seed.spawn(len(weights)), strict=True):
        net = MeanField(phi, w, bias)
        first, second = child.spawn(2)
        curves.append(net.length_map(q_in))
        ensemble = Ensemble(phi, w, bias, width=width, n_networks=n_networks, rng=first)
        one = ensemble.propagate_length(sim_q_in, 1)
        sims.append([one.mean[1], one.sd[1], one.sem[1]])
        paths.append(net.propagate_length(starts, depth))
        ensemble = Ensemble(phi, w, bias, width=width, n_networks=n_networks, rng=second)
        many = ensemble.propagate_length(starts, depth)
        sim_paths.append([many.mean, many.sd, many.sem])
    plane_w, plane_b = np.linspace(1, 5, grid), np.linspace(0, 4, grid)
    plane = phase_diagram(phi, plane_w, plane_b)
    sim, sim_path = np.array(sims), np.array(sim_paths)
    return make(
        "poole.fig1",
        {
            "weights": weights,
            "q_in": q_in,
            "V": curves,
            "sim_q_in": sim_q_in,
            "sim_mean": sim[:, 0],
            "sim_sd": sim[:, 1],
            "sim_sem": sim[:, 2],
            "q0": starts,
            "traj_theory": paths,
            "traj_sim_mean": sim_path[:, 0],
            "traj_sim_sd": sim_path[:, 1],
            "traj_sim_sem": sim_path[:, 2],
            "sigma_w": plane_w,
            "sigma_b": plane_b,
            "q_star": plane.q_star,
            "n_iter": _iterations(phi, plane_w, plane_b, plane.q_star, tol),
        },
        {
            "activation": phi.name,
            "sigma_b": bias,
            "width": width,
            "n_networks": n_networks,
            "depth": depth,
            "tol": tol,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _iterations(
    phi: Activation, sigma_w: Array, sigma_b: Array, q_star: Array, tol: float
) -> Array:
    """Return the mean number of layers to q_star from 25 lengths in (0, 15].

    NaN where there is no q_star > 0, or not all of them get there.
    """
    w, b = np.meshgrid(sigma_w**2, sigma_b**2)
    goal = q_star.ravel()
    reachable = np.flatnonzero((goal > 0) & np.isfinite(goal))
    starts = np.linspace(0.6, 15, 25)
    q = np.tile(starts, reachable.size)
    point = np.repeat(reachable, starts.size)
    count = np.zeros(goal.size)
    for _ in range(_LIMIT):
        away = ~(np.abs(q / goal[point] - 1) <= tol)  # what has overflowed is not there
        q, point = q[away], point[away]
        if q.size == 0:
            break
        np.add.at(count, point, 1 / starts.size)
        q = w.ravel()[point] * phi.kernel.second_moment(np.minimum(q, _FAR)) + b.ravel()[point]
    count[np.unique(point)] = np.nan
    unreachable = np.ones(goal.size, dtype=bool)
    unreachable[reachable] = False
    count[unreachable] = np.nan
    return count.reshape(q_star.shape)


def _draw(data: FigureData) -> Figure:
    figure, axes = panels(2, 2)
    a, b, c, d = axes.ravel()
    for k, w in enumerate(data["weights"]):
        color, dashes = COLORS[k], DASHES[k]
        plotting.line(
            a, data["q_in"], data["V"][k], color=color, dashes=dashes, label=rf"$\sigma_w = {w:g}$"
        )
        plotting.points(
            a, data["sim_q_in"], data["sim_mean"][k], data["sim_sd"][k], color=color, size=2.5
        )
        layers = np.arange(data["traj_theory"].shape[1])
        for j in range(len(data["q0"])):
            theory_and_simulation(
                b,
                layers,
                data["traj_theory"][k, :, j],
                data["traj_sim_mean"][k, :, j],
                data["traj_sim_sd"][k, :, j],
                color=color,
                dashes=dashes,
            )
    top = data["q_in"][-1]
    plotting.line(a, [0, top], [0, top], color=GREY, dashes=":", label="$V(q) = q$")
    plotting.points(a, [], [], color=BLACK, size=2.5, label="networks, mean and s.d.")
    a.set_xlabel("length $q^{l-1}$")
    a.set_ylabel("length $q^l$")
    figure.legend(loc="outside upper center", ncols=len(data["weights"]) + 2, title=setting(data))
    b.set_xlabel("layer $l$")
    b.set_ylabel("length $q^l$")
    image(figure, c, data["sigma_w"], data["sigma_b"], data["q_star"], "fixed point $q^*$")
    reached = data["n_iter"][np.isfinite(data["n_iter"])]
    image(
        figure,
        d,
        data["sigma_w"],
        data["sigma_b"],
        data["n_iter"],
        f"layers to within {100 * data.parameters['tol']:g} % of $q^*$",
        extend="max",
        vmax=float(np.quantile(reached, 0.99)) if reached.size else None,
    )
    for ax in (c, d):
        for k, w in enumerate(data["weights"]):
            ax.plot(w, data.parameters["sigma_b"], "o", color=COLORS[k], mec="white", ms=5)
    return figure
