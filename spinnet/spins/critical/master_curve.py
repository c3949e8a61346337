r"""Judging a collapse: against the data themselves, and against exact mean field."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.scaling_functions import mean_field_scaling
from spinnet.spins.critical.sources import check_errors, read_table
from spinnet.validation import choice, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTITIES = ("binder", "abs_m", "m2", "susceptibility", "susceptibility_abs", "specific_heat")

SYMBOLS = {
    "binder": "U",
    "abs_m": r"\langle|m|\rangle",
    "m2": r"\langle m^2\rangle",
    "susceptibility": r"\chi",
    "susceptibility_abs": r"\chi_{|m|}",
    "specific_heat": "c",
}


def local_linear_misfit(n: Array, x: Array, y: Array, error: Array) -> float:
    """Return Houdayer & Hartmann's S; NaN without errors or where no sizes overlap.

    For each point the master curve is the weighted straight line through the two neighbours
    (below and above in x) of every other size; S is the mean of (y - Y)^2/(dy^2 + dY^2).
    """
    if not np.all(np.isfinite(error)):
        return float("nan")
    sizes = np.unique(n)
    by_size: dict[float, NDArray[np.intp]] = {}
    for size in sizes:
        rows = np.flatnonzero(n == size)
        by_size[float(size)] = rows[np.argsort(x[rows], kind="stable")]
    terms = []
    for i in range(n.size):
        others = [by_size[float(size)] for size in sizes if size != n[i]]
        near = [k for group in others for k in _beside(x, group, x[i])]
        if len(near) < 2:
            continue
        value, variance = _line_at(x[near] - x[i], y[near], error[near])
        terms.append((y[i] - value) ** 2 / (error[i] ** 2 + variance))
    return float(np.mean(terms)) if terms else float("nan")


def _beside(x: Array, rows: NDArray[np.intp], place: float) -> list[int]:
    k = int(np.searchsorted(x[rows], place))
    return [int(rows[k - 1]), int(rows[k])] if 0 < k < rows.size else []


def _line_at(x: Array, y: Array, error: Array) -> tuple[float, float]:
    """Return the weighted straight line at 0 and its variance."""
    w = error**-2.0
    k, kx, kxx = w.sum(), (w * x).sum(), (w * x**2).sum()
    ky, kxy = (w * y).sum(), (w * x * y).sum()
    det = k * kxx - kx**2
    return float((kxx * ky - kx * kxy) / det), float(kxx / det)


@dataclass(frozen=True, eq=False)
class MeanFieldCollapse:
    """Data against the exact scaling function of mean field, with no free parameter.

    Attributes
    ----------
    quantity : str
    beta_c, participation_ratio : float
    next_order : bool
        Whether the N^{-1/2} term of Curie-Weiss is included.
    n_spins, r, y, y_error, expected : ndarray, shape (n_points,)
        r = (N p)^{1/2}(1 - beta/beta_c); the rest in units of N^kappa.
    chi2, dof, p_value
        dof is the number of points; NaN without errors.
    largest_deviation : float
        max |y - expected|.
    neglected : ndarray, shape (n_points,)
        What the orders left out change in the exact sum of Curie-Weiss with N p spins, in the
        units of y: O(1/N) with `next_order`, O(N^-1/2) without (for another system, an order of
        magnitude).
    resolved : ndarray of bool, shape (n_points,)
        Points whose `neglected` exceeds a third of their error: there a small p blames the
        expansion, not the data.
    p_within : float
        p without those points; NaN if none is left.
    note : str
        Names the sizes of those points.
    """

    quantity: str
    beta_c: float
    participation_ratio: float
    next_order: bool
    n_spins: Array = field(repr=False)
    r: Array = field(repr=False)
    y: Array = field(repr=False)
    y_error: Array = field(repr=False)
    expected: Array = field(repr=False)
    chi2: float
    dof: int
    p_value: float
    largest_deviation: float
    neglected: Array = field(repr=False)
    resolved: NDArray[np.bool_] = field(repr=False)
    p_within: float
    note: str = ""

    @staticmethod
    def curve(quantity: str, r: Array, beta_c: float, n_spins: int | None = None) -> Array:
        """Return the scaled quantity of mean field at r, y N^{-kappa}."""
        s = mean_field_scaling(r, n_spins=n_spins)
        inverse = beta_c if n_spins is None else beta_c * (1 - np.asarray(r) * n_spins**-0.5)
        values = {
            "binder": s.binder,
            "abs_m": s.abs_x,
            "m2": s.x2,
            "susceptibility": inverse * s.x2,
            "susceptibility_abs": inverse * s.susceptibility_abs,
            "specific_heat": s.specific_heat,
        }
        return np.asarray(values[quantity])

    def summary(self) -> str:
        """Return one line for people, and a caution where the expansion does not suffice."""
        order = "with" if self.next_order else "without"
        quality = f"chi2/dof {self.chi2:.4g}/{self.dof}, p = {self.p_value:.2g}, "
        if not np.isfinite(self.chi2):
            quality = ""
        line = (
            f"{self.quantity} against exact mean field, no free parameter, {order} the N^-1/2 "
            f"term: {quality}largest deviation {self.largest_deviation:.3g}"
        )
        return f"{line}\n  caution: {self.note}" if self.note else line

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and lists; null where one is not known."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        result = finite_or_null(plain)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the scaled data over the exact curve, and that of each N with the N^-1/2 term."""
        ax = plotting.axes(ax)
        colors = [plotting.BLUE, plotting.ORANGE, plotting.GREEN, plotting.PURPLE]
        colors += [plotting.VERMILLION, plotting.SKY_BLUE]
        dense = np.linspace(self.r.min(), self.r.max(), 200)
        for k, n in enumerate(np.unique(self.n_spins)):
            rows = self.n_spins == n
            error = self.y_error[rows]
            bars = error if np.all(np.isfinite(error)) else None
            plotting.points(
                ax,
                self.r[rows],
                self.y[rows],
                bars,
                color=colors[k % len(colors)],
                marker="os^Dv<>"[k % 7],
                label=f"N = {int(n)}",
            )
            if self.next_order:
                expected = self.curve(self.quantity, dense, self.beta_c, int(n))
                color = colors[k % len(colors)]
                label = "with the $N^{-1/2}$ term" if k == 0 else None
                plotting.line(ax, dense, expected, color=color, dashes="--", width=0.6, label=label)
        limit = self.curve(self.quantity, dense, self.beta_c)
        plotting.line(ax, dense, limit, color=plotting.BLACK, width=0.8, label="mean field, exact")
        whole = self.participation_ratio == 1
        x = r"$r=N^{1/2}(1-\beta/\beta_c)$" if whole else r"$r=(Np)^{1/2}(1-\beta/\beta_c)$"
        ax.set(xlabel=x, ylabel=f"${_unit(self.quantity, whole)}{SYMBOLS[self.quantity]}$")
        plotting.legend_below(ax, columns=3)
        return ax


