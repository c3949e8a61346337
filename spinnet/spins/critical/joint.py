r"""Power laws on both sides of T_c fitted together: one T_c, the covariance of everything."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la
from numpy.typing import NDArray
from scipy import optimize

from spinnet.errors import StatisticsError
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.critical.windows import NEGLIGIBLE, Points, Window

_NOISY = 0.2  # ln y is no longer normal above this relative error


@dataclass(frozen=True)
class Branch:
    """One power law: a column, the side of T_c (+1 above), and the sign of its exponent."""

    name: str
    quantity: str
    side: int
    sign: float
    label: str
    mean_field: float
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows of the table that enter one branch, and the number of analytic terms."""

    branch: Branch
    rows: NDArray[np.intp]
    degree: int


@dataclass(frozen=True, eq=False)
class JointFit:
    """Parameters of all branches, T_c last if it was free.

    Attributes
    ----------
    beta_c : float
    parameters : ndarray, shape (n_params,)
    covariance : ndarray, shape (n_params, n_params)
        Statistical.
    shifts : ndarray, shape (n_params, n_terms)
        By how much each term left out would move each parameter.
    slices : tuple of slice
        Parameters of each branch.
    chi2 : float
    dof : int
    residuals : tuple of ndarray
        ln y less its fit over its error, one array for each branch.
    """

    beta_c: float
    parameters: Array
    covariance: Array
    shifts: Array
    slices: tuple[slice, ...]
    chi2: float
    dof: int
    residuals: tuple[Array, ...]

    @property
    def truncation(self) -> Array:
        """Shift of each parameter by the terms left out, at worst, shape (n_params,)."""
        return np.asarray(np.abs(self.shifts).sum(axis=1))


def branch_points(
    table: SizeTable, branch: Branch, beta_c: float, n_eff: float
) -> tuple[Points, NDArray[np.intp], int]:
    """Return the points of a branch in logarithms, their rows, and how many were unusable.

    Points that are not positive, or known to worse than a fifth, have no normal logarithm.
    """
    y, error = table.values[branch.quantity], table.errors[branch.quantity]
    side = branch.side * (beta_c / table.beta - 1) > 0
    good = side & (y > 0) & np.isfinite(y) & ~(error > _NOISY * np.abs(y))
    rows = np.flatnonzero(good)
    known = bool(np.all(np.isfinite(error[rows])))
    with np.errstate(invalid="ignore"):
        sigma = error[rows] / y[rows] if known else np.full(rows.size, NEGLIGIBLE)
    points = _points(table.beta[rows], beta_c, n_eff, np.log(y[rows]), sigma, branch.scale)
    return points, rows, int(np.sum(side)) - rows.size


def _points(
    beta: Array, beta_c: float, n_eff: float, y: Array, sigma: Array, scale: float
) -> Points:
    r2 = n_eff * (1 - beta / beta_c) ** 2 if n_eff > 0 else None
    return Points(np.abs(beta_c / beta - 1), r2, y, sigma, scale=scale)


def select(points: Points, rows: NDArray[np.intp], branch: Branch, window: Window) -> Selection:
    """Return the selection that a window of points stands for."""
    return Selection(branch, rows[window.rows], window.degree)


