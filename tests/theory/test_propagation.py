"""Signal propagation against quadrature, iterated maps, reference values and random matrices."""

import ast
import itertools
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import integrate, special

from spinnet.errors import InputError
from spinnet.theory import propagation as pr
from spinnet.theory.checking import Derivation, DerivationError
from spinnet.theory.propagation import _steps, geometry, mixture, spectra
from spinnet.theory.propagation._steps import critical, dropout, errata, gradients, length

R, Q, LAYER = sp.Rational, pr.q, pr.layers
NODES, WEIGHTS = special.roots_legendre(400)
NODES, WEIGHTS = 9 * NODES, 9 * WEIGHTS * np.exp(-((9 * NODES) ** 2) / 2) / np.sqrt(2 * np.pi)
FUNCTIONS = {
    "erf": (special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    "gelu": (
        lambda x: x * special.ndtr(x),
        lambda x: special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    ),
    "sin": (np.sin, np.cos),
    "linear": (lambda x: x, np.ones_like),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
}


def mean(f, q):
    """Return E_q[f] for a smooth f: 400 Gauss-Legendre nodes, rounding error for q < 10."""
    return WEIGHTS @ f(np.sqrt(q) * NODES)


def pair_mean(f, g, q1, q2, p):
    slope, rest = p / q1, np.sqrt(q2 - p * p / q1)
    inner = g(slope * np.sqrt(q1) * NODES[:, None] + rest * NODES) @ WEIGHTS
    return WEIGHTS @ (f(np.sqrt(q1) * NODES) * inner)


def value(expr, **at):
    """Return a number, with symbols of `spinnet.theory.propagation` given by name."""
    expr = sp.sympify(expr).subs(symbols(at))
    return float(sp.N(expr.replace(sp.Integral, trapezoid)))


def symbols(at):
    return {getattr(pr, name): number for name, number in at.items()}


def trapezoid(integrand, limits):
    """Return the integral over the line of an analytic function that decays by 20."""
    grid = np.linspace(-20, 20, 1601)
    return sp.Float(sp.lambdify(limits[0], integrand)(grid).sum() * (grid[1] - grid[0]))


# --- averages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expr",
    [
        pr.u**4 - 3 * pr.u + 2,
        pr.u**2 * sp.exp(-(pr.u**2) / 3 + pr.u / 2),
        sp.cos(2 * pr.u) * pr.u**2,
        sp.sinh(pr.u / 3) ** 2,
    ],
)
def test_closed_averages_are_those_of_quadrature(expr):
    ours = value(pr.average(expr), q=0.8)
    assert ours == pytest.approx(mean(sp.lambdify(pr.u, expr), 0.8), rel=1e-11)
    assert not pr.average(expr).has(sp.Integral)


def test_averages_of_three_variables_with_a_quadratic_exponent():
    x = sp.symbols("x:3", real=True)
    covariance = np.array([[1.3, 0.4, -0.2], [0.4, 0.9, 0.3], [-0.2, 0.3, 0.7]])
    expr = x[0] ** 3 * x[1] * x[2] ** 2
    expr *= sp.exp(-(x[0] ** 2) / 3 + x[0] * x[1] / 5 - x[2] ** 2 / 2 + x[0] / 4 - x[2] / 9)
    ours = pr.gaussian_moment(expr, x, covariance.tolist())
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = np.array(list(itertools.product(nodes, repeat=3))).T
    weight = np.prod(list(itertools.product(weights, repeat=3)), axis=1) / (2 * np.pi) ** 1.5
    values = sp.lambdify(x, expr)(*(np.linalg.cholesky(covariance) @ z))
    assert float(ours) == pytest.approx(weight @ values, rel=1e-10)


def test_averages_survive_a_singular_covariance():
    wave = sp.exp(pr.u1 - 2 * pr.u2)
    same = pr.pair_average(wave, variances=(Q, Q), covariance=Q)
    assert sp.simplify(same - pr.average(sp.exp(-pr.u))) == 0
    assert pr.average(sp.exp(pr.u**2), variance=sp.S.Zero) == 1


def test_what_has_no_closed_average_stays_an_integral_of_the_right_value():
    kept = pr.average(sp.tanh(pr.u) ** 2)
    assert kept.has(sp.Integral)
    assert value(kept, q=2) == pytest.approx(mean(lambda x: np.tanh(x) ** 2, 2.0), rel=1e-9)
    pair = pr.pair_average(sp.tanh(pr.u1) * sp.tanh(pr.u2))
    density = sp.lambdify((pr.u1, pr.u2), pair.function.subs({pr.q1: 1.2, pr.q2: 0.7, pr.p: 0.4}))
    grid = np.linspace(-9, 9, 361)
    total = density(grid[:, None], grid).sum() * (grid[1] - grid[0]) ** 2
    assert total == pytest.approx(pair_mean(np.tanh, np.tanh, 1.2, 0.7, 0.4), rel=1e-10)


def test_the_covariance_must_fit_the_variables():
    with pytest.raises(InputError, match="covariance must be 2 x 2 like variables, got 1 x 1"):
        pr.gaussian_moment(pr.u1 * pr.u2, (pr.u1, pr.u2), [[1]])


