"""Have the chains mixed? R-hat in three forms, and effective sample sizes from ranks.

References
----------
A. Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4.
A. Vehtari, A. Gelman, D. Simpson, B. Carpenter & P.-C. Buerkner, Bayesian Anal. 16, 667 (2021).
C. Geyer, Statist. Sci. 7, 473 (1992), initial positive and monotone sequences.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from spinnet.spins.statistics.autocovariance import DIRECT, pooled_autocovariance
from spinnet.spins.statistics.chains import as_chains, safe_unit
from spinnet.validation import choice

Array = NDArray[np.float64]
RHAT_MIXED = 1.05  # split R-hat from which chains do not count as mixed
_LEAST_STEPS = 4
_TAIL = 0.05
_ROUNDING = 1e-14


def split_rhat(series: ArrayLike) -> float:
    """Return split R-hat: each chain is halved, and the halves are compared.

    Parameters
    ----------
    series : array_like, shape (n_replicas, n_steps) or (n_steps,)

    Returns
    -------
    float
        1 for mixed chains, inf for chains frozen at different values, NaN for a constant
        series or fewer than 4 steps.

    References
    ----------
    Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4.
    """
    data = as_chains(series)
    if data.shape[1] < _LEAST_STEPS:
        return float("nan")
    unit = safe_unit(data)
    return _rhat(_halves(data if unit == 1 else data / unit))


def rank_rhat(series: ArrayLike) -> float:
    """Return the rank-normalised split R-hat, the larger of bulk and folded.

    Ranks see chains of infinite variance, and folding about the median sees chains of equal
    mean and different width, both of which :func:`split_rhat` misses.  For the same bound of
    false alarms it should be read against 1.01 with long chains (Vehtari et al. 2021).

    Parameters
    ----------
    series : array_like, shape (n_replicas, n_steps) or (n_steps,)

    Returns
    -------
    float
        As :func:`split_rhat`.  A single chain is compared with itself, half against half.
    """
    data = as_chains(series)
    if data.shape[1] < _LEAST_STEPS:
        return float("nan")
    halves = _halves(data)
    if _constant(halves):
        return float("nan")
    folded = np.abs(halves - np.median(halves))
    parts = [_rhat(_normal_scores(halves))]
    if not _constant(folded):  # a symmetric two-state series has no width to compare
        parts.append(_rhat(_normal_scores(folded)))
    return max(parts)


def rank_effective_sample_size(series: ArrayLike, *, kind: str = "bulk") -> float:
    """Return the bulk or tail effective sample size of Vehtari et al. (2021).

    Parameters
    ----------
    series : array_like, shape (n_replicas, n_steps) or (n_steps,)
    kind : {"bulk", "tail"}
        "bulk" is of the normal scores of the ranks, "tail" the smaller of the two for the
        indicators of lying below the 5 % and the 95 % quantile.

    Returns
    -------
    float
        NaN for a constant series or fewer than 4 steps.  Chains are split, and the sum of
        autocorrelations stops by Geyer's initial monotone sequence, as in Stan and ArviZ, and
        not by the window of :func:`autocorrelation`.
    """
    choice("kind", kind, ("bulk", "tail"))
    data = as_chains(series)
    if data.shape[1] < _LEAST_STEPS or _constant(data):
        return float("nan")
    if kind == "bulk":
        return _geyer(_normal_scores(_halves(data)))
    below = [np.asarray(data <= q, float) for q in np.quantile(data, [_TAIL, 1 - _TAIL])]
    return min(_geyer(_halves(indicator)) for indicator in below)


def _halves(data: Array) -> Array:
    half = data.shape[1] // 2
    return np.concatenate([data[:, :half], data[:, -half:]])


def _constant(data: Array) -> bool:
    return float(np.ptp(data)) <= _ROUNDING * float(np.abs(data).max())


def _rhat(parts: Array) -> float:
    length = parts.shape[1]
    means = parts.mean(axis=1)
    centred = parts - means[:, None]
    within = float(np.einsum("rt,rt->r", centred, centred).mean()) / (length - 1)
    between = float(means.var(ddof=1))
    floor = (_ROUNDING * max(float(parts.max()), -float(parts.min()))) ** 2
    if within <= floor:
        return float("nan") if between <= floor else float("inf")
    return float(np.sqrt((length - 1) / length + between / within))


def _normal_scores(data: Array) -> Array:
    """Return normal quantiles of the ranks over all chains (Blom's offset 3/8)."""
    from scipy.stats import rankdata  # slow to import, and seldom needed

    ranks = rankdata(data.ravel()).reshape(data.shape)
    return np.asarray(ndtri((ranks - 3 / 8) / (data.size + 1 / 4)))


def _geyer(parts: Array) -> float:
    """Return the effective sample size by Geyer's initial monotone sequence."""
    n_parts, length = parts.shape
    if _constant(parts):
        return float(parts.size)
    means = parts.mean(axis=1)
    centred = parts - means[:, None]
    between = float(means.var(ddof=1)) if n_parts > 1 else 0.0
    last_pair = max(-(-(length - 2) // 2) - 1, 0)
    n_lags = DIRECT
    while True:
        biased = pooled_autocovariance(centred, n_lags)
        biased = biased * (1 - np.arange(biased.size) / length)  # each lag over n_steps
        within = biased[0] * length / (length - 1)
        rho = 1 - (within - biased) / (biased[0] + between)
        rho[0] = 1.0
        pairs = rho[: rho.size // 2 * 2].reshape(-1, 2).sum(axis=1)[: last_pair + 1]
        negative = np.flatnonzero(pairs <= 0)
        if negative.size or biased.size == length:
            break
        n_lags *= 4
    count = int(negative[0]) if negative.size else last_pair
    # of the first pair that does not count, the even lag does, once; of a pair that would count
    # if the series did not end there, whatever its sign
    extra = max(float(rho[2 * count]), 0.0) if negative.size else float(rho[2 * count])
    tau = -1 + 2 * float(np.minimum.accumulate(pairs[:count]).sum()) + extra
    return parts.size / max(tau, 1 / math.log10(parts.size))
