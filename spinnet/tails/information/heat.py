"""Specific heat of patterns by rescaling the temperature of their law; see `thermodynamics`.

Four estimates of the law: frequencies of whole patterns ("plug-in"), right only where nearly
every pattern that matters was seen; p(K)/C(N, K) of the number K of active units
("population-count"), exact where the units are exchangeable and an approximation else; the law of
largest entropy with the rates and joint rates of all pairs ("pairwise"); and "independent" units
of given rates, the null of no interaction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, StatisticsError
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.tails.information import thermodynamics as thermo
from spinnet.tails.information.heat_result import Peak, SpecificHeat
from spinnet.tails.information.sample import CHUNK_BITS, FEWEST, RARE_SHARE, Sample, block_sums
from spinnet.tails.information.spectrum import Floats, read_counts
from spinnet.tails.observations import multiplicities
from spinnet.tails.patterns.one_shot import count_patterns
from spinnet.tails.patterns.rows import check_rows, read_matrix, units_of
from spinnet.validation import choice, finite_array, integer, positive_array

ESTIMATORS = ("plug-in", "population-count", "pairwise", "independent")
MIN_COVERAGE = 0.95
_NORMAL_95 = 1.959963984540054
_LARGEST_N = 10**7


def specific_heat(
    data: ArrayLike,
    estimator: str = "plug-in",
    *,
    n_units: int | None = None,
    n_inputs: int | None = None,
    temperatures: ArrayLike | None = None,
    n_bootstrap: int = 200,
    rng: RandomState = None,
    force: bool = False,
    progress: bool = False,
) -> SpecificHeat:
    r"""Estimate c(T) = Var_T(E)/(N T^2) of patterns of N units, with E = -ln p.

    Averages are over the law p^(1/T)/Z(T) (Tkacik et al., PNAS 112, 11508 (2015)).

    Parameters
    ----------
    data : array_like
        Patterns, bool (n_inputs, n_units) or packed uint8 (n_inputs, ceil(n_units / 8)); or, in one
        dimension, what the estimator uses: the counts of the distinct patterns ("plug-in"),
        how often K = 0, ..., n_units units were active ("population-count"), or the rates of the
        units ("independent").
    estimator : str
        * ``"plug-in"``: frequencies for probabilities.  Refused below a coverage of 0.95, where C
          is far too small; what it says above T = 1 rests on patterns not seen, and is marked
          as extrapolation.
        * ``"population-count"``: p(K)/C(n_units, K).  Exact for exchangeable units, which all have
          the same rate and correlations; it needs few inputs.
        * ``"pairwise"``: the law of largest entropy with the rates and joint rates of the data
          (``nulls.pairwise_maxent``), by enumeration for up to 20 units that vary.  Right where
          no more than pairs interact; it needs patterns.  A resample takes about 10 ms for 10
          units and 1 to 3 s for 20.
        * ``"independent"``: units of their own rates and no interaction, in closed form.
    n_units : int, optional
        Number of units: needed with counts of patterns; of packed rows, 8 for each byte by
        default (but needed where all bytes are 0 or 1, which are more likely one to a unit).
    n_inputs : int, optional
        Needed with rates: how many inputs they are means over.
    temperatures : array_like, optional
        Increasing, from 1e-6 to 1e6; by default 0.5 to 2 in steps of 0.025.
    n_bootstrap : int
        Resamples over inputs for the errors; "pairwise" and "independent" resample blocks of
        consecutive inputs, "independent" binomials where only rates are given.
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstrap.
    force : bool
        Return a plug-in estimate whatever its coverage.
    progress : bool
        Show a bar over the resamples.

    Returns
    -------
    SpecificHeat

    Raises
    ------
    InputError
        Data of another shape or type, or a bad option.
    StatisticsError
        Fewer than two inputs; or a plug-in estimate below a coverage of 0.95, which is then in
        ``.estimate``, without errors; or no pairwise law of finite couplings has the joint rates.

    Examples
    --------
    >>> from math import comb
    >>> fair = [comb(10, k) * 1000 for k in range(11)]  # ten independent fair units
    >>> heat = specific_heat(fair, "population-count", temperatures=[0.5, 1, 2], n_bootstrap=0)
    >>> bool(abs(heat.specific_heat).max() < 1e-12)  # all states have the same energy
    True
    """
    choice("estimator", estimator, ESTIMATORS)
    grid = _check_temperatures(temperatures)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    for name, value in (("force", force), ("progress", progress)):
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name} must be True or False, got {value!r:.80}")
    if n_units is not None:
        n_units = integer("n_units", n_units, minimum=1, maximum=_LARGEST_N)
    seed = seed_sequence(rng)
    sample = _SAMPLES[estimator](read_matrix("data", data), n_units, n_inputs, grid)
    if sample.n_inputs < 2:
        raise StatisticsError(f"data holds {sample.n_inputs} input(s); at least 2 are needed")
    refused = estimator == "plug-in" and sample.coverage < MIN_COVERAGE and not force
    drawn = _replicates(sample, 0 if refused else n_bootstrap, seed, bool(progress))
    result = _result(sample, drawn, estimator, grid, seed)
    if refused:
        raise StatisticsError(
            f"the patterns' coverage is {sample.coverage:.3f} < {MIN_COVERAGE}: the plug-in C(T) "
            "is far too small. Take fewer units or more inputs, use 'population-count', or pass "
            "force=True to have it all the same",
            estimate=result,
        )
    return result


def _check_temperatures(value: ArrayLike | None) -> Floats:
    if value is None:
        return np.arange(20, 81) / 40.0
    grid = positive_array("temperatures", value)
    increasing = grid.ndim == 1 and grid.size > 0 and (np.diff(grid) > 0).all()
    if not increasing or grid[0] < 1e-6 or grid[-1] > 1e6:
        raise InputError(
            "temperatures must be one increasing sequence of values from 1e-6 to 1e6, got "
            f"{value!r:.80}"
        )
    return grid


def _rows(data: NDArray[Any], n_units: int | None) -> tuple[NDArray[Any], int]:
    width = units_of(data, n_units, "data", "n_units")
    return check_rows(data, width, "data"), width


def _plug_in(data: NDArray[Any], n_units: int | None, n_inputs: int | None, grid: Floats) -> Sample:
    _refuse_n_inputs(n_inputs)
    if data.ndim == 2:
        rows, n_units = _rows(data, n_units)
        data = count_patterns(rows, n_bits=n_units)
    elif n_units is None:
        raise InputError("n_units must be given with counts of patterns, to divide C by")
    counts = multiplicities("data", data)
    counts = counts[counts > 0]
    spectrum = read_counts(counts)
    levels = thermo.levels_of_patterns(spectrum)
    share = np.sort(counts) / spectrum.n_total

    def replicate(random: np.random.Generator) -> Floats:
        drawn = read_counts(random.multinomial(spectrum.n_total, share))
        return thermo.heat_of_levels(thermo.levels_of_patterns(drawn), grid)

    return Sample(
        heat=thermo.heat_of_levels(levels, grid),
        replicate=replicate,
        states=thermo.entropy_of_energy(levels),
        reliable=(grid <= 1.0) & (thermo.rare_share(levels, grid, FEWEST) <= RARE_SHARE),
        coverage=spectrum.coverage,
        n_units=n_units,
        n_inputs=spectrum.n_total,
        n_constant=0,
    )


def _population(
    data: NDArray[Any], n_units: int | None, n_inputs: int | None, grid: Floats
) -> Sample:
    _refuse_n_inputs(n_inputs)
    if data.ndim == 2:
        rows, n_units = _rows(data, n_units)
        data = np.bincount(_active(rows), minlength=n_units + 1)
    histogram = multiplicities("data", data)
    if histogram.size < 2 or n_units not in (None, histogram.size - 1):
        expected = "at least 2" if n_units is None else f"n_units + 1 = {n_units + 1}"
        raise InputError(
            f"data must have {expected} entries, how often 0, 1, ..., n_units units were active, "
            f"got {histogram.size}"
        )
    total = int(histogram.sum())
    if total == 0:
        raise StatisticsError("data has no entry > 0: nothing was seen", estimate=None)
    levels = thermo.levels_of_population(histogram)

    def replicate(random: np.random.Generator) -> Floats:
        drawn = random.multinomial(total, histogram / total).astype(np.float64)
        return thermo.heat_of_levels(thermo.levels_of_population(drawn), grid)

    return Sample(
        heat=thermo.heat_of_levels(levels, grid),
        replicate=replicate,
        states=thermo.entropy_of_energy(levels),
        reliable=thermo.rare_share(levels, grid, FEWEST) <= RARE_SHARE,
        coverage=1.0 - float((histogram == 1).sum()) / total,
        n_units=histogram.size - 1,
        n_inputs=total,
        n_constant=0,
    )


def _active(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of active units of each row."""
    step = max(1, CHUNK_BITS // rows.shape[1])
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    if rows.dtype != np.bool_:
        parts = [np.bitwise_count(part) for part in parts]
    return np.concatenate([np.zeros(0, np.int64), *(part.sum(1, dtype=np.int64) for part in parts)])


def _independent(
    data: NDArray[Any], n_units: int | None, n_inputs: int | None, grid: Floats
) -> Sample:
    if data.ndim == 2:
        _refuse_n_inputs(n_inputs)
        rows, n_units = _rows(data, n_units)
        sums, sizes = block_sums(rows, n_units, lambda part: part.sum(axis=0, dtype=np.int64))
        n_inputs = len(rows)
        rates = sums.sum(axis=0) / max(n_inputs, 1)

        def draw(random: np.random.Generator) -> Floats:
            taken = random.multinomial(sizes.size, np.full(sizes.size, 1.0 / sizes.size))
            return np.asarray((taken @ sums) / (taken @ sizes))
    else:
        rates = _check_rates(data, n_units)
        if n_inputs is None:
            raise InputError("n_inputs must be given with rates: how many inputs they average")
        n_inputs = integer("n_inputs", n_inputs, minimum=1, maximum=2**62)

        def draw(random: np.random.Generator) -> Floats:
            return random.binomial(n_inputs, rates) / n_inputs

    varying = (rates > 0.0) & (rates < 1.0)
    rarest = np.minimum(rates, 1.0 - rates) * n_inputs
    ends = thermo.energy_and_entropy_of_gaps(rates, grid)
    # a unit hardly ever on (or off) is one whose gap is unknown, which matters at high T
    settled = bool((rarest >= FEWEST - 0.5).all())
    return Sample(
        heat=thermo.heat_of_gaps(thermo.gaps_of_rates(rates), grid),
        replicate=lambda random: thermo.heat_of_gaps(thermo.gaps_of_rates(draw(random)), grid),
        states=thermo.line_through(*ends, np.ones(grid.size)),
        reliable=(grid <= 1.0) | settled,
        coverage=math.nan,
        n_units=rates.size,
        n_inputs=n_inputs,
        n_constant=int((~varying).sum()),
    )


def _pairwise(
    data: NDArray[Any], n_units: int | None, n_inputs: int | None, grid: Floats
) -> Sample:
    from spinnet.tails.information.pairwise_heat import pairwise_sample

    _refuse_n_inputs(n_inputs)
    if data.ndim == 1:
        raise InputError(
            "data must be patterns of shape (n_inputs, n_units) for 'pairwise', got shape "
            f"{data.shape}"
        )
    return pairwise_sample(*_rows(data, n_units), grid)


def _check_rates(data: NDArray[Any], n_units: int | None) -> Floats:
    rates = finite_array("data", data, ndim=1)
    bad = (rates < 0.0) | (rates > 1.0)
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"data must be rates in [0, 1], got {int(bad.sum())} other value(s), the first at "
            f"index ({first},): {rates[first]}"
        )
    if rates.size == 0 or n_units not in (None, rates.size):
        raise InputError(f"data must hold the rate of each of n_units units, got {rates.size}")
    return rates


