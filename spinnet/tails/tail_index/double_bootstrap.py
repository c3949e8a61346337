r"""Choice of k by the double bootstrap.

The best k minimises the asymptotic mean square error V/k + b^2 A^2 (k/n)^(2r), which needs the
truth.  The mean square of the difference between two estimators with one limit has the same form,
V' and b' in place of V and b, and a bootstrap measures it.  With k_1 and k_2 its minima for
resamples of n_1 = n t^(1/2) and n_2 = n t points,

.. math:: k = \frac{k_1^2}{k_2} \left( \frac{V b'^2}{V' b^2} \right)^{1/(1+2r)}, \qquad
          r = \frac{\ln k_1}{2 \ln(n_1/k_1)}.

(Danielsson, de Haan, Peng and de Vries, J. Multivar. Anal. 76, 226 (2001); Draisma et al.,
Extremes 2, 367 (1999); with t = 1/2 as Voitalov et al., Phys. Rev. Research 1, 033034 (2019).)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.progress import progress_bar
from spinnet.tails.tail_index import estimators
from spinnet.tails.tail_index.estimators import Response

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_GRID = 300  # numbers of k at which the mean square is looked at, evenly spaced in ln k
_SMALLEST = 5  # fewer values than this, and what resampling repeats decides


class Choice(NamedTuple):
    """The chosen k and what it came from."""

    k: int
    k1: int
    k2: int
    n1: int
    n2: int
    rho: float


class Method(NamedTuple):
    """An estimator: its curve, its difference from the companion, its responses."""

    curve: Callable[[Floats], Floats]
    difference: Callable[[Floats, Integers], Floats]
    response: Callable[[float, float], tuple[Response, Response]]


def _hill_curve(e: Floats) -> Floats:
    return estimators.hill(estimators.moments(e))


def _hill_difference(e: Floats, k: Integers) -> Floats:
    m = estimators.moments(e, k)
    return np.asarray(m.second - 2.0 * m.first**2)


def _moments_curve(e: Floats) -> Floats:
    return estimators.dekkers(estimators.moments(e))


def _moments_difference(e: Floats, k: Integers) -> Floats:
    m = estimators.moments(e, k)
    return np.asarray(estimators.dekkers(m) - estimators.draisma(m))


def _kernel_difference(e: Floats, k: Integers) -> Floats:
    return np.asarray(estimators.kernel(e, 2, k) - estimators.kernel(e, 3, k))


METHODS = {
    "hill": Method(_hill_curve, _hill_difference, estimators.hill_response),
    "moments": Method(_moments_curve, _moments_difference, estimators.moments_response),
    "kernel": Method(estimators.kernel, _kernel_difference, estimators.kernel_response),
}


def choose(
    log_decreasing: Floats,
    xi: Floats,
    method: Method,
    n_bootstrap: int,
    rng: np.random.Generator,
    *,
    progress: bool = False,
) -> Choice:
    """Return the k of smallest estimated mean square error.

    Parameters
    ----------
    log_decreasing : ndarray, shape (n,)
        ln of the data, largest first.
    xi : ndarray, shape (n - 1,)
        The curve of the estimator, which decides the sign of xi at a first guess of k.
    """
    n = log_decreasing.size
    n1 = math.floor(n * math.sqrt(0.5))
    n2 = n1 * n1 // n
    with progress_bar(2 * n_bootstrap, progress, "resample") as bar:
        k1 = _minimum(log_decreasing, n1, method, n_bootstrap, rng, bar)
        k2 = _minimum(log_decreasing, n2, method, n_bootstrap, rng, bar)
    # the same share of the data as k1: k grows more slowly than n, but this only sets a constant
    guess = xi[min(n - 1, math.ceil(k1 * n / n1)) - 1]
    r = math.log(k1) / (2.0 * math.log(n1 / k1))
    main, apart = method.response(float(guess) if np.isfinite(guess) else 0.0, -r)
    ratio = main.variance * apart.bias**2 / (apart.variance * main.bias**2)
    factor = ratio ** (1.0 / (1.0 + 2.0 * r))
    # the best share k/n falls with n; without this limit the noise of k1^2/k2 reaches k = n - 1,
    # where the smallest values of all enter
    largest = min(n - 1, max(factor, 1.0) * n * max(k1 / (n1 - 2), k2 / (n2 - 2)))
    k = min(k1 * k1 / k2 * factor, largest)
    return Choice(max(round(k), 2), k1, k2, n1, n2, -r)


def _minimum(
    log_decreasing: Floats,
    size: int,
    method: Method,
    n_bootstrap: int,
    rng: np.random.Generator,
    bar: Any,
) -> int:
    """Return the k at which resamples of `size` points have the smallest mean square difference."""
    smallest = min(_SMALLEST, size - 2)
    k = np.unique(np.geomspace(smallest, size - 2, _GRID).astype(np.int64))
    total = np.zeros(k.size)
    for _ in range(n_bootstrap):  # a Python loop, so that Ctrl-C is heard
        y = log_decreasing[_sorted_indices(log_decreasing.size, size, rng)]
        total += method.difference(y[:-1] - y[1:], k) ** 2
        bar.update()
    if np.isnan(total).all():
        return int(k[-1])
    return int(k[np.nanargmin(total)])


def _sorted_indices(n: int, size: int, rng: np.random.Generator) -> Integers:
    """Return `size` draws from 0..n-1 in increasing order, from exponential spacings (Renyi)."""
    steps = np.cumsum(rng.standard_exponential(size + 1))
    drawn: Integers = (steps[:-1] / steps[-1] * n).astype(np.int64)
    np.minimum(drawn, n - 1, out=drawn)
    return drawn
