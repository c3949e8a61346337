"""Compilation by Numba, kept on disk: never a stale kernel, and never a failure of the disk.

Numba's own cache watches the file of the function alone, and fails with the disk.  Here a
compiled function is found again only if nothing changed that it follows from: its source, those
of all compiled functions, vectors and other things of spinnet that it uses, the values of its
constants, the versions of Python, Numba and llvmlite, and the processor.  Each compiled
function is one file, written whole and renamed, so that processes at once do no harm.  Where no
file can be written or read, the function is compiled in each process.  So it is where a source
changed after the process began, as the code in memory may be older than the file.

Files are read from, and written to the first that allows it of: ``NUMBA_CACHE_DIR``,
``__pycache__`` beside the source, the user's cache folder (``XDG_CACHE_HOME``, else that of the
system), and a private one among temporary files.  Kernels are code: a file runs only if it is
whole, and belongs to this user, to the owner of the source, or to the administrator, who alone
may write to it.  Files of older sources go when newer ones are written, and so do those that
nothing used for three months.

All that is used of Numba's own machinery, which is not public, is used where an error means no
more than that the function is compiled in each process.

A first compilation takes up to a second for each kernel.  Where a progress bar is shown it says
so once; the logger ``spinnet.compiling`` tells of each at level INFO.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import pickle
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit
from numba.core import config

from spinnet.progress import notice

_DIGEST = 32  # bytes at the head of a file
_DAY = 86_400.0
_UNUSED = 90 * _DAY  # after so long files are deleted
_LOG = logging.getLogger(__name__)
_STARTED = time.time()
_ROOT = Path(__file__).resolve().parent.parent
# "import spinnet.a.b" and "from spinnet.a import b, c", also over several lines
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(spinnet[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)"
    r"|import[ \t]+(spinnet[\w.]*))",
    re.MULTILINE,
)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function; `options` are those of ``numba.njit``.

    Functions that always become part of their callers are not kept on disk themselves.
    """
    inlined = options.get("inline") == "always" or bool(options.get("forceinline"))

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**options)(function)
        if not inlined and hasattr(dispatcher, "_cache"):  # none where Numba is switched off
            dispatcher._cache = _KernelCache(function, repr(sorted(options.items())))
        return dispatcher

    return decorate


