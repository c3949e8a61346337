"""Feed-forward networks in NumPy: a_l = f_l(a_{l-1} W_l + b_l), float32, weights (n_in, n_out).

A network is a frozen value: the null models (shuffled weights, untrained weights) and every
replacement of a layer return another network, whose `origin` says where its weights come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, did_you_mean
from spinnet.networks.datasets import Dataset
from spinnet.networks.inputs import check_inputs
from spinnet.networks.naming import chain_layers
from spinnet.networks.weights import check_weights, fingerprint
from spinnet.randomness import RandomState, seed_sequence
from spinnet.validation import choice, integer

Float32Array: TypeAlias = NDArray[np.float32]

INITIAL_PREFIX = "initial."
INPUT_RANGE = "input_range"  # "0 1" where the network takes grey levels in [0, 1]


def _sigmoid(x: Float32Array) -> Float32Array:
    # tanh keeps both tails finite, where exp(-x) would overflow
    result: Float32Array = np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * x))
    return result


ACTIVATIONS: Mapping[str, Callable[[Float32Array], Float32Array]] = MappingProxyType(
    {
        "relu": lambda x: np.maximum(x, np.float32(0)),
        "tanh": np.tanh,
        "sigmoid": _sigmoid,
        "identity": lambda x: x,
    }
)
# A node is on when its activation exceeds this: strictly, so that a ReLU at 0 is off.
THRESHOLDS: Mapping[str, float] = MappingProxyType(
    {"relu": 0.0, "tanh": 0.0, "sigmoid": 0.5, "identity": 0.0}
)


@dataclass(frozen=True, eq=False)
class Layer:
    """A fully connected layer, activation(inputs @ weights + bias).

    Attributes
    ----------
    name : str
    weights : ndarray of float32, shape (n_in, n_out)
    bias : ndarray of float32, shape (n_out,)
    activation : {"relu", "tanh", "sigmoid", "identity"}
    """

    name: str
    weights: Float32Array
    bias: Float32Array
    activation: str = "relu"

    def __post_init__(self) -> None:
        choice("activation", self.activation, tuple(ACTIVATIONS))
        for label, ndim in (("weights", 2), ("bias", 1)):
            array = np.asarray(getattr(self, label))
            check_weights(f"{label} of layer {self.name!r}", array)
            if array.ndim != ndim:
                raise InputError(
                    f"{label} of layer {self.name!r} must have {ndim} dimension(s), "
                    f"got shape {array.shape}"
                )
            with np.errstate(over="ignore"):  # reported just below
                array = np.array(array, dtype=np.float32)
            check_weights(f"{label} of layer {self.name!r} (in float32)", array)
            array.flags.writeable = False
            object.__setattr__(self, label, array)
        if len(self.bias) != self.n_out:
            raise InputError(
                f"layer {self.name!r} has weights (n_in, n_out) = {self.weights.shape} and a bias "
                f"of length {len(self.bias)}; expected {self.n_out}"
            )

    def __repr__(self) -> str:
        return f"Layer({self.name!r}, {self.n_in} -> {self.n_out}, {self.activation})"

    @property
    def n_in(self) -> int:
        """Number of inputs of each node."""
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        """Number of nodes."""
        return int(self.weights.shape[1])

    @property
    def threshold(self) -> float:
        """A node is on when its activation is strictly above this value."""
        return THRESHOLDS[self.activation]

    def __call__(self, inputs: Float32Array) -> Float32Array:
        """Return the activations, shape (n_inputs, n_out)."""
        return ACTIVATIONS[self.activation](inputs @ self.weights + self.bias)


@dataclass(frozen=True, eq=False)
class FeedForward:
    """A chain of fully connected layers, evaluated in float32.

    Attributes
    ----------
    layers : tuple of Layer
        From the input to the output.
    initial : FeedForward or None
        The same network before training, where it is known.
    metadata : mapping of str to str
        What the weights file says of itself.  A network made from another keeps only the range
        of its inputs.
    origin : str
        Where the weights come from: "given", "initial", or the null model that made them.
    """

    layers: tuple[Layer, ...]
    initial: FeedForward | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    origin: str = "given"

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        if not self.layers:
            raise InputError("layers must hold at least one Layer, got none")
        names = self.layer_names
        if len(set(names)) < len(names):
            raise InputError(f"layers must have different names, got {', '.join(names)}")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if before.n_out != after.n_in:
                raise InputError(
                    f"layer {before.name!r} has {before.n_out} nodes, but layer {after.name!r} "
                    f"takes {after.n_in} inputs (weights are (n_in, n_out))"
                )
        if self.initial is not None and self.initial.widths != self.widths:
            raise InputError(
                f"initial must have the widths {self.widths}, got {self.initial.widths}"
            )

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        *,
        activation: str = "relu",
        output_activation: str = "identity",
        metadata: Mapping[str, str] | None = None,
        ordered: bool = True,
    ) -> FeedForward:
        """Build a network from named arrays, such as those of `load_weights`.

        Layers are named ``fc1.weight`` with ``fc1.bias`` (PyTorch), ``W1`` with ``b1``, or
        ``fc1/kernel`` with ``fc1/bias`` (Keras, Flax); a bias may be missing, and is then zero.
        Arrays whose name starts with ``initial.`` give the network before training.

        Orientation: ``.weight`` is read as PyTorch stores it, (n_out, n_in), every other name as
        (n_in, n_out).  A layer that its bias or its neighbours contradict is turned around.
        Where the shapes decide nothing (only square layers, or a single one without bias), a
        SpinnetWarning says how the layers were read.

        Order: that of the numbers where the names differ only by these, and of `arrays`
        otherwise.

        Parameters
        ----------
        arrays : mapping of str to ndarray
        activation, output_activation : {"relu", "tanh", "sigmoid", "identity"}, optional
            Of the hidden layers, and of the last one.
        metadata : mapping of str to str, optional
        ordered : bool, optional
            False for the arrays of a .safetensors file, which does not keep their order: it is
            then found from the shapes, or refused where several orders fit.
        """
        names = list(arrays) if isinstance(arrays, Mapping) else [arrays]
        if not all(isinstance(name, str) for name in names):
            raise InputError(
                "arrays must be a mapping of names to arrays, such as load_weights returns, got "
                f"{type(arrays).__name__} of {', '.join(type(name).__name__ for name in names)}"
            )
        trained = {k: v for k, v in arrays.items() if not k.startswith(INITIAL_PREFIX)}
        before = {
            k.removeprefix(INITIAL_PREFIX): v
            for k, v in arrays.items()
            if k.startswith(INITIAL_PREFIX)
        }
        initial = None
        if before:
            initial = cls(
                _layers(before, activation, output_activation, ordered, warn=False),
                metadata=_of_inputs(metadata or {}),
                origin="initial",
            )
        return cls(
            _layers(trained, activation, output_activation, ordered, warn=True),
            initial=initial,
            metadata=metadata or {},
        )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, from the input to the output."""
        return tuple(layer.name for layer in self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of nodes, the inputs first."""
        return (self.layers[0].n_in, *(layer.n_out for layer in self.layers))

    def __getitem__(self, name: str) -> Layer:
        return self.layers[self.index(name)]

    def __repr__(self) -> str:
        return (
            f"FeedForward({'-'.join(str(n) for n in self.widths)}, "
            f"layers={', '.join(self.layer_names)}, origin={self.origin!r})"
        )

    def index(self, name: str) -> int:
        """Return the position of a layer; an unknown name raises InputError."""
        if name not in self.layer_names:
            hint = did_you_mean(name, self.layer_names) if isinstance(name, str) else ""
            raise InputError(
                f"no layer {name!r}; the network has {', '.join(self.layer_names)}{hint}"
            )
        return self.layer_names.index(name)

    def forward(
        self, inputs: ArrayLike | Dataset, *, batch_size: int = 1024
    ) -> dict[str, Float32Array]:
        """Return the activations of every layer.

        Parameters
        ----------
        inputs : array_like, shape (n_inputs, n_in), or Dataset
            Axes beyond the first are flattened.
        batch_size : int, optional
            Rows evaluated together.

        Returns
        -------
        dict of str to ndarray of float32
            By layer name, shape (n_inputs, n_out), after the activation function.
        """
        x = check_inputs(inputs, self.layers[0].n_in)
        result = {layer.name: np.empty((len(x), layer.n_out), np.float32) for layer in self.layers}
        for rows, batch in self.batches(x, batch_size=batch_size):
            for name, values in batch.items():
                result[name][rows] = values
        return result

    def batches(
        self, inputs: Float32Array, *, batch_size: int = 1024
    ) -> Iterator[tuple[slice, dict[str, Float32Array]]]:
        """Yield (rows, activations of every layer on those rows), one batch at a time."""
        step = integer("batch_size", batch_size, minimum=1)
        for start in range(0, len(inputs), step):
            rows = slice(start, min(start + step, len(inputs)))
            values, batch = inputs[rows], {}
            for layer in self.layers:
                with np.errstate(over="ignore", invalid="ignore"):  # reported just below
                    values = layer(values)
                if not np.isfinite(values).all():
                    raise InputError(
                        f"layer {layer.name!r} gives activations that are not finite in "
                        f"float32 on inputs {rows.start} to {rows.stop - 1}: the inputs or the "
                        "weights are too large"
                    )
                batch[layer.name] = values
            yield rows, batch

    def predict(self, inputs: ArrayLike | Dataset, *, batch_size: int = 1024) -> NDArray[np.int64]:
        """Return the class of each input: the output node of the largest activation."""
        x = check_inputs(inputs, self.layers[0].n_in)
        last = self.layers[-1].name
        parts = [b[last].argmax(axis=1) for _, b in self.batches(x, batch_size=batch_size)]
        return np.concatenate(parts).astype(np.int64)

    def accuracy(self, dataset: Dataset) -> float:
        """Return the fraction of images that are given their label."""
        return float(np.mean(self.predict(dataset) == dataset.labels))

    def replace_layer(
        self,
        name: str,
        *,
        weights: NDArray[Any] | None = None,
        bias: NDArray[Any] | None = None,
        activation: str | None = None,
    ) -> FeedForward:
        """Return a network with the weights, bias or activation of one layer replaced."""
        k = self.index(name)
        old = self.layers[k]
        new = Layer(
            name,
            old.weights if weights is None else weights,
            old.bias if bias is None else bias,
            old.activation if activation is None else activation,
        )
        layers = (*self.layers[:k], new, *self.layers[k + 1 :])
        return self._with_layers(layers, f"layer {name!r} replaced")

    def shuffled(
        self, rng: RandomState = None, *, layers: Sequence[str] | None = None
    ) -> FeedForward:
        """Return the null model whose weights are permuted within each layer.

        Every entry of a weight matrix is moved to a random place of the same matrix: the
        distribution of the weights stays, their arrangement goes.  Biases stay.

        Parameters
        ----------
        rng : None, int, SeedSequence or Generator, optional
            Each layer has a stream of its own, so that a layer is permuted alike whichever
            others are.
        layers : sequence of str, optional
            The layers to permute; all by default.
        """
        if isinstance(layers, str):
            raise InputError(f"layers must be a sequence of names, got {layers!r}; [{layers!r}]?")
        names = self.layer_names if layers is None else tuple(layers)
        chosen = {self.index(name) for name in names}
        streams = seed_sequence(rng).spawn(len(self.layers))
        result = [
            _permuted(layer, np.random.default_rng(stream)) if k in chosen else layer
            for k, (layer, stream) in enumerate(zip(self.layers, streams, strict=True))
        ]
        which = "all layers" if layers is None else ", ".join(names)
        return self._with_layers(tuple(result), f"weights shuffled in {which}")

    def redraw_untrained(self, rng: RandomState = None) -> FeedForward:
        """Return the null model of an untrained network, drawn afresh.

        Where the initial weights are known, their entries (weights and biases, each within its
        layer) are permuted, which is another draw from any initialisation of independent and
        identically distributed entries.  Otherwise both are drawn from the default of PyTorch's
        Linear, uniform in +-1/sqrt(n_in).  `origin` of the result says which of the two it was.
        """
        source = self if self.initial is None else self.initial
        layers = []
        for layer, stream in zip(
            source.layers, seed_sequence(rng).spawn(len(source.layers)), strict=True
        ):
            generator = np.random.default_rng(stream)
            if self.initial is not None:
                layers.append(_permuted(layer, generator, bias=True))
            else:
                bound = 1 / np.sqrt(layer.n_in)
                weights = generator.uniform(-bound, bound, layer.weights.shape)
                bias = generator.uniform(-bound, bound, layer.n_out)
                layers.append(
                    replace(layer, weights=weights.astype(np.float32), bias=bias.astype(np.float32))
                )
        origin = (
            "untrained: drawn uniform in +-1/sqrt(n_in), the initial weights being unknown"
            if self.initial is None
            else "untrained: initial weights permuted within each layer"
        )
        return FeedForward(tuple(layers), metadata=_of_inputs(self.metadata), origin=origin)

    def _with_layers(self, layers: tuple[Layer, ...], what: str) -> FeedForward:
        return replace(
            self,
            layers=layers,
            metadata=_of_inputs(self.metadata),
            origin=f"{self.origin}, {what}",
        )

    def arrays(self) -> dict[str, Float32Array]:
        """Return the arrays in PyTorch's names and orientation, (n_out, n_in)."""
        result = {}
        for layer in self.layers:
            result[f"{layer.name}.weight"] = np.ascontiguousarray(layer.weights.T)
            result[f"{layer.name}.bias"] = layer.bias
        if self.initial is not None:
            for name, array in self.initial.arrays().items():
                result[INITIAL_PREFIX + name] = array
        return result

    def fingerprint(self) -> str:
        """Return the sha256 of `arrays`."""
        return fingerprint(self.arrays())


def _of_inputs(metadata: Mapping[str, str]) -> dict[str, str]:
    """Keep what stays true when the weights change: an accuracy, say, does not."""
    return {key: value for key, value in metadata.items() if key == INPUT_RANGE}


def _layers(
    arrays: Mapping[str, NDArray[Any]],
    activation: str,
    output_activation: str,
    ordered: bool,
    *,
    warn: bool,
) -> tuple[Layer, ...]:
    chain = chain_layers(arrays, ordered=ordered, warn=warn)
    kinds = [activation] * (len(chain) - 1) + [output_activation]
    return tuple(
        Layer(part.name, part.weights, part.bias, kind)
        for part, kind in zip(chain, kinds, strict=True)
    )


def _permuted(layer: Layer, rng: np.random.Generator, *, bias: bool = False) -> Layer:
    weights = rng.permutation(layer.weights.ravel()).reshape(layer.weights.shape)
    return replace(layer, weights=weights, bias=rng.permutation(layer.bias) if bias else layer.bias)
