"""The diagnosis: which theory suits a model, and what it is told by."""

import json
import math

import networkx as nx
import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp
from scipy.special import zeta

import spinnet as sn
from spinnet.spins.meanfield import Advice
from spinnet.spins.meanfield.diagnosis import diagnose, theory_named
from spinnet.spins.meanfield.profile import participation_ratio, profile_of
from spinnet.spins.meanfield.system import system_of

SEED = 20170208


def wigner(n: int, seed: int = SEED) -> np.ndarray:
    """Symmetric, entries of variance 1/n and no diagonal."""
    upper = np.triu(np.random.default_rng(seed).standard_normal((n, n)), 1) / math.sqrt(n)
    return upper + upper.T


def orthogonal(n: int, seed: int = SEED) -> np.ndarray:
    return la.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def random_orthogonal_model(n: int) -> np.ndarray:
    q = orthogonal(n)
    return q @ np.diag(np.where(np.arange(n) % 2, 1.0, -1.0)) @ q.T


def cauchy(n: int, seed: int = SEED) -> np.ndarray:
    return np.random.default_rng(seed).standard_cauchy((n, n)) / n


def test_numbers_are_their_definitions():
    """Every statistic again, from the full matrix and by plain loops."""
    J, beta = wigner(30) + 0.02, 0.8
    np.fill_diagonal(J, 0.0)
    d = diagnose(sn.Ising(J), beta)
    rows = (J**2).sum(axis=1)
    assert d.onsager_size == pytest.approx(beta**2 * rows.mean(), rel=1e-12)
    assert d.strongest_bond == pytest.approx(beta * np.abs(J).max(), rel=1e-15)
    assert d.row_norm_ratio == pytest.approx(np.abs(J).max() / math.sqrt(rows.mean()), rel=1e-12)
    assert d.row_spread == pytest.approx(rows.std() / rows.mean(), rel=1e-12)
    bonds = J[np.triu_indices(30, 1)]
    z = (bonds - bonds.mean()) / bonds.std()
    assert d.kurtosis == pytest.approx(np.mean(z**4), rel=1e-10)
    assert d.neighbours == 29
    assert d.effective_neighbours == pytest.approx((rows**2).sum() / (J**4).sum(), rel=1e-12)
    values, vectors = np.linalg.eigh(J)
    v = vectors[:, -1]
    assert d.participation_ratio == pytest.approx(1 / (30 * np.sum(v**4)), rel=1e-10)
    edge = 2 * math.sqrt((np.sum(values[:-1] ** 2) - values[:-1].sum() ** 2 / 29) / 30)
    assert d.gap == pytest.approx(values[-1] / edge, rel=1e-9)
    assert d.n_spins == 30
    assert not d.has_fields


def test_spectral_excess_is_the_fourth_free_cumulant():
    """N tr J^4/(tr J^2)^2 - 2 for rows of one norm, up to the single bonds, 1/N."""
    J = random_orthogonal_model(200)
    np.fill_diagonal(J, 0.0)
    values = np.linalg.eigvalsh(J)
    direct = 200 * np.sum(values**4) / np.sum(values**2) ** 2 - 2
    found = diagnose(sn.Ising(J), 0.6).spectral_excess
    assert found == pytest.approx(direct, abs=4 / 200)
    assert found == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize("n", [100, 600])  # below and above the size of random probes
def test_spectra_of_independent_entries_are_told_from_others(n):
    """Independent entries with rows of unequal variance too; noise of the excess is 4/n."""
    scale = np.linspace(0.5, 1.5, n)
    profile = wigner(n) * np.sqrt(np.outer(scale, scale))
    for J in (wigner(n), profile):
        d = diagnose(sn.Ising(J), 0.6)
        assert abs(d.spectral_excess) < 0.15
        assert (d.iid_spectrum, d.theory) == (True, "tap")
    assert diagnose(sn.Ising(profile), 0.6).row_spread > 0.25
    d = diagnose(sn.Ising(random_orthogonal_model(n)), 0.6)
    assert d.spectral_excess == pytest.approx(-1, abs=0.1)
    assert (d.iid_spectrum, d.theory, d.recommended) == (False, "adaptive-tap", "adaptive-tap")