def _unit(quantity: str, whole: bool) -> str:
    """Return the factor of a scaled quantity, N^-kappa and a power of p, as mathematics."""
    factors = [("N", -_KAPPA[quantity]), ("p", 0.0 if whole else _SHARE[quantity])]
    return "".join(f"{s}^{{{Fraction(k)}}}\\," for s, k in factors if k)


def mean_field_collapse(
    source: Any,
    quantity: str,
    beta_c: float,
    *,
    reach: float = 2.0,
    participation_ratio: float = 1.0,
    next_order: bool = True,
) -> MeanFieldCollapse:
    """Compare data with the exact scaling function of mean field.

    Parameters
    ----------
    source : as for `exponents`, one size or more
    quantity : str
        As for `collapse`; susceptibilities and the specific heat per spin.
    beta_c : float
        The known critical inverse temperature.
    reach : float
        Points with |r| <= reach are compared.
    participation_ratio : float
        p = 1/(N sum v_i^4) of the ordering mode v: x = m N^{1/4} p^{-1/4}, r =
        (N p)^{1/2}(1 - beta/beta_c).
    next_order : bool
        Includes the N^{-1/2} term of Curie-Weiss; only for p = 1, other systems have another.

    Returns
    -------
    MeanFieldCollapse
        Its `note` names points whose errors are so small that the order left out shows.
    """
    name = choice("quantity", quantity, _QUANTITIES)
    centre = positive_float("beta_c", beta_c)
    width, p = (
        positive_float("reach", reach),
        positive_float("participation_ratio", participation_ratio),
    )
    if p > 1 + 1e-9:
        raise InputError(f"participation_ratio must be in (0, 1], got {p:g}")
    if next_order and abs(p - 1) > 1e-9:
        raise InputError(
            f"next_order is that of Curie-Weiss (participation_ratio 1), got {p:g}: pass "
            "next_order=False"
        )
    columns: list[tuple[Array, ...]] = []
    tables = read_table(source, min_sizes=1, needed=(name,))
    check_errors(tables, name)
    for table in tables:
        if name not in table.values:
            raise InputError(f"table of n_spins={table.n_spins} has no {name}")
        n = table.n_spins
        r = np.sqrt(n * p) * (1 - table.beta / centre)
        keep = np.abs(r) <= width
        unit = float(n) ** -_KAPPA[name] * p ** _SHARE[name]
        expected = MeanFieldCollapse.curve(name, r[keep], centre, n if next_order else None)
        y, error = table.values[name][keep] * unit, table.errors[name][keep] * unit
        left_out = _neglected(name, n, r[keep], centre, p, next_order)
        columns.append((np.full(r[keep].shape, float(n)), r[keep], y, error, expected, left_out))
    sizes, r, y, error, expected, left_out = (np.concatenate(c) for c in zip(*columns, strict=True))
    if not r.size:
        raise StatisticsError(f"no point lies within |r| <= {width:g} of beta_c={centre:.8g}")
    known = bool(np.all(np.isfinite(error)))
    terms = ((y - expected) / error) ** 2 if known else np.full(r.shape, np.nan)
    resolved = left_out > _SHARE_OF_ERROR * error  # False where no error is known
    chi2, inside = float(terms.sum()), int(np.sum(~resolved))
    p_within = float(stats.chi2.sf(terms[~resolved].sum(), inside)) if known else float("nan")
    p_within = p_within if inside else float("nan")
    return MeanFieldCollapse(
        quantity=name,
        beta_c=centre,
        participation_ratio=p,
        next_order=next_order,
        n_spins=sizes,
        r=r,
        y=y,
        y_error=error,
        expected=expected,
        chi2=chi2,
        dof=r.size,
        p_value=float(stats.chi2.sf(chi2, r.size)) if known else float("nan"),
        largest_deviation=float(np.abs(y - expected).max()),
        neglected=left_out,
        resolved=resolved,
        p_within=p_within,
        note=_caution(sizes, resolved, next_order, p_within),
    )


