"""Draws from a table of weights in constant time: Walker's alias method, compiled by Numba.

One random word of 64 bits times the number of columns gives a column, the high part, and a
fraction, the low 64 bits, which decides between the column and its alias.  A column is one word
of 64 bits, the first 32 bits of its threshold and its alias, so that large tables stay in the
cache; only where 32 bits of the fraction tie with the threshold are the other 32 looked up.

References: A. J. Walker, ACM TOMS 3, 253 (1977); M. D. Vose, IEEE Trans. Software Eng. 17, 972
(1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.simd.random import load_stream, next_words, store_stream
from spinnet.simd.vectors import (
    convert,
    filled,
    gather,
    mask_bits,
    reinterpret,
    select,
    store,
)
from spinnet.spins.exact.curie_weiss import magnetization_weights

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True, eq=False)
class AliasTable:
    """The columns of a table of weights.

    Attributes
    ----------
    columns : ndarray of uint64, shape (n,)
        High half: the first 32 bits of the threshold; low half: the alias.
    rest : ndarray of uint32, shape (n,)
        The other 32 bits of the threshold.
    """

    columns: NDArray[np.uint64]
    rest: NDArray[np.uint32]

    @classmethod
    def of(cls, weights: NDArray[np.float64]) -> AliasTable:
        """Return the table of at most 2^32 weights >= 0 with a positive sum."""
        columns = np.empty(len(weights), np.uint64)
        rest = np.empty(len(weights), np.uint32)
        _build(weights * (len(weights) / weights.sum()), columns, rest)
        return cls(columns, rest)


@compiled()
def _build(share: Any, columns: Any, rest: Any) -> None:
    """Fill the columns from the weights in units of their mean, which are used up."""
    n = share.shape[0]
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small, n_large = 0, 0
    for i in range(n):
        if share[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        i, j = small[n_small], large[n_large - 1]
        high = int(share[i] * 4294967296.0)
        tail = (share[i] * 4294967296.0 - high) * 4294967296.0  # exact: a power of two apart
        columns[i] = (np.uint64(high) << _HALF) | np.uint64(j)
        rest[i] = np.uint32(tail)
        share[j] -= 1.0 - share[i]
        if share[j] < 1.0:
            n_large -= 1
            small[n_small] = j
            n_small += 1
    # what is left has the weight 1 to rounding: the column alone, whatever the fraction
    for k in range(n_small + n_large):
        i = small[k] if k < n_small else large[k - n_small]
        columns[i] = (_LOW << _HALF) | np.uint64(i)
        rest[i] = np.uint32(0xFFFFFFFF)


@compiled(forceinline=True)
def drawn(words: Any, n: Any, start: Any, columns: Any, rest: Any) -> Any:
    """Return columns (int64) of the table of `n` columns from `start` on, given 8 random words."""
    size, low_half = filled(words, n), filled(words, 0xFFFFFFFF)
    low = (words & low_half) * size
    product = (words >> 32) * size + (low >> 32)  # bits 32 to 95 of the product
    index = reinterpret(product >> 32, np.int64)
    place = index + filled(index, start)
    fraction = product & low_half
    column = gather(columns, place)
    threshold = column >> 32
    own = fraction < threshold
    tied = fraction == threshold
    if mask_bits(tied) != 0:
        tail = convert(gather(rest, place), np.uint64)
        own = own | (tied & ((low & low_half) < tail))
    return select(own, index, reinterpret(column & low_half, np.int64))


@dataclass(frozen=True, eq=False)
class MagnetizationTable:
    """The total magnetisation M of a Curie-Weiss model at one temperature, ready to be drawn.

    Attributes
    ----------
    alias : AliasTable
        Columns 0, ..., n_plus - 1 are M = +-(first + 2 column), the others of the other sign.
    first, n_plus, sign : int
    """

    alias: AliasTable
    first: int
    n_plus: int
    sign: int

    @classmethod
    def of(cls, n: int, beta: float, J: float, h: float) -> MagnetizationTable:
        """Return the table of N spins; weights below exp(-100) of the largest are left out."""
        total, plus, minus, _ = magnetization_weights(n, beta, J, abs(h))
        alias = AliasTable.of(np.concatenate([plus, minus]))
        return cls(alias, int(total[0]), len(total), -1 if h < 0 else 1)

    @property
    def layout(self) -> tuple[int, int, int, int]:
        """The number of columns, `first`, `n_plus` and `sign`, as :func:`draw_totals` takes."""
        return len(self.alias.columns), self.first, self.n_plus, self.sign


@compiled(nogil=True)
def draw_totals(
    states: Any,
    layouts: Any,
    starts: Any,
    columns: Any,
    rest: Any,
    done: int,
    divisor: float,
    out: Any,
) -> None:
    """Fill `out` with independent total magnetisations over `divisor`.

    Draw t of a replica takes lane t % 8 of word t // 8 of its stream, counted from the first
    draw ever, so that it does not matter how the draws are cut into calls.

    Parameters
    ----------
    states : uint64, (n_replicas, 32)
        The streams after ``done // 8`` words.
    layouts : int64, (n_replicas, 4)
        See :attr:`MagnetizationTable.layout`.
    starts : int64, (n_replicas,)
        Where the table of each replica begins in `columns` and `rest`.
    done : int
        Draws before.
    out : float64, (n_replicas, n_draws)
    """
    n_draws = out.shape[1]
    lanes = np.empty(8, np.float64)
    for r in range(out.shape[0]):
        stream = load_stream(states[r])
        n_columns, first, n_plus, sign = layouts[r]
        t = -(done % 8)
        row = out[r]
        while t < n_draws:
            later, words = next_words(stream)
            column = drawn(words, n_columns, starts[r], columns, rest)
            plus = column < filled(column, n_plus)
            column = select(plus, column, column - filled(column, n_plus))
            total = filled(column, first) + (column << 1)
            size = convert(total, np.float64)
            size = size * filled(size, sign) / filled(size, divisor)
            total_m = select(plus, size, filled(size, 0.0) - size)
            if 0 <= t <= n_draws - 8:
                store(row, t, total_m)
            else:
                store(lanes, 0, total_m)
                for k in range(max(0, -t), min(8, n_draws - t)):
                    row[t + k] = lanes[k]
            if t + 8 <= n_draws:
                stream = later
            t += 8
        store_stream(states[r], stream)
