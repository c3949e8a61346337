"""Errors of correlated data: autocorrelation time, split R-hat, jackknife over replicas.

A leaf: it knows arrays of shape ``(n_replicas, n_sweeps)`` and nothing of models.  Replicas are
independent, so they are the statistical unit wherever there are at least eight; with fewer,
each chain is cut into contiguous blocks, which count as independent only when a block is at
least 50 autocorrelation times long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from spinnet.errors import InputError
from spinnet.validation import finite_array

Array = NDArray[np.float64]
MIN_UNITS = 8
RHAT_MIXED = 1.05  # split R-hat from which chains do not count as mixed
_BLOCKS = 16
_TAU_PER_BLOCK = 50


@dataclass(frozen=True, eq=False)
class Estimate:
    """A Monte Carlo estimate; every array has the shape of the temperature grid.

    Attributes
    ----------
    value, error : ndarray
        Mean and one standard error.  The error is NaN where the data cannot give one; `note`
        then says why.
    n_eff : ndarray
        Effective number of independent samples.
    tau : ndarray
        Integrated autocorrelation time in sweeps, 1/2 for white noise (NaN if constant).
    rhat : ndarray
        Split R-hat; above 1.05 the chains have not mixed (NaN if constant).
    note : str
        Empty, or the reason for a missing error.
    """

    value: Array
    error: Array
    n_eff: Array
    tau: Array
    rhat: Array
    note: str = ""

    def __str__(self) -> str:
        pairs = zip(np.ravel(self.value), np.ravel(self.error), strict=True)
        text = ", ".join(format_with_error(float(v), float(e)) for v, e in pairs)
        return text if np.ndim(self.value) == 0 else f"[{text}]"

    def __repr__(self) -> str:
        return f"Estimate({self})"

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers."""
        names = ("value", "error", "n_eff", "tau", "rhat")
        return {name: np.asarray(getattr(self, name)).tolist() for name in names} | {
            "note": self.note
        }


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
    if exponent >= 1:
        return f"{value:.0f}({error:.0f})"
    digits = 1 - exponent
    return f"{value:.{digits}f}({error * 10.0**digits:.0f})"


def autocorrelation_time(series: ArrayLike, *, window: float = 6.0) -> float:
    """Return the integrated autocorrelation time, in steps; 1/2 for white noise.

    The autocovariances of all chains are pooled before the sum, which stops at the first lag
    above `window` times the running estimate (Sokal's rule).

    Parameters
    ----------
    series : array_like, shape (n_replicas, n_steps) or (n_steps,)

    Returns
    -------
    float
        NaN for a constant series.

    References
    ----------
    A. Sokal, "Monte Carlo methods in statistical mechanics" (1997), section 3.
    """
    data = _chains(series)
    n = data.shape[1]
    centred = data - data.mean()
    spectrum = fft.rfft(centred, fft.next_fast_len(2 * n, real=True), axis=1)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=0)
    covariance = fft.irfft(power, fft.next_fast_len(2 * n, real=True))[:n]
    scale = float(np.abs(data).max())
    if covariance[0] <= n * (1e-14 * scale) ** 2:
        return float("nan")
    covariance /= np.arange(n, 0, -1)
    running = 0.5 + np.cumsum(covariance[1:] / covariance[0])
    stop = np.flatnonzero(np.arange(1, n) >= window * running)
    if n == 1:
        return 0.5
    return max(0.5, float(running[stop[0]] if stop.size else running[-1]))


def split_rhat(series: ArrayLike) -> float:
    """Return split R-hat: each chain is halved, and the halves are compared.

    Returns
    -------
    float
        1 for mixed chains, inf for chains frozen at different values, NaN for a constant
        series or fewer than 4 steps.

    References
    ----------
    Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4.
    """
    data = _chains(series)
    half = data.shape[1] // 2
    if half < 2:
        return float("nan")
    parts = np.concatenate([data[:, :half], data[:, -half:]])
    within = float(parts.var(axis=1, ddof=1).mean())
    between = float(parts.mean(axis=1).var(ddof=1))
    floor = (1e-14 * float(np.abs(data).max())) ** 2
    if within <= floor:
        return float("nan") if between <= floor else float("inf")
    return float(np.sqrt((half - 1) / half + between / within))


