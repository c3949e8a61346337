"""Critical temperatures of Bethe: regular graphs, lattices, complete graphs, heavy tails."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import zeta

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.meanfield.bethe import (
    Bethe,
    growth_rate,
    spin_glass_temperature_stable,
)
from spinnet.spins.meanfield.bethe.graph import DenseGraph
from spinnet.spins.meanfield.bethe.hessian import DenseHessian


def signed(G, rng):
    """Give each bond of a graph a random sign."""
    J = sp.triu(nx.to_scipy_sparse_array(G, dtype=float), 1).tocsr()
    J.data *= rng.choice([-1.0, 1.0], J.nnz)
    return sn.Ising(sp.csr_array(J + J.T))


@pytest.mark.parametrize(("degree", "n"), [(3, 100), (5, 100), (4, 600)])
def test_regular_graphs(degree, n):
    G = nx.random_regular_graph(degree, n, seed=2)
    model = sn.Ising.from_graph(G, J=1.7)
    ferro, glass = 1 / np.arctanh(1 / (degree - 1)), 1 / np.arctanh((degree - 1) ** -0.5)
    assert Bethe().ferromagnetic_temperature(model) == pytest.approx(1.7 * ferro, rel=1e-9)
    assert Bethe().spin_glass_temperature(model) == pytest.approx(1.7 * glass, rel=1e-9)
    assert sn.critical_beta(model, method=Bethe()) == pytest.approx(1 / (1.7 * ferro), rel=1e-9)
    mixed = signed(G, np.random.default_rng(0))
    # (c - 1) tanh^2 = 1 does not know signs
    assert Bethe().spin_glass_temperature(mixed) == pytest.approx(glass, rel=1e-9)
    assert Bethe().critical_temperature(mixed) >= glass * (1 - 1e-9)


def test_the_square_lattice_has_bethes_value():
    model = sn.Ising.from_graph(nx.grid_2d_graph(8, 8, periodic=True))
    assert Bethe().critical_temperature(model) == pytest.approx(2 / np.log(2), rel=1e-10)


def test_an_antiferromagnet_on_two_sublattices_is_a_ferromagnet_in_disguise():
    model = sn.Ising.from_graph(nx.grid_2d_graph(8, 8, periodic=True), J=-1.0)
    assert Bethe().ferromagnetic_temperature(model) == pytest.approx(2 / np.log(2), rel=1e-8)


@pytest.mark.parametrize(
    "graph", [nx.path_graph(9), nx.balanced_tree(2, 4), nx.cycle_graph(7), nx.empty_graph(4)]
)
def test_no_transition_without_two_loops(graph):
    model = sn.Ising.from_graph(graph)
    for temperature in (
        Bethe().critical_temperature,
        Bethe().ferromagnetic_temperature,
        Bethe().spin_glass_temperature,
    ):
        with pytest.raises(InputError, match="stable at every T"):
            temperature(model)


def test_a_frustrated_complete_graph_has_no_ferromagnetic_temperature():
    model = sn.CurieWeiss(30, J=-1.0)
    with pytest.raises(InputError, match="ordered phase"):
        Bethe().ferromagnetic_temperature(model)
    glass = (1 / 30) / np.arctanh(28**-0.5)
    assert Bethe().critical_temperature(model) == pytest.approx(glass)
    assert Bethe().critical_temperature(model.to_ising()) == pytest.approx(glass, rel=1e-8)


def test_curie_weiss():
    for n in (4, 50, 10**6):
        expected = (1 / n) / np.arctanh(1 / (n - 2))
        assert Bethe().critical_temperature(sn.CurieWeiss(n)) == pytest.approx(expected, rel=1e-12)
    assert Bethe().critical_temperature(sn.CurieWeiss(80).to_ising()) == pytest.approx(
        (1 / 80) / np.arctanh(1 / 78), rel=1e-8
    )


def test_the_hessian_and_the_messages_agree_where_they_meet():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((90, 90)) / np.sqrt(90)
    model = sn.Ising(np.triu(X, 1) + np.triu(X, 1).T)
    t = Bethe().spin_glass_temperature(model)
    assert growth_rate(model, 1 / t, squared=True) == pytest.approx(1, abs=1e-8)
    assert t == pytest.approx(1, abs=0.05)  # SK: 1 as N grows
    ferro = sn.Ising(abs(X) + abs(X).T)
    beta = sn.critical_beta(ferro, method=Bethe())
    assert growth_rate(ferro, beta) == pytest.approx(1, abs=1e-5)
    s = sn.solve(ferro, 0.999 * beta, method=Bethe())
    assert 0 < s.distance_to_instability < 0.01
    assert not s.magnetizations.any()
    below = sn.solve(ferro, 1.05 * beta, method=Bethe())
    assert below.magnetization > 0.1


def test_two_layers_depend_on_both():
    # N_a N_b <tanh^2>^2 = 1: +-J blocks, all tanh^2 alike; (N_a - 1)(N_b - 1) without the way back
    rng = np.random.default_rng(3)
    block = rng.choice([-1.0, 1.0], (30, 70))
    model = sn.Bipartite(block, levels=(-1, 1))
    expected = 1 / np.arctanh((29 * 69) ** -0.25)
    assert Bethe().spin_glass_temperature(model) == pytest.approx(expected, rel=1e-8)
    zero_one = sn.Bipartite(block, levels=(0, 1))  # couplings over four
    assert Bethe().spin_glass_temperature(zero_one) == pytest.approx(expected / 4, rel=1e-8)


def test_stable_laws_between_cauchy_and_gauss():
    assert spin_glass_temperature_stable(1.0, 2.0) == pytest.approx(
        2 * 28 * zeta(3) / np.pi**3, rel=1e-12
    )
    assert spin_glass_temperature_stable(1.9999) == pytest.approx(np.sqrt(2), rel=1e-4)
    assert spin_glass_temperature_stable(2.0) == np.sqrt(2)
    with pytest.raises(InputError, match="stable_alpha"):
        spin_glass_temperature_stable(2.1)
    with pytest.raises(InputError, match="scale"):
        spin_glass_temperature_stable(1.0, 0.0)


def test_the_condition_of_stable_laws_by_direct_integration():
    # N <tanh^2(J/T)> over the law of J itself at finite N: 1 + O(1/N) for Cauchy
    from scipy.integrate import quad

    n, t = 10**5, spin_glass_temperature_stable(1.0)
    # J = tan(phi)/N with phi uniform on (0, pi/2)
    value = quad(
        lambda phi: np.tanh(np.tan(phi) / (n * t)) ** 2, 0, np.pi / 2, points=[1.57], limit=2000
    )[0]
    assert n * value * 2 / np.pi == pytest.approx(1, rel=1e-3)


@pytest.mark.statistical
def test_cauchy_samples_freeze_near_the_law_and_naive_mean_field_follows_one_bond(seed):
    # 150 samples of N = 150 gave T_SG = 1.050(11), standard deviation 0.134 each: the finite size
    # shifts it by -0.035 from the law.  A mean of 12 has the standard error 0.039; four of them
    # and the shift are allowed, a false alarm of about 1 in 10^4 were the mean normal.
    # Naive mean field was below 5 T_SG in 1 of the 150: a median of 12 never is.
    rng = np.random.default_rng(seed)
    found, naive = [], []
    for _ in range(12):
        X = np.triu(rng.standard_cauchy((150, 150)), 1) / 150
        model = sn.Ising(X + X.T)
        found.append(Bethe().spin_glass_temperature(model))
        naive.append(sn.NaiveMeanField().critical_temperature(model))
    law = spin_glass_temperature_stable(1.0)
    assert abs(np.mean(found) - law) < 4 * 0.134 / np.sqrt(12) + 0.035
    assert np.median(naive) > 5 * np.mean(found)


@pytest.mark.statistical
def test_signed_growth_and_squared_weights_bracket_the_law_of_cauchy_couplings(seed):
    # 40 samples of N = 200 measured 1.032(11) and 0.949(17), standard deviations 0.069 and 0.108
    # each: the two bracket 1.  Means of 10, four standard errors of both measurements; the laws
    # are skewed, a false alarm is rarer than 1 in 10^3.
    rng = np.random.default_rng(seed)
    beta = 1 / spin_glass_temperature_stable(1.0)
    rows = []
    for _ in range(10):
        X = np.triu(rng.standard_cauchy((200, 200)), 1) / 200
        model = sn.Ising(X + X.T)
        rows.append([growth_rate(model, beta, squared=squared) for squared in (False, True)])
    signed_, squared_ = np.mean(rows, axis=0)
    both = np.sqrt(1 / 10 + 1 / 40)
    assert abs(signed_ - 1.032) < 4 * 0.069 * both
    assert abs(squared_ - 0.949) < 4 * 0.108 * both
    assert squared_ < signed_


@pytest.mark.statistical
def test_sampled_layers_freeze_where_both_layers_say(seed):
    # N_a N_b <tanh^2>^2 = 1.  40 samples of 60 x 200 gave 0.985 with standard deviation 0.008
    # for normal bonds, 1.048 with 0.086 for Cauchy ones: the finite layers shift them from the
    # law, 1 and 1.0855, by -0.015 and -0.038.  Means of 6, four standard errors and the shift; the
    # Cauchy samples are skewed, a false alarm is rarer than 1 in 10^3.
    rng = np.random.default_rng(seed)
    size, normal, cauchy = np.sqrt(60 * 200), [], []
    for _ in range(6):
        layers = rng.standard_normal((60, 200)) / np.sqrt(size), rng.standard_cauchy((60, 200))
        for found, block in zip((normal, cauchy), (layers[0], layers[1] / size), strict=True):
            found.append(Bethe().spin_glass_temperature(sn.Bipartite(block, levels=(-1, 1))))
    assert abs(np.mean(normal) - 1) < 4 * 0.008 / np.sqrt(6) + 0.015
    law = spin_glass_temperature_stable(1.0)
    assert abs(np.mean(cauchy) - law) < 4 * 0.086 / np.sqrt(6) + 0.038


def test_bonds_of_many_orders_of_magnitude():
    # two triangles joined by a bond: all bonds of the first are locked where the rest acts
    J = np.zeros((6, 6))
    for k, (i, j) in enumerate([(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (3, 5)]):
        J[i, j] = J[j, i] = 10.0 ** (5 - 2 * k)
    model = sn.Ising(J)
    t = Bethe().spin_glass_temperature(model)
    assert growth_rate(model, 1 / t, squared=True) == pytest.approx(1, abs=1e-4)
    assert Bethe().critical_temperature(model) > t


def test_more_strong_bonds_than_are_kept_apart_stay_finite():
    # far below T_SG nearly all bonds lock: the bracket of the root passes there
    rng = np.random.default_rng(9)
    X = np.triu(rng.standard_cauchy((80, 80)), 1)
    graph = DenseGraph(500 * (X + X.T))
    t = np.tanh(np.abs(graph.couplings))
    log_rest = -2 * np.logaddexp(graph.couplings, -graph.couplings) + 2 * np.log(2)
    hessian = DenseHessian(graph, t, log_rest)
    assert np.all(np.isfinite(hessian.full))
    assert hessian.lowest() < 0
