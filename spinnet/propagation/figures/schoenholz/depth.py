"""Figure 2 of Schoenholz et al. with the decays behind it: depth scales xi_q and xi_c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from spinnet import plotting
from spinnet.plotting import BLACK, GREY
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.schoenholz.decay import (
    correlation,
    fit_decay,
    plane,
    theory_of,
    variances,
)
from spinnet.propagation.figures.sweep import COLORS, DASHES, make, panels
from spinnet.propagation.simulate import Ensemble
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = (0.5, 1.0, 1.4, 2.0, 2.5, 4.0)
_ROUNDING = 1e-13  # 1 - c below this is not known


def fig2(
    *,
    activation: str | Activation = "tanh",
    sigma_w2: ArrayLike = SHOWN,
    sigma_b2: float = 0.05,
    biases: ArrayLike = (0.01, 0.05, 0.1, 0.3),
    largest: float = 4.0,
    width: int = 1000,
    n_networks: int = 20,
    n_inputs: int = 20,
    depth_q: int = 12,
    depth_c: int = 50,
    start: float = 2.0,
    c0: float = 0.0,
    rng: RandomState = None,
) -> FigureData:
    """Compute how lengths and correlations settle, with exponential fits, and the depth scales.

    Parameters
    ----------
    activation : str or Activation
    sigma_w2 : array_like
        Up to six values, each a decay in panels A and B.
    sigma_b2 : float
        Of panels A and B.
    biases : array_like
        Up to six values of sigma_b2, each a curve in panels C and D.
    largest : float
        End of the sigma_w2 axis of C and D.
    width, n_networks : int
        Of the simulated networks; the paper has N = 1000.
    n_inputs : int
        Inputs, or pairs of them, that each network is averaged over.
    depth_q, depth_c : int
        Layers of the decays.
    start : float
        The first length, in units of q*.
    c0 : float
        The first correlation.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``weights`` (n,) holds the values of `sigma_w2`.  A: ``q_star`` (n,), ``q_theory``,
        ``q_mean``, ``q_sd``, ``q_sem`` (n, depth_q + 1), of q^l - q*.  B: ``c_star`` (n,),
        ``c_theory``, ``c_mean``, ``c_sd``, ``c_sem`` (n, depth_c + 1), of c^l - c*.  C and D:
        ``sigma_w2`` (201,), ``biases`` (m,), ``xi_q``, ``xi_c`` (m, 201); ``xi_q_fit``,
        ``xi_c_fit``, their errors ``_error``, and the fits of theory over the same layers
        ``_fit_theory`` (n,), NaN where noise hides the exponential.

    Raises
    ------
    InputError
        For bad sizes or parameters.

    Notes
    -----
    Points are drawn as far as the theory is two standard errors above zero.  A decay is not yet a
    pure exponential where it rises above the noise of finite networks; so fits of the theory over
    the same layers, drawn as crosses, miss the depth scales a little.
    """
    phi = get_activation(activation)
    weights = variances("sigma_w2", sigma_w2)
    bias = positive_float("sigma_b2", sigma_b2, zero=True)
    curves = variances("sigma_b2", biases)
    largest = positive_float("largest", largest)
    depth_q = integer("depth_q", depth_q, minimum=1)
    depth_c = integer("depth_c", depth_c, minimum=1)
    n_inputs = integer("n_inputs", n_inputs, minimum=1)
    start, c0 = positive_float("start", start), correlation("c0", c0)
    seed = seed_sequence(rng)
    columns: dict[str, list[Any]] = {}
    for w2, child in zip(weights, seed.spawn(len(weights)), strict=True):
        net = theory_of(phi, w2, bias)
        first, second = child.spawn(2)
        options: dict[str, Any] = {"width": width, "n_networks": n_networks}
        lengths = Ensemble(phi, net.sigma_w, net.sigma_b, rng=first, **options)
        first_q = np.full(n_inputs, start * net.q_star)
        q = lengths.propagate_length(first_q, depth_q).samples.mean(axis=2) - net.q_star
        q_theory = net.propagate_length(start * net.q_star, depth_q) - net.q_star
        pairs = Ensemble(phi, net.sigma_w, net.sigma_b, rng=second, **options)
        first_c = np.full(n_inputs, c0)
        apart = pairs.propagate_correlation(first_c, depth_c, distance=True).samples.mean(axis=2)
        c = net.one_minus_c_star - apart
        c_theory = net.one_minus_c_star - (1 - net.propagate_correlation(c0, depth_c))
        row: dict[str, Any] = {"q_star": net.q_star, "c_star": net.c_star}
        for name, samples, theory, xi in (
            ("q", q, q_theory, net.xi_q),
            ("c", c, c_theory, net.xi_c),
        ):
            sd = samples.std(axis=0, ddof=1) if len(samples) > 1 else np.full(len(theory), np.nan)
            fit = fit_decay(samples, np.where(np.abs(theory) > _ROUNDING, theory, 0.0), xi)
            row |= {
                f"{name}_theory": theory,
                f"{name}_mean": samples.mean(axis=0),
                f"{name}_sd": sd,
                f"{name}_sem": sd / np.sqrt(len(samples)),
                f"xi_{name}_fit": fit.xi,
                f"xi_{name}_error": fit.error,
                f"xi_{name}_fit_theory": fit.theory,
            }
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    along = np.linspace(0.02, largest, 201)
    whole = plane(phi, along, curves)
    return make(
        "schoenholz.fig2",
        {
            "weights": weights,
            **columns,
            "sigma_w2": along,
            "biases": curves,
            "xi_q": whole.xi_q,
            "xi_c": whole.xi_c,
        },
        {
            "activation": phi.name,
            "sigma_b2": bias,
            "width": width,
            "n_networks": n_networks,
            "n_inputs": n_inputs,
            "start": start,
            "c0": c0,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _draw(data: FigureData) -> Figure:
    figure: Figure
    figure, axes = panels(2, 2, height=5.6)
    a, b, c, d = axes.ravel()
    dashes: Any
    for k, w2 in enumerate(data["weights"]):
        label = rf"$\sigma_w^2 = {w2:g}$"
        _decay(a, data, "q", k, label)
        _decay(b, data, "c", k, None)
    a.set_ylabel("length $|q^l - q^*|$")
    b.set_ylabel("correlation $|c^l - c^*|$")
    plotting.points(a, [], [], color=BLACK, size=2.5, label="networks, mean and its error")
    figure.legend(loc="outside upper center", ncols=4)
    for ax, name in ((c, "q"), (d, "c")):
        for k, (b2, dashes) in enumerate(zip(data["biases"], DASHES, strict=False)):
            label = rf"$\sigma_b^2 = {b2:g}$"
            plotting.line(
                ax,
                data["sigma_w2"],
                data[f"xi_{name}"][k],
                color=COLORS[k],
                dashes=dashes,
                label=label if name == "q" else None,
            )
        fitted, error = data[f"xi_{name}_fit"], data[f"xi_{name}_error"]
        plotting.points(ax, data["weights"], fitted, error, color=BLACK)
        ax.plot(data["weights"], data[f"xi_{name}_fit_theory"], "x", color=GREY, ms=4, mew=1)
        ax.set_xlabel(r"$\sigma_w^2$")
        ax.set_ylabel(rf"depth scale $\xi_{name}$ (layers)")
    top = 1.3 * float(np.nanmax([*data["xi_c_fit"], *data["xi_c_fit_theory"], 20.0]))
    c.set_ylim(0, 1.15 * float(min(np.nanmax(data["xi_q"]), 20.0)))
    d.set_ylim(0, top)
    bias = data.parameters["sigma_b2"]
    plotting.points(c, [], [], color=BLACK, label=rf"fit, networks, $\sigma_b^2 = {bias:g}$")
    c.plot([], [], "x", color=GREY, ms=4, mew=1, label="fit, theory")
    handles, labels = c.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _decay(ax: Axes, data: FigureData, name: str, k: int, label: str | None) -> None:
    """Draw the distance from the fixed point, theory and networks, on a logarithmic axis."""
    theory, mean, sem = (np.abs(data[f"{name}_{part}"][k]) for part in ("theory", "mean", "sem"))
    layers = np.arange(len(theory))
    known = theory > _ROUNDING
    dashes: Any = DASHES[k]
    plotting.line(ax, layers[known], theory[known], color=COLORS[k], dashes=dashes, label=label)
    clear = np.flatnonzero(~(theory < 2 * sem))[:: max(1, len(layers) // 16)]
    bars = np.stack([np.minimum(sem[clear], 0.9 * mean[clear]), sem[clear]])
    plotting.points(ax, layers[clear], mean[clear], bars, color=COLORS[k], size=2.5)
    ax.set_yscale("log")
    ax.set_ylim({"q": 1e-3, "c": 1e-4}[name], 3)
    ax.set_xlabel("layer $l$")
