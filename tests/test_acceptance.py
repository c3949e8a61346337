"""What the package promises, claim by claim: Curie-Weiss, layers, saddle points (items 1 to 10).

The items are those of the list of acceptance checks of the physics reference; each claim is
stated once, through public calls, against closed forms, mpmath, plain sums or printed numbers.
Items 11 to 20 are in test_acceptance_theories.py and test_acceptance_statistics.py.
"""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.special import gammaln, logsumexp

import spinnet as sn
from spinnet.spins.meanfield import critical_temperatures
from spinnet.theory import curie_weiss, dual, layers

SEED = 20170208
WITH_DIAGONAL = sn.NaiveMeanField(diagonal=True)  # the talk's convention: i = j in the sum


def signs(n: int, levels: tuple[int, int] = (-1, 1)) -> np.ndarray:
    return np.array(list(itertools.product(levels, repeat=n)))


# --- Curie-Weiss ------------------------------------------------------------------------------


def exact_saddle(T: float, h: float) -> dict[str, float]:
    """m = tanh(beta (m + h)) of the sign of h (m > 0 for h = 0) and what follows, 40 digits."""
    with mpmath.workdps(40):
        b, field = 1 / mpmath.mpf(T), abs(mpmath.mpf(h))
        low, high = mpmath.mpf(10) ** -30, mpmath.mpf(1)
        ordered = field > 0 or b > 1
        for _ in range(140):
            middle = (low + high) / 2
            above = mpmath.tanh(b * (middle + field)) > middle
            low, high = (middle, high) if above else (low, middle)
        m = (low + high) / 2 if ordered else mpmath.mpf(0)
        local, D = b * (m + field), 1 - b * (1 - m * m)
        s = -sum((1 + k * m) / 2 * mpmath.log((1 + k * m) / 2) for k in (1, -1) if 1 + k * m > 0)
        e = -m * m / 2 - field * m
        values = {"m": m if h >= 0 else -m, "f": e - s / b, "e": e, "s": s}
        if D != 0:
            values |= {"chi": b * (1 - m * m) / D, "c": local**2 * (1 - m * m) / D}
        return {name: float(value) for name, value in values.items()}


@pytest.mark.parametrize("h", [0.0, 0.1, -0.3])
@pytest.mark.parametrize("T", [0.25, 0.5, 0.8, 0.95, 1.0, 1.1, 2.0])
def test_curie_weiss_thermodynamics_follow_the_stated_saddle_point(T, h):
    """Item 1: m, f, e, s, chi, c at 21 points, the m > 0 branch for h = 0."""
    reference = exact_saddle(T, h)
    found = sn.solve(curie_weiss.free_energy(), beta=1 / T, J=1.0, h=h)
    m = float(found.equilibrium())
    assert m == pytest.approx(reference["m"], abs=1e-12)
    at = {curie_weiss.m: m, curie_weiss.beta: 1 / T, curie_weiss.J: 1.0, curie_weiss.h: h}
    assert np.nanmin(found.free_energy) == pytest.approx(reference["f"], abs=1e-13)
    energy = float(curie_weiss.energy().subs(at))
    assert energy == pytest.approx(reference["e"], abs=1e-12)
    assert (energy - np.nanmin(found.free_energy)) / T == pytest.approx(reference["s"], abs=1e-11)
    model = sn.CurieWeiss(1000, h=h)
    s = sn.solve(model, 1 / T, WITH_DIAGONAL)
    assert abs(s.magnetization) == pytest.approx(abs(reference["m"]), abs=1e-11)
    assert s.free_energy == pytest.approx(reference["f"], abs=1e-12)
    if "chi" not in reference:  # T_c without a field
        assert math.isinf(s.susceptibility)
        return
    assert s.susceptibility == pytest.approx(reference["chi"], rel=1e-9)
    for name, expression in (("chi", curie_weiss.susceptibility), ("c", curie_weiss.specific_heat)):
        value = float(expression().subs(at))
        assert value == pytest.approx(reference[name], rel=1e-9, abs=1e-14), name


