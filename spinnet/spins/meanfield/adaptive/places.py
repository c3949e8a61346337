r"""One point of the adaptive TAP equations: error, free energy, direction, curvature.

With x_i the local field over T and m = tanh x the equations are

.. math:: x_i = \beta h_i + \beta (J m)_i - V_i m_i,

and they are the gradient, in m, of the expectation-consistent free energy

.. math:: \beta F = -\sum_i s(m_i) - \beta h m - \tfrac{\beta}{2} m J m
          + \tfrac12 \ln\det A - \tfrac12 \sum_i \delta_i

(A, delta, V of `reference`; without couplings the last two terms vanish).  Its Hessian is
diag(1/D + V) - beta J + 2 m [S^{-1} - 1/(n D^2)] m, where S_gh is the sum of the squared
covariances between two groups: the second term is the change of V with m.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg as la
from scipy.special import entr

from spinnet.spins.meanfield.adaptive.reference import (
    Groups,
    Matrix,
    Reference,
    groups_of,
    matrix_of,
    positive_inverse,
    reference,
    solve_positive,
)
from spinnet.spins.meanfield.couplings import Coupling, UniformCoupling
from spinnet.spins.meanfield.iteration import sech_squared
from spinnet.spins.models.base import Array

_SATURATED = 1e-8  # 1 - m^2
_SMALLEST = 1e-280  # of 1 - m^2: the root and its products with couplings stay normal numbers


@dataclass(eq=False)
class Place(ABC):
    """A point x and what the equations say there.

    Attributes
    ----------
    x, m, reaction, error : ndarray, shape (size,)
        Local fields over T, magnetisations, V, and x - beta (h + J m) + V m.
    value : float
        beta F over all spins.
    log_det : float
        ln det A.
    accuracy : float
        What the variances still miss, relative.
    """

    x: Array
    m: Array
    reaction: Array
    error: Array
    value: float
    log_det: float
    accuracy: float

    @property
    def residual(self) -> float:
        """The largest |m - tanh(beta (h + J m) - V m)|."""
        return float(np.abs(self.m - np.tanh(self.x - self.error)).max())

    @property
    @abstractmethod
    def slope(self) -> Array:
        """d(beta F)/dx, shape (size,)."""

    @abstractmethod
    def directions(self) -> Iterator[Array]:
        """Yield moves of x along which F falls: Newton's where F is convex, a safe one."""

    @abstractmethod
    def curvature(self) -> tuple[float, float]:
        """Return the smallest eigenvalue of r (Hessian of beta F) r, r^2 = 1 - m^2, and ln det.

        ln det is NaN unless all eigenvalues are positive.
        """

    @abstractmethod
    def margin(self) -> float:
        """Return 1 over the largest eigenvalue of D^{-1} (chi o chi) D^{-1}."""

    @abstractmethod
    def respond(self, change: Array) -> Array:
        """Return dm/d(beta h) times `change`, both of shape (n_spins,)."""

    @abstractmethod
    def response(self) -> Array:
        """Return dm_i/d(beta h_j), shape (n_spins, n_spins)."""

    @abstractmethod
    def covariance(self) -> Array:
        """Return (Lambda - beta J)^{-1}, shape (n_spins, n_spins)."""


class Equations(ABC):
    """The equations of one system at one temperature."""

    size: int

    @abstractmethod
    def at(self, x: Array, near: Place | None = None) -> Place:
        """Return the place at x; `near` is a place from which to start."""


def equations_of(coupling: Coupling, fields: Array, beta: float, variance: str) -> Equations:
    """Return the equations for a coupling of any shape."""
    if isinstance(coupling, UniformCoupling):
        return UniformEquations(coupling, fields, beta, variance == "site")
    groups = groups_of(coupling, variance)
    return DenseEquations(coupling, matrix_of(coupling), fields, beta, groups)


def _entropy(m: Array, x: Array) -> Array:
    """Return s(m) at m = tanh x, with its digits where m is nearly 1."""
    decay = np.exp(-2 * np.abs(x))
    small = decay / (1 + decay)  # (1 - |m|)/2
    return np.asarray(entr(small) + entr(1 - small))


# --- any matrix ------------------------------------------------------------------------------


