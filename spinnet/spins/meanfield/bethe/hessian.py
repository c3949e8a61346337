r"""The Hessian of the Bethe free energy, in units of each spin's own fluctuation.

With rho the correlation coefficient of the two spins of a bond, rho = <s_i s_j>_c/(s_i s_j),
s_i^2 = 1 - m_i^2,

.. math:: A_{ii} = 1 + \sum_j \frac{\rho_{ij}^2}{1 - \rho_{ij}^2}, \qquad
          A_{ij} = -\frac{\rho_{ij}}{1 - \rho_{ij}^2}, \qquad
          \chi_{ij} = \beta s_i (A^{-1})_{ij} s_j .

At m = 0, rho = tanh(beta J): A is the Bethe Hessian of Saade, Krzakala & Zdeborova (NIPS 2014).
It is positive definite at a local minimum, and its inverse is exact on trees (Watanabe &
Fukumizu, NIPS 2009).

A strong bond locks its spins: w = |rho|/(1 - rho^2) swamps everything else in A.  Its part
w (e_i - sign e_j)(e_i - sign e_j)^T is therefore kept apart, with the current f through the bond
as an unknown of its own:

.. math:: \begin{pmatrix} A_0 & B^T \\ B & -1/w \end{pmatrix}
          \begin{pmatrix} z \\ f \end{pmatrix} = \begin{pmatrix} r \\ 0 \end{pmatrix},

which is as good at w = infinity.  Where strong bonds close a loop, their currents are not all
independent, and rounding decides the sign of what should be -1/w: there w is at most 1e13.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from scipy.sparse import csgraph

from spinnet.spins.meanfield.bethe.graph import Graph, UniformGraph
from spinnet.spins.models.base import Array

_LOG_STRONG = math.log(1e3)  # ln w above this is kept apart
_LOG_LOCKED = 25.0
_LOG_MOST = math.log(1e13)  # ln w of bonds kept apart in a graph with loops
_DENSE_LIMIT = 2500  # spins for dense algebra
_FACTOR_LIMIT = 6000  # unknowns of a loopy sparse system that is still factorised
_LANCZOS = 400
_KRYLOV_TOLERANCE = 1e-12
_KRYLOV_STEPS = 4000
_RESTARTS = 200


class Hessian(ABC):
    """A of the module's formula, with shift added to its diagonal."""

    n_spins: int

    @abstractmethod
    def solve(self, rhs: Array) -> Array:
        """Return A^{-1} rhs for one or more columns; LinAlgError if singular or not reached."""

    @abstractmethod
    def log_det(self, *, force: bool = False) -> float:
        """Return ln det A of a positive definite A.

        NaN where it costs much, unless `force`, and where locked bonds close a loop.
        """

    @abstractmethod
    def lowest(self) -> float:
        """Return the smallest eigenvalue, NaN where it was not reached.

        Where A is not positive definite and has strong bonds: a negative eigenvalue, the one
        nearest to 0.  Above 1e13, of frustrated loops of locked bonds, it is a lower bound.
        """

    def loop_is_locked(self) -> bool:
        """Whether bonds of bounded weight close a loop: they leave ln det no digits."""
        return False

    def inverse(self) -> Array:
        """Return A^{-1}, shape (n_spins, n_spins)."""
        inverse = self.solve(np.eye(self.n_spins))
        return np.asarray((inverse + inverse.T) / 2)


