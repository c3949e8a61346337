"""Critical points, spectral edges, the Onsager correction and saddle-point exponents."""

import math

import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.spins.meanfield import Advice, critical_point, saddle_point_exponents

SEED = 20170208


def gaussian(shape: tuple[int, int], seed: int = SEED) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def wigner(n: int, seed: int = SEED) -> np.ndarray:
    """Symmetric, entries of variance 1/n: eigenvalues fill [-2, 2]."""
    upper = np.triu(gaussian((n, n), seed), 1) / math.sqrt(n)
    return upper + upper.T


def test_critical_beta_is_where_the_response_diverges():
    W = gaussian((7, 7)) + 1
    dual = sn.NetworkDual(W, kind="collapsed")
    beta_c = sn.critical_beta(dual)
    chi = [sn.solve(dual, beta_c * (1 - e)).susceptibility_top for e in (1e-4, 1e-6)]
    assert chi[1] / chi[0] == pytest.approx(100, rel=1e-3)  # 1/(lambda t) to O(t)
    assert isinstance(beta_c, float)


def test_curie_weiss_critical_temperature_with_and_without_the_diagonal():
    model = sn.CurieWeiss(50, J=2.0)
    assert sn.critical_beta(model, method=sn.NaiveMeanField(diagonal=True)) == 0.5
    assert 1 / sn.critical_beta(model) == pytest.approx(2 * (1 - 1 / 50), rel=1e-14)


def test_one_homogeneous_network_has_a_labelled_temperature_for_each_dual():
    """Talk's network w_ij = w, norm 2N: w as printed, w/2 same-w +-1, w/8 with fields dropped."""
    n, w = 20, 1.0
    W = np.full((n, n), w)
    keep = sn.NaiveMeanField(diagonal=True)
    printed = critical_point(sn.NetworkDual(W, kind="collapsed"), keep)
    same = critical_point(sn.Bipartite(W, levels=(-1, 1), scale=1 / (2 * n)))
    exact = critical_point(sn.NetworkDual(W, -w / 2, norm=2 * n))
    assert printed.temperature == pytest.approx(w)
    assert same.temperature == pytest.approx(w / 2)
    assert exact.temperature == pytest.approx(w / 8)
    assert "D0 bipartite" in exact.label
    assert "D1 collapsed" in printed.label
    assert "self-coupling kept" in printed.label


def test_dropped_fields_are_named_and_absent_fields_are_not():
    w = gaussian((6, 5))
    exact = critical_point(sn.NetworkDual(w, 0.3))
    zero = critical_point(sn.NetworkDual(w, 0.3, fields="zero"))
    assert exact.label.endswith("fields dropped")
    assert "crossover" in exact.note
    assert zero.label.endswith("no fields")
    assert zero.note == ""
    assert exact.beta == zero.beta


@pytest.mark.parametrize("kind", ["bipartite", "marginal"])
def test_two_layer_critical_temperature_is_the_top_singular_value(kind):
    w = gaussian((9, 4))
    point = critical_point(sn.NetworkDual(w, kind=kind))
    u, sigma, vt = np.linalg.svd(w / 4)
    assert point.temperature == pytest.approx(sigma[0], rel=1e-12)
    assert point.gap == pytest.approx(sigma[0] / sigma[1], rel=1e-10)
    mode = np.concatenate([u[:, 0], vt[0]]) / math.sqrt(2) if kind == "bipartite" else u[:, 0]
    assert abs(mode @ point.top_mode) == pytest.approx(1, rel=1e-10)
    assert point.beta == sn.critical_beta(sn.NetworkDual(w, kind=kind))


def test_three_spectral_edges_of_a_non_symmetric_matrix_differ():
    """iid entries of variance s^2: 2, sqrt 2 and 1 in units s sqrt N, within 4 % at N = 500."""
    n = 500
    dual = sn.NetworkDual(gaussian((n, n)), kind="collapsed", norm=2 * math.sqrt(n))
    point = critical_point(dual)
    assert point.sigma_max == pytest.approx(2, rel=0.04)
    assert point.lambda_max == pytest.approx(math.sqrt(2), rel=0.04)
    assert point.spectral_radius == pytest.approx(1, rel=0.06)
    assert point.temperature == point.lambda_max


