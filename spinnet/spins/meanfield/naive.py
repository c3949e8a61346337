r"""Naive mean field: the saddle point of the dual, its response and its one-loop determinant.

The equations are m_i = tanh(beta (h_i + sum_j J_ij m_j)).  Where beta times the largest
eigenvalue of J is at most 1, the free energy is convex and the solution is unique; elsewhere
several starts look for every minimum.  Derived in derivations/network_dual.py; the sources are
Oprisa & Toth, arXiv:1702.08039, section 3 (whose W counts through (W + W^T)/2 only).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
from numpy.typing import ArrayLike

from spinnet.errors import ConvergenceError, InputError
from spinnet.randomness import RandomState, generator
from spinnet.spins.meanfield.couplings import Coupling, TopMode, UniformCoupling
from spinnet.spins.meanfield.diagnosis import Diagnosis, diagnosis_of
from spinnet.spins.meanfield.iteration import Point, newton, on_shell, scales, settle
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_beta
from spinnet.spins.meanfield.points import add_if_new, in_levels, reported_mode, with_mirror
from spinnet.spins.meanfield.response import SaddleResponse
from spinnet.spins.meanfield.solution import CRITICAL_WIDTH, Solution, Status, lowest
from spinnet.spins.meanfield.system import System, positive_top, system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array, as_fields
from spinnet.validation import integer, positive_float

_BREAKABLE = 1000  # spins of a Curie-Weiss model that are solved one by one if need be
_HIDDEN = (
    f".  With J < 0 and no self-coupling the uniform solution is unstable below T = |J|/N, where "
    f"mean field gives each spin a sign of its own; above {_BREAKABLE} spins that is not "
    "computed: take NaiveMeanField(diagonal=True), which keeps the uniform solution, or "
    "exact.curie_weiss, exact at any size"
)


@dataclass(frozen=True)
class NaiveMeanField(MeanFieldMethod):
    """Naive mean field, with its tolerances.

    Parameters
    ----------
    diagonal : bool
        Keep the self-coupling J_ii of a model stated with one (Curie-Weiss, a collapsed dual,
        an Ising matrix with a diagonal).  It is a constant of the true model and a spurious
        field on itself in mean field; keeping it reproduces the printed equations, such as
        m = tanh(beta (J m + h)).
    n_starts : int
        Random starts, besides zero, the top mode, the uniform states and the fields.
    rtol : float
        A solution has max |m - tanh(beta (h + J m))| <= rtol.
    max_steps : int
        Descent and Newton steps for each start.
    one_loop : bool
        Compute ln det and the one-loop free energy.  For large sparse couplings on graphs that
        are no chains or lattices the factorisation fills up: leave it out there.
    rng : None, int, SeedSequence or Generator
        Draws the random starts.
    """

    diagonal: bool = False
    n_starts: int = 8
    rtol: float = 1e-12
    max_steps: int = 2000
    one_loop: bool = True
    rng: RandomState = 0

    def __post_init__(self) -> None:
        integer("n_starts", self.n_starts, minimum=0)
        integer("max_steps", self.max_steps, minimum=1)
        if not 1e-15 <= positive_float("rtol", self.rtol) <= 1e-3:
            raise InputError(f"rtol must lie in [1e-15, 1e-3], got {self.rtol}")

    @property
    def label(self) -> str:
        """The name to print beside a number."""
        return "naive mean field" + (", self-coupling kept" if self.diagonal else "")

    def solve(self, model: SpinModel, beta: float, *, throw: bool = True) -> Solution:
        """Return the solution of lowest free energy, with every other one found."""
        return solve_naive(model, beta, self, throw=throw)

    def critical_temperature(self, model: SpinModel) -> float:
        """Return lambda_max of the symmetric couplings, fields dropped."""
        return positive_top(system_of(model, diagonal=self.diagonal).coupling, model).value


@dataclass(frozen=True, eq=False)
class Task:
    """One system at one temperature, and what all its solutions share."""

    system: System
    beta: float
    method: NaiveMeanField
    top: TopMode
    diagnosis: Diagnosis

    @property
    def convex(self) -> bool:
        """Whether the free energy has one minimum."""
        return self.beta * self.top.value <= 1 + CRITICAL_WIDTH


def task_of(model: SpinModel, beta: float, method: NaiveMeanField) -> Task:
    """Return what all solutions of a model at one temperature share."""
    beta = checked_beta(beta)
    system = system_of(model, diagonal=method.diagonal)
    top = system.coupling.top()
    return Task(system, beta, method, top, diagnosis_of(system, beta, top))


def solve_naive(
    model: SpinModel,
    beta: float,
    method: NaiveMeanField,
    *,
    throw: bool,
    system: System | None = None,
) -> Solution:
    """Return the solution of lowest free energy, with every other one found.

    With `system`, the equations are those of that system, the model's own with other fields.
    """
    task = task_of(model, beta, method)
    if system is not None:
        task = replace(task, system=system)
    found, rest = _search(task)
    small = task.system.coupling.n_spins <= _BREAKABLE
    if system is None and not found and small and _hides_order(task):
        task = replace(task, system=replace(_written_out(model), label=task.system.label))
        task = replace(task, top=task.system.coupling.top())
        found, rest = _search(task)
    branches = lowest(found or rest)
    unstable = tuple(b for b in rest if b.status is Status.UNSTABLE)
    answer = replace(
        branches[0], all_branches=tuple(branches if found else ()), unstable_branches=unstable
    )
    if not found and throw:
        hint = _HIDDEN if _hides_order(task) else ""
        raise ConvergenceError(_failure(answer, len(rest)) + hint, answer)
    return answer


def _search(task: Task) -> tuple[list[Solution], list[Solution]]:
    """Return the stable solutions that the starts lead to, and the other points."""
    found: list[Solution] = []
    rest: list[Solution] = []
    for start in _starts(task):
        solution = describe(task, reach(task, start))
        for candidate in with_mirror(task.system, solution):
            good = candidate.status in (Status.STABLE, Status.CRITICAL)
            add_if_new(found if good else rest, candidate)
    return found, rest


def _hides_order(task: Task) -> bool:
    """Whether one unknown for all spins hides the order of an antiferromagnet, of zero mean."""
    coupling = task.system.coupling
    return isinstance(coupling, UniformCoupling) and coupling.removed < 0 and coupling.n_spins > 1


def _written_out(model: SpinModel) -> System:
    return system_of(model.to_ising(), diagonal=False)


def follow(
    model: SpinModel,
    beta: float,
    start: ArrayLike,
    method: NaiveMeanField | None = None,
    *,
    descend: bool = True,
    throw: bool = True,
) -> Solution:
    """Return the one solution that a given start leads to.

    For hysteresis loops, to continue a branch in temperature or field, and (with
    ``descend=False``) to look at a solution that is not a minimum.

    Parameters
    ----------
    model : SpinModel
    beta : float
        Inverse temperature, > 0.
    start : float or array_like, shape (n_spins,)
        Magnetisations between -1 and 1, in +-1 spins; of both layers for a marginal dual.
    method : NaiveMeanField, optional
    descend : bool
        Descend in free energy first, so that the end is a minimum; otherwise Newton alone.
    throw : bool
        Raise ConvergenceError if no solution was reached.
    """
    method = method or NaiveMeanField()
    if not isinstance(method, NaiveMeanField):
        raise InputError(f"method must be a NaiveMeanField(...) to follow, got {method!r:.80}")
    task = task_of(model, beta, method)
    spins = checked_start(task.system.coupling, start)
    solution = describe(task, reach(task, spins, descend=descend))
    if solution.status is Status.MAX_STEPS and throw:
        raise ConvergenceError(_failure(solution, 1), solution)
    return solution


def checked_start(coupling: Coupling, start: ArrayLike) -> Array:
    """Return a start as magnetisations of the unknowns."""
    spins = as_fields("start", start, coupling.n_spins)
    if np.abs(spins).max() > 1:
        raise InputError(f"start must lie in [-1, 1], got {spins[np.argmax(np.abs(spins))]}")
    return unknowns("start", spins, coupling)


def unknowns(name: str, spins: Array, coupling: Coupling) -> Array:
    """Return one number for each unknown; refuse spins that differ where they share one."""
    if coupling.size == coupling.n_spins:
        return spins
    if np.ptp(spins) != 0:
        raise InputError(f"{name} must be uniform for a CurieWeiss model; use model.to_ising()")
    return spins[: coupling.size]


def _failure(solution: Solution, starts: int) -> str:
    near = abs(solution.distance_to_instability)
    where = " (within 1e-3 of the critical point)" if near < 1e-3 else ""
    return (
        f"no stable solution from {starts} start(s) at beta={solution.beta:.10g}, residual "
        f"{solution.residual:.1e}{where}: {solution.status.value}; the exception's .solution "
        "holds the last point, throw=False returns it"
    )


def _starts(task: Task) -> Iterator[Array]:
    """Yield the starting magnetisations of the unknowns."""
    coupling, fields = task.system.coupling, task.system.fields
    zero = np.zeros(coupling.size)
    yield zero
    if task.convex:
        return
    if coupling.size == 1:
        yield from (np.array([0.9]), np.array([-0.9]))
        return
    signs = (1.0, -1.0) if task.system.has_fields else (1.0,)  # else the partner is a mirror
    mode = 0.9 * task.top.vector / np.abs(task.top.vector).max()
    for sign in signs:
        yield sign * mode
        yield np.full(coupling.size, 0.9 * sign)
    if task.system.has_fields:
        yield np.tanh(task.beta * fields)
    rng = generator(task.method.rng)
    for _ in range(task.method.n_starts):
        yield rng.uniform(-1, 1, coupling.size)


def reach(task: Task, start: Array, *, descend: bool = True) -> Point:
    """Return the point that a start of the unknowns leads to, by descent or by Newton alone."""
    coupling, fields = task.system.coupling, task.system.fields
    beta, rtol = task.beta, task.method.rtol
    if not np.any(start) and not task.system.has_fields:
        return Point(np.zeros(coupling.size), 0.0, 0, True)
    if not descend:
        return newton(beta * (fields + coupling.apply(start)), coupling, fields, beta, rtol)
    return settle(start, coupling, fields, beta, rtol, task.method.max_steps)


def describe(task: Task, point: Point) -> Solution:
    """Return all that is reported about one point."""
    system, beta = task.system, task.beta
    coupling, n = system.coupling, system.n_reported
    s = scales(point.x, beta)
    distance = 1 - coupling.top_of(s)
    status = _status(point, distance)
    free_energy = (on_shell(point.x, coupling, system.fields, beta) + system.constant) / n
    log_det, note = _log_det(task, s, status)
    spins = np.tanh(point.x)
    return Solution(
        beta=beta,
        magnetizations=in_levels(system, spins),
        free_energy=free_energy,
        free_energy_one_loop=free_energy + log_det / (2 * n * beta),
        log_det=log_det,
        distance_to_instability=distance,
        status=status,
        residual=point.residual,
        steps=point.steps,
        method=task.method.label,
        label=system.label,
        diagnosis=task.diagnosis,
        top_mode=reported_mode(system, task.top),
        note=note,
        _levels=system.levels,
        _spins=spins,
        _response=SaddleResponse(coupling, s),
    )


def _status(point: Point, distance: float) -> Status:
    if not point.converged:
        return Status.MAX_STEPS
    if abs(distance) <= CRITICAL_WIDTH:
        return Status.CRITICAL
    return Status.STABLE if distance > 0 else Status.UNSTABLE


def _log_det(task: Task, s: Array, status: Status) -> tuple[float, str]:
    if not task.method.one_loop:
        return float("nan"), "one_loop=False: ln det not computed"
    if status is not Status.STABLE:
        return float("nan"), f"no one-loop term at a point that is {status.name.lower()}"
    try:
        return task.system.coupling.log_det(s), ""
    except la.LinAlgError:
        return float("nan"), "the fluctuation matrix is singular to rounding"
