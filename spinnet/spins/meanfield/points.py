"""What all theories do with the points they find: levels of the model, mirror images, doubles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from spinnet.spins.meanfield.couplings import TopMode
from spinnet.spins.meanfield.solution import Solution
from spinnet.spins.meanfield.system import System
from spinnet.spins.models.base import Array

_SAME = 1e-5  # two points closer than this, relative to the larger, are one

AnySolution = TypeVar("AnySolution", bound=Solution)


def in_levels(system: System, spins: Array) -> Array:
    """Return the reported magnetisations of +-1 unknowns in the levels of the model."""
    full = system.coupling.expand(spins)[: system.n_reported]
    low, high = system.levels
    return full if low == -1 else np.asarray((low + high + (high - low) * full) / 2)


def reported_mode(system: System, top: TopMode) -> Array:
    """Return the unit top mode on the reported spins."""
    n = system.n_reported
    mode = top.vector[:n]
    return mode if n == system.coupling.n_spins else np.asarray(mode / np.linalg.norm(mode))


def with_mirror(system: System, solution: AnySolution, **mirrored: Any) -> Iterator[AnySolution]:
    """Yield a solution and, without fields, its mirror image; `mirrored` are fields of that."""
    yield solution
    spins = solution._spins
    if system.has_fields or spins is None or not np.any(spins):
        return
    opposite = sum(system.levels) - solution.magnetizations
    yield replace(solution, magnetizations=opposite, _spins=-spins, **mirrored)


def same(one: Array, other: Array, residue: float = 0.0) -> bool:
    """Return whether two points are one, but for rounding and `residue`."""
    scale = max(float(np.abs(one).max()), float(np.abs(other).max()))
    return float(np.abs(one - other).max()) <= max(_SAME * scale, residue)


def is_known(spins: Array, known: list[AnySolution], residue: float = 0.0) -> bool:
    """Return whether one of the solutions has these unknowns."""
    return any(o._spins is not None and same(spins, o._spins, residue) for o in known)


def add_if_new(known: list[AnySolution], candidate: AnySolution, residue: float = 0.0) -> None:
    """Append a solution unless it is there."""
    assert candidate._spins is not None
    if not is_known(candidate._spins, known, residue):
        known.append(candidate)
