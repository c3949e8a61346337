"""The TAP free energy, its derivatives and its response, against formulas written out in loops."""

import itertools

import mpmath
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.meanfield.tap import TAP
from spinnet.spins.meanfield.tap.functional import TapFunctional
from spinnet.spins.meanfield.tap.response import TapResponse

BETA = 0.7


def symmetric(n: int, scale: float = 1.0) -> np.ndarray:
    """Couplings of both signs, the same on every machine."""
    i, j = np.indices((n, n))
    J = scale * np.cos(1 + 3 * (i + j) + 2.3 * i * j)
    return np.triu(J, 1) + np.triu(J, 1).T


def fields(n: int) -> np.ndarray:
    return 0.4 * np.cos(2 + 5 * np.arange(n)) + 0.2


def printed_free_energy(m, J, h, beta):
    """beta F of Plefka's expansion to second order, in plain loops, for numbers of any kind."""
    n = len(m)
    total = 0
    for i in range(n):
        for sign in (1, -1):
            p = (1 + sign * m[i]) / 2
            total += p * mpmath.log(p)
        total -= beta * h[i] * m[i]
        for j in range(n):
            total -= beta / 2 * J[i, j] * m[i] * m[j]
            total -= beta**2 / 4 * J[i, j] ** 2 * (1 - m[i] ** 2) * (1 - m[j] ** 2)
    return total


def small_models() -> dict[str, sn.Ising]:
    n = 6
    J, h = symmetric(n, 0.5), fields(n)
    block = np.cos(1 + 2 * np.arange(8.0)).reshape(2, 4)
    return {
        "dense": sn.Ising(J, h),
        "sparse": sn.Ising(sp.csr_array(np.where(np.abs(J) > 0.2, J, 0.0)), h),
        "block": sn.Bipartite(block, fields(4)[:2], fields(4), levels=(-1, 1)),
        "uniform": sn.CurieWeiss(n, 0.8, 0.3),
    }


def dense_couplings(model) -> np.ndarray:
    """J of a model's spins, from its energies alone."""
    n = model.n_spins
    energy = {}
    for a, b in itertools.combinations(range(n), 2):
        total = 0.0
        for sa, sb in itertools.product((-1, 1), repeat=2):
            spins = np.ones(n, dtype=np.int8)
            spins[a], spins[b] = sa, sb
            total -= sa * sb * float(model.energy(spins[None])[0]) / 4
        energy[a, b] = total
    J = np.zeros((n, n))
    for (a, b), value in energy.items():
        J[a, b] = J[b, a] = value
    return J


def dense_fields(model, J) -> np.ndarray:
    n = model.n_spins
    up = np.ones(n, dtype=np.int8)
    base = float(model.energy(up[None])[0])
    out = np.zeros(n)
    for i in range(n):
        flipped = up.copy()
        flipped[i] = -1
        out[i] = (float(model.energy(flipped[None])[0]) - base) / 2 - J[i].sum()
    return out


