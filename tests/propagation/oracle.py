r"""Gaussian averages of the mean-field theory of random networks, to forty digits and more.

Knows nothing of spinnet: every number is a quadrature in mpmath of the definition. Public
functions take an activation by name and numbers (a float stands for exactly its IEEE value, a
string for the decimal it shows) and return ``mpmath.mpf``. `digits` is the working precision
(default 50); results are good to about ``digits - 8`` digits, or ``digits - 8 - log10(xi_c)`` for
the depth scales. Two runs at different `digits` use different nodes everywhere, so their agreement
measures the error.

One dimension. ``E[g(sqrt(q) z)]`` by Gauss-Legendre on panels of z, split at the kinks, doubling
away from 0 and from every kink, never longer than two standard deviations nor twelve units of
sqrt(q) z.

Two dimensions, two independent routes:

* ``inner``: the average over the second variable given the first is elementary for erf, relu,
  leaky_relu, hard_tanh, gelu, selu, sin and linear; the outer average is done by the panels above,
  refined around the images of the kinks, whose width shrinks as sqrt(1 - c^2).
* ``fourier``: for tanh, sigmoid, softplus and silu the transform a(k) of sech^2 (or of the second
  derivative) is elementary and decays as exp(-pi |k| / 2), and, with s = (k1, k2),

      E[f(u1) g(u2)] = (1 / 4 pi^2) int a(k1) b(k2) exp(-(q1 k1^2 + 2 p k1 k2 + q2 k2^2) / 2) d^2k.

  phi itself follows by integrating over p (Price's theorem), which divides the integrand by k1 k2
  and leaves it entire. The trapezoidal rule is used; by Poisson's formula its error is the same
  average shifted by multiples of 2 pi / step, which is exponentially small and known in advance.

`nested_kernel` is a third route, plain nested quadrature for any activation, slow, for checks.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mpmath import mp

Number = Any  # mpf, float, int or decimal string
Function = Callable[[Any], Any]

DIGITS = 50
SELU_SCALE = "1.0507009873554804934193349852946"
SELU_ALPHA = "1.6732632423543772848170429916717"
LEAKY_SLOPE = "0.1"


# --- the activations ------------------------------------------------------------------------------


def _density(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _phi(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _step(x: Any) -> Any:
    return mp.one if x > 0 else mp.zero


def _logistic(x: Any) -> Any:
    if x >= 0:
        return 1 / (1 + mp.exp(-x))
    e = mp.exp(x)
    return e / (1 + e)


def _logistic_slope(x: Any) -> Any:
    e = mp.exp(-abs(x))
    return e / (1 + e) ** 2


def _softplus(x: Any) -> Any:
    return (x if x > 0 else mp.zero) + mp.log1p(mp.exp(-abs(x)))


def _selu(x: Any) -> Any:
    scale = mp.mpf(SELU_SCALE)
    return scale * x if x > 0 else scale * mp.mpf(SELU_ALPHA) * mp.expm1(x)


def _selu_slope(x: Any) -> Any:
    scale = mp.mpf(SELU_SCALE)
    return scale if x > 0 else scale * mp.mpf(SELU_ALPHA) * mp.exp(x)


def _leaky(x: Any) -> Any:
    return x if x > 0 else mp.mpf(LEAKY_SLOPE) * x


def _hard_tanh(x: Any) -> Any:
    return max(-mp.one, min(mp.one, x))


def _sech2(x: Any) -> Any:
    return 1 / mp.cosh(x) ** 2


@dataclass(frozen=True)
class _Activation:
    """phi, phi', phi'' (None where phi' jumps) and the places of the kinks."""

    value: Function
    slope: Function
    second: Function | None
    kinks: tuple[int, ...] = ()


_ACTIVATIONS = {
    "tanh": _Activation(mp.tanh, _sech2, lambda x: -2 * mp.tanh(x) * _sech2(x)),
    "erf": _Activation(
        mp.erf,
        lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
        lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-x * x),
    ),
    "relu": _Activation(lambda x: max(mp.zero, x), _step, None, (0,)),
    "leaky_relu": _Activation(
        _leaky, lambda x: mp.one if x > 0 else mp.mpf(LEAKY_SLOPE), None, (0,)
    ),
    "hard_tanh": _Activation(
        _hard_tanh, lambda x: mp.one if abs(x) < 1 else mp.zero, None, (-1, 1)
    ),
    "sigmoid": _Activation(
        _logistic, _logistic_slope, lambda x: _logistic_slope(x) * (1 - 2 * _logistic(x))
    ),
    "softplus": _Activation(_softplus, _logistic, _logistic_slope),
    "gelu": _Activation(
        lambda x: x * _phi(x),
        lambda x: _phi(x) + x * _density(x),
        lambda x: (2 - x * x) * _density(x),
    ),
    "silu": _Activation(
        lambda x: x * _logistic(x),
        lambda x: _logistic(x) + x * _logistic_slope(x),
        lambda x: _logistic_slope(x) * (2 + x * (1 - 2 * _logistic(x))),
    ),
    "selu": _Activation(_selu, _selu_slope, None, (0,)),
    "sin": _Activation(mp.sin, mp.cos, lambda x: -mp.sin(x)),
    "linear": _Activation(lambda x: x, lambda x: mp.one, lambda x: mp.zero),
}

NAMES = tuple(_ACTIVATIONS)
ODD = ("tanh", "erf", "hard_tanh", "sin", "linear")
SMOOTH = tuple(name for name, act in _ACTIVATIONS.items() if act.second is not None)


# --- one-dimensional quadrature -------------------------------------------------------------------


@lru_cache(maxsize=32)
def _legendre(n: int, prec: int) -> tuple[tuple[Any, Any], ...]:
    """Nodes and weights of the n-point Gauss-Legendre rule on (-1, 1)."""
    rule = []
    with mp.workprec(prec + 20):
        for k in range(n):
            x = mp.cos(mp.pi * (k + mp.mpf(3) / 4) / (n + mp.mpf(1) / 2))
            for _ in range(20):
                below, here = mp.one, x
                for j in range(2, n + 1):
                    below, here = here, ((2 * j - 1) * x * here - (j - 1) * below) / j
                slope = n * (x * here - below) / (x * x - 1)
                step = here / slope
                x -= step
                if abs(step) < mp.ldexp(1, -prec - 5):
                    break
            rule.append((x, 2 / ((1 - x * x) * slope**2)))
    return tuple(rule)


def _order() -> int:
    return int(0.9 * mp.dps) + 10


def _edges(reach: Any, features: Iterable[tuple[Any, Any]], cap: Any) -> list[Any]:
    """Panel edges on (-reach, reach), doubling away from each (place, width), no panel over cap."""
    points = {-reach, reach}
    for place, width in features:
        if abs(place) < reach:
            points.add(place)
        offset = width
        while offset < 2 * reach:
            points.update(p for p in (place - offset, place + offset) if abs(p) < reach)
            offset *= 2
    edges = [-reach]
    for point in sorted(points)[1:]:
        start, pieces = edges[-1], int(mp.ceil((point - edges[-1]) / cap))
        edges.extend(start + (point - start) * k / pieces for k in range(1, pieces + 1))
    return edges


def _reach() -> Any:
    return mp.sqrt(2 * mp.log(10) * mp.dps) + 1


def _gauss(g: Function, edges: Sequence[Any]) -> Any:
    """Integral of g(z) times the normal density over the panels."""
    rule = _legendre(_order(), mp.prec)
    total = mp.zero
    for a, b in itertools.pairwise(edges):
        half, middle = (b - a) / 2, (a + b) / 2
        total += half * mp.fsum(
            w * g(z) * mp.exp(-z * z / 2) for x, w in rule for z in [middle + half * x]
        )
    return total / mp.sqrt(2 * mp.pi)


def _average(name: str, q: Any, g: Callable[[Any, Any], Any]) -> Any:
    """E[g(u, z)] for u = sqrt(q) z, g as smooth as the activation `name`."""
    if q == 0:
        return g(mp.zero, mp.zero)
    sd = mp.sqrt(q)
    features = [(k / sd, 1 / sd) for k in {0, *_ACTIVATIONS[name].kinks}]
    edges = _edges(_reach(), features, min(mp.mpf(2), 12 / sd))
    return _gauss(lambda z: g(sd * z, z), edges)


def _exact(x: Number) -> Any:
    return mp.mpf(x)


def mean(name: str, q: Number, digits: int = DIGITS) -> Any:
    """E[phi(u)], u of variance q."""
    with mp.workdps(digits):
        act = _ACTIVATIONS[name]
        return _average(name, _exact(q), lambda u, z: act.value(u))


def mean_slope(name: str, q: Number, digits: int = DIGITS) -> Any:
    """E[phi'(u)]."""
    with mp.workdps(digits):
        act = _ACTIVATIONS[name]
        return _average(name, _exact(q), lambda u, z: act.slope(u))


def second_moment(name: str, q: Number, digits: int = DIGITS) -> Any:
    """F(q) = E[phi(u)^2]."""
    with mp.workdps(digits):
        act = _ACTIVATIONS[name]
        return _average(name, _exact(q), lambda u, z: act.value(u) ** 2)


def second_moment_slope(name: str, q: Number, digits: int = DIGITS) -> Any:
    """F'(q) = E[z phi(u) phi'(u)] / sqrt(q), for q > 0."""
    with mp.workdps(digits):
        act, q = _ACTIVATIONS[name], _exact(q)
        return _average(name, q, lambda u, z: z * act.value(u) * act.slope(u)) / mp.sqrt(q)


def slope_moment(name: str, q: Number, order: int = 2, digits: int = DIGITS) -> Any:
    """E[phi'(u)^order]: 2 for chi_1, 4 for the Jacobian's second moment."""
    with mp.workdps(digits):
        act = _ACTIVATIONS[name]
        return _average(name, _exact(q), lambda u, z: act.slope(u) ** order)


def curvature_moment(name: str, q: Number, digits: int = DIGITS) -> Any:
    """E[phi''(u)^2]; smooth activations only."""
    second = _ACTIVATIONS[name].second
    if second is None:
        raise ValueError(f"{name} has kinks: E[phi''^2] is infinite")
    with mp.workdps(digits):
        return _average(name, _exact(q), lambda u, z: second(u) ** 2)


# --- two dimensions by an elementary inner average ------------------------------------------------


def _selu_tail(m: Any, v: Any) -> Any:
    """E[exp(u) 1(u < 0)] for u of mean m and variance v."""
    return mp.exp(m + v / 2) * _phi(-(m + v) / mp.sqrt(v))


def _ramp(m: Any, v: Any) -> Any:
    """E[max(u, 0)]."""
    s = mp.sqrt(v)
    return m * _phi(m / s) + s * _density(m / s)


def _positive(m: Any, v: Any) -> Any:
    """P(u > 0)."""
    return _phi(m / mp.sqrt(v))


def _inner_gelu(m: Any, v: Any) -> Any:
    s = mp.sqrt(1 + v)
    return m * _phi(m / s) + v / s * _density(m / s)


def _inner_gelu_slope(m: Any, v: Any) -> Any:
    s = mp.sqrt(1 + v)
    return _phi(m / s) + m * _density(m / s) / s**3


def _inner_selu(m: Any, v: Any) -> Any:
    below = _selu_tail(m, v) - _positive(-m, v)
    return mp.mpf(SELU_SCALE) * (_ramp(m, v) + mp.mpf(SELU_ALPHA) * below)


def _inner_selu_slope(m: Any, v: Any) -> Any:
    return mp.mpf(SELU_SCALE) * (_positive(m, v) + mp.mpf(SELU_ALPHA) * _selu_tail(m, v))


# E[phi(u)] and E[phi'(u)] for u of mean m and variance v > 0
_INNER: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "erf": (
        lambda m, v: mp.erf(m / mp.sqrt(1 + 2 * v)),
        lambda m, v: 2 / mp.sqrt(mp.pi * (1 + 2 * v)) * mp.exp(-m * m / (1 + 2 * v)),
    ),
    "relu": (_ramp, _positive),
    "leaky_relu": (
        lambda m, v: _ramp(m, v) - mp.mpf(LEAKY_SLOPE) * _ramp(-m, v),
        lambda m, v: _positive(m, v) + mp.mpf(LEAKY_SLOPE) * _positive(-m, v),
    ),
    "hard_tanh": (
        lambda m, v: _ramp(m + 1, v) - _ramp(m - 1, v) - 1,
        lambda m, v: _positive(m + 1, v) - _positive(m - 1, v),
    ),
    "gelu": (_inner_gelu, _inner_gelu_slope),
    "selu": (_inner_selu, _inner_selu_slope),
    "sin": (
        lambda m, v: mp.sin(m) * mp.exp(-v / 2),
        lambda m, v: mp.cos(m) * mp.exp(-v / 2),
    ),
    "linear": (lambda m, v: m, lambda m, v: mp.one),
}


