"""The fits that Clauset, Shalizi and Newman published (SIAM Review 51, 661, tables 6.1 to 6.3)."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from spinnet.tails import fit_power_law
from spinnet.tails.ks_search import search, suffix_statistics

# name, integers, published n, alpha, its last digit, xmin, n_tail, p; then alpha to six digits.
TABLE = [
    ("words", True, 18855, 1.95, 7, 2958, 0.49, 1.952728),
    ("terrorism", True, 9101, 2.4, 12, 547, 0.68, 2.369947),
    ("blackouts", False, 211, 2.3, 230e3, 59, 0.62, 2.272637),
    ("cities", False, 19447, 2.37, 52.457e3, 580, 0.76, 2.369952),
    ("fires", False, 203785, 2.2, 6324, 521, 0.05, 2.163629),
    ("flares", False, 12773, 1.79, 323, 1711, 1.00, 1.788407),
    ("quakes", False, 19302, 1.64, 0.794328e3, 11697, 0.00, 1.639791),
    ("surnames", False, 2753, 2.5, 111.919e3, 239, 0.20, 2.493245),
]
NAMES = [row[0] for row in TABLE]
# Vuong ratios normalised, table 6.3: lognormal, exponential.  The published lognormal of `words`
# (+0.395) is left out: a power law is a limit of the lognormal, so that no positive ratio can be
# the maximum.
RATIOS = {
    "terrorism": (-0.278, 2.457),
    "blackouts": (-0.412, 1.43),
    "cities": (-0.090, 3.65),
    "flares": (-0.803, 13.7),
    "quakes": (-7.14, 11.6),
    "surnames": (-0.836, 2.89),
}


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_published_fits_are_reproduced(row, published):
    name, discrete, n, alpha, xmin, n_tail, _, digits = row
    fit = fit_power_law(published(name), discrete=discrete)
    assert (fit.n, fit.n_tail) == (n, n_tail)
    assert fit.xmin == pytest.approx(xmin, rel=1e-6)  # the digits of xmin quoted above
    decimals = len(str(alpha).split(".")[1])
    assert round(fit.alpha, decimals) == alpha
    assert fit.alpha == pytest.approx(digits, abs=5e-7)  # half the last digit


@pytest.mark.parametrize("name", ["words", "terrorism"])
def test_integer_exponent_is_a_root_of_the_exact_score(name, published):
    x = published(name)
    fit = fit_power_law(x)
    tail = x[x >= fit.xmin]
    with mp.workdps(40):
        target = mp.fsum(mp.log(v) for v in tail) / tail.size
        root = mp.findroot(
            lambda s: mp.zeta(s, int(fit.xmin), 1) / mp.zeta(s, int(fit.xmin)) + target, fit.alpha
        )
    assert fit.alpha == pytest.approx(float(root), abs=1e-11)


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_no_candidate_beats_the_search(row, published):
    name, discrete, *_ = row
    values, counts = np.unique(published(name), return_counts=True)
    fit = fit_power_law(values, discrete=discrete, counts=counts)
    candidates = values[:-1][np.cumsum(counts[::-1])[::-1][:-1] >= 50]
    for xmin in candidates[:: max(1, candidates.size // 150)]:
        other = fit_power_law(values, discrete=discrete, counts=counts, xmin=xmin)
        # 1e-13: the two paths round the logarithms differently.
        assert other.ks_distance >= fit.ks_distance - 1e-13


@pytest.mark.statistical
@pytest.mark.parametrize("row", [r for r in TABLE if r[0] != "words"])
def test_published_p_values_are_reproduced(row, published):
    # Both p are binomial, ours of 500 and theirs of 2500 replicates: a standard error of at most
    # sqrt(.25/500 + .25/2500) = .0245.  At 4 sigma, plus half of their last digit, seven sets give
    # a false alarm in fewer than 1 of 2000 runs.  `words` is left out: R's poweRlaw and this
    # package both find .67 where .49 was published.
    name, discrete, *_, p, _ = row
    fit = fit_power_law(published(name), discrete=discrete, n_bootstrap=500, rng=20090101)
    error = np.sqrt(max(p * (1 - p), 0.01) * (1 / 500 + 1 / 2500))
    assert abs(fit.p_value - p) < 4 * error + 0.005
    assert fit.n_failed == 0


@pytest.mark.statistical
def test_word_frequencies_agree_with_r(published):
    # R's poweRlaw ships 5000 replicates of the same test: p = .6738, alpha* = 1.9512 +- .0231.
    fit = fit_power_law(published("words"), n_bootstrap=1000, rng=1)
    assert abs(fit.p_value - 0.6738) < 4 * np.sqrt(0.22 * (1 / 1000 + 1 / 5000))
    assert fit.alpha_bootstrap_error == pytest.approx(0.0231, rel=4 / np.sqrt(2 * 1000) + 0.03)


@pytest.mark.parametrize("name", RATIOS)
def test_published_likelihood_ratios_are_reproduced(name, published):
    fit = fit_power_law(published(name), discrete=name == "terrorism")
    lognormal, exponential = (fit.compare(other) for other in ("lognormal", "exponential"))
    # Published to two or three digits from a numerical maximum: 2 % + .005.  Their discrete
    # lognormal rounds a continuous one, ours is summed: the same to the digits shown here.
    for ours, theirs in zip((lognormal, exponential), RATIOS[name], strict=True):
        assert ours.normalized_ratio == pytest.approx(theirs, rel=0.02, abs=0.005)


def test_word_frequencies_have_no_better_lognormal(published):
    ratio = fit_power_law(published("words")).compare("lognormal")
    assert ratio.degenerate
    assert (ratio.ratio, ratio.p_value, ratio.nested_p_value) == (0.0, 1.0, 1.0)


def test_search_skips_most_candidates_but_none_that_matters(published):
    """Every candidate evaluated, at full resolution, on a set where that is affordable."""
    values, counts = np.unique(published("surnames"), return_counts=True)
    logs = np.log(values)
    tail, log_sum = suffix_statistics(logs, counts.astype(float))
    k, d, _ = search(values, logs, tail, log_sum, 2.0, False, 1)
    every = [fit_power_law(values, False, xmin=v, counts=counts, min_tail=2) for v in values[:-1]]
    distances = np.array([fit.ks_distance for fit in every])
    assert k == distances.argmin()
    assert d == pytest.approx(distances.min(), abs=1e-13)
