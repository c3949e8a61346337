"""Every alternative is at its maximum: against direct searches on independent densities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq, minimize
from scipy.special import zeta

from spinnet.errors import ConvergenceError, StatisticsError
from spinnet.tails import fit_power_law
from spinnet.tails.powerlaw.alternatives import ALTERNATIVE_NAMES, compare_tail
from spinnet.tails.zeta import hurwitz, hurwitz_value


def compare(x, xmin, name, discrete, discretisation="sum"):
    """The comparison of one law, from raw data."""
    values, counts = np.unique(x[x >= xmin], return_counts=True)
    mean_log = float(counts @ np.log(values / xmin)) / counts.sum()
    alpha = 1.0 + 1.0 / mean_log
    if discrete:

        def score(s):
            m0, m1, _ = hurwitz(s, float(xmin))
            return m1 / m0 - mean_log

        alpha = brentq(score, 1.0 + 1e-6, alpha + 1e-9, xtol=1e-14)
    norm = hurwitz_value(alpha, float(xmin)) if discrete else xmin / (alpha - 1.0)
    return compare_tail(
        name,
        values.astype(float),
        counts.astype(float),
        xmin=float(xmin),
        alpha=alpha,
        log_norm=math.log(norm),
        discrete=discrete,
        discretisation=discretisation,
    )


# ln density up to its norm, at x, from free parameters; x is measured in units of the origin
UNNORMALISED = {
    "lognormal": lambda p, u: -p[0] * np.log(u) - 0.5 * np.exp(p[1]) * np.log(u) ** 2,
    "cut-off": lambda p, u: -p[0] * np.log(u) - np.exp(p[1]) * (u - 1),
    "stretched-exponential": lambda p, u: (
        (np.exp(p[1]) - 1) * np.log(u)
        - np.exp(p[0]) * np.expm1(np.exp(p[1]) * np.log(u)) / np.exp(p[1])
    ),
}
SIMPLEX = {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}


def data(kind, discrete, n=400):
    rng = np.random.default_rng(11)
    x = {
        "lognormal": lambda: rng.lognormal(1.0, 1.0, n),
        "weibull": lambda: 6.0 * rng.weibull(0.6, n),
        "narrow": lambda: 12.0 * rng.weibull(2.5, n),
        "gamma": lambda: rng.gamma(0.7, 9.0, n),
    }[kind]()
    x = x[x > 0.5]
    return np.ceil(x) if discrete else x


def best(loss, starts):
    runs = [minimize(loss, p, method="Nelder-Mead", options=SIMPLEX) for p in starts]
    return min(run.fun for run in runs)


# Which data are fitted in every run, and which in thorough ones only.
KINDS = [
    "weibull",
    *(pytest.param(k, marks=pytest.mark.slow) for k in ("lognormal", "narrow", "gamma")),
]
STARTS = [(1.5, -2.0), (0.0, -1.0), (-1.0, 0.5)]


@pytest.mark.parametrize("name", list(UNNORMALISED))
@pytest.mark.parametrize("kind", KINDS)
def test_real_numbers(name, kind):
    x = data(kind, False)
    xmin = 1.0
    u = x[x >= xmin]
    shape = UNNORMALISED[name]

    def loss(p):
        grid = np.linspace(0, math.log(400 * u.max()), 4001)  # composite Simpson in ln x
        log_f = shape(p, np.exp(grid)) + grid
        top = log_f.max()
        weights = np.ones(4001)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        norm = np.exp(log_f - top) @ weights * (grid[1] - grid[0]) / 3
        return u.size * (math.log(norm) + top) - shape(p, u).sum()

    ratio = compare(x, xmin, name, False)
    with np.errstate(over="ignore"):
        reference = best(loss, STARTS)
    # Simpson with h = 3e-3: h^4/180 of the fourth derivative, 1e-10 per point, and the simplex.
    assert ratio.log_likelihood == pytest.approx(-reference, abs=2e-6)
    assert not ratio.degenerate


@pytest.mark.parametrize("name", list(UNNORMALISED))
@pytest.mark.parametrize("kind", KINDS)
def test_integers_over_their_sum(name, kind):
    x = data(kind, True)
    xmin = 2.0
    tail = x[x >= xmin]
    support = np.arange(xmin, 30_000.0)
    shape = UNNORMALISED[name]

    def loss(p):
        return tail.size * np.logaddexp.reduce(shape(p, support / xmin)) - sum(
            shape(p, tail / xmin)
        )

    ratio = compare(x, xmin, name, True)
    with np.errstate(over="ignore"):
        reference = best(loss, STARTS[:2] if kind != "narrow" else STARTS)
    # What lies beyond 30,000 is below 1e-9 of the sum for these data.
    assert ratio.log_likelihood == pytest.approx(-reference, abs=2e-6)
    power = -ratio.log_likelihood_power
    fit = fit_power_law(x, True, xmin, min_tail=2)
    assert power == pytest.approx(
        tail.size * math.log(zeta(fit.alpha, xmin)) + fit.alpha * np.log(tail).sum(), abs=1e-8
    )


def _rounded(name, p, x, b):
    """ln of the mass of [x - 1/2, x + 1/2] under the law cut at b, by distribution functions."""
    low, high = x - 0.5, x + 0.5
    if name == "lognormal":
        law = stats.norm(p[0], math.exp(p[1]))
        mass = law.sf(np.log(low)) - law.sf(np.log(high))
        return np.log(mass) - law.logsf(math.log(b))
    if name == "stretched-exponential":
        beta, g = math.exp(p[1]), math.exp(p[0])

        def log_sf(v):
            return -g * np.expm1(beta * np.log(v / b)) / beta

        return log_sf(low) + np.log(-np.expm1(log_sf(high) - log_sf(low)))
    law = [
        quad(lambda t: (t / b) ** -p[0] * math.exp(-math.exp(p[1]) * (t / b - 1)), s, e)[0]
        for s, e in zip(low, high, strict=True)
    ]
    norm = sum(
        quad(lambda t: (t / b) ** -p[0] * math.exp(-math.exp(p[1]) * (t / b - 1)), s, e)[0]
        for s, e in ((b, 8 * b), (8 * b, 60 * b), (60 * b, 2000 * b))
    )
    return np.log(law) - math.log(norm)


@pytest.mark.parametrize("name", list(UNNORMALISED))
@pytest.mark.parametrize("kind", ["lognormal", "weibull"])
def test_integers_as_cells(name, kind):
    x = data(kind, True)
    xmin = 2.0
    values, counts = np.unique(x[x >= xmin], return_counts=True)
    ratio = compare(x, xmin, name, True, "round")
    assert ratio.discretisation == "round"
    assert not ratio.nested

    def loss(p):
        with np.errstate(all="ignore"):
            total = -(counts @ _rounded(name, p, values, xmin - 0.5))
        return total if math.isfinite(total) else 1e10

    starts = {"lognormal": [(1.0, 0.1)], "cut-off": [(0.8, -2.5)]}.get(name, [(-0.5, -0.5)])
    run = minimize(loss, starts[0], method="Nelder-Mead", options=SIMPLEX | {"fatol": 1e-9})
    assert ratio.log_likelihood == pytest.approx(-run.fun, abs=2e-6)


@pytest.mark.parametrize("discretisation", ["sum", "round"])
def test_truncated_law_of_integers(discretisation):
    x = data("weibull", True)
    values, counts = np.unique(x[x >= 2], return_counts=True)
    top = values[-1]
    support = np.arange(2.0, top + 1)

    def log_mass(a, v):
        if discretisation == "sum":
            return -a * np.log(v)
        return np.log(((v - 0.5) ** (1 - a) - (v + 0.5) ** (1 - a)) / (a - 1))

    run = minimize(
        lambda p: (
            counts.sum() * np.logaddexp.reduce(log_mass(p[0], support))
            - counts @ log_mass(p[0], values)
        ),
        [1.4],
        method="Nelder-Mead",
        options=SIMPLEX,
    )
    ratio = compare(x, 2.0, "truncated", True, discretisation)
    assert ratio.log_likelihood == pytest.approx(-run.fun, abs=1e-6)
    assert ratio.parameters["alpha"] == pytest.approx(run.x[0], abs=1e-5)
    assert ratio.parameters["xmax"] == top
    assert ratio.n_parameters == 2


def test_cells_of_an_exponential_are_the_geometric_law():
    x = data("gamma", True)
    one, other = (compare(x, 2.0, "exponential", True, how) for how in ("sum", "round"))
    assert one.log_likelihood == other.log_likelihood
    rate = one.parameters["rate"]
    tail = x[x >= 2.0]
    masses = np.exp(-rate * (tail - 2)) * -math.expm1(-rate)
    assert one.log_likelihood == pytest.approx(np.log(masses).sum(), rel=1e-12)


def test_weibull_data_recover_their_parameters():
    x = 5.0 * np.random.default_rng(2).weibull(1.7, 20_000)
    ratio = compare(x, 1.0, "stretched-exponential", False)
    # The standard error of beta is .78 beta/sqrt(n) = .01 (complete data), and a cut at 1 adds.
    assert ratio.parameters["beta"] == pytest.approx(1.7, abs=0.05)
    assert ratio.parameters["rate"] == pytest.approx(0.2, abs=0.004)
    cut = np.random.default_rng(3).gamma(1.5, 40.0, 20_000)  # x^0.5 exp(-x/40): alpha = -1/2
    ratio = compare(cut, 1.0, "cut-off", False)
    assert ratio.parameters["alpha"] == pytest.approx(-0.5, abs=0.08)
    assert ratio.parameters["rate"] == pytest.approx(1 / 40, rel=0.05)


@pytest.mark.parametrize("name", ALTERNATIVE_NAMES)
@pytest.mark.parametrize("discrete", [False, True])
def test_two_values_are_enough_and_one_is_not(name, discrete):
    ratio = compare(np.repeat([2.0, 3.0], [60, 9]), 2.0, name, discrete)
    assert math.isfinite(ratio.ratio)
    with pytest.raises(StatisticsError, match="1 distinct"):
        compare_tail(
            name,
            np.array([3.0]),
            np.array([60.0]),
            xmin=2.0,
            alpha=3.0,
            log_norm=0.0,
            discrete=discrete,
        )


def test_cells_too_coarse_for_the_law_are_refused():
    # 1 of 10^9 points is not the smallest: the density falls by e^20 within one cell.
    with pytest.raises(ConvergenceError, match="within a cell"):
        compare_tail(
            "stretched-exponential",
            np.array([5.0, 6.0]),
            np.array([1e9, 1.0]),
            xmin=5.0,
            alpha=20.0,
            log_norm=1.0,
            discrete=True,
            discretisation="round",
        )
