r"""The dynamic exponent z of tau ~ N^z at T_c: 1/2 in mean field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError, did_you_mean
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array, LogSlope, log_slope
from spinnet.spins.critical.sources import items_of, refuse_fields
from spinnet.spins.montecarlo.updates import Independent, Metropolis
from spinnet.spins.statistics import MIN_UNITS, format_with_error
from spinnet.validation import finite_float, positive_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ("n_spins", "tau", "tau_error")
_WINDOW = 6.0  # Sokal's: the sum over lags stops at 6 tau
_LENGTH = 50.0  # a chain shorter than this many tau gives no tau
_Z = 0.5


@dataclass(frozen=True, eq=False)
class DynamicExponent:
    """The growth of the autocorrelation time with N.

    Attributes
    ----------
    z, error : float
        In N (not L): tau ~ N^z.
    amplitude, amplitude_error : float
        tau/N^z where the correction vanishes.
    amplitude_half, amplitude_half_error : float
        The same with z = 1/2 fixed: 1.26557 for heat bath and 0.63279 for Metropolis with sites
        drawn at random; a sequential sweep has another constant.
    n_spins, tau, tau_error : ndarray
        The data; errors NaN where none are known.
    fit, uncorrected : LogSlope
        With the term c N^{-correction} in ln tau, and without.
    note : str
    """

    z: float
    error: float
    amplitude: float
    amplitude_error: float
    amplitude_half: float
    amplitude_half_error: float
    n_spins: Array
    tau: Array
    tau_error: Array
    fit: LogSlope = field(repr=False)
    uncorrected: LogSlope | None = field(repr=False)
    note: str = ""

    def summary(self) -> str:
        """Return the exponent and the quality of its fit."""
        f = format_with_error
        quality = f"chi2/dof {self.fit.chi2:.3g}/{self.fit.dof}"
        if np.isfinite(self.fit.p_value):
            quality += f", p = {self.fit.p_value:.2g}"
        term = "no correction term"
        if self.fit.correction is not None:
            term = f"c N^-{self.fit.correction:g}"
        lines = [
            f"dynamics in N, sizes {self.n_spins.astype(int).tolist()}, {term}",
            f"  z              {f(self.z, self.error)} (mean field 0.5); {quality}",
            f"  tau N^-1/2  -> {f(self.amplitude_half, self.amplitude_half_error)} for z = 1/2",
        ]
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and lists; null where one is not known."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {name: getattr(self, name).tolist() for name in ("n_spins", "tau", "tau_error")}
        values["fit"] = self.fit.to_dict()
        values["uncorrected"] = None if self.uncorrected is None else self.uncorrected.to_dict()
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw tau against N with the fit and the slope 1/2 of mean field."""
        ax = plotting.axes(ax)
        bars = self.tau_error if np.all(np.isfinite(self.tau_error)) else None
        label = f"$z$ = {format_with_error(self.z, self.error)}"
        plotting.points(ax, self.n_spins, self.tau, bars, color=plotting.BLUE, label=label)
        n = np.geomspace(self.n_spins.min(), self.n_spins.max(), 100)
        ln_tau = np.log(self.amplitude) + self.z * np.log(n)
        if self.fit.correction is not None:
            ln_tau = ln_tau + self.fit.correction_amplitude * n**-self.fit.correction
        plotting.line(ax, n, np.exp(ln_tau), color=plotting.BLUE)
        plotting.line(
            ax,
            n,
            np.exp(ln_tau[-1]) * (n / n[-1]) ** _Z,
            color=plotting.GREY,
            dashes="--",
            label="mean field, $z=1/2$",
        )
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"number of spins $N$",
            ylabel=r"autocorrelation time $\tau$ (sweeps)",
        )
        plotting.legend_below(ax)
        return ax


