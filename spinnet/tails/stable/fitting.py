"""Fits of alpha-stable laws: maximum likelihood, quantiles, characteristic function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import ConvergenceError, InputError
from spinnet.files import finite_or_null
from spinnet.tails.stable import fit_ecf, fit_quantiles, information
from spinnet.tails.stable.fit_density import log_functions, neighbouring
from spinnet.tails.stable.fit_distance import Tails, distances
from spinnet.tails.stable.fit_likelihood import (
    SMALLEST_ALPHA,
    Standardised,
    gaussian,
    maximise,
)
from spinnet.tails.stable.fit_sample import Sample, centre_and_spread, compress, read_values
from spinnet.tails.stable.parameters import half_tangent
from spinnet.validation import choice, finite_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

NAMES = information.NAMES
_METHODS = ("mle", "mcculloch", "ecf")
_LARGEST_START = 1.97
_SMALLEST = SMALLEST_ALPHA * (1.0 + 1e-9)
_NEAR_TWO = 1.98  # intervals above are not to be trusted
_RUNAWAY = 20.0  # how many times the error of the S0 location that of S1 may be, unsaid


@dataclass(frozen=True, eq=False)
class StableFit:
    """A fitted stable law.

    Attributes
    ----------
    stable_alpha, beta, scale, loc : float
        In the given `parametrization`.
    errors : mapping of str to float
        Standard error of each parameter: from the Fisher information (``"mle"``), or the delta
        method (``"mcculloch"``, ``"ecf"``).  NaN for what was given or lies at a bound.
    covariance : ndarray, shape (4, 4)
        Of (stable_alpha, beta, scale, loc); its rows of what was given or at a bound are NaN.
    ks_distance : float
        Largest distance between the empirical and the fitted cdf.  For a p-value see
        ``spinnet.tails.compare_families``.
    log_likelihood : float
        Of all data, at the parameters given here.
    aic, bic : float
    n, n_parameters : int
    at_boundary : tuple of str
        ``"stable_alpha"`` if the maximum is the normal law, where beta is not identified (it is
        reported as 0 unless given), or at 0.2, the smallest index that is sought; ``"beta"`` if
        it is at beta = -1 or 1.
    gaussian_ratio : float
        Twice the log-likelihood over that of the best normal law, >= 0 for ``"mle"``.
    gaussian_p_value : float
        Of the normal law, by 1/2 chi2_0 + 1/2 chi2_1, for stable_alpha = 2 is a bound.  Rough:
        for normal data the share below 0.1 was 0.04 to 0.07 with beta = 0 given, and 0.05 to
        0.14 with beta free, where it is not identified (n = 100 to 10,000).
    beta_fixed : bool
    notes : tuple of str
        Reasons to distrust the estimate: an index at its lower bound, a search that did not
        reach the maximum, errors that could not be computed.
    method, parametrization : str
    version : str
        Of spinnet.
    """

    stable_alpha: float
    beta: float
    scale: float
    loc: float
    errors: Mapping[str, float]
    covariance: Floats
    ks_distance: float
    log_likelihood: float
    aic: float
    bic: float
    n: int
    n_parameters: int
    at_boundary: tuple[str, ...]
    gaussian_ratio: float
    gaussian_p_value: float
    beta_fixed: bool
    notes: tuple[str, ...]
    method: str
    parametrization: str
    version: str
    _law: Standardised = field(repr=False)
    _values: Floats = field(repr=False)

    def _standard(self, x: ArrayLike) -> Floats:
        return np.asarray((np.asarray(x, dtype=np.float64) - self._law.loc) / self._law.scale)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return the fitted log-density; any shape."""
        from spinnet.tails.stable.standard import standard

        values = standard(*self._law.law).logpdf(self._standard(x))
        return np.asarray(values - math.log(self._law.scale))

    def pdf(self, x: ArrayLike) -> Floats:
        """Return the fitted density; any shape."""
        return np.exp(self.logpdf(x))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return the fitted P(X <= x); any shape."""
        from spinnet.tails.stable.standard import standard

        return np.asarray(standard(*self._law.law).cdf(self._standard(x)))

    def sf(self, x: ArrayLike) -> Floats:
        """Return the fitted P(X > x); any shape."""
        from spinnet.tails.stable.standard import standard

        return np.asarray(standard(*self._law.law).sf(self._standard(x)))

    def summary(self) -> str:
        """Return a few lines for people."""
        lines = [f"stable law by {self.method}, {self.parametrization}: n = {self.n}"]
        for name in NAMES:
            value, error = getattr(self, name), self.errors[name]
            note = f" +- {error:.3g}" if math.isfinite(error) else ""
            if name == "beta" and self.beta_fixed:
                note = " (given)"
            elif name in self.at_boundary:
                note = " (at its bound)"
            lines.append(f"  {name:12s} = {value:.6g}{note}")
        lines.append(
            f"  log-likelihood = {self.log_likelihood:.2f}, AIC = {self.aic:.2f}, "
            f"KS distance = {self.ks_distance:.5f}"
        )
        lines.append(
            f"  normal law: 2 log ratio = {self.gaussian_ratio:.2f}, "
            f"p = {self.gaussian_p_value:.3g}"
        )
        if self.stable_alpha > _NEAR_TWO:
            lines.append(
                "  stable_alpha is near its bound 2: its error is not that of a normal estimate, "
                "and beta is hardly identified"
            )
        return "\n".join(lines + [f"  caution: {note}" for note in self.notes])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The data are left out."""
        record: dict[str, object] = {"schema": 1, "kind": "stable-fit"}
        for name in self.__dataclass_fields__:
            if not name.startswith("_"):
                record[name] = getattr(self, name)
        record["errors"] = dict(self.errors)
        record["covariance"] = self.covariance.tolist()
        record["at_boundary"] = list(self.at_boundary)
        record["notes"] = list(self.notes)
        return {key: finite_or_null(value) for key, value in record.items()}

    def plot(self, ax: Axes | None = None, *, kind: str = "density") -> Axes:
        """Draw data and fit; return the axes.

        Parameters
        ----------
        ax : Axes, optional
            A new figure by default.
        kind : {"density", "log-density", "tails"}
            Density on linear axes, on a logarithmic one, or P(X > x) and P(X < -x) against the
            distance from the location, both logarithmic.
        """
        from spinnet.tails.stable.fit_plot import draw

        return draw(
            self, self._values, choice("kind", kind, ("density", "log-density", "tails")), ax
        )


