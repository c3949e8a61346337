r"""Adaptive TAP: mean field whose reaction term is computed from the given coupling matrix.

TAP takes the entries of J as independent.  The weights of a trained network are not: for them
Opper and Winther let the reaction V_i be whatever makes the linear response agree with the
variance,

.. math:: m_i = \tanh\big(\beta h_i + \beta \textstyle\sum_j J_{ij} m_j - V_i m_i\big), \qquad
          [(\Lambda - \beta J)^{-1}]_{ii} = 1 - m_i^2, \quad V_i = \Lambda_i - 1/(1 - m_i^2),

so that only the matrix itself is needed.  These are the stationary points of the
expectation-consistent (EC) free energy (see `places`).  For SK couplings they become the TAP
equations, V_i -> beta^2 sum_j J_ij^2 (1 - m_j^2); for rotationally invariant matrices those of
Parisi and Potters, V = beta R(beta) in the paramagnet, R the R-transform of the spectrum (see
`paramagnet`).  A constant added to the diagonal of J changes nothing but the constant of F.

References
----------
M. Opper & O. Winther, Phys. Rev. E 64, 056131 (2001), eqs. (21)-(31); the same, J. Mach. Learn.
Res. 6, 2177 (2005), section 3; G. Parisi & M. Potters, J. Phys. A 28, 5267 (1995).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spinnet.errors import ConvergenceError, InputError
from spinnet.randomness import RandomState, generator
from spinnet.spins.meanfield.adaptive.critical import adaptive_temperatures
from spinnet.spins.meanfield.adaptive.descent import End, descend
from spinnet.spins.meanfield.adaptive.places import Equations, equations_of
from spinnet.spins.meanfield.adaptive.reference import refuse_large
from spinnet.spins.meanfield.adaptive.solution import AdaptiveResponse, AdaptiveSolution
from spinnet.spins.meanfield.couplings import TopMode
from spinnet.spins.meanfield.diagnosis import Diagnosis, diagnosis_of
from spinnet.spins.meanfield.iteration import descend as naive_descent
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_beta
from spinnet.spins.meanfield.points import in_levels, is_known, reported_mode, with_mirror
from spinnet.spins.meanfield.solution import CRITICAL_WIDTH, Status, lowest
from spinnet.spins.meanfield.system import System, system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array
from spinnet.validation import choice, integer, positive_float

_COLD = 20.0  # of beta lambda_max


@dataclass(frozen=True)
class AdaptiveTAP(MeanFieldMethod):
    """Adaptive TAP, also known as expectation consistency, with its tolerances.

    For couplings of any spectrum, such as trained weights; it needs nothing but the matrix.
    Self-couplings are left out, which with ``variance="site"`` makes no difference.

    Parameters
    ----------
    variance : {"site", "uniform"}
        "site": each spin has a variance and a reaction V_i of its own (Opper and Winther's
        adaptive TAP).  It assumes nothing of the couplings, and is exact for free spins beside
        coupled ones.  "uniform": all spins of a layer share one variance, the mean of 1 - m^2,
        and one V (S-EC).  It assumes eigenvectors of J that know nothing of the sites
        (rotational invariance), and so rows of one norm and fields alike: there it is the same
        as N grows, elsewhere "site" is nearer to exact sums.
    n_starts : int
        Random starts, besides zero, the top mode, the uniform states and the fields.
    rtol : float
        A solution has max |m - tanh(...)| <= rtol, and variances right to rtol.
    max_steps : int
        Newton steps for each start.
    rng : None, int, SeedSequence or Generator
        Draws the random starts.

    Notes
    -----
    Each step inverts matrices of n_spins rows (of the smaller layer, and products with the
    larger, for two layers): at most 4000 spins; Curie-Weiss models are solved in closed form at
    any size.

    Examples
    --------
    >>> import spinnet as sn
    >>> pair = sn.Ising([[0, 1], [1, 0]])
    >>> s = sn.solve(pair, beta=0.5, method=AdaptiveTAP())
    >>> round(float(s.covariance[0, 1]), 4)  # tanh(1/2) = 0.4621
    0.4142
    """

    variance: str = "site"
    n_starts: int = 4
    rtol: float = 1e-10
    max_steps: int = 200
    rng: RandomState = 0

    def __post_init__(self) -> None:
        choice("variance", self.variance, ("site", "uniform"))
        integer("n_starts", self.n_starts, minimum=0)
        integer("max_steps", self.max_steps, minimum=1)
        if not 1e-13 <= positive_float("rtol", self.rtol) <= 1e-3:
            raise InputError(f"rtol must lie in [1e-13, 1e-3], got {self.rtol}")

    @property
    def label(self) -> str:
        """The name to print beside a number."""
        return "adaptive TAP" if self.variance == "site" else "adaptive TAP, uniform variance"

    def solve(self, model: SpinModel, beta: float, *, throw: bool = True) -> AdaptiveSolution:
        """Return the solution of lowest free energy, with every other one found."""
        return solve_adaptive(model, beta, self, throw=throw)

    def critical_temperature(self, model: SpinModel) -> float:
        """Return the larger of T_F and T_SG of `adaptive_temperatures`, fields dropped.

        T_F is where the response of the paramagnet diverges along a top mode that stands clear
        of the bulk; T_SG is where the bulk freezes, beta^2 R'(beta) = 1.
        """
        return adaptive_temperatures(model, self.variance).temperature


@dataclass(frozen=True, eq=False)
class _Task:
    """One system at one temperature, and what all its solutions share."""

    system: System
    beta: float
    method: AdaptiveTAP
    top: TopMode
    diagnosis: Diagnosis
    equations: Equations


def _task(model: SpinModel, beta: float, method: AdaptiveTAP) -> _Task:
    beta = checked_beta(beta)
    system = system_of(model, diagonal=False)
    refuse_large(system.coupling)
    top = system.coupling.top()
    diagnosis = diagnosis_of(system, beta, top)
    equations = equations_of(system.coupling, system.fields, beta, method.variance)
    return _Task(system, beta, method, top, diagnosis, equations)


def solve_adaptive(
    model: SpinModel, beta: float, method: AdaptiveTAP, *, throw: bool
) -> AdaptiveSolution:
    """Return the solution of lowest free energy, with every other one found."""
    task = _task(model, beta, method)
    found: list[AdaptiveSolution] = []
    rest: list[AdaptiveSolution] = []
    for start in _starts(task):
        end = descend(
            task.equations,
            _cooled(task, start),
            rtol=method.rtol,
            max_steps=method.max_steps,
            has_fields=task.system.has_fields,
        )
        if is_known(end.place.m, [*found, *rest]):
            continue
        for candidate in with_mirror(task.system, _describe(task, end)):
            good = candidate.status in (Status.STABLE, Status.CRITICAL)
            (found if good else rest).append(candidate)
    branches = lowest(found or rest)
    unstable = tuple(b for b in rest if b.status is Status.UNSTABLE)
    answer = replace(
        branches[0], all_branches=tuple(branches if found else ()), unstable_branches=unstable
    )
    assert isinstance(answer, AdaptiveSolution)
    if not found and throw:
        raise ConvergenceError(
            f"no stable solution from {len(rest)} start(s) at beta={answer.beta:.10g}, residual "
            f"{answer.residual:.1e}: {answer.status.value}; the exception's .solution holds the "
            "last point, throw=False returns it",
            answer,
        )
    return answer


def _starts(task: _Task) -> Iterator[Array]:
    """Yield the local fields over T to start from."""
    coupling, fields = task.system.coupling, task.system.fields
    if task.system.has_fields:
        yield task.beta * fields
    yield np.zeros(coupling.size)
    if task.beta * task.top.value <= 1 and not task.system.has_fields:
        # V >= 0, as no variance is below 1/Lambda_i: m.(artanh m + V m) = beta m.J.m is m = 0
        return
    if coupling.size == 1:
        yield from (np.array([1.5]), np.array([-1.5]))
        return
    signs = (1.5, -1.5) if task.system.has_fields else (1.5,)  # else the partner is a mirror
    mode = task.top.vector / np.abs(task.top.vector).max()
    for sign in signs:
        yield sign * mode
        yield np.full(coupling.size, sign)
    rng = generator(task.method.rng)
    for _ in range(task.method.n_starts):
        yield np.arctanh(rng.uniform(-1, 1, coupling.size))


def _cooled(task: _Task, x: Array) -> Array:
    """Return the start, at low temperature after a descent in naive mean field.

    There the variances of spins that are not aligned with their fields are too far from those
    that the couplings allow: the precisions would have no digits left.
    """
    system = task.system
    if task.beta * task.top.value < _COLD or not (np.any(x) or system.has_fields):
        return x
    m, _ = naive_descent(np.tanh(x), system.coupling, system.fields, task.beta, 50, 1e-3)
    return task.beta * (system.fields + system.coupling.apply(m))


def _describe(task: _Task, end: End) -> AdaptiveSolution:
    """Return all that is reported about one point."""
    system, beta, place = task.system, task.beta, end.place
    coupling, n = system.coupling, system.n_reported
    distance, log_det = place.curvature()
    margin = place.margin()
    status = _status(end, distance)
    return AdaptiveSolution(
        beta=beta,
        magnetizations=in_levels(system, place.m),
        free_energy=(place.value / beta + system.constant) / n,
        free_energy_one_loop=float("nan"),
        log_det=log_det,
        distance_to_instability=distance,
        status=status,
        residual=place.residual,
        steps=end.steps,
        method=task.method.label,
        label=system.label,
        diagnosis=task.diagnosis,
        top_mode=reported_mode(system, task.top),
        caution=_caution(task, margin),
        reaction=coupling.expand(place.reaction)[:n],
        variance=task.method.variance,
        at_margin=margin,
        variance_residual=place.accuracy,
        _levels=system.levels,
        _spins=place.m,
        _response=AdaptiveResponse(task.equations, place.x, beta, coupling.n_spins),
    )


def _status(end: End, distance: float) -> Status:
    if not end.converged or np.isnan(distance):
        return Status.MAX_STEPS
    if abs(distance) <= CRITICAL_WIDTH:
        return Status.CRITICAL
    return Status.STABLE if distance > 0 else Status.UNSTABLE


def _caution(task: _Task, margin: float) -> str:
    """Return why the solution should not be trusted, or nothing."""
    n = task.system.coupling.n_spins
    if margin < n ** (-1 / 3):
        return (
            f"the AT margin {margin:.3g} is what {n} spins leave at or below a transition, where "
            "a large system has no such solution"
        )
    return task.diagnosis.reason if task.diagnosis.theory == "bethe" else ""
