r"""Exact relaxation times of the Curie-Weiss model under random-site updates.

The total magnetisation M is then a birth-death chain: with probability (N - M)/2N the site is
down, and it goes up with the probability of the update.  Its transition matrix is tridiagonal
and symmetric in the measure of M, so that the spectrum is exact up to N of 1e5.  The unit of
time is a sweep, N attempts.

At T_c the relaxation time grows as N^{1/2}, as the Fokker-Planck equation
dx = -(x^3/3) ds + 2^{1/2} dW with t = N^{1/2} s says: its levels are those of
-d^2/dx^2 + x^6/36 - x^2/2.  Metropolis moves twice as fast there, since it accepts with
probability 1 what heat bath accepts with 1/2.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import linalg as la

from spinnet.errors import InputError
from spinnet.spins.montecarlo.updates import HeatBath, Metropolis
from spinnet.validation import bounded_float, choice, integer, positive_float

Array = NDArray[np.float64]
_MAX_SPINS = 1_000_000
_SMALLEST = 1e-200  # weights below it, in the tails, add nothing
_LEAST_GAP = 1e-12
_LEVELS = {"odd": 1, "even": 2}


def exact_relaxation_time(
    n_spins: int,
    beta: float,
    update: HeatBath | Metropolis | None = None,
    *,
    J: float = 1.0,
    h: float = 0.0,
    parity: str = "odd",
) -> float:
    r"""Return the longest relaxation time of the magnetisation, in sweeps of N attempts.

    Parameters
    ----------
    n_spins : int
        N from 2 to 1e6.
    beta : float
        Inverse temperature >= 0.
    update : HeatBath or Metropolis, optional
        Heat bath by default.  Each attempt picks a site at random; the heat-bath sweeps that
        :class:`Metropolis` inserts for ergodicity are left out, as random sites need none.
    J, h : float
    parity : str
        "odd" for the slowest mode, which turns m over (at h = 0 the one that m sees); "even"
        for the next, which |m| and m^2 see.

    Returns
    -------
    float
        -1/ln(lambda^N), with lambda the eigenvalue of the mode; a sequential sweep differs by a
        factor that tends to a constant.

    Examples
    --------
    >>> round(exact_relaxation_time(16, 1.0) / 4, 4)
    1.3842
    """
    level = _LEVELS[choice("parity", parity, tuple(_LEVELS))]
    n = integer("n_spins", n_spins, minimum=2, maximum=_MAX_SPINS)
    up, down = _rates(n, beta, update, J, h)
    # 1 - P, symmetrised by the stationary measure: small eigenvalues keep their digits
    diagonal = up + down
    beside = -np.sqrt(up[:-1] * down[1:])
    gap = la.eigh_tridiagonal(
        diagonal, beside, eigvals_only=True, select="i", select_range=(level, level)
    )
    if gap[0] < _LEAST_GAP:
        raise InputError(
            f"beta must leave a relaxation time below {1 / _LEAST_GAP:.0e} attempts, which double "
            f"precision resolves, got beta={beta:g}, J={J:g} for n_spins={n}: the wells are "
            "too deep; parity='even' is the time within a well"
        )
    return float(-1 / (n * np.log1p(-float(gap[0]))))


def exact_autocorrelation_time(
    n_spins: int,
    beta: float,
    update: HeatBath | Metropolis | None = None,
    *,
    J: float = 1.0,
) -> float:
    r"""Return the integrated autocorrelation time of m at h = 0, in sweeps of N attempts.

    The integral over continuous time of the correlation function, which is what the sum over
    sweeps (1/2 for white noise) tends to for times of many sweeps.

    Parameters
    ----------
    n_spins, beta, update, J
        As in `exact_relaxation_time`.

    Returns
    -------
    float
        <m (1 - P)^{-1} m>/(N <m^2>).
    """
    n = integer("n_spins", n_spins, minimum=2, maximum=_MAX_SPINS)
    up, down = _rates(n, beta, update, J, 0.0)
    log_weight = np.concatenate([[0.0], np.cumsum(np.log(up[:-1] / down[1:]))])
    weight = np.exp(log_weight - log_weight.max())
    if weight[n // 2] < _SMALLEST:
        raise InputError(
            f"beta must leave wells that a chain can leave, got beta={beta:g}, J={J:g} for "
            f"n_spins={n}: m = 0 is less likely than 1e-200"
        )
    m = 2 * np.arange(n + 1) / n - 1
    # (1 - P) f = m by its flux up_k w_k (f_{k+1} - f_k) = sum_{j>k} w m, summed from the near
    # end; then <m f> is the sum of flux^2/(up w)
    right = np.cumsum((weight * m)[::-1])[::-1][1:]
    flux = np.where(m[1:] > 0, right, -np.cumsum(weight * m)[:-1])
    used = weight[:-1] > _SMALLEST
    terms = flux[used] ** 2 / (up[:-1] * weight[:-1])[used]
    return float(np.sum(terms) / np.sum(weight * m**2) / n)


def _rates(
    n: int, beta: float, update: HeatBath | Metropolis | None, J: float, h: float
) -> tuple[Array, Array]:
    """Return the probabilities of M -> M + 2 and M -> M - 2 in one attempt, M = -N, ..., N."""
    inverse = bounded_float("beta", positive_float("beta", beta, zero=True))
    coupling, field = bounded_float("J", J), bounded_float("h", h)
    rule = HeatBath() if update is None else update
    if not isinstance(rule, (HeatBath, Metropolis)):
        raise InputError(f"update must be HeatBath() or Metropolis(), got {update!r:.80}")
    total = np.arange(-n, n + 1, 2, dtype=np.float64)
    # flipping a spin up changes H by -2 J (M + 1)/N - 2 h, down by 2 J (M - 1)/N + 2 h
    gain_up = 2 * inverse * (coupling * (total + 1) / n + field)
    gain_down = -2 * inverse * (coupling * (total - 1) / n + field)
    if isinstance(rule, HeatBath):
        accept_up, accept_down = (np.exp(-np.logaddexp(0, -g)) for g in (gain_up, gain_down))
    else:
        accept_up, accept_down = (np.exp(np.minimum(g, 0)) for g in (gain_up, gain_down))
    return (n - total) / (2 * n) * accept_up, (n + total) / (2 * n) * accept_down


@functools.cache
def critical_levels(n_levels: int = 3) -> tuple[float, ...]:
    """Return the lowest nonzero levels of -d^2/dx^2 + x^6/36 - x^2/2.

    Half-steps of a spectral basis: sine functions on [-L, L], L = 7, where the potential is 3000;
    200 of them give 12 digits.
    """
    count = integer("n_levels", n_levels, minimum=1, maximum=20)
    length, size = 7.0, 400
    k = np.arange(1, size + 1)
    nodes, weights = np.polynomial.legendre.leggauss(3 * size)
    x = length * nodes
    basis = np.sin(np.outer(x + length, k * np.pi / (2 * length))) / np.sqrt(length)
    potential = x**6 / 36 - x**2 / 2
    matrix = basis.T @ (basis * (weights * length * potential)[:, None])
    matrix[np.diag_indices(size)] += (k * np.pi / (2 * length)) ** 2
    return tuple(float(v) for v in la.eigvalsh(matrix, subset_by_index=[1, count]))


def critical_amplitude(
    update: HeatBath | Metropolis | None = None, *, parity: str = "odd"
) -> float:
    """Return the limit of tau N^{-1/2} at T_c for random-site updates: 1.26557 for heat bath.

    Parameters
    ----------
    update : HeatBath or Metropolis, optional
    parity : str
        "odd" or "even", as in `exact_relaxation_time`.
    """
    level = _LEVELS[choice("parity", parity, tuple(_LEVELS))]
    rule = HeatBath() if update is None else update
    if not isinstance(rule, (HeatBath, Metropolis)):
        raise InputError(f"update must be HeatBath() or Metropolis(), got {update!r:.80}")
    speed = 1.0 if isinstance(rule, HeatBath) else 2.0
    return 1 / (critical_levels()[level - 1] * speed)
