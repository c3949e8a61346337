r"""The scaling functions of `critical_scaling` as NumPy functions of r and y.

Averages are integrals over the half line of the folded weight, by Gauss and Legendre on the
interval that holds it; the weight, its correction and the observables are compiled from the
symbolic statements.  The half line, because |x| has a kink at 0.  `quadrature` serves
`spinnet.spins.critical` too, which centres its moments and reaches further from T_c.
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

_NODES = 160
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


def quadrature(r: Real, y: Real, delta: float = 0.0) -> tuple[Real, Real, Real]:
    r"""Return nodes, weights and the logarithm of the integral for the density of \|x\|.

    Parameters
    ----------
    r, y : ndarray
        Of one shape.  The density is even in y; :math:`\langle g\rangle` of an odd g is the mean
        of :math:`g\tanh(yx)` over \|x\|.
    delta : float
        N^{-1/2}: the coefficient of the correction, kept in the exponent.  0 is the limit.

    Returns
    -------
    nodes, weights : ndarray, (..., 160)
        Nodes x >= 0 and normalised weights.
    log_integral : ndarray
        ln of the integral of the weight over all x.
    """
    field = np.abs(y)
    scale = np.sqrt(3 * np.maximum(-r, 0)) + np.cbrt(3 * field) + 1
    peak = _peak(r, field, delta, scale)
    floor = _log_density(peak, r, field, delta) - _DROP

    def edge(inside: Real, outside: Real) -> Real:
        """Bisect to where the log density falls to the floor; `outside` if it does not."""
        for _ in range(60):
            middle = (inside + outside) / 2
            above = _log_density(middle, r, field, delta) > floor
            inside, outside = np.where(above, middle, inside), np.where(above, outside, middle)
        return outside

    low, high = edge(peak, np.zeros_like(peak)), edge(peak, 20 * scale)
    points, lengths = np.polynomial.legendre.leggauss(_NODES)
    half = (high - low)[..., None] / 2
    nodes = low[..., None] + half * (points + 1)
    logs = _log_density(nodes, r[..., None], field[..., None], delta)
    top = logs.max(axis=-1, keepdims=True)
    weights = half * lengths * np.exp(logs - top)
    total = weights.sum(axis=-1, keepdims=True)
    return nodes, weights / total, (top + np.log(total))[..., 0]


def _log_density(x: Real, r: Real, y: Real, delta: float) -> Real:
    """Return the log density of |x|, both signs of x together; y >= 0."""
    even, _ = _even_weight()
    return np.asarray(even(x, r, delta) + y * x + np.log1p(np.exp(-2 * y * x)))


def _peak(r: Real, y: Real, delta: float, scale: Real) -> Real:
    """Return the largest maximum of the log density at x >= 0, by bisection of its slope."""
    _, slope = _even_weight()
    # curvature of the even part: at most delta - r - x^2, so that beyond low the slope falls
    low, high = np.sqrt(np.maximum(delta - r, 0)), 4 * scale
    for _ in range(80):
        middle = (low + high) / 2
        rising = slope(middle, r, delta) + y * np.tanh(y * middle) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return np.asarray((low + high) / 2)


def _averages(r: Real, y: Real) -> _Averages:
    _, correction, averaged = _integrands()
    nodes, weights, log_z = quadrature(r, y)
    tanh = np.tanh(y[..., None] * nodes)
    signs = (weights * (1 + tanh) / 2, nodes), (weights * (1 - tanh) / 2, -nodes)
    shape = r[..., None], y[..., None]

    def integrate(function: Callable[..., Any]) -> Real:
        return np.asarray(sum((w * function(x)).sum(axis=-1) for w, x in signs))

    mean_c = integrate(lambda x: correction(x, *shape))
    means, shifts = [], []
    for function in averaged:
        mean = integrate(function)
        change = integrate(lambda x, f=function: f(x) * correction(x, *shape))
        means.append(mean)
        shifts.append(change - mean * mean_c)
    with np.errstate(over="ignore"):  # Z_0 alone may leave float64; nothing else uses it
        z = np.exp(log_z)
        return _Averages([*means, z], [*shifts, z * mean_c], (r, y))


# --- compiled once ----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _even_weight() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the log weight at y = 0 with its correction, of x, r, delta, and its slope in x."""
    limit, correction = cs.log_weight()
    even = (limit + cs.delta * correction).subs(cs.y, 0)
    names = (cs.x, cs.r, cs.delta)
    first, second = (sp.lambdify(names, sp.horner(e, cs.x)) for e in (even, sp.diff(even, cs.x)))
    return first, second


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
