"""Finite-size scaling against exact Curie-Weiss sums, with calibrated errors."""

import functools
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import gammaln

import spinnet as sn
from spinnet.spins import critical

SEED = 20170208
SIZES = (64, 128, 256, 512, 1024)


@functools.cache
def exact_moments(n: int, beta: float) -> tuple[float, float, float]:
    """<|m|>, <m^2>, <m^4> of H = -(sum s)^2/2N by a direct sum over M."""
    M = np.arange(-n, n + 1, 2)
    log_w = gammaln(n + 1) - gammaln((n + M) / 2 + 1) - gammaln((n - M) / 2 + 1)
    log_w = log_w + beta * M**2 / (2 * n)
    w = np.exp(log_w - log_w.max())
    m = np.abs(M) / n
    return tuple(float((w * m**k).sum() / w.sum()) for k in (1, 2, 4))


def exact_table(sizes=SIZES, betas=(1.0,)) -> dict[str, np.ndarray]:
    rows = [(n, b, *exact_moments(n, float(b))) for n in sizes for b in betas]
    return dict(zip(("n_spins", "beta", "abs_m", "m2", "m4"), np.array(rows).T, strict=True))


def noisy(table, relative, rng):
    """Gaussian noise of a relative size on each moment, with its error stated."""
    result = dict(table)
    for name, factor in (("abs_m", 1), ("m2", 2), ("m4", 4)):
        result[f"{name}_error"] = factor * relative * table[name]
        result[name] = table[name] + result[f"{name}_error"] * rng.standard_normal(
            table[name].shape
        )
    return result


# --- log_slope -------------------------------------------------------------------------------


def test_log_slope_recovers_a_power_law_with_its_correction():
    x = np.geomspace(1, 100, 9)
    y = 2.5 * x**-0.7 * np.exp(0.3 * x**-0.5)
    fit = critical.log_slope(x, y, 0.01 * y, correction=0.5)
    assert fit.slope == pytest.approx(-0.7, abs=1e-12)
    assert fit.amplitude == pytest.approx(2.5, rel=1e-12)
    assert fit.correction_amplitude == pytest.approx(0.3, rel=1e-10)
    assert fit.p_value == pytest.approx(1)
    assert (fit.dof, fit.n_points, fit.window) == (6, 9, (1.0, 100.0))


def test_log_slope_error_is_that_of_weighted_least_squares():
    """Against the closed form of a straight line: Var = 1/sum w (X - X_mean)^2."""
    x, y = np.array([1.0, 2.0, 5.0, 9.0]), np.array([1.0, 1.9, 5.3, 8.8])
    yerr = np.array([0.05, 0.1, 0.2, 0.1])
    X, w = np.log(x), (y / yerr) ** 2
    mean = (w * X).sum() / w.sum()
    expected = 1 / np.sqrt((w * (X - mean) ** 2).sum())
    fit = critical.log_slope(x, y, yerr)
    assert fit.error == pytest.approx(expected, rel=1e-12)
    slope = (w * (X - mean) * np.log(y)).sum() / (w * (X - mean) ** 2).sum()
    assert fit.slope == pytest.approx(slope, rel=1e-12)
    residual = np.log(y) - np.log(fit.amplitude) - fit.slope * X
    assert fit.chi2 == pytest.approx((w * residual**2).sum(), rel=1e-9)


def test_log_slope_without_errors_takes_them_from_the_scatter():
    x, y = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 2.1, 3.9, 8.2])
    fit = critical.log_slope(x, y)
    X, Y = np.log(x), np.log(y)
    slope, intercept = np.polyfit(X, Y, 1)
    scatter = ((Y - intercept - slope * X) ** 2).sum() / 2
    assert fit.slope == pytest.approx(slope, rel=1e-12)
    assert fit.error == pytest.approx(np.sqrt(scatter / ((X - X.mean()) ** 2).sum()), rel=1e-9)
    assert np.isnan(fit.p_value)
    exact = critical.log_slope(x[:2], y[:2])
    assert np.isnan(exact.error)
    assert "no degree of freedom" in exact.note


