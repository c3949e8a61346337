"""Branches of scalar free energies against 60-digit roots, at easy and at hostile parameters."""

import itertools
import json

import matplotlib as mpl
import mpmath
import numpy as np
import pytest
import sympy as sp

from spinnet.errors import InputError
from spinnet.spins.branches import BranchStatus, solve_branches
from spinnet.theory import curie_weiss, dual
from spinnet.theory.algebra import FreeEnergy

mpl.use("Agg")
DENSITIES = [curie_weiss.free_energy(), curie_weiss.gibbs_free_energy()]
both = pytest.mark.parametrize("fe", DENSITIES, ids=["f", "g"])


def exact_roots(beta, h, J=1.0):
    """Return all roots of T artanh m - J m = h to 60 digits, from its monotone pieces.

    The arguments are taken as the doubles they are.
    """
    with mpmath.workdps(80):
        b, field, coupling = mpmath.mpf(beta), mpmath.mpf(h), mpmath.mpf(J)
        edge = 1 - mpmath.mpf(10) ** -70

        def excess(m):
            return mpmath.atanh(m) / b - coupling * m - field

        fold = mpmath.sqrt(1 - 1 / (b * coupling)) if b * coupling > 1 else mpmath.mpf(0)
        pieces = sorted({-edge, -fold, fold, edge}) if fold else [-edge, edge]
        roots = []
        for low, high in itertools.pairwise(pieces):
            left, right = mpmath.sign(excess(low)), mpmath.sign(excess(high))
            if left == right:
                # beyond `edge`: the root is +-1 in double precision
                continue
            for _ in range(300):
                middle = (low + high) / 2
                sign = mpmath.sign(excess(middle))
                low, high = (middle, high) if sign == left else (low, middle)
            roots.append(float((low + high) / 2))
        if fold and excess(edge) < 0:
            roots.append(1.0)
        if fold and excess(-edge) > 0:
            roots.insert(0, -1.0)
        return np.array(sorted(roots))


@both
@pytest.mark.parametrize("beta", [0.3, 0.99, 1.01, 1.5, 4.0, 40.0, 700.0, 1e4])
@pytest.mark.parametrize("h", [0.0, 1e-9, 0.1, -0.37, 0.9, 1.7])
def test_every_branch_is_found_to_1e_12(fe, beta, h):
    found = solve_branches(fe, beta=beta, J=1.0, h=h)
    expected = exact_roots(beta, h)
    order = found.order[np.isfinite(found.order)]
    assert order.size == expected.size
    np.testing.assert_allclose(order, expected, atol=1e-12, rtol=0)
    assert found.status[()] is BranchStatus.FOUND
    wells = {1: [True], 3: [True, False, True]}[order.size]
    np.testing.assert_array_equal(found.stable[: order.size], wells)


@both
@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-10])
def test_near_critical_roots_reach_1e_12(fe, gap):
    beta = 1 / (1 - gap)
    found = solve_branches(fe, beta=beta, J=1.0, h=0.0)
    accuracy = 1e-12
    if np.finfo(np.longdouble).eps > 1e-18:  # no extended precision on this platform
        accuracy = max(accuracy, float(found.error.max()))
    np.testing.assert_allclose(found.order, exact_roots(beta, 0.0), atol=accuracy, rtol=0)
    assert found.order[1] == 0.0
    assert found.order[0] == pytest.approx(-found.order[2], rel=1e-15)


@both
def test_zero_field_above_tc_gives_exactly_zero(fe):
    beta = np.array([1e-3, 0.2, 0.5, 0.999999999, 1.0])
    found = solve_branches(fe, beta=beta, J=1.0, h=0.0)
    assert found.order.shape == (1, 5)
    np.testing.assert_array_equal(found.order, 0.0)
    assert not np.signbit(found.order).any()
    assert found.stable.all()
    assert [s.name for s in found.status] == ["FOUND"] * 4 + ["MARGINAL"]
    assert np.isinf(found.error[0, -1])