def effective_sample_size(series: ArrayLike) -> float:
    """Return (number of values)/(2 tau), with tau of :func:`autocorrelation_time`."""
    data = _chains(series)
    return float(data.size / (2 * autocorrelation_time(data)))


def binder_cumulant(m2: ArrayLike, m4: ArrayLike) -> Array:
    """Return U = 1 - <m^4>/(3 <m^2>^2): 2/3 if ordered, 0 for a Gaussian, NaN if m is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - np.asarray(m4) / (3 * np.asarray(m2) ** 2))


def estimate(series: ArrayLike) -> Estimate:
    """Return the mean of `series` (n_replicas, n_steps) with its error; all fields are 0-d."""
    data = _chains(series)
    return derive([data], lambda mean: mean, data)


def derive(
    series: Sequence[ArrayLike], function: Callable[..., ArrayLike], monitor: ArrayLike
) -> Estimate:
    """Return a function of averages, with its error by the jackknife over units.

    Parameters
    ----------
    series : sequence of array_like, each (n_replicas, n_steps)
        The observables whose averages are the arguments of `function`.
    function : callable
        Takes as many numbers as there are series, and returns one.
    monitor : array_like, shape (n_replicas, n_steps)
        The series whose tau and R-hat are reported.
    """
    chains = _chains(monitor)
    tau = autocorrelation_time(chains)
    columns = [_units(_chains(item)) for item in series]
    n_units, length = columns[0].shape
    means = [column.mean(axis=1) for column in columns]
    value = float(np.asarray(function(*[m.mean() for m in means])))
    left_out = [(m.sum() - m) / (n_units - 1) if n_units > 1 else m for m in means]
    samples = np.array([function(*row) for row in zip(*left_out, strict=True)], dtype=np.float64)
    spread = (n_units - 1) / n_units * float(np.sum((samples - samples.mean()) ** 2))
    error, note = float(np.sqrt(spread)), ""
    too_short = np.isfinite(tau) and length < _TAU_PER_BLOCK * tau
    if n_units < MIN_UNITS or (chains.shape[0] < MIN_UNITS and too_short):
        error = float("nan")
        note = (
            f"{chains.shape[0]} chain(s) of {chains.shape[1]} sweeps with autocorrelation time "
            f"{tau:.3g} give no error: use at least {MIN_UNITS} replicas, or chains of at least "
            f"{_BLOCKS * _TAU_PER_BLOCK} autocorrelation times"
        )
    n_eff = chains.size / (2 * tau)
    parts = np.array([value, error, n_eff, tau, split_rhat(chains)])
    return Estimate(parts[0], parts[1], parts[2], parts[3], parts[4], note)


def stack(estimates: Sequence[Estimate], shape: tuple[int, ...]) -> Estimate:
    """Join scalar estimates into one over a grid of the given shape."""
    names = ("value", "error", "n_eff", "tau", "rhat")
    table = np.array([[getattr(e, name) for e in estimates] for name in names], dtype=np.float64)
    table = table.reshape(len(names), *shape)
    note = "; ".join(dict.fromkeys(e.note for e in estimates if e.note))
    return Estimate(table[0], table[1], table[2], table[3], table[4], note)


def _units(data: Array) -> Array:
    """Return the independent units: the chains, or blocks of them when there are few."""
    if data.shape[0] >= MIN_UNITS:
        return data
    blocks = -(-_BLOCKS // data.shape[0])
    length = data.shape[1] // blocks
    if length == 0:
        return data
    return data[:, data.shape[1] - blocks * length :].reshape(-1, length)


def _chains(series: ArrayLike) -> Array:
    data = np.atleast_2d(finite_array("series", series))
    if data.ndim != 2 or data.size == 0:
        raise InputError(f"series must have shape (n_replicas, n_steps), got {np.shape(series)}")
    return data
