r"""The exponent delta of the critical isotherm, m ~ h^{1/delta} at T_c.

With z = h^{2/3}, ln m = ln D + (1/delta) ln h + c_1 z + c_2 z^2 + ... + d/(N h^{4/3}): for
Curie-Weiss m = y (1 - y^2/5 + 3 y^4/175 + ...) with y = (3 h/J)^{1/3}, and the last term is the
first effect of a finite size, of relative order 1/(N m^4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError, did_you_mean
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.windows import (
    LEAST_R,
    NEGLIGIBLE,
    Points,
    alternatives,
    choose_window,
    fit_points,
)
from spinnet.spins.statistics import format_with_error
from spinnet.validation import finite_array, integer, positive_array, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ("h", "m", "m_error", "n_spins")
_NOISY = 0.2
_ORDER = 3 ** (2 / 3)  # m^2 = (3 h/T_c)^(2/3): the finite size enters as 1/(N m^4)


@dataclass(frozen=True, eq=False)
class FieldExponent:
    """The critical isotherm.

    Attributes
    ----------
    delta, error : float
        m ~ h^(1/delta); `error` joins the two parts below in quadrature.
    statistical, truncation : float
        Standard error of the fit (from the scatter, for data without errors), and the shift by
        the terms left out.
    amplitude, amplitude_error : float
        D in m = D h^(1/delta) (1 + ...); 3^(1/3) J^(-1/3) in mean field.
    analytic : tuple of float
        c_1, ...
    window : (float, float)
        Range of h that is fitted.
    n_points, chi2, dof, p_value
        p is NaN for data without errors.
    alternatives : tuple of mapping
        delta from other windows: label, window, delta, error.
    n_spins : int
        0 for infinitely many.
    note : str
    """

    delta: float
    error: float
    statistical: float
    truncation: float
    amplitude: float
    amplitude_error: float
    analytic: tuple[float, ...]
    window: tuple[float, float]
    n_points: int
    chi2: float
    dof: int
    p_value: float
    alternatives: tuple[Mapping[str, Any], ...] = field(repr=False)
    n_spins: int
    note: str
    _data: tuple[Array, Array, Array] = field(repr=False)

    def summary(self) -> str:
        """Return the exponent, its window and the quality of the fit."""
        low, high = self.window
        size = f"N = {self.n_spins}" if self.n_spins else "infinitely many spins"
        quality = f"chi2/dof {self.chi2:.3g}/{self.dof}, p = {self.p_value:.2g}, "
        if not np.isfinite(self.p_value):
            quality = ""
        text = (
            f"critical isotherm, {size}\n"
            f"  delta {format_with_error(self.delta, self.error)} (mean field 3); h in "
            f"[{low:.3g}, {high:.3g}], {self.n_points} points, {len(self.analytic)} analytic "
            f"term(s), {quality}statistical {self.statistical:.2g}, truncation "
            f"{self.truncation:.2g}"
        )
        return text + (f"\n  note: {self.note}" if self.note else "")

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        values: dict[str, object] = {name: getattr(self, name) for name in names}
        values |= {"analytic": list(self.analytic), "window": list(self.window)}
        values["alternatives"] = [dict(item) for item in self.alternatives]
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw m against h with the fit, and the mean-field slope 1/3."""
        ax = plotting.axes(ax)
        h, m, error = self._data
        bars = error if np.all(np.isfinite(error)) else None
        label = rf"$\delta$ = {format_with_error(self.delta, self.error)}"
        plotting.points(ax, h, m, bars, color=plotting.BLUE, label=label)
        low, high = self.window
        inside = (h >= low) & (h <= high)
        ax.plot(h[inside], m[inside], "o", ms=3.5, color=plotting.BLUE)
        wide = np.array([h.min(), h.max()])
        anchor = np.interp(low, h, m)
        plotting.line(
            ax,
            wide,
            anchor * (wide / low) ** (1 / 3),
            color=plotting.GREY,
            dashes="--",
            width=0.8,
            label=r"mean field, $\delta=3$",
        )
        ax.set(xscale="log", yscale="log", xlabel=r"field $h$", ylabel=r"$\langle m\rangle$")
        plotting.legend_below(ax)
        return ax


