r"""Power laws by weighted least squares in logarithms, with an optional correction term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.statistics import format_with_error
from spinnet.validation import finite_float, positive_array

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LogSlope:
    r"""A fit of ln y = ln amplitude + slope ln x [+ c x^{-correction}].

    Attributes
    ----------
    slope, error : float
        Exponent and one standard error (NaN if the data cannot give one; see `note`).
    amplitude, amplitude_error : float
        y/x^slope at the end of the range where the correction vanishes.
    correction : float or None
        The exponent omega of the correction term.
    correction_amplitude, correction_error : float
        c (NaN without a correction).
    chi2 : float
        Sum of squared residuals over the errors; without errors, of ln y itself.
    dof : int
        Points less parameters.
    p_value : float
        Chance of a larger chi2 if the form holds; NaN without errors or without dof.
    window : (float, float)
        Smallest and largest x.
    n_points : int
    note : str
    """

    slope: float
    error: float
    amplitude: float
    amplitude_error: float
    correction: float | None
    correction_amplitude: float
    correction_error: float
    chi2: float
    dof: int
    p_value: float
    window: tuple[float, float]
    n_points: int
    note: str = ""

    @property
    def chi2_per_dof(self) -> float:
        """chi2/dof, NaN without degrees of freedom."""
        return self.chi2 / self.dof if self.dof > 0 else float("nan")

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        result = finite_or_null(values | {"window": list(self.window)})
        assert isinstance(result, dict)
        return result

    def summary(self) -> str:
        """Return one line for people."""
        low, high = self.window
        term = "" if self.correction is None else f", correction x^-{self.correction:g}"
        quality = f"chi2/dof {self.chi2:.3g}/{self.dof}"
        if np.isfinite(self.p_value):
            quality += f", p = {self.p_value:.2g}"
        shown = format_with_error(self.slope, self.error)
        line = f"slope {shown}{term}; x in [{low:.4g}, {high:.4g}], {self.n_points} points, "
        return line + quality + (f"; {self.note}" if self.note else "")


def log_slope(
    x: ArrayLike, y: ArrayLike, yerr: ArrayLike | None = None, correction: float | None = None
) -> LogSlope:
    r"""Fit the slope of ln y against ln x.

    .. math:: \ln y = \ln A + s \ln x + c\, x^{-\omega}

    Parameters
    ----------
    x, y : array_like, shape (n_points,)
        Both > 0.
    yerr : array_like, shape (n_points,), optional
        Standard errors of y, > 0 and independent.  Without them all points weigh the same in
        ln y, and the error of the slope comes from the scatter.
    correction : float, optional
        omega of the term c x^{-omega}; left out by default.  Negative for a correction that
        grows with x, as with x = |T/T_c - 1|.

    Returns
    -------
    LogSlope

    Notes
    -----
    The error of ln y is yerr/y to first order, so that points should be known to better than
    about a fifth of their value; others are refused.

    Examples
    --------
    >>> round(log_slope([1, 2, 4], [3, 12, 48]).slope, 12)
    2.0
    """
    xs, ys = positive_array("x", x), positive_array("y", y)
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise InputError(f"x and y must have one shape (n_points,), got {xs.shape}, {ys.shape}")
    sigma = None
    if yerr is not None:
        sigma = positive_array("yerr", yerr)
        if sigma.shape != ys.shape:
            raise InputError(f"yerr must have the shape of y, {ys.shape}, got {sigma.shape}")
        sigma = sigma / ys
        if sigma.max() > 0.2:
            worst = int(np.argmax(sigma))
            raise StatisticsError(
                f"yerr must be below a fifth of y for a fit of ln y, got {sigma[worst]:.2g} of y "
                f"at index {worst}; leave that point out or measure longer"
            )
    omega = None if correction is None else finite_float("correction", correction)
    if omega == 0:
        raise InputError("correction must differ from 0, which would repeat the amplitude")
    return _fit(xs, np.log(ys), sigma, omega)


def _fit(x: Array, ln_y: Array, sigma: Array | None, omega: float | None) -> LogSlope:
    columns = [np.ones_like(x), np.log(x)] + ([] if omega is None else [x**-omega])
    n_params = len(columns)
    if np.unique(x).size < n_params:
        raise StatisticsError(
            f"{n_params} distinct x are needed for {n_params} parameters, got "
            f"{np.unique(x).size}; add points" + (" or pass correction=None" if omega else "")
        )
    best, covariance, chi2 = least_squares(np.column_stack(columns), ln_y, sigma)
    dof = x.size - n_params
    errors = np.sqrt(np.diagonal(covariance))
    note, p_value = "", float("nan")
    if sigma is not None:
        p_value = float(stats.chi2.sf(chi2, dof)) if dof > 0 else float("nan")
    elif dof > 0:
        errors = errors * np.sqrt(chi2 / dof)
    else:
        errors = np.full(n_params, np.nan)
        note = "no errors given and no degree of freedom left: the slope has no error"
    amplitude = float(np.exp(best[0]))
    return LogSlope(
        slope=float(best[1]),
        error=float(errors[1]),
        amplitude=amplitude,
        amplitude_error=amplitude * float(errors[0]),
        correction=omega,
        correction_amplitude=float("nan") if omega is None else float(best[2]),
        correction_error=float("nan") if omega is None else float(errors[2]),
        chi2=chi2,
        dof=dof,
        p_value=p_value,
        window=(float(x.min()), float(x.max())),
        n_points=int(x.size),
        note=note,
    )


def least_squares(design: Array, y: Array, sigma: Array | None) -> tuple[Array, Array, float]:
    """Return parameters, their covariance for unit or given errors, and chi2.

    Parameters
    ----------
    design : ndarray, shape (n_points, n_params)
    y : ndarray, shape (n_points,)
    sigma : ndarray, shape (n_points,), or None
    """
    weights = np.ones_like(y) if sigma is None else 1 / sigma
    scale = np.linalg.norm(design * weights[:, None], axis=0)  # columns of one size: no overflow
    q, r = np.linalg.qr(design * weights[:, None] / scale)
    inverse = np.linalg.inv(r)
    best = inverse @ (q.T @ (weights * y)) / scale
    covariance = (inverse @ inverse.T) / np.outer(scale, scale)
    return best, covariance, float(np.sum((weights * (y - design @ best)) ** 2))
