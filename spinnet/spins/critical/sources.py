"""What a study of criticality reads: columns, Monte Carlo runs, reweighted curves, exact sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.spins.critical.reweighting import Reweighted
from spinnet.spins.critical.reweighting.quantities import QUANTITIES as REWEIGHTED
from spinnet.spins.critical.table import (
    SizeTable,
    add_derived,
    from_chains,
    from_columns,
    known_errors,
    sorted_by_beta,
)
from spinnet.spins.models import NetworkDual
from spinnet.spins.statistics import MIN_UNITS, binder_cumulant
from spinnet.validation import positive_array

Array = NDArray[np.float64]
_EXACT = ("abs_m", "m2", "binder", "susceptibility_abs", "specific_heat")
_KINDS = "a mapping of columns or a sequence of runs, Reweighted, exact results or SizeTables"
_SYMMETRIC = 1e-9  # |<m>| of an exact result without a field is rounding


def read_table(
    source: Any, *, min_sizes: int = 2, needed: Sequence[str] = ("abs_m",)
) -> list[SizeTable]:
    """Return one table for each size, smallest first.

    Parameters
    ----------
    source : mapping, run, Reweighted, exact result, SizeTable, or sequence of these but mappings
        A mapping has the columns n_spins, beta, abs_m, and as far as known m2, m4 (or binder),
        susceptibility, susceptibility_abs and specific_heat, each with its ``_error``.  A run
        has .model.n_spins, .beta, .estimate(name) and .derived(function).
    min_sizes : int
        Fewer sizes are refused.
    needed : sequence of str
        Columns that a mapping must have, and that runs must have errors of.
    """
    if isinstance(source, Mapping):
        tables = from_columns(source, needed)
    else:
        tables = [_from_item(item, needed) for item in items_of(source)]
    tables = [_checked(t) for t in sorted(tables, key=lambda t: t.n_spins)]
    sizes = [t.n_spins for t in tables]
    if len(set(sizes)) != len(sizes):
        raise InputError(f"table must hold each size once, got sizes {sizes}")
    if len(sizes) < min_sizes:
        plural = "" if min_sizes == 1 else "s"
        raise StatisticsError(
            f"at least {min_sizes} size{plural} needed, got {sizes}; run more sizes"
        )
    check_errors(tables, *needed)
    return tables


def items_of(source: Any) -> list[Any]:
    """Return the runs, curves, results or tables of a source, which may be a single one."""
    if isinstance(source, SizeTable) or any(
        hasattr(source, name) for name in ("estimate", "log_z", "magnetizations")
    ):
        return [source]
    if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        raise InputError(f"source must be {_KINDS}, got {source!r:.80}")
    return list(source)


def reweighted_curves(source: Any) -> list[Reweighted] | None:
    """Return the curves, smallest size first, of a source that holds nothing else; else None."""
    items = [source] if isinstance(source, Reweighted) else source
    if not isinstance(items, Sequence) or not items:
        return None
    if not all(isinstance(item, Reweighted) for item in items):
        return None
    for curves in items:
        refuse_fields(curves.model)
    ordered = sorted(items, key=lambda curves: curves.model.n_spins)
    sizes = [curves.model.n_spins for curves in ordered]
    if len(set(sizes)) != len(sizes):
        raise InputError(f"source must hold each size once, got sizes {sizes}")
    return ordered


def check_errors(tables: Sequence[SizeTable], *names: str) -> None:
    """Refuse a column of which some values have an error and others have none."""
    for name in names:
        points = [
            (t.n_spins, beta, bool(np.isfinite(error)))
            for t in tables
            if name in t.values
            for beta, error in zip(t.beta, t.errors[name], strict=True)
        ]
        without = [point for point in points if not point[2]]
        if without and len(without) < len(points):
            n, beta, _ = without[0]
            raise StatisticsError(
                f"{name} must have an error at every point or at none (an error of 0 is none), "
                f"got {len(without)} of {len(points)} without, the first at n_spins={n}, "
                f"beta={beta:.8g}"
            )


def refuse_fields(model: Any) -> None:
    """Refuse a model whose plain <|m|> is no order parameter of a transition at h = 0."""
    if getattr(model, "levels", (-1, 1)) != (-1, 1):
        raise InputError(
            f"units must be -1 and +1: <|m|> of levels {model.levels} is no order parameter; pass "
            "the model with levels=(-1, 1)"
        )
    if isinstance(model, NetworkDual) and model.kind != "collapsed":
        model = model.as_bipartite()
    largest = float(np.max(np.abs(model.fields), initial=0.0))
    if largest > 0:
        raise InputError(
            f"model must have no fields, got {largest:.6g} (the largest) for n_spins="
            f"{model.n_spins}: <m> is not 0 by symmetry then, and there is no transition; use h=0 "
            "or fields='zero'.  Only the specific heat is taken from models with fields"
        )


def _from_item(item: Any, needed: Sequence[str]) -> SizeTable:
    if isinstance(item, SizeTable):
        return item
    symmetric = tuple(needed) != ("specific_heat",)
    if isinstance(item, Reweighted) or hasattr(item, "estimate"):
        if symmetric:
            refuse_fields(item.model)
        return _from_curve(item) if isinstance(item, Reweighted) else _from_run(item, needed)
    if hasattr(item, "log_z"):
        return _from_exact(item, symmetric)
    if hasattr(item, "magnetizations"):
        raise InputError(
            "mean-field solutions have no finite size: temperature_exponents takes a sequence of "
            "them, one for each temperature"
        )
    hint = "; pass one mapping with the rows of all sizes" if isinstance(item, Mapping) else ""
    raise InputError(f"source must be {_KINDS}, got a {type(item).__name__} in it{hint}")


def _from_exact(result: Any, symmetric: bool) -> SizeTable:
    """Read an exact result: no errors."""
    beta = np.ravel(np.asarray(result.beta, dtype=np.float64))
    n = int(result.n_spins)
    order = float(np.max(np.abs(result.magnetization), initial=0.0))
    if symmetric and order > _SYMMETRIC:
        raise InputError(
            f"exact results must be at h = 0, got <m> = {order:.6g} for n_spins={n}; only the "
            "specific heat is taken from models with fields"
        )
    values = {name: np.ravel(np.asarray(getattr(result, name), dtype=float)) for name in _EXACT}
    values["susceptibility"] = beta * n * values["m2"]
    return sorted_by_beta(
        SizeTable(n, beta, values, {k: np.full(beta.shape, np.nan) for k in values})
    )


def _from_run(run: Any, needed: Sequence[str]) -> SizeTable:
    beta = np.ravel(np.asarray(run.beta, dtype=np.float64))
    n = int(run.model.n_spins)
    if hasattr(run, "samples") and run.n_replicas >= MIN_UNITS:
        return sorted_by_beta(_from_series(run, n, beta))
    derived = getattr(run, "derived", None)
    names = ("abs_m", "m2") if derived else ("abs_m", "m2", "m4")
    estimates = {name: run.estimate(name) for name in names}
    if derived:  # its jackknife knows that m2 and m4 come from the same spins
        estimates["binder"] = derived(binder_cumulant)
    for name in ("susceptibility_abs", "specific_heat"):
        if hasattr(run, name):
            estimates[name] = getattr(run, name)
    values = {k: np.ravel(np.asarray(e.value, dtype=float)) for k, e in estimates.items()}
    errors = {k: np.ravel(np.asarray(e.error, dtype=float)) for k, e in estimates.items()}
    for name in [name for name in values if not np.all(np.isfinite(errors[name]))]:
        if name in ("abs_m", *needed):
            note = getattr(estimates[name], "note", "")
            raise StatisticsError(
                f"{name} of n_spins={n} has no error at some temperature"
                + (f" ({note})" if note else "")
                + f": sample longer, or with {MIN_UNITS} replicas or more"
            )
        del values[name], errors[name]
    add_derived(n, beta, values, errors)
    return sorted_by_beta(SizeTable(n, beta, values, errors))


def _from_series(run: Any, n: int, beta: Array) -> SizeTable:
    """Read the sweeps done at each temperature, with the jackknife over replicas."""
    rows = []
    for k, inverse in enumerate(beta):
        m = np.asarray(run.samples("m", k), dtype=np.float64)
        if not m.size:
            raise StatisticsError(
                f"the run of n_spins={n} has no sweep done at beta={inverse:.8g}: let it go on"
            )
        energy = np.asarray(run.samples("energy", k), dtype=np.float64)
        rows.append(from_chains(n, beta[k : k + 1], m[None], energy[None]))
    return _stacked(rows)


def _stacked(rows: Sequence[SizeTable]) -> SizeTable:
    """Return one table of the rows of several, all of one size with a covariance."""
    first = rows[0]
    assert first.covariance is not None
    return SizeTable(
        first.n_spins,
        np.concatenate([row.beta for row in rows]),
        {name: np.concatenate([row.values[name] for row in rows]) for name in first.values},
        {name: np.concatenate([row.errors[name] for row in rows]) for name in first.errors},
        np.concatenate([row.covariance for row in rows if row.covariance is not None]),
    )


def _from_curve(curves: Reweighted) -> SizeTable:
    """Read a reweighted curve at one temperature, all columns from the same replicates."""
    n, beta = curves.model.n_spins, np.ravel(curves.beta)
    if beta.size != 1:
        raise InputError(
            f"the {beta.size} temperatures of a reweighted curve share their samples, and would "
            f"count as independent (n_spins={n}): pass the runs themselves, or one temperature, "
            "curves.at(beta).  binder_crossings, maxima and, with beta_c, exponents take curves"
        )
    if not curves.n_replicas:
        raise StatisticsError(f"reweighted curve of n_spins={n} has no errors: {curves.note}")
    functions: dict[str, tuple[Any, ...]] = {
        "abs_m": (_same, "abs_m"),
        "m2": (_same, "m2"),
        "susceptibility": (lambda b, m2: b * n * m2, "beta", "m2"),
    }
    for name in ("binder", "susceptibility_abs", "specific_heat"):
        function, *arguments = REWEIGHTED[name]
        functions[name] = (partial(function, n), *arguments)
    values, rows = {}, []
    for name, (function, *arguments) in functions.items():
        values[name] = np.ravel(curves.derived(function, *arguments).value)
        rows.append(curves.replicates(function, *arguments).reshape(-1))
    values["log_slope"], slopes = _log_slope(curves, float(beta[0]))
    deviation = np.array([*rows, slopes])
    deviation = deviation - deviation.mean(axis=1, keepdims=True)
    units = curves.n_replicas
    covariance = (units - 1) / units * deviation @ deviation.T
    errors = np.sqrt(np.diagonal(covariance))
    return SizeTable(
        n,
        beta,
        values,
        {name: errors[k : k + 1] for k, name in enumerate(values)},
        covariance[None],
    )


def _same(x: Any) -> Any:
    return x


def _log_slope(curves: Reweighted, beta: float) -> tuple[Array, Array]:
    """Return d ln<|m|>/d beta of a curve and of its replicates, by differences.

    Steps of 0.02 standard deviations of the energy err by 1e-8 of the derivative.
    """
    heat = float(np.ravel(curves.specific_heat.value)[0])
    step = 0.02 * beta / np.sqrt(heat * curves.model.n_spins)
    near = curves.at(beta + step * np.array([-2.0, -1.0, 1.0, 2.0]))
    rule = np.array([1.0, -8.0, 8.0, -1.0]) / (12 * step)
    value = near.derived(np.log, "abs_m").value @ rule
    return np.array([value]), near.replicates(np.log, "abs_m") @ rule


def _checked(table: SizeTable) -> SizeTable:
    """Refuse what no logarithm takes, and read zero errors of an exact table as no errors."""
    positive_array(f"beta of n_spins={table.n_spins}", table.beta)
    if np.unique(table.beta).size != table.beta.size:
        raise InputError(f"table must hold each beta once for n_spins={table.n_spins}")
    if table.n_spins == 0:
        raise InputError("table['n_spins'] must be > 0 for finite-size scaling, got 0")
    for name in ("abs_m", "m2"):
        if name in table.values:
            positive_array(f"{name} of n_spins={table.n_spins}", table.values[name])
    return known_errors(table)
