"""Exact sums against slower ones: plain loops for enumeration, 60 digits for Curie-Weiss."""

from __future__ import annotations

import itertools
import json
import math

import mpmath as mp
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.errors import InputError

FIELDS = ("log_z", "energy", "specific_heat", "magnetization", "abs_m", "m2", "m4", "binder")
FIELDS += ("susceptibility", "susceptibility_abs")
DIGITS = 60


# --- Curie-Weiss ------------------------------------------------------------------------------


def every_total(n, beta, J, h):
    """Yield (M, weight) over all M, each weight from its definition."""
    with mp.workdps(DIGITS):
        for k in range(n + 1):
            M = 2 * k - n
            yield M, mp.binomial(n, k) * mp.exp(beta * (J * M**2 / (2 * n) + h * M))


def near_the_peak(n, beta, J, h):
    """Yield (M, weight) within 1e-50 of the largest weight, by the ratio of neighbours.

    Integers scaled by 2^256; M < 0 follows from w(-M) = w(M) exp(-2 beta h M).
    """
    one = 1 << 256
    with mp.workdps(90):
        m = mp.mpf(1)
        for _ in range(400):  # the saddle point; only the starting place depends on it
            m = (m + mp.tanh(beta * (J * m + h))) / 2 if J > 0 else mp.mpf(0)
        start = min(max(round(n * (1 + float(m)) / 2), (n + 1) // 2), n)
        M0 = 2 * start - n
        log_first = mp.loggamma(n + 1) - mp.loggamma(start + 1) - mp.loggamma(n - start + 1)
        first = mp.exp(log_first + beta * (J * mp.mpf(M0) ** 2 / (2 * n) + h * M0))
        curve = int(mp.exp(4 * beta * J / n) * one)
        up = int(mp.exp(2 * beta * (J * (M0 + 1) / n + h)) * one)
        down = int(mp.exp(-2 * beta * (J * (M0 - 1) / n + h)) * one)
        flip = mp.exp(-2 * beta * h)
        rows = [(M0, one)]
        w, k = one, start
        while k < n and w > one >> 170:
            w = (w * up >> 256) * (n - k) // (k + 1)
            up = up * curve >> 256
            k += 1
            rows.append((2 * k - n, w))
        w, k = one, start
        while 2 * (k - 1) >= n and w > one >> 170:
            w = (w * down >> 256) * k // (n - k + 1)
            down = down * curve >> 256
            k -= 1
            rows.append((2 * k - n, w))
        for M, w in rows:
            yield M, first * w / one
            if M > 0:
                yield -M, first * w / one * (flip**M if h else 1)


def reference(n, beta, J, h, weights):
    """The averages of a list of (M, weight) at 60 digits."""
    beta, J, h = (mp.mpf(float(x)) for x in (beta, J, h))
    with mp.workdps(DIGITS):
        sums = [mp.mpf(0)] * 5
        absolute = mp.mpf(0)
        for M, w in weights(n, beta, J, h):
            term = w
            for p in range(5):
                sums[p] += term
                term *= M
            absolute += abs(M) * w
        z = sums[0]
        m1, m2, m3, m4 = (sums[p] / z / mp.mpf(n) ** p for p in range(1, 5))
        a = absolute / z / n
        energy = -n * (J * m2 / 2 + h * m1)
        square = n**2 * (J**2 * m4 / 4 + J * h * m3 + h**2 * m2)
        return {
            "log_z": mp.log(z),
            "energy": energy,
            "specific_heat": beta**2 * (square - energy**2) / n,
            "magnetization": m1,
            "abs_m": a,
            "m2": m2,
            "m4": m4,
            "binder": 1 - m4 / (3 * m2**2),
            "susceptibility": beta * n * (m2 - m1**2),
            "susceptibility_abs": beta * n * (m2 - a**2),
        }


def assert_digits(result, expected, n, tolerance=1e-12):
    """Relative agreement; log Z and U are differences of numbers of the scales N and 1.

    What vanishes by symmetry, or but for weights below e^-100, is 0 to 1e-40.
    """
    floor = {"log_z": 0.1 * n, "binder": 1.0}
    for name in FIELDS:
        value, exact = float(getattr(result, name)), float(expected[name])
        scale = max(abs(exact), floor.get(name, 1e-28))
        assert abs(value - exact) <= tolerance * scale, (name, value, exact)


SMALL = list(itertools.product([1, 2, 3, 7, 30], [0.1, 0.5, 0.9, 1.0, 1.3, 5.0]))
SMALL += list(itertools.product([101, 400], [0.5, 1.0, 5.0]))


@pytest.mark.parametrize(("n", "T"), SMALL)
@pytest.mark.parametrize(
    ("J", "h"), [(1.0, 0.0), (1.0, 0.2), (0.7, -1e-9), (-1.0, 0.0), (-0.5, 0.3)]
)
def test_curie_weiss_sums_have_twelve_digits(n, T, J, h):
    result = sn.exact.curie_weiss(n, 1 / T, J=J, h=h)
    assert_digits(result, reference(n, 1 / T, J, h, every_total), n)


def test_the_two_references_agree():
    for J, h in [(1.0, 0.0), (1.0, 0.1), (-1.0, 0.0)]:
        slow = reference(200, 1.0, J, h, every_total)
        fast = reference(200, 1.0, J, h, near_the_peak)
        for name in FIELDS:
            assert abs(slow[name] - fast[name]) < 1e-40 * (1 + abs(slow[name])), name


@pytest.mark.parametrize(
    ("n", "T", "J", "h"),
    [
        (10_000, 0.9, 1.0, 0.0),
        (10_000, 1.0, 1.0, 1e-3),
        (99_999, 1.0, 1.0, 0.0),
        (1_000_000, 1.0, 1.0, 0.0),
        (1_000_000, 0.5, 1.0, 0.1),
        (1_000_000, 5.0, 1.0, 0.0),
        (1_000_000, 0.1, 1.0, 0.0),
        (1_000_000, 1.0, -1.0, 0.0),
    ],
)
def test_curie_weiss_sums_keep_their_digits_at_large_n(n, T, J, h):
    result = sn.exact.curie_weiss(n, 1 / T, J=J, h=h)
    assert_digits(result, reference(n, 1 / T, J, h, near_the_peak), n)


def test_one_spin_is_a_paramagnet():
    beta, h = np.array([0.1, 1.0, 7.0])[:, None], np.array([-0.3, 0.0, 2.0])
    one = sn.exact.curie_weiss(1, beta, J=0.8, h=h)
    np.testing.assert_allclose(one.magnetization, np.tanh(beta * h), rtol=1e-13)
    expected = np.log(2 * np.cosh(beta * h)) + beta * 0.4
    np.testing.assert_allclose(one.log_z, expected, rtol=1e-13)
    np.testing.assert_allclose(one.susceptibility, beta / np.cosh(beta * h) ** 2, rtol=1e-12)
    assert np.isnan(one.correlations).all()
    np.testing.assert_allclose(one.abs_m, 1, rtol=1e-15)


def test_binder_cumulants_at_the_critical_point():
    # exact sums, printed to 12 digits
    values = sn.exact.curie_weiss(100, 1.0).binder, sn.exact.curie_weiss(1000, 1.0).binder
    np.testing.assert_allclose(values, [0.305584652729, 0.281417112185], atol=1e-12, rtol=0)


def test_finite_size_constants_at_the_critical_point():
    gamma = math.gamma(0.25)
    n = np.array([10**4, 10**5, 10**6, 10**7])
    rows = [sn.exact.curie_weiss(int(k), 1.0) for k in n]
    # leading constants of the quartic weight exp(-x^4/12); the rest is O(1/N), coefficient about 1
    laws = {
        "abs_m": (n**0.25, 0.9098905883, -0.0352352642),
        "m2": (n**0.5, 1.1708286566, -0.2741679486),
        "binder": (1.0, 1 - gamma**4 / (24 * math.pi**2), 0.3416383754),
    }
    for name, (power, leading, correction) in laws.items():
        values = power * np.array([getattr(row, name) for row in rows])
        rest = values - leading - correction * n**-0.5
        assert np.all(np.abs(rest) < 1.0 / n + 2e-10), (name, rest * n)  # constants have 10 digits
    heat = np.array([row.specific_heat for row in rows])
    log_z = np.array([row.log_z for row in rows]) - n * math.log(2)
    chi = np.array([row.susceptibility_abs for row in rows]) / n**0.5
    # leading terms only: the next is O(N^-1/2) with a coefficient of order 1
    for values, leading in [
        (heat, 0.4072900642),
        (np.exp(log_z) / n**0.25, 1.3460353224),
        (chi, 0.3429277739),
    ]:
        assert np.all(np.abs(values - leading) < 2 * n**-0.5)


def test_largest_specific_heat_lies_below_the_critical_temperature():
    # the scaling function of c has its maximum 1.6572974585 at r = -2.2568; finite sizes lie
    # lower by O(N^-1/2), of measured coefficient 4.8 to 5.3
    for n in (10**3, 10**4, 10**5):
        r = np.linspace(-2.8, -1.6, 121)
        heat = sn.exact.curie_weiss(n, 1 - r / n**0.5).specific_heat
        missing = (1.6572974585 - heat.max()) * n**0.5
        assert 4.5 < missing < 5.5, missing
    assert abs(r[heat.argmax()] + 2.2568473920) < 0.05


def test_corrections_above_and_below_the_critical_point():
    # expansion at K = 0.5: N <m^2> and log Z to O(1/N), the rest is O(1/N^2)
    n, K = 10_000, 0.5
    above = sn.exact.curie_weiss(n, K)
    assert abs(n * above.m2 - (1 / (1 - K) - K / (n * (1 - K) ** 3))) < 100 / n**2
    assert (
        abs(above.log_z - n * math.log(2) + math.log(1 - K) / 2 + K**2 / (4 * n * (1 - K) ** 2))
        < 100 / n**2 + 1e-11  # rounding of N ln 2 = 6931
    )


def test_antiferromagnet_freezes_at_the_smallest_magnetisation():
    even = sn.exact.curie_weiss(10, 1e3, J=-1.0)
    # weights below e^-100 of the largest may or may not be summed
    assert max(even.m2, even.abs_m, even.susceptibility) < 1e-40
    np.testing.assert_allclose(even.log_z, math.log(252), rtol=1e-13)
    odd = sn.exact.curie_weiss(11, 1e3, J=-1.0)
    np.testing.assert_allclose(odd.m2, 1 / 121, rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 63, 10**7])
@pytest.mark.parametrize("h", [0.0, 0.3, -2.0])
def test_the_ground_state_at_huge_beta(n, h):
    cold = sn.exact.curie_weiss(n, 1e6, J=1.0, h=h)
    np.testing.assert_allclose(cold.energy, -n / 2 - n * abs(h), rtol=1e-12)
    np.testing.assert_allclose(cold.magnetization, np.sign(h), atol=1e-12)
    log_z = 1e6 * (n / 2 + n * abs(h)) + (math.log(2) if h == 0 else 0)
    np.testing.assert_allclose(cold.log_z, log_z, rtol=1e-12)
    assert cold.specific_heat == 0


def test_extremes_give_numbers_without_warnings():
    for n, beta, J, h in itertools.product(
        [1, 2, 5, 1000], [0.0, 1e-300, 1e6, 1e40], [0.0, 1e40, -1e40], [0.0, 1e40, -1e-300]
    ):
        result = sn.exact.curie_weiss(n, beta, J=J, h=h)
        for name in ("log_z", "energy", "specific_heat", "magnetization", "abs_m", "m2"):
            assert np.isfinite(getattr(result, name)), (name, n, beta, J, h)


def test_infinite_temperature_counts_the_states():
    hot = sn.exact.curie_weiss(20, 0.0, h=[0.0, 1.0])
    np.testing.assert_allclose(hot.log_z, 20 * math.log(2), rtol=1e-13)
    np.testing.assert_allclose(hot.m2, 1 / 20, rtol=1e-12)
    assert (hot.free_energy == -np.inf).all()
    assert (hot.specific_heat == 0).all()
    np.testing.assert_allclose(hot.magnetization, 0, atol=1e-15)


def test_curie_weiss_broadcasts():
    beta, h = np.array([0.5, 1.0, 1.5])[:, None], np.array([0.0, 0.1])
    grid = sn.exact.curie_weiss(12, beta, J=0.9, h=h)
    assert grid.energy.shape == grid.beta.shape == grid.means.shape == (3, 2)
    for (i, j), value in np.ndenumerate(grid.energy):
        assert value == sn.exact.curie_weiss(12, beta[i, 0], J=0.9, h=h[j]).energy
    assert sn.exact.curie_weiss(12, 1.0).energy.shape == ()


def test_the_field_breaks_the_symmetry_with_its_sign():
    plus, minus = sn.exact.curie_weiss(50, 1.2, h=0.1), sn.exact.curie_weiss(50, 1.2, h=-0.1)
    assert plus.magnetization == -minus.magnetization > 0
    for name in ("log_z", "energy", "m2", "susceptibility"):
        assert getattr(plus, name) == getattr(minus, name)
    tiny = sn.exact.curie_weiss(50, 1.2, h=1e-15)
    # linear response: <m> = chi h while beta h N << 1
    np.testing.assert_allclose(tiny.magnetization, tiny.susceptibility * 1e-15, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1.0), "n_spins must be an integer >= 1 and <= 10000000, got 0"),
        ((10**7 + 1, 1.0), "n_spins must be an integer"),
        ((2.5, 1.0), "n_spins must be an integer"),
        ((4, -1.0), "beta must be >= 0, got -1.0"),
        ((4, np.inf), "beta must be finite"),
        ((4, []), "beta must hold at least one value"),
        ((4, "hot"), "beta must be real"),
        ((4, 1.0, np.nan), "J must be finite"),
        ((4, 1.0, 1e300), "J must be within"),
        ((4, 1.0, 1.0, np.inf), "h must be finite"),
        ((4, [1.0, 2.0], 1.0, [1.0, 2.0, 3.0]), r"must broadcast, got shapes \(2,\), \(\), \(3,\)"),
    ],
)
def test_bad_curie_weiss_arguments_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        sn.exact.curie_weiss(*arguments)


