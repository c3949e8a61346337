"""The layer under comparison: its bits, its weights, and what is counted of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.networks import Activations, FeedForward
from spinnet.networks import patterns as network_patterns
from spinnet.spins.models import NetworkDual
from spinnet.validation import choice

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]
Codes = NDArray[np.int64]

MAX_WHOLE = 20  # outputs whose joint law is summed exactly and whose patterns are counted whole
PIXEL_THRESHOLD = 0.5  # inputs of the first layer are on above the middle of [0, 1]
GAINS = ("active-mean", "unit")
MIN_INPUTS = 50  # the least that the tail of any exponent is fitted to


@dataclass(frozen=True, eq=False)
class StudiedLayer:
    """One layer of a network with its recorded inputs and outputs as bits.

    Attributes
    ----------
    network : FeedForward
    name : str
    weights : ndarray, shape (n_in, n_out)
        The layer's weights, times the gain of each input.
    bias : ndarray, shape (n_out,)
    gain : ndarray, shape (n_in,)
        What a 0/1 input stands for: its mean activation when on, or 1.
    gain_rule : str
    inputs, outputs : ndarray of bool, shape (n_inputs, n_in), (n_inputs, n_out)
    mean_activation : ndarray, shape (n_inputs,)
        Mean activation A of the layer on each input, real-valued.
    subsets : tuple of ndarray
        The outputs whose joint patterns are counted: all of them together if there are at most
        20, otherwise random subsets of active ones.
    """

    network: FeedForward
    name: str
    weights: Array
    bias: Array
    gain: Array
    gain_rule: str
    inputs: Bits
    outputs: Bits
    mean_activation: Array
    subsets: tuple[NDArray[np.int64], ...]
    network_inputs: NDArray[np.float32] | None = field(repr=False, default=None)

    @property
    def n_inputs(self) -> int:
        """Number of distinct recorded inputs."""
        return len(self.outputs)

    @property
    def is_whole(self) -> bool:
        """Whether patterns of the whole layer are counted."""
        return len(self.subsets) == 1 and len(self.subsets[0]) == self.outputs.shape[1]

    def dual(self, fields: str = "exact") -> NetworkDual:
        """Return the layer's dual, D0, in natural units (T = 1 is the network)."""
        return NetworkDual(self.weights, self.bias, "bipartite", fields)

    def codes(self, outputs: Bits) -> Codes:
        """Return each subset's patterns as integers, shape (n_subsets, n_samples)."""
        return np.array([outputs[:, units] @ _powers(len(units)) for units in self.subsets])


def study(
    network: FeedForward | Mapping[str, NDArray[Any]],
    activations: Activations,
    layer: str,
    *,
    gain_rule: str,
    n_subsets: int,
    rng: np.random.Generator,
) -> StudiedLayer:
    """Collect what the comparison needs of a layer; refuse what cannot be compared."""
    if isinstance(network, Mapping):
        network = FeedForward.from_arrays(network)
    if not isinstance(network, FeedForward):
        raise InputError(
            "network must be a FeedForward or a mapping of named arrays, "
            f"got {type(network).__name__}"
        )
    if not isinstance(activations, Activations):
        raise InputError(
            f"activations must be Activations, got {type(activations).__name__}; "
            "make them with networks.record(network, inputs)"
        )
    choice("gain", gain_rule, GAINS)
    recorded, position = activations[layer], network.index(layer)
    values = activations.inputs_of(layer)
    this = network.layers[position]
    shape = (values.shape[1], recorded.n_units)
    if shape != (this.n_in, this.n_out):
        raise InputError(
            f"activations of layer {layer!r} have (inputs, nodes) = {shape}, but the network's "
            f"layer has {(this.n_in, this.n_out)}; record this network"
        )
    if recorded.n_inputs < MIN_INPUTS:
        raise InputError(
            f"activations must hold at least {MIN_INPUTS} distinct inputs for an exponent, got "
            f"{recorded.n_inputs}; record more"
        )
    if recorded.threshold != this.threshold:
        raise InputError(
            f"activations of layer {layer!r} are on above {recorded.threshold:g}, but the gates "
            f"of its dual and of the null networks are on above {this.threshold:g} "
            f"({this.activation}); record them with threshold={this.threshold:g}"
        )
    threshold = network.layers[position - 1].threshold if position else PIXEL_THRESHOLD
    on = values > threshold
    gain = _gain(values, on, gain_rule)
    outputs = recorded.unpack()
    _check_coupled(layer, this.weights, on)
    return StudiedLayer(
        network=network,
        name=layer,
        weights=this.weights.astype(np.float64) * gain[:, None],
        bias=this.bias.astype(np.float64),
        gain=gain,
        gain_rule=gain_rule,
        inputs=on,
        outputs=outputs,
        mean_activation=recorded.values.mean(axis=1, dtype=np.float64),
        subsets=_subsets(outputs, n_subsets, rng),
        network_inputs=_network_inputs(network, activations),
    )


def _check_coupled(layer: str, weights: NDArray[Any], on: Bits) -> None:
    """Refuse a layer whose inputs and outputs do not depend on each other."""
    if not weights.any():
        raise InputError(f"layer {layer!r} must have a weight that is not 0 to have a dual")
    if not weights[on.any(axis=0)].any():
        raise InputError(
            f"layer {layer!r} has no input that is on for any of the {len(on)} recorded inputs "
            "and has a weight, so that its dual has no couplings; study an earlier layer"
        )


def _network_inputs(network: FeedForward, activations: Activations) -> NDArray[np.float32] | None:
    """Return the inputs of the whole network if they were recorded (the null nets need them)."""
    first = network.layer_names[0]
    return activations.layer_inputs.get(first) if first in activations.layer_inputs else None


def _gain(values: NDArray[np.float32], on: Bits, rule: str) -> Array:
    if rule == "unit":
        return np.ones(values.shape[1])
    count = on.sum(axis=0)
    total = np.where(on, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), 0.0)


def _subsets(
    outputs: Bits, n_subsets: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], ...]:
    n_inputs, n_out = outputs.shape
    if n_out <= MAX_WHOLE:
        return (np.arange(n_out),)
    on = outputs.sum(axis=0)
    active = np.flatnonzero((on > 0) & (on < n_inputs))
    size = network_patterns.subset_size(n_inputs, len(active))
    if size < 2:
        raise InputError(
            f"layer must have at least 2 nodes that are on for some inputs and off for others, "
            f"got {len(active)} of {n_out}; study another layer"
        )
    return network_patterns.random_subsets(active, size, n_subsets, rng=rng)


def _powers(n: int) -> NDArray[np.int64]:
    return np.left_shift(np.int64(1), np.arange(n, dtype=np.int64))


def bits_of(codes: Codes, n_units: int) -> Bits:
    """Return the patterns behind integer codes, shape (n, n_units)."""
    return ((codes[:, None] >> np.arange(n_units)) & 1).astype(np.bool_)


def popcounts(codes: Codes) -> NDArray[np.int64]:
    """Return the number of active units of each code."""
    return np.bitwise_count(codes).astype(np.int64)


def held_out_halves(n: int, rng: np.random.Generator) -> Sequence[NDArray[np.int64]]:
    """Return two disjoint random halves of the inputs."""
    order = rng.permutation(n)
    return order[: n // 2], order[n // 2 :]
