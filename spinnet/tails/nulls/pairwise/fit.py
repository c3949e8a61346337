"""Fitting of pairwise maximum-entropy models, and the cases in which there is none.

A model of finite couplings exists exactly if the moments lie inside the polytope of the moments
that binary units can have.  On its boundary some patterns never occur: two units that are never
active together, one that is active only when another is, and so on.  The boundaries of pairs and
triples are looked up before the fit, which names the units; those of more units show as
couplings that grow without bound.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.memory import refuse_beyond_memory
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.nulls.pairwise import exact, pseudo
from spinnet.tails.nulls.pairwise.chains import check_mixing
from spinnet.tails.nulls.pairwise.model import PairwiseMaxent
from spinnet.tails.nulls.raster import Floats, read_raster
from spinnet.validation import choice, finite_array, integer, positive_float

_ROUNDING = 1e-12  # of moments, which are sums of probabilities
_CELLS = (
    "are never active together",
    "are never silent together",
    "are never active in the first without the second",
    "are never active in the second without the first",
)


def pairwise_maxent(
    raster: ArrayLike,
    n_units: int | None = None,
    *,
    method: str | None = None,
    regularisation: float = 0.0,
    rng: RandomState = 0,
) -> PairwiseMaxent:
    """Keep rates and joint rates of all pairs, with the largest entropy (Ising form).

    Parameters
    ----------
    raster : array_like of 0 and 1, shape (n_inputs, n_units); or packed uint8
    n_units : int, optional
        Number of units of a packed raster.
    method : {"exact", "pseudo-likelihood"}, optional
        Exact, by enumeration, for up to 20 units that vary; pseudo-likelihood beyond.  The
        latter finds the couplings if the data come from a pairwise model, and is biased by
        O(1/n_inputs) outwards; if they do not, it keeps the moments only nearly.
    regularisation : float
        Weight of half the sum of the squared couplings, against the log-likelihood per input:
        a Gaussian prior of variance 1/(regularisation n_inputs).  The joint rates of an exact
        fit then differ from the data's by regularisation times the coupling.
    rng : None, int, SeedSequence or Generator
        Randomness of the mixing check beyond 20 units, the same on every call by default.

    Returns
    -------
    PairwiseMaxent
        Exact at 20 units: about 1 s and 100 MB.  Pseudo-likelihood: some hundred passes of
        4 n_inputs n_units^2 operations.

    Raises
    ------
    StatisticsError
        Without regularisation, if the moments lie on the boundary of what binary units can have,
        naming the units.
    InputError
        Values other than 0 and 1, fewer than two inputs or units, or exact with more than 20.

    Warns
    -----
    SpinnetWarning
        If the chains that draw samples beyond 20 units do not mix.

    References
    ----------
    E. Schneidman, M. J. Berry II, R. Segev, W. Bialek, Nature 440, 1007 (2006).

    Examples
    --------
    >>> import numpy as np
    >>> data = np.array([[1, 1], [1, 1], [0, 0], [0, 1], [1, 0], [0, 0], [0, 0], [0, 0]])
    >>> null = pairwise_maxent(data)
    >>> float(np.exp(null.couplings[0, 1]).round(6))  # (2/8)(4/8)/((1/8)(1/8))
    8.0
    """
    regularisation = positive_float("regularisation", regularisation, zero=True)
    if method is not None:
        choice("method", method, ("exact", "pseudo-likelihood"))
    seed = seed_sequence(rng)
    data = read_raster(raster, n_units)
    joint = data.joint_counts() / data.n_inputs
    rates = np.diag(joint).copy()
    units = np.flatnonzero((rates > 0.0) & (rates < 1.0))
    how = method or ("exact" if units.size <= exact.MAX_UNITS else "pseudo-likelihood")
    _check_size(how, units.size)
    r, c = rates[units], joint[np.ix_(units, units)]
    if regularisation == 0.0:
        _refuse_boundary(r, c, units, triples=how == "exact")
    if how == "exact" or units.size < 2:
        solution = _solve_exact(r, c, regularisation)
    else:
        patterns = pseudo.distinct(data, units)
        fields, couplings, residual = pseudo.solve(patterns, r, c, regularisation)
        solution = exact.Solution(fields, couplings, math.nan, residual)
    shape = (data.n_inputs, data.n_units, data.packed)
    return _model(shape, how, regularisation, rates, units, c, solution, seed)


def pairwise_from_moments(
    rates: ArrayLike, joint: ArrayLike, *, regularisation: float = 0.0, n_inputs: int = 1000
) -> PairwiseMaxent:
    """Return the pairwise model of given moments, for up to 20 units that vary.

    Parameters
    ----------
    rates : array_like, shape (n_units,)
        Probabilities that the units are active.
    joint : array_like, shape (n_units, n_units)
        Probabilities that both units are active; symmetric, the diagonal is not read.
    regularisation : float
        As of `pairwise_maxent`.
    n_inputs : int
        Rows that a sample has by default.

    Returns
    -------
    PairwiseMaxent

    Raises
    ------
    StatisticsError
        If the moments lie on or beyond the boundary of what binary units can have.
    InputError
        Moments outside [0, 1], a wrong shape, or more than 20 units that vary.
    """
    regularisation = positive_float("regularisation", regularisation, zero=True)
    n_inputs = integer("n_inputs", n_inputs, minimum=1)
    r = _probabilities("rates", finite_array("rates", rates, ndim=1))
    c = _probabilities("joint", finite_array("joint", joint, ndim=2))
    if r.size < 2 or c.shape != (r.size, r.size):
        raise InputError(
            f"joint must have shape (n, n) for n >= 2 rates, got {c.shape} for {r.size}"
        )
    if not np.allclose(c, c.T, rtol=0.0, atol=_ROUNDING):
        raise InputError("joint must be symmetric")
    units = np.flatnonzero((r > 0.0) & (r < 1.0))
    _check_size("exact", units.size)
    inside = c[np.ix_(units, units)]
    _refuse_boundary(r[units], inside, units, triples=True)
    solution = _solve_exact(r[units], inside, regularisation)
    shape = (n_inputs, r.size, False)
    return _model(shape, "exact", regularisation, r, units, inside, solution, seed_sequence(0))


def _probabilities(name: str, array: Floats) -> Floats:
    bad = (array < 0.0) | (array > 1.0)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        raise InputError(
            f"{name} must be in [0, 1], got {int(bad.sum())} other value(s), the first at index "
            f"{index}: {array[index]}"
        )
    return array


def _check_size(how: str, n: int) -> None:
    if how == "exact" and n > exact.MAX_UNITS:
        raise InputError(
            f"method 'exact' takes at most {exact.MAX_UNITS} units that vary, got {n}: it "
            "enumerates 2^n patterns; take a subset, or method='pseudo-likelihood'"
        )
    if how == "pseudo-likelihood":
        # L-BFGS keeps sixty vectors of n(n + 1)/2 parameters
        refuse_beyond_memory(8.0 * 70 * n * n / 2, f"{n} units", "take a subset of the units")


def _solve_exact(rates: Floats, joint: Floats, regularisation: float) -> exact.Solution:
    if rates.size == 0:
        return exact.Solution(np.zeros(0), np.zeros((0, 0)), 0.0, 0.0)
    return exact.solve(rates, joint, regularisation)


def _model(
    shape: tuple[int, int, bool],
    how: str,
    regularisation: float,
    rates: Floats,
    units: NDArray[np.int64],
    joint: Floats,
    solution: exact.Solution,
    seed: np.random.SeedSequence,
) -> PairwiseMaxent:
    fields = np.where(rates == 1.0, np.inf, -np.inf)
    fields[units] = solution.fields
    couplings = np.zeros((rates.size, rates.size))
    couplings[np.ix_(units, units)] = solution.couplings
    mixing, log_z, error = None, 0.0, solution.moment_error
    if units.size > exact.MAX_UNITS:
        random = np.random.default_rng(seed)
        mixing = check_mixing(solution.fields, solution.couplings, rates[units], random)
        mixing = mixing._replace(seed=seed_record(seed))
        log_z = math.nan
        if not mixing.mixed:
            warnings.warn(
                f"the heat-bath chains do not mix in {mixing.n_sweeps} sweeps (R-hat "
                f"{mixing.rhat:.2f}, autocorrelation time {mixing.tau:.3g} sweeps): samples are "
                "not of the fitted model; pass regularisation or take a subset of the units",
                SpinnetWarning,
                stacklevel=3,
            )
    elif units.size:
        state = exact.enumerate_states(solution.fields, solution.couplings)
        log_z = state.log_z
        sets = exact.features(units.size)
        found = exact.superset_sums(state.probability)[sets]
        error = float(np.abs(found - exact.pack(rates[units], joint)).max())
    return PairwiseMaxent(
        *shape,
        how,
        regularisation,
        rates,
        fields,
        couplings,
        log_z,
        error,
        solution.residual,
        mixing,
    )


def _refuse_boundary(
    rates: Floats, joint: Floats, units: NDArray[np.int64], *, triples: bool
) -> None:
    """Raise StatisticsError if a pair, or a triple, leaves no freedom."""
    i, j = np.triu_indices(rates.size, 1)
    c = joint[i, j]
    cells = np.array([c, 1.0 - rates[i] - rates[j] + c, rates[i] - c, rates[j] - c])
    bad = (cells <= _ROUNDING).any(axis=0)
    if bad.any():
        first = int(np.argmax(bad))
        how = _CELLS[int(np.argmax(cells[:, first] <= _ROUNDING))]
        raise _boundary(
            f"{int(bad.sum())} pair(s) of units leave one of their four joint states empty, the "
            f"first: units {int(units[i[first]])} and {int(units[j[first]])} {how}"
        )
    if triples:
        _refuse_triples(rates, joint, units)


def _refuse_triples(rates: Floats, joint: Floats, units: NDArray[np.int64]) -> None:
    """Check the facets of three units: p_i + p_jk >= p_ij + p_ik, and the sum rule."""
    n = rates.size
    for i in range(n):
        others = np.setdiff1d(np.arange(n), [i])
        slack = rates[i] + joint - joint[i][:, None] - joint[i]
        total = rates[i] + rates[:, None] + rates - joint - joint[i][:, None] - joint[i]
        off = ~np.eye(n, dtype=bool)
        off[i] = off[:, i] = False
        tight = off & ((slack <= _ROUNDING) | (total >= 1.0 - _ROUNDING))
        if tight.any() and others.size > 1:
            j, k = (int(units[x]) for x in np.argwhere(tight)[0])
            raise _boundary(
                f"units {int(units[i])}, {j} and {k} leave two of their eight joint states empty"
            )


def _boundary(what: str) -> StatisticsError:
    return StatisticsError(
        f"the moments lie on the boundary of what binary units can have, where couplings are "
        f"infinite: {what}; pass regularisation (1/n_inputs is a prior of variance 1 on the "
        "couplings), leave units out, or take more inputs"
    )
