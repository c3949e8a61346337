"""Every kind of source, read alike or refused: runs, reweighted curves, exact sums, columns."""

from __future__ import annotations

import doctest
import importlib
import json
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

import spinnet as sn
from spinnet.spins import critical
from spinnet.spins.critical.sources import read_table
from spinnet.spins.montecarlo.run import Run

mpl.use("Agg")
SIZES = (64, 128, 256, 512)
GRID = [0.9, 0.95, 1.0, 1.05, 1.1]


def independent_run(
    n: int, beta: list[float], seed: int, replicas: int = 16, samples: int = 200
) -> Run:
    """Exact samples of Curie-Weiss, as if from a run."""
    shape = (replicas, samples)
    streams = np.random.SeedSequence([seed, n]).spawn(len(beta))
    m = np.array(
        [
            sn.iid_curie_weiss(n, b, replicas * samples, rng=s).reshape(shape)
            for b, s in zip(beta, streams, strict=True)
        ]
    )
    return Run(
        model=sn.CurieWeiss(n),
        beta=np.array(beta),
        update=sn.HeatBath(),
        n_sweeps=samples,
        n_replicas=replicas,
        n_burn_in=np.zeros(len(beta), dtype=np.int64),
        series={"m": m, "energy": -n / 2 * m**2},
        spins=np.zeros((len(beta), replicas, 1), dtype=np.int8),
        seed={},
        version=sn.__version__,
        done=np.full(len(beta), samples, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [independent_run(n, GRID, 7) for n in SIZES]


@pytest.fixture(scope="module")
def curves(runs: list[Run]) -> list[critical.Reweighted]:
    return [critical.reweight(run, np.linspace(0.9, 1.1, 9)) for run in runs]


def test_crossings_of_curves_are_those_of_their_joint_replicates(curves: list) -> None:
    found = critical.binder_crossings(curves[::-1])
    assert found.n_small.tolist() == list(SIZES[:-1])
    for k in range(3):
        place = critical.crossing(curves[k], curves[k + 1])
        assert found.beta[k] == place.beta
        assert found.beta_error[k] == pytest.approx(place.beta_error, rel=1e-12)
        assert found.covariance[k, k] == pytest.approx(place.beta_error**2, rel=1e-12)
    assert found.covariance[0, 2] == 0
    assert np.all(np.linalg.eigvalsh(found.covariance) > 0)
    beta_c, error, quality = found.limit()
    assert abs(beta_c - 1) < 4 * error
    assert quality["dof"] == 1


@pytest.mark.slow
@pytest.mark.statistical
def test_errors_and_covariance_of_crossings_of_curves_are_those_of_repeated_runs() -> None:
    """40 repetitions know a variance to 23 %: ratios within 4 standard errors; false alarm 3e-4."""
    places, quoted = [], []
    for seed in range(40):
        some = [
            critical.reweight(independent_run(n, GRID, seed, 8, 250), np.linspace(0.9, 1.1, 5))
            for n in (32, 128, 512)
        ]
        found = critical.binder_crossings(some)
        places.append(found.beta)
        quoted.append(found.covariance)
    spread, mean = np.cov(np.array(places), rowvar=False), np.mean(quoted, axis=0)
    ratio = np.diagonal(spread) / np.diagonal(mean)
    assert np.all((ratio > 1 - 4 * 0.23) & (ratio < 1 + 4 * 0.23))
    # neighbours share a size, which moves their crossings opposite ways
    correlation = spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1])
    expected = mean[0, 1] / np.sqrt(mean[0, 0] * mean[1, 1])
    assert abs(correlation - expected) < 4 * 0.16
    assert expected < -0.05


