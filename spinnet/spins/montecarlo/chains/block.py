"""Two layers drawn in turn: one matrix product over many replicas for each layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import CheckpointError, InputError
from spinnet.spins.models import Bipartite, NetworkDual, SpinModel
from spinnet.spins.montecarlo.chains.base import (
    Array,
    ChainSet,
    Spins,
    State,
    in_threads,
    packed,
    single_precision_unit,
    unpacked,
)
from spinnet.spins.montecarlo.updates import BlockGibbs, Update

_WEAKEST = 1e-4  # of the strongest weight of a unit: weights down to here act in any layer
_ROWS = 256  # replicas that go through all sweeps of a block together: they stay in the cache
_LANES = 16  # units drawn at once; rows are padded to a multiple


class _Layer:
    """One layer: its values, the weights into it, and its constants, padded to whole vectors."""

    def __init__(self, n_replicas: int, into: Array, bias: Array) -> None:
        self.n = into.shape[1]
        self.into, unit = exact_sums(into)
        self._width = -(-self.n // _LANES) * _LANES
        self.values = np.zeros((n_replicas, self._width), np.float32)
        self.units = self._padded(unit)
        # units of the padding are never high, at any temperature: even 0 (-inf) = NaN is not
        self.biases = self._padded(bias, -np.inf)
        self.energy_units, self.energy_biases = self.units, self._padded(bias)

    def _padded(self, values: NDArray[Any], rest: float = 0.0) -> NDArray[np.float32]:
        padding = np.full(self._width - self.n, rest)
        return np.concatenate([values, padding]).astype(np.float32)

    @property
    def inside(self) -> NDArray[np.float32]:
        """The values without padding, shape (n_replicas, n)."""
        return self.values[:, : self.n]

    def part(self, rows: slice) -> _Part:
        """Return what it takes to draw the layer of some replicas."""
        values = self.values[rows]
        # sums of single precision make room for the levels drawn from them
        in_place = self.into.dtype == np.float32
        sums = values if in_place else np.zeros(values.shape)
        constants = (self.units, self.biases, self.energy_units, self.energy_biases)
        inside = slice(None), slice(self.n)
        return _Part(values[inside], self.into, sums[inside], (sums, values, *constants))


class _Part(NamedTuple):
    """A layer of some replicas; see ``draw_layer`` for its arguments."""

    inside: NDArray[np.float32]
    into: NDArray[Any]
    inside_sums: NDArray[Any]
    arguments: tuple[NDArray[Any], ...]


class BlockChains(ChainSet):
    """Two layers drawn in turn; the fields of all replicas are one matrix product.

    The weights into each unit are rounded to multiples of 2^-24 of a power of two above the sum
    of their sizes (:func:`exact_sums`).  Every partial sum of a field is then exact, so that the
    product is the same bits whatever the order of its sums: with one thread of linear algebra
    or many.  The price is an error of the weights of at most 1.2e-7 of that sum: with n weights
    alike, n times 1.2e-7 of each.

    Probabilities are multiples of 2^-24; see ``is_high`` in
    :mod:`spinnet.spins.montecarlo.chains.block_kernels`.
    """

    name = "block"
    updates = (BlockGibbs,)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        from spinnet.simd.random import seed_states
        from spinnet.spins.montecarlo.chains.block_kernels import draw_layer

        super().__init__(model, beta, update, n_replicas, seed)
        pair = two_layers(model)
        if pair is None:
            raise InputError(f"model must have two layers, got {model!r}")
        self.pair, self._draw_layer = pair, draw_layer
        self._visible = pair.n_a if model.n_spins == pair.n_a else pair.n_spins
        self._rng = seed_states(seed, n_replicas)
        w = pair.scale * pair.weights
        sums = [single_precision_unit(part) for part in (w, w.T, pair.bias_a, pair.bias_b)]
        self._scale = max(sums)
        self._a = _Layer(n_replicas, w.T / self._scale, pair.bias_a / self._scale)
        self._b = _Layer(n_replicas, w / self._scale, pair.bias_b / self._scale)
        # the energies of pairs are counted once, with the sums into layer b
        self._a.energy_units = np.zeros_like(self._a.units[: None if np.any(pair.bias_a) else 0])
        self._levels = np.array(pair.levels, np.float32)
        self._gains = np.zeros(n_replicas, np.float32)  # each level with probability 1/2
        self._draw_given_other(self._b)
        self._draw_given_other(self._a)
        self._set_gains()

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, BlockGibbs):
            return "it draws whole layers"
        return "" if two_layers(model) is not None else "BlockGibbs() needs a two-layer system"

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        pair: Any = two_layers(model)
        products = 0.034 if n_replicas > 8 else 0.1  # ns for each weight, twice used
        per_replica = products * pair.n_a * pair.n_b + 0.5 * pair.n_spins + 50.0
        return float(1e-9 * (n_replicas * per_replica + 10_000.0))

    def _set_gains(self) -> None:
        # beyond 1e30 any field decides at once
        gap = self.pair.levels[1] - self.pair.levels[0]
        gains = np.minimum(self._betas * gap * self._scale, 1e30)
        self._gains = (-gains / math.log(2.0)).astype(np.float32)

    @property
    def betas(self) -> Array:
        """The inverse temperature of each replica; see :class:`ChainSet`."""
        return self._betas

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        self._betas = np.array(values, dtype=np.float64)
        self._set_gains()

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        n = self.n_replicas
        out = np.empty((n if record else 0, n_sweeps, 4))

        def sweep(rows: slice) -> None:
            for start in range(rows.start, rows.stop, _ROWS):
                self._sweep(slice(start, min(start + _ROWS, rows.stop)), n_sweeps, out)

        in_threads(sweep, n, self.workers)
        low, high = self.pair.levels
        ups = out[..., 0] + (out[..., 2] if self._visible == self.pair.n_spins else 0.0)
        m = low + (high - low) * (ups / self._visible)
        return m, self.pair.constant - self._scale * (out[..., 1] + out[..., 3])

    def _sweep(self, rows: slice, n_sweeps: int, out: Array) -> None:
        """Sweep some replicas many times."""
        a, b = self._a.part(rows), self._b.part(rows)
        levels, gains, streams = self._levels, self._gains[rows], self._rng[rows]
        draw, results = self._draw_layer, out[rows]
        for t in range(n_sweeps):
            for column, layer, other in ((0, a, b), (2, b, a)):
                np.matmul(other.inside, layer.into, out=layer.inside_sums)
                draw(*layer.arguments, levels, gains, streams, results, t, column)

    def _draw_given_other(self, layer: _Layer) -> None:
        """Draw one layer of all replicas."""
        other = self._a if layer is self._b else self._b
        part = layer.part(slice(None))
        np.matmul(other.inside, layer.into, out=part.inside_sums)
        nothing = np.empty((0, 1, 4))
        self._draw_layer(*part.arguments, self._levels, self._gains, self._rng, nothing, 0, 0)

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        both = np.hstack([self._a.inside, self._b.inside])
        return both[:, : self._visible].astype(np.int8)

    def place(self, spins: Spins) -> None:
        """Set the configurations; layer b is drawn given a where the model does not show it."""
        n_a = self.pair.n_a
        self._a.inside[:] = spins[:, :n_a]
        if self._visible == self.pair.n_spins:
            self._b.inside[:] = spins[:, n_a:]
        else:
            self._draw_given_other(self._b)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        for layer in (self._a, self._b):
            layer.values = layer.values[rows]

    def state(self) -> State:
        """Return both layers and the words of the random streams."""
        a, b = (packed(layer.inside) for layer in (self._a, self._b))
        return {"up_a": a, "up_b": b, "rng": self._rng.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`.

        Raises
        ------
        CheckpointError
            For a state with another random stream, as before version 0.6.
        """
        rng = np.array(state["rng"], dtype=np.uint64)
        if rng.shape != self._rng.shape:
            raise CheckpointError(
                f"the random stream of the saved state has shape {rng.shape}, this version of "
                f"BlockGibbs() needs {self._rng.shape}: it cannot go on from there; finish the "
                "run with the version that began it, or start anew in another directory"
            )
        low, high = self._levels
        for name, layer in (("a", self._a), ("b", self._b)):
            layer.inside[:] = np.where(unpacked(state[f"up_{name}"], (0, layer.n)), high, low)
        self._rng = rng


