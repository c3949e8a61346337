r"""Whether naive mean field may be trusted on a given coupling matrix.

Naive mean field is exact to leading order when sum_ij J_ij^2 = o(N) (Basak and Mukherjee,
"Universality of the mean-field for the Potts model", 2017).  Three numbers show when it is not:

* the Onsager size r2 = mean_i beta^2 sum_j J_ij^2, the weight of the reaction term that naive
  mean field leaves out (it is of order 1 for random signs and doubles T_c there);
* the strongest bond max |beta J_ij|: near 1, pairs freeze by themselves, and no field
  replaces a bond;
* the participation ratio PR = 1/(N sum_i v_i^4) of the top mode: near 1/N, a few spins order,
  which no finite system does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from spinnet.spins.meanfield.couplings import Coupling
from spinnet.spins.models.base import Array

_LARGE_REACTION = 0.1
_STRONG_BOND = 0.5
_LOCALISED = 0.1


class Advice(Enum):
    """What the couplings say about naive mean field; the value is the sentence for readers."""

    RELIABLE = "naive mean field with its one-loop term suits these couplings"
    REACTION = (
        "the Onsager reaction term is not small: naive mean field misplaces T_c and the free "
        "energy; compare TAP or Monte Carlo, and the Onsager-corrected estimate"
    )
    STRONG_BONDS = (
        "single bonds are as strong as the temperature: naive mean field orders pairs of spins "
        "that no exact sum orders; use belief propagation (Bethe) or Monte Carlo"
    )
    LOCALISED = (
        "the top mode lives on few spins: what looks like a transition is a smooth freezing; "
        "use belief propagation (Bethe), exact sums or Monte Carlo"
    )


@dataclass(frozen=True)
class Diagnosis:
    """The size of what naive mean field neglects, at one temperature.

    Attributes
    ----------
    onsager_size : float
        mean_i beta^2 sum_j J_ij^2.
    strongest_bond : float
        max_{i != j} |beta J_ij|.
    participation_ratio : float
        1/(N sum_i v_i^4) of the top mode of J, between 1/N and 1.
    advice : Advice
    """

    onsager_size: float
    strongest_bond: float
    participation_ratio: float
    advice: Advice


def participation_ratio(vector: Array) -> float:
    """Return 1/(N sum v^4) of a vector, normalised first: 1 if spread evenly, 1/N on one site."""
    square = vector**2 / np.sum(vector**2)
    return float(1 / (square.size * np.sum(square**2)))


def diagnose(coupling: Coupling, beta: float, top_mode: Array) -> Diagnosis:
    """Return the diagnosis of a coupling matrix at `beta`."""
    reaction = float(beta**2 * coupling.row_squares().mean())
    bond = beta * coupling.strongest()
    ratio = participation_ratio(top_mode)
    if bond > _STRONG_BOND:
        advice = Advice.STRONG_BONDS
    elif ratio < _LOCALISED:
        advice = Advice.LOCALISED
    elif reaction > _LARGE_REACTION:
        advice = Advice.REACTION
    else:
        advice = Advice.RELIABLE
    return Diagnosis(reaction, bond, ratio, advice)
