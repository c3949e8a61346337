"""spinnet: the duality between spin systems and neural networks.

Conventions, used everywhere:

* k_B = 1, and ``beta`` = 1/T is the only temperature argument.
* Spins are +-1, int8, shape ``(n_replicas, n_spins)``.
* Energy is total: E(s) = -1/2 sum_{i != j} J_ij s_i s_j - sum_i h_i s_i + constant, with J
  symmetric and zero on the diagonal, so that each pair counts once.  A model stated with the
  diagonal or with a non-symmetric matrix is symmetrised and keeps its diagonal in ``constant``.
* Free energy is per spin: f = -(1/(beta N)) log Z.  m = -df/dh.
* Susceptibility is per spin: chi = dm/dh = beta N (<m^2> - <m>^2).
  Specific heat is per spin.  Binder cumulant U = 1 - <m^4>/(3 <m^2>^2).
* ``alpha`` is the exponent of a density p(x) ~ x^-alpha, ``zipf`` that of frequency by rank.
* Propagation: W_ij ~ N(0, sigma_w^2 / fan-in), b ~ N(0, sigma_b^2); q is the variance of the
  pre-activations; `keep` is the probability to keep an activation (1 = no dropout).
* Randomness: the keyword ``rng`` (None, int, SeedSequence or Generator), never global state.

Importing spinnet is cheap: each public name loads its module at its first use.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spinnet import networks as networks
    from spinnet import propagation as propagation
    from spinnet import tails as tails
    from spinnet import theory as theory
    from spinnet.comparison import Comparison as Comparison
    from spinnet.comparison import compare as compare
    from spinnet.errors import CheckpointError as CheckpointError
    from spinnet.errors import ConvergenceError as ConvergenceError
    from spinnet.errors import InputError as InputError
    from spinnet.errors import KinkedActivationError as KinkedActivationError
    from spinnet.errors import MissingDependencyError as MissingDependencyError
    from spinnet.errors import SpinnetError as SpinnetError
    from spinnet.errors import SpinnetWarning as SpinnetWarning
    from spinnet.errors import StatisticsError as StatisticsError
    from spinnet.propagation import simulate as simulate
    from spinnet.propagation.activations import Activation as Activation
    from spinnet.propagation.critical import critical_sigma_w as critical_sigma_w
    from spinnet.propagation.diagram import phase_diagram as phase_diagram
    from spinnet.propagation.gaussian import MeanField as MeanField
    from spinnet.propagation.jacobian import jacobian_density as jacobian_density
    from spinnet.reporting import report as report
    from spinnet.runs import sweep as sweep
    from spinnet.spins import critical as critical
    from spinnet.spins import exact as exact
    from spinnet.spins import meanfield as meanfield
    from spinnet.spins import statistics as statistics
    from spinnet.spins.meanfield import TAP as TAP
    from spinnet.spins.meanfield import AdaptiveTAP as AdaptiveTAP
    from spinnet.spins.meanfield import Bethe as Bethe
    from spinnet.spins.meanfield import NaiveMeanField as NaiveMeanField
    from spinnet.spins.meanfield import critical_beta as critical_beta
    from spinnet.spins.meanfield import diagnose as diagnose
    from spinnet.spins.meanfield import solve as solve
    from spinnet.spins.models import Bipartite as Bipartite
    from spinnet.spins.models import CurieWeiss as CurieWeiss
    from spinnet.spins.models import Hopfield as Hopfield
    from spinnet.spins.models import Ising as Ising
    from spinnet.spins.models import LowRank as LowRank
    from spinnet.spins.models import NetworkDual as NetworkDual
    from spinnet.spins.montecarlo import AuxiliaryField as AuxiliaryField
    from spinnet.spins.montecarlo import BlockGibbs as BlockGibbs
    from spinnet.spins.montecarlo import HeatBath as HeatBath
    from spinnet.spins.montecarlo import Independent as Independent
    from spinnet.spins.montecarlo import Metropolis as Metropolis
    from spinnet.spins.montecarlo import SwendsenWang as SwendsenWang
    from spinnet.spins.montecarlo import Tempering as Tempering
    from spinnet.spins.montecarlo import Wolff as Wolff
    from spinnet.spins.montecarlo import export_netcdf as export_netcdf
    from spinnet.spins.montecarlo import iid_curie_weiss as iid_curie_weiss
    from spinnet.spins.montecarlo import iid_curie_weiss_spins as iid_curie_weiss_spins
    from spinnet.spins.montecarlo import load_run as load_run
    from spinnet.spins.montecarlo import log_partition as log_partition
    from spinnet.spins.montecarlo import merge_runs as merge_runs
    from spinnet.spins.montecarlo import place_temperatures as place_temperatures
    from spinnet.spins.montecarlo import sample as sample
    from spinnet.spins.statistics import Estimate as Estimate
    from spinnet.spins.statistics import binder_cumulant as binder_cumulant

try:
    __version__ = version("spinnet")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

_MODULES = {
    "critical": "spinnet.spins.critical",
    "exact": "spinnet.spins.exact",
    "meanfield": "spinnet.spins.meanfield",
    "networks": "spinnet.networks",
    "propagation": "spinnet.propagation",
    "simulate": "spinnet.propagation.simulate",
    "statistics": "spinnet.spins.statistics",
    "tails": "spinnet.tails",
    "theory": "spinnet.theory",
}
_NAMES = {
    "Activation": "spinnet.propagation.activations",
    "AdaptiveTAP": "spinnet.spins.meanfield",
    "AuxiliaryField": "spinnet.spins.montecarlo",
    "Bethe": "spinnet.spins.meanfield",
    "binder_cumulant": "spinnet.spins.statistics",
    "Bipartite": "spinnet.spins.models",
    "BlockGibbs": "spinnet.spins.montecarlo",
    "CheckpointError": "spinnet.errors",
    "compare": "spinnet.comparison",
    "Comparison": "spinnet.comparison",
    "ConvergenceError": "spinnet.errors",
    "critical_beta": "spinnet.spins.meanfield",
    "critical_sigma_w": "spinnet.propagation.critical",
    "CurieWeiss": "spinnet.spins.models",
    "diagnose": "spinnet.spins.meanfield",
    "Estimate": "spinnet.spins.statistics",
    "export_netcdf": "spinnet.spins.montecarlo",
    "HeatBath": "spinnet.spins.montecarlo",
    "Hopfield": "spinnet.spins.models",
    "iid_curie_weiss": "spinnet.spins.montecarlo",
    "iid_curie_weiss_spins": "spinnet.spins.montecarlo",
    "Independent": "spinnet.spins.montecarlo",
    "InputError": "spinnet.errors",
    "Ising": "spinnet.spins.models",
    "jacobian_density": "spinnet.propagation.jacobian",
    "KinkedActivationError": "spinnet.errors",
    "load_run": "spinnet.spins.montecarlo",
    "log_partition": "spinnet.spins.montecarlo",
    "LowRank": "spinnet.spins.models",
    "MeanField": "spinnet.propagation.gaussian",
    "merge_runs": "spinnet.spins.montecarlo",
    "Metropolis": "spinnet.spins.montecarlo",
    "MissingDependencyError": "spinnet.errors",
    "NaiveMeanField": "spinnet.spins.meanfield",
    "NetworkDual": "spinnet.spins.models",
    "phase_diagram": "spinnet.propagation.diagram",
    "place_temperatures": "spinnet.spins.montecarlo",
    "report": "spinnet.reporting",
    "sample": "spinnet.spins.montecarlo",
    "solve": "spinnet.spins.meanfield",
    "SpinnetError": "spinnet.errors",
    "SpinnetWarning": "spinnet.errors",
    "StatisticsError": "spinnet.errors",
    "sweep": "spinnet.runs",
    "SwendsenWang": "spinnet.spins.montecarlo",
    "TAP": "spinnet.spins.meanfield",
    "Tempering": "spinnet.spins.montecarlo",
    "Wolff": "spinnet.spins.montecarlo",
}
__all__ = sorted([*_MODULES, *_NAMES, "__version__"])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = importlib.import_module(_MODULES[name])
    elif name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    else:
        raise AttributeError(f"module 'spinnet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
