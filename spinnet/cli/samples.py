"""One series of numbers from a file: npy, npz, csv or plain text, told apart by their content."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, did_you_mean
from spinnet.files import file_on_the_way
from spinnet.networks._reading import READ_ERRORS, npz_archive, read_npy

Array = NDArray[Any]

_SHOWN = 40  # characters of a wrong cell
_LISTED = 12  # names in an error message
_SNIFFED = 65536  # bytes looked at to tell text from anything else
_ZIP, _NPY = b"PK\x03\x04", b"\x93NUMPY"


class Request(NamedTuple):
    """Which numbers of a file are asked for."""

    path: Path
    key: str | None = None
    column: str | None = None
    flatten: bool = False


class Sample(NamedTuple):
    """A one-dimensional array of real numbers, and where it came from."""

    values: Array
    source: dict[str, object]


def read_sample(request: Request) -> Sample:
    """Return the numbers of a file.

    Raises
    ------
    InputError
        Naming the file and the place in it: what is missing, no number, or not one series.
    """
    path = request.path
    _check_file(path)
    try:
        kind = _kind(path)
        if kind == "npz":
            values, name = _from_archive(request)
        else:
            if request.key is not None:
                raise InputError(f"{path}: --key is for .npz archives, and this is {kind}")
            name = None
            values = read_npy(path) if kind == "npy" else _from_text(request)
        digest = _sha256(path)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error
    _check_numbers(path, values)
    if kind in ("npy", "npz"):
        values = _one_series(request, values)
    source = {
        "name": path.name,
        "format": kind,
        "bytes": path.stat().st_size,
        "sha256": digest,
        "key": name,
        "column": request.column,
        "n": int(values.size),
    }
    _check_finite(path, values)
    return Sample(values, source)


def _check_file(path: Path) -> None:
    if os.path.isdir(path):  # noqa: PTH112 - False for a name too long, where Path raises
        raise InputError(f"{path}: is a folder; give the path of a file")
    if not os.path.exists(path):  # noqa: PTH110
        raise InputError(f"{path}: {file_on_the_way(path) or 'no such file'}{_nearest(path)}")
    if not os.path.isfile(path):  # noqa: PTH113 - a pipe cannot be read twice
        raise InputError(f"{path}: is not a regular file; save the numbers to one first")


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return did_you_mean(path.name, names)


def _kind(path: Path) -> str:
    """Return "npy", "npz" or "text"; refuse other binary files."""
    with path.open("rb") as stream:
        head = stream.read(_SNIFFED)
    if head.startswith(_NPY):
        return "npy"
    if head.startswith(_ZIP):
        return "npz"
    for suffix in (".npy", ".npz"):
        if path.suffix.lower() == suffix:
            raise InputError(f"{path}: is no {suffix} file, whatever its name says")
    if b"\x00" in head:
        raise InputError(
            f"{path}: is neither text nor a .npy or .npz file; save the numbers as one of these"
        )
    return "text"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if "Object arrays" in text or "allow_pickle" in text:
        return "it holds Python objects, which are never unpickled; save an array of numbers"
    return text.splitlines()[0]


def _from_archive(request: Request) -> tuple[Array, str]:
    path = request.path
    with npz_archive(path) as archive:
        names = list(archive.files)
        shown = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        if not names:
            raise InputError(f"{path}: holds no arrays")
        if request.key is None and len(names) > 1:
            raise InputError(f"{path}: holds {len(names)} arrays; choose one with --key: {shown}")
        key = names[0] if request.key is None else request.key
        if key not in names:
            raise InputError(
                f"{path}: has no array {key!r}{did_you_mean(key, names)} (it has {shown})"
            )
        return archive[key], key


def _check_numbers(path: Path, values: Array) -> None:
    if values.dtype.names:
        raise InputError(
            f"{path}: holds records of {', '.join(values.dtype.names[:_LISTED])}; "
            "save one of them as an array of its own"
        )
    if values.dtype.kind not in "iuf":
        raise InputError(f"{path}: must hold real numbers, got dtype {values.dtype}")


def _one_series(request: Request, values: Array) -> Array:
    """Return one column, all values, or the array itself if it is one series already."""
    path = request.path
    if request.flatten:
        if request.column is not None:
            raise InputError("--flatten takes all values and --column one column: choose")
        return values.ravel()
    if request.column is None:
        if values.ndim > 0 and max(values.shape) == values.size:
            return values.ravel()
        if values.ndim == 2:
            raise InputError(
                f"{path}: has shape {values.shape}; choose one of its {values.shape[1]} columns "
                "with --column, or take all values with --flatten"
            )
        raise InputError(
            f"{path}: has shape {values.shape}, one series is needed; "
            "--flatten takes all values of an array"
        )
    if values.ndim != 2:
        raise InputError(f"{path}: --column is for tables, and this has shape {values.shape}")
    return values[:, _column_number(path, request.column, values.shape[1], ())]


def _column_number(path: Path, column: str, width: int, names: tuple[str, ...]) -> int:
    """Return the index of a column given by name, or by number from 1."""
    if column in names:
        if names.count(column) > 1:
            raise InputError(f"{path}: has {names.count(column)} columns {column!r}; give a number")
        return names.index(column)
    try:
        number = int(column)
    except ValueError:
        known = (
            f" (it has {', '.join(names[:_LISTED])})"
            if names
            else "; it has no header, for which a line after # does not count: give a number"
        )
        hint = did_you_mean(column, names)
        raise InputError(f"{path}: has no column {column!r}{hint}{known}") from None
    if not 1 <= number <= width:
        raise InputError(f"{path}: --column must be a name or 1 to {width}, got {number}")
    return number - 1


def _check_finite(path: Path, values: Array) -> None:
    if values.size == 0:
        raise InputError(f"{path}: holds no numbers")
    if values.dtype.kind != "f":
        return
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"{path}: {int(np.count_nonzero(bad))} value(s) are NaN or infinite, the first is "
            f"number {first + 1} of {values.size}: {values[first]}"
        )


class _Layout(NamedTuple):
    """How a text file is laid out."""

    delimiter: str | None  # None is white space
    names: tuple[str, ...]  # of the columns; () without a header
    width: int
    skip: int  # lines before the numbers


def _from_text(request: Request) -> Array:
    path = request.path
    layout = _layout(path)
    chosen = None
    if request.column is not None:
        if request.flatten:
            raise InputError("--flatten takes all values and --column one column: choose")
        chosen = _column_number(path, request.column, layout.width, layout.names)
    elif layout.width > 1 and not request.flatten and _is_table(path, layout):
        known = f": {', '.join(layout.names[:_LISTED])}" if layout.names else ""
        raise InputError(
            f"{path}: has {layout.width} columns; choose one with --column (name or number"
            f"{known}), or take all values with --flatten"
        )
    if chosen is None and layout.delimiter is None and not layout.names and layout.width > 1:
        return _white_space(path)
    try:
        table = np.loadtxt(
            path,
            delimiter=layout.delimiter,
            skiprows=layout.skip,
            usecols=chosen,
            quotechar='"',
            encoding="utf-8-sig",
            ndmin=1,
        )
    except ValueError as error:
        if layout == _Layout(None, (), 1, 0) and chosen is None:
            return _white_space(path)  # more than one number on some line
        raise InputError(f"{path}: {_bad_line(path, layout, chosen) or error}") from None
    return np.asarray(table).ravel()


def _white_space(path: Path) -> Array:
    """Return all numbers of a text, whatever their lines."""
    numbers: list[float] = []
    for line, words in _rows(path, None):
        try:
            numbers.extend(map(float, words))
        except ValueError:
            bad = next(word for word in words if not _is_number(word))
            raise InputError(f"{path}: line {line} holds {bad[:_SHOWN]!r}, no number") from None
    return np.array(numbers, dtype=np.float64)


def _rows(path: Path, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that holds any; # starts a comment."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, line in enumerate(stream, 1):
            content = line.partition("#")[0].strip(" \r\n" if delimiter == "\t" else None)
            if not content:
                continue
            if delimiter is None:
                yield number, content.split()
            else:
                yield number, [c.strip() for c in next(csv.reader([content], delimiter=delimiter))]


def _layout(path: Path) -> _Layout:
    """Tell delimiter and header from the first lines: a header has text above a number."""
    try:
        first = next(_rows(path, None), None)
        if first is None:
            raise InputError(f"{path}: holds no numbers")
        text = " ".join(first[1])
        delimiter = _delimiter(path, text)
        rows = _rows(path, delimiter)
        number, cells = next(rows)
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text in UTF-8, nor a .npy or .npz file") from None
    except csv.Error as error:
        raise InputError(f"{path}: is no table of numbers: {error}") from None
    following = next(rows, (0, cells))[1]
    pairs = list(zip(cells, following, strict=False))
    if any(first and not _is_number(first) and _is_number(second) for first, second in pairs):
        return _Layout(delimiter, tuple(cells), len(cells), number)
    if not any(_is_number(cell) for cell in cells):
        after = "" if following is cells else f", nor does the next: {following[0][:_SHOWN]!r}"
        raise InputError(f"{path}: line {number} holds {cells[0][:_SHOWN]!r}, no number{after}")
    return _Layout(delimiter, (), len(cells), 0)


def _delimiter(path: Path, text: str) -> str | None:
    with path.open(encoding="utf-8-sig") as stream:
        raw = next((line for line in stream if line.partition("#")[0].strip()), "")
    for candidate in (",", ";", "\t"):
        if candidate in raw:
            return candidate
    return "," if path.suffix.lower() == ".csv" and len(text.split()) == 1 else None


def _is_table(path: Path, layout: _Layout) -> bool:
    """Whether there is a header, or a second line of as many numbers as the first."""
    rows = _rows(path, layout.delimiter)
    next(rows)
    following = next(rows, None)
    if layout.names or following is None:
        return bool(layout.names)
    return layout.delimiter is not None or len(following[1]) == layout.width


def _bad_line(path: Path, layout: _Layout, chosen: int | None) -> str:
    for number, cells in _rows(path, layout.delimiter):
        if number <= layout.skip:
            continue
        if chosen is not None and len(cells) <= chosen:
            return f"line {number} has {len(cells)} column(s), column {chosen + 1} is missing"
        looked = cells if chosen is None else cells[chosen : chosen + 1]
        for cell in looked:
            if not _is_number(cell):
                return f"line {number} holds {cell[:_SHOWN]!r}, no number"
        if chosen is None and len(cells) != layout.width:
            return f"line {number} has {len(cells)} numbers, the first has {layout.width}"
    return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
