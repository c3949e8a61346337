"""Sparse systems with any couplings: 32 replicas at once, as the bits of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import Ising, SpinModel
from spinnet.spins.montecarlo.chains.base import Array, ChainSet, Spins, State, in_threads
from spinnet.spins.montecarlo.chains.masked_rows import gains, refusal, rows_of
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis, Update

_GROUP = 32  # replicas in a word


class MaskedChains(ChainSet):
    """Spins of a sparse system updated in order, 32 replicas at once.

    Each replica has its own temperature and its own random bits; the bits of a group of 32 come
    from eight streams of its own.  Couplings are rounded to multiples of a power of two, which is
    2^-29 of the sum of the |J| of a spin, or of the larger sum of a neighbour.  A system is refused
    where the couplings of a spin would change by more than 1e-6 of the sum of their sizes, or
    where spins differ so much that single precision does not reach from the weakest to the
    strongest of the local fields.
    """

    name = "masked"
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
        from spinnet.spins.montecarlo.chains import masked_kernels

        super().__init__(model, beta, update, n_replicas, seed)
        assert isinstance(model, Ising)
        self._ising = model
        self._kernels = masked_kernels
        self._rows = rows_of(model)
        self._period = update.heat_bath_every if isinstance(update, Metropolis) else 1
        self._done = 0
        n_groups = -(-n_replicas // _GROUP)
        start, streams = seed.spawn(2)
        random = np.random.default_rng(start)
        self._words: NDArray[np.uint16] = np.empty((n_groups, 2 * model.n_spins), np.uint16)
        for words in self._words:
            words[:] = random.integers(0, 1 << 16, len(words), dtype=np.uint16)
        self._rng = seed_states(streams, n_groups)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        return refusal(model, update)

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        assert isinstance(model, Ising)
        J: Any = model.couplings
        n_groups = -(-n_replicas // _GROUP)
        far = 0.6 * min(1.0, model.n_spins / 1e6)  # beyond the cache
        return float(1e-9 * n_groups * (1.0 + far) * (17.0 * model.n_spins + 1.2 * J.nnz))

    def _gains(self) -> NDArray[np.float32]:
        padded = np.zeros((len(self._words), _GROUP), np.float32)
        padded.ravel()[: self.n_replicas] = gains(self._betas, self._rows.scale)
        return padded

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        kernels, rows = self._kernels, self._rows
        n_groups = len(self._words)
        index = np.arange(self._done, self._done + n_sweeps)
        heat_bath = (index + 1) % self._period == 0
        gain, energy = self._gains(), np.zeros((n_groups, _GROUP))
        out = np.empty((n_groups if record else 0, n_sweeps, 2, _GROUP))
        data = self._ising.couplings.data

        def sweep(part: slice) -> None:
            if record:
                given = (rows.indptr, rows.indices, data, self._ising.fields)
                kernels.energies(self._words[part], *given, energy[part])
            kernels.masked_sweeps(
                *(self._words[part], self._rng[part], tuple(rows[:9]), gain[part]),
                *(heat_bath, energy[part], out[part]),
            )

        in_threads(sweep, n_groups, self.workers)
        self._done += n_sweeps
        ups, energies = (
            out[:, :, k].swapaxes(1, 2).reshape(-1, n_sweeps)[: self.n_replicas] for k in (0, 1)
        )
        return 2.0 * ups / self.model.n_spins - 1.0, energies + self._ising.constant

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        return self._unpacked(np.arange(self.n_replicas))

    def _unpacked(self, rows: NDArray[np.intp]) -> Spins:
        spins = np.empty((len(rows), self.model.n_spins), np.int8)
        self._kernels.unpack(self._words, np.asarray(rows, dtype=np.int64), spins)
        return spins

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        self._kernels.pack(np.ascontiguousarray(spins, dtype=np.int8), self._words)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self.place(self._unpacked(rows))

    def state(self) -> State:
        """Return the bits of the spins, the random streams, and the number of sweeps done."""
        return {"words": self._words.copy(), "rng": self._rng.copy(), "done": np.array(self._done)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._words = np.array(state["words"], dtype=np.uint16)
        self._rng = np.array(state["rng"], dtype=np.uint64)
        self._done = int(state["done"])
