"""Functions of averages: jackknife and bootstrap over replicas, with their covariance.

Replicas are independent, so that leaving one out, or drawing them anew, needs no
autocorrelation time.  Values are the function of the full averages; the jackknife's estimate of
their bias, of the order of one over the number of independent samples, is reported beside them
and not taken off, since that is small against the error, and taking it off adds noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.spins.statistics.chains import MIN_UNITS, as_chains, evaluated, root_of_squares
from spinnet.validation import finite_float, integer

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Derived:
    """Functions of averages with their joint errors.

    Attributes
    ----------
    values, errors, bias : ndarray, shape (n_quantities,)
        Of the full data, one standard error, and the estimated bias of `values` (to be
        subtracted by whoever wants the corrected value).
    covariance : ndarray, shape (n_quantities, n_quantities)
    replicates : ndarray, shape (n_samples, n_quantities)
        The function with each replica left out (jackknife), or of each redraw (bootstrap).
    method : str
        "jackknife" or "bootstrap".
    n_replicas : int
    seed : dict
        What makes the redraws again; empty for the jackknife.
    """

    values: Array
    errors: Array
    bias: Array
    covariance: Array
    replicates: Array
    method: str
    n_replicas: int
    seed: Mapping[str, object]

    @property
    def correlation(self) -> Array:
        """The covariance over the product of the errors; NaN for a constant quantity."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.covariance / np.outer(self.errors, self.errors))

    def interval(self, level: float = 0.95) -> Array:
        """Return the central interval of the bootstrap replicates, shape (n_quantities, 2)."""
        if self.method != "bootstrap":
            raise InputError("interval needs bootstrap replicates; use statistics.bootstrap")
        level = finite_float("level", level)
        if not 0 < level < 1:
            raise InputError(f"level must lie between 0 and 1, got {level!r}")
        tail = (1 - level) / 2
        return np.asarray(np.quantile(self.replicates, [tail, 1 - tail], axis=0).T)

    def summary(self) -> str:
        """Return one line for each quantity."""
        from spinnet.spins.statistics.estimate import format_with_error

        pairs = zip(self.values, self.errors, strict=True)
        cells = [format_with_error(float(v), float(e)) for v, e in pairs]
        return "\n".join([*cells, f"{self.method} over {self.n_replicas} replicas"])

    def to_dict(self) -> dict[str, object]:
        """Return plain lists, None for NaN."""
        names = ("values", "errors", "bias", "covariance")
        plain: dict[str, object] = {n: finite_or_null(getattr(self, n).tolist()) for n in names}
        more = {"method": self.method, "n_replicas": self.n_replicas, "seed": dict(self.seed)}
        return plain | more


def jackknife(series: Sequence[ArrayLike], function: Callable[..., Any]) -> Derived:
    """Return functions of averages with errors and covariance by the jackknife over replicas.

    Parameters
    ----------
    series : sequence of array_like, each (n_replicas, n_steps)
        The observables whose averages are the arguments of `function`.
    function : callable
        Takes as many numbers as there are series; returns a number or a sequence of them.

    Returns
    -------
    Derived

    Raises
    ------
    InputError
        For series of different replicas, or a function that returns no real numbers.
    StatisticsError
        For fewer than 8 replicas.

    References
    ----------
    B. Efron & R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 11.
    """
    means = replica_means(series)
    n = len(means)
    value, replicates, _ = jackknife_of(means, function)
    centre = replicates.mean(axis=0)
    deviation = (replicates - centre) * math.sqrt((n - 1) / n)
    return Derived(
        values=value,
        errors=root_of_squares(deviation),
        bias=(n - 1) * (centre - value),
        covariance=_products(deviation),
        replicates=replicates,
        method="jackknife",
        n_replicas=n,
        seed={},
    )


def bootstrap(
    series: Sequence[ArrayLike],
    function: Callable[..., Any],
    *,
    n_resamples: int = 1000,
    rng: RandomState = None,
) -> Derived:
    """Return functions of averages with errors from replicas drawn anew with replacement.

    A check of the jackknife, and the way to an interval that need not be symmetric.

    Parameters
    ----------
    series, function
        As for :func:`jackknife`.
    n_resamples : int
        At least 2.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    Derived
        Errors are those of the redraws times sqrt(n/(n - 1)): redraws of n replicas scatter
        less than new replicas would.
    """
    size = integer("n_resamples", n_resamples, minimum=2)
    means = replica_means(series)
    n = len(means)
    seed = seed_sequence(rng)
    chosen = np.random.default_rng(seed).integers(n, size=(size, n))
    value = _evaluate(function, means.mean(axis=0))
    drawn = [_evaluate(function, means[rows].mean(axis=0)) for rows in chosen]
    replicates = _stacked([value, *drawn])[1:]
    centre = replicates.mean(axis=0)
    deviation = (replicates - centre) * math.sqrt(n / (n - 1) / (size - 1))
    return Derived(
        values=value,
        errors=root_of_squares(deviation),
        bias=centre - value,
        covariance=_products(deviation),
        replicates=replicates,
        method="bootstrap",
        n_replicas=n,
        seed=seed_record(seed),
    )


def replica_means(series: Sequence[ArrayLike]) -> Array:
    """Return the mean of each replica of each series, shape (n_replicas, n_series)."""
    columns = same_replicas(series)
    if len(columns[0]) < MIN_UNITS:
        raise StatisticsError(
            f"errors over replicas need at least {MIN_UNITS} replicas, got {len(columns[0])}; "
            "statistics.derive takes long chains instead"
        )
    return np.column_stack([column.mean(axis=1) for column in columns])


def same_replicas(series: Sequence[ArrayLike]) -> list[Array]:
    """Return the series as chains; refuse none, and different numbers of replicas."""
    shape = getattr(series, "shape", None)
    if shape is not None and len(shape) < 3:  # the rows of one array are no series
        raise InputError(
            "series must be a sequence of arrays (n_replicas, n_steps), one for each argument of "
            f"function, got one array of shape {shape}; put it into a list"
        )
    columns = [as_chains(item) for item in series]
    if not columns:
        raise InputError("series must hold at least one observable, got none")
    counts = [len(column) for column in columns]
    if len(set(counts)) != 1:
        raise InputError(f"series must have the same replicas, got {counts} of them")
    return columns


def jackknife_of(means: Array, function: Callable[..., Any]) -> tuple[Array, Array, Array]:
    """Return the function of all means, its leave-one-out values, and those means.

    Parameters
    ----------
    means : ndarray, shape (n_units, n_arguments)
    """
    n = len(means)
    left_out = (means.sum(axis=0) - means) / (n - 1)
    values = [_evaluate(function, means.mean(axis=0))]
    values += [_evaluate(function, row) for row in left_out]
    table = _stacked(values)
    return table[0], table[1:], left_out


def _products(deviation: Array) -> Array:
    with np.errstate(over="ignore"):  # of values beyond 1e154, whose errors are still known
        return np.asarray(deviation.T @ deviation)


def _evaluate(function: Callable[..., Any], arguments: Array) -> Array:
    # numpy numbers: 0/0 is NaN, where Python's would raise
    return np.atleast_1d(evaluated(function, arguments))


def _stacked(values: Sequence[Array]) -> Array:
    if any(value.ndim != 1 or value.shape != values[0].shape for value in values):
        shapes = sorted({value.shape for value in values})
        raise InputError(f"function must return one number or one row of them, got {shapes}")
    return np.stack(values)
