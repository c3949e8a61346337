"""``spinnet run``: a Monte Carlo run of a spin system."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from spinnet.cli import jobs
from spinnet.cli.parsing import Subparsers, add_command
from spinnet.cli.tables import Table
from spinnet.errors import InputError

_UPDATES = ("heat-bath", "metropolis", "block-gibbs")

EXAMPLE = f"""\
{jobs.HELP}
update is "heat-bath", "metropolis" or "block-gibbs".  The run writes STEM.npz (time series and
last configurations) and STEM.json (estimates with errors, parameters, seed).

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
        metavar="STEM",
        help="results go to STEM.npz and STEM.json (default: the name of the job, here)",
    )
    parser.add_argument("--progress", action="store_true", help="show a progress bar")


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    job = jobs.read_job(options.job, "sample")
    stem = _stem(options)
    from spinnet.cli.arrays import check_outputs
    from spinnet.spins.montecarlo import sample

    paths = [stem.with_name(stem.name + suffix) for suffix in (".npz", ".json")]
    check_outputs({"--output": paths[1]}, {"JOB.toml": options.job})
    check_outputs({"--output": paths[0]}, job.files)
    with job.settings.naming_errors():
        run = sample(job.model, progress=options.progress, **_arguments(job.settings))
    summary = run.summary()  # before writing: what cannot be estimated leaves no files
    run.save(stem.with_name(stem.name + ".npz"))
    return "\n".join([summary, "", f"written: {paths[0]} and {paths[1]}"])


def _stem(options: argparse.Namespace) -> Path:
    if options.output is None:
        return Path(options.job.stem)
    stem = Path(options.output)
    if options.output.endswith(("/", os.sep)) or stem.name in ("", "..", ".npz", ".json"):
        raise InputError(
            f"--output must be the start of file names, such as 'results/{options.job.stem}', "
            f"got {options.output!r}"
        )
    return stem.with_suffix("") if stem.suffix in (".npz", ".json") else stem


def _arguments(table: Table) -> dict[str, Any]:
    """Return the arguments of `sample` that the table gives."""
    plain = ("n_sweeps", "n_replicas", "n_burn_in")
    arguments = {key: table.values[key] for key in plain if key in table.values}
    arguments["beta"] = table.numbers("beta")
    arguments["rng"] = table.seed()
    update = _update(table)
    return arguments | ({} if update is None else {"update": update})


def _update(table: Table) -> Any:
    from spinnet.spins.montecarlo import BlockGibbs, HeatBath, Metropolis

    name = table.choice("update", _UPDATES) if "update" in table.values else None
    if "heat_bath_every" in table.values:
        if name != "metropolis":
            raise InputError('heat_bath_every belongs to update = "metropolis"')
        return Metropolis(table.values["heat_bath_every"])
    made = {"heat-bath": HeatBath, "metropolis": Metropolis, "block-gibbs": BlockGibbs}
    return None if name is None else made[name]()
