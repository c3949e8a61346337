"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from spinnet.errors import InputError

PARTIAL = ".partial"  # ends the temporary name of a file that is being written


def check_writable(path: str | Path, name: str = "output") -> Path:
    """Return `path` if a file can be made there; refuse before any long work otherwise."""
    target = Path(path)
    folder = target.parent
    if os.path.isdir(target):  # noqa: PTH112 - False for a name too long, where Path raises
        raise InputError(f"{name} must name a file, got the folder {str(target)!r}")
    if not os.path.isdir(folder):  # noqa: PTH112
        missing = f"the folder {str(folder)!r} does not exist; make it first"
        raise InputError(f"{name}: {file_on_the_way(target) or missing}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{name}: cannot write in {str(folder)!r} ({error.strerror or error}); "
            "choose another folder"
        ) from error
    return target


def file_on_the_way(path: Path) -> str:
    """Say which parent of `path` is a file and not a folder; return "" where none is."""
    for parent in path.parents:
        if os.path.isfile(parent):  # noqa: PTH113 - False for a name too long, where Path raises
            return f"{str(parent)!r} is a file, not a folder"
    return ""


def finite_or_null(value: object) -> object:
    """Return nested dicts and lists with None for NaN and infinities, which JSON has not."""
    if isinstance(value, dict):
        return {key: finite_or_null(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> Path:
    """Call `write` on a temporary file beside `path`, then rename it into place.

    Raises
    ------
    InputError
        If the folder cannot be written or the disk is full; nothing is left behind.
    """
    target = check_writable(path)
    try:
        replace_file(target, write)
    except OSError as error:
        raise InputError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    return target


def replace_file(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside `target` under a temporary name, make it durable, and rename it into place.

    The temporary name begins with a dot and ends in ``.partial``; it is removed on any error,
    and outlives only a kill.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; `target` is as it was.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=PARTIAL)
    try:
        with os.fdopen(handle, "w+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        os.replace(name, target)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; not every file system can, and those are let be."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
