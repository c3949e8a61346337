"""Couplings as sums of few products, J_ij = sum_p f_ip f_jp for i != j.

The diagonal is free, since s_i^2 = 1: a matrix with zero diagonal has such factors if some
diagonal makes it positive semi-definite and of low rank.
"""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinnet.spins.models import CurieWeiss, Ising, LowRank, NetworkDual, SpinModel

Array = NDArray[np.float64]

MAX_RANK = 64
_MAX_DENSE = 2000  # spins: the eigenvalues of an explicit matrix take a second or two
_ROUNDING = 1e-10  # of the largest eigenvalue
_KNOWN: WeakKeyDictionary[SpinModel, Array | str] = WeakKeyDictionary()


def refusal_of(model: SpinModel) -> str:
    """Return why a model has no factors, or ""."""
    found = _found(model)
    return found if isinstance(found, str) else ""


def factors_of(model: SpinModel) -> Array:
    """Return the factors, shape (n_spins, P), of a model for which :func:`refusal_of` is ""."""
    found = _found(model)
    assert not isinstance(found, str), found
    return found


def _found(model: SpinModel) -> Array | str:
    if isinstance(model, LowRank):
        if model.rank > MAX_RANK:
            return f"its couplings have rank {model.rank}; {MAX_RANK} at most"
        return model.factors
    if isinstance(model, CurieWeiss):
        if model.J < 0:
            return "J < 0 is no square of real factors"
        return np.full((model.n_spins, 1), math.sqrt(model.J / model.n_spins))
    if model not in _KNOWN:
        _KNOWN[model] = _decomposed(model)
    return _KNOWN[model]


def _decomposed(model: SpinModel) -> Array | str:
    """Return the factors of explicit couplings, or why there are none."""
    if not isinstance(model, Ising) and not (
        isinstance(model, NetworkDual) and model.kind == "collapsed"
    ):
        return "it needs couplings among +-1 spins of one layer: CurieWeiss, LowRank or Ising"
    if model.n_spins > _MAX_DENSE:
        return f"factors are looked for up to {_MAX_DENSE} spins; pass LowRank(factors)"
    ising = model.to_ising()
    J = ising.couplings
    matrix: Array = J.toarray() if sp.issparse(J) else np.asarray(J)
    reasons = []
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    for diagonal in (ising.self_couplings, np.full(len(matrix), -lowest)):
        factors = _square_root(matrix + np.diag(diagonal))
        if not isinstance(factors, str):
            return factors
        reasons.append(factors)
    return f"{reasons[-1]}; pass LowRank(factors) if it has some"


def _square_root(matrix: Array) -> Array | str:
    """Return F with F F^T = matrix, or why not."""
    values, vectors = np.linalg.eigh(matrix)
    rounding = _ROUNDING * max(float(np.abs(values).max()), np.finfo(float).tiny)
    if values[0] < -rounding:
        return f"its couplings have the negative eigenvalue {values[0]:.3g}"
    keep = values > rounding
    rank = int(keep.sum())
    if rank > MAX_RANK:
        return (
            f"its couplings, with the diagonal that makes them positive, have rank {rank}; "
            f"{MAX_RANK} at most"
        )
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))
