r"""Pairwise couplings by pseudo-likelihood, for units too many to enumerate.

.. math:: \max_{h, J}\; \sum_i \langle \ln p(\sigma_i | \sigma_{\setminus i}) \rangle
          - \tfrac{\lambda}{2} \sum_{i<j} J_{ij}^2, \qquad
          p(\sigma_i = 1 | \sigma_{\setminus i}) = 1/(1 + e^{-h_i - \sum_j J_{ij} \sigma_j})

with one J for both directions (Besag, The Statistician 24, 179 (1975); symmetric form of Ravikumar,
Wainwright and Lafferty, Ann. Stat. 38, 1287 (2010)).  It is consistent: if the data come from a
pairwise model, the couplings tend to the true ones.  With finite data they are biased by O(1/n)
outwards, as those of logistic regression; if no pairwise model is true, the moments of the fit
differ from the data's however many the inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from spinnet.errors import ConvergenceError
from spinnet.tails.nulls.pairwise.exact import boundary_error, pack, unpack
from spinnet.tails.nulls.raster import Bits, Floats, Raster

_GRADIENT = 1e-7  # in units of a moment's standard deviation: far below sampling noise
_ACCEPTED = 1e-5
_MAX_STEPS = 2000
_LARGEST = 60.0
_ROWS = 1 << 19  # entries of a block: it stays in the cache


class Patterns(NamedTuple):
    """Distinct rows, and the share of the inputs that each has."""

    bits: Bits
    share: Floats
    n_units: int


def distinct(data: Raster, units: NDArray[np.int64]) -> Patterns:
    """Return the distinct patterns of some units."""
    bits = np.concatenate([np.packbits(block[:, units], axis=1) for block in data.blocks()])
    bits = np.ascontiguousarray(bits)
    keys = bits.view(np.dtype((np.void, bits.shape[1])))[:, 0]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return Patterns(bits[first], counts / data.n_inputs, units.size)


def solve(
    patterns: Patterns, rates: Floats, joint: Floats, regularisation: float
) -> tuple[Floats, Floats, float]:
    """Return (fields, couplings, largest component of the gradient per input)."""
    n = rates.size
    second = pack(rates, joint)
    scale = np.sqrt(second * (1.0 - second))
    penalty = np.where(np.arange(second.size) < n, 0.0, regularisation)
    start = np.where(np.arange(second.size) < n, logit(second), 0.0)

    def objective(x: Floats) -> tuple[float, Floats]:
        theta = x / scale
        if np.abs(theta).max() > _LARGEST:
            raise boundary_error(theta, n)
        value, gradient = _pseudo_likelihood(patterns, *unpack(theta, n))
        value += 0.5 * float(penalty @ theta**2)
        return value, (gradient + penalty * theta) / scale

    options = {"gtol": _GRADIENT, "ftol": 0.0, "maxiter": _MAX_STEPS, "maxcor": 30}
    found = minimize(objective, start * scale, jac=True, method="L-BFGS-B", options=options)
    error = float(np.abs(found.jac).max())
    if error > _ACCEPTED:
        raise ConvergenceError(
            f"the pseudo-likelihood did not converge in {found.nit} steps (gradient {error:.2g}); "
            "pass regularisation",
            solution=unpack(found.x / scale, n),
        )
    return *unpack(found.x / scale, n), float(np.abs(found.jac * scale).max())


def _pseudo_likelihood(
    patterns: Patterns, fields: Floats, couplings: Floats
) -> tuple[float, Floats]:
    """Return minus the log pseudo-likelihood per input, and its gradient."""
    n = fields.size
    value = 0.0
    by_field, by_coupling = np.zeros(n), np.zeros((n, n))
    step = max(1, _ROWS // n)
    for start in range(0, len(patterns.bits), step):
        rows = np.unpackbits(patterns.bits[start : start + step], axis=1, count=n)
        x = rows.astype(np.float64)
        share = patterns.share[start : start + step]
        local = x @ couplings + fields
        value += float(share @ (np.logaddexp(0.0, local) - x * local).sum(axis=1))
        excess = (expit(local) - x) * share[:, None]
        by_field += excess.sum(axis=0)
        by_coupling += x.T @ excess
    return value, pack(by_field, by_coupling + by_coupling.T)
