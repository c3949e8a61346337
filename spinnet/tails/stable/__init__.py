"""Alpha-stable laws: density, distribution, quantiles, random numbers, moments, and their fit.

All functions take (stable_alpha, beta=0, scale=1, loc=0, parametrization="S1") and broadcast
over every argument.  stable_alpha = 2 is a normal law of variance 2 scale^2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spinnet.tails.stable.distribution import cdf as cdf
from spinnet.tails.stable.distribution import isf as isf
from spinnet.tails.stable.distribution import logcdf as logcdf
from spinnet.tails.stable.distribution import logpdf as logpdf
from spinnet.tails.stable.distribution import logsf as logsf
from spinnet.tails.stable.distribution import pdf as pdf
from spinnet.tails.stable.distribution import ppf as ppf
from spinnet.tails.stable.distribution import sf as sf
from spinnet.tails.stable.moments import absolute_moment as absolute_moment
from spinnet.tails.stable.moments import mean as mean
from spinnet.tails.stable.moments import median as median
from spinnet.tails.stable.moments import mode as mode
from spinnet.tails.stable.moments import variance as variance
from spinnet.tails.stable.parameters import Parameters as Parameters
from spinnet.tails.stable.parameters import convert as convert
from spinnet.tails.stable.sampling import rvs as rvs

if TYPE_CHECKING:
    from spinnet.tails.stable.fitting import StableFit as StableFit
    from spinnet.tails.stable.fitting import fit as fit
    from spinnet.tails.stable.information import fisher as fisher

__all__ = [
    "Parameters",
    "StableFit",
    "absolute_moment",
    "cdf",
    "convert",
    "fisher",
    "fit",
    "isf",
    "logcdf",
    "logpdf",
    "logsf",
    "mean",
    "median",
    "mode",
    "pdf",
    "ppf",
    "rvs",
    "sf",
    "variance",
]


def __getattr__(name: str) -> Any:
    if name in ("fit", "StableFit"):
        from spinnet.tails.stable import fitting

        return getattr(fitting, name)
    if name == "fisher":
        from spinnet.tails.stable import information

        return information.fisher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
