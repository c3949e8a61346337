r"""Dependence between successive values, and what it does to a fit.

Standard errors and p-values of a fit take the values as independent.  Where they come as a
series with memory, as activations of successive images or avalanches of one run may, the number of
independent values is smaller: errors are too small, and a true power law is rejected (Gerlach and
Altmann, Phys. Rev. Lett. 122, 168301 (2019)).  `check_independence` tests for memory and offers the
series thinned; `block_bootstrap` keeps all values and measures the errors instead.

The memory is that of ln x, whose moments exist whatever the tail.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.dependence.series import (
    autocorrelation,
    integrated_time,
    logarithms,
    plain_record,
)
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_LEVEL = 0.05
_NORMAL_95 = 1.959963984540054
_PERMUTED = 20_000  # values up to which the null distribution is permuted, not its limit
_LONGEST = 4096  # lags tested
_AT_ONCE = 2**17  # values of all draws made together: in cache, and Ctrl-C is heard between them


@dataclass(frozen=True)
class Independence:
    """Whether the values of a series depend on those before, and how many count.

    Attributes
    ----------
    n : int
        Number of values.
    p_value : float
        Probability that independent values show as much autocorrelation as found, over all lags
        up to `max_lag` at once.
    statistic : float
        Largest excess of the sums of squared autocorrelations over their mean, in standard
        deviations, among the sums over lags 1..m, m = 1, 2, 4, ..., `max_lag`.
    window : int
        The m where it was found.
    null : str
        ``"permutation"`` (exact) or ``"normal"`` (limit for many values) distribution.
    independent : bool
        `p_value` >= 0.05.
    tau : float
        Integrated autocorrelation time 1/2 + r(1) + r(2) + ...; 1/2 for independent values.
    n_effective : float
        n/(2 tau): so many independent values have the same error of the mean of ln x.
    decorrelation_lag : int or None
        First lag tau* at which |r| is within 1.96/sqrt(n), as for independent values; 1 where
        `independent`.  None where there is no such lag up to `max_lag`: a trend, or a memory as
        long as the series.
    max_lag : int
        Largest lag looked at.
    n_permutations : int
        Draws of the null distribution.
    seed : mapping
        What makes the test again.
    version : str
        Of spinnet.
    """

    n: int
    p_value: float
    statistic: float
    window: int
    null: str
    independent: bool
    tau: float
    n_effective: float
    decorrelation_lag: int | None
    max_lag: int
    n_permutations: int
    seed: Mapping[str, object]
    version: str
    _autocorrelation: Floats = field(repr=False, compare=False)

    def autocorrelation(self) -> Floats:
        """Return r(0) = 1, r(1), ..., r(`max_lag`) of ln x."""
        return self._autocorrelation

    def thinned(self, x: ArrayLike, *, offset: int = 0) -> NDArray[Any]:
        """Return every tau*-th value of the series, starting at `offset`.

        Neighbours that remain are as good as uncorrelated, so that errors and p-values of their
        fit are right; most of the values are lost.  Each offset 0..tau*-1 gives one such series.
        They repeat each other: fit one, or compare several, but do not pool them, which is the
        whole series again.

        Raises
        ------
        InputError
            If `x` has another length than the series checked, or `offset` is no such number.
        StatisticsError
            If there is no decorrelation lag.
        """
        values = np.asarray(x)
        if values.shape != (self.n,):
            raise InputError(f"x must have shape ({self.n},) as checked, got {values.shape}")
        if self.decorrelation_lag is None:
            raise StatisticsError(
                f"the autocorrelation does not vanish up to lag {self.max_lag}: there is nothing "
                "to thin to; remove the trend, or take a longer series",
                estimate={"max_lag": self.max_lag, "tau": self.tau},
            )
        offset = integer("offset", offset, minimum=0, maximum=self.decorrelation_lag - 1)
        return values[offset :: self.decorrelation_lag]

    def summary(self) -> str:
        """Return what was found and what to do."""
        lines = [
            f"independence of {self.n} values in input order: p = {self.p_value:.3g}",
            f"  autocorrelation time {self.tau:.3g} (1/2 is none), effective number "
            f"{self.n_effective:.0f}",
        ]
        if self.independent:
            return "\n".join([*lines, "  no sign of dependence: errors and p-values stand"])
        lines.append("  the values depend on each other: errors and p-values of a fit are wrong")
        if self.decorrelation_lag is None:
            lines.append(
                f"  no decorrelation up to lag {self.max_lag}: a trend or a very long memory; "
                "no error can be given"
            )
        else:
            left = -(-self.n // self.decorrelation_lag)
            lines.append(
                f"  fit one value in {self.decorrelation_lag} ({left} remain; .thinned(x)), or "
                "take errors from block_bootstrap(x)"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The series is left out."""
        return plain_record(self, "independence")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the autocorrelation with the band of independent values; return the axes."""
        ax = plotting.axes(ax)
        r = self._autocorrelation
        shown = min(self.max_lag, max(20, 4 * (self.decorrelation_lag or self.max_lag)))
        lags = np.arange(1, shown + 1)
        bound = _NORMAL_95 / math.sqrt(self.n)
        plotting.band(ax, [0, shown + 1], [-bound] * 2, [bound] * 2, label="independent, 95 %")
        plotting.line(ax, lags, r[1 : shown + 1], color=plotting.BLACK, label=r"$r$ of $\ln x$")
        if self.decorrelation_lag is not None and not self.independent:
            label = rf"$\tau^* = {self.decorrelation_lag}$"
            ax.axvline(self.decorrelation_lag, color=plotting.VERMILLION, ls=":", lw=1, label=label)
        plotting.level(ax, 0.0)
        ax.set_xlim(0, shown + 1)
        ax.set_xlabel("lag (input order)")
        ax.set_ylabel("autocorrelation $r$")
        plotting.legend_below(ax)
        return ax


def check_independence(
    x: ArrayLike,
    *,
    max_lag: int | None = None,
    n_permutations: int = 999,
    rng: RandomState = 0,
) -> Independence:
    r"""Test whether a series, in the order given, consists of independent values.

    With r(l) the autocorrelation of ln x, the statistic is the largest, over m = 1, 2, 4, ...,
    of :math:`(Q_m - m)/\sqrt{2m}`, :math:`Q_m = n(n+2)\sum_{l \le m} r(l)^2/(n-l)` (Ljung and Box,
    Biometrika 65, 297 (1978)): a short memory shows at small m, a slow or periodic one at large
    m.  Its distribution without dependence comes from permutations of the series, or, beyond
    20 000 values, from its limit, in which the sqrt(n) r(l) are independent normal numbers.

    Parameters
    ----------
    x : array_like
        One-dimensional, finite, > 0, in the order of measurement.
    max_lag : int, optional
        Largest lag; a quarter of the length, at most 4096, by default.
    n_permutations : int
        Draws of the null distribution; the smallest p-value is 1/(n_permutations + 1).
    rng : None, int, SeedSequence or Generator
        Randomness of these draws; fixed by default.

    Returns
    -------
    Independence

    Raises
    ------
    InputError
        NaN, infinite or non-positive values, or a bad option.
    StatisticsError
        Fewer than 50 values, or all equal.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(1).standard_normal(2000)
    >>> check_independence(np.exp(noise)).independent
    True
    >>> check_independence(np.exp(np.cumsum(noise))).independent
    False
    """
    n_permutations = integer("n_permutations", n_permutations, minimum=19)
    logs = logarithms(x)
    n = logs.size
    largest = min(n // 4, _LONGEST) if max_lag is None else max_lag
    largest = integer("max_lag", largest, minimum=1, maximum=n - 2)
    seed = seed_sequence(rng)
    r = autocorrelation(logs, largest)
    windows = _windows(largest)
    statistic, place = _statistic(r[1:], n, windows)
    draws = _null(logs, largest, windows, n_permutations, np.random.default_rng(seed))
    p = (1 + int(np.count_nonzero(draws >= statistic))) / (n_permutations + 1)
    tau = integrated_time(r, n)
    return Independence(
        n=n,
        p_value=p,
        statistic=float(statistic),
        window=int(windows[place]),
        null="permutation" if n <= _PERMUTED else "normal",
        independent=p >= _LEVEL,
        tau=tau,
        n_effective=n / (2.0 * tau),
        decorrelation_lag=1 if p >= _LEVEL else _first_within(r, _NORMAL_95 / math.sqrt(n)),
        max_lag=largest,
        n_permutations=n_permutations,
        seed=seed_record(seed),
        version=spinnet.__version__,
        _autocorrelation=r,
    )


def _windows(max_lag: int) -> NDArray[np.int64]:
    powers = 2 ** np.arange(max_lag.bit_length(), dtype=np.int64)
    return np.unique(np.append(powers[powers <= max_lag], max_lag))


def _statistic(r: Floats, n: int, windows: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the largest standardised Ljung-Box sum of each row of `r`, and which window has it."""
    lags = np.arange(1, r.shape[-1] + 1)
    sums = np.cumsum(n * (n + 2.0) * r**2 / (n - lags), axis=-1)[..., windows - 1]
    scores = (sums - windows) / np.sqrt(2.0 * windows)
    return scores.max(axis=-1), scores.argmax(axis=-1)


def _null(
    logs: Floats,
    max_lag: int,
    windows: NDArray[np.int64],
    n_draws: int,
    rng: np.random.Generator,
) -> Floats:
    """Return draws of the statistic for independent values."""
    n, draws = logs.size, np.empty(n_draws)
    scale = np.sqrt((n - np.arange(1, max_lag + 1)) / (n * (n + 2.0)))
    rows = max(1, _AT_ONCE // max(n, max_lag))
    for first in range(0, n_draws, rows):
        size = min(rows, n_draws - first)
        if n <= _PERMUTED:
            series = rng.permuted(np.broadcast_to(logs, (size, n)), axis=1)
            r = autocorrelation(series, max_lag)[:, 1:]
        else:
            r = rng.standard_normal((size, max_lag)) * scale
        draws[first : first + size] = _statistic(r, n, windows)[0]
    return draws


def _first_within(r: Floats, bound: float) -> int | None:
    inside = np.flatnonzero(np.abs(r[1:]) <= bound)
    # a lag within the band by a change of sign of an oscillation would be none: two in a row
    for lag in inside:
        if lag + 1 >= r.size - 1 or abs(r[lag + 2]) <= bound:
            return int(lag) + 1
    return None
