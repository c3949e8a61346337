r"""Three estimators of the extreme-value index xi for every number k of largest values.

With x_1 >= x_2 >= ... the data in decreasing order and e_i = ln(x_i / x_(i+1)):

* ``hill``: M_1 = (1/k) sum_(i<=k) ln(x_i / x_(k+1)), positive by construction (Hill,
  Ann. Stat. 3, 1163 (1975));
* ``moments``: M_1 + 1 - (1/2) / (1 - M_1^2/M_2), any sign (Dekkers, Einmahl and de Haan,
  Ann. Stat. 17, 1833 (1989)), M_j the mean of the j-th power of the same logarithms;
* ``kernel``: with the biweight kernel K, v = i/k and a = 0.6,
  sum v K(v) e_i - 1 + (sum (v^(a+1) K)' e_i) / (sum v^a K(v) e_i), any sign (Groeneboom, Lopuhaa
  and de Wolf, Ann. Stat. 31, 1956 (2003)); k is their bandwidth times n.

Everything is a running sum over e_i, so that the curve over all k costs O(n).  All terms of the
moments are positive: nothing cancels.

Each estimator has a companion that tends to the same limit; the double bootstrap minimises the
mean square of their difference.  Variances and biases of both follow here from the second-order
expansion of the spacings, E[i e_i] = phi(i/k), phi(v) ~ v^g (1 + A v^r), g = max(0, -xi),
r = -rho > 0; the factor between the best k of both needs only ratios, in which A drops out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_A = 0.6  # exponent of Groeneboom et al.; they need > 1/2 and used 0.6
_ZETA_2_2A, _ZETA_1_A = -4.437538415895550, -1.134797783866982  # zeta(0.8), zeta(0.4)
_LARGEST_RATE = 20.0  # of the bias, r: beyond, the curve is flat and every k is as good


def spacings(decreasing: Floats) -> Floats:
    """Return e_i = ln(x_i / x_(i+1)), accurate also where neighbours nearly agree."""
    upper, lower = decreasing[:-1], decreasing[1:]
    with np.errstate(over="ignore"):
        gap = (upper - lower) / lower
    return np.where(np.isfinite(gap), np.log1p(gap), np.log(upper) - np.log(lower))


class Moments(NamedTuple):
    """M_1, M_2, M_3 at each k."""

    first: Floats
    second: Floats
    third: Floats


def moments(e: Floats, k: Integers | None = None) -> Moments:
    """Return the moments at `k` (all of 1..n-1 by default)."""
    i = np.arange(1.0, e.size + 1.0)
    s1 = np.cumsum(i * e)
    before = np.concatenate([[0.0], s1[:-1]])
    s2 = np.cumsum(2.0 * e * before + i * e**2)
    before2 = np.concatenate([[0.0], s2[:-1]])
    s3 = np.cumsum(3.0 * e * before2 + 3.0 * e**2 * before + i * e**3)
    if k is None:
        return Moments(s1 / i, s2 / i, s3 / i)
    at = k - 1
    return Moments(s1[at] / k, s2[at] / k, s3[at] / k)


def hill(m: Moments) -> Floats:
    """Return the Hill estimate."""
    return m.first


def dekkers(m: Moments) -> Floats:
    """Return the moments estimate; NaN where the logarithms have no spread."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(m.first + 1.0 - 0.5 / (1.0 - m.first**2 / m.second))


