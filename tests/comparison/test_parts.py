"""The parts of the comparison against enumeration, brute force and planted truths."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import optimize

import spinnet as sn
from spinnet.comparison import (
    criticality,
    exponents,
    gate,
    laws,
    predictions,
    temperature,
    verdict,
)
from spinnet.comparison.criticality import second_moment
from spinnet.comparison.layer import StudiedLayer, bits_of, popcounts
from spinnet.networks import FeedForward, Layer
from spinnet.spins.meanfield import critical_point
from spinnet.spins.montecarlo.replicated import replicated_projections

SEED = 20240501


def random_layer(n_in: int = 5, n_out: int = 6, n_inputs: int = 400) -> StudiedLayer:
    """Return a layer with random weights on random 0/1 inputs, outputs as the layer computes."""
    rng = np.random.default_rng(SEED)
    weights = rng.normal(size=(n_in, n_out))
    bias = rng.normal(size=n_out) / 2
    inputs = rng.random((n_inputs, n_in)) < 0.5
    network = FeedForward((Layer("fc", weights, bias),))
    outputs = inputs @ weights + bias > 0
    return StudiedLayer(
        network=network,
        name="fc",
        weights=weights,
        bias=bias,
        gain=np.ones(n_in),
        gain_rule="unit",
        inputs=inputs,
        outputs=outputs,
        mean_activation=np.maximum(inputs @ weights + bias, 0).mean(axis=1),
        subsets=(np.arange(n_out),),
        network_inputs=inputs.astype(np.float32),
    )


def with_outputs(layer: StudiedLayer, outputs: np.ndarray) -> StudiedLayer:
    return dataclasses.replace(layer, outputs=outputs, inputs=np.resize(layer.inputs, (1, 5)))


# --- laws ---------------------------------------------------------------------------------


def test_the_exact_law_of_the_outputs_is_the_brute_force_gibbs_measure() -> None:
    layer = random_layer()
    beta = 1 / 1.3
    states = np.array(list(itertools.product([0, 1], repeat=11)))
    a, b = states[:, :5], states[:, 5:]
    energy = -np.sum((a @ layer.weights) * b, axis=1) - b @ layer.bias
    weight = np.exp(-beta * energy)
    marginal = np.zeros(64)
    np.add.at(marginal, b @ (1 << np.arange(6)), weight / weight.sum())
    law = sn.exact.layer_marginal(layer.dual(), beta)
    np.testing.assert_allclose(np.exp(law.log_p), marginal, rtol=1e-12)
    # the energies of the {0, 1} layer and of its dual agree, constant included
    assert law.log_z == pytest.approx(math.log(weight.sum()), rel=1e-13)


def test_the_log_likelihood_of_a_pattern_is_that_of_the_exact_law() -> None:
    layer = random_layer()
    law = sn.exact.layer_marginal(layer.dual(), 1 / 0.8)
    values, kind = laws.log_likelihood(layer, 0.8, np.arange(50))
    codes = layer.codes(layer.outputs)[0][:50]
    assert kind == "likelihood"
    np.testing.assert_array_equal(values, law.log_p[codes])


def test_the_pseudo_likelihood_is_the_sum_of_exact_conditionals() -> None:
    layer = random_layer()
    law = sn.exact.layer_marginal(layer.dual(), 1 / 0.8)
    outputs = layer.outputs[:20]
    codes = layer.codes(outputs)[0]
    expected = np.zeros(20)
    for j in range(6):
        both = np.logaddexp(law.log_p[codes], law.log_p[codes ^ (1 << j)])
        expected += law.log_p[codes] - both
    np.testing.assert_allclose(
        laws._pseudo_log_likelihood(layer, 0.8, outputs), expected, rtol=1e-11
    )


@pytest.mark.statistical
@pytest.mark.parametrize("exact", [True, False])
def test_the_dual_draws_its_own_means(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """6 means within 5 standard errors: false alarm 3e-6 (pool: draws share 500 chains)."""
    if not exact:
        monkeypatch.setattr(laws, "MAX_WHOLE", 2)
        monkeypatch.setattr(laws, "_POOL_STEPS", 40)
    layer = random_layer()
    source = laws.DualSource(layer, 1.3, np.random.SeedSequence(SEED))
    truth = sn.exact.enumerate(layer.dual(), 1 / 1.3).means[5:]
    n = 20_000
    codes = source.draw(n, np.random.default_rng(SEED))[0]
    mean = 2 * bits_of(codes, 6).mean(axis=0) - 1
    error = np.sqrt((1 - truth**2) / n)
    # pooled states: 500 chains x 40 steps, resampled, so that the variance doubles
    assert np.all(np.abs(mean - truth) < 5 * error * (1 if exact else math.sqrt(2)))


def test_shuffled_and_untrained_nets_are_run_on_the_recorded_inputs() -> None:
    layer = random_layer()
    sources = {source.name: source for source in laws.null_models(layer)}
    assert list(sources) == ["independent units", "shuffled weights", "untrained weights"]
    rng = np.random.default_rng(SEED)
    drawn = sources["shuffled weights"].draw(layer.n_inputs, rng)[0]
    null = layer.network.shuffled(np.random.default_rng(SEED))
    values = null.forward(layer.network_inputs)["fc"]
    np.testing.assert_array_equal(drawn, layer.codes(values > 0)[0])
    assert sorted(null["fc"].weights.ravel()) == sorted(layer.network["fc"].weights.ravel())


# --- codes and exponents --------------------------------------------------------------------


def test_codes_and_bits_are_inverse() -> None:
    layer = random_layer()
    codes = layer.codes(layer.outputs)[0]
    np.testing.assert_array_equal(bits_of(codes, 6), layer.outputs)
    np.testing.assert_array_equal(popcounts(codes), layer.outputs.sum(axis=1))


def test_bit_exponents_are_the_direct_fits() -> None:
    rng = np.random.default_rng(SEED)
    ranks = np.arange(1, 2001)
    codes = rng.choice(ranks, 20_000, p=ranks**-0.9 / np.sum(ranks**-0.9)).astype(np.int64)
    counts = np.unique(codes, return_counts=True)[1]
    result = exponents.bit_exponents(codes, 12)
    assert result["patterns.zipf"] == sn.tails.fit_zipf(counts).zipf
    assert result["patterns.alpha"] == sn.tails.fit_power_law(counts, discrete=True).alpha
    assert (
        abs(result["patterns.zipf"] - 0.9) < 0.05
    )  # the bias of k >= 10 fits, table of tests/tails


def test_an_undersampled_table_has_no_exponent() -> None:
    """40 random bits give a different pattern each time: nothing may be printed."""
    rng = np.random.default_rng(SEED)
    layer = dataclasses.replace(
        random_layer(5, 40, 10),
        outputs=rng.random((2000, 40)) < 0.5,
        mean_activation=rng.random(2000) + 1,
        subsets=(np.arange(40),),
    )
    rows = exponents.measure_exponents(layer, 20, np.random.SeedSequence(SEED))
    row = next(row for row in rows if row.key == "patterns.zipf")
    assert math.isnan(row.value)
    assert row.status.startswith("undersampled")


def test_feeding_the_same_inputs_again_changes_no_exponent() -> None:
    data = np.random.default_rng(SEED).random((300, 5)).astype(np.float32)
    network = random_layer().network
    once = sn.networks.record(network, data)
    with pytest.warns(sn.SpinnetWarning):
        many = sn.networks.record(network, np.tile(data, (20, 1)))
    np.testing.assert_array_equal(once["fc"].bits, many["fc"].bits)


# --- gate -----------------------------------------------------------------------------------


def test_the_gate_passes_a_layer_of_bits_and_fails_a_layer_of_noise() -> None:
    layer = random_layer()
    passed = gate.validity_gate(layer)
    assert passed.accuracy == 1.0
    assert passed.passed
    noise = np.random.default_rng(SEED).random(layer.outputs.shape) < 0.5
    failed = gate.validity_gate(dataclasses.replace(layer, outputs=noise))
    assert not failed.passed
    assert "FAILED" in failed.summary()


# --- temperature ----------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("truth", [0.7, 1.6])
def test_the_temperature_of_data_from_the_dual_is_found(truth: float) -> None:
    """T within 4 standard errors of the truth: false alarm 6e-5 each."""
    layer = random_layer()
    codes = sn.exact.layer_marginal(layer.dual(), 1 / truth).draw(4000, np.random.default_rng(SEED))
    data = with_outputs(layer, bits_of(codes, 6))
    fit = temperature.fit_temperature(data, 0.8, np.random.SeedSequence(SEED))
    error = (fit.interval[1] - fit.interval[0]) / (2 * 1.96)
    assert not fit.at_edge
    # the parabola through a grid of ratio 1.22 in T adds a bias below 2 %
    assert abs(fit.best - truth) < 4 * error + 0.02 * truth
    assert fit.held_out["dual at best T"] > fit.held_out["independent units"]


@pytest.mark.parametrize("truth", [0.8, 1.7])
def test_the_best_temperature_is_the_maximum_of_the_likelihood(truth: float) -> None:
    """Within 2e-3 of a direct search on the same data; a parabola over the grid misses 1e-2."""
    layer = random_layer()
    codes = sn.exact.layer_marginal(layer.dual(), 1 / truth).draw(2000, np.random.default_rng(SEED))
    data = with_outputs(layer, bits_of(codes, 6))
    fit = temperature.fit_temperature(data, 0.8, np.random.SeedSequence(SEED))
    direct = optimize.minimize_scalar(
        lambda T: -laws.log_likelihood(data, T, np.arange(2000))[0].mean(),
        bounds=(truth / 2, truth * 2),
        method="bounded",
        options={"xatol": 1e-6},
    )
    assert fit.best == pytest.approx(direct.x, rel=2e-3)


# --- exact second moment and the replicated family --------------------------------------------


@pytest.mark.parametrize("fields", ["zero", "exact"])
@pytest.mark.parametrize("beta", [0.3, 1.0, 30.0])
def test_the_second_moment_agrees_with_enumeration(fields: str, beta: float) -> None:
    dual = random_layer().dual(fields)
    v = np.random.default_rng(SEED).normal(size=11)
    exact = sn.exact.enumerate(dual, beta)
    value = second_moment(dual.as_bipartite(), beta, v)
    assert value == pytest.approx(v @ exact.correlations @ v, rel=1e-10)


@pytest.mark.statistical
def test_the_replicated_sampler_agrees_with_enumeration_of_all_copies() -> None:
    """Means and second moments at two temperatures within 4.5 SE: false alarm 3e-5."""
    rng = np.random.default_rng(SEED)
    dual = sn.NetworkDual(rng.normal(size=(4, 3)), 0.4)
    v = rng.normal(size=7)
    beta = [0.7, 1.4]
    exact = sn.exact.enumerate(dual.replicated(2), beta)
    tiled = np.repeat(v, 2) / math.sqrt(2)
    a = replicated_projections(
        dual, 2, beta, v, n_sweeps=2000, n_burn_in=200, n_replicas=64, rng=SEED
    )
    for series, truth in (
        (a, exact.means @ tiled),
        (a**2, np.einsum("i,bij,j->b", tiled, exact.correlations, tiled)),
    ):
        per_replica = series.mean(axis=2)
        error = per_replica.std(axis=1, ddof=1) / 8
        assert np.all(np.abs(per_replica.mean(axis=1) - truth) < 4.5 * error)


# --- p-values -------------------------------------------------------------------------------


def test_holm_agrees_with_the_worked_example() -> None:
    """Holm 1979: multiply the k-th smallest of n by n - k + 1, and keep the order."""
    adjusted = predictions.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan})
    assert adjusted["a"] == pytest.approx(0.03)
    assert adjusted["c"] == pytest.approx(0.06)
    assert adjusted["b"] == pytest.approx(0.06)
    assert math.isnan(adjusted["d"])


@pytest.mark.statistical
def test_the_two_sided_p_value_is_calibrated() -> None:
    """Of 4000 true nulls 10 % have p <= 0.1 within 4 binomial SE: false alarm 6e-5."""
    rng = np.random.default_rng(SEED)
    draws = rng.exponential(size=(4000, 200))
    p = [predictions.two_sided_p(row[1:], row[0]) for row in draws]
    assert abs(np.mean(np.array(p) <= 0.1) - 0.1) < 4 * math.sqrt(0.09 / 4000)


def test_a_value_outside_all_replicates_is_rejected_however_skewed_they_are() -> None:
    values = np.random.default_rng(SEED).exponential(size=199) + 1
    assert predictions.two_sided_p(values, 0.99) == pytest.approx(0.01)
    assert math.isnan(predictions.two_sided_p(np.full(10, math.nan), 1.0))


def test_the_p_value_of_a_rank_curve_is_the_rank_of_its_deviation() -> None:
    """Each of R + 1 curves as the data, against the rest: the p-values are 1/(R + 1), ..., 1."""
    curves = np.random.default_rng(SEED).random((40, 7))
    p = [predictions._curve_p(np.delete(curves, k, axis=0), curves[k], 100) for k in range(40)]
    np.testing.assert_allclose(np.sort(p), np.arange(1, 41) / 40, rtol=1e-15)


def test_untrained_weights_too_few_for_a_tail_predict_nothing() -> None:
    result = predictions.predict_weights(random_layer(), 2.5, 5, np.random.SeedSequence(SEED))
    assert np.isnan(result.values["weights.alpha"]).all()
    assert math.isnan(result.p_values["weights.alpha"])


# --- exponents of the dual ------------------------------------------------------------------


def test_the_saddle_exponents_are_fitted_below_the_second_mode() -> None:
    """Gap 1.05: within its window beta = 1/2 to the fit's error, which is below 1e-3."""
    weights = np.random.default_rng(SEED).normal(size=(1200, 6)) / 10
    dual = sn.NetworkDual(weights, fields="zero")
    gap = critical_point(dual).gap
    assert gap < 1.1
    for row in criticality._saddle_exponents(dual, gap):
        assert row.value == pytest.approx(row.theory, rel=1e-3)
        assert row.error < 1e-3 * row.theory


