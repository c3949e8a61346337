"""Tail indices that assume no power law below the tail: Hill, moments and kernel estimates."""

from __future__ import annotations

from spinnet.tails.tail_index.fit import TailIndex as TailIndex
from spinnet.tails.tail_index.fit import tail_index as tail_index

__all__ = ["TailIndex", "tail_index"]
