"""Exact sums: enumeration of up to 24 spins, and Curie-Weiss sums at any size."""

from spinnet.spins.exact.curie_weiss import curie_weiss
from spinnet.spins.exact.enumeration import enumerate_states as enumerate  # noqa: A004
from spinnet.spins.exact.result import ExactResult

__all__ = ["ExactResult", "curie_weiss", "enumerate"]
