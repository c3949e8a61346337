"""Laws of frequency by rank: fits, comparisons, diagnostics."""

from __future__ import annotations

from spinnet.tails.rank.comparison import RankComparison as RankComparison
from spinnet.tails.rank.comparison import RankComparisons as RankComparisons
from spinnet.tails.rank.diagnostics import CountDiagnostics as CountDiagnostics
from spinnet.tails.rank.diagnostics import coverage as coverage
from spinnet.tails.rank.diagnostics import diagnose_counts as diagnose_counts
from spinnet.tails.rank.exponents import RankExponent as RankExponent
from spinnet.tails.rank.exponents import RankExponents as RankExponents
from spinnet.tails.rank.exponents import rank_exponents as rank_exponents
from spinnet.tails.rank.fit import fit_zipf as fit_zipf
from spinnet.tails.rank.result import ZipfFit as ZipfFit

__all__ = [
    "CountDiagnostics",
    "RankComparison",
    "RankComparisons",
    "RankExponent",
    "RankExponents",
    "ZipfFit",
    "coverage",
    "diagnose_counts",
    "fit_zipf",
    "rank_exponents",
]
