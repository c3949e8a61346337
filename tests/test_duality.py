"""The numerical solvers against the symbolic statements: one formula, two wings.

The mean field of a collapsed dual with its diagonal kept is the saddle point that
``spinnet.theory.dual`` states; its free energies and response must be the compiled expressions.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy

import spinnet as sn
from spinnet.spins.meanfield import Solution
from spinnet.theory import curie_weiss, dual

N = 4
BETA = 0.6
WEIGHTS = np.cos(np.add.outer(2.0 * np.arange(N), 3.0 * np.arange(N)) + 1.0) + 0.8 * np.eye(N)
FIELDS = 0.3 * np.sin(np.arange(N) + 0.5)


@pytest.fixture(scope="module")
def solution() -> Solution:
    assert not np.allclose(WEIGHTS, WEIGHTS.T)
    model = sn.NetworkDual(WEIGHTS, FIELDS, kind="collapsed")
    return sn.solve(model, BETA, method=sn.NaiveMeanField(diagonal=True))


def test_the_solver_sits_on_the_symbolic_saddle_point(solution: Solution) -> None:
    free_energy = dual.free_energy(N).compile()
    v = solution.magnetizations
    gradient = free_energy.gradient(v, beta=BETA, W=WEIGHTS, h=FIELDS)
    assert np.abs(gradient).max() < 1e-12
    value = free_energy.value(v, beta=BETA, W=WEIGHTS, h=FIELDS)
    assert solution.free_energy == pytest.approx(float(value), rel=1e-12)


def test_the_one_loop_free_energy_is_the_symbolic_one(solution: Solution) -> None:
    one_loop = dual.one_loop(N).compile()
    value = one_loop.value(solution.magnetizations, beta=BETA, W=WEIGHTS, h=FIELDS)
    assert solution.free_energy_one_loop == pytest.approx(float(value), rel=1e-11)


def test_the_response_is_the_symbolic_one(solution: Solution) -> None:
    matrix = dual.linear_response(2)
    weights, fields = WEIGHTS[:2, :2], FIELDS[:2]
    model = sn.NetworkDual(weights, fields, kind="collapsed")
    small = sn.solve(model, BETA, method=sn.NaiveMeanField(diagonal=True))
    values = {
        **dict(zip(dual.weights(2), weights.ravel(), strict=True)),
        **dict(zip(dual.order(2), small.magnetizations, strict=True)),
        sympy.Symbol("beta", positive=True): BETA,
    }
    numeric = np.array(matrix.subs(values).evalf(30).tolist(), dtype=float)
    np.testing.assert_allclose(small.response, numeric, rtol=1e-9)


def test_without_the_diagonal_mean_field_is_nearer_to_enumeration() -> None:
    """The diagonal is a constant of the model, but a spurious self-field of mean field."""
    model = sn.NetworkDual(WEIGHTS, FIELDS, kind="collapsed")
    exact = sn.exact.enumerate(model, BETA).means
    errors = [
        np.abs(sn.solve(model, BETA, method=sn.NaiveMeanField(diagonal=d)).magnetizations - exact)
        for d in (False, True)
    ]
    assert errors[0].max() < errors[1].max()


def test_the_symbolic_map_of_a_layer_is_the_numeric_one() -> None:
    rng = np.random.default_rng(5)
    w, b, a = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=3)
    form = dual.bipartite_to_ising(w, b, a)
    twin = sn.Bipartite(w, a, b).to_spins()
    np.testing.assert_allclose(np.asarray(form.couplings, dtype=float), twin.weights, rtol=1e-14)
    np.testing.assert_allclose(np.ravel(form.fields_a).astype(float), twin.bias_a, rtol=1e-14)
    np.testing.assert_allclose(np.ravel(form.fields_b).astype(float), twin.bias_b, rtol=1e-14)
    assert float(form.constant) == pytest.approx(twin.constant, rel=1e-14)


def test_the_network_gates_are_the_clamped_dual() -> None:
    """T -> 0: sign of x = w^T a + bias; T softplus(x/T) is ReLU(x) within T ln 2."""
    rng = np.random.default_rng(6)
    w, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
    dual_system = sn.NetworkDual(w, bias)
    for bits in itertools.product([0, 1], repeat=5):
        a = np.array(bits)
        x = a @ w + bias
        spins = np.concatenate([2 * a - 1, np.ones(3)])
        fields = dual_system.local_fields(spins)[5:]
        # half the energy of switching b_j on: the gate is on where x > 0
        np.testing.assert_allclose(2 * fields, x, rtol=1e-12)
        for T in (1.0, 0.1):
            gap = T * np.logaddexp(0, x / T) - np.maximum(x, 0)
            assert np.all((gap >= -1e-15) & (gap <= T * np.log(2) + 1e-15))


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.7])
def test_curie_weiss_solved_symbolically_and_as_a_model_agree(beta: float) -> None:
    scalar = sn.solve(curie_weiss.free_energy(), beta=beta, J=1.0, h=0.1)
    best = int(np.nanargmin(scalar.free_energy))
    model = sn.solve(sn.CurieWeiss(50, h=0.1), beta, method=sn.NaiveMeanField(diagonal=True))
    assert float(scalar.order[best]) == pytest.approx(model.magnetization, abs=1e-12)
    assert float(scalar.free_energy[best]) == pytest.approx(model.free_energy, rel=1e-12)
