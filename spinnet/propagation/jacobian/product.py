r"""The free product of layers: from the law of one layer's slopes to that of lambda = s^2.

With x the squared slopes of a layer, M(w) = E[x/(w - x)] = m, and g = 1 for Gaussian weights, 0
for orthogonal ones, S-transforms multiply (Pennington, Schoenholz & Ganguli, arXiv:1711.04735):

.. math::
    z(w) = \frac{1+m}{m} \left[\frac{m w}{1+m}\right]^L \left[\sigma_w^2 (1+m)^g\right]^L,
    \qquad \int \frac{\rho(\lambda) d\lambda}{z - \lambda} = \frac{1+m}{z}.

The right root w of z(w) = z has Im w > 0 for Im z > 0 and

.. math::
    \ln z = (1 - L + gL) \ln(1+m) + (L-1) \ln m + L \ln w + L \ln \sigma_w^2

with principal logarithms, no multiple of 2 pi i: at large z all arguments vanish, and m, 1 + m
and w stay off the real line in between.  Integrating (1+m) dz/z along w gives the logarithmic
potential,

.. math::
    \int \rho(\lambda) \ln(z - \lambda) d\lambda
        = g L m + (L-1) \ln m + L E[\ln(w - x)] + L \ln \sigma_w^2,

whose imaginary part at z = lambda + i0 is pi (1 - cdf): the distribution function needs no
integral of the density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError
from spinnet.propagation.jacobian.resolvent import Resolvent
from spinnet.propagation.jacobian.slopes import SlopeLaw

Complex = NDArray[np.complex128]
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_CHUNK = 128  # values of lambda solved together
_ROUNDS = 12  # of refining the law and solving again
_NEWTON = 6  # steps, of which so many are quick
_QUICK = 3
_STALLED = 1e-3  # share of arg z taken at once, at which the averages are looked at again
_FIRST_SHARE = 0.2
_SMALLEST = (1e-200, 1e-14)  # w in units of the largest x; the second where phi' has zeros
_LARGEST_LOG = 600.0  # of |w|
_LAST_ANGLE = 1e-13  # of z: as near to the real line as a root next to an edge need be
_ENOUGH = 1e-10  # angle at which a root that goes no further is taken all the same
_ROUNDING = 8 * float(np.finfo(np.float64).eps)
_SETTLED = 1e-8  # Newton step, in units of the distance to the values of x: its square is lost


@dataclass(frozen=True, eq=False)
class Roots:
    """Roots w of z(w) = lambda + i0 and what was averaged there; arrays of shape (n,)."""

    w: Complex
    m: Complex
    argument: Array  # E[arg(w - x)]


@dataclass(frozen=True, eq=False)
class FreeProduct:
    """z(w) of `depth` layers, and its inverse."""

    resolvent: Resolvent
    depth: int
    gaussian: bool
    log_gain: float  # ln sigma_w^2

    @property
    def law(self) -> SlopeLaw:
        """Law of the squared slopes."""
        return self.resolvent.law

    @property
    def smallest(self) -> float:
        """Size of w below which z(w) is not solved for; next to zeros of phi' digits are lost."""
        return _SMALLEST[self.law.has_zeros] * self.law.largest

    @property
    def of_one(self) -> int:
        """Power of 1 + m in z."""
        return 1 if self.gaussian else 1 - self.depth

    @property
    def of_m(self) -> int:
        """Power of m in z."""
        return self.depth - 1

    # ------------------------------------------------------------------ z(w)
    def _log_slope(self, m: Any, one: Any) -> Any:
        """Return the derivative by m of the powers of m and 1 + m in ln z, over one fraction."""
        return ((self.of_one + self.of_m) * m + self.of_m) / (m * one)

    def log_z(self, u: Complex) -> tuple[Complex, Complex, Array, Array]:
        """Return ln z at w = exp(u), d ln z / du, the distance in u to the values of x, rounding.

        The last is the error of u that rounding of ln z makes.
        """
        m, one, slope = self.resolvent.moments(np.exp(u))
        terms = (
            self.of_one * _log_below(one),
            self.of_m * _log_below(m),
            self.depth * (u + self.log_gain),
        )
        derivative = self.depth + slope * self._log_slope(m, one)
        size = np.minimum(np.abs(m), np.abs(one)) / np.abs(slope)
        rounding = _ROUNDING * sum(1 + np.abs(term) for term in terms) / np.abs(derivative)
        return terms[0] + terms[1] + terms[2], derivative, np.minimum(1.0, size), rounding

    def real_log_z(self, origin: Array, offset: Array) -> tuple[Array, Array, Array]:
        """Return ln|z|, d ln|z| / d ln|w| and m at real w = origin + offset off the values of x."""
        m, one, slope = self.resolvent.real_moments(origin, offset)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (
                self.of_one * np.log(np.abs(one))
                + self.of_m * np.log(np.abs(m))
                + self.depth * (np.log(np.abs(origin + offset)) + self.log_gain)
            )
            derivative = self.depth + slope * self._log_slope(m, one)
        return value, derivative, m

    def refined(self, w: NDArray[Any]) -> FreeProduct:
        """Return the product with averages that are right to rounding for each `w`, or itself."""
        finer = self.resolvent.refined(np.asarray(w, dtype=np.complex128))
        return self if finer is self.resolvent else replace(self, resolvent=finer)

    # ------------------------------------------------------------------ its inverse
    def roots(self, log_lambda: Array) -> Roots:
        """Return the roots for values of ln(lambda) inside the spectrum, shape (n,).

        Raises
        ------
        ConvergenceError
            If the continuation from the negative axis fails.
        """
        if log_lambda.size == 0:
            nothing = np.zeros(0, dtype=np.complex128)
            return Roots(nothing, nothing, np.zeros(0))
        order = np.argsort(log_lambda)
        parts = [
            self._chunk(log_lambda[order[k : k + _CHUNK]]) for k in range(0, order.size, _CHUNK)
        ]
        back = np.argsort(order)
        fields = ("w", "m", "argument")
        return Roots(*(np.concatenate([getattr(p, f) for p in parts])[back] for f in fields))

    def _chunk(self, log_lambda: Array) -> Roots:
        product = self._prepared(log_lambda[:: max(1, log_lambda.size // 8)])
        u, angle = product._on_negative_axis(log_lambda)
        for _ in range(_ROUNDS):
            u, angle = product._rotated(log_lambda, u, angle)
            finer = product.refined(np.exp(u))
            if finer is product:
                break
            product = finer
            # roots that were followed to the end are near the new ones, others start again
            start, whole_turn = product._on_negative_axis(log_lambda)
            tried, good, _ = product._corrected(u.copy(), _complex(log_lambda, angle))
            good &= angle <= _ENOUGH
            u, angle = np.where(good, tried, start), np.where(good, angle, whole_turn)
        if (angle > _ENOUGH).any():
            raise self._lost(log_lambda, angle)
        w = np.exp(u)
        return Roots(w, product.resolvent.moments(w)[0], product.resolvent.argument(w))

    def _prepared(self, log_lambda: Array) -> FreeProduct:
        """Return the product with averages that hold for w of the roots' size, at arg pi/2."""
        product = self
        for _ in range(_ROUNDS):
            u, _ = product._on_negative_axis(log_lambda)
            finer = product.refined(1j * np.maximum(np.exp(u.real), self.smallest))
            if finer is product:
                break
            product = finer
        return product

    def _rotated(self, log_lambda: Array, u: Complex, angle: Array) -> tuple[Complex, Array]:
        """Return roots u = ln w for arg z turned from `angle` to 0, and how far arg z came.

        On the negative axis the root is real, alone, and far from the values of x; from there z
        turns through the upper half-plane by steps that Newton's method corrects.  Where the
        root ends on the real line, or too near to it to tell, arg z stops at 1e-13.
        """
        share = np.full(u.size, _FIRST_SHARE)  # of arg z, to be taken next
        last = np.where(angle <= _ENOUGH, _LAST_ANGLE, 0.0)
        while (active := np.flatnonzero((angle > last) & (share > _STALLED))).size:
            target = np.maximum(angle[active] * (1 - share[active]), last[active])
            _, slope, _, _ = self.log_z(u[active])
            move = angle[active] - target
            tried, good, quick = self._corrected(
                u[active] - 1j * move / slope, _complex(log_lambda[active], target)
            )
            u[active[good]] = tried[good]
            angle[active[good]] = target[good]
            # longer steps, all of arg z in the end; after that has failed, by growing factors
            near = last[active] > 0
            grown = np.where(near, 1 - (1 - share[active]) / 4, np.minimum(2 * share[active], 1))
            share[active[quick]] = grown[quick]
            share[active[~good]] /= 3
            last[active[~good & (target == 0)]] = _LAST_ANGLE
        ended = np.flatnonzero(angle == _LAST_ANGLE)
        if ended.size:
            flat = _complex(log_lambda[ended], np.zeros(ended.size))
            tried, good, _ = self._corrected(u[ended].copy(), flat)
            u[ended[good]] = tried[good]
        return u, angle

    def _corrected(self, u: Complex, log_z: Complex) -> tuple[Complex, Flags, Flags]:
        """Return roots next to `u` by Newton's method, which are good, and which came quickly."""
        good = np.zeros(u.size, dtype=bool)
        quick = np.zeros(u.size, dtype=bool)
        todo = np.flatnonzero((u.imag > 0) & (u.imag < math.pi))
        for k in range(_NEWTON):
            if todo.size == 0:
                break
            value, slope, scale, rounding = self.log_z(u[todo])
            change = -(value - log_z[todo]) / slope
            u[todo] += change
            alive = (np.abs(change) <= 0.5 * scale) & (u[todo].imag > 0) & (u[todo].imag < math.pi)
            done = alive & (np.abs(change) <= np.maximum(_SETTLED * scale, rounding))
            good[todo[done]] = True
            quick[todo[done]] = k < _QUICK
            todo = todo[alive & ~done]
        return u, good, quick

    def _on_negative_axis(self, log_lambda: Array) -> tuple[Complex, Array]:
        """Return u = ln r + i pi with z(-r) = -lambda, and arg z = pi.

        z(-r) decreases: safeguarded Newton steps in ln r.
        """
        mean = float(self.law.average(lambda x: x))
        s = log_lambda - self.depth * self.log_gain - (self.depth - 1) * math.log(mean)
        s = np.clip(s, -_LARGEST_LOG, _LARGEST_LOG)
        low, high = np.full(s.size, -np.inf), np.full(s.size, np.inf)
        for _ in range(300):
            value, slope, _ = self.real_log_z(np.zeros(s.size), -np.exp(s))
            gap = value - log_lambda
            low, high = np.where(gap < 0, s, low), np.where(gap > 0, s, high)
            change = np.clip(-gap / slope, -20, 20)
            s = np.clip(s + change, -_LARGEST_LOG, _LARGEST_LOG)
            # a root beyond the bounds is one of averages that are not resolved yet
            settled = (np.abs(change) <= 1e-9 * (1 + np.abs(s))) | (np.abs(s) == _LARGEST_LOG)
            outside = ~settled & ((s <= low) | (s >= high)) & np.isfinite(low) & np.isfinite(high)
            s[outside] = (low[outside] + high[outside]) / 2
            if settled.all():
                turn = np.full(s.size, math.pi)
                return _complex(s, turn), turn
        raise self._lost(log_lambda, np.full(s.size, math.pi))

    def _lost(self, log_lambda: Array, angle: Array) -> ConvergenceError:
        worst = int(np.argmax(angle))
        return ConvergenceError(
            f"the root of z(w) = lambda was lost at ln(lambda) = {log_lambda[worst]:.12g}, "
            f"arg z = {angle[worst]:.3g}, for depth {self.depth}; a lambda within 1e-12 of an edge "
            "of the spectrum can be moved away from it",
            solution=angle,
        )


def _complex(real: Array, imag: Array) -> Complex:
    return np.asarray(real + 1j * imag, dtype=np.complex128)


def _log_below(z: Complex) -> Complex:
    """Return ln z with the argument in [-pi, 0], where m and 1 + m are."""
    return np.asarray(np.log(np.abs(z)) - 1j * np.abs(np.angle(z)))