def field_exponent(
    source: Any,
    *,
    window: tuple[float, float] | None = None,
    corrections: int | None = None,
    coupling: float = 1.0,
) -> FieldExponent:
    r"""Return delta from a sweep of the field at T_c.

    Parameters
    ----------
    source : mapping of columns, or sequence of runs
        Columns h, m, and as far as known m_error and n_spins (one number; left out for
        infinitely many spins).  Runs are Monte Carlo results at beta_c, one for each field,
        with the field as model.h.
    window : (low, high), optional
        Range of h.  By default points and number of analytic terms are chosen beforehand from
        where the points lie and their errors, as in `temperature_exponents`.
    corrections : int, optional
        Number of analytic terms in h^{2/3}.
    coupling : float
        k T_c: fields count in units of it when the terms left out are estimated.

    Returns
    -------
    FieldExponent

    Raises
    ------
    InputError, StatisticsError

    Examples
    --------
    >>> import numpy as np
    >>> h = np.geomspace(1e-6, 1e-2, 30)
    >>> m = [float(np.roots([0.2, 0, 1 / 3, 0, 0, -x])[-1].real) for x in h]  # m^3/3 + m^5/5 = h
    >>> round(field_exponent({"h": h, "m": m}).delta, 3)
    3.0
    """
    h, m, error, n = _read(source)
    scale = positive_float("coupling", coupling)
    degree = None if corrections is None else integer("corrections", corrections, minimum=1)
    good = ~(error > _NOISY * m)
    known = bool(np.all(np.isfinite(error)))
    sigma = error / m if known else np.full(h.shape, NEGLIGIBLE)
    z = np.cbrt(h / scale) ** 2
    everything = Points(z, n * (_ORDER * z) ** 2 if n else None, np.log(m), sigma)
    points = everything.at(np.flatnonzero(good))
    limits = None
    if window is not None:
        pair = positive_array("window", window)
        if pair.shape != (2,) or not pair[0] < pair[1]:
            raise InputError(f"window must hold two numbers, 0 < low < high, got {window!r}")
        low, high = (float(np.cbrt(x / scale) ** 2) for x in pair)
        limits = (low, high)
    try:
        chosen = choose_window(points, limits, degree, "delta")
    except StatisticsError as why:
        least = f" and N^(1/2) (3 h/T_c)^(2/3) >= {LEAST_R:g}" if n else ""
        raise StatisticsError(
            f"{why} (for a sweep of the field |T/T_c - 1| stands for (h/T_c)^(2/3){least})"
        ) from why
    fit, inside = fit_points(points, chosen), points.at(chosen.rows)
    # ln z = (2/3) ln(h/T_c), so that the slope in ln z is 3/(2 delta)
    slope = float(fit.parameters[1])
    factor = 1.5 / slope**2
    spread = np.sqrt(np.diagonal(fit.covariance)[:2])
    if not known:
        spread = spread * (np.sqrt(fit.chi2 / fit.dof) if fit.dof > 0 else np.nan)
    statistical, truncation = factor * float(spread[1]), factor * fit.truncation
    amplitude = float(np.exp(fit.parameters[0] - slope * 2 / 3 * np.log(scale)))
    fields = scale * inside.t**1.5
    lost = int(np.sum(~good))
    return FieldExponent(
        delta=1.5 / slope,
        error=float(np.hypot(statistical, truncation)),
        statistical=statistical,
        truncation=truncation,
        amplitude=amplitude,
        amplitude_error=amplitude * float(spread[0]),
        analytic=tuple(float(c) for c in fit.parameters[2 : 2 + chosen.degree]),
        window=(float(fields.min()), float(fields.max())),
        n_points=int(inside.t.size),
        chi2=fit.chi2 if known else float("nan"),
        dof=fit.dof,
        p_value=float(stats.chi2.sf(fit.chi2, fit.dof)) if known and fit.dof else float("nan"),
        alternatives=_others(points, chosen, scale, known),
        n_spins=n,
        note=f"{lost} point(s) known to worse than 20 % are left out" if lost else "",
        _data=(h, m, error),
    )


def _others(points: Points, chosen: Any, scale: float, known: bool) -> tuple[dict[str, Any], ...]:
    result = []
    for label, window in alternatives(points, chosen):
        fit, inside = fit_points(points, window), points.at(window.rows)
        slope = float(fit.parameters[1])
        spread = np.hypot(np.sqrt(fit.covariance[1, 1]) if known else 0.0, fit.truncation)
        ends = [float(scale * t**1.5) for t in (inside.t.min(), inside.t.max())]
        error = float(1.5 / slope**2 * spread)
        result.append({"label": label, "window": ends, "delta": 1.5 / slope, "error": error})
    return tuple(result)


def _read(source: Any) -> tuple[Array, Array, Array, int]:
    """Return h, m, errors (NaN if none) sorted by h, and N (0 for the limit)."""
    columns = source if isinstance(source, Mapping) else _columns_of_runs(source)
    for name in columns:
        if name not in _COLUMNS:
            hint = did_you_mean(name, _COLUMNS)
            raise InputError(f"source has an unknown column {name!r}{hint}")
    for name in ("h", "m"):
        if name not in columns:
            raise InputError(f"source must have the columns h and m, lacks {name!r}")
    h, m = (positive_array(f"source[{name!r}]", columns[name]) for name in ("h", "m"))
    error = np.full(h.shape, np.nan)
    if "m_error" in columns:
        error = positive_array("source['m_error']", columns["m_error"], zero=True)
        error = np.where(error == 0, np.nan, error)
    if h.ndim != 1 or not h.shape == m.shape == error.shape:
        raise InputError(
            f"source must have columns of one length, got h {h.shape}, m {m.shape}, "
            f"m_error {error.shape}"
        )
    if np.unique(h).size != h.size:
        raise InputError("source must hold each h once")
    sizes = np.unique(finite_array("source['n_spins']", columns.get("n_spins", 0)))
    if sizes.size != 1:
        raise InputError(f"source must hold one size, got n_spins {sizes.tolist()}")
    order = np.argsort(h)
    n = integer("source['n_spins']", float(sizes[0]), minimum=0)
    return h[order], m[order], error[order], n


def _columns_of_runs(source: Any) -> dict[str, Any]:
    if not isinstance(source, Sequence) or not all(hasattr(run, "estimate") for run in source):
        raise InputError(
            f"source must be a mapping of columns or a sequence of runs, got {source!r:.80}"
        )
    rows = []
    for run in source:
        beta = np.ravel(run.beta)
        if beta.size != 1:
            raise InputError(f"runs must have one temperature, beta_c, got {beta.size}")
        estimate = run.estimate("magnetization")
        value, error = (float(np.ravel(x)[0]) for x in (estimate.value, estimate.error))
        rows.append((float(np.unique(run.model.h).item()), value, error, run.model.n_spins))
    if not rows:
        raise InputError("source must hold at least one run, got an empty sequence")
    return dict(
        zip(("h", "m", "m_error", "n_spins"), map(np.array, zip(*rows, strict=False)), strict=True)
    )
