"""Couplings that are the same for all pairs, in closed form."""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from spinnet.spins.meanfield.couplings.base import Coupling, TopMode
from spinnet.spins.models.base import Array


class UniformCoupling(Coupling):
    """J = g 1 1^T - d 1: one unknown for all spins, in closed form at any size.

    Parameters
    ----------
    n_spins : int
    pair : float
        g, the coupling of each pair.
    removed : float
        d, equal to g where the self-coupling is left out, else 0.
    """

    def __init__(self, n_spins: int, pair: float, removed: float) -> None:
        self.n_spins = self.copies = n_spins
        self.size = 1
        self.pair, self.removed = pair, removed
        self.uniform = pair * n_spins - removed  # the eigenvalue of (1, 1, ..., 1)

    def apply(self, x: Array) -> Array:
        """Return J x for a uniform x."""
        return self.uniform * x

    def solve(self, s: Array, rhs: Array) -> Array:
        """Return rhs/(1 - s^2 lambda) for a uniform right-hand side."""
        gap = 1 - s**2 * self.uniform
        if np.any(gap == 0):
            raise la.LinAlgError("singular")
        return np.asarray(rhs / gap)

    def top_of(self, s: Array) -> float:
        """Return the larger of the uniform and the transverse eigenvalue."""
        square = float(s[0] ** 2)
        uniform = square * self.uniform
        return uniform if self.n_spins == 1 else max(uniform, -square * self.removed)

    def log_det(self, s: Array) -> float:
        """Return ln(1 - s^2 lambda) + (N - 1) ln(1 + s^2 d)."""
        square = float(s[0] ** 2)
        uniform, transverse = 1 - square * self.uniform, square * self.removed
        if uniform <= 0 or transverse <= -1:
            return float("nan")
        return float(np.log(uniform) + (self.n_spins - 1) * np.log1p(transverse))

    def top(self) -> TopMode:
        """Return the uniform mode, or a transverse one if the coupling is negative."""
        uniform = np.broadcast_to(1 / np.sqrt(self.n_spins), (self.n_spins,))
        if self.n_spins == 1:
            return TopMode(self.uniform, float("nan"), uniform)
        if self.uniform >= -self.removed:
            return TopMode(self.uniform, -self.removed, uniform)
        transverse = np.zeros(self.n_spins)
        transverse[:2] = 1 / np.sqrt(2), -1 / np.sqrt(2)
        second = -self.removed if self.n_spins > 2 else self.uniform
        return TopMode(-self.removed, second, transverse)

    def row_squares(self, unit: float = 1.0) -> Array:
        """Return (N - 1) (g/unit)^2."""
        return np.array([(self.n_spins - 1) * (self.pair / unit) ** 2])

    def strongest(self) -> float:
        """Return |g|, or 0 for one spin."""
        return abs(self.pair) if self.n_spins > 1 else 0.0

    def fourth_powers(self, unit: float) -> float:
        """Return N (N - 1) (g/unit)^4."""
        return self.n_spins * (self.n_spins - 1) * (self.pair / unit) ** 4

    def bonds(self) -> tuple[Array, int, int]:
        """Return g once, and N(N - 1)/2."""
        pairs = self.n_spins * (self.n_spins - 1) // 2
        if self.pair == 0 or pairs == 0:
            return np.empty(0), 0, pairs
        return np.array([self.pair]), pairs, pairs

    def eigenvalues(self) -> Array:
        """Return the spectrum of J."""
        values = np.full(self.n_spins, -self.removed)
        values[0] = self.uniform
        return np.sort(values)

    def expand(self, x: Array) -> Array:
        """Return a read-only view that repeats the unknown."""
        return np.broadcast_to(x, (self.n_spins,))

    def respond(self, s: Array, change: Array) -> Array:
        """Return chi `change` by the rank-one formula."""
        square = float(s[0] ** 2)
        gap = 1 - square * self.uniform
        if gap == 0:
            raise la.LinAlgError("singular")
        common = square * self.pair * float(change.sum()) / gap
        return np.asarray(square / (1 + square * self.removed) * (change + common))

    def response_entries(self, s: Array) -> tuple[float, float]:
        """Return chi_ii and chi_ij, the same for all i and j."""
        square = float(s[0] ** 2)
        gap = 1 - square * self.uniform
        if gap == 0:
            raise la.LinAlgError("singular")
        factor = square / (1 + square * self.removed)
        common = factor * square * self.pair / gap
        return common + factor, common

    def response(self, s: Array) -> Array:
        """Return chi, equal numbers off the diagonal."""
        own, other = self.response_entries(s)
        chi = np.full((self.n_spins, self.n_spins), other)
        np.fill_diagonal(chi, own)
        return chi
