"""The heart: a layer's measured power laws against those of its dual and of null models."""

from spinnet.comparison.procedure import compare
from spinnet.comparison.result import Comparison

__all__ = ["Comparison", "compare"]
