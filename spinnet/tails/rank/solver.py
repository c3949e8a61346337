"""Maximum likelihood of exponential families on a finite set, by Newton steps on exact sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError

Floats = NDArray[np.float64]

_MAX_STEPS = 100


@dataclass(frozen=True)
class Solution:
    """Parameters of p ~ exp(-theta . T), and the information of one input on them."""

    theta: Floats
    log_p: Floats
    log_norm: float
    information: Floats


def solve(rows: Floats, counts: Floats, log_base: Floats | float = 0.0) -> Solution:
    """Return the maximum likelihood of p ~ exp(log_base - theta . rows).

    The statistics are first made uncorrelated, of mean zero and variance one in the data: then
    the observed mean is the origin, weighted least squares on ln(counts) are one product, and the
    equations stay well conditioned however alike the rows are.
    """
    share = counts / counts.sum()
    first = rows[:, :1]  # one rank may hold nearly all counts: keep the distance from it exact
    centred = rows - first
    shift = centred @ share
    centred -= shift[:, None]
    scale = np.sqrt(centred**2 @ share)
    centred /= scale[:, None]
    mixing = np.linalg.cholesky((centred * share) @ centred.T)
    white = np.asarray(np.linalg.solve(mixing, centred), dtype=np.float64)
    log_share = np.log(np.where(share > 0.0, share, 1.0))
    start = -white @ (share * (log_share - log_base))
    if _log_sum(-start @ white + log_base)[0] > _log_sum(np.zeros(share.size) + log_base)[0]:
        start = np.zeros_like(start)
    eta, log_norm, hessian = _newton(white, start, log_base)
    theta = np.linalg.solve(mixing.T, eta) / scale
    outward = scale[:, None] * mixing
    return Solution(
        theta=theta,
        log_p=log_base - eta @ white - log_norm,
        log_norm=log_norm - float(theta @ (first[:, 0] + shift)),
        information=outward @ hessian @ outward.T,
    )


def _log_sum(exponent: Floats) -> tuple[float, Floats]:
    """Return ln sum exp(exponent), and the terms over their sum."""
    top = float(exponent.max())
    weight = np.exp(exponent - top)
    total = float(weight.sum())
    return math.log(total) + top, weight / total


def _newton(white: Floats, eta: Floats, log_base: Floats | float) -> tuple[Floats, float, Floats]:
    """Minimise the convex ln sum exp(log_base - eta . white); return eta, value, Hessian."""
    value, p = _log_sum(log_base - eta @ white)
    last = math.inf
    rounding = 1e-15 * (1.0 + abs(value))
    for _ in range(_MAX_STEPS):
        mean = white @ p
        hessian = (white * p) @ white.T - np.outer(mean, mean)
        step = mean / hessian[0] if mean.size == 1 else np.linalg.solve(hessian, mean)
        decrement = float(mean @ step)
        if decrement < 1e-26 or (decrement < 1e-18 and decrement > 0.1 * last):
            return eta, value, hessian
        last, length = decrement, 1.0
        while True:
            trial, shares = _log_sum(log_base - (eta + length * step) @ white)
            if trial <= value - 0.1 * length * decrement + rounding or length < 1e-9:
                break
            length *= 0.5
        eta, value, p = eta + length * step, trial, shares
    raise ConvergenceError(
        f"a rank law did not converge in {_MAX_STEPS} Newton steps (decrement {decrement:.2g})",
        solution=eta,
    )
