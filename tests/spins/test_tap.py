"""TAP as a method: which solution wins, how it is labelled, and where its paramagnet ends."""

import itertools
import json
import math

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from scipy.optimize import brentq

import spinnet as sn
from spinnet.errors import ConvergenceError, InputError
from spinnet.spins.meanfield import Status
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.meanfield.tap import TAP
from spinnet.spins.meanfield.tap.descent import truncated_solve
from spinnet.spins.meanfield.tap.functional import TapFunctional
from spinnet.spins.meanfield.tap.message_passing import pass_messages
from spinnet.spins.meanfield.tap.method import _convex


def gaussian(n: int, rng: np.random.Generator) -> np.ndarray:
    """Couplings of Sherrington and Kirkpatrick with J = 1, variance 1/n."""
    J = np.triu(rng.standard_normal((n, n)), 1) / np.sqrt(n)
    return J + J.T


def circulant(n: int) -> np.ndarray:
    """Equal rows up to shifts, entries of both signs; all sums of squares agree."""
    row = np.cos(1 + 2.7 * np.minimum(np.arange(n), n - np.arange(n))) + 0.2
    row[0] = 0
    return row[(np.arange(n)[None] - np.arange(n)[:, None]) % n]


def test_paramagnet_is_exactly_zero_above_the_critical_temperature():
    for seed in range(5):
        model = sn.Ising(gaussian(30, np.random.default_rng(seed)))
        T = 1.02 * TAP().critical_temperature(model)
        s = sn.solve(model, 1 / T, TAP())
        assert np.all(s.magnetizations == 0)
        assert s.stable
        assert s.plefka > 0
        rows = (model.couplings**2).sum(axis=1)
        assert s.free_energy == pytest.approx(-T * math.log(2) - rows.mean() / (4 * T), abs=1e-13)


def test_paramagnet_loses_its_label_exactly_at_the_critical_temperature():
    """Just above it is STABLE, just below UNSTABLE or SPURIOUS, for every shape of couplings."""
    rng = np.random.default_rng(5)
    graph = nx.random_regular_graph(4, 500, seed=1)
    models = [
        sn.Ising(gaussian(25, rng)),
        sn.Ising(gaussian(25, rng) + 3 / 25 * (1 - np.eye(25))),
        sn.CurieWeiss(50, 1.3),
        sn.CurieWeiss(50, -1.3),
        sn.Bipartite(rng.standard_normal((6, 11)), levels=(-1, 1)),
        sn.Ising(sp.csr_array(nx.adjacency_matrix(graph)).astype(float)),
    ]
    ends = set()
    for model in models:
        T = TAP().critical_temperature(model)
        zero = {}
        for factor in (0.9999, 1.0001):
            s = sn.solve(model, 1 / (factor * T), TAP(n_starts=0), throw=False)
            every = (*s.all_branches, *s.unstable_branches)
            zero[factor] = next(b for b in every if np.all(b._spins == 0)).status
        assert zero[1.0001] is Status.STABLE, repr(model)
        ends.add(zero[0.9999])
    assert ends == {Status.UNSTABLE, Status.SPURIOUS}


def test_critical_temperature_solves_the_quadratic_where_all_rows_have_one_norm():
    """T = (lambda + sqrt(lambda^2 - 4 r))/2: a circulant matrix by its Fourier sums."""
    J = circulant(31)
    lam = max(float(J[0] @ np.cos(2 * np.pi * k * np.arange(31) / 31)) for k in range(31))
    r = float(J[0] @ J[0])
    assert lam**2 > 4 * r
    expected = (lam + math.sqrt(lam**2 - 4 * r)) / 2
    assert TAP().critical_temperature(sn.Ising(J)) == pytest.approx(expected, rel=1e-10)
    n, g = 200, 1.7
    lam, r = g * (1 - 1 / n), (n - 1) * (g / n) ** 2
    expected = (lam + math.sqrt(lam**2 - 4 * r)) / 2
    assert sn.critical_beta(sn.CurieWeiss(n, g), TAP()) == pytest.approx(1 / expected, rel=1e-12)


