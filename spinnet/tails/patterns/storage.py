"""The file of a `PatternCounter`: npz with keys, counts, a JSON header and a sha256 of all three.

The header records the schema and the fingerprints' start values, without which the keys could
not be merged with others.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import spinnet
from spinnet.errors import CheckpointError
from spinnet.files import write_atomically
from spinnet.tails.patterns.fingerprint import SEEDS
from spinnet.tails.patterns.table import Counts, Entries, Words

KIND = "spinnet-pattern-counter"
SCHEMA = 1
_MEMBERS = ("header", "keys", "counts", "sha256")


class Header(NamedTuple):
    """Settings and totals of a counter."""

    n_bits: int
    exact: bool
    max_distinct: int | None
    sketch: str | None
    n_total: int
    count_error: int
    truncated: bool


def save(path: str | Path, header: Header, entries: Entries) -> Path:
    """Write a counter's state; return the path."""
    record = {
        "kind": KIND,
        "schema": SCHEMA,
        "version": spinnet.__version__,
        "seeds": list(SEEDS),
        **header._asdict(),
    }
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    keys, counts = np.ascontiguousarray(entries.keys), np.ascontiguousarray(entries.counts)
    digest = np.frombuffer(_digest(text, keys, counts), np.uint8)
    return write_atomically(
        path, lambda stream: np.savez(stream, header=text, keys=keys, counts=counts, sha256=digest)
    )


def load(path: str | Path) -> tuple[Header, Entries]:
    """Read a counter's state, refusing any file that `save` has not written whole."""
    members = _members(path)
    text, keys, counts, digest = (members[name] for name in _MEMBERS)
    record = _record(path, text)
    if record.get("schema") != SCHEMA or record.get("seeds") != list(SEEDS):
        raise CheckpointError(
            f"{str(path)!r} was written by spinnet {record.get('version')} in schema "
            f"{record.get('schema')}; this version reads schema {SCHEMA}"
        )
    if digest.tobytes() != _digest(text, keys, counts):
        raise CheckpointError(f"{str(path)!r} is damaged: its checksum does not fit its contents")
    return Header(*(record[name] for name in Header._fields)), Entries(keys, counts)


def _members(path: str | Path) -> dict[str, NDArray[Any]]:
    try:
        with Path(path).open("rb") as stream:  # numpy leaves a file open that it cannot read
            archive = np.load(stream, allow_pickle=False)
            npz = isinstance(archive, np.lib.npyio.NpzFile)
            if not npz or set(archive.files) != set(_MEMBERS):
                raise _foreign(path)
            return {name: archive[name] for name in _MEMBERS}
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"{str(path)!r} does not exist") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{str(path)!r} is damaged: {error}") from error
    except (ValueError, EOFError) as error:
        raise _foreign(path) from error
    except OSError as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def _record(path: str | Path, text: NDArray[Any]) -> dict[str, Any]:
    try:
        record = json.loads(text.tobytes())
    except ValueError as error:
        raise _foreign(path) from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise _foreign(path)
    return record


def _foreign(path: str | Path) -> CheckpointError:
    return CheckpointError(
        f"{str(path)!r} is not a saved PatternCounter; give a file written by its save method"
    )


def _digest(text: NDArray[Any], keys: Words, counts: Counts) -> bytes:
    digest = hashlib.sha256()
    for array in (text, keys, counts):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
