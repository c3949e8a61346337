"""How often each node of a layer is on, and whether that goes with the weights of the node."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet.networks._arrays import frozen
from spinnet.networks.observables._common import BLACK, GREY, axes, plain
from spinnet.networks.observables.weight_distribution import WeightDistribution
from spinnet.networks.recording import LayerActivations
from spinnet.randomness import RandomState, generator
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho between node frequency and one kind of node strength.

    Attributes
    ----------
    strength : str
        "in" (sum of the node's input weights), "in_abs" (of their absolute values) or
        "total_abs" (input and output weights, absolute).
    rho : float
        NaN where all frequencies or all strengths are equal.
    p_value : float
        Two-sided, by permutation: (1 + #{|rho*| >= |rho|}) / (1 + n_permutations).
    n_permutations : int
    """

    strength: str
    rho: float
    p_value: float
    n_permutations: int


@dataclass(frozen=True, eq=False)
class NodeFrequencies:
    """Fraction of the inputs on which each node is on.

    Attributes
    ----------
    layer : str
    n_inputs : int
    frequency : ndarray of float64, shape (n_units,)
        p_j of node j.
    error : ndarray of float64, shape (n_units,)
        Binomial standard error sqrt(p_j (1 - p_j) / n_inputs) over distinct inputs; it is zero
        for dead and always-on nodes, whose true frequency is only known to about 1/n_inputs.
    order : ndarray of int64, shape (n_units,)
        Nodes from the most to the least frequent.
    n_dead, n_always_on : int
        Nodes that were never on, and never off.
    correlations : tuple of RankCorrelation
        With each kind of strength; empty where the weights are not known.
    """

    layer: str
    n_inputs: int
    frequency: NDArray[np.float64] = field(repr=False)
    error: NDArray[np.float64] = field(repr=False)
    order: NDArray[np.int64] = field(repr=False)
    n_dead: int
    n_always_on: int
    correlations: tuple[RankCorrelation, ...]

    @classmethod
    def from_layer(
        cls,
        layer: LayerActivations,
        weights: WeightDistribution | None = None,
        *,
        n_permutations: int = 999,
        rng: RandomState = None,
    ) -> NodeFrequencies:
        """Measure a layer; `measure` documents the arguments."""
        on = layer.unpack().sum(axis=0)
        p = on / layer.n_inputs
        n_permutations = integer("n_permutations", n_permutations, minimum=1)
        kinds: dict[str, NDArray[np.float64]] = {}
        if weights is not None:
            kinds = {"in": weights.strength_in, "in_abs": weights.strength_in_abs}
            if weights.strength_out_abs is not None:
                kinds["total_abs"] = weights.strength
        random = generator(rng)
        return cls(
            layer=layer.name,
            n_inputs=layer.n_inputs,
            frequency=frozen(p),
            error=frozen(np.sqrt(p * (1 - p) / layer.n_inputs)),
            order=frozen(np.argsort(-p, kind="stable")),
            n_dead=int((on == 0).sum()),
            n_always_on=int((on == layer.n_inputs).sum()),
            correlations=tuple(
                _spearman(kind, p, strength, n_permutations, random)
                for kind, strength in kinds.items()
            ),
        )

    @property
    def n_units(self) -> int:
        """Number of nodes."""
        return len(self.frequency)

    @property
    def n_active(self) -> int:
        """Number of nodes that were both on and off."""
        return self.n_units - self.n_dead - self.n_always_on

    @property
    def ranked(self) -> NDArray[np.float64]:
        """Frequencies in descending order, dead nodes left out."""
        p = self.frequency[self.order]
        return p[p > 0]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures in types that JSON knows."""
        result: dict[str, Any] = plain(
            {
                "layer": self.layer,
                "n_inputs": self.n_inputs,
                "n_units": self.n_units,
                "n_dead": self.n_dead,
                "n_always_on": self.n_always_on,
                "frequency": self.frequency,
                "error": self.error,
                "correlations": [vars(item) for item in self.correlations],
            }
        )
        return result

    def summary(self) -> str:
        """Return a few lines for people."""
        text = (
            f"nodes: {self.n_units}, {self.n_dead} dead, {self.n_always_on} always on; "
            f"frequency {self.frequency.min():.3f} to {self.frequency.max():.3f}, "
            f"mean {self.frequency.mean():.3f}"
        )
        for item in self.correlations:
            text += (
                f"\n  Spearman rho with strength {item.strength!r}: {item.rho:.3f} "
                f"(p = {item.p_value:.3g}, {item.n_permutations} permutations)"
            )
        return text

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw node frequency by rank, with errors; dead nodes are counted in the legend."""
        ax = axes(ax)
        p = self.ranked
        ax.errorbar(
            np.arange(1, len(p) + 1),
            p,
            yerr=self.error[self.order][: len(p)],
            fmt="o",
            ms=3,
            mfc="none",
            color=BLACK,
            ecolor=GREY,
            label=f"{self.n_dead} dead, {self.n_always_on} always on",
        )
        if len(p):
            ax.set_xscale("log")
            ax.set_yscale("log")
            # an error bar that reaches 0 has no end on this axis
            ax.set_ylim(max(0.5 / self.n_inputs, p[-1] / 3), 2.0)
        ax.set_xlabel(r"rank $r$ of the node")
        ax.set_ylabel(r"frequency $p_{(r)}$ of being on")
        ax.set_title(f"{self.layer}: {self.n_units} nodes")
        ax.legend(frameon=False, loc="lower left")
        return ax


def _spearman(
    kind: str,
    frequency: NDArray[np.float64],
    strength: NDArray[np.float64],
    n_permutations: int,
    rng: np.random.Generator,
) -> RankCorrelation:
    if np.ptp(frequency) == 0 or np.ptp(strength) == 0:
        return RankCorrelation(kind, math.nan, math.nan, n_permutations)
    x, y = _standard_ranks(frequency), _standard_ranks(strength)
    rho = float(x @ y)
    null = np.array([rng.permutation(x) @ y for _ in range(n_permutations)])
    # equal up to rounding counts as equal: ties are common with few nodes
    extreme = int((np.abs(null) >= abs(rho) - 1e-12).sum())
    return RankCorrelation(kind, rho, (1 + extreme) / (1 + n_permutations), n_permutations)


def _standard_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return average ranks, centred and scaled to unit length."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(values), dtype=np.float64)
    ranks -= ranks.mean()
    result: NDArray[np.float64] = ranks / np.sqrt(ranks @ ranks)
    return result
