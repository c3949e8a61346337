r"""Maximum likelihood of stable laws, in S0, which is continuous at stable_alpha = 1.

The four parameters are free of bounds: u with stable_alpha = 2 / (1 + exp(-u)), w with
beta = sin w, the logarithm of the scale, and the location.  A maximum at beta = +-1 is an
ordinary one in w; a maximum at stable_alpha = 2 is a normal law, for which there is a closed form.
The quasi-Newton iteration starts from the outer product of the scores (Berndt, Hall, Hall and
Hausman, Ann. Econ. Soc. Meas. 3, 653 (1974)).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError
from spinnet.tails.stable.fit_density import Law, neighbouring
from spinnet.tails.stable.fit_sample import Sample

Floats = NDArray[np.float64]

SMALLEST_ALPHA = 0.1
NEAREST_TWO = 1e-7  # 2 - stable_alpha of the last law that is not normal
_LOW_U = math.log(SMALLEST_ALPHA / (2.0 - SMALLEST_ALPHA))
_HIGH_U = math.log((2.0 - NEAREST_TWO) / NEAREST_TWO)
_STEP = 1e-4  # of the differences, relative to the distance from a bound
_GRADIENT = 1e-8
_MAX_ITERATIONS = 200


class Standardised(NamedTuple):
    """Parameters of a law in S0."""

    stable_alpha: float
    beta: float
    scale: float
    loc: float

    @property
    def law(self) -> Law:
        """Stable_alpha and beta."""
        return self.stable_alpha, self.beta


def to_free(law: Standardised, symmetric: bool) -> Floats:
    """Return the unbounded parameters (u, log scale, loc) and, unless `symmetric`, w."""
    alpha = min(max(law.stable_alpha, SMALLEST_ALPHA), 2.0 - NEAREST_TWO)
    free = [math.log(alpha / (2.0 - alpha)), math.log(law.scale), law.loc]
    return np.array(free if symmetric else [*free, math.asin(law.beta)])


def from_free(free: Floats, beta: float | None) -> Standardised:
    """Return the law of unbounded parameters; `beta` where it is fixed."""
    u = min(max(float(free[0]), _LOW_U), _HIGH_U)
    alpha = 2.0 / (1.0 + math.exp(-u))
    skew = math.sin(float(free[3])) if beta is None else beta
    return Standardised(alpha, skew, math.exp(min(float(free[1]), 690.0)), float(free[2]))


def neighbours(law: Law, step: float = _STEP) -> tuple[list[Law], float, list[Law], float]:
    """Return the two laws beside one in stable_alpha, their distance, and so for beta."""
    alpha, beta = law
    h = step * min(alpha, 2.0 - alpha)
    below, above = alpha - h, alpha + h
    left, right = max(beta - step, -1.0), min(beta + step, 1.0)
    return (
        [(below, beta), (above, beta)],
        above - below,
        [(alpha, left), (alpha, right)],
        right - left,
    )


def scores(law: Standardised, points: Floats, skewed: bool) -> tuple[Floats, Floats]:
    """Return the log-density and its gradient in (stable_alpha, scale, loc[, beta]), in S0."""
    z = (points - law.loc) / law.scale
    in_alpha, width, in_beta, span = neighbours(law.law)
    others = in_alpha + (in_beta if skewed else [])
    values, slope, rest = neighbouring(law.law, others, z)
    columns = [(rest[1] - rest[0]) / width, -(1.0 + z * slope) / law.scale, -slope / law.scale]
    if skewed:
        columns.append((rest[3] - rest[2]) / span)
    return values - math.log(law.scale), np.stack(columns, axis=1)


class Objective:
    """Minus the log-likelihood per observation, with gradient, of unbounded parameters."""

    def __init__(self, sample: Sample, beta: float | None) -> None:
        self.sample, self.beta = sample, beta
        self.evaluations = 0

    def scores(self, free: Floats) -> tuple[Floats, Floats]:
        """Return the log-density at the points, and its gradient in the unbounded parameters."""
        law = from_free(free, self.beta)
        values, gradient = scores(law, self.sample.points, self.beta is None)
        inside = _LOW_U < free[0] < _HIGH_U
        gradient[:, 0] *= 0.5 * law.stable_alpha * (2.0 - law.stable_alpha) if inside else 0.0
        gradient[:, 1] *= law.scale
        if self.beta is None:
            gradient[:, 3] *= math.cos(float(free[3]))
        return values, gradient

    def __call__(self, free: Floats) -> tuple[float, Floats]:
        """Return value and gradient."""
        self.evaluations += 1
        values, gradient = self.scores(free)
        share = self.sample.weights / self.sample.n
        return -float(share @ values), -(share @ gradient)

    def inverse_information(self, free: Floats) -> Floats:
        """Return the inverse of the mean outer product of the scores, made positive definite."""
        _, gradient = self.scores(free)
        share = self.sample.weights / self.sample.n
        product = (gradient * share[:, None]).T @ gradient
        sizes, axes = np.linalg.eigh(product)
        sizes = np.maximum(sizes, max(1e-4 * float(sizes[-1]), 1e-12))
        inverse = (axes / sizes) @ axes.T
        return np.asarray(0.5 * (inverse + inverse.T))


def maximise(sample: Sample, start: Standardised, beta: float | None) -> tuple[Standardised, float]:
    """Return the law of largest likelihood near `start`, and its log-likelihood."""
    from scipy.optimize import minimize

    objective = Objective(sample, beta)
    free = to_free(start, beta is not None)
    for _ in range(3):  # a line search can stop early far from the optimum
        found = minimize(
            objective,
            free,
            jac=True,
            method="BFGS",
            options={
                "hess_inv0": objective.inverse_information(free),
                "gtol": _GRADIENT,
                "maxiter": _MAX_ITERATIONS,
            },
        )
        free = np.asarray(found.x, dtype=np.float64)
        step = objective.inverse_information(free) @ found.jac
        # the part of a standard error that is missing, squared
        missing = float(found.jac @ step) * sample.n
        if found.success or missing < 1e-6:
            break
    law = from_free(free, beta)
    if missing > 1e-2:
        raise ConvergenceError(
            f"the likelihood of the stable law has no maximum after {found.nit} steps "
            f"({missing:.2g} standard errors squared away); try method='mcculloch'",
            solution=law,
        )
    return law, -float(found.fun) * sample.n


def gaussian(sample: Sample) -> tuple[Standardised, float]:
    """Return the normal law of largest likelihood as a stable law, and its log-likelihood."""
    n = sample.n
    mean = sample.total(sample.points) / n
    variance = sample.total((sample.points - mean) ** 2) / n
    log_likelihood = -0.5 * n * (math.log(2.0 * math.pi * variance) + 1.0)
    return Standardised(2.0, 0.0, math.sqrt(0.5 * variance), mean), log_likelihood
