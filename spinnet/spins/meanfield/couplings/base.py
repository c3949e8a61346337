r"""The linear algebra of mean-field theory, whatever the shape of the coupling matrix.

Everything rests on one symmetric matrix.  With s_i = sqrt(beta (1 - m_i^2)) and
S = diag(s), the response of a saddle point is

.. math:: \chi = S (1 - S J S)^{-1} S,

it is stable while the largest eigenvalue of S J S is below 1, and its fluctuations weigh
ln det(1 - S J S).  The form never divides by 1 - m^2, so that it holds at any low temperature.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse.linalg as sla

from spinnet.spins.models.base import Array

_RESTARTS = 100  # of Lanczos, of 20 products each, before inverses are tried
_ABOVE = 1e-4  # of a bound of the eigenvalues
_FULL_SPECTRUM = 400  # below this size, all eigenvalues cost less than a Lanczos run


@dataclass(frozen=True, eq=False)
class TopMode:
    """The largest eigenvalue of a symmetric matrix and what stands beside it.

    Attributes
    ----------
    value, second : float
        The two largest eigenvalues (`second` is NaN for one spin).
    vector : ndarray, shape (n_spins,)
        Unit eigenvector of `value`, its sum >= 0.
    """

    value: float
    second: float
    vector: Array


class Coupling(ABC):
    """A symmetric coupling matrix J as mean-field theory uses it.

    The unknowns of the equations may be fewer than the spins: `size` unknowns stand for
    `copies` spins each.

    Attributes
    ----------
    n_spins, size, copies : int
        n_spins = size * copies.
    """

    n_spins: int
    size: int
    copies: int = 1

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """Return J x; shape (size,)."""

    @abstractmethod
    def solve(self, s: Array, rhs: Array) -> Array:
        """Return (1 - S J S)^{-1} rhs within the unknowns; LinAlgError if singular."""

    @abstractmethod
    def top_of(self, s: Array) -> float:
        """Return the largest eigenvalue of S J S, all spins counted."""

    @abstractmethod
    def log_det(self, s: Array) -> float:
        """Return ln det(1 - S J S), all spins counted; meant for stable points."""

    @abstractmethod
    def top(self) -> TopMode:
        """Return the top eigenpair of J."""

    @abstractmethod
    def row_squares(self, unit: float = 1.0) -> Array:
        """Return sum_j (J_ij/unit)^2 without the diagonal, shape (size,)."""

    @abstractmethod
    def strongest(self) -> float:
        """Return max |J_ij| over i != j."""

    @abstractmethod
    def fourth_powers(self, unit: float) -> float:
        """Return sum_ij (J_ij/unit)^4 over i != j, all spins counted."""

    @abstractmethod
    def bonds(self) -> tuple[Array, int, int]:
        """Return the couplings that are not 0, how many pairs have one, and how many could.

        The array may hold each bond twice, or once for all where they are alike.
        """

    @abstractmethod
    def eigenvalues(self) -> Array:
        """Return every eigenvalue of J in ascending order, shape (n_spins,)."""

    def expand(self, x: Array) -> Array:
        """Return the unknowns as one number for each spin, shape (n_spins,)."""
        return x

    def respond(self, s: Array, change: Array) -> Array:
        """Return chi `change`, both of shape (n_spins,)."""
        return s * self.solve(s, s * change)

    def response(self, s: Array) -> Array:
        """Return chi, shape (n_spins, n_spins)."""
        columns = self.solve(s, np.diag(s))
        chi = s[:, None] * columns
        return np.asarray((chi + chi.T) / 2)


def _signed(vector: Array) -> Array:
    """Return the unit vector with the sign that makes its sum, or its largest entry, positive."""
    total = float(vector.sum())
    if abs(total) < 1e-8:
        total = float(vector[np.argmax(np.abs(vector))])
    return np.asarray(vector if total >= 0 else -vector)


def top_pairs(matrix: Any, k: int) -> tuple[Array, Array]:
    """Return the k largest eigenvalues of a symmetric matrix, descending, and their vectors."""
    n = matrix.shape[0]
    k = min(k, n)
    if n > _FULL_SPECTRUM and k < n - 1:
        start = np.random.default_rng(0).standard_normal(n)
        # ARPACK takes any error below eps^(2/3) for none: the matrix must be of order 1
        unit = float(abs(matrix).max()) or 1.0
        scaled = matrix / unit
        for options in _lanczos(scaled):
            try:
                values, vectors = sla.eigsh(scaled, k=k, v0=start, **options)
            except (sla.ArpackError, RuntimeError):  # no convergence, or a matrix of zeros
                continue
            order = np.argsort(values)[::-1]
            return unit * values[order], vectors[:, order]
    dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    values, vectors = la.eigh(dense, subset_by_index=[n - k, n - 1])
    return values[::-1], vectors[:, ::-1]


def _lanczos(matrix: Any) -> list[dict[str, Any]]:
    """Return how to seek the top eigenvalues: directly, then by inverses from above them all.

    Long chains and lattices have top eigenvalues too close for the first; their inverse is cheap.
    """
    plain: dict[str, Any] = {"which": "LA"}
    bound = 0.0 if isinstance(matrix, np.ndarray) else float(abs(matrix).sum(axis=1).max())
    if bound == 0:
        return [plain]
    inverse = {"which": "LM", "sigma": (1 + _ABOVE) * bound}
    return [{**plain, "maxiter": _RESTARTS}, inverse, plain]


def mode_of(values: Array, vector: Array) -> TopMode:
    """Return the top mode from descending eigenvalues and the first one's vector."""
    second = float(values[1]) if values.size > 1 else float("nan")
    return TopMode(float(values[0]), second, _signed(vector))


def solve_symmetric(matrix: Array, rhs: Array) -> Array:
    """Solve by Cholesky where the matrix is positive definite, by LDL^T elsewhere."""
    try:
        return np.asarray(la.cho_solve(la.cho_factor(matrix), rhs))
    except la.LinAlgError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", la.LinAlgWarning)
            return np.asarray(la.solve(matrix, rhs, assume_a="sym"))


def log_det_of(matrix: Array) -> float:
    """Return ln det, or NaN where the determinant is not positive."""
    sign, value = np.linalg.slogdet(matrix)
    return float(value) if sign > 0 else float("nan")
