r"""Integrals of E[phi'' phi''] over the correlation, from its values at nodes.

With e = 1 - correlation, M(e) = E[phi''(u1) phi''(u2)] and p = 2 for smooth activations, 1 with
kinks, the tables need

    Q    = (1/epsilon) int_0^epsilon (epsilon - e) q M de,
    nu Q = (1/epsilon) int_0^epsilon e q M de,

divided by epsilon^(p/2), which makes them positive and regular at 0.  M is a regular function of
sqrt(e) after multiplication by sqrt(e) with kinks, and of e without.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.diagram import chebyshev
from spinnet.propagation.kernels.base import gauss_legendre

Array = NDArray[np.float64]

_SHARPEST = 4.0  # lambda^2 / q at the top of a panel: phi'' varies on the scale 1/2 or above


def reach_of(k: int) -> float:
    """Return lambda on the panel 16^k <= q <= 16^(k+1)."""
    return math.sqrt(_SHARPEST * 16.0 ** (k + 1))


class Rule:
    """Nodes in v^p, and the integrals over e from 0 to each of their epsilon.

    Attributes
    ----------
    epsilon : ndarray, shape (n,)
    cosh : ndarray, shape (n,)
        cosh(v arsinh(lambda)).
    stretch : ndarray, shape (n,)
        d epsilon / d(v^2), or 2 d sqrt(epsilon) / dv for p = 1.
    """

    def __init__(self, reach: float, n: int, power: int) -> None:
        self._reach, self._power, self._n = reach, power, n
        self._rate = math.asinh(reach)
        self._y = chebyshev.nodes(n)
        self._v = self._y if power == 1 else np.sqrt(self._y)
        angle = self._rate * self._v
        root = np.sinh(angle) / reach
        self.epsilon = np.square(root)
        self.cosh = np.cosh(angle)
        pace = self._rate * self.cosh / reach  # d sqrt(epsilon) / dv
        self.stretch = 2 * pace if power == 1 else root * pace / self._v
        self._matrices: dict[int, tuple[Array, Array]] = {}

    def _make(self, fall: int) -> tuple[Array, Array]:
        """Return the matrices from q M to Q and to (1/epsilon) int e q M de, over epsilon^(p/2).

        q M is interpolated after multiplication by cosh^fall, which it falls off like.
        """
        n, p = self._n, self._power
        x, w = gauss_legendre(max(16, 3 * n // 4))
        v = self._v[:, None] * x
        sinh, cosh = np.sinh(self._rate * v), np.cosh(self._rate * v)
        end = np.sinh(self._rate * self._v)[:, None]
        t = sinh / end  # sqrt(e / epsilon)
        measure = w * self._v[:, None] * self._rate * cosh / end  # dt
        measure = measure * 2 * t ** (p - 1) / cosh**fall
        lagrange = chebyshev.interpolation(v if p == 1 else np.square(v), n)
        weights = np.stack([(1 - t * t) * measure, t * t * measure])
        gap, moment = np.einsum("fjg,jgl->flj", weights, lagrange) * self.cosh[:, None] ** fall
        return gap, moment

    def integrate(self, bend: Array, fall: int) -> tuple[Array, Array]:
        """Return Q and nu Q, both over epsilon^(p/2), at the nodes."""
        if fall not in self._matrices:
            self._matrices[fall] = self._make(fall)
        gap, moment = self._matrices[fall]
        return bend @ gap, bend @ moment


@lru_cache(64)
def rule_of(k: int, n: int, power: int) -> Rule:
    """Return the rule of n nodes on a panel."""
    return Rule(reach_of(k), n, power)
