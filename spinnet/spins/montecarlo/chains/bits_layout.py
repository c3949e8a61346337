"""Couplings that are whole multiples of one unit, and their bonds in the order of the sweeps.

A block is 8 words of 64 replicas: one spin with 8 words, or 2, 4 or 8 spins of one colour (no
two are neighbours) with 4, 2 or 1.  A coupling of k units is k bonds; a field of k units is k
bonds to a spin that never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinnet.compiling import compiled
from spinnet.spins.models import Ising, SpinModel

Integers = NDArray[np.int64]
MAX_DEGREE = 31
_DENSE_LIMIT = 2048  # spins of a dense matrix that is looked at
_ROUNDING = 1e-14  # of a coupling, against the multiple of the unit
_SMALL = 1 << 20  # bytes of spins, for which any order is fast
_NEAR = 1 << 17  # bytes between neighbours that a cache bridges
# bonds of a block: a spin with fewer has pairs that cancel, so that few kinds of blocks remain
_DEGREES = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 19, 20, 23, 24, 27, 28, 31, 30)


@dataclass(frozen=True, eq=False)
class Bonds:
    """An Ising model in units of its couplings.

    Attributes
    ----------
    unit : float
    couplings : csr_array of int64
        Multiples of the unit.
    fields : ndarray of int64
        Multiples of the unit.
    degrees : ndarray of int64
        Bonds of each spin, those of its field among them.
    n_bonds : int
        In all, each once.
    block_seconds : float
        Of the update and the counting of a block with one spin, on average.
    """

    unit: float
    couplings: Any
    fields: Integers
    degrees: Integers
    n_bonds: int
    block_seconds: float


_known: WeakKeyDictionary[Ising, Bonds | str] = WeakKeyDictionary()


def bonds_of(model: SpinModel) -> Bonds | str:
    """Return the model in units of its couplings, or why it has none."""
    if not isinstance(model, Ising):
        return "it is for Ising models"
    if model not in _known:
        _known[model] = _bonds_of(model)
    return _known[model]


def _bonds_of(model: Ising) -> Bonds | str:
    J: Any = model.couplings
    if not model.is_sparse:
        if model.n_spins > _DENSE_LIMIT:
            return "the couplings are dense"
        if np.count_nonzero(J, axis=1).max() > MAX_DEGREE:
            return f"a spin has more than {MAX_DEGREE} neighbours"
        J = sp.csr_array(J)
    elif np.diff(J.indptr).max() > MAX_DEGREE:
        return f"a spin has more than {MAX_DEGREE} neighbours"
    sizes = _sizes(np.concatenate([model.fields, J.data]))
    if len(sizes) > MAX_DEGREE:
        return "the couplings have many sizes"
    unit = _unit(sizes)
    if unit == 0:
        return "couplings and fields are not small multiples of one unit"
    multiples = J.copy()
    multiples.data = np.rint(J.data / unit).astype(np.int64)
    fields = np.rint(model.fields / unit).astype(np.int64)
    within = np.asarray(abs(multiples).sum(axis=1)).astype(np.int64)
    degrees = within + np.abs(fields)
    if degrees.max() > MAX_DEGREE:
        return f"a spin has more than {MAX_DEGREE} bonds and units of field"
    n_bonds = int(within.sum()) // 2 + int(np.abs(fields).sum())
    seconds = np.where(
        (degrees <= 6) & (degrees % 2 == 0),
        np.where(degrees <= 4, 35e-9, 46e-9),
        30e-9 + 8.5e-9 * degrees,
    )
    return Bonds(unit, multiples, fields, degrees, n_bonds, float(seconds.mean()))


def _sizes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sizes that occur, rising, without 0; of more than `MAX_DEGREE` not all."""
    sizes: list[float] = []
    for rest in (values[:4096], values):  # real couplings need no look at all of them
        rest = np.abs(rest)
        for size in [0.0, *sizes]:
            rest = rest[rest != size]
        while len(rest) and len(sizes) <= MAX_DEGREE:
            sizes.append(float(rest[0]))
            rest = rest[rest != rest[0]]
        if len(sizes) > MAX_DEGREE:
            break
    return np.array(sorted(sizes))


