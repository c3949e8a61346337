"""The running state of all replicas at one temperature, for each family of models.

A chain set offers ``advance(n_sweeps, record)``, which returns the magnetisation and the total
energy after each sweep, ``spins``, in the model's levels, and ``state()``, from which
``restore()`` goes on bit for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.spins.models import Bipartite, CurieWeiss, NetworkDual, SpinModel
from spinnet.spins.montecarlo.updates import BlockGibbs, HeatBath, Metropolis, Update

Array = NDArray[np.float64]
Spins = NDArray[np.int8]
State: TypeAlias = dict[str, NDArray[Any]]
# Single-precision uniform numbers are multiples of 2^-24 from 0 on.  Less half a step, the
# chance of u < p is p to the nearest multiple; without it, any p > 0 would be at least 2^-24.
_HALF_STEP = np.float32(2.0**-25)
_WEAKEST = 1e-4  # of the strongest weight of a unit: weights down to here act in any layer


class ChainSet(ABC):
    """Replicas of one model at one temperature.

    Attributes
    ----------
    sweep_seconds : float
        About how long one sweep of all replicas takes on one core: an estimate from the size
        alone, so that it is the same wherever the run goes on.
    """

    sweep_seconds: float

    @abstractmethod
    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep, and return (m, energy), each (n_replicas, n_sweeps); empty if not recorded."""

    @property
    @abstractmethod
    def spins(self) -> Spins:
        """The configurations, shape (n_replicas, n_spins), in the levels of the model."""

    @abstractmethod
    def state(self) -> State:
        """Return all that the future depends on, as arrays by name."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state of chains that were made with the same arguments."""


