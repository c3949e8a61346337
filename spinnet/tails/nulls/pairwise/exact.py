r"""Pairwise maximum entropy by enumeration: all 2^n states of n <= 20 units.

.. math:: p(\sigma) = \exp\Big(\sum_i h_i \sigma_i + \sum_{i<j} J_{ij} \sigma_i \sigma_j\Big) / Z

The parameters minimise the convex log Z - h.<sigma> - J.<sigma sigma> by Newton's method.  Its
Hessian needs the moments of up to four units; one pass of sums over supersets (n 2^n additions)
gives the moments of every set of units.  State s has unit i active where bit i of s is set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from spinnet.errors import ConvergenceError, StatisticsError

Floats = NDArray[np.float64]

MAX_UNITS = 20
_MAX_STEPS = 200
_STEP = 1e-9  # Newton's method squares the error, so that rounding is left after such a step
_ADRIFT, _MET = 0.1, 1e-12
_LARGEST = 60.0  # e^60 is beyond any number of inputs: the parameters are on their way to infinity


class Enumerated(NamedTuple):
    """The distribution at some parameters.

    Attributes
    ----------
    log_z : float
    probability : ndarray, shape (2^n,)
    """

    log_z: float
    probability: Floats


class Solution(NamedTuple):
    """Fitted parameters.

    Attributes
    ----------
    fields : ndarray, shape (n,)
    couplings : ndarray, shape (n, n)
        Symmetric, zero on the diagonal.
    moment_error : float
        Largest difference of a rate or joint rate from the one given.
    residual : float
        Largest component of the gradient; equal to `moment_error` without regularisation.
    """

    fields: Floats
    couplings: Floats
    moment_error: float
    residual: float


def enumerate_states(fields: Floats, couplings: Floats) -> Enumerated:
    """Return log Z and the probabilities of all states."""
    log_p = log_weights(fields, couplings)
    top = float(log_p.max())
    np.exp(log_p - top, out=log_p)
    total = float(log_p.sum())
    log_p /= total
    return Enumerated(top + float(np.log(total)), log_p)


def log_weights(fields: Floats, couplings: Floats) -> Floats:
    """Return h.sigma + sum of J sigma sigma of all states, adding one unit after another."""
    n = fields.size
    out = np.zeros(1 << n)
    local = np.empty(1 << max(n - 1, 0))  # h_i + sum_{j < i} J_ij sigma_j
    for i in range(n):
        local[0] = fields[i]
        for j in range(i):
            np.add(local[: 1 << j], couplings[i, j], out=local[1 << j : 2 << j])
        np.add(out[: 1 << i], local[: 1 << i], out=out[1 << i : 2 << i])
    return out


def superset_sums(probability: Floats) -> Floats:
    """Return the probability that all units of a set are active, for every set."""
    out = probability.copy()
    step = 1
    while step < out.size:
        pair = out.reshape(-1, 2, step)
        pair[:, 0] += pair[:, 1]
        step *= 2
    return out


def features(n: int) -> NDArray[np.int64]:
    """Return the sets of one unit, then those of two, as bits."""
    i, j = np.triu_indices(n, 1)
    return np.concatenate([1 << np.arange(n), (1 << i) | (1 << j)]).astype(np.int64)


def pack(fields: Floats, couplings: Floats) -> Floats:
    """Return fields and couplings above the diagonal as one vector, in the order of `features`."""
    return np.concatenate([fields, couplings[np.triu_indices(fields.size, 1)]])


def unpack(theta: Floats, n: int) -> tuple[Floats, Floats]:
    """Return (fields, symmetric couplings)."""
    couplings = np.zeros((n, n))
    couplings[np.triu_indices(n, 1)] = theta[n:]
    return theta[:n].copy(), couplings + couplings.T


def solve(rates: Floats, joint: Floats, regularisation: float) -> Solution:
    """Find the parameters with the given moments.

    Parameters
    ----------
    rates : ndarray, shape (n,)
        Within (0, 1).
    joint : ndarray, shape (n, n)
        Probabilities that both units are active.
    regularisation : float
        Weight of half the sum of the squared couplings; the rates are then met, and the joint
        rates fall short by regularisation times J.

    Raises
    ------
    StatisticsError
        If the parameters run away: the moments lie on the boundary of what is possible.
    ConvergenceError
        After 200 steps.
    """
    n = rates.size
    target = pack(rates, joint)
    sets = features(n)
    penalty = np.where(np.arange(sets.size) < n, 0.0, regularisation)
    theta = np.where(np.arange(sets.size) < n, logit(target), 0.0)
    state = enumerate_states(*unpack(theta, n))
    value = _objective(state.log_z, theta, target, penalty)
    for _ in range(_MAX_STEPS):
        moments = superset_sums(state.probability)
        gradient = moments[sets] - target + penalty * theta
        hessian = moments[sets[:, None] | sets] - np.outer(moments[sets], moments[sets])
        step = _newton_step(hessian, gradient, penalty)
        theta, state, value = _line_search(theta, step, gradient, value, target, penalty)
        longest = float(np.abs(step).max())
        # the moments are met, yet steps stay long: there is no end to them
        adrift = longest > _ADRIFT and float(np.abs(gradient).max()) < _MET
        if adrift or np.abs(theta).max() > _LARGEST:
            raise boundary_error(theta, n)
        if longest <= _STEP:
            break
    else:
        error = float(np.abs(gradient).max())
        raise ConvergenceError(
            f"pairwise maximum entropy did not converge in {_MAX_STEPS} steps (moment error "
            f"{error:.2g}): the moments may lie near the boundary of what is possible; pass "
            "regularisation",
            solution=theta,
        )
    difference = superset_sums(state.probability)[sets] - target
    residual = float(np.abs(difference + penalty * theta).max())
    return Solution(*unpack(theta, n), float(np.abs(difference).max()), residual)


def boundary_error(theta: Floats, n: int) -> StatisticsError:
    """Return the error that names the parameters that run away."""
    i, j = np.triu_indices(n, 1)
    worst = int(np.argmax(np.abs(theta[n:])))
    return StatisticsError(
        f"the couplings grow without bound (that of varying units {int(i[worst])} and "
        f"{int(j[worst])} is at {theta[n + worst]:.3g}): the moments lie on the boundary of what "
        "binary units can have, some patterns of a few units being excluded; pass regularisation, "
        "leave units out, or take more inputs",
        estimate=unpack(theta, n),
    )


def _objective(log_z: float, theta: Floats, target: Floats, penalty: Floats) -> float:
    return log_z - float(theta @ target) + 0.5 * float(penalty @ theta**2)


def _newton_step(hessian: Floats, gradient: Floats, penalty: Floats) -> Floats:
    """Return the Newton step, with each parameter in units of its moment's deviation."""
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    matrix = hessian / np.outer(scale, scale) + np.diag(penalty / scale**2)
    # rounding of the moments, below which curvatures mean nothing
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values, 1e-14 * values[-1])
    return np.asarray(-(vectors @ ((vectors.T @ (gradient / scale)) / values)) / scale)


def _line_search(
    theta: Floats,
    step: Floats,
    gradient: Floats,
    value: float,
    target: Floats,
    penalty: Floats,
) -> tuple[Floats, Enumerated, float]:
    """Shorten the step until the objective falls; near the minimum it is flat to rounding."""
    n = int((np.sqrt(8 * theta.size + 1) - 1) / 2)
    size = min(1.0, 10.0 / max(float(np.abs(step).max()), 1e-300))
    slope = float(gradient @ step)
    rounding = 1e-13 * (1.0 + abs(value))
    while True:
        trial = theta + size * step
        state = enumerate_states(*unpack(trial, n))
        new = _objective(state.log_z, trial, target, penalty)
        if new <= value + 1e-4 * size * slope + rounding or size < 1e-10:
            return trial, state, new
        size /= 2.0
