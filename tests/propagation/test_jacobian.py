"""Singular values of Jacobians: closed forms, free products, simulated matrices and networks."""

from __future__ import annotations

import math
import time

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, special, stats

from spinnet import Activation, InputError, MeanField, SpinnetWarning, simulate
from spinnet.propagation import Dropout, MultiplicativeGaussian, get_activation, leaky_relu
from spinnet.propagation.jacobian import JacobianSpectrum, jacobian, jacobian_density
from spinnet.propagation.jacobian.resolvent import Resolvent
from spinnet.propagation.jacobian.slopes import slope_law

EVERY_KIND = [  # activation, q, keep: one of each kind of law of slopes
    ("tanh", 1.0, 1.0),
    ("tanh", 0.1, 1.0),
    ("tanh", 1.0, 0.8),
    ("erf", 1.0, 1.0),
    ("relu", 1.0, 1.0),
    ("leaky_relu", 1.0, 1.0),
    ("hard_tanh", 0.5, 1.0),
    ("softplus", 0.5, 1.0),
    ("gelu", 1.0, 1.0),
    ("selu", 1.0, 1.0),
    ("sin", 1.0, 1.0),
]


# ---------------------------------------------------------------------- closed forms
def test_one_gaussian_layer_is_the_quarter_circle():
    spectrum = JacobianSpectrum("linear", sigma_w=1.5, q=1.0, depth=1)
    s = np.linspace(0, 3, 61)
    exact = np.sqrt(9 - s**2) / (math.pi * 2.25)
    np.testing.assert_allclose(spectrum.density(s), exact, atol=2e-13)
    # at 3 - 1e-13 a rounding error of z moves the density by 1e-7; plain points to 1e-13
    inside = np.linspace(0.01, 2.99, 50)
    cdf = (inside * np.sqrt(9 - inside**2) / 2 + 4.5 * np.arcsin(inside / 3)) / (math.pi * 2.25)
    np.testing.assert_allclose(spectrum.cdf(inside), cdf, atol=1e-13)
    assert spectrum.cdf([0.0, 3.0, 4.0]).tolist() == [0, 1, 1]


@pytest.mark.parametrize("depth", [1, 2, 5, 10, 60])
def test_products_of_gaussian_matrices_are_fuss_catalan(depth):
    # in the angle phi of Biane (1998) and of Haagerup & Moeller (2013)
    phi = np.linspace(0.02, 0.98, 25) * math.pi / (depth + 1)
    x = np.sin((depth + 1) * phi) ** (depth + 1) / (np.sin(phi) * np.sin(depth * phi) ** depth)
    exact = (
        np.sin(phi) ** 2
        * np.sin(depth * phi) ** (depth - 1)
        / (math.pi * np.sin((depth + 1) * phi) ** depth)
    )
    spectrum = JacobianSpectrum("linear", sigma_w=1.0, q=1.0, depth=depth)
    np.testing.assert_allclose(spectrum.density_of_squares(x), exact, rtol=1e-10)
    np.testing.assert_allclose(spectrum.density(np.sqrt(x)), 2 * np.sqrt(x) * exact, rtol=1e-10)
    edge = math.exp((depth + 1) * math.log(depth + 1) - depth * math.log(depth))
    assert spectrum.edges().lambda_max == pytest.approx(edge, rel=1e-12)
    assert spectrum.edges().lambda_min == 0
    # moments: binom((L+1)k, k)/(Lk + 1)
    k = np.arange(1, 9)
    np.testing.assert_allclose(
        spectrum.moments(8), special.binom((depth + 1) * k, k) / (depth * k + 1), rtol=1e-11
    )
    assert spectrum.mean_log == pytest.approx(-depth, rel=1e-14)


def test_density_at_zero_is_the_limit():
    two_thirds = JacobianSpectrum("linear", sigma_w=1.0, q=1.0, depth=2)
    assert two_thirds.density(0.0) == math.inf
    assert two_thirds.density_of_squares(0.0) == math.inf
    # lambda^(-L/(L+1)), with the prefactor of the closed form as phi -> pi/(L+1)
    deep = two_thirds.density_of_squares([1e-120, 1e-117])
    assert deep[0] / deep[1] == pytest.approx(100, rel=1e-9)
    assert deep[0] == pytest.approx(math.sqrt(3) / (2 * math.pi) * 1e80, rel=1e-9)
    # one layer: 2 sqrt(E[1/phi'^2]) / (pi sigma_w); here E[cosh(h)^4] by its own formula
    q = 0.3
    inverse = (3 + 4 * math.exp(2 * q) + math.exp(8 * q)) / 8
    value = JacobianSpectrum("tanh", sigma_w=1.2, q=q, depth=1).density(0.0)
    assert value == pytest.approx(2 * math.sqrt(inverse) / (math.pi * 1.2), rel=1e-9)
    # E[1/phi'^2] is infinite
    assert JacobianSpectrum("gelu", sigma_w=1.0, q=1.0, depth=1).density(0.0) == math.inf
    assert JacobianSpectrum("relu", sigma_w=1.0, q=1.0, depth=1).density(0.0) == 0
    # half of the units off: lambda = -w^2 sigma_w^4/4 next to 0, m = (w - 1)^-1/2
    two = JacobianSpectrum("relu", sigma_w=1.5, q=1.0, depth=2)
    assert two.density(0.0) == pytest.approx(2 / (math.pi * 1.5**2), rel=1e-9)
    assert two.density(1e-40) == pytest.approx(2 / (math.pi * 1.5**2), rel=1e-9)


