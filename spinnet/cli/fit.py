"""``spinnet fit``: the law of the numbers in a file, with its alternatives and their limits."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from spinnet.cli.parsing import Parser, Subparsers, add_command, count, number, seed
from spinnet.errors import InputError

if TYPE_CHECKING:
    from typing import BinaryIO

    from spinnet.cli.fit_laws import Report

LAWS = ("power-law", "zipf", "stable", "families")
MODELS = (  # those of spinnet.tails.rank, which would load NumPy
    "zipf", "zipf-mandelbrot", "cut-off", "lognormal", "exponential", "stretched-exponential",
    "dgbd",
)  # fmt: skip
_LONGEST_NAME = 230  # bytes of a name; file systems allow 255, with an ending and a temporary one
_ONLY = {  # options that have a meaning for some laws only, with their defaults
    "discrete": (("power-law",), None),
    "xmin": (("power-law",), None),
    "xmax": (("power-law",), None),
    "zeros": (("power-law",), "refuse"),
    "absolute": (("power-law", "families"), False),
    "min_tail": (("power-law",), 50),
    "convention": (("power-law",), "csn"),
    "workers": (("power-law",), 1),
    "bootstrap": (("power-law", "zipf", "families"), 200),
    "parametrization": (("stable",), "S1"),
    "model": (("zipf",), "zipf"),
    "k_min": (("zipf",), 10),
    "force": (("zipf",), False),
}

EXAMPLE = f"""\
laws:
  power-law   p(x) ~ x^-alpha above xmin, which is searched for: the fit, its p-value, likelihood
              ratios against other laws, tail indices, and whether the values are independent
  zipf        frequency by rank: FILE holds how often each pattern was seen
  stable      alpha-stable law of all values, of any sign
  families    normal, Student t, Laplace, stable and other laws of all values, ranked

FILE is .npy, .npz (--key), .csv or other text.  Text holds numbers between white space or commas;
# starts a comment.  A table, with or without a header, needs --column; an array of two or more
dimensions --column or --flatten.

models of --law zipf: {", ".join(MODELS[:4])},
                      {", ".join(MODELS[4:])}

STEM.json has all numbers with the seed, the version and the sha256 of FILE, STEM.png the figures.