# --- kernels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["erf", "gelu", "sin", "linear"])
def test_closed_kernels_of_smooth_activations(name):
    f, slope = FUNCTIONS[name]
    kernel = pr.kernel(name)
    for q in (0.05, 0.9, 4.0):
        assert value(kernel.length, q=q) == pytest.approx(mean(lambda x: f(x) ** 2, q), rel=1e-11)
        assert value(kernel.slope, q=q) == pytest.approx(
            mean(lambda x: slope(x) ** 2, q), rel=1e-11
        )
    for q1, q2, p in ((0.5, 2.0, 0.7), (1.5, 1.0, -1.1), (3.0, 3.0, 0.0)):
        at = {"q1": q1, "q2": q2, "p": p}
        assert value(kernel.pair, **at) == pytest.approx(pair_mean(f, f, q1, q2, p), abs=1e-11)
        assert value(kernel.pair_slope, **at) == pytest.approx(
            pair_mean(slope, slope, q1, q2, p), abs=1e-11
        )


@pytest.mark.parametrize(("name", "alpha"), [("relu", 0.0), ("leaky_relu", 0.1)])
def test_closed_kernels_of_kinked_activations(name, alpha):
    kernel = pr.kernel(name)
    q1, q2, p = 0.5, 2.0, 0.7
    at = {"q1": q1, "q2": q2, "p": p, "alpha": alpha}
    spread = np.sqrt(q2 - p * p / q1)

    def leaky_mean(m):  # of u_2 given u_1, in closed form
        half = m * special.ndtr(m / spread)
        half += spread * np.exp(-((m / spread) ** 2) / 2) / np.sqrt(2 * np.pi)
        return alpha * m + (1 - alpha) * half

    def integrand(x, derivative):
        leak = alpha if x < 0 else 1.0
        up = alpha + (1 - alpha) * special.ndtr(p / q1 * x / spread)
        other = up if derivative else x * leaky_mean(p / q1 * x)
        return leak * other * np.exp(-x * x / (2 * q1)) / np.sqrt(2 * np.pi * q1)

    for expr, derivative in ((kernel.pair, False), (kernel.pair_slope, True)):
        expected = integrate.quad(integrand, -12, 12, args=(derivative,), points=[0], limit=200)[0]
        assert value(expr, **at) == pytest.approx(expected, rel=1e-10)
    assert value(kernel.length, q=1.7, alpha=alpha) == pytest.approx(1.7 * (1 + alpha**2) / 2)
    assert value(kernel.slope, q=1.7, alpha=alpha) == pytest.approx((1 + alpha**2) / 2)
    assert kernel.curvature == sp.oo


def test_hard_tanh_for_one_pre_activation():
    hard = pr.kernel("hard_tanh")
    for q in (0.3, 0.8, 5.0):
        density = sp.lambdify(pr.u, pr.averages.density(sp.Float(q)))
        inside = integrate.quad(lambda x, n=density: x * x * n(x), -1, 1)[0]
        outside = 2 * integrate.quad(density, 1, np.inf)[0]
        assert value(hard.length, q=q) == pytest.approx(inside + outside, rel=1e-10)
        assert value(hard.slope, q=q) == pytest.approx(1 - outside, rel=1e-10)


def test_kernels_are_named_or_expressions_in_u():
    assert pr.kernel(pr.kernel("erf")) is pr.kernel("erf")
    assert pr.kernel(sp.sin(pr.u)).pair_slope.subs({pr.q1: 1, pr.q2: 2, pr.p: 0}).evalf() == (
        pytest.approx(np.exp(-1.5))
    )
    with pytest.raises(InputError, match=r"one of erf.*got 'tan'.*did you mean 'tanh'"):
        pr.length_map("tan")
    with pytest.raises(InputError, match="expression in the symbol u, got x"):
        pr.kernel(sp.Symbol("x"))


def test_the_unspecified_activation_gives_the_definitions():
    phi = sp.Function("phi", real=True)
    assert pr.length_map().atoms(sp.Integral)
    assert pr.correlation_map().has(phi(pr.u1))
    assert pr.correlation_map().has(phi(pr.u2))
    assert pr.chi().has(sp.Derivative(phi(pr.u1), pr.u1))
    assert r"\phi" in sp.latex(pr.chi_q())


# --- maps -------------------------------------------------------------------------------------

TANH = {"sigma_w": 1.3, "sigma_b": 0.3}


