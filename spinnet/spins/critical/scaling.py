"""Exponents from finite-size scaling in N: beta/nu_bar, gamma/nu_bar, 1/nu_bar and beta_c."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.randomness import RandomState, generator
from spinnet.spins.critical.conversion import ConvertedExponents, convert
from spinnet.spins.critical.crossings import (
    BinderCrossings,
    LocalValue,
    crossing_points,
    crossings_of,
    extrapolate,
    local_value,
    redraw,
)
from spinnet.spins.critical.fits import Array, LogSlope, log_slope
from spinnet.spins.critical.sources import check_errors, read_table, reweighted_curves
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.critical.windows import linear_estimator
from spinnet.spins.statistics import format_with_error
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES = ("beta_over_nu", "gamma_over_nu", "one_over_nu")
_SIGN = {"beta_over_nu": -1.0, "gamma_over_nu": 1.0, "one_over_nu": 1.0}
_MEAN_FIELD = {"beta_over_nu": 0.25, "gamma_over_nu": 0.5, "one_over_nu": 0.5}
_SYMBOLS = {
    "beta_over_nu": r"$\beta/\bar\nu$",
    "gamma_over_nu": r"$\gamma/\bar\nu$",
    "one_over_nu": r"$1/\bar\nu$",
}
_LABELS = (r"$\langle|m|\rangle$", r"$\chi=\beta_cN\langle m^2\rangle$", r"$\partial_\beta\ln|m|$")


@dataclass(frozen=True, eq=False)
class FiniteSizeScaling:
    """Exponents in N (not L) with one standard error each; NaN where the data give none.

    Attributes
    ----------
    beta_over_nu, gamma_over_nu, one_over_nu : float
        beta/nu_bar, gamma/nu_bar and 1/nu_bar; 1/4, 1/2 and 1/2 in mean field.
    beta_over_nu_error, gamma_over_nu_error, one_over_nu_error : float
    beta_c, beta_c_error : float
        As given (error 0), or extrapolated from the Binder crossings.
    fits : mapping of name to LogSlope
        The three fits, with window, chi2 and p_value.  Where beta_c was estimated, the errors
        above exceed those of the fits, since they include it.
    uncorrected : mapping of name to LogSlope
        The same without the correction term, to show what it changes.
    sizes : ndarray
    correction : float or None
    crossings : BinderCrossings or None
    crossing_fit : mapping
        chi2 and dof of the extrapolation of the crossings.
    note : str
    covariance : ndarray, shape (3, 3), or None
        Of beta/nu_bar, gamma/nu_bar and 1/nu_bar: they come from the same spins.  None for a
        table without errors.
    """

    beta_over_nu: float
    beta_over_nu_error: float
    gamma_over_nu: float
    gamma_over_nu_error: float
    one_over_nu: float
    one_over_nu_error: float
    beta_c: float
    beta_c_error: float
    fits: Mapping[str, LogSlope] = field(repr=False)
    uncorrected: Mapping[str, LogSlope] = field(repr=False)
    sizes: Array
    correction: float | None
    data: Mapping[str, tuple[Array, Array]] = field(repr=False)
    crossings: BinderCrossings | None = field(default=None, repr=False)
    crossing_fit: Mapping[str, float] = field(default_factory=dict, repr=False)
    note: str = ""
    covariance: Array | None = field(default=None, repr=False)

    @property
    def converted(self) -> ConvertedExponents:
        """beta, gamma, delta and nu_bar, with errors from the joint covariance."""
        values = np.array([getattr(self, name) for name in _NAMES])
        spread = self.covariance
        if spread is None:
            spread = np.diag([getattr(self, f"{name}_error") ** 2 for name in _NAMES])
        return convert(values, spread)

    def summary(self) -> str:
        """Return the exponents in a few lines for people."""
        head = f"finite-size scaling in N, sizes {self.sizes.astype(int).tolist()}, "
        head += "no correction term" if self.correction is None else f"c N^-{self.correction:g}"
        given = f"{self.beta_c:.10g} (given)"
        found = format_with_error(self.beta_c, self.beta_c_error)
        lines = [head, f"  beta_c         {given if self.beta_c_error == 0 else found}"]
        for name in _NAMES:
            value, error = getattr(self, name), getattr(self, f"{name}_error")
            shown = "not resolved" if np.isnan(value) else format_with_error(value, error)
            fit = self.fits.get(name)
            quality = "" if fit is None else f"  chi2/dof {fit.chi2:.3g}/{fit.dof}"
            if fit is not None and np.isfinite(fit.p_value):
                quality += f", p = {fit.p_value:.2g}"
            lines.append(f"  {name:<14} {shown} (mean field {_MEAN_FIELD[name]:g}){quality}")
        lines.append("  " + self.converted.summary())
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers."""
        names = [f"{name}{end}" for name in (*_NAMES, "beta_c") for end in ("", "_error")]
        values = {name: getattr(self, name) for name in names} | {
            "sizes": self.sizes.tolist(),
            "correction": self.correction,
            "fits": {name: fit.to_dict() for name, fit in self.fits.items()},
            "uncorrected": {name: fit.to_dict() for name, fit in self.uncorrected.items()},
            "crossings": None if self.crossings is None else self.crossings.to_dict(),
            "crossing_fit": dict(self.crossing_fit),
            "note": self.note,
            "covariance": None if self.covariance is None else self.covariance.tolist(),
            "converted": self.converted.to_dict(),
        }
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the three quantities against N, each over its value at the smallest size.

        Dashed grey lines have the slopes of mean field: -1/4, 1/2 and 1/2.
        """
        ax = plotting.axes(ax)
        dense = np.geomspace(self.sizes[0], self.sizes[-1], 100)
        reference = "slopes of mean field"
        for name, label in zip(_NAMES, _LABELS, strict=True):
            if name not in self.fits:
                continue
            y, error = self.data[name]
            bars = None if not np.all(np.isfinite(error)) else error / y[0]
            shown = format_with_error(getattr(self, name), getattr(self, f"{name}_error"))
            label = f"{label}: {_SYMBOLS[name]} = {shown}"
            points = ax.errorbar(self.sizes, y / y[0], bars, fmt="o", label=label)
            fit = self.fits[name]
            ln_y = np.log(fit.amplitude) + fit.slope * np.log(dense)
            if fit.correction is not None:
                ln_y = ln_y + fit.correction_amplitude * dense**-fit.correction
            ax.plot(dense, np.exp(ln_y) / y[0], color=points[0].get_color())
            slope = -_MEAN_FIELD[name] if name == "beta_over_nu" else _MEAN_FIELD[name]
            last = np.exp(ln_y[-1]) / y[0]  # corrections are least at the largest size
            plotting.line(
                ax,
                dense,
                last * (dense / dense[-1]) ** slope,
                color=plotting.GREY,
                dashes="--",
                width=0.8,
                label=reference,
            )
            reference = ""  # once in the legend
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"number of spins $N$",
            ylabel=r"value at $\beta_c$ over that of the smallest $N$",
        )
        ax.legend()
        return ax


def exponents(
    run_or_table: Any,
    beta_c: float | None = None,
    correction: float | None = 0.5,
    *,
    shift: float = 1.0,
    min_size: int = 1,
    n_resamples: int = 200,
    rng: RandomState = None,
) -> FiniteSizeScaling:
    r"""Return the exponents of a transition from averages at several sizes.

    At beta_c: <|m|> ~ N^{-beta/nu}, chi = beta_c N <m^2> ~ N^{gamma/nu} and
    d ln<|m|>/d beta ~ N^{1/nu}, each with a term c N^{-correction} in its logarithm.

    Parameters
    ----------
    run_or_table : mapping of columns, or sequence of runs, Reweighted, exact results, SizeTables
        Columns of one length: n_spins, beta, abs_m, abs_m_error, m2, m2_error, and m4, m4_error
        or binder, binder_error.  Errors may be left out (an exact table).  Of the others, one
        for each size, at h = 0.  Runs count with their plain magnetisation; for a dual whose top
        mode has signs pass :func:`projection_table` of each size.  Reweighted curves are read at
        beta_c, with the slope in beta of the curve itself, from all their samples.
    beta_c : float, optional
        Critical inverse temperature.  A row there is used as it stands, otherwise a cubic
        through the six nearest temperatures.  By default it is extrapolated from the crossings
        of the Binder cumulants of successive sizes (not for Reweighted: see
        :func:`binder_crossings`).
    correction : float or None
        Exponent of the leading correction, 1/2 in mean field; None leaves the term out.
    shift : float
        Crossings lie off beta_c by b (N1 N2)^(-shift/2); 1/nu + correction, 1 in mean field.
    min_size : int
        Smallest N that is used.
    n_resamples : int
        Gaussian redraws of the table, for the errors where beta_c is estimated.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FiniteSizeScaling

    Notes
    -----
    Temperatures count as independent within the errors given.  With three parameters, four
    sizes are the least that test the fit.  The slope in beta is that of a cubic through six
    temperatures: let them lie within about N^{-1/2}/2 of beta_c (relative) for the largest N.
    Runs at several temperatures give 1/nu some times better through
    ``[reweight(run, beta_c) for run in runs]``, which uses the energies of all of them.  A run
    at one temperature gives it by the covariance of |m| and the energy.

    Examples
    --------
    >>> import spinnet as sn
    >>> exact = [sn.exact.curie_weiss(n, [0.999, 1.0, 1.001]) for n in (512, 1024, 2048, 4096)]
    >>> fit = sn.critical.exponents(exact, beta_c=1.0)
    >>> round(fit.beta_over_nu, 3), round(fit.gamma_over_nu, 3), round(fit.one_over_nu, 2)
    (0.25, 0.5, 0.5)
    """
    smallest = integer("min_size", min_size, minimum=1)
    n_resamples = integer("n_resamples", n_resamples, minimum=2)
    shift = positive_float("shift", shift)
    source = _at_beta_c(run_or_table, beta_c)
    tables = [table for table in read_table(source) if table.n_spins >= smallest]
    needed = 2 if correction is None else 3
    if len(tables) < needed:
        raise StatisticsError(
            f"{needed} sizes are needed with correction={correction}, got "
            f"{[t.n_spins for t in tables]}; run more sizes or pass correction=None"
        )
    if beta_c is not None:
        return _at(tables, positive_float("beta_c", beta_c), correction)
    stream = generator(rng)
    crossings = crossings_of(tables, n_resamples, stream)
    centre, spread, quality = extrapolate(crossings, shift)
    result = replace(_at(tables, centre, correction), crossings=crossings, crossing_fit=quality)
    if not all(table.has_errors for table in tables):
        note = "no errors in the table: those of the exponents leave out that of beta_c"
        return replace(result, beta_c_error=spread, note=_joined(result.note, note))
    return _with_resampled_errors(result, tables, shift, redraw(tables, n_resamples, stream))


def _at_beta_c(source: Any, beta_c: float | None) -> Any:
    """Return reweighted curves at beta_c; any other source as it is."""
    curves = reweighted_curves(source)
    if curves is None:
        return source
    if beta_c is None:
        raise InputError(
            "beta_c must be given for reweighted curves; binder_crossings(curves).limit() "
            "estimates it"
        )
    return [item.at(positive_float("beta_c", beta_c)) for item in curves]


def _with_resampled_errors(
    result: FiniteSizeScaling,
    tables: Sequence[SizeTable],
    shift: float,
    draws: list[list[SizeTable]],
) -> FiniteSizeScaling:
    """Return `result` with the errors of the whole chain, crossings included."""
    assert result.crossings is not None
    rows = []
    known = [True, *(bool(np.isfinite(getattr(result, name))) for name in _NAMES)]
    for draw in draws:
        try:
            moved = replace(result.crossings, beta=crossing_points(draw, judged=False)[:, 0])
            centre = extrapolate(moved, shift)[0]
            again = _at(draw, centre, result.correction, joint=False)
        except (StatisticsError, InputError):
            continue  # noise took this draw out of the range of the data
        row = [centre, *(getattr(again, name) for name in _NAMES)]
        if np.array_equal(np.isfinite(row), known):  # noise can make a slope negative
            rows.append(row)
    lost = len(draws) - len(rows)
    if lost > len(draws) // 10:
        raise StatisticsError(
            f"{lost} of {len(draws)} redraws of the table have no crossing within its "
            "temperatures: measure longer, widen the range, or pass beta_c",
            result,
        )
    errors = np.std(np.array(rows), axis=0, ddof=1)
    names = ("beta_c", *_NAMES)
    errors_of: dict[str, Any] = {f"{n}_error": float(e) for n, e in zip(names, errors, strict=True)}
    errors_of["covariance"] = np.cov(np.array(rows)[:, 1:], rowvar=False)
    note = ""
    if len(tables) == 2:
        note = "one crossing only: beta_c is not extrapolated"
    return replace(result, **errors_of, note=_joined(result.note, note))


def _at(
    tables: Sequence[SizeTable], beta_c: float, correction: float | None, *, joint: bool = True
) -> FiniteSizeScaling:
    """Return the exponents at a known critical temperature."""
    sizes = np.array([table.n_spins for table in tables], dtype=np.float64)
    data, reasons = _quantities(tables, beta_c)
    fits: dict[str, LogSlope] = {}
    plain: dict[str, LogSlope] = {}
    for name, item in data.items():
        yerr = item.error if np.all(np.isfinite(item.error)) else None
        try:
            fits[name] = log_slope(sizes, item.value, yerr, correction)
            plain[name] = log_slope(sizes, item.value, yerr)
        except (StatisticsError, InputError) as why:
            reasons.append(f"{name}: {why}")
    nan = float("nan")
    values: dict[str, Any] = {}
    for name in _NAMES:
        fit = fits.get(name)
        values[name] = nan if fit is None else _SIGN[name] * fit.slope
        values[f"{name}_error"] = nan if fit is None else fit.error
    return FiniteSizeScaling(
        **values,
        beta_c=beta_c,
        beta_c_error=0.0,
        fits=fits,
        uncorrected=plain,
        sizes=sizes,
        correction=correction,
        data={name: (item.value, item.error) for name, item in data.items()},
        note="; ".join(reasons),
        covariance=_covariance(tables, {n: data[n] for n in fits}, sizes, correction)
        if joint
        else None,
    )


@dataclass(frozen=True, eq=False)
class _Quantity:
    """A scaling quantity at each size, as a linear function of the logarithm of a column.

    `column` names the column, and `weights[i]` makes ln(value) of size i of its logarithms, to
    first order about the data.
    """

    value: Array
    error: Array
    column: str
    weights: list[Array]


def _quantities(
    tables: Sequence[SizeTable], beta_c: float
) -> tuple[dict[str, _Quantity], list[str]]:
    """Return each scaling quantity with its error at beta_c, and why one is missing."""
    reasons: list[str] = []
    check_errors(tables, "abs_m", "m2")
    m = [local_value(table, "abs_m", beta_c, logarithm=True) for table in tables]
    data = {"beta_over_nu": _quantity(m, "abs_m", 1.0)}
    if all("m2" in table.values for table in tables):
        square = [local_value(table, "m2", beta_c, logarithm=True) for table in tables]
        factor = beta_c * np.array([table.n_spins for table in tables])
        data["gamma_over_nu"] = _quantity(square, "m2", factor)
    else:
        reasons.append("gamma_over_nu: the table has no m2")
    slopes = np.array([[item.slope, item.slope_error] for item in m])
    if np.all(np.isfinite(slopes[:, 0])):
        tangents = [item.slope_weights / item.slope for item in m]
        data["one_over_nu"] = _Quantity(slopes[:, 0], slopes[:, 1], "abs_m", tangents)
    elif all(t.beta.size == 1 and "log_slope" in t.values for t in tables):
        y, error = (
            np.array([x["log_slope"][0] for x in rows])
            for rows in ([t.values for t in tables], [t.errors for t in tables])
        )
        data["one_over_nu"] = _Quantity(y, error, "log_slope", [np.ones(1) for _ in tables])
    else:
        reasons.append("one_over_nu: one temperature for a size gives no slope in beta")
    return data, reasons


def _quantity(local: Sequence[LocalValue], column: str, factor: Array | float) -> _Quantity:
    """Return values and errors from their logarithms."""
    y = factor * np.exp([item.value for item in local])
    error = y * np.array([item.error for item in local])
    return _Quantity(y, error, column, [item.value_weights for item in local])


def _covariance(
    tables: Sequence[SizeTable],
    data: Mapping[str, _Quantity],
    sizes: Array,
    correction: float | None,
) -> Array | None:
    """Return the covariance of the exponents in the order of _NAMES; None without errors."""
    if not data or not all(np.all(np.isfinite(item.error)) for item in data.values()):
        return None
    columns = [np.ones_like(sizes), np.log(sizes)]
    if correction is not None:
        columns.append(sizes**-correction)
    design = np.column_stack(columns)
    rules = {n: linear_estimator(design, q.error / q.value)[1] for n, q in data.items()}
    result = np.full((len(_NAMES), len(_NAMES)), np.nan)
    for i, one in enumerate(_NAMES):
        for j, two in enumerate(_NAMES):
            if one in data and two in data:
                sign = _SIGN[one] * _SIGN[two]
                terms = rules[one] * rules[two] * _joint(tables, data[one], data[two])
                result[i, j] = sign * float(np.sum(terms))
    return result


def _joint(tables: Sequence[SizeTable], one: _Quantity, two: _Quantity) -> Array:
    """Return the covariance of the logarithms of two quantities at each size."""
    values = []
    for table, first, second in zip(tables, one.weights, two.weights, strict=True):
        used = (first != 0) & (second != 0)
        product = table.values[one.column] * table.values[two.column]
        relative = table.covariance_of(one.column, two.column) / product
        values.append(float(np.sum((first * second * relative)[used])))
    return np.array(values)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