@pytest.mark.parametrize(("keep", "name", "q"), [(0.7, "linear", 1.0), (1.0, "hard_tanh", 0.9)])
def test_two_projections_have_the_arcsine_like_law(keep, name, q):
    # D^2 is p^-1 (or 1) times a projection of rank p: the free product of two projections
    # (Voiculescu, Dykema & Nica, Free Random Variables, section 3.6)
    p = keep if name == "linear" else math.erf(1 / math.sqrt(2 * q))
    spectrum = JacobianSpectrum(name, sigma_w=keep, q=q, depth=2, weights="orthogonal", keep=keep)
    top = 4 * p * (1 - p)
    x = np.linspace(0.001, 0.999, 40) * top
    exact = np.sqrt(x * (top - x)) / (2 * math.pi * x * (1 - x))
    np.testing.assert_allclose(spectrum.density_of_squares(x), exact, rtol=2e-11)
    (zero, none), (one, whole) = spectrum.atoms()
    assert (zero, none) == (0, pytest.approx(1 - p, rel=1e-14))
    assert (one, whole) == (pytest.approx(1, rel=1e-14), pytest.approx(2 * p - 1, rel=1e-12))
    ((low, high),) = spectrum.edges().bands
    assert (low, high) == (0, pytest.approx(top, rel=1e-12))
    assert spectrum.edges().lambda_max == pytest.approx(1, rel=1e-14)


def test_edges_of_relu_are_those_printed_and_minimise_z():
    gaussian = JacobianSpectrum("relu", sigma_w=math.sqrt(2), q=1.0, depth=8)
    orthogonal = JacobianSpectrum(
        "relu", sigma_w=math.sqrt(2), q=1.0, depth=8, weights="orthogonal"
    )
    for spectrum, g, printed in ((gaussian, 1, 43.549), (orthogonal, 0, 20.372)):
        found = spectrum.edges().lambda_max
        assert found == pytest.approx(printed, abs=5e-4)

        def log_z(log_m, g=g):
            m = math.exp(log_m)
            return math.log((1 + m) / m) + 8 * math.log(1 + 2 * m) + 8 * (g - 1) * math.log1p(m)

        best = optimize.minimize_scalar(log_z, bracket=(-4, 0), options={"xtol": 1e-9})
        assert found == pytest.approx(math.exp(best.fun), rel=1e-12)
    # p^(L-1) (L(1-p))^L / ((L-1)(1-p))^(L-1) sigma_w^(2L) at p = 1/2
    exact = 0.5**7 * 4.0**8 / 3.5**7 * 2**8
    assert orthogonal.edges().lambda_max == pytest.approx(exact, rel=1e-12)


def test_one_relu_layer_is_marchenko_pastur_of_half_the_rows():
    spectrum = JacobianSpectrum("relu", sigma_w=1.0, q=1.0, depth=1)
    ((low, high),) = spectrum.edges().bands
    root = math.sqrt(0.5)
    assert low == pytest.approx((1 - root) ** 2, rel=1e-12)
    assert high == pytest.approx((1 + root) ** 2, rel=1e-12)
    x = np.linspace(low, high, 30)[1:-1]
    exact = np.sqrt((high - x) * (x - low)) / (2 * math.pi * x)
    np.testing.assert_allclose(spectrum.density_of_squares(x), exact, rtol=1e-11)
    assert [tuple(a) for a in spectrum.atoms()] == [(0.0, 0.5)]
    assert spectrum.cdf([0.0, math.sqrt(low) / 2]).tolist() == [0.5, 0.5]