def test_critical_temperature_with_unequal_rows_is_where_the_hessian_is_singular():
    """Against a bracketed root of the smallest eigenvalue, from an array of temperatures."""
    J = 0.2 * gaussian(20, np.random.default_rng(2)) + 1 / 20
    J *= np.outer(np.linspace(0.5, 1.5, 20), np.linspace(0.5, 1.5, 20))
    np.fill_diagonal(J, 0)
    rows = (J**2).sum(axis=1)

    def lowest(T):
        return np.linalg.eigvalsh(np.eye(20) + np.diag(rows) / T**2 - J / T)[0]

    grid = np.linspace(3, 0.3, 2000)
    first = int(np.argmax(np.array([lowest(T) for T in grid]) < 0))
    assert first > 0
    root = brentq(lowest, grid[first], grid[first - 1], xtol=1e-14)
    assert root > math.sqrt(rows.mean())
    assert TAP().critical_temperature(sn.Ising(J)) == pytest.approx(root, rel=1e-9)


def test_critical_temperature_without_an_outlier_is_that_of_the_glass():
    """Orthogonal rows of signs: all singular values sqrt(n_b), inside the bulk of random signs."""
    n_a, n_b = 4, 8
    rows = scipy.linalg.hadamard(n_b)[:n_a].astype(float)
    expected = (n_a * n_b) ** 0.25
    assert TAP().critical_temperature(sn.Bipartite(rows, levels=(-1, 1))) == pytest.approx(
        expected, rel=1e-12
    )
    two = sn.Ising([[0, 0.7], [0.7, 0]])
    assert TAP().critical_temperature(two) == pytest.approx(0.7, rel=1e-12)


def test_critical_temperature_needs_couplings_and_drops_fields():
    with pytest.raises(InputError, match="must have couplings"):
        sn.critical_beta(sn.Ising(np.zeros((4, 4))), TAP())
    J = circulant(9)
    assert sn.critical_beta(sn.Ising(J, 0.5), TAP()) == sn.critical_beta(sn.Ising(J), TAP())


def test_spurious_minimum_never_wins():
    """At T = J/2 the paramagnet is a deep minimum of F_TAP that Plefka's condition forbids."""
    model = sn.Ising(gaussian(16, np.random.default_rng(1)))
    with pytest.raises(ConvergenceError, match="Plefka") as caught:
        sn.solve(model, 2.0, TAP())
    last = caught.value.solution
    assert last.status is Status.SPURIOUS
    assert last.plefka < 0
    assert last.distance_to_instability > 0
    assert last.all_branches == ()
    low = sn.solve(model, 10.0, TAP())  # frozen states exist again near T = 0
    zero = next(b for b in low.unstable_branches if np.all(b._spins == 0))
    assert zero.status is Status.SPURIOUS
    assert zero.free_energy < low.free_energy
    assert low.stable
    assert low.plefka > 0
    assert "metastable" in low.note


def test_newton_step_uses_the_hessian_and_descends_where_that_is_indefinite():
    """C y without C equals C in full; conjugate gradients stop with a direction of descent."""
    rng = np.random.default_rng(7)
    J = 0.15 * gaussian(10, rng) + 0.2
    np.fill_diagonal(J, 0)
    functional = TapFunctional.of(
        system_of(sn.Ising(J), diagonal=False).coupling, np.zeros(10), 1.4
    )
    point = functional.at(rng.standard_normal(10))
    y = rng.standard_normal(10)
    full = J + 2 * 1.4 * J**2 * np.outer(point.m, point.m)
    np.testing.assert_allclose(functional.bend(point, y), full @ y, rtol=1e-12)
    origin = functional.at(np.zeros(10))
    scale = functional.scales(origin)
    matrix = np.eye(10) - scale[:, None] * J * scale
    values, vectors = np.linalg.eigh(matrix)
    assert values[0] < 0
    z = truncated_solve(functional, origin, scale, vectors[:, 0], 0.1)
    assert z @ vectors[:, 0] > 0.5


