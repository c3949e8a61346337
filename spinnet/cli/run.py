"""``spinnet run``: a Monte Carlo run of a spin system, in a directory that survives."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinnet.cli import jobs
from spinnet.cli.parsing import Subparsers, add_command, count, seed
from spinnet.cli.tables import Table
from spinnet.errors import InputError

if TYPE_CHECKING:
    from spinnet.spins.montecarlo.plan import Plan
    from spinnet.spins.montecarlo.run_directory import RunDirectory

_UPDATES = {  # and their classes
    "heat-bath": "HeatBath",
    "metropolis": "Metropolis",
    "block-gibbs": "BlockGibbs",
    "wolff": "Wolff",
    "swendsen-wang": "SwendsenWang",
    "auxiliary-field": "AuxiliaryField",
    "independent": "Independent",
}

EXAMPLE = f"""\
{jobs.HELP}
update is one of
{", ".join(_UPDATES)};
without it, the best for the model, its size and temperatures is chosen.  heat_bath_every belongs
to metropolis and auxiliary-field.  With tempering = true, neighbouring temperatures exchange
configurations every exchange_every sweeps; they are then one task.  measure_every counts sweeps,
store_every measurements: at every so many, the configurations are kept as bits.  workers is the
number of threads, and changes no result; --task uses them for its temperature.

The run lives in a directory (--output, or the name of the job): its parameters, checkpoints of
each temperature, and, once all are done, result.npz (time series and last configurations) and
result.json (estimates with errors, parameters, seed).  Run again after Ctrl-C, SIGTERM or a kill,
it goes on from the last checkpoint; with a larger n_sweeps, it is extended.  Either way the
numbers are those of a run that was never stopped, bit for bit.

Many machines can share one run: `--task K` does the K-th temperature only, counted from 0, as in
a job array (SLURM: `spinnet run job.toml --task $SLURM_ARRAY_TASK_ID`).

example: with this file as job.toml

  [model]
  type = "curie-weiss"
  n_spins = 200

  [sample]
  beta = [0.8, 1.0, 1.2]
  n_sweeps = 1000
  seed = 7

  spinnet run job.toml --output curie-weiss
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "run",
        "sample a spin system by Monte Carlo",
        execute,
        description="Sample a spin system with independent replicas at each temperature.",
        example=EXAMPLE,
    )
    parser.add_argument("job", metavar="JOB.toml", type=Path, help="the model and the run")
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="the directory of the run (default: the name of the job, here)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--task", metavar="K", type=seed, help="do the K-th temperature only, from 0"
    )
    which.add_argument(
        "--workers",
        metavar="N",
        type=count,
        help="cores to use: processes, one temperature each at a time, with several threads each "
        "where there are fewer temperatures; --progress then counts whole temperatures (default: "
        "this process alone, with the threads of the key workers)",
    )
    parser.add_argument(
        "--checkpoint-interval",
        metavar="SECONDS",
        type=float,
        default=30.0,
        help="at least so long between two checkpoints (default 30)",
    )
    parser.add_argument(
        "--progress", action="store_true", help="show a bar, or a line for each 10 %% in a log"
    )


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    job = jobs.read_job(options.job, "sample")
    output = _output(options)
    from spinnet.spins.montecarlo.engine import plan_run
    from spinnet.spins.montecarlo.run_directory import RunDirectory
    from spinnet.validation import positive_float

    positive_float("--checkpoint-interval", options.checkpoint_interval, zero=True)
    with job.settings.naming_errors():
        plan = plan_run(job.model, **_arguments(job.settings))
    _check_task(options.task, plan)
    run = RunDirectory.open(output, plan, any_seed="seed" not in job.settings.values)
    return _one_task(run, options) if options.task is not None else _whole(run, options)


def _check_task(task: int | None, plan: Plan) -> None:
    n_beta = plan.n_trajectories
    if task is not None and task >= n_beta:
        why = (
            f"one for each of the {n_beta} temperature(s)"
            if plan.tempering is None
            else "as the temperatures of a tempered run are one task"
        )
        raise InputError(f"--task must be from 0 to {n_beta - 1}, {why}, got {task}")


