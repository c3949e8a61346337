"""Which family of laws describes data best: normal, Student t, stable and others, side by side."""

from __future__ import annotations

from spinnet.tails.families.comparison import FamilyComparison as FamilyComparison
from spinnet.tails.families.comparison import FamilyFit as FamilyFit
from spinnet.tails.families.comparison import compare_families as compare_families

__all__ = ["FamilyComparison", "FamilyFit", "compare_families"]
