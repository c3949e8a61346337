"""The updates: small frozen objects that say how a sweep is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, get_args

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


@dataclass(frozen=True)
class Wolff:
    """Clusters grown from random spins and flipped, for couplings J_ij >= 0.

    U. Wolff, Phys. Rev. Lett. 62, 361 (1989).  A sweep flips clusters until they have held as
    many spins as the system, on average.
    """


@dataclass(frozen=True)
class SwendsenWang:
    """All clusters of the bond variables flipped with probability 1/2, for couplings J_ij >= 0.

    R. H. Swendsen & J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987).
    """


@dataclass(frozen=True)
class AuxiliaryField:
    """All spins at once given one Gaussian field for each direction of the couplings.

    The Hubbard-Stratonovich transformation is exact: x_p given s is Gaussian, and the spins
    given x are independent.  For low-rank couplings a sweep costs O(N P).

    Every `heat_bath_every`-th sweep draws x given the spins, and then the spins given x: a Gibbs
    sampler.  The sweeps between reflect x about its mean given the spins, and flip each spin
    with probability min(1, exp(-beta dE)) at fixed x.  Both keep the distribution, and together
    they go on in the direction of the last change where a Gibbs sampler diffuses: near T_c they
    forget several times faster, and far above it, where one Gibbs sweep forgets everything, up
    to `heat_bath_every`/2 times slower.

    Parameters
    ----------
    heat_bath_every : int
        At least 1; 1 is the Gibbs sampler.

    References
    ----------
    S. L. Adler, Phys. Rev. D 23, 2901 (1981): overrelaxation.
    """

    heat_bath_every: int = 4

    def __post_init__(self) -> None:
        integer("heat_bath_every", self.heat_bath_every, minimum=1)


@dataclass(frozen=True)
class Independent:
    """Every sweep draws a configuration anew from its exact distribution: no correlations.

    For the Curie-Weiss model, and for couplings f_i f_j of rank 1 with any fields.
    """


Update: TypeAlias = (
    HeatBath | Metropolis | BlockGibbs | Wolff | SwendsenWang | AuxiliaryField | Independent
)
UPDATES: tuple[type[Update], ...] = get_args(Update)