@pytest.mark.parametrize("kind", ["dense", "sparse", "block", "uniform"])
def test_value_gradient_hessian_and_determinant_are_those_of_the_printed_free_energy(kind):
    """At a point that is no solution; derivatives by mpmath at 30 digits, right to 1e-10."""
    model = small_models()[kind]
    J = dense_couplings(model)
    h = dense_fields(model, J)
    n = len(J)
    system = system_of(model, diagonal=False)
    m = np.full(n, 0.37) if kind == "uniform" else 0.8 * np.sin(1 + 2.0 * np.arange(n))
    functional = TapFunctional.of(system.coupling, system.fields, BETA)
    point = functional.at(np.arctanh(m)[: system.coupling.size])
    with mpmath.workdps(30):
        mp_m = [mpmath.mpf(float(x)) for x in m]
        mp_J = {(i, j): mpmath.mpf(J[i, j]) for i in range(n) for j in range(n)}
        mp_h = [mpmath.mpf(x) for x in h]

        def value(*args):
            return printed_free_energy(args, mp_J, mp_h, mpmath.mpf(BETA))

        def derivative(*orders):
            return float(mpmath.diff(value, mp_m, orders))

        unit = np.eye(n, dtype=int)
        gradient = np.array([derivative(*unit[i]) for i in range(n)])
        hessian = np.array([[derivative(*(unit[i] + unit[j])) for j in range(n)] for i in range(n)])
        assert point.value == pytest.approx(float(value(*mp_m)), abs=1e-12)
    np.testing.assert_allclose(point.gradient, gradient[: len(point.x)], rtol=0, atol=1e-10)
    response = TapResponse(functional, point)
    chi = BETA * np.linalg.inv(hessian)
    np.testing.assert_allclose(response.matrix(), chi, rtol=1e-8, atol=1e-10)
    change = np.cos(np.arange(n))
    np.testing.assert_allclose(response.apply(change), chi @ change, rtol=1e-8, atol=1e-10)
    root = np.sqrt(1 - m**2)
    scaled = root[:, None] * hessian * root
    assert response.log_det() == pytest.approx(np.linalg.slogdet(scaled)[1], abs=1e-8)
    lowest = np.linalg.eigvalsh(scaled)[0]
    assert np.sign(response.distance()) == np.sign(lowest)
    plefka = J**2 @ (1 - m**2) ** 2
    layers = plefka[:2].mean() * plefka[2:].mean()
    mean = np.sqrt(layers) if kind == "block" else plefka.mean()
    assert functional.plefka(point) == pytest.approx(1 - BETA**2 * mean, abs=1e-12)


def test_distance_to_instability_changes_sign_with_the_hessian():
    """Along a line of points from stable to unstable; both signs must occur."""
    J = symmetric(6, 0.9)
    functional = TapFunctional.of(system_of(sn.Ising(J), diagonal=False).coupling, np.zeros(6), 1.3)
    signs = []
    for size in np.linspace(0, 0.95, 12):
        m = size * np.sign(np.linalg.eigh(J)[1][:, -1])
        point = functional.at(np.arctanh(m))
        d = 1 - m**2
        hessian = np.diag(1 / d + 1.69 * (J**2 @ d)) - 1.3 * J - 2 * 1.69 * J**2 * np.outer(m, m)
        positive = np.linalg.eigvalsh(hessian)[0] > 0
        assert (TapResponse(functional, point).distance() > 0) == positive
        signs.append(positive)
    assert len(set(signs)) == 2


def test_solution_solves_the_printed_equations():
    J, h = symmetric(12, 0.3), fields(12)
    s = sn.solve(sn.Ising(J, h), 0.9, TAP())
    m = s.magnetizations
    reaction = 0.9 * m * (J**2 @ (1 - m**2))
    np.testing.assert_allclose(m, np.tanh(0.9 * (h + J @ m - reaction)), rtol=0, atol=1e-13)
    free = float(printed_free_energy(m, J, h, 0.9)) / (0.9 * 12)
    assert s.free_energy == pytest.approx(free, abs=1e-13)
    assert np.isnan(s.free_energy_one_loop)
    assert s.stable
    assert s.residual <= 1e-12


def test_magnetisation_and_response_are_derivatives_of_the_free_energy():
    """-N dF/dh_i = m_i and dm/dh = chi by central differences: error O(step^2) ~ 1e-9."""
    J, h, step = symmetric(8, 0.35), fields(8), 1e-4
    s = sn.solve(sn.Ising(J, h), 0.9, TAP())
    for i in (0, 5):
        e = step * np.eye(8)[i]
        up, down = (sn.solve(sn.Ising(J, h + sign * e), 0.9, TAP()) for sign in (1, -1))
        slope = -8 * (up.free_energy - down.free_energy) / (2 * step)
        assert slope == pytest.approx(s.magnetizations[i], abs=1e-7)
        change = (up.magnetizations - down.magnetizations) / (2 * step)
        np.testing.assert_allclose(s.response[:, i], change, rtol=0, atol=1e-7)
        np.testing.assert_allclose(s.respond(np.eye(8)[i]), change, rtol=0, atol=1e-7)


