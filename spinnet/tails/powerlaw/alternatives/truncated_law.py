"""The doubly truncated power law on [xmin, xmax], of any real exponent.

xmax is at its maximum-likelihood value, the largest point, and counts as one parameter.  The
power law is the limit of an infinite xmax.  xmax is not a regular parameter: under the power law
n P(X > largest value) is an exponential variable of mean 1, so that 2 abs(R) follows a
chi-square(2) law, whose tail is exp(-abs(R)).
"""

from __future__ import annotations

from spinnet.tails.powerlaw.alternatives.boundary import rounded_power
from spinnet.tails.powerlaw.alternatives.tail import CONTINUOUS, ROUND, FittedLaw, Tail


def fit_truncated_law(tail: Tail) -> FittedLaw:
    """Fit the exponent between xmin and the largest value."""
    from spinnet.tails.powerlaw.bounded import law_moments, solve_exponent

    xmax = float(tail.values[-1])
    if tail.kind == ROUND:
        alpha, log_density, _ = rounded_power(tail, xmax + 0.5)
        return FittedLaw(log_density, {"alpha": alpha, "xmax": xmax}, 2)
    discrete = tail.kind != CONTINUOUS
    alpha = float(solve_exponent(float(tail.mean(tail.y)), tail.xmin, xmax, discrete))
    log_norm = float(law_moments(alpha, tail.xmin, xmax, discrete)[0])
    return FittedLaw(-alpha * tail.y - log_norm, {"alpha": alpha, "xmax": xmax}, 2)
