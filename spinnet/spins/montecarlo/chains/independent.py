"""Sweeps that draw the Curie-Weiss model anew: M from a table, configurations when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import CurieWeiss, SpinModel
from spinnet.spins.montecarlo.chains.base import (
    Array,
    ChainSet,
    Spins,
    State,
    in_threads,
    packed,
    unpacked,
)
from spinnet.spins.montecarlo.updates import Independent, Update

if TYPE_CHECKING:
    from spinnet.spins.montecarlo.alias import MagnetizationTable

_MAX_SPINS = 10_000_000
_MAX_TABLES = 512  # temperatures whose tables are kept


class IndependentChains(ChainSet):
    """The total magnetisation of each replica, drawn from its distribution in every sweep.

    The energy follows from M, and the spins are generated only where they are asked for: given
    M they are uniform, drawn from a stream of their own that the seed and the number of the
    sweep determine.  Asking therefore changes nothing, and gives the same spins each time.
    """

    name = "independent"
    updates = (Independent,)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        from spinnet.simd.random import seed_states

        super().__init__(model, beta, update, n_replicas, seed)
        self._model: Any = model
        streams, keys = seed.spawn(2)
        self._states = seed_states(streams, n_replicas)
        self._keys = keys.generate_state(2 * n_replicas, np.uint64).reshape(n_replicas, 2)
        self._tables: dict[float, tuple[int, MagnetizationTable]] = {}
        self._columns, self._rest = np.empty(0, np.uint64), np.empty(0, np.uint32)
        self._set_tables()
        self._done = 0  # draws, of which the first is the initial state
        self._origin = np.arange(n_replicas)
        self._placed: Spins | None = None
        self._total = np.zeros(n_replicas)
        self.advance(1, record=False)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, Independent):
            return "it draws every sweep anew"
        if not isinstance(model, CurieWeiss):
            return "its table is that of the Curie-Weiss model"
        if model.n_spins > _MAX_SPINS:
            return f"its table holds at most {_MAX_SPINS} spins"
        return ""

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        return 6e-9 * n_replicas

    def _set_tables(self) -> None:
        """Make the tables of temperatures that have none yet, and point each replica at its own."""
        from spinnet.spins.montecarlo.alias import MagnetizationTable

        betas = [float(b) for b in self._betas]
        model = self._model
        if len(self._tables.keys() | set(betas)) > _MAX_TABLES:
            self._tables = {}
            self._columns, self._rest = np.empty(0, np.uint64), np.empty(0, np.uint32)
        columns, rest, start = [self._columns], [self._rest], len(self._columns)
        for beta in sorted(set(betas) - self._tables.keys()):
            table = MagnetizationTable.of(model.n_spins, beta, model.J, model.h)
            self._tables[beta] = (start, table)
            columns.append(table.alias.columns)
            rest.append(table.alias.rest)
            start += len(table.alias.columns)
        if len(columns) > 1:
            self._columns, self._rest = np.concatenate(columns), np.concatenate(rest)
        rows = [self._tables[beta] for beta in betas]
        self._starts = np.array([start for start, _ in rows], dtype=np.int64)
        self._layouts = np.array([table.layout for _, table in rows], dtype=np.int64)

    @property
    def betas(self) -> Array:
        """The inverse temperature of each replica; see :class:`ChainSet`."""
        return self._betas

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        self._betas = np.array(values, dtype=np.float64)
        self._set_tables()

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Draw every replica anew `n_sweeps` times; see :class:`ChainSet`."""
        from spinnet.spins.montecarlo.alias import draw_totals

        total = np.empty((self.n_replicas, n_sweeps))

        def draw(rows: slice) -> None:
            draw_totals(
                *(self._states[rows], self._layouts[rows], self._starts[rows]),
                *(self._columns, self._rest, self._done, 1.0, total[rows]),
            )

        in_threads(draw, self.n_replicas, self.workers)
        if n_sweeps > 0:
            self._done += n_sweeps
            self._total = total[:, -1].copy()
            self._origin, self._placed = np.arange(self.n_replicas), None
        if not record:
            total = total[:0]
        n, J, h = self._model.n_spins, self._model.J, self._model.h
        return total / n, total * (-J / (2 * n) * total - h)

    @property
    def spins(self) -> Spins:
        """Configurations with the magnetisations of the last draw; the same ones each time."""
        from spinnet.spins.montecarlo.subsets import subsets_as_spins

        if self._placed is not None:
            return self._placed.copy()
        n = self.model.n_spins
        spins = np.empty((self.n_replicas, n), np.int8)
        ups = ((self._total + n) / 2).astype(np.int64)
        number = np.full(self.n_replicas, self._done)

        def fill(rows: slice) -> None:
            subsets_as_spins(
                ups[rows], n, self._keys[self._origin[rows]], number[rows], spins[rows]
            )

        in_threads(fill, self.n_replicas, self.workers)
        return spins

    def place(self, spins: Spins) -> None:
        """Set the configurations, until the next draw; see :class:`ChainSet`."""
        self._placed = np.array(spins, dtype=np.int8)
        self._total = self._placed.sum(axis=1, dtype=np.float64)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._total, self._origin = self._total[rows], self._origin[rows]
        self._placed = None if self._placed is None else self._placed[rows]

    def state(self) -> State:
        """Return the streams, the last draw, and configurations that were put in by hand."""
        placed = np.empty((0, 0), np.uint8) if self._placed is None else packed(self._placed)
        return {
            "rng": self._states.copy(),
            "done": np.array(self._done),
            "total": self._total.copy(),
            "origin": self._origin.copy(),
            "placed": placed,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._states = np.array(state["rng"], dtype=np.uint64)
        self._done = int(state["done"])
        self._total = np.array(state["total"], dtype=np.float64)
        self._origin = np.array(state["origin"], dtype=np.int64)
        self._placed = None
        if len(state["placed"]):
            up = unpacked(state["placed"], (self.n_replicas, self.model.n_spins))
            self._placed = np.where(up, 1, -1).astype(np.int8)
