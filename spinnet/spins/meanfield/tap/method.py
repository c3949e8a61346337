r"""TAP: mean field with Onsager's reaction, for couplings of random signs.

The free energy of Plefka's expansion to second order is minimised from several starts: message
passing brings them near, truncated Newton steps finish.  Where the free energy is convex one
start is enough.  A minimum counts only where Plefka's condition holds: at low temperature the
expansion has a deep minimum near m = 0 that means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la

from spinnet.errors import ConvergenceError, InputError
from spinnet.randomness import RandomState, generator
from spinnet.spins.meanfield.couplings import SparseCoupling, TopMode, UniformCoupling
from spinnet.spins.meanfield.diagnosis import Diagnosis, diagnosis_of
from spinnet.spins.meanfield.iteration import Point, descend
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_beta
from spinnet.spins.meanfield.points import in_levels, reported_mode, same, with_mirror
from spinnet.spins.meanfield.solution import CRITICAL_WIDTH, Status, lowest
from spinnet.spins.meanfield.system import System, system_of
from spinnet.spins.meanfield.tap.critical import critical_temperature, glass_temperature
from spinnet.spins.meanfield.tap.descent import minimise
from spinnet.spins.meanfield.tap.functional import TapFunctional
from spinnet.spins.meanfield.tap.message_passing import Passing, pass_messages
from spinnet.spins.meanfield.tap.response import FACTOR_LIMIT, TapResponse
from spinnet.spins.meanfield.tap.solution import TAPSolution
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array
from spinnet.validation import integer, positive_float

_MERGED = 1e-3  # ends of message passing closer than this lead to one solution
_NAIVE_STEPS = 100
_NEAR = 1e-3  # on the way from a naive minimum, no more is needed
_WEIGHTS = (0.25, 0.5, 0.75)  # of the reaction, on that way
_BREAKABLE = 1000  # spins of a Curie-Weiss model that are solved one by one if need be
_INSTEAD = {
    "exact": "sn.exact.enumerate sums over all states of a system this small",
    "naive": "try method=NaiveMeanField()",
    "adaptive-tap": "try method=AdaptiveTAP()",
    "bethe": "try method=Bethe()",
}  # by what a diagnosis recommends


@dataclass(frozen=True)
class TAP(MeanFieldMethod):
    """The equations of Thouless, Anderson and Palmer, with their tolerances.

    For dense couplings of random signs and independent entries (for trained weights see
    AdaptiveTAP, for strong single bonds Bethe).  Self-couplings are left out.

    Parameters
    ----------
    n_starts : int
        Random starts, besides zero, the top mode, the uniform states and the fields.
    rtol : float
        A solution has max |m - tanh(beta (h + J m - beta m K(1 - m^2)))| <= rtol.
    max_steps : int
        Newton steps for each start.
    message_passing_steps : int
        Steps of approximate message passing before them; 0 for none.
    rng : None, int, SeedSequence or Generator
        Draws the random starts.
    """

    n_starts: int = 8
    rtol: float = 1e-12
    max_steps: int = 500
    message_passing_steps: int = 200
    rng: RandomState = 0

    def __post_init__(self) -> None:
        integer("n_starts", self.n_starts, minimum=0)
        integer("max_steps", self.max_steps, minimum=1)
        integer("message_passing_steps", self.message_passing_steps, minimum=0)
        if not 1e-15 <= positive_float("rtol", self.rtol) <= 1e-3:
            raise InputError(f"rtol must lie in [1e-15, 1e-3], got {self.rtol}")

    @property
    def label(self) -> str:
        """The name to print beside a number."""
        return "TAP"

    def solve(self, model: SpinModel, beta: float, *, throw: bool = True) -> TAPSolution:
        """Return the physical solution of lowest free energy, with every other one found.

        `unstable_branches` holds the points that are no minima, and the minima where Plefka's
        condition fails.  Below the temperature where several stable solutions exist without a
        symmetry between them, the system is a glass: each is one metastable state, the lowest
        found need not be the lowest there is, and none is the equilibrium state; the note says
        so.

        Raises
        ------
        ConvergenceError
            If no start leads to a stable solution that satisfies Plefka's condition: below
            T_SG, or below the line of de Almeida and Thouless in a field, that is the rule.
            Its `.solution` is the point that violates the condition least; the message names
            what suits these couplings better.
        """
        return _solve(model, beta, self, throw=throw)

    def critical_temperature(self, model: SpinModel) -> float:
        r"""Return max(T_F, T_SG), where TAP's paramagnet loses its stability.

        T_F is the highest temperature where 1 + beta^2 diag(sum_j J_ij^2) - beta J is singular,
        T_SG = sqrt(mean_i sum_j J_ij^2) (two layers: (v_a v_b)^{1/4}) where Plefka's condition
        fails.  Fields are dropped.

        `critical_point(model).onsager` estimates the same with the bulk of the spectrum as it
        is, T_F = 1/G(lambda_1), in place of the reaction of independent entries,
        T_F + r/T_F = lambda_1, and it drops a top mode that a random bulk could produce.  For
        an outlier on a bulk of independent entries both agree as N grows.  This one is where
        the Hessian of this very system becomes singular, so that `solve` finds the paramagnet
        stable above and not below; for couplings of other spectra see AdaptiveTAP.

        Raises InputError if there are no couplings.
        """
        return critical_temperature(system_of(model, diagonal=False).coupling, model)


@dataclass(frozen=True, eq=False)
class _Task:
    """One system at one temperature, and what all its solutions share."""

    system: System
    functional: TapFunctional
    method: TAP
    top: TopMode
    diagnosis: Diagnosis

    @property
    def beta(self) -> float:
        return self.functional.beta

    @property
    def convex(self) -> bool:
        """Whether Phi is convex whatever m is, by the bound of `_convex`."""
        rows = self.system.coupling.row_squares()
        return _convex(self.beta * self.top.value, self.beta**2 * float(rows.max()))


def _convex(naive: float, reaction: float) -> bool:
    """Return whether 1 - naive D - 2 reaction D (1 - D) > 0 for all D in [0, 1].

    With naive = beta lambda_max(J) and reaction = beta^2 max_i sum_j J_ij^2 this bounds the
    eigenvalues of D^{1/2} Hess D^{1/2} from below, J by its top eigenvalue and K by its rows.
    """
    if naive >= 2 * reaction:
        return naive < 1
    return (naive + 2 * reaction) ** 2 < 8 * reaction


def _task(model: SpinModel, beta: float, method: TAP) -> _Task:
    system = system_of(model, diagonal=False)
    functional = TapFunctional.of(system.coupling, system.fields, checked_beta(beta))
    top = system.coupling.top()
    diagnosis = diagnosis_of(system, functional.beta, top)
    return _Task(system, functional, method, top, diagnosis)


def _solve(model: SpinModel, beta: float, method: TAP, *, throw: bool) -> TAPSolution:
    task = _task(model, beta, method)
    good, rest, tried = _search(task)
    if not good and _hides_order(task):
        system = system_of(model.to_ising(), diagonal=False)
        system = replace(system, label=task.system.label)
        functional = TapFunctional.of(system.coupling, system.fields, task.beta)
        top = system.coupling.top()
        task = replace(task, system=system, functional=functional, top=top)
        good, rest, tried = _search(task)
    rest.sort(key=lambda s: (s.status is Status.MAX_STEPS, -s.plefka))
    branches = [b for b in lowest(good) if isinstance(b, TAPSolution)] if good else rest
    unstable = tuple(b for b in rest if b.status is not Status.MAX_STEPS)
    answer = replace(branches[0], all_branches=tuple(good and branches), unstable_branches=unstable)
    if not good:
        if throw:
            raise ConvergenceError(_failure(task, answer, tried), answer)
        return answer
    return replace(answer, note=_meaning(task, branches) or answer.note)


def _search(task: _Task) -> tuple[list[TAPSolution], list[TAPSolution], int]:
    """Return the physical solutions, the other points, and how many were not mirror images."""
    good: list[TAPSolution] = []
    rest: list[TAPSolution] = []
    tried = 0
    for solution in _solutions(task):
        tried += 1
        for candidate in with_mirror(task.system, solution):
            (good if _physical(candidate) else rest).append(candidate)
    return good, rest, tried


def _hides_order(task: _Task) -> bool:
    """Whether one unknown for all spins hides the order of an antiferromagnet, of zero mean."""
    coupling = task.system.coupling
    if not isinstance(coupling, UniformCoupling):
        return False
    return coupling.pair < 0 and 1 < coupling.n_spins <= _BREAKABLE


def _physical(solution: TAPSolution) -> bool:
    return solution.status in (Status.STABLE, Status.CRITICAL)


def _failure(task: _Task, solution: TAPSolution, tried: int) -> str:
    glass = glass_temperature(task.system.coupling)
    return (
        f"no stable TAP solution that satisfies Plefka's condition from {tried} start(s) at "
        f"beta={task.beta:.10g} (beta T_SG = {task.beta * glass:.6g}; best x = "
        f"{solution.plefka:.3g}, residual {solution.residual:.1e}): {solution.status.value}; "
        f"the exception's .solution holds that point, throw=False returns it; {_instead(task)}"
    )


def _instead(task: _Task) -> str:
    """Return what to do where TAP has no state."""
    if task.system.label.startswith("Curie-Weiss"):
        return "sn.exact.curie_weiss is exact at any size"
    monte_carlo = "sample the model by Monte Carlo (sn.sample), as in a glass phase"
    return _INSTEAD.get(task.diagnosis.recommended, monte_carlo)


def _meaning(task: _Task, branches: list[TAPSolution]) -> str:
    """Return what the lowest solution is not, where the couplings freeze at random."""
    if task.beta * glass_temperature(task.system.coupling) <= 1:
        return ""
    mirrored = 1 if task.system.has_fields or not np.any(branches[0]._spins) else 2
    count = len(branches) // mirrored
    if count > 1:
        return (
            f"{count} distinct stable solutions below T_SG, up to symmetry: each is one "
            "metastable state, the lowest found need not be the lowest there is, and none is the "
            "equilibrium state"
        )
    if branches[0].message_passing_converged:
        return ""
    return (
        "below T_SG, and message passing does not converge to this solution, as beyond the line "
        "of de Almeida and Thouless: it is one metastable state, not the equilibrium state"
    )


def _solutions(task: _Task) -> Iterator[TAPSolution]:
    """Yield the distinct solutions that the starts lead to, of mirror images one."""
    functional, method = task.functional, task.method
    mirrored = not task.system.has_fields
    known: list[TAPSolution] = []
    starts = np.stack(list(_starts(task)), axis=1)
    if mirrored:
        known.append(_describe(task, Point(starts[:, 0], 0.0, 0, True), True, 0))
        yield known[0]
        starts = starts[:, 1:]
    if starts.shape[1] == 0:
        return
    passing = pass_messages(functional, starts, method.message_passing_steps)
    settled: np.ndarray = np.zeros(starts.shape[1], dtype=bool)
    for group in _groups(passing):
        first = group[0]
        point = minimise(functional, passing.x[:, first], method.rtol, method.max_steps)
        solution = _among(known, np.tanh(point.x), mirrored)
        if solution is None:
            passed, steps = bool(passing.converged[first]), int(passing.steps[first])
            solution = _describe(task, point, passed, steps)
            known.append(solution)
            yield solution
        settled[group] = _physical(solution)
    for alone in np.flatnonzero(~settled):
        begin = _frozen(task, starts[:, alone])
        point = minimise(functional, begin, method.rtol, method.max_steps)
        if _among(known, np.tanh(point.x), mirrored) is None:
            known.append(_describe(task, point, False, int(passing.steps[alone])))
            yield known[-1]


def _frozen(task: _Task, start: Array) -> Array:
    """Return the local fields of a naive minimum on which the reaction was switched on in steps.

    Deep in a glass message passing does not converge, but TAP's states are near naive ones.
    """
    coupling, fields, beta = task.system.coupling, task.system.fields, task.beta
    m, _ = descend(start, coupling, fields, beta, _NAIVE_STEPS, _NEAR)
    x = beta * (fields + coupling.apply(m))
    for weight in _WEIGHTS:
        partial = replace(task.functional, weight=weight)
        x = minimise(partial, x, _NEAR, task.method.max_steps).x
    return np.asarray(x)


def _starts(task: _Task) -> Iterator[Array]:
    """Yield the starting magnetisations of the unknowns."""
    size, has_fields = task.system.coupling.size, task.system.has_fields
    yield np.zeros(size)
    if task.convex:
        return
    if size == 1:
        yield from (np.array([0.9]), np.array([-0.9]))
        return
    signs = (1.0, -1.0) if has_fields else (1.0,)  # else the partner is a mirror
    mode = 0.9 * task.top.vector / np.abs(task.top.vector).max()
    for sign in signs:
        yield sign * mode
        yield np.full(size, 0.9 * sign)
    if has_fields:
        yield np.tanh(task.beta * task.system.fields)
    rng = generator(task.method.rng)
    for _ in range(task.method.n_starts):
        yield rng.uniform(-1, 1, size)


def _groups(passing: Passing) -> list[list[int]]:
    """Return the starts with the same end, quickest first; one not converged is by itself."""
    groups: list[list[int]] = []
    ends = np.tanh(passing.x)
    for k in np.argsort(passing.steps, kind="stable"):
        for group in groups:
            both = passing.converged[k] and passing.converged[group[0]]
            if both and np.abs(ends[:, k] - ends[:, group[0]]).max() <= _MERGED:
                group.append(int(k))
                break
        else:
            groups.append([int(k)])
    return groups


def _describe(task: _Task, point: Point, passed: bool, steps: int) -> TAPSolution:
    """Return all that is reported about one point."""
    system, functional = task.system, task.functional
    n, beta = system.n_reported, task.beta
    here = functional.at(point.x)
    response = TapResponse(functional, here)
    distance, plefka = response.distance(), functional.plefka(here)
    status = _status(point, distance, plefka)
    log_det, note = _log_det(task, response, status)
    return TAPSolution(
        beta=beta,
        magnetizations=in_levels(system, here.m),
        free_energy=(here.value / beta + system.constant) / n,
        free_energy_one_loop=float("nan"),
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
        plefka=plefka,
        message_passing_converged=passed,
        message_passing_steps=steps,
        _levels=system.levels,
        _spins=here.m,
        _response=response,
    )


def _status(point: Point, distance: float, plefka: float) -> Status:
    if not point.converged:
        return Status.MAX_STEPS
    if distance < -CRITICAL_WIDTH:
        return Status.UNSTABLE
    if plefka < -CRITICAL_WIDTH:
        return Status.SPURIOUS
    return Status.CRITICAL if distance <= CRITICAL_WIDTH else Status.STABLE


def _log_det(task: _Task, response: TapResponse, status: Status) -> tuple[float, str]:
    if status is not Status.STABLE:
        return float("nan"), f"no determinant at a point that is {status.name.lower()}"
    if isinstance(task.system.coupling, SparseCoupling) and response.n_spins > FACTOR_LIMIT:
        return float("nan"), f"ln det is not computed for sparse couplings above {FACTOR_LIMIT}"
    try:
        return response.log_det(), ""
    except la.LinAlgError:
        return float("nan"), "the Hessian is singular to rounding"


def _among(known: list[TAPSolution], m: Array, mirrored: bool) -> TAPSolution | None:
    """Return the known solution with these magnetisations, or with `mirrored` their opposite."""
    for solution in known:
        other = solution._spins
        assert other is not None
        if same(m, other) or (mirrored and same(-m, other)):
            return solution
    return None
