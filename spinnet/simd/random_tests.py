"""Statistical tests of random words, and of the generator of compiled code by them.

The tests see words as rows in time and columns of streams.  Each gives a p-value, two-sided
but for repeated words and ranks, where only too many can be wrong.  A good generator fails a
report at level alpha with a probability of at most alpha (Bonferroni).
What they find was tried on defective generators: low bits of a linear congruential generator
(runs), a word shared by streams (correlation, repetition), streams that overlap (repetition),
bits of a linear recurrence, as the lowest bit of xoshiro256+ (rank).  Longer batteries
(PractRand, TestU01) passed for xoshiro256++ itself: Blackman and Vigna, ACM TOMS 47, 36 (2021).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spinnet.compiling import compiled
from spinnet.errors import InputError
from spinnet.simd.random import (
    load_stream,
    next_words,
    seed_states,
    store_stream,
    uniform_float32,
    uniform_float64,
)
from spinnet.simd.vectors import store
from spinnet.validation import integer

Words = NDArray[np.uint64]
_RANK_SIZE = 320  # more than the 256 bits of a state: a linear recurrence cannot fill the rank


@dataclass(frozen=True)
class RandomCheck:
    """One test: its name, its statistic and its p-value."""

    name: str
    statistic: float
    p_value: float


@dataclass(frozen=True)
class RandomReport:
    """The tests of one generator.

    Attributes
    ----------
    checks : tuple of RandomCheck
    """

    checks: tuple[RandomCheck, ...]

    @property
    def p_value(self) -> float:
        """The smallest p-value times the number of tests, at most 1 (Bonferroni)."""
        return min(1.0, len(self.checks) * min(check.p_value for check in self.checks))

    def failures(self, alpha: float = 1e-4) -> tuple[str, ...]:
        """Return the names of the tests that fail; any at all with probability <= alpha."""
        level = alpha / len(self.checks)
        return tuple(check.name for check in self.checks if check.p_value < level)

    def summary(self) -> str:
        """Return a table for people."""
        rows = [f"{c.name:<40} {c.statistic:>12.5g} {c.p_value:>10.3g}" for c in self.checks]
        head = f"{'test':<40} {'statistic':>12} {'p':>10}"
        return "\n".join([head, *rows, f"all together: p = {self.p_value:.3g}"])


def check_generator(
    seed: int | np.random.SeedSequence = 0, *, n_states: int = 2, n_words: int = 2**15
) -> RandomReport:
    """Test the vector generator as kernels use it, with streams seeded as theirs are.

    Parameters
    ----------
    seed : int or SeedSequence
    n_states : int
        States of eight streams, at least 1.
    n_words : int
        Words of each stream, at least 2^14.

    Returns
    -------
    RandomReport

    Raises
    ------
    InputError
    """
    integer("n_states", n_states, minimum=1)
    integer("n_words", n_words, minimum=2**14)
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    states = seed_states(root, n_states)
    blocks = np.empty((n_states, n_words, 8), np.uint64)
    narrow = np.empty((n_states, n_words // 2 * 16), np.float32)
    wide = np.empty((n_states, n_words // 2 * 8))
    for k, state in enumerate(states):
        _fill_words(state, blocks[k].reshape(-1))
        _fill_float32(state, narrow[k])
        _fill_float64(state, wide[k])
    words = np.hstack(list(blocks))
    floats = (*_float_checks("float32", narrow, 24), *_float_checks("float64", wide, 53))
    return RandomReport(check_words(words).checks + floats)


def check_words(words: Words) -> RandomReport:
    """Test words of any generator.

    Parameters
    ----------
    words : ndarray of uint64, shape (n_words, n_streams)
        At least 2^14 words of each stream.
    """
    words = np.asarray(words)
    if words.ndim != 2 or words.dtype != np.uint64 or len(words) < 2**14 or not words.size:
        raise InputError(
            "words must be uint64 of shape (n_words, n_streams), n_words >= 16384, "
            f"got {words.dtype} of shape {words.shape}"
        )
    return RandomReport(tuple(_word_checks(np.ascontiguousarray(words))))


def _word_checks(words: Words) -> Iterator[RandomCheck]:
    n = len(words)
    yield _balance("balance of each bit of each stream", words)
    yield _balance("runs: changes of each bit", words[1:] ^ words[:-1])
    for lag in (2, 3, 4, 64):
        yield _balance(f"serial: bits {lag} words apart", words[lag:] ^ words[:-lag])
    for shift in (1, 7, 32):
        turned = (words >> np.uint64(shift)) | (words << np.uint64(64 - shift))
        yield _balance(f"serial: bits {shift} apart in a word", words ^ turned, alike=shift == 32)
        yield _balance(f"serial: bits {shift} apart, next word", words[1:] ^ turned[:-1])
    weights = np.bitwise_count(words).astype(float) - 32.0
    yield _correlations("ones in successive words", weights[1:], weights[:-1])
    if words.shape[1] > 1:
        a, b = np.transpose(list(combinations(range(words.shape[1]), 2)))
        for lag in (0, 1):
            early, late = words[: n - lag], words[lag:]
            yield _pairs(f"between streams, {lag} words apart", early, late, a, b)
    yield _repetitions(words)
    for name, part in (("low", 0), ("high", 1)):
        days = words.view(np.uint32).reshape(n, -1, 2)[..., part]
        yield _birthday_spacings(f"birthday spacings, {name} 32 bits", days)
        yield _collisions(f"collisions, {name} 32 bits", days)
    for bit in (0, 31, 32, 63) if words.size >= _RANK_SIZE**2 else ():
        yield _ranks(f"rank of matrices of bit {bit}", words, bit)


def _two_sided(name: str, statistic: float, law: Any) -> RandomCheck:
    tails = min(float(law.cdf(statistic)), float(law.sf(statistic)))
    return RandomCheck(name, float(statistic), min(1.0, 2.0 * tails))


def _chi_squared(name: str, z: NDArray[Any], dof: int | None = None) -> RandomCheck:
    return _two_sided(name, float(np.sum(z * z)), stats.chi2(dof or z.size))


def _balance(name: str, words: Words, alike: bool = False) -> RandomCheck:
    """Count the ones of each bit of each stream; `alike`: the two halves are equal."""
    n = len(words)
    bits = range(32 if alike else 64)
    counts = np.array([((words >> np.uint64(b)) & np.uint64(1)).sum(axis=0) for b in bits])
    return _chi_squared(name, (counts - n / 2) / np.sqrt(n / 4))


def _correlations(name: str, a: NDArray[Any], b: NDArray[Any]) -> RandomCheck:
    """Sum products of numbers of mean 0 and variance 16 (ones in a word, less 32)."""
    return _chi_squared(name, (a * b).sum(axis=0) / (16.0 * np.sqrt(len(a))))


def _pairs(name: str, early: Words, late: Words, a: Any, b: Any) -> RandomCheck:
    total = np.array(
        [np.bitwise_count(early[:, i] ^ late[:, j]).sum() for i, j in zip(a, b, strict=True)]
    )
    bits = 64 * len(early)
    return _chi_squared(name, (total - bits / 2) / np.sqrt(bits / 4))


def _repetitions(words: Words) -> RandomCheck:
    """Count words that occurred before, anywhere: streams that overlap share many."""
    repeated = words.size - len(np.unique(words))
    law = stats.poisson(words.size**2 * 2.0**-65)
    return RandomCheck("repeated words", repeated, float(law.sf(repeated - 1)))


def _birthday_spacings(name: str, days: NDArray[np.uint32]) -> RandomCheck:
    """Count equal spacings of 2^12 sorted birthdays in 2^32 days (Knuth, TAOCP 2, 3.3.2 J)."""
    m = 2**12
    groups = days.T.reshape(-1)
    groups = np.sort(groups[: len(groups) // m * m].reshape(-1, m), axis=1).astype(np.int64)
    spacings = np.sort(np.diff(groups, axis=1), axis=1)
    equal = int((np.diff(spacings, axis=1) == 0).sum())
    mean = len(groups) * m**3 / 2.0**34
    # the law of each count is Poisson up to a relative O(1/m): below 0.3 standard errors here
    return _mid_poisson(name, equal, mean)


def _collisions(name: str, days: NDArray[np.uint32]) -> RandomCheck:
    """Count balls that share an urn, of 2^14 thrown into 2^32 urns (TAOCP 2, 3.3.2 I)."""
    n = days.size // 2**14
    balls = days.T.reshape(-1)[: n * 2**14].reshape(n, 2**14)
    hits = sum(2**14 - np.unique(row).size for row in balls)
    return _mid_poisson(name, hits, n * 2.0**27 / 2.0**32)


def _mid_poisson(name: str, count: int, mean: float) -> RandomCheck:
    law = stats.poisson(mean)
    tails = min(float(law.cdf(count)), float(law.sf(count - 1)))
    return RandomCheck(name, count, min(1.0, 2.0 * tails))


def _ranks(name: str, words: Words, bit: int) -> RandomCheck:
    """Compare ranks over GF(2) of square matrices of one bit of one stream with the law."""
    size = _RANK_SIZE
    bits = ((words >> np.uint64(bit)) & np.uint64(1)).astype(np.uint8).T.reshape(-1)
    n_matrices = min(len(bits) // size**2, 5)
    matrices = bits[: n_matrices * size**2].reshape(n_matrices, size, size)
    defects = sum(size - rank_over_gf2(rows) for rows in map(_rows, matrices))
    return RandomCheck(name, defects, _defect_tail(n_matrices, defects))


def _rows(matrix: NDArray[np.uint8]) -> list[int]:
    return [int.from_bytes(row.tobytes(), "big") for row in np.packbits(matrix, axis=1)]


def _defect_tail(n_matrices: int, total: int) -> float:
    """Return P(sum of the defects of rank >= total) for large random square matrices."""
    # P(defect d) = 2^(-d^2) prod_{i > d} (1 - 2^-i) / prod_{i <= d} (1 - 2^-i)
    chance = np.array(
        [
            2.0 ** (-d * d)
            * np.prod(1 - 2.0 ** -np.arange(d + 1.0, 60.0))
            / np.prod(1 - 2.0 ** -np.arange(1.0, d + 1.0))
            for d in range(20)
        ]
    )
    law = np.ones(1)
    for _ in range(n_matrices):
        law = np.convolve(law, chance)
    return float(min(1.0, law[total:].sum()))


def rank_over_gf2(rows: list[int]) -> int:
    """Return the rank of a matrix of bits, whose rows are integers."""
    basis: list[int] = []
    for row in rows:
        for pivot in basis:
            row = min(row, row ^ pivot)
        if row:
            basis.append(row)
    return len(basis)


def _float_checks(name: str, u: NDArray[Any], bits: int) -> Iterator[RandomCheck]:
    """Test floats in [0, 1) that are multiples of 2^-bits, shape (n_states, n)."""
    digits = (u.astype(np.float64) * 2.0**bits).astype(np.int64)
    if np.any(digits < 0) or np.any(digits >= 2**bits):
        yield RandomCheck(f"{name}: range", float(u.max()), 0.0)
        return
    cells = {"high bits": digits >> (bits - 8), "lowest bits": digits & 255}
    for part, values in cells.items():
        yield _uniform(f"{name}: {part}", values.reshape(-1), 256)
    lowest = digits & 15
    for apart in (1, 2, 16):
        n = lowest.shape[1] // (2 * apart) * 2 * apart
        pairs = lowest[:, :n].reshape(-1, 2, apart)  # disjoint: overlapping ones are no chi^2
        joint = 16 * pairs[:, 0] + pairs[:, 1]
        yield _uniform(f"{name}: lowest bits, {apart} apart", joint.reshape(-1), 256)
    mean = u.mean(dtype=np.float64) + 2.0 ** -(bits + 1)
    yield _two_sided(f"{name}: mean", (mean - 0.5) * np.sqrt(12.0 * u.size), stats.norm())


def _uniform(name: str, values: NDArray[np.int64], n_cells: int) -> RandomCheck:
    expected = len(values) / n_cells
    counts = np.bincount(values, minlength=n_cells)
    return _chi_squared(name, (counts - expected) / np.sqrt(expected), n_cells - 1)


@compiled()
def _fill_words(state: Any, out: Any) -> None:
    stream = load_stream(state)
    for i in range(0, out.size, 8):
        stream, words = next_words(stream)
        store(out, i, words)
    store_stream(state, stream)


@compiled()
def _fill_float32(state: Any, out: Any) -> None:
    stream = load_stream(state)
    for i in range(0, out.size, 16):
        stream, u = uniform_float32(stream)
        store(out, i, u)
    store_stream(state, stream)


@compiled()
def _fill_float64(state: Any, out: Any) -> None:
    stream = load_stream(state)
    for i in range(0, out.size, 8):
        stream, u = uniform_float64(stream)
        store(out, i, u)
    store_stream(state, stream)
