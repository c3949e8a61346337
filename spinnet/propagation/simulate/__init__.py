"""Finite-width random networks: the empirical counterpart of the mean-field theory.

:func:`network` draws one network, to look into; :class:`Ensemble` measures on several what
:class:`spinnet.propagation.MeanField` predicts.
"""

from spinnet.propagation.simulate.curves import Curve
from spinnet.propagation.simulate.ensemble import (
    CurveMeasurement,
    Ensemble,
    GradientMeasurement,
    JacobianMeasurement,
)
from spinnet.propagation.simulate.measurement import Measurement
from spinnet.propagation.simulate.networks import Network
from spinnet.propagation.simulate.random_network import network

__all__ = [
    "Curve",
    "CurveMeasurement",
    "Ensemble",
    "GradientMeasurement",
    "JacobianMeasurement",
    "Measurement",
    "Network",
    "network",
]
