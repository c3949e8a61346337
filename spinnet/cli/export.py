"""``spinnet export``: a run as a NetCDF file."""

from __future__ import annotations

import argparse
from pathlib import Path

from spinnet.cli.parsing import Subparsers, add_command

EXAMPLE = """\
The file holds the series (beta, replica, sweep), the last configurations (beta, replica, spin),
those stored on the way as bits (beta, replica, configuration, byte), every estimate with its
error, and parameters, seed and version as attributes; read it with xarray.open_dataset.
Needs xarray and h5netcdf: pip install 'spinnet[xarray]'.

example: after `spinnet run job.toml`

  spinnet export job job.nc
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "export",
        "write a run as a NetCDF file",
        execute,
        description="Write a Monte Carlo run as a NetCDF file, for xarray and others.",
        example=EXAMPLE,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the directory of a run")
    parser.add_argument("file", metavar="FILE.nc", type=Path, help="the file to write")


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    from spinnet.files import check_writable
    from spinnet.spins.montecarlo import export_netcdf, load_run

    check_writable(options.file, "FILE.nc")
    run = load_run(options.directory)
    export_netcdf(run, options.file)
    lines = [f"written: {options.file}"]
    if not run.complete:
        lines.insert(0, f"the run is not finished: {int(run.done.sum())} sweeps, NaN for the rest")
    return "\n".join(lines)
