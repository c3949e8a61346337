r"""Criticality: exponents from sweeps in size, temperature and field, and from dynamics.

Mean-field systems have no length, and scale in N = L^{d_c}: nu_bar = nu d_c = 2.  At T_c,
N^{1/4} <|m|> = 0.90989 - 0.03524 N^{-1/2} and N^{1/2} <m^2> = 1.17083 - 0.27417 N^{-1/2} for
Curie-Weiss, so that a straight line through log-log data is biased; the fits here carry a term
c N^{-1/2} unless told otherwise.

From data to an exponent
------------------------
* Where is T_c?  :func:`binder_crossings` of several sizes (``.limit()``), or
  :func:`extrapolate_maxima` of the specific heat or of chi; for a mean-field theory
  ``spinnet.critical_beta``.
* beta/nu_bar, gamma/nu_bar, 1/nu_bar at T_c from sizes: :func:`exponents`; its ``.converted`` are
  beta, gamma, delta and nu_bar.  All at once, with T_c: :func:`collapse`.
* beta, gamma, gamma' and the jump of c from one large size: :func:`temperature_exponents`; delta
  from fields at T_c: :func:`field_exponent`.
* z from autocorrelation times at T_c: :func:`dynamic_exponent`, with exact spectra of Curie-Weiss
  in :func:`exact_relaxation_time` and :func:`exact_autocorrelation_time`.
* Between simulated temperatures: :func:`reweight`, then :func:`maximum` of one curve (a
  :class:`Place`) or :func:`crossing` of two.  :func:`maxima` collects the maxima of several
  sizes; :func:`maximum_of` is that of the exact scaling function, :func:`mean_field_scaling`.

Every function takes Monte Carlo runs, exact results, SizeTables or a mapping of columns
(n_spins, beta, abs_m, abs_m_error, ...), one entry for each size; what it cannot use it refuses.
Reweighted curves go to `exponents` (with beta_c), `binder_crossings` and `maxima`, mean-field
solutions to `temperature_exponents`.  Systems whose top mode has signs or sizes, as duals have,
enter by their projections on it: :func:`projection_table`.  beta_c is an inverse temperature in
units of 1/J; exponents count in N.

>>> import numpy as np
>>> import spinnet as sn
>>> beta = 1 + np.linspace(-0.05, 0.05, 5)
>>> runs = [sn.sample(sn.CurieWeiss(n), beta, n_sweeps=400, rng=n) for n in (32, 64, 128, 256)]
>>> curves = [sn.critical.reweight(run, 1.0) for run in runs]
>>> fit = sn.critical.exponents(curves, beta_c=1.0)  # print(fit.summary()); fit.plot()
>>> bool(abs(fit.gamma_over_nu - 0.5) < 4 * fit.gamma_over_nu_error)
True

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
from spinnet.spins.critical.conversion import ConvertedExponents
from spinnet.spins.critical.crossings import BinderCrossings, binder_crossings
from spinnet.spins.critical.data_collapse import Collapse, collapse
from spinnet.spins.critical.dynamics import DynamicExponent, dynamic_exponent
from spinnet.spins.critical.extrapolation import ExtrapolatedMaxima, extrapolate_maxima
from spinnet.spins.critical.field_sweeps import FieldExponent, field_exponent
from spinnet.spins.critical.fits import LogSlope, log_slope
from spinnet.spins.critical.heat_jump import HeatJump
from spinnet.spins.critical.master_curve import MeanFieldCollapse, mean_field_collapse
from spinnet.spins.critical.peaks import Maxima, maxima
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
