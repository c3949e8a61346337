"""Families of laws fitted to the same data by maximum likelihood and ranked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import ConvergenceError, InputError, StatisticsError
from spinnet.files import finite_or_null
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.families import estimators
from spinnet.tails.families.laws import Fitted
from spinnet.tails.families.vuong import NESTED, ratio_test
from spinnet.tails.stable.fit_distance import Distances, distances
from spinnet.tails.stable.fit_sample import Sample, centre_and_spread, compress, read_values
from spinnet.validation import choice, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

# name -> (estimator, number of parameters, whether the data are standardised first)
_FAMILIES: dict[str, tuple[Callable[[Sample], Fitted], int, bool]] = {
    "normal": (estimators.fit_normal, 2, True),
    "laplace": (estimators.fit_laplace, 2, True),
    "logistic": (estimators.fit_logistic, 2, True),
    "cauchy": (estimators.fit_cauchy, 2, True),
    "student-t": (estimators.fit_student_t, 3, True),
    "generalised-normal": (estimators.fit_generalised_normal, 3, True),
    "stable-symmetric": (estimators.fit_symmetric_stable, 3, True),
    "stable": (estimators.fit_stable, 4, True),
    "lognormal": (estimators.fit_lognormal, 2, False),
    "lognormal-magnitude": (estimators.fit_symmetric_lognormal, 2, False),
}
FAMILIES = tuple(_FAMILIES)
_SMALLEST_N = 10


@dataclass(frozen=True, eq=False)
class FamilyFit:
    """One family fitted to the data.

    Attributes
    ----------
    name : str
    parameters : mapping of str to float
        Scale of the normal law: its standard deviation; of ``"laplace"``: the mean absolute
        deviation; of ``"generalised-normal"``: density ~ exp(-|x/scale|^shape); of stable laws:
        S0; mu and sigma of lognormal laws: mean and standard deviation of log |x|.
    log_likelihood, aic, bic : float
    aic_weight : float
        exp(-AIC/2), normalised over the families compared.
    n_parameters : int
    ks_distance : float
        Largest distance between empirical and fitted cdf: the size of the misfit, whatever n.
    anderson_darling : float
        Anderson and Darling's A^2, which weighs the tails.
    vuong_z : float
        Vuong's normalised log-likelihood ratio to the best family; negative: worse.  NaN for the
        best itself.
    p_value : float
        Two-sided, of the hypothesis that family and best are equally near to the truth (Vuong,
        Econometrica 57, 307 (1989)); for a family nested in the best, of the nested hypothesis by
        the likelihood ratio, with 1/2 chi2_0 + 1/2 chi2_1 where it lies at a bound.
    nested : bool
        Whether `p_value` is that of a nested hypothesis.
    ks_p_value, ad_p_value : float
        Goodness of fit: share of parametric bootstrap samples, fitted again, at least as far from
        their fit, (k + 1) / (B + 1).  NaN without a bootstrap.
    n_failed : int
        Bootstrap samples that could not be fitted.
    """

    name: str
    parameters: Mapping[str, float]
    log_likelihood: float
    aic: float
    bic: float
    aic_weight: float
    n_parameters: int
    ks_distance: float
    anderson_darling: float
    vuong_z: float
    p_value: float
    nested: bool
    ks_p_value: float
    ad_p_value: float
    n_failed: int
    _fitted: Fitted = field(repr=False)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return the fitted log-density; any shape."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self._fitted.logpdf(np.asarray(x, dtype=np.float64))
        return np.where(np.isnan(values), -np.inf, values)

    def pdf(self, x: ArrayLike) -> Floats:
        """Return the fitted density; any shape."""
        return np.exp(self.logpdf(x))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return the fitted P(X <= x); any shape."""
        return np.exp(self._tails(x)[0])

    def sf(self, x: ArrayLike) -> Floats:
        """Return the fitted P(X > x); any shape."""
        return np.exp(self._tails(x)[1])

    def _tails(self, x: ArrayLike) -> tuple[Floats, Floats]:
        values = np.asarray(x, dtype=np.float64)
        if self.name == "lognormal":
            values = np.maximum(values, 0.0)
        with np.errstate(divide="ignore"):
            _, below, above = self._fitted.tails(values)
        return below, above

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if not name.startswith("_")
        }
        record["parameters"] = dict(self.parameters)
        return {key: finite_or_null(value) for key, value in record.items()}


