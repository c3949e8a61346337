"""``spinnet status``: how far a run in a directory is."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinnet.cli.parsing import Subparsers, add_command

if TYPE_CHECKING:
    from spinnet.runs.directory import JobDirectory
    from spinnet.runs.rows import SweepProgress
    from spinnet.spins.montecarlo.checkpoints import Progress

EXAMPLE = """\
For each temperature: its task, the sweeps that are saved, those asked for, the burn-in, when the
last checkpoint was written, which process is at work on it, and the time that the rest takes.
The temperatures of a tempered run are one task.  The checksum of every file is compared, unless
with --quick.  A run may be asked while it is running.
For the directory of spinnet.sweep: the rows that are done and the errors of those that failed.

example: after `spinnet run job.toml`

  spinnet status job
"""
_COLUMNS = ("task", "beta", "sweeps", "target", "burn-in", "last checkpoint", "left", "state")


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "status",
        "say how far a run is",
        execute,
        description="Say how far a Monte Carlo run is: finished, running, stopped or damaged.",
        example=EXAMPLE,
    )
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="the directory of a run or a sweep"
    )
    parser.add_argument("--quick", action="store_true", help="do not compare the checksums")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    from spinnet.runs import rows as sweeps
    from spinnet.runs.directory import JobDirectory
    from spinnet.spins.montecarlo import merging, run_directory

    directory = JobDirectory.load(options.directory)
    if directory.kind == sweeps.KIND:
        progress = sweeps.progress(directory, check=not options.quick)
        if options.json:
            return json.dumps(_plain_sweep(directory, progress), indent=1, allow_nan=False)
        return _sweep_lines(directory, progress)
    if directory.kind == merging.KIND:
        rows = merging.progress(directory)
    elif directory.kind == run_directory.KIND:
        rows = run_directory.progress(directory, check=not options.quick)
    else:
        raise directory.wrong_kind("run")
    if options.json:
        return json.dumps(_plain(directory, rows), indent=1, allow_nan=False)
    return _table(directory, rows)


def _plain_sweep(directory: JobDirectory, progress: SweepProgress) -> dict[str, Any]:
    return {
        "path": str(directory.path),
        "kind": directory.kind,
        "versions": directory.versions,
        "job": directory.job,
        "rows": dataclasses.asdict(progress),
    }


def _sweep_lines(directory: JobDirectory, progress: SweepProgress) -> str:
    count = f"{progress.done} row{'s' * (progress.done != 1)} done, {progress.failed} failed"
    lines = [f"{directory.path}: sweep of {directory.job['task']}, {count}"]
    lines += [f"running: {process}" for process in progress.running]
    lines += [f"failed: {error}" for error in progress.errors]
    lines += [f"damaged: {damage}" for damage in progress.damage]
    lines.append(
        "its script knows how many rows there shall be: spinnet.sweep(task, grid, directory=...) "
        "computes what is missing or failed"
    )
    return "\n".join(lines)


def _plain(directory: JobDirectory, rows: list[Progress]) -> dict[str, Any]:
    from spinnet.spins.montecarlo.storage import n_stored

    return {
        "path": str(directory.path),
        "kind": directory.kind,
        "finished": all(row.complete for row in rows),
        "versions": directory.versions,
        "job": directory.job,
        "temperatures": [
            {
                "task": task,
                "beta": row.beta,
                "sweeps": row.done,
                "target": row.target,
                "stored": n_stored(row.done, directory.job.get("store_every", 0)),
                "burn_in": row.burned,
                "burning_in": row.burning,
                "complete": row.complete,
                "saved_at": _number(row.saved_at),
                "seconds_left": _number(row.seconds_left),
                "running": row.running or None,
                "damage": row.damage or None,
            }
            for task, row in zip(_tasks(directory, rows), rows, strict=True)
        ],
    }


def _tasks(directory: JobDirectory, rows: list[Progress]) -> list[int]:
    """Return the number that `--task` takes for each temperature."""
    return [0 if "tempering" in directory.job else k for k in range(len(rows))]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(directory: JobDirectory, rows: list[Progress]) -> str:
    tasks = _tasks(directory, rows)
    cells = [
        list(_COLUMNS),
        *([str(task), *_cells(row)] for task, row in zip(tasks, rows, strict=True)),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in cells
    ]
    done, target = sum(row.done for row in rows), sum(row.target for row in rows)
    model = directory.job["model"]
    name = f"{model['model']} of {model['n_spins']} spins"
    state = "finished" if all(row.complete for row in rows) else "not finished"
    head = f"{directory.path}: {name}, {state}, {done} of {target} sweeps"
    damage = [
        f"task {task} is damaged: {row.damage}"
        for task, row in zip(tasks, rows, strict=True)
        if row.damage
    ]
    # one task of many temperatures is damaged once
    return "\n".join([head, *lines, *_spacing(directory.job), *dict.fromkeys(damage)])


def _spacing(job: dict[str, Any]) -> list[str]:
    """Say how far apart measurements and stored configurations are, if not the usual."""
    every, stored = job.get("measure_every", 1), job.get("store_every", 0)
    lines = [f"the sweeps counted here are measurements, {every} sweeps apart"] * (every != 1)
    return lines + [f"configurations are stored at every {stored} measurements"] * bool(stored)


def _cells(row: Progress) -> list[str]:
    from spinnet.progress import duration

    saved = time.localtime(row.saved_at) if math.isfinite(row.saved_at) else None
    return [
        f"{row.beta:.6g}",
        str(row.done),
        str(row.target),
        f"{row.burned}{'...' if row.burning and row.burned else ''}",
        time.strftime("%Y-%m-%d %H:%M:%S", saved) if saved else "-",
        "-" if row.complete else duration(row.seconds_left),
        _state(row),
    ]


def _state(row: Progress) -> str:
    if row.damage:
        return "damaged"
    if row.running:
        return f"running: {row.running}"
    if row.complete:
        return "finished"
    return "stopped" if row.done or row.burned else "not begun"
