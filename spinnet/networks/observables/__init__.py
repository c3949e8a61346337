"""The four classes of observables of a layer: weights, patterns, nodes, the layer as a whole.

They are measured here and not judged: no exponent is fitted, and where the data are too few to
carry one (`PatternFrequencies.undersampled`) the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.networks.architectures import FeedForward
from spinnet.networks.observables._common import plain
from spinnet.networks.observables.layer_activation import LayerActivation
from spinnet.networks.observables.node_frequencies import NodeFrequencies, RankCorrelation
from spinnet.networks.observables.pattern_frequencies import PatternFrequencies, PatternSample
from spinnet.networks.observables.weight_distribution import WeightDistribution
from spinnet.networks.recording import Activations
from spinnet.networks.weights import check_weights
from spinnet.randomness import RandomState, seed_record, seed_sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LayerActivation",
    "LayerObservables",
    "NodeFrequencies",
    "PatternFrequencies",
    "PatternSample",
    "RankCorrelation",
    "WeightDistribution",
    "measure",
]


@dataclass(frozen=True, eq=False)
class LayerObservables:
    """The observables of one layer.

    Attributes
    ----------
    layer : str
    n_inputs, n_units : int
    weight_distribution : WeightDistribution or None
        None where no weights were given.
    pattern_frequencies : PatternFrequencies
    node_frequencies : NodeFrequencies
    layer_activation : LayerActivation
    seed : mapping
        Of the random subsets and permutations.
    """

    layer: str
    n_inputs: int
    n_units: int
    weight_distribution: WeightDistribution | None
    pattern_frequencies: PatternFrequencies
    node_frequencies: NodeFrequencies
    layer_activation: LayerActivation
    seed: Mapping[str, object]

    def to_dict(self) -> dict[str, Any]:
        """Return all figures in types that JSON knows."""
        weights = self.weight_distribution
        return {
            "layer": self.layer,
            "n_inputs": self.n_inputs,
            "n_units": self.n_units,
            "weight_distribution": None if weights is None else weights.to_dict(),
            "pattern_frequencies": self.pattern_frequencies.to_dict(),
            "node_frequencies": self.node_frequencies.to_dict(),
            "layer_activation": self.layer_activation.to_dict(),
            "seed": plain(dict(self.seed)),
        }

    def summary(self) -> str:
        """Return the observables as text for people."""
        parts = (
            self.weight_distribution,
            self.pattern_frequencies,
            self.node_frequencies,
            self.layer_activation,
        )
        head = f"layer {self.layer!r}: {self.n_units} nodes, {self.n_inputs} inputs"
        return "\n".join([head, *(part.summary() for part in parts if part is not None)])

    def plot(self, axes: NDArray[Any] | None = None) -> NDArray[Any]:
        """Draw the observables on four axes, and return these as an array of shape (2, 2)."""
        if axes is None:
            import matplotlib.pyplot as plt

            axes = plt.subplots(2, 2, figsize=(6.9, 5.5), layout="constrained")[1]
        grid = np.asarray(axes)
        if grid.size != 4:
            raise InputError(f"axes must hold four axes, got {grid.size}")
        first: list[Axes] = list(grid.ravel())
        if self.weight_distribution is None:
            first[0].set_axis_off()
        else:
            self.weight_distribution.plot(first[0])
        self.pattern_frequencies.plot(first[1])
        self.node_frequencies.plot(first[2])
        self.layer_activation.plot(first[3])
        return grid.reshape(2, 2)


def measure(
    activations: Activations,
    weights: FeedForward | Mapping[str, NDArray[Any]] | NDArray[Any] | None = None,
    layer: str | None = None,
    *,
    subset_size: int | None = None,
    n_subsets: int = 20,
    n_permutations: int = 999,
    rng: RandomState = None,
) -> LayerObservables:
    """Measure the observables of a layer.

    Parameters
    ----------
    activations : Activations
        Of `record` or `Activations.from_array`.
    weights : FeedForward, mapping of str to ndarray, ndarray (n_in, n_units), optional
        The network, its arrays (see `FeedForward.from_arrays`), or the matrix of the layer
        alone, which leaves the output strengths unknown.
    layer : str, optional
        By default the last recorded layer that is not the network's output.
    subset_size : int, optional
        Number of nodes whose patterns are counted together.  By default the whole layer if at
        most 20 of its nodes are active, otherwise `patterns.subset_size`.
    n_subsets : int, optional
        Number of random subsets of active nodes.
    n_permutations : int, optional
        For the p-values of the rank correlations.
    rng : None, int, SeedSequence or Generator, optional

    Returns
    -------
    LayerObservables

    Examples
    --------
    >>> from spinnet import networks
    >>> net = networks.load_bundled()
    >>> act = networks.record(net, networks.datasets.load("fashion-mnist"))
    >>> obs = networks.observables.measure(act, net, "fc3", rng=7)
    >>> obs.pattern_frequencies.is_whole, obs.pattern_frequencies.undersampled
    (True, False)
    """
    if not isinstance(activations, Activations):
        raise InputError(
            f"activations must be Activations, got {type(activations).__name__}; make them with "
            "networks.record or networks.Activations.from_array"
        )
    recorded = activations[activations.default_layer if layer is None else layer]
    seed = seed_sequence(rng)
    for_subsets, for_permutations = seed_sequence(seed).spawn(2)
    distribution = _weights_of(weights, recorded.name, recorded.n_units)
    return LayerObservables(
        layer=recorded.name,
        n_inputs=recorded.n_inputs,
        n_units=recorded.n_units,
        weight_distribution=distribution,
        pattern_frequencies=PatternFrequencies.from_layer(
            recorded, subset_size=subset_size, n_subsets=n_subsets, rng=for_subsets
        ),
        node_frequencies=NodeFrequencies.from_layer(
            recorded, distribution, n_permutations=n_permutations, rng=for_permutations
        ),
        layer_activation=LayerActivation.from_layer(recorded, activations.labels),
        seed=seed_record(seed),
    )


def _weights_of(
    weights: FeedForward | Mapping[str, NDArray[Any]] | NDArray[Any] | None,
    layer: str,
    n_units: int,
) -> WeightDistribution | None:
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        weights = FeedForward.from_arrays(weights)
    following = None
    if isinstance(weights, FeedForward):
        k = weights.index(layer)
        matrix: NDArray[Any] = weights.layers[k].weights
        if k + 1 < len(weights.layers):
            following = weights.layers[k + 1].weights
    else:
        matrix = np.asarray(weights)
        check_weights("weights", matrix)
    if matrix.ndim != 2 or matrix.shape[1] != n_units:
        hint = "; transpose it" if matrix.ndim == 2 and matrix.shape[0] == n_units else ""
        raise InputError(
            f"weights of layer {layer!r} must have shape (n_in, {n_units}), got "
            f"{matrix.shape}{hint}"
        )
    return WeightDistribution.from_weights(layer, matrix, following)
