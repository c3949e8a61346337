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
    load_line,
    mask_bits,
    popcount,
    prefetch,
    reduce_add,
    reinterpret,
    select,
    splat,
    store,
    trailing_zeros,
)

BLOCK = 64  # spins: one word of bits
HEAT_BATH, METROPOLIS = 0, 1
_CHUNK = 512  # bytes of each row in the nearest cache: 64 rows are 32 KiB


@compiled(forceinline=True)
def _exponential(stream: Any) -> Any:
    """Return (stream, E): 16 standard exponential numbers."""
    stream, words = next_words(stream)
    stream, more = next_words(stream)
    high = convert(reinterpret(words, np.uint32), np.float32)
    low = convert(reinterpret(more, np.uint32), np.float32)
    tiny = filled(high, 2.3283064365386963e-10)  # 2^-32
    u = fma(low, tiny, high) * tiny
    return stream, filled(u, 0.0) - log_f32(u)


@compiled(forceinline=True)
def _logistic(stream: Any) -> Any:
    """Return (stream, L): 16 standard logistic numbers, log(u/(1 - u)), alike in both tails."""
    stream, words = next_words(stream)
    stream, more = next_words(stream)
    bits = reinterpret(words, np.int32)
    sign = bits & filled(bits, -0x80000000)
    high = convert(bits & filled(bits, 0x7FFFFFFF), np.float32)
    low = convert(reinterpret(more, np.uint32), np.float32)
    tiny = filled(high, 2.3283064365386963e-10)
    u = fma(low, tiny, high) * tiny  # in [0, 1/2]
    size = log_f32(u / (filled(u, 1.0) - u))
    return stream, reinterpret(reinterpret(size, np.int32) ^ sign, np.float32)


