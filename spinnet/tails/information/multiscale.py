"""Resolution and relevance of patterns (Marsili, Mastromatteo, Roudi, J. Stat. Mech. P09003, 2013).

Resolution H[s] is the plug-in entropy of the patterns; relevance H[k] that of how often the
pattern of a random input was seen.  Following both as more units are looked at together, from one
to all, draws a curve from (0, 0) over a maximum of H[k] to (ln M, 0), where every pattern is seen
once.  Its local slope is -mu; at mu = 1 a bit more of resolution costs a bit of relevance, which is
Zipf's law.  The area below is the multi-scale relevance (Cubero, Marsili, Roudi, J. Comput.
Neurosci. 48, 85 (2020), who change the size of time bins where here the number of units changes).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.tails.information.spectrum import Floats, Spectrum, read_counts
from spinnet.tails.patterns.counter import PatternCounter
from spinnet.tails.patterns.rows import check_rows, read_matrix, units_of
from spinnet.tails.rank.diagnostics import MIN_COVERAGE
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHUNK_BITS = 1 << 24
_N_SIZES = 16


def resolution(counts: ArrayLike, *, normalised: bool = False) -> float:
    """Return H[s] = -sum_s (k_s/M) ln(k_s/M), in nats; divided by ln M if `normalised`.

    Parameters
    ----------
    counts : array_like of int
        How often each pattern was seen, in any order; zeros are left out.
    normalised : bool
        Divide by ln M, the largest it can be.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0.
    StatisticsError
        No count > 0, or a single input where `normalised`.

    Examples
    --------
    >>> resolution([1, 1, 1, 1], normalised=True)
    1.0
    """
    spectrum = read_counts(counts)
    return _scaled(_resolution(spectrum), spectrum, normalised)


def relevance(counts: ArrayLike, *, normalised: bool = False) -> float:
    """Return H[k] = -sum_k (k m_k/M) ln(k m_k/M), in nats; divided by ln M if `normalised`.

    m_k is the number of patterns seen k times.  It vanishes where all patterns were seen equally
    often, all once for one.

    Parameters
    ----------
    counts : array_like of int
        How often each pattern was seen, in any order; zeros are left out.
    normalised : bool
        Divide by ln M.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0.
    StatisticsError
        No count > 0, or a single input where `normalised`.

    Examples
    --------
    >>> relevance([2, 1, 1]) == resolution([2, 2])  # half of the inputs are in k = 2
    True
    """
    spectrum = read_counts(counts)
    return _scaled(_relevance(spectrum), spectrum, normalised)


def _resolution(spectrum: Spectrum) -> float:
    p = spectrum.k / spectrum.n_total
    return max(0.0, -float((spectrum.m * p) @ np.log(p)))


def _relevance(spectrum: Spectrum) -> float:
    p = spectrum.k * spectrum.m / spectrum.n_total
    return max(0.0, -float(p @ np.log(p)))


def _scaled(value: float, spectrum: Spectrum, normalised: bool) -> float:
    if not normalised:
        return value
    if spectrum.n_total < 2:
        raise StatisticsError("counts holds one input: ln M = 0 cannot normalise", estimate=value)
    return value / math.log(spectrum.n_total)


@dataclass(frozen=True, eq=False)
class ResolutionRelevance:
    """Resolution and relevance over the number of units looked at together.

    Attributes
    ----------
    sizes : ndarray of int64, shape (n_sizes,)
        Numbers of units, increasing.
    resolution, relevance : ndarray, shape (n_sizes,)
        H[s] and H[k] in nats, means over the subsets.
    resolution_spread, relevance_spread : ndarray, shape (n_sizes,)
        Standard deviations over the subsets: what the choice of units makes, not the sampling of
        inputs; NaN for one subset.
    coverage : ndarray, shape (n_sizes,)
        Good-Turing coverage, mean over the subsets.
    n_distinct : ndarray, shape (n_sizes,)
        Distinct patterns, mean over the subsets.
    n_inputs, n_units, n_subsets : int
    seed : mapping
        What draws the same subsets again.
    version : str
        Of spinnet.
    """

    sizes: NDArray[np.int64]
    resolution: Floats
    relevance: Floats
    resolution_spread: Floats
    relevance_spread: Floats
    coverage: Floats
    n_distinct: Floats
    n_inputs: int
    n_units: int
    n_subsets: int
    seed: Mapping[str, object] = field(repr=False)
    version: str

    @property
    def undersampled(self) -> NDArray[np.bool_]:
        """Sizes at which the coverage is below 0.9."""
        return self.coverage < MIN_COVERAGE

    @property
    def slope(self) -> Floats:
        """The slope mu = -dH[k]/dH[s] between neighbouring sizes, shape (n_sizes - 1,).

        NaN where the resolution does not grow.
        """
        across, up = np.diff(self.resolution), np.diff(self.relevance)
        grows = across > 0
        return np.where(grows, -up / np.where(grows, across, 1.0), np.nan)

    @property
    def zipf_size(self) -> int:
        """The size that maximises H[s] + H[k], around which mu = 1."""
        return int(self.sizes[np.argmax(self.resolution + self.relevance)])

    @property
    def area(self) -> float:
        """Multi-scale relevance: area below H[k]/ln M over H[s]/ln M, by trapezoids from (0, 0).

        What lies beyond the largest size is left out; the curve is complete where `coverage`
        has fallen to about 0.
        """
        x = np.concatenate([[0.0], self.resolution]) / math.log(self.n_inputs)
        y = np.concatenate([[0.0], self.relevance]) / math.log(self.n_inputs)
        return float(np.trapezoid(y, x))

    def summary(self) -> str:
        """Return a few lines for people."""
        good = np.flatnonzero(~self.undersampled)
        up_to = f"up to {self.sizes[good[-1]]} units" if good.size else "at no size"
        top = int(np.argmax(self.relevance))
        return (
            f"resolution and relevance of {self.n_inputs} inputs, {self.sizes[0]} to "
            f"{self.sizes[-1]} of {self.n_units} units, {self.n_subsets} subset(s) each\n"
            f"  largest relevance {self.relevance[top]:.3f} nats at {self.sizes[top]} units, "
            f"mu = 1 near {self.zipf_size} units, multi-scale relevance {self.area:.4f}\n"
            f"  coverage at least {MIN_COVERAGE} {up_to}, {self.coverage[-1]:.3f} at "
            f"{self.sizes[-1]} units"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("undersampled", "slope", "zipf_size", "area"):
            record[name] = getattr(self, name)
        plain = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in record.items()
        }
        plain["seed"] = dict(self.seed)
        return {"schema": 1, "kind": "resolution-relevance"} | {
            name: finite_or_null(value) for name, value in plain.items()
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw H[k] over H[s], the Zipf line mu = 1, and what is undersampled; return the axes."""
        ax = plotting.axes(ax)
        few = self.undersampled
        plotting.line(ax, self.resolution, self.relevance, color=plotting.LIGHT_GREY, width=0.8)
        ax.errorbar(
            self.resolution[~few],
            self.relevance[~few],
            yerr=np.nan_to_num(self.relevance_spread[~few]),
            fmt="o",
            ms=3.5,
            mfc="none",
            color=plotting.BLACK,
            elinewidth=0.8,
            label="subsets of units",
        )
        if few.any():
            label = f"coverage < {MIN_COVERAGE}"
            ax.plot(self.resolution[few], self.relevance[few], "x", ms=4, color=plotting.GREY)
            start = float(self.resolution[few].min())
            ax.axvspan(start, math.log(self.n_inputs), color="0.93", lw=0, zorder=0, label=label)
        self._draw_zipf_line(ax)
        ax.set_xlim(0.0, math.log(self.n_inputs) * 1.02)
        ax.set_ylim(0.0, float(self.relevance.max()) * 1.3 + 1e-3)
        ax.set_xlabel("resolution $H[s]$ (nats)")
        ax.set_ylabel("relevance $H[k]$ (nats)")
        ax.legend(frameon=False, loc="upper left")
        return ax

    def _draw_zipf_line(self, ax: Axes) -> None:
        """Draw the line of slope -1 that touches the curve."""
        sum_of_both = float((self.resolution + self.relevance).max())
        ends = np.array([0.0, sum_of_both])
        label = r"$\mu = 1$ (Zipf)"
        plotting.line(
            ax, ends, sum_of_both - ends, color=plotting.VERMILLION, dashes="--", label=label
        )


