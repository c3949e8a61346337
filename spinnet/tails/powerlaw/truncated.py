r"""Doubly truncated power laws, p(x) ~ x^-alpha on [xmin, xmax], for any real exponent.

With both bounds known the likelihood is concave in alpha and has a maximum whatever its sign:
alpha = 1, the uniform law alpha = 0 and growing laws alpha < 0 are ordinary values (Deluca and
Corral, Acta Geophys. 61, 1351 (2013)).  The compiled kernels are in ``bounded``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.observations import Observations, log_ratio, read
from spinnet.tails.powerlaw.options import (
    CONVENTIONS,
    check_bound,
    law_arguments,
    resolve_kind,
)
from spinnet.tails.powerlaw.p_values import p_text, share_as_far
from spinnet.validation import choice, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_DRAWN_POINTS = 200


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
        array = law_arguments(x)
        inside = (array >= self.xmin) & (array <= self.xmax)
        if self.discrete:
            inside &= array == np.rint(array)
        y = log_ratio(np.where(inside, array, self.xmin), self.xmin)
        density = np.where(inside, np.exp(-self.alpha * y - self._log_norm), 0.0)
        return np.where(np.isnan(array), math.nan, density)

    def sf(self, x: ArrayLike) -> Floats:
        """Return P(X >= x); for integers it includes x itself, and x is rounded up."""
        from spinnet.tails.powerlaw.laws import survivals

        array = np.maximum(law_arguments(x), self.xmin)
        array = np.ceil(array) if self.discrete else array
        y = log_ratio(array, self.xmin)
        law = (self.xmin, self.alpha, self.discrete, self.xmax)
        values = survivals(array.ravel(), y.ravel(), *law).reshape(array.shape)
        return np.asarray(np.minimum(values, 1.0))

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
                f"  {p_text(self.p_value, self.p_value_error, self.n_bootstrap - self.n_failed)} "
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
        from spinnet.tails.powerlaw.drawing import thinned

        ax = plotting.axes(ax)
        inside = slice(*_bounds_index(self._data, self.xmin, self.xmax))
        values, counts = self._data.values[inside], self._data.counts[inside]
        share = np.cumsum(counts[::-1])[::-1] / counts.sum()
        kept = thinned(values.size)
        plotting.points(ax, values[kept], share[kept], label="data", size=2.2)
        grid = np.geomspace(self.xmin, self.xmax, _DRAWN_POINTS)
        grid = np.unique(np.rint(grid)) if self.discrete else grid
        label = rf"$\alpha = {self.alpha:.2f} \pm {self.alpha_error:.2f}$"
        if self.n_bootstrap:
            label += f", ${p_text(self.p_value, None, self.n_bootstrap - self.n_failed)}$"
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
    from spinnet.tails.powerlaw.bounded import law_moments
    from spinnet.tails.powerlaw.ks_search import within

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
    distance, alpha = within(values, log_ratio(values, xmin), counts, xmin, xmax, discrete, code)
    if not math.isfinite(alpha):
        raise StatisticsError(
            f"all {n_fitted} values within [{xmin}, {xmax}] lie on one bound ({values[0]}) to "
            "rounding: the exponent is infinite",
            estimate=record,
        )
    log_norm, _, variance = law_moments(alpha, xmin, xmax, discrete)
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


def _with_p_value(
    fit: TruncatedPowerLawFit, n_bootstrap: int, seed: np.random.SeedSequence, progress: bool
) -> TruncatedPowerLawFit:
    from spinnet.tails.powerlaw.truncated_bootstrap import distances

    p, error, n_failed = share_as_far(
        distances(fit, seed.spawn(n_bootstrap), progress), fit.ks_distance
    )
    return replace(
        fit,
        p_value=p,
        p_value_error=error,
        n_bootstrap=n_bootstrap,
        n_failed=n_failed,
        seed=seed_record(seed),
    )