examples:
  spinnet fit avalanches.csv --column size --output sizes
  spinnet fit weights.npz --key fc1.weight --flatten --law stable
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "fit",
        "fit a power law, a rank law or a stable law to the numbers in a file",
        execute,
        description=(
            "Fit a law to a series of numbers, compare it with others, say what limits the\n"
            "result, and draw it."
        ),
        example=EXAMPLE,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the numbers")
    parser.add_argument(
        "--law", metavar="LAW", choices=LAWS, default="power-law", help="default power-law"
    )
    _add_reading(parser)
    _add_power_law(parser)
    zipf = parser.add_argument_group("of --law zipf")
    zipf.add_argument("--model", choices=MODELS, metavar="MODEL", help="default zipf")
    zipf.add_argument(
        "--k-min", metavar="INT", type=count, help="smallest count that is fitted (default 10)"
    )
    zipf.add_argument(
        "--force", action="store_const", const=True, help="fit even fewer than 20 ranks"
    )
    stable = parser.add_argument_group("of --law stable")
    stable.add_argument(
        "--parametrization",
        choices=("S1", "S0"),
        help="S0 has a location that stays with the data near stable_alpha = 1 (default S1)",
    )
    parser.add_argument(
        "--bootstrap",
        metavar="INT",
        type=seed,
        help="replicates for p-value and errors, 0 for none (default 200; families 0; not stable)",
    )
    parser.add_argument("--seed", metavar="INT", type=seed, default=7, help="default 7")
    parser.add_argument(
        "--output",
        metavar="STEM",
        help="results go to STEM.png and STEM.json, in place of files of these names "
        "(default: fit-NAME, here)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_reading(parser: Parser) -> None:
    group = parser.add_argument_group("which numbers of FILE")
    group.add_argument("--key", metavar="NAME", help="array of an .npz archive")
    group.add_argument(
        "--column", metavar="NAME", help="column of a table, by name or by number from 1"
    )
    group.add_argument(
        "--flatten", action="store_true", help="all values of an array or table, row by row"
    )
    group.add_argument(
        "--absolute",
        action="store_const",
        const=True,
        help="sizes |x| of signed values (power-law, families)",
    )


def _add_power_law(parser: Parser) -> None:
    group = parser.add_argument_group("of --law power-law")
    kind = group.add_mutually_exclusive_group()
    kind.add_argument(
        "--discrete",
        dest="discrete",
        action="store_const",
        const=True,
        help="as integers (default: if all values are whole)",
    )
    kind.add_argument(
        "--continuous",
        dest="discrete",
        action="store_const",
        const=False,
        help="as real numbers, also if all are whole",
    )
    group.add_argument("--xmin", metavar="X", type=number, help="lower cut-off, if known")
    group.add_argument("--xmax", metavar="X", type=number, help="upper cut-off, if known")
    group.add_argument(
        "--zeros", choices=("refuse", "drop"), metavar="refuse|drop", help="default refuse"
    )
    group.add_argument(
        "--min-tail", metavar="INT", type=_at_least_two, help="smallest tail (default 50)"
    )
    group.add_argument(
        "--convention",
        choices=("csn", "left", "two-sided"),
        metavar="csn|left|two-sided",
        help="of the Kolmogorov-Smirnov distance (default csn)",
    )
    group.add_argument("--workers", metavar="INT", type=count, help="threads (default 1)")


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    _settle(options)
    stem = _stem(options.output, options.file)
    from spinnet.cli.arrays import check_outputs
    from spinnet.cli.samples import Request, read_sample

    picture, numbers = (stem.with_name(stem.name + suffix) for suffix in (".png", ".json"))
    for path in (picture, numbers):
        check_outputs({"--output": path}, {"FILE": options.file})
    request = Request(options.file, options.key, options.column, options.flatten)
    sample = read_sample(request)
    from spinnet.cli.fit_laws import analyse

    report = analyse(sample.values, options)
    _write(report, _record(report, sample.source, options), picture, numbers)
    lines = [f"{options.file}: {sample.values.size} values", "", *_spaced(report.sections)]
    lines += [f"caution: {text}" for text in report.cautions]
    if report.cautions:
        lines.append("")
    return "\n".join([*lines, f"figure: {picture}", f"numbers: {numbers}"])


def _spaced(sections: list[str]) -> list[str]:
    return [line for section in sections for line in (section, "")]


def _settle(options: argparse.Namespace) -> None:
    """Refuse options that the law has no use for; fill the defaults of the others."""
    for name, (laws, default) in _ONLY.items():
        if getattr(options, name) is None:
            # each replicate of the families fits all of them again: minutes
            slow = name == "bootstrap" and options.law == "families"
            setattr(options, name, 0 if slow else default)
        elif options.law not in laws:
            option = "--continuous" if options.discrete is False else f"--{name.replace('_', '-')}"
            raise InputError(f"{option} has no meaning for --law {options.law}")
    if options.xmax is not None and options.xmin is not None and options.xmax <= options.xmin:
        raise InputError(f"--xmax must be > --xmin = {options.xmin:g}, got {options.xmax:g}")


def _write(report: Report, record: dict[str, object], picture: Path, numbers: Path) -> None:
    """Write both files or neither, so that the figure is always that of the numbers."""
    from matplotlib.figure import Figure

    from spinnet import plotting
    from spinnet.cli.arrays import write_json
    from spinnet.files import write_atomically

    with plotting.style():
        rows, columns = math.ceil(len(report.panels) / 2), min(2, len(report.panels))
        figure = Figure(figsize=(3.6 * columns, 3.1 * rows), layout="constrained")
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, draw in zip(places, report.panels, strict=False):
            draw(ax)
        for ax in places[len(report.panels) :]:
            ax.set_axis_off()

        def write(stream: BinaryIO) -> None:
            figure.savefig(stream, format="png", dpi=200)
            stream.flush()
            os.fsync(stream.fileno())  # the disk had room: only the renaming is left
            write_json(numbers, record)

        write_atomically(picture, write)


def _record(
    report: Report, source: dict[str, object], options: argparse.Namespace
) -> dict[str, object]:
    import spinnet

    hidden = {"execute", "command", "file", "output", "quiet"}
    used = {
        name: value
        for name, value in vars(options).items()
        if name not in hidden and (name not in _ONLY or options.law in _ONLY[name][0])
    }
    record: dict[str, object] = {
        "schema": 1,
        "kind": "fit-report",
        "version": spinnet.__version__,
        "law": options.law,
        "file": source,
        "options": used,
        "seed": options.seed,
    }
    return record | report.record | {"warnings": report.cautions}


def _stem(output: str | None, file: Path) -> Path:
    stem = Path(f"fit-{file.stem}" if output is None else output)
    if len(os.fsencode(stem.name)) > _LONGEST_NAME:
        raise InputError(
            f"--output must have a name of at most {_LONGEST_NAME} bytes, got "
            f"{len(os.fsencode(stem.name))}: {stem.name[:40]}..."
        )
    if output is None:
        return stem
    endings = (".png", ".json")
    if output.endswith(("/", os.sep)) or stem.name in ("", "..", *endings):
        raise InputError(
            f"--output must be the start of file names, such as 'results/sizes', got {output!r}"
        )
    return stem.with_suffix("") if stem.suffix in endings else stem


def _at_least_two(text: str) -> int:
    value = count(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be an integer >= 2, got {text!r}")
    return value
