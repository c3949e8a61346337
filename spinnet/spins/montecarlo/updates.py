"""The updates: small frozen objects that say how a sweep is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from spinnet.validation import integer


@dataclass(frozen=True)
class HeatBath:
    """Each spin in turn is drawn from its distribution given the others.

    P(s_i = +1) = 1/(1 + exp(-2 beta l_i)), with l_i the local field.  Every state can follow
    every other within one sweep.
    """


@dataclass(frozen=True)
class Metropolis:
    """Each spin in turn is flipped with probability min(1, exp(-beta dE)).

    A sweep in fixed order is not ergodic by itself: free spins flip at every sweep, and on a
    4x4 torus 64 states lie on deterministic cycles.  Therefore every `heat_bath_every`-th
    sweep is a heat bath.

    Parameters
    ----------
    heat_bath_every : int
        At least 1; 1 is pure heat bath.
    """

    heat_bath_every: int = 8

    def __post_init__(self) -> None:
        integer("heat_bath_every", self.heat_bath_every, minimum=1)


@dataclass(frozen=True)
class BlockGibbs:
    """All units of a layer at once given the other layer, for bipartite systems.

    One sweep draws layer a given b and then b given a; the fields of all replicas are one
    matrix product.
    """


Update: TypeAlias = HeatBath | Metropolis | BlockGibbs