def test_one_orthogonal_layer_is_the_law_of_the_slopes():
    q, sigma_w = 0.7, 1.3
    spectrum = JacobianSpectrum("tanh", sigma_w=sigma_w, q=q, depth=1, weights="orthogonal")
    s = np.array([0.05, 0.4, 0.9, 1.2, 1.29])
    h = np.arccosh(np.sqrt(sigma_w / s))  # sigma_w sech(h)^2 = s
    normal = stats.norm(scale=math.sqrt(q))
    np.testing.assert_allclose(spectrum.cdf(s), 2 * normal.sf(h), rtol=1e-12)
    np.testing.assert_allclose(
        spectrum.density(s), 2 * normal.pdf(h) / (2 * s * np.tanh(h)), rtol=1e-11
    )
    assert spectrum.density(sigma_w) == math.inf  # phi' is stationary at h = 0
    assert spectrum.edges().s_max == pytest.approx(sigma_w, rel=1e-14)
    dropped = JacobianSpectrum("tanh", 0.7 * sigma_w, q, 1, "orthogonal", keep=0.7)
    np.testing.assert_allclose(dropped.cdf(s), 0.3 + 0.7 * spectrum.cdf(s), rtol=1e-12)
    np.testing.assert_allclose(dropped.density(s), 0.7 * spectrum.density(s), rtol=1e-11)
    selu = JacobianSpectrum("selu", sigma_w=1.0, q=1.0, depth=1, weights="orthogonal")
    scale = 1.0507009873554805
    assert [tuple(a) for a in selu.atoms()] == [(pytest.approx(scale), pytest.approx(0.5))]
    # all of h < 0 with scale alpha e^h <= s, and the atom
    edge = math.log(1.2 / (scale * 1.6732632423543772))
    assert selu.cdf(1.2) == pytest.approx(0.5 + stats.norm.cdf(edge), rel=1e-12)
    assert selu.total_mass() == pytest.approx(1, abs=1e-9)


# ---------------------------------------------------------------------- atoms, bands
def test_constant_slopes_and_orthogonal_weights_leave_one_point():
    spectrum = JacobianSpectrum("linear", sigma_w=1.1, q=1.0, depth=4, weights="orthogonal")
    ((s, mass),) = spectrum.atoms()
    assert (s, mass) == (pytest.approx(1.1**4, rel=1e-14), 1.0)
    assert spectrum.edges().bands == ()
    assert spectrum.edges().lambda_min == spectrum.edges().lambda_max
    assert spectrum.density([1.0, 1.4641, 2.0]).tolist() == [0, 0, 0]
    assert spectrum.cdf([1.4640, 1.1**4, 1.4642]).tolist() == [0, 1, 1]
    assert spectrum.relative_variance == 0
    assert spectrum.isometry_depth == math.inf
    with pytest.warns(SpinnetWarning, match=r"atoms of mass 1 at s = 1.4641"):
        jacobian_density(1.0, "linear", sigma_w=1.1, depth=4, weights="orthogonal", q=1.0)


def test_leaky_relu_keeps_two_atoms_for_one_layer_only():
    slope = 0.1
    one = JacobianSpectrum("leaky_relu", sigma_w=2.0, q=1.0, depth=1, weights="orthogonal")
    assert [tuple(a) for a in one.atoms()] == [(pytest.approx(0.2), 0.5), (pytest.approx(2), 0.5)]
    for depth, weights in ((1, "gaussian"), (2, "orthogonal"), (5, "orthogonal")):
        spectrum = JacobianSpectrum("leaky_relu", sigma_w=1.0, q=1.0, depth=depth, weights=weights)
        assert spectrum.atoms() == ()
        assert spectrum.total_mass() == pytest.approx(1, abs=1e-8)
    # exchanging the slopes maps lambda to slope^(2L)/lambda: the edges are images of each other
    edges = spectrum.edges()
    assert edges.lambda_min * edges.lambda_max == pytest.approx(slope**10, rel=1e-11)
    # two layers: free product of two equal two-point laws, from slope^4 to 1, symmetric
    two = JacobianSpectrum("leaky_relu", sigma_w=1.0, q=1.0, depth=2, weights="orthogonal")
    assert two.edges().bands == ((pytest.approx(slope**4), pytest.approx(1.0)),)
    assert two.cdf(slope) == pytest.approx(0.5, abs=1e-12)


def test_a_gap_opens_between_the_bands_of_one_leaky_layer():
    spectrum = JacobianSpectrum("leaky_relu", sigma_w=1.0, q=1.0, depth=1)
    (_, low), (high, _) = spectrum.edges().bands
    assert 0 < low < high
    middle = math.sqrt((low + high) / 2)
    assert spectrum.density(middle) == 0
    assert spectrum.cdf(middle) == pytest.approx(0.5, abs=1e-14)
    # extrema of z = w (1 + m) are the roots of the derivative's numerator
    a, b = 0.01, 1.0
    w = np.poly1d([1, 0])
    first, second = np.poly1d([1, -a]), np.poly1d([1, -b])
    numerator = (w * w * second + w * w * first) / 2
    denominator = first * second
    turns = (numerator.deriv() * denominator - numerator * denominator.deriv()).roots
    real = turns[np.abs(turns.imag) < 1e-12].real
    values = sorted(float(numerator(t) / denominator(t)) for t in real)
    np.testing.assert_allclose(values[-3:], [low, high, spectrum.edges().lambda_max], rtol=1e-10)


