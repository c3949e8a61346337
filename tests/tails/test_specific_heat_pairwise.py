"""C(T) of the pairwise law against sums over states of one fitted by scipy."""

from __future__ import annotations

import json
import math
from itertools import combinations, product

import numpy as np
import pytest
from scipy.optimize import minimize

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.information import pairwise_heat, resolution_relevance, specific_heat
from spinnet.tails.information.thermodynamics import heat_of_levels

T = np.array([0.5, 0.8, 1.0, 1.3, 2.0])
STATES = np.array(list(product([0, 1], repeat=5)))
FEATURES = np.hstack(
    [STATES, *(STATES[:, [i]] * STATES[:, [j]] for i, j in combinations(range(5), 2))]
)
THETA = np.array([-1, -0.6, -0.2, -1.5, 0.1, 0.8, -0.4, 0.3, 0.9, -0.2, 0.1, 0.5, -0.7, 0.6, 0.2])


def _law(theta: np.ndarray) -> np.ndarray:
    p = np.exp(FEATURES @ theta)
    return p / p.sum()


def _rows(m: int, seed: object) -> np.ndarray:
    chosen = np.random.default_rng(seed).choice(32, size=m, p=_law(THETA))
    return STATES[chosen].astype(bool)


def _heat(p: np.ndarray) -> np.ndarray:
    energy = -np.log(p)
    weight = p ** (1 / T[:, None])
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ energy
    return (weight * (energy - mean[:, None]) ** 2).sum(axis=1) / T**2


def _found(rows, **options):
    options = {"temperatures": T, "n_bootstrap": 0} | options
    return specific_heat(rows, "pairwise", **options)


def test_it_is_the_sum_over_states_of_the_law_of_largest_entropy():
    rows = _rows(3000, 1)
    index = rows @ (1 << np.arange(5)[::-1])
    moments = FEATURES[index].mean(axis=0)
    best = minimize(
        lambda t: np.log(np.exp(FEATURES @ t).sum()) - t @ moments,
        np.zeros(15),
        jac=lambda t: _law(t) @ FEATURES - moments,
        options={"gtol": 1e-9},
    )
    expected = _heat(_law(best.x)) / 5
    found = _found(rows)
    np.testing.assert_allclose(found.specific_heat, expected, rtol=1e-6)
    packed = _found(np.packbits(rows, axis=1), n_units=5)
    np.testing.assert_array_equal(packed.specific_heat, found.specific_heat)
    assert (found.n_units, found.n_inputs, found.n_constant) == (5, 3000, 0)
    assert math.isnan(found.coverage)


def test_units_that_never_change_add_nothing():
    rows = _rows(3000, 1)
    constant = np.ones((3000, 1), bool)
    wider = _found(np.hstack([rows[:, :2], constant, rows[:, 2:], ~constant]))
    np.testing.assert_allclose(wider.specific_heat * 7 / 5, _found(rows).specific_heat, rtol=1e-12)
    assert wider.n_constant == 2
    np.testing.assert_array_equal(_found(np.hstack([constant, ~constant])).specific_heat, 0.0)
    for columns in ([0], [0, 1]):  # without pairs, or without freedom, it is the plug-in
        few = rows[:, columns]
        plug_in = specific_heat(few, temperatures=T, n_bootstrap=0)
        np.testing.assert_allclose(_found(few).specific_heat, plug_in.specific_heat, rtol=1e-9)


def test_binned_levels_have_the_heat_of_all_states():
    energy = np.random.default_rng(5).gamma(3.0, 2.0, 200_000)
    binned = pairwise_heat._binned(energy)
    assert binned.energy.size <= 1 << 15
    p = np.exp(-energy / T[:, None])
    p /= p.sum(axis=1, keepdims=True)
    exact = ((p * energy**2).sum(axis=1) - (p * energy).sum(axis=1) ** 2) / T**2
    np.testing.assert_allclose(heat_of_levels(binned, T), exact, rtol=1e-6)


@pytest.mark.statistical
def test_critical_curie_weiss():
    # of spins that all interact in pairs alike; the exchangeable estimate of as many inputs has a
    # spread of 0.008 at 20 spins: 4 of that
    n, m = 16, 10_000
    K = np.arange(n + 1)
    states = np.array([float(math.comb(n, k)) for k in K])
    p = states * np.exp((2 * K - n) ** 2 / (2 * n))
    p /= p.sum()
    energy = -np.log(p / states)
    exact = (p @ energy**2 - (p @ energy) ** 2) / n
    rng = np.random.default_rng(2)
    up = rng.choice(n + 1, size=m, p=p)
    rows = rng.random((m, n)).argsort(axis=1) < up[:, None]
    assert _found(rows).at(1.0)[0] == pytest.approx(exact, abs=0.032)


@pytest.mark.statistical
def test_errors_are_the_spread_over_samples():
    # 60 samples: the spread is known to 9 %; 4 of that, and a tenth for the bootstrap's own.
    # The bias is of order 1/n_inputs; the mean error at 60 samples is 0.13 of an error.
    made = [_found(_rows(2000, [3, k])).specific_heat for k in range(60)]
    error = _found(_rows(2000, 4), n_bootstrap=200, rng=1).error
    np.testing.assert_allclose(error, np.std(made, axis=0, ddof=1), rtol=0.46)
    truth = _heat(_law(THETA)) / 5
    assert (np.abs(np.mean(made, axis=0) - truth) < error).all()


def test_resamples_without_a_law_are_counted():
    rows = _rows(2000, 1)
    rows[:, 0] &= ~rows[:, 1]
    rows[0, :2] = True  # once together: over a third of resamples never see it
    found = _found(rows, n_bootstrap=50, rng=1)
    lost = 50 - found.n_bootstrap
    assert 5 <= lost <= 35
    assert any(f"{lost} of 50 resamples" in text for text in found.warnings)
    assert np.isfinite(found.error).all()
    assert not found.reliable[T > 1].any()
    assert found.reliable[T <= 1].all()
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_has_no_pairwise_law_is_refused():
    rows = _rows(2000, 1)
    rows[:, 0] &= ~rows[:, 1]
    with pytest.raises(StatisticsError, match="units 0 and 1 are never active together; leave"):
        _found(rows)
    many = np.random.default_rng(1).random((100, 21)) < 0.5
    with pytest.raises(InputError, match="at most 20 units that vary for 'pairwise', got 21"):
        _found(many)
    with pytest.raises(InputError, match="patterns of shape"):
        _found([3, 4, 5])
    with pytest.raises(StatisticsError, match="at least 2"):
        _found(rows[:1])


def test_zeros_and_ones_in_bytes_are_not_taken_for_packed_bits():
    bits = _rows(500, 1).astype(np.uint8)
    for call in (specific_heat, resolution_relevance):
        with pytest.raises(InputError, match=r"uint8 rows hold only 0 and 1.*\.astype\(bool\)"):
            call(bits)
    assert specific_heat(bits[:, :1], n_units=8, n_bootstrap=0).n_units == 8


@pytest.mark.parametrize("call", [specific_heat, resolution_relevance])
def test_progress_is_a_truth_value(call):
    with pytest.raises(InputError, match="progress must be True or False, got 'no'"):
        call(_rows(500, 1), progress="no")
