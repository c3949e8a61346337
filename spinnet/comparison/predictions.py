"""Predictive intervals: the data's estimators on replicates drawn from a model.

Each model gives as many replicate data sets as asked for, of the size of the data.  The p-value
of an exponent is twice the smaller tail of the replicates, (1 + #{as extreme})/(R + 1): the
distributions are skewed, so that distance from the median would call a value outside every
interval plausible.  It is corrected by Holm's method over the models tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinnet.comparison.exponents import (
    BIT_EXPONENTS,
    MeasuredExponent,
    averaged,
    tail_exponent,
)
from spinnet.comparison.laws import PatternSource
from spinnet.comparison.layer import Array, Codes, StudiedLayer

_RANKS = 60  # ranks at which the frequency curve of each replicate is kept
_CURVE_FLOOR = 0.5  # counts added before the logarithm, so that unseen ranks count


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one model predicts for the exponents and for the rank curve.

    Attributes
    ----------
    model : str
        For example "dual, T = 1" or "shuffled weights".
    kind : {"dual", "null"}
    temperature : float or None
    detail : str
        How its replicates were made.
    values : mapping of str to ndarray
        Each exponent on each replicate; NaN where the replicate could not carry it.
    p_values : mapping of str to float
        Of the data's exponents; NaN where fewer than half of the replicates carry one.
    ranks : ndarray of int
    curves : ndarray, shape (n_replicates, len(ranks))
        Frequencies at those ranks (of the first unit subset).
    curve_p_value : float
        Of the data's whole rank curve: the largest standardised deviation of its logarithm
        against that of each replicate.
    """

    model: str
    kind: str
    temperature: float | None
    detail: str
    values: Mapping[str, Array]
    p_values: Mapping[str, float]
    ranks: Codes
    curves: Array
    curve_p_value: float

    @property
    def n_replicates(self) -> int:
        """Number of replicates."""
        return len(self.curves)

    def n_failed(self, key: str) -> int:
        """Return how many replicates could not carry the exponent."""
        return int(np.sum(~np.isfinite(self.values[key])))

    def interval(self, key: str, level: float = 0.95) -> tuple[float, float]:
        """Return the central predictive interval, or NaN if most replicates failed."""
        finite = _usable(self.values[key])
        if finite is None:
            return math.nan, math.nan
        low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def median(self, key: str) -> float:
        """Return the median over replicates, or NaN if most failed."""
        finite = _usable(self.values[key])
        return math.nan if finite is None else float(np.median(finite))

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, without the replicates."""
        keys = list(self.values)
        return {
            "model": self.model,
            "kind": self.kind,
            "temperature": self.temperature,
            "detail": self.detail,
            "n_replicates": self.n_replicates,
            "median": {key: self.median(key) for key in keys},
            "interval": {key: list(self.interval(key)) for key in keys},
            "n_failed": {key: self.n_failed(key) for key in keys},
            "p_value": dict(self.p_values),
            "curve_p_value": self.curve_p_value,
        }


def predict(
    source: PatternSource,
    layer: StudiedLayer,
    measured: Sequence[MeasuredExponent],
    n_replicates: int,
    seed: np.random.SeedSequence,
    *,
    kind: str,
    detail: str,
    temperature: float | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Prediction:
    """Draw replicates from `source` and compare the data's exponents with theirs."""
    data_codes = layer.codes(layer.outputs)[0]
    ranks = rank_grid(len(np.unique(data_codes)))
    rows, curves = [], []
    for stream in seed.spawn(n_replicates):
        codes = source.draw(layer.n_inputs, np.random.default_rng(stream))
        rows.append(averaged(codes, layer))
        curves.append(rank_curve(codes[0], ranks))
        tick()
    values = {key: np.array([row[key] for row in rows]) for key in BIT_EXPONENTS}
    data = {row.key: row.value for row in measured}
    table = np.array(curves)
    return Prediction(
        model=source.name,
        kind=kind,
        temperature=temperature,
        detail=detail,
        values=values,
        p_values={key: two_sided_p(values[key], data[key]) for key in BIT_EXPONENTS},
        ranks=ranks,
        curves=table,
        curve_p_value=_curve_p(table, rank_curve(data_codes, ranks), layer.n_inputs),
    )


def predict_weights(
    layer: StudiedLayer, value: float, n_replicates: int, seed: np.random.SeedSequence
) -> Prediction:
    """Return what untrained weights predict for the tail of |w|; no spin model is involved."""
    values = []
    for stream in seed.spawn(n_replicates):
        null = layer.network.redraw_untrained(np.random.default_rng(stream))
        entries = np.abs(null[layer.name].weights.astype(np.float64)).ravel()
        # permuted initial weights have the same entries: resample them
        drawn = np.random.default_rng(stream).choice(entries, entries.size)
        values.append(tail_exponent(drawn[drawn > 0]))
    cloud = np.array(values)
    return Prediction(
        model="untrained weights",
        kind="null",
        temperature=None,
        detail="entries of the untrained layer, resampled",
        values={"weights.alpha": cloud},
        p_values={"weights.alpha": two_sided_p(cloud, value)},
        ranks=np.zeros(0, dtype=np.int64),
        curves=np.zeros((n_replicates, 0)),
        curve_p_value=math.nan,
    )


def two_sided_p(values: Array, observed: float) -> float:
    """Return 2 (1 + the smaller of #{replicate <= observed}, #{>=})/(R + 1), at most 1."""
    finite = _usable(values)
    if finite is None or not math.isfinite(observed):
        return math.nan
    tail = min(int(np.sum(finite <= observed)), int(np.sum(finite >= observed)))
    return min(1.0, 2 * (1 + tail) / (len(finite) + 1))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p-values; NaN entries stay out of the count.

    >>> holm({"a": 0.01, "b": 0.5})
    {'a': 0.02, 'b': 0.5}
    """
    ordered = sorted((p, name) for name, p in p_values.items() if math.isfinite(p))
    adjusted = dict.fromkeys(p_values, math.nan)
    running = 0.0
    for k, (p, name) in enumerate(ordered):
        running = max(running, min(1.0, p * (len(ordered) - k)))
        adjusted[name] = running
    return adjusted


def rank_grid(n_distinct: int) -> Codes:
    """Return up to 60 log-spaced ranks from 1 to the number of distinct patterns."""
    return np.unique(np.geomspace(1, max(n_distinct, 1), _RANKS).astype(np.int64))


def rank_curve(codes: Codes, ranks: Codes) -> Array:
    """Return the frequencies of the patterns at the given ranks, 0 beyond the last."""
    counts = np.sort(np.unique(codes, return_counts=True)[1])[::-1]
    inside = ranks <= len(counts)
    at = np.where(inside, counts[np.minimum(ranks, len(counts)) - 1], 0)
    return np.asarray(at / len(codes))


def _usable(values: Array) -> Array | None:
    finite = values[np.isfinite(values)]
    return finite if len(finite) > len(values) / 2 else None


def _curve_p(curves: Array, observed: Array, n: int) -> float:
    # the data enter the centre and the spread like a replicate: if the model holds, all R + 1
    # curves are exchangeable, and the rank of the data's deviation among them is uniform
    logs = np.log(np.vstack([observed, curves]) * n + _CURVE_FLOOR)
    centre, spread = np.median(logs, axis=0), np.maximum(logs.std(axis=0), 1 / n)
    largest = np.abs((logs - centre) / spread).max(axis=1)
    return int(np.sum(largest >= largest[0])) / len(logs)
