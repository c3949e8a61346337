"""``spinnet derive``: a derivation, checked step by step."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spinnet.cli.parsing import Subparsers, add_command

NAMES = (
    "curie_weiss",
    "network_dual",
    "signal_propagation",
    "bipartite_map",
    "one_loop_claim",
    "one_loop_determinant",
    "plefka_expansion",
    "critical_scaling",
    "errata",
)  # of spinnet.theory, which would load SymPy

EXAMPLE = f"""\
names: {", ".join(NAMES)}

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
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(NAMES)}")
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