def _by_inner(name: str, q1: Any, q2: Any, c: Any, slopes: bool) -> Any:
    act = _ACTIVATIONS[name]
    s1, s2 = mp.sqrt(q1), mp.sqrt(q2)
    rest = q2 * (1 - c * c)
    outer, inner = (act.slope if slopes else act.value), _INNER[name][int(slopes)]
    features = []
    for k in {0, *act.kinks}:
        features.append((k / s1, 1 / s1))
        if c != 0:
            features.append((k / (s2 * c), mp.sqrt(rest + (not act.kinks)) / (s2 * abs(c))))
    edges = _edges(_reach(), features, min(mp.mpf(2), 12 / s1, 12 / s2))
    return _gauss(lambda z: outer(s1 * z) * inner(s2 * c * z, rest), edges)


# --- two dimensions by Fourier transform ----------------------------------------------------------


def _sech2_transform(k: Any) -> Any:
    return mp.pi * k / mp.sinh(mp.pi * k / 2) if k else mp.mpf(2)


def _logistic_slope_transform(k: Any) -> Any:
    return mp.pi * k / mp.sinh(mp.pi * k) if k else mp.one


def _silu_second_transform(k: Any) -> Any:
    return _logistic_slope_transform(k) ** 2 * mp.cosh(mp.pi * k)


