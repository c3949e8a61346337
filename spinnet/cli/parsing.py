"""argparse with one-line errors that name the nearest known word."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from spinnet.errors import did_you_mean

_WEIGHTS = """\
Arrays of --weights are named fc1.weight with fc1.bias, W1 with b1, or fc1/kernel with fc1/bias.
A .weight is read as (n_out, n_in), as PyTorch stores it; every other name as (n_in, n_out),
unless the shapes contradict this.  Where they decide nothing, a warning says how it was read.
Layers come in the order of their numbers, or else of the .npz file; a .safetensors file does not
keep its order, so that there it follows from the shapes.
"""
_INPUTS = """\
A .csv holds comma-separated numbers without a header, one input a row.
"""

Subparsers = Any  # argparse names the type only with an underscore


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations, whose errors are one line and the way to the help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings
        )
        self._commands: Sequence[str] = ()

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse all words; see argparse."""
        options, rest = self.parse_known_args(args, namespace)
        parser = self.chosen(options)
        if rest:
            word = rest[0].split("=")[0]
            hint = did_you_mean(word, parser.words()) if word.startswith("-") else ""
            parser.error(f"{rest[0]!r} is not understood here{hint}")
        if not hasattr(options, "execute"):
            self.error("a command is needed: " + ", ".join(self.subcommands()))
        return options

    def subcommands(self) -> dict[str, Parser]:
        """Return the parsers of the commands by name."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}

    def chosen(self, options: argparse.Namespace) -> Parser:
        """Return the parser of the command that `options` chose."""
        return self.subcommands().get(getattr(options, "command", None) or "", self)

    def words(self) -> list[str]:
        """Return the option strings."""
        return [word for action in self._actions for word in action.option_strings]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse lists the choices without naming the nearest
        if action.choices is not None and value not in action.choices:
            options = ", ".join(str(choice) for choice in action.choices)
            hint = did_you_mean(str(value), [str(choice) for choice in action.choices])
            raise argparse.ArgumentError(action, f"must be one of {options}, got {value!r}{hint}")

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with code 2."""
        self.exit(2, f"spinnet: error: {message}\n(see `{self.prog} --help`)\n")


def add_command(
    commands: Subparsers,
    name: str,
    summary: str,
    execute: Callable[[argparse.Namespace], str],
    *,
    description: str,
    example: str,
) -> Parser:
    """Add a subcommand whose help ends with an example."""
    parser: Parser = commands.add_parser(
        name, help=summary, description=description, epilog=example
    )
    parser.set_defaults(execute=execute)
    return parser


def add_network_options(parser: Parser, *, inputs: bool = True) -> None:
    """Add the options that choose a network, its inputs and a layer."""
    group = parser.add_argument_group(
        "the network (default: the one that comes with spinnet)",
        _WEIGHTS + (_INPUTS if inputs else ""),
    )
    group.add_argument(
        "--weights", metavar="FILE", type=Path, help="trained weights, .safetensors or .npz"
    )
    group.add_argument(
        "--activation",
        choices=("relu", "tanh", "sigmoid", "identity"),
        help="activation of the hidden layers of --weights (default relu)",
    )
    group.add_argument(
        "--layer", metavar="NAME", help="the layer (default fc3, or the last hidden)"
    )
    if inputs:
        group.add_argument(
            "--inputs",
            metavar="FILE",
            type=Path,
            help="one input per row, .npy, .npz or .csv (default: Fashion-MNIST test images)",
        )
        group.add_argument(
            "--labels",
            metavar="FILE",
            type=Path,
            help="class of each input, .npy or .csv (optional)",
        )


def seed(text: str) -> int:
    """Return a seed, an integer >= 0."""
    return _integer(text, 0)


def count(text: str) -> int:
    """Return an integer >= 1."""
    return _integer(text, 1)


def number(text: str) -> float:
    """Return a finite number > 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number > 0, got {text!r}")
    return value


def _integer(text: str, minimum: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = minimum - 1
    if number < minimum:
        raise argparse.ArgumentTypeError(f"must be an integer >= {minimum}, got {text!r}")
    return number