def _unit(sizes: NDArray[np.float64]) -> float:
    """Return the largest unit of which all sizes are multiples, 1 if there are none, or 0."""
    if len(sizes) == 0:
        return 1.0
    if sizes[-1] > 2 * MAX_DEGREE * sizes[0]:  # before a quotient that may overflow
        return 0.0
    for parts in range(1, 5):
        unit = float(sizes[0]) / parts
        multiples = np.rint(sizes / unit)
        if multiples[-1] > MAX_DEGREE:
            return 0.0
        if np.all(np.abs(sizes - multiples * unit) <= _ROUNDING * sizes):
            return unit
    return 0.0


@dataclass(frozen=True, eq=False)
class Layout:
    """Spins in blocks; the arrays are those of :func:`bits_kernels.sweeps`.

    Attributes
    ----------
    n_words : int
        Of a spin.
    n_blocks : int
    place : ndarray of int64, shape (n_spins,)
        The place of each spin: its words begin at ``n_words * place``.
    runs, slots, bonds, ups, lists
        See :func:`bits_kernels.sweeps`.
    ys : ndarray of int64
        The sums of bonds, up to sign, that occur, falling.
    max_degree : int
    """

    n_words: int
    n_blocks: int
    place: Integers
    runs: Integers
    slots: tuple[NDArray[Any], ...]
    bonds: tuple[NDArray[Any], ...]
    ups: tuple[NDArray[Any], ...]
    lists: NDArray[np.int32]
    ys: Integers
    max_degree: int


# making one takes as long as tens of sweeps of 512 replicas
_layouts: WeakKeyDictionary[Bonds, Layout] = WeakKeyDictionary()


