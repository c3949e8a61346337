"""The explicit transition matrix of one sweep of a small system."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.spins.models import NetworkDual, SpinModel
from spinnet.spins.montecarlo.chains.block import two_layers
from spinnet.spins.montecarlo.choice import check_update
from spinnet.spins.montecarlo.transition_auxiliary import auxiliary_field_sweep
from spinnet.spins.montecarlo.transition_clusters import (
    in_gauge,
    swendsen_wang_step,
    wolff_step,
)
from spinnet.spins.montecarlo.updates import (
    AuxiliaryField,
    BlockGibbs,
    Independent,
    Metropolis,
    SwendsenWang,
    Update,
    Wolff,
)
from spinnet.validation import integer, positive_float

Array = NDArray[np.float64]
_MAX_SPINS = 10


def transition_matrix(
    model: SpinModel, beta: float, update: Update, sweep: int = 1
) -> tuple[NDArray[np.int8], Array]:
    """Return all states and the matrix P[s, s'] of one sweep from s to s'.

    Parameters
    ----------
    model : SpinModel
        At most 10 units; 8 for clusters.
    beta : float
    update : Update
        Of `Wolff` the step of one cluster, of which a sweep does a number that no state changes.
    sweep : int
        Which sweep, from 1: those of Metropolis differ (every `heat_bath_every`-th is a heat
        bath).  Of `AuxiliaryField` a multiple of `heat_bath_every`.

    Returns
    -------
    states : ndarray of int8, shape (2^N, N)
    P : ndarray, shape (2^N, 2^N)
        Rows sum to 1.

    Raises
    ------
    InputError
        For an update that the model does not allow, a model too large, and a sweep that is no
        Markov chain of the spins alone: those of `AuxiliaryField` between two heat baths.
    """
    check_update(model, update)
    if model.n_spins > _MAX_SPINS:
        raise InputError(f"model must have n_spins <= {_MAX_SPINS}, got {model.n_spins}")
    if isinstance(model, NetworkDual) and model.kind == "marginal":
        raise InputError("model must not be of kind='marginal', whose sweep keeps both layers")
    beta = positive_float("beta", beta, zero=True)
    sweep = integer("sweep", sweep, minimum=1)
    n = model.n_spins
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    states = np.where(bits == 1, model.levels[1], model.levels[0]).astype(np.int8)
    if isinstance(update, BlockGibbs):
        return states, _block_sweep(model, beta, states)
    if isinstance(update, Independent):
        return states, independent_draw(model, beta, states)
    if isinstance(update, (SwendsenWang, Wolff)):
        step = swendsen_wang_step if isinstance(update, SwendsenWang) else wolff_step
        return states, in_gauge(model, step(model, beta, states))
    if isinstance(update, AuxiliaryField):
        if sweep % update.heat_bath_every:
            raise InputError(
                f"sweep must be a multiple of heat_bath_every={update.heat_bath_every}, got "
                f"{sweep}: the sweeps between depend on the auxiliary fields too"
            )
        return states, auxiliary_field_sweep(model, beta, states)
    metropolis = isinstance(update, Metropolis) and sweep % update.heat_bath_every != 0
    result = np.eye(1 << n)
    for i in range(n):
        result = result @ _single_spin(model, beta, states, i, metropolis)
    return states, result


def independent_draw(model: SpinModel, beta: float, states: NDArray[np.int8]) -> Array:
    """Return the matrix of a draw that forgets: every row is the Boltzmann distribution."""
    log_weight = -beta * model.energy(states)
    weight = np.exp(log_weight - log_weight.max())
    return np.tile(weight / weight.sum(), (len(states), 1))


def _single_spin(
    model: SpinModel, beta: float, states: NDArray[np.int8], i: int, metropolis: bool
) -> Array:
    low, high = model.levels
    up = states[:, i] == high
    cost = beta * (high - low) * np.where(up, 1, -1) * model.local_fields(states)[:, i]
    flip = np.exp(-np.maximum(cost, 0.0)) if metropolis else expit(-cost)
    index = np.arange(len(states))
    P = np.zeros((len(states), len(states)))
    P[index, index ^ (1 << i)] = flip
    P[index, index] = 1 - flip
    return P


def _block_sweep(model: SpinModel, beta: float, states: NDArray[np.int8]) -> Array:
    pair: Any = two_layers(model)
    low, high = model.levels
    result = np.eye(len(states))
    for layer in (slice(0, pair.n_a), slice(pair.n_a, pair.n_spins)):
        p_up = expit(beta * (high - low) * model.local_fields(states)[:, None, layer])
        target = states[None, :, layer]
        step = np.where(target == high, p_up, 1 - p_up).prod(axis=2)
        other = np.delete(states, np.r_[layer], axis=1)
        same = (other[:, None, :] == other[None, :, :]).all(axis=2)
        result = result @ np.where(same, step, 0.0)
    return result
