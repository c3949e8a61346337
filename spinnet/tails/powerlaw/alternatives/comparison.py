"""All alternatives of a fitted tail in one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.tails.powerlaw.alternatives.likelihood_ratio import (
    ALTERNATIVE_NAMES,
    LikelihoodRatio,
)
from spinnet.validation import choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]


class Comparable(Protocol):
    """A fit with a method ``compare``, such as ``PowerLawFit``."""

    def compare(self, alternative: str, *, discretisation: str = "sum") -> LikelihoodRatio:
        """Return the likelihood ratio against a law."""


@dataclass(frozen=True)
class LawComparison:
    """The power law and its alternatives on one tail.

    Attributes
    ----------
    laws : tuple of str
        ``"power-law"`` first, then the alternatives.
    n_tail : int
        Number of points.
    log_likelihood, aic, bic : ndarray
        One entry per law.
    n_parameters : ndarray of int
    aic_weight, bic_weight : ndarray
        exp(-criterion/2), normalised over the laws: the evidence for each among these (Burnham
        and Anderson, Sociol. Methods Res. 33, 261 (2004)).
    ratios : tuple of LikelihoodRatio
        One per alternative.
    """

    laws: tuple[str, ...]
    n_tail: int
    log_likelihood: Floats
    n_parameters: NDArray[np.int64]
    aic: Floats
    bic: Floats
    aic_weight: Floats
    bic_weight: Floats
    ratios: tuple[LikelihoodRatio, ...]

    def summary(self) -> str:
        """Return an aligned table for people."""
        rows = [
            ("law", "ln L", "k", "AIC", "weight", "BIC", "weight", "R/norm", "p", "nested p"),
        ]
        for i, law in enumerate(self.laws):
            ratio = self.ratios[i - 1] if i else None
            rows.append(
                (
                    law,
                    f"{self.log_likelihood[i]:.3f}",
                    str(self.n_parameters[i]),
                    f"{self.aic[i]:.2f}",
                    f"{self.aic_weight[i]:.3f}",
                    f"{self.bic[i]:.2f}",
                    f"{self.bic_weight[i]:.3f}",
                    *_ratio_cells(ratio),
                )
            )
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
            ).rstrip()
            for row in rows
        ]
        same = [ratio.alternative for ratio in self.ratios if ratio.degenerate]
        note = f"R/norm > 0 favours the power law; tail of {self.n_tail} points"
        if same:
            note += f"; the best {' and '.join(same)} is the power law itself"
        if any(math.isnan(ratio.p_value) for ratio in self.ratios):
            note += "; Vuong's test does not apply to truncated, which ends at the largest value"
        return "\n".join([*lines, note])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinity become None."""
        from spinnet.files import finite_or_null

        arrays = ("log_likelihood", "n_parameters", "aic", "bic", "aic_weight", "bic_weight")
        record: dict[str, object] = {
            "schema": 1,
            "kind": "law-comparison",
            "laws": list(self.laws),
            "n_tail": self.n_tail,
        }
        record |= {name: finite_or_null(getattr(self, name).tolist()) for name in arrays}
        record["ratios"] = [ratio.to_dict() for ratio in self.ratios]
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the normalised ratios with 95 % intervals (+-1.96 by construction); return axes.

        Right of them Vuong's p and, where the power law is a member of the family, the nested p
        in brackets.  Filled where the nested p, else Vuong's, is below 0.1.
        """
        from spinnet import plotting

        ax = plotting.axes(ax)
        rows = [
            plotting.Row(
                ratio.alternative,
                math.nan if ratio.degenerate else ratio.normalized_ratio - 1.96,
                math.nan if ratio.degenerate else ratio.normalized_ratio + 1.96,
                ratio.normalized_ratio,
                filled=(ratio.nested_p_value if ratio.nested else ratio.p_value) < 0.1,
                remark=_p_values(ratio),
                missing="is the power law" if ratio.degenerate else "no Vuong test",
            )
            for ratio in self.ratios
        ]
        plotting.intervals(ax, rows, remarks="p (nested)")
        ax.axvline(0.0, color=plotting.GREY, ls=":", lw=0.9, zorder=1)
        ax.set_xlabel(r"normalised log-likelihood ratio ($>0$: power law)")
        return ax


def compare_all(
    fit: Comparable,
    alternatives: Sequence[str] = ALTERNATIVE_NAMES,
    *,
    discretisation: str = "sum",
) -> LawComparison:
    """Compare a fitted power law with each of several laws on its tail.

    Parameters
    ----------
    fit : PowerLawFit
    alternatives : sequence of str
        Names that ``fit.compare`` takes; all of them by default.
    discretisation : {"sum", "round"}
        Of the alternatives for integers, as ``fit.compare`` takes it.

    Returns
    -------
    LawComparison

    Raises
    ------
    InputError
        A name that is not known or given twice, or none at all.
    """
    if isinstance(alternatives, str):
        raise InputError(f"alternatives must be a sequence of names, got the text {alternatives!r}")
    names = [choice("alternatives", name, ALTERNATIVE_NAMES) for name in alternatives]
    if not names or len(set(names)) < len(names):
        raise InputError(f"alternatives must be distinct names, at least one, got {names}")
    return tabulate([fit.compare(name, discretisation=discretisation) for name in names])


def tabulate(ratios: Sequence[LikelihoodRatio]) -> LawComparison:
    """Return the table of likelihood ratios that share one power-law fit."""
    first = ratios[0]
    aic = np.array([first.aic_power] + [ratio.aic for ratio in ratios])
    bic = np.array([first.bic_power] + [ratio.bic for ratio in ratios])
    return LawComparison(
        laws=("power-law", *(ratio.alternative for ratio in ratios)),
        n_tail=first.n_tail,
        log_likelihood=np.array(
            [first.log_likelihood_power] + [ratio.log_likelihood for ratio in ratios]
        ),
        n_parameters=np.array([1] + [ratio.n_parameters for ratio in ratios]),
        aic=aic,
        bic=bic,
        aic_weight=_weights(aic),
        bic_weight=_weights(bic),
        ratios=tuple(ratios),
    )


def _weights(criterion: Floats) -> Floats:
    weights = np.exp(-0.5 * (criterion - criterion.min()))
    return np.asarray(weights / weights.sum())


def _ratio_cells(ratio: LikelihoodRatio | None) -> tuple[str, str, str]:
    if ratio is None:
        return "", "", ""
    nested = "" if math.isnan(ratio.nested_p_value) else f"{ratio.nested_p_value:.3g}"
    if math.isnan(ratio.p_value):
        return "", "", nested
    return f"{ratio.normalized_ratio:.3f}", f"{ratio.p_value:.3g}", nested


def _p_values(ratio: LikelihoodRatio) -> str:
    """Return the p-values that are tests, for the figure."""
    if ratio.degenerate:
        return ""
    vuong = "" if math.isnan(ratio.p_value) else f"{ratio.p_value:.2g}"
    nested = f"({ratio.nested_p_value:.2g})" if ratio.nested else ""
    return f"{vuong} {nested}".strip()