@dataclass(frozen=True)
class _Transform:
    """An even function by its transform, and its rate of exponential decay."""

    transform: Function
    decay: int


_SECH2 = _Transform(_sech2_transform, 2)
_SECOND = {
    "softplus": _Transform(_logistic_slope_transform, 1),
    "silu": _Transform(_silu_second_transform, 1),
}


def _fourier_sum(shape: _Transform, q1: Any, q2: Any, c: Any, order: int) -> Any:
    r"""E[f f] integrated `order` times over p from 0, with f even: order 0, 1 or 2.

    With k_i = step i / sqrt(q_i) the exponential is a product of functions of i, j and i +- j:
    three tables, and sums of products of integers (fixed point, guarded for small q).
    """
    digits = mp.dps
    guard = 20 + int(4 * max(0, -mp.log10(min(q1, q2, mp.one))))
    with mp.workdps(digits + guard):
        bits = mp.prec
        r1, r2, size = mp.sqrt(q1), mp.sqrt(q2), abs(c)
        log_tiny = mp.log(10) * (digits + guard)
        # the shift 2 pi sqrt(q) / step must take f beyond 10^-digits, both through its own decay
        # and through the Gaussian's
        step = min(
            2 * mp.pi * r / (log_tiny / shape.decay + 10 + mp.sqrt(2 * log_tiny) * r)
            for r in (r1, r2)
        )
        tiny = mp.ldexp(1, -bits)

        def table(r: Any) -> list[Any]:
            values: list[Any] = []
            i = 0
            while not values or abs(values[-1]) > tiny:
                k = step * i / r
                values.append(shape.transform(k) * mp.exp(-(1 - size) * (step * i) ** 2 / 2))
                i += 1
            return values

        t1 = table(r1)
        t2 = t1 if q1 == q2 else table(r2)
        n1, n2 = len(t1), len(t2)
        cross = [mp.zero] * (n1 + n2)
        for d in range(n1 + n2):
            cross[d] = mp.exp(-size * (step * d) ** 2 / 2)
            if cross[d] < tiny:
                break
        scale = step * step / (r1 * r2 * 4 * mp.pi**2)
        p = c * r1 * r2
        return scale * _quadrant_sums(t1, t2, cross, step / r1, step / r2, p, order, bits)


