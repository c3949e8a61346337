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

SMALLEST_ALPHA = 0.2
NEAREST_TWO = 1e-7  # 2 - stable_alpha of the last law that is not normal
NEAREST_ONE = 1e-7  # a |beta| nearer to 1 is 1
_LOW_U = math.log(SMALLEST_ALPHA / (2.0 - SMALLEST_ALPHA))
_HIGH_U = math.log((2.0 - NEAREST_TWO) / NEAREST_TWO)
_POLE_ALPHA = 0.8  # start below: the search is in the location of S1
_POLE_U = math.log(0.95 / 1.05)  # and stays below stable_alpha = 0.95
_ATTEMPTS = 2
_STEP = 1e-4  # of the differences, relative to the distance from a bound
_TOLERANCE = 1e-8  # squared standard errors between the result and the maximum
_UNFINISHED = 1e-2  # beyond, in the same unit, the search has failed
_NOISE = 1e-13  # of the log-likelihood per observation
_MAX_ITERATIONS = 60
_MAX_EVALUATIONS = 100  # of an attempt: the search ends in seconds, whatever the sample
_RENEWAL = 12  # steps between estimates of the Hessian from the scores
_LONGEST_STEP = 0.7
_HALVINGS = 12
_ARMIJO = 1e-4


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
    """Return the law in S0 of unbounded parameters; `beta` where it is fixed."""
    u = min(max(float(free[0]), _LOW_U), _HIGH_U)
    alpha = 2.0 / (1.0 + math.exp(-u))
    skew = math.sin(float(free[3])) if beta is None else beta
    if beta is None and 1.0 - abs(skew) < NEAREST_ONE:
        skew = math.copysign(1.0, skew)
    return Standardised(alpha, skew, math.exp(min(float(free[1]), 690.0)), float(free[2]))


def neighbours(law: Law, step: float = _STEP) -> tuple[list[Law], float, list[Law], float]:
    """Return the two laws beside one in stable_alpha, their distance, and so for beta."""
    alpha, beta = law
    h = step * min(alpha, 2.0 - alpha)
    below, above = alpha - h, alpha + h
    # near a bound the light tail varies with the distance from it
    g = min(step, 0.2 * max(1.0 - abs(beta), NEAREST_ONE))
    left, right = max(beta - g, -1.0), min(beta + g, 1.0)
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
    """Minus the log-likelihood per observation, with gradient, of unbounded parameters.

    The location is that of S0, or with `pole` that of S1: at small stable_alpha the density has
    a narrow peak there, and a search in S0 has to follow a curved valley.
    """

    def __init__(self, sample: Sample, beta: float | None, pole: bool = False) -> None:
        self.sample, self.beta, self.pole = sample, beta, pole
        self.evaluations = 0

    def free(self, law: Standardised) -> Floats:
        """Return the unbounded parameters of a law in S0."""
        free = to_free(law, self.beta is not None)
        if self.pole:
            free[2] -= _shift(from_free(free, self.beta))
        return free

    def law(self, free: Floats) -> Standardised:
        """Return the law in S0 of unbounded parameters."""
        if not self.pole:
            return from_free(free, self.beta)
        law = from_free(np.minimum(free, [_POLE_U, *[math.inf] * (free.size - 1)]), self.beta)
        return law._replace(loc=law.loc + _shift(law))

    def scores(self, free: Floats) -> tuple[Floats, Floats]:
        """Return the log-density at the points, and its gradient in the unbounded parameters."""
        law = self.law(free)
        values, gradient = scores(law, self.sample.points, self.beta is None)
        if self.pole:
            alpha, beta, scale, _ = law
            tangent = math.tan(0.5 * math.pi * alpha)
            gradient[:, 0] += gradient[:, 2] * beta * scale * 0.5 * math.pi * (1.0 + tangent**2)
            gradient[:, 1] += gradient[:, 2] * beta * tangent
            if self.beta is None:
                gradient[:, 3] += gradient[:, 2] * scale * tangent
        inside = _LOW_U < free[0] < (_POLE_U if self.pole else _HIGH_U)
        gradient[:, 0] *= 0.5 * law.stable_alpha * (2.0 - law.stable_alpha) if inside else 0.0
        gradient[:, 1] *= law.scale
        if self.beta is None:
            gradient[:, 3] *= math.cos(float(free[3])) if abs(law.beta) < 1.0 else 0.0
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
        # in units of each score's size: at small stable_alpha that of the location is 1e4 times
        # the others
        unit = np.sqrt(np.maximum(np.diag(product), 1e-4))
        sizes, axes = np.linalg.eigh(product / np.outer(unit, unit))
        inverse = (axes / np.maximum(sizes, 1e-3)) @ axes.T / np.outer(unit, unit)
        return np.asarray(0.5 * (inverse + inverse.T))


