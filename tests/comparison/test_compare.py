"""The whole comparison on a small network: reproducible, complete, refusing bad input."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest

import spinnet as sn
from spinnet import networks
from spinnet.comparison import Comparison, compare, criticality, procedure
from spinnet.networks import Activations, FeedForward, Layer

SEED = 20240502


def small_network(widths: tuple[int, ...] = (12, 9, 11, 4)) -> FeedForward:
    rng = np.random.default_rng(SEED)
    layers = [
        Layer(
            f"fc{k + 1}", 2 * rng.normal(size=shape) / np.sqrt(shape[0]), rng.normal(size=shape[1])
        )
        for k, shape in enumerate(itertools.pairwise(widths))
    ]
    return FeedForward(tuple(layers))


def recorded(network: FeedForward, n: int = 600) -> Activations:
    x = np.random.default_rng(SEED + 1).normal(size=(n, network.widths[0]))
    return networks.record(network, x)


@pytest.fixture(scope="module")
def short_runs() -> Iterator[None]:
    """Shorten the Monte Carlo part: the statistics are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(criticality, "_N_SWEEPS", 200)
        patch.setattr(criticality, "_FAMILY_SWEEPS", 200)
        patch.setattr(criticality, "GRID", np.array([0.3, 0.5, 0.7, 1.0, 1.4, 2.0]))
        yield


@pytest.fixture(scope="module")
def result(short_runs: None) -> Comparison:
    network = small_network()
    return compare(network, recorded(network), layer="fc2", n_replicates=199, rng=7)


def test_the_same_seed_gives_the_same_comparison(result: Comparison) -> None:
    network = small_network()
    again = compare(network, recorded(network), layer="fc2", n_replicates=199, rng=7)
    first, second = result.to_dict(), again.to_dict()
    del first["seconds"], second["seconds"]
    assert first == second


def test_the_result_is_complete_and_json(result: Comparison) -> None:
    text = json.dumps(result.to_dict(), allow_nan=False)
    record = json.loads(text)
    assert {row["key"] for row in record["measured"]} == {
        "weights.alpha",
        "patterns.zipf",
        "patterns.alpha",
        "nodes.zipf",
        "layer.alpha",
        "layer.mean_alpha",
    }
    assert {p["model"] for p in record["predictions"]} >= {
        "dual, T = 1",
        "independent units",
        "shuffled weights",
        "untrained weights",
    }
    assert len({t["method"] for t in record["criticality"]["temperatures"]}) >= 3
    for item in record["criticality"]["temperatures"]:
        assert "fields" in item["label"]
    assert record["seed"]["entropy"] == "7"
    assert record["parameters"]["weights_sha256"] == small_network().fingerprint()


def test_the_summary_says_what_a_reader_needs(result: Comparison) -> None:
    text = result.summary()
    for part in ("VERDICT", "fields zero", "fields exact", "saddle point", "Monte Carlo", "seed 7"):
        assert part in text
    assert "nan" not in text


def test_the_saddle_temperature_is_the_largest_singular_value(result: Comparison) -> None:
    studied = result.studied
    top = np.linalg.svd(studied.weights, compute_uv=False)[0] / 4
    assert result.criticality.saddle_temperature == pytest.approx(top, rel=1e-9)


def test_saddle_and_sampled_order_parameters_meet_the_exact_sum(result: Comparison) -> None:
    """sqrt(<a^2>/N) by Monte Carlo within 5 jackknife SE of the exact sum at 6 temperatures."""
    curves = result.criticality.curves
    assert curves.exact is not None
    assert np.all(np.abs(curves.sampled - curves.exact) < 5 * curves.sampled_error + 1e-12)


def test_a_wide_layer_is_studied_by_subsets(short_runs: None) -> None:
    network = small_network((10, 8, 24, 3))
    wide = compare(
        network, recorded(network, 500), layer="fc2", n_replicates=199, n_subsets=2, rng=1
    )
    assert not wide.studied.is_whole
    assert len(wide.studied.subsets) == 2
    assert "random subsets" in wide.summary()
    assert wide.temperature.kind == "pseudo-likelihood"


