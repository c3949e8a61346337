"""Kernels of sparse systems for groups of 32 replicas, whose spins are the bits of words.

The up spins of site i in group g are the 32 bits ``words[g, 2 i : 2 i + 2]``.  The local fields
of 16 replicas are a vector of int32: from the field with all neighbours down, each neighbour adds
2 J_ij in the lanes where it is up, one masked addition.  Whole numbers are exact, so that a field
depends on the configuration alone and the pair energy is carried along without drift.

**Probabilities.**  With x = 2 beta l_i, a spin turns against its field with probability
1/(1 + e^|x|) (heat bath), or, if it points along its field, e^-|x| (Metropolis).  The uniform
number has 32 bits, rounded to single precision where it is large, and is at least 2^-33: what
is less likely never happens, and a spin against its field always follows it under Metropolis.
x is a product of single-precision numbers, four times rounded, by 2^-24 of itself or of
2 beta h_i, whichever is larger, and the power of two is good to 1.6e-7.  Probabilities are off
by at most 2^-32, and by (3 + 2.4 |x|) 1e-7 of themselves.
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
    minimum,
    prefetch,
    reinterpret,
    select,
    splat,
    store,
)

AHEAD = 48  # neighbours whose words are asked for in advance; `indices` has as many zeros behind
_ROUND = 12582912.0  # 1.5 x 2^23: added to a small float32, it leaves the nearest whole number


@compiled()
def row_units(indptr: Any, data: Any, units: Any) -> None:
    """Write for each row a power of two by which 2^30 exceeds the sum of its |J|; 0 if empty."""
    for i in range(units.shape[0]):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += abs(data[k])
        units[i] = math.ldexp(1.0, math.frexp(total)[1] - 30) if total > 0.0 else 0.0


@compiled()
def whole_numbers(indptr: Any, indices: Any, data: Any, units: Any, twice: Any, base: Any) -> float:
    """Write the couplings as whole numbers, and return the largest error of a row.

    J_ij is rounded to a multiple of the larger of the units of its two rows, so that both rows
    hold the same number: the chain keeps detailed balance, with the rounded couplings.  The
    error of a row is the sum of the changes over the sum of its |J|.  With `base` empty, nothing
    is written.
    """
    write = base.shape[0] > 0
    worst = 0.0
    for i in range(units.shape[0]):
        total = np.int64(0)
        change = size = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            coarse = max(units[i], units[indices[k]])
            rounded = coarse * np.rint(data[k] / coarse)
            change += abs(rounded - data[k])
            size += abs(data[k])
            whole = np.int64(rounded / units[i])
            total += whole
            if write:
                twice[k] = np.int32(2 * whole)
        if write:
            base[i] = np.int32(-total)
        if change > worst * size:
            worst = change / size
    return worst


@compiled(forceinline=True)
def _lanes(words: Any, place: Any) -> Any:
    return bits_mask(np.uint64(words[place]), 16)


@compiled(nogil=True)
def energies(words: Any, indptr: Any, indices: Any, data: Any, h: Any, energy: Any) -> None:
    """Write the pair and field energies, in double precision from the couplings as given.

    Parameters
    ----------
    words : uint16, (n_groups, 2 n)
    indptr, indices, data : int64 (n + 1,), int32 (nnz,), float64 (nnz,)
    h : float64, (n,)
    energy : float64, (n_groups, 32)
    """
    for g in range(words.shape[0]):
        w = words[g]
        low = splat(0.0, 16)
        high = low
        for i in range(h.shape[0]):
            s0, s1 = _lanes(w, 2 * i), _lanes(w, 2 * i + 1)
            field = splat(h[i], 16)
            low = select(s0, low - field, low + field)
            high = select(s1, high - field, high + field)
            for k in range(indptr[i], indptr[i + 1]):
                j = np.int64(indices[k])
                if j > i:
                    J = splat(data[k], 16)
                    low = select(s0 ^ _lanes(w, 2 * j), low + J, low - J)
                    high = select(s1 ^ _lanes(w, 2 * j + 1), high + J, high - J)
        store(energy[g], 0, low)
        store(energy[g], 16, high)


@compiled(forceinline=True)
def _power_of_two(t: Any) -> Any:
    """Return 2^t for 0 <= t <= 126, to 1.6e-7 of itself, and 1 at 0."""
    shifted = t + filled(t, _ROUND)
    f = t - (shifted - filled(t, _ROUND))
    p = filled(t, 0.0013264728768827827)  # minimax on [-1/2, 1/2], exact at 0
    p = fma(p, f, filled(t, 0.00967151318310562))
    p = fma(p, f, filled(t, 0.05550733744478282))
    p = fma(p, f, filled(t, 0.2402224207709141))
    p = fma(p, f, filled(t, 0.6931469775951132))
    p = fma(p, f, filled(t, 1.0))
    # the low bits of `shifted` are the whole part; shifted up, they are those of an exponent
    exponent = reinterpret(shifted, np.int32) << 23
    return reinterpret(reinterpret(p, np.int32) + exponent, np.float32)


@compiled(forceinline=True)
def against(t: Any, words: Any, one: Any) -> Any:
    """Return where an event of probability 1/(one + 2^|t|) happens, given 16 times 32 bits."""
    bits = reinterpret(t, np.int32)
    size = minimum(reinterpret(bits & filled(bits, 0x7FFFFFFF), np.float32), filled(t, 126.0))
    u = convert(reinterpret(words, np.uint32), np.float32) + filled(t, 0.5)
    return u * (_power_of_two(size) + filled(t, one)) <= filled(t, 4294967296.0)


@compiled(forceinline=True)
def draw(pair: Any, unit: Any, h: Any, gain: Any, old: Any, words: Any, one: Any) -> Any:
    """Return where the new spins are up; heat bath if one = 1, Metropolis if one = 0."""
    t = fma(convert(pair, np.float32), unit, h) * gain
    along = t >= filled(t, 0.0)
    turn = against(t, words, one)
    # Metropolis: a spin against its field follows it; only one along its field may turn
    free = filled(t, one) > filled(t, 0.5)
    return along ^ (turn & (free | ~(old ^ along)))


@compiled(forceinline=True)
def _count(energy: Any, ups: Any, place: Any, pair: Any, old: Any, new: Any, e: Any) -> None:
    """Add what the flips change, -2 s l with s the new spin, and the up spins; e = (unit, h)."""
    unit, h = e
    flip, zero = old ^ new, filled(pair, 0)
    change = select(flip, select(new, zero - pair, pair), zero)
    total = load(energy, place, 16)
    total = fma(convert(change, np.float64), splat(2.0 * unit, 16), total)
    if h != 0.0:
        signs = select(flip, select(new, filled(pair, -1), filled(pair, 1)), zero)
        total = fma(convert(signs, np.float64), splat(2.0 * h, 16), total)
    store(energy, place, total)
    count = load(ups, place, 16)
    store(ups, place, select(new, count + filled(count, 1), count))


@compiled(nogil=True)
def masked_sweeps(
    words: Any, rng: Any, rows: Any, gains: Any, heat_bath: Any, energy: Any, out: Any
) -> None:
    """Sweep groups of 32 replicas.

    Parameters
    ----------
    words : uint16, (n_groups, 2 n)
        Up spins; changed.
    rng : uint64, (n_groups, 32)
        Eight streams for each group; changed.
    rows : tuple
        The first nine of :class:`spinnet.spins.montecarlo.chains.masked_rows.Rows`.
    gains : float32, (n_groups, 32)
        2 beta / ln 2 times the scale of the rows, for each replica.
    heat_bath : bool, (n_sweeps,)
        Whether a sweep is a heat bath, or Metropolis.
    energy : float64, (n_groups, 32)
        Pair and field energy; carried along if `out` has groups.
    out : float64, (n_groups, n_sweeps, 2, 32)
        Number of up spins and energy after each sweep; may have 0 groups.
    """
    indptr, indices, twice, base, unit, h, unit_scaled, h_scaled, varies = rows
    J_varies, unit_varies, h_varies = varies
    record = out.shape[0] > 0
    ups = np.empty(32, np.int32)
    for g in range(words.shape[0]):
        w, e = words[g], energy[g]
        start = np.uint64(w.ctypes.data)
        stream = load_stream(rng[g])
        gain_0, gain_1 = load(gains[g], 0, 16), load(gains[g], 16, 16)
        for t in range(heat_bath.shape[0]):
            one = np.float32(1.0) if heat_bath[t] else np.float32(0.0)
            ups[:] = 0
            for i in range(base.shape[0]):
                a = splat(base[i], 16)
                b = a
                for k in range(indptr[i], indptr[i + 1]):
                    j = 2 * np.int64(indices[k])
                    prefetch(start + np.uint64(4 * np.int64(indices[k + AHEAD])))
                    step = splat(twice[k * J_varies], 16)
                    a = select(_lanes(w, j), a + step, a)
                    b = select(_lanes(w, j + 1), b + step, b)
                iu, ih = i * unit_varies, i * h_varies
                u, f = splat(unit_scaled[iu], 16), splat(h_scaled[ih], 16)
                old_a, old_b = _lanes(w, 2 * i), _lanes(w, 2 * i + 1)
                stream, r = next_words(stream)
                new_a = draw(a, u, f, gain_0, old_a, r, one)
                stream, r = next_words(stream)
                new_b = draw(b, u, f, gain_1, old_b, r, one)
                w[2 * i] = mask_bits(new_a)
                w[2 * i + 1] = mask_bits(new_b)
                if record:
                    _count(e, ups, 0, a, old_a, new_a, (unit[iu], h[ih]))
                    _count(e, ups, 16, b, old_b, new_b, (unit[iu], h[ih]))
            if record:
                for r in range(32):
                    out[g, t, 0, r] = ups[r]
                    out[g, t, 1, r] = e[r]
        store_stream(rng[g], stream)


@compiled(nogil=True)
def pack(spins: Any, words: Any) -> None:
    """Write configurations (int8, (n_replicas, n)) into words; further replicas are down."""
    words[:] = 0
    for r in range(spins.shape[0]):
        row, half = words[r // 32], (r // 16) % 2
        bit = np.uint16(1 << (r % 16))
        for i in range(spins.shape[1]):
            if spins[r, i] > 0:
                row[2 * i + half] |= bit


@compiled(nogil=True)
def unpack(words: Any, rows: Any, spins: Any) -> None:
    """Write the configurations `rows` as +-1 into `spins` (int8, (len(rows), n))."""
    for r in range(spins.shape[0]):
        row, half, shift = words[rows[r] // 32], (rows[r] // 16) % 2, rows[r] % 16
        for i in range(spins.shape[1]):
            spins[r, i] = 2 * ((np.int64(row[2 * i + half]) >> shift) & 1) - 1
