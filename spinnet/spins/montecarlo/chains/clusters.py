"""Chains that flip clusters: Wolff and Swendsen-Wang, for couplings without frustration."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
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
from spinnet.spins.montecarlo.chains.clusters_bonds import Bonds, bonds_of
from spinnet.spins.montecarlo.updates import SwendsenWang, Update, Wolff

_UNKNOWN = -(2**62)  # as in the kernels: a pair sum that has to be counted
_WARM = 4  # N spins held before the pilot counts
_PILOT, _LONG_PILOT, _CHEAP = 12, 64, 1e6  # N spins, more where these are fewer than so many
_START = 16  # sweeps of Swendsen-Wang by which a random state grows clusters of its temperature


class _ClusterChains(ChainSet):
    """Replicas as bytes, 1 for up, with one stream each."""

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        super().__init__(model, beta, update, n_replicas, seed)
        found = bonds_of(model)
        if isinstance(found, str) and found:
            raise InputError(f"update={update!r}: {found}")
        self._bonds = found if isinstance(found, Bonds) else None
        self._gauge = self._bonds.gauge if self._bonds else np.empty(0, np.int8)
        self._children = [_child(seed, k) for k in range(3)]
        n = model.n_spins
        random = np.random.default_rng(self._children[0])
        self._up: NDArray[np.uint8] = random.integers(0, 2, (n_replicas, n), dtype=np.uint8)
        words = self._children[1].generate_state(4 * n_replicas, np.uint64)
        self._rng = words.reshape(n_replicas, 4)
        self._pairs = np.full(n_replicas, _UNKNOWN)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, cls.updates):
            return "it flips clusters"
        found = bonds_of(model)
        return found if isinstance(found, str) else ""

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        out = np.empty((self.n_replicas, n_sweeps, 4))
        in_threads(self._sweeper(record, out), self.n_replicas, self.workers)
        if not record:
            return np.empty((0, n_sweeps)), np.empty((0, n_sweeps))
        low, high = self.model.levels
        m = low + (high - low) * (out[..., 0] / self.model.n_spins + 1) / 2
        constant = self._bonds.constant if self._bonds else self.model.constant
        return m, constant - out[..., 1] - out[..., 2]

    @abstractmethod
    def _sweeper(self, record: bool, out: Array) -> Any:
        """Return the function that sweeps some of the replicas."""

    def _all_clusters(self, record: bool, out: Array) -> Any:
        """Return the function that does Swendsen-Wang sweeps of some of the replicas."""
        system: tuple[Any, ...]
        if self._bonds is None:
            from spinnet.spins.montecarlo.chains import clusters_complete

            kernel = clusters_complete.swendsen_wang_complete
            model: Any = self.model
            system = (model.J, model.h)
        else:
            from spinnet.spins.montecarlo.chains.clusters_sw import swendsen_wang_sweeps as kernel

            system = (*self._bonds.one_way, self._bonds.fields, self._bonds.gauge)

        def sweep(rows: slice) -> None:
            parts = (self._up[rows], self._rng[rows], *system, self._betas[rows])
            kernel(*parts, record, out[rows])

        return sweep

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        low, high = self.model.levels
        return np.where(self._gauged(self._up), high, low).astype(np.int8)

    def _gauged(self, up: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn spins s_i into g_i s_i, or back."""
        return (up ^ (self._gauge < 0)).astype(np.uint8) if self._gauge.size else up

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        up = (spins == self.model.levels[1]).astype(np.uint8)
        self._up = np.ascontiguousarray(self._gauged(up))
        self._pairs = np.full(self.n_replicas, _UNKNOWN)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._up, self._pairs = self._up[rows], self._pairs[rows]

    def state(self) -> State:
        """Return spins and the words of the random streams."""
        return {"up": packed(self._up), "rng": self._rng.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._up = np.ascontiguousarray(unpacked(state["up"], self._up.shape))
        self._rng = np.array(state["rng"], dtype=np.uint64)
        self._pairs = np.full(self.n_replicas, _UNKNOWN)


class WolffChains(_ClusterChains):
    """Clusters grown from random spins, one after the other.

    A sweep grows so many clusters that they hold N spins on average.  Were it to end when N
    spins have been held, it would tend to end with a large cluster, and averages over the ends
    of sweeps would be wrong.  The number is therefore fixed beforehand, by a pilot run with a
    stream of its own at each new temperature, and nothing that a replica does changes it.  A
    cluster more is grown with a chance of 1/4 to 3/4: a fixed number would conserve the parity
    of the number of spins up where each cluster is one spin.

    In a random state at a low temperature clusters are small, and so few of them change little.
    Fresh replicas therefore do 16 sweeps of Swendsen-Wang first; placed ones do not.
    """

    name = "wolff"
    updates = (Wolff,)

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        super().__init__(model, beta, update, n_replicas, seed)
        self._clusters: dict[float, float] = {}
        self._fresh = True

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        return n_replicas * _seconds(model, 5e-9, 2.5e-9)

    def _kernel(self, *parts: Any) -> None:
        """Sweep replicas: spins, rng, pairs, betas, counts, record, out."""
        spins, rng, pairs, *rest = parts
        if self._bonds is None:
            from spinnet.spins.montecarlo.chains.clusters_complete import wolff_complete

            model: Any = self.model
            wolff_complete(spins, rng, model.J, model.h, *rest)
            return
        from spinnet.spins.montecarlo.chains.clusters_wolff import wolff_sweeps

        bonds = self._bonds
        system = (*bonds.both_ways, bonds.fields, bonds.one_sign, bonds.gauge)
        wolff_sweeps(spins, rng, pairs, *system, *rest)

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        if self._fresh:
            none = np.empty((self.n_replicas, _START, 4))
            in_threads(self._all_clusters(False, none), self.n_replicas, self.workers)
            self._fresh = False
        return super().advance(n_sweeps, record)

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        super().place(spins)
        self._fresh = False

    def state(self) -> State:
        """Return spins, the words of the random streams, and whether no sweep was done."""
        return super().state() | {"fresh": np.array(self._fresh)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        super().restore(state)
        self._fresh = bool(state["fresh"])

    @property
    def clusters_per_sweep(self) -> Array:
        """The mean number of clusters of a sweep, shape (n_replicas,)."""
        return np.asarray(self._counts().sum(axis=1))

    def _counts(self) -> Array:
        """Return clusters of a sweep and the chance of one more, shape (n_replicas, 2)."""
        beta, place = np.unique(self._betas, return_inverse=True)
        per_sweep = np.array([self._clusters_at(float(b)) for b in beta])[place]
        whole = np.floor(per_sweep)
        return np.stack([whole, np.clip(per_sweep - whole, 0.25, 0.75)], axis=1)

    def _sweeper(self, record: bool, out: Array) -> Any:
        counts = self._counts()

        def sweep(rows: slice) -> None:
            own = (self._up[rows], self._rng[rows], self._pairs[rows], self._betas[rows])
            self._kernel(*own, counts[rows], record, out[rows])

        return sweep

    def _clusters_at(self, beta: float) -> float:
        """Return N over the mean number of spins that a cluster holds, from the pilot run."""
        if beta not in self._clusters:
            n = self.model.n_spins
            words = np.array([beta]).view(np.uint32).tolist()
            rng = _child(self._children[2], *words).generate_state(4, np.uint64).reshape(1, 4)
            fields = self._bonds.fields if self._bonds else self.model.fields
            up = np.full((1, n), fields.sum() >= 0, dtype=np.uint8)
            self._held(up, rng, beta, _WARM * n)
            length = min(max(_PILOT, _CHEAP / n), _LONG_PILOT)
            grown, held = self._held(up, rng, beta, length * n)
            self._clusters[beta] = n * grown / held
        return self._clusters[beta]

    def _held(self, up: Any, rng: Any, beta: float, least: float) -> tuple[int, float]:
        """Grow clusters until they have held `least` spins; return how many, and the spins."""
        grown, held, more = 0, 0.0, 16
        pairs, out = np.full(1, _UNKNOWN), np.empty((1, 1, 4))
        while held < least:
            # as one sweep: sweeps of the Curie-Weiss model have a cost of order N each
            self._kernel(up, rng, pairs, np.array([beta]), np.array([[more, 0.0]]), False, out)
            grown, held = grown + more, held + float(out[0, 0, 3])
            more = min(2 * more, max(16, math.ceil((least - held) * grown / held)))
        return grown, held


class SwendsenWangChains(_ClusterChains):
    """All clusters of the bonds that hold, each given a sign at random."""

    name = "swendsen-wang"
    updates = (SwendsenWang,)

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        return n_replicas * _seconds(model, 6e-9, 2e-9)

    def _sweeper(self, record: bool, out: Array) -> Any:
        return self._all_clusters(record, out)


def _seconds(model: SpinModel, spin: float, entry: float) -> float:
    """Return the seconds of a sweep at `spin` for each spin and `entry` for each entry of J."""
    if isinstance(model, CurieWeiss):
        return 40e-9 * model.n_spins
    bonds = bonds_of(model)
    n_entries = bonds.matrix.nnz if isinstance(bonds, Bonds) else 0
    return spin * model.n_spins + entry * n_entries


def _child(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Return a stream under `seed`, the same whenever it is asked for."""
    return np.random.SeedSequence(
        seed.entropy, spawn_key=(*seed.spawn_key, *key), pool_size=seed.pool_size
    )
