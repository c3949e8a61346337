"""What the alternatives are fitted to, and what a fit of one of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.observations import log_ratio

Floats = NDArray[np.float64]

CONTINUOUS, SUM, ROUND = "continuous", "sum", "round"


@dataclass(frozen=True)
class Tail:
    """Distinct sorted `values` >= `xmin` with `counts`, and the power law fitted to them.

    `kind` says which law of integers a density f stands for: ``"sum"`` f(x) / sum f, ``"round"``
    the mass of f between x - 1/2 and x + 1/2; ``"continuous"`` is for real numbers.
    """

    values: Floats
    counts: Floats
    xmin: float
    alpha: float
    log_norm: float
    kind: str

    @property
    def origin(self) -> float:
        """Where the continuous density starts."""
        return self.xmin - 0.5 if self.kind == ROUND else self.xmin

    @cached_property
    def n(self) -> float:
        """Number of observations."""
        return float(self.counts.sum())

    @cached_property
    def y(self) -> Floats:
        """ln(x/origin)."""
        return log_ratio(self.values, self.origin)

    def mean(self, rows: Floats) -> Floats:
        """Return the average over the observations, along the last axis."""
        return np.asarray(rows @ self.counts / self.n)

    @cached_property
    def power(self) -> Floats:
        """Log density (or probability) of the power law at the values."""
        return -self.alpha * log_ratio(self.values, self.xmin) - self.log_norm


@dataclass(frozen=True)
class FittedLaw:
    """Log density (or probability) of a fitted alternative at the values of the tail.

    `degenerate` means that its best member is the power law.
    """

    log_density: Floats
    parameters: Mapping[str, float]
    n_parameters: int
    degenerate: bool = False
