"""The paramagnet from the spectrum: R-transforms, enumeration, critical temperatures."""

import json
import math

import numpy as np
import pytest
from scipy.integrate import quad

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.meanfield.adaptive import (
    AdaptiveTAP,
    Spectrum,
    adaptive_temperatures,
    paramagnetic_log_z,
)
from spinnet.spins.meanfield.adaptive.paramagnet import spectrum_of
from spinnet.spins.meanfield.system import system_of

ROM = np.repeat([1.0, -1.0], 50)


def orthogonal_couplings(n: int, rng: np.random.Generator) -> np.ndarray:
    """A Haar-rotated matrix of eigenvalues +-1."""
    q, r = np.linalg.qr(rng.normal(size=(n, n)))
    q *= np.sign(np.diagonal(r))
    return (q * np.repeat([1.0, -1.0], [n // 2, n - n // 2])) @ q.T


def gaussian_couplings(n: int, rng: np.random.Generator) -> np.ndarray:
    """SK couplings of variance 1/n."""
    J = np.triu(rng.normal(size=(n, n)) / np.sqrt(n), 1)
    return J + J.T


def semicircle(n: int) -> np.ndarray:
    """The n-quantiles of the semicircle law of radius 2."""
    x = np.linspace(-2, 2, 20001)
    cdf = 0.5 + x * np.sqrt(4 - x**2) / (4 * np.pi) + np.arcsin(x / 2) / np.pi
    return np.interp((np.arange(n) + 0.5) / n, cdf, x)


def marchenko_pastur(n: int, alpha: float) -> np.ndarray:
    """Quantiles of the spectrum of Hopfield couplings with alpha n patterns, diagonal kept."""
    low, high = (1 - math.sqrt(alpha)) ** 2, (1 + math.sqrt(alpha)) ** 2
    theta = (np.arange(200_000) + 0.5) / 200_000 * np.pi
    x = (low + high) / 2 - (high - low) / 2 * np.cos(theta)
    weight = np.sin(theta) ** 2 / x
    cdf = np.cumsum(weight) / weight.sum()
    count = min(int(alpha * n), n)
    levels = np.interp((np.arange(count) + 0.5) / count, cdf, x)
    return np.concatenate([levels, np.zeros(n - count)])


def test_orthogonal_couplings_have_the_known_free_energy():
    """1/4 [sqrt(1 + 4 b^2) - 1 - ln((1 + sqrt(1 + 4 b^2))/2)] = 0.078597 at b = 0.6."""
    for beta in (0.1, 0.6, 3.0):
        root = math.sqrt(1 + 4 * beta**2)
        known = (root - 1 - math.log((1 + root) / 2)) / 4
        assert float(paramagnetic_log_z(ROM, beta)) == pytest.approx(math.log(2) + known, rel=1e-13)
        assert Spectrum.of(ROM).r_transform(beta) == pytest.approx((root - 1) / (2 * beta))
    value = float(paramagnetic_log_z(ROM, 0.6)) - math.log(2)
    assert value == pytest.approx(0.078597, abs=5e-7)
    independent = 0.6**2 / 4  # what TAP has for entries of this variance
    assert independent > 1.14 * value


def test_free_energy_is_half_the_integral_of_the_r_transform():
    """For eigenvalues and for singular values of two layers; quad to 1e-10."""
    rng = np.random.default_rng(1)
    square = Spectrum.of(rng.normal(size=30))
    layers = Spectrum.of(rng.uniform(0.2, 2, size=12), (20, 12))
    for spectrum in (square, layers):
        for beta in (0.3, 1.2, 4.0):
            area = quad(spectrum.r_transform, 1e-12, beta, epsabs=1e-12, epsrel=1e-10)[0]
            assert spectrum.log_z(beta) - math.log(2) == pytest.approx(area / 2, abs=1e-9)


def test_semicircle_and_marchenko_pastur_have_their_r_transforms():
    """R = x and R = alpha/(1 - x), to 2/N: the quantiles cut the edge; margins 1 - beta^2 R'."""
    alpha = 0.5
    sk, hopfield = Spectrum.of(semicircle(4000)), Spectrum.of(marchenko_pastur(4000, alpha))
    for beta in (0.2, 0.5):
        assert sk.r_transform(beta) == pytest.approx(beta, rel=2e-3)
        assert sk.margin(sk.offset(beta)) == pytest.approx(1 - beta**2, rel=2e-3)
        assert sk.log_z(beta) == pytest.approx(math.log(2) + beta**2 / 4, rel=1e-4)
        assert hopfield.r_transform(beta) == pytest.approx(alpha / (1 - beta), rel=2e-3)
        margin = 1 - alpha * beta**2 / (1 - beta) ** 2
        assert hopfield.margin(hopfield.offset(beta)) == pytest.approx(margin, abs=2e-3)


def test_smooth_spectra_freeze_where_their_r_transform_says():
    """T_SG = 1 for the semicircle, 1 + sqrt(alpha) for Hopfield; edge noise absent: 1 %."""
    assert Spectrum.of(semicircle(1000)).glass()[0] == pytest.approx(1.0, rel=0.01)
    for alpha in (0.2, 1.5):
        levels = marchenko_pastur(1000, alpha)
        known = 1 + math.sqrt(alpha)
        assert Spectrum.of(levels).glass()[0] == pytest.approx(known, rel=0.01)
    wide = semicircle(1000) * 3 - 1  # J -> 3 J - 1: T_SG -> 3 T_SG
    assert Spectrum.of(wide).glass()[0] == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize("shape", [None, (9, 9), (12, 5), (4, 11)])
def test_solver_and_spectrum_agree_on_the_paramagnet(shape):
    """Uniform variance at m = 0 is a function of the spectrum: F and the AT margin to 1e-10."""
    rng = np.random.default_rng(2)
    if shape is None:
        model = sn.Ising(gaussian_couplings(15, rng))
    else:
        model = sn.Bipartite(rng.normal(size=shape) / 3, levels=(-1, 1))
    spectrum = spectrum_of(system_of(model, diagonal=False).coupling)
    for beta in (0.3, 0.8):
        s = sn.solve(model, beta, AdaptiveTAP(variance="uniform"))
        assert np.all(s.magnetizations == 0)
        assert -beta * s.free_energy == pytest.approx(spectrum.log_z(beta), abs=1e-12)
        assert s.at_margin == pytest.approx(spectrum.margin(spectrum.offset(beta)), rel=1e-10)


def test_a_reaction_per_spin_recovers_the_spectrum_without_its_diagonal():
    """Site variance does not feel that a model drops the diagonal of an orthogonal J.

    At N = 200 its free energy is that of +-1 to 1e-3 (fluctuations of the sample, of order 1/N);
    uniform variance sees the dropped diagonal as part of the spectrum.
    """
    J = orthogonal_couplings(200, np.random.default_rng(3))
    model = sn.Ising(J)
    own = float(np.trace(J)) / 2
    known = float(paramagnetic_log_z(ROM, 0.6))
    log_z = -0.6 * (sn.solve(model, 0.6, AdaptiveTAP(n_starts=0)).free_energy)
    assert model.constant == pytest.approx(-own, abs=1e-9)
    assert log_z == pytest.approx(known, abs=1e-3)


@pytest.mark.statistical
def test_enumerated_orthogonal_couplings_extrapolate_to_the_r_transform(seed):
    """Mean ln Z/N - ln 2 of Haar samples at N = 8, 12, 16, weighed line in 1/N.

    1600, 800 and 400 samples; 4 standard errors of the extrapolation plus 3e-4 for the 1/N^2 term:
    a right program fails once in 16000 seeds.  Independent entries would give 0.09.
    """
    rng = np.random.default_rng(seed)
    sizes, counts, beta = (8, 12, 16), (1600, 800, 400), 0.6
    means, errors = [], []
    for n, count in zip(sizes, counts, strict=True):
        values = []
        for _ in range(count):
            J = orthogonal_couplings(n, rng)
            model = sn.Ising(J)
            values.append(-beta * float(sn.exact.enumerate(model, beta).free_energy))
        means.append(np.mean(values) - math.log(2))
        errors.append(np.std(values) / math.sqrt(count))
    fit, cov = np.polyfit(1 / np.array(sizes), means, 1, w=1 / np.array(errors), cov="unscaled")
    error = math.sqrt(cov[1, 1])
    assert error < 5e-4
    assert abs(fit[1] - 0.078597) < 4 * error + 3e-4
    assert abs(fit[1] - 0.09) > 10 * error


def test_curie_weiss_and_rank_one_layers_order_at_their_level():
    assert adaptive_temperatures(sn.CurieWeiss(40, J=1.5)).temperature == pytest.approx(1.5)
    assert sn.critical_beta(sn.CurieWeiss(40, J=1.5), AdaptiveTAP()) == pytest.approx(1 / 1.5)
    full = adaptive_temperatures(sn.CurieWeiss(40).to_ising())
    assert full.temperature == pytest.approx(1.0, rel=2e-3)  # of order 1/N^2
    assert full.n_outliers == 1
    layers = sn.Bipartite(np.ones((8, 18)), levels=(-1, 1))
    for variance in ("site", "uniform"):
        found = adaptive_temperatures(layers, variance)
        assert found.temperature == pytest.approx(12.0, rel=1e-6)
        assert math.isnan(found.spin_glass)


@pytest.mark.parametrize("variance", ["site", "uniform"])
@pytest.mark.statistical
def test_random_couplings_freeze_at_their_onsager_temperature(variance, seed):
    """T_SG = 1 of SK, (v_a v_b)^{1/4} = 1 of two layers, 1 + sqrt(alpha) of Hopfield.

    Eight samples of 120 spins scatter by 8 % each: the mean by 3 %; bias of order N^{-2/3} = 4 %.
    Bound 16 %: 4 standard errors plus the bias.  Naive mean field is off by a factor 2.
    """
    rng = np.random.default_rng(seed)

    def hopfield():
        patterns = rng.choice([-1.0, 1.0], size=(60, 120))
        J = patterns.T @ patterns / 120
        return sn.Ising(J - np.diag(np.diagonal(J)))

    makers = {
        1.0: lambda: sn.Ising(gaussian_couplings(120, rng)),
        1.0 + 1e-9: lambda: sn.Bipartite(rng.normal(size=(80, 40)) / 3200**0.25, levels=(-1, 1)),
        1 + math.sqrt(0.5): hopfield,
    }
    for known, maker in makers.items():
        found = [adaptive_temperatures(maker(), variance).spin_glass for _ in range(8)]
        assert np.mean(found) == pytest.approx(known, rel=0.16)


@pytest.mark.parametrize("variance", ["site", "uniform"])
def test_an_outlier_orders_where_the_bulk_lets_it(variance):
    """SK + J0 = 3: T_F = 3 within 10 % for one sample of 120; lambda_max is 3 + 1/3."""
    rng = np.random.default_rng(5)
    J = gaussian_couplings(120, rng) + 3 / 120 * (1 - np.eye(120))
    found = adaptive_temperatures(sn.Ising(J), variance)
    assert found.n_outliers == 1
    assert found.temperature == found.ferromagnetic == pytest.approx(3.0, rel=0.1)
    assert found.spin_glass == pytest.approx(1.0, rel=0.3)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["temperature"] == found.temperature
    assert "T_SG" in found.summary()


def test_rows_of_unequal_variance_need_a_reaction_per_spin():
    """J_ij = s_i s_j g_ij freezes at T^2 = mean s^4 (AT: the top of beta^2 J_ij^2): here 1.78.

    Within 15 % at N = 150 (scatter 7 %); a quarter of the spins have s = 1.8, the others 0.5.
    """
    rng = np.random.default_rng(6)
    s = np.where(np.arange(150) % 4 == 0, 1.8, 0.5)
    J = s[:, None] * gaussian_couplings(150, rng) * s
    known = math.sqrt(np.mean(s**4))
    assert adaptive_temperatures(sn.Ising(J), "site").temperature == pytest.approx(known, rel=0.15)


def test_orthogonal_couplings_have_no_continuous_transition():
    J = orthogonal_couplings(60, np.random.default_rng(7))
    with pytest.raises(InputError, match="stable at every temperature"):
        adaptive_temperatures(sn.Ising(J))
    assert math.isnan(Spectrum.of(ROM).glass()[0])


@pytest.mark.parametrize("variance", ["site", "uniform"])
def test_paramagnets_at_every_temperature_are_refused(variance):
    for model in (
        sn.CurieWeiss(9, J=-1.0),
        sn.CurieWeiss(1, J=1.0),
        sn.Ising(np.zeros((4, 4))),
        sn.Ising([[0.0]]),
    ):
        with pytest.raises(InputError, match="stable at every temperature"):
            adaptive_temperatures(model, variance)


def test_fields_are_dropped_and_trained_layers_have_a_temperature():
    layer = sn.networks.load_bundled()["fc3"]
    found = {
        fields: adaptive_temperatures(sn.NetworkDual(layer.weights, layer.bias, fields=fields))
        for fields in ("exact", "zero")
    }
    assert found["exact"].temperature == pytest.approx(found["zero"].temperature, rel=1e-9)
    naive = 1 / sn.critical_beta(sn.NetworkDual(layer.weights, fields="zero"))
    assert 0.2 * naive < found["zero"].temperature < naive


BAD = {
    "empty": (lambda: Spectrum.of([]), "levels must hold"),
    "nan": (lambda: paramagnetic_log_z([1.0, math.nan], 1.0), "levels must be finite"),
    "beta": (lambda: paramagnetic_log_z([1.0, -1.0], 0.0), "beta must be > 0"),
    "variance": (lambda: adaptive_temperatures(sn.CurieWeiss(3), "all"), "variance must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
