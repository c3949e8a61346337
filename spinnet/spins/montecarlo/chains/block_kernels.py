"""One layer drawn from its fields, sixteen units at a time, compiled by Numba.

Each replica has its own vector stream (:mod:`spinnet.simd.random`), of which each step of
sixteen units takes one draw, so that replicas can be cut among threads in any way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.random import digits_float32, load_stream, store_stream
from spinnet.simd.vectors import (
    convert,
    filled,
    fma,
    load,
    mask_bits,
    popcount_word,
    reduce_add,
    reinterpret,
    select,
    splat,
    store,
)

LANES = 16
SHORT = 8 * LANES  # units whose energies are summed in single precision


@compiled(forceinline=True)
def _exp2(x: Any) -> Any:
    """Return 2^x to 1.6e-7 of it, within 2^+-125; beyond, and for NaN, a value at that end."""
    x = select(x < filled(x, 125.0), x, filled(x, 125.0))
    x = select(x > filled(x, -125.0), x, filled(x, -125.0))
    shifted = x + filled(x, 12582912.0)  # 1.5 2^23: the last bits are the nearest whole number
    r = x - (shifted - filled(x, 12582912.0))
    p = filled(x, 0.0013264701701700687)
    p = fma(p, r, filled(x, 0.009671533480286598))
    p = fma(p, r, filled(x, 0.05550733953714371))
    p = fma(p, r, filled(x, 0.24022242426872253))
    p = fma(p, r, filled(x, 0.6931470036506653))
    p = fma(p, r, filled(x, 1.0))
    exponent = reinterpret(shifted, np.int32) << 23
    return reinterpret(reinterpret(p, np.int32) + exponent, np.float32)


@compiled(forceinline=True)
def is_high(y: Any, k: Any) -> Any:
    """Return where units are high: k + 1/2 < 2^24 p, p = 1/(1 + 2^y).

    k is uniform on 0, ..., 2^24 - 1.  With the half, the chance of a high unit is p to the
    nearest multiple of 2^-24; without it, any p > 0 would be at least 2^-24.  Both sides are
    multiplied by 1 + 2^y, which saves a division; rounding, that of 2^y included, moves the
    chance by at most one multiple more.
    """
    odds = _exp2(y) + filled(y, 1.0)
    return fma(k, odds, fma(odds, filled(k, 0.5), filled(k, -16777216.0))) < filled(k, 0.0)


@compiled(nogil=True)
def draw_layer(
    sums: Any,
    layer: Any,
    units: Any,
    biases: Any,
    energy_units: Any,
    energy_biases: Any,
    levels: Any,
    gains: Any,
    streams: Any,
    out: Any,
    t: Any,
    column: Any,
) -> None:
    """Draw the units of a layer given the weighted sums of the other one.

    Unit j of replica r is low with odds 2^y, y = gains[r] (units[j] sums[r, j] + biases[j]).
    Rows are padded to a multiple of 16 units, whose biases keep them low.

    Parameters
    ----------
    sums : float32 or float64, (n_replicas, n)
    layer : float32, (n_replicas, n)
        Receives the levels; may be `sums`.
    units, biases : float32, (n,)
    energy_units, energy_biases : float32, (n,)
        For the energy: that of a replica is minus the sum over j of layer[r, j] (energy_units[j]
        sums[r, j] + energy_biases[j]).  No `energy_units`, no energy.
    levels : float32, (2,)
    gains : float32, (n_replicas,)
    streams : uint64, (n_replicas, 32)
    out : float64, (n_replicas, n_sweeps, 4)
        Receives at [r, t, column] the number of high units, and then minus the energy; may have
        no rows.
    """
    recorded = out.shape[0] > 0
    with_energy = recorded and energy_units.size > 0
    low, high = splat(levels[0], LANES), splat(levels[1], LANES)
    for r in range(layer.shape[0]):
        row, values = sums[r], layer[r]
        stream = load_stream(streams[r])
        gain = splat(gains[r], LANES)
        total = splat(np.float64(0.0), LANES)
        n_high = np.uint64(0)
        for start in range(0, units.size, SHORT):
            part = splat(np.float32(0.0), LANES)
            for i in range(start, min(start + SHORT, units.size), LANES):
                inputs = convert(load(row, i, LANES), np.float32)
                field = fma(inputs, load(units, i, LANES), load(biases, i, LANES))
                stream, k = digits_float32(stream)
                up = is_high(field * gain, k)
                value = select(up, high, low)
                store(values, i, value)
                n_high += popcount_word(mask_bits(up))
                if with_energy:
                    exact = fma(inputs, load(energy_units, i, LANES), load(energy_biases, i, LANES))
                    part = fma(value, exact, part)
            if with_energy:
                total += convert(part, np.float64)
        store_stream(streams[r], stream)
        if recorded:
            out[r, t, column] = n_high
            out[r, t, column + 1] = reduce_add(total)
