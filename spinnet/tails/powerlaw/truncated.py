r"""Doubly truncated power laws, p(x) ~ x^-alpha on [xmin, xmax], for any real exponent.

With both bounds known the likelihood is concave in alpha and has a maximum whatever its sign:
alpha = 1, the uniform law alpha = 0 and growing laws alpha < 0 are ordinary values (Deluca and
Corral, Acta Geophys. 61, 1351 (2013)).  The compiled kernels are in ``bounded``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, StatisticsError
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.observations import Observations, log_ratio, read
from spinnet.validation import choice, finite_array, integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

CONVENTIONS = {"left": 0, "csn": 1, "two-sided": 2}
_TABLE = 4096  # integers drawn from a table; those beyond by rejection
_DRAWN_POINTS = 200
_LARGEST_INTEGER = 2.0**53


@dataclass(frozen=True)
class TruncatedPowerLawFit:
    """A power law fitted between two bounds.

    Attributes
    ----------
    alpha : float
        Exponent of p(x) ~ x^-alpha; any real number.
    alpha_error : float
        One over the root of the Fisher information, n Var(ln x), at given bounds.
    xmin, xmax : float
        Bounds of the support.
    xmin_fixed, xmax_fixed : bool
        Whether they were given; else they are the extremes of the data, their
        maximum-likelihood values.
    n, n_fitted : int
        Number of observations, and of those within the bounds.
    ks_distance : float
        Kolmogorov-Smirnov distance within the bounds, in the given `convention`.
    log_likelihood : float
        Of the points within the bounds.
    decades : float
        log10(xmax/xmin).
    discrete, discrete_detected : bool
        Whether integers were fitted, and whether that was decided from the data.
    convention : str
        Of the distance: ``"csn"``, ``"left"`` or ``"two-sided"``.
    p_value, p_value_error : float
        Share of data sets drawn from the fit and fitted again (with bounds that were not given
        taken from each) whose distance reaches the observed one, and its binomial error.  NaN
        without a bootstrap.
    n_bootstrap, n_failed : int
        Replicates asked for, and how many could not be fitted.
    seed : mapping or None
        What makes the bootstrap again.
    version : str
        Of spinnet.
    """

    alpha: float
    alpha_error: float
    xmin: float
    xmax: float
    xmin_fixed: bool
    xmax_fixed: bool
    n: int
    n_fitted: int
    ks_distance: float
    log_likelihood: float
    decades: float
    discrete: bool
    discrete_detected: bool
    convention: str
    p_value: float
    p_value_error: float
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object] | None
    version: str
    _data: Observations = field(repr=False, compare=False)

    @property
    def _log_norm(self) -> float:
        from spinnet.tails.powerlaw.bounded import law_moments

        return float(law_moments(self.alpha, self.xmin, self.xmax, self.discrete)[0])

    def pdf(self, x: ArrayLike) -> Floats:
        """Return the density (for integers the probability) at `x`; zero outside the bounds."""
        array = finite_array("x", x)
        inside = (array >= self.xmin) & (array <= self.xmax)
        if self.discrete:
            inside &= array == np.rint(array)
        y = log_ratio(np.where(inside, array, self.xmin), self.xmin)
        return np.where(inside, np.exp(-self.alpha * y - self._log_norm), 0.0)

    def sf(self, x: ArrayLike) -> Floats:
        """Return P(X >= x); for integers it includes x itself, and x is rounded up."""
        from spinnet.tails.powerlaw.bounded import survivals

        array = finite_array("x", x)
        array = np.ceil(array) if self.discrete else array
        beyond = array > self.xmax
        inside = np.clip(array, self.xmin, self.xmax).ravel()
        values = survivals(
            inside, self.alpha, self.xmin, self.xmax, self._log_norm, self.discrete
        ).reshape(array.shape)
        return np.where(beyond, 0.0, np.minimum(values, 1.0))

    def summary(self) -> str:
        """Return a few lines for people."""
        kind = "integers" if self.discrete else "real numbers"
        low = "given" if self.xmin_fixed else "smallest value"
        high = "given" if self.xmax_fixed else "largest value"
        lines = [
            f"truncated power law on {kind}: {self.n_fitted} of {self.n} points "
            f"({self.decades:.2f} decades)",
            f"  alpha = {self.alpha:.4f} +- {self.alpha_error:.4f}",
            f"  xmin  = {self.xmin:.6g} ({low}), xmax = {self.xmax:.6g} ({high})",
            f"  KS distance = {self.ks_distance:.5f} ({self.convention})",
        ]
        if self.n_bootstrap:
            lines.append(
                f"  p = {self.p_value:.3f} +- {self.p_value_error:.3f} "
                f"({self.n_bootstrap} replicates, {self.n_failed} not fitted)"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The data are left out."""
        record: dict[str, object] = {"schema": 1, "kind": "truncated-power-law-fit"}
        for name in self.__dataclass_fields__:
            if not name.startswith("_"):
                value = getattr(self, name)
                record[name] = None if isinstance(value, float) and math.isnan(value) else value
        record["seed"] = None if self.seed is None else dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw P(X >= x) of the points within the bounds, and the fit; return the axes."""
        from spinnet import plotting

        ax = plotting.axes(ax)
        inside = slice(*_bounds_index(self._data, self.xmin, self.xmax))
        values, counts = self._data.values[inside], self._data.counts[inside]
        share = np.cumsum(counts[::-1])[::-1] / counts.sum()
        kept = plotting.thinned(values.size, _DRAWN_POINTS)
        kept = np.union1d(kept, values.size - 1 - kept)
        plotting.points(ax, values[kept], share[kept], label="data", size=2.2)
        grid = np.geomspace(self.xmin, self.xmax, _DRAWN_POINTS)
        grid = np.unique(np.rint(grid)) if self.discrete else grid
        label = rf"$\alpha = {self.alpha:.2f} \pm {self.alpha_error:.2f}$"
        if self.n_bootstrap:
            label += f", p = {self.p_value:.2f}"
        survival = self.sf(grid)
        plotting.line(ax, grid, np.where(survival > 0.0, survival, np.nan), label=label)
        ax.set(xscale="log", yscale="log", xlabel="$x$", ylabel=r"$P(X \geq x)$")
        ax.legend(frameon=False)
        return ax


def fit_truncated(
    x: ArrayLike,
    xmin: float | None = None,
    xmax: float | None = None,
    discrete: bool | None = None,
    *,
    counts: ArrayLike | None = None,
    convention: str = "csn",
    min_tail: int = 10,
    n_bootstrap: int = 0,
    rng: RandomState = None,
    progress: bool = False,
) -> TruncatedPowerLawFit:
    r"""Fit p(x) ~ x^-alpha on [xmin, xmax] by maximum likelihood, for any real alpha.

    Parameters
    ----------
    x : array_like
        One-dimensional, finite, > 0.  Points outside the bounds are left out.
    xmin, xmax : float, optional
        Bounds of the support (integers for integer data); the extremes of `x` by default.
    discrete : bool, optional
        Fit integers or real numbers.  Decided by default: integers if all of `x` are whole.
    counts : array_like, optional
        How often each entry of `x` occurs; once each by default.
    convention : {"csn", "left", "two-sided"}
        Which steps of the empirical distribution enter the distance, as in ``fit_power_law``.
    min_tail : int
        Smallest number of points within the bounds.
    n_bootstrap : int
        Replicates of the parametric bootstrap for the p-value.
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstrap.
    progress : bool
        Show a bar of the replicates.

    Returns
    -------
    TruncatedPowerLawFit

    Raises
    ------
    InputError
        NaN, infinite or non-positive values; fractions with ``discrete=True``; xmin >= xmax.
    StatisticsError
        Fewer than `min_tail` points within the bounds, or all of them on one bound.

    Notes
    -----
    Newton's method on E_alpha[ln x] = mean of ln x; the normaliser is (1 - e^-u)/u with
    u = (alpha - 1) ln(xmax/xmin) for real numbers, and a sum in O(1) terms for integers.  The
    bootstrap draws `n_fitted` points per replicate: O(n_fitted) time.

    Examples
    --------
    >>> import numpy as np
    >>> u = np.random.default_rng(1).random(4000)
    >>> fit = fit_truncated(100.0**u, 1.0, 100.0)  # p(x) ~ 1/x
    >>> bool(abs(fit.alpha - 1.0) < 4 * fit.alpha_error)
    True
    """
    choice("convention", convention, tuple(CONVENTIONS))
    min_tail = integer("min_tail", min_tail, minimum=2)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    seed = seed_sequence(rng)
    data = read(x, counts)
    kind = resolve_kind(discrete, data)
    low = None if xmin is None else check_bound("xmin", xmin, kind)
    high = None if xmax is None else check_bound("xmax", xmax, kind)
    fit = fit_within(
        data,
        low,
        high,
        discrete=kind,
        detected=discrete is None,
        convention=convention,
        min_tail=min_tail,
    )
    if n_bootstrap == 0:
        return fit
    return _with_p_value(fit, n_bootstrap, seed, progress)


def resolve_kind(discrete: bool | None, data: Observations) -> bool:
    """Return whether to fit integers; refuse fractions where integers were asked for."""
    if discrete is None:
        return data.integers
    if not isinstance(discrete, (bool, np.bool_)):
        raise InputError(f"discrete must be True, False or None, got {discrete!r:.80}")
    if discrete and data.n and not data.integers:
        fractions = data.values != np.rint(data.values)
        example = data.values[np.argmax(fractions)] if fractions.any() else data.values[-1]
        raise InputError(
            f"discrete=True needs whole numbers <= 2^53, got {int(fractions.sum())} distinct "
            f"fraction(s), the smallest {example}; use discrete=False, or divide by the unit of "
            "the data"
        )
    return bool(discrete)


def check_bound(name: str, value: float, discrete: bool) -> float:
    """Return a bound > 0, an integer up to 2^53 for integer data."""
    bound = positive_float(name, value)
    if discrete and not (bound.is_integer() and bound <= _LARGEST_INTEGER):
        raise InputError(f"{name} must be an integer from 1 to 2^53 for integer data, got {bound}")
    return bound


def _bounds_index(data: Observations, xmin: float, xmax: float) -> tuple[int, int]:
    first = int(np.searchsorted(data.values, xmin))
    return first, int(np.searchsorted(data.values, xmax, side="right"))


def fit_within(
    data: Observations,
    low: float | None,
    high: float | None,
    *,
    discrete: bool,
    detected: bool,
    convention: str,
    min_tail: int,
) -> TruncatedPowerLawFit:
    """Fit checked data within checked bounds (None: the extreme of the data)."""
    from spinnet.tails.powerlaw.bounded import fit_bounded, law_moments

    if data.n == 0:
        raise StatisticsError("x holds no value: there is nothing to fit", estimate={"n": 0})
    xmin = float(data.values[0]) if low is None else low
    xmax = float(data.values[-1]) if high is None else high
    if not xmin < xmax and not (low is None and high is None):
        raise InputError(f"xmin must be < xmax, got xmin={xmin}, xmax={xmax}")
    first, last = _bounds_index(data, xmin, xmax)
    values, counts = data.values[first:last], data.counts[first:last]
    n_fitted = int(counts.sum())
    record = {"n": data.n, "n_fitted": n_fitted, "n_distinct": values.size, "min_tail": min_tail}
    if n_fitted < min_tail:
        raise StatisticsError(
            f"[{xmin}, {xmax}] holds {n_fitted} value(s), fewer than min_tail={min_tail}; widen "
            "the bounds or lower min_tail",
            estimate=record,
        )
    code = CONVENTIONS[convention]
    alpha, log_norm, distance = fit_bounded(values, counts, xmin, xmax, discrete, code)
    if not math.isfinite(alpha):
        raise StatisticsError(
            f"all {n_fitted} values within [{xmin}, {xmax}] lie on one bound ({values[0]}) to "
            "rounding: the exponent is infinite",
            estimate=record,
        )
    _, mean, variance = law_moments(alpha, xmin, xmax, discrete)
    mean = float(counts @ log_ratio(values, xmin)) / n_fitted
    return TruncatedPowerLawFit(
        alpha=float(alpha),
        alpha_error=1.0 / math.sqrt(n_fitted * variance) if variance > 0.0 else math.nan,
        xmin=xmin,
        xmax=xmax,
        xmin_fixed=low is not None,
        xmax_fixed=high is not None,
        n=data.n,
        n_fitted=n_fitted,
        ks_distance=float(distance),
        log_likelihood=-n_fitted * (alpha * mean + float(log_norm)),
        decades=float(log_ratio(xmax, xmin)) / math.log(10.0),
        discrete=discrete,
        discrete_detected=detected,
        convention=convention,
        p_value=math.nan,
        p_value_error=math.nan,
        n_bootstrap=0,
        n_failed=0,
        seed=None,
        version=spinnet.__version__,
        _data=data,
    )


class Sampler:
    """Draws of the fitted law, reduced to sorted distinct values and counts.

    Integers: those at the heavy end come from a table, all others by rejection.
    """

    def __init__(self, alpha: float, xmin: float, xmax: float, discrete: bool) -> None:
        self._alpha, self._bounds = alpha, (xmin, xmax)
        self._masses: Floats | None = None
        if not discrete:
            return
        width = min(float(_TABLE), xmax - xmin + 1.0)
        first = xmin if alpha >= 0.0 else xmax - width + 1.0
        self._table = first + np.arange(width)
        self._others = (xmin + width, xmax) if alpha >= 0.0 else (xmin, first - 1.0)
        self._masses = _table_masses(self._table, alpha, xmin, xmax)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return sorted values and their counts, `n` draws in all."""
        from spinnet.tails.powerlaw.bounded import quantiles

        if self._masses is None:
            # sorted uniform numbers are normalised partial sums of exponential ones (Renyi)
            sums = np.cumsum(rng.standard_exponential(n + 1))
            return quantiles(sums[:-1] / sums[-1], self._alpha, *self._bounds), np.ones(n)
        hits = rng.multinomial(n, self._masses)
        seen = np.flatnonzero(hits[:-1])
        values, counts = self._table[seen], hits[seen].astype(np.float64)
        if not hits[-1]:
            return values, counts
        others = draw_integers(int(hits[-1]), self._alpha, *self._others, rng)
        beyond, times = np.unique(others, return_counts=True)
        values, counts = np.append(values, beyond), np.append(counts, times)
        order = np.argsort(values)
        return values[order], counts[order]


