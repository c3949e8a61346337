"""Normal numbers by the ziggurat, compiled by Numba.

G. Marsaglia & W. W. Tsang, J. Stat. Softw. 5(8), 1 (2000), with 256 layers, and with bits of
their own for layer, sign and place (J. A. Doornik, "An improved ziggurat method to generate
normal random samples", 2005): the layer from bits 0 to 7, the sign from bit 8, the place from
bits 11 to 63.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.xoshiro import next_word, uniform

_LAYERS = 256
_EDGE = 3.6541528853610088  # where the tail begins; all layers then have the same area
_AREA = 0.00492867323399


def _edges() -> NDArray[np.float64]:
    """Return the widths x_0 > x_1 > ... > x_256 = 0 of the layers, the lowest first."""
    height = math.exp(-0.5 * _EDGE**2)
    x = [_AREA / height, _EDGE]
    for _ in range(2, _LAYERS):
        height += _AREA / x[-1]
        x.append(math.sqrt(-2.0 * math.log(height)))
    return np.array([*x, 0.0])


_X = _edges()
_Y = np.exp(-0.5 * _X**2)


@compiled()
def normal(state: Any) -> Any:
    """Return a standard normal number and advance the words of a scalar `state` (uint64, (4,))."""
    while True:
        word = next_word(state)
        layer = np.int64(word & np.uint64(255))
        sign = 1.0 if word & np.uint64(256) else -1.0
        x = np.float64(word >> np.uint64(11)) * 1.1102230246251565e-16 * _X[layer]
        if x < _X[layer + 1]:
            return sign * x
        if layer == 0:
            while True:  # the tail beyond _EDGE, by Marsaglia's method
                a = -math.log(1.0 - uniform(state)) / _EDGE
                b = -math.log(1.0 - uniform(state))
                if b + b > a * a:
                    return sign * (_EDGE + a)
        y = _Y[layer] + uniform(state) * (_Y[layer + 1] - _Y[layer])
        if y < math.exp(-0.5 * x * x):
            return sign * x
