"""Two layers of units coupled by a rectangular matrix: a restricted Boltzmann machine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models.base import Array, Couplings, SpinModel, as_fields, weight_matrix
from spinnet.spins.models.ising import Ising
from spinnet.validation import bounded_float


class Bipartite(SpinModel):
    r"""Two layers a and b with couplings between them only.

    .. math:: E(a, b) = -\text{scale} \sum_{ij} w_{ij} a_i b_j - g \cdot a - k \cdot b

    with g = `bias_a` and k = `bias_b`.  A configuration is (a, b) joined: the first `n_a` units
    are layer a.

    Parameters
    ----------
    weights : array_like, shape (n_a, n_b)
    bias_a : float or array_like, shape (n_a,)
    bias_b : float or array_like, shape (n_b,)
    levels : (0, 1) or (-1, 1)
        The values of a unit.
    scale : float
        Multiplies the double sum (1/norm of the sources).

    References
    ----------
    Oprisa & Toth, arXiv:1702.08039: the system dual to a layer, before its change of variables.
    """

    def __init__(
        self,
        weights: ArrayLike,
        bias_a: ArrayLike = 0.0,
        bias_b: ArrayLike = 0.0,
        levels: tuple[int, int] = (0, 1),
        scale: float = 1.0,
    ) -> None:
        self.weights = weight_matrix("weights", weights)
        self.n_a, self.n_b = self.weights.shape
        self.n_spins = self.n_a + self.n_b
        self.bias_a = as_fields("bias_a", bias_a, self.n_a)
        self.bias_b = as_fields("bias_b", bias_b, self.n_b)
        pair = tuple(levels) if isinstance(levels, Iterable) else ()
        if pair not in ((0, 1), (-1, 1)):
            raise InputError(f"levels must be (0, 1) or (-1, 1), got {levels!r}")
        self.levels = (int(pair[0]), int(pair[1]))
        self.scale = bounded_float("scale", scale)
        self.constant = 0.0

    def __repr__(self) -> str:
        return f"Bipartite({self.n_a} x {self.n_b}, levels={self.levels}, scale={self.scale})"

    @property
    def couplings(self) -> Couplings:
        """The block matrix [[0, scale w], [scale w^T, 0]], acting on `levels`."""
        matrix = np.zeros((self.n_spins, self.n_spins))
        matrix[: self.n_a, self.n_a :] = self.scale * self.weights
        return matrix + matrix.T

    @property
    def fields(self) -> Array:
        """The biases (bias_a, bias_b) joined, acting on `levels`."""
        return np.concatenate([self.bias_a, self.bias_b])

    def energy(self, spins: ArrayLike) -> Array:
        """Return the energy of each joined configuration (a, b)."""
        array = self._configurations(spins)
        a, b = array[..., : self.n_a], array[..., self.n_a :]
        pair = self.scale * np.sum((a @ self.weights) * b, axis=-1)
        return np.asarray(self.constant - pair - a @ self.bias_a - b @ self.bias_b)

    def local_fields(self, spins: ArrayLike) -> Array:
        """Return (bias_a + scale w b, bias_b + scale w^T a) joined."""
        array = self._configurations(spins)
        a, b = array[..., : self.n_a], array[..., self.n_a :]
        return np.concatenate(
            [
                self.bias_a + self.scale * (b @ self.weights.T),
                self.bias_b + self.scale * (a @ self.weights),
            ],
            axis=-1,
        )

    def to_spins(self) -> Bipartite:
        """Return the system of +-1 units with the same energies, state by state.

        With a = (1 + sigma)/2 and b = (1 + tau)/2 the couplings shrink by 4, and each unit
        gains a field, half its bias plus a quarter of its row or column sum of weights.
        """
        if self.levels == (-1, 1):
            return self
        quarter = self.scale * self.weights / 4
        twin = Bipartite(
            quarter,
            self.bias_a / 2 + quarter.sum(axis=1),
            self.bias_b / 2 + quarter.sum(axis=0),
            levels=(-1, 1),
        )
        biases = self.bias_a.sum() + self.bias_b.sum()
        twin.constant = float(self.constant - quarter.sum() - biases / 2)
        return twin

    def to_ising(self) -> Ising:
        """Return the Ising model with the same energies; {0, 1} units become +-1."""
        twin = self.to_spins()
        return Ising(twin.couplings, twin.fields, constant=twin.constant)

    def to_dict(self) -> dict[str, object]:
        """Return sizes, levels and scale."""
        return super().to_dict() | {
            "n_a": self.n_a,
            "n_b": self.n_b,
            "levels": list(self.levels),
            "scale": self.scale,
        }
