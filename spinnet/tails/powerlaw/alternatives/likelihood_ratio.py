"""Vuong's test of a power-law tail against an alternative fitted to the same points.

Econometrica 57, 307 (1989), as in CSN section 5.1 and their appendix C.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import StatisticsError
from spinnet.tails.powerlaw.alternatives.tail import CONTINUOUS, ROUND, SUM, FittedLaw, Tail
from spinnet.validation import choice

Floats = NDArray[np.float64]

ALTERNATIVE_NAMES = (
    "lognormal",
    "exponential",
    "stretched-exponential",
    "cut-off",
    "truncated",
)
DISCRETISATIONS = (SUM, ROUND)
_UNDECIDED = 0.1  # CSN section 5.1: from here on the sign of R is not to be trusted
_NESTED = tuple(name for name in ALTERNATIVE_NAMES if name != "exponential")


@dataclass(frozen=True)
class LikelihoodRatio:
    """Power law against an alternative on the same tail (CSN section 5).

    Attributes
    ----------
    alternative : str
        ``"lognormal"``, ``"exponential"``, ``"stretched-exponential"``, ``"cut-off"`` (power law
        with exponential cut-off) or ``"truncated"`` (power law up to the largest value).
    ratio : float
        R = ln L(power law) - ln L(alternative), each at its maximum.  Positive favours the
        power law.  It cannot be positive where `nested`.
    normalized_ratio : float
        R / (sigma sqrt(n)), sigma the standard deviation of the pointwise log ratios.  NaN for
        ``"truncated"``.
    p_value : float
        Two-sided Vuong p: a ratio this far from zero when both laws are equally far from the
        truth.  The sign of R means something only if this is small.  NaN for ``"truncated"``,
        where it is no test (see Notes).
    nested : bool
        Whether the power law is a member or a limit of the alternative's family.
    nested_p_value : float
        Where `nested`: likelihood-ratio test of the power law inside the family (see Notes).  NaN
        otherwise.
    degenerate : bool
        The best alternative *is* the power law: nothing can be told apart.
    parameters : mapping
        Fitted parameters.  lognormal: ``mu``, ``sigma`` of ln x (infinite when degenerate),
        ``a``, ``c`` of f ~ x^-a exp(-(c/2) ln^2(x/xmin)); exponential: ``rate``;
        stretched-exponential: ``beta``, ``g`` of P = exp(-(g/beta) ((x/xmin)^beta - 1)) and the
        ``rate`` of exp(-(rate x)^beta); cut-off: ``alpha``, ``rate`` of x^-alpha exp(-rate x);
        truncated: ``alpha``, ``xmax``.
    n_tail : int
        Number of points compared.
    discretisation : str or None
        How a density became a law of integers: ``"sum"``, f(x) over its sum, or ``"round"``, the
        mass between x - 1/2 and x + 1/2 (xmin - 1/2 is then the origin of the density).  None for
        real numbers.
    log_likelihood_power, log_likelihood : float
        Of the power law and of the alternative.
    n_parameters : int
        Fitted parameters of the alternative; the power law has one.  xmin counts for neither,
        the largest value of ``"truncated"`` as one.
    aic_power, aic, bic_power, bic : float
        Akaike's and Bayes's criteria of both laws, with n = `n_tail`; smaller is better.

    Notes
    -----
    Under the power law 2 abs(R) follows, for large n,

    * lognormal, stretched-exponential: the half-and-half mixture of 0 and chi-square(1), the
      parameter being on its boundary (Self and Liang, J. Am. Stat. Assoc. 82, 605 (1987));
    * cut-off: the same mixture only for alpha >= 3, where x has a variance.  The heavier the
      tail, the larger 2 abs(R): `nested_p_value` takes chi-square(1) for 1.5 <= alpha < 3, as CSN
      do, and chi-square(2) below 1.5, both on the safe side.  In simulations with n = 3000 the
      share of p < 0.1 was .09, .07, .06 at alpha = 1.5, 2, 2.5;
    * truncated: chi-square(2), since n P(X > largest value) is exponential with mean 1.  Vuong's
      test does not apply: with the largest point as bound this law always wins, by almost the
      same amount at every point (99 of 100 Pareto samples would have p < 0.1).
    """

    alternative: str
    ratio: float
    normalized_ratio: float
    p_value: float
    nested: bool
    nested_p_value: float
    degenerate: bool
    parameters: Mapping[str, float]
    n_tail: int
    discretisation: str | None
    log_likelihood_power: float
    log_likelihood: float
    n_parameters: int
    aic_power: float
    aic: float
    bic_power: float
    bic: float

    def summary(self) -> str:
        """Return one line for people."""
        if self.degenerate:
            return f"{self.alternative}: the best fit is the power law itself (R = 0)"
        line = f"{self.alternative}: R = {self.ratio:.4g}"
        if math.isnan(self.p_value):
            line += ", bound at the largest value (Vuong's test does not apply)"
        else:
            winner = "power law" if self.ratio > 0 else self.alternative
            verdict = f"favours the {winner}" if self.p_value < _UNDECIDED else "undecided"
            line += f", normalised {self.normalized_ratio:.3f}, p = {self.p_value:.3g} ({verdict})"
        if self.nested:
            line += f"; power law inside the family: p = {self.nested_p_value:.3g}"
        return line

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinity become None."""
        from spinnet.files import finite_or_null

        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record["parameters"] = dict(self.parameters)
        return {name: finite_or_null(value) for name, value in record.items()}


