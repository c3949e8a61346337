r"""The Almeida-Thouless line of the SK model: where replica symmetry fails in a field.

At field h the line is the temperature with beta^2 J^2 <sech^4> = 1 (J. de Almeida & D. Thouless,
J. Phys. A 11, 983 (1978)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import elementwise

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.spins.meanfield.gaussian_fields import Array
from spinnet.spins.meanfield.replica_symmetric import PlainValues, sk_state
from spinnet.validation import bounded_array, bounded_float, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STRONGEST = 6.0  # h/J at which T_AT = 8e-9 J: beyond, 1 - q would lose its digits


@dataclass(frozen=True, eq=False)
class ATLine(PlainValues):
    """The Almeida-Thouless line of the SK model.

    Attributes
    ----------
    J : float
    h, temperature : ndarray
        T_AT(h): RS is stable above it.
    """

    J: float
    h: Array
    temperature: Array

    def summary(self) -> str:
        """Return the ends of the line."""
        order = np.argsort(self.h)
        ends = [order[0], order[-1]] if order.size else []
        points = ", ".join(f"T_AT(h={self.h[k]:.6g}) = {self.temperature[k]:.6g}" for k in ends)
        return f"AT line of the SK model, J = {self.J:.6g}, {self.h.size} points: {points}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw T_AT against h, with the law of small fields (h/J)^2 = (4/3)(1 - T/J)^3."""
        ax = plotting.axes(ax)
        order = np.argsort(self.h)
        h, t = self.h[order] / self.J, self.temperature[order] / self.J
        plotting.line(ax, h, t, label="AT line: RS is stable above")
        law = 1 - (0.75 * h**2) ** (1 / 3)
        plotting.line(
            ax,
            h,
            np.where(law >= 0, law, np.nan),
            label="small fields: (h/J)^2 = (4/3)(1 - T/J)^3",
            color=plotting.GREY,
            dashes="--",
        )
        ax.set(xlabel="h/J", ylabel="T/J", ylim=(0, 1.05))
        ax.legend()
        return ax


def at_line(h: ArrayLike, J: float = 1.0) -> ATLine:
    """Return the temperature T_AT(h) below which replica symmetry fails in the SK model.

    Parameters
    ----------
    h : array_like, shape (n,) or ()
        Fields within +-6 J, where T_AT is 8e-9 J; their sign does not matter.
    J : float
        Width of the couplings, > 0.

    Returns
    -------
    ATLine
        T_AT falls from J at h = 0 like (h/J)^2 = (4/3)(1 - T/J)^3, and vanishes like
        (4/(3 sqrt(2 pi))) J exp(-h^2/(2 J^2)) in strong fields.

    Examples
    --------
    >>> round(float(at_line(0.0).temperature[0]), 12)
    1.0
    """
    J = bounded_float("J", positive_float("J", J))
    field = np.atleast_1d(bounded_array("h", h))
    if field.ndim != 1:
        raise InputError(f"h must be a number or have one dimension, got shape {field.shape}")
    x = np.abs(field) / J
    if x.size and x.max() > _STRONGEST:
        raise InputError(
            f"h must be within +-{_STRONGEST:g} J, got {float(field[np.argmax(x)]):g}: T_AT "
            "is below 1e-8 J there"
        )
    temperature = np.ones_like(x)
    free = x > 0
    if free.any():
        temperature[free] = _at_temperature(x[free])
    return ATLine(J, field, J * temperature)


def _at_temperature(x: Array) -> Array:
    """Return T_AT/J at h/J = x > 0."""

    def excess(log_t: Array, x: Array) -> Array:
        beta = np.exp(-log_t)
        state = sk_state(beta, np.ones_like(x), x)[1]
        return np.asarray(2 * np.log(beta) + np.log(state.sech4))

    # the strong-field law from below: q < 1 makes the field's density at 0 smaller, but not by 10
    low = np.log(0.1 * 4 / (3 * np.sqrt(2 * np.pi))) - x**2 / 2
    return np.exp(elementwise.find_root(excess, (low, np.zeros_like(x)), args=(x,)).x)