def _table_masses(table: Floats, alpha: float, xmin: float, xmax: float) -> Floats:
    """Return the probabilities of the integers of `table`, and last that of all others."""
    from spinnet.tails.powerlaw.bounded import law_moments

    log_norm = float(law_moments(alpha, xmin, xmax, True)[0])
    masses = np.exp(-alpha * np.log1p((table - xmin) / xmin) - log_norm)
    rest = 0.0 if table.size == xmax - xmin + 1.0 else max(0.0, 1.0 - float(masses.sum()))
    masses = np.append(masses, rest)
    return np.asarray(masses / masses.sum())


def draw_integers(
    n: int, alpha: float, xmin: float, xmax: float, rng: np.random.Generator
) -> Floats:
    """Return `n` integers of the law x^-alpha on xmin..xmax, by rejection.

    Real numbers of the same law on [xmin - 1/2, xmax + 1/2] are rounded, and kept in proportion
    to x^-alpha over the integral of its cell, a ratio near 1 for integers far above abs(alpha).
    """
    from spinnet.tails.powerlaw.bounded import quantiles

    # the ratio exceeds 1 for concave powers only, most at the smallest integer
    bound = max(1.0, 1.0 / float(_cell_ratio(alpha, 0.5 / xmin)))
    kept = []
    missing = n
    while missing > 0:
        u = rng.random(int(1.1 * missing) + 16)
        x = np.rint(quantiles(u, alpha, xmin - 0.5, xmax + 0.5))
        x = np.clip(x, xmin, xmax)  # a half may round outwards
        accepted = x[rng.random(x.size) * bound < 1.0 / _cell_ratio(alpha, 0.5 / x)]
        kept.append(accepted[:missing])
        missing -= kept[-1].size
    return np.concatenate(kept)


