"""Exponents from sweeps in temperature and field: mean field, exact sums, independent samples."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pytest

import spinnet as sn
from spinnet.spins import critical

mpl.use("Agg")
SIZE = 10**6
T = np.geomspace(0.01, 0.3, 12)
BETA = np.sort(1 / np.concatenate([1 - T, 1 + T]))
NAMES = {"beta": 0.5, "gamma": 1.0, "gamma_prime": 1.0}
WHOLE = sn.NaiveMeanField(diagonal=True)


def independent(n: int, beta: np.ndarray, seed: int, samples: int = 200) -> critical.SizeTable:
    """32 groups of independent exact draws at each temperature."""
    rows = [
        sn.iid_curie_weiss(n, float(b), 32 * samples, rng=s).reshape(32, samples)
        for b, s in zip(beta, np.random.SeedSequence(seed).spawn(len(beta)), strict=True)
    ]
    return critical.projection_table(np.array(rows) * np.sqrt(n), beta, n)


@pytest.fixture(scope="module")
def solutions() -> list:
    t = np.geomspace(0.005, 0.4, 20)
    return [
        sn.solve(sn.CurieWeiss(50), 1 / x, method=WHOLE) for x in np.concatenate([1 - t, 1 + t])
    ]


def test_mean_field_solutions_give_the_exponents_to_a_millionth(solutions: list) -> None:
    for beta_c, precision in ((1.0, 1e-6), (None, 5e-6)):
        fit = critical.temperature_exponents(solutions, beta_c)
        for name, value in NAMES.items():
            assert getattr(fit, name) == pytest.approx(value, abs=precision)
            assert abs(getattr(fit, name) - value) < 3 * fit.error(name)
        assert fit.amplitude_ratio == pytest.approx(2, abs=2e-5)
    assert fit.beta_c == pytest.approx(1, abs=1e-7)


def test_amplitudes_and_corrections_are_those_of_the_series(solutions: list) -> None:
    """m^2 = 3 t - (12/5) t^2: m = 3^{1/2} t^{1/2} (1 - 0.4 t); chi = 1/t, 1/2t - 9/10."""
    fit = critical.temperature_exponents(solutions, 1.0).power_laws
    assert fit["beta"].amplitude == pytest.approx(np.sqrt(3), rel=1e-6)
    assert fit["beta"].analytic[0] == pytest.approx(-0.4, abs=1e-3)
    assert fit["gamma"].amplitude == pytest.approx(1, rel=1e-6)
    assert fit["gamma_prime"].amplitude == pytest.approx(0.5, rel=1e-5)
    assert fit["gamma_prime"].analytic[0] == pytest.approx(-1.8, abs=1e-2)


def test_exact_sums_of_ten_million_spins() -> None:
    """Within the quoted truncation error; the jump of c is 3/2, and d/r^2 is that of 1/N theory:
    -1/4 for m, -1 above and 5/4 below T_c."""
    t = np.geomspace(0.005, 0.4, 20)
    exact = sn.exact.curie_weiss(10**7, 1 / np.concatenate([1 - t, 1 + t]))
    for beta_c in (1.0, None):
        fit = critical.temperature_exponents(exact, beta_c)
        for name, value in NAMES.items():
            assert abs(getattr(fit, name) - value) < 2 * fit.error(name) < 1e-3
    wide = critical.temperature_exponents(exact, 1.0, window=(0.005, 0.03)).power_laws
    expected = {"beta": -0.25, "gamma": -1.0, "gamma_prime": 1.25}
    for name, value in expected.items():
        assert wide[name].finite_size == pytest.approx(value, abs=0.1)
        assert wide[name].window == pytest.approx((0.005, 0.03), rel=0.25)
    jump = fit.specific_heat
    assert jump is not None
    assert jump.jump == pytest.approx(1.5, abs=1e-4)
    assert jump.above == pytest.approx(0, abs=1e-4)
    assert fit.alpha == 0.0


def test_smaller_systems_have_larger_windows_and_errors_that_cover() -> None:
    """N = 1e5: the finite size moves the window away from T_c; the error says how well."""
    t = np.geomspace(0.005, 0.4, 30)
    beta = 1 / np.concatenate([1 - t, 1 + t])
    small, large = (
        critical.temperature_exponents(sn.exact.curie_weiss(n, beta), 1.0) for n in (10**5, 10**6)
    )
    for name, value in NAMES.items():
        assert small.power_laws[name].window[0] > large.power_laws[name].window[0]
        assert small.power_laws[name].least_r > 5
        assert abs(getattr(small, name) - value) < 2 * small.error(name)
        assert small.error(name) > 3 * large.error(name)


def test_leaving_out_the_analytic_term_biases_the_exponent() -> None:
    """m over t in [0.01, 0.3] by a straight line: off by 0.4 times the mean t, above 0.02."""
    t = np.geomspace(0.01, 0.3, 20)
    m = [sn.solve(sn.CurieWeiss(9), 1 / (1 - x), method=WHOLE).magnetization for x in t]
    straight = critical.log_slope(t, m).slope
    fit = critical.temperature_exponents(
        {"beta": 1 / (1 - t), "abs_m": m}, 1.0, window=(0.01, 0.3), corrections=2
    )
    assert abs(straight - 0.5) > 0.02 > 20 * abs(fit.beta - 0.5)
    assert abs(fit.beta - 0.5) < fit.error("beta")


@pytest.mark.slow
@pytest.mark.statistical
def test_errors_of_temperature_sweeps_are_calibrated(seed: int) -> None:
    """50 seeds of independent samples of 1e6 spins, T_c given and free.

    var z of a calibrated error lies within 0.7-1.5 with probability 0.93 and within 0.5-1.8 but
    for 2e-3.  The quoted error holds the truncation at its worst, so that var z may be lower
    (gamma', the branch with the largest corrections, below 0.7), not higher.
    """
    z: dict[str, list] = {"given": [], "free": []}
    for k in range(50):
        table = independent(SIZE, BETA, seed + k)
        both = (("given", 1.0), ("free", None))
        for label, beta_c in both[: 1 + (k % 2 == 0)]:  # 25 with T_c free
            fit = critical.temperature_exponents(table, beta_c)
            row = [(getattr(fit, n) - v) / fit.error(n) for n, v in NAMES.items()]
            row.append((fit.amplitude_ratio - 2) / fit.amplitude_ratio_error)
            row.append(0.0 if beta_c else (fit.beta_c - 1) / fit.beta_c_error)
            z[label].append([*row, fit.p_value])
    given, free = np.array(z["given"]), np.array(z["free"])
    assert np.all((np.var(given[:, :2], axis=0) > 0.5) & (np.var(given[:, :2], axis=0) < 1.8))
    assert np.all(
        (np.var(free[:, [0, 4]], axis=0) > 0.25) & (np.var(free[:, [0, 4]], axis=0) < 2.2)
    )
    for data in (given, free):
        assert np.all(np.var(data[:, :4], axis=0) < 2.2)
        assert np.all(np.abs(data[:, :5].mean(axis=0)) < 0.85)
        # within 2 standard errors: 95 %; fewer than 20 of 25 once in 500, 40 of 50 in 1e5
        assert np.all((np.abs(data[:, :4]) < 2).mean(axis=0) >= 0.8)
        assert abs(data[:, 5].mean() - 0.5) < 4.2 / np.sqrt(12 * len(data))


def test_covariance_is_that_of_repeated_noise() -> None:
    """200 redraws of one table against the quoted covariance: correlations within 0.2."""
    rng = np.random.default_rng(1)
    m = np.array([sn.solve(sn.CurieWeiss(9), b, method=WHOLE).magnetization for b in BETA])
    chi = np.array([sn.solve(sn.CurieWeiss(9), b, method=WHOLE).susceptibility for b in BETA])
    columns = {"beta": BETA, "abs_m_error": 1e-3 * m + 1e-9, "susceptibility_error": 1e-2 * chi}
    rows = []
    for _ in range(200):
        noisy = columns | {
            "abs_m": m + columns["abs_m_error"] * rng.standard_normal(m.shape),
            "susceptibility": chi * (1 + 1e-2 * rng.standard_normal(m.shape)),
        }
        fit = critical.temperature_exponents(noisy, 1.0, window=(0.01, 0.3), corrections=2)
        laws = fit.power_laws
        rows.append([x for n in NAMES for x in (getattr(fit, n), np.log(laws[n].amplitude))])
    found, quoted = np.cov(np.array(rows), rowvar=False), fit.covariance
    assert fit.names[:2] == ("beta", "ln A beta")
    ratio = np.sqrt(np.diag(found) / np.diag(quoted))
    assert np.all(np.abs(ratio - 1) < 0.22)  # 4.2/sqrt(2 x 200)
    unit = np.sqrt(np.outer(np.diag(quoted), np.diag(quoted)))
    assert np.all(np.abs((found - quoted) / unit) < 0.45)
    assert abs(quoted[0, 1] / unit[0, 1]) > 0.9


@pytest.mark.slow
def test_dual_with_signs_gives_the_exponents_along_its_top_mode() -> None:
    u, v = np.array([1.0, -0.7, 1.3, 0.8]), np.array([0.9, -1.2, 0.7])
    dual = sn.NetworkDual(np.outer(u, v), fields="zero")
    beta_c = sn.critical_beta(dual)
    t = np.geomspace(0.003, 0.05, 10)
    solved = [sn.solve(dual, beta_c / x) for x in np.concatenate([1 - t, 1 + t])]
    fit = critical.temperature_exponents(solved, beta_c)
    for name, value in NAMES.items():
        assert getattr(fit, name) == pytest.approx(value, abs=1e-4)
    assert fit.amplitude_ratio == pytest.approx(2, abs=1e-3)


# --- the critical isotherm ---------------------------------------------------------------------


def test_delta_of_mean_field_and_exact_sums() -> None:
    h = np.geomspace(1e-5, 0.3, 40)
    m = [sn.solve(sn.CurieWeiss(50, h=x), 1.0, method=WHOLE).magnetization for x in h]
    fit = critical.field_exponent({"h": h, "m": m})
    assert fit.delta == pytest.approx(3, abs=1e-8)
    assert fit.amplitude == pytest.approx(3 ** (1 / 3), rel=1e-8)
    # m = y (1 - y^2/5 ...), y^2 = 3^{2/3} h^{2/3}
    assert fit.analytic[0] == pytest.approx(-(3 ** (2 / 3)) / 5, rel=1e-3)
    for n in (10**5, 10**6):
        exact = sn.exact.curie_weiss(n, 1.0, h=h).magnetization
        found = critical.field_exponent({"h": h, "m": exact, "n_spins": n})
        assert abs(found.delta - 3) < 2 * found.error < 1e-2


def test_units_of_the_coupling_do_not_change_delta() -> None:
    h = np.geomspace(1e-4, 0.1, 20)
    one = sn.exact.curie_weiss(10**6, 1.0, h=h).magnetization
    first = critical.field_exponent({"h": h, "m": one, "n_spins": 10**6})
    other = critical.field_exponent({"h": 5 * h, "m": one, "n_spins": 10**6}, coupling=5.0)
    assert other.delta == pytest.approx(first.delta, rel=1e-9)
    assert other.amplitude == pytest.approx(first.amplitude * 5 ** (-1 / first.delta), rel=1e-9)
    assert other.window == pytest.approx([5 * x for x in first.window], rel=1e-9)


@pytest.mark.slow
@pytest.mark.statistical
def test_errors_of_delta_are_calibrated(seed: int) -> None:
    """50 seeds: var z within 0.35-1.8 (the truncation is counted at its worst), |mean| < 0.6."""
    h, z = np.geomspace(1e-3, 0.2, 12), []
    for k in range(50):
        streams = np.random.SeedSequence(seed + k).spawn(h.size)
        m = [
            sn.iid_curie_weiss(SIZE, 1.0, 1000, h=float(x), rng=s)
            for x, s in zip(h, streams, strict=True)
        ]
        table = {"h": h, "m": [x.mean() for x in m], "n_spins": SIZE}
        table["m_error"] = [x.std(ddof=1) / np.sqrt(1000) for x in m]
        fit = critical.field_exponent(table)
        z.append((fit.delta - 3) / fit.error)
    assert 0.35 < np.var(z) < 1.8
    assert abs(np.mean(z)) < 0.6
    assert np.sum(np.abs(z) < 2) >= 42


# --- input -------------------------------------------------------------------------------------

GOOD = {"beta": BETA, "abs_m": np.full(24, 0.5)}


@pytest.mark.parametrize(
    ("source", "arguments", "error", "message"),
    [
        ({"abs_m": [1.0]}, {}, sn.InputError, "must have the column 'beta'"),
        ({"beta": BETA}, {}, sn.InputError, "must have one of the columns abs_m"),
        (GOOD | {"abs_n": BETA}, {}, sn.InputError, "unknown column 'abs_n'"),
        (GOOD | {"n_spins": np.arange(24)}, {}, sn.InputError, "must hold one size"),
        (GOOD, {"window": (0.3, 0.1)}, sn.InputError, "window must hold two numbers"),
        (GOOD, {"corrections": 0}, sn.InputError, "corrections must be"),
        (GOOD, {"participation_ratio": 1.5}, sn.InputError, "participation_ratio must be in"),
        (GOOD, {"beta_c": -1.0}, sn.InputError, "beta_c must be > 0"),
        (GOOD | {"abs_m": np.full(24, np.nan)}, {}, sn.InputError, "must be finite"),
        (GOOD, {"beta_c": None}, sn.StatisticsError, "both sides of T_c"),
        ({"beta": [1.1], "abs_m": [0.5]}, {"beta_c": 1.0}, sn.StatisticsError, "temperatures lie"),
        ([], {}, sn.StatisticsError, "at least 1 size needed"),
        (3.0, {}, sn.InputError, "mapping of columns or a sequence of runs"),
    ],
)
def test_bad_temperature_sweeps_are_named(
    source: object, arguments: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        critical.temperature_exponents(source, **arguments)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ({"h": [0.1]}, sn.InputError, "lacks 'm'"),
        ({"h": [0.1, 0.2], "m": [0.1, 0.2], "mm": [1, 2]}, sn.InputError, "unknown column 'mm'"),
        ({"h": [0.1, 0.2], "m": [0.1, -0.2]}, sn.InputError, "must be > 0"),
        ({"h": [0.1, 0.1], "m": [0.1, 0.2]}, sn.InputError, "each h once"),
        ({"h": [0.1, 0.2], "m": [0.1, 0.2]}, sn.StatisticsError, "sweep of the field"),
        (1, sn.InputError, "mapping of columns or a sequence of runs"),
    ],
)
def test_bad_field_sweeps_are_named(source: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        critical.field_exponent(source)


def test_results_print_export_and_draw(solutions: list) -> None:
    fit = critical.temperature_exponents(independent(SIZE, BETA, 1, 50), 1.0)
    assert "mean field 0.5" in fit.summary()
    assert json.loads(json.dumps(fit.to_dict(), allow_nan=False))["power_laws"]["beta"]["exponent"]
    assert len(fit.plot().get_legend().get_texts()) == 4  # three exponents, mean field
    assert fit.power_laws["beta"].alternatives
    assert np.isnan(fit.alpha)  # projections have no specific heat
    h = np.geomspace(1e-3, 0.1, 12)
    isotherm = critical.field_exponent({"h": h, "m": h ** (1 / 3)})
    json.dumps(isotherm.to_dict(), allow_nan=False)
    assert "mean field 3" in isotherm.summary()
    assert isotherm.plot().get_xscale() == "log"
    json.dumps(critical.temperature_exponents(solutions).to_dict(), allow_nan=False)