def fit(
    x: ArrayLike,
    *,
    beta: float | None = None,
    method: str = "mle",
    parametrization: str = "S1",
) -> StableFit:
    """Fit a stable law to data of any shape.

    Parameters
    ----------
    x : array_like
        Finite numbers, at least 10, not all equal; flattened.
    beta : float, optional
        Skewness in [-1, 1], if known (0: a symmetric law).  Estimated by default.
    method : {"mle", "mcculloch", "ecf"}
        Maximum likelihood; five quantiles (McCulloch 1986, with exact quantiles instead of his
        tables); regression on the empirical characteristic function (Koutrouvelis 1980).  The
        last two are less efficient.
    parametrization : {"S1", "S0"}
        Of the location.  S0 is continuous at stable_alpha = 1, S1 is not: near 1 its location
        and its error are huge unless beta = 0.

    Returns
    -------
    StableFit

    Raises
    ------
    InputError
        NaN or infinite data, a bad option.
    StatisticsError
        Fewer than 10 values, or nine tenths of them equal.

    Notes
    -----
    Deterministic: no random numbers.  Samples above 20,000 points are replaced by about 4,000
    weighted points of the same local means and variances (``spinnet.tails.stable.fit_sample``).
    stable_alpha is sought from 0.2 upwards.  Data with many equal values can have an unbounded
    likelihood, as for any law with a density; in a few dozen values of a small index the largest
    likelihood can be a spike on one of them.  `StableFit.notes` says so.

    Examples
    --------
    >>> import numpy as np
    >>> found = fit(np.random.default_rng(1).standard_cauchy(2000), beta=0.0)
    >>> bool(abs(found.stable_alpha - 1.0) < 4 * found.errors["stable_alpha"])
    True
    """
    choice("method", method, _METHODS)
    choice("parametrization", parametrization, ("S1", "S0"))
    if beta is not None:
        beta = finite_float("beta", beta)
        if abs(beta) > 1.0:
            raise InputError(f"beta must be in [-1, 1], or None to estimate it, got {beta}")
    values = read_values(x)
    centre, spread = centre_and_spread(values)
    sample = compress((values - centre) / spread)
    notes: tuple[str, ...] = ()
    try:
        law = estimate(sample, beta, method)
    except ConvergenceError as error:
        law = Standardised(*cast("Standardised", error.solution))
        if law.stable_alpha > _SMALLEST:  # else that is the reason, and said
            notes = (str(error),)
    return _result(sample, law, beta, method, parametrization, values, centre, spread, notes)


