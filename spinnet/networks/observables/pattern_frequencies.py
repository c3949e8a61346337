"""Frequencies of a layer's activation patterns, by rank, with their undersampling in sight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.networks import patterns
from spinnet.networks._arrays import frozen
from spinnet.networks.observables._common import BLACK, GREY, axes, plain
from spinnet.networks.recording import LayerActivations
from spinnet.randomness import RandomState
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Below this Good-Turing coverage the rank plot is mostly sampling noise.
MIN_COVERAGE = 0.9
# A layer of at most this many active nodes is counted whole.
MAX_WHOLE = 20


@dataclass(frozen=True, eq=False)
class PatternSample:
    """Counts of the patterns of some nodes.

    Attributes
    ----------
    units : ndarray of int64, shape (k,)
        The nodes.
    counts : ndarray of int64, shape (n_distinct,)
        Count of each distinct pattern by rank, descending.
    """

    units: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __repr__(self) -> str:
        return (
            f"PatternSample({len(self.units)} nodes, {self.distinct} distinct patterns on "
            f"{self.n_inputs} inputs)"
        )

    @property
    def n_inputs(self) -> int:
        """Number of inputs, the sum of the counts."""
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        """Number of distinct patterns."""
        return len(self.counts)

    @property
    def singletons(self) -> int:
        """Number of patterns seen once."""
        return int((self.counts == 1).sum())

    @property
    def coverage(self) -> float:
        """Good-Turing coverage 1 - singletons / n_inputs."""
        return patterns.coverage(self.counts)

    @property
    def resolution(self) -> float:
        """H[s], entropy of the patterns in nats."""
        return patterns.resolution(self.counts)

    @property
    def relevance(self) -> float:
        """H[k], entropy of the frequencies in nats."""
        return patterns.relevance(self.counts)

    @property
    def undersampled(self) -> bool:
        """Whether the coverage is below 0.9: then the rank plot must not be fitted."""
        return self.coverage < MIN_COVERAGE

    def to_dict(self) -> dict[str, Any]:
        """Return the figures in types that JSON knows."""
        result: dict[str, Any] = plain(
            {
                "units": self.units,
                "counts": self.counts,
                "distinct": self.distinct,
                "singletons": self.singletons,
                "coverage": self.coverage,
                "resolution": self.resolution,
                "relevance": self.relevance,
                "undersampled": self.undersampled,
            }
        )
        return result


@dataclass(frozen=True, eq=False)
class PatternFrequencies:
    """Pattern frequencies by rank, of the whole layer and of what can be sampled of it.

    Attributes
    ----------
    layer : str
    n_inputs, n_units, n_active : int
        Active nodes are those neither always off nor always on.
    whole : PatternSample
        All nodes together.
    samples : tuple of PatternSample
        What to analyse: the whole layer if at most 20 nodes are active, otherwise random subsets
        of active nodes.  All subsets see the same inputs, so they are not independent: their
        spread tells of the choice of nodes, not of the sampling of inputs.
    """

    layer: str
    n_inputs: int
    n_units: int
    n_active: int
    whole: PatternSample
    samples: tuple[PatternSample, ...] = field(repr=False)

    @classmethod
    def from_layer(
        cls,
        layer: LayerActivations,
        *,
        subset_size: int | None = None,
        n_subsets: int = 20,
        rng: RandomState = None,
    ) -> PatternFrequencies:
        """Count the patterns of a layer; `measure` documents the arguments."""
        bits = layer.unpack()
        on = bits.sum(axis=0)
        active = np.flatnonzero((on > 0) & (on < layer.n_inputs))
        whole = PatternSample(
            frozen(np.arange(layer.n_units)), frozen(patterns.pattern_counts(layer.bits))
        )
        n_subsets = integer("n_subsets", n_subsets, minimum=1)
        if subset_size is None:
            size = patterns.subset_size(layer.n_inputs, len(active))
            in_full = len(active) <= MAX_WHOLE
        else:
            size = integer("subset_size", subset_size, minimum=1)
            in_full = False
            if size > len(active):
                raise InputError(
                    f"subset_size must be <= {len(active)}, the number of active nodes of layer "
                    f"{layer.name!r}, got {size}"
                )
        samples: tuple[PatternSample, ...] = (whole,)
        if not in_full:
            samples = tuple(
                PatternSample(frozen(units), frozen(patterns.pattern_counts(layer.subset(units))))
                for units in patterns.random_subsets(active, size, n_subsets, rng=rng)
            )
        return cls(layer.name, layer.n_inputs, layer.n_units, len(active), whole, samples)

    @property
    def is_whole(self) -> bool:
        """Whether `samples` holds the whole layer rather than subsets of its nodes."""
        return self.samples[0] is self.whole

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts by rank of the first sample; `samples` holds the others."""
        return self.samples[0].counts

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """`counts` over the number of inputs."""
        return self.counts / self.n_inputs

    @property
    def distinct(self) -> float:
        """Number of distinct patterns, averaged over the samples."""
        return self._mean("distinct")

    @property
    def singletons(self) -> float:
        """Number of patterns seen once, averaged over the samples."""
        return self._mean("singletons")

    @property
    def coverage(self) -> float:
        """Good-Turing coverage, averaged over the samples."""
        return self._mean("coverage")

    @property
    def resolution(self) -> float:
        """H[s] in nats, averaged over the samples."""
        return self._mean("resolution")

    @property
    def relevance(self) -> float:
        """H[k] in nats, averaged over the samples."""
        return self._mean("relevance")

    @property
    def undersampled(self) -> bool:
        """Whether the mean coverage is below 0.9: then the rank plot must not be fitted."""
        return self.coverage < MIN_COVERAGE

    def to_dict(self) -> dict[str, Any]:
        """Return the figures in types that JSON knows."""
        whole = self.whole.to_dict()
        del whole["units"]
        return {
            "layer": self.layer,
            "n_inputs": self.n_inputs,
            "n_units": self.n_units,
            "n_active": self.n_active,
            "is_whole": self.is_whole,
            "undersampled": self.undersampled,
            "whole": whole,
            "samples": [sample.to_dict() for sample in self.samples],
        }

    def summary(self) -> str:
        """Return a few lines for people."""
        text = (
            f"patterns of all {self.n_units} nodes ({self.n_active} active): "
            f"{self.whole.distinct} distinct on {self.n_inputs} inputs, coverage "
            f"{self.whole.coverage:.3f}"
        )
        if not self.is_whole:
            spread = np.std([sample.distinct for sample in self.samples])
            text += (
                f"\n  {len(self.samples)} random subsets of {len(self.samples[0].units)} active "
                f"nodes: {self.distinct:.0f} distinct (s.d. {spread:.0f}), coverage "
                f"{self.coverage:.3f}"
            )
        text += f"\n  H[s] = {self.resolution:.3f}, H[k] = {self.relevance:.3f} nats"
        if self.undersampled:
            text += (
                f"\n  undersampled (coverage below {MIN_COVERAGE}): the rank plot is mostly "
                "sampling noise and must not be fitted; record more inputs or fewer nodes"
            )
        return text

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw frequency by rank: each sample as a line, the first one as points."""
        ax = axes(ax)
        for sample in self.samples[1:]:
            ranks = np.arange(1, sample.distinct + 1)
            ax.loglog(ranks, sample.counts / sample.n_inputs, "-", lw=0.6, color=GREY)
        first = self.samples[0]
        label = f"{'all' if self.is_whole else 'random'} {len(first.units)} nodes"
        ax.loglog(
            np.arange(1, first.distinct + 1),
            self.frequencies,
            "o",
            ms=2.2,
            mfc="none",
            color=BLACK,
            label=f"{label}, coverage {self.coverage:.2f}",
        )
        ax.axhline(1 / self.n_inputs, ls=":", lw=0.8, color=GREY, label="seen once")
        ax.set_xlabel(r"rank $r$")
        ax.set_ylabel(r"pattern frequency $f_r$")
        ax.set_title(f"{self.layer}{', undersampled' if self.undersampled else ''}")
        ax.legend(frameon=False, loc="lower left")
        return ax

    def _mean(self, name: str) -> float:
        return float(np.mean([getattr(sample, name) for sample in self.samples]))
