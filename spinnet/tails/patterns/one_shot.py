"""Counting the patterns of one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.tails.patterns import rows
from spinnet.tails.patterns.counter import PatternCounter


def count_patterns(
    bits: ArrayLike, *, n_bits: int | None = None, exact: bool = False
) -> NDArray[np.int64]:
    """Return how often each distinct row occurs, in descending order.

    Parameters
    ----------
    bits : array_like of bool (n, n_bits), or of uint8 (n, ceil(n_bits / 8))
        One pattern per row, as bits or packed by ``numpy.packbits(bits, axis=1)``.
    n_bits : int, optional
        Number of units; by default all columns, or all bits of packed rows.
    exact : bool
        Compare whole patterns and not their 128-bit fingerprints.

    Returns
    -------
    ndarray of int64, shape (n_distinct,)
        ``counts[r - 1]`` is the count of rank r; the sum is the number of rows.

    Raises
    ------
    InputError
        If the rows have another shape or type, or bits past the last unit.

    Examples
    --------
    >>> import numpy as np
    >>> count_patterns(np.array([[5], [1], [5]], dtype=np.uint8)).tolist()
    [2, 1]
    """
    array = rows.read_matrix("bits", bits)
    width = rows.width_of(array, n_bits)
    counter = PatternCounter(width, exact=exact)
    counter.update(rows.check_rows(array, width, "bits"))
    return counter.counts()
