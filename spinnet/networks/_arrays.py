"""Small helpers on arrays that the modules of `spinnet.networks` share."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)


def frozen(array: NDArray[_T]) -> NDArray[_T]:
    """Mark an array read-only and return it."""
    array.flags.writeable = False
    return array
