r"""The equations of multi-histogram reweighting, solved by Newton's method.

With n_k effective samples at beta_k and f_k = -ln Z_k,

.. math:: D(E) = \sum_k n_k e^{f_k - \beta_k E}, \qquad
          e^{-f_k} = \sum_i c_i \frac{e^{-\beta_k E_i}}{D(E_i)},

the second being where the convex function sum_i c_i ln D(E_i) - sum_k n_k f_k of the f_k is
least.  Sums are taken in logarithms, so that energies of any size are safe.

References
----------
A. M. Ferrenberg & R. H. Swendsen, Phys. Rev. Lett. 63, 1195 (1989), eqs. 6 and 7.
M. R. Shirts & J. D. Chodera, J. Chem. Phys. 129, 124105 (2008), eq. 11.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError

Array = NDArray[np.float64]
_MOST_STEPS = 100
_TOLERANCE = 1e-11  # of the gradient over the number of samples
_AT_ONCE = 4_000_000  # numbers of a batch


def log_denominator(f: Array, beta: Array, size: Array, energy: Array) -> Array:
    """Return ln D at each energy.

    Parameters
    ----------
    f, size : ndarray, shape (..., n_states)
    beta : ndarray, shape (n_states,)
    energy : ndarray, shape (n_levels,)

    Returns
    -------
    ndarray, shape (..., n_levels)
    """
    return np.asarray(_shares(f, beta, size, energy)[1])


def first_guess(beta: Array, mean_energy: Array) -> Array:
    """Return f by thermodynamic integration of the mean energies, trapezoidal, f_0 = 0."""
    steps = np.diff(beta) * (mean_energy[1:] + mean_energy[:-1]) / 2
    return np.asarray(np.concatenate([[0.0], np.cumsum(steps)]))


def solve(beta: Array, size: Array, energy: Array, count: Array, start: Array) -> Array:
    """Return f with f_0 = 0.

    Parameters
    ----------
    beta, size, start : ndarray, shape (n_states,)
    energy, count : ndarray, shape (n_levels,)

    Raises
    ------
    ConvergenceError
        With the last f as `.solution`.
    """
    f: Array = start - start[0]
    objective, gradient, hessian = _expansion(f, beta, size, energy, count)
    for _ in range(_MOST_STEPS):
        if np.abs(gradient / size).max() < _TOLERANCE:
            return f
        step = np.zeros_like(f)
        step[1:] = -np.linalg.lstsq(hessian[1:, 1:], gradient[1:], rcond=1e-14)[0]
        length = 1.0
        while True:
            trial = _expansion(f + length * step, beta, size, energy, count)
            if trial[0] < objective or np.abs(trial[1]).max() < np.abs(gradient).max():
                break
            if length < 1e-6:  # rounding is all that is left
                if np.abs(gradient / size).max() < 1e3 * _TOLERANCE:
                    return f
                raise ConvergenceError("the reweighting equations found no descent", f)
            length /= 4
        f = f + length * step
        objective, gradient, hessian = trial
    raise ConvergenceError(f"the reweighting equations took over {_MOST_STEPS} steps", f)


def solve_many(beta: Array, size: Array, energy: Array, count: Array, start: Array) -> Array:
    """Return f for many sets of samples that differ little, f_0 = 0; NaN where Newton fails.

    Parameters
    ----------
    beta, start : ndarray, shape (n_states,)
    size : ndarray, shape (n_sets, n_states)
    energy : ndarray, shape (n_levels,)
    count : ndarray, shape (n_sets, n_levels)
    """
    result = np.empty_like(size)
    batch = max(1, _AT_ONCE // (beta.size * energy.size))
    for first in range(0, len(size), batch):
        rows = slice(first, first + batch)
        result[rows] = _newton(beta, size[rows], energy, count[rows], start)
    return result


def _newton(beta: Array, size: Array, energy: Array, count: Array, start: Array) -> Array:
    f = np.tile(start - start[0], (len(size), 1))
    for _ in range(_MOST_STEPS // 5):
        _, gradient, hessian = _expansion(f, beta, size, energy, count)
        if np.abs(gradient / size).max() < 1e3 * _TOLERANCE:
            return f
        try:
            f[:, 1:] -= np.linalg.solve(hessian[:, 1:, 1:], gradient[:, 1:, None])[..., 0]
        except np.linalg.LinAlgError:
            break
    return np.full_like(f, np.nan)


def _shares(f: Array, beta: Array, size: Array, energy: Array) -> tuple[Array, Array]:
    """Return the share of each state in D, (..., n_states, n_levels), and ln D."""
    with np.errstate(divide="ignore"):
        exponent = (np.log(size) + f)[..., None] - beta[:, None] * energy
    top = exponent.max(axis=-2, keepdims=True)
    share = np.exp(exponent - top)
    total = share.sum(axis=-2, keepdims=True)
    share /= total
    return share, (top + np.log(total))[..., 0, :]


def _expansion(
    f: Array, beta: Array, size: Array, energy: Array, count: Array
) -> tuple[Array, Array, Array]:
    """Return the convex function, its gradient and its Hessian."""
    share, log_d = _shares(f, beta, size, energy)
    weighted = share * count[..., None, :]
    filled = weighted.sum(axis=-1)
    hessian = -weighted @ np.swapaxes(share, -1, -2)
    diagonal = np.arange(beta.size)
    hessian[..., diagonal, diagonal] += filled
    objective = np.sum(count * log_d, axis=-1) - np.sum(size * f, axis=-1)
    return objective, filled - size, hessian


def overlap(f: Array, beta: Array, size: Array, energy: Array, count: Array) -> Array:
    """Return how many effective samples of state k could as well be of state l, (K, K).

    Rows sum to n_k: divided by it, the overlap matrix of P. V. Klimovich, M. R. Shirts & D. L.
    Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015).
    """
    share, _ = _shares(f, beta, size, energy)
    return np.asarray((share * count) @ share.T)