def test_modes_that_order_together_have_no_exponents() -> None:
    dual = sn.NetworkDual(np.eye(5), fields="zero")
    rows = criticality._saddle_exponents(dual, critical_point(dual).gap)
    assert [row.name for row in rows] == ["beta", "gamma", "delta"]
    assert all(math.isnan(row.value) for row in rows)


# --- verdict --------------------------------------------------------------------------------


def _row(status: str = "power law not rejected") -> exponents.MeasuredExponent:
    return exponents.MeasuredExponent(
        "patterns.alpha", 2.0, 0.1, (1.8, 2.2), 0.5, 2.0, 100, (2.0, 2.0), True, status
    )


def _prediction(
    model: str, kind: str, p: float, T: float | None, *, failed: bool = False, curve: float = 0.5
) -> predictions.Prediction:
    values = np.full(199, math.nan) if failed else np.linspace(1.9, 2.1, 199)
    return predictions.Prediction(
        model,
        kind,
        T,
        "",
        {"patterns.alpha": values},
        {"patterns.alpha": math.nan if failed else p},
        np.arange(1, 3),
        np.ones((199, 2)),
        curve,
    )


def _judge(p_null: float, p_dual: float, **change: object) -> str:
    options = {
        "status": "power law not rejected",
        "gate": True,
        "edge": False,
        "curve": 0.5,
    } | change
    fit = temperature.TemperatureFit(
        np.ones(3), np.ones(3), 1.4, (1.3, 1.5), bool(options["edge"]), "likelihood", {}
    )
    models = [
        _prediction("dual, T = 1", "dual", 0.001, 1.0),
        _prediction("dual, T = 1.4", "dual", p_dual, 1.4, curve=float(str(options["curve"]))),
        _prediction("dual, T = 2", "dual", 1.0, 2.0),  # shown, never tested
        _prediction("independent units", "null", p_null, None),
        _prediction("untrained weights", "null", 1.0, None, failed=True),
    ]
    passed = gate.Gate(0.9, 0.7, 0.2, 0.5, 0.8, 0.9, "unit", bool(options["gate"]))
    return verdict.judge([_row(str(options["status"]))], models, passed, fit, "").text