def test_two_layers_are_compared_with_marchenko_and_pastur():
    n_a, n_b = 120, 80
    block = np.random.default_rng(SEED).standard_normal((n_a, n_b)) / (n_a * n_b) ** 0.25
    d = diagnose(sn.Bipartite(block, levels=(-1, 1)), 0.7)
    assert abs(d.spectral_excess) < 0.1
    assert d.theory == "tap"
    assert d.onsager_size == pytest.approx(0.7**2 * 2 * np.sum(block**2) / 200, rel=1e-12)
    d = diagnose(sn.Bipartite(orthogonal(100), levels=(-1, 1)), 0.7)
    assert d.spectral_excess == pytest.approx(-1, abs=0.1)
    assert d.theory == "adaptive-tap"
    dense = diagnose(sn.Bipartite(block, levels=(-1, 1)).to_ising(), 0.7)
    block_wise = diagnose(sn.Bipartite(block, levels=(-1, 1)), 0.7)
    for name in ("onsager_size", "strongest_bond", "participation_ratio", "spectral_excess"):
        assert getattr(dense, name) == pytest.approx(getattr(block_wise, name), rel=1e-9)


def test_random_probes_give_the_trace_of_the_fourth_power():
    """32 probes at N = 401: a relative error of 2 % in tr J^4, 0.04 in the excess."""
    J = np.zeros((401, 401))
    J[:400, :400] = wigner(400)
    exact = np.sum(np.linalg.eigvalsh(J) ** 4)
    rows, fourths = (J**2).sum(axis=1), (J**4).sum()
    expected = (exact - 2 * np.sum(rows**2) + fourths) / np.sum(rows**2)
    p = profile_of(system_of(sn.Ising(J), diagonal=False).coupling)
    assert p.spectral_excess == pytest.approx(expected, abs=4 * 0.04)
    assert p.spectral_excess != pytest.approx(expected, abs=1e-9)  # it was estimated


@pytest.mark.parametrize(
    ("model", "beta", "recommended"),
    [
        (sn.CurieWeiss(1000), 1.2, "naive"),
        (sn.CurieWeiss(1000).to_ising(), 1.2, "naive"),
        (sn.CurieWeiss(50), 500.0, "naive"),
        (sn.CurieWeiss(300, J=-1.0), 1.0, "naive"),
        (sn.CurieWeiss(300, J=-1.0), 1000.0, "exact"),
        (sn.CurieWeiss(20), 1.2, "exact"),
        (sn.Bipartite(np.full((300, 15), 0.01)), 1.0, "exact"),
        (sn.Ising(wigner(200)), 0.05, "naive"),
        (sn.Ising(wigner(200)), 0.7, "tap"),
        (sn.Ising(wigner(200)), 3.0, "monte-carlo"),
        (sn.Ising(wigner(300) * 0.2 + 2 / 300), 0.45, "naive"),
        (sn.Ising.from_graph(nx.random_regular_graph(3, 100, seed=1)), 0.3, "bethe"),
        (sn.Ising(sp.csr_array(nx.to_scipy_sparse_array(nx.path_graph(500)))), 0.3, "bethe"),
        (sn.Ising(cauchy(100)), 1.0, "bethe"),
    ],
)
def test_the_rule_of_recommendations(model, beta, recommended):
    d = diagnose(model, beta)
    assert d.recommended == recommended
    assert len(d.reason) > 20


def test_heavy_tails_trigger_belief_propagation_near_and_above_their_freezing():
    """Cauchy couplings g/N freeze at T = 28 zeta(3)/pi^3 g; at four times that too."""
    frozen = 28 * zeta(3) / math.pi**3
    for T in (frozen, 4 * frozen):
        d = diagnose(sn.Ising(cauchy(150)), 1 / T)
        assert d.recommended == "bethe"
        assert "heavy-tailed" in d.reason
        assert d.kurtosis > 100
        assert d.effective_neighbours < 2
        assert d.advice is Advice.STRONG_BONDS


