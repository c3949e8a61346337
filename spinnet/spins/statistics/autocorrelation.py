r"""Integrated autocorrelation time of pooled chains, with an automatic window and an error.

.. math:: \tau = \tfrac12 + \sum_{t=1}^{W} \rho(t)

1/2 for white noise, so that a mean of N values has the variance 2 tau Var/N.  The
autocovariances are taken about the common mean of all chains: about its own mean each chain
would lose 2 tau Var/n_steps at every lag, R times as much, and chains stuck at different places
would look mixed.  What the common mean takes, 2 tau Var/N at each lag, is given back (Wolff
2004, eq. 49).

References
----------
A. Sokal, "Monte Carlo methods in statistical mechanics" (1997), section 3.
U. Wolff, Comput. Phys. Commun. 156, 143 (2004), hep-lat/0306017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.errors import StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.statistics.autocovariance import DIRECT, pooled_autocovariance
from spinnet.spins.statistics.chains import as_chains, safe_unit
from spinnet.validation import choice, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
LEAST_LENGTH = 50  # autocorrelation times that a chain must last
_DEFAULTS = {"sokal": 6.0, "gamma": 1.5}
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False, repr=False)
class Autocorrelation:
    """The integrated autocorrelation time of a set of chains.

    Attributes
    ----------
    tau, error : float
        In steps, with one standard error (Wolff 2004, eq. 42); NaN for a constant series.  They
        are given even where the chains are too short: see `reliable`.
    memory : float
        The time over which correlations last: tau, or more for a series that alternates.
    window : int
        The last lag of the sum.
    variance : float
        Of a single value, corrected for the common mean.
    mean_error : float
        One standard error of the mean of all values, sqrt(2 tau variance/N).
    rho : ndarray, shape (window + 1,)
        Autocorrelations.
    n_chains, n_steps : int
    method : str
    note : str
        Empty, or why tau is not to be trusted.
    """

    tau: float
    error: float
    memory: float
    window: int
    variance: float
    mean_error: float
    rho: Array
    n_chains: int
    n_steps: int
    method: str
    note: str = ""

    def __repr__(self) -> str:
        return (
            f"Autocorrelation(tau={self.tau:.4g}, error={self.error:.2g}, window={self.window}, "
            f"{self.n_chains} x {self.n_steps} steps{', unreliable' if self.note else ''})"
        )

    @property
    def reliable(self) -> bool:
        """Whether the chains move and each lasts at least 50 tau."""
        return not self.note

    def summary(self) -> str:
        """Return one line for people."""
        text = (
            f"tau = {self.tau:.4g} +- {self.error:.2g} steps ({self.method} window of "
            f"{self.window}, {self.n_chains} chain(s) of {self.n_steps} steps)"
        )
        return f"{text}; {self.note}" if self.note else text

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, None for NaN."""
        names = ["tau", "error", "memory", "window", "variance", "mean_error"]
        names += ["n_chains", "n_steps", "method"]
        values = {name: getattr(self, name) for name in names}
        plain = {**values, "rho": self.rho.tolist(), "reliable": self.reliable, "note": self.note}
        return {key: finite_or_null(value) for key, value in plain.items()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the autocorrelations up to the window."""
        ax = plotting.axes(ax)
        plotting.points(ax, np.arange(self.rho.size), self.rho)
        plotting.level(ax, 0.0)
        ax.set_xlabel("lag (steps)")
        ax.set_ylabel(r"autocorrelation $\rho$")
        return ax


def autocorrelation(
    series: ArrayLike, *, method: str = "sokal", window: float | None = None
) -> Autocorrelation:
    r"""Return the integrated autocorrelation time with its error, its window and its standing.

    Parameters
    ----------
    series : array_like, shape (n_chains, n_steps) or (n_steps,)
    method : {"sokal", "gamma"}
        "sokal" stops at the first lag W >= c tau(W).  "gamma" stops where Wolff's estimate of
        the bias of the cut, exp(-W/tau_W), falls below that of the noise; its window is shorter
        and its error smaller where the correlations decay as one exponential.
    window : float, optional
        c of "sokal" (6), or S = tau_exp/tau of "gamma" (1.5).

    Returns
    -------
    Autocorrelation
        Never raises for too little data: `reliable` and `note` tell.

    Notes
    -----
    A series that alternates (rho(1) < 0) has tau < 1/2: its mean is better known than that of
    independent values, and tau says so.  As tau then is much shorter than the memory, the window
    follows the even lags instead, and the last lag counts half.  A sum
    that is not positive, as of two states in strict turn, is no tau.

    The cost is that of 256 multiplications and additions a value while the window is below 64,
    about 20 ns, and of a few passes of short Fourier transforms beyond.
    """
    choice("method", method, tuple(_DEFAULTS))
    factor = positive_float("window", _DEFAULTS[method] if window is None else window)
    data = as_chains(series)
    n_chains, n_steps = data.shape
    largest, unit = max(float(data.max()), -float(data.min())), safe_unit(data)
    data = data if unit == 1 else data / unit
    centred = data - data.mean()
    covariance = pooled_autocovariance(centred, DIRECT)
    if covariance[0] <= (_ROUNDING * largest / unit) ** 2:
        nan, one = float("nan"), np.ones(1)
        note = "the series does not move"
        return Autocorrelation(nan, nan, nan, 0, 0.0, 0.0, one, n_chains, n_steps, method, note)
    while True:
        running, memory = _running(covariance / covariance[0])
        stop = _stop(running, memory, method, factor, data.size)
        if stop is not None or covariance.size == n_steps:
            break
        reach = max(4 * covariance.size, math.ceil(2 * factor * memory[-1]))
        covariance = pooled_autocovariance(centred, n_steps if 2 * reach > n_steps else reach)
    last = n_steps - 1 if stop is None else stop
    return _corrected(covariance, running[last], memory[last], last, data.shape, unit, method)


def autocorrelation_time(
    series: ArrayLike,
    *,
    method: str = "sokal",
    window: float | None = None,
    strict: bool = False,
) -> float:
    """Return the integrated autocorrelation time, in steps; 1/2 for white noise.

    Parameters
    ----------
    series : array_like, shape (n_chains, n_steps) or (n_steps,)
    method, window
        As for :func:`autocorrelation`.
    strict : bool
        Raise where the answer would be NaN.

    Returns
    -------
    float
        NaN for a constant series, and for chains shorter than 50 tau, from which no window is
        to be trusted; ``autocorrelation(series).tau`` gives the number nevertheless.

    Raises
    ------
    StatisticsError
        With `strict`; `.estimate` is the :class:`Autocorrelation`.
    """
    result = autocorrelation(series, method=method, window=window)
    if result.reliable:
        return result.tau
    if strict:
        raise StatisticsError(
            f"no autocorrelation time: {result.note}; run longer chains (err.estimate.tau has "
            "the value found)",
            estimate=result,
        )
    return float("nan")


def effective_sample_size(series: ArrayLike, *, kind: str = "mean") -> float:
    """Return the number of independent values that would know the mean as well.

    Parameters
    ----------
    series : array_like, shape (n_chains, n_steps) or (n_steps,)
    kind : {"mean", "bulk", "tail"}
        "mean" is N/(2 tau), with tau of :func:`autocorrelation_time`.  "bulk" and "tail" are
        those of Vehtari et al. (2021): see :func:`rank_effective_sample_size`.

    Returns
    -------
    float
        NaN where tau is refused.
    """
    if choice("kind", kind, ("mean", "bulk", "tail")) != "mean":
        from spinnet.spins.statistics.mixing import rank_effective_sample_size

        return rank_effective_sample_size(series, kind=kind)
    data = as_chains(series)
    return float(data.size / (2 * autocorrelation_time(data)))


def _running(rho: Array) -> tuple[Array, Array]:
    """Return tau and the memory for each last lag from 0."""
    running = np.cumsum(rho) - 0.5
    if rho.size < 2 or rho[1] >= 0:
        return running, running
    # half of the last lag: the noise of an alternating series alternates too, and cancels
    running = running - np.where(np.arange(rho.size) > 0, rho / 2, 0.0)
    even = np.where(np.arange(rho.size) % 2 == 0, rho, 0.0)
    return running, np.maximum(running, 2 * np.cumsum(even) - 1.5)


def _stop(running: Array, memory: Array, method: str, factor: float, n_values: int) -> int | None:
    """Return the first lag that the window rule accepts, or None."""
    lags = np.arange(1, running.size)
    if running.size == 1:
        return 0 if n_values == 1 else None
    tau = memory[1:]
    if method == "sokal":
        hits = np.flatnonzero(lags >= factor * tau)
    else:
        above = np.maximum(2 * tau, 1 + 1e-12)
        scale = factor / np.log((above + 1) / (above - 1))
        hits = np.flatnonzero(np.exp(-lags / scale) < scale / np.sqrt(lags * n_values))
    return int(lags[hits[0]]) if hits.size else None


def _corrected(
    covariance: Array,
    tau: float,
    memory: float,
    last: int,
    shape: tuple[int, ...],
    unit: float,
    method: str,
) -> Autocorrelation:
    """Give back what the common mean took, and judge the length."""
    n_chains, n_steps = shape
    n = n_chains * n_steps
    total = 2 * tau * covariance[0] * (1 + (2 * last + 1) / n)
    variance = covariance[0] + max(total, 0.0) / n
    value = max(total / (2 * variance), 0.0)
    error = value * math.sqrt(max(4 * (last + 0.5 - value), 2.0) / n)
    memory = max(memory, value)
    note = ""
    if value == 0:
        note = "the autocorrelations do not sum to anything positive"
    if n_steps < LEAST_LENGTH * memory:
        note = f"chains of {n_steps} step(s) are shorter than {LEAST_LENGTH} autocorrelation times"
    return Autocorrelation(
        tau=float(value),
        error=float(error),
        memory=float(memory),
        window=last,
        variance=float(variance) * unit * unit,  # may vanish or overflow, unlike the error
        mean_error=unit * math.sqrt(2 * value * variance / n) if value > 0 else float("nan"),
        rho=covariance[: last + 1] / covariance[0],
        n_chains=n_chains,
        n_steps=n_steps,
        method=method,
        note=note,
    )
