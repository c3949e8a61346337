r"""Where maxima tend as N grows: beta_c, the exponent of the shift, and the height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, stats

from spinnet import plotting
from spinnet.errors import StatisticsError
from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array, LogSlope, least_squares, log_slope
from spinnet.spins.critical.peaks import LABELS, PEAKED, Maxima, maxima, maxima_of_places
from spinnet.spins.critical.reweighting import Place
from spinnet.spins.critical.scaling_functions import ScalingMaximum, maximum_of
from spinnet.spins.statistics import format_with_error
from spinnet.validation import choice, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class ExtrapolatedMaxima:
    r"""Where the maxima tend as N grows.

    Attributes
    ----------
    quantity : str
    beta_c, beta_c_error : float
        With the shift that mean field has: beta* = beta_c [1 + a (N p)^{-1/2} + b/N], a known
        and b free; p is the participation ratio.
    beta_c_free, beta_c_free_error, one_over_nu, one_over_nu_error, shift, shift_error : float
        With exponent and amplitude free: beta* = beta_c [1 + shift N^{-1/nu_bar} +
        second_shift N^{-2/nu_bar}], the last term 0 if left out.  NaN with fewer than four sizes.
    known_chi2, known_dof, free_chi2, free_dof
        Of both fits; p_value and free_p_value from them, NaN without errors.
    height, height_error : float
        Of the specific heat as N -> inf (1.6573 in mean field), from height + h N^{-1/2} +
        h_2/N; NaN for chi.
    growth : LogSlope or None
        Of the height of chi, ~ N^{gamma/nu_bar}: 1/2 in mean field, amplitude 0.51493 beta_c.
    reference : ScalingMaximum
        r and height in mean field.
    note : str
    """

    quantity: str
    beta_c: float
    beta_c_error: float
    known_chi2: float
    known_dof: int
    p_value: float
    beta_c_free: float
    beta_c_free_error: float
    one_over_nu: float
    one_over_nu_error: float
    shift: float
    shift_error: float
    second_shift: float
    free_chi2: float
    free_dof: int
    free_p_value: float
    height: float
    height_error: float
    growth: LogSlope | None
    reference: ScalingMaximum
    participation_ratio: float
    note: str
    _found: Maxima = field(repr=False)

    @property
    def critical_temperature(self) -> float:
        """1/beta_c."""
        return 1 / self.beta_c

    def summary(self) -> str:
        """Return the limits with their errors."""
        f = format_with_error
        lines = [
            f"maxima of {self.quantity} extrapolated, sizes {self._found.n_spins.tolist()}",
            f"  beta_c         {f(self.beta_c, self.beta_c_error)} with the shift of mean field "
            f"(r = {self.reference.r:.6g}), chi2/dof {self.known_chi2:.3g}/{self.known_dof}",
        ]
        if np.isfinite(self.one_over_nu):
            lines += [
                f"  beta_c         {f(self.beta_c_free, self.beta_c_free_error)} with a free "
                f"shift, chi2/dof {self.free_chi2:.3g}/{self.free_dof}",
                f"  1/nu_bar       {f(self.one_over_nu, self.one_over_nu_error)} (mean field 0.5)",
                f"  shift          {f(self.shift, self.shift_error)} (mean field "
                f"{-self.reference.r / np.sqrt(self.participation_ratio):.6g})",
            ]
        if self.growth is not None:
            shown = f(self.growth.slope, self.growth.error)
            lines.append(f"  gamma/nu_bar   {shown} (mean field 0.5)")
        else:
            shown = f(self.height, self.height_error)
            expected = self.reference.height * self.participation_ratio
            lines.append(f"  height         {shown} (mean field {expected:.6g})")
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        values: dict[str, object] = {name: getattr(self, name) for name in names}
        values["growth"] = None if self.growth is None else self.growth.to_dict()
        values["reference"] = {"r": self.reference.r, "height": self.reference.height}
        values["maxima"] = self._found.to_dict()
        result = finite_or_null(values)
        assert isinstance(result, dict)
        return result

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the places of the maxima against N^{-1/2} with the slope of mean field."""
        ax = plotting.axes(ax)
        found = self._found
        x = found.n_spins**-0.5
        bars = found.beta_error if np.all(np.isfinite(found.beta_error)) else None
        label = f"maxima of {LABELS[self.quantity]}"
        plotting.points(ax, x, found.beta, bars, color=plotting.BLUE, label=label)
        dense = np.linspace(0, x.max(), 100)
        slope = -self.reference.r / np.sqrt(self.participation_ratio)
        plotting.line(
            ax,
            dense,
            self.beta_c * (1 + slope * dense),
            color=plotting.GREY,
            dashes="--",
            label="mean-field shift",
        )
        if np.isfinite(self.one_over_nu):
            n = dense[1:] ** -2.0
            y = self.one_over_nu
            curve = 1 + self.shift * n**-y + self.second_shift * n ** (-2 * y)
            plotting.line(ax, dense[1:], self.beta_c_free * curve, label="free shift")
        error = self.beta_c_error if np.isfinite(self.beta_c_error) else None
        text = rf"$\beta_c$ = {format_with_error(self.beta_c, self.beta_c_error)}"
        plotting.points(
            ax, [0.0], [self.beta_c], None if error is None else [error], marker="s", label=text
        )
        ax.set(xlabel=r"$N^{-1/2}$", ylabel=r"$\beta^*$ of the maximum")
        plotting.legend_below(ax)
        return ax


