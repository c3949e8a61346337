r"""Maxima of the specific heat and of the susceptibility, and where they tend.

In mean field the specific heat has its maximum at r = N^{1/2}(1 - beta/beta_c) = -2.2568 and
chi_|m| at r = -1.2450, with the heights 1.6573 and 0.51493 N^{1/2} beta_c; the numbers are those
of :func:`scaling_functions.maximum_of`.  A maximum therefore lies at
beta* = beta_c (1 + a N^{-1/nu_bar} + ...), a = 2.2568 or 1.2450.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import optimize, stats

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array, LogSlope, least_squares, log_slope
from spinnet.spins.critical.reweighting import Place
from spinnet.spins.critical.scaling_functions import ScalingMaximum, maximum_of
from spinnet.spins.critical.table import SizeTable, read_table
from spinnet.spins.statistics import format_with_error
from spinnet.validation import bounded_float, choice, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTITIES = ("specific_heat", "susceptibility_abs")
_REJECTED = 0.01
_LABELS = {"specific_heat": "$c$", "susceptibility_abs": r"$\chi_{|m|}$"}


@dataclass(frozen=True, eq=False)
class Maxima:
    """The maximum of a quantity at each size.

    Attributes
    ----------
    quantity : str
        "specific_heat" or "susceptibility_abs".
    n_spins : ndarray, shape (n_sizes,)
    beta, beta_error, height, height_error : ndarray, shape (n_sizes,)
        Place and height; errors NaN for a table without errors.
    degree : ndarray of int
        Of the polynomial about the maximum (0 for reweighted curves, which need none).
    n_points : ndarray of int
    p_value : ndarray
        Of each polynomial; NaN for a table without errors.
    """

    quantity: str
    n_spins: NDArray[np.int64]
    beta: Array
    beta_error: Array
    height: Array
    height_error: Array
    degree: NDArray[np.int64]
    n_points: NDArray[np.int64]
    p_value: Array
    _tables: tuple[SizeTable, ...] = field(repr=False)

    def summary(self) -> str:
        """Return one line per size."""
        lines = [f"maxima of {self.quantity}"]
        for k, n in enumerate(self.n_spins):
            place = format_with_error(float(self.beta[k]), float(self.beta_error[k]))
            height = format_with_error(float(self.height[k]), float(self.height_error[k]))
            lines.append(f"  N = {n:<9} beta* {place}  height {height}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists; null where a number is not known."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        values = {name: getattr(self, name) for name in names}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        result = finite_or_null(plain)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves of each size with their maxima."""
        ax = plotting.axes(ax)
        colors = (plotting.BLUE, plotting.ORANGE, plotting.GREEN, plotting.PURPLE)
        colors += (plotting.VERMILLION, plotting.SKY_BLUE)
        for k, table in enumerate(self._tables):
            color = colors[k % len(colors)]
            error = table.errors[self.quantity]
            bars = error if np.all(np.isfinite(error)) else None
            y = table.values[self.quantity]
            plotting.points(ax, table.beta, y, bars, color=color, label=f"N = {table.n_spins}")
            plotting.line(ax, table.beta, y, color=color, width=0.5)
            ax.plot(self.beta[k], self.height[k], "*", ms=9, color=color)
        ax.set(xlabel=r"$\beta$", ylabel=_LABELS[self.quantity])
        if self.quantity == "susceptibility_abs":
            ax.set_yscale("log")
        plotting.legend_below(ax)
        return ax


def maxima(source: Any, quantity: str = "specific_heat", *, depth: float = 0.1) -> Maxima:
    """Return the maximum of a quantity for each size.

    Parameters
    ----------
    source : as for `exponents`
        Runs, exact results, SizeTables or columns with the quantity.
    quantity : str
        "specific_heat" or "susceptibility_abs".
    depth : float
        The polynomial sees the temperatures around the largest value where the quantity is
        above (1 - depth) of it, in (0, 1).  It is a quartic (less with fewer than six of
        them; a degree or two more if p < 0.01).  A table without errors is interpolated through
        the seven temperatures nearest to the largest value.

    Returns
    -------
    Maxima

    Raises
    ------
    StatisticsError
        If a maximum lies at the end of the temperatures, or fewer than three are near it.
    """
    name = choice("quantity", quantity, _QUANTITIES)
    share = bounded_float("depth", depth)
    if not 0 < share < 1:
        raise InputError(f"depth must be in (0, 1), got {share:g}")
    tables = read_table(source, min_sizes=1, needed=(name,))
    for table in tables:
        if name not in table.values:
            raise InputError(f"table of n_spins={table.n_spins} has no {name}")
    rows = np.array([_maximum(table, name, share) for table in tables])
    return Maxima(
        name,
        np.array([table.n_spins for table in tables]),
        rows[:, 0],
        rows[:, 1],
        rows[:, 2],
        rows[:, 3],
        rows[:, 4].astype(np.int64),
        rows[:, 5].astype(np.int64),
        rows[:, 6],
        tuple(tables),
    )


