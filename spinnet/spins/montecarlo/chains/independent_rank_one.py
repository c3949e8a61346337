"""Sweeps that draw a model of rank one anew: its field from a table, and then all spins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models import LowRank, SpinModel
from spinnet.spins.montecarlo.chains.auxiliary import AuxiliaryChains
from spinnet.spins.montecarlo.chains.base import Array, in_threads
from spinnet.spins.montecarlo.updates import Independent, Update

if TYPE_CHECKING:
    from spinnet.spins.montecarlo.rank_one import FieldTable

_MAX_SPINS = 200_000  # a table takes up to 2e-5 s for each spin of its own kind
_MAX_TABLES = 512  # temperatures whose tables are kept
# Of sqrt(beta) sum |f| and of beta sum |h|: within, no table has more than 40 times as many cells,
# and no logarithm of a weight is too large for its digits.
_SURELY_WARM = 2e4, 1e10


def _kinds(model: SpinModel) -> tuple[Array, Array]:
    """Return factors and fields (2, n) of the spins that differ, and how many are of each kind."""
    f = model.factors[:, 0] if isinstance(model, LowRank) else np.zeros(model.n_spins)
    # a spin and its factor and field may change their signs together
    signs = np.where(f < 0, -1.0, 1.0)
    kinds, counts = np.unique(
        np.column_stack([f * signs, model.fields * signs]), axis=0, return_counts=True
    )
    return np.ascontiguousarray(kinds.T), counts.astype(np.float64)


def too_cold(model: SpinModel, betas: ArrayLike) -> bool:
    """Return whether a model of rank one has no table at one of these inverse temperatures."""
    if not isinstance(model, LowRank) or model.rank != 1:
        return False
    (f, h), counts = _kinds(model)
    largest, size = float(np.sum(counts * np.abs(f))), float(np.sum(counts * np.abs(h)))
    if largest == 0.0:
        return False
    for beta in np.unique(betas):
        if math.sqrt(beta) * largest < _SURELY_WARM[0] and beta * size < _SURELY_WARM[1]:
            continue
        from spinnet.spins.montecarlo.rank_one import FieldTable

        try:
            FieldTable.of(float(beta), f, beta * h, counts)
        except InputError:
            return True
    return False


class RankOneChains(AuxiliaryChains):
    """Couplings f_i f_j: the field x drawn from its exact distribution, and spins given x.

    Spins with the same factor and field count once in the table of p(x).
    """

    name = "rank-one"
    updates = (Independent,)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        self._tables: dict[float, FieldTable] = {}
        super().__init__(model, beta, update, n_replicas, seed)
        self._kinds, self._counts = _kinds(model)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, Independent):
            return "it draws every sweep anew"
        if not isinstance(model, LowRank) or model.rank != 1:
            return "its field is one number: CurieWeiss, or LowRank and Hopfield of rank 1"
        if model.n_spins > _MAX_SPINS:
            return f"its table is for at most {_MAX_SPINS} spins; use AuxiliaryField()"
        return ""

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        return 0.7e-9 * n_replicas * model.n_spins

    def _given(self, n_sweeps: int) -> Array:
        """Return beta x for each replica and sweep."""
        from spinnet.spins.montecarlo.rank_one import FieldTable, draw_fields

        given = np.zeros((self.n_replicas, n_sweeps))
        f, h = self._kinds
        if len(self._units) == 0:
            return given
        if len(self._tables) > _MAX_TABLES:
            self._tables = {}
        for beta in {float(b) for b in self._betas} - {0.0} - self._tables.keys():
            self._tables[beta] = FieldTable.of(beta, f, beta * h, self._counts)

        def draw(rows: slice) -> None:
            for r in range(self.n_replicas)[rows]:
                beta = float(self._betas[r])
                if beta > 0:
                    table = self._tables[beta]
                    draw_fields(
                        *(self._normals[r], beta, f, beta * h, self._counts, table.cells),
                        *(table.alias.columns, table.alias.rest, given[r]),
                    )

        in_threads(draw, self.n_replicas, self.workers)
        return given
