"""Likelihood-ratio tests between two fitted families."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# (smaller, larger) -> (further parameters, whether the smaller lies at a bound of the larger)
NESTED: dict[tuple[str, str], tuple[int, bool]] = {
    ("normal", "student-t"): (1, True),  # nu = infinity
    ("normal", "generalised-normal"): (1, False),  # shape 2
    ("normal", "stable-symmetric"): (1, True),  # stable_alpha = 2
    ("normal", "stable"): (1, True),  # and beta is not identified
    ("laplace", "generalised-normal"): (1, False),  # shape 1
    ("cauchy", "student-t"): (1, False),  # nu = 1
    ("cauchy", "stable-symmetric"): (1, False),  # stable_alpha = 1
    ("cauchy", "stable"): (2, False),
    ("stable-symmetric", "stable"): (1, False),  # beta = 0
}
_DEGENERATE = 1e-10  # standard deviation of the ratios of laws that are equal


def ratio_test(ratios: Floats, weights: Floats, name: str, best: str) -> tuple[float, float]:
    """Return Vuong's z of `name` against `best`, and the p-value.

    `ratios` are the log-densities of `name` less those of `best`, at points with `weights`.
    """
    if name == best:
        return math.nan, math.nan
    n = float(weights.sum())
    total = float(weights @ ratios)
    spread = math.sqrt(max(float(weights @ ratios**2) / n - (total / n) ** 2, 0.0))
    z = total / (math.sqrt(n) * spread) if spread > _DEGENERATE else 0.0
    if (name, best) in NESTED:
        return z, _nested(-2.0 * total, *NESTED[name, best])
    return z, math.erfc(abs(z) / math.sqrt(2.0))


def _nested(ratio: float, degrees: int, bound: bool) -> float:
    """Return the p-value of twice the log-likelihood ratio (Self and Liang 1987 at a bound)."""
    if ratio <= 0.0:
        return 1.0
    tail = math.erfc(math.sqrt(0.5 * ratio)) if degrees == 1 else math.exp(-0.5 * ratio)
    return 0.5 * tail if bound else tail
