r"""Zipf's law: frequency by rank, p(r) = r^-s / H(s; 1, r_max), for any real exponent s.

The support is finite, so that no exponent is special: s = 1 and s <= 0 are ordinary values.
Sampling noise bends the end of an observed rank curve (ranks are assigned by the very counts that
are plotted), so that only ranks with at least `k_min` counts enter, and the interval comes from a
bias-corrected bootstrap over the inputs (Efron and Tibshirani, 1993, section 10).

Every fit carries the diagnostics that tell whether there is anything to fit: coverage 1 - f_1/M
(Good, Biometrika 40, 237 (1953)), where M is the number of inputs and f_k the number of patterns
seen k times, and the richness estimate of Chao (Scand. J. Stat. 11, 265 (1984)).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import ConvergenceError, InputError, SpinnetWarning, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.observations import multiplicities
from spinnet.validation import choice, finite_float, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_MODELS = ("zipf",)
_MIN_RANKS = 20
_MIN_COVERAGE = 0.9
_MIN_DECADES = 1.5
_NORMAL_95 = 1.959963984540054
_DRAWN_POINTS = 400


@dataclass(frozen=True)
class ZipfFit:
    """A fitted rank-frequency law.

    Attributes
    ----------
    zipf : float
        Exponent s of p(r) ~ r^-s over the ranks 1..`r_max`.
    zipf_error : float
        Standard error of `zipf` if the order of the true frequencies were known and `r_max`
        given.  It is too small; quote `ci`.
    ci : (float, float)
        95 % interval of the bias-corrected bootstrap over inputs: centre `zipf` - `bias`, half
        width 1.96 `zipf_bootstrap_error`, plus abs(`bias`) where that exceeds one standard
        deviation.  It still covers only about 80-90 % where most patterns stay below `k_min`.
        NaN without a bootstrap.
    bias : float
        Mean of `zipf` over resamples, less `zipf`.
    zipf_bootstrap_error : float
        Standard deviation of `zipf` over resamples.
    r_max, k_min : int
        Ranks fitted: those with counts >= `k_min`.
    n_total, n_distinct, n_singletons : int
        Inputs M, distinct patterns, and patterns seen once.
    n_fitted : int
        Inputs within the ranks fitted.
    coverage : float
        Estimated probability that a new input shows a pattern seen before: 1 - n_singletons/M.
    chao1 : float
        Lower estimate of the number of distinct patterns, seen or not.
    decades : float
        log10 of `r_max`.
    log_likelihood : float
        Of the `n_fitted` inputs, given that they fall within the ranks fitted.
    kl_divergence : float
        Of the observed from the fitted frequencies, in nats per input.
    largest_misfit : float
        Largest |k_r / (n_fitted p(r)) - 1| over the ranks fitted.
    p_value : float
        Share of data sets drawn from the fit (continued past `r_max`), ranked, cut at `k_min`
        and fitted again, whose KL divergence reaches the observed one; NaN without a bootstrap.
        With many inputs it is small for every real curve: read it beside `kl_divergence` and
        `largest_misfit`.
    undersampled : bool
        `r_max` < 20 or `coverage` < 0.9.
    warnings : tuple of str
        What limits the result.
    model : str
        ``"zipf"``.
    n_bootstrap, n_failed : int
        Resamples of each kind, and how many of both kinds had no two ranks to fit.
    seed : mapping or None
        What makes the bootstrap again.
    version : str
        Of spinnet.
    """

    zipf: float
    zipf_error: float
    ci: tuple[float, float]
    bias: float
    zipf_bootstrap_error: float
    r_max: int
    k_min: int
    n_total: int
    n_distinct: int
    n_singletons: int
    n_fitted: int
    coverage: float
    chao1: float
    decades: float
    log_likelihood: float
    kl_divergence: float
    largest_misfit: float
    p_value: float
    undersampled: bool
    warnings: tuple[str, ...]
    model: str
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object] | None
    version: str
    _counts: Floats = field(repr=False, compare=False)

    @property
    def alpha(self) -> float:
        """The density exponent of the counts that this law implies: 1 + 1/zipf, for zipf > 0."""
        return 1.0 + 1.0 / self.zipf if self.zipf > 0.0 else math.inf

    def pmf(self, r: ArrayLike) -> Floats:
        """Return p(r), normalised over 1..`r_max`; zero outside."""
        ranks = np.asarray(r, dtype=np.float64)
        inside = (ranks >= 1) & (ranks <= self.r_max)
        log_p = -self.zipf * np.log(np.where(inside, ranks, 1.0))
        return np.where(inside, np.exp(log_p - _log_norm(self.zipf, self.r_max)), 0.0)

    def summary(self) -> str:
        """Return a few lines for people."""
        lines = [
            f"Zipf law: s = {self.zipf:.4f} +- {self.zipf_error:.4f} (ranks taken as known), "
            f"ranks 1..{self.r_max} (counts >= {self.k_min}, {self.decades:.2f} decades)",
            f"  {self.n_total} inputs, {self.n_distinct} distinct, {self.n_singletons} seen once; "
            f"coverage {self.coverage:.3f}, at least {self.chao1:.0f} exist (Chao1)",
            f"  misfit: {self.kl_divergence:.3g} nats per input, largest {self.largest_misfit:.1%}",
        ]
        if self.n_bootstrap:
            lines.append(
                f"  95 % interval {self.ci[0]:.4f} .. {self.ci[1]:.4f}, bias {self.bias:+.4f}, "
                f"p = {self.p_value:.3f} ({self.n_bootstrap} replicates)"
            )
        return "\n".join(lines + [f"  caution: {text}" for text in self.warnings])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The counts are left out."""
        record: dict[str, object] = {"schema": 1, "kind": "zipf-fit"}
        for name in self.__dataclass_fields__:
            if not name.startswith("_"):
                value = getattr(self, name)
                record[name] = None if isinstance(value, float) and math.isnan(value) else value
        record["ci"] = [None if math.isnan(end) else end for end in self.ci]
        record["warnings"] = list(self.warnings)
        record["seed"] = None if self.seed is None else dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw frequency by rank and the fit, grey where counts < `k_min`; return the axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        size = self._counts.size
        kept = np.unique(np.geomspace(1, size, min(size, _DRAWN_POINTS)).astype(np.int64))
        frequency = self._counts / self.n_total
        ax.loglog(kept, frequency[kept - 1], "o", ms=2.2, mfc="none", color="black", label="data")
        grid = np.geomspace(1.0, self.r_max, 100)
        error = self.zipf_bootstrap_error if self.n_bootstrap else self.zipf_error
        label = rf"$s = {self.zipf:.3f} \pm {error:.3f}$"
        scale = self.n_fitted / self.n_total
        ax.loglog(grid, self.pmf(grid) * scale, color="#D55E00", label=label)
        if self.r_max < size:
            text = f"fewer than {self.k_min} counts, not fitted"
            ax.axvspan(self.r_max + 0.5, size, color="0.9", lw=0, zorder=0, label=text)
        ax.set_xlabel("rank $r$")
        ax.set_ylabel("frequency $f_r$")
        ax.legend(frameon=False)
        return ax