def _maximum(table: SizeTable, name: str, depth: float) -> tuple[float, ...]:
    """Return place, its error, height, its error, degree, number of points, p."""
    y, sigma = table.values[name], table.errors[name]
    if not np.all(np.isfinite(sigma)):  # exact: interpolate
        rows = _around(table, name, depth)
        top = int(np.argmax(y[rows]))
        rows = rows[np.argsort(np.abs(np.arange(rows.size) - top), kind="stable")[:7]]
        place, height, *_ = _peak(table, name, np.sort(rows), rows.size - 1, None)
        return place, np.nan, height, np.nan, rows.size - 1, rows.size, np.nan
    rows = _around(table, name, depth)
    most = rows.size - (2 if rows.size > 4 else 1)
    for degree in range(min(4, most), min(6, most) + 1):
        found = _peak(table, name, rows, degree, sigma[rows])
        if not found[-1] < _REJECTED:
            break
    place, height, place_error, height_error, p = found
    return place, place_error, height, height_error, degree, rows.size, p


def _peak(
    table: SizeTable, name: str, rows: NDArray[np.intp], degree: int, sigma: Array | None
) -> tuple[float, float, float, float, float]:
    """Fit a polynomial; return place and height of its maximum, their errors, and p."""
    beta = table.beta[rows]
    unit, centre = float(np.ptp(beta)) / 2, float(beta.mean())
    design = np.vander((beta - centre) / unit, degree + 1, increasing=True)
    best, covariance, chi2 = least_squares(design, table.values[name][rows], sigma)
    curve = Polynomial(best)
    roots = np.asarray(curve.deriv().roots(), dtype=complex)
    real = roots.real[np.abs(roots.imag) < 1e-9]
    real = real[(np.abs(real) <= 1) & (curve.deriv(2)(real) < 0)]
    if not real.size:
        raise StatisticsError(
            f"{name} of n_spins={table.n_spins} has no maximum inside beta in "
            f"[{beta.min():.6g}, {beta.max():.6g}]; measure longer, or on both sides of it"
        )
    x = float(real[np.argmax(curve(real))])
    powers = np.arange(degree + 1)
    value_rule = x**powers
    slope_rule = np.where(powers > 0, powers * x ** np.maximum(powers - 1, 0), 0.0)
    # the maximum of a curve moves by -d(slope)/curvature
    place_error = np.sqrt(slope_rule @ covariance @ slope_rule) / abs(curve.deriv(2)(x)) * unit
    height_error = np.sqrt(value_rule @ covariance @ value_rule)
    dof = rows.size - degree - 1
    p = float(stats.chi2.sf(chi2, dof)) if dof > 0 else float("nan")
    return centre + unit * x, float(curve(x)), float(place_error), float(height_error), p


def _around(table: SizeTable, name: str, depth: float) -> NDArray[np.intp]:
    """Return the neighbouring rows about the largest value, down to the depth."""
    y = table.values[name]
    k = int(np.argmax(y))
    if k in (0, y.size - 1):
        raise StatisticsError(
            f"{name} of n_spins={table.n_spins} is largest at the end of its temperatures, beta="
            f"{table.beta[k]:.8g}: measure on both sides of the maximum"
        )
    low = np.flatnonzero(y[:k] < (1 - depth) * y[k])
    high = np.flatnonzero(y[k:] < (1 - depth) * y[k])
    first = int(low[-1]) + 1 if low.size else 0
    last = k + int(high[0]) if high.size else y.size
    return np.arange(min(first, k - 1), max(last, k + 2))