def _neglected(name: str, n: int, r: Array, beta_c: float, p: float, next_order: bool) -> Array:
    """Return the size of the terms left out at each r; see `MeanFieldCollapse.neglected`."""
    from spinnet.spins.exact import curie_weiss

    size = max(2, round(n * p))
    if size > _LARGEST_SUM or not r.size:
        return np.zeros_like(r)
    scaled = 1 - r * (n * p) ** -0.5  # beta/beta_c, > 0 as beta is
    order = np.argsort(scaled, kind="stable")
    (table,) = read_table(curie_weiss(size, scaled[order]), min_sizes=1, needed=(name,))
    exact = np.empty_like(r)
    exact[order] = table.values[name] * float(size) ** -_KAPPA[name]
    if name in ("susceptibility", "susceptibility_abs"):
        exact *= beta_c
    limit = MeanFieldCollapse.curve(name, r, beta_c, n if next_order else None)
    return np.abs(exact - limit)


def _caution(sizes: Array, resolved: NDArray[np.bool_], next_order: bool, p_within: float) -> str:
    """Return which points resolve the order left out, and p without them; empty if none do."""
    if not resolved.any():
        return ""
    named = ", ".join(
        f"{int(np.sum(resolved & (sizes == n)))} of {int(np.sum(sizes == n))} at N = {int(n)}"
        for n in np.unique(sizes[resolved])
    )
    order = "1/N" if next_order else "N^-1/2"
    rest = "no point is left" if np.isnan(p_within) else f"p = {p_within:.2g} without them"
    return (
        f"the next order, {order}, exceeds a third of the error of {named}: p counts it as a "
        f"misfit; {rest}"
    )


_SHARE_OF_ERROR = 1 / 3  # 60 points at this bound move chi2 by less than its own spread
_LARGEST_SUM = 10**6  # spins; above it 1/N is below any error of a run
_KAPPA = {
    "binder": 0.0,
    "abs_m": -0.25,
    "m2": -0.5,
    "susceptibility": 0.5,
    "susceptibility_abs": 0.5,
    "specific_heat": 0.0,
}
# m = (v.s) N^{-1/2}, x = (v.s) (N p)^{-1/4}: <m^2> = (p/N)^{1/2} <x^2>, c = p Var(x^2)/4
_SHARE = {
    "binder": 0.0,
    "abs_m": -0.25,
    "m2": -0.5,
    "susceptibility": -0.5,
    "susceptibility_abs": -0.5,
    "specific_heat": -1.0,
}