def test_magnetisation_is_odd_in_the_field_and_exactly_zero_above_the_critical_temperature():
    """Item 1: m(-h) = -m(h); T >= J and h = 0 give 0 and no residue; chi = inf is flagged."""
    fe = curie_weiss.free_energy()
    fields = np.array([0.003, 0.1, 2.0])
    for beta in (0.5, 1.0, 1.4):
        plus, minus = (sn.solve(fe, beta=beta, J=1.0, h=k * fields).equilibrium() for k in (1, -1))
        np.testing.assert_array_equal(plus, -minus)
        assert np.all(plus > 0)
        for h in fields.tolist():
            up, down = (sn.solve(sn.CurieWeiss(500, h=k * h), beta) for k in (1, -1))
            assert up.magnetization == -down.magnetization > 0
    for beta in (0.2, 0.9, 0.999999, 1.0):
        assert np.all(sn.solve(fe, beta=beta, J=1.0, h=0.0).equilibrium() == 0)
        s = sn.solve(sn.CurieWeiss(500), beta, WITH_DIAGONAL, throw=False)
        assert np.all(s.magnetizations == 0)
        assert s.status.name == ("CRITICAL" if beta == 1 else "STABLE")
        assert math.isinf(s.susceptibility) == (beta == 1)


def test_sums_over_the_magnetisation_agree_with_log_binomials_from_one_spin_to_a_thousand():
    """Item 2: N = 1 .. 60 and every 20th to 1000, in a field; 1e-11 is gammaln's rounding."""
    beta, h = 1.0, 0.05
    for n in (*range(1, 61), *range(80, 1001, 20)):
        up = np.arange(n + 1)
        M = 2.0 * up - n
        log_w = gammaln(n + 1) - gammaln(up + 1) - gammaln(n - up + 1) + M**2 / (2 * n) + h * M
        w = np.exp(log_w - log_w.max())
        w /= w.sum()
        found = sn.exact.curie_weiss(n, beta, h=h)
        assert float(found.log_z) == pytest.approx(logsumexp(log_w), rel=1e-11, abs=1e-11)
        m2, m4 = (w * M**2).sum() / n**2, (w * M**4).sum() / n**4
        for value, expected in (
            (found.magnetization, (w * M).sum() / n),
            (found.abs_m, (w * np.abs(M)).sum() / n),
            (found.m2, m2),
            (found.m4, m4),
            (found.binder, 1 - m4 / (3 * m2**2)),
        ):
            assert float(value) == pytest.approx(expected, rel=1e-10)


def test_one_spin_is_a_paramagnet_and_a_million_spins_do_not_overflow():
    """Item 2: N = 1 has m = tanh(beta h), ln Z = ln 2cosh(beta h) + beta J/2; N = 1e6 is finite."""
    beta, h, J = 1.7, 0.4, 0.6
    one = sn.exact.curie_weiss(1, beta, J=J, h=h)
    assert float(one.magnetization) == pytest.approx(math.tanh(beta * h), rel=1e-14)
    expected = math.log(2 * math.cosh(beta * h)) + beta * J / 2
    assert float(one.log_z) == pytest.approx(expected, rel=1e-14)
    n = 10**6
    many = sn.exact.curie_weiss(n, [0.5, 1.0, 5.0], h=[0.0, 0.0, 0.3])
    assert all(np.all(np.isfinite(value)) for value in (many.log_z, many.m2, many.specific_heat))
    # T_c: N^{1/4} <|m|> = 0.9098905883 - 0.0352352642 N^{-1/2} + O(1/N)
    assert n**0.25 * float(many.abs_m[1]) == pytest.approx(0.9098905883 - 3.52352642e-5, abs=1e-6)
    growth = float(many.log_z[1]) - n * math.log(2) - 0.25 * math.log(n)
    assert growth == pytest.approx(math.log(1.3460353224), abs=2e-3)
    ordered = exact_saddle(0.2, 0.3)
    assert float(many.magnetization[2]) == pytest.approx(ordered["m"], abs=1e-6)


