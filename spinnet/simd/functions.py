"""exp, log, logistic and tanh of vectors, for any number of lanes.

Names end in the kind of the lanes.  Errors are in units in the last place (ulp) of the exact
result: the largest seen against mpmath over all exponents of the argument, rounded up.

=============  ======  ==========================================================
function       ulp     range
=============  ======  ==========================================================
exp_f32        1.1     all; results below 2^-126 are denormal, rounded once more
log_f32        1.0     all, denormal arguments too; -inf at 0, NaN below
logistic_f32   2.5     all, relative accuracy in the lower tail (denormals too)
tanh_f32       1.5     all
exp_f64        1.1     as exp_f32
log_f64        1.0     as log_f32
=============  ======  ==========================================================

NaN gives NaN; infinities and zeros give the limits.  Polynomials are minimax fits (Remez),
reductions those of W. J. Cody and W. Waite, *Software Manual for the Elementary Functions*
(1980).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.vectors import convert, filled, fma, reinterpret, rint, select

_INF = float("inf")
_LOG2_E = 1.4426950408889634


@compiled(forceinline=True)
def _clamp(x: Any, low: Any, high: Any) -> Any:
    """Return x between two bounds; NaN gives `high`, which keeps conversions defined."""
    x = select(x < filled(x, high), x, filled(x, high))
    return select(x > filled(x, low), x, filled(x, low))


@compiled(forceinline=True)
def _power_of_two_f32(n: Any) -> Any:
    """Return 2^n for lanes of int32 in [-126, 127]."""
    return reinterpret((n + filled(n, 127)) << 23, np.float32)


@compiled(forceinline=True)
def _power_of_two_f64(n: Any) -> Any:
    """Return 2^n for lanes of int64 in [-1022, 1023]."""
    return reinterpret((n + filled(n, 1023)) << 52, np.float64)


@compiled(forceinline=True)
def _reduced_exp_f32(y: Any) -> Any:
    """Return (p, n) with e^y = p 2^n, p in [0.7, 1.42], n int32."""
    k = rint(y * filled(y, _LOG2_E))
    r = fma(k, filled(y, -0.693145751953125), y)
    r = fma(k, filled(y, -1.428606765330187e-06), r)
    p = filled(y, 0.001381459878757596)
    p = fma(p, r, filled(y, 0.008368716575205326))
    p = fma(p, r, filled(y, 0.04166838899254799))
    p = fma(p, r, filled(y, 0.1666652113199234))
    p = fma(p, r, filled(y, 0.4999999403953552))
    return fma(p, r * r, r) + filled(y, 1.0), convert(k, np.int32)


@compiled(forceinline=True)
def exp_f32(x: Any) -> Any:
    """Return e^x for lanes of float32."""
    p, n = _reduced_exp_f32(_clamp(x, -105.0, 90.0))
    half = n >> 1  # two factors: neither leaves the normal numbers
    p = p * _power_of_two_f32(half) * _power_of_two_f32(n - half)
    return select(x == x, p, x)


@compiled(forceinline=True)
def exp_f64(x: Any) -> Any:
    """Return e^x for lanes of float64."""
    y = _clamp(x, -746.0, 710.0)
    k = rint(y * filled(y, _LOG2_E))
    r = fma(k, filled(y, -0.6931471805582987), y)
    r = fma(k, filled(y, -1.6465949582897082e-12), r)
    p = filled(y, 2.5000061625531286e-08)
    p = fma(p, r, filled(y, 2.7630248385323017e-07))
    p = fma(p, r, filled(y, 2.755758637378518e-06))
    p = fma(p, r, filled(y, 2.480149309888739e-05))
    p = fma(p, r, filled(y, 0.00019841269506578723))
    p = fma(p, r, filled(y, 0.0013888888943630134))
    p = fma(p, r, filled(y, 0.008333333333494461))
    p = fma(p, r, filled(y, 0.041666666666530155))
    p = fma(p, r, filled(y, 0.16666666666666413))
    p = fma(p, r, filled(y, 0.5000000000000011))
    p = fma(p, r * r, r) + filled(y, 1.0)
    n = convert(k, np.int64)
    half = n >> 1
    p = p * _power_of_two_f64(half) * _power_of_two_f64(n - half)
    return select(x == x, p, x)


@compiled(forceinline=True)
def _log_limits(x: Any, result: Any) -> Any:
    """Return a logarithm with the limits put in: 0, below 0, infinity, NaN."""
    result = select(x < filled(x, _INF), result, x)  # infinity, and NaN
    result = select(x == filled(x, 0.0), filled(x, -_INF), result)
    return select(x < filled(x, 0.0), filled(x, float("nan")), result)


@compiled(forceinline=True)
def log_f32(x: Any) -> Any:
    """Return log x for lanes of float32."""
    small = x < filled(x, 1.1754943508222875e-38)
    bits = reinterpret(select(small, x * filled(x, 8388608.0), x), np.int32)
    # the mantissa lies in [sqrt(1/2), sqrt(2)): its logarithm cancels nothing
    shifted = bits - filled(bits, 0x3F3504F3)
    k = convert(shifted >> 23, np.float32)
    f = reinterpret(bits - ((shifted >> 23) << 23), np.float32) - filled(x, 1.0)
    k = select(small, k - filled(x, 23.0), k)
    p = filled(x, 0.06915546208620071)
    p = fma(p, f, filled(x, -0.11789865791797638))
    p = fma(p, f, filled(x, 0.11872924119234085))
    p = fma(p, f, filled(x, -0.12384334951639175))
    p = fma(p, f, filled(x, 0.14218664169311523))
    p = fma(p, f, filled(x, -0.16669252514839172))
    p = fma(p, f, filled(x, 0.20002226531505585))
    p = fma(p, f, filled(x, -0.24999986588954926))
    p = fma(p, f, filled(x, 0.3333331048488617))
    square = f * f
    p = fma(k, filled(x, 1.428606765330187e-06), p * f * square)
    p = fma(square, filled(x, -0.5), p)
    return _log_limits(x, fma(k, filled(x, 0.693145751953125), f + p))


@compiled(forceinline=True)
def log_f64(x: Any) -> Any:
    """Return log x for lanes of float64."""
    small = x < filled(x, 2.2250738585072014e-308)
    bits = reinterpret(select(small, x * filled(x, 18014398509481984.0), x), np.int64)
    shifted = bits - filled(bits, 0x3FE6A09E667F3BCD)
    k = convert(shifted >> 52, np.float64)
    f = reinterpret(bits - ((shifted >> 52) << 52), np.float64) - filled(x, 1.0)
    k = select(small, k - filled(x, 54.0), k)
    # log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), s = f/(2 + f)
    s = f / (f + filled(x, 2.0))
    z = s * s
    p = filled(x, 0.14795949746503712)
    p = fma(p, z, filled(x, 0.1531405053947189))
    p = fma(p, z, filled(x, 0.18183564327007024))
    p = fma(p, z, filled(x, 0.22222198573157717))
    p = fma(p, z, filled(x, 0.2857142874238801))
    p = fma(p, z, filled(x, 0.39999999999414676))
    p = fma(p, z, filled(x, 0.6666666666666734))
    half = f * f * filled(x, 0.5)
    low = fma(k, filled(x, 1.6465949582897082e-12), s * fma(p, z, half))
    return _log_limits(x, fma(k, filled(x, 0.6931471805582987), f - (half - low)))


@compiled(forceinline=True)
def logistic_f32(x: Any) -> Any:
    """Return 1/(1 + e^-x) for lanes of float32."""
    below = x < filled(x, 0.0)
    t = exp_f32(select(below, x, filled(x, 0.0) - x))
    one = filled(x, 1.0)
    return select(below, t, one) / (one + t)


@compiled(forceinline=True)
def tanh_f32(x: Any) -> Any:
    """Return tanh x for lanes of float32."""
    bits = reinterpret(x, np.int32)
    size = reinterpret(bits & filled(bits, 0x7FFFFFFF), np.float32)
    one = filled(x, 1.0)
    large = one - filled(x, 2.0) / (exp_f32(size + size) + one)
    z = x * x
    p = filled(x, 0.002147526480257511)
    p = fma(p, z, filled(x, -0.008182663470506668))
    p = fma(p, z, filled(x, 0.02170296385884285))
    p = fma(p, z, filled(x, -0.05394720286130905))
    p = fma(p, z, filled(x, 0.13333210349082947))
    p = fma(p, z, filled(x, -0.3333333134651184))
    small = fma(p * z, x, x)
    sign = bits & filled(bits, -0x80000000)
    y = select(size < filled(x, 0.625), small, large)
    return reinterpret(reinterpret(y, np.int32) | sign, np.float32)
