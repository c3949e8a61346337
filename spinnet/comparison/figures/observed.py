"""Figures of the measured layer: ranks, tails, magnetisation, nodes, and the forest plot."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.comparison.exponents import LABELS, MeasuredExponent
from spinnet.comparison.layer import MAX_WHOLE, Array, Codes, popcounts
from spinnet.comparison.predictions import Prediction
from spinnet.comparison.verdict import PRINCIPAL
from spinnet.errors import InputError, SpinnetWarning, StatisticsError, did_you_mean
from spinnet.plotting import BLACK, BLUE, GREEN, GREY, LIGHT_GREY, ORANGE, PURPLE
from spinnet.spins.exact import layer_marginal
from spinnet.spins.montecarlo import BlockGibbs, sample
from spinnet.spins.statistics import format_with_error
from spinnet.tails import fit_power_law, fit_zipf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.comparison.result import Comparison
    from spinnet.tails import PowerLawFit

_T = TypeVar("_T")
_NULLS = {
    "independent units": (GREY, "--"),
    "shuffled weights": (GREEN, "-."),
    "untrained weights": (PURPLE, ":"),
}
_SWEEPS, _REPLICAS = 400, 64  # of the sampled magnetisation of layers too wide for exact sums


def rank_frequency(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the frequencies of patterns by rank: data, Zipf fit, dual and null models."""
    ax = plotting.axes(ax)
    studied = comparison.studied
    codes = studied.codes(studied.outputs)[0]
    counts = np.sort(np.unique(codes, return_counts=True)[1])[::-1]
    n = studied.n_inputs
    floor = 0.5 / n
    _draw_models(comparison, ax, floor)
    _draw_zipf(comparison, ax, counts, n)
    rank = plotting.thinned(len(counts), 60)
    f = counts[rank] / n
    error = np.minimum(np.sqrt(f * (1 - f) / n), 0.99 * f)  # no bar to zero on a log axis
    plotting.points(ax, rank + 1, f, error, label="data", size=2.2, error_color="#555555")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(floor, min(1.0, 3 * counts[0] / n))
    ax.set_xlim(0.9, 1.1 * len(counts))
    ax.set_xlabel(r"rank $r$ of the pattern")
    ax.set_ylabel(r"frequency $f_r$")
    plotting.legend_below(ax)
    return ax


def _draw_zipf(comparison: Comparison, ax: Axes, counts: Codes, n: int) -> None:
    measured = comparison.exponent("patterns.zipf")
    try:
        fit = _quiet(lambda: fit_zipf(counts))
    except StatisticsError:
        return
    text = f"{fit.zipf:.3f}"
    if comparison.studied.is_whole and math.isfinite(measured.value):
        text = format_with_error(measured.value, measured.error)
    grid = np.geomspace(1.0, fit.r_max, 60)
    label = f"Zipf fit $f_r \\propto r^{{-s}}$, $s$ = {text}{_ruled_out(measured)}"
    plotting.line(ax, grid, fit.pmf(grid) * fit.n_fitted / n, label=label)
    if fit.r_max < len(counts):
        label = f"counts below {fit.k_min}: not fitted"
        ax.axvspan(
            fit.r_max + 0.5, 1.1 * len(counts), color=LIGHT_GREY, lw=0, zorder=0, label=label
        )


def _draw_models(comparison: Comparison, ax: Axes, floor: float) -> None:
    best = comparison.temperature.best
    for item in comparison.predictions:
        if not item.ranks.size:
            continue
        low, middle, high = np.quantile(item.curves, [0.025, 0.5, 0.975], axis=0)
        if item.kind == "dual":
            if item.temperature not in (1.0, best):
                continue
            color = ORANGE if item.temperature == 1.0 else BLUE
            label = _dual_label(comparison, item)
            plotting.band(
                ax, item.ranks, np.maximum(low, floor / 2), np.maximum(high, floor / 2),
                color=color, label=f"{label}, 95 % band",
            )  # fmt: skip
        else:
            color, dashes = _NULLS.get(item.model, (GREY, "-"))
            seen = np.where(middle > 0, middle, np.nan)
            plotting.line(
                ax, item.ranks, seen, color=color, dashes=dashes, label=f"{item.model}, median"
            )


