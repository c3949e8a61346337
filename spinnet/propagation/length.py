"""The length map q -> V(q) = w F(q) + b and all of its fixed points.

Concave maps (tanh, erf, sin, hard tanh, sigmoid) have one fixed point besides 0; Newton's method
from above is monotone for them.  Homogeneous maps (ReLU, leaky ReLU, linear) are straight lines.
Every other map is scanned over q in [1e-12, 1e12] for sign changes of ln V(q) - ln q, and its
local extrema for pairs of roots that are about to merge: GELU and SiLU have up to three fixed
points (two of them stable).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from spinnet.propagation.kernels.base import Kernel

Array = NDArray[np.float64]

_ROUNDING = 4 * float(np.finfo(float).eps)
_SCAN = np.log(np.geomspace(1e-12, 1e12, 481))
_SCANNED: WeakKeyDictionary[Kernel, Array] = WeakKeyDictionary()
_SMALL = 0.5  # below it V(q) - q is computed from phi'(0)^2 q - F(q)
_TOUCHING = 1e-10
_NOISE = 1e-14
_TINY = 1e-7
_LOWEST = math.log(1e-60)
FAR = 1e60  # beyond it F is continued by its power of q: products of lengths overflow


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of the length map.

    Attributes
    ----------
    q : float
        Variance of the pre-activations.
    slope : float
        chi_q = V'(q).
    chi_1 : float
        Slope of the correlation map at c = 1 there.
    stable : bool
        Whether abs(slope) < 1.
    """

    q: float
    slope: float
    chi_1: float
    stable: bool


