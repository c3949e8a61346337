"""Sparse systems with any couplings, spins of one colour 16 at once: few replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import Ising, SpinModel
from spinnet.spins.montecarlo.chains.base import Array, ChainSet, Spins, State, in_threads
from spinnet.spins.montecarlo.chains.masked_rows import LANES, gains, refusal, rows_of
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis, Update

_BEHIND = 3  # words: one of no spins, and what the last gather may read beyond


class Blocks(NamedTuple):
    """The couplings of a sparse system, for 16 sites of a colour at once.

    Attributes
    ----------
    starts : int64, (n_blocks + 1,)
        Where the neighbours of each block begin, in units of LANES.
    near, steps : int32, (LANES starts[-1],)
        The neighbours and 2 J_ij; a lane that has no more sees a place that is always down.
    base : int32, (LANES n_blocks,)
        The pair field with all neighbours down.
    lanes : uint16, (n_blocks,)
        Which lanes hold a spin.
    unit : float32, (LANES n_blocks,)
    h : float64, (LANES n_blocks,)
    h_scaled : float32, (LANES n_blocks,)
    varies : tuple of int
        1 where `steps`, `unit` and `h` have a number for each place; else 0, and LANES numbers.
    """

    starts: NDArray[np.int64]
    near: NDArray[np.int32]
    steps: NDArray[np.int32]
    base: NDArray[np.int32]
    lanes: NDArray[np.uint16]
    unit: NDArray[np.float32]
    h: Array
    h_scaled: NDArray[np.float32]
    varies: tuple[int, int, int]


_blocks: WeakKeyDictionary[SpinModel, tuple[Blocks, NDArray[np.int64], float]] = WeakKeyDictionary()
_lengths: WeakKeyDictionary[SpinModel, tuple[int, int]] = WeakKeyDictionary()


def blocks_of(model: Ising) -> tuple[Blocks, NDArray[np.int64], float]:
    """Return (blocks, places, scale), made at the first call for a model.

    `places`, int64 (n,), says in which lane a site is, counted from the first block on; within
    a colour, sites go from most to fewest neighbours, and otherwise in order.
    """
    if model not in _blocks:
        _blocks[model] = _make(model)
    return _blocks[model]


def _make(model: Ising) -> tuple[Blocks, NDArray[np.int64], float]:
    from spinnet.spins.montecarlo.chains import coloured_kernels as kernels

    rows = rows_of(model)
    n = model.n_spins
    colours = np.empty(n, np.int64)
    n_colours = kernels.greedy_colours(rows.indptr, rows.indices, colours)
    degrees = np.diff(rows.indptr)
    order = np.lexsort((-degrees, colours))
    counts = np.bincount(colours, minlength=n_colours)
    widths = -(-counts // LANES) * LANES
    shift = (np.cumsum(widths) - widths) - (np.cumsum(counts) - counts)
    places = np.empty(n, np.int64)
    places[order] = np.arange(n) + np.repeat(shift, counts)
    n_lanes = int(widths.sum())

    def spread(values: NDArray[Any], varies: int = 1) -> NDArray[Any]:
        if not varies:
            return values
        result = np.zeros(n_lanes, values.dtype)
        result[places] = values[:n]
        return result

    longest = spread(degrees).reshape(-1, LANES).max(axis=1)
    starts = np.concatenate([[0], np.cumsum(longest)])
    near = np.full(LANES * int(starts[-1]), n_lanes, np.int32)
    steps = np.zeros(len(near), np.int32) if rows.varies[0] else rows.twice
    kernels.fill_blocks((rows.indptr, rows.indices, rows.twice), places, starts, near, steps)
    used = spread(np.ones(n, np.uint8)).reshape(-1, LANES)
    halves = np.packbits(used, axis=1, bitorder="little").astype(np.uint16)
    lanes: NDArray[np.uint16] = (halves[:, 0] | halves[:, 1] << 8).astype(np.uint16)
    blocks = Blocks(
        *(starts, near, steps, spread(rows.base), lanes),
        *(spread(rows.unit_scaled, rows.varies[1]), spread(rows.h, rows.varies[2])),
        *(spread(rows.h_scaled, rows.varies[2]), rows.varies),
    )
    return blocks, places, rows.scale


def _lengths_of(model: Ising) -> tuple[int, int]:
    """Return about how many blocks there are, and how many neighbours of blocks."""
    if model not in _lengths:
        J: Any = model.couplings
        degrees = np.sort(np.diff(J.indptr))[::-1]
        # the last block of a colour has free lanes; there are mostly far fewer colours than these
        spare = _colours(degrees)
        near = int(degrees[::LANES].sum() + spare * degrees.mean() / 2)
        _lengths[model] = (len(degrees) // LANES + spare, near)
    return _lengths[model]


def _colours(degrees: NDArray[np.integer[Any]]) -> int:
    """Return the largest k such that k sites have k - 1 neighbours or more: enough colours."""
    return int(np.count_nonzero(degrees + 1 >= np.arange(1, len(degrees) + 1)))


class ColouredChains(ChainSet):
    """Spins of a sparse system updated colour by colour, 16 at once, replica by replica.

    No two spins of a colour are neighbours: they are drawn at once as if in turn.  Each replica
    has eight random streams of its own.  Couplings are rounded as in
    :class:`spinnet.spins.montecarlo.chains.masked.MaskedChains`.
    """

    name = "coloured"
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
        from spinnet.spins.montecarlo.chains import coloured_kernels

        super().__init__(model, beta, update, n_replicas, seed)
        assert isinstance(model, Ising)
        self._constant = model.constant
        self._kernels = coloured_kernels
        self._blocks, self._places, self._scale = blocks_of(model)
        self._period = update.heat_bath_every if isinstance(update, Metropolis) else 1
        self._done = 0
        start, streams = seed.spawn(2)
        random = np.random.default_rng(start)
        lanes = self._blocks.lanes
        self._arranged = np.zeros((n_replicas, len(lanes) + _BEHIND), np.uint16)
        words = random.integers(0, 1 << 16, (n_replicas, len(lanes)), dtype=np.uint16)
        self._arranged[:, : len(lanes)] = lanes & words
        self._rng = seed_states(streams, n_replicas)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        return refusal(model, update)

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        assert isinstance(model, Ising)
        n_blocks, n_near = _lengths_of(model)
        far = 1.0 + 0.3 * min(1.0, model.n_spins / 1e6)  # beyond the cache
        return float(1e-9 * n_replicas * (20.0 + far * (8.0 * n_blocks + 5.0 * n_near)))

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        n_replicas = self.n_replicas
        index = np.arange(self._done, self._done + n_sweeps)
        heat_bath = (index + 1) % self._period == 0
        gain = gains(self._betas, self._scale)
        out = np.empty((n_replicas if record else 0, n_sweeps, 2))

        def sweep(part: slice) -> None:
            self._kernels.coloured_sweeps(
                *(self._arranged[part], self._rng[part], tuple(self._blocks), gain[part]),
                *(heat_bath, self._scale, out[part]),
            )

        in_threads(sweep, n_replicas, self.workers)
        self._done += n_sweeps
        return 2.0 * out[..., 0] / self.model.n_spins - 1.0, out[..., 1] + self._constant

    @property
    def spins(self) -> Spins:
        """The configurations in the levels of the model."""
        spins = np.empty((self.n_replicas, self.model.n_spins), np.int8)
        self._kernels.read(self._arranged, self._places, spins)
        return spins

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        given = np.ascontiguousarray(spins, dtype=np.int8)
        self._kernels.arrange(given, self._places, self._arranged)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        self._arranged = self._arranged[rows]

    def state(self) -> State:
        """Return spins, the words of the random streams, and the number of sweeps done."""
        words = self._arranged.copy()
        return {"words": words, "rng": self._rng.copy(), "done": np.array(self._done)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._arranged = np.array(state["words"], dtype=np.uint16)
        self._rng = np.array(state["rng"], dtype=np.uint64)
        self._done = int(state["done"])
