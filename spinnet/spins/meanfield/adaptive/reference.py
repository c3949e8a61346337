r"""The Gaussian half of adaptive TAP: given the variances, the precisions that produce them.

Let D_i be the variance 1 - m_i^2 that each spin must have (or one mean variance for all spins of
a group).  The Gaussian exp(-s.(Lambda - beta J).s/2) has these variances for exactly one set of
precisions Lambda with Lambda - beta J positive definite: they minimise the convex function
sum_i Lambda_i D_i - ln det(Lambda - beta J).  With r = sqrt(D), Lambda = (1 + delta)/D and
K = beta r J r everything is said of

.. math:: A = 1 + \delta - K, \qquad \mathrm{mean}_g\,[A^{-1}]_{ii} = 1,

whose entries stay of order 1 at any temperature; the reaction of the spins on themselves is
V = Lambda - 1/D = delta/D.  From A A^{-1} = 1 the mean variance is 1 + mean[(A^{-1} K)_ii -
delta (A^{-1})_ii], a form that keeps the digits of a delta far below 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import brentq

from spinnet.errors import InputError
from spinnet.spins.meanfield.couplings import (
    BlockCoupling,
    Coupling,
    DenseCoupling,
    SparseCoupling,
    UniformCoupling,
)
from spinnet.spins.models.base import Array

MAX_SPINS = 4000
_NEWTON_STEPS = 80
_QUADRATIC = 0.25  # a Newton decrement below this allows full steps
_SHORTEST = 0.1
_EXACT = 1e-14
_SMALL = 100  # below this size Cholesky costs less than a few products
_CG_STEPS = 40
_RESOLVED = 1e-6  # error of the variances, relative to D, that rounding of A may leave


class Matrix(ABC):
    """The coupling matrix, as far as its shape matters to the inverse of 1 + delta - K."""

    @abstractmethod
    def scaled(self, r: Array) -> Array:
        """Return r J r; for two layers its block."""

    @abstractmethod
    def invert(self, diagonal: Array, k: Array) -> tuple[Array, float] | None:
        """Return the inverse of `diagonal` - K and ln det, or None if it is not positive."""

    @abstractmethod
    def products(self, inverse: Array, k: Array) -> Array:
        """Return the diagonal of `inverse` K."""

    @abstractmethod
    def full(self, k: Array) -> Array:
        """Return K, shape (n, n)."""

    @abstractmethod
    def top(self, k: Array) -> Array:
        """Return the eigenvalues of K."""


class Square(Matrix):
    """A dense symmetric matrix."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix

    def scaled(self, r: Array) -> Array:
        """Return r J r."""
        return np.asarray(r[:, None] * self.matrix * r)

    def invert(self, diagonal: Array, k: Array) -> tuple[Array, float] | None:
        """Return the inverse by Cholesky."""
        a = -k
        np.fill_diagonal(a, diagonal - np.diagonal(k))
        return positive_inverse(a)

    def products(self, inverse: Array, k: Array) -> Array:
        """Return the diagonal of `inverse` K."""
        return np.asarray(np.einsum("ij,ij->i", inverse, k))

    def full(self, k: Array) -> Array:
        """Return K."""
        return k

    def top(self, k: Array) -> Array:
        """Return the eigenvalues of K."""
        return np.asarray(la.eigvalsh(k))


class Block(Matrix):
    """Two layers: the larger is eliminated."""

    def __init__(self, block: Array) -> None:
        self.n_a, self.n_b = block.shape
        self.block = block

    def scaled(self, r: Array) -> Array:
        """Return the block r_a B r_b."""
        return np.asarray(r[: self.n_a, None] * self.block * r[self.n_a :])

    def invert(self, diagonal: Array, k: Array) -> tuple[Array, float] | None:
        """Return the inverse through the Schur complement of the larger layer."""
        a, b = diagonal[: self.n_a], diagonal[self.n_a :]
        flip = self.n_a > self.n_b
        x, small, large = (k.T, b, a) if flip else (k, a, b)
        if np.any(large <= 0):
            return None
        weighed = x / large
        complement = -weighed @ x.T
        np.fill_diagonal(complement, small + np.diagonal(complement))
        found = positive_inverse(complement)
        if found is None:
            return None
        inner, log_det = found
        beside = inner @ weighed
        outer = weighed.T @ beside
        np.fill_diagonal(outer, np.diagonal(outer) + 1 / large)
        parts = (
            [[outer, beside.T], [beside, inner]] if flip else [[inner, beside], [beside.T, outer]]
        )
        return np.block(parts), log_det + float(np.log(large).sum())

    def products(self, inverse: Array, k: Array) -> Array:
        """Return the diagonal of `inverse` K."""
        across = inverse[: self.n_a, self.n_a :] * k
        return np.concatenate([across.sum(axis=1), across.sum(axis=0)])

    def full(self, k: Array) -> Array:
        """Return K = [[0, X], [X^T, 0]]."""
        a, b = np.zeros((self.n_a, self.n_a)), np.zeros((self.n_b, self.n_b))
        return np.block([[a, k], [k.T, b]])

    def top(self, k: Array) -> Array:
        """Return plus and minus the singular values, and zeros."""
        values = la.svdvals(k)
        return np.concatenate([values, -values, np.zeros(abs(self.n_a - self.n_b))])


