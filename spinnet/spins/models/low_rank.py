"""Couplings of low rank: a few directions, or the stored patterns of a Hopfield network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models.base import Array, Couplings, SpinModel, as_fields, weight_matrix
from spinnet.spins.models.ising import Ising
from spinnet.validation import bounded_float

_DENSE_LIMIT = 20_000


class LowRank(SpinModel):
    r"""+-1 spins with couplings J_ij = sum_p f_ip f_jp for i != j, kept as their factors.

    .. math:: E(s) = -\frac12 \sum_p \Big(\sum_i f_{ip} s_i\Big)^2 + \frac12 \sum_{ip} f_{ip}^2
              - \sum_i h_i s_i + \text{constant}

    The second term takes out the diagonal of the double sum, so that each pair counts once and
    no spin acts on itself.  Memory and the cost of an energy are O(N P).

    Parameters
    ----------
    factors : array_like, shape (n_spins, P) or (n_spins,)
        Columns f_p.
    h : float or array_like, shape (n_spins,)
        Fields.
    constant : float
        Added to every energy.

    Raises
    ------
    InputError
        For factors that are empty or not finite, or fields of another length.

    Examples
    --------
    >>> import spinnet as sn
    >>> float(sn.LowRank([[1.0], [2.0]]).energy([1, 1]))
    -2.0
    """

    def __init__(self, factors: ArrayLike, h: ArrayLike = 0.0, constant: float = 0.0) -> None:
        columns = np.asarray(factors)
        self.factors = weight_matrix("factors", columns[:, None] if columns.ndim == 1 else factors)
        self.n_spins, self.rank = self.factors.shape
        self._fields = as_fields("h", h, self.n_spins)
        self.constant = bounded_float("constant", constant)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_spins} spins, rank {self.rank})"

    @property
    def self_couplings(self) -> Array:
        """What the sum over p gives at i = j, and no energy contains; shape (n_spins,)."""
        return np.asarray(np.einsum("ip,ip->i", self.factors, self.factors))

    @property
    def couplings(self) -> Couplings:
        """The dense matrix with zero diagonal; refused above 20 000 spins."""
        if self.n_spins > _DENSE_LIMIT:
            raise InputError(
                f"n_spins must be <= {_DENSE_LIMIT} for a dense coupling matrix, got "
                f"{self.n_spins}; energies and AuxiliaryField() need none"
            )
        matrix = self.factors @ self.factors.T
        np.fill_diagonal(matrix, 0.0)
        return matrix

    @property
    def fields(self) -> Array:
        """Fields h, shape (n_spins,)."""
        return self._fields

    def energy(self, spins: ArrayLike) -> Array:
        """Return the total energy of each configuration; see the class."""
        array = self._configurations(spins)
        overlaps = array @ self.factors
        pairs = 0.5 * (np.sum(overlaps**2, axis=-1) - np.sum(self.factors**2))
        return np.asarray(self.constant - pairs - array @ self._fields)

    def local_fields(self, spins: ArrayLike) -> Array:
        """Return h_i + sum_p f_ip (f_p . s) - s_i sum_p f_ip^2."""
        array = self._configurations(spins)
        whole = (array @ self.factors) @ self.factors.T
        return np.asarray(self._fields + whole - array * self.self_couplings)

    def to_ising(self) -> Ising:
        """Return the same system with an explicit coupling matrix; at most 20 000 spins."""
        return Ising(self.couplings, self._fields, constant=self.constant)

    def to_dict(self) -> dict[str, object]:
        """Return the size and the number of factors."""
        return super().to_dict() | {"rank": self.rank}


class Hopfield(LowRank):
    r"""The Hopfield network: Hebb's couplings J_ij = (1/N) sum_p xi^p_i xi^p_j for i != j.

    Parameters
    ----------
    patterns : array_like, shape (P, n_spins)
        The stored patterns xi, each of -1 and +1.
    h : float or array_like, shape (n_spins,)
        Fields.
    constant : float
        Added to every energy.

    Notes
    -----
    As N grows at fixed P, the overlaps with the patterns order below T_c = 1.

    References
    ----------
    J. J. Hopfield, Proc. Natl. Acad. Sci. USA 79, 2554 (1982).

    Examples
    --------
    >>> import spinnet as sn
    >>> net = sn.Hopfield([[1, 1, -1, -1], [1, -1, 1, -1]])
    >>> net.overlaps([1, 1, -1, -1]).tolist()
    [1.0, 0.0]
    """

    def __init__(self, patterns: ArrayLike, h: ArrayLike = 0.0, constant: float = 0.0) -> None:
        matrix = weight_matrix("patterns", patterns)
        bad = np.argwhere(np.abs(matrix) != 1)
        if len(bad):
            index = tuple(int(k) for k in bad[0])
            raise InputError(
                f"patterns must be -1 or +1, got {matrix[index]} at index {index}; "
                "LowRank(factors) takes any numbers"
            )
        self.patterns = matrix.astype(np.int8)
        super().__init__(matrix.T / np.sqrt(matrix.shape[1]), h, constant)

    def overlaps(self, spins: ArrayLike) -> Array:
        """Return (1/N) sum_i xi^p_i s_i for each pattern.

        Parameters
        ----------
        spins : array_like, shape (n_replicas, n_spins) or (n_spins,)

        Returns
        -------
        ndarray, shape (n_replicas, P) or (P,)
        """
        return np.asarray(self._configurations(spins) @ self.patterns.T / self.n_spins)
