"""One process at a time: a lock that the kernel releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spinnet.errors import CheckpointError

# whoever asks for a status holds a lock for an instant; nobody should fail because of that
PATIENCE = 1.0  # seconds


@contextmanager
def locked(path: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file `path` (made if need be) for the length of the block.

    Exclusive over processes, and over threads of one process.  The file stays when the lock is
    released: removing it would let two others hold "the" lock.

    Parameters
    ----------
    path : Path
    patience : float
        Seconds to wait for another holder.

    Raises
    ------
    CheckpointError
        Naming process and machine of the holder, or the reason why no lock can be made.
    """
    handle = _opened(path)
    try:
        _acquire(handle, path, time.monotonic() + patience)
        _sign(handle, path)
        yield
    finally:
        os.close(handle)


def holder(path: Path) -> str:
    """Return ``"process 123 on host"`` of the holder of a lock file, "" where nobody holds it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signature(path)
    except OSError:
        return ""
    finally:
        os.close(handle)
    return ""


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CheckpointError(
            f"cannot write in {str(path.parent)!r} ({error.strerror}); choose another folder, "
            "or make this one writable"
        ) from error


def _acquire(handle: int, path: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise CheckpointError(
                    f"{str(path.parent)!r} is in use by {_signature(path)}; wait for it, or use "
                    "another directory"
                ) from error
        except OSError as error:
            raise CheckpointError(
                f"{str(path)!r} cannot be locked ({error.strerror}): this file system keeps no "
                "locks; choose a folder on another"
            ) from error
        time.sleep(0.02)


def _sign(handle: int, path: Path) -> None:
    """Write who holds the lock; on a full disk the lock still holds, unsigned."""
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
    except OSError:
        return


def _signature(path: Path) -> str:
    try:
        found = json.loads(path.read_text())
        return f"process {found['pid']} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
