"""Kernel for the distribution of how many units are up, summed over states (Poisson-binomial)."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled


@compiled(nogil=True)
def add_distributions(p: Any, offset: Any, up: Any, mass: Any) -> None:
    """Add to mass[k] the chance p_s P(offset_s + number of units up = k) of all states s."""
    n_states, n = up.shape
    chance = np.empty(n + 2)
    for s in range(n_states):
        chance[:] = 0.0
        chance[1] = p[s]  # chance[k + 1]: k units up so far
        for i in range(n):
            q = up[s, i]
            previous = 0.0
            for k in range(1, i + 3):
                here = chance[k]
                chance[k] = here + q * (previous - here)
                previous = here
        for k in range(n + 1):
            mass[offset[s] + k] += chance[k + 1]
