"""Belief propagation against exact sums: trees, chains, loops, strong bonds, layers."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from mpmath import mp

import spinnet as sn
from spinnet.errors import ConvergenceError, InputError
from spinnet.spins.meanfield.bethe import Bethe, BetheSolution
from spinnet.spins.meanfield.bethe import pair as bond_algebra
from spinnet.spins.meanfield.bethe.descent import minimise
from spinnet.spins.meanfield.bethe.graph import BlockGraph, DenseGraph, SparseGraph, graph_of
from spinnet.spins.meanfield.bethe.hessian import DenseHessian, SparseHessian
from spinnet.spins.meanfield.bethe.propagation import Task, propagate, residual_of
from spinnet.spins.meanfield.solution import Status
from spinnet.spins.meanfield.system import system_of


def tree(n, strength, rng):
    """Random recursive tree with couplings of both signs and fields."""
    J = np.zeros((n, n))
    for i in range(1, n):
        j = rng.integers(i)
        J[i, j] = J[j, i] = strength * rng.uniform(0.5, 1) * rng.choice([-1, 1])
    return J, rng.standard_normal(n)


def random_graph(n, degree, rng, values=None):
    """Sparse couplings of a Poisson graph: 1, or drawn by `values`."""
    upper = sp.triu(sp.random_array((n, n), density=degree / n, rng=rng), 1).tocsr()
    upper.data[:] = 1.0 if values is None else values(upper.nnz)
    return sp.csr_array(upper + upper.T)


def solve(model, beta, **options):
    """Solve by Bethe."""
    return sn.solve(model, beta, method=Bethe(**options))


def task_of(model, beta):
    """Return messages, bonds and fields of a model."""
    system = system_of(model, diagonal=False)
    graph = graph_of(system.coupling)
    return Task(graph, beta * graph.couplings, beta * system.fields)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("n", [1, 2, 7, 13])
def test_trees_are_exact(n, strength):
    # rounding of sums over 2^13 states: 1e-12 relative
    rng = np.random.default_rng(n)
    J, h = tree(n, strength, rng)
    model = sn.Ising(J, h, constant=0.7)
    s, exact = solve(model, 1.3), sn.exact.enumerate(model, 1.3)
    assert s.exact
    assert s.status is Status.STABLE
    assert len(s.all_branches) == 1
    assert s.free_energy == pytest.approx(float(exact.free_energy), abs=1e-10)
    assert s.free_energy_one_loop == pytest.approx(float(exact.free_energy), abs=1e-10)
    assert s.energy == pytest.approx(float(exact.energy), abs=1e-10)
    assert s.entropy == pytest.approx(float(exact.log_z + 1.3 * exact.energy), abs=1e-9)
    np.testing.assert_allclose(s.magnetizations, exact.means, atol=1e-10)
    bonds = sp.csr_array(s.correlations).toarray()
    np.testing.assert_allclose(bonds, exact.correlations * (J != 0), atol=1e-10)
    cov = exact.correlations - np.outer(exact.means, exact.means)
    np.testing.assert_allclose(s.response, 1.3 * cov, atol=1e-10)
    np.testing.assert_allclose(s.respond(h), 1.3 * cov @ h, atol=1e-10)
    assert s.bp_radius == s.glass_radius == 0
    # A^-1 is the matrix of correlation coefficients
    scale = np.sqrt(np.diag(cov))
    coefficients = cov / np.outer(scale, scale)
    assert s.distance_to_instability == pytest.approx(
        1 / np.linalg.eigvalsh(coefficients)[-1], rel=1e-6
    )
    if strength < 10:  # the determinant of a nearly singular matrix has few digits
        assert s.log_det == pytest.approx(-np.linalg.slogdet(coefficients)[1], abs=1e-7)


@pytest.mark.parametrize("strength", [1.0, 30.0, 200.0])
def test_random_trees_of_sixteen_spins_with_strong_fields(strength):
    # sums over 2^16 states lose a few digits to rounding: 1e-9
    rng = np.random.default_rng(int(strength))
    for n, field in ((14, 0.0), (15, 3.0), (16, 40.0)):
        J, h = tree(n, strength, rng)
        J[:4, 4:] = J[4:, :4] = 0  # parts, and spins without a bond
        model = sn.Ising(J, field * h)
        beta = float(np.exp(rng.uniform(-2, 1)))
        s, exact = solve(model, beta), sn.exact.enumerate(model, beta)
        cov = exact.correlations - np.outer(exact.means, exact.means)
        assert s.free_energy == pytest.approx(float(exact.free_energy), rel=1e-12)
        np.testing.assert_allclose(s.magnetizations, exact.means, atol=1e-9)
        np.testing.assert_allclose(s.response / beta, cov, atol=1e-9)
        assert s.susceptibility_spin_glass == pytest.approx((cov**2).sum() / n, abs=1e-8)
        assert s.energy == pytest.approx(float(exact.energy), rel=1e-10, abs=1e-9)
        assert not s.caution


def test_a_long_chain_agrees_with_the_transfer_matrix():
    rng = np.random.default_rng(5)
    n, beta = 3000, 0.9
    J, h = rng.standard_normal(n - 1) * 3, rng.standard_normal(n)
    model = sn.Ising(sp.diags_array([J, J], offsets=[1, -1], shape=(n, n)).tocsr(), h)
    spins = np.array([1.0, -1.0])
    step = [beta * np.add(J[k] * np.outer(spins, spins), h[k + 1] * spins) for k in range(n - 1)]
    left, right = [beta * h[0] * spins], [np.zeros(2)]
    for k in range(n - 1):
        left.append(np.logaddexp(*(left[-1][:, None] + step[k])))
    for k in range(n - 2, -1, -1):
        right.append(np.logaddexp(*(right[-1][:, None] + step[k].T)))
    log_weight = np.array(left) + np.array(right[::-1])
    log_z = np.logaddexp(*log_weight.T)
    s = solve(model, beta)
    assert s.exact
    assert s.free_energy == pytest.approx(-log_z[0] / (beta * n), rel=1e-12)
    means = np.tanh((log_weight[:, 0] - log_weight[:, 1]) / 2)
    np.testing.assert_allclose(s.magnetizations, means, atol=1e-10)


@pytest.mark.parametrize("strength", [30.0, 1e4, 1e30])
def test_locked_spins_move_as_one(strength):
    # a chain of locked spins is one spin in the sum of the fields
    n = 6
    h = np.array([0.1, -0.3, 0.2, 0.5, -0.1, 0.2])
    signs = np.array([1, -1, -1, 1, 1, -1])
    J = np.zeros((n, n))
    for k in range(n - 1):
        J[k, k + 1] = J[k + 1, k] = strength * signs[k] * signs[k + 1]
    s = solve(sn.Ising(J, h), 1.0)
    total = float(signs @ h)
    np.testing.assert_allclose(s.magnetizations, signs * np.tanh(total), rtol=1e-12)
    np.testing.assert_allclose(s.response, np.outer(signs, signs) / np.cosh(total) ** 2, rtol=1e-9)
    assert s.free_energy == pytest.approx(
        -(np.log(2 * np.cosh(total)) + (n - 1) * strength) / n, rel=1e-12
    )


@pytest.mark.parametrize("beta", [0.01, 1.0, 5.0, 100.0])
def test_two_spins_never_order(beta):
    pair = sn.Ising([[0, 1], [1, 0]])
    s = solve(pair, beta)
    assert np.array_equal(s.magnetizations, np.zeros(2))
    assert s.stable
    assert len(s.all_branches) == 1
    assert s.correlations[0, 1] == pytest.approx(np.tanh(beta))
    with pytest.raises(InputError, match="no loop"):
        sn.critical_beta(pair, method=Bethe())


@mp.workdps(12000)  # 1 - tanh(1e4) is 1e-8686
def test_bond_algebra_keeps_its_digits():
    values = [(0.3, -0.7), (1e-9, 2e-3), (8.0, 7.9), (-25.0, 3.0), (1e4, 0.3), (1e4, -9999.5)]
    for bond, y in values:
        k, z = mp.mpf(bond), mp.mpf(y)
        u = mp.atanh(mp.tanh(k) * mp.tanh(z))
        theta = mp.sinh(2 * k) / (mp.cosh(2 * k) + mp.cosh(2 * z))
        got, log_rest = bond_algebra.gain(np.array(bond), np.array(y))
        assert float(bond_algebra.transmit(np.array(bond), np.array(y))) == pytest.approx(
            float(u), rel=1e-13
        )
        assert float(got) == pytest.approx(float(theta), rel=1e-12)
        assert float(log_rest) == pytest.approx(float(mp.log(1 - abs(theta))), rel=1e-11)
        factor = mp.log(1 + mp.tanh(k) * mp.tanh(z) * mp.tanh(mp.mpf(0.4)))
        got = bond_algebra.bond_factor(np.array(bond), np.array(y), np.array(0.4))
        assert float(got) == pytest.approx(float(factor), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("bond", [1e-4, 0.5, -2.0, 6.0])
def test_cavity_fields_follow_from_the_marginals(bond):
    y, z = np.array([0.3, -2.0, 0.0, 4.0]), np.array([1.1, 0.2, 0.0, -3.0])
    a = y + bond_algebra.transmit(np.array(bond), z)
    b = z + bond_algebra.transmit(np.array(bond), y)
    # two spins locked by K = 6 agree to 1e-5: as many digits of the difference are lost
    got = bond_algebra.cavity_from_marginals(np.array(bond), a, b)
    np.testing.assert_allclose(got, y, atol=1e-9)


def test_the_response_is_the_derivative_on_loops():
    rng = np.random.default_rng(2)
    J = random_graph(12, 3.0, rng, rng.standard_normal).toarray()
    h = rng.standard_normal(12)
    s = solve(sn.Ising(J, h), 0.8)
    step = 1e-5
    for k in (0, 5):
        change = step * np.eye(12)[k]
        up, down = solve(sn.Ising(J, h + change), 0.8), solve(sn.Ising(J, h - change), 0.8)
        slope = (up.magnetizations - down.magnetizations) / (2 * step)
        np.testing.assert_allclose(s.response[:, k], slope, atol=1e-8)
        # m = -dF/dh
        gradient = -12 * (up.free_energy - down.free_energy) / (2 * step)
        assert gradient == pytest.approx(s.magnetizations[k], abs=1e-8)
    energy = [0.8 * np.exp(e) for e in (step, -step)]
    f = [b * 12 * solve(sn.Ising(J, h), b).free_energy for b in energy]
    assert (f[0] - f[1]) / (energy[0] - energy[1]) == pytest.approx(s.energy, rel=1e-7)


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 8), (40, 45)])
def test_derivatives_of_two_layers_of_zero_and_one(n_a, n_b):
    rng = np.random.default_rng(n_a)
    w, bias = rng.standard_normal((n_a, n_b)) / np.sqrt(n_b) * 2, rng.standard_normal(n_a + n_b)

    def at(change, beta=0.7):
        b = bias + change
        return solve(sn.Bipartite(w, b[:n_a], b[n_a:], levels=(0, 1)), beta)

    s, n, step = at(0.0), n_a + n_b, 1e-5
    for k in (0, n - 1):
        up, down = (at(sign * step * np.eye(n)[k]) for sign in (1, -1))
        slope = (up.magnetizations - down.magnetizations) / (2 * step)
        np.testing.assert_allclose(s.response[:, k], slope, atol=1e-9)
        gradient = -n * (up.free_energy - down.free_energy) / (2 * step)
        assert gradient == pytest.approx(s.magnetizations[k], abs=1e-8)
    f = [b * n * at(0.0, b).free_energy for b in (0.7 + step, 0.7 - step)]
    assert (f[0] - f[1]) / (2 * step) == pytest.approx(s.energy, rel=1e-7)


def test_the_correlation_of_a_bond_is_the_derivative_in_its_coupling():
    rng = np.random.default_rng(12)
    J = random_graph(10, 4.0, rng, rng.standard_normal).toarray()
    h = rng.standard_normal(10)
    pairs = solve(sn.Ising(J, h), 0.5).correlations.toarray()
    step = 1e-5
    for i, j in np.argwhere(np.triu(J))[::4]:
        change = np.zeros((10, 10))
        change[i, j] = change[j, i] = step
        up, down = solve(sn.Ising(J + change, h), 0.5), solve(sn.Ising(J - change, h), 0.5)
        slope = -10 * (up.free_energy - down.free_energy) / (2 * step)
        assert pairs[i, j] == pytest.approx(slope, abs=1e-8)


def test_sk_of_sixteen_spins_is_nearer_to_enumeration_than_tap_and_naive():
    # above T_SG every error is a sum of positive higher orders: a bound on each mean, no noise
    rng = np.random.default_rng(1)
    for T, most in ((3.0, 0.003), (1.7, 0.009), (1.3, 0.014)):
        gaps = []
        for _ in range(8):
            X = np.triu(rng.standard_normal((16, 16)), 1) / 4
            model = sn.Ising(X + X.T)
            exact = float(sn.exact.enumerate(model, 1 / T).free_energy)
            found = [
                sn.solve(model, 1 / T, method=method, throw=False)
                for method in (Bethe(), sn.TAP(), sn.NaiveMeanField())
            ]
            assert not found[0].magnetizations.any()
            gaps.append([abs(s.free_energy - exact) for s in found])
        bethe, tap, naive = np.mean(gaps, axis=0)
        assert bethe < tap < naive
        assert bethe < most


def test_the_difference_from_tap_is_of_third_order_in_beta():
    rng = np.random.default_rng(3)
    X, h = np.triu(rng.standard_normal((30, 30)), 1) / np.sqrt(30), rng.standard_normal(30)
    gaps = []
    for beta in (0.1, 0.05, 0.025):
        model = sn.Ising(X + X.T, h / beta)
        one, two = solve(model, beta), sn.solve(model, beta, method=sn.TAP())
        spins = np.abs(one.magnetizations - two.magnetizations).max()
        gaps.append([beta * abs(one.free_energy - two.free_energy), spins])
    rates = np.log2(np.array(gaps[:-1]) / np.array(gaps[1:]))
    np.testing.assert_allclose(rates, 3, atol=0.2)


def test_strong_sparse_bonds_beat_naive_mean_field():
    rng = np.random.default_rng(11)
    bethe, naive = [], []
    for _ in range(6):
        J = random_graph(14, 1.4, rng, lambda k: 2 * rng.standard_normal(k))
        model = sn.Ising(J, 0.3 * rng.standard_normal(14))
        exact = sn.exact.enumerate(model, 1.0)
        bethe.append(np.abs(solve(model, 1.0).magnetizations - exact.means).mean())
        rough = sn.solve(model, 1.0, throw=False)
        naive.append(np.abs(rough.magnetizations - exact.means).mean())
    assert np.mean(bethe) < 0.1 * np.mean(naive)


def test_a_ring_is_corrected_by_its_one_loop():
    # zero-field ring: exact ln Z adds ln(1 + t^n), one loop -ln(1 - t^n), Bethe nothing
    n, beta = 8, 0.6
    J = np.roll(np.eye(n), 1, axis=1)
    model = sn.Ising(J + J.T)
    s, t = solve(model, beta), np.tanh(beta)
    exact = float(sn.exact.enumerate(model, beta).free_energy)
    assert (s.free_energy - exact) * n * beta == pytest.approx(np.log1p(t**n), rel=1e-9)
    corrected = (s.free_energy_one_loop - s.free_energy) * n * beta
    assert corrected == pytest.approx(np.log1p(-(t**n)), rel=1e-9)
    assert s.bp_radius == pytest.approx(t, rel=1e-9)


def test_one_bond_in_three_layouts_gives_the_same():
    rng = np.random.default_rng(0)
    block = rng.standard_normal((40, 45)) / 12
    fields = rng.standard_normal(85)
    bipartite = sn.Bipartite(block, fields[:40], fields[40:], levels=(-1, 1))
    J = np.zeros((85, 85))
    J[:40, 40:] = block
    dense = sn.Ising(J + J.T, fields)
    graphs = [
        BlockGraph(block),
        DenseGraph(J + J.T),
        SparseGraph(sp.csr_array(J + J.T)),
    ]
    solutions = [solve(bipartite, 1.0), solve(dense, 1.0)]
    assert isinstance(graph_of(system_of(bipartite, diagonal=False).coupling), BlockGraph)
    assert isinstance(graph_of(system_of(dense, diagonal=False).coupling), DenseGraph)
    first, second = solutions
    assert first.free_energy == pytest.approx(second.free_energy, rel=1e-12)
    np.testing.assert_allclose(first.magnetizations, second.magnetizations, atol=1e-11)
    np.testing.assert_allclose(first.response, second.response, atol=1e-10)
    assert first.bp_radius == pytest.approx(second.bp_radius, rel=0.02)
    assert first.log_det == pytest.approx(second.log_det, rel=1e-9)
    for graph in graphs:
        task = Task(graph, graph.couplings, fields)
        point = propagate(task, np.zeros(graph.couplings.shape), 1e-13, 500)
        x = task.field + graph.incoming(point.u)
        np.testing.assert_allclose(np.tanh(x), first.magnetizations, atol=1e-11)


@pytest.mark.parametrize("strength", [0.5, 6.0])
def test_dense_and_sparse_hessians_agree(strength):
    rng = np.random.default_rng(4)
    graph = SparseGraph(random_graph(60, 3.0, rng, rng.standard_normal))
    bond = strength * graph.couplings
    rho, log_rest = np.tanh(bond), -2 * np.log(np.cosh(bond))
    one, two = DenseHessian(graph, rho, log_rest), SparseHessian(graph, rho, log_rest)
    v = rng.standard_normal(60)
    np.testing.assert_allclose(one.solve(v), two.solve(v), rtol=1e-8)
    assert one.lowest() == pytest.approx(two.lowest(), rel=1e-6)
    plain = np.diag(1 + graph.outgoing(np.sinh(bond) ** 2))
    plain -= graph.matrix(np.sinh(bond) * np.cosh(bond)).toarray()
    assert one.log_det() == pytest.approx(np.linalg.slogdet(plain)[1], rel=1e-6)
    assert two.log_det() == pytest.approx(np.linalg.slogdet(plain)[1], rel=1e-6)
    if strength > 1:
        assert one.sign.size > 0


def test_curie_weiss_is_the_complete_graph():
    uniform, dense = sn.CurieWeiss(80, J=1.0, h=0.05), sn.CurieWeiss(80, J=1.0, h=0.05).to_ising()
    for beta in (0.5, 1.5):
        a, b = solve(uniform, beta), solve(dense, beta)
        assert a.free_energy == pytest.approx(b.free_energy, rel=1e-12)
        assert a.magnetization == pytest.approx(b.magnetization, rel=1e-10)
        assert a.susceptibility == pytest.approx(b.susceptibility, rel=1e-8)
        assert a.log_det == pytest.approx(b.log_det, rel=1e-8)
        assert a.distance_to_instability == pytest.approx(b.distance_to_instability, rel=1e-6)
        assert a.energy == pytest.approx(b.energy, rel=1e-10)
        assert a.bp_radius == pytest.approx(b.bp_radius, rel=1e-4)


def test_curie_weiss_beats_naive_mean_field_and_its_one_loop_is_right():
    # Bethe keeps the reaction, (1/N) corrections; its loops are those of the exact 1/N term
    errors = []
    for n in (200, 400):
        exact = sn.exact.curie_weiss(n, 0.6)
        s = solve(sn.CurieWeiss(n), 0.6)
        errors.append(n * abs(s.free_energy_one_loop - float(exact.free_energy)))
    assert errors[1] < 0.6 * errors[0]  # O(1/N^2) per spin
    assert errors[1] < 1e-2


def test_weak_dense_couplings_agree_with_tap():
    # -beta F of TAP has the terms to second order in J; what is left is of third
    rng = np.random.default_rng(8)
    n = 40
    X = rng.standard_normal((n, n))
    J = np.triu(X, 1) + np.triu(X, 1).T
    h = rng.standard_normal(n)
    gaps = []
    for size in (0.02, 0.01):
        s = solve(sn.Ising(size * J, h), 1.0)
        m = s.magnetizations
        v = 1 - m**2
        K = size * J
        entropy = -((1 + m) / 2 * np.log((1 + m) / 2) + (1 - m) / 2 * np.log((1 - m) / 2)).sum()
        tap = entropy + m @ K @ m / 2 + h @ m + v @ K**2 @ v / 4
        gaps.append(abs(-n * s.free_energy - tap))
    assert gaps[0] < 1e-3
    assert gaps[1] < gaps[0] / 6  # third order: a factor 8


def test_below_the_critical_temperature_both_signs_and_the_paramagnet_are_found():
    model = sn.Ising.from_graph(nx.random_regular_graph(3, 60, seed=1))
    beta = 1.0
    s = solve(model, beta)
    assert len(s.all_branches) == 2
    up, down = s.all_branches
    assert up.magnetization == pytest.approx(-down.magnetization)
    assert up.magnetization > 0
    u = 1.0  # every message of a regular graph obeys u = artanh(tanh(beta) tanh(2 u))
    for _ in range(200):
        u = np.arctanh(np.tanh(beta) * np.tanh(2 * u))
    np.testing.assert_allclose(s.magnetizations, np.tanh(3 * u), atol=1e-11)
    paramagnet = [b for b in s.unstable_branches if not b.magnetizations.any()]
    assert len(paramagnet) == 1
    assert paramagnet[0].distance_to_instability < 0
    assert paramagnet[0].bp_radius == pytest.approx(2 * np.tanh(beta), rel=1e-6)


def test_without_fields_the_paramagnet_is_exactly_zero_and_found_once():
    # starts that decay slowly end at residuals of 1e-12, not at zero
    rng = np.random.default_rng(1)
    X = np.triu(rng.standard_normal((16, 16)), 1) / 4
    for T in (3.0, 1.7, 1.1):
        s = solve(sn.Ising(X + X.T), 1 / T)
        assert len(s.all_branches) == 1
        assert not s.magnetizations.any()
    tiny = solve(sn.Ising(X + X.T, 1e-14), 1 / 1.7)
    assert len(tiny.all_branches) == 1
    for model in (sn.CurieWeiss(30), sn.Ising.from_graph(nx.random_regular_graph(3, 40, seed=1))):
        critical = sn.critical_beta(model, method=Bethe())
        s = solve(model, critical)
        assert s.status is Status.CRITICAL
        assert len(s.all_branches) == 1
        assert not s.magnetizations.any()
        assert np.isinf(s.susceptibility)
        assert not solve(model, critical * (1 - 1e-9)).magnetizations.any()
        # m^2 is about 3 (T_c - T)/T_c
        m = solve(model, critical * (1 + 1e-6)).magnetization
        assert 1e-3 < m < 4e-3


def _sign_of_the_lowest(graph, strength):
    """Count negative eigenvalues of the Bethe Hessian at m = 0, with 400 digits, by pivots."""
    with mp.workdps(400):
        matrix = mp.eye(graph.n_spins)
        for i, j, bond in zip(graph.source, graph.target, graph.couplings, strict=True):
            K = mp.mpf(float(bond)) * strength
            matrix[int(i), int(i)] += mp.sinh(K) ** 2
            matrix[int(i), int(j)] -= mp.sinh(K) * mp.cosh(K)
        negative = 0
        for k in range(graph.n_spins):
            pivot = matrix[k, k]
            negative += pivot < 0
            for i in range(k + 1, graph.n_spins):
                factor = matrix[i, k] / pivot
                for j in range(k + 1, graph.n_spins):
                    matrix[i, j] -= factor * matrix[k, j]
    return negative


@pytest.mark.parametrize("strength", [8, 30, 150])
def test_loops_of_locked_bonds_leave_the_sign_of_the_hessian_right(strength):
    rng = np.random.default_rng(5)
    for density, values in ((0.5, [-1.0, 1.0]), (1.0, [-1.0, 1.0]), (1.0, [1.0]), (0.6, [-1.0])):
        J = np.triu(rng.choice(values, (7, 7)), 1) * (rng.random((7, 7)) < density)
        graph = SparseGraph(sp.csr_array(J + J.T))
        bond = strength * graph.couplings
        log_rest = -2 * (np.logaddexp(bond, -bond) - np.log(2))
        negative = _sign_of_the_lowest(graph, strength)
        for kind in (DenseHessian, SparseHessian):
            hessian = kind(graph, np.tanh(bond), log_rest)
            lowest = hessian.lowest()
            assert (lowest < 0) == (negative > 0)
            assert lowest != 0
            if strength > 8:
                assert np.isnan(hessian.log_det(force=True))


def test_a_frustrated_cluster_at_low_temperature_is_stable_and_says_what_is_missing():
    s = solve(sn.Ising.from_graph(nx.complete_graph(5), J=-1.0), 200.0)
    assert s.stable
    assert s.distance_to_instability > 1e12
    assert np.isnan(s.free_energy_one_loop)
    assert "close a loop" in s.note
    ferro = solve(sn.Ising.from_graph(nx.complete_graph(5)), 200.0)
    assert [b.status for b in ferro.unstable_branches] == [Status.UNSTABLE]
    assert len(ferro.all_branches) == 2


@pytest.mark.parametrize("n", [2, 3, 5, 10**6])
@pytest.mark.parametrize("beta", [0.5, 20.0, 1e3])
def test_an_antiferromagnet_of_equal_spins_in_closed_form(n, beta):
    s = solve(sn.CurieWeiss(n, J=-1.0), beta)
    with mp.workdps(1200):
        r = mp.tanh(-mp.mpf(beta) / n)
        uniform, other = (1 - (n - 2) * r) / (1 + r), (1 + r + (n - 2) * r**2) / (1 - r**2)
        log_det = float(mp.log(uniform) + (n - 1) * mp.log(other))
        lowest = float(min(uniform, other))
    assert s.log_det == pytest.approx(log_det, rel=1e-9)
    assert s.distance_to_instability == pytest.approx(lowest, rel=1e-9)


def test_a_matrix_of_all_pairs_is_refused_for_many_spins():
    s = solve(sn.CurieWeiss(10**6), 1.5)
    for name in ("correlations", "messages", "cavity_fields"):
        with pytest.raises(InputError, match="matrix of all pairs"):
            getattr(s, name)


def test_frustrated_strong_bonds_converge_by_the_double_loop():
    rng = np.random.default_rng(1)
    J = random_graph(10, 5.0, rng, rng.standard_cauchy)
    model = sn.Ising(J, 0.1 * rng.standard_normal(10))
    task = task_of(model, 2.0)
    plain = propagate(task, np.zeros(task.bond.shape), 1e-12, 1000)
    assert not plain.converged
    s = solve(model, 2.0)
    assert s.stable
    assert s.residual <= 1e-12
    assert residual_of(task, s._messages) <= 1e-12


def test_weak_frustrated_bonds_converge_by_newton_steps():
    rng = np.random.default_rng(1)
    J = rng.standard_normal((70, 70)) / np.sqrt(70)
    model = sn.Ising((J + J.T) / np.sqrt(2), 0.1 * rng.standard_normal(70))
    task = task_of(model, 1.5)
    assert not propagate(task, np.zeros(task.bond.shape), 1e-12, 400).converged
    point = minimise(task, np.zeros(70), 1e-12, 50)
    assert point.converged
    assert point.residual <= 1e-12
    s = solve(model, 1.5, n_starts=0)
    assert s.stable
    assert s.bp_radius > 1
    assert "glass" in s.caution


def test_what_does_not_converge_says_so():
    rng = np.random.default_rng(1)
    J = rng.standard_normal((100, 100)) / 10
    model = sn.Ising((J + J.T) / np.sqrt(2), 0.1 * rng.standard_normal(100))
    with pytest.raises(ConvergenceError, match="belief propagation") as caught:
        sn.solve(model, 1.5, method=Bethe(max_steps=2, n_starts=0))
    assert isinstance(caught.value.solution, BetheSolution)
    assert caught.value.solution.status is Status.MAX_STEPS
    kept = sn.solve(model, 1.5, method=Bethe(max_steps=2, n_starts=0), throw=False)
    assert not kept.stable


def test_a_trained_layer_in_its_own_levels():
    # 20 x 10, both layers; the marginal dual reports the inputs of the same solution
    layer = sn.networks.load_bundled().layers[3]
    both = solve(sn.NetworkDual(layer.weights, layer.bias), 0.1)
    inputs = solve(sn.NetworkDual(layer.weights, layer.bias, kind="marginal"), 0.1)
    exact = sn.exact.enumerate(sn.NetworkDual(layer.weights, layer.bias, kind="marginal"), 0.1)
    assert both.stable
    assert inputs.n_spins == layer.n_in
    np.testing.assert_allclose(inputs.magnetizations, both.magnetizations[: layer.n_in])
    np.testing.assert_allclose(inputs.magnetizations, exact.means, atol=2e-3)
    assert inputs.free_energy == pytest.approx(float(exact.free_energy), abs=2e-3)


def test_units_of_zero_and_one():
    rng = np.random.default_rng(6)
    layer = sn.Bipartite(rng.standard_normal((1, 9)), 0.2, rng.standard_normal(9))  # a star
    s, exact = solve(layer, 1.5), sn.exact.enumerate(layer, 1.5)
    np.testing.assert_allclose(s.magnetizations, exact.means, atol=1e-12)
    cov = exact.correlations - np.outer(exact.means, exact.means)
    np.testing.assert_allclose(s.response, 1.5 * cov, atol=1e-12)
    assert s.energy == pytest.approx(float(exact.energy), abs=1e-11)


def test_big_sparse_graph():
    rng = np.random.default_rng(3)
    model = sn.Ising(random_graph(8000, 3.0, rng), 0.2)
    s = solve(model, 0.25, n_starts=0)
    assert s.stable
    assert "one_loop=True" in s.note
    assert np.isnan(s.log_det)
    step = 1e-4
    up = solve(sn.Ising(model.couplings, 0.2 + step), 0.25, n_starts=0)
    down = solve(sn.Ising(model.couplings, 0.2 - step), 0.25, n_starts=0)
    slope = (up.magnetization - down.magnetization) / (2 * step)
    assert s.susceptibility == pytest.approx(slope, rel=1e-6)


def test_results_are_plain_and_readable():
    s = solve(sn.Ising([[0, 1], [1, 0]], [0.1, 0.2]), 1.0)
    row = s.to_dict()
    assert row["exact"] is True
    assert row["bp_radius"] == 0
    assert "the bonds form no loop: exact" in s.summary()
    u = s.messages.toarray()
    np.testing.assert_allclose(s.log_odds, np.array([0.1, 0.2]) + u.sum(axis=0))
    assert s.cavity_fields[0, 1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rtol": 0.1}, "rtol must lie"),
        ({"rtol": 0}, "rtol must be > 0"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"n_starts": -1}, "n_starts must be"),
        ({"one_loop": "yes"}, "one_loop must be"),
        ({"one_loop": 0}, "one_loop must be"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Bethe(**options)


def test_no_bonds_are_free_spins():
    s = solve(sn.Ising(np.zeros((3, 3)), [0.1, -0.2, 0.0]), 2.0)
    np.testing.assert_allclose(s.magnetizations, np.tanh([0.2, -0.4, 0.0]), rtol=1e-15)
    assert s.log_det == 0
    np.testing.assert_allclose(s.response, np.diag(2 / np.cosh([0.2, -0.4, 0.0]) ** 2))
    assert solve(sn.CurieWeiss(1, h=0.3), 1.0).magnetization == pytest.approx(np.tanh(0.3))