def test_binder_cumulant_at_the_critical_temperature_and_its_extrapolation():
    """Item 3: U_N(T_c) printed for N = 100, 1000; U* = 1 - Gamma(1/4)^4/(24 pi^2) from 1e3..1e5."""
    for n, printed in ((100, 0.305584652729), (1000, 0.281417112185)):
        assert float(sn.exact.curie_weiss(n, 1.0).binder) == pytest.approx(printed, abs=1e-12)
    limit = 1 - math.gamma(0.25) ** 4 / (24 * math.pi**2)
    assert limit == pytest.approx(0.27052012825784, abs=1e-14)
    sizes = np.array([1000, 3162, 10_000, 31_623, 100_000])
    binder = np.array([float(sn.exact.curie_weiss(n, 1.0).binder) for n in sizes.tolist()])
    slope, intercept = np.polyfit(sizes**-0.5, binder, 1)
    assert intercept == pytest.approx(limit, abs=1e-4)
    assert slope == pytest.approx(0.3416383754, rel=0.02)
    assert abs(binder[0] - limit) > 0.01  # without the N^{-1/2} term it is not the limit
    assert float(sn.critical.mean_field_scaling(0.0).binder) == pytest.approx(limit, rel=1e-12)


def test_exponents_in_the_number_of_spins_and_the_maxima_of_the_scaling_functions():
    """Item 4: slopes -1/4, 1/2, 1/2 of |m|, chi, tau; maxima at r = -2.2568 and -1.2450."""
    sizes = np.array([2**k for k in range(8, 15)])
    exact = [sn.exact.curie_weiss(n, 1.0) for n in sizes.tolist()]
    tau = [sn.critical.exact_relaxation_time(n, 1.0) for n in sizes.tolist()]
    metropolis = [
        sn.critical.exact_relaxation_time(n, 1.0, sn.Metropolis()) for n in (16, 256, 4096)
    ]
    for values, slope, amplitude in (
        ([e.abs_m for e in exact], -0.25, 0.9098905883),
        ([e.susceptibility for e in exact], 0.5, 1.1708286566),
        (tau, 0.5, 1.2655708555),
    ):
        fit = sn.critical.log_slope(sizes, np.array(values, dtype=float), correction=0.5)
        # terms beyond N^{-1/2} are left out: 6e-4 in the slope of tau, 5e-3 in its amplitude
        assert fit.slope == pytest.approx(slope, abs=1e-3)
        assert fit.amplitude == pytest.approx(amplitude, rel=1e-2)
    assert sn.critical.critical_amplitude() == pytest.approx(1.2655708555, abs=1e-10)
    for n, printed in ((16, 1.3842), (256, 1.3062), (4096, 1.2763)):
        value = sn.critical.exact_relaxation_time(n, 1.0) / math.sqrt(n)
        assert value == pytest.approx(printed, abs=5e-5), n
    np.testing.assert_allclose(
        metropolis / np.sqrt([16, 256, 4096]), [0.8946, 0.7519, 0.6864], atol=5e-5
    )
    for quantity, r, height in (
        ("specific_heat", -2.2568473920, 1.6572974585),
        ("susceptibility_abs", -1.2449799295, 0.5149305717),
    ):
        peak = sn.critical.maximum_of(quantity)
        assert peak.r == pytest.approx(r, abs=1e-8)
        assert peak.height == pytest.approx(height, abs=1e-9)
    # exact maxima from plain sums over M; the printed 1.50403 .. 1.65179 are maxima over a grid,
    # low by 1e-4 to 3e-4
    for n, height in ((10**3, 1.504155), (10**4, 1.606470), (10**5, 1.640961), (10**6, 1.652104)):
        r = np.linspace(-2.26, -2.05, 43)
        heat = sn.exact.curie_weiss(n, 1 / (1 + r / math.sqrt(n))).specific_heat
        assert heat.max() == pytest.approx(height, abs=1e-5), n
    assert r[heat.argmax()] == pytest.approx(-2.2568473920, abs=0.02)


# --- the dual of a layer ----------------------------------------------------------------------


