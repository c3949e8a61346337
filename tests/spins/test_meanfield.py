"""Naive mean field against enumeration, finite differences and high-precision solutions."""

import itertools
import math

import mpmath
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import gammaln

import spinnet as sn
from spinnet.spins.meanfield import Advice, Status, follow

SEED = 20170208


def cosine_weights(n: int, scale: float = 1.0) -> np.ndarray:
    """A full, non-symmetric matrix with a diagonal, the same on every machine."""
    i, j = np.indices((n, n))
    return scale * (0.4 + np.cos(1 + 3 * i + 5 * j) + 0.5 * np.cos(2 + 7 * i * j))


def enumerate_free_energy(energy: np.ndarray, beta: float, n: int) -> float:
    low = energy.min()
    return float(low - np.log(np.exp(-beta * (energy - low)).sum()) / beta) / n


def all_states(n: int) -> np.ndarray:
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def printed_energy(W: np.ndarray, h: float) -> np.ndarray:
    """-(1/2N) s.W.s - h sum s, diagonal included, over all states."""
    s = all_states(len(W))
    return -np.einsum("ki,ij,kj->k", s, W, s) / (2 * len(W)) - h * s.sum(axis=1)


def mpmath_saddle(A: np.ndarray, h: float, beta: float, start: np.ndarray):
    """m = tanh(beta (A m + h)) and what follows from it, to 40 digits."""
    n = len(A)
    with mpmath.workdps(40):
        M = mpmath.matrix(A.tolist())

        def equations(*m):
            local = M * mpmath.matrix(m)
            return [m[i] - mpmath.tanh(beta * (local[i] + h)) for i in range(n)]

        m = mpmath.findroot(equations, [mpmath.mpf(x) for x in start], tol=1e-60)
        local = M * m
        D = [1 - m[i] ** 2 for i in range(n)]
        quadratic = sum(m[i] * local[i] for i in range(n)) / 2
        entropy = sum(mpmath.log(2 * mpmath.cosh(beta * (local[i] + h))) for i in range(n))
        inner = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                inner[i, j] = (1 if i == j else 0) - beta * D[i] * M[i, j]
        log_det = mpmath.log(mpmath.det(inner))
        chi = inner**-1 * mpmath.diag([beta * d for d in D])
        free = (quadratic - entropy / beta) / n
        chi_array = np.array(chi.tolist(), dtype=float)
        return np.array(list(m), dtype=float), float(free), float(log_det), chi_array


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("beta", [0.4, 1.7])
def test_non_symmetric_weights_agree_with_forty_digits(beta, diagonal):
    """m, F0, ln det and chi of a collapsed dual; 1e-9 allows for cond ~ 1e3 of the equations."""
    n, h = 7, 0.05
    W = cosine_weights(n)
    A = (W + W.T) / (2 * n)
    constant = 0.0
    if not diagonal:
        constant = -np.trace(W) / (2 * n)
        A = A - np.diag(np.diagonal(A))
    dual = sn.NetworkDual(W, h, kind="collapsed")
    s = sn.solve(dual, beta, sn.NaiveMeanField(diagonal=diagonal))
    m, free, log_det, chi = mpmath_saddle(A, h, beta, s.magnetizations)
    np.testing.assert_allclose(s.magnetizations, m, rtol=0, atol=1e-12)
    assert s.free_energy == pytest.approx(free + constant / n, abs=1e-12)
    assert s.log_det == pytest.approx(log_det, abs=1e-9)
    np.testing.assert_allclose(s.response, chi, rtol=1e-9, atol=1e-9)
    one_loop = free + constant / n + log_det / (2 * n * beta)
    assert s.free_energy_one_loop == pytest.approx(one_loop, abs=1e-9)
    assert s.susceptibility == pytest.approx(chi.sum() / n, rel=1e-9)
    v = np.linalg.eigh(A)[1][:, -1]
    assert s.susceptibility_top == pytest.approx(v @ chi @ v, rel=1e-9)
    assert s.residual <= 1e-12
    assert s.stable


