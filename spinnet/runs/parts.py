"""Folders of part files: each appears whole, carries its checksum and says whose it is.

A part is an ``.npz`` archive of plain arrays, or a ``.json`` file; neither can hold code.  An
archive is an ordinary one, which ``numpy.load`` opens: what spinnet adds stands in the comment
that closes every zip file, and its checksum covers every byte before it.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import CheckpointError
from spinnet.files import PARTIAL, replace_file
from spinnet.runs.locking import PATIENCE, locked

SCHEMA = 1
Arrays = dict[str, NDArray[Any]]
_MARK = "spinnet-part"
_CHUNK = 1 << 20
_LARGEST_COMMENT = 1000


class PartFolder:
    """A folder of immutable parts that belong to one job.

    Attributes
    ----------
    path : Path
    owner : str
        The fingerprint of the job; a part with another one is refused.
    """

    def __init__(self, path: str | Path, owner: str) -> None:
        self.path, self.owner = Path(path), owner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def make(self) -> None:
        """Make the folder unless it is there; its parent must be."""
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"cannot make the folder {str(self.path)!r} ({error.strerror or error}); choose "
                "another place"
            ) from error

    @contextmanager
    def lock(self, name: str = "lock", *, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the folder (or, by `name`, a piece of its work) against all other processes.

        The lock ends with its holder, also at ``kill -9``.  Under the default name, leftovers
        of killed writers are removed; under any other, other writers may be at work.
        Another holder is waited for during `patience` seconds.

        Raises
        ------
        CheckpointError
            Naming process and machine of the holder, or the reason why the folder cannot be
            written.
        """
        with locked(self._place(name), patience=patience):
            if name == "lock":
                self.clean()
            yield

    def clean(self, name: str = "") -> None:
        """Remove what killed writers (of parts that begin with `name`) left behind.

        Only for the one who holds the lock that they held.
        """
        for leftover in self.path.glob(f".{name}*{PARTIAL}"):
            leftover.unlink(missing_ok=True)

    def names(self, prefix: str = "") -> list[str]:
        """Return the sorted names of the parts that begin with `prefix`."""
        try:
            found = [p.name for p in self.path.iterdir() if p.suffix in (".npz", ".json")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return sorted(n for n in found if n.startswith(prefix) and not n.startswith("."))

    def has(self, name: str) -> bool:
        """Return whether the part is there."""
        return self._place(name).is_file()

    def write(self, name: str, content: Any, *, replace: bool = False) -> None:
        """Write a part: arrays by name if `name` ends in ``.npz``, plain values if in ``.json``.

        The part is on the disk when this returns; until then the folder is as it was.

        Parameters
        ----------
        name : str
        content : mapping of str to array_like, or what JSON holds
        replace : bool
            Whether a part of that name may be there already.

        Raises
        ------
        CheckpointError
            On a full disk, an unwritable folder, or an existing part.
        """
        target = self._place(name)
        if not replace and target.exists():
            raise CheckpointError(f"{str(target)!r} exists already, and parts never change")
        try:
            if target.suffix == ".npz":
                arrays = {key: _plain(target, key, value) for key, value in content.items()}
                replace_file(target, lambda stream: self._write_arrays(stream, name, arrays))
            else:
                text = sealed_json({**self._label(name), "content": content})
                replace_file(target, lambda stream: stream.write(text))
        except OSError as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"cannot write {str(target)!r}: {error.strerror or error}; what was saved before "
                "is intact: make room or make the folder writable, and run again"
            ) from error

    def read(self, name: str) -> Any:
        """Return a part: a dict of arrays, or the values of a JSON part.

        Raises
        ------
        CheckpointError
            If the part is missing, truncated, changed, from another job or another format.
        """
        target = self._place(name)
        try:
            if target.suffix == ".npz":
                with target.open("rb") as stream:
                    return self._read_arrays(stream, target)
            values = unsealed_json(target, target.read_bytes())
            self._check_label(values, target)
            return values["content"]
        except CheckpointError:
            raise
        except FileNotFoundError as error:
            raise CheckpointError(f"{str(target)!r} is missing") from error
        except OSError as error:
            raise _unreadable(target, error) from error

    def check(self, name: str) -> None:
        """Refuse a damaged or foreign part as :meth:`read` does, without keeping its content."""
        target = self._place(name)
        if target.suffix != ".npz":
            self.read(name)
            return
        try:
            with target.open("rb") as stream:
                self._verify(stream, target)
        except OSError as error:
            if isinstance(error, CheckpointError):
                raise
            raise _unreadable(target, error) from error

    def remove(self, name: str) -> None:
        """Remove a part, if it is there."""
        try:
            self._place(name).unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"cannot remove {str(self._place(name))!r} ({error.strerror}); make the folder "
                "writable"
            ) from error

    def _place(self, name: str) -> Path:
        if not name or name.startswith(".") or Path(name).name != name:
            raise CheckpointError(f"a part needs a plain file name, got {name!r}")
        return self.path / name

    def _label(self, name: str) -> dict[str, Any]:
        return {"what": _MARK, "schema": SCHEMA, "name": name, "job": self.owner}

    def _check_label(self, label: Mapping[str, Any], target: Path) -> None:
        if label.get("what") != _MARK:
            raise CheckpointError(f"{str(target)!r} was not written by spinnet")
        check_schema(label.get("schema"), target)
        if label.get("job") != self.owner:
            raise CheckpointError(
                f"{str(target)!r} belongs to another job than its folder; put it back, or remove it"
            )
        if label.get("name") != target.name:
            raise CheckpointError(
                f"{str(target)!r} was written under the name {label.get('name')!r}; name it so "
                "again"
            )

    def _write_arrays(self, stream: BinaryIO, name: str, arrays: Arrays) -> None:
        columns: dict[str, Any] = dict(arrays)  # the stub takes any name for an option of its own
        np.savez(stream, **columns)
        end = stream.seek(0, 2) - 2  # the last two bytes are the length of the comment: none
        label = self._label(name)
        digest = _digest(stream, end, label)
        comment = json.dumps({**label, "sha256": digest}).encode()
        stream.seek(end)
        stream.write(struct.pack("<H", len(comment)) + comment)

    def _verify(self, stream: BinaryIO, target: Path) -> None:
        label, end = _comment(stream, target)
        self._check_label(label, target)
        expected = label.pop("sha256", None)
        if _digest(stream, end, label) != expected:
            raise _damaged(target, "its checksum does not fit")

    def _read_arrays(self, stream: BinaryIO, target: Path) -> Arrays:
        self._verify(stream, target)
        stream.seek(0)
        try:
            with np.load(stream, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise _damaged(target, str(error)) from error


def sealed_json(values: Mapping[str, Any]) -> bytes:
    """Return `values` as indented JSON with their checksum under "sha256"."""
    sealed = {**values, "sha256": _json_digest(values)}
    return (json.dumps(sealed, indent=1, allow_nan=False) + "\n").encode()


def unsealed_json(path: Path, text: bytes) -> dict[str, Any]:
    """Return what :func:`sealed_json` wrote; refuse what is damaged or was edited."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _damaged(path, f"it is not JSON ({error})") from error
    if not isinstance(values, dict) or "sha256" not in values:
        raise CheckpointError(f"{str(path)!r} was not written by spinnet")
    expected = values.pop("sha256")
    try:
        found = _json_digest(values)
    except ValueError as error:  # NaN or an infinity, which were never written
        raise _damaged(path, str(error)) from error
    if found != expected:
        raise _damaged(path, "its checksum does not fit")
    return values


def check_schema(found: object, path: Path) -> None:
    """Refuse a format that this version does not read."""
    if found != SCHEMA:
        raise CheckpointError(
            f"{str(path)!r} has the format (schema) {found!r}, and this spinnet reads {SCHEMA}; "
            "use the version that wrote it"
        )


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return a short checksum of plain values, whatever the order of their keys."""
    return _json_digest(values)[:32]


def _plain(target: Path, key: str, value: ArrayLike) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise CheckpointError(f"{str(target)!r}: {key!r} holds Python objects; give numbers")
    return array


def _json_digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(stream: BinaryIO, end: int, label: Mapping[str, Any]) -> str:
    """Return the checksum of the first `end` bytes and of the label."""
    stream.seek(0)
    digest = hashlib.sha256()
    left = end
    while left > 0:
        chunk = stream.read(min(_CHUNK, left))
        if not chunk:
            break
        digest.update(chunk)
        left -= len(chunk)
    digest.update(_json_digest(label).encode())
    return digest.hexdigest()


def _comment(stream: BinaryIO, target: Path) -> tuple[dict[str, Any], int]:
    """Return the closing comment of an archive and where its length stands."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _LARGEST_COMMENT))
    tail = stream.read()
    start = tail.rfind(b'{"what": "')
    if start < 2:
        raise _damaged(target, f"its end is missing, or it is not a part ({size} bytes)")
    (length,) = struct.unpack("<H", tail[start - 2 : start])
    try:
        label = json.loads(tail[start:])
    except ValueError as error:
        raise _damaged(target, "its end is not readable") from error
    if length != len(tail) - start or not isinstance(label, dict):
        raise _damaged(target, "its end is not readable")
    return label, size - length - 2


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{str(path)!r} is damaged: {why}; restore it from a copy, or remove the folder "
        f"{str(path.parent)!r} to compute it again"
    )


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"{str(path)!r} cannot be read ({error.strerror or error})")
