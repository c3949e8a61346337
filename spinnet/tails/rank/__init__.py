"""Laws of frequency by rank."""

from __future__ import annotations

from spinnet.tails.rank.diagnostics import CountDiagnostics as CountDiagnostics
from spinnet.tails.rank.diagnostics import coverage as coverage
from spinnet.tails.rank.diagnostics import diagnose_counts as diagnose_counts
from spinnet.tails.rank.fit import ZipfFit as ZipfFit
from spinnet.tails.rank.fit import fit_zipf as fit_zipf

__all__ = ["CountDiagnostics", "ZipfFit", "coverage", "diagnose_counts", "fit_zipf"]
