"""One task at one point, in whatever process: its values, or its error, as plain data."""

from __future__ import annotations

import hashlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from spinnet.errors import InputError
from spinnet.runs.grid import Point

Task = Callable[..., Any]
_KINDS = "biufU"  # of NumPy: bool, integers, floats, words
_LONGEST = 500  # characters of an error in a row; its trace has the rest


@dataclass(frozen=True)
class Outcome:
    """What a task left at one point.

    Attributes
    ----------
    values : mapping of str to number, str, bool or ndarray
        Empty if the task failed.
    error : str
        Empty, or the class and message of what it raised.
    trace : str
        Empty, or the traceback in full.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    trace: str = ""


def evaluate(task: Task, point: Point, seed: np.random.SeedSequence | None) -> Outcome:
    """Run a task; an exception that it raises becomes an outcome."""
    given = {} if seed is None else {"rng": seed}
    try:
        return Outcome(_plain(task(**point.params, **given)))
    except (Exception, SystemExit) as error:  # a task that calls sys.exit has failed too
        return Outcome(error=describe(error), trace=traceback.format_exc())


def describe(error: BaseException) -> str:
    """Return the class and the message of an exception in one line, cut where it is long."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception whose own __str__ fails
        text = "(its message cannot be shown)"
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def takes_rng(task: Task, points: list[Point]) -> bool:
    """Return whether a task takes `rng`; refuse one that cannot take the parameters of a point.

    Raises
    ------
    InputError
        If the task is no function, or its arguments are not those of the grid.
    """
    if not callable(task):
        raise InputError(f"task must be a function of the parameters, got {task!r:.80}")
    try:
        signature = inspect.signature(task)
    except (TypeError, ValueError):  # a builtin without one
        return False
    kinds = {p.kind for p in signature.parameters.values()}
    wants = "rng" in signature.parameters or inspect.Parameter.VAR_KEYWORD in kinds
    if isinstance(task, partial) and "rng" in task.keywords:
        raise InputError(
            f"task {task_name(task)} must not fix rng: each point gets a stream of its own; give "
            "rng to sweep"
        )
    for point in points:
        try:
            signature.bind(**point.params, **({"rng": None} if wants else {}))
        except TypeError as error:
            raise InputError(
                f"task {task_name(task)}{signature} cannot be called with the parameters "
                f"{', '.join(point.params)} of the grid: {error}"
            ) from error
    return wants


def task_name(task: Task) -> str:
    """Return the name by which a directory knows a task; fixed arguments belong to it."""
    if isinstance(task, partial):
        fixed = [_shown(a) for a in task.args]
        fixed += [f"{k}={_shown(v)}" for k, v in task.keywords.items()]
        return f"{task_name(task.func)}({', '.join(fixed)})"
    return str(getattr(task, "__qualname__", type(task).__qualname__))


def _shown(value: Any) -> str:
    """Return a fixed argument in words that differ where it does (repr cuts arrays short)."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"array({value.shape}, {value.dtype}, {digest[:16]})"


def lasting_name(task: Task) -> str:
    """Return the name of a task; refuse one that the next process would not know again."""
    name = task_name(task)
    if " at 0x" in name:
        raise InputError(
            f"task {name:.120} has a fixed argument that is known by its place in memory alone, so "
            "that its directory could not be used again; fix numbers or words, or call without "
            "directory"
        )
    return name


def _plain(result: Any) -> dict[str, Any]:
    """Return what a task returned as words, numbers and arrays by name."""
    items = result if isinstance(result, Mapping) else {"value": result}
    values = {}
    for name, value in items.items():
        if not isinstance(name, str):
            raise InputError(f"the task must name its results with words, got {name!r:.60}")
        if np.ma.isMaskedArray(value):
            raise InputError(f"the task must return plain arrays, got the masked array {name}")
        try:
            array = np.asarray(value)
        except ValueError:  # lists of different lengths
            array = np.asarray(None)
        if array.dtype.kind not in _KINDS:
            raise InputError(
                f"the task must return numbers, words, bools or arrays of those, got {name} = "
                f"{value!r:.60}"
            )
        values[name] = array.item() if array.ndim == 0 else array
    return values