def _quadrant_sums(
    t1: list[Any],
    t2: list[Any],
    cross: list[Any],
    h1: Any,
    h2: Any,
    p: Any,
    order: int,
    bits: int,
) -> Any:
    """The sum over all (i, j), folded on i, j >= 0.

    The Gaussian without its cross term times cosh y, y = p k1 k2, for order 0; times sinh(y) p/y
    for order 1; times (cosh(y) - 1) p^2/y^2 for order 2.
    """

    def fixed(x: Any) -> int:
        return int(mp.nint(mp.ldexp(x, bits)))

    n1, n2 = len(t1), len(t2)
    u1 = [fixed(t1[i] / (h1 * i) ** order) for i in range(1, n1)]
    u2 = [fixed(t2[j] / (h2 * j) ** order) for j in range(1, n2)]
    e = [fixed(x) for x in cross]
    width = next((d for d, x in enumerate(e) if x == 0), len(e))  # beyond it e vanishes
    mirrored = e[n2 + n1 : 0 : -1] + e  # mirrored[offset + d] = e[|d|]
    offset = len(mirrored) - len(e)
    sign = -1 if order == 1 else 1
    total, last = 0, n2 - 1
    for i, a in enumerate(u1, start=1):
        # j runs from first to last: where the terms are not below the last bit
        while last > 0 and (a * u2[last - 1]) >> bits == 0:
            last -= 1
        first, end = max(1, i - width), min(last, i + width)
        if first > end:
            continue
        part = u2[first - 1 : end]
        near = mirrored[offset + first - i : offset + end - i + 1]
        far = e[i + first : min(i + end, width) + 1]
        inner = sum(map(operator.mul, part, near)) + sign * sum(map(operator.mul, part, far))
        total += a * (inner >> bits)
    quadrant = mp.ldexp(mp.mpf(total), -2 * bits) / 2
    # on the axes the Gaussian in full: table times cross
    axis1 = [t1[i] * cross[i] for i in range(n1)]
    axis2 = [t2[j] * cross[j] for j in range(n2)]
    if order == 1:
        kernel = abs(p)
    elif order == 2:
        kernel = p * p / 2
        # minus one: the separable part, x^2 in the denominator
        left = mp.fsum(axis1[i] / (h1 * i) ** 2 for i in range(1, n1))
        right = mp.fsum(axis2[j] / (h2 * j) ** 2 for j in range(1, n2))
        quadrant -= left * right
    else:
        kernel = mp.one
    border = (
        2 * t2[0] * mp.fsum(axis1[1:]) + 2 * t1[0] * mp.fsum(axis2[1:]) + t1[0] * t2[0]
    ) * kernel
    whole = 4 * quadrant + border
    return -whole if order == 1 and p < 0 else whole


