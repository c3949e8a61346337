"""Hysteresis loops against the closed form of Curie-Weiss, and branches with their fields."""

import json
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, fsolve

import spinnet as sn
from spinnet.spins.meanfield import follow
from spinnet.spins.meanfield.hysteresis import hysteresis
from spinnet.spins.meanfield.instability import instability

SEED = 20170208
KEEP = sn.NaiveMeanField(diagonal=True, one_loop=False)


def coercive(T: float, J: float = 1.0) -> float:
    m = math.sqrt(1 - T / J)
    return J * m - T * math.atanh(m)


@pytest.mark.parametrize(("T", "J"), [(0.8, 1.0), (0.3, 1.0), (1.2, 2.0), (0.98, 1.0)])
def test_coercive_field_and_spinodal_of_curie_weiss(T, J):
    """m_sp = +-sqrt(1 - T/J) and J m_sp - T artanh(m_sp): found to 1e-8 and 1e-7."""
    h = coercive(T, J)
    m = math.sqrt(1 - T / J)
    loop = hysteresis(
        sn.CurieWeiss(100, J), beta=1 / T, fields=np.linspace(-3 * h, 2 * h, 26), method=KEEP
    )
    forward, back = loop.jumps
    for jump, sign, way in ((forward, 1, "forward"), (back, -1, "back")):
        assert jump.way == way
        assert jump.value == pytest.approx(sign * h, rel=1e-8)
        assert abs(jump.value - sign * h) <= jump.error <= 1e-8 * h
        assert jump.before == pytest.approx(-sign * m, abs=1e-7)
        end = brentq(lambda x: x - math.tanh((J * x + h) / T), m, 1)
        assert jump.after == pytest.approx(sign * end, abs=1e-6)
    np.testing.assert_array_equal(loop.back.values, loop.forward.values[::-1])
    inside = np.abs(loop.forward.values) < h
    assert np.all(loop.forward.order[inside] < 0)
    assert np.all(loop.back.order[inside[::-1]] > 0)


def test_the_end_of_a_branch_is_known_far_within_its_enclosure():
    """The square of the distance to instability is linear there: 1e-12 within 3e-10."""
    fields = np.linspace(-0.5, 0.5, 20)
    loop = hysteresis(sn.CurieWeiss(100), beta=1.25, fields=fields, method=KEEP)
    for jump, sign in zip(loop.jumps, (1, -1), strict=True):
        assert abs(jump.value - sign * coercive(0.8)) < 1e-12
        assert 1e-11 < jump.error < 2e-9


def test_area_of_the_loop_is_the_closed_integral():
    """-cycle m dh = 2 int_-hc^hc m_upper dh; 100 points and those at the jumps
    leave the trapezoid rule 2e-4."""
    T, J = 0.7, 1.0
    h = coercive(T)
    upper = quad(
        lambda b: brentq(lambda m: m - math.tanh((J * m + b) / T), math.sqrt(1 - T), 1 - 1e-15),
        -h, h, epsabs=1e-10,
    )[0]  # fmt: skip
    values = np.linspace(-0.4, 0.4, 100)
    for fields in (values, values[::-1]):
        loop = hysteresis(sn.CurieWeiss(10, J), beta=1 / T, fields=fields, method=KEEP)
        assert loop.area == pytest.approx(2 * upper, rel=3e-4)


def test_above_the_critical_temperature_there_is_no_loop():
    loop = hysteresis(sn.CurieWeiss(50), beta=0.9, fields=np.linspace(-1, 1, 21))
    assert loop.jumps == ()
    assert abs(loop.area) < 1e-15  # rounding
    assert "no jump" in loop.summary()


