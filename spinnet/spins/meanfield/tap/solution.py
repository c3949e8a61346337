"""A solution of the TAP equations: what `Solution` holds, with Plefka's condition beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spinnet.files import finite_or_null
from spinnet.spins.meanfield.solution import Solution


@dataclass(frozen=True, eq=False, repr=False)
class TAPSolution(Solution):
    r"""A solution of m_i = tanh beta(h_i + sum_j J_ij m_j - beta m_i sum_j J_ij^2 (1 - m_j^2)).

    Attributes beside those of `Solution`, of which these mean here:

    Attributes
    ----------
    free_energy : float
        The TAP free energy per reported spin, the model's constant included.
    free_energy_one_loop : float
        NaN: the reaction term already holds the fluctuations of second order in beta.
    log_det : float
        ln det(D^{1/2} Hess D^{1/2}), with D = diag(1 - m^2) and Hess that of beta F; NaN where
        the point is not stable, or for sparse couplings above 5000 spins.
    distance_to_instability : float
        1 - lambda_max(S C S), which has the sign of the smallest eigenvalue of the Hessian:
        > 0 a minimum, 0 critical, < 0 no minimum.
    residual : float
        max_i |m_i - tanh(...)| of the equation above, in +-1 spins.
    plefka : float
        x = 1 - beta^2 mean_i sum_j J_ij^2 (1 - m_j^2)^2; for two layers with the geometric
        mean of both.  Negative: TAP does not hold at this point (status SPURIOUS, if it is a
        minimum).
    message_passing_converged : bool
        Whether approximate message passing reached this solution by itself from some start.
    message_passing_steps : int
        Steps of it from the quickest such start (from this start, if none).
    """

    theory: ClassVar[str] = "tap"
    _depth: ClassVar[str] = "free_energy"

    plefka: float = float("nan")
    message_passing_converged: bool = False
    message_passing_steps: int = 0

    @property
    def _beside_free_energy(self) -> str:
        return ""

    @property
    def _beside_distance(self) -> str:
        return f", Plefka's x {self.plefka:.6g}"

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN; the response matrix is left out."""
        return super().to_dict() | {
            "plefka": finite_or_null(self.plefka),
            "message_passing_converged": self.message_passing_converged,
            "message_passing_steps": self.message_passing_steps,
        }
