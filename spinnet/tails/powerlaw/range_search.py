r"""The widest range [xmin, xmax] over which data follow a power law.

Corral and Deluca (Acta Geophys. 61, 1351 (2013)): among all ranges whose doubly truncated fit has
a goodness-of-fit p-value above p_c, the one with the largest xmax/xmin.  Bounds run over a
logarithmic grid; p comes from a Monte Carlo test with the range kept and alpha fitted again.

Ranges are tried from the widest down, and the search stops at the first that passes, so that only
wider, rejected ranges cost anything.  A test stops as soon as its outcome is settled:

* before any replicate, if D > 3/sqrt(n): the chance of so large a distance from a known law is
  below 2 exp(-18) = 3e-8 (Massart, Ann. Probab. 18, 1269 (1990)), and a fitted one is nearer;
* when the replicates left cannot change whether p > p_c;
* when a binomial law of share p_c would give so few (or so many) exceedances with probability
  below 1e-4, looked at after 50, 100, 200, ... replicates.

A second stage divides the grid around the range found and looks for a wider one there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, StatisticsError
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.observations import Observations, read
from spinnet.tails.powerlaw.options import CONVENTIONS, check_bound, resolve_kind
from spinnet.tails.powerlaw.truncated import TruncatedPowerLawFit, fit_within
from spinnet.tails.powerlaw.truncated_bootstrap import distances
from spinnet.validation import choice, finite_float, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_HOPELESS = 3.0  # D sqrt(n) beyond which no replicate is drawn
_BATCH = 50
_CERTAIN = 1e-4


@dataclass(frozen=True)
class RangeFit:
    """The widest range that passed, and every range that was tried.

    Attributes
    ----------
    fit : TruncatedPowerLawFit
        Of the range found, with its p-value.
    p_threshold : float
        p_c: ranges with p above it pass.
    xmin_grid, xmax_grid : ndarray
        Bounds tried in the first stage, increasing; two views of one grid.
    p_values : ndarray, shape (n_grid, n_grid)
        p over (xmin, xmax) of the first stage; NaN where a range was not tried: narrower than
        the one found, too few points, or xmin >= xmax.  A test that stopped early has the p of
        its replicates so far, 0 where D alone settled it.
    alphas : ndarray, shape (n_grid, n_grid)
        Exponents of the ranges tried; NaN elsewhere.
    n_tested : int
        Ranges tried in both stages.
    n_replicates : int
        Replicates drawn in all.
    refined : bool
        Whether the second stage found a wider range.
    n_bootstrap : int
        Most replicates per range.
    seed : mapping
        What makes the search again.
    version : str
        Of spinnet.
    """

    fit: TruncatedPowerLawFit
    p_threshold: float
    xmin_grid: Floats
    xmax_grid: Floats
    p_values: Floats
    alphas: Floats
    n_tested: int
    n_replicates: int
    refined: bool
    n_bootstrap: int
    seed: Mapping[str, object]
    version: str

    @property
    def alpha(self) -> float:
        """Exponent over the range found."""
        return self.fit.alpha

    @property
    def xmin(self) -> float:
        """Lower bound of the range found."""
        return self.fit.xmin

    @property
    def xmax(self) -> float:
        """Upper bound of the range found."""
        return self.fit.xmax

    @property
    def p_value(self) -> float:
        """Of the range found; above `p_threshold` by selection, so that it tests nothing."""
        return self.fit.p_value

    def summary(self) -> str:
        """Return a few lines for people."""
        fit = self.fit
        return (
            f"widest power-law range (p > {self.p_threshold:g}): {fit.xmin:.6g} .. {fit.xmax:.6g} "
            f"({fit.decades:.2f} decades), {fit.n_fitted} of {fit.n} points\n"
            f"  alpha = {fit.alpha:.4f} +- {fit.alpha_error:.4f} (at this range), "
            f"p = {fit.p_value:.3f}\n"
            f"  {self.n_tested} ranges tried, {self.n_replicates} replicates"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The data are left out."""
        from spinnet.files import finite_or_null

        arrays = ("xmin_grid", "xmax_grid", "p_values", "alphas")
        record: dict[str, object] = {"schema": 1, "kind": "range-fit", "fit": self.fit.to_dict()}
        for name in self.__dataclass_fields__:
            if name != "fit":
                value = getattr(self, name)
                record[name] = finite_or_null(value.tolist()) if name in arrays else value
        record["seed"] = dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map of p over (xmin, xmax), the range found marked; return the axes."""
        from spinnet import plotting

        ax = plotting.axes(ax)
        edges = 10.0 ** plotting.cell_edges(np.log10(self.xmin_grid))
        mesh = ax.pcolormesh(edges, edges, self.p_values.T, vmin=0.0, vmax=1.0, cmap="cividis")
        figure = ax.get_figure()
        if figure is not None:
            figure.colorbar(mesh, ax=ax, label="$p$ (white: not tried)")
        label = rf"widest with $p > {self.p_threshold:g}$: $\alpha = {self.alpha:.2f}$"
        plotting.points(
            ax, [self.xmin], [self.xmax], label=label, color=plotting.VERMILLION, marker="s"
        )
        ax.set(xscale="log", yscale="log", xlabel=r"$x_\min$", ylabel=r"$x_\max$")
        ax.legend(frameon=False, loc="lower right")
        return ax


def fit_range(
    x: ArrayLike,
    discrete: bool | None = None,
    *,
    p_threshold: float = 0.1,
    n_bootstrap: int = 1000,
    n_grid: int = 24,
    min_tail: int = 100,
    full_map: bool = False,
    counts: ArrayLike | None = None,
    convention: str = "csn",
    rng: RandomState = None,
    progress: bool = False,
) -> RangeFit:
    r"""Find the widest range over which `x` follows a doubly truncated power law.

    Parameters
    ----------
    x : array_like
        One-dimensional, finite, > 0.
    discrete : bool, optional
        Fit integers or real numbers; decided from the data by default.
    p_threshold : float
        p_c in (0, 1): a range passes if its p-value exceeds it.
    n_bootstrap : int
        Most replicates per range; at least 50.
    n_grid : int
        Bounds per axis, spaced evenly in ln x from the smallest to the largest value.
    min_tail : int
        Fewest points of a range.  Small samples pass for want of power.
    full_map : bool
        Try every range of the first stage, for the map of p, not only down to the first pass.
    counts : array_like, optional
        How often each entry of `x` occurs; once each by default.
    convention : {"csn", "left", "two-sided"}
        Of the distance.
    rng : None, int, SeedSequence or Generator
        Randomness of the tests.  Each range has its own stream, the same with and without
        `full_map`.
    progress : bool
        Show a bar of the ranges.

    Returns
    -------
    RangeFit

    Raises
    ------
    InputError
        Bad values or options.
    StatisticsError
        No range passes; ``.estimate`` holds the map.

    Notes
    -----
    Cost: at most n_grid^2 / 2 + 64 ranges; one that is plainly rejected costs one fit or 50 to
    100 replicates, one near the threshold `n_bootstrap`, each O(points in the range).
    The distance weighs shares of all points: a far end that holds few of them may deviate and still
    pass (of 4000 points, 20 foreign ones did).  Look at ``.fit.plot()``.
    The search maximises over ranges, so the p-value of the result is no test of the law, and its
    error holds for the range as given.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> x = (1.0 - rng.random(2000) * (1.0 - 1e-3)) ** -1.0  # alpha = 2 on [1, 1000]
    >>> found = fit_range(x, n_bootstrap=100, rng=1)
    >>> bool(abs(found.alpha - 2.0) < 0.1), found.fit.decades > 2.5
    (True, True)
    """
    code = choice("convention", convention, tuple(CONVENTIONS))
    threshold = finite_float("p_threshold", p_threshold)
    if not 0.0 < threshold < 1.0:
        raise InputError(f"p_threshold must lie strictly between 0 and 1, got {threshold}")
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=_BATCH)
    n_grid = integer("n_grid", n_grid, minimum=2, maximum=1000)
    min_tail = integer("min_tail", min_tail, minimum=10)
    if not isinstance(full_map, (bool, np.bool_)):
        raise InputError(f"full_map must be True or False, got {full_map!r:.80}")
    seed = seed_sequence(rng)
    data = read(x, counts)
    kind = resolve_kind(discrete, data)
    if data.n < min_tail or data.values.size < 2:
        raise StatisticsError(
            f"x has {data.n} value(s), {data.values.size} of them distinct; a range needs at "
            f"least min_tail={min_tail}, not all equal",
            estimate={"n": data.n, "n_distinct": int(data.values.size), "min_tail": min_tail},
        )
    search = _Search(
        data, kind, discrete is None, code, threshold, n_bootstrap, min_tail, seed_record(seed)
    )
    return _two_stages(search, n_grid, bool(full_map), seed, progress)


class _Search(NamedTuple):
    """What all tests share."""

    data: Observations
    discrete: bool
    detected: bool
    convention: str
    threshold: float
    n_bootstrap: int
    min_tail: int
    record: Mapping[str, object]


class _Trial(NamedTuple):
    fit: TruncatedPowerLawFit | None  # None: too few points, or all on one bound
    passed: bool
    n_replicates: int


def _two_stages(
    search: _Search, n_grid: int, full_map: bool, seed: np.random.SeedSequence, progress: bool
) -> RangeFit:
    coarse, fine = seed.spawn(2)
    grid = _grid(search.data.values[0], search.data.values[-1], n_grid, search.discrete)
    pairs = [(i, j) for i in range(grid.size) for j in range(i + 1, grid.size)]
    pairs.sort(key=lambda pair: (grid[pair[0]] / grid[pair[1]], pair))  # the widest first
    p_values, alphas = np.full((grid.size, grid.size), np.nan), np.full((grid.size,) * 2, np.nan)
    best: TruncatedPowerLawFit | None = None
    cell = (0, 0)
    tested = drawn = 0
    with progress_bar(len(pairs), progress, "range") as bar:
        for (i, j), stream in zip(pairs, coarse.spawn(len(pairs)), strict=True):
            trial = _test(search, grid[i], grid[j], stream)
            bar.update()
            if trial.fit is None:
                continue
            tested, drawn = tested + 1, drawn + trial.n_replicates
            p_values[i, j], alphas[i, j] = trial.fit.p_value, trial.fit.alpha
            if trial.passed and best is None:
                best, cell = trial.fit, (i, j)
                if not full_map:
                    break
    if best is None:
        raise StatisticsError(
            f"none of {tested} ranges between {grid[0]:.6g} and {grid[-1]:.6g} with at least "
            f"{search.min_tail} points passes p > {search.threshold:g}; take a finer grid or lower "
            "min_tail",
            estimate={"grid": grid, "p_values": p_values, "alphas": alphas},
        )
    wider, more_tested, more_drawn = _refine(search, grid, cell, best, fine)
    return RangeFit(
        fit=wider or best,
        p_threshold=search.threshold,
        xmin_grid=grid,
        xmax_grid=grid,
        p_values=p_values,
        alphas=alphas,
        n_tested=tested + more_tested,
        n_replicates=drawn + more_drawn,
        refined=wider is not None,
        n_bootstrap=search.n_bootstrap,
        seed=search.record,
        version=spinnet.__version__,
    )


_DIVISIONS = 8  # of each cell of the grid, in the second stage


def _refine(
    search: _Search,
    grid: Floats,
    cell: tuple[int, int],
    best: TruncatedPowerLawFit,
    seed: np.random.SeedSequence,
) -> tuple[TruncatedPowerLawFit | None, int, int]:
    """Look for a wider range with bounds between the neighbours of the grid points found."""
    i, j = cell
    lows = _grid(grid[max(i - 1, 0)], grid[i], _DIVISIONS + 1, search.discrete)
    highs = _grid(grid[j], grid[min(j + 1, grid.size - 1)], _DIVISIONS + 1, search.discrete)
    known = {(grid[a], grid[b]) for a in (i - 1, i) for b in (j, j + 1) if a >= 0 and b < grid.size}
    pairs = [(low, high) for low in lows for high in highs if (low, high) not in known]
    pairs.sort(key=lambda pair: (pair[0] / pair[1], pair))
    tested = drawn = 0
    for (low, high), stream in zip(pairs, seed.spawn(len(pairs)), strict=True):
        if low / high >= best.xmin / best.xmax:
            break
        trial = _test(search, low, high, stream)
        tested, drawn = tested + 1, drawn + trial.n_replicates
        if trial.passed:
            return trial.fit, tested, drawn
    return None, tested, drawn


def _grid(low: float, high: float, size: int, discrete: bool) -> Floats:
    """Return at most `size` increasing bounds, even in ln x; exact at both ends."""
    if low == high:
        return np.array([low])
    grid = np.exp(np.linspace(math.log(low), math.log(high), size))
    grid[0], grid[-1] = low, high
    return np.unique(np.rint(grid) if discrete else grid)


def _test(search: _Search, xmin: float, xmax: float, stream: np.random.SeedSequence) -> _Trial:
    """Fit one range and estimate its p-value as far as needed."""
    try:
        fit = fit_within(
            search.data,
            check_bound("xmin", xmin, search.discrete),
            check_bound("xmax", xmax, search.discrete),
            discrete=search.discrete,
            detected=search.detected,
            convention=search.convention,
            min_tail=search.min_tail,
        )
    except StatisticsError:
        return _Trial(None, False, 0)
    fit = replace(fit, n_bootstrap=0, seed=search.record, p_value=0.0, p_value_error=0.0)
    if fit.ks_distance * math.sqrt(fit.n_fitted) > _HOPELESS:
        return _Trial(fit, False, 0)
    larger = drawn = valid = 0
    while drawn < search.n_bootstrap:
        batch = min(max(drawn, _BATCH), search.n_bootstrap - drawn)
        found = distances(fit, stream.spawn(batch))
        drawn += batch
        valid += int(np.isfinite(found).sum())
        larger += int((found >= fit.ks_distance).sum())
        if _settled(larger, drawn, search.threshold, search.n_bootstrap):
            break
    p = larger / valid if valid else math.nan
    error = math.sqrt(p * (1.0 - p) / valid) if valid else math.nan
    fit = replace(fit, n_bootstrap=drawn, n_failed=drawn - valid, p_value=p, p_value_error=error)
    return _Trial(fit, p > search.threshold, drawn)


def _settled(larger: int, drawn: int, threshold: float, n_bootstrap: int) -> bool:
    """Return whether further replicates will not change, or almost surely not, if p > p_c."""
    from scipy.special import bdtr, bdtrc

    if larger > threshold * n_bootstrap or larger + n_bootstrap - drawn <= threshold * n_bootstrap:
        return True
    too_few = float(bdtr(larger, drawn, threshold))
    too_many = float(bdtrc(larger - 1, drawn, threshold)) if larger else 1.0
    return min(too_few, too_many) < _CERTAIN
