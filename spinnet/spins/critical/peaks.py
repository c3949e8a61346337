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
from scipy import stats

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array, least_squares
from spinnet.spins.critical.reweighting import Place, maximum
from spinnet.spins.critical.scaling_functions import maximum_of
from spinnet.spins.critical.sources import check_errors, read_table, reweighted_curves
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.statistics import format_with_error
from spinnet.validation import bounded_float, choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PEAKED = ("specific_heat", "susceptibility_abs")
_REJECTED = 0.01
LABELS = {"specific_heat": "$c$", "susceptibility_abs": r"$\chi_{|m|}$"}


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
        """Draw the data of each size with their maxima as stars.

        For the specific heat a dashed line has the height that Curie-Weiss tends to.
        """
        ax = plotting.axes(ax)
        colors = [plotting.BLUE, plotting.ORANGE, plotting.GREEN, plotting.PURPLE]
        colors += [plotting.VERMILLION, plotting.SKY_BLUE]
        for k, table in enumerate(self._tables):
            color = colors[k % len(colors)]
            error = table.errors[self.quantity]
            bars = error if np.all(np.isfinite(error)) else None
            y = table.values[self.quantity]
            plotting.points(ax, table.beta, y, bars, color=color, label=f"N = {table.n_spins}")
            plotting.line(ax, table.beta, y, color=color, width=0.5)
            ax.plot(self.beta[k], self.height[k], "*", ms=9, color=color)
        if not self._tables:  # of reweighted curves
            for k, n in enumerate(self.n_spins):
                known = np.isfinite(self.beta_error[k])
                ax.errorbar(
                    self.beta[k],
                    self.height[k],
                    self.height_error[k] if known else None,
                    self.beta_error[k] if known else None,
                    fmt="*",
                    ms=9,
                    color=colors[k % len(colors)],
                    label=f"N = {n}",
                )
        if self.quantity == "susceptibility_abs":
            ax.set_yscale("log")
        else:
            height = maximum_of("specific_heat").height
            label = r"Curie-Weiss, $N\to\infty$"
            ax.axhline(height, color=plotting.GREY, ls="--", lw=0.8, label=label)
        ax.set(xlabel=r"$\beta$", ylabel=LABELS[self.quantity])
        plotting.legend_below(ax)
        return ax


def maxima(source: Any, quantity: str = "specific_heat", *, depth: float = 0.1) -> Maxima:
    """Return the maximum of a quantity for each size.

    Parameters
    ----------
    source : as for `exponents`
        Runs, exact results, SizeTables or columns with the quantity.  Of reweighted curves, one
        for each size, the maxima are those of :func:`maximum`, without a polynomial.
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
    name = choice("quantity", quantity, PEAKED)
    share = bounded_float("depth", depth)
    if not 0 < share < 1:
        raise InputError(f"depth must be in (0, 1), got {share:g}")
    curves = reweighted_curves(source)
    if curves is not None:
        return maxima_of_places([maximum(item, name) for item in curves], name)
    tables = read_table(source, min_sizes=1, needed=(name,))
    for table in tables:
        if name not in table.values:
            raise InputError(f"table of n_spins={table.n_spins} has no {name}")
    check_errors(tables, name)
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


def maxima_of_places(places: Sequence[Place], name: str) -> Maxima:
    """Return the maxima of reweighted curves as one result, smallest size first."""
    for item in places:
        if item.quantity != name or len(item.n_spins) != 1:
            raise InputError(
                f"source must hold maxima of {name!r}, got {item.quantity!r} of n_spins "
                f"{item.n_spins}; pass quantity={item.quantity!r}"
            )
    ordered = sorted(places, key=lambda item: item.n_spins)
    rows = np.array([(p.beta, p.beta_error, p.value, p.value_error) for p in ordered])
    sizes = np.array([p.n_spins[0] for p in ordered])
    if np.unique(sizes).size != sizes.size:
        raise InputError(f"source must hold each size once, got {sizes.tolist()}")
    none, unknown = np.zeros(sizes.size, dtype=np.int64), np.full(sizes.size, np.nan)
    beta, beta_error, height, height_error = rows.T
    return Maxima(name, sizes, beta, beta_error, height, height_error, none, none, unknown, ())


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
