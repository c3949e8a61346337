"""Transition matrix of the auxiliary-field update, by quadrature over the fields."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.spins.models import CurieWeiss, SpinModel
from spinnet.spins.models.low_rank import LowRank

Array = NDArray[np.float64]
_MOST_FIELDS = 3
_WIDTH, _STEP = 8.5, 0.25  # standard deviations; e^(-8.5^2/2) is 2e-16


def auxiliary_field_sweep(model: SpinModel, beta: float, states: NDArray[np.int8]) -> Array:
    r"""Return the matrix of one sweep.

    .. math:: P(s, s') = \int Dz \prod_i \frac{1}{1 + e^{-2 \beta s'_i g_i}}, \qquad
              g_i = h_i + \sum_p f_{ip} \Big(\sum_j f_{jp} s_j + z_p/\sqrt\beta\Big)

    by the trapezoidal rule, which for an analytic integrand under a Gaussian converges faster
    than any power of the step.
    """
    factors = _factors(model)
    rank = factors.shape[1]
    if rank > _MOST_FIELDS:
        raise InputError(f"model must have at most {_MOST_FIELDS} auxiliary fields, got {rank}")
    axis = np.arange(-_WIDTH, _WIDTH + _STEP / 2, _STEP)
    z = np.array(list(itertools.product(axis, repeat=rank)))
    weight = np.exp(-0.5 * (z**2).sum(axis=1))
    weight /= weight.sum()
    up = states > 0
    P = np.empty((len(states), len(states)))
    for row, s in enumerate(states):
        shifted = beta * (factors.T @ s) + np.sqrt(beta) * z
        p_up = expit(2 * (beta * model.fields + shifted @ factors.T))
        for column, target in enumerate(up):
            P[row, column] = weight @ np.where(target, p_up, 1 - p_up).prod(axis=1)
    return P


def _factors(model: SpinModel) -> Array:
    if isinstance(model, LowRank):
        return np.asarray(model.factors)
    if isinstance(model, CurieWeiss) and model.J >= 0:
        return np.full((model.n_spins, 1), np.sqrt(model.J / model.n_spins))
    raise InputError(f"model must be a LowRank or a CurieWeiss with J >= 0, got {model!r:.80}")
