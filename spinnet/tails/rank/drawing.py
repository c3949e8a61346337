"""The picture of a rank fit: observed frequencies, law, sampling band, what was not fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.tails.rank.diagnostics import ranked_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.rank.result import ZipfFit

Floats = NDArray[np.float64]

_POINTS = 400
_DASHES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def draw(
    fit: ZipfFit,
    ax: Axes | None,
    *,
    data: bool,
    color: str | None,
    label: str | None,
    nulls: Mapping[str, ArrayLike] | None,
) -> Axes:
    """Draw a fit (see ``ZipfFit.plot``)."""
    ax = plotting.axes(ax)
    ax.set_xscale("log")
    ax.set_yscale("log")
    if data:
        _draw_data(fit, ax)
    _draw_law(fit, ax, color or plotting.VERMILLION, _label(fit) if label is None else label)
    for i, (name, counts) in enumerate((nulls or {}).items()):
        _draw_null(ax, name, ranked_counts(counts), i)
    ax.set_xlabel("rank $r$")
    ax.set_ylabel("frequency $f_r$")
    ax.legend(frameon=False)
    return ax


def _draw_data(fit: ZipfFit, ax: Axes) -> None:
    counts = fit._counts
    kept = plotting.thinned(counts.size, _POINTS)
    frequency = counts[kept] / fit.n_total
    ax.plot(kept + 1, frequency, "o", ms=2.2, mfc="none", color=plotting.BLACK, label="data")
    if fit.r_max < counts.size:
        text = f"fewer than {fit.k_min} counts, not fitted"
        ax.axvspan(
            fit.r_max + 0.5, counts.size, color=plotting.LIGHT_GREY, lw=0, zorder=0, label=text
        )


def _draw_law(fit: ZipfFit, ax: Axes, color: str, label: str) -> None:
    ranks = plotting.thinned(fit.r_max, _POINTS) + 1.0
    p, scale = fit.pmf(ranks), fit.n_fitted / fit.n_total
    low, high = band(p, fit.n_fitted)
    plotting.band(ax, ranks, np.where(low > 0, low, math.nan) * scale, high * scale, color=color)
    plotting.line(ax, ranks, p * scale, color=color, label=label)


def band(p: Floats, n: int) -> tuple[Floats, Floats]:
    """Return the central 95 % of the share of `n` inputs that fall on a rank of probability p.

    Each rank by itself: binomial, as the margin of a multinomial.
    """
    from scipy.stats import binom

    low, high = (binom.ppf(level, n, p) / n for level in (0.025, 0.975))
    return np.asarray(low), np.asarray(high)


def _draw_null(ax: Axes, name: str, counts: Floats, index: int) -> None:
    kept = plotting.thinned(counts.size, _POINTS)
    ax.plot(
        kept + 1,
        counts[kept] / counts.sum(),
        color=plotting.GREY,
        ls=_DASHES[index % len(_DASHES)],
        lw=1.0,
        label=name,
    )


def _label(fit: ZipfFit) -> str:
    if math.isnan(fit.zipf):
        return f"{fit.model}"
    error = fit.zipf_bootstrap_error if fit.n_bootstrap else fit.zipf_error
    text = rf"$s = {fit.zipf:.3f}$"
    if not math.isnan(error):
        digits = 3 if error <= 0.0 else max(3, math.ceil(-math.log10(error)))
        text = rf"$s = {fit.zipf:.{digits}f} \pm {error:.{digits}f}$"
    return text if fit.model == "zipf" else f"{fit.model}, {text}"
