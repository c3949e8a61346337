r"""Critical exponents from finite-size scaling in the number of spins N.

Mean-field systems have no length, and scale in N = L^{d_c}: nu_bar = nu d_c = 2.  At T_c,
N^{1/4} <|m|> = 0.90989 - 0.03524 N^{-1/2} and N^{1/2} <m^2> = 1.17083 - 0.27417 N^{-1/2} for
Curie-Weiss, so that a straight line through log-log data is biased; the fits here carry a term
c N^{-1/2} unless told otherwise.

References
----------
R. Botet, R. Jullien & P. Pfeuty, Phys. Rev. Lett. 49, 478 (1982), scaling in N.
K. Binder, Z. Phys. B 43, 119 (1981), crossings of the cumulant.
"""

from spinnet.spins.critical.crossings import BinderCrossings, binder_crossings
from spinnet.spins.critical.fits import LogSlope, log_slope
from spinnet.spins.critical.scaling import FiniteSizeScaling, exponents

__all__ = [
    "BinderCrossings",
    "FiniteSizeScaling",
    "LogSlope",
    "binder_crossings",
    "exponents",
    "log_slope",
]
