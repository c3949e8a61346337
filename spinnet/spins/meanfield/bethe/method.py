"""Bethe: belief propagation as a mean-field theory of any spin model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from spinnet.errors import ConvergenceError, InputError
from spinnet.randomness import RandomState, generator
from spinnet.spins.meanfield.bethe.descent import STRONGEST, minimise
from spinnet.spins.meanfield.bethe.double_loop import double_loop
from spinnet.spins.meanfield.bethe.graph import graph_of
from spinnet.spins.meanfield.bethe.hessian import correlation_coefficients, hessian_of
from spinnet.spins.meanfield.bethe.pair import gain
from spinnet.spins.meanfield.bethe.propagation import (
    Point,
    Task,
    bond_gains,
    correlations,
    local_fields,
    log_z,
    messages_from,
    propagate,
)
from spinnet.spins.meanfield.bethe.solution import BetheResponse, BetheSolution
from spinnet.spins.meanfield.bethe.spectrum import growth_of
from spinnet.spins.meanfield.couplings import TopMode
from spinnet.spins.meanfield.diagnosis import Diagnosis, diagnosis_of
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_beta
from spinnet.spins.meanfield.points import (
    add_if_new,
    in_levels,
    reported_mode,
    same,
    with_mirror,
)
from spinnet.spins.meanfield.solution import CRITICAL_WIDTH, Solution, Status, lowest
from spinnet.spins.meanfield.system import System, system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array
from spinnet.validation import integer, positive_float

if TYPE_CHECKING:
    from spinnet.spins.meanfield.bethe.hessian import Hessian

_RESIDUE = 1e-7  # points closer than this are one: what a residual of rtol leaves undecided
_SMALL = 1e-2  # magnetisations below this are compared with the paramagnet's own stability
_LEAST_CURVATURE = 1e-3  # of -d0/max m^2 where order m grows continuously; 1/(3 sqrt N) at least
_LOOP_DEGREE = 64  # bonds of a spin above which the double loop hardly moves
_START = 1.5  # log-odds of the ordered starts, m = 0.9


@dataclass(frozen=True)
class Bethe(MeanFieldMethod):
    """The Bethe approximation, solved by belief propagation.

    Exact where the bonds form no loop, at any strength; good where loops are long (sparse
    graphs) or bonds are weak (where it agrees with TAP to leading order).  Each bond is treated
    exactly, so that single strong bonds, of heavy-tailed weights, freeze no spins.

    Parameters
    ----------
    n_starts : int
        Random starts, besides no messages, the uniform states, the top mode and the fields.
        One start is enough, and only one is made, on forests and where propagation is a
        contraction (spectral radius with tanh |beta J| below 1; Mooij & Kappen 2007).
    rtol : float
        A solution has messages that one more update changes by at most rtol (1 + |u|).
    max_steps : int
        Sweeps of belief propagation for each start; where they do not converge, Newton
        steps that lower the Bethe free energy, or the outer steps of a double loop, take over,
        as many each.
    one_loop : bool or None
        Compute ln det of the Hessian and the one-loop free energy; None, where it is cheap.
        They are NaN in any case where bonds above some 15 T close a loop.
    rng : None, int, SeedSequence or Generator
        Draws the random starts.

    Examples
    --------
    >>> import spinnet as sn
    >>> from spinnet.spins.meanfield.bethe import Bethe
    >>> pair = sn.Ising([[0, 1], [1, 0]], h=[0.3, 0.0])
    >>> s = sn.solve(pair, beta=2.0, method=Bethe())
    >>> exact = sn.exact.enumerate(pair, 2.0)
    >>> bool(abs(s.free_energy - exact.free_energy) < 1e-12)
    True
    """

    n_starts: int = 4
    rtol: float = 1e-12
    max_steps: int = 1000
    one_loop: bool | None = None
    rng: RandomState = 0

    def __post_init__(self) -> None:
        integer("n_starts", self.n_starts, minimum=0)
        integer("max_steps", self.max_steps, minimum=1)
        if not 1e-15 <= positive_float("rtol", self.rtol) <= 1e-3:
            raise InputError(f"rtol must lie in [1e-15, 1e-3], got {self.rtol}")
        if not (self.one_loop is None or isinstance(self.one_loop, (bool, np.bool_))):
            raise InputError(f"one_loop must be True, False or None, got {self.one_loop!r:.80}")

    @property
    def label(self) -> str:
        """The name to print beside a number."""
        return "Bethe (belief propagation)"

    def solve(self, model: SpinModel, beta: float, *, throw: bool = True) -> BetheSolution:
        """Return the solution of lowest free energy, with every other one found."""
        return solve_bethe(model, beta, self, throw=throw)

    def ferromagnetic_temperature(self, model: SpinModel) -> float:
        """Return where the Bethe Hessian of the zero-field paramagnet first loses positivity.

        See `spinnet.spins.meanfield.bethe.temperatures.ferromagnetic_temperature`.
        """
        from spinnet.spins.meanfield.bethe.temperatures import ferromagnetic_temperature

        return ferromagnetic_temperature(model)

    def spin_glass_temperature(self, model: SpinModel) -> float:
        """Return where the messages with squared weights tanh^2(beta J) begin to grow.

        See `spinnet.spins.meanfield.bethe.temperatures.spin_glass_temperature`.
        """
        from spinnet.spins.meanfield.bethe.temperatures import spin_glass_temperature

        return spin_glass_temperature(model)

    def critical_temperature(self, model: SpinModel) -> float:
        """Return the larger of the ferromagnetic and the spin-glass temperature, fields dropped.

        InputError where the bonds form at most one loop: no transition at any T > 0.
        """
        from spinnet.spins.meanfield.bethe.temperatures import critical_temperature

        return critical_temperature(model)


@dataclass(frozen=True, eq=False)
class _Job:
    """One system at one temperature, and what all its solutions share."""

    system: System
    task: Task
    beta: float
    method: Bethe
    top: TopMode
    diagnosis: Diagnosis

    @cached_property
    def zero_distance(self) -> float:
        """The smallest eigenvalue of the Hessian at m = 0."""
        task = self.task
        gains = gain(task.bond, np.zeros(task.bond.shape))
        return hessian_of(task.graph, *correlation_coefficients(task.graph, *gains)).lowest()


def solve_bethe(model: SpinModel, beta: float, method: Bethe, *, throw: bool) -> BetheSolution:
    """Return the solution of lowest free energy, with every other one found."""
    job = _job(model, beta, method)
    found: list[Solution] = []
    rest: list[Solution] = []
    for point in _distinct(job):
        described = _describe(job, point)
        for solution in with_mirror(job.system, described, _messages=-point.u):
            good = solution.status in (Status.STABLE, Status.CRITICAL)
            add_if_new(found if good else rest, solution, _RESIDUE)
    branches = lowest(found or rest)
    unstable = tuple(b for b in rest if b.status is Status.UNSTABLE)
    answer = branches[0]
    assert isinstance(answer, BetheSolution)
    answer = replace(
        answer,
        all_branches=tuple(branches if found else ()),
        unstable_branches=unstable,
        caution=_caution(answer),
    )
    if not found and throw:
        raise ConvergenceError(_failure(answer, len(rest)), answer)
    return answer


def _caution(solution: BetheSolution) -> str:
    """Return why a solution is not to be trusted, or nothing."""
    if not solution.exact:
        task, u = solution._point
        rho, log_rest = correlation_coefficients(task.graph, *bond_gains(task, u))
        # weights rho^2 of one sign: radius below 1 is a positive Hessian
        if hessian_of(task.graph, rho**2, log_rest + np.log1p(rho**2)).lowest() > 0:
            return ""
    growth = solution.glass_radius
    if growth <= 1:
        return ""
    return (
        f"squared changes of the messages grow, by {growth:.4g} a step: the phase is a glass of "
        "many states, or loops are short and strong; take Monte Carlo, or exact sums"
    )


def _job(model: SpinModel, beta: float, method: Bethe) -> _Job:
    beta = checked_beta(beta)
    system = system_of(model, diagonal=False)
    graph = graph_of(system.coupling)
    field = beta * system.fields
    top = system.coupling.top()
    diagnosis = diagnosis_of(system, beta, top)
    return _Job(system, Task(graph, beta * graph.couplings, field), beta, method, top, diagnosis)


def _distinct(job: _Job) -> list[Point]:
    """Return the different points that the starts lead to, those that did not settle included."""
    points: list[Point] = []
    seen: list[Array] = []
    for start in _starts(job):
        point = _settle(job, start)
        spins = np.tanh(local_fields(job.task, point.u))
        if points and not job.system.has_fields and _is_paramagnet(job, spins):
            continue  # the first start was it
        if not any(same(spins, other, _RESIDUE) for other in seen):
            points.append(point)
            seen.append(spins)
    return points


def _is_paramagnet(job: _Job, spins: Array) -> bool:
    """Whether small magnetisations without fields are what is left of a slow decay to zero.

    Small order needs an unstable paramagnet, whose smallest eigenvalue d0 is about -m^2: at the
    critical point a residual of 1e-12 is met by m = 1e-4 already.
    """
    largest = float(np.abs(spins).max())
    if largest <= _RESIDUE:
        return True
    return largest < _SMALL and not job.zero_distance < -_LEAST_CURVATURE * largest**2


def _starts(job: _Job) -> Iterator[Array]:
    """Yield log-odds of the spins to start from; zero stands for no messages at all."""
    task, n = job.task, job.task.graph.size
    yield np.zeros(n)
    if task.graph.is_forest or _contracts(task):
        return
    if n == 1:
        yield from (np.array([_START]), np.array([-_START]))
        return
    signs = (1.0, -1.0) if job.system.has_fields else (1.0,)  # else the partner is a mirror
    mode = job.top.vector / np.abs(job.top.vector).max()
    for sign in signs:
        yield sign * _START * mode
        # messages grow up to the strongest bond, by one field a sweep if they start from less
        yield np.full(n, sign * (_START + float(np.abs(task.bond).max())))
    if job.system.has_fields:
        yield task.field
    rng = generator(job.method.rng)
    for _ in range(job.method.n_starts):
        yield rng.uniform(-_START, _START, n)


def _contracts(task: Task) -> bool:
    """Whether propagation is a contraction whatever the fields, so that one solution exists."""
    strengths = np.tanh(np.abs(task.bond))
    if float(task.graph.incoming(strengths).max()) < 1:  # bounds the spectral radius
        return True
    return growth_of(task.graph, strengths, signed=False) < 1 - 1e-6


def _settle(job: _Job, start: Array) -> Point:
    """Return the fixed point that a start leads to."""
    task, method = job.task, job.method
    if not np.any(start):
        u = np.zeros(task.bond.shape)
        if not job.system.has_fields:
            return Point(u, 0.0, 0, True)
    else:
        u = messages_from(task, start)
    point = propagate(task, u, method.rtol, method.max_steps)
    if point.converged:
        return point
    again = Point(point.u, np.inf, 0, False)
    if np.abs(task.bond).max() <= STRONGEST:
        again = minimise(task, start, method.rtol, method.max_steps)
    few = 2 * task.graph.n_bonds <= _LOOP_DEGREE * task.graph.n_spins
    if not again.converged and few:
        last = double_loop(task, u, method.rtol, method.max_steps)
        again = replace(last, steps=again.steps + last.steps)
    best = again if again.converged or again.residual < point.residual else point
    return replace(best, steps=point.steps + again.steps)


def _describe(job: _Job, point: Point) -> BetheSolution:
    """Return all that is reported about one point."""
    system, task, beta = job.system, job.task, job.beta
    n, graph = system.n_reported, task.graph
    x = local_fields(task, point.u)
    rho, log_rest = correlation_coefficients(graph, *bond_gains(task, point.u))
    hessian = hessian_of(graph, rho, log_rest)
    distance = hessian.lowest()
    status, note = _status(job, point, distance)
    free = system.constant - log_z(task, point.u) / beta
    energy = _energy(job, point.u, x)
    log_det, why = _log_det(job, hessian, status)
    loops = log_det + graph.bond_sum(log_rest)
    spins = np.tanh(x)
    spread = system.coupling.expand(1 / np.cosh(np.minimum(np.abs(x), 300.0)))
    return BetheSolution(
        beta=beta,
        magnetizations=in_levels(system, spins),
        free_energy=free / n,
        free_energy_one_loop=(free + loops / (2 * beta)) / n,
        log_det=log_det,
        distance_to_instability=distance,
        status=status,
        residual=point.residual,
        steps=point.steps,
        method=job.method.label,
        label=system.label,
        diagnosis=job.diagnosis,
        top_mode=reported_mode(system, job.top),
        note="; ".join(filter(None, (note, why))),
        _levels=system.levels,
        _spins=spins,
        _response=BetheResponse(hessian, np.asarray(spread), beta),
        exact=graph.is_forest,
        energy=energy,
        entropy=beta * (energy - free),
        _task=task,
        _messages=point.u,
    )


def _energy(job: _Job, u: Array, x: Array) -> float:
    """Return <E> of the pairs and fields of +-1 spins."""
    graph, system = job.task.graph, job.system
    pairs = graph.bond_sum(graph.couplings * correlations(job.task, u))
    fields = graph.copies * float(system.fields @ np.tanh(x))
    return system.constant - pairs - fields


def _status(job: _Job, point: Point, distance: float) -> tuple[Status, str]:
    if not point.converged:
        return Status.MAX_STEPS, ""
    if np.isnan(distance):
        # a fixed point that holds the messages is a minimum (Heskes, NIPS 2002)
        growth = growth_of(job.task.graph, bond_gains(job.task, point.u)[0], signed=True)
        note = f"the smallest eigenvalue was not reached; radius of the messages {growth:.4g}"
        return (Status.STABLE if growth < 1 else Status.UNSTABLE), note
    if abs(distance) <= CRITICAL_WIDTH:
        return Status.CRITICAL, ""
    return (Status.STABLE if distance > 0 else Status.UNSTABLE), ""


def _log_det(job: _Job, hessian: Hessian, status: Status) -> tuple[float, str]:
    if job.method.one_loop is not None and not job.method.one_loop:
        return float("nan"), "one_loop=False: ln det not computed"
    if status is not Status.STABLE:
        return float("nan"), f"no one-loop term at a point that is {status.name.lower()}"
    value = hessian.log_det(force=bool(job.method.one_loop))
    if not np.isnan(value):
        return value, ""
    if hessian.loop_is_locked():
        return value, "ln det not computed: bonds far above T close a loop, and leave it no digits"
    return value, "ln det not computed: it would fill memory (one_loop=True insists)"


def _failure(solution: Solution, starts: int) -> str:
    return (
        f"no stable solution of belief propagation from {starts} start(s) at "
        f"beta={solution.beta:.10g}, residual {solution.residual:.1e}: {solution.status.name}; "
        "raise max_steps, or take Monte Carlo if the phase is a glass; the exception's .solution "
        "holds the last point, throw=False returns it"
    )