class UniformHessian(Hessian):
    """All pairs alike: one uniform and N - 1 equal transverse eigenvalues."""

    def __init__(self, n_spins: int, rho: float, log_rest: float, shift: float = 0.0) -> None:
        self.n_spins = n_spins
        # 1 + rho keeps its digits at rho = -1
        log_plus = log_rest - np.log1p(-rho) if rho < 0 else np.log1p(rho)
        uniform = 1 - (n_spins - 2) * rho
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            self._log_uniform = float(np.log(uniform) - log_plus)
            others = np.logaddexp(log_plus, np.log((n_spins - 2) * rho**2))
            self._log_transverse = float(others - log_rest)
            self.uniform = shift + uniform * float(np.exp(-log_plus))
            self.transverse = shift + float(np.exp(self._log_transverse))

    def solve(self, rhs: Array) -> Array:
        """Return A^{-1} rhs from the two eigenvalues."""
        if self.uniform == 0 or self.transverse == 0:
            raise la.LinAlgError("singular")
        mean = rhs.mean(axis=0)
        return np.asarray(mean / self.uniform + (rhs - mean) / self.transverse)

    def log_det(self, *, force: bool = False) -> float:
        """Return the sum of the logarithms; for shift = 0."""
        return self._log_uniform + (self.n_spins - 1) * self._log_transverse

    def lowest(self) -> float:
        """Return the smaller eigenvalue."""
        return float(self.uniform if self.n_spins == 1 else min(self.uniform, self.transverse))


class _SplitHessian(Hessian):
    """The parts that the dense and the sparse form share.

    Attributes
    ----------
    strong : ndarray, shape (n_strong, 2)
        Ends of the bonds kept apart, with `sign` and `log_weight`.
    """

    def __init__(self, graph: Graph, rho: Array, log_rest: Array, shift: float) -> None:
        self.n_spins = graph.n_spins
        with np.errstate(divide="ignore"):
            log_weight = np.log(np.abs(rho)) - log_rest
        apart = log_weight > self._threshold(graph, log_weight)
        i, j = graph.ends()
        chosen = graph.undirected(apart).astype(bool)
        self.strong = np.stack([i[chosen], j[chosen]], axis=1)
        self.sign = np.sign(graph.undirected(rho)[chosen])
        self.log_weight = graph.undirected(log_weight)[chosen]
        self.most = math.inf if graph.is_forest else _LOG_MOST
        self.log_rest = graph.undirected(log_rest)
        # bonds beyond the number kept apart may be strong too, deep in an unstable phase: a
        # weight of e^25 locks their spins as well, and the rest of the diagonal keeps 5 digits
        weight = np.where(apart, 0.0, np.exp(np.minimum(log_weight, _LOG_LOCKED)))
        self.bounded = bool(np.any(log_weight[~apart] > _LOG_LOCKED))
        weak = np.sign(rho) * weight
        size = np.abs(rho)
        own = np.where(log_weight > _LOG_STRONG, weight - size / (1 + size), size * weight)
        self.diagonal = 1 + shift + graph.outgoing(own)
        self.off: Any = graph.matrix(np.where(apart, 0.0, -weak))

    @staticmethod
    def _threshold(graph: Graph, log_weight: Array) -> float:
        """Return where bonds become strong: at most two for each spin are kept apart."""
        values = graph.undirected(log_weight)
        most = 2 * graph.n_spins
        if np.count_nonzero(values > _LOG_STRONG) <= most:
            return _LOG_STRONG
        return float(np.partition(values, -most)[-most])

    @property
    def _minus_corner(self) -> Array:
        return np.asarray(np.exp(-np.minimum(self.log_weight, self.most)))  # 1/w

    def loop_is_locked(self) -> bool:
        """Whether there are more locked bonds than are kept apart, or those close a loop."""
        if self.bounded:
            return True
        i, j = self.strong[self.log_weight > self.most].T
        bonds = sp.coo_array((np.ones(i.size), (i, j)), shape=(self.n_spins, self.n_spins))
        parts = csgraph.connected_components(bonds, directed=False)[0]
        return bool(i.size > self.n_spins - parts)

    def _currents(self) -> sp.csr_array:
        """Return B, shape (n_strong, n_spins)."""
        count = self.sign.size
        rows = np.repeat(np.arange(count), 2)
        values = np.stack([np.ones(count), -self.sign], axis=1).ravel()
        return sp.csr_array((values, (rows, self.strong.ravel())), shape=(count, self.n_spins))