def resolution_relevance(
    bits: ArrayLike,
    sizes: Sequence[int] | NDArray[np.int64] | None = None,
    n_subsets: int = 10,
    *,
    rng: RandomState = None,
    n_bits: int | None = None,
    progress: bool = False,
) -> ResolutionRelevance:
    """Follow resolution and relevance as more and more units are looked at together.

    Each subset is one random order of the units, of which the first n are taken, so that every
    subset's patterns are refined from size to size and its resolution cannot fall.

    Parameters
    ----------
    bits : array_like of bool (n_inputs, n_units), or of uint8 (n_inputs, ceil(n_units / 8))
        One pattern per row, as bits or packed by ``numpy.packbits(bits, axis=1)``.
    sizes : sequence of int, optional
        Numbers of units, between 1 and n_units; by default up to 16, evenly spaced on a log scale.
    n_subsets : int
        Random orders of the units.
    rng : None, int, SeedSequence or Generator
        Randomness of the orders.
    n_bits : int, optional
        Number of units of packed rows; by default 8 for each byte.  Needed where all bytes are 0
        or 1, which are more likely one to a unit.
    progress : bool
        Show a bar.

    Returns
    -------
    ResolutionRelevance

    Raises
    ------
    InputError
        Rows of another shape or type, or sizes out of range.
    StatisticsError
        Fewer than two inputs.
    """
    array = read_matrix("bits", bits)
    n_units = units_of(array, n_bits, "bits", "n_bits")
    array = check_rows(array, n_units, "bits")
    wanted = _check_sizes(sizes, n_units)
    n_subsets = integer("n_subsets", n_subsets, minimum=1)
    if not isinstance(progress, (bool, np.bool_)):
        raise InputError(f"progress must be True or False, got {progress!r:.80}")
    if len(array) < 2:
        raise StatisticsError(f"bits has {len(array)} row(s); at least 2 inputs are needed")
    seed = seed_sequence(rng)
    random = generator(seed)
    orders = [random.permutation(n_units)[: wanted[-1]] for _ in range(n_subsets)]
    spectra = _spectra(array, n_units, orders, wanted, bool(progress))
    return _curve(spectra, wanted, len(array), n_units, seed)


