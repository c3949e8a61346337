"""The running state of all replicas at one temperature, for each family of models.

A chain set offers ``advance(n_sweeps, record)``, which returns the magnetisation and the total
energy after each sweep, and ``spins``, in the model's levels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spinnet.spins.models import Bipartite, CurieWeiss, NetworkDual, SpinModel
from spinnet.spins.montecarlo.updates import BlockGibbs, HeatBath, Metropolis

Array = NDArray[np.float64]
Spins = NDArray[np.int8]


class ChainSet(ABC):
    """Replicas of one model at one temperature."""

    @abstractmethod
    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep, and return (m, energy), each (n_replicas, n_sweeps); empty if not recorded."""

    @property
    @abstractmethod
    def spins(self) -> Spins:
        """The configurations, shape (n_replicas, n_spins), in the levels of the model."""


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
        self._kernel, self._arguments, self._constant = self._choose(kernels)

    def _choose(self, kernels: Any) -> tuple[Any, tuple[Any, ...], float]:
        model = self.model
        if isinstance(model, CurieWeiss):
            return kernels.uniform_sweeps, (model.J, model.h), model.constant
        ising = model.to_ising()  # type: ignore[attr-defined]
        J: Any = ising.couplings
        if ising.is_sparse:
            csr = (J.indptr.astype(np.int64), J.indices.astype(np.int64), J.data, ising.fields)
            return kernels.sparse_sweeps, csr, ising.constant
        dense = (np.ascontiguousarray(J, dtype=np.float32), ising.fields)
        return kernels.dense_sweeps, dense, ising.constant

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        n_replicas, n = self._spins.shape
        index = np.arange(self._done, self._done + n_sweeps)
        rules = np.where((index + 1) % self._period == 0, 0, self._rule)
        out = np.empty((n_replicas if record else 0, n_sweeps, 2))
        self._kernel(self._spins, self._rng, *self._arguments, self.beta, self._tables, rules, out)
        self._done += n_sweeps
        low, high = self.model.levels
        m = (low + (high - low) * (out[..., 0] / n + 1) / 2) if record else out[..., 0]
        return m, out[..., 1] + self._constant

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        low, high = self.model.levels
        return np.where(self._spins > 0, high, low).astype(np.int8)


class BlockChains(ChainSet):
    """Two layers drawn in turn; the fields of all replicas are one matrix product."""

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
        self._w = np.ascontiguousarray(pair.scale * pair.weights, dtype=np.float32)
        self._wt = np.ascontiguousarray(self._w.T)
        self._bias_a = pair.bias_a.astype(np.float32)
        self._bias_b = pair.bias_b.astype(np.float32)
        self._b = self._draw(np.zeros((n_replicas, pair.n_b), np.float32))
        self._a = self._draw(np.zeros((n_replicas, pair.n_a), np.float32))

    def _draw(self, field: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw units given their fields; the difference of the two levels sets the scale."""
        low, high = self.pair.levels
        up = expit(np.float32(self.beta * (high - low)) * field)
        u = self._rng.random(field.shape, dtype=np.float32)
        return np.where(u < up, np.float32(high), np.float32(low))

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        m = np.empty((len(self._a) if record else 0, n_sweeps))
        energy = np.empty_like(m)
        for t in range(n_sweeps):
            self._a = self._draw(self._b @ self._wt + self._bias_a)
            field_b = self._a @ self._w + self._bias_b
            self._b = self._draw(field_b)
            if record:
                total = self._a.sum(axis=1, dtype=np.float64)
                if self._visible == self.pair.n_spins:
                    total += self._b.sum(axis=1)
                m[:, t] = total / self._visible
                own = np.sum(self._b * field_b, axis=1, dtype=np.float64)
                energy[:, t] = self.pair.constant - own - self._a @ self.pair.bias_a
        return m, energy

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        return np.hstack([self._a, self._b])[:, : self._visible].astype(np.int8)


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


def two_layers(model: SpinModel) -> Bipartite | None:
    """Return the two-layer system behind `model`, or None if it has none."""
    if isinstance(model, Bipartite):
        return model
    if isinstance(model, NetworkDual) and model.kind != "collapsed":
        return model.as_bipartite()
    return None
