"""Parsing, exit codes, and the one place that prints."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

import spinnet
from spinnet.cli import compare, derive, export, fit, measure, merge, phase, run, solve, status
from spinnet.cli.parsing import Parser
from spinnet.errors import (
    CheckpointError,
    ConvergenceError,
    InputError,
    MissingDependencyError,
    SpinnetError,
    SpinnetWarning,
    StatisticsError,
)

DONE, WRONG_INPUT, NOT_CONVERGED, INTERRUPTED = 0, 2, 3, 130

_COMMANDS = (compare, run, status, merge, export, solve, phase, measure, fit, derive)


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="spinnet",
        description="The duality between spin systems and neural networks.",
        epilog="`spinnet COMMAND --help` explains each command with a working example.\n\n"
        "example:\n  spinnet measure --layer fc3",
    )
    parser.add_argument("--version", action="version", version=f"spinnet {spinnet.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for module in _COMMANDS:
        module.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``spinnet``; those of the process by default.

    Returns
    -------
    int
        0, 2, 3 or 130; see `spinnet.cli`.
    """
    os.environ["MPLBACKEND"] = "Agg"  # figures go to files; a display is never needed
    try:
        with _terminable(), _plain_warnings():
            options = build_parser().parse_args(arguments)
            _print(options.execute(options))
    except SystemExit as end:  # argparse: --help, --version, or wrong usage
        return end.code if isinstance(end.code, int) else WRONG_INPUT
    except (InputError, MissingDependencyError, CheckpointError) as error:
        return _fail(error, WRONG_INPUT)
    except (ConvergenceError, StatisticsError) as error:
        return _fail(error, NOT_CONVERGED)
    except SpinnetError as error:
        return _fail(error, WRONG_INPUT)
    except OSError as error:  # of the machine: no process or file can be opened any more
        return _fail(f"the system refused: {error}", WRONG_INPUT)
    except MemoryError as error:
        return _fail(f"not enough memory for this{f': {error}' if str(error) else ''}", WRONG_INPUT)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "interrupted; no file was left half-written", INTERRUPTED)
    return DONE


def _fail(message: object, code: int) -> int:
    print(f"spinnet: error: {message}", file=sys.stderr)
    return code


def _print(text: str) -> None:
    """Print, minding that nobody may be reading and that a redirected file may not take it."""
    try:
        print(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        _discard_output()
    except OSError as error:
        _discard_output()
        raise InputError(f"cannot write to standard output: {error.strerror}") from error


def _discard_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show spinnet's own warnings as one line each, without the source line that raised them."""
    show = warnings.showwarning

    def plainly(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, SpinnetWarning):
            print(f"spinnet: warning: {message}", file=sys.stderr)
        else:
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = plainly
    try:
        yield
    finally:
        warnings.showwarning = show


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does, so that temporary files are removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
