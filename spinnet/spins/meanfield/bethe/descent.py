r"""Minima of the Bethe free energy by Newton steps on the magnetisations.

With the pair distributions eliminated (Welling & Teh, UAI 2001) the free energy depends on the
log-odds a = artanh(m) alone, and its gradient in m is what is missing from the field equation,

.. math:: \frac{\partial \beta F}{\partial m_i} = a_i - \beta h_i - \sum_j u_{j \to i}(a_i, a_j) .

Steps are those of Newton on m in units of each spin's own fluctuation, with the Hessian shifted
until it is positive and the free energy falls.  For bonds up to a few T: locked spins have equal
m to all digits, and what tells them apart is lost.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from spinnet.spins.meanfield.bethe.hessian import correlation_coefficients, hessian_of
from spinnet.spins.meanfield.bethe.pair import (
    bond_factor,
    cavity_from_marginals,
    gain,
    log_cosh,
    transmit,
)
from spinnet.spins.meanfield.bethe.propagation import Point, Task, residual_of
from spinnet.spins.models.base import Array

_LARGEST_MOVE = 2.0  # of a log-odds in one step
_TRIALS = 30
STRONGEST = 8.0  # bond over T up to which the magnetisations tell two spins apart
_LEAST_SHIFT = 1e-3
_FLAT = 1e-13  # of the free energy: below this, differences are rounding


def pair_fields(task: Task, a: Array) -> tuple[Array, Array]:
    """Return the cavity fields and the messages of bonds whose spins have log-odds a."""
    graph = task.graph
    y = cavity_from_marginals(task.bond, graph.at_source(a), graph.at_target(a))
    y = np.where(task.bond == 0, graph.at_source(a), y)
    return y, transmit(task.bond, y)


def gibbs(task: Task, a: Array, y: Array, u: Array) -> float:
    """Return beta F of the marginals, without the model's constant."""
    graph = task.graph
    m = np.tanh(a)
    spins = float(np.sum(a * m - log_cosh(a) - np.log(2.0) - task.field * m))
    # u of the reversed bond belongs to the source: y = a - u
    told = graph.reverse(u) * graph.at_source(m) - log_cosh(u)
    pairs = bond_factor(task.bond, y, graph.reverse(y)) - log_cosh(task.bond)
    return graph.copies * spins + graph.bond_sum(pairs - told - graph.reverse(told))


def gradient(task: Task, a: Array, u: Array) -> Array:
    """Return d(beta F)/dm, shape (size,)."""
    return np.asarray(a - task.field - task.graph.incoming(u))


def minimise(task: Task, a: Array, rtol: float, max_steps: int) -> Point:
    """Return where Newton steps that lower the free energy lead from log-odds a."""
    a = np.asarray(a, dtype=float)
    y, u = pair_fields(task, a)
    energy, shift = gibbs(task, a, y, u), 0.0
    step = 0
    while step < max_steps:
        step += 1
        slope = gradient(task, a, u)
        if float(np.abs(slope / (1 + np.abs(a))).max()) <= rtol / 10:
            break
        for _ in range(_TRIALS):
            move = _newton_move(task, a, y, slope, shift)
            if move is not None:
                trial = a + np.clip(move, -_LARGEST_MOVE, _LARGEST_MOVE)
                y_new, u_new = pair_fields(task, trial)
                lower = gibbs(task, trial, y_new, u_new)
                if _better(task, energy, lower, slope, trial, u_new):
                    break
            shift = max(_LEAST_SHIFT, 4 * shift)
        else:
            break
        a, y, u, energy = trial, y_new, u_new, lower
        shift = 0.0 if shift <= _LEAST_SHIFT else shift / 8
    residual = residual_of(task, u)
    return Point(u, residual, step, residual <= rtol)


def _better(task: Task, energy: float, lower: float, slope: Array, trial: Array, u: Array) -> bool:
    """Whether the free energy fell; where it is flat to rounding, whether the gradient did."""
    if abs(lower - energy) > _FLAT * max(1.0, abs(energy)):
        return lower < energy
    return float(np.abs(gradient(task, trial, u)).max()) < float(np.abs(slope).max())


def _newton_move(task: Task, a: Array, y: Array, slope: Array, shift: float) -> Array | None:
    """Return the move of a, -S^{-1} (A + shift)^{-1} S slope, or None where that climbs."""
    graph = task.graph
    scale = np.maximum(1 / np.cosh(np.minimum(np.abs(a), 300.0)), 1e-130)
    hessian = hessian_of(graph, *correlation_coefficients(graph, *gain(task.bond, y)), shift)
    spread = np.broadcast_to(scale * slope, (graph.n_spins,)) if graph.size == 1 else scale * slope
    try:
        answer = hessian.solve(np.asarray(spread))
    except la.LinAlgError:
        return None
    if not np.all(np.isfinite(answer)) or float(answer @ spread) <= 0:
        return None
    return np.asarray(-answer[: graph.size] / scale)