def test_constant_of_a_model_is_part_of_its_free_energy():
    """Units of 0 and 1 at weak couplings: TAP's error is of third order, about 1e-6 here."""
    w = 0.2 * np.cos(1 + 2 * np.arange(15.0)).reshape(3, 5)
    model = sn.Bipartite(w, 0.3, -0.2, levels=(0, 1))
    exact = sn.exact.enumerate(model, 1.0).free_energy
    assert sn.solve(model, 1.0, TAP()).free_energy == pytest.approx(float(exact), abs=1e-5)
    assert model.to_spins().constant != 0


def test_answers_have_positive_definite_hessians_and_lowest_free_energy_first():
    rng = np.random.default_rng(8)
    for beta in (3.0, 20.0):
        J, h = gaussian(40, rng), 0.3
        s = sn.solve(sn.Ising(J, h), beta, TAP(), throw=False)
        for branch in (*s.all_branches, *s.unstable_branches):
            m = branch.magnetizations
            d = 1 - m**2
            root = np.sqrt(d)
            inner = np.diag(1 + beta**2 * d * (J**2 @ d))
            inner -= beta * root[:, None] * J * root
            inner -= 2 * beta**2 * np.outer(root * m, root * m) * J**2
            positive = np.linalg.eigvalsh(inner)[0] > 0
            x = 1 - beta**2 * np.mean(J**2 @ d**2)
            assert branch.plefka == pytest.approx(x, abs=1e-10)
            assert (branch.status is Status.STABLE) == (positive and x > 0)
        energies = [b.free_energy for b in s.all_branches]
        assert energies == sorted(energies)


def test_ferromagnet_below_its_critical_temperature_has_two_mirror_states():
    s = sn.solve(sn.CurieWeiss(400), 1 / 0.8, TAP())
    assert s.stable
    assert s.magnetization > 0
    first, second = s.all_branches
    assert second.magnetization == -first.magnetization
    assert s.unstable_branches[0].status is Status.UNSTABLE
    assert s.note == ""
    exact = sn.exact.curie_weiss(400, 1 / 0.8)
    # the error is O(1/N) of the fluctuations' O(1/N) term
    assert s.free_energy_wells == pytest.approx(float(exact.free_energy), abs=3 / 400)


def test_regular_ferromagnet_solves_the_scalar_equation():
    """m = tanh(beta (h + k J m - beta k J^2 m (1 - m^2))) and its derivative, 2000 spins."""
    k, J, h, beta = 6, 0.3, 0.1, 0.9
    graph = nx.random_regular_graph(k, 2000, seed=2)
    model = sn.Ising(J * sp.csr_array(nx.adjacency_matrix(graph)).astype(float), h)
    s = sn.solve(model, beta, TAP(n_starts=2))

    def local(m, field):
        return beta * (field + k * J * m - beta * k * J**2 * m * (1 - m**2))

    def root(field):
        return brentq(lambda m: m - math.tanh(local(m, field)), 0.3, 1, xtol=1e-15)

    np.testing.assert_allclose(s.magnetizations, root(h), rtol=1e-11)
    chi = (root(h + 1e-5) - root(h - 1e-5)) / 2e-5
    assert s.susceptibility == pytest.approx(chi, rel=1e-7)


def test_low_temperature_keeps_every_digit():
    """At beta = 1e4 the states are those of T = 0: F is the ground-state energy, chi is 0."""
    J = gaussian(12, np.random.default_rng(4))
    states = np.array(list(itertools.product((-1.0, 1.0), repeat=12)))
    energy = -np.einsum("ki,ij,kj->k", states, J, states) / 2 - 0.1 * states.sum(axis=1)
    s = sn.solve(sn.Ising(J, 0.1), 1e4, TAP(n_starts=30))
    assert 12 * s.free_energy == pytest.approx(energy.min(), abs=1e-9)
    np.testing.assert_array_equal(s.magnetizations, states[np.argmin(energy)])
    assert s.stable
    assert np.all(np.isfinite(s.response))
    assert abs(s.log_det) < 1e-6


