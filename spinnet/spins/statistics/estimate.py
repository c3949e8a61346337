"""One number with its error: means and functions of means, by replicas or by long chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from spinnet.errors import InputError
from spinnet.files import finite_or_null
from spinnet.spins.statistics.autocorrelation import LEAST_LENGTH, Autocorrelation, autocorrelation
from spinnet.spins.statistics.chains import (
    MIN_UNITS,
    as_chains,
    evaluated,
    root_of_squares,
    safe_unit,
)
from spinnet.spins.statistics.mixing import split_rhat
from spinnet.spins.statistics.resampling import jackknife_of, same_replicas

Array = NDArray[np.float64]
_DRIFT_ALARM = 1e-5  # chance that a stationary series counts as drifting
_ROUNDING = 1e-15  # of averages that leave out one replica each, of a constant
_WIDEST = 16  # digits before or behind the point
_NUMBERS = ("value", "error", "n_eff", "tau", "rhat", "tau_error", "bias")


def _missing() -> Array:
    return np.array(np.nan)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A Monte Carlo estimate; every array has the shape of the temperature grid.

    Attributes
    ----------
    value, error : ndarray
        Mean and one standard error.  The error is NaN where the data cannot give one; `note`
        then says why.
    n_eff : ndarray
        Effective number of independent samples; NaN where `tau` is.
    tau : ndarray
        Integrated autocorrelation time in sweeps, 1/2 for white noise.  NaN for a constant
        series, and where chains are shorter than 50 tau; `note` says so.
    rhat : ndarray
        Split R-hat; above 1.05 the chains have not mixed (NaN if constant).
    note : str
        Empty, or the reason for what is missing.
    tau_error : ndarray
        One standard error of `tau`.
    bias : ndarray
        The jackknife's estimate of the bias of `value`, which is not corrected for it; 0 for a
        plain mean, NaN without replicas.
    """

    value: Array
    error: Array
    n_eff: Array
    tau: Array
    rhat: Array
    note: str = ""
    tau_error: Array = field(default_factory=_missing)
    bias: Array = field(default_factory=_missing)

    def __str__(self) -> str:
        pairs = zip(np.ravel(self.value), np.ravel(self.error), strict=True)
        text = ", ".join(format_with_error(float(v), float(e)) for v, e in pairs)
        return text if np.ndim(self.value) == 0 else f"[{text}]"

    def __repr__(self) -> str:
        return f"Estimate({self})"

    def summary(self) -> str:
        """Return the values with their errors, and the note."""
        return f"{self}\n{self.note}" if self.note else str(self)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN and infinities."""
        plain = {
            name: finite_or_null(np.asarray(getattr(self, name)).tolist()) for name in _NUMBERS
        }
        return {**plain, "note": self.note}


def format_with_error(value: float, error: float) -> str:
    """Return for example ``0.4236(12)``: the error in units of the last digits shown.

    >>> format_with_error(0.42358, 0.0012)
    '0.4236(12)'
    """
    if not np.isfinite(value) or not np.isfinite(error) or error < 0:
        return f"{value:.6g}(?)" if not np.isfinite(error) else f"{value:.6g}"
    if error <= 1e-15 * abs(value):  # rounding of a constant
        return f"{value:.6g}(0)"
    exponent = int(f"{error:.1e}".partition("e")[2])  # after rounding: 0.0996 is 0.10
    leading = max(exponent, int(f"{value:.0e}".partition("e")[2]) if value else exponent)
    if error > 0 and (leading >= _WIDEST or exponent <= -_WIDEST):
        return f"{format_with_error(_shifted(value, leading), _shifted(error, leading))}e{leading}"
    if exponent >= 1:
        return f"{value:.0f}({error:.0f})"
    digits = 1 - exponent
    return f"{value:.{digits}f}({error * 10.0**digits:.0f})"


def _shifted(number: float, exponent: int) -> float:
    return float(f"{Decimal(number).scaleb(-exponent):.17e}")


def binder_cumulant(m2: ArrayLike, m4: ArrayLike) -> Array:
    """Return U = 1 - <m^4>/(3 <m^2>^2): 2/3 if ordered, 0 for a Gaussian, NaN if m is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - np.asarray(m4) / (3 * np.asarray(m2) ** 2))


