"""Responses, the spin-glass susceptibility, the action behind them, and the antiferromagnet."""

import json
import math

import networkx as nx
import numpy as np
import pytest
import sympy as sp

import spinnet as sn
from spinnet.spins.meanfield import Status
from spinnet.theory import dual

SEED = 20170208
KEEP = sn.NaiveMeanField(diagonal=True)


def from_matrix(s) -> float:
    """chi_SG by its definition, from the full response."""
    return float(np.sum((s.response / s.beta) ** 2) / s.n_spins)


@pytest.mark.parametrize("shape", [(6, 4), (3, 8), (5, 5)])
@pytest.mark.parametrize("kind", ["bipartite", "marginal"])
@pytest.mark.parametrize("beta", [0.4, 3.0])
def test_two_layers_trace_the_response_within_the_smaller_layer(shape, kind, beta):
    w = np.random.default_rng(SEED).normal(size=shape)
    s = sn.solve(sn.NetworkDual(w, 0.3, kind=kind), beta)
    assert s.susceptibility_spin_glass == pytest.approx(from_matrix(s), rel=1e-11)
    levels = sn.solve(sn.Bipartite(w, 0.1, 0.3), beta)  # 0/1 units: responses are 4 times smaller
    twin = sn.solve(sn.Bipartite(w, 0.1, 0.3).to_ising(), beta)
    expected = twin.susceptibility_spin_glass / 16
    assert levels.susceptibility_spin_glass == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        sn.CurieWeiss(40, 1.0, 0.02),
        sn.Ising(np.random.default_rng(SEED).normal(size=(12, 12)) / 4, 0.1),
        sn.Ising.from_graph(nx.random_regular_graph(3, 410, seed=1), h=0.1),
    ],
)
def test_spin_glass_susceptibility_is_its_definition(model):
    for beta in (0.3, 1.4):
        s = sn.solve(model, beta, sn.NaiveMeanField(n_starts=0, one_loop=False))
        assert s.susceptibility_spin_glass == pytest.approx(from_matrix(s), rel=1e-9)


def test_independent_spins_have_the_exact_spin_glass_susceptibility():
    """Without couplings mean field is exact: (1/N) sum (1 - m_i^2)^2, as enumeration has it."""
    h = np.linspace(-1, 2, 8)
    model = sn.Ising(np.zeros((8, 8)), h)
    s, exact = sn.solve(model, 0.7), sn.exact.enumerate(model, 0.7)
    connected = exact.correlations - np.outer(exact.means, exact.means)
    assert s.susceptibility_spin_glass == pytest.approx(np.sum(connected**2) / 8, rel=1e-12)


@pytest.mark.parametrize("h", [0.0, 0.3])
def test_curie_weiss_approaches_the_exact_spin_glass_susceptibility_as_one_over_n(h):
    """Mean field is exact as N -> infinity: the difference times N settles, 8 % from 10 to 20."""
    differences = []
    for n in (10, 20):
        model = sn.CurieWeiss(n, h=h)
        exact = sn.exact.enumerate(model, 0.5)
        connected = exact.correlations - np.outer(exact.means, exact.means)
        s = sn.solve(model, 0.5)
        differences.append(n * (s.susceptibility_spin_glass - np.sum(connected**2) / n))
    assert differences[1] == pytest.approx(differences[0], rel=0.25)
    assert abs(differences[1]) < 1.5


def test_chi_top_and_chi_sg_diverge_where_chi_uniform_does_not():
    """J = v v^T with v of mean zero: uniform chi stays beta, chi_top = 1/(T - 1)."""
    n = 40
    v = np.where(np.arange(n) % 2, 1.0, -1.0) / math.sqrt(n)
    model = sn.Ising(np.outer(v, v))
    for t in (1e-2, 1e-4):
        beta = 1 / (1 + t)
        s = sn.solve(model, beta, KEEP)
        assert s.susceptibility == pytest.approx(beta, rel=1e-9)
        assert s.susceptibility_top == pytest.approx(1 / t, rel=1e-9)
        expected = ((n - 1) + (1 + t) ** 2 / t**2) / n  # eigenvalues 1 and T/(T - 1) of T chi
        assert s.susceptibility_spin_glass == pytest.approx(expected, rel=1e-8)
    assert sn.solve(model, 1.0, KEEP).susceptibility_spin_glass == math.inf


def test_the_limit_of_sizes_is_that_of_the_smaller_layer():
    wide = sn.Bipartite(np.full((6000, 2), 1e-4), levels=(-1, 1))
    s = sn.solve(wide, 1.0)
    x = 6000 * 2 * 1e-8  # one singular value of B; T chi has 1/(1 -+ sigma) and N - 2 ones
    roots = [1 / (1 - math.sqrt(x)), 1 / (1 + math.sqrt(x))]
    expected = (6000 + sum(r**2 for r in roots)) / 6002
    assert s.susceptibility_spin_glass == pytest.approx(expected, rel=1e-12)
    sparse = sn.solve(
        sn.Ising.from_graph(nx.cycle_graph(6000)), 0.1, sn.NaiveMeanField(one_loop=False)
    )
    with pytest.raises(sn.InputError, match="n_spins must be <= 5000 for the spin-glass suscept"):
        _ = sparse.susceptibility_spin_glass
    with pytest.raises(sn.InputError, match="n_spins must be <= 5000 for the full response"):
        _ = sparse.response
    assert sparse.to_dict()["susceptibility_spin_glass"] is None
    big = sn.solve(sn.CurieWeiss(10_000_000, h=0.1), 0.5)
    assert big.susceptibility_spin_glass == pytest.approx((1 - big.magnetization**2) ** 2, rel=1e-6)


