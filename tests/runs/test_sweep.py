"""Sweeps: the same bits on every executor, and nothing lost when workers or the sweep die."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from spinnet.errors import CheckpointError, InputError, SpinnetError
from spinnet.runs.directory import JobDirectory
from spinnet.runs.locking import locked
from spinnet.runs.rows import RowStore
from spinnet.runs.sweeping import Sweep, sweep

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    """The tasks, importable by worker processes under their own name."""
    sys.path.insert(0, str(HERE))
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), old]))
    yield importlib.import_module("sweep_tasks")
    sys.path.remove(str(HERE))
    if old is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = old


def bits(result: Sweep) -> str:
    return json.dumps(result.to_dict()["rows"])


@pytest.fixture(scope="module")
def reference(tasks: ModuleType) -> Sweep:
    return sweep(tasks.noise, tasks.GRID, rng=11)


def calls(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in sorted(folder.glob("calls-*"))}


# --- the result ------------------------------------------------------------------------------


def test_rows_follow_the_grid_with_the_last_name_fastest(reference: Sweep) -> None:
    assert [row.params for row in reference] == [
        {"n": n, "scale": s} for n in (1, 2, 3, 4) for s in (0.5, 2.0)
    ]
    assert reference.column("word").tolist() == ["x", "x", "xx", "xx", *["xxx"] * 2, *["xxxx"] * 2]
    assert reference.column("big").tolist() == [False] * 4 + [True] * 4
    assert reference.complete
    assert len(reference) == 8


def test_each_row_has_a_stream_of_its_own(reference: Sweep) -> None:
    assert len(set(reference.column("mean"))) == 8


def test_a_point_keeps_its_stream_when_the_grid_changes(tasks: ModuleType, reference: Sweep):
    """Order, other points and other values beside it do not matter."""
    other = sweep(tasks.noise, [{"scale": 2.0, "n": 3}, {"n": 7, "scale": 1.0}], rng=11)
    assert other.rows[0].values["mean"] == reference.rows[5].values["mean"]
    fresh = sweep(tasks.noise, [{"scale": 2.0, "n": 3}], rng=12)
    assert fresh.rows[0].values["mean"] != reference.rows[5].values["mean"]


def test_streams_are_those_of_independent_seeds(tasks: ModuleType) -> None:
    """Means of 400 rows of unit normals: within 5 standard errors of 0 and 1 (5e-7 each)."""
    draws = sweep(tasks.noise, {"n": [1], "scale": (1 + 1e-9 * np.arange(400)).tolist()}, rng=5)
    x = draws.column("mean")
    assert abs(x.mean()) < 5 / 20
    assert abs(np.mean(x**2) - 1) < 5 * np.sqrt(2) / 20


def test_a_bare_number_is_named_value_and_numpy_scalars_are_numbers() -> None:
    result = sweep(lambda n: np.float32(n / 2), {"n": np.array([1, 2])})
    assert result.rows[0].values == {"value": 0.5}
    assert type(result.rows[0].values["value"]) is float
    assert type(result.rows[0].params["n"]) is int


def test_a_failed_task_is_a_row_with_its_error() -> None:
    def reciprocal(n: int) -> dict[str, float]:
        return {"x": 1 / n}

    result = sweep(reciprocal, {"n": [2, 0, 4]})
    row = result.rows[1]
    assert (row.status, row.values) == ("failed", {})
    assert row.error == "ZeroDivisionError: division by zero"
    assert "return {" in row.trace
    assert result.failed == (row,)
    assert not result.complete
    np.testing.assert_array_equal(result.column("x"), [0.5, np.nan, 0.25])
    assert result.summary() == (
        f"sweep of {reciprocal.__qualname__}: 2 of 3 rows done, 1 failed\n"
        "  n=0: ZeroDivisionError: division by zero"
    )


@pytest.mark.parametrize(
    "result",
    [{"x": object()}, {"x": None}, {"x": [[1], [1, 2]]}, {"x": 1j}, {3: 1.0}, b"b", None],
)
def test_a_result_that_no_file_keeps_is_an_error_of_its_row(result: object) -> None:
    row = sweep(lambda n: result, {"n": [1]}).rows[0]
    assert row.status == "failed"
    assert row.error.startswith("InputError: the task must")


def test_the_csv_holds_parameters_status_and_scalars(tmp_path: Path, reference: Sweep) -> None:
    lines = reference.to_csv(tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "n,scale,status,mean,word,big,error"
    assert lines[1] == f"1,0.5,done,{reference.rows[0].values['mean']!r},x,False,"
    assert len(lines) == 9


def test_columns_of_unequal_shapes_are_refused(reference: Sweep) -> None:
    with pytest.raises(InputError, match=r"draws must have one shape.*\.rows"):
        reference.column("draws")
    with pytest.raises(InputError, match=r"name must be one of n, scale, mean.*got 'nn'"):
        reference.column("nn")


# --- executors -------------------------------------------------------------------------------


def test_processes_and_threads_give_the_same_bits(tasks: ModuleType, reference: Sweep) -> None:
    there = sweep(tasks.noise, tasks.GRID, rng=11, executor="processes", n_workers=2)
    assert bits(there) == bits(reference)
    with ThreadPoolExecutor(3) as pool:
        assert bits(sweep(tasks.noise, tasks.GRID, rng=11, executor=pool)) == bits(reference)


def test_monte_carlo_gives_the_same_bits_on_processes(tasks: ModuleType) -> None:
    grid = {"n": [1, 2], "scale": [0.5]}
    one = sweep(tasks.magnetisation, grid, rng=3)
    assert one.complete
    assert bits(sweep(tasks.magnetisation, grid, rng=3, executor="processes")) == bits(one)


def test_dask_gives_the_same_bits_and_survives_a_killed_worker(
    tasks: ModuleType, reference: Sweep, tmp_path: Path
) -> None:
    """In a process of its own, whose warnings and threads are dask's own business."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "from dask.distributed import Client, LocalCluster\n"
        "import sweep_tasks as tasks\n"
        "from spinnet.runs.sweeping import sweep\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as c:\n"
        "        with Client(c) as client, client.get_executor() as executor:\n"
        "            one = sweep(tasks.noise, tasks.GRID, rng=11, executor=executor)\n"
        "            grid = {'n': range(5), 'folder': [sys.argv[1]]}\n"
        "            two = sweep(tasks.kill_once, grid, executor=executor)\n"
        "            bad = sweep(tasks.kill_always, {'n': [1, 2, 3]}, executor=executor)\n"
        "            try: sweep(tasks.noise, tasks.GRID, executor=client)\n"
        "            except Exception as e: text = str(e)\n"
        "    out = [one.to_dict()['rows'], two.to_dict()['rows'], bad.to_dict()['rows'], text]\n"
        "    open(sys.argv[1] + '/out.json', 'w').write(json.dumps(out))\n"
    )
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=120)
    one, two, bad, text = json.loads((tmp_path / "out.json").read_text())
    assert json.dumps(one) == bits(reference)
    assert [row["values"] for row in two] == [{"value": 10 * n} for n in range(5)]
    assert (tmp_path / "died-2").exists()
    assert [row["status"] for row in bad] == ["done", "failed", "done"]
    assert "KilledWorker" in bad[1]["error"]
    assert "pass client.get_executor()" in text


@pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py")
def test_mpi_gives_the_same_bits(tasks: ModuleType, reference: Sweep, tmp_path: Path) -> None:
    launcher = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(launcher) if launcher.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("needs mpiexec")
    program = [sys.executable, "-m", "mpi4py.futures", HERE / "sweep_tasks.py", "mpi", tmp_path]
    subprocess.run([mpiexec, "-n", "3", *program], check=True, timeout=120)
    found = json.loads((tmp_path / "mpi.json").read_text())
    assert json.dumps(found["rows"]) == bits(reference)


def test_a_killed_worker_loses_nothing(tasks: ModuleType, tmp_path: Path) -> None:
    grid = {"n": range(6), "folder": [str(tmp_path)]}
    result = sweep(tasks.kill_once, grid, executor="processes", n_workers=2)
    assert (tmp_path / "died-2").exists()
    assert result.column("value").tolist() == [0, 10, 20, 30, 40, 50]


def test_a_task_that_kills_every_worker_is_a_row_and_the_others_finish(tasks: ModuleType) -> None:
    result = sweep(tasks.kill_always, {"n": range(5)}, executor="processes", n_workers=2)
    assert [row.status for row in result] == ["done", "done", "failed", "done", "done"]
    assert result.rows[2].error.startswith("WorkerDied: its process was killed 3 times")


