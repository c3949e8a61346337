"""Sums over pairs of mixture nodes, in blocks that stay in cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_BLOCK = 1 << 17  # numbers in one temporary array: 1 MB


class NodePairs:
    """All ordered pairs (j, k) of nodes, those with j = k and j < k first for symmetric sums.

    Attributes
    ----------
    first, second : ndarray
        The node of each pair.
    weights : ndarray
        Product of the two weights.
    """

    def __init__(self, nodes: Array, weights: Array) -> None:
        n = len(nodes)
        j, k = np.triu_indices(n)
        double = np.where(j == k, 1.0, 2.0)
        self._symmetric = (nodes[j], nodes[k], double * weights[j] * weights[k])
        j, k = (index.ravel() for index in np.indices((n, n)))
        self._ordered = (nodes[j], nodes[k], weights[j] * weights[k])

    def sum(self, term: Callable[..., Array], *arguments: ArrayLike, symmetric: bool) -> Array:
        """Return sum_jk w_j w_k term(node_j, node_k, *arguments), broadcast over `arguments`.

        `symmetric` says that the term does not change when the nodes change places.
        """
        first, second, weights = self._symmetric if symmetric else self._ordered
        arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arguments))
        shape = arrays[0].shape
        flat = [a.reshape(-1, 1) for a in arrays]
        size = flat[0].shape[0]
        result = np.empty(size)
        block = max(1, _BLOCK // len(weights))
        for start in range(0, size, block):
            part: Any = slice(start, start + block)
            # a pairwise sum: as exact as the terms, and the same for one point as for many
            result[part] = (term(first, second, *(a[part] for a in flat)) * weights).sum(axis=-1)
        return result.reshape(shape)


def same(q1: ArrayLike, q2: ArrayLike) -> bool:
    """Return whether two arguments hold the same variances."""
    return q1 is q2 or bool(np.array_equal(q1, q2))
