r"""Binder crossings: where the cumulants of two sizes agree, and where the crossings tend.

The cumulant U = 1 - <m^4>/(3 <m^2>^2) is a function of N^{1/nu_bar} (beta - beta_c) alone up to
corrections N^{-omega}, so that the curves of sizes N1 and N2 cross near beta_c, off it by
b (N1 N2)^{-shift/2} with shift = 1/nu_bar + omega, which is 1 in mean field.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import optimize

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.randomness import RandomState, generator
from spinnet.spins.critical.fits import least_squares
from spinnet.spins.critical.reweighting import Place, Reweighted, crossing
from spinnet.spins.critical.scaling_functions import mean_field_scaling
from spinnet.spins.critical.sign_changes import (
    SIGNIFICANT,
    in_one_phase,
    likeliest_rise,
    support,
)
from spinnet.spins.critical.sources import check_errors, read_table, reweighted_curves
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.critical.windows import linear_estimator
from spinnet.spins.statistics import format_with_error
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
_NEAREST = 6  # temperatures that enter a local fit
_DEGREE = 3


@dataclass(frozen=True, eq=False)
class LocalValue:
    """A quantity and its derivative in beta at one temperature, each with its error.

    `value_weights` and `slope_weights` make them of the column at all temperatures.
    """

    value: float
    error: float
    slope: float
    slope_error: float
    value_weights: Array
    slope_weights: Array


@dataclass(frozen=True, eq=False)
class BinderCrossings:
    """Crossings of the cumulants of successive sizes.

    Attributes
    ----------
    n_small, n_large : ndarray, shape (n_crossings,)
        The two sizes.
    beta, beta_error : ndarray, shape (n_crossings,)
        Where they cross (errors NaN without errors in the table).
    binder, binder_error : ndarray, shape (n_crossings,)
        The common value there.
    covariance : ndarray, shape (n_crossings, n_crossings)
        Of `beta`: neighbours share a size.
    """

    n_small: NDArray[np.int64]
    n_large: NDArray[np.int64]
    beta: Array
    beta_error: Array
    binder: Array
    binder_error: Array
    covariance: Array

    def limit(self, shift: float = 1.0) -> tuple[float, float, Mapping[str, float]]:
        """Return beta_c, its error, and chi2 and dof of the straight line that gives them.

        The crossings are fitted by beta_c + b (n_small n_large)^(-shift/2); one crossing is its
        own limit.

        Parameters
        ----------
        shift : float
            1/nu_bar + omega, 1 in mean field.
        """
        return extrapolate(self, positive_float("shift", shift))

    def summary(self) -> str:
        """Return one line per crossing, and their limit."""
        lines = ["crossings of the Binder cumulants (mean field: U* = 0.270520)"]
        for k, (small, large) in enumerate(zip(self.n_small, self.n_large, strict=True)):
            place = format_with_error(float(self.beta[k]), float(self.beta_error[k]))
            value = format_with_error(float(self.binder[k]), float(self.binder_error[k]))
            lines.append(f"  N = {small}, {large}: beta {place}, U {value}")
        beta_c, error, quality = self.limit()
        text = f"  beta_c -> {format_with_error(beta_c, error)}"
        if self.beta.size > 1:
            text += (
                f" with the shift of mean field, chi2/dof {quality['chi2']:.3g}/{quality['dof']}"
            )
        return "\n".join([*lines, text])

    def to_dict(self) -> dict[str, object]:
        """Return plain lists; null where a number is not known."""
        values = {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the cumulant against beta at each crossing, and U* of mean field as a line."""
        ax = plotting.axes(ax)
        for k, (small, large) in enumerate(zip(self.n_small, self.n_large, strict=True)):
            known = np.isfinite(self.beta_error[k])
            ax.errorbar(
                self.beta[k],
                self.binder[k],
                self.binder_error[k] if known else None,
                self.beta_error[k] if known else None,
                fmt="o",
                ms=4,
                label=f"N = {small}, {large}",
            )
        level = float(mean_field_scaling(0.0).binder)
        ax.axhline(level, color=plotting.GREY, ls="--", lw=0.8, label="mean field, $U^*$")
        beta_c, error, _ = self.limit()
        label = rf"$\beta_c$ = {format_with_error(beta_c, error)}"
        ax.axvline(beta_c, color=plotting.LIGHT_GREY, lw=0.8, zorder=0, label=label)
        ax.set(xlabel=r"$\beta$ of the crossing", ylabel="cumulant $U$ there")
        plotting.legend_below(ax)
        return ax


