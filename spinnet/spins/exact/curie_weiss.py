r"""Exact Curie-Weiss averages from the sum over the total magnetisation M, to N = 1e7.

.. math:: Z = \sum_M \binom{N}{(N+M)/2} \exp\beta[J M^2/2N + h M]

A direct sum of log-binomials loses digits: ln N! at N = 1e6 is 1e7, so that its rounding alone
is 1e-9.  Here each weight is taken relative to a reference number k0 of up spins at the
saddle point, in Loader's form of the binomial (C. Loader, "Fast and accurate computation of
binomial probabilities", 2000), in which every term is small wherever the weight is not
negligible; the field enters through w(-M) = w(M) exp(-2 beta h M), so that only M >= 0, where
the weights have one peak, is summed, over the window in which they matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.spins.exact.result import Array, ExactResult, free_energy_per_spin
from spinnet.spins.statistics import binder_cumulant
from spinnet.validation import bounded_array, integer, inverse_temperatures

_MAX_SPINS = 10_000_000
_NEGLIGIBLE = 100.0  # weights below exp(-100) of the largest are not summed
_MOMENTS = ("log_z", "energy", "specific_heat", "m", "abs_m", "m2", "m4", "var_m", "var_abs_m")


def curie_weiss(
    n_spins: int, beta: ArrayLike, J: ArrayLike = 1.0, h: ArrayLike = 0.0
) -> ExactResult:
    """Return the exact thermal averages of the Curie-Weiss model.

    Parameters
    ----------
    n_spins : int
        N from 1 to 10 000 000.
    beta, J, h : array_like
        Inverse temperature >= 0, coupling, field; they broadcast.

    Returns
    -------
    ExactResult
        Arrays of the broadcast shape.  `means` is <s> and `correlations` that of any pair.

    Raises
    ------
    InputError
        If `n_spins` or `beta` is outside its range, or a value is not finite.

    Notes
    -----
    Moments agree with 50-digit sums to 1e-12 relative for N up to 1e6.  The cost is
    proportional to the width of the distribution of M: about sqrt(N) terms, N^(3/4) at T_c.

    Examples
    --------
    >>> import spinnet as sn
    >>> round(float(sn.exact.curie_weiss(100, beta=1.0).binder), 6)
    0.305585
    """
    n = integer("n_spins", n_spins, minimum=1, maximum=_MAX_SPINS)
    axes = (inverse_temperatures(beta), bounded_array("J", J), bounded_array("h", h))
    try:
        grid = np.broadcast_arrays(*axes)
    except ValueError as error:
        shapes = ", ".join(str(axis.shape) for axis in axes)
        raise InputError(f"beta, J and h must broadcast, got shapes {shapes}") from error
    points = zip(*(np.ravel(axis) for axis in grid), strict=True)
    rows = [_averages(n, float(b), float(j), float(f)) for b, j, f in points]
    table = np.array(rows).reshape(*grid[0].shape, len(_MOMENTS))
    value = dict(zip(_MOMENTS, np.moveaxis(table, -1, 0), strict=True))
    inverse = np.array(grid[0])
    pair = (n * value["m2"] - 1) / (n - 1) if n > 1 else np.full_like(inverse, np.nan)
    return ExactResult(
        n_spins=n,
        beta=inverse,
        log_z=value["log_z"],
        free_energy=free_energy_per_spin(value["log_z"], inverse, n),
        energy=value["energy"],
        specific_heat=value["specific_heat"],
        magnetization=value["m"],
        abs_m=value["abs_m"],
        m2=value["m2"],
        m4=value["m4"],
        binder=binder_cumulant(value["m2"], value["m4"]),
        susceptibility=inverse * n * value["var_m"],
        susceptibility_abs=inverse * n * value["var_abs_m"],
        means=value["m"],
        correlations=pair,
    )


def magnetization_weights(
    n: int, beta: float, J: float, h: float
) -> tuple[NDArray[np.int64], Array, Array, float]:
    """Return (M, weight of +M, weight of -M, log scale) for the totals M >= 0 that matter.

    `h` must be >= 0.  The weights times exp(log scale) sum to Z; M = 0 is counted once.
    """
    k0 = _reference(n, beta, J, h)
    m0 = (2 * k0 - n) / n
    slope = beta * (J * m0 + h) - 0.5 * math.log(k0 / (n - k0))

    def log_weight(k: NDArray[np.int64]) -> Array:
        shift = 2 * (k - k0)  # M - M0, so that N delta = shift
        return _log_pmf(k, n, k0) + beta * J * shift**2 / (2 * n) + shift * slope

    k = _window(log_weight, n, round(k0))
    lw = log_weight(k)
    top = float(lw.max())
    total = 2 * k - n
    plus = np.exp(lw - top)
    minus = np.where(total > 0, plus * np.exp(-2 * beta * h * total), 0.0)
    scale = n * (beta * J * m0**2 / 2 + beta * h * m0) + top
    scale -= k0 * math.log(k0 / n) + (n - k0) * math.log((n - k0) / n)
    return total, plus, minus, scale


def _averages(n: int, beta: float, J: float, h: float) -> tuple[float, ...]:
    total, plus, minus, scale = magnetization_weights(n, beta, J, abs(h))
    z = float(plus.sum() + minus.sum())
    plus, minus = plus / z, minus / z
    both = plus + minus
    m = total / n
    # 1 - exp(-2 beta h M) by expm1: <m> keeps its digits in the smallest field
    mean = float(np.sum(plus * m * -np.expm1(-2 * beta * abs(h) * total)))
    abs_m = float(np.sum(both * m))
    m2 = float(np.sum(both * m**2))
    # fluctuations from whole numbers about the peak: 1 - m of 1e-6 keeps its digits
    peak = int(total[plus.argmax()])
    step_up, step_down = (total - peak) / n, (-total - peak) / n
    shift = float(np.sum(plus * step_up + minus * step_down))
    dev_up, dev_down = step_up - shift, step_down - shift
    dev_abs = step_up - float(np.sum(both * step_up))
    square = (total**2 - peak**2) / n**2
    bulk = J * (square - float(np.sum(both * square))) / 2
    up, down = bulk + abs(h) * dev_up, bulk + abs(h) * dev_down
    return (
        scale + math.log(z),
        -n * (J * m2 / 2 + abs(h) * mean),
        beta**2 * n * float(np.sum(plus * up**2 + minus * down**2)),
        math.copysign(mean, h) if h else 0.0,
        abs_m,
        m2,
        float(np.sum(both * m**4)),
        float(np.sum(plus * dev_up**2 + minus * dev_down**2)),
        float(np.sum(both * dev_abs**2)),
    )


def _reference(n: int, beta: float, J: float, h: float) -> float:
    """Return a number of up spins next to the peak at M >= 0, never n itself."""
    low, high = 0.0, 1.0
    for _ in range(60):  # the largest root of m = tanh(beta (J m + h)), by bisection
        middle = (low + high) / 2
        if math.tanh(beta * (J * middle + h)) > middle:
            low = middle
        else:
            high = middle
    return min(max(round(n * (1 + low) / 2), n / 2), n - 0.5)


def _window(
    log_weight: Callable[[NDArray[np.int64]], Array], n: int, start: int
) -> NDArray[np.int64]:
    """Return the range of k >= n/2 around `start` outside which weights are negligible."""
    first, last = (n + 1) // 2, n
    start = min(max(start, first), last)
    floor = float(log_weight(np.array([start]))[0]) - _NEGLIGIBLE
    bounds = []
    for end, sign in ((first, -1), (last, 1)):
        step, edge = 1, start
        while edge != end:
            edge = max(start - step, end) if sign < 0 else min(start + step, end)
            if float(log_weight(np.array([edge]))[0]) < floor:
                break
            step *= 2
        bounds.append(edge)
    return np.arange(bounds[0], bounds[1] + 1)


def _log_pmf(k: NDArray[np.int64], n: int, k0: float) -> Array:
    """Return the log-probability of k successes of n at success rate k0/n (Loader 2000)."""
    inner = np.minimum(k, n - 1)
    up, down = inner.astype(np.float64), (n - inner).astype(np.float64)
    value = _stirling_error(np.float64(n)) - _stirling_error(up) - _stirling_error(down)
    value -= _deviance(up, k0) + _deviance(down, n - k0)
    value += 0.5 * np.log(n / (2 * np.pi * up * down)) if n > 1 else 0.0
    return np.where(k == n, n * math.log1p(-(n - k0) / n), value)


def _deviance(x: Array, mean: float) -> Array:
    """Return x ln(x/mean) + mean - x without cancellation near x = mean."""
    v = (x - mean) / (x + mean)
    near = np.abs(v) < 0.1
    v2 = np.where(near, v, 0.0) ** 2
    series = np.zeros_like(x)
    for j in range(9, 0, -1):
        series = v2 * (series + 1 / (2 * j + 1))
    close = (x - mean) * v + 2 * x * v * series
    with np.errstate(divide="ignore", invalid="ignore"):
        far = x * np.log(x / mean) + mean - x
    return np.where(near, close, far)


def _stirling_error(n: Array | np.float64) -> Array:
    """Return ln n! - [(n + 1/2) ln n - n + ln(2 pi)/2]."""
    n = np.asarray(n, dtype=np.float64)
    inverse = 1 / np.maximum(n, 16) ** 2
    series = 1 / 1188 * inverse
    for term in (1 / 1680, 1 / 1260, 1 / 360):
        series = (term - series) * inverse
    large = (1 / 12 - series) / np.maximum(n, 16)
    return np.where(n < 16, _STIRLING_TABLE[np.minimum(n, 15).astype(np.int64)], large)


def _stirling_table() -> Array:
    exact = [math.log(math.factorial(k)) for k in range(16)]
    half_log = 0.5 * math.log(2 * math.pi)
    rows = [exact[k] - (k + 0.5) * math.log(k) + k - half_log for k in range(1, 16)]
    return np.array([0.0, *rows])


_STIRLING_TABLE = _stirling_table()
