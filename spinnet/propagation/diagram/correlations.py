r"""Fixed points of the correlation map on a grid, from tables.

At a fixed point q of the length map, c = 1 - epsilon is fixed where, with the averages P and Q of
:mod:`spinnet.propagation.diagram.tables`, w the variance of the weights as a pair sees it, and
floor what independent noise adds to the variance and not to the covariance,

    epsilon (beta + Q(q, epsilon)) = delta,    beta = 1/w - P,    delta = floor / (w q),

and there 1 - chi_c = w nu Q + floor / (q epsilon).  Without noise this is w Q = chi_1 - 1: no
difference of numbers that are nearly equal is left but the one that says how far from criticality
the network is.  In the logarithms of both sides the equation is nearly straight, and Newton's
method takes three or four steps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError
from spinnet.propagation.diagram import chebyshev
from spinnet.propagation.diagram.tables import PairPanel, Tables, on_panels

Array = NDArray[np.float64]

_START = 16  # values of epsilon at which the start is looked for
_STEP = 1e-12  # of ln(epsilon)
_MAX_STEPS = 60
_LONGEST = 3.0


class Correlations(NamedTuple):
    """1 - c and nu Q at fixed points, and the errors of Q relative to P and of nu; shape (n,)."""

    epsilon: Array
    decay: Array
    error: Array


def solve(tables: Tables, log_q: Array, beta: Array, delta: Array, free: Array) -> Correlations:
    """Return 1 - c and nu Q, where c < 1.

    Parameters
    ----------
    tables : Tables
    log_q, beta, delta : ndarray, shape (n,)
        Where delta is 0, beta must be negative.
    free : ndarray of bool, shape (n,)
        False where c = 0 by symmetry.
    """
    result = Correlations(*(np.empty(log_q.shape) for _ in range(3)))
    for k, part, t in on_panels(log_q):
        panel = tables.pair(k)
        n_v, _, n_q = panel.coefficients.shape
        rows = panel.coefficients.reshape(2 * n_v, n_q) @ chebyshev.basis(t, n_q)
        rows = rows.reshape(n_v, 2, part.size)
        start = np.zeros(part.size)
        some = np.flatnonzero(free[part])
        if some.size:
            start[some] = _start(panel, rows[:, 0, some], beta[part][some], delta[part][some])
        epsilon, decay = _newton(panel, rows, start, beta[part], delta[part], free[part])
        result.epsilon[part], result.decay[part] = epsilon, decay
        result.error[part] = panel.error
    return result


def _gap(panel: PairPanel, log_gap: Array, log_epsilon: Array) -> Array:
    return np.asarray(np.exp(log_gap + panel.power / 2 * log_epsilon))


def _start(panel: PairPanel, rows: Array, beta: Array, delta: Array) -> Array:
    """Return ln(epsilon) from a few values of epsilon: the first at which the sign has changed."""
    v = np.arange(1, _START + 1) / _START
    log_epsilon = 2 * np.log(np.sinh(v * panel.rate) / panel.reach)
    log_epsilon[-1] = 0.0
    log_gap = chebyshev.basis(v**panel.power, len(rows)).T @ rows
    gap = _gap(panel, log_gap, log_epsilon[:, None])
    negative = np.exp(log_epsilon)[:, None] * (beta + gap) < delta
    right = np.minimum(np.sum(negative, axis=0), _START - 1)
    left = np.maximum(right - 1, 0)
    columns = np.arange(right.size)
    ends = [log_epsilon[side] for side in (left, right)]
    heights = [
        _equation(gap[side, columns], end, beta, delta)
        for side, end in zip((left, right), ends, strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = heights[0] / (heights[0] - heights[1])
        inner = ends[0] + np.where(np.isfinite(share), share, 0.5).clip(0, 1) * (ends[1] - ends[0])
        # left of them all Q goes like epsilon^(p/2)
        outer = 2 / panel.power * (np.log(-beta) - log_gap[0])
    return np.where(right > 0, inner, np.where(delta > 0, ends[1], np.minimum(outer, ends[1])))


def _equation(gap: Array, log_epsilon: Array, beta: Array, delta: Array) -> Array:
    """Return the logarithm of the ratio of both sides, with no term that changes its sign."""
    plus, minus = np.maximum(beta, 0), np.maximum(-beta, 0)
    free = np.log(plus + gap)
    with_noise = log_epsilon + free - np.log(np.maximum(delta + minus * np.exp(log_epsilon), 1e-300))
    with np.errstate(divide="ignore"):
        return np.where(delta > 0, with_noise, free - np.log(minus))


def _newton(
    panel: PairPanel, rows: Array, start: Array, beta: Array, delta: Array, free: Array
) -> tuple[Array, Array]:
    """Return epsilon and nu Q."""
    log_epsilon, decay = start, np.empty(start.size)
    todo = np.arange(start.size)
    for _ in range(_MAX_STEPS):
        now = log_epsilon[todo]
        log_gap, nu = chebyshev.clenshaw(rows, panel.coordinate(now))
        gap = _gap(panel, log_gap, now)
        height = _equation(gap, now, beta[todo], delta[todo])
        b, d = beta[todo], delta[todo]
        noise = d / (d + np.maximum(-b, 0) * np.exp(now) + 1e-300)
        slope = nu * gap / (np.maximum(b, 0) + gap) + noise
        step = np.where(free[todo], -height / slope, 0.0)
        new = np.minimum(now + step.clip(-_LONGEST, _LONGEST), 0.0)
        step = new - now
        log_epsilon[todo] = new
        decay[todo] = nu * gap * np.exp(nu * step)
        left = np.flatnonzero(np.abs(step) > _STEP)
        if left.size == 0:
            return np.exp(log_epsilon), decay
        todo, rows = todo[left], rows[:, :, left]
    raise ConvergenceError(  # pragma: no cover - the equation is nearly straight
        f"the fixed point of the correlation map was not reached at {todo.size} point(s)"
    )
