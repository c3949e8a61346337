"""Maximum likelihood of each family on weighted points of unit interquartile range."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError, StatisticsError
from spinnet.tails.families.laws import (
    AbstractLaw,
    Cauchy,
    Fitted,
    GeneralisedNormal,
    Laplace,
    Logistic,
    Lognormal,
    Normal,
    Stable,
    StudentT,
    SymmetricLognormal,
)
from spinnet.tails.stable.fit_sample import Sample

Floats = NDArray[np.float64]

_LARGEST_NU = 1e6  # beyond, a t is a normal law for any data there are
_SHAPES = (0.05, 100.0)  # of the generalised normal law
_GRADIENT = 1e-9
_SMALLEST_SCALE = 1e-9  # of the interquartile range; below, the law is a spike on equal values
_LOWEST = -50.0  # logarithm of a scale: z^2 must not overflow


def _located(law: AbstractLaw, loc: float, scale: float, **shape: float) -> Fitted:
    return Fitted(law, loc, scale, {**shape, "loc": loc, "scale": scale})


def _refuse_spike(collapsed: bool) -> None:
    if collapsed:
        raise ConvergenceError(
            "its likelihood grows towards a spike on equal or neighbouring values of x"
        )


def fit_normal(sample: Sample) -> Fitted:
    """Mean and standard deviation (divided by n)."""
    mean = sample.total(sample.points) / sample.n
    variance = sample.total((sample.points - mean) ** 2) / sample.n
    return _located(Normal(), mean, math.sqrt(variance))


def fit_laplace(sample: Sample) -> Fitted:
    """Median and mean absolute deviation from it."""
    median = float(np.median(sample.values))
    return _located(Laplace(), median, float(np.abs(sample.values - median).mean()))


def fit_logistic(sample: Sample) -> Fitted:
    """Location and scale, by a quasi-Newton method."""

    def slopes(z: Floats) -> Floats:
        return -np.tanh(0.5 * z)

    loc, scale = _location_scale(sample, Logistic(), slopes, 0.45)
    return _located(Logistic(), loc, scale)


def fit_cauchy(sample: Sample) -> Fitted:
    """Location and scale, by a quasi-Newton method from median and quartiles."""

    def slopes(z: Floats) -> Floats:
        return -2.0 * z / (1.0 + z * z)

    loc, scale = _location_scale(sample, Cauchy(), slopes, 0.5)
    return _located(Cauchy(), loc, scale)


def _location_scale(
    sample: Sample, law: AbstractLaw, slopes: Callable[[Floats], Floats], width: float
) -> tuple[float, float]:
    """Maximise over location and log scale; `slopes` is d logpdf / dz."""

    def objective(free: Floats) -> tuple[float, Floats]:
        scale = math.exp(max(float(free[1]), _LOWEST))
        z = (sample.points - free[0]) / scale
        slope = slopes(z)
        value = sample.total(law.logpdf(z)) / sample.n - free[1]
        gradient = [-sample.total(slope) / scale, -sample.total(z * slope) - sample.n]
        return -value, -np.array(gradient) / sample.n

    free = _minimise(objective, np.array([0.0, math.log(width)]))
    _refuse_spike(free[1] < math.log(_SMALLEST_SCALE))
    return float(free[0]), math.exp(float(free[1]))


def _minimise(objective: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    from scipy.optimize import minimize

    found = minimize(objective, start, jac=True, method="BFGS", options={"gtol": _GRADIENT})
    return np.asarray(found.x, dtype=np.float64)


def fit_student_t(sample: Sample) -> Fitted:
    """Location, log scale and log nu, by a quasi-Newton method from three starts."""
    best: tuple[float, Floats] | None = None
    objective = _t_objective(sample)
    for nu, width in ((1.0, 0.5), (3.0, 0.65), (30.0, 0.74)):
        free = _minimise(objective, np.array([0.0, math.log(width), math.log(nu)]))
        value = objective(free)[0]
        if best is None or value < best[0]:
            best = value, free
    assert best is not None
    loc, log_scale, log_nu = best[1]
    _refuse_spike(log_scale < math.log(_SMALLEST_SCALE))
    nu = math.exp(min(float(log_nu), math.log(_LARGEST_NU)))
    return _located(StudentT(nu), float(loc), math.exp(float(log_scale)), nu=nu)


def _t_objective(sample: Sample) -> Callable[[Floats], tuple[float, Floats]]:
    from scipy.special import digamma

    def objective(free: Floats) -> tuple[float, Floats]:
        scale = math.exp(max(float(free[1]), _LOWEST))
        log_nu = min(float(free[2]), math.log(_LARGEST_NU))
        nu = math.exp(max(log_nu, -10.0))
        z = (sample.points - free[0]) / scale
        share = z * z / nu
        slope = -(nu + 1.0) / nu * z / (1.0 + share)
        value = sample.total(StudentT(nu).logpdf(z)) - sample.n * free[1]
        in_nu = 0.5 * nu * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / nu)
        terms = -0.5 * nu * np.log1p(share) + 0.5 * (nu + 1.0) * share / (1.0 + share)
        gradient = [
            -sample.total(slope) / scale,
            -sample.total(z * slope) - sample.n,
            sample.n * in_nu + sample.total(terms) if log_nu == free[2] else 0.0,
        ]
        return -value / sample.n, -np.array(gradient) / sample.n

    return objective


def fit_generalised_normal(sample: Sample) -> Fitted:
    """Location and shape by a simplex search; the scale has a closed form given these.

    For a shape up to 1 the likelihood has a cusp at every point: the location is then the best
    of the points around the maximum.
    """
    from scipy.optimize import minimize

    def profile(free: Floats) -> float:
        return _profile(sample, float(free[0]), float(free[1]))

    mean = sample.total(sample.points) / sample.n
    starts = [(0.0, 0.0), (mean, math.log(2.0)), (0.0, -0.7)]
    best = min(
        (
            minimize(
                profile,
                np.array(start),
                method="Nelder-Mead",
                options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 1000, "maxfev": 1000},
            )
            for start in starts
        ),
        key=lambda found: float(found.fun),
    )
    loc, log_shape = map(float, best.x)
    if log_shape < math.log(1.2):
        loc, log_shape = _cusps(sample, loc, log_shape)
    shape = _shape(log_shape)
    _refuse_spike(shape <= 1.001 * _SHAPES[0])
    return _located(GeneralisedNormal(shape), loc, _gn_scale(sample, loc, shape), shape=shape)


def _shape(log_shape: float) -> float:
    return min(max(math.exp(min(log_shape, 10.0)), _SHAPES[0]), _SHAPES[1])


def _gn_scale(sample: Sample, loc: float, shape: float) -> float:
    distance = np.abs(sample.points - loc)
    largest = float(distance.max())  # powers up to the hundredth must not overflow
    mean = sample.total((distance / largest) ** shape) / sample.n
    return largest * float((shape * mean) ** (1.0 / shape))


def _profile(sample: Sample, loc: float, log_shape: float) -> float:
    shape = _shape(log_shape)
    scale = _gn_scale(sample, loc, shape)
    # at the best scale the mean of |z|^shape is 1/shape
    return math.log(2.0 * scale) + math.lgamma(1.0 + 1.0 / shape) + 1.0 / shape


def _cusps(sample: Sample, loc: float, log_shape: float) -> tuple[float, float]:
    """Return the best location among the points near `loc`, and the shape there."""
    from scipy.optimize import minimize_scalar

    def at(place: float) -> float:
        return _profile(sample, place, log_shape)

    best = (at(loc), loc)
    for _ in range(5):
        middle = int(np.searchsorted(sample.points, best[1]))
        near = sample.points[max(middle - 40, 0) : middle + 40]
        best = min([best, *((at(float(place)), float(place)) for place in near)])
        found = minimize_scalar(
            lambda value: _profile(sample, best[1], value),  # noqa: B023
            bracket=(log_shape - 0.05, log_shape + 0.05),
        )
        changed = abs(float(found.x) - log_shape)
        log_shape = float(found.x)
        best = (at(best[1]), best[1])
        if changed < 1e-7:
            break
    return best[1], log_shape


def fit_stable(sample: Sample) -> Fitted:
    """All four parameters, in S0."""
    return _stable(sample, None)


def fit_symmetric_stable(sample: Sample) -> Fitted:
    """Stable_alpha, location and scale at beta = 0."""
    return _stable(sample, 0.0)


def _stable(sample: Sample, beta: float | None) -> Fitted:
    from spinnet.tails.stable.fitting import estimate

    law = estimate(sample, beta, "mle")
    shape = {"stable_alpha": law.stable_alpha, "beta": law.beta}
    return _located(Stable(law.stable_alpha, law.beta), law.loc, law.scale, **shape)


def fit_lognormal(sample: Sample) -> Fitted:
    """Mean and standard deviation of the logarithm of positive data."""
    values = sample.values
    if values[0] <= 0.0:
        count = int(np.count_nonzero(values <= 0.0))
        raise StatisticsError(f"{count} value(s) of x are not positive")
    return _lognormal(values, Lognormal)


def fit_symmetric_lognormal(sample: Sample) -> Fitted:
    """Mean and standard deviation of log |x|, for data of both signs."""
    values = sample.values
    if values[0] >= 0.0 or values[-1] <= 0.0:
        raise StatisticsError("x has one sign only: see 'lognormal'")
    zeros = int(np.count_nonzero(values == 0.0))
    if zeros:
        raise StatisticsError(f"{zeros} value(s) of x are zero, which has no logarithm")
    return _lognormal(np.abs(values), SymmetricLognormal)


def _lognormal(sizes: Floats, law: Callable[[float], AbstractLaw]) -> Fitted:
    logs = np.log(sizes)
    mu, sigma = float(logs.mean()), float(logs.std())
    if not sigma > 0.0:
        raise StatisticsError("all values of x have the same size")
    return Fitted(law(sigma), 0.0, math.exp(mu), {"mu": mu, "sigma": sigma})
