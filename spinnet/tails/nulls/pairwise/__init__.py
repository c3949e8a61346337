"""Maximum entropy with given rates and pairwise correlations."""

from __future__ import annotations

from spinnet.tails.nulls.pairwise.fit import pairwise_from_moments as pairwise_from_moments
from spinnet.tails.nulls.pairwise.fit import pairwise_maxent as pairwise_maxent
from spinnet.tails.nulls.pairwise.model import PairwiseMaxent as PairwiseMaxent
