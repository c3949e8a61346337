"""Is the dual a model of this layer at all?  The clamped test, before anything else.

With the layer's real inputs as bits, the dual's gates are on with probability
P(b_j = 1 | a) = 1/(1 + exp(-x_j/T)), x = w^T a + bias.  At T -> 0 they are the sign of x, at T = 1
they have a log-loss.  What is lost by binarising the inputs shows here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from spinnet.comparison.layer import Array, StudiedLayer

MIN_ACCURACY = 0.8


@dataclass(frozen=True)
class Gate:
    """The clamped dual against the layer, averaged over nodes and inputs.

    Attributes
    ----------
    accuracy : float
        Share of the layer's bits that the dual's gates have at T -> 0.
    baseline_accuracy : float
        The same for each node's more frequent value.
    log_loss : float
        At T = 1, nats per node.
    baseline_log_loss : float
        Of independent nodes at their measured rates.
    worst_node_accuracy : float
    accuracy_unit_gain : float
        `accuracy` with weights as they are (a 0/1 input counts as 1).
    gain_rule : str
    passed : bool
        accuracy >= 0.8, above the baseline, and a log-loss below the baseline.
    """

    accuracy: float
    baseline_accuracy: float
    log_loss: float
    baseline_log_loss: float
    worst_node_accuracy: float
    accuracy_unit_gain: float
    gain_rule: str
    passed: bool

    def summary(self) -> str:
        """Return two lines for people."""
        verdict = "passed" if self.passed else "FAILED: the dual is not a model of this layer"
        return (
            f"validity gate (inputs clamped): {verdict}\n"
            f"  bits right at T -> 0: {self.accuracy:.3f} (majority {self.baseline_accuracy:.3f}, "
            f"weights without gain {self.accuracy_unit_gain:.3f}); "
            f"log-loss at T = 1: {self.log_loss:.3f} nats a node "
            f"(independent nodes {self.baseline_log_loss:.3f})"
        )


def validity_gate(layer: StudiedLayer) -> Gate:
    """Compare the dual clamped to the layer's real inputs with what the layer did."""
    x = layer.inputs @ layer.weights + layer.bias
    z = layer.outputs
    per_node = ((x > 0) == z).mean(axis=0)
    raw = layer.network[layer.name].weights.astype(np.float64)
    unit = ((layer.inputs @ raw + layer.bias > 0) == z).mean()
    rates = z.mean(axis=0)
    baseline = float(np.maximum(rates, 1 - rates).mean())
    log_loss = float(np.logaddexp(0, np.where(z, -x, x)).mean())
    entropy = float(_entropy(rates).mean())
    accuracy = float(per_node.mean())
    return Gate(
        accuracy=accuracy,
        baseline_accuracy=baseline,
        log_loss=log_loss,
        baseline_log_loss=entropy,
        worst_node_accuracy=float(per_node.min()),
        accuracy_unit_gain=float(unit),
        gain_rule=layer.gain_rule,
        passed=bool(accuracy >= MIN_ACCURACY and accuracy > baseline and log_loss < entropy),
    )


def _entropy(rates: Array) -> Array:
    return np.asarray(-xlogy(rates, rates) - xlogy(1 - rates, 1 - rates))