# --- enumeration ------------------------------------------------------------------------------


def brute_force(states, energies, beta, n):
    """Averages by one plain loop over the states, without a shared shift of the exponent."""
    z = 0.0
    sums = dict.fromkeys(("energy", "energy2", "m", "abs_m", "m2", "m4"), 0.0)
    means, pairs = np.zeros(n), np.zeros((n, n))
    for state, energy in zip(states, energies, strict=True):
        s = np.asarray(state[:n], dtype=float)
        w = math.exp(-beta * energy)
        m = s.sum() / n
        z += w
        for name, value in [
            ("energy", energy),
            ("energy2", energy**2),
            ("m", m),
            ("abs_m", abs(m)),
            ("m2", m**2),
            ("m4", m**4),
        ]:
            sums[name] += w * value
        means += w * s
        pairs += w * np.outer(s, s)
    mean = {name: value / z for name, value in sums.items()}
    return {
        "log_z": math.log(z),
        "free_energy": -math.log(z) / (beta * n) if beta else -math.inf,
        "energy": mean["energy"],
        "specific_heat": beta**2 * (mean["energy2"] - mean["energy"] ** 2) / n,
        "magnetization": mean["m"],
        "abs_m": mean["abs_m"],
        "m2": mean["m2"],
        "m4": mean["m4"],
        "binder": 1 - mean["m4"] / (3 * mean["m2"] ** 2),
        "susceptibility": beta * n * (mean["m2"] - mean["m"] ** 2),
        "susceptibility_abs": beta * n * (mean["m2"] - mean["abs_m"] ** 2),
        "means": means / z,
        "correlations": pairs / z,
    }


