r"""What a sweep in temperature returns: power laws with their windows, drawn and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from spinnet import plotting
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.heat_jump import HeatJump
from spinnet.spins.critical.joint import Branch, branch_points
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.statistics import format_with_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {
    "beta": plotting.BLUE,
    "gamma": plotting.VERMILLION,
    "gamma_prime": plotting.GREEN,
}
NAMES = tuple(_COLORS)


@dataclass(frozen=True, eq=False)
class PowerLaw:
    r"""One exponent of a temperature sweep.

    Attributes
    ----------
    name : str
        "beta", "gamma" (above T_c) or "gamma_prime" (below).
    exponent, error : float
        `error` joins the two parts below in quadrature.
    statistical : float
        One standard error of the fit, that of T_c included where it is free; for data without
        errors, from the scatter.
    truncation : float
        Shift by the first terms that the model leaves out, at the size that mean field has.
    amplitude, amplitude_error : float
        A in y = A t^s (1 + ...), statistical error.
    analytic : tuple of float
        c_1, ..., c_k.
    finite_size : float
        d of the term d/r^2; NaN in the limit of infinitely many spins.
    window : (float, float)
        Range of |T/T_c - 1| that is fitted.
    least_r : float
        Smallest N^{1/2}|1 - beta/beta_c| in it; inf for infinitely many spins.
    n_points, chi2, dof, p_value
        Of this branch; p is NaN for data without errors, dof leaves T_c out.
    alternatives : tuple of mapping
        The exponent from other windows (label, window, exponent, error), for the same T_c.
    mean_field : float
    """

    name: str
    exponent: float
    error: float
    statistical: float
    truncation: float
    amplitude: float
    amplitude_error: float
    analytic: tuple[float, ...]
    finite_size: float
    window: tuple[float, float]
    least_r: float
    n_points: int
    chi2: float
    dof: int
    p_value: float
    alternatives: tuple[Mapping[str, Any], ...] = field(repr=False)
    mean_field: float

    def at(self, t: Array, r2: Array | None = None) -> Array:
        """Return the fitted value at distances t from T_c."""
        sign = 1.0 if self.name == "beta" else -1.0
        ln_y = np.log(self.amplitude) + sign * self.exponent * np.log(t)
        ln_y = ln_y + sum(c * t ** (k + 1) for k, c in enumerate(self.analytic))
        if r2 is not None and np.isfinite(self.finite_size):
            ln_y = ln_y + self.finite_size / r2
        return np.asarray(np.exp(ln_y))

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        values: dict[str, object] = {n: getattr(self, n) for n in self.__dataclass_fields__}
        values |= {"analytic": list(self.analytic), "window": list(self.window)}
        values["alternatives"] = [dict(item) for item in self.alternatives]
        return _plain(values)


def _plain(values: dict[str, object]) -> dict[str, object]:
    result = finite_or_null(values)
    assert isinstance(result, dict)
    return result


@dataclass(frozen=True, eq=False)
class TemperatureExponents:
    """Exponents from a sweep in temperature.

    Attributes
    ----------
    power_laws : mapping of name to PowerLaw
        "beta", "gamma", "gamma_prime", as far as the source carries them.
    beta_c, beta_c_error : float
        As given (error 0), or fitted together with the exponents.
    names, covariance : tuple of str, ndarray
        Statistical covariance of exponents ("beta"), logarithms of amplitudes ("ln A beta"),
        and "beta_c" where it is free.
    amplitude_ratio, amplitude_ratio_error : float
        Gamma+/Gamma- of chi with one exponent for both sides; 2 in mean field.
    specific_heat : HeatJump or None
        The jump of c: alpha = 0 is a jump here, not a power law.
    chi2, dof, p_value
        Of the joint fit.
    n_spins : int
        0 for infinitely many.
    note : str
        What is missing and why.
    """

    power_laws: Mapping[str, PowerLaw]
    beta_c: float
    beta_c_error: float
    names: tuple[str, ...]
    covariance: Array = field(repr=False)
    amplitude_ratio: float
    amplitude_ratio_error: float
    specific_heat: HeatJump | None
    chi2: float
    dof: int
    p_value: float
    n_spins: int
    note: str
    _table: SizeTable = field(repr=False)
    _n_eff: float = field(repr=False)

    @property
    def beta(self) -> float:
        """Exponent of m ~ |t|^beta; NaN if missing."""
        return self._value("beta")

    @property
    def gamma(self) -> float:
        """Exponent of chi ~ t^-gamma above T_c."""
        return self._value("gamma")

    @property
    def gamma_prime(self) -> float:
        """Exponent of chi below T_c."""
        return self._value("gamma_prime")

    @property
    def alpha(self) -> float:
        """0 where the specific heat has finite limits on both sides; NaN otherwise."""
        jump = self.specific_heat
        return 0.0 if jump is not None and jump.finite else float("nan")

    def _value(self, name: str) -> float:
        law = self.power_laws.get(name)
        return float("nan") if law is None else law.exponent

    def error(self, name: str) -> float:
        """Return the error of "beta", "gamma" or "gamma_prime"; NaN if it is missing."""
        law = self.power_laws.get(name)
        return float("nan") if law is None else law.error

    def summary(self) -> str:
        """Return the exponents, their windows and the quality of the fits."""
        size = f"N = {self.n_spins}" if self.n_spins else "infinitely many spins"
        shown = format_with_error(self.beta_c, self.beta_c_error)
        tail = " (given)" if self.beta_c_error == 0 else ""
        lines = [
            f"temperature sweep, {size}",
            f"  beta_c {self.beta_c:.10g}{tail}" if tail else f"  beta_c {shown}",
        ]
        lines += [self._line(law) for law in self.power_laws.values()]
        if np.isfinite(self.amplitude_ratio):
            ratio = format_with_error(self.amplitude_ratio, self.amplitude_ratio_error)
            lines.append(f"  Gamma+/Gamma-  {ratio} (mean field 2)")
        if self.specific_heat is not None:
            lines.append("  " + self.specific_heat.summary())
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    @staticmethod
    def _line(law: PowerLaw) -> str:
        low, high = law.window
        quality = f"chi2/dof {law.chi2:.3g}/{law.dof}, p = {law.p_value:.2g}, "
        if not np.isfinite(law.p_value):
            quality = ""
        edge = f", r >= {law.least_r:.3g}" if np.isfinite(law.least_r) else ""
        return (
            f"  {law.name:<14} {format_with_error(law.exponent, law.error)} "
            f"(mean field {law.mean_field:g}); t in [{low:.3g}, {high:.3g}]{edge}, "
            f"{law.n_points} points, {len(law.analytic)} analytic term(s), {quality}"
            f"statistical {law.statistical:.2g}, truncation {law.truncation:.2g}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        names = ["beta_c", "beta_c_error", "amplitude_ratio", "amplitude_ratio_error"]
        names += ["chi2", "dof", "p_value", "n_spins", "note", "alpha"]
        return _plain(
            {name: getattr(self, name) for name in names}
            | {
                "power_laws": {k: law.to_dict() for k, law in self.power_laws.items()},
                "names": list(self.names),
                "covariance": self.covariance.tolist(),
                "specific_heat": None
                if self.specific_heat is None
                else self.specific_heat.to_dict(),
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the data and fits against t, with the mean-field slopes as thin lines.

        Filled bands mark the windows; full markers are the points that are fitted.
        """
        ax = plotting.axes(ax)
        for k, law in enumerate(self.power_laws.values()):
            self._draw(ax, law, "slopes of mean field" if k == 0 else "")
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"$t=|T/T_c-1|$",
            ylabel=r"$\langle|m|\rangle$,  $T_c\chi$",
        )
        plotting.legend_below(ax)
        return ax

    def _draw(self, ax: Axes, law: PowerLaw, reference: str) -> None:
        branch = branches_of(self._table)[law.name]
        points, rows, _ = branch_points(self._table, branch, self.beta_c, self._n_eff)
        unit = 1.0 if law.name == "beta" else 1 / self.beta_c
        color = _COLORS[law.name]
        y, error = (
            x[branch.quantity][rows] * unit for x in (self._table.values, self._table.errors)
        )
        bars = error if np.all(np.isfinite(error)) else None
        text = f"{branch.label}: {format_with_error(law.exponent, law.error)}"
        plotting.points(ax, points.t, y, bars, color=color, label=text)
        low, high = law.window
        inside = (points.t >= low * 0.999999) & (points.t <= high * 1.000001)
        ax.plot(points.t[inside], y[inside], "o", ms=3.5, color=color)
        t = np.geomspace(low, high, 60)
        sign = 1 - branch.side * t / (1 + branch.side * t)  # beta/beta_c
        r2 = self._n_eff * (1 - sign) ** 2 if self._n_eff else None
        plotting.line(ax, t, law.at(t, r2) * unit, color=color)
        wide = np.geomspace(points.t.min(), points.t.max(), 2)
        anchor = float(law.at(np.array([low]), None)[0]) * unit
        slope = law.mean_field if law.name == "beta" else -law.mean_field
        plotting.line(
            ax,
            wide,
            anchor * (wide / low) ** slope,
            color=plotting.GREY,
            dashes="--",
            width=0.8,
            label=reference,
        )


def branches_of(table: SizeTable) -> dict[str, Branch]:
    """Return the power laws that the columns of a table carry."""
    below = "susceptibility_abs" if table.n_spins else "susceptibility"
    every = (
        Branch("beta", "abs_m", -1, 1.0, r"$\beta$, $\langle|m|\rangle$ below", 0.5),
        Branch("gamma", "susceptibility", 1, -1.0, r"$\gamma$, $\chi$ above", 1.0),
        Branch("gamma_prime", below, -1, -1.0, r"$\gamma'$, $\chi$ below", 1.0, 2.0),
    )
    return {branch.name: branch for branch in every if branch.quantity in table.values}