def _whole(run: RunDirectory, options: argparse.Namespace) -> str:
    """Do what is left of all temperatures."""
    from spinnet.spins.montecarlo.engine import resume, saving

    finished = run.is_complete()
    if options.workers is not None and not finished:
        with saving(run), _bar(run, options, run.plan.n_trajectories) as bar:
            _in_processes(run, options, bar)
    result = resume(run, interval=options.checkpoint_interval, progress=options.progress)
    lines = ["this run was finished before, and nothing was left to do", ""] if finished else []
    return "\n".join([*lines, result.summary(), "", _written(run)])


def _in_processes(run: RunDirectory, options: argparse.Namespace, bar: Any) -> None:
    from spinnet.spins.montecarlo.run_directory import run_in_processes

    run_in_processes(run, options.workers, interval=options.checkpoint_interval, bar=bar)


def _one_task(run: RunDirectory, options: argparse.Namespace) -> str:
    """Do one temperature, and write the result if it was the last."""
    from spinnet.runs.interruption import deferred_interrupts
    from spinnet.spins.montecarlo.engine import saving

    k, interval = options.task, options.checkpoint_interval
    with saving(run), _bar(run, options, 1) as bar, deferred_interrupts() as stop:
        run.advance(k, interval=interval, asked_to_stop=stop, bar=bar)
    what = f"beta = {run.plan.beta.ravel()[k]:.6g} has its"
    if run.plan.tempering is not None:
        what = "all temperatures have their"
    text = f"task {k}: {what} {run.plan.n_sweeps} {run.plan.steps} in {_path(run)}"
    waiting = [p.beta for p in run.progress() if not p.complete]
    if waiting:
        return f"{text}; {len(waiting)} of {run.plan.beta.size} temperatures are not done yet"
    run.write_result(run.collect())
    return f"{text}\nall temperatures are done; {_written(run)}"


def _bar(run: RunDirectory, options: argparse.Namespace, n_beta: int) -> Any:
    from spinnet.progress import progress_bar

    return progress_bar(n_beta * run.plan.n_sweeps, options.progress, "sweep")


def _path(run: RunDirectory) -> str:
    return str(run.directory.path)


def _written(run: RunDirectory) -> str:
    base = run.directory.path / "result"
    return f"written: {base}.npz and {base}.json"


def _output(options: argparse.Namespace) -> Path:
    if options.output is None:
        return Path(options.job.stem)
    if not options.output.strip():
        raise InputError(
            f"--output must name a folder, such as 'results-{options.job.stem}', got "
            f"{options.output!r}"
        )
    return Path(options.output)


def _arguments(table: Table) -> dict[str, Any]:
    """Return the arguments of `sample` that the table gives."""
    plain = ("n_sweeps", "n_replicas", "n_burn_in", "measure_every", "store_every", "workers")
    arguments = {key: table.values[key] for key in plain if key in table.values}
    arguments["beta"] = table.numbers("beta")
    arguments["rng"] = table.seed()
    arguments["tempering"] = _tempering(table)
    update = _update(table)
    return arguments | ({} if update is None else {"update": update})


def _tempering(table: Table) -> Any:
    asked = table.flag("tempering") if "tempering" in table.values else False
    if "exchange_every" not in table.values:
        return asked
    if not asked:
        raise InputError("exchange_every belongs to tempering = true")
    from spinnet.spins.montecarlo.exchange import Tempering

    return Tempering(table.values["exchange_every"])


def _update(table: Table) -> Any:
    from spinnet.spins.montecarlo import updates

    name = table.choice("update", tuple(_UPDATES)) if "update" in table.values else None
    cls: Any = None if name is None else getattr(updates, _UPDATES[name])
    if "heat_bath_every" not in table.values:
        return None if cls is None else cls()
    if cls not in (updates.Metropolis, updates.AuxiliaryField):
        raise InputError(
            'heat_bath_every belongs to update = "metropolis" or "auxiliary-field", got '
            f"{'no update' if name is None else f'update = {name!r}'}"
        )
    return cls(table.values["heat_bath_every"])
