"""Averages as continuous functions of the temperature, from runs at a few."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, StatisticsError, did_you_mean
from spinnet.files import finite_or_null
from spinnet.spins.critical.reweighting.ensemble import Ensemble, solved
from spinnet.spins.critical.reweighting.quantities import (
    CENTRED,
    QUANTITIES,
    Quantity,
    applied,
    covered,
    jackknife_error,
    limits,
)
from spinnet.spins.critical.reweighting.samples import check_runs, n_units, pool
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.statistics import Estimate, format_with_error
from spinnet.validation import inverse_temperatures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
_STEP = 0.02  # of derivatives, in units of 1/(standard deviation of the energy)

_SYMBOLS = {
    "abs_m": r"$\langle|m|\rangle$",
    "m": r"$\langle m\rangle$",
    "m2": r"$\langle m^2\rangle$",
    "m4": r"$\langle m^4\rangle$",
    "energy": r"$\langle E\rangle$",
    "binder": "cumulant $U$",
    "susceptibility": r"$\chi$",
    "susceptibility_abs": r"$\chi_{|m|}$",
    "specific_heat": "specific heat $c$",
}


@dataclass(frozen=True, eq=False)
class Reweighted:
    """Thermal averages at temperatures that need not have been simulated.

    It offers what a :class:`Run` offers: `model`, `beta`, :meth:`estimate`, :meth:`derived`, and
    `binder`, `susceptibility`, `susceptibility_abs`, `specific_heat`.  Errors at different
    temperatures come from the same samples: :meth:`replicates` and :meth:`covariance` tell how
    they move together.

    Attributes
    ----------
    model : SpinModel
    beta : ndarray
        The temperatures asked for, any shape.
    n_eff : ndarray
        Kish's effective number of independent samples at each.
    outside : ndarray
        Share of the weight on the outermost 10 effective samples at one end of the energies: what
        lies further out, and was never seen, weighs about as much.
    simulated_beta : ndarray, shape (n_states,)
        Where the samples come from, increasing.
    inefficiency : ndarray, shape (n_states,)
        max(1, 2 tau) of the energy; every sample counts as one over this.
    overlap : ndarray, shape (n_states, n_states)
        Effective samples of one simulated temperature that could as well be of another.
    note : str
        Empty, or which temperatures are refused, or why there are no errors.
    n_replicas : int
        Jackknife groups behind the errors; 0 without errors.
    seeds : tuple of dict
        Of the runs.
    version : str
    """

    model: SpinModel
    beta: Array
    n_eff: Array
    outside: Array
    simulated_beta: Array
    inefficiency: Array
    overlap: Array
    note: str
    n_replicas: int
    seeds: tuple[Mapping[str, object], ...]
    version: str
    _ensemble: Ensemble

    def __repr__(self) -> str:
        shown = f"beta in [{self.beta.min():.6g}, {self.beta.max():.6g}], {self.beta.size} of them"
        return f"Reweighted({self.model!r}, {shown})"

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Where 50 effective samples stand behind the averages, and few of them are outermost.

        That is, where outside sqrt(n_eff) <= 0.5 (with few samples 15/sqrt(n_eff), at most 1.25).
        """
        return covered(self.n_eff, self.outside)

    @property
    def names(self) -> tuple[str, ...]:
        """The observables that :meth:`estimate` knows: those of every run."""
        runs = {id(s.run): s.run for s in self._ensemble.pool.states}.values()
        first = next(iter(runs)).names
        return tuple(name for name in first if all(name in run.names for run in runs))

    def estimate(self, name: str) -> Estimate:
        """Return the average of an observable; see :meth:`Run.estimate` for the names.

        Returns
        -------
        Estimate
            Of the shape of `beta`; `n_eff` is Kish's number, tau and R-hat are those of the
            runs and NaN here.
        """
        return self.derived(lambda x: x, name)

    def derived(self, function: Quantity, *names: str) -> Estimate:
        """Return a function of averages with its jackknife error.

        Parameters
        ----------
        function : callable
            Of averages, for example ``spinnet.binder_cumulant(m2, m4)``; must take arrays, as
            ``numpy.log`` does and ``math.log`` does not.
        *names : str
            The observables whose averages are its arguments; by default the names of its
            parameters.  The name "beta" passes the inverse temperature.
        """
        names = self._names(function, names)
        flat = self.beta.ravel()
        value = self._value(function, names, flat)
        table = self._sets(function, names, flat) if self.n_replicas else None
        return self._estimate(value, table)

    def replicates(self, function: Quantity, *names: str) -> Array:
        """Return the curves of a function of averages with each group left out.

        Returns
        -------
        ndarray, shape (n_replicas,) + beta.shape
            The covariance of anything made of them is (n - 1)/n times the sum of products of
            deviations from their mean.

        Raises
        ------
        StatisticsError
            If the runs give no errors.
        """
        if not self.n_replicas:
            raise StatisticsError(f"no replicates: {self.note}")
        table = self._sets(function, self._names(function, names), self.beta.ravel())[1:]
        table[:, ~self.covered.ravel()] = np.nan
        return table.reshape(-1, *self.beta.shape)

    def covariance(self, function: Quantity, *names: str) -> Array:
        """Return the covariance between temperatures, in the order of ``beta.ravel()``."""
        table = self.replicates(function, *names).reshape(self.n_replicas, -1)
        deviation = table - table.mean(axis=0)
        return np.asarray((len(table) - 1) / len(table) * deviation.T @ deviation)

    def derivative(self, function: Quantity, *names: str) -> Estimate:
        """Return the derivative in beta of a function of averages, with its error.

        The reweighted curve is smooth, so that differences of it over 0.02 standard deviations
        of the energy have an error of 1e-8 of the derivative.
        """
        names = self._names(function, names)
        flat = self.beta.ravel()
        step = self._step(flat)
        weights = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}
        value = np.zeros(flat.size)
        table = np.zeros((self.n_replicas + 1, flat.size))
        for k, weight in weights.items():
            value += weight * self._value(function, names, flat + k * step) / step
            if self.n_replicas:
                table += weight * self._sets(function, names, flat + k * step) / step
        return self._estimate(value, table if self.n_replicas else None)

    @property
    def log_z(self) -> Estimate:
        """Logarithm of the partition function, in nats, the constant of the energy included.

        Absolute where the samples reach beta = 0, at which Z counts the 2^N configurations;
        otherwise relative to the lowest simulated temperature: see `log_z_reference`.
        """
        ensemble, flat = self._ensemble, self.beta.ravel()
        anchor, constant = self._anchor()
        at = np.append(flat, anchor)
        shift = -ensemble.pool.reference * (at - anchor)
        raw = ensemble.full_moments(at, [])[2]
        value = (raw + shift - raw[-1] + constant)[:-1]
        if not self.n_replicas:
            return self._estimate(value, None)
        table = ensemble.jackknife_moments(at, [])[1] + shift
        return self._estimate(value, (table - table[:, -1:])[:, :-1])

    @property
    def log_z_reference(self) -> str:
        """What `log_z` is measured from."""
        anchor, constant = self._anchor()
        return "absolute" if constant else f"ln Z at beta={anchor:.6g} is 0"

    @property
    def binder(self) -> Estimate:
        """The Binder cumulant 1 - <m^4>/(3 <m^2>^2)."""
        return self.derived(*self._known("binder"))

    @property
    def susceptibility(self) -> Estimate:
        """The connected susceptibility per spin, beta N (<m^2> - <m>^2)."""
        return self.derived(*self._known("susceptibility"))

    @property
    def susceptibility_abs(self) -> Estimate:
        """The susceptibility per spin with <|m|>: beta N (<m^2> - <|m|>^2)."""
        return self.derived(*self._known("susceptibility_abs"))

    @property
    def specific_heat(self) -> Estimate:
        """The specific heat per spin, beta^2 Var(E)/N."""
        return self.derived(*self._known("specific_heat"))

    def at(self, beta: ArrayLike) -> Reweighted:
        """Return the same samples reweighted to other temperatures, without solving again."""
        seeds, version = self.seeds, self.version
        return _view(self._ensemble, inverse_temperatures(beta), seeds, version)

    def summary(self) -> str:
        """Return a table for people: one line for each temperature."""
        columns = {
            "<|m|>": self.estimate("abs_m"),
            "<m^2>": self.estimate("m2"),
            "energy/N": self.derived(lambda e: e / self.model.n_spins, "energy"),
            "chi": self.susceptibility_abs,
            "U": self.binder,
        }
        rows = [["beta", *columns, "n_eff"]]
        for k, beta in enumerate(self.beta.ravel()):
            cells = [_cell(e.value.flat[k], e.error.flat[k]) for e in columns.values()]
            rows.append([f"{beta:.6g}", *cells, f"{self.n_eff.flat[k]:.4g}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{self.model!r}, reweighted from {self.simulated_beta.size} temperature(s) in "
            f"[{self.simulated_beta[0]:.6g}, {self.simulated_beta[-1]:.6g}]"
        ]
        for row in rows:
            lines.append("  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)))
        return "\n".join([*lines, self.note] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN."""
        table = {name: self.estimate(name).to_dict() for name in ("abs_m", "m2", "m4", "energy")}
        for name in (*QUANTITIES, "log_z"):
            table[name] = getattr(self, name).to_dict()
        names = ("beta", "n_eff", "outside", "simulated_beta", "inefficiency", "overlap")
        plain: dict[str, Any] = {n: finite_or_null(getattr(self, n).tolist()) for n in names}
        return plain | {
            "model": self.model.to_dict(),
            "estimates": table,
            "log_z_reference": self.log_z_reference,
            "n_replicas": self.n_replicas,
            "seeds": [dict(seed) for seed in self.seeds],
            "version": self.version,
            "note": self.note,
        }

    def plot(self, ax: Axes | None = None, quantity: str = "abs_m") -> Axes:
        """Draw a quantity against beta as a band of one standard error.

        Parameters
        ----------
        ax : Axes, optional
        quantity : str
            An observable, "binder", "susceptibility", "susceptibility_abs" or "specific_heat".
        """
        ax = plotting.axes(ax)
        result = self.derived(*self._known(quantity))
        order = np.argsort(self.beta.ravel())
        x, y, e = (a.ravel()[order] for a in (self.beta, result.value, result.error))
        plotting.band(ax, x, y - e, y + e, label="one standard error")
        plotting.line(ax, x, y, label=f"reweighted, N = {self.model.n_spins}")
        inside = self.simulated_beta[(self.simulated_beta >= x[0]) & (self.simulated_beta <= x[-1])]
        for k, beta in enumerate(inside):
            label = "simulated" if k == 0 else None
            ax.axvline(beta, color=plotting.LIGHT_GREY, lw=0.7, zorder=0, label=label)
        ax.set_xlabel(r"inverse temperature $\beta$")
        ax.set_ylabel(_SYMBOLS.get(quantity, quantity.replace("_", " ")))
        plotting.legend_below(ax, columns=3)
        return ax

    def _estimate(self, value: Array, table: Array | None) -> Estimate:
        """Return values with the errors of a table (n_sets, n_beta), NaN where not covered."""
        error, bias = np.full((2, value.size), np.nan)
        if table is not None:
            error, bias = jackknife_error(table)
        shape, missing = self.beta.shape, np.full(self.beta.shape, np.nan)
        shown = [np.where(self.covered, c.reshape(shape), np.nan) for c in (value, error, bias)]
        return Estimate(
            value=shown[0],
            error=shown[1],
            n_eff=self.n_eff,
            tau=missing,
            rhat=missing,
            note=self.note,
            tau_error=missing,
            bias=shown[2],
        )

    def _known(self, quantity: str | Quantity, *names: str) -> tuple[Any, ...]:
        """Return (function, *names) of a quantity given by name or as a function."""
        if callable(quantity):
            return quantity, *self._names(quantity, names)
        if quantity in QUANTITIES:
            n = self.model.n_spins
            function, *arguments = QUANTITIES[quantity]
            return (lambda *means: function(n, *means)), *arguments
        known = (*self.names, *QUANTITIES)
        if quantity not in self.names:
            raise InputError(
                f"quantity must be a function of averages or one of {', '.join(known)}, got "
                f"{quantity!r}{did_you_mean(str(quantity), known)}"
            )
        return (lambda x: x), quantity

    def _names(self, function: Quantity, names: Sequence[str]) -> tuple[str, ...]:
        names = tuple(names) or tuple(inspect.signature(function).parameters)
        for name in names:
            if name not in (*self.names, *CENTRED, "beta"):
                hint = did_you_mean(name, self.names)
                raise InputError(f"name must be one of {', '.join(self.names)}, got {name!r}{hint}")
        return names

    def _value(self, function: Quantity, names: Sequence[str], beta: Array) -> Array:
        """Return the function at `beta`, from all samples."""
        observables = [name for name in names if name != "beta"]
        averages = iter(self._ensemble.full_moments(beta, observables)[0])
        return applied(function, [beta if n == "beta" else next(averages) for n in names], beta)

    def _sets(self, function: Quantity, names: Sequence[str], beta: Array) -> Array:
        """Return the function at `beta` for each jackknife set, shape (n_sets, n_beta)."""
        observables = [name for name in names if name != "beta"]
        averages = iter(self._ensemble.jackknife_moments(beta, observables)[0])
        shape = (self.n_replicas + 1, beta.shape[-1])
        grid = np.broadcast_to(beta, shape)
        return applied(function, [grid if n == "beta" else next(averages) for n in names], grid)

    def _step(self, beta: Array) -> Array:
        mean, square = self._ensemble.full_moments(beta, list(CENTRED))[0]
        width = np.sqrt(np.maximum(square - mean**2, 0.0))
        span = np.ptp(self._ensemble.pool.fine.energy)
        return np.asarray(_STEP / np.maximum(width, 1e-3 * span if span > 0 else 1.0))

    def _anchor(self) -> tuple[float, float]:
        """Return where ln Z is known, and its value."""
        if covered(*self._ensemble.coverage(np.zeros(1)))[0]:
            return 0.0, n_units(self.model) * math.log(2)
        return float(self.simulated_beta[0]), 0.0


def reweight(run: Run | Sequence[Run], beta: ArrayLike) -> Reweighted:
    """Return thermal averages at `beta` from runs at other temperatures.

    The samples of all temperatures are joined with the weights of least variance (Ferrenberg &
    Swendsen 1989; as MBAR, Shirts & Chodera 2008); one temperature is the single-histogram
    method.

    Parameters
    ----------
    run : Run or sequence of Run
        Of one model, at any temperatures that overlap; each may have several.
    beta : array_like
        Inverse temperatures >= 0.

    Returns
    -------
    Reweighted
        NaN, with a `note`, at temperatures that the samples do not cover: fewer than 50 effective
        samples, or too much weight on the outermost ones.

    Raises
    ------
    InputError
        For runs of different models, a run given twice, or bad temperatures.
    StatisticsError
        If the simulated temperatures do not overlap (`.estimate` holds the overlaps), or none
        of `beta` is covered (`.estimate` holds the effective numbers).

    Notes
    -----
    Samples count as one over the statistical inefficiency 2 tau of the energy of their run.
    Errors are the jackknife's over replicas, the equations being solved anew without each; with
    more than 64 replicas, groups of them, and with fewer than 8, blocks of 20 tau or more.
    Replica r of all temperatures is left out together, so that replicas which exchange
    temperatures stay whole.

    Examples
    --------
    >>> import spinnet as sn
    >>> from spinnet.spins.critical.reweighting import reweight
    >>> run = sn.sample(sn.CurieWeiss(64), beta=[0.8, 0.9], n_sweeps=1000, rng=7)
    >>> between = reweight(run, 0.85)
    >>> bool(abs(between.estimate("m2").value - 0.0750) < 0.004)
    True
    """
    runs = check_runs(run)
    inverse = inverse_temperatures(beta)
    ensemble = solved(pool(runs))
    seeds = tuple(dict(item.seed) for item in runs)
    return _view(ensemble, inverse, seeds, spinnet.__version__)


def _view(
    ensemble: Ensemble, beta: Array, seeds: tuple[Mapping[str, object], ...], version: str
) -> Reweighted:
    states = ensemble.pool.states
    n_eff, outside = (x.reshape(beta.shape) for x in ensemble.coverage(beta.ravel()))
    simulated = ensemble.pool.beta
    hidden = beta[~covered(n_eff, outside)]
    span = f"[{simulated[0]:.6g}, {simulated[-1]:.6g}]"
    if hidden.size == beta.size:
        raise StatisticsError(
            f"beta={hidden.ravel()[0]:.6g} lies outside what the runs at beta in {span} cover "
            f"({limits(n_eff.ravel()[0], outside.ravel()[0])}); run nearer, or longer",
            estimate=n_eff,
        )
    notes = [ensemble.pool.note] if ensemble.pool.note else []
    if hidden.size:
        notes.append(
            f"{hidden.size} temperature(s), the first beta={hidden.ravel()[0]:.6g}, lie outside "
            f"what the runs at beta in {span} cover, and are refused"
        )
    groups = 0 if ensemble.jackknife is None else len(ensemble.jackknife.count) - 1
    return Reweighted(
        model=ensemble.pool.model,
        beta=beta,
        n_eff=n_eff,
        outside=outside,
        simulated_beta=simulated,
        inefficiency=np.array([state.inefficiency for state in states]),
        overlap=ensemble.overlap,
        note="; ".join(notes),
        n_replicas=groups,
        seeds=seeds,
        version=version,
        _ensemble=ensemble,
    )


def _cell(value: float, error: float) -> str:
    return format_with_error(value, error) if np.isfinite(value) else "-"
