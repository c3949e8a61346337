"""Comparing a statistic of the data with its distribution under a null model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError
from spinnet.files import finite_or_null
from spinnet.memory import refuse_beyond_memory
from spinnet.plotting import BLACK, GREY, VERMILLION, axes
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.nulls.inputs import InputModel
from spinnet.tails.nulls.model import NullModel
from spinnet.tails.nulls.raster import read_patterns, unpack
from spinnet.validation import finite_array, integer, refuse_masked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

# the same sum in another order differs by rounding: such values count as equal
_TIE = 1e-12


class Samples(Protocol):
    """What a null model offers to a test."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample of the data's size."""

    def sample(self, n_inputs: int | None = None, *, rng: RandomState = None) -> Any:
        """Draw an array of the form of the data."""


@dataclass(frozen=True, eq=False)
class NullTest:
    """A statistic of the data beside its values on surrogates.

    Attributes
    ----------
    observed : float
        The statistic of the data.
    surrogates : ndarray, shape (n_surrogates,)
        Its values on rasters drawn from the null model.
    z_score : float
        (observed - mean)/(standard deviation) of the surrogates; NaN if they are all equal.
    p_greater, p_less : float
        One-sided rank p-values (1 + r)/(1 + n): r of the n surrogates are at least, or at most,
        the observed value.  Under the null model, p <= a has a probability of at most a.
    p_two_sided : float
        Twice the smaller of the two, at most 1.
    null : str
        Name of the null model.
    seed : mapping
        What makes the surrogates again.
    version : str
        Of spinnet.
    """

    observed: float
    surrogates: Floats = field(repr=False)
    z_score: float
    p_greater: float
    p_less: float
    p_two_sided: float
    null: str
    seed: Mapping[str, object]
    version: str

    @property
    def n_surrogates(self) -> int:
        """Number of surrogates."""
        return self.surrogates.size

    @property
    def p_value(self) -> float:
        """The two-sided p-value."""
        return self.p_two_sided

    def summary(self) -> str:
        """Return a few lines for people."""
        low, high = self.surrogates.min(), self.surrogates.max()
        spread = _spread(self.surrogates)
        return (
            f"observed {self.observed:.6g} against {self.null}: surrogates "
            f"{self.surrogates.mean():.6g} +- {spread:.3g} ({low:.6g} .. {high:.6g}), "
            f"z = {self.z_score:.2f}\n"
            f"  rank p = {self.p_two_sided:.4g} (greater {self.p_greater:.4g}, less "
            f"{self.p_less:.4g}; {self.n_surrogates} surrogates, so none below "
            f"{1 / (1 + self.n_surrogates):.2g})"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record: dict[str, object] = {"schema": 1, "kind": "null-test"}
        for name in self.__dataclass_fields__:
            record[name] = finite_or_null(getattr(self, name))
        record["surrogates"] = self.surrogates.tolist()
        record["n_surrogates"] = self.n_surrogates
        record["seed"] = dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the histogram of the surrogates and a line at the observed value."""
        ax = axes(ax)
        bins = _edges(self.surrogates)
        label = f"{self.null}, {self.n_surrogates} surrogates"
        ax.hist(self.surrogates, bins=bins, color=GREY, edgecolor=BLACK, lw=0.4, label=label)
        ax.axvline(
            self.observed, color=VERMILLION, lw=1.5, label=f"data (p = {self.p_two_sided:.3g})"
        )
        ax.set_xlabel("statistic")
        ax.set_ylabel("surrogates")
        ax.margins(y=0.3)  # room for the legend
        ax.legend(frameon=False)
        return ax


def compare_with_null(
    statistic: Callable[[Any], float],
    data: ArrayLike,
    null: Samples,
    *,
    n_surrogates: int = 999,
    rng: RandomState = None,
    progress: bool = False,
) -> NullTest:
    """Compare a statistic of the data with its values on surrogates.

    Parameters
    ----------
    statistic : callable
        Takes an array of the form of `data` and returns a finite number.  It is also called on
        what ``null.sample()`` returns: booleans, or packed uint8 for a null model made from a
        packed raster.  It gets copies, which it may overwrite.
    data : array_like
        What the null model was made from: the raster, packed or not, or the real-valued inputs.
    null : NullModel or InputModel
        Such as ``shuffle_units(data)``.
    n_surrogates : int
        One-sided p-values are at least 1/(1 + n_surrogates), the two-sided one twice that.
    rng : None, int, SeedSequence or Generator, optional
        Surrogate k is the same whatever the number of surrogates.
    progress : bool
        Show a bar.

    Returns
    -------
    NullTest

    Raises
    ------
    InputError
        Something that is not a null model, or one of another shape than the data; data that it
        cannot have been made from; fewer than two surrogates; or a statistic that is not a
        finite number.

    References
    ----------
    A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from spinnet.tails import nulls
    >>> data = np.repeat(np.array([[True, True], [False, False]]), 50, axis=0)
    >>> both = lambda raster: raster.all(axis=1).sum()
    >>> null = nulls.shuffle_units(data)
    >>> nulls.compare_with_null(both, data, null, n_surrogates=99, rng=1).p_value
    0.02
    """
    n_surrogates = integer("n_surrogates", n_surrogates, minimum=2)
    if not callable(statistic):
        raise InputError(f"statistic must be callable, got {statistic!r:.80}")
    seed = seed_sequence(rng)
    # the values, and the seeds that they come from
    refuse_beyond_memory(500.0 * n_surrogates, f"{n_surrogates} surrogates", "draw fewer")
    array = _matching(data, null)
    observed = _number(statistic(array), "the data")
    values = np.empty(n_surrogates)
    with progress_bar(n_surrogates, progress, "surrogate") as bar:
        for k, child in enumerate(seed.spawn(n_surrogates)):
            values[k] = _number(statistic(null.sample(rng=child)), f"surrogate {k}")
            bar.update()
    return _ranked(observed, values, null.name, seed)


def _matching(data: ArrayLike, null: Samples) -> NDArray[Any]:
    """Return a copy of the data in the form of the samples of the null model."""
    if not (hasattr(null, "sample_shape") and hasattr(null, "name")) or not callable(
        getattr(null, "sample", None)
    ):
        raise InputError(
            f"null must be a null model, such as nulls.shuffle_units(data), got {null!r:.80}"
        )
    refuse_masked("data", data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise InputError(f"data must have rows of equal length, got {data!r:.80}") from error
    if array.shape != null.sample_shape:
        raise InputError(
            f"data must be what the null model was made from, of shape {null.sample_shape}, got "
            f"shape {array.shape}"
        )
    # ~ or + must mean the same on the data as on the surrogates
    if isinstance(null, NullModel):
        rows = read_patterns(array, null.n_units if null.packed else None, name="data")
        return array if null.packed else unpack(rows.bits, null.n_units)
    if isinstance(null, InputModel):
        return finite_array("data", array).astype(null.dtype, copy=False)
    return array


def _number(value: Any, where: str) -> float:
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"statistic must return a number, got {value!r:.80} on {where}") from error
    if not math.isfinite(number):
        raise InputError(f"statistic must return a finite number, got {number} on {where}")
    return number


def _ranked(observed: float, values: Floats, name: str, seed: np.random.SeedSequence) -> NullTest:
    n = values.size
    tie = _TIE * np.maximum(np.abs(values), abs(observed))
    greater = (1 + int((values >= observed - tie).sum())) / (1 + n)
    less = (1 + int((values <= observed + tie).sum())) / (1 + n)
    return NullTest(
        observed=observed,
        surrogates=values,
        z_score=_z_score(observed, values),
        p_greater=greater,
        p_less=less,
        p_two_sided=min(1.0, 2.0 * min(greater, less)),
        null=name,
        seed=seed_record(seed),
        version=spinnet.__version__,
    )


def _spread(values: Floats) -> float:
    """Return the standard deviation, without squares that overflow; 0 if only rounding differs."""
    scale = float(np.abs(values).max())
    if scale == 0.0:
        return 0.0
    spread = float((values / scale).std(ddof=1))
    return spread * scale if spread > _TIE else 0.0


def _z_score(observed: float, values: Floats) -> float:
    spread = _spread(values)
    return (observed - float(values.mean())) / spread if spread > 0.0 else math.nan


def _edges(values: Floats) -> list[float]:
    """Return edges of bins; a single bin of a tenth of the value where all are equal."""
    if _spread(values) > 0.0:
        return [float(x) for x in np.histogram_bin_edges(values, bins="sturges")]
    middle = float(values[0])
    half = 0.05 * abs(middle) or 0.5
    return [middle - half, middle + half]
