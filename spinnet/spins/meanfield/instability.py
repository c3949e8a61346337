r"""Where a model with its fields loses stability in naive mean field, if it does.

With fields, the solution that comes from high temperature is magnetised at every T, and
1 - lambda_max(beta D^{1/2} J D^{1/2}), D = diag(1 - m^2), need not reach 0: then there is a
crossover, and no T_c.  It does reach 0 where the fields leave a symmetry, as in the homogeneous
two-layer {0, 1} network at h = -w/2, with T_c = (w/8)(1 - x^2), x = tanh(1/(1 + x)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from spinnet.files import finite_or_null
from spinnet.spins.meanfield.diagnosis import diagnosis_of
from spinnet.spins.meanfield.iteration import scales
from spinnet.spins.meanfield.naive import NaiveMeanField, Task, reach
from spinnet.spins.meanfield.profile import profile_of
from spinnet.spins.meanfield.system import positive_top, system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array

_HOTTEST, _COLDEST = 4.0, 0.02  # of lambda_max; the distance is at least 3/4 above
_LONGEST, _SHORTEST = 0.05, 1e-12  # steps, as shares of the temperature
_SAME = 1e-6
_LEAP = 0.15  # a step that moves a spin by more may have changed branches
_ZERO = 1e-7  # of the distance to instability, at a root enclosed to rounding
_ASIDE, _NEAR_ZERO = 1e-6, 1e-4  # a share of T below the root, and the distance there


@dataclass(frozen=True)
class Instability:
    """Where the branch from high temperature loses its stability, or how near it comes.

    Attributes
    ----------
    temperature : float
        Where the distance to instability reaches 0; NaN if it does not.
    kind : str
        "bifurcation" (the branch goes on, unstable), "end" (it ends, and the state jumps) or
        "crossover" (neither).
    distance : float
        Smallest distance to instability, 0 unless a crossover.
    nearest : float
        The temperature of that smallest distance.
    label : str
        The model and the treatment of its fields.
    note : str
        The same in words.
    """

    temperature: float
    kind: str
    distance: float
    nearest: float
    label: str
    note: str

    @property
    def beta(self) -> float:
        """1/temperature."""
        return 1 / self.temperature

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and words, None where there is no temperature."""
        return {name: finite_or_null(value) for name, value in vars(self).items()}


class _Point(NamedTuple):
    temperature: float
    spins: Array
    distance: float


class _Branch:
    """The solution that comes from high temperature, continued by Newton steps."""

    def __init__(self, model: SpinModel, method: NaiveMeanField) -> None:
        system = system_of(model, diagonal=method.diagonal)
        self.label = system.label
        top = positive_top(system.coupling, model)
        self.scale = top.value
        diagnosis = diagnosis_of(system, 1 / top.value, profile=profile_of(system.coupling, top))
        self._task = Task(system, 1 / top.value, method, top, diagnosis)

    def start(self, temperature: float) -> _Point:
        """Return the one solution above lambda_max."""
        spins = np.zeros(self._task.system.coupling.size)
        found = self.reach_at(temperature, spins, descend=True)
        assert found is not None
        return found

    def go(self, point: _Point, temperature: float) -> _Point | None:
        """Return the branch at another temperature, or None if Newton does not keep to it."""
        new = self.reach_at(temperature, point.spins, descend=False)
        if new is None:
            return None
        back = self.reach_at(point.temperature, new.spins, descend=False)
        if back is None or _apart(back, point) > _SAME or _apart(new, point) > _LEAP:
            return None
        return new

    def reach_at(self, temperature: float, spins: Array, *, descend: bool) -> _Point | None:
        """Return the solution that `spins` lead to, stable or not; None without convergence."""
        task = replace(self._task, beta=1 / temperature)
        end = reach(task, spins, descend=descend)
        if not end.converged:
            return None
        distance = 1 - task.system.coupling.top_of(scales(end.x, task.beta))
        return _Point(temperature, np.tanh(end.x), distance)