class _KernelCache:
    """What a dispatcher of Numba asks for compiled code, and gives it to; see the module."""

    def __init__(self, function: Callable[..., Any], options: str) -> None:
        self._function: Any = function
        self._options = options
        self._enabled = True
        self._since: dict[str, tuple[float, str]] = {}  # when, and from what, it is compiled
        self._source = Path(function.__code__.co_filename)
        name = re.sub(r"[^\w.]", "_", f"{self._source.stem}.{function.__qualname__}")
        self._name = name[-80:]

    @property
    def cache_path(self) -> str | None:
        """The folder that is written to."""
        folder = writable_folder(self._source.parent)
        return None if folder is None else str(folder)

    def enable(self) -> None:
        """Read and write again."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write."""
        self._enabled = False

    def flush(self) -> None:
        """Forget what is kept of this function."""
        for folder in readable_folders(self._source.parent):
            _delete(folder, f"{self._name}-*.kernel")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the function compiled for some types, or None."""
        _refresh(target_context)
        # anew each time: a constant may have been assigned since
        stamp = source_stamp(self._function) if self._enabled else ""
        found = self._load(sig, target_context, stamp) if stamp else None
        if found is None:
            self._since[str(sig)] = time.perf_counter(), stamp
            folder = self.cache_path
            kept = f"kept in {folder}" if folder else "no folder can be written to keep it"
            notice(f"compiling for this processor, once ({kept}) ...")
        return found

    def _load(self, sig: Any, target_context: Any, stamp: str) -> Any:
        try:
            from numba.core.compiler import CompileResult

            key = self._key(sig, target_context.codegen(), stamp)
        except Exception as error:  # another Numba
            _tell_once(repr(error))
            return None
        for folder in readable_folders(self._source.parent):
            path = folder / self._file(key, stamp)
            try:
                data = _read(path, self._source)
                payload = memoryview(data)[_DIGEST:]
                if data[:_DIGEST] != _digest(key, payload):
                    raise ValueError("damaged")
                result = CompileResult._rebuild(target_context, *pickle.loads(payload))
                _keep_young(path)
                return result
            except (FileNotFoundError, NotADirectoryError):
                pass
            except Exception as error:  # damaged, or not to be read: compiled anew
                _LOG.info("cannot use %s: %s", path, error)
        return None

    def save_overload(self, sig: Any, result: Any) -> None:
        """Keep a function that was just compiled, if that can be done."""
        started, stamp = self._since.pop(str(sig), (time.perf_counter(), ""))
        _LOG.info(
            "compiled %s in %.2f s", self._function.__qualname__, time.perf_counter() - started
        )
        folder = writable_folder(self._source.parent)
        if folder is None or not stamp or stamp != source_stamp(self._function):
            return
        try:
            from numba.core.serialize import dumps

            bound = any(not part.can_cache for part in result.lifted)  # to this process
            if bound or result.library.has_dynamic_globals or " at 0x" in str(sig):
                return
            key = self._key(sig, result.library.codegen, stamp)
            payload = dumps(result._reduce())
        except Exception as error:  # another Numba
            _tell_once(repr(error))
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / self._file(key, stamp), _digest(key, payload) + payload)
            sources = stamp.split("-")[0]
            _delete(folder, f"{self._name}-*.kernel", but=f"{self._name}-{sources}-")
            _delete_unused(folder)
        except OSError as error:  # disk full, folder gone: the function runs all the same
            _LOG.info("cannot keep %s in %s: %s", self._name, folder, error)

    def _key(self, sig: Any, codegen: Any, stamp: str) -> tuple[str, ...]:
        """Return all that tells one compiled function from another."""
        code = self._function.__code__
        versions = sys.version, numba.__version__, llvmlite.__version__, np.__version__
        names = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "USING_SVML", "ENABLE_AVX")
        return (
            *(self._name, stamp, str(sig), str(codegen.magic_tuple()), self._options),
            *(str(code.co_firstlineno), hashlib.sha256(code.co_code).hexdigest()),
            *(*versions, str(sys.flags.optimize)),
            *(str(getattr(config, name, None)) for name in names),
        )

    def _file(self, key: tuple[str, ...], stamp: str) -> str:
        short = hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
        return f"{self._name}-{stamp}-{short}.kernel"


@cache
def _tell_once(error: str) -> None:
    _LOG.warning("functions are compiled in each process: Numba %s: %s", numba.__version__, error)


def _refresh(target_context: Any) -> None:
    """Have Numba load its own functions: at the first call thousands of objects, none garbage."""
    collected = gc.isenabled()
    gc.disable()
    try:
        target_context.refresh()
    finally:
        if collected:
            gc.enable()


# --- sources ------------------------------------------------------------------------


def source_stamp(function: Callable[..., Any]) -> str:
    """Return two digests of all that the code of a function follows from: sources and values.

    That is its own source, and of each name it uses from outside: the function behind it, if it
    is a compiled one, in the same way; the source of the module of any other object of spinnet,
    with all that this imports; and the value of a constant.  The result is "" where there are
    no such files, where one of them changed after the process began, and where a value has no
    text that other processes would find again.
    """
    try:
        sources, values = _depends_on(function)
        if any(_changed(path) > _STARTED for path in sources):
            _LOG.info("%s needs a source newer than this process: not kept", function)
            return ""
        digests = [_text(path)[1] for path in sources]
    except (OSError, ValueError):  # no file, no text
        return ""
    if any(" at 0x" in value for value in values):
        return ""
    parts = ("\0".join(sorted(part)).encode() for part in (digests, values))
    return "-".join(hashlib.sha256(part).hexdigest()[:20] for part in parts)


def _changed(path: Path) -> float:
    """Return when a file changed; tools that copy files set the one time, but not the other."""
    found = path.stat()
    return max(found.st_mtime, found.st_ctime)


def _depends_on(function: Callable[..., Any]) -> tuple[set[Path], set[str]]:
    """Return source files, and constants as text."""
    sources: set[Path] = set()
    values: set[str] = set()
    waiting: list[Any] = [function]
    seen: set[Any] = set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        sources.add(Path(current.__code__.co_filename))
        for name, value in _outside(current):
            inner = getattr(value, "py_func", None)
            module = _module_of(value)
            if inner is not None:
                waiting.append(inner)
                continue
            own = module.split(".")[0] == "spinnet"
            if own:
                sources |= with_imports(Path(sys.modules[module].__file__ or ""))
            if not own or isinstance(value, (tuple, Enum)):  # an instance: made anywhere
                values.add(f"{name} = {_as_text(value)}")
    return sources, values


def _outside(function: Any) -> list[tuple[str, Any]]:
    """Return the names that a function takes from its module or a surrounding function."""
    codes, names = [function.__code__], set()
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [item for item in code.co_consts if isinstance(item, CodeType)]
    found = [(name, function.__globals__[name]) for name in names & function.__globals__.keys()]
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return found + [(name, cell.cell_contents) for name, cell in cells]


def _module_of(value: Any) -> str:
    """Return the module of an intrinsic, a function or a class, a module itself, or ""."""
    if isinstance(value, ModuleType):
        return value.__name__
    made = getattr(value, "_defn", value)  # the function behind an intrinsic of Numba
    return str(getattr(made, "__module__", None) or "")


def _as_text(value: Any) -> str:
    """Return text that is the same for equal constants in all processes."""
    if isinstance(value, (ModuleType, type, FunctionType, BuiltinFunctionType, np.ufunc)):
        return f"{_module_of(value)}.{value.__name__}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(map(_as_text, value))})"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, np.generic):
        return f"{value.dtype}({value!r})"
    return f"{type(value).__name__}({value!r})"


@cache
def with_imports(source: Path) -> frozenset[Path]:
    """Return a file and those of all modules of spinnet that it imports, directly or not."""
    sources = {source}
    waiting = [source]
    while waiting:
        new = set(imported(waiting.pop())) - sources
        sources |= new
        waiting.extend(new)
    return frozenset(sources)


@cache
def imported(source: Path) -> tuple[Path, ...]:
    """Return the files of the modules of spinnet that a file names in its imports."""
    found = []
    for package, names, module in _IMPORT.findall(_text(source)[0]):
        inside = [f"{package}.{name}" for name in re.findall(r"\w+", names)]
        for name in (module or package, *inside):
            path = _ROOT.joinpath(*name.split("."))
            candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
            found += [candidate for candidate in candidates if candidate.is_file()]
    return tuple(found)


@cache
def _text(path: Path) -> tuple[str, str]:
    data = path.read_bytes()
    return data.decode(), hashlib.sha256(data).hexdigest()


# --- folders ------------------------------------------------------------------------


def _name_of(source: Path) -> str:
    return f"{source.name}_{hashlib.sha256(str(source).encode()).hexdigest()[:24]}"


@cache
def _folders(source: Path) -> tuple[Path, ...]:
    """Return the usual folders for the kernels of a folder of sources, best first."""
    below = _name_of(source)
    folders = [source / "__pycache__"]
    if config.CACHE_DIR:
        folders.insert(0, Path(config.CACHE_DIR) / below)
    user = _user_folder()
    if user is not None:
        folders.append(user / "spinnet" / "kernels" / below)
    return tuple(folders)


def readable_folders(source: Path) -> Iterator[Path]:
    """Yield the folders to look in: one that cannot be written may hold kernels too."""
    yield from _folders(source)
    last = writable_folder(source)
    if last is not None and last not in _folders(source):
        yield last


def _user_folder() -> Path | None:
    """Return the user's folder for caches, or None."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given
    local = os.environ.get("LOCALAPPDATA", "")
    if os.name == "nt" and local:
        return Path(local)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if not home.is_absolute():
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _private_folder() -> Path | None:
    """Make and return a folder among temporary files that nobody else can write to, or None.

    Kernels are code: those of another user must not run.
    """
    try:
        if not hasattr(os, "getuid"):
            return Path(tempfile.gettempdir()) / "spinnet-kernels"
        folder = Path(tempfile.gettempdir()) / f"spinnet-kernels-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return folder if own and not found.st_mode & 0o022 else None


