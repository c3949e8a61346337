r"""Spectral edges of a coupling matrix, and the critical temperature that Onsager corrects.

Naive mean field orders at T = lambda_max(J).  If the couplings are a smooth part (an outlier
lambda_1 of the spectrum) on top of a random bulk, the reaction of the bulk lowers that to

.. math:: T_F = 1/G(\lambda_1), \qquad G(z) = \mathrm{mean}_{i \ge 2}\, 1/(z - \lambda_i),

and for two layers with block B to T_F = D(sigma_1)^{-1/2}, with
D(z) = mean z/(z^2 - BB^T) mean z/(z^2 - B^T B) over the bulk.  The bulk by itself freezes at
T_SG = sqrt(mean_i sum_j J_ij^2), for two layers (v_a v_b)^{1/4} with v = N s^2.  Valid for
couplings of homogeneous variance.  For a rank-one J on a zero bulk T_F = lambda_1.

References
----------
A. Edwards & R. Jones, J. Phys. A 9, 1595 (1976) and F. Benaych-Georges & R. Nadakuditi, Adv.
Math. 227, 494 (2011) for the outliers; D. Thouless, P. Anderson & R. Palmer, Phil. Mag. 35,
593 (1977) for the reaction; I. Johnstone, Ann. Stat. 29, 295 (2001) for the edge's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinnet.spins.meanfield.couplings import BlockCoupling, Coupling, TopMode, UniformCoupling
from spinnet.spins.models.base import Array

_TRACY_WIDOM = 3.2724  # 99.9 % quantile of the largest eigenvalue, in edge widths
_SPECTRUM_LIMIT = 5000
_ROUNDING = 1e-13  # of a sum of squares: below it, the bulk is nothing


@dataclass(frozen=True)
class OnsagerEstimate:
    """The critical temperature with the reaction of a random bulk, beside the naive one.

    Attributes
    ----------
    temperature : float
        max(T_F, T_SG), T_F only if the top mode is separated from the bulk.
    ferromagnetic : float
        T_F; NaN where the top mode is not separated, or above 5000 spins.
    spin_glass : float
        T_SG of the bulk (of everything, if the top mode is not separated).
    separated : bool
        Whether the top eigenvalue exceeds `edge` at the 0.1 % level.
    edge : float
        Top of the spectrum of a random bulk with the same variance.
    note : str
    """

    temperature: float
    ferromagnetic: float
    spin_glass: float
    separated: bool
    edge: float
    note: str = ""


def onsager_estimate(coupling: Coupling, top: TopMode) -> OnsagerEstimate:
    """Return the Onsager-corrected critical temperature of a coupling matrix."""
    block = coupling if isinstance(coupling, BlockCoupling) else None
    total, rest, unit = _squares(coupling, top)
    edge, separated = bulk_edge(coupling, top)
    glass = unit * _glass(coupling, rest if separated else total)
    if not separated:
        note = "the top mode is not separated from the bulk: no ferromagnetic estimate"
        return OnsagerEstimate(glass, float("nan"), glass, False, edge, note)
    if coupling.n_spins > _SPECTRUM_LIMIT and not isinstance(coupling, UniformCoupling):
        note = f"the full spectrum is not computed above {_SPECTRUM_LIMIT} spins"
        return OnsagerEstimate(float("nan"), float("nan"), glass, True, edge, note)
    ferro = _outlier(coupling, top) if block is None else _two_layer_outlier(block, top)
    return OnsagerEstimate(max(ferro, glass), ferro, glass, True, edge)


def bulk_edge(coupling: Coupling, top: TopMode) -> tuple[float, bool]:
    """Return the edge of a random bulk beside the top mode, and whether that stands clear of it."""
    _, rest, unit = _squares(coupling, top)
    edge, width = _edge(coupling, rest)
    clear = top.value / unit > edge + _TRACY_WIDOM * width and top.value > 0
    return edge * unit, clear and coupling.n_spins > 2  # of two spins, the bulk is one eigenvalue


def _squares(coupling: Coupling, top: TopMode) -> tuple[float, float, float]:
    """Return sum_ij J_ij^2, the same for the bulk beside the top mode, and the unit of J.

    The bulk's mean is removed.  In units of the strongest bond no square over- or underflows.
    """
    strongest = coupling.strongest()
    unit = strongest if strongest > 0 else 1.0
    total = float(coupling.row_squares(unit).sum()) * coupling.copies
    square = (top.value / unit) ** 2
    # an eigenpair of J, or the pair +-sigma of a block matrix, holds this much
    if isinstance(coupling, BlockCoupling):
        outlier = 2 * square
    else:  # without a diagonal the bulk has the mean -lambda/(N - 1), which no state can see
        outlier = square * (1 + 1 / max(coupling.n_spins - 1, 1))
    rest = total - outlier
    return total, rest if rest > _ROUNDING * total else 0.0, unit


def bulk_square(coupling: Coupling, top: TopMode, *, separated: bool) -> float:
    """Return mean_i sum_j J_ij^2 of the bulk, which is everything if no mode is separated."""
    total, rest, unit = _squares(coupling, top)
    return (rest if separated else total) / coupling.n_spins * unit**2


def _edge(coupling: Coupling, squares: float) -> tuple[float, float]:
    """Return the edge of an iid bulk with this sum of J_ij^2, and its fluctuation scale."""
    n = coupling.n_spins
    if isinstance(coupling, BlockCoupling):
        a, b = coupling.n_a, coupling.n_b
        sigma = np.sqrt(squares / 2 / (a * b))
        roots = np.sqrt(a) + np.sqrt(b)
        square_width = roots * (1 / np.sqrt(a) + 1 / np.sqrt(b)) ** (1 / 3)
        return float(sigma * roots), float(sigma * square_width / (2 * roots))
    sigma = np.sqrt(squares / n)
    return float(2 * sigma), float(sigma * n ** (-2 / 3))


def _glass(coupling: Coupling, squares: float) -> float:
    if isinstance(coupling, UniformCoupling):
        return 0.0  # nothing is random, though J < 0 leaves no outlier at the top
    if isinstance(coupling, BlockCoupling):
        return float(np.sqrt(squares / 2) / (coupling.n_a * coupling.n_b) ** 0.25)
    return float(np.sqrt(squares / coupling.n_spins))


def _outlier(coupling: Coupling, top: TopMode) -> float:
    """Return 1/G(lambda_1) over the other eigenvalues."""
    if isinstance(coupling, UniformCoupling):
        return top.value - top.second if coupling.n_spins > 1 else top.value
    bulk = coupling.eigenvalues()[:-1]
    return float(1 / np.mean(1 / (top.value - bulk))) if bulk.size else top.value


def _two_layer_outlier(coupling: BlockCoupling, top: TopMode) -> float:
    """Return D(sigma_1)^{-1/2} over the other singular values."""
    values = np.sort(coupling.eigenvalues())[::-1][1 : min(coupling.n_a, coupling.n_b)]
    return float(1 / np.sqrt(np.prod([_d(values, n, top.value) for n in coupling.block.shape])))


def _d(singular: Array, n: int, z: float) -> float:
    """Return the mean of z/(z^2 - x) over the n - 1 bulk eigenvalues x of BB^T or B^T B."""
    if n == 1:
        return 1 / z
    zeros = n - 1 - singular.size
    return float((np.sum(z / (z**2 - singular**2)) + zeros / z) / (n - 1))
