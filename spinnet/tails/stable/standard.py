"""The standard stable law in S0 (scale 1, location 0) of one (stable_alpha, beta).

Large arrays are read from tables (`panels`), built at the first need; small ones, and the points
outside the tables (light tails beyond underflow), are computed directly (`direct`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.compiling import compiled
from spinnet.tails.stable.direct import point, points
from spinnet.tails.stable.panels import Table, build, coordinate, interpolate, interpolate_slope
from spinnet.tails.stable.parameters import side_constants
from spinnet.tails.stable.series import series_coefficients

Floats = NDArray[np.float64]
PDF, CDF, SF = 0, 1, 2
# Fewer points than this are computed one by one, also where a table exists: the last digits of a
# value then do not depend on earlier calls.
_TABLE_PAYS = 500
_FARTHEST = 35.0  # |v| of the ends: 1e15 scales
_LEAST = -760.0  # log-densities below this are left out of the tables: exp underflows


class Domain(NamedTuple):
    """A table, the kind of its coordinate (`panels.coordinate`), and which ends are light tails."""

    kind: int
    table: Table
    light: tuple[bool, bool]


@compiled(nogil=True, error_model="numpy")
def _read(
    x: Floats,
    y: Floats,
    which: int,
    exponential: bool,
    kinds: NDArray[np.int64],
    light: NDArray[np.bool_],
    edges: tuple[Floats, Floats],
    coefficients: tuple[Floats, Floats],
    right: Floats,
    left: Floats,
    series: Floats,
) -> Floats:
    out = np.empty(x.size)
    for i in range(x.size):
        kind = kinds[0]
        first = kind == 0 or y[i] > 0.0
        e = edges[0] if first else edges[1]
        if kind != 0 and not first:
            kind = 2
        v = coordinate(x[i], y[i], kind)
        if e.size > 1 and v >= e[0] and v <= e[-1]:
            c = coefficients[0] if first else coefficients[1]
            value = interpolate(v, e, c[which])
        elif (
            v == v and exponential and e.size > 1 and light[0 if first else 1, 0 if v < e[0] else 1]
        ):
            # beyond underflow; in ln(-y) the low end is the upper end of the support
            upwards = (v > e[-1]) != (kind == 2)
            value = -math.inf if which == 0 or (which == 2) == upwards else 0.0
        else:
            value = point(x[i], y[i], right, left, series)[which]
        out[i] = math.exp(value) if exponential else value
    return out


@compiled(nogil=True, error_model="numpy")
def _slopes(
    x: Floats,
    y: Floats,
    kind: int,
    edges: tuple[Floats, Floats],
    coefficients: tuple[Floats, Floats],
) -> Floats:
    """Return d log pdf / dx, NaN outside the tables."""
    out = np.empty(x.size)
    for i in range(x.size):
        first = kind == 0 or y[i] > 0.0
        e = edges[0] if first else edges[1]
        c = coefficients[0] if first else coefficients[1]
        v = coordinate(x[i], y[i], kind if first else 2)
        if e.size > 1 and v >= e[0] and v <= e[-1]:
            slope = interpolate_slope(v, e, c[0])[1]
            out[i] = slope / (math.hypot(1.0, x[i]) if kind == 0 else y[i])
        else:
            out[i] = math.nan
    return out


class StandardStable:
    """Distribution functions of S0(stable_alpha, beta, 1, 0).

    Parameters
    ----------
    stable_alpha : float
        Index in (0, 2].
    beta : float
        Skewness in [-1, 1].

    Notes
    -----
    Arguments are not checked here; the public functions of `spinnet.tails.stable` do.  Each
    method takes `x` (any shape) and, optionally, `y` = x - zeta where the caller knows it better
    than the subtraction would.
    """

    def __init__(self, stable_alpha: float, beta: float) -> None:
        self.stable_alpha = float(stable_alpha)
        self.beta = float(beta)
        self.right = side_constants(self.stable_alpha, self.beta)
        self.left = side_constants(self.stable_alpha, -self.beta)
        self.zeta = float(self.right[3])
        self._series = np.stack([series_coefficients(self.right), series_coefficients(self.left)])
        self._domains: tuple[Domain, Domain] | None = None

    def _pair(self, x: ArrayLike, y: ArrayLike | None) -> tuple[Floats, Floats, tuple[int, ...]]:
        values = np.asarray(x, dtype=np.float64)
        centred = values - self.zeta if y is None else np.asarray(y, dtype=np.float64)
        return np.ravel(values), np.ravel(centred), values.shape

    def direct(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return log pdf, log cdf and log sf by the direct routes, shape (3, *x.shape)."""
        flat, centred, shape = self._pair(x, y)
        out = points(flat, centred, self.right, self.left, self._series)
        return np.asarray(out.reshape(3, *shape))

    @property
    def domains(self) -> tuple[Domain, Domain]:
        """The tables: of the whole line and an empty one, or of y > 0 and of y < 0."""
        if self._domains is None:
            if self.stable_alpha >= 0.9:
                self._domains = self._domain(0), _empty(2)
            else:
                self._domains = self._domain(1), self._domain(2)
        return self._domains

    def _domain(self, kind: int) -> Domain:
        def evaluate(v: Floats) -> Floats:
            if kind == 0:
                x = np.sinh(v)
                return self.direct(x)
            y = np.exp(v) if kind == 1 else -np.exp(v)
            return self.direct(y + self.zeta, y)

        inside = 0.0 if kind == 0 else 2.0
        if kind != 0 and not np.isfinite(evaluate(np.array([inside]))).all():
            return _empty(kind)  # beyond the support

        def present(v: float) -> bool:
            values = evaluate(np.array([v]))[:, 0]
            return bool(np.all(values > _LEAST))

        farthest = _FARTHEST if kind == 0 else min(690.0, max(_FARTHEST, 12.0 / self.stable_alpha))
        low = _edge(present, inside, -farthest)
        high = _edge(present, inside, farthest)
        light = (low > -farthest, high < farthest)
        return Domain(kind, build(evaluate, low, high), light)

    def _values(self, x: ArrayLike, y: ArrayLike | None, which: int, exponential: bool) -> Floats:
        flat, centred, shape = self._pair(x, y)
        if flat.size < _TABLE_PAYS:
            out = points(flat, centred, self.right, self.left, self._series)[which]
            return np.asarray((np.exp(out) if exponential else out).reshape(shape))
        first, second = self.domains
        out = _read(
            flat,
            centred,
            which,
            exponential,
            np.array([first.kind]),
            np.array([first.light, second.light]),
            (first.table.edges, second.table.edges),
            (first.table.coefficients, second.table.coefficients),
            self.right,
            self.left,
            self._series,
        )
        return np.asarray(out.reshape(shape))

    def logarithms(self, x: Floats, y: Floats) -> Floats:
        """Return log pdf, log cdf and log sf of flat arrays, shape (3, n)."""
        if x.size < _TABLE_PAYS:
            return self.direct(x, y)
        return np.stack([self._values(x, y, which, False) for which in (PDF, CDF, SF)])

    def logpdf(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return the log-density, also where the density underflows."""
        return self._values(x, y, PDF, False)

    def pdf(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return the density."""
        return self._values(x, y, PDF, True)

    def logcdf(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return ln P(X <= x)."""
        return self._values(x, y, CDF, False)

    def cdf(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return P(X <= x)."""
        return self._values(x, y, CDF, True)

    def logsf(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return ln P(X > x)."""
        return self._values(x, y, SF, False)

    def sf(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return P(X > x)."""
        return self._values(x, y, SF, True)

    def score(self, x: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return d logpdf / dx from the derivative of the table (about 1e-11 relative).

        NaN where the table ends: outside the support, and in a light tail beyond underflow.
        """
        flat, centred, shape = self._pair(x, y)
        first, second = self.domains
        out = _slopes(
            flat,
            centred,
            first.kind,
            (first.table.edges, second.table.edges),
            (first.table.coefficients, second.table.coefficients),
        )
        return np.asarray(out.reshape(shape))

    def mode(self) -> tuple[float, float]:
        """Return the place (x, y) of the largest density, by bisection of the score."""
        if self.stable_alpha >= 0.9:
            low, high = -50.0, 50.0
            for _ in range(200):
                middle = 0.5 * (low + high)
                rising = self.score(np.array([middle]))[0]
                light = np.isnan(rising) and self.beta > 0.0 and middle < 0.0
                low, high = (middle, high) if rising > 0.0 or light else (low, middle)
            return 0.5 * (low + high), 0.5 * (low + high) - self.zeta
        # the mode lies between zeta and the light side, at y of the sign of beta
        sign = math.copysign(1.0, self.beta)
        low, high = -50.0 / self.stable_alpha, 5.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            y = np.array([sign * math.exp(middle)])
            rising = sign * self.score(y + self.zeta, y)[0]
            low, high = (middle, high) if rising > 0.0 or np.isnan(rising) else (low, middle)
        y_mode = sign * math.exp(0.5 * (low + high))
        return y_mode + self.zeta, y_mode


def _empty(kind: int) -> Domain:
    return Domain(kind, Table(np.zeros(1), np.zeros((3, 1, 1))), (False, False))


def _edge(present: Callable[[float], bool], inside: float, end: float) -> float:
    """Return the farthest v towards `end` where all three logarithms are above the least."""
    if present(end):
        return end
    for _ in range(40):
        middle = 0.5 * (inside + end)
        if present(middle):
            inside = middle
        else:
            end = middle
        if abs(end - inside) < 1e-3:
            break
    return inside


@lru_cache(maxsize=128)
def standard(stable_alpha: float, beta: float = 0.0) -> StandardStable:
    """Return the law of these parameters, made once."""
    return StandardStable(stable_alpha, beta)