@both
@pytest.mark.parametrize("beta", [1.05, 2.0, 10.0])
def test_branches_appear_and_vanish_at_the_coercive_field(fe, beta):
    spinodal = np.sqrt(1 - 1 / beta)
    coercive = spinodal - np.arctanh(spinodal) / beta
    h = coercive * np.array([1 - 1e-9, 1 + 1e-9])
    found = solve_branches(fe, beta=beta, J=1.0, h=np.concatenate([h, -h]))
    np.testing.assert_array_equal(found.n_branches, [3, 1, 3, 1])
    # the merging pair straddles the spinodal symmetrically, at sqrt of the distance
    np.testing.assert_allclose(found.order[:2, 0].mean(), -spinodal, atol=1e-7)
    expected = exact_roots(beta, h[0])
    np.testing.assert_allclose(found.order[:, 0], expected, atol=1e-10)
    at = solve_branches(fe, beta=beta, J=1.0, h=coercive)
    assert at.n_branches in (1, 2, 3)  # rounding of h decides; near or at the merged root
    if at.n_branches == 2:
        assert at.status[()] is BranchStatus.MARGINAL
        assert not at.stable[0]
        np.testing.assert_allclose(at.order[0], -spinodal, atol=1e-7)


@both
def test_random_points_next_to_the_spinodal_and_to_tc(fe):
    stream = np.random.default_rng(1)
    size = 4000
    beta = 1 + 10 ** stream.uniform(-4, 3, size)
    fold = np.sqrt(1 - 1 / beta.astype(np.longdouble))
    coercive = fold - np.arctanh(fold) / beta
    distance = stream.choice([-1, 1], size) * 10 ** stream.uniform(-15, -1, size)
    h = (stream.choice([-1, 1], size) * coercive * (1 + distance)).astype(float)
    found = solve_branches(fe, beta=beta, J=1.0, h=h)
    residual = np.abs(found.order - np.tanh(beta * (found.order + h)))
    # One ulp of m and of the field; `g` holds its roots in the field, whose slope is larger.
    assert np.nanmax(residual / np.maximum(1, beta * (1 - found.order**2))) < 1e-13
    expected = np.where(np.abs(h) < coercive, 3, 1)
    wrong = found.n_branches != expected
    # Only points within rounding of the spinodal may differ, and they say that they are.
    assert np.all(np.abs(distance[wrong]) < 1e-10)
    assert all(s is BranchStatus.MARGINAL for s in found.status[wrong])
    np.testing.assert_array_equal(found.n_branches[wrong], 2)


@both
def test_free_energy_and_equilibrium(fe):
    h = np.array([-0.05, 0.0, 0.05])
    found = solve_branches(fe, beta=2.0, J=1.0, h=h)
    m = found.order
    entropy = sum(-(1 + s * m) / 2 * np.log((1 + s * m) / 2) for s in (1, -1))
    np.testing.assert_allclose(found.free_energy, -(m**2) / 2 - h * m - entropy / 2, atol=1e-14)
    np.testing.assert_array_equal(found.equilibrium(), m[[0, 2, 2], [0, 1, 2]])
    slope = (found.free_energy.min(0)[2] - found.free_energy.min(0)[1]) / 0.05
    assert -slope == pytest.approx(m[2, 1:].mean(), abs=1e-3)  # m = -df/dh, trapezoid O(h^2)


def test_grid_broadcasts_and_params_are_recorded():
    found = solve_branches(
        DENSITIES[0], beta=np.linspace(0.5, 2, 4)[:, None], J=[1.0, 1.5, 2.0], h=0.0
    )
    assert found.order.shape == found.stable.shape == found.error.shape == (3, 4, 3)
    assert found.status.shape == (4, 3)
    assert found.params["beta"].shape == (4, 3)
    alone = solve_branches(DENSITIES[0], beta=1.5, J=1.5, h=0.0)
    np.testing.assert_array_equal(found.order[:, 2, 1], alone.order)