def test_collapsed_dual_sees_the_symmetric_part_only():
    W = cosine_weights(8)
    extra = cosine_weights(8) - cosine_weights(8).T
    first = sn.solve(sn.NetworkDual(W, 0.1, kind="collapsed"), 2.0)
    for other in (W.T, W + 3 * extra):
        second = sn.solve(sn.NetworkDual(other, 0.1, kind="collapsed"), 2.0)
        np.testing.assert_allclose(second.magnetizations, first.magnetizations, atol=1e-11)
        assert second.free_energy == pytest.approx(first.free_energy, abs=1e-12)


def test_curie_weiss_with_its_diagonal_solves_the_textbook_equation():
    for beta, J, h in ((1.25, 1.0, 0.0), (0.7, 1.0, 0.3), (3.0, 0.5, -0.01), (500.0, 1.0, 0.0)):
        s = sn.solve(sn.CurieWeiss(50, J, h), beta, sn.NaiveMeanField(diagonal=True))
        m = s.magnetizations[0]
        assert abs(m - math.tanh(beta * (J * m + h))) <= 1e-12
        assert h == 0 or math.copysign(1, m) == math.copysign(1, h)
        f = J * m**2 / 2 - np.logaddexp(beta * (J * m + h), -beta * (J * m + h)) / beta
        assert s.free_energy == pytest.approx(f, abs=1e-13)
        D = 1 - beta * J * (1 - m**2)
        assert s.susceptibility == pytest.approx(beta * (1 - m**2) / D, rel=1e-10)


def test_curie_weiss_reduced_to_one_unknown_equals_its_dense_matrix():
    model = sn.CurieWeiss(40, 1.0, 0.02)
    for beta in (0.5, 1.5):
        reduced, dense = sn.solve(model, beta), sn.solve(model.to_ising(), beta)
        np.testing.assert_allclose(reduced.magnetizations, dense.magnetizations, atol=1e-12)
        np.testing.assert_allclose(reduced.response, dense.response, rtol=1e-10)
        for name in ("free_energy", "log_det", "susceptibility", "susceptibility_top"):
            assert getattr(reduced, name) == pytest.approx(getattr(dense, name), rel=1e-10)
        change = np.linspace(-1, 1, 40)
        np.testing.assert_allclose(reduced.respond(change), dense.respond(change), atol=1e-10)


def test_ten_million_spins_need_no_matrix():
    s = sn.solve(sn.CurieWeiss(10_000_000), 1.25)
    assert s.magnetization == pytest.approx(0.710411783488, abs=3e-7)  # J(1 - 1/N)
    with pytest.raises(sn.InputError, match=r"n_spins must be <= 5000 .* got 10000000"):
        _ = s.response
    assert np.isfinite(s.susceptibility)


def test_paramagnet_is_exactly_zero_and_order_appears_below_the_critical_temperature():
    W = cosine_weights(9)
    dual = sn.NetworkDual(W, kind="collapsed")
    beta_c = sn.critical_beta(dual)
    above, below = sn.solve(dual, 0.999 * beta_c), sn.solve(dual, 1.001 * beta_c)
    assert np.array_equal(above.magnetizations, np.zeros(9))
    assert above.stable
    assert len(above.all_branches) == 1
    assert np.abs(below.magnetizations).max() > 1e-3
    assert below.stable
    assert len(below.all_branches) == 2  # the two signs
    (zero,) = below.unstable_branches
    assert zero.status is Status.UNSTABLE
    assert not zero.stable
    assert zero.distance_to_instability == pytest.approx(-0.001, abs=1e-9)
    assert math.isnan(zero.free_energy_one_loop)
    assert "unstable" in zero.note