def extrapolate_maxima(
    source: Any,
    quantity: str = "specific_heat",
    *,
    participation_ratio: float = 1.0,
    second_order: bool | None = None,
) -> ExtrapolatedMaxima:
    """Extrapolate the maxima of a quantity to N -> inf.

    Parameters
    ----------
    source : Maxima, sequence of Place, or as for `maxima`
        A Place is the maximum of a reweighted curve: ``maximum(reweight(run, beta), quantity)``.
    quantity : str
        "specific_heat" or "susceptibility_abs"; that of a Maxima holds.
    participation_ratio : float
        1/(N sum v_i^4) of the ordering mode: the mean-field shift is that of N times it.
    second_order : bool, optional
        Whether the fit with a free exponent has the term N^{-2/nu_bar}, which few noisy sizes
        do not fix; by default only for a table without errors.

    Returns
    -------
    ExtrapolatedMaxima

    Raises
    ------
    StatisticsError
        With fewer than two sizes.

    Notes
    -----
    With errors the sizes weigh by them; without, all weigh the same relative to N^{-1} (the
    order of the terms left out, so that the largest sizes decide), and errors come from the
    scatter.
    """
    share = positive_float("participation_ratio", participation_ratio)
    found = _found(source, quantity)
    if found.n_spins.size < 2:
        raise StatisticsError(
            f"an extrapolation needs at least 2 sizes, got {found.n_spins.tolist()}"
        )
    reference = maximum_of(found.quantity)
    known = _known_shift(found, reference, share)
    free, note = _free_shift(found, _second_order(found, second_order))
    height, height_error, growth, remark = _heights(found)
    exact = not np.all(np.isfinite(found.beta_error))
    remarks = [note, remark, "no errors in the table: errors are from the scatter" * exact]
    return ExtrapolatedMaxima(
        quantity=found.quantity,
        **known,
        **free,
        height=height,
        height_error=height_error,
        growth=growth,
        reference=reference,
        participation_ratio=share,
        note="; ".join(item for item in remarks if item),
        _found=found,
    )


def _found(source: Any, quantity: str) -> Maxima:
    """Return maxima given, those of reweighted curves, or those of a table."""
    if isinstance(source, Maxima):
        return source
    places = list(source) if isinstance(source, Sequence) else []
    if not places or not all(isinstance(item, Place) for item in places):
        return maxima(source, quantity)
    return maxima_of_places(places, choice("quantity", quantity, PEAKED))


def _sigma(found: Maxima, power: float) -> tuple[Array, bool]:
    """Return the weights of the places: errors, or the order of what the fit leaves out."""
    if np.all(np.isfinite(found.beta_error)):
        return found.beta_error, True
    return found.n_spins.astype(float) ** -power, False


def _quality(covariance: Array, chi2: float, dof: int, known: bool) -> tuple[Array, float, float]:
    """Return the covariance (from the scatter if no errors are known), chi2 and p."""
    if known:
        return covariance, chi2, float(stats.chi2.sf(chi2, dof)) if dof > 0 else float("nan")
    return covariance * (chi2 / dof if dof > 0 else np.nan), float("nan"), float("nan")


def _known_shift(found: Maxima, reference: ScalingMaximum, share: float) -> dict[str, Any]:
    n = found.n_spins.astype(float)
    sigma, known = _sigma(found, 1.5)
    first = 1 - reference.r / np.sqrt(n * share)
    columns = [first, 1 / n] if n.size > 2 else [first]
    best, covariance, chi2 = least_squares(np.column_stack(columns), found.beta, sigma)
    dof = n.size - len(columns)
    covariance, chi2, p = _quality(covariance, chi2, dof, known)
    return {
        "beta_c": float(best[0]),
        "beta_c_error": float(np.sqrt(covariance[0, 0])),
        "known_chi2": chi2,
        "known_dof": dof,
        "p_value": p,
    }