def test_atoms_of_hard_tanh_follow_the_slopes():
    q, depth = 0.4, 4
    p = math.erf(1 / math.sqrt(2 * q))
    spectrum = JacobianSpectrum("hard_tanh", sigma_w=1.2, q=q, depth=depth, weights="orthogonal")
    zero, top = spectrum.atoms()
    assert zero == (0.0, pytest.approx(1 - p, rel=1e-13))
    assert top == (pytest.approx(1.2**depth), pytest.approx(1 - depth * (1 - p), rel=1e-12))
    just_below = 1.2**depth * (1 - 1e-9)
    assert spectrum.cdf(just_below) == pytest.approx(1 - top.mass, rel=1e-13)
    assert spectrum.cdf(1.2**depth) == 1
    gaussian = JacobianSpectrum("hard_tanh", sigma_w=1.2, q=q, depth=depth)
    assert [tuple(a) for a in gaussian.atoms()] == [(0.0, pytest.approx(1 - p, rel=1e-13))]
    # beyond L(1 - p) = 1 the atom has gone into the band
    deep = JacobianSpectrum("hard_tanh", sigma_w=1.2, q=q, depth=20, weights="orthogonal")
    assert len(deep.atoms()) == 1


def test_the_limit_of_small_pre_activations_has_the_slopes_beside_the_kink():
    net = MeanField("selu", sigma_w=0.5, sigma_b=0.0)
    assert net.q_star == 0
    left, right = 1.0507009873554805 * 1.6732632423543772, 1.0507009873554805
    spectrum = jacobian(net, 1, "orthogonal")
    assert [a.s for a in spectrum.atoms()] == [
        pytest.approx(0.5 * right),
        pytest.approx(0.5 * left),
    ]
    smooth = JacobianSpectrum("tanh", sigma_w=0.9, q=0.0, depth=3, weights="orthogonal")
    assert [tuple(a) for a in smooth.atoms()] == [(pytest.approx(0.9**3), 1.0)]


# ---------------------------------------------------------------------- moments
def test_relative_variance_has_the_printed_values():
    # specification item 40; tanh at (1.3, 0.3), ten layers
    assert JacobianSpectrum("linear", 1.0, 1.0, 5).relative_variance == pytest.approx(5)
    assert JacobianSpectrum("relu", 1.0, 1.0, 8).relative_variance == pytest.approx(16)
    relu = JacobianSpectrum("relu", 1.0, 1.0, 8, "orthogonal")
    assert relu.relative_variance == pytest.approx(8)
    net = MeanField("tanh", 1.3, 0.3)
    assert jacobian(net, 10).relative_variance == pytest.approx(13.65, abs=0.005)
    assert jacobian(net, 10).mean == pytest.approx(net.chi_1**10, rel=1e-13)
    # E[x^2]/E[x]^2 by a sum over a fine grid
    h = np.linspace(-14, 14, 20001) * math.sqrt(net.q_star)
    w = np.exp(-(h**2) / (2 * net.q_star))
    ratio = np.sum(w * np.cosh(h) ** -8) * np.sum(w) / np.sum(w * np.cosh(h) ** -4) ** 2
    assert jacobian(net, 10, "orthogonal").relative_variance == pytest.approx(
        10 * (ratio - 1), rel=1e-11
    )


@pytest.mark.parametrize("q", [1e-2, 1e-4, 1e-6])
def test_smooth_orthogonal_networks_near_the_corner_are_isometric(q):
    # x = 1 - 2 h^2 + ..: relative variance 8 L q^2 to leading order, corrections O(q)
    spectrum = JacobianSpectrum("tanh", 1.0, q, 10, "orthogonal")
    assert spectrum.relative_variance == pytest.approx(80 * q * q, rel=20 * q)
    assert spectrum.isometry_depth == pytest.approx(1 / (8 * q * q), rel=20 * q)
    assert JacobianSpectrum("tanh", 1.0, q, 10).isometry_depth == pytest.approx(1, rel=20 * q)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(("name", "q", "keep"), EVERY_KIND)
