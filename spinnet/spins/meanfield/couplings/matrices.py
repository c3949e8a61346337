"""Couplings held as one matrix, dense or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from spinnet.spins.meanfield.couplings.base import (
    Coupling,
    TopMode,
    log_det_of,
    mode_of,
    solve_symmetric,
    top_pairs,
)
from spinnet.spins.models.base import Array

_KRYLOV_TOLERANCE = 1e-13
_KRYLOV_STEPS = 100
_REFINEMENTS = 3


class DenseCoupling(Coupling):
    """A dense symmetric matrix; its diagonal, if any, acts as a self-coupling."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix
        self.n_spins = self.size = matrix.shape[0]

    def _scaled(self, s: Array) -> Array:
        return np.asarray(s[:, None] * self.matrix * s)

    def apply(self, x: Array) -> Array:
        """Return J x."""
        return np.asarray(self.matrix @ x)

    def solve(self, s: Array, rhs: Array) -> Array:
        """Return (1 - S J S)^{-1} rhs."""
        return solve_symmetric(np.eye(self.size) - self._scaled(s), rhs)

    def top_of(self, s: Array) -> float:
        """Return the largest eigenvalue of S J S."""
        return float(top_pairs(self._scaled(s), 1)[0][0])

    def log_det(self, s: Array) -> float:
        """Return ln det(1 - S J S)."""
        return log_det_of(np.eye(self.size) - self._scaled(s))

    def top(self) -> TopMode:
        """Return the top eigenpair of J."""
        values, vectors = top_pairs(self.matrix, 2)
        return mode_of(values, vectors[:, 0])

    def row_squares(self, unit: float = 1.0) -> Array:
        """Return sum_j (J_ij/unit)^2 without the diagonal."""
        squares = (self.matrix / unit) ** 2
        return np.asarray(squares.sum(axis=1) - np.diagonal(squares))

    def strongest(self) -> float:
        """Return max |J_ij| over i != j."""
        off = np.abs(self.matrix)
        np.fill_diagonal(off, 0.0)
        return float(off.max())

    def fourth_powers(self, unit: float) -> float:
        """Return sum_ij (J_ij/unit)^4 over i != j."""
        powers = (self.matrix / unit) ** 4
        return float(powers.sum() - np.trace(powers))

    def bonds(self) -> tuple[Array, int, int]:
        """Return every bond twice, their number, and N(N - 1)/2."""
        off = self.matrix.copy()
        np.fill_diagonal(off, 0.0)
        values = off[off != 0]
        return values, values.size // 2, self.size * (self.size - 1) // 2

    def eigenvalues(self) -> Array:
        """Return the spectrum of J, ascending."""
        return np.asarray(la.eigvalsh(self.matrix))


class SparseCoupling(Coupling):
    """A sparse symmetric matrix: Krylov solvers, and one sparse LU where ln det is asked for."""

    def __init__(self, matrix: sp.csr_array) -> None:
        self.matrix = matrix
        self.n_spins = self.size = int(matrix.shape[0])

    def _scaled(self, s: Array) -> sp.csr_array:
        scale = sp.diags_array(s)
        return sp.csr_array(scale @ self.matrix @ scale)

    def _factor(self, s: Array) -> Any:
        matrix = sp.csc_array(sp.eye_array(self.size) - self._scaled(s))
        try:
            return sla.splu(
                matrix,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:  # SuperLU's word for a singular matrix
            raise la.LinAlgError(str(error)) from error

    def apply(self, x: Array) -> Array:
        """Return J x."""
        return np.asarray(self.matrix @ x)

    def solve(self, s: Array, rhs: Array) -> Array:
        """Return (1 - S J S)^{-1} rhs by MINRES, or by LU where MINRES stalls."""
        if rhs.ndim == 2:
            return np.asarray(self._factor(s).solve(rhs))
        matrix = sp.csr_array(sp.eye_array(self.size) - self._scaled(s))
        x = np.zeros(self.size)
        for _ in range(_REFINEMENTS):
            error = rhs - matrix @ x
            if np.abs(error).max() <= _KRYLOV_TOLERANCE * np.abs(rhs).max():
                return x
            x = x + sla.minres(matrix, error, rtol=_KRYLOV_TOLERANCE, maxiter=_KRYLOV_STEPS)[0]
        return np.asarray(self._factor(s).solve(rhs))

    def top_of(self, s: Array) -> float:
        """Return the largest eigenvalue of S J S."""
        return float(top_pairs(self._scaled(s), 1)[0][0])

    def log_det(self, s: Array) -> float:
        """Return ln det(1 - S J S) from the pivots, positive at a stable point."""
        pivots = self._factor(s).U.diagonal()
        return float(np.log(np.abs(pivots)).sum())

    def top(self) -> TopMode:
        """Return the top eigenpair of J."""
        values, vectors = top_pairs(self.matrix, 2)
        return mode_of(values, vectors[:, 0])

    def row_squares(self, unit: float = 1.0) -> Array:
        """Return sum_j (J_ij/unit)^2 without the diagonal."""
        squares = (self.matrix / unit).power(2)
        total = np.asarray(squares.sum(axis=1), dtype=float).ravel()
        return np.asarray(total - np.asarray(squares.diagonal(), dtype=float))

    def strongest(self) -> float:
        """Return max |J_ij| over i != j."""
        off = self.matrix - sp.diags_array(self.matrix.diagonal())
        return float(np.abs(off.data).max()) if off.nnz else 0.0

    def fourth_powers(self, unit: float) -> float:
        """Return sum_ij (J_ij/unit)^4 over i != j."""
        diagonal = self.matrix.diagonal() / unit
        return float(((self.matrix.data / unit) ** 4).sum() - (diagonal**4).sum())

    def bonds(self) -> tuple[Array, int, int]:
        """Return every bond twice, their number, and N(N - 1)/2."""
        off = sp.csr_array(self.matrix - sp.diags_array(self.matrix.diagonal()))
        values = off.data[off.data != 0]
        return values, values.size // 2, self.size * (self.size - 1) // 2

    def eigenvalues(self) -> Array:
        """Return the spectrum of J, ascending, from a dense copy."""
        return np.asarray(la.eigvalsh(self.matrix.toarray()))