def dynamic_exponent(source: Any, *, correction: float | str | None = "auto") -> DynamicExponent:
    r"""Return z from autocorrelation times at T_c for several sizes.

    Parameters
    ----------
    source : mapping of columns, or sequence of runs
        Columns n_spins, tau, and if known tau_error.  Runs are Monte Carlo results at one
        temperature, beta_c, of at least 8 replicas: tau is then the integrated autocorrelation
        time of m about its mean 0, with its error by the jackknife over replicas.
    correction : float or None, optional
        omega of the term c N^{-omega} in ln tau, None to leave it out.  By default ("auto") 1/4
        for runs with Metropolis and 1/2 otherwise, as the exact spectra have it, and None with
        fewer than four sizes.

    Returns
    -------
    DynamicExponent

    Raises
    ------
    InputError
        For bad columns, or runs of independent draws.
    StatisticsError
        If a chain is shorter than 50 tau, or fewer than two sizes are given.

    Notes
    -----
    The known amplitudes are those of sites drawn at random.  Sweeps in a fixed order mix faster:
    heat bath by about a factor 2, and Metropolis, which then flips most spins at every sweep,
    grows more slowly than N^{1/2} up to N of thousands.  Measure z with the heat bath.
    """
    n, tau, error, metropolis = _read(source)
    omega: float | None
    if isinstance(correction, str):
        if correction != "auto":
            raise InputError(f"correction must be a number, None or 'auto', got {correction!r}")
        omega = (0.25 if metropolis else 0.5) if n.size >= 4 else None
    else:
        omega = None if correction is None else finite_float("correction", correction)
    yerr = error if np.all(np.isfinite(error)) else None
    fit = log_slope(n, tau, yerr, omega)
    half, half_error = _fixed(n, tau / n**_Z, yerr, omega)
    note = "" if omega is not None else "no correction term: z of small sizes is biased"
    return DynamicExponent(
        z=fit.slope,
        error=fit.error,
        amplitude=fit.amplitude,
        amplitude_error=fit.amplitude_error,
        amplitude_half=half,
        amplitude_half_error=half_error,
        n_spins=n,
        tau=tau,
        tau_error=error,
        fit=fit,
        uncorrected=log_slope(n, tau, yerr) if omega is not None else None,
        note=note,
    )


def _fixed(n: Array, y: Array, yerr: Array | None, omega: float | None) -> tuple[float, float]:
    """Return the limit of y = A (1 + c N^-omega) and its error, from a straight line."""
    if omega is None:
        weights = np.ones_like(y) if yerr is None else (n**_Z / yerr) ** 2
        mean = float(np.average(y, weights=weights))
        if yerr is not None:
            return mean, float(weights.sum() ** -0.5)
        return mean, float(y.std(ddof=1) / np.sqrt(y.size))
    sigma = np.ones_like(y) if yerr is None else yerr / n**_Z
    design = np.column_stack([np.ones_like(n), n**-omega]) / sigma[:, None]
    best, residual, _, _ = np.linalg.lstsq(design, y / sigma, rcond=None)
    spread = float(np.linalg.inv(design.T @ design)[0, 0])
    if yerr is None:
        spread *= float(residual[0]) / (n.size - 2) if n.size > 2 else np.nan
    return float(best[0]), float(np.sqrt(spread))


