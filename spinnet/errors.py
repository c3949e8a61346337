"""The exceptions of spinnet.

Every message names the argument, the value received, what is allowed, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpinnetError(Exception):
    """Base class of every error that spinnet raises on purpose."""


class InputError(SpinnetError, ValueError):
    """An argument is outside what is allowed."""


class KinkedActivationError(InputError):
    """A curvature was asked for where the activation has kinks, so that it is infinite."""


class ConvergenceError(SpinnetError, RuntimeError):
    """An iteration stopped before its tolerance; `solution` holds what it had."""

    def __init__(self, message: str, solution: object = None) -> None:
        super().__init__(message)
        self.solution = solution


class StatisticsError(SpinnetError, ValueError):
    """The data cannot carry the estimate asked for; `estimate` holds what there is."""

    def __init__(self, message: str, estimate: object = None) -> None:
        super().__init__(message)
        self.estimate = estimate


class CheckpointError(SpinnetError, OSError):
    """A saved run is missing, damaged, or was made with other parameters."""


class MissingDependencyError(SpinnetError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class SpinnetWarning(UserWarning):
    """A result was computed, but a reader must know its limits."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of `known`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
