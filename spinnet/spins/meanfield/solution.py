"""What a mean-field solution holds: one saddle point, its response and its fluctuations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy.linalg as la
from numpy.typing import ArrayLike

from spinnet.files import finite_or_null
from spinnet.spins.meanfield.diagnosis import Diagnosis
from spinnet.spins.meanfield.response import Response, refuse_large
from spinnet.spins.models.base import Array, as_fields

_NUMBERS = (
    "free_energy",
    "free_energy_one_loop",
    "log_det",
    "susceptibility",
    "susceptibility_top",
    "distance_to_instability",
    "residual",
)
_QUICK = 1000  # spins up to which to_dict computes the spin-glass susceptibility
CRITICAL_WIDTH = 1e-12  # |1 - lambda| below this is rounding: the point is critical


class Status(Enum):
    """How a solution ended; the value is the sentence for readers."""

    STABLE = "converged to a stable solution, a local minimum of the free energy"
    CRITICAL = "converged to a critical point: the response diverges and has no finite value"
    UNSTABLE = "converged to a solution that is no minimum of the free energy: do not use it"
    SPURIOUS = "a minimum where Plefka's condition fails: no physical state, do not use it"
    MAX_STEPS = (
        "stopped before the residual reached rtol: raise max_steps, or start nearer with follow()"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    r"""A solution of a mean-field theory; naive mean field solves m_i = tanh(beta (h + J m)_i).

    Numbers are in the model's own levels: for units of 0 and 1, `magnetizations` are the
    activities <a_i> and responses are d<a_i>/d(bias_j).

    Attributes
    ----------
    beta : float
        Inverse temperature.
    magnetizations : ndarray, shape (n,)
        <s_i>; n is n_spins of the model (the inputs, for a marginal dual).
    free_energy : float
        F0 per reported spin, the model's constant included:
        (1/N) [m.J.m/2 - T sum_i ln 2cosh(beta (h + J m)_i) + constant].
    free_energy_one_loop : float
        F0 + T log_det/(2N), for this saddle alone; NaN where the point is not stable.
    log_det : float
        ln det(1 - beta D^{1/2} J D^{1/2}) with D = diag(1 - m^2); NaN where it is not defined,
        or not asked for.
    distance_to_instability : float
        1 - lambda_max(beta D^{1/2} J D^{1/2}): > 0 stable, 0 critical, < 0 unstable.
    status : Status
        How the solution ended; its value is a sentence.
    residual : float
        max_i |m_i - tanh(beta (h + J m)_i)|, in the +-1 spins.
    steps : int
        Descent and Newton steps taken.
    method, label : str
        The approximation; the model and its field treatment.
    diagnosis : Diagnosis
        How large the neglected terms are, with an advice in words.
    all_branches : tuple of Solution
        Every distinct stable solution found, lowest free energy first, this one included.
    unstable_branches : tuple of Solution
        Solutions found that are no minima, such as the paramagnet below T_c.
    note : str
        Empty, or why a number is missing.
    caution : str
        Empty, or why numbers of this theory are not to be trusted for these couplings: what
        `Diagnosis.caution` says of it, unless the theory knows better.
    """

    theory: ClassVar[str] = "naive"  # as a diagnosis names it
    _depth: ClassVar[str] = "free_energy_one_loop"  # the best free energy that a theory has

    beta: float
    magnetizations: Array
    free_energy: float
    free_energy_one_loop: float
    log_det: float
    distance_to_instability: float
    status: Status
    residual: float
    steps: int
    method: str
    label: str
    diagnosis: Diagnosis
    top_mode: Array
    all_branches: tuple[Solution, ...] = ()
    unstable_branches: tuple[Solution, ...] = ()
    note: str = ""
    caution: str = ""
    _levels: tuple[int, int] = (-1, 1)
    _spins: Array | None = None
    _response: Response | None = None

    def __post_init__(self) -> None:
        if not self.caution:
            object.__setattr__(self, "caution", self.diagnosis.caution(self.theory))

    def __repr__(self) -> str:
        return (
            f"Solution({self.label}, beta={self.beta:.6g}, magnetization="
            f"{self.magnetization:.6g}, free_energy={self.free_energy:.6g}, {self.status.name})"
        )

    @property
    def n_spins(self) -> int:
        """Number of reported spins."""
        return int(self.magnetizations.shape[0])

    @property
    def stable(self) -> bool:
        """Whether the solution is a minimum of the free energy."""
        return self.status is Status.STABLE

    @property
    def reliable(self) -> bool:
        """Whether the solution is stable and the diagnosis trusts its theory here."""
        return self.stable and not self.caution

    @property
    def magnetization(self) -> float:
        """The mean of `magnetizations`."""
        return float(self.magnetizations.mean())

    def respond(self, change: ArrayLike) -> Array:
        """Return the first-order change of `magnetizations` when the fields change.

        Parameters
        ----------
        change : float or array_like, shape (n,)
            dh, in the model's own fields; a number is a uniform field.

        Returns
        -------
        ndarray, shape (n,)
            chi dh; infinite or NaN at a critical point.
        """
        response = self._chi
        full = np.zeros(response.n_spins)
        full[: self.n_spins] = as_fields("change", change, self.n_spins)
        if self.status is Status.CRITICAL:
            return self._critical_response(full[: self.n_spins])
        try:
            answer = response.apply(full)
        except la.LinAlgError:
            return np.full(self.n_spins, np.nan)
        return self._unit**2 * answer[: self.n_spins]

    @cached_property
    def uniform_response(self) -> Array:
        """dm_i/dh for a uniform field, shape (n,)."""
        return self.respond(1.0)

    @cached_property
    def susceptibility(self) -> float:
        """Uniform chi = (1/N) sum_ij dm_i/dh_j, per spin."""
        return float(self.uniform_response.mean())

    @cached_property
    def susceptibility_top(self) -> float:
        """v.chi.v along the unit top eigenvector v of J: it diverges at T_c whatever its signs."""
        return float(self.top_mode @ self.respond(self.top_mode))

    @cached_property
    def response(self) -> Array:
        """chi_ij = dm_i/dh_j = beta (D^{-1} - beta J)^{-1}, shape (n, n).

        Refused above 5000 spins; `respond` gives chi times a vector at any size.
        """
        refuse_large(
            self._chi.n_spins,
            "the full response matrix",
            "use .respond(change) or .uniform_response",
        )
        n = self.n_spins
        if self.status is Status.CRITICAL:
            return np.full((n, n), np.nan)
        return self._unit**2 * self._chi.matrix()[:n, :n]

    @cached_property
    def susceptibility_spin_glass(self) -> float:
        """chi_SG = (1/N) sum_ij (T dm_i/dh_j)^2, the connected <s_i s_j>^2 summed, per spin.

        It diverges where a glass freezes, whatever the signs of the couplings.  Refused above
        5000 spins, of which two layers count the smaller only; a Curie-Weiss model has no limit.
        """
        if self.status is Status.CRITICAL:
            return math.inf
        try:
            squares = self._chi.square_sum(self.n_spins)
        except la.LinAlgError:
            return math.inf
        return self._unit**4 * squares / (self.beta**2 * self.n_spins)

    @property
    def participation_ratio(self) -> float:
        """1/(N sum v^4) of the top mode."""
        return self.diagnosis.participation_ratio

    @property
    def free_energy_wells(self) -> float:
        """-T/N ln of the sum of exp(-beta N F) over all stable branches.

        F is one-loop, or that of the theory where it has no such term.  Two wells of equal depth
        add -T ln 2/N to one; where a second well matters, a single naive saddle with its
        one-loop term is no better than F0.
        """
        values = np.array([getattr(b, self._depth) for b in self.all_branches or (self,)])
        count = self.beta * self.n_spins
        low = float(values.min())
        return low - math.log(float(np.exp(-count * (values - low)).sum())) / count

    @property
    def _beside_free_energy(self) -> str:
        return f" (one loop {self.free_energy_one_loop:.10g})"

    @property
    def _beside_distance(self) -> str:
        return ""

    @property
    def _unit(self) -> float:
        return (self._levels[1] - self._levels[0]) / 2

    @property
    def _chi(self) -> Response:
        assert self._response is not None
        return self._response

    def _critical_response(self, change: Array) -> Array:
        """Return infinities where the soft mode moves; what stays finite is not computed."""
        mode = self.top_mode
        overlap = float(mode @ change)
        if abs(overlap) <= 1e-10 * float(np.linalg.norm(change)):
            return np.full(self.n_spins, np.nan)
        with np.errstate(invalid="ignore"):
            moved = np.abs(mode) > 1e-10 * np.abs(mode).max()
            return np.where(moved, np.inf * np.sign(overlap * mode), np.nan)

    def summary(self) -> str:
        """Return the result in a few lines for people."""
        lines = [
            f"{self.method}, {self.label}, beta = {self.beta:.10g}",
            f"  {self.status.value} (residual {self.residual:.1e}, {self.steps} steps)",
            f"  mean magnetization     {self.magnetization:.10g}",
            f"  free energy per spin   {self.free_energy:.10g}{self._beside_free_energy}",
            f"  distance to instability {self.distance_to_instability:.6g}{self._beside_distance}",
            f"  {len(self.all_branches)} stable branch(es)",
            f"  recommended here: {self.diagnosis.recommended}",
        ]
        lines += [f"  unreliable: {self.caution}"] if self.caution else []
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN and infinities.

        The response matrix is left out, and above 1000 spins the spin-glass susceptibility.
        """
        numbers: dict[str, float] = {name: getattr(self, name) for name in _NUMBERS}
        quick = self._chi.n_spins <= _QUICK
        numbers["susceptibility_spin_glass"] = self.susceptibility_spin_glass if quick else math.nan
        return {
            "method": self.method,
            "label": self.label,
            "beta": self.beta,
            "magnetizations": self.magnetizations.tolist(),
            **{name: finite_or_null(x) for name, x in numbers.items()},
            "stable": self.stable,
            "reliable": self.reliable,
            "status": self.status.name,
            "steps": self.steps,
            "n_branches": len(self.all_branches),
            "advice": self.diagnosis.advice.name,
            "diagnosis": self.diagnosis.to_dict(),
            "note": self.note,
            "caution": self.caution,
        }


def lowest(branches: Sequence[Solution]) -> list[Solution]:
    """Return branches by free energy; among equals, the most positive magnetisation first."""

    def key(branch: Solution) -> tuple[float, float, float]:
        scale = 1e-12 * max(1.0, abs(floor))
        total = float(branch.magnetizations.sum())
        along = float(branch.magnetizations @ branch.top_mode)
        return (round((branch.free_energy - floor) / scale), -round(total, 9), -along)

    floor = min(branch.free_energy for branch in branches)
    return sorted(branches, key=key)