@pytest.mark.parametrize(
    ("p_null", "p_dual", "change", "text"),
    [
        (0.9, 0.9, {"status": "no power law: p = 0.010 is below 0.1"}, "no power law (p = 0.010"),
        (0.9, 0.9, {}, "power law, explained by null: independent units"),
        (0.001, 0.9, {}, "consistent with dual at best T = 1.4"),
        (0.001, 0.001, {}, "power law not explained by nulls, inconsistent with dual"),
        (0.001, 0.9, {"curve": 0.01}, "power law not explained by nulls, inconsistent with dual"),
        (0.001, 0.9, {"edge": True}, "power law not explained by nulls, inconsistent with dual"),
        (0.001, 0.9, {"gate": False}, "power law not explained by nulls; the dual is not a model"),
    ],
)
def test_the_verdict_follows_the_fixed_order(
    p_null: float, p_dual: float, change: dict[str, object], text: str
) -> None:
    given = _judge(p_null, p_dual, **change)
    assert given.startswith(text)
    heads = [entry.split(" (")[0] for entry in verdict.VOCABULARY]
    assert given.startswith(tuple(heads))


def test_the_reasons_say_what_limits_the_verdict() -> None:
    row = dataclasses.replace(_row(), value=math.nan)
    fit = temperature.TemperatureFit(
        np.ones(3),
        np.ones(3),
        1.4,
        (1.3, 1.5),
        False,
        "likelihood",
        {"dual at best T": -4.2, "dual at T = 1": -5.0, "independent units": -3.1},
    )
    models = [
        dataclasses.replace(
            _prediction(name, "null", math.nan, None), p_values={"patterns.alpha": math.nan}
        )
        for name in ("independent units", "untrained weights")
    ]
    passed = gate.Gate(0.9, 0.7, 0.2, 0.5, 0.8, 0.9, "unit", True)
    text = "\n".join(verdict.judge([row], models, passed, fit, "").reasons)
    assert "nan" not in text
    untested = dataclasses.replace(_row("not testable: few"), p_value=math.nan, decades=math.nan)
    assert "nan" not in verdict.judge([untested], models, passed, fit, "").reasons[0]
    assert "not tested: shuffled weights, for which" in text
    assert "-4.200 nats a pattern for the dual at its best T, -3.100 for independent" in text


def test_a_critical_dual_is_never_claimed() -> None:
    """The tests that such a claim needs are not made, whatever the p-values."""
    for p_null, p_dual in itertools.product((0.001, 0.5, 1.0), repeat=2):
        assert "critical" not in _judge(p_null, p_dual)
