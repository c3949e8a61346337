"""Two layers drawn in turn: one matrix product over all replicas for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.spins.models import Bipartite, NetworkDual, SpinModel
from spinnet.spins.montecarlo.chains.base import (
    Array,
    ChainSet,
    Spins,
    State,
    packed,
    single_precision_unit,
    unpacked,
)
from spinnet.spins.montecarlo.updates import BlockGibbs, Update

# Single-precision uniform numbers are multiples of 2^-24 from 0 on.  Less half a step, the
# chance of u < p is p to the nearest multiple; without it, any p > 0 would be at least 2^-24.
_HALF_STEP = np.float32(2.0**-25)
_WEAKEST = 1e-4  # of the strongest weight of a unit: weights down to here act in any layer


class BlockChains(ChainSet):
    """Two layers drawn in turn; the fields of all replicas are one matrix product.

    The weights into each unit are rounded to multiples of 2^-24 of a power of two above the sum
    of their sizes (:func:`exact_sums`).  Every partial sum of a field is then exact, so that the
    product is the same bits whatever the order of its sums: with one thread of linear algebra
    or many.  The price is an error of the weights of at most 1.2e-7 of that sum: with n weights
    alike, n times 1.2e-7 of each.
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
        super().__init__(model, beta, update, n_replicas, seed)
        pair = two_layers(model)
        if pair is None:
            raise InputError(f"model must have two layers, got {model!r}")
        self.pair = pair
        self._visible = pair.n_a if model.n_spins == pair.n_a else pair.n_spins
        self._rng = np.random.Generator(np.random.SFC64(seed))
        w = pair.scale * pair.weights
        sums = [single_precision_unit(part) for part in (w, w.T, pair.bias_a, pair.bias_b)]
        self._scale = max(sums)
        self._into_a, self._unit_a = exact_sums(w.T / self._scale)
        self._into_b, self._unit_b = exact_sums(w / self._scale)
        self._set_gains()
        self._biased = bool(np.any(pair.bias_a) or np.any(pair.bias_b))
        self._b = self._draw(np.zeros((n_replicas, pair.n_b), np.float32))
        self._a = self._draw(np.zeros((n_replicas, pair.n_a), np.float32))

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
        per_replica = 0.2 * pair.n_a * pair.n_b + 20.0 * pair.n_spins
        return float(1e-9 * n_replicas * per_replica)

    def _set_gains(self) -> None:
        """Turn weighted sums into logarithms of odds at the temperature of each replica."""
        pair, beta = self.pair, self._betas
        if np.all(beta == beta[0]):
            beta = beta[:1]
        # beyond 1e30 any field decides at once
        gain = np.minimum(beta * (pair.levels[1] - pair.levels[0]) * self._scale, 1e30)[:, None]
        self._gain_a, self._gain_b = (
            gain.astype(np.float32) * unit for unit in (self._unit_a, self._unit_b)
        )
        self._bias_a = (gain * (pair.bias_a / self._scale)).astype(np.float32)
        self._bias_b = (gain * (pair.bias_b / self._scale)).astype(np.float32)

    @property
    def betas(self) -> Array:
        """The inverse temperature of each replica; see :class:`ChainSet`."""
        return self._betas

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        self._betas = np.array(values, dtype=np.float64)
        self._set_gains()

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

    def place(self, spins: Spins) -> None:
        """Set the configurations; layer b is drawn given a where the model does not show it."""
        n_a = self.pair.n_a
        self._a = spins[:, :n_a].astype(np.float32)
        if self._visible == self.pair.n_spins:
            self._b = spins[:, n_a:].astype(np.float32)
        else:
            self._b = self._draw((self._a @ self._into_b) * self._gain_b + self._bias_b)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._a, self._b = self._a[rows], self._b[rows]

    def state(self) -> State:
        """Return both layers and the state of the random stream."""
        words: Any = self._rng.bit_generator.state
        return {
            "up_a": packed(self._a),
            "up_b": packed(self._b),
            "rng": np.array(words["state"]["state"], dtype=np.uint64),
            "half": np.array([words["has_uint32"], words["uinteger"]], dtype=np.uint64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        low, high = (np.float32(level) for level in self.pair.levels)
        self._a = np.where(unpacked(state["up_a"], self._a.shape), high, low)
        self._b = np.where(unpacked(state["up_b"], self._b.shape), high, low)
        has, half = (int(word) for word in state["half"])
        self._rng.bit_generator.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(state["rng"], dtype=np.uint64)},
            "has_uint32": has,
            "uinteger": half,
        }


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