def test_an_executor_that_breaks_is_named_and_finished_rows_stay(
    tasks: ModuleType, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(SpinnetError, match=r"executor broke.*run it again with a new executor"),
    ):
        sweep(tasks.kill_always, {"n": range(5)}, executor=pool, directory=store)
    assert len(list(store.glob("row-*.npz"))) == 2
    result = sweep(tasks.kill_always, {"n": [0, 1, 3, 4]}, directory=store)
    assert result.column("value").tolist() == [0, 10, 30, 40]


def test_workers_keep_to_one_thread_unless_told(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    one = sweep(tasks.threads, {"n": [1]}, executor="processes", n_workers=1).rows[0]
    assert one.values["blas"] == "1"
    assert one.values["pid"] != str(os.getpid())
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    two = sweep(tasks.threads, {"n": [1]}, executor="processes", n_workers=1).rows[0]
    assert two.values["blas"] == "3"


def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from spinnet.runs.sweeping import sweep\n"
        "def task(n): return n\n"
        "sweep(task, {'n': [1]}, executor='processes', n_workers=1)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'call sweep under `if __name__ == "__main__":`' in done.stderr


# --- directories -----------------------------------------------------------------------------


def test_a_directory_gives_what_was_computed_and_computes_nothing_again(tmp_path: Path, tasks):
    grid = {"n": [1, 2], "folder": [str(tmp_path)]}
    first = sweep(tasks.count_calls, grid, directory=tmp_path / "store")
    again = sweep(tasks.count_calls, grid, directory=tmp_path / "store")
    assert bits(first) == bits(again)
    larger = sweep(tasks.count_calls, {**grid, "n": [3, 2, 1]}, directory=tmp_path / "store")
    assert larger.column("value").tolist() == [9, 4, 1]
    assert calls(tmp_path) == {"calls-1": 1, "calls-2": 1, "calls-3": 1}


def test_values_come_back_from_the_directory_as_they_were(tmp_path: Path, tasks, reference):
    sweep(tasks.noise, tasks.GRID, rng=11, directory=tmp_path / "store")
    read = sweep(tasks.noise, tasks.GRID, directory=tmp_path / "store")
    assert bits(read) == bits(reference)
    assert read.seed == {"entropy": "11", "spawn_key": []}
    for row, other in zip(read, reference, strict=True):
        assert {k: type(v) for k, v in row.values.items()} == {
            k: type(v) for k, v in other.values.items()
        }


def test_awkward_names_of_results_are_kept(tmp_path: Path) -> None:
    for _ in range(2):
        result = sweep(lambda n: {"file": n, "allow_pickle": 1.5}, {"n": [1]}, directory=tmp_path)
        assert result.rows[0].values == {"file": 1, "allow_pickle": 1.5}


def test_a_seed_drawn_at_the_start_stays_with_the_directory(tmp_path: Path, tasks) -> None:
    first = sweep(tasks.noise, {"n": [1], "scale": [1.0]}, directory=tmp_path / "store")
    again = sweep(tasks.noise, {"n": [1, 2], "scale": [1.0]}, directory=tmp_path / "store")
    assert first.seed == again.seed
    assert again.rows[0].values["mean"] == first.rows[0].values["mean"]


def test_failed_rows_are_tried_again(tmp_path: Path, tasks) -> None:
    grid = {"n": [1, 2], "folder": [str(tmp_path)], "fail_at": [2]}
    first = sweep(tasks.count_calls, grid, directory=tmp_path / "store")
    assert first.rows[1].error == "ValueError: no result at n = 2"
    (tmp_path / "repaired").touch()
    again = sweep(tasks.count_calls, grid, directory=tmp_path / "store")
    assert again.column("value").tolist() == [1, 4]
    assert calls(tmp_path) == {"calls-1": 1, "calls-2": 2}
    assert not list((tmp_path / "store").glob("failed-*"))


def test_parts_share_a_directory_and_one_call_collects_them(tmp_path: Path, tasks) -> None:
    grid = {"n": range(5), "folder": [str(tmp_path)], "fail_at": [3]}
    store = tmp_path / "store"
    one = sweep(tasks.count_calls, grid, directory=store, part=(1, 2))
    assert [row.status for row in one] == ["missing", "done", "missing", "failed", "missing"]
    two = sweep(tasks.count_calls, grid, directory=store, part=(0, 2))
    assert [row.status for row in two] == ["done", "done", "done", "failed", "done"]
    assert two.rows[3].error == "ValueError: no result at n = 3"
    assert calls(tmp_path) == {f"calls-{n}": 1 for n in range(5)}
    assert "2 of 5 rows" not in two.summary()


@pytest.mark.parametrize("kind", ["here", "processes"])
def test_a_sweep_killed_in_the_middle_goes_on_where_it_was(tmp_path: Path, tasks, kind) -> None:
    program = [sys.executable, HERE / "sweep_tasks.py", kind, tmp_path]
    process = subprocess.Popen(program)
    store = tmp_path / "store"
    while len(list(store.glob("row-*.npz"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
    finished = len(list(store.glob("row-*.npz")))
    assert finished < 8
    subprocess.run(program, check=True, timeout=60)
    repeated = sum(calls(tmp_path).values()) - 8
    assert 0 <= repeated <= 4  # what was under way: one here, up to four on two workers
    assert [p.stat().st_size for p in sorted(tmp_path.glob("calls-*"))].count(1) >= finished
    result = sweep(tasks.slow, {"n": range(8), "folder": [str(tmp_path)]}, directory=store)
    assert result.column("value").tolist() == [n * n for n in range(8)]


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, HERE / "sweep_tasks.py", "processes", tmp_path], start_new_session=True
    )
    while not list(tmp_path.glob("calls-*")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 20
    while group_alive(process.pid):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.05)


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    # zombies answer too; they are gone once init has waited for them
    states = [p.read_text().rsplit(")", 1)[1].split() for p in stat_files()]
    return any(int(s[2]) == group and s[0] != "Z" for s in states)


def stat_files() -> list[Path]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            path.read_text()
        except OSError:
            continue
        found.append(path)
    return found


def test_interrupted_rows_stay(tmp_path: Path, tasks) -> None:
    def interrupting(n: int) -> int:
        if n == 2:
            raise KeyboardInterrupt
        return n

    with pytest.raises(KeyboardInterrupt):
        sweep(interrupting, {"n": range(4)}, directory=tmp_path / "store")
    assert len(list((tmp_path / "store").glob("row-*.npz"))) == 2


def test_two_processes_on_one_sweep_are_refused(tmp_path: Path, tasks) -> None:
    grid, store = {"n": [1], "folder": [str(tmp_path)]}, tmp_path / "store"
    more = {**grid, "n": [1, 2]}
    sweep(tasks.count_calls, grid, directory=store)
    held, release = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        with locked(store / name):
            held.set()
            release.wait(20)

    for name in ("whole.lock", "part-0-of-2.lock"):
        thread = threading.Thread(target=hold, args=(name,))
        thread.start()
        held.wait(20)
        with pytest.raises(CheckpointError, match=rf"{name}|store.*process {os.getpid()}"):
            sweep(tasks.count_calls, more, directory=store)
        assert sweep(tasks.count_calls, grid, directory=store).complete  # nothing to do
        release.set()
        thread.join()
        held.clear()
        release.clear()
    assert sweep(tasks.count_calls, more, directory=store).complete


def test_a_part_and_the_whole_exclude_each_other_and_leave_their_files(
    tmp_path: Path, tasks
) -> None:
    grid, store = {"n": range(4), "folder": [str(tmp_path)]}, tmp_path / "store"
    sweep(tasks.count_calls, {**grid, "n": [0]}, directory=store)
    begun = store / ".row-1.npz.partial"
    begun.touch()
    with (
        locked(store / "part-0-of-2.lock"),
        pytest.raises(CheckpointError, match="a part of this sweep is being computed"),
    ):
        sweep(tasks.count_calls, grid, directory=store)
    assert begun.exists()  # it may be a file that the part is writing
    with (
        locked(store / "whole.lock"),
        pytest.raises(CheckpointError, match="the whole of this sweep is being computed"),
    ):
        sweep(tasks.count_calls, grid, directory=store, part=(0, 2))
    assert sweep(tasks.count_calls, grid, directory=store).complete
    assert not begun.exists()


def test_rows_of_another_process_are_taken_when_its_lock_is_free(
    tmp_path: Path, monkeypatch, tasks
) -> None:
    grid, store = {"n": range(3), "folder": [str(tmp_path)]}, tmp_path / "store"
    sweep(tasks.count_calls, {**grid, "n": [0]}, directory=store)
    opened = RowStore.lock

    @contextmanager
    def late(self: RowStore, part: object) -> Iterator[None]:
        monkeypatch.undo()
        sweep(tasks.count_calls, grid, directory=store)  # another, before this one has its lock
        with opened(self, None):
            yield

    monkeypatch.setattr(RowStore, "lock", late)
    assert sweep(tasks.count_calls, grid, directory=store).complete
    assert calls(tmp_path) == {"calls-0": 1, "calls-1": 1, "calls-2": 1}


def test_processes_that_begin_together_share_the_seed_of_one(
    tmp_path: Path, monkeypatch, tasks
) -> None:
    grid, store = {"n": [1], "scale": [1.0]}, tmp_path / "store"
    opened = JobDirectory.open

    def late(*arguments: object, **options: object) -> JobDirectory:
        monkeypatch.undo()
        sweep(tasks.noise, grid, directory=store)  # another, which makes the directory first
        return opened(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(JobDirectory, "open", late)
    second = sweep(tasks.noise, {**grid, "n": [1, 2]}, directory=store)
    assert second.seed == sweep(tasks.noise, grid, directory=store).seed


def test_tasks_that_exit_or_fail_at_length_are_rows(tmp_path: Path) -> None:
    class WordlessError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def failing(kind: int) -> object:
        if kind == 0:
            raise SystemExit(3)
        if kind == 1:
            raise WordlessError
        if kind == 2:
            raise ValueError("x" * 10**6)
        return np.ma.array([1.0, 2.0], mask=[False, True])

    result = sweep(failing, {"kind": range(4)})
    errors = [row.error for row in result.failed]
    assert [e.split(":")[0] for e in errors] == [
        "SystemExit",
        "WordlessError",
        "ValueError",
        "InputError",
    ]
    assert len(errors[2]) < 600
    assert "masked array" in errors[3]


def test_fixed_arguments_are_part_of_the_name_in_full(tmp_path: Path) -> None:
    def of(n: int, fixed: object = None) -> int:
        return n

    x = np.arange(5000.0)
    sweep(partial(of, fixed=x), {"n": [1]}, directory=tmp_path / "store")
    assert sweep(partial(of, fixed=x.copy()), {"n": [1]}, directory=tmp_path / "store").complete
    x[2500] += 1e-12
    with pytest.raises(CheckpointError, match="task="):
        sweep(partial(of, fixed=x), {"n": [1]}, directory=tmp_path / "store")
    with pytest.raises(InputError, match="its place in memory alone"):
        sweep(partial(of, fixed=object()), {"n": [1]}, directory=tmp_path / "other")
    assert sweep(partial(of, fixed=object()), {"n": [1]}).complete


def test_a_partial_that_fixes_rng_is_refused(tasks) -> None:
    with pytest.raises(InputError, match="must not fix rng"):
        sweep(partial(tasks.noise, rng=5), {"n": [1], "scale": [1.0]})


def test_a_directory_of_another_sweep_is_refused(tmp_path: Path, tasks) -> None:
    store = tmp_path / "store"
    sweep(tasks.noise, {"n": [1], "scale": [1.0]}, rng=1, directory=store)
    with pytest.raises(CheckpointError, match=r'job.json.*seed.entropy="1".*asks for "2"'):
        sweep(tasks.noise, {"n": [1], "scale": [1.0]}, rng=2, directory=store)
    with pytest.raises(CheckpointError, match=r'task="noise".*asks for "count_calls"'):
        sweep(tasks.count_calls, {"n": [1], "folder": [str(tmp_path)]}, directory=store)
    fixed = partial(tasks.count_calls, folder=str(tmp_path))
    with pytest.raises(CheckpointError, match="task="):
        sweep(fixed, {"n": [1]}, directory=store)


def test_a_damaged_row_is_named(tmp_path: Path, tasks) -> None:
    store, grid = tmp_path / "store", {"n": [1], "scale": [1.0]}
    sweep(tasks.noise, grid, rng=1, directory=store)
    (row,) = store.glob("row-*.npz")
    row.write_bytes(row.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=f"{row.name}.*damaged"):
        sweep(tasks.noise, grid, rng=1, directory=store)


def test_a_full_disk_loses_no_finished_row(tmp_path: Path, monkeypatch, tasks) -> None:
    from spinnet.runs import parts

    whole = parts.replace_file

    def full(path: Path, write: object) -> object:
        if path.name.startswith("row-") and len(list(path.parent.glob("row-*"))) == 2:
            raise OSError(28, "No space left on device")
        return whole(path, write)

    monkeypatch.setattr(parts, "replace_file", full)
    grid, store = {"n": range(4), "folder": [str(tmp_path)]}, tmp_path / "store"
    with pytest.raises(CheckpointError, match="No space left on device; what was saved before"):
        sweep(tasks.count_calls, grid, directory=store)
    monkeypatch.undo()
    assert sweep(tasks.count_calls, grid, directory=store).column("value").tolist() == [0, 1, 4, 9]
    assert calls(tmp_path) == {"calls-0": 1, "calls-1": 1, "calls-2": 2, "calls-3": 1}


# --- bad input -------------------------------------------------------------------------------


def add(a: float, b: float = 1.0) -> float:
    return a + b


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "at least one point"),
        ([], "at least one point"),
        ({"a": []}, "at least one point"),
        ({"a": 3}, r"grid\['a'\] must be a list of values, got 3"),
        ({"a": "word"}, "must be a list of values"),
        ("ab", "grid must be a mapping"),
        (None, "grid must be a mapping"),
        ([3], r"grid\[0\] must be a mapping"),
        ({"a": [1, 1]}, r"each point once, got points 0 and 1 alike: \{'a': 1\}"),
        ({"a": [float("nan")]}, "a must be a finite number.*got nan"),
        ({"a": [object()]}, "a must be a finite number"),
        ({"a": [[[1]]]}, "flat list"),
        ({"a": [1j]}, "finite number"),
        ({"a": [1], "rng": [1]}, "must not hold 'rng'"),
        ({"not a name": [1]}, "name parameters as Python does"),
        ({3: [1]}, "name parameters as Python does"),
        ({"c": [1]}, r"task add.* cannot be called with the parameters c"),
        ([{"a": 1}, {"b": 1}], "missing a required argument: 'a'"),
    ],
)
def test_a_bad_grid_is_named(grid: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sweep(add, grid)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "threads"}, 'executor must be None, "processes" or a concurrent'),
        ({"executor": 4}, "got 4"),
        ({"n_workers": 2}, 'n_workers belongs to executor="processes"'),
        ({"executor": "processes", "n_workers": 0}, "n_workers must be an integer >= 1"),
        ({"part": (0, 2)}, "part needs a directory"),
        ({"part": (2, 2), "directory": "x"}, r"part\[0\] must be an integer >= 0 and <= 1"),
        ({"part": 1, "directory": "x"}, r"part must be a pair \(k, n\)"),
        ({"rng": 3}, "task add takes no argument rng"),
        ({"executor": "processes", "task": lambda a: a}, "cannot be sent to another process"),
        ({"task": 3}, "task must be a function"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    task = options.pop("task", add)
    with pytest.raises(InputError, match=message):
        sweep(task, {"a": [1]}, **options)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist; make it first"):
        sweep(add, {"a": [1]}, directory=tmp_path / "no" / "such")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file, not a folder"):
        sweep(add, {"a": [1]}, directory=tmp_path / "file")