def exact_sums(into: Array) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return weights into each unit (a column) whose partial sums are exact, and their units.

    The rounded weights are multiples of 2^-24 with a sum of sizes of at most 1, in a power of
    two for each column; every sum of some of them, of either sign, then is a float32.  Where
    that step is more than 1e-4 of the strongest weight of a column (a unit with thousands of
    inputs), all are multiples of 2^-53 in double precision instead.
    """
    rounded, unit = _rounded(into, 2.0**24)
    coarse = unit / 2**24 > _WEAKEST * np.abs(into).max(axis=0)
    if np.any(coarse & np.any(rounded * unit != into, axis=0)):
        rounded, unit = _rounded(into, 2.0**53)
        return np.ascontiguousarray(rounded), unit.astype(np.float32)
    return np.ascontiguousarray(rounded, dtype=np.float32), unit.astype(np.float32)


def _rounded(into: Array, grid: float) -> tuple[Array, Array]:
    """Return multiples of 1/grid with sums of sizes up to 1, and the unit of each column."""
    unit = np.where((sizes := np.abs(into).sum(axis=0)) > 0, 2.0 ** np.frexp(sizes)[1], 1.0)
    for _ in range(2):  # rounding up may carry a sum over 1, and then half of the grid is left
        rounded = np.round(into / unit * grid) / grid
        unit = np.where(np.abs(rounded).sum(axis=0) > 1, 2 * unit, unit)
    return rounded, unit


def two_layers(model: SpinModel) -> Bipartite | None:
    """Return the two-layer system behind `model`, or None if it has none."""
    if isinstance(model, Bipartite):
        return model
    if isinstance(model, NetworkDual) and model.kind != "collapsed":
        return model.as_bipartite()
    return None