def fit_zipf(
    counts: ArrayLike,
    model: str = "zipf",
    *,
    k_min: int = 10,
    n_bootstrap: int = 0,
    rng: RandomState = None,
    force: bool = False,
) -> ZipfFit:
    r"""Fit p(r) ~ r^-s to the frequencies of distinct patterns by rank.

    The likelihood is that of the inputs within the ranks r <= r_max that have counts >= `k_min`,

    .. math:: \ln L = -s \sum_r k_r \ln r - K \ln H(s; 1, r_{\max}), \qquad K = \sum_r k_r.

    Parameters
    ----------
    counts : array_like
        How often each distinct pattern was seen, in any order; zeros are left out.
    model : {"zipf"}
        The law fitted.
    k_min : int
        Smallest count that enters the fit.  10 keeps the ranking bias of s near 0.01-0.02.
    n_bootstrap : int
        Resamples over inputs for `ci`, and as many data sets from the fit for `p_value`.
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstraps.
    force : bool
        Fit even if fewer than 20 ranks qualify.

    Returns
    -------
    ZipfFit

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0, or a bad option.
    StatisticsError
        Fewer than 20 ranks qualify (2 with `force`); ``.estimate`` holds the diagnostics.

    Warns
    -----
    SpinnetWarning
        Once, if the coverage is below 0.9 or fewer than 1.5 decades of ranks are fitted.

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_zipf(np.round(1e5 / np.arange(1, 501) ** 0.8))
    >>> round(fit.zipf, 3), fit.r_max, fit.coverage
    (0.8, 500, 1.0)
    """
    choice("model", model, _MODELS)
    k_min = integer("k_min", k_min, minimum=1)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    if not isinstance(force, (bool, np.bool_)):
        raise InputError(f"force must be True or False, got {force!r:.80}")
    seed = seed_sequence(rng)
    ranked = multiplicities("counts", counts)
    ranked = np.sort(ranked[ranked > 0])[::-1]
    if ranked.size == 0:
        raise StatisticsError("counts has no entry > 0: there is nothing to rank", estimate={})
    diagnostics = _diagnose(ranked, k_min)
    _check_ranks(diagnostics, bool(force))
    r_max = diagnostics.r_max
    best = _fit_ranks(ranked[:r_max])
    boot = _bootstrap(ranked, r_max, k_min, best, n_bootstrap, seed)
    notes = _notes(diagnostics, boot.n_failed, n_bootstrap)
    if notes:
        warnings.warn("; ".join(notes), SpinnetWarning, stacklevel=2)
    return ZipfFit(
        zipf=best.s,
        zipf_error=best.error,
        ci=boot.ci,
        bias=boot.bias,
        zipf_bootstrap_error=boot.error,
        n_fitted=int(best.total),
        log_likelihood=best.log_likelihood,
        kl_divergence=best.kl_divergence,
        largest_misfit=_largest_misfit(ranked[:r_max], best),
        p_value=boot.p_value,
        undersampled=r_max < _MIN_RANKS or diagnostics.coverage < _MIN_COVERAGE,
        warnings=notes,
        model=model,
        n_bootstrap=n_bootstrap,
        n_failed=boot.n_failed,
        seed=seed_record(seed) if n_bootstrap else None,
        version=spinnet.__version__,
        _counts=ranked,
        **diagnostics._asdict(),
    )