def test_the_critical_point_is_flagged_with_an_infinite_response():
    s = sn.solve(sn.CurieWeiss(100), 1.0, sn.NaiveMeanField(diagonal=True))
    assert s.status is Status.CRITICAL
    assert s.susceptibility == math.inf
    assert s.susceptibility_top == math.inf
    assert s.magnetizations.max() == 0
    near = sn.solve(sn.CurieWeiss(100), 1 + 1e-10, sn.NaiveMeanField(diagonal=True))
    assert near.magnetization == pytest.approx(math.sqrt(3e-10), rel=1e-5)  # 1 + O(t), rounding


def test_derivatives_of_the_free_energy_are_the_magnetisations():
    """Central differences of step 1e-5 are good to 1e-9 here."""
    W, beta, step = cosine_weights(8), 1.3, 1e-5
    sides = [sn.solve(sn.NetworkDual(W, 0.2 + k * step, kind="collapsed"), beta) for k in (-1, 1)]
    s = sn.solve(sn.NetworkDual(W, 0.2, kind="collapsed"), beta)
    slope = (sides[1].free_energy - sides[0].free_energy) / (2 * step)
    assert -slope == pytest.approx(s.magnetization, abs=1e-9)
    dm = (sides[1].magnetizations - sides[0].magnetizations) / (2 * step)
    np.testing.assert_allclose(s.uniform_response, dm, atol=1e-8)
    assert s.susceptibility == pytest.approx(dm.mean(), abs=1e-8)


def test_one_loop_term_brings_the_free_energy_to_enumeration():
    """In the paramagnet F0 misses beta sum J^2/4N, and the one-loop term leaves O(beta^2)."""
    W = cosine_weights(10)
    energy = printed_energy(W, 0.0)
    errors = []
    for beta in (0.05, 0.1):
        exact = enumerate_free_energy(energy, beta, 10)
        s = sn.solve(sn.NetworkDual(W, 0.0, kind="collapsed"), beta)
        errors.append((abs(s.free_energy - exact), abs(s.free_energy_one_loop - exact)))
    assert errors[1][0] / errors[0][0] == pytest.approx(2, rel=0.05)
    assert errors[0][0] / errors[0][1] > 6
    for T, gain in ((2.0, 15), (1.2, 3)):  # T_c = 0.99: 64 and 4.1 times are measured
        n, h = 10, 0.3
        W = 1 + 0.3 * cosine_weights(n)
        exact = enumerate_free_energy(printed_energy(W, h), 1 / T, n)
        s = sn.solve(sn.NetworkDual(W, h, kind="collapsed"), 1 / T)
        assert abs(s.free_energy - exact) > gain * abs(s.free_energy_one_loop - exact)


def test_sum_over_wells_adds_the_entropy_of_the_broken_symmetry():
    """CW at N = 200, beta = 1.5: F0 is off by O(1/N), the wells with one loop by O(1/N^2)."""
    n, beta = 200, 1.5
    s = sn.solve(sn.CurieWeiss(n), beta, sn.NaiveMeanField(diagonal=True))
    M = np.arange(-n, n + 1, 2)
    up, down = (n + M) / 2, (n - M) / 2
    ways = gammaln(n + 1) - gammaln(up + 1) - gammaln(down + 1)
    exact = -np.logaddexp.reduce(ways + beta * M**2 / (2 * n)) / (beta * n)
    assert abs(s.free_energy_wells - exact) < 2 / n**2
    assert abs(s.free_energy_one_loop - exact) > 0.9 * math.log(2) / (beta * n)


