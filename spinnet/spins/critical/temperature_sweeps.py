r"""Exponents from a sweep in temperature: m below T_c, chi on both sides, the jump of c.

With t = |T/T_c - 1|, ln y = ln A + s ln t + c_1 t + ... + d/r^2: the analytic terms are the
corrections to scaling (m^2 = 3t - (12/5)t^2 + ... for Curie-Weiss), and 1/r^2 = 1/[N (1 -
beta/beta_c)^2] is the first effect of a finite size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.heat_jump import HeatJump, heat_jump
from spinnet.spins.critical.joint import (
    Branch,
    JointFit,
    JointProblem,
    Selection,
    branch_points,
    select,
)
from spinnet.spins.critical.sweeps import guess_beta_c, read_sweep
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.critical.windows import Points, alternatives, choose_window, fit_points
from spinnet.spins.statistics import format_with_error
from spinnet.validation import finite_array, integer, positive_float

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
        for law in self.power_laws.values():
            self._draw(ax, law)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"$t=|T/T_c-1|$",
            ylabel=r"$\langle|m|\rangle$,  $T_c\chi$",
        )
        plotting.legend_below(ax)
        return ax

    def _draw(self, ax: Axes, law: PowerLaw) -> None:
        branch = _branches(self._table)[law.name]
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
            ax, wide, anchor * (wide / low) ** slope, color=plotting.GREY, dashes="--", width=0.8
        )


def temperature_exponents(
    source: Any,
    beta_c: float | None = None,
    *,
    window: tuple[float, float] | None = None,
    corrections: int | None = None,
    participation_ratio: float = 1.0,
) -> TemperatureExponents:
    r"""Return beta, gamma, gamma' and the jump of c from a sweep in temperature at h = 0.

    Parameters
    ----------
    source : run, exact result, SizeTable, mapping of columns, or sequence of Solutions
        One size.  A mapping has beta, and of abs_m, susceptibility (beta N <m^2>, used above
        T_c), susceptibility_abs (used below) and specific_heat what it knows, with ``_error``
        columns; n_spins may be left out for the limit of infinitely many spins.  Solutions of
        a mean-field theory count with the order and the response along their top mode.
    beta_c : float, optional
        Critical inverse temperature.  By default it is a parameter of the joint fit, and the
        errors include it.
    window : (low, high), optional
        Range of |T/T_c - 1| for every fit.  By default each branch has its own: r =
        N^{1/2}|1 - beta/beta_c| >= 5, t <= 1/2, and within that the points and the number of
        analytic terms that make the combined statistical and truncation error least (they do
        not depend on the values).
    corrections : int, optional
        Number of analytic terms c_k t^k, 1 to 4; chosen among 1 to 3 by default.
    participation_ratio : float
        1/(N sum v_i^4) of the ordering mode, which makes N times it the effective size.

    Returns
    -------
    TemperatureExponents

    Raises
    ------
    InputError, StatisticsError
        If no branch has points enough, or beta_c is not fixed by the data.

    Notes
    -----
    The quoted error is the statistical one and the truncation in quadrature; `alternatives` of
    each power law shows how the exponent moves with the window.  The specific heat of mean
    field jumps: alpha = 0 has no power law, so that limits on both sides are fitted instead.
    """
    table = read_sweep(source)
    share = positive_float("participation_ratio", participation_ratio)
    if share > 1 + 1e-9:
        raise InputError(f"participation_ratio must be in (0, 1], got {share:g}")
    n_eff = table.n_spins * share
    limits = None if window is None else _window(window)
    degree = None if corrections is None else integer("corrections", corrections, minimum=1)
    free = beta_c is None
    centre = guess_beta_c(table, n_eff) if beta_c is None else positive_float("beta_c", beta_c)
    chosen, reasons = _select(table, centre, n_eff, limits, degree)
    if free:
        centre = JointProblem(table, chosen, n_eff).best_beta_c()
        chosen, reasons = _select(table, centre, n_eff, limits, degree)  # windows follow T_c
        centre = JointProblem(table, chosen, n_eff).best_beta_c()
    problem = JointProblem(table, chosen, n_eff)
    fit = problem.fit(centre, free=free)
    ratio, ratio_error = _amplitude_ratio(problem, centre, free)
    jump = None
    if "specific_heat" in table.values:
        try:
            jump = heat_jump(table, centre, n_eff, limits, degree)
        except StatisticsError as why:
            reasons.append(str(why))
    names, covariance = _joint_covariance(chosen, fit, free)
    known = not problem.exact and fit.dof > 0
    return TemperatureExponents(
        power_laws={
            s.branch.name: _law(problem, fit, k, limits, degree) for k, s in enumerate(chosen)
        },
        beta_c=centre,
        beta_c_error=float(np.hypot(np.sqrt(fit.covariance[-1, -1]), fit.truncation[-1]))
        if free
        else 0.0,
        names=names,
        covariance=covariance,
        amplitude_ratio=ratio,
        amplitude_ratio_error=ratio_error,
        specific_heat=jump,
        chi2=fit.chi2,
        dof=fit.dof,
        p_value=float(stats.chi2.sf(fit.chi2, fit.dof)) if known else float("nan"),
        n_spins=table.n_spins,
        note="; ".join(reasons),
        _table=table,
        _n_eff=n_eff,
    )


def _window(window: tuple[float, float]) -> tuple[float, float]:
    values = finite_array("window", window, ndim=1)
    if values.size != 2 or not 0 < values[0] < values[1]:
        raise InputError(f"window must hold two numbers, 0 < low < high, got {window!r}")
    return float(values[0]), float(values[1])


def _branches(table: SizeTable) -> dict[str, Branch]:
    """Return the power laws that the columns of a table carry."""
    below = "susceptibility_abs" if table.n_spins else "susceptibility"
    every = (
        Branch("beta", "abs_m", -1, 1.0, r"$\beta$, $\langle|m|\rangle$ below", 0.5),
        Branch("gamma", "susceptibility", 1, -1.0, r"$\gamma$, $\chi$ above", 1.0),
        Branch("gamma_prime", below, -1, -1.0, r"$\gamma'$, $\chi$ below", 1.0, 2.0),
    )
    return {branch.name: branch for branch in every if branch.quantity in table.values}


def _select(
    table: SizeTable,
    beta_c: float,
    n_eff: float,
    limits: tuple[float, float] | None,
    degree: int | None,
) -> tuple[list[Selection], list[str]]:
    """Return the window of each branch, and why one is missing."""
    chosen, reasons = [], []
    for branch in _branches(table).values():
        points, rows, lost = branch_points(table, branch, beta_c, n_eff)
        if lost:
            reasons.append(
                f"{branch.name}: {lost} point(s) not positive or known to worse than 20 %"
            )
        try:
            chosen.append(
                select(points, rows, branch, choose_window(points, limits, degree, branch.name))
            )
        except StatisticsError as why:
            reasons.append(str(why))
    if not chosen:
        raise StatisticsError("no power law can be fitted: " + "; ".join(reasons))
    return chosen, reasons


def _amplitude_ratio(problem: JointProblem, beta_c: float, free: bool) -> tuple[float, float]:
    """Return Gamma+/Gamma- with one exponent for both sides, and its error."""
    names = [s.branch.name for s in problem.selections]
    if "gamma" not in names or "gamma_prime" not in names:
        return float("nan"), float("nan")
    pair = (names.index("gamma"), names.index("gamma_prime"))
    fit = problem.fit(beta_c, free=free, tie=pair)
    above, below = (fit.slices[k].start for k in pair)
    ratio = float(np.exp(fit.parameters[above] - fit.parameters[below]))
    c = fit.covariance
    spread = np.sqrt(max(c[above, above] + c[below, below] - 2 * c[above, below], 0.0))
    return ratio, ratio * float(
        np.hypot(spread, np.linalg.norm(fit.shifts[above] - fit.shifts[below]))
    )


def _joint_covariance(
    chosen: list[Selection], fit: JointFit, free: bool
) -> tuple[tuple[str, ...], Array]:
    """Return names and covariance of exponents, ln amplitudes and, if free, beta_c."""
    names, rows, signs = [], [], []
    for s, part in zip(chosen, fit.slices, strict=True):
        names += [s.branch.name, f"ln A {s.branch.name}"]
        rows += [part.start + 1, part.start]
        signs += [s.branch.sign, 1.0]
    if free:
        names.append("beta_c")
        rows.append(len(fit.covariance) - 1)
        signs.append(1.0)
    picked = fit.covariance[np.ix_(rows, rows)]
    return tuple(names), picked * np.outer(signs, signs)


def _law(
    problem: JointProblem,
    fit: JointFit,
    k: int,
    limits: tuple[float, float] | None,
    degree: int | None,
) -> PowerLaw:
    s, part = problem.selections[k], fit.slices[k]
    points = problem.points(fit.beta_c)[k]
    own = fit.parameters[part]
    spread = np.sqrt(np.diagonal(fit.covariance)[part])
    chi2 = float(fit.residuals[k] @ fit.residuals[k])
    dof = points.t.size - own.size
    known = not problem.exact and dof > 0
    amplitude = float(np.exp(own[0]))
    return PowerLaw(
        name=s.branch.name,
        exponent=float(s.branch.sign * own[1]),
        error=float(np.hypot(spread[1], fit.truncation[part][1])),
        statistical=float(spread[1]),
        truncation=float(fit.truncation[part][1]),
        amplitude=amplitude,
        amplitude_error=amplitude * float(spread[0]),
        analytic=tuple(float(c) for c in own[2 : 2 + s.degree]),
        finite_size=float("nan") if points.r2 is None else float(own[-1]),
        window=(float(points.t.min()), float(points.t.max())),
        least_r=float("inf") if points.r2 is None else float(np.sqrt(points.r2.min())),
        n_points=int(points.t.size),
        chi2=chi2,
        dof=dof,
        p_value=float(stats.chi2.sf(chi2, dof)) if known else float("nan"),
        alternatives=_other_windows(problem, fit, s, limits, degree),
        mean_field=s.branch.mean_field,
    )


def _other_windows(
    problem: JointProblem,
    fit: JointFit,
    s: Selection,
    limits: tuple[float, float] | None,
    degree: int | None,
) -> tuple[Mapping[str, Any], ...]:
    """Return the exponent of this branch alone, for this T_c, from other windows."""
    points, _, _ = branch_points(problem.table, s.branch, fit.beta_c, problem.n_eff)
    chosen = choose_window(points, limits, degree, s.branch.name)
    result = []
    for label, window in alternatives(points, chosen):
        again = fit_points(points, window)
        inside: Points = points.at(window.rows)
        result.append(
            {
                "label": label,
                "window": [float(inside.t.min()), float(inside.t.max())],
                "exponent": float(s.branch.sign * again.parameters[1]),
                "error": float(
                    np.hypot(
                        0.0 if problem.exact else np.sqrt(again.covariance[1, 1]),
                        again.truncation,
                    )
                ),
            }
        )
    return tuple(result)