def compare_tail(
    alternative: str,
    values: Floats,
    counts: Floats,
    *,
    xmin: float,
    alpha: float,
    log_norm: float,
    discrete: bool,
    discretisation: str = SUM,
) -> LikelihoodRatio:
    """Return the likelihood ratio on the tail `values` (distinct, >= xmin) with `counts`.

    `log_norm` is the logarithm of the power law's normaliser: p(x) = (x/xmin)^-alpha
    exp(-log_norm).  `discretisation` is ignored for real numbers.
    """
    choice("alternative", alternative, ALTERNATIVE_NAMES)
    choice("discretisation", discretisation, DISCRETISATIONS)
    if values.size < 2:
        raise StatisticsError(
            f"the tail above xmin={xmin} has {values.size} distinct value(s); an alternative needs "
            "at least 2: lower xmin",
            estimate={"n_tail": int(counts.sum()), "n_distinct": int(values.size)},
        )
    kind = discretisation if discrete else CONTINUOUS
    tail = Tail(values, counts, xmin, alpha, log_norm, kind)
    return _ratio(alternative, tail, _fit(alternative, tail))


def _fit(alternative: str, tail: Tail) -> FittedLaw:
    """Fit one law; the modules that load Numba are imported here."""
    if alternative == "exponential":
        from spinnet.tails.powerlaw.alternatives.exponential import fit_exponential

        return fit_exponential(tail)
    if alternative == "truncated":
        from spinnet.tails.powerlaw.alternatives.truncated_law import fit_truncated_law

        return fit_truncated_law(tail)
    from spinnet.tails.powerlaw.alternatives.boundary import fit_nesting
    from spinnet.tails.powerlaw.alternatives.cut_off import CutOff
    from spinnet.tails.powerlaw.alternatives.lognormal import Lognormal

    if alternative == "lognormal":
        return fit_nesting(Lognormal(), tail)
    if alternative == "cut-off":
        return fit_nesting(CutOff(), tail)
    from spinnet.tails.powerlaw.alternatives import stretched_exponential as stretched

    if tail.kind == CONTINUOUS:
        return stretched.fit_real(tail)
    return fit_nesting(stretched.StretchedExponential(), tail)


def _ratio(alternative: str, tail: Tail, law: FittedLaw) -> LikelihoodRatio:
    difference = tail.power - law.log_density
    ratio = float(tail.counts @ difference)
    spread = math.sqrt(float(tail.mean((difference - ratio / tail.n) ** 2)))
    normalized = ratio / (spread * math.sqrt(tail.n)) if spread > 0.0 else 0.0
    if alternative == "truncated":
        normalized = math.nan
    # rounded densities hold the rounded power law, not the zeta law
    nested = alternative in _NESTED and tail.kind != ROUND
    power, other = float(tail.counts @ tail.power), float(tail.counts @ law.log_density)
    log_n = math.log(tail.n)
    return LikelihoodRatio(
        alternative=alternative,
        ratio=ratio,
        normalized_ratio=normalized,
        p_value=math.erfc(abs(normalized) / math.sqrt(2.0)),
        nested=nested,
        nested_p_value=_nested_p_value(alternative, ratio, tail.alpha) if nested else math.nan,
        degenerate=law.degenerate,
        parameters=law.parameters,
        n_tail=int(tail.n),
        discretisation=None if tail.kind == CONTINUOUS else tail.kind,
        log_likelihood_power=power,
        log_likelihood=other,
        n_parameters=law.n_parameters,
        aic_power=2.0 - 2.0 * power,
        aic=2.0 * law.n_parameters - 2.0 * other,
        bic_power=log_n - 2.0 * power,
        bic=log_n * law.n_parameters - 2.0 * other,
    )


def _nested_p_value(alternative: str, ratio: float, alpha: float) -> float:
    """Return P(2|R| or more) under the power law (see LikelihoodRatio, Notes)."""
    half = max(0.0, -ratio)
    if half == 0.0:
        return 1.0
    if alternative == "truncated" or (alternative == "cut-off" and alpha < 1.5):
        return math.exp(-half)
    tail = math.erfc(math.sqrt(half))
    return tail if alternative == "cut-off" and alpha < 3.0 else 0.5 * tail
