"""Belief propagation one spin after another, compiled by Numba.

The spins are visited in breadth-first order from the last to the first and back.  On a forest
one such sweep is the exact two-pass dynamic programme; with loops it is the serial schedule.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled


@compiled()
def breadth_first(start: Any, target: Any) -> Any:
    """Return all nodes of a graph, each connected part in breadth-first order."""
    n = start.size - 1
    order = np.empty(n, np.int64)
    seen = np.zeros(n, np.bool_)
    filled = 0
    for root in range(n):
        if seen[root]:
            continue
        seen[root] = True
        order[filled] = root
        head, filled = filled, filled + 1
        while head < filled:
            node = order[head]
            head += 1
            for e in range(start[node], start[node + 1]):
                if not seen[target[e]]:
                    seen[target[e]] = True
                    order[filled] = target[e]
                    filled += 1
    return order


@compiled(inline="always")
def _transmit(bond: Any, y: Any) -> Any:
    """Return artanh(tanh(bond) tanh(y)); see pair.transmit."""
    product = math.tanh(bond) * math.tanh(y)
    if abs(product) < 0.5:
        return math.atanh(product)
    low, high = min(abs(bond), abs(y)), max(abs(bond), abs(y))
    size = low + 0.5 * (
        math.log1p(math.exp(-2 * (high + low))) - math.log1p(math.exp(-2 * (high - low)))
    )
    return math.copysign(size, product)


@compiled()
def sweep(order: Any, start: Any, back: Any, bond: Any, field: Any, u: Any, keep: Any) -> Any:
    """Update every message twice, in place; return the largest change, relative to 1 + |u|.

    `keep` is the share of the old message that stays: 0 is undamped.
    """
    largest = 0.0
    n = order.size
    for k in range(2 * n):
        i = order[n - 1 - k] if k < n else order[k - n]
        x = field[i]
        for e in range(start[i], start[i + 1]):
            x += u[back[e]]
        for e in range(start[i], start[i + 1]):
            new = _transmit(bond[e], x - u[back[e]])
            change = abs(new - u[e]) / (1.0 + abs(u[e]))
            if not change <= largest:
                largest = change
            u[e] = new if keep == 0.0 else keep * u[e] + (1.0 - keep) * new
    return largest


@compiled()
def double_loop_step(
    first: Any, second: Any, bond: Any, field: Any, degree: Any, p: Any, q: Any, a: Any, inner: Any
) -> Any:
    """Do one outer step of the double loop in place; return the largest change of `a`.

    p[e], q[e] are the cavity log-odds of the two ends of bond e, a[i] those of the marginals.
    Outside, the concave part of the free energy is replaced by its tangent; inside, each end of
    each bond is made to agree with its spin, which is exact ascent in one multiplier.
    """
    old = a.copy()
    for i in range(a.size):
        a[i] = degree[i] * old[i] + field[i]
    for e in range(first.size):
        a[first[e]] -= p[e]
        a[second[e]] -= q[e]
    for _ in range(inner):
        for e in range(first.size):
            i, j = first[e], second[e]
            move = 0.5 * (a[i] - p[e] - _transmit(bond[e], q[e]))
            p[e] += move
            a[i] -= move
            move = 0.5 * (a[j] - q[e] - _transmit(bond[e], p[e]))
            q[e] += move
            a[j] -= move
    return np.abs(a - old).max()