class DenseEquations(Equations):
    """The equations with matrices in full."""

    def __init__(
        self, coupling: Coupling, matrix: Matrix, fields: Array, beta: float, groups: Groups
    ) -> None:
        self.coupling, self.matrix = coupling, matrix
        self.fields, self.beta, self.groups = fields, beta, groups
        self.size = coupling.size

    def at(self, x: Array, near: Place | None = None) -> DensePlace:
        """Return the place at x."""
        groups, m = self.groups, np.tanh(x)
        own = np.maximum(sech_squared(x), _SMALLEST)
        variance = groups.mean(own)
        guess = None
        if isinstance(near, DensePlace):
            guess = near.gaussian.delta / near.variance * variance
        k = self.beta * self.matrix.scaled(np.sqrt(variance)[groups.index])
        gaussian = reference(self.matrix, k, groups, variance, guess)
        reaction = (gaussian.delta / variance)[groups.index]
        field = self.beta * (self.fields + self.coupling.apply(m))
        value = -_entropy(m, x).sum() - 0.5 * m @ (field + self.beta * self.fields)
        value += (gaussian.log_det - groups.sizes @ gaussian.delta) / 2
        return DensePlace(
            x=x,
            m=m,
            reaction=reaction,
            error=x - field + reaction * m,
            value=float(value),
            log_det=gaussian.log_det,
            accuracy=gaussian.error,
            own=own,
            variance=variance,
            gaussian=gaussian,
            equations=self,
        )


@dataclass(eq=False)
class DensePlace(Place):
    """A place with its matrices.

    Attributes
    ----------
    own : ndarray, shape (n,)
        1 - m^2.
    variance : ndarray, shape (n_groups,)
        Its mean over each group.
    gaussian : Reference
    equations : DenseEquations
    """

    own: Array
    variance: Array
    gaussian: Reference
    equations: DenseEquations

    @property
    def slope(self) -> Array:
        """d(beta F)/dx."""
        return self.own * self.error

    @property
    def _root(self) -> Array:
        return np.sqrt(self.own)

    @cached_property
    def _bare(self) -> Array:
        """1 + V D - beta r J r, the Hessian at fixed V."""
        matrix = self.equations.matrix
        bare = -self.equations.beta * matrix.full(matrix.scaled(self._root))
        bare[np.diag_indices_from(bare)] += 1 + self.reaction * self.own
        return np.asarray(bare)

    @cached_property
    def _squares(self) -> Array:
        """Sums of the squared entries of A^{-1}; its diagonal is 1 for single spins."""
        squares = self.equations.groups.squares(self.gaussian.inverse)
        if self.equations.groups.single:
            np.fill_diagonal(squares, 1.0)
        return squares

    @cached_property
    def _hessian(self) -> Array:
        groups = self.equations.groups
        found = positive_inverse(self._squares)
        if found is None:  # A is singular to rounding
            return np.full_like(self._bare, np.nan)
        change = found[0] - np.diag(1 / groups.sizes)
        pull = self._root * self.m / self.variance[groups.index]
        # the change of V is of the order D there, less than its rounding
        pull[self.variance[groups.index] < _SATURATED] = 0.0
        full = change if groups.single else change[np.ix_(groups.index, groups.index)]
        return np.asarray(self._bare + 2 * pull[:, None] * full * pull)

    def directions(self) -> Iterator[Array]:
        """Yield Newton's move if the Hessian is positive, and the one of a positive bound."""
        root = self._root
        move = solve_positive(self._hessian, -root * self.error)
        if move is not None:
            yield move / root
        move = solve_positive(self._bound(), -root * self.error)
        if move is not None:
            yield move / root
        yield -self.error

    def _bound(self) -> Array:
        """Return the Hessian at fixed V, lifted to where Lambda - beta J makes it positive."""
        bound = self._bare.copy()
        lift = self.own / self.variance[self.equations.groups.index] - 1
        bound[np.diag_indices_from(bound)] += np.maximum(lift, 0.0)
        return bound

    def curvature(self) -> tuple[float, float]:
        """Return the smallest eigenvalue of r (Hessian) r, and ln det."""
        if not np.all(np.isfinite(self._hessian)):
            return float("nan"), float("nan")
        values = np.linalg.eigvalsh(self._hessian)
        return float(values[0]), float(np.log(values).sum()) if values[0] > 0 else float("nan")

    def margin(self) -> float:
        """Return 1 over the largest eigenvalue of the squared correlations."""
        root = np.sqrt(self.equations.groups.sizes)
        scaled = self._squares / (root[:, None] * root)
        if not np.all(np.isfinite(scaled)):
            return float("nan")
        return float(1 / np.linalg.eigvalsh(scaled)[-1])

    def respond(self, change: Array) -> Array:
        """Return dm/d(beta h) times `change`."""
        root = self._root
        return np.asarray(root * la.solve(self._hessian, root * change, assume_a="sym"))

    def response(self) -> Array:
        """Return the inverse of the Hessian."""
        root = self._root
        inverse = la.inv(self._hessian)
        return np.asarray(root[:, None] * (inverse + inverse.T) / 2 * root)

    def covariance(self) -> Array:
        """Return (Lambda - beta J)^{-1}."""
        root = np.sqrt(self.variance)[self.equations.groups.index]
        return np.asarray(root[:, None] * self.gaussian.inverse * root)