@pytest.mark.parametrize("beta", [1e-300, 1e-12, 1e40])
def test_extreme_temperatures_give_finite_numbers(beta):
    for model in (
        sn.CurieWeiss(20, 1.0, 0.1),
        sn.Ising(gaussian(9, np.random.default_rng(1)), 0.1),
    ):
        s = sn.solve(model, beta, TAP())
        assert s.stable
        assert math.isfinite(s.free_energy)
        if beta < 1:  # m = beta h (1 + O(beta))
            np.testing.assert_allclose(s.magnetizations, 0.1 * beta, rtol=1e-9)


def test_small_magnetisation_keeps_its_relative_precision():
    """m = beta h/(1 - beta J' + ...) with h = 1e-30: the uniform response times h."""
    s = sn.solve(sn.CurieWeiss(30, 0.5, 1e-30), 1.0, TAP())
    zero = sn.solve(sn.CurieWeiss(30, 0.5), 1.0, TAP())
    np.testing.assert_allclose(s.magnetizations, 1e-30 * zero.susceptibility, rtol=1e-10)


def test_one_spin_and_no_couplings():
    for model in (
        sn.Ising([[0.0]], 0.3),
        sn.Ising(np.zeros((4, 4)), 0.3),
        sn.CurieWeiss(1, 5, 0.3),
    ):
        s = sn.solve(model, 2.0, TAP())
        np.testing.assert_allclose(s.magnetizations, math.tanh(0.6), rtol=1e-13)
        assert s.plefka == 1
        assert s.susceptibility == pytest.approx(2 / math.cosh(0.6) ** 2, rel=1e-12)


def test_convexity_bound_never_claims_too_much():
    """Where the bound says convex, random points have positive Hessians."""
    assert _convex(0.0, 0.0)
    assert not _convex(1.0, 0.0)
    rng = np.random.default_rng(3)
    claimed = 0
    for _ in range(200):
        J = gaussian(8, rng) + rng.choice([0.0, 0.5]) * rng.random() * (1 - np.eye(8))
        beta = rng.uniform(0.1, 1.2)
        rows = (J**2).sum(axis=1)
        if not _convex(beta * np.linalg.eigvalsh(J)[-1], beta**2 * rows.max()):
            continue
        claimed += 1
        functional = TapFunctional.of(
            system_of(sn.Ising(J), diagonal=False).coupling, 0 * rows, beta
        )
        for _ in range(10):
            m = np.tanh(rng.standard_normal(8) * rng.choice([0.3, 1, 3]))
            d = 1 - m**2
            hessian = np.diag(1 / d + beta**2 * (J**2 @ d)) - beta * J
            hessian -= 2 * beta**2 * J**2 * np.outer(m, m)
            assert np.linalg.eigvalsh(hessian)[0] > 0
        assert functional.plefka(functional.at(np.zeros(8))) > 0
    assert claimed > 50


def test_message_passing_converges_where_the_naive_iteration_repels():
    """RS phase of SK at T = 0.8, h = 0.5 (AT line at 0.535); N = 300.

    m <- tanh beta(h + J m - beta m K(1 - m^2)) ends in a cycle there: its linear part at the
    solution has an eigenvalue below -1, while one more step of message passing contracts.
    """
    J, beta, h = gaussian(300, np.random.default_rng(6)), 1.25, 0.5
    model = sn.Ising(J, h)
    s = sn.solve(model, beta, TAP(n_starts=0))
    assert s.message_passing_converged
    functional = TapFunctional.of(system_of(model, diagonal=False).coupling, np.full(300, h), beta)
    passing = pass_messages(functional, np.zeros((300, 1)), 200)
    assert passing.converged[0]
    np.testing.assert_allclose(np.tanh(passing.x[:, 0]), s.magnetizations, atol=1e-4)
    m = np.zeros(300)
    for _ in range(500):
        before, m = m, np.tanh(beta * (h + J @ m - beta * m * (J**2 @ (1 - m**2))))
    assert np.abs(m - before).max() > 0.1


