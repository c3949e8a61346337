"""Adaptive TAP (expectation consistency) for couplings of any spectrum."""

from spinnet.spins.meanfield.adaptive.critical import AdaptiveTemperatures, adaptive_temperatures
from spinnet.spins.meanfield.adaptive.method import AdaptiveTAP
from spinnet.spins.meanfield.adaptive.paramagnet import Spectrum, paramagnetic_log_z
from spinnet.spins.meanfield.adaptive.solution import AdaptiveSolution

__all__ = [
    "AdaptiveSolution",
    "AdaptiveTAP",
    "AdaptiveTemperatures",
    "Spectrum",
    "adaptive_temperatures",
    "paramagnetic_log_z",
]
