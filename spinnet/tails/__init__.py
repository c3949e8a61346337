"""Statistics of heavy tails: power laws and rank-frequency laws on any array.

* ``fit_power_law``: exponent, lower cut-off and goodness of fit of p(x) ~ x^-alpha.
* ``fit_zipf``: exponent of frequency by rank, f(r) ~ r^-zipf, for any real exponent.

The two exponents of one set of counts are related by alpha = 1 + 1/zipf.
"""

from __future__ import annotations

from spinnet.tails.powerlaw import LikelihoodRatio as LikelihoodRatio
from spinnet.tails.powerlaw import PowerLawFit as PowerLawFit
from spinnet.tails.powerlaw import fit_power_law as fit_power_law
from spinnet.tails.rank import ZipfFit as ZipfFit
from spinnet.tails.rank import fit_zipf as fit_zipf

__all__ = ["LikelihoodRatio", "PowerLawFit", "ZipfFit", "fit_power_law", "fit_zipf"]