def test_maps_of_an_activation_without_closed_form():
    f, slope = FUNCTIONS["tanh"]
    phi, at = sp.tanh(pr.u), {**TANH, "q": 0.9}
    expected = 1.69 * mean(lambda x: f(x) ** 2, 0.9) + 0.09
    assert value(pr.length_map(phi), **at) == pytest.approx(expected, rel=1e-9)
    step = 1e-5
    rise = mean(lambda x: f(x) ** 2, 0.9 + step) - mean(lambda x: f(x) ** 2, 0.9 - step)
    for form in (False, True):
        ours = value(pr.chi_q(phi, pointwise=form), **at)
        assert ours == pytest.approx(1.69 * rise / (2 * step), rel=1e-8)
    assert value(pr.chi_1(phi), **at) == pytest.approx(1.69 * mean(lambda x: slope(x) ** 2, 0.9))
    bend = mean(lambda x: (2 * f(x) * slope(x)) ** 2, 0.9)
    assert value(pr.chi_2(phi), **at) == pytest.approx(1.69 * bend, rel=1e-9)
    ratio = value(pr.chi_q(phi), **at)
    assert value(pr.xi_q(phi), **at) == pytest.approx(-1 / np.log(ratio), rel=1e-12)


def test_the_pointwise_form_of_the_slope_fails_at_kinks_as_recorded():
    at = {"sigma_w": 1.0, "q": 0.8}
    assert round(value(pr.chi_q("hard_tanh", pointwise=True), **at), 3) == 0.736
    assert round(value(pr.chi_q("hard_tanh"), **at), 3) == 0.259


def test_correlation_map_and_its_slope():
    f, slope = FUNCTIONS["erf"]
    at = {"sigma_w": 1.8, "sigma_b": 0.4, "q": 1.7, "c": 0.35}
    product = pair_mean(f, f, 1.7, 1.7, 0.35 * 1.7)
    expected = (1.8**2 * product + 0.16) / 1.7
    assert value(pr.correlation_map("erf"), **at) == pytest.approx(expected, rel=1e-12)
    slopes = 1.8**2 * pair_mean(slope, slope, 1.7, 1.7, 0.35 * 1.7)
    assert value(pr.chi("erf"), **at) == pytest.approx(slopes, rel=1e-12)
    assert value(pr.xi_c("erf"), **at) == pytest.approx(-1 / np.log(slopes), rel=1e-9)
    q1, q2 = 0.6, 2.2
    covariance = value(pr.covariance_map("erf"), q1=q1, q2=q2, p=0.5, sigma_w=1.8, sigma_b=0.4)
    assert covariance == pytest.approx(1.8**2 * pair_mean(f, f, q1, q2, 0.5) + 0.16, rel=1e-12)


def test_distance_map_keeps_its_digits():
    # against 40-digit arithmetic, at distances where 1 - C(1 - epsilon) has lost them
    exact = sp.lambdify((Q, pr.sigma_w, pr.epsilon), pr.distance_map("sin"), "mpmath")
    with mpmath.workdps(40):
        small = exact(mpmath.mpf("1.5"), 1, mpmath.mpf(10) ** -12)
        slope = mpmath.exp(mpmath.mpf("-1.5")) * mpmath.cosh(mpmath.mpf("1.5"))
    assert float(small / mpmath.mpf(10) ** -12 / slope) == pytest.approx(1, rel=1e-11)
    smooth = value(pr.smooth_distance_map(), chi1=1.1, chi2=0.7, q=2.0, epsilon=0.01)
    assert smooth == pytest.approx(0.011 - 0.7 * 1e-4)


def test_depth_scale_is_infinite_at_one_and_negative_above():
    assert pr.depth_scale(sp.S.One) in (sp.zoo, sp.oo, -sp.oo)
    assert float(pr.depth_scale(R(1, 2))) == pytest.approx(1 / np.log(2))
    assert float(pr.depth_scale(-R(1, 2))) == pytest.approx(1 / np.log(2))
    assert pr.depth_scale(sp.Integer(2)) < 0


def test_depth_scale_of_an_alternating_approach_is_real():
    # an even activation: E[phi' phi'] = exp(-q) sinh(q c), negative at c < 0
    at = {"sigma_w": 1.1, "q": 0.9, "c": -0.4}
    rate = 1.21 * np.exp(-0.9) * np.sinh(-0.36)
    assert value(pr.chi(sp.cos(pr.u)), **at) == pytest.approx(rate)
    assert value(pr.xi_c(sp.cos(pr.u)), **at) == pytest.approx(-1 / np.log(-rate))


# --- critical line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sigma_b", "sigma_w"),
    [
        ("erf", 0.3, 1.233672505839021),
        ("erf", 1.0, 1.648751452565080),
        ("hard_tanh", 0.3, 1.116144999655678),
        ("sin", 0.3, 1.262664604663284),
        ("gelu", 0.5, 1.399868216405820),
    ],
)
def test_critical_line_passes_through_reference_points(name, sigma_b, sigma_w):
    weights, biases = (sp.lambdify(Q, x, "mpmath") for x in pr.critical_line(name))
    with mpmath.workdps(30):
        gap = lambda s: biases(mpmath.exp(s)) - mpmath.mpf(sigma_b) ** 2  # noqa: E731
        grid = [mpmath.mpf(k) / 10 for k in range(-50, 35)]
        brackets = [(a, b) for a, b in itertools.pairwise(grid) if gap(a) * gap(b) < 0]
        assert len(brackets) == 1
        root = mpmath.exp(mpmath.findroot(gap, brackets[0], solver="anderson", tol=1e-40))
        assert float(mpmath.sqrt(weights(root))) == pytest.approx(sigma_w, rel=1e-14)


