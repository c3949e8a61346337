"""Job directories: long work as a folder that can be killed, resumed, extended and read.

A job directory holds ``job.json`` (format, kind, parameters, versions) and parts, which are
written once, whole and with a checksum (:mod:`spinnet.runs.parts`).  Whoever opens it again
must ask for the same job; only the named targets may grow.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import spinnet
from spinnet.errors import CheckpointError
from spinnet.files import PARTIAL, file_on_the_way, replace_file
from spinnet.runs.locking import locked
from spinnet.runs.parts import (
    SCHEMA,
    PartFolder,
    check_schema,
    fingerprint,
    sealed_json,
    unsealed_json,
)

JOB = "job.json"
_OPENING = "opening.lock"
_PATIENCE = 30.0  # seconds: another process needs milliseconds to write job.json
_SHOWN = 60  # characters of a value in a message
_READERS = {  # who opens the other kinds
    "sweep": "this one belongs to spinnet.sweep(..., directory=...)",
    "run": "this one is opened by spinnet.load_run, or spinnet.sample(..., checkpoint=...)",
    "merged-run": "this one is opened by spinnet.load_run",
}


class JobDirectory(PartFolder):
    """A folder that belongs to one job.

    Attributes
    ----------
    path : Path
    kind : str
        What kind of work this is, for example "run".
    job : dict
        The resolved parameters, plain JSON values.
    targets : tuple of str
        The keys of `job` that may grow.
    versions : dict
        Of spinnet, NumPy and Python, at the time the directory was made.
    owner : str
        The fingerprint of kind and job without targets, which every part carries.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.TemporaryDirectory()
    >>> job = JobDirectory.open(place.name, "demo", {"n": 3, "seed": 7}, targets=("n",))
    >>> job.write("rows-0.npz", {"x": [1.0, 2.0]})
    >>> JobDirectory.load(place.name, "demo").read("rows-0.npz")["x"].tolist()
    [1.0, 2.0]
    >>> place.cleanup()
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        job: dict[str, Any],
        targets: tuple[str, ...],
        versions: dict[str, str],
    ) -> None:
        fixed = {key: value for key, value in job.items() if key not in targets}
        super().__init__(path, fingerprint({"kind": kind, "job": fixed}))
        self.kind, self.job, self.targets, self.versions = kind, job, targets, versions

    @classmethod
    def open(
        cls,
        path: str | Path,
        kind: str,
        job: Mapping[str, Any],
        *,
        targets: Sequence[str] = ("n_sweeps",),
    ) -> JobDirectory:
        """Make the directory of a job, or open it again for the same job.

        Parameters
        ----------
        path : str or Path
            Its parent must exist.
        kind : str
        job : mapping
            Everything that the results depend on, as plain JSON values.
        targets : sequence of str
            Keys of numbers that may be larger than before: the directory then takes the new
            ones.

        Raises
        ------
        CheckpointError
            If the folder belongs to another job (naming the first key that differs and both
            values), to something else, or cannot be written.
        """
        folder = Path(path)
        wanted = cls(folder, kind, _plain_values(job), tuple(targets), _versions())
        if not (folder / JOB).is_file():
            return wanted._made()
        found = cls.load(folder, kind)
        found._check_same(wanted)
        if found._grown(wanted):
            return found._extended(wanted)
        return found

    @classmethod
    def load(cls, path: str | Path, kind: str | None = None) -> JobDirectory:
        """Open an existing directory to read it, whatever its job.

        Raises
        ------
        CheckpointError
            If it is not the directory of a job (of that kind), or is damaged.
        """
        folder = Path(path)
        file = folder / JOB
        try:
            values = unsealed_json(file, file.read_bytes())
        except FileNotFoundError as error:
            reason = "no such folder" if not folder.is_dir() else f"it holds no {JOB}"
            raise CheckpointError(
                f"{str(folder)!r} is not the folder of a job: {reason}"
            ) from error
        except NotADirectoryError as error:
            raise CheckpointError(f"{str(folder)!r} is a file, not the folder of a job") from error
        except OSError as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{str(file)!r} cannot be read ({error.strerror})") from error
        check_schema(values.get("schema"), file)
        if any(key not in values for key in ("kind", "job", "targets", "versions")):
            raise CheckpointError(
                f"{str(file)!r} is not the description of a job; put the right one back"
            )
        found = cls(
            folder, values["kind"], values["job"], tuple(values["targets"]), values["versions"]
        )
        if kind is not None and found.kind != kind:
            raise found.wrong_kind(kind)
        return found

    def wrong_kind(self, wanted: str) -> CheckpointError:
        """Return the error for a directory whose job is of another kind than `wanted`."""
        reader = _READERS.get(self.kind, "")
        return CheckpointError(
            f"{str(self.path)!r} holds a job of kind {self.kind!r}, not {wanted!r}; use another "
            f"directory{f' ({reader})' if reader else ''}"
        )

    def names(self, prefix: str = "") -> list[str]:
        """Return the sorted names of the parts that begin with `prefix`."""
        return [name for name in super().names(prefix) if name != JOB]

    def folder(self, name: str) -> PartFolder:
        """Return a sub-folder for parts of this job (made by its ``make()``).

        Its parts are known as its own: a copy in another sub-folder is refused.
        """
        return PartFolder(self._place(name), fingerprint({"job": self.owner, "folder": name}))

    def _made(self) -> JobDirectory:
        self._check_free()
        self.make()
        with locked(self.path / _OPENING, patience=_PATIENCE):
            if not (self.path / JOB).is_file():  # else another process was faster
                self.clean()
                self._write_job()
        return JobDirectory.open(self.path, self.kind, self.job, targets=self.targets)

    def _check_free(self) -> None:
        """Refuse a folder that holds something else."""
        if self.path.is_dir():
            names = sorted(item.name for item in self.path.iterdir())
            other = [n for n in names if n != _OPENING and not n.endswith(PARTIAL)]
            if other and JOB not in names:  # which another process may have written just now
                raise CheckpointError(
                    f"{str(self.path)!r} is not the folder of a job: it holds {other[0]!r} and "
                    f"no {JOB}; use another directory"
                )
        elif self.path.exists() or file_on_the_way(self.path):
            reason = file_on_the_way(self.path) or f"{str(self.path)!r} is a file, not a folder"
            raise CheckpointError(f"{reason}; use another directory")
        elif not self.path.parent.is_dir():
            raise CheckpointError(
                f"the folder {str(self.path.parent)!r} does not exist; make it first"
            )

    def _write_job(self) -> None:
        content = {
            "schema": SCHEMA,
            "kind": self.kind,
            "job": self.job,
            "targets": list(self.targets),
            "versions": self.versions,
        }
        text = sealed_json(content)
        try:
            replace_file(self.path / JOB, lambda stream: stream.write(text))
        except OSError as error:
            raise CheckpointError(
                f"cannot write {str(self.path / JOB)!r}: {error.strerror or error}; make room or "
                "choose another folder"
            ) from error

    def _check_same(self, wanted: JobDirectory) -> None:
        """Refuse another job, or a smaller target."""
        if self.targets != wanted.targets:
            raise CheckpointError(
                f"{str(self.path / JOB)!r} has the targets {self.targets}, this job "
                f"{wanted.targets}; use another directory"
            )
        self._check_fixed(wanted)
        for key in self.targets:
            if wanted.job[key] < self.job[key]:
                raise self._differs(key, self.job[key], wanted.job[key], "; a target can only grow")

    def _check_fixed(self, wanted: JobDirectory) -> None:
        """Refuse another job by the first key that differs, that of another model first."""
        mine, yours = _flat(self.job), _flat(wanted.job)
        keys = [*yours, *(key for key in mine if key not in yours)]
        for key in sorted(keys, key=lambda key: not f"{key}.".startswith("model.")):
            if key not in self.targets and mine.get(key, _NONE) != yours.get(key, _NONE):
                raise self._differs(key, mine.get(key, _NONE), yours.get(key, _NONE), "")

    def _differs(self, key: str, mine: object, yours: object, why: str) -> CheckpointError:
        return CheckpointError(
            f"{str(self.path / JOB)!r} was made {_with(key, mine)}, this job asks for "
            f"{_shown(yours)}{why}; use another directory"
        )

    def _grown(self, wanted: JobDirectory) -> bool:
        return any(wanted.job[key] > self.job[key] for key in self.targets)

    def _extended(self, wanted: JobDirectory) -> JobDirectory:
        with locked(self.path / _OPENING, patience=_PATIENCE):
            newest = JobDirectory.load(self.path, self.kind)
            newest._check_same(wanted)
            wanted.versions = newest.versions
            wanted._write_job()
        return wanted


class _Nothing:
    """Stands for a key that a job does not have."""


_NONE = _Nothing()


def _with(key: str, value: object) -> str:
    return f"without {key}" if value is _NONE else f"with {key}={_shown(value)}"


def _shown(value: object) -> str:
    if value is _NONE:
        return "none"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, its keys joined by dots."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def _plain_values(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return `job` as JSON gives it back; refuse what JSON does not hold."""
    try:
        return dict(json.loads(json.dumps(dict(job), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a job must be plain JSON values: {error}") from error


def _versions() -> dict[str, str]:
    return {
        "spinnet": spinnet.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
