r"""Where TAP's paramagnet loses its stability: T_c with the reaction of the couplings.

At m = 0 and without fields the Hessian is 1 + beta^2 diag(r) - beta J with r_i = sum_j J_ij^2.
Its smallest eigenvalue vanishes, coming from high temperature, at T_F; with equal r_i that is
the larger root of T^2 - lambda_max T + r = 0.  Plefka's condition fails below
T_SG = sqrt(mean r), for two layers (v_a v_b)^{1/4}.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from spinnet.errors import InputError
from spinnet.spins.meanfield.couplings import BlockCoupling, Coupling
from spinnet.spins.meanfield.tap.response import highest_of
from spinnet.spins.models import SpinModel

_GRID = 16  # temperatures to look at where the first root is not bracketed by monotony
_RTOL = 1e-12


def glass_temperature(coupling: Coupling) -> float:
    """Return T_SG, below which Plefka's condition fails at m = 0."""
    rows = coupling.row_squares()
    if isinstance(coupling, BlockCoupling):
        roots = np.sqrt(rows[: coupling.n_a].mean()), np.sqrt(rows[coupling.n_a :].mean())
        return float(np.sqrt(roots[0] * roots[1]))
    return float(np.sqrt(rows.mean()))


def critical_temperature(coupling: Coupling, model: SpinModel) -> float:
    """Return max(T_F, T_SG) of a coupling; InputError if it is zero."""
    glass = glass_temperature(coupling)
    if glass == 0:
        raise InputError(
            f"model must have couplings for a transition, got none in {model!r:.80}: its "
            "paramagnet is stable at every temperature"
        )
    root = _first_root(coupling, 1 / glass)
    return glass if root is None else 1 / root


def _first_root(coupling: Coupling, limit: float) -> float | None:
    """Return the smallest beta <= limit where the paramagnet's Hessian is singular, or None.

    With s_i^2 = beta/(1 + beta^2 r_i) it is where the top eigenvalue of S J S reaches 1.  That
    grows with every s_i, and s_i with beta up to r_i^{-1/2}.
    """
    rows = coupling.row_squares()

    def excess(beta: float) -> float:
        return highest_of(coupling, np.sqrt(beta / (1 + beta**2 * rows))) - 1

    peaks = np.minimum(limit, 1 / np.sqrt(np.maximum(rows, limit**-2)))
    if highest_of(coupling, np.sqrt(peaks / (1 + peaks**2 * rows))) < 1:
        return None
    low = 0.0
    for high in np.linspace(float(peaks.min()), limit, _GRID):
        if excess(high) >= 0:
            start = low or high / 2
            while excess(start) >= 0:
                start /= 2
            return float(brentq(excess, start, high, rtol=_RTOL, xtol=1e-300))
        low = high
    return None
