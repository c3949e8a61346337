r"""Likelihood ratios between laws fitted to the same ranks.

Every input is an observation (its rank), so that Vuong's test (Econometrica 57, 307 (1989)) runs
over ranks with weights k_r.  Where one law is a member of the other family, twice the ratio is
chi-square(1) under it: for the parameter in the interior of its range (lognormal c = 0, dgbd
b = 0, stretched-exponential beta = 1, cut-off s = 0), or half of the time zero for a parameter at
the end of its range (zipf-mandelbrot q = 0 or infinite, cut-off rate = 0, stretched-exponential
beta = 0; Self and Liang, J. Am. Stat. Assoc. 82, 605 (1987)).

These p-values hold for known ranks.  Ranking by the same counts and cutting at `k_min` bend the
curve, and with many inputs they reject a true Zipf law; the bootstrap ranks and cuts what it
draws, and is calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.rank.bootstrap import extended_law, refit
from spinnet.tails.rank.fit import MODELS, model_name
from spinnet.tails.rank.laws import PARAMETERS, Law, divergence, fit_law, log_likelihood
from spinnet.tails.rank.result import ZipfFit, plain
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

# (member, family): whether the member lies inside the family or at the end of a range.
_NESTED = {
    ("zipf", "zipf-mandelbrot"): "boundary",
    ("zipf", "cut-off"): "boundary",
    ("zipf", "lognormal"): "interior",
    ("zipf", "stretched-exponential"): "boundary",
    ("zipf", "dgbd"): "interior",
    ("exponential", "zipf-mandelbrot"): "boundary",
    ("exponential", "cut-off"): "interior",
    ("exponential", "stretched-exponential"): "interior",
}
_LEVEL = 0.05
_SMALL_P = 0.1
_FAR, _LINEAR = 30.0, 10.0  # normalised ratios beyond, and up to which the axis is linear


@dataclass(frozen=True)
class RankComparison:
    """One law of ranks against another, on the same ranks.

    Attributes
    ----------
    model, alternative : str
    ratio : float
        R = ln L(model) - ln L(alternative), each at its maximum.  Positive favours `model`.
    normalized_ratio : float
        R / (sigma sqrt(n)), sigma the standard deviation over inputs of the log ratio.
    p_value : float
        Two-sided Vuong p: a ratio this far from zero when both laws are equally far from the
        truth.  The sign of R means something only if this is small.
    nested : str or None
        The law that is a member of the other's family, if one is.
    parameter_place : str or None
        ``"interior"`` or ``"boundary"``: where the member lies in the family.
    nested_p_value : float
        Likelihood-ratio test of the member within the family, for known ranks: too small where
        ranking bends the curve.  NaN where neither is nested.
    bootstrap_p_value : float
        The same test by data sets drawn from the member, ranked, cut and fitted by both.  NaN
        without a bootstrap.
    degenerate : bool
        The best law of the family *is* the member: R = 0, nothing can be told apart.
    parameters : mapping of str to float
        Of the alternative.
    kl_divergence, alternative_kl_divergence : float
        Of the observed frequencies from each law, in nats per input: the size of the difference,
        which does not grow with the number of inputs as R does.
    delta_aic, delta_bic : float
        Criterion of the alternative less that of the model: positive favours `model`.
    n_fitted, n_ranks : int
        Inputs and ranks compared.
    n_bootstrap, n_failed : int
        Data sets asked for, and those that could not be fitted.
    seed : mapping or None
        What makes the bootstrap again.
    version : str
        Of spinnet.
    """

    model: str
    alternative: str
    ratio: float
    normalized_ratio: float
    p_value: float
    nested: str | None
    parameter_place: str | None
    nested_p_value: float
    bootstrap_p_value: float
    degenerate: bool
    parameters: Mapping[str, float]
    kl_divergence: float
    alternative_kl_divergence: float
    delta_aic: float
    delta_bic: float
    n_fitted: int
    n_ranks: int
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object] | None
    version: str

    @property
    def verdict(self) -> str:
        """Name of the law that the data prefer at the 5 % level, or ``"undecided"``.

        By the bootstrap where there is one, by the nested test where one law is nested, by
        Vuong's test otherwise.
        """
        if self.nested is None:
            if self.p_value >= _LEVEL:
                return "undecided"
            return self.model if self.ratio > 0.0 else self.alternative
        p = self.nested_p_value if math.isnan(self.bootstrap_p_value) else self.bootstrap_p_value
        if p >= _LEVEL:
            return "undecided"
        return self.alternative if self.nested == self.model else self.model

    def summary(self) -> str:
        """Return one line for people."""
        if self.degenerate:
            return (
                f"{self.model} / {self.alternative}: the best fit of both is the same law (R = 0)"
            )
        text = (
            f"{self.model} / {self.alternative}: R = {self.ratio:.4g}, normalised "
            f"{self.normalized_ratio:.3f}, Vuong p = {self.p_value:.3g}"
        )
        if self.nested is not None:
            text += f", nested p = {self.nested_p_value:.3g} ({self.parameter_place})"
        if self.n_bootstrap and self.nested is not None:
            text += f", bootstrap p = {self.bootstrap_p_value:.3g}"
        return text + (
            f"; {self.kl_divergence:.3g} / {self.alternative_kl_divergence:.3g} nats per input"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinity become None."""
        record: dict[str, object] = {"schema": 1, "kind": "rank-comparison"}
        record.update({name: plain(getattr(self, name)) for name in self.__dataclass_fields__})
        return record | {"verdict": self.verdict}