def matrix_of(coupling: Coupling) -> Matrix:
    """Return the matrix of a coupling that is not uniform."""
    if isinstance(coupling, BlockCoupling):
        return Block(coupling.block)
    if isinstance(coupling, SparseCoupling):
        return Square(coupling.matrix.toarray())
    assert isinstance(coupling, DenseCoupling)
    return Square(coupling.matrix)


def positive_inverse(a: Array) -> tuple[Array, float] | None:
    """Return the inverse of a symmetric matrix and its ln det; None if it is not positive."""
    factor, info = lapack.dpotrf(a.T, lower=1)
    if info != 0:
        return None
    pivots = np.diagonal(factor)
    log_det = 2 * float(np.log(pivots).sum())
    inverse, info = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if info != 0 or not np.isfinite(log_det):
        return None
    lower = np.tril(inverse)
    return lower + np.tril(lower, -1).T, log_det


def solve_positive(a: Array, rhs: Array) -> Array | None:
    """Return a^{-1} rhs by Cholesky, without a word on its condition; None if not positive."""
    factor, info = lapack.dpotrf(a.T, lower=1)  # a is symmetric: the transpose saves a copy
    if info != 0:
        return None
    answer, _ = lapack.dpotrs(factor, rhs, lower=1)
    return np.asarray(answer if rhs.ndim == 2 else answer.ravel())


@dataclass(frozen=True, eq=False)
class Groups:
    """Which spins share one variance: each its own, or all of a layer one.

    Attributes
    ----------
    index : ndarray, shape (n,)
        The group of each spin.
    sizes : ndarray, shape (n_groups,)
    """

    index: NDArray[np.intp]
    sizes: Array

    @property
    def single(self) -> bool:
        """Whether each spin is its own group."""
        return self.sizes.size == self.index.size

    def mean(self, x: Array) -> Array:
        """Return the mean of x over each group."""
        if self.single:
            return x
        return np.asarray(np.bincount(self.index, x) / self.sizes)

    def squares(self, x: Array) -> Array:
        """Return sum of x_ij^2 over i in g and j in h, shape (n_groups, n_groups)."""
        squares = x**2
        if self.single:
            return squares
        rows = np.zeros((self.sizes.size, self.index.size))
        rows[self.index, np.arange(self.index.size)] = 1.0
        return np.asarray(rows @ squares @ rows.T)


def refuse_large(coupling: Coupling) -> None:
    """Raise InputError for more spins than the matrices of adaptive TAP are made for."""
    if coupling.n_spins > MAX_SPINS and not isinstance(coupling, UniformCoupling):
        raise InputError(
            f"n_spins must be <= {MAX_SPINS} for adaptive TAP, whose matrices are full, got "
            f"{coupling.n_spins}; use TAP() for a dense model, Bethe() for a sparse one"
        )


def groups_of(coupling: Coupling, variance: str) -> Groups:
    """Return each spin by itself ("site"), or one group for each layer ("uniform")."""
    n = coupling.n_spins
    if variance == "site":
        return Groups(np.arange(n), np.ones(n))
    if isinstance(coupling, BlockCoupling):
        sizes = np.array([coupling.n_a, coupling.n_b])
        return Groups(np.repeat(np.arange(2), sizes), sizes.astype(float))
    return Groups(np.zeros(n, dtype=np.intp), np.array([float(n)]))


@dataclass(frozen=True, eq=False)
class Reference:
    """The Gaussian with the variances asked for.

    Attributes
    ----------
    delta : ndarray, shape (n_groups,)
    inverse : ndarray, shape (n, n)
        (1 + delta - K)^{-1}.
    log_det : float
        ln det(1 + delta - K).
    error : float
        What the mean variances still miss, relative to D + delta; but where they have fewer than
        six digits, as at beta lambda_max > 1e9 far from saturation, that, relative to D.
    """

    delta: Array
    inverse: Array
    log_det: float
    error: float


