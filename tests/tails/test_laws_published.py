"""Likelihood ratios published by Clauset, Shalizi and Newman, and those of `powerlaw`."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import gammaincc, zeta

from spinnet.tails import fit_power_law
from spinnet.tails.powerlaw.alternatives import ALTERNATIVE_NAMES, compare_tail
from spinnet.tails.zeta import hurwitz_value

# SIAM Review 51, 661, tables 6.2 and 6.3: normalised ratio and p of lognormal, exponential and
# stretched exponential; R and p (chi-square(1)) of the power law with cut-off.
TABLE = {
    "blackouts": ((-0.412, 0.68), (1.21, 0.23), (-0.417, 0.68), (-0.382, 0.38)),
    "cities": ((-0.090, 0.93), (3.65, 0.00), (0.204, 0.84), (-0.123, 0.62)),
    "fires": ((-1.78, 0.08), (4.00, 0.00), (-1.82, 0.07), (-5.02, 0.00)),
    "flares": ((-0.803, 0.42), (13.7, 0.00), (-0.546, 0.59), (-4.52, 0.00)),
    "quakes": ((-7.14, 0.00), (11.6, 0.00), (-7.09, 0.00), (-24.4, 0.00)),
    "surnames": ((-0.836, 0.40), (2.89, 0.00), (-0.844, 0.40), (-1.36, 0.10)),
    "terrorism": ((-0.278, 0.78), (2.457, 0.01), (0.772, 0.44), (-0.077, 0.70)),
    "words": ((0.395, 0.69), (9.09, 0.00), (4.13, 0.00), (-0.899, 0.18)),
}
INTEGERS = ("terrorism", "words")
# A ratio of the stretched exponential above zero, or far above ours, is a search that stopped
# short: the power law is a member of that family.  The same for the lognormal of `words`.
STOPPED_SHORT = {"cities", "flares", "terrorism", "words"}


@pytest.fixture(scope="module")
def comparison(published):
    fits = {}

    def ratio(name, law, discretisation="sum"):
        if name not in fits:
            fits[name] = fit_power_law(published(name), discrete=name in INTEGERS)
        fit = fits[name]
        values, counts = np.unique(published(name), return_counts=True)
        start = np.searchsorted(values, fit.xmin)
        norm = fit.xmin / (fit.alpha - 1.0)
        if fit.discrete:
            norm = hurwitz_value(fit.alpha, fit.xmin)
        return compare_tail(
            law,
            values[start:].astype(float),
            counts[start:].astype(float),
            xmin=fit.xmin,
            alpha=fit.alpha,
            log_norm=math.log(norm),
            discrete=fit.discrete,
            discretisation=discretisation,
        )

    return ratio


@pytest.mark.parametrize("name", TABLE)
def test_published_cut_off_ratios_are_reproduced(name, comparison):
    published_ratio, p = TABLE[name][3]
    ratio = comparison(name, "cut-off")
    # Three digits; alpha of `words` and `terrorism` was found on a grid of step .01, worth .01.
    assert ratio.ratio == pytest.approx(published_ratio, rel=5e-3, abs=1e-2)
    assert ratio.nested_p_value == pytest.approx(p, abs=0.011)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "words"])
def test_published_lognormal_ratios_are_reproduced(name, comparison):
    value, p = TABLE[name][0]
    ratio = comparison(name, "lognormal", "round")
    # Their standard deviation has n - 1, a factor .991 for the 59 blackouts.
    assert ratio.normalized_ratio == pytest.approx(value, rel=0.012, abs=2e-3)
    assert ratio.p_value == pytest.approx(p, abs=0.011)


@pytest.mark.parametrize("name", [name for name in TABLE if name not in STOPPED_SHORT])
def test_published_stretched_ratios_are_reproduced(name, comparison):
    value, p = TABLE[name][2]
    ratio = comparison(name, "stretched-exponential")
    # Their maxima are a little short of ours (.844 for .860), never better.
    assert ratio.normalized_ratio == pytest.approx(value, rel=0.02)
    assert ratio.p_value == pytest.approx(p, abs=0.02)


def test_searches_that_stopped_short_are_known(comparison):
    expected = {"cities": -0.092, "flares": -0.815, "words": 0.0}
    for name, value in expected.items():
        ratio = comparison(name, "stretched-exponential")
        assert ratio.normalized_ratio == pytest.approx(value, abs=5e-4)
        assert ratio.normalized_ratio < TABLE[name][2][0]
    rounded = comparison("terrorism", "stretched-exponential", "round")
    assert rounded.normalized_ratio == pytest.approx(-0.278, abs=5e-4)
    for law in ("lognormal", "stretched-exponential"):
        ratio = comparison("words", law)
        assert ratio.degenerate
        assert (ratio.ratio, ratio.p_value, ratio.nested_p_value) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize("name", TABLE)
def test_published_exponential_ratios_are_near(name, comparison):
    # The maximum is in closed form (tested elsewhere); theirs differ by up to 2 % except for
    # the 59 blackouts (1.21 there, 1.43 by any direct computation).
    value, _ = TABLE[name][1]
    ratio = comparison(name, "exponential")
    assert ratio.normalized_ratio == pytest.approx(value, rel=0.2 if name == "blackouts" else 0.02)


@pytest.mark.parametrize(
    "name", ["blackouts", "cities", "flares", pytest.param("terrorism", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("law", ["stretched-exponential", "cut-off"])
def test_ratios_are_those_of_a_direct_search(name, law, comparison, published):
    """Simplex on closed-form densities, no code of the package but alpha and xmin."""
    x = published(name)
    ratio = comparison(name, law)
    fit = fit_power_law(x, discrete=name in INTEGERS)
    q = fit.xmin
    tail = x[x >= q]
    u = np.log(tail / q)
    if fit.discrete:
        power = -fit.alpha * np.log(tail) - np.log(zeta(fit.alpha, q))
        support = np.arange(q, 3_000.0 * 40)
    else:
        power = np.log((fit.alpha - 1) / q) - fit.alpha * u

    def log_density(p):
        if law == "stretched-exponential":
            beta = math.exp(p[1])
            shape = lambda y: (beta - 1) * y - math.exp(p[0]) * np.expm1(beta * y) / beta  # noqa: E731
            log_norm = math.log(q) - p[0]
        else:
            eta = math.exp(p[1])
            shape = lambda y: -p[0] * y - eta * np.exp(y)  # noqa: E731
            # Gamma(1 - a, eta) with 1 - a < 0, by its recursion from 2 - a and 3 - a
            s = 3.0 - p[0]
            g = gammaincc(s, eta) * math.gamma(s)
            for k in (s - 1, s - 2):
                g = (g - eta**k * math.exp(-eta)) / k
            log_norm = math.log(q) + (p[0] - 1) * p[1] + math.log(g)
        if fit.discrete:
            log_norm = np.logaddexp.reduce(shape(np.log(support / q)))
            if law == "stretched-exponential":  # beyond: the integral, its midpoint error 1e-11
                rest = -math.exp(p[0]) * np.expm1(beta * np.log((support[-1] + 0.5) / q)) / beta
                log_norm = np.logaddexp(log_norm, math.log(q) - p[0] + rest)
        return shape(u) - log_norm

    start = [0.3, -3.0] if law == "stretched-exponential" else [fit.alpha - 0.05, -9.0]
    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000}
    loss = lambda p: -log_density(p).sum()  # noqa: E731
    with np.errstate(all="ignore"):
        run = minimize(loss, start, method="Nelder-Mead", options=options)
        run = minimize(loss, run.x, method="Nelder-Mead", options=options)
    d = power - log_density(run.x)
    assert ratio.ratio == pytest.approx(d.sum(), abs=1e-6)
    assert ratio.normalized_ratio == pytest.approx(d.sum() / (d.std() * d.size**0.5), abs=1e-4)


_PEER = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import powerlaw
job = json.load(sys.stdin)
x = np.array(job["x"])
fit = powerlaw.Fit(x, discrete=job["discrete"], xmin=job["xmin"], verbose=0,
                   **({"estimate_discrete": False} if job["discrete"] else {}))
tail = x[x >= job["xmin"]]
out = {law: float(np.sum(getattr(fit, law).loglikelihoods(tail))) for law in job["laws"]}
print("RESULT", json.dumps(out))
"""
_LAWS = {
    "lognormal": "lognormal",
    "exponential": "exponential",
    "stretched-exponential": "stretched_exponential",
    "cut-off": "truncated_power_law",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_no_law_of_powerlaw_is_more_likely(name, comparison, published):
    pytest.importorskip("powerlaw")
    fit = comparison(name, "lognormal")
    xmin = fit_power_law(published(name), discrete=name in INTEGERS).xmin
    x = published(name)
    laws = _LAWS if name not in INTEGERS else {k: v for k, v in _LAWS.items() if k != "cut-off"}
    job = {"x": x[x >= xmin].tolist(), "discrete": name in INTEGERS, "xmin": float(xmin)}
    done = subprocess.run(
        [sys.executable, "-c", _PEER],
        input=json.dumps(job | {"laws": list(laws.values())}),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    line = next(row for row in done.stdout.splitlines() if row.startswith("RESULT"))
    theirs = json.loads(line.removeprefix("RESULT"))
    assert fit.n_tail == len(job["x"])
    for law, other in laws.items():
        ours = comparison(name, law, "round").log_likelihood
        if (name, law) == ("quakes", "exponential"):
            continue  # they put 1e-307 where exp(-1597) underflows: 1000 nats too many
        # Rounding of their sums over up to 12,000 points.
        assert ours >= theirs[other] - 1e-5, law


def test_every_law_is_compared(comparison):
    for law in ALTERNATIVE_NAMES:
        assert math.isfinite(comparison("blackouts", law).log_likelihood)
