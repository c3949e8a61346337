"""Weights of a layer: their distribution, and the strength of each node."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet.networks._arrays import frozen
from spinnet.networks.observables._common import BLACK, axes, central_moments, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BINS = 500


@dataclass(frozen=True, eq=False)
class WeightDistribution:
    """Entries of a layer's weight matrix, and the strengths of its nodes.

    Attributes
    ----------
    layer : str
    n_in, n_units : int
    entries : ndarray of float64, shape (n_in * n_units,)
    mean, std : float
    skewness, excess_kurtosis : float
        From the moments about the mean; zero for a normal distribution, NaN for equal entries.
    strength_in, strength_in_abs : ndarray, shape (n_units,)
        sum_i w_ij and sum_i |w_ij| over the inputs i of node j.
    strength_out, strength_out_abs : ndarray, shape (n_units,), or None
        The same over the connections to the next layer, where that is known.
    edges, density : ndarray
        Histogram of the entries (Freedman-Diaconis bins, 500 at most).
    """

    layer: str
    n_in: int
    n_units: int
    entries: NDArray[np.float64] = field(repr=False)
    mean: float
    std: float
    skewness: float
    excess_kurtosis: float
    strength_in: NDArray[np.float64] = field(repr=False)
    strength_in_abs: NDArray[np.float64] = field(repr=False)
    strength_out: NDArray[np.float64] | None = field(repr=False)
    strength_out_abs: NDArray[np.float64] | None = field(repr=False)
    edges: NDArray[np.float64] = field(repr=False)
    density: NDArray[np.float64] = field(repr=False)

    @classmethod
    def from_weights(
        cls, layer: str, weights: NDArray[Any], following: NDArray[Any] | None = None
    ) -> WeightDistribution:
        """Measure weights (n_in, n_units), and those of the next layer (n_units, n_next)."""
        w = np.asarray(weights, dtype=np.float64)
        after = None if following is None else np.asarray(following, dtype=np.float64)
        entries = w.ravel()
        m2, m3, m4 = central_moments(entries)
        spread = float(np.ptp(entries)) > 0
        density, edges = _histogram(entries)
        return cls(
            layer=layer,
            n_in=w.shape[0],
            n_units=w.shape[1],
            entries=frozen(entries.copy()),
            mean=float(entries.mean()),
            std=math.sqrt(m2),
            skewness=m3 / m2**1.5 if spread else math.nan,
            excess_kurtosis=m4 / m2**2 - 3 if spread else math.nan,
            strength_in=frozen(w.sum(axis=0)),
            strength_in_abs=frozen(np.abs(w).sum(axis=0)),
            strength_out=None if after is None else frozen(after.sum(axis=1)),
            strength_out_abs=None if after is None else frozen(np.abs(after).sum(axis=1)),
            edges=frozen(edges),
            density=frozen(density),
        )

    @property
    def strength(self) -> NDArray[np.float64]:
        """Total absolute strength of each node: in plus out, or in alone if out is unknown."""
        if self.strength_out_abs is None:
            return self.strength_in_abs
        return self.strength_in_abs + self.strength_out_abs

    def to_dict(self) -> dict[str, Any]:
        """Return the figures in types that JSON knows (the entries as their histogram)."""
        result: dict[str, Any] = plain(
            {
                "layer": self.layer,
                "n_in": self.n_in,
                "n_units": self.n_units,
                "mean": self.mean,
                "std": self.std,
                "skewness": self.skewness,
                "excess_kurtosis": self.excess_kurtosis,
                "strength_in": self.strength_in,
                "strength_in_abs": self.strength_in_abs,
                "strength_out": self.strength_out,
                "strength_out_abs": self.strength_out_abs,
                "histogram": {"edges": self.edges, "density": self.density},
            }
        )
        return result

    def summary(self) -> str:
        """Return a line for people."""
        return (
            f"weights: {self.n_in} x {self.n_units}, mean {self.mean:.4g}, std {self.std:.4g}, "
            f"skewness {self.skewness:.3g}, excess kurtosis {self.excess_kurtosis:.3g}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density of the entries on a logarithmic axis."""
        ax = axes(ax)
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        seen = self.density > 0
        ax.semilogy(centres[seen], self.density[seen], "o", ms=3, mfc="none", color=BLACK)
        ax.set_xlabel(r"weight $w_{ij}$")
        ax.set_ylabel(r"density $p(w)$")
        ax.set_title(f"{self.layer}: {len(self.entries)} weights")
        return ax


def _histogram(entries: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    extent = float(np.ptp(entries))
    quartiles = np.percentile(entries, [25, 75])
    width = 2 * float(quartiles[1] - quartiles[0]) / len(entries) ** (1 / 3)
    if extent == 0:
        n_bins = 1
    elif width * MAX_BINS <= extent:  # outliers, or a quartile range of zero
        n_bins = MAX_BINS
    else:
        n_bins = math.ceil(extent / width)
    density, edges = np.histogram(entries, bins=n_bins, density=True)
    return density.astype(np.float64), edges.astype(np.float64)
