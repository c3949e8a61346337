"""Figure 5 of Poole et al.: what can be read out of deep and of wide networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.plotting import BLACK, GREY
from spinnet.propagation.activations import Activation
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.sweep import COLORS, DASHES, common, make, panels
from spinnet.propagation.geometry.expressivity import (
    SINGLE_PRECISION,
    fourier_errors,
    half_great_circle,
    outputs,
    random_function,
    regress,
)
from spinnet.propagation.simulate import network
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def fig5(
    *,
    activation: str | Activation = "tanh",
    sigma_w: float = 4.0,
    sigma_b: float = 0.3,
    depths: Sequence[int] = (1, 3, 5, 7, 9, 11, 13),
    width: int = 1000,
    widths: Sequence[int] = (100, 193, 373, 720, 1389, 2683, 5179, 10_000),
    n_in: int = 500,
    n_out: int = 500,
    n_points: int = 10_000,
    frequencies: ArrayLike | None = None,
    bandwidth: float = 60.0,
    n_networks: int = 5,
    progress: bool = False,
    rng: RandomState = None,
) -> FigureData:
    """Compute how well Fourier modes along a half great circle are read out linearly.

    Outputs are resolved to single precision, as in the code behind the paper.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
    depths : sequence of int
        Numbers of hidden layers of `width` neurons.
    width : int
    widths : sequence of int
        Widths of networks of one hidden layer.
    n_in, n_out : int
        Inputs, and linear outputs that are regressed on.
    n_points : int
        Points on the half circle.
    frequencies : array_like of int, optional
        Periods along the half circle; by default 1, ..., 199.
    bandwidth : float
        Of the random function that the second row is about.
    n_networks : int
    progress : bool
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``omega`` (k,), ``depths``, ``err_deep``, ``err_deep_sem`` (n_depths, k), ``widths``,
        ``err_wide``, ``err_wide_sem`` (n_widths, k), ``neurons_deep``, ``neurons_wide``,
        ``theta`` (n_points,), ``regression_target`` (n_points,), ``regression_fit``
        (2, n_points): the widest network's and that of the deepest one with no more neurons,
        which has ``regression_depth`` () layers.

    Raises
    ------
    InputError
        For bad sizes or parameters.
    """
    phi, bias = common(activation, sigma_b)
    deep = [integer("depths", d, minimum=1) for d in depths]
    wide = [integer("widths", w, minimum=1) for w in widths]
    if not deep or not wide:
        raise InputError("depths and widths must not be empty")
    w, band = positive_float("sigma_w", sigma_w), positive_float("bandwidth", bandwidth)
    width = integer("width", width, minimum=1)
    n_in, n_out = integer("n_in", n_in, minimum=2), integer("n_out", n_out, minimum=1)
    n_points = integer("n_points", n_points, minimum=4)
    n_networks = integer("n_networks", n_networks, minimum=1)
    seed = seed_sequence(rng)
    children = seed.spawn(3)
    found = {}
    for name, shapes, root in (
        ("deep", [[width] * d for d in deep], children[0]),
        ("wide", [[n] for n in wide], children[1]),
    ):
        found[name] = [
            fourier_errors(
                phi,
                shape,
                w,
                bias,
                n_in=n_in,
                n_out=n_out,
                n_points=n_points,
                frequencies=frequencies,
                n_networks=n_networks,
                progress=progress,
                rng=child,
            )
            for shape, child in zip(shapes, root.spawn(len(shapes)), strict=True)
        ]
    streams = children[2].spawn(4)
    target = random_function(n_points, band, rng=streams[0])
    theta, x = half_great_circle(n_in, n_points, rng=streams[1])
    fits = []
    widest = max(wide)
    fair = max([d for d in deep if d * width <= widest], default=min(deep))
    for shape, child in (([widest], streams[2]), ([width] * fair, streams[3])):
        net = network(phi, [n_in, *shape, n_out], w, bias, keep_weights=False, rng=child)
        fits.append(regress(outputs(net, x), target, resolution=SINGLE_PRECISION).fit[:, 0])
    return make(
        "poole.fig5",
        {
            "omega": found["deep"][0].frequencies,
            "depths": deep,
            "err_deep": [f.error.mean for f in found["deep"]],
            "err_deep_sem": [f.error.sem for f in found["deep"]],
            "widths": wide,
            "err_wide": [f.error.mean for f in found["wide"]],
            "err_wide_sem": [f.error.sem for f in found["wide"]],
            "neurons_deep": [d * width for d in deep],
            "neurons_wide": wide,
            "theta": theta,
            "regression_target": target,
            "regression_fit": fits,
            "regression_depth": fair,
        },
        {
            "activation": phi.name,
            "sigma_w": w,
            "sigma_b": bias,
            "width": width,
            "n_in": n_in,
            "n_out": n_out,
            "n_points": n_points,
            "bandwidth": band,
            "n_networks": n_networks,
            "resolution": SINGLE_PRECISION,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _draw(data: FigureData) -> Figure:
    figure, axes = panels(2, 2, height=5.8)
    a, b, c, d = axes.ravel()
    floor = 1 - np.sqrt(data.parameters["n_out"] / data.parameters["n_points"])
    for ax, sizes, errors, unit in (
        (a, data["depths"], data["err_deep"], "layer"),
        (b, data["widths"], data["err_wide"], "neuron"),
    ):
        drawn = np.unique(np.linspace(0, len(sizes) - 1, 6).round().astype(int))
        for k, i in enumerate(drawn):
            plotting.line(
                ax,
                data["omega"],
                errors[i],
                color=COLORS[k],
                dashes=DASHES[k],
                label=_counted(int(sizes[i]), unit),
            )
        plotting.level(ax, float(floor), label="random subspace")
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlabel(r"frequency $\omega$ (periods on the half circle)")
        ax.set_ylabel("angular error")
        plotting.legend_below(ax, columns=3)
    _draw_neurons(c, data)
    part = slice(0, max(2, len(data["theta"]) // 12))
    theta = data["theta"][part]
    plotting.line(d, theta, data["regression_target"][part], color=BLACK, label="target")
    depth, width = int(data["regression_depth"]), data.parameters["width"]
    names = (f"1 layer of {max(data['widths'])}", f"{_counted(depth, 'layer')} of {width}")
    for k, name in enumerate(names):
        plotting.line(
            d,
            theta,
            data["regression_fit"][k, part],
            color=COLORS[k],
            dashes=DASHES[k + 1],
            label=name,
        )
    d.set_xlabel(r"angle $\theta$ (rad)")
    d.set_ylabel("function and its fits")
    d.legend()
    return figure


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")


def _draw_neurons(ax: Axes, data: FigureData) -> None:
    """Draw the error averaged over all frequencies against the number of neurons."""
    for k, (kind, name) in enumerate((("deep", "deeper"), ("wide", "wider"))):
        error, sem = data[f"err_{kind}"].mean(axis=1), data[f"err_{kind}_sem"].mean(axis=1)
        neurons = data[f"neurons_{kind}"]
        plotting.line(ax, neurons, error, color=COLORS[k], dashes=DASHES[k], label=name)
        plotting.points(ax, neurons, error, sem, color=COLORS[k])
    ax.set_xscale("log")
    plotting.plain_log_ticks(ax)
    ax.set_ylim(-0.03, 1.03)
    ax.axhline(0, color=GREY, lw=0.5)
    ax.set_xlabel("hidden neurons")
    ax.set_ylabel("angular error, mean over $\\omega$")
    ax.legend()
