r"""Likelihood-ratio comparison of a fitted power-law tail with a lognormal or an exponential.

Both alternatives live on the same tail, x >= xmin, and are written so that nothing degenerates:

* lognormal: f(x) ~ x^-a exp(-(c/2) y^2), y = ln(x/xmin), c >= 0.  With sigma^2 = 1/c and
  mu = ln xmin - (a - 1)/c it is the lognormal truncated at xmin, an exponential family in
  (y, y^2), so that the likelihood is concave; c = 0 is the power law itself, where a fit in
  (mu, sigma) would run to mu = -infinity.
* exponential: f(x) ~ exp(-rate (x - xmin)).

Integers use the same weights normalised by their sum over xmin, xmin + 1, ..., so that the zeta
law is the boundary c = 0 exactly, and the exponential is the geometric law.

The test is Vuong's (Econometrica 57, 307 (1989)) as in CSN section 5.1 and their appendix C.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc, roots_legendre

from spinnet.errors import ConvergenceError
from spinnet.tails.observations import log_ratio

Floats = NDArray[np.float64]

_NODES = 96
_EXPONENT = 50.0  # exp(-50) of the peak is outside double precision
_MAX_HEAD = 200_000  # integers summed one by one before the integral takes over
_MAX_STEPS = 200


@dataclass(frozen=True)
class LikelihoodRatio:
    """Power law against an alternative on the same tail (CSN section 5).

    Attributes
    ----------
    alternative : str
        ``"lognormal"`` or ``"exponential"``.
    ratio : float
        R = ln L(power law) - ln L(alternative), each at its maximum.  Positive favours the
        power law.  It cannot be positive for the lognormal, whose limit the power law is.
    normalized_ratio : float
        R / (sigma sqrt(n)), sigma the standard deviation of the pointwise log ratios.
    p_value : float
        Two-sided Vuong p: a ratio this far from zero when both laws are equally far from the
        truth.  The sign of R means something only if this is small.
    nested : bool
        Whether the power law is a member of the alternative's family.
    nested_p_value : float
        Where `nested`: likelihood-ratio test of the power law inside the family, with the
        half-and-half mixture of 0 and chi-square(1), the parameter being on its boundary
        (Self and Liang, J. Am. Stat. Assoc. 82, 605 (1987)).  NaN otherwise.
    degenerate : bool
        The best alternative *is* the power law (c = 0): R = 0, nothing can be told apart.
    parameters : mapping
        Fitted parameters: ``mu``, ``sigma`` (of ln x; infinite when degenerate), ``a``, ``c``;
        or ``rate``.
    n_tail : int
        Number of points compared.
    """

    alternative: str
    ratio: float
    normalized_ratio: float
    p_value: float
    nested: bool
    nested_p_value: float
    degenerate: bool
    parameters: Mapping[str, float]
    n_tail: int

    def summary(self) -> str:
        """Return one line for people."""
        if self.degenerate:
            return f"{self.alternative}: the best fit is the power law itself (R = 0)"
        winner = "power law" if self.ratio > 0 else self.alternative
        return (
            f"{self.alternative}: R = {self.ratio:.4g}, normalised {self.normalized_ratio:.3f}, "
            f"p = {self.p_value:.3g} (sign favours the {winner})"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN and infinity become None."""
        finite = {k: v if math.isfinite(v) else None for k, v in self.parameters.items()}
        return {
            "alternative": self.alternative,
            "ratio": self.ratio,
            "normalized_ratio": self.normalized_ratio,
            "p_value": self.p_value,
            "nested": self.nested,
            "nested_p_value": None if math.isnan(self.nested_p_value) else self.nested_p_value,
            "degenerate": self.degenerate,
            "parameters": finite,
            "n_tail": self.n_tail,
        }


