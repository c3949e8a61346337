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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.diagram.tables import PairSeries, Tables, on_panels

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

_START = 16  # values of epsilon at which the start is looked for
_STEP = 1e-12  # of ln(epsilon)
_NEARLY = 1e-6
_MAX_STEPS = 60
_LONGEST = 3.0
_TINY = 1e-300


class Correlations(NamedTuple):
    """1 - c and nu Q at fixed points, and the relative error of the tables; shape (n,)."""

    epsilon: Array
    decay: Array
    error: Array


def solve(tables: Tables, log_q: Array, beta: Array, delta: Array, free: Flags) -> Correlations:
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
        series = tables.pairs(k, log_q[part], t)
        epsilon, decay, lost = _newton(series, beta[part], delta[part], free[part])
        result.epsilon[part], result.decay[part] = epsilon, decay
        result.error[part] = series.error
        result.error[part[lost]] = np.inf
    return result


def _start(series: PairSeries, beta: Array, delta: Array, some: Places) -> Array:
    """Return ln(epsilon) from a few values of epsilon: the first at which the sign has changed."""
    v = np.arange(1, _START + 1) / _START
    log_epsilon = 2 * np.log(np.sinh(v * series.rate) / series.reach)
    log_epsilon[-1] = 0.0
    log_gap = series.log_gap(v)[:, some]
    gap = np.exp(log_gap)
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
        outer = log_epsilon[0] + 2 / series.power * (np.log(-beta) - log_gap[0])
    leftmost = np.where(delta > 0, ends[1], np.minimum(outer, ends[1]))
    return np.asarray(np.where(right > 0, inner, leftmost))


def _equation(gap: Array, log_epsilon: Array, beta: Array, delta: Array) -> Array:
    """Return the logarithm of the ratio of both sides, with no term that changes its sign."""
    plus, minus = np.maximum(beta, 0), np.maximum(-beta, 0)
    free = np.log(plus + gap)
    with_noise = log_epsilon + free - np.log(np.maximum(delta + minus * np.exp(log_epsilon), _TINY))
    with np.errstate(divide="ignore"):
        return np.where(delta > 0, with_noise, free - np.log(minus))


def _newton(
    series: PairSeries, beta: Array, delta: Array, free: Flags
) -> tuple[Array, Array, Places]:
    """Return epsilon and nu Q, and where rounding at very large weights hides the solution."""
    rows = series.coefficients
    log_epsilon, decay = np.zeros(free.size), np.empty(free.size)
    some = np.flatnonzero(free)
    if some.size:
        log_epsilon[some] = _start(series, beta[some], delta[some], some)
    todo, before = np.arange(free.size), np.full(free.size, np.inf)
    for _ in range(_MAX_STEPS):
        now, b, d = log_epsilon[todo], beta[todo], delta[todo]
        gap, nu = series.values(now, rows)
        noise = d / (d + np.maximum(-b, 0) * np.exp(now) + _TINY)
        slope = nu * gap / (np.maximum(b, 0) + gap) + noise
        step = np.where(free[todo], -_equation(gap, now, b, d) / slope, 0.0)
        new = np.minimum(now + step.clip(-_LONGEST, _LONGEST), 0.0)
        step = new - now
        log_epsilon[todo] = new
        decay[todo] = nu * gap * np.exp(nu * step)
        size = np.abs(step)
        # after a step below 1e-6 only rounding is left, which a flat curve makes larger
        left = np.flatnonzero((size > _STEP) & (before > _NEARLY))
        if left.size == 0:
            return np.exp(log_epsilon), decay, left
        todo, before, rows = todo[left], size[left], rows[:, :, left]
    return np.exp(log_epsilon), decay, todo
