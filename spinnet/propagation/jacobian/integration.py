"""Integrals of a density over ln(lambda), whose edges are like square roots or their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.kernels.base import gauss_legendre

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

_NODES = 20
_HALVINGS = 30
_TOUCHING = 1e-14  # distance from an edge, relative to 1 + |ln|, that is kept
_FIRST = 2.0 ** np.arange(-10, 9)  # panels of sqrt(high - ln lambda)


def band_integral(f: Function, low: float, high: float, floor: float, tolerance: float) -> float:
    """Return the integral of f over ln(lambda) from `low` to `high`.

    Parameters
    ----------
    f : callable
        From an array of ln(lambda) inside the band to an array of the same shape.
    low, high : float
        Edges; `low` may be -inf.
    floor : float
        Where to stop if it is.
    tolerance : float
        Absolute error of each panel.
    """
    near = _TOUCHING * (1 + abs(high))
    if low == -math.inf:  # ln(lambda) = high - t^2 takes the root out of the upper edge
        reach = math.sqrt(high - floor)
        edges = np.array([0.0, *_FIRST[reach > _FIRST], reach])
        return _adaptive(lambda t: 2 * t * f(high - np.maximum(t**2, near)), edges, tolerance)
    half = (high - low) / 2

    def turned(angle: Array) -> Array:
        place = low + 2 * half * np.sin(angle / 2) ** 2
        return half * np.sin(angle) * f(np.clip(place, low + near, high - near))

    return _adaptive(turned, np.linspace(0, math.pi, 5), tolerance)


def _adaptive(g: Function, edges: Array, tolerance: float) -> float:
    """Return the integral of g, panels halved until halves agree with the whole."""
    left, widths = edges[:-1], np.diff(edges)
    whole = _sums(g, left, widths)
    total = 0.0
    for _ in range(_HALVINGS):
        half = widths / 2
        lower, upper = _sums(g, left, half), _sums(g, left + half, half)
        rough = np.abs(lower + upper - whole) > tolerance
        total += float((lower + upper)[~rough].sum())
        if not rough.any():
            return total
        left = np.concatenate([left[rough], left[rough] + half[rough]])
        widths = np.concatenate([half[rough], half[rough]])
        whole = np.concatenate([lower[rough], upper[rough]])
    return total + float(whole.sum())


def _sums(g: Function, left: Array, widths: Array) -> Array:
    nodes, weights = gauss_legendre(_NODES)
    places = left[:, None] + widths[:, None] * nodes
    values = g(places.ravel()).reshape(places.shape)
    return np.asarray((values @ weights) * widths)
