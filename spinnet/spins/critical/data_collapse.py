r"""Data collapse: beta_c and two exponents from curves of several sizes at once.

.. math:: y N^{-\kappa} = f(x) + N^{-\omega} g(x), \quad x = N^{1/\bar\nu}(1 - \beta/\beta_c)

The master curve f and its correction g are polynomials whose coefficients are fitted with the
exponents.  A polynomial is one function with a known number of parameters, so that chi2 has a
known law and p is a p-value; the local-linear curve of Kawashima & Ito, made of the data points
themselves, has not, and is reported beside it as a second opinion.

References
----------
N. Kawashima & N. Ito, J. Phys. Soc. Japan 62, 435 (1993).
J. Houdayer & A. K. Hartmann, Phys. Rev. B 70, 014418 (2004), section III (the local-linear S).
K. S. D. Beach, L. Wang & A. W. Sandvik, arXiv:cond-mat/0505194 (corrections in the collapse).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg as la
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import stats

from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.spins.critical.collapse_fit import (
    Data,
    Fit,
    Master,
    Problem,
    near_data,
    refuse_one_phase,
)
from spinnet.spins.critical.crossings import one_crossing
from spinnet.spins.critical.fits import Array
from spinnet.spins.critical.master_curve import SYMBOLS, MeanFieldCollapse, local_linear_misfit
from spinnet.spins.critical.sources import check_errors, read_table
from spinnet.spins.critical.table import SizeTable
from spinnet.spins.statistics import format_with_error
from spinnet.validation import choice, finite_float, integer, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES = ("binder", "abs_m", "m2", "susceptibility", "susceptibility_abs", "specific_heat")
# y ~ N^kappa at beta_c: the exponent of mean field, and how it reads
KAPPA = {
    "binder": 0.0,
    "abs_m": -0.25,
    "m2": -0.5,
    "susceptibility": 0.5,
    "susceptibility_abs": 0.5,
    "specific_heat": 0.0,
}
_MEANING = {
    "abs_m": (-1.0, "beta_over_nu"),
    "m2": (-0.5, "beta_over_nu"),
    "susceptibility": (1.0, "gamma_over_nu"),
    "susceptibility_abs": (1.0, "gamma_over_nu"),
}
_PARAMETERS = ("beta_c", "one_over_nu", "kappa")
_COLORS = (
    plotting.BLUE,
    plotting.ORANGE,
    plotting.GREEN,
    plotting.PURPLE,
    plotting.VERMILLION,
    plotting.SKY_BLUE,
)


@dataclass(frozen=True, eq=False)
class Collapse:
    """Curves of several sizes on one master curve.

    Attributes
    ----------
    quantity : str
    beta_c, beta_c_error, one_over_nu, one_over_nu_error, kappa, kappa_error : float
        y ~ N^kappa at beta_c; an error of 0 marks what was given.
    covariance : ndarray, shape (3, 3)
        Of beta_c, one_over_nu, kappa; from the redraws if there are any, else from the curvature
        of chi2.
    chi2, dof, p_value
        Of the polynomial master curve; NaN for data without errors.
    local_misfit : float
        Houdayer & Hartmann's S, the mean squared distance from the local-linear master curve
        of the other sizes in units of the errors, for data with their correction taken away:
        about 1 for a good collapse (NaN without errors).
    reach : float
        Points with |x| <= reach are fitted.
    degree, correction_degree : int
        Of f and g (-1: no g).
    correction : float or None
        omega.
    n_spins, x, y, y_error : ndarray, shape (n_points,)
        The collapsed data that were fitted, y with its correction term taken away.
    n_resamples : int
    seed : mapping
    note : str
    """

    quantity: str
    beta_c: float
    beta_c_error: float
    one_over_nu: float
    one_over_nu_error: float
    kappa: float
    kappa_error: float
    covariance: Array = field(repr=False)
    chi2: float
    dof: int
    p_value: float
    local_misfit: float
    reach: float
    degree: int
    correction_degree: int
    correction: float | None
    n_spins: Array = field(repr=False)
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    y_error: Array = field(repr=False)
    n_resamples: int
    seed: dict[str, object] = field(repr=False)
    note: str
    _curve: Array = field(repr=False)

    @property
    def exponent(self) -> tuple[str, float, float] | None:
        """What kappa says: ("beta_over_nu" or "gamma_over_nu", value, error); None for U, c."""
        if self.quantity not in _MEANING:
            return None
        factor, name = _MEANING[self.quantity]
        return name, factor * self.kappa, abs(factor) * self.kappa_error

    def master_curve(self, x: Array) -> Array:
        """Return f(x) for |x| <= reach."""
        return np.asarray(chebyshev.chebval(np.asarray(x) / self.reach, self._curve))

    def summary(self) -> str:
        """Return the parameters and the quality of the collapse."""
        sizes = sorted({int(n) for n in self.n_spins})
        term = "no correction" if self.correction is None else f"c N^-{self.correction:g}"
        lines = [
            f"collapse of {self.quantity}, sizes {sizes}, |x| <= {self.reach:g}, "
            f"{self.x.size} points, degree {self.degree}, {term}"
        ]
        expected = {"beta_c": None, "one_over_nu": 0.5, "kappa": KAPPA[self.quantity]}
        for name, reference in expected.items():
            value, error = getattr(self, name), getattr(self, f"{name}_error")
            shown = f"{value:.8g} (given)" if error == 0 else format_with_error(value, error)
            tail = "" if reference is None else f" (mean field {reference:g})"
            lines.append(f"  {name:<14} {shown}{tail}")
        if np.isfinite(self.p_value):
            lines.append(
                f"  chi2/dof {self.chi2:.4g}/{self.dof}, p = {self.p_value:.2g}; local-linear "
                f"misfit {self.local_misfit:.3g}"
            )
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and lists; null where one is not known."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        values = {name: getattr(self, name) for name in names}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        result = finite_or_null(plain)
        assert isinstance(result, dict)
        return result

    def _axis_label(self) -> str:
        """Return y N^-kappa as mathematics, with the name of its exponent."""
        power = r"-\kappa"
        if self.exponent is not None:
            name, factor = self.exponent[0], _MEANING[self.quantity][0]
            sign = "" if factor < 0 else "-"
            times = "" if abs(factor) == 1 else "2"
            power = rf"{sign}{times}\{name.split('_')[0]}/\bar\nu"
        if self.kappa == 0 and self.kappa_error == 0:
            return f"${SYMBOLS[self.quantity]}$"
        return rf"$N^{{{power}}}\,{SYMBOLS[self.quantity]}$"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the collapsed data, the master curve, and that of mean field (dashed).

        Exponents off those of mean field scale its curve with N: it is drawn for the geometric
        mean of the sizes.
        """
        ax = plotting.axes(ax)
        for k, n in enumerate(np.unique(self.n_spins)):
            rows = self.n_spins == n
            error = self.y_error[rows]
            plotting.points(
                ax,
                self.x[rows],
                self.y[rows],
                error if np.all(np.isfinite(error)) else None,
                color=_COLORS[k % len(_COLORS)],
                marker="os^Dv<>"[k % 7],
                label=f"N = {int(n)}",
            )
        dense = np.linspace(self.x.min(), self.x.max(), 200)
        plotting.line(
            ax,
            dense,
            self.master_curve(dense),
            color=plotting.BLACK,
            width=0.8,
            label="master curve, fitted",
        )
        n = float(np.exp(np.log(np.unique(self.n_spins)).mean()))
        r = dense * n ** (0.5 - self.one_over_nu)
        reference = MeanFieldCollapse.curve(self.quantity, r, self.beta_c)
        plotting.line(
            ax,
            dense,
            reference * n ** (KAPPA[self.quantity] - self.kappa),
            color=plotting.GREY,
            dashes="--",
            label="mean field, exact",
        )
        ax.set(
            xlabel=r"$x=N^{1/\bar\nu}(1-\beta/\beta_c)$",
            ylabel=self._axis_label(),
        )
        plotting.legend_below(ax, columns=3)
        return ax