def estimate(series: ArrayLike) -> Estimate:
    """Return the mean of `series` (n_replicas, n_steps) with its error; all fields are 0-d.

    See :func:`derive` for when an error, or an autocorrelation time, is refused.
    """
    data = as_chains(series)
    return derive([data], lambda mean: mean, data)


def monitored(series: ArrayLike) -> Monitored:
    """Return what :func:`derive` tells of a `monitor`: its autocorrelation and split R-hat."""
    chains = as_chains(series)
    return Monitored(autocorrelation(chains), split_rhat(chains), chains.size)


@dataclass(frozen=True, eq=False)
class Monitored:
    """How a series moves: worth keeping, where many functions of averages share a monitor.

    Attributes
    ----------
    time : Autocorrelation
    rhat : float
    size : int
        Of the series.
    """

    time: Autocorrelation
    rhat: float
    size: int


def derive(
    series: Sequence[ArrayLike], function: Callable[..., ArrayLike], monitor: ArrayLike | Monitored
) -> Estimate:
    """Return a function of averages with its error.

    Parameters
    ----------
    series : sequence of array_like, each (n_replicas, n_steps)
        The observables whose averages are the arguments of `function`.
    function : callable
        Takes as many numbers as there are series, and returns one.
    monitor : array_like, shape (n_replicas, n_steps), or Monitored
        The series whose tau and R-hat are reported, or these of it.

    Returns
    -------
    Estimate

    Notes
    -----
    With 8 or more replicas the error is the jackknife's over replicas.  It needs no
    autocorrelation time, and holds for chains of any length whose starts were in equilibrium.
    It is refused (NaN) where the data contradict that: where each chain is frozen and they
    differ, or where the two halves of the chains differ, by a paired t test over replicas at a
    level of 1e-5.  Chains shorter than 50 tau cannot show more: then tau and n_eff are
    refused, the error stays, and `note` says on what it rests.

    With fewer replicas the error comes from the autocorrelations of the series that `function`
    is to first order (U. Wolff, Comput. Phys. Commun. 156, 143 (2004)), and is refused,
    with tau, for chains shorter than 50 tau, of this series, of `monitor` or of any argument:
    where one argument is hardly known, first order is not enough.  It is refused also for series
    that do not move, which one start cannot tell from frozen ones.
    """
    seen = monitor if isinstance(monitor, Monitored) else monitored(monitor)
    data = same_replicas(series)
    time, rhat = seen.time, seen.rhat
    if len(data[0]) >= MIN_UNITS:
        value, error, bias, note = _over_replicas(data, function, time, rhat)
    else:
        value, error, bias, note = _from_long_chains(data, function, time)
    tau, spread = (time.tau, time.error) if time.reliable else (np.nan, np.nan)
    numbers = np.array([value, error, seen.size / (2 * tau), tau, rhat, spread, bias])
    found = dict(zip(_NUMBERS, numbers, strict=True))
    return Estimate(**found, note=note)


def stack(estimates: Sequence[Estimate], shape: tuple[int, ...]) -> Estimate:
    """Join scalar estimates into one over a grid of the given shape.

    A note that holds for some points only is followed by their indices.
    """
    table = {
        name: np.array([getattr(e, name) for e in estimates], dtype=np.float64).reshape(shape)
        for name in _NUMBERS
    }
    where: dict[str, list[int]] = {}
    for k, item in enumerate(estimates):
        if item.note:
            where.setdefault(item.note, []).append(k)
    notes = [
        note if len(indices) == len(estimates) else f"{note} (at index {_listed(indices)})"
        for note, indices in where.items()
    ]
    return Estimate(**table, note="; ".join(notes))


def _listed(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:6]))
    return shown if len(indices) <= 6 else f"{shown} and {len(indices) - 6} more"


