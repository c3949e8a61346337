"""Pictures of a comparison of families."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.tails.stable.fit_plot import ccdf_points, density_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.families.comparison import FamilyComparison

Floats = NDArray[np.float64]

_STYLES = (
    (plotting.VERMILLION, "-"),
    (plotting.BLUE, "--"),
    (plotting.GREEN, "-."),
    (plotting.ORANGE, ":"),
    (plotting.PURPLE, "--"),
)
_QUANTILES = 400


def draw(comparison: FamilyComparison, values: Floats, kind: str, ax: Axes | None) -> Axes:
    """Draw the data and the first five families; return the axes."""
    ax = plotting.axes(ax)
    {"density": _density, "tails": _tails, "qq": _qq}[kind](comparison, values, ax)
    plotting.legend_below(ax)
    return ax


def _density(comparison: FamilyComparison, values: Floats, ax: Axes) -> None:
    x, density, error = density_points(values)
    plotting.points(ax, x, density, error, label="data", size=2.2)
    grid = np.linspace(values[0], values[-1], 501)
    centre = np.quantile(values, np.linspace(0.001, 0.999, 401))
    grid = np.union1d(grid, centre)
    for fit, (color, dashes) in zip(comparison.fits, _STYLES, strict=False):
        plotting.line(ax, grid, fit.pdf(grid), label=fit.name, color=color, dashes=dashes)
    positive = density[density > 0]
    ax.set_yscale("log")
    ax.set_ylim(0.2 * positive.min(), 3.0 * positive.max())
    ax.set_xlabel("$x$")
    ax.set_ylabel("density")


def _tails(comparison: FamilyComparison, values: Floats, ax: Axes) -> None:
    median = float(np.median(values))
    x, ccdf = ccdf_points(np.sort(np.abs(values - median)))
    plotting.points(ax, x, ccdf, label="data", size=2.2)
    grid = np.geomspace(x[x > 0].min(), x.max(), 300)
    for fit, (color, dashes) in zip(comparison.fits, _STYLES, strict=False):
        tail = fit.cdf(median - grid) + fit.sf(median + grid)
        plotting.line(ax, grid, tail, label=fit.name, color=color, dashes=dashes)
    ax.set_xscale("log")
    ax.set_yscale("log")
    plotting.start_at_share(ax, np.sort(np.abs(values - median)))
    ax.set_ylim(0.3 * ccdf.min(), 1.5)
    ax.set_xlabel(r"$|x - \mathrm{median}|$")
    ax.set_ylabel(r"$P(|X - \mathrm{median}| \geq \cdot)$")


def _qq(comparison: FamilyComparison, values: Floats, ax: Axes) -> None:
    n = values.size
    share = np.unique(np.r_[np.arange(1, 51), np.linspace(1, n, _QUANTILES), n - np.arange(50)])
    share = share[(share >= 1) & (share <= n)]
    at = values[share.astype(np.int64) - 1]
    p = (np.floor(share) - 0.5) / n
    odds = np.log(p) - np.log1p(-p)
    for fit, (color, _) in zip(comparison.fits[:3], _STYLES, strict=False):
        below, above = fit._tails(at)
        plotting.points(ax, odds, below - above, label=fit.name, color=color, size=2.2)
    plotting.line(ax, odds[[0, -1]], odds[[0, -1]], color=plotting.GREY, width=0.9)
    ax.set_xlabel("log-odds of the rank in the data")
    ax.set_ylabel("log-odds of the fitted cdf")
