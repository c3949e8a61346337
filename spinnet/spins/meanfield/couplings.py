r"""The linear algebra of mean-field theory, one class for each shape of coupling matrix.

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
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from spinnet.spins.models.base import Array

_KRYLOV_TOLERANCE = 1e-13
_KRYLOV_STEPS = 100
_REFINEMENTS = 3
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


def _top_pairs(matrix: Any, k: int) -> tuple[Array, Array]:
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


def _mode(values: Array, vector: Array) -> TopMode:
    second = float(values[1]) if values.size > 1 else float("nan")
    return TopMode(float(values[0]), second, _signed(vector))


def _solve_symmetric(matrix: Array, rhs: Array) -> Array:
    """Solve by Cholesky where the matrix is positive definite, by LDL^T elsewhere."""
    try:
        return np.asarray(la.cho_solve(la.cho_factor(matrix), rhs))
    except la.LinAlgError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", la.LinAlgWarning)
            return np.asarray(la.solve(matrix, rhs, assume_a="sym"))


def _log_det(matrix: Array) -> float:
    sign, value = np.linalg.slogdet(matrix)
    return float(value) if sign > 0 else float("nan")


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
        return _solve_symmetric(np.eye(self.size) - self._scaled(s), rhs)

    def top_of(self, s: Array) -> float:
        """Return the largest eigenvalue of S J S."""
        return float(_top_pairs(self._scaled(s), 1)[0][0])

    def log_det(self, s: Array) -> float:
        """Return ln det(1 - S J S)."""
        return _log_det(np.eye(self.size) - self._scaled(s))

    def top(self) -> TopMode:
        """Return the top eigenpair of J."""
        values, vectors = _top_pairs(self.matrix, 2)
        return _mode(values, vectors[:, 0])

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
        return float(_top_pairs(self._scaled(s), 1)[0][0])

    def log_det(self, s: Array) -> float:
        """Return ln det(1 - S J S) from the pivots, positive at a stable point."""
        pivots = self._factor(s).U.diagonal()
        return float(np.log(np.abs(pivots)).sum())

    def top(self) -> TopMode:
        """Return the top eigenpair of J."""
        values, vectors = _top_pairs(self.matrix, 2)
        return _mode(values, vectors[:, 0])

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


class BlockCoupling(Coupling):
    """Two layers, J = [[0, B], [B^T, 0]]: every task is one on the smaller layer."""

    def __init__(self, block: Array) -> None:
        self.block = block
        self.n_a, self.n_b = block.shape
        self.n_spins = self.size = self.n_a + self.n_b

    def _scaled(self, s: Array) -> Array:
        return np.asarray(s[: self.n_a, None] * self.block * s[self.n_a :])

    def _small_gram(self, x: Array) -> Array:
        return np.asarray(x @ x.T if self.n_a <= self.n_b else x.T @ x)

    def apply(self, x: Array) -> Array:
        """Return J x."""
        a, b = x[: self.n_a], x[self.n_a :]
        return np.concatenate([self.block @ b, a @ self.block])

    def solve(self, s: Array, rhs: Array) -> Array:
        """Return (1 - S J S)^{-1} rhs with the larger layer eliminated."""
        x = self._scaled(s)
        a, b = rhs[: self.n_a], rhs[self.n_a :]
        gram = np.eye(min(self.n_a, self.n_b)) - self._small_gram(x)
        if self.n_a <= self.n_b:
            a = _solve_symmetric(gram, a + x @ b)
            b = b + x.T @ a
        else:
            b = _solve_symmetric(gram, b + x.T @ a)
            a = a + x @ b
        return np.concatenate([a, b])

    def response_squares(self, s: Array, n: int) -> float:
        """Return the sum of chi_ij^2 over the first n spins: all, or those of layer a.

        With X = S_a B S_b and G = (1 - X X^T)^{-1} of the smaller layer, chi is S G S there,
        S (1 + X^T G X) S on the larger and S G X S between: matrices of the larger are traced.
        """
        x = self._scaled(s)
        small, large = s[: self.n_a] ** 2, s[self.n_a :] ** 2
        if self.n_a > self.n_b:
            x, small, large = x.T, large, small
        green = _solve_symmetric(np.eye(small.size) - x @ x.T, np.eye(small.size))
        weighed = green @ ((x * large) @ x.T)
        within = float(small @ (green**2) @ small)
        across = float(small @ (weighed @ green).diagonal())
        beside = np.einsum("ij,ij->j", x, green @ x)
        far = float(np.sum(large**2 * (1 + 2 * beside)) + np.sum(weighed * weighed.T))
        if n == self.n_spins:
            return within + 2 * across + far
        return within if self.n_a <= self.n_b else far

    def top_of(self, s: Array) -> float:
        """Return the largest singular value of S_a B S_b."""
        top = float(_top_pairs(self._small_gram(self._scaled(s)), 1)[0][0])
        return float(np.sqrt(max(top, 0.0)))

    def log_det(self, s: Array) -> float:
        """Return ln det(1 - X X^T), X = S_a B S_b."""
        gram = self._small_gram(self._scaled(s))
        return _log_det(np.eye(gram.shape[0]) - gram)

    def top(self) -> TopMode:
        """Return the pair of top singular vectors, each over sqrt(2)."""
        unit = self.strongest() or 1.0  # squares of tiny couplings would vanish
        block = self.block / unit
        squares, vectors = _top_pairs(self._small_gram(block), 2)
        values = unit * np.sqrt(np.maximum(squares, 0.0))
        small = vectors[:, 0]
        large = block.T @ small if self.n_a <= self.n_b else block @ small
        large = large / max(float(np.linalg.norm(large)), np.finfo(float).tiny)
        pair = (small, large) if self.n_a <= self.n_b else (large, small)
        if values.size == 1:  # one singular value: the next eigenvalue of J is 0, or -sigma
            values = np.append(values, 0.0 if self.n_spins > 2 else -values[0])
        return _mode(values, np.concatenate(pair) / np.sqrt(2))

    def row_squares(self, unit: float = 1.0) -> Array:
        """Return sum_j (J_ij/unit)^2."""
        squares = (self.block / unit) ** 2
        return np.concatenate([squares.sum(axis=1), squares.sum(axis=0)])

    def strongest(self) -> float:
        """Return max |B_ij|."""
        return float(np.abs(self.block).max())

    def fourth_powers(self, unit: float) -> float:
        """Return 2 sum_ij (B_ij/unit)^4."""
        return 2 * float(((self.block / unit) ** 4).sum())

    def bonds(self) -> tuple[Array, int, int]:
        """Return every bond once, their number, and N_a N_b."""
        values = self.block[self.block != 0]
        return values, values.size, self.block.size

    def eigenvalues(self) -> Array:
        """Return the spectrum of J: plus and minus the singular values, and zeros."""
        values = la.svdvals(self.block)
        zeros = np.zeros(abs(self.n_a - self.n_b))
        return np.sort(np.concatenate([values, -values, zeros]))


class UniformCoupling(Coupling):
    """J = g 1 1^T - d 1: one unknown for all spins, in closed form at any size.

    Parameters
    ----------
    n_spins : int
    pair : float
        g, the coupling of each pair.
    removed : float
        d, equal to g where the self-coupling is left out, else 0.
    """

    def __init__(self, n_spins: int, pair: float, removed: float) -> None:
        self.n_spins = self.copies = n_spins
        self.size = 1
        self.pair, self.removed = pair, removed
        self.uniform = pair * n_spins - removed  # the eigenvalue of (1, 1, ..., 1)

    def apply(self, x: Array) -> Array:
        """Return J x for a uniform x."""
        return self.uniform * x

    def solve(self, s: Array, rhs: Array) -> Array:
        """Return rhs/(1 - s^2 lambda) for a uniform right-hand side."""
        gap = 1 - s**2 * self.uniform
        if np.any(gap == 0):
            raise la.LinAlgError("singular")
        return np.asarray(rhs / gap)

    def top_of(self, s: Array) -> float:
        """Return the larger of the uniform and the transverse eigenvalue."""
        square = float(s[0] ** 2)
        uniform = square * self.uniform
        return uniform if self.n_spins == 1 else max(uniform, -square * self.removed)

    def log_det(self, s: Array) -> float:
        """Return ln(1 - s^2 lambda) + (N - 1) ln(1 + s^2 d)."""
        square = float(s[0] ** 2)
        uniform, transverse = 1 - square * self.uniform, square * self.removed
        if uniform <= 0 or transverse <= -1:
            return float("nan")
        return float(np.log(uniform) + (self.n_spins - 1) * np.log1p(transverse))

    def top(self) -> TopMode:
        """Return the uniform mode, or a transverse one if the coupling is negative."""
        uniform = np.broadcast_to(1 / np.sqrt(self.n_spins), (self.n_spins,))
        if self.n_spins == 1:
            return TopMode(self.uniform, float("nan"), uniform)
        if self.uniform >= -self.removed:
            return TopMode(self.uniform, -self.removed, uniform)
        transverse = np.zeros(self.n_spins)
        transverse[:2] = 1 / np.sqrt(2), -1 / np.sqrt(2)
        second = -self.removed if self.n_spins > 2 else self.uniform
        return TopMode(-self.removed, second, transverse)

    def row_squares(self, unit: float = 1.0) -> Array:
        """Return (N - 1) (g/unit)^2."""
        return np.array([(self.n_spins - 1) * (self.pair / unit) ** 2])

    def strongest(self) -> float:
        """Return |g|, or 0 for one spin."""
        return abs(self.pair) if self.n_spins > 1 else 0.0

    def fourth_powers(self, unit: float) -> float:
        """Return N (N - 1) (g/unit)^4."""
        return self.n_spins * (self.n_spins - 1) * (self.pair / unit) ** 4

    def bonds(self) -> tuple[Array, int, int]:
        """Return g once, and N(N - 1)/2."""
        pairs = self.n_spins * (self.n_spins - 1) // 2
        if self.pair == 0 or pairs == 0:
            return np.empty(0), 0, pairs
        return np.array([self.pair]), pairs, pairs

    def eigenvalues(self) -> Array:
        """Return the spectrum of J."""
        values = np.full(self.n_spins, -self.removed)
        values[0] = self.uniform
        return np.sort(values)

    def expand(self, x: Array) -> Array:
        """Return a read-only view that repeats the unknown."""
        return np.broadcast_to(x, (self.n_spins,))

    def respond(self, s: Array, change: Array) -> Array:
        """Return chi `change` by the rank-one formula."""
        square = float(s[0] ** 2)
        gap = 1 - square * self.uniform
        if gap == 0:
            raise la.LinAlgError("singular")
        common = square * self.pair * float(change.sum()) / gap
        return np.asarray(square / (1 + square * self.removed) * (change + common))

    def response_entries(self, s: Array) -> tuple[float, float]:
        """Return chi_ii and chi_ij, the same for all i and j."""
        square = float(s[0] ** 2)
        gap = 1 - square * self.uniform
        if gap == 0:
            raise la.LinAlgError("singular")
        factor = square / (1 + square * self.removed)
        common = factor * square * self.pair / gap
        return common + factor, common

    def response(self, s: Array) -> Array:
        """Return chi, equal numbers off the diagonal."""
        own, other = self.response_entries(s)
        chi = np.full((self.n_spins, self.n_spins), other)
        np.fill_diagonal(chi, own)
        return chi