def test_localised_and_extended_top_modes_are_told_by_their_participation():
    """A clique of 8 spins among 200: PR is 8/200; the uniform mode has PR = 1."""
    J = 0.1 * wigner(200)
    J[:8, :8] += 0.3 * (1 - np.eye(8))
    local = diagnose(sn.Ising(J), 1 / np.linalg.eigvalsh(J)[-1])
    assert local.participation_ratio == pytest.approx(8 / 200, rel=0.05)
    assert local.separated
    assert (local.advice, local.recommended) == (Advice.LOCALISED, "bethe")
    assert not local.sharp_transition
    spread = diagnose(sn.Ising(0.1 * wigner(200) + 1 / 200), 0.9)
    assert spread.participation_ratio > 0.9
    assert (spread.advice, spread.recommended) == (Advice.RELIABLE, "naive")
    assert participation_ratio(np.array([0.0, 3.0, 0.0, 0.0])) == 0.25
    assert participation_ratio(-2 * np.ones(7)) == pytest.approx(1)


def test_two_spins_are_flagged_and_the_exact_sum_orders_nothing():
    """T = J/2: mean field has |m| = 0.9575, enumeration 0 at every T > 0."""
    pair = sn.Ising([[0, 1], [1, 0]])
    s = sn.solve(pair, 2.0)
    assert abs(s.magnetization) > 0.95
    assert not s.reliable
    assert s.stable
    assert s.participation_ratio * 2 == pytest.approx(2)
    assert s.diagnosis.strongest_bond > 1
    assert s.diagnosis.recommended == "exact"
    assert s.diagnosis.theory == "bethe"
    assert "unreliable: single bonds" in s.summary()
    assert s.to_dict()["reliable"] is False
    for T in (0.1, 0.5, 1.0, 3.0):
        np.testing.assert_allclose(sn.exact.enumerate(pair, 1 / T).means, 0.0, atol=1e-14)
        bethe = sn.solve(pair, 1 / T, theory_named("bethe"))
        np.testing.assert_allclose(bethe.magnetizations, 0.0, atol=1e-12)


def test_trusted_solutions_carry_no_caution():
    s = sn.solve(sn.CurieWeiss(100), 1.3)
    assert s.reliable
    assert s.caution == ""
    assert s.diagnosis.naive_is_reliable
    below = s.unstable_branches[0]
    assert not below.reliable  # it is no minimum


def test_fields_are_said_to_round_the_transition_off():
    for kind in ("exact", "zero"):
        dual = sn.NetworkDual(np.full((40, 30), 0.1), 0.2, fields=kind)
        d = diagnose(dual, 1.0)
        assert d.has_fields == (kind == "exact")
        assert ("no sharp T_c" in d.reason) == (kind == "exact")
        assert d.sharp_transition == (kind == "zero")
        assert d.label == f"D0 bipartite, fields {kind}"


def test_the_method_of_a_diagnosis_solves_the_model():
    for model, beta, label in (
        (sn.CurieWeiss(100), 1.2, "naive mean field"),
        (sn.Ising(wigner(60)), 0.6, "TAP"),
        (sn.Ising.from_graph(nx.path_graph(30), h=0.1), 0.6, "Bethe"),
    ):
        method = diagnose(model, beta).method()
        assert method.label.startswith(label)
        assert sn.solve(model, beta, method).stable


def test_a_diagnosis_is_plain_when_exported():
    for model in (sn.CurieWeiss(1), sn.CurieWeiss(30), sn.Ising(np.zeros((3, 3)), 1.0)):
        d = diagnose(model, 1.0)
        plain = json.loads(json.dumps(d.to_dict(), allow_nan=False))
        assert plain["recommended"] == d.recommended
        assert plain["advice"] == d.advice.name
        assert plain["kurtosis"] is None
        assert d.recommended in d.summary()


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_units_change_no_verdict(size):
    plain = diagnose(sn.Ising(wigner(60)), 0.7)
    scaled = diagnose(sn.Ising(size * wigner(60)), 0.7 / size)
    for name in ("onsager_size", "bulk_size", "kurtosis", "gap", "spectral_excess"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-9)
    assert scaled.recommended == plain.recommended


