r"""Stable laws from five quantiles: McCulloch, Commun. Statist. Simula. 15, 1109 (1986).

The two shape functions

.. math:: \nu_\alpha = \frac{q_{.95} - q_{.05}}{q_{.75} - q_{.25}},\qquad
          \nu_\beta = \frac{q_{.95} + q_{.05} - 2 q_{.5}}{q_{.95} - q_{.05}}

are inverted by root finding on exact quantiles, not by his printed tables, whose interpolation
biases stable_alpha by about 0.01 whatever the sample size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import StatisticsError
from spinnet.tails.stable.fit_density import Law, log_density, log_functions
from spinnet.tails.stable.fit_likelihood import SMALLEST_ALPHA, Standardised

Floats = NDArray[np.float64]

PROBABILITIES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
_LARGEST_START = 1.999


def quantiles(law: Law, probabilities: Floats) -> Floats:
    """Return quantiles of a standard law in S0, by bracketing in asinh(z)."""
    from scipy.optimize.elementwise import find_root

    def excess(y: Floats, p: Floats) -> Floats:
        _, below, above = log_functions(law, np.sinh(y))
        return np.asarray(below - above - np.log(p) + np.log1p(-p))  # nearly straight

    reach = 30.0 + 25.0 / law[0]
    p = np.asarray(probabilities, dtype=np.float64)
    bounds = np.full_like(p, -reach), np.full_like(p, reach)
    found = find_root(excess, bounds, args=(p,), tolerances={"xatol": 1e-13, "xrtol": 1e-13})
    return np.asarray(np.sinh(found.x))


def shape(q: Floats) -> Floats:
    """Return (nu_alpha, nu_beta) of the five quantiles."""
    return np.array(
        [(q[4] - q[0]) / max(q[3] - q[1], 1e-300), (q[4] + q[0] - 2.0 * q[2]) / (q[4] - q[0])]
    )


def sample_quantiles(values: Floats) -> Floats:
    """Return the five quantiles of sorted data."""
    return np.asarray(np.quantile(values, PROBABILITIES, method="hazen"))


def match(q: Floats, beta: float | None, tolerance: float = 1e-9) -> Standardised:
    """Return the law in S0 whose five quantiles have the shape, width and middle of `q`."""
    from scipy.optimize import least_squares

    if q[4] == q[0]:
        raise StatisticsError(
            "nine tenths of the values of x are equal: they have no stable law, nor another one "
            "with a density"
        )
    target = shape(q)
    if target[0] <= shape(quantiles((2.0, 0.0), PROBABILITIES))[0]:
        alpha, skew = 2.0, 0.0 if beta is None else beta
    else:
        # log nu_alpha is nearly straight in 1/alpha
        start = [min(max(1.9 / (0.1 + math.log(target[0])), 0.4), 1.95)]
        low, high = [SMALLEST_ALPHA + 0.02], [_LARGEST_START]
        if beta is None:
            start, low, high = (
                [*start, min(max(2.0 * target[1], -0.9), 0.9)],
                [*low, -1.0],
                [*high, 1.0],
            )

        def mismatch(parameters: Floats) -> Floats:
            law = float(parameters[0]), float(parameters[1]) if beta is None else beta
            nu = shape(quantiles(law, PROBABILITIES))
            gap = np.array([math.log(nu[0] / target[0]), nu[1] - target[1]])
            return gap if beta is None else gap[:1]

        found = least_squares(
            mismatch,
            start,
            bounds=(low, high),
            xtol=tolerance,
            ftol=tolerance**1.5,
            gtol=tolerance**1.5,
            diff_step=[1e-5],
        )
        alpha = float(found.x[0])
        skew = float(found.x[1]) if beta is None else beta
    own = quantiles((alpha, skew), PROBABILITIES)
    scale = float((q[3] - q[1]) / (own[3] - own[1]))
    if not scale > 0.0:  # more than half of the data are equal
        scale = float((q[4] - q[0]) / (own[4] - own[0]))
    return Standardised(alpha, skew, scale, float(q[2] - scale * own[2]))


def covariance(law: Standardised, fixed: tuple[str, ...]) -> Floats:
    """Return n times the asymptotic covariance of (stable_alpha, beta, scale, loc), in S0.

    By the delta method from that of the sample quantiles, p_i (1 - p_j) / (f_i f_j).
    """
    from spinnet.tails.stable.information import NAMES

    free = [k for k, name in enumerate(NAMES) if name not in fixed]
    rows = [k for k, name in enumerate(NAMES) if name not in fixed]
    base = np.array([law.stable_alpha, law.beta, law.scale, law.loc])

    def model(parameters: Floats) -> Floats:
        q = quantiles((float(parameters[0]), float(parameters[1])), PROBABILITIES)
        return _functionals(parameters[2] * q + parameters[3])

    own = quantiles(law.law, PROBABILITIES)
    density = np.exp(log_density(law.law, own)) / law.scale
    p = PROBABILITIES
    joint = (np.minimum.outer(p, p) - np.outer(p, p)) / np.outer(density, density)
    q = law.scale * own + law.loc
    steps = 1e-5 * np.array([1.0, 1.0, law.scale, law.scale])
    steps[0] = min(steps[0], 0.1 * (2.0 - law.stable_alpha))
    steps[1] = min(steps[1], max(1.0 - abs(law.beta), 1e-12))
    slopes = np.stack(
        [
            (model(base + steps[k] * np.eye(4)[k]) - model(base - steps[k] * np.eye(4)[k]))
            / (2.0 * steps[k])
            for k in free
        ],
        axis=1,
    )[rows]
    h = 1e-6 * law.scale
    response = np.stack(
        [(_functionals(q + h * e) - _functionals(q - h * e)) / (2.0 * h) for e in np.eye(5)], axis=1
    )[rows]
    jacobian = np.linalg.solve(slopes, response)
    result = np.full((4, 4), math.nan)
    result[np.ix_(free, free)] = jacobian @ joint @ jacobian.T
    return result


def _functionals(q: Floats) -> Floats:
    nu = shape(q)
    return np.array([math.log(nu[0]), nu[1], q[3] - q[1], q[2]])
