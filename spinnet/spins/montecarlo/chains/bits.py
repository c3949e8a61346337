"""Many replicas as bits: couplings of one size and either sign, on any graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.chains.base import Array, ChainSet, Spins, State, in_threads
from spinnet.spins.montecarlo.storage import turned, unpacked_spins
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis, Update

_HUGE = 1 << 21  # bytes of a huge page
_AT_ONCE = 1 << 14  # spins that are set at once, for little memory; a multiple of 8


class BitChains(ChainSet):
    """Each replica is one bit of a word, and 512 are updated at once.

    For couplings and fields that are whole multiples of one unit, at most 31 units at a spin.
    With fewer than 512 replicas, several spins that are no neighbours are updated at once.  The
    spins are taken by colour and number of bonds, in a fixed order.  The probabilities are exact
    (see :mod:`spinnet.spins.montecarlo.chains.bits_kernels`), and each replica has its own
    random bits and its own temperature.  Threads share groups of 64 to 512 replicas.
    """

    name = "bits"
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
        from spinnet.spins.montecarlo.chains import bits_kernels, bits_layout, bits_thresholds

        bonds = bits_layout.bonds_of(model)
        if isinstance(bonds, str):
            raise InputError(f"model must have couplings of one size: {bonds}; got {model!r}")
        super().__init__(model, beta, update, n_replicas, seed)
        n_words, n_groups = bits_layout.grouping(model.n_spins, n_replicas)
        self._kernels, self._bonds = bits_kernels, bonds
        self._set_thresholds = bits_thresholds.set_betas
        self._layout = bits_layout.layout_of(bonds, n_words)
        self._period = update.heat_bath_every if isinstance(update, Metropolis) else 1
        self._done = 0
        lanes, layout = 64 * n_words, self._layout
        start, streams = seed.spawn(2)
        size = 8 * layout.n_blocks
        self._words = aligned_zeros(n_groups, size + 8)
        raw = np.random.Generator(np.random.SFC64(start)).bytes(8 * n_groups * size)
        self._words[:, :size] = np.frombuffer(raw, np.uint64).reshape(n_groups, size)
        self._states = seed_states(streams, n_groups)
        width = 8 * (layout.max_degree + 1)
        self._planes = aligned_zeros(n_groups, 2 * bits_thresholds.ALL_DIGITS * 2 * width)
        self._thresholds = aligned_zeros(n_groups, 2 * len(layout.ys) * 512)
        self._lane_betas = np.zeros((n_groups, lanes))
        constant = float(getattr(model, "constant", 0.0))
        self._scale = np.array([model.n_spins, bonds.unit, constant, bonds.n_bonds])
        self._set_betas(first=True)

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why not, or ""; see :class:`ChainSet`."""
        if not isinstance(update, (HeatBath, Metropolis)):
            return "it updates spins one by one"
        from spinnet.spins.montecarlo.chains.bits_layout import bonds_of

        bonds = bonds_of(model)
        return bonds if isinstance(bonds, str) else ""

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return seconds a sweep; see :class:`ChainSet`."""
        from spinnet.spins.montecarlo.chains.bits_layout import block_estimate, bonds_of, grouping

        bonds: Any = bonds_of(model)
        n_words, n_groups = grouping(model.n_spins, n_replicas)
        block = bonds.block_seconds
        if n_words < 8:  # words of neighbours that are put together one by one
            block += 1.5e-9 * float(bonds.degrees.mean())
        return float(n_groups * (block_estimate(model.n_spins, n_words) * block + 2.5e-6))

    @property
    def betas(self) -> Array:
        """The inverse temperature of each replica; see :class:`ChainSet`."""
        return self._betas

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        self._betas = np.array(values, dtype=np.float64)
        self._set_betas(first=False)

    def _set_betas(self, first: bool) -> None:
        layout = self._layout
        self._set_thresholds(
            *(self._lane_betas, self._betas, first, self._bonds.unit, layout.ys),
            *(layout.n_words, self._thresholds, self._planes),
        )

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all replicas; see :class:`ChainSet`."""
        layout, n_groups = self._layout, len(self._words)
        lanes = 64 * layout.n_words
        m = np.empty((self.n_replicas if record else 0, n_sweeps))
        energy = np.empty_like(m)

        def sweep(part: slice) -> None:
            rows = slice(lanes * part.start, lanes * part.stop)
            self._kernels.sweeps(
                *(self._words[part], self._states[part], self._planes[part], layout.runs),
                *(layout.slots, layout.bonds, layout.ups, layout.lists, self._done, n_sweeps),
                *(self._period, layout.n_words, self._scale, m[rows], energy[rows]),
            )

        if self.workers > 1 and n_groups > 1:
            in_threads(sweep, n_groups, self.workers)
        else:
            sweep(slice(0, n_groups))
        self._done += n_sweeps
        return m, energy

    @property
    def spins(self) -> Spins:
        """The configurations, -1 and 1."""
        return unpacked_spins(self.packed_spins(), self.model.n_spins, (-1, 1))

    def packed_spins(self) -> NDArray[np.uint8]:
        """Return the configurations as bits; see :class:`ChainSet`."""
        n_words, place = self._layout.n_words, self._layout.place
        rows = [turned(words.reshape(-1, n_words)[place]) for words in self._words]
        return np.concatenate(rows)[: self.n_replicas]

    def place(self, spins: Spins) -> None:
        """Set the configurations; see :class:`ChainSet`."""
        given = np.asarray(spins)
        self._fill(lambda begin, end: given[:, begin:end] > 0)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations; see :class:`ChainSet`."""
        bits = self.packed_spins()[rows]
        self._fill(
            lambda begin, end: np.unpackbits(
                bits[:, begin // 8 : -(-end // 8)], axis=1, count=end - begin, bitorder="little"
            )
        )

    def _fill(self, some: Callable[[int, int], NDArray[Any]]) -> None:
        """Set the configurations, from ``some(begin, end)``: 1 or 0 for these spins of each."""
        layout = self._layout
        lanes = 64 * layout.n_words
        for begin in range(0, self.model.n_spins, _AT_ONCE):
            where = layout.place[begin : begin + _AT_ONCE]
            given = some(begin, begin + len(where))
            for group, words in enumerate(self._words):
                part = given[group * lanes : (group + 1) * lanes]
                up = np.zeros((len(where), lanes), np.uint8)
                up[:, : len(part)] = part.T
                packed = np.packbits(up, axis=1, bitorder="little").view(np.uint64)
                words.reshape(-1, layout.n_words)[where] = packed

    @property
    def lanes(self) -> int:
        """The replicas of a group: those whose bits lie side by side."""
        return 64 * self._layout.n_words

    def swap_neighbours(
        self, rows: NDArray[np.int64], origin: NDArray[np.int8], row_betas: Array
    ) -> None:
        """Swap configurations of replicas side by side; see :func:`lanes.swap_neighbours`."""
        from spinnet.spins.montecarlo.chains import lanes

        lanes.swap_neighbours(self._words, self._layout.n_words, rows, origin, row_betas)

    def state(self) -> State:
        """Return the words of spins and of the random streams, and the number of sweeps done."""
        return {
            "words": self._words.copy(),
            "rng": self._states.copy(),
            "done": np.array(self._done),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._words[:] = state["words"]
        self._states = np.array(state["rng"], dtype=np.uint64)
        self._done = int(state["done"])


def aligned_zeros(n_rows: int, length: int) -> NDArray[np.uint64]:
    """Return zeros whose rows begin at a cache line, for a `length` that is a multiple of 8.

    More than a mebibyte begins and ends at a huge page, where the system has these: random
    access to many small pages would take twice the time.
    """
    size = 8 * n_rows * length
    page = _HUGE if size > _HUGE // 2 else 64
    whole = -(-size // page) * page
    memory = np.zeros(whole + page, np.uint8)
    start = -memory.ctypes.data % page
    return memory[start : start + size].view(np.uint64).reshape(n_rows, length)