def _tail_integral(rate: float, c: float, low: float, log_ref: float, order: int) -> Floats:
    """Return int_low^inf y^k exp(-rate y - c y^2/2 - log_ref) dy, k = 0..order.

    Gauss-Legendre over the range where the integrand exceeds exp(-50) of its peak.
    """
    peak = max(low, -rate / c) if c > 0.0 else low
    slope = rate + c * peak  # zero if the peak is interior
    top = peak + 2.0 * _EXPONENT / (slope + math.sqrt(slope * slope + 2.0 * c * _EXPONENT))
    if peak > low:
        low = max(low, 2.0 * peak - top)
    nodes, weights = _quadrature()
    half = 0.5 * (top - low)
    y = low + half * (nodes + 1.0)
    mass = half * weights * np.exp(-rate * y - 0.5 * c * y * y - log_ref)
    result: Floats = mass @ y[:, None] ** np.arange(order + 1)
    return result


@cache
def _quadrature() -> tuple[Floats, Floats]:
    nodes, weights = roots_legendre(_NODES)
    return nodes, weights


def lognormal_moments(
    a: float, c: float, *, q: float, discrete: bool, order: int = 4
) -> tuple[float, Floats]:
    r"""Return ln Z and E[y^k], k = 0..order, of f(x) = (x/q)^-a exp(-(c/2) y^2), y = ln(x/q).

    Integers are summed one by one up to w - 1; the rest is the integral from w - 1/2 with the
    first midpoint correction, f'(w - 1/2)/24.  The next one is smaller by (d ln f/dx)^2 / 15, and
    w is taken so large that it is below rounding.

    Requires c > 0, or c = 0 and a > 1.
    """
    rate = a - 1.0
    peak = max(0.0, -rate / c) if c > 0.0 else 0.0
    log_ref = -rate * peak - 0.5 * c * peak * peak
    if not discrete:
        sums = _tail_integral(rate, c, 0.0, log_ref, order)
        return math.log(sums[0]) + log_ref + math.log(q), sums / sums[0]
    slope = rate + c * peak
    top = peak + 2.0 * _EXPONENT / (slope + math.sqrt(slope * slope + 2.0 * c * _EXPONENT))
    needed = min(200.0 * (abs(a) + c * top + 4.0), q * math.exp(min(top, 700.0)) + 1.0)
    w = max(q, min(math.ceil(needed), q + _MAX_HEAD))
    k = np.arange(order + 1)
    x = np.arange(q, w)
    y = np.log1p((x - q) / q)
    sums = np.exp(-a * y - 0.5 * c * y * y - log_ref) @ y[:, None] ** k / q
    edge = math.log1p((w - 0.5 - q) / q)
    sums = sums + _tail_integral(rate, c, edge, log_ref, order)
    derivative = k * edge ** np.maximum(k - 1, 0) - (a + c * edge) * edge**k
    weight = math.exp(-a * edge - 0.5 * c * edge * edge - log_ref)
    sums += derivative * weight / (24.0 * q * (w - 0.5))
    return math.log(sums[0]) + log_ref + math.log(q), sums / sums[0]