@pytest.mark.parametrize("theta", [1.5, 2.0, 3.0])
def test_spiked_wigner_is_corrected_from_its_eigenvalue_to_the_spike(theta):
    """lambda = theta + 1/theta but T_F = theta; fluctuations at N = 600 are 1/sqrt N = 4 %."""
    n = 600
    point = critical_point(sn.Ising(wigner(n) + theta / n))
    assert point.lambda_max == pytest.approx(theta + 1 / theta, rel=0.04)
    assert point.onsager.separated
    assert point.onsager.ferromagnetic == pytest.approx(theta, rel=0.06)
    assert point.onsager.spin_glass == pytest.approx(1, rel=0.03)
    assert point.onsager.temperature == max(point.onsager.ferromagnetic, point.onsager.spin_glass)
    assert f"T_F = {point.onsager.ferromagnetic:.6g}" in point.summary()


def test_random_signs_never_report_lambda_max_alone():
    """SK: naive T_c = 2, truth 1; the top of the bulk is no outlier."""
    point = critical_point(sn.Ising(wigner(600)))
    assert point.temperature == pytest.approx(2, rel=0.03)
    assert not point.onsager.separated
    assert math.isnan(point.onsager.ferromagnetic)
    assert point.onsager.temperature == pytest.approx(1, rel=0.02)
    assert point.onsager_size == pytest.approx(0.25, rel=0.05)
    assert point.diagnosis.advice is Advice.REACTION
    assert "not separated" in point.summary()


@pytest.mark.parametrize("theta", [1.5, 2.5])
def test_two_layer_outlier_is_corrected_to_its_spike(theta):
    """Entries of variance 1/sqrt(ab): v_a v_b = 1, so T_SG = 1 and T_F = theta."""
    a, b = 600, 400
    u, v = np.full(a, 1 / math.sqrt(a)), np.full(b, 1 / math.sqrt(b))
    block = gaussian((a, b)) / (a * b) ** 0.25 + theta * np.outer(u, v)
    point = critical_point(sn.Bipartite(block, levels=(-1, 1)))
    assert point.onsager.separated
    assert point.onsager.ferromagnetic == pytest.approx(theta, rel=0.05)
    assert point.onsager.spin_glass == pytest.approx(1, rel=0.02)
    assert point.sigma_max > 1.2 * theta or theta > 2


def test_random_two_layers_have_no_outlier():
    """sqrt v_a + sqrt v_b against (v_a v_b)^{1/4} for 500 x 400 iid weights."""
    point = critical_point(sn.Bipartite(gaussian((500, 400)), levels=(-1, 1)))
    assert not point.onsager.separated
    assert point.temperature == pytest.approx(math.sqrt(500) + math.sqrt(400), rel=0.03)
    assert point.onsager.spin_glass == pytest.approx((500 * 400) ** 0.25, rel=0.01)


def test_false_alarms_of_separation_are_rare():
    """At the 0.1 % level 100 matrices give one or more false alarms in 10 %, three in 0.02 %."""
    alarms = sum(
        critical_point(sn.Ising(wigner(60, seed))).onsager.separated for seed in range(100)
    )
    assert alarms <= 2


def test_rank_one_couplings_need_no_correction():
    point = critical_point(sn.CurieWeiss(1000))
    assert point.onsager.temperature == pytest.approx(1, abs=1e-12)
    assert point.participation_ratio == pytest.approx(1)
    assert point.diagnosis.advice is Advice.RELIABLE
    layers = critical_point(sn.Bipartite(0.3 * np.ones((8, 5)), levels=(-1, 1)))
    assert layers.onsager.temperature == pytest.approx(0.3 * math.sqrt(40), rel=1e-12)
    assert layers.onsager.spin_glass == pytest.approx(0, abs=1e-7)  # no bulk beside sigma_1
    big = critical_point(sn.CurieWeiss(10_000_000))
    assert big.temperature == pytest.approx(1 - 1e-7, rel=1e-14)


def test_heavy_tails_and_pairs_are_sent_to_belief_propagation():
    cauchy = np.random.default_rng(SEED).standard_cauchy((100, 100)) / 100
    for model in (sn.Ising(cauchy), sn.Ising([[0, 1], [1, 0]])):
        point = critical_point(model)
        assert point.diagnosis.advice is Advice.STRONG_BONDS
        assert point.participation_ratio * model.n_spins < 5


