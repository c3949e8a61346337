"""How a solution answers a small change of the fields, one class for each theory."""

from __future__ import annotations

from abc import ABC, abstractmethod

from spinnet.spins.meanfield.couplings import Coupling
from spinnet.spins.models.base import Array


class Response(ABC):
    """The linear response chi_ij = dm_i/dh_j of +-1 spins at one solution.

    Attributes
    ----------
    n_spins : int
        Spins of the system, those that a result does not report included.
    """

    n_spins: int

    @abstractmethod
    def apply(self, change: Array) -> Array:
        """Return chi `change`, both of shape (n_spins,); LinAlgError if chi does not exist."""

    @abstractmethod
    def matrix(self) -> Array:
        """Return chi, shape (n_spins, n_spins)."""


class SaddleResponse(Response):
    """The response of a naive saddle point: S (1 - S J S)^{-1} S, s_i^2 = beta (1 - m_i^2)."""

    def __init__(self, coupling: Coupling, scale: Array) -> None:
        self.n_spins = coupling.n_spins
        self._coupling, self._scale = coupling, scale

    def apply(self, change: Array) -> Array:
        """Return chi `change`."""
        return self._coupling.respond(self._scale, change)

    def matrix(self) -> Array:
        """Return chi in full."""
        return self._coupling.response(self._scale)
