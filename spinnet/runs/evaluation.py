"""One task at one point, in whatever process: its values, or its error, as plain data."""

from __future__ import annotations

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
    except Exception as error:
        trace = traceback.format_exc()
        return Outcome(error=describe(error), trace=trace)


def describe(error: BaseException) -> str:
    """Return the class and the message of an exception in one line."""
    text = " ".join(str(error).split())
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
        fixed = [repr(a) for a in task.args] + [f"{k}={v!r}" for k, v in task.keywords.items()]
        return f"{task_name(task.func)}({', '.join(fixed)})"
    return str(getattr(task, "__qualname__", type(task).__qualname__))


def _plain(result: Any) -> dict[str, Any]:
    """Return what a task returned as words, numbers and arrays by name."""
    items = result if isinstance(result, Mapping) else {"value": result}
    values = {}
    for name, value in items.items():
        if not isinstance(name, str):
            raise InputError(f"the task must name its results with words, got {name!r:.60}")
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