@cache
def writable_folder(source: Path) -> Path | None:
    """Return the first of the folders in which files can be made."""
    usual = (folder for folder in _folders(source) if _can_write(folder))
    found = next(usual, None)
    if found is None and (private := _private_folder()) is not None:
        found = private / _name_of(source)
    return found if found is not None and _can_write(found) else None


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _digest(key: tuple[str, ...], payload: bytes | memoryview) -> bytes:
    """Return what a file of a kernel begins with."""
    digest = hashlib.sha256("\0".join(key).encode())
    digest.update(payload)
    return digest.digest()


def _read(path: Path, source: Path) -> bytes:
    """Return a file that nobody wrote but who may run code here anyway.

    Raises
    ------
    PermissionError
        For a file of another user, or one that others may write to.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if hasattr(os, "getuid"):
            trusted = found.st_uid in (os.getuid(), 0, source.stat().st_uid)
            if not trusted or found.st_mode & 0o022:
                raise PermissionError(f"others can write to it: owner {found.st_uid}")
        return file.read()


def _write(path: Path, data: bytes) -> None:
    """Write a file that readers see whole or not at all, and only its owner can change."""
    partial = path.with_name(f"{path.stem[:40]}{secrets.token_hex(8)}.partial")
    handle = os.open(
        partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _keep_young(path: Path) -> None:
    """Note that a file is in use."""
    try:
        if path.stat().st_mtime < time.time() - _DAY:
            os.utime(path)
    except OSError:  # not ours to note
        pass


@cache
def _delete_unused(folder: Path) -> None:
    """Delete kernels that no process used for long, and what killed ones left; once a process.

    In a folder that holds kernels alone, also those of other installations.
    """
    alone = folder.name != "__pycache__" and folder.parent != Path(config.CACHE_DIR)
    base, below = (folder.parent, "*/") if alone else (folder, "")
    now = time.time()
    for pattern, age in (("*.kernel", _UNUSED), ("*.partial", _DAY)):
        for path in base.glob(below + pattern):
            try:
                if path.stat().st_mtime < now - age:
                    path.unlink(missing_ok=True)
            except OSError as error:
                _LOG.info("cannot delete %s: %s", path, error)


def _delete(folder: Path, pattern: str, but: str = "\0") -> None:
    for path in folder.glob(pattern):
        if not path.name.startswith(but):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _LOG.info("cannot delete %s: %s", path, error)
