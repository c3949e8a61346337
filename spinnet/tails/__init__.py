"""Statistics of heavy tails, on any array: power laws, laws of rank, patterns, stable laws.

* Power laws: ``fit_power_law`` (p(x) ~ x^-alpha above a cut-off found among all data; a fit has
  ``.compare``, ``.compare_all`` and ``.scan``), ``fit_truncated`` (between two given bounds, any
  real exponent), ``fit_range`` (the widest range that is a power law), ``tail_index`` (Hill,
  moments and kernel estimates).
* Dependent data: ``check_independence``, ``block_bootstrap``.
* Frequency by rank, f(r) ~ r^-zipf for any real exponent: ``fit_zipf``, ``rank_exponents``,
  ``diagnose_counts``, ``coverage``.
* Patterns: ``PatternCounter``, ``count_patterns``, ``pack_active``.
* Information: ``entropy``, ``resolution``, ``relevance``, ``resolution_relevance``,
  ``specific_heat``.
* ``nulls``: null models of binary patterns and of inputs, and tests against them.
* ``stable``: alpha-stable laws: density, distribution, quantiles, samples, fits.
* ``compare_families``: which of the usual families the data follow.

The exponents of one set of counts are related by alpha = 1 + 1/zipf.
"""

from __future__ import annotations

from spinnet.tails import nulls as nulls
from spinnet.tails import stable as stable
from spinnet.tails.dependence import BlockBootstrap as BlockBootstrap
from spinnet.tails.dependence import Independence as Independence
from spinnet.tails.dependence import block_bootstrap as block_bootstrap
from spinnet.tails.dependence import check_independence as check_independence
from spinnet.tails.families import FamilyComparison as FamilyComparison
from spinnet.tails.families import FamilyFit as FamilyFit
from spinnet.tails.families import compare_families as compare_families
from spinnet.tails.information import EntropyEstimate as EntropyEstimate
from spinnet.tails.information import ResolutionRelevance as ResolutionRelevance
from spinnet.tails.information import SpecificHeat as SpecificHeat
from spinnet.tails.information import entropy as entropy
from spinnet.tails.information import relevance as relevance
from spinnet.tails.information import resolution as resolution
from spinnet.tails.information import resolution_relevance as resolution_relevance
from spinnet.tails.information import specific_heat as specific_heat
from spinnet.tails.patterns import PatternCounter as PatternCounter
from spinnet.tails.patterns import count_patterns as count_patterns
from spinnet.tails.patterns import pack_active as pack_active
from spinnet.tails.powerlaw import LikelihoodRatio as LikelihoodRatio
from spinnet.tails.powerlaw import PowerLawFit as PowerLawFit
from spinnet.tails.powerlaw import XminScan as XminScan
from spinnet.tails.powerlaw import fit_power_law as fit_power_law
from spinnet.tails.powerlaw.alternatives import LawComparison as LawComparison
from spinnet.tails.powerlaw.alternatives import adjust_p_values as adjust_p_values
from spinnet.tails.powerlaw.range_search import RangeFit as RangeFit
from spinnet.tails.powerlaw.range_search import fit_range as fit_range
from spinnet.tails.powerlaw.truncated import TruncatedPowerLawFit as TruncatedPowerLawFit
from spinnet.tails.powerlaw.truncated import fit_truncated as fit_truncated
from spinnet.tails.rank import CountDiagnostics as CountDiagnostics
from spinnet.tails.rank import RankComparison as RankComparison
from spinnet.tails.rank import RankComparisons as RankComparisons
from spinnet.tails.rank import RankExponent as RankExponent
from spinnet.tails.rank import RankExponents as RankExponents
from spinnet.tails.rank import ZipfFit as ZipfFit
from spinnet.tails.rank import coverage as coverage
from spinnet.tails.rank import diagnose_counts as diagnose_counts
from spinnet.tails.rank import fit_zipf as fit_zipf
from spinnet.tails.rank import rank_exponents as rank_exponents
from spinnet.tails.tail_index import TailIndex as TailIndex
from spinnet.tails.tail_index import tail_index as tail_index

__all__ = [
    "BlockBootstrap",
    "CountDiagnostics",
    "EntropyEstimate",
    "FamilyComparison",
    "FamilyFit",
    "Independence",
    "LawComparison",
    "LikelihoodRatio",
    "PatternCounter",
    "PowerLawFit",
    "RangeFit",
    "RankComparison",
    "RankComparisons",
    "RankExponent",
    "RankExponents",
    "ResolutionRelevance",
    "SpecificHeat",
    "TailIndex",
    "TruncatedPowerLawFit",
    "XminScan",
    "ZipfFit",
    "adjust_p_values",
    "block_bootstrap",
    "check_independence",
    "compare_families",
    "count_patterns",
    "coverage",
    "diagnose_counts",
    "entropy",
    "fit_power_law",
    "fit_range",
    "fit_truncated",
    "fit_zipf",
    "nulls",
    "pack_active",
    "rank_exponents",
    "relevance",
    "resolution",
    "resolution_relevance",
    "specific_heat",
    "stable",
    "tail_index",
]