@pytest.mark.parametrize("shape", [(6, 4), (3, 7)])
@pytest.mark.parametrize("beta", [0.7, 4.0])
def test_two_layers_equal_their_dense_twin_and_report_in_their_own_levels(shape, beta):
    w = cosine_weights(8)[: shape[0], : shape[1]]
    g, k = 0.1 * np.arange(shape[0]), -0.2
    model = sn.Bipartite(w, g, k)
    s, twin = sn.solve(model, beta), sn.solve(model.to_ising(), beta)
    np.testing.assert_allclose(s.magnetizations, (1 + twin.magnetizations) / 2, atol=1e-11)
    np.testing.assert_allclose(s.response, twin.response / 4, atol=1e-9)
    for name in ("free_energy", "free_energy_one_loop", "log_det", "distance_to_instability"):
        assert getattr(s, name) == pytest.approx(getattr(twin, name), abs=1e-10)
    step = 1e-5
    ends = [sn.solve(sn.Bipartite(w, g + e, k + e), beta) for e in (-step, step)]
    slope = (ends[1].free_energy - ends[0].free_energy) / (2 * step)
    assert -slope == pytest.approx(s.magnetization, abs=1e-8)
    moved = (ends[1].magnetizations - ends[0].magnetizations) / (2 * step)
    np.testing.assert_allclose(s.uniform_response, moved, atol=1e-7)


def test_two_layer_free_energy_approaches_enumeration_at_high_temperature():
    w = cosine_weights(6)[:, :5] / 2
    model = sn.Bipartite(w, 0.1, -0.3)
    states = np.array(list(itertools.product((0.0, 1.0), repeat=11)))
    a, b = states[:, :6], states[:, 6:]
    energy = -np.einsum("ki,ij,kj->k", a, w, b) - 0.1 * a.sum(1) + 0.3 * b.sum(1)
    errors = []
    for beta in (0.1, 0.2):
        exact = enumerate_free_energy(energy, beta, 11)
        s = sn.solve(model, beta)
        errors.append((abs(s.free_energy - exact), abs(s.free_energy_one_loop - exact)))
    assert errors[1][0] / errors[0][0] == pytest.approx(2, rel=0.1)  # F0 misses a term O(beta)
    assert errors[1][1] / errors[0][1] > 3  # and the one-loop term leaves O(beta^2) or smaller


def test_marginal_dual_minimises_the_joint_free_energy_over_the_outputs():
    w = cosine_weights(6)[:, :4]
    joint = sn.solve(sn.NetworkDual(w, 0.2, kind="bipartite"), 0.8)
    visible = sn.solve(sn.NetworkDual(w, 0.2, kind="marginal"), 0.8)
    np.testing.assert_allclose(visible.magnetizations, joint.magnetizations[:6], atol=1e-13)
    assert visible.free_energy * 6 == pytest.approx(joint.free_energy * 10, abs=1e-12)
    np.testing.assert_allclose(visible.response, joint.response[:6, :6], atol=1e-12)
    assert visible.response.shape == (6, 6)
    assert visible.label == "D2 marginal, fields exact"
    pair = sn.NetworkDual(w, 0.2, kind="marginal").as_bipartite()

    def joint_free_energy(ma):  # outputs set to their best response
        x = 0.8 * (pair.bias_b + ma @ pair.weights)
        p = (1 + ma) / 2
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
        outputs = np.logaddexp(x, -x).sum()
        return pair.constant - ma @ pair.bias_a - (entropy + outputs) / 0.8

    best = joint_free_energy(visible.magnetizations)
    assert best == pytest.approx(6 * visible.free_energy, abs=1e-12)
    rng = np.random.default_rng(SEED)
    for _ in range(50):
        other = np.clip(visible.magnetizations + 0.05 * rng.standard_normal(6), -0.999, 0.999)
        assert joint_free_energy(other) > best


def test_the_homogeneous_network_is_critical_where_its_exact_solution_says():
    """H = -(w/2N) A B - h B at h = -w/2: K_c = 1/(1 - x^2) with x = tanh(1/(1 + x))."""
    x = float(mpmath.findroot(lambda y: y - mpmath.tanh(1 / (1 + y)), 0.56))
    w, n = 1.0, 30
    T = w * (1 - x**2) / 8
    assert pytest.approx(0.0851848833, abs=1e-10) == T
    model = sn.Bipartite(np.full((n, n), w), 0.0, -w / 2, scale=1 / (2 * n))
    start = np.concatenate([np.full(n, x), np.full(n, -x)])
    s = follow(model, 1 / (T * 1.0001), start, sn.NaiveMeanField())
    assert s.distance_to_instability == pytest.approx(0, abs=5e-4)
    assert s.magnetizations[0] == pytest.approx((1 + x) / 2, abs=1e-3)
    assert s.magnetizations[-1] == pytest.approx((1 - x) / 2, abs=1e-3)
    cold, warm = sn.solve(model, 1 / (0.97 * T)), sn.solve(model, 1 / (1.03 * T))
    assert len(warm.all_branches) == 1
    assert len(cold.all_branches) == 2


