"""Adaptive TAP against its own equations in plain NumPy, enumeration, closed forms and limits."""

import json
import math

import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.errors import ConvergenceError, InputError
from spinnet.spins.meanfield import Status
from spinnet.spins.meanfield.adaptive import AdaptiveTAP
from spinnet.spins.meanfield.adaptive.descent import descend
from spinnet.spins.meanfield.adaptive.places import DenseEquations, equations_of
from spinnet.spins.meanfield.adaptive.reference import Square, groups_of
from spinnet.spins.meanfield.couplings import DenseCoupling, SparseCoupling
from spinnet.spins.meanfield.system import system_of

SITE, UNIFORM = AdaptiveTAP(), AdaptiveTAP(variance="uniform")


def random_couplings(n: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Symmetric Gaussian couplings of variance scale^2/n."""
    J = np.triu(np.random.default_rng(seed).normal(0, scale / np.sqrt(n), (n, n)), 1)
    return J + J.T


def orthogonal_couplings(n: int, seed: int) -> np.ndarray:
    """A Haar-rotated matrix of eigenvalues +-1, with its diagonal."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    q *= np.sign(np.diagonal(r))
    return (q * np.repeat([1.0, -1.0], [n // 2, n - n // 2])) @ q.T


def beta_f(J, h, beta, m, lam, uniform=False):
    """Beta times the expectation-consistent free energy as printed, for any m and Lambda.

    With r(s) a Gaussian of precision Lambda - beta J and s(s) one of precision 1/D:
    ln Z = ln Z_q + ln Z_r - ln Z_s of Opper & Winther (2005), the moments eliminated.
    """
    entropy = -((1 + m) / 2 * np.log((1 + m) / 2) + (1 - m) / 2 * np.log((1 - m) / 2)).sum()
    D = np.full(m.size, np.mean(1 - m**2)) if uniform else 1 - m**2
    log_z = entropy + beta * h @ m + beta / 2 * m @ J @ m - m.size / 2
    log_z += (lam * D).sum() / 2 - np.log(D).sum() / 2
    return -(log_z - np.linalg.slogdet(np.diag(lam) - beta * J)[1] / 2)


def precisions(s, uniform=False):
    """Lambda of a solution, from its reaction."""
    D = 1 - s.magnetizations**2
    return s.reaction + 1 / (np.mean(D) if uniform else D)


@pytest.mark.parametrize("method", [SITE, UNIFORM], ids=["site", "uniform"])
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_a_solution_satisfies_the_printed_equations(method, beta):
    """m, the variances and the free energy, to 1e-10 (the tolerance asked for)."""
    J, h = random_couplings(14, 1), np.random.default_rng(2).normal(0.2, 0.4, 14)
    s = sn.solve(sn.Ising(J, h), beta, method)
    m, lam = s.magnetizations, precisions(s, method is UNIFORM)
    assert s.stable
    np.testing.assert_allclose(
        m, np.tanh(beta * h + beta * J @ m - s.reaction * m), rtol=0, atol=1e-10
    )
    own = np.diagonal(np.linalg.inv(np.diag(lam) - beta * J))
    if method is SITE:
        np.testing.assert_allclose(own, 1 - m**2, rtol=1e-10)
        np.testing.assert_allclose(np.diagonal(s.covariance), 1 - m**2, rtol=1e-10)
    else:
        assert own.mean() == pytest.approx(np.mean(1 - m**2), rel=1e-10)
        assert np.ptp(lam) < 1e-10
    value = beta_f(J, h, beta, m, lam, method is UNIFORM) / (14 * beta)
    assert s.free_energy == pytest.approx(value, abs=1e-12)
    assert s.residual <= 1e-10
    assert s.variance_residual <= 1e-10


@pytest.mark.parametrize("uniform", [False, True])
def test_the_free_energy_is_stationary_in_every_argument(uniform):
    """Central differences at 1e-5: gradients below 1e-8; 0.05 at the m of naive mean field."""
    J, h, beta = random_couplings(9, 3), np.random.default_rng(4).normal(0.1, 0.5, 9), 0.9
    s = sn.solve(sn.Ising(J, h), beta, UNIFORM if uniform else SITE)
    m, lam, d = s.magnetizations, precisions(s, uniform), 1e-5
    naive = sn.solve(sn.Ising(J, h), beta).magnetizations

    def slope(m, i):
        e = d * np.eye(9)[i]
        up, down = (beta_f(J, h, beta, m + t * e, lam, uniform) for t in (1, -1))
        return (up - down) / (2 * d)

    assert max(abs(slope(m, i)) for i in range(9)) < 1e-8
    assert max(abs(slope(naive, i)) for i in range(9)) > 0.03
    moves = np.ones((1, 9)) if uniform else np.eye(9)
    for e in d * moves:
        up, down = (beta_f(J, h, beta, m, lam + t * e, uniform) for t in (1, -1))
        assert abs(up - down) / (2 * d) < 1e-8


@pytest.mark.parametrize("method", [SITE, UNIFORM], ids=["site", "uniform"])
@pytest.mark.parametrize("kind", ["dense", "layers", "activities", "uniform"])
def test_response_is_the_derivative_of_the_magnetisations(method, kind):
    """Central differences at 1e-5 of every field; errors of 1e-9 and below."""
    rng = np.random.default_rng(5)
    beta, d = 0.8, 1e-5
    J, h, w = random_couplings(8, 6), rng.normal(0.2, 0.3, 8), rng.normal(size=(5, 3))

    def model(e):
        if kind == "dense":
            return sn.Ising(J, h + e)
        if kind == "uniform":  # only its mean field can be changed
            return sn.CurieWeiss(8, J=1.3, h=0.1 + e[0])
        levels = (0, 1) if kind == "activities" else (-1, 1)
        return sn.Bipartite(w, bias_a=h[:5] + e[:5], bias_b=h[5:] + e[5:], levels=levels)

    s = sn.solve(model(np.zeros(8)), beta, method)
    if kind == "uniform":
        up, down = (sn.solve(model(t * np.full(8, d)), beta, method) for t in (1, -1))
        slope = (up.magnetizations - down.magnetizations) / (2 * d)
        np.testing.assert_allclose(s.uniform_response, slope, rtol=1e-7)
        np.testing.assert_allclose(s.response.sum(axis=1), slope, rtol=1e-7)
        return
    for i in range(8):
        e = d * np.eye(8)[i]
        up, down = (sn.solve(model(t * e), beta, method) for t in (1, -1))
        slope = (up.magnetizations - down.magnetizations) / (2 * d)
        np.testing.assert_allclose(s.response[:, i], slope, atol=1e-8)
        if method is SITE:  # of 0 and 1 too
            spread = 1 - s.magnetizations[i] ** 2
            if kind == "activities":
                spread = s.magnetizations[i] * (1 - s.magnetizations[i])
            assert s.covariance[i, i] == pytest.approx(spread, rel=1e-9)
        np.testing.assert_allclose(s.respond(np.eye(8)[i]), slope, atol=1e-8)
        energy = -(up.free_energy - down.free_energy) / (2 * d) * 8
        assert energy == pytest.approx(s.magnetizations[i], abs=1e-8)


@pytest.mark.parametrize("beta", [0.5, 1.5])
def test_a_diagonal_of_the_couplings_is_a_constant(beta):
    """J + diag(d) shifts beta F by -beta sum d/2, with the same m; naive mean field feels it."""
    n, rng = 10, np.random.default_rng(7)
    J, h, d, x = random_couplings(n, 8), rng.normal(size=n), rng.normal(size=n), rng.normal(size=n)
    places = []
    for matrix in (J, J + np.diag(d)):
        coupling = DenseCoupling(matrix)
        groups = groups_of(coupling, "site")
        places.append(DenseEquations(coupling, Square(matrix), h, beta, groups).at(x))
    bare, shifted = places
    assert shifted.value - bare.value == pytest.approx(-beta * d.sum() / 2, abs=1e-11)
    np.testing.assert_allclose(shifted.error, bare.error, atol=1e-11)


@pytest.mark.parametrize("method", [SITE, UNIFORM], ids=["site", "uniform"])
def test_every_shape_of_couplings_gives_the_same_numbers(method):
    """Layers, uniform and sparse couplings against the same matrix in full."""
    rng = np.random.default_rng(9)
    pairs = [(sn.CurieWeiss(12, J=1.4, h=0.05), sn.CurieWeiss(12, J=1.4, h=0.05).to_ising())]
    if method is SITE:
        for shape in ((7, 4), (4, 7)):
            layers = sn.Bipartite(rng.normal(size=shape), bias_a=0.2, levels=(-1, 1))
            pairs.append((layers, layers.to_ising()))
    for model, full in pairs:
        for beta in (0.4, 1.3):
            few = AdaptiveTAP(variance=method.variance, n_starts=0)
            a, b = sn.solve(model, beta, few), sn.solve(full, beta, few)
            assert a.free_energy == pytest.approx(b.free_energy, abs=1e-11)
            np.testing.assert_allclose(a.magnetizations, b.magnetizations, atol=1e-8)
            assert a.at_margin == pytest.approx(b.at_margin, rel=1e-7)
            near = pytest.approx(b.distance_to_instability, rel=1e-7)
            assert a.distance_to_instability == near
            assert a.susceptibility == pytest.approx(b.susceptibility, rel=1e-7)
            if method is SITE:
                assert a.log_det == pytest.approx(b.log_det, rel=1e-7)


def test_sparse_couplings_are_taken_as_they_are():
    matrix = sp.csr_array(np.where(np.abs(random_couplings(30, 10)) > 0.2, 0.7, 0.0))
    h, x = np.linspace(-1, 1, 30), np.linspace(2, -2, 30)
    a = equations_of(SparseCoupling(matrix), h, 0.4, "site").at(x)
    b = equations_of(DenseCoupling(matrix.toarray()), h, 0.4, "site").at(x)
    assert a.value == pytest.approx(b.value, rel=1e-14)
    np.testing.assert_allclose(a.error, b.error, rtol=0, atol=1e-13)


# --- against enumeration ---------------------------------------------------------------------


@pytest.mark.parametrize("field", [0.0, 0.4])
@pytest.mark.parametrize("beta", [1 / 3, 1 / 1.7, 1 / 1.3])
def test_free_energy_of_sk_is_nearer_to_enumeration_than_naive_mean_field(beta, field):
    """N = 16, five samples: the error is at most half of the naive one in each."""
    for seed in range(5):
        h = np.random.default_rng(100 + seed).normal(0, field, 16) if field else 0.0
        model = sn.Ising(random_couplings(16, seed), h)
        exact = float(sn.exact.enumerate(model, beta).free_energy)
        adaptive, naive = sn.solve(model, beta, SITE), sn.solve(model, beta)
        assert abs(adaptive.free_energy - exact) < 0.5 * abs(naive.free_energy - exact)


@pytest.mark.parametrize("beta", [0.4, 0.8])
def test_magnetisations_and_correlations_are_near_enumeration(beta):
    """Against naive mean field: m half its error, correlations by response half too."""
    errors = np.zeros((2, 3))
    for seed in range(6):
        rng = np.random.default_rng(200 + seed)
        model = sn.Ising(random_couplings(12, 50 + seed), rng.normal(0.3, 0.5, 12))
        exact = sn.exact.enumerate(model, beta)
        connected = exact.correlations - np.outer(exact.means, exact.means)
        off = ~np.eye(12, dtype=bool)
        for k, method in enumerate((SITE, sn.NaiveMeanField())):
            s = sn.solve(model, beta, method)
            errors[k, 0] += np.sum((s.magnetizations - exact.means) ** 2)
            errors[k, 1] += np.sum((s.response / beta - connected)[off] ** 2)
        s = sn.solve(model, beta, SITE)
        errors[0, 2] += np.sum((s.covariance - connected)[off] ** 2)
    adaptive, naive = np.sqrt(errors)
    assert adaptive[0] < 0.5 * naive[0]
    assert adaptive[1] < 0.5 * naive[1]
    assert adaptive[1] < adaptive[2]  # what the docstring of `covariance` says


@pytest.mark.parametrize(("field", "power"), [(0.0, 4), (0.8, 3)])
def test_high_temperature_errors_have_the_known_order(field, power):
    """Beta F is exact through beta^3 without fields, through beta^2 at fixed beta h.

    Halving beta divides the error by 2^power, up to a term of relative order beta.
    """
    J, rng = random_couplings(8, 11), np.random.default_rng(12)
    a = rng.normal(0, field, 8) if field else np.zeros(8)
    errors = []
    for beta in (0.02, 0.01):
        model = sn.Ising(J, a / beta)
        exact = float(sn.exact.enumerate(model, beta).free_energy)
        errors.append(beta * (sn.solve(model, beta, SITE).free_energy - exact))
    assert errors[0] / errors[1] == pytest.approx(2**power, rel=0.15)
    assert abs(errors[0]) > 1e-10  # rounding is 1e-15


def test_one_spin_is_exact():
    for beta in (1e-3, 0.7, 50.0):
        s = sn.solve(sn.Ising([[0.0]], 0.4), beta, SITE)
        assert s.magnetization == pytest.approx(math.tanh(0.4 * beta), rel=1e-12)
        assert s.free_energy == pytest.approx(-np.logaddexp(0.4 * beta, -0.4 * beta) / beta)
        assert s.response[0, 0] == pytest.approx(beta / math.cosh(0.4 * beta) ** 2, rel=1e-9)
        assert s.distance_to_instability == pytest.approx(1.0)
    assert sn.solve(sn.CurieWeiss(1, J=3.0, h=0.4), 0.7, SITE).magnetization == pytest.approx(
        math.tanh(0.28)
    )


@pytest.mark.parametrize("K", [0.3, 1.0, 4.0])
def test_two_spins_never_order(K):
    """Lambda = (1 + sqrt(1 + 4 K^2))/2, <s_1 s_2> = K/Lambda; naive mean field orders at K > 1."""
    s = sn.solve(sn.Ising([[0.0, 1.0], [1.0, 0.0]]), K, SITE)
    lam = (1 + math.sqrt(1 + 4 * K**2)) / 2
    assert np.all(s.magnetizations == 0)
    assert s.covariance[0, 1] == pytest.approx(K / lam, rel=1e-12)
    log_z = 2 * math.log(2) + lam - 1 - math.log(lam) / 2
    assert s.free_energy == pytest.approx(-log_z / (2 * K), rel=1e-12)


def test_curie_weiss_orders_below_t_c_at_any_size():
    """1/N corrections: at N = 10^6 the naive solution, m = tanh(K m), to 1e-4."""
    hot = sn.solve(sn.CurieWeiss(10**6), 0.8, SITE)
    cold = sn.solve(sn.CurieWeiss(10**6), 1.25, SITE)
    assert hot.magnetization == 0
    assert hot.susceptibility == pytest.approx(0.8 / 0.2, rel=1e-4)
    assert cold.magnetization == pytest.approx(0.710411783488, abs=1e-4)
    assert len(cold.all_branches) == 3  # +m, -m, paramagnet
    assert cold.all_branches[2].caution


def test_an_orthogonal_matrix_needs_the_adaptive_reaction():
    """Exact sums, N = 14: adaptive TAP errs less than half of what independent entries would."""
    beta = 0.6
    for seed in range(4):
        J = orthogonal_couplings(14, seed)
        off = J - np.diag(np.diagonal(J))
        exact = -beta * float(sn.exact.enumerate(sn.Ising(off), beta).free_energy)
        adaptive = -beta * sn.solve(sn.Ising(off), beta, SITE).free_energy
        iid = math.log(2) + beta**2 / 4 * np.mean((off**2).sum(axis=1))
        assert abs(adaptive - exact) < 0.5 * abs(iid - exact)


def test_part_of_a_trained_layer_is_nearer_than_naive_mean_field():
    layer = sn.networks.load_bundled()["fc3"]
    model = sn.NetworkDual(layer.weights[:10], layer.bias)
    for beta in (1.0, 2.0):
        exact = sn.exact.enumerate(model, beta)
        s, naive = sn.solve(model, beta, SITE), sn.solve(model, beta)
        own, other = (abs(float(x.free_energy - exact.free_energy)) for x in (s, naive))
        assert own < 0.3 * other
        assert np.abs(s.magnetizations - exact.means).max() < 0.05


@pytest.mark.slow
def test_a_trained_layer_beside_the_sum_over_its_states():
    """fc3 with its fields at T = 1/2: errors of f 2.1e-4 (TAP 5.3e-4, naive 89e-4), of m 0.010."""
    layer = sn.networks.load_bundled()["fc3"]
    dual = sn.NetworkDual(layer.weights, layer.bias)
    exact = sn.exact.enumerate(dual, 2.0)
    site, uniform, tap, naive = (
        sn.solve(dual, 2.0, method) for method in (SITE, UNIFORM, sn.TAP(), None)
    )
    error = {s.method: abs(s.free_energy - float(exact.free_energy)) for s in (site, tap, naive)}
    assert error[site.method] < 0.6 * error[tap.method] < 0.1 * error[naive.method]
    worst = [np.abs(s.magnetizations - exact.means).max() for s in (site, uniform, naive)]
    assert worst[0] < 0.2 * worst[1] < 0.2 * worst[2]  # rows of this layer have unequal norms


@pytest.mark.parametrize("fields", ["zero", "exact"])
def test_trained_layers_are_solved_to_tolerance(fields):
    for name in ("fc2", "fc3"):
        layer = sn.networks.load_bundled()[name]
        dual = sn.NetworkDual(layer.weights, layer.bias, fields=fields)
        for beta in (0.5, 1.0, 2.0):
            s = sn.solve(dual, beta, AdaptiveTAP(n_starts=1))
            assert s.status is Status.STABLE
            assert s.residual <= 1e-10
            assert s.variance_residual <= 1e-10
            assert np.all(s.reaction >= 0)  # a spin acts on itself through the others only


def test_spin_glass_susceptibility_has_no_limit_where_spins_are_alike():
    s = sn.solve(sn.CurieWeiss(30, J=0.8, h=0.1), 0.9, SITE)
    expected = np.sum(s.response**2) / (0.9**2 * 30)
    assert s.susceptibility_spin_glass == pytest.approx(expected, rel=1e-12)
    big = sn.CurieWeiss(10**6, h=0.2)
    naive = sn.solve(big, 1.5).susceptibility_spin_glass
    assert sn.solve(big, 1.5, SITE).susceptibility_spin_glass == pytest.approx(naive, rel=1e-4)


def test_marginal_dual_reports_its_inputs():
    rng = np.random.default_rng(13)
    W, b = rng.normal(size=(5, 4)), rng.normal(size=4)
    full = sn.solve(sn.NetworkDual(W, b), 0.5, SITE)
    inputs = sn.solve(sn.NetworkDual(W, b, kind="marginal"), 0.5, SITE)
    np.testing.assert_allclose(inputs.magnetizations, full.magnetizations[:5], atol=1e-12)
    np.testing.assert_allclose(inputs.response, full.response[:5, :5], atol=1e-12)
    assert inputs.reaction.shape == (5,)
    assert inputs.covariance.shape == (5, 5)


def test_at_margin_is_the_almeida_thouless_condition_of_sk():
    """1 - beta^2 J^2 mean (1 - m^2)^2 up to the scatter of one sample, N^{-1/2} = 7 %."""
    model = sn.Ising(random_couplings(200, 14), 0.3)
    s = sn.solve(model, 0.9, AdaptiveTAP(n_starts=0))
    at = 0.81 * np.mean((1 - s.magnetizations**2) ** 2)
    assert s.at_margin == pytest.approx(1 - at, abs=0.07)
    assert 0.3 < at < 0.7


# --- extremes, failures, input -----------------------------------------------------------------


@pytest.mark.parametrize("beta", [30.0, 1e8])
def test_low_temperatures_end_in_a_ground_state(beta):
    """Energy of a local minimum, m = +-1, with no overflow and no loss of the fields' signs."""
    J, h = random_couplings(10, 15), np.random.default_rng(16).normal(0, 0.5, 10)
    s = sn.solve(sn.Ising(J, h), beta, AdaptiveTAP(n_starts=8))
    exact = float(sn.exact.enumerate(sn.Ising(J, h), 1e4).free_energy)
    assert s.stable
    assert s.free_energy == pytest.approx(exact, abs=0.02)
    assert np.all(s.magnetizations * (h + J @ s.magnetizations) > 0)
    layers = sn.NetworkDual(J[:6, :4], h[:4])
    assert np.isfinite(sn.solve(layers, beta, SITE).free_energy)


@pytest.mark.parametrize("method", [SITE, UNIFORM], ids=["site", "uniform"])
@pytest.mark.parametrize("beta", [1e14, 1e20, 1e40])
def test_states_without_digits_are_never_stable(method, beta):
    """The paramagnet's precisions are beyond double precision: only frozen states are left.

    Their energy is that of a local minimum, never below the ground state.
    """
    J = random_couplings(8, 15)
    s = sn.solve(sn.Ising(J), beta, method)
    ground = float(sn.exact.enumerate(sn.Ising(J), 1e4).free_energy)
    for state in s.all_branches:
        spins = state.magnetizations
        assert np.all(np.abs(spins) == 1)
        assert np.all(spins * (J @ spins) > 0)
        assert state.free_energy == pytest.approx(-spins @ J @ spins / 16, rel=1e-9)
    assert s.free_energy >= ground - 1e-3


@pytest.mark.parametrize("J", [1.0, -5.0])
def test_curie_weiss_keeps_its_digits_at_any_temperature(J):
    """Exact for one spin; beta F is right to O(1) for more, so f to 1e-6 at N = 10^6."""
    for n in (1, 10, 10**6):
        for beta in (0.5, 3.0, 1e10, 1e30):
            s = sn.solve(sn.CurieWeiss(n, J=J), beta, SITE)
            exact = float(sn.exact.curie_weiss(n, beta, J=J).free_energy)
            assert 0 < s.distance_to_instability <= 1 + 1e-12
            tolerance = 0.03 if n == 10 else 1e-6  # T ln 2/N of two wells is 0.023 at T = 1/3
            assert s.free_energy == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("method", [SITE, UNIFORM], ids=["site", "uniform"])
def test_descents_end_in_the_paramagnet_below_the_naive_instability(method):
    """Why one start is enough without fields while beta lambda_max <= 1: all lead to m = 0."""
    rng = np.random.default_rng(23)
    for scale in (0.3, 1.0, 3.0):
        for model in (
            sn.Ising(random_couplings(9, 24, scale)),
            sn.Bipartite(rng.normal(0, scale, (3, 7)), levels=(-1, 1)),
        ):
            coupling = system_of(model, diagonal=False).coupling
            beta = 0.999 / coupling.top().value
            equations = equations_of(coupling, np.zeros(model.n_spins), beta, method.variance)
            for _ in range(4):
                start = np.arctanh(rng.uniform(-1, 1, model.n_spins))
                assert np.all(equations.at(start).reaction >= -1e-12)
                end = descend(equations, start, rtol=1e-10, max_steps=200, has_fields=False)
                assert end.converged
                assert not np.any(end.place.m)
            assert len(sn.solve(model, beta, method).all_branches) == 1


def test_huge_fields_and_couplings_of_any_unit():
    """Only beta J and beta h count, over fourteen orders of magnitude."""
    J, h = random_couplings(6, 17), np.random.default_rng(18).normal(0, 0.5, 6)
    one = sn.solve(sn.Ising(J, h), 0.8, SITE)
    for unit in (1e-7, 1e7):
        other = sn.solve(sn.Ising(unit * J, unit * h), 0.8 / unit, SITE)
        np.testing.assert_allclose(other.magnetizations, one.magnetizations, atol=1e-9)
        assert other.free_energy == pytest.approx(unit * one.free_energy, rel=1e-10)
    strong = sn.solve(sn.Ising(J, 1e6), 1.0, SITE)
    assert np.all(strong.magnetizations == 1)


def test_spins_without_couplings_are_free():
    s = sn.solve(sn.Ising(np.zeros((4, 4)), 0.3), 2.0, SITE)
    np.testing.assert_allclose(s.magnetizations, math.tanh(0.6), rtol=1e-12)
    assert s.distance_to_instability == pytest.approx(1.0)
    assert s.at_margin == pytest.approx(1.0)


def test_too_few_steps_are_a_labelled_failure():
    model = sn.Ising(random_couplings(8, 19), 0.5)
    hasty = AdaptiveTAP(max_steps=1)
    with pytest.raises(ConvergenceError, match="no stable solution") as caught:
        sn.solve(model, 2.0, hasty)
    assert caught.value.solution.status is Status.MAX_STEPS
    s = sn.solve(model, 2.0, hasty, throw=False)
    assert s.status is Status.MAX_STEPS
    assert s.residual > 1e-10


def test_results_are_plain_and_readable():
    s = sn.solve(sn.CurieWeiss(20), 1.5, SITE)
    plain = json.loads(json.dumps(s.to_dict(), allow_nan=False))
    assert plain["variance"] == "site"
    assert plain["free_energy_one_loop"] is None
    assert len(plain["reaction"]) == 20
    assert "AT margin" in s.summary()
    assert s.free_energy_wells < s.free_energy
    again = sn.solve(sn.Ising(random_couplings(9, 20)), 2.0, SITE)
    twice = sn.solve(sn.Ising(random_couplings(9, 20)), 2.0, SITE)
    assert np.array_equal(again.magnetizations, twice.magnetizations)


BAD = {
    "variance": (lambda: AdaptiveTAP(variance="sites"), "variance must be one of"),
    "n_starts": (lambda: AdaptiveTAP(n_starts=-1), "n_starts must be"),
    "rtol": (lambda: AdaptiveTAP(rtol=1.0), "rtol must lie"),
    "max_steps": (lambda: AdaptiveTAP(max_steps=0), "max_steps must be"),
    "beta": (lambda: sn.solve(sn.CurieWeiss(3), -1.0, SITE), "beta must be > 0"),
    "many": (lambda: sn.solve(sn.CurieWeiss(3), [1.0, 2.0], SITE), "beta must be a single"),
    "size": (lambda: sn.solve(sn.Ising(sp.eye_array(5000) * 0), 1.0, SITE), "n_spins must be <="),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