class DenseHessian(_SplitHessian):
    """Dense algebra."""

    def __init__(self, graph: Graph, rho: Array, log_rest: Array, shift: float = 0.0) -> None:
        super().__init__(graph, rho, log_rest, shift)
        n, count = self.n_spins, self.sign.size
        off = self.off if isinstance(self.off, np.ndarray) else self.off.toarray()
        full = np.zeros((n + count, n + count))
        full[:n, :n] = off
        full[np.arange(n), np.arange(n)] = self.diagonal
        full[n:, :n] = self._currents().toarray()
        full[:n, n:] = full[n:, :n].T
        full[np.arange(n, n + count), np.arange(n, n + count)] = -self._minus_corner
        self.full = full
        self._factors: Any = None

    def _factor(self) -> Any:
        if self._factors is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", la.LinAlgWarning)
                self._factors = la.lu_factor(self.full)
            if np.any(np.diagonal(self._factors[0]) == 0):
                self._factors = None
                raise la.LinAlgError("singular")
        return self._factors

    def solve(self, rhs: Array) -> Array:
        """Return A^{-1} rhs by LU."""
        padded = np.zeros((self.full.shape[0], *rhs.shape[1:]))
        padded[: self.n_spins] = rhs
        return np.asarray(la.lu_solve(self._factor(), padded)[: self.n_spins])

    def log_det(self, *, force: bool = False) -> float:
        """Return ln det A, the strong bonds' share in logarithms."""
        if self.loop_is_locked():
            return float("nan")
        pivots = np.diagonal(self._factor()[0])
        return float(np.log(np.abs(pivots)).sum() + self.log_weight.sum())

    def lowest(self) -> float:
        """Return the smallest eigenvalue; through the inverse if there are strong bonds."""
        if self.sign.size:
            try:
                return _from_inverse(self.n_spins, self.solve, positive=False)
            except la.LinAlgError:
                return 0.0
        if self.n_spins <= _LANCZOS:
            return float(la.eigvalsh(self.full, subset_by_index=[0, 0])[0])
        return _end(self.full, "SA", 1e-7)


class SparseHessian(_SplitHessian):
    """Sparse algebra: LU on forests and small systems, Krylov methods elsewhere."""

    def __init__(self, graph: Graph, rho: Array, log_rest: Array, shift: float = 0.0) -> None:
        super().__init__(graph, rho, log_rest, shift)
        self.full = sp.csr_array(self.off + sp.diags_array(self.diagonal))
        if self.sign.size:
            b, corner = self._currents(), sp.diags_array(-self._minus_corner)
            parts: Any = [[self.full, b.T], [b, corner]]
            self.full = sp.csr_array(sp.block_array(parts))
        self.is_forest = graph.is_forest
        self._factors: Any = None

    @property
    def _small(self) -> bool:
        return self.is_forest or self.full.shape[0] <= _FACTOR_LIMIT

    def _factor(self) -> Any:
        if self._factors is None:
            try:
                self._factors = sla.splu(sp.csc_array(self.full), permc_spec="MMD_AT_PLUS_A")
            except RuntimeError as error:  # SuperLU's word for a singular matrix
                raise la.LinAlgError(str(error)) from error
        return self._factors

    def solve(self, rhs: Array) -> Array:
        """Return A^{-1} rhs by LU where it does not fill up, else by MINRES."""
        padded = np.zeros((self.full.shape[0], *rhs.shape[1:]))
        padded[: self.n_spins] = rhs
        if self._small:
            return np.asarray(self._factor().solve(padded)[: self.n_spins])
        if padded.ndim == 2:
            return np.stack([self.solve(column) for column in rhs.T], axis=1)
        return self._minres(padded)[: self.n_spins]

    def _minres(self, rhs: Array) -> Array:
        scale = 1 / np.sqrt(np.maximum(np.abs(self.full.diagonal()), 1e-3))
        matrix = sp.diags_array(scale) @ self.full @ sp.diags_array(scale)
        x = np.zeros(rhs.size)
        for _ in range(3):  # iterative refinement
            error = rhs * scale - matrix @ x
            if np.abs(error).max() <= 10 * _KRYLOV_TOLERANCE * np.abs(rhs * scale).max():
                return np.asarray(scale * x)
            x = x + sla.minres(matrix, error, rtol=_KRYLOV_TOLERANCE, maxiter=_KRYLOV_STEPS)[0]
        error = rhs * scale - matrix @ x
        if np.abs(error).max() <= 1e-8 * np.abs(rhs * scale).max():
            return np.asarray(scale * x)
        raise la.LinAlgError("MINRES did not reach its tolerance: the point is near critical")

    def log_det(self, *, force: bool = False) -> float:
        """Return ln det A: - sum ln(1 - rho^2) on a forest, else by LU."""
        if self.is_forest:
            return -float(self.log_rest.sum())
        if not (self._small or force) or self.loop_is_locked():
            return float("nan")
        pivots = self._factor().U.diagonal()
        return float(np.log(np.abs(pivots)).sum() + self.log_weight.sum())

    def lowest(self) -> float:
        """Return the smallest eigenvalue; through the inverse if there are strong bonds."""
        if self.sign.size == 0:
            return _end(self.full, "SA", 1e-7)
        if not self._small:
            return float("nan")
        try:
            return _from_inverse(self.n_spins, self.solve, positive=self.is_forest)
        except la.LinAlgError:
            return 0.0


