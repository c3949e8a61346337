"""``spinnet merge``: runs of one model joined into one."""

from __future__ import annotations

import argparse
from pathlib import Path

from spinnet.cli.parsing import Subparsers, add_command

EXAMPLE = """\
Runs with different seeds at the same temperatures give more replicas; runs at different
temperatures give more temperatures.  They must be finished, and share model, update, n_sweeps,
measure_every, store_every and observers.  Two runs with the same seed at the same temperature are
refused: they are the same numbers twice.

example: after `spinnet run job.toml --output a` and, with another seed, `--output b`

  spinnet merge a b --output both
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "merge",
        "join finished runs of one model",
        execute,
        description="Join finished runs of one model: more replicas, or more temperatures.",
        example=EXAMPLE,
    )
    parser.add_argument(
        "directories", metavar="DIR", type=Path, nargs="+", help="the directories of the runs"
    )
    parser.add_argument(
        "--output", metavar="NEW", type=Path, required=True, help="the directory to make"
    )


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    from spinnet.spins.montecarlo import merging

    run = merging.merge_runs(options.directories, options.output)
    notes = [merging.SHARED] if "shared" in run.seed else []
    base = options.output / "result"
    return "\n".join([run.summary(), *notes, "", f"written: {base}.npz and {base}.json"])
