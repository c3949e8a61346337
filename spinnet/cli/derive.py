"""``spinnet derive``: a derivation, checked step by step."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spinnet.cli.parsing import Subparsers, add_command

WHAT = {
    "curie_weiss": "Curie-Weiss: self-consistency, exponents, corrections in 1/N",
    "network_dual": "the spin system dual to a layer, its saddle and response",
    "signal_propagation": "variances and correlations through a deep network",
    "bipartite_map": "units {0,1} of two layers as spins, by a congruence",
    "one_loop_claim": "two layers against one: where the 1-loop claim holds and fails",
    "one_loop_determinant": "the Gaussian integral about a saddle",
    "plefka_expansion": "TAP from Plefka's expansion in beta",
    "critical_scaling": "scaling functions at T_c and their corrections",
    "errata": "the talk's twenty errata: printed formulas that fail, and what holds",
}  # by name in spinnet.theory, which would load SymPy
NAMES = tuple(WHAT)

_LINES = "\n".join(f"  {name:22s}{what}" for name, what in WHAT.items())
EXAMPLE = f"""\
names:
{_LINES}

example:
  spinnet derive curie_weiss --latex curie_weiss.tex
"""


def add(commands: Subparsers) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "derive",
        "print a derivation whose every step is checked by machine",
        execute,
        description="Derive the formulas of a theory again, checking every step, and print them.",
        example=EXAMPLE,
    )
    parser.add_argument("name", metavar="NAME", help="one of the names below")
    parser.add_argument("--latex", metavar="FILE", type=Path, help="write a LaTeX article too")


def execute(options: argparse.Namespace) -> str:
    """Run the command and return what to print."""
    from spinnet.files import check_writable, write_atomically
    from spinnet.theory import derive

    if options.latex:
        check_writable(options.latex, "--latex")
    if options.name.replace("-", "_") in NAMES and sys.stderr.isatty():
        print("checking every step; this can take a minute", file=sys.stderr)
    derivation = derive(options.name)
    text = derivation.to_text()
    if options.latex:
        article = derivation.to_latex().encode()
        write_atomically(options.latex, lambda stream: stream.write(article))
        text += f"\nLaTeX: {options.latex}"
    return text
