"""How a sampler and its peers are timed: side by side, in one process, on one thread.

The time of a unit of work (one attempted spin update, one sample) is the slope between a short
and a long run, so that start-up, conversion and read-out drop out.  Rounds are interleaved, each
sampler once a round, and the median of the ratios within rounds is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Runner = Callable[[int], object]  # does this many units of work (sweeps, samples)


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes
    ----------
    goal : str
        Which goal it belongs to, for example "3".
    workload : str
    unit : str
        What one unit of work is divided into, for example "ns/flip".
    per_unit : float
        Flips (or whatever `unit` counts) in one unit of work of `ours`.
    ours : Runner
        Through the public call.
    size : int
        Units of work of the short run.
    peers : dict of str to (Runner, per_unit, size)
    limit : tuple of (str, Runner, per_unit, size), optional
        What bounds us, as a runner too: the matrix product alone, the row update alone.
    targets : dict of str to float
        Least ratio time(peer)/time(ours) by name of peer; for the name of the limit, the least
        fraction time(limit)/time(ours); for "spinnet", the largest number of `unit`.
    clock : callable
        Processor time by default; ``time.perf_counter`` where threads are compared.
    """

    goal: str
    workload: str
    unit: str
    per_unit: float
    ours: Runner
    size: int
    peers: Mapping[str, tuple[Runner, float, int]] = field(default_factory=dict)
    limit: tuple[str, Runner, float, int] | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.process_time


@dataclass(frozen=True)
class Row:
    """The outcome of a case: nanoseconds of ours, and ratios by name."""

    case: Case
    nanoseconds: float
    ratios: Mapping[str, float]
    spread: Mapping[str, tuple[float, float]]

    @property
    def missed(self) -> list[str]:
        """Names whose target is not reached."""
        found = {"spinnet": -self.nanoseconds, **self.ratios}
        goals = {k: -v if k == "spinnet" else v for k, v in self.case.targets.items()}
        return [name for name, goal in goals.items() if name in found and found[name] < goal]


def slope(run: Runner, per_unit: float, size: int, clock: Callable[[], float]) -> float:
    """Return nanoseconds per `unit`: the slope between `size` and 3 `size` units of work."""
    times = []
    for length in (size, 3 * size):
        start = clock()
        run(length)
        times.append(clock() - start)
    return (times[1] - times[0]) / (2 * size * per_unit) * 1e9


def measure(case: Case, rounds: int) -> Row:
    """Time a case: one warming run of each, then `rounds` interleaved rounds."""
    runners: dict[str, tuple[Runner, float, int]] = {"": (case.ours, case.per_unit, case.size)}
    runners.update(case.peers)
    if case.limit is not None:
        name, *rest = case.limit
        runners[name] = (rest[0], rest[1], rest[2])
    for run, _, size in runners.values():
        run(size)
    table = [
        {name: slope(*runner, case.clock) for name, runner in runners.items()}
        for _ in range(rounds)
    ]
    ratios = {name: [row[name] / row[""] for row in table] for name in runners if name}
    return Row(
        case,
        float(np.median([row[""] for row in table])),
        {name: float(np.median(x)) for name, x in ratios.items()},
        {name: (min(x), max(x)) for name, x in ratios.items()},
    )