def test_moments_and_mass_are_integrals_of_the_density(name, q, keep, weights):
    # the series in m and the root of z(w) share only the law of the slopes
    spectrum = JacobianSpectrum(name, 1.2, q, 3, weights, keep)
    assert spectrum.total_mass() == pytest.approx(1, abs=1e-8)
    order = np.arange(1, 5)
    total = sum((a.mass * a.s ** (2.0 * order) for a in spectrum.atoms()), np.zeros(4))
    for low, high in spectrum.edges().bands:
        # s = a + b sin(t)^2 turns the edges' square roots, or their inverses, smooth
        a, b = math.sqrt(low), math.sqrt(high) - math.sqrt(low)
        edges = np.linspace(0, math.pi / 2, 41)
        nodes, shares = np.polynomial.legendre.leggauss(24)
        t = (edges[:-1, None] + (nodes + 1) * np.diff(edges)[:, None] / 2).ravel()
        dt = np.repeat(np.diff(edges) / 2, 24) * np.tile(shares, 40)
        s = a + b * np.sin(t) ** 2
        measure = spectrum.density(s) * b * np.sin(2 * t) * dt
        total = total + np.array([np.sum(measure * s ** (2.0 * k)) for k in order])
    np.testing.assert_allclose(total, spectrum.moments(4), rtol=1e-8)
    assert spectrum.variance == pytest.approx(
        spectrum.moments(2)[1] - spectrum.moments(1)[0] ** 2, rel=1e-10
    )


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(("name", "q", "keep"), EVERY_KIND)
def test_the_density_is_the_slope_of_the_distribution_function(name, q, keep, weights):
    for depth in (2, 7):
        spectrum = JacobianSpectrum(name, 1.2, q, depth, weights, keep)
        for low, high in spectrum.edges().bands:
            a, b = math.sqrt(low), math.sqrt(high)
            s = a + (b - a) * np.linspace(0.03, 0.97, 15)
            step = 1e-4 * (b - a)
            f = [spectrum.cdf(s + k * step) for k in (-2, -1, 1, 2)]
            slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
            density = spectrum.density(s)
            assert (density >= 0).all()
            # truncation 1e-16 f^(5), rounding 1e-15/step
            np.testing.assert_allclose(slope, density, rtol=2e-7, atol=1e-9 / (b - a))


def test_mean_log_is_the_integral_of_the_logarithm():
    for name, weights in (("gelu", "gaussian"), ("tanh", "orthogonal"), ("sin", "gaussian")):
        spectrum = JacobianSpectrum(name, 1.3, 1.0, 2, weights)
        top = math.log(spectrum.edges().lambda_max)
        # E[ln lambda] = top - int F d ln(lambda)
        nodes, shares = np.polynomial.legendre.leggauss(20)
        edges = np.concatenate([[0], 2.0 ** np.arange(-8, 5.5, 0.5)])  # of sqrt(top - ln lambda)
        t = (edges[:-1, None] + (nodes + 1) * np.diff(edges)[:, None] / 2).ravel()
        dt = np.repeat(np.diff(edges) / 2, 20) * np.tile(shares, edges.size - 1)
        below = spectrum.cdf(np.exp((top - t**2) / 2))
        assert spectrum.mean_log == pytest.approx(top - np.sum(below * 2 * t * dt), abs=2e-7)
    assert JacobianSpectrum("relu", 1.3, 1.0, 2).mean_log == -math.inf


# ---------------------------------------------------------------------- against other solvers
def test_the_continuation_from_infinity_finds_the_same_root():
    # the specification's A7, by a plain sum over h: z from i infinity down to the axis
    q, sigma_w, depth = 0.8, 1.4, 3
    h = np.linspace(-13, 13, 6001) * math.sqrt(q)
    p = np.exp(-(h**2) / (2 * q))
    p /= p.sum()
    x = np.cosh(h) ** -4
    for g, weights in ((1, "gaussian"), (0, "orthogonal")):
        spectrum = JacobianSpectrum("tanh", sigma_w, q, depth, weights)
        top = spectrum.edges().lambda_max
        for ratio in (0.003, 0.1, 0.4, 0.8, 0.97):
            lam = ratio * top
            w = complex(lam * 1e6j / (sigma_w ** (2 * depth) * np.sum(p * x) ** (depth - 1)))
            for e in [*np.geomspace(1e6, 1e-6, 240), 0.0]:
                target = np.log(lam * (1 + 1j * e))
                for _ in range(40):
                    m, slope = np.sum(p * x / (w - x)), -np.sum(p * x / (w - x) ** 2)
                    value = (
                        np.log((1 + m) / m)
                        + depth * np.log(m * w / (1 + m))
                        + depth * np.log(sigma_w**2 * (1 + m) ** g)
                        - target
                    )
                    value -= 2j * math.pi * round(value.imag / (2 * math.pi))
                    power = (1 - depth + g * depth) / (1 + m) + (depth - 1) / m
                    step = -value / (depth / w + slope * power)
                    w += step if abs(step) < abs(w) / 2 else step * abs(w) / 2 / abs(step)
                    if abs(step) < 1e-13 * abs(w):
                        break
            density = -((1 + np.sum(p * x / (w - x))) / lam).imag / math.pi
            assert spectrum.density_of_squares(lam) == pytest.approx(density, rel=1e-9)