@pytest.mark.parametrize("levels", [(-1, 1), (0, 1)])
def test_two_layers_equal_their_dense_matrix_and_answer_in_their_own_levels(levels):
    w = np.cos(1 + 2 * np.arange(15.0)).reshape(3, 5)
    a, b = fields(3), fields(5)
    model = sn.Bipartite(w, a, b, levels=levels)
    s = sn.solve(model, 0.6, TAP())
    twin = model.to_ising()
    dense = sn.solve(twin, 0.6, TAP())
    low, high = levels
    np.testing.assert_allclose(
        s.magnetizations, (low + high + (high - low) * dense.magnetizations) / 2, atol=1e-12
    )
    assert s.free_energy == pytest.approx(dense.free_energy, abs=1e-12)
    assert s.log_det == pytest.approx(dense.log_det, abs=1e-9)
    step = 1e-5
    up = sn.solve(sn.Bipartite(w, a + step, b + step, levels=levels), 0.6, TAP())
    down = sn.solve(sn.Bipartite(w, a - step, b - step, levels=levels), 0.6, TAP())
    change = (up.magnetizations - down.magnetizations) / (2 * step)
    np.testing.assert_allclose(s.uniform_response, change, rtol=1e-6)


def test_spin_glass_susceptibility_of_every_shape_is_that_of_the_full_response():
    rng = np.random.default_rng(17)
    layers = sn.Bipartite(rng.normal(0, 0.3, (5, 8)), rng.normal(0, 0.5, 5), levels=(-1, 1))
    dual = sn.NetworkDual(rng.normal(0, 0.6, (8, 5)), kind="marginal")
    for model in (layers, layers.to_spins(), dual, sn.CurieWeiss(30, J=0.8, h=0.1)):
        s = sn.solve(model, 0.9, TAP())
        expected = np.sum(s.response**2) / (0.9**2 * s.n_spins)
        assert s.susceptibility_spin_glass == pytest.approx(expected, rel=1e-12)
    # no limit where all spins are alike: sums of N equal terms and of N (N - 1)
    big = sn.solve(sn.CurieWeiss(10**6, h=0.2), 1.5, TAP())
    naive = sn.solve(sn.CurieWeiss(10**6, h=0.2), 1.5)
    assert big.susceptibility_spin_glass == pytest.approx(naive.susceptibility_spin_glass, rel=1e-4)


def test_marginal_dual_reports_its_inputs():
    w = np.cos(1 + 2 * np.arange(15.0)).reshape(3, 5)
    dual = sn.NetworkDual(w, 0.1, kind="marginal")
    s = sn.solve(dual, 0.5, TAP())
    both = sn.solve(sn.NetworkDual(w, 0.1, kind="bipartite"), 0.5, TAP())
    np.testing.assert_allclose(s.magnetizations, both.magnetizations[:3], atol=1e-12)
    assert 3 * s.free_energy == pytest.approx(8 * both.free_energy, abs=1e-12)


def test_curie_weiss_reduced_to_one_unknown_equals_its_dense_matrix():
    model = sn.CurieWeiss(40, 1.0, 0.02)
    for beta in (0.5, 1.5):
        reduced, dense = sn.solve(model, beta, TAP()), sn.solve(model.to_ising(), beta, TAP())
        np.testing.assert_allclose(reduced.magnetizations, dense.magnetizations, atol=1e-12)
        np.testing.assert_allclose(reduced.response, dense.response, rtol=1e-10)
        assert reduced.free_energy == pytest.approx(dense.free_energy, abs=1e-13)
        assert reduced.log_det == pytest.approx(dense.log_det, abs=1e-10)
        assert reduced.plefka == pytest.approx(dense.plefka, abs=1e-13)


