"""Independent exact samples of the Curie-Weiss model: magnetisations, and configurations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.memory import refuse_beyond_memory
from spinnet.randomness import RandomState, seed_sequence
from spinnet.validation import bounded_float, integer, positive_float

_MAX_SPINS = 10_000_000


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

    Each costs a few nanoseconds, after a table of the weights of all M that matter (sqrt(N) to
    N entries), from which they are drawn by the alias method (A. J. Walker, ACM TOMS 3, 253
    (1977)).

    Parameters
    ----------
    n_spins : int
        N from 1 to 10 000 000.
    beta : float
        Inverse temperature >= 0.
    n_samples : int
    J, h : float
        Any sign.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    ndarray, shape (n_samples,)
        m = (sum of the spins)/N, drawn from its exact distribution.

    Raises
    ------
    InputError
        For arguments out of range.

    Examples
    --------
    >>> import spinnet as sn
    >>> sn.iid_curie_weiss(3, beta=0.0, n_samples=2, rng=1).shape
    (2,)
    """
    return _drawn(n_spins, beta, n_samples, J, h, seed_sequence(rng).spawn(1)[0], per_spin=True)


def iid_curie_weiss_spins(
    n_spins: int,
    beta: float,
    n_samples: int,
    *,
    J: float = 1.0,
    h: float = 0.0,
    packed: bool = False,
    rng: RandomState = None,
) -> NDArray[Any]:
    """Return independent configurations of the Curie-Weiss model, without a chain.

    The total magnetisation M is drawn from its exact distribution, as in
    :func:`iid_curie_weiss` (the same ones for the same `rng`), and then a configuration uniform
    among all that have this M.

    Parameters
    ----------
    n_spins, beta, n_samples, J, h, rng
        As in :func:`iid_curie_weiss`.
    packed : bool
        Return eight spins in each byte.

    Returns
    -------
    ndarray of int8, shape (n_samples, n_spins)
        -1 or +1.  With `packed`, uint8 of shape (n_samples, ceil(n_spins/8)), as
        ``np.packbits(spins > 0, axis=1, bitorder="little")`` gives it.

    Raises
    ------
    InputError
        For arguments out of range, or more configurations than the memory holds.

    Examples
    --------
    >>> import spinnet as sn
    >>> spins = sn.iid_curie_weiss_spins(4, beta=0.5, n_samples=3, rng=1)
    >>> bool((spins.mean(axis=1) == sn.iid_curie_weiss(4, 0.5, 3, rng=1)).all())
    True
    """
    n = integer("n_spins", n_spins, minimum=1, maximum=_MAX_SPINS)
    size = integer("n_samples", n_samples, minimum=0)
    row = n / 4 if packed else n  # the packed ones exist twice for a moment
    refuse_beyond_memory(float(size * row), f"n_samples={size} of n_spins={n}", "lower n_samples")

    from spinnet.spins.montecarlo.subsets import SUBSET_WORDS, padded_words, random_subsets

    for_totals, for_subsets = seed_sequence(rng).spawn(2)
    totals = _drawn(n, beta, size, J, h, for_totals, per_spin=False)
    ups = ((totals + n) / 2).astype(np.int64)
    spins = np.empty((0 if packed else size, n), np.int8)
    bits = np.empty((size if packed else 0, padded_words(n)), np.uint64)
    state = for_subsets.generate_state(SUBSET_WORDS, np.uint64)
    random_subsets(ups, n, state, spins, bits)
    if not packed:
        return spins
    return bits.astype("<u8", copy=False).view(np.uint8)[:, : (n + 7) // 8].copy()


def _drawn(
    n_spins: int,
    beta: float,
    n_samples: int,
    J: float,
    h: float,
    seed: np.random.SeedSequence,
    *,
    per_spin: bool,
) -> NDArray[np.float64]:
    """Check the arguments, and return M, or M/N, for each sample."""
    n = integer("n_spins", n_spins, minimum=1, maximum=_MAX_SPINS)
    beta = bounded_float("beta", positive_float("beta", beta, zero=True))
    J, h = bounded_float("J", J), bounded_float("h", h)
    size = integer("n_samples", n_samples, minimum=0)
    refuse_beyond_memory(8.0 * size, f"n_samples={size}", "lower n_samples")

    from spinnet.simd.random import seed_states
    from spinnet.spins.montecarlo.alias import MagnetizationTable, draw_totals

    table = MagnetizationTable.of(n, beta, J, h)
    totals: NDArray[np.float64] = np.empty((1, size))
    layouts, starts = np.array([table.layout]), np.zeros(1, np.int64)
    states = seed_states(seed, 1)
    columns, rest = table.alias.columns, table.alias.rest
    draw_totals(states, layouts, starts, columns, rest, 0, float(n if per_spin else 1), totals)
    return totals.ravel()