def _by_fourier(name: str, q1: Any, q2: Any, c: Any, slopes: bool) -> Any:
    if name == "tanh":
        return _fourier_sum(_SECH2, q1, q2, c, 0 if slopes else 1)
    if name == "sigmoid":  # 1/2 + tanh(u/2)/2
        part = _by_fourier("tanh", q1 / 4, q2 / 4, c, slopes)
        return part / 16 if slopes else (1 + part) / 4
    act = _ACTIVATIONS[name]
    slope_product = _average(name, q1, lambda u, z: act.slope(u)) * _average(
        name, q2, lambda u, z: act.slope(u)
    )
    if slopes:
        return slope_product + _fourier_sum(_SECOND[name], q1, q2, c, 1)
    product = _average(name, q1, lambda u, z: act.value(u)) * _average(
        name, q2, lambda u, z: act.value(u)
    )
    p = c * mp.sqrt(q1 * q2)
    return product + p * slope_product + _fourier_sum(_SECOND[name], q1, q2, c, 2)


# --- kernels --------------------------------------------------------------------------------------


def _two_point(name: str, q1: Any, q2: Any, c: Any, slopes: bool) -> Any:
    act = _ACTIVATIONS[name]
    g = act.slope if slopes else act.value
    if abs(c) == 1 and q1 == q2:
        return _average(name, q1, lambda u, z: g(u) * g(c * u))
    return (_by_inner if name in _INNER else _by_fourier)(name, q1, q2, c, slopes)