def systems(seed):
    """One of every family: (model, plain energy of a state, all states)."""
    rng = np.random.default_rng(seed)
    w, g, k = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    J, h = rng.normal(size=(7, 7)), rng.normal(size=7)
    pm = list(itertools.product((-1, 1), repeat=7))
    bits = list(itertools.product((0, 1), repeat=7))
    sparse = np.where(rng.random((7, 7)) < 0.3, J, 0.0)
    graph = nx.random_regular_graph(3, 6, seed=1)
    edges = list(graph.edges)

    def full(matrix, field):
        return lambda s: -0.5 * np.array(s) @ matrix @ np.array(s) - field @ np.array(s)

    def layer(weights, bias_a, bias_b, norm=1.0):
        def energy(s):
            a, b = np.array(s[:4]), np.array(s[4:])
            return -(a @ weights @ b) / norm - bias_a @ a - bias_b @ b

        return energy

    cases = {
        "dense": (sn.Ising(J, h), full(J, h), pm),
        "sparse": (sn.Ising(sp.csr_array(sparse), h), full(sparse, h), pm),
        "graph": (
            sn.Ising.from_graph(graph, J=-1.0, h=0.1),
            lambda s: sum(s[u] * s[v] for u, v in edges) - 0.1 * sum(s),
            list(itertools.product((-1, 1), repeat=6)),
        ),
        "curie-weiss": (
            sn.CurieWeiss(7, J=1.2, h=0.1),
            lambda s: -1.2 * sum(s) ** 2 / 14 - 0.1 * sum(s),
            pm,
        ),
        "bipartite01": (sn.Bipartite(w, g, k), layer(w, g, k), bits),
        "bipartite+-1": (sn.Bipartite(w, g, k, levels=(-1, 1), scale=0.5), layer(w, g, k, 2.0), pm),
        "one spin": (sn.Ising([[2.0]], 0.3), lambda s: -1 - 0.3 * s[0], [(-1,), (1,)]),
    }
    G, K = w.sum(axis=1) / 4, k / 2 + w.sum(axis=0) / 4
    constant = -w.sum() / 4 - k.sum() / 2
    treated = {
        "exact": (G, K, constant),
        "zero": (0 * G, 0 * K, 0.0),
        "centered": (G - G.mean(), K - K.mean(), 0.0),
    }
    square = rng.normal(size=(5, 5))
    site = rng.normal(size=5)
    site_fields = {"exact": site, "zero": 0 * site, "centered": site - site.mean()}
    for fields, (a, b, c) in treated.items():

        def energy(s, a=a, b=b, c=c):
            return layer(w / 4, a, b)(s) + c

        for kind in ("bipartite", "marginal"):
            cases[f"{kind} {fields}"] = (sn.NetworkDual(w, k, kind, fields), energy, pm)
        cases[f"collapsed {fields}"] = (
            sn.NetworkDual(square, site, "collapsed", fields),
            full(square / 5, site_fields[fields]),
            list(itertools.product((-1, 1), repeat=5)),
        )
    return cases


