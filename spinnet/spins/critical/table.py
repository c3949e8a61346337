"""Averages by size and temperature, from Monte Carlo runs or from a table of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, StatisticsError, did_you_mean
from spinnet.spins.statistics import binder_cumulant
from spinnet.validation import finite_array, positive_array

Array = NDArray[np.float64]
QUANTITIES = ("abs_m", "m2", "m4", "binder")
_COLUMNS = ("n_spins", "beta", *QUANTITIES, *(f"{name}_error" for name in QUANTITIES))


@dataclass(frozen=True, eq=False)
class SizeTable:
    """Averages at one size, sorted by temperature.

    Attributes
    ----------
    n_spins : int
    beta : ndarray, shape (n_beta,)
    values, errors : mapping of name to ndarray, shape (n_beta,)
        Of abs_m, m2 and binder, as far as given; a missing error is NaN.
    """

    n_spins: int
    beta: Array
    values: Mapping[str, Array]
    errors: Mapping[str, Array]

    def resampled(self, rng: np.random.Generator) -> SizeTable:
        """Return the table with independent Gaussian noise of its own errors added."""
        noise = {
            name: value + self.errors[name] * rng.standard_normal(value.shape)
            for name, value in self.values.items()
        }
        return replace(self, values=noise)

    @property
    def has_errors(self) -> bool:
        """Whether every value has an error."""
        return all(bool(np.all(np.isfinite(e))) for e in self.errors.values())


def read_table(source: Any) -> list[SizeTable]:
    """Return one table for each size, smallest first.

    Parameters
    ----------
    source : mapping, run, or sequence of runs
        A mapping has the columns n_spins, beta, abs_m, and as far as known m2, m4 (or binder),
        each with its ``_error``.  A run has .model.n_spins, .beta, .estimate(name) and
        .derived(function).
    """
    if isinstance(source, Mapping):
        tables = _from_columns(source)
    else:
        runs = [source] if hasattr(source, "estimate") else _as_list(source)
        tables = [_from_run(run) for run in runs]
    tables = [_checked(t) for t in sorted(tables, key=lambda t: t.n_spins)]
    sizes = [t.n_spins for t in tables]
    if len(set(sizes)) != len(sizes):
        raise InputError(f"table must hold each size once, got sizes {sizes}")
    if len(sizes) < 2:
        raise StatisticsError(
            f"finite-size scaling needs at least 2 sizes, got {sizes}; run more sizes"
        )
    return tables


def _as_list(source: Any) -> list[Any]:
    if not isinstance(source, Iterable):
        raise InputError(
            f"table must be a mapping of columns or a sequence of runs, got {type(source).__name__}"
        )
    runs = list(source)
    for run in runs:
        if not hasattr(run, "estimate"):
            raise InputError(f"runs must offer .estimate(name), got a {type(run).__name__}")
    return runs


def _from_run(run: Any) -> SizeTable:
    beta = np.ravel(np.asarray(run.beta, dtype=np.float64))
    derived = getattr(run, "derived", None)
    names = ("abs_m", "m2") if derived else ("abs_m", "m2", "m4")
    estimates = {name: run.estimate(name) for name in names}
    if derived:  # its jackknife knows that m2 and m4 come from the same spins
        estimates["binder"] = derived(binder_cumulant)
    values = {k: np.ravel(np.asarray(e.value, dtype=float)) for k, e in estimates.items()}
    errors = {k: np.ravel(np.asarray(e.error, dtype=float)) for k, e in estimates.items()}
    _add_binder(values, errors)
    return _sorted(SizeTable(int(run.model.n_spins), beta, values, errors))


def _from_columns(source: Mapping[str, Any]) -> list[SizeTable]:
    for name in source:
        if name not in _COLUMNS:
            raise InputError(f"table has an unknown column {name!r}{did_you_mean(name, _COLUMNS)}")
    for name in ("n_spins", "beta", "abs_m"):
        if name not in source:
            raise InputError(f"table must have the columns n_spins, beta and abs_m, lacks {name!r}")
    columns = {name: finite_array(f"table[{name!r}]", source[name], ndim=1) for name in source}
    if len({column.shape for column in columns.values()}) != 1:
        shapes = {name: column.size for name, column in columns.items()}
        raise InputError(f"table must have columns of one length, got {shapes}")
    sizes = positive_array("table['n_spins']", columns["n_spins"])
    if np.any(sizes % 1 != 0):
        raise InputError(
            f"table['n_spins'] must hold whole numbers, got {sizes[np.argmax(sizes % 1 != 0)]:g}"
        )
    values = {name: columns[name] for name in QUANTITIES if name in columns}
    missing = np.full(sizes.shape, np.nan)
    errors = {name: columns.get(f"{name}_error", missing) for name in values}
    _add_binder(values, errors)
    return [
        _sorted(
            SizeTable(
                int(n),
                columns["beta"][sizes == n],
                {name: v[sizes == n] for name, v in values.items()},
                {name: e[sizes == n] for name, e in errors.items()},
            )
        )
        for n in np.unique(sizes)
    ]


def _add_binder(values: dict[str, Array], errors: dict[str, Array]) -> None:
    """Replace m4 by the cumulant; without its own error, m2 and m4 count as independent."""
    m4, m4_error = values.pop("m4", None), errors.pop("m4", None)
    if "binder" in values or m4 is None or m4_error is None or "m2" not in values:
        return
    m2, m2_error = values["m2"], errors["m2"]
    values["binder"] = binder_cumulant(m2, m4)
    ratio = m4 / (3 * m2**2)
    errors["binder"] = ratio * np.hypot(m4_error / m4, 2 * m2_error / m2)


def _sorted(table: SizeTable) -> SizeTable:
    order = np.argsort(table.beta)
    return SizeTable(
        table.n_spins,
        table.beta[order],
        {name: v[order] for name, v in table.values.items()},
        {name: e[order] for name, e in table.errors.items()},
    )


def _checked(table: SizeTable) -> SizeTable:
    """Refuse what no logarithm takes, and read zero errors of an exact table as no errors."""
    positive_array(f"beta of n_spins={table.n_spins}", table.beta)
    if np.unique(table.beta).size != table.beta.size:
        raise InputError(f"table must hold each beta once for n_spins={table.n_spins}")
    for name in ("abs_m", "m2"):
        if name in table.values:
            positive_array(f"{name} of n_spins={table.n_spins}", table.values[name])
    errors = {name: np.where(e == 0, np.nan, e) for name, e in table.errors.items()}
    return replace(table, errors=errors)