class SequentialChains(ChainSet):
    """Spins updated one after the other by a compiled kernel."""

    def __init__(
        self,
        model: SpinModel,
        beta: float,
        update: HeatBath | Metropolis,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        from spinnet.spins.montecarlo import kernels

        start, streams = seed.spawn(2)
        self.model, self.beta = model, beta
        self._rule = kernels.METROPOLIS if isinstance(update, Metropolis) else kernels.HEAT_BATH
        self._period = update.heat_bath_every if isinstance(update, Metropolis) else 1
        self._tables = np.array([kernels.flip_table(0), kernels.flip_table(1)])
        self._done = 0
        random = np.random.default_rng(start).integers(0, 2, (n_replicas, model.n_spins))
        self._spins: Spins = (2 * random - 1).astype(np.int8)
        self._rng = streams.generate_state(4 * n_replicas, np.uint64).reshape(n_replicas, 4)
        self._scale = 1.0
        self._kernel, self._arguments, self._constant = self._choose(kernels)
        self.sweep_seconds *= n_replicas

    def _choose(self, kernels: Any) -> tuple[Any, tuple[Any, ...], float]:
        model, n = self.model, self.model.n_spins
        if isinstance(model, CurieWeiss):
            self.sweep_seconds = 5e-9 * n
            return kernels.uniform_sweeps, (model.J, model.h), model.constant
        ising = model.to_ising()
        J: Any = ising.couplings
        if ising.is_sparse:
            self.sweep_seconds = 8e-9 * n + 2e-9 * J.nnz
            csr = (J.indptr.astype(np.int64), J.indices.astype(np.int64), J.data, ising.fields)
            return kernels.sparse_sweeps, csr, ising.constant
        self.sweep_seconds = 8e-9 * n + 1e-10 * n * n
        self._scale = single_precision_unit(J)
        scaled = np.ascontiguousarray(J / self._scale, dtype=np.float32)
        return kernels.dense_sweeps, (scaled, ising.fields / self._scale), ising.constant

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        n_replicas, n = self._spins.shape
        index = np.arange(self._done, self._done + n_sweeps)
        rules = np.where((index + 1) % self._period == 0, 0, self._rule)
        out = np.empty((n_replicas if record else 0, n_sweeps, 2))
        beta = self.beta * self._scale
        self._kernel(self._spins, self._rng, *self._arguments, beta, self._tables, rules, out)
        self._done += n_sweeps
        low, high = self.model.levels
        m = (low + (high - low) * (out[..., 0] / n + 1) / 2) if record else out[..., 0]
        return m, self._scale * out[..., 1] + self._constant

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        low, high = self.model.levels
        return np.where(self._spins > 0, high, low).astype(np.int8)

    def state(self) -> State:
        """Return spins, the words of the random streams, and the number of sweeps done."""
        return {"up": _packed(self._spins), "rng": self._rng.copy(), "done": np.array(self._done)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        up = _unpacked(state["up"], self._spins.shape)
        self._spins = np.where(up, 1, -1).astype(np.int8)
        self._rng = np.array(state["rng"], dtype=np.uint64)
        self._done = int(state["done"])


class BlockChains(ChainSet):
    """Two layers drawn in turn; the fields of all replicas are one matrix product.

    The weights into each unit are rounded to multiples of 2^-24 of a power of two above the sum
    of their sizes (:func:`exact_sums`).  Every partial sum of a field is then exact, so that the
    product is the same bits whatever the order of its sums: with one thread of linear algebra
    or many.  The price is an error of the weights of at most 1.2e-7 of that sum: with n weights
    alike, n times 1.2e-7 of each.
    """

    def __init__(
        self,
        model: SpinModel,
        pair: Bipartite,
        beta: float,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        self.model, self.pair, self.beta = model, pair, beta
        self._visible = pair.n_a if model.n_spins == pair.n_a else pair.n_spins
        self._rng = np.random.Generator(np.random.SFC64(seed))
        w = pair.scale * pair.weights
        sums = [single_precision_unit(part) for part in (w, w.T, pair.bias_a, pair.bias_b)]
        self._scale = max(sums)
        # beyond 1e30 any field decides at once
        gain = min(beta * (pair.levels[1] - pair.levels[0]) * self._scale, 1e30)
        self._into_a, unit_a = exact_sums(w.T / self._scale)
        self._into_b, self._unit_b = exact_sums(w / self._scale)
        self._gain_a, self._gain_b = (np.float32(gain) * unit for unit in (unit_a, self._unit_b))
        self._bias_a = (gain * (pair.bias_a / self._scale)).astype(np.float32)
        self._bias_b = (gain * (pair.bias_b / self._scale)).astype(np.float32)
        self._biased = bool(np.any(pair.bias_a) or np.any(pair.bias_b))
        self._b = self._draw(np.zeros((n_replicas, pair.n_b), np.float32))
        self._a = self._draw(np.zeros((n_replicas, pair.n_a), np.float32))
        size = pair.n_a * pair.n_b
        self.sweep_seconds = 1e-9 * n_replicas * (0.2 * size + 20 * pair.n_spins)

    def _draw(self, log_odds: NDArray[Any]) -> NDArray[np.float32]:
        """Draw units given the logarithms of their odds of being high, which are used up."""
        low, high = self.pair.levels
        up = expit(log_odds, out=log_odds)
        up -= _HALF_STEP
        u = self._rng.random(up.shape, dtype=np.float32)
        return np.where(u < up, np.float32(high), np.float32(low))

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        m = np.empty((len(self._a) if record else 0, n_sweeps))
        energy = np.empty_like(m)
        for t in range(n_sweeps):
            odds_a = self._b @ self._into_a
            odds_a *= self._gain_a
            odds_a += self._bias_a
            self._a = self._draw(odds_a)
            sums = self._a @ self._into_b
            odds_b = sums * self._gain_b
            odds_b += self._bias_b
            self._b = self._draw(odds_b)
            if record:
                total = self._a.sum(axis=1, dtype=np.float64)
                if self._visible == self.pair.n_spins:
                    total += self._b.sum(axis=1)
                m[:, t] = total / self._visible
                energy[:, t] = self._energy(sums)
        return m, energy

    def _energy(self, sums: NDArray[Any]) -> Array:
        """Return the energies, given the weighted sums into layer b."""
        products = self._b * sums
        products *= self._unit_b
        pairs = products.sum(axis=1, dtype=np.float64)
        energy = np.asarray(self.pair.constant - self._scale * pairs)
        if self._biased:
            # plain sums and not those of BLAS, whose order depends on the number of its threads
            energy -= np.einsum("ri,i->r", self._a, self.pair.bias_a, optimize=False)
            energy -= np.einsum("rj,j->r", self._b, self.pair.bias_b, optimize=False)
        return energy

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        return np.hstack([self._a, self._b])[:, : self._visible].astype(np.int8)

    def state(self) -> State:
        """Return both layers and the state of the random stream."""
        words: Any = self._rng.bit_generator.state
        return {
            "up_a": _packed(self._a),
            "up_b": _packed(self._b),
            "rng": np.array(words["state"]["state"], dtype=np.uint64),
            "half": np.array([words["has_uint32"], words["uinteger"]], dtype=np.uint64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        low, high = (np.float32(level) for level in self.pair.levels)
        self._a = np.where(_unpacked(state["up_a"], self._a.shape), high, low)
        self._b = np.where(_unpacked(state["up_b"], self._b.shape), high, low)
        has, half = (int(word) for word in state["half"])
        self._rng.bit_generator.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(state["rng"], dtype=np.uint64)},
            "has_uint32": has,
            "uinteger": half,
        }


def make_chains(
    model: SpinModel,
    beta: float,
    update: HeatBath | Metropolis | BlockGibbs,
    n_replicas: int,
    seed: np.random.SeedSequence,
) -> ChainSet:
    """Return fresh replicas in independent random states."""
    if isinstance(update, BlockGibbs):
        pair = two_layers(model)
        assert pair is not None
        return BlockChains(model, pair, beta, n_replicas, seed)
    return SequentialChains(model, beta, update, n_replicas, seed)


def single_precision_unit(values: Array) -> float:
    """Return a power of two above the row sums of |values|: in it, no float32 sum overflows."""
    largest = float(np.abs(values).sum(axis=-1).max())
    return 2.0 ** math.frexp(largest)[1] if largest > 0 else 1.0


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


def _packed(spins: NDArray[Any]) -> NDArray[np.uint8]:
    return np.packbits(spins > 0, axis=1)


def _unpacked(bits: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.unpackbits(np.asarray(bits, dtype=np.uint8), axis=1, count=shape[1])


def check_update(model: SpinModel, update: Update | None) -> Update:
    """Return `update`, or the default of the model; refuse one that the model does not allow."""
    if not isinstance(model, SpinModel):
        raise InputError(f"model must be a spin model, got {type(model).__name__}")
    layered = two_layers(model) is not None
    if update is None:
        return BlockGibbs() if layered else HeatBath()
    if not isinstance(update, (HeatBath, Metropolis, BlockGibbs)):
        raise InputError(
            "update must be HeatBath(), Metropolis() or BlockGibbs(), "
            f"got {update!r:.60}; pass an instance"
        )
    if isinstance(update, BlockGibbs) and not layered:
        raise InputError(
            f"update=BlockGibbs() needs a two-layer system, got {model!r}; use HeatBath()"
        )
    marginal = isinstance(model, NetworkDual) and model.kind == "marginal"
    if marginal and not isinstance(update, BlockGibbs):
        raise InputError(
            "update must be BlockGibbs() for kind='marginal' (it samples both layers and keeps "
            f"the inputs), got {update!r}"
        )
    return update


def two_layers(model: SpinModel) -> Bipartite | None:
    """Return the two-layer system behind `model`, or None if it has none."""
    if isinstance(model, Bipartite):
        return model
    if isinstance(model, NetworkDual) and model.kind != "collapsed":
        return model.as_bipartite()
    return None