def kernel(name: str, q1: Number, q2: Number, c: Number, digits: int = DIGITS) -> Any:
    """H = E[phi(u1) phi(u2)]: variances q1, q2 > 0, correlation |c| < 1 (or c = +-1, q1 = q2)."""
    with mp.workdps(digits):
        return _two_point(name, _exact(q1), _exact(q2), _exact(c), slopes=False)


def slope_kernel(name: str, q1: Number, q2: Number, c: Number, digits: int = DIGITS) -> Any:
    """E[phi'(u1) phi'(u2)]."""
    with mp.workdps(digits):
        return _two_point(name, _exact(q1), _exact(q2), _exact(c), slopes=True)


def deficit(name: str, q: Number, eps: Number, digits: int = DIGITS) -> Any:
    """D = F(q) - H(q, q, 1 - eps), 1 - eps formed exactly; eps > 0."""
    with mp.workdps(digits):
        lost = max(0, int(-mp.log10(_exact(eps)))) + 2
    with mp.workdps(digits + lost):
        c = 1 - _exact(eps)
        return second_moment(name, q, mp.dps) - kernel(name, q, q, c, mp.dps)


def nested_kernel(
    name: str, q1: Number, q2: Number, c: Number, digits: int = 30, slopes: bool = False
) -> Any:
    """H (or the kernel of slopes) by two nested panel quadratures; seconds per value."""
    with mp.workdps(digits):
        q1, q2, c = _exact(q1), _exact(q2), _exact(c)
        act = _ACTIVATIONS[name]
        g = act.slope if slopes else act.value
        s1, s2, rest = mp.sqrt(q1), mp.sqrt(q2), mp.sqrt(1 - c * c)

        def inner(z1: Any) -> Any:
            shift = c * z1
            features = [((k / s2 - shift) / rest, 1 / (s2 * rest)) for k in {0, *act.kinks}]
            cap = min(mp.mpf(2), 12 / (s2 * rest))
            edges = _edges(_reach(), features, cap)
            return _gauss(lambda z2: g(s2 * (shift + rest * z2)), edges)

        features = [(k / s1, 1 / s1) for k in {0, *act.kinks}]
        if c != 0:
            features += [(k / (s2 * c), rest / abs(c)) for k in {0, *act.kinks}]
        edges = _edges(_reach(), features, min(mp.mpf(2), 12 / s1))
        return _gauss(lambda z1: g(s1 * z1) * inner(z1), edges)


# --- fixed points ---------------------------------------------------------------------------------


def length_fixed_points(
    name: str, sigma_w: Number, sigma_b: Number, keep: Number = 1, digits: int = DIGITS
) -> list[Any]:
    """Every q > 0 with sigma_w^2 F(q) / keep + sigma_b^2 = q between 1e-9 and 1e6, ascending."""
    found = []
    with mp.workdps(15):
        gain, bias = _exact(sigma_w) ** 2 / _exact(keep), _exact(sigma_b) ** 2

        def excess(t: Any) -> Any:
            q = mp.exp(t)
            return gain * second_moment(name, q, 15) / q + bias / q - 1

        grid = [mp.log(10) * k / 8 for k in range(-72, 49)]
        values = [excess(t) for t in grid]
        brackets = [
            (grid[k], grid[k + 1])
            for k in range(len(grid) - 1)
            if (values[k] > 0) != (values[k + 1] > 0)
        ]
        for low, high in brackets:
            rising = excess(low) > 0
            for _ in range(12):
                middle = (low + high) / 2
                low, high = (middle, high) if (excess(middle) > 0) == rising else (low, middle)
            found.append(mp.exp((low + high) / 2))
    return [polish_length(name, sigma_w, sigma_b, q, keep, digits) for q in found]