def _refuse_n_inputs(n_inputs: int | None) -> None:
    if n_inputs is not None:
        raise InputError("n_inputs goes with rates only; elsewhere the data tell it")


_SAMPLES: dict[str, Callable[[NDArray[Any], int | None, int | None, Floats], Sample]] = {
    "plug-in": _plug_in,
    "population-count": _population,
    "pairwise": _pairwise,
    "independent": _independent,
}


def _replicates(sample: Sample, n: int, seed: np.random.SeedSequence, progress: bool) -> Floats:
    """Return C(T) of `n` resamples, shape (n, n_temperatures)."""
    random = generator(seed)
    drawn = np.empty((n, sample.heat.size))
    with progress_bar(n, progress and n > 0, "resample") as bar:
        for row in drawn:
            row[:] = sample.replicate(random)
            bar.update()
    return drawn


def _interval(estimate: float, drawn: Floats) -> tuple[float, float]:
    """Return the 95 % interval of a bias-corrected bootstrap, widened by a bias beyond one s.d."""
    if drawn.size < 2:
        return math.nan, math.nan
    bias, error = float(drawn.mean()) - estimate, float(drawn.std(ddof=1))
    half = _NORMAL_95 * error + (abs(bias) if abs(bias) > error else 0.0)
    return estimate - bias - half, estimate - bias + half