def test_sparse_couplings_give_the_dense_numbers():
    G = nx.random_regular_graph(3, 500, seed=4)
    model = sn.Ising.from_graph(G, h=0.01)
    dense = sn.Ising(model.couplings.toarray(), 0.01)
    method = sn.NaiveMeanField(n_starts=0)
    for beta in (0.2, 0.6):
        a, b = sn.solve(model, beta, method), sn.solve(dense, beta, method)
        np.testing.assert_allclose(a.magnetizations, b.magnetizations, atol=1e-11)
        for name in ("free_energy", "log_det", "susceptibility", "distance_to_instability"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9)
    assert sn.critical_beta(model) == pytest.approx(1 / 3, rel=1e-10)  # degree 3


def test_sparse_diagonal_is_kept_only_on_request():
    J = sp.csr_array(np.diag([0.5, 0.5, 0.5]) + 0.3 * (np.ones((3, 3)) - np.eye(3)))
    model = sn.Ising(J)
    np.testing.assert_array_equal(model.self_couplings, [0.5, 0.5, 0.5])
    assert 1 / sn.critical_beta(model) == pytest.approx(0.6)
    assert 1 / sn.critical_beta(model, sn.NaiveMeanField(diagonal=True)) == pytest.approx(1.1)
    with_, without = (sn.solve(model, 0.5, sn.NaiveMeanField(diagonal=d)) for d in (True, False))
    shift = with_.free_energy - without.free_energy  # both are paramagnets
    assert shift == pytest.approx(0.25)


def test_every_valley_of_a_random_landscape_is_found_once_with_its_mirror():
    rng = np.random.default_rng(SEED)
    J = rng.standard_normal((12, 12)) / np.sqrt(6)
    s = sn.solve(sn.Ising(J), 5.0, sn.NaiveMeanField(n_starts=40))
    kept = np.array([b.magnetizations for b in s.all_branches])
    assert len(kept) % 2 == 0
    for m in kept:
        assert np.abs(kept + m).max(axis=1).min() < 1e-9
    free = [b.free_energy for b in s.all_branches]
    assert free == sorted(free) or np.all(np.diff(free) > -1e-12)
    J_sym = (J + J.T) / 2
    np.fill_diagonal(J_sym, 0)
    states = all_states(12)
    ground = -0.5 * np.einsum("ki,ij,kj->k", states, J_sym, states).min() * -1
    assert s.free_energy * 12 + np.trace(J) / 2 == pytest.approx(ground, abs=0.5)
    again = sn.solve(sn.Ising(J), 5.0, sn.NaiveMeanField(n_starts=40))
    assert np.array_equal(s.magnetizations, again.magnetizations)


def test_two_spins_order_in_mean_field_and_the_result_says_not_to_trust_it():
    s = sn.solve(sn.Ising([[0, 1], [1, 0]]), 2.0)
    np.testing.assert_allclose(s.magnetizations, 0.9575040240772687, atol=1e-12)
    assert s.diagnosis.advice is Advice.STRONG_BONDS
    assert s.diagnosis.strongest_bond == 2.0
    assert s.participation_ratio * 2 == pytest.approx(2)


