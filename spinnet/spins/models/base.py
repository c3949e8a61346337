"""What every finite-N spin system offers, and the checks of configurations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import bounded_array, finite_array

if TYPE_CHECKING:
    from spinnet.spins.models.ising import Ising

Couplings: TypeAlias = "NDArray[np.float64] | sp.csr_array"
Array: TypeAlias = NDArray[np.float64]


class SpinModel(ABC):
    """A system of `n_spins` two-valued units with an energy.

    Attributes
    ----------
    n_spins : int
        Number of units.
    levels : tuple of int
        The two values of a unit, (-1, 1) or (0, 1).
    constant : float
        The part of the energy that no configuration changes.
    """

    n_spins: int
    constant: float
    levels: tuple[int, int] = (-1, 1)

    @property
    @abstractmethod
    def couplings(self) -> Couplings:
        """Symmetric couplings J with zero diagonal, shape (n_spins, n_spins)."""

    @property
    @abstractmethod
    def fields(self) -> Array:
        """Fields h, shape (n_spins,)."""

    @abstractmethod
    def local_fields(self, spins: ArrayLike) -> Array:
        """Return (E(s_i = low) - E(s_i = high)) / (high - low) for each unit.

        For pairwise energies this is h_i + sum_j J_ij s_j.

        Parameters
        ----------
        spins : array_like, shape (n_replicas, n_spins) or (n_spins,)

        Returns
        -------
        ndarray, same shape as `spins`
        """

    @abstractmethod
    def energy(self, spins: ArrayLike) -> Array:
        """Return the total energy of each configuration.

        Parameters
        ----------
        spins : array_like, shape (n_replicas, n_spins) or (n_spins,)

        Returns
        -------
        ndarray, shape (n_replicas,) or ()
        """

    @abstractmethod
    def to_ising(self) -> Ising:
        """Return the pairwise system of +-1 spins with the same energies, or refuse."""

    def to_dict(self) -> dict[str, object]:
        """Return what identifies the model in a stored result."""
        return {"model": type(self).__name__, "n_spins": self.n_spins}

    def _configurations(self, spins: ArrayLike) -> Array:
        """Return `spins` as float64 after checking its shape and its values."""
        array = finite_array("spins", spins)
        if array.ndim not in (1, 2) or array.shape[-1] != self.n_spins:
            raise InputError(
                f"spins must have shape (n_replicas, {self.n_spins}) or ({self.n_spins},), "
                f"got {array.shape}"
            )
        low, high = self.levels
        bad = (array != low) & (array != high)
        if bad.any():
            index = tuple(int(k) for k in np.argwhere(bad)[0])
            raise InputError(f"spins must be {low} or {high}, got {array[index]} at index {index}")
        return array


def as_fields(name: str, value: ArrayLike, n: int) -> Array:
    """Return `value` broadcast to shape (n,); a scalar is a uniform field."""
    array = bounded_array(name, value)
    if array.ndim > 1 or (array.ndim == 1 and array.shape != (n,)):
        raise InputError(f"{name} must be a number or have shape ({n},), got {array.shape}")
    return np.broadcast_to(array, (n,)).copy()


def weight_matrix(name: str, value: ArrayLike) -> Array:
    """Return a finite, non-empty float64 matrix."""
    array = bounded_array(name, value, ndim=2)
    if array.size == 0:
        raise InputError(f"{name} must not be empty, got shape {array.shape}")
    return array
