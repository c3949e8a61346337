"""Null models that keep the rate of each unit and how many units are active on an input.

`raster_marginals` keeps both margins of the raster.  By default exactly: every raster with the
same column sums (active inputs of each unit) and row sums (active units on each input) is equally
likely.  The rasters are drawn by a chain of trades: two inputs deal the units active on only one
of them out again, as many to each as before ("curveball", Strona et al., Nature Communications 5,
4114 (2014)); a sweep pairs all inputs at random (Carstens, Berger and Strona, arXiv:1609.05137).
The trades are symmetric and connect all such rasters, so that the chain is uniform in the end
(Carstens, Phys. Rev. E 91, 042812 (2015)).

With ``method="maxent"`` the model keeps both on average: see `spinnet.tails.nulls.population`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, SpinnetWarning
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.nulls.model import NullModel
from spinnet.tails.nulls.population import PopulationModel, population_model
from spinnet.tails.nulls.raster import Bits, Floats, Raster, read_raster
from spinnet.validation import choice, integer

Words = NDArray[np.uint64]

_FEWEST_SWEEPS, _MOST_SWEEPS = 16, 4096
_SMALL = 1_000_000  # entries up to which more sweeps cost nothing that anyone would notice
_MEMORY = 1e-3  # share of the replicas' likeness that a mixed chain may have left


def raster_marginals(
    raster: ArrayLike,
    n_units: int | None = None,
    *,
    method: str = "swap",
    n_sweeps: int | None = None,
    rng: RandomState = 0,
) -> SwappedRaster | PopulationModel:
    """Keep the rate of each unit and the number of active units on each input.

    Parameters
    ----------
    raster : array_like of 0 and 1, shape (n_inputs, n_units); or packed uint8
    n_units : int, optional
        Number of units of a packed raster.
    method : {"swap", "maxent"}
        "swap" keeps both margins exactly, so that a sample has as many inputs as the data.
        "maxent" keeps each unit's rate and the distribution of the population count on average,
        with the largest entropy; it gives patterns probabilities and draws any number of inputs.
    n_sweeps : int, optional
        Sweeps of the swap chain before a sample; chosen by the mixing check by default.
    rng : None, int, SeedSequence or Generator
        Randomness of the mixing check, which is the same on every call by default.

    Returns
    -------
    SwappedRaster or PopulationModel
        With "swap", a sample takes about 3 ns per sweep and entry in which two inputs differ,
        and memory for twice the packed raster.

    Raises
    ------
    InputError
        Values other than 0 and 1, fewer than two inputs or units, a wrong shape, or `n_sweeps`
        with "maxent", which has none.

    Warns
    -----
    SpinnetWarning
        If the chain has not mixed, or if no other raster has these margins.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.random.default_rng(1).random((40, 6)) < 0.3
    >>> drawn = raster_marginals(data).sample(rng=2)
    >>> [bool((drawn.sum(axis=k) == data.sum(axis=k)).all()) for k in (0, 1)]
    [True, True]
    """
    choice("method", method, ("swap", "maxent"))
    if n_sweeps is not None:
        n_sweeps = integer("n_sweeps", n_sweeps, minimum=1)
        if method == "maxent":
            raise InputError(f"n_sweeps is of method 'swap' only, got {n_sweeps} with 'maxent'")
    seed = seed_sequence(rng)
    data = read_raster(raster, n_units)
    if method == "maxent":
        return population_model(data)
    rows = _words(data)
    unique = _is_nested(data)
    mixing = (
        _no_mixing()
        if unique
        else _check_mixing(rows, data.n_inputs * data.n_units, n_sweeps, seed)
    )
    _warn(unique, mixing)
    return SwappedRaster(data.n_inputs, data.n_units, data.packed, mixing, unique, rows)


class SwapMixing(NamedTuple):
    """How far two chains that start from the data have drifted apart.

    Attributes
    ----------
    n_sweeps : int
        Sweeps before a sample.
    distances : ndarray, shape (n_sweeps,)
        Share of entries in which two independent chains differ, after each sweep.  It rises to a
        plateau as both forget the data.
    plateau : float
        Its mean over the second half.
    memory : float
        What is missing from the plateau over the second quarter, as a share of it.  Twice as
        many sweeps as that at the least are run before a sample.
    mixed : bool
        `memory` is at most 0.001, or within four standard deviations of its noise.
    seed : mapping or None
        What makes the check again.
    """

    n_sweeps: int
    distances: Floats
    plateau: float
    memory: float
    mixed: bool
    seed: Mapping[str, object] | None = None


@dataclass(frozen=True, eq=False)
class SwappedRaster(NullModel):
    """Every raster with the margins of the data, equally likely.

    Attributes
    ----------
    mixing : SwapMixing
        The check of the chain that draws them.
    unique : bool
        The data are the only raster with their margins.
    """

    mixing: SwapMixing
    unique: bool
    _rows: Words = field(repr=False)

    name: ClassVar[str] = "raster_marginals"
    keeps: ClassVar[str] = (
        "the rate of each unit and the number of active units on each input, exactly"
    )
    fixed_inputs: ClassVar[bool] = True

    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        chain = _Chain(self._rows, random)
        for _ in range(self.mixing.n_sweeps):  # a Python loop, so that Ctrl-C is heard
            chain.sweep()
        width = -(-self.n_units // 8)
        return np.ascontiguousarray(chain.rows.view(np.uint8)[:, :width])

    def _facts(self) -> Mapping[str, object]:
        return {
            "method": "swap",
            "n_sweeps": self.mixing.n_sweeps,
            "mixed": self.mixing.mixed,
            "memory": self.mixing.memory,
            "share_of_entries_free": self.mixing.plateau,
            "unique": self.unique,
            "seed": None if self.mixing.seed is None else dict(self.mixing.seed),
        }


class _Chain:
    """A raster of 64-bit words that trades."""

    def __init__(self, rows: Words, random: np.random.Generator) -> None:
        from spinnet.tails.nulls.kernels import stream

        self.rows = rows.copy()
        self._order = np.arange(len(rows))
        self._state = stream(random)[0]

    def sweep(self) -> None:
        from spinnet.tails.nulls.kernels import sweep

        sweep(self.rows, self._order, self._state)


def _check_mixing(
    rows: Words, entries: int, n_sweeps: int | None, seed: np.random.SeedSequence
) -> SwapMixing:
    """Run two chains until their distance has stopped growing, or `n_sweeps` sweeps."""
    random = np.random.default_rng(seed)
    first, second = _Chain(rows, random), _Chain(rows, random)
    target = n_sweeps or (4 * _FEWEST_SWEEPS if entries < _SMALL else _FEWEST_SWEEPS)
    distances: list[float] = []
    while True:
        while len(distances) < target:
            first.sweep()
            second.sweep()
            distances.append(float(np.bitwise_count(first.rows ^ second.rows).sum()) / entries)
        report = _assess(np.array(distances))
        if report.mixed or n_sweeps is not None or target >= _MOST_SWEEPS:
            return report._replace(seed=seed_record(seed))
        target *= 2


def _assess(distances: Floats) -> SwapMixing:
    n = distances.size
    late, early = distances[n // 2 :], distances[n // 4 : max(n // 2, 1)]
    plateau = float(late.mean())
    missing = plateau - float(early.mean())
    noise = 4.0 * float(late.std()) * (1.0 / early.size + 1.0 / late.size) ** 0.5
    mixed = n >= 4 and missing <= max(_MEMORY * plateau, noise)
    return SwapMixing(n, distances, plateau, missing / plateau if plateau else 0.0, mixed)


def _no_mixing() -> SwapMixing:
    return SwapMixing(0, np.zeros(0), 0.0, 0.0, True)


def _warn(unique: bool, mixing: SwapMixing) -> None:
    if unique:
        warnings.warn(
            "no other raster has these row and column sums: every sample is the data",
            SpinnetWarning,
            stacklevel=3,
        )
    elif not mixing.mixed:
        warnings.warn(
            f"the swap chain still remembers the data after {mixing.n_sweeps} sweeps (memory "
            f"{mixing.memory:.2g}): raise n_sweeps",
            SpinnetWarning,
            stacklevel=3,
        )


def _words(data: Raster) -> Words:
    """Return the packed rows as 64-bit words, padded with zeros."""
    width = data.bits.shape[1]
    padded = np.zeros((data.n_inputs, 8 * -(-width // 8)), np.uint8)
    padded[:, :width] = data.bits
    words: Words = padded.view(np.uint64)
    words.setflags(write=False)
    return words


def _is_nested(data: Raster) -> bool:
    """Tell whether the active units of the inputs form a chain of subsets.

    A raster is alone with its margins if and only if it holds no 2 by 2 checkerboard (Ryser,
    Canad. J. Math. 9, 371 (1957)), that is, if of any two inputs one contains the other.
    """
    rows = data.bits[np.argsort(data.population_counts(), kind="stable")]
    return not bool((rows[:-1] & ~rows[1:]).any())
