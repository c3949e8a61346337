"""The exponential tail, f(x) ~ exp(-rate (x - xmin)): the geometric law for integers.

Rounded cells of an exponential that starts at xmin - 1/2 are the same geometric law.
"""

from __future__ import annotations

import math

from spinnet.tails.powerlaw.alternatives.tail import CONTINUOUS, FittedLaw, Tail


def fit_exponential(tail: Tail) -> FittedLaw:
    """Fit in closed form: the rate follows from the mean."""
    discrete = tail.kind != CONTINUOUS
    # rescaled, so that neither tiny nor huge data overflow
    unit = 1.0 if discrete else float(tail.values[-1])
    excess = tail.values / unit - tail.xmin / unit
    mean = float(tail.mean(excess))
    rate = math.log1p(1.0 / mean) if discrete else 1.0 / mean
    log_z = math.log(-math.expm1(-rate)) if discrete else math.log(rate) - math.log(unit)
    return FittedLaw(log_z - rate * excess, {"rate": rate / unit}, 1)
