r"""The exact distribution of one layer of a two-layer system, the other layer summed over.

.. math:: P(b) \propto e^{\beta k \cdot b} \prod_i \sum_{a_i} e^{\beta a_i x_i(b)},
          \qquad x_i(b) = g_i + \text{scale} \sum_j w_{ij} b_j

All 2^n states of the layer b are written as (first half, second half), so that exp(beta x_i) is
the outer product of two short vectors, and the product over i needs no exponential of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.spins.models import Bipartite, NetworkDual, SpinModel
from spinnet.validation import bounded_float, choice, positive_float

Array = NDArray[np.float64]
MAX_UNITS = 24
_ROWS = 64  # of the table of states treated at a time: they stay in the cache
_LOG_RANGE = 600.0  # exponent range of a product before its logarithm is taken
_LOG_TWO = float(np.log(2.0))


@dataclass(frozen=True, eq=False)
class LayerMarginal:
    """The distribution of a layer over all its states.

    Attributes
    ----------
    n_units : int
    beta : float
    log_p : ndarray, shape (2^n_units,)
        Log-probability of each state; unit j is at its high level in state k where bit j of k
        is set.
    log_z : float
        ln Z of the whole system.
    """

    n_units: int
    beta: float
    log_p: Array
    log_z: float

    @cached_property
    def _cumulative(self) -> Array:
        return np.asarray(np.cumsum(np.exp(self.log_p)))

    def draw(self, n_samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return independent states, as indices."""
        cumulative = self._cumulative
        index = np.searchsorted(cumulative, rng.random(n_samples) * cumulative[-1], side="right")
        return np.asarray(np.minimum(index, len(cumulative) - 1))


def layer_marginal(model: SpinModel, beta: float, layer: str = "b") -> LayerMarginal:
    """Return the exact distribution of layer "a" or "b" of a two-layer system.

    Parameters
    ----------
    model : Bipartite, or NetworkDual of kind "bipartite"
        The layer asked for has at most 24 units; the other may have any number.
    beta : float
        Inverse temperature >= 0.
    layer : {"a", "b"}
        For a dual, "a" are the inputs and "b" the outputs.

    Returns
    -------
    LayerMarginal

    Raises
    ------
    InputError
        If the model has no two layers, or the layer is too wide.

    Notes
    -----
    20 units beside 50 take about 0.15 s; time and memory double with each unit.
    """
    pair = model.as_bipartite() if isinstance(model, NetworkDual) else model
    if not isinstance(pair, Bipartite):
        raise InputError(f"model must have two layers, got {model!r}")
    beta = bounded_float("beta", positive_float("beta", beta, zero=True))
    if choice("layer", layer, ("a", "b")) == "b":
        weights, own, other = pair.scale * pair.weights, pair.bias_b, pair.bias_a
    else:
        weights, own, other = pair.scale * pair.weights.T, pair.bias_a, pair.bias_b
    n = len(own)
    if n > MAX_UNITS:
        raise InputError(
            f"layer {layer!r} must have at most {MAX_UNITS} units for an exact sum, got {n}; "
            "use sample"
        )
    low, high = pair.levels
    step = high - low
    # units as bits u: b = low + step u.  y_i = beta step x_i, and
    # sum over a_i of exp(beta a_i x_i) = exp(beta low x_i) (1 + exp(y_i))
    start = other + low * weights.sum(axis=1)
    linear = beta * step * (own + low * weights.sum(axis=0))
    constant = beta * (low * own.sum() + low * start.sum() - pair.constant)
    table = _log_product(beta * step * start, beta * step * step * weights)
    first, second = _bits(n // 2), _bits(n - n // 2)
    table += (second @ linear[n // 2 :])[:, None]
    table += first @ linear[: n // 2]
    log_weight = table.ravel()
    top = float(log_weight.max())
    log_sum = top + float(np.log(np.sum(np.exp(log_weight - top))))
    log_weight -= log_sum
    return LayerMarginal(n, beta, log_weight, log_sum + constant)


def _log_product(start: Array, slopes: Array) -> Array:
    """Return sum_i ln(1 + exp(start_i + slopes_i . u)), shape (2^n2, 2^n1), bit 0 fastest."""
    n = slopes.shape[1]
    columns = _bits(n // 2) @ slopes[:, : n // 2].T  # (2^n1, n_other)
    rows = start + _bits(n - n // 2) @ slopes[:, n // 2 :].T
    peak = np.maximum(0.0, rows.max(axis=0) + columns.max(axis=0))
    result = np.empty((len(rows), len(columns)))
    for first in range(0, len(rows), _ROWS):
        block = slice(first, first + _ROWS)
        result[block] = _block(rows[block], columns, peak)
    return result


def _block(rows: Array, columns: Array, peak: Array) -> Array:
    total = np.full((len(rows), len(columns)), peak.sum())
    product, used = np.ones_like(total), 0.0
    factor = np.empty_like(total)
    for i, top in enumerate(peak):
        if top > _LOG_RANGE:
            total += np.logaddexp(0.0, rows[:, i, None] + columns[:, i]) - top
            continue
        if used + top + _LOG_TWO > _LOG_RANGE:
            total += np.log(product)
            product[...], used = 1.0, 0.0
        np.multiply.outer(np.exp(rows[:, i] - top / 2), np.exp(columns[:, i] - top / 2), out=factor)
        factor += np.exp(-top)  # (1 + e^y) e^-top lies in [e^-top, 2]
        product *= factor
        used += top + _LOG_TWO
    return np.asarray(total + np.log(product))


def _bits(n: int) -> Array:
    return ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
