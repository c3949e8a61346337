r"""Exponents from a sweep in temperature: m below T_c, chi on both sides, the jump of c.

With t = |T/T_c - 1|, ln y = ln A + s ln t + c_1 t + ... + d/r^2: the analytic terms are the
corrections to scaling (m^2 = 3t - (12/5)t^2 + ... for Curie-Weiss), and 1/r^2 = 1/[N (1 -
beta/beta_c)^2] is the first effect of a finite size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from spinnet.errors import InputError, StatisticsError
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.heat_jump import heat_jump
from spinnet.spins.critical.joint import (
    JointFit,
    JointProblem,
    Selection,
    branch_points,
    select,
)
from spinnet.spins.critical.sweeps import guess_beta_c, read_sweep
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.critical.temperature_result import (
    PowerLaw,
    TemperatureExponents,
    branches_of,
)
from spinnet.spins.critical.windows import Points, alternatives, choose_window, fit_points
from spinnet.validation import finite_array, integer, positive_float

if TYPE_CHECKING:
    pass


def temperature_exponents(
    source: Any,
    beta_c: float | None = None,
    *,
    window: tuple[float, float] | None = None,
    corrections: int | None = None,
    participation_ratio: float = 1.0,
) -> TemperatureExponents:
    r"""Return beta, gamma, gamma' and the jump of c from a sweep in temperature at h = 0.

    Parameters
    ----------
    source : run, exact result, SizeTable, mapping of columns, or sequence of Solutions
        One size.  A mapping has beta, and of abs_m, susceptibility (beta N <m^2>, used above
        T_c), susceptibility_abs (used below) and specific_heat what it knows, with ``_error``
        columns; n_spins may be left out for the limit of infinitely many spins.  Solutions of
        a mean-field theory count with the order and the response along their top mode.
    beta_c : float, optional
        Critical inverse temperature.  By default it is a parameter of the joint fit, and the
        errors include it.
    window : (low, high), optional
        Range of |T/T_c - 1| for every fit.  By default each branch has its own: r =
        N^{1/2}|1 - beta/beta_c| >= 5, t <= 1/2, and within that the points and the number of
        analytic terms that make the combined statistical and truncation error least (they do
        not depend on the values).
    corrections : int, optional
        Number of analytic terms c_k t^k, 1 to 4; chosen among 1 to 3 by default.
    participation_ratio : float
        1/(N sum v_i^4) of the ordering mode, which makes N times it the effective size.

    Returns
    -------
    TemperatureExponents

    Raises
    ------
    InputError, StatisticsError
        If no branch has points enough, or beta_c is not fixed by the data.

    Notes
    -----
    The quoted error is the statistical one and the truncation in quadrature; `alternatives` of
    each power law shows how the exponent moves with the window.  The specific heat of mean
    field jumps: alpha = 0 has no power law, so that limits on both sides are fitted instead.
    """
    table = read_sweep(source)
    share = positive_float("participation_ratio", participation_ratio)
    if share > 1 + 1e-9:
        raise InputError(f"participation_ratio must be in (0, 1], got {share:g}")
    n_eff = table.n_spins * share
    limits = None if window is None else _window(window)
    degree = None if corrections is None else integer("corrections", corrections, minimum=1)
    free = beta_c is None
    centre = guess_beta_c(table, n_eff) if beta_c is None else positive_float("beta_c", beta_c)
    chosen, reasons = _select(table, centre, n_eff, limits, degree, free)
    if free:
        centre = JointProblem(table, chosen, n_eff).best_beta_c()
        chosen, reasons = _select(table, centre, n_eff, limits, degree, free)  # windows follow T_c
        centre = JointProblem(table, chosen, n_eff).best_beta_c()
    problem = JointProblem(table, chosen, n_eff)
    fit = problem.fit(centre, free=free)
    ratio, ratio_error = _amplitude_ratio(problem, centre, free)
    jump = None
    if "specific_heat" in table.values:
        try:
            jump = heat_jump(table, centre, n_eff, limits, degree)
        except StatisticsError as why:
            reasons.append(str(why))
    names, covariance = _joint_covariance(chosen, fit, free)
    known = not problem.exact and fit.dof > 0
    return TemperatureExponents(
        power_laws={
            s.branch.name: _law(problem, fit, k, limits, degree, free) for k, s in enumerate(chosen)
        },
        beta_c=centre,
        beta_c_error=float(np.hypot(np.sqrt(fit.covariance[-1, -1]), fit.truncation[-1]))
        if free
        else 0.0,
        names=names,
        covariance=covariance,
        amplitude_ratio=ratio,
        amplitude_ratio_error=ratio_error,
        specific_heat=jump,
        chi2=fit.chi2,
        dof=fit.dof,
        p_value=float(stats.chi2.sf(fit.chi2, fit.dof)) if known else float("nan"),
        n_spins=table.n_spins,
        note="; ".join(reasons),
        _table=table,
        _n_eff=n_eff,
    )


def _window(window: tuple[float, float]) -> tuple[float, float]:
    values = finite_array("window", window, ndim=1)
    if values.size != 2 or not 0 < values[0] < values[1]:
        raise InputError(f"window must hold two numbers, 0 < low < high, got {window!r}")
    return float(values[0]), float(values[1])


def _select(
    table: SizeTable,
    beta_c: float,
    n_eff: float,
    limits: tuple[float, float] | None,
    degree: int | None,
    free: bool,
) -> tuple[list[Selection], list[str]]:
    """Return the window of each branch, and why one is missing."""
    chosen, reasons = [], []
    for branch in branches_of(table).values():
        points, rows, lost = branch_points(table, branch, beta_c, n_eff)
        if lost:
            reasons.append(
                f"{branch.name}: {lost} point(s) not positive or known to worse than 20 %"
            )
        try:
            window = choose_window(points, limits, degree, branch.name, caution=_caution(free))
            chosen.append(select(points, rows, branch, window))
        except StatisticsError as why:
            reasons.append(str(why))
    if not chosen:
        raise StatisticsError("no power law can be fitted: " + "; ".join(reasons))
    return chosen, reasons


def _caution(free: bool) -> float:
    """Return less where T_c is free: narrow windows do not fix it."""
    return 1.0 if free else 2.0


def _amplitude_ratio(problem: JointProblem, beta_c: float, free: bool) -> tuple[float, float]:
    """Return Gamma+/Gamma- with one exponent for both sides, and its error."""
    names = [s.branch.name for s in problem.selections]
    if "gamma" not in names or "gamma_prime" not in names:
        return float("nan"), float("nan")
    pair = (names.index("gamma"), names.index("gamma_prime"))
    fit = problem.fit(beta_c, free=free, tie=pair)
    above, below = (fit.slices[k].start for k in pair)
    ratio = float(np.exp(fit.parameters[above] - fit.parameters[below]))
    c = fit.covariance
    spread = np.sqrt(max(c[above, above] + c[below, below] - 2 * c[above, below], 0.0))
    return ratio, ratio * float(
        np.hypot(spread, np.abs(fit.shifts[above] - fit.shifts[below]).sum())
    )


def _joint_covariance(
    chosen: list[Selection], fit: JointFit, free: bool
) -> tuple[tuple[str, ...], Array]:
    """Return names and covariance of exponents, ln amplitudes and, if free, beta_c."""
    names, rows, signs = [], [], []
    for s, part in zip(chosen, fit.slices, strict=True):
        names += [s.branch.name, f"ln A {s.branch.name}"]
        rows += [part.start + 1, part.start]
        signs += [s.branch.sign, 1.0]
    if free:
        names.append("beta_c")
        rows.append(len(fit.covariance) - 1)
        signs.append(1.0)
    picked = fit.covariance[np.ix_(rows, rows)]
    return tuple(names), picked * np.outer(signs, signs)


def _law(
    problem: JointProblem,
    fit: JointFit,
    k: int,
    limits: tuple[float, float] | None,
    degree: int | None,
    free: bool,
) -> PowerLaw:
    s, part = problem.selections[k], fit.slices[k]
    points = problem.points(fit.beta_c)[k]
    own = fit.parameters[part]
    spread = np.sqrt(np.diagonal(fit.covariance)[part])
    chi2 = float(fit.residuals[k] @ fit.residuals[k])
    dof = points.t.size - own.size
    known = not problem.exact and dof > 0
    amplitude = float(np.exp(own[0]))
    return PowerLaw(
        name=s.branch.name,
        exponent=float(s.branch.sign * own[1]),
        error=float(np.hypot(spread[1], fit.truncation[part][1])),
        statistical=float(spread[1]),
        truncation=float(fit.truncation[part][1]),
        amplitude=amplitude,
        amplitude_error=amplitude * float(spread[0]),
        analytic=tuple(float(c) for c in own[2 : 2 + s.degree]),
        finite_size=float("nan") if points.r2 is None else float(own[-1]),
        window=(float(points.t.min()), float(points.t.max())),
        least_r=float("inf") if points.r2 is None else float(np.sqrt(points.r2.min())),
        n_points=int(points.t.size),
        chi2=chi2,
        dof=dof,
        p_value=float(stats.chi2.sf(chi2, dof)) if known else float("nan"),
        alternatives=_other_windows(problem, fit, s, limits, degree, free),
        mean_field=s.branch.mean_field,
    )


def _other_windows(
    problem: JointProblem,
    fit: JointFit,
    s: Selection,
    limits: tuple[float, float] | None,
    degree: int | None,
    free: bool,
) -> tuple[Mapping[str, Any], ...]:
    """Return the exponent of this branch alone, for this T_c, from other windows."""
    points, _, _ = branch_points(problem.table, s.branch, fit.beta_c, problem.n_eff)
    chosen = choose_window(points, limits, degree, s.branch.name, caution=_caution(free))
    result = []
    for label, window in alternatives(points, chosen):
        again = fit_points(points, window)
        inside: Points = points.at(window.rows)
        result.append(
            {
                "label": label,
                "window": [float(inside.t.min()), float(inside.t.max())],
                "exponent": float(s.branch.sign * again.parameters[1]),
                "error": float(
                    np.hypot(
                        0.0 if problem.exact else np.sqrt(again.covariance[1, 1]),
                        again.truncation,
                    )
                ),
            }
        )
    return tuple(result)
