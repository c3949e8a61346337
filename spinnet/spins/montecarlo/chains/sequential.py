"""Spins updated one after the other, replica by replica: Curie-Weiss, and any sparse system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import CurieWeiss, Ising, SpinModel
from spinnet.spins.montecarlo.chains.base import (
    Array,
    ChainSet,
    Spins,
    State,
    in_threads,
    packed,
    unpacked,
)
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis, Update


class SequentialChains(ChainSet):
    """Spins updated one after the other, in double precision, replica by replica.

    The fields of the Curie-Weiss model come from its magnetisation; those of a sparse system are
    summed anew for each spin, whatever its couplings.
    """

    name = "sequential"
    updates = (HeatBath, Metropolis)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        from spinnet.spins.montecarlo import kernels

        super().__init__(model, beta, update, n_replicas, seed)
        assert isinstance(model, (CurieWeiss, Ising))
        start, streams = seed.spawn(2)
        self._rule = kernels.METROPOLIS if isinstance(update, Metropolis) else kernels.HEAT_BATH
        self._period = update.heat_bath_every if isinstance(update, Metropolis) else 1
        self._tables = np.array([kernels.flip_table(0), kernels.flip_table(1)])
        self._done = 0
        random = np.random.default_rng(start).integers(0, 2, (n_replicas, model.n_spins))
        self._spins: Spins = (2 * random - 1).astype(np.int8)
        self._rng = streams.generate_state(4 * n_replicas, np.uint64).reshape(n_replicas, 4)
        self._constant = model.constant
        self._kernel, self._arguments = self._choose(kernels)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, (HeatBath, Metropolis)):
            return "it updates spins one by one"
        if isinstance(model, CurieWeiss) or (isinstance(model, Ising) and model.is_sparse):
            return ""
        return "it needs sparse couplings, or equal ones"

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        n = model.n_spins
        if isinstance(model, CurieWeiss):
            return 5e-9 * n * n_replicas
        assert isinstance(model, Ising)
        J: Any = model.couplings
        return n_replicas * (1.3e-8 * n + 1.15e-9 * int(J.nnz))

    def _choose(self, kernels: Any) -> tuple[Any, tuple[Any, ...]]:
        model = self.model
        if isinstance(model, CurieWeiss):
            return kernels.uniform_sweeps, (model.J, model.h)
        assert isinstance(model, Ising)
        J: Any = model.couplings
        csr = (J.indptr.astype(np.int64), J.indices.astype(np.int64), J.data, model.fields)
        return kernels.sparse_sweeps, csr

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        n_replicas, n = self._spins.shape
        index = np.arange(self._done, self._done + n_sweeps)
        rules = np.where((index + 1) % self._period == 0, 0, self._rule)
        out = np.empty((n_replicas if record else 0, n_sweeps, 2))

        def sweep(rows: slice) -> None:
            self._kernel(
                *(self._spins[rows], self._rng[rows], *self._arguments, self._betas[rows]),
                *(self._tables, rules, out[rows]),
            )

        in_threads(sweep, n_replicas, self.workers)
        self._done += n_sweeps
        return out[..., 0] / n, out[..., 1] + self._constant

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        return self._spins.copy()

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        self._spins = np.array(spins, dtype=np.int8)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._spins = self._spins[rows]

    def state(self) -> State:
        """Return spins, the words of the random streams, and the number of sweeps done."""
        return {"up": packed(self._spins), "rng": self._rng.copy(), "done": np.array(self._done)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        up = unpacked(state["up"], self._spins.shape)
        self._spins = np.where(up, 1, -1).astype(np.int8)
        self._rng = np.array(state["rng"], dtype=np.uint64)
        self._done = int(state["done"])