@pytest.mark.statistical
def test_log_slope_errors_and_p_values_are_calibrated():
    """400 draws: the variance of z lies in 1 +- 4.2 sqrt(2/400), its mean within 4.2/20."""
    rng = np.random.default_rng(SEED)
    x = np.geomspace(10, 1000, 7)
    truth = 3 * x**0.5 * np.exp(0.2 * x**-0.5)
    z, p = [], []
    for _ in range(400):
        fit = critical.log_slope(
            x, truth * (1 + 0.01 * rng.standard_normal(7)), 0.01 * truth, correction=0.5
        )
        z.append((fit.slope - 0.5) / fit.error)
        p.append(fit.p_value)
    assert 0.7 < np.var(z) < 1.3
    assert abs(np.mean(z)) < 0.21
    assert abs(np.mean(p) - 0.5) < 4.2 / np.sqrt(12 * 400)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 2, 0], [1, 2, 3]), sn.InputError, r"x must be > 0, got 0\.0 at index \(2,\)"),
        (([1, 2, 3], [1, -2, 3]), sn.InputError, r"y must be > 0, got -2\.0"),
        (([1, 2, 3], [1, 2]), sn.InputError, r"one shape .* got \(3,\), \(2,\)"),
        (([1, 2, 3], [1, 2, 3], [0.1, 0, 0.1]), sn.InputError, r"yerr must be > 0"),
        (([1, 2, 3], [1, 2, 3], [0.1, 1, 0.1]), sn.StatisticsError, r"got 0\.5 of y at index 1"),
        (([1, 2, 3], [1, 2, 3], None, 0.0), sn.InputError, r"correction must differ from 0"),
        (([1, 1], [1, 2]), sn.StatisticsError, r"2 distinct x are needed"),
        (([1, 2], [1, 2], None, 0.5), sn.StatisticsError, r"3 distinct x .* correction=None"),
    ],
)
def test_log_slope_refuses_what_has_no_slope(arguments, error, message):
    with pytest.raises(error, match=message):
        critical.log_slope(*arguments)


# --- exponents at a known critical point ------------------------------------------------------


def test_exact_sums_give_the_mean_field_exponents():
    """Sizes 256-16384: what is left is O(1/N), below 1e-3 (5e-3 in the slope's larger one)."""
    sizes = tuple(256 * 2**k for k in range(7))
    betas = 1 + np.linspace(-0.004, 0.004, 9)
    fit = critical.exponents(exact_table(sizes, betas), beta_c=1.0)
    assert fit.beta_over_nu == pytest.approx(0.25, abs=2e-4)
    assert fit.gamma_over_nu == pytest.approx(0.5, abs=5e-4)
    assert fit.one_over_nu == pytest.approx(0.5, abs=5e-3)


def test_correction_and_amplitude_are_the_known_constants():
    """N^{1/4} <|m|> = 0.9098905883 (1 - 0.0387 N^{-1/2}), T chi likewise 1.1708, -0.2342."""
    fit = critical.exponents(exact_table(tuple(256 * 2**k for k in range(7))), beta_c=1.0)
    m, chi = fit.fits["beta_over_nu"], fit.fits["gamma_over_nu"]
    assert m.amplitude == pytest.approx(0.9098905883, rel=1e-3)
    assert chi.amplitude == pytest.approx(1.1708286566, rel=3e-3)
    assert chi.correction_amplitude == pytest.approx(-0.2741679486 / 1.1708286566, rel=0.1)


def test_a_straight_line_is_biased_by_more_than_two_errors():
    """Sizes from 64, errors of 0.1 %: gamma/nu is off without the term N^{-1/2}, not with it."""
    table = exact_table()
    for name, error in (("abs_m", 0.001), ("m2", 0.001), ("m4", 0.004)):
        table[f"{name}_error"] = error * table[name]
    straight = critical.exponents(table, beta_c=1.0, correction=None)
    corrected = critical.exponents(table, beta_c=1.0)
    assert abs(straight.gamma_over_nu - 0.5) > 2 * straight.gamma_over_nu_error
    assert straight.fits["gamma_over_nu"].dof == 3
    assert abs(corrected.gamma_over_nu - 0.5) < corrected.gamma_over_nu_error
    assert corrected.uncorrected["gamma_over_nu"].slope == straight.gamma_over_nu


