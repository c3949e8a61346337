"""What the statistics accept as a set of chains."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.validation import finite_array

Array = NDArray[np.float64]
MIN_UNITS = 8  # replicas from which their scatter gives errors


def as_chains(series: ArrayLike) -> Array:
    """Return `series` as a finite array of shape (n_chains, n_steps)."""
    data = np.atleast_2d(finite_array("series", series))
    if data.ndim != 2 or data.size == 0:
        raise InputError(f"series must have shape (n_replicas, n_steps), got {np.shape(series)}")
    return data
