r"""From a start to a solution of m = tanh(beta (h + J m)): descent, then Newton.

Descent moves towards tanh(beta (h + J m)), which always lowers

.. math:: G(m) = -\tfrac12 m J m - h m - T \sum_i s(m_i),

so that it ends in a minimum and not at an unstable point.  Newton then works on the local
fields x = beta (h + J m) instead of m: with tanh saturated, m has no digits left below 1, while
x keeps them all, and near T_c a small m keeps its relative precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
from scipy.special import entr

from spinnet.spins.meanfield.couplings import Coupling
from spinnet.spins.models.base import Array

_NEWTON_STEPS = 60
_DESCENT_STEPS = 100  # at most, between two attempts of Newton
_NEAR = 1e-2  # descent hands over to Newton once no spin would move more
_HALVINGS = 12
_STEP_TOLERANCE = 1e-9  # of the largest local field; Newton's next step would be its square


@dataclass(frozen=True, eq=False)
class Point:
    """Where an iteration stopped.

    Attributes
    ----------
    x : ndarray, shape (size,)
        Local fields over T; the magnetisations are tanh(x).
    residual : float
        max |tanh(x) - tanh(beta (h + J tanh x))|.
    steps : int
    converged : bool
    """

    x: Array
    residual: float
    steps: int
    converged: bool


def sech_squared(x: Array) -> Array:
    """Return 1 - tanh(x)^2 without cancellation."""
    decay = np.exp(-2 * np.abs(x))
    return np.asarray(4 * decay / (1 + decay) ** 2)


def scales(x: Array, beta: float) -> Array:
    """Return s_i = sqrt(beta (1 - m_i^2)) at m = tanh(x)."""
    return np.asarray(np.sqrt(beta * sech_squared(x)))


def gibbs(m: Array, jm: Array, fields: Array, beta: float) -> float:
    """Return G(m) of the unknowns, constant and copies left out."""
    entropy = entr((1 + m) / 2) + entr((1 - m) / 2)
    return float(-0.5 * (m @ jm) - fields @ m - entropy.sum() / beta)


def on_shell(x: Array, coupling: Coupling, fields: Array, beta: float) -> float:
    """Return m.J.m/2 - T sum ln 2cosh(beta (h + J m)) over all spins, at m = tanh(x)."""
    m = np.tanh(x)
    jm = coupling.apply(m)
    local = beta * (fields + jm)
    each = 0.5 * (m @ jm) - np.logaddexp(local, -local).sum() / beta
    return float(coupling.copies * each)


def newton(x: Array, coupling: Coupling, fields: Array, beta: float, rtol: float) -> Point:
    """Return the solution that damped Newton steps on x - beta (h + J tanh x) reach."""
    error = x - beta * (fields + coupling.apply(np.tanh(x)))
    for step in range(_NEWTON_STEPS):
        size = float(np.abs(error).max())
        residual = _residual(x, error)
        root = np.sqrt(sech_squared(x))
        try:
            inner = coupling.solve(np.sqrt(beta) * root, -root * error)
        except la.LinAlgError:
            return Point(x, residual, step, residual <= rtol and size == 0)
        move = beta * coupling.apply(root * inner) - error
        if not np.all(np.isfinite(move)):
            return Point(x, residual, step, False)
        small = float(np.abs(move).max()) <= _STEP_TOLERANCE * float(np.abs(x).max())
        better = _shortened(x, move, size, coupling, fields, beta)
        if better is None:  # rounding allows no smaller error
            return Point(x, residual, step, residual <= rtol)
        x, error = better
        residual = _residual(x, error)
        if residual <= rtol and small:
            return Point(x, residual, step + 1, True)
    return Point(x, _residual(x, error), _NEWTON_STEPS, False)


def _residual(x: Array, error: Array) -> float:
    return float(np.abs(np.tanh(x) - np.tanh(x - error)).max())


def _shortened(
    x: Array, move: Array, size: float, coupling: Coupling, fields: Array, beta: float
) -> tuple[Array, Array] | None:
    """Return the longest of the steps 1, 1/2, 1/4 ... that lowers the error, with its error."""
    fraction = 1.0
    for _ in range(_HALVINGS):
        trial = x + fraction * move
        error = trial - beta * (fields + coupling.apply(np.tanh(trial)))
        if float(np.abs(error).max()) < size:
            return trial, error
        fraction /= 2
    return None


def descend(
    m: Array, coupling: Coupling, fields: Array, beta: float, steps: int, near: float
) -> tuple[Array, int]:
    """Return m after at most `steps` moves that each lower G, and how many were made.

    It ends early where the next move would be below `near`, or where G falls no more.
    """
    jm = coupling.apply(m)
    energy = gibbs(m, jm, fields, beta)
    for step in range(steps):
        move = np.tanh(beta * (fields + jm)) - m
        if step > 0 and float(np.abs(move).max()) < near:
            return m, step
        j_move = coupling.apply(move)
        for k in range(_HALVINGS):
            fraction = 0.5**k
            trial, j_trial = m + fraction * move, jm + fraction * j_move
            lower = gibbs(trial, j_trial, fields, beta)
            if lower < energy:
                break
        else:
            return m, step
        m, jm, energy = trial, j_trial, lower
    return m, steps


def settle(
    m: Array, coupling: Coupling, fields: Array, beta: float, rtol: float, max_steps: int
) -> Point:
    """Return the minimum of G below the start `m`, or where `max_steps` ran out.

    Newton may land on a saddle of G; the descent then goes on from where it was.
    """
    used, near = 0, _NEAR
    while True:
        steps = min(_DESCENT_STEPS, max_steps - used)
        m, made = descend(m, coupling, fields, beta, steps, near)
        x = beta * (fields + coupling.apply(m))
        point = newton(x, coupling, fields, beta, rtol)
        used += made + point.steps
        minimum = point.converged and coupling.top_of(scales(point.x, beta)) < 1
        if minimum or used >= max_steps or made == 0:
            return replace(point, steps=used)
        near /= 10