def test_gelu_is_doubly_critical_where_recorded():
    place, weights, biases = (float(x) for x in pr.gelu_doubly_critical_point())
    assert place == pytest.approx((3 + np.sqrt(17)) / 2, rel=1e-15)
    assert weights == pytest.approx(1.98305825744, abs=1e-11)
    assert biases == pytest.approx(0.17292239076, abs=1e-11)
    # slope of the length map by quadrature, along the critical line
    f, slope = FUNCTIONS["gelu"]
    for q, sign in ((3.0, 1), (place, 0), (4.2, -1)):
        step = 1e-4
        rise = mean(lambda x: f(x) ** 2, q + step) - mean(lambda x: f(x) ** 2, q - step)
        excess = rise / (2 * step) / mean(lambda x: slope(x) ** 2, q) - 1
        ours = value(pr.slope_on_critical_line("gelu"), q=q) - 1
        assert ours == pytest.approx(excess, abs=1e-7)
        assert np.sign(round(ours, 6)) == sign


def iterate_on_line(step, epsilon, layers):
    for _ in range(layers):
        epsilon = step(epsilon)
    return epsilon


def test_smooth_activations_decay_as_one_over_l_on_the_line():
    q = 1.0
    at = {"q": q, "sigma_w": np.sqrt(value(pr.critical_line("sin")[0], q=q))}
    chi_2 = value(pr.chi_2("sin"), **at)

    def step(e):  # 1 - C(1 - e) for sin, in a form without cancellation
        gain = 2 * np.sinh(q * e / 2) * np.cosh(q * (1 - e / 2))
        return at["sigma_w"] ** 2 * np.exp(-q) * gain / q

    layers = 40_000
    left = iterate_on_line(step, 0.5, layers)
    law = value(pr.critical_decay("smooth").subs(LAYER, layers), q=q, chi2=chi_2)
    assert left / law == pytest.approx(1, abs=2e-3)  # corrections of order ln(l)/l


def test_relu_decays_as_one_over_l_squared_on_the_line():
    layers, left = 20_000, 0.5
    step = sp.lambdify(pr.epsilon, pr.relu_distance_map())
    left = iterate_on_line(step, left, layers)
    assert left * layers**2 == pytest.approx(4.5 * np.pi**2, rel=5e-3)
    assert value(pr.critical_decay("relu").subs(LAYER, 10)) == pytest.approx(0.045 * np.pi**2)
    exact = value(pr.distance_map("relu"), sigma_w=np.sqrt(2), epsilon=1e-4, q=1.0)
    assert exact == pytest.approx(value(pr.relu_distance_map(), epsilon=1e-4), rel=1e-6)
    with pytest.raises(InputError, match="kind must be 'smooth' or 'relu', got 'tanh'"):
        pr.critical_decay("tanh")


# --- the corner -------------------------------------------------------------------------------


def corner(epsilon, digits=40):
    """Return q*, chi_1 and xi_c of tanh at sigma_b = 0 by quadrature and Newton's method."""
    with mpmath.workdps(digits):
        epsilon = mpmath.mpf(epsilon)
        gain = (1 + epsilon) ** 2
        h = mpmath.mpf(1) / 16
        z = [k * h for k in range(-260, 261)]
        w = [h * mpmath.npdf(x) for x in z]

        def average(f, q):
            return mpmath.fsum(b * f(mpmath.sqrt(q) * a) for a, b in zip(z, w, strict=True))

        def gap(q):
            return gain * average(lambda x: mpmath.tanh(x) ** 2, q) / q - 1

        q = mpmath.findroot(gap, (epsilon, epsilon * (1 + epsilon)))
        chi_1 = gain * average(lambda x: mpmath.sech(x) ** 4, q)
        chi_c = gain * average(lambda x: mpmath.sech(x) ** 2, q) ** 2
        return q, chi_1, -1 / mpmath.log(chi_c)


def test_corner_expansion_is_right_to_its_order():
    series = pr.corner_expansion(4)
    errors = []
    for size in ("1e-3", "1e-4"):
        q, chi_1, xi_c = corner(size)
        at = {pr.epsilon: sp.Rational(size)}
        with mpmath.workdps(40):
            ours = [
                mpmath.mpf(x.p) / x.q
                for x in (s.subs(at) for s in (series.q_star, series.chi_1, series.xi_c))
            ]
            errors.append([abs(a - b) for a, b in zip(ours, (q, chi_1, xi_c), strict=True)])
    orders = [float(mpmath.log10(a / b)) for a, b in zip(*errors, strict=True)]
    assert orders == pytest.approx([5, 5, 1], abs=0.1)
    assert float(corner("1e-3")[2]) == pytest.approx(1504998.55, abs=0.01)


