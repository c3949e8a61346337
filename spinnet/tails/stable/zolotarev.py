r"""Zolotarev's integral for stable laws: positive integrands, so that no digit cancels.

For y = x - zeta > 0 (the S1 variable; zeta = -beta tan(pi alpha/2)) and 0 < v < pi rho,

.. math:: \ln g(v) = \frac{\alpha}{\alpha-1}\Big[\ln yC + \ln\frac{\sin b}{\sin a}\Big]
          + \ln\frac{\sin(a+b)}{\sin b}, \qquad a = \alpha v,\; b = \pi\rho - v,

is monotone, and with P = int g e^-g dv, S = int e^-g dv, R = int (1 - e^-g) dv

* pdf = alpha P / (pi |alpha - 1| y),
* sf = S / pi and cdf = 1 - rho + R / pi for alpha > 1, with S and R exchanged for alpha < 1

(V. M. Zolotarev, One-dimensional Stable Distributions, 1986, theorem 2.2.3; J. P. Nolan,
Commun. Statist. Stochastic Models 13, 759, 1997).  Three things are done differently here.
Every angle that vanishes is formed without a difference; the bracket, which is O(alpha - 1) near
alpha = 1, is formed from log1p of small terms, so that alpha = 1 needs no formula of its own;
and the integrals run over the logit of v, which resolves layers at either end (the heavy tail of
weight 2 - alpha is such a layer) and are refined adaptively (Gauss-Kronrod, 7 and 15 points).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled

Floats = NDArray[np.float64]

# Nodes and weights of QUADPACK's qk15 (positive half, centre last).
_NODES = np.array(
    [
        0.991455371120812639206854697526329,
        0.949107912342758524526189684047851,
        0.864864423359769072789712788640926,
        0.741531185599394439863864773280788,
        0.586087235467691130294144691693013,
        0.405845151377397166906606412076961,
        0.207784955007898467600689403773245,
        0.0,
    ]
)
_KRONROD = np.array(
    [
        0.022935322010529224963732008058970,
        0.063092092629978553290700663189204,
        0.104790010322250183839876322541518,
        0.140653259715525918745189590510238,
        0.169004726639267902826583426598550,
        0.190350578064785409913256402421014,
        0.204432940075298892414161999234649,
        0.209482141084727828012999174891714,
    ]
)
_GAUSS = np.array(
    [
        0.129484966168869693270611432679082,
        0.279705391489276667901467771423780,
        0.381830050505118944950369775488975,
        0.417959183673469387755102040816327,
    ]
)
_MAX_PANELS = 400
_HUGE = 1e13  # ln pdf is -g to a dozen digits if g is everywhere larger
_LOWEST = -690.0  # logit at which p is above the subnormal numbers, whose digits are few


@compiled(nogil=True, error_model="numpy", inline="never")
def _ends(logit: float, length: float) -> tuple[float, float]:
    """Return the distances from the end where g is small and from the one where it is large."""
    e = math.exp(-abs(logit))
    small, large = length * e / (1.0 + e), length / (1.0 + e)
    return (small, large) if logit < 0.0 else (large, small)


@compiled(nogil=True, error_model="numpy", inline="never")
def _log_g(p: float, q: float, base: float, k: Floats) -> float:
    """Return ln g at the distances `p` and `q` from the ends; `base` is its part free of v."""
    alpha, eps, chi, omega = k[0], k[1], k[5], k[6]
    v, b = (q, p) if eps > 0.0 else (p, q)
    a = alpha * v
    sin_b = math.sin(b) if b < 0.5 * math.pi else math.sin(omega + v)
    sin_a = math.sin(a) if a < 0.5 * math.pi else math.sin(chi + alpha * b)
    if a + b < 0.5 * math.pi:
        sin_ab = math.sin(a + b)
    elif eps > 0.0:
        sin_ab = math.sin(chi + eps * b)
    else:
        sin_ab = math.sin(omega - eps * v)
    # sin a = sin(b + eta) or sin(pi - b - eta), with an angle eta that vanishes with alpha - 1
    eta = chi + eps * b if eps > 0.0 else omega - eps * v
    excess = -1.0
    if eta < 1.0:
        half = math.sin(0.5 * eta)
        cos_b = math.cos(b) if b < 0.5 * math.pi else -math.cos(omega + v)
        excess = -2.0 * half * half + cos_b / sin_b * math.sin(eta)
    ratio = math.log1p(excess) if abs(excess) < 0.5 else math.log(sin_a / sin_b)
    return float(base - alpha / eps * ratio + math.log(sin_ab / sin_b))


@compiled(nogil=True, error_model="numpy")
def log_g_base(x: float, y: float, k: Floats) -> float:
    """Return alpha / (alpha - 1) ln(y C), without cancellation where zeta is large and negative."""
    alpha, eps, zeta, log_c = k[0], k[1], k[3], k[7]
    if zeta >= -1.0:
        return float(alpha / eps * (math.log(y) + log_c))
    size = -zeta
    relative = math.log1p(x / size) if abs(x) < 0.5 * size else math.log(y) - math.log(size)
    change = alpha * relative - 0.5 * math.log1p(1.0 / (size * size))
    return float(math.log(size) + change / eps)


@compiled(nogil=True, error_model="numpy")
def _logit_of(level: float, low: float, high: float, base: float, k: Floats) -> float:
    """Return the logit where ln g crosses `level`, to 1e-3, by bisection."""
    for _ in range(60):
        if high - low < 1e-3:
            break
        middle = 0.5 * (low + high)
        p, q = _ends(middle, k[4])
        if _log_g(p, q, base, k) < level:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@compiled(nogil=True, error_model="numpy")
def _panel(low: float, high: float, base: float, lowest: float, k: Floats, out: Floats) -> None:
    """Write P, S, R over a panel of logits and the errors of each to `out`; all times e^lowest."""
    length = k[4]
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    p_k = s_k = r_k = p_g = s_g = r_g = 0.0
    for i in range(15):
        j = i if i < 8 else 14 - i
        logit = centre - half * _NODES[j] if i < 8 else centre + half * _NODES[j]
        p, q = _ends(logit, length)
        log_g = _log_g(p, q, base, k)
        g = math.exp(log_g)
        weight = half * p * q / length
        s = math.exp(lowest - g) * weight
        f = g * s
        r = -math.expm1(-g) * weight
        p_k += _KRONROD[j] * f
        s_k += _KRONROD[j] * s
        r_k += _KRONROD[j] * r
        if j % 2 == 1:
            p_g += _GAUSS[j // 2] * f
            s_g += _GAUSS[j // 2] * s
            r_g += _GAUSS[j // 2] * r
    out[0], out[1], out[2] = p_k, s_k, r_k
    out[3], out[4], out[5] = abs(p_k - p_g), abs(s_k - s_g), abs(r_k - r_g)


@compiled(nogil=True, error_model="numpy")
def _limits(base: float, k: Floats) -> tuple[float, float, float, float]:
    """Return the logits (low, peak, high) that bound the integrals, and the least g."""
    p, q = _ends(_LOWEST, k[4])
    log_least = _log_g(p, q, base, k)
    least = math.exp(log_least) if log_least > 0.0 else 0.0
    if log_least > 0.0:
        peak = _logit_of(math.log(least + 1.0), _LOWEST, -_LOWEST, base, k)
        high = _logit_of(math.log(least + 48.0), peak, -_LOWEST, base, k)
        return peak - 42.0, peak, min(high, 45.0), least
    peak = _logit_of(0.0, _LOWEST, -_LOWEST, base, k)
    high = _logit_of(math.log(48.0 + max(0.0, -peak)), peak, -_LOWEST, base, k)
    low = _logit_of(-42.0 - max(0.0, peak), _LOWEST, peak, base, k)
    return max(low, min(peak, 0.0) - 42.0), peak, min(high, max(peak, 0.0) + 42.0), 0.0


@compiled(nogil=True, error_model="numpy")
def zolotarev(x: float, y: float, k: Floats) -> tuple[float, float, float]:
    """Return (log pdf, log cdf, log sf) at y > 0; `x` is y + zeta, exact where y is not.

    Panels are halved until the difference of the two rules, which bounds the error of the poorer
    one, is below 1e-11 of the total: the 15-point rule is then right to about 1e-15.
    """
    alpha, eps, length, omega = k[0], k[1], k[4], k[6]
    base = log_g_base(x, y, k)
    low, peak, high, least = _limits(base, k)
    if least > _HUGE:
        log_rest = -math.inf if omega == 0.0 else math.log(omega / math.pi)
        return (-least, 0.0, -least) if alpha > 1.0 else (-least, max(-least, log_rest), 0.0)
    tolerance = 1e-11 + 1e-15 * least  # the rounding of g is that of e^-g
    stack_low, stack_high = np.empty(_MAX_PANELS), np.empty(_MAX_PANELS)
    parts = np.empty((_MAX_PANELS, 6))
    n = 0
    for piece in range(2):
        start, end = (low, peak) if piece == 0 else (peak, high)
        count = max(1, min(20, math.ceil((end - start) / 5.0)))
        for i in range(count):
            stack_low[n] = start + (end - start) * i / count
            stack_high[n] = start + (end - start) * (i + 1) / count
            n += 1
    p_sum = s_sum = r_sum = 0.0
    for i in range(n):
        _panel(stack_low[i], stack_high[i], base, least, k, parts[i])
        p_sum += parts[i, 0]
        s_sum += parts[i, 1]
        r_sum += parts[i, 2]
    floor_s = omega if alpha < 1.0 and least == 0.0 else 0.0
    floor_r = omega if alpha > 1.0 else 0.0
    p_done = s_done = r_done = 0.0
    for _ in range(_MAX_PANELS):
        if n == 0:
            break
        n -= 1
        a, b = stack_low[n], stack_high[n]
        p_k, s_k, r_k = parts[n, 0], parts[n, 1], parts[n, 2]
        fine = (
            parts[n, 3] <= tolerance * p_sum
            and parts[n, 4] <= tolerance * (s_sum + floor_s)
            and parts[n, 5] <= tolerance * (r_sum + floor_r)
        )
        if fine or b - a < 1e-7 or n + 2 > _MAX_PANELS:
            p_done += p_k
            s_done += s_k
            r_done += r_k
            continue
        middle = 0.5 * (a + b)
        stack_low[n], stack_high[n] = a, middle
        stack_low[n + 1], stack_high[n + 1] = middle, b
        _panel(a, middle, base, least, k, parts[n])
        _panel(middle, b, base, least, k, parts[n + 1])
        p_sum += parts[n, 0] + parts[n + 1, 0] - p_k
        s_sum += parts[n, 1] + parts[n + 1, 1] - s_k
        r_sum += parts[n, 2] + parts[n + 1, 2] - r_k
        n += 2
    for i in range(n):
        p_done += parts[i, 0]
        s_done += parts[i, 1]
        r_done += parts[i, 2]
    p, q = _ends(low, length)
    s_done += p * math.exp(least - math.exp(_log_g(p, q, base, k)))
    r_done += _ends(high, length)[1]
    log_pdf = math.log(alpha / (math.pi * abs(eps))) - math.log(y) + math.log(p_done) - least
    if alpha > 1.0:
        return log_pdf, math.log((omega + r_done) / math.pi), math.log(s_done / math.pi) - least
    if omega == 0.0:
        log_cdf = math.log(s_done / math.pi) - least
    else:
        log_cdf = math.log((omega + s_done * math.exp(-least)) / math.pi)
    return log_pdf, log_cdf, math.log(r_done / math.pi)
