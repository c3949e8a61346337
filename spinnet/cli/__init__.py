"""The command ``spinnet``: one module for each subcommand, whose libraries load at its use.

Each subcommand module offers ``add(commands)``, which declares its options, and a function of
the parsed options that returns the text to print.  Files are written before anything is printed.

Exit codes: 0 done; 2 wrong usage or input; 3 an iteration or a simulation did not converge;
130 interrupted.  No error that a user can cause shows a traceback; a bug does.
"""

from spinnet.cli.program import main

__all__ = ["main"]
