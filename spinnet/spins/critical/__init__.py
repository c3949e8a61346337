r"""Criticality: exponents from sweeps in size, temperature and field, and from dynamics.

Mean-field systems have no length, and scale in N = L^{d_c}: nu_bar = nu d_c = 2.  At T_c,
N^{1/4} <|m|> = 0.90989 - 0.03524 N^{-1/2} and N^{1/2} <m^2> = 1.17083 - 0.27417 N^{-1/2} for
Curie-Weiss, so that a straight line through log-log data is biased; the fits here carry a term
c N^{-1/2} unless told otherwise.

References
----------
R. Botet, R. Jullien & P. Pfeuty, Phys. Rev. Lett. 49, 478 (1982), scaling in N.
K. Binder, Z. Phys. B 43, 119 (1981), crossings of the cumulant.
"""

from spinnet.spins.critical.birth_death import (
    critical_amplitude,
    exact_autocorrelation_time,
    exact_relaxation_time,
)
from spinnet.spins.critical.collapse import Collapse, collapse
from spinnet.spins.critical.conversion import ConvertedExponents
from spinnet.spins.critical.crossings import BinderCrossings, binder_crossings
from spinnet.spins.critical.dynamics import DynamicExponent, dynamic_exponent
from spinnet.spins.critical.extrapolation import ExtrapolatedMaxima, extrapolate_maxima
from spinnet.spins.critical.field_sweeps import FieldExponent, field_exponent
from spinnet.spins.critical.fits import LogSlope, log_slope
from spinnet.spins.critical.heat_jump import HeatJump
from spinnet.spins.critical.master_curve import MeanFieldCollapse, mean_field_collapse
from spinnet.spins.critical.maxima import Maxima, maxima
from spinnet.spins.critical.reweighting import Place, Reweighted, crossing, maximum, reweight
from spinnet.spins.critical.scaling import FiniteSizeScaling, exponents
from spinnet.spins.critical.scaling_functions import (
    MeanFieldScaling,
    ScalingMaximum,
    maximum_of,
    mean_field_scaling,
)
from spinnet.spins.critical.table import SizeTable, projection_table
from spinnet.spins.critical.temperature_result import PowerLaw, TemperatureExponents
from spinnet.spins.critical.temperature_sweeps import temperature_exponents

__all__ = [
    "BinderCrossings",
    "Collapse",
    "ConvertedExponents",
    "DynamicExponent",
    "ExtrapolatedMaxima",
    "FieldExponent",
    "FiniteSizeScaling",
    "HeatJump",
    "LogSlope",
    "Maxima",
    "MeanFieldCollapse",
    "MeanFieldScaling",
    "Place",
    "PowerLaw",
    "Reweighted",
    "ScalingMaximum",
    "SizeTable",
    "TemperatureExponents",
    "binder_crossings",
    "collapse",
    "critical_amplitude",
    "crossing",
    "dynamic_exponent",
    "exact_autocorrelation_time",
    "exact_relaxation_time",
    "exponents",
    "extrapolate_maxima",
    "field_exponent",
    "log_slope",
    "maxima",
    "maximum",
    "maximum_of",
    "mean_field_collapse",
    "mean_field_scaling",
    "projection_table",
    "reweight",
    "temperature_exponents",
]
