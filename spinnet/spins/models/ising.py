"""Ising models with any pairwise couplings: dense, sparse, or from a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from spinnet.errors import InputError, did_you_mean
from spinnet.spins.models.base import Array, Couplings, SpinModel, as_fields, weight_matrix
from spinnet.validation import bounded_array, bounded_float

if TYPE_CHECKING:
    import networkx as nx

_SHARED = (np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.int16))
_SHARED_BYTES = 1 << 26  # in double precision; a smaller matrix is copied
_ROWS = 256  # of a shared matrix at a time


class Ising(SpinModel):
    r"""An Ising model with pairwise couplings and fields.

    .. math:: E(s) = -\tfrac12 \sum_{i \ne j} J_{ij} s_i s_j - \sum_i h_i s_i + \text{constant}

    Each pair counts once.  A non-symmetric J is replaced by (J + J^T)/2, which has the same
    energies; a diagonal becomes the constant -tr(J)/2.  A networkx graph is taken by
    `Ising.from_graph`.

    A large matrix is not copied: where J is a contiguous float32, int8 or int16 array that is
    symmetric, has a zero diagonal and would take more than 64 MiB in double precision
    (n_spins > 2896), the model reads it where it is, and `couplings` is a read-only view of it.
    Do not change such an array while the model is in use: energies would follow, while chains
    would mix old couplings with new ones.  Any other J is copied.

    Parameters
    ----------
    J : array_like or scipy.sparse array, shape (n_spins, n_spins)
        Couplings.  A sparse J stays sparse (CSR); a dense one becomes float64, except for a
        large one that is shared.
    h : float or array_like, shape (n_spins,)
        Fields.
    constant : float
        Added to every energy.

    Attributes
    ----------
    self_couplings : ndarray, shape (n_spins,)
        The diagonal J_ii as given.  No energy depends on it beyond `constant`; mean-field
        equations that keep the self-coupling do.

    Examples
    --------
    >>> import spinnet as sn
    >>> float(sn.Ising([[0, 1], [1, 0]]).energy([1, 1]))
    -1.0
    """

    def __init__(self, J: ArrayLike | sp.sparray, h: ArrayLike = 0.0, constant: float = 0.0):
        source: Any = J
        if hasattr(source, "nodes") and hasattr(source, "edges"):
            raise InputError(
                "J must be a matrix of couplings, got a graph "
                f"({type(source).__name__}); use Ising.from_graph(graph)"
            )
        matrix, diagonal = _symmetric_sparse(source) if sp.issparse(source) else _dense(J)
        self.self_couplings = diagonal
        self.n_spins = int(matrix.shape[0])
        self._couplings = matrix
        self._fields = as_fields("h", h, self.n_spins)
        self.constant = bounded_float("constant", constant) - float(diagonal.sum()) / 2
        # what chains derive from a model is kept with it: a change in place would not be seen
        parts = (matrix.data, matrix.indices, matrix.indptr) if sp.issparse(matrix) else (matrix,)
        for array in (*parts, self._fields):
            array.flags.writeable = False

    def __repr__(self) -> str:
        kind = "sparse" if self.is_sparse else "dense"
        return f"Ising({self.n_spins} spins, {kind})"

    @classmethod
    def from_graph(cls, G: nx.Graph[Any], J: float | str = 1.0, h: ArrayLike = 0.0) -> Ising:
        """Build a sparse model on a networkx graph, spins in the order of ``G.nodes``.

        Parameters
        ----------
        G : networkx.Graph
            Undirected; a self-loop is refused.
        J : float or str
            One coupling for every edge, or the name of the edge attribute that holds it.
        h : float, array_like of shape (n_spins,), or the name of a node attribute
            Fields.
        """
        import networkx as nx

        if not isinstance(G, nx.Graph) or G.is_directed() or G.is_multigraph():
            raise InputError(f"G must be an undirected networkx.Graph, got {type(G).__name__}")
        if G.number_of_nodes() == 0:
            raise InputError("G must have at least one node, got an empty graph")
        loops = list(nx.selfloop_edges(G))
        if loops:
            raise InputError(f"G must have no self-loop, got one at node {loops[0][0]!r}")
        values = _attribute("J", J, [(str(e[:2]), e[2]) for e in G.edges(data=True)])
        index = {node: k for k, node in enumerate(G)}
        rows = np.array([index[u] for u, _ in G.edges], dtype=np.int64)
        cols = np.array([index[v] for _, v in G.edges], dtype=np.int64)
        n = len(index)
        upper = sp.coo_array((values, (rows, cols)), shape=(n, n))
        if isinstance(h, str):
            h = _attribute("h", h, [(repr(v), data) for v, data in G.nodes(data=True)])
        return cls(upper + upper.T, h)

    @property
    def is_sparse(self) -> bool:
        """Whether the couplings are stored as a sparse array."""
        return sp.issparse(self._couplings)

    @property
    def couplings(self) -> Couplings:
        """Symmetric couplings with zero diagonal: ndarray, or CSR if sparse.

        Of float64, except for a large dense array that was given in fewer bits; see the class.
        """
        return self._couplings

    @property
    def fields(self) -> Array:
        """Fields h, shape (n_spins,)."""
        return self._fields

    def energy(self, spins: ArrayLike) -> Array:
        """Return -1/2 s.J.s - h.s + constant."""
        array = self._configurations(spins)
        pair = 0.5 * np.sum(array * self._pair_fields(array), axis=-1)
        return np.asarray(self.constant - pair - array @ self._fields)

    def local_fields(self, spins: ArrayLike) -> Array:
        """Return h + J s."""
        return np.asarray(self._fields + self._pair_fields(self._configurations(spins)))

    def _pair_fields(self, array: Array) -> Array:
        """Return J s, in double precision whatever the type of J."""
        J: Any = self._couplings
        if self.is_sparse or J.dtype == np.float64:
            return np.asarray(array @ J)
        total = np.zeros_like(array)
        for a in range(0, self.n_spins, _ROWS):
            rows = slice(a, a + _ROWS)
            total += array[..., rows] @ J[rows].astype(np.float64)
        return total

    def to_ising(self) -> Ising:
        """Return the model itself."""
        return self


def _dense(J: Any) -> tuple[Couplings, Array]:
    if not _may_be_shared(J):
        return _symmetric_dense(J)
    view = (J if J.flags.c_contiguous else J.T).view()  # by rows
    view.flags.writeable = False
    return view, np.zeros(len(J))


def _may_be_shared(J: Any) -> bool:
    """Return whether J is a large matrix that can be used as it is; refuse values not finite."""
    if type(J) is not np.ndarray or J.dtype not in _SHARED or J.ndim != 2:
        return False
    n = len(J)
    if J.shape != (n, n) or 8 * J.size <= _SHARED_BYTES or not J.flags.forc:
        return False
    symmetric = not np.any(np.diagonal(J))
    for a in range(0, n, _ROWS):
        rows = slice(a, a + _ROWS)
        if J.dtype.kind == "f" and not np.isfinite(J[rows]).all():
            bad = tuple(int(k) for k in np.argwhere(~np.isfinite(J[rows]))[0])
            raise InputError(
                f"J must be finite, got {J[rows][bad]} at index {(a + bad[0], bad[1])}"
            )
        for b in range(0, a + _ROWS, _ROWS):
            cols = slice(b, b + _ROWS)
            symmetric = symmetric and np.array_equal(J[rows, cols], J[cols, rows].T)
    return symmetric


def _symmetric_dense(J: Any) -> tuple[Couplings, Array]:
    matrix = weight_matrix("J", J)
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"J must be square, got shape {matrix.shape}")
    diagonal = np.diagonal(matrix).copy()
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 0.0)
    return matrix, diagonal


def _symmetric_sparse(J: Any) -> tuple[Couplings, Array]:
    if J.ndim != 2 or J.shape[0] != J.shape[1] or J.shape[0] == 0:
        raise InputError(f"J must be square and not empty, got shape {J.shape}")
    matrix = sp.csr_array(J)
    matrix.data = bounded_array("J", matrix.data)
    diagonal = matrix.diagonal()
    matrix = sp.csr_array((matrix + matrix.T) / 2 - sp.diags_array(diagonal))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix, np.asarray(diagonal)


def _attribute(name: str, value: float | str, items: list[tuple[str, dict[str, Any]]]) -> Array:
    """Return one number for each edge or node: a constant, or the attribute called `value`."""
    if not isinstance(value, str):
        return np.full(len(items), bounded_float(name, value))
    for where, data in items:
        if value not in data:
            hint = did_you_mean(value, [str(key) for key in data])
            raise InputError(f"{name} names the attribute {value!r}, which {where} lacks{hint}")
    return bounded_array(name, [data[value] for _, data in items])
