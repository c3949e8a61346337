r"""Sums of powers with two derivatives in the exponent, for any exponent, in O(1) terms.

Every sum is normalised by its first term, so that nothing under- or overflows at a large start:

.. math:: M_k(s; q) = \sum_{j \ge 0} \ln^k\!\left(\frac{q+j}{q}\right)
                      \left(\frac{q+j}{q}\right)^{-s}, \qquad k = 0, 1, 2.

Hence zeta(s, q) = q^-s M_0, and M_1, M_2 are (up to sign) the s-derivatives of M_0, which
``scipy.special.zeta`` does not offer.  A short direct head is followed by the Euler-Maclaurin
formula (DLMF 2.10.1) with ten Bernoulli terms.  The relative error is a few 1e-15.
"""

from __future__ import annotations

import math

import numpy as np

from spinnet.compiling import compiled

# B_2k / (2k)!, k = 1..10.
_BERNOULLI = np.array(
    [
        1 / 12,
        -1 / 720,
        1 / 30240,
        -1 / 1209600,
        1 / 47900160,
        -691 / 1307674368000,
        1 / 74724249600,
        -3617 / 10670622842880000,
        43867 / 5109094217170944000,
        -174611 / 802857662698291200000,
    ]
)
# The Bernoulli terms fall off as ((|s| + 2k) / (2 pi x))^2, so they start at x >= |s| + 12.
_HEAD = 12.0
# Below this many terms a truncated sum is cheaper (and exact) when added directly.
_DIRECT = 40.0


@compiled(nogil=True, error_model="numpy")
def _edge(s: float, x: float) -> tuple[float, float, float]:
    """Return sum_k B_2k/(2k)! (s)_(2k-1) x^(1-2k) and its first two derivatives in s."""
    c0 = c1 = c2 = 0.0
    p0, p1, p2 = s / x, 1.0 / x, 0.0  # (s)_1 / x; products keep s = 0, -1, ... regular
    for k in range(_BERNOULLI.size):
        b = _BERNOULLI[k]
        c0 += b * p0
        c1 += b * p1
        c2 += b * p2
        if abs(b) * (abs(p0) + abs(p1) + abs(p2)) < 1e-18:
            break
        for i in range(2 * k + 1, 2 * k + 3):
            p2 = (p2 * (s + i) + 2.0 * p1) / x
            p1 = (p1 * (s + i) + p0) / x
            p0 = p0 * (s + i) / x
    return c0, c1, c2


@compiled(nogil=True, error_model="numpy")
def hurwitz(s: float, q: float) -> tuple[float, float, float]:
    """Return M_0, M_1, M_2 for s > 1 and q >= 1 (module docstring)."""
    m0 = m1 = m2 = 0.0
    j = 0.0  # counted apart: q + 1 is q beyond 2^53
    while q + j < s + _HEAD:
        t = math.log1p(j / q)
        f = math.exp(-s * t)
        m0 += f
        m1 += t * f
        m2 += t * t * f
        j += 1.0
        if t * t * f < 1e-18 * m2:
            return m0, m1, m2
    x = q + j
    t = math.log1p(j / q)
    f = math.exp(-s * t)
    c0, c1, c2 = _edge(s, x)
    c0 += 0.5
    r = 1.0 / (s - 1.0)
    integral = x * r
    m0 += f * (integral + c0)
    m1 += f * (integral * (t + r) + t * c0 - c1)
    m2 += f * (integral * (t * t + 2.0 * r * (t + r)) + t * t * c0 - 2.0 * t * c1 + c2)
    return m0, m1, m2


@compiled(nogil=True, error_model="numpy")
def hurwitz_value(s: float, q: float) -> float:
    """Return M_0 alone: zeta(s, q) q^s, for s > 1 and q >= 1."""
    total = j = 0.0
    while q + j < s + _HEAD:
        f = math.exp(-s * math.log1p(j / q))
        total += f
        j += 1.0
        if f < 1e-18 * total:
            return total
    x = q + j
    f = math.exp(-s * math.log1p(j / q))
    p = s / x
    edge = 0.5
    for k in range(_BERNOULLI.size):
        term = _BERNOULLI[k] * p
        edge += term
        if abs(term) < 1e-17:
            break
        p *= (s + 2 * k + 1) / x * ((s + 2 * k + 2) / x)
    return total + f * (x / (s - 1.0) + edge)


@compiled(nogil=True, error_model="numpy")
def _exponential_moments(x: float) -> tuple[float, float, float]:
    """Return int_0^1 t^k exp(x t) dt for k = 0, 1, 2, without a pole at x = 0."""
    if abs(x) < 2.0:
        g0 = g1 = g2 = 0.0
        term = 1.0
        for n in range(30):
            g0 += term / (n + 1)
            g1 += term / (n + 2)
            g2 += term / (n + 3)
            term *= x / (n + 1)
        return g0, g1, g2
    g0 = math.expm1(x) / x
    g1 = (math.exp(x) - g0) / x
    return g0, g1, (math.exp(x) - 2.0 * g1) / x