def test_a_temperature_at_which_the_dual_does_not_mix_is_left_out_unless_tested(
    short_runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small_network()

    class Stuck(procedure.DualSource):
        def __init__(self, layer, temperature, seed) -> None:
            if temperature == 1.0 if everywhere else temperature not in (1.0, best):
                raise sn.StatisticsError("the chains have not mixed")
            super().__init__(layer, temperature, seed)

    arguments = {"layer": "fc2", "n_replicates": 199, "rng": 7}
    monkeypatch.setattr(procedure, "DualSource", Stuck)
    monkeypatch.setattr(
        procedure, "_temperatures", lambda critical, T: temperatures.extend([T]) or [0.5, 1.0, T]
    )
    temperatures: list[float] = []
    everywhere, best = True, 0.0
    with pytest.raises(sn.StatisticsError, match="have not mixed"):
        compare(network, recorded(network, 200), **arguments)
    everywhere, best = False, temperatures[0]
    found = compare(network, recorded(network, 200), **arguments)
    assert [p.temperature for p in found.predictions if p.kind == "dual"] == [1.0, best]


@pytest.mark.parametrize(
    ("widths", "layer"),
    [((12, 9, 1, 4), "fc2"), ((12, 1, 6, 4), "fc2"), ((12, 9, 8, 4), "fc3"), ((12, 9), None)],
    ids=["one output", "one input", "logits", "one layer"],
)
def test_a_layer_of_few_weights_has_rows_without_numbers_and_a_verdict(
    short_runs: None, widths: tuple[int, ...], layer: str | None
) -> None:
    network = small_network(widths)
    few = compare(network, recorded(network, 200), layer=layer, n_replicates=199, rng=1)
    weights = few.exponent("weights.alpha")
    if network[few.layer].weights.size < 50:
        assert np.isnan(weights.value)
        assert weights.status.startswith("not testable")
        assert np.isnan(few.predictions[-1].p_values["weights.alpha"])
    json.dumps(few.to_dict(), allow_nan=False)
    assert "nan" not in few.summary()
    assert few.verdict.text.startswith("no power law")


def test_nulls_that_cannot_be_run_are_named_in_the_reasons(short_runs: None) -> None:
    network = small_network()
    x = np.random.default_rng(SEED).normal(size=(200, 12))
    whole = networks.record(network, x)
    # recorded elsewhere: only the layer and what went into it are known
    part = Activations.from_array(
        whole["fc2"].values, layer="fc2", inputs=whole.inputs_of("fc2"), labels=None
    )
    result = compare(network, part, n_replicates=199, rng=1)
    assert any(
        reason.startswith("not tested: shuffled weights and untrained weights")
        for reason in result.verdict.reasons
    )


def test_one_recorded_layer_is_enough_for_every_null(short_runs: None) -> None:
    network = small_network()
    x = np.random.default_rng(SEED + 1).normal(size=(600, 12))
    alone = networks.record(network, x, layers=["fc2"])
    one = compare(network, alone, layer="fc2", n_replicates=199, rng=7).to_dict()
    all_layers = compare(network, recorded(network), layer="fc2", n_replicates=199, rng=7)
    assert [p["model"] for p in one["predictions"]] == [p.model for p in all_layers.predictions]
    assert {"shuffled weights", "untrained weights"} <= {p["model"] for p in one["predictions"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "fc9"}, "fc9"),
        ({"layer": "fc2", "n_replicates": 50}, "n_replicates must be an integer >= 199"),
        ({"layer": "fc2", "gain": "units"}, "gain must be one of .* did you mean 'unit'"),
        ({"layer": "fc2", "n_subsets": 0}, "n_subsets must be"),
        ({"layer": "fc2", "rng": -1}, "rng must be"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(change: dict, message: str) -> None:
    network = small_network()
    with pytest.raises(sn.InputError, match=message):
        compare(network, recorded(network), **change)


def test_activations_of_another_network_are_refused() -> None:
    other = small_network((12, 7, 11, 4))
    with pytest.raises(sn.InputError, match="record this network"):
        compare(small_network(), recorded(other), layer="fc2")


def changed(
    network: FeedForward, name: str, *, scale: float = 1.0, shift: float = 0.0
) -> FeedForward:
    return FeedForward(
        tuple(
            Layer(name, scale * layer.weights, layer.bias + shift) if layer.name == name else layer
            for layer in network.layers
        )
    )


@pytest.mark.parametrize(
    ("network", "n", "message"),
    [
        (small_network(), 49, "at least 50 distinct inputs for an exponent, got 49"),
        (changed(small_network(), "fc2", scale=0.0), 200, "must have a weight that is not 0"),
        (changed(small_network(), "fc1", shift=-99.0), 200, "has no input that is on"),
        (
            changed(small_network((12, 9, 30, 4)), "fc2", shift=-99.0),
            200,
            "layer must have at least 2 nodes that are on for some inputs .* got 0 of 30",
        ),
    ],
    ids=["few inputs", "zero weights", "dead inputs", "dead outputs"],
)
def test_layers_that_cannot_be_compared_are_refused_before_any_work(
    network: FeedForward, n: int, message: str
) -> None:
    with pytest.raises(sn.InputError, match=message):
        compare(network, recorded(network, n), layer="fc2")


def test_bits_above_another_threshold_than_the_gates_are_refused() -> None:
    network = small_network((12, 9))
    x = np.random.default_rng(SEED).normal(size=(200, 12))
    values = networks.record(network, x)["fc1"].values
    other = Activations.from_array(values, layer="fc1", inputs=x, threshold=0.7)
    with pytest.raises(sn.InputError, match=r"on above 0\.7, but the gates .* above 0 "):
        compare(network, other)


def test_types_are_checked() -> None:
    network = small_network()
    with pytest.raises(sn.InputError, match="network must be"):
        compare("weights.npz", recorded(network), layer="fc2")  # type: ignore[arg-type]
    with pytest.raises(sn.InputError, match="activations must be"):
        compare(network, np.zeros((5, 11)), layer="fc2")  # type: ignore[arg-type]


def test_named_arrays_stand_for_the_network() -> None:
    network = small_network()
    arrays = dict(network.arrays())
    with pytest.raises(sn.InputError, match="n_replicates"):
        compare(arrays, recorded(network), layer="fc2", n_replicates=1)


def test_the_distance_to_criticality_is_relative_to_each_tc(result: Comparison) -> None:
    best, (low, high) = result.temperature.best, result.temperature.interval
    table = result.reduced_temperatures()
    assert len(table) == len(result.criticality.temperatures)
    for item, (t, down, up) in zip(result.criticality.temperatures, table.values(), strict=True):
        if np.isnan(item.value):
            assert np.isnan(t)
            continue
        assert t == pytest.approx((best - item.value) / item.value)
        # at least the interval of T itself
        assert down <= (low - item.value) / item.value + 1e-12
        assert up >= (high - item.value) / item.value - 1e-12