def zipf_exponent(mean_log: float, r_max: int) -> float:
    """Solve E_s[ln r] = `mean_log` on the ranks 1..`r_max` by Newton steps inside a bracket.

    E_s[ln r] falls from ln r_max at s = -infinity to 0 at s = +infinity.
    """
    from spinnet.tails.zeta import truncated_sum

    mean_log = finite_float("mean_log", mean_log)
    if not 0.0 < mean_log < math.log(r_max):
        raise InputError(
            f"mean_log must lie strictly between 0 and ln(r_max) = {math.log(r_max):.6g}, "
            f"got {mean_log}"
        )
    low, high = -math.inf, math.inf
    s = 1.0
    for _ in range(200):
        m0, m1, m2 = truncated_sum(s, 1.0, float(r_max))
        mean = m1 / m0
        if mean > mean_log:
            low = s
        else:
            high = s
        step = (mean - mean_log) / (m2 / m0 - mean * mean)
        new = s + min(max(step, -1.0 - abs(s)), 1.0 + abs(s))
        if abs(step) <= 1e-12 * (1.0 + abs(s)):  # quadratic: the error left is rounding
            return float(new)
        if not low < new < high:
            new = 0.5 * (low + high)
        s = new
    raise ConvergenceError(f"no Zipf exponent for mean_log={mean_log}, r_max={r_max}", solution=s)


class _Diagnostics(NamedTuple):
    r_max: int
    k_min: int
    n_total: int
    n_distinct: int
    n_singletons: int
    coverage: float
    chao1: float
    decades: float


class _RankFit(NamedTuple):
    s: float
    error: float
    total: float
    log_norm: float
    log_likelihood: float
    kl_divergence: float


class _Boot(NamedTuple):
    ci: tuple[float, float] = (math.nan, math.nan)
    bias: float = math.nan
    error: float = math.nan
    p_value: float = math.nan
    n_failed: int = 0


def _diagnose(ranked: Floats, k_min: int) -> _Diagnostics:
    total = int(ranked.sum())
    once = int(np.count_nonzero(ranked == 1))
    twice = int(np.count_nonzero(ranked == 2))
    r_max = int(np.count_nonzero(ranked >= k_min))
    return _Diagnostics(
        r_max=r_max,
        k_min=k_min,
        n_total=total,
        n_distinct=ranked.size,
        n_singletons=once,
        coverage=1.0 - once / total,
        chao1=ranked.size + once * (once - 1) / (2.0 * (twice + 1)),  # bias-corrected form
        decades=math.log10(r_max) if r_max else 0.0,
    )


def _check_ranks(diagnostics: _Diagnostics, force: bool) -> None:
    needed = 2 if force else _MIN_RANKS
    if diagnostics.r_max >= needed:
        return
    advice = "" if force else ", or pass force=True to fit it all the same"
    raise StatisticsError(
        f"only {diagnostics.r_max} of {diagnostics.n_distinct} distinct patterns have counts >= "
        f"k_min={diagnostics.k_min} ({diagnostics.n_singletons} were seen once, coverage "
        f"{diagnostics.coverage:.3f}); a rank exponent needs at least {needed}: take more inputs "
        f"or fewer units{advice}",
        estimate=diagnostics._asdict(),
    )