def test_temperatures_of_a_curve_do_not_count_as_independent(curves: list) -> None:
    for call in (
        lambda: critical.collapse(curves),
        lambda: critical.mean_field_collapse(curves, "binder", 1.0),
        lambda: critical.temperature_exponents(curves[0], 1.0),
    ):
        with pytest.raises(sn.InputError, match="9 temperatures of a reweighted curve share"):
            call()
    with pytest.raises(sn.InputError, match="beta_c must be given for reweighted curves"):
        critical.exponents(curves)
    with pytest.raises(sn.InputError, match="each size once"):
        critical.exponents([curves[0], curves[0]], 1.0)
    with pytest.raises(sn.StatisticsError, match="at least 2 sizes"):
        critical.binder_crossings(curves[:1])
    critical.mean_field_collapse([c.at(1.0) for c in curves], "binder", 1.0)  # one temperature


def test_exponents_of_curves_have_the_slope_of_the_curve(curves: list) -> None:
    fit = critical.exponents(curves, beta_c=1.0)
    for k, n in enumerate(SIZES):
        values, _ = fit.data["one_over_nu"]
        low, high = (float(sn.exact.curie_weiss(n, b).abs_m) for b in (0.9999, 1.0001))
        slope = np.log(high / low) / 2e-4
        known = curves[k].at(1.0).derivative(np.log, "abs_m")
        assert values[k] == pytest.approx(float(known.value), rel=1e-6)
        assert fit.data["one_over_nu"][1][k] == pytest.approx(float(known.error), rel=1e-4)
        assert abs(values[k] - slope) < 4 * float(known.error)
    assert fit.covariance is not None
    assert np.all(np.isfinite(fit.covariance))


def test_one_temperature_gives_the_slope_by_the_covariance_with_the_energy(runs: list) -> None:
    """The sum over configurations itself: d ln<|m|>/d beta = <E> - <|m| E>/<|m|>."""
    single = [independent_run(n, [1.0], 3) for n in SIZES]
    fit = critical.exponents(single, beta_c=1.0)
    for k, run in enumerate(single):
        m, energy = np.abs(run.series["m"]).ravel(), run.series["energy"].ravel()
        slope = energy.mean() - (m * energy).mean() / m.mean()
        assert fit.data["one_over_nu"][0][k] == pytest.approx(slope, rel=1e-9)
    assert 0 < fit.one_over_nu_error < 0.2
    assert abs(fit.one_over_nu - 0.5) < 4 * fit.one_over_nu_error


@pytest.mark.slow
@pytest.mark.statistical
def test_exponents_of_curves_are_calibrated_over_fifty_seeds() -> None:
    """var z in 0.4-1.8 (4 sqrt(2/49) is 0.8), |mean z| below 4/sqrt(50): false alarm 4e-4."""
    z = []
    for seed in range(50):
        some = []
        for n in (128, 256, 512, 1024, 2048):
            beta = list(1 + np.array([-0.8, 0.0, 0.8]) / np.sqrt(n))
            some.append(critical.reweight(independent_run(n, beta, seed, 32, 60), 1.0))
        found = critical.exponents(some, beta_c=1.0).converted
        truth = {"beta": 0.5, "gamma": 1.0, "delta": 3.0, "nu_bar": 2.0}
        z.append([(getattr(found, k) - v) / getattr(found, f"{k}_error") for k, v in truth.items()])
    variance, mean = np.var(z, axis=0, ddof=1), np.mean(z, axis=0)
    assert np.all((variance > 0.4) & (variance < 1.8)), variance
    assert np.all(np.abs(mean) < 0.57), mean


def test_maxima_of_curves_are_those_of_maximum() -> None:
    some = [
        critical.reweight(
            independent_run(n, [1.0, 1.1, 1.25], 9, 8, 400), np.linspace(1.0, 1.25, 11)
        )
        for n in (64, 128)
    ]
    found = critical.maxima(some[::-1], "susceptibility_abs")
    for k, curve in enumerate(some):
        place = critical.maximum(curve, "susceptibility_abs")
        assert (found.beta[k], found.height_error[k]) == (place.beta, place.value_error)
    ax = found.plot()
    assert len(ax.containers) == 2  # a star with its bars for each size
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["N = 64", "N = 128"]