def estimate(sample: Sample, beta: float | None, method: str) -> Standardised:
    """Return the fitted law of standardised data."""
    tolerance = 1e-3 if method == "mle" else 1e-9
    q = fit_quantiles.sample_quantiles(sample.values)
    start = fit_quantiles.match(q, beta, tolerance)
    if method == "mcculloch":
        return start
    if method == "ecf":
        return fit_ecf.regress(sample, start, beta)
    law, log_likelihood = maximise(sample, _start(sample, start, beta), beta)
    normal, of_normal = gaussian(sample)
    if of_normal >= log_likelihood:
        return normal._replace(beta=beta if beta is not None else 0.0)
    return law


def _start(sample: Sample, quantiles: Standardised, beta: float | None) -> Standardised:
    """Return the best of a few starting points: quantiles can mislead in small samples."""
    skew = 0.0 if beta is None else beta
    # inside the bounds, where the likelihood is not flat
    inner = min(quantiles.stable_alpha, _LARGEST_START), 0.9 * quantiles.beta
    candidates = [
        quantiles._replace(stable_alpha=inner[0], beta=inner[1] if beta is None else skew)
    ]
    for alpha in (0.7, 1.2, 1.7):
        own = fit_quantiles.quantiles((alpha, skew), fit_quantiles.PROBABILITIES)
        scale = 1.0 / float(own[3] - own[1])  # the data have unit interquartile range
        candidates.append(Standardised(alpha, skew, scale, -scale * float(own[2])))
    return max(candidates, key=lambda law: _log_likelihood(sample, law))


def _log_likelihood(sample: Sample, law: Standardised) -> float:
    z = (sample.points - law.loc) / law.scale
    values, _, _ = neighbouring(law.law, [], z)
    return sample.total(values) - sample.n * math.log(law.scale)


def _boundary(law: Standardised, beta: float | None) -> tuple[str, ...]:
    if law.stable_alpha == 2.0:
        return ("stable_alpha",)
    at_one = ("beta",) if beta is None and abs(law.beta) == 1.0 else ()
    return ("stable_alpha", *at_one) if law.stable_alpha <= _SMALLEST else at_one


def _covariance(sample: Sample, law: Standardised, beta: float | None, method: str) -> Floats:
    """Return the covariance of the estimates in S0; NaN for what is not estimated."""
    fixed = _boundary(law, beta)
    if beta is not None or law.stable_alpha == 2.0:
        fixed = (*fixed, "beta")
    try:
        if method == "mle" or law.stable_alpha == 2.0:
            result = information.covariance(law.stable_alpha, law.beta, law.scale, fixed)
        elif method == "ecf":
            result = fit_ecf.covariance(sample, law, fixed)
        else:
            result = fit_quantiles.covariance(law, fixed)
    except np.linalg.LinAlgError:
        return np.full((4, 4), math.nan)
    if (np.diag(result) < 0.0).any():  # rounding: the information is singular
        return np.full((4, 4), math.nan)
    return result / sample.n


def _notes(law: Standardised, covariance: Floats) -> tuple[str, ...]:
    """Return the reasons to distrust the estimate that the result itself shows."""
    notes: tuple[str, ...] = ()
    if law.stable_alpha <= _SMALLEST:
        notes += (
            f"stable_alpha is at {SMALLEST_ALPHA}, the smallest that is sought: the law is "
            "heavier-tailed or no stable law, or the largest likelihood is a spike on a few "
            "equal or neighbouring values; try method='mcculloch'",
        )
    if np.isnan(covariance).all():
        notes += ("the information is singular to rounding: there are no errors",)
    return notes


