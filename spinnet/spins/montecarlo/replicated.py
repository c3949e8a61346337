"""Block Gibbs for a two-layer system whose units are copied k times, at a cost free of k.

In ``NetworkDual.replicated(k)`` the k copies of a unit feel the same field, so that their sum is
binomial: a sweep draws one number for each unit of the original, not for each copy.  Systems of
any size are then as cheap as the original, which finite-size scaling needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.randomness import RandomState, generator
from spinnet.spins.models import NetworkDual
from spinnet.validation import finite_array, integer, positive_array

Array = NDArray[np.float64]


def replicated_projections(
    dual: NetworkDual,
    copies: int,
    beta: ArrayLike,
    direction: ArrayLike,
    *,
    n_sweeps: int,
    n_burn_in: int,
    n_replicas: int = 32,
    rng: RandomState = None,
) -> Array:
    r"""Sample the replicated dual and return a = v.s after each sweep.

    Parameters
    ----------
    dual : NetworkDual
        Of kind "bipartite".
    copies : int
        k >= 1 copies of each unit; weights are divided by k.
    beta : array_like, shape (n_beta,)
        Inverse temperatures >= 0, sampled together.
    direction : array_like, shape (n_spins,)
        A vector on the units of the original.  v has its entries divided by sqrt(k) on each
        copy, so that |v| = |direction|.
    n_sweeps, n_burn_in, n_replicas : int
        As in :func:`spinnet.sample`.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    ndarray, shape (n_beta, n_replicas, n_sweeps)
    """
    k = integer("copies", copies, minimum=1)
    n_sweeps = integer("n_sweeps", n_sweeps, minimum=1)
    n_burn_in = integer("n_burn_in", n_burn_in, minimum=0)
    n_replicas = integer("n_replicas", n_replicas, minimum=1)
    if not isinstance(dual, NetworkDual) or dual.kind != "bipartite":
        raise InputError(f"dual must be a NetworkDual of kind 'bipartite', got {dual!r:.80}")
    inverse = np.atleast_1d(positive_array("beta", beta, zero=True))[:, None, None]
    v = finite_array("direction", direction, ndim=1)
    if len(v) != dual.n_spins:
        raise InputError(f"direction must have shape ({dual.n_spins},), got {v.shape}")
    pair = dual.as_bipartite()
    random = generator(rng)
    w = pair.weights / k
    v_a, v_b = v[: pair.n_a] / np.sqrt(k), v[pair.n_a :] / np.sqrt(k)

    def draw(field: Array) -> Array:
        """Return the sums of k copies of +-1 units in the given fields."""
        return np.asarray(2.0 * random.binomial(k, expit(2 * inverse * field)) - k)

    shape = (inverse.shape[0], n_replicas)
    b = draw(np.zeros((*shape, pair.n_b)))
    result = np.empty((*shape, n_sweeps))
    for t in range(-n_burn_in, n_sweeps):
        a = draw(b @ w.T + pair.bias_a)
        b = draw(a @ w + pair.bias_b)
        if t >= 0:
            result[..., t] = a @ v_a + b @ v_b
    return result
