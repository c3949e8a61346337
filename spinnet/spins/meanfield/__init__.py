"""Mean-field theory of finite systems: theories, their diagnosis, responses, critical points."""

from spinnet.spins.meanfield.adaptive import AdaptiveTAP
from spinnet.spins.meanfield.almeida_thouless import ATLine, at_line
from spinnet.spins.meanfield.bethe import Bethe
from spinnet.spins.meanfield.critical_point import CriticalPoint, critical_beta, critical_point
from spinnet.spins.meanfield.diagnosis import Advice, Diagnosis, diagnose
from spinnet.spins.meanfield.hysteresis import hysteresis
from spinnet.spins.meanfield.instability import Instability, instability
from spinnet.spins.meanfield.loop import Hysteresis
from spinnet.spins.meanfield.method import MeanFieldMethod
from spinnet.spins.meanfield.naive import NaiveMeanField, follow
from spinnet.spins.meanfield.replica_symmetric import (
    ReplicaSymmetricBipartite,
    ReplicaSymmetricSK,
    replica_symmetric_bipartite,
    replica_symmetric_sk,
)
from spinnet.spins.meanfield.saddle_exponents import SaddlePointExponents, saddle_point_exponents
from spinnet.spins.meanfield.solution import Solution, Status
from spinnet.spins.meanfield.solving import solve
from spinnet.spins.meanfield.spectrum import OnsagerEstimate
from spinnet.spins.meanfield.tap import TAP
from spinnet.spins.meanfield.temperatures import (
    CriticalTemperature,
    CriticalTemperatures,
    critical_temperatures,
)

__all__ = [
    "TAP",
    "ATLine",
    "AdaptiveTAP",
    "Advice",
    "Bethe",
    "CriticalPoint",
    "CriticalTemperature",
    "CriticalTemperatures",
    "Diagnosis",
    "Hysteresis",
    "Instability",
    "MeanFieldMethod",
    "NaiveMeanField",
    "OnsagerEstimate",
    "ReplicaSymmetricBipartite",
    "ReplicaSymmetricSK",
    "SaddlePointExponents",
    "Solution",
    "Status",
    "at_line",
    "critical_beta",
    "critical_point",
    "critical_temperatures",
    "diagnose",
    "follow",
    "hysteresis",
    "instability",
    "replica_symmetric_bipartite",
    "replica_symmetric_sk",
    "saddle_point_exponents",
    "solve",
]