def test_corner_expansion_takes_other_odd_activations():
    other = pr.corner_expansion(2, "sin")
    assert sp.expand(other.q_star) == 2 * pr.epsilon - pr.epsilon**2 / 3
    assert sp.limit(other.xi_c * pr.epsilon**2, pr.epsilon, 0) == R(3, 2)
    for bad in ("relu", "gelu", sp.sinh(pr.u), 2 * sp.tanh(pr.u)):
        with pytest.raises(InputError, match="phi must be odd in u"):
            pr.corner_expansion(2, bad)
    with pytest.raises(InputError, match="n must be an integer >= 2"):
        pr.corner_expansion(1)


# --- dropout ----------------------------------------------------------------------------------


def test_dropout_fixed_points_have_the_reference_values():
    # relu, sigma_w = 1.2, sigma_b = 0.3, keep 0.9: q and c from the statements, iterated
    at = {"sigma_w": 1.2, "sigma_b": 0.3, "rho": 0.9}
    length = sp.lambdify(Q, pr.dropout_length_map("relu").subs(symbols(at)))
    q = iterate_on_line(length, 1.0, 300)
    curve = sp.lambdify(pr.c, pr.dropout_correlation_map("relu").subs({**symbols(at), Q: q}))
    c = iterate_on_line(curve, 0.2, 300)
    assert (round(q, 4), round(c, 4)) == (0.4500, 0.7896)
    own = value(pr.dropout_self_correlation("relu"), **at, q=q)
    assert own == pytest.approx(curve(1.0), rel=1e-12)
    assert own == pytest.approx(1 - 0.1 / 0.9 * 1.44 / 2)
    together = pr.dropout_correlation_map("relu", same_mask=True)
    assert value(together, **at, q=q, c=1.0) == pytest.approx(1, rel=1e-12)


def test_dropout_at_criticality_leaves_a_finite_depth_scale():
    # tanh, sigma_b^2 = 0.05, sigma_w^2 = 1.7603, keep 0.99: 14.478 in the reference
    f, slope = FUNCTIONS["tanh"]
    q, c = 1.0, 0.5
    for _ in range(300):
        q = 1.7603 / 0.99 * mean(lambda x: f(x) ** 2, q) + 0.05
    for _ in range(150):
        c = (1.7603 * pair_mean(f, f, q, q, c * q) + 0.05) / q
    scale = -1 / np.log(1.7603 * pair_mean(slope, slope, q, q, c * q))
    assert scale == pytest.approx(14.478, abs=2e-3)
    # the leading law, from the statements: 12.88
    at = {"sigma_w": np.sqrt(1.7603), "rho": 0.99, "q": q}
    loss = 1 - value(pr.dropout_self_correlation(sp.tanh(pr.u)), **at)
    leading = (2 * loss * q * value(pr.chi_2(sp.tanh(pr.u)), **at)) ** -0.5
    assert leading == pytest.approx(12.88, abs=0.01)


def test_gradient_factors():
    at = {"sigma_w": 1.7, "q": 1.2, "c": 0.4, "rho": 0.8}
    widths = {pr.maps.N_here: 3, pr.maps.N_next: 5, pr.maps.N_before: 7}
    single, double = value(pr.chi_1("erf"), **at), value(pr.chi("erf"), **at)
    assert value(pr.gradient_map("erf").subs(widths), **at) == pytest.approx(single * 5 / 3)
    assert value(pr.gradient_map("erf", equal_widths=True), **at) == pytest.approx(single)
    ours = value(pr.gradient_covariance_map("erf").subs(widths), **at)
    assert ours == pytest.approx(double * 5 / 3)
    ours = value(pr.dropout_gradient_map("erf", equal_widths=True), **at)
    assert ours == pytest.approx(single / 0.8)
    assert value(pr.xi_grad("erf"), **at) == pytest.approx(-1 / np.log(single))
    norm = pr.weight_gradient(sp.Integer(2)).subs(widths)
    assert value(norm, **at, sigma_b=0.5) == pytest.approx(3 * 7 * 2 * (1.2 - 0.25) / 1.7**2)


@pytest.mark.statistical
def test_gradients_of_finite_networks_grow_as_stated():
    # 100 networks of 150 units, widths changing; false alarms at 4 standard errors: 6e-5
    stream, widths, samples = np.random.default_rng(11), (150, 100, 200, 150), 100
    q = 1.6
    sigma_w, sigma_b = 1.5, np.sqrt(q - 2.25 * value(pr.kernel("erf").length, q=q))
    factor, norm = np.zeros(samples), np.zeros(samples)
    for k in range(samples):
        h, layers = np.sqrt(q) * stream.normal(size=widths[0]), []
        for here, there in itertools.pairwise(widths):
            W = stream.normal(size=(there, here)) * sigma_w / np.sqrt(here)
            layers.append((W, FUNCTIONS["erf"][1](h)))
            h = W @ special.erf(h) + sigma_b * stream.normal(size=there)
        delta = stream.normal(size=widths[-1])
        before = (delta**2).mean(), delta @ delta
        for W, slope in reversed(layers):
            delta = slope * (W.T @ delta)
        factor[k], norm[k] = (delta**2).mean() / before[0], delta @ delta / before[1]
    step = pr.gradient_map("erf").subs({Q: q, pr.sigma_w: sigma_w})
    chain = [
        step.subs({pr.maps.N_here: a, pr.maps.N_next: b}) for a, b in itertools.pairwise(widths)
    ]
    expected = float(sp.Mul(*chain))
    assert abs(factor.mean() - expected) < 4 * factor.std(ddof=1) / 10
    chi_1 = value(pr.chi_1("erf"), q=q, sigma_w=sigma_w)
    assert abs(norm.mean() - chi_1**3) < 4 * norm.std(ddof=1) / 10


