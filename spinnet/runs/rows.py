"""The rows of a sweep in their directory: one part for each point, named by its key.

A finished row is ``row-KEY.npz``; a task that failed leaves ``failed-KEY.json`` until a later
try succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spinnet.errors import CheckpointError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.runs.directory import JOB, JobDirectory
from spinnet.runs.evaluation import Outcome
from spinnet.runs.grid import Point
from spinnet.runs.locking import holder

_KIND = "sweep"
_PREFIX = "value."  # numpy.savez takes no array named "file"


class RowStore:
    """The directory of one sweep.

    Attributes
    ----------
    seed : SeedSequence
        The root of the streams of all points (of no meaning for a task without `rng`).
    """

    def __init__(self, directory: JobDirectory, seed: np.random.SeedSequence) -> None:
        self._directory = directory
        self.seed = seed

    @classmethod
    def open(cls, path: str | Path, task: str, random: bool, rng: RandomState) -> RowStore:
        """Make or open a directory; without `rng`, an existing one keeps its seed."""
        if random and rng is None and (Path(path) / JOB).is_file():
            seed = _seed_of(JobDirectory.load(path, _KIND))
        else:
            seed = seed_sequence(rng)
        record = dict(seed_record(seed)) if random else None
        job = {"task": task, "seed": record}
        return cls(JobDirectory.open(path, _KIND, job, targets=()), seed)

    @contextmanager
    def lock(self, part: tuple[int, int] | None) -> Iterator[None]:
        """Hold the sweep, or one part of it, against other processes."""
        if part is not None:
            with self._directory.lock(f"part-{part[0]}-of-{part[1]}.lock"):
                yield
            return
        with self._directory.lock():
            for file in sorted(self._directory.path.glob("part-*.lock")):
                if owner := holder(file):
                    raise CheckpointError(
                        f"{str(file)!r} is held by {owner}: a part of this sweep is being "
                        "computed; wait for it, or use another directory"
                    )
            yield

    def read(self, points: Sequence[Point]) -> dict[str, Outcome]:
        """Return the outcomes that are there, by key."""
        names = set(self._directory.names())
        found = {}
        for point in points:
            if _done(point) in names:
                found[point.key] = Outcome(self._values(_done(point)))
            elif _failed(point) in names:
                content = self._directory.read(_failed(point))
                found[point.key] = Outcome(error=content["error"], trace=content["trace"])
        return found

    def write(self, point: Point, outcome: Outcome) -> None:
        """Keep one outcome; it is on the disk when this returns."""
        if outcome.error:
            content = {"params": point.params, "error": outcome.error, "trace": outcome.trace}
            self._directory.write(_failed(point), content, replace=True)
            return
        arrays = {_PREFIX + name: value for name, value in outcome.values.items()}
        self._directory.write(_done(point), arrays, replace=True)
        self._directory.remove(_failed(point))

    def _values(self, name: str) -> dict[str, Any]:
        arrays = self._directory.read(name)
        return {
            key.removeprefix(_PREFIX): array.item() if array.ndim == 0 else array
            for key, array in arrays.items()
        }


def _seed_of(directory: JobDirectory) -> np.random.SeedSequence:
    record = directory.job.get("seed")
    if record is None:
        return np.random.SeedSequence()
    return np.random.SeedSequence(int(record["entropy"]), spawn_key=tuple(record["spawn_key"]))


def _done(point: Point) -> str:
    return f"row-{point.key}.npz"


def _failed(point: Point) -> str:
    return f"failed-{point.key}.json"
