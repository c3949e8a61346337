r"""The specific heat at T_c: finite limits on both sides, a jump, and no power law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spinnet.errors import StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.critical.windows import NEGLIGIBLE, Fit, Points, choose_window, fit_points
from spinnet.spins.statistics import format_with_error

_REJECTED = 1e-3


@dataclass(frozen=True, eq=False)
class HeatJump:
    """Limits of the specific heat at T_c from below and above.

    Attributes
    ----------
    below, below_error, above, above_error : float
        Limits t -> 0 of c; 3/2 and 0 in mean field.
    jump, jump_error : float
        below - above.
    windows : ((low, high), (low, high))
        Ranges of |T/T_c - 1| fitted below and above.
    n_points : (int, int)
    chi2, dof, p_value
        Of both sides together; p is NaN for data without errors.
    finite : bool
        Whether finite limits describe the data: p >= 0.001 (always for data without errors).
    """

    below: float
    below_error: float
    above: float
    above_error: float
    jump: float
    jump_error: float
    windows: tuple[tuple[float, float], tuple[float, float]]
    n_points: tuple[int, int]
    chi2: float
    dof: int
    p_value: float
    finite: bool

    def summary(self) -> str:
        """Return one line for people."""
        jump = format_with_error(self.jump, self.jump_error)
        quality = f", p = {self.p_value:.2g}" if np.isfinite(self.p_value) else ""
        end = "alpha = 0 is this jump, no power law"
        if not self.finite:
            end = "finite limits do not describe the data: alpha is not known"
        return (
            f"specific heat  jump {jump} (mean field 3/2), from "
            f"{format_with_error(self.below, self.below_error)} below to "
            f"{format_with_error(self.above, self.above_error)} above{quality}; {end}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {"windows": [list(w) for w in self.windows], "n_points": list(self.n_points)}
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result


def heat_jump(
    table: SizeTable,
    beta_c: float,
    n_eff: float,
    limits: tuple[float, float] | None,
    degree: int | None,
) -> HeatJump:
    """Fit c = c_0 + c_1 t + ... + d/r^2 on each side of T_c."""
    known = bool(np.all(np.isfinite(table.errors["specific_heat"])))
    fits: list[Fit] = []
    windows, counts = [], []
    for side, name in ((-1, "specific heat below T_c"), (1, "specific heat above T_c")):
        points = _points(table, beta_c, n_eff, side, known)
        if not points.t.size:
            raise StatisticsError(f"{name}: no temperature on this side of beta_c={beta_c:.8g}")
        window = choose_window(points, limits, degree, name)
        inside = points.at(window.rows)
        fits.append(fit_points(points, window))
        windows.append((float(inside.t.min()), float(inside.t.max())))
        counts.append(int(inside.t.size))
    errors = [_error(fit, known) for fit in fits]
    limits_at_tc = [float(fit.parameters[0]) for fit in fits]
    chi2, dof = sum(fit.chi2 for fit in fits), sum(fit.dof for fit in fits)
    p = float(stats.chi2.sf(chi2, dof)) if known and dof > 0 else float("nan")
    return HeatJump(
        limits_at_tc[0],
        errors[0],
        limits_at_tc[1],
        errors[1],
        limits_at_tc[0] - limits_at_tc[1],
        float(np.hypot(errors[0], errors[1])),
        (windows[0], windows[1]),
        (counts[0], counts[1]),
        chi2 if known else float("nan"),
        dof,
        p,
        not p < _REJECTED,
    )


def _points(table: SizeTable, beta_c: float, n_eff: float, side: int, known: bool) -> Points:
    rows = side * (beta_c / table.beta - 1) > 0
    beta, c = table.beta[rows], table.values["specific_heat"][rows]
    sigma: Array = table.errors["specific_heat"][rows] if known else np.full(c.shape, NEGLIGIBLE)
    r2 = n_eff * (1 - beta / beta_c) ** 2 if n_eff > 0 else None
    return Points(np.abs(beta_c / beta - 1), r2, c, sigma, power=False)


def _error(fit: Fit, known: bool) -> float:
    """Return the error of the limit, from the scatter where the data have none."""
    scale = 1.0 if known else fit.chi2 / fit.dof if fit.dof > 0 else float("nan")
    return float(np.hypot(np.sqrt(fit.covariance[0, 0] * scale), fit.truncation))