def test_zero_one_layers_are_spin_systems_state_by_state():
    """Item 5: energies to 1e-12 for rectangular w with both biases; congruence; wrong variants."""
    rng = np.random.default_rng(SEED)
    w, g, h, norm = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3), 2.5
    bits, states = signs(8, (0, 1)), signs(8)  # the same order: a = (1 + sigma)/2
    a, b = bits[:, :5], bits[:, 5:]
    printed = -np.einsum("si,ij,sj->s", a, w, b) / norm - a @ g - b @ h
    layer = sn.Bipartite(w, g, h, scale=1 / norm)
    np.testing.assert_allclose(layer.energy(bits), printed, atol=1e-12)
    np.testing.assert_allclose(layer.to_spins().energy(states), printed, atol=1e-12)
    np.testing.assert_allclose(layer.to_ising().energy(states), printed, atol=1e-12)
    network = sn.NetworkDual(w, h, norm=norm)  # the same with g = 0
    np.testing.assert_allclose(network.energy(states), printed + a @ g, atol=1e-12)
    # the padded matrix by congruence: couplings w/4, fields, constant
    matrix = layers.padded(*map(sp.Matrix, (w, h, g)), norm=norm)
    padded = np.array(layers.congruent(matrix).tolist(), dtype=float)
    sigma, tau = (np.column_stack([np.ones(256), part]) for part in (states[:, :5], states[:, 5:]))
    energy = -np.einsum("si,ij,sj->s", sigma, padded, tau) / norm
    np.testing.assert_allclose(energy, printed, atol=1e-12)
    # wrong variants must show: the same w, a sign, the biases in the other row
    same = sn.Bipartite(w, g, h, levels=(-1, 1), scale=1 / norm).energy(states)
    sign = sn.Bipartite(w, -g, h, scale=1 / norm).to_spins().energy(states)
    for wrong in (same, sign):
        assert np.ptp(wrong - printed) > 0.5
    swapped = sp.Matrix(matrix)
    swapped[0, 1], swapped[1, 0] = matrix[1, 0], matrix[0, 1]
    other = np.array(layers.congruent(swapped).tolist(), dtype=float)
    assert np.abs(np.einsum("si,ij,sj->s", sigma, other - padded, tau)).max() / norm > 0.1


def test_fully_connected_weights_count_through_their_symmetric_part():
    """Item 6: W -> W^T and W + antisymmetric leave V, F, T_c and Monte Carlo energies as they are.

    Whole numbers, so that (W + W^T)/2 is the same bit for bit and so is every sampled energy.
    """
    rng = np.random.default_rng(SEED)
    n = 8
    W, X = rng.integers(-2, 6, (n, n)).astype(float), rng.integers(-9, 9, (n, n)).astype(float)
    models = [sn.NetworkDual(V, 0.125, kind="collapsed") for V in (W, W.T, W + X - X.T)]
    states = signs(n)
    printed = -np.einsum("si,ij,sj->s", states, W, states) / (2 * n) - 0.125 * states.sum(axis=1)
    solutions = [sn.solve(model, 1.5) for model in models]
    runs = [sn.sample(model, 1.0, n_sweeps=200, n_replicas=8, rng=SEED) for model in models]
    for model, s, run in zip(models, solutions, runs, strict=True):
        np.testing.assert_allclose(model.energy(states), printed, atol=1e-12)
        np.testing.assert_allclose(s.magnetizations, solutions[0].magnetizations, atol=1e-11)
        assert s.free_energy == pytest.approx(solutions[0].free_energy, abs=1e-12)
        assert sn.critical_beta(model) == pytest.approx(sn.critical_beta(models[0]), rel=1e-12)
        np.testing.assert_array_equal(run.series["energy"], runs[0].series["energy"])
    assert sn.solve(sn.NetworkDual(W + X, 0.125, kind="collapsed"), 1.5).free_energy != (
        pytest.approx(solutions[0].free_energy, abs=1e-3)
    )