# --- unfinished, mixed, in a field ---------------------------------------------------------------


def test_an_unfinished_run_counts_with_its_sweeps(runs: list[Run]) -> None:
    done = np.array([200, 200, 120, 200, 200])
    beyond = np.arange(200) >= done[:, None, None]
    series = {k: np.where(beyond, np.nan, v) for k, v in runs[0].series.items()}
    (table,) = read_table(replace(runs[0], done=done, series=series), min_sizes=1)
    (whole,) = read_table(runs[0], min_sizes=1)
    m = runs[0].series["m"][2, :, :120]
    assert table.values["abs_m"][2] == pytest.approx(np.abs(m).mean(), rel=1e-12)
    assert table.errors["abs_m"][2] == pytest.approx(
        np.abs(m).mean(axis=1).std(ddof=1) / 4, rel=1e-12
    )
    assert table.values["m2"][1] == whole.values["m2"][1]
    with pytest.raises(sn.StatisticsError, match=r"no sweep done at beta=0\.9:"):
        critical.exponents([replace(runs[0], done=np.array([0, 200, 200, 200, 200])), *runs[1:]])


def test_errors_at_some_points_only_are_refused(runs: list[Run]) -> None:
    exact = [sn.exact.curie_weiss(n, np.array(GRID)) for n in SIZES]
    for call in (
        lambda s: critical.exponents(s, 1.0),
        critical.binder_crossings,
        lambda s: critical.collapse(s, reach=2.0),
        lambda s: critical.mean_field_collapse(s, "m2", 1.0),
    ):
        with pytest.raises(sn.StatisticsError, match=r"15 of 20 without, the first at n_spins=128"):
            call([runs[0], *exact[1:]])
    columns = {
        "n_spins": np.repeat([64, 128, 256], 2),
        "beta": np.tile([1.0, 1.1], 3),
        "abs_m": np.full(6, 0.5),
        "abs_m_error": np.array([1, 1, 0, 1, 1, 1]) * 0.01,
    }
    with pytest.raises(sn.StatisticsError, match=r"1 of 6 without.*n_spins=128, beta=1$"):
        critical.exponents(columns, 1.0)


def test_chains_without_errors_are_refused() -> None:
    """Two short chains at T_c have no error, and are not an exact table."""
    short = [
        sn.sample(
            *(sn.CurieWeiss(n), [1.0]),
            update=sn.HeatBath(),
            n_sweeps=100,
            n_replicas=2,
            n_burn_in=10,
            rng=n,
        )
        for n in (256, 512, 1024)
    ]
    assert np.isnan(short[-1].estimate("abs_m").error).any()
    with pytest.raises(sn.StatisticsError, match="has no error at some temperature"):
        critical.exponents(short, 1.0)


@pytest.mark.parametrize(
    "model",
    [
        sn.CurieWeiss(32, h=0.1),
        sn.NetworkDual(np.ones((4, 4)), 0.3, fields="exact"),
        sn.NetworkDual(np.ones((4, 4)), 0.3, kind="marginal", fields="exact"),
        sn.Bipartite(np.ones((3, 3)), bias_b=1.0, levels=(-1, 1)),
    ],
)
def test_a_model_with_fields_has_no_transition(model: sn.CurieWeiss) -> None:
    run = sn.sample(model, [0.5, 0.6, 0.7], n_sweeps=60, n_replicas=8, n_burn_in=5, rng=1)
    for call in (critical.exponents, critical.temperature_exponents, critical.collapse):
        with pytest.raises(sn.InputError, match="model must have no fields"):
            call(run)
    # a specific heat is that of any system
    (table,) = read_table(run, min_sizes=1, needed=("specific_heat",))
    assert np.all(table.errors["specific_heat"] > 0)