def binder_crossings(
    table: Any, *, n_resamples: int = 200, rng: RandomState = None
) -> BinderCrossings:
    """Return the crossing of each pair of successive sizes.

    Parameters
    ----------
    table : mapping of columns, or sequence of runs, exact results, SizeTables or Reweighted
        As for `exponents`; a mapping needs m2 and m4, or binder.  Reweighted curves, one for
        each size, cross where :func:`crossing` says, with errors from their replicates: their
        temperatures share samples, and are not redrawn one by one.
    n_resamples : int
        Gaussian redraws of the table within its errors, from which the errors come (reweighted
        curves need none).
    rng : None, int, SeedSequence or Generator
        For the redraws.

    Returns
    -------
    BinderCrossings

    Raises
    ------
    StatisticsError
        If two sizes do not cross within their temperatures, or only by noise: of all changes of
        sign of U_large - U_small the likeliest counts, and it must be negative below and
        positive above by 3 joint errors, with cumulants that are not all 0, or 2/3, within 2.
    """
    n_resamples = integer("n_resamples", n_resamples, minimum=2)
    curves = reweighted_curves(table)
    if curves is not None:
        return _crossings_of_curves(curves)
    return crossings_of(read_table(table), n_resamples, generator(rng))


def _crossings_of_curves(curves: Sequence[Reweighted]) -> BinderCrossings:
    """Return the crossings of reweighted curves; neighbours share the samples of a size."""
    if len(curves) < 2:
        raise StatisticsError(
            f"at least 2 sizes needed, got {[c.model.n_spins for c in curves]}; run more sizes"
        )
    places = [crossing(small, large) for small, large in itertools.pairwise(curves)]
    spread = np.diag([place.covariance[0, 0] for place in places])
    for k, (one, two) in enumerate(itertools.pairwise(places)):
        spread[k, k + 1] = spread[k + 1, k] = _shared(one, two)
    sizes = np.array([c.model.n_spins for c in curves])
    rows = np.array([(p.beta, p.beta_error, p.value, p.value_error) for p in places])
    beta, beta_error, value, value_error = rows.T
    return BinderCrossings(sizes[:-1], sizes[1:], beta, beta_error, value, value_error, spread)


def _shared(one: Place, two: Place) -> float:
    """Return the covariance of two crossings by the size that both have: second and first."""
    if not (one.replicates and two.replicates):
        return float("nan")
    a, b = one.replicates[1][:, 0], two.replicates[0][:, 0]
    return float((a.size - 1) / a.size * np.sum((a - a.mean()) * (b - b.mean())))


def crossings_of(
    tables: Sequence[SizeTable], n_resamples: int, rng: np.random.Generator
) -> BinderCrossings:
    """Return the crossings of tables already read."""
    for table in tables:
        if "binder" not in table.values:
            raise InputError("table must have m2 and m4, or binder, to find crossings")
    check_errors(tables, "binder")
    central = crossing_points(tables)
    shape = (len(tables) - 1, 2)
    spread = np.full((shape[0], shape[0]), np.nan)
    errors = np.full(shape, np.nan)
    if all(table.has_errors for table in tables):
        draws = redraw(tables, n_resamples, rng)
        samples = _crossings_of_draws(draws)
        errors = samples.std(axis=0, ddof=1)
        spread = np.atleast_2d(np.cov(samples[:, :, 0], rowvar=False))
    sizes = np.array([table.n_spins for table in tables])
    return BinderCrossings(
        sizes[:-1], sizes[1:], central[:, 0], errors[:, 0], central[:, 1], errors[:, 1], spread
    )


def _crossings_of_draws(draws: list[list[SizeTable]]) -> Array:
    """Return the crossings of each redraw that has them; refuse if a tenth has none."""
    samples, reason = [], ""
    for draw in draws:
        try:
            samples.append(crossing_points(draw, judged=False))
        except StatisticsError as error:
            reason = str(error)
    if len(samples) < 0.9 * len(draws):
        raise StatisticsError(
            f"{len(draws) - len(samples)} of {len(draws)} redraws of the table have a pair of "
            f"sizes that do not cross ({reason}): measure longer, widen the range of beta, or "
            "leave out the sizes that cross at its end"
        )
    return np.array(samples)