def _notes(diagnostics: _Diagnostics, n_failed: int, n_bootstrap: int) -> tuple[str, ...]:
    notes = []
    if diagnostics.r_max < _MIN_RANKS:
        notes.append(f"only {diagnostics.r_max} ranks are fitted (force=True)")
    if diagnostics.coverage < _MIN_COVERAGE:
        notes.append(
            f"coverage is {diagnostics.coverage:.3f} < {_MIN_COVERAGE}: a new input often shows a "
            "pattern never seen, and the rank curve is not settled"
        )
    if diagnostics.decades < _MIN_DECADES:
        notes.append(
            f"the fit spans {diagnostics.decades:.2f} decades of ranks < {_MIN_DECADES}: other "
            "laws fit as well over so short a range"
        )
    if n_failed:
        notes.append(f"{n_failed} of {2 * n_bootstrap} bootstrap replicates could not be fitted")
    return tuple(notes)


def _log_norm(s: float, r_max: int) -> float:
    from spinnet.tails.zeta import truncated_sum

    return math.log(truncated_sum(s, 1.0, float(r_max))[0])


def _fit_ranks(ranked: Floats) -> _RankFit:
    """Fit counts in decreasing order, at least two ranks."""
    from spinnet.tails.zeta import truncated_sum

    total = float(ranked.sum())
    log_rank = np.log(np.arange(1, ranked.size + 1))
    mean_log = float(ranked @ log_rank) / total
    s = zipf_exponent(mean_log, ranked.size)
    m0, m1, m2 = truncated_sum(s, 1.0, float(ranked.size))
    share = ranked / total
    entropy = -float(share @ np.log(share))
    per_input = -s * mean_log - math.log(m0)
    error = 1.0 / math.sqrt(total * (m2 / m0 - (m1 / m0) ** 2))
    divergence = max(0.0, -entropy - per_input)  # rounding only can make it negative
    return _RankFit(s, error, total, math.log(m0), total * per_input, divergence)


def _largest_misfit(ranked: Floats, best: _RankFit) -> float:
    log_p = -best.s * np.log(np.arange(1, ranked.size + 1)) - best.log_norm
    return float(np.abs(ranked / (best.total * np.exp(log_p)) - 1.0).max())


def _refit(draw: NDArray[np.int64], k_min: int) -> tuple[float, float]:
    """Return (s, KL divergence) of drawn counts, NaN if fewer than two ranks qualify."""
    ranked = np.sort(draw[draw >= k_min])[::-1].astype(np.float64)
    if ranked.size < 2:
        return math.nan, math.nan
    fit = _fit_ranks(ranked)
    return fit.s, fit.kl_divergence


def _extended_law(best: _RankFit, r_max: int, k_min: int, n_distinct: int) -> tuple[Floats, int]:
    """Return the fitted law continued past `r_max`, and the draws that keep its level.

    In data, some ranks beyond `r_max` just miss `k_min` and others just reach it by chance; a
    replicate needs the same traffic across the edge, or its p-value is biased towards 1.  Ranks
    expected to be seen fewer than k_min/10 times do not matter.
    """
    ranks = np.arange(1, n_distinct + 1)
    expected = best.total * np.exp(-best.s * np.log(ranks) - best.log_norm)
    expected = expected[(ranks <= r_max) | (expected >= 0.1 * k_min)]
    total = expected.sum()
    return expected / total, round(float(total))


def _bootstrap(
    ranked: Floats,
    r_max: int,
    k_min: int,
    best: _RankFit,
    n_bootstrap: int,
    seed: np.random.SeedSequence,
) -> _Boot:
    if n_bootstrap == 0:
        return _Boot()
    inputs, fitted = (np.random.default_rng(child) for child in seed.spawn(2))
    share = ranked / ranked.sum()
    law, n_drawn = _extended_law(best, r_max, k_min, ranked.size)
    total = int(ranked.sum())
    resampled, divergence = np.empty(n_bootstrap), np.empty(n_bootstrap)
    for b in range(n_bootstrap):
        resampled[b], _ = _refit(inputs.multinomial(total, share), k_min)
        _, divergence[b] = _refit(fitted.multinomial(n_drawn, law), k_min)
    s = resampled[np.isfinite(resampled)]
    drawn = divergence[np.isfinite(divergence)]
    n_failed = 2 * n_bootstrap - s.size - drawn.size
    p_value = float((drawn >= best.kl_divergence).mean()) if drawn.size else math.nan
    if s.size < 2:
        return _Boot(p_value=p_value, n_failed=n_failed)
    bias, error = float(s.mean()) - best.s, float(s.std(ddof=1))
    half = _NORMAL_95 * error + (abs(bias) if abs(bias) > error else 0.0)
    centre = best.s - bias
    return _Boot((centre - half, centre + half), bias, error, p_value, n_failed)
