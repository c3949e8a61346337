r"""Fits of ln y = ln A + s ln t + c_1 t + ... + c_k t^k + d/r^2 in a window chosen beforehand.

The terms left out, t^{k+1} and r^{-4} with coefficients of the size that mean field has, move
the exponent by an amount that follows from the design matrix alone; their shifts are added, as
they can have one sign.  Window and number of terms minimise (statistical error)^2 + (caution x
that shift)^2: they depend on where the points lie and on their errors, never on the values, so
that choosing them does not bias the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import StatisticsError
from spinnet.spins.critical.fits import Array

_DEGREES = (1, 2, 3)
_SPARE = 2  # points beyond the number of parameters
_LEAST = 0.05  # of 1 - scale t: no window should come near the end of the series
_FINITE_SIZE = 5.0  # bound of the coefficient of r^-4: 2.6 for chi above T_c in mean field
NEGLIGIBLE = 1e-10  # relative error that exact data count with
LEAST_R = 5.0  # below it, one term in 1/r^2 does not describe the finite size
LARGEST_T = 0.5


@dataclass(frozen=True, eq=False)
class Points:
    """What a fit sees of one branch: distances from T_c, ln y (or y) and its covariance.

    Attributes
    ----------
    t : ndarray, shape (n,)
        |T/T_c - 1|.
    r2 : ndarray, shape (n,), or None
        N (1 - beta/beta_c)^2; None in the limit of infinitely many spins.
    y : ndarray, shape (n,)
    sigma : ndarray, shape (n,)
    power : bool
        Whether a column ln t belongs to the model; the target is then its coefficient,
        otherwise the constant.
    scale : float
        The terms left out count as the rest of -ln(1 - scale t), at most (scale t)^k/[k (1 -
        scale t)].  In mean field 1 covers m and chi above T_c, whose coefficients are 0.8^k/2k
        and 0, and 2 covers chi below (1.8^k/k).
    """

    t: Array
    r2: Array | None
    y: Array
    sigma: Array
    power: bool = True
    scale: float = 1.0

    @property
    def target(self) -> int:
        """Column of the parameter that the window is chosen for."""
        return 1 if self.power else 0

    def columns(self, degree: int) -> Array:
        """Return the design matrix, shape (n, n_params)."""
        parts = [np.ones_like(self.t)]
        if self.power:
            parts.append(np.log(self.t))
        parts += [self.t**k for k in range(1, degree + 1)]
        if self.r2 is not None:
            parts.append(1 / self.r2)
        return np.column_stack(parts)

    def left_out(self, degree: int) -> Array:
        """Return the largest terms that the model leaves out, shape (n, n_terms)."""
        x = self.scale * self.t
        parts = [x ** (degree + 1) / (degree + 1) / np.maximum(1 - x, _LEAST)]
        if self.r2 is not None:
            parts += [_FINITE_SIZE / self.r2**2, self.scale**2 * self.t / self.r2]
        return np.column_stack(parts)

    def at(self, rows: NDArray[np.intp]) -> Points:
        """Return some of the points."""
        r2 = None if self.r2 is None else self.r2[rows]
        return replace(self, t=self.t[rows], r2=r2, y=self.y[rows], sigma=self.sigma[rows])


@dataclass(frozen=True, eq=False)
class Window:
    """Which points are fitted with how many analytic terms.

    Attributes
    ----------
    rows : ndarray of int
        Indices into the points.
    degree : int
    statistical, truncation : float
        Standard error, and shift by the terms left out, of the target parameter.
    """

    rows: NDArray[np.intp]
    degree: int
    statistical: float
    truncation: float


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters of one branch by itself, with covariance and chi2."""

    parameters: Array
    covariance: Array
    chi2: float
    truncation: float
    dof: int