@dataclass(frozen=True)
class RankComparisons:
    """One law of ranks against several.

    Attributes
    ----------
    model : str
    aic : float
        Of the model.
    rows : tuple of RankComparison
        By AIC, the best alternative first.
    skipped : mapping of str to str
        Alternatives that could not be fitted, and why.
    """

    model: str
    aic: float
    rows: tuple[RankComparison, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The law of least AIC."""
        if not self.rows or self.rows[0].delta_aic >= 0.0:
            return self.model
        return self.rows[0].alternative

    def __getitem__(self, alternative: str) -> RankComparison:
        """Return the row of `alternative`."""
        for row in self.rows:
            if row.alternative == alternative:
                return row
        known = ", ".join(repr(row.alternative) for row in self.rows)
        raise InputError(f"alternative must be one of {known}, got {alternative!r:.80}")

    def summary(self) -> str:
        """Return a table for people."""
        head = (
            f"{self.model} against",
            f"{'R':>11} {'R_norm':>8} {'p':>8} {'nested p':>8} {'boot p':>7} {'dAIC':>11} "
            f"{'dBIC':>11} {'KL':>9}",
        )
        lines = [f"{head[0]:28}{head[1]}"]
        for row in self.rows:
            lines.append(
                f"{row.alternative:28}{row.ratio:11.4g} {row.normalized_ratio:8.2f} "
                f"{row.p_value:8.2g} {_cell(row.nested_p_value, 8)} "
                f"{_cell(row.bootstrap_p_value, 7)} {row.delta_aic:11.4g} {row.delta_bic:11.4g} "
                f"{row.alternative_kl_divergence:9.3g}"
            )
        lines += [f"{name:28}{reason}" for name, reason in self.skipped.items()]
        if self.rows:
            lines.append(
                f"R, dAIC, dBIC > 0 favour {self.model} (KL {self.rows[0].kl_divergence:.3g} nats "
                f"per input); least AIC: {self.best}"
            )
        if any(row.nested is not None and not row.n_bootstrap for row in self.rows):
            lines.append(
                "p and nested p take the order of the ranks as known and come out too small; "
                "n_bootstrap=99 adds one that does not"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinity become None."""
        return {
            "schema": 1,
            "kind": "rank-comparisons",
            "model": self.model,
            "aic": self.aic,
            "best": self.best,
            "rows": [row.to_dict() for row in self.rows],
            "skipped": dict(self.skipped),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the normalised ratios with their 95 % interval under Vuong's test; return axes.

        Right of them the p-value, of the bootstrap where there is one.  Filled where it is below
        0.1.  The axis is logarithmic beyond +-10 if a ratio is larger than 30.
        """
        ax = plotting.axes(ax)
        rows = []
        for row in self.rows:
            x = row.normalized_ratio
            bootstrap = bool(np.isfinite(row.bootstrap_p_value))
            p = row.bootstrap_p_value if bootstrap else row.p_value
            rows.append(
                plotting.Row(
                    row.alternative,
                    np.nan if row.degenerate else x - 1.96,
                    np.nan if row.degenerate else x + 1.96,
                    x,
                    filled=p < _SMALL_P,
                    remark="" if row.degenerate else f"{p:.2g}" + " (bootstrap)" * bootstrap,
                    missing="the same law" if row.degenerate else "",
                )
            )
        plotting.intervals(ax, rows, remarks="p")
        ax.axvline(0.0, color=plotting.GREY, ls=":", lw=0.9)
        if any(abs(row.centre) > _FAR for row in rows):  # else one law squeezes the others
            ax.set_xscale("symlog", linthresh=_LINEAR)
            low, high = ax.get_xlim()
            ax.set_xlim(min(1.5 * low, low), max(1.5 * high, high))
        ax.set_xlabel(f"normalised log-likelihood ratio (> 0: {self.model})")
        return ax


def compare(
    fit: ZipfFit, model: str, *, n_bootstrap: int = 0, rng: RandomState = None
) -> RankComparison:
    """Compare a fit with another law on its ranks (see ``ZipfFit.compare``)."""
    alternative = model_name("model", model)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    seed = seed_sequence(rng)
    counts = fit._counts[: fit.r_max]
    law, other = fit._law, fit._law
    if alternative != fit.model:
        other = fit_law(alternative, counts)
    ratio, normalized = _vuong(law, other, counts)
    member, family, place = _nesting(law, other)
    p_boot, n_failed = math.nan, 0
    if n_bootstrap and member is not None and family is not None:
        p_boot, n_failed = _bootstrap(fit, member, family, ratio, n_bootstrap, seed)
    used = bool(n_bootstrap) and member is not None
    log_n = math.log(fit.n_fitted)
    extra = len(PARAMETERS[alternative]) - fit.n_parameters
    return RankComparison(
        model=fit.model,
        alternative=alternative,
        ratio=ratio,
        normalized_ratio=normalized,
        p_value=float(erfc(abs(normalized) / math.sqrt(2.0))),
        nested=None if member is None else member.model,
        parameter_place=place,
        nested_p_value=math.nan if place is None else _nested_p(abs(ratio), place),
        bootstrap_p_value=p_boot,
        degenerate=_same(law, other),
        parameters=dict(zip(PARAMETERS[alternative], other.values, strict=True)),
        kl_divergence=fit.kl_divergence,
        alternative_kl_divergence=divergence(counts, other.log_p),
        delta_aic=2.0 * extra + 2.0 * ratio,
        delta_bic=extra * log_n + 2.0 * ratio,
        n_fitted=fit.n_fitted,
        n_ranks=fit.r_max,
        n_bootstrap=n_bootstrap if used else 0,
        n_failed=n_failed,
        seed=seed_record(seed) if used else None,
        version=spinnet.__version__,
    )


def compare_all(
    fit: ZipfFit,
    models: Sequence[str] | None = None,
    *,
    n_bootstrap: int = 0,
    rng: RandomState = None,
) -> RankComparisons:
    """Compare a fit with several laws (see ``ZipfFit.compare_all``)."""
    if models is not None and (isinstance(models, str) or not isinstance(models, Iterable)):
        raise InputError(f"models must be a sequence of names, got {models!r:.80}")
    names = [name for name in MODELS if name != fit.model] if models is None else list(models)
    names = [model_name("models", name) for name in names]
    seeds = seed_sequence(rng).spawn(len(names))
    rows, skipped = [], {}
    for name, seed in zip(names, seeds, strict=True):
        try:
            rows.append(compare(fit, name, n_bootstrap=n_bootstrap, rng=seed))
        except StatisticsError as error:  # fewer ranks than it has parameters
            skipped[name] = str(error)
    rows.sort(key=lambda row: row.delta_aic)
    return RankComparisons(fit.model, fit.aic, tuple(rows), skipped)


def _vuong(law: Law, other: Law, counts: Floats) -> tuple[float, float]:
    """Return R and R / (sigma sqrt(n)), each rank weighted by its counts."""
    if _same(law, other):
        return 0.0, 0.0
    n = float(counts.sum())
    difference = law.log_p - other.log_p
    mean = float(counts @ difference) / n
    spread = math.sqrt(float(counts @ (difference - mean) ** 2) / n)
    return mean * n, mean * math.sqrt(n) / spread if spread > 0.0 else 0.0


def _same(law: Law, other: Law) -> bool:
    """Whether one law came out as the other: at the end of its family, or by name."""
    if law.model == other.model or (law.at_zipf and other.at_zipf):
        return True
    return any(
        first.model == "exponential" and not math.isnan(second.rate)
        for first, second in ((law, other), (other, law))
    )


def _nesting(law: Law, other: Law) -> tuple[Law | None, Law | None, str | None]:
    """Return (member, family, place of the member in it), None where neither is nested."""
    for member, family in ((law, other), (other, law)):
        place = _NESTED.get((member.model, family.model))
        if place is not None:
            return member, family, place
    return None, None, None


def _nested_p(ratio: float, place: str) -> float:
    """Return P(chi-square(1) >= 2 ratio), half of it where the parameter is on its boundary."""
    if place == "boundary":
        return 1.0 if ratio == 0.0 else 0.5 * float(erfc(math.sqrt(ratio)))
    return float(erfc(math.sqrt(ratio)))


def _bootstrap(
    fit: ZipfFit,
    member: Law,
    family: Law,
    ratio: float,
    n_bootstrap: int,
    seed: np.random.SeedSequence,
) -> tuple[float, int]:
    """Return the share of data sets from the member with a ratio as large, and the failures."""
    rng = np.random.default_rng(seed)
    source, n_drawn = extended_law(member, fit._counts, fit.k_min)
    reached = good = 0
    for _ in range(n_bootstrap):
        draw = rng.multinomial(n_drawn, source)
        counts, small = refit(draw, fit.k_min, member.model)
        _, large = refit(draw, fit.k_min, family.model)
        if small is None or large is None:
            continue
        gain = log_likelihood(counts, large.log_p) - log_likelihood(counts, small.log_p)
        good += 1
        reached += gain >= abs(ratio)
    return (reached / good if good else math.nan), n_bootstrap - good


def _cell(value: float, width: int) -> str:
    return " " * (width - 1) + "-" if math.isnan(value) else f"{value:{width}.2g}"
