"""Stability of a power-law fit: exponent and distance at every candidate lower cut-off.

A flat stretch of alpha(xmin) is what a power law looks like; several minima of D(xmin) of nearly
the same depth mean that the data do not decide on one xmin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.progress import progress_bar
from spinnet.tails.observations import Observations
from spinnet.tails.powerlaw.options import CONVENTIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_NEAR = 1.1  # minima of at most this many times the smallest distance are marked
_CHUNK = 500  # candidates between two looks at the progress bar and at Ctrl-C
_SHOWN = 10  # minima in the summary


@dataclass(frozen=True, eq=False)
class XminScan:
    """Fits at every candidate xmin, in increasing order.

    Attributes
    ----------
    xmin, alpha, alpha_error, ks_distance : ndarray, shape (n_candidates,)
        Cut-off, exponent, its error conditional on xmin, and distance of the tail.
    n_tail : ndarray of int, shape (n_candidates,)
        Points >= `xmin`.
    minima : ndarray of int
        Indices of local minima within 10 % of the smallest distance: the lowest candidate of
        each stretch of neighbouring candidates whose distance is at most 1.1 times the smallest.
    chosen : float
        xmin of the fit that was scanned.
    convention : str
        Of the distance.
    min_tail : int
        Smallest tail considered.
    """

    xmin: Floats
    alpha: Floats
    alpha_error: Floats
    ks_distance: Floats
    n_tail: NDArray[np.int64]
    minima: NDArray[np.int64]
    chosen: float
    convention: str
    min_tail: int

    def summary(self) -> str:
        """Return a few lines for people: the candidates among which the data do not decide."""
        order = self.minima[np.argsort(self.ks_distance[self.minima], kind="stable")]
        lines = [
            f"{self.xmin.size} candidates for xmin, {order.size} minima of the distance "
            f"({self.convention}) within 10 % of the smallest"
        ]
        lines += [
            f"  xmin = {self.xmin[k]:.6g}: D = {self.ks_distance[k]:.5f}, "
            f"alpha = {self.alpha[k]:.4f} +- {self.alpha_error[k]:.4f}, tail {self.n_tail[k]}"
            for k in order[:_SHOWN]
        ]
        if order.size > _SHOWN:
            lines.append(f"  and {order.size - _SHOWN} more")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record: dict[str, object] = {"schema": 1, "kind": "xmin-scan"}
        for name in ("xmin", "alpha", "alpha_error", "ks_distance"):
            array: Floats = getattr(self, name)
            record[name] = [v if np.isfinite(v) else None for v in array.tolist()]
        return record | {
            "n_tail": self.n_tail.tolist(),
            "minima": self.minima.tolist(),
            "chosen": self.chosen,
            "convention": self.convention,
            "min_tail": self.min_tail,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw D(xmin), left, and alpha(xmin) with its error, right; return the left axes."""
        from spinnet.tails.powerlaw.drawing import thinned

        ax = plotting.axes(ax)
        # lowest minima of neighbouring candidates, not only evenly spaced ones
        kept = np.union1d(thinned(self.xmin.size), self.minima)
        x, d = self.xmin[kept], self.ks_distance[kept]
        plotting.line(ax, x, d, label="$D$", color=plotting.BLACK)
        low = self.minima
        plotting.points(
            ax,
            self.xmin[low],
            self.ks_distance[low],
            label="minima within 10 %",
            color=plotting.BLUE,
        )
        ax.axvline(self.chosen, ls=":", lw=0.9, color=plotting.GREY)
        right = ax.twinx()
        alpha, error = self.alpha[kept], self.alpha_error[kept]
        plotting.line(right, x, alpha, label=r"$\alpha$")
        plotting.band(right, x, alpha - error, alpha + error, color=plotting.VERMILLION)
        right.set_ylabel(r"exponent $\alpha$", color=plotting.VERMILLION)
        ax.set_xscale("log")
        if x.size and x[-1] < 100.0 * x[0]:
            plotting.plain_log_ticks(ax)
        ax.set_xlabel(r"$x_\min$")
        ax.set_ylabel(f"KS distance $D$ ({self.convention})")
        plotting.legend_below(ax)
        return ax


def scan_tails(
    data: Observations,
    *,
    discrete: bool,
    top: float,
    min_tail: int,
    convention: str,
    chosen: float,
    progress: bool,
) -> XminScan:
    """Return the fit at every candidate xmin of `data`; `top` is xmax or infinity."""
    from spinnet.tails.powerlaw.ks_search import every, exponents, n_candidates, suffix_statistics

    values, logs = data.values, np.log(data.values)
    tail, log_sum = suffix_statistics(logs, data.counts)
    count = n_candidates(values, tail, log_sum, float(min_tail))
    alpha = exponents(values, tail, log_sum, count, discrete, top)
    distance, error = np.empty(count), np.empty(count)
    law = (values, logs, tail, discrete, top, CONVENTIONS[convention])
    with progress_bar(count, progress, "candidate") as bar:
        for first in range(0, count, _CHUNK):
            part = slice(first, min(first + _CHUNK, count))
            distance[part], error[part] = every(first, alpha[part], *law)
            bar.update(part.stop - first)
    return XminScan(
        xmin=values[:count].copy(),
        alpha=alpha,
        alpha_error=error,
        ks_distance=distance,
        n_tail=tail[:count].astype(np.int64),
        minima=_minima(distance),
        chosen=chosen,
        convention=convention,
        min_tail=min_tail,
    )


def _minima(distance: Floats) -> NDArray[np.int64]:
    """Return the lowest index of each stretch of distances at most 1.1 times the smallest."""
    if not np.isfinite(distance).any():
        return np.zeros(0, dtype=np.int64)
    near = np.flatnonzero(distance <= _NEAR * np.nanmin(distance))
    stretches = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)
    return np.array([part[np.argmin(distance[part])] for part in stretches], dtype=np.int64)
