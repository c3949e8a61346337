"""Power-law tails: the fit of Clauset, Shalizi and Newman, its alternatives and its errors."""

from __future__ import annotations

from spinnet.tails.powerlaw.alternatives import LikelihoodRatio as LikelihoodRatio
from spinnet.tails.powerlaw.fit import fit_power_law as fit_power_law
from spinnet.tails.powerlaw.result import PowerLawFit as PowerLawFit
from spinnet.tails.powerlaw.scan import XminScan as XminScan

__all__ = ["LikelihoodRatio", "PowerLawFit", "XminScan", "fit_power_law"]