def collapse(
    source: Any,
    quantity: str = "binder",
    *,
    beta_c: float | None = None,
    one_over_nu: float | None = None,
    kappa: float | None = None,
    reach: float = 1.0,
    degree: int = 4,
    correction: float | None = 0.5,
    n_resamples: int = 100,
    rng: RandomState = None,
) -> Collapse:
    """Fit beta_c and the exponents for which the curves of all sizes collapse.

    Parameters
    ----------
    source : as for `exponents`
        Runs, exact results, SizeTables or columns of several sizes, several temperatures each.
    quantity : str
        "binder", "abs_m", "m2", "susceptibility" (beta N <m^2>), "susceptibility_abs" or
        "specific_heat".
    beta_c, one_over_nu, kappa : float, optional
        Given values are held; the others are fitted.  kappa is 0 for binder and specific_heat
        unless given.
    reach : float
        Points with N^{1/2}|1 - beta/beta_0| <= reach enter, beta_0 the given beta_c or the
        crossing of the cumulants of the largest sizes that cross by more than noise.  They stay
        the same whatever is fitted: of several starts about beta_0 the least chi2 counts.
    degree : int
        Of the master curve f, 2 to 12.
    correction : float or None
        omega of the correction N^{-omega} g(x), with g of the same degree; None leaves it
        out.
    n_resamples : int
        Redraws of the table within its errors, each fitted again, for the errors; 0 takes them
        from the curvature of chi2.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    Collapse

    Raises
    ------
    InputError
    StatisticsError
        If no cumulants cross by more than their errors (pass beta_c then), a size has no point
        within reach, too few points lie there, or beta_c does not lie between points of every
        size.

    Notes
    -----
    One correction term leaves out N^{-2 omega}, which grows with |x|: for Curie-Weiss from N = 128
    the exponents are good to 2e-3 within reach 1 and 1e-2 within reach 2, and p tells.
    Points count as independent: temperatures and sizes are.  Data without errors weigh alike
    relative to N^kappa, and errors come from the scatter.
    """
    name = choice("quantity", quantity, QUANTITIES)
    master = Master(
        positive_float("reach", reach),
        integer("degree", degree, minimum=2, maximum=12),
        None if correction is None else positive_float("correction", correction),
        -1 if correction is None else degree,
    )
    redraws = integer("n_resamples", n_resamples, minimum=0)
    held = _held(name, beta_c, one_over_nu, kappa)
    tables = read_table(source, needed=(name,))
    for table in tables:
        if name not in table.values:
            raise InputError(f"table of n_spins={table.n_spins} has no {name}")
    check_errors(tables, name)
    guess = _guess(tables, held)
    data = near_data(tables, name, guess[0], KAPPA[name], master)
    seed = seed_sequence(rng)
    fit = Problem(data, master, held).best(guess)
    refuse_one_phase(data, fit[0][0])
    result = _result(name, data, master, held, fit, seed_record(seed))
    if redraws and data.known and any(v is None for v in held):
        return _resampled(result, data, master, held, fit[0], redraws, seed)
    return result