def fit_lognormal(
    m1: float, m2: float, *, q: float, discrete: bool, alpha: float
) -> tuple[float, float, float]:
    """Return (a, c, ln Z) at the maximum likelihood, given the means of y and y^2.

    Newton on the convex function a m1 + c m2/2 + ln Z(a, c), started from the better of the
    power law (alpha, 0) and the untruncated lognormal.  c = 0 is returned exactly where the
    power law is the best member: where its own E[y^2] does not exceed `m2`.
    """
    log_z, moments = lognormal_moments(alpha, 0.0, q=q, discrete=discrete)
    if moments[2] <= m2 * (1.0 + 1e-12):
        return alpha, 0.0, log_z
    a, c = alpha, 0.0
    value = a * m1 + log_z
    variance = m2 - m1 * m1
    if variance > 0.0:
        trial = (1.0 - m1 / variance, 1.0 / variance)
        trial_z, trial_moments = lognormal_moments(*trial, q=q, discrete=discrete)
        trial_value = trial[0] * m1 + 0.5 * trial[1] * m2 + trial_z
        if trial_value < value:
            (a, c), value, log_z, moments = trial, trial_value, trial_z, trial_moments
    for _ in range(_MAX_STEPS):
        gradient = np.array([m1 - moments[1], 0.5 * (m2 - moments[2])])
        cross = 0.5 * (moments[3] - moments[1] * moments[2])
        hessian = [
            [moments[2] - moments[1] ** 2, cross],
            [cross, 0.25 * (moments[4] - moments[2] ** 2)],
        ]
        step = -np.linalg.solve(np.array(hessian), gradient)
        decrement = -float(gradient @ step)
        if decrement < 1e-18:
            return a, c, log_z
        scale = 1.0 if c + step[1] > 0.0 else -0.5 * c / float(step[1])
        while True:
            trial = (a + scale * float(step[0]), c + scale * float(step[1]))
            trial_z, trial_moments = lognormal_moments(*trial, q=q, discrete=discrete)
            trial_value = trial[0] * m1 + 0.5 * trial[1] * m2 + trial_z
            if trial_value <= value - 0.1 * scale * decrement + 1e-15 * (1.0 + abs(value)):
                break
            scale *= 0.5
            if scale < 1e-10:
                return a, c, log_z  # the objective is flat to rounding
        (a, c), value, log_z, moments = trial, trial_value, trial_z, trial_moments
    raise ConvergenceError(
        f"the lognormal alternative did not converge in {_MAX_STEPS} Newton steps "
        f"(decrement {decrement:.2g}); compare with 'exponential' or raise xmin",
        solution=(a, c),
    )


def compare_tail(
    alternative: str,
    values: Floats,
    counts: Floats,
    *,
    xmin: float,
    alpha: float,
    log_norm: float,
    discrete: bool,
) -> LikelihoodRatio:
    """Return the likelihood ratio on the tail `values` (distinct, >= xmin) with `counts`.

    `log_norm` is the logarithm of the power law's normaliser: p(x) = (x/xmin)^-alpha
    exp(-log_norm).
    """
    n = float(counts.sum())
    y = log_ratio(values, xmin)
    power = -alpha * y - log_norm
    degenerate = False
    parameters: dict[str, float]
    if alternative == "lognormal":
        m1, m2 = float(counts @ y) / n, float(counts @ y**2) / n
        a, c, log_z = fit_lognormal(m1, m2, q=xmin, discrete=discrete, alpha=alpha)
        degenerate = c == 0.0
        other = power if degenerate else -a * y - 0.5 * c * y * y - log_z
        sigma = 1.0 / math.sqrt(c) if c > 0.0 else math.inf
        mu = math.log(xmin) - (a - 1.0) / c if c > 0.0 else -math.inf
        parameters = {"mu": mu, "sigma": sigma, "a": a, "c": c}
    else:
        # rescaled, so that neither tiny nor huge data overflow
        unit = 1.0 if discrete else float(values[-1])
        excess = values / unit - xmin / unit
        mean = float(counts @ excess) / n
        rate = math.log1p(1.0 / mean) if discrete else 1.0 / mean
        log_z = math.log(-math.expm1(-rate)) if discrete else math.log(rate) - math.log(unit)
        other = log_z - rate * excess
        parameters = {"rate": rate / unit}
    difference = power - other
    ratio = float(counts @ difference)
    spread = math.sqrt(float(counts @ (difference - ratio / n) ** 2) / n)
    normalized = ratio / (spread * math.sqrt(n)) if spread > 0.0 else 0.0
    nested = alternative == "lognormal"
    return LikelihoodRatio(
        alternative=alternative,
        ratio=ratio,
        normalized_ratio=normalized,
        p_value=float(erfc(abs(normalized) / math.sqrt(2.0))),
        nested=nested,
        nested_p_value=_boundary_p_value(ratio) if nested else math.nan,
        degenerate=degenerate,
        parameters=parameters,
        n_tail=int(n),
    )


def _boundary_p_value(ratio: float) -> float:
    """Return P(2|R| or more) under the half-and-half mixture of 0 and chi-square(1)."""
    statistic = max(0.0, -ratio)
    return 1.0 if statistic == 0.0 else 0.5 * float(erfc(math.sqrt(statistic)))
