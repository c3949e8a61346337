"""Phase diagrams: every point is that of MeanField, of 28-digit references, of the inverse map."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation import (
    AdditiveGaussian,
    Dropout,
    MeanField,
    MultiplicativeGaussian,
    get_activation,
)
from spinnet.propagation.activations import ACTIVATIONS, Activation
from spinnet.propagation.critical import critical_sigma_w, inverse_point
from spinnet.propagation.diagram import PhaseDiagram, chebyshev, grid, phase_diagram, tables
from spinnet.propagation.diagram.result import PHASES, QUANTITIES
from spinnet.propagation.diagram.rules import Rule

NOISES = (
    Dropout(0.9),
    Dropout(0.9, shared=True),
    MultiplicativeGaussian(0.3),
    AdditiveGaussian(0.2),
    AdditiveGaussian(0.2, shared=True),
)
GRIDS = {
    **dict.fromkeys(ACTIVATIONS, (np.linspace(0.4, 5, 24), np.linspace(0, 4, 21))),
    **dict.fromkeys(
        ("relu", "leaky_relu", "gelu", "silu", "selu", "softplus", "linear"),
        (np.linspace(0.4, 1.6, 24), np.linspace(0, 2, 21)),
    ),
    "sigmoid": (np.linspace(0.4, 25, 24), np.linspace(0, 4, 21)),
}
FAST = tuple(name for name in ACTIVATIONS if name != "selu")  # selu is averaged by quadrature


@pytest.fixture
def always_tables(monkeypatch):
    """Make tables for a few points too, where series along c alone would do."""
    monkeypatch.setattr(tables, "_FEW", 1)
    tables.tables_of.cache_clear()
    yield
    tables.tables_of.cache_clear()


def one_point(name, sigma_w, sigma_b, keep=1.0, **options):
    diagram = phase_diagram(name, sigma_w, sigma_b, keep, **options)
    assert diagram.q_star.shape == (1, 1)
    return {name: float(getattr(diagram, name)[0, 0]) for name in QUANTITIES}


def is_near(found, expected, relative, absolute=0.0):
    if np.isnan(expected) or np.isinf(expected):
        return np.array_equal(found, expected, equal_nan=True)
    return abs(found - expected) <= relative * abs(expected) + absolute


def agree(diagram, i, j, *, tolerance=1e-12):
    """Assert that a point is that of MeanField."""
    net = MeanField(
        diagram.activation,
        diagram.sigma_w[j],
        diagram.sigma_b[i],
        noise=diagram.noise,
        q0=diagram.q0,
    )
    where = (repr(net), i, j)
    for name in ("q_star", "chi_q", "chi_1", "c_star", "one_minus_c_star", "chi_c"):
        found, expected = getattr(diagram, name)[i, j], getattr(net, name)
        size = abs(expected) if name in ("q_star", "chi_1") and np.isfinite(expected) else 1.0
        # q* loses what the length map contracts too little: eps / (1 - chi_q)
        loss = 1.0 if np.isnan(net.chi_q) else max(1e-2 / max(abs(1 - net.chi_q), 1e-9), 1.0)
        assert is_near(found, expected, 0, tolerance * max(size, 1.0) * loss), (name, where)
    for name in ("xi_q", "xi_c", "xi_grad"):
        found, expected = getattr(diagram, name)[i, j], getattr(net, name)
        if abs(expected) <= 1e6:
            assert is_near(found, expected, 1e-8, 1e-12), (name, found, expected, where)
    assert diagram.phase[i, j] == net.phase, where


# ---------------------------------------------------------------------- against references
@pytest.mark.parametrize("section", ["points", "near_critical", "corner", "dropout"])
@pytest.mark.parametrize("by", ["tables", "series"])
def test_every_reference_is_met(references, section, by, monkeypatch):
    monkeypatch.setattr(tables, "_FEW", 1 if by == "tables" else 10**9)
    tables.tables_of.cache_clear()
    for record in references[section]:
        name = record["activation"]
        if name == "selu" and by == "tables":  # a second of quadrature for each panel
            continue
        sigma_w, sigma_b, keep = (float(record[k]) for k in ("sigma_w", "sigma_b", "keep"))
        found = one_point(name, sigma_w, sigma_b, keep)
        # the reference of xi_grad has -1/ln(chi_1), with dropout too
        expected = {k: float(record[k]) for k in QUANTITIES if keep == 1 or k != "xi_grad"}
        where = (name, sigma_w, sigma_b)
        for k in ("chi_q", "chi_1", "c_star", "one_minus_c_star", "chi_c"):
            assert is_near(found[k], expected[k], 1e-14, 1e-12), (k, where)
        # inputs rounded at the corner (sigma_w - 1 = 1e-6) allow 1e-10
        exact = 1e-12 if section != "corner" else 1e-9
        assert is_near(found["q_star"], expected["q_star"], exact), where
        # 1 - chi_1 is a difference of numbers near 1
        condition = 1e-15 / abs(1 - expected["chi_1"]) if section != "corner" else 0.0
        for k in ("one_minus_c_star", "xi_c", "one_minus_chi_c"):
            assert is_near(found[k], expected[k], 5 * exact + 2 * condition), (k, where)
        assert is_near(found["xi_q"], expected["xi_q"], 1e-9), where
        assert is_near(found["c_star"], expected["c_star"], 0, 5e-13), where


@pytest.mark.usefixtures("always_tables")
def test_the_corner_keeps_its_digits(references):
    # 1 - chi_c = 2/3 (sigma_w - 1)^2 = 7e-13: no difference from 1 has a digit of it
    record = next(r for r in references["corner"] if r["sigma_w"].startswith("1.000001"))
    found = one_point(record["activation"], float(record["sigma_w"]), 0.0)
    assert is_near(found["xi_c"], float(record["xi_c"]), 1e-11)


@pytest.mark.usefixtures("always_tables")
def test_each_of_several_lengths_is_reached_from_its_side(references):
    records = [r for r in references["bistable"] if float(r["sigma_b"]) > 0]
    low, middle, high = sorted(float(r["q_star"]) for r in records)
    sigma_w, sigma_b = float(records[0]["sigma_w"]), float(records[0]["sigma_b"])
    starts = {1e-3: low, middle * (1 - 1e-9): low, middle * (1 + 1e-9): high, 1e6: high}
    for q0, target in starts.items():
        found = one_point("gelu", sigma_w, sigma_b, q0=q0)
        assert is_near(found["q_star"], target, 2e-13 / 2e-3)  # over 1 - chi_q
        expected = next(r for r in records if float(r["q_star"]) == target)
        assert is_near(found["xi_c"], float(expected["xi_c"]), 1e-10)
    assert phase_diagram("gelu", sigma_w, sigma_b).multistable.all()


# ---------------------------------------------------------------------- against MeanField
@pytest.mark.parametrize("name", FAST)
def test_points_are_those_of_mean_field(name):
    sigma_w, sigma_b = GRIDS[name]
    diagram = phase_diagram(name, sigma_w, sigma_b)
    rng = np.random.default_rng(11)
    for i, j in zip(rng.integers(0, 21, 25), rng.integers(0, 24, 25), strict=True):
        agree(diagram, i, j)
    for j in rng.integers(0, 24, 5):
        agree(diagram, 0, j)


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "gelu", "relu", "sigmoid"])
def test_points_with_noise_are_those_of_mean_field(name, noise):
    sigma_w, sigma_b = GRIDS[name]
    diagram = phase_diagram(name, sigma_w, sigma_b, noise=noise)
    rng = np.random.default_rng(12)
    for i, j in zip(rng.integers(0, 21, 8), rng.integers(0, 24, 8), strict=True):
        agree(diagram, i, j)
    for j in rng.integers(0, 24, 3):
        agree(diagram, 0, j)


@pytest.mark.parametrize("noise", [Dropout(1.0), Dropout(0.9)], ids=str)
@pytest.mark.parametrize("name", FAST)
def test_points_at_the_left_and_lower_edge(name, noise):
    diagram = phase_diagram(name, [0.0, 1e-3, 0.1, 0.4], [0.0, 1e-3, 0.2], noise=noise)
    for i in range(3):
        for j in range(4):
            agree(diagram, i, j)


@pytest.mark.usefixtures("always_tables")
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "sin"])
@pytest.mark.parametrize("sigma_w", [1e-3, 20.0, 40.0])
def test_far_corners_are_those_of_mean_field(name, sigma_w):
    diagram = phase_diagram(name, [sigma_w], [0.0, 1e-3, 0.3, 4.0, 30.0])
    for i in range(5):
        agree(diagram, i, 0, tolerance=1e-12 if sigma_w < 30 else 2e-11)


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "hard_tanh"])
def test_next_to_the_critical_line(name):
    for sigma_b in (0.05, 0.3, 1.0, 2.0):
        line = critical_sigma_w(name, sigma_b)
        near = line * (1 + np.array([-1e-3, -1e-6, 1e-6, 1e-3]))
        diagram = phase_diagram(name, near, sigma_b)
        assert diagram.phase[0].tolist() == ["ordered"] * 2 + ["chaotic"] * 2
        for j in range(4):
            agree(diagram, 0, j)


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_multistable_points_are_those_with_two_attractors(name):
    diagram = phase_diagram(name, np.linspace(1.3, 1.6, 13), np.linspace(0, 0.7, 8))
    assert diagram.multistable.any()
    for (i, j), several in np.ndenumerate(diagram.multistable):
        net = MeanField(name, diagram.sigma_w[j], diagram.sigma_b[i])
        points = net.fixed_points()
        stable = sum(point.stable for point in points)
        grows = net.length_map(1e11) > 1e11
        assert several == (stable + grows > 1), (i, j, points)


@pytest.mark.parametrize("side", [-1, 1])
def test_lengths_where_two_fixed_points_are_about_to_merge(side):
    # at this sigma_b GELU has a fold: the lowest fixed point ends at a sigma_w that is bisected
    sigma_b, low, high = 0.3, 1.40, 1.48
    for _ in range(60):
        middle = (low + high) / 2
        points = MeanField("gelu", middle, sigma_b).fixed_points()
        low, high = (middle, high) if points and points[0].q < 10 else (low, middle)
    sigma_w = low * (1 + side * 1e-7)
    diagram = phase_diagram("gelu", sigma_w, sigma_b, q0=0.1)
    if side > 0:
        assert diagram.q_star[0, 0] == np.inf
        return
    net = MeanField("gelu", sigma_w, sigma_b, q0=0.1)
    # q* moves as the square root of the distance: rounding of 1e-16 by 1e-16 / (1 - chi_q)
    assert 0 < 1 - net.chi_q < 1e-2
    assert is_near(diagram.q_star[0, 0], net.q_star, 1e-11)
    shared = Dropout(0.8, shared=True)  # the same network with other words
    same = phase_diagram("gelu", sigma_w * np.sqrt(0.8), sigma_b, noise=shared, q0=0.1)
    assert is_near(same.q_star[0, 0], net.q_star, 1e-11)


# ---------------------------------------------------------------------- against the inverse map
@pytest.mark.usefixtures("always_tables")
@pytest.mark.parametrize("name", FAST)
def test_the_inverse_map_is_inverted(name):
    if name in ("relu", "leaky_relu", "linear"):
        pytest.skip("their correlation map does not depend on q")
    rng = np.random.default_rng(13)
    done = 0
    low = {"gelu": 0.6, "silu": 1.2}.get(name, -2)  # at smaller q they are unstable
    for q, epsilon in zip(
        10 ** rng.uniform(low, 2.5, 60), 10 ** rng.uniform(-4, 0, 60), strict=True
    ):
        try:
            w, b = inverse_point(name, q, one_minus_c=epsilon)
        except InputError:  # it would need sigma_b^2 < 0
            continue
        found = one_point(name, float(w), float(b), q0=q)
        if abs(1 - found["chi_q"]) < 1e-2 or not is_near(found["q_star"], q, 1e-3):
            continue  # q is unstable, and its neighbour was found
        done += 1
        assert is_near(found["q_star"], q, 1e-13 / abs(1 - found["chi_q"]))
        assert is_near(found["one_minus_c_star"], epsilon, 4e-13 / found["one_minus_chi_c"])
    assert done >= (0 if name == "softplus" else 5)


# ---------------------------------------------------------------------- tables
@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("k", [-3, -1, 0, 2])
def test_tables_are_the_averages_they_stand_for(name, k):
    kernel = get_activation(name).kernel
    made = tables.Tables(get_activation(name))
    rng = np.random.default_rng(14)
    log_q = tables.WIDTH * (k + rng.random(40))
    q, epsilon = np.exp(log_q), rng.random(40) ** rng.integers(1, 4, 40)
    line = made.line_values(log_q)
    np.testing.assert_allclose(q * line.ratio, kernel.second_moment(q), rtol=3e-14)
    np.testing.assert_allclose(line.slope, kernel.slope_moment(q), rtol=3e-14)
    scale = kernel.slope_moment(q)
    assert np.all(np.abs(line.growth - kernel.second_moment_slope(q)) <= 3e-14 * scale)
    series = made.pairs(k, log_q, log_q / tables.WIDTH - k)
    gap, nu = series.values(np.log(epsilon), series.coefficients)
    deficit = q * epsilon * (line.slope - gap)
    assert np.all(np.abs(deficit - kernel.deficit(q, epsilon)) <= 1e-13 * q * epsilon * scale)
    remainder = kernel.remainder(q, epsilon)
    clear = remainder > 1e-13 * q * epsilon * scale
    if name != "linear":
        relative = nu * gap * q * epsilon / np.where(clear, remainder, 1.0) - 1
        assert np.all(np.abs(relative[clear]) <= 1e-10)
    if name != "linear" and (name, k) != ("hard_tanh", -3):  # where Q is 0, or nearly
        assert series.error < 1e-10


def test_chebyshev_series_are_exact_for_polynomials():
    rng = np.random.default_rng(15)
    polynomial = np.polynomial.Polynomial(rng.normal(size=8))
    t = rng.random(50)
    nodes = chebyshev.nodes(11)
    series = chebyshev.coefficients(polynomial(nodes))
    np.testing.assert_allclose(series[8:], 0, atol=1e-14)
    np.testing.assert_allclose(series @ chebyshev.basis(t, 11), polynomial(t), rtol=1e-13)
    slope = chebyshev.derivative(series) @ chebyshev.basis(t, 11)
    np.testing.assert_allclose(slope, polynomial.deriv()(t), rtol=1e-12, atol=1e-12)
    lagrange = chebyshev.interpolation(np.append(t, nodes[3]), 11)
    np.testing.assert_allclose(lagrange @ polynomial(nodes), polynomial(np.append(t, nodes[3])))
    many = np.repeat(series[:, None, None], 50, axis=2)
    np.testing.assert_allclose(chebyshev.clenshaw(many, t)[0], polynomial(t), rtol=1e-13)
    assert chebyshev.significant(series, 1e-13) == 8


@pytest.mark.parametrize(("power", "fall"), [(2, 1), (2, 3), (1, 1), (1, 3)])
@pytest.mark.parametrize("reach", [0.1, 3.0, 100.0])
def test_integrals_over_the_correlation_are_exact(power, fall, reach):
    rule = Rule(reach, 60, power)
    r, square = np.sqrt(rule.epsilon), reach**2
    if power == 2:  # q M = (1 + square e)^(-3/2), integrated by hand; u = sqrt(1 + square e)
        u = np.sqrt(1 + square * rule.epsilon)
        bend, size = u**-3, rule.epsilon
        gap = 2 * rule.epsilon / (u + 1) ** 2
        moment = 2 * rule.epsilon / (u * (u + 1) ** 2)
    else:  # q M = e^(-1/2)
        bend, size, gap, moment = np.ones_like(r), r, 4 / 3 * r, 2 / 3 * r
    found = rule.integrate(bend[None], fall)
    np.testing.assert_allclose(found[0][0] * size, gap, rtol=3e-12)
    np.testing.assert_allclose(found[1][0] * size, moment, rtol=3e-12)


# ---------------------------------------------------------------------- the whole grid
def test_a_large_grid_has_no_nan():
    diagram = phase_diagram("tanh", np.linspace(0.5, 5, 400), np.linspace(0, 4, 400))
    for name in QUANTITIES:
        assert not np.isnan(getattr(diagram, name)).any(), name
    assert set(np.unique(diagram.phase)) <= {"ordered", "chaotic"}
    assert np.all((diagram.c_star >= 0) & (diagram.c_star <= 1))
    row = diagram.sigma_w <= 1
    assert np.all(diagram.q_star[0, row] == 0)
    assert np.all(diagram.one_minus_c_star[0, ~row] == 1)


def test_lengths_grow_with_weights_and_biases():
    diagram = phase_diagram("tanh", np.linspace(0.1, 4, 60), np.linspace(0, 3, 50))
    assert np.all(np.diff(diagram.q_star, axis=0)[:, diagram.sigma_w > 1] > 0)
    assert np.all(np.diff(diagram.q_star, axis=1)[1:] > 0)
    assert np.all(np.diff(diagram.c_star, axis=0) >= 0)  # biases make inputs alike


def test_grids_come_in_any_order():
    sigma_w, sigma_b = np.linspace(0.5, 3, 11), np.linspace(0, 1, 7)
    rng = np.random.default_rng(16)
    w, b = rng.permutation(11), rng.permutation(7)
    straight = phase_diagram("tanh", sigma_w, sigma_b)
    mixed = phase_diagram("tanh", sigma_w[w], sigma_b[b])
    for name in QUANTITIES:
        np.testing.assert_allclose(
            getattr(mixed, name), getattr(straight, name)[np.ix_(b, w)], rtol=1e-10, atol=1e-14
        )


def test_blocks_do_not_show(monkeypatch):
    axes = np.linspace(0.5, 1.5, 20), np.linspace(0, 1, 15)
    whole = phase_diagram("gelu", *axes)
    monkeypatch.setattr(tables, "_BLOCK", 7)
    for size in (40, 9):  # two rows; half a row
        monkeypatch.setattr(grid, "_BLOCK", size)
        parts = phase_diagram("gelu", *axes)
        for name in (*QUANTITIES, "multistable"):
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-11)


def test_numbers_stand_for_grids_of_one():
    diagram = phase_diagram("tanh", 2.5, 0.3)
    assert diagram.c_star.shape == (1, 1)
    assert diagram.c_star[0, 0] == pytest.approx(MeanField("tanh", 2.5, 0.3).c_star, abs=1e-13)


def test_errors_are_not_underestimated(references):
    checked = 0
    for record in references["points"]:
        if record["activation"] == "selu":
            continue
        diagram = phase_diagram(
            record["activation"], float(record["sigma_w"]), float(record["sigma_b"])
        )
        for name in ("q_star", "c_star", "xi_c"):
            value, true = getattr(diagram, name)[0, 0], float(record[name])
            scale = true if name == "xi_c" else 1.0
            estimate = getattr(diagram, f"{name}_error")[0, 0]
            assert abs(value - true) <= abs(scale) * (5 * estimate + 1e-15), (name, record)
            checked += estimate > 0
            assert estimate < 1e-9 * max(1.0, abs(true))
    assert checked > 100
    tiny = phase_diagram("gelu", 0.5, 1e-4)  # F/q is known there, though its slope is not
    assert tiny.q_star_error[0, 0] < 1e-14 * tiny.q_star[0, 0]


# ---------------------------------------------------------------------- where there is nothing
def test_only_points_without_fixed_point_are_nan():
    diagram = phase_diagram("relu", [1.0, np.sqrt(2.0), 1.5], [0.0, 0.5])
    assert diagram.phase.tolist() == [
        ["ordered", "marginal", "unbounded"],
        ["ordered", "unbounded", "unbounded"],
    ]
    assert diagram.q_star[0, 0] == 0
    assert np.isnan(diagram.q_star[0, 1])
    assert np.all(diagram.q_star[:, 2] == np.inf)
    assert diagram.q_star[1, 0] == pytest.approx(0.25 / 0.5)
    np.testing.assert_allclose(diagram.chi_1, np.tile([0.5, 1.0, 1.125], (2, 1)))
    assert np.isnan(diagram.c_star[diagram.phase == "unbounded"]).all()
    assert diagram.xi_q[0, 1] == diagram.xi_c[0, 1] == np.inf
    assert diagram.c_star[0, 1] == 1
    assert phase_diagram("relu", np.sqrt(2.0), 0.0, q0=3.0).q_star[0, 0] == 3.0
    # sigma_w^2 is 2 (1 + 2e-16) in doubles, and E[phi^2] > q / 2
    assert phase_diagram("softplus", np.sqrt(2.0), 1e-3).q_star[0, 0] == np.inf
    grown = phase_diagram("gelu", 1.6, 1.0)
    assert grown.q_star[0, 0] == np.inf
    for name in ("chi_q", "chi_1", "c_star", "chi_c", "xi_c", "q_star_error"):
        assert np.isnan(getattr(grown, name)[0, 0]), name


def test_silent_networks():
    diagram = phase_diagram("tanh", [0.0], [0.0, 0.5])
    assert diagram.q_star[:, 0].tolist() == [0.0, 0.25]
    assert diagram.c_star[:, 0].tolist() == [1.0, 1.0]
    assert diagram.chi_c[:, 0].tolist() == [0.0, 0.0]
    assert diagram.xi_c[:, 0].tolist() == [0.0, 0.0]
    assert phase_diagram("gelu", 1.4, 1.0, q0=0.0).q_star[0, 0] > 0
    assert phase_diagram("gelu", 1.4, 0.0, q0=0.0).q_star[0, 0] == 0


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu", "selu"])
def test_tiny_biases_give_tiny_lengths(name):
    # q (1 - sigma_w^2 E[phi'^2]) = sigma_b^2 next to q = 0
    slope = float(get_activation(name).kernel.slope_moment(0.0))
    for sigma_b in (1e-6, 1e-12, 1e-30, 1e-100):
        diagram = phase_diagram(name, 0.5, sigma_b)
        expected = sigma_b**2 / (1 - 0.25 * slope)
        # the next term is of relative order sqrt(q) for selu, q for the others
        assert is_near(diagram.q_star[0, 0], expected, 1e-13 + 3 * sigma_b)


def test_lengths_at_the_corner_go_like_a_root():
    # V(q) = q - 2 q^2 + sigma_b^2 at sigma_w = 1
    for sigma_b in (1e-8, 1e-16, 1e-18, 1e-30):
        assert is_near(
            one_point("tanh", 1.0, sigma_b)["q_star"], sigma_b / np.sqrt(2), 5 * sigma_b + 1e-13
        )


def test_lengths_where_hard_tanh_hardly_bends():
    # q - F(q) = 1e-24 at q = 0.01: V is the diagonal to rounding
    found = one_point("hard_tanh", 1.0, 1e-12)["q_star"]
    kernel = get_activation("hard_tanh").kernel
    assert is_near(float(kernel.length_deficit(found)), 1e-24, 1e-3)


def test_an_odd_activation_without_biases_is_chaotic_wherever_signals_live_on():
    diagram = phase_diagram("tanh", [1 - 1e-8, 1.0, 1 + 1e-8], 0.0)
    assert diagram.phase[0].tolist() == ["ordered", "critical", "chaotic"]
    assert diagram.c_star[0].tolist() == [1.0, 1.0, 0.0]
    np.testing.assert_allclose(diagram.q_star[0], [0, 0, 1e-8], rtol=1e-7)
    for name in ("sin", "hard_tanh"):
        assert phase_diagram(name, 1.0, 0.0).q_star[0, 0] == 0


# ---------------------------------------------------------------------- activations of one's own
def own_tanh(*, second=None):
    return Activation(
        np.tanh, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2, second, name="own"
    )


def test_an_activation_of_ones_own_is_averaged_by_quadrature():
    own = phase_diagram(own_tanh(), [1.5, 2.5], [0.0, 0.3])
    known = phase_diagram("tanh", [1.5, 2.5], [0.0, 0.3])
    for name in ("q_star", "chi_q", "chi_1", "c_star", "chi_c"):
        np.testing.assert_allclose(getattr(own, name), getattr(known, name), rtol=0, atol=3e-12)
    np.testing.assert_allclose(own.xi_c, known.xi_c, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("always_tables")
@pytest.mark.parametrize("with_second", [False, True])
def test_tables_of_an_activation_of_ones_own(with_second):
    def second(x):
        return -2 * np.tanh(x) / np.cosh(np.clip(x, -300, 300)) ** 2

    own = own_tanh(second=second if with_second else None)
    axes = np.linspace(1.3, 2.5, 9), np.linspace(0.3, 0.6, 8)
    found, known = phase_diagram(own, *axes), phase_diagram("tanh", *axes)
    np.testing.assert_allclose(found.c_star, known.c_star, rtol=0, atol=2e-12)
    np.testing.assert_allclose(found.xi_c, known.xi_c, rtol=1e-8)


@pytest.mark.slow
def test_selu_points_are_those_of_mean_field():
    diagram = phase_diagram("selu", np.linspace(0.5, 1.2, 12), np.linspace(0, 1, 8))
    for i, j in ((0, 3), (0, 8), (3, 2), (4, 9), (7, 6)):
        agree(diagram, i, j, tolerance=2e-12)


# ---------------------------------------------------------------------- what it returns
def test_the_critical_line_is_where_chi_1_is_1():
    diagram = phase_diagram("tanh", np.linspace(0.5, 3, 10), np.linspace(0.1, 1.5, 10))
    line = diagram.critical_line
    assert (line.sigma_b.min(), line.sigma_b.max()) == (0.1, 1.5)
    for w, b in zip(line.sigma_w[::40], line.sigma_b[::40], strict=True):
        assert one_point("tanh", w, b)["chi_1"] == pytest.approx(1, abs=1e-12)
    assert phase_diagram("tanh", 1.0, 0.3, 0.9).critical_line is None
    assert phase_diagram("softplus", 1.0, 0.3).critical_line.sigma_w.size == 0
    shared = phase_diagram("tanh", 1.0, 0.3, noise=Dropout(0.9, shared=True))
    w = float(shared.critical_line.sigma_w[0])
    found = one_point("tanh", w, 0.3, noise=shared.noise)
    assert found["chi_1"] == pytest.approx(1, abs=1e-12)


def test_files_hold_what_the_diagram_holds(tmp_path):
    diagram = phase_diagram("gelu", np.linspace(1.2, 1.6, 9), np.linspace(0, 0.5, 4))
    assert diagram.save(tmp_path / "run.v2").name == "run.v2.json"
    with np.load(tmp_path / "run.v2.npz") as arrays:
        for name in (*QUANTITIES, "sigma_w", "sigma_b", "multistable", "phase"):
            np.testing.assert_array_equal(arrays[name], getattr(diagram, name))
        np.testing.assert_array_equal(arrays["critical_sigma_w"], diagram.critical_line.sigma_w)
    text = json.loads((tmp_path / "run.v2.json").read_text())
    assert text["activation"] == "gelu"
    assert text["shape"] == [4, 9]
    assert sum(text["phases"].values()) == pytest.approx(1)
    least, w, b = text["extremes"]["chi_1"]["least"]
    assert least == diagram.chi_1[0, 0]
    assert (w, b) == (1.2, 0.0)
    again = json.loads(json.dumps(diagram.to_dict()))
    assert np.array_equal(again["c_star"], diagram.c_star, equal_nan=True)
    assert again["phase"][0][0] == "ordered"


def test_the_summary_names_phases_line_and_extremes():
    text = phase_diagram("tanh", np.linspace(0.5, 3, 11), np.linspace(0, 1, 5)).summary()
    assert "ordered 40.0%" in text
    assert "1.85558910" in text  # the line at sigma_b = 1
    assert "xi_c" in text
    assert "nan" not in text
    assert "q0 decides" in phase_diagram("gelu", np.linspace(1.3, 1.5, 9), 0.3).summary()
    assert "softplus" in repr(phase_diagram("softplus", 1.0, 0.3))
    assert "no critical line" in phase_diagram("softplus", 1.0, 0.3).summary()
    assert "no critical line" in phase_diagram("relu", 1.0, 0.3, 0.9).summary()


class TestFigures:
    @pytest.fixture(autouse=True)
    def no_display(self, monkeypatch):
        import matplotlib

        monkeypatch.setenv("MPLBACKEND", "Agg")
        matplotlib.use("Agg")
        yield
        import matplotlib.pyplot as plt

        plt.close("all")

    @pytest.mark.parametrize("quantity", [*QUANTITIES, "phase"])
    @pytest.mark.parametrize("name", ["gelu", "relu", "tanh"])
    def test_every_quantity_is_drawn(self, quantity, name):
        diagram = phase_diagram(name, np.linspace(0.8, 1.6, 9), np.linspace(0, 0.5, 4))
        mesh = diagram.plot(quantity=quantity)
        mesh.figure.canvas.draw()
        assert mesh.axes.get_xlabel() == r"$\sigma_w$"
        assert mesh.axes.get_ylabel() == r"$\sigma_b$"
        drawn = np.ma.getmaskarray(mesh.get_array()).reshape(4, 9)
        if quantity == "phase":
            assert not drawn.any()
        elif quantity == "q_star":
            np.testing.assert_array_equal(drawn, ~np.isfinite(diagram.q_star))
        else:
            np.testing.assert_array_equal(drawn, np.isnan(getattr(diagram, quantity)))

    def test_values_stand_where_their_parameters_are(self):
        diagram = phase_diagram("tanh", [3.0, 1.0, 2.0], [1.0, 0.0])
        mesh = diagram.plot(quantity="chi_1")
        values = np.asarray(mesh.get_array()).reshape(2, 3)
        np.testing.assert_array_equal(values, diagram.chi_1[np.ix_([1, 0], [1, 2, 0])])
        assert mesh.get_coordinates()[0, :, 0].tolist() == [0.5, 1.5, 2.5, 3.5]

    def test_zeros_are_drawn_where_colours_are_logarithmic(self):
        diagram = phase_diagram("tanh", [0.0, 1.0], np.linspace(0, 1, 5))
        for quantity in ("xi_c", "xi_q"):
            mesh = diagram.plot(quantity=quantity)
            assert (getattr(diagram, quantity) == 0).any()
            assert not np.ma.getmaskarray(mesh.norm(mesh.get_array())).any()

    def test_one_figure_shows_four_quantities(self):
        figure = phase_diagram("gelu", np.linspace(0.8, 1.6, 9), np.linspace(0, 0.5, 4)).figure()
        titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
        assert len(titles) == 4
        assert "grey: no fixed point" in figure.get_suptitle()
        assert "dashed" in figure.get_suptitle()
        phase_diagram("linear", 0.5, 0.5, 0.9).figure().canvas.draw()

    def test_an_unknown_quantity_is_refused(self):
        with pytest.raises(InputError, match="did you mean 'q_star'"):
            phase_diagram("tanh", 1.0, 1.0).plot(quantity="qstar")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tahn", 1, 1), "did you mean 'tanh'"),
        (("tanh", [], 1), "sigma_w must hold at least one value"),
        (("tanh", 1, []), "sigma_b must hold at least one value"),
        (("tanh", [[1.0]], 1), r"sigma_w must be a number or one-dimensional, got shape \(1, 1\)"),
        (("tanh", [1, -1], 1), r"sigma_w must be >= 0, got -1.0 at index \(1,\)"),
        (("tanh", 1, np.nan), "sigma_b must be finite"),
        (("tanh", np.inf, 1), "sigma_w must be finite"),
        (("tanh", 2e6, 1), "sigma_w must be at most 1e\\+06, got 2e\\+06"),
        (("tanh", "a", 1), "sigma_w must be real numbers"),
        (("tanh", 1, 1, 0.0), "keep must be > 0"),
        (("tanh", 1, 1, 1.5), "keep must be a probability"),
        (("tanh", np.ones(10_000), np.ones(10_000)), "at most 5e\\+07 points"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        phase_diagram(*arguments)


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="q0 must be >= 0"):
        phase_diagram("tanh", 1, 1, q0=-1.0)
    with pytest.raises(InputError, match="q0 must be at most"):
        phase_diagram("tanh", 1, 1, q0=1e13)
    with pytest.raises(InputError, match="noise must be"):
        phase_diagram("tanh", 1, 1, noise=0.1)
    with pytest.raises(InputError, match="not both"):
        phase_diagram("tanh", 1, 1, 0.9, noise=Dropout(0.5))


def test_phases_have_names():
    assert isinstance(phase_diagram("erf", 1.0, 1.0), PhaseDiagram)
    assert set(PHASES) >= set(np.unique(phase_diagram("erf", [0.5, 3.0], [0.0, 1.0]).phase))