@dataclass(frozen=True, eq=False)
class ExtrapolatedMaxima:
    r"""Where the maxima tend as N grows.

    Attributes
    ----------
    quantity : str
    beta_c, beta_c_error : float
        With the shift that mean field has: beta* = beta_c [1 + a (N p)^{-1/2} + b/N], a known
        and b free; p is the participation ratio.
    beta_c_free, beta_c_free_error, one_over_nu, one_over_nu_error, shift, shift_error : float
        With exponent and amplitude free: beta* = beta_c [1 + shift N^{-1/nu_bar} +
        second_shift N^{-2/nu_bar}], the last term 0 if left out.  NaN with fewer than four sizes.
    known_chi2, known_dof, free_chi2, free_dof
        Of both fits; p_value and free_p_value from them, NaN without errors.
    height, height_error : float
        Of the specific heat as N -> inf (1.6573 in mean field), from height + h N^{-1/2} +
        h_2/N; NaN for chi.
    growth : LogSlope or None
        Of the height of chi, ~ N^{gamma/nu_bar}: 1/2 in mean field, amplitude 0.51493 beta_c.
    reference : ScalingMaximum
        r and height in mean field.
    note : str
    """

    quantity: str
    beta_c: float
    beta_c_error: float
    known_chi2: float
    known_dof: int
    p_value: float
    beta_c_free: float
    beta_c_free_error: float
    one_over_nu: float
    one_over_nu_error: float
    shift: float
    shift_error: float
    second_shift: float
    free_chi2: float
    free_dof: int
    free_p_value: float
    height: float
    height_error: float
    growth: LogSlope | None
    reference: ScalingMaximum
    participation_ratio: float
    note: str
    _found: Maxima = field(repr=False)

    @property
    def critical_temperature(self) -> float:
        """1/beta_c."""
        return 1 / self.beta_c

    def summary(self) -> str:
        """Return the limits with their errors."""
        f = format_with_error
        lines = [
            f"maxima of {self.quantity} extrapolated, sizes {self._found.n_spins.tolist()}",
            f"  beta_c         {f(self.beta_c, self.beta_c_error)} with the shift of mean field "
            f"(r = {self.reference.r:.6g}), chi2/dof {self.known_chi2:.3g}/{self.known_dof}",
        ]
        if np.isfinite(self.one_over_nu):
            lines += [
                f"  beta_c         {f(self.beta_c_free, self.beta_c_free_error)} with a free "
                f"shift, chi2/dof {self.free_chi2:.3g}/{self.free_dof}",
                f"  1/nu_bar       {f(self.one_over_nu, self.one_over_nu_error)} (mean field 0.5)",
                f"  shift          {f(self.shift, self.shift_error)} (mean field "
                f"{-self.reference.r / np.sqrt(self.participation_ratio):.6g})",
            ]
        if self.growth is not None:
            shown = f(self.growth.slope, self.growth.error)
            lines.append(f"  gamma/nu_bar   {shown} (mean field 0.5)")
        else:
            shown = f(self.height, self.height_error)
            expected = self.reference.height * self.participation_ratio
            lines.append(f"  height         {shown} (mean field {expected:.6g})")
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        values: dict[str, object] = {name: getattr(self, name) for name in names}
        values["growth"] = None if self.growth is None else self.growth.to_dict()
        values["reference"] = {"r": self.reference.r, "height": self.reference.height}
        values["maxima"] = self._found.to_dict()
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the places of the maxima against N^{-1/2} with the slope of mean field."""
        ax = plotting.axes(ax)
        found = self._found
        x = found.n_spins**-0.5
        bars = found.beta_error if np.all(np.isfinite(found.beta_error)) else None
        label = f"maxima of {_LABELS[self.quantity]}"
        plotting.points(ax, x, found.beta, bars, color=plotting.BLUE, label=label)
        dense = np.linspace(0, x.max(), 100)
        slope = -self.reference.r / np.sqrt(self.participation_ratio)
        plotting.line(
            ax,
            dense,
            self.beta_c * (1 + slope * dense),
            color=plotting.GREY,
            dashes="--",
            label="mean-field shift",
        )
        if np.isfinite(self.one_over_nu):
            n = dense[1:] ** -2.0
            y = self.one_over_nu
            curve = 1 + self.shift * n**-y + self.second_shift * n ** (-2 * y)
            plotting.line(ax, dense[1:], self.beta_c_free * curve, label="free shift")
        error = self.beta_c_error if np.isfinite(self.beta_c_error) else None
        text = rf"$\beta_c$ = {format_with_error(self.beta_c, self.beta_c_error)}"
        plotting.points(
            ax, [0.0], [self.beta_c], None if error is None else [error], marker="s", label=text
        )
        ax.set(xlabel=r"$N^{-1/2}$", ylabel=r"$\beta^*$ of the maximum")
        plotting.legend_below(ax)
        return ax


def extrapolate_maxima(
    source: Any,
    quantity: str = "specific_heat",
    *,
    participation_ratio: float = 1.0,
    second_order: bool | None = None,
) -> ExtrapolatedMaxima:
    """Extrapolate the maxima of a quantity to N -> inf.

    Parameters
    ----------
    source : Maxima, sequence of Place, or as for `maxima`
        A Place is the maximum of a reweighted curve: ``maximum(reweight(run, beta), quantity)``.
    quantity : str
        "specific_heat" or "susceptibility_abs"; that of a Maxima holds.
    participation_ratio : float
        1/(N sum v_i^4) of the ordering mode: the mean-field shift is that of N times it.
    second_order : bool, optional
        Whether the fit with a free exponent has the term N^{-2/nu_bar}, which few noisy sizes
        do not fix; by default only for a table without errors.

    Returns
    -------
    ExtrapolatedMaxima

    Raises
    ------
    StatisticsError
        With fewer than two sizes.

    Notes
    -----
    With errors the sizes weigh by them; without, all weigh the same relative to N^{-1} (the
    order of the terms left out, so that the largest sizes decide), and errors come from the
    scatter.
    """
    share = positive_float("participation_ratio", participation_ratio)
    found = _found(source, quantity)
    if found.n_spins.size < 2:
        raise StatisticsError(
            f"an extrapolation needs at least 2 sizes, got {found.n_spins.tolist()}"
        )
    reference = maximum_of(found.quantity)
    known = _known_shift(found, reference, share)
    free, note = _free_shift(found, _second_order(found, second_order))
    height, height_error, growth, remark = _heights(found)
    exact = not np.all(np.isfinite(found.beta_error))
    remarks = [note, remark, "no errors in the table: errors are from the scatter" * exact]
    return ExtrapolatedMaxima(
        quantity=found.quantity,
        **known,
        **free,
        height=height,
        height_error=height_error,
        growth=growth,
        reference=reference,
        participation_ratio=share,
        note="; ".join(item for item in remarks if item),
        _found=found,
    )


def _found(source: Any, quantity: str) -> Maxima:
    """Return maxima given, those of reweighted curves, or those of a table."""
    if isinstance(source, Maxima):
        return source
    places = list(source) if isinstance(source, Sequence) else []
    if not places or not all(isinstance(item, Place) for item in places):
        return maxima(source, quantity)
    name = choice("quantity", quantity, _QUANTITIES)
    for item in places:
        if item.quantity != name or len(item.n_spins) != 1:
            raise InputError(
                f"source must hold maxima of {name!r}, got {item.quantity!r} of n_spins "
                f"{item.n_spins}; pass quantity={item.quantity!r}"
            )
    places.sort(key=lambda item: item.n_spins)
    rows = np.array([(p.beta, p.beta_error, p.value, p.value_error) for p in places])
    sizes = np.array([p.n_spins[0] for p in places])
    if np.unique(sizes).size != sizes.size:
        raise InputError(f"source must hold each size once, got {sizes.tolist()}")
    none, unknown = np.zeros(sizes.size, dtype=np.int64), np.full(sizes.size, np.nan)
    return Maxima(name, sizes, *rows.T, none, none, unknown, ())


def _sigma(found: Maxima, power: float) -> tuple[Array, bool]:
    """Return the weights of the places: errors, or the order of what the fit leaves out."""
    if np.all(np.isfinite(found.beta_error)):
        return found.beta_error, True
    return found.n_spins.astype(float) ** -power, False


def _quality(covariance: Array, chi2: float, dof: int, known: bool) -> tuple[Array, float, float]:
    """Return the covariance (from the scatter if no errors are known), chi2 and p."""
    if known:
        return covariance, chi2, float(stats.chi2.sf(chi2, dof)) if dof > 0 else float("nan")
    return covariance * (chi2 / dof if dof > 0 else np.nan), float("nan"), float("nan")


def _known_shift(found: Maxima, reference: ScalingMaximum, share: float) -> dict[str, Any]:
    n = found.n_spins.astype(float)
    sigma, known = _sigma(found, 1.5)
    first = 1 - reference.r / np.sqrt(n * share)
    columns = [first, 1 / n] if n.size > 2 else [first]
    best, covariance, chi2 = least_squares(np.column_stack(columns), found.beta, sigma)
    dof = n.size - len(columns)
    covariance, chi2, p = _quality(covariance, chi2, dof, known)
    return {
        "beta_c": float(best[0]),
        "beta_c_error": float(np.sqrt(covariance[0, 0])),
        "known_chi2": chi2,
        "known_dof": dof,
        "p_value": p,
    }


_FREE = ("beta_c_free", "one_over_nu", "shift")


def _second_order(found: Maxima, asked: bool | None) -> bool:
    """Return whether the free fit has its second term; refuse it with too few sizes."""
    enough = found.n_spins.size > 4
    if asked and not enough:
        raise StatisticsError(f"second_order needs at least 5 sizes, got {found.n_spins.tolist()}")
    return enough and (not np.all(np.isfinite(found.beta_error)) if asked is None else asked)


def _place_fit(found: Maxima, y: float, second: bool) -> tuple[Array, Array, float]:
    n = found.n_spins.astype(float)
    sigma, _ = _sigma(found, 1.5)
    columns = [np.ones_like(n), n**-y] + ([n ** (-2 * y)] if second else [])
    return least_squares(np.column_stack(columns), found.beta, sigma)


def _misfit(found: Maxima, y: float, second: bool) -> float:
    """Return chi2, infinite where the second term would outweigh half the first at the least N.

    Otherwise N^{-2y} could take the place of the leading term.
    """
    best, _, chi2 = _place_fit(found, y, second)
    if second and abs(best[2]) * float(found.n_spins.min()) ** -y > abs(best[1]) / 2:
        return float("inf")
    return chi2


def _free_shift(found: Maxima, second: bool) -> tuple[dict[str, Any], str]:
    """Fit place, shift and exponent; NaN with fewer than four sizes."""
    nan = float("nan")
    nothing: dict[str, Any] = {f"{name}{end}": nan for name in _FREE for end in ("", "_error")}
    nothing |= {"free_chi2": nan, "free_dof": 0, "free_p_value": nan, "second_shift": nan}
    if found.n_spins.size < 4:
        return nothing, "fewer than four sizes: the exponent of the shift is not fitted"
    grid = np.linspace(0.15, 1.5, 55)
    values = [_misfit(found, float(y), second) for y in grid]
    k = int(np.argmin(values))
    if k in (0, len(grid) - 1) or not np.isfinite(values[k]):
        return nothing, "the exponent of the shift is not fixed by the data"
    result = optimize.minimize_scalar(
        lambda y: _misfit(found, float(y), second),
        bounds=(grid[k - 1], grid[k + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    y = float(result.x)
    best, _, chi2 = _place_fit(found, y, second)
    n = found.n_spins.astype(float)
    sigma, known = _sigma(found, 1.5)
    columns = [np.ones_like(n), n**-y] + ([n ** (-2 * y)] if best.size > 2 else [])
    slope = -np.log(n) * sum(
        (1 if j == 1 else 2) * best[j] * columns[j] for j in range(1, best.size)
    )
    _, covariance, _ = least_squares(np.column_stack([*columns, slope]), found.beta, sigma)
    dof = n.size - best.size - 1
    covariance, chi2, p = _quality(covariance, chi2, dof, known)
    ratio = float(best[1] / best[0])
    rule = np.array([-ratio / best[0], 1 / best[0]])
    return {
        "beta_c_free": float(best[0]),
        "beta_c_free_error": float(np.sqrt(covariance[0, 0])),
        "one_over_nu": y,
        "one_over_nu_error": float(np.sqrt(covariance[-1, -1])),
        "shift": ratio,
        "shift_error": float(np.sqrt(rule @ covariance[:2, :2] @ rule)),
        "second_shift": float(best[2] / best[0]) if second else 0.0,
        "free_chi2": chi2,
        "free_dof": dof,
        "free_p_value": p,
    }, ""


def _heights(found: Maxima) -> tuple[float, float, LogSlope | None, str]:
    """Return the limit of the specific heat, or the growth of chi."""
    n = found.n_spins.astype(float)
    nan = float("nan")
    known = bool(np.all(np.isfinite(found.height_error)))
    if found.quantity == "susceptibility_abs":
        error = found.height_error if known else None
        enough = n.size >= 3
        growth = log_slope(n, found.height, error, correction=0.5 if enough else None)
        return nan, nan, growth, "" if enough else "two sizes: gamma/nu_bar has no correction term"
    columns = [np.ones_like(n), n**-0.5] + ([1 / n] if n.size > 3 else [])
    sigma = found.height_error if known else n**-1.5
    best, covariance, chi2 = least_squares(np.column_stack(columns), found.height, sigma)
    covariance, _, _ = _quality(covariance, chi2, n.size - len(columns), known)
    return float(best[0]), float(np.sqrt(covariance[0, 0])), None, ""
