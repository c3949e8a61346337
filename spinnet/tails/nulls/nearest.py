r"""Correlation matrices near a symmetric matrix that has negative eigenvalues.

With weights w > 0 of the rows, the nearest one minimises
:math:`\sum_{ij} w_i w_j (X_{ij} - A_{ij})^2` over positive semidefinite X of unit diagonal
(Higham, IMA J. Numer. Anal. 22, 329 (2002)).  With B = W^(1/2) A W^(1/2), it is
W^(-1/2) (B + diag(y))_+ W^(-1/2), where (.)_+ leaves out negative eigenvalues and y minimises the
smooth convex

.. math:: \tfrac12 \lVert (B + \mathrm{diag}(y))_+ \rVert_F^2 - w \cdot y

(Malick, SIAM J. Matrix Anal. Appl. 26, 272 (2004); Qi and Sun, ibid. 28, 360 (2006)): one
eigenvalue decomposition per step, in far fewer steps than alternating projections take.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDING = 1e-12  # eigenvalues of a singular matrix are of either sign
_GRADIENT = 1e-5  # of the diagonal, which is scaled to one at the end; the weights have mean 1
_MAX_STEPS = 100


def negative_mass(matrix: Floats) -> float:
    """Return the sum of the sizes of the negative eigenvalues, over the number of rows."""
    values = np.linalg.eigvalsh(matrix)
    return float(np.abs(values[values < -_ROUNDING]).sum()) / len(matrix)


def clipped_factor(matrix: Floats) -> Floats:
    """Return F, with F F^T the matrix less its negative eigenvalues, rescaled to unit diagonal."""
    return _unit_rows(_root(matrix))


def nearest_factor(matrix: Floats, weights: Floats) -> Floats:
    """Return F, with F F^T the nearest correlation matrix.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric, of unit diagonal.
    weights : ndarray, shape (n,)
        Above 0.

    Returns
    -------
    ndarray, shape (n, n)
        Rows have unit length.
    """
    from scipy.optimize import minimize

    w = weights / weights.mean()
    root = np.sqrt(w)
    scaled = matrix * np.outer(root, root)

    def dual(y: Floats) -> tuple[float, Floats]:
        values, vectors = np.linalg.eigh(scaled + np.diag(y))
        values = np.maximum(values, 0.0)
        return 0.5 * float(values @ values) - float(w @ y), (vectors * vectors) @ values - w

    found = minimize(
        dual,
        np.zeros(w.size),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": _GRADIENT, "ftol": 0.0, "maxcor": 20, "maxiter": _MAX_STEPS},
    )
    # rows of unit length undo the factor W^(1/2) of the rows too
    return _unit_rows(_root(scaled + np.diag(found.x)))


def _root(matrix: Floats) -> Floats:
    """Return F with F F^T the matrix less its negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _unit_rows(factor: Floats) -> Floats:
    return np.asarray(factor / np.sqrt((factor**2).sum(axis=1))[:, None])