def test_averages_next_to_the_values_of_x_are_those_of_a_deformed_contour():
    # tail of tanh at q = 0.1, where the pole comes to 1e-9 of the line
    resolvent = Resolvent(slope_law(get_activation("tanh"), 0.1))
    with mp.workdps(30):
        q = mp.mpf(0.1)
        for imag in (1e-3, 1e-6, 1e-8, 1e-11):
            w = np.array([0.0026 + 1j * imag])
            path = [0, 0.5, 1, 1.5, 2, mp.mpc(2.17, 0.15), 2.4, 3, 5, 9]  # x' < 0: pass above
            place, exact = mp.mpc(w[0]), []
            for power in (1, 2):

                def g(h, power=power, place=place):
                    x = mp.sech(h) ** 4
                    density = 2 * mp.exp(-h * h / (2 * q)) / mp.sqrt(2 * q * mp.pi)
                    return density * x / (place - x) ** power

                exact.append(complex(mp.quad(g, path)))
            m, one, slope = (complex(part[0]) for part in resolvent.moments(w))
            assert abs(m - exact[0]) < 1e-14
            assert abs(m.imag - exact[0].imag) < 1e-6 * abs(exact[0].imag)
            assert abs(one - 1 - exact[0]) < 1e-14
            assert abs(slope + w[0] * exact[1]) < 1e-5 * abs(exact[1] * w[0])


# ---------------------------------------------------------------------- simulated matrices
def haar(n, rng):
    matrix, upper = np.linalg.qr(rng.standard_normal((n, n)))
    return matrix * np.sign(np.diag(upper))


def simulated_squares(name, sigma_w, q, depth, weights, keep, *, n, draws, rng):
    """Squared singular values of products with D drawn apart from W; shape (draws, n)."""
    act = get_activation(name)
    found = []
    for _ in range(draws):
        product = np.eye(n)
        for _ in range(depth):
            slopes = act.derivative(math.sqrt(q) * rng.standard_normal(n))
            slopes = slopes * (rng.random(n) < keep) / keep
            gaussian = weights == "gaussian"
            w = rng.standard_normal((n, n)) / math.sqrt(n) if gaussian else haar(n, rng)
            product = slopes[:, None] * (sigma_w * w @ product)
        found.append(np.linalg.svd(product, compute_uv=False) ** 2)
    return np.array(found)


@pytest.mark.statistical
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sigma_w", "q", "depth", "weights", "keep"),
    [
        ("tanh", 1.4, 0.8, 5, "gaussian", 1.0),
        ("tanh", 1.2, 0.3, 8, "orthogonal", 1.0),
        ("tanh", 1.4, 0.8, 3, "gaussian", 0.8),
        ("tanh", 1.4, 0.8, 3, "orthogonal", 0.8),
        ("relu", 1.4, 1.0, 3, "gaussian", 1.0),
        ("relu", 1.4, 1.0, 3, "orthogonal", 1.0),
        ("hard_tanh", 1.2, 0.4, 4, "orthogonal", 1.0),
        ("leaky_relu", 1.4, 1.0, 1, "gaussian", 1.0),
        ("leaky_relu", 1.4, 1.0, 2, "orthogonal", 1.0),
        ("gelu", 1.4, 1.0, 2, "orthogonal", 1.0),
        ("selu", 1.0, 1.0, 2, "gaussian", 1.0),
        ("softplus", 1.5, 2.0, 2, "orthogonal", 1.0),
    ],
)
def test_simulated_matrices_have_the_predicted_distribution(name, sigma_w, q, depth, weights, keep):
    n, draws = 400, 8
    rng = np.random.default_rng(20240711)
    squares = simulated_squares(name, sigma_w, q, depth, weights, keep, n=n, draws=draws, rng=rng)
    spectrum = JacobianSpectrum(name, sigma_w, q, depth, weights, keep)
    edges = spectrum.edges()
    s = edges.s_max * np.linspace(0.04, 0.96, 12)
    share = np.array([[np.mean(row <= v * v) for v in s] for row in squares])
    # scatter: at most that of independent draws of D in each layer; bias: a few values of n
    # may sit on the other side of s.  Over 12 x 12 bins, 4.5 sigma: 1e-3 of false alarms.
    predicted = spectrum.cdf(s)
    sigma = np.sqrt(predicted * (1 - predicted) / (n * draws))
    assert (np.abs(share.mean(axis=0) - predicted) < 4.5 * sigma + 3 / n).all()
    # the largest value: fluctuations of order n^(-2/3), and those of the mean square of D
    of_slopes = JacobianSpectrum(name, sigma_w, q, depth, "orthogonal", keep).relative_variance
    room = 6 * n ** (-2 / 3) + 4.5 * math.sqrt(of_slopes / n)
    assert np.all(squares[:, 0] < edges.lambda_max * (1 + room))
    assert np.all(squares[:, 0] > edges.lambda_max * (1 - room))
    # atoms: zeros of one layer's D, and the directions that no layer touches
    for atom in spectrum.atoms():
        size = atom.s**2
        near = np.abs(squares - size) < 1e-9 * max(size, edges.lambda_max)
        assert np.mean(near) == pytest.approx(
            atom.mass, abs=4.5 * math.sqrt(depth / (4 * n * draws)) + 3 / n
        )


