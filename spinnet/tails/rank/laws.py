r"""Laws of frequency by rank on 1..R, and their maximum-likelihood fits.

Five laws are exponential families on a finite set, p(r) ~ exp(theta . T(r)):

=================  ============================  =========================
zipf               r^-s                          T = ln r
cut-off            r^-s exp(-rate r), rate >= 0  T = (ln r, r)
lognormal          r^-a exp(-(c/2) ln^2 r)       T = (ln r, ln^2 r)
exponential        exp(-rate r)                  T = r
dgbd               (R + 1 - r)^b / r^a           T = (ln r, ln(R + 1 - r))
=================  ============================  =========================

Their likelihood is concave, and has one maximum: every rank has counts, so that the mean of T lies
inside the hull of its values.  It is found by Newton steps on exact sums over all ranks.  For c > 0
the third is the lognormal of sigma^2 = 1/c and mu = (1 - a)/c; dgbd is the discrete generalised
beta distribution of Martinez-Mekler et al. (PLoS ONE 4, e4791 (2009)).  Its R is the last rank
fitted: where a count cut hides ranks, it is not the law of all of them.

Two laws have one parameter more, which is profiled out.  They are written so that the Zipf law is
an end point of a finite range:

* zipf-mandelbrot, (r + q)^-s with q >= 0, as exp(-g ln(1 + v (r-1)) / v), v = 1/(1 + q) in [0, 1],
  s = g/v: the Zipf law at v = 1, the exponential at v = 0.
* stretched-exponential, exp(-g (r^beta - 1)/beta): the Zipf law at beta = 0, the exponential at 1.

With counts in decreasing order (as fitted) s >= 0 always; the laws hold for any real exponent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError, InputError, StatisticsError
from spinnet.tails.rank.nodes import Nodes, all_ranks, condensed
from spinnet.tails.rank.solver import Solution, solve
from spinnet.validation import finite_float

Floats = NDArray[np.float64]

# Free parameters of each law, the one that generalises the Zipf law last.
PARAMETERS = {
    "zipf": ("s",),
    "zipf-mandelbrot": ("s", "q"),
    "cut-off": ("s", "rate"),
    "lognormal": ("a", "c"),
    "exponential": ("rate",),
    "stretched-exponential": ("g", "beta"),
    "dgbd": ("a", "b"),
}
# Which parameter is the exponent of r at small ranks, where one is.
ZIPF_EXPONENT = {"zipf": "s", "zipf-mandelbrot": "s", "cut-off": "s", "dgbd": "a"}

_MAX_BETA = 20.0


@dataclass(frozen=True)
class Law:
    """A law fitted to counts in decreasing order.

    Attributes
    ----------
    model : str
    values, errors : tuple of float
        Parameters in the order of ``PARAMETERS[model]``, and their standard errors for known
        ranks: NaN for a parameter at the end of its range.
    log_p : ndarray, shape (r_max,)
        ln p(r) on the ranks 1..r_max.
    at_zipf : bool
        The best member of the family is the Zipf law itself.
    note : str
        What a reader must know, or empty.
    """

    model: str
    values: tuple[float, ...]
    errors: tuple[float, ...]
    log_p: Floats
    log_norm: float
    at_zipf: bool = False
    note: str = ""
    rate: float = math.nan  # of the exponential that zipf-mandelbrot tends to

    def log_pmf(self, ranks: Floats) -> Floats:
        """Return ln p at any real `ranks` >= 1, also past r_max (dgbd: up to r_max)."""
        return self._log_weight(ranks) - self.log_norm

    def _log_weight(self, ranks: Floats) -> Floats:
        if self.model == "zipf-mandelbrot":
            s, q = self.values
            if math.isinf(q):
                return -self.rate * (ranks - 1.0)
            return np.asarray(-s * np.log1p((ranks - 1.0) / (1.0 + q)))
        if self.model == "stretched-exponential":
            g, beta = self.values
            return -g * _stretch(beta, np.log(ranks))
        rows = statistics(self.model, ranks, self.log_p.size)
        return np.asarray(-np.asarray(self.values) @ rows)


def statistics(model: str, ranks: Floats, r_max: int) -> Floats:
    """Return -ln p as rows to be multiplied by the parameters of an exponential family."""
    log_rank = np.log(ranks)
    if model == "exponential":
        return np.stack([ranks])
    if model == "cut-off":
        return np.stack([log_rank, ranks])
    if model == "lognormal":
        return np.stack([log_rank, 0.5 * log_rank**2])
    if model == "dgbd":
        return np.stack([log_rank, -np.log(r_max + 1.0 - ranks)])
    return np.stack([log_rank])


def fit_law(model: str, counts: Floats) -> Law:
    """Fit `model` to counts by rank: all >= 0, the first positive, more ranks than parameters."""
    if counts.size <= len(PARAMETERS[model]):
        raise StatisticsError(
            f"{model} has {len(PARAMETERS[model])} parameter(s) and needs more ranks than that, "
            f"got {counts.size}",
            estimate={"n_ranks": counts.size},
        )
    if model == "zipf":
        return _fit_zipf(counts)
    if model in _SHAPES:
        return _fit_profiled(model, counts)
    ranks = np.arange(1.0, counts.size + 1.0)
    best = solve(statistics(model, ranks, counts.size), counts)
    if model == "cut-off" and best.theta[1] < 0.0:
        return _as_zipf(model, _fit_zipf(counts), 0.0)
    errors = _errors(best.information, counts)
    bent_up = model == "lognormal" and best.theta[1] < 0.0
    note = "c < 0: the curve bends up, which no lognormal does" if bent_up else ""
    return Law(model, tuple(map(float, best.theta)), errors, best.log_p, best.log_norm, note=note)


def zipf_exponent(mean_log: float, r_max: int) -> float:
    """Solve E_s[ln r] = `mean_log` on the ranks 1..`r_max` by Newton steps inside a bracket.

    E_s[ln r] falls from ln r_max at s = -infinity to 0 at s = +infinity.
    """
    from spinnet.tails.zeta import truncated_sum

    mean_log = finite_float("mean_log", mean_log)
    if not 0.0 < mean_log < math.log(r_max):
        raise InputError(
            f"mean_log must lie strictly between 0 and ln(r_max) = {math.log(r_max):.6g}, "
            f"got {mean_log}"
        )
    low, high = -math.inf, math.inf
    s = 1.0
    for _ in range(200):
        m0, m1, m2 = truncated_sum(s, 1.0, float(r_max))
        mean = m1 / m0
        if mean > mean_log:
            low = s
        else:
            high = s
        step = (mean - mean_log) / (m2 / m0 - mean * mean)
        new = s + min(max(step, -1.0 - abs(s)), 1.0 + abs(s))
        if abs(step) <= 1e-12 * (1.0 + abs(s)):  # quadratic: the error left is rounding
            return float(new)
        if not low < new < high:
            new = 0.5 * (low + high)
        s = new
    raise ConvergenceError(f"no Zipf exponent for mean_log={mean_log}, r_max={r_max}", solution=s)


def divergence(counts: Floats, log_p: Floats) -> float:
    """Return the KL divergence of the observed shares from p, in nats.

    As a sum of terms p ((1 + x) ln(1 + x) - x) >= 0, x = share/p - 1, which does not cancel.
    """
    share, p = counts / counts.sum(), np.exp(log_p)
    safe = np.where(share > 0.0, share, 1.0)
    exact = share * (np.log(safe) - log_p) - share + p  # also where p underflows
    x = relative_misfit(counts, log_p)
    small = np.abs(x) < 1e-2
    x = np.where(small, x, 0.0)
    series = x * x * (0.5 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x * (1 / 30 - x / 42)))))
    return float(np.where(small, p * series, exact).sum())


def relative_misfit(counts: Floats, log_p: Floats) -> Floats:
    """Return k_r / (n p(r)) - 1; infinite where p underflows."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(counts / counts.sum() / np.exp(log_p) - 1.0)


