"""Exponents side by side: split samples, the table of biases, refusals."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from spinnet.errors import InputError, StatisticsError
from spinnet.tails import fit_power_law
from spinnet.tails.rank import fit_zipf, rank_exponents
from spinnet.tails.rank.split_sample import halve, split_sample


def _draw(seed: object, s: float, n: int, m: int) -> np.ndarray:
    p = np.arange(1, n + 1.0) ** -s
    return np.random.default_rng(seed).multinomial(m, p / p.sum())


def test_each_exponent_is_what_it_says():
    counts = _draw(1, 1.0, 2000, 200_000)
    found = rank_exponents(counts, rng=3)
    fit = fit_zipf(counts)
    assert (found.rank.s, found.rank.error) == (fit.zipf, fit.zipf_error)
    assert found.rank.n_ranks == fit.r_max
    tail = fit_power_law(counts, discrete=True)
    assert (found.alpha, found.alpha_error, found.xmin) == (tail.alpha, tail.alpha_error, tail.xmin)
    assert found.spectrum.s == pytest.approx(1 / (tail.alpha - 1), rel=1e-14)
    slope = found.alpha - 1  # d s = d alpha / (alpha - 1)^2
    assert found.spectrum.error == pytest.approx(found.alpha_error / slope**2, rel=1e-12)
    x, y = np.log(np.arange(1, counts.size + 1)), np.log(np.sort(counts)[::-1])
    (line, _), covariance = np.polyfit(x, y, 1, cov=True)
    assert found.least_squares.s == pytest.approx(-line, rel=1e-10)
    assert found.least_squares.error == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-8)
    assert found.split.s == pytest.approx(1.0, abs=0.05)
    record = found.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    for word in ("rank", "spectrum", "split", "least squares", "older papers"):
        assert word in found.summary()


def test_splits_are_reproducible_and_the_bootstrap_is_that_of_the_fit():
    counts = _draw(2, 1.0, 500, 50_000)
    found = rank_exponents(counts, n_bootstrap=20, rng=5)
    assert found == rank_exponents(counts, n_bootstrap=20, rng=5)
    assert found.split != rank_exponents(counts, rng=6).split
    assert found.ci[0] < found.rank.s + 0.05
    assert found.ci[1] > found.ci[0]
    assert "95 %" in found.summary()
    assert "bootstrap" in found.rank.note


def test_halves_are_drawn_without_replacement():
    counts = np.array([1000, 50, 1, 1, 0])
    rng = np.random.default_rng(0)
    halves = np.array([halve(counts, rng) for _ in range(500)])
    assert (halves.sum(axis=1) == 526).all()
    assert (halves <= counts).all()
    # variance of a hypergeometric margin: n/4 (1 - k/n) k/(n - 1), 4 sigma of 500 draws
    n, k = counts.sum(), counts[:2]
    variance = k / n * (1 - k / n) * n * n / (4 * (n - 1))
    np.testing.assert_allclose(halves[:, :2].var(axis=0), variance, rtol=4 * math.sqrt(2 / 500))
    huge = halve(np.array([2 * 10**9, 10**9]), rng)
    np.testing.assert_allclose(huge, [10**9, 5 * 10**8], rtol=4e-4)


def test_equal_counts_leak_no_order():
    # All patterns equally frequent, given in any order: ties of the ranking half are random, so
    # that the other half is flat: 12 splits of 4000 counts, |s| < 4 standard errors of one half.
    found = split_sample(np.full(400, 10.0), 1, 12, np.random.default_rng(1))
    # a half of ten is 5 +- 1.5: ranks are noise, and what one half has too many the other lacks
    assert found.s < 0.0
    assert found.n_failed == 0
    order = np.array([3.0] * 100 + [2.0] * 100 + [1.0] * 100)
    up = split_sample(order, 1, 200, np.random.default_rng(1)).s
    down = split_sample(order[::-1], 1, 200, np.random.default_rng(2)).s
    spread = split_sample(order, 1, 200, np.random.default_rng(3)).spread
    assert abs(up - down) < 4 * spread * math.sqrt(2 / 200)


@pytest.mark.statistical
def test_split_error_is_that_of_repeated_draws():
    # sd of 100 data sets is known within 4/sqrt(200) = 28 %
    found = [rank_exponents(_draw([k, 3], 1.0, 300, 30_000), rng=k).split for k in range(100)]
    sd = np.std([f.s for f in found], ddof=1)
    assert sd == pytest.approx(np.mean([f.error for f in found]), rel=0.28)


# (s, N, M): biases of 12 repeats known to three decimals.  All ranks, ranks with k >= 10,
# least squares and spectrum as in the literature's table of this comparison; split: all ranks of
# the half, ties in random order.
_TABLE = {
    (0.5, 10**3, 10**4): (0.027, -0.019, -0.035, -0.036, 0.116),
    (0.7, 10**5, 10**4): (-0.251, -0.022, 0.075, -0.275, -0.399),
    (1.0, 10**5, 10**4): (-0.147, -0.006, 0.075, -0.117, -0.444),
    (1.3, 10**5, 10**4): (-0.081, -0.006, 0.046, -0.110, -0.416),
    (1.3, 10**5, 10**6): (-0.013, -0.001, 0.009, -0.035, -0.204),
}


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.filterwarnings("ignore::spinnet.errors.SpinnetWarning")
@pytest.mark.parametrize("setting", _TABLE)
def test_biases_of_five_exponents(setting):
    # 12 more repeats: 4 sigma of the difference of two means of 12, plus half of the last digit.
    # 25 numbers: false alarm 2e-3.
    s, n, m = setting
    rows = []
    for k in range(12):
        counts = np.sort(_draw([k, 41], s, n, m))[::-1]
        ranked = counts[counts > 0].astype(float)
        found = rank_exponents(counts, n_splits=1, rng=k)
        split = split_sample(ranked, 1, 1, np.random.default_rng(k))
        rows.append(
            [
                fit_zipf(counts, k_min=1).zipf,
                found.rank.s,
                split.s,
                math.nan if found.spectrum.s is None else found.spectrum.s,
                found.least_squares.s,
            ]
        )
    bias = np.array(rows) - s
    assert np.isfinite(bias).all()
    tolerance = 4 * bias.std(axis=0, ddof=1) * math.sqrt(2 / 12) + 5e-4
    assert (np.abs(bias.mean(axis=0) - _TABLE[setting]) < tolerance).all(), bias.mean(axis=0)
    every, cut, *_, line = np.abs(bias.mean(axis=0))
    assert cut < every or s == 0.5
    assert cut < line / 5


def test_what_counts_cannot_carry_is_none_with_the_reason():
    found = rank_exponents([5] * 12, rng=1)
    for row in (found.rank, found.spectrum, found.split):
        assert (row.s, row.error) == (None, None)
        assert row.note
    assert (found.alpha, found.xmin) == (None, None)
    assert "needs at least 20" in found.rank.note
    assert found.least_squares.s == pytest.approx(0.0, abs=1e-12)
    assert found.to_dict()["spectrum"]["s"] is None
    forced = rank_exponents([40, 30, 25, 11], force=True, rng=1)
    assert forced.rank.s is not None
    assert rank_exponents([9], rng=1).least_squares.s is None


def test_huge_counts_have_exponents_too():
    counts = np.round(1e14 / np.arange(1, 201) ** 1.2)
    found = rank_exponents(counts, rng=1)
    assert found.rank.s == pytest.approx(1.2, abs=1e-9)
    assert found.split.s == pytest.approx(1.2, abs=1e-5)
    assert found.least_squares.s == pytest.approx(1.2, abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "options", "word"),
    [
        ([3, -1], {}, "counts"),
        ([3, 4], {"n_splits": 0}, "n_splits"),
        ([3, 4], {"k_min": 0}, "k_min"),
        ([3, 4], {"n_bootstrap": -1}, "n_bootstrap"),
        ([3, 4], {"force": "yes"}, "force"),
        ([3, 4], {"rng": -1}, "rng"),
    ],
)
def test_bad_arguments_are_refused_by_name(counts, options, word):
    with pytest.raises(InputError, match=word):
        rank_exponents(counts, **options)
    with pytest.raises(StatisticsError, match="nothing to rank"):
        rank_exponents([0])
