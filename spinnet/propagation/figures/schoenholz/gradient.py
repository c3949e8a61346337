"""Figure 4 of Schoenholz et al.: gradients vanish in the ordered phase and explode in chaos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.plotting import BLACK, GREY
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.schoenholz.decay import plane, theory_of, variances
from spinnet.propagation.figures.sweep import COLORS, DASHES, make, panels
from spinnet.propagation.finite_width import finite_width_gradient
from spinnet.propagation.gradients import gradient_profile
from spinnet.propagation.simulate import Ensemble
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = (1.0, 1.4, 1.76, 2.2, 3.0)


def fig4(
    *,
    activation: str | Activation = "tanh",
    sigma_w2: ArrayLike = SHOWN,
    sigma_b2: float = 0.05,
    largest: float = 4.0,
    width: int = 500,
    n_networks: int = 20,
    depth: int = 100,
    progress: bool = False,
    rng: RandomState = None,
) -> FigureData:
    """Compute the squared norm of the gradient by each layer's weights.

    Parameters
    ----------
    activation : str or Activation
    sigma_w2 : array_like
        Up to six values, each a curve of panel A and a point of panel B.
    sigma_b2 : float
    largest : float
        End of the sigma_w2 axis of panel B.
    width, n_networks, depth : int
        Of the simulated networks.
    progress : bool
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``weights`` (n,) holds the values of `sigma_w2`, ``xi_grad`` (n,) their depth scales.
        A: ``layers`` (depth,), ``theory`` = exp(-(depth - l)/xi_grad) (n, depth), and of the
        gradients of networks over the theory's in the last layer ``mean``, ``sem``,
        ``log_mean``, ``log_sd``, ``log_sem``, ``low``, ``high`` (n, depth), with 16 and 84 per
        cent of networks below the last two; ``relative_variance`` (n, depth), what theory
        expects at this width to leading order in depth/width.  B: ``sigma_w2``, ``rate`` (201,),
        ln(chi_1) = -1/xi_grad; ``sim_rate``, ``sim_rate_sem`` (n,), the mean slope of
        ln |dE/dW^l|^2 down the networks, and ``sim_rate_shift`` (n,), what finite width adds.

    Raises
    ------
    InputError
        For bad sizes or parameters.

    Notes
    -----
    The error is E = v . h^depth with a random v.  Any other, as the cross-entropy of the paper,
    changes the profile by a common factor.  The paper's networks are of depth 240 and above:
    where depth is comparable to width, ln |dE/dW^l|^2 scatters by more than 1 between networks,
    and its mean lies by half its variance below the logarithm of the mean that theory is for.
    """
    phi = get_activation(activation)
    weights = variances("sigma_w2", sigma_w2)
    bias = positive_float("sigma_b2", sigma_b2, zero=True)
    largest, depth = positive_float("largest", largest), integer("depth", depth, minimum=2)
    seed = seed_sequence(rng)
    layers = np.arange(1, depth + 1)
    columns: dict[str, list[Any]] = {}
    for w2, child in zip(weights, seed.spawn(len(weights)), strict=True):
        net = theory_of(phi, w2, bias)
        ensemble = Ensemble(
            phi,
            net.sigma_w,
            net.sigma_b,
            width=width,
            n_networks=n_networks,
            progress=progress,
            rng=child,
        )
        norms = gradient_profile(net, depth, width).weight_norm_squared
        found = ensemble.gradient_profile(depth).weight_norm_squared.samples / norms[-1]
        several = len(found) > 1
        logs = np.log(found)
        slopes = -_slope(layers, logs)
        log_sd = logs.std(axis=0, ddof=1) if several else np.full(depth, np.nan)
        spread = finite_width_gradient(net, width, depth).relative_variance[1:]
        low, high = np.quantile(found, [0.16, 0.84], axis=0)
        sd = found.std(axis=0, ddof=1) if several else np.full(depth, np.nan)
        row = {
            "xi_grad": net.xi_grad,
            "theory": norms / norms[-1],
            "mean": found.mean(axis=0),
            "sem": sd / np.sqrt(len(found)),
            "log_mean": logs.mean(axis=0),
            "log_sd": log_sd,
            "log_sem": log_sd / np.sqrt(len(found)),
            "low": low,
            "high": high,
            "relative_variance": spread,
            "sim_rate": slopes.mean(),
            "sim_rate_sem": slopes.std(ddof=1) / np.sqrt(len(found)) if several else np.nan,
            "sim_rate_shift": -_slope(layers, -np.log1p(spread) / 2),
        }
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    along = np.linspace(0.3, largest, 201)
    return make(
        "schoenholz.fig4",
        {
            "weights": weights,
            "layers": layers,
            **columns,
            "sigma_w2": along,
            "rate": np.log(plane(phi, along, bias).chi_1[0]),
        },
        {
            "activation": phi.name,
            "sigma_b2": bias,
            "width": width,
            "n_networks": n_networks,
            "depth": depth,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _slope(x: NDArray[np.int64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slope of the line through y against x, along the last axis."""
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))


def _draw(data: FigureData) -> Figure:
    figure: Figure
    figure, axes = panels(1, 2, height=3.2)
    a, b = axes.ravel()
    layers = data["layers"]
    every = slice(None, None, max(1, len(layers) // 12))
    for k, w2 in enumerate(data["weights"]):
        dashes: Any = DASHES[k]
        plotting.band(a, layers, data["low"][k], data["high"][k], color=COLORS[k])
        plotting.line(
            a,
            layers,
            data["theory"][k],
            color=COLORS[k],
            dashes=dashes,
            label=rf"$\sigma_w^2 = {w2:g}$",
        )
        middle, error = data["log_mean"][k, every], data["log_sem"][k, every]
        centre = np.exp(middle)
        bars = np.stack([centre - np.exp(middle - error), np.exp(middle + error) - centre])
        plotting.points(a, layers[every], centre, bars, color=COLORS[k], size=2.5)
    a.set_yscale("log")
    a.set_xlabel("layer $l$")
    a.set_ylabel(r"$|\partial E/\partial W^l|^2$ over the last layer's")
    plotting.line(b, data["sigma_w2"], data["rate"], color=COLORS[0])
    plotting.level(b, 0.0)
    for k, w2 in enumerate(data["weights"]):
        plotting.points(b, [w2], data["sim_rate"][[k]], data["sim_rate_sem"][[k]], color=COLORS[k])
    b.set_xlabel(r"$\sigma_w^2$")
    b.set_ylabel(r"growth per layer, $-1/\xi_\nabla = \ln\chi_1$")
    line = plotting.line(
        a, [], [], color=BLACK, label=r"theory of the mean, $e^{-(L - l)/\xi_\nabla}$"
    )
    assert line is not None
    plotting.points(a, [], [], color=BLACK, size=2.5, label="networks, geometric mean")
    a.fill_between([], [], [], facecolor=(GREY, 0.3), edgecolor=GREY, label="68 % of networks")
    figure.legend(loc="outside upper center", ncols=4)
    return figure
