"""Transition matrices of the cluster updates, by the sum over all bond configurations.

Bonds are added one at a time to the distribution of the partition of the spins into clusters:
each partition stays as it is, or has the two ends of the bond joined.  This is the sum over the
2^n_bonds configurations, with equal terms collected.
"""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.spins.models import CurieWeiss, SpinModel
from spinnet.spins.montecarlo.chains.clusters_bonds import Bonds, bonds_of

Array = NDArray[np.float64]
Partition: TypeAlias = tuple[int, ...]  # the first spin of the cluster of each spin
MOST_SPINS = 8


def swendsen_wang_step(model: SpinModel, beta: float, states: NDArray[np.int8]) -> Array:
    """Return the matrix of one sweep: every cluster is given a sign at random."""
    J, h, bits = _system(model, states)
    P = np.zeros((len(bits), len(bits)))
    for row, up in enumerate(bits):
        for roots, chance in _clusters(J, beta, up).items():
            members = [np.flatnonzero(np.equal(roots, root)) for root in sorted(set(roots))]
            p_up = [expit(2 * beta * h[own].sum()) for own in members]
            for signs in itertools.product((0, 1), repeat=len(members)):
                code, weight = 0, chance
                for own, p, sign in zip(members, p_up, signs, strict=True):
                    code += sign * int((1 << own).sum())
                    weight *= p if sign else 1 - p
                P[row, code] += weight
    return P


def wolff_step(model: SpinModel, beta: float, states: NDArray[np.int8]) -> Array:
    """Return the matrix of one cluster, grown from a random spin."""
    J, h, bits = _system(model, states)
    n = bits.shape[1]
    P = np.zeros((len(bits), len(bits)))
    for row, up in enumerate(bits):
        for roots, chance in _clusters(J, beta, up).items():
            for root in set(roots):
                own = np.flatnonzero(np.equal(roots, root))
                pull = float(h[own].sum()) * (1 if up[root] else -1)
                flip = chance * len(own) / n * min(1.0, float(np.exp(-2 * beta * pull)))
                P[row, row ^ int((1 << own).sum())] += flip
                P[row, row] += chance * len(own) / n - flip
    return P


def _system(model: SpinModel, states: NDArray[np.int8]) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return couplings >= 0, fields, and states in the order of the bits of their number.

    With a gauge, the matrix of the spins g_i s_i has its rows and columns in their order.
    """
    n = model.n_spins
    if n > MOST_SPINS:
        raise InputError(f"model must have n_spins <= {MOST_SPINS} for clusters, got {n}")
    found = bonds_of(model)
    if isinstance(found, str) and found:
        raise InputError(f"model has no clusters: {found}")
    bits = (np.arange(len(states))[:, None] >> np.arange(n)) & 1
    if not isinstance(found, Bonds):
        assert isinstance(model, CurieWeiss)
        return np.asarray(model.couplings), model.fields, bits
    h = found.fields if found.fields.size else np.zeros(n)
    return found.matrix.toarray(), h, bits


def in_gauge(model: SpinModel, P: Array) -> Array:
    """Return the matrix in the order of the spins s_i, given that of the spins g_i s_i."""
    found: Any = bonds_of(model)
    if not isinstance(found, Bonds) or not found.gauge.size:
        return P
    order = np.arange(len(P)) ^ int((1 << np.flatnonzero(found.gauge < 0)).sum())
    return np.asarray(P[np.ix_(order, order)])


def _clusters(J: Array, beta: float, up: NDArray[np.int64]) -> dict[Partition, float]:
    """Return the chance of each partition into clusters, given the spins."""
    n = len(up)
    found: dict[Partition, float] = {tuple(range(n)): 1.0}
    for i, j in itertools.combinations(range(n), 2):
        if J[i, j] == 0 or up[i] != up[j]:
            continue
        p = float(-np.expm1(-2 * beta * J[i, j]))
        after: dict[Partition, float] = {}
        for roots, chance in found.items():
            low, high = sorted((roots[i], roots[j]))
            joined = tuple(low if root == high else root for root in roots)
            after[joined] = after.get(joined, 0.0) + p * chance
            after[roots] = after.get(roots, 0.0) + (1 - p) * chance
        found = after
    return found