def grouping(n_spins: int, n_replicas: int) -> tuple[int, int]:
    """Return the words of a spin in a block, and the number of groups of so many words."""
    words = -(-n_replicas // 64)
    options = []
    for n_words in (8, 4, 2, 1):
        groups = -(-words // n_words)
        options.append((groups * block_estimate(n_spins, n_words), n_words, groups))
    _, n_words, groups = min(options, key=lambda option: option[0])
    return n_words, groups


def block_estimate(n_spins: int, n_words: int) -> float:
    """Return about how many blocks there are, in units of the time of one with a single spin."""
    if n_words == 8:
        return float(n_spins)
    # classes of one colour and degree are filled up with spins of no effect
    return 1.25 * (n_spins * n_words / 8 + 2)


def layout_of(bonds: Bonds, n_words: int) -> Layout:
    """Return :func:`lay_out`, made once for each model while it stays with so many words."""
    known = _layouts.get(bonds)
    if known is None or known.n_words != n_words:
        known = _layouts[bonds] = lay_out(bonds, n_words)
    return known


def lay_out(bonds: Bonds, n_words: int) -> Layout:
    """Put the spins in blocks, class by class of one colour and degree."""
    at_once = 8 // n_words
    n = len(bonds.degrees)
    allowed = np.array(sorted(_DEGREES))
    levels = np.array([allowed[(allowed >= d) & (allowed % 2 == d % 2)][0] for d in range(32)])
    kind = levels[bonds.degrees]
    sequence = _sequence(bonds, n_words)
    colour = np.zeros(n, np.int64)
    if at_once > 1:
        colour[:] = -1
        _colour(*_graph(bonds), sequence, colour)
    key = colour * 32 + kind
    order = sequence[np.argsort(key[sequence], kind="stable")]
    classes, counts = np.unique(key, return_counts=True)
    blocks = -(-counts // at_once)
    first_block = np.concatenate([[0], np.cumsum(blocks)])
    first_spin = np.concatenate([[0], np.cumsum(counts)])
    place = np.empty(n, np.int64)
    for k, count in enumerate(counts):
        spins = order[first_spin[k] : first_spin[k] + count]
        place[spins] = first_block[k] * at_once + np.arange(count)
    n_blocks = int(first_block[-1])
    degrees = classes % 32
    n_slots = blocks * degrees
    first_slot = np.concatenate([[0], np.cumsum(n_slots)])
    runs = np.stack([degrees, first_block[:-1], first_block[1:], first_slot[:-1]], axis=1)
    site, partner, negative = _half_bonds(bonds, place, n_blocks * at_once)
    tables = [_slots(run, at_once, n_blocks * at_once, site, partner, negative) for run in runs]
    partners, negatives, counted = (np.concatenate(part) for part in zip(*tables, strict=True))
    starts, lists = _addresses(partners, n_words)
    beyond = np.zeros(MAX_DEGREE * 16, np.int32)  # what is asked for ahead of the last blocks
    signs = _bytes(negatives, n_words)
    own = np.repeat(np.arange(n_blocks), np.repeat(degrees, blocks)) * 8
    seen = counted.any(axis=1)
    real = np.zeros(n_blocks * at_once, bool)
    real[place] = True
    here = np.arange(n_blocks) * 8
    fixed = np.full(n_blocks, 8 * n_blocks)
    whole = _bytes(real.reshape(n_blocks, at_once), n_words)
    ups = _pairs(here, fixed, np.zeros(n_blocks, np.uint8), whole)
    valid = _bytes(counted[seen], n_words)
    energy = _pairs(own[seen], starts[seen], signs[seen], valid)
    top = int(degrees.max())
    ys = np.unique(np.concatenate([np.arange(d, 0, -2) for d in degrees]))[::-1].copy()
    return Layout(
        n_words=n_words,
        n_blocks=n_blocks,
        place=place,
        runs=runs.astype(np.int64),
        slots=(np.concatenate([starts, beyond]), signs),
        bonds=energy,
        ups=ups,
        lists=lists,
        ys=ys.astype(np.int64),
        max_degree=top,
    )


def _graph(bonds: Bonds) -> tuple[Integers, Integers]:
    """Return the rows of the couplings, of one type for all models: compiled once."""
    J = bonds.couplings
    return J.indptr.astype(np.int64, copy=False), J.indices.astype(np.int64, copy=False)


def _sequence(bonds: Bonds, n_words: int) -> Integers:
    """Return the spins in an order that has most neighbours at hand.

    The given one, unless the spins are many and most neighbours are far apart in it.  Then it
    goes from neighbour to neighbour: a lattice whose spins are numbered at random becomes as
    fast as one in rows, and a random graph gains a little.
    """
    J, n = bonds.couplings, len(bonds.degrees)
    given = np.arange(n)
    if 8 * n_words * n > _SMALL:
        apart = np.abs(np.repeat(given, np.diff(J.indptr)) - J.indices)
        if 2 * np.count_nonzero(8 * n_words * apart > _NEAR) > len(apart):
            _breadth_first(*_graph(bonds), given)
    return given


def _pairs(
    owns: Integers, starts: NDArray[Any], signs: NDArray[Any], valid: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Return pairs to count, those that need no list and no mask first; see `load_pair`."""
    simple = (starts >= 0) & (valid == 255)
    kind = np.where(simple & (signs == 0), 0, np.where(simple & (signs == 255), 1, 2))
    order = np.argsort(kind, kind="stable")
    plain = np.cumsum(np.bincount(kind, minlength=3))[:2]
    own, start = (part[order].astype(np.int32) for part in (owns, starts))
    return own, start, signs[order], valid[order], plain.astype(np.int64)


def _half_bonds(
    bonds: Bonds, place: Integers, fixed: int
) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """Return the bonds from both sides: place, place of the partner, whether negative."""
    J = sp.coo_array(bonds.couplings)
    times = np.abs(J.data)
    units = np.abs(bonds.fields)
    site = np.concatenate([np.repeat(place[J.coords[0]], times), np.repeat(place, units)])
    partner = np.concatenate(
        [np.repeat(place[J.coords[1]], times), np.full(int(units.sum()), fixed)]
    )
    # the spin that never changes is down: a field up wants the spin to differ from it
    negative = np.concatenate([np.repeat(J.data < 0, times), np.repeat(bonds.fields > 0, units)])
    # one sort of whole numbers takes a tenth of the time of a sort by several keys
    keys = np.sort((site * (fixed + 1) + partner) * 2 + negative)
    site, partner = np.divmod(keys >> 1, fixed + 1)
    return site, partner, (keys & 1).astype(bool)


def _slots(
    run: Integers,
    at_once: int,
    fixed: int,
    site: Integers,
    partner: Integers,
    negative: NDArray[np.bool_],
) -> tuple[Integers, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return partner, sign, and whether it is counted here, each (slots, spins of a block)."""
    degree, first, last = (int(number) for number in run[:3])
    low, high = first * at_once, last * at_once
    begin, end = np.searchsorted(site, [low, high])
    row = site[begin:end] - low
    column = np.arange(end - begin) - np.searchsorted(row, np.arange(high - low))[row]
    shape = (high - low, degree)
    # pairs of bonds to the fixed spin, of either sign, cancel
    partners = np.full(shape, -1)
    partners[row, column] = partner[begin:end]
    negatives = np.zeros(shape, bool)
    filled = np.bincount(row, minlength=high - low)
    negatives[:] = (np.arange(degree) - filled[:, None]) % 2 == 1
    negatives[row, column] = negative[begin:end]
    counted = np.zeros(shape, bool)
    counted[row, column] = (partner[begin:end] < site[begin:end]) | (partner[begin:end] == fixed)
    # within a block, the fixed spins are neighbours as well
    fixed_here = fixed + np.arange(high - low) % at_once
    empty = (partners == -1) | (partners == fixed)
    partners = np.where(empty, fixed_here[:, None], partners)

    def turned(table: NDArray[Any]) -> NDArray[Any]:
        blocks = table.reshape(last - first, at_once, degree).transpose(0, 2, 1)
        return np.ascontiguousarray(blocks.reshape(-1, at_once))

    return turned(partners), turned(negatives), turned(counted)


def _addresses(partners: Integers, n_words: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the first word where a block's partners are neighbours, else ~k for a list k."""
    together = (np.diff(partners, axis=1) == 1).all(axis=1)
    starts = partners[:, 0] * n_words
    apart = np.flatnonzero(~together)
    starts[apart] = ~np.arange(len(apart))
    words = partners[apart][:, :, None] * n_words + np.arange(n_words)
    return starts.astype(np.int32), words.astype(np.int32).ravel()


def _bytes(flags: NDArray[np.bool_], n_words: int) -> NDArray[np.uint8]:
    """Return one bit for each word of a block."""
    packed = np.packbits(np.repeat(flags, n_words, axis=1), axis=1, bitorder="little")
    return np.ascontiguousarray(packed[:, 0])


@compiled(nogil=True)
def _breadth_first(indptr: Any, indices: Any, order: Any) -> None:
    """Write the spins, each after those nearer to the first spin of its component."""
    seen = np.zeros(order.shape[0], np.bool_)
    begin, end = 0, 0
    for root in range(order.shape[0]):
        if not seen[root]:
            seen[root] = True
            order[end] = root
            end += 1
        while begin < end:
            i = order[begin]
            begin += 1
            for k in range(indptr[i], indptr[i + 1]):
                j = indices[k]
                if not seen[j]:
                    seen[j] = True
                    order[end] = j
                    end += 1


@compiled(nogil=True)
def _colour(indptr: Any, indices: Any, sequence: Any, colour: Any) -> None:
    """Give each spin the first colour that no neighbour before it has; -1 is none yet."""
    for i in sequence:
        taken = 0
        for k in range(indptr[i], indptr[i + 1]):
            if colour[indices[k]] >= 0:
                taken |= 1 << colour[indices[k]]
        c = 0
        while (taken >> c) & 1:
            c += 1
        colour[i] = c
