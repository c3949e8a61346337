"""Where reweighted curves have their maximum, and where those of two systems cross."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.reweighting.quantities import Quantity
from spinnet.spins.critical.reweighting.result import Reweighted
from spinnet.spins.critical.sign_changes import SIGNIFICANT, significant_changes
from spinnet.spins.statistics import format_with_error

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]
_POINTS = 9
_ROUNDS = 6  # each narrows a bracket to a quarter
_HALVINGS = 50


@dataclass(frozen=True, eq=False)
class Place:
    """A point of a reweighted curve with its errors: a maximum, or a crossing of two curves.

    Attributes
    ----------
    beta, beta_error : float
    value, value_error : float
        Of the curve there.
    covariance : ndarray, shape (2, 2)
        Of (beta, value); NaN without errors.
    replicates : tuple of ndarray, each (n_replicas, 2)
        (beta, value) with each group of a system left out: one array for a maximum, one for
        each system of a crossing.  Places that share a system have the covariance
        (n - 1)/n sum of products of deviations, of that system's arrays.
    n_spins : tuple of int
        Of the systems.
    quantity : str
    note : str
    """

    beta: float
    beta_error: float
    value: float
    value_error: float
    covariance: Array
    replicates: tuple[Array, ...] = field(repr=False)
    n_spins: tuple[int, ...]
    quantity: str
    note: str = ""

    def summary(self) -> str:
        """Return one line for people."""
        text = (
            f"{self.quantity}: {format_with_error(self.value, self.value_error)} at beta = "
            f"{format_with_error(self.beta, self.beta_error)}, "
            f"N = {', '.join(map(str, self.n_spins))}"
        )
        return f"{text}; {self.note}" if self.note else text

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, None for NaN."""
        names = ("beta", "beta_error", "value", "value_error", "quantity", "note")
        plain: dict[str, Any] = {name: finite_or_null(getattr(self, name)) for name in names}
        covariance = finite_or_null(self.covariance.tolist())
        return plain | {"covariance": covariance, "n_spins": list(self.n_spins)}


def maximum(curves: Reweighted, quantity: str | Quantity, *names: str) -> Place:
    """Return the maximum of a quantity between the temperatures of `curves`.

    Parameters
    ----------
    curves : Reweighted
        Its `beta` are where the maximum is looked for; between them it is found to 1e-6 of
        their spacing.
    quantity : str or callable
        "susceptibility_abs", "specific_heat", ..., an observable, or a function of averages as
        for ``curves.derived``.
    *names : str
        The arguments of a function.

    Returns
    -------
    Place

    Raises
    ------
    StatisticsError
        If the largest value is at the end of the range: `.estimate` holds its beta.
    """
    grid = _grid(curves)
    function, *arguments = curves._known(quantity, *names)
    low, high = _bracket(curves._value(function, arguments, grid), grid)
    best = _peak(lambda b: curves._value(function, arguments, b[0])[None], [[low]], [[high]])[0]
    label = quantity if isinstance(quantity, str) else getattr(quantity, "__name__", "function")
    sizes = (curves.model.n_spins,)
    if not curves.n_replicas:
        return _placed(best, (), sizes, label, curves.note)
    # sets may move by more than the spacing: their brackets are wide, on the covered range
    reach = max(high - low, 50 * float(curves._step(best[:1])[0]))  # 1/(spread of the energy)
    n_sets = curves.n_replicas + 1
    start = np.full((n_sets, 1), max(grid[0], best[0] - reach))
    stop = np.full((n_sets, 1), min(grid[-1], best[0] + reach))
    found = _peak(lambda b: curves._sets(function, arguments, b), start, stop)
    edge = np.abs(found[:, :1] - np.hstack([start, stop])).min(axis=1)
    if np.any(edge <= 1e-3 * (stop - start)[:, 0]):
        note = "without some replicas the maximum leaves the range: widen it"
        return _placed(best, (), sizes, label, note)
    return _placed(best, (found[1:],), sizes, label)


def crossing(
    first: Reweighted, second: Reweighted, quantity: str | Quantity = "binder", *names: str
) -> Place:
    """Return where the curves of two independent systems cross.

    Parameters
    ----------
    first, second : Reweighted
        Their temperatures must overlap; the crossing is looked for in the common range.
    quantity, *names
        As for :func:`maximum`.

    Returns
    -------
    Place
        The value is that of `first`.  Errors of the two systems are added as independent.

    Raises
    ------
    StatisticsError
        If the curves do not cross, or cross more than once, between temperatures where they
        differ by 3 errors; those of data without errors, anywhere.
    """
    grids = [_grid(curves) for curves in (first, second)]
    sides = [(curves, *curves._known(quantity, *names)) for curves in (first, second)]
    low, high = (f(grid[i] for grid in grids) for f, i in ((max, 0), (min, -1)))
    grid = np.unique(np.concatenate(grids))
    grid = grid[(grid >= low) & (grid <= high)]
    if grid.size < 2:
        raise StatisticsError("the covered temperatures of the two systems do not overlap")
    full = [_full(*side) for side in sides]
    gap = full[1](grid[None])[0] - full[0](grid[None])[0]
    sizes = (first.model.n_spins, second.model.n_spins)
    sigma = _gap_error(sides, grid)
    changes = significant_changes(gap, sigma)
    if len(changes) != 1:
        known = "" if sigma is None else f" by {SIGNIFICANT:g} errors on both sides"
        raise StatisticsError(
            f"the curves of n_spins={sizes[0]} and {sizes[1]} cross {len(changes)} times{known} "
            f"for beta in [{low:.6g}, {high:.6g}]; choose a range with one crossing"
            + ("" if sigma is None or changes else ", or measure longer"),
            estimate=grid[[i for i, _ in changes]],
        )
    i, j = changes[0]
    best = _root(full[0], full[1], grid[i : i + 1], grid[j : j + 1])[0]
    label = quantity if isinstance(quantity, str) else getattr(quantity, "__name__", "function")
    if not (first.n_replicas and second.n_replicas):
        return _placed(best, (), sizes, label, first.note or second.note)
    found = []
    for which in (0, 1):
        sets = [_sets(*side) if k == which else full[k] for k, side in enumerate(sides)]
        n_sets = sides[which][0].n_replicas + 1
        ends = [np.full(n_sets, grid[end]) for end in (i, j)]  # not the noise of one phase
        found.append(_root(sets[0], sets[1], *ends)[1:])
    if not all(np.isfinite(table).all() for table in found):
        return _placed(best, (), sizes, label, "without some replicas the curves do not cross")
    return _placed(best, tuple(found), sizes, label)


