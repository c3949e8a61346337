r"""Belief propagation: messages iterated to a fixed point, with the damping found on the way.

.. math:: u_{j \to i} = \operatorname{artanh}(\tanh \beta J_{ij} \tanh y_{j \to i}), \qquad
          y_{j \to i} = \beta h_j + \sum_{k \ne i} u_{k \to j}

Lists of bonds are swept spin by spin, complete graphs all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spinnet.spins.meanfield.bethe.graph import Graph, SparseGraph
from spinnet.spins.meanfield.bethe.pair import (
    bond_factor,
    gain,
    log_cosh,
    pair_correlation,
    transmit,
)
from spinnet.spins.models.base import Array

_PATIENCE = 16  # sweeps between two looks at the residual
_MOST_KEPT = 0.95  # share of the old message at which damping is given up
_NO_PROGRESS = 0.9  # of the residual at the last look


@dataclass(frozen=True, eq=False)
class Task:
    """One system at one temperature.

    Attributes
    ----------
    graph : Graph
    bond : ndarray
        beta J of each directed bond.
    field : ndarray, shape (size,)
        beta h.
    """

    graph: Graph
    bond: Array
    field: Array


@dataclass(frozen=True, eq=False)
class Point:
    """Messages, and how far they are from a fixed point.

    Attributes
    ----------
    u : ndarray
        Messages.
    residual : float
        Largest change of a message in one more update, relative to 1 + |u|.
    steps : int
    converged : bool
    """

    u: Array
    residual: float
    steps: int
    converged: bool


def local_fields(task: Task, u: Array) -> Array:
    """Return x = artanh(m), the field of all messages on each spin over T."""
    return np.asarray(task.field + task.graph.incoming(u))


def cavity_fields(task: Task, u: Array) -> Array:
    """Return y on each directed bond: what the source says without the target."""
    return np.asarray(task.graph.at_source(local_fields(task, u)) - task.graph.reverse(u))


def updated(task: Task, u: Array) -> Array:
    """Return one parallel update of all messages."""
    return transmit(task.bond, cavity_fields(task, u))


def residual_of(task: Task, u: Array) -> float:
    """Return the largest change in one parallel update, relative to 1 + |u|."""
    return float(np.max(np.abs(updated(task, u) - u) / (1 + np.abs(u)), initial=0.0))


def messages_from(task: Task, x: Array) -> Array:
    """Return the messages that spins with log-odds x would send to spins that say nothing."""
    return transmit(task.bond, task.graph.at_source(x))


def propagate(task: Task, u: Array, rtol: float, max_steps: int) -> Point:
    """Iterate until the residual is at most rtol, the damping is exhausted, or steps run out.

    Where a look finds no progress, the messages keep twice as much of their past: this stops
    oscillations, of frustrated loops above all.
    """
    step = _stepper(task)
    u = np.array(u, dtype=float)
    keep, last = 0.0, np.inf
    residual = np.inf
    for count in range(1, max_steps + 1):
        residual = step(u, keep)
        if residual <= rtol:
            return Point(u, residual, count, True)
        if count % _PATIENCE == 0:
            if not residual < _NO_PROGRESS * last:
                keep = (1 + keep) / 2
                if keep > _MOST_KEPT:
                    return Point(u, residual, count, False)
            last = residual
    return Point(u, residual, max_steps, False)


def _stepper(task: Task) -> Callable[[Array, float], float]:
    """Return a function that updates messages in place and returns the residual."""
    graph = task.graph
    if isinstance(graph, SparseGraph):
        from spinnet.spins.meanfield.bethe.kernels import breadth_first, sweep

        order = breadth_first(graph.start, graph.target)

        def serial(u: Array, keep: float) -> float:
            return float(sweep(order, graph.start, graph.back, task.bond, task.field, u, keep))

        return serial

    def parallel(u: Array, keep: float) -> float:
        change = updated(task, u) - u
        residual = float(np.max(np.abs(change) / (1 + np.abs(u)), initial=0.0))
        u += (1 - keep) * change
        return residual

    return parallel


def log_z(task: Task, u: Array) -> float:
    r"""Return ln Z of Bethe, stationary in the messages, without the model's constant.

    sum_i ln 2cosh x_i + sum_bonds [ln cosh K - ln cosh u - ln cosh u' - ln(1 + tanh K tanh y
    tanh y')]: each term vanishes with its bond, so that nothing large cancels.
    """
    graph = task.graph
    y = cavity_fields(task, u)
    rest = log_cosh(task.bond) - bond_factor(task.bond, y, graph.reverse(y))
    dressed = log_cosh(u)
    spins = graph.copies * float(np.sum(log_cosh(local_fields(task, u)) + np.log(2.0)))
    return spins + graph.bond_sum(rest - dressed - graph.reverse(dressed))


def correlations(task: Task, u: Array) -> Array:
    """Return <s_i s_j> on each bond."""
    y = cavity_fields(task, u)
    return pair_correlation(task.bond, y, task.graph.reverse(y))


def bond_gains(task: Task, u: Array) -> tuple[Array, Array]:
    """Return theta = du/dy and ln(1 - |theta|) of each directed bond."""
    return gain(task.bond, cavity_fields(task, u))