def log_likelihood(counts: Floats, log_p: Floats) -> float:
    """Return sum_r k_r ln p(r)."""
    return float(counts @ log_p)


def _fit_zipf(counts: Floats) -> Law:
    from spinnet.tails.zeta import truncated_sum

    log_rank = np.log(np.arange(1.0, counts.size + 1.0))
    total = float(counts.sum())
    s = zipf_exponent(float(counts @ log_rank) / total, counts.size)
    m0, m1, m2 = truncated_sum(s, 1.0, float(counts.size))
    error = 1.0 / math.sqrt(total * (m2 / m0 - (m1 / m0) ** 2))
    log_norm = math.log(m0)
    return Law("zipf", (s,), (error,), -s * log_rank - log_norm, log_norm, at_zipf=True)


def _as_zipf(model: str, zipf: Law, extra: float) -> Law:
    """Return the Zipf law as a member of a family that has it at the end of a range."""
    name = PARAMETERS[model][1]
    note = f"the best {model} law is the Zipf law, {name} = {extra:g}"
    values, errors = (zipf.values[0], extra), (zipf.errors[0], math.nan)
    return Law(model, values, errors, zipf.log_p, zipf.log_norm, at_zipf=True, note=note)


def _errors(information: Floats, counts: Floats) -> tuple[float, ...]:
    scale = np.sqrt(np.diag(information))
    inverse = np.linalg.inv(information / np.outer(scale, scale))
    return tuple(map(float, np.sqrt(np.diag(inverse) / counts.sum()) / scale))


