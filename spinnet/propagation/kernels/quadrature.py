"""Kernel of an activation without closed forms: averages by quadrature.

See :mod:`spinnet.propagation.averages` for one Gaussian and
:mod:`spinnet.propagation.kernels.pair_quadrature` for two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.averages import mesh_of
from spinnet.propagation.detection import Continued
from spinnet.propagation.kernels.base import Kernel, gauss_legendre
from spinnet.propagation.kernels.pair_quadrature import PairQuadrature

if TYPE_CHECKING:
    from spinnet.propagation.activations import Activation

Array = NDArray[np.float64]

_TINY = 1e-200  # stands for q = 0 where averages of phi' depend on its sides
_NODES = 10
_DIFFERENCE = 1e-3
_KEPT = 8192
_ROUNDING = 1e-16
_LAST_BITS = 1e-15
_DIFFERENTIATED = 1e-13  # error of a second derivative that is made numerically


class QuadratureKernel(Kernel):
    """Gaussian averages of any activation.

    Relative to E[phi^2], E[phi'^2] and E[phi''^2], errors are about 1e-15 for one Gaussian and
    1e-14 for two, for variances up to 1e8 and every correlation, kinks or none.  (A function that
    oscillates for ever, such as sin(30 x), is resolved up to q = 1e4.)  Single averages are kept,
    so that an iteration that comes back to a point costs nothing.

    Parameters
    ----------
    activation : Activation
    """

    def __init__(self, activation: Activation) -> None:
        self.name = activation.name
        self.smooth = activation.is_smooth
        self._slope = Continued(activation.derivative)
        self._phi = Continued(activation, self._slope)
        self.odd = _is_odd(self._phi)
        self._mesh = mesh_of(activation)
        self._exact = activation._second is not None
        second = activation.second_derivative if self._exact else self._mesh.curvature
        self._curvature = Continued(second)
        self._jumps = np.array(activation.slope_jumps)
        self._pairs = PairQuadrature(
            (self._phi, self._slope, self._curvature), self._mesh, self._jumps
        )
        self._single = lru_cache(_KEPT)(self._single_of)
        self._pair = lru_cache(_KEPT)(self._pair_of)

    # ------------------------------------------------------------------ one Gaussian
    def mean(self, q: ArrayLike) -> Array:
        return _each(lambda q: self._single("mean", q), q)

    def second_moment(self, q: ArrayLike) -> Array:
        return _each(lambda q: self._single("second moment", q), q)

    def second_moment_slope(self, q: ArrayLike) -> Array:
        return _each(lambda q: self._single("its slope", q), q)

    def slope_moment(self, q: ArrayLike) -> Array:
        return _each(lambda q: self._single("slope moment", q), q)

    def _single_of(self, kind: str, q: float) -> float:
        h, w = self._mesh.gaussian_nodes(q)
        with np.errstate(over="ignore", invalid="ignore"):
            if kind in ("mean", "second moment"):
                phi = self._phi(h if q > 0 else np.zeros(h.size))
                if kind == "second moment":
                    return float(w @ phi**2)
                return 0.0 if self.odd else float(w @ phi)
            if kind == "slope moment":
                return float(w @ self._slope(h) ** 2)
            if kind == "length deficit":
                return self._length_deficit(q, h, w)
            return self._second_moment_slope(q, h, w)

    def _second_moment_slope(self, q: float, h: Array, w: Array) -> float:
        """Return dE[phi^2]/dq by the better conditioned of two forms.

        E[h phi phi'] / q cancels at small q where phi(0) is not 0; E[phi'^2] + E[phi phi''],
        with the delta functions of phi'', cancels at large q where phi saturates.
        """
        phi, slope = self._phi(h), self._slope(h)
        if q > 0:
            direct = h * phi * slope / q
            if phi[np.argmin(np.abs(h))] == 0 or self._phi(np.zeros(1))[0] == 0:
                return float(w @ direct)
        curvature = phi * self._curvature(h)
        terms = [w @ slope**2, w @ curvature]
        if self._jumps.size:
            terms.append(self._at_kinks(q))
        if q > 0:
            error = _ROUNDING if self._exact else _DIFFERENTIATED
            doubt = _ROUNDING * abs(terms[0]) + error * (w @ np.abs(curvature))
            if _ROUNDING * (w @ np.abs(direct)) <= doubt:
                return float(w @ direct)
        return float(sum(terms))

    def _at_kinks(self, q: float) -> float:
        """Return what the delta functions add to E[phi phi'']."""
        kinks = self._mesh.kinks
        masses = self._jumps * self._phi(kinks)
        if q == 0:
            mass = float(masses[kinks == 0].sum())
            return np.copysign(np.inf, mass) if mass else 0.0
        return float(masses @ np.exp(-(kinks**2) / (2 * q)) / np.sqrt(2 * np.pi * q))

    def length_deficit(self, q: ArrayLike) -> Array:
        return _each(lambda q: self._single("length deficit", q), q)

    def _length_deficit(self, q: float, h: Array, w: Array) -> float:
        """Return phi'(0)^2 q - E[phi^2], to relative accuracy for small q too if phi(0) = 0.

        With phi = a h + r it is -E[r (a h + phi)], where next to 0 r is an integral of phi''.
        """
        if self._phi(np.zeros(1))[0] != 0:
            return self._single("slope moment", 0.0) * q - self._single("second moment", q)
        tiny = float(np.finfo(np.float64).tiny)
        line = np.where(h < 0, *self._slope(np.array([-tiny, tiny]))) * h
        phi = self._phi(h)
        rest = phi - line
        edges = np.abs(self._mesh.edges(1.0))
        # a numerical phi'' is worth more than the difference only next to 0
        near = np.abs(h) < min(edges[edges > 0].min(), 1.0 if self._exact else _DIFFERENCE)
        x, weights = gauss_legendre(_NODES)
        rest[near] = h[near] ** 2 * (self._curvature(h[near, None] * x) @ (weights * (1 - x)))
        return float(-w @ (rest * (line + phi)))

    # ------------------------------------------------------------------ two Gaussians
    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        return _each(lambda a, b, e: self._pair(0, a, b, e), q1, q2, epsilon)

    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        return _each(lambda a, b, e: self._pair(1, a, b, e), q1, q2, epsilon)

    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        return _each(lambda a, b, e: self._pair(2, a, b, e), q1, q2, epsilon)

    def _pair_of(self, order: int, q1: float, q2: float, epsilon: float) -> float:
        if order == 0 and (q1 == 0 or q2 == 0):
            return self._single("mean", q1) * self._single("mean", q2)
        if q1 > q2:  # one order of evaluation, so that both orders of arguments agree exactly
            q1, q2 = q2, q1
        return self._pairs.average(order, max(q1, _TINY), max(q2, _TINY), epsilon)


def _each(function: Callable[..., float], *arguments: ArrayLike) -> Array:
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arguments))
    values = [function(*point) for point in zip(*(a.ravel().tolist() for a in arrays), strict=True)]
    return np.array(values, dtype=np.float64).reshape(arrays[0].shape)


def _is_odd(phi: Callable[[Array], Array]) -> bool:
    """Whether phi(-x) = -phi(x) to the last bits (powers are not odd to the very last)."""
    x = np.concatenate([[0.0], np.geomspace(1e-12, 1e3, 999)])
    right = phi(x)
    return bool(np.all(np.abs(phi(-x) + right) <= _LAST_BITS * np.abs(right)))
