"""Counting the patterns of many units over many inputs, in a stream and in bounded memory.

A pattern is the row of on/off states of the units at one input.  What is kept per distinct
pattern is a 128-bit fingerprint and a count, so that 500 units take no more room than 100; with
``exact=True`` the pattern is kept and compared too.  The result does not depend on how the
rows are cut into batches, nor on the order of batches and merges.

Beyond ``max_distinct`` patterns, counting stops before any count is wrong; or, where
``sketch="misra-gries"`` was asked for, goes on with the most frequent ones (Misra and Gries, Sci.
Comput. Program. 2, 143 (1982); mergeable by Agarwal et al., ACM Trans. Database Syst. 38, 26
(2013)): every count is then too small by at most `count_error` <= n_total / (max_distinct + 1).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.patterns import fingerprint, rows, storage
from spinnet.tails.patterns.table import (
    Batch,
    CompiledTable,
    Counts,
    Entries,
    SortedTable,
    Table,
    Words,
)
from spinnet.validation import choice, integer

_LARGEST_TOTAL = 2**62
_MERGE_CHUNK = 1 << 15
_SKETCHES = ("misra-gries",)


class PatternCounter:
    """How often each pattern of `n_bits` units occurs.

    Parameters
    ----------
    n_bits : int
        Number of units.
    exact : bool
        Keep every distinct pattern and compare whole patterns, not only fingerprints.  Needed
        for `most_common` to show patterns; takes ``n_bits / 8`` bytes more per distinct pattern.
    max_distinct : int, optional
        Largest number of distinct patterns held; by default, as many as the memory can.
    sketch : {None, "misra-gries"}
        What happens beyond `max_distinct`: None refuses the batch; "misra-gries" keeps the
        `max_distinct` most frequent patterns, with counts that are lower bounds.
    backend : {"auto", "numba", "numpy"}
        "numpy" needs no compiler and gives the same counts, several times slower.

    Examples
    --------
    >>> import numpy as np
    >>> counter = PatternCounter(3, exact=True)
    >>> counter.update(np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], dtype=bool))
    >>> counter.counts().tolist(), counter.n_total, round(counter.coverage, 3)
    ([2, 1], 3, 0.667)
    >>> patterns, counts = counter.most_common(1)
    >>> np.unpackbits(patterns, axis=1, count=3).tolist(), counts.tolist()
    ([[1, 0, 1]], [2])
    """

    def __init__(
        self,
        n_bits: int,
        *,
        exact: bool = False,
        max_distinct: int | None = None,
        sketch: str | None = None,
        backend: str = "auto",
    ) -> None:
        self._n_bits = integer("n_bits", n_bits, minimum=1, maximum=2**40)
        if not isinstance(exact, (bool, np.bool_)):
            raise InputError(f"exact must be True or False, got {exact!r:.80}")
        self._exact = bool(exact)
        if max_distinct is not None:
            max_distinct = integer("max_distinct", max_distinct, minimum=1)
        if sketch is not None:
            sketch = choice("sketch", sketch, _SKETCHES)
            if max_distinct is None:
                raise InputError("sketch needs max_distinct, the number of patterns to keep")
        self._max_distinct, self._sketch = max_distinct, sketch
        self._backend = _backend(backend)
        width = 2 + (rows.n_words(self._n_bits) if self._exact else 0)
        compiled = self._backend == "numba"
        self._table: Table = CompiledTable(width) if compiled else SortedTable(width)
        self._elsewhere = 0  # rows whose counts a sketch dropped before a merge or load
        self._count_error = 0
        self._truncated = False

    @property
    def n_bits(self) -> int:
        """Number of units."""
        return self._n_bits

    @property
    def exact(self) -> bool:
        """Whether whole patterns are kept and compared."""
        return self._exact

    @property
    def max_distinct(self) -> int | None:
        """Largest number of distinct patterns held."""
        return self._max_distinct

    @property
    def sketch(self) -> str | None:
        """What happens beyond `max_distinct`."""
        return self._sketch

    @property
    def n_total(self) -> int:
        """Number of rows counted."""
        return self._table.n_total + self._elsewhere

    @property
    def n_distinct(self) -> int:
        """Number of distinct patterns; once `truncated`, of those still held."""
        return self._table.n_distinct

    @property
    def truncated(self) -> bool:
        """Whether the sketch has dropped patterns: the tail of the ranks is then missing."""
        return self._truncated

    @property
    def count_error(self) -> int:
        """Most that any count, held or dropped, can be short of the truth; 0 unless `truncated`.

        It bounds the counts by rank as well: the true r-th largest count lies between
        ``counts()[r - 1]`` and ``counts()[r - 1] + count_error``.
        """
        return self._count_error

    @property
    def coverage(self) -> float:
        """Good-Turing coverage 1 - n_1 / n_total: the estimated probability of what was seen.

        Raises
        ------
        StatisticsError
            If nothing was counted, or the sketch has dropped patterns.
        """
        if self.n_total == 0:
            raise StatisticsError("no row has been counted: there is no coverage", estimate=None)
        if self._truncated:
            raise StatisticsError(
                f"the sketch has dropped patterns beyond max_distinct={self._max_distinct}, so the "
                "number of patterns seen once is unknown; raise max_distinct",
                estimate=None,
            )
        once = np.count_nonzero(self._table.entries().counts == 1)
        return 1.0 - float(once) / self.n_total

    def update(self, batch: ArrayLike) -> None:
        """Count the rows of a batch, all of them or, where an error is raised, none.

        Parameters
        ----------
        batch : array_like of bool (n, n_bits), or of uint8 (n, ceil(n_bits / 8))
            One pattern per row, as bits or packed by ``numpy.packbits(bits, axis=1)``; n may be
            0.

        Raises
        ------
        InputError
            If the rows have another shape or type, or bits past the last unit; or if the
            distinct patterns would not fit the memory.
        StatisticsError
            If there would be more than `max_distinct` patterns and no sketch was asked for;
            ``.estimate`` holds n_total and n_distinct, which stay as they were.
        """
        array = rows.check_rows(batch, self._n_bits, "batch")
        step = rows.rows_per_chunk(self._n_bits)
        ones = np.ones(min(step, len(array)), np.int64)

        def chunks() -> Iterator[tuple[Words, Counts]]:
            for start in range(0, len(array), step):
                keys = self._keys(rows.as_words(array[start : start + step], self._n_bits))
                yield keys, ones[: len(keys)]

        self._add(chunks)

    def merge(self, other: PatternCounter) -> None:
        """Add the counts of another counter of the same `n_bits` and `exact`.

        Raises
        ------
        InputError
            If the two cannot be added.
        StatisticsError
            As for `update`; this counter then stays as it was.
        """
        self._check_mergeable(other)
        entries = other._table.entries()
        keys, counts = entries.keys.copy(), entries.counts.copy()  # other may be this counter
        dropped = other.n_total - int(counts.sum())

        def chunks() -> Iterator[tuple[Words, Counts]]:
            for start in range(0, len(counts), _MERGE_CHUNK):
                part = slice(start, start + _MERGE_CHUNK)
                yield keys[part], counts[part]

        self._elsewhere += dropped
        self._count_error += other._count_error
        self._truncated |= other._truncated
        self._add(chunks)

    def counts(self) -> Counts:
        """Return the count of each distinct pattern, descending; lower bounds if `truncated`.

        Returns
        -------
        ndarray of int64, shape (n_distinct,)
            ``counts()[r - 1]`` is the count of rank r.
        """
        return np.sort(self._table.entries().counts)[::-1]

    def most_common(self, k: int | None = None) -> tuple[NDArray[np.uint8] | None, Counts]:
        """Return the `k` most frequent patterns and their counts, most frequent first.

        Parameters
        ----------
        k : int, optional
            All by default.

        Returns
        -------
        patterns : ndarray of uint8, shape (k, ceil(n_bits / 8)), or None
            Packed; those of equal count in the order of their bytes.  None unless `exact`.
        counts : ndarray of int64, shape (k,)
        """
        k = self.n_distinct if k is None else integer("k", k, minimum=0)
        if not self._exact:
            return None, self.counts()[:k]
        keys, counts = self._table.entries()
        patterns = rows.from_words(keys[:, 2:], self._n_bits)
        order = np.lexsort((*patterns.T[::-1], -counts))[:k]
        return patterns[order], counts[order]

    def save(self, path: str | Path) -> Path:
        """Write the state to one npz file, atomically; return its path."""
        return storage.save(path, self._header(), self._table.entries())

    @classmethod
    def load(cls, path: str | Path, *, backend: str = "auto") -> PatternCounter:
        """Read what `save` has written.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, or not a saved counter; the message names it.
        """
        header, entries = storage.load(path)
        counter = cls(
            header.n_bits,
            exact=header.exact,
            max_distinct=header.max_distinct,
            sketch=header.sketch,
            backend=backend,
        )
        counter._table.add(*entries)
        counter._elsewhere = header.n_total - counter.n_total
        counter._count_error, counter._truncated = header.count_error, header.truncated
        return counter

    def __repr__(self) -> str:
        return (
            f"PatternCounter({self._n_bits} bits, {self.n_total} rows, {self.n_distinct} distinct"
            f"{', truncated' if self._truncated else ''})"
        )

    def summary(self) -> str:
        """Return a line or two for people."""
        text = f"{self.n_total} rows of {self._n_bits} bits, {self.n_distinct} distinct patterns"
        if self._truncated:
            return (
                f"{text} held\n  caution: patterns beyond the {self._max_distinct} most frequent "
                f"were dropped; counts are lower bounds, short by at most {self._count_error}"
            )
        return text + (f", coverage {self.coverage:.4f}" if self.n_total else "")

    def to_dict(self) -> dict[str, object]:
        """Return the settings and totals as plain values, for JSON."""
        known = self.n_total > 0 and not self._truncated
        return {
            "schema": 1,
            "kind": "pattern-counter",
            **self._header()._asdict(),
            "n_distinct": self.n_distinct,
            "coverage": self.coverage if known else None,
        }

    def _header(self) -> storage.Header:
        return storage.Header(
            n_bits=self._n_bits,
            exact=self._exact,
            max_distinct=self._max_distinct,
            sketch=self._sketch,
            n_total=self.n_total,
            count_error=self._count_error,
            truncated=self._truncated,
        )

    def _keys(self, words: Words) -> Words:
        if self._backend == "numba":
            from spinnet.tails.patterns.kernels import fingerprint_rows

            keys = np.empty((len(words), 2 + (words.shape[1] if self._exact else 0)), np.uint64)
            fingerprint_rows(words, keys)
            return keys
        marks = fingerprint.fingerprints(words)
        return np.hstack([marks, words]) if self._exact else marks

    def _add(self, chunks: Batch) -> None:
        mark = self._table.mark()
        try:
            for keys, weights in chunks():
                self._table.add(keys, weights)
                self._settle()
        except _TooMany:
            self._table.restore(mark, chunks)
            raise self._refusal() from None
        except BaseException:  # also Ctrl-C; a sketch keeps the whole chunks done
            if self._sketch is None:
                self._table.restore(mark, chunks)
            raise

    def _settle(self) -> None:
        """Keep the number of distinct patterns within its bound, or refuse."""
        limit = self._max_distinct
        if limit is None or self._table.most_distinct <= limit or self.n_distinct <= limit:
            return
        if self._sketch is None:
            raise _TooMany
        keys, counts = self._table.entries()
        # at least limit + 1 counts lose as much each, so that the sum of all losses stays
        # below n_total / (limit + 1)
        cut = int(np.partition(counts, counts.size - limit - 1)[counts.size - limit - 1])
        kept = counts > cut
        self._table.replace(Entries(keys[kept], counts[kept] - cut))
        self._count_error += cut
        self._truncated = True

    def _refusal(self) -> StatisticsError:
        state = {"n_total": self.n_total, "n_distinct": self.n_distinct}
        return StatisticsError(
            f"with this batch there would be more than max_distinct={self._max_distinct} distinct "
            f"patterns; none of it was counted, and the {self.n_total} rows before it "
            f"({self.n_distinct} distinct) still are. Raise max_distinct, count fewer units, or "
            "ask for sketch='misra-gries'",
            estimate=state,
        )

    def _check_mergeable(self, other: PatternCounter) -> None:
        if not isinstance(other, PatternCounter):
            raise InputError(f"other must be a PatternCounter, got {type(other).__name__}")
        for name in ("n_bits", "exact"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise InputError(f"other must have {name}={mine} as this counter, got {theirs}")
        if other._truncated and self._sketch is None:
            raise InputError(
                "other holds a sketch, whose counts are lower bounds: merge into a counter made "
                "with sketch='misra-gries'"
            )
        if self.n_total + other.n_total > _LARGEST_TOTAL:
            raise InputError("the two counters hold more than 2^62 rows together")


class _TooMany(Exception):  # noqa: N818 - never leaves this module
    """A batch brought more distinct patterns than allowed."""


def _backend(name: str) -> str:
    name = choice("backend", name, ("auto", "numba", "numpy"))
    if name != "auto":
        return name
    return "numba" if importlib.util.find_spec("numba") else "numpy"
