"""Compiled sweeps of replicas as bits: 8 words of 64 replicas each, or several spins at once.

**The random numbers.** A spin with y = |d - 2 c| more bonds one way than the other compares a
uniform number u with a threshold p(y), digit by digit, in all 512 lanes at once.  The last of
`DIGITS` digits comes first: where the digit of u differs from that of p, it decides; where it
agrees, the outcome of the later digits stands.  After the first digit the outcome is that of
u < p unless all `DIGITS` agree, which happens in a lane with the chance 2^-12 (in any of 512
lanes: 0.12).  The lanes left open then go on from digit 13 to 64, from a copy of the random
stream read through another scrambler (xoshiro256** in place of ++), so that every site uses
the same number of words whatever the outcome and the future of a lane depends on no other
lane.  Hence the probability of each flip is p rounded down to a multiple of 2^-64: the bias is
below 2^-64 beside the rounding of p to double precision.  The scramblers read different words
of a state, so that those of one step are independent; two sites in turn share words only in a
lane that is open after 24 digits and again at the next site after 12, with the chance 2^-36.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.logic import load_listed, load_mask, majority, prefetch_listed, xor3
from spinnet.simd.random import load_stream, store_stream
from spinnet.simd.vectors import load, mask_bits, select, splat, store
from spinnet.spins.montecarlo.chains.bits_counts import (
    CHUNK,
    LEVELS,
    count,
    total_of_lanes,
    write,
)
from spinnet.spins.montecarlo.chains.bits_thresholds import ALL_DIGITS

DIGITS = 12
_AHEAD = 5  # blocks whose neighbours are asked for before they are needed,
_NEAR = 1 << 20  # where the spins are more bytes than a near cache holds
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@compiled(forceinline=True)
def _advanced(stream: Any) -> Any:
    """Return the next state of xoshiro256."""
    s0, s1, s2, s3 = stream
    x = s3 ^ s1
    return s0 ^ x, xor3(s1, s2, s0), xor3(s2, s0, s1 << 17), (x << 45) | (x >> 19)


@compiled(forceinline=True)
def _plus(stream: Any) -> Any:
    """Return the word of a state in xoshiro256++."""
    total = stream[0] + stream[3]
    return ((total << 23) | (total >> 41)) + stream[0]


@compiled(forceinline=True)
def _star(stream: Any) -> Any:
    """Return the word of a state in xoshiro256**."""
    x = (stream[1] << 2) + stream[1]
    x = (x << 7) | (x >> 57)
    return (x << 3) + x


@compiled(forceinline=True)
def _any(v: Any) -> Any:
    return mask_bits(v > (v ^ v)) != 0


@compiled(forceinline=True)
def _unsatisfied(spins: Any, own: Any, starts: Any, signs: Any, lists: Any, k: Any) -> Any:
    """Return 1 where the bond of slot k is not satisfied."""
    x = own ^ load_listed(spins, starts, lists, k)
    return select(load_mask(signs, k), ~x, x)


@compiled(forceinline=True)
def _result(own: Any, x: Any, word: Any, above: Any, half: Any, metropolis: Any) -> Any:
    """Return the spins after an update, given x = [u < p(y)].

    Heat bath: a spin leaves the side of fewer satisfied bonds unless x, and the other one if
    x; a tie is a fair coin.  Metropolis: it also leaves at a tie, and always the side of fewer.
    """
    flip = above ^ x
    flip = flip ^ (half & (flip ^ word))
    return own ^ (flip | ((above | half) & metropolis))


@compiled(forceinline=True)
def _threshold4(planes: Any, p: Any, width: Any, a: Any) -> Any:
    return load(planes, p + 32, 8) ^ (a & load(planes, p + width + 16, 8))


@compiled(forceinline=True)
def _threshold6(planes: Any, p: Any, width: Any, a: Any, b: Any) -> Any:
    t = load(planes, p + 48, 8) ^ (a & load(planes, p + width + 32, 8))
    return t ^ (b & load(planes, p + width + 16, 8))


@compiled(forceinline=True)
def _threshold(planes: Any, p: Any, width: Any, degree: Any, masks: Any) -> Any:
    t = load(planes, p + 8 * degree, 8)
    for j in range(1, (degree + 1) // 2):
        t = t ^ (load(masks, 8 * j, 8) & load(planes, p + width + 8 * (degree - 2 * j), 8))
    return t


@compiled(nogil=True)
def _run4(
    spins: Any, first: Any, last: Any, slot: Any, starts: Any, signs: Any, lists: Any,
    planes: Any, base: Any, width: Any, rule: Any, state: Any, ahead: Any,
) -> None:  # fmt: skip
    """Update blocks of spins of degree 4."""
    stream = load_stream(state)
    metropolis = splat(rule, 8)
    for i in range(8 * first, 8 * last, 8):
        own = load(spins, i, 8)
        x1 = _unsatisfied(spins, own, starts, signs, lists, slot)
        x2 = _unsatisfied(spins, own, starts, signs, lists, slot + 1)
        x3 = _unsatisfied(spins, own, starts, signs, lists, slot + 2)
        x4 = _unsatisfied(spins, own, starts, signs, lists, slot + 3)
        if ahead > 0:
            for k in range(slot + 4 * ahead, slot + 4 * (ahead + 1)):
                prefetch_listed(spins, starts, lists, k)
        slot += 4
        a, b = xor3(x1, x2, x3), majority(x1, x2, x3)
        c0, e = a ^ x4, a & x4
        c1, c2 = b ^ e, b & e
        above, half = c2 | (c1 & c0), c1 & ~c0
        open_ = ~(half | (above & metropolis))
        x = own ^ own
        word = x
        p = base + (DIGITS - 1) * 2 * width
        for _ in range(DIGITS):
            word = _plus(stream)
            stream = _advanced(stream)
            t = _threshold4(planes, p, width, c0)
            x = majority(t, x, word)
            open_ = open_ & (t ^ word)
            p -= 2 * width
        if _any(open_):
            tail, q = stream, base + DIGITS * 2 * width
            for _ in range(DIGITS, ALL_DIGITS):
                more = _star(tail)
                tail = _advanced(tail)
                t = _threshold4(planes, q, width, c0)
                x = x | (open_ & t & more)
                open_ = open_ & (t ^ more)
                q += 2 * width
                if not _any(open_):
                    break
        store(spins, i, _result(own, x, word, above, half, metropolis))
    store_stream(state, stream)


@compiled(nogil=True)
def _run6(
    spins: Any, first: Any, last: Any, slot: Any, starts: Any, signs: Any, lists: Any,
    planes: Any, base: Any, width: Any, rule: Any, state: Any, ahead: Any,
) -> None:  # fmt: skip
    """Update blocks of spins of degree 6."""
    stream = load_stream(state)
    metropolis = splat(rule, 8)
    for i in range(8 * first, 8 * last, 8):
        own = load(spins, i, 8)
        x1 = _unsatisfied(spins, own, starts, signs, lists, slot)
        x2 = _unsatisfied(spins, own, starts, signs, lists, slot + 1)
        x3 = _unsatisfied(spins, own, starts, signs, lists, slot + 2)
        x4 = _unsatisfied(spins, own, starts, signs, lists, slot + 3)
        x5 = _unsatisfied(spins, own, starts, signs, lists, slot + 4)
        x6 = _unsatisfied(spins, own, starts, signs, lists, slot + 5)
        if ahead > 0:
            for k in range(slot + 6 * ahead, slot + 6 * (ahead + 1)):
                prefetch_listed(spins, starts, lists, k)
        slot += 6
        a, b = xor3(x1, x2, x3), majority(x1, x2, x3)
        d, e = xor3(x4, x5, x6), majority(x4, x5, x6)
        c0, f = a ^ d, a & d
        c1, above = xor3(b, e, f), majority(b, e, f)  # 4, 5, 6 are those with the bit 2
        half = c1 & c0
        even = c1 ^ above
        least1, least2 = c0 | even, even & ~c0
        open_ = ~(half | (above & metropolis))
        x = own ^ own
        word = x
        p = base + (DIGITS - 1) * 2 * width
        for _ in range(DIGITS):
            word = _plus(stream)
            stream = _advanced(stream)
            t = _threshold6(planes, p, width, least1, least2)
            x = majority(t, x, word)
            open_ = open_ & (t ^ word)
            p -= 2 * width
        if _any(open_):
            tail, q = stream, base + DIGITS * 2 * width
            for _ in range(DIGITS, ALL_DIGITS):
                more = _star(tail)
                tail = _advanced(tail)
                t = _threshold6(planes, q, width, least1, least2)
                x = x | (open_ & t & more)
                open_ = open_ & (t ^ more)
                q += 2 * width
                if not _any(open_):
                    break
        store(spins, i, _result(own, x, word, above, half, metropolis))
    store_stream(state, stream)


@compiled(forceinline=True)
def _at_least(c: Any, number: Any) -> Any:
    """Return where a number of five bits is at least `number`."""
    result = ~(c[0] ^ c[0])
    result = majority(c[0], result, splat(_ONES * np.uint64((number & 1) == 0), 8))
    result = majority(c[1], result, splat(_ONES * np.uint64((number & 2) == 0), 8))
    result = majority(c[2], result, splat(_ONES * np.uint64((number & 4) == 0), 8))
    result = majority(c[3], result, splat(_ONES * np.uint64((number & 8) == 0), 8))
    return majority(c[4], result, splat(_ONES * np.uint64((number & 16) == 0), 8))


@compiled(nogil=True)
def _run(
    spins: Any, first: Any, last: Any, slot: Any, starts: Any, signs: Any, lists: Any,
    planes: Any, base: Any, width: Any, rule: Any, state: Any, ahead: Any, degree: Any, masks: Any,
) -> None:  # fmt: skip
    """Update blocks of spins of any degree below 32; `masks` is scratch of 8 * 16 words."""
    stream = load_stream(state)
    metropolis = splat(rule, 8)
    for i in range(8 * first, 8 * last, 8):
        own = load(spins, i, 8)
        zero = own ^ own
        c0, c1, c2, c3, c4 = zero, zero, zero, zero, zero
        if ahead > 0:
            for k in range(slot + degree * ahead, slot + degree * (ahead + 1)):
                prefetch_listed(spins, starts, lists, k)
        for _ in range(degree):
            carry = _unsatisfied(spins, own, starts, signs, lists, slot)
            slot += 1
            c0, carry = c0 ^ carry, c0 & carry
            c1, carry = c1 ^ carry, c1 & carry
            c2, carry = c2 ^ carry, c2 & carry
            c3, carry = c3 ^ carry, c3 & carry
            c4 = c4 ^ carry
        c = (c0, c1, c2, c3, c4)
        above = _at_least(c, degree // 2 + 1)
        half = zero
        if degree % 2 == 0:
            half = _at_least(c, degree // 2) & ~above
        for j in range(1, (degree + 1) // 2):
            store(masks, 8 * j, _at_least(c, j) & ~_at_least(c, degree - j + 1))
        open_ = ~(half | (above & metropolis))
        x = zero
        word = zero
        p = base + (DIGITS - 1) * 2 * width
        for _ in range(DIGITS):
            word = _plus(stream)
            stream = _advanced(stream)
            t = _threshold(planes, p, width, degree, masks)
            x = majority(t, x, word)
            open_ = open_ & (t ^ word)
            p -= 2 * width
        if _any(open_):
            tail, q = stream, base + DIGITS * 2 * width
            for _ in range(DIGITS, ALL_DIGITS):
                more = _star(tail)
                tail = _advanced(tail)
                t = _threshold(planes, q, width, degree, masks)
                x = x | (open_ & t & more)
                open_ = open_ & (t ^ more)
                q += 2 * width
                if not _any(open_):
                    break
        store(spins, i, _result(own, x, word, above, half, metropolis))
    store_stream(state, stream)


@compiled(nogil=True)
def sweeps(
    spins: Any, states: Any, planes: Any, runs: Any, slots: Any, bonds: Any, ups: Any,
    lists: Any, done: Any, n_sweeps: Any, period: Any, n_words: Any,
    scale: Any, m: Any, energy: Any,
) -> None:  # fmt: skip
    """Sweep groups of 512 lanes.

    Parameters
    ----------
    spins : uint64, (n_groups, 8 (n_blocks + 1))
        The last block is zero: the partner of fields and of padding.
    states : uint64, (n_groups, 32)
    planes : uint64, (n_groups, 2 * 64 * 2 * (max_degree + 1) * 8)
        Binary digits of the thresholds of each lane: rule (heat bath, Metropolis), digit, kind
        (that of y, and its exclusive or with that of y + 2), y.
    runs : int64, (n_runs, 4)
        Degree, first block, last block + 1, first slot.
    slots : (starts int32, signs uint8)
        For each block and bond the first word of the neighbours, or ~k for the k-th of
        `lists`; bit v says that word v has a negative coupling.
    bonds, ups : (owns int32, starts int32, signs uint8, valid uint8, plain int64)
        What is counted for the energy and the magnetisation; see `load_pair`.
    lists : int32, (8 n_lists,)
    done, n_sweeps, period : int
        Sweeps so far, to do, and from one heat bath to the next.
    n_words : int
        Of a spin: 1, 2, 4 or 8.
    scale : float64, (4,)
        Number of spins, unit and constant of the energy, number of bonds.
    m, energy : float64, (n_replicas, n_sweeps)
        Of these groups; may have no replicas.
    """
    width = planes.shape[1] // (2 * ALL_DIGITS * 2)
    ahead = _AHEAD if 8 * spins.shape[1] > _NEAR else 0
    masks = np.empty(8 * 16, np.uint64)
    rows = np.empty(512, np.uint64)
    lanes = 64 * n_words
    seen = np.empty((2, CHUNK, lanes), np.int64)
    counter = np.empty(16 * LEVELS + 24, np.uint64)
    starts, signs = slots
    for group in range(spins.shape[0]):
        s, state, digits = spins[group], states[group], planes[group]
        for t in range(n_sweeps):
            heat_bath = (done + t + 1) % period == 0
            rule = np.uint64(0) if heat_bath else _ONES
            base = 0 if heat_bath else ALL_DIGITS * 2 * width
            for k in range(runs.shape[0]):
                degree, first, last, slot = runs[k, 0], runs[k, 1], runs[k, 2], runs[k, 3]
                if degree == 4:
                    _run4(s, first, last, slot, starts, signs, lists, digits, base, width, rule,
                          state, ahead)  # fmt: skip
                elif degree == 6:
                    _run6(s, first, last, slot, starts, signs, lists, digits, base, width, rule,
                          state, ahead)  # fmt: skip
                else:
                    _run(s, first, last, slot, starts, signs, lists, digits, base, width, rule,
                         state, ahead, degree, masks)  # fmt: skip
            if m.shape[0] > 0:
                eights = count(s, ups[0], ups[1], ups[2], ups[3], ups[4], lists, counter)
                total_of_lanes(counter, eights, n_words, rows, seen[0, t % CHUNK])
                eights = count(s, bonds[0], bonds[1], bonds[2], bonds[3], bonds[4], lists, counter)
                total_of_lanes(counter, eights, n_words, rows, seen[1, t % CHUNK])
                if t % CHUNK == CHUNK - 1 or t == n_sweeps - 1:
                    write(seen, group * lanes, t - t % CHUNK, t + 1, scale, m, energy)
