"""Null models of binary rasters and of real-valued inputs.

A raster is an array of 0 and 1 of shape (n_inputs, n_units), or the same packed with `n_units`.
What each null model keeps of it, in order of how much:

* ``shuffle_units``: rates, exactly; ``independent``: rates, with every probability known.
* ``raster_marginals``: rates, and the number of active units on each input, exactly (or with
  ``method="maxent"`` its distribution).
* ``dichotomised_gaussian`` and ``pairwise_maxent``: rates and pairwise correlations; the latter
  with the largest entropy.
* ``phase_randomised`` and ``gaussian_surrogate``: second moments of real-valued inputs.

``compare_with_null`` compares any statistic of the data with its values on samples.
"""

from __future__ import annotations

from spinnet.tails.nulls.bivariate import bivariate_normal_cdf as bivariate_normal_cdf
from spinnet.tails.nulls.comparing import NullTest as NullTest
from spinnet.tails.nulls.comparing import compare_with_null as compare_with_null
from spinnet.tails.nulls.dichotomised import DichotomisedGaussian as DichotomisedGaussian
from spinnet.tails.nulls.dichotomised import LatentCorrelations as LatentCorrelations
from spinnet.tails.nulls.dichotomised import dichotomised_gaussian as dichotomised_gaussian
from spinnet.tails.nulls.dichotomised import latent_correlations as latent_correlations
from spinnet.tails.nulls.inputs import GaussianSurrogate as GaussianSurrogate
from spinnet.tails.nulls.inputs import InputModel as InputModel
from spinnet.tails.nulls.inputs import PhaseRandomised as PhaseRandomised
from spinnet.tails.nulls.inputs import gaussian_surrogate as gaussian_surrogate
from spinnet.tails.nulls.inputs import phase_randomised as phase_randomised
from spinnet.tails.nulls.marginals import SwappedRaster as SwappedRaster
from spinnet.tails.nulls.marginals import raster_marginals as raster_marginals
from spinnet.tails.nulls.model import NullModel as NullModel
from spinnet.tails.nulls.model import PatternModel as PatternModel
from spinnet.tails.nulls.pairwise import PairwiseMaxent as PairwiseMaxent
from spinnet.tails.nulls.pairwise import pairwise_from_moments as pairwise_from_moments
from spinnet.tails.nulls.pairwise import pairwise_maxent as pairwise_maxent
from spinnet.tails.nulls.population import PopulationModel as PopulationModel
from spinnet.tails.nulls.units import IndependentUnits as IndependentUnits
from spinnet.tails.nulls.units import ShuffledUnits as ShuffledUnits
from spinnet.tails.nulls.units import independent as independent
from spinnet.tails.nulls.units import shuffle_units as shuffle_units

__all__ = [
    "DichotomisedGaussian",
    "GaussianSurrogate",
    "IndependentUnits",
    "InputModel",
    "LatentCorrelations",
    "NullModel",
    "NullTest",
    "PairwiseMaxent",
    "PatternModel",
    "PhaseRandomised",
    "PopulationModel",
    "ShuffledUnits",
    "SwappedRaster",
    "bivariate_normal_cdf",
    "compare_with_null",
    "dichotomised_gaussian",
    "gaussian_surrogate",
    "independent",
    "latent_correlations",
    "pairwise_from_moments",
    "pairwise_maxent",
    "phase_randomised",
    "raster_marginals",
    "shuffle_units",
]