@pytest.mark.statistical
def test_errors_at_a_known_critical_point_are_calibrated():
    """200 tables of 0.3 % noise; the bias of an exponent is below 0.1 of its error."""
    rng = np.random.default_rng(SEED)
    betas = 1 + np.linspace(-0.015, 0.015, 7)
    table = exact_table(tuple(2 * n for n in SIZES), betas)
    truth = {"beta_over_nu": 0.25, "gamma_over_nu": 0.5, "one_over_nu": 0.5}
    z = []
    for _ in range(200):
        fit = critical.exponents(noisy(table, 0.003, rng), beta_c=1.0)
        z.append([(getattr(fit, n) - v) / getattr(fit, f"{n}_error") for n, v in truth.items()])
    z = np.array(z)
    assert np.all((np.var(z, axis=0) > 0.7) & (np.var(z, axis=0) < 1.5))
    assert np.all(np.abs(z.mean(axis=0)) < 0.3)  # 4.2/sqrt(200)


def test_rows_off_the_critical_point_are_interpolated():
    betas = 1 + np.array([-0.011, -0.007, -0.003, 0.002, 0.006, 0.012])
    on = critical.exponents(exact_table(SIZES), beta_c=1.0)
    off = critical.exponents(exact_table(SIZES, betas), beta_c=1.0)
    assert off.beta_over_nu == pytest.approx(on.beta_over_nu, abs=1e-4)
    assert off.gamma_over_nu == pytest.approx(on.gamma_over_nu, abs=2e-4)
    assert np.isnan(on.one_over_nu)
    assert "one temperature" in on.note


@pytest.mark.statistical
def test_covariance_of_the_exponents_is_that_of_repeated_samples():
    """m and m^2 come from the same spins: correlation below -0.9, errors of delta calibrated."""
    rng, rows = np.random.default_rng(SEED), []
    for _ in range(60):
        tables = [
            critical.projection_table(
                np.sqrt(n) * sn.iid_curie_weiss(n, 1.0, 6400, rng=rng).reshape(1, 32, 200), [1.0], n
            )
            for n in SIZES
        ]
        fit = critical.exponents(tables, beta_c=1.0)
        found = fit.converted
        rows.append((fit.beta_over_nu, fit.gamma_over_nu, (found.delta - 3) / found.delta_error))
    b, g, z = np.array(rows).T
    quoted = fit.covariance
    assert quoted[0, 1] / np.sqrt(quoted[0, 0] * quoted[1, 1]) < -0.9
    assert np.cov(b, g)[0, 1] == pytest.approx(quoted[0, 1], rel=0.8)
    assert 0.4 < np.var(z) < 1.8
    assert np.isnan(found.beta)  # one temperature gives no 1/nu
    independent = 2 * np.hypot(fit.gamma_over_nu_error, 2 * fit.beta_over_nu_error)
    assert found.delta_error > 1.3 * independent


def test_conversion_is_that_of_the_scaling_relations():
    """First-order errors against 20 000 draws from the joint normal, 3 %."""
    from spinnet.spins.critical.conversion import convert

    values = np.array([0.25, 0.5, 0.5])
    covariance = 1e-6 * np.array([[1.0, -1.5, 0.3], [-1.5, 4.0, -0.2], [0.3, -0.2, 9.0]])
    found = convert(values, covariance)
    assert (found.beta, found.gamma, found.delta, found.nu_bar) == (0.5, 1.0, 3.0, 2.0)
    b, g, y = np.random.default_rng(SEED).multivariate_normal(values, covariance, 20_000).T
    for name, draws in (("beta", b / y), ("gamma", g / y), ("delta", 1 + g / b), ("nu_bar", 1 / y)):
        assert getattr(found, f"{name}_error") == pytest.approx(draws.std(), rel=0.03)


# --- crossings --------------------------------------------------------------------------------


def test_crossings_of_exact_tables_approach_the_critical_point_as_their_sizes_grow():
    betas = 1 + np.linspace(-0.08, 0.08, 33)
    found = critical.binder_crossings(exact_table(SIZES, betas))
    shift = (found.beta - 1) * np.sqrt(found.n_small * found.n_large)
    assert np.all(shift > 0)
    assert np.ptp(shift) / shift.mean() < 0.2  # b/(N1 N2)^{1/2} + higher orders
    assert found.binder[-1] == pytest.approx(0.2705 + 0.6 / np.sqrt(724), abs=0.01)
    assert np.all(np.isnan(found.beta_error))


