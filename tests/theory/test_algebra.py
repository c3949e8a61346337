"""Free energies and Gaussian tools against mpmath, finite differences and plain NumPy."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from spinnet.errors import InputError
from spinnet.theory import algebra, curie_weiss
from spinnet.theory.algebra import FreeEnergy, LogCosh, SpinEntropy
from spinnet.theory.functions import log_cosh, sech, spin_entropy

x, a, c = sp.symbols("x a c", real=True)
s = sp.Symbol("s", positive=True)
POINT = {"beta": 1.3, "J": 0.9, "h": 0.2}


@pytest.fixture(scope="module")
def compiled():
    return curie_weiss.free_energy().compile()


def exact(function, at):
    with mpmath.workdps(50):
        return float(function(mpmath.mpf(at)))


# --- special functions ------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1e-12, 1e-3, 0.5, 0.999999, 1.0, 1.5, 30.0, 400.0])
def test_special_functions_keep_their_digits(at):
    # A few ulp: each is one or two library functions deep.
    close = {"rtol": 2e-15, "atol": 0}
    np.testing.assert_allclose(
        log_cosh(-at), exact(lambda t: mpmath.log(mpmath.cosh(t)), at), **close
    )
    np.testing.assert_allclose(sech(at), exact(mpmath.sech, at), **close)


def test_log_cosh_and_sech_do_not_overflow_at_a_million():
    assert log_cosh(1e6) == pytest.approx(1e6 - np.log(2), rel=1e-15)
    assert sech(1e6) == 0.0


@pytest.mark.parametrize("m", [0.0, 0.3, -0.9999999, 1.0, -1.0])
def test_spin_entropy_is_the_entropy_of_two_states(m):
    probabilities = [p for p in ((1 + m) / 2, (1 - m) / 2) if p > 0]
    assert spin_entropy(m) == pytest.approx(-sum(p * np.log(p) for p in probabilities), abs=1e-15)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (sp.diff(LogCosh(x), x), sp.tanh(x)),
        (sp.diff(SpinEntropy(x), x), -sp.atanh(x)),
        (LogCosh(-x), LogCosh(x)),
        (SpinEntropy(-x), SpinEntropy(x)),
        (LogCosh(sp.S.Zero), 0),
        (SpinEntropy(sp.S.Zero), sp.log(2)),
        (SpinEntropy(sp.S.One), 0),
        (sp.series(LogCosh(x), x, 0, 6).removeO(), x**2 / 2 - x**4 / 12),
        (LogCosh(sp.Rational(1, 2)).evalf(30), sp.log(sp.cosh(sp.Rational(1, 2))).evalf(30)),
    ],
)
def test_symbolic_functions(left, right):
    assert sp.simplify(left - right) == 0


# --- compiled functions -----------------------------------------------------------------------


def test_value_gradient_and_hessian_agree_with_mpmath(compiled):
    def f(m):
        beta, J, h = (mpmath.mpf(v) for v in POINT.values())
        return J * m**2 / 2 - mpmath.log(2 * mpmath.cosh(beta * (J * m + h))) / beta

    for m in (-0.8, 0.0, 0.31):
        for n, method in enumerate((compiled.value, compiled.gradient, compiled.hessian)):
            with mpmath.workdps(50):
                expected = float(mpmath.diff(f, mpmath.mpf(m), n))
            assert method(m, **POINT) == pytest.approx(expected, rel=1e-14, abs=1e-15)
        with mpmath.workdps(50):
            expected = float(mpmath.diff(f, mpmath.mpf(m), 3))
        assert compiled.derivative(3, m, **POINT) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("m", [-1.0, -0.3, 1e-5, 0.6])
def test_compiled_functions_are_exact_at_ten_thousand(compiled, m):
    at = {"beta": 1e4, "J": 1.0, "h": 0.0}
    with mpmath.workdps(60):
        k, mm = mpmath.mpf(10) ** 4, mpmath.mpf(m)
        value = mm**2 / 2 - mpmath.log(2 * mpmath.cosh(k * mm)) / k
        slope = mm - mpmath.tanh(k * mm)
        curvature = 1 - k * mpmath.sech(k * mm) ** 2
    assert compiled.value(m, **at) == pytest.approx(float(value), rel=1e-15)
    assert compiled.gradient(m, **at) == pytest.approx(float(slope), rel=1e-15, abs=1e-16)
    assert compiled.hessian(m, **at) == pytest.approx(float(curvature), rel=1e-13)


def test_compiled_functions_broadcast_and_constants_fill_the_shape(compiled):
    m, beta = np.linspace(-1, 1, 5), np.array([[0.5], [2.0], [3.0]])
    assert compiled.value(m, beta=beta, J=1.0, h=0.0).shape == (3, 5)
    quadratic = FreeEnergy(a * x**2 / 2, (x,), (a,), "test").compile()
    np.testing.assert_array_equal(quadratic.hessian(np.zeros((2, 3)), a=4.0), np.full((2, 3), 4.0))
    np.testing.assert_array_equal(quadratic.derivative(3, np.zeros(2), a=4.0), np.zeros(2))
    assert np.ndim(quadratic.value(1.0, a=4.0)) == 0


def test_vector_order_parameters_use_the_last_axis():
    y = sp.Symbol("y", real=True)
    f = FreeEnergy(a * x**2 + x * y**3, (x, y), (a,), "test").compile()
    points = np.random.default_rng(0).normal(size=(4, 2))
    np.testing.assert_allclose(
        f.gradient(points, a=2.0),
        np.stack([4 * points[:, 0] + points[:, 1] ** 3, 3 * points.prod(1) * points[:, 1]], -1),
    )
    hessian = f.hessian(points, a=2.0)
    assert hessian.shape == (4, 2, 2)
    np.testing.assert_allclose(hessian[:, 0, 1], 3 * points[:, 1] ** 2)
    np.testing.assert_array_equal(hessian[:, 0, 0], 4.0)
    with pytest.raises(InputError, match="order must have shape"):
        f.value(np.zeros(3), a=1.0)
    with pytest.raises(InputError, match="one order parameter"):
        f.derivative(2, points, a=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 1.0, "J": 1.0}, r"missing parameter 'h'"),
        ({"beta": 1.0, "J": 1.0, "hh": 0.0}, r"unknown parameter 'hh'; did you mean 'h'\?"),
        ({"beta": -1.0, "J": 1.0, "h": 0.0}, r"beta must be > 0, got -1\.0"),
        ({"beta": [1.0, 0.0], "J": 1.0, "h": 0.0}, r"beta must be > 0, got 0\.0 at index \(1,\)"),
        ({"beta": 1.0, "J": 1.0, "h": np.nan}, r"h must be finite"),
        ({"beta": [1.0, 2.0], "J": [1.0, 2.0, 3.0], "h": 0.0}, r"shapes must broadcast"),
    ],
)
def test_bad_parameters_are_named(compiled, arguments, message):
    with pytest.raises(InputError, match=message):
        compiled.value(0.1, **arguments)
    with pytest.raises(InputError, match="order must be finite"):
        compiled.value(np.nan, **POINT)


# --- FreeEnergy -------------------------------------------------------------------------------


def test_free_energy_refuses_unlisted_symbols_and_bad_domains():
    for bad, message in (
        (lambda: FreeEnergy(a * x, (x,), (), "r"), "neither in order nor in params: a"),
        (lambda: FreeEnergy(x, (), (x,), "r"), "order must name"),
        (lambda: FreeEnergy(x, (x,), (x,), "r"), "distinct names"),
        (lambda: FreeEnergy(x, (x,), (), "r", domain=(1.0, 0.0)), "low < high"),
    ):
        with pytest.raises(InputError, match=message):
            bad()


def test_textbook_forms_of_both_densities():
    J, beta, h, m = curie_weiss.J, curie_weiss.beta, curie_weiss.h, curie_weiss.m
    textbook = sp.Eq(m, sp.tanh(beta * (J * m + h)))
    for fe in (curie_weiss.free_energy(), curie_weiss.gibbs_free_energy()):
        equation = fe.self_consistency()
        assert equation.lhs == m
        assert sp.simplify(equation.rhs - textbook.rhs) == 0
    with pytest.raises(InputError, match="self_consistency needs"):
        FreeEnergy(x**4 + a * sp.sin(x), (x,), (a,), "r").self_consistency()


def test_landau_series_has_the_remainder_of_its_order():
    fe = curie_weiss.free_energy()
    series = sp.lambdify((curie_weiss.m, curie_weiss.beta, curie_weiss.J), fe.landau_series(6))
    num = fe.compile()
    errors = [num.value(m, beta=1.2, J=0.9, h=0.0) - series(m, 1.2, 0.9) for m in (0.4, 0.2)]
    assert errors[0] / errors[1] == pytest.approx(2**8, rel=0.1)  # next term is m**8
    with_field = fe.landau_series(1, zero_field=False)
    assert with_field.coeff(curie_weiss.m, 1).has(curie_weiss.h)


def test_latex_names_the_function():
    fe = curie_weiss.free_energy()
    assert fe.latex().startswith(r"f\left(m\right) = ")
    assert r"\ln\cosh" in fe.latex()
    assert fe._repr_latex_() == rf"$\displaystyle {fe.latex()}$"


# --- Gaussian tools ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expr", [x**4, sp.exp(a * x), x**3 * sp.exp(a * x + c), sp.cosh(a * x) ** 2 + x, sp.tanh(x)]
)
def test_gaussian_average_agrees_with_quadrature(expr):
    values = {a: sp.Rational(3, 5), c: sp.Rational(-1, 4)}
    mean, variance = sp.Rational(1, 3), sp.Rational(7, 4)
    ours = algebra.gaussian_average(expr, x, mean=mean, variance=variance)
    assert ours.has(sp.Integral) == expr.has(sp.tanh)
    f = sp.lambdify(x, expr.subs(values), "mpmath")
    with mpmath.workdps(25):
        centre, width = mpmath.mpf(1) / 3, mpmath.sqrt(mpmath.mpf(7) / 4)
        weighted = mpmath.quad(
            lambda z: f(centre + width * z) * mpmath.npdf(z), [-mpmath.inf, 0, mpmath.inf]
        )
        assert abs(ours.subs(values).evalf(25) - weighted) < 1e-18


def test_gaussian_integral_agrees_with_iterated_quadrature():
    matrix, source = sp.Matrix([[2, 0.5], [0.5, 1]]), sp.Matrix([0.3, -0.7])
    value = float(algebra.gaussian_integral(matrix, source))
    z = np.linspace(-12, 12, 1201)
    u, v = np.meshgrid(z, z, indexing="ij")
    density = np.exp(-(2 * u * u + u * v + v * v) / 2 + 0.3 * u - 0.7 * v)
    assert value == pytest.approx(density.sum() * (z[1] - z[0]) ** 2, rel=1e-12)
    with pytest.raises(InputError, match="symmetric"):
        algebra.gaussian_integral(sp.Matrix([[1, 2], [0, 1]]), source)


def test_hubbard_stratonovich_holds_numerically_and_refuses_imaginary_a():
    identity = algebra.hubbard_stratonovich(s)
    with mpmath.workdps(20):
        right = identity.rhs.subs(s, sp.Rational(4, 3)).evalf(20)
    assert abs(identity.lhs.subs(s, sp.Rational(4, 3)).evalf(20) - right) < 1e-15
    with pytest.raises(InputError, match="must be real"):
        algebra.hubbard_stratonovich(sp.I * s)
    with pytest.raises(InputError, match="integration variable"):
        algebra.hubbard_stratonovich(2 * x, x)


@pytest.mark.parametrize("correction", [False, True])
def test_saddle_point_error_has_the_order_it_claims(correction):
    L = sp.Symbol("L", positive=True)
    f = sp.cosh(x) + x**3 / 10
    approximation = algebra.saddle_point(f, x, 0, L, correction=correction)

    def error(large):
        with mpmath.workdps(30):
            integral = mpmath.quad(
                lambda z: mpmath.exp(-large * (mpmath.cosh(z) + z**3 / 10)),
                [-4, -1, -0.3, 0, 0.3, 1, 4],
            )
            return float(
                mpmath.log(integral) - mpmath.mpf(str(approximation.subs(L, large).evalf(25)))
            )

    assert error(40) / error(80) == pytest.approx(4 if correction else 2, rel=0.1)


def test_saddle_point_in_two_dimensions_has_its_correction():
    L, y = sp.Symbol("L", positive=True), sp.Symbol("y", real=True)
    f = x**2 / 2 + y**2 + x * y / 2 + x**2 * y / 5 + x**4 / 10 + x * y**3 / 20 + y**4 / 8
    approximation = algebra.saddle_point(f, (x, y), (0, 0), L, correction=True)
    grid = np.linspace(-3, 3, 1201)
    u, v = np.meshgrid(grid, grid, indexing="ij")
    values = sp.lambdify((x, y), f, "numpy")(u, v)

    def error(large):
        total = np.exp(-large * values).sum() * (grid[1] - grid[0]) ** 2
        return np.log(total) - float(approximation.subs(L, large))

    assert error(40) / error(80) == pytest.approx(4, rel=0.15)
    assert abs(error(80)) < 1e-4


def test_saddle_point_refuses_a_point_that_is_not_stationary():
    with pytest.raises(algebra.DerivationError):
        algebra.saddle_point(sp.cosh(x), x, sp.Rational(1, 2), sp.Symbol("L", positive=True))


def test_orders_shapes_and_large_parameters_out_of_place_are_refused(compiled):
    for n in (-1, "x", 1.5):
        with pytest.raises(InputError, match="n must be an integer >= 0"):
            compiled.derivative(n, 0.0, **POINT)
    with pytest.raises(InputError, match="must not contain the large parameter s"):
        algebra.saddle_point(s * x**2 / 2, x, 0, s)
    with pytest.raises(InputError, match=r"source must have shape \(2, 1\)"):
        algebra.gaussian_integral(sp.eye(2), sp.Matrix([0]))
