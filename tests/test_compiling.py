"""Compiled functions on disk: found again, never stale, and no failure of the disk is one."""

import ast
import errno
import os
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import spinnet
from spinnet import compiling, progress

PACKAGE = Path(spinnet.__file__).parent
HELPER = """
from spinnet.compiling import compiled
OFFSET = 10

@compiled(forceinline=True)
def added(x):
    return x + 1
"""
KERNEL = """
from spinnet.compiling import compiled
from spinnet.helper import (
    OFFSET,
    added,
)

@compiled()
def kernel(x):
    return added(x) + OFFSET
"""
SCRIPT = """
from spinnet.kernel import kernel
value = kernel(100)
stats = kernel.stats
print(value, sum(stats.cache_hits.values()), stats.cache_path)
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A package that holds only what compilation needs, and a kernel that uses a helper."""
    root = tmp_path_factory.mktemp("install")
    package = root / "spinnet"
    package.mkdir()
    for name in ("compiling.py", "progress.py"):
        shutil.copy(PACKAGE / name, package / name)
    (package / "__init__.py").touch()
    return root


@pytest.fixture
def install(copied):
    package = copied / "spinnet"
    if (package / "__pycache__").is_file():
        (package / "__pycache__").unlink()
    for folder in (package / "__pycache__", copied / "user", copied / "temporary"):
        shutil.rmtree(folder, ignore_errors=True)
    write(package / "helper.py", HELPER)
    write(package / "kernel.py", KERNEL)
    return copied


def write(path, text):
    """Write a source that is older than any process of these tests."""
    path.write_text(text)
    os.utime(path, (compiling._STARTED - 60,) * 2)


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG"))}


def started(install, script=SCRIPT, **environment):
    clean = clean_environment()
    clean |= {"PYTHONPATH": str(install), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    clean.setdefault("XDG_CACHE_HOME", str(install / "user"))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=install,
    )


def finished(process):
    """Return (value, cache hits, folder) that a process printed."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert err == ""
    value, hits, folder = out.split(maxsplit=2)
    return int(value), int(hits), folder.strip()


def run(install, script=SCRIPT, **environment):
    return finished(started(install, script, **environment))


def kernels(folder):
    return sorted(Path(folder).glob("*.kernel"))


def test_a_kernel_is_kept_and_never_stale(install):
    package = install / "spinnet"
    assert run(install)[:2] == (111, 0)
    assert run(install)[:2] == (111, 1)
    write(package / "helper.py", HELPER.replace("x + 1", "x + 2"))
    assert run(install)[:2] == (112, 0)
    write(package / "helper.py", HELPER.replace("x + 1", "x + 2").replace("10", "20"))
    assert run(install)[:2] == (122, 0)
    value, hits, folder = run(install)
    assert (value, hits, folder) == (122, 1, str(package / "__pycache__"))
    assert len(kernels(folder)) == 1  # what nothing can find any more is gone


def test_a_read_only_install_uses_another_folder(install):
    (install / "spinnet" / "__pycache__").touch()  # a file where the folder should be
    user = install / "user"
    value, hits, folder = run(install)
    assert (value, hits) == (111, 0)
    assert folder.startswith(str(user / "spinnet" / "kernels"))
    assert run(install)[:2] == (111, 1)

    own = install / "own"
    assert run(install, NUMBA_CACHE_DIR=str(own))[2].startswith(str(own))

    blocked = str(install / "spinnet" / "kernel.py")  # a file: no folder can be made below it
    temporary = install / "temporary"
    temporary.mkdir()
    value, _, folder = run(install, XDG_CACHE_HOME=blocked, TMPDIR=str(temporary))
    assert value == 111
    assert folder.startswith(str(temporary))


def test_nowhere_to_write(install):
    (install / "spinnet" / "__pycache__").touch()
    script = SCRIPT.replace(
        "from spinnet.kernel",
        "import spinnet.compiling as c\n"
        "c._private_folder = lambda: None\nc._user_folder = lambda: None\n"
        "from spinnet.kernel",
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=clean_environment() | {"PYTHONPATH": str(install)},
        capture_output=True,
        text=True,
        check=True,
        cwd=install,
    )
    assert done.stdout.split() == ["111", "0", "None"]
    assert done.stderr == ""


def flipped(data):
    """Return the same bytes with one bit of the machine code changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:100], lambda data: b"no kernel at all", flipped],
    ids=["empty", "short", "text", "one bit"],
)
def test_damaged_files_are_compiled_anew(install, damage):
    folder = run(install)[2]
    for path in kernels(folder):
        path.write_bytes(damage(path.read_bytes()))
    assert run(install)[:2] == (111, 0)
    assert run(install)[:2] == (111, 1)