def test_what_cannot_be_read_is_named() -> None:
    field = sn.exact.curie_weiss(32, GRID, h=0.1)
    with pytest.raises(sn.InputError, match="exact results must be at h = 0"):
        critical.exponents([field, field], 1.0)
    bits = sn.sample(sn.Bipartite(np.ones((3, 3))), [1.0], n_sweeps=60, n_replicas=8, rng=1)
    with pytest.raises(sn.InputError, match=r"units must be -1 and \+1"):
        critical.exponents([bits, bits], 1.0)
    solution = sn.solve(sn.CurieWeiss(10), 0.5)
    with pytest.raises(sn.InputError, match="temperature_exponents takes a sequence"):
        critical.exponents([solution, solution], 1.0)
    rows = {"n_spins": [4], "beta": [1.0], "abs_m": [0.5]}
    with pytest.raises(sn.InputError, match="pass one mapping with the rows of all sizes"):
        critical.exponents([rows, rows], 1.0)
    for nothing in ("runs", b"runs", 3, None):
        with pytest.raises(sn.InputError, match="source must be a mapping of columns"):
            critical.exponents(nothing, 1.0)
    with pytest.raises(sn.StatisticsError, match="at least 2 sizes"):
        critical.dynamic_exponent([])


def test_crossings_print_export_and_draw(curves: list) -> None:
    found = critical.binder_crossings(curves)
    assert "U* = 0.270520" in found.summary()
    assert "N = 64, 128" in found.summary()
    assert "beta_c ->" in found.summary()
    ax = found.plot()
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert "mean field, $U^*$" in [text.get_text() for text in ax.get_legend().get_texts()]
    exact = [sn.exact.curie_weiss(n, np.linspace(0.95, 1.1, 16)) for n in SIZES]
    plain = critical.binder_crossings(exact)
    assert json.loads(json.dumps(plain.to_dict(), allow_nan=False))["beta_error"] == [None] * 3
    plain.plot()
    with pytest.raises(sn.InputError, match="shift must be > 0"):
        plain.limit(-1.0)
    slope = critical.log_slope([1, 2, 4], [1, 2, 4])
    assert json.dumps(slope.to_dict(), allow_nan=False)
    assert "slope 1" in slope.summary()


def test_references_of_mean_field_are_drawn_and_named(runs: list[Run]) -> None:
    ax = critical.exponents(runs, 1.0).plot()
    assert [t.get_text() for t in ax.get_legend().get_texts()].count("slopes of mean field") == 1
    t = np.geomspace(0.02, 0.4, 12)
    large = sn.exact.curie_weiss(10**6, 1 / np.concatenate([1 - t, 1 + t]))
    ax = critical.temperature_exponents(large, 1.0).plot()
    assert [t.get_text() for t in ax.get_legend().get_texts()].count("slopes of mean field") == 1


def test_the_mean_field_curve_is_drawn_in_the_units_of_the_collapse() -> None:
    """Exact data with slightly wrong exponents held: the dashed curve goes through them."""
    sizes = np.array([2048, 4096, 8192])
    exact = [sn.exact.curie_weiss(n, 1 - np.linspace(-1, 1, 13) / np.sqrt(n)) for n in sizes]
    held = {"beta_c": 1.0, "one_over_nu": 0.52, "kappa": -0.24}
    found = critical.collapse(exact, "abs_m", **held, correction=None)
    (line,) = [x for x in found.plot().lines if x.get_label() == "mean field, exact"]
    middle = np.abs(found.n_spins - 4096) < 1
    expected = np.interp(found.x[middle], *line.get_data())
    np.testing.assert_allclose(found.y[middle], expected, rtol=0.015)  # other units: 9 %


@pytest.mark.parametrize(
    "name",
    ["__init__", "birth_death", "field_sweeps", "fits", "scaling", "scaling_functions"],
)
def test_examples_in_docstrings_run(name: str) -> None:
    package = "spinnet.spins.critical"
    module = importlib.import_module(package if name == "__init__" else f"{package}.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
