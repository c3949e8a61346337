"""``spinnet compare``: a layer of a network beside its dual spin system."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from spinnet.cli.parsing import Parser, Subparsers, add_command, add_network_options, count, seed
from spinnet.cli.tables import Table, read_tables
from spinnet.errors import InputError

_REPORT = Path("spinnet-report.html")
_PATHS = ("weights", "initial", "inputs", "labels", "output", "json")
_KEYS = (*_PATHS, "activation", "layer", "seed", "replicates", "quiet")

EXAMPLE = """\
Settings may stand in a TOML file instead, as the keys of one table [compare]; options given on
the command line win.  Paths in the file count from its folder.

examples:
  spinnet compare
  spinnet compare --layer fc2 --output fc2.html --json fc2.json
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "compare",
        "compare a layer's measured power laws with its dual spin system",
        execute,
        description=(
            "Run inputs through a trained network, build the spin system dual to one of its\n"
            "layers, and compare the exponents measured on the layer with those of the dual.\n"
            "Prints a table with errors and a verdict, and writes an HTML report with figures."
        ),
        example=EXAMPLE,
    )
    _add_options(parser)


def _add_options(parser: Parser) -> None:
    parser.add_argument("--config", metavar="FILE.toml", type=Path, help="settings from a file")
    add_network_options(parser)
    parser.add_argument(
        "--initial", metavar="FILE", type=Path, help="weights before training (optional)"
    )
    parser.add_argument(
        "--output", metavar="FILE.html", type=Path, help=f"the report (default {_REPORT})"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers here too")
    parser.add_argument("--seed", metavar="INT", type=seed, help="of all random draws (default 7)")
    parser.add_argument(
        "--replicates",
        metavar="INT",
        type=count,
        help="of each model and of the data, at least 199 (default 200)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    if options.config is not None:
        _read_config(options)
    _fill_defaults(options)
    from spinnet.cli.arrays import (
        check_outputs,
        default_layer,
        load_network,
        record_inputs,
        write_json,
    )

    outputs = {"--output": options.output} | ({"--json": options.json} if options.json else {})
    sources = ("config", "weights", "initial", "inputs", "labels")
    check_outputs(outputs, {f"--{name}": getattr(options, name) for name in sources})
    from spinnet.comparison.procedure import MIN_REPLICATES
    from spinnet.validation import integer

    integer("replicates", options.replicates, minimum=MIN_REPLICATES)
    network = load_network(options.weights, options.activation, options.initial)
    layer = default_layer(network) if options.layer is None else options.layer
    activations, inputs = record_inputs(network, options, layer)
    whose = "the bundled network" if options.weights is None else str(options.weights)
    if not options.quiet:
        print(
            f"comparing layer {layer} of {whose} with its dual, on {inputs} "
            f"({options.replicates} replicates, seed {options.seed})",
            file=sys.stderr,
        )
    import spinnet

    comparison = spinnet.compare(
        network,
        activations,
        layer=layer,
        rng=options.seed,
        n_replicates=options.replicates,
        progress=not options.quiet and sys.stderr.isatty(),
    )
    spinnet.report(comparison, options.output)
    lines = [comparison.summary(), "", f"report: {options.output}"]
    if options.json:
        write_json(options.json, comparison.to_dict())
        lines.append(f"numbers: {options.json}")
    return "\n".join(lines)


def _fill_defaults(options: argparse.Namespace) -> None:
    defaults = {"output": _REPORT, "seed": 7, "replicates": 200}
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def _read_config(options: argparse.Namespace) -> None:
    """Take from the file what the command line does not say."""
    table = read_tables(options.config, ("compare",)).get("compare")
    if table is None:
        raise InputError(f"{options.config}: the table [compare] is missing")
    table.check_keys(_KEYS)
    for key in table.values:
        value = _value(table, key)
        given = getattr(options, key)
        if given is None or given is False:  # --quiet is False where it is not given
            setattr(options, key, value)


def _value(table: Table, key: str) -> Any:
    """Return a setting, under the rules of the option of the same name."""
    if key in _PATHS:
        return table.path(key)
    if key == "quiet":
        return table.flag(key)
    if key == "layer":
        return table.text(key)
    if key == "activation":
        return table.choice(key, ("relu", "tanh", "sigmoid", "identity"))
    from spinnet.validation import integer

    with table.naming_errors():
        return integer(key, table.values[key], minimum=0 if key == "seed" else 1)