@pytest.mark.statistical
@pytest.mark.slow
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("kind", ["pre", "post"])
def test_jacobians_of_networks_have_the_predicted_distribution(kind, weights):
    # here D^l depends on W^l through the signal, and q is where the signal has come to rest
    n, layers, draws, depth = 400, 9, 6, 4
    net = MeanField("tanh", 1.5, 0.3)
    spectrum = jacobian(net, depth, weights)
    s = spectrum.edges().s_max * np.linspace(0.04, 0.96, 12)
    share = []
    for seed in range(draws):
        rng = np.random.default_rng([31, seed])
        network = simulate.network("tanh", [n] * (layers + 1), 1.5, 0.3, weights=weights, rng=rng)
        x = rng.standard_normal(n) * math.sqrt((net.q_star - 0.09) / 1.5**2)
        stop = layers
        values = network.singular_values(x, kind=kind, start=stop - depth, stop=stop)
        share.append([np.mean(values <= v) for v in s])
    mean = np.mean(share, axis=0)
    predicted = spectrum.cdf(s)
    # as above, and the length of a layer is off by (2/n)^(1/2), kept for 1/(1 - chi_q^2) layers
    off = math.sqrt(2 / n / (1 - net.chi_q**2))
    there = jacobian(net, depth, weights, q=net.q_star * (1 + off)).cdf(s)
    sigma = np.hypot(np.sqrt(predicted * (1 - predicted) / n), there - predicted)
    assert (np.abs(mean - predicted) < 4.5 * sigma / math.sqrt(draws) + 3 / n).all()


@pytest.mark.statistical
def test_dropout_multiplies_the_mean_by_the_gradient_factor():
    net = MeanField("tanh", 1.3, 0.3, keep=0.8)
    spectrum = jacobian(net, 3)
    assert spectrum.mean == pytest.approx(net.gradient_factor**3, rel=1e-12)
    assert spectrum.atoms()[0] == (0.0, pytest.approx(0.2))
    rng = np.random.default_rng(5)
    squares = simulated_squares(
        "tanh", 1.3, net.q_star, 3, "gaussian", 0.8, n=200, draws=40, rng=rng
    )
    means = squares.mean(axis=1)
    # 4.5 standard errors from 40 draws, t law with 39 degrees: 6e-5 of false alarms
    sem = means.std(ddof=1) / math.sqrt(40)
    assert abs(means.mean() - spectrum.mean) < 4.5 * sem
    # an exact zero for every dropped unit of the layer that drops most
    zeros = np.mean(squares < 1e-20)
    assert 0.2 <= zeros < 0.2 + 4 * math.sqrt(0.16 / 200)


# ---------------------------------------------------------------------- the interface
def test_densities_scale_with_the_weights_and_do_not_depend_on_the_kind():
    s = np.array([0.1, 0.5, 1.0])
    one = JacobianSpectrum("tanh", 1.0, 1.0, 3)
    two = JacobianSpectrum("tanh", 2.0, 1.0, 3)
    np.testing.assert_allclose(two.density(8 * s), one.density(s) / 8, rtol=1e-12)
    pre = jacobian_density(s, "tanh", sigma_w=1.5, sigma_b=0.3, depth=2, kind="pre")
    post = jacobian_density(s, "tanh", sigma_w=1.5, sigma_b=0.3, depth=2, kind="post")
    assert pre.tolist() == post.tolist()
    np.testing.assert_allclose(pre, jacobian(MeanField("tanh", 1.5, 0.3), 2).density(s))
    assert jacobian_density(s, "tanh", sigma_w=1.5, q=0.4)[0] == pytest.approx(
        float(JacobianSpectrum("tanh", 1.5, 0.4, 1).density(0.1))
    )


def test_shapes_are_kept_and_values_do_not_depend_on_their_company():
    spectrum = JacobianSpectrum("gelu", 1.5, 1.0, 4)
    s = np.linspace(0, 1.2 * spectrum.edges().s_max, 300).reshape(3, 100)
    density, cdf = spectrum.density(s), spectrum.cdf(s)
    assert density.shape == cdf.shape == s.shape
    assert (np.diff(cdf.ravel()) >= -1e-12).all()
    for index in ((0, 0), (0, 7), (1, 50), (2, 80)):
        assert float(spectrum.density(s[index])) == pytest.approx(density[index], rel=1e-10)
        assert float(spectrum.cdf(s[index])) == pytest.approx(cdf[index], rel=1e-10, abs=1e-14)
    assert spectrum.density([]).shape == (0,)
    assert spectrum.cdf(5 * spectrum.edges().s_max) == 1


def test_an_activation_of_the_users_own_is_as_good_as_a_known_one():
    own = Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2, kinks=())
    s = np.array([0.05, 0.5, 1.0])
    np.testing.assert_allclose(
        JacobianSpectrum(own, 1.4, 0.8, 3).density(s),
        JacobianSpectrum("tanh", 1.4, 0.8, 3).density(s),
        rtol=1e-9,
    )
    negative = JacobianSpectrum(leaky_relu(-0.3), 1.4, 1.0, 3)
    positive = JacobianSpectrum(leaky_relu(0.3), 1.4, 1.0, 3)
    np.testing.assert_allclose(negative.density(s), positive.density(s), rtol=1e-12)


