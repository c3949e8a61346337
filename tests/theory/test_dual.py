"""The dual of a layer against enumeration, finite differences and 50-digit roots."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp

from spinnet.errors import InputError
from spinnet.theory import dual

N = 3
BETA = 1.1
W = np.array([[np.cos(i + 2 * j) + i / 5 for j in range(N)] for i in range(N)])
H = np.array([0.3, -0.1, 0.2])
A = (W + W.T) / 2


def numbers(beta=BETA, w=W, h=H):
    """Return substitutions for beta, W and h."""
    flat = zip(dual.weights(N), w.ravel(), strict=True)
    return {dual.beta: beta, **dict(flat), **dict(zip(dual.fields(N), h, strict=True))}


def saddle(beta=BETA, w=W, h=H):
    """Return V by plain iteration in double precision."""
    a, v = (w + w.T) / 2, np.full(N, 0.5)
    for _ in range(20_000):
        v = np.tanh(beta * (a @ v / N + h))
    return v


@pytest.fixture(scope="module")
def compiled():
    return dual.free_energy(N).compile()


def test_energy_counts_the_diagonal_and_both_triangles():
    for state in itertools.product((-1, 1), repeat=N):
        s = np.array(state)
        ours = dual.energy(N, sp.Matrix(state)).subs(numbers())
        assert float(ours) == pytest.approx(-s @ W @ s / (2 * N) - H @ s, abs=1e-14)


def test_gradient_and_hessian_agree_with_finite_differences():
    symbols = [*dual.order(N), *dual.conjugate(N)]
    action = sp.lambdify(
        symbols, dual.effective_hamiltonian(N).rewrite(sp.log).subs(numbers()), "mpmath"
    )
    point = [mpmath.mpf(v) / 10 for v in (3, -5, 2, 7, 1, -4)]
    at = dict(zip(symbols, map(sp.Float, point), strict=True))
    gradient = np.array(dual.gradient(N).subs({**numbers(), **at}).tolist(), float).ravel()
    hessian = np.array(dual.hessian(N).subs({**numbers(), **at}).tolist(), float)
    with mpmath.workdps(40):
        for i in range(2 * N):
            order = tuple(int(k == i) for k in range(2 * N))
            assert float(mpmath.diff(action, tuple(point), order)) == pytest.approx(
                gradient[i], rel=1e-9, abs=1e-12
            )
            for j in range(2 * N):
                order = tuple(int(k == i) + int(k == j) for k in range(2 * N))
                assert float(mpmath.diff(action, tuple(point), order)) == pytest.approx(
                    hessian[i, j], rel=1e-9, abs=1e-12
                )


def test_hessian_has_the_true_signs_and_the_rotated_one_the_positive_determinant():
    v = saddle()
    at = {**numbers(), **dict(zip(dual.conjugate(N), np.arctanh(v), strict=True))}
    full = np.array(dual.hessian(N).subs(at).tolist(), float)
    np.testing.assert_allclose(full[:N, :N], -BETA * A / N, atol=1e-14)
    np.testing.assert_allclose(full[N:, N:], -np.diag(1 - v**2), atol=1e-14)
    np.testing.assert_array_equal(full[:N, N:], np.eye(N))
    D = np.diag(1 - v**2)
    stable = np.linalg.det(np.eye(N) - BETA * A @ D / N)
    assert np.linalg.det(full) == pytest.approx((-1) ** N * stable, rel=1e-9)
    rotated = np.array(dual.rotated_hessian(N).subs(at).tolist(), complex)
    assert np.linalg.det(rotated) == pytest.approx(stable, rel=1e-9)


def test_saddle_equations_are_those_of_the_symmetrised_weights():
    v = saddle()
    u = np.arctanh(v)
    at = numbers()
    at |= dict(zip(dual.order(N), v, strict=True)) | dict(zip(dual.conjugate(N), u, strict=True))
    for equation in dual.saddle_point(N):
        left, right = (float(side.subs(at)) for side in (equation.lhs, equation.rhs))
        assert left == pytest.approx(right, abs=1e-12)


def test_free_energy_on_shell_agrees_with_mpmath_and_numpy(compiled):
    v = saddle()
    local = BETA * (A @ v / N + H)
    expected = v @ A @ v / (2 * N * N) - np.log(2 * np.cosh(local)).sum() / (N * BETA)
    assert compiled.value(v, beta=BETA, W=W, h=H) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(compiled.gradient(v, beta=BETA, W=W, h=H), 0, atol=1e-15)
    # the antisymmetric part of W, and hence its transposition, changes nothing
    anti = np.array([[0, 1, -2], [-1, 0, 3], [2, -3, 0.0]])
    for other in (W.T, W + anti):
        assert compiled.value(v, beta=BETA, W=other, h=H) == pytest.approx(expected, rel=1e-14)
    on_shell = dual.on_shell(N).subs({**numbers(), **dict(zip(dual.order(N), v, strict=True))})
    assert float(on_shell) / (N * BETA) - np.log(2) / BETA == pytest.approx(expected, rel=1e-12)


def test_magnetisation_and_response_are_derivatives_of_the_solution(compiled):
    step = 1e-5  # central differences: O(step^2) = 1e-10 relative
    uniform = np.ones(N)
    values = [
        compiled.value(saddle(h=H + e * uniform), beta=BETA, W=W, h=H + e * uniform)
        for e in (step, -step)
    ]
    v = saddle()
    assert -(values[0] - values[1]) / (2 * step) == pytest.approx(v.mean(), abs=1e-9)
    at = {**numbers(), **dict(zip(dual.order(N), v, strict=True))}
    response = np.array(dual.linear_response(N).subs(at).tolist(), float)
    for j in range(N):
        moved = [saddle(h=H + e * np.eye(N)[j]) for e in (step, -step)]
        np.testing.assert_allclose(response[:, j], (moved[0] - moved[1]) / (2 * step), atol=1e-9)
    D = np.diag(1 - v**2)
    closed = np.linalg.solve(np.eye(N) - BETA * D @ A / N, BETA * D)
    np.testing.assert_allclose(response, closed, rtol=1e-9)


def test_one_loop_adds_the_log_determinant_and_improves_on_enumeration():
    w = A - np.diag(np.diag(A))
    beta, v = 0.8, saddle(beta=0.8, w=w)
    base = dual.free_energy(N).compile().value(v, beta=beta, W=w, h=H)
    loop = dual.one_loop(N).compile().value(v, beta=beta, W=w, h=H)
    D = np.diag(1 - v**2)
    correction = np.linalg.slogdet(np.eye(N) - beta * w @ D / N)[1] / (2 * N * beta)
    assert loop - base == pytest.approx(correction, rel=1e-9)
    states = np.array(list(itertools.product((-1, 1), repeat=N)))
    energies = -np.einsum("si,ij,sj->s", states, w, states) / (2 * N) - states @ H
    exact = -np.log(np.exp(-beta * energies).sum()) / (beta * N)
    assert abs(loop - exact) < abs(base - exact) / 3


def test_compiled_free_energy_broadcasts_over_beta_and_matrices(compiled):
    v = np.zeros((4, 1, N))
    stack = np.stack([W, 2 * W])
    values = compiled.value(v, beta=[1.0, 2.0], W=stack, h=np.zeros(N))
    assert values.shape == (4, 2)
    np.testing.assert_allclose(values[0], [-np.log(2), -np.log(2) / 2])
    assert compiled.gradient(v, beta=1.0, W=W, h=H).shape == (4, 1, N)
    assert compiled.hessian(v, beta=1.0, W=W, h=H).shape == (4, 1, N, N)
    for bad, message in (
        ({"beta": 1.0, "W": np.eye(2), "h": H}, r"W must have shape \(\.\.\., 3, 3\)"),
        ({"beta": 1.0, "w": W, "h": H}, "unknown parameter 'w'"),
        ({"beta": 1.0, "W": W}, "missing parameter 'h'"),
        ({"beta": -1.0, "W": W, "h": H}, "beta must be > 0"),
        ({"beta": 1.0, "W": W * np.inf, "h": H}, "W must be finite"),
    ):
        with pytest.raises(InputError, match=message):
            compiled.value(v, **bad)


def test_uniform_weights_give_the_curie_weiss_free_energy(compiled):
    from spinnet.theory import curie_weiss

    single = curie_weiss.free_energy().compile()
    at = {"beta": 1.4, "h": np.full(N, 0.1)}
    ours = compiled.value(np.full(N, 0.6), W=np.full((N, N), 0.9), **at)
    assert ours == pytest.approx(single.value(0.6, beta=1.4, J=0.9, h=0.1), rel=1e-14)


def test_self_consistency_of_several_order_parameters():
    equations = dual.free_energy(2).self_consistency()
    assert [eq.lhs for eq in equations] == list(dual.order(2))
    assert all(isinstance(eq.rhs, sp.tanh) for eq in equations)


# --- layers -----------------------------------------------------------------------------------


def bit_energy(w, h, g, norm, a, b):
    return -a @ w @ b / norm - h @ b - g @ a


def spin_energy(form, s, t):
    return -s @ form.couplings @ t - form.fields_a @ s - form.fields_b @ t + form.constant


@pytest.mark.parametrize(("shape", "norm"), [((5, 4), 1.0), ((2, 6), 18.0), ((1, 1), 0.5)])
def test_the_map_to_spins_holds_state_by_state(shape, norm):
    stream = np.random.default_rng(3)
    w, h, g = (stream.normal(size=k) for k in (shape, shape[1], shape[0]))
    form = dual.bipartite_to_ising(w, h, g, norm=norm)
    for bits in itertools.product((0, 1), repeat=sum(shape)):
        a, b = np.array(bits[: shape[0]]), np.array(bits[shape[0] :])
        ours = spin_energy(form, 2 * a - 1, 2 * b - 1)
        assert ours == pytest.approx(bit_energy(w, h, g, norm, a, b), abs=1e-13)


def test_symbolic_and_numeric_maps_agree():
    w, h, g = [[1.0, -2.0, 0.5], [0.25, 3.0, 1.0]], [0.1, 0.2, 0.3], [1.0, -1.0]
    numeric = dual.bipartite_to_ising(w, h, g, norm=3.0)
    symbolic = dual.bipartite_to_ising(sp.Matrix(w), sp.Matrix(h), g, norm=3)
    for name in ("couplings", "fields_a", "fields_b"):
        ours = np.array(getattr(symbolic, name).tolist(), float)
        np.testing.assert_allclose(
            ours.reshape(getattr(numeric, name).shape), getattr(numeric, name), rtol=1e-14
        )
    assert float(symbolic.constant) == pytest.approx(numeric.constant)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0],), "w must have 2 dimension"),
        (([[1.0, 2.0]], [1.0, 2.0, 3.0]), r"b_bias must be a number or have shape \(2,\)"),
        (([[1.0, 2.0]], 0, [1.0, 2.0]), r"a_bias must be a number or have shape \(1,\)"),
        (([[np.nan, 2.0]],), "w must be finite"),
        ((sp.Matrix([[1, 2]]), sp.Matrix([1, 2, 3])), "b_bias must be a number or have length 2"),
    ],
)
def test_bad_layers_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        dual.bipartite_to_ising(*arguments)
    with pytest.raises(InputError, match="norm must be > 0"):
        dual.bipartite_to_ising([[1.0]], norm=0.0)


def test_sizes_are_checked():
    for function in (dual.effective_hamiltonian, dual.free_energy, dual.hessian, dual.one_loop):
        with pytest.raises(InputError, match="n must be an integer >= 1"):
            function(0)
