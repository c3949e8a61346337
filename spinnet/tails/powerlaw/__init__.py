"""Power-law tails: the fit of Clauset, Shalizi and Newman, its alternatives and its errors."""

from __future__ import annotations

from spinnet.tails.powerlaw.alternatives import LikelihoodRatio as LikelihoodRatio
from spinnet.tails.powerlaw.fit import PowerLawFit as PowerLawFit
from spinnet.tails.powerlaw.fit import fit_power_law as fit_power_law

__all__ = ["LikelihoodRatio", "PowerLawFit", "fit_power_law"]