# --- geometry ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["erf", "gelu"])
@pytest.mark.parametrize("sigma_w", [R(4, 5), R(9, 5)])
def test_geometry_is_that_of_the_iterated_map(name, sigma_w):
    numbers = {Q: R(3, 2), pr.sigma_w: sigma_w}
    at_rest = pr.at_fixed_point(pr.correlation_map(name), name).subs(numbers)
    curve = sp.lambdify(pr.c, at_rest, "mpmath")

    def correlation(delta, layers=3):
        x = mpmath.cos(delta)
        for _ in range(layers):
            x = curve(x)
        return x

    with mpmath.workdps(60):
        second, fourth = (
            mpmath.diff(correlation, 0, k, h=mpmath.mpf(10) ** -10).real for k in (2, 4)
        )
        metric, square = -R(3, 2) * second, fourth / (mpmath.mpf(3) / 2 * second**2)
    values = {
        geometry.layer: 4,
        pr.chi1: pr.chi_1(name),
        pr.chi2: pr.chi_2(name),
    }
    ours = [
        float(f().subs(values).subs(numbers))
        for f in (geometry.metric, geometry.curvature_squared, geometry.gauss_metric)
    ]
    assert ours == pytest.approx([float(metric), float(square), float(metric * square)], rel=1e-12)
    rows = [Q, 1 / Q, sp.S.One]  # the circle in layer 1, then three layers one by one
    for _ in range(3):
        rows = [
            geometry.metric_map(rows[0]),
            geometry.curvature_squared_map(rows[1]),
            geometry.gauss_metric_map(rows[2], rows[0]),
        ]
    assert [float(x.subs(values).subs(numbers)) for x in rows] == pytest.approx(ours, rel=1e-12)


def test_the_gauss_metric_stays_bounded_in_the_ordered_phase():
    at = {pr.chi1: R(1, 2), pr.chi2: R(1, 3), Q: 2}
    far = geometry.gauss_metric().subs(geometry.layer, 60).subs(at)
    assert float(far) == pytest.approx(1 + 3 * (1 / 3) * 2 / (0.5 * 0.5))


# --- spectra ----------------------------------------------------------------------------------


def smallest(z, depth):
    """Return the minimum over m of an inverse function at sigma_w given, by golden section."""
    f = sp.lambdify(spectra.m, sp.log(z.subs(spectra.L, depth)))
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda t: f(np.exp(t)), bounds=(-12, 6), method="bounded")
    return np.exp(found.fun)


@pytest.mark.parametrize(
    ("kept", "orthogonal", "sigma_w", "depth", "edge"),
    [
        (1, False, 1, 5, 14.92992),
        (R(1, 2), False, sp.sqrt(2), 8, 43.549),
        (R(1, 2), True, sp.sqrt(2), 8, 20.372),
    ],
)
def test_upper_edges(kept, orthogonal, sigma_w, depth, edge):
    slope = spectra.slope_inverse(sp.sympify(kept))
    z = spectra.jacobian_inverse(slope, orthogonal=orthogonal).subs(pr.sigma_w, sigma_w)
    assert smallest(z, depth) == pytest.approx(edge, abs=6e-4)
    if kept == 1:
        point, at = spectra.linear_edge_point(), {spectra.L: depth, pr.sigma_w: sigma_w}
        assert float(spectra.linear_edge().subs(at)) == pytest.approx(edge, abs=1e-10)
    else:
        point = spectra.relu_edge_point(orthogonal=orthogonal)
    assert float(z.subs(spectra.m, point).subs(spectra.L, depth)) == pytest.approx(edge, abs=6e-4)


@pytest.mark.statistical
@pytest.mark.parametrize("orthogonal", [False, True])
def test_moments_of_jacobians_of_random_networks(orthogonal):
    # slopes 1 with probability 0.7, else 0; 60 products of three factors of size 200.  False
    # alarms at 4 standard errors: 6e-5.  The bias, of order 1/N, is below one standard error.
    stream, size, depth, samples = np.random.default_rng(5), 200, 3, 60
    first, second = np.zeros(samples), np.zeros(samples)
    for k in range(samples):
        J = np.eye(size)
        for _ in range(depth):
            W = stream.normal(size=(size, size)) / np.sqrt(size)
            if orthogonal:
                factor, triangle = np.linalg.qr(W)
                W = factor * np.sign(np.diag(triangle))
            J = (stream.random(size) < 0.7)[:, None] * (1.2 * W @ J)
        squares = J @ J.T
        first[k], second[k] = np.trace(squares) / size, (squares**2).sum() / size
    at = {spectra.mu1: R(7, 10), spectra.mu2: R(7, 10), spectra.L: depth, pr.sigma_w: R(6, 5)}
    average, spread = (float(x.subs(at)) for x in spectra.jacobian_moments(orthogonal=orthogonal))
    for sample, expected in ((first, average), (second, average**2 * (1 + spread))):
        assert abs(sample.mean() - expected) < 4 * sample.std(ddof=1) / np.sqrt(samples)


