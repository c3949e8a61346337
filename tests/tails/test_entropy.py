"""Entropy estimators: exact expectations, published formulas in mpmath, and simulation."""

from __future__ import annotations

import json
import math
from itertools import product

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import exp1, gammaln

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.information import entropy
from spinnet.tails.information.estimators import ESTIMATORS, Totals, geometric_tail

NAMES = tuple(ESTIMATORS)
GAMMA = 0.5772156649015329


def expectation(estimator, p, M):
    """Exact mean of an estimate over all samples of M draws from `p`."""
    mean = 0.0
    for counts in product(range(M + 1), repeat=len(p)):
        if sum(counts) == M:
            k = np.array(counts)
            log_weight = gammaln(M + 1) - gammaln(k + 1).sum() + k @ np.log(p)
            mean += math.exp(log_weight) * entropy(k, estimator).value
    return mean


def totals_of(counts):
    return Totals(sum(counts), sum(c > 0 for c in counts), counts.count(1), counts.count(2))


P = np.array([0.6, 0.3, 0.1])
TRUTH = -float(P @ np.log(P))


def test_known_values():
    assert entropy([7, 7]).value == pytest.approx(math.log(2), rel=1e-15)
    assert entropy([7, 7], base=2).value == pytest.approx(1.0, rel=1e-15)
    assert entropy([5]).value == 0.0
    # Grassberger 2003: G(1) = -gamma - ln 2, G(2) = 2 - gamma - ln 2, G(3) = G(2)
    g1, g2 = -GAMMA - math.log(2), 2 - GAMMA - math.log(2)
    expected = math.log(6) - (1 * g1 + 2 * g2 + 3 * g2) / 6
    assert entropy([1, 2, 3], "grassberger").value == pytest.approx(expected, rel=1e-14)
    plain = entropy([4, 3, 3]).value
    assert entropy([4, 3, 3], "miller-madow").value == pytest.approx(plain + 2 / 20, rel=1e-14)


@pytest.mark.parametrize("counts", [[1, 2, 3, 1, 9], [1, 1, 1, 1], [3, 3, 1], [2, 2], [1, 40, 7]])
def test_formulas_of_the_papers_in_mpmath(counts):
    M, D = sum(counts), len(counts)
    f1, f2 = counts.count(1), counts.count(2)

    def psi(x):
        return mpmath.digamma(x)

    def G(n):
        half = mpmath.mpf(n) / 2
        return psi(n) + mpmath.mpf(-1) ** n / 2 * (psi(half + mpmath.mpf(1) / 2) - psi(half))

    with mpmath.workdps(40):
        p = [mpmath.mpf(k) / M for k in counts]
        plain = -sum(q * mpmath.log(q) for q in p)
        C = 1 - mpmath.mpf(f1 if f1 < M else M - 1) / M
        chao_shen = -sum(C * q * mpmath.log(C * q) / (1 - (1 - C * q) ** M) for q in p)
        # Zhang 2012, eq. 4, as written: sums of products instead of the digamma
        zhang = sum(mpmath.mpf(k) / M * sum(1 / mpmath.mpf(v) for v in range(k, M)) for k in counts)
        A = mpmath.mpf(1)
        if f2:
            A = mpmath.mpf(2 * f2) / ((M - 1) * f1 + 2 * f2)
        elif f1:
            A = mpmath.mpf(2) / ((M - 1) * (f1 - 1) + 2)
        unseen = mpmath.mpf(0)
        if A < 1 and f1:
            head = sum((1 - A) ** r / r for r in range(1, M))
            unseen = mpmath.mpf(f1) / M * (1 - A) ** (1 - M) * (-mpmath.log(A) - head)
        expected = {
            "plug-in": plain,
            "miller-madow": plain + mpmath.mpf(D - 1) / (2 * M),
            "grassberger": mpmath.log(M) - sum(k * G(k) for k in counts) / M,
            "chao-shen": chao_shen,
            "zhang": zhang,
            "chao-wang-jost": zhang + unseen,
        }
    assert set(expected) == set(NAMES)
    for name, value in expected.items():
        assert entropy(counts, name).value == pytest.approx(float(value), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("A", "M"), [(0.5, 2), (1e-6, 1e6), (0.9, 1e7), (1e-3, 5), (2e-9, 1e6)])
def test_the_tail_sum_of_chao_wang_jost(A, M):
    with mpmath.workdps(30):
        x = 1 - mpmath.mpf(A)
        expected = x * mpmath.lerchphi(x, 1, M)
        assert geometric_tail(A, M) == pytest.approx(float(expected), rel=1e-10)


