r"""Stable laws from the empirical characteristic function, by regression.

Koutrouvelis (J. Amer. Statist. Assoc. 75, 918 (1980)) with the fixed points and the S0 phase of
Kogon and Williams (in Adler, Feldman and Taqqu, A Practical Guide to Heavy Tails (1998), 311):
for standardised data and t = 0.1, 0.2 ... 1,

.. math:: \log(-\log|\varphi(t)|) = \alpha\log t + \alpha\log c,\qquad
          \arg\varphi(t) = \delta t + \beta\tan\tfrac{\pi\alpha}{2}
          \left((ct)^\alpha - ct\right).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.stable.fit_likelihood import SMALLEST_ALPHA, Standardised
from spinnet.tails.stable.fit_sample import Sample

Floats = NDArray[np.float64]

_POINTS = np.linspace(0.1, 1.0, 10)
_ROUNDS = 3  # of standardisation
_STEP = 1e-6


def regress(sample: Sample, start: Standardised, beta: float | None) -> Standardised:
    """Return the law in S0 that the regressions give, standardised anew a few times."""
    law = start
    for _ in range(_ROUNDS):
        found = _solve(_moments(sample.scaled(law.loc, law.scale)), beta)
        alpha, skew, scale, loc = map(float, found)
        law = Standardised(alpha, skew, law.scale * scale, law.loc + law.scale * loc)
    return law


def covariance(sample: Sample, law: Standardised, fixed: tuple[str, ...]) -> Floats:
    """Return n times the covariance of the estimates, by the delta method, in S0.

    From the sample covariance of cos(tx) and sin(tx) at the points of the regression.
    """
    from spinnet.tails.stable.information import NAMES

    beta = law.beta if "beta" in fixed else None
    points = sample.scaled(law.loc, law.scale)
    waves = _waves(points.points)
    share = sample.weights / sample.n
    mean = waves @ share
    centred = waves - mean[:, None]
    joint = (centred * share) @ centred.T
    jacobian = np.stack(
        [
            (
                _solve(mean + _STEP * e, beta, clip=False)
                - _solve(mean - _STEP * e, beta, clip=False)
            )
            / (2.0 * _STEP)
            for e in np.eye(mean.size)
        ],
        axis=1,
    )
    free = [k for k, name in enumerate(NAMES) if name not in fixed]
    unit = np.array([1.0, 1.0, law.scale, law.scale])[:, None]
    jacobian = (jacobian * unit)[free]
    result = np.full((4, 4), math.nan)
    result[np.ix_(free, free)] = jacobian @ joint @ jacobian.T
    return result


def _waves(x: Floats) -> Floats:
    phases = _POINTS[:, None] * x
    return np.concatenate([np.cos(phases), np.sin(phases)])


def _moments(sample: Sample) -> Floats:
    return np.asarray(_waves(sample.points) @ (sample.weights / sample.n))


def _solve(moments: Floats, beta: float | None, clip: bool = True) -> Floats:
    """Return (stable_alpha, beta, scale, loc) of the two regressions; `moments` of cos and sin."""
    t = _POINTS
    real, imaginary = moments[: t.size], moments[t.size :]
    modulus = np.hypot(real, imaginary)
    y = np.log(-np.log(np.minimum(modulus, 1.0 - 1e-15)))
    slope, intercept = np.polyfit(np.log(t), y, 1)
    alpha = min(max(float(slope), SMALLEST_ALPHA), 2.0) if clip else float(slope)
    scale = math.exp(float(intercept) / float(slope))
    phase = np.unwrap(np.arctan2(imaginary, real))
    skew = _skew_phase(alpha, scale * t)
    if beta is not None or not np.any(np.abs(skew) > 1e-12):
        given = 0.0 if beta is None else beta
        loc = float(t @ (phase - given * skew)) / float(t @ t)
        return np.array([alpha, given, scale, loc])
    (loc, found), *_ = np.linalg.lstsq(np.stack([t, skew], axis=1), phase, rcond=None)
    if clip and abs(found) > 1.0:
        return _solve(moments, math.copysign(1.0, float(found)))
    return np.array([alpha, float(found), scale, float(loc)])


def _skew_phase(alpha: float, s: Floats) -> Floats:
    """Return tan(pi alpha / 2) (s^alpha - s), which is -(2/pi) s log s at 1."""
    gap = alpha - 1.0
    log_s = np.log(s)
    if abs(gap) < 1e-9:
        return np.asarray(-2.0 / math.pi * s * log_s)
    return np.asarray(-s * np.expm1(gap * log_s) / math.tan(0.5 * math.pi * gap))
