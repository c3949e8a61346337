"""Null models of binary rasters and of real-valued inputs.

A raster is an array of 0 and 1 of shape (n_inputs, n_units), or the same packed with `n_units`.
"""

from __future__ import annotations

from spinnet.tails.nulls.comparing import NullTest as NullTest
from spinnet.tails.nulls.comparing import test_against_null as test_against_null
from spinnet.tails.nulls.model import NullModel as NullModel
from spinnet.tails.nulls.model import PatternModel as PatternModel
from spinnet.tails.nulls.units import IndependentUnits as IndependentUnits
from spinnet.tails.nulls.units import ShuffledUnits as ShuffledUnits
from spinnet.tails.nulls.units import independent as independent
from spinnet.tails.nulls.units import shuffle_units as shuffle_units
