r"""Likelihood-ratio comparison of a fitted power-law tail with other laws.

All alternatives live on the same tail, x >= xmin, and are written so that nothing degenerates:
the power law is an interior or boundary point of every family that holds it, not a limit in which
parameters run to infinity.

=====================  ====================================================  ===============
name                   density, y = ln(x/xmin)                               power law at
=====================  ====================================================  ===============
lognormal              x^-a exp(-(c/2) y^2), c >= 0                          c = 0
stretched-exponential  P(X >= x) = exp(-(g/beta) (e^(beta y) - 1))           beta = 0
cut-off                x^-alpha exp(-rate x), any alpha, rate >= 0           rate = 0
truncated              x^-alpha up to the largest value, any alpha           xmax = infinity
exponential            exp(-rate (x - xmin))                                 never
=====================  ====================================================  ===============

Integers use the same densities over their sum (``"sum"``, the default, which holds the zeta law
exactly) or their mass between x - 1/2 and x + 1/2 (``"round"``, as R's poweRlaw and Python's
powerlaw do).
"""

from __future__ import annotations

from spinnet.tails.powerlaw.alternatives.comparison import LawComparison as LawComparison
from spinnet.tails.powerlaw.alternatives.comparison import compare_all as compare_all
from spinnet.tails.powerlaw.alternatives.likelihood_ratio import (
    ALTERNATIVE_NAMES as ALTERNATIVE_NAMES,
)
from spinnet.tails.powerlaw.alternatives.likelihood_ratio import (
    DISCRETISATIONS as DISCRETISATIONS,
)
from spinnet.tails.powerlaw.alternatives.likelihood_ratio import (
    LikelihoodRatio as LikelihoodRatio,
)
from spinnet.tails.powerlaw.alternatives.likelihood_ratio import compare_tail as compare_tail
from spinnet.tails.powerlaw.alternatives.multiple_testing import (
    adjust_p_values as adjust_p_values,
)

__all__ = [
    "ALTERNATIVE_NAMES",
    "DISCRETISATIONS",
    "LawComparison",
    "LikelihoodRatio",
    "adjust_p_values",
    "compare_all",
    "compare_tail",
]
