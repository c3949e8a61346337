"""The energies of the models, their maps into each other, and what they refuse."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.errors import InputError

# double precision: sums of at most about 100 terms of size 1, each rounded at 1e-16
ROUNDING = 1e-12


def plain_energy(J, h, s, constant=0.0):
    """The definition, each pair once, in plain loops."""
    n = len(s)
    pairs = sum((J[i, j] + J[j, i]) / 2 * s[i] * s[j] for i in range(n) for j in range(i))
    return constant - pairs - sum(h[i] * s[i] for i in range(n))


def layer_energy(w, bias_a, bias_b, a, b, norm=1.0):
    pairs = sum(w[i, j] * a[i] * b[j] for i in range(len(a)) for j in range(len(b)))
    return -pairs / norm - bias_a @ a - bias_b @ b


@pytest.fixture
def layer(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)


@pytest.fixture
def square(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, 5)), rng.normal(size=5)


def models(seed):
    """One of every family, at most 7 units."""
    rng = np.random.default_rng(seed)
    w, bias = rng.normal(size=(4, 3)), rng.normal(size=3)
    sparse = sp.random_array((6, 6), density=0.4, rng=rng, data_sampler=rng.normal)
    result = {
        "CurieWeiss": sn.CurieWeiss(6, J=0.8, h=0.1),
        "dense": sn.Ising(rng.normal(size=(6, 6)), rng.normal(size=6), constant=0.3),
        "sparse": sn.Ising(sparse, rng.normal(size=6)),
        "graph": sn.Ising.from_graph(nx.cycle_graph(6), J=-0.7, h=0.2),
        "bipartite01": sn.Bipartite(w, rng.normal(size=4), bias, scale=0.7),
        "bipartite+-1": sn.Bipartite(w, 0.1, bias, levels=(-1, 1)),
    }
    for fields in ("exact", "zero", "centered"):
        for kind in ("bipartite", "marginal"):
            result[f"{kind} {fields}"] = sn.NetworkDual(w, bias, kind, fields)
        result[f"collapsed {fields}"] = sn.NetworkDual(
            rng.normal(size=(5, 5)), rng.normal(size=5), "collapsed", fields
        )
    return result


NAMES = sorted(models(0))


@pytest.mark.parametrize("name", NAMES)
def test_local_fields_are_half_the_cost_of_a_flip(name, seed, all_states):
    model = models(seed)[name]
    low, high = model.levels
    states = all_states(model.n_spins, model.levels)
    extra = {"beta": 0.7} if "marginal" in name else {}
    for i in range(model.n_spins):
        down, up = states.copy(), states.copy()
        down[:, i], up[:, i] = low, high
        slope = (model.energy(down, **extra) - model.energy(up, **extra)) / (high - low)
        np.testing.assert_allclose(
            model.local_fields(states, **extra)[:, i], slope, atol=10 * ROUNDING, rtol=0
        )


@pytest.mark.parametrize("name", [n for n in NAMES if "marginal" not in n])
def test_energy_is_the_definition_with_couplings_fields_and_constant(name, seed, all_states):
    model = models(seed)[name]
    J = model.couplings.toarray() if sp.issparse(model.couplings) else model.couplings
    np.testing.assert_array_equal(J, J.T)
    assert not np.diagonal(J).any()
    states = all_states(model.n_spins, model.levels)
    expected = [plain_energy(J, model.fields, s, model.constant) for s in states]
    np.testing.assert_allclose(model.energy(states), expected, atol=ROUNDING, rtol=0)
    np.testing.assert_allclose(model.energy(states[3]), expected[3], atol=ROUNDING, rtol=0)
    assert model.energy(states[3]).shape == ()


@pytest.mark.parametrize("name", [n for n in NAMES if "marginal" not in n])
def test_the_ising_form_has_the_same_energies_state_by_state(name, seed, all_states):
    model = models(seed)[name]
    states = all_states(model.n_spins, model.levels)
    spins = all_states(model.n_spins)
    np.testing.assert_allclose(
        model.to_ising().energy(spins), model.energy(states), atol=ROUNDING, rtol=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_identifies_a_model_is_json_and_its_text_is_one_line(name, seed):
    model = models(seed)[name]
    stored = json.loads(json.dumps(model.to_dict(), allow_nan=False))
    assert stored["n_spins"] == model.n_spins
    assert stored["model"] == type(model).__name__
    assert "\n" not in repr(model)


def test_curie_weiss_is_its_printed_hamiltonian(all_states):
    # section 2 of arXiv:1702.08039: the diagonal of the double sum is included
    model = sn.CurieWeiss(5, J=1.3, h=-0.4)
    states = all_states(5)
    total = states.sum(axis=1)
    np.testing.assert_allclose(
        model.energy(states), -1.3 / 10 * total**2 + 0.4 * total, atol=ROUNDING
    )
    assert model.constant == -0.65
    full = sn.NetworkDual(np.full((5, 5), 1.3), -0.4, kind="collapsed")
    np.testing.assert_allclose(full.energy(states), model.energy(states), atol=ROUNDING)


def test_one_spin_of_every_family():
    assert sn.CurieWeiss(1, J=2.0, h=0.5).energy([1]) == -1.5
    assert sn.CurieWeiss(1, J=2.0, h=0.5).local_fields([[1], [-1]]).tolist() == [[0.5], [0.5]]
    assert sn.Ising([[3.0]], 0.5).energy([-1]) == -1.0
    assert sn.Ising(sp.csr_array([[3.0]]), 0.5).energy([-1]) == -1.0
    assert sn.Bipartite([[2.0]], 1.0, 3.0).energy([1, 1]) == -6.0
    lone = nx.Graph()
    lone.add_node("a")
    assert sn.Ising.from_graph(lone, h=0.5).energy([1]) == -0.5


def test_a_non_symmetric_matrix_counts_through_its_symmetric_part(square, all_states):
    W, h = square
    states = all_states(5)
    antisymmetric = W - W.T
    reference = sn.Ising(W, h).energy(states)
    direct = [-0.5 * s @ W @ s - h @ s for s in states]  # the diagonal included
    for variant in (W.T, (W + W.T) / 2, W + 3 * antisymmetric):
        for J in (variant, sp.csr_array(variant), sp.coo_matrix(variant)):
            np.testing.assert_allclose(sn.Ising(J, h).energy(states), reference, atol=ROUNDING)
        dual = sn.NetworkDual(variant, h, kind="collapsed")
        expected = sn.NetworkDual(W, h, kind="collapsed").energy(states)
        np.testing.assert_allclose(dual.energy(states), expected, atol=ROUNDING)
    np.testing.assert_allclose(reference, direct, atol=ROUNDING)
    np.testing.assert_allclose(sn.Ising(W, h).self_couplings, np.diagonal(W))


def test_sparse_couplings_stay_sparse_and_add_up_duplicates():
    J = sp.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 1])), shape=(2, 2))
    model = sn.Ising(J)
    assert model.is_sparse
    assert sp.issparse(model.couplings)
    assert model.couplings.toarray().tolist() == [[0.0, 1.5], [1.5, 0.0]]
    assert model.constant == -2.0


def test_a_model_keeps_its_own_copy_of_what_it_was_given():
    J, h = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.5, 0.0])
    sparse = sp.csr_array(J)
    dense_model, sparse_model = sn.Ising(J, h), sn.Ising(sparse, h)
    pair = sn.Bipartite(J, h)
    J *= 9
    h += 9
    sparse.data *= 9
    assert dense_model.energy([1, 1]) == sparse_model.energy([1, 1]) == -1.5
    assert pair.energy([1, 1, 1, 1]) == -2.5


# --- graphs -----------------------------------------------------------------------------------


def test_a_graph_keeps_the_order_of_its_nodes_and_its_attributes():
    G = nx.Graph()
    G.add_node("c", field=0.3)
    G.add_node("a", field=-0.1)
    G.add_node("b", field=0.0)
    G.add_edge("a", "c", weight=2.0)
    G.add_edge("b", "a", weight=-1.0)
    model = sn.Ising.from_graph(G, J="weight", h="field")
    assert model.couplings.toarray().tolist() == [[0, 2, 0], [2, 0, -1], [0, -1, 0]]
    assert model.fields.tolist() == [0.3, -0.1, 0.0]
    uniform = sn.Ising.from_graph(G, J=0.5, h=[1, 2, 3])
    assert uniform.couplings.toarray().tolist() == [[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]]
    assert uniform.fields.tolist() == [1, 2, 3]


def test_graphs_that_are_no_pairwise_system_are_refused():
    G = nx.path_graph(3)
    G.add_edge(1, 1)
    with pytest.raises(InputError, match="no self-loop, got one at node 1"):
        sn.Ising.from_graph(G)
    for bad in (nx.DiGraph([(0, 1)]), nx.MultiGraph([(0, 1)]), [[0, 1], [1, 0]]):
        with pytest.raises(InputError, match=r"undirected networkx\.Graph, got"):
            sn.Ising.from_graph(bad)
    with pytest.raises(InputError, match="at least one node"):
        sn.Ising.from_graph(nx.Graph())


def test_attributes_that_are_missing_or_no_numbers_are_refused():
    G = nx.Graph()
    G.add_edge(0, 1, weight=1.0)
    G.add_edge(1, 2, weigth=1.0)
    with pytest.raises(InputError, match=r"J names .*'weight', which \(1, 2\) lacks.*'weigth'"):
        sn.Ising.from_graph(G, J="weight")
    with pytest.raises(InputError, match="h names the attribute 'field', which 0 lacks"):
        sn.Ising.from_graph(G, h="field")
    nx.set_edge_attributes(G, "strong", "weight")
    with pytest.raises(InputError, match="J must be real numbers"):
        sn.Ising.from_graph(G, J="weight")
    with pytest.raises(InputError, match="J must have 0"):
        sn.Ising.from_graph(G, J=[1.0, 2.0])


# --- the dual of a layer ----------------------------------------------------------------------


def test_the_zero_one_layer_is_the_pm_one_system_state_by_state(layer, all_states):
    w, bias_a, bias_b = layer
    model = sn.Bipartite(w, bias_a, bias_b, scale=0.5)
    twin = model.to_spins()
    bits, spins = all_states(7, (0, 1)), all_states(7)
    direct = [layer_energy(w, bias_a, bias_b, s[:4], s[4:], norm=2.0) for s in bits]
    np.testing.assert_allclose(model.energy(bits), direct, atol=ROUNDING, rtol=0)
    np.testing.assert_allclose(twin.energy(spins), direct, atol=ROUNDING, rtol=0)
    # couplings shrink by 4 and every site gains a field
    np.testing.assert_allclose(twin.weights, w / 8, atol=ROUNDING)
    np.testing.assert_allclose(twin.bias_a, bias_a / 2 + w.sum(axis=1) / 8, atol=ROUNDING)
    np.testing.assert_allclose(twin.bias_b, bias_b / 2 + w.sum(axis=0) / 8, atol=ROUNDING)
    assert twin.to_spins() is twin


def test_the_padded_congruence_gives_the_same_map(layer):
    w, bias_a, bias_b = layer
    twin = sn.Bipartite(w, bias_a, bias_b).to_spins()
    padded = np.block([[np.zeros((1, 1)), bias_b[None, :]], [bias_a[:, None], w]])

    def change(n):
        return np.block(
            [[np.ones((1, 1)), np.zeros((1, n))], [np.full((n, 1), 0.5), np.eye(n) / 2]]
        )

    moved = change(4).T @ padded @ change(3)
    np.testing.assert_allclose(moved[1:, 1:], twin.weights, atol=ROUNDING)
    np.testing.assert_allclose(moved[0, 1:], twin.bias_b, atol=ROUNDING)
    np.testing.assert_allclose(moved[1:, 0], twin.bias_a, atol=ROUNDING)
    np.testing.assert_allclose(moved[0, 0], -twin.constant, atol=ROUNDING)


@pytest.mark.parametrize("wrong", ["same coupling", "no fields", "swapped fields", "sign"])
def test_the_known_wrong_maps_differ_by_more_than_a_constant(wrong, seed, all_states):
    rng = np.random.default_rng(seed)
    w, bias_a, bias_b = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    right = sn.Bipartite(w, bias_a, bias_b).to_spins()
    arguments = {
        "same coupling": (w, bias_a, bias_b),
        "no fields": (w / 4, bias_a / 2, bias_b / 2),
        "swapped fields": (w / 4, right.bias_b, right.bias_a),
        "sign": (-w / 4, right.bias_a, right.bias_b),
    }[wrong]
    states = all_states(8)
    other = sn.Bipartite(*arguments, levels=(-1, 1))
    # fixed far above rounding: the maps differ at first order in the weights
    assert np.ptp(other.energy(states) - right.energy(states)) > 0.1


@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_the_bipartite_dual_is_the_layer_state_by_state(layer, norm, all_states):
    w, _, bias = layer
    dual = sn.NetworkDual(w, bias, norm=norm)
    bits, spins = all_states(7, (0, 1)), all_states(7)
    direct = [layer_energy(w, np.zeros(4), bias, s[:4], s[4:], norm) for s in bits]
    np.testing.assert_allclose(dual.energy(spins), direct, atol=ROUNDING, rtol=0)
    assert dual.label == "D0 bipartite, fields exact"


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_the_marginal_energy_sums_the_outputs_out(layer, beta, all_states):
    w, _, bias = layer
    dual = sn.NetworkDual(w, bias, kind="marginal")
    a, b = all_states(4), all_states(3)
    pair = sn.NetworkDual(w, bias)
    for s in a:
        joined = np.hstack([np.tile(s, (len(b), 1)), b])
        log_sum = np.log(np.exp(-beta * pair.energy(joined)).sum())
        np.testing.assert_allclose(-beta * dual.energy(s, beta=beta), log_sum, atol=10 * ROUNDING)


def test_fields_are_exact_zero_or_centered_by_layer(layer):
    w, _, bias = layer
    G, K = w.sum(axis=1) / 4, bias / 2 + w.sum(axis=0) / 4
    exact, zero, centered = (
        sn.NetworkDual(w, bias, fields=name) for name in ("exact", "zero", "centered")
    )
    np.testing.assert_allclose(exact.fields, np.concatenate([G, K]), atol=ROUNDING)
    assert not zero.fields.any()
    np.testing.assert_allclose(
        centered.fields, np.concatenate([G - G.mean(), K - K.mean()]), atol=ROUNDING
    )
    for dual in (zero, centered, exact.with_fields("zero")):
        np.testing.assert_array_equal(dual.couplings, exact.couplings)
        assert dual.constant == 0
    assert exact.with_fields("centered").fields.tolist() == centered.fields.tolist()


def test_the_collapsed_dual_divides_by_twice_its_size(square, all_states):
    W, bias = square
    states = all_states(5)
    direct = [-(s @ W @ s) / 10 - bias @ s for s in states]
    np.testing.assert_allclose(
        sn.NetworkDual(W, bias, kind="collapsed").energy(states), direct, atol=ROUNDING
    )
    natural = sn.NetworkDual(W, bias, kind="collapsed", norm=1.0)
    direct = [-(s @ W @ s) - bias @ s for s in states]
    np.testing.assert_allclose(natural.energy(states), direct, atol=10 * ROUNDING)


def test_copied_units_have_the_energy_of_the_copies(layer, all_states):
    w, _, bias = layer
    dual = sn.NetworkDual(w, bias)
    twice = dual.replicated(2)
    states = all_states(7)
    np.testing.assert_allclose(
        twice.energy(np.repeat(states, 2, axis=1)), 2 * dual.energy(states), atol=10 * ROUNDING
    )
    assert sn.NetworkDual(w, bias, kind="marginal").replicated(3).n_spins == 12


def test_the_quadratic_part_of_the_marginal_dual(layer):
    w, _, bias = layer
    dual = sn.NetworkDual(w, bias, kind="marginal", fields="zero")
    B = w / 4
    off = 0.5 * (B @ B.T)
    np.fill_diagonal(off, 0)
    np.testing.assert_allclose(dual.quadratic_couplings(0.5), off, atol=ROUNDING)
    np.testing.assert_allclose(dual.couplings, 2 * off, atol=ROUNDING)


# --- what is refused --------------------------------------------------------------------------


REFUSED = [
    (lambda: sn.CurieWeiss(0), "n_spins must be an integer >= 1, got 0"),
    (lambda: sn.CurieWeiss(2.5), "n_spins must be an integer >= 1, got 2.5"),
    (lambda: sn.CurieWeiss(4, J=np.nan), "J must be finite"),
    (lambda: sn.CurieWeiss(4, J=1e300), "J must be within"),
    (lambda: sn.CurieWeiss(4, h=[1, 2]), "h must have 0"),
    (lambda: sn.CurieWeiss(30_000).couplings, "n_spins must be <= 20000"),
    (lambda: sn.Ising([[0, np.nan], [0, 0]]), r"J must be finite.*\(0, 1\)"),
    (lambda: sn.Ising([[0, 1e300], [0, 0]]), "J must be within"),
    (lambda: sn.Ising([[0, 1j], [0, 0]]), "J must be real"),
    (lambda: sn.Ising([1, 2]), "J must have 2 dimension"),
    (lambda: sn.Ising([[1, 2, 3]]), r"J must be square, got shape \(1, 3\)"),
    (lambda: sn.Ising(np.empty((0, 0))), "J must not be empty"),
    (lambda: sn.Ising(np.eye(2), h=[1, 2, 3]), r"h must be a number or have shape \(2,\)"),
    (lambda: sn.Ising(np.eye(2), constant=np.inf), "constant must be finite"),
    (lambda: sn.Ising(sp.csr_array((2, 3))), "J must be square and not empty"),
    (lambda: sn.Ising(sp.csr_array((0, 0))), "J must be square and not empty"),
    (lambda: sn.Ising(sp.csr_array([[0, 1j], [0, 0]])), "J must be real"),
    (lambda: sn.Ising(sp.csr_array([[0, np.inf], [0, 0]])), "J must be finite"),
    (lambda: sn.Ising("J"), "J must be real"),
    (lambda: sn.Bipartite([[np.inf]]), "weights must be finite"),
    (lambda: sn.Bipartite(sp.csr_array([[1.0]])), "weights must be an array"),
    (lambda: sn.Bipartite([[1.0]], levels=(1, 2)), r"levels must be \(0, 1\) or"),
    (lambda: sn.Bipartite([[1.0]], levels=(1, 0)), r"levels must be \(0, 1\) or"),
    (lambda: sn.Bipartite([[1.0]], levels=3), "levels must be"),
    (lambda: sn.Bipartite([[1.0]], levels=None), "levels must be"),
    (lambda: sn.Bipartite([[1.0]], bias_b=[1, 2]), "bias_b must be a number"),
    (lambda: sn.Bipartite([[1.0]], scale=np.nan), "scale must be finite"),
    (lambda: sn.Bipartite(np.empty((0, 3))), "weights must not be empty"),
    (lambda: sn.NetworkDual([[1.0, 2.0]], kind="collapsed"), "square for kind='collapsed'"),
    (lambda: sn.NetworkDual([[1.0]], kind="margnal"), "did you mean 'marginal'"),
    (lambda: sn.NetworkDual([[1.0]], fields="none"), "fields must be one of"),
    (lambda: sn.NetworkDual([[1.0]], norm=0), "norm must be > 0, got 0"),
    (lambda: sn.NetworkDual([[1.0, 1.0]], bias=[1.0]), "bias must be a number or have"),
    (lambda: sn.NetworkDual([[np.nan]]), "weights must be finite"),
    (lambda: sn.NetworkDual([[1.0]], kind="marginal").to_ising(), "interactions of every"),
    (lambda: sn.NetworkDual([[1.0]], kind="collapsed").as_bipartite(), "one layer"),
    (lambda: sn.NetworkDual([[1.0]], kind="collapsed").replicated(2), "got 'collapsed'"),
    (lambda: sn.NetworkDual([[1.0]]).quadratic_couplings(1.0), "kind='marginal'"),
    (lambda: sn.NetworkDual([[1.0]], kind="marginal").energy([1], beta=0), "beta must be > 0"),
    (lambda: sn.NetworkDual([[1.0]], kind="marginal").energy([1], beta="x"), "beta must be"),
]


@pytest.mark.parametrize(("build", "words"), REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_bad_parameters_are_refused_in_words(build, words):
    with pytest.raises(InputError, match=words):
        build()


@pytest.mark.parametrize("name", NAMES)
def test_bad_configurations_are_refused(name, seed):
    model = models(seed)[name]
    n, (low, high) = model.n_spins, model.levels
    good = np.full((2, n), high)
    bad_value = good.astype(float)
    bad_value[1, 0] = 0.5
    for spins, words in [
        (good[:, :-1], f"spins must have shape .n_replicas, {n}. or"),
        (good[None], "spins must have shape"),
        (1, "spins must have shape"),
        (bad_value, rf"spins must be {low} or {high}, got 0.5 at index \(1, 0\)"),
        (np.where(good > 0, np.nan, 0), "spins must be finite"),
        (good.astype(complex), "spins must be real"),
        (good.astype(str), "spins must be real"),
    ]:
        for method in (model.energy, model.local_fields):
            with pytest.raises(InputError, match=words):
                method(spins)
    for dtype in (np.int8, np.int64, np.float32):
        assert model.energy(good.astype(dtype)).shape == (2,)
    assert model.energy(np.empty((0, n))).shape == (0,)


@pytest.mark.parametrize("graph", [nx.path_graph(4), nx.DiGraph([(0, 1)]), nx.Graph()])
def test_a_graph_in_place_of_couplings_is_sent_to_from_graph(graph):
    with pytest.raises(InputError, match=r"got a graph \(\w+\); use Ising\.from_graph\(graph\)"):
        sn.Ising(graph)


def test_a_model_does_not_change_in_place():
    # chains keep what they derive from it: a change would act in some of them only
    J = np.ones((4, 4))
    for given in (J, sp.csr_array(J)):
        model = sn.Ising(given, 0.1)
        with pytest.raises(ValueError, match="read-only"):
            model.fields[0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            (model.couplings.data if model.is_sparse else model.couplings)[:] = 2.0
    J[:] = 5.0  # nor do the arrays that it was made from lead to it
    assert float(model.energy(np.ones(4))) == pytest.approx(-6 - 0.4 - 2)
