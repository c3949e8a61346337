"""Recording what the nodes of a network do on a set of distinct inputs.

A node is *on* where its activation is strictly above a threshold: 0 for ReLU, tanh and identity,
0.5 for the sigmoid.  A ReLU node at exactly 0 is off.  The on/off bits are kept packed, eight
nodes to a byte.

The unit of information is a distinct input.  A network without dropout or noise gives the same
activations each time, so that repeated passes (epochs) and repeated inputs add nothing: they are
removed, with a warning, and never multiply a count.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, SpinnetWarning, did_you_mean
from spinnet.networks._arrays import frozen
from spinnet.networks.architectures import INPUT_RANGE, FeedForward
from spinnet.networks.datasets import Dataset
from spinnet.networks.inputs import check_inputs, first_occurrences
from spinnet.validation import choice, finite_float, integer


class UnknownLayerError(InputError, KeyError):
    """A layer that was not recorded was asked for."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, eq=False)
class LayerActivations:
    """What the nodes of one layer did on each input.

    Attributes
    ----------
    name : str
    values : ndarray of float32, shape (n_inputs, n_units)
        Activations, after the activation function.
    bits : ndarray of uint8, shape (n_inputs, ceil(n_units / 8))
        ``numpy.packbits(values > threshold, axis=1)``.
    threshold : float
    """

    name: str
    values: NDArray[np.float32]
    bits: NDArray[np.uint8]
    threshold: float

    @property
    def n_inputs(self) -> int:
        """Number of distinct inputs."""
        return int(self.values.shape[0])

    @property
    def n_units(self) -> int:
        """Number of nodes."""
        return int(self.values.shape[1])

    def unpack(self) -> NDArray[np.bool_]:
        """Return the on/off bits, shape (n_inputs, n_units)."""
        return np.unpackbits(self.bits, axis=1, count=self.n_units).view(np.bool_)

    def subset(self, units: ArrayLike) -> NDArray[np.uint8]:
        """Return the packed patterns of some nodes only, shape (n_inputs, ceil(k / 8)).

        Parameters
        ----------
        units : array_like of int, shape (k,)
            Indices of the nodes, 0 to n_units - 1.
        """
        index = np.asarray(units)
        if index.ndim != 1 or index.size == 0 or index.dtype.kind not in "iu":
            raise InputError(f"units must be a non-empty 1-d array of node indices, got {units!r}")
        if index.min() < 0 or index.max() >= self.n_units:
            raise InputError(
                f"units must lie in 0 to {self.n_units - 1}, got {index.min()} to {index.max()}"
            )
        return np.packbits(self.values[:, index] > self.threshold, axis=1)

    def __repr__(self) -> str:
        return (
            f"LayerActivations({self.name!r}, {self.n_inputs} inputs, {self.n_units} nodes, "
            f"on above {self.threshold:g})"
        )