class JointProblem:
    """The stacked least squares of several selections of one table."""

    def __init__(self, table: SizeTable, selections: Sequence[Selection], n_eff: float) -> None:
        self.table, self.selections, self.n_eff = table, tuple(selections), n_eff
        parts = [(table.values[s.branch.quantity][s.rows], s) for s in self.selections]
        self.y = np.concatenate([np.log(y) for y, _ in parts])
        self.exact = any(
            not np.all(np.isfinite(table.errors[s.branch.quantity][s.rows])) for _, s in parts
        )
        self.root = la.cholesky(self._covariance(), lower=True)
        sizes = np.cumsum([0, *(s.rows.size for s in self.selections)])
        self.blocks = [slice(int(a), int(b)) for a, b in itertools.pairwise(sizes)]

    def _covariance(self) -> Array:
        """Return the covariance of ln y: branches share the spins of a temperature."""
        if self.exact:
            return np.eye(self.y.size) * NEGLIGIBLE**2
        return np.block(
            [[self._block(one, two) for two in self.selections] for one in self.selections]
        )

    def _block(self, one: Selection, two: Selection) -> Array:
        first, second = one.branch.quantity, two.branch.quantity
        product = self.table.values[first] * self.table.values[second]
        relative = self.table.covariance_of(first, second) / product
        return np.where(one.rows[:, None] == two.rows[None, :], relative[one.rows][:, None], 0.0)

    def points(self, beta_c: float) -> list[Points]:
        """Return the points of each selection at a critical temperature."""
        return [
            _points(
                self.table.beta[s.rows],
                beta_c,
                self.n_eff,
                self.y[block],
                np.ones(s.rows.size),
                s.branch.scale,
            )
            for s, block in zip(self.selections, self.blocks, strict=True)
        ]

    def design(self, beta_c: float) -> tuple[Array, tuple[slice, ...]]:
        """Return the block design matrix and the parameters of each branch."""
        parts = [
            p.columns(s.degree) for p, s in zip(self.points(beta_c), self.selections, strict=True)
        ]
        ends = np.cumsum([0, *(part.shape[1] for part in parts)])
        slices = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))
        return np.asarray(la.block_diag(*parts)), slices

    def _white(self, matrix: Array) -> Array:
        return np.asarray(la.solve_triangular(self.root, matrix, lower=True))

    def chi2(self, beta_c: float) -> float:
        """Return chi2 with all other parameters at their best."""
        white = self._white(self.design(beta_c)[0])
        target = self._white(self.y)
        white = white / np.linalg.norm(white, axis=0)
        q, _ = la.qr(white, mode="economic")
        residual = target - q @ (q.T @ target)
        return float(residual @ residual)

    def best_beta_c(self) -> float:
        """Return the critical temperature of least chi2 between the two phases' points."""
        beta = self.table.beta
        above = [beta[s.rows].max() for s in self.selections if s.branch.side > 0]
        below = [beta[s.rows].min() for s in self.selections if s.branch.side < 0]
        low = max(above) if above else 0.5 * min(below)
        high = min(below) if below else 2 * max(above)
        grid = low + (high - low) * (np.arange(1, 32) / 32)
        values = [self.chi2(float(b)) for b in grid]
        k = int(np.argmin(values))
        if k in (0, len(grid) - 1):
            raise StatisticsError(
                f"beta_c is not fixed by the data: chi2 is least at the end of "
                f"[{low:.8g}, {high:.8g}], the gap between the two phases' points; pass beta_c, "
                "or measure nearer to it on both sides"
            )
        found = optimize.minimize_scalar(
            self.chi2,
            bounds=(grid[k - 1], grid[k + 1]),
            method="bounded",
            options={"xatol": 1e-12 * high},
        )
        return float(found.x)

    def fit(self, beta_c: float, *, free: bool, tie: tuple[int, int] | None = None) -> JointFit:
        """Return the fit, with `beta_c` as the place of least chi2 where it is free.

        `tie` makes two branches share one slope.
        """
        design, slices = self.design(beta_c)
        basis = np.eye(design.shape[1])
        if tie is not None:
            one, two = (slices[k].start + 1 for k in tie)
            basis[two, one] = 1.0
            basis = np.delete(basis, two, axis=1)
        reduced = design @ basis
        scale = np.linalg.norm(self._white(reduced), axis=0)
        best = self._estimator(reduced, scale) @ self.y
        full = basis @ best
        residual = self.y - design @ full
        columns, lift = reduced, basis
        if free:
            slope = self._slope_in_beta_c(beta_c, full)
            columns = np.column_stack([reduced, slope])
            lift = la.block_diag(basis, np.eye(1))
        estimator = lift @ self._estimator(columns, np.linalg.norm(self._white(columns), axis=0))
        spread = estimator @ self.root
        white = self._white(residual)
        dof = self.y.size - columns.shape[1]
        covariance = spread @ spread.T
        if self.exact:
            covariance = covariance * (white @ white / dof if dof > 0 else np.nan)
        left_out = la.block_diag(
            *[
                p.left_out(s.degree)
                for p, s in zip(self.points(beta_c), self.selections, strict=True)
            ]
        )
        return JointFit(
            beta_c,
            full,
            covariance,
            estimator @ left_out,
            slices,
            float(white @ white),
            dof,
            tuple(residual[b] / np.diagonal(self.root)[b] for b in self.blocks),
        )

    def _estimator(self, columns: Array, scale: Array) -> Array:
        q, r = la.qr(self._white(columns / scale), mode="economic")
        white = la.solve_triangular(r, q.T) / scale[:, None]
        return np.asarray(la.solve_triangular(self.root, white.T, lower=True, trans="T").T)

    def _slope_in_beta_c(self, beta_c: float, parameters: Array) -> Array:
        """Return d(fit)/d(beta_c) at fixed parameters, by central differences."""
        nearest = min(float(p.t.min()) for p in self.points(beta_c))
        step = 1e-4 * nearest * beta_c
        up, down = (self.design(beta_c + sign * step)[0] @ parameters for sign in (1, -1))
        return np.asarray(up - down) / (2 * step)
