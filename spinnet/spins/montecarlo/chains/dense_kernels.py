"""Sweeps of dense systems by blocks of 64 spins, compiled by Numba.

The pair parts f_i = sum_j W_ij s_j of the local fields are cached.  A block is visited in two
steps.  First its 64 spins are updated in order: one random threshold each, drawn in vectors
beforehand, is compared with all 64 fields at once, the lowest spin that flips is flipped, the
64 fields of the block follow (a row of W_bb, from a copy that stays in the cache), and the
spins above it are compared anew.  A rejected proposal thus costs a lane of a comparison.  Then
the rows of all spins that flipped are added to the N fields of the replica at once: the fields
are read and written once for a block and not once for a flip.  Nothing is approximate: within
a block every spin sees all flips before it, and no other field is read before it is up to date.

Replicas go in lockstep through the blocks, 512 bytes of each row at a time, so that the rows come
from memory once for all of them.

W is float32, or an integer type whose multiples of one unit are the couplings; rows of integers
are summed in their own type as long as no sum can overflow it, and fields of integers are
exact.  Thresholds: heat bath, s = +1 where 2 beta l > L with L logistic; Metropolis, a flip
where 2 beta s l <= E with E exponential.  Both have 64 random bits: they resolve
probabilities down to 2^-64, with the relative precision of float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.functions import log_f32
from spinnet.simd.random import load_stream, next_words, store_stream
from spinnet.simd.vectors import (
    bits_mask,
    convert,
    filled,
    fma,
    load,
    load_like,
    load_lines,
    mask_bits,
    popcount_word,
    prefetch,
    reduce_add,
    reinterpret,
    select,
    store,
    trailing_zeros,
)

BLOCK = 64  # spins: one word of bits
HEAT_BATH, METROPOLIS = 0, 1
_LINES = 8  # of each row at a time: those of 64 rows fit into the nearest cache
# Of a function that is called by compiled code alone: half of the time to compile a small one
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@compiled(forceinline=True, **_INNER)
def _exponential(words: Any, more: Any) -> Any:
    """Return 16 standard exponential numbers of 16 words of 64 bits."""
    high = convert(reinterpret(words, np.uint32), np.float32)
    low = convert(reinterpret(more, np.uint32), np.float32)
    tiny = filled(high, 2.3283064365386963e-10)  # 2^-32
    u = fma(low, tiny, high) * tiny
    return filled(u, 0.0) - log_f32(u)


@compiled(forceinline=True, **_INNER)
def _logistic(words: Any, more: Any) -> Any:
    """Return 16 standard logistic numbers, log(u/(1 - u)), alike in both tails."""
    bits = reinterpret(words, np.int32)
    sign = bits & filled(bits, -0x80000000)
    high = convert(bits & filled(bits, 0x7FFFFFFF), np.float32)
    low = convert(reinterpret(more, np.uint32), np.float32)
    tiny = filled(high, 2.3283064365386963e-10)
    u = fma(low, tiny, high) * tiny  # in [0, 1/2]
    size = log_f32(u / (filled(u, 1.0) - u))
    return reinterpret(reinterpret(size, np.int32) ^ sign, np.float32)


@compiled(**_INNER)
def _draw(state: Any, rule: Any, thresholds: Any) -> None:
    """Draw the thresholds of 64 spins from a stream (uint64, (32,))."""
    stream = load_stream(state)
    for k in range(0, BLOCK, 16):
        stream, words = next_words(stream)
        stream, more = next_words(stream)
        if rule == METROPOLIS:
            store(thresholds, k, _exponential(words, more))
        else:
            store(thresholds, k, _logistic(words, more))
    store_stream(state, stream)


@compiled(forceinline=True, **_INNER)
def _flips(y: Any, t: Any, up: Any, rule: Any) -> Any:
    """Return which of 64 spins flip at these fields."""
    return mask_bits(y <= t) if rule == METROPOLIS else mask_bits(y > t) ^ up


@compiled(**_INNER)
def _update(
    scaled: Any, thresholds: Any, diag: Any, row: Any, gain: Any, up: Any, valid: Any, rule: Any,
    alone: Any,
) -> Any:  # fmt: skip
    """Update the 64 spins `up` of a block and return them.

    Parameters
    ----------
    scaled : float32, (64,)
        2 beta times the local fields.
    thresholds : float32, (64,)
    diag : float32, (n_pad 64,)
    row : int64
        Where the couplings of the first spin of the block are in `diag`.
    gain : float32
    up, valid : uint64
    rule : int64
    alone : bool
        Whether to ask for the couplings of the spins that may flip: pays for few replicas, which
        push them out of the cache before they come back to the block.
    """
    y, t = load(scaled, 0, BLOCK), load(thresholds, 0, BLOCK)
    # Metropolis compares s y, whose signs stay: no spin is looked at again once it has flipped
    down = ~up if rule == METROPOLIS else np.uint64(0)
    zero = reinterpret(filled(y, 0.0), np.int32)
    signs = select(bits_mask(down, BLOCK), filled(zero, -0x80000000), zero)
    y = reinterpret(reinterpret(y, np.int32) ^ signs, np.float32)
    todo = valid
    step = np.float32(2.0) * gain
    flips = _flips(y, t, up, rule) & todo
    first = np.uint64(diag.ctypes.data + 4 * row)
    if alone:
        ahead = flips
        while ahead != np.uint64(0):
            p = first + np.uint64(4 * BLOCK) * np.uint64(trailing_zeros(ahead))
            for line in range(4):
                prefetch(p + np.uint64(64 * line))
            ahead &= ahead - np.uint64(1)
    # Flips seldom change which spin is the next to flip.  So the next is taken from the flips
    # that were seen some spins ago, and what the fields say now is only compared with it: the
    # processor goes on while the comparison is under way, and comes back where it fails.
    while flips != np.uint64(0):
        now = flips
        while flips != np.uint64(0):
            i, bit = trailing_zeros(flips), flips & (np.uint64(0) - flips)
            change = filled(y, -step if up & bit else step)
            up ^= bit
            todo = valid & ~(bit | (bit - np.uint64(1)))
            change = reinterpret(reinterpret(change, np.int32) ^ signs, np.float32)
            y = fma(change, load(diag, row + i * BLOCK, BLOCK), y)
            now = _flips(y, t, up, rule) & todo
            flips &= flips - np.uint64(1)
            to_next = flips ^ (flips - np.uint64(1))  # all where there is none
            if now & to_next != flips & (np.uint64(0) - flips):
                break
        if now != np.uint64(0):  # also keeps LLVM from making a data dependence of the branch
            prefetch(first + np.uint64(4 * BLOCK) * np.uint64(trailing_zeros(now)))
        flips = now
    return up


@compiled(**_INNER)
def _list(rises: Any, falls: Any, block: Any, listed: Any, at: Any) -> Any:
    """Write the `block` of the ones of two words into `listed`; return (ones of rises, all)."""
    k = at
    while rises != np.uint64(0):
        listed[k] = block[trailing_zeros(rises)]
        rises &= rises - np.uint64(1)
        k += 1
    first = k - at
    while falls != np.uint64(0):
        listed[k] = block[trailing_zeros(falls)]
        falls &= falls - np.uint64(1)
        k += 1
    return first, k - at


@compiled(forceinline=True, **_INNER)
def _add_part(
    fields: Any, at: Any, kind: Any, off: Any, listed: Any, first: Any, n_up: Any, n_all: Any,
    group: Any, factor: Any, lines: Any,
) -> None:  # fmt: skip
    """Add `lines` cache lines of the listed rows to fields: those that rose, less the others."""
    start = 0
    while start < n_all:
        stop = min(start + group, n_all)
        total = filled(load_lines(listed[first], kind, lines), 0)
        for k in range(first + start, first + min(stop, n_up)):
            total += load_lines(listed[k] + off, kind, lines)
        for k in range(first + max(start, n_up), first + stop):
            total -= load_lines(listed[k] + off, kind, lines)
        f = load_like(fields, at, total)
        store(fields, at, f + convert(total, f) * filled(f, factor))
        start = stop


@compiled(**_INNER)
def _add_rows(
    fields: Any, n_pad: Any, kind: Any, block: Any, ahead: Any, listed: Any, counts: Any,
    group: Any, factor: Any,
) -> None:  # fmt: skip
    """Add the listed rows of a block to the fields of each replica.

    Parameters
    ----------
    fields : float32, int16 or int32, (n_replicas n_pad,)
    kind : array of the type of W
        Not read.
    block : uint64, (64,)
        Addresses of the rows.
    ahead : bool
        Whether to ask for the next part of all rows while one is added: pays for many replicas.
    listed : uint64, (n_replicas 64,)
        Addresses of rows for each replica: first those to add, then those to subtract.
    counts : int64, (n_replicas, 2)
        How many to add, and how many in all.
    group : int
        Rows whose sum cannot overflow the type of W.
    """
    n_replicas = counts.shape[0]
    size = np.uint64(kind.itemsize)
    width = np.uint64(n_pad) * size
    chunk, line, off = np.uint64(64 * _LINES), np.uint64(64), np.uint64(0)
    while off + chunk <= width:
        at = np.int64(off // size)
        for r in range(n_replicas):
            if ahead:
                for i in range(r * BLOCK // n_replicas, (r + 1) * BLOCK // n_replicas):
                    for k in range(_LINES):
                        prefetch(block[i] + off + chunk + np.uint64(64 * k))
            _add_part(
                fields, r * n_pad + at, kind, off, listed, r * BLOCK,
                counts[r, 0], counts[r, 1], group, factor, _LINES,
            )  # fmt: skip
        off += chunk
    while off < width:
        at = np.int64(off // size)
        for r in range(n_replicas):
            _add_part(
                fields, r * n_pad + at, kind, off, listed, r * BLOCK,
                counts[r, 0], counts[r, 1], group, factor, 1,
            )  # fmt: skip
        off += line


@compiled(**_INNER)
def _refresh(
    fields: Any, kind: Any, rows: Any, up: Any, valid: Any, group: Any, ahead: Any, listed: Any,
    counts: Any,
) -> None:  # fmt: skip
    """Compute the pair parts of the fields of all replicas from their spins."""
    n_replicas, n_blocks = up.shape
    for k in range(fields.shape[0]):
        fields[k] = 0
    for b in range(n_blocks):
        block = rows[b * BLOCK : (b + 1) * BLOCK]
        for r in range(n_replicas):
            rises, falls = up[r, b] & valid[b], ~up[r, b] & valid[b]
            counts[r, 0], counts[r, 1] = _list(rises, falls, block, listed, r * BLOCK)
        one = np.int64(1)  # not a literal, for which all would be compiled again
        _add_rows(fields, n_blocks * BLOCK, kind, block, ahead, listed, counts, group, one)


@compiled(forceinline=True, **_INNER)
def _totals(fields: Any, at: Any, h: Any, unit: Any, up: Any, valid: Any) -> Any:
    """Return (sum of the spins, pair-plus-field energy) of one replica."""
    total = np.int64(0)
    energy = filled(load(h, 0, 16), 0.0)
    zero = energy
    for b in range(up.shape[0]):
        total += 2 * np.int64(popcount_word(up[b] & valid[b])) - np.int64(popcount_word(valid[b]))
        for v in range(4):
            site = b * BLOCK + 16 * v
            part = load(h, site, 16)
            f = convert(load_like(fields, at + site, part), part)
            part = fma(f, filled(f, 0.5 * unit), part)
            shift = np.uint64(16 * v)
            part = select(bits_mask(valid[b] >> shift, 16), part, zero)
            energy = energy - select(bits_mask(up[b] >> shift, 16), part, zero - part)
    return total, reduce_add(energy)


@compiled(nogil=True)
def sweeps(
    fields: Any,
    kind: Any,
    rows: Any,
    up: Any,
    valid: Any,
    group: Any,
    ahead: Any,
    fresh: Any,
    diag: Any,
    rng: Any,
    hk: Any,
    h: Any,
    unit: Any,
    gains: Any,
    rules: Any,
    out: Any,
) -> None:
    """Sweep all replicas in lockstep.

    Parameters
    ----------
    fields : float32, int16 or int32, (n_replicas n_pad,)
        Pair parts of the fields, in units of `unit`; n_pad = 64 n_blocks.
    kind : array of the type of W
        Not read.
    rows : uint64, (n_pad,)
        Address of each row of W, from which n_pad elements can be read.
    up : uint64, (n_replicas, n_blocks)
        One bit for each spin.
    valid : uint64, (n_blocks,)
        Which bits are spins.
    group : int
        Rows of W whose sum cannot overflow its type.
    ahead : bool
        See :func:`_add_rows`.
    fresh : bool
        Whether to compute the fields from the spins first.
    diag : float32, (n_pad 64,)
        W_ij in the block of i, in units of `unit`.
    rng : uint64, (n_replicas, 32)
    hk : float32, (n_pad,)
        h_i in units of `unit`.
    h : float64, (n_pad,)
    unit : float
    gains : float32, (n_replicas,)
        2 beta times `unit`.
    rules : int64, (n_sweeps,)
    out : float64, (n_replicas, n_sweeps, 2)
        Sum of the spins and energy after each sweep; may have 0 replicas.
    """
    n_replicas, n_blocks = up.shape
    n_pad = n_blocks * BLOCK
    listed = np.empty(n_replicas * BLOCK, np.uint64)
    counts = np.empty((n_replicas, 2), np.int64)
    thresholds, scaled = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    two = np.int64(2)
    if fresh:
        _refresh(fields, kind, rows, up, valid, group, ahead, listed, counts)
    for t in range(rules.shape[0]):
        rule = rules[t]
        for b in range(n_blocks):
            site = b * BLOCK
            block = rows[site : site + BLOCK]
            for r in range(n_replicas):
                at, old = r * n_pad + site, up[r, b]
                h_b = load(hk, site, BLOCK)
                y = (convert(load_like(fields, at, h_b), h_b) + h_b) * filled(h_b, gains[r])
                store(scaled, 0, y)
                _draw(rng[r], rule, thresholds)
                new = _update(
                    scaled, thresholds, diag, site * BLOCK, gains[r], old, valid[b], rule,
                    not ahead,
                )  # fmt: skip
                up[r, b] = new
                rises, falls = new & ~old, old & ~new
                counts[r, 0], counts[r, 1] = _list(rises, falls, block, listed, r * BLOCK)
            _add_rows(fields, n_pad, kind, block, ahead, listed, counts, group, two)
        if out.shape[0] > 0:
            for r in range(n_replicas):
                total, energy = _totals(fields, r * n_pad, h, unit, up[r], valid)
                out[r, t, 0] = total
                out[r, t, 1] = energy