def test_gradient_and_hessian_of_the_saddle_hamiltonian():
    """Item 7: finite differences at random points; det(Hessian) = (-1)^N det(1 - beta A D/N)."""
    n, rng = 3, np.random.default_rng(SEED)
    W, h, beta = rng.normal(size=(n, n)), rng.normal(size=n), 1.3
    numbers = {dual.beta: beta}
    numbers |= dict(zip([*dual.weights(n), *dual.fields(n)], [*W.ravel(), *h], strict=True))
    symbols = [*dual.order(n), *dual.conjugate(n)]

    def action(*place):  # H^g as stated, by hand
        V, U = np.array(place[:n]), np.array(place[n:])
        pair = -beta * (V @ W @ V) / (2 * n) - beta * (h @ V) + U @ V
        return pair - sum(mpmath.log(mpmath.cosh(u)) for u in U)

    for point in rng.normal(size=(2, 2 * n)).tolist():
        at = numbers | dict(zip(symbols, point, strict=True))
        gradient = [float(x.subs(at)) for x in dual.gradient(n)]
        hessian = np.array(dual.hessian(n).subs(at).tolist(), dtype=float)
        with mpmath.workdps(30):
            for i, j in itertools.combinations_with_replacement(range(2 * n), 2):
                order = tuple(int(k == i) + int(k == j) for k in range(2 * n))
                second = float(mpmath.diff(action, tuple(point), order))
                assert hessian[i, j] == pytest.approx(second, abs=1e-9)
            for i in range(2 * n):
                first = mpmath.diff(action, tuple(point), tuple(int(k == i) for k in range(2 * n)))
                assert gradient[i] == pytest.approx(float(first), abs=1e-9)
        D = np.diag(1 / np.cosh(point[n:]) ** 2)
        expected = (-1) ** n * np.linalg.det(np.eye(n) - beta * (W + W.T) / 2 @ D / n)
        assert np.linalg.det(hessian) == pytest.approx(expected, rel=1e-10)


def test_magnetisation_and_responses_are_derivatives_of_the_free_energies():
    """Item 8: -dF0/dh = mean V, dV/dh, chi = mean dV/dh, F1 = F0 + (T/2N) ln det; labels below T_c.

    Central differences of step 1e-5 in a uniform field: 1e-9.
    """
    rng = np.random.default_rng(SEED)
    n, T, step = 7, 1.3, 1e-5
    W, h = rng.normal(size=(n, n)) + 1.0, rng.normal(size=n) / 3
    up, s, down = (
        sn.solve(sn.NetworkDual(W, h + k * step, kind="collapsed"), 1 / T) for k in (1, 0, -1)
    )
    assert -(up.free_energy - down.free_energy) / (2 * step) == pytest.approx(
        s.magnetizations.mean(), abs=1e-9
    )
    moved = (up.magnetizations - down.magnetizations) / (2 * step)
    np.testing.assert_allclose(s.uniform_response, moved, atol=1e-8)
    np.testing.assert_allclose(s.response.sum(axis=1), moved, atol=1e-8)
    assert s.susceptibility == pytest.approx(moved.mean(), abs=1e-9)
    A = (W + W.T) / 2 * (1 - np.eye(n))
    D = 1 - s.magnetizations**2
    log_det = np.linalg.slogdet(np.eye(n) - A * D / (n * T))[1]
    assert s.free_energy_one_loop == pytest.approx(s.free_energy + T * log_det / (2 * n), abs=1e-12)
    # without a field: 0 above T_c, not 0 below, where V = 0 is kept and labelled
    model = sn.NetworkDual(W, kind="collapsed")
    T_c = np.linalg.eigvalsh(A)[-1] / n
    assert 1 / sn.critical_beta(model) == pytest.approx(T_c, rel=1e-12)
    above, below = sn.solve(model, 1 / (1.01 * T_c)), sn.solve(model, 1 / (0.9 * T_c))
    assert np.all(above.magnetizations == 0)
    assert np.all(np.abs(below.magnetizations) > 0.01)
    (zero,) = [b for b in below.unstable_branches if np.all(b.magnetizations == 0)]
    assert zero.status.name == "UNSTABLE"
    assert 1 - zero.distance_to_instability == pytest.approx(1 / 0.9, rel=1e-9)  # lambda_max > 1