def reference(
    matrix: Matrix, k: Array, groups: Groups, variance: Array, guess: Array | None
) -> Reference:
    """Return the Gaussian whose mean variances are `variance`, from the start `guess` for delta.

    Newton's method on a self-concordant convex function: no start is too far.

    Parameters
    ----------
    matrix : Matrix
    k : ndarray
        matrix.scaled(r) times beta.
    groups : Groups
    variance : ndarray, shape (n_groups,)
        D; it sets the scale at which delta matters.
    guess : ndarray, shape (n_groups,), optional
    """
    delta, found = _feasible(matrix, k, groups, guess)
    best: Reference | None = None
    missed = 0.0
    for _ in range(_NEWTON_STEPS):
        inverse, log_det = found
        own = np.diagonal(inverse)
        excess = groups.mean(matrix.products(inverse, k) - delta[groups.index] * own)
        error = float(np.max(np.abs(excess) / (variance + np.abs(delta))))
        here = Reference(delta, inverse, log_det, error)
        if best is not None and best.error < 1e-8 and error >= best.error:  # rounding
            break
        if best is None or error < best.error:
            best, missed = here, float(np.abs(excess).max())
        if error <= _EXACT:
            break
        step = _newton_step(groups.squares(inverse), groups.sizes * excess, error)
        if step is None:  # A is singular to rounding
            break
        nearer = _lower(matrix, k, groups, here, step, float((groups.sizes * excess) @ step))
        if nearer is None:
            break
        delta, found = nearer
    assert best is not None
    noise = np.finfo(float).eps * (1 + float(best.delta.max()))
    noise *= float(np.einsum("ij,ij->i", best.inverse, best.inverse).max())
    missed = max(missed, noise)
    return replace(best, error=max(best.error, missed)) if missed > _RESOLVED else best


def _newton_step(squares: Array, rhs: Array, error: float) -> Array | None:
    """Return squares^{-1} rhs by conjugate gradients, as far as Newton's method can use it.

    The matrix is near 1 but for a few large eigenvalues; where that fails, by Cholesky.
    """
    if rhs.size < _SMALL:
        return solve_positive(squares, rhs)
    goal = float(np.linalg.norm(rhs)) * min(1e-3, max(error, 1e-12))
    x, r = np.zeros_like(rhs), rhs.copy()
    p, square = r.copy(), float(r @ r)
    for _ in range(_CG_STEPS):
        image = squares @ p
        curvature = float(p @ image)
        if curvature <= 0:
            break
        x += square / curvature * p
        r -= square / curvature * image
        new = float(r @ r)
        if np.sqrt(new) <= goal:
            return x
        p, square = r + new / square * p, new
    return solve_positive(squares, rhs)


def _feasible(
    matrix: Matrix, k: Array, groups: Groups, guess: Array | None
) -> tuple[Array, tuple[Array, float]]:
    """Return a delta where A is positive, with the inverse of A: the guess, or one for all."""
    if guess is not None:
        found = matrix.invert(1 + guess[groups.index], k)
        if found is not None:
            return guess, found
    eigenvalues = matrix.top(k)
    low = max(float(eigenvalues.max()), 0.0)

    def excess(shift: float) -> float:
        with np.errstate(divide="ignore"):  # 1 is lost beside an eigenvalue above 1e16
            return float(np.mean(1 / (1 + shift - eigenvalues))) - 1

    # at 1 + delta = lambda_max + 1 every term is at most 1
    margin = 1e-12 * max(1.0, low)
    shared = low
    if excess(low) < 0 and low - 1 + margin > 0:
        start = max(low - 1 + margin, 0.0)
        shared = brentq(excess, start, low) if excess(start) > 0 else start
    elif excess(low) < 0:
        shared = brentq(excess, 0.0, low) if excess(0.0) > 0 else 0.0
    for _ in range(60):
        delta = np.full(groups.sizes.size, shared)
        found = matrix.invert(1 + delta[groups.index], k)
        if found is not None:
            return delta, found
        shared = 2 * shared + margin
    raise la.LinAlgError("no positive definite start")  # pragma: no cover - K is finite


def _lower(
    matrix: Matrix, k: Array, groups: Groups, here: Reference, step: Array, square: float
) -> tuple[Array, tuple[Array, float]] | None:
    """Return the longest of the steps 1, 1/2, 1/4 ... along Newton's that lowers the function.

    `square` is the squared Newton decrement; 1/(1 + decrement) of the step always lowers it, but
    for rounding, and below a decrement of 1/4 the whole step does.
    """
    decrement = float(np.sqrt(max(square, 0.0)))
    value = groups.sizes @ here.delta - here.log_det
    fraction = 1.0
    while True:
        trial = here.delta + fraction * step
        found = matrix.invert(1 + trial[groups.index], k)
        if found is not None:
            lower = groups.sizes @ trial - found[1] <= value - 0.1 * fraction * square
            if lower or decrement < _QUADRATIC:
                return trial, found
        if fraction * (1 + decrement) < _SHORTEST:
            return None
        fraction /= 2
