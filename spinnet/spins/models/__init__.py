"""The finite-N models: one file each, one energy each."""

from spinnet.spins.models.base import SpinModel
from spinnet.spins.models.bipartite import Bipartite
from spinnet.spins.models.curie_weiss import CurieWeiss
from spinnet.spins.models.ising import Ising
from spinnet.spins.models.low_rank import Hopfield, LowRank
from spinnet.spins.models.network_dual import NetworkDual

__all__ = [
    "Bipartite",
    "CurieWeiss",
    "Hopfield",
    "Ising",
    "LowRank",
    "NetworkDual",
    "SpinModel",
]