def polish_length(
    name: str,
    sigma_w: Number,
    sigma_b: Number,
    start: Number,
    keep: Number = 1,
    digits: int = DIGITS,
) -> Any:
    """Newton's method on V(q) - q from `start`."""
    with mp.workdps(digits):
        gain, bias = _exact(sigma_w) ** 2 / _exact(keep), _exact(sigma_b) ** 2
        q = _exact(start)
        for _ in range(60):
            residual = gain * second_moment(name, q, digits) + bias - q
            step = residual / (1 - gain * second_moment_slope(name, q, digits))
            q += step
            if abs(step) < q * mp.mpf(10) ** (6 - digits):
                return q
        raise RuntimeError(f"no fixed point of the length map near {mp.nstr(_exact(start))}")


def correlation_deficit(
    name: str,
    sigma_w: Number,
    sigma_b: Number,
    q: Number,
    keep: Number = 1,
    digits: int = DIGITS,
) -> Any:
    """1 - c* for the fixed point below 1: Newton's method from c = 0, monotone by convexity.

    Exactly 1 where phi is odd and sigma_b = 0, for then C(0) = 0.
    """
    if name in ODD and _exact(sigma_b) == 0:
        return mp.one
    coarse, start = 25, mp.one
    with mp.workdps(coarse):
        gain = _exact(sigma_w) ** 2
        excess = gain * slope_moment(name, q, 2, coarse) - 1
        if name in SMOOTH and keep == 1 and 0 < excess < 0.01:
            # near the line the root is 2 (chi_1 - 1) / (q chi_2); begin to its right
            start = 3 * excess / (_exact(q) * gain * curvature_moment(name, q, coarse))
    eps = _newton_deficit(name, sigma_w, sigma_b, q, keep, start, coarse)
    return _newton_deficit(name, sigma_w, sigma_b, q, keep, eps, digits)


def _newton_deficit(
    name: str, sigma_w: Number, sigma_b: Number, q: Number, keep: Number, start: Any, digits: int
) -> Any:
    with mp.workdps(digits):
        gain, bias, q = _exact(sigma_w) ** 2, _exact(sigma_b) ** 2, _exact(q)
        eps = _exact(start)
        for _ in range(80):
            if eps > mp.mpf("1e-3") and keep == 1:
                lost = gain * deficit(name, q, eps, digits) / q
            elif keep == 1:
                lost = gain * deficit(name, q, eps, digits + 10) / q
            else:
                lost = 1 - (gain * kernel(name, q, q, 1 - eps, digits) + bias) / q
            slope = gain * slope_kernel(name, q, q, 1 - eps, digits)
            step = (lost - eps) / (1 - slope)
            eps += step
            if abs(step) < eps * mp.mpf(10) ** (mp.mpf(8) - mp.mpf(digits)):
                return eps
        raise RuntimeError(f"no fixed point of the correlation map of {name}")


def solve(
    name: str,
    sigma_w: Number,
    sigma_b: Number,
    keep: Number = 1,
    q_star: Any = None,
    digits: int = DIGITS,
) -> dict[str, Any]:
    """Everything at a fixed point of the length map: the stable one, or the one near `q_star`.

    Keys: q_star, chi_q, chi_1, c_star, one_minus_c_star, chi_c, one_minus_chi_c, xi_q, xi_c,
    xi_grad, chi_2 (None for kinks). With dropout chi_q has the factor 1/keep; chi_1, chi_c do not.
    """
    with mp.workdps(digits):
        gain, rho = _exact(sigma_w) ** 2, _exact(keep)
        if q_star is None:
            roots = length_fixed_points(name, sigma_w, sigma_b, keep, digits)
            stable = [q for q in roots if gain * second_moment_slope(name, q, 15) / rho < 1]
            if len(stable) != 1:
                raise ValueError(f"{len(stable)} stable fixed points; choose one by q_star")
            q = stable[0]
        else:
            q = polish_length(name, sigma_w, sigma_b, q_star, keep, digits)
        chi_1 = gain * slope_moment(name, q, 2, digits)
        chi_q = gain * second_moment_slope(name, q, digits) / rho
        if rho == 1 and chi_1 <= 1:
            eps, chi_c = mp.zero, chi_1
        else:
            eps = correlation_deficit(name, sigma_w, sigma_b, q, keep, digits)
            chi_c = gain * slope_kernel(name, q, q, 1 - eps, digits)
        second = _ACTIVATIONS[name].second
        return {
            "q_star": q,
            "chi_q": chi_q,
            "chi_1": chi_1,
            "c_star": 1 - eps,
            "one_minus_c_star": eps,
            "chi_c": chi_c,
            "one_minus_chi_c": 1 - chi_c,
            "xi_q": _depth(chi_q),
            "xi_c": _depth(chi_c),
            "xi_grad": _depth(chi_1),
            "chi_2": None if second is None else gain * curvature_moment(name, q, digits),
        }


