"""Monte Carlo: ``sample`` with its updates, and exact independent Curie-Weiss samples."""

from spinnet.spins.montecarlo.engine import sample
from spinnet.spins.montecarlo.iid import iid_curie_weiss
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.transition import transition_matrix
from spinnet.spins.montecarlo.updates import BlockGibbs, HeatBath, Metropolis

__all__ = [
    "BlockGibbs",
    "HeatBath",
    "Metropolis",
    "Run",
    "iid_curie_weiss",
    "sample",
    "transition_matrix",
]
