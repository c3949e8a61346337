"""Stable laws to 30 digits and more, by methods that share nothing, in mpmath.

Standard laws in S0: with T = tan(pi a / 2), the characteristic function for t > 0 is
exp(-t^a - i b T (t - t^a)), and exp(-t - i b (2/pi) t log t) at a = 1.

``contour``  inversion integral of Gil-Pelaez on a rotated ray, exponential substitution;
``nolan``    Zolotarev's integral in Nolan's form (Stochastic Models 13, 759 (1997), theorem 1);
``series``   the convergent series: in x^-a for a < 1, in x for a > 1 (Zolotarev 1986, 2.4);
``closed``   the laws of Gauss, Cauchy and Levy.

Each returns (pdf, cdf, sf), or None where it does not apply.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import cache

import mpmath as mp

Triple = tuple[mp.mpf, mp.mpf, mp.mpf]


def _reflected(value: Triple) -> Triple:
    return value[0], value[2], value[1]


def _close(new: list[mp.mpf], old: list[mp.mpf], digits: int) -> bool:
    tiny = mp.mpf(10) ** (-digits)
    return all(abs(p - q) <= tiny * abs(p) for p, q in zip(new, old, strict=True))


# --- contour ------------------------------------------------------------------------------------


def _double_exponent(s: float, angle: float, a: float, b: float, x: float) -> complex:
    t = s * cmath.exp(-1j * angle)
    if a == 1.0:
        return -1j * t * x - t - 1j * b * 2 / math.pi * t * cmath.log(t)
    power = t**a
    return -1j * t * x - power - 1j * b * math.tan(math.pi * a / 2) * (t - power)


def _angle(a: float, b: float, x: float) -> float:
    """Return the angle of the ray on which the integrand turns least before it is negligible."""
    best, chosen = math.inf, 0.0
    grid = [10.0 ** (-9 + 0.05 * k) for k in range(500)]
    for k in range(-30, 31):
        angle = k * math.pi / 62
        try:
            values = [_double_exponent(s, angle, a, b, x) for s in grid]
        except OverflowError:
            continue
        over = [i for i, value in enumerate(values) if value.real > -80]
        if not over or over[-1] + 1 >= len(grid):
            continue
        hump = max(value.real for value in values)
        cost = max(abs(v.imag) for v in values[: over[-1] + 1]) + 3 * max(hump, 0.0)
        if cost < best:
            best, chosen = cost, angle
    return chosen


def contour(a: mp.mpf, b: mp.mpf, x: mp.mpf, digits: int = 32) -> Triple | None:
    """Integrate the inversion formulae on a ray; precision grows until nothing is lost."""
    extra = 20
    angle = _angle(float(a), float(b), float(x))
    while extra < 700:
        with mp.workdps(digits + extra):
            found = _on_ray(a, b, x, mp.mpf(angle), digits)
            if found is None:
                return None
            smallest = min(abs(v) for v in found)
            lost = 1000 if smallest == 0 else float(-mp.log10(smallest))
            if lost + 15 <= extra:
                return found
        extra = max(int(lost) + 20, extra * 2) if lost < 600 else extra * 2
    return None


def _on_ray(a: mp.mpf, b: mp.mpf, x: mp.mpf, angle: mp.mpf, digits: int) -> Triple | None:
    turn = mp.expj(-angle)
    tangent = mp.mpf(0) if a == 1 else mp.tan(mp.pi * a / 2)
    # the largest s that matters, and the smallest
    low_s = mp.mpf(10) ** (-mp.mp.dps / min(a, mp.mpf(1)) - 2) / (1 + abs(x))
    grid = [10.0 ** (-9 + 0.05 * k) for k in range(700)]
    limit = -2.31 * mp.mp.dps - 10
    top = grid[-1]
    for s in reversed(grid):
        try:
            if _double_exponent(s, float(angle), float(a), float(b), float(x)).real > limit:
                break
        except OverflowError:
            continue
        top = s
    scale = mp.mpf(1) / (1 + abs(x))

    def integrand(u: mp.mpf) -> mp.mpc:
        s = scale * mp.exp(u - mp.exp(-u))
        t = s * turn
        log_t = mp.mpc(mp.log(s), -angle)
        if a == 1:
            value = mp.exp(-1j * t * x - t - 1j * b * 2 / mp.pi * t * log_t)
        else:
            power = mp.exp(a * log_t)
            value = mp.exp(-1j * t * x - power - 1j * b * tangent * (t - power))
        slope = 1 + mp.exp(-u)
        return mp.mpc((value * turn).real * s * slope, value.imag * slope)

    def bound(target: mp.mpf) -> mp.mpf:
        u = mp.mpf(0)
        for _ in range(60):  # u - exp(-u) = log(target / scale), by Newton's method
            u = u - (u - mp.exp(-u) - target) / (1 + mp.exp(-u))
        return u

    low = -mp.log(-mp.log(low_s / scale)) - 1
    high = bound(mp.log(mp.mpf(top) / scale)) + mp.mpf("0.2")
    step = (high - low) / 64
    total = mp.fsum([integrand(low + k * step) for k in range(65)])
    previous: list[mp.mpf] | None = None
    for level in range(9):
        pdf = total.real * step / mp.pi
        sf = mp.mpf(1) / 2 + (total.imag * step - angle) / mp.pi
        value = [pdf, 1 - sf, sf]
        if previous is not None and _close(value, previous, digits):
            return pdf, 1 - sf, sf
        if previous is not None and level >= 4 and min(abs(v) for v in value) < mp.eps * 10**12:
            return pdf, 1 - sf, sf  # too small for this precision: asks for more
        previous = value
        count = 64 * 2**level
        total += mp.fsum([integrand(low + (k + mp.mpf(1) / 2) * step) for k in range(count)])
        step /= 2
    return None


# --- Nolan --------------------------------------------------------------------------------------


def nolan(a: mp.mpf, b: mp.mpf, x: mp.mpf, digits: int = 29) -> Triple | None:
    """Integrate a positive function over a bounded range: no cancellation in the tails."""
    with mp.workdps(digits + 20):
        if a == 1 and b == 0:
            return None
        if a == 1:
            return _nolan_one(b, x, digits) if b > 0 else _reflect(nolan(a, -b, -x, digits))
        zeta = -b * mp.tan(mp.pi * a / 2)
        if x < zeta:
            return _reflect(nolan(a, -b, -x, digits))
        if x - zeta < mp.mpf("1e-9"):
            return None
        return _nolan_regular(a, b, x - zeta, digits)


def _reflect(value: Triple | None) -> Triple | None:
    return None if value is None else _reflected(value)


def _nolan_regular(a: mp.mpf, b: mp.mpf, y: mp.mpf, digits: int) -> Triple | None:
    theta0 = mp.atan(b * mp.tan(mp.pi * a / 2)) / a
    if b == 1 and a < 1:
        theta0 = mp.pi / 2
    if b == -1 and a < 1:
        return mp.mpf(0), mp.mpf(1), mp.mpf(0)
    if b == -1 and a > 1:
        theta0 = mp.pi / a - mp.pi / 2
    length = mp.pi / 2 + theta0

    def log_g(left: mp.mpf, right: mp.mpf) -> mp.mpf:
        """The logarithm of g at distance `left` from -theta0 and `right` from pi/2."""
        cos_theta, sine = mp.sin(right), mp.sin(a * left)
        if b == 1 and a < 1:
            cosine = mp.sin((1 - a) * left)
        elif b == -1 and a > 1:
            cosine = mp.sin((a - 1) * right)
            sine = mp.sin(a * min(left, right))
        else:
            cosine = mp.cos(a * theta0 + (a - 1) * (mp.pi / 2 - right))
        value = mp.log(mp.cos(a * theta0)) / (a - 1)
        value += a / (a - 1) * (mp.log(y) + mp.log(cos_theta) - mp.log(sine))
        return value + mp.log(cosine) - mp.log(cos_theta)

    pdf, fall, rise = _nolan_integrals(log_g, length, digits)
    pdf *= a / (mp.pi * abs(a - 1) * y)
    if a < 1:
        return pdf, (mp.pi / 2 - theta0 + fall) / mp.pi, rise / mp.pi
    return pdf, (mp.pi / 2 - theta0 + rise) / mp.pi, fall / mp.pi


def _nolan_one(b: mp.mpf, x: mp.mpf, digits: int) -> Triple | None:
    def log_g(left: mp.mpf, right: mp.mpf) -> mp.mpf:
        cosine = mp.sin(min(left, right))
        arm = mp.pi / 2 * (1 - b) + b * left
        sine = -mp.cos(left) if left < right else mp.cos(right)
        value = mp.log(2 / mp.pi) + mp.log(arm) - mp.log(cosine)
        return value + arm * sine / cosine / b - mp.pi * x / (2 * b)

    pdf, fall, rise = _nolan_integrals(log_g, mp.pi, digits)
    return pdf / (2 * b), fall / mp.pi, rise / mp.pi


def _nolan_integrals(
    log_g: Callable[[mp.mpf, mp.mpf], mp.mpf], length: mp.mpf, digits: int
) -> Triple:
    """Integrate g exp(-g), exp(-g) and 1 - exp(-g) over the range, in its logit."""

    def sides(u: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        return length / (1 + mp.exp(-u)), length / (1 + mp.exp(u))

    def integrands(u: mp.mpf) -> Triple:
        left, right = sides(u)
        log_value = log_g(left, right)
        g = mp.exp(log_value) if log_value < 12 else mp.mpf("2e5")
        fall, slope = mp.exp(-g), left * right / length
        rise = -mp.expm1(-g) if g < 1e-3 else 1 - fall
        return g * fall * slope, fall * slope, rise * slope

    with mp.workdps(mp.mp.dps + 10):
        pieces = _pieces(lambda u: log_g(*sides(u)), integrands, digits)
        totals = [mp.mpf(0)] * 3
        for low, high in pieces:
            half, middle = (high - low) / 2, (high + low) / 2
            for z, w in _nodes(22):
                for k, value in enumerate(integrands(middle + half * z)):
                    totals[k] += half * w * value
    return totals[0], totals[1], totals[2]


def _pieces(
    level: Callable[[mp.mpf], mp.mpf], integrands: Callable[[mp.mpf], Triple], digits: int
) -> list[tuple[mp.mpf, mp.mpf]]:
    """Return intervals on each of which g is smooth; those that carry nothing are left out."""
    reach = 3 * digits + 45  # exp(-reach) of the range is left out at either end
    todo = [(mp.mpf(k), mp.mpf(k + 1), 0) for k in range(-reach, reach)]
    known: dict[mp.mpf, tuple[float, list[float]]] = {}

    def at(u: mp.mpf) -> tuple[float, list[float]]:
        if u not in known:
            sizes = [float(mp.log10(v + mp.mpf("1e-9999"))) for v in integrands(u)]
            known[u] = (float(level(u)), sizes)
        return known[u]

    floor = math.exp(min(min(at(low)[0] for low, _, _ in todo), 20.0))
    done: list[tuple[mp.mpf, mp.mpf, list[float]]] = []
    while todo:
        low, high, depth = todo.pop()
        (first, size), (second, other) = at(low), at(high)
        smallest, largest = min(first, second), max(first, second)
        g, above = math.exp(min(smallest, 20.0)), math.exp(min(largest, 20.0))
        alive = g < floor + 120 + 3 * digits
        rough = alive and (above - g > 15 or (largest > -100 and largest - smallest > 1))
        if rough and depth < 60:
            middle = (low + high) / 2
            todo += [(low, middle, depth + 1), (middle, high, depth + 1)]
        else:
            done.append((low, high, [max(p, q) for p, q in zip(size, other, strict=True)]))
    limits = [max(sizes[k] for _, _, sizes in done) - digits - 4 for k in range(3)]
    return [
        (low, high)
        for low, high, sizes in done
        if any(size > limit for size, limit in zip(sizes, limits, strict=True))
    ]


@cache
def _nodes(order: int) -> list[tuple[mp.mpf, mp.mpf]]:
    """Return the nodes and weights of Gauss and Legendre, to 110 digits."""
    rule = []
    with mp.workdps(110):
        for k in range(order):
            z = mp.cos(mp.pi * (k + mp.mpf("0.75")) / (order + mp.mpf("0.5")))
            for _ in range(9):  # Newton's method doubles the digits
                last, this = mp.mpf(1), z
                for n in range(2, order + 1):
                    last, this = this, ((2 * n - 1) * z * this - (n - 1) * last) / n
                slope = order * (z * this - last) / (z * z - 1)
                z -= this / slope
            rule.append((z, 2 / ((1 - z * z) * slope**2)))
    return rule


# --- series -------------------------------------------------------------------------------------


def series(a: mp.mpf, b: mp.mpf, x: mp.mpf, digits: int = 32, terms: int = 2500) -> Triple | None:
    """Sum the convergent series, in S1; None at a = 1 and where too many terms are needed."""
    if a == 1:
        return None
    with mp.workdps(digits + 40):
        y = x + b * mp.tan(mp.pi * a / 2)
        if y < 0:
            return _reflect(series(a, -b, -x, digits, terms))
        if y == 0 and a < 1:
            return None
        # the largest term is about the exponential of this
        if abs(a - 1) < 0.02 or y ** (a / (a - 1)) > 300:
            return None
        room = 350 + digits
    with mp.workdps(room):
        y = x + b * mp.tan(mp.pi * a / 2)
        psi = mp.atan(b * mp.tan(mp.pi * a / 2))
        add = _small_a if a < 1 else _large_a
        pdf, other, largest, last = add(a, psi, y, digits, terms)
        if last is None or largest > mp.mpf(10) ** 300:
            return None
        value = (pdf, 1 - other, other) if a < 1 else (pdf, other, 1 - other)
        smallest = min(abs(v) for v in value)
        if smallest < mp.mpf(10) ** (-60):
            return None
        return value


def _small_a(
    a: mp.mpf, psi: mp.mpf, y: mp.mpf, digits: int, terms: int
) -> tuple[mp.mpf, mp.mpf, mp.mpf, mp.mpf | None]:
    """Return pdf, sf, the largest term, and None in the last place if not converged."""
    pdf, sf, largest = mp.mpf(0), mp.mpf(0), mp.mpf(0)
    ratio = y ** (-a) / mp.cos(psi)
    power, phase = mp.mpf(1), mp.pi * a / 2 + psi
    for k in range(1, terms):
        power *= -ratio / k
        size = power * mp.gamma(k * a)
        term = -size * mp.sin(k * phase)
        sf += term
        pdf += term * k * a / y
        largest = max(largest, abs(size))
        if k > 10 and abs(size) * k < mp.mpf(10) ** (-digits - 60) * min(1, 1 / y):
            return pdf / mp.pi, sf / mp.pi, largest, abs(size)
    return pdf, sf, largest, None


def _large_a(
    a: mp.mpf, psi: mp.mpf, y: mp.mpf, digits: int, terms: int
) -> tuple[mp.mpf, mp.mpf, mp.mpf, mp.mpf | None]:
    """Return pdf, cdf, the largest term, and None in the last place if not converged."""
    pdf, largest = mp.mpf(0), mp.mpf(0)
    cdf = (mp.pi / 2 - psi / a) / mp.pi  # at y = 0
    turn, cos_power = psi / a - mp.pi / 2, mp.cos(psi) ** (1 / a)
    power = cos_power  # cos(psi)^((n+1)/a) y^n / n!
    for n in range(terms):
        size = power * mp.gamma((n + 1) / a) / (a * mp.pi)
        term = size * mp.cos(n * turn + psi / a)
        pdf += term
        cdf += term * y / (n + 1)
        largest = max(largest, abs(size))
        if n > 10 and abs(size) < mp.mpf(10) ** (-digits - 60):
            return pdf, cdf, largest, abs(size)
        power *= y * cos_power / (n + 1)
    return pdf, cdf, largest, None


def closed(a: mp.mpf, b: mp.mpf, x: mp.mpf) -> Triple | None:
    """Return the laws of Cauchy, Gauss and Levy in closed form, None for others."""
    with mp.workdps(80):
        if a == 2:
            tail = mp.erfc(abs(x) / 2) / 2
            value = mp.exp(-x * x / 4) / (2 * mp.sqrt(mp.pi)), 1 - tail, tail
            return value if x >= 0 else _reflected(value)
        if a == 1 and b == 0:
            return (
                1 / (mp.pi * (1 + x * x)),
                mp.atan2(1, -x) / mp.pi,
                mp.atan2(1, x) / mp.pi,
            )
        if a == mp.mpf(1) / 2 and abs(b) == 1:
            y = b * x + 1
            if y <= 0:
                return None
            pdf = mp.exp(-1 / (2 * y)) / mp.sqrt(2 * mp.pi * y**3)
            value = pdf, mp.erfc(1 / mp.sqrt(2 * y)), mp.erf(1 / mp.sqrt(2 * y))
            return value if b > 0 else _reflected(value)
    return None


def support_end(a: mp.mpf, b: mp.mpf) -> mp.mpf | None:
    """Return where the support ends, in S0: none but for a < 1 and |b| = 1."""
    if a < 1 and abs(b) == 1:
        with mp.workdps(80):
            return -b * mp.tan(mp.pi * a / 2)
    return None
