"""What a figure function returns: its arrays, what they were made with, and the drawing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.files import check_writable, finite_or_null, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[["FigureData"], "Figure"]


@dataclass(frozen=True, eq=False)
class FigureData(Mapping[str, NDArray[Any]]):
    """The arrays of one published figure, by name.

    ``data["q_star"]`` is an array; iterate for the names.

    Attributes
    ----------
    name : str
        "poole.fig1", ...
    arrays : dict of ndarray
    parameters : dict
        Everything that was chosen, the seed included.
    version : str
        The spinnet that made it.
    """

    name: str
    arrays: Mapping[str, NDArray[Any]]
    parameters: Mapping[str, Any]
    version: str
    _draw: Draw = field(repr=False)

    def __getitem__(self, key: str) -> NDArray[Any]:
        try:
            return self.arrays[key]
        except KeyError:
            raise InputError(
                f"{self.name} has the arrays {', '.join(self.arrays)}, got {key!r}"
            ) from None

    def get(self, key: str, default: Any = None) -> Any:
        """Return an array, or `default` where there is none of that name."""
        return self.arrays.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{k} {v.shape}" for k, v in self.arrays.items())
        return f"FigureData({self.name!r}: {shapes})"

    def plot(self) -> Figure:
        """Draw the figure, in spinnet's style; pyplot does not know it."""
        with plotting.style():
            return self._draw(self)

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts, lists and numbers, None for NaN and infinities."""
        whole = {
            "name": self.name,
            "version": self.version,
            "parameters": dict(self.parameters),
            "arrays": {key: value.tolist() for key, value in self.arrays.items()},
        }
        result: Any = finite_or_null(whole)
        return dict(result)

    def save(self, path: str | Path) -> Path:
        """Write the arrays (.npz, .json) or the drawing (.png, .pdf, .svg).

        Raises
        ------
        InputError
            For another ending, or a place that cannot be written.
        """
        target = check_writable(path, "path")
        ending = target.suffix.lower()
        if ending == ".npz":
            text = json.dumps({"name": self.name, "version": self.version, **self.parameters})
            return write_atomically(target, lambda stream: _write_npz(stream, self.arrays, text))
        if ending == ".json":
            text = json.dumps(self.to_dict(), allow_nan=False)
            return write_atomically(target, lambda stream: stream.write(text.encode()))
        if ending in (".png", ".pdf", ".svg"):
            buffer = io.BytesIO()
            with plotting.style():
                self._draw(self).savefig(buffer, format=ending[1:])
            return write_atomically(target, lambda stream: stream.write(buffer.getvalue()))
        raise InputError(f"path must end in .npz, .json, .png, .pdf or .svg, got {str(target)!r}")


def _write_npz(stream: BinaryIO, arrays: Mapping[str, NDArray[Any]], text: str) -> None:
    named: dict[str, Any] = {"parameters": np.array(text), **arrays}
    np.savez_compressed(stream, **named)
