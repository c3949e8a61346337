"""Dense systems: spins one after the other, many replicas in lockstep, on vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import CurieWeiss, NetworkDual, SpinModel
from spinnet.spins.models.low_rank import LowRank
from spinnet.spins.montecarlo.chains.base import (
    Array,
    ChainSet,
    Spins,
    State,
    in_threads,
    packed,
    unpacked,
)
from spinnet.spins.montecarlo.chains.dense_couplings import stored
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis, Update

_REFRESH = 256  # sweeps between two computations of the fields from the spins
_GROUP_BYTES = 1 << 20  # of the fields of the replicas that go in lockstep
_LARGEST = 20_000  # spins of a model that would have to make its matrix
_AHEAD_FROM = 16  # replicas in lockstep: from here on all rows are worth asking for


class DenseChains(ChainSet):
    """Spins of a dense system updated one after the other, all replicas in lockstep.

    The pair parts of the local fields are cached in single precision, and computed anew at
    least every 256 sweeps; where all couplings are multiples of one unit (+-J, Hopfield
    patterns) they are integers, without any rounding.  See
    :mod:`spinnet.spins.montecarlo.chains.dense_kernels`.
    """

    name = "dense"
    updates = (HeatBath, Metropolis)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        from spinnet.simd.random import seed_states
        from spinnet.spins.montecarlo.chains import dense_kernels

        super().__init__(model, beta, update, n_replicas, seed)
        self._kernels: Any = dense_kernels
        self._w = stored(model)
        self._metropolis = isinstance(update, Metropolis)
        self._period = update.heat_bath_every if isinstance(update, Metropolis) else 1
        start, streams = seed.spawn(2)
        self._done, self._age = 0, _REFRESH
        n, n_pad = self._w.n, self._w.n_pad
        self._valid = words(np.ones((1, n), dtype=bool), n_pad)[0]
        self._up = words(np.random.default_rng(start).integers(0, 2, (n_replicas, n)) > 0, n_pad)
        self._rng = seed_states(streams, n_replicas)
        self._fields = np.zeros((n_replicas, n_pad), self._w.field_type)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, (HeatBath, Metropolis)):
            return "it updates spins one by one"
        if isinstance(model, NetworkDual) and model.kind == "marginal":
            return "kind='marginal' has no pairwise energies; BlockGibbs() samples both layers"
        if isinstance(model, CurieWeiss):
            return "all couplings are equal: their fields need no matrix"
        if isinstance(model, LowRank):  # without making the matrix
            return "" if model.n_spins <= _LARGEST else f"a matrix needs n_spins <= {_LARGEST}"
        return "the couplings are sparse" if model.to_ising().is_sparse else ""

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        n, one_block = model.n_spins, 2.0e-7
        accepted = 0.18 * n * n  # row elements a sweep, for a glass at T = 0.7
        # beyond the caches of a core the rows of one replica come from memory
        memory = 1.1e-10 * min(1.0, (n / 2000) ** 2) / min(n_replicas, 8)
        return n_replicas * (-(-n // 64) * one_block + accepted * (5e-11 + memory))

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        w, n_replicas = self._w, self.n_replicas
        index = np.arange(self._done, self._done + n_sweeps)
        metropolis = self._metropolis & ((index + 1) % self._period != 0)
        rules = metropolis.astype(np.int64)  # 0 heat bath, 1 Metropolis
        out = np.empty((n_replicas if record else 0, n_sweeps, 2))
        fresh = self._age + n_sweeps > _REFRESH
        gains = np.minimum(2 * w.unit * self._betas, 1e36 / w.largest_field).astype(np.float32)
        size = max(64, _GROUP_BYTES // (4 * w.n_pad))

        def sweep(part: slice) -> None:
            for begin in range(part.start, part.stop, size):
                rows = slice(begin, min(begin + size, part.stop))
                fields, up = self._fields[rows].ravel(), self._up[rows]
                ahead = len(up) >= _AHEAD_FROM
                self._kernels.sweeps(
                    *(fields, w.kind, w.rows, up, self._valid, w.group, ahead, fresh),
                    *(w.diagonal, self._rng[rows], w.scaled_h, w.h, w.unit),
                    *(gains[rows], rules, out[rows]),
                )

        in_threads(sweep, n_replicas, self.workers)
        self._done += n_sweeps
        self._age = n_sweeps if fresh else self._age + n_sweeps
        low, high = self.model.levels
        m = (low + (high - low) * (out[..., 0] / w.n + 1) / 2) if record else out[..., 0]
        return m, out[..., 1] + w.constant

    @property
    def _bits(self) -> NDArray[np.uint8]:
        """One where a spin is up, shape (n_replicas, n_spins)."""
        as_bytes = self._up.astype("<u8").view(np.uint8)
        return np.unpackbits(as_bytes, axis=1, count=self._w.n, bitorder="little")

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        low, high = self.model.levels
        return np.where(self._bits > 0, np.int8(high), np.int8(low))

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        self._up = words(spins == self.model.levels[1], self._w.n_pad)
        self._age = _REFRESH

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._up, self._fields = self._up[rows], self._fields[rows]

    def state(self) -> State:
        """Return spins, streams and sweeps done, and the fields unless they come anew."""
        kept = self._age < _REFRESH and self._w.kind.dtype == np.float32
        return {
            "up": packed(self._bits),
            "rng": self._rng.copy(),
            "done": np.array([self._done, self._age]),
            "fields": self._fields.copy() if kept else self._fields[:0].copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._up = words(unpacked(state["up"], (0, self._w.n)) > 0, self._w.n_pad)
        self._rng = np.array(state["rng"], dtype=np.uint64)
        self._done, self._age = (int(number) for number in state["done"])
        if len(state["fields"]):
            self._fields = np.array(state["fields"], dtype=np.float32)
        else:  # due, or integers, of which any computation gives the same
            self._fields = np.zeros((self.n_replicas, self._w.n_pad), self._w.field_type)
            self._age = _REFRESH


def words(up: NDArray[np.bool_], n_pad: int) -> NDArray[np.uint64]:
    """Return rows of truth values as words of 64 bits, the first the lowest."""
    bits = np.packbits(up, axis=1, bitorder="little")
    bits = np.pad(bits, ((0, 0), (0, n_pad // 8 - bits.shape[1])))
    return np.ascontiguousarray(bits).view("<u8").astype(np.uint64)
