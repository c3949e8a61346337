"""The figures of Schoenholz et al.: theory against simulation in every panel, and their shape.

Networks are small and wide enough; means over them are compared at 4 standard errors and an
allowance of 2 (depth + 1) / width, relative to 1 for correlations and to the largest length for
lengths, as finite width shifts means at that order.  With the 16 networks of a fixture a right
program exceeds 4 standard errors (Student's t of 15 degrees) in one comparison of 900, and the
allowance leaves few of these; layers of one network are not independent comparisons.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from spinnet.errors import InputError, MissingDependencyError
from spinnet.propagation import MeanField, critical_sigma_w
from spinnet.propagation.figures import FigureData
from spinnet.propagation.figures.schoenholz import fig1, fig2, fig3, fig4, fig5, fig6
from spinnet.propagation.figures.schoenholz.decay import fit_decay

LIMIT = 4.0
WIDTH = 400


@pytest.fixture(scope="module")
def one() -> FigureData:
    return fig1(width=WIDTH, n_networks=16, depth=12, points=6, grid=26, rng=11)


@pytest.fixture(scope="module")
def two() -> FigureData:
    return fig2(
        sigma_w2=(1.0, 1.4, 3.0),
        width=WIDTH,
        n_networks=16,
        n_inputs=10,
        depth_q=8,
        depth_c=24,
        rng=12,
    )


@pytest.fixture(scope="module")
def three() -> FigureData:
    return fig3(
        keep=(1.0, 0.94, 0.8),
        fit_sigma_w2=(1.0, 2.6),
        width=WIDTH,
        n_networks=16,
        n_inputs=10,
        depth=12,
        rng=13,
    )


@pytest.fixture(scope="module")
def four() -> FigureData:
    return fig4(sigma_w2=(1.0, 1.76, 3.0), width=200, n_networks=24, depth=24, rng=14)


def near(mean: Any, theory: Any, sem: Any, allowance: float) -> None:
    apart = np.abs(mean - theory)
    assert np.all(apart <= LIMIT * sem + allowance), (apart / (LIMIT * sem + allowance)).max()


# --- theory against simulation --------------------------------------------------------------------


@pytest.mark.statistical
def test_fig1_networks_follow_the_cut(one):
    near(one["sim_mean"], one["sim_theory"], one["sim_sem"], 2 * 13 / WIDTH)
    # the spread is one of networks and not of rounding, and sem is its share
    np.testing.assert_allclose(one["sim_sem"], one["sim_sd"] / 4)
    assert one["sim_sd"][-1] > 1e-3


@pytest.mark.statistical
@pytest.mark.parametrize(("name", "depth"), [("q", 8), ("c", 24)])
def test_fig2_networks_settle_as_the_theory(two, name, depth):
    scale = np.abs(two[f"{name}_theory"]).max(axis=1, keepdims=True) + two[f"{name}_star"][:, None]
    mean, theory, sem = (two[f"{name}_{part}"] / scale for part in ("mean", "theory", "sem"))
    near(mean, theory, sem, 2 * (depth + 1) / WIDTH)
    np.testing.assert_allclose(mean[:, 0], theory[:, 0], atol=1e-12)
    assert np.all(np.abs(theory[:, 0]) > 0.1)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["q", "c"])
def test_fig2_fits_are_those_of_the_theory(two, name):
    fit, error, theory = (two[f"xi_{name}_{part}"] for part in ("fit", "error", "fit_theory"))
    known = np.isfinite(fit)
    assert known.sum() >= 2
    # a slope is shifted at the order 1/width per layer: xi by xi^2 4/width
    apart = np.abs(fit - theory)[known]
    assert np.all(apart <= (LIMIT * error + 4 * theory**2 / WIDTH)[known])
    assert np.all(error[known] < 0.3 * fit[known])
    exact = [getattr(MeanField("tanh", w**0.5, 0.05**0.5), f"xi_{name}") for w in (1.0, 1.4, 3.0)]
    np.testing.assert_allclose(
        theory[known], np.array(exact)[known], rtol=0.25
    )  # rates within 20 % of the last one


@pytest.mark.statistical
def test_fig3_networks_follow_the_map_and_its_trajectories(three):
    theory = np.array([np.interp(three["sim_c_in"], three["c_in"], C) for C in three["C"]])
    near(three["sim_mean"], theory, three["sim_sem"], 4 / WIDTH)
    near(three["traj_mean"], three["traj_theory"], three["traj_sem"], 2 * 13 / WIDTH)
    # with independent masks equal inputs part, which no allowance above could hide
    apart = 1 - three["traj_mean"][:, 1, 1]
    assert apart[0] < 1e-12
    np.testing.assert_allclose(apart[1:], 1 - three["keep"][1:], rtol=0.35)


@pytest.mark.statistical
def test_fig3_fits_are_those_of_the_theory(three):
    fit, error, theory = (three[f"xi_c_{part}"] for part in ("fit", "error", "fit_theory"))
    known = np.isfinite(fit)
    assert known.sum() >= 4
    assert known[:, 0].all()
    apart = np.abs(fit - theory)[known]
    assert np.all(apart <= (LIMIT * error + 4 * theory**2 / WIDTH)[known])


@pytest.mark.statistical
def test_fig4_gradients_follow_the_theory(four):
    # a log-normal law of relative variance v has the mean logarithm -ln(1 + v)/2; v itself is
    # known to leading order in depth/width, and as much again is allowed
    shift = np.log1p(four["relative_variance"]) / 2
    apart = four["log_mean"] - np.log(four["theory"]) + shift
    assert np.all(np.abs(apart) <= LIMIT * four["log_sem"] + shift + 4 / 200)
    assert np.all(np.abs(np.log(four["theory"][[0, 2], 0])) > 4)  # orders of magnitude
    # sd of the logarithm: sqrt(ln(1 + v)), known to 1/sqrt(2 * 23) from 24 networks
    np.testing.assert_allclose(four["log_sd"][:, 0] ** 2, 2 * shift[:, 0], rtol=0.8)
    rate = np.array([MeanField("tanh", w**0.5, 0.05**0.5).chi_1 for w in (1.0, 1.76, 3.0)])
    allowed = LIMIT * four["sim_rate_sem"] + np.abs(four["sim_rate_shift"])
    assert np.all(np.abs(four["sim_rate"] - four["sim_rate_shift"] - np.log(rate)) <= allowed)
    assert np.all(four["low"] <= four["high"])


# --- theory against other theory ------------------------------------------------------------------


def test_fig1_and_fig2_hold_the_theory(one, two):
    i, j = 7, 20
    net = MeanField("tanh", one["sigma_w2"][j] ** 0.5, one["sigma_b2"][i] ** 0.5)
    assert one["c_star"][i, j] == pytest.approx(net.c_star, abs=1e-9)
    assert one["chi_1"][i, j] == pytest.approx(net.chi_1, rel=1e-9)
    line = critical_sigma_w("tanh", one["critical_sigma_b2"] ** 0.5) ** 2
    np.testing.assert_allclose(one["critical_sigma_w2"], line, rtol=1e-9)
    # chi_1 = 1 by quadrature at sigma_b^2 = 0.05 (specification: sigma_w^2 = 1.760954639606739)
    at = np.interp(0.05, one["critical_sigma_b2"], one["critical_sigma_w2"])
    assert at == pytest.approx(1.760954639606739, rel=2e-3)
    assert one["cut_c_star"][j] == pytest.approx(
        MeanField("tanh", one["sigma_w2"][j] ** 0.5, 0.05**0.5).c_star, abs=1e-9
    )
    net = MeanField("tanh", two["sigma_w2"][90] ** 0.5, two["biases"][2] ** 0.5)
    assert two["xi_q"][2, 90] == pytest.approx(net.xi_q, rel=1e-8)
    assert two["xi_c"][2, 90] == pytest.approx(net.xi_c, rel=1e-6)


def test_the_fixed_point_of_the_theory_is_one_by_quadrature(two):
    q = two["q_star"][0]
    root = np.sqrt(q)
    value = integrate.quad(
        lambda z: np.tanh(root * z) ** 2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi), -12, 12
    )[0]
    assert 1.0 * value + 0.05 == pytest.approx(q, rel=1e-10)


def test_fig3_depth_scale_is_finite_with_dropout(three):
    assert three.parameters["sigma_w2"] == pytest.approx(1.760954639606739, rel=1e-10)
    assert three["xi_c"][1:].max() < 10
    assert three["xi_c"][1].max() > three["xi_c"][2].max()
    k = int(np.argmin(np.abs(three["sigma_w2"] - 1.76)))
    net = MeanField("tanh", three["sigma_w2"][k] ** 0.5, 0.05**0.5, 0.94)
    assert three["xi_c"][1, k] == pytest.approx(net.xi_c, rel=1e-8)


def test_fig4_theory_is_exponential(four):
    xi = four["xi_grad"][:, None]
    distance = 24 - four["layers"]
    np.testing.assert_allclose(four["theory"], np.exp(-distance / xi), rtol=1e-9)
    assert four["xi_grad"][0] > 0 > four["xi_grad"][2]
    k = 100
    chi_1 = MeanField("tanh", four["sigma_w2"][k] ** 0.5, 0.05**0.5).chi_1
    assert four["rate"][k] == pytest.approx(np.log(chi_1), abs=1e-9)


# --- fits -----------------------------------------------------------------------------------------


def test_a_fit_finds_the_scale_of_an_exponential():
    layers = np.arange(20)
    theory = -0.3 * np.exp(-layers / 4.0)
    # every network decays exactly, with another amplitude
    samples = theory * np.linspace(0.9, 1.1, 8)[:, None]
    fit = fit_decay(samples, theory, 4.0)
    assert fit.xi == pytest.approx(4.0, rel=1e-10)
    assert fit.theory == pytest.approx(4.0, rel=1e-10)
    assert fit.error == pytest.approx(0.0, abs=1e-10)


@pytest.mark.statistical
def test_the_error_of_a_fit_is_its_scatter():
    rng = np.random.default_rng(5)
    theory = np.exp(-np.arange(12) / 5.0)
    fits = []
    for _ in range(200):
        samples = theory + 0.05 * rng.normal(size=(10, 12))
        fits.append(fit_decay(samples, theory, 5.0))
    xi, error, _ = np.array(fits).T
    # the jackknife is right to 10 % here, and the scatter of 200 fits known to 5 %
    assert np.sqrt(np.mean(error**2)) == pytest.approx(xi.std(), rel=0.3)
    assert abs(xi.mean() - 5) < 4 * xi.std() / np.sqrt(200) + 0.02 * 5


def test_no_fit_where_noise_or_the_transient_hides_the_exponential():
    rng = np.random.default_rng(6)
    theory = np.exp(-np.arange(12) / 5.0)
    assert np.isnan(fit_decay(theory + 3 * rng.normal(size=(10, 12)), theory, 5.0).xi)
    assert np.isnan(fit_decay(theory + 0.01 * rng.normal(size=(10, 12)), theory, 9.0).xi)
    assert np.isnan(fit_decay(theory[None], theory, 5.0).xi)


# --- the figures as data --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "two", "three", "four"])
def test_figures_are_finite_serialisable_and_drawn(name, request, tmp_path):
    data = request.getfixturevalue(name)
    hidden = {"xi_q_fit", "xi_c_fit", "xi_c_error", "xi_q_error"}
    for key, values in data.items():
        if key in hidden or key.endswith("fit_theory"):
            continue
        if key in ("xi_c", "xi_grad"):  # infinite at criticality only
            assert not np.isnan(values).any(), key
        else:
            assert np.isfinite(values).all(), key
    saved = json.loads(json.dumps(data.to_dict(), allow_nan=False))
    assert saved["parameters"]["seed"]["entropy"].isdigit()
    assert set(saved["arrays"]) == set(data)
    assert data.save(tmp_path / "figure.png").stat().st_size > 20_000


@pytest.mark.parametrize("make", [fig1, fig2, fig3, fig4])
def test_seeds_make_figures_again(make):
    small: dict[str, Any] = {"width": 20, "n_networks": 3}
    small |= {
        fig1: {"points": 2, "depth": 2, "grid": 3},
        fig2: {"sigma_w2": [1.5], "depth_q": 2, "depth_c": 3, "n_inputs": 2},
        fig3: {"keep": [0.9], "depth": 2, "n_inputs": 2, "fit_sigma_w2": [1.0]},
        fig4: {"sigma_w2": [1.5], "depth": 3},
    }[make]
    first, again, other = (make(rng=seed, **small) for seed in (1, 1, 2))
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
    changed = [k for k in first if k.endswith("mean")]
    assert changed
    assert all(not np.array_equal(first[k], other[k]) for k in changed)


@pytest.mark.parametrize(
    ("make", "change", "name"),
    [
        (fig1, {"sigma_w2": (2.0, 1.0)}, "sigma_w2"),
        (fig1, {"sigma_b2": (-0.1, 1.0)}, "sigma_b2"),
        (fig1, {"cut": -1.0}, "cut"),
        (fig1, {"grid": 1}, "grid"),
        (fig2, {"sigma_w2": np.arange(1, 9)}, "sigma_w2"),
        (fig2, {"sigma_w2": [0.0]}, "sigma_w2"),
        (fig2, {"n_inputs": 0}, "n_inputs"),
        (fig2, {"start": 0.0}, "start"),
        (fig2, {"c0": 2.0}, "c0"),
        (fig2, {"sigma_w2": [0.5], "sigma_b2": 0.0}, "sigma_w2"),
        (fig3, {"keep": [0.0]}, "keep"),
        (fig3, {"keep": [1.2]}, "keep"),
        (fig3, {"activation": "softplus"}, "softplus"),
        (fig4, {"depth": 1}, "depth"),
        (fig4, {"activation": "relu", "sigma_w2": [2.5]}, "sigma_w2"),
    ],
)
def test_bad_arguments_are_refused(make, change, name):
    with pytest.raises(InputError, match=name):
        make(**change)


# --- training -------------------------------------------------------------------------------------


@pytest.fixture
def images() -> Any:
    return np.random.default_rng(3).normal(size=(60, 9))


TRAINED: dict[str, Any] = {
    "depths": (1, 3),
    "sigma_w2": (1.0, 1.76, 3.0),
    "width": 6,
    "steps": 2,
    "batch": 20,
    "rng": 4,
}


def test_training_figures_ask_for_pytorch(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for make in (fig5, fig6):
        with pytest.raises(MissingDependencyError, match="train"):
            make(images, np.arange(60) % 3, **TRAINED)


def test_training_figures_hold_accuracies_and_the_line(images, tmp_path):
    pytest.importorskip("torch")
    labels = np.arange(60) % 3
    five = fig5(images, labels, checkpoint=tmp_path / "grid.npz", **TRAINED)
    six = fig6(images, labels, keep=(0.9, 0.5), checkpoint=tmp_path / "grid.npz", **TRAINED)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "grid-keep0.5.npz",
        "grid-keep0.9.npz",
        "grid.npz",
    ]
    assert five["accuracy"].shape == (2, 3)
    assert six["accuracy"].shape == (2, 2, 3)
    expected = [MeanField("tanh", w**0.5, 0.05**0.5, 0.5).xi_c for w in (1.0, 1.76, 3.0)]
    np.testing.assert_allclose(six["xi_c"][1], expected, rtol=1e-9)
    for data in (five, six):
        json.dumps(data.to_dict(), allow_nan=False)
        assert np.isfinite(data["accuracy"]).all()
        assert data.save(tmp_path / f"{data.name}.png").stat().st_size > 20_000
    again = fig5(images, labels, checkpoint=tmp_path / "grid.npz", **TRAINED)
    np.testing.assert_array_equal(again["loss"], five["loss"])
    with pytest.raises(InputError, match="keep"):
        fig6(images, labels, keep=[], **TRAINED)


@pytest.mark.parametrize(
    ("figure", "options", "names"),
    [
        (fig1, {"activation": "relu"}, "sigma_w2 and cut"),
        (fig1, {"cut": 0.0}, "sigma_w2 and cut"),
        (fig2, {"activation": "relu", "sigma_w2": 2.0}, "sigma_w2 and sigma_b2"),
        (fig3, {"activation": "relu", "sigma_w2": 2.0}, "sigma_w2 and sigma_b2"),
        (fig3, {"sigma_b2": 0.0}, "sigma_w2 and sigma_b2"),
        (fig4, {"activation": "relu", "sigma_w2": 2.0}, "sigma_w2 and sigma_b2"),
    ],
    ids=["1 relu", "1 tanh", "2 relu", "3 relu", "3 tanh", "4 relu"],
)
def test_networks_without_a_length_are_refused_by_the_names_of_the_figure(
    figure: Any, options: dict[str, Any], names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("simulated before the arguments were checked")

    monkeypatch.setattr("spinnet.propagation.simulate.Ensemble._networks", never)
    with pytest.raises(InputError, match=f"^{names} must have a fixed point"):
        figure(**options)


def test_dropout_figure_refuses_one_value_twice() -> None:
    """Each value has a checkpoint, named by six digits of it."""
    with pytest.raises(InputError, match="keep must be values that differ"):
        fig6(np.eye(4), [0, 1, 0, 1], keep=[0.99, 0.99000001])
