"""What the readers of array files share: paths checked, npz archives opened without trust.

No object is ever unpickled, and an archive that unpacks to vastly more than it holds is refused
before anything is unpacked.
"""

from __future__ import annotations

import lzma
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.files import file_on_the_way

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
        reason = file_on_the_way(found) or "no such file"
        raise InputError(f"{found}: {reason}; give the path of a file ({allowed})")
    return found


@contextmanager
def npz_archive(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an npz archive, with its declared sizes checked; READ_ERRORS are the caller's."""
    with path.open("rb") as stream:  # numpy.load leaves a damaged file open
        # numpy.load takes what it does not know for a pickle
        if not _is_npy(stream) and not zipfile.is_zipfile(stream):
            raise InputError(f"{path}: cannot read it: it is not an npz archive, or is cut short")
        stream.seek(0)
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


def read_npy(path: Path) -> NDArray[Any]:
    """Read a single array; READ_ERRORS are the caller's."""
    with path.open("rb") as stream:
        if not _is_npy(stream):
            raise InputError(f"{path}: cannot read it: it is not an .npy file")
        array: NDArray[Any] = np.load(stream, allow_pickle=False)
        return array


def read_csv(path: Path, ndmin: Literal[1, 2]) -> NDArray[np.float64]:
    """Read comma-separated numbers; READ_ERRORS other than of a cell are the caller's."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            # utf-8-sig: spreadsheets put a mark before the first number
            return np.loadtxt(path, delimiter=",", ndmin=ndmin, encoding="utf-8-sig")
    except ValueError:
        reason = _bad_cell(path)
        if not reason:
            raise
        raise InputError(
            f"{path}: must be comma-separated numbers without a header; {reason}"
        ) from None


def _bad_cell(path: Path) -> str:
    """Say which cell of a .csv is no number, or which row has another length."""
    width = 0
    for row, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        cells = [cell.strip() for cell in content.split(",")]
        for column, cell in enumerate(cells, 1):
            try:
                float(cell)
            except ValueError:
                return f"row {row}, column {column} holds {cell[:40]!r}"
        if width and len(cells) != width:
            return f"row {row} has {len(cells)} numbers, the rows above have {width}"
        width = len(cells)
    return ""


def _is_npy(stream: BinaryIO) -> bool:
    magic = np.lib.format.MAGIC_PREFIX
    stream.seek(0)
    found = stream.read(len(magic)) == magic
    stream.seek(0)
    return found