@pytest.mark.parametrize("name", sorted(systems(0)))
def test_enumeration_is_the_plain_sum(name, seed):
    model, energy, states = systems(seed)[name]
    beta = np.array([[0.0, 0.4], [1.0, 1.7]])
    result = sn.exact.enumerate(model, beta)
    energies = [float(energy(s)) for s in states]
    n = model.n_spins
    for place, b in np.ndenumerate(beta):
        # the marginal system averages over all seven units, of which it shows the first four
        expected = brute_force(states, energies, b, n)
        for field, value in expected.items():
            # 128 terms and, in the variances of the loop, a cancellation of two digits
            np.testing.assert_allclose(
                getattr(result, field)[place], value, rtol=1e-11, atol=1e-12, err_msg=field
            )


@pytest.mark.parametrize("kind", ["bipartite", "marginal"])
def test_log_z_of_the_layer_is_that_of_its_dual(kind, seed):
    rng = np.random.default_rng(seed)
    w, bias = rng.normal(size=(6, 5)), rng.normal(size=5)
    layer = sn.exact.enumerate(sn.Bipartite(w, 0.0, bias), [0.2, 1.0, 3.0])
    dual = sn.exact.enumerate(sn.NetworkDual(w, bias, kind), [0.2, 1.0, 3.0])
    np.testing.assert_allclose(dual.log_z, layer.log_z, rtol=1e-12)
    np.testing.assert_allclose(dual.energy, layer.energy, rtol=1e-11)
    np.testing.assert_allclose((1 + dual.means[:, :6]) / 2, layer.means[:, :6], rtol=1e-11)


