"""A solution of adaptive TAP: what `Solution` holds, with the reaction and its AT condition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from spinnet.files import finite_or_null
from spinnet.spins.meanfield.adaptive.places import Equations, Place, UniformPlace
from spinnet.spins.meanfield.response import Response
from spinnet.spins.meanfield.solution import Solution
from spinnet.spins.models.base import Array


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveSolution(Solution):
    r"""A solution of m_i = tanh(beta h_i + beta sum_j J_ij m_j - V_i m_i).

    Attributes beside those of `Solution`, of which these mean here:

    Attributes
    ----------
    free_energy : float
        The expectation-consistent free energy per reported spin, the model's constant included.
    free_energy_one_loop : float
        NaN: the Gaussian fluctuations are part of the theory.
    log_det : float
        ln det(r Hess r) with r^2 = 1 - m^2 and Hess that of beta F in m; NaN at no minimum.
    distance_to_instability : float
        The smallest eigenvalue of r Hess r: 1 without couplings, > 0 at a minimum, < 0 at none.
        The paramagnet of a finite system is always a minimum here: where a large one would lose
        it, the number falls towards 0 (about 1/N) and stays there; see `at_margin`.
    response : ndarray
        dm_i/dh_j = beta Hess^{-1}, the change of the reaction V included.
    residual : float
        max_i |m_i - tanh(...)| of the equation above, in +-1 spins.
    reaction : ndarray, shape (n,)
        V_i, of the reported spins.
    variance : str
        "site" or "uniform".
    at_margin : float
        1 over the largest eigenvalue of chi_ij^2/(D_i D_j), chi = (Lambda - beta J)^{-1} and D =
        1 - m^2, between 0 and 1.  In a large system it is 1 minus the de Almeida-Thouless number:
        1 - beta^2 R'(beta) in the paramagnet, 1 - beta^2 J^2 mean (1 - m^2)^2 for SK, and the
        theory fails where it vanishes; N spins keep it above about N^{-1/3}.
    variance_residual : float
        How well (chi_ii - D_i) vanishes, relative to the larger of D and D^2 V.
    """

    theory: ClassVar[str] = "adaptive-tap"
    _depth: ClassVar[str] = "free_energy"

    reaction: Array | None = None
    variance: str = "site"
    at_margin: float = float("nan")
    variance_residual: float = float("nan")

    @cached_property
    def covariance(self) -> Array:
        """<s_i s_j> - <s_i><s_j> as the Gaussian (Lambda - beta J)^{-1} has it, shape (n, n).

        Its diagonal is exactly 1 - m_i^2 ("site"), which T `response` only approximates; off the
        diagonal T `response` is nearer to the exact values.
        """
        assert isinstance(self._response, AdaptiveResponse)
        n = self.n_spins
        return self._unit**2 * self._response.place.covariance()[:n, :n]

    @property
    def _beside_free_energy(self) -> str:
        return ""

    @property
    def _beside_distance(self) -> str:
        return f", AT margin {self.at_margin:.6g}"

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN and infinities; no matrices."""
        reaction = np.empty(0) if self.reaction is None else self.reaction
        return super().to_dict() | {
            "variance": self.variance,
            "reaction": finite_or_null(reaction.tolist()),
            "at_margin": finite_or_null(self.at_margin),
            "variance_residual": finite_or_null(self.variance_residual),
        }


class AdaptiveResponse(Response):
    """beta Hess^{-1} at one solution; its matrices are made when they are asked for."""

    def __init__(self, equations: Equations, x: Array, beta: float, n_spins: int) -> None:
        self.n_spins = n_spins
        self._equations, self._x, self._beta = equations, x, beta

    @cached_property
    def place(self) -> Place:
        """The solution with its matrices."""
        return self._equations.at(self._x)

    def apply(self, change: Array) -> Array:
        """Return chi `change`."""
        return self._beta * self.place.respond(change)

    def matrix(self) -> Array:
        """Return chi in full."""
        return self._beta * self.place.response()

    def square_sum(self, n: int) -> float:
        """Return the sum of chi_ij^2, in closed form where all spins are alike."""
        if isinstance(self.place, UniformPlace):
            return self._beta**2 * self.place.response_squares()
        return super().square_sum(n)