def hessian_of(graph: Graph, rho: Array, log_rest: Array, shift: float = 0.0) -> Hessian:
    """Return A for correlation coefficients rho; log_rest = ln(1 - rho^2) beside them."""
    if isinstance(graph, UniformGraph):
        return UniformHessian(graph.n_spins, float(rho[0]), float(log_rest[0]), shift)
    if graph.n_spins <= _LANCZOS or (graph.n_bonds > 8 * graph.n_spins and _dense(graph)):
        return DenseHessian(graph, rho, log_rest, shift)
    return SparseHessian(graph, rho, log_rest, shift)


def _dense(graph: Graph) -> bool:
    return graph.couplings.ndim > 1 or graph.n_spins <= _DENSE_LIMIT


def correlation_coefficients(graph: Graph, theta: Array, log_c: Array) -> tuple[Array, Array]:
    """Return rho and ln(1 - rho^2) of each bond, log_c = ln(1 - |theta|) of each direction."""
    other, log_other = graph.reverse(theta), graph.reverse(log_c)
    rho = np.sign(theta) * np.sqrt(np.abs(theta) * np.abs(other))
    # 1 - theta theta' = (1 - theta) + theta (1 - theta')
    with np.errstate(divide="ignore"):
        return rho, np.logaddexp(log_c, np.log(np.abs(theta)) + log_other)


def _from_inverse(n: int, solve: Any, *, positive: bool) -> float:
    """Return the eigenvalue of A whose inverse is the most negative, or else the largest.

    `positive` says that A is known to be positive definite.
    """
    if n <= _DENSE_LIMIT and not (positive and n > _LANCZOS):
        inverse = solve(np.eye(n))
        values = la.eigvalsh((inverse + inverse.T) / 2)
        low, high = float(values[0]), float(values[-1])
    else:
        operator = sla.LinearOperator((n, n), matvec=lambda v: solve(v.ravel()), dtype=float)
        high = _end(operator, "LA", 1e-9)
        low = 0.0 if positive else _end(operator, "SA", 1e-2)
    return 1 / low if low < -1e-9 * abs(high) else 1 / high


def _end(operator: Any, which: str, tol: float) -> float:
    """Return the largest or smallest eigenvalue of a symmetric operator, NaN if not reached."""
    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    find: Any = sla.eigsh
    try:
        values = find(
            operator,
            1,
            which=which,
            v0=start,
            tol=tol,
            maxiter=_RESTARTS,
            return_eigenvectors=False,
        )
        return float(values[0])
    except sla.ArpackError:
        return float("nan")