# --- tanh as a mixture ------------------------------------------------------------------------


def test_the_kolmogorov_law_mixes_error_functions_into_tanh():
    large = sum(mixture.density_term().subs(mixture.n, k) for k in range(1, 9))
    small = sum(mixture.dual_density_term().subs(mixture.n, k) for k in range(1, 9))
    f = [sp.lambdify(mixture.K, x) for x in (large, small)]

    def density(k):
        return f[0](k) if k > 0.8 else f[1](k)

    assert integrate.quad(density, 0.05, 8, points=[0.8])[0] == pytest.approx(1, abs=1e-12)
    piece = sp.lambdify((pr.u, mixture.K), mixture.component(), ["scipy", "numpy"])
    for x in (0.2, 1.0, 3.0):
        mixed = integrate.quad(lambda k, x=x: density(k) * piece(x, k), 0.05, 8, points=[0.8])[0]
        assert mixed == pytest.approx(np.tanh(x), abs=1e-12)


# --- the derivation ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def derivation():
    return pr.derivation()


def claims():
    """Yield (place, relation, lhs, rhs) of each step in the sources, local names spelled out."""
    for file in sorted(Path(_steps.__file__).parent.glob("*.py")):
        for function in ast.parse(file.read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef):
                continue
            local = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    name = node.targets[0].id
                    local[name] = None if name in local else node.value
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or len(node.args) != 3:
                    continue
                called = ast.unparse(node.func)
                if called in ("d.step", "d.refute", "check"):
                    sides = [spelled_out(side, local) for side in node.args[1:]]
                    yield f"{file.name}: {ast.unparse(node.args[0])}", called, *sides


def spelled_out(side, local):
    """Return a side with each local name replaced by the one value it has."""

    class Spell(ast.NodeTransformer):
        def visit_Name(self, node):
            return node if local.get(node.id) is None else spelled_out(local[node.id], local)

    return Spell().visit(ast.parse(ast.unparse(side), mode="eval").body)


def is_constant(side):
    """Return whether a side is made of numbers alone: 1/10, sqrt(2), exp(-6), pi."""
    names = {node.id for node in ast.walk(side) if isinstance(node, ast.Name)}
    calls = {ast.unparse(node.func) for node in ast.walk(side) if isinstance(node, ast.Call)}
    return names <= {"sp", "R", "_R"} and calls <= {
        *("R", "_R", "sp.Rational", "sp.Integer", "sp.sqrt", "sp.exp", "sp.log", "sp.sign"),
    }


def test_no_step_has_the_same_expression_on_both_sides_or_numbers_alone():
    found = list(claims())
    assert len(found) > 140  # some stand in loops
    same = [place for place, _, *sides in found if len(set(map(ast.unparse, sides))) == 1]
    assert same == []
    numbers = [place for place, _, *sides in found if all(map(is_constant, sides))]
    assert numbers == []


# Steps of which the computed side is already in textbook form.  Each was read: one side is
# differentiated, integrated, solved for or averaged, and the other is not made from it.
COMPUTED = """
(p) exp(-6) of a small correlation is left after L = 6 xi_c, sin at sigma_b = 0
(r) slope of the length map at q = 0 is sigma_w^2 phi'(0)^2: tanh, erf, sin
1 - c* on the line chi_1 = 1
1 - chi_c
Closed forms in layer 1
Coefficients of sin: n = 1, 2, 3, 5
Covariances of gradients change by chi(c), and by N_{l+1}/N_l per component
Critical line of erf
Critical line of relu
Depth scale
Derivative of one component
Derivatives of C(K(Delta)) at 0: second, fourth
Doubly critical point of gelu: q
E[phi'^2] of hard_tanh
E[phi^2] of tanh at small q
Ends at sigma_b = 0: sigma_w of erf, sin, hard_tanh, gelu
Factor of the gradient variance
Gradient recursion, erf, fan-out 3
Growth of 1/q per layer at (1, 0)
Inverse of M = mu_1/w + mu_2/w^2, to second order
It solves q = V(q) to its order
Its Gauss metric
Metric of the next layer
On the line: chi_1 = 1 and V(q) = q, solved for sigma_w^2 and sigma_b^2
One term of the Kolmogorov density, integrated over K
Partial sums of (-1)^(n+1) n y^n, times (1 + y)^2: one more term
Price's theorem, exponentials
Price's theorem, polynomials of degree 5
Radius of the input circle, right: variance of the first layer
Smooth phi: growth of 1/(1 - c) per layer
Squared norm of the gradient by the weights, 3 units to 2, erf
Stein's identity, exponentials
The density falls as u/q
The ratio ends at chi_1
The same mask for both inputs is sigma_w^2 -> sigma_w^2/rho
The same mask restores c = 1
The squared norm of the gradient changes by chi_1, whatever the widths: 3 units above, 2
chi(1) = chi_1
chi_1 - 1
chi_q at the corner
erf: E[phi phi] vanishes at p = 0
erf: E[phi^2], E[phi'^2]
gelu: E[phi phi] at p = 0
gelu: E[phi' phi'] at p = 0
gelu: phi' is 1/2 + an odd function
q = 1/(2 l) at (1, 0): l^2 times the change per layer
q* at sigma_w = 1 + epsilon
relu with dropout: slope of the length map
relu: 1 - C(1 - epsilon) begins with epsilon^(3/2) beyond epsilon
relu: E[phi phi] at p = 0
relu: E[phi' phi'] at p = 0
relu: growth of (1 - c)^(-1/2) per layer
xi_c
xi_c stays finite: xi_c sqrt(2 delta q chi_2) tends to 1
xi_c |chi_1 - 1| tends to 1 from both sides of the line
"""


