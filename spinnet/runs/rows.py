"""The rows of a sweep in their directory: one part for each point, named by its key.

A finished row is ``row-KEY.npz``; a task that failed leaves ``failed-KEY.json`` until a later
try succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinnet.errors import CheckpointError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.runs.directory import JOB, JobDirectory
from spinnet.runs.evaluation import Outcome
from spinnet.runs.grid import Point
from spinnet.runs.locking import holder

KIND = "sweep"
_WHOLE = "whole.lock"
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
            seed = _seed_of(JobDirectory.load(path, KIND))
        else:
            seed = seed_sequence(rng)
        record = dict(seed_record(seed)) if random else None
        job = {"task": task, "seed": record}
        try:
            return cls(JobDirectory.open(path, KIND, job, targets=()), seed)
        except CheckpointError:
            if not random or rng is not None or not (Path(path) / JOB).is_file():
                raise
            seed = _seed_of(JobDirectory.load(path, KIND))  # which another process made just now
            job = {"task": task, "seed": dict(seed_record(seed))}
            return cls(JobDirectory.open(path, KIND, job, targets=()), seed)

    @contextmanager
    def lock(self, part: tuple[int, int] | None) -> Iterator[None]:
        """Hold the sweep, or one part of it, against other processes.

        Whoever holds a lock looks at the others' afterwards: of two that begin together, at
        least one sees the other.  Only then are the leftovers of killed writers removed, since
        a part that is being computed has files of such names.
        """
        if part is not None:
            with self._directory.lock(f"part-{part[0]}-of-{part[1]}.lock"):
                self._refuse_while_held([_WHOLE], "the whole of this sweep")
                yield
            return
        with self._directory.lock(_WHOLE):
            parts = [file.name for file in self._directory.path.glob("part-*.lock")]
            self._refuse_while_held(sorted(parts), "a part of this sweep")
            self._directory.clean()
            yield

    def _refuse_while_held(self, names: Sequence[str], what: str) -> None:
        for file in (self._directory.path / name for name in names):
            if owner := holder(file):
                raise CheckpointError(
                    f"{str(file)!r} is held by {owner}: {what} is being computed; wait for it, "
                    "or use another directory"
                )

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


@dataclass(frozen=True)
class SweepProgress:
    """What there is in the directory of a sweep; it does not know how large its grid is.

    Attributes
    ----------
    done, failed : int
        Rows.
    errors : tuple of str
        Of the failed rows: parameters and error.
    running : tuple of str
        The processes at work on it.
    damage : tuple of str
        What is wrong with its files.
    """

    done: int
    failed: int
    errors: tuple[str, ...]
    running: tuple[str, ...]
    damage: tuple[str, ...]


def progress(directory: JobDirectory, *, check: bool = False) -> SweepProgress:
    """Return how many rows of a sweep are there.

    With `check`, the checksum of every row is compared.
    """
    rows = directory.names("row-")
    finished = {name.removeprefix("row-").removesuffix(".npz") for name in rows}
    errors, damage = [], []
    failed = [n for n in directory.names("failed-") if n[len("failed-") : -5] not in finished]
    for name in failed:
        try:
            content = directory.read(name)
            given = ", ".join(f"{k}={v}" for k, v in content["params"].items())
            errors.append(f"{given}: {content['error']}")
        except CheckpointError as error:
            damage.append(str(error))
    for name in rows if check else []:
        try:
            directory.check(name)
        except CheckpointError as error:
            damage.append(str(error))
    owners = [holder(file) for file in sorted(directory.path.glob("*.lock"))]
    running = tuple(owner for owner in owners if owner)
    return SweepProgress(len(rows), len(failed), tuple(errors), running, tuple(damage))
