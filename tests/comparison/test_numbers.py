"""The numbers of a comparison, one by one: each against a hand-made or exact value."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import spinnet as sn
from spinnet.comparison import criticality, exponents, layer, predictions, verdict

SEED = 20240503
DUAL = sn.NetworkDual(np.random.default_rng(SEED).normal(size=(4, 3)) * 2, 0.4, fields="zero")
MODE = np.random.default_rng(SEED + 1).normal(size=7)
MODE /= np.linalg.norm(MODE)
BETA = np.array([0.4, 1.0])


def exact_moments(beta: float) -> dict[str, float]:
    """Return averages over all 128 states: |a|, a^2, a^4 of a = v.s, and Var(E)."""
    states = np.array(list(itertools.product([-1, 1], repeat=7)))
    energy = DUAL.energy(states)
    p = np.exp(-beta * (energy - energy.min()))
    p /= p.sum()
    a = np.abs(states @ MODE)
    return {
        "abs": p @ a,
        "a2": p @ a**2,
        "a4": p @ a**4,
        "var_e": p @ (energy - p @ energy) ** 2,
    }


@pytest.mark.statistical
def test_the_sampled_curves_are_those_of_all_states() -> None:
    """chi_top and the specific heat at 2 temperatures within 4.5 SE: false alarm 3e-5."""
    run = criticality._sample(DUAL, BETA, MODE, 3000, np.random.SeedSequence(SEED))
    truth = [exact_moments(b) for b in BETA]
    chi = [b * (t["a2"] - t["abs"] ** 2) for b, t in zip(BETA, truth, strict=True)]
    heat = [b**2 * t["var_e"] / 7 for b, t in zip(BETA, truth, strict=True)]
    for curve, exact in ((criticality._chi_top, chi), (criticality._heat, heat)):
        value, copies = criticality._jackknife(run, curve)
        error = criticality._spread(copies)
        assert np.all(error < 0.05 * np.abs(value))
        assert np.all(np.abs(value - exact) < 4.5 * error)


@pytest.mark.statistical
def test_a_row_of_the_family_is_the_exact_system_for_one_copy() -> None:
    """4 columns x 5 temperatures within 5 SE: false alarm 1.2e-5."""
    row = criticality._family_row(DUAL, 1, MODE, 1.3, np.random.SeedSequence(SEED))
    for k, beta in enumerate(row["beta"]):
        t = exact_moments(float(beta))
        exact = {
            "abs_m": t["abs"] / math.sqrt(7),
            "m2": t["a2"] / 7,
            "m4": t["a4"] / 49,
            "binder": 1 - t["a4"] / (3 * t["a2"] ** 2),
        }
        for name, value in exact.items():
            assert abs(row[name][k] - value) < 5 * row[f"{name}_error"][k], (name, beta)


@pytest.mark.statistical
def test_the_errors_of_the_family_are_their_spread_over_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """40 seeds: the spread is known to 11 %, so that 0.55 to 1.6 is 4 sigma and more."""
    monkeypatch.setattr(criticality, "_FAMILY_SWEEPS", 150)
    seeds = np.random.SeedSequence(SEED).spawn(40)
    rows = [criticality._family_row(DUAL, 2, MODE, 1.3, seed) for seed in seeds]
    for name in ("abs_m", "m2", "binder"):
        spread = np.std([row[name][2] for row in rows], ddof=1)
        quoted = np.mean([row[f"{name}_error"][2] for row in rows])
        assert 0.55 < quoted / spread < 1.6, name


def test_a_bias_moves_the_interval_away_from_it() -> None:
    """Resamples of mean 1.2 about an estimate of 1.0 mean a truth near 0.8."""
    cloud = 1.2 + 0.05 * np.array([-1.0, 1.0] * 50)
    spread, (low, high), failed = exponents.bias_corrected(1.0, cloud)
    assert spread == pytest.approx(0.05 * math.sqrt(100 / 99))
    assert (low + high) / 2 == pytest.approx(0.8)
    # the bias exceeds one standard deviation, and widens the interval by itself
    assert (high - low) / 2 == pytest.approx(1.96 * spread + 0.2)
    assert failed == 0
    assert math.isnan(exponents.bias_corrected(1.0, np.full(10, math.nan))[0])


@pytest.mark.parametrize(
    ("half", "quarter", "stable"),
    [(1.14, 1.25, True), (1.16, 1.0, False), (1.0, 1.27, False), (math.nan, 1.0, False)],
)
def test_nested_estimates_may_differ_by_three_of_their_own_errors(
    half: float, quarter: float, stable: bool
) -> None:
    """Of error 0.05 at n: 3 x 0.05 to n/2, and 3 x 0.05 sqrt(3) = 0.26 to n/4."""
    assert exponents._is_stable(1.0, 0.05, (half, quarter)) is stable


def test_the_gain_is_the_mean_activation_when_on() -> None:
    values = np.array([[0.0, 2.0, 0.0], [3.0, 4.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(layer._gain(values, values > 0, "active-mean"), [3.0, 3.0, 0.0])
    np.testing.assert_array_equal(layer._gain(values, values > 0, "unit"), np.ones(3))


def test_the_rank_curve_is_a_share_of_all_samples() -> None:
    codes = np.array([5, 5, 5, 1, 1, 7, 2, 9, 0, 3])
    curve = predictions.rank_curve(codes, np.array([1, 2, 3, 100]))
    np.testing.assert_allclose(curve, [0.3, 0.2, 0.1, 0.0])


def _dual_at(T: float, low: float, high: float) -> predictions.Prediction:
    values = {"patterns.alpha": np.linspace(low, high, 199)}
    curves = np.ones((199, 1))
    ranks = np.array([1])
    return predictions.Prediction(
        f"dual, T = {T}", "dual", T, "", values, {"patterns.alpha": 1.0}, ranks, curves, 1.0
    )


def test_the_power_is_the_nearest_temperature_that_can_be_told() -> None:
    told = [_dual_at(1.0, 1.9, 2.1), _dual_at(1.2, 2.0, 2.3), _dual_at(1.5, 2.4, 2.6)]
    assert "|T - T_c|/T_c >= 0.50" in verdict.power_statement(told, 1.0)
    assert "no temperature" in verdict.power_statement(told[:2], 1.0)
