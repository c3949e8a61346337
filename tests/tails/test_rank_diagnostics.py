"""Coverage, Chao1 and what else counts say before any fit: against simulated truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.rank import coverage, diagnose_counts


def _draws(s: float, n: int, m: int, repeats: int):
    p = np.arange(1, n + 1.0) ** -s
    p /= p.sum()
    rng = np.random.default_rng([n, m])
    return p, [rng.multinomial(m, p) for _ in range(repeats)]


def test_diagnostics_count_what_is_there():
    seen = diagnose_counts([30, 12, 10, 9, 2, 2, 1, 1, 1, 0, 0])
    assert (seen.n_total, seen.n_distinct, seen.n_singletons, seen.n_doubletons) == (68, 9, 3, 2)
    assert (seen.r_max, seen.k_min) == (3, 10)
    assert seen.coverage == 1 - 3 / 68
    assert seen.chao1 == 9 + 3 * 2 / (2 * 3)
    assert seen.decades == math.log10(3)
    assert seen.undersampled
    assert diagnose_counts([30, 12, 10, 9], k_min=9).r_max == 4
    assert "9 distinct" in seen.summary()
    record = seen.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    full = diagnose_counts([50] * 100)
    assert (full.warnings, full.undersampled, full.chao1_error) == ((), False, 0.0)
    assert diagnose_counts([5], k_min=10).decades == 0.0


def test_coverage_has_two_versions():
    counts = [9, 4, 2, 2, 1, 1, 1]
    n, f1, f2 = 20, 3, 2
    assert coverage(counts) == 1 - f1 / n
    chao_jost = 1 - f1 / n * (n - 1) * f1 / ((n - 1) * f1 + 2 * f2)
    assert coverage(counts, "chao-jost") == pytest.approx(chao_jost, rel=1e-14)
    without = 1 - f1 / n * (n - 1) * (f1 - 1) / ((n - 1) * (f1 - 1) + 2)
    assert coverage([9, 8, 1, 1, 1], "chao-jost") == pytest.approx(without, rel=1e-14)
    assert coverage([9, 8, 1], "chao-jost") == 1.0  # one singleton, as of a rare last one
    for method in ("good-turing", "chao-jost"):
        assert coverage([5, 5], method) == 1.0
        assert 0 <= coverage([1] * 40, method) < 2e-3


@pytest.mark.statistical
@pytest.mark.parametrize(("s", "n", "m"), [(1.0, 1000, 300), (0.0, 100, 60), (1.3, 2000, 5000)])
def test_coverage_is_the_probability_of_what_was_seen(s, n, m):
    # Mean error of 400 draws within 4 sigma of zero, and within the known bias of Good-Turing:
    # it estimates the coverage of m - 1 inputs, lower by about 1/m of the unseen mass; 6 checks.
    p, draws = _draws(s, n, m, 400)
    for method in ("good-turing", "chao-jost"):
        error = np.array([coverage(k, method) - p[k > 0].sum() for k in draws])
        assert abs(error.mean()) < 4 * error.std() / 20 + 1 / m


@pytest.mark.statistical
def test_chao1_error_is_that_of_repeated_draws():
    # sd of 400 draws within 4/sqrt(800) = 14 % of the mean of the stated errors, whose own
    # delta-method bias is below 10 % here; the mean is a lower bound of the truth.
    _, draws = _draws(1.0, 1000, 3000, 400)
    seen = [diagnose_counts(k) for k in draws]
    chao1 = np.array([d.chao1 for d in seen])
    assert chao1.std(ddof=1) == pytest.approx(np.mean([d.chao1_error for d in seen]), rel=0.24)
    assert np.mean([d.n_distinct for d in seen]) < chao1.mean() < 1000


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ([1.5], "whole numbers"),
        ([2, -1], r"1 other value\(s\), the first at index \(1,\)"),
        ([math.nan], "1 NaN"),
        ([math.inf, 2], "index"),
        ([[1, 2]], "dimension"),
        (["3"], "real numbers"),
        (np.ma.masked_array([3, 4], [True, False]), "masked"),
        ([2**60], r"<= 2\^53"),
    ],
)
def test_bad_counts_are_refused_by_name(counts, word):
    for function in (diagnose_counts, coverage):
        with pytest.raises(InputError, match=word):
            function(counts)


def test_nothing_to_rank_is_refused():
    for function in (diagnose_counts, coverage):
        for counts in ([], [0, 0]):
            with pytest.raises(StatisticsError, match="nothing to rank"):
                function(counts)
    with pytest.raises(InputError, match="method"):
        coverage([1], "good")
    with pytest.raises(InputError, match="k_min"):
        diagnose_counts([1], k_min=0)


def test_huge_totals_are_counted_exactly():
    seen = diagnose_counts([2**53] * 20 + [1])
    assert seen.n_total == 20 * 2**53 + 1
    assert seen.coverage == 1.0
