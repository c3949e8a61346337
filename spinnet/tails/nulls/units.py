"""Null models that keep the rate of each unit and nothing else.

`shuffle_units` keeps the number of active inputs of each unit exactly; `independent` is the
distribution that these shuffles tend to, with every probability in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, xlog1py, xlogy

from spinnet.tails.nulls.model import NullModel, PatternModel
from spinnet.tails.nulls.raster import Bits, Bools, Counts, Floats, read_raster


def shuffle_units(raster: ArrayLike, n_units: int | None = None) -> ShuffledUnits:
    """Permute each unit over the inputs, independently of the others.

    Rates are kept exactly; every dependence between units, and any order of the inputs, is
    destroyed.

    Parameters
    ----------
    raster : array_like of 0 and 1, shape (n_inputs, n_units); or packed uint8
    n_units : int, optional
        Number of units of a packed raster.

    Returns
    -------
    ShuffledUnits
        A sample takes about 20 ns per active or silent entry of a unit, whichever are fewer, and
        twice the memory of the packed raster.

    Raises
    ------
    InputError
        Values other than 0 and 1, fewer than two inputs or units, or a wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.arange(12).reshape(6, 2) % 3 == 0
    >>> null = shuffle_units(data)
    >>> null.sample(rng=1).sum(axis=0).tolist() == data.sum(axis=0).tolist()
    True
    """
    data = read_raster(raster, n_units)
    return ShuffledUnits(data.n_inputs, data.n_units, data.packed, data.unit_counts())


def independent(raster: ArrayLike, n_units: int | None = None) -> IndependentUnits:
    r"""Return independent units with the rates of the data.

    .. math:: p(\sigma) = \prod_i r_i^{\sigma_i} (1 - r_i)^{1 - \sigma_i}

    Parameters
    ----------
    raster : array_like of 0 and 1, shape (n_inputs, n_units); or packed uint8
    n_units : int, optional
        Number of units of a packed raster.

    Returns
    -------
    IndependentUnits
        With exact ``log_probability`` and ``entropy``; samples have these rates on average.

    Raises
    ------
    InputError
        Values other than 0 and 1, fewer than two inputs or units, or a wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> null = independent(np.array([[0, 1], [1, 1]]))
    >>> null.log_probability([[0, 1], [0, 0]]).round(4).tolist()
    [-0.6931, -inf]
    """
    data = read_raster(raster, n_units)
    rates = data.unit_counts() / data.n_inputs
    return IndependentUnits(data.n_inputs, data.n_units, data.packed, rates)


@dataclass(frozen=True, eq=False)
class ShuffledUnits(NullModel):
    """Every raster with the same number of active inputs per unit, equally likely.

    Attributes
    ----------
    unit_counts : ndarray of int64, shape (n_units,)
        Inputs on which each unit is active.
    """

    unit_counts: Counts = field(repr=False)

    name: ClassVar[str] = "shuffle_units"
    keeps: ClassVar[str] = "the rate of each unit, exactly"
    fixed_inputs: ClassVar[bool] = True

    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        return scattered(self.unit_counts, n_inputs, random)

    def _facts(self) -> Mapping[str, object]:
        return {"mean_rate": float(self.unit_counts.mean() / self.n_inputs)}


@dataclass(frozen=True, eq=False)
class IndependentUnits(PatternModel):
    """Independent units.

    Attributes
    ----------
    rates : ndarray, shape (n_units,)
        Probability that each unit is active.
    """

    rates: Floats = field(repr=False)

    name: ClassVar[str] = "independent"
    keeps: ClassVar[str] = "the rate of each unit, on average"

    @property
    def entropy(self) -> float:
        """Entropy of one pattern, in nats: the sum over units."""
        return float((entr(self.rates) + entr(1.0 - self.rates)).sum())

    def _log_probability(self, patterns: Bools) -> Floats:
        off = xlog1py(1.0 - patterns, -self.rates)
        return np.asarray((xlogy(patterns, self.rates) + off).sum(axis=1))

    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        # given its number of active inputs, each set of inputs of a unit is equally likely
        return scattered(random.binomial(n_inputs, self.rates), n_inputs, random)

    def _facts(self) -> Mapping[str, object]:
        return {"mean_rate": float(self.rates.mean()), "entropy": self.entropy}


def scattered(counts: Counts, n_inputs: int, random: np.random.Generator) -> Bits:
    """Return packed rows in which unit i is active on `counts[i]` inputs drawn at random."""
    from spinnet.tails.nulls.kernels import scatter, stream

    columns = np.zeros((-(-counts.size // 8), n_inputs), np.uint8)
    state = stream(random)[0]
    for b, column in enumerate(columns):  # a Python loop, so that Ctrl-C is heard
        scatter(np.ascontiguousarray(counts[8 * b : 8 * b + 8], np.int64), state, column)
    return np.ascontiguousarray(columns.T)