def test_crossing_is_where_the_two_exact_cumulants_agree():
    """A cubic through spacings of 0.004 is good to 1e-6 in beta."""

    def cumulant(n: int, beta: float) -> float:
        _, m2, m4 = exact_moments(n, beta)
        return 1 - m4 / (3 * m2**2)

    found = critical.binder_crossings(exact_table((128, 256), 1 + np.linspace(-0.02, 0.04, 16)))
    beta = float(found.beta[0])
    assert cumulant(128, beta) == pytest.approx(cumulant(256, beta), abs=1e-6)
    assert float(found.binder[0]) == pytest.approx(cumulant(128, beta), abs=1e-6)


def test_unknown_critical_point_is_extrapolated_from_the_crossings():
    betas = 1 + np.linspace(-0.06, 0.06, 25)
    fit = critical.exponents(exact_table(SIZES, betas))
    assert fit.beta_c == pytest.approx(1, abs=1e-3)
    assert fit.beta_over_nu == pytest.approx(0.25, abs=5e-3)
    assert "leave out that of beta_c" in fit.note
    assert fit.crossings is not None


@pytest.mark.slow
@pytest.mark.statistical
def test_errors_of_the_whole_chain_are_calibrated():
    """40 tables: var z of beta_c and of the exponents within 1 +- 4.2 sqrt(2/39) = 0.95."""
    rng = np.random.default_rng(SEED)
    table = exact_table(SIZES, 1 + np.linspace(-0.08, 0.08, 13))
    z = []
    for k in range(40):
        fit = critical.exponents(noisy(table, 0.001, rng), n_resamples=40, rng=k)
        z.append(
            [
                (fit.beta_c - 1) / fit.beta_c_error,
                (fit.beta_over_nu - 0.25) / fit.beta_over_nu_error,
                (fit.gamma_over_nu - 0.5) / fit.gamma_over_nu_error,
            ]
        )
    assert np.all((np.var(z, axis=0) > 0.3) & (np.var(z, axis=0) < 1.95))
    assert np.all(np.abs(np.mean(z, axis=0)) < 0.67)  # 4.2/sqrt(40)


def test_the_same_seed_gives_the_same_errors():
    rng = np.random.default_rng(SEED)
    table = noisy(exact_table(SIZES, 1 + np.linspace(-0.08, 0.08, 9)), 0.001, rng)
    one, two = (critical.exponents(table, n_resamples=20, rng=5) for _ in range(2))
    assert one.beta_c_error == two.beta_c_error > 0


def test_errors_of_a_crossing_are_those_of_the_two_cumulants():
    """To first order d beta = hypot(dU_1, dU_2)/|U_1' - U_2'|; 2000 redraws are good to 10 %."""
    betas = 1 + np.linspace(-0.08, 0.12, 6)
    table = exact_table((64, 256), betas)
    table |= {"m2_error": 1e-4 * table["m2"], "m4_error": 3e-4 * table["m4"]}
    table["abs_m_error"] = 1e-4 * table["abs_m"]
    both = critical.binder_crossings(table, n_resamples=2000, rng=1)
    ratio = table["m4"] / (3 * table["m2"] ** 2)
    direct = {k: table[k] for k in ("n_spins", "beta", "abs_m", "abs_m_error")}
    direct |= {"m2": table["m2"], "m2_error": table["m2_error"], "binder": 1 - ratio}
    direct["binder_error"] = ratio * np.sqrt(3e-4**2 + 4 * 1e-4**2)
    given = critical.binder_crossings(direct, n_resamples=2000, rng=2)
    assert both.beta[0] == pytest.approx(given.beta[0], abs=1e-12)
    assert both.beta_error[0] == pytest.approx(given.beta_error[0], rel=0.1)
    assert both.beta_error[0] > 0


def test_redraws_without_a_crossing_are_refused_with_the_reason():
    rng = np.random.default_rng(SEED)
    table = noisy(exact_table((64, 128), 1.015 + np.linspace(0, 0.01, 5)), 0.005, rng)
    with pytest.raises(sn.StatisticsError, match=r"do not cross"):
        critical.binder_crossings(table, rng=0)


def test_crossings_out_of_range_say_what_to_do():
    table = exact_table((64, 128), 1.2 + np.linspace(0, 0.02, 5))
    with pytest.raises(sn.StatisticsError, match=r"64 and 128 do not cross for beta in \[1\.2, "):
        critical.binder_crossings(table)


# --- input ------------------------------------------------------------------------------------


class FakeEstimate:
    def __init__(self, value, error):
        self.value, self.error = value, error


