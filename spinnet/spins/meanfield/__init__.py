"""Mean-field theory of finite systems: solutions, responses, critical points, exponents."""

from spinnet.spins.meanfield.critical_point import CriticalPoint, critical_beta, critical_point
from spinnet.spins.meanfield.diagnosis import Advice, Diagnosis
from spinnet.spins.meanfield.naive import NaiveMeanField, follow
from spinnet.spins.meanfield.saddle_exponents import SaddlePointExponents, saddle_point_exponents
from spinnet.spins.meanfield.solution import Solution, Status
from spinnet.spins.meanfield.solving import solve
from spinnet.spins.meanfield.spectrum import OnsagerEstimate

__all__ = [
    "Advice",
    "CriticalPoint",
    "Diagnosis",
    "NaiveMeanField",
    "OnsagerEstimate",
    "SaddlePointExponents",
    "Solution",
    "Status",
    "critical_beta",
    "critical_point",
    "follow",
    "saddle_point_exponents",
    "solve",
]
