"""``spinnet solve``: mean-field solution and critical temperature of a spin system."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinnet.cli import jobs
from spinnet.cli.parsing import Subparsers, add_command, add_network_options, number
from spinnet.errors import InputError

if TYPE_CHECKING:
    from spinnet.spins.meanfield import NaiveMeanField
    from spinnet.spins.meanfield.solution import Solution
    from spinnet.spins.models import SpinModel

_SETTINGS = ("diagonal", "n_starts", "rtol", "max_steps", "one_loop")
METHODS = ("naive", "tap", "adaptive-tap", "bethe", "auto")

EXAMPLE = f"""\
{jobs.HELP}
[solve] method is "naive" (the default), "tap", "adaptive-tap", "bethe", or "auto", which takes
the theory of these four that the diagnosis names at each temperature; with it only settings that
all four have may be given.  Every solution is printed with that diagnosis, and every critical
temperature with its theory, its model, and what became of its fields.

Without a job it solves the dual of a layer, and the options choose the layer and the dual.

example: with this file as job.toml

  [model]
  type = "curie-weiss"
  n_spins = 200
  h = 0.01

  [solve]
  beta = [0.8, 1.2]
  method = "auto"

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
    parser.add_argument(
        "--method", choices=METHODS, help="the theory (default: that of the job, or naive)"
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
    from spinnet.spins.meanfield.naive import NaiveMeanField
    from spinnet.spins.meanfield.temperatures import critical_temperatures

    model, theories, betas, files = _task(options)
    if options.json:
        check_outputs({"--json": options.json}, files)
    naive = theories("naive") if theories.fixed == "naive" else NaiveMeanField()
    critical, text = _critical_point(model, naive)
    table = critical_temperatures(model, naive)
    texts, results = [repr(model), text, table.summary()], []
    for beta in betas:
        solution, text = _solution(model, beta, theories)
        results.append(solution.to_dict())
        texts.append(text)
    if options.json:
        content = {
            "model": model.to_dict(),
            "critical_point": critical,
            "critical_temperatures": table.to_dict(),
            "solutions": results,
        }
        write_json(options.json, content)
        texts.append(f"numbers: {options.json}")
    return "\n\n".join(texts)


def _critical_point(
    model: SpinModel, method: NaiveMeanField
) -> tuple[dict[str, object] | None, str]:
    """Return the critical point of naive mean field as plain numbers and as text."""
    from spinnet.spins.meanfield.critical_point import critical_point

    try:
        point = critical_point(model, method)
    except InputError as error:  # every coupling is antiferromagnetic: no transition to report
        return None, f"no critical temperature: {error}"
    return point.to_dict(), point.summary()


def _solution(model: SpinModel, beta: float, theories: _Theories) -> tuple[Solution, str]:
    """Return the solution at one temperature, and its text with the diagnosis."""
    from spinnet.spins.meanfield import solve
    from spinnet.spins.meanfield.diagnosis import diagnose

    seen = diagnose(model, beta)
    name = seen.theory if theories.fixed == "auto" else theories.fixed
    solution = solve(model, beta, theories(name))
    words = seen.summary().split("\n", 1)[1]  # without the line that names model and beta again
    return solution, f"{solution.summary()}\n  diagnosis: {seen.recommended}\n{words}"


@dataclass(frozen=True)
class _Theories:
    """The theory asked for, or "auto", and the settings of the job.

    Attributes
    ----------
    fixed : str
        One of METHODS.
    settings : dict
        Values of the keys of [solve] that are arguments of a theory.
    where : str
        Their place, to name in a message.
    """

    fixed: str
    settings: dict[str, Any]
    where: str = ""

    def __call__(self, name: str) -> Any:
        """Return a theory with the settings."""
        from spinnet.spins.meanfield.diagnosis import theory_named

        theory: Any = theory_named(name)  # a dataclass, whichever it is
        return replace(theory, **self.settings)

    def check(self) -> None:
        """Refuse a setting that the theory has not, or with "auto" any of those it chooses from."""
        from spinnet.spins.meanfield.diagnosis import theory_named

        names = [name for name in METHODS if name != "auto"] if self.fixed == "auto" else []
        made: list[Any] = [theory_named(name) for name in names or [self.fixed]]
        known = set.intersection(*({field.name for field in fields(one)} for one in made))
        shown = {"rng": "seed"}
        allowed = sorted(shown.get(key, key) for key in known.intersection((*_SETTINGS, "rng")))
        for key in self.settings:
            if key not in known:
                raise InputError(
                    f"{self.where} {shown.get(key, key)} has no use with method = {self.fixed!r} "
                    f"(known: {', '.join(allowed)})"
                )
        for name in names or [self.fixed]:
            self(name)


def _task(
    options: argparse.Namespace,
) -> tuple[SpinModel, _Theories, list[float], dict[str, Path | None]]:
    """Return model, theories, inverse temperatures, and the files that they came from."""
    if options.job is None:
        theories = _Theories(options.method or "naive", {})
        return _layer_dual(options), theories, options.beta or [], _files(options)
    for name in ("weights", "activation", "layer", "kind", "fields", "norm"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} has no use beside a job; set it in {options.job}")
    job = jobs.read_job(options.job, "solve", optional=("beta",) if options.beta else ())
    table = job.settings
    given = table.choice("method", METHODS) if "method" in table.values else "naive"
    for key in ("diagonal", "one_loop"):
        if key in table.values:
            table.flag(key)
    settings = {key: table.values[key] for key in _SETTINGS if key in table.values}
    if "seed" in table.values:
        settings["rng"] = table.seed()
    theories = _Theories(options.method or given, settings, table.where)
    with table.naming_errors():
        theories.check()
        betas = options.beta or table.numbers("beta")
    return job.model, theories, betas, {"JOB.toml": options.job, **job.files}


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
