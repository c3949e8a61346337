"""All spins drawn at once given Gaussian fields, for couplings of low rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.chains.base import Array, ChainSet, Spins, State, in_threads
from spinnet.spins.montecarlo.chains.factors import factors_of, refusal_of
from spinnet.spins.montecarlo.updates import AuxiliaryField, Update


class AuxiliaryChains(ChainSet):
    """Spins that are independent given one Gaussian field for each factor of the couplings.

    With J_ij = sum_p f_ip f_jp for i != j, exp(beta/2 (f_p . s)^2) is the average of
    exp(beta x_p f_p . s) over a normal x_p of variance 1/beta: given the spins x_p is normal
    about f_p . s, and given x the spins are independent in the fields h_i + sum_p x_p f_ip.
    A heat bath draws x and then all spins.  The sweeps between reflect x about f_p . s, which
    the symmetric distribution of x allows, and give each spin a step of Metropolis at fixed x,
    which turns all spins that lie against their field and hence about reflects the overlaps
    about x: overlap and x then run on with the difference between them, which a heat bath
    draws anew.

    Fields are summed in single precision, and overlaps anew in every sweep, so that nothing
    drifts.

    References
    ----------
    J. Hubbard, Phys. Rev. Lett. 3, 77 (1959).
    """

    name = "auxiliary"
    updates: ClassVar[tuple[type[Update], ...]] = (AuxiliaryField,)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        from spinnet.simd.random import seed_states
        from spinnet.spins.montecarlo.chains.auxiliary_kernels import BLOCK

        super().__init__(model, beta, update, n_replicas, seed)
        self._done = 0
        self._period = update.heat_bath_every if isinstance(update, AuxiliaryField) else 1
        start, streams, normals = seed.spawn(3)
        n = model.n_spins
        self._streams = seed_states(streams, n_replicas)
        self._normals = normals.generate_state(4 * n_replicas, np.uint64).reshape(n_replicas, 4)
        blocks = -(-n // BLOCK)
        self._bits = np.zeros((n_replicas, blocks * BLOCK // 16), np.uint16)
        factors = factors_of(model)
        self._units = np.abs(factors).max(axis=0, initial=0.0)
        factors, self._units = factors[:, self._units > 0], self._units[self._units > 0]
        padded = np.zeros((blocks * BLOCK, len(self._units)), np.float32)
        padded[:n] = factors / self._units
        by_block = padded.reshape(blocks, BLOCK, -1).transpose(0, 2, 1)
        self._factors = np.ascontiguousarray(by_block).ravel()
        self._rest = -padded.sum(axis=0, dtype=np.float64)
        self._forget_fields()
        h = model.fields
        differ = bool(np.any(h != h[0]))
        self._h = np.zeros(blocks * BLOCK if differ else 0)
        self._h[:n] = h if differ else 0.0
        self._h_unit = float(np.abs(h).max()) or 1.0
        self._h32 = (self._h / self._h_unit).astype(np.float32)
        self._uniform_h = 0.0 if differ else float(h[0])
        self._energy_at_rest = model.constant + 0.5 * float(np.sum(factors**2))
        random = np.random.default_rng(start).integers(0, 2, (n_replicas, n), np.int8)
        self.place(2 * random - 1)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, AuxiliaryField):
            return "it draws all spins at once"
        return refusal_of(model)

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        rank = factors_of(model).shape[1]
        per_replica = model.n_spins * (0.5 + 0.06 * rank) + 10.0 * rank
        return float(1e-9 * n_replicas * per_replica)

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        from spinnet.spins.montecarlo.chains.auxiliary_kernels import auxiliary_sweeps

        heat = (np.arange(self._done, self._done + n_sweeps) + 1) % self._period == 0
        given = self._given(n_sweeps)
        out = np.empty((self.n_replicas if record else 0, n_sweeps, 2))

        def sweep(rows: slice) -> None:
            auxiliary_sweeps(
                *(self._bits[rows], self._fields[rows], self._streams[rows], self._normals[rows]),
                *(self.model.n_spins, self._factors, self._units, self._rest),
                *(self._h, self._h32, self._h_unit, self._uniform_h),
                *(self._betas[rows], heat, given[rows], out[rows]),
            )

        in_threads(sweep, self.n_replicas, self.workers)
        self._done += n_sweeps
        return out[..., 0] / self.model.n_spins, out[..., 1] + self._energy_at_rest

    @property
    def betas(self) -> Array:
        """The inverse temperature of each replica; see :class:`ChainSet`."""
        return self._betas

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        self._betas = np.array(values, dtype=np.float64)
        self._forget_fields()

    def _given(self, n_sweeps: int) -> Array:
        """Return beta x of the single field for each replica and sweep, or nothing."""
        return np.empty((0, 0))

    def _forget_fields(self) -> None:
        """Draw the fields anew in the next sweep: those of other spins or temperatures are void."""
        self._fields = np.full((self.n_replicas, len(self._units)), np.nan)

    @property
    def spins(self) -> Spins:
        """The configurations."""
        little = self._bits.astype("<u2", copy=False).view(np.uint8)
        up = np.unpackbits(little, axis=1, count=self.model.n_spins, bitorder="little")
        return (2 * up.view(np.int8) - 1).astype(np.int8, copy=False)

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        little = np.packbits(np.asarray(spins) > 0, axis=1, bitorder="little")
        whole = np.zeros((self.n_replicas, 2 * self._bits.shape[1]), np.uint8)
        whole[:, : little.shape[1]] = little
        self._bits = whole.view("<u2").astype(np.uint16)
        self._forget_fields()

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._bits = self._bits[rows]
        self._forget_fields()

    def state(self) -> State:
        """Return spins, fields, random streams, and the number of sweeps done."""
        return {
            "up": self._bits.copy(),
            "fields": self._fields.copy(),
            "done": np.array(self._done),
            "rng": self._streams.copy(),
            "normals": self._normals.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._bits = np.array(state["up"], dtype=np.uint16)
        self._fields = np.array(state["fields"], dtype=np.float64)
        self._done = int(state["done"])
        self._streams = np.array(state["rng"], dtype=np.uint64)
        self._normals = np.array(state["normals"], dtype=np.uint64)
