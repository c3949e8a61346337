"""From a start to a minimum of the expectation-consistent free energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinnet.spins.meanfield.adaptive.places import Equations, Place
from spinnet.spins.models.base import Array

_HALVINGS = 12
_ROUNDING = 1e-13  # of F, relative
_TRUSTED = 1e-6  # relative error of the variances, beyond which F is not that of the theory
_VANISHING = 1e-8  # local fields below this, in a system without fields, are the paramagnet
_STEP_TOLERANCE = 1e-9  # of the largest local field; Newton's next step would be its square


@dataclass(frozen=True, eq=False)
class End:
    """Where a descent stopped.

    Attributes
    ----------
    place : Place
    steps : int
    converged : bool
    """

    place: Place
    steps: int
    converged: bool


def descend(
    equations: Equations, x: Array, *, rtol: float, max_steps: int, has_fields: bool
) -> End:
    """Return where Newton steps that lower F lead from x.

    Where F is not convex, the Hessian at fixed reaction, which is positive, replaces its own.
    """
    place = equations.at(x)
    if not place.accuracy <= _TRUSTED:
        return End(place, 0, False)
    for step in range(max_steps):
        if not has_fields and float(np.abs(place.x).max()) < _VANISHING:
            zero = equations.at(np.zeros_like(x), place)
            return End(zero, step, zero.accuracy <= rtol)
        good = place.residual <= rtol and place.accuracy <= rtol
        found = _lower(equations, place)
        if found is None:  # rounding allows no lower F and no smaller error
            return End(place, step, good)
        move = float(np.abs(found.x - place.x).max())
        place = found
        good = place.residual <= rtol and place.accuracy <= rtol
        if good and move <= _STEP_TOLERANCE * float(np.abs(place.x).max()):
            return End(place, step + 1, True)
    return End(place, max_steps, False)


def _lower(equations: Equations, place: Place) -> Place | None:
    """Return a place of lower F, or of the same F to rounding and smaller error."""
    noise = _ROUNDING * (1 + abs(place.value))
    size = float(np.abs(place.error).max())
    for direction in place.directions():
        expected = float(place.slope @ direction)
        if not np.all(np.isfinite(direction)) or expected > 0:
            continue
        for halving in range(_HALVINGS):
            fraction = 0.5**halving
            trial = equations.at(place.x + fraction * direction, place)
            if not trial.accuracy <= _TRUSTED:
                continue
            if trial.value <= place.value + 1e-4 * fraction * expected - noise:
                return trial
            flat = abs(trial.value - place.value) <= 10 * noise
            if flat and float(np.abs(trial.error).max()) < 0.9 * size:
                return trial
            if -fraction * expected <= noise and halving > 2:
                break
    return None
