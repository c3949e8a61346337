"""Exact sums: enumeration to 24 spins, one layer of two, and Curie-Weiss at any size."""

from spinnet.spins.exact.curie_weiss import curie_weiss
from spinnet.spins.exact.enumeration import enumerate_states as enumerate
from spinnet.spins.exact.layer_marginal import LayerMarginal, layer_marginal
from spinnet.spins.exact.result import ExactResult

__all__ = ["ExactResult", "LayerMarginal", "curie_weiss", "enumerate", "layer_marginal"]
