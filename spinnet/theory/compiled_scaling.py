r"""The scaling functions of `critical_scaling` as NumPy functions of r and y.

Averages are integrals over the half line of the folded weight, by Gauss and Legendre on the
interval that holds it; the weight, its correction and the observables are compiled from the
symbolic statements.  The half line, because |x| has a kink at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.theory import critical_scaling as cs
from spinnet.validation import finite_array, positive_array

Real = NDArray[np.float64]

_PANELS, _NODES = 12, 20
_DROP = 80.0  # exp(-80) of the peak is left out, with powers of x
LARGEST = 1e3  # of |r| and |y|: beyond, the weight is one or two Gaussians


class CompiledScaling:
    r"""Scaling functions near the mean-field critical point, and their N^{-1/2} corrections.

    Near T_c an observable of N spins is

    .. math:: N^{scaling}\Big[f(r,y) + N^{-1/2}g(r,y) + O(1/N)\Big],\qquad
        r=\sqrt N(1-\beta J),\quad y=\beta hN^{3/4};

    `value` is f, `correction` is g, `at` is the sum.  r and y broadcast; |r|, |y| <= 1e3.
    Names are those of `critical_scaling.observables`.  Averages are right to 1e-14; where an
    observable is a small difference of them, the digits that cancel are lost: for r = -30, 1e-12
    remains of c and of chi_|m|.

    Examples
    --------
    >>> from spinnet.theory import critical_scaling
    >>> scaling = critical_scaling.compiled()
    >>> round(float(scaling.value("binder", 0.0)), 10)
    0.2705201283
    >>> round(float(scaling.at("binder", 1000, beta=1.0)), 5)  # exact: 0.28142
    0.28132
    """

    def value(self, name: str, r: ArrayLike, y: ArrayLike = 0.0) -> Real:
        """Return the scaling function `name` at (r, y), in the broadcast shape of the two."""
        leading, _ = _functions(name)
        averages = _averages(*_variables(r, y))
        return np.asarray(leading(*averages.means, *averages.place))

    def correction(self, name: str, r: ArrayLike, y: ArrayLike = 0.0) -> Real:
        r"""Return the coefficient of N^{-1/2} at (r, y)."""
        _, slope = _functions(name)
        averages = _averages(*_variables(r, y))
        return np.asarray(slope(*averages.means, *averages.shifts, *averages.place))

    def at(
        self,
        name: str,
        n_spins: ArrayLike,
        *,
        beta: ArrayLike,
        J: ArrayLike = 1.0,
        h: ArrayLike = 0.0,
        correction: bool = True,
    ) -> Real:
        """Return the observable of `n_spins` spins near T_c = J, from f and g.

        Parameters
        ----------
        name : str
        n_spins, beta, J, h : array_like
            Broadcast.  The error is O(1/N) of the value at fixed r and y.
        correction : bool
            Include the N^(-1/2) term; without it the error is O(N^(-1/2)).
        """
        size, inverse = positive_array("n_spins", n_spins), positive_array("beta", beta)
        r = np.sqrt(size) * (1 - inverse * positive_array("J", J))
        y = inverse * finite_array("h", h) * size**0.75
        total = self.value(name, r, y)
        if correction:
            total = total + self.correction(name, r, y) / np.sqrt(size)
        return np.asarray(size ** float(cs.observable(name).scaling) * total)


def _variables(r: ArrayLike, y: ArrayLike) -> tuple[Real, Real]:
    arrays = []
    for name, value in (("r", r), ("y", y)):
        array = finite_array(name, value)
        if (np.abs(array) > LARGEST).any():
            worst = float(array.flat[int(np.abs(array).argmax())])
            raise InputError(
                f"{name} must be within +-{LARGEST:g}, got {worst:g} (further from T_c, use the "
                "exact sums or the expansions in 1/N)"
            )
        arrays.append(array)
    first, second = np.broadcast_arrays(*arrays)
    return first, second


class _Averages:
    """Averages under the limiting weight, and their change by the N^(-1/2) term.

    `means` and `shifts` are in the order of `critical_scaling.AVERAGED`, then Z_0.
    """

    def __init__(self, means: list[Real], shifts: list[Real], place: tuple[Real, Real]) -> None:
        self.means, self.shifts, self.place = means, shifts, place


def _averages(r: Real, y: Real) -> _Averages:
    weight, correction, averaged = _integrands()
    nodes, lengths = _nodes(r, np.abs(y))
    shape = r[..., None], y[..., None]
    # both signs of x, with the logarithm of the larger taken out
    logs = [weight(sign * nodes, *shape) for sign in (1, -1)]
    top = np.maximum(*logs).max(axis=-1)
    densities = [lengths * np.exp(log - top[..., None]) for log in logs]

    def integrate(function: Callable[..., Any]) -> Real:
        parts = [d * function(s * nodes, *shape) for s, d in zip((1, -1), densities, strict=True)]
        return np.asarray(np.add(*parts).sum(axis=-1))

    total = integrate(lambda x, *_: np.ones_like(x))
    mean_c = integrate(correction) / total
    means, shifts = [], []
    for function in averaged:
        mean = integrate(lambda x, *_, f=function: f(x)) / total
        change = integrate(lambda x, *p, f=function: f(x) * correction(x, *p)) / total
        means.append(mean)
        shifts.append(change - mean * mean_c)
    with np.errstate(over="ignore"):  # Z_0 alone may leave float64; nothing else uses it
        z = np.exp(top) * total
        return _Averages([*means, z], [*shifts, z * mean_c], (r, y))


def _nodes(r: Real, y: Real) -> tuple[Real, Real]:
    """Return nodes and lengths on the interval of x >= 0 that holds the weight, y >= 0."""
    weight = _integrands()[0]
    peak = _peak(r, y)
    floor = weight(peak, r, y) - _DROP
    high = _edge(peak, peak + 4 * (1 + np.sqrt(_DROP)), floor, r, y)
    low = _edge(peak, np.zeros_like(peak), floor, r, y)
    low = np.where(weight(np.zeros_like(peak), r, y) > floor, 0.0, low)
    points, lengths = np.polynomial.legendre.leggauss(_NODES)
    step = (high - low)[..., None] / _PANELS
    inside = (np.arange(_PANELS)[:, None] + (1 + points) / 2).ravel()
    return low[..., None] + step * inside, step * np.tile(lengths / 2, _PANELS)


def _peak(r: Real, y: Real) -> Real:
    """Return the largest root of -r x - x^3/3 + y, by bisection; 0 if there is none."""
    low, high = np.sqrt(np.maximum(-r, 0)), 3 + np.sqrt(3 * np.maximum(-r, 0)) + np.cbrt(3 * y)
    for _ in range(60):  # beyond low, where the slope is largest, it falls
        middle = (low + high) / 2
        rising = -r * middle - middle**3 / 3 + y > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return np.asarray(low)


def _edge(inside: Real, outside: Real, floor: Real, r: Real, y: Real) -> Real:
    """Return where the log weight falls to `floor` between two points."""
    weight = _integrands()[0]
    for _ in range(40):
        middle = (inside + outside) / 2
        above = weight(middle, r, y) > floor
        inside, outside = np.where(above, middle, inside), np.where(above, outside, middle)
    return np.asarray(outside)


# --- compiled once ----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _integrands() -> tuple[Callable[..., Any], Callable[..., Any], list[Callable[..., Any]]]:
    """Return the log weight, its correction (of x, r, y) and the averaged functions of x."""
    logs = [sp.lambdify((cs.x, cs.r, cs.y), sp.horner(e, cs.x), "numpy") for e in cs.log_weight()]
    averaged = [sp.lambdify(cs.x, f, "numpy") for f in cs.AVERAGED.values()]
    return logs[0], logs[1], averaged


@lru_cache(maxsize=32)
def _functions(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return f of (means, r, y) and g of (means, shifts, r, y)."""
    seen = cs.observable(name)
    symbols = [*cs.AVERAGED, cs.integral]
    shifts = [sp.Dummy() for _ in symbols]
    slope = sp.diff(seen.expr, cs.delta)
    slope += sum(sp.diff(seen.expr, s) * d for s, d in zip(symbols, shifts, strict=True))
    leading = sp.lambdify((*symbols, cs.r, cs.y), seen.leading, "numpy", dummify=True)
    change = slope.subs(cs.delta, 0)
    return leading, sp.lambdify((*symbols, *shifts, cs.r, cs.y), change, "numpy", dummify=True)