def test_bad_arguments_of_a_diagnosis_are_named():
    with pytest.raises(sn.InputError, match=r"beta must be > 0, got -1"):
        diagnose(sn.CurieWeiss(10), -1.0)
    with pytest.raises(sn.InputError, match=r"model must be a SpinModel"):
        diagnose(np.eye(3), 1.0)


def test_the_bulk_of_two_layers_is_what_both_signs_of_the_outlier_leave():
    """Block u v^T + noise: beta^2 (2 sum B^2 - 2 sigma_1^2)/N; alike bonds: N - 1 neighbours."""
    block = 0.02 + np.random.default_rng(SEED).standard_normal((60, 40)) / 200
    d = diagnose(sn.Bipartite(block, levels=(-1, 1)), 0.5)
    sigma = np.linalg.norm(block, 2)
    assert d.separated
    assert d.bulk_size == pytest.approx(0.25 * 2 * (np.sum(block**2) - sigma**2) / 100, rel=1e-10)
    assert diagnose(sn.CurieWeiss(50), 1.0).effective_neighbours == pytest.approx(49, rel=1e-12)


@pytest.mark.parametrize("size", [1e-100, 1e-180, 1e-300])
def test_couplings_whose_squares_vanish_have_the_same_shape(size):
    """J^2 underflows below 1e-162, and J^4 below 1e-81."""
    chain = np.diag(np.ones(449), 1) + np.diag(np.ones(449), -1)
    for make in (
        lambda x: sn.Ising(x * wigner(60)),
        lambda x: sn.Ising(sp.csr_array(x * chain)),
        lambda x: sn.Bipartite(x * (wigner(60)[:30] + 0.5), levels=(-1, 1)),
        lambda x: sn.CurieWeiss(60, J=x),
    ):
        plain, tiny = diagnose(make(1.0), 1e-3), diagnose(make(size), 1e-3)
        for name in ("gap", "row_norm_ratio", "row_spread", "participation_ratio"):
            assert getattr(tiny, name) == pytest.approx(getattr(plain, name), rel=1e-9, abs=1e-12)
        assert (tiny.separated, tiny.recommended) == (plain.separated, plain.recommended)
        assert sn.critical_beta(make(size)) == pytest.approx(sn.critical_beta(make(1.0)) / size)


@pytest.mark.parametrize(
    "model",
    [sn.Ising(np.zeros((30, 30)), 0.3), sn.Bipartite(np.zeros((25, 30))), sn.CurieWeiss(50, J=0.0)],
)
def test_without_couplings_every_theory_is_exact(model):
    d = diagnose(model, 2.0)
    assert (d.theory, d.recommended) == ("naive", "naive")
    assert [d.caution(name) for name in ("naive", "tap", "adaptive-tap", "bethe")] == [""] * 4


def test_a_narrow_layer_is_sent_to_the_sum_that_takes_it():
    model = sn.Bipartite(np.random.default_rng(SEED).standard_normal((30, 4)))
    d = diagnose(model, 1.0)
    assert d.recommended == "exact"
    assert "exact.enumerate" in d.reason
    assert np.isfinite(sn.exact.enumerate(model, 1.0).log_z).all()