def test_processes_at_once(install):
    at_once = [started(install) for _ in range(3)]
    assert [finished(process)[0] for process in at_once] == [111] * 3
    value, hits, folder = run(install)
    assert (value, hits) == (111, 1)
    assert len(kernels(folder)) == 1
    assert not list(Path(folder).glob("*.partial"))


def test_a_full_disk_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "writable_folder", lambda source: tmp_path)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compiling, "_write", full)

    @compiling.compiled()
    def twice(x):
        return 2 * x

    assert twice(4) == 8
    assert not list(tmp_path.iterdir())


def defined_in(source, monkeypatch):
    """Return the function ``kernel`` of a source file, that of a module."""
    module = ModuleType("spinnet.fresh")
    module.__file__ = str(source)
    monkeypatch.setitem(sys.modules, "spinnet.fresh", module)
    exec(compile(source.read_text(), str(source), "exec"), module.__dict__)
    return module.kernel


def test_a_source_newer_than_the_process_is_not_trusted(tmp_path, monkeypatch):
    source = tmp_path / "fresh.py"
    write(source, "def kernel(x):\n    return x")
    kernel = defined_in(source, monkeypatch)
    # copied with its old time, as rsync and cp -p do: code in memory may be older all the same
    assert source.stat().st_mtime < compiling._STARTED
    assert compiling.source_stamp(kernel) == ""
    monkeypatch.setattr(compiling, "_STARTED", time.time() + 5)
    assert compiling.source_stamp(kernel) != ""
    os.utime(source, (time.time() + 60,) * 2)
    assert compiling.source_stamp(kernel) == ""
    source.unlink()
    assert compiling.source_stamp(kernel) == ""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *(("1", "2"), ("1", "1.0"), ("(1, 2)", "(1, 3)"), ("np.zeros(2)", "np.ones(2)")),
        *(("np.float32(1)", "np.float64(1)"), ("np.sin", "np.cos"), ("math", "np")),
        *(("int", "float"), ("Pair(1, 2)", "Pair(1, 3)"), ("Kind(1)", "Kind(2)")),
    ],
)
def test_values_of_constants_count(tmp_path, monkeypatch, first, second):
    source = tmp_path / "fresh.py"
    write(
        source,
        "import enum, math, typing\nimport numpy as np\n"
        "class Pair(typing.NamedTuple):\n    a: int\n    b: int\n"
        "class Kind(enum.Enum):\n    ONE = 1\n    TWO = 2\n"
        "def kernel(x):\n    return x + VALUE",
    )
    kernel = defined_in(source, monkeypatch)
    monkeypatch.setattr(compiling, "_STARTED", time.time() + 5)

    def stamp(text):
        kernel.__globals__["VALUE"] = eval(text, kernel.__globals__)
        return compiling.source_stamp(kernel)

    assert "" != stamp(first) == stamp(first) != stamp(second)


def test_a_value_that_no_other_process_finds_again_is_not_kept(tmp_path, monkeypatch):
    source = tmp_path / "fresh.py"
    write(source, "VALUE = (object(), 1)\ndef kernel(x):\n    return x + VALUE[1]")
    kernel = defined_in(source, monkeypatch)
    monkeypatch.setattr(compiling, "_STARTED", time.time() + 5)
    assert compiling.source_stamp(kernel) == ""


def test_helpers_are_followed_and_what_is_not_used_is_not():
    block = import_module("spinnet.spins.montecarlo.chains.block_kernels")
    sources, _ = compiling._depends_on(block.draw_layer.py_func)
    simd = PACKAGE / "simd"
    assert {simd / "random.py", simd / "vectors.py", Path(block.__file__)} <= sources
    kernels = import_module("spinnet.spins.montecarlo.kernels")
    sources, values = compiling._depends_on(kernels.sparse_sweeps.py_func)
    assert sources == {Path(kernels.__file__), PACKAGE / "xoshiro.py"}
    assert "_Y_MAX = float(40.0)" in values  # of a compiled function that it calls
    assert PACKAGE / "simd" / "vectors.py" in compiling.imported(simd / "logic.py")