def redraw(
    tables: Sequence[SizeTable], n_resamples: int, rng: np.random.Generator
) -> list[list[SizeTable]]:
    """Return `n_resamples` copies of the tables with fresh Gaussian noise of their errors."""
    return [[table.resampled(rng) for table in tables] for _ in range(n_resamples)]


def crossing_points(tables: Sequence[SizeTable], *, judged: bool = True) -> Array:
    """Return (beta, binder) for each pair of neighbours, shape (n_tables - 1, 2).

    A crossing that the errors do not support is refused, unless `judged` is False: redraws of
    accepted data carry their noise twice.
    """
    pairs = itertools.pairwise(tables)
    return np.array([one_crossing(small, large, judged=judged) for small, large in pairs])


def one_crossing(small: SizeTable, large: SizeTable, *, judged: bool = True) -> tuple[float, float]:
    """Return (beta, binder) where the cumulants of two sizes cross; see `crossing_points`."""
    low = max(small.beta[0], large.beta[0])
    high = min(small.beta[-1], large.beta[-1])
    grid = np.union1d(small.beta, large.beta)
    grid = grid[(grid >= low) & (grid <= high)]
    sides = [_interpolated(table, grid) for table in (small, large)]
    gap = sides[1][0] - sides[0][0]
    errors = [error for _, error in sides]
    known = all(bool(np.all(np.isfinite(e) & (e > 0))) for e in errors)
    sigma = np.hypot(*errors) if known else None
    k = likeliest_rise(gap, sigma)
    pair = f"the cumulants of n_spins={small.n_spins} and {large.n_spins} do not cross"
    if k is None:
        raise StatisticsError(
            f"{pair} for beta in [{low:.6g}, {high:.6g}]; widen the range about beta_c"
        )
    if judged and sigma is not None:
        _refuse_noise(sides, gap, sigma, k, grid, pair)
    guess = grid[k] - gap[k] * (grid[k + 1] - grid[k]) / (gap[k + 1] - gap[k])
    reach = 2 * (grid[k + 1] - grid[k])

    below, above = _smooth(small, guess), _smooth(large, guess)

    def difference(beta: float) -> float:
        return float(above(beta) - below(beta))

    a, b = max(low, guess - reach), min(high, guess + reach)
    if difference(a) < 0 < difference(b):
        guess = float(optimize.brentq(difference, a, b, xtol=1e-14 * guess))
    return float(guess), float(below(guess))


def _refuse_noise(
    sides: list[tuple[Array, Array]], gap: Array, sigma: Array, k: int, grid: Array, pair: str
) -> None:
    """Raise where the change of sign after grid[k] is one of noise."""
    where = f"{pair} significantly: their likeliest crossing, near beta={grid[k]:.6g}, "
    advice = "; measure longer, or nearer to beta_c on both sides, or leave a size out"
    values, errors = (np.array([s[i][k : k + 2] for s in sides]) for i in (0, 1))
    if in_one_phase(values, errors):
        raise StatisticsError(
            f"{where}lies in one phase, where both agree with 0 (or both with 2/3) within their "
            f"errors{advice}",
            float(grid[k]),
        )
    below, above = support(gap, sigma, k)
    if min(below, above) < SIGNIFICANT:
        raise StatisticsError(
            f"{where}has the larger size lower by {below:.2g} joint errors below it and higher "
            f"by {above:.2g} above, {SIGNIFICANT:g} are needed{advice}",
            float(grid[k]),
        )


def _interpolated(table: SizeTable, grid: Array) -> tuple[Array, Array]:
    """Return the cumulant on straight lines between the temperatures, with its error."""
    beta, value, error = table.beta, table.values["binder"], table.errors["binder"]
    if beta.size == 1:
        return np.full(grid.shape, value[0]), np.full(grid.shape, error[0])
    k = np.clip(np.searchsorted(beta, grid, side="right") - 1, 0, beta.size - 2)
    w = (grid - beta[k]) / (beta[k + 1] - beta[k])
    return (1 - w) * value[k] + w * value[k + 1], np.hypot((1 - w) * error[k], w * error[k + 1])


