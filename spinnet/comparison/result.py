"""What a comparison returns, as one frozen object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spinnet.comparison.criticality import DualCriticality
from spinnet.comparison.exponents import MeasuredExponent
from spinnet.comparison.gate import Gate
from spinnet.comparison.layer import StudiedLayer
from spinnet.comparison.predictions import Prediction
from spinnet.comparison.temperature import TemperatureFit
from spinnet.comparison.verdict import PRINCIPAL, Verdict
from spinnet.networks.observables import LayerObservables
from spinnet.spins.statistics import format_with_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Comparison:
    """A network layer's measured power laws against its dual spin system and null models.

    Attributes
    ----------
    layer : str
    shape : (int, int)
        Inputs and outputs of the layer.
    n_inputs : int
        Distinct recorded inputs.
    dual : str
        Form of the dual and treatment of its fields, as the patterns are predicted.
    gate : Gate
        Whether the dual is a model of this layer at all.
    measured : tuple of MeasuredExponent
    temperature : TemperatureFit
        The temperature at which the free dual is nearest to the data.
    criticality : DualCriticality
        Critical temperatures and exponents of the dual, by several methods.
    predictions : tuple of Prediction
        The data's estimators on replicates from the dual and the null models.
    verdict : Verdict
    observables : LayerObservables
        The four classes as measured, without fits.
    parameters : mapping
        What the comparison was called with.
    seed : mapping
    version : str
    seconds : float
        Wall time.
    studied : StudiedLayer
        The layer's bits and weights, for plots.
    """

    layer: str
    shape: tuple[int, int]
    n_inputs: int
    dual: str
    gate: Gate
    measured: tuple[MeasuredExponent, ...]
    temperature: TemperatureFit
    criticality: DualCriticality
    predictions: tuple[Prediction, ...]
    verdict: Verdict
    observables: LayerObservables
    parameters: Mapping[str, object]
    seed: Mapping[str, object]
    version: str
    seconds: float
    studied: StudiedLayer

    def exponent(self, key: str) -> MeasuredExponent:
        """Return a measured exponent by its key, for example "patterns.alpha"."""
        return next(row for row in self.measured if row.key == key)

    def reduced_temperatures(self) -> dict[str, tuple[float, float, float]]:
        """Return t = (T_best - T_c)/T_c with its 95 % interval, for each way to find T_c.

        The interval joins the bootstrap of T_best with twice the error of T_c.
        """
        best, (low, high) = self.temperature.best, self.temperature.interval
        table = {}
        for item in self.criticality.temperatures:
            t = best / item.value - 1
            relative = 1.96 * item.error / item.value * best / item.value
            down = math.hypot((best - low) / item.value, relative)
            up = math.hypot((high - best) / item.value, relative)
            table[f"{item.method}; {item.label}"] = (t, t - down, t + up)
        return table

    def summary(self) -> str:
        """Return one readable table with errors and the verdict."""
        patterns = self.observables.pattern_frequencies
        stability = ", ".join(
            f"fields {name} {value:.3f}"
            for name, value in self.criticality.distance_to_instability.items()
        )
        lines = [
            f"layer {self.layer!r}: {self.shape[0]} inputs -> {self.shape[1]} nodes, "
            f"{self.n_inputs} distinct inputs, {patterns.whole.distinct} distinct patterns, "
            f"coverage {patterns.whole.coverage:.3f}",
            *self._subset_lines(),
            f"dual: {self.dual}; natural units, T = 1 is the network",
            *self._gain_lines(),
            "",
            self.gate.summary(),
            "",
            *self._temperature_lines(),
            f"  distance of the saddle point at T = 1 from instability: {stability}",
            f"  {self.criticality.diagnosis}",
            "",
            "critical exponents of the dual, fields zero",
            *self._dual_exponent_lines(),
            "",
            "measured exponents",
            *self._measured_lines(),
            "",
            "the same estimators on replicates: 95 % intervals of "
            f"{self.parameters['n_replicates']} replicates, Holm-adjusted p of patterns.alpha "
            "(-: shown, not tested)",
            *self._prediction_lines(),
            "",
            f"VERDICT: {self.verdict.text}",
            *(f"  - {reason}" for reason in self.verdict.reasons),
            "",
            f"spinnet {self.version}, seed {self.seed['entropy']}, {self.seconds:.0f} s",
        ]
        return "\n".join(lines)

    def _gain_lines(self) -> list[str]:
        if self.studied.gain_rule == "unit":
            return []
        return [
            "  gain active-mean: the weights of each input are multiplied by its mean activation "
            "when on"
        ]

    def _subset_lines(self) -> list[str]:
        if self.studied.is_whole:
            return []
        units = self.studied.subsets[0]
        return [
            f"the layer has too many nodes for {self.n_inputs} inputs: patterns are those of "
            f"{len(units)} nodes, averaged over {len(self.studied.subsets)} random subsets "
            f"(coverage {self.observables.pattern_frequencies.coverage:.3f})"
        ]

    def _temperature_lines(self) -> list[str]:
        fit = self.temperature
        edge = " (at the end of the grid: no best T)" if fit.at_edge else ""
        held = ", ".join(f"{name} {value:.3f}" for name, value in fit.held_out.items())
        lines = [
            f"temperature of the data under the free dual, by {fit.kind}: T = {fit.best:.3f} "
            f"[{fit.interval[0]:.3f}, {fit.interval[1]:.3f}]{edge}",
            f"  held-out nats per pattern: {held}",
            "",
            "critical temperature of the dual, and t = (T of the data - T_c)/T_c",
            f"  {'fields':<8}{'T_c':<12}{'method':<52}t",
        ]
        reduced = self.reduced_temperatures().values()
        for item, (t, low, high) in zip(self.criticality.temperatures, reduced, strict=True):
            fields = item.label.split("fields ")[-1].split(",")[0]
            distance = "-" if math.isnan(t) else f"{t:+.3f} [{low:+.3f}, {high:+.3f}]"
            kind = f"  ({item.note.split(':')[0]})" if ":" in item.note else ""
            lines.append(f"  {fields:<8}{item.value_text:<12}{item.method:<52}{distance}{kind}")
        return lines

    def _dual_exponent_lines(self) -> list[str]:
        head = f"  {'exponent':<14}{'value':<16}{'mean field':<12}method"
        return [head] + [
            f"  {e.name:<14}{_with_error(e.value, e.error):<16}{e.theory:<12g}{e.method}"
            for e in self.criticality.exponents
        ]

    def _measured_lines(self) -> list[str]:
        lines = [f"  {'observable':<36}{'exponent':<12}{'p':<7}{'decades':<9}result"]
        for row in self.measured:
            value = "-" if math.isnan(row.value) else format_with_error(row.value, row.error)
            lines.append(
                f"  {row.label:<36}{value:<12}{_number(row.p_value, 2):<7}"
                f"{_number(row.decades, 2):<9}{row.status}"
            )
        return lines

    def _prediction_lines(self) -> list[str]:
        keys = ("patterns.alpha", "patterns.zipf", "nodes.zipf")
        head = f"  {'model':<20}" + "".join(f"{key:<18}" for key in keys)
        data = "".join(f"{_number(self.exponent(key).value, 3):<18}" for key in keys)
        lines = [f"{head}{'p':<9}p(rank curve)", f"  {'DATA':<20}{data}"]
        for item in self.predictions:
            if PRINCIPAL not in item.values:
                lines.append(
                    f"  weights.alpha: data {_number(self.exponent('weights.alpha').value, 3)}, "
                    f"{item.model} {_interval(item.interval('weights.alpha'), 'weights')}, "
                    f"p {_number(item.p_values['weights.alpha'], 3)}"
                )
                continue
            cells = "".join(f"{_interval(item.interval(key)):<18}" for key in keys)
            adjusted = self.verdict.adjusted.get(item.model, math.nan)
            lines.append(
                f"  {item.model:<20}{cells}{_number(adjusted, 4):<9}"
                f"{_number(item.curve_p_value, 3)}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the raw bits, in types that JSON knows; NaN becomes None."""
        record = {
            "schema": 1,
            "layer": self.layer,
            "shape": list(self.shape),
            "n_inputs": self.n_inputs,
            "dual": self.dual,
            "gate": dict(self.gate.__dict__),
            "measured": [row.to_dict() for row in self.measured],
            "temperature": self.temperature.to_dict(),
            "reduced_temperatures": {k: list(v) for k, v in self.reduced_temperatures().items()},
            "criticality": self.criticality.to_dict(),
            "predictions": [item.to_dict() for item in self.predictions],
            "verdict": {
                "text": self.verdict.text,
                "reasons": list(self.verdict.reasons),
                "adjusted": self.verdict.adjusted,
            },
            "observables": self.observables.to_dict(),
            "parameters": dict(self.parameters),
            "seed": dict(self.seed),
            "version": self.version,
            "seconds": self.seconds,
        }
        plain: dict[str, Any] = _plain(record)
        return plain

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the principal exponent: data, dual and nulls, as a forest plot."""
        from spinnet.comparison.figures import forest

        return forest(self, PRINCIPAL, ax)


def _with_error(value: float, error: float) -> str:
    """Return the value with its error, or to six decimals where the error is below these."""
    if math.isnan(value):
        return "not resolved"
    return f"{value:.6f}" if error < 1e-6 else format_with_error(value, error)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(pair: tuple[float, float], of: str = "patterns") -> str:
    return f"too few {of}" if math.isnan(pair[0]) else f"[{pair[0]:.3f}, {pair[1]:.3f}]"


def _plain(value: Any) -> Any:
    """Return `value` in the types of JSON; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
