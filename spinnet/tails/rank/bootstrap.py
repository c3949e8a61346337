r"""Bootstraps of a rank fit: intervals from resampled inputs, a p-value from the fitted law.

Resampling inputs repeats the bias of ranking: patterns that were overcounted by chance are drawn
from their overcounted share, so that resampled curves lie off the observed one as that lies off
the truth.  Percentiles of the resamples double the bias and miss the truth most of the time;
the bias-corrected interval subtracts it (Efron and Tibshirani, 1993, chapter 10).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError, StatisticsError
from spinnet.tails.rank.laws import PARAMETERS, Law, divergence, fit_law

Floats = NDArray[np.float64]
Interval = tuple[float, float]

METHODS = ("bias-corrected", "percentile", "basic")
_NORMAL_95 = 1.959963984540054
_NAN = (math.nan, math.nan)
# Parameters that cannot be negative.
_AT_LEAST_ZERO = {("zipf-mandelbrot", "q"), ("cut-off", "rate"), ("stretched-exponential", "beta")}


class Bootstrap(NamedTuple):
    """Intervals, biases and standard deviations by parameter, p-value, and failed replicates."""

    intervals: Mapping[str, Interval]
    biases: Mapping[str, float]
    errors: Mapping[str, float]
    p_value: float = math.nan
    n_failed: int = 0


def no_bootstrap(model: str) -> Bootstrap:
    """Return the NaNs of a fit without a bootstrap."""
    names = PARAMETERS[model]
    blank = dict.fromkeys(names, math.nan)
    return Bootstrap(dict.fromkeys(names, _NAN), blank, dict(blank))


def bootstrap(
    ranked: Floats,
    law: Law,
    k_min: int,
    n_bootstrap: int,
    method: str,
    seed: np.random.SeedSequence,
    bar: Any,
) -> Bootstrap:
    """Resample inputs, and draw from the fit, `n_bootstrap` times each; advance `bar` each time."""
    if n_bootstrap == 0:
        return no_bootstrap(law.model)
    inputs, fitted = (np.random.default_rng(child) for child in seed.spawn(2))
    share = ranked / ranked.sum()
    total = int(ranked.astype(np.int64).sum())
    source, n_drawn = extended_law(law, ranked, k_min)
    cloud = np.full((n_bootstrap, len(law.values)), math.nan)
    distance = np.full(n_bootstrap, math.nan)
    for b in range(n_bootstrap):
        _, again = refit(inputs.multinomial(total, share), k_min, law.model)
        if again is not None:
            cloud[b] = again.values
        counts, again = refit(fitted.multinomial(n_drawn, source), k_min, law.model)
        if again is not None:
            distance[b] = divergence(counts, again.log_p)
        bar.update(2)
    good = cloud[np.isfinite(cloud).all(axis=1)]
    drawn = distance[np.isfinite(distance)]
    n_failed = 2 * n_bootstrap - len(good) - drawn.size
    observed = divergence(ranked[: law.log_p.size], law.log_p)
    p_value = float((drawn >= observed).mean()) if drawn.size else math.nan
    result = no_bootstrap(law.model)._replace(p_value=p_value, n_failed=n_failed)
    return result if len(good) < 2 else _intervals(law, good, method, result)


def refit(draw: NDArray[np.int64], k_min: int, model: str) -> tuple[Floats, Law | None]:
    """Rank drawn counts, cut them and fit them; None where too few ranks are left."""
    counts = np.sort(draw[draw >= k_min])[::-1].astype(np.float64)
    if counts.size <= len(PARAMETERS[model]):
        return counts, None
    try:
        return counts, fit_law(model, counts)
    except (StatisticsError, ConvergenceError, np.linalg.LinAlgError):
        return counts, None


def extended_law(law: Law, ranked: Floats, k_min: int) -> tuple[Floats, int]:
    """Return the fitted law continued past r_max, and the draws that keep its level.

    In data, some ranks beyond r_max just miss `k_min` and others just reach it by chance; a
    replicate needs the same traffic across the edge, or its p-value is biased towards 1.  Ranks
    expected to be seen fewer than k_min/10 times do not matter.  A continuation never rises; dgbd,
    which ends at r_max, is continued by the observed counts.
    """
    r_max = law.log_p.size
    inside = float(ranked[:r_max].sum()) * np.exp(law.log_p)
    beyond = ranked[r_max:]
    if law.model != "dgbd" and beyond.size:
        log_p = law.log_pmf(np.arange(r_max + 1.0, ranked.size + 1.0))
        beyond = float(ranked[:r_max].sum()) * np.exp(np.minimum(log_p, law.log_p[-1]))
    expected = np.concatenate([inside, beyond[beyond >= 0.1 * k_min]])
    total = expected.sum()
    return expected / total, round(float(total))


def _intervals(law: Law, cloud: Floats, method: str, result: Bootstrap) -> Bootstrap:
    names = PARAMETERS[law.model]
    mean, error = cloud.mean(axis=0), cloud.std(axis=0, ddof=1)
    bias = mean - np.asarray(law.values)
    intervals = {}
    for i, name in enumerate(names):
        ends = _interval(law.values[i], cloud[:, i], method)
        if (law.model, name) in _AT_LEAST_ZERO:
            ends = (max(ends[0], 0.0), max(ends[1], 0.0))
        intervals[name] = ends if math.isfinite(law.values[i]) else _NAN
    return result._replace(
        intervals=intervals,
        biases=dict(zip(names, map(_plain, bias), strict=True)),
        errors=dict(zip(names, map(float, error), strict=True)),
    )


def _interval(value: float, cloud: Floats, method: str) -> Interval:
    if method == "bias-corrected":
        bias, error = float(cloud.mean()) - value, float(cloud.std(ddof=1))
        half = _NORMAL_95 * error + (abs(bias) if abs(bias) > error else 0.0)
        return value - bias - half, value - bias + half
    low, high = (float(x) for x in np.quantile(cloud, [0.025, 0.975]))
    return (low, high) if method == "percentile" else (2.0 * value - high, 2.0 * value - low)


def _plain(x: float) -> float:
    return float(x) if math.isfinite(x) else math.nan