def _bend(v: float, ranks: Floats) -> Floats:
    """Return ln(1 + v (r-1)) / v: ln r at v = 1, r - 1 at v = 0."""
    return np.asarray(np.log1p(v * (ranks - 1.0)) / v if v > 0.0 else ranks - 1.0)


def _bend_slope(v: float, ranks: Floats) -> Floats:
    """Return the derivative of `_bend` by v."""
    x = ranks - 1.0
    u = v * x
    series = -x * x * (1 / 2 - u * (2 / 3 - u * (3 / 4 - u * (4 / 5 - u * (5 / 6 - u * 6 / 7)))))
    if u[-1] < 1e-3:
        return np.asarray(series)
    return np.asarray(np.where(u < 1e-3, series, (u / (1.0 + u) - np.log1p(u)) / v**2))


def _stretch(beta: float, log_rank: Floats) -> Floats:
    """Return (r^beta - 1)/beta: ln r at beta = 0."""
    return np.asarray(np.expm1(beta * log_rank) / beta if beta > 0.0 else log_rank)


def _stretch_slope(beta: float, log_rank: Floats) -> Floats:
    """Return the derivative of `_stretch` by beta."""
    u = beta * log_rank
    series = log_rank**2 * (
        1 / 2 + u * (1 / 3 + u * (1 / 8 + u * (1 / 30 + u * (1 / 144 + u / 840))))
    )
    if u[-1] < 1e-3:
        return np.asarray(series)
    return np.asarray(np.where(u < 1e-3, series, (u * np.exp(u) - np.expm1(u)) / beta**2))


@dataclass(frozen=True)
class _Shape:
    """A statistic T_x with a shape parameter x in a range, the Zipf law at `zipf`."""

    statistic: Callable[[float, Floats], Floats]
    slope: Callable[[float, Floats], Floats]
    grid: Callable[[int], Floats]
    zipf: float


_SHAPES = {
    "zipf-mandelbrot": _Shape(
        _bend, _bend_slope, lambda n: np.append(0.0, np.geomspace(0.01 / n, 1.0, 16)), 1.0
    ),
    "stretched-exponential": _Shape(
        lambda x, r: _stretch(x, np.log(r)),
        lambda x, r: _stretch_slope(x, np.log(r)),
        lambda n: np.append(0.0, np.geomspace(0.02, _MAX_BETA, 14)),
        0.0,
    ),
}


def _fit_profiled(model: str, counts: Floats) -> Law:
    shape, every = _SHAPES[model], all_ranks(counts)
    few = condensed(every)
    ranks = every.place
    x = _best_shape(shape, few, counts.size)
    if x == shape.zipf:
        return _as_zipf(model, _fit_zipf(counts), 0.0)
    best = _at_shape(shape, x, every)
    if x > 0.0 and few is not every and not _is_root(shape, x, few, _slope(shape, x, every, best)):
        x = _best_shape(shape, every, counts.size)
        if x == shape.zipf:
            return _as_zipf(model, _fit_zipf(counts), 0.0)
        best = _at_shape(shape, x, every)
    return (_bent if model == "zipf-mandelbrot" else _stretched)(x, best, ranks, counts)