def test_grid_points_do_not_disturb_each_other_across_chunks():
    beta = np.linspace(0.5, 3, 20_011)
    found = solve_branches(DENSITIES[0], beta=beta, J=1.0, h=0.1)
    for k in (0, 19_999, 20_000, 20_010):
        one = solve_branches(DENSITIES[0], beta=beta[k], J=1.0, h=0.1)
        count = int(one.n_branches)
        np.testing.assert_array_equal(found.order[:count, k], one.order[:count])
    assert solve_branches(DENSITIES[0], beta=np.empty(0), J=1.0, h=0.0).order.shape[1:] == (0,)


def test_other_free_energies_with_many_branches():
    x = sp.Symbol("x", real=True)
    a = sp.Symbol("a", real=True)
    roots = [-1.6, -0.4, 0.1, 0.1000001, 1.2]
    slope = sp.prod([x - sp.Rational(str(r)) for r in roots])
    fe = FreeEnergy(sp.integrate(sp.expand(slope), x) + a * x, (x,), (a,), "quintic", (-2.0, 2.0))
    found = solve_branches(fe, a=0.0)
    np.testing.assert_allclose(found.order, roots, atol=1e-9)
    np.testing.assert_array_equal(found.stable, [True, False, True, False, True])
    empty = solve_branches(FreeEnergy(x + a * x**2, (x,), (a,), "tilted"), a=0.01)
    assert empty.status[()] is BranchStatus.NONE
    assert np.isnan(empty.equilibrium())
    assert empty.n_branches == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": -0.4, "J": 1.0, "h": 0.0}, r"beta must be > 0, got -0\.4"),
        ({"beta": np.nan, "J": 1.0, "h": 0.0}, "beta must be finite"),
        ({"beta": 1.0, "J": 0.0, "h": 0.0}, r"J must be > 0, got 0\.0"),
        ({"beta": 1.0, "J": 1.0}, "missing parameter 'h'"),
        ({"bta": 1.0, "J": 1.0, "h": 0.0}, "unknown parameter 'bta'; did you mean 'beta'"),
        ({"beta": [1.0, 2.0], "J": 1.0, "h": [0.0, 1.0, 2.0]}, "parameters must broadcast"),
        ({"beta": 1.0, "J": 1.0, "h": 0.0, "n_nodes": 2}, "n_nodes must be an integer >= 8"),
        ({"beta": "hot", "J": 1.0, "h": 0.0}, "beta must be real numbers, got"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        solve_branches(DENSITIES[0], **arguments)


def test_only_scalar_free_energies_are_taken():
    with pytest.raises(InputError, match=r"must be a spinnet\.theory FreeEnergy, got str"):
        solve_branches("m", beta=1.0)
    with pytest.raises(InputError, match="one order parameter"):
        solve_branches(dual.free_energy(2), beta=1.0)


def test_plot_labels_axes_and_dict_is_json():
    found = solve_branches(DENSITIES[0], beta=np.linspace(0.5, 2, 7), J=1.0, h=0.0)
    ax = found.plot()
    assert ax.get_xlabel().startswith("beta")
    assert "order parameter m" in ax.get_ylabel()
    assert found.plot(ax) is ax
    mpl.pyplot.close("all")
    data = json.loads(json.dumps(found.to_dict()))
    assert data["order"][1][0] is None
    assert data["status"][0] == "FOUND"
    assert "bracketed" in str(found.status[0])
    with pytest.raises(InputError, match="one-dimensional grid"):
        solve_branches(DENSITIES[0], beta=1.0, J=1.0, h=0.0).plot()


def test_a_hundred_thousand_points_take_seconds():
    found = solve_branches(
        DENSITIES[0],
        beta=np.linspace(0.2, 3, 400)[:, None],
        J=1.0,
        h=np.linspace(-0.5, 0.5, 250),
    )
    residual = found.order - np.tanh(found.params["beta"] * (found.order + found.params["h"]))
    assert np.nanmax(np.abs(residual)) < 4e-16
    beta, h = found.params["beta"], np.abs(found.params["h"])
    fold = np.sqrt(np.maximum(1 - 1 / beta, 0))
    coercive = fold - np.arctanh(fold) / beta
    np.testing.assert_array_equal(found.n_branches, np.where(h < coercive, 3, 1))
