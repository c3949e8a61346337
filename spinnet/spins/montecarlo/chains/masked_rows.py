"""The couplings of sparse systems as whole numbers of 32 bits, made once for each model."""

from __future__ import annotations

import math
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from spinnet.spins.models import Ising, SpinModel
from spinnet.spins.montecarlo.chains.base import Array
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis, Update

LANES = 16
_LARGEST_ERROR = 1e-6  # of the couplings of a row by rounding, of the sum of their sizes
_ALIKE = 2.0**-6  # rows whose sums differ by no more share one unit
_FAR = 1e37  # the largest gain, in which no field that is not zero leaves a spin undecided
# The exponents of two by which fields may differ, such that those in single precision, and their
# products with a gain, neither vanish nor become infinite where they matter
_WEAKER_ROWS, _WEAKER_FIELDS, _STRONGER_FIELDS, _FREE_FIELDS = 30, 70, 126, 100


class Rows(NamedTuple):
    """The couplings of a sparse system, row by row.

    `twice`, `unit` and `h` are LANES copies of one number where all sites have the same.

    Attributes
    ----------
    indptr : int64, (n + 1,)
    indices : int32, (nnz + AHEAD,)
        Zeros behind.
    twice : int32, (nnz,)
        2 J_ij in units of row i.
    base : int32, (n,)
        The pair field with all neighbours down, -sum_j J_ij.
    unit, h : float64, (n,)
    unit_scaled, h_scaled : float32, (n,)
        The same in units of `scale`.
    varies : tuple of int
        1 where `twice`, `unit` and `h` have a number for each place, else 0.
    scale : float
        A power of two about the strongest pair field, or field h if there are no pairs.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    twice: NDArray[np.int32]
    base: NDArray[np.int32]
    unit: Array
    h: Array
    unit_scaled: NDArray[np.float32]
    h_scaled: NDArray[np.float32]
    varies: tuple[int, int, int]
    scale: float


_rows: WeakKeyDictionary[SpinModel, Rows] = WeakKeyDictionary()
_reasons: WeakKeyDictionary[SpinModel, str] = WeakKeyDictionary()


def rows_of(model: Ising) -> Rows:
    """Return the couplings as whole numbers, made at the first call for a model."""
    if model not in _rows:
        _rows[model] = _make(model)
    return _rows[model]


def refusal(model: SpinModel, update: Update) -> str:
    """Return why no kernel of whole numbers can run, or ""."""
    if not isinstance(update, (HeatBath, Metropolis)):
        return "it updates spins one by one"
    if not isinstance(model, Ising) or not model.is_sparse:
        return "it needs sparse couplings"
    if model not in _reasons:
        _reasons[model] = _reason(model)
    return _reasons[model]


def _reason(model: Ising) -> str:
    """Return why these couplings and fields cannot be whole numbers and single precision."""
    from spinnet.spins.montecarlo.chains import masked_kernels as kernels

    J: Any = model.couplings
    indptr, indices = J.indptr.astype(np.int64), J.indices.astype(np.int32, copy=False)
    unit, nothing = _units(indptr, J.data), np.empty(0, np.int32)
    error = kernels.whole_numbers(indptr, indices, J.data, unit, nothing, nothing)
    if error > _LARGEST_ERROR:
        return (
            "the couplings of neighbouring spins differ too much for sums of 32 bits, "
            f"which would change those of one by {error:.1e} of their size"
        )
    too_far = "the couplings and fields of the spins differ too much for single precision"
    h = np.abs(model.fields[model.fields != 0.0])
    least, most = float(h.min(initial=np.inf)), float(h.max(initial=0.0))
    if J.nnz == 0:
        return too_far if least < math.ldexp(most, -_FREE_FIELDS) else ""
    weak, strong = 2.0**30 * float(unit.min()), 2.0**30 * float(unit.max())
    if weak < math.ldexp(strong, -_WEAKER_ROWS) or least < math.ldexp(strong, -_WEAKER_FIELDS):
        return too_far
    return too_far if strong < math.ldexp(most, -_STRONGER_FIELDS) else ""


def _units(indptr: NDArray[np.int64], data: Array) -> Array:
    from spinnet.spins.montecarlo.chains import masked_kernels as kernels

    unit = np.empty(len(indptr) - 1)
    kernels.row_units(indptr, data, unit)
    largest = unit.max() or 1.0
    unit[unit == 0.0] = largest  # rows without couplings
    if unit.min() >= _ALIKE * largest:
        unit[:] = largest
    return unit


def _make(model: Ising) -> Rows:
    from spinnet.spins.montecarlo.chains import masked_kernels as kernels

    J: Any = model.couplings
    n = model.n_spins
    indptr = J.indptr.astype(np.int64)
    indices = np.zeros(J.nnz + kernels.AHEAD, np.int32)
    indices[: J.nnz] = J.indices
    unit, base, twice = _units(indptr, J.data), np.empty(n, np.int32), np.empty(J.nnz, np.int32)
    kernels.whole_numbers(indptr, indices, J.data, unit, twice, base)
    h = np.ascontiguousarray(model.fields, dtype=np.float64)
    strongest = 2.0**30 * float(unit.max()) if J.nnz else float(np.abs(h).max())
    scale = math.ldexp(1.0, max(math.frexp(strongest)[1], -1022))
    twice, unit, h = (_shortened(x) for x in (twice, unit, h))
    return Rows(
        indptr,
        indices,
        twice,
        base,
        unit,
        h,
        (unit / scale).astype(np.float32),
        (h / scale).astype(np.float32),
        (int(len(twice) > LANES), int(len(unit) > LANES), int(len(h) > LANES)),
        scale,
    )


def _shortened(values: NDArray[Any]) -> NDArray[Any]:
    """Return LANES copies of a number that stands for all, else the values, more than LANES."""
    if values.size == 0:
        return np.zeros(LANES, values.dtype)
    if np.all(values == values[0]):
        return np.full(LANES, values[0])
    return np.concatenate([values, np.zeros(max(0, LANES + 1 - len(values)), values.dtype)])


def gains(betas: Array, scale: float) -> NDArray[np.float32]:
    """Return 2 beta scale / ln 2, by which fields become logarithms of odds to the base 2."""
    result = np.minimum(betas * (2.0 / math.log(2.0) * scale), _FAR)
    return np.asarray(result, dtype=np.float32)
