"""C(T) against sums over all states: critical Curie-Weiss, independent units, and Zipf's law."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import gammaln

from spinnet.errors import InputError, StatisticsError
from spinnet.tails.information import specific_heat
from spinnet.tails.information.heat import _interval
from spinnet.tails.information.thermodynamics import top_of

T = np.arange(20, 81) / 40.0


def curie_weiss(n, coupling=1.0):
    """p(K) of K up spins, and ln C(n, K), of the Curie-Weiss model at beta J = coupling."""
    K = np.arange(n + 1)
    log_states = gammaln(n + 1) - gammaln(K + 1) - gammaln(n - K + 1)
    log_p = log_states + coupling * (2 * K - n) ** 2 / (2 * n)
    p = np.exp(log_p - log_p.max())
    return p / p.sum(), log_states


def heat_over_states(p, temperatures, copies=None):
    """C(T) by the definition, state by state, or over states that exist in `copies`."""
    copies = np.ones(p.size) if copies is None else copies
    p, copies = p[p > 0], copies[p > 0]
    energy = -np.log(p)
    result = []
    for t in temperatures:
        weight = copies * p ** (1 / t)
        weight /= weight.sum()
        mean = weight @ energy
        result.append(weight @ (energy - mean) ** 2 / t**2)
    return np.array(result)


def all_states(n):
    p, log_states = curie_weiss(n)
    states = np.repeat(p / np.exp(log_states), np.rint(np.exp(log_states)).astype(int))
    return states / states.sum()


def exact_heat(temperatures):
    """c(T) of the critical Curie-Weiss model of 20 spins."""
    p, log_states = curie_weiss(20)
    copies = np.exp(log_states)
    return heat_over_states(p / copies, temperatures, copies) / 20


def draw_rows(p, m, rng):
    """Rows of units of an exchangeable law: K of them up, which ones at random."""
    n = p.size - 1
    K = rng.choice(n + 1, size=m, p=p)
    return rng.random((m, n)).argsort(axis=1) < K[:, None]


def test_each_estimator_is_the_sum_over_states_of_its_law():
    rng = np.random.default_rng(31)
    bits = rng.random((4000, 6)) < np.array([0.2, 0.3, 0.5, 0.6, 0.7, 0.9])
    bits[:, 1] |= bits[:, 0]
    states = np.array(list(product([False, True], repeat=6)))
    seen = np.array([(bits == state).all(axis=1).sum() for state in states])
    K = states.sum(axis=1)
    pop = np.bincount(bits.sum(axis=1), minlength=7) / 4000
    rates = bits.mean(axis=0)
    laws = {
        "plug-in": seen / 4000,
        "population-count": pop[K] / np.array([math.comb(6, k) for k in K]),
        "independent": np.where(states, rates, 1 - rates).prod(axis=1),
    }
    for name, law in laws.items():
        expected = heat_over_states(law, T) / 6
        for rows in (bits, np.packbits(bits, axis=1)):
            found = specific_heat(rows, name, n_units=6, n_bootstrap=0)
            np.testing.assert_allclose(found.specific_heat, expected, rtol=1e-9)
            np.testing.assert_array_equal(found.temperatures, T)
    reduced = {
        "plug-in": specific_heat(seen, n_units=6, n_bootstrap=0),
        "population-count": specific_heat(np.rint(pop * 4000), "population-count", n_bootstrap=0),
        "independent": specific_heat(rates, "independent", n_inputs=4000, n_bootstrap=0),
    }
    for name, found in reduced.items():
        whole = specific_heat(bits, name, n_bootstrap=0)
        np.testing.assert_allclose(found.specific_heat, whole.specific_heat, rtol=1e-12)
        assert found.n_inputs == whole.n_inputs == 4000
        assert found.n_units == whole.n_units == 6


@given(rates=arrays(float, st.integers(1, 8), elements=st.floats(0, 1, width=16)))
def test_independent_units_in_closed_form(rates):
    found = specific_heat(rates, "independent", n_inputs=10, n_bootstrap=0)
    states = np.array(list(product([0, 1], repeat=rates.size)))
    law = np.where(states == 1, rates, 1 - rates).prod(axis=1)
    expected = heat_over_states(law, T) / rates.size
    np.testing.assert_allclose(found.specific_heat, expected, rtol=1e-8, atol=1e-12)
    assert found.n_constant == ((rates == 0) | (rates == 1)).sum()


def test_critical_curie_weiss():
    np.testing.assert_allclose(
        exact_heat([0.7, 1.3]), heat_over_states(all_states(20), [0.7, 1.3]) / 20
    )
    p, _ = curie_weiss(20)
    # from p itself, to 12 digits of its counts
    found = specific_heat(np.rint(p * 1e12), "population-count", n_bootstrap=0)
    assert found.at(1.0)[0] == pytest.approx(0.2949, abs=5e-5)
    expected = exact_heat(T)
    np.testing.assert_allclose(found.specific_heat, expected, rtol=1e-6)
    fine = np.linspace(0.6, 0.75, 1501)
    truth = exact_heat(fine)
    assert found.peak.temperature == pytest.approx(fine[truth.argmax()], abs=2e-3)
    assert found.peak.specific_heat == pytest.approx(truth.max(), rel=1e-3)
    assert not found.peak.at_end


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("m", "spread", "plug_in", "plug_in_spread"),
    [
        (1000, 0.021, 0.0045, 0.0011),
        (10**4, 0.0066, 0.0269, 0.0018),
        (10**5, 0.0022, 0.0959, 0.0011),
    ],
)
def test_estimates_of_critical_curie_weiss(m, spread, plug_in, plug_in_spread):
    # Truth c(1) = .2949.  Population counts are unbiased within 4 standard errors of the mean of
    # 20 samples (false alarm 6e-5 each) plus the second-order bias 1/M of the logarithms; the
    # plug-in is 65 to 3 times too small, as the coverage warns: its mean and spread were measured
    # once over 20 samples, and a sample is held to 5 spreads.
    rng = np.random.default_rng([32, m])
    p, _ = curie_weiss(20)
    truth = exact_heat([1.0])[0]
    made = [
        specific_heat(rng.multinomial(m, p), "population-count", n_bootstrap=0).at(1.0)[0]
        for _ in range(20)
    ]
    assert np.mean(made) == pytest.approx(truth, abs=4 * spread / math.sqrt(20) + 3 / m)
    assert np.std(made, ddof=1) == pytest.approx(spread, rel=0.65)  # 4 errors of 16 %
    counts = rng.multinomial(m, all_states(20))
    with pytest.raises(StatisticsError, match="coverage") as caught:
        specific_heat(counts, n_units=20)
    refused = caught.value.estimate
    assert refused.coverage < 0.4
    assert refused.at(1.0)[0] == pytest.approx(plug_in, abs=5 * plug_in_spread)
    forced = specific_heat(counts, n_units=20, force=True, n_bootstrap=0)
    np.testing.assert_array_equal(forced.specific_heat, refused.specific_heat)
    assert any("too small" in note for note in forced.warnings)


@pytest.mark.statistical
def test_errors_and_intervals_hold_the_truth():
    # 100 samples: the error is within 30 % of the spread (known to 7 %), and the 95 % intervals
    # of the peak hold the truth in 84 or more (nominal 95 +- 2.2: 5 standard deviations).
    rng = np.random.default_rng(33)
    p, _ = curie_weiss(20)
    fine = np.linspace(0.6, 0.75, 301)
    curve = exact_heat(fine)
    made = [
        specific_heat(
            rng.multinomial(20_000, p),
            "population-count",
            temperatures=np.linspace(0.6, 1.0, 17),
            n_bootstrap=50,
            rng=k,
        )
        for k in range(100)
    ]
    ones = np.array([heat.at(1.0) for heat in made])
    assert ones[:, 1].mean() == pytest.approx(ones[:, 0].std(ddof=1), rel=0.3)
    for truth, ends in (
        (curve.max(), [heat.peak.interval for heat in made]),
        (fine[curve.argmax()], [heat.peak.temperature_interval for heat in made]),
    ):
        held = sum(low <= truth <= high for low, high in ends)
        assert held >= 84


@pytest.mark.statistical
def test_errors_of_independent_units_know_their_correlations():
    # units in ten equal copies: the rates of the copies err together, so that the error is
    # sqrt(10) times that of binomial rates.  400 resamples: known to 3.5 %, tested to 15 %.
    rng = np.random.default_rng(34)
    one = rng.random((5000, 3)) < np.array([0.05, 0.1, 0.2])
    bits = np.repeat(one, 10, axis=1)
    copies = specific_heat(bits, "independent", n_bootstrap=400, rng=1)
    alone = specific_heat(one.mean(axis=0), "independent", n_inputs=5000, n_bootstrap=400, rng=2)
    assert copies.at(1.0)[0] == pytest.approx(alone.at(1.0)[0], rel=1e-12)
    assert copies.at(1.0)[1] == pytest.approx(alone.at(1.0)[1], rel=0.15)
    wrong = specific_heat(bits.mean(axis=0), "independent", n_inputs=5000, n_bootstrap=400, rng=2)
    assert wrong.at(1.0)[1] == pytest.approx(alone.at(1.0)[1] / math.sqrt(10), rel=0.15)


@pytest.mark.statistical
def test_resampled_blocks_of_unequal_size_keep_the_rates():
    # 20,500 rows in 1000 blocks of 20 or 21.  The mean of 400 resamples is known to 0.05 errors,
    # and the bias of C is of order error^2; 0.5 errors would be 10 standard errors.
    rng = np.random.default_rng(38)
    bits = rng.random((20_500, 3)) < np.array([0.2, 0.3, 0.4])
    found = specific_heat(bits, "independent", n_bootstrap=400, rng=1)
    assert (np.abs(found.bias) < 0.5 * found.error).all()


def test_the_interval_is_bias_corrected_and_widened_by_a_large_bias():
    drawn = np.array([1.1, 1.3, 1.2, 1.0, 1.4])
    error = drawn.std(ddof=1)
    low, high = _interval(1.15, drawn)  # bias .05 below one error
    assert (low + high) / 2 == pytest.approx(1.1, rel=1e-12)
    assert (high - low) / 2 == pytest.approx(1.959964 * error, rel=1e-6)
    low, high = _interval(0.2, drawn)  # bias 1.0
    assert (low + high) / 2 == pytest.approx(-0.8, rel=1e-12)
    assert (high - low) / 2 == pytest.approx(1.959964 * error + 1.0, rel=1e-6)
    assert np.isnan(_interval(1.0, drawn[:1])).all()


def test_ten_thousand_units():
    n = 10_000
    p, log_states = curie_weiss(n, 0.5)
    K = np.flatnonzero(p * 1e9 >= 0.5)
    counts = np.zeros(n + 1)
    counts[K] = np.rint(p[K] * 1e9)
    found = specific_heat(counts, "population-count", n_bootstrap=2, rng=0, temperatures=[0.9, 1.0])
    # the same sums in mpmath's place: energies relative to their mean, with p itself
    energy = log_states[K] - np.log(counts[K] / counts.sum())
    for k, t in enumerate((0.9, 1.0)):
        log_weight = log_states[K] - energy / t
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        mean = weight @ energy
        expected = weight @ (energy - mean) ** 2 / t**2 / n
        assert found.specific_heat[k] == pytest.approx(expected, rel=1e-9)
    assert math.isfinite(found.error[1])


@given(a=st.floats(-2, 2), b=st.floats(0.1, 5), place=st.floats(0.7, 1.8))
def test_the_top_of_a_parabola_is_found_between_grid_points(a, b, place):
    curve = a - b * (T - place) ** 2
    x, y, at_end = top_of(curve, T)
    assert not at_end
    assert x == pytest.approx(place, abs=1e-9)
    assert y == pytest.approx(a, abs=1e-9)


def test_a_maximum_at_the_end_is_said_to_be_none():
    p, _ = curie_weiss(20)
    found = specific_heat(
        np.rint(p * 1e6), "population-count", temperatures=[0.9, 1.0, 1.1], n_bootstrap=0
    )
    assert found.peak.at_end
    assert found.peak.temperature == 0.9
    assert any("no maximum" in note for note in found.warnings)


def test_zipf_is_a_straight_line_of_entropy_over_energy():
    for s in (0.5, 1.0, 2.0):
        counts = np.rint(1e12 * np.arange(1, 3001) ** -s)
        states = specific_heat(counts, n_units=20, n_bootstrap=0).states
        assert states.slope == pytest.approx(1 / s, rel=0.02)  # S = ln r = E/s + constant
        assert states.residual < 0.05
        np.testing.assert_allclose(states.entropy, np.log(np.arange(1, 3001)), atol=1e-9)
    p, log_states = curie_weiss(20)
    counts = np.rint(p * 1e12)
    states = specific_heat(counts, "population-count", n_bootstrap=0).states
    order = np.argsort(log_states - np.log(p), kind="stable")
    expected = np.log(np.cumsum(np.exp(log_states[order])))
    np.testing.assert_allclose(np.sort(states.entropy), np.sort(expected), rtol=1e-9)
    assert states.entropy[-1] == pytest.approx(20 * math.log(2), rel=1e-9)


def test_energy_and_entropy_of_independent_units_obey_thermodynamics():
    rates = np.array([0.03, 0.2, 0.4, 0.5, 0.9, 1.0])
    fine = np.linspace(0.5, 2.0, 1501)
    found = specific_heat(rates, "independent", n_inputs=1000, n_bootstrap=0, temperatures=fine)
    E, S = found.states.energy, found.states.entropy
    np.testing.assert_allclose(np.gradient(E, fine)[1:-1], found.specific_heat[1:-1] * 6, rtol=1e-5)
    np.testing.assert_allclose(np.diff(S) / np.diff(E), 2 / (fine[1:] + fine[:-1]), rtol=1e-5)
    k = int(np.argmin(abs(fine - 1.0)))
    f = rates[:-1]
    entropy = -(f * np.log(f) + (1 - f) * np.log1p(-f)).sum()
    assert S[k] == pytest.approx(entropy, rel=1e-12)
    assert E[k] == pytest.approx(entropy, rel=1e-12)  # E = -ln p, so their means agree at T = 1


def test_what_is_marked_unreliable():
    rng = np.random.default_rng(35)
    p, _ = curie_weiss(20)
    few = specific_heat(rng.multinomial(300, p), "population-count", n_bootstrap=0)
    many = specific_heat(rng.multinomial(10**6, p), "population-count", n_bootstrap=0)
    assert not few.reliable[0]  # at T = 0.5 the two fully ordered states carry the weight
    assert many.reliable.all()
    assert any("fewer than 10 times" in note for note in few.warnings)
    assert any("maximum of C(T) lies" in note for note in few.warnings)
    bits = rng.random((5000, 4)) < 0.4
    plug = specific_heat(bits, n_bootstrap=0)
    np.testing.assert_array_equal(plug.reliable, T <= 1)
    assert any("extrapolation" in note for note in plug.warnings)
    silent = specific_heat([0.0, 0.3], "independent", n_inputs=100, n_bootstrap=0)
    np.testing.assert_array_equal(silent.reliable, T <= 1)
    assert any("1 unit(s) never change" in note for note in silent.warnings)
    loud = specific_heat([0.1, 0.3], "independent", n_inputs=100, n_bootstrap=0)
    assert loud.reliable.all()


def test_the_reliable_part_is_right():
    # 1e7 draws: coverage .99.  Where nothing rare matters, the plug-in is within 1.5 %.
    rng = np.random.default_rng(36)
    found = specific_heat(rng.multinomial(10**7, all_states(20)), n_units=20, n_bootstrap=0)
    truth = exact_heat(T)
    off = np.abs(found.specific_heat / truth - 1)
    assert found.reliable.any()
    assert off[found.reliable].max() < 0.015
    assert off.max() > 0.02


def test_the_same_seed_gives_the_same_errors():
    p, _ = curie_weiss(10)
    counts = np.rint(p * 5000)
    first = specific_heat(counts, "population-count", n_bootstrap=20, rng=3)
    again = specific_heat(counts, "population-count", n_bootstrap=20, rng=3)
    other = specific_heat(counts, "population-count", n_bootstrap=20, rng=4)
    np.testing.assert_array_equal(first.error, again.error)
    assert (first.error != other.error).any()
    assert first.seed == {"entropy": "3", "spawn_key": []}
    assert specific_heat(counts, "population-count", n_bootstrap=0).seed is None


def test_summary_dictionary_and_plot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    rng = np.random.default_rng(37)
    p, _ = curie_weiss(20)
    heat = specific_heat(draw_rows(p, 500, rng), "population-count", n_bootstrap=10, rng=0)
    assert "specific heat (population-count) of 20 units, 500 inputs: c(1)" in heat.summary()
    record = json.loads(json.dumps(heat.to_dict()))
    assert record["peak"]["temperature"] == heat.peak.temperature
    assert record["states"]["slope"] == heat.states.slope
    ax = heat.plot(Figure().subplots())
    labels = ax.get_legend_handles_labels()[1]
    assert "unreliable" in labels
    assert any(patch.get_hatch() for patch in ax.patches)
    assert "temperature" in ax.get_xlabel()
    bare = specific_heat(draw_rows(p, 500, rng), "population-count", n_bootstrap=0)
    assert json.loads(json.dumps(bare.to_dict()))["error"] == [None] * 61
    bare.plot(Figure().subplots())


def test_extremes():
    one = specific_heat(np.array([[True], [False], [True]]), "population-count", n_bootstrap=5)
    assert np.isfinite(one.specific_heat).all()
    same = specific_heat(np.ones((50, 3), bool), n_bootstrap=5)
    np.testing.assert_array_equal(same.specific_heat, 0.0)
    assert math.isnan(same.states.slope)
    single = specific_heat([0, 0, 9], "population-count", temperatures=[1.0], n_bootstrap=5)
    assert single.specific_heat.tolist() == [0.0]
    single.summary()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: specific_heat([3, 2]), InputError, "n_units must be given"),
        (lambda: specific_heat([3, 2], "plugin", n_units=2), InputError, "did you mean"),
        (lambda: specific_heat([3, -2], n_units=2), InputError, "index"),
        (lambda: specific_heat([0, 0], n_units=2), StatisticsError, "nothing"),
        (lambda: specific_heat([1], n_units=2, force=True), StatisticsError, "at least 2"),
        (lambda: specific_heat([3, 2], n_units=0), InputError, "n_units"),
        (lambda: specific_heat([3], "population-count"), InputError, "at least 2"),
        (lambda: specific_heat([3, 1], "population-count", n_units=3), InputError, r"\+ 1 = 4"),
        (lambda: specific_heat([0, 0], "population-count"), StatisticsError, "nothing"),
        (lambda: specific_heat([1.5, 0], "independent", n_inputs=9), InputError, r"\(0,\): 1.5"),
        (lambda: specific_heat([0.5], "independent"), InputError, "n_inputs must"),
        (lambda: specific_heat([3, 3], n_units=2, n_inputs=6), InputError, "n_inputs goes"),
        (lambda: specific_heat([], "independent", n_inputs=9), InputError, "got 0"),
        (lambda: specific_heat([3, 3], n_units=2, temperatures=[1, 1]), InputError, "increasing"),
        (lambda: specific_heat([3, 3], n_units=2, temperatures=[0, 1]), InputError, "temperatures"),
        (lambda: specific_heat([3, 3], n_units=2, temperatures=[]), InputError, "increasing"),
        (lambda: specific_heat([3, 3], n_units=2, temperatures=[1, 1e9]), InputError, "1e6"),
        (lambda: specific_heat([[3], [3, 1]], n_units=2), InputError, "equal length"),
        (lambda: specific_heat([3, 3], n_units=2, n_bootstrap=-1), InputError, "n_bootstrap"),
        (lambda: specific_heat([3, 3], n_units=2, force=1), InputError, "force"),
        (lambda: specific_heat(np.zeros((4, 3)), "independent"), InputError, "float64"),
        (lambda: specific_heat(np.zeros((0, 3), bool)), StatisticsError, "nothing"),
        (lambda: specific_heat(np.zeros((0, 3), bool), "independent"), StatisticsError, "at least"),
        (lambda: specific_heat(np.float64(3.0), n_units=2), InputError, "dimension"),
    ],
    ids=[str(k) for k in range(24)],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