@dataclass(frozen=True, eq=False)
class FamilyComparison:
    """Families fitted to the same data, the best by AIC first.

    Attributes
    ----------
    fits : tuple of FamilyFit
    n : int
    skipped : mapping of str to str
        Families that were left out, with the reason: signs that they do not allow, a likelihood
        without a maximum (a spike on equal values).
    n_bootstrap : int
    seed : mapping or None
        What makes the bootstrap again; None without one.
    version : str
        Of spinnet.
    """

    fits: tuple[FamilyFit, ...]
    n: int
    skipped: Mapping[str, str]
    n_bootstrap: int
    seed: Mapping[str, object] | None
    version: str
    _values: Floats = field(repr=False)

    @property
    def best(self) -> FamilyFit:
        """The family of smallest AIC."""
        return self.fits[0]

    def __getitem__(self, name: str) -> FamilyFit:
        for fit in self.fits:
            if fit.name == name:
                return fit
        if name in self.skipped:
            raise InputError(f"the family {name!r} was left out: {self.skipped[name]}")
        choice("name", name, tuple(fit.name for fit in self.fits))
        raise AssertionError

    def summary(self) -> str:
        """Return a table for people, the best family first."""
        boot = self.n_bootstrap > 0
        head = f"{'family':20s}{'AIC - best':>12s}{'weight':>8s}{'KS':>9s}{'A^2':>11s}"
        head += f"{'Vuong z':>9s}{'p':>10s}" + (f"{'KS p':>7s}{'A^2 p':>7s}" if boot else "")
        lines = [f"{len(self.fits)} families on n = {self.n} values", head + "  parameters"]
        for fit in self.fits:
            row = f"{fit.name:20s}{fit.aic - self.best.aic:12.2f}{fit.aic_weight:8.3f}"
            row += f"{fit.ks_distance:9.5f}{fit.anderson_darling:11.4g}"
            other = fit is not self.best
            row += f"{fit.vuong_z:9.2f}{fit.p_value:9.2g}" if other else " " * 18
            row += "*" if fit.nested else " "
            row += f"{fit.ks_p_value:7.3f}{fit.ad_p_value:7.3f}" if boot else ""
            lines.append(row + "  " + _short(fit.parameters))
        lines += [f"{name}: left out, {reason}" for name, reason in self.skipped.items()]
        if any(fit.nested for fit in self.fits):
            lines.append("* nested in the best: p of the likelihood ratio")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.  The data are left out."""
        return {
            "schema": 1,
            "kind": "family-comparison",
            "n": self.n,
            "best": self.best.name,
            "fits": [fit.to_dict() for fit in self.fits],
            "skipped": dict(self.skipped),
            "n_bootstrap": self.n_bootstrap,
            "seed": None if self.seed is None else dict(self.seed),
            "version": self.version,
        }

    def plot(self, ax: Axes | None = None, *, kind: str = "density") -> Axes:
        """Draw the data and the fitted families; return the axes.

        Parameters
        ----------
        ax : Axes, optional
            A new figure by default.
        kind : {"density", "tails", "qq"}
            Density on a logarithmic axis; P(|X - median| > x), both axes logarithmic; quantiles
            of the data against those of the best family, through its cdf.
        """
        from spinnet.tails.families.plot import draw

        return draw(self, self._values, choice("kind", kind, ("density", "tails", "qq")), ax)


def compare_families(
    x: ArrayLike,
    families: Iterable[str] | None = None,
    *,
    n_bootstrap: int = 0,
    rng: RandomState = None,
    progress: bool = False,
) -> FamilyComparison:
    """Fit families of laws to the same data by maximum likelihood, and compare them.

    Parameters
    ----------
    x : array_like
        Finite numbers, at least 10, not all equal; flattened.
    families : iterable of str, optional
        Of ``"normal"``, ``"laplace"``, ``"logistic"``, ``"cauchy"``, ``"student-t"``,
        ``"generalised-normal"``, ``"stable-symmetric"``, ``"stable"``, ``"lognormal"`` (positive
        data) and ``"lognormal-magnitude"`` (|x| lognormal, both signs equally likely).  By
        default all that the signs of the data allow.
    n_bootstrap : int
        Parametric bootstrap samples of each family for the p-values of goodness of fit; each is
        fitted again.
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstrap.
    progress : bool
        Show a bar during the bootstrap.

    Returns
    -------
    FamilyComparison
        Ranked by AIC.

    Raises
    ------
    InputError
        NaN or infinite data; an unknown family; a bad option.
    StatisticsError
        Fewer than 10 values, or all equal; a family asked for by name that the data do not allow;
        no family that could be fitted.

    Notes
    -----
    With a million values every family is rejected; look at `ks_distance` for the size of the
    misfit.  Samples above 20,000 points are replaced, in the likelihoods, by about 4,000 weighted
    points of the same local means and variances.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(1).standard_t(3, 2000)
    >>> compare_families(x, ["normal", "laplace", "student-t"]).best.name
    'student-t'
    """
    names, asked = _names(families)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    seed = seed_sequence(rng)
    values = read_values(x, _SMALLEST_N)
    fitted, skipped = _fit_all(values, names, asked)
    fits = _compared(values, fitted)
    if n_bootstrap:
        fits = _with_bootstrap(fits, values.size, n_bootstrap, seed, progress)
    return FamilyComparison(
        fits=tuple(fits),
        n=int(values.size),
        skipped=skipped,
        n_bootstrap=n_bootstrap,
        seed=seed_record(seed) if n_bootstrap else None,
        version=spinnet.__version__,
        _values=values,
    )


def _names(families: Iterable[str] | None) -> tuple[list[str], bool]:
    if families is None:
        return list(FAMILIES), False
    if isinstance(families, str):
        raise InputError(f"families must be a list of names, got the text {families!r:.80}")
    names = [choice("families", name, FAMILIES) for name in families]
    if not names:
        raise InputError("families must name at least one family, got none")
    return list(dict.fromkeys(names)), True


def _fit_all(
    values: Floats, names: list[str], asked: bool
) -> tuple[dict[str, Fitted], dict[str, str]]:
    """Return the fitted laws, and why others are left out."""
    fitted, skipped = {}, {}
    for name in names:
        try:
            fitted[name] = _fit_one(name, values)
        except StatisticsError as error:
            if asked:
                raise StatisticsError(f"family {name!r}: {error}", error.estimate) from error
            skipped[name] = str(error)
        except ConvergenceError as error:
            skipped[name] = str(error)
    if not fitted:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in skipped.items())
        raise StatisticsError(
            f"none of the families could be fitted to x: {reasons}",
            estimate={"n": int(values.size)},
        )
    return fitted, skipped


def _fit_one(name: str, values: Floats) -> Fitted:
    estimator, _, standardised = _FAMILIES[name]
    if not standardised:
        return estimator(compress(values))
    centre, spread = centre_and_spread(values)
    found = estimator(compress((values - centre) / spread))
    loc, scale = centre + spread * found.loc, spread * found.scale
    return replace(
        found, loc=loc, scale=scale, parameters={**found.parameters, "loc": loc, "scale": scale}
    )


def _compared(values: Floats, fitted: Mapping[str, Fitted]) -> list[FamilyFit]:
    sample = compress(values)
    n = sample.n
    logs = {name: law.logpdf(sample.points) for name, law in fitted.items()}
    totals = {name: sample.total(log) for name, log in logs.items()}
    aic = {name: 2.0 * _FAMILIES[name][1] - 2.0 * total for name, total in totals.items()}
    order = sorted(aic, key=lambda name: (aic[name], _FAMILIES[name][1], FAMILIES.index(name)))
    best = order[0]
    weights = {name: math.exp(0.5 * (aic[best] - aic[name])) for name in order}
    fits = []
    for name in order:
        gap: Distances = distances(values, fitted[name].tails)
        z, p = ratio_test(logs[name] - logs[best], sample.weights, name, best)
        fits.append(
            FamilyFit(
                name=name,
                parameters=fitted[name].parameters,
                log_likelihood=totals[name],
                aic=aic[name],
                bic=_FAMILIES[name][1] * math.log(n) - 2.0 * totals[name],
                aic_weight=weights[name] / sum(weights.values()),
                n_parameters=_FAMILIES[name][1],
                ks_distance=gap.ks,
                anderson_darling=gap.anderson_darling,
                vuong_z=z,
                p_value=p,
                nested=(name, best) in NESTED,
                ks_p_value=math.nan,
                ad_p_value=math.nan,
                n_failed=0,
                _fitted=fitted[name],
            )
        )
    return fits


def _with_bootstrap(
    fits: list[FamilyFit], n: int, replicates: int, seed: np.random.SeedSequence, show: bool
) -> list[FamilyFit]:
    """Return the fits with p-values; each family has its own stream, whatever others there are."""
    streams = dict(zip(FAMILIES, seed.spawn(len(FAMILIES)), strict=True))
    result = []
    with progress_bar(len(fits) * replicates, show, "sample") as bar:
        for fit in fits:
            further, failed = np.zeros(2), 0
            for stream in streams[fit.name].spawn(replicates):
                found = _replicate(fit, n, np.random.default_rng(stream))
                bar.update()
                if found is None:
                    failed += 1
                    continue
                further += np.array(found) >= (fit.ks_distance, fit.anderson_darling)
            p = (further + 1.0) / (replicates - failed + 1.0)
            result.append(
                replace(fit, ks_p_value=float(p[0]), ad_p_value=float(p[1]), n_failed=failed)
            )
    return result


def _replicate(fit: FamilyFit, n: int, rng: np.random.Generator) -> Distances | None:
    """Return the distances of one sample of the fitted law from its own fit."""
    values = np.sort(fit._fitted.draw(rng, n))
    try:
        return distances(values, _fit_one(fit.name, values).tails)
    except (StatisticsError, ConvergenceError, InputError):
        return None


def _short(parameters: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in parameters.items())
