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
from spinnet.validation import finite_array

Array = NDArray[np.float64]
Observer = Callable[[NDArray[np.int8]], ArrayLike]

_BLOCK = 256  # sweeps, at most
_BLOCK_SECONDS = 1.0
_DRIFT = 4.0  # standard errors
_FIRST_PHASE = 64
_LEAST_LIMIT = 1000  # sweeps of burn-in that "auto" may always take


def block_length(sweep_seconds: float) -> int:
    """Return the sweeps between two moments at which a run can stop: 256, fewer if slow."""
    affordable = _BLOCK_SECONDS / sweep_seconds
    return _BLOCK if affordable >= _BLOCK else 2 ** max(0, math.floor(math.log2(affordable)))


class BurnIn:
    """The sweeps before the measurements: a fixed number, or "auto" until the chains mix.

    "auto" goes in phases of 64, 128, ... sweeps and ends with the first whose two halves look
    stationary, at each temperature by itself.

    Parameters
    ----------
    target : int or "auto"
    betas : array_like
        The temperatures of the rows: as many rows for each, one temperature after the other.

    Attributes
    ----------
    done : int
        Sweeps in finished phases.
    finished : bool
    """

    def __init__(self, target: int | str, betas: ArrayLike) -> None:
        self.target, self._betas = target, np.ravel(betas)
        self.done, self.finished = 0, target == 0
        self._size = _FIRST_PHASE
        self._m: list[Array] = []
        self._energy: list[Array] = []

    @property
    def sweeps(self) -> int:
        """Sweeps so far."""
        return self.done + self._position

    @property
    def _position(self) -> int:
        return sum(part.shape[1] for part in self._m)

    def step(self, chains: ChainSet, block: int, limit: int) -> None:
        """Advance by at most a block.

        Raises
        ------
        StatisticsError
            With "auto", if the chains did not mix and the next phase would pass `limit`.
        """
        if isinstance(self.target, int):
            size = min(block, self.target - self.done)
            chains.advance(size, record=False)
            self.done += size
            self.finished = self.done == self.target
            return
        half, position = self._size // 2, self._position
        if position < self._size:
            size = min(block, (half if position < half else self._size) - position)
            m, energy = chains.advance(size)
            self._m.append(m)
            self._energy.append(energy)
        if self._position == self._size:
            self._judge(limit)

    def _judge(self, limit: int) -> None:
        """End the phase: finished, or the next one, or too long."""
        where, reason, rhat = self._unmixed()
        total = self.done + self._size
        if reason and total + 2 * self._size > limit:
            raise StatisticsError(
                f"the chains have not mixed at beta={where:.6g} after {total} sweeps: {reason}; "
                "raise n_sweeps, or set n_burn_in to a number to sample nevertheless",
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
        Measured sweeps so far.
    block : int
        Sweeps between two moments at which :meth:`state` may be taken.
    """

    def __init__(
        self,
        chains: ChainSet,
        betas: ArrayLike,
        n_burn_in: int | str,
        watch: Mapping[str, Observer],
    ) -> None:
        self.chains, self.n_betas, self.watch = chains, np.size(betas), watch
        self.burn_in = BurnIn(n_burn_in, betas)
        self.block = block_length(chains.sweep_seconds)
        self.measured = 0

    @property
    def at_boundary(self) -> bool:
        """Whether a block has just ended."""
        return self.measured % self.block == 0

    def burn(self, n_sweeps: int) -> None:
        """Advance the burn-in of a run of `n_sweeps` by a block; see :meth:`BurnIn.step`."""
        self.burn_in.step(self.chains, self.block, max(n_sweeps, _LEAST_LIMIT))
        if self.burn_in.finished and isinstance(self.chains, TemperedChains):
            self.chains.count_anew()

    @property
    def exchange(self) -> Exchange | None:
        """The exchanges of the measured sweeps, or None without tempering."""
        return self.chains.exchange if isinstance(self.chains, TemperedChains) else None

    def next_size(self, n_sweeps: int) -> int:
        """Return the sweeps to the end of the block or of the run."""
        return min(self.block - self.measured % self.block, n_sweeps - self.measured)

    def measure(self, size: int, columns: Mapping[str, Array]) -> None:
        """Sweep `size` times, and write what is seen into `columns` (n_replicas, n_sweeps)."""
        step = 1 if self.watch else size
        for _ in range(0, size, step):
            place = slice(self.measured, self.measured + step)
            columns["m"][:, place], columns["energy"][:, place] = self.chains.advance(step)
            if self.watch:
                grid = np.split(self.chains.spins, self.n_betas)
                for name, function in self.watch.items():
                    seen = [_observed(name, function(spins), len(spins)) for spins in grid]
                    columns[name][:, self.measured] = np.concatenate(seen)
            self.measured += step

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
