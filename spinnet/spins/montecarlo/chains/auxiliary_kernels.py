"""The sweeps of the auxiliary field, 16 spins at a time, compiled by Numba.

Blocks of 256 spins stay in the nearest cache for both passes over their factors: the first draws
the spins given the fields z, the second adds what they give to the overlaps.  Sums run in single
precision over the 16 spins of a lane and in double precision beyond.  Factors are in units of
the largest of their column, so that those of +-1 patterns are summed without any rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.random import load_stream, next_words, store_stream
from spinnet.simd.vectors import (
    bits_mask,
    convert,
    filled,
    fma,
    load,
    mask_bits,
    popcount,
    reduce_add,
    reinterpret,
    rint,
    select,
    splat,
)
from spinnet.spins.montecarlo.normals import normal

BLOCK = 256  # spins
_GROUPS = 16  # of 16 spins in a block
_DRAWN, _REFLECTED, _GIVEN = 0, 1, 2
_LARGEST = 1e30  # fields beyond are scaled down together: only their signs matter there


@compiled(forceinline=True)
def _exp_below_zero(x: Any) -> Any:
    """Return e^x for float32 lanes x <= 0, to 1e-7 relative; below -80 that of -80."""
    x = select(x > filled(x, -80.0), x, filled(x, -80.0))
    k = rint(x * filled(x, 1.4426950408889634))
    r = fma(k, filled(x, -0.693145751953125), x)
    r = fma(k, filled(x, -1.428606765330187e-06), r)
    p = filled(x, 0.001381459878757596)
    p = fma(p, r, filled(x, 0.008368716575205326))
    p = fma(p, r, filled(x, 0.04166838899254799))
    p = fma(p, r, filled(x, 0.1666652113199234))
    p = fma(p, r, filled(x, 0.4999999403953552))
    p = fma(p, r * r, r) + filled(x, 1.0)
    return reinterpret(reinterpret(p, np.int32) + (convert(k, np.int32) << 23), np.float32)


@compiled(forceinline=True)
def _drawn_up(stream: Any, a: Any, word: Any, heat_bath: Any) -> Any:
    """Return (stream, mask): the new up spins in the fields a; `word` holds the old ones.

    With t = e^(-2|a|), a spin of a heat bath lies against its field with probability t/(1 + t);
    one of Metropolis that lies along its field is turned with probability t, any other always.
    A uniform number of 31 bits is below either to 1e-7 of it and 2^-32 besides: a spin less likely
    than that never lies against its field.
    """
    stream, words = next_words(stream)
    bits = reinterpret(reinterpret(words, np.uint32) >> 1, np.int32)
    half = filled(a, 0.5)
    u = fma(convert(bits, np.float32), filled(a, 4.656612873077393e-10), half * filled(a, 2.0**-31))
    down = a < filled(a, 0.0)
    size = select(down, filled(a, 0.0) - a, a)
    t = _exp_below_zero(size * filled(a, -2.0))
    along = bits_mask(np.uint64(word), 16) ^ down
    may_turn = along | splat(heat_bath, 16)
    against = (u * fma(t, filled(a, 1.0 if heat_bath else 0.0), filled(a, 1.0)) < t) & may_turn
    return stream, against ^ ~down


@compiled(forceinline=True)
def _add_up(total: Any, factors: Any, start: Any, word: Any) -> Any:
    f = load(factors, start, 16)
    return total + select(bits_mask(np.uint64(word), 16), f, filled(f, 0.0))


@compiled(forceinline=True)
def _add_overlaps(y: Any, bits: Any, factors: Any, block: int, n_groups: int) -> None:
    """Add to y[p] twice the sum over the up spins of a block of their factors."""
    n_factors = y.shape[0]
    zero = splat(np.float32(0.0), 16)
    first, p = block * n_factors * BLOCK, 0
    while p < n_factors - 3:  # four at once: each word of spins is read once for all
        t0, t1, t2, t3 = zero, zero, zero, zero
        for g in range(n_groups):
            word, start = bits[block * _GROUPS + g], first + p * BLOCK + 16 * g
            t0 = _add_up(t0, factors, start, word)
            t1 = _add_up(t1, factors, start + BLOCK, word)
            t2 = _add_up(t2, factors, start + 2 * BLOCK, word)
            t3 = _add_up(t3, factors, start + 3 * BLOCK, word)
        y[p] += 2.0 * reduce_add(t0)
        y[p + 1] += 2.0 * reduce_add(t1)
        y[p + 2] += 2.0 * reduce_add(t2)
        y[p + 3] += 2.0 * reduce_add(t3)
        p += 4
    while p < n_factors:
        t0 = zero
        for g in range(n_groups):
            t0 = _add_up(t0, factors, first + p * BLOCK + 16 * g, bits[block * _GROUPS + g])
        y[p] += 2.0 * reduce_add(t0)
        p += 1


@compiled(forceinline=True)
def _draw_block(
    stream: Any, bits: Any, factors: Any, z: Any, h32: Any, h_gain: Any, h_all: Any, block: int,
    n_groups: int, heat_bath: Any,
) -> Any:  # fmt: skip
    """Draw the spins of a block given the fields of the factors; return the stream."""
    n_factors = z.shape[0]
    first = block * n_factors * BLOCK
    for g in range(0, n_groups, 4):  # four groups at once: each z is read once for all
        a0 = splat(np.float32(h_all), 16)
        a1, a2, a3 = a0, a0, a0
        if h32.shape[0] > 0:
            place, gain = BLOCK * block + 16 * g, filled(a0, h_gain)
            a0 = fma(load(h32, place, 16), gain, a0)
            a1 = fma(load(h32, place + 16, 16), gain, a1)
            a2 = fma(load(h32, place + 32, 16), gain, a2)
            a3 = fma(load(h32, place + 48, 16), gain, a3)
        for p in range(n_factors):
            place, gain = first + p * BLOCK + 16 * g, filled(a0, z[p])
            a0 = fma(load(factors, place, 16), gain, a0)
            a1 = fma(load(factors, place + 16, 16), gain, a1)
            a2 = fma(load(factors, place + 32, 16), gain, a2)
            a3 = fma(load(factors, place + 48, 16), gain, a3)
        k = block * _GROUPS + g
        stream, up = _drawn_up(stream, a0, bits[k], heat_bath)
        bits[k] = np.uint16(mask_bits(up))
        stream, up = _drawn_up(stream, a1, bits[k + 1], heat_bath)
        bits[k + 1] = np.uint16(mask_bits(up))
        stream, up = _drawn_up(stream, a2, bits[k + 2], heat_bath)
        bits[k + 2] = np.uint16(mask_bits(up))
        stream, up = _drawn_up(stream, a3, bits[k + 3], heat_bath)
        bits[k + 3] = np.uint16(mask_bits(up))
    return stream


@compiled(forceinline=True)
def _field_energy(bits: Any, h: Any, block: int, n_groups: int) -> Any:
    """Return the sum over a block of the fields times the spins, in double precision."""
    total = splat(np.float64(0.0), 8)
    for g in range(2 * n_groups):
        word = np.uint64(bits[block * _GROUPS + g // 2]) >> np.uint64(8 * (g % 2))
        f = load(h, block * BLOCK + 8 * g, 8)
        total = total + select(bits_mask(word & np.uint64(255), 8), f, filled(f, 0.0) - f)
    return reduce_add(total)


@compiled(forceinline=True)
def _draw_fields(
    z: Any, x: Any, y: Any, units: Any, beta: float, h_size: float, state: Any, kind: Any
) -> float:
    """Fill z with the fields beta x_p times the unit of the factors; return the scale of beta h.

    Given the spins, x_p is normal about the overlap Y_p with variance 1/beta: it is drawn, or
    reflected about Y_p.  The array `x` holds beta x_p.
    """
    largest = beta * h_size
    for p in range(z.shape[0]):
        centre = beta * units[p] * y[p]
        if kind == _DRAWN or math.isnan(x[p]):
            x[p] = centre + math.sqrt(beta) * normal(state)
        elif kind == _REFLECTED:
            x[p] = 2.0 * centre - x[p]
        z[p] = units[p] * x[p]
        largest = max(largest, abs(z[p]))
    if largest > _LARGEST:
        for p in range(z.shape[0]):
            z[p] *= _LARGEST / largest
        return beta * (_LARGEST / largest)
    return beta


@compiled(nogil=True)
def auxiliary_sweeps(
    bits: Any,
    x: Any,
    streams: Any,
    normals: Any,
    n: int,
    factors: Any,
    units: Any,
    rest: Any,
    h: Any,
    h32: Any,
    h_unit: float,
    uniform_h: float,
    betas: Any,
    heat_baths: Any,
    given: Any,
    out: Any,
) -> None:
    """Sweep: fields given spins, then spins given fields, each anew or by overrelaxation.

    Parameters
    ----------
    bits : uint16, (n_replicas, 16 n_blocks)
        The spins; those beyond the n-th are 0.
    x : float64, (n_replicas, n_factors)
        beta x_p of the last sweep; NaN if there is none, and it is to be drawn.
    streams : uint64, (n_replicas, 32)
    normals : uint64, (n_replicas, 4)
    n : int
        Number of spins.
    factors : float32, (n_blocks n_factors 256,)
        In units of the largest of their column; 0 beyond the n-th spin.
    units : float64, (n_factors,)
    rest : float64, (n_factors,)
        Minus the sums of the factors: the overlaps where all spins are down.
    h : float64, (256 n_blocks,) or (0,)
        Fields of each spin, if they differ.
    h32 : float32, of the shape of `h`
        The same in units of `h_unit`.
    uniform_h : float
        Field of all spins.
    betas : float64, (n_replicas,)
    heat_baths : bool, (n_sweeps,)
        Whether each sweep draws fields and spins anew, or is overrelaxed.
    given : float64, (n_replicas, n_sweeps)
        beta x of the single factor for each sweep, drawn elsewhere; may have 0 replicas.
    out : float64, (n_replicas, n_sweeps, 2)
        Sum of the spins, and -1/2 sum_p Y_p^2 - h.s; may have 0 replicas.
    """
    n_replicas, n_factors = bits.shape[0], units.shape[0]
    n_blocks = bits.shape[1] // _GROUPS
    y = np.empty((n_replicas, n_factors), np.float64)
    z, z32 = np.empty(n_factors, np.float64), np.empty((n_replicas, n_factors), np.float32)
    beta_h = np.empty(n_replicas, np.float64)
    n_up, field_sum = np.empty(n_replicas, np.int64), np.empty(n_replicas, np.float64)
    h_size = max(h_unit if h.shape[0] > 0 else 0.0, abs(uniform_h))
    for r in range(n_replicas):
        y[r] = rest
        for b in range(n_blocks):
            _add_overlaps(y[r], bits[r], factors, b, min(_GROUPS, (n - BLOCK * b + 15) // 16))
    for t in range(heat_baths.shape[0]):
        for r in range(n_replicas):
            kind = _DRAWN if heat_baths[t] else _REFLECTED
            if given.shape[0] > 0 and n_factors > 0:
                x[r, 0] = given[r, t]
                kind = _GIVEN
            beta_h[r] = _draw_fields(z, x[r], y[r], units, betas[r], h_size, normals[r], kind)
            for p in range(n_factors):
                z32[r, p] = z[p]
            y[r], n_up[r], field_sum[r] = rest, 0, 0.0
        # all replicas pass a block while its factors are in the nearest cache
        for b in range(n_blocks):
            n_groups = min(_GROUPS, (n - BLOCK * b + 15) // 16)
            for r in range(n_replicas):
                s = bits[r]
                stream = _draw_block(
                    load_stream(streams[r]), s, factors, z32[r], h32,
                    np.float32(beta_h[r] * h_unit), np.float32(beta_h[r] * uniform_h), b, n_groups,
                    heat_baths[t],
                )  # fmt: skip
                store_stream(streams[r], stream)
                if b == n_blocks - 1:
                    for k in range(n // 16 + 1, BLOCK // 16 * n_blocks):
                        s[k] = 0
                    if n % BLOCK != 0:
                        s[n // 16] &= np.uint16((1 << (n % 16)) - 1)
                _add_overlaps(y[r], s, factors, b, n_groups)
                if out.shape[0] > 0:
                    ones = popcount(reinterpret(load(s, b * _GROUPS, 16), np.uint64))
                    n_up[r] += np.int64(reduce_add(ones))
                    if h.shape[0] > 0:
                        field_sum[r] += _field_energy(s, h, b, n_groups)
        for r in range(out.shape[0]):
            total = 2 * n_up[r] - n
            pairs = 0.0
            for p in range(n_factors):
                pairs += (units[p] * y[r, p]) ** 2
            out[r, t, 0] = total
            out[r, t, 1] = -0.5 * pairs - field_sum[r] - uniform_h * total