def test_the_fixed_point_is_that_of_the_network_or_the_one_given():
    relu = jacobian(MeanField("relu", math.sqrt(2), 0.0), 3)  # every q is fixed, none matters
    assert relu.mean == pytest.approx(1, rel=1e-14)
    growing = MeanField("gelu", sigma_w2=2.1, sigma_b=0.0, q0=4.0)
    with pytest.raises(InputError, match="q_star = inf; pass q="):
        jacobian(growing, 3)
    assert jacobian(growing, 3, q=10.0).q == 10
    assert MeanField("tanh", 1.5, 0.3).jacobian(4, "orthogonal").depth == 4


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("q", [1e-9, 1e-300, 1e3, 1e6])
def test_extreme_variances_and_depths_give_distributions(q, weights):
    for name, depth in (("tanh", 3), ("erf", 2), ("hard_tanh", 3), ("tanh", 80)):
        spectrum = JacobianSpectrum(name, 1.1, q, depth, weights)
        s = spectrum.edges().s_max * np.linspace(0, 1.1, 30)
        cdf = spectrum.cdf(s)
        assert (np.diff(cdf) >= -1e-12).all()
        assert cdf[-1] == 1
        assert np.isfinite(spectrum.density(s[1:])).all()


def test_noise_is_part_of_the_slopes_or_refused():
    dropped = jacobian(MeanField("tanh", 1.2, 0.3, noise=Dropout(0.7)), 2)
    assert dropped.keep == 0.7
    noisy = MeanField("tanh", 1.2, 0.3, noise=MultiplicativeGaussian(0.3))
    with pytest.raises(InputError, match="multiplicative Gaussian noise"):
        jacobian(noisy, 2)
    jacobian(MeanField("tanh", 1.2, 0.3, noise=MultiplicativeGaussian(0.0)), 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma_w": 0.0}, "sigma_w must be > 0"),
        ({"q": -1.0}, "q must be >= 0"),
        ({"depth": 0}, "depth must be an integer >= 1"),
        ({"depth": 2.5}, "depth must be an integer"),
        ({"weights": "orthogonl"}, "did you mean 'orthogonal'"),
        ({"keep": 1.2}, r"keep must be a probability in \(0, 1\]"),
        ({"activation": "tanhh"}, "did you mean 'tanh'"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    good = {"activation": "tanh", "sigma_w": 1.0, "q": 1.0, "depth": 2}
    with pytest.raises(InputError, match=message):
        JacobianSpectrum(**(good | change))


def test_bad_arguments_are_refused():
    spectrum = JacobianSpectrum("tanh", 1.0, 1.0, 2)
    for method in (spectrum.density, spectrum.density_of_squares, spectrum.cdf):
        with pytest.raises(InputError, match="must be >= 0"):
            method([0.1, -0.1])
    with pytest.raises(InputError, match="order must be an integer >= 1 and <= 20"):
        spectrum.moments(21)
    with pytest.raises(InputError, match="net must be a MeanField, got str"):
        jacobian("tanh", 3)
    with pytest.raises(InputError, match=r"stable_alpha must be 2 here, got 1\.5"):
        jacobian_density(1.0, "tanh", sigma_w=1.0, stable_alpha=1.5)
    with pytest.raises(InputError, match="kind must be one of 'pre', 'post'"):
        jacobian_density(1.0, "tanh", sigma_w=1.0, kind="middle")


def test_equal_spectra_are_equal_and_hashable():
    one, two = JacobianSpectrum("tanh", 1.0, 1.0, 2), JacobianSpectrum("tanh", 1, 1, 2)
    assert one == two
    assert hash(one) == hash(two)
    assert one != JacobianSpectrum("tanh", 1.0, 1.0, 3)


def test_two_hundred_values_take_a_fraction_of_a_second():
    s = np.linspace(0.001, 1.2, 200) * JacobianSpectrum("tanh", 1.5, 1.0, 10).edges().s_max
    start = time.process_time()
    JacobianSpectrum("tanh", 1.5, 1.0, 10).density(s)
    assert time.process_time() - start < 1


def test_the_plot_draws_every_band_and_names_the_atoms():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    spectrum = JacobianSpectrum("leaky_relu", 1.0, 1.0, 1, keep=0.9)
    lines = spectrum.plot(ax)
    assert len(lines) == len(spectrum.edges().bands)
    s, density = lines[-1].get_data()
    np.testing.assert_allclose(density, spectrum.density(s))
    assert "without 0.1 at s = 0" in ax.get_legend().get_texts()[0].get_text()
    plt.close(figure)
