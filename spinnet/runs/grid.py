"""The points of a sweep: parameters by name, each with a key and a random stream of its own.

The key is the checksum of the parameters, and the stream is made from the seed and the key: a
point keeps both when the grid grows, and wherever it is computed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from spinnet.errors import InputError

Scalar: TypeAlias = "int | float | bool | str | None"
Value: TypeAlias = "Scalar | list[Scalar]"
Grid: TypeAlias = "Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]]"


@dataclass(frozen=True)
class Point:
    """One point of a grid.

    Attributes
    ----------
    params : mapping of str to number, str, bool, None or list of those
    key : str
        Checksum of `params`, 32 hexadecimal digits.
    """

    params: Mapping[str, Value]
    key: str

    def seed(self, root: np.random.SeedSequence) -> np.random.SeedSequence:
        """Return the stream of this point."""
        words = tuple(int(self.key[k : k + 8], 16) for k in range(0, 32, 8))
        return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *words))


def read_grid(grid: Grid) -> list[Point]:
    """Return the points of a grid, in order.

    Parameters
    ----------
    grid : mapping of name to values, or sequence of mappings
        A mapping is the product of its values, the last name running fastest; a sequence holds
        the points themselves.

    Raises
    ------
    InputError
        For an empty grid, a value that JSON has not, or a point that stands there twice.
    """
    given: Any = grid
    if isinstance(given, Mapping):
        rows = _product(given)
    elif isinstance(given, Sequence) and not isinstance(given, (str, bytes)):
        rows = list(given)
    else:
        raise InputError(
            "grid must be a mapping {name: values} or a list of mappings {name: value}, got "
            f"{given!r:.80}"
        )
    if not rows:
        raise InputError("grid must hold at least one point, got none")
    points = [_point(row, k) for k, row in enumerate(rows)]
    seen: dict[str, int] = {}
    for k, point in enumerate(points):
        if point.key in seen:
            raise InputError(
                f"grid must hold each point once, got points {seen[point.key]} and {k} alike: "
                f"{dict(point.params)}; number repetitions with a parameter, such as replica"
            )
        seen[point.key] = k
    return points


def _product(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = []
    for name, values in grid.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise InputError(
                f"grid[{name!r}] must be a list of values, got {values!r:.60}; write "
                f"[{values!r:.30}] for one"
            )
        columns.append(list(values))
    if not columns:
        return []
    return [dict(zip(grid, row, strict=True)) for row in itertools.product(*columns)]


def _point(row: Any, index: int) -> Point:
    if not isinstance(row, Mapping):
        raise InputError(f"grid[{index}] must be a mapping of parameters, got {row!r:.60}")
    params = {}
    for name, value in row.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"grid must name parameters as Python does, got {name!r:.60}")
        if name == "rng":
            raise InputError("grid must not hold 'rng': each point gets a stream of its own")
        params[name] = _plain(f"grid: {name}", value)
    text = json.dumps(params, sort_keys=True, separators=(",", ":"))
    return Point(params, hashlib.sha256(text.encode()).hexdigest()[:32])


def _plain(name: str, value: Any) -> Value:
    """Return a parameter as Python's own number, word or list, which JSON keeps exactly."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        items = [item.item() if isinstance(item, np.generic) else item for item in value]
        if all(_is_scalar(item) for item in items):
            return items
    elif _is_scalar(value):
        return cast(Value, value)
    raise InputError(
        f"{name} must be a finite number, a word, a bool, None or a flat list of those, got "
        f"{value!r:.60}; let the task make larger things from them"
    )


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, int, str))
