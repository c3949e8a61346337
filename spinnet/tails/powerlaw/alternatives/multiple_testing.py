"""p-values of many tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import refuse_masked


def adjust_p_values(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for the false discovery rate.

    Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289 (1995): rejecting where the adjusted value
    is at most q keeps the expected share of false rejections at or below q, for independent (or
    positively dependent) tests, for instance one per layer of a network.

    Parameters
    ----------
    p_values : array_like
        Between 0 and 1, any shape.  NaN (no test) stays NaN and is not counted.

    Returns
    -------
    ndarray
        Of the same shape.

    Examples
    --------
    >>> adjust_p_values([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    refuse_masked("p_values", p_values)
    try:
        p = np.array(p_values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"p_values must be real numbers, got {p_values!r:.80}") from error
    bad = (p < 0.0) | (p > 1.0)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        raise InputError(
            f"p_values must lie in [0, 1], got {int(bad.sum())} other value(s), the first at "
            f"index {index}: {p[index]}"
        )
    tested = np.flatnonzero(np.isfinite(p).ravel())
    flat = p.ravel()
    order = tested[np.argsort(flat[tested])[::-1]]
    ranks = np.arange(order.size, 0, -1)
    flat[order] = np.minimum.accumulate(np.minimum(flat[order] * order.size / ranks, 1.0))
    return np.asarray(flat.reshape(p.shape))