def test_enumeration_and_the_sum_over_totals_agree():
    beta = np.array([0.3, 1.0, 1.4])
    states = sn.exact.enumerate(sn.CurieWeiss(12, J=0.9, h=0.05), beta)
    totals = sn.exact.curie_weiss(12, beta, J=0.9, h=0.05)
    for field in (*FIELDS, "free_energy"):
        np.testing.assert_allclose(getattr(states, field), getattr(totals, field), rtol=1e-11)
    np.testing.assert_allclose(states.means, np.tile(totals.means[:, None], 12), rtol=1e-11)
    np.testing.assert_allclose(states.correlations[:, 0, 5], totals.correlations, rtol=1e-11)


@pytest.mark.parametrize("name", ["dense", "bipartite01", "marginal exact", "collapsed centered"])
def test_derivatives_of_log_z(name, seed):
    model, _, _ = systems(seed)[name]
    step = 1e-4
    below, at, above = (sn.exact.enumerate(model, 0.8 + d) for d in (-step, 0.0, step))
    # central differences: error step^2/6 times a third cumulant of the energy of order 100
    np.testing.assert_allclose(-(above.log_z - below.log_z) / (2 * step), at.energy, atol=1e-5)
    slope = -(above.energy - below.energy) / (2 * step)
    np.testing.assert_allclose(0.8**2 * slope / model.n_spins, at.specific_heat, atol=1e-5)


