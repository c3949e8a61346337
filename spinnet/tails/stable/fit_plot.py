"""Pictures of data and a fitted stable law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.stable.fitting import StableFit

Floats = NDArray[np.float64]

_BINS = 80
_DRAWN_POINTS = 400


def density_points(values: Floats, share: float = 1.0) -> tuple[Floats, Floats, Floats]:
    """Return centres, density and its standard error of bins; narrow in the bulk, wide outside.

    The bins are even in asinh(x / IQR) around the median and cover the central `share`.
    """
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    unit = (high - low) if high > low else float(values[-1] - values[0])
    ends = np.quantile(values, [0.5 * (1.0 - share), 0.5 * (1.0 + share)])
    first, last = np.arcsinh((ends - middle) / unit)
    edges = middle + unit * np.sinh(np.linspace(first, last, _BINS + 1))
    edges[0], edges[-1] = ends
    counts, _ = np.histogram(values, edges)
    width = np.diff(edges)
    kept = (counts > 0) & (width > 0)
    norm = values.size * width[kept]
    centres = 0.5 * (edges[1:] + edges[:-1])[kept]
    return centres, counts[kept] / norm, np.sqrt(counts[kept]) / norm


def ccdf_points(sizes: Floats) -> tuple[Floats, Floats]:
    """Return at most some hundred points of P(X >= x) of sorted positive data, thinned evenly."""
    n = sizes.size
    from_top = np.unique(np.geomspace(1, n, _DRAWN_POINTS).astype(np.int64))
    x = sizes[n - from_top]
    return x[x > 0], (from_top / n)[x > 0]


def draw(fit: StableFit, values: Floats, kind: str, ax: Axes | None) -> Axes:
    """Draw data and fit; return the axes."""
    ax = plotting.axes(ax)
    error = fit.errors["stable_alpha"]
    label = rf"stable, $\alpha = {fit.stable_alpha:.3f}$"
    label += rf"$\pm {error:.3f}$" if np.isfinite(error) else ""
    if kind == "tails":
        _tails(fit, values, ax, label)
    else:
        _density(fit, values, ax, label, kind == "log-density")
    plotting.legend_below(ax)
    return ax


def _density(fit: StableFit, values: Floats, ax: Axes, label: str, logarithmic: bool) -> None:
    x, density, error = density_points(values, 1.0 if logarithmic else 0.95)
    plotting.points(ax, x, density, error, label="data", size=2.2)
    grid = np.union1d(
        np.linspace(x[0], x[-1], 401), np.quantile(values, np.linspace(0.01, 0.99, 99))
    )
    grid = grid[(grid >= x[0]) & (grid <= x[-1])]
    plotting.line(ax, grid, fit.pdf(grid), label=label)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlabel("$x$")
    ax.set_ylabel("density")


def _tails(fit: StableFit, values: Floats, ax: Axes, label: str) -> None:
    middle = float(np.median(values))
    sides = (
        (np.sort(values[values > middle] - middle), fit.sf, 1.0, "right", plotting.BLACK, "o"),
        (np.sort(middle - values[values < middle]), fit.cdf, -1.0, "left", plotting.BLUE, "s"),
    )
    for sizes, function, sign, name, color, marker in sides:
        if sizes.size == 0:
            continue
        x, ccdf = ccdf_points(sizes)
        ccdf = ccdf * sizes.size / values.size
        plotting.points(ax, x, ccdf, label=f"data, {name}", color=color, marker=marker, size=2.2)
        grid = np.geomspace(x.min(), x.max(), 200)
        dashes = "-" if sign > 0 else "--"
        tail = function(middle + sign * grid)
        plotting.line(ax, grid, tail, label=f"{label}, {name}", dashes=dashes)
    ax.set_xscale("log")
    ax.set_yscale("log")
    plotting.start_at_share(ax, np.sort(np.abs(values - middle)))
    ax.set_xlabel(r"$|x - \mathrm{median}|$")
    ax.set_ylabel("probability beyond")