def _to_s1(law: Standardised, covariance: Floats, spread: float) -> tuple[float, Floats]:
    """Return location and covariance in S1; the covariance is in units of `spread`."""
    alpha, beta, scale, loc = law
    if beta == 0.0 and not math.isfinite(float(covariance[1, 1])):
        return loc, covariance
    if alpha == 2.0:
        return loc, covariance
    if alpha == 1.0:
        shift = 2.0 / math.pi * scale * math.log(scale)
        slope = [
            math.inf if beta else 0.0,
            shift / spread,
            beta * 2.0 / math.pi * (1.0 + math.log(scale)),
        ]
    else:
        tangent = half_tangent(alpha)
        shift = scale * tangent
        unit = scale / spread
        slope = [
            beta * unit * 0.5 * math.pi * (1.0 + tangent**2),
            unit * tangent,
            beta * tangent,
        ]
    jacobian = np.eye(4)
    jacobian[3, :3] = [-value for value in slope]
    known = ~np.isnan(np.diag(covariance))
    inner = np.ix_(known, known)
    result = np.full((4, 4), math.nan)
    result[inner] = jacobian[inner] @ covariance[inner] @ jacobian[inner].T
    return loc - beta * shift, result


def _result(
    sample: Sample,
    law: Standardised,
    beta: float | None,
    method: str,
    parametrization: str,
    values: Floats,
    centre: float,
    spread: float,
    notes: tuple[str, ...],
) -> StableFit:
    log_likelihood = _log_likelihood(sample, law)
    if law.stable_alpha == 2.0 and method == "mle":
        log_likelihood = gaussian(sample)[1]
    ratio = 2.0 * (log_likelihood - gaussian(sample)[1])
    log_likelihood -= sample.n * math.log(spread)
    covariance = _covariance(sample, law, beta, method)
    notes += _notes(law, covariance)
    law = Standardised(law.stable_alpha, law.beta, law.scale * spread, centre + spread * law.loc)
    loc = law.loc
    if parametrization == "S1":
        error = math.sqrt(covariance[3, 3])
        loc, covariance = _to_s1(law, covariance, spread)
        if math.sqrt(covariance[3, 3]) > _RUNAWAY * error:
            notes += (
                "near stable_alpha = 1 the location of S1 runs away from a skewed law: "
                'parametrization="S0" has one that stays with the data',
            )
    k = 4 if beta is None else 3
    unit = np.array([1.0, 1.0, spread, spread])
    deviations = unit * np.sqrt(np.diag(covariance))
    with np.errstate(over="ignore"):  # squares of data beyond 1e154
        covariance = unit[:, None] * covariance * unit
    return StableFit(
        stable_alpha=law.stable_alpha,
        beta=law.beta,
        scale=law.scale,
        loc=loc,
        errors=dict(zip(NAMES, map(float, deviations), strict=True)),
        covariance=covariance,
        ks_distance=distances(values, lambda x: _tails(law, x)).ks,
        log_likelihood=log_likelihood,
        aic=2.0 * k - 2.0 * log_likelihood,
        bic=k * math.log(sample.n) - 2.0 * log_likelihood,
        n=sample.n,
        n_parameters=k,
        at_boundary=_boundary(law, beta),
        gaussian_ratio=ratio,
        gaussian_p_value=0.5 * math.erfc(math.sqrt(0.5 * ratio)) if ratio > 0.0 else 1.0,
        beta_fixed=beta is not None,
        notes=notes,
        method=method,
        parametrization=parametrization,
        version=spinnet.__version__,
        _law=law,
        _values=values,
    )


def _tails(law: Standardised, x: Floats) -> Tails:
    """Return log pdf, log cdf and log sf."""
    density, below, above = log_functions(law.law, (x - law.loc) / law.scale)
    return density - math.log(law.scale), below, above