def test_large_sparse_couplings_equal_their_dense_matrix():
    """600 spins, above the size where sparse matrices are never factorised for one vector."""
    graph = nx.random_regular_graph(5, 600, seed=3)
    A = sp.csr_array(nx.adjacency_matrix(graph)).astype(float)
    signs = np.cos(1 + np.arange(600.0))
    J = sp.csr_array(A.multiply(0.4 * np.sign(np.outer(signs, signs[::-1] + signs))))
    J = sp.csr_array((J + J.T) / 2)
    h = fields(600)
    sparse = sn.solve(sn.Ising(J, h), 0.8, TAP())
    dense = sn.solve(sn.Ising(J.toarray(), h), 0.8, TAP())
    np.testing.assert_allclose(sparse.magnetizations, dense.magnetizations, atol=1e-11)
    assert sparse.free_energy == pytest.approx(dense.free_energy, abs=1e-12)
    assert sparse.log_det == pytest.approx(dense.log_det, abs=1e-8)
    assert sparse.distance_to_instability == pytest.approx(dense.distance_to_instability, abs=1e-8)
    np.testing.assert_allclose(sparse.uniform_response, dense.uniform_response, rtol=1e-9)
    np.testing.assert_allclose(sparse.response, dense.response, atol=1e-10)


def all_states(n: int) -> np.ndarray:
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def exact(J, h, beta):
    """Return beta F and <s> from all states."""
    s = all_states(len(J))
    weight = beta * (np.einsum("ki,ij,kj->k", s, J, s) / 2 + s @ h)
    top = weight.max()
    p = np.exp(weight - top)
    return -float(top + np.log(p.sum())), (p @ s) / p.sum()


def test_error_of_the_free_energy_is_plefkas_third_order():
    """With beta h fixed, beta (F_TAP - F) -> beta^3 C as beta -> 0, C from the next order.

    C = sum_{i<j<k} J_ij J_jk J_ki D_i D_j D_k + (2/3) sum_{i<j} J_ij^3 m_i m_j D_i D_j at
    m = tanh(beta h) (A. Georges & J. Yedidia, J. Phys. A 24, 2173 (1991), eq. 14).
    """
    n = 7
    J, local = symmetric(n), fields(n) + 0.3
    m = np.tanh(local)
    d = 1 - m**2
    third = sum(
        J[i, j] * J[j, k] * J[k, i] * d[i] * d[j] * d[k]
        for i, j, k in itertools.combinations(range(n), 3)
    )
    third += (
        2
        / 3
        * sum(
            J[i, j] ** 3 * m[i] * m[j] * d[i] * d[j] for i, j in itertools.combinations(range(n), 2)
        )
    )
    errors = {}
    for beta in (0.02, 0.01):
        s = sn.solve(sn.Ising(J, local / beta), beta, TAP())
        errors[beta] = beta * n * s.free_energy - exact(J, local / beta, beta)[0]
    ratio = {beta: error / beta**3 for beta, error in errors.items()}
    assert 2 * ratio[0.01] - ratio[0.02] == pytest.approx(third, rel=2e-3)
    slope = np.log2(errors[0.02] / errors[0.01])
    assert slope == pytest.approx(3, abs=0.1)


def test_magnetisations_and_responses_near_enumeration_have_errors_of_third_order():
    """Halving the couplings at fixed fields divides TAP's error by 8 and naive's by 4."""
    n, beta = 7, 1.0
    h = fields(n) + 0.3
    errors = {}
    for scale in (0.02, 0.01):
        J = scale * symmetric(n)
        model = sn.Ising(J, h)
        reference = sn.exact.enumerate(model, beta)
        chi = beta * (reference.correlations - np.outer(reference.means, reference.means))
        for method in (TAP(), sn.NaiveMeanField()):
            s = sn.solve(model, beta, method)
            errors[scale, method.label, "m"] = np.abs(s.magnetizations - reference.means).max()
            off = ~np.eye(n, dtype=bool)  # TAP's diagonal response is not 1 - m^2 at this order
            errors[scale, method.label, "chi"] = np.abs(s.response - chi)[off].max()
    for what in ("m", "chi"):
        assert errors[0.01, "TAP", what] < 0.2 * errors[0.01, "naive mean field", what]
    ratio = errors[0.02, "TAP", "m"] / errors[0.01, "TAP", "m"]
    assert ratio == pytest.approx(8, rel=0.1)
    ratio = errors[0.02, "naive mean field", "m"] / errors[0.01, "naive mean field", "m"]
    assert ratio == pytest.approx(4, rel=0.1)
