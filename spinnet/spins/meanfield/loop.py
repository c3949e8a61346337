"""What a sweep there and back returns: the two ways, their jumps and the loop they enclose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spinnet import plotting
from spinnet.files import finite_or_null
from spinnet.spins.meanfield.solution import Solution
from spinnet.spins.models.base import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Jump:
    """Where a branch ends and the state jumps to another.

    Attributes
    ----------
    way : str
        "forward" or "back".
    value : float
        The field or temperature.
    error : float
        The end is enclosed within value +- error.
    before, after : float
        The order parameter at the end of the branch, and after the jump.
    """

    way: str
    value: float
    error: float
    before: float
    after: float


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """One way of a loop.

    Attributes
    ----------
    values : ndarray, shape (n_points,)
        Fields or temperatures, in the order they were taken.
    order : ndarray, shape (n_points,)
        (1/N) sum_i d_i m_i, with d the direction of the field.
    solutions : tuple of Solution
        One for each point.
    jumps : tuple of Jump
    curve : ndarray, shape (n, 2)
        Values and order with the points at which jumps were sought, for drawing and for the
        area; a jump is two points of one value.
    """

    values: Array
    order: Array
    solutions: tuple[Solution, ...]
    jumps: tuple[Jump, ...]
    curve: Array

    @property
    def magnetizations(self) -> Array:
        """<s_i> at each point, shape (n_points, n_spins)."""
        return np.array([s.magnetizations for s in self.solutions])

    @property
    def free_energy(self) -> Array:
        """Free energy per spin at each point."""
        return np.array([s.free_energy for s in self.solutions])

    @property
    def distance_to_instability(self) -> Array:
        """1 - lambda_max(beta D^{1/2} J D^{1/2}) at each point; 0 at a spinodal."""
        return np.array([s.distance_to_instability for s in self.solutions])


@dataclass(frozen=True, eq=False, repr=False)
class Hysteresis:
    """A branch followed there and back.

    Attributes
    ----------
    control : str
        "field" or "temperature".
    beta : float
        Inverse temperature of a sweep in the field; NaN for one in temperature.
    direction : ndarray, shape (n_spins,)
        What the field multiplies.
    forward, back : Sweep
    label, method : str
        The model with its field treatment, and the theory.
    caution : str
        Empty, or why naive mean field is not to be trusted here; of a sweep in temperature, at
        its coldest point.
    """

    control: str
    beta: float
    direction: Array
    forward: Sweep
    back: Sweep
    label: str
    method: str
    caution: str = ""

    @property
    def jumps(self) -> tuple[Jump, ...]:
        """The jumps of both ways, in the order in which they happen."""
        return self.forward.jumps + self.back.jumps

    @property
    def area(self) -> float:
        """Area between both ways: for a field, the energy lost per spin and cycle, -cycle m dh."""
        ways = (self.forward.curve, self.back.curve)
        lost = -sum(float(np.trapezoid(way[:, 1], way[:, 0])) for way in ways)
        return lost + 0.0 if self.control == "field" else abs(lost)  # no -0.0

    def summary(self) -> str:
        """Return the loop in a few lines for people."""
        first, last = self.forward.values[[0, -1]]
        where = "" if math.isnan(self.beta) else f" at beta = {self.beta:.10g}"
        lines = [
            f"{self.method}, {self.label}: {self.control} from {first:.6g} to {last:.6g} and "
            f"back{where}",
            f"  area of the loop {self.area:.6g}",
        ]
        lines += [
            f"  {j.way}: jump at {self.control} = {j.value:.10g} (+- {j.error:.1g}), order "
            f"{j.before:.6g} -> {j.after:.6g}"
            for j in self.jumps
        ]
        lines += [] if self.jumps else ["  no jump: the branch is continuous, both ways"]
        return "\n".join([*lines, f"  unreliable: {self.caution}"] if self.caution else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, the magnetisations of single spins left out."""
        return {
            "control": self.control,
            "beta": finite_or_null(self.beta),
            "direction": self.direction.tolist(),
            "label": self.label,
            "method": self.method,
            "area": self.area,
            "jumps": [dict(vars(jump)) for jump in self.jumps],
            "caution": self.caution,
            **{name: _plain(getattr(self, name)) for name in ("forward", "back")},
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the order parameter both ways, jumps as vertical lines; return the axes."""
        ax = plotting.axes(ax)
        ways = ((self.forward, plotting.BLUE, "-"), (self.back, plotting.VERMILLION, "--"))
        for (sweep, color, dashes), name in zip(ways, ("forward", "back"), strict=True):
            start, end = sweep.values[[0, -1]]
            label = f"{name}: {start:.4g} to {end:.4g}"
            curve = sweep.curve
            plotting.line(ax, curve[:, 0], curve[:, 1], color=color, dashes=dashes, label=label)
        if self.control == "field":
            ax.set_xlabel("field h along the direction")
            ax.set_title(f"temperature held at T = {1 / self.beta:.4g}", fontsize="small")
        else:
            ax.set_xlabel("temperature T = 1/beta")
            ax.set_title("fields of the model held fixed", fontsize="small")
        ax.set_ylabel("magnetisation per spin along the direction")
        ax.legend(loc="upper left")
        return ax


def _plain(sweep: Sweep) -> dict[str, object]:
    return {
        "values": sweep.values.tolist(),
        "order": sweep.order.tolist(),
        "free_energy": sweep.free_energy.tolist(),
        "distance_to_instability": sweep.distance_to_instability.tolist(),
    }