def _held(
    name: str, beta_c: float | None, one_over_nu: float | None, kappa: float | None
) -> tuple[float | None, ...]:
    if kappa is None and name in ("binder", "specific_heat"):
        kappa = 0.0
    return (
        None if beta_c is None else positive_float("beta_c", beta_c),
        None if one_over_nu is None else positive_float("one_over_nu", one_over_nu),
        None if kappa is None else finite_float("kappa", kappa),
    )


def _guess(
    tables: Sequence[SizeTable], held: tuple[float | None, ...]
) -> tuple[float, float, float]:
    """Return first values: a crossing of the cumulants, or where all sizes have points."""
    beta, power, kappa = held
    if beta is None:
        beta = _first_crossing(tables)
    if beta is None:
        low = max(float(table.beta[0]) for table in tables)
        high = min(float(table.beta[-1]) for table in tables)
        beta = (low + high) / 2
    return beta, 0.5 if power is None else power, np.nan if kappa is None else kappa


def _first_crossing(tables: Sequence[SizeTable]) -> float | None:
    """Return the crossing of the largest two neighbours that have one; None without cumulants.

    Cumulants none of which cross, by the errors of the data, are refused: a collapse would be
    one of noise, in one phase.
    """
    if not all("binder" in table.values for table in tables):
        return None
    reason = ""
    for small, large in reversed(list(itertools.pairwise(tables))):
        try:
            return one_crossing(small, large)[0]
        except StatisticsError as error:
            reason = reason or str(error)
    raise StatisticsError(f"no first beta_c for the collapse: {reason}; or pass beta_c")


