"""Sources of a temperature sweep at one size: runs, tables, exact sums, mean-field solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spinnet.errors import InputError, StatisticsError
from spinnet.spins.critical.scaling_functions import maximum_of
from spinnet.spins.critical.sources import read_table
from spinnet.spins.critical.table import QUANTITIES, SizeTable, from_columns, known_errors
from spinnet.validation import finite_array, positive_array


def read_sweep(source: Any) -> SizeTable:
    """Return the table of one size.

    Parameters
    ----------
    source : run, exact result, SizeTable, mapping of columns, or sequence of Solutions
        A mapping needs beta and any of the quantities; without n_spins (or with 0) it stands
        for the limit of infinitely many spins, as mean-field solutions do.
    """
    if isinstance(source, SizeTable):
        positive_array("beta", source.beta)
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if _solutions(source):
        return _from_solutions(list(source))
    tables = read_table(source, min_sizes=1)
    if len(tables) != 1:
        raise InputError(
            f"source must hold one size, got {[t.n_spins for t in tables]}; pass one of them, or "
            "use exponents() for a sweep in N"
        )
    return tables[0]


def _solutions(source: Any) -> bool:
    return (
        isinstance(source, Sequence)
        and len(source) > 0
        and all(hasattr(item, "magnetizations") for item in source)
    )


def _from_mapping(source: Mapping[str, Any]) -> SizeTable:
    if "beta" not in source:
        raise InputError("source must have the column 'beta'")
    if not any(name in source for name in QUANTITIES):
        raise InputError(f"source must have one of the columns {', '.join(QUANTITIES)}")
    sizes = np.unique(finite_array("n_spins", source.get("n_spins", 0)))
    if sizes.size != 1:
        raise InputError(f"source must hold one size, got n_spins {sizes.tolist()}")
    columns = {**source, "n_spins": np.full(np.shape(source["beta"]), sizes[0])}
    table = known_errors(from_columns(columns, needed=())[0])
    positive_array("beta", table.beta)
    if np.unique(table.beta).size != table.beta.size:
        raise InputError("source must hold each beta once")
    return table


def _from_solutions(solutions: Sequence[Any]) -> SizeTable:
    """Read the order along the top mode, per spin, and the response along it."""
    order = np.argsort([s.beta for s in solutions], kind="stable")
    rows = [solutions[int(k)] for k in order]
    beta = np.array([s.beta for s in rows], dtype=np.float64)
    if np.unique(beta).size != beta.size:
        raise InputError("source must hold each beta once")
    m = [abs(float(s.top_mode @ s.magnetizations)) / np.sqrt(s.n_spins) for s in rows]
    chi = [float(s.susceptibility_top) for s in rows]
    values = {"abs_m": np.array(m), "susceptibility": np.array(chi)}
    return SizeTable(0, beta, values, {name: np.full(beta.shape, np.nan) for name in values})


def guess_beta_c(table: SizeTable, n_eff: float) -> float:
    """Return a first critical temperature: where order appears, or from the peak of chi."""
    if n_eff == 0 and "abs_m" in table.values:
        m = table.values["abs_m"]
        ordered = m > 1e-6 * m.max()
        if ordered.all() or not ordered.any():
            raise StatisticsError(
                "source must hold temperatures on both sides of T_c to find it; pass beta_c"
            )
        k = int(np.argmax(ordered))
        return float(table.beta[max(k - 1, 0) : k + 1].mean())
    if n_eff > 0 and "susceptibility_abs" in table.values:
        k = int(np.argmax(table.values["susceptibility_abs"]))
        if k in (0, table.beta.size - 1):
            raise StatisticsError(
                "susceptibility_abs is largest at the end of the temperatures, beta="
                f"{table.beta[k]:.6g}: measure on both sides of T_c, or pass beta_c"
            )
        shift = maximum_of("susceptibility_abs").r / np.sqrt(n_eff)
        return float(table.beta[k] / (1 - shift))
    raise StatisticsError(
        "source does not show where T_c is (it needs abs_m of a mean-field theory, or "
        "susceptibility_abs of a finite system); pass beta_c"
    )