@pytest.mark.parametrize("n", [60, 500])
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_an_eigenvalue_that_is_positive_by_rounding_only_orders_nothing(n, size):
    """-v v^T has eigenvalues 0 and -|v|^2; ARPACK and LAPACK return 1e-16 |v|^2 for the zeros."""
    v = np.random.default_rng(5).normal(size=n)
    model = sn.Ising(-size * np.outer(v, v))
    with pytest.raises(sn.InputError, match="couplings with a positive eigenvalue"):
        sn.critical_beta(model, sn.NaiveMeanField(diagonal=True))
    with pytest.raises(sn.InputError, match="couplings with a positive eigenvalue"):
        critical_point(model, sn.NaiveMeanField(diagonal=True))


@pytest.mark.parametrize("n", [3, 500])
def test_spins_without_couplings_are_solved_at_any_size(n):
    for J in (np.zeros((n, n)), sp.csr_array((n, n))):
        solution = sn.solve(sn.Ising(J, 0.2), 1.5)
        np.testing.assert_allclose(solution.magnetizations, np.tanh(0.3), rtol=1e-15)
        with pytest.raises(sn.InputError, match="couplings with a positive eigenvalue"):
            sn.critical_beta(sn.Ising(J))


def test_without_an_ordering_mode_the_reason_is_given():
    with pytest.raises(sn.InputError, match=r"lambda_max = 0 for Ising\(3 spins"):
        sn.critical_beta(sn.Ising(np.zeros((3, 3))))
    with pytest.raises(sn.InputError, match="its paramagnet is stable at every temperature"):
        critical_point(sn.NetworkDual(-np.eye(2), kind="collapsed"), sn.NaiveMeanField(True))


def smooth_modes(n: int) -> list[np.ndarray]:
    x = np.linspace(0, 1, n)
    return [np.ones(n), 1 + 0.8 * np.cos(3 * x), np.where(x < 0.5, 1.0, -0.6) * (1 + x)]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_amplitudes_of_an_isolated_mode_are_those_of_its_fourth_moment(k):
    """Three modes at |t| = 1e-3: a^2 sum v^4/3|t| >= 0.999 and chi ratio 2 to O(t)."""
    v = smooth_modes(60)[k]
    v = v / np.linalg.norm(v)
    fit = saddle_point_exponents(
        sn.Ising(1.7 * np.outer(v, v)), method=sn.NaiveMeanField(diagonal=True)
    )
    assert fit.amplitude_ratio == pytest.approx(1, abs=1.1e-3)
    assert 2.0 < fit.susceptibility_ratio < 2.005
    assert fit.critical_point.temperature == pytest.approx(1.7, rel=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        sn.CurieWeiss(300, J=0.4),
        sn.NetworkDual(gaussian((30, 20)) / 10 + 1, 0.2),
        sn.NetworkDual(gaussian((40, 40)) / 10 + 1, 0.2, kind="collapsed"),
    ],
)
def test_saddle_point_exponents_are_those_of_mean_field_within_their_errors(model):
    fit = saddle_point_exponents(model)
    for name, value in (("beta", 0.5), ("gamma", 1), ("gamma_below", 1), ("delta", 3)):
        found, error = getattr(fit, name), getattr(fit, f"{name}_error")
        assert abs(found - value) <= 2 * error + 1e-9, (name, found, error)
        assert error < 0.01
    # a straight line over the same window is off by ten times the error stated
    assert abs(fit.plain_slopes["beta"] - 0.5) > 10 * fit.beta_error
    assert fit.window == (1e-3, 1e-1)
    assert "|t| in [0.001, 0.1]" in fit.summary()


def test_exponent_windows_are_checked():
    for bad in ((0.1, 0.01), (0.0, 0.1), (0.1, 0.9), (0.1, 0.2, 0.3)):
        with pytest.raises(sn.InputError, match="window must hold two numbers"):
            saddle_point_exponents(sn.CurieWeiss(10), bad)


def test_results_are_plain_when_exported():
    point = critical_point(sn.NetworkDual(gaussian((6, 5))))
    assert isinstance(point.to_dict()["top_mode"], list)
    fit = saddle_point_exponents(sn.CurieWeiss(10))
    assert fit.to_dict()["beta"] == fit.beta