def _result(
    name: str,
    data: Data,
    master: Master,
    held: tuple[float | None, ...],
    fit: Fit,
    seed: Any,
) -> Collapse:
    (beta_c, power, kappa), covariance, chi2 = fit
    design = master.design(data, fit[0])
    white = design / data.sigma[:, None]
    scale = np.linalg.norm(white, axis=0)
    solution: Array = la.lstsq(white / scale, data.y / data.sigma)[0] / scale
    dof = data.n.size - design.shape[1] - sum(v is None for v in held)
    if not data.known:
        covariance = covariance * (chi2 / dof if dof > 0 else np.nan)
    curve = solution[: master.degree + 1]
    correction = design[:, master.degree + 1 :] @ solution[master.degree + 1 :]
    unit = data.n**-kappa
    x = data.n**power * (1 - data.beta / beta_c)
    y_error = data.sigma * unit if data.known else np.full(data.n.shape, np.nan)
    errors = np.sqrt(np.diagonal(covariance))
    misfit = local_linear_misfit(data.n, x, (data.y - correction) * unit, y_error)
    note = "" if data.known else "no errors in the table: those of the parameters are scatter"
    return Collapse(
        quantity=name,
        beta_c=beta_c,
        beta_c_error=float(errors[0]),
        one_over_nu=power,
        one_over_nu_error=float(errors[1]),
        kappa=kappa,
        kappa_error=float(errors[2]),
        covariance=covariance,
        chi2=chi2 if data.known else float("nan"),
        dof=dof,
        p_value=float(stats.chi2.sf(chi2, dof)) if data.known else float("nan"),
        local_misfit=misfit,
        reach=master.reach,
        degree=master.degree,
        correction_degree=master.correction_degree,
        correction=master.correction,
        n_spins=data.n,
        x=x,
        y=(data.y - correction) * unit,
        y_error=y_error,
        n_resamples=0,
        seed=dict(seed),
        note=note,
        _curve=curve,
    )


def _resampled(
    result: Collapse,
    data: Data,
    master: Master,
    held: tuple[float | None, ...],
    best: tuple[float, float, float],
    n_resamples: int,
    seed: np.random.SeedSequence,
) -> Collapse:
    """Return the result with the errors of redraws, each fitted again from the best values."""
    rng = np.random.default_rng(seed)
    rows: list[NDArray[np.float64]] = []
    for _ in range(n_resamples):
        noisy = replace(data, y=data.y + data.sigma * rng.standard_normal(data.y.shape))
        try:
            rows.append(np.array(Problem(noisy, master, held).solve(best)[0]))
        except StatisticsError:
            continue
    lost = n_resamples - len(rows)
    if lost > n_resamples // 10:
        raise StatisticsError(
            f"{lost} of {n_resamples} redraws of the table do not collapse: measure longer, or "
            "give one of the parameters",
            result,
        )
    covariance = np.cov(np.array(rows), rowvar=False)
    errors = np.sqrt(np.diagonal(covariance))
    known: dict[str, Any] = {
        f"{n}_error": float(e) for n, e in zip(_PARAMETERS, errors, strict=True)
    }
    note = f"{lost} of {n_resamples} redraws did not collapse" if lost else result.note
    return replace(result, **known, covariance=covariance, n_resamples=n_resamples, note=note)
