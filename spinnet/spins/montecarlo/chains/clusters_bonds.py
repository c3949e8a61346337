"""The couplings of a model as bonds along which clusters grow: all >= 0 after a gauge change.

Where the signs g_i of some spins can be turned so that g_i J_ij g_j >= 0 for all pairs (no loop
is frustrated, as in an antiferromagnet on a bipartite lattice), the spins g_i s_i have
ferromagnetic couplings and the fields g_i h_i.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinnet.spins.models import CurieWeiss, NetworkDual, SpinModel

_MOST = 100_000_000  # entries: 1.2 GB as bonds
_MOST_FOR_GAUGE = 4_000_000  # entries: seconds
_BLOCK = 512  # bonds
_known: weakref.WeakKeyDictionary[SpinModel, Bonds | str] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Bonds:
    """Ferromagnetic bonds of the spins g_i s_i.

    Attributes
    ----------
    matrix : csr_array
        Couplings >= 0 with sorted indices and no zeros.
    fields : ndarray
        g_i h_i; empty where no field acts.
    gauge : ndarray of int8
        g_i; empty where all are +1.
    constant : float
    """

    matrix: Any
    fields: NDArray[np.float64]
    gauge: NDArray[np.int8]
    constant: float

    @property
    def one_sign(self) -> bool:
        """Whether no two fields have different signs."""
        return not (np.any(self.fields > 0) and np.any(self.fields < 0))

    @cached_property
    def both_ways(self) -> tuple[Any, ...]:
        """Each bond twice: indptr, indices, J (one number if all are alike)."""
        return _arrays(self.matrix)

    @cached_property
    def one_way(self) -> tuple[Any, ...]:
        """Each bond at its later spin: indptr, indices, where blocks of spins begin, J."""
        indptr, indices, J = _arrays(sp.csr_array(sp.tril(self.matrix, -1)))
        steps = np.arange(0, int(indptr[-1]) + _BLOCK, _BLOCK)
        inner = np.searchsorted(indptr, steps).clip(0, len(indptr) - 1)
        cuts = np.unique(np.concatenate([[0], inner, [len(indptr) - 1]]))
        return indptr, indices, cuts.astype(np.int64), J


def _arrays(matrix: Any) -> tuple[Any, ...]:
    data = matrix.data
    alike = data.size == 0 or data.min() == data.max()
    J = np.array([data[0] if data.size else 0.0]) if alike else data
    return matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), J.astype(np.float64)


def bonds_of(model: SpinModel) -> Bonds | str:
    """Return the bonds of `model`, or why clusters cannot be grown on it.

    For a Curie-Weiss model, whose kernels need no list, "" instead of the bonds.
    """
    if model not in _known:
        _known[model] = _bonds(model)
    return _known[model]


def _bonds(model: SpinModel) -> Bonds | str:
    if isinstance(model, CurieWeiss):
        return "" if model.J >= 0 else f"clusters need couplings >= 0, and J is {model.J:g}"
    if isinstance(model, NetworkDual) and model.kind == "marginal":
        return "kind='marginal' has no pairwise energies; BlockGibbs() samples both layers"
    ising = model.to_ising()
    J: Any = ising.couplings
    n_bonds = J.nnz if ising.is_sparse else int(np.count_nonzero(J))
    if n_bonds > _MOST:
        return f"clusters would need a list of {n_bonds // 2:.2g} bonds, at most {_MOST // 2:.2g}"
    lowest = float((J.data if ising.is_sparse else J).min(initial=0.0))
    if lowest < 0 and n_bonds > _MOST_FOR_GAUGE:
        return _negative(J, np.ones(ising.n_spins, dtype=bool))
    matrix = sp.csr_array(J, copy=True)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    gauge = np.empty(0, np.int8)
    if lowest < 0:
        gauge, frustrated = _gauge(matrix)
        if frustrated.any():
            return _negative(matrix, frustrated)
        matrix.data = np.abs(matrix.data.astype(np.float64))  # int8 has no +128
    fields = ising.fields * gauge if gauge.size else ising.fields
    return Bonds(matrix, fields if fields.any() else np.empty(0), gauge, ising.constant)


def _gauge(matrix: Any) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return signs that make all couplings positive, and the spins for which none exist.

    Each spin has two nodes, + and -; a coupling > 0 joins nodes of equal signs and one < 0 those
    of different signs.  A spin whose two nodes are joined lies in a frustrated component.
    """
    from scipy.sparse.csgraph import connected_components  # slow to import, and seldom needed

    plus = sp.csr_array(matrix > 0, dtype=np.int8)
    minus = sp.csr_array(matrix < 0, dtype=np.int8)
    n = matrix.shape[0]
    _, label = connected_components(sp.block_array([[plus, minus], [minus, plus]]), directed=False)
    up, down = label[:n], label[n:]
    return np.where(up <= down, 1, -1).astype(np.int8), up == down


def _negative(J: Any, where: NDArray[np.bool_]) -> str:
    """Name the first coupling < 0 of the spins in `where`."""
    for i in np.flatnonzero(where):
        row = J[i] if isinstance(J, np.ndarray) else J[[i], :].toarray()[0]
        if row.min() < 0:
            j = int(np.argmax(row < 0))
            return (
                f"clusters need couplings >= 0 (or no frustrated loop), and J[{i}, {j}] "
                f"is {row[j]:.4g}; use HeatBath() or Metropolis()"
            )
    raise AssertionError("no coupling is negative")