def _smooth(table: SizeTable, centre: float) -> Polynomial:
    """Return the cumulant as a cubic of beta, fitted about `centre`."""
    rows, unit, degree = _neighbours(table, centre)
    sigma = _sigma(table.errors["binder"][rows])
    design = np.vander((table.beta[rows] - centre) / unit, degree + 1, increasing=True)
    best, _, _ = least_squares(design, table.values["binder"][rows], sigma)
    return Polynomial(best, domain=[centre - unit, centre + unit])


def _neighbours(table: SizeTable, centre: float) -> tuple[NDArray[np.intp], float, int]:
    """Return the nearest rows, their spread, and the degree that they carry."""
    rows = np.argsort(np.abs(table.beta - centre), kind="stable")[:_NEAREST]
    unit = float(np.abs(table.beta[rows] - centre).max()) or 1.0
    return rows, unit, min(_DEGREE, rows.size - 1)


def _sigma(errors: Array) -> Array | None:
    return errors if bool(np.all(np.isfinite(errors))) else None


def local_value(table: SizeTable, name: str, beta: float, *, logarithm: bool) -> LocalValue:
    """Return a column, or its logarithm, and its derivative in beta at one temperature.

    A row at `beta` gives the value as it stands; otherwise, and for the derivative, a cubic is
    fitted to the six nearest temperatures.
    """
    y, sigma = table.values[name], table.errors[name]
    if logarithm:
        y, sigma = np.log(y), sigma / y
    hit = np.flatnonzero(np.isclose(table.beta, beta, rtol=1e-9, atol=0))
    nan = float("nan")
    here = np.zeros(table.beta.size)
    if hit.size:
        here[hit[0]] = 1.0
    if table.beta.size == 1 and hit.size:
        return LocalValue(float(y[0]), float(sigma[0]), nan, nan, here, here * nan)
    if not hit.size and not table.beta[0] <= beta <= table.beta[-1]:
        raise StatisticsError(
            f"beta_c={beta:.8g} lies outside the temperatures of n_spins={table.n_spins}, "
            f"[{table.beta[0]:.8g}, {table.beta[-1]:.8g}]; run temperatures about beta_c"
        )
    rows, unit, degree = _neighbours(table, beta)
    design = np.vander((table.beta[rows] - beta) / unit, degree + 1, increasing=True)
    weights = _sigma(sigma[rows])
    rule = linear_estimator(design, np.ones(rows.size) if weights is None else weights)
    known = np.full(degree + 1, nan)
    if weights is not None:
        known = np.linalg.norm(rule * weights, axis=1)
    value, error, slope = float(rule[0] @ y[rows]), float(known[0]), float(rule[1] @ y[rows])
    if hit.size:
        value, error = float(y[hit[0]]), float(sigma[hit[0]])
    else:
        here[rows] = rule[0]
    tangent = np.zeros(table.beta.size)
    tangent[rows] = rule[1] / unit
    return LocalValue(value, error, slope / unit, float(known[1]) / unit, here, tangent)


def extrapolate(
    crossings: BinderCrossings, shift: float
) -> tuple[float, float, Mapping[str, float]]:
    """Return beta_c, its error from the covariance, and chi2, dof of the straight line.

    The crossings are fitted by beta_c + b (n_small n_large)^{-shift/2}.
    """
    x = (crossings.n_small.astype(float) * crossings.n_large) ** (-shift / 2)
    if x.size == 1:
        return float(crossings.beta[0]), float(crossings.beta_error[0]), {"chi2": 0.0, "dof": 0}
    design = np.column_stack([np.ones_like(x), x])
    y, known = crossings.beta, bool(np.all(np.isfinite(crossings.covariance)))
    if known:  # whiten: neighbours share a size
        values, vectors = np.linalg.eigh(crossings.covariance)
        values = np.maximum(values, 1e-12 * values[-1])
        white = vectors.T / np.sqrt(values)[:, None]
        design, y = white @ design, white @ y
    best, covariance, chi2 = least_squares(design, y, None)
    dof = x.size - 2
    error = float(np.sqrt(covariance[0, 0]))
    if not known:
        error = error * float(np.sqrt(chi2 / dof)) if dof > 0 else float("nan")
    return float(best[0]), error, {"chi2": chi2, "dof": dof}