@compiled(nogil=True, error_model="numpy")
def truncated_sum(s: float, a: float, b: float) -> tuple[float, float, float]:
    """Return sum_(x=a)^b ln^k(x/a) (x/a)^-s, k = 0, 1, 2, for any real s and 1 <= a <= b.

    The cost does not grow with b.  Overflows only where (b/a)^-s itself does.
    """
    m0 = m1 = m2 = 0.0
    j = 0.0  # counted apart: a + 1 is a beyond 2^53
    direct = b - a < abs(s) + _HEAD + _DIRECT
    while j <= b - a and (direct or a + j < abs(s) + _HEAD):
        t = math.log1p(j / a)
        f = math.exp(-s * t)
        m0 += f
        m1 += t * f
        m2 += t * t * f
        j += 1.0
        if t * t * f < 1e-20 * m2 and s > 0.0:  # fewer than |s| + 52 terms are left, and falling
            return m0, m1, m2
    if direct:
        return m0, m1, m2
    x = a + j
    t = math.log1p(j / a)
    f = math.exp(-s * t)
    length = math.log1p((b - x) / x)
    g0, g1, g2 = _exponential_moments((1.0 - s) * length)
    g0 *= x * length
    g1 *= x * length**2
    g2 *= x * length**3
    c0, c1, c2 = _edge(s, x)
    c0 += 0.5
    m0 += f * (g0 + c0)
    m1 += f * (t * g0 + g1 + t * c0 - c1)
    m2 += f * (t * t * g0 + 2.0 * t * g1 + g2 + t * t * c0 - 2.0 * t * c1 + c2)
    t = math.log1p((b - a) / a)
    f = math.exp(-s * t)
    c0, c1, c2 = _edge(s, b)
    c0 = 0.5 - c0
    m0 += f * c0
    m1 += f * (t * c0 + c1)
    m2 += f * (t * t * c0 + 2.0 * t * c1 - c2)
    return m0, m1, m2


@compiled(nogil=True, error_model="numpy")
def _falling_sum(s: float, a: float, b: float) -> tuple[float, float, float]:
    """Return sum_(x=a)^b ln^k(b/x) (x/b)^-s, k = 0, 1, 2, for s < 0: the weights fall from b."""
    m0 = m1 = m2 = 0.0
    start = max(a, math.ceil(-s + _HEAD))  # from here on, Euler-Maclaurin
    direct = b - a < -s + _HEAD + _DIRECT or start >= b
    x = b if direct else start - 1.0
    while x >= a:
        t = -math.log1p((x - b) / b)
        f = math.exp(s * t)
        m0 += f
        m1 += t * f
        m2 += t * t * f
        x -= 1.0
        if t * t * f < 1e-20 * m2 and direct:
            return m0, m1, m2
    if direct:
        return m0, m1, m2
    t = -math.log1p((start - b) / b)
    f = math.exp(s * t)
    g0, g1, g2 = _exponential_moments((s - 1.0) * t)
    c0, c1, c2 = _edge(s, start)
    c0 += 0.5
    e0, e1, e2 = _edge(s, b)
    m0 += b * t * g0 + f * c0 + 0.5 - e0
    m1 += b * t * t * g1 + f * (t * c0 + c1) - e1
    m2 += b * t**3 * g2 + f * (t * t * c0 + 2.0 * t * c1 + c2) - e2
    return m0, m1, m2


@compiled(nogil=True, error_model="numpy")
def truncated_moments(s: float, a: float, b: float) -> tuple[float, float, float]:
    """Return ln sum_(x=a)^b (x/a)^-s, and the mean and variance of ln(x/a) under these weights.

    For any real s and integers 1 <= a <= b: the sums are scaled by their largest term, so that
    nothing overflows, and the cost does not grow with b.
    """
    if s >= 0.0:
        m0, m1, m2 = truncated_sum(s, a, b)
        mean = m1 / m0
        return math.log(m0), mean, max(0.0, m2 / m0 - mean * mean)
    m0, m1, m2 = _falling_sum(s, a, b)
    mean = m1 / m0
    length = math.log1p((b - a) / a)
    return math.log(m0) - s * length, length - mean, max(0.0, m2 / m0 - mean * mean)


@compiled(nogil=True, error_model="numpy")
def truncated_log_sum(s: float, a: float, b: float) -> float:
    """Return ln sum_(x=a)^b (x/a)^-s for any real s and integers 1 <= a <= b."""
    if s >= 0.0:
        return math.log(truncated_sum(s, a, b)[0])
    return math.log(_falling_sum(s, a, b)[0]) - s * math.log1p((b - a) / a)