def test_magnetisation_and_susceptibility_are_derivatives_by_the_field(seed):
    rng = np.random.default_rng(seed)
    J, h = rng.normal(size=(7, 7)), rng.normal(size=7)
    step = 1e-4
    below, at, above = (sn.exact.enumerate(sn.Ising(J, h + d), 0.8) for d in (-step, 0.0, step))
    # central differences: error step^2/6 times a third cumulant of M of order 100
    slope = -(above.free_energy - below.free_energy) / (2 * step)
    np.testing.assert_allclose(slope, at.magnetization, atol=1e-6)
    slope = (above.magnetization - below.magnetization) / (2 * step)
    np.testing.assert_allclose(slope, at.susceptibility, atol=1e-6)


def test_two_coupled_spins():
    pair = sn.exact.enumerate(sn.Ising([[0, 1], [1, 0]]), [0.0, 0.5, 50.0])
    np.testing.assert_allclose(pair.correlations[:, 0, 1], np.tanh([0.0, 0.5, 50.0]), atol=1e-15)
    assert np.abs(pair.means).max() < 1e-15
    assert pair.means.shape == (3, 2)
    assert pair.correlations.shape == (3, 2, 2)


def test_cold_and_strong_systems_give_numbers_without_warnings():
    for model in (
        sn.Ising([[0, 1e40], [1e40, 0]], 1.0),
        sn.Bipartite([[1e40, -1e40]]),
        sn.NetworkDual([[1e40, -3e39]], kind="marginal"),
        sn.CurieWeiss(2, J=-1.0),
    ):
        result = sn.exact.enumerate(model, [0.0, 1.0, 1e6])
        for name in ("log_z", "energy", "specific_heat", "means", "correlations"):
            assert np.isfinite(getattr(result, name)).all(), (model, name)


