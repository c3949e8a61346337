r"""Minima of the Bethe free energy at any strength of bonds, by the double loop of Yuille.

(Neural Comput. 14, 1691 (2002).)  The free energy is a convex part, bonds and spins counted as if
every spin had one bond too few, and a concave part in the spins, which is replaced by its tangent
in each outer step.  The free energy falls in each, so that the end is a minimum of it, a fixed
point of belief propagation that the plain iteration may not hold.  Slow on many weak bonds.
Once near, Newton steps on the messages (GMRES, no matrix) finish.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg as sla

from spinnet.spins.meanfield.bethe.graph import UniformGraph
from spinnet.spins.meanfield.bethe.pair import transmit
from spinnet.spins.meanfield.bethe.propagation import (
    Point,
    Task,
    bond_gains,
    cavity_fields,
    local_fields,
    residual_of,
    updated,
)
from spinnet.spins.meanfield.bethe.spectrum import linearised
from spinnet.spins.models.base import Array

_INNER = 5  # sweeps over the bonds in each outer step
_LOOK = 20  # outer steps between two looks at the residual
_NEAR = 1e-4  # residual at which Newton takes over
_PATIENCE = 200  # outer steps without progress before it is given up
_NO_PROGRESS = 0.9  # of the best residual
_NEWTON_STEPS = 12
_STRAY = 1e-2  # Newton steps that move a message further, relative to 1 + |u|, are not taken


def double_loop(task: Task, u: Array, rtol: float, max_steps: int) -> Point:
    """Return the minimum that the double loop reaches from messages u."""
    if isinstance(task.graph, UniformGraph):
        return Point(u, residual_of(task, u), 0, False)  # one message: damping suffices
    from spinnet.spins.meanfield.bethe.kernels import double_loop_step

    graph = task.graph
    first, second = graph.ends()
    y = cavity_fields(task, u)
    p, q = graph.undirected(y), graph.undirected(graph.reverse(y))
    p, q, a = p.astype(float), q.astype(float), np.array(local_fields(task, u))
    bond = np.ascontiguousarray(graph.undirected(task.bond))
    degree = np.bincount(np.concatenate([first, second]), minlength=graph.n_spins).astype(float)
    point, best, since, near = Point(u, np.inf, 0, False), np.inf, 0, _NEAR
    for step in range(1, max_steps + 1):
        double_loop_step(first, second, bond, task.field, degree, p, q, a, _INNER)
        if step % _LOOK == 0 or step == max_steps:
            u = transmit(task.bond, graph.directed(p, q))
            residual = residual_of(task, u)
            point = Point(u, residual, step, residual <= rtol)
            if residual <= near and not point.converged:
                point, near = polish(task, point, rtol), residual / 10
            if residual < _NO_PROGRESS * best:
                best, since = residual, step
            if point.converged or step - since >= _PATIENCE:
                break
    return point


def polish(task: Task, point: Point, rtol: float) -> Point:
    """Return the fixed point that Newton steps on the messages reach near by, or `point`."""
    u, steps = point.u, point.steps
    residual = point.residual
    for _ in range(_NEWTON_STEPS):
        move = _newton_move(task, u)
        if np.abs(move / (1 + np.abs(u))).max() > _STRAY:
            break
        trial = u + move
        lower = residual_of(task, trial)
        if not lower < residual:
            break
        u, residual, steps = trial, lower, steps + 1
        if residual <= rtol:
            return Point(u, residual, steps, True)
    return point


def _newton_move(task: Task, u: Array) -> Array:
    """Return (1 - B)^{-1} of what one update changes, B the linearised update."""
    theta = bond_gains(task, u)[0]

    def apply(v: Array) -> Array:
        v = v.reshape(u.shape)
        return np.asarray(v - linearised(task.graph, theta, v)).ravel()

    operator = sla.LinearOperator((u.size, u.size), matvec=apply, dtype=float)
    rest = (updated(task, u) - u).ravel()
    return np.asarray(sla.gmres(operator, rest, rtol=1e-4, restart=40, maxiter=2)[0]).reshape(
        u.shape
    )
