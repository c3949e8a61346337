"""The one shape of every null model: what it draws, and where defined, what it says of patterns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError
from spinnet.files import finite_or_null
from spinnet.memory import refuse_beyond_memory
from spinnet.randomness import RandomState, generator
from spinnet.tails.nulls.raster import Bits, Bools, Floats, read_patterns, unpack
from spinnet.validation import integer


@dataclass(frozen=True, eq=False)
class NullModel(ABC):
    """A distribution over rasters, made from one raster.

    Attributes
    ----------
    n_inputs, n_units : int
        Shape of the raster that it was made from.
    packed : bool
        Whether that raster was packed; samples come in the same form.
    """

    n_inputs: int
    n_units: int
    packed: bool

    name: ClassVar[str]
    keeps: ClassVar[str]
    fixed_inputs: ClassVar[bool] = False  # sums over inputs are kept exactly, so n_inputs is too

    @property
    def sample_shape(self) -> tuple[int, int]:
        """Shape of a sample with as many inputs as the data."""
        return self.n_inputs, -(-self.n_units // 8) if self.packed else self.n_units

    def sample(
        self, n_inputs: int | None = None, *, rng: RandomState = None
    ) -> NDArray[np.bool_] | NDArray[np.uint8]:
        """Draw a raster.

        Parameters
        ----------
        n_inputs : int, optional
            Rows to draw; as many as the data have by default.  Models that keep sums over the
            inputs exactly draw no other number.
        rng : None, int, SeedSequence or Generator, optional

        Returns
        -------
        ndarray
            Booleans of shape (n_inputs, n_units); uint8 of shape (n_inputs, ceil(n_units/8)),
            packed as ``numpy.packbits(..., axis=1)``, if the data were packed.
        """
        n = self.n_inputs if n_inputs is None else integer("n_inputs", n_inputs, minimum=1)
        if self.fixed_inputs and n != self.n_inputs:
            raise InputError(
                f"n_inputs must be {self.n_inputs}, that of the data, got {n}: {self.name} keeps "
                "sums over the inputs exactly"
            )
        refuse_beyond_memory(
            2.0 * n * self.sample_shape[1], f"a sample of {n} inputs", "draw fewer inputs"
        )
        bits = self._draw(n, generator(rng))
        return bits if self.packed else unpack(bits, self.n_units)

    @abstractmethod
    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        """Return `n_inputs` packed rows."""

    @abstractmethod
    def _facts(self) -> Mapping[str, object]:
        """Return what sets this model apart, as plain values."""

    def summary(self) -> str:
        """Return a few lines for people."""
        head = f"null model {self.name}: {self.n_units} units, {self.n_inputs} inputs"
        facts = [f"  {key.replace('_', ' ')}: {_shown(v)}" for key, v in self._facts().items()]
        return "\n".join([head, f"  keeps {self.keeps}", *facts])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinities become None."""
        record: dict[str, object] = {
            "schema": 1,
            "kind": "null-model",
            "name": self.name,
            "keeps": self.keeps,
            "n_inputs": self.n_inputs,
            "n_units": self.n_units,
            "packed": self.packed,
            "version": spinnet.__version__,
        }
        for key, value in self._facts().items():
            record[key] = finite_or_null(value)
        return record


@dataclass(frozen=True, eq=False)
class PatternModel(NullModel):
    """A null model of independent inputs, which gives every pattern a probability."""

    def log_probability(self, patterns: ArrayLike) -> Floats:
        """Return the natural logarithm of the probability of each pattern.

        Parameters
        ----------
        patterns : array_like, shape (n, n_units), or packed (n, ceil(n_units/8)) of uint8
            Packed if the model was made from packed data, as its samples are.

        Returns
        -------
        ndarray, shape (n,)
            -infinity for a pattern that cannot occur.
        """
        rows = read_patterns(patterns, self.n_units if self.packed else None, name="patterns")
        if rows.n_units != self.n_units:
            raise InputError(
                f"patterns must have {self.n_units} units (columns), got {rows.n_units}"
            )
        return np.concatenate([self._log_probability(b.view(np.bool_)) for b in rows.blocks()])

    @property
    @abstractmethod
    def entropy(self) -> float:
        """Entropy of one pattern, in nats."""

    @abstractmethod
    def _log_probability(self, patterns: Bools) -> Floats:
        """Return the log probability of each row."""


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
