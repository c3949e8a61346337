"""Couplings between two layers, held as their block."""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from spinnet.spins.meanfield.couplings.base import (
    Coupling,
    TopMode,
    log_det_of,
    mode_of,
    solve_symmetric,
    top_pairs,
)
from spinnet.spins.models.base import Array


class BlockCoupling(Coupling):
    """Two layers, J = [[0, B], [B^T, 0]]: every task is one on the smaller layer."""

    def __init__(self, block: Array) -> None:
        self.block = block
        self.n_a, self.n_b = block.shape
        self.n_spins = self.size = self.n_a + self.n_b

    def _scaled(self, s: Array) -> Array:
        return np.asarray(s[: self.n_a, None] * self.block * s[self.n_a :])

    def _small_gram(self, x: Array) -> Array:
        return np.asarray(x @ x.T if self.n_a <= self.n_b else x.T @ x)

    def apply(self, x: Array) -> Array:
        """Return J x."""
        a, b = x[: self.n_a], x[self.n_a :]
        return np.concatenate([self.block @ b, a @ self.block])

    def solve(self, s: Array, rhs: Array) -> Array:
        """Return (1 - S J S)^{-1} rhs with the larger layer eliminated."""
        x = self._scaled(s)
        a, b = rhs[: self.n_a], rhs[self.n_a :]
        gram = np.eye(min(self.n_a, self.n_b)) - self._small_gram(x)
        if self.n_a <= self.n_b:
            a = solve_symmetric(gram, a + x @ b)
            b = b + x.T @ a
        else:
            b = solve_symmetric(gram, b + x.T @ a)
            a = a + x @ b
        return np.concatenate([a, b])

    def response_squares(self, s: Array, n: int) -> float:
        """Return the sum of chi_ij^2 over the first n spins: all, or those of layer a.

        With X = S_a B S_b and G = (1 - X X^T)^{-1} of the smaller layer, chi is S G S there,
        S (1 + X^T G X) S on the larger and S G X S between: matrices of the larger are traced.
        """
        x = self._scaled(s)
        small, large = s[: self.n_a] ** 2, s[self.n_a :] ** 2
        if self.n_a > self.n_b:
            x, small, large = x.T, large, small
        green = solve_symmetric(np.eye(small.size) - x @ x.T, np.eye(small.size))
        weighed = green @ ((x * large) @ x.T)
        within = float(small @ (green**2) @ small)
        across = float(small @ (weighed @ green).diagonal())
        beside = np.einsum("ij,ij->j", x, green @ x)
        far = float(np.sum(large**2 * (1 + 2 * beside)) + np.sum(weighed * weighed.T))
        if n == self.n_spins:
            return within + 2 * across + far
        return within if self.n_a <= self.n_b else far

    def top_of(self, s: Array) -> float:
        """Return the largest singular value of S_a B S_b."""
        top = float(top_pairs(self._small_gram(self._scaled(s)), 1)[0][0])
        return float(np.sqrt(max(top, 0.0)))

    def log_det(self, s: Array) -> float:
        """Return ln det(1 - X X^T), X = S_a B S_b."""
        gram = self._small_gram(self._scaled(s))
        return log_det_of(np.eye(gram.shape[0]) - gram)

    def top(self) -> TopMode:
        """Return the pair of top singular vectors, each over sqrt(2)."""
        unit = self.strongest() or 1.0  # squares of tiny couplings would vanish
        block = self.block / unit
        squares, vectors = top_pairs(self._small_gram(block), 2)
        values = unit * np.sqrt(np.maximum(squares, 0.0))
        small = vectors[:, 0]
        large = block.T @ small if self.n_a <= self.n_b else block @ small
        large = large / max(float(np.linalg.norm(large)), np.finfo(float).tiny)
        pair = (small, large) if self.n_a <= self.n_b else (large, small)
        if values.size == 1:  # one singular value: the next eigenvalue of J is 0, or -sigma
            values = np.append(values, 0.0 if self.n_spins > 2 else -values[0])
        return mode_of(values, np.concatenate(pair) / np.sqrt(2))

    def row_squares(self, unit: float = 1.0) -> Array:
        """Return sum_j (J_ij/unit)^2."""
        squares = (self.block / unit) ** 2
        return np.concatenate([squares.sum(axis=1), squares.sum(axis=0)])

    def strongest(self) -> float:
        """Return max |B_ij|."""
        return float(np.abs(self.block).max())

    def fourth_powers(self, unit: float) -> float:
        """Return 2 sum_ij (B_ij/unit)^4."""
        return 2 * float(((self.block / unit) ** 4).sum())

    def bonds(self) -> tuple[Array, int, int]:
        """Return every bond once, their number, and N_a N_b."""
        values = self.block[self.block != 0]
        return values, values.size, self.block.size

    def eigenvalues(self) -> Array:
        """Return the spectrum of J: plus and minus the singular values, and zeros."""
        values = la.svdvals(self.block)
        zeros = np.zeros(abs(self.n_a - self.n_b))
        return np.sort(np.concatenate([values, -values, zeros]))
