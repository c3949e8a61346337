"""Entropy of the patterns behind a sample of counts, with the bias that finite samples bring.

The plug-in estimate is too small by about (D - 1)/(2M) where all D patterns are seen often, and by
far more where most are never seen.  Each other estimator mends part of that; none can tell the
entropy of what was never seen, so every estimate comes with its coverage (Good-Turing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError
from spinnet.files import finite_or_null
from spinnet.tails.information.estimators import ESTIMATORS, Parts, Totals
from spinnet.tails.information.spectrum import Floats, Spectrum, read_counts
from spinnet.validation import choice, positive_float

# Smallest coverage at which the bias stays below about 2 % for critical Curie-Weiss, uniform and
# Zipf laws of s <= 1 (measured); a law of s = 1.3 reaches 3.4 % with the plug-in, 4 % with others.
NEEDED_COVERAGE = {
    "plug-in": 0.95,
    "miller-madow": 0.9,
    "grassberger": 0.8,
    "chao-shen": 0.8,
    "zhang": 0.9,
    "chao-wang-jost": 0.7,
}


@dataclass(frozen=True)
class EntropyEstimate:
    """An entropy and its standard error; ``float(estimate)`` is the entropy.

    Attributes
    ----------
    value, error : float
        In units of ln `base`.  The error is that of sampling alone, by the jackknife over inputs
        ("grassberger": by adding and leaving out each): it knows nothing of the bias.  NaN for a
        single input.
    estimator : str
    base : float
        Of the logarithm; e for nats.
    coverage : float
        Estimated probability that a new input shows a pattern seen before.
    n_total, n_distinct : int
        Inputs, and distinct patterns.
    warnings : tuple of str
        What limits the result.
    version : str
        Of spinnet.
    """

    value: float
    error: float
    estimator: str
    base: float
    coverage: float
    n_total: int
    n_distinct: int
    warnings: tuple[str, ...]
    version: str

    def __float__(self) -> float:
        return self.value

    @property
    def unit(self) -> str:
        """Name of the unit."""
        known = {math.e: "nats", 2.0: "bits", 10.0: "bans"}
        return known.get(self.base, f"ln {self.base:g}")

    def summary(self) -> str:
        """Return a few lines for people."""
        lines = [
            f"entropy {self.value:.4f} +- {self.error:.4f} {self.unit} ({self.estimator}), "
            f"{self.n_total} inputs, {self.n_distinct} distinct, coverage {self.coverage:.3f}"
        ]
        return "\n".join(lines + [f"  caution: {text}" for text in self.warnings])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record["warnings"] = list(self.warnings)
        return {
            "schema": 1,
            "kind": "entropy",
            **{name: finite_or_null(value) for name, value in record.items()},
        }


def entropy(
    counts: ArrayLike, estimator: str = "plug-in", *, base: float = math.e
) -> EntropyEstimate:
    r"""Estimate the entropy :math:`-\sum_i p_i \ln p_i` from counts of patterns.

    Parameters
    ----------
    counts : array_like of int
        How often each pattern was seen, in any order; zeros are left out.
    estimator : str
        * ``"plug-in"``: frequencies for probabilities, biased down by about (D - 1)/(2M); use it
          at a coverage above 0.95.
        * ``"miller-madow"``: adds (D - 1)/(2M) (Miller, 1955): right to order 1/M^2 once every
          pattern that exists was seen, too little before; above 0.9.
        * ``"grassberger"``: Grassberger, arXiv:physics/0307138 (2003, revised 2008): hardly biased
          by patterns expected more than about once, but for 1/(2M) upward; above 0.8.
        * ``"zhang"``: Zhang, Neural Comput. 24, 1368 (2012): biased down by an amount that falls
          exponentially with M for finitely many patterns; above 0.9.
        * ``"chao-shen"``: Chao and Shen, Environ. Ecol. Stat. 10, 429 (2003): counts the unseen
          patterns in by the coverage; noisy, of either sign, and off by 1 % even at 0.98; above
          0.8.
        * ``"chao-wang-jost"``: Chao, Wang and Jost, Methods Ecol. Evol. 4, 1091 (2013): Zhang's,
          and the unseen part from the patterns seen once and twice; the least biased, above 0.7.
    base : float
        Base of the logarithm: e gives nats, 2 bits.

    Returns
    -------
    EntropyEstimate
        Its `warnings` tell where the coverage is below what the estimator needs.

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0, or a bad option.
    StatisticsError
        No count > 0.

    Examples
    --------
    >>> estimate = entropy([50, 25, 25], base=2)
    >>> round(float(estimate), 3), estimate.unit
    (1.5, 'bits')
    """
    choice("estimator", estimator, tuple(ESTIMATORS))
    base = positive_float("base", base)
    if base <= 1.0:
        raise InputError(f"base must be > 1, got {base}")
    spectrum = read_counts(counts)
    scale = math.log(base)
    return EntropyEstimate(
        value=estimate_nats(spectrum, estimator) / scale,
        error=jackknife_error(spectrum, estimator) / scale,
        estimator=estimator,
        base=base,
        coverage=spectrum.coverage,
        n_total=spectrum.n_total,
        n_distinct=spectrum.n_distinct,
        warnings=_notes(spectrum, estimator),
        version=spinnet.__version__,
    )


def estimate_nats(spectrum: Spectrum, estimator: str) -> float:
    """Return an entropy in nats, never below 0."""
    parts = ESTIMATORS[estimator](_totals(spectrum))
    return max(0.0, parts.constant + float(spectrum.m @ parts.term(spectrum.k)))


def jackknife_error(spectrum: Spectrum, estimator: str) -> float:
    """Return the error by the jackknife over inputs, NaN for one input.

    Leaving out an input of a pattern seen k times turns that pattern's count into k - 1, and f_1
    and f_2 change only if k <= 3: so four sets of constants and terms serve all inputs.
    """
    M = spectrum.n_total
    if M < 2:
        return math.nan
    if estimator == "grassberger":
        return _two_sided_error(spectrum, estimator)
    left_out = np.empty(spectrum.k.size)
    for times in (1, 2, 3, 4):
        chosen = spectrum.k >= 4 if times == 4 else spectrum.k == times
        if chosen.any():
            fewer = _totals_without(spectrum, times)
            left_out[chosen] = _without_one(spectrum, ESTIMATORS[estimator](fewer), chosen)
    share = spectrum.k * spectrum.m / M
    spread = float(share @ (left_out - share @ left_out) ** 2)
    return math.sqrt((M - 1.0) * spread)


def _two_sided_error(spectrum: Spectrum, estimator: str) -> float:
    """Return the jackknife error with half the change from one input less to one more.

    Grassberger's k G(k) rises by G(k) and by G(k) + 2 in turn as k goes from odd to even: leaving
    inputs out takes that for a spread, and adds 1/M to the variance, whatever the law.
    """
    M, term = spectrum.n_total, ESTIMATORS[estimator](_totals(spectrum)).term
    below = np.zeros(spectrum.k.size)
    below[spectrum.k > 1] = term(spectrum.k[spectrum.k > 1] - 1.0)
    change = 0.5 * (term(spectrum.k + 1.0) - below)
    share = spectrum.k * spectrum.m / M
    return M * math.sqrt(float(share @ (change - share @ change) ** 2) / (M - 1.0))


def _totals(spectrum: Spectrum) -> Totals:
    return Totals(spectrum.n_total, spectrum.n_distinct, spectrum.seen(1), spectrum.seen(2))


def _totals_without(spectrum: Spectrum, times: int) -> Totals:
    """Return the totals once a pattern seen `times` times (4 for more) is seen once less."""
    M, D, f1, f2 = _totals(spectrum)
    change = {1: (-1, -1, 0), 2: (0, 1, -1), 3: (0, 0, 1), 4: (0, 0, 0)}[times]
    return Totals(M - 1, D + change[0], f1 + change[1], f2 + change[2])


def _without_one(spectrum: Spectrum, parts: Parts, chosen: NDArray[np.bool_]) -> Floats:
    """Return the estimates that leave out one input of each class of patterns chosen."""
    terms = parts.term(spectrum.k)
    k = spectrum.k[chosen]
    rest = np.zeros(k.size)
    rest[k > 1] = parts.term(k[k > 1] - 1.0)
    return parts.constant + float(spectrum.m @ terms) - terms[chosen] + rest


def _notes(spectrum: Spectrum, estimator: str) -> tuple[str, ...]:
    needed, found = NEEDED_COVERAGE[estimator], spectrum.coverage
    if found >= needed:
        return ()
    return (
        f"coverage {found:.3f} < {needed}: {estimator!r} is biased here, most likely downward; "
        "take more inputs or fewer units",
    )
