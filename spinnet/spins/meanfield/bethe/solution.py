"""What belief propagation returns: a `Solution`, and what only the Bethe approximation knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from spinnet.spins.meanfield.bethe.graph import SparseGraph
from spinnet.spins.meanfield.bethe.hessian import Hessian
from spinnet.spins.meanfield.bethe.propagation import (
    Task,
    bond_gains,
    cavity_fields,
    correlations,
    local_fields,
)
from spinnet.spins.meanfield.bethe.spectrum import growth_of
from spinnet.spins.meanfield.response import Response, refuse_large
from spinnet.spins.meanfield.solution import Solution
from spinnet.spins.models.base import Array


class BetheResponse(Response):
    """The response of a fixed point of belief propagation: beta S A^{-1} S, exact on trees.

    It equals what susceptibility propagation, the linearised message passing, converges to.
    """

    def __init__(self, hessian: Hessian, scale: Array, beta: float) -> None:
        self.n_spins = hessian.n_spins
        self._hessian, self._scale, self._beta = hessian, scale, beta

    def apply(self, change: Array) -> Array:
        """Return chi `change`."""
        return np.asarray(self._beta * self._scale * self._hessian.solve(self._scale * change))

    def matrix(self) -> Array:
        """Return chi in full."""
        inverse = self._hessian.inverse()
        if not np.all(np.isfinite(inverse)):
            raise la.LinAlgError("singular")
        return np.asarray(self._beta * self._scale[:, None] * inverse * self._scale)


@dataclass(frozen=True, eq=False, repr=False)
class BetheSolution(Solution):
    r"""A fixed point of belief propagation; the fields of `Solution` in the sense of Bethe.

    Attributes
    ----------
    free_energy : float
        The Bethe free energy per reported spin; exact where the bonds form no loop.
    log_det : float
        ln det A, A the Hessian of beta F_Bethe in m in units of s_i = sqrt(1 - m_i^2): 0 for
        free spins, -sum ln(1 - rho^2) over the bonds of a forest.  NaN where A is not positive
        definite, or costs too much (the note says so).
    free_energy_one_loop : float
        F_Bethe + T/(2N) [ln det A + sum_bonds ln(1 - rho^2)]: the bracket is the determinant of
        the linearised messages, ln det(1 - B), which is the leading correction of the loops
        where these add up (ferromagnets); it vanishes on forests.
    distance_to_instability : float
        The smallest eigenvalue of A: > 0 at a minimum of the Bethe free energy, 0 where it is
        lost, as by a ferromagnet at its critical point.  (In these units naive mean field has
        1 - lambda_max(beta S J S).)  A glass is not seen by it: see `bp_radius`.
    residual : float
        Largest change of a message in one more update, relative to 1 + |u|.
    steps : int
        Sweeps of belief propagation, and Newton steps where these were needed.
    exact : bool
        Whether the bonds form no loop, so that every number is exact.
    energy : float
        <E> in total, the constant included.
    entropy : float
        S in total, in nats.
    """

    theory: ClassVar[str] = "bethe"

    exact: bool = False
    energy: float = float("nan")
    entropy: float = float("nan")
    _task: Task | None = None
    _messages: Array | None = None

    @property
    def _point(self) -> tuple[Task, Array]:
        assert self._task is not None
        assert self._messages is not None
        return self._task, self._messages

    @property
    def log_odds(self) -> Array:
        """Local fields over T, artanh(m) of +-1 spins: they keep digits where tanh saturates."""
        task, u = self._point
        x = local_fields(task, u)
        return x if task.graph.copies == 1 else np.broadcast_to(x, (task.graph.n_spins,))

    @cached_property
    def correlations(self) -> Array | sp.csr_array:
        """<s_i s_j> of each bond, in +-1 spins, 0 elsewhere; CSR where bonds are few.

        Both layers of a marginal dual are there.  These and the messages are refused above 5000
        spins, unless bonds are few.
        """
        task, u = self._point
        return self._matrix(np.where(task.graph.couplings != 0, correlations(task, u), 0.0))

    @property
    def messages(self) -> Array | sp.csr_array:
        """Messages u in log-odds, row j to column i; CSR where bonds are few."""
        return self._matrix(self._point[1])

    @property
    def cavity_fields(self) -> Array | sp.csr_array:
        """Cavity log-odds y of the row's spin without the column's; CSR where bonds are few."""
        task, u = self._point
        return self._matrix(cavity_fields(task, u))

    def _matrix(self, values: Array) -> Array | sp.csr_array:
        graph = self._point[0].graph
        if not isinstance(graph, SparseGraph):
            instead = ".energy holds the sum over bonds, .log_odds what the messages add up to"
            refuse_large(graph.n_spins, "a matrix of all pairs", instead)
        matrix: Array | sp.csr_array = graph.matrix(values)
        return matrix

    @cached_property
    def bp_radius(self) -> float:
        """Spectral radius of the linearised messages: undamped propagation holds below 1.

        Above 1 with a positive `distance_to_instability`, either loops of negative sign only
        make the messages oscillate (see `glass_radius`), or the phase is a glass.
        """
        task, u = self._point
        return growth_of(task.graph, bond_gains(task, u)[0], signed=True)

    @cached_property
    def glass_radius(self) -> float:
        """Spectral radius with squared weights: chi_SG of a tree-like graph diverges at 1."""
        task, u = self._point
        return growth_of(task.graph, bond_gains(task, u)[0] ** 2, signed=False)

    def summary(self) -> str:
        """Return the result in a few lines for people."""
        extra = [
            f"  energy {self.energy:.10g}, entropy {self.entropy:.10g} (in total)",
            f"  radius of linearised messages {self.bp_radius:.6g}, of their squares "
            f"{self.glass_radius:.6g}",
        ]
        if self.exact:
            extra.append("  the bonds form no loop: exact")
        return "\n".join([super().summary(), *extra])

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers; messages and matrices are left out."""
        own: dict[str, Any] = {"exact": self.exact, "energy": self.energy, "entropy": self.entropy}
        own |= {"bp_radius": self.bp_radius, "glass_radius": self.glass_radius}
        plain = {
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in own.items()
        }
        return super().to_dict() | plain