def _gap_error(sides: list[Any], grid: Array) -> Array | None:
    """Return the error of the difference of two curves; None where a system has no replicas."""
    if not all(curves.n_replicas for curves, *_ in sides):
        return None
    variance = np.zeros(grid.size)
    for curves, function, *names in sides:
        sets = curves._sets(function, names, grid)[1:]
        variance += (len(sets) - 1) * sets.var(axis=0)
    return np.asarray(np.sqrt(variance))


def _full(curves: Reweighted, function: Quantity, *names: str) -> Curve:
    """Return the curve of all samples, (n_rows, n_beta) of any rows."""

    def value(beta: Array) -> Array:
        return curves._value(function, names, beta.ravel()).reshape(beta.shape)

    return value


def _sets(curves: Reweighted, function: Quantity, *names: str) -> Curve:
    """Return the curves of the jackknife sets, one to a row."""
    return lambda beta: curves._sets(function, names, beta)


def _grid(curves: Reweighted) -> Array:
    """Return the covered temperatures, increasing."""
    if not isinstance(curves, Reweighted):
        raise InputError(f"curves must be Reweighted, got {type(curves).__name__}")
    grid = np.unique(curves.beta[curves.covered])
    if grid.size < 3:
        raise StatisticsError(
            f"3 covered temperatures are needed to bracket a place, got {grid.size}"
        )
    return grid


def _bracket(values: Array, grid: Array) -> tuple[float, float]:
    k = int(np.argmax(values))
    if not 0 < k < grid.size - 1:
        raise StatisticsError(
            f"the largest value lies at the end of the range, beta={grid[k]:.6g}; widen beta, or "
            "run further out",
            estimate=float(grid[k]),
        )
    return float(grid[k - 1]), float(grid[k + 1])


def _peak(curve: Curve, low: Any, high: Any) -> Array:
    """Return (beta, value) of the maximum in each row's bracket, shape (n_rows, 2)."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    ends = low, high
    for _ in range(_ROUNDS):
        grid = low + (high - low) * np.linspace(0, 1, _POINTS)
        best = np.argmax(curve(grid), axis=1)[:, None]
        middle, step = np.take_along_axis(grid, best, 1), (high - low) / (_POINTS - 1)
        low, high = np.maximum(middle - step, ends[0]), np.minimum(middle + step, ends[1])
    grid = low + (high - low) * np.array([0.0, 0.5, 1.0])
    a, b, c = curve(grid).T
    bend = np.minimum(a - 2 * b + c, -1e-300)
    shift = np.clip((a - c) / (2 * bend), -1, 1)
    beta = grid[:, 1] + shift * (high - low)[:, 0] / 2
    return np.column_stack([beta, b - (a - c) * shift / 4])


def _root(first: Curve, second: Curve, low: Array, high: Array) -> Array:
    """Return (beta, value of `first`) where two curves meet, NaN without a change of sign."""

    def gap(beta: Array) -> Array:
        return (second(beta[:, None]) - first(beta[:, None]))[:, 0]

    below, above = gap(low), gap(high)
    meets = below * above <= 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        here = gap(middle)
        same = np.sign(here) == np.sign(below)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    beta = np.where(meets, (low + high) / 2, np.nan)
    value = first(np.where(meets, beta, low)[:, None])[:, 0]
    return np.column_stack([beta, np.where(meets, value, np.nan)])


def _placed(
    best: Array,
    replicates: tuple[Array, ...],
    n_spins: tuple[int, ...],
    quantity: str,
    note: str = "",
) -> Place:
    covariance = np.zeros((2, 2)) if replicates else np.full((2, 2), np.nan)
    for table in replicates:
        deviation = table - table.mean(axis=0)
        covariance = covariance + (len(table) - 1) / len(table) * deviation.T @ deviation
    error = np.sqrt(np.diagonal(covariance))
    return Place(
        float(best[0]),
        float(error[0]),
        float(best[1]),
        float(error[1]),
        covariance,
        replicates,
        n_spins,
        quantity,
        note,
    )