def _peak(heat: Floats, drawn: Floats, grid: Floats, reliable: NDArray[np.bool_]) -> Peak:
    place, height, at_end = thermo.top_of(heat, grid)
    tops = np.array([thermo.top_of(row, grid)[:2] for row in drawn]).reshape(-1, 2)
    low, high = _interval(place, tops[:, 0])
    return Peak(
        temperature=place,
        specific_heat=height,
        temperature_interval=(max(low, float(grid[0])), min(high, float(grid[-1]))),
        interval=_interval(height, tops[:, 1]),
        at_end=at_end,
        reliable=bool(reliable[int(np.argmax(heat))]),
    )


def _result(
    sample: Sample, drawn: Floats, estimator: str, grid: Floats, seed: np.random.SeedSequence
) -> SpecificHeat:
    heat, per_unit = sample.heat / sample.n_units, drawn / sample.n_units
    per_unit = per_unit[np.isfinite(per_unit).all(axis=1)]
    enough = len(per_unit) > 1
    nothing = np.full(grid.size, np.nan)
    peak = _peak(heat, per_unit, grid, sample.reliable)
    return SpecificHeat(
        temperatures=grid,
        specific_heat=heat,
        error=per_unit.std(axis=0, ddof=1) if enough else nothing,
        bias=per_unit.mean(axis=0) - heat if enough else nothing,
        reliable=sample.reliable,
        peak=peak,
        states=sample.states,
        estimator=estimator,
        coverage=sample.coverage,
        n_units=sample.n_units,
        n_inputs=sample.n_inputs,
        n_constant=sample.n_constant,
        warnings=_notes(sample, estimator, grid, peak) + _failures(len(drawn), len(per_unit)),
        n_bootstrap=len(per_unit),
        seed=seed_record(seed) if len(drawn) else None,
        version=spinnet.__version__,
    )


