"""One temperature of a run, or all with tempering, in blocks: burn-in, then measurements.

The blocks begin at fixed sweep numbers, counted from the end of the burn-in, whatever the number
of sweeps asked for.  Sums that the kernels carry along in floating point start anew with each
block, so that a run that stops and goes on at the end of a block is the same, bit for bit, as
one that never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.spins import statistics
from spinnet.spins.montecarlo.chains import ChainSet, State
from spinnet.spins.montecarlo.chains.tempered import TemperedChains
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.storage import STORED
from spinnet.spins.montecarlo.updates import Independent
from spinnet.validation import finite_array

Array = NDArray[np.float64]
Observer = Callable[[NDArray[np.int8]], ArrayLike]

_BLOCK = 256  # sweeps, at most
_BLOCK_SECONDS = 1.0
_DRIFT = 4.0  # standard errors
_FIRST_PHASE = 64
_LEAST_LIMIT = 1000  # measurements of burn-in that "auto" may always take
_FAR = 32  # sweeps, from which measuring only the last is worth two calls a measurement
WORTH_THREADS = 2e-3  # seconds of work in one call, below which threads cost more than they give


def block_length(sweep_seconds: float) -> int:
    """Return the sweeps between two moments at which a run can stop: 256, fewer if slow.

    With the time from one measurement to the next, the measurements between them.
    """
    affordable = _BLOCK_SECONDS / sweep_seconds
    return _BLOCK if affordable >= _BLOCK else 2 ** max(0, math.floor(math.log2(affordable)))


class BurnIn:
    """The sweeps before the measurements: a fixed number, or "auto" until the chains mix.

    "auto" goes in phases of 64, 128, ... measurements, `every` sweeps apart, and ends with the
    first whose two halves look stationary, at each temperature by itself.

    Parameters
    ----------
    target : int or "auto"
    betas : array_like
        The temperatures of the rows: as many rows for each, one temperature after the other.
    every : int
        Sweeps from one measurement to the next.

    Attributes
    ----------
    done : int
        Sweeps in finished phases.
    finished : bool
    """

    def __init__(self, target: int | str, betas: ArrayLike, every: int = 1) -> None:
        self.target, self._betas, self.every = target, np.ravel(betas), every
        self.done, self.finished = 0, target == 0
        self._size = _FIRST_PHASE
        self._m: list[Array] = []
        self._energy: list[Array] = []

    @property
    def sweeps(self) -> int:
        """Sweeps so far."""
        return self.done + self.every * self._position

    @property
    def _position(self) -> int:
        return sum(part.shape[1] for part in self._m)

    def step(self, chains: ChainSet, block: int, limit: int) -> None:
        """Advance by at most a block of measurements.

        Raises
        ------
        StatisticsError
            With "auto", if the chains did not mix and the next phase would pass `limit`
            measurements.
        """
        if isinstance(self.target, int):
            size = min(block * self.every, _BLOCK, self.target - self.done)
            chains.advance(size, record=False)
            self.done += size
            self.finished = self.done == self.target
            return
        half, position = self._size // 2, self._position
        if position < self._size:
            size = min(block, (half if position < half else self._size) - position)
            m, energy = thinned(chains, size, self.every)
            self._m.append(m)
            self._energy.append(energy)
        if self._position == self._size:
            self._judge(limit)

    def _judge(self, limit: int) -> None:
        """End the phase: finished, or the next one, or too long."""
        where, reason, rhat = self._unmixed()
        total = self.done + self.every * self._size
        if reason and total + 2 * self.every * self._size > limit * self.every:
            raise StatisticsError(
                f"the chains have not mixed at beta={where:.6g} after {total} sweeps: {reason}; "
                "raise n_sweeps, or let temperatures exchange (tempering=True over those of "
                "spinnet.place_temperatures), or set n_burn_in to a number to sample nevertheless",
                estimate=rhat,
            )
        self.done, self.finished = total, not reason
        self._size, self._m, self._energy = 2 * self._size, [], []

    def _unmixed(self) -> tuple[float, str, dict[str, float]]:
        """Return the first temperature that is not stationary, and the reason; see `unmixed`."""
        n_beta = len(self._betas)
        abs_m = np.split(np.abs(np.concatenate(self._m, axis=1)), n_beta)
        energy = np.split(np.concatenate(self._energy, axis=1), n_beta)
        for k in range(n_beta):
            reason, rhat = unmixed(abs_m[k], energy[k])
            if reason:
                break
        return float(self._betas[k]), reason, rhat

    def state(self) -> State:
        """Return all that the rest of the burn-in depends on."""
        empty = [np.empty((0, 0))]
        return {
            "numbers": np.array([self.done, self.finished, self._size]),
            "m": np.concatenate(self._m or empty, axis=1),
            "energy": np.concatenate(self._energy or empty, axis=1),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state."""
        done, finished, size = (int(number) for number in state["numbers"])
        self.done, self.finished, self._size = done, bool(finished), size
        full = state["m"].size > 0
        self._m = [np.array(state["m"])] if full else []
        self._energy = [np.array(state["energy"])] if full else []


