r"""The exponents that one set of counts has, side by side.

Rank, spectrum (the distribution of the counts themselves, p(k) ~ k^-alpha) and split sample
estimate the same s, s = 1/(alpha - 1).  They agree for a Zipf law seen by many inputs; where they
do not, ranking noise, a cut-off or too few inputs speak.  Least squares on the log-log plot weighs
the many rare patterns, whose ranks are noise, most: it is what older papers did.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import SpinnetError, SpinnetWarning, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.rank.diagnostics import CountDiagnostics, diagnose_ranked, ranked_counts
from spinnet.tails.rank.fit import fit_zipf
from spinnet.tails.rank.result import plain
from spinnet.tails.rank.split_sample import split_sample
from spinnet.validation import integer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankExponent:
    """One estimate of the Zipf exponent.

    Attributes
    ----------
    method : str
        ``"rank"``, ``"spectrum"``, ``"split"`` or ``"least squares"``.
    s, error : float or None
        Exponent and standard error; None where it cannot be estimated.
    n_ranks : int
        Patterns used.
    note : str
        What the error means; the reason where there is no estimate.
    """

    method: str
    s: float | None
    error: float | None
    n_ranks: int
    note: str


@dataclass(frozen=True)
class RankExponents:
    """Four estimates of the Zipf exponent of one set of counts.

    Attributes
    ----------
    rank : RankExponent
        Maximum likelihood on ranks with counts >= `k_min` (``fit_zipf``): the one to quote.
    spectrum : RankExponent
        s = 1/(alpha - 1) from the discrete power-law fit of the counts.
    split : RankExponent
        Ranks from a random half of the inputs, counts from the other, over the ranks with counts
        >= `k_min` in the first half; mean over `n_splits`.
    least_squares : RankExponent
        Slope of ln(count) by ln(rank) over all ranks: what older papers did, for comparison only.
    alpha, alpha_error : float or None
        Density exponent of the counts, and its error at fixed xmin.
    xmin : float or None
        Smallest count of the power-law fit.
    ci : (float, float)
        95 % interval of the rank exponent; NaN without a bootstrap.
    diagnostics : CountDiagnostics
    n_splits, n_bootstrap : int
    seed : mapping
        What makes the splits and the bootstrap again.
    version : str
        Of spinnet.
    """

    rank: RankExponent
    spectrum: RankExponent
    split: RankExponent
    least_squares: RankExponent
    alpha: float | None
    alpha_error: float | None
    xmin: float | None
    ci: tuple[float, float]
    diagnostics: CountDiagnostics
    n_splits: int
    n_bootstrap: int
    seed: Mapping[str, object]
    version: str

    @property
    def rows(self) -> tuple[RankExponent, ...]:
        """The four estimates, in the order of the table."""
        return self.rank, self.spectrum, self.split, self.least_squares

    def summary(self) -> str:
        """Return a table for people."""
        lines = [f"{'exponent of ranks':20}{'s':>9} {'error':>9} {'patterns':>9}"]
        for row in self.rows:
            numbers = f"{_number(row.s)} {_number(row.error)} {row.n_ranks:9d}"
            lines.append(f"{row.method:20}{numbers}  {row.note}")
        if not math.isnan(self.ci[0]):
            lines.append(f"95 % interval of the rank exponent {self.ci[0]:.4f} .. {self.ci[1]:.4f}")
        return "\n".join(lines + [f"caution: {text}" for text in self.diagnostics.warnings])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record: dict[str, object] = {"schema": 1, "kind": "rank-exponents"}
        for row in self.rows:
            record[row.method.replace(" ", "_")] = {
                name: plain(getattr(row, name)) for name in row.__dataclass_fields__
            }
        for name in ("alpha", "alpha_error", "xmin", "ci", "n_splits", "n_bootstrap", "seed"):
            record[name] = plain(getattr(self, name))
        return record | {"diagnostics": self.diagnostics.to_dict(), "version": self.version}


def rank_exponents(
    counts: ArrayLike,
    *,
    k_min: int = 10,
    n_splits: int = 10,
    n_bootstrap: int = 0,
    rng: RandomState = None,
    force: bool = False,
) -> RankExponents:
    """Return the rank, spectrum, split-sample and least-squares exponents of counts.

    Parameters
    ----------
    counts : array_like, shape (n,)
        How often each distinct pattern was seen, in any order; zeros are left out.
    k_min : int
        Smallest count that the rank fit uses; of the split sample, in the half that ranks.
    n_splits : int
        Random halves to average over.
    n_bootstrap : int
        Resamples over inputs for the interval of the rank exponent.
    rng : None, int, SeedSequence or Generator
        Randomness of the splits and of the bootstrap.
    force : bool
        Fit even if fewer than 20 ranks qualify.

    Returns
    -------
    RankExponents
        An estimate that the counts cannot carry is None, with the reason.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0, or a bad option.
    StatisticsError
        No count > 0.

    Examples
    --------
    >>> import numpy as np
    >>> found = rank_exponents(np.round(1e6 / np.arange(1, 1001)), rng=1)
    >>> round(found.rank.s, 3), round(found.split.s, 2)
    (1.0, 1.0)
    """
    k_min = integer("k_min", k_min, minimum=1)
    n_splits = integer("n_splits", n_splits, minimum=1)
    ranked = ranked_counts(counts)
    seed = seed_sequence(rng)
    for_splits, for_fit = seed.spawn(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)  # the diagnostics say the same
        rank, ci = _rank(ranked, k_min, n_bootstrap, for_fit, force)
        spectrum, alpha, alpha_error, xmin = _spectrum(ranked)
    return RankExponents(
        rank=rank,
        spectrum=spectrum,
        split=_split(ranked, k_min, n_splits, np.random.default_rng(for_splits)),
        least_squares=_least_squares(ranked),
        alpha=alpha,
        alpha_error=alpha_error,
        xmin=xmin,
        ci=ci,
        diagnostics=diagnose_ranked(ranked, k_min),
        n_splits=n_splits,
        n_bootstrap=n_bootstrap,
        seed=seed_record(seed),
        version=spinnet.__version__,
    )


def _rank(
    ranked: Floats, k_min: int, n_bootstrap: int, seed: np.random.SeedSequence, force: bool
) -> tuple[RankExponent, tuple[float, float]]:
    try:
        fit = fit_zipf(ranked, k_min=k_min, n_bootstrap=n_bootstrap, rng=seed, force=force)
    except StatisticsError as refusal:
        return RankExponent("rank", None, None, 0, str(refusal)), (math.nan, math.nan)
    boot = n_bootstrap > 0 and math.isfinite(fit.zipf_bootstrap_error)
    error = fit.zipf_bootstrap_error if boot else fit.zipf_error
    note = "bootstrap over inputs" if boot else "for known ranks"
    return RankExponent("rank", fit.zipf, error, fit.r_max, note), fit.ci


def _spectrum(
    ranked: Floats,
) -> tuple[RankExponent, float | None, float | None, float | None]:
    from spinnet.tails.powerlaw import fit_power_law

    values, times = np.unique(ranked, return_counts=True)
    try:
        fit = fit_power_law(values, discrete=True, counts=times)
    except SpinnetError as error:
        return RankExponent("spectrum", None, None, 0, str(error)), None, None, None
    slope = fit.alpha - 1.0
    found = RankExponent(
        "spectrum",
        1.0 / slope,
        fit.alpha_error / slope**2,
        fit.n_tail,
        f"alpha = {fit.alpha:.4f}, at fixed xmin = {fit.xmin:g}",
    )
    return found, fit.alpha, fit.alpha_error, fit.xmin


def _split(ranked: Floats, k_min: int, n_splits: int, rng: np.random.Generator) -> RankExponent:
    found = split_sample(ranked, k_min, n_splits, rng)
    if math.isnan(found.s):
        reason = f"in none of {n_splits} halves two ranks have counts >= k_min={k_min}"
        return RankExponent("split", None, None, 0, reason)
    # the mean over many splits has the noise of all inputs, half of the variance of one half
    spread = 0.0 if math.isnan(found.spread) else found.spread
    variance = 0.5 * found.error**2 + spread**2 / n_splits
    note = f"mean of {n_splits - found.n_failed} random halves"
    if found.n_failed:
        note += f", {found.n_failed} more could not be fitted"
    return RankExponent("split", found.s, math.sqrt(variance), round(found.n_ranks), note)


def _least_squares(ranked: Floats) -> RankExponent:
    note = "all ranks; as in older papers, error nominal: residuals are correlated"
    n = ranked.size
    if n < 3:
        reason = f"a line with an error needs 3 ranks, got {n}"
        return RankExponent("least squares", None, None, n, reason)
    x = np.log(np.arange(1.0, n + 1.0))
    y = np.log(ranked)
    x -= x.mean()
    y -= y.mean()
    slope = float(x @ y / (x @ x))
    residual = float(np.sum((y - slope * x) ** 2)) / (n - 2)
    return RankExponent("least squares", -slope, math.sqrt(residual / float(x @ x)), n, note)


def _number(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:9.4f}"
