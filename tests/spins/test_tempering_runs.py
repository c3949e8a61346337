"""Tempered runs in directories: bits after kills and extensions, status, merging, export."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spinnet as sn
from spinnet.cli.program import main
from spinnet.errors import CheckpointError, InputError
from spinnet.progress import ProgressBar
from spinnet.runs.interruption import Interrupted
from spinnet.spins.montecarlo.engine import plan_run
from spinnet.spins.montecarlo.run_directory import RunDirectory, run_in_processes

KILLER = Path(__file__).with_name("killed_runs.py")
BETA = [0.3, 0.6, 0.9, 1.3]
MODEL = sn.Ising(np.random.default_rng(3).normal(size=(8, 8)) / 3, 0.1)


def go(folder=None, **changes):
    """Sample a small tempered run."""
    arguments = {"n_sweeps": 600, "n_replicas": 3, "n_burn_in": 50, "rng": 7, "tempering": True}
    arguments["update"] = sn.HeatBath()
    return sn.sample(MODEL, **{"beta": BETA, **arguments, **changes}, checkpoint=folder)


def bits(run):
    """Return all that must not differ."""
    series = [f"{name} {values.tobytes()!r}" for name, values in run.series.items()]
    record = run.exchange and json.dumps(run.exchange.to_dict())
    return [*series, run.spins.tobytes(), run.n_burn_in.tolist(), run.done.tolist(), record]


def test_memory_and_directory_give_the_same_bits(tmp_path):
    memory = go()
    assert bits(memory) == bits(go(tmp_path / "a"))
    assert bits(memory) == bits(go(tmp_path / "a"))  # read again
    assert bits(memory) == bits(sn.load_run(tmp_path / "a"))
    assert [p.name for p in tmp_path.glob("a/beta-*")] == ["beta-0000"]
    assert memory.series["m"].shape == (4, 3, 600)
    assert memory.spins.shape == (4, 3, 8)
    stored = json.loads((tmp_path / "a" / "result.json").read_text())
    assert stored["exchange"] == memory.exchange.to_dict()


@pytest.mark.parametrize("burn_in", [50, "auto"])
def test_an_extended_run_equals_a_long_one(tmp_path, burn_in):
    short = go(tmp_path / "a", n_sweeps=300, n_burn_in=burn_in)
    assert short.exchange.n_sweeps == 300
    assert bits(go(n_sweeps=900, n_burn_in=burn_in)) == bits(
        go(tmp_path / "a", n_sweeps=900, n_burn_in=burn_in)
    )


def test_a_run_that_stops_at_every_block_goes_on(tmp_path):
    reference = bits(go(n_sweeps=1000))
    given = {"n_replicas": 3, "n_burn_in": 50, "rng": 7, "update": sn.HeatBath()}
    plan = plan_run(MODEL, BETA, n_sweeps=1000, tempering=True, **given)
    stops = 0
    while True:
        run = RunDirectory.open(tmp_path / "a", plan)
        try:
            run.advance(0, interval=0.0, asked_to_stop=lambda: True, bar=ProgressBar())
        except Interrupted:
            stops += 1
            part = run.collect()
            done = int(part.done[0])
            assert np.all(part.done == done)
            if done:
                assert part.exchange.n_sweeps == done
            assert np.isnan(part.series["m"][..., done:]).all()
            continue
        break
    assert stops >= 4
    assert bits(sn.load_run(tmp_path / "a")) == reference


def test_status_counts_all_temperatures(tmp_path):
    go(tmp_path / "a")
    rows = RunDirectory.load(tmp_path / "a").progress()
    assert [row.beta for row in rows] == BETA
    assert all(row.complete and row.done == 600 for row in rows)
    assert RunDirectory.load(tmp_path / "a").is_complete()


def test_a_damaged_tempered_run_is_one_damaged_task(tmp_path, capsys):
    go(tmp_path / "a")
    part = next((tmp_path / "a" / "beta-0000").glob("last-*"))
    part.write_bytes(part.read_bytes()[:-100])
    main(["status", str(tmp_path / "a")])
    assert capsys.readouterr().out.count("task 0 is damaged") == 1


def test_workers_do_the_one_trajectory(tmp_path):
    plan = plan_run(
        MODEL,
        BETA,
        n_sweeps=600,
        n_replicas=3,
        n_burn_in=50,
        rng=7,
        tempering=True,
        update=sn.HeatBath(),
    )
    run = RunDirectory.open(tmp_path / "a", plan)
    run_in_processes(run, 2, bar=ProgressBar())
    assert bits(run.collect()) == bits(go())


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ({"tempering": True}, {"tempering": False}, "tempering"),
        ({"tempering": False}, {"tempering": True}, "tempering"),
        ({"tempering": True}, {"tempering": sn.Tempering(2)}, "exchange_every"),
    ],
)
def test_another_tempering_is_another_run(tmp_path, first, then, words):
    go(tmp_path / "a", **first)
    with pytest.raises(CheckpointError, match=words):
        go(tmp_path / "a", **then)


def test_plain_runs_keep_their_job(tmp_path):
    go(tmp_path / "a", tempering=False)
    job = json.loads((tmp_path / "a" / "job.json").read_text())
    assert "tempering" not in json.dumps(job)


def test_merged_runs_have_all_replicas_and_exchanges(tmp_path):
    runs = [go(tmp_path / name, rng=seed) for name, seed in (("a", 1), ("b", 2))]
    merged = sn.merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert merged.n_replicas == 6
    accepted = np.concatenate([run.exchange.accepted for run in runs])
    for both in (merged, sn.load_run(tmp_path / "both")):
        np.testing.assert_array_equal(both.exchange.accepted, accepted)
        assert both.exchange.n_sweeps == 600
        assert bits(both) == bits(merged)
    go(tmp_path / "c", beta=[0.2, 0.4], n_replicas=6, rng=3)
    other = sn.merge_runs([tmp_path / "both", tmp_path / "c"], tmp_path / "all")
    assert other.exchange is None  # two ladders
    assert sn.load_run(tmp_path / "all").exchange is None
    with pytest.raises(InputError, match="overlap"):
        sn.merge_runs([tmp_path / "a", tmp_path / "both"], tmp_path / "twice")


def test_the_exchanges_are_exported(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    run = go()
    with xarray.open_dataset(sn.export_netcdf(run, tmp_path / "run.nc")) as data:
        np.testing.assert_array_equal(data.exchange_acceptance, run.exchange.acceptance)
        np.testing.assert_array_equal(data.exchange_round_trips, run.exchange.round_trips)


def test_the_command_line_tempers(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        *("[model]", 'type = "curie-weiss"', "n_spins = 30", "[sample]"),
        *("beta = [0.5, 0.8, 1.1]", "n_sweeps = 300", "seed = 7", "tempering = true"),
    ]
    Path("job.toml").write_text("\n".join(lines))
    assert main(["run", "job.toml", "--task", "1"]) != 0
    assert "are one task, got 1" in capsys.readouterr().err
    assert main(["run", "job.toml", "--task", "0"]) == 0
    assert "all temperatures have their 300 sweeps" in capsys.readouterr().out
    assert main(["run", "job.toml"]) == 0
    assert "round trips per replica" in capsys.readouterr().out
    assert main(["status", "job"]) == 0
    table = capsys.readouterr().out
    assert "finished, 900 of 900 sweeps" in table
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["0", "0", "0"]
    assert main(["status", "job", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["temperatures"]
    assert [(row["task"], row["beta"]) for row in rows] == [(0, 0.5), (0, 0.8), (0, 1.1)]
    expected = sn.sample(sn.CurieWeiss(30), [0.5, 0.8, 1.1], n_sweeps=300, rng=7, tempering=True)
    assert bits(sn.load_run("job")) == bits(expected)
    Path("job.toml").write_text("\n".join(lines).replace("true", "1"))
    assert main(["run", "job.toml"]) != 0
    assert "tempering must be true or false" in capsys.readouterr().err


@pytest.mark.slow
def test_kills_at_any_moment_change_no_bit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", KILLER, "tempered", "15", "5", tmp_path],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    *differing, last = done.stdout.splitlines()
    assert differing == []
    assert last.startswith("15 kills in ")