class LengthMap:
    """V(q) = w F(q) + b.

    Parameters
    ----------
    kernel : Kernel
    w, b : float
        Variances, noise included: w = sigma_w^2 mu, b = sigma_b^2 + sigma_w^2 a.
    excess_at_zero : float
        w phi'(0)^2 - 1, computed without cancellation where it is small.
    """

    def __init__(self, kernel: Kernel, w: float, b: float, excess_at_zero: float) -> None:
        self.kernel, self.w, self.b = kernel, w, b
        self._excess_at_zero = excess_at_zero
        self._zero_is_fixed = b == 0 and float(kernel.second_moment(0.0)) == 0

    def value(self, q: ArrayLike) -> Array:
        """Return V(q); inf where it passes the largest number."""
        q = np.asarray(q, dtype=np.float64)
        if q.max(initial=0.0) <= FAR:
            return np.asarray(self.w * self.kernel.second_moment(q) + self.b)
        with np.errstate(over="ignore"):
            further = np.maximum(q / FAR, 1) ** self._far_power
            moment = self.kernel.second_moment(np.minimum(q, FAR)) * further
            return np.asarray(self.w * moment + self.b)

    def slope(self, q: ArrayLike) -> Array:
        """Return V'(q)."""
        q = np.asarray(q, dtype=np.float64)
        if q.max(initial=0.0) <= FAR:
            return np.asarray(self.w * self.kernel.second_moment_slope(q))
        with np.errstate(over="ignore"):
            further = np.maximum(q / FAR, 1) ** (self._far_power - 1)
            return np.asarray(
                self.w * self.kernel.second_moment_slope(np.minimum(q, FAR)) * further
            )

    @cached_property
    def _far_power(self) -> float:
        moment = float(self.kernel.second_moment(FAR))
        return FAR * float(self.kernel.second_moment_slope(FAR)) / moment if moment else 0.0

    def excess(self, q: ArrayLike) -> Array:
        """Return V(q) - q, for odd activations without cancellation at small q."""
        q = np.asarray(q, dtype=np.float64)
        result = np.asarray(self.value(q) - q)
        if self.kernel.odd and not self.kernel.homogeneous:
            small = q < _SMALL
            if small.any():
                part = q[small] if q.ndim else q
                fine = self._excess_at_zero * part - self.w * self.kernel.length_deficit(part)
                result[small] = fine + self.b
        return result

    # ------------------------------------------------------------------ fixed points
    def positive_roots(self) -> list[float]:
        """Return every fixed point q > 0, increasing; empty where V(q) = q for all q."""
        return list(self._positive_roots)

    @cached_property
    def _positive_roots(self) -> list[float]:
        if self.w == 0:
            return [self.b] if self.b > 0 else []
        if self.kernel.homogeneous:
            gap = 1 - float(self.slope(1.0))
            return [self.b / gap] if self.b > 0 and gap > _ROUNDING else []
        if self.kernel.concave:
            return self._concave_root()
        return self._scanned_roots()

    @property
    def is_marginal(self) -> bool:
        """Whether every q is a fixed point (homogeneous activation at criticality)."""
        return (
            self.kernel.homogeneous and self.b == 0 and abs(float(self.slope(1.0)) - 1) <= _ROUNDING
        )

    def has_zero(self) -> bool:
        """Whether q = 0 is a fixed point."""
        return self._zero_is_fixed

    def target(self, q0: float) -> float:
        """Return the fixed point that q, starting from `q0`, flows to; inf if it grows for ever."""
        if self.is_marginal:
            return q0
        roots = self.positive_roots()
        if self.kernel.homogeneous:
            grows = float(self.slope(1.0)) > 1 if self.b == 0 else not roots
            if grows:
                return math.inf if q0 > 0 or self.b > 0 else 0.0
        if q0 == 0 and self._zero_is_fixed:
            return 0.0
        if self._concave_case():
            return roots[0] if roots else 0.0
        for root in roots:
            if abs(q0 - root) <= _TOUCHING * root:
                return root
        if float(self.excess(q0)) > 0:
            above = [root for root in roots if root > q0]
            return above[0] if above else math.inf
        below = [root for root in roots if root < q0]
        return below[-1] if below else 0.0

    def _concave_case(self) -> bool:
        return self.kernel.concave or self.kernel.homogeneous or self.w == 0

    def _concave_root(self) -> list[float]:
        if self._zero_is_fixed and self._excess_at_zero <= 0:
            return []
        q = max(1.0, self.b)
        while float(self.excess(q)) >= 0:
            q *= 2
        last = False
        while float(self.slope(q)) < 1 - _TINY:
            new = q - float(self.excess(q)) / (float(self.slope(q)) - 1)
            done = abs(new - q) <= 1e-8 * q
            q = max(new, q / 4)
            if last:
                return [q]
            last = done
        # 1 - V' is lost in rounding there, V - q is not
        low = q
        while float(self.excess(low)) <= 0:
            low /= 16
        while float(self.excess(q)) >= 0:
            q *= 2
        u = optimize.brentq(
            lambda u: float(self._relative(np.array(u))),
            math.log(low),
            math.log(q),
            xtol=1e-16,
            rtol=_ROUNDING,
        )
        return [math.exp(u)]

    def _scanned_roots(self) -> list[float]:
        x, r = _SCAN, self._scanned()
        if 0 < self.b < math.exp(x[0]):  # V >= b: the lowest root may be as low as that
            first = np.array([math.log(self.b / 2)])
            x, r = np.concatenate([first, x]), np.concatenate([self._relative(first), r])
        elif self._zero_is_fixed and r[0] < 0:  # signals may still leave 0, to a lower root
            first = np.array([_LOWEST])
            x, r = np.concatenate([first, x]), np.concatenate([self._relative(first), r])
        known = np.flatnonzero(np.abs(r) > _NOISE)  # V may tend to q: rounding has no roots
        brackets = [
            (float(x[i]), float(x[j])) for i, j in itertools.pairwise(known) if r[i] * r[j] < 0
        ]
        roots: list[float] = []
        for i in range(1, len(x) - 1):
            if not (abs(r[i]) <= abs(r[i - 1]) and abs(r[i]) <= abs(r[i + 1])):
                continue
            if min(r[i] * r[i - 1], r[i] * r[i + 1]) <= 0 or abs(r[i]) > 0.1:
                continue
            sign = np.sign(r[i])
            found: Any = optimize.minimize_scalar(
                lambda u, sign=sign: sign * float(self._relative(np.array(u))),
                bounds=(x[i - 1], x[i + 1]),
                method="bounded",
                options={"xatol": 1e-10},
            )
            if found.fun < -1e-15:
                brackets += [(x[i - 1], float(found.x)), (float(found.x), x[i + 1])]
            elif found.fun < _TOUCHING < 1e-2 * min(abs(r[i - 1]), abs(r[i + 1])):
                roots.append(float(np.exp(found.x)))
        for low, high in brackets:
            u = float(
                optimize.brentq(lambda u: float(self._relative(np.array(u))), low, high, xtol=1e-9)
            )
            roots.append(self._polished(math.exp(u), math.exp(low), math.exp(high)))
        return sorted(roots)

    def _scanned(self) -> Array:
        """Return ln V(q) - ln q on the nodes of the scan; F there is kept with the kernel."""
        if self.kernel.odd:
            return self._relative(_SCAN)
        q, moments = np.exp(_SCAN), _SCANNED.get(self.kernel)
        if moments is None:
            moments = _SCANNED[self.kernel] = self.kernel.second_moment(q)
        value = self.w * moments + self.b
        return _log_ratio(q, value, value - q)

    def _relative(self, x: Array) -> Array:
        """Return ln V(q) - ln q at q = exp(x)."""
        q = np.exp(x)
        return _log_ratio(q, self.value(q), self.excess(q))

    def _polished(self, q: float, low: float, high: float) -> float:
        for _ in range(3):
            gap = float(self.slope(q)) - 1
            if gap == 0:
                break
            new = q - float(self.excess(q)) / gap
            if not low <= new <= high:
                break
            q = new
        return q


def _log_ratio(q: Array, value: Array, excess: Array) -> Array:
    """Return ln(value / q), from excess = value - q where that is small."""
    share = np.asarray(excess / q)
    far = share < -0.5
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(far, np.log(value / q), np.log1p(np.where(far, 0.0, share))))