class Trajectory:
    """The replicas at one temperature on their way through burn-in and measurements.

    With tempering, those at all temperatures: the rows are ordered by temperature.

    Attributes
    ----------
    chains : ChainSet
    burn_in : BurnIn
    measured : int
        Measurements so far.
    block : int
        Measurements between two moments at which :meth:`state` may be taken.
    """

    def __init__(
        self,
        chains: ChainSet,
        betas: ArrayLike,
        n_burn_in: int | str,
        watch: Mapping[str, Observer],
        measure_every: int = 1,
        store_every: int = 0,
        share: Callable[[], int] = lambda: 1,
    ) -> None:
        self.chains, self.n_betas, self.watch = chains, np.size(betas), watch
        self.every, self.store_every, self._share = measure_every, store_every, share
        forgets = n_burn_in == "auto" and isinstance(chains.update, Independent)
        self.burn_in = BurnIn(0 if forgets else n_burn_in, betas, measure_every)
        self.block = block_length(chains.sweep_seconds * measure_every)
        self.measured = 0

    @property
    def at_boundary(self) -> bool:
        """Whether a block has just ended."""
        return self.measured % self.block == 0

    def burn(self, n_sweeps: int) -> None:
        """Advance the burn-in of a run of `n_sweeps` by a block; see :meth:`BurnIn.step`."""
        self._take_threads(self.block)
        self.burn_in.step(self.chains, self.block, max(n_sweeps, _LEAST_LIMIT))
        if self.burn_in.finished and isinstance(self.chains, TemperedChains):
            self.chains.count_anew()

    @property
    def exchange(self) -> Exchange | None:
        """The exchanges of the measured sweeps, or None without tempering."""
        return self.chains.exchange if isinstance(self.chains, TemperedChains) else None

    def next_size(self, n_sweeps: int) -> int:
        """Return the measurements to the end of the block or of the run."""
        return min(self.block - self.measured % self.block, n_sweeps - self.measured)

    def measure(self, size: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Measure `size` times, and write what is seen into `columns` (n_replicas, n_sweeps)."""
        end = self.measured + size
        while self.measured < end:
            step = self._step(end)
            self._take_threads(step)
            place = slice(self.measured, self.measured + step)
            columns["m"][:, place], columns["energy"][:, place] = thinned(
                self.chains, step, self.every
            )
            self.measured += step
            self._look(columns)

    def _step(self, end: int) -> int:
        """Return the measurements up to the next whose spins are needed, or to `end`."""
        if self.watch:
            return 1
        rest = end - self.measured
        every = self.store_every
        return min(rest, every - self.measured % every) if every else rest

    def _look(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Show the spins to the observers, and store them if it is their turn."""
        if self.store_every and self.measured % self.store_every == 0:
            place = self.measured // self.store_every - 1
            columns[STORED][:, place] = self.chains.packed_spins()
        if not self.watch:
            return
        spins = self.chains.spins
        for name, function in self.watch.items():
            seen = [_observed(name, function(x), len(x)) for x in np.split(spins, self.n_betas)]
            columns[name][:, self.measured - 1] = np.concatenate(seen)

    def _take_threads(self, n: int) -> None:
        """Give the chains their share of the threads for the next `n` measurements, if worth it."""
        seconds = self.chains.sweep_seconds * self.every * n
        self.chains.workers = self._share() if seconds >= WORTH_THREADS else 1

    def state(self) -> State:
        """Return all that the rest depends on; only at the end of a block."""
        assert self.at_boundary
        parts = {"chain": self.chains.state(), "burn": self.burn_in.state()}
        arrays = {f"{part}_{key}": x for part, state in parts.items() for key, x in state.items()}
        return {**arrays, "measured": np.array(self.measured)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state of a trajectory that was made with the same arguments."""
        for part, target in (("chain", self.chains), ("burn", self.burn_in)):
            own = {key[len(part) + 1 :]: x for key, x in state.items() if key.startswith(part)}
            target.restore(own)
        self.measured = int(state["measured"])


def thinned(chains: ChainSet, n: int, every: int) -> tuple[Array, Array]:
    """Return (m, energy), each (n_replicas, n), every `every` sweeps.

    One call of `advance` does at most 256 sweeps, so that sums carried along stay exact.
    """
    if every == 1:
        return chains.advance(n)
    parts = []
    group = _BLOCK // every if every < _FAR else 1
    for first in range(0, n, group):
        parts.append(_thinned_call(chains, min(group, n - first), every))
    m, energy = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    return m, energy


def _thinned_call(chains: ChainSet, n: int, every: int) -> tuple[Array, Array]:
    """Do few measurements at once, as each sweep is one; or a single one."""
    ahead = every * n - 1
    for _ in range(ahead // _BLOCK):
        chains.advance(_BLOCK, record=False)
    if n == 1:
        if ahead % _BLOCK:
            chains.advance(ahead % _BLOCK, record=False)
        return chains.advance(1)
    m, energy = chains.advance(every * n)
    return m[:, every - 1 :: every], energy[:, every - 1 :: every]


def _observed(name: str, value: ArrayLike, n_replicas: int) -> Array:
    array = finite_array(f"observers[{name!r}]", value)
    if array.shape != (n_replicas,):
        raise InputError(
            f"observers[{name!r}] must return shape ({n_replicas},), one number for each "
            f"replica, got {array.shape}"
        )
    return array


def unmixed(abs_m: Array, energy: Array) -> tuple[str, dict[str, float]]:
    """Return why the chains are not stationary ("" if they are), and split R-hat by name."""
    rhat = {}
    for name, series in (("|m|", abs_m), ("energy", energy)):
        rhat[name] = statistics.split_rhat(series)
        if rhat[name] >= statistics.RHAT_MIXED:
            return (
                f"split R-hat of {name} is {rhat[name]:.3f}, needed below {statistics.RHAT_MIXED}",
                rhat,
            )
        half = series.shape[1] // 2
        drift = series[:, half:].mean(axis=1) - series[:, :half].mean(axis=1)
        if len(drift) >= statistics.MIN_UNITS:
            error = float(drift.std(ddof=1)) / np.sqrt(len(drift))
            if abs(drift.mean()) > _DRIFT * error:
                return f"{name} still drifts, by {drift.mean():.3g} +- {error:.2g}", rhat
    return "", rhat
