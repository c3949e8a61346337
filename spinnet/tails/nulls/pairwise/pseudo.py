r"""Pairwise couplings by pseudo-likelihood, for units too many to enumerate.

.. math:: \max_{h, J}\; \sum_i \langle \ln p(\sigma_i | \sigma_{\setminus i}) \rangle
          - \tfrac{\lambda}{2} \sum_{i<j} J_{ij}^2, \qquad
          p(\sigma_i = 1 | \sigma_{\setminus i}) = 1/(1 + e^{-h_i - \sum_j J_{ij} \sigma_j})

with one J for both directions (Besag, The Statistician 24, 179 (1975); symmetric form of Ravikumar,
Wainwright and Lafferty, Ann. Stat. 38, 1287 (2010)).  It is consistent: if the data come from a
pairwise model, the couplings tend to the true ones.  With finite data they are biased by O(1/n)
outwards, as those of logistic regression; if no pairwise model is true, the moments of the fit
differ from the data's however many the inputs.

The maximum is found by L-BFGS (Nocedal, Math. Comput. 35, 773 (1980)), started at each step from
an approximate inverse Hessian.  With local fields h'_i + sum_j J_ij (sigma_j - r_j), a change D of
the couplings costs about tr(V D C D)/2, where C is the covariance of the units and V the diagonal
matrix of their mean conditional variances; the Newton step of that is a Lyapunov equation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from spinnet.errors import ConvergenceError
from spinnet.tails.nulls.pairwise.exact import boundary_error, pack, unpack
from spinnet.tails.nulls.raster import Bits, Floats, Raster

_GRADIENT = 1e-7  # in units of a moment's standard deviation: far below sampling noise
_ACCEPTED = 1e-5
_SETTLED = 0.01  # last change of a coupling
_PATIENCE = 6
_MAX_STEPS = 500
_MEMORY = 12
_LARGEST = 60.0
_ROWS = 1 << 19  # entries of a block: it stays in the cache


class Patterns(NamedTuple):
    """Distinct rows, and the share of the inputs that each has."""

    bits: Bits
    share: Floats
    n_units: int


def distinct(data: Raster, units: NDArray[np.int64]) -> Patterns:
    """Return the distinct patterns of some units."""
    bits = np.concatenate([np.packbits(block[:, units], axis=1) for block in data.blocks()])
    bits = np.ascontiguousarray(bits)
    keys = bits.view(np.dtype((np.void, bits.shape[1])))[:, 0]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return Patterns(bits[first], counts / data.n_inputs, units.size)


class _Point(NamedTuple):
    """Parameters (h', J above the diagonal), and what the data say of them."""

    theta: Floats
    value: float
    gradient: Floats
    variance: Floats


def solve(
    patterns: Patterns, rates: Floats, joint: Floats, regularisation: float
) -> tuple[Floats, Floats, float]:
    """Return (fields, couplings, largest component of the gradient per input)."""
    n = rates.size
    # pairs never active together have no spread of their own
    second = pack(rates, np.maximum(joint, np.outer(rates, rates)))
    deviation = np.sqrt(second * (1.0 - second))
    covariance = joint - np.outer(rates, rates)

    def evaluate(theta: Floats) -> _Point:
        return _evaluate(patterns, rates, theta, regularisation)

    point = evaluate(np.concatenate([logit(rates), np.zeros(second.size - n)]))
    steps: list[tuple[Floats, Floats]] = []
    moved, running_away = 0.0, 0
    for _ in range(_MAX_STEPS):
        if np.abs(point.gradient / deviation).max() <= _GRADIENT:
            if moved <= _SETTLED:
                break
            running_away += 1
        # a unit that others predict without error: no gradient is left, yet steps stay long
        if running_away > _PATIENCE or np.abs(point.theta).max() > _LARGEST:
            raise boundary_error(point.theta, n)
        inverse = _Inverse(point.variance, covariance, regularisation)
        direction = -_two_loops(point.gradient, steps, inverse)
        new = _line_search(evaluate, point, direction)
        if new is None:
            break
        steps = [*steps[1 - _MEMORY :], (new.theta - point.theta, new.gradient - point.gradient)]
        point, moved = new, float(np.abs(steps[-1][0]).max())
    error = float(np.abs(point.gradient / deviation).max())
    shifted, couplings = unpack(point.theta, n)
    fields = shifted - couplings @ rates
    if error > _ACCEPTED:
        raise ConvergenceError(
            f"the pseudo-likelihood did not converge (gradient {error:.2g}); pass regularisation",
            solution=(fields, couplings),
        )
    return fields, couplings, float(np.abs(point.gradient).max())


def _evaluate(patterns: Patterns, rates: Floats, theta: Floats, regularisation: float) -> _Point:
    """Evaluate minus the log pseudo-likelihood per input, with its penalty and gradient."""
    from spinnet.tails.nulls.kernels import conditional_terms

    n = rates.size
    shifted, couplings = unpack(theta, n)
    fields = shifted - couplings @ rates
    value = 0.5 * regularisation * float(theta[n:] @ theta[n:])
    variance, by_field, by_coupling = np.zeros(n), np.zeros(n), np.zeros((n, n))
    step = max(1, _ROWS // n)
    for start in range(0, len(patterns.bits), step):
        rows = np.unpackbits(patterns.bits[start : start + step], axis=1, count=n)
        x = rows.astype(np.float64)
        local = x @ couplings + fields
        value += conditional_terms(local, rows, patterns.share[start : start + step], variance)
        excess = local
        by_field += excess.sum(axis=0)
        by_coupling += x.T @ excess
    by_coupling -= np.outer(rates, by_field)
    gradient = pack(by_field, by_coupling + by_coupling.T)
    gradient[n:] += regularisation * theta[n:]
    return _Point(theta, value, gradient, variance)


class _Inverse:
    """Approximate inverse Hessian: V D C + C D V = G solved for D, by the eigenvectors of C."""

    def __init__(self, variance: Floats, covariance: Floats, regularisation: float) -> None:
        v = np.maximum(variance, 1e-12)
        # the penalty acts on D alone; as V D (l/2V) + (l/2V) D V it does so for equal V
        ridge = regularisation / (2.0 * float(v.mean())) + 1e-9 * float(np.diag(covariance).mean())
        self._root = np.sqrt(v)
        scale = np.outer(self._root, self._root)
        self._values, self._vectors = np.linalg.eigh((covariance + ridge * np.eye(v.size)) / scale)
        self._values = np.maximum(self._values, 1e-9 * self._values[-1])

    def __call__(self, gradient: Floats) -> Floats:
        n = self._root.size
        by_field, g = unpack(gradient, n)
        scale = np.outer(self._root, self._root)
        rotated = self._vectors.T @ (g / scale) @ self._vectors
        rotated /= self._values[:, None] + self._values
        return pack(by_field / self._root**2, self._vectors @ rotated @ self._vectors.T / scale)


def _two_loops(gradient: Floats, steps: list[tuple[Floats, Floats]], inverse: _Inverse) -> Floats:
    """Return the L-BFGS inverse Hessian times the gradient."""
    q = gradient.copy()
    weights = []
    for s, y in reversed(steps):
        weights.append(float(s @ q) / float(s @ y))
        q -= weights[-1] * y
    q = inverse(q)
    for (s, y), weight in zip(steps, reversed(weights), strict=True):
        q += (weight - float(y @ q) / float(s @ y)) * s
    return q


def _line_search(
    evaluate: Callable[[Floats], _Point], point: _Point, direction: Floats
) -> _Point | None:
    """Halve the step until the value falls; None where only rounding is left."""
    slope = float(point.gradient @ direction)
    size = 1.0
    rounding = 1e-15 * abs(point.value)
    while size > 1e-8:
        new = evaluate(point.theta + size * direction)
        step = new.theta - point.theta
        falls = new.value <= point.value + 1e-4 * size * slope + rounding
        if falls and float(step @ (new.gradient - point.gradient)) > 0.0:
            return new
        size /= 2.0
    return None
