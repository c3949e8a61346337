r"""Least squares of a collapse: exponents are sought, the master curve is eliminated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
from numpy.polynomial import chebyshev
from scipy import optimize

from spinnet.errors import StatisticsError
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.table import SizeTable

Fit = tuple[tuple[float, float, float], Array, float]  # parameters, covariance, chi2
_STARTS = ((0.0, 0.5), (0.0, 0.35), (0.0, 0.7), (-0.5, 0.5), (0.5, 0.5))  # shift of x, 1/nu_bar


@dataclass(frozen=True, eq=False)
class Data:
    """The points that are fitted."""

    n: Array
    beta: Array
    y: Array
    sigma: Array
    known: bool


@dataclass(frozen=True)
class Master:
    """The form of the master curve."""

    reach: float
    degree: int
    correction: float | None
    correction_degree: int

    def design(self, data: Data, p: Sequence[float]) -> Array:
        """Return the columns of N^kappa [f(x) + N^-omega g(x)] for given parameters."""
        beta_c, power, kappa = p
        x = data.n**power * (1 - data.beta / beta_c) / self.reach
        columns = chebyshev.chebvander(x, self.degree)
        if self.correction is not None:
            extra = chebyshev.chebvander(x, self.correction_degree)
            columns = np.hstack([columns, extra * data.n[:, None] ** -self.correction])
        return np.asarray(columns * data.n[:, None] ** kappa)


def near_data(
    tables: Sequence[SizeTable], name: str, beta_0: float, kappa_0: float, master: Master
) -> Data:
    """Return the points within reach of a first beta_c; refuse too few."""
    columns = []
    for table in tables:
        near = np.sqrt(table.n_spins) * np.abs(1 - table.beta / beta_0) <= master.reach * 1.000001
        size = np.full(int(near.sum()), float(table.n_spins))
        columns.append((size, table.beta[near], table.values[name][near], table.errors[name][near]))
    n, beta, y, sigma = (np.concatenate(c) for c in zip(*columns, strict=True))
    for column, table in zip(columns, tables, strict=True):
        if column[0].size == 0:
            raise StatisticsError(
                f"no point of n_spins={table.n_spins} lies within reach={master.reach:g} of beta="
                f"{beta_0:.8g}: raise reach, leave the size out, or measure nearer to beta_c"
            )
    parameters = master.degree + 1 + master.correction_degree + 1 + 3
    sizes = np.unique(n)
    if sizes.size < 2 + (master.correction is not None) or n.size < parameters + 2:
        raise StatisticsError(
            f"{n.size} points of sizes {sizes.astype(int).tolist()} lie within reach="
            f"{master.reach:g} of beta={beta_0:.8g}; {parameters + 2} points of "
            f"{2 + (master.correction is not None)} or more sizes are needed: measure more "
            "temperatures, or lower degree"
        )
    known = bool(np.all(np.isfinite(sigma)))
    return Data(n, beta, y, sigma if known else n**kappa_0, known)


def refuse_one_phase(data: Data, beta_c: float) -> None:
    """Refuse a beta_c that does not lie between the points of every size."""
    for size in np.unique(data.n):
        beta = data.beta[data.n == size]
        if beta.size > 1 and not beta.min() <= beta_c <= beta.max():
            raise StatisticsError(
                f"the best collapse has beta_c={beta_c:.8g}, with all points of n_spins="
                f"{size:.0f}, beta in [{beta.min():.8g}, {beta.max():.8g}], in one phase: measure "
                "longer, on both sides of beta_c, or pass beta_c",
                beta_c,
            )


class Problem:
    """Least squares in the held-or-free parameters; the master curve is eliminated."""

    def __init__(self, data: Data, master: Master, held: tuple[float | None, ...]) -> None:
        self.data, self.master, self.held = data, master, held
        self.free = [k for k, value in enumerate(held) if value is None]

    def full(self, p: Array, scale: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return all three parameters; free ones move about `scale` in units of its errors."""
        values = list(scale)
        for k, step in zip(self.free, p, strict=True):
            values[k] = scale[k] + step * (scale[0] * self._unit if k == 0 else 1.0)
        return float(values[0]), float(values[1]), float(values[2])

    @property
    def _unit(self) -> float:
        return float(self.data.n.max() ** -0.5)

    def residual(self, p: tuple[float, float, float]) -> Array:
        """Return the whitened residual with the best master curve."""
        design = self.master.design(self.data, p) / self.data.sigma[:, None]
        q, _ = la.qr(design / np.linalg.norm(design, axis=0), mode="economic")
        target = self.data.y / self.data.sigma
        return np.asarray(target - q @ (q.T @ target))

    def best(self, start: tuple[float, float, float]) -> Fit:
        """Return the fit of least chi2 from several starts about `start`, the points the same."""
        fits, reason = [], None
        for shift, power in _STARTS:
            moved = start[0] * (1 + shift * self._unit) if 0 in self.free else start[0]
            chosen = power if 1 in self.free else start[1]
            try:
                fits.append(self.solve((moved, chosen, start[2])))
            except StatisticsError as error:
                reason = reason or error
            if not {0, 1} & set(self.free):
                break
        if not fits:
            assert reason is not None
            raise reason
        return min(fits, key=lambda fit: fit[2])

    def solve(self, start: tuple[float, float, float]) -> Fit:
        """Return parameters, their covariance (from the curvature), and chi2."""
        if np.isnan(start[2]):
            start = (start[0], start[1], self._first_kappa())
        if not self.free:
            rest = self.residual(start)
            return start, np.zeros((3, 3)), float(rest @ rest)
        first = start

        def residual(p: Array) -> Array:
            return self.residual(self.full(p, first))

        found: Any = optimize.least_squares(
            residual,
            np.zeros(len(self.free)),
            method="lm",
            diff_step=np.full(len(self.free), 1e-6),
            x_scale=0.1,
            max_nfev=200,
        )
        best = self.full(found.x, start)
        if not 0.05 < best[1] < 5 or best[0] <= 0 or not found.success:
            raise StatisticsError(
                f"the collapse has no minimum near its start (beta_c={best[0]:.6g}, 1/nu_bar="
                f"{best[1]:.6g}): give one of the parameters, or measure longer"
            )
        jacobian: Array = found.jac
        inverse = np.linalg.pinv(jacobian.T @ jacobian)
        units = np.array([best[0] * self._unit if k == 0 else 1.0 for k in self.free])
        covariance = np.zeros((3, 3))
        covariance[np.ix_(self.free, self.free)] = inverse * np.outer(units, units)
        return best, covariance, float(2 * found.cost)

    def _first_kappa(self) -> float:
        """Return the growth of the points nearest to beta_c with N."""
        data = self.data
        rows = []
        for n in np.unique(data.n):
            here = np.flatnonzero(data.n == n)
            rows.append((np.log(n), np.log(np.median(np.abs(data.y[here])))))
        x, y = np.array(rows).T
        return float(np.polyfit(x, y, 1)[0])
