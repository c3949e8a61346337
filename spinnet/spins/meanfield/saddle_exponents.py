r"""Critical exponents of a system by its own saddle point: beta, gamma and delta.

The zero-field equations are solved below T_c, above it, and at T_c in a field along the top
mode v.  With a = v.m and t = T/T_c - 1 they give a ~ |t|^beta, chi_top = v.chi.v ~ |t|^-gamma and
a ~ h^{1/delta}.  For an isolated top mode the amplitudes are known too:
a^2 = 3|t|/sum_i v_i^4 and chi_top = 1/(lambda t), 1/(2 lambda |t|).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinnet.errors import InputError
from spinnet.spins.critical.fits import LogSlope, log_slope
from spinnet.spins.meanfield.critical_point import CriticalPoint, critical_point
from spinnet.spins.meanfield.iteration import newton, scales
from spinnet.spins.meanfield.naive import NaiveMeanField
from spinnet.spins.meanfield.system import System, system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array
from spinnet.validation import finite_array, integer


@dataclass(frozen=True, eq=False)
class SaddlePointExponents:
    """Exponents of the saddle point over a window of reduced temperature.

    Each value is the slope of the fit with one analytic correction (c |t|; for delta c h^{2/3}).
    Its error is the larger of the fit's own and the change when only the lower half of the
    window (in logarithm) is fitted.

    Attributes
    ----------
    beta, gamma, gamma_below, delta : float
        1/2, 1, 1 and 3 for an isolated top mode.
    beta_error, gamma_error, gamma_below_error, delta_error : float
    amplitude_ratio : float
        a^2 sum v^4/(3|t|) at the smallest |t|; tends to 1.
    susceptibility_ratio : float
        chi_top(t)/chi_top(-t) at the smallest |t|; tends to 2.
    window : (float, float)
        Range of |t|.
    fits : mapping of name to LogSlope
        The corrected fits of a, chi_top above, chi_top below, and a against the field.
    plain_slopes : mapping of name to float
        Straight-line slopes over the same window, to show what the correction changes.
    critical_point : CriticalPoint
    """

    beta: float
    beta_error: float
    gamma: float
    gamma_error: float
    gamma_below: float
    gamma_below_error: float
    delta: float
    delta_error: float
    amplitude_ratio: float
    susceptibility_ratio: float
    window: tuple[float, float]
    fits: dict[str, LogSlope]
    plain_slopes: dict[str, float]
    critical_point: CriticalPoint

    def summary(self) -> str:
        """Return the exponents in a few lines for people."""
        low, high = self.window
        pairs = ("beta", "gamma", "gamma_below", "delta")
        values = ", ".join(
            f"{name} = {getattr(self, name):.6g} +- {getattr(self, f'{name}_error'):.1g}"
            for name in pairs
        )
        return (
            f"saddle point of {self.critical_point.label}, |t| in [{low:g}, {high:g}]\n  {values}"
            f"\n  a^2 sum v^4/(3|t|) = {self.amplitude_ratio:.6g}, "
            f"chi ratio {self.susceptibility_ratio:.6g}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers."""
        names = [f"{n}{e}" for n in ("beta", "gamma", "gamma_below", "delta") for e in _ENDS]
        return {name: getattr(self, name) for name in names} | {
            "amplitude_ratio": self.amplitude_ratio,
            "susceptibility_ratio": self.susceptibility_ratio,
            "window": list(self.window),
            "fits": {name: fit.to_dict() for name, fit in self.fits.items()},
            "plain_slopes": dict(self.plain_slopes),
            "critical_point": self.critical_point.to_dict(),
        }


_ENDS = ("", "_error")


