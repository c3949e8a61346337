"""What the package promises, claim by claim: theories beyond naive mean field (items 11 to 13).

The items are those of the list of acceptance checks of the physics reference; what TAP, adaptive
TAP and Bethe are judged by is here too.  Printed numbers of random couplings belong to instances
that are not given: the same differences are taken over instances drawn here.
"""

from __future__ import annotations

import math
import zlib

import mpmath
import numpy as np
import pytest

import spinnet as sn
from spinnet.spins.meanfield import adaptive, bethe, critical_temperatures


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers whose seed is the checksum of the test's name."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


def sherrington_kirkpatrick(n: int, rng: np.random.Generator) -> sn.Ising:
    J = np.triu(rng.standard_normal((n, n)), 1) / math.sqrt(n)
    return sn.Ising(J + J.T)


def random_orthogonal(n: int, rng: np.random.Generator) -> np.ndarray:
    """A Haar-rotated matrix, half of its eigenvalues +1 and half -1."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    q *= np.sign(np.diagonal(r))
    return (q * np.repeat([1.0, -1.0], n // 2)) @ q.T


def cauchy(n: int, rng: np.random.Generator) -> sn.Ising:
    J = np.triu(rng.standard_cauchy((n, n)), 1) / n
    return sn.Ising(J + J.T)


def agree(values: list[float], expected: float, bias: float = 0.0) -> None:
    """Assert that a mean over instances is as expected within 4 standard errors and a bias."""
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    state = f"mean {np.mean(values):.6g} +- {error:.2g}, expected {expected:.6g}, bias {bias:.2g}"
    assert abs(np.mean(values) - expected) < 4 * error + bias, state


# --- random signs -----------------------------------------------------------------------------


@pytest.mark.statistical
def test_lambda_max_of_random_signs_never_stands_alone(rng):
    """Item 11: SK: lambda_max = 2 J is reported beside the Onsager-corrected T = J, with a caution.

    N = 400: the edge and T_SG fluctuate by N^{-2/3} and 1/N; 6 % is more than 4 deviations.
    """
    model = sherrington_kirkpatrick(400, rng)
    table = critical_temperatures(model, theories=(sn.TAP(),))
    assert table["lambda_max"].temperature == pytest.approx(2.0, rel=0.06)
    assert "Onsager" in table["lambda_max"].note
    for label in ("Onsager T_SG", sn.TAP().label):
        assert table[label].temperature == pytest.approx(1.0, rel=0.06), label
    text = table.summary()
    assert "lambda_max" in text
    assert "Onsager T_SG" in text
    assert not sn.solve(model, 1 / 1.9, throw=False).reliable  # between the two it orders wrongly
    assert sn.critical_beta(model, sn.TAP()) == pytest.approx(1.0, rel=0.06)
    assert sn.diagnose(model, 1 / 1.5).theory == "tap"


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("T", "naive", "tap", "one_loop"),
    [
        (3.0, -2.0794 + 2.1548, -2.1570 + 2.1548, -2.1644 + 2.1548),
        (1.7, -1.1784 + 1.3123, -1.3180 + 1.3123, -1.4513 + 1.3123),
    ],
)
def test_theories_of_sixteen_random_spins_against_enumeration(T, naive, tap, one_loop, rng):
    """Item 11: TAP is nearer than naive mean field on every instance; printed F minus exact F.

    The printed differences are of one instance: 4 standard deviations of 24 (Student: one false
    alarm in 1800 each).  At the paramagnet TAP is -T ln 2 - (15/16)/(4T) in the mean, exactly.
    """
    found = {name: [] for name in ("naive", "tap", "one loop", "adaptive", "bethe")}
    free = []
    for _ in range(24):
        model = sherrington_kirkpatrick(16, rng)
        exact = float(sn.exact.enumerate(model, 1 / T).free_energy)
        plain = sn.solve(model, 1 / T)
        free.append(sn.solve(model, 1 / T, sn.TAP()).free_energy)
        found["naive"].append(plain.free_energy - exact)
        found["tap"].append(free[-1] - exact)
        found["adaptive"].append(
            sn.solve(model, 1 / T, sn.AdaptiveTAP(n_starts=0)).free_energy - exact
        )
        found["bethe"].append(sn.solve(model, 1 / T, sn.Bethe(), throw=False).free_energy - exact)
        if np.all(plain.magnetizations == 0):
            found["one loop"].append(plain.free_energy_one_loop - exact)
        for name in ("tap", "adaptive", "bethe"):
            assert abs(found[name][-1]) < 0.5 * abs(found["naive"][-1]), name
    agree(free, -T * math.log(2) - 15 / 64 / T)
    for name, printed in (("naive", naive), ("tap", tap), ("one loop", one_loop)):
        sample = np.array(found[name])
        width = 4 * sample.std(ddof=1) * math.sqrt(1 + 1 / sample.size)
        assert abs(printed - sample.mean()) < width, (name, printed, sample.mean(), width)
    # the one-loop series diverges at beta J = 1/2: at T = 1.7 J it is worse than no correction
    worse = np.mean(np.abs(found["one loop"])) > np.mean(np.abs(found["tap"]))
    assert worse


@pytest.mark.statistical
def test_naive_mean_field_orders_sixteen_random_spins_where_tap_does_not(rng):
    """Item 11: T = 1.3 J: q = 0.25 in naive mean field although <s> = 0; TAP is nearer in F."""
    q, order = [], []
    for _ in range(30):
        model = sherrington_kirkpatrick(16, rng)
        exact = sn.exact.enumerate(model, 1 / 1.3)
        naive, tap = sn.solve(model, 1 / 1.3), sn.solve(model, 1 / 1.3, sn.TAP())
        error = abs(naive.free_energy - float(exact.free_energy))
        assert abs(tap.free_energy - float(exact.free_energy)) < 0.5 * error
        np.testing.assert_allclose(exact.means, 0, atol=1e-12)
        q.append(np.mean(naive.magnetizations**2))
        order.append(np.any(tap.magnetizations))
    assert abs(0.25 - np.mean(q)) < 4 * np.std(q, ddof=1)
    assert np.mean(q) > 0.1
    assert np.mean(order) < 0.2


# --- other spectra, trees, heavy tails --------------------------------------------------------


@pytest.mark.statistical
def test_orthogonal_couplings_have_the_free_energy_of_their_r_transform(rng):
    """Judged: ln Z/N - ln 2 = 0.078597 at beta = 0.6 for eigenvalues +-1; independent ones: 0.09.

    Sums over the states of 8 and of 16 spins, in the line through 1/N: 4 standard errors and 0.001
    for what is of order 1/N^2 (0.0779 to 0.0789 are printed for such extrapolations).
    """
    beta = 0.6
    root = mpmath.sqrt(1 + 4 * mpmath.mpf(beta) ** 2)
    known = float((root - 1 - mpmath.log((1 + root) / 2)) / 4)
    assert known == pytest.approx(0.078597, abs=5e-7)
    spectrum = adaptive.paramagnetic_log_z(np.repeat([1.0, -1.0], 100), beta)
    assert float(spectrum) - math.log(2) == pytest.approx(known, abs=1e-13)
    model = sn.Ising(random_orthogonal(300, rng))
    log_z = -beta * sn.solve(model, beta, sn.AdaptiveTAP(n_starts=0)).free_energy
    assert log_z - math.log(2) == pytest.approx(known, abs=1e-3)
    tap = -beta * sn.solve(model, beta, sn.TAP(n_starts=0)).free_energy
    assert tap - math.log(2) == pytest.approx(0.09, abs=1e-3)
    means = {}
    for n, count in ((8, 600), (16, 200)):
        exact = []
        for _ in range(count):
            small = sn.Ising(random_orthogonal(n, rng))
            exact.append(float(sn.exact.enumerate(small, beta).log_z) / n - math.log(2))
        means[n] = np.mean(exact), np.std(exact, ddof=1) / math.sqrt(count)
    (eight, error_8), (sixteen, error_16) = means[8], means[16]
    assert abs(2 * sixteen - eight - known) < 4 * math.hypot(2 * error_16, error_8) + 0.001


@pytest.mark.parametrize("strength", [0.2, 1.0, 8.0])
def test_belief_propagation_is_exact_on_trees(strength, rng):
    """Judged: Bethe on random trees of 12 spins with fields: F, <s_i> and chi to 1e-10."""
    n = 12
    J = np.zeros((n, n))
    for i in range(1, n):
        J[i, rng.integers(i)] = strength * rng.standard_normal()
    model = sn.Ising(J + J.T, rng.standard_normal(n))
    exact, s = sn.exact.enumerate(model, 0.9), sn.solve(model, 0.9, sn.Bethe())
    assert s.free_energy == pytest.approx(float(exact.free_energy), abs=1e-10)
    np.testing.assert_allclose(s.magnetizations, exact.means, atol=1e-10)
    chi = 0.9 * (exact.correlations - np.outer(exact.means, exact.means))
    np.testing.assert_allclose(s.response, chi, atol=1e-9)
    naive = sn.solve(model, 0.9, throw=False)
    assert abs(naive.free_energy - float(exact.free_energy)) > 1e-3


@pytest.mark.statistical
def test_cauchy_couplings_freeze_at_the_printed_temperature(rng):
    """Judged: T_SG/g = 28 zeta(3)/pi^3 = 1.0855090289; naive mean field follows one bond.

    150 samples of N = 150 gave 1.050(11), of deviation 0.134 each: a finite-size shift of -0.035.
    """
    law = float(28 * mpmath.zeta(3) / mpmath.pi**3)
    assert law == pytest.approx(1.0855090289, abs=5e-11)
    assert bethe.spin_glass_temperature_stable(1.0) == pytest.approx(law, rel=1e-12)
    models = [cauchy(150, rng) for _ in range(12)]
    found = [sn.Bethe().spin_glass_temperature(model) for model in models]
    assert abs(np.mean(found) - law) < 4 * 0.134 / math.sqrt(12) + 0.035
    naive = [1 / sn.critical_beta(model) for model in models]
    assert np.median(naive) > 5 * law


# --- what a diagnosis says --------------------------------------------------------------------


def test_two_coupled_spins_never_order_and_naive_mean_field_is_flagged():
    """Item 12: <s> = 0 by enumeration and by Bethe at every T; V = 0.9575 at T = J/2 is flagged.

    V = tanh(2 V) there; PR N = 2 and max |beta J| > 1 are what the flag rests on.
    """
    pair = sn.Ising([[0, 1], [1, 0]])
    ordered = float(mpmath.findroot(lambda v: v - mpmath.tanh(2 * v), 0.95))
    assert ordered == pytest.approx(0.9575, abs=5e-5)
    for T in (0.1, 0.5, 0.9, 1.5, 5.0):
        exact, belief = sn.exact.enumerate(pair, 1 / T), sn.solve(pair, 1 / T, sn.Bethe())
        np.testing.assert_allclose(exact.means, 0, atol=1e-13)
        np.testing.assert_allclose(belief.magnetizations, 0, atol=1e-12)
        log_z = math.log(4 * math.cosh(1 / T))
        assert belief.free_energy == pytest.approx(-T * log_z / 2, rel=1e-12)
        assert float(exact.log_z) == pytest.approx(log_z, rel=1e-13)
    s = sn.solve(pair, 2.0)
    np.testing.assert_allclose(np.abs(s.magnetizations), ordered, atol=1e-10)
    assert not s.reliable
    assert s.diagnosis.participation_ratio * 2 == pytest.approx(2)
    assert s.diagnosis.strongest_bond == 2.0
    assert s.diagnosis.theory == "bethe"
    assert "unreliable" in s.summary()


def test_localised_and_extended_modes_are_told_apart():
    """Item 13: PR = 1/(N sum v^4): 1 for Curie-Weiss, 6/120 for a clique of 6 spins in 120."""
    extended = sn.diagnose(sn.CurieWeiss(120), 0.9)
    assert extended.participation_ratio == pytest.approx(1.0, rel=1e-9)
    assert extended.recommended == "naive"
    J = np.zeros((120, 120))
    J[:6, :6] = 1 - np.eye(6)
    local = sn.diagnose(sn.Ising(J), 0.2)
    assert local.participation_ratio == pytest.approx(6 / 120, rel=1e-6)
    assert local.recommended == "bethe"
    assert not sn.solve(sn.Ising(J), 0.25).reliable
    assert "participation" in local.summary().lower()


@pytest.mark.statistical
def test_heavy_tails_call_for_belief_propagation_and_gaussian_couplings_do_not(rng):
    """Item 13: Cauchy couplings at T = T_SG, 2 T_SG: Bethe; Gaussian ones of N = 150: TAP."""
    law = 28 * 1.2020569031595942 / math.pi**3
    for T in (law, 2 * law):
        d = sn.diagnose(cauchy(150, rng), 1 / T)
        assert d.recommended == "bethe"
        assert d.kurtosis > 30
    d = sn.diagnose(sherrington_kirkpatrick(150, rng), 0.7)
    assert d.recommended == "tap"
    assert d.kurtosis == pytest.approx(3, abs=0.3)
