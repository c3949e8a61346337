"""Information and thermodynamics of patterns."""

from __future__ import annotations

from spinnet.tails.information.entropy import EntropyEstimate as EntropyEstimate
from spinnet.tails.information.entropy import entropy as entropy
from spinnet.tails.information.heat_result import SpecificHeat as SpecificHeat
from spinnet.tails.information.relevance import ResolutionRelevance as ResolutionRelevance
from spinnet.tails.information.relevance import relevance as relevance
from spinnet.tails.information.relevance import resolution as resolution
from spinnet.tails.information.relevance import resolution_relevance as resolution_relevance
from spinnet.tails.information.specific_heat import specific_heat as specific_heat

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
