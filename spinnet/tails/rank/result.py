"""What a rank fit returns: the law, its errors, and what limits it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.randomness import RandomState
from spinnet.tails.rank.diagnostics import CountDiagnostics
from spinnet.tails.rank.laws import PARAMETERS, ZIPF_EXPONENT, Law

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.rank.comparison import RankComparison, RankComparisons

Floats = NDArray[np.float64]

_FROM_DIAGNOSTICS = (
    "r_max",
    "k_min",
    "n_total",
    "n_distinct",
    "n_singletons",
    "coverage",
    "chao1",
    "chao1_error",
    "decades",
    "undersampled",
)


@dataclass(frozen=True)
class ZipfFit:
    """A fitted rank-frequency law.

    Attributes
    ----------
    model : str
        The law fitted.
    parameters, errors : mapping of str to float
        Parameters of the law (``spinnet.tails.rank.laws``), and their standard errors if the
        order of the true frequencies were known and `r_max` given.  These are too small.
        NaN for a parameter at the end of its range.
    intervals : mapping of str to (float, float)
        95 % intervals of the parameters over resampled inputs, by `ci_method`.  NaN without a
        bootstrap.
    biases, bootstrap_errors : mapping of str to float
        Mean over resamples less the estimate, and standard deviation over resamples.
    ci_method : str
        ``"bias-corrected"``: centre estimate - bias, half width 1.96 standard deviations of the
        resamples, plus abs(bias) where that exceeds one of them.  For Zipf laws of s = 0.5 to
        1.3 on 10^3 to 10^5 patterns and 10^5 inputs it covers s in 88-100 % of data sets.
        ``"percentile"`` (0-45 % in most of these settings) and ``"basic"`` (82-97 %, but 30 %
        at worst) are there for comparison.
    diagnostics : CountDiagnostics
        Coverage, unseen patterns, ranks above the cut; its fields are also attributes here.
    n_fitted : int
        Inputs within the ranks fitted.
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
    warnings : tuple of str
        What limits the result.
    note : str
        Where the law has no Zipf exponent, or lies at the end of its family.
    n_bootstrap, n_failed : int
        Resamples of each kind, and how many of both kinds could not be fitted.
    seed : mapping or None
        What makes the bootstrap again.
    version : str
        Of spinnet.
    """

    model: str
    parameters: Mapping[str, float]
    errors: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    biases: Mapping[str, float]
    bootstrap_errors: Mapping[str, float]
    ci_method: str
    diagnostics: CountDiagnostics
    n_fitted: int
    log_likelihood: float
    kl_divergence: float
    largest_misfit: float
    p_value: float
    warnings: tuple[str, ...]
    note: str
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object] | None
    version: str
    _counts: Floats = field(repr=False, compare=False)
    _law: Law = field(repr=False, compare=False)

    @property
    def zipf(self) -> float:
        """Exponent s of p(r) ~ r^-s at small ranks; NaN where the law has none (see `note`)."""
        return self._of_exponent(self.parameters)

    @property
    def zipf_error(self) -> float:
        """Standard error of `zipf` for known ranks.  It is too small; quote `ci`."""
        return self._of_exponent(self.errors)

    @property
    def ci(self) -> tuple[float, float]:
        """95 % interval of `zipf`; NaN without a bootstrap."""
        name = ZIPF_EXPONENT.get(self.model)
        return (math.nan, math.nan) if name is None else self.intervals[name]

    @property
    def bias(self) -> float:
        """Mean of `zipf` over resamples, less `zipf`."""
        return self._of_exponent(self.biases)

    @property
    def zipf_bootstrap_error(self) -> float:
        """Standard deviation of `zipf` over resamples."""
        return self._of_exponent(self.bootstrap_errors)

    @property
    def alpha(self) -> float:
        """The density exponent of the counts that this law implies: 1 + 1/zipf, for zipf > 0."""
        if math.isnan(self.zipf):
            return math.nan
        return 1.0 + 1.0 / self.zipf if self.zipf > 0.0 else math.inf

    @property
    def n_parameters(self) -> int:
        """Free parameters of the law."""
        return len(PARAMETERS[self.model])

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 n_parameters - 2 log_likelihood."""
        return 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, n_parameters ln(n_fitted) - 2 log_likelihood."""
        return self.n_parameters * math.log(self.n_fitted) - 2.0 * self.log_likelihood

    @property
    def r_max(self) -> int:
        """Ranks fitted: those with counts >= `k_min`."""
        return self.diagnostics.r_max

    @property
    def k_min(self) -> int:
        """Smallest count fitted."""
        return self.diagnostics.k_min

    @property
    def n_total(self) -> int:
        """Inputs M."""
        return self.diagnostics.n_total

    @property
    def n_distinct(self) -> int:
        """Distinct patterns."""
        return self.diagnostics.n_distinct

    @property
    def n_singletons(self) -> int:
        """Patterns seen once."""
        return self.diagnostics.n_singletons

    @property
    def coverage(self) -> float:
        """Estimated probability that a new input shows a pattern seen before."""
        return self.diagnostics.coverage

    @property
    def chao1(self) -> float:
        """Lower estimate of the number of distinct patterns, seen or not."""
        return self.diagnostics.chao1

    @property
    def chao1_error(self) -> float:
        """Standard error of `chao1`."""
        return self.diagnostics.chao1_error

    @property
    def decades(self) -> float:
        """log10 of `r_max`."""
        return self.diagnostics.decades

    @property
    def undersampled(self) -> bool:
        """Whether `r_max` < 20 or `coverage` < 0.9."""
        return self.diagnostics.undersampled

    def pmf(self, r: ArrayLike) -> Floats:
        """Return p(r), normalised over 1..`r_max`; zero outside, NaN at NaN.

        Between whole ranks it is the curve drawn through them.
        """
        ranks = np.asarray(r, dtype=np.float64)
        inside = (ranks >= 1) & (ranks <= self.r_max)
        p = np.where(inside, np.exp(self._law.log_pmf(np.where(inside, ranks, 1.0))), 0.0)
        return np.where(np.isnan(ranks), math.nan, p)

    def sf(self, r: ArrayLike) -> Floats:
        """Return the probability of a rank >= r: 1 at r <= 1, 0 beyond `r_max`, NaN at NaN."""
        ranks = np.ceil(np.asarray(r, dtype=np.float64))
        index = np.clip(np.nan_to_num(ranks, nan=1.0), 1, self.r_max + 1).astype(np.int64) - 1
        return np.where(np.isnan(ranks), math.nan, self._survival[index])

    @cached_property
    def _survival(self) -> Floats:
        tail = np.cumsum(np.exp(self._law.log_p)[::-1])[::-1]
        return np.append(tail / tail[0], 0.0)

    def compare(
        self, model: str, *, n_bootstrap: int = 0, rng: RandomState = None
    ) -> RankComparison:
        """Compare this law with `model` on the same ranks by their likelihood ratio.

        Parameters
        ----------
        model : str
            One of the laws of :func:`fit_zipf`.
        n_bootstrap : int
            Where one law is a member of the other family: data sets drawn from it, ranked, cut
            and fitted by both, for a p-value that knows about ranking.
        rng : None, int, SeedSequence or Generator
            Randomness of the bootstrap.

        Raises
        ------
        InputError
            An unknown model or a bad option.
        """
        from spinnet.tails.rank.comparison import compare

        return compare(self, model, n_bootstrap=n_bootstrap, rng=rng)

    def compare_all(
        self,
        models: Sequence[str] | None = None,
        *,
        n_bootstrap: int = 0,
        rng: RandomState = None,
    ) -> RankComparisons:
        """Compare this law with each of `models`, by default all others."""
        from spinnet.tails.rank.comparison import compare_all

        return compare_all(self, models, n_bootstrap=n_bootstrap, rng=rng)

    def summary(self) -> str:
        """Return a few lines for people."""
        law = ", ".join(
            f"{name} = {_figures(self.parameters[name])} +- {_figures(self.errors[name])}"
            for name in self.parameters
        )
        seen = self.diagnostics
        lines = [
            f"{self.model} law: {law} (ranks taken as known), ranks 1..{self.r_max} "
            f"(counts >= {self.k_min}, {self.decades:.2f} decades)",
            f"  {seen.n_total} inputs, {seen.n_distinct} distinct, {seen.n_singletons} seen once; "
            f"coverage {seen.coverage:.3f}, at least {seen.chao1:.0f} +- {seen.chao1_error:.0f} "
            "exist (Chao1)",
            f"  misfit: {self.kl_divergence:.3g} nats per input, largest {self.largest_misfit:.1%}",
            f"  log-likelihood {self.log_likelihood:.6g}, AIC {self.aic:.6g}, BIC {self.bic:.6g}",
        ]
        if self.n_bootstrap:
            lines += [
                f"  {name}: 95 % interval {_figures(low)} .. {_figures(high)} ({self.ci_method}), "
                f"bias {self.biases[name]:+.2g}"
                for name, (low, high) in self.intervals.items()
            ]
            none = self.p_value == 0.0
            p = f"p < {1 / self.n_bootstrap:.2g}" if none else f"p = {self.p_value:.3f}"
            lines.append(f"  {p} ({self.n_bootstrap} replicates of each kind)")
        if self.note:
            lines.append(f"  note: {self.note}")
        return "\n".join(lines + [f"  caution: {text}" for text in self.warnings])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinity become None.

        The counts are left out.
        """
        record: dict[str, object] = {"schema": 2, "kind": "zipf-fit"}
        names = ("zipf", "zipf_error", "ci", "bias", "zipf_bootstrap_error", "aic", "bic")
        fields = (n for n in self.__dataclass_fields__ if not n.startswith("_"))
        for name in (*fields, *names, *_FROM_DIAGNOSTICS):
            record[name] = plain(getattr(self, name))
        record.pop("diagnostics")
        return record

    def plot(
        self,
        ax: Axes | None = None,
        *,
        data: bool = True,
        color: str | None = None,
        label: str | None = None,
        nulls: Mapping[str, ArrayLike] | None = None,
    ) -> Axes:
        """Draw frequency by rank, the fit and its sampling band; return the axes.

        Parameters
        ----------
        ax : Axes, optional
            A new figure by default.
        data : bool
            Draw the observed frequencies, and grey where counts < `k_min`.  Give False to add a
            second law of the same counts.
        color, label : str, optional
            Of the fitted curve.
        nulls : mapping of str to array_like, optional
            Counts of surrogates by name, ranked and drawn as dashed curves.
        """
        from spinnet.tails.rank.drawing import draw

        return draw(self, ax, data=data, color=color, label=label, nulls=nulls)

    def _of_exponent(self, values: Mapping[str, float]) -> float:
        value = values.get(ZIPF_EXPONENT.get(self.model, ""), math.nan)
        return value if math.isfinite(value) else math.nan


def plain(value: object) -> object:
    """Return `value` as JSON has it: lists and dicts, None for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def _figures(value: float) -> str:
    """Return a parameter in four decimals, or three digits where these would show none."""
    return f"{value:.4f}" if value == 0.0 or abs(value) >= 0.01 else f"{value:.3g}"