def _cell_ratio(alpha: float, h: ArrayLike) -> Floats:
    """Return int_(x-1/2)^(x+1/2) (u/x)^-alpha du, given h = 1/(2x) < 1."""
    step = np.asarray(h)
    low, high = np.log1p(-step), np.log1p(step)
    power = 1.0 - alpha
    if abs(power) < 1e-12:
        return np.asarray((high - low) / (2.0 * step))
    return np.asarray((np.expm1(power * high) - np.expm1(power * low)) / (2.0 * step * power))


def distances(
    fit: TruncatedPowerLawFit, streams: list[np.random.SeedSequence], progress: bool = False
) -> Floats:
    """Return the distance of one replicate per stream, NaN where it cannot be fitted."""
    from spinnet.tails.powerlaw.bounded import fit_bounded

    sampler = Sampler(fit.alpha, fit.xmin, fit.xmax, fit.discrete)
    code = CONVENTIONS[fit.convention]
    result = np.full(len(streams), math.nan)
    with progress_bar(len(streams), progress, "replicate") as bar:
        for r, stream in enumerate(streams):
            values, counts = sampler.draw(fit.n_fitted, np.random.default_rng(stream))
            low = fit.xmin if fit.xmin_fixed else values[0]
            high = fit.xmax if fit.xmax_fixed else values[-1]
            if low < high:
                result[r] = fit_bounded(values, counts, low, high, fit.discrete, code)[2]
            bar.update()
    return result


def _with_p_value(
    fit: TruncatedPowerLawFit, n_bootstrap: int, seed: np.random.SeedSequence, progress: bool
) -> TruncatedPowerLawFit:
    from dataclasses import replace

    drawn = distances(fit, seed.spawn(n_bootstrap), progress)
    valid = drawn[np.isfinite(drawn)]
    p = float((valid >= fit.ks_distance).mean()) if valid.size else math.nan
    return replace(
        fit,
        p_value=p,
        p_value_error=math.sqrt(p * (1.0 - p) / valid.size) if valid.size else math.nan,
        n_bootstrap=n_bootstrap,
        n_failed=n_bootstrap - valid.size,
        seed=seed_record(seed),
    )
