r"""Fisher information of stable laws, by quadrature of the scores.

.. math:: I_{jk} = \int f\, \partial_j\log f\; \partial_k\log f\; dx

with respect to stable_alpha, beta, scale and location in S0, at unit scale and location 0.
The score in x is that of the interpolant; those in stable_alpha and beta are central differences
of fourth order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.tails.stable.fit_density import FLOOR, Law, Panels, at_each, log_density
from spinnet.validation import finite_float

Floats = NDArray[np.float64]

NAMES = ("stable_alpha", "beta", "scale", "loc")
_POLE_ALPHA = 0.8
_STEP = 1e-3  # of the differences, relative to the distance from a bound
_WIDEST = 1.25  # of a Gauss-Legendre panel in asinh(z)
_NODES = 12
_RELATIVE_TAIL = 42.0  # density times z is exp(-42) of its bulk beyond


def fisher(stable_alpha: float, beta: float = 0.0) -> Floats:
    """Return the Fisher information of one observation, in S0 with scale 1.

    Parameters
    ----------
    stable_alpha, beta : float
        Index in (0.1, 2], skewness in [-1, 1].

    Returns
    -------
    ndarray, shape (4, 4)
        Order: stable_alpha, beta, scale, loc.  The information about stable_alpha at 2 is
        infinite and that about beta is zero; at |beta| = 1 that about beta is infinite.  The
        other entries of such a row are NaN.

    Notes
    -----
    For a scale c, divide the rows and columns of scale and loc by c.  W. H. DuMouchel, Ann.
    Statist. 1, 948 (1973) has the asymptotic theory.

    Examples
    --------
    >>> print(fisher(1.0).diagonal()[2:].round(6))  # the Cauchy law
    [0.5 0.5]
    """
    alpha, beta = finite_float("stable_alpha", stable_alpha), finite_float("beta", beta)
    if not 0.1 <= alpha <= 2.0:
        raise InputError(f"stable_alpha must be in [0.1, 2], got {alpha}")
    if abs(beta) > 1.0:
        raise InputError(f"beta must be in [-1, 1], got {beta}")
    if alpha == 2.0:
        return _normal()
    panels, z, weights = _quadrature((alpha, beta))
    exact = log_density((alpha, beta), z)
    # the interpolant overshoots at an end of the support
    slope = (at_each((alpha, beta), [], z) if alpha < 0.4 else panels.evaluate(z, []))[1]
    inside = exact > FLOOR
    density = weights * np.where(inside, np.exp(exact), 0.0)
    slope = np.where(inside, slope, 0.0)
    # at a small index the density has a peak or an end at the location of S1, which must not move
    # in the differences: they are taken at that location fixed, and changed to S0 at the end
    tangent = math.tan(0.5 * math.pi * alpha) if alpha < _POLE_ALPHA else 0.0
    keep = -beta * tangent if alpha < _POLE_ALPHA else None
    columns = [
        _difference(
            [(alpha + k * _STEP * min(alpha, 2 - alpha), beta) for k in _STENCIL], z, 0, keep
        ),
        np.zeros_like(z),
        -(1.0 + (z + beta * tangent) * slope),
        -slope,
    ]
    edge = abs(beta) == 1.0
    if not edge:
        h = _STEP * (1.0 - abs(beta))
        columns[1] = _difference([(alpha, beta + k * h) for k in _STENCIL], z, 1, keep)
    score = np.stack(columns, axis=1)
    change = np.eye(4)  # of (stable_alpha, beta, scale, loc in S1) by those in S0
    if keep is not None:
        in_alpha = 0.5 * math.pi * beta * (1.0 + tangent**2)
        change[3, :3] = -in_alpha, -tangent, -beta * tangent
    information = change.T @ ((score * density[:, None]).T @ score) @ change
    if edge:
        information[1, :] = information[:, 1] = np.nan
        information[1, 1] = np.inf
    return np.asarray(information)


_STENCIL = (-2, -1, 1, 2)


def _normal() -> Floats:
    information = np.full((4, 4), np.nan)
    information[0, 0] = np.inf
    information[1, :] = information[:, 1] = 0.0
    information[0, 1] = information[1, 0] = np.nan
    information[2:, 2:] = [[2.0, 0.0], [0.0, 0.5]]
    return information


def _difference(laws: list[Law], z: Floats, which: int, keep: float | None) -> Floats:
    """Return the derivative in parameter `which` by the five-point rule.

    The location of S0 is 0, or that of S1 is at `keep`.
    """
    moved = [
        0.0 if keep is None else keep + law[1] * math.tan(0.5 * math.pi * law[0]) for law in laws
    ]
    values = [log_density(law, z - shift) for law, shift in zip(laws, moved, strict=True)]
    h = (laws[3][which] - laws[0][which]) / 4.0
    return np.asarray((values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * h))


def _quadrature(law: Law) -> tuple[Panels, Floats, Floats]:
    """Return the law's panels, and nodes z and weights dz out to negligible tails."""
    reach = _RELATIVE_TAIL / law[0]
    panels = Panels(law, -reach, reach)
    pieces = np.concatenate(
        [
            np.linspace(low, high, 2 + int((high - low) / _WIDEST))[:-1]
            for low, high in panels.bounds
        ]
        + [[reach]]
    )
    x, w = np.polynomial.legendre.leggauss(_NODES)
    half, middle = 0.5 * np.diff(pieces), 0.5 * (pieces[1:] + pieces[:-1])
    y = (middle[:, None] + half[:, None] * x).ravel()
    weights = (half[:, None] * w).ravel() * np.cosh(y)
    return panels, np.sinh(y), np.asarray(weights)


def covariance(alpha: float, beta: float, scale: float, fixed: tuple[str, ...]) -> Floats:
    """Return the covariance of maximum-likelihood estimates times n, in S0.

    Parameters that are `fixed` (given, or at a bound) have NaN.
    """
    free = [k for k, name in enumerate(NAMES) if name not in fixed]
    information = fisher(alpha, beta)[np.ix_(free, free)]
    unit = np.array([1.0, 1.0, scale, scale])[free]
    result = np.full((4, 4), math.nan)
    result[np.ix_(free, free)] = np.linalg.inv(information) * np.outer(unit, unit)
    return result
