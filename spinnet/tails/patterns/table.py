"""Stores of keys and their counts: a compiled hash table, and sorted runs in plain NumPy.

A key is a row of 64-bit words: a fingerprint of two words, followed by the pattern itself where
counting is exact.  Both stores give the same counts; a test holds them to it.  A batch is undone
by `restore`, so that a store is never left with part of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]
Batch = Callable[[], Iterator[tuple[Words, Counts]]]

_SMALLEST = 1024
_MOST_KEYS = 2**32  # a slot holds a key's number in 32 bits


class Entries(NamedTuple):
    """Distinct keys (n, width) and their counts (n,)."""

    keys: Words
    counts: Counts


class Table(Protocol):
    """What a `PatternCounter` needs of a store."""

    @property
    def n_total(self) -> int:
        """Sum of what has been added."""

    @property
    def n_distinct(self) -> int:
        """Number of distinct keys."""

    @property
    def most_distinct(self) -> int:
        """Upper bound of `n_distinct`, known at once."""

    def add(self, keys: Words, weights: Counts) -> None:
        """Add to the counts of keys, which may repeat."""

    def entries(self) -> Entries:
        """Return the distinct keys and their counts; not to be written to."""

    def replace(self, entries: Entries) -> None:
        """Hold `entries` instead, leaving `n_total` as it is."""

    def mark(self) -> object:
        """Return what `restore` needs to come back here."""

    def restore(self, mark: object, batch: Batch) -> None:
        """Undo the additions since `mark`, which were the first chunks of `batch`."""


class _Mark(NamedTuple):
    n_distinct: int
    n_rows: int


class CompiledTable:
    """Open addressing, at most half full, growing by doubling; keys in order of occurrence.

    It takes 8 bytes per slot and 24 bytes per key (more where counting is exact): 40 to 70 bytes
    per distinct pattern.
    """

    def __init__(self, width: int) -> None:
        self._slots = np.zeros(_SMALLEST, np.uint64)
        self._keys = np.empty((_SMALLEST // 2, width), np.uint64)
        self._counts = np.empty(_SMALLEST // 2, np.int64)
        self._state = np.zeros(3, np.int64)  # distinct keys, rows added, sum of their weights

    @property
    def n_total(self) -> int:
        """Sum of what has been added."""
        return int(self._state[2])

    @property
    def n_distinct(self) -> int:
        """Number of distinct keys."""
        return int(self._state[0])

    @property
    def most_distinct(self) -> int:
        """Number of distinct keys."""
        return self.n_distinct

    def add(self, keys: Words, weights: Counts) -> None:
        """Add to the counts of keys, which may repeat."""
        from spinnet.tails.patterns.kernels import insert

        self._make_room(self.n_distinct + len(keys))
        insert(keys, weights, self._slots, self._keys, self._counts, self._state)

    def entries(self) -> Entries:
        """Return the distinct keys and their counts, as views."""
        n = self.n_distinct
        return Entries(self._keys[:n], self._counts[:n])

    def replace(self, entries: Entries) -> None:
        """Hold `entries` instead, leaving `n_total` as it is."""
        n = len(entries.counts)
        self._make_room(n)
        self._keys[:n], self._counts[:n] = entries
        self._truncate(n)

    def mark(self) -> _Mark:
        """Return the numbers of keys and rows."""
        return _Mark(self.n_distinct, int(self._state[1]))

    def restore(self, mark: object, batch: Batch) -> None:
        """Subtract the rows of `batch` that were added, then drop the keys that were new."""
        assert isinstance(mark, _Mark)
        from spinnet.tails.patterns.kernels import insert

        surplus = int(self._state[1]) - mark.n_rows
        for keys, weights in batch():
            if surplus <= 0:
                break
            insert(keys, -weights, self._slots, self._keys, self._counts, self._state)
            surplus -= len(keys)
        self._state[1] = mark.n_rows
        self._truncate(mark.n_distinct)

    def _truncate(self, n: int) -> None:
        from spinnet.tails.patterns.kernels import fill_slots

        self._state[0] = n
        self._slots[:] = 0
        fill_slots(self._slots, self._keys, n)

    def _make_room(self, n: int) -> None:
        from spinnet.tails.patterns.kernels import fill_slots

        if n >= _MOST_KEYS:
            raise InputError(
                f"more than 2^32 distinct patterns cannot be counted, got room for {n} asked for; "
                "count fewer units, or set max_distinct and sketch='misra-gries'"
            )
        if n > len(self._counts):
            capacity = max(n, len(self._counts) * 3 // 2)
            _refuse_beyond_memory(capacity * (self._keys.itemsize * self._keys.shape[1] + 8), n)
            keys = np.empty((capacity, self._keys.shape[1]), np.uint64)
            counts = np.empty(capacity, np.int64)
            kept = self.n_distinct
            keys[:kept], counts[:kept] = self._keys[:kept], self._counts[:kept]
            self._keys, self._counts = keys, counts
        if 2 * n > len(self._slots):
            size = 1 << (2 * n - 1).bit_length()
            _refuse_beyond_memory(8.0 * size, n)
            slots = np.zeros(size, np.uint64)
            fill_slots(slots, self._keys, self.n_distinct)
            self._slots = slots


class SortedTable:
    """Sorted runs of distinct keys, merged so that each is over twice as long as the next."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._runs: tuple[Entries, ...] = ()
        self._total = 0

    @property
    def n_total(self) -> int:
        """Sum of what has been added."""
        return self._total

    @property
    def n_distinct(self) -> int:
        """Number of distinct keys."""
        return len(self.entries().counts)

    @property
    def most_distinct(self) -> int:
        """Upper bound of `n_distinct`: keys of different runs may be the same."""
        return sum(len(run.counts) for run in self._runs)

    def add(self, keys: Words, weights: Counts) -> None:
        """Add to the counts of keys, which may repeat."""
        _refuse_beyond_memory(3.0 * keys.nbytes, len(keys))
        runs = [*self._runs, merged(keys, weights)]
        while len(runs) > 1 and len(runs[-2].counts) <= 2 * len(runs[-1].counts):
            last = runs.pop()
            runs[-1] = _merged_runs([runs[-1], last])
        self._runs, self._total = tuple(runs), self._total + int(weights.sum())

    def entries(self) -> Entries:
        """Return the distinct keys, sorted by their first word, and their counts."""
        if not self._runs:
            return Entries(np.empty((0, self._width), np.uint64), np.empty(0, np.int64))
        if len(self._runs) > 1:
            self._runs = (_merged_runs(list(self._runs)),)
        return self._runs[0]

    def replace(self, entries: Entries) -> None:
        """Hold `entries` instead, leaving `n_total` as it is."""
        self._runs = (merged(*entries),)

    def mark(self) -> tuple[tuple[Entries, ...], int]:
        """Return the runs, which are never written to."""
        return self._runs, self._total

    def restore(self, mark: object, batch: Batch) -> None:
        """Go back to the runs of `mark`."""
        assert isinstance(mark, tuple)
        self._runs, self._total = mark


def merged(keys: Words, weights: Counts) -> Entries:
    """Return the distinct rows of `keys`, sorted, and the sum of the weights of each."""
    if len(keys) == 0:
        return Entries(keys, weights)
    order = np.argsort(keys[:, 0], kind="stable")
    ordered = keys[order]
    same_first = ordered[1:, 0] == ordered[:-1, 0]
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    if (same_first & ~same).any():  # two keys share their first word: sort by all of them
        order = np.lexsort(keys.T[::-1])
        ordered = keys[order]
        same = (ordered[1:] == ordered[:-1]).all(axis=1)
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    return Entries(ordered[starts], np.add.reduceat(weights[order], starts))


def _merged_runs(runs: list[Entries]) -> Entries:
    return merged(
        np.concatenate([run.keys for run in runs]), np.concatenate([run.counts for run in runs])
    )


def _refuse_beyond_memory(n_bytes: float, n: int) -> None:
    refuse_beyond_memory(
        n_bytes,
        f"room for {n} distinct patterns",
        "count fewer units, or set max_distinct and sketch='misra-gries'",
    )
