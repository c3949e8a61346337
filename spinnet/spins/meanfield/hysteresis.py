r"""Hysteresis: one branch of naive mean field followed there and back, in a field or in T.

A branch is followed from point to point by descent from the last solution.  A step is part of
the branch if the way back from it leads to where it came from; otherwise the branch has ended
in between, at a spinodal c*, which bisection encloses.  At a spinodal of a parameter c the
distance to instability and the order parameter go as sqrt(c* - c), so that the last two points
before it give c* far within the enclosure.

For the Curie-Weiss model at T < J, m_sp = +-sqrt(1 - T/J) and the coercive field is
J m_sp - T artanh(m_sp).  A finite system has no hysteresis in equilibrium: the loop is that of
the mean-field free energy, where a jump takes a time exp(N beta Delta f).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import ConvergenceError, InputError
from spinnet.progress import progress_bar
from spinnet.spins.meanfield.diagnosis import diagnosis_of
from spinnet.spins.meanfield.loop import Hysteresis, Jump, Sweep
from spinnet.spins.meanfield.method import checked_beta
from spinnet.spins.meanfield.naive import (
    NaiveMeanField,
    Task,
    checked_start,
    describe,
    reach,
    solve_naive,
    unknowns,
)
from spinnet.spins.meanfield.profile import profile_of
from spinnet.spins.meanfield.solution import Solution, Status
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array, as_fields
from spinnet.validation import bounded_array, positive_array

# two solutions nearer than this are one: at a critical point, where m - tanh(m) is m^3/3, a
# residual of 1e-12 leaves 1.4e-4 in m undetermined
_SAME = 5e-4
_ENCLOSURE = 1e-9  # of the range of a sweep
_JUMPS = 50  # within one step, before the rest of the step is taken as one
_BACK = 100.0  # enclosures from the end, for a second point where there is none
_KICKS = (0.01, 0.03, 0.1, 0.3)
_NUDGE = 1e-2  # along the top mode, off a solution that is no minimum


def hysteresis(
    model: SpinModel,
    *,
    fields: ArrayLike | None = None,
    betas: ArrayLike | None = None,
    beta: float | None = None,
    direction: ArrayLike = 1.0,
    start: ArrayLike | None = None,
    method: NaiveMeanField | None = None,
    locate: bool = True,
    progress: bool = False,
) -> Hysteresis:
    """Follow a mean-field branch along a field or a temperature, there and back.

    Parameters
    ----------
    model : SpinModel
    fields : array_like, shape (n_points,), optional
        Strictly rising or falling fields h; h times `direction` is added to the model's own
        fields, in the model's own levels.  Needs `beta`.
    betas : array_like, shape (n_points,), optional
        Strictly rising or falling inverse temperatures > 0, in place of `fields`.
    beta : float, optional
        Inverse temperature of a sweep in the field.
    direction : float or array_like, shape (n_spins,)
        What the field multiplies, and the weights of the order parameter (1/N) sum_i d_i m_i;
        1 is a uniform field and the magnetisation.
    start : float or array_like, shape (n_spins,), optional
        Magnetisations in [-1, 1], in +-1 spins, from which the first point is sought: it
        chooses the branch, such as the metastable one.  By default the branch of lowest free
        energy.
    method : NaiveMeanField, optional
        By default ``NaiveMeanField(one_loop=False)``.
    locate : bool
        Enclose each jump; otherwise it is known to half a step.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Hysteresis
        ``.forward`` and ``.back``, ``.jumps``, ``.area``, ``.plot()``.

    Raises
    ------
    InputError
        For bad arguments.
    ConvergenceError
        If no solution is found at a point, which the message names.

    Notes
    -----
    A loop narrower than one step is not seen, nor a jump below 5e-4 in every spin.  Where a
    branch loses its stability without ending, the state goes on along the positive top mode,
    and no jump is reported.

    Examples
    --------
    >>> import numpy as np, spinnet as sn
    >>> from spinnet.spins.meanfield.hysteresis import hysteresis
    >>> loop = hysteresis(
    ...     sn.CurieWeiss(100), beta=1.25, fields=np.linspace(-0.5, 0.5, 41),
    ...     method=sn.NaiveMeanField(diagonal=True),
    ... )
    >>> [round(jump.value, 8) for jump in loop.jumps]
    [0.06224414, -0.06224414]
    """
    method = NaiveMeanField(one_loop=False) if method is None else method
    if not isinstance(method, NaiveMeanField):
        raise InputError(f"method must be a NaiveMeanField(...), got {method!r:.80}")
    control, values = _control(fields, betas, beta)
    path = _Path(model, method, control, direction, beta)
    with progress_bar(2 * values.size, progress, "point") as bar:
        first = path.first(model, values[0], start)
        state, forward = _follow(path, first, values, "forward", locate, bar.update)
        _, back = _follow(path, state, values[::-1], "back", locate, bar.update)
    coldest = min(forward.solutions, key=lambda s: -s.beta)
    return Hysteresis(
        control=control,
        beta=float("nan") if beta is None else float(beta),
        direction=path.direction,
        forward=forward,
        back=back,
        label=path.system.label,
        method=method.label,
        caution=coldest.caution,
    )


def _control(
    fields: ArrayLike | None, betas: ArrayLike | None, beta: float | None
) -> tuple[str, Array]:
    """Return what is swept and its values: fields, or temperatures."""
    if (fields is None) == (betas is None):
        given = "none" if fields is None else "both"
        raise InputError(f"hysteresis needs one of fields and betas, got {given}")
    if fields is not None and beta is None:
        raise InputError("a sweep in fields needs beta, got None")
    if betas is not None and beta is not None:
        raise InputError(f"beta has no use beside betas, got {beta!r:.80}")
    name, given_values = ("fields", fields) if fields is not None else ("betas", betas)
    assert given_values is not None
    values = bounded_array(name, given_values, ndim=1)
    if values.size < 2:
        raise InputError(f"{name} must hold at least 2 values, got {values.size}")
    steps = np.diff(values)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        bad = int(np.argmax(steps * np.sign(steps[0]) <= 0)) + 1
        raise InputError(
            f"{name} must rise or fall strictly, got {values[bad]} after {values[bad - 1]} at "
            f"index {bad}; the way back is taken by itself"
        )
    if betas is None:
        return "field", values
    return "temperature", 1 / positive_array("betas", values)


class _State(NamedTuple):
    """A solution at one value of the swept parameter."""

    value: float
    solution: Solution
    spins: Array  # of the unknowns


class _Path:
    """The systems along a sweep, which share couplings, top mode and profile."""

    def __init__(
        self,
        model: SpinModel,
        method: NaiveMeanField,
        control: str,
        direction: ArrayLike,
        beta: float | None,
    ) -> None:
        self.method, self.control = method, control
        self.system = system_of(model, diagonal=method.diagonal)
        self.beta = None if beta is None else checked_beta(beta)
        coupling, n = self.system.coupling, self.system.n_reported
        self.direction = as_fields("direction", direction, n)
        if not np.any(self.direction):
            raise InputError("direction must not be all zeros")
        low, high = self.system.levels
        full = np.zeros(coupling.n_spins)
        full[:n] = self.direction * (high - low) / 2
        self._unit = unknowns("direction", full, coupling)
        self._middle = float(self.direction.sum()) * (high + low) / 2
        self._top = coupling.top()
        self._profile = profile_of(coupling, self._top)

    def task(self, value: float) -> Task:
        """Return the equations at one field or temperature."""
        system = self.system
        if self.control == "field":
            system = replace(
                system,
                fields=system.fields + value * self._unit,
                constant=system.constant - value * self._middle,
            )
        beta = 1 / value if self.beta is None else self.beta
        diagnosis = diagnosis_of(system, beta, profile=self._profile)
        return Task(system, beta, self.method, self._top, diagnosis)

    def first(self, model: SpinModel, value: float, start: ArrayLike | None) -> _State:
        """Return the first point: below the given start, or of lowest free energy."""
        if start is not None:
            return self.go(value, checked_start(self.system.coupling, start))
        task = self.task(value)
        best = solve_naive(model, task.beta, self.method, throw=True, system=task.system)
        assert best._spins is not None
        return _State(value, best, best._spins)

    def go(self, value: float, spins: Array) -> _State:
        """Return the minimum that descent from `spins` reaches at `value`."""
        task = self.task(value)
        solution = describe(task, reach(task, spins))
        if solution.status is Status.UNSTABLE:
            mode = self._top.vector[: spins.size]
            nudged = np.clip(spins + _NUDGE * mode / np.abs(mode).max(), -1, 1)
            solution = describe(task, reach(task, nudged))
        assert solution._spins is not None
        return _State(value, solution, solution._spins)

    def order(self, solution: Solution) -> float:
        """Return (1/N) sum_i d_i m_i."""
        return float(self.direction @ solution.magnetizations) / self.direction.size

    def advance(self, state: _State, value: float) -> tuple[_State, bool]:
        """Return the state at `value`, and whether the way back leads to `state` again."""
        new = self.go(value, state.spins)
        if new.solution.status is Status.MAX_STEPS:
            return new, False
        return new, _same(self.go(state.value, new.spins).spins, state.spins)

    def escape(self, alive: list[_State], stalled: _State) -> _State:
        """Return the state past the bottleneck that the end of a branch leaves behind.

        Within e of a spinodal descent needs of the order of 1/sqrt(e) steps: it is pushed on in
        the direction in which the branch moved.
        """
        before, after = (alive[0], stalled) if len(alive) == 1 else alive[-2:]
        move = after.spins - before.spins
        size = float(np.abs(move).max())
        for kick in _KICKS if size > 0 else ():
            pushed = np.clip(stalled.spins + kick * move / size, -1, 1)
            new = self.go(stalled.value, pushed)
            if new.solution.status is not Status.MAX_STEPS:
                return new
        return _at_fold(stalled)


def _at_fold(state: _State) -> _State:
    """Return a state that stands on the end of a branch itself as critical, any other as it is.

    The root is double there: its residual is the square of what m is uncertain by.
    """
    solution = state.solution
    soft = abs(solution.distance_to_instability) < math.sqrt(_SAME)
    if solution.residual > _SAME**2 or not soft:
        return state
    return state._replace(solution=replace(solution, status=Status.CRITICAL))


def _same(one: Array, other: Array) -> bool:
    return float(np.abs(one - other).max()) <= _SAME


def _follow(
    path: _Path,
    state: _State,
    values: Array,
    way: str,
    locate: bool,
    tick: Callable[[], object],
) -> tuple[_State, Sweep]:
    """Return the last state of one way, and the way."""
    states, jumps = [], []
    curve = [(state.value, path.order(state.solution))]
    for value in values.tolist():
        if value != state.value:
            state, met, points = _step(path, state, value, way, locate, float(np.ptp(values)))
            jumps += met
            curve += points
        states.append(state)
        tick()
    solutions = tuple(s.solution for s in states)
    order = np.array([path.order(s) for s in solutions])
    return state, Sweep(values.copy(), order, solutions, tuple(jumps), np.array(curve))


def _step(
    path: _Path, state: _State, value: float, way: str, locate: bool, span: float
) -> tuple[_State, list[Jump], list[tuple[float, float]]]:
    """Return the state at `value`, the jumps on the way to it, and the points of the curve."""
    jumps: list[Jump] = []
    points: list[tuple[float, float]] = []
    while True:
        new, alive = path.advance(state, value)
        if not alive:
            exact = locate and len(jumps) < _JUMPS
            end, beyond, jump = _end(path, state, value, way, _ENCLOSURE * span if exact else None)
            points += [(s.value, path.order(s.solution)) for s in end]
            if not _same(beyond.spins, (end or [state])[-1].spins):  # else it stands on the fold
                jumps.append(jump)
                points += [(jump.value, jump.before), (jump.value, jump.after)]
            new = beyond
        if new.solution.status is Status.MAX_STEPS:
            raise ConvergenceError(
                f"no solution at {path.control} = {new.value:.10g}, residual "
                f"{new.solution.residual:.1e}: raise max_steps of the method, or take smaller "
                "steps; the exception's .solution holds the last point",
                new.solution,
            )
        state = new
        if state.value == value:
            points.append((value, path.order(state.solution)))
            return state, jumps, points


def _end(
    path: _Path, state: _State, value: float, way: str, width: float | None
) -> tuple[list[_State], _State, Jump]:
    """Return points up to the end of a branch, the state beyond it, and the jump.

    Without a `width` to enclose the end to, it is somewhere on the way to `value`.
    """
    alive, beyond = [state], path.go(value, state.spins)
    while width is not None and abs(beyond.value - alive[-1].value) > width:
        middle = (beyond.value + alive[-1].value) / 2
        if middle in (beyond.value, alive[-1].value):
            break
        new, same = path.advance(alive[-1], middle)
        if same:
            alive.append(new)
        else:
            beyond = new
    last = alive[-1]
    if beyond.solution.status is Status.MAX_STEPS:
        beyond = path.escape(alive, beyond)
    if width is None:
        where, before = (last.value + value) / 2, path.order(last.solution)
    else:
        where, before = _spinodal(path, alive, beyond.value)
    error = max(abs(where - last.value), abs(where - beyond.value))
    return alive[1:], beyond, Jump(way, where, error, before, path.order(beyond.solution))


def _spinodal(path: _Path, alive: list[_State], beyond: float) -> tuple[float, float]:
    """Return the end of the branch, and its order there, from the last two points before it.

    There the square of the distance to instability is linear in the parameter, and the order
    is linear in the distance.
    """
    last, order = alive[-1], path.order(alive[-1].solution)
    earlier = (
        alive[-2]
        if len(alive) > 2
        else path.go(last.value - _BACK * (beyond - last.value), last.spins)
    )
    one, two = earlier.solution, last.solution
    d1, d2 = one.distance_to_instability, two.distance_to_instability
    if not 0 <= d2 < d1:
        return (last.value + beyond) / 2, order
    where = last.value + (last.value - earlier.value) * d2**2 / (d1**2 - d2**2)
    where = min(max(where, min(last.value, beyond)), max(last.value, beyond))
    return where, order + (order - path.order(one)) * d2 / (d1 - d2)