@dataclass(frozen=True, eq=False)
class Activations(Mapping[str, LayerActivations]):
    """The recorded layers by name, in the order of the network.

    Attributes
    ----------
    layers : mapping of str to LayerActivations
    layer_inputs : mapping of str to ndarray
        What went into each recorded layer (see `inputs_of`), and into the network's first layer
        whether recorded or not.
    labels : ndarray of int64, shape (n_inputs,), or None
        Class of each recorded input.
    index : ndarray of int64, shape (n_inputs,)
        Rows of the given inputs that were recorded: the first of each set of equal ones.
    n_duplicates : int
        Rows found equal to an earlier one.
    epochs : int
        Passes asked for, or found in recorded activations; one of them is kept.
    output_layer : str or None
        Name of the network's last layer, where it was recorded.
    """

    layers: Mapping[str, LayerActivations]
    layer_inputs: Mapping[str, NDArray[np.float32]]
    labels: NDArray[np.int64] | None
    index: NDArray[np.int64]
    n_duplicates: int = 0
    epochs: int = 1
    output_layer: str | None = None

    def __getitem__(self, name: str) -> LayerActivations:
        if name not in self.layers:
            hint = did_you_mean(name, self.layers) if isinstance(name, str) else ""
            raise UnknownLayerError(
                f"no layer {name!r} was recorded; there are {', '.join(self.layers)}{hint}"
            )
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        widths = ", ".join(f"{name}: {layer.n_units}" for name, layer in self.layers.items())
        return f"Activations({self.n_inputs} inputs; nodes {widths})"

    @property
    def n_inputs(self) -> int:
        """Number of distinct inputs."""
        return len(self.index)

    @property
    def default_layer(self) -> str:
        """The last recorded layer that is not the network's output, or the only ones there are."""
        hidden = [name for name in self if name != self.output_layer]
        return (hidden or list(self))[-1]

    def inputs_of(self, name: str) -> NDArray[np.float32]:
        """Return what went into a layer, shape (n_inputs, n_in).

        The activations of the layer before it, or the network's inputs for the first layer.
        """
        layer = self[name]
        if layer.name not in self.layer_inputs:
            raise InputError(
                f"the inputs of layer {name!r} are not known; pass them as inputs= to "
                "Activations.from_array, or record the network"
            )
        return self.layer_inputs[layer.name]

    @classmethod
    def from_array(
        cls,
        values: ArrayLike,
        *,
        layer: str = "layer",
        threshold: float = 0.0,
        inputs: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> Activations:
        """Make Activations of one layer from recorded values.

        Parameters
        ----------
        values : array_like, shape (n_inputs, n_units)
            One row per input.  Bits (0 and 1) are accepted.
        layer : str, optional
            Name of the layer.
        threshold : float, optional
            A node is on where its value is strictly above.
        inputs : array_like, shape (n_inputs, n_in), optional
            What went into the layer.  Rows of equal inputs are then kept once.
        labels : array_like of int, shape (n_inputs,), optional

        Returns
        -------
        Activations

        Notes
        -----
        Without `inputs` a repeated input cannot be told from two inputs of equal response.  A
        whole set of rows that is repeated in the same order is kept once; other rows of real
        values that are equal are kept, and counted in `n_duplicates`.  Both give a warning.
        """
        array = check_inputs(values, name="values")
        threshold = finite_float("threshold", threshold)
        given = None if inputs is None else check_inputs(inputs)
        if given is not None and len(given) != len(array):
            raise InputError(f"inputs must have {len(array)} rows like values, got {len(given)}")
        classes = _check_labels(labels, len(array))
        if given is None:
            index, n_duplicates, epochs = _repeated_rows(array)
        else:
            index, epochs = first_occurrences(given), 1
            n_duplicates = len(array) - len(index)
            if n_duplicates:
                _warn_of_duplicates(n_duplicates, len(array))
        kept = array[index]
        recorded = LayerActivations(
            layer, frozen(kept), frozen(np.packbits(kept > threshold, axis=1)), threshold
        )
        return cls(
            layers={layer: recorded},
            layer_inputs={} if given is None else {layer: frozen(given[index])},
            labels=None if classes is None else classes[index],
            index=index,
            n_duplicates=n_duplicates,
            epochs=epochs,
        )


def record(
    network: FeedForward,
    inputs: ArrayLike | Dataset,
    *,
    layers: Sequence[str] | None = None,
    epochs: int = 1,
    labels: ArrayLike | None = None,
    duplicates: str = "drop",
    batch_size: int = 1024,
) -> Activations:
    """Record the activations of a network's layers.

    Parameters
    ----------
    network : FeedForward
    inputs : array_like, shape (n_inputs, n_in), or Dataset
        Axes beyond the first are flattened.  A Dataset brings its labels.
    layers : sequence of str, optional
        Layers to record; all by default.
    epochs : int, optional
        Passes over the inputs.  The network is deterministic, so that more than one gives a
        warning and is recorded once.
    labels : array_like of int, shape (n_inputs,), optional
        Class of each input.
    duplicates : {"drop", "keep"}, optional
        What to do with inputs equal to an earlier one.  "drop" (default) records the first, and
        warns.  "keep" is for inputs that are draws from a discrete distribution, whose
        repetitions do carry information.
    batch_size : int, optional

    Returns
    -------
    Activations

    Examples
    --------
    >>> from spinnet import networks
    >>> data = networks.datasets.load("fashion-mnist")
    >>> act = networks.record(networks.load_bundled(), data.images[:500], layers=["fc3"])
    >>> act["fc3"].n_inputs, act["fc3"].n_units, act["fc3"].bits.shape
    (500, 20, (500, 3))
    """
    if not isinstance(network, FeedForward):
        raise InputError(
            f"network must be a FeedForward, got {type(network).__name__}; build one with "
            "FeedForward.from_arrays, or pass recorded activations to Activations.from_array"
        )
    epochs = integer("epochs", epochs, minimum=1)
    x = check_inputs(inputs, network.layers[0].n_in)
    if labels is None and isinstance(inputs, Dataset):
        labels = inputs.labels
    classes = _check_labels(labels, len(x))
    names = _chosen_layers(network, layers)
    keep = choice("duplicates", duplicates, ("drop", "keep")) == "keep"
    index = first_occurrences(x)
    n_duplicates = len(x) - len(index)
    if keep:
        index = np.arange(len(x))
    elif n_duplicates:
        _warn_of_duplicates(n_duplicates, len(x))
    _warn_of_range(network, x)
    if epochs > 1:
        warnings.warn(
            f"epochs={epochs}: the network is deterministic, so each pass repeats the first; "
            f"the {len(index)} inputs are recorded once",
            SpinnetWarning,
            stacklevel=2,
        )
    if len(index) < len(x):
        x = x[index]
    values, before = _forward(network, x, names, batch_size)
    return Activations(
        layers={
            name: LayerActivations(
                name,
                array,
                frozen(np.packbits(array > network[name].threshold, axis=1)),
                network[name].threshold,
            )
            for name, array in values.items()
        },
        layer_inputs=before,
        labels=None if classes is None else classes[index],
        index=index,
        n_duplicates=n_duplicates,
        epochs=epochs,
        output_layer=network.layers[-1].name,
    )


def _forward(
    network: FeedForward, x: NDArray[np.float32], names: tuple[str, ...], batch_size: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """Return the activations of some layers, and the inputs of each."""
    previous = dict(zip(network.layer_names[1:], network.layer_names, strict=False))
    needed = {*names, *(previous[name] for name in names if name in previous)}
    arrays = {
        layer.name: np.empty((len(x), layer.n_out), np.float32)
        for layer in network.layers
        if layer.name in needed
    }
    for rows, batch in network.batches(x, batch_size=batch_size):
        for name, array in arrays.items():
            array[rows] = batch[name]
    for array in (x, *arrays.values()):
        frozen(array)
    values = {name: arrays[name] for name in names}
    before = {name: arrays[previous[name]] if name in previous else x for name in names}
    # the network's own inputs are kept whichever layers are recorded: null networks need them
    return values, {network.layer_names[0]: x} | before


def _chosen_layers(network: FeedForward, layers: Sequence[str] | None) -> tuple[str, ...]:
    if layers is None:
        return network.layer_names
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise InputError(f"layers must be a sequence of names, got {layers!r}; write [{layers!r}]")
    chosen = {network.index(name) for name in layers}
    if not chosen:
        raise InputError(f"layers must name at least one of {', '.join(network.layer_names)}")
    return tuple(network.layer_names[k] for k in sorted(chosen))


def _check_labels(labels: ArrayLike | None, n_inputs: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.shape != (n_inputs,) or array.dtype.kind not in "iu":
        raise InputError(
            f"labels must be {n_inputs} integers, one per input, got dtype {array.dtype} and "
            f"shape {array.shape}"
        )
    return array.astype(np.int64)


def _warn_of_duplicates(n_duplicates: int, n_inputs: int) -> None:
    warnings.warn(
        f"{n_duplicates} of {n_inputs} inputs equal an earlier one and are dropped; "
        f"{n_inputs - n_duplicates} distinct inputs are recorded",
        SpinnetWarning,
        stacklevel=3,
    )


def _repeated_rows(values: NDArray[np.float32]) -> tuple[NDArray[np.int64], int, int]:
    """Return the rows of one pass, the number of duplicate rows, and the number of passes."""
    from spinnet.tails.patterns.rows import row_groups

    n = len(values)
    first, group, _ = row_groups(values + np.float32(0))
    n_duplicates = n - len(first)
    if len(first) > 1:
        for period in range(len(first), n // 2 + 1):
            if n % period == 0 and np.array_equal(group[period:], group[:-period]):
                warnings.warn(
                    f"values repeat the same {period} rows {n // period} times: repeated passes "
                    "of a deterministic network add no information, and one is kept; if the "
                    "inputs did differ, pass them as inputs=",
                    SpinnetWarning,
                    stacklevel=3,
                )
                return np.arange(period), n - period, n // period
    # Different inputs often share their bits, or leave every node at 0: neither is a sign.
    silent = (values == 0).all(axis=1)
    repeated = n_duplicates - max(0, int(silent.sum()) - 1)
    if repeated > 0 and len(np.unique(values)) > 2:
        warnings.warn(
            f"{repeated} of {n} rows of values equal an earlier row that is not zero: if inputs "
            "were repeated, pass them as inputs= so that each counts once",
            SpinnetWarning,
            stacklevel=3,
        )
    return np.arange(n), n_duplicates, 1


def _warn_of_range(network: FeedForward, inputs: NDArray[np.float32]) -> None:
    if network.metadata.get(INPUT_RANGE) != "0 1":
        return
    low, high = float(inputs.min()), float(inputs.max())
    if low < 0 or high > 1:
        warnings.warn(
            f"the network was trained on inputs in [0, 1], got values from {low:g} to {high:g}; "
            "divide grey levels by 255",
            SpinnetWarning,
            stacklevel=3,
        )
