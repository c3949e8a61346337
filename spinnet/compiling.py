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
system), and a private one among temporary files.

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
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from spinnet.progress import notice

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
            dispatcher._cache = _KernelCache(function)
        return dispatcher

    return decorate


class _KernelCache:
    """What a dispatcher of Numba asks for compiled code, and gives it to; see the module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function: Any = function
        self._enabled = True
        self._since: dict[str, float] = {}
        self._source = Path(function.__code__.co_filename)
        name = re.sub(r"[^\w.]", "_", f"{self._source.stem}.{function.__qualname__}")
        self._name = name[-80:]

    @cached_property
    def _stamp(self) -> str:
        return source_stamp(self._function)

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
        found = self._load(sig, target_context) if self._enabled and self._stamp else None
        if found is None:
            self._since[str(sig)] = time.perf_counter()
            folder = self.cache_path
            kept = f"kept in {folder}" if folder else "no folder can be written to keep it"
            notice(f"compiling for this processor, once ({kept}) ...")
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        key = self._key(sig, target_context.codegen())
        for folder in readable_folders(self._source.parent):
            path = folder / self._file(key)
            try:
                kept, payload = pickle.loads(path.read_bytes())
                if kept == key:
                    return CompileResult._rebuild(target_context, *payload)
            except (FileNotFoundError, NotADirectoryError):
                pass
            except Exception as error:  # damaged, or not to be read: compiled anew
                _LOG.info("cannot use %s: %s", path, error)
        return None

    def save_overload(self, sig: Any, result: Any) -> None:
        """Keep a function that was just compiled, if that can be done."""
        seconds = time.perf_counter() - self._since.pop(str(sig), time.perf_counter())
        _LOG.info("compiled %s in %.2f s", self._function.__qualname__, seconds)
        folder = writable_folder(self._source.parent)
        bound = any(not part.can_cache for part in result.lifted)  # to this process
        if bound or result.library.has_dynamic_globals or folder is None:
            return
        if not self._enabled or not self._stamp:
            return
        key = self._key(sig, result.library.codegen)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / self._file(key), dumps((key, result._reduce())))
            _delete(folder, f"{self._name}-*.kernel", but=f"{self._name}-{self._stamp}-")
        except OSError as error:  # disk full, folder gone: the function runs all the same
            _LOG.info("cannot keep %s in %s: %s", self._name, folder, error)

    def _key(self, sig: Any, codegen: Any) -> tuple[str, ...]:
        """Return all that tells one compiled function from another of the same sources."""
        code = self._function.__code__
        return (
            *(str(sig), str(codegen.magic_tuple()), str(code.co_firstlineno)),
            hashlib.sha256(code.co_code).hexdigest(),
            *(sys.version, numba.__version__, llvmlite.__version__),
            *(str(config.OPT), str(config.BOUNDSCHECK), str(config.DEBUGINFO_DEFAULT)),
        )

    def _file(self, key: tuple[str, ...]) -> str:
        short = hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
        return f"{self._name}-{self._stamp}-{short}.kernel"


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
    """Return a digest of all that the code of a function follows from, or "" for no such files.

    That is its own source, and of each name it uses from outside: the function behind it, if it
    is a compiled one, in the same way; the source of the module of any other object of spinnet,
    with all that this imports; and the value of a constant.
    """
    try:
        sources, values = _depends_on(function)
        if any(path.stat().st_mtime > _STARTED for path in sources):
            _LOG.info("%s needs a source newer than this process: not kept", function)
            return ""
        digests = sorted(_text(path)[1] for path in sources)
    except (OSError, UnicodeDecodeError):
        return ""
    return hashlib.sha256("\0".join(digests + sorted(values)).encode()).hexdigest()[:24]


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
            elif module.split(".")[0] == "spinnet":
                sources |= with_imports(Path(sys.modules[module].__file__ or ""))
            else:
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


@cache
def readable_folders(source: Path) -> tuple[Path, ...]:
    """Return the folders to look in: one that cannot be written may hold kernels too."""
    last = writable_folder(source)
    return tuple(dict.fromkeys((*_folders(source), *(() if last is None else (last,)))))


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


def _write(path: Path, data: bytes) -> None:
    """Write a file that readers see whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem[:40], suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _delete(folder: Path, pattern: str, but: str = "\0") -> None:
    for path in folder.glob(pattern):
        if not path.name.startswith(but):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _LOG.info("cannot delete %s: %s", path, error)
