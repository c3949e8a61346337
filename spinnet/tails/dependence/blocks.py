"""Errors of a power-law fit of values that depend on each other: the block bootstrap."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.dependence.series import (
    autocorrelation,
    integrated_time,
    logarithms,
    plain_record,
)
from spinnet.validation import finite_array, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.powerlaw import PowerLawFit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BlockBootstrap:
    """Errors of a power-law fit of dependent values.

    Attributes
    ----------
    alpha, xmin : float
        Of the fit of the whole series.
    alpha_error, xmin_error : float
        Standard deviations over the resamples; `xmin_error` is 0 where xmin was given.
    alpha_interval, xmin_interval : (float, float)
        Percentile intervals.
    confidence : float
        Of the intervals.
    inflation : float
        `alpha_error` over the textbook error of the fit, which takes the values as independent
        and xmin as known.
    block : int
        Length of a block.
    n, n_bootstrap, n_failed : int
        Number of values, of resamples, and of resamples that could not be fitted.
    seed : mapping
        What makes the resamples again.
    version : str
        Of spinnet.
    """

    alpha: float
    xmin: float
    alpha_error: float
    xmin_error: float
    alpha_interval: tuple[float, float]
    xmin_interval: tuple[float, float]
    confidence: float
    inflation: float
    block: int
    n: int
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object]
    version: str
    _alphas: Floats = field(repr=False, compare=False)
    _xmins: Floats = field(repr=False, compare=False)

    def replicates(self) -> tuple[Floats, Floats]:
        """Return alpha and xmin of every resample, NaN where there was no fit."""
        return self._alphas, self._xmins

    def summary(self) -> str:
        """Return a few lines for people."""
        low, high = self.alpha_interval
        left, right = self.xmin_interval
        return "\n".join(
            [
                f"block bootstrap: {self.n_bootstrap} resamples in blocks of {self.block} of "
                f"{self.n} values ({self.n_failed} not fitted)",
                f"  alpha = {self.alpha:.4f} +- {self.alpha_error:.4f}, "
                f"{100.0 * self.confidence:g} % {low:.4f} .. {high:.4f}",
                f"  xmin  = {self.xmin:.6g} +- {self.xmin_error:.3g}, {left:.6g} .. {right:.6g}",
                f"  error of alpha {self.inflation:.2f} times that of independent values with "
                "xmin known",
            ]
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  Replicates are left out."""
        return plain_record(self, "block-bootstrap")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the distribution of alpha over resamples; return the axes."""
        ax = plotting.axes(ax)
        alphas = self._alphas[np.isfinite(self._alphas)]
        ax.hist(alphas, bins="auto", density=True, color=plotting.SKY_BLUE, label="resamples")
        ax.axvline(self.alpha, color=plotting.VERMILLION, lw=1.2, label="all values")
        labels = (f"{100.0 * self.confidence:g} % of resamples", None)
        for end, label in zip(self.alpha_interval, labels, strict=True):
            ax.axvline(end, color=plotting.GREY, ls="--", lw=0.9, label=label)
        ax.set_xlabel(r"exponent $\alpha$")
        ax.set_ylabel("density of resamples")
        plotting.legend_below(ax)
        return ax


def block_bootstrap(
    x: ArrayLike,
    *,
    block: int | str = "auto",
    n_bootstrap: int = 200,
    confidence: float = 0.95,
    discrete: bool | None = None,
    xmin: float | None = None,
    xmax: float | None = None,
    min_tail: int = 50,
    convention: str = "csn",
    rng: RandomState = None,
    progress: bool = False,
) -> BlockBootstrap:
    r"""Return errors of alpha and xmin that hold for a series with memory.

    Each resample is made of blocks of consecutive values, from random places of the series closed
    to a circle (Politis and Romano, in Exploring the Limits of Bootstrap, p. 263 (1992)), and
    fitted as the series itself is.  Memory within a block is kept, so that the spread of the fits
    is that of independent series of this kind.

    Parameters
    ----------
    x : array_like
        One-dimensional, finite, > 0, in the order of measurement.
    block : int or "auto"
        Length of a block, many autocorrelation times and a small part of the series.  By default
        the length with the smallest mean square error of the variance of the mean of ln x
        (Politis and White, Econom. Rev. 23, 53 (2004), with the correction of 2009).  It leaves
        the errors a few per cent too small.
    n_bootstrap : int
        Number of resamples, at least 20.
    confidence : float
        Of the intervals, in (0, 1).
    discrete, xmin, xmax, min_tail, convention
        As in `fit_power_law`.  With `xmin`, resamples may have tails shorter than `min_tail`.
    rng : None, int, SeedSequence or Generator
        Randomness of the resamples.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    BlockBootstrap

    Raises
    ------
    InputError
        As `fit_power_law`; a `block` outside of 1..n/2.
    StatisticsError
        As `fit_power_law`; fewer than 50 values; fewer than half of the resamples can be fitted.
    """
    from spinnet.tails.powerlaw import fit_power_law

    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=20)
    level = _share("confidence", confidence)
    seed = seed_sequence(rng)
    logs = logarithms(x)
    values = np.asarray(x, dtype=np.float64)
    length = _block_length(block, logs)

    def fitted(sample: Floats, kind: bool | None, least: int) -> PowerLawFit:
        return fit_power_law(sample, kind, xmin, xmax=xmax, min_tail=least, convention=convention)

    fit = fitted(values, discrete, min_tail)
    # the least tail keeps the search away from the last few values; where nothing is searched
    # for, it would only leave out the resamples with short tails
    least = min_tail if xmin is None else 2
    generator = np.random.default_rng(seed)
    found = np.full((n_bootstrap, 2), np.nan)
    with progress_bar(n_bootstrap, progress, "resample") as bar:
        for row in found:
            sample = values[_circular_blocks(values.size, length, generator)]
            try:
                again = fitted(sample, fit.discrete, least)
            except StatisticsError:
                continue
            finally:
                bar.update()
            row[:] = again.alpha, again.xmin
    good = found[np.isfinite(found[:, 0])]
    n_failed = n_bootstrap - len(good)
    _check_failures(n_failed, n_bootstrap)
    tails = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    ends = np.percentile(good, tails, axis=0)
    units = np.array([1.0, fit.xmin])  # squares of an xmin of 1e200 overflow
    errors = (good / units).std(axis=0, ddof=1) * units
    return BlockBootstrap(
        alpha=fit.alpha,
        xmin=fit.xmin,
        alpha_error=float(errors[0]),
        xmin_error=float(errors[1]),
        alpha_interval=(float(ends[0, 0]), float(ends[1, 0])),
        xmin_interval=(float(ends[0, 1]), float(ends[1, 1])),
        confidence=level,
        inflation=float(errors[0]) / fit.alpha_error,
        block=length,
        n=values.size,
        n_bootstrap=n_bootstrap,
        n_failed=n_failed,
        seed=seed_record(seed),
        version=spinnet.__version__,
        _alphas=found[:, 0],
        _xmins=found[:, 1],
    )


def _share(name: str, value: float) -> float:
    share = float(finite_array(name, value, ndim=0))
    if not 0.0 < share < 1.0:
        raise InputError(f"{name} must be in (0, 1), got {share}")
    return share


def _check_failures(n_failed: int, n_bootstrap: int) -> None:
    if not n_failed:
        return
    text = f"{n_failed} of {n_bootstrap} resamples could not be fitted"
    if 2 * n_failed > n_bootstrap:
        raise StatisticsError(f"{text}: the series has too few blocks", estimate=n_failed)
    warnings.warn(f"{text} and are left out", SpinnetWarning, stacklevel=3)


def _circular_blocks(n: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the indices of `n` values in random blocks of a series closed to a circle."""
    starts = rng.integers(0, n, -(-n // length))
    return np.asarray(((starts[:, None] + np.arange(length)) % n).ravel()[:n])


def _block_length(block: int | str, logs: Floats) -> int:
    n = logs.size
    if isinstance(block, str):
        if block != "auto":
            raise InputError(f"block must be 'auto' or an integer, got {block!r:.80}")
        return automatic_block(logs)
    return integer("block", block, minimum=1, maximum=n // 2)


def automatic_block(series: Floats) -> int:
    """Return the block length of Politis and White (2004, corrected 2009) for circular blocks.

    With R(k) the autocovariance under a trapezoidal window of half-width M, M twice the lag after
    which the autocorrelation stays insignificant: (3 G^2/(2 g^2))^(1/3) n^(1/3), G = sum |k| R(k),
    g = sum R(k).
    """
    n = series.size
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    longest = min(n - 2, math.ceil(math.sqrt(n)) + run)
    # sqrt(n) lags, or ten autocorrelation times where these are more
    r = autocorrelation(series - series.mean(), min(n - 2, max(longest, n // 4)))
    wide = min(r.size - 1, max(longest, math.ceil(10.0 * integrated_time(r, n))))
    small = np.abs(r[1 : wide + 1]) < 2.0 * math.sqrt(math.log10(n) / n)
    runs = np.convolve(small, np.ones(run), "valid") == run
    last = int(np.argmax(runs)) if runs.any() else wide
    m = min(max(2 * last, 1), r.size - 1)
    k = np.arange(1, m + 1)
    taper = np.clip(2.0 * (1.0 - k / m), 0.0, 1.0)
    g = 1.0 + 2.0 * float(taper @ r[1 : m + 1])
    moment = 2.0 * float((taper * k) @ r[1 : m + 1])
    limit = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    if g <= 0.0:
        return 1
    return int(min(max(1, math.ceil((1.5 * (moment / g) ** 2 * n) ** (1.0 / 3.0))), limit))