def ccdf(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the share of patterns seen at least k times, with the fitted power law."""
    ax = plotting.axes(ax)
    studied = comparison.studied
    counts = np.unique(studied.codes(studied.outputs)[0], return_counts=True)[1]
    fit = _fit_or_none(counts, discrete=True)
    measured = comparison.exponent("patterns.alpha")
    _draw_tail(ax, counts, fit, measured, known=studied.is_whole)
    ax.set_xlabel(r"count $k$ of a pattern (inputs)")
    ax.set_ylabel(r"share of patterns $P(K \geq k)$")
    return ax


def weights_ccdf(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the share of weights at least as large as |w|, with the fitted power law."""
    ax = plotting.axes(ax)
    studied = comparison.studied
    entries = np.abs(studied.network[studied.name].weights.astype(np.float64)).ravel()
    entries = entries[entries > 0]
    fit = _fit_or_none(entries, discrete=False)
    _draw_tail(ax, entries, fit, comparison.exponent("weights.alpha"), known=True)
    ax.set_xlabel(r"size $|w|$ of a weight (as trained, natural units)")
    ax.set_ylabel(r"share of weights $P(|W| \geq |w|)$")
    return ax


def _draw_tail(
    ax: Axes, values: ArrayLike, fit: PowerLawFit | None, measured: MeasuredExponent, *, known: bool
) -> None:
    n = np.size(values)
    x, share = plotting.survival(values)
    kept = np.union1d(plotting.thinned(len(x), 60), len(x) - 1 - plotting.thinned(len(x), 80))
    x, share = x[kept], share[kept]
    error = np.minimum(np.sqrt(share * (1 - share) / n), 0.99 * share)
    plotting.points(ax, x, share, error, label="data", size=2.2, error_color="#888888")
    if fit is not None:
        grid = np.geomspace(fit.xmin, x[-1], 200)
        if fit.discrete:
            grid = np.unique(np.rint(grid))
        text = f"{fit.alpha:.3f}"
        if known and math.isfinite(measured.value):
            text = format_with_error(measured.value, measured.error)
        plotting.line(
            ax,
            grid,
            np.asarray(fit.sf(grid)) * fit.n_tail / fit.n,
            label=rf"fit, density $\propto x^{{-\alpha}}$, $\alpha$ = {text}{_ruled_out(measured)}",
        )
        ax.axvline(
            fit.xmin, ls=":", lw=0.9, color=GREY, label=rf"fit from $x_\min$ = {fit.xmin:.3g}"
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5 / n)
    plotting.legend_below(ax)


def _ruled_out(measured: MeasuredExponent) -> str:
    return "" if measured.status.startswith("power law") else "\n(no power law, see table)"


def p_of_m(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the distribution of m = 2 phi - 1 over inputs: data, dual and independent units."""
    ax = plotting.axes(ax)
    studied = comparison.studied
    n, n_units = studied.outputs.shape
    m = 2 * np.arange(n_units + 1) / n_units - 1
    density = n_units / 2  # per step 2/n_units of m
    p = np.bincount(studied.outputs.sum(axis=1), minlength=n_units + 1) / n
    best = comparison.temperature.best
    for temperature in sorted({1.0, best}):
        law = _layer_law(comparison, temperature)
        if law is not None:
            color, dashes = (ORANGE, "-.") if temperature == 1.0 else (BLUE, "-")
            name = "$T = 1$" if temperature == 1.0 else f"best $T$ = {best:.3g}"
            plotting.line(
                ax, m, law * density, color=color, dashes=dashes, label=f"free dual at {name}"
            )
    independent = _poisson_binomial(studied.outputs.mean(axis=0))
    plotting.line(ax, m, independent * density, color=GREY, dashes="--", label="independent units")
    seen = p > 0
    error = np.sqrt(p * (1 - p) / n)
    plotting.points(
        ax, m[seen], p[seen] * density, error[seen] * density, label="data, sampling error"
    )
    ax.set_ylim(bottom=0)
    ax.set_xlabel(r"magnetisation of the layer $m = 2\varphi - 1$")
    ax.set_ylabel(r"density $P(m)$")
    plotting.legend_below(ax)
    return ax


def _layer_law(comparison: Comparison, temperature: float) -> Array | None:
    """Return P(number of active outputs) of the free dual; None where its chains do not mix."""
    dual = comparison.studied.dual()
    n_out = dual.n_out
    if n_out <= MAX_WHOLE:
        marginal = layer_marginal(dual, 1 / temperature)
        states = np.arange(len(marginal.log_p))
        weights = np.exp(marginal.log_p)
        return np.asarray(np.bincount(popcounts(states), weights, n_out + 1), dtype=np.float64)

    def active(spins: NDArray[np.int8]) -> Array:
        return np.asarray((spins[:, dual.n_in :] > 0).sum(axis=1), dtype=np.float64)

    try:
        run = sample(
            dual,
            [1 / temperature],
            n_sweeps=_SWEEPS,
            n_replicas=_REPLICAS,
            update=BlockGibbs(),
            observers={"active": active},
            rng=0,
        )
    except StatisticsError:
        return None
    seen = run.series["active"].ravel().astype(np.int64)
    return np.asarray(np.bincount(seen, minlength=n_out + 1) / seen.size, dtype=np.float64)


def _poisson_binomial(rates: Array) -> Array:
    """Return the law of the number of active ones among independent units."""
    law = np.ones(1)
    for rate in rates:
        law = np.convolve(law, [1 - rate, rate])
    return law


def nodes(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the frequency with which each node is on, by rank."""
    ax = comparison.observables.node_frequencies.plot(plotting.axes(ax))
    ax.set_title("")
    if ax.get_xscale() == "log":
        plotting.plain_log_ticks(ax)
    plotting.legend_below(ax)
    return ax


def forest(comparison: Comparison, key: str = PRINCIPAL, ax: Axes | None = None) -> Axes:
    """Draw the measured exponent as a band, and each model's predictive interval as a row.

    Parameters
    ----------
    comparison : Comparison
    key : str
        For example "patterns.alpha".
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    if key not in LABELS:
        hint = did_you_mean(str(key), LABELS)
        raise InputError(f"key must be one of {', '.join(LABELS)}, got {key!r}{hint}")
    ax = plotting.axes(ax)
    measured = comparison.exponent(key)
    models = [item for item in comparison.predictions if key in item.values]
    models.sort(key=lambda item: (item.kind != "dual", item.temperature or 0.0))
    if math.isfinite(measured.value):
        data = format_with_error(measured.value, measured.error)
        ax.axvspan(
            *measured.interval, color=BLACK, alpha=0.15, lw=0, label=f"data {data}, 95 % interval"
        )
        ax.axvline(measured.value, color=BLACK, lw=1.0)
    else:
        ax.plot([], [], ls="", marker="", label="data: no estimate")
    rows = [_row(comparison, item, key) for item in models]
    heading = "Holm $p$" if key == PRINCIPAL else "$p$"
    plotting.intervals(ax, rows, remarks=heading if any(row.remark for row in rows) else "")
    if not rows:
        message = "no model predicts this exponent"
        ax.text(0.5, 0.5, message, transform=ax.transAxes, ha="center")
    symbol = r"density exponent $\alpha$" if key.endswith("alpha") else "Zipf exponent $s$"
    ax.set_xlabel(f"{symbol} ({LABELS[key]})")
    if ax.get_legend_handles_labels()[0]:
        plotting.legend_below(ax, columns=1)
    return ax


def _row(comparison: Comparison, item: Prediction, key: str) -> plotting.Row:
    low, high = item.interval(key)
    adjusted = comparison.verdict.adjusted
    p = adjusted.get(item.model, math.nan) if key == PRINCIPAL else item.p_values[key]
    tested = item.kind == "null" or item.temperature in (1.0, comparison.temperature.best)
    color = BLUE if item.kind == "dual" else _NULLS.get(item.model, (GREY, ""))[0]
    return plotting.Row(
        label=_dual_label(comparison, item) if item.kind == "dual" else item.model,
        low=low,
        high=high,
        centre=item.median(key),
        color=color,
        filled=tested,
        remark="" if math.isnan(p) else f"{p:.3f}",
        missing=f"too few patterns ({item.n_failed(key)} of {item.n_replicates} replicates)",
    )


def _dual_label(comparison: Comparison, item: Prediction) -> str:
    T = item.temperature
    assert T is not None
    if T == 1.0:
        return "dual, $T = 1$"
    if comparison.temperature.best == T:
        return f"dual, best $T$ = {T:.3g}"
    if math.isclose(T, comparison.criticality.sampled_temperature, rel_tol=1e-9):
        return rf"dual, $\chi_\mathrm{{top}}$ peak, {T:.3g}"
    return f"dual, $T$ = {T:.3g}"


def _fit_or_none(values: ArrayLike, *, discrete: bool) -> PowerLawFit | None:
    try:
        return _quiet(lambda: fit_power_law(values, discrete=discrete))
    except StatisticsError:
        return None


def _quiet(fit: Callable[[], _T]) -> _T:
    """Fit without its warnings: the tables say what limits each estimate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)
        return fit()
