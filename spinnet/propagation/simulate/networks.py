"""One random network of finite width: signals forward, gradients and Jacobians backward.

Conventions: h^1 = W^1 x + b^1 acts on the raw input, h^l = W^l phi(h^{l-1}) + b^l, and weights
have shape (n_out, n_in).  Layers are numbered from 1 to `depth`; layer 0 is the input.  Noise acts
on the activities phi(h^l) and never on the raw input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.noise import Dropout, Noise
from spinnet.propagation.simulate.corruption import draw_noise, is_silent
from spinnet.randomness import RandomState, generator, seed_sequence
from spinnet.validation import choice, finite_array, integer

if TYPE_CHECKING:
    from spinnet.propagation.geometry.boundary import BoundaryCurvature
    from spinnet.propagation.simulate.curves import Curve

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Step:
    """What one layer saw: pre-activations, and the noise on its activities (or None)."""

    layer: int
    h: Array
    factor: Array | None
    addition: Array | None


@dataclass(frozen=True, eq=False)
class Network:
    """A network of given weights; :func:`spinnet.propagation.simulate.network` draws random ones.

    Attributes
    ----------
    activation : Activation
    weights : sequence of ndarray
        W^1, ..., W^depth, each (n_out, n_in).
    biases : sequence of ndarray
        b^1, ..., b^depth, each (n_out,).
    noise : Dropout, MultiplicativeGaussian or AdditiveGaussian
        Noise on the activities.
    noise_seed : SeedSequence
        Stream of the noise, used where a method is given no `rng`: calls repeat.
    dtype : numpy.dtype
        float32 or float64, of weights and results.
    parameters, seed : dict
        What makes the network again; empty for weights of the user's own.
    """

    activation: Activation
    weights: Sequence[Array]
    biases: Sequence[Array]
    widths: tuple[int, ...]
    noise: Noise = field(default_factory=lambda: Dropout(1.0))
    noise_seed: np.random.SeedSequence = field(default_factory=lambda: np.random.SeedSequence(0))
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float64))
    parameters: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    seed: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_weights(
        cls,
        activation: str | Activation,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike] | None = None,
    ) -> Network:
        """Return a network of the user's own weights.

        Parameters
        ----------
        activation : str or Activation
        weights : sequence of array_like
            One matrix (n_out, n_in) per layer.
        biases : sequence of array_like, optional
            One vector (n_out,) per layer; zeros by default.

        Raises
        ------
        InputError
            If shapes do not fit together, or numbers are not finite.
        """
        function = get_activation(activation)
        given_weights = _listed("weights", weights)
        matrices = [finite_array(f"weights[{k}]", w, ndim=2) for k, w in enumerate(given_weights)]
        if not matrices:
            raise InputError("weights must hold at least one matrix, got none")
        given = [np.zeros(w.shape[0]) for w in matrices]
        if biases is not None:
            given = _listed("biases", biases)
        if len(given) != len(matrices):
            raise InputError(
                f"biases must hold one vector per layer, got {len(given)} for "
                f"{len(matrices)} matrices"
            )
        vectors = [finite_array(f"biases[{k}]", b, ndim=1) for k, b in enumerate(given)]
        widths = [matrices[0].shape[1]]
        for k, (w, b) in enumerate(zip(matrices, vectors, strict=True)):
            if w.shape[1] != widths[-1] or b.shape[0] != w.shape[0]:
                raise InputError(
                    f"weights[{k}] must have {widths[-1]} columns and biases[{k}] its number of "
                    f"rows, got shapes {w.shape} and {b.shape}; weights are (n_out, n_in)"
                )
            widths.append(w.shape[0])
        return cls(function, tuple(matrices), tuple(vectors), tuple(widths))

    def __repr__(self) -> str:
        return f"Network({self.activation.name!r}, widths={shortened(self.widths)})"

    @property
    def depth(self) -> int:
        """Number of layers of weights."""
        return len(self.widths) - 1

    # ------------------------------------------------------------------ forward
    def forward(self, x: ArrayLike, *, layer: int = 0, rng: RandomState = None) -> list[Array]:
        """Return the pre-activations of all layers.

        Parameters
        ----------
        x : array_like, shape (n_inputs, width) or (width,)
            Inputs; with `layer` = l >= 1 the pre-activations h^l to start from.
        layer : int
            Which layer `x` stands for; 0 is the raw input.
        rng : None, int, SeedSequence or Generator
            Stream of the noise; by default the network's own, so that calls repeat.

        Returns
        -------
        list of ndarray, each (n_inputs, width_l) or (width_l,)
            h^l for l = max(`layer`, 1), ..., depth.

        Raises
        ------
        InputError
            If `x` has another width, NaN or infinities, or if the signal overflows.
        """
        batch, single = self.as_batch(x, layer)
        steps = [step.h for step in self.walk(batch, layer, rng)]
        return [h[0] for h in steps] if single else steps

    def walk(self, x: Array, layer: int = 0, rng: RandomState = None) -> Iterator[Step]:
        """Yield layer after layer for a batch `x` (n_inputs, width); none is kept."""
        streams = self._noise_streams(rng)
        h = self._affine(1, x) if layer == 0 else x
        for number in range(max(layer, 1), self.depth + 1):
            drawn = self._draw_noise(streams, number, h.shape)
            yield Step(number, h, *drawn)
            if number < self.depth:
                h = self._affine(number + 1, self.activity(Step(number, h, *drawn)))

    def activity(self, step: Step) -> Array:
        """Return what the next layer sees: phi(h), with its noise."""
        x = self._cast(self.activation(step.h))
        if step.factor is not None:
            x = x * step.factor
        return x if step.addition is None else x + step.addition

    def slope(self, step: Step) -> Array:
        """Return the diagonal of D = d(activity)/dh, shape (n_inputs, width)."""
        slope = self._cast(self.activation.derivative(step.h))
        return slope if step.factor is None else slope * step.factor

    # ------------------------------------------------------------------ derivatives
    def backward(
        self,
        x: ArrayLike,
        top: ArrayLike | None = None,
        *,
        layer: int = 0,
        rng: RandomState = None,
    ) -> list[Array]:
        r"""Return the back-propagated gradients delta^l = dE/dh^l of E = `top` . h^depth.

        .. math:: \delta^l = D^l (W^{l+1})^T \delta^{l+1}

        Parameters
        ----------
        x : array_like, shape (n_inputs, width) or (width,)
            Inputs, or h^l with `layer` = l.
        top : array_like, shape (n_out,) or (n_inputs, n_out), optional
            dE/dh at the last layer; ones by default.
        layer, rng
            As in :meth:`forward`.

        Returns
        -------
        list of ndarray, each (n_inputs, width_l) or (width_l,)
            delta^l for l = max(`layer`, 1), ..., depth.
        """
        batch, single = self.as_batch(x, layer)
        seed = finite_array("top", np.ones(self.widths[-1]) if top is None else top)
        if seed.shape not in ((self.widths[-1],), (len(batch), self.widths[-1])):
            raise InputError(
                f"top must have shape ({self.widths[-1]},) or ({len(batch)}, {self.widths[-1]}), "
                f"got {seed.shape}"
            )
        steps = list(self.walk(batch, layer, rng))
        deltas = self.pull_back(steps, np.broadcast_to(seed, (len(batch), self.widths[-1])))
        return [d[0] for d in deltas] if single else deltas

    def pull_back(self, steps: Sequence[Step], top: Array) -> list[Array]:
        """Return delta^l for the layers of `steps`, the last of which has delta = `top`."""
        deltas = [self._cast(top)]
        for step in reversed(steps[:-1]):
            with np.errstate(over="ignore", invalid="ignore"):
                back = deltas[-1] @ self.weights[step.layer]  # weights[l] is W^{l+1}
                delta = self.slope(step) * back
            deltas.append(self.finite(delta, "gradient", step.layer))
        return deltas[::-1]

    def jacobian(
        self,
        x: ArrayLike,
        *,
        kind: str = "pre",
        start: int | None = None,
        stop: int | None = None,
        layer: int = 0,
        rng: RandomState = None,
    ) -> Array:
        """Return the Jacobian from one layer to another, for each input.

        With D^l = diag(phi'(h^l)), noise included:

        * ``kind="pre"``: d h^stop / d h^start = W^stop D^{stop-1} ... W^{start+1} D^start, between
          pre-activations; by default from layer 1 to the last, depth - 1 factors.
        * ``kind="post"``: d x^stop / d x^start = D^stop W^stop ... D^{start+1} W^{start+1},
          between activities x^l = phi(h^l), x^0 the raw input; by default from the input to the
          last layer, depth factors.

        Parameters
        ----------
        x : array_like, shape (n_inputs, width) or (width,)
            Inputs, or h^l with `layer` = l.
        kind : {"pre", "post"}
        start, stop : int, optional
        layer, rng
            As in :meth:`forward`.

        Returns
        -------
        ndarray, shape (n_inputs, width_stop, width_start) or (width_stop, width_start)
        """
        batch, single = self.as_batch(x, layer)
        pre = choice("kind", kind, ("pre", "post")) == "pre"
        first = max(layer, 1 if pre else 0)
        begin = first if start is None else integer("start", start, minimum=first)
        end = self.depth if stop is None else integer("stop", stop, minimum=1, maximum=self.depth)
        if begin >= end:
            raise InputError(
                f"start must be below stop, got start = {begin} and stop = {end} "
                f"(kind {kind!r}, {self.depth} layers, x given at layer {layer})"
            )
        widest = max(self.widths[begin + 1 : end + 1])
        size = 3.0 * len(batch) * widest * self.widths[begin] * self.dtype.itemsize
        refuse_beyond_memory(
            size, f"Jacobians of {len(batch)} input(s)", "pass fewer inputs at a time"
        )
        square = (len(batch), self.widths[begin], self.widths[begin])
        result: Array = np.broadcast_to(np.eye(self.widths[begin], dtype=self.dtype), square)
        for step in self.walk(batch, layer, rng):
            if step.layer > end or (step.layer == end and pre):
                break
            with np.errstate(over="ignore", invalid="ignore"):
                if not pre and step.layer > begin:
                    product = self.weights[step.layer - 1] @ result
                    result = self.slope(step)[:, :, None] * product
                elif pre and step.layer >= begin:
                    result = self.weights[step.layer] @ (self.slope(step)[:, :, None] * result)
            self.finite(result, "Jacobian", step.layer)
        return np.asarray(result[0] if single else result)

    def singular_values(
        self,
        x: ArrayLike,
        *,
        kind: str = "pre",
        start: int | None = None,
        stop: int | None = None,
        layer: int = 0,
        rng: RandomState = None,
    ) -> Array:
        """Return the singular values of :meth:`jacobian`, decreasing along the last axis.

        Their absolute error is rounding times the largest: of long products, those far below it
        have no right digits.
        """
        matrix = self.jacobian(x, kind=kind, start=start, stop=stop, layer=layer, rng=rng)
        return np.asarray(np.linalg.svd(matrix, compute_uv=False))

    def curve(
        self,
        theta: int | ArrayLike = 256,
        q: float = 1.0,
        *,
        curvature: bool = True,
        keep_points: Sequence[int] = (),
        rng: RandomState = None,
    ) -> Curve:
        """Push a circle of first-layer pre-activations through the network.

        See :func:`spinnet.propagation.simulate.curves.push_circle`.
        """
        from spinnet.propagation.simulate.curves import push_circle

        return push_circle(self, theta, q, curvature=curvature, keep_points=keep_points, rng=rng)

    def boundary(
        self,
        n_points: int = 10,
        *,
        q: float = 1.0,
        layer: int = 1,
        readout: ArrayLike | None = None,
        rng: RandomState = None,
    ) -> BoundaryCurvature:
        """Find points of a decision boundary, and return its principal curvatures there.

        The boundary of a linear read-out of the last activities, seen in the space of every layer
        from `layer` on; see :func:`spinnet.propagation.geometry.boundary.find_boundary` and
        :func:`spinnet.propagation.geometry.boundary.boundary_curvature`.
        """
        from spinnet.propagation.geometry.boundary import boundary_curvature, find_boundary

        found = find_boundary(self, n_points, q=q, layer=layer, readout=readout, rng=rng)
        return boundary_curvature(self, found.readout, found.points, layer=layer)

    # ------------------------------------------------------------------ parts
    def _affine(self, layer: int, x: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            h = x @ self.weights[layer - 1].T + self.biases[layer - 1]
        return self.finite(np.asarray(h), "signal", layer)

    def finite(self, array: Array, what: str, layer: int) -> Array:
        """Return `array`; refuse one that overflowed."""
        if not np.isfinite(array).all():
            raise InputError(
                f"the {what} overflows {self.dtype} at layer {layer}: take fewer layers, "
                "a smaller sigma_w or smaller inputs"
            )
        return array

    def _cast(self, array: Array) -> Array:
        return np.asarray(array).astype(self.dtype, copy=False)

    def _noise_streams(self, rng: RandomState) -> list[np.random.SeedSequence]:
        if is_silent(self.noise):
            return []
        root = self.noise_seed if rng is None else rng
        return seed_sequence(root).spawn(self.depth)

    def _draw_noise(
        self, streams: list[np.random.SeedSequence], layer: int, shape: tuple[int, ...]
    ) -> tuple[Array | None, Array | None]:
        if not streams:
            return None, None
        rng = generator(streams[layer - 1])
        return draw_noise(self.noise, rng, (shape[0], shape[1]), self.dtype)

    def as_batch(self, x: ArrayLike, layer: int) -> tuple[Array, bool]:
        """Return `x` as (n_inputs, width) and whether it was a single vector."""
        layer = integer("layer", layer, minimum=0, maximum=self.depth)
        array = finite_array("x", x)
        width = self.widths[layer]
        if array.ndim not in (1, 2) or array.shape[-1] != width or array.size == 0:
            raise InputError(
                f"x must have shape (n_inputs, {width}) or ({width},), got {array.shape}"
            )
        n_inputs = 1 if array.ndim == 1 else len(array)
        size = float(n_inputs) * sum(self.widths) * self.dtype.itemsize
        refuse_beyond_memory(size, f"the layers of {n_inputs} input(s)", "pass fewer at a time")
        with np.errstate(over="ignore"):
            batch = self._cast(np.atleast_2d(array))
        if not np.isfinite(batch).all():
            raise InputError(f"x must be within the range of {self.dtype}")
        return batch, array.ndim == 1


def _listed(name: str, layers: Sequence[ArrayLike]) -> list[Any]:
    try:
        return list(layers)
    except TypeError as error:
        raise InputError(f"{name} must hold one array per layer, got {layers!r:.80}") from error


def shortened(widths: Sequence[int]) -> str:
    """Return widths in a few words."""
    if len(widths) <= 6:
        return str(list(widths))
    return f"[{widths[0]}, {widths[1]}, ..., {widths[-1]}] ({len(widths) - 1} layers)"