def choose_window(
    points: Points,
    limits: tuple[float, float] | None,
    degree: int | None,
    what: str,
    *,
    caution: float = 2.0,
) -> Window:
    """Return the window with the smallest combined error.

    Parameters
    ----------
    points : Points
    limits : (low, high) or None
        A window of t that the user asks for.
    degree : int or None
        Number of analytic terms that the user asks for.
    what : str
        Names the branch in messages.
    caution : float
        How much a shift weighs against a statistical error.

    Raises
    ------
    StatisticsError
        If too few points lie within.
    """
    order = np.argsort(points.t, kind="stable")
    low, high = limits or (0.0, LARGEST_T)
    inside = (points.t[order] >= low * (1 - 1e-12)) & (points.t[order] <= high * (1 + 1e-12))
    if points.r2 is not None and limits is None:
        inside &= points.r2[order] >= LEAST_R**2
    order = order[inside]
    degrees = _DEGREES if degree is None else (degree,)
    whole = [slice(0, order.size)]
    found = [
        judged
        for k in degrees
        for span in (whole if limits is not None else _spans(order.size))
        if (judged := _judge(points, order[span], k)) is not None
    ]
    if not found:
        least = points.columns(degrees[0]).shape[1] + (0 if limits else _SPARE)
        raise StatisticsError(
            f"{what}: {order.size} temperatures lie in the window, {least} or more are needed; "
            f"measure more temperatures with |T/T_c - 1| in [{_lower(points):.3g}, {high:.3g}] "
            "or larger systems"
        )
    return min(found, key=lambda w: w.statistical**2 + (caution * w.truncation) ** 2)


def _lower(points: Points) -> float:
    """Return the smallest t that the finite size allows."""
    if points.r2 is None or not points.t.size:
        return 0.0
    return float(np.median(points.t / np.sqrt(points.r2)) * LEAST_R)


def _spans(n: int) -> list[slice]:
    """Return runs of neighbouring points, with up to about ten starts and ends."""
    step = max(1, n // 10)
    return [slice(a, b) for a in range(0, n, step) for b in range(n, a, -step)]


def _judge(points: Points, rows: NDArray[np.intp], degree: int) -> Window | None:
    some = points.at(rows)
    design = some.columns(degree)
    if rows.size < design.shape[1] + _SPARE:
        return None
    estimator = linear_estimator(design, some.sigma)
    row = estimator[some.target]
    shift = np.sum(np.abs(row @ some.left_out(degree)))
    return Window(rows, degree, float(np.linalg.norm(row * some.sigma)), float(shift))


def linear_estimator(design: Array, sigma: Array) -> Array:
    """Return L such that the parameters are L y, shape (n_params, n)."""
    white = design / sigma[:, None]
    scale = np.linalg.norm(white, axis=0)
    q, r = np.linalg.qr(white / scale)
    return np.asarray(np.linalg.solve(r, q.T) / scale[:, None] / sigma)


def fit_points(points: Points, window: Window) -> Fit:
    """Fit one branch by itself."""
    some = points.at(window.rows)
    design = some.columns(window.degree)
    estimator = linear_estimator(design, some.sigma)
    best = estimator @ some.y
    spread = estimator * some.sigma
    residual = (some.y - design @ best) / some.sigma
    shift = estimator[some.target] @ some.left_out(window.degree)
    return Fit(
        best,
        spread @ spread.T,
        float(residual @ residual),
        float(np.sum(np.abs(shift))),
        some.t.size - design.shape[1],
    )


def alternatives(points: Points, window: Window) -> list[tuple[str, Window]]:
    """Return windows that a sceptic would try: without each end, with one term more or less."""
    rows = window.rows
    third = max(1, rows.size // 3)
    tries: Sequence[tuple[str, NDArray[np.intp], int]] = (
        ("without the third nearest to T_c", rows[third:], window.degree),
        ("without the third farthest from T_c", rows[:-third], window.degree),
        ("one analytic term more", rows, window.degree + 1),
        ("one analytic term less", rows, window.degree - 1),
    )
    result = []
    for label, some, degree in tries:
        judged = _judge(points, some, degree) if degree >= 1 else None
        if judged is not None:
            result.append((label, judged))
    return result
