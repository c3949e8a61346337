"""Figure 1 of Schoenholz et al.: the phase diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.plotting import BLACK, GREY
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.critical import critical_line
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.schoenholz.decay import correlation, plane, theory_of, variances
from spinnet.propagation.figures.sweep import (
    COLORS,
    DASHES,
    image,
    make,
    panels,
    theory_and_simulation,
)
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.simulate import Ensemble
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 2000


def fig1(
    *,
    activation: str | Activation = "tanh",
    sigma_w2: tuple[float, float] = (0.5, 3.0),
    sigma_b2: tuple[float, float] = (0.0, 0.25),
    grid: int = 101,
    cut: float = 0.05,
    width: int = 1000,
    n_networks: int = 10,
    depth: int = 30,
    c0: float = 0.5,
    points: int = 9,
    rng: RandomState = None,
) -> FigureData:
    """Compute c* over the plane of variances, the critical line, and a cut with simulations.

    Parameters
    ----------
    activation : str or Activation
    sigma_w2, sigma_b2 : pair of float
        Ends of the axes.
    grid : int
        Points along each axis.
    cut : float
        The sigma_b2 of panel B.
    width, n_networks, depth : int
        Of the simulated networks.  Next to criticality c^l is still far from c* after `depth`
        layers, and theory for that layer is drawn beside c*.
    c0 : float
        Correlation that the networks start from.
    points : int
        Values of sigma_w2 with simulations.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        A: ``sigma_w2``, ``sigma_b2`` (grid,), ``c_star``, ``chi_1`` (grid, grid), rows sigma_b2;
        ``critical_sigma_w2``, ``critical_sigma_b2``.  B: ``cut_c_star``, ``cut_c_depth`` (grid,),
        c* and c^depth against ``sigma_w2``; ``sim_sigma_w2``, ``sim_theory`` (c^depth),
        ``sim_mean``, ``sim_sd``, ``sim_sem`` (points,).

    Raises
    ------
    InputError
        For bad sizes or parameters.

    Notes
    -----
    The paper has tanh and, for its cuts, sigma_b^2 = 0.05.
    """
    phi = get_activation(activation)
    grid = integer("grid", grid, minimum=2, maximum=_MOST)
    points, depth = integer("points", points, minimum=1), integer("depth", depth, minimum=1)
    cut = positive_float("cut", cut, zero=True)
    c0 = correlation("c0", c0)
    along_w = _axis("sigma_w2", sigma_w2, grid)
    along_b = _axis("sigma_b2", sigma_b2, grid)
    seed = seed_sequence(rng)
    chosen = np.linspace(along_w[0], along_w[-1], points)
    for w2 in chosen:  # before any simulation
        theory_of(phi, w2, cut, names="sigma_w2 and cut")
    found = []
    for w2, child in zip(chosen, seed.spawn(points), strict=True):
        nets = Ensemble(
            phi,
            float(np.sqrt(w2)),
            float(np.sqrt(cut)),
            width=width,
            n_networks=n_networks,
            rng=child,
        )
        c = nets.propagate_correlation(c0, depth)
        found.append([_after(phi, w2, cut, c0, depth), c.mean[-1], c.sd[-1], c.sem[-1]])
    sim = np.array(found)
    whole = plane(phi, along_w, along_b)
    line = critical_line(phi, sigma_b=np.linspace(along_b[0] ** 0.5, along_b[-1] ** 0.5, 2 * grid))
    return make(
        "schoenholz.fig1",
        {
            "sigma_w2": along_w,
            "sigma_b2": along_b,
            "c_star": whole.c_star,
            "chi_1": whole.chi_1,
            "critical_sigma_w2": line.sigma_w**2,
            "critical_sigma_b2": line.sigma_b**2,
            "cut_c_star": plane(phi, along_w, cut).c_star[0],
            "cut_c_depth": [_after(phi, w2, cut, c0, depth) for w2 in along_w],
            "sim_sigma_w2": chosen,
            "sim_theory": sim[:, 0],
            "sim_mean": sim[:, 1],
            "sim_sd": sim[:, 2],
            "sim_sem": sim[:, 3],
        },
        {
            "activation": phi.name,
            "cut": cut,
            "c0": c0,
            "width": width,
            "n_networks": n_networks,
            "depth": depth,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _axis(name: str, ends: tuple[float, float], grid: int) -> NDArray[np.float64]:
    low_high = variances(name, ends, most=2)
    if low_high.size != 2 or low_high[0] >= low_high[1]:
        raise InputError(f"{name} must be two increasing numbers, got {ends!r:.80}")
    return np.linspace(low_high[0], low_high[1], grid)


def _after(phi: Activation, w2: float, b2: float, c0: float, depth: int) -> float:
    net = MeanField(phi, sigma_w2=float(w2), sigma_b2=b2)
    return float(net.propagate_correlation(c0, depth)[-1])


def _draw(data: FigureData) -> Figure:
    figure: Figure
    figure, axes = panels(1, 2)
    a, b = axes.ravel()
    image(
        figure,
        a,
        data["sigma_w2"],
        data["sigma_b2"],
        data["c_star"],
        "fixed point $c^*$",
        vmin=0.0,
        vmax=1.0,
    )
    a.set_xlabel(r"$\sigma_w^2$")
    a.set_ylabel(r"$\sigma_b^2$")
    limits = a.get_xlim(), a.get_ylim()
    a.plot(data["critical_sigma_w2"], data["critical_sigma_b2"], color=BLACK, lw=1.5)
    a.set_xlim(limits[0])
    a.set_ylim(limits[1])
    _names(a, data)
    p = data.parameters
    plotting.line(b, data["sigma_w2"], data["cut_c_star"], color=COLORS[0], label="$c^*$")
    plotting.line(
        b,
        data["sigma_w2"],
        data["cut_c_depth"],
        color=COLORS[2],
        dashes=DASHES[1],
        label=rf"$c^{{{p['depth']}}}$ from $c^0 = {p['c0']:g}$",
    )
    theory_and_simulation(
        b,
        data["sim_sigma_w2"],
        np.full(data["sim_sigma_w2"].shape, np.nan),
        data["sim_mean"],
        data["sim_sd"],
        color=BLACK,
    )
    plotting.points(b, [], [], color=BLACK, size=2.5, label="networks, mean and s.d.")
    critical = np.interp(p["cut"], data["critical_sigma_b2"], data["critical_sigma_w2"])
    if data["critical_sigma_b2"].size and limits[0][0] < critical < limits[0][1]:
        b.axvline(critical, color=GREY, ls=":", lw=0.9, zorder=1)
    b.set_xlabel(r"$\sigma_w^2$")
    b.set_ylabel(rf"correlation at $\sigma_b^2 = {p['cut']:g}$")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _names(ax: Axes, data: FigureData) -> None:
    """Write the phases into the plane, each in the middle of its region."""
    where = np.meshgrid(data["sigma_w2"], data["sigma_b2"])
    for name, inside in (("ordered", data["chi_1"] < 1), ("chaotic", data["chi_1"] > 1)):
        if inside.mean() > 0.1:
            x, y = (float(np.median(axis[inside])) for axis in where)
            ax.text(x, y, name, color=BLACK, ha="center", va="center")
