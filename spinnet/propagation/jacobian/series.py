"""Moments of lambda from those of x, by power series in m: S-transforms multiply."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def product_moments(slopes: Array, depth: int, gaussian: bool) -> Array:
    r"""Return E[lambda^k] / E[lambda]^k for k = 1, 2, ..., one for each of `slopes`.

    With psi(t) = sum_k E[x^k] t^k and chi its inverse, S(m) = chi(m) (1 + m)/m; the inverse of
    the product's psi is m S(m)^L (1 + m)^(-gL) / (1 + m), and Lagrange's formula inverts it:

    .. math:: E[\lambda^k] = \frac{1}{k} [m^{k-1}]
        \left(\frac{\chi(m)}{m}\right)^{-kL} (1+m)^{k(1 - L + gL)} .

    Parameters
    ----------
    slopes : ndarray, shape (order,)
        E[x^k] / E[x]^k.
    depth : int
    gaussian : bool
        g = 1, else 0.
    """
    order = slopes.size
    inverse = np.array([_power(slopes, -n)[n - 1] / n for n in range(1, order + 1)])
    of_one = 1 if gaussian else 1 - depth
    return np.array(
        [
            np.dot(_power(inverse, -k * depth)[:k], _binomial(k * of_one, k)[::-1]) / k
            for k in range(1, order + 1)
        ]
    )


def _power(a: Array, p: float) -> Array:
    """Return the coefficients of (a_0 + a_1 t + ...)^p to the order of `a`; a_0 = 1."""
    b = np.zeros(a.size)
    b[0] = 1.0
    for n in range(1, a.size):
        k = np.arange(1, n + 1)
        b[n] = np.sum((p * k - (n - k)) * a[1 : n + 1] * b[n - 1 :: -1][:n]) / n
    return b


def _binomial(p: int, n: int) -> Array:
    """Return the first n coefficients of (1 + m)^p."""
    factors = [(p - k) / (k + 1) for k in range(n - 1)]
    return np.array([math.prod(factors[:k]) for k in range(n)])