def saddle_point_exponents(
    model: SpinModel,
    window: tuple[float, float] = (1e-3, 1e-1),
    method: NaiveMeanField | None = None,
    *,
    n_points: int = 17,
) -> SaddlePointExponents:
    """Return the critical exponents of a model's zero-field saddle point.

    Parameters
    ----------
    model : SpinModel
        Its fields are dropped.
    window : (float, float)
        Range of |T/T_c - 1| that is fitted, inside (0, 1/2].
    method : NaiveMeanField, optional
    n_points : int
        Temperatures in the window, evenly spaced in logarithm.

    Returns
    -------
    SaddlePointExponents

    Notes
    -----
    Where a second mode orders close below the first (`critical_point.gap` near 1), the window
    must lie below 1 - 1/gap for the exponents to be those of the top mode alone.
    """
    low, high = finite_array("window", window, ndim=1).tolist() if len(window) == 2 else (0, 0)
    if not 0 < low < high <= 0.5:
        raise InputError(f"window must hold two numbers, 0 < low < high <= 0.5, got {window!r}")
    integer("n_points", n_points, minimum=8)
    method = method or NaiveMeanField()
    point = critical_point(model, method)
    system = system_of(model, diagonal=method.diagonal).without_fields()
    branch = _Branch(system, point.temperature, system.coupling.top().vector, method.rtol)
    t = np.geomspace(low, high, n_points)
    below = np.array([branch.ordered(x) for x in t])
    above = np.array([branch.susceptibility(np.zeros(system.coupling.size), x) for x in t])
    h = t**1.5
    critical = np.array([branch.in_field(x) for x in h])
    results = {
        "beta": _slope(t, below[:, 0], -1.0),
        "gamma": _slope(t, above, -1.0),
        "gamma_below": _slope(t, below[:, 1], -1.0),
        "delta": _slope(h, critical, -2 / 3),
    }
    fits = {name: item[0] for name, item in results.items()}
    values = {"beta": fits["beta"].slope, "delta": 1 / fits["delta"].slope}
    values |= {name: -fits[name].slope for name in ("gamma", "gamma_below")}
    errors = {f"{name}_error": item[1] for name, item in results.items()}
    errors["delta_error"] *= values["delta"] ** 2
    return SaddlePointExponents(
        **values,
        **errors,
        amplitude_ratio=float(below[0, 0] ** 2 * branch.quartic / (3 * t[0])),
        susceptibility_ratio=float(above[0] / below[0, 1]),
        window=(low, high),
        fits=fits,
        plain_slopes={name: item[2] for name, item in results.items()},
        critical_point=point,
    )


class _Branch:
    """The ordered branch near T_c, started from its leading-order form."""

    def __init__(self, system: System, temperature: float, mode: Array, rtol: float) -> None:
        self.system, self.temperature, self.rtol = system, temperature, rtol
        self.mode = mode
        self.reduced = mode[: system.coupling.size]  # one number where all spins are alike
        self.quartic = float(np.sum(mode**4))

    def _solve(self, amplitude: float, fields: Array, beta: float) -> Array:
        coupling = self.system.coupling
        start = np.arctanh(np.clip(amplitude * self.reduced, -0.95, 0.95))
        found = newton(start, coupling, fields, beta, self.rtol)
        if not found.converged or float(np.abs(found.x).max()) == 0:
            raise InputError(
                "window must stay where the ordered branch grows from its top mode; Newton lost "
                f"it at T/T_c = {1 / (beta * self.temperature):.6g}: lower the window's end"
            )
        return found.x

    def ordered(self, t: float) -> tuple[float, float]:
        """Return a = v.m and chi_top at T_c (1 - t)."""
        amplitude = np.sqrt(3 * t / self.quartic)
        beta = 1 / (self.temperature * (1 - t))
        x = self._solve(amplitude, np.zeros(self.system.coupling.size), beta)
        return self.projection(x), self.susceptibility(x, -t)

    def in_field(self, strength: float) -> float:
        """Return a at T_c in the field `strength` T_c v/max|v|."""
        size = strength * self.temperature / float(np.abs(self.mode).max())
        amplitude = np.cbrt(3 * size / (self.temperature * self.quartic))
        return self.projection(self._solve(amplitude, size * self.reduced, 1 / self.temperature))

    def projection(self, x: Array) -> float:
        """Return v.m at m = tanh(x)."""
        return abs(float(self.mode @ self.system.coupling.expand(np.tanh(x))))

    def susceptibility(self, x: Array, t: float) -> float:
        """Return v.chi.v at T_c (1 + t) and m = tanh(x)."""
        s = scales(x, 1 / (self.temperature * (1 + t)))
        coupling = self.system.coupling
        s = s if coupling.size == 1 else coupling.expand(s)
        return float(self.mode @ coupling.respond(s, self.mode))


def _slope(x: Array, y: Array, correction: float) -> tuple[LogSlope, float, float]:
    """Return the corrected fit, its error with the window's share, and the straight slope."""
    fit = log_slope(x, y, correction=correction)
    lower = log_slope(x[: (x.size + 1) // 2], y[: (x.size + 1) // 2], correction=correction)
    error = max(fit.error, abs(fit.slope - lower.slope))
    return fit, error, log_slope(x, y).slope
