"""One sentence of a fixed vocabulary, and the reasons for it.

The verdict rests on the patterns: the density of their counts tells whether there is a power
law, and its exponent is compared with the null models before the dual, which must predict the
whole rank curve too.  A fitted pattern
exponent is never compared with beta = 1/2, gamma = 1 or delta = 3, which are of other
quantities.  "consistent with critical dual" would need tests that this version does not make
(whole curves within classes, the thermodynamic test, several training seeds), and is never
given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spinnet.comparison.exponents import MIN_DECADES, P_RULED_OUT, MeasuredExponent
from spinnet.comparison.gate import Gate
from spinnet.comparison.predictions import Prediction, holm
from spinnet.comparison.temperature import TemperatureFit

PRINCIPAL = "patterns.alpha"
SIGNIFICANCE = 0.05
VOCABULARY = (
    f"no power law (p < {P_RULED_OUT} or < {MIN_DECADES} decades or unstable in n)",
    "power law, explained by null",
    "power law not explained by nulls, inconsistent with dual",
    "power law not explained by nulls; the dual is not a model of this layer",
    "consistent with dual at best T",
    "consistent with critical dual",
)


@dataclass(frozen=True)
class Verdict:
    """The conclusion of a comparison.

    Attributes
    ----------
    text : str
        One of the fixed vocabulary, with names and numbers filled in.
    reasons : tuple of str
        What it rests on, in order.
    adjusted : dict of float
        Holm-adjusted p-values of the principal exponent, by model.
    """

    text: str
    reasons: tuple[str, ...]
    adjusted: dict[str, float]


def judge(
    measured: Sequence[MeasuredExponent],
    predictions: Sequence[Prediction],
    gate: Gate,
    temperature: TemperatureFit,
    power: str,
) -> Verdict:
    """Return the verdict; see the module's docstring for the order of the tests."""
    row = next(item for item in measured if item.key == PRINCIPAL)
    usable = tested(predictions, temperature)
    adjusted = holm({p.model: p.p_values[PRINCIPAL] for p in usable})
    reasons = [
        _power_law_reason(row),
        *_model_reasons(usable, adjusted),
        *_missing_reasons(usable),
        *_likelihood_reasons(temperature),
    ]
    if not gate.passed:
        reasons.append("the validity gate failed: no verdict on the dual is possible")
    reasons.append(power)
    if not row.status.startswith("power law"):
        detail = row.status.removeprefix("no power law: ")
        return Verdict(f"no power law ({detail})", tuple(reasons), adjusted)
    nulls = [p.model for p in usable if p.kind == "null" and adjusted[p.model] > SIGNIFICANCE]
    if nulls:
        text = f"power law, explained by null: {', '.join(nulls)}"
        return Verdict(text, tuple(reasons), adjusted)
    best = [p for p in usable if p.temperature == temperature.best]
    fits = any(adjusted[p.model] > SIGNIFICANCE and p.curve_p_value > SIGNIFICANCE for p in best)
    if gate.passed and fits and not temperature.at_edge:
        text = f"consistent with dual at best T = {temperature.best:.3g}"
        return Verdict(text, tuple(reasons), adjusted)
    text = "power law not explained by nulls, inconsistent with dual"
    if not gate.passed:
        text = "power law not explained by nulls; the dual is not a model of this layer"
    return Verdict(text, tuple(reasons), adjusted)


def tested(predictions: Sequence[Prediction], temperature: TemperatureFit) -> list[Prediction]:
    """Return the models that are tested: the nulls, and the dual at T = 1 and at the best T.

    The other temperatures of the dual show how its exponent moves; they are no hypotheses.
    """
    return [p for p in predictions if p.kind == "null" or p.temperature in (1.0, temperature.best)]


def _power_law_reason(row: MeasuredExponent) -> str:
    if not math.isfinite(row.value):
        return f"density of pattern counts: {row.status}"
    fit = f", p = {row.p_value:.2f}, {row.decades:.2f} decades" if row.decades >= 0 else ""
    return (
        f"density of pattern counts: alpha = {row.value:.3f} +- {row.error:.3f}{fit}: {row.status}"
    )


def _model_reasons(predictions: Sequence[Prediction], adjusted: dict[str, float]) -> list[str]:
    lines = []
    for p in predictions:
        low, high = p.interval(PRINCIPAL)
        if math.isfinite(low):
            lines.append(
                f"{p.model}: predicts alpha in [{low:.3f}, {high:.3f}], "
                + _p_text(adjusted[p.model])
            )
        else:
            lines.append(
                f"{p.model}: {p.n_failed(PRINCIPAL)} of {p.n_replicates} replicates have too few "
                "patterns for an exponent, so that it predicts none"
            )
    return lines


def _p_text(p: float) -> str:
    if not math.isfinite(p):
        return "no p, the data having no exponent"
    return f"Holm p = {p:.4f}: {'rejected' if p <= SIGNIFICANCE else 'not rejected'} at 5 %"


def _missing_reasons(predictions: Sequence[Prediction]) -> list[str]:
    """Return which nulls were not tested, without which the verdict says less."""
    known = {p.model for p in predictions}
    missing = [name for name in ("shuffled weights", "untrained weights") if name not in known]
    if not missing:
        return []
    return [
        f"not tested: {' and '.join(missing)}, for which the inputs of the whole network are "
        "needed; record its first layer too"
    ]


def _likelihood_reasons(temperature: TemperatureFit) -> list[str]:
    """Return that independent units predict the patterns better than the dual, if they do."""
    held = temperature.held_out
    dual, units = held.get("dual at best T"), held.get("independent units")
    if dual is None or units is None or dual >= units:
        return []
    return [
        f"held-out {temperature.kind}: {dual:.3f} nats a pattern for the dual at its best T, "
        f"{units:.3f} for independent units: the dual predicts single patterns worse"
    ]


def power_statement(predictions: Sequence[Prediction], critical_temperature: float) -> str:
    """Return which distance from T_c the principal exponent can tell from T_c itself."""
    duals = [p for p in predictions if p.kind == "dual" and p.temperature is not None]
    reference = min(
        duals, key=lambda p: abs((p.temperature or 0) - critical_temperature), default=None
    )
    if reference is None or not math.isfinite(reference.median(PRINCIPAL)):
        return "power: the dual at T_c carries no exponent, so that no distance can be told"
    low, high = reference.interval(PRINCIPAL)
    told = []
    for p in duals:
        other = p.interval(PRINCIPAL)
        if math.isfinite(other[0]) and (other[0] > high or other[1] < low):
            told.append(abs((p.temperature or 0) / critical_temperature - 1))
    if not told:
        return "power: no temperature of the grid can be told from T_c by this exponent"
    return (
        f"power: this exponent tells |T - T_c|/T_c >= {min(told):.2f} from T_c = "
        f"{critical_temperature:.3g}, the peak of chi_top (predictive 95 % intervals are apart)"
    )