def test_each_theory_is_trusted_where_the_diagnosis_trusts_it():
    """Reliable: stable, and no reason against this theory."""
    cases = {
        "iid": (sn.Ising(wigner(100)), 0.5, {"tap", "adaptive-tap", "bethe"}),
        "orthogonal": (sn.Ising(random_orthogonal_model(100)), 0.6, {"adaptive-tap"}),
        "heavy tails": (sn.Ising(cauchy(100)), 0.3, {"bethe"}),
        "alike": (sn.CurieWeiss(500), 1.3, {"naive", "tap", "adaptive-tap", "bethe"}),
        "star": (sn.Ising.from_graph(nx.star_graph(8)), 0.4, {"bethe"}),
    }
    for name, (model, beta, trusted) in cases.items():
        for theory in ("naive", "tap", "adaptive-tap", "bethe"):
            s = sn.solve(model, beta, theory_named(theory), throw=False)
            assert (not s.caution) == (theory in trusted), (name, theory, s.caution)
            assert s.reliable == (s.stable and theory in trusted)
            assert ("unreliable" in s.summary()) == (theory not in trusted)
    with pytest.raises(sn.InputError, match="theory must be one of"):
        diagnose(sn.CurieWeiss(30), 1.0).caution("mean field")


def spiked(n: int, noise: float) -> np.ndarray:
    J = noise * wigner(n) + 1 / n
    np.fill_diagonal(J, 0.0)
    return J


@pytest.mark.slow
def test_the_phase_of_a_spiked_matrix_is_in_dispute_between_both_temperatures():
    """J = 1/N + s W: naive T_c = 1 + s^2; T + s^2/T = T_c gives 1, where TAP orders too."""
    model = sn.Ising(spiked(400, 0.25))
    naive = 1 / sn.critical_beta(model)
    tap = 1 / sn.critical_beta(model, method=theory_named("tap"))
    d = diagnose(model, 1.0)
    assert d.naive_temperature == pytest.approx(naive, rel=1e-9)
    assert d.reduced_temperature == pytest.approx(tap, rel=1e-3)
    assert naive - tap == pytest.approx(0.25**2, rel=0.25)  # 1/N and the noise of lambda_1
    for T, disputed in ((naive * 1.02, False), ((naive + tap) / 2, True), (tap * 0.98, False)):
        d = diagnose(model, 1 / T)
        assert (d.advice is Advice.DISPUTED) == disputed
        assert d.recommended == ("tap" if disputed else "naive")
        s = sn.solve(model, 1 / T)
        assert ("the phase is in dispute" in s.caution) == disputed
        assert s.reliable != disputed
    T = (naive + tap) / 2
    assert np.abs(sn.solve(model, 1 / T).magnetizations).max() > 0.1  # ordered
    reaction = sn.solve(model, 1 / T, theory_named("tap"))
    np.testing.assert_allclose(reaction.magnetizations, 0.0, atol=1e-8)
    assert not reaction.caution


def test_the_second_layer_of_the_bundled_network_is_disputed_at_its_own_temperature():
    """Naive mean field orders at T = 1 (T_c = 1.18), TAP and adaptive TAP (0.98, 0.92) do not."""
    layer = next(layer for layer in sn.networks.load_bundled().layers if layer.name == "fc2")
    model = sn.NetworkDual(layer.weights, layer.bias, kind="bipartite", fields="zero")
    d = diagnose(model, 1.0)
    assert (d.recommended, d.advice) == ("adaptive-tap", Advice.DISPUTED)
    assert "in dispute" in d.reason
    for theory in ("tap", "adaptive-tap"):
        assert sn.critical_beta(model, method=theory_named(theory)) > 1
    s = sn.solve(model, 1.0)
    assert np.abs(s.magnetizations).max() > 0.1
    assert not s.reliable
    assert s.caution.startswith("ordered in naive mean field, T = 1 between its T_c = 1.176")
    assert s.caution in d.summary()


def test_equal_couplings_are_described_in_words():
    for model in (sn.CurieWeiss(50), sn.CurieWeiss(50).to_ising()):
        text = diagnose(model, 0.8).summary()
        assert "nan" not in text
        assert "inf " not in text
        assert "all couplings equal" in text
        assert "no bulk" in text
    text = diagnose(sn.Ising(np.zeros((5, 5))), 0.8).summary()
    assert "nan" not in text
    assert "no couplings" in text