def test_zhang_has_the_exact_mean_of_its_theorem():
    # E[H] = sum_(v<M) (1/v) sum_i p_i (1 - p_i)^v: the entropy's series, cut at M
    M = 9
    exact = sum(float(P @ (1 - P) ** v) / v for v in range(1, M))
    assert expectation("zhang", P, M) == pytest.approx(exact, rel=1e-12)


def test_grassberger_has_the_exact_mean_of_poisson_counts():
    # his defining property: E[n G(n)] = z ln z + z E_1(2z) for Poisson n of mean z
    n = np.arange(1, 200)
    for z in (0.3, 2.0, 20.0):
        log_p = n * math.log(z) - z - gammaln(n + 1)
        term = ESTIMATORS["grassberger"](Totals(1000, 1, 0, 0)).term(n.astype(float)) * -1000
        mean = float(np.exp(log_p) @ term)
        assert mean == pytest.approx(z * math.log(z) + z * exp1(2 * z), rel=1e-10, abs=1e-12)


def test_exact_biases_fall_as_their_theory_says():
    # plug-in: -(D-1)/(2M) + (1 - sum 1/p)/(12 M^2) + ...; the others are left with far less
    p = np.array([0.5, 0.3, 0.2])
    truth = -float(p @ np.log(p))
    for M in (20, 30):
        bias = expectation("plug-in", p, M) - truth
        second = (1 - (1 / p).sum()) / (12 * M**2)
        assert bias == pytest.approx(-2 / (2 * M) + second, rel=0.03)
    for name in ("miller-madow", "zhang", "chao-wang-jost"):
        left = abs(expectation(name, p, 20) - truth)
        assert left < 0.1 * abs(expectation("plug-in", p, 20) - truth), name
    # ln M in place of psi(M): right for Poisson counts, 1/(2M) too much for a fixed M
    assert expectation("grassberger", p, 20) - truth == pytest.approx(1 / 40, rel=0.02)


def test_zhang_falls_exponentially():
    biases = [TRUTH - expectation("zhang", P, M) for M in (4, 8, 16)]
    assert biases[0] > biases[1] > biases[2] > 0
    # the series' rest sum_(v>=M) sum_i p_i (1-p_i)^v / v
    rest = sum(float(P @ (1 - P) ** v) / v for v in range(16, 2000))
    assert biases[2] == pytest.approx(rest, rel=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "grassberger"])
@given(counts=st.lists(st.integers(1, 5) | st.integers(1, 30), min_size=2, max_size=15))
@settings(max_examples=40)
def test_the_jackknife_is_that_of_leaving_out_each_input(name, counts):
    if sum(counts) < 3:
        return
    estimates = []
    for i, k in enumerate(counts):
        fewer = [*counts[:i], k - 1, *counts[i + 1 :]]
        parts = ESTIMATORS[name](totals_of(fewer))
        left = [c for c in fewer if c]
        value = parts.constant + float(parts.term(np.array(left, float)).sum())
        estimates += [value] * k
    M = len(estimates)
    expected = math.sqrt((M - 1) / M * ((np.array(estimates) - np.mean(estimates)) ** 2).sum())
    assert entropy(counts, name).error == pytest.approx(expected, rel=1e-8, abs=1e-9)


@given(
    counts=st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any),
    seed=st.integers(0, 99),
    name=st.sampled_from(NAMES),
)
def test_order_and_zeros_do_not_matter(counts, seed, name):
    shuffled = np.random.default_rng(seed).permutation([*counts, 0, 0])
    assert entropy(shuffled, name).value == entropy(counts, name).value
    assert entropy(shuffled, name).error == pytest.approx(entropy(counts, name).error, nan_ok=True)