def named_in_imports(path):
    """Return the files of spinnet that a source names in its imports, by Python's own parser."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: the cache follows absolute imports alone"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    paths = [PACKAGE.parent.joinpath(*n.split(".")) for n in names if n.split(".")[0] == "spinnet"]
    files = [(p.with_name(f"{p.name}.py"), p / "__init__.py") for p in paths]
    return {path for pair in files for path in pair if path.is_file()}


def test_all_imports_are_followed():
    for path in PACKAGE.rglob("*.py"):
        assert named_in_imports(path) <= set(compiling.imported(path)), path


def test_a_private_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = compiling._private_folder()
    assert folder is not None
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)  # others may write: their code would run
    assert compiling._private_folder() is None
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert compiling._private_folder() is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_files_that_others_can_write_are_not_run(install):
    folder = run(install)[2]
    (path,) = kernels(folder)
    assert path.stat().st_mode & 0o022 == 0
    path.chmod(0o666)
    assert run(install)[:2] == (111, 0)  # and written anew
    assert run(install)[:2] == (111, 1)
    (path,) = kernels(folder)
    elsewhere = path.rename(install / "elsewhere")
    path.symlink_to(elsewhere)
    assert run(install)[:2] == (111, 0)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_files_of_other_users_are_not_read(tmp_path, monkeypatch):
    path, source = tmp_path / "a.kernel", tmp_path / "a.py"
    source.touch()
    compiling._write(path, b"data")
    assert compiling._read(path, source) == b"data"
    *head, owner = path.stat()[:5]
    stranger = os.stat_result((*head, owner + 1, *path.stat()[5:]))
    monkeypatch.setattr(compiling.os, "fstat", lambda handle: stranger)
    with pytest.raises(PermissionError, match="others can write"):
        compiling._read(path, source)


def test_unused_files_go(tmp_path, monkeypatch):
    own, other, foreign = (tmp_path / name for name in ("kernels/a", "kernels/b", "c"))
    for folder in (own, other, foreign):
        folder.mkdir(parents=True)
        for name, days in (("old.kernel", 91), ("young.kernel", 80), ("left.partial", 2)):
            (folder / name).touch()
            os.utime(folder / name, (time.time() - days * 86_400,) * 2)
    compiling._keep_young(own / "old.kernel")
    monkeypatch.setattr(compiling.config, "CACHE_DIR", "")
    compiling._delete_unused(own)
    assert sorted(p.name for p in own.iterdir()) == ["old.kernel", "young.kernel"]
    assert sorted(p.name for p in other.iterdir()) == ["young.kernel"]
    assert len(list(foreign.iterdir())) == 3  # not below a folder that holds kernels alone
    monkeypatch.setattr(compiling.config, "CACHE_DIR", str(tmp_path))
    (tmp_path / "d").mkdir()
    compiling._delete_unused(
        tmp_path / "d"
    )  # the parent is the user's: others may be at home there
    assert len(list(foreign.iterdir())) == 3


def test_variants_of_one_function_do_not_drive_each_other_out(install):
    write(
        install / "spinnet" / "kernel.py",
        "from spinnet.compiling import compiled\n"
        "def make(shift):\n"
        "    @compiled()\n"
        "    def kernel(x):\n"
        "        return x + shift\n"
        "    return kernel\n"
        "one, two = make(1), make(2)\n"
        "def kernel(x):\n"
        "    return one(x) + two(x)\n"
        "kernel.stats = one.stats\n",
    )
    script = (
        "from spinnet.kernel import one, two\n"
        "hits = lambda f: sum(f.stats.cache_hits.values())\n"
        "print(one(1) + two(1), hits(one) + hits(two), one.stats.cache_path)"
    )
    assert run(install, script=script)[:2] == (5, 0)
    assert run(install, script=script)[:2] == (5, 2)


def test_a_constant_assigned_later_counts(install):
    script = (
        "import spinnet.kernel as k\nk.kernel(1)\nk.OFFSET = 50\nprint(int(k.kernel(1.0)), 0, 0)"
    )
    assert run(install, script=script)[0] == 52
    script = "from spinnet.kernel import kernel\nprint(int(kernel(1.0)), 0, 0)"
    assert run(install, script=script)[0] == 12


def test_another_numba_means_compilation_in_each_process(install):
    script = "import numba.core.compiler as c\ndel c.CompileResult._reduce\n" + SCRIPT
    process = started(install, script=script)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert out.split()[:2] == ["111", "0"]
    assert err.count("functions are compiled in each process") == 1
    assert run(install)[:2] == (111, 0)


def test_compilation_is_told_of_only_beside_a_progress_bar(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "writable_folder", lambda source: tmp_path)
    monkeypatch.setattr(progress, "_noticed", set())
    monkeypatch.setattr(progress, "_shown", [])

    def fresh():
        @compiling.compiled()
        def thrice(x):
            return 3 * x

        return thrice

    fresh()(np.float64(1.0))
    assert capsys.readouterr().err == ""
    with progress.progress_bar(5, show=True):
        fresh()(np.float32(1.0))
        fresh()(np.int64(1))
    err = capsys.readouterr().err
    assert err.count("compiling for this processor, once") == 1
    assert str(tmp_path) in err
    fresh()(np.int8(1))
    assert capsys.readouterr().err == ""
