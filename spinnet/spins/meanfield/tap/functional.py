r"""The TAP free energy of a pairwise system, with its gradient and Hessian.

With D_i = 1 - m_i^2 and K_ij = J_ij^2 (no diagonal), Plefka's expansion to second order in beta
gives, in units of T and without the model's constant,

.. math:: \Phi(m) = \beta F = -\sum_i s(m_i) - \tfrac{\beta}{2} m J m - \beta h m
          - \tfrac{\beta^2}{4} \sum_{ij} K_{ij} D_i D_j .

Its gradient is g = x - beta (h + J m) + beta^2 m (K D) with x = artanh m, where the last term is
Onsager's reaction.  Its Hessian is p/D - beta C with

.. math:: p_i = 1 + \beta^2 D_i (K D)_i, \qquad C_{ij} = J_{ij} + 2 \beta J_{ij}^2 m_i m_j ,

so that with s_i = sqrt(beta D_i/p_i) and S = diag(s) it is positive definite where the largest
eigenvalue of S C S is below 1, and the response is S (1 - S C S)^{-1} S: naive mean field's
form with other numbers, and like that form it never divides by 1 - m^2.

References
----------
D. Thouless, P. Anderson & R. Palmer, Phil. Mag. 35, 593 (1977), eqs. 13 and 15; T. Plefka,
J. Phys. A 15, 1971 (1982), eqs. 2.6 to 2.13; A. Bray & M. Moore, J. Phys. C 12, L441 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import entr, expit

from spinnet.spins.meanfield.couplings import (
    BlockCoupling,
    Coupling,
    DenseCoupling,
    SparseCoupling,
    UniformCoupling,
)
from spinnet.spins.meanfield.iteration import sech_squared
from spinnet.spins.models.base import Array


def bent(coupling: Coupling, weight: float, m: Array) -> Coupling:
    """Return the coupling with entries J_ij + weight J_ij^2 m_i m_j, of the same shape."""
    if isinstance(coupling, DenseCoupling):
        squares = coupling.matrix**2
        squares *= weight * m[:, None]
        squares *= m
        squares += coupling.matrix
        return DenseCoupling(squares)
    if isinstance(coupling, SparseCoupling):
        scale = sp.diags_array(m)
        return SparseCoupling(
            sp.csr_array(coupling.matrix + weight * (scale @ coupling.matrix.power(2) @ scale))
        )
    if isinstance(coupling, BlockCoupling):
        a, b = m[: coupling.n_a, None], m[coupling.n_a :]
        return BlockCoupling(coupling.block + weight * (a * coupling.block**2 * b))
    assert isinstance(coupling, UniformCoupling)
    pair = coupling.pair + weight * coupling.pair**2 * float(m[0]) ** 2
    return UniformCoupling(coupling.n_spins, pair, pair)


def squared(coupling: Coupling) -> Coupling:
    """Return the coupling with entries J_ij^2, of the same shape."""
    if isinstance(coupling, DenseCoupling):
        return DenseCoupling(coupling.matrix**2)
    if isinstance(coupling, SparseCoupling):
        return SparseCoupling(sp.csr_array(coupling.matrix.power(2)))
    if isinstance(coupling, BlockCoupling):
        return BlockCoupling(coupling.block**2)
    assert isinstance(coupling, UniformCoupling)
    return UniformCoupling(coupling.n_spins, coupling.pair**2, coupling.pair**2)


def apply_columns(coupling: Coupling, x: Array) -> Array:
    """Return J x for one vector, or for each column of x, shape (size, k)."""
    if isinstance(coupling, BlockCoupling):
        a, b = x[: coupling.n_a], x[coupling.n_a :]
        return np.concatenate([coupling.block @ b, coupling.block.T @ a])
    return coupling.apply(x)


@dataclass(frozen=True, eq=False)
class TapPoint:
    """The functional at one point, arrays of shape (size,).

    Attributes
    ----------
    x, m, d : ndarray
        m = tanh(x) and d = 1 - m^2, without cancellation.
    reaction : ndarray
        (K d)_i, times the weight.
    gradient : ndarray
        dPhi/dm.
    value, rounding : float
        Phi of all spins, and how far rounding may have moved it.
    """

    x: Array
    m: Array
    d: Array
    reaction: Array
    gradient: Array
    value: float
    rounding: float

    @property
    def residual(self) -> float:
        """max_i |m_i - tanh(beta (h + J m - beta m K D)_i)|."""
        return float(np.abs(self.m - np.tanh(self.x - self.gradient)).max())


@dataclass(frozen=True, eq=False)
class TapFunctional:
    """Phi of one system at one temperature.

    Attributes
    ----------
    coupling, squares : Coupling
        J and K.
    fields : ndarray, shape (size,)
    beta : float
    weight : float
        Of the reaction term: 1 for TAP, 0 for naive mean field.
    """

    coupling: Coupling
    squares: Coupling
    fields: Array
    beta: float
    weight: float = 1.0

    @staticmethod
    def of(coupling: Coupling, fields: Array, beta: float) -> TapFunctional:
        """Return the functional of a coupling without self-couplings."""
        return TapFunctional(coupling, squared(coupling), fields, beta)

    def at(self, x: Array) -> TapPoint:
        """Return the functional at m = tanh(x)."""
        beta, m, d = self.beta, np.tanh(x), sech_squared(x)
        jm, kd = self.coupling.apply(m), self.weight * self.squares.apply(d)
        gradient = x - beta * (self.fields + jm) + beta**2 * m * kd
        entropy = entr(expit(2 * x)) + entr(expit(-2 * x))
        terms = (entropy, beta / 2 * m * jm, beta * self.fields * m, beta**2 / 4 * d * kd)
        copies = self.coupling.copies
        value = -copies * float(sum(t.sum() for t in terms))
        size = copies * float(sum(np.abs(t).sum() for t in terms))
        return TapPoint(x, m, d, kd, gradient, value, np.finfo(float).eps * size)

    def stiffness(self, point: TapPoint) -> Array:
        """Return p = 1 + beta^2 D (K D)."""
        return np.asarray(1 + self.beta**2 * point.d * point.reaction)

    def scales(self, point: TapPoint) -> Array:
        """Return s = sqrt(beta D/p)."""
        return np.asarray(np.sqrt(self.beta * point.d / self.stiffness(point)))

    def bend(self, point: TapPoint, y: Array) -> Array:
        """Return C y without forming C."""
        turn = 2 * self.beta * self.weight * point.m * self.squares.apply(point.m * y)
        return np.asarray(self.coupling.apply(y) + turn)

    def bent_coupling(self, point: TapPoint) -> Coupling:
        """Return C in full."""
        return bent(self.coupling, 2 * self.beta * self.weight, point.m)

    def plefka(self, point: TapPoint) -> float:
        r"""Return x = 1 - beta^2 mean_i sum_j J_ij^2 (1 - m_j^2)^2, negative where TAP fails.

        For two layers the mean is the geometric mean of the two layers' means, so that x
        vanishes at the paramagnet where beta^4 v_a v_b = 1.  Both forms suppose that the
        variance of the couplings is the same everywhere in a block.
        """
        sums = self.squares.apply(point.d**2)
        coupling = self.coupling
        if isinstance(coupling, BlockCoupling):
            mean = np.sqrt(sums[: coupling.n_a].mean()) * np.sqrt(sums[coupling.n_a :].mean())
        else:
            mean = sums.mean()
        return float(1 - self.beta**2 * mean)