def _failures(n_drawn: int, n_good: int) -> tuple[str, ...]:
    if n_drawn == n_good:
        return ()
    return (
        f"{n_drawn - n_good} of {n_drawn} resamples have no pairwise law of finite couplings; "
        "errors are those of the others, and may be too small",
    )


def _notes(sample: Sample, estimator: str, grid: Floats, peak: Peak) -> tuple[str, ...]:
    notes = []
    if estimator == "plug-in" and sample.coverage < MIN_COVERAGE:
        notes.append(f"coverage {sample.coverage:.3f} < {MIN_COVERAGE}: C(T) is far too small")
    if estimator == "plug-in" and (grid > 1.0).any():
        notes.append("above T = 1 it is an extrapolation: patterns never seen would matter there")
    elif not sample.reliable.all():
        few = grid[~sample.reliable]
        notes.append(
            f"at T from {few[0]:.3g} to {few[-1]:.3g} it rests on what was seen fewer than "
            f"{FEWEST} times"
        )
    if sample.n_constant:
        notes.append(f"{sample.n_constant} unit(s) never change and add nothing")
    if peak.at_end:
        notes.append("C(T) has no maximum inside the range of temperatures")
    elif not peak.reliable:
        notes.append("the maximum of C(T) lies where the estimate is unreliable")
    return tuple(notes)