def _at_shape(shape: _Shape, x: float, nodes: Nodes) -> Solution:
    return solve(shape.statistic(x, nodes.place)[None], nodes.counts, nodes.log_size)


def _slope(shape: _Shape, x: float, nodes: Nodes, best: Solution) -> float:
    """Return the derivative by x of the least -ln L per input, `best` that of shape x."""
    excess = nodes.counts / nodes.counts.sum() - np.exp(best.log_p)
    return float(best.theta[0] * (excess @ shape.slope(x, nodes.place)))


def _is_root(shape: _Shape, x: float, few: Nodes, slope: float) -> bool:
    """Whether a shape found on few nodes stands on all ranks, where the derivative is `slope`."""
    here, next_to = (_slope(shape, y, few, _at_shape(shape, y, few)) for y in (x, 1.0001 * x))
    return abs(slope - here) <= 1e-4 * abs(next_to - here)  # moved by less than 1e-8 of x


def _best_shape(shape: _Shape, nodes: Nodes, n_ranks: int) -> float:
    """Return the shape of the largest profile likelihood.

    A scan finds the cell; the root of the derivative in it is the maximum.  At an end of the
    range the derivative there decides.
    """
    grid = shape.grid(n_ranks)
    values = np.array([_minus_log_likelihood(shape, float(x), nodes) for x in grid])
    values[grid == shape.zipf] -= 1e-13  # flat counts: every shape is as good, take Zipf

    def slope(x: float) -> float:
        return _slope(shape, x, nodes, _at_shape(shape, x, nodes))

    best = int(np.argmin(values))
    low, high = max(best - 1, 0), min(best + 1, grid.size - 1)
    while (left := slope(grid[low])) > 0.0 and low > 0:
        low -= 1
    while (right := slope(grid[high])) < 0.0 and high < grid.size - 1:
        high += 1
    if left >= 0.0 and right >= 0.0:
        return float(grid[low])
    if left <= 0.0 and right <= 0.0:
        return float(grid[high])
    from scipy.optimize import brentq

    x = float(brentq(slope, grid[low], grid[high], xtol=1e-12 * grid[high], rtol=1e-12))
    return 0.0 if x * n_ranks < 1e-9 else x  # less is rounding


def _minus_log_likelihood(shape: _Shape, x: float, nodes: Nodes) -> float:
    """Return the least -ln L per input at shape x."""
    best = _at_shape(shape, x, nodes)
    return -float(nodes.counts @ (best.log_p - nodes.log_size)) / float(nodes.counts.sum())


def _covariance(rows: Floats, log_p: Floats) -> Floats:
    p = np.exp(log_p)
    centred = rows - (rows @ p)[:, None]
    return np.asarray((centred * p) @ centred.T)


def _bent(v: float, best: Solution, ranks: Floats, counts: Floats) -> Law:
    """Return the Zipf-Mandelbrot law of v = 1/(1 + q) < 1."""
    g = float(best.theta[0])
    if v == 0.0:
        note = "the best zipf-mandelbrot law is its limit q, s = infinity, an exponential"
        values, unknown = (math.inf, math.inf), (math.nan, math.nan)
        return Law("zipf-mandelbrot", values, unknown, best.log_p, best.log_norm, note=note, rate=g)
    s, q = g / v, 1.0 / v - 1.0
    rows = np.stack([np.log1p((ranks - 1.0) / (1.0 + q)), s / (ranks + q)])
    errors = _errors(_covariance(rows, best.log_p), counts)
    return Law("zipf-mandelbrot", (s, q), errors, best.log_p, best.log_norm)


def _stretched(beta: float, best: Solution, ranks: Floats, counts: Floats) -> Law:
    g, log_rank = float(best.theta[0]), np.log(ranks)
    rows = np.stack([_stretch(beta, log_rank), g * _stretch_slope(beta, log_rank)])
    errors = _errors(_covariance(rows, best.log_p), counts)
    note = ""
    if beta >= _MAX_BETA:
        errors = (errors[0], math.nan)
        note = f"beta is at the end of its range, {_MAX_BETA:g}: the counts fall off as a step"
    return Law("stretched-exponential", (g, beta), errors, best.log_p, best.log_norm, note=note)
