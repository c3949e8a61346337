"""Two layers, one of them wide: against full enumeration, counting, and the marginal's own sum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.exact.layer_marginal import layer_marginal
from spinnet.spins.exact.two_layers import TwoLayers

NAMES = (
    "log_z",
    "energy",
    "specific_heat",
    "magnetization",
    "abs_m",
    "m2",
    "m4",
    "susceptibility",
    "susceptibility_abs",
    "means",
    "correlations",
)


def same(found: dict, exact: object, rtol: float = 1e-11) -> None:
    for name in NAMES:
        value = np.asarray(getattr(exact, name))
        scale = max(float(np.abs(value).max()), 1e-3)  # zeros are zeros to rounding
        np.testing.assert_allclose(found[name], value, rtol=0, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("levels", [(-1, 1), (0, 1)])
@pytest.mark.parametrize(("n_a", "n_b"), [(3, 7), (7, 3), (4, 4), (1, 6), (6, 1), (1, 1)])
@pytest.mark.parametrize("beta", [0.0, 0.4, 3.0])
def test_both_ways_of_summing_agree(n_a: int, n_b: int, levels, beta: float, seed: int) -> None:
    """Every state of both layers, against the smaller layer with the other integrated out."""
    rng = np.random.default_rng(seed)
    biases = rng.normal(size=n_a), rng.normal(size=n_b)
    pair = sn.Bipartite(rng.normal(size=(n_a, n_b)), *biases, levels=levels, scale=0.7)
    same(TwoLayers(pair, only_a=False).averages(beta), sn.exact.enumerate(pair, beta))


@pytest.mark.parametrize(("n_in", "n_out"), [(3, 7), (7, 3)])
def test_the_marginal_of_a_dual_reports_its_inputs(n_in: int, n_out: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dual = sn.NetworkDual(rng.normal(size=(n_in, n_out)), rng.normal(size=n_out), kind="marginal")
    found = TwoLayers(dual.as_bipartite(), only_a=True).averages(1.1)
    assert found["means"].shape == (n_in,)
    same(found, sn.exact.enumerate(dual, 1.1))


def log_binomial(n: int, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


@pytest.mark.parametrize(("n_a", "n_b"), [(10, 150), (150, 9)])
def test_a_uniform_wide_layer_against_counting(n_a: int, n_b: int) -> None:
    """With one weight for all pairs, the sum runs over the two totals alone."""
    w, g, k, beta = 0.11, 0.05, -0.03, 0.8
    pair = sn.Bipartite(np.full((n_a, n_b), w), np.full(n_a, g), np.full(n_b, k), levels=(-1, 1))
    r = sn.exact.enumerate(pair, beta)
    i, j = np.arange(n_a + 1)[:, None], np.arange(n_b + 1)
    total_a, total_b = 2 * i - n_a, 2 * j - n_b
    energy = -w * total_a * total_b - g * total_a - k * total_b
    log_weight = log_binomial(n_a, i) + log_binomial(n_b, j) - beta * energy
    log_z = logsumexp(log_weight)
    p = np.exp(log_weight - log_z)
    n = n_a + n_b
    m = (total_a + total_b) / n

    def mean(x: np.ndarray) -> float:
        return float(np.sum(p * x))

    assert r.log_z == pytest.approx(log_z, rel=1e-12)
    assert r.energy == pytest.approx(mean(energy), rel=1e-11)
    variance = mean((energy - mean(energy)) ** 2)
    assert r.specific_heat == pytest.approx(beta**2 * variance / n, rel=1e-9)
    for name, value in (("magnetization", m), ("abs_m", abs(m)), ("m2", m**2), ("m4", m**4)):
        assert getattr(r, name) == pytest.approx(mean(value), rel=1e-10), name
    chi = beta * n * mean((m - mean(m)) ** 2)
    chi_abs = beta * n * mean((abs(m) - mean(abs(m))) ** 2)
    assert r.susceptibility == pytest.approx(chi, rel=1e-9)
    assert r.susceptibility_abs == pytest.approx(chi_abs, rel=1e-9)
    assert r.means[0] == pytest.approx(mean(total_a) / n_a, rel=1e-10)
    assert r.means[-1] == pytest.approx(mean(total_b) / n_b, rel=1e-10)
    ab = mean(total_a * total_b) / (n_a * n_b)
    assert r.correlations[0, -1] == pytest.approx(ab, rel=1e-10)
    bb = (mean(total_b**2) - n_b) / (n_b * (n_b - 1))
    assert r.correlations[-1, -2] == pytest.approx(bb, rel=1e-9)
    np.testing.assert_allclose(np.diag(r.correlations), 1.0, rtol=1e-12)


def test_a_wide_dual_agrees_with_the_sum_of_its_marginal(seed: int) -> None:
    """log Z from the marginal of the other layer of a narrow system, at three temperatures."""
    rng = np.random.default_rng(seed)
    dual = sn.NetworkDual(rng.normal(size=(60, 8)) / 8, rng.normal(size=8), fields="exact")
    for beta in (0.5, 1.0, 2.0):
        r = sn.exact.enumerate(dual, beta)
        assert r.log_z == pytest.approx(layer_marginal(dual, beta).log_z, rel=1e-13)
    grid = sn.exact.enumerate(dual, [0.5, 1.0])
    assert grid.means.shape == (2, 68)
    assert grid.correlations.shape == (2, 68, 68)
    # energy = -d ln Z / d beta, by a central difference of error 1e-9
    low, high = (sn.exact.enumerate(dual, 1 + d).log_z for d in (-1e-4, 1e-4))
    assert sn.exact.enumerate(dual, 1.0).energy == pytest.approx(-(high - low) / 2e-4, rel=1e-7)


def test_the_mean_of_the_absolute_total_is_nan_where_it_would_take_hours(monkeypatch) -> None:
    import spinnet.spins.exact.two_layers as module

    monkeypatch.setattr(module, "_LARGEST_DISTRIBUTION", 100.0)
    r = sn.exact.enumerate(sn.Bipartite(np.ones((2, 30)) / 30, levels=(-1, 1)), 1.0)
    assert np.isnan(r.abs_m)
    assert np.isnan(r.susceptibility_abs)
    assert np.isfinite([r.m2, r.m4, r.susceptibility, r.log_z]).all()


def test_layers_that_are_both_wide_are_refused() -> None:
    with pytest.raises(InputError, match=r"at most 24 units in one of its two layers .* 25 and 30"):
        sn.exact.enumerate(sn.Bipartite(np.zeros((25, 30))), 1.0)
