"""Alpha-stable laws."""

from __future__ import annotations

from spinnet.tails.stable.parameters import Parameters as Parameters
from spinnet.tails.stable.parameters import convert as convert

__all__ = ["Parameters", "convert"]
