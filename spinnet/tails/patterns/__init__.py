"""Counting activation patterns."""

from __future__ import annotations

from spinnet.tails.patterns.counter import PatternCounter as PatternCounter
from spinnet.tails.patterns.one_shot import count_patterns as count_patterns
from spinnet.tails.patterns.rows import pack_active as pack_active

__all__ = ["PatternCounter", "count_patterns", "pack_active"]