@pytest.mark.parametrize("h", [0.02, 0.15])
def test_heating_a_metastable_branch_ends_it_at_its_spinodal_temperature(h):
    T_sp = brentq(lambda T: coercive(T) - h, 0.05, 0.999)
    betas = 1 / np.linspace(0.25, 1.1, 18)
    loop = hysteresis(sn.CurieWeiss(60, h=h), betas=betas, start=-1.0, method=KEEP)
    (jump,) = loop.jumps
    assert jump.way == "forward"
    assert jump.value == pytest.approx(T_sp, rel=1e-9)
    assert loop.control == "temperature"
    assert loop.back.order[-1] > 0 > loop.forward.order[0]
    lowest = hysteresis(sn.CurieWeiss(60, h=h), betas=betas, method=KEEP)
    assert lowest.jumps == ()  # from the ground state nothing jumps
    assert lowest.forward.order[0] > 0


def test_cooling_through_the_critical_point_is_continuous():
    loop = hysteresis(sn.CurieWeiss(50), betas=1 / np.linspace(1.5, 0.4, 23), method=KEEP)
    assert loop.jumps == ()
    assert loop.forward.order[0] == 0
    m = loop.forward.order[-1]
    assert m == pytest.approx(math.tanh(m / 0.4), abs=1e-12)
    assert m > 0.9
    assert np.all(loop.forward.distance_to_instability > -1e-12)


def test_two_layers_of_zero_one_units_jump_about_their_symmetric_field():
    """H = -(w/2N) A B - h B maps A -> N - B, B -> N - A at h = -w/2: the loop is odd there."""
    n, w = 12, 1.0
    model = sn.Bipartite(np.full((n, n), w), 0.0, -w / 2, scale=1 / (2 * n))
    loop = hysteresis(model, beta=1 / 0.06, fields=np.linspace(-0.1, 0.1, 21))
    forward, back = loop.jumps
    assert forward.value == pytest.approx(-back.value, rel=1e-8)
    # <b> at one end is 1 - <a> at the other
    ends = [s.magnetizations for s in (loop.forward.solutions[0], loop.forward.solutions[-1])]
    np.testing.assert_allclose(ends[0][n:], 1 - ends[1][:n], atol=1e-10)
    sides = []
    for share in (1 - 1e-6, 1 + 1e-4):
        h = forward.value * share
        moved = sn.Bipartite(model.weights, h, h - w / 2, scale=model.scale)
        sides.append(follow(moved, 1 / 0.06, loop.forward.solutions[9]._spins))
    assert sides[0].magnetization < 0.5 < sides[1].magnetization
    assert sides[0].distance_to_instability < 0.01
    on_b = hysteresis(
        model,
        beta=1 / 0.06,
        fields=np.linspace(-0.1, 0.1, 21),
        direction=np.repeat([0.0, 1.0], n),
    )
    last = on_b.forward.solutions[-1].magnetizations
    assert on_b.forward.order[-1] == pytest.approx(last[n:].sum() / (2 * n), rel=1e-12)


def test_energy_of_a_loop_follows_its_field():
    """dF/dh = -order for 0/1 units in a given direction, the constant of the map included."""
    rng = np.random.default_rng(SEED)
    model = sn.Bipartite(rng.normal(size=(5, 4)), 0.1, -0.2)
    direction = rng.normal(size=9)
    step = 1e-4
    loop = hysteresis(model, beta=0.7, fields=[0.3 - step, 0.3, 0.3 + step], direction=direction)
    f = loop.forward.free_energy
    assert -(f[2] - f[0]) / (2 * step) == pytest.approx(loop.forward.order[1], abs=1e-8)
    shifted = sn.Bipartite(model.weights, 0.1 + 0.3 * direction[:5], -0.2 + 0.3 * direction[5:])
    s = sn.solve(shifted, 0.7)
    assert f[1] == pytest.approx(s.free_energy, abs=1e-12)
    np.testing.assert_allclose(loop.forward.magnetizations[1], s.magnetizations, atol=1e-11)


