r"""Power-law tails, p(x) ~ x^-alpha for x >= xmin, by the method of Clauset, Shalizi and Newman.

CSN = SIAM Review 51, 661 (2009).  alpha is the maximum-likelihood estimate of the tail (eq. 3.1
for real numbers, eq. 3.5 for integers), xmin the cut-off among *all* values of the data at which
the fit lies nearest to the tail in Kolmogorov-Smirnov distance (section 3.3), and the p-value is
the semi-parametric bootstrap of section 4.1 in which xmin is searched for again.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.observations import Observations, log_ratio, read
from spinnet.validation import choice, integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.powerlaw.alternatives import LikelihoodRatio

Floats = NDArray[np.float64]

_CONVENTIONS = {"left": 0, "csn": 1, "two-sided": 2}
_ALTERNATIVES = ("lognormal", "exponential")
_MIN_DISTINCT = 10  # fewer distinct values have no tail to search
_DRAWN_POINTS = 400
_MAX_DRAWS = 100_000_000  # points of one replicate: each is drawn, at 8 bytes and more


@dataclass(frozen=True)
class PowerLawFit:
    """A fitted power-law tail.

    Attributes
    ----------
    alpha : float
        Exponent of the density (or probability mass) p(x) ~ x^-alpha.
    alpha_error : float
        Standard error of `alpha` *conditional on xmin* (CSN eq. 3.2, 3.6).  It covers less than
        its nominal level when xmin is estimated; see `alpha_bootstrap_error`.
    xmin : float
        Lower cut-off of the tail.
    n, n_tail : int
        Number of observations, and of those >= `xmin`.
    ks_distance : float
        Kolmogorov-Smirnov distance of the tail, in the given `convention`.
    log_likelihood : float
        Of the tail, at `alpha`.
    decades : float
        log10 of the largest value over `xmin`.
    discrete : bool
        Whether integers (zeta law) or real numbers (Pareto law) were fitted.
    discrete_detected : bool
        True if `discrete` was decided from the data: all whole numbers mean integers.
    xmin_fixed : bool
        Whether `xmin` was given.
    convention : str
        Of the distance: ``"csn"``, ``"left"`` or ``"two-sided"``.
    min_tail : int
        Smallest tail that was considered.
    p_value : float
        Share of semi-parametric replicates at least as far from their fit (CSN section 4.1).
        Small means that the power law is ruled out (CSN: below 0.1).  NaN without a bootstrap.
    p_value_error : float
        Binomial standard error of `p_value`.
    alpha_bootstrap_error, xmin_bootstrap_error : float
        Standard deviations over nonparametric resamples with xmin searched for again: the errors
        to quote when xmin is estimated.  NaN without a bootstrap.
    n_bootstrap, n_failed : int
        Replicates asked for, of each kind, and how many of both kinds could not be fitted.
    seed : mapping or None
        What makes the bootstrap again; None without one.
    version : str
        Of spinnet.
    """

    alpha: float
    alpha_error: float
    xmin: float
    n: int
    n_tail: int
    ks_distance: float
    log_likelihood: float
    decades: float
    discrete: bool
    discrete_detected: bool
    xmin_fixed: bool
    convention: str
    min_tail: int
    p_value: float
    p_value_error: float
    alpha_bootstrap_error: float
    xmin_bootstrap_error: float
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object] | None
    version: str
    _data: Observations = field(repr=False, compare=False)

    @cached_property
    def _log_norm(self) -> float:
        """The logarithm of Z in p(x) = (x/xmin)^-alpha / Z."""
        return _log_norm(self.alpha, self.xmin, self.discrete)

    def sf(self, x: ArrayLike) -> Floats:
        """Return P(X >= x | X >= xmin) of the fitted tail; 1 below xmin.

        For integers, P(X >= x) includes x itself (CSN eq. 2.7), and x is rounded up.
        """
        x = np.maximum(np.asarray(x, dtype=np.float64), self.xmin)
        if not self.discrete:
            return np.asarray(np.exp((1.0 - self.alpha) * log_ratio(x, self.xmin)))
        from spinnet.tails.zeta import hurwitz_values

        # zeta(alpha, x) itself underflows for steep laws at a large xmin
        x = np.minimum(np.ceil(x), np.finfo(np.float64).max)
        scaled = hurwitz_values(self.alpha, x.ravel()).reshape(x.shape)
        log_sf = np.log(scaled) - self._log_norm - self.alpha * log_ratio(x, self.xmin)
        return np.asarray(np.exp(log_sf))

    def compare(self, alternative: str) -> LikelihoodRatio:
        """Compare with another law on the same tail by Vuong's test (CSN section 5).

        Parameters
        ----------
        alternative : {"lognormal", "exponential"}
            Fitted by maximum likelihood to the points >= xmin, xmin kept.

        Returns
        -------
        LikelihoodRatio
            With ``.ratio`` > 0 favouring the power law, ``.normalized_ratio``, ``.p_value``,
            ``.degenerate``.
        """
        from spinnet.tails.powerlaw.alternatives import compare_tail

        choice("alternative", alternative, _ALTERNATIVES)
        start = np.searchsorted(self._data.values, self.xmin)
        return compare_tail(
            alternative,
            self._data.values[start:],
            self._data.counts[start:],
            xmin=self.xmin,
            alpha=self.alpha,
            log_norm=self._log_norm,
            discrete=self.discrete,
        )

    def summary(self) -> str:
        """Return a few lines for people."""
        kind = "integers" if self.discrete else "real numbers"
        found = " (detected)" if self.discrete_detected else ""
        chosen = "given" if self.xmin_fixed else "estimated"
        lines = [
            f"power law on {kind}{found}: n = {self.n}, tail {self.n_tail} "
            f"({self.decades:.2f} decades)",
            f"  alpha = {self.alpha:.4f} +- {self.alpha_error:.4f} (at fixed xmin)",
            f"  xmin  = {self.xmin:.6g} ({chosen})",
            f"  KS distance = {self.ks_distance:.5f} ({self.convention})",
        ]
        if self.n_bootstrap:
            lines += [
                f"  p = {self.p_value:.3f} +- {self.p_value_error:.3f}",
                f"  bootstrap errors: alpha {self.alpha_bootstrap_error:.4f}, "
                f"xmin {self.xmin_bootstrap_error:.4g} "
                f"({self.n_bootstrap} replicates, {self.n_failed} not fitted)",
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The data are left out."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        record: dict[str, object] = {"schema": 1, "kind": "power-law-fit"}
        for name in names:
            value = getattr(self, name)
            record[name] = None if isinstance(value, float) and math.isnan(value) else value
        record["seed"] = None if self.seed is None else dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw P(X >= x) of all data, the fit scaled by n_tail/n, and xmin; return the axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        values = self._data.values
        ccdf = np.cumsum(self._data.counts[::-1])[::-1] / self.n
        kept = _thinned(values.size)
        ax.loglog(values[kept], ccdf[kept], "o", ms=2.2, mfc="none", color="black", label="data")
        grid = np.geomspace(self.xmin, values[-1], 200)
        if self.discrete:
            grid = np.unique(np.rint(grid))
        label = rf"$\alpha = {self.alpha:.2f} \pm {self.alpha_error:.2f}$, tail {self.n_tail}"
        if self.n_bootstrap:
            label += f", p = {self.p_value:.2f}"
        ax.loglog(grid, self.sf(grid) * self.n_tail / self.n, color="#D55E00", label=label)
        ax.axvline(self.xmin, ls=":", color="0.5", label=rf"$x_\min = {self.xmin:.4g}$")
        ax.set_xlabel("$x$")
        ax.set_ylabel(r"$P(X \geq x)$")
        ax.legend(frameon=False)
        return ax


def fit_power_law(
    x: ArrayLike,
    discrete: bool | None = None,
    xmin: float | None = None,
    *,
    min_tail: int = 50,
    convention: str = "csn",
    n_bootstrap: int = 0,
    rng: RandomState = None,
    counts: ArrayLike | None = None,
) -> PowerLawFit:
    r"""Fit p(x) ~ x^-alpha, x >= xmin, with xmin searched for exactly among all the data.

    Parameters
    ----------
    x : array_like
        One-dimensional, finite, > 0.
    discrete : bool, optional
        Fit integers (zeta law) or real numbers (Pareto law).  Decided by default: integers if
        all of `x` are whole numbers up to 2^53; the decision is kept in the result.
    xmin : float, optional
        Lower cut-off, if known; an integer >= 1 for integers.  Estimated by default.
    min_tail : int
        Tails with fewer points are not considered.  A tail of a few points can lie arbitrarily
        near a steep power law.
    convention : {"csn", "left", "two-sided"}
        Which steps of the empirical distribution enter the distance.  ``"csn"`` is that of CSN's
        published code and fits, ``"two-sided"`` the textbook supremum, ``"left"`` looks at one
        side only.  They differ for small tails and for real numbers with ties.
    n_bootstrap : int
        Replicates of each of two bootstraps: the p-value, and the errors of alpha and xmin.
        The error of p is at most 1/(2 sqrt(n_bootstrap)).
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstraps.
    counts : array_like, optional
        How often each entry of `x` occurs (whole numbers >= 0); once each by default.

    Returns
    -------
    PowerLawFit

    Raises
    ------
    InputError
        NaN, infinite or non-positive values; fractions with ``discrete=True``; a bad option.
    StatisticsError
        Fewer than 10 distinct values, or no tail with `min_tail` points.

    Notes
    -----
    Every candidate xmin is covered: bounds on the distance let most of them be skipped without
    changing the result (``spinnet.tails.powerlaw.ks_search``).  Among equal distances the smallest
    xmin wins.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(1).pareto(1.5, 2000) + 1.0
    >>> fit = fit_power_law(x)
    >>> bool(abs(fit.alpha - 2.5) < 0.2), fit.discrete
    (True, False)
    """
    min_tail = integer("min_tail", min_tail, minimum=2)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    code = _CONVENTIONS[choice("convention", convention, tuple(_CONVENTIONS))]
    seed = seed_sequence(rng)
    data = read(x, counts)
    kind = _kind(discrete, data)
    given = None if xmin is None else _check_xmin(xmin, kind)
    if n_bootstrap and data.n > _MAX_DRAWS:
        raise InputError(
            f"n_bootstrap must be 0 for more than {_MAX_DRAWS:.0e} observations, got "
            f"n_bootstrap={n_bootstrap} for {data.n}: a replicate draws each of them"
        )
    _check_enough(data, min_tail)
    task = _Task(data, kind, given, min_tail, code)
    start, distance, alpha, cutoff = _locate(task)
    n_tail = int(data.counts[start:].sum())
    log_norm = _log_norm(alpha, cutoff, kind)
    mean_log = float(data.counts[start:] @ log_ratio(data.values[start:], cutoff)) / n_tail
    boot = _bootstrap(task, cutoff, alpha, distance, n_bootstrap, seed)
    return PowerLawFit(
        alpha=alpha,
        alpha_error=_standard_error(alpha, cutoff, n_tail, kind),
        xmin=cutoff,
        n=data.n,
        n_tail=n_tail,
        ks_distance=distance,
        log_likelihood=-n_tail * (log_norm + alpha * mean_log),
        decades=float(log_ratio(data.values[-1], cutoff)) / math.log(10.0),
        discrete=kind,
        discrete_detected=discrete is None,
        xmin_fixed=given is not None,
        convention=convention,
        min_tail=min_tail,
        n_bootstrap=n_bootstrap,
        seed=seed_record(seed) if n_bootstrap else None,
        version=spinnet.__version__,
        _data=data,
        **boot,
    )


class _Task(NamedTuple):
    """What is searched: the data, as integers or not, with a given cut-off or none."""

    data: Observations
    discrete: bool
    given: float | None
    min_tail: int
    convention: int


def _kind(discrete: bool | None, data: Observations) -> bool:
    if discrete is None:
        return data.integers
    if not isinstance(discrete, (bool, np.bool_)):
        raise InputError(f"discrete must be True, False or None, got {discrete!r:.80}")
    if discrete and data.n and not data.integers:
        fractions = data.values != np.rint(data.values)
        example = data.values[np.argmax(fractions)] if fractions.any() else data.values[-1]
        raise InputError(
            f"discrete=True needs whole numbers <= 2^53, got {example}; use discrete=False, or "
            "divide by the unit of the data"
        )
    return bool(discrete)


def _check_xmin(xmin: float, discrete: bool) -> float:
    value = positive_float("xmin", xmin)
    if discrete and not value.is_integer():
        raise InputError(f"xmin must be an integer >= 1 for integer data, got {value}")
    return value


def _check_enough(data: Observations, min_tail: int) -> None:
    record = {"n": data.n, "n_distinct": data.values.size, "min_tail": min_tail}
    if data.n < min_tail:
        raise StatisticsError(
            f"x has {data.n} value(s), fewer than min_tail={min_tail}; take more data, or lower "
            "min_tail knowing that small tails look like anything",
            estimate=record,
        )
    if data.values.size < _MIN_DISTINCT:
        raise StatisticsError(
            f"x has {data.values.size} distinct value(s) among {data.n}, a power law needs at "
            f"least {_MIN_DISTINCT}",
            estimate=record,
        )


def _locate(task: _Task) -> tuple[int, float, float, float]:
    """Return (index of the first tail value, distance, alpha, xmin)."""
    from spinnet.tails.powerlaw.ks_search import fixed, search, suffix_statistics

    data, discrete, given, min_tail, code = task
    logs = np.log(data.values)
    if given is None:
        tail, log_sum = suffix_statistics(logs, data.counts)
        k, distance, alpha = search(
            data.values, logs, tail, log_sum, float(min_tail), discrete, code
        )
        if k < 0:  # else the whole data are a candidate
            raise StatisticsError(
                f"the values of x, {data.values[0]} to {data.values[-1]}, are equal to rounding "
                "of their logarithms: there is no tail to fit",
                estimate={"n": data.n, "n_distinct": data.values.size, "min_tail": min_tail},
            )
        return int(k), float(distance), float(alpha), float(data.values[k])
    n_tail = int(data.counts[data.values >= given].sum())
    k, distance, alpha = fixed(data.values, logs, data.counts, given, discrete, code)
    if k < 0 or n_tail < min_tail:
        raise StatisticsError(
            f"the tail above xmin={given} has {n_tail} value(s) and must have at least "
            f"min_tail={min_tail}, not all equal to xmin; lower xmin or min_tail",
            estimate={"n": data.n, "n_tail": n_tail, "min_tail": min_tail},
        )
    return int(k), float(distance), float(alpha), given


def _log_norm(alpha: float, xmin: float, discrete: bool) -> float:
    if not discrete:
        return math.log(xmin) - math.log(alpha - 1.0)
    from spinnet.tails.zeta import hurwitz_value

    return math.log(hurwitz_value(alpha, xmin))


def _standard_error(alpha: float, xmin: float, n_tail: int, discrete: bool) -> float:
    """Return CSN eq. 3.2, or eq. 3.6: one over the root of n Var(ln x)."""
    if not discrete:
        return (alpha - 1.0) / math.sqrt(n_tail)
    from spinnet.tails.zeta import hurwitz

    m0, m1, m2 = hurwitz(alpha, xmin)
    return 1.0 / math.sqrt(n_tail * (m2 / m0 - (m1 / m0) ** 2))


def _bootstrap(
    task: _Task,
    xmin: float,
    alpha: float,
    distance: float,
    n_bootstrap: int,
    seed: np.random.SeedSequence,
) -> dict[str, Any]:
    """Return the fields of PowerLawFit that the two bootstraps fill."""
    if n_bootstrap == 0:
        names = ("p_value", "p_value_error", "alpha_bootstrap_error", "xmin_bootstrap_error")
        return dict.fromkeys(names, math.nan) | {"n_failed": 0}
    from spinnet.tails.powerlaw.bootstrap import run_replicates

    goodness, resampled = (
        run_replicates(
            stream,
            n_bootstrap,
            values=task.data.values,
            counts=task.data.counts,
            xmin=xmin,
            alpha=alpha,
            semiparametric=semiparametric,
            xmin_fixed=task.given is not None,
            min_tail=task.min_tail,
            discrete=task.discrete,
            convention=task.convention,
        )
        for stream, semiparametric in zip(seed.spawn(2), (True, False), strict=True)
    )
    fitted = int(goodness.valid.sum())
    resamples = int(resampled.valid.sum())
    n_failed = 2 * n_bootstrap - fitted - resamples
    if n_failed:
        warnings.warn(
            f"{n_failed} of {2 * n_bootstrap} bootstrap replicates could not be fitted and are "
            "left out; the p-value and the bootstrap errors are conditional on the others",
            SpinnetWarning,
            stacklevel=3,
        )
    p = float((goodness.ks_distance[goodness.valid] >= distance).mean()) if fitted else math.nan
    spread = resamples > 1
    return {
        "p_value": p,
        "p_value_error": math.sqrt(p * (1.0 - p) / fitted) if fitted else math.nan,
        "alpha_bootstrap_error": _deviation(resampled.alpha, resampled.valid, spread),
        "xmin_bootstrap_error": _deviation(resampled.xmin, resampled.valid, spread),
        "n_failed": n_failed,
    }


def _deviation(values: Floats, valid: NDArray[np.bool_], enough: bool) -> float:
    return float(np.std(values[valid], ddof=1)) if enough else math.nan


def _thinned(size: int) -> NDArray[np.int64]:
    """Return at most 460 indices: evenly spaced in the logarithm of the rank, and the last 60."""
    last = np.arange(max(0, size - 60), size)
    spread = size - np.geomspace(1, size, min(size, _DRAWN_POINTS)).astype(np.int64)
    return np.unique(np.concatenate([spread, last]))
