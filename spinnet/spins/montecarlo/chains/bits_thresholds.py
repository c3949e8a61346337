"""Thresholds of the lanes as binary digits: new temperatures for replicas as bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.vectors import load, store
from spinnet.spins.montecarlo.chains.bits_counts import transpose

ALL_DIGITS = 64
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@compiled(inline="always")
def _fixed_point(p: Any) -> Any:
    """Return p in [0, 1] in units of 2^-64, at most 1 - 2^-64."""
    if p >= 1.0:
        return _ONES
    return np.uint64(p * 9007199254740992.0 * 2048.0)


@compiled(nogil=True)
def set_betas(
    betas: Any, new: Any, first: Any, unit: Any, ys: Any, n_words: Any, thresholds: Any, planes: Any
) -> None:
    """Give the lanes new temperatures; only those that differ cost anything.

    Parameters
    ----------
    betas : float64, (n_groups, 64 n_words)
        Of all lanes so far; overwritten.  Not a number where none was set.
    new : float64, (n_replicas,)
        Of the replicas; lane k beyond them has that of replica k modulo n_replicas.
    first : bool
        Whether to set all lanes.
    unit : float
        Of the energy: 2 `unit` y is the cost of a flip.
    ys : int64
        The values of y that occur, falling.
    n_words : int
    thresholds : uint64, (n_groups, 2 * n_ys * 64 * 8)
        In units of 2^-64: rule, y, lane of a word, word of a block.
    planes : uint64
        As in :func:`spinnet.spins.montecarlo.chains.bits_kernels.sweeps`.
    """
    n_groups, lanes = betas.shape
    n_ys = ys.shape[0]
    width = planes.shape[1] // (2 * ALL_DIGITS * 2)
    rows = np.empty(512, np.uint64)
    replica = 0
    for group in range(n_groups):
        changed = first
        mine, digits = thresholds[group], planes[group]
        for lane in range(lanes):
            beta = new[replica]
            replica = replica + 1 if replica + 1 < new.shape[0] else 0
            if first or beta != betas[group, lane]:
                changed = True
                betas[group, lane] = beta
                place = 8 * (lane % 64)
                weight, least = 0.0, 0.0
                for k in range(n_ys - 1, -1, -1):
                    if k < n_ys - 1 and ys[k] - ys[k + 1] == ys[n_ys - 1]:
                        weight *= least  # 2e-16 each time
                    else:
                        weight = math.exp(-2.0 * beta * unit * ys[k])
                    if k == n_ys - 1:
                        least = weight
                    heat = _fixed_point(weight / (1.0 + weight))
                    metropolis = _fixed_point(weight)
                    for w in range(lane // 64, 8, n_words):
                        mine[512 * k + place + w] = heat
                        mine[512 * (n_ys + k) + place + w] = metropolis
        if not changed:
            continue
        for rule in range(2):
            for k in range(n_ys):
                for j in range(0, 512, 8):
                    store(rows, j, load(mine, 512 * (rule * n_ys + k) + j, 8))
                transpose(rows)
                y = ys[k]
                for digit in range(ALL_DIGITS):
                    place = (rule * ALL_DIGITS + digit) * 2 * width + 8 * y
                    plane = load(rows, 8 * (63 - digit), 8)
                    store(digits, place, plane)
                    if 8 * (y + 2) < width:
                        store(digits, place + width, plane ^ load(digits, place + 16, 8))
                    else:
                        store(digits, place + width, plane)