def _read(source: Any) -> tuple[Array, Array, Array, bool]:
    """Return sizes, tau, errors (NaN if none) sorted by size, and whether Metropolis made them."""
    metropolis = False
    if isinstance(source, Mapping):
        columns = source
    else:
        runs = _runs(source)
        if any(isinstance(run.update, Independent) for run in runs):
            raise InputError(
                "source must be runs of chains, got draws of Independent(), which have no "
                "dynamics; sample with update=HeatBath()"
            )
        metropolis = all(isinstance(run.update, Metropolis) for run in runs)
        rows = np.array([(run.model.n_spins, *_tau(run)) for run in runs], dtype=np.float64)
        columns = dict(zip(_COLUMNS, rows.T, strict=True))
    for name in columns:
        if name not in _COLUMNS:
            hint = did_you_mean(name, _COLUMNS)
            raise InputError(f"source has an unknown column {name!r}{hint}")
    for name in ("n_spins", "tau"):
        if name not in columns:
            raise InputError(f"source must have the columns n_spins and tau, lacks {name!r}")
    n, tau = (positive_array(f"source[{name!r}]", columns[name]) for name in ("n_spins", "tau"))
    error = np.full(n.shape, np.nan)
    if "tau_error" in columns:
        error = positive_array("source['tau_error']", columns["tau_error"])
    if n.ndim != 1 or not n.shape == tau.shape == error.shape:
        raise InputError(
            f"source must have columns of one length, got n_spins {n.shape}, tau {tau.shape}, "
            f"tau_error {error.shape}"
        )
    if np.unique(n).size != n.size:
        raise InputError("source must hold each size once")
    if n.size < 2:
        raise StatisticsError(f"an exponent needs at least 2 sizes, got {n.tolist()}")
    order = np.argsort(n)
    return n[order], tau[order], error[order], metropolis


def _runs(source: Any) -> list[Any]:
    runs = items_of(source)
    if not all(hasattr(run, "samples") for run in runs):
        raise InputError(
            f"source must be a mapping of columns or a sequence of runs, got {source!r:.80}"
        )
    if len(runs) < 2:
        raise StatisticsError(
            f"an exponent needs at least 2 sizes, got {[run.model.n_spins for run in runs]}"
        )
    for run in runs:
        refuse_fields(run.model)
        if np.size(run.beta) != 1:
            raise InputError(
                f"runs must have one temperature, beta_c, got {np.size(run.beta)} for "
                f"n_spins={run.model.n_spins}"
            )
    return runs


def _tau(run: Any) -> tuple[float, float]:
    m = np.asarray(run.samples("m", 0), dtype=np.float64)  # the sweeps done so far
    try:
        return tau_with_error(m)
    except StatisticsError as why:
        raise StatisticsError(f"n_spins={run.model.n_spins}: {why}", why.estimate) from why


def tau_with_error(chains: Array, *, mean: float = 0.0) -> tuple[float, float]:
    """Return the integrated autocorrelation time and its error by the jackknife over chains.

    Parameters
    ----------
    chains : ndarray, shape (n_replicas, n_sweeps)
        At least 8 independent replicas.
    mean : float
        The known mean of the series: 0 for m at h = 0.  A mean taken from short chains would
        make tau too small.

    Raises
    ------
    StatisticsError
        With too few replicas, a constant series, or chains shorter than 50 tau; the estimate so
        far is in ``.estimate``.
    """
    units, length = chains.shape
    if units < MIN_UNITS:
        raise StatisticsError(f"an error of tau needs at least {MIN_UNITS} replicas, got {units}")
    size = fft.next_fast_len(2 * length, real=True)
    power = np.abs(fft.rfft(chains - mean, size, axis=1)) ** 2
    covariance = fft.irfft(power, size, axis=1)[:, :length] / np.arange(length, 0, -1)
    pooled = covariance.mean(axis=0)
    if pooled[0] <= 0:
        raise StatisticsError("the series is constant: it has no autocorrelation time")
    running = 0.5 + np.cumsum(pooled[1:] / pooled[0])
    stop = np.flatnonzero(np.arange(1, length) >= _WINDOW * running)
    lags = int(stop[0]) + 1 if stop.size else length - 1
    sums, zero = covariance[:, 1 : lags + 1].sum(axis=1), covariance[:, 0]
    tau = 0.5 + float(sums.sum() / zero.sum())
    if length < _LENGTH * tau:
        raise StatisticsError(
            f"autocorrelation time {tau:.3g} sweeps needs chains of at least "
            f"{_LENGTH * tau:.0f} sweeps, got {length}: sample longer",
            tau,
        )
    left_out = 0.5 + (sums.sum() - sums) / (zero.sum() - zero)
    return tau, float(np.sqrt((units - 1) * left_out.var()))
