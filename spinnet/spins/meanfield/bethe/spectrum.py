r"""How a small change of the messages grows: the weighted non-backtracking operator.

.. math:: (B\,\delta u)_{j \to i} = \theta_{j \to i} \sum_{k \ne i} \delta u_{k \to j}

At m = 0, theta = tanh(beta J).  With theta^2 in place of theta its largest eigenvalue, real and
positive by Perron and Frobenius, is the growth of the variance of random signs.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg as sla

from spinnet.spins.meanfield.bethe.graph import Graph, UniformGraph
from spinnet.spins.models.base import Array

_SMALL = 120  # directed bonds for which the matrix is written out
_ARNOLDI_LIMIT = 1_500_000  # messages; twenty vectors of them are kept
_POWER_STEPS = 400
_RESTARTS, _RESTARTS_SIGNED = 300, 20


def linearised(graph: Graph, theta: Array, change: Array) -> Array:
    """Return B applied to messages."""
    rest = graph.at_source(graph.incoming(change)) - graph.reverse(change)
    return np.asarray(theta * rest)


def growth_of(graph: Graph, theta: Array, *, signed: bool) -> float:
    """Return the spectral radius of B; 0 on forests.

    Weights of one sign (not `signed`) have a real leading eigenvalue, found to 1e-9 by Arnoldi.
    Mixed signs may have many eigenvalues near the edge: where Arnoldi does not separate them,
    and above 1.5 million messages, it is the mean growth over the last half of 400 steps from a
    random start, good to a per cent or so.
    """
    if graph.is_forest or not np.any(theta):
        return 0.0
    if isinstance(graph, UniformGraph):
        # the other modes of the complete graph have |lambda| <= sqrt(N - 2)
        return abs(float(theta[0])) * max(graph.n_spins - 2, 1)
    size = theta.size
    operator = _operator(graph, theta)
    if size <= _SMALL:
        return float(np.abs(np.linalg.eigvals(operator @ np.eye(size))).max())
    if size <= _ARNOLDI_LIMIT:
        start = np.random.default_rng(0).standard_normal(size)
        start, tol = (start, 1e-6) if signed else (np.abs(start), 1e-9)
        try:
            values = sla.eigs(
                operator,
                k=1,
                which="LM",
                v0=start,
                tol=tol,
                ncv=20,
                maxiter=_RESTARTS_SIGNED if signed else _RESTARTS,
                return_eigenvectors=False,
            )
            return float(np.abs(values).max())
        except sla.ArpackError:
            pass
    return _power(graph, theta, signed)


def _operator(graph: Graph, theta: Array) -> sla.LinearOperator:
    def apply(v: Array) -> Array:
        return linearised(graph, theta, v.reshape(theta.shape)).ravel()

    return sla.LinearOperator((theta.size, theta.size), matvec=apply, dtype=float)


def _power(graph: Graph, theta: Array, signed: bool) -> float:
    v = np.random.default_rng(0).standard_normal(theta.shape)
    v = v if signed else np.abs(v)
    logs = []
    for _ in range(_POWER_STEPS):
        v = linearised(graph, theta, v)
        norm = float(np.linalg.norm(v))
        if norm == 0:
            return 0.0
        logs.append(np.log(norm))
        v /= norm
    return float(np.exp(np.mean(logs[_POWER_STEPS // 2 :])))
