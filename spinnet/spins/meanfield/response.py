"""How a solution answers a small change of the fields, one class for each theory."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from spinnet.errors import InputError
from spinnet.spins.meanfield.couplings import BlockCoupling, Coupling, UniformCoupling
from spinnet.spins.models.base import Array

RESPONSE_LIMIT = 5000
_SPIN_GLASS = "the spin-glass susceptibility"
_INSTEAD = "susceptibility and susceptibility_top have no limit; sample measures N <q^2>"


def refuse_large(n: int, what: str, instead: str) -> None:
    """Raise InputError for more spins than a full response matrix is computed for."""
    if n > RESPONSE_LIMIT:
        raise InputError(f"n_spins must be <= {RESPONSE_LIMIT} for {what}, got {n}; {instead}")


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

    def square_sum(self, n: int) -> float:
        """Return the sum of chi_ij^2 over the first `n` spins; InputError above 5000 spins."""
        refuse_large(self.n_spins, _SPIN_GLASS, _INSTEAD)
        return float(np.sum(self.matrix()[:n, :n] ** 2))


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

    def square_sum(self, n: int) -> float:
        """Return the sum of chi_ij^2, in closed form or within the smaller layer if possible."""
        coupling = self._coupling
        if isinstance(coupling, UniformCoupling):
            own, other = coupling.response_entries(self._scale)
            return n * own**2 + n * (n - 1) * other**2
        if isinstance(coupling, BlockCoupling):
            refuse_large(min(coupling.n_a, coupling.n_b), f"{_SPIN_GLASS} (smaller layer)", "")
            return coupling.response_squares(self._scale, n)
        return super().square_sum(n)
