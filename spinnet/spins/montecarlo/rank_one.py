r"""Exact independent draws of the auxiliary field of couplings f_i f_j.

With one factor the field x is one number, and zeta = beta x has the density

.. math:: p(\zeta) \propto \exp L(\zeta), \qquad
          L(\zeta) = -\frac{\zeta^2}{2\beta} + \sum_i \ln\cosh(\zeta f_i + \beta h_i).

Its second derivative lies between -1/beta and sum_i f_i^2/cosh^2(.) - 1/beta.  On a cell of
width w the chord of L plus w^2/(8 beta) therefore bounds L from above, and the chord less C w^2/8
from below, with C the largest second derivative on the cell.  A draw takes a cell by the mass of
its upper bound, a place in it by inversion, and is accepted by rejection: at once by the lower
bound, or else by L itself.  The result is exact but for cells left out, in which the density is
below exp(-60) of its largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.errors import InputError
from spinnet.spins.montecarlo.alias import AliasTable
from spinnet.xoshiro import next_word, uniform

Array = NDArray[np.float64]
_GAP = 0.005  # between either bound and L: about one draw in a hundred is decided by L itself
_NEGLIGIBLE = 60.0
_MOST_CELLS = 1_000_000
_LARGEST = 1e11  # of L: its rounding then is 1e-5


@compiled(inline="always")
def _log_cosh(a: Any) -> Any:
    """Return ln cosh a, plus ln 2."""
    return abs(a) + math.log1p(math.exp(-2.0 * abs(a)))


@compiled()
def _log_density(zeta: Any, beta: Any, f: Any, beta_h: Any, counts: Any) -> Any:
    total = -0.5 * zeta * zeta / beta
    for i in range(f.shape[0]):
        total += counts[i] * _log_cosh(zeta * f[i] + beta_h[i])
    return total


@compiled(nogil=True)
def _log_densities(zetas: Any, beta: Any, f: Any, beta_h: Any, counts: Any, out: Any) -> None:
    for k in range(zetas.shape[0]):
        out[k] = _log_density(zetas[k], beta, f, beta_h, counts)


@compiled(nogil=True)
def _largest_curvatures(
    left: Any, width: Any, beta: Any, f: Any, beta_h: Any, counts: Any, out: Any
) -> None:
    """Fill `out` with bounds of L'' on each cell."""
    for k in range(left.shape[0]):
        total = -1.0 / beta
        for i in range(f.shape[0]):
            a = left[k] * f[i] + beta_h[i]
            b = a + width[k] * f[i]
            nearest = 0.0 if a * b <= 0.0 else min(abs(a), abs(b))
            t = math.exp(-2.0 * nearest)
            total += counts[i] * f[i] * f[i] * 4.0 * t / (1.0 + t) ** 2
        out[k] = max(total, 0.0)


@dataclass(frozen=True, eq=False)
class FieldTable:
    """The cells of one temperature.

    Attributes
    ----------
    cells : ndarray, shape (n, 5)
        Left end, width, L there, rise of the chord, largest second derivative.
    alias : AliasTable
        By the mass below the upper bound.
    """

    cells: Array
    alias: AliasTable

    @classmethod
    def of(cls, beta: float, f: Array, beta_h: Array, counts: Array) -> FieldTable:
        """Return the table at beta > 0 of `counts` spins each with factor f and field beta h."""
        terms = (beta, f, beta_h, counts)
        edge = beta * float(np.sum(counts * np.abs(f))) + 12.0 * math.sqrt(beta)
        nodes = np.linspace(-edge, edge, 65)
        left, width = nodes[:-1], np.diff(nodes)
        a, b = _values(left, terms), _values(nodes[1:], terms)
        best, done = max(a.max(), b.max()), []
        if abs(best) > _LARGEST:
            raise InputError(
                f"beta={beta:.6g} is too cold for the table of Independent(): logarithms of "
                f"weights reach {best:.3g}, which rounding spoils; use AuxiliaryField()"
            )
        while len(left):
            slack = width**2 / (8 * beta)
            keep = np.maximum(a, b) + slack > best - _NEGLIGIBLE
            left, width, a, b, slack = (x[keep] for x in (left, width, a, b, slack))
            curvature = np.full(len(left), np.inf)
            narrow = slack <= _GAP
            bound = np.empty(int(narrow.sum()))
            _largest_curvatures(left[narrow], width[narrow], *terms, bound)
            curvature[narrow] = bound
            final = curvature * width**2 / 8 <= _GAP
            done.append(np.column_stack([left, width, a, b - a, curvature])[final])
            left, width, a, b = (x[~final] for x in (left, width, a, b))
            if sum(map(len, done)) + len(left) > _MOST_CELLS:
                raise InputError(
                    f"beta={beta:.6g} is too cold for the table of Independent() (more than "
                    f"{_MOST_CELLS} cells); use AuxiliaryField()"
                )
            middle = _values(left + width / 2, terms)
            best = max(best, middle.max(initial=best))
            left = np.concatenate([left, left + width / 2])
            width = np.concatenate([width, width]) / 2
            a, b = np.concatenate([a, middle]), np.concatenate([middle, b])
        cells = np.concatenate(done)
        rise = cells[:, 3]
        flat = np.abs(rise) < 1e-8
        mean = np.where(flat, 1 + rise / 2, np.expm1(rise) / np.where(flat, 1.0, rise))
        slack = cells[:, 1] ** 2 / (8 * beta)
        mass = cells[:, 1] * np.exp(cells[:, 2] - best + slack) * mean
        return cls(np.ascontiguousarray(cells), AliasTable.of(mass))


def _values(zetas: Array, terms: tuple[Any, ...]) -> Array:
    out = np.empty(len(zetas))
    _log_densities(np.ascontiguousarray(zetas), *terms, out)
    return out


@compiled(nogil=True)
def draw_fields(
    state: Any,
    beta: Any,
    f: Any,
    beta_h: Any,
    counts: Any,
    cells: Any,
    columns: Any,
    rest: Any,
    out: Any,
) -> None:
    """Fill `out` with independent zeta; `state` is a scalar stream (uint64, (4,))."""
    n = cells.shape[0]
    for t in range(out.shape[0]):
        while True:
            # a column, as in the module alias, one at a time
            word = next_word(state)
            low = (word & np.uint64(0xFFFFFFFF)) * np.uint64(n)
            product = (word >> np.uint64(32)) * np.uint64(n) + (low >> np.uint64(32))
            k = np.int64(product >> np.uint64(32))
            fraction = (product << np.uint64(32)) | (low & np.uint64(0xFFFFFFFF))
            threshold = ((columns[k] >> np.uint64(32)) << np.uint64(32)) | np.uint64(rest[k])
            if fraction >= threshold:
                k = np.int64(columns[k] & np.uint64(0xFFFFFFFF))
            width, rise = cells[k, 1], cells[k, 3]
            u = uniform(state)
            place = u if abs(rise) < 1e-8 else math.log1p(u * math.expm1(rise)) / rise
            zeta = cells[k, 0] + width * place
            upper = cells[k, 2] + rise * place + width * width / (8.0 * beta)
            log_v = math.log(1.0 - uniform(state))
            lower = cells[k, 2] + rise * place - cells[k, 4] * width * width / 8.0
            if log_v <= lower - upper:
                break
            if log_v <= _log_density(zeta, beta, f, beta_h, counts) - upper:
                break
        out[t] = zeta
