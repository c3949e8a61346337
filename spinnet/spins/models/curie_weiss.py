"""The Curie-Weiss model: every pair of spins coupled alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models.base import Array, Couplings, SpinModel
from spinnet.spins.models.ising import Ising
from spinnet.validation import bounded_float, integer

_DENSE_LIMIT = 20_000


class CurieWeiss(SpinModel):
    r"""The Curie-Weiss model.

    .. math:: H(s) = -\frac{J}{2N} \Big(\sum_i s_i\Big)^2 - h \sum_i s_i

    The diagonal of the double sum is included, so `constant` is -J/2 and each pair has the
    coupling J/N.  The mean-field critical temperature is T_c = J.

    Parameters
    ----------
    n_spins : int
        N >= 1.
    J, h : float
        Coupling and uniform field.

    References
    ----------
    Oprisa & Toth, arXiv:1702.08039, section 2.
    """

    def __init__(self, n_spins: int, J: float = 1.0, h: float = 0.0) -> None:
        self.n_spins = integer("n_spins", n_spins, minimum=1)
        self.J = bounded_float("J", J)
        self.h = bounded_float("h", h)
        self.constant = -self.J / 2

    def __repr__(self) -> str:
        return f"CurieWeiss({self.n_spins}, J={self.J}, h={self.h})"

    @property
    def couplings(self) -> Couplings:
        """Dense J/N off the diagonal; refused above 20 000 spins."""
        if self.n_spins > _DENSE_LIMIT:
            raise InputError(
                f"n_spins must be <= {_DENSE_LIMIT} for a dense coupling matrix, got "
                f"{self.n_spins}; energy, exact sums and sampling need none"
            )
        matrix = np.full((self.n_spins, self.n_spins), self.J / self.n_spins)
        np.fill_diagonal(matrix, 0.0)
        return matrix

    @property
    def fields(self) -> Array:
        """The uniform field, shape (n_spins,)."""
        return np.full(self.n_spins, self.h)

    def energy(self, spins: ArrayLike) -> Array:
        """Return -(J/2N) M^2 - h M."""
        total = self._configurations(spins).sum(axis=-1)
        return np.asarray(-self.J / (2 * self.n_spins) * total**2 - self.h * total)

    def local_fields(self, spins: ArrayLike) -> Array:
        """Return h + (J/N)(M - s_i)."""
        array = self._configurations(spins)
        total = array.sum(axis=-1, keepdims=True)
        return np.asarray(self.h + self.J / self.n_spins * (total - array))

    def to_ising(self) -> Ising:
        """Return the same system with an explicit coupling matrix."""
        return Ising(self.couplings, self.h, constant=self.constant)

    def to_dict(self) -> dict[str, object]:
        """Return the parameters."""
        return super().to_dict() | {"J": self.J, "h": self.h}
