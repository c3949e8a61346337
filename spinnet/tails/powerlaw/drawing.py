"""Figures of a power-law fit: survival with the band of its bootstrap, and binned density."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.tails.observations import log_ratio
from spinnet.tails.powerlaw.p_values import p_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.powerlaw.result import PowerLawFit

Floats = NDArray[np.float64]

_DRAWN_POINTS = 200  # towards either end
_LAST_POINTS = 60  # of the far tail, all drawn
_GRID = 120
_BINS_PER_DECADE = 10
_MOST_BINS = 120


def ccdf(fit: PowerLawFit, ax: Axes | None) -> Axes:
    """Draw P(X >= x) of all data, the fit scaled by n_tail/n, its 95 % band, and xmin."""
    ax = plotting.axes(ax)
    values, counts = fit._data.values, fit._data.counts
    share = np.cumsum(counts[::-1])[::-1] / counts.sum()
    kept = thinned(values.size)
    plotting.points(ax, values[kept], share[kept], label="data", size=2.2)
    grid = _grid(fit)
    shares = _shares(fit, float(fit.n_tail), fit.sf(grid))
    plotting.line(ax, grid, shares, label=_label(fit))
    if fit.bootstrap is not None and fit.bootstrap.resampled.valid.sum() > 1:
        low, high = band(fit, grid)
        plotting.band(ax, grid, low, high, label="95 % of resamples", color=plotting.VERMILLION)
    return _finish(fit, ax, r"$P(X \geq x)$")


def pdf(fit: PowerLawFit, ax: Axes | None) -> Axes:
    """Draw the density of all data in logarithmic bins, the fit scaled by n_tail/n, and xmin."""
    ax = plotting.axes(ax)
    x, density, error = binned(fit._data.values, fit._data.counts, fit.discrete)
    # a bar down to zero has no place on a logarithmic axis
    plotting.points(ax, x, density, np.minimum(error, 0.99 * density), label="data", size=2.2)
    grid = _grid(fit)
    scale = fit.n_tail / (fit.n + fit.n_above)
    plotting.line(ax, grid, fit.pdf(grid) * scale, label=_label(fit))
    return _finish(fit, ax, "$P(X = x)$" if fit.discrete else "density $p(x)$")


def thinned(size: int) -> NDArray[np.int64]:
    """Return at most 460 indices, all up to that size.

    Evenly spaced in the logarithm of the rank from either end, and the last 60: the first of many
    integers hold most of the points.
    """
    if size <= 2 * _DRAWN_POINTS + _LAST_POINTS:
        return np.arange(size)
    ranks = np.geomspace(1, size, _DRAWN_POINTS).astype(np.int64)
    return np.unique(
        np.concatenate([ranks - 1, size - ranks, np.arange(size - _LAST_POINTS, size)])
    )


def band(fit: PowerLawFit, grid: Floats) -> tuple[Floats, Floats]:
    """Return the pointwise 95 % band of the scaled fit over the nonparametric resamples.

    Each resample has its own xmin, alpha and n_tail; below its own xmin its law is continued.
    """
    from spinnet.tails.powerlaw.laws import survivals

    assert fit.bootstrap is not None
    replicates = fit.bootstrap.resampled
    top = math.inf if fit.xmax is None else fit.xmax
    curves = []
    for r in np.flatnonzero(replicates.valid):
        xmin, alpha = float(replicates.xmin[r]), float(replicates.alpha[r])
        tail = survivals(grid, log_ratio(grid, xmin), xmin, alpha, fit.discrete, top)
        curves.append(_shares(fit, float(replicates.n_tail[r]), tail))
    low, high = np.quantile(np.array(curves), [0.025, 0.975], axis=0)
    return np.asarray(low), np.asarray(high)


def _shares(fit: PowerLawFit, n_tail: float, survival: Floats) -> Floats:
    """Return P(X >= x) among all the data, those above xmax included."""
    return np.asarray(np.minimum((n_tail * survival + fit.n_above) / (fit.n + fit.n_above), 1.0))


def binned(values: Floats, counts: Floats, discrete: bool) -> tuple[Floats, Floats, Floats]:
    """Return (centre, density, Poisson error) of logarithmic bins that hold data.

    For integers each bin is at least one wide, and the density is per integer.
    """
    low, high = math.log(values[0]), math.log(values[-1])
    n_bins = int(np.clip(_BINS_PER_DECADE * (high - low) / math.log(10.0), 1, _MOST_BINS)) + 1
    edges = np.exp(np.linspace(low, high, n_bins + 1))
    edges[0] = values[0]
    edges[-1] = values[-1]
    if discrete:
        edges = np.unique(np.append(np.rint(edges[:-1]), values[-1] + 1.0))
    cell = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, edges.size - 2)
    held = np.bincount(cell, counts, minlength=edges.size - 1)
    width = np.diff(edges)
    last = edges[1:] - 1.0 if discrete else edges[1:]
    centre = np.sqrt(edges[:-1]) * np.sqrt(last)  # the product may overflow
    seen = held > 0.0
    scale = 1.0 / (counts.sum() * width[seen])
    return centre[seen], held[seen] * scale, np.sqrt(held[seen]) * scale


def _grid(fit: PowerLawFit) -> Floats:
    """Return where the fit is drawn: from xmin to the last point fitted."""
    last = fit._data.values[-1] if fit.xmax is None else fit.xmax
    grid = np.geomspace(fit.xmin, last, _GRID)
    grid[0], grid[-1] = fit.xmin, last
    return np.unique(np.rint(grid)) if fit.discrete else grid


def _label(fit: PowerLawFit) -> str:
    error = fit.alpha_bootstrap_error if fit.n_bootstrap else fit.alpha_error
    label = rf"$\alpha = {fit.alpha:.2f} \pm {error:.2f}$"
    if fit.n_bootstrap:
        label += f", ${p_text(fit.p_value, None, fit._n_tested)}$"
    return label + rf", $n_\mathrm{{tail}} = {fit.n_tail}$"


def _finish(fit: PowerLawFit, ax: Axes, ylabel: str) -> Axes:
    ax.axvline(fit.xmin, ls=":", lw=0.9, color=plotting.GREY, label=rf"$x_\min = {fit.xmin:.4g}$")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("$x$")
    ax.set_ylabel(ylabel)
    plotting.legend_below(ax)
    return ax
