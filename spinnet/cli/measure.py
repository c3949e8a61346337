"""``spinnet measure``: the observables of one layer."""

from __future__ import annotations

import argparse
from pathlib import Path

from spinnet.cli.parsing import Subparsers, add_command, add_network_options, seed

EXAMPLE = """\
example:
  spinnet measure --layer fc2 --json fc2.json
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "measure",
        "measure weights, patterns, nodes and activation of a layer",
        execute,
        description=(
            "Run inputs through a trained network and measure the four classes of observables\n"
            "of one layer: weights, activation patterns, single nodes, the layer as a whole."
        ),
        example=EXAMPLE,
    )
    add_network_options(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers here too")
    parser.add_argument(
        "--seed", metavar="INT", type=seed, default=7, help="of random subsets (default 7)"
    )


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    from spinnet import networks
    from spinnet.cli.arrays import (
        check_outputs,
        default_layer,
        load_network,
        record_inputs,
        write_json,
    )

    if options.json:
        names = ("weights", "inputs", "labels")
        check_outputs(
            {"--json": options.json}, {f"--{name}": getattr(options, name) for name in names}
        )
    network = load_network(options.weights, options.activation)
    layer = default_layer(network) if options.layer is None else options.layer
    activations, _ = record_inputs(network, options, layer)
    observables = networks.measure(activations, network, layer, rng=options.seed)
    if options.json:
        write_json(options.json, observables.to_dict())
        return f"{observables.summary()}\nnumbers: {options.json}"
    return observables.summary()
