"""Independent exact samples of the Curie-Weiss magnetisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinnet.randomness import RandomState, generator
from spinnet.spins.exact.curie_weiss import magnetization_weights
from spinnet.validation import bounded_float, integer, positive_float


def iid_curie_weiss(
    n_spins: int,
    beta: float,
    n_samples: int,
    *,
    J: float = 1.0,
    h: float = 0.0,
    rng: RandomState = None,
) -> NDArray[np.float64]:
    """Return independent magnetisations per spin of the Curie-Weiss model, without a chain.

    Parameters
    ----------
    n_spins : int
        N from 1 to 10 000 000.
    beta : float
        Inverse temperature >= 0.
    n_samples : int
    J, h : float
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    ndarray, shape (n_samples,)
        m = (sum of the spins)/N, drawn from its exact distribution.

    Examples
    --------
    >>> import spinnet as sn
    >>> sn.iid_curie_weiss(3, beta=0.0, n_samples=2, rng=1).shape
    (2,)
    """
    n = integer("n_spins", n_spins, minimum=1, maximum=10_000_000)
    beta = bounded_float("beta", positive_float("beta", beta, zero=True))
    J, h = bounded_float("J", J), bounded_float("h", h)
    size = integer("n_samples", n_samples, minimum=0)
    total, plus, minus, _ = magnetization_weights(n, beta, J, abs(h))
    values = np.concatenate([total, -total]) * (-1 if h < 0 else 1)
    cumulative = np.cumsum(np.concatenate([plus, minus]))
    u = generator(rng).random(size) * cumulative[-1]
    index = np.searchsorted(cumulative, u, side="right")
    return np.asarray(values[np.minimum(index, len(values) - 1)] / n)