def test_two_layers_of_positive_weights_are_bounded_by_two_copies_of_one():
    """Item 9: ln Z_bip(W) <= 2 ln Z_full(W/2) for W >= 0, equal ground states; CW at one loop."""
    rng = np.random.default_rng(SEED)
    n = 6
    states = signs(n)
    for k in range(20):
        X = rng.normal(size=(n, 1 + k % n))
        W = X @ X.T
        two = sn.Bipartite(W, levels=(-1, 1), scale=1 / (2 * n))
        one = sn.NetworkDual(W / 2, kind="collapsed")
        beta = [0.3, 1.0, 3.0]
        gap = 2 * sn.exact.enumerate(one, beta).log_z - sn.exact.enumerate(two, beta).log_z
        assert np.all(gap > -1e-12)
        lowest = two.energy(signs(2 * n)).min()
        assert lowest == pytest.approx(2 * one.energy(states).min(), rel=1e-12)
    # an indefinite W breaks the bound: two antiferromagnetic layers order, one does not
    bad = -np.ones((n, n))
    two = sn.Bipartite(bad, levels=(-1, 1), scale=1 / (2 * n))
    one = sn.NetworkDual(bad / 2, kind="collapsed")
    difference = sn.exact.enumerate(two, 2.0).log_z - 2 * sn.exact.enumerate(one, 2.0).log_z
    assert float(difference) > 0.5
    # Curie-Weiss: 1/2 ln[(1 - K/2)/(1 + K/2)], -0.548753 at N = 800 for K = 1
    size = 800
    up = np.arange(size + 1)
    M, count = 2.0 * up - size, gammaln(size + 1) - gammaln(up + 1) - gammaln(size - up + 1)
    both = logsumexp(count[:, None] + count + np.outer(M, M) / (2 * size))
    exact = both - 2 * float(sn.exact.curie_weiss(size, 1.0, J=0.5).log_z)
    loop = float(layers.log_ratio_at_one_loop([sp.Rational(1, 2)]))
    assert loop == pytest.approx(0.5 * math.log((1 - 0.5) / (1 + 0.5)), rel=1e-14)
    assert exact == pytest.approx(-0.548753, abs=1e-6)
    assert exact == pytest.approx(loop, abs=1e-3)


def test_one_homogeneous_network_has_five_critical_temperatures_with_their_names():
    """Item 10: w_ij = w, norm 2N, h = -w/2: w, w/2, w/8, w/4, exact 0.0851848833 w; each labelled.

    The exact one is w/(8 K_c), K_c = 1/(1 - x^2), x = tanh(1/(1 + x)), solved here by mpmath.
    """
    x = mpmath.findroot(lambda x: x - mpmath.tanh(1 / (1 + x)), 0.5)
    exact = float((1 - x**2) / 8)
    assert exact == pytest.approx(0.08518488329, abs=5e-12)
    n, w = 30, 1.7
    h, W = -w / 2, np.full((n, n), w)
    talk = critical_temperatures(sn.NetworkDual(W, kind="collapsed"), WITH_DIAGONAL, theories=())[
        "lambda_max"
    ]
    same = critical_temperatures(sn.Bipartite(W, levels=(-1, 1), scale=1 / (2 * n)), theories=())[
        "lambda_max"
    ]
    table = critical_temperatures(sn.NetworkDual(W, h, norm=2 * n), theories=())
    dropped, kept = table["lambda_max"], table["with its fields"]
    # one layer of {0, 1}, H = -(w/2N) A^2 - h A: J = w/4, field h/2 + w/4 = 0 at h = -w/2
    gas = critical_temperatures(
        sn.CurieWeiss(n, J=w / 4, h=h / 2 + w / 4), WITH_DIAGONAL, theories=()
    )["lambda_max"]
    rows = {"talk": talk, "same": same, "dropped": dropped, "gas": gas, "exact": kept}
    expected = {"talk": 1, "same": 1 / 2, "dropped": 1 / 8, "gas": 1 / 4, "exact": exact}
    for name, value in expected.items():
        assert rows[name].temperature == pytest.approx(value * w, rel=1e-9), name
    assert len({round(row.temperature, 6) for row in rows.values()}) == 5
    assert len({(row.model, row.label, row.meaning) for row in rows.values()}) == 5
    assert "D1 collapsed" in talk.model
    assert "levels (-1, 1)" in same.model
    assert "D0 bipartite" in dropped.model
    assert "(fields dropped)" in dropped.model
    assert "(fields kept)" in kept.model
    assert f"bias = {h:g}" in kept.model
    # away from h = -w/2 the same network has no transition
    other = critical_temperatures(sn.NetworkDual(W, -0.4 * w, norm=2 * n), theories=())
    assert math.isnan(other["with its fields"].temperature)