_FREE = ("beta_c_free", "one_over_nu", "shift")


def _second_order(found: Maxima, asked: bool | None) -> bool:
    """Return whether the free fit has its second term; refuse it with too few sizes."""
    enough = found.n_spins.size > 4
    if asked and not enough:
        raise StatisticsError(f"second_order needs at least 5 sizes, got {found.n_spins.tolist()}")
    return enough and (not np.all(np.isfinite(found.beta_error)) if asked is None else asked)


def _place_fit(found: Maxima, y: float, second: bool) -> tuple[Array, Array, float]:
    n = found.n_spins.astype(float)
    sigma, _ = _sigma(found, 1.5)
    columns = [np.ones_like(n), n**-y] + ([n ** (-2 * y)] if second else [])
    return least_squares(np.column_stack(columns), found.beta, sigma)


def _misfit(found: Maxima, y: float, second: bool) -> float:
    """Return chi2, infinite where the second term would outweigh half the first at the least N.

    Otherwise N^{-2y} could take the place of the leading term.
    """
    best, _, chi2 = _place_fit(found, y, second)
    if second and abs(best[2]) * float(found.n_spins.min()) ** -y > abs(best[1]) / 2:
        return float("inf")
    return chi2


def _free_shift(found: Maxima, second: bool) -> tuple[dict[str, Any], str]:
    """Fit place, shift and exponent; NaN with fewer than four sizes."""
    nan = float("nan")
    nothing: dict[str, Any] = {f"{name}{end}": nan for name in _FREE for end in ("", "_error")}
    nothing |= {"free_chi2": nan, "free_dof": 0, "free_p_value": nan, "second_shift": nan}
    if found.n_spins.size < 4:
        return nothing, "fewer than four sizes: the exponent of the shift is not fitted"
    grid = np.linspace(0.15, 1.5, 55)
    values = [_misfit(found, float(y), second) for y in grid]
    k = int(np.argmin(values))
    if k in (0, len(grid) - 1) or not np.isfinite(values[k]):
        return nothing, "the exponent of the shift is not fixed by the data"
    result = optimize.minimize_scalar(
        lambda y: _misfit(found, float(y), second),
        bounds=(grid[k - 1], grid[k + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    y = float(result.x)
    best, _, chi2 = _place_fit(found, y, second)
    n = found.n_spins.astype(float)
    sigma, known = _sigma(found, 1.5)
    columns = [np.ones_like(n), n**-y] + ([n ** (-2 * y)] if best.size > 2 else [])
    slope = -np.log(n) * sum(
        (1 if j == 1 else 2) * best[j] * columns[j] for j in range(1, best.size)
    )
    _, covariance, _ = least_squares(np.column_stack([*columns, slope]), found.beta, sigma)
    dof = n.size - best.size - 1
    covariance, chi2, p = _quality(covariance, chi2, dof, known)
    ratio = float(best[1] / best[0])
    rule = np.array([-ratio / best[0], 1 / best[0]])
    return {
        "beta_c_free": float(best[0]),
        "beta_c_free_error": float(np.sqrt(covariance[0, 0])),
        "one_over_nu": y,
        "one_over_nu_error": float(np.sqrt(covariance[-1, -1])),
        "shift": ratio,
        "shift_error": float(np.sqrt(rule @ covariance[:2, :2] @ rule)),
        "second_shift": float(best[2] / best[0]) if second else 0.0,
        "free_chi2": chi2,
        "free_dof": dof,
        "free_p_value": p,
    }, ""


def _heights(found: Maxima) -> tuple[float, float, LogSlope | None, str]:
    """Return the limit of the specific heat, or the growth of chi."""
    n = found.n_spins.astype(float)
    nan = float("nan")
    known = bool(np.all(np.isfinite(found.height_error)))
    if found.quantity == "susceptibility_abs":
        error = found.height_error if known else None
        enough = n.size >= 3
        growth = log_slope(n, found.height, error, correction=0.5 if enough else None)
        return nan, nan, growth, "" if enough else "two sizes: gamma/nu_bar has no correction term"
    columns = [np.ones_like(n), n**-0.5] + ([1 / n] if n.size > 3 else [])
    sigma = found.height_error if known else n**-1.5
    best, covariance, chi2 = least_squares(np.column_stack(columns), found.height, sigma)
    covariance, _, _ = _quality(covariance, chi2, n.size - len(columns), known)
    return float(best[0]), float(np.sqrt(covariance[0, 0])), None, ""
