"""The four observables, against SciPy, brute force and laws known in closed form."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spinnet.errors import InputError
from spinnet.networks import Activations, datasets, load_bundled, measure, record
from spinnet.networks.observables import LayerActivation, NodeFrequencies, WeightDistribution
from spinnet.networks.observables._common import central_moments, leave_one_out_moments


@pytest.fixture(scope="module")
def bundled():
    network = load_bundled()
    return network, record(network, datasets.load("fashion-mnist"))


def layer_of(values, **options):
    return Activations.from_array(values, **options)["layer"]


# --- weights ----------------------------------------------------------------------------


def test_weight_moments_agree_with_scipy():
    w = np.random.default_rng(0).standard_t(6, size=(40, 30))
    d = WeightDistribution.from_weights("a", w)
    assert d.mean == pytest.approx(w.mean(), rel=1e-12)
    assert d.std == pytest.approx(w.std(), rel=1e-12)
    assert d.skewness == pytest.approx(scipy.stats.skew(w, axis=None), rel=1e-9)
    assert d.excess_kurtosis == pytest.approx(scipy.stats.kurtosis(w, axis=None), rel=1e-9)
    assert (d.density * np.diff(d.edges)).sum() == pytest.approx(1, rel=1e-12)


def test_strengths_are_sums_over_connections():
    w, after = np.array([[1.0, -2.0], [3.0, 4.0], [0.0, -1.0]]), np.array([[1.0, -5.0], [2.0, 2.0]])
    d = WeightDistribution.from_weights("a", w, after)
    assert d.strength_in.tolist() == [4, 1]
    assert d.strength_in_abs.tolist() == [4, 7]
    assert d.strength_out.tolist() == [-4, 4]
    assert d.strength_out_abs.tolist() == [6, 4]
    assert d.strength.tolist() == [10, 11]
    assert WeightDistribution.from_weights("a", w).strength.tolist() == [4, 7]


def test_equal_weights_have_no_shape():
    d = WeightDistribution.from_weights("a", np.full((3, 2), 0.1))
    assert math.isnan(d.skewness)
    assert d.to_dict()["skewness"] is None


@pytest.mark.parametrize("outlier", [0.0, 1e6])
def test_histograms_of_degenerate_weights_stay_small(outlier):
    w = np.zeros((20, 20))
    w[0, 0] = outlier
    w[0, 1] = 1.0
    assert len(WeightDistribution.from_weights("a", w).density) <= 500


# --- patterns ---------------------------------------------------------------------------


def test_whole_layer_counts_equal_those_of_a_dictionary(bundled):
    network, act = bundled
    for name in act:
        counts = measure(act, network, name, rng=1).pattern_frequencies.whole.counts
        brute = Counter(
            row.tobytes() for row in network.forward(datasets.load("fashion-mnist"))[name] > 0
        )
        # a float32 pre-activation within rounding of zero may fall either way in another batch
        assert counts.tolist() == sorted(brute.values(), reverse=True)


def test_wide_layer_is_sampled_and_its_undersampling_reported(bundled):
    network, act = bundled
    p = measure(act, network, "fc1", rng=7, n_subsets=5).pattern_frequencies
    assert not p.is_whole
    assert p.whole.undersampled
    assert p.whole.coverage < 0.05
    assert len(p.samples) == 5
    on = act["fc1"].unpack().sum(axis=0)
    for sample in p.samples:
        assert len(sample.units) == 12
        assert ((on[sample.units] > 0) & (on[sample.units] < p.n_inputs)).all()
        brute = Counter(map(bytes, act["fc1"].unpack()[:, sample.units]))
        assert sample.counts.tolist() == sorted(brute.values(), reverse=True)
    assert p.coverage == pytest.approx(np.mean([s.coverage for s in p.samples]))
    assert p.frequencies.sum() == pytest.approx(1, rel=1e-12)


def test_narrow_layer_is_counted_whole(bundled):
    network, act = bundled
    p = measure(act, network, "fc3", rng=7).pattern_frequencies
    assert p.is_whole
    assert not p.undersampled
    assert p.samples == (p.whole,)


def test_distinct_patterns_says_flat_when_each_input_has_its_own():
    values = np.random.default_rng(0).normal(size=(300, 18))
    p = measure(Activations.from_array(values)).pattern_frequencies
    assert p.is_whole
    assert p.undersampled
    assert "must not be fitted" in p.summary()
    assert p.to_dict()["undersampled"] is True


def test_subset_size_is_an_argument_within_the_active_nodes(bundled):
    network, act = bundled
    p = measure(act, network, "fc3", subset_size=5, n_subsets=3, rng=1).pattern_frequencies
    assert not p.is_whole
    assert [len(s.units) for s in p.samples] == [5, 5, 5]
    with pytest.raises(InputError, match=r"subset_size must be <= 18.*'fc3'"):
        measure(act, network, "fc3", subset_size=19)


def test_a_layer_without_active_nodes_has_one_pattern():
    p = measure(Activations.from_array(np.zeros((50, 40)))).pattern_frequencies
    assert (p.n_active, p.distinct, p.is_whole, p.resolution) == (0, 1, True, 0)


# --- nodes ------------------------------------------------------------------------------


def test_node_frequencies_and_errors():
    values = np.array([[1, 0, 1, 1], [1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]])
    nodes = NodeFrequencies.from_layer(layer_of(values, inputs=np.arange(4)[:, None]))
    assert nodes.frequency.tolist() == [1, 0, 0.75, 0.25]
    assert nodes.error.tolist() == [0, 0, math.sqrt(0.75 * 0.25 / 4), math.sqrt(0.75 * 0.25 / 4)]
    assert (nodes.n_dead, nodes.n_always_on, nodes.n_active) == (1, 1, 2)
    assert nodes.order.tolist() == [0, 2, 3, 1]
    assert nodes.ranked.tolist() == [1, 0.75, 0.25]
    assert nodes.correlations == ()


def test_rank_correlations_agree_with_scipy(bundled):
    network, act = bundled
    obs = measure(act, network, "fc2", rng=3, n_permutations=1999)
    w, p = obs.weight_distribution, obs.node_frequencies.frequency
    strengths = {"in": w.strength_in, "in_abs": w.strength_in_abs, "total_abs": w.strength}
    assert [c.strength for c in obs.node_frequencies.correlations] == list(strengths)
    for item in obs.node_frequencies.correlations:
        reference = scipy.stats.spearmanr(p, strengths[item.strength])
        assert item.rho == pytest.approx(reference.statistic, abs=1e-12)
        # binomial error of 1,999 permutations (five s.d. at most 0.056), and 0.02 for the
        # t approximation behind SciPy's value
        spread = math.sqrt(reference.pvalue * (1 - reference.pvalue) / 1999)
        assert abs(item.p_value - reference.pvalue) < 5 * spread + 0.02


def test_permutation_p_value_is_exact_where_it_can_be_enumerated():
    # three nodes in perfect order: |rho| = 1 in 2 of the 6 orders
    values = np.tril(np.ones((4, 3)), -1)
    weights = np.array([[3.0, 2.0, 1.0]])
    act = Activations.from_array(values, inputs=np.arange(4)[:, None])
    item = measure(act, weights, n_permutations=20_000, rng=0).node_frequencies.correlations[0]
    assert item.rho == pytest.approx(1)
    assert item.p_value == pytest.approx(1 / 3, abs=5 * math.sqrt(2 / 9 / 20_000))


def test_constant_frequencies_have_no_rank_correlation():
    act = Activations.from_array(np.ones((4, 3)), inputs=np.arange(4)[:, None])
    item = measure(act, np.eye(3)).node_frequencies.correlations[0]
    assert math.isnan(item.rho)
    assert math.isnan(item.p_value)


# --- the layer as a whole ---------------------------------------------------------------


def test_layer_activation_of_a_small_layer():
    values = np.array([[2.0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    a = LayerActivation.from_layer(layer_of(values), np.array([0, 0, 1, 1]))
    assert a.mean_activation.tolist() == [0.5, 0.5, 1, 0]
    assert a.fraction_on.tolist() == [0.25, 0.5, 1, 0]
    assert a.magnetization.tolist() == [-0.5, 0, 1, -1]
    assert a.population_counts.tolist() == [1, 1, 1, 0, 1]
    m = a.magnetization
    assert a.n_var_m == pytest.approx(4 * m.var())
    d = m - m.mean()
    assert a.binder == pytest.approx(1 - (d**4).mean() / (3 * (d**2).mean() ** 2))
    assert a.skewness == pytest.approx(scipy.stats.skew(m))
    # class means -0.25 and 0 about -0.125
    assert a.n_var_m_between == pytest.approx(4 * 0.125**2)
    assert a.n_var_m_between + a.n_var_m_within == pytest.approx(a.n_var_m)


def test_two_equal_peaks_have_binder_two_thirds():
    values = np.repeat([[1.0] * 5, [0.0] * 5], 50, axis=0)
    a = LayerActivation.from_layer(layer_of(values, inputs=np.arange(100)[:, None]))
    assert a.binder == pytest.approx(2 / 3, rel=1e-12)
    assert a.skewness == pytest.approx(0, abs=1e-12)


def test_constant_layer_has_no_shape():
    a = LayerActivation.from_layer(layer_of(np.zeros((10, 3))))
    assert a.n_var_m == 0
    assert math.isnan(a.binder)
    assert math.isnan(a.skewness)
    assert json.loads(json.dumps(a.to_dict()))["binder"] is None


def test_a_single_input_has_no_error():
    a = LayerActivation.from_layer(layer_of([[1.0, 0.0]]))
    assert math.isnan(a.n_var_m_error)


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=30))
def test_leave_one_out_moments_equal_the_direct_ones(values):
    x = np.array(values, dtype=float)
    direct = np.array([central_moments(np.delete(x, k)) for k in range(len(x))]).T
    # values up to 20, fourth powers up to 2e6 with rounding 1e-16
    np.testing.assert_allclose(leave_one_out_moments(x), direct, atol=1e-8)


@pytest.mark.statistical
def test_jackknife_errors_of_independent_nodes():
    # 1,000 inputs, 50 fair independent nodes: N var(m) = 1, and the variance of its estimate
    # is 2/n (1 - 1/N) to leading order.  The jackknife error itself fluctuates by about
    # sqrt((kurtosis of d^2 ...)/n) ~ 10 %; the bound is five of these.
    values = np.random.default_rng(2024).integers(0, 2, size=(1000, 50))
    a = LayerActivation.from_layer(layer_of(values))
    expected = math.sqrt(2 / 1000 * (1 - 1 / 50))
    assert a.n_var_m_error == pytest.approx(expected, rel=0.5)
    assert abs(a.n_var_m - 1) < 5 * expected
    # fourth moment of a sum of N fair signs: kurtosis 3 - 2/N
    assert abs(a.binder - (1 - (3 - 2 / 50) / 3)) < 5 * a.binder_error


# --- all together -----------------------------------------------------------------------


def test_default_layer_is_the_last_hidden_one(bundled):
    network, act = bundled
    assert measure(act, network, rng=1).layer == "fc3"
    assert measure(record(network, np.eye(784)[:9], layers=["fc4"])).layer == "fc4"


def test_weights_may_be_a_network_its_arrays_or_a_matrix(bundled):
    network, act = bundled
    trained = {k: v for k, v in network.arrays().items() if not k.startswith("initial.")}
    whole, arrays, matrix = (
        measure(act, weights, "fc3", rng=1)
        for weights in (network, trained, network["fc3"].weights)
    )
    assert whole.to_dict() == arrays.to_dict()
    assert matrix.weight_distribution.strength_out is None
    np.testing.assert_array_equal(
        matrix.weight_distribution.strength_in, whole.weight_distribution.strength_in
    )
    assert measure(act, layer="fc3", rng=1).weight_distribution is None


def test_results_repeat_for_a_seed_and_serialise(bundled):
    network, act = bundled
    first, second = (measure(act, network, "fc2", rng=11) for _ in range(2))
    text = json.dumps(first.to_dict(), allow_nan=False)
    assert text == json.dumps(second.to_dict(), allow_nan=False)
    assert first.to_dict()["seed"]["entropy"] == "11"
    other = measure(act, network, "fc2", rng=12)
    assert other.pattern_frequencies.to_dict() != first.pattern_frequencies.to_dict()


def test_summary_names_each_observable(bundled):
    network, act = bundled
    text = measure(act, network, "fc1", rng=1).summary()
    for part in ("layer 'fc1'", "weights: 784 x 100", "coverage", "dead", "Spearman", "N var(m)"):
        assert part in text


def test_plots_have_labelled_axes_and_leave_the_global_state(bundled):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    network, act = bundled
    before = dict(matplotlib.rcParams)
    obs = measure(act, network, "fc2", rng=1)
    grid = obs.plot()
    assert grid.shape == (2, 2)
    for ax in grid.ravel():
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    _, ax = plt.subplots()
    assert obs.node_frequencies.plot(ax) is ax
    measure(Activations.from_array(np.zeros((3, 2)), layer="x")).plot()
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n, a: measure(np.ones((3, 3)), n), "activations must be Activations"),
        (lambda n, a: measure(a, n, "fc9"), "no layer 'fc9' was recorded"),
        (lambda n, a: measure(a, n["fc3"].weights.T, "fc3"), r"\(n_in, 20\).*transpose it"),
        (lambda n, a: measure(a, np.ones((4, 4)), "fc3"), r"got \(4, 4\)"),
        (lambda n, a: measure(a, np.full((50, 20), np.nan), "fc3"), r"index \(0, 0\)"),
        (lambda n, a: measure(a, n, "fc3", n_permutations=0), "n_permutations"),
        (lambda n, a: measure(a, n, "fc3", n_subsets=0), "n_subsets"),
        (lambda n, a: measure(a, n, "fc3", rng=-1), "rng must be"),
        (lambda n, a: measure(a, n, "fc3").plot(np.empty(3, object)), "four axes"),
    ],
)
def test_bad_arguments_are_refused(bundled, call, message):
    with pytest.raises(InputError, match=message):
        call(*bundled)


def test_trained_patterns_differ_from_the_untrained_ones(bundled):
    """Training makes the last hidden layer's patterns richer: distinct patterns and entropy."""
    network, act = bundled
    before = record(network.initial, datasets.load("fashion-mnist"), layers=["fc3"])
    trained = measure(act, network, "fc3").pattern_frequencies
    initial = measure(before, network.initial, "fc3").pattern_frequencies
    assert trained.distinct > 3 * initial.distinct
    assert trained.resolution > initial.resolution + 1


def test_a_repr_is_short_whatever_the_data(bundled):
    network, act = bundled
    obs = measure(act, network, "fc3", n_subsets=20, n_permutations=1, rng=1)
    parts = [network["fc3"], obs.pattern_frequencies.whole, obs.pattern_frequencies]
    parts += [obs.weight_distribution, obs.node_frequencies, obs.layer_activation]
    for part in parts:
        assert repr(part).startswith(type(part).__name__)
        assert "array" not in repr(part)
        assert len(repr(part)) < 500
    assert len(repr(obs)) < 2000
