r"""The TAP equations as approximate message passing: the iteration that does not repel.

Solved naively, m <- tanh(beta (h + J m - beta m K D)), the equations drive the iteration away
from their own solution deep inside the replica-symmetric phase.  With the time indices of
belief propagation,

.. math:: u^{t+1} = J m^t - \beta m^{t-1} K (1 - (m^t)^2), \qquad m^t = \tanh \beta(h + u^t),

it converges wherever the replica-symmetric solution is stable (E. Bolthausen, Commun. Math.
Phys. 325, 333 (2014), for the couplings of Sherrington and Kirkpatrick).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinnet.spins.meanfield.iteration import sech_squared
from spinnet.spins.meanfield.tap.functional import TapFunctional, apply_columns
from spinnet.spins.models.base import Array

NEAR = 1e-6  # where Newton takes over: its next errors are 1e-12 and rounding
_WINDOW = 10  # steps over which the residual has to halve
_LEAST_STEP = 0.1


@dataclass(frozen=True, eq=False)
class Passing:
    """Where message passing ended for each start.

    Attributes
    ----------
    x : ndarray, shape (size, n_starts)
        Local fields over T.
    converged : ndarray of bool, shape (n_starts,)
        Whether one more step moves no magnetisation by more than 1e-6.
    steps : ndarray of int, shape (n_starts,)
    """

    x: Array
    converged: np.ndarray
    steps: np.ndarray


def pass_messages(functional: TapFunctional, m: Array, max_steps: int) -> Passing:
    """Iterate from magnetisations of shape (size, n_starts), all starts at once.

    A start whose residual does not halve in ten steps goes on with half the step length, at
    last a tenth.
    """
    n_starts = m.shape[1]
    x = np.arctanh(np.clip(m, -1 + 1e-15, 1 - 1e-15))
    before, old = m.copy(), np.full(n_starts, np.inf)
    length = np.ones(n_starts)
    steps: np.ndarray = np.zeros(n_starts, dtype=int)
    converged: np.ndarray = np.zeros(n_starts, dtype=bool)
    for step in range(1, max_steps + 1):
        live = np.flatnonzero(~converged)
        now = np.tanh(x[:, live])
        target = _step(functional, x[:, live], now, before[:, live])
        residual = np.abs(np.tanh(target) - now).max(axis=0)
        x[:, live] += length[live] * (target - x[:, live])
        before[:, live] = now
        steps[live], converged[live] = step, residual <= NEAR
        if step % _WINDOW == 0:
            slow = residual > old[live] / 2
            length[live[slow]] = np.maximum(length[live[slow]] / 2, _LEAST_STEP)
            old[live] = residual
        if converged.all():
            break
    return Passing(x, converged, steps)


def _step(functional: TapFunctional, x: Array, now: Array, before: Array) -> Array:
    """Return beta (h + u) one step on."""
    beta = functional.beta
    reaction = apply_columns(functional.squares, sech_squared(x))
    cavity = apply_columns(functional.coupling, now) - beta * before * reaction
    return np.asarray(beta * (functional.fields[:, None] + cavity))
