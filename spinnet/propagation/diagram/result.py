"""What a phase diagram returns: arrays over the grid, figures and files of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.activations import Activation
from spinnet.propagation.noise import Noise

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    activation: Activation
    sigma_w: Array
    sigma_b: Array
    noise: Noise
    q0: float | None
    q_star: Array = field(repr=False)
    chi_q: Array = field(repr=False)
    chi_1: Array = field(repr=False)
    one_minus_c_star: Array = field(repr=False)
    one_minus_chi_c: Array = field(repr=False)
    multistable: NDArray[np.bool_] = field(repr=False)
    q_star_error: Array = field(repr=False)
    c_star_error: Array = field(repr=False)
    xi_c_error: Array = field(repr=False)
