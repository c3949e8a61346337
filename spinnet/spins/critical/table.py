"""Averages by size and temperature, from Monte Carlo runs, exact sums or a table of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, StatisticsError, did_you_mean
from spinnet.spins.statistics import MIN_UNITS, binder_cumulant
from spinnet.validation import finite_array, integer, positive_array

Array = NDArray[np.float64]
QUANTITIES = (
    "abs_m",
    "m2",
    "m4",
    "binder",
    "susceptibility",
    "susceptibility_abs",
    "specific_heat",
)
_COLUMNS = ("n_spins", "beta", *QUANTITIES, *(f"{name}_error" for name in QUANTITIES))


@dataclass(frozen=True, eq=False)
class SizeTable:
    """Averages at one size, sorted by temperature.

    Attributes
    ----------
    n_spins : int
        N; 0 stands for the limit of infinitely many spins (mean-field solutions).
    beta : ndarray, shape (n_beta,)
    values, errors : mapping of name to ndarray, shape (n_beta,)
        Of abs_m, m2, binder, susceptibility, susceptibility_abs, specific_heat and log_slope,
        which is d ln<|m|>/d beta, as far as given; a missing error is NaN.
    covariance : ndarray, shape (n_beta, n_names, n_names), or None
        Of the values at one temperature, in the order of `values`: they come from the same
        spins.  None counts them as independent.
    """

    n_spins: int
    beta: Array
    values: Mapping[str, Array]
    errors: Mapping[str, Array]
    covariance: Array | None = None

    def resampled(self, rng: np.random.Generator) -> SizeTable:
        """Return the table with Gaussian noise of its own errors added."""
        if self.covariance is None:
            noise = {
                name: value + self.errors[name] * rng.standard_normal(value.shape)
                for name, value in self.values.items()
            }
            return replace(self, values=noise)
        z = rng.standard_normal(self.covariance.shape[:2])
        shift = np.einsum("bij,bj->bi", _roots(self.covariance), z)
        items = enumerate(self.values.items())
        return replace(self, values={name: value + shift[:, k] for k, (name, value) in items})

    def covariance_of(self, first: str, second: str) -> Array:
        """Return the covariance of two quantities at each temperature, shape (n_beta,)."""
        if first == second:
            return np.asarray(self.errors[first] ** 2)
        if self.covariance is None:
            return np.zeros_like(self.beta)
        names = list(self.values)
        return self.covariance[:, names.index(first), names.index(second)]

    def rows(self, keep: NDArray[Any]) -> SizeTable:
        """Return the table of some temperatures, given by a mask or by indices."""
        return SizeTable(
            self.n_spins,
            self.beta[keep],
            {name: value[keep] for name, value in self.values.items()},
            {name: error[keep] for name, error in self.errors.items()},
            None if self.covariance is None else self.covariance[keep],
        )

    @property
    def has_errors(self) -> bool:
        """Whether every value has an error."""
        return all(bool(np.all(np.isfinite(e))) for e in self.errors.values())


def _roots(covariance: Array) -> Array:
    """Return matrix square roots of covariances, which may be singular by rounding."""
    scale = np.sqrt(np.einsum("bii->bi", covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / (scale[:, :, None] * scale[:, None, :]))
    return np.asarray(scale[:, :, None] * vectors * np.sqrt(np.maximum(values, 0))[:, None, :])


def projection_table(samples: ArrayLike, beta: ArrayLike, n_spins: int) -> SizeTable:
    r"""Return the averages of an order parameter given sample by sample.

    Parameters
    ----------
    samples : array_like, shape (n_beta, n_replicas, n_samples)
        a = v.s for a unit vector v, as :func:`replicated_projections` returns it; for the plain
        magnetisation a = sqrt(N) m.  At least 8 replicas, which must be independent.
    beta : array_like, shape (n_beta,)
    n_spins : int
        N: m = a/sqrt(N), and the susceptibility is beta N <m^2> = beta <a^2>.

    Returns
    -------
    SizeTable
        With the covariance of its columns by the jackknife over replicas; any function of
        ``spinnet.critical`` takes it, or a sequence of such tables.
    """
    a = finite_array("samples", samples, ndim=3)
    grid = positive_array("beta", beta)
    n = integer("n_spins", n_spins, minimum=1)
    if grid.ndim != 1 or a.shape[0] != grid.size or a.shape[2] == 0:
        raise InputError(
            "samples must have shape (n_beta, n_replicas, n_samples) with one entry of beta "
            f"each, got samples {a.shape} and beta {grid.shape}"
        )
    if a.shape[1] < MIN_UNITS:
        raise StatisticsError(
            f"errors need at least {MIN_UNITS} independent replicas, got {a.shape[1]}"
        )
    return sorted_by_beta(from_chains(n, grid, a / np.sqrt(n)))


def from_chains(n: int, beta: Array, m: Array, energy: Array | None = None) -> SizeTable:
    """Return averages with their covariance by the jackknife over replicas.

    Parameters
    ----------
    n : int
    beta : ndarray, shape (n_beta,)
    m, energy : ndarray, shape (n_beta, n_replicas, n_samples)
    """
    means = {f"m{k}": (np.abs(m) ** k).mean(axis=2) for k in (1, 2, 4)}
    if energy is not None:  # about its own mean: the variance keeps its digits
        shifted = energy - energy.mean(axis=(1, 2), keepdims=True)
        means |= {"e1": shifted.mean(axis=2), "e2": (shifted**2).mean(axis=2)}
        means["m1e"] = (np.abs(m) * shifted).mean(axis=2)
    units = m.shape[1]
    left_out = {k: (x.sum(axis=1, keepdims=True) - x) / (units - 1) for k, x in means.items()}
    values = _functions(n, beta[:, None], {k: x.mean(axis=1)[:, None] for k, x in means.items()})
    samples = np.stack(list(_functions(n, beta[:, None], left_out).values()), axis=1)
    deviation = samples - samples.mean(axis=2, keepdims=True)
    covariance = (units - 1) / units * np.einsum("bis,bjs->bij", deviation, deviation)
    errors = np.sqrt(np.einsum("bii->ib", covariance))
    names = list(values)
    return SizeTable(
        n,
        beta,
        {name: value[:, 0] for name, value in values.items()},
        {name: errors[k] for k, name in enumerate(names)},
        covariance,
    )


def _functions(n: int, beta: Array, mean: Mapping[str, Array]) -> dict[str, Array]:
    """Return the columns of a table as functions of averages at h = 0."""
    columns = {
        "abs_m": mean["m1"],
        "m2": mean["m2"],
        "binder": binder_cumulant(mean["m2"], mean["m4"]),
        "susceptibility": beta * n * mean["m2"],
        "susceptibility_abs": beta * n * (mean["m2"] - mean["m1"] ** 2),
    }
    if "e2" in mean:
        columns["specific_heat"] = beta**2 * (mean["e2"] - mean["e1"] ** 2) / n
        columns["log_slope"] = mean["e1"] - mean["m1e"] / mean["m1"]
    return columns


def from_columns(source: Mapping[str, Any], needed: Sequence[str]) -> list[SizeTable]:
    """Return one table for each size of a mapping of columns; n_spins may be 0."""
    for name in source:
        if name not in _COLUMNS:
            raise InputError(f"table has an unknown column {name!r}{did_you_mean(name, _COLUMNS)}")
    required = ("n_spins", "beta", *needed)
    for name in required:
        if name not in source:
            said = f"{', '.join(required[:-1])} and {required[-1]}"
            raise InputError(f"table must have the columns {said}, lacks {name!r}")
    columns = {name: finite_array(f"table[{name!r}]", source[name], ndim=1) for name in source}
    if len({column.shape for column in columns.values()}) != 1:
        shapes = {name: column.size for name, column in columns.items()}
        raise InputError(f"table must have columns of one length, got {shapes}")
    sizes = positive_array("table['n_spins']", columns["n_spins"], zero=True)
    if np.any(sizes % 1 != 0):
        raise InputError(
            f"table['n_spins'] must hold whole numbers, got {sizes[np.argmax(sizes % 1 != 0)]:g}"
        )
    values = {name: columns[name] for name in QUANTITIES if name in columns}
    missing = np.full(sizes.shape, np.nan)
    errors = {name: columns.get(f"{name}_error", missing) for name in values}
    for name, error in errors.items():
        if np.any(error < 0):
            raise InputError(f"table['{name}_error'] must be >= 0, got {error.min():g}")
    add_derived(sizes, columns["beta"], values, errors)
    return [
        sorted_by_beta(
            SizeTable(
                int(n),
                columns["beta"][sizes == n],
                {name: v[sizes == n] for name, v in values.items()},
                {name: e[sizes == n] for name, e in errors.items()},
            )
        )
        for n in np.unique(sizes)
    ]


def add_derived(
    n: Array | int, beta: Array, values: dict[str, Array], errors: dict[str, Array]
) -> None:
    """Replace m4 by the cumulant, and add beta N m2 where there is no susceptibility.

    Without an error of the cumulant's own, m2 and m4 count as independent.
    """
    m4, m4_error = values.pop("m4", None), errors.pop("m4", None)
    if "m2" not in values:
        return
    m2, m2_error = values["m2"], errors["m2"]
    if "susceptibility" not in values and np.all(np.asarray(n) > 0):
        values["susceptibility"] = beta * n * m2
        errors["susceptibility"] = beta * n * m2_error
    if "binder" in values or m4 is None or m4_error is None:
        return
    values["binder"] = binder_cumulant(m2, m4)
    ratio = m4 / (3 * m2**2)
    errors["binder"] = ratio * np.hypot(m4_error / m4, 2 * m2_error / m2)


def sorted_by_beta(table: SizeTable) -> SizeTable:
    """Return the same rows in increasing order of beta."""
    return table.rows(np.argsort(table.beta, kind="stable"))


def known_errors(table: SizeTable) -> SizeTable:
    """Return the table with errors of 0, those of exact data, as NaN."""
    errors = {name: np.where(e == 0, np.nan, e) for name, e in table.errors.items()}
    return replace(table, errors=errors)