@given(counts=st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_estimates_are_ordered_and_finite(counts):
    values = {name: entropy(counts, name).value for name in NAMES}
    assert all(math.isfinite(value) and value >= 0 for value in values.values())
    assert values["plug-in"] <= math.log(len(counts)) + 1e-12
    assert values["plug-in"] <= values["miller-madow"]
    assert values["plug-in"] <= values["zhang"] + 1e-12  # Schurmann 2015: less bias than plug-in
    assert values["zhang"] <= values["chao-wang-jost"]


def critical_curie_weiss(n):
    """Probabilities of all 2^n states of the Curie-Weiss model at beta J = 1, h = 0."""
    K = np.arange(n + 1)
    log_states = gammaln(n + 1) - gammaln(K + 1) - gammaln(n - K + 1)
    log_p = (2 * K - n) ** 2 / (2 * n)
    states = np.repeat(np.exp(log_p), np.rint(np.exp(log_states)).astype(int))
    return states / states.sum()


@pytest.mark.statistical
def test_bias_on_critical_curie_weiss():
    # Section of undersampling: 10^6 draws see 72 % of the probability.  Standard error of an
    # estimate is 0.003; 0.02 is 6 of them, so that false alarms are below 1e-8.
    p = critical_curie_weiss(20)
    truth = -float(p @ np.log(p))
    assert truth == pytest.approx(12.464, abs=5e-4)
    counts = np.random.default_rng(11).multinomial(10**6, p)
    found = {name: entropy(counts, name) for name in NAMES}
    assert found["plug-in"].coverage == pytest.approx(0.72, abs=0.01)
    assert found["plug-in"].value == pytest.approx(11.96, abs=0.02)
    assert found["grassberger"].value == pytest.approx(12.36, abs=0.02)
    assert found["chao-wang-jost"].value == pytest.approx(12.43, abs=0.02)
    assert found["plug-in"].warnings
    assert not found["chao-wang-jost"].warnings


@pytest.mark.statistical
@pytest.mark.parametrize("name", NAMES)
def test_the_error_is_the_spread_over_samples(name):
    # 400 samples: the spread is known to 3.5 %; 4 of that and the jackknife's own scatter, 20 %.
    # False alarms below 1e-4 for each estimator.
    rng = np.random.default_rng(12)
    p = 1.0 / np.arange(1, 201)
    p /= p.sum()
    made = [entropy(rng.multinomial(3000, p), name) for _ in range(400)]
    spread = np.std([e.value for e in made], ddof=1)
    assert np.mean([e.error for e in made]) == pytest.approx(spread, rel=0.2)


@pytest.mark.statistical
@pytest.mark.parametrize(("n", "m"), [(5, 60), (5, 2000), (3, 100_000)])
def test_the_error_of_grassberger_does_not_mistake_odd_and_even_counts_for_a_spread(n, m):
    # 1000 samples: the spread is known to 2.2 %, 4 of that and a tenth for the jackknife.  A plain
    # jackknife is 40 % too large for 5 patterns and 3 times for 3 patterns nearly alike.
    rng = np.random.default_rng(13)
    p = np.array([0.5, 0.2, 0.2, 0.05, 0.05]) if n == 5 else np.array([0.36, 0.33, 0.31])
    made = [entropy(rng.multinomial(m, p), "grassberger") for _ in range(1000)]
    spread = np.std([e.value for e in made], ddof=1)
    assert np.mean([e.error for e in made]) == pytest.approx(spread, rel=0.19)


def test_a_single_input_and_all_different_inputs():
    one = entropy([1])
    assert one.value == 0.0
    assert math.isnan(one.error)
    assert one.to_dict()["error"] is None
    for name in NAMES:
        estimate = entropy(np.ones(1000, int), name)
        assert math.isfinite(estimate.value)
        assert estimate.coverage == 0.0
        assert "coverage 0.000" in estimate.warnings[0]
        assert estimate.error < 1e-6 or name in ("chao-wang-jost", "chao-shen")


def test_summary_and_dictionary():
    estimate = entropy([10, 5, 1], "grassberger", base=2)
    assert "bits (grassberger), 16 inputs, 3 distinct" in estimate.summary()
    record = json.loads(json.dumps(estimate.to_dict()))
    assert record["kind"] == "entropy"
    assert record["value"] == estimate.value == float(estimate)
    nats = entropy([10, 5, 1], "grassberger")
    assert nats.error / estimate.error == pytest.approx(math.log(2), rel=1e-14)
    assert "caution" in entropy([1, 1, 5]).summary()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: entropy([]), StatisticsError, "nothing was seen"),
        (lambda: entropy([0, 0]), StatisticsError, "nothing was seen"),
        (
            lambda: entropy([1, -2, -3]),
            InputError,
            r"2 other value\(s\), the first at index \(1,\)",
        ),
        (lambda: entropy([1.5]), InputError, "whole numbers"),
        (lambda: entropy([1, np.nan]), InputError, "NaN"),
        (lambda: entropy([[1, 2]]), InputError, "dimension"),
        (lambda: entropy(["a"]), InputError, "real numbers"),
        (lambda: entropy([1, 2], "miler-madow"), InputError, "did you mean 'miller-madow'"),
        (lambda: entropy([1, 2], base=1.0), InputError, "base must be > 1"),
        (lambda: entropy([1, 2], base=np.inf), InputError, "base"),
    ],
    ids=[str(k) for k in range(10)],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
