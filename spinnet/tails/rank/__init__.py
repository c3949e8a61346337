"""Laws of frequency by rank."""

from __future__ import annotations

from spinnet.tails.rank.fit import ZipfFit as ZipfFit
from spinnet.tails.rank.fit import fit_zipf as fit_zipf

__all__ = ["ZipfFit", "fit_zipf"]
