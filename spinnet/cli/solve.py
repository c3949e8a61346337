"""``spinnet solve``: mean-field solution and critical temperature of a spin system."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinnet.cli import jobs
from spinnet.cli.parsing import Subparsers, add_command, add_network_options, number
from spinnet.errors import InputError

if TYPE_CHECKING:
    from spinnet.spins.meanfield import NaiveMeanField
    from spinnet.spins.models import SpinModel

EXAMPLE = f"""\
{jobs.HELP}
Without a job it solves the dual of a layer, and the options choose the layer and the dual.

example: with this file as job.toml

  [model]
  type = "curie-weiss"
  n_spins = 200
  h = 0.01

  [solve]
  beta = [0.8, 1.2]
  diagonal = true

  spinnet solve job.toml

example: the dual of a layer of the bundled network, at the temperature of the network

  spinnet solve --layer fc3 --fields zero --beta 1.0 --json fc3.json
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "solve",
        "solve the mean-field equations, and find the critical temperature",
        execute,
        description=(
            "Solve the mean-field equations of a spin system at given temperatures, and find\n"
            "where its response diverges."
        ),
        example=EXAMPLE,
    )
    parser.add_argument(
        "job", metavar="JOB.toml", type=Path, nargs="?", help="the model and its temperatures"
    )
    parser.add_argument(
        "--beta",
        metavar="B",
        type=number,
        nargs="+",
        help="inverse temperatures (default: those of the job; without a job, none)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers here too")
    add_network_options(parser, inputs=False)
    group = parser.add_argument_group("its dual")
    group.add_argument(
        "--kind",
        choices=("bipartite", "collapsed", "marginal"),
        help=(
            "bipartite (default): inputs and outputs are spins, coupled by the weights; exact.  "
            "collapsed: inputs and outputs are the same spins; square weights only.  "
            "marginal: the inputs alone, the outputs summed over"
        ),
    )
    group.add_argument(
        "--fields",
        choices=("exact", "zero", "centered"),
        help=(
            "zero (default here): none, the only choice with a sharp critical temperature.  "
            "exact: those that the layer implies, and the default of NetworkDual and of a job.  "
            "centered: the exact ones less their mean over each layer"
        ),
    )
    group.add_argument(
        "--norm",
        metavar="X",
        type=number,
        help=(
            "divides the couplings: w/(4 X) for bipartite and marginal (default 1), "
            "w/X for collapsed (default 2 N)"
        ),
    )


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    from spinnet.cli.arrays import check_outputs, write_json
    from spinnet.spins.meanfield import solve
    from spinnet.spins.meanfield.critical_point import critical_point

    model, method, betas, files = _task(options)
    if options.json:
        check_outputs({"--json": options.json}, files)
    texts, results = [repr(model)], []
    critical: dict[str, object] | None = None
    try:
        point = critical_point(model, method)
    except InputError as error:  # every coupling is antiferromagnetic: no transition to report
        texts.append(f"no critical temperature: {error}")
    else:
        critical = point.to_dict()
        texts.append(point.summary())
    for beta in betas:
        solution = solve(model, beta, method)
        results.append(solution.to_dict())
        texts.append(solution.summary())
    if options.json:
        content = {"model": model.to_dict(), "critical_point": critical, "solutions": results}
        write_json(options.json, content)
        texts.append(f"numbers: {options.json}")
    return "\n\n".join(texts)


def _task(
    options: argparse.Namespace,
) -> tuple[SpinModel, NaiveMeanField, list[float], dict[str, Path | None]]:
    """Return model, method, inverse temperatures, and the files that they came from."""
    from spinnet.spins.meanfield import NaiveMeanField

    if options.job is None:
        return _layer_dual(options), NaiveMeanField(), options.beta or [], _files(options)
    for name in ("weights", "activation", "layer", "kind", "fields", "norm"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} has no use beside a job; set it in {options.job}")
    job = jobs.read_job(options.job, "solve", optional=("beta",) if options.beta else ())
    table = job.settings
    keys = ("diagonal", "n_starts", "rtol", "max_steps", "one_loop")
    arguments: dict[str, Any] = {key: table.values[key] for key in keys if key in table.values}
    for key in ("diagonal", "one_loop"):
        if key in arguments:
            table.flag(key)
    with table.naming_errors():
        method = NaiveMeanField(**arguments, rng=table.seed() or 0)
        betas = options.beta or table.numbers("beta")
    return job.model, method, betas, {"JOB.toml": options.job, **job.files}


def _layer_dual(options: argparse.Namespace) -> SpinModel:
    from spinnet.cli.arrays import default_layer, load_network
    from spinnet.spins.models import NetworkDual

    network = load_network(options.weights, options.activation)
    layer = network[default_layer(network) if options.layer is None else options.layer]
    return NetworkDual(
        layer.weights,
        layer.bias,
        kind=options.kind or "bipartite",
        fields=options.fields or "zero",
        norm=options.norm,
    )


def _files(options: argparse.Namespace) -> dict[str, Path | None]:
    return {"--weights": options.weights}
