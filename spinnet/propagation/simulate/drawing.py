"""Random weights and biases: Gaussian, Haar orthogonal, symmetric stable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Draw = Callable[[int], Array]


class DrawnLayers(Sequence[Array]):
    """Matrices of the layers, drawn from the layer's own stream each time one is looked at.

    A deep wide network need not fit into memory: only the matrix in use exists, and it is the
    same at each look.
    """

    def __init__(self, draw: Draw, count: int) -> None:
        self._draw, self._count = draw, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | Sequence[Array]:
        places = range(self._count)[index]
        if isinstance(places, range):
            return tuple(self._draw(k) for k in places)
        return self._draw(places)

    def __iter__(self) -> Iterator[Array]:
        return (self._draw(k) for k in range(self._count))


def symmetric_stable(
    rng: np.random.Generator, stable_alpha: float, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return numbers of characteristic function exp(-|t|^stable_alpha / 2).

    Chambers, Mallows and Stuck, J. Am. Stat. Assoc. 71, 340 (1976), in Weron's form.  At
    stable_alpha = 2 the law is the standard normal.
    """
    if stable_alpha == 2:
        return rng.standard_normal(shape)
    a = stable_alpha
    angle = np.pi * (rng.random(shape) - 0.5)
    waiting = np.maximum(rng.standard_exponential(shape), np.finfo(np.float64).tiny)
    z = np.sin(a * angle) / np.cos(angle) ** (1 / a)
    z *= (np.cos((1 - a) * angle) / waiting) ** ((1 - a) / a)
    return np.asarray(z * 2 ** (-1 / a))


def orthogonal(rng: np.random.Generator, n_out: int, n_in: int) -> NDArray[np.float64]:
    """Return a Haar-distributed matrix of mean square 1 / n_in per entry.

    Rows are orthonormal where n_out <= n_in.  Otherwise columns are orthogonal, of squared length
    n_out / n_in, so that |W x|^2 / n_out = |x|^2 / n_in exactly.  The signs of R's diagonal must
    go into Q: without them Q of a QR decomposition does not have Haar's law.
    """
    tall = rng.standard_normal((max(n_out, n_in), min(n_out, n_in)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return np.asarray(q * math.sqrt(n_out / n_in) if n_out > n_in else q.T)