def _shift(law: Standardised) -> float:
    """Return the location in S0 less that in S1."""
    return law.beta * law.scale * math.tan(0.5 * math.pi * law.stable_alpha)


def maximise(sample: Sample, start: Standardised, beta: float | None) -> tuple[Standardised, float]:
    """Return the law of largest likelihood near `start`, and its log-likelihood.

    Raises
    ------
    ConvergenceError
        If the gradient stays larger than its noise allows; its solution is the best law met.
    """
    law, pole = start, start.stable_alpha < _POLE_ALPHA
    for _ in range(_ATTEMPTS):
        law, value, remaining = _search(Objective(sample, beta, pole), law)
        if remaining <= max(_UNFINISHED / sample.n, 1e3 * _NOISE):
            return law, -value * sample.n
        pole = not pole and law.stable_alpha < _POLE_ALPHA
    raise ConvergenceError(
        f"the search for the largest likelihood of the stable law stopped "
        f"{math.sqrt(remaining * sample.n):.2g} standard errors from where its gradient "
        "points; try method='mcculloch'",
        solution=law,
    )


def _search(objective: Objective, start: Standardised) -> tuple[Standardised, float, float]:
    """Return the law where the search ends, minus its mean log-likelihood, and the decrement."""
    sample = objective.sample
    state = _State.at(objective, objective.free(start))
    enough = max(_TOLERANCE / sample.n, _NOISE)
    fresh = True  # whether the inverse Hessian is that of the scores at this very point
    for step in range(1, _MAX_ITERATIONS + 1):
        if state.decrement <= enough or objective.evaluations >= _MAX_EVALUATIONS:
            break
        moved = _line_search(objective, state)
        if moved is None and fresh:
            break
        # updates that began far away can be worse than none
        fresh = moved is None or step % _RENEWAL == 0
        state = moved or state
        if fresh:
            state = state._replace(inverse=objective.inverse_information(state.free))
    return objective.law(state.free), state.value, state.decrement


class _State(NamedTuple):
    """A point of the search, and the inverse of its approximate Hessian."""

    free: Floats
    value: float
    gradient: Floats
    inverse: Floats

    @classmethod
    def at(cls, objective: Objective, free: Floats) -> _State:
        value, gradient = objective(free)
        return cls(free, value, gradient, objective.inverse_information(free))

    @property
    def decrement(self) -> float:
        """Newton's decrement: distance to the maximum in standard errors squared, over n."""
        return float(self.gradient @ self.inverse @ self.gradient)


def _line_search(objective: Objective, state: _State) -> _State | None:
    """Return the next point with the inverse Hessian updated, or None if no step descends."""
    step = -state.inverse @ state.gradient
    step *= min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
    slope = float(state.gradient @ step)
    for _ in range(_HALVINGS):
        value, gradient = objective(state.free + step)
        if value <= state.value + _ARMIJO * slope:
            inverse = _updated(state.inverse, step, gradient - state.gradient)
            return _State(state.free + step, value, gradient, inverse)
        step, slope = 0.5 * step, 0.5 * slope
    return None


def _updated(inverse: Floats, step: Floats, change: Floats) -> Floats:
    """Return the inverse Hessian after the update of Broyden, Fletcher, Goldfarb and Shanno."""
    product = float(step @ change)
    if product <= 1e-3 * float(change @ inverse @ change):  # not convex along the step
        return inverse
    left = np.eye(step.size) - np.outer(step, change) / product
    return np.asarray(left @ inverse @ left.T + np.outer(step, step) / product)


def gaussian(sample: Sample) -> tuple[Standardised, float]:
    """Return the normal law of largest likelihood as a stable law, and its log-likelihood."""
    n = sample.n
    mean = sample.total(sample.points) / n
    variance = sample.total((sample.points - mean) ** 2) / n
    log_likelihood = -0.5 * n * (math.log(2.0 * math.pi * variance) + 1.0)
    return Standardised(2.0, 0.0, math.sqrt(0.5 * variance), mean), log_likelihood