def _apart(one: _Point, other: _Point) -> float:
    return float(np.abs(one.spins - other.spins).max())


def instability(model: SpinModel, method: NaiveMeanField | None = None) -> Instability:
    """Return where a model, its fields included, loses stability on cooling.

    Parameters
    ----------
    model : SpinModel
    method : NaiveMeanField, optional

    Returns
    -------
    Instability
        ``.temperature`` is NaN for a crossover; without fields it is lambda_max.

    Raises
    ------
    InputError
        If the couplings have no positive eigenvalue.

    Notes
    -----
    The branch is followed from 4 lambda_max, where it is the only solution and the distance
    to instability at least 3/4, down to lambda_max/50.

    Examples
    --------
    >>> import numpy as np, spinnet as sn
    >>> from spinnet.spins.meanfield.instability import instability
    >>> network = sn.Bipartite(np.ones((20, 20)), bias_b=-0.5, scale=1 / 40)
    >>> round(instability(network).temperature, 10)  # (1 - x^2)/8, x = tanh(1/(1 + x))
    0.0851848833
    """
    branch = _Branch(model, NaiveMeanField() if method is None else method)
    points = [branch.start(_HOTTEST * branch.scale)]
    share = _LONGEST
    while points[-1].temperature > _COLDEST * branch.scale:
        point = points[-1]
        new = branch.go(point, point.temperature * (1 - share))
        if new is not None and new.distance > 0:
            points.append(new)
            share = min(1.3 * share, _LONGEST)
            continue
        root = None if new is None else _bifurcation(branch, point, new.temperature)
        if root is not None:
            return _result(branch, root, "bifurcation")
        share /= 3
        if share < _SHORTEST:
            return _result(branch, point.temperature, "end")
    return _nearest(branch, points)


def _bifurcation(branch: _Branch, stable: _Point, below: float) -> float | None:
    """Return where the distance passes through 0, or None if it jumps to another branch there."""

    def distance(temperature: float) -> float:
        if temperature == stable.temperature:
            return stable.distance
        end = branch.reach_at(temperature, stable.spins, descend=False)
        return -1.0 if end is None else end.distance

    if distance(below) > 0:
        return None
    root = float(brentq(distance, below, stable.temperature, xtol=_SHORTEST * below, rtol=1e-14))
    # at the end of a branch Newton finds another one, or nothing, right below the root
    passes = -_NEAR_ZERO < distance(root * (1 - _ASIDE)) < 0
    return root if abs(distance(root)) < _ZERO and passes else None


def _result(branch: _Branch, temperature: float, kind: str) -> Instability:
    words = {
        "bifurcation": "a bifurcation: the fields leave a symmetry that breaks here",
        "end": "the branch ends here and the state jumps to another",
    }
    return Instability(temperature, kind, 0.0, temperature, branch.label, words[kind])


def _nearest(branch: _Branch, points: list[_Point]) -> Instability:
    """Return how near a branch that stays stable comes to instability."""
    k = int(np.argmin([p.distance for p in points]))
    above, below = points[max(k - 1, 0)], points[min(k + 1, len(points) - 1)]

    def distance(temperature: float) -> float:
        end = branch.reach_at(temperature, points[k].spins, descend=False)
        return points[k].distance if end is None else end.distance

    bounds = (below.temperature, above.temperature)
    found = minimize_scalar(distance, bounds=bounds, method="bounded")
    smallest, where = float(found.fun), float(found.x)
    root = _bifurcation(branch, above, where) if smallest <= 0 else None
    if root is not None:  # the sign changed twice between two points
        return _result(branch, root, "bifurcation")
    if not 0 < smallest <= points[k].distance:
        smallest, where = points[k].distance, points[k].temperature
    note = (
        f"none: the fields round it off; the distance to instability is smallest, "
        f"{smallest:.4g}, at T = {where:.6g}"
    )
    return Instability(math.nan, "crossover", smallest, where, branch.label, note)