def _check_sizes(sizes: Any, n_units: int) -> NDArray[np.int64]:
    if sizes is None:
        spaced = np.geomspace(1, n_units, min(n_units, _N_SIZES)).round()
        return np.unique(spaced).astype(np.int64)
    given = list(np.ravel(np.asarray(sizes, dtype=object)))
    if not given:
        raise InputError("sizes must hold at least one number of units, got none")
    checked = [integer("sizes", size, minimum=1, maximum=n_units) for size in given]
    return np.unique(np.array(checked, dtype=np.int64))


def _spectra(
    array: NDArray[Any],
    n_units: int,
    orders: list[NDArray[np.int64]],
    sizes: NDArray[np.int64],
    progress: bool,
) -> list[list[Spectrum]]:
    """Return the spectrum of counts of each order (outer) and size (inner)."""
    counters = [[PatternCounter(int(size)) for size in sizes] for _ in orders]
    step = max(1, _CHUNK_BITS // n_units)
    with progress_bar(len(array), progress, "input") as bar:
        for start in range(0, len(array), step):
            part = array[start : start + step]
            if part.dtype != np.bool_:
                part = np.unpackbits(part, axis=1, count=n_units).view(np.bool_)
            columns = np.ascontiguousarray(part.T)
            for order, row in zip(orders, counters, strict=True):
                _count_prefixes(columns[order], row)
            bar.update(len(part))
    return [[read_counts(counter.counts()) for counter in row] for row in counters]


def _count_prefixes(columns: NDArray[np.bool_], counters: list[PatternCounter]) -> None:
    """Count the patterns of the first n rows of `columns` (n_units, n_inputs) for each n."""
    packed = np.packbits(columns.T, axis=1)
    for counter in counters:
        n_bytes = -(-counter.n_bits // 8)
        rows = packed[:, :n_bytes].copy()
        rows[:, -1] &= np.uint8(0xFF << (-counter.n_bits % 8) & 0xFF)
        counter.update(rows)


def _curve(
    spectra: list[list[Spectrum]],
    sizes: NDArray[np.int64],
    n_inputs: int,
    n_units: int,
    seed: np.random.SeedSequence,
) -> ResolutionRelevance:
    def table(of: Any) -> Floats:
        return np.array([[of(spectrum) for spectrum in row] for row in spectra], dtype=np.float64)

    fine, relevant = table(_resolution), table(_relevance)
    n_subsets = len(spectra)
    nothing = np.full(sizes.size, np.nan)
    return ResolutionRelevance(
        sizes=sizes,
        resolution=fine.mean(axis=0),
        relevance=relevant.mean(axis=0),
        resolution_spread=fine.std(axis=0, ddof=1) if n_subsets > 1 else nothing,
        relevance_spread=relevant.std(axis=0, ddof=1) if n_subsets > 1 else nothing,
        coverage=table(lambda spectrum: spectrum.coverage).mean(axis=0),
        n_distinct=table(lambda spectrum: spectrum.n_distinct).mean(axis=0),
        n_inputs=n_inputs,
        n_units=n_units,
        n_subsets=n_subsets,
        seed=seed_record(seed),
        version=spinnet.__version__,
    )