def _depth(chi: Any) -> Any:
    return -1 / mp.log(abs(chi)) if chi else mp.zero


# --- the critical line ----------------------------------------------------------------------------


def _secant(f: Function, a: Any, b: Any, digits: int) -> Any:
    fa, fb = f(a), f(b)
    for _ in range(60):
        if fb == fa:
            return b
        a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
        if abs(b - a) < abs(b) * mp.mpf(10) ** (8 - digits):
            return b
        fb = f(b)
    raise RuntimeError("the secant method did not converge")


def critical_point(
    name: str, sigma_b: Number, guess: Number, digits: int = DIGITS
) -> tuple[Any, Any]:
    """(sigma_w, q) on chi_1 = 1 at the given sigma_b, from a guess of q."""
    with mp.workdps(digits):
        bias = _exact(sigma_b) ** 2

        def gap(q: Any) -> Any:
            slope = slope_moment(name, q, 2, digits)
            return q - second_moment(name, q, digits) / slope - bias

        q = _secant(gap, _exact(guess), _exact(guess) * (1 + mp.mpf("1e-4")), digits)
        return 1 / mp.sqrt(slope_moment(name, q, 2, digits)), q


def doubly_critical(name: str, guess: Number, digits: int = DIGITS) -> tuple[Any, Any, Any]:
    """(q, sigma_w^2, sigma_b^2) where chi_q = chi_1 = 1, from a guess of q."""
    with mp.workdps(digits):

        def gap(q: Any) -> Any:
            return second_moment_slope(name, q, digits) - slope_moment(name, q, 2, digits)

        q = _secant(gap, _exact(guess), _exact(guess) * (1 + mp.mpf("1e-4")), digits)
        gain = 1 / slope_moment(name, q, 2, digits)
        return q, gain, q - gain * second_moment(name, q, digits)


# --- geometry -------------------------------------------------------------------------------------


def propagate_circle(
    name: str, sigma_w: Number, sigma_b: Number, depth: int, q_first: Any, digits: int = DIGITS
) -> dict[str, list[Any]]:
    """q, metric, N kappa^2 and Gauss metric of a great circle at layers 1..depth, q_1 = q_first.

    By the derivatives of the iterated correlation map, kept as those of cos at the first layer:
    K'' and K'''' of K_l = H_l(K_{l-1}) at angle zero, from which metric = -K'' and
    kappa^2 |v|^4 = K'''' (the angle's speed is constant, so acceleration is normal to velocity).
    """
    with mp.workdps(digits):
        gain, bias = _exact(sigma_w) ** 2, _exact(sigma_b) ** 2
        q = _exact(q_first)
        second, fourth = -q, q  # of the covariance q cos(angle)
        out: dict[str, list[Any]] = {"q": [], "metric": [], "curvature_squared": [], "gauss": []}
        for _ in range(depth):
            out["q"].append(q)
            out["metric"].append(-second)
            out["curvature_squared"].append(fourth / second**2)
            out["gauss"].append(fourth / -second)
            chi_1 = gain * slope_moment(name, q, 2, digits)
            chi_2 = gain * curvature_moment(name, q, digits)
            second, fourth = chi_1 * second, chi_1 * fourth + 3 * chi_2 * second**2
            q = gain * second_moment(name, q, digits) + bias
        return out