@compiled(forceinline=True)
def _word(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Return four masks of 16 lanes as one word."""
    low = mask_bits(a) | (mask_bits(b) << np.uint64(16))
    return low | (mask_bits(c) << np.uint64(32)) | (mask_bits(d) << np.uint64(48))


@compiled(forceinline=True)
def _scaled(fields: Any, hk: Any, at: Any, site: Any, gain: Any) -> Any:
    """Return 2 beta times 16 local fields."""
    h = load(hk, site, 16)
    return (convert(load_like(fields, at, h), h) + h) * filled(h, gain)


@compiled(forceinline=True)
def _signs(like: Any, down: Any) -> Any:
    """Return the sign bit in each of 16 lanes whose bit of `down` is one."""
    zero = reinterpret(filled(like, 0.0), np.int32)
    return select(bits_mask(down, 16), filled(zero, -0x80000000), zero)


@compiled(forceinline=True)
def _signed(value: Any, signs: Any) -> Any:
    return reinterpret(reinterpret(value, np.int32) ^ signs, np.float32)


@compiled(forceinline=True)
def _visit(
    fields: Any, at: Any, hk: Any, site: Any, diag: Any, gain: Any, up: Any, valid: Any,
    stream: Any, rule: Any, thresholds: Any,
) -> Any:  # fmt: skip
    """Update the 64 spins `up` of a block; return (stream, the spins after)."""
    y0 = _scaled(fields, hk, at, site, gain)
    y1 = _scaled(fields, hk, at + 16, site + 16, gain)
    y2 = _scaled(fields, hk, at + 32, site + 32, gain)
    y3 = _scaled(fields, hk, at + 48, site + 48, gain)
    for v in range(4):
        stream, t0 = _exponential(stream) if rule == METROPOLIS else _logistic(stream)
        store(thresholds, 16 * v, t0)
    t0, t1 = load(thresholds, 0, 16), load(thresholds, 16, 16)
    t2, t3 = load(thresholds, 32, 16), load(thresholds, 48, 16)
    # Metropolis compares s y, whose signs stay: no spin is looked at again once it has flipped
    down = ~up if rule == METROPOLIS else np.uint64(0)
    g0, g1 = _signs(y0, down), _signs(y0, down >> np.uint64(16))
    g2, g3 = _signs(y0, down >> np.uint64(32)), _signs(y0, down >> np.uint64(48))
    y0, y1, y2, y3 = _signed(y0, g0), _signed(y1, g1), _signed(y2, g2), _signed(y3, g3)
    todo = valid
    step = np.float32(2.0) * gain
    row = site * BLOCK
    while True:
        if rule == METROPOLIS:
            flips = _word(y0 <= t0, y1 <= t1, y2 <= t2, y3 <= t3) & todo
        else:
            flips = (_word(y0 > t0, y1 > t1, y2 > t2, y3 > t3) ^ up) & todo
        if flips == np.uint64(0):
            break
        i = trailing_zeros(flips)
        bit = np.uint64(1) << np.uint64(i)
        change = -step if up & bit else step
        up ^= bit
        todo = valid & ~(bit | (bit - np.uint64(1)))
        c = filled(y0, change)
        k = row + i * BLOCK
        y0 = fma(_signed(c, g0), load(diag, k, 16), y0)
        y1 = fma(_signed(c, g1), load(diag, k + 16, 16), y1)
        y2 = fma(_signed(c, g2), load(diag, k + 32, 16), y2)
        y3 = fma(_signed(c, g3), load(diag, k + 48, 16), y3)
    return stream, up


@compiled(forceinline=True)
def _list(rises: Any, falls: Any, places: Any, at: Any) -> Any:
    """Write where the ones of two words are into `places`; return (ones of rises, all ones)."""
    k = at
    while rises != np.uint64(0):
        places[k] = trailing_zeros(rises)
        rises &= rises - np.uint64(1)
        k += 1
    first = k - at
    while falls != np.uint64(0):
        places[k] = trailing_zeros(falls)
        falls &= falls - np.uint64(1)
        k += 1
    return first, k - at


@compiled(forceinline=True)
def _add(fields: Any, at: Any, total: Any, factor: Any) -> None:
    f = load_like(fields, at, total)
    store(fields, at, f + convert(total, f) * filled(f, factor))


@compiled(forceinline=True)
def _add_chunk(
    fields: Any, at: Any, kind: Any, rows: Any, off: Any, places: Any, first: Any, n_up: Any,
    n_all: Any, group: Any, factor: Any, lanes: Any,
) -> None:  # fmt: skip
    """Add 512 bytes of the listed rows to fields: those of spins that rose, less the others."""
    one, two, three = np.uint64(64), np.uint64(128), np.uint64(192)
    four, five, six, seven = np.uint64(256), np.uint64(320), np.uint64(384), np.uint64(448)
    start = 0
    while start < n_all:
        stop = min(start + group, n_all)
        zero = filled(load_line(rows[0], kind), 0)
        a0, a1, a2, a3, a4, a5, a6, a7 = zero, zero, zero, zero, zero, zero, zero, zero
        for k in range(first + start, first + min(stop, n_up)):
            p = rows[places[k]] + off
            a0 += load_line(p, kind)
            a1 += load_line(p + one, kind)
            a2 += load_line(p + two, kind)
            a3 += load_line(p + three, kind)
            a4 += load_line(p + four, kind)
            a5 += load_line(p + five, kind)
            a6 += load_line(p + six, kind)
            a7 += load_line(p + seven, kind)
        for k in range(first + max(start, n_up), first + stop):
            p = rows[places[k]] + off
            a0 -= load_line(p, kind)
            a1 -= load_line(p + one, kind)
            a2 -= load_line(p + two, kind)
            a3 -= load_line(p + three, kind)
            a4 -= load_line(p + four, kind)
            a5 -= load_line(p + five, kind)
            a6 -= load_line(p + six, kind)
            a7 -= load_line(p + seven, kind)
        _add(fields, at, a0, factor)
        _add(fields, at + lanes, a1, factor)
        _add(fields, at + 2 * lanes, a2, factor)
        _add(fields, at + 3 * lanes, a3, factor)
        _add(fields, at + 4 * lanes, a4, factor)
        _add(fields, at + 5 * lanes, a5, factor)
        _add(fields, at + 6 * lanes, a6, factor)
        _add(fields, at + 7 * lanes, a7, factor)
        start = stop


@compiled(forceinline=True)
def _add_line(
    fields: Any, at: Any, kind: Any, rows: Any, off: Any, places: Any, first: Any, n_up: Any,
    n_all: Any, group: Any, factor: Any,
) -> None:  # fmt: skip
    """Add 64 bytes of the listed rows, as :func:`_add_chunk`."""
    start = 0
    while start < n_all:
        stop = min(start + group, n_all)
        total = filled(load_line(rows[0], kind), 0)
        for k in range(first + start, first + min(stop, n_up)):
            total += load_line(rows[places[k]] + off, kind)
        for k in range(first + max(start, n_up), first + stop):
            total -= load_line(rows[places[k]] + off, kind)
        _add(fields, at, total, factor)
        start = stop


@compiled(nogil=True)
def _add_rows(
    fields: Any, n_pad: Any, kind: Any, block: Any, ahead: Any, places: Any, counts: Any,
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
    places : int64, (n_replicas 64,)
        Rows of each replica: first those to add, then those to subtract.
    counts : int64, (n_replicas, 2)
        How many to add, and how many in all.
    group : int
        Rows whose sum cannot overflow the type of W.
    """
    n_replicas = counts.shape[0]
    size = np.uint64(kind.itemsize)
    lanes = 64 // np.int64(size)
    width = np.uint64(n_pad) * size
    chunk, line, off = np.uint64(_CHUNK), np.uint64(64), np.uint64(0)
    while off + chunk <= width:
        at = np.int64(off // size)
        for r in range(n_replicas):
            if ahead:
                for i in range(r * BLOCK // n_replicas, (r + 1) * BLOCK // n_replicas):
                    for k in range(8):
                        prefetch(block[i] + off + chunk + np.uint64(64 * k))
            _add_chunk(
                fields, r * n_pad + at, kind, block, off, places, r * BLOCK,
                counts[r, 0], counts[r, 1], group, factor, lanes,
            )  # fmt: skip
        off += chunk
    while off < width:
        at = np.int64(off // size)
        for r in range(n_replicas):
            _add_line(
                fields, r * n_pad + at, kind, block, off, places, r * BLOCK,
                counts[r, 0], counts[r, 1], group, factor,
            )  # fmt: skip
        off += line


@compiled(nogil=True)
def refresh(fields: Any, kind: Any, rows: Any, up: Any, valid: Any, group: Any, ahead: Any) -> None:
    """Compute the pair parts of the fields of all replicas from their spins.

    Arguments as in :func:`sweeps`.
    """
    n_replicas, n_blocks = up.shape
    n_pad = n_blocks * BLOCK
    for k in range(fields.shape[0]):
        fields[k] = 0
    places = np.empty(n_replicas * BLOCK, np.int64)
    counts = np.empty((n_replicas, 2), np.int64)
    for b in range(n_blocks):
        for r in range(n_replicas):
            n_up, n_all = _list(up[r, b] & valid[b], ~up[r, b] & valid[b], places, r * BLOCK)
            counts[r, 0], counts[r, 1] = n_up, n_all
        block = rows[b * BLOCK : (b + 1) * BLOCK]
        _add_rows(fields, n_pad, kind, block, ahead, places, counts, group, 1)


@compiled(forceinline=True)
def _ones(word: Any) -> Any:
    return np.int64(reduce_add(popcount(splat(word, 1))))


@compiled(forceinline=True)
def _totals(fields: Any, at: Any, h: Any, unit: Any, up: Any, valid: Any) -> Any:
    """Return (sum of the spins, pair-plus-field energy) of one replica."""
    n_blocks = up.shape[0]
    total = 0
    energy = filled(load(h, 0, 16), 0.0)
    zero = energy
    for b in range(n_blocks):
        total += 2 * _ones(up[b] & valid[b]) - _ones(valid[b])
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
    places = np.empty(n_replicas * BLOCK, np.int64)
    counts = np.empty((n_replicas, 2), np.int64)
    thresholds = np.empty(BLOCK, np.float32)
    for t in range(rules.shape[0]):
        rule = rules[t]
        for b in range(n_blocks):
            site = b * BLOCK
            for r in range(n_replicas):
                stream = load_stream(rng[r])
                old = up[r, b]
                stream, new = _visit(
                    fields, r * n_pad + site, hk, site, diag, gains[r], old, valid[b],
                    stream, rule, thresholds,
                )  # fmt: skip
                store_stream(rng[r], stream)
                up[r, b] = new
                counts[r, 0], counts[r, 1] = _list(new & ~old, old & ~new, places, r * BLOCK)
            block = rows[site : site + BLOCK]
            _add_rows(fields, n_pad, kind, block, ahead, places, counts, group, 2)
        if out.shape[0] > 0:
            for r in range(n_replicas):
                total, energy = _totals(fields, r * n_pad, h, unit, up[r], valid)
                out[r, t, 0] = total
                out[r, t, 1] = energy
