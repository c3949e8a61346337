"""The fixed point of the correlation map, as its distance epsilon = 1 - c from full correlation.

At a fixed point q of the length map,

    1 - C(1 - epsilon) = (w D(q, epsilon) + floor) / q,

with D = E[(phi(u1) - phi(u2))^2]/2 and `floor` what noise that differs between the two inputs
adds.  C is convex in c on [0, 1] (its Hermite coefficients are squares), so that at most one
fixed point lies below c = 1, and Newton's method from c = 0 reaches it monotonically.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import ConvergenceError
from spinnet.propagation.kernels.base import Kernel

Array = NDArray[np.float64]
_STEPS = 200
_ROUNDING = 16 * float(np.finfo(float).eps)


def stable_epsilon(
    kernel: Kernel, q: ArrayLike, w: ArrayLike, floor: ArrayLike, chi_1: ArrayLike
) -> Array:
    """Return 1 - c at the stable fixed point of the correlation map, elementwise.

    Parameters
    ----------
    kernel : Kernel
    q : array_like
        Fixed points of the length map, > 0.
    w : array_like
        Variance of the weights times what shared noise multiplies them by.
    floor : array_like
        1 - C(1), times q: 0 without noise.
    chi_1 : array_like
        w E[phi'^2]; where it is at most 1 and `floor` is 0, c = 1 is stable.
    """
    q, w, floor, chi_1 = (
        np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(q, w, floor, chi_1)
    )
    shape = q.shape
    q, w, floor, chi_1 = (a.ravel() for a in (q, w, floor, chi_1))
    epsilon = np.zeros(q.size)
    todo = np.flatnonzero((floor > 0) | (chi_1 > 1))
    epsilon[todo] = _start(kernel, q[todo], w[todo], floor[todo], chi_1[todo])
    last = np.zeros(q.size, dtype=bool)
    for _ in range(_STEPS):
        if todo.size == 0:
            return epsilon.reshape(shape)
        part, qs, ws = epsilon[todo], q[todo], w[todo]
        value = part - (ws * kernel.deficit(qs, part) + floor[todo]) / qs
        slope = 1 - ws * kernel.slope_overlap(qs, qs, part)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = part - value / slope
        # rounding next to a double root: stay where we are
        new = np.where((new > 0) & (new <= 1) & np.isfinite(new), new, part)
        # where chi_1 - 1 is at rounding, so is `value`, and steps never become small
        done = (np.abs(new - part) <= 1e-8 * part) | (np.abs(value) <= _ROUNDING * part)
        epsilon[todo] = new
        finished = last[todo]
        last[todo] = done
        todo = todo[~finished]
    raise ConvergenceError(
        f"the correlation map's fixed point was not reached at {todo.size} point(s)",
        solution=epsilon.reshape(shape),
    )


def _start(kernel: Kernel, q: Array, w: Array, floor: Array, chi_1: Array) -> Array:
    """Return a point right of the root: c = 0, or nearer where the root is known to be near."""
    start = np.ones(q.size)
    if not kernel.smooth:
        return start
    bend = w * q * kernel.curvature_moment(q) / 2  # 1 - C = chi_1 eps - bend eps^2 + floor / q
    half = (chi_1 - 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        guess = (half + np.sqrt(half**2 + bend * floor / q)) / bend
    guess *= 2
    near = np.flatnonzero((guess < 0.01) & (guess > 0))
    if near.size:
        g = guess[near]
        right = g * q[near] >= w[near] * kernel.deficit(q[near], g) + floor[near]
        start[near[right]] = g[right]
    return start