class FakeRun:
    """The part of a Monte Carlo result that scaling reads."""

    def __init__(self, n, betas):
        self.model = sn.CurieWeiss(n)
        self.beta = np.array(betas)
        self._moments = np.array([exact_moments(n, b) for b in betas]).T

    def estimate(self, name):
        value = self._moments[("abs_m", "m2", "m4").index(name)]
        return FakeEstimate(value, 1e-3 * value)

    def derived(self, function):
        value = function(self._moments[1], self._moments[2])
        return FakeEstimate(value, 1e-3 * np.abs(value))


def test_runs_and_tables_give_the_same_exponents():
    betas = [0.98, 0.99, 1.0, 1.01, 1.02]
    table = exact_table(SIZES, betas)
    table |= {f"{k}_error": 1e-3 * table[k] for k in ("abs_m", "m2", "m4")}
    from_table = critical.exponents(table, beta_c=1.0)
    from_runs = critical.exponents([FakeRun(n, betas) for n in SIZES], beta_c=1.0)
    for name in ("beta_over_nu", "gamma_over_nu", "one_over_nu"):
        assert getattr(from_runs, name) == pytest.approx(getattr(from_table, name), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"abs_n": [1.0] * 5}, sn.InputError, r"unknown column 'abs_n'; did you mean 'abs_m'"),
        ({"beta": [1.0] * 4}, sn.InputError, "columns of one length"),
        ({"abs_m": [0.0] * 5}, sn.InputError, r"abs_m of n_spins=64 must be > 0"),
        ({"n_spins": [64.0] * 5}, sn.InputError, "each beta once"),
        ({"beta": [0.9] * 5}, sn.StatisticsError, r"beta_c=1 lies outside"),
    ],
)
def test_bad_tables_are_named(change, error, message):
    with pytest.raises(error, match=message):
        critical.exponents(exact_table() | change, beta_c=1.0)


def test_sizes_are_whole_numbers():
    table = {"n_spins": [4.5, 8], "beta": [1.0, 1.0], "abs_m": [0.5, 0.4]}
    with pytest.raises(sn.InputError, match=r"n_spins'.* must hold whole numbers, got 4\.5"):
        critical.exponents(table, beta_c=1.0, correction=None)


def test_runs_over_a_grid_of_any_shape_are_read():
    beta = np.array([[0.9, 1.0], [1.1, 1.2]])

    def fit(grid):
        runs = [
            sn.sample(sn.CurieWeiss(n), grid, n_sweeps=300, n_replicas=8, n_burn_in=50, rng=3)
            for n in (8, 32)
        ]
        return critical.exponents(runs, beta_c=1.0, correction=None)

    assert fit(beta).gamma_over_nu == fit(beta.ravel()).gamma_over_nu


def test_too_few_sizes_are_refused():
    with pytest.raises(sn.StatisticsError, match="at least 2 sizes"):
        critical.exponents(FakeRun(64, [1.0]), beta_c=1.0)
    with pytest.raises(sn.StatisticsError, match=r"3 sizes are needed with correction=0\.5"):
        critical.exponents(exact_table((64, 128)), beta_c=1.0)
    with pytest.raises(sn.InputError, match="must be a mapping of columns or a sequence of runs"):
        critical.exponents(3.0)


def test_missing_moments_leave_a_reason_and_not_a_number():
    table = exact_table()
    del table["m2"], table["m4"]
    fit = critical.exponents(table, beta_c=1.0)
    assert np.isnan(fit.gamma_over_nu)
    assert "no m2" in fit.note
    with pytest.raises(sn.InputError, match="m2 and m4, or binder"):
        critical.exponents(table)


def test_result_prints_exports_and_draws():
    import matplotlib as mpl

    mpl.use("Agg")
    betas = [0.98, 0.99, 1.0, 1.01, 1.02]
    fit = critical.exponents(exact_table(SIZES, betas), beta_c=1.0)
    assert "beta_over_nu" in fit.summary()
    assert fit.to_dict()["fits"]["beta_over_nu"]["slope"] == -fit.beta_over_nu
    ax = fit.plot()
    assert ax.get_xlabel() == r"number of spins $N$"
    assert len(ax.get_legend().get_texts()) == 4  # three exponents, mean field


def test_importing_the_module_loads_neither_pyplot_nor_sympy():
    code = (
        "import sys, spinnet.spins.critical, spinnet.spins.meanfield; "
        "bad = {'sympy', 'matplotlib.pyplot'} & set(sys.modules); sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