def _over_replicas(
    data: list[Array], function: Callable[..., ArrayLike], time: Autocorrelation, rhat: float
) -> tuple[float, float, float, str]:
    """Return value, error, bias and note from the scatter of replicas."""
    means = np.column_stack([column.mean(axis=1) for column in data])
    n = len(means)
    value, samples, _ = jackknife_of(means, function)
    if value.size != 1:
        raise InputError(f"function must return one number, got {value.size}; use jackknife")
    centre = float(samples.mean())
    deviation = samples.ravel() - centre
    still = float(np.abs(deviation).max()) <= _ROUNDING * abs(centre)
    error = 0.0 if still else float(np.sqrt((n - 1) / n) * root_of_squares(deviation))
    bias = (n - 1) * (centre - float(value[0]))
    note = ""
    if np.isinf(rhat):
        note = f"the {n} replicas are frozen at different values: they give no error"
    elif any(_drifts(column, len(data)) for column in data):
        note = (
            f"the chains drift: their halves differ by more than chance over {n} replicas; "
            "raise n_burn_in"
        )
    if note:
        return float(value[0]), float("nan"), bias, note
    if not (time.reliable or np.isnan(time.tau)):
        note = (
            f"{time.note}: tau and n_eff are refused, and the error, over {n} replicas, rests on "
            "their starts being in equilibrium"
        )
    return float(value[0]), error, bias, note


def _drifts(column: Array, n_tests: int) -> bool:
    """Tell whether the second half of the chains lies elsewhere than the first."""
    half = column.shape[1] // 2
    unit = max(float(column.max()), -float(column.min()))
    if half == 0 or unit == 0:
        return False
    safe = safe_unit(column)
    column = column if safe == 1 else column / safe
    step = column[:, -half:].mean(axis=1) - column[:, :half].mean(axis=1)
    step /= unit / safe
    spread = float(step.std(ddof=1)) / np.sqrt(step.size)
    limit = -float(stdtrit(step.size - 1, _DRIFT_ALARM / (2 * n_tests)))
    return bool(abs(float(step.mean())) > limit * spread + 1e-12)


def _from_long_chains(
    data: list[Array], function: Callable[..., ArrayLike], time: Autocorrelation
) -> tuple[float, float, float, str]:
    """Return value, error, bias and note from the autocorrelations of few chains."""
    means = np.array([column.mean() for column in data])
    value = _number(function, means)
    nan = float("nan")
    lengths = {column.shape[1] for column in data}
    n_replicas, n_steps = time.n_chains, time.n_steps
    own = None
    times = [autocorrelation(column) for column in data]
    if len(lengths) == 1 and all(t.reliable or np.isnan(t.tau) for t in times):
        slopes = _slopes([item.mean_error for item in times], means, function)
        linear = sum(
            slope * (column - mean) for slope, column, mean in zip(slopes, data, means, strict=True)
        )
        if np.all(np.isfinite(linear)):
            own = autocorrelation(linear)
    if own is not None and own.reliable and time.reliable:
        return value, own.mean_error, nan, ""
    note = (
        f"{n_replicas} chain(s) of {n_steps} sweeps give no error: use at least {MIN_UNITS} "
        f"replicas, or chains of at least {LEAST_LENGTH} autocorrelation times of a series that "
        "moves"
    )
    return value, nan, nan, note


def _slopes(errors: list[float], means: Array, function: Callable[..., ArrayLike]) -> Array:
    """Return the derivatives of `function` by differences over one standard error."""
    slopes = np.zeros(means.size)
    for k, step in enumerate(errors):
        if step > 0:
            shift = np.zeros(means.size)
            shift[k] = step
            high, low = (_number(function, at) for at in (means + shift, means - shift))
            slopes[k] = (high - low) / (2 * step)
    return slopes


def _number(function: Callable[..., ArrayLike], means: Array) -> float:
    array = evaluated(function, means)
    if array.size != 1:
        raise InputError(f"function must return one number, got {array.size}; use jackknife")
    return float(array.ravel()[0])
