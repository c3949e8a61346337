"""Cross-checks with `powerlaw` and igraph, in the settings where they are known to be right."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from spinnet.tails import fit_power_law

powerlaw_needed = pytest.mark.skipif(
    importlib.util.find_spec("powerlaw") is None, reason="powerlaw is not installed"
)

# powerlaw replaces parts of multiprocessing when imported, so that it runs in its own process.
_PEER = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import powerlaw
job = json.load(sys.stdin)
x = np.array(job["x"])
fit = powerlaw.Fit(x, discrete=job["discrete"], xmin=job["xmin"], verbose=0,
                   **({"estimate_discrete": False} if job["discrete"] else {}))
out = {"alpha": float(fit.power_law.alpha), "xmin": float(fit.power_law.xmin),
       "D": float(fit.power_law.D),
       "log_likelihood": float(np.sum(fit.power_law.loglikelihoods(x[x >= fit.power_law.xmin])))}
if job["compare"]:
    out["ratio"] = [float(v) for v in fit.distribution_compare(
        "power_law", job["compare"], normalized_ratio=True)]
print("RESULT", json.dumps(out))
"""


def _peer(x, discrete, xmin=None, compare=None):
    job = {"x": np.asarray(x, float).tolist(), "discrete": discrete, "xmin": xmin}
    done = subprocess.run(
        [sys.executable, "-c", _PEER],
        input=json.dumps(job | {"compare": compare}),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    line = next(row for row in done.stdout.splitlines() if row.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))


@powerlaw_needed
def test_continuous_search_agrees_on_untied_data(body_and_tail):
    x = body_and_tail(np.random.default_rng(1), 600, 2.5)
    theirs = _peer(x, False)
    ours = fit_power_law(x, convention="left", min_tail=2)
    # Closed form on both sides for 1.5 < alpha <= 3.
    assert ours.xmin == pytest.approx(theirs["xmin"], rel=1e-12)
    assert ours.alpha == pytest.approx(theirs["alpha"], abs=1e-9)
    assert ours.ks_distance == pytest.approx(theirs["D"], abs=1e-9)
    assert ours.log_likelihood == pytest.approx(theirs["log_likelihood"], abs=1e-6)


@powerlaw_needed
def test_integer_fit_agrees_and_is_at_least_as_likely():
    x = np.random.default_rng(2).zipf(2.3, 2000)
    theirs = _peer(x, True, xmin=2)
    ours = fit_power_law(x, xmin=2)
    assert ours.alpha == pytest.approx(theirs["alpha"], abs=1e-4)  # their simplex tolerance
    assert ours.log_likelihood >= theirs["log_likelihood"] - 1e-6


@powerlaw_needed
@pytest.mark.parametrize("law", ["lognormal", "exponential"])
def test_likelihood_ratio_agrees(law, body_and_tail):
    x = np.random.default_rng(3).lognormal(0.0, 1.0, 2000)
    theirs = _peer(x, False, xmin=1.0, compare=law)
    ours = fit_power_law(x, xmin=1.0).compare(law)
    # Their lognormal is a simplex minimum: 1e-4 in the parameters, squared in the likelihood.
    assert ours.normalized_ratio == pytest.approx(theirs["ratio"][0], rel=1e-3)
    assert ours.p_value == pytest.approx(theirs["ratio"][1], rel=2e-2, abs=1e-12)


def _igraph(x, discrete):
    """(xmin, alpha, D, ln L) of igraph, which is the C library plfit inside."""
    igraph = pytest.importorskip("igraph")
    fit = igraph.power_law_fit(
        np.asarray(x, float).tolist(),
        method="discrete" if discrete else "continuous",
        p_precision=0.5,  # its p-value is not asked for, but always computed
    )
    return fit.xmin, fit.alpha, fit.D, fit.L


@pytest.mark.parametrize("kind", ["pareto", "body", "zeta", "words", "blackouts", "surnames"])
def test_no_distance_of_igraph_is_smaller(kind, body_and_tail, published):
    rng = np.random.default_rng(7)
    discrete = kind in ("zeta", "words")
    x = {
        "pareto": lambda: rng.pareto(1.5, 2000) + 1.0,
        "body": lambda: body_and_tail(rng, 2000, 2.5),
        "zeta": lambda: rng.zipf(2.2, 2000),
    }.get(kind, lambda: published(kind))()
    xmin, alpha, distance, log_likelihood = _igraph(x, discrete)
    ours = fit_power_law(x, discrete, min_tail=2)
    # its search looks at strata of the candidates: it may miss the smallest distance
    assert ours.ks_distance <= distance + 1e-9
    same = fit_power_law(x, discrete, xmin=xmin, min_tail=2)
    if discrete:
        # its optimiser stops at 1e-5 or so in alpha
        assert same.alpha == pytest.approx(alpha, abs=1e-4)
        assert same.log_likelihood >= log_likelihood - 1e-6
    elif same.n_tail > 100:  # no correction for small samples: the closed form
        assert same.alpha == pytest.approx(alpha, abs=1e-9)
        assert same.ks_distance == pytest.approx(distance, abs=1e-9)
        assert same.log_likelihood == pytest.approx(log_likelihood, abs=1e-5)