# --- all couplings equal ---------------------------------------------------------------------


class UniformEquations(Equations):
    """The same for J = g (1 1^T - 1), in closed form: one unknown for any number of spins."""

    def __init__(self, coupling: UniformCoupling, fields: Array, beta: float, single: bool) -> None:
        self.coupling, self.fields, self.beta, self.single = coupling, fields, beta, single
        self.size = 1

    def at(self, x: Array, near: Place | None = None) -> UniformPlace:
        """Return the place at x."""
        n, m = self.coupling.n_spins, np.tanh(x)
        own = float(np.maximum(sech_squared(x), _SMALLEST)[0])
        pair = self.beta * own * self.coupling.pair if n > 1 else 0.0
        along = (n - 1) * pair
        # mean of 1/(1 + delta - along) and n - 1 times 1/(1 + delta + pair) equal to 1
        half, product = (1 + pair - along) / 2, pair * along
        root = np.hypot(half, np.sqrt(product))
        delta = float(product / (half + root) if half > 0 else root - half)
        # the smaller one from the condition, where the difference would have no digits
        if pair >= 0:
            transverse = 1 + delta + pair
            uniform = transverse / (1 + n * (delta + pair))
        else:
            uniform = 1 + delta - along
            transverse = (n - 1) * uniform / (n - 1 + n * (delta - along))
        log_det = float(np.log(uniform) + (n - 1) * np.log(transverse))
        field = self.beta * (self.fields + self.coupling.apply(m))
        each = -_entropy(m, x) - 0.5 * m * (field + self.beta * self.fields)
        return UniformPlace(
            x=x,
            m=m,
            reaction=np.array([delta / own]),
            error=x - field + delta / own * m,
            value=float(n * each[0] + (log_det - n * delta) / 2),
            log_det=log_det,
            accuracy=0.0,
            own=own,
            off=pair / (uniform * transverse),
            uniform=uniform,
            transverse=transverse,
            equations=self,
        )


@dataclass(eq=False)
class UniformPlace(Place):
    """A place where all spins are alike.

    Attributes
    ----------
    own : float
        1 - m^2.
    off : float
        The entries of A^{-1} off its diagonal of ones.
    uniform, transverse : float
        The eigenvalues of A.
    equations : UniformEquations
    """

    own: float
    off: float
    uniform: float
    transverse: float
    equations: UniformEquations

    @property
    def slope(self) -> Array:
        """d(beta F)/dx."""
        return self.equations.coupling.n_spins * self.own * self.error

    @property
    def _hessian(self) -> tuple[float, float]:
        """The eigenvalues of r (Hessian) r: along (1, ..., 1) and across."""
        rest = (self.equations.coupling.n_spins - 1) * self.off**2
        pull = 2 * float(self.m[0]) ** 2 / self.own
        along = self.uniform - pull * rest / (1 + rest)
        if not self.equations.single or self.off**2 >= 1:
            return along, self.transverse
        return along, self.transverse + pull * self.off**2 / (1 - self.off**2)

    def directions(self) -> Iterator[Array]:
        """Yield Newton's move, and two safe ones."""
        along = self._hessian[0]
        if along > 0:
            yield -self.error / along
        yield -self.error / self.uniform
        yield -self.error

    def curvature(self) -> tuple[float, float]:
        """Return the smaller eigenvalue of r (Hessian) r, and ln det."""
        (along, across), n = self._hessian, self.equations.coupling.n_spins
        low = along if n == 1 else min(along, across)
        log_det = np.log(along) + (n - 1) * np.log(across) if low > 0 else np.nan
        return low, float(log_det)

    def margin(self) -> float:
        """Return 1 over the largest eigenvalue of the squared correlations."""
        return 1 / (1 + (self.equations.coupling.n_spins - 1) * self.off**2)

    def respond(self, change: Array) -> Array:
        """Return dm/d(beta h) times `change`."""
        along, across = self._hessian
        mean = change.mean()
        return np.asarray(self.own * (mean / along + (change - mean) / across))

    def response(self) -> Array:
        """Return the inverse of the Hessian."""
        along, across = self._hessian
        return self._matrix(1 / along, 1 / across)

    def response_squares(self) -> float:
        """Return the sum of the squared entries of `response`, from its eigenvalues."""
        along, across = self._hessian
        return self.own**2 * (along**-2 + (self.equations.coupling.n_spins - 1) * across**-2)

    def covariance(self) -> Array:
        """Return (Lambda - beta J)^{-1}."""
        return self._matrix(1 / self.uniform, 1 / self.transverse)

    def _matrix(self, along: float, across: float) -> Array:
        n = self.equations.coupling.n_spins
        return self.own * (np.full((n, n), (along - across) / n) + across * np.eye(n))