@pytest.mark.slow
def test_sides_come_out_alike_only_where_one_of_them_was_computed(derivation):
    alike = {s.title for s in derivation if s.holds and s.lhs == s.rhs}
    assert alike - set(COMPUTED.strip().splitlines()) == set()
    # a statement that the derivation refutes has two unlike sides, with a value each
    assert all(s.lhs != s.rhs for s in derivation if not s.holds)


@pytest.mark.parametrize(
    ("module", "part", "name", "title"),
    [
        (errata, "_depth_scales", "xi_grad", "(k) as it should read"),
        (errata, "_corner", "chi_q", "(r) slope of the length map"),
        (errata, "_dropout", "xi_c", "(p) exp(-6)"),
        (length, "_fixed_points", "depth_scale", "Depth scale"),
        (critical, "_line", "critical_line", "On the line"),
        (dropout, "_gradients", "dropout_gradient_map", "Factor of the gradient variance"),
        (gradients, "_one_layer", "gradient_map", "Gradient recursion"),
        (gradients, "_many_layers", "chi_1", "The squared norm of the gradient"),
        (gradients, "_many_layers", "gradient_covariance_map", "Covariances of gradients"),
        (gradients, "_many_layers", "weight_gradient", "Squared norm of the gradient"),
    ],
)
def test_a_step_fails_if_the_statement_it_checks_is_wrong(monkeypatch, module, part, name, title):
    right = getattr(module, name)

    def doubled(*args, **options):
        stated = right(*args, **options)
        return tuple(2 * x for x in stated) if isinstance(stated, tuple) else 2 * stated

    getattr(module, part)(Derivation("as stated"))
    monkeypatch.setattr(module, name, doubled)
    with pytest.raises(DerivationError, match="step ['\"]" + re.escape(title)):
        getattr(module, part)(Derivation("twice that"))


@pytest.mark.slow
def test_every_erratum_of_the_slides_is_refuted(derivation):
    refuted = [step for step in derivation if not step.holds]
    letters = {m[1] for s in refuted if (m := re.match(r"\((\w)\) ", s.title))}
    assert letters == set("abcdefghijklmnopqr")
    assert all(s.section.startswith("Errata") or "point by point" in s.title for s in refuted)
    found = {s.title: s.counterexample for s in refuted}
    wrong = found["(j) printed xi_c with phi' phi' at one point, in the chaotic phase"]
    assert (round(float(wrong.left), 2), round(float(wrong.right), 3)) == (-2.17, 5.109)
    star = found["(h) c* = 0, tanh at sigma_w = 5/2, sigma_b = 3/10"]
    assert round(float(star.left), 5) == 0.12210


@pytest.mark.slow
def test_nearly_every_step_is_proved_symbolically(derivation):
    numeric = [s.title for s in derivation if s.holds and s.how != "symbolic"]
    assert len(numeric) < 10 < 130 < len(derivation)
    for claim in ("Stein's identity", "Price's theorem", "C'(c) = chi(c)", "Doubly critical"):
        assert any(s.title.startswith(claim) and s.how == "symbolic" for s in derivation)


@pytest.mark.slow
def test_the_article_is_balanced_and_complete(derivation):
    source = derivation.to_latex()
    for environment in ("document", "multline*", "matrix"):
        assert source.count(f"\\begin{{{environment}}}") == source.count(f"\\end{{{environment}}}")
    bare = re.sub(r"\\[{}]", "", source)
    assert bare.count("{") == bare.count("}")
    assert source.count(r"\paragraph{") == len(derivation)
    assert "an expression of" not in source  # every formula is short enough to be printed


@pytest.mark.slow
def test_a_step_that_was_tampered_with_is_found(derivation):
    for title in ("The two forms for tanh", "C''(c)", "xi_c"):
        step = next(s for s in derivation if s.title == title)
        step.verify()
        wrong = type(step)(step.section, title, 2 * step.lhs, step.rhs, step.how)
        with pytest.raises(DerivationError):
            wrong.verify()
