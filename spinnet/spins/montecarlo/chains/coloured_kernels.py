"""Kernels of sparse systems whose spins are updated colour by colour, 16 at once.

No two spins of a colour are neighbours, so that 16 of them can be drawn at the same time.  Sites
are renamed such that those of a colour lie together, in blocks of 16 lanes, and the spins of a
block are the bits of a word: a million of them stay in the cache while the couplings pass by.
The lowest bits come first in memory.  Local fields are sums of whole numbers, and the
probabilities are those of :mod:`spinnet.spins.montecarlo.chains.masked_kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinnet.compiling import compiled
from spinnet.simd.random import load_stream, next_words, store_stream
from spinnet.simd.vectors import (
    bits_mask,
    convert,
    filled,
    fma,
    gather_words,
    load,
    mask_bits,
    prefetch,
    reduce_add,
    select,
    splat,
)
from spinnet.spins.montecarlo.chains.masked_kernels import draw

LANES = 16
_AHEAD = 2048  # bytes: machines fetch ahead by themselves within a page alone


@compiled()
def greedy_colours(indptr: Any, indices: Any, colours: Any) -> int:
    """Write a colour for each site, the least that no neighbour before it has; return how many."""
    n_colours = 0
    last_seen = np.full(colours.shape[0] + 1, -1, np.int64)
    for i in range(colours.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            if indices[k] < i:
                last_seen[colours[indices[k]]] = i
        colour = 0
        while last_seen[colour] == i:
            colour += 1
        colours[i] = colour
        n_colours = max(n_colours, colour + 1)
    return n_colours


@compiled()
def fill_blocks(rows: Any, places: Any, starts: Any, near: Any, steps: Any) -> None:
    """Write the neighbours and, if `steps` is not empty, 2 J_ij of all sites, lane by lane."""
    indptr, indices, twice = rows
    for i in range(places.shape[0]):
        block, lane = places[i] // LANES, places[i] % LANES
        for k in range(indptr[i], indptr[i + 1]):
            at = LANES * (starts[block] + k - indptr[i]) + lane
            near[at] = places[indices[k]]
            if steps.shape[0] > LANES:
                steps[at] = twice[k]


@compiled(forceinline=True)
def _pair_field(spins: Any, block: Any, tables: Any, J_varies: Any) -> Any:
    """Return the pair fields of the 16 sites of a block."""
    starts, near, steps, base = tables
    field = load(base, LANES * block, 16)
    near_at, steps_at = np.uint64(near.ctypes.data + _AHEAD), np.uint64(steps.ctypes.data + _AHEAD)
    for k in range(LANES * starts[block], LANES * starts[block + 1], LANES):
        prefetch(near_at + np.uint64(4 * k))
        prefetch(steps_at + np.uint64(4 * k * J_varies))
        place = load(near, k, 16)
        bits = gather_words(spins, place >> 3) >> (place & filled(place, 7))
        up = (bits & filled(field, 1)) > filled(field, 0)
        field = select(up, field + load(steps, k * J_varies, 16), field)
    return field


@compiled(forceinline=True)
def _signed(field: Any, up: Any, among: Any) -> Any:
    """Return -field where up, field where down, and 0 outside `among`."""
    zero = filled(field, 0)
    return select(among, select(up, zero - field, field), zero)


@compiled(nogil=True)
def coloured_sweeps(
    spins: Any, rng: Any, blocks: Any, gains: Any, heat_bath: Any, scale: float, out: Any
) -> None:
    """Sweep replicas, one after the other.

    Parameters
    ----------
    spins : uint16, (n_replicas, n_blocks + 3)
        Bits of one where up, of zero where down or no spin; changed.
    rng : uint64, (n_replicas, 32)
        Eight streams for each replica; changed.
    blocks : tuple
        Those of :class:`spinnet.spins.montecarlo.chains.coloured.Blocks`.
    gains : float32, (n_replicas,)
        2 beta scale / ln 2.
    heat_bath : bool, (n_sweeps,)
        Whether a sweep is a heat bath, or Metropolis.
    scale : float
        The unit of the units, and of the fields of single precision.
    out : float64, (n_replicas, n_sweeps, 2)
        Number of up spins and energy after each sweep; may have 0 replicas.
    """
    starts, near, steps, base, lanes, unit, h, h_scaled, varies = blocks
    J_varies, unit_varies, h_varies = varies
    tables = (starts, near, steps, base)
    n_blocks, record = lanes.shape[0], out.shape[0] > 0
    for r in range(spins.shape[0]):
        s = spins[r]
        stream = load_stream(rng[r])
        gain, zero = splat(gains[r], 16), splat(0.0, 16)
        pairs, fields = zero, zero
        if record:
            for b in range(n_blocks):
                up = bits_mask(np.uint64(s[b]), 16)
                among = bits_mask(np.uint64(lanes[b]), 16)
                pair = _pair_field(s, b, tables, J_varies)
                u = load(unit, LANES * b * unit_varies, 16)
                # a flip changes the energy twice as much, and each pair is seen twice
                term = convert(_signed(pair, up, among), np.float64) * splat(0.25, 16)
                pairs = fma(term, convert(u, np.float64), pairs)
                sign = convert(_signed(filled(pair, 1), up, among), np.float64)
                fields = fma(sign * splat(0.5, 16), load(h, LANES * b * h_varies, 16), fields)
        for t in range(heat_bath.shape[0]):
            one = np.float32(1.0) if heat_bath[t] else np.float32(0.0)
            ups = splat(np.int32(0), 16)
            for b in range(n_blocks):
                at = LANES * b
                among = bits_mask(np.uint64(lanes[b]), 16)
                pair = _pair_field(s, b, tables, J_varies)
                u = load(unit, at * unit_varies, 16)
                f = load(h_scaled, at * h_varies, 16)
                old = bits_mask(np.uint64(s[b]), 16)
                stream, words = next_words(stream)
                new = draw(pair, u, f, gain, old, words, one) & among
                s[b] = mask_bits(new)
                if record:
                    flipped = old ^ new
                    change = convert(_signed(pair, new, flipped), np.float64)
                    pairs = fma(change, convert(u, np.float64), pairs)
                    sign = convert(_signed(filled(pair, 1), new, flipped), np.float64)
                    fields = fma(sign, load(h, at * h_varies, 16), fields)
                    ups = select(new, ups + filled(ups, 1), ups)
            if record:
                out[r, t, 0] = reduce_add(ups)
                out[r, t, 1] = 2.0 * (scale * reduce_add(pairs) + reduce_add(fields))
        store_stream(rng[r], stream)


@compiled(nogil=True)
def arrange(spins: Any, places: Any, arranged: Any) -> None:
    """Write configurations (int8, (n_replicas, n)) into the words of blocks."""
    arranged[:] = 0
    for r in range(spins.shape[0]):
        for i in range(places.shape[0]):
            if spins[r, i] > 0:
                arranged[r, places[i] // LANES] |= np.uint16(1 << (places[i] % LANES))


@compiled(nogil=True)
def read(arranged: Any, places: Any, spins: Any) -> None:
    """Write the configurations in words as +-1 into `spins` (int8, (n_replicas, n))."""
    for r in range(spins.shape[0]):
        for i in range(places.shape[0]):
            word = np.int64(arranged[r, places[i] // LANES])
            spins[r, i] = 2 * ((word >> (places[i] % LANES)) & 1) - 1