def draisma(m: Moments) -> Floats:
    """Return the companion of the moments estimate (Draisma et al., Extremes 2, 367 (1999))."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = 1.0 - m.first * m.second / m.third
        return _finite(np.sqrt(m.second / 2.0) + 1.0 - (2.0 / 3.0) / shape)


def kernel(e: Floats, power: int = 2, k: Integers | None = None) -> Floats:
    """Return the kernel estimate for K(v) = c (1 - v^2)^power; NaN where it is not defined."""
    i = np.arange(1.0, e.size + 1.0)
    at = slice(None) if k is None else k - 1
    width = i[at]
    positive, lower, upper = np.zeros(width.size), np.zeros(width.size), np.zeros(width.size)
    # in units of the whole range, so that no power overflows
    u = i / e.size
    scale = width / e.size
    first, second = u * e, u**_A * e
    first_scale, second_scale = scale, scale**_A
    for j, c in enumerate(_polynomial(power)):
        if j:  # times u^2: powers are the slow part
            first, second = first * u * u, second * u * u
            first_scale, second_scale = first_scale * scale**2, second_scale * scale**2
        positive += c * np.cumsum(first)[at] / first_scale
        sums = c * np.cumsum(second)[at] / second_scale
        lower += sums
        upper += (_A + 1.0 + 2 * j) * sums
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(positive - 1.0 + upper / lower)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _polynomial(power: int) -> list[float]:
    """Return c_j of K(v) = sum_j c_j v^(2j), whose integral over (0, 1) is 1."""
    terms = [(-1.0) ** j * math.comb(power, j) for j in range(power + 1)]
    total = sum(t / (2 * j + 1) for j, t in enumerate(terms))
    return [t / total for t in terms]


class Response(NamedTuple):
    """How an estimator moves: its variance times k, and its bias per unit of A."""

    variance: float
    bias: float


def hill_response(xi: float, rho: float) -> tuple[Response, Response]:
    """Return the responses of the Hill estimate, and of M_2 - 2 M_1^2 (Danielsson et al.)."""
    gamma = max(abs(xi), 1e-6)
    main = _moment_response(gamma, rho, lambda m1, m2, m3: (1.0, 0.0, 0.0))
    return main, _moment_response(gamma, rho, lambda m1, m2, m3: (-4.0 * m1, 1.0, 0.0))


def moments_response(xi: float, rho: float) -> tuple[Response, Response]:
    """Return the responses of the moments estimate, and of its difference from the companion."""

    def main(m1: float, m2: float, m3: float) -> tuple[float, float, float]:
        slope = -0.5 / (1.0 - m1**2 / m2) ** 2
        return (xi > 0) + slope * 2.0 * m1 / m2, -slope * m1**2 / m2**2, 0.0

    def difference(m1: float, m2: float, m3: float) -> tuple[float, float, float]:
        slope = (2.0 / 3.0) / (1.0 - m1 * m2 / m3) ** 2
        other = (
            -slope * m2 / m3,
            (xi > 0) * 0.25 / math.sqrt(m2 / 2.0) - slope * m1 / m3,
            slope * m1 * m2 / m3**2,
        )
        mine = main(m1, m2, m3)
        return mine[0] - other[0], mine[1] - other[1], mine[2] - other[2]

    return _moment_response(xi, rho, main), _moment_response(xi, rho, difference)


Gradient = Callable[[float, float, float], tuple[float, float, float]]


def _moment_response(xi: float, rho: float, gradient: Gradient) -> Response:
    """Linearise a function of the moments around its limit.

    Above x_(k+1) the logarithms are k independent copies of Y = int_u^1 phi(v) dv/v, u uniform;
    with w = -ln u, Y = gamma w for xi > 0 and (1 - exp(-g w))/g for xi = -g (the scale drops
    out), and A adds (1 - exp(-(g + r) w))/(g + r).
    """
    w, weight = _exponential_rule()
    g, r = max(0.0, -xi), _rate(rho)
    y = xi * w if xi > 0 else _saturating(g, w)
    shift = _saturating(g + r, w)
    m1, m2, m3 = (float(weight @ y**j) for j in (1, 2, 3))
    d1, d2, d3 = gradient(m1, m2, m3)
    influence = d1 * y + d2 * y**2 + d3 * y**3
    centred = influence - weight @ influence
    change = (d1 + 2.0 * d2 * y + 3.0 * d3 * y**2) * shift
    return Response(float(weight @ centred**2), float(weight @ change))


def kernel_response(xi: float, rho: float) -> tuple[Response, Response]:
    """Return the responses of the biweight estimate, and of its difference from the triweight."""
    v, weight = _unit_rule()
    g, r = max(0.0, -xi), _rate(rho)
    curves, biases = [], []
    for power in (2, 3):
        c = np.array(_polynomial(power))
        j = np.arange(power + 1)
        lower = float(np.sum(c / (_A + g + 2 * j)))  # int v^(a+g-1) K
        ratio = _ratio_curve(v, c, g) / lower
        if xi > 0:
            curves.append(xi * (v[:, None] ** (2 * j)) @ c + ratio)
            biases.append(
                float(np.sum(c / (1 + r + 2 * j)))
                - r * float(np.sum(c / (_A + r + 2 * j))) / (lower * xi)
            )
        else:
            curves.append(ratio)
            biases.append(-r * float(np.sum(c / (_A + g + r + 2 * j))) / lower)
    main = Response(float(weight @ curves[0] ** 2), biases[0])
    apart = Response(float(weight @ (curves[0] - curves[1]) ** 2), biases[0] - biases[1])
    return main, apart


def kernel_excess(xi: Floats, k: NDArray[Any]) -> Floats:
    """Return k times the variance of the biweight estimate less its limit, for xi > 0.

    The squared weights behave like v^(2a-2) and v^(a-1) at v = 0, where a sum over v = i/k falls
    short of the integral by zeta functions times powers of k that vanish slowly.
    """
    c = np.array(_polynomial(2))
    lower = float(np.sum(c / (_A + 2 * np.arange(3))))
    s = c[0] * _A / lower
    square = s**2 * _ZETA_2_2A * np.power(k, 1.0 - 2.0 * _A)
    mixed = 2.0 * xi * c[0] * s * _ZETA_1_A * np.power(k, -_A)
    return np.asarray(np.where(xi > 0.0, square + mixed, 0.0))


def _ratio_curve(v: Floats, c: Floats, g: float) -> Floats:
    """Return the square root of the variance density of the ratio of the two sums.

    For g = 0, e_i is gamma/i times a unit exponential, so that a sum of weights f(v) e_i has
    the density f(v)/v.  For g > 0 the same spacings stretched by v^g are correlated through
    x_(k+1): by partial summation the density is that of int_v^1 f'(t) t^(g-1) dt.
    """
    j = np.arange(c.size)
    powers = _A + 2 * j
    weights = c * (powers + 1.0 - (1.0 - g))  # (v^(a+1) K)' - (1 - g) v^a K
    if g == 0.0:
        return np.asarray((v[:, None] ** (powers - 1.0)) @ weights)
    ends = powers + g - 1.0
    partial = np.where(
        np.abs(ends) < 1e-9,
        -np.log(v)[:, None],
        (1.0 - v[:, None] ** ends) / np.where(ends, ends, 1.0),
    )
    return np.asarray(partial @ (weights * powers))


def _saturating(s: float, w: Floats) -> Floats:
    """Return (1 - exp(-s w))/s, w at s = 0."""
    return w if s == 0.0 else -np.expm1(-s * w) / s


def _rate(rho: float) -> float:
    return min(max(-rho, 1e-3), _LARGEST_RATE)


@cache
def _exponential_rule() -> tuple[Floats, Floats]:
    """Return nodes and weights of the average over a unit exponential w = -ln u."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    w = 30.0 * (1.0 + nodes)  # up to 60: exp(-60) w^6 is nothing
    weight = 30.0 * weights * np.exp(-w)
    return w, weight / weight.sum()


@cache
def _unit_rule() -> tuple[Floats, Floats]:
    """Return nodes and weights on (0, 1), with v = t^5 for the singularity at 0."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    t = 0.5 * (1.0 + nodes)
    return t**5, 2.5 * weights * t**4