def test_results_are_plain_json_and_repeatable():
    model = sn.Ising(gaussian(30, np.random.default_rng(9)), 0.1)
    first = sn.solve(model, 3.0, TAP(rng=3), throw=False)
    second = sn.solve(model, 3.0, TAP(rng=3), throw=False)
    text = json.dumps(first.to_dict(), allow_nan=False)
    assert text == json.dumps(second.to_dict(), allow_nan=False)
    assert json.loads(text)["free_energy_one_loop"] is None
    assert "Plefka's x" in first.summary()


def test_refusal_names_what_suits_the_couplings_better():
    glass = sn.Ising(gaussian(300, np.random.default_rng(3)))
    cases = {
        "sn.exact.enumerate sums": (sn.Ising([[0, 1], [1, 0]]), 2.0),
        "sn.exact.curie_weiss is exact": (sn.CurieWeiss(10, J=-1.0), 5.0),
        "sample the model by Monte Carlo": (glass, 1.1),
    }
    for words, (model, beta) in cases.items():
        with pytest.raises(ConvergenceError, match=words) as caught:
            sn.solve(model, beta, TAP(n_starts=0))
        assert caught.value.solution.status is Status.SPURIOUS
        assert not caught.value.solution.all_branches
        assert sn.solve(model, beta, TAP(n_starts=0), throw=False).plefka < 0


def test_point_of_a_refusal_violates_plefkas_condition_least():
    model = sn.Ising(gaussian(40, np.random.default_rng(0)))
    s = sn.solve(model, 1.6, TAP(), throw=False)
    others = [b.plefka for b in s.unstable_branches]
    assert len(set(others)) > 1
    assert s.plefka == max(others)
    assert not s.all_branches


def test_mirror_images_are_one_state_in_the_note():
    s = sn.solve(sn.CurieWeiss(10), 20.0, TAP())  # beta T_SG = 6
    assert len(s.all_branches) == 2
    assert "distinct" not in s.note


def test_frozen_antiferromagnet_is_solved_spin_by_spin():
    model = sn.CurieWeiss(10, J=-1.0)
    s, full = sn.solve(model, 50.0, TAP()), sn.solve(model.to_ising(), 50.0, TAP())
    assert s.free_energy == pytest.approx(full.free_energy, rel=1e-12)
    assert sorted(s.magnetizations) == pytest.approx(sorted(full.magnetizations), rel=1e-9)
    assert s.stable
    assert abs(s.magnetizations.sum()) < 1e-9  # five up, five down
    assert s.label.startswith("Curie-Weiss")


def test_too_few_steps_are_reported_with_the_last_point():
    model = sn.Ising(gaussian(30, np.random.default_rng(1)), 0.3)
    method = TAP(max_steps=1, message_passing_steps=1, n_starts=0)
    with pytest.raises(ConvergenceError, match="max_steps") as caught:
        sn.solve(model, 1.0, method)
    assert caught.value.solution.status is Status.MAX_STEPS
    assert sn.solve(model, 1.0, method, throw=False).residual > 1e-12
    assert sn.solve(model, 1.0, TAP(message_passing_steps=0)).stable


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_starts": -1}, "n_starts must be an integer >= 0, got -1"),
        ({"n_starts": True}, "n_starts"),
        ({"rtol": 1}, "rtol must lie in"),
        ({"rtol": math.nan}, "rtol must be finite"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
        ({"message_passing_steps": 1.5}, "message_passing_steps"),
    ],
)
def test_bad_tolerances_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        TAP(**arguments)
