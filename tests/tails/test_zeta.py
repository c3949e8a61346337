"""Sums of powers against arbitrary precision."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from spinnet.tails.zeta import hurwitz, hurwitz_value, truncated_sum

# Rounding of a sum of up to 50 terms and of exp and log: 1e-14 is some 50 units in the last place.
ROUNDING = 1e-14


def _exact_hurwitz(s: float, q: int, k: int) -> mp.mpf:
    """(-1)^k times the k-th s-derivative of q^s zeta(s, q), by mpmath's own derivative."""
    with mp.workdps(60):
        exponent = mp.mpf(s)
        log_q = mp.log(q)
        terms = [
            mp.binomial(k, j) * log_q ** (k - j) * mp.zeta(exponent, q, j) for j in range(k + 1)
        ]
        return (-1) ** k * mp.mpf(q) ** exponent * mp.fsum(terms)


@pytest.mark.parametrize("s", [1.001, 1.5, 2.0, 2.37, 3.7, 8.0, 20.0])
@pytest.mark.parametrize("q", [1, 2, 7, 13, 230])
def test_hurwitz_sums_have_full_precision(s, q):
    moments = hurwitz(s, float(q))
    for k in range(3):
        assert moments[k] == pytest.approx(float(_exact_hurwitz(s, q, k)), rel=ROUNDING)
    assert hurwitz_value(s, float(q)) == pytest.approx(moments[0], rel=ROUNDING)


@pytest.mark.parametrize("q", [1.0, 3.0, 40.0, 1e6])
def test_steep_sums_are_dominated_by_their_first_terms(q):
    s = 300.0
    j = np.arange(60 * max(1, int(q / s)) + 60)
    t = np.log1p(j / q)
    direct = [np.sum(t**k * np.exp(-s * t)) for k in range(3)]
    # Plain summation of ~1e5 positive terms; what is cut off is below exp(-60) or 1e-26.
    if q < 1e5:
        np.testing.assert_allclose(hurwitz(s, q), direct, rtol=1e-12)
    assert hurwitz_value(s, q) == pytest.approx(hurwitz(s, q)[0], rel=ROUNDING)


@pytest.mark.parametrize("s", [-2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 1.0 + 1e-9, 1.7, 4.0, 15.0])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 17), (1, 2000), (5, 5000), (30, 31), (100, 4000)])
def test_truncated_sums_hold_for_any_exponent(s, a, b):
    with mp.workdps(40):
        logs = [mp.log(mp.mpf(x) / a) for x in range(a, b + 1)]
        exact = [float(mp.fsum(t**k * mp.exp(-mp.mpf(s) * t) for t in logs)) for k in range(3)]
    np.testing.assert_allclose(truncated_sum(s, float(a), float(b)), exact, rtol=ROUNDING)


def test_truncated_sum_of_a_long_range_costs_no_more_than_its_ends():
    b = 10**12
    harmonic = float(mp.log(b) + mp.euler + mp.mpf(1) / (2 * b))
    assert truncated_sum(1.0, 1.0, float(b))[0] == pytest.approx(harmonic, rel=ROUNDING)
