"""One temperature of a run in its own folder: saved as it goes, and taken up again.

The folder holds the series in parts ``sweeps-FIRST-END.npz``, each written once, and
``state.npz``, from which the chains go on after the last of them.  The sweeps after the last
full block, and the last configurations, are in ``last-FIRST-END.npz``: a longer run goes on from
the state and makes them anew, so that it equals a run that was as long from the start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import CheckpointError, StatisticsError
from spinnet.progress import ProgressBar
from spinnet.runs.interruption import Interrupted
from spinnet.runs.locking import holder
from spinnet.runs.parts import PartFolder
from spinnet.spins.montecarlo.exchange import COUNTS
from spinnet.spins.montecarlo.storage import STORED
from spinnet.spins.montecarlo.trajectory import Trajectory

Columns = Mapping[str, NDArray[Any]]
STATE = "state.npz"
INTERVAL = 30.0  # seconds between two checkpoints


@dataclass(frozen=True)
class Progress:
    """How far one temperature is.

    Attributes
    ----------
    beta : float
    done, target : int
        Measurements that are saved, and those asked for.
    burned : int
        Sweeps of burn-in that are saved.
    burning : bool
        Whether the burn-in is not over.
    seconds : float
        Time that the saved measured sweeps took.
    saved_at : float
        When the last checkpoint was written, in seconds since 1970; NaN if there is none.
    running : str
        The process at work on it, or "".
    damage : str
        What is wrong with its files, or "".
    """

    beta: float
    done: int
    target: int
    burned: int = 0
    burning: bool = True
    seconds: float = 0.0
    saved_at: float = float("nan")
    running: str = ""
    damage: str = ""

    @property
    def complete(self) -> bool:
        """Whether all sweeps asked for are saved."""
        return self.done >= self.target and not self.damage

    @property
    def seconds_left(self) -> float:
        """The time that the rest takes at the speed so far, NaN if that is not known."""
        if self.complete:
            return 0.0
        rate = self.seconds / self.done if self.done and self.seconds > 0 else float("nan")
        return rate * (self.target - self.done)


class TemperatureFolder:
    """The saved part of one temperature.

    Attributes
    ----------
    parts : PartFolder
    store_every : int
        Measurements from one stored configuration to the next; 0 for none.
    """

    def __init__(self, parts: PartFolder, names: tuple[str, ...], store_every: int = 0) -> None:
        self.parts, self.store_every = parts, store_every
        self._names = (*names, STORED) if store_every else names

    def pieces(self, columns: Columns, first: int, end: int) -> Columns:
        """Return what belongs to the measurements from `first` to before `end`, as views."""
        every = self.store_every
        return {
            name: column[:, first // every : end // every]
            if name == STORED
            else column[:, first:end]
            for name, column in columns.items()
        }

    def last(self) -> tuple[int, int, str] | None:
        """Return first sweep, end and name of the final piece of the longest finished run."""
        found = [(*_span(name), name) for name in self.parts.names("last-")]
        return max(found, key=lambda item: item[1]) if found else None

    def is_complete(self, n_sweeps: int) -> bool:
        """Return whether a run of exactly that many sweeps is finished here."""
        last = self.last()
        return last is not None and last[1] == n_sweeps

    def read_series(self, columns: Columns, end: int) -> None:
        """Fill `columns` (n_replicas, n_sweeps) from the parts that cover sweeps 0 to `end`."""
        for name in self._covering(end):
            first, stop = _span(name)
            self._fill(columns, first, stop, self.parts.read(name), name)

    def read_finished(self, columns: Columns, n_sweeps: int) -> tuple[NDArray[np.int8], int]:
        """Fill `columns` of a finished run; return the last configurations and the burn-in."""
        last = self.last()
        assert last is not None
        first, stop, name = last
        arrays = self.parts.read(name)
        self.read_series(columns, first)
        self._fill(columns, first, stop, arrays, name)
        return arrays["spins"], int(arrays["n_burn_in"])

    def read_exchange(self) -> dict[str, NDArray[Any]] | None:
        """Return the counts of the exchanges as far as they are saved, or None."""
        last, prefix = self.last(), "chain_exchange_"
        arrays: Any = self.parts.read(STATE) if self.parts.has(STATE) else {"measured": 0}
        if last is not None and last[1] >= arrays["measured"]:
            arrays, prefix = self.parts.read(last[2]), "exchange_"
        elif not arrays["measured"]:
            return None
        return {name: arrays[prefix + name] for name in COUNTS}

    def _check_parts(self, end: int, last: tuple[int, int, str] | None, check: bool) -> None:
        """Refuse a missing part before sweep `end`, or (`check`) a damaged one."""
        parts = self._covering(end)
        for name in [*parts, *([last[2]] if last is not None else [])] if check else []:
            self.parts.check(name)

    def _covering(self, end: int) -> list[str]:
        """Return the parts that hold the sweeps 0 to `end`, in order."""
        position, parts = 0, []
        for name in self.parts.names("sweeps-"):
            first, stop = _span(name)
            if first == position and position < end:
                parts.append(name)
                position = stop
        if position != end:
            raise CheckpointError(
                f"{str(self.parts.path)!r} lacks the part with sweep {position}, and its state is "
                f"after sweep {end}; restore it, or remove this folder to compute it again"
            )
        return parts

    def _fill(
        self, columns: Columns, first: int, stop: int, arrays: Mapping[str, Any], name: str
    ) -> None:
        targets = self.pieces({key: columns[key] for key in self._names}, first, stop)
        for key, target in targets.items():
            if key not in arrays or arrays[key].shape != target.shape:
                raise CheckpointError(f"{str(self.parts.path / name)!r} does not fit its run")
            target[:] = arrays[key]

    def progress(
        self, beta: float, n_sweeps: int, *, measure_every: int = 1, check: bool = False
    ) -> Progress:
        """Return how far this temperature is; damage is part of the answer.

        With `check`, the checksum of every part is compared.
        """
        running = holder(self.parts.path / "lock")
        try:
            last = self.last()
            done = last[1] if last is not None else 0
            if not self.parts.has(STATE):
                return Progress(beta, done, n_sweeps, running=running)
            state = self.parts.read(STATE)
            self._check_parts(int(state["measured"]), last, check)
            saved = [STATE] + ([last[2]] if last is not None else [])
            times = [(self.parts.path / name).stat().st_mtime for name in saved]
        except (OSError, ValueError) as error:
            return Progress(beta, 0, n_sweeps, running=running, damage=str(error))
        burn = state["burn_numbers"]
        return Progress(
            beta=beta,
            done=max(done, int(state["measured"])),
            target=n_sweeps,
            burned=int(burn[0]) + measure_every * state["burn_m"].shape[1],
            burning=not burn[1],
            seconds=float(state["seconds"]),
            saved_at=max(times),
            running=running,
        )


class Checkpoints:
    """Saves a trajectory now and then, and at its end.

    Parameters
    ----------
    store : TemperatureFolder
        Locked by this process.
    interval : float
        Seconds between two checkpoints, at least.
    asked_to_stop : callable
        Says at the end of a block whether to save and raise Interrupted.
    """

    def __init__(
        self, store: TemperatureFolder, interval: float, asked_to_stop: Callable[[], bool]
    ) -> None:
        self._store, self._parts = store, store.parts
        self._interval, self._asked_to_stop = interval, asked_to_stop
        self._saved = 0  # measured sweeps in parts
        self._seconds = 0.0  # that the measured sweeps took
        self._start: float | None = None  # of measuring in this process
        self._last_save = time.monotonic()

    def resume(self, trajectory: Trajectory, columns: Columns) -> None:
        """Bring a fresh trajectory, and its series, to where they were saved."""
        if not self._parts.has(STATE):
            self._start_anew()
            return
        state = self._parts.read(STATE)
        trajectory.restore(state)
        self._seconds = float(state["seconds"])
        self._saved = trajectory.measured
        self._store.read_series(columns, self._saved)
        for name in self._parts.names("sweeps-"):
            if _span(name)[0] >= self._saved:  # written just before a kill, without its state
                self._parts.remove(name)

    def _start_anew(self) -> None:
        """Refuse to lose what has no state any more; drop a part that came before the first."""
        parts = self._parts.names("sweeps-")
        if len(parts) > 1 or self._parts.names("last-"):
            raise CheckpointError(
                f"{str(self._parts.path / STATE)!r} is missing; restore it, or remove this folder "
                "to compute it again"
            )
        for name in parts:
            self._parts.remove(name)

    def block_ended(self, trajectory: Trajectory, columns: Columns) -> None:
        """Save if it is time to."""
        stop = self._asked_to_stop()
        if stop or time.monotonic() - self._last_save >= self._interval:
            self.save(trajectory, columns)
        if stop:
            raise Interrupted

    def save(self, trajectory: Trajectory, columns: Columns) -> None:
        """Write what was measured since the last checkpoint, then the state."""
        end = trajectory.measured
        if end > self._saved:
            fresh = self._store.pieces(columns, self._saved, end)
            self._parts.write(_name("sweeps", self._saved, end), fresh)
        state = trajectory.state() | {"seconds": np.array(self._elapsed())}
        self._parts.write(STATE, state, replace=True)
        self._saved, self._last_save = end, time.monotonic()

    def finish(self, trajectory: Trajectory, columns: Columns, n_sweeps: int) -> None:
        """Write the sweeps after the last block and the last configurations."""
        before = self._parts.names("last-")
        rest = self._store.pieces(columns, self._saved, n_sweeps)
        name = _name("last", self._saved, n_sweeps)
        more = {
            "spins": trajectory.chains.spins,
            "n_burn_in": np.array(trajectory.burn_in.sweeps),
        }
        if trajectory.exchange is not None:
            more |= {f"exchange_{key}": x for key, x in trajectory.exchange.counts().items()}
        self._parts.write(name, {**rest, **more}, replace=True)
        for old in before:
            if old != name:
                self._parts.remove(old)

    def started_measuring(self) -> None:
        """Begin to count the time of the measured sweeps."""
        self._start = time.monotonic()

    def _elapsed(self) -> float:
        return self._seconds + (0.0 if self._start is None else time.monotonic() - self._start)


class NoCheckpoints(Checkpoints):
    """Keeps everything in memory."""

    def __init__(self, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        self._asked_to_stop = asked_to_stop

    def resume(self, trajectory: Trajectory, columns: Columns) -> None:
        """Do nothing: there is nothing to go on from."""

    def block_ended(self, trajectory: Trajectory, columns: Columns) -> None:
        """Stop if asked to."""
        if self._asked_to_stop():
            raise Interrupted

    def save(self, trajectory: Trajectory, columns: Columns) -> None:
        """Do nothing."""

    def finish(self, trajectory: Trajectory, columns: Columns, n_sweeps: int) -> None:
        """Do nothing."""

    def started_measuring(self) -> None:
        """Do nothing."""


def advance(
    trajectory: Trajectory,
    columns: Columns,
    n_sweeps: int,
    keeper: Checkpoints,
    bar: ProgressBar,
) -> None:
    """Bring a trajectory from where it was saved to its end.

    Parameters
    ----------
    columns : dict of ndarray, each (n_replicas, n_sweeps); of the stored bits as the plan says
        Filled on the way.
    bar : ProgressBar
        Counts the measured sweeps.
    """
    keeper.resume(trajectory, columns)
    bar.skip(trajectory.measured)
    try:
        while not trajectory.burn_in.finished:
            trajectory.burn(n_sweeps)
            keeper.block_ended(trajectory, columns)
    except StatisticsError:
        keeper.save(trajectory, columns)  # a longer run goes on from here
        raise
    keeper.started_measuring()
    while trajectory.measured < n_sweeps:
        size = trajectory.next_size(n_sweeps)
        if size < trajectory.block:
            keeper.save(trajectory, columns)  # where a longer run goes on
        trajectory.measure(size, columns)
        bar.update(size)
        if trajectory.at_boundary:
            keeper.block_ended(trajectory, columns)
    if trajectory.at_boundary:
        keeper.save(trajectory, columns)
    keeper.finish(trajectory, columns, n_sweeps)


def _name(kind: str, first: int, end: int) -> str:
    return f"{kind}-{first:012d}-{end:012d}.npz"


def _span(name: str) -> tuple[int, int]:
    """Return first sweep and end of a part from its name."""
    try:
        _, first, end = name.removesuffix(".npz").split("-")
        return int(first), int(end)
    except ValueError as error:
        raise CheckpointError(f"{name!r} is not the name of a part of a run") from error
