"""``spinnet phase``: the phase diagram of random networks with one activation."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spinnet.cli.parsing import Subparsers, add_command, number
from spinnet.errors import InputError

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from spinnet.propagation.diagram import PhaseDiagram

ACTIVATIONS = (  # those of spinnet.propagation, which would load NumPy
    "tanh", "erf", "relu", "leaky_relu", "hard_tanh", "sigmoid", "softplus", "gelu", "silu",
    "selu", "sin", "linear",
)  # fmt: skip

_MOST = 1_000_000  # numbers in one grid

EXAMPLE = f"""\
activations: {", ".join(ACTIVATIONS[:6])},
             {", ".join(ACTIVATIONS[6:])}

STEM.png shows the length q*, the slope chi_1, the correlation c* and the depth scale xi_c, with
the line between order and chaos; STEM.npz has all arrays, with one row for each sigma_b; STEM.json
has parameters, shares of the phases and extremes.

example:
  spinnet phase --activation tanh --sigma-w 0.5:4:200 --sigma-b 0:2:200 --output tanh
"""


class Grid(NamedTuple):
    """Equally spaced numbers, or, with `size` 0, those of `values`."""

    start: float
    stop: float
    size: int
    values: tuple[float, ...] = ()

    def array(self) -> NDArray[np.float64]:
        """Return the numbers."""
        import numpy as np

        return np.linspace(self.start, self.stop, self.size) if self.size else np.array(self.values)


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "phase",
        "draw the phase diagram of random networks: order, chaos, depth scales",
        execute,
        description=(
            "Compute how signals propagate in infinitely wide random networks, on a grid of\n"
            "sigma_w and sigma_b: weights have variance sigma_w^2 / fan-in, biases sigma_b^2."
        ),
        example=EXAMPLE,
    )
    parser.add_argument("--activation", metavar="NAME", default="tanh", help="default tanh")
    for letter, what, default in (("w", "weights", "0.5:4:200"), ("b", "biases", "0:2:200")):
        parser.add_argument(
            f"--sigma-{letter}",
            metavar="GRID",
            type=grid,
            default=grid(default),
            help=f"of {what}: FIRST:LAST:COUNT, or numbers with commas (default {default})",
        )
    parser.add_argument(
        "--keep", metavar="P", type=number, default=1.0, help="dropout: probability to keep"
    )
    parser.add_argument(
        "--q0",
        metavar="Q",
        type=number,
        help="length of the first layer, which decides where several lengths are stable "
        "(default sigma_w^2 + sigma_b^2)",
    )
    parser.add_argument(
        "--output",
        metavar="STEM",
        help="results go to STEM.png, STEM.npz and STEM.json, in place of files of these names "
        "(default: phase-NAME, here)",
    )


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    stem = _stem(options.output, options.activation)
    from spinnet.cli.arrays import check_outputs
    from spinnet.propagation.diagram import phase_diagram

    paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".npz", ".json")]
    for path in paths:
        check_outputs({"--output": path}, {})
    diagram = phase_diagram(
        options.activation,
        options.sigma_w.array(),
        options.sigma_b.array(),
        options.keep,
        q0=options.q0,
    )
    summary = diagram.summary()  # before writing: what fails leaves no files
    _write_figure(diagram, paths[0])
    diagram.save(paths[1])
    return f"{summary}\n\nfigure: {paths[0]}\nnumbers: {paths[1]} and {paths[2]}"


def _write_figure(diagram: PhaseDiagram, path: Path) -> None:
    from spinnet.files import write_atomically

    figure = diagram.figure()

    def write(stream: BinaryIO) -> None:
        figure.savefig(stream, format="png", dpi=200)

    write_atomically(path, write)


def _stem(output: str | None, activation: str) -> Path:
    if output is None:
        return Path(f"phase-{activation.lower().replace('-', '_').replace(os.sep, '_')}")
    stem = Path(output)
    endings = (".png", ".npz", ".json")
    if output.endswith(("/", os.sep)) or stem.name in ("", "..", *endings):
        raise InputError(
            f"--output must be the start of file names, such as 'results/tanh', got {output!r}"
        )
    return stem.with_suffix("") if stem.suffix in endings else stem


def grid(text: str) -> Grid:
    """Return FIRST:LAST:COUNT, or numbers with commas, as a grid of numbers >= 0."""
    try:
        if ":" in text:
            first, last, count = text.split(":")
            made = Grid(_sigma(first), _sigma(last), int(count))
            if 1 <= made.size <= _MOST:
                return made
        else:
            return Grid(0.0, 0.0, 0, tuple(_sigma(word) for word in text.split(",")))
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        "must be FIRST:LAST:COUNT such as 0.5:4:200, or numbers >= 0 with commas such as 0,0.1,1, "
        f"got {text!r}"
    )


def _sigma(word: str) -> float:
    value = float(word)
    if not 0 <= value < math.inf:
        raise ValueError
    return value