def test_low_temperatures_keep_the_residual_and_finite_numbers():
    W = cosine_weights(8)
    s = sn.solve(sn.NetworkDual(W, 0.1, kind="collapsed"), 1e4)
    assert s.residual <= 1e-12
    assert s.free_energy == pytest.approx(printed_energy(W, 0.1).min() / 8, abs=1e-4)
    assert np.isfinite(s.free_energy_one_loop)


def test_follow_traces_hysteresis_up_to_the_coercive_field():
    """CW at T = 0.8: the branch m < 0 survives until h = m_sp - T artanh(m_sp)."""
    T, J = 0.8, 1.0
    m_sp = math.sqrt(1 - T / J)
    coercive = J * m_sp - T * math.atanh(m_sp)
    method = sn.NaiveMeanField(diagonal=True)
    inside = follow(sn.CurieWeiss(100, J, 0.999 * coercive), 1 / T, -0.9, method)
    beyond = follow(sn.CurieWeiss(100, J, 1.001 * coercive), 1 / T, -0.9, method)
    assert inside.magnetization < 0 < beyond.magnetization


def test_follow_without_descent_returns_the_unstable_middle_branch():
    s = follow(sn.CurieWeiss(100, 1.0, 0.01), 1.5, 0.0, sn.NaiveMeanField(), descend=False)
    assert s.status is Status.UNSTABLE
    assert s.magnetization == pytest.approx(-0.03, abs=0.01)


def test_failure_carries_the_last_point_or_returns_it_labelled():
    """1e-13 below T_c and to rtol = 1e-15 one step is too few: Newton needs several."""
    rng = np.random.default_rng(SEED)
    model = sn.Ising(rng.standard_normal((30, 30)))
    method = sn.NaiveMeanField(rtol=1e-15, max_steps=1, n_starts=0)
    last = sn.solve(model, 2.0, method, throw=False)
    assert last.status in (Status.MAX_STEPS, Status.UNSTABLE)
    assert not last.stable
    with pytest.raises(sn.ConvergenceError, match="no stable solution from") as caught:
        sn.solve(model, 2.0, method)
    assert isinstance(caught.value.solution, type(last))
    assert caught.value.solution.free_energy == last.free_energy


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: sn.solve(m, 0.0), r"beta must be > 0, got 0\.0"),
        (lambda m: sn.solve(m, 1e300), r"beta must be within"),
        (lambda m: sn.solve(m, [1.0, 2.0]), r"beta must be a single number .* shape \(2,\)"),
        (lambda m: sn.solve(m, 1.0, J=2.0), r"CurieWeiss takes no parameters .* got J"),
        (lambda m: sn.solve(m, 1.0, "naive"), r"method must be a mean-field theory"),
        (lambda m: sn.solve("model", 1.0), r"target must be a SpinModel or .* got str"),
        (lambda m: follow(m, 1.0, 1.5), r"start must lie in \[-1, 1\], got 1\.5"),
        (lambda m: sn.NaiveMeanField(rtol=1.0), r"rtol must lie in"),
        (lambda m: sn.NaiveMeanField(n_starts=-1), r"n_starts must be an integer >= 0, got -1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(sn.InputError, match=message):
        call(sn.CurieWeiss(10))


def test_summary_and_dict_name_the_dual_and_its_fields():
    s = sn.solve(sn.NetworkDual(cosine_weights(5)), 0.5)
    assert "D0 bipartite, fields exact" in s.summary()
    assert s.to_dict()["label"] == "D0 bipartite, fields exact"
    assert s.to_dict()["status"] == "STABLE"


def test_a_symbolic_free_energy_goes_to_its_branches():
    from spinnet.theory import curie_weiss

    branches = sn.solve(curie_weiss.free_energy(), beta=1.25, J=1.0, h=0.0)
    s = sn.solve(sn.CurieWeiss(10), 1.25, sn.NaiveMeanField(diagonal=True))
    np.testing.assert_allclose(branches.order, [-s.magnetization, 0, s.magnetization], atol=1e-12)
    assert branches.free_energy.min() == pytest.approx(s.free_energy, abs=1e-13)
