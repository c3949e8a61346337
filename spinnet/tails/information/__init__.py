"""Information and thermodynamics of patterns."""

from __future__ import annotations

from spinnet.tails.information.entropies import EntropyEstimate as EntropyEstimate
from spinnet.tails.information.entropies import entropy as entropy
from spinnet.tails.information.heat import specific_heat as specific_heat
from spinnet.tails.information.heat_result import SpecificHeat as SpecificHeat
from spinnet.tails.information.multiscale import ResolutionRelevance as ResolutionRelevance
from spinnet.tails.information.multiscale import relevance as relevance
from spinnet.tails.information.multiscale import resolution as resolution
from spinnet.tails.information.multiscale import resolution_relevance as resolution_relevance

__all__ = [
    "EntropyEstimate",
    "ResolutionRelevance",
    "SpecificHeat",
    "entropy",
    "relevance",
    "resolution",
    "resolution_relevance",
    "specific_heat",
]
