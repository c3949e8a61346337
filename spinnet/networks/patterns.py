"""Counting activation patterns: exact, on packed bits.

A pattern is the row of on/off bits of a layer's nodes on one input, packed eight to a byte
(``numpy.packbits``).  Frequencies by rank mean something only where patterns recur: a layer of
many more nodes than log2(n_inputs) gives nearly one pattern per input, and its rank plot is a
flat line at 1/n_inputs.  `subset_size` and `random_subsets` choose node subsets in which patterns
do recur; `coverage` says how far the counts can be trusted.

The counting and the measures are those of `spinnet.tails`; here they take a layer's packed bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.randomness import RandomState, generator
from spinnet.validation import integer, refuse_masked

Counts = NDArray[np.int64]


def pattern_counts(bits: NDArray[np.uint8]) -> Counts:
    """Return how often each distinct pattern occurs, in descending order.

    Parameters
    ----------
    bits : ndarray of uint8, shape (n_inputs, n_bytes)
        Packed patterns, one row per input, such as ``act["fc1"].bits``.

    Returns
    -------
    ndarray of int64, shape (n_distinct,)
        ``counts[r - 1]`` is the count of rank r; the sum is n_inputs.

    Examples
    --------
    >>> import numpy as np
    >>> pattern_counts(np.array([[5], [1], [5]], dtype=np.uint8)).tolist()
    [2, 1]
    """
    from spinnet.tails import count_patterns

    return count_patterns(_packed(bits), exact=True)


def unique_patterns(bits: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Counts]:
    """Return the distinct packed patterns and their counts, most frequent first.

    Patterns of equal count come in the order of their first occurrence.
    """
    from spinnet.tails.patterns.rows import row_groups

    bits = _packed(bits)
    first, _, counts = row_groups(bits)
    order = np.lexsort((first, -counts))
    return bits[first[order]], counts[order]


def coverage(counts: ArrayLike) -> float:
    """Good-Turing coverage: the estimated probability of the patterns seen, 1 - f_1 / n.

    f_1 is the number of patterns seen once, n the number of inputs.  Zero means that every
    input gave a pattern of its own.
    """
    from spinnet import tails

    return tails.coverage(check_counts(counts))


def resolution(counts: ArrayLike) -> float:
    """Resolution H[s] = -sum_s (k_s/n) ln(k_s/n): plug-in entropy of the patterns, in nats."""
    from spinnet import tails

    return tails.resolution(check_counts(counts))


def relevance(counts: ArrayLike) -> float:
    """Relevance H[k] = -sum_k (k m_k/n) ln(k m_k/n), in nats.

    m_k is the number of patterns that occur k times, so this is the entropy of the count of
    the pattern of a random input.  It vanishes where all patterns are equally frequent, all
    distinct for one.
    """
    from spinnet import tails

    return tails.relevance(check_counts(counts))


def subset_size(n_inputs: int, n_units: int) -> int:
    """Return how many nodes to take together so that patterns recur yet are many.

    The size k has 2^k halfway, on a logarithmic scale, between n_inputs/10 and n_inputs, within
    10 to 20 and no more than `n_units`.  At fewer than about 2,000 inputs the lower bound of 10
    holds, and the coverage tells what it costs.

    Parameters
    ----------
    n_inputs : int
    n_units : int
        Number of active nodes: those neither always off nor always on.

    Examples
    --------
    >>> subset_size(10_000, 100), subset_size(10_000, 7)
    (12, 7)
    """
    n_inputs = integer("n_inputs", n_inputs, minimum=1)
    n_units = integer("n_units", n_units, minimum=0)
    k = round(math.log2(n_inputs) - math.log2(10) / 2)
    return min(max(10, min(20, k)), n_units)


def random_subsets(
    units: ArrayLike, size: int, n_subsets: int, *, rng: RandomState = None
) -> tuple[NDArray[np.int64], ...]:
    """Draw subsets of nodes, each without replacement, as sorted index arrays.

    Parameters
    ----------
    units : array_like of int
        Nodes to draw from, each once.
    size, n_subsets : int
    rng : None, int, SeedSequence or Generator, optional

    Raises
    ------
    InputError
        Nodes that are not different integers >= 0, or a size beyond their number.
    """
    pool = _nodes(units)
    size = integer("size", size, minimum=1, maximum=len(pool))
    n_subsets = integer("n_subsets", n_subsets, minimum=1)
    random = generator(rng)
    return tuple(np.sort(random.choice(pool, size, replace=False)) for _ in range(n_subsets))


def _nodes(units: ArrayLike) -> Counts:
    refuse_masked("units", units)
    pool = np.asarray(units)
    whole = pool.ndim == 1 and (pool.size == 0 or (pool.dtype.kind in "iu" and pool.min() >= 0))
    if not whole or np.unique(pool).size < pool.size:
        raise InputError(
            "units must be different node numbers, integers >= 0 in one dimension, got "
            f"{units!r:.80}"
        )
    return pool.astype(np.int64)


def check_counts(counts: ArrayLike) -> Counts:
    """Return counts as int64, refusing an empty array and anything but integers >= 1."""
    array = np.asarray(counts)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or array.min() < 1:
        raise InputError(
            f"counts must be a non-empty 1-d array of integers >= 1, got {counts!r:.80}"
        )
    return array.astype(np.int64)


def _packed(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    array = np.asarray(bits)
    if array.ndim != 2 or array.dtype != np.uint8 or array.size == 0:
        raise InputError(
            "bits must be packed patterns: a non-empty uint8 array (n_inputs, n_bytes) of "
            f"numpy.packbits, got dtype {array.dtype} and shape {array.shape}"
        )
    return array