def test_a_solution_is_plain_json_at_a_critical_point_too():
    for s in (sn.solve(sn.CurieWeiss(30), 1.0, KEEP), sn.solve(sn.CurieWeiss(30), 2.0)):
        plain = json.loads(json.dumps(s.to_dict(), allow_nan=False))
        assert plain["diagnosis"]["recommended"] == s.diagnosis.recommended
    assert sn.solve(sn.CurieWeiss(30), 1.0, KEEP).to_dict()["susceptibility"] is None


def test_a_solution_is_a_stationary_point_of_the_action_with_its_determinant():
    """H^g(V, U) of the theory at V = m, U = beta (A m/N + h): gradient 0, and
    det of the full Hessian = (-1)^N det(1 - beta A D/N) = (-1)^N exp(log_det)."""
    n, beta, h = 4, 1.7, 0.15
    W = np.random.default_rng(SEED).normal(size=(n, n)) + 1
    model = sn.NetworkDual(W, h, kind="collapsed")
    s = sn.solve(model, beta, KEEP)
    numbers = {dual.beta: beta, **dict.fromkeys(dual.fields(n), h)}
    numbers |= dict(zip(dual.weights(n), W.ravel(), strict=True))
    local = beta * ((W + W.T) @ s.magnetizations / (2 * n) + h)
    at = dict(zip([*dual.order(n), *dual.conjugate(n)], [*s.magnetizations, *local], strict=True))
    gradient = np.array(dual.gradient(n).subs({**numbers, **at}).tolist(), float)
    np.testing.assert_allclose(gradient, 0, atol=1e-11)
    hessian = np.array(dual.hessian(n).subs({**numbers, **at}).tolist(), float)
    assert np.linalg.det(hessian) == pytest.approx((-1) ** n * math.exp(s.log_det), rel=1e-9)
    action = float(dual.effective_hamiltonian(n).subs({**numbers, **at}).rewrite(sp.exp))
    assert s.free_energy == pytest.approx(action / (n * beta) - math.log(2) / beta, abs=1e-11)


def test_the_one_loop_free_energy_differentiates_to_its_magnetisation():
    """-dF1/dh = m - (T/2N) d ln det/dh, with d ln det/dh = sum_i G_ii 2 m_i dm_i/dh/(1 - m_i^2)
    - the same without couplings; against central differences of step 1e-5."""
    n, beta, step = 8, 0.9, 1e-5
    rng = np.random.default_rng(SEED)
    W = rng.normal(size=(n, n)) + 1
    A = (W + W.T) / (2 * n)
    sides = [
        sn.solve(sn.NetworkDual(W, 0.2 + k * step, kind="collapsed"), beta, KEEP) for k in (-1, 1)
    ]
    s = sn.solve(sn.NetworkDual(W, 0.2, kind="collapsed"), beta, KEEP)
    m, dm = s.magnetizations, s.uniform_response
    inner = np.linalg.inv(np.eye(n) - beta * (1 - m**2)[:, None] * A)
    slope = np.sum(np.diag(inner @ (2 * beta * (m * dm)[:, None] * A)))
    found = (sides[1].free_energy_one_loop - sides[0].free_energy_one_loop) / (2 * step)
    assert -found == pytest.approx(m.mean() - slope / (2 * n * beta), abs=1e-8)
    assert abs(slope) > 0.01


def test_the_antiferromagnet_keeps_its_paramagnet_down_to_the_transverse_instability():
    n = 30
    above = sn.solve(sn.CurieWeiss(n, J=-1.0), 0.99 * n)
    assert np.array_equal(above.magnetizations, np.zeros(n))
    assert above.stable
    assert sn.critical_beta(sn.CurieWeiss(n, J=-1.0)) == pytest.approx(n)


def test_below_that_the_antiferromagnet_is_solved_spin_by_spin():
    """T < |J|/N: half of the spins up, m = tanh(beta m/N), and the result is not to be trusted."""
    n, beta = 30, 60.0
    s = sn.solve(sn.CurieWeiss(n, J=-1.0), beta)
    assert s.stable
    assert s.label == "Curie-Weiss, N = 30"
    size = np.abs(s.magnetizations)
    np.testing.assert_allclose(size, np.tanh(beta * size / n), atol=1e-11)
    assert size.min() > 0.9
    assert s.magnetization == pytest.approx(0, abs=1e-12)
    assert not s.reliable
    assert s.diagnosis.recommended == "exact"
    dense = sn.solve(sn.CurieWeiss(n, J=-1.0).to_ising(), beta)
    assert s.free_energy == pytest.approx(dense.free_energy, abs=1e-12)
    kept = sn.solve(sn.CurieWeiss(n, J=-1.0), beta, KEEP)  # the printed equation has no such order
    assert np.array_equal(kept.magnetizations, np.zeros(n))


def test_a_large_antiferromagnet_says_what_to_do():
    with pytest.raises(
        sn.ConvergenceError, match=r"unstable below T = \|J\|/N.*diagonal=True"
    ) as e:
        sn.solve(sn.CurieWeiss(2000, J=-1.0), 3000.0)
    assert e.value.solution.status is Status.UNSTABLE
