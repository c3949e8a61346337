"""What every kernel offers: averages of an activation over one or two Gaussian pre-activations.

A pair (u1, u2) has variances q1, q2 and correlation c = 1 - epsilon.  Kernels take `epsilon`
instead of c: next to c = 1 every quantity that matters is a power of epsilon, and 1 - c computed
from c has lost it.  All methods broadcast over their arguments and return float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import KinkedActivationError

Array = NDArray[np.float64]

# Differences are integrated where they are smaller than this share of what they are taken of.
_CANCELS = 0.05
_NODES = 32


@cache
def gauss_legendre(n: int) -> tuple[Array, Array]:
    """Return nodes and weights of Gauss-Legendre quadrature on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


class Kernel(ABC):
    """Gaussian averages of one activation phi.

    Attributes
    ----------
    name : str
        Name of the activation, for messages.
    smooth : bool
        Whether phi has no kinks.
    odd : bool
        Whether phi(-x) = -phi(x), known and not guessed.
    concave : bool
        Whether q -> E[phi^2] is known to be concave, so that the length map has at most one
        stable fixed point besides 0.
    homogeneous : bool
        Whether phi(a x) = a phi(x) for a > 0, so that E[phi^2] is proportional to q.
    """

    name: str = "activation"
    smooth: bool = True
    odd: bool = False
    concave: bool = False
    homogeneous: bool = False

    # ------------------------------------------------------------------ one Gaussian
    @abstractmethod
    def mean(self, q: ArrayLike) -> Array:
        """Return E[phi(h)], h of variance `q`."""

    @abstractmethod
    def second_moment(self, q: ArrayLike) -> Array:
        """Return F(q) = E[phi(h)^2]."""

    @abstractmethod
    def second_moment_slope(self, q: ArrayLike) -> Array:
        """Return F'(q) = E[h phi(h) phi'(h)] / q, right for kinks too."""

    @abstractmethod
    def slope_moment(self, q: ArrayLike) -> Array:
        """Return E[phi'(h)^2]."""

    def curvature_moment(self, q: ArrayLike) -> Array:
        """Return E[phi''(h)^2].

        Raises
        ------
        KinkedActivationError
            If phi has kinks: the average is infinite.
        """
        if not self.smooth:
            raise KinkedActivationError(
                f"activation {self.name!r} has kinks, where its curvature is infinite: "
                "E[phi''^2] and the curvature of curves do not exist; take a smooth activation"
            )
        q = np.asarray(q, dtype=np.float64)
        return self.curvature_overlap(q, q, np.zeros_like(q))

    # ------------------------------------------------------------------ two Gaussians
    @abstractmethod
    def overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        """Return H = E[phi(u1) phi(u2)]."""

    @abstractmethod
    def slope_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        """Return E[phi'(u1) phi'(u2)], the derivative of H by the covariance."""

    @abstractmethod
    def curvature_overlap(self, q1: ArrayLike, q2: ArrayLike, epsilon: ArrayLike) -> Array:
        """Return E[phi''(u1) phi''(u2)], the second derivative of H by the covariance.

        Kinks count, as delta functions of phi''.
        """

    # ------------------------------------------------------------------ next to c = 1
    def deficit(self, q: ArrayLike, epsilon: ArrayLike) -> Array:
        """Return D = F(q) - H(q, q, 1 - epsilon), to relative accuracy for small epsilon too.

        D = E[(phi(u1) - phi(u2))^2] / 2 = q int_0^epsilon E[phi' phi'] d epsilon.
        """
        q, epsilon = _broadcast(q, epsilon)
        total = self.second_moment(q)
        result = np.asarray(total - self.overlap(q, q, epsilon))
        near = result < _CANCELS * total
        if near.any():
            result[near] = self._integrated_deficit(q[near], epsilon[near])
        return result

    def remainder(self, q: ArrayLike, epsilon: ArrayLike) -> Array:
        """Return N = D(epsilon) - q epsilon E[phi'(u1) phi'(u2)], to relative accuracy.

        At a fixed point c* = 1 - epsilon of the correlation map, 1 - chi_c = N / D: the distance
        from criticality without a difference of numbers near 1.
        """
        q, epsilon = _broadcast(q, epsilon)
        whole = self.deficit(q, epsilon)
        result = np.asarray(whole - q * epsilon * self.slope_overlap(q, q, epsilon))
        near = np.abs(result) < _CANCELS * whole
        if near.any():
            result[near] = self._integrated_remainder(q[near], epsilon[near])
        return result

    def length_deficit(self, q: ArrayLike) -> Array:
        """Return phi'(0)^2 q - F(q), which decides about criticality where sigma_b = 0."""
        q = np.asarray(q, dtype=np.float64)
        return np.asarray(self.slope_moment(np.zeros_like(q)) * q - self.second_moment(q))

    # The integrals run over the angle theta, cos(theta) = correlation: the square-root
    # singularities that kinks leave at c = 1 are smooth in it.
    def _integrated_deficit(self, q: Array, epsilon: Array) -> Array:
        nodes, weights = gauss_legendre(_NODES)
        top = 2 * np.arcsin(np.sqrt(epsilon / 2))[:, None]
        theta = top * nodes
        inner = self.slope_overlap(q[:, None], q[:, None], 2 * np.sin(theta / 2) ** 2)
        return np.asarray(q * np.sum(weights * top * np.sin(theta) * inner, axis=1))

    def _integrated_remainder(self, q: Array, epsilon: Array) -> Array:
        nodes, weights = gauss_legendre(_NODES)
        top = 2 * np.arcsin(np.sqrt(epsilon / 2))[:, None]
        theta = top * nodes
        below = 2 * np.sin(theta / 2) ** 2
        inner = self.curvature_overlap(q[:, None], q[:, None], below)
        return np.asarray(q**2 * np.sum(weights * top * np.sin(theta) * below * inner, axis=1))


def _broadcast(q: ArrayLike, epsilon: ArrayLike) -> tuple[Array, Array]:
    first, second = np.broadcast_arrays(
        np.asarray(q, dtype=np.float64), np.asarray(epsilon, dtype=np.float64)
    )
    return first, second
