"""``spinnet run`` and what looks after its directories: status, merge, export."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import spinnet as sn
from spinnet.errors import SpinnetError
from spinnet.progress import ProgressBar, duration, progress_bar
from spinnet.runs.locking import locked
from spinnet.spins.montecarlo import load_run
from spinnet.spins.montecarlo.run_directory import RunDirectory

COMMAND = [sys.executable, "-m", "spinnet"]
FILES = {"job.json", "model.npz", "model.lock", "opening.lock", "beta-0000", "beta-0001"}
RESULT = {"result.json", "result.npz", "result.lock"}


def edited(job, *changes):
    text = job.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    job.write_text(text)


def refused(outcome, *words, code=2):
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err.splitlines()[0]


def names(folder):
    return {path.name for path in folder.iterdir()}


def sample(**changes):
    arguments = {"n_sweeps": 100, "n_replicas": 8, "n_burn_in": 50, "rng": 7} | changes
    return sn.sample(sn.CurieWeiss(20), [0.5, 0.8], **arguments)


# --- run --------------------------------------------------------------------------------------


def test_run_is_the_library_call(spinnet, job, tmp_path):
    outcome = spinnet("run", job, "--output", "results-1.5")
    assert outcome.code == 0, outcome.err
    run = sample()
    assert outcome.out.startswith(run.summary())
    assert "written: results-1.5/result.npz and results-1.5/result.json" in outcome.out
    stored = json.loads((tmp_path / "results-1.5" / "result.json").read_text())
    assert stored["estimates"]["m2"]["value"] == run.estimate("m2").value.tolist()
    with np.load(tmp_path / "results-1.5" / "result.npz") as arrays:
        np.testing.assert_array_equal(arrays["energy"], run.series["energy"])


@pytest.mark.parametrize(
    ("lines", "arguments"),
    [
        ("measure_every = 3\nstore_every = 7", {"measure_every": 3, "store_every": 7}),
        ("workers = 2", {}),
        ("tempering = true", {"tempering": True}),
        ("tempering = true\nexchange_every = 4", {"tempering": sn.Tempering(4)}),
        ("tempering = false", {}),
        ('update = "heat-bath"', {"update": sn.HeatBath()}),
        ('update = "metropolis"', {"update": sn.Metropolis()}),
        ('update = "metropolis"\nheat_bath_every = 3', {"update": sn.Metropolis(3)}),
        ('update = "wolff"', {"update": sn.Wolff()}),
        ('update = "swendsen-wang"', {"update": sn.SwendsenWang()}),
        ('update = "auxiliary-field"', {"update": sn.AuxiliaryField()}),
        ('update = "auxiliary-field"\nheat_bath_every = 1', {"update": sn.AuxiliaryField(1)}),
        ('update = "independent"', {"update": sn.Independent()}),
    ],
)
def test_every_key_is_the_argument_of_sample(spinnet, job, lines, arguments):
    edited(job, ("seed = 7", f"seed = 7\n{lines}"))
    outcome = spinnet("run", job)
    assert outcome.code == 0, outcome.err
    run, read = sample(**arguments), load_run("job")
    assert outcome.out.startswith(run.summary())
    assert read.update == run.update
    for name, series in run.series.items():
        assert series.tobytes() == read.series[name].tobytes()
    assert (read.stored is None) == (run.stored is None)
    assert run.stored is None or run.stored.tobytes() == read.stored.tobytes()
    assert "finished" in spinnet("status", "job").out


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("temparing = true", ["'temparing'", "did you mean 'tempering'?"]),
        ("exchange_evry = 2", ["'exchange_evry'", "did you mean 'exchange_every'?"]),
        ('tempering = "yes"', ["tempering must be true or false, got 'yes'"]),
        ("exchange_every = 2", ["exchange_every belongs to tempering = true"]),
        ("tempering = true\nexchange_every = 0", ["exchange_every must be an integer >= 1, got 0"]),
        ("measure_every = 2.5", ["measure_every must be an integer >= 1, got 2.5"]),
        ("store_every = 101", ["store_every must be at most n_sweeps=100", "got 101"]),
        ('workers = "2"', ["workers", "got '2'"]),
        ("workers = true", ["workers", "got True"]),
        ("workers = 0", ["workers", ">= 1, got 0"]),
        ('update = "wolf"', ["update must be one of heat-bath, ", "did you mean 'wolff'?"]),
        ("heat_bath_every = 3", ['"metropolis" or "auxiliary-field", got no update']),
        ('update = "wolff"\nheat_bath_every = 3', ["heat_bath_every", "got update = 'wolff'"]),
    ],
)
def test_keys_that_are_wrong_are_named(spinnet, job, tmp_path, lines, words):
    edited(job, ("seed = 7", f"seed = 7\n{lines}"))
    refused(spinnet("run", job), "job.toml: [sample]", *words)
    assert names(tmp_path) == {"job.toml"}


def test_measurements_are_not_called_sweeps(spinnet, job):
    edited(job, ("seed = 7", "seed = 7\nmeasure_every = 3"))
    first = spinnet("run", job, "--task", "1").out
    assert first.startswith("task 1: beta = 0.8 has its 100 measurements in job")
    partial = load_run("job").summary()
    assert "unfinished: beta = 0.5 has 0 of 100 measurements" in partial
    assert "tau is in measurements, 3 sweeps apart" in partial


def test_run_writes_into_its_directory_and_nowhere_else(spinnet, job, tmp_path):
    assert spinnet("run", job).code == 0
    assert names(tmp_path) == {"job.toml", "job"}
    assert names(tmp_path / "job") == FILES | RESULT


def test_run_again_is_finished_or_extends(spinnet, job, tmp_path):
    first = spinnet("run", job)
    assert "finished before" not in first.out
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "job").rglob("*.npz")}
    again = spinnet("run", job)
    assert again.code == 0
    assert again.out.startswith("this run was finished before, and nothing was left to do\n")
    assert again.out.endswith(first.out)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    edited(job, ("n_sweeps = 100", "n_sweeps = 400"))
    assert spinnet("run", job).out.startswith(sample(n_sweeps=400).summary())
    edited(job, ("n_sweeps = 400", "n_sweeps = 399"))
    refused(spinnet("run", job), "made with n_sweeps=400", "399", "another directory")
    edited(job, ("n_sweeps = 399", "n_sweeps = 400"), ("n_replicas = 8", "n_replicas = 9"))
    refused(spinnet("run", job), "'job/job.json'", "n_replicas=8, this job asks for 9")


def test_without_a_seed_the_run_keeps_its_own(spinnet, job):
    edited(job, ("seed = 7", ""))
    assert spinnet("run", job).code == 0
    first = load_run("job")
    edited(job, ("n_sweeps = 100", "n_sweeps = 300"))
    assert spinnet("run", job).code == 0
    np.testing.assert_array_equal(load_run("job").series["m"][..., :100], first.series["m"])


def test_tasks_and_workers_give_the_bits_of_one_process(spinnet, job, tmp_path):
    edited(job, ("[0.5, 0.8]", "[0.5, 0.8, 1.1]"))
    assert spinnet("run", job, "--output", "one").code == 0
    refused(spinnet("run", job, "--output", "tasks", "--task", "3"), "from 0 to 2", "got 3")
    assert not (tmp_path / "tasks").exists()
    for k, words in [
        (2, "2 of 3 temperatures are not done yet"),
        (0, "1 of 3 temperatures are not done yet"),
        (1, "all temperatures are done; written: tasks/result.npz"),
        (1, "all temperatures are done"),
    ]:
        outcome = spinnet("run", job, "--output", "tasks", "--task", k)
        assert outcome.code == 0, outcome.err
        assert outcome.out.startswith(f"task {k}: beta = {[0.5, 0.8, 1.1][k]} has its 100 sweeps")
        assert words in outcome.out
    outcome = spinnet("run", job, "--output", "many", "--workers", "2", "--progress")
    assert outcome.code == 0, outcome.err
    contents = {
        name: (tmp_path / name / "result.json").read_bytes() for name in ("one", "tasks", "many")
    }
    assert len(set(contents.values())) == 1
    series = [load_run(name).series["energy"].tobytes() for name in contents]
    assert len(set(series)) == 1


@pytest.mark.slow
def test_workers_report_what_went_wrong(spinnet, job, tmp_path):
    edited(job, ("n_spins = 20", "n_spins = 600\nh = 0.02"), ("[0.5, 0.8]", "[0.5, 1.4]"))
    edited(job, ("n_burn_in = 50", 'n_burn_in = "auto"\nupdate = "heat-bath"'))
    refused(spinnet("run", job, "--workers", "2"), "have not mixed at beta=1.4", code=3)
    assert [p.complete for p in RunDirectory.load("job").progress()] == [True, False]
    with RunDirectory.load("job").store(1).parts.lock():
        refused(spinnet("run", job, "--workers", "1"), "in use by process", str(os.getpid()))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--task", "-1"], ["--task", ">= 0", "'-1'"]),
        (["--task", "x"], ["--task", "'x'"]),
        (["--workers", "0"], ["--workers", ">= 1"]),
        (["--task", "0", "--workers", "2"], ["--workers", "--task"]),
        (["--checkpoint-interval", "-1"], ["--checkpoint-interval", ">= 0", "-1"]),
        (["--checkpoint-interval", "nan"], ["--checkpoint-interval", "finite"]),
        (["--checkpoint-interval", "x"], ["--checkpoint-interval", "'x'"]),
        (["--output", ""], ["--output must name a folder", "'results-job'"]),
        (["--output", "."], ["holds 'job.toml' and no job.json"]),
        (["--output", ".."], ["and no job.json", "use another directory"]),
        (["--output", "/"], ["and no job.json"]),
        (["--output", "job.toml"], ["job.toml' is a file, not a folder"]),
        (["--output", "job.toml/a"], ["job.toml' is a file, not a folder"]),
        (["--output", "none/a"], ["'none' does not exist; make it first"]),
    ],
)
def test_wrong_places_and_numbers_are_refused(spinnet, tmp_path, job, words, expected):
    refused(spinnet("run", job, *words), *expected)
    assert names(tmp_path) == {"job.toml"}


def stop_when(process, condition, number):
    """Send a signal as soon as the condition holds."""
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    return process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGTERM, []),
        pytest.param(signal.SIGINT, [], marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, ["--workers", "2"], marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, ["--workers", "2"], marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_an_interrupted_command_goes_on_where_it_was(spinnet, job, tmp_path, number, workers):
    edited(job, ("n_sweeps = 100", "n_sweeps = 5000"), ("n_spins = 20", "n_spins = 200"))
    with subprocess.Popen(
        [*COMMAND, "run", job, "--checkpoint-interval", "0", *workers],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        parts = tmp_path / "job" / "beta-0000"
        out, err = stop_when(process, lambda: len(list(parts.glob("sweeps-*"))) > 1, number)
    assert out == ""
    assert not (tmp_path / "job" / "result.json").exists()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        while any(p.running for p in RunDirectory.load("job").progress()):
            time.sleep(0.05)  # workers end with their parent
    else:
        assert process.returncode == 130
        assert re.fullmatch(
            r"spinnet: error: interrupted and saved: [1-9]\d* of 10000 sweeps .*'job'; run .*\n",
            err,
        )
        assert not any(p.running for p in RunDirectory.load("job").progress())
    assert 256 <= load_run("job").done[0] <= 5000  # a killed part may lack its state
    outcome = spinnet("run", job)
    assert outcome.code == 0, outcome.err
    run = sn.sample(
        sn.CurieWeiss(200), [0.5, 0.8], n_sweeps=5000, n_replicas=8, n_burn_in=50, rng=7
    )
    found = load_run("job")
    for name, series in run.series.items():
        assert found.series[name].tobytes() == series.tobytes()
    assert found.spins.tobytes() == run.spins.tobytes()


# --- status -----------------------------------------------------------------------------------


def test_status_of_a_run_in_every_state(spinnet, job, tmp_path):
    edited(job, ("[0.5, 0.8]", "[0.5, 0.8, 1.1]"))
    assert spinnet("run", job, "--task", "1").code == 0
    with (
        RunDirectory.load("job").store(2).parts.lock()
        if (RunDirectory.load("job").store(2).parts.make() is None)
        else None
    ):
        outcome = spinnet("status", "job")
        stored = json.loads(spinnet("status", "job", "--json").out)
    head, _, *rows = outcome.out.splitlines()
    assert head == "job: CurieWeiss of 20 spins, not finished, 100 of 300 sweeps"
    assert [re.split(r" {2,}", row.strip())[:4] for row in rows] == [
        ["0", "0.5", "0", "100"],
        ["1", "0.8", "100", "100"],
        ["2", "1.1", "0", "100"],
    ]
    assert rows[0].endswith("not begun")
    assert rows[1].endswith("finished")
    assert f"running: process {os.getpid()} on" in rows[2]
    assert stored["finished"] is False
    assert [t["sweeps"] for t in stored["temperatures"]] == [0, 100, 0]
    assert stored["temperatures"][1]["complete"] is True
    assert stored["temperatures"][1]["burn_in"] == 50
    assert stored["temperatures"][0]["saved_at"] is None
    assert abs(stored["temperatures"][1]["saved_at"] - time.time()) < 3600
    assert stored["job"]["seed"]["entropy"] == "7"
    assert spinnet("run", job).code == 0
    assert "job: CurieWeiss of 20 spins, finished, 300 of 300" in spinnet("status", "job").out


def test_status_shows_the_time_left_of_a_run_that_grows(spinnet, job):
    edited(job, ("n_sweeps = 100", "n_sweeps = 600"))
    assert spinnet("run", job).code == 0
    plan = RunDirectory.load("job").plan
    RunDirectory.open("job", dataclasses.replace(plan, n_sweeps=60_000))
    stored = json.loads(spinnet("status", "job", "--json").out)["temperatures"][0]
    assert (stored["sweeps"], stored["target"]) == (600, 60_000)
    assert stored["seconds_left"] > 0


def test_status_finds_damage(spinnet, job, tmp_path):
    edited(job, ("n_sweeps = 100", "n_sweeps = 300"))
    assert spinnet("run", job).code == 0
    (part,) = (tmp_path / "job" / "beta-0001").glob("sweeps-*")
    content = part.read_bytes()
    part.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    outcome = spinnet("status", "job")
    assert outcome.code == 0
    assert f"task 1 is damaged: '{part.relative_to(tmp_path)}' is damaged" in outcome.out
    assert "not finished" in outcome.out
    assert "damaged" not in spinnet("status", "job", "--quick").out
    part.unlink()
    assert "lacks the part with sweep 0" in spinnet("status", "job", "--quick").out
    assert json.loads(spinnet("status", "job", "--json").out)["temperatures"][1]["damage"]
    (tmp_path / "job" / "job.json").write_text("{}")
    refused(spinnet("status", "job"), "job.json' was not written by spinnet")


def test_status_of_what_is_no_run_is_refused(spinnet, job, tmp_path):
    refused(spinnet("status", "none"), "'none'", "no such folder")
    refused(spinnet("status", "."), "holds no job.json")
    refused(spinnet("status", job), "is a file, not the folder of a job")
    from spinnet.runs.directory import JobDirectory

    JobDirectory.open("other", "fit", {}, targets=())
    refused(spinnet("status", "other"), "holds a job of kind 'fit', not 'run'")


def _square(n):
    if n == 3:
        raise ValueError("three")
    return n * n


def test_status_of_a_sweep_counts_its_rows_and_other_commands_name_its_kind(spinnet, job, tmp_path):
    sn.sweep(_square, {"n": range(5)}, directory="rows")
    text = spinnet("status", "rows").out
    assert "rows: sweep of _square, 4 rows done, 1 failed\nfailed: n=3: ValueError: three" in text
    assert "spinnet.sweep(task, grid, directory=...)" in text
    with locked(tmp_path / "rows" / "part-0-of-2.lock"):
        assert f"running: process {os.getpid()}" in spinnet("status", "rows").out
    row = next((tmp_path / "rows").glob("row-*"))
    row.write_bytes(row.read_bytes()[:-3])
    assert f"damaged: 'rows/{row.name}'" in spinnet("status", "rows").out
    assert "damaged" not in spinnet("status", "rows", "--quick").out
    found = json.loads(spinnet("status", "rows", "--json").out)["rows"]
    assert (found["done"], found["failed"], len(found["damage"])) == (4, 1, 1)
    for words in (
        ("merge", "rows", "rows", "--output", "new"),
        ("export", "rows", "rows.nc"),
        ("run", job, "--output", "rows"),
    ):
        refused(spinnet(*words), "kind 'sweep', not 'run'", "belongs to spinnet.sweep(")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SpinnetError("the worker processes end as they start"), "end as they start"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "the system refused"),
    ],
)
def test_a_failure_of_the_machine_is_a_line_and_no_traceback(
    spinnet, job, monkeypatch, error, words
):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("spinnet.runs.workers.on_processes", fail)
    refused(spinnet("run", job, "--workers", "2"), words)


# --- merge and export -------------------------------------------------------------------------


@pytest.fixture
def two_runs(spinnet, job):
    assert spinnet("run", job, "--output", "a").code == 0
    edited(job, ("seed = 7", "seed = 8"))
    assert spinnet("run", job, "--output", "b").code == 0


@pytest.mark.usefixtures("two_runs")
def test_merge_joins_and_its_directory_is_a_run(spinnet, job, tmp_path):
    outcome = spinnet("merge", "a", "b", "--output", "both")
    assert outcome.code == 0, outcome.err
    both = load_run("both")
    expected = [load_run(name).series["m"] for name in ("a", "b")]
    np.testing.assert_array_equal(both.series["m"], np.concatenate(expected, axis=1))
    assert outcome.out.startswith(both.summary())
    assert "both: CurieWeiss of 20 spins, finished, 200 of 200" in spinnet("status", "both").out
    stored = json.loads((tmp_path / "both" / "result.json").read_text())
    assert stored["n_replicas"] == 16
    (tmp_path / "both" / "arrays.npz").write_bytes(b"")
    assert "task 0 is damaged" in spinnet("status", "both").out
    refused(spinnet("merge", "a", "a", "--output", "c"), "overlap", "beta=0.5", "seed 7")
    refused(spinnet("merge", "a", "--output", "c"), "at least two runs")
    refused(spinnet("merge", "a", "b", "--output", "a"), "'a' exists already")
    refused(spinnet("merge", "a", "none", "--output", "c"), "no such folder")
    refused(spinnet("run", job, "--output", "both"), "kind 'merged-run', not 'run'")
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("two_runs")
def test_export_writes_what_xarray_opens(spinnet, job, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    assert spinnet("export", "a", "a.nc") == (0, "written: a.nc\n", "")
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        np.testing.assert_array_equal(data.energy, sample().series["energy"])
    refused(spinnet("export", "a", "none/a.nc"), "FILE.nc", "'none' does not exist")
    refused(spinnet("export", "none", "a.nc"), "no such folder")
    edited(job, ("n_sweeps = 100", "n_sweeps = 300"))
    assert spinnet("run", job, "--output", "b", "--task", "0").code == 0
    assert "not finished: 400 sweeps, NaN for the rest" in spinnet("export", "b", "b.nc").out


def test_export_without_xarray_names_the_extra(spinnet, job, monkeypatch):
    assert spinnet("run", job).code == 0
    monkeypatch.setitem(sys.modules, "xarray", None)
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    refused(spinnet("export", "job", "a.nc"), "pip install 'spinnet[xarray]'")
    assert not Path("a.nc").exists()


# --- progress ---------------------------------------------------------------------------------


def test_a_log_gets_one_line_for_each_tenth(capsys):
    with progress_bar(1000, True, "sweep") as bar:
        for _ in range(100):
            bar.update(10)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" %")[0].strip() for line in lines] == [str(k) for k in range(10, 101, 10)]
    assert re.fullmatch(r" 50 %  500 of 1000 sweeps, 0:00 so far, 0:00 left", lines[4])


def test_what_was_done_before_counts_but_not_for_the_speed(capsys, monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("spinnet.progress.time.monotonic", lambda: next(clock))
    bar = progress_bar(100, True)
    bar.skip(45)
    bar.update(4)
    assert capsys.readouterr().err == ""
    bar.update(6)  # 10 steps in 10 seconds, 45 are left
    assert capsys.readouterr().err == " 55 %  55 of 100 steps, 0:10 so far, 0:45 left\n"


def test_a_terminal_gets_a_bar_with_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bar(100, True, "sweep") as bar:
        bar.skip(50)
        bar.update(25)
        bar._bar.refresh()
    assert re.search(r"75%.*75/100 \[.*<", capsys.readouterr().err)


def test_no_progress_is_silent(capsys):
    with progress_bar(10, False) as bar:
        bar.update()
        bar.skip(2)
    with progress_bar(0, True) as empty:
        empty.update(0)
    assert capsys.readouterr() == ("", "")
    assert isinstance(bar, ProgressBar)


def test_durations_are_read_at_a_glance():
    shown = [duration(s) for s in (0.4, 59.6, 3661, 86400 * 2 + 5, 90061, float("nan"))]
    assert shown == ["0:00", "1:00", "1:01:01", "2 days 0:00:05", "1 day 1:01:01", "?"]