def test_more_than_24_units_are_refused_with_a_way_out():
    with pytest.raises(InputError, match=r"n_spins <= 24 to be enumerated, got 25; use sample"):
        sn.exact.enumerate(sn.CurieWeiss(25), 1.0)


@pytest.mark.slow
def test_24_spins_are_enumerated():
    result = sn.exact.enumerate(sn.CurieWeiss(24), 1.0)
    expected = sn.exact.curie_weiss(24, 1.0)
    np.testing.assert_allclose(result.log_z, expected.log_z, rtol=1e-12)
    np.testing.assert_allclose(result.m4, expected.m4, rtol=1e-11)


def test_many_outputs_do_not_need_much_memory():
    import tracemalloc

    dual = sn.NetworkDual(np.full((13, 400), 0.01), kind="marginal")
    tracemalloc.start()
    sn.exact.enumerate(dual, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6  # 2^13 states times 400 outputs are 26 MB, a dozen times over


@pytest.mark.parametrize(
    ("model", "beta", "words"),
    [
        (sn.CurieWeiss(3), -0.1, "beta must be >= 0"),
        (sn.CurieWeiss(3), [1.0, np.nan], r"beta must be finite.*index \(1,\)"),
        (sn.CurieWeiss(3), [], "beta must hold at least one value"),
        (np.eye(3), 1.0, "model must be a spin model, got ndarray"),
        (sn.CurieWeiss, 1.0, "model must be a spin model"),
    ],
    ids=["negative", "nan", "empty", "matrix", "class"],
)
def test_bad_enumerations_are_refused(model, beta, words):
    with pytest.raises(InputError, match=words):
        sn.exact.enumerate(model, beta)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("low", [0, -1])
def test_a_layer_beside_thousands_of_free_units_has_its_law(beta, low):
    # 3000 free units weigh 2^3000 together, beyond the largest double; the law is that of the rest
    weights = np.array([[1.0, -0.5, 2.0]])
    wide = np.vstack([weights, np.zeros((3000, 3))])
    bias = [0.3, -0.2, 0.1]
    few, many = (
        sn.exact.layer_marginal(sn.Bipartite(w, 0.0, bias, levels=(low, 1)), beta)
        for w in (weights, wide)
    )
    np.testing.assert_allclose(many.log_p, few.log_p, atol=1e-11)  # 3000 roundings of 2e3 * 2^-53
    assert many.log_z == pytest.approx(few.log_z + 3000 * math.log(2), rel=1e-13)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sn.exact.layer_marginal(sn.NetworkDual(np.eye(2)), 1e300), "beta must be within"),
        (lambda: sn.exact.layer_marginal(sn.CurieWeiss(3), 1.0), "model must have two layers"),
        (lambda: sn.iid_curie_weiss(10, 1e300, 3, J=1e30), "beta must be within"),
        (lambda: sn.iid_curie_weiss(10, 1.0, 3, J=1e300), "J must be within"),
        (lambda: sn.iid_curie_weiss(10, 1.0, 3, h=-1e300), "h must be within"),
    ],
    ids=["marginal-beta", "marginal-model", "iid-beta", "iid-J", "iid-h"],
)
def test_numbers_that_overflow_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_results_are_plain_numbers_for_json():
    for result in (sn.exact.curie_weiss(5, [0.5, 1.0]), sn.exact.enumerate(sn.CurieWeiss(3), 1.0)):
        stored = json.loads(json.dumps(result.to_dict()))
        assert stored["n_spins"] == result.n_spins
        assert stored["log_z"] == result.log_z.tolist()
