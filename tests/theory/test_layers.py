"""The congruence of a layer, and two layers against one, by enumeration and exact sums."""

import itertools

import numpy as np
import pytest
import sympy as sp
from scipy.special import gammaln, logsumexp

from spinnet.errors import InputError
from spinnet.theory import dual, layers


def bit_energies(w, h, g, norm):
    """Return the {0,1} energies of all states, in the order of itertools.product."""
    out = []
    for bits in itertools.product((0, 1), repeat=sum(w.shape)):
        a, b = np.array(bits[: w.shape[0]]), np.array(bits[w.shape[0] :])
        out.append(-a @ w @ b / norm - h @ b - g @ a)
    return np.array(out)


def padded_energies(matrix, norm, level):
    """Return -(1, a) W (1, b)/norm for all states of units of a `level`."""
    rows, columns = matrix.shape
    out = []
    for units in itertools.product(level, repeat=rows + columns - 2):
        a, b = np.array([1, *units[: rows - 1]]), np.array([1, *units[rows - 1 :]])
        out.append(-a @ matrix @ b / norm)
    return np.array(out)


def numbers(matrix):
    return np.array(matrix.tolist(), dtype=float)


@pytest.mark.parametrize(("shape", "norm"), [((5, 4), 1), ((1, 3), 6), ((3, 1), sp.Rational(1, 2))])
def test_congruence_keeps_every_energy(shape, norm):
    stream = np.random.default_rng(8)
    w, h, g = (stream.integers(-9, 9, size=k) for k in (shape, shape[1], shape[0]))
    matrix = layers.padded(sp.Matrix(w), sp.Matrix(h), sp.Matrix(g), norm=norm)
    exact = bit_energies(w, h, g, float(norm))
    scale = np.abs(exact).max()
    np.testing.assert_allclose(
        padded_energies(numbers(matrix), float(norm), (0, 1)), exact, atol=1e-14 * scale
    )
    spins = numbers(layers.congruent(matrix))
    # rounding only: each energy is a sum of some thirty terms
    np.testing.assert_allclose(
        padded_energies(spins, float(norm), (-1, 1)), exact, atol=1e-13 * scale
    )
    form = dual.bipartite_to_ising(w, h, g, norm=float(norm))
    np.testing.assert_allclose(spins[1:, 1:] / float(norm), form.couplings, rtol=1e-14)
    assert spins[0, 0] / float(norm) == pytest.approx(-form.constant)


def test_wrong_rows_and_signs_change_energies():
    stream = np.random.default_rng(9)
    w, h, g = (stream.integers(1, 9, size=k) for k in ((3, 3), 3, 3))
    exact = bit_energies(w, h, g, 1.0)

    def gap(matrix):
        spins = numbers(layers.congruent(sp.Matrix(matrix)))
        return np.abs(padded_energies(spins, 1.0, (-1, 1)) - exact).max()

    right = np.array(layers.padded(*map(sp.Matrix, (w, h, g))).tolist(), dtype=object)
    assert gap(right) < 1e-12
    swapped, negative, corner = right.copy(), right.copy(), right.copy()
    swapped[0, 1:], swapped[1:, 0] = right[1:, 0], right[0, 1:]
    negative[0, 1:] *= -1
    corner[0, 0] = int(h[0])
    for wrong in (swapped, negative, corner):
        assert gap(wrong) >= 0.5


def test_one_loop_ratio_of_uniform_weights():
    def exact(n, K):
        up = np.arange(n + 1)
        M, count = 2.0 * up - n, gammaln(n + 1) - gammaln(up + 1) - gammaln(n - up + 1)
        two = logsumexp(count[:, None] + count + K * np.outer(M, M) / (2 * n))
        return two - 2 * logsumexp(count + K * M**2 / (4 * n))

    for K in (0.5, 1.0, 1.5):
        loop = float(layers.log_ratio_at_one_loop([sp.Rational(K) / 2]))
        errors = [exact(n, K) - loop for n in (400, 800)]
        assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)  # O(1/N) is left out
    assert exact(800, 1.0) == pytest.approx(-0.548753, abs=5e-7)
    assert float(layers.log_ratio_at_one_loop([sp.Rational(1, 2)])) == pytest.approx(
        -0.549306, abs=5e-7
    )


def test_explicit_sums_agree_with_enumeration_and_with_each_other():
    stream = np.random.default_rng(4)
    w = stream.integers(-5, 5, size=(3, 3))
    signs = np.array(list(itertools.product((1, -1), repeat=3)))
    two = np.exp(0.3 * (signs @ w @ signs.T) / 6).sum()
    one = np.exp(0.3 * np.einsum("si,ij,sj->s", signs, w, signs) / 6).sum()
    at = {layers.beta: sp.Rational(3, 10)}
    assert float(layers.two_layers(sp.Matrix(w)).subs(at)) == pytest.approx(two)
    assert float(layers.one_layer(sp.Matrix(w)).subs(at)) == pytest.approx(one)
    K = sp.Symbol("K", positive=True)
    ones = sp.ones(3, 3) * K / layers.beta
    assert sp.simplify(layers.two_layers(ones) - layers.uniform_two_layers(3, K)) == 0
    assert sp.simplify(layers.one_layer(ones) - layers.uniform_one_layer(3, K)) == 0


def test_the_uniform_network_is_critical_where_stated():
    root, critical = layers.uniform_critical_point()
    (x,) = root.free_symbols
    place = sp.nsolve(root, x, 0.5, prec=30)
    t_c = float(critical.subs(x, place))
    assert t_c == pytest.approx(0.08518488329, abs=5e-12)
    # exact sums: the Binder cumulant of (A + B)/N - 1 falls to 0.2705 as N^(-1/2) there
    found = []
    for n in (100, 400):
        A = np.arange(n + 1.0)
        count = gammaln(n + 1) - gammaln(A + 1) - gammaln(n - A + 1)
        energy = -np.outer(A, A) / (2 * n) + A[None] / 2
        logs = count[:, None] + count - energy / t_c
        p = np.exp(logs - logs.max())
        p /= p.sum()
        psi = (A[:, None] + A) / n - 1
        found.append(1 - (p * psi**4).sum() / (3 * (p * psi**2).sum() ** 2))
    np.testing.assert_allclose(found, [0.29417, 0.28283], atol=5e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: layers.padded(sp.ones(2, 3), sp.ones(2, 1), sp.ones(3, 1)), "columns of 3 and 2"),
        (lambda: layers.one_layer(sp.ones(2, 3)), "w must be square"),
        (lambda: layers.two_layers(sp.ones(2, 3)), "w must be square"),
        (lambda: layers.lift(0), "n must be an integer >= 1"),
        (lambda: list(layers.states(40)), "n must be"),
        (lambda: layers.uniform_one_layer(0, sp.S(1)), "n must be an integer >= 1"),
    ],
    ids=["columns", "one", "two", "lift", "states", "uniform"],
)
def test_bad_layers_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
