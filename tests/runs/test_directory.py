"""A job directory holds one job, its parts are whole or refused, and its lock keeps others out."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from spinnet import files
from spinnet.errors import CheckpointError
from spinnet.runs.directory import JobDirectory
from spinnet.runs.interruption import Interrupted, deferred_interrupts
from spinnet.runs.locking import holder, locked
from spinnet.runs.parts import SCHEMA, fingerprint, sealed_json

JOB = {"model": {"name": "chain", "n": 64}, "seed": 7, "n_sweeps": 100}


@pytest.fixture
def directory(tmp_path):
    return JobDirectory.open(tmp_path / "a", "run", JOB)


def reseal(path, **changes):
    """Write job.json again, changed, with a checksum that fits."""
    values = json.loads(path.read_text())
    del values["sha256"]
    path.write_bytes(sealed_json(values | changes))


# --- the job ----------------------------------------------------------------------------------


def test_a_directory_is_opened_again_by_the_same_job_alone(directory):
    assert JobDirectory.open(directory.path, "run", dict(reversed(JOB.items()))).job == JOB
    loaded = JobDirectory.load(directory.path)
    assert (loaded.kind, loaded.job, loaded.owner) == ("run", JOB, directory.owner)
    assert set(loaded.versions) == {"spinnet", "numpy", "python"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 8}, r"a/job\.json' was made with seed=7, this job asks for 8; use another dir"),
        ({"model": {"name": "chain", "n": 65}}, r"with model\.n=64, this job asks for 65"),
        ({"model": {"name": "chain"}}, r"with model\.n=64, this job asks for none"),
        ({"beta": [0.5]}, r"was made without beta, this job asks for \[0\.5\]"),
        (  # another model is the news, not the target
            {"n_sweeps": 99, "seed": 8, "model": {"name": "chain", "n": 65}},
            r"with model\.n=64, this job asks for 65",
        ),
        ({"n_sweeps": 99}, r"with n_sweeps=100, this job asks for 99; a target can only grow"),
        ({"model": "x" * 99}, r"asks for \"x{50,60}\.\.\.; use"),
    ],
)
def test_another_job_is_refused_by_the_first_key_that_differs(directory, changes, words):
    before = (directory.path / "job.json").read_bytes()
    with pytest.raises(CheckpointError, match=words):
        JobDirectory.open(directory.path, "run", JOB | changes)
    assert (directory.path / "job.json").read_bytes() == before


def test_a_target_grows_and_parts_stay_its_own(directory):
    directory.write("x.npz", {"x": [1.0]})
    grown = JobDirectory.open(directory.path, "run", JOB | {"n_sweeps": 200})
    assert JobDirectory.load(directory.path).job["n_sweeps"] == 200
    assert grown.read("x.npz")["x"] == [1.0]
    with pytest.raises(CheckpointError, match="targets"):
        JobDirectory.open(directory.path, "run", JOB | {"n_sweeps": 200}, targets=())


def test_a_directory_of_another_kind_or_format_is_refused(directory):
    with pytest.raises(CheckpointError, match="holds a job of kind 'run', not 'sweep'"):
        JobDirectory.open(directory.path, "sweep", JOB)
    reseal(directory.path / "job.json", schema=SCHEMA + 1)
    with pytest.raises(
        CheckpointError, match=rf"\(schema\) {SCHEMA + 1}, and this .* {SCHEMA}; use"
    ):
        JobDirectory.open(directory.path, "run", JOB)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', "\0"])
def test_a_job_file_that_is_none_is_refused(directory, text):
    (directory.path / "job.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"job\.json' (is damaged|was not written)"):
        JobDirectory.open(directory.path, "run", JOB)


def test_a_part_under_the_name_of_the_job_file_is_refused(directory):
    directory.write("row.json", {"x": 1})
    (directory.path / "row.json").replace(directory.path / "job.json")
    with pytest.raises(CheckpointError, match=r"job\.json' is not the description of a job"):
        JobDirectory.load(directory.path)


def test_a_number_that_became_infinite_is_damage(directory):
    directory.write("x.json", {"x": 1e300})
    path = directory.path / "x.json"
    path.write_text(path.read_text().replace("1e+300", "1e+900"))
    with pytest.raises(CheckpointError, match=r"x\.json' is damaged"):
        directory.read("x.json")


def test_an_edited_job_file_is_refused(directory):
    path = directory.path / "job.json"
    path.write_text(path.read_text().replace("100", "200"))
    with pytest.raises(CheckpointError, match="checksum does not fit"):
        JobDirectory.open(directory.path, "run", JOB)


def test_folders_that_hold_something_else_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"holds 'notes\.txt' and no job\.json; use another"):
        JobDirectory.open(tmp_path, "run", JOB)
    with pytest.raises(CheckpointError, match=r"notes\.txt' is a file, not a folder"):
        JobDirectory.open(tmp_path / "notes.txt", "run", JOB)
    with pytest.raises(CheckpointError, match=r"notes\.txt' is a file, not a folder"):
        JobDirectory.open(tmp_path / "notes.txt" / "a", "run", JOB)
    with pytest.raises(CheckpointError, match=r"none' does not exist; make it first"):
        JobDirectory.open(tmp_path / "none" / "a", "run", JOB)
    with pytest.raises(CheckpointError, match="no such folder"):
        JobDirectory.load(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"it holds no job\.json"):
        JobDirectory.load(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_whose_making_was_killed_is_taken_up(tmp_path):
    (tmp_path / "opening.lock").write_text("")
    (tmp_path / ".job.json.abc.partial").write_text("{")
    JobDirectory.open(tmp_path, "run", JOB)
    assert {p.name for p in tmp_path.iterdir()} == {"opening.lock", "job.json"}


def test_a_job_must_be_plain_values(tmp_path):
    for value in (np.ones(2), float("nan"), {1, 2}):
        with pytest.raises(CheckpointError, match="plain JSON values"):
            JobDirectory.open(tmp_path / "a", "run", JOB | {"x": value})
    assert not (tmp_path / "a").exists()


def test_many_processes_may_make_one_directory_at_once(tmp_path):
    code = (
        "import sys; from spinnet.runs.directory import JobDirectory; "
        "JobDirectory.open(sys.argv[1], 'run', {'n_sweeps': 1})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    together = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in together] == [b""] * 3
    assert JobDirectory.load(tmp_path / "a").job == {"n_sweeps": 1}


# --- parts ------------------------------------------------------------------------------------


def test_parts_come_back_as_they_were(directory):
    arrays = {
        "float": np.array([[0.1, -np.inf], [np.nan, 5e-324]]),
        "words": np.array([2**64 - 1, 0], np.uint64),
        "none": np.empty((0, 3), np.int8),
        "number": np.array(3),
        "<lambda>": np.array(["a", "bc"]),
    }
    directory.write("a-1.npz", arrays)
    directory.write("a-2.json", {"x": [1, 0.1, None], "y": "z"})
    back = directory.read("a-1.npz")
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
    assert directory.read("a-2.json") == {"x": [1, 0.1, None], "y": "z"}
    assert directory.names("a-") == directory.names() == ["a-1.npz", "a-2.json"]
    directory.check("a-1.npz")
    with np.load(directory.path / "a-1.npz") as plain:  # an ordinary archive
        assert plain["number"] == 3


@pytest.mark.parametrize("name", ["x.npz", "x.json"])
def test_no_flipped_bit_and_no_cut_goes_unseen(directory, name):
    directory.write(name, {"x": [1.0, 2.0]})
    path = directory.path / name
    content = path.read_bytes()
    seen = 0
    for k in range(0, len(content), 3):
        flipped = content[:k] + bytes([content[k] ^ 1]) + content[k + 1 :]
        for damaged in (flipped, content[:k]):
            path.write_bytes(damaged)
            try:
                same = directory.read(name) == {"x": [1.0, 2.0]}  # a space of JSON may be any
            except CheckpointError as error:
                assert str(path) in str(error)  # noqa: PT017
                seen += 1
            else:
                assert name == "x.json"
                assert same
    tried = 2 * len(range(0, len(content), 3))
    assert seen > 0.95 * tried
    if name == "x.npz":
        assert seen == tried


def test_parts_of_others_are_refused(directory, tmp_path):
    other = JobDirectory.open(tmp_path / "b", "run", JOB | {"seed": 8})
    for name in ("x.npz", "y.json"):
        directory.write(name, {"x": [1]})
        shutil.copy(directory.path / name, other.path)
        with pytest.raises(CheckpointError, match="belongs to another job"):
            other.read(name)
        with pytest.raises(CheckpointError, match="is missing"):
            directory.read(f"z{name}")
        shutil.copy(directory.path / name, directory.path / f"z{name}")
        with pytest.raises(CheckpointError, match="was written under the name"):
            directory.read(f"z{name}")
    np.savez(directory.path / "foreign.npz", x=np.ones(3))
    (directory.path / "foreign.json").write_text('{"x": 1}')
    for name in ("foreign.npz", "foreign.json"):
        with pytest.raises(CheckpointError, match=rf"{name}' (is damaged|was not written)"):
            directory.read(name)


def test_a_part_of_another_format_is_refused(directory, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("spinnet.runs.parts.SCHEMA", SCHEMA + 1)
        directory.write("x.npz", {"x": [1.0]})
    for call in (directory.read, directory.check):
        with pytest.raises(
            CheckpointError, match=rf"x\.npz' has the format \(schema\) {SCHEMA + 1}"
        ):
            call("x.npz")


def test_parts_never_change_and_hold_no_code(directory):
    directory.write("x.npz", {"x": [1.0]})
    with pytest.raises(CheckpointError, match="exists already"):
        directory.write("x.npz", {"x": [2.0]})
    directory.write("x.npz", {"x": [2.0]}, replace=True)
    assert directory.read("x.npz")["x"] == [2.0]
    with pytest.raises(CheckpointError, match="'x' holds Python objects"):
        directory.write("y.npz", {"x": np.array([{}], dtype=object)})
    for name in ("", "../x.npz", ".x.npz", "a/b.npz"):
        with pytest.raises(CheckpointError, match="plain file name"):
            directory.write(name, {})
    assert directory.names() == ["x.npz"]


def test_the_fingerprint_is_that_of_the_values():
    assert fingerprint({"a": 1, "b": 2.5}) == fingerprint({"b": 2.5, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


# --- what can go wrong with a file system -----------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("step", ["mkstemp", "fsync", "replace"])
def test_a_failed_write_is_one_error_and_loses_nothing(directory, monkeypatch, step, code):
    directory.write("x.npz", {"x": [1.0]})

    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    owner = files.tempfile if step == "mkstemp" else files.os
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fail)
        for name in ("x.npz", "y.npz", "z.json"):
            with pytest.raises(
                CheckpointError, match=rf"cannot write '.*{name}': .*; what was saved"
            ):
                directory.write(name, {"x": [2.0]}, replace=True)
        with pytest.raises(CheckpointError, match=os.strerror(code)):
            JobDirectory.open(directory.path, "run", JOB | {"n_sweeps": 200})
    assert directory.read("x.npz")["x"] == [1.0]
    assert JobDirectory.load(directory.path).job == JOB
    assert not list(directory.path.glob(".*"))


def test_a_disk_that_fills_up_is_one_error_and_loses_nothing(directory):
    directory.write("x.npz", {"x": np.zeros(100)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"cannot write '.*big\.npz': File too large"):
            directory.write("big.npz", {"x": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert directory.names() == ["x.npz"]
    assert not list(directory.path.glob(".*"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no file")
def test_a_folder_that_takes_no_file_is_named():
    with pytest.raises(CheckpointError, match=r"cannot make the folder '/proc/self/a'"):
        JobDirectory.open("/proc/self/a", "run", JOB)
    with (
        pytest.raises(CheckpointError, match=r"cannot write in '/proc/self'"),
        locked(Path("/proc/self/lock")),
    ):
        pass


# --- locks ------------------------------------------------------------------------------------


def refuse_lock(directory, words):
    with pytest.raises(CheckpointError, match=words), directory.lock(patience=0.1):
        pass


HOLD = """
import sys, time
from spinnet.runs.directory import JobDirectory
with JobDirectory.load(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_ends_with_it_even_at_sigkill(directory):
    (directory.path / ".x.npz.abc.partial").write_text("half")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory.path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not list(directory.path.glob(".*"))  # the leftovers of a killed writer
        refuse_lock(directory, rf"in use by process {process.pid} on \S+; wait")
        assert holder(directory.path / "lock").startswith(f"process {process.pid} on ")
        with directory.lock("other"):  # another piece of work
            pass
        process.kill()
    with directory.lock():
        assert holder(directory.path / "lock").startswith(f"process {os.getpid()} on ")
    assert holder(directory.path / "lock") == ""
    assert holder(directory.path / "none") == ""


def test_a_lock_also_keeps_out_this_process_and_waits_a_little(directory):
    with directory.lock():
        refuse_lock(directory, f"process {os.getpid()}")
        started = threading.Event()
        outcome = []

        def wait():
            started.set()
            with directory.lock(patience=20):
                outcome.append("held")

        thread = threading.Thread(target=wait)
        thread.start()
        started.wait()
        time.sleep(0.05)
        assert outcome == []
    thread.join()
    assert outcome == ["held"]


def test_a_lock_without_its_signature_still_holds(directory, monkeypatch):
    def fail(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fail)
    with directory.lock():
        refuse_lock(directory, "in use by another process")


# --- interrupts -------------------------------------------------------------------------------


def test_an_interrupt_waits_for_the_work_to_save():
    steps = []

    def work():
        with deferred_interrupts() as asked:
            assert not asked()
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")
            if asked():
                steps.append("saved")
                raise Interrupted
            steps.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["went on", "saved"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_at_the_very_end_is_not_lost():
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        signal.raise_signal(signal.SIGINT)


def test_a_second_interrupt_does_not_wait():
    def work():
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("went on")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_sigterm_goes_to_whoever_handled_it():
    seen = []

    def work():
        with deferred_interrupts() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert asked()
            assert seen == []
            raise Interrupted

    old = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert seen == [signal.SIGTERM]
        with deferred_interrupts() as asked:
            assert not asked()
    finally:
        signal.signal(signal.SIGTERM, old)


def test_an_ignored_interrupt_stays_ignored():
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupts() as asked:
            signal.raise_signal(signal.SIGINT)
            assert not asked()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)


def test_other_threads_are_left_alone():
    found = []

    def work():
        with deferred_interrupts() as asked:
            found.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
