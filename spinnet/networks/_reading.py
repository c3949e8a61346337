"""What the readers of array files share: paths checked, npz archives opened without trust.

No object is ever unpickled, and an archive that unpacks to vastly more than it holds is refused
before anything is unpacked.
"""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from spinnet.errors import InputError

# RuntimeError: an encrypted member, or a compression that zipfile lacks.  MemoryError and
# OverflowError: a header that declares more than can be.
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)

# Real arrays compress by a factor of a few; only an array of one repeated number reaches 1000.
_LARGEST_RATIO = 100
_HARMLESS = 2**30  # bytes that any archive may unpack to


def existing_file(path: object, suffixes: tuple[str, ...], what: str) -> Path:
    """Return the path of an existing file of one of some kinds; `what` names its contents."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise InputError(f"path must be the path of a file, got {path!r:.80}")
    found = Path(path)
    allowed = f"{', '.join(suffixes[:-1])} and {suffixes[-1]}"
    if found.suffix.lower() not in suffixes:
        raise InputError(f"{found}: {what} are read from {allowed}, got {found.suffix!r}")
    if os.path.isdir(found):  # noqa: PTH112 - False for a name too long, where Path raises
        raise InputError(f"{found}: is a folder; give the path of a file ({allowed})")
    if not os.path.isfile(found):  # noqa: PTH113
        raise InputError(f"{found}: no such file; give the path of a file ({allowed})")
    return found


@contextmanager
def npz_archive(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an npz archive, with its declared sizes checked; READ_ERRORS are the caller's."""
    with path.open("rb") as stream:  # numpy.load leaves a damaged file open
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise InputError(
                f"{path}: a single array, not an npz archive; name it .npy, or use numpy.savez"
            )
        assert file.zip is not None
        unpacked = sum(member.file_size for member in file.zip.infolist())
        packed = max(1, path.stat().st_size)
        if unpacked > _HARMLESS and unpacked > _LARGEST_RATIO * packed:
            raise InputError(
                f"{path}: {packed} bytes would unpack to {unpacked}, more than {_LARGEST_RATIO} "
                "times as many: real weights and images do not; save it with numpy.savez"
            )
        yield file
