r"""Minimisation of the TAP free energy by truncated Newton steps.

The Newton step solves (1 - S C S) z = S g by conjugate gradients (T. Steihaug, SIAM J. Numer.
Anal. 20, 626 (1983)): where they meet a direction of negative curvature they stop with a
direction of descent.  Steps are made in x = artanh m, where saturated spins keep their digits,

.. math:: dx = -(g + C S z)/p ,

and each lowers the free energy, or, where rounding hides that, the gradient.
"""

from __future__ import annotations

import numpy as np

from spinnet.spins.meanfield.iteration import Point
from spinnet.spins.meanfield.tap.functional import TapFunctional, TapPoint
from spinnet.spins.models.base import Array

_HALVINGS = 30
_ARMIJO = 1e-4
_STEP_TOLERANCE = 1e-9  # of the largest local field; Newton's next step would be its square
_FORCING = 0.1  # conjugate gradients reduce their error at least by this
_FINEST = 1e-10  # the error below which rounding stops them
_EXTRA = 50  # steps of conjugate gradients beyond one for each unknown
_NOTHING = 1e-9  # without fields a smaller m is 0: at m the distance from T_c is of order m^2


def minimise(functional: TapFunctional, x: Array, rtol: float, max_steps: int) -> Point:
    """Return the minimum that descent from m = tanh(x) reaches; exactly 0 where it is that."""
    here = functional.at(x)
    paramagnetic = not np.any(functional.fields)
    for step in range(max_steps):
        if paramagnetic and float(np.abs(here.x).max()) <= _NOTHING:
            return Point(np.zeros_like(x), 0.0, step, True)
        move, slope = _direction(functional, here)
        small = bool(np.abs(move).max() <= _STEP_TOLERANCE * np.abs(here.x).max())
        after = _lower(functional, here, move, slope)
        if after is None:
            return Point(here.x, here.residual, step, here.residual <= rtol)
        here = after
        if small and here.residual <= rtol:
            return Point(here.x, here.residual, step + 1, True)
    return Point(here.x, here.residual, max_steps, False)


def _direction(functional: TapFunctional, point: TapPoint) -> tuple[Array, float]:
    """Return dx, and the slope of Phi along it (<= 0)."""
    scale = functional.scales(point)
    rhs = scale * point.gradient
    size = float(np.abs(rhs).max())
    tolerance = min(_FORCING, max(size, _FINEST))
    z = truncated_solve(functional, point, scale, rhs, tolerance)
    move = -(point.gradient + functional.bend(point, scale * z)) / functional.stiffness(point)
    return move, -float(rhs @ z) * functional.coupling.copies / functional.beta


def truncated_solve(
    functional: TapFunctional, point: TapPoint, scale: Array, rhs: Array, tolerance: float
) -> Array:
    """Return z with (1 - S C S) z = rhs, or a direction of descent where that is indefinite."""
    z, rest = np.zeros_like(rhs), rhs.copy()
    along = rest.copy()
    square = start = float(rest @ rest)
    for step in range(rhs.size + _EXTRA):
        if square <= tolerance**2 * start:
            break
        image = along - scale * functional.bend(point, scale * along)
        curvature = float(along @ image)
        if curvature <= 0:
            return z if step else along
        fraction = square / curvature
        z += fraction * along
        rest -= fraction * image
        square, previous = float(rest @ rest), square
        along = rest + square / previous * along
    return z


def _lower(functional: TapFunctional, here: TapPoint, move: Array, slope: float) -> TapPoint | None:
    """Return the first of the steps 1, 1/2, 1/4 ... that is lower, or None."""
    size = float(np.abs(here.gradient).max())
    fraction = 1.0
    for _ in range(_HALVINGS):
        there = functional.at(here.x + fraction * move)
        change = there.value - here.value
        level = abs(change) <= 4 * (here.rounding + there.rounding)
        lower = change <= _ARMIJO * fraction * slope - here.rounding
        if lower or (level and float(np.abs(there.gradient).max()) < size):
            return there
        fraction /= 2
    return None