def test_avalanches_of_a_random_system_mirror_each_other():
    """J without fields: the way back is minus the way there, jump for jump."""
    rng = np.random.default_rng(SEED)
    upper = np.triu(rng.standard_normal((24, 24)), 1) / math.sqrt(24)
    model = sn.Ising(upper + upper.T + 2 / 24)
    loop = hysteresis(model, beta=3.0, fields=np.linspace(-2, 2, 31))
    there, back = loop.forward.jumps, loop.back.jumps
    assert len(there) == len(back) >= 2
    for one, other in zip(there, back, strict=True):
        assert one.value == pytest.approx(-other.value, abs=1e-8)
        assert one.after == pytest.approx(-other.after, abs=1e-6)
        assert one.before < one.after
    rough = hysteresis(model, beta=3.0, fields=np.linspace(-2, 2, 31), locate=False)
    for j in rough.forward.jumps:
        assert j.error == pytest.approx(4 / 60)
        assert min(abs(j.value - k.value) for k in there) <= j.error
    assert loop.area == pytest.approx(rough.area, abs=0.2)


def test_the_homogeneous_network_with_its_fields_is_critical_where_it_is_exactly():
    """T_c = (w/8)(1 - x^2), x = tanh(1/(1 + x)), for N = 20 as for N -> infinity."""
    x = brentq(lambda y: y - math.tanh(1 / (1 + y)), 0.1, 0.9)
    for n, w in ((20, 1.0), (3, 0.4)):
        for model in (
            sn.Bipartite(np.full((n, n), w), 0.0, -w / 2, scale=1 / (2 * n)),
            sn.NetworkDual(np.full((n, n), w), -w / 2, norm=2 * n),
        ):
            found = instability(model)
            assert found.kind == "bifurcation"
            assert found.temperature == pytest.approx(w * (1 - x**2) / 8, rel=1e-9)
    assert 1.0 * (1 - x**2) / 8 == pytest.approx(0.0851848833, abs=1e-10)
    for h in (-1.2, -0.6, -0.4, 0.0, 0.4):  # anywhere else there is a crossover only
        off = instability(sn.Bipartite(np.full((20, 20), 1.0), 0.0, h, scale=1 / 40))
        assert off.kind == "crossover"
        assert math.isnan(off.temperature)
        assert off.distance > 0.1


def test_without_fields_the_instability_is_the_top_eigenvalue():
    rng = np.random.default_rng(SEED)
    J = rng.standard_normal((20, 20))
    found = instability(sn.Ising(J))
    assert found.temperature == pytest.approx(1 / sn.critical_beta(sn.Ising(J)), rel=1e-10)
    assert found.beta == pytest.approx(sn.critical_beta(sn.Ising(J)), rel=1e-10)


def test_a_crossover_reports_its_smallest_distance():
    """CW in a field: D = 1 - K(1 - m^2) over T, minimised on a fine grid."""
    found = instability(sn.CurieWeiss(40, h=0.1), sn.NaiveMeanField(diagonal=True))
    T = np.linspace(1.2, 1.8, 3001)
    m = np.array([brentq(lambda y, t=t: y - math.tanh((y + 0.1) / t), 0, 1) for t in T])
    D = 1 - (1 - m**2) / T
    assert found.distance == pytest.approx(D.min(), abs=1e-7)
    assert found.nearest == pytest.approx(T[np.argmin(D)], abs=2e-3)
    assert "round it off" in found.note


@pytest.mark.parametrize("bias", [1e-4, 2e-4])
def test_where_a_branch_ends_on_cooling_two_routes_agree(bias):
    """Curie-Weiss in fields +-h0 beyond the tricritical h0 = 0.439, with a bias: the branch ends.

    Its fold is where m = mean tanh((m + h)/T) has a double root, found by scipy as a third route.
    """
    n, h = 30, np.tile([0.445 + bias, -0.445 + bias], 15)
    model = sn.Ising(np.full((n, n), 1 / n), h)
    found = instability(model, KEEP)
    assert found.kind == "end"

    def distance(m, T):
        return np.mean(np.tanh((m + h[:2]) / T)) - m

    def slope(m, T):
        return np.mean(1 - np.tanh((m + h[:2]) / T) ** 2) / T - 1

    m, T = fsolve(lambda x: (distance(*x), slope(*x)), (0.1, found.temperature), xtol=1e-13)
    assert found.temperature == pytest.approx(T, rel=1e-9)
    loop = hysteresis(model, betas=1 / (T * np.linspace(1.02, 0.98, 20)), method=KEEP)
    (jump,) = loop.forward.jumps
    assert jump.value == pytest.approx(T, rel=1e-8)
    assert jump.before == pytest.approx(m, abs=1e-6)
    assert loop.back.jumps == () or loop.back.jumps[0].value > T


