"""Thresholded Gaussian variables with the rates and covariances of the data.

Unit i is active where z_i <= Phi^-1(r_i), with z normal of unit variances; each latent correlation
is chosen so that its pair is active together as often as in the data (Macke, Berens, Ecker, Tolias
and Bethge, Neural Comput. 21, 397 (2009)).  Pairs are solved one by one, so that the matrix they
make may have negative eigenvalues, as it has for many rare units, whose few coincidences are
noisy.  It is then replaced by a correlation matrix near it, chosen so that the covariances, in
units of their standard errors, change little; what changed is reported.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from spinnet.errors import InputError, SpinnetWarning
from spinnet.memory import refuse_beyond_memory
from spinnet.tails.nulls.bivariate import (
    bivariate_normal_cdf,
    correlation_from_orthant,
    thresholds,
)
from spinnet.tails.nulls.model import NullModel
from spinnet.tails.nulls.nearest import clipped_factor, nearest_factor, negative_mass
from spinnet.tails.nulls.raster import Bits, Floats, read_raster
from spinnet.validation import finite_array, finite_float

_ROUNDING = 1e-12  # of a covariance given as a number
_WARN_ABOVE = 5.0  # standard errors of a covariance


class LatentCorrelations(NamedTuple):
    """Correlations of the normal variables behind binary units.

    Attributes
    ----------
    matrix : ndarray, shape (n_units, n_units)
        1 on the diagonal; 0 beside a unit of rate 0 or 1.  Not yet positive semidefinite.
    n_infeasible : int
        Pairs whose covariance no pair of binary units with these rates has; they are put at
        their limit, a correlation of +-1.
    largest_excess : float
        By how much the worst of them is beyond its limit.
    n_at_limits : int
        Feasible pairs at the limit: never, or always, active together as far as rates allow.
    """

    matrix: Floats
    n_infeasible: int
    largest_excess: float
    n_at_limits: int


def latent_correlations(rates: ArrayLike, covariances: ArrayLike) -> LatentCorrelations:
    """Solve for the latent correlation of every pair of binary units.

    Parameters
    ----------
    rates : array_like, shape (n_units,)
        Probabilities that the units are active.
    covariances : array_like, shape (n_units, n_units)
        Symmetric; the diagonal is not read.

    Returns
    -------
    LatentCorrelations

    Raises
    ------
    InputError
        Rates outside [0, 1], or covariances that are not a finite symmetric matrix.

    Examples
    --------
    >>> latent_correlations([0.5, 0.5], [[0.25, 0.125], [0.125, 0.25]]).matrix.round(6).tolist()
    [[1.0, 0.707107], [0.707107, 1.0]]
    """
    r = finite_array("rates", rates, ndim=1)
    thresholds(r)
    c = finite_array("covariances", covariances, ndim=2)
    if c.shape != (r.size, r.size):
        raise InputError(
            f"covariances must have shape ({r.size}, {r.size}) for {r.size} rates, got {c.shape}"
        )
    if not np.allclose(c, c.T, rtol=1e-10, atol=_ROUNDING):
        raise InputError("covariances must be symmetric")
    i, j = np.triu_indices(r.size, 1)
    return _solve(r, i, j, c[i, j] + r[i] * r[j], 0.0)


def dichotomised_gaussian(
    raster: ArrayLike, n_units: int | None = None, *, limit_counts: float = 0.5
) -> DichotomisedGaussian:
    """Keep the rate of each unit and the covariance of each pair.

    Parameters
    ----------
    raster : array_like of 0 and 1, shape (n_inputs, n_units); or packed uint8
    n_units : int, optional
        Number of units of a packed raster.
    limit_counts : float
        Pairs at a limit of what their rates allow (never active together, say) are put this many
        inputs inside it, but no further than independence: M inputs without a coincidence do not
        tell a probability of 0 from one of 1/(2M), and latent correlations of -1 rarely fit
        together.  0 keeps them at the limit; at most 0.5.

    Returns
    -------
    DichotomisedGaussian
        Some 10 microseconds and 300 bytes per pair of units; where the latent correlations do
        not fit together, some thirty eigenvalue decompositions of their matrix besides (3 s for
        500 units, 20 s for 1,000).  A sample costs n_inputs n_units^2 multiplications.

    Raises
    ------
    InputError
        Values other than 0 and 1, fewer than two inputs or units, or a wrong shape.

    Warns
    -----
    SpinnetWarning
        If covariances of the data differ from the model's by more than five standard errors (of
        data that follow the model), because the latent correlations do not fit together.

    References
    ----------
    J. H. Macke, P. Berens, A. S. Ecker, A. S. Tolias, M. Bethge, Neural Comput. 21, 397 (2009);
    N. J. Higham, IMA J. Numer. Anal. 22, 329 (2002), for the nearest correlation matrix.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.array([[1, 1], [1, 1], [0, 0], [0, 1], [1, 0], [0, 0], [0, 0], [1, 1]])
    >>> null = dichotomised_gaussian(data)
    >>> float(null.correlations[0, 1].round(6))
    0.707107
    """
    margin = finite_float("limit_counts", limit_counts)
    if not 0.0 <= margin <= 0.5:
        raise InputError(f"limit_counts must be from 0 to 0.5, got {margin}")
    data = read_raster(raster, n_units)
    n, m = data.n_units, data.n_inputs
    refuse_beyond_memory(300.0 * n * n, f"{n} units", "take a subset of the units")
    joint = data.joint_counts() / m
    rates = np.diag(joint).copy()
    i, j = np.triu_indices(n, 1)
    solved = _solve(rates, i, j, joint[i, j], margin / m)
    covariances = joint - np.outer(rates, rates)
    clipped = negative_mass(solved.matrix)
    matrix, factor, kept = _fitting(solved.matrix, rates, covariances, clipped)
    error = np.abs(kept - covariances)
    np.fill_diagonal(error, 0.0)
    _warn_of(error, kept, rates, m, clipped)
    return DichotomisedGaussian(
        m, n, data.packed, rates, matrix, clipped, solved.n_at_limits, float(error.max()), factor
    )


@dataclass(frozen=True, eq=False)
class DichotomisedGaussian(NullModel):
    """Thresholded normal variables.

    Attributes
    ----------
    rates : ndarray, shape (n_units,)
    correlations : ndarray, shape (n_units, n_units)
        Of the normal variables, positive semidefinite.
    clipped_mass : float
        Sum of the sizes of the negative eigenvalues of the matrix of latent correlations solved
        pair by pair, per unit; all its eigenvalues add up to one per unit.  0 where they fit
        together.
    n_at_limits : int
        Pairs of varying units never, or always, active together as far as their rates allow.
    covariance_error : float
        Largest difference of a covariance of the model from the data's.
    """

    rates: Floats = field(repr=False)
    correlations: Floats = field(repr=False)
    clipped_mass: float
    n_at_limits: int
    covariance_error: float
    _factor: Floats = field(repr=False)

    name: ClassVar[str] = "dichotomised_gaussian"
    keeps: ClassVar[str] = "the rate of each unit and the covariance of each pair, on average"

    @property
    def covariances(self) -> Floats:
        """Covariances of the model's units, shape (n_units, n_units)."""
        return _covariances(thresholds(self.rates), self.correlations)

    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        h = thresholds(self.rates)
        step = max(1, (1 << 21) // self.n_units)
        parts = []
        for start in range(0, n_inputs, step):
            rows = min(step, n_inputs - start)
            z = random.standard_normal((rows, self._factor.shape[1])) @ self._factor.T
            parts.append(np.packbits(z <= h, axis=1))
        return np.concatenate(parts)

    def _facts(self) -> Mapping[str, object]:
        return {
            "clipped_mass": self.clipped_mass,
            "n_at_limits": self.n_at_limits,
            "covariance_error": self.covariance_error,
        }


def _fitting(
    latent: Floats, rates: Floats, covariances: Floats, clipped: float
) -> tuple[Floats, Floats, Floats]:
    """Return (correlation matrix, its factor, covariances of the units).

    To first order, an error d of a latent correlation shifts the covariance by phi(h_i) phi(h_j) d,
    and its standard error is that of independent units: weights that are a product, as those of
    the nearest correlation matrix are.  Far from independence the matrix less its negative
    eigenvalues can be better; whichever meets the covariances better is taken.
    """
    h = thresholds(rates)
    spread = np.sqrt(rates * (1.0 - rates))
    varies = spread > 0.0
    precision = np.divide(1.0, spread, where=varies, out=np.zeros_like(spread))
    weights = np.where(varies, np.exp(-(h**2) / 2.0) * precision, 1.0)
    candidates = [(latent, clipped_factor(latent))]
    if clipped > 0.0:
        factors = candidates[0][1], nearest_factor(latent, weights)
        candidates = [(np.clip(f @ f.T, -1.0, 1.0), f) for f in factors]
    fits = []
    for matrix, factor in candidates:
        np.fill_diagonal(matrix, 1.0)
        kept = _covariances(h, matrix)
        off = np.triu(kept - covariances, 1)
        fits.append((float(precision**2 @ off**2 @ precision**2), matrix, factor, kept))
    return min(fits, key=lambda fit: fit[0])[1:]


def _solve(
    rates: Floats, i: NDArray[np.int64], j: NDArray[np.int64], joint: Floats, margin: float
) -> LatentCorrelations:
    """Solve all pairs (i, j) active together with probabilities `joint`.

    Each unit is flipped, if need be, to be active at most half the time: the probabilities of a
    pair are then small ones, computed without cancellation, between 0 and the smaller rate.
    """
    flip = rates > 0.5
    q = np.where(flip, 1.0 - rates, rates)
    one, other = np.where(flip[j], rates[i] - joint, joint), rates[j] - joint
    both = 1.0 - rates[i] - rates[j] + joint
    p = np.where(flip[i], np.where(flip[j], both, other), one)
    varies = (q[i] > 0) & (q[j] > 0)
    i, j, p = i[varies], j[varies], p[varies]
    smaller, together = np.minimum(q[i], q[j]), q[i] * q[j]
    excess = np.maximum(-p, p - smaller)
    infeasible = excess > _ROUNDING
    at_limits = (excess >= -_ROUNDING) & ~infeasible
    p = np.where(at_limits & (p < together), np.minimum(margin, together), p)
    p = np.where(at_limits & (p > together), np.maximum(smaller - margin, together), p)
    h = thresholds(q)
    rho = correlation_from_orthant(h[i], h[j], p)
    matrix = np.eye(rates.size)
    matrix[i, j] = matrix[j, i] = np.where(flip[i] == flip[j], rho, -rho)
    return LatentCorrelations(
        matrix,
        int(infeasible.sum()),
        float(max(excess.max(initial=0.0), 0.0)) if infeasible.any() else 0.0,
        int(at_limits.sum()),
    )


def _covariances(h: Floats, correlations: Floats) -> Floats:
    """Return the covariances of the units z_i <= h_i; 0 for units that never vary."""
    rates = ndtr(h)
    out = np.diag(rates * (1.0 - rates))
    varies = np.isfinite(h)
    i, j = np.triu_indices(h.size, 1)
    both = varies[i] & varies[j]
    i, j = i[both], j[both]
    p = bivariate_normal_cdf(h[i], h[j], correlations[i, j])
    out[i, j] = out[j, i] = p - rates[i] * rates[j]
    return out


def _warn_of(
    error: Floats, covariances: Floats, rates: Floats, n_inputs: int, clipped: float
) -> None:
    """Warn where the error is more than chance makes, by the `covariances` of the model.

    Standard errors by those of the data would be near 0 for pairs that were never active together.
    """
    variance = rates * (1.0 - rates)
    skew = np.outer(1.0 - 2.0 * rates, 1.0 - 2.0 * rates) * covariances
    spread = np.sqrt(np.maximum(np.outer(variance, variance) + skew - covariances**2, 0.0))
    far = np.triu(error * np.sqrt(n_inputs) > _WARN_ABOVE * spread + _ROUNDING, 1)
    if clipped > 0.0 and far.any():
        warnings.warn(
            f"the latent correlations do not fit together: {int(far.sum())} covariance(s) of the "
            f"data differ from the model's by more than {_WARN_ABOVE:g} standard errors (clipped "
            f"mass {clipped:.3g})",
            SpinnetWarning,
            stacklevel=3,
        )
