"""Where the messages live: one array of directed bonds for each shape of coupling matrix.

A message u on the directed bond j -> i is what i hears of j, in log-odds.  Each layout knows its
couplings, the reversed bonds, and the sums over bonds, so that belief propagation is written
once.  A dense matrix with few bonds becomes a sparse one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from spinnet.spins.meanfield.couplings import (
    BlockCoupling,
    Coupling,
    DenseCoupling,
    SparseCoupling,
    UniformCoupling,
)
from spinnet.spins.models.base import Array

_DENSE_SIZE = 64  # smaller systems are quick as lists of bonds
_DENSE_SHARE = 0.25  # of the pairs that have a bond


class Graph(ABC):
    """Directed bonds with couplings; arrays of messages have the shape of `couplings`.

    Attributes
    ----------
    n_spins, size, copies : int
        `size` unknowns stand for `copies` spins each.
    couplings : ndarray
        J of each directed bond.
    n_bonds : int
        Undirected bonds.
    is_forest : bool
        Whether no bond closes a loop.
    may_freeze : bool
        Whether some connected part has two loops or more: only then can the linearised
        messages grow, at any temperature above 0.
    """

    n_spins: int
    size: int
    copies: int = 1
    couplings: Array
    n_bonds: int
    is_forest: bool = False
    may_freeze: bool = True

    @abstractmethod
    def reverse(self, u: Array) -> Array:
        """Return the message of i -> j in the place of j -> i."""

    @abstractmethod
    def incoming(self, u: Array) -> Array:
        """Return the sum over all messages that each spin hears, shape (size,)."""

    @abstractmethod
    def at_source(self, x: Array) -> Array:
        """Return x_j on each directed bond j -> i."""

    def at_target(self, x: Array) -> Array:
        """Return x_i on each directed bond j -> i."""
        return self.reverse(self.at_source(x))

    def outgoing(self, u: Array) -> Array:
        """Return the sum over all messages that each spin sends, shape (size,)."""
        return self.incoming(self.reverse(u))

    def bond_sum(self, values: Array) -> float:
        """Return the sum over undirected bonds of what is the same in both directions."""
        return float(values.sum()) / 2

    @abstractmethod
    def matrix(self, values: Array) -> Any:
        """Return a symmetric quantity of the bonds as a matrix, dense or CSR."""

    @abstractmethod
    def undirected(self, values: Any) -> Array:
        """Return one value for each undirected bond, in the order of `ends`."""

    @abstractmethod
    def directed(self, forth: Array, back: Array) -> Array:
        """Return messages from those of the first ends and of the second ends of `ends`."""

    @abstractmethod
    def ends(self) -> tuple[Any, Any]:
        """Return the two spins of each undirected bond, the smaller number first."""


class DenseGraph(Graph):
    """A complete graph: message j -> i is entry [j, i]; the diagonal has none."""

    def __init__(self, matrix: Array) -> None:
        self.n_spins = self.size = int(matrix.shape[0])
        self.couplings = matrix.copy()
        np.fill_diagonal(self.couplings, 0.0)
        self.n_bonds = int(np.count_nonzero(self.couplings)) // 2

    def reverse(self, u: Array) -> Array:
        """Return the transpose."""
        return u.T

    def incoming(self, u: Array) -> Array:
        """Return the column sums."""
        return np.asarray(u.sum(axis=0))

    def at_source(self, x: Array) -> Array:
        """Return x_j in row j."""
        return np.broadcast_to(x[:, None], self.couplings.shape)

    def matrix(self, values: Array) -> Array:
        """Return the values as they are."""
        return values

    def undirected(self, values: Any) -> Array:
        """Return the upper triangle."""
        return np.asarray(values[self.ends()])

    def directed(self, forth: Array, back: Array) -> Array:
        """Return a matrix, the first ends above the diagonal."""
        full = np.zeros_like(self.couplings)
        full[self.ends()], full.T[self.ends()] = forth, back
        return full

    def ends(self) -> tuple[Any, Any]:
        """Return the indices of the upper triangle."""
        return np.triu_indices(self.n_spins, 1)


class BlockGraph(Graph):
    """Two layers: entry [0, i, j] is the message of a_i to b_j, [1, i, j] that of b_j to a_i."""

    def __init__(self, block: Array) -> None:
        self.n_a, self.n_b = block.shape
        self.n_spins = self.size = self.n_a + self.n_b
        self.couplings = np.broadcast_to(block, (2, *block.shape))
        self.n_bonds = int(np.count_nonzero(block))

    def reverse(self, u: Array) -> Array:
        """Return the two directions exchanged."""
        return u[::-1]

    def incoming(self, u: Array) -> Array:
        """Return the sums over the other layer."""
        return np.concatenate([u[1].sum(axis=1), u[0].sum(axis=0)])

    def at_source(self, x: Array) -> Array:
        """Return x of the sending layer."""
        shape = self.couplings.shape[1:]
        a, b = x[: self.n_a, None], x[None, self.n_a :]
        return np.stack([np.broadcast_to(a, shape), np.broadcast_to(b, shape)])

    def matrix(self, values: Array) -> Array:
        """Return [[0, B], [B^T, 0]]."""
        full = np.zeros((self.n_spins, self.n_spins))
        full[: self.n_a, self.n_a :] = values[0]
        full[self.n_a :, : self.n_a] = values[1].T
        return full

    def undirected(self, values: Any) -> Array:
        """Return the block, row by row."""
        return np.asarray(values[0].ravel())

    def directed(self, forth: Array, back: Array) -> Array:
        """Return both directions, each as a block."""
        return np.stack([forth, back]).reshape(self.couplings.shape)

    def ends(self) -> tuple[Any, Any]:
        """Return the rows and the columns of the block."""
        a, b = np.indices((self.n_a, self.n_b))
        return a.ravel(), self.n_a + b.ravel()


class SparseGraph(Graph):
    """A list of directed bonds in the order of the rows of a CSR matrix: row j sends to column i.

    Attributes
    ----------
    start, target, back : ndarray
        CSR row pointer and columns, and the place of each reversed bond.
    """

    def __init__(self, matrix: sp.csr_array) -> None:
        matrix = sp.csr_array(matrix - sp.diags_array(matrix.diagonal()))
        matrix.eliminate_zeros()
        matrix.sort_indices()
        self.n_spins = self.size = int(matrix.shape[0])
        self.couplings = np.asarray(matrix.data, dtype=float)
        self.start = matrix.indptr.astype(np.int64)
        self.target = matrix.indices.astype(np.int64)
        self.source = np.repeat(np.arange(self.n_spins), np.diff(self.start))
        self.back = np.lexsort((self.source, self.target))
        self.n_bonds = self.couplings.size // 2
        self._shape = (matrix.indices, matrix.indptr)
        self._count_loops(matrix)

    def _count_loops(self, matrix: sp.csr_array) -> None:
        parts, label = csgraph.connected_components(matrix, directed=False)
        spins = np.bincount(label, minlength=parts)
        bonds = np.bincount(label[self.source], minlength=parts) // 2
        loops = bonds - spins + 1
        self.is_forest = bool(np.all(loops == 0))
        self.may_freeze = bool(np.any(loops > 1))

    def reverse(self, u: Array) -> Array:
        """Return the messages permuted."""
        return np.asarray(u[self.back])

    def incoming(self, u: Array) -> Array:
        """Return the sums by target."""
        return np.asarray(np.bincount(self.target, weights=u, minlength=self.n_spins), dtype=float)

    def at_source(self, x: Array) -> Array:
        """Return x by source."""
        return np.asarray(x[self.source])

    def at_target(self, x: Array) -> Array:
        """Return x by target."""
        return np.asarray(x[self.target])

    def matrix(self, values: Array) -> sp.csr_array:
        """Return a CSR matrix."""
        indices, indptr = self._shape
        return sp.csr_array((values, indices, indptr), shape=(self.n_spins, self.n_spins))

    def undirected(self, values: Any) -> Array:
        """Return the values of source < target."""
        return np.asarray(values[self.source < self.target])

    def directed(self, forth: Array, back: Array) -> Array:
        """Return the list of all directed bonds."""
        once = self.source < self.target
        full = np.empty(self.target.size)
        full[once], full[self.back[once]] = forth, back
        return full

    def ends(self) -> tuple[Any, Any]:
        """Return sources and targets of source < target."""
        once = self.source < self.target
        return self.source[once], self.target[once]


class UniformGraph(Graph):
    """All pairs of N equal spins: one message for all N (N - 1) directed bonds."""

    def __init__(self, n_spins: int, pair: float) -> None:
        self.n_spins = self.copies = n_spins
        self.size = 1
        self.couplings = np.array([pair if n_spins > 1 else 0.0])
        self.n_bonds = n_spins * (n_spins - 1) // 2 if pair != 0 else 0
        self.is_forest = n_spins <= 2 or pair == 0
        self.may_freeze = n_spins >= 4 and pair != 0

    def reverse(self, u: Array) -> Array:
        """Return the message itself."""
        return u

    def incoming(self, u: Array) -> Array:
        """Return (N - 1) u."""
        return (self.n_spins - 1) * u

    def at_source(self, x: Array) -> Array:
        """Return x."""
        return x

    def bond_sum(self, values: Array) -> float:
        """Return N (N - 1)/2 times the value."""
        return self.n_spins * (self.n_spins - 1) / 2 * float(values[0])

    def matrix(self, values: Array) -> Array:
        """Return equal numbers off the diagonal, for small N."""
        full = np.full((self.n_spins, self.n_spins), values[0])
        np.fill_diagonal(full, 0.0)
        return full

    def undirected(self, values: Any) -> Array:
        """Return the one value."""
        return np.asarray(values)

    def directed(self, forth: Array, back: Array) -> Array:
        """Return the one message."""
        return forth

    def ends(self) -> tuple[Any, Any]:
        """Return one pair, that stands for all."""
        last = min(1, self.n_spins - 1)
        return np.array([0]), np.array([last])


def graph_of(coupling: Coupling) -> Graph:
    """Return the layout that suits a coupling matrix."""
    if isinstance(coupling, UniformCoupling):
        return UniformGraph(coupling.n_spins, coupling.pair)
    if isinstance(coupling, SparseCoupling):
        return SparseGraph(coupling.matrix)
    if isinstance(coupling, BlockCoupling):
        block = coupling.block
        share = np.count_nonzero(block) / block.size
        many = np.count_nonzero(block) > coupling.n_spins  # two loops at least
        if coupling.n_spins > _DENSE_SIZE and share > _DENSE_SHARE and many:
            return BlockGraph(block)
        upper = sp.csr_array(block)
        parts: Any = [[None, upper], [upper.T, None]]
        return SparseGraph(sp.csr_array(sp.block_array(parts)))
    assert isinstance(coupling, DenseCoupling)
    matrix = coupling.matrix
    if coupling.n_spins > _DENSE_SIZE and np.count_nonzero(matrix) > _DENSE_SHARE * matrix.size:
        return DenseGraph(matrix)
    return SparseGraph(sp.csr_array(matrix))