def test_a_loop_is_plain_when_exported_and_draws_both_ways():
    import matplotlib as mpl

    mpl.use("Agg")
    loop = hysteresis(sn.CurieWeiss(30), beta=1.4, fields=np.linspace(-0.4, 0.4, 9))
    plain = json.loads(json.dumps(loop.to_dict(), allow_nan=False))
    assert plain["jumps"][0]["value"] == loop.jumps[0].value
    assert len(plain["forward"]["order"]) == 9
    assert plain["direction"] == [1.0] * 30
    ax = loop.plot()
    assert ax.get_xlabel() == "field h along the direction"
    assert ax.get_ylabel() == "magnetisation per spin along the direction"
    assert ax.get_title() == "temperature held at T = 0.7143"
    assert len(ax.get_lines()) == 2
    assert ax.get_lines()[0].get_ydata()[0] == loop.forward.order[0]
    mpl.pyplot.close(ax.figure)
    assert f"{loop.area:.6g}" in loop.summary()
    assert "forward: jump at field" in loop.summary()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of fields and betas, got none"),
        ({"fields": [0, 1], "betas": [1, 2]}, "one of fields and betas, got both"),
        ({"fields": [0, 1]}, "needs beta, got None"),
        ({"betas": [1, 2], "beta": 1.0}, "beta has no use beside betas, got 1.0"),
        ({"fields": [0.0], "beta": 1.0}, "fields must hold at least 2 values, got 1"),
        (
            {"fields": [0, 1, 1], "beta": 1.0},
            r"rise or fall strictly, got 1.0 after 1.0 at index 2",
        ),
        ({"fields": [0, math.nan], "beta": 1.0}, "fields must be finite, got 1 NaN"),
        ({"fields": [[0, 1]], "beta": 1.0}, r"fields must have 1 dimension"),
        ({"betas": [-1.0, 1.0]}, "betas must be > 0, got -1.0"),
        ({"fields": [0, 1], "beta": 0.0}, "beta must be > 0, got 0.0"),
        ({"fields": [0, 1], "beta": 1.0, "direction": 0.0}, "direction must not be all zeros"),
        ({"fields": [0, 1], "beta": 1.0, "direction": [1, 2]}, r"direction must be a number or"),
        ({"fields": [0, 1], "beta": 1.0, "direction": range(10)}, "direction must be uniform"),
        ({"fields": [0, 1], "beta": 1.0, "start": 2.0}, r"start must lie in \[-1, 1\], got 2"),
        ({"fields": [0, 1], "beta": 1.0, "method": "naive"}, "method must be a NaiveMeanField"),
    ],
)
def test_bad_arguments_of_a_sweep_are_named(arguments, message):
    with pytest.raises(sn.InputError, match=message):
        hysteresis(sn.CurieWeiss(10), **arguments)


@pytest.mark.parametrize("aside", [0.0, -1e-15])
def test_a_point_on_a_fold_itself_is_no_failure_and_no_second_jump(aside):
    """A double root, at which descent and Newton both crawl: the jump follows right behind it."""
    rng = np.random.default_rng(3)
    for _ in range(2):
        weights, bias = rng.normal(size=(8, 6)), rng.normal(size=8) * 0.1
    model = sn.Bipartite(weights, levels=(-1, 1), bias_a=bias)
    fold = hysteresis(model, beta=2.0, fields=np.linspace(-2, 2, 11)).jumps[0]
    loop = hysteresis(model, beta=2.0, fields=[-2.0, fold.value + aside, fold.value + 0.3])
    near = [j for j in loop.forward.jumps if abs(j.value - fold.value) < 1e-2]
    assert len(near) == 1
    assert near[0].value == pytest.approx(fold.value, abs=2e-8)
    assert near[0].after == pytest.approx(fold.after, abs=1e-4)
