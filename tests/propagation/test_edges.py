"""MeanField where formulas cancel, overflow or meet their limits."""

from __future__ import annotations

import copy
import math
import pickle
import threading

import numpy as np
import pytest

from spinnet import Activation, InputError, MeanField, critical_sigma_w
from spinnet.propagation import (
    AdditiveGaussian,
    Dropout,
    MultiplicativeGaussian,
    audit_init,
    critical_line,
)
from spinnet.propagation.averages import mesh_of


@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid", "silu", "gelu", "sin", "hard_tanh"])
def test_every_point_above_the_line_has_a_correlation(name):
    rng = np.random.default_rng(1)
    kinked = name == "hard_tanh"
    for sigma_b in (1.0, 1.7, 3.0):
        critical = critical_sigma_w(name, sigma_b)
        for power in range(4, 16):
            sigma_w = critical * (1 + 10.0**-power * rng.uniform(0.1, 1))
            net = MeanField(name, sigma_w, sigma_b)
            distance = net.chi_1 - 1
            if distance > 1e-11:  # 1 - chi_c is chi_1 - 1, half of it next to kinks
                expected = distance / 2 if kinked else distance
                assert net.one_minus_chi_c == pytest.approx(expected, rel=0.02)
            assert 0 <= net.one_minus_c_star < 0.1
            assert net.xi_c > 0


@pytest.mark.parametrize("name", ["hard_tanh", "selu", "tanh", "relu", "gelu"])
def test_identical_inputs_stay_identical_in_the_chaotic_phase(name):
    # chi_1^depth times one rounding would part them
    net = MeanField(name, 3.0, 0.3)
    depth = 30 if name == "selu" else 150
    assert (net.propagate_correlation(1.0, depth, q1=2.0) == 1).all()


def test_equal_lengths_lose_no_digits_next_to_full_correlation():
    net = MeanField("tanh", 1.2, 0.3)
    start = 1 - 2.0**-40
    path = 1 - net.propagate_correlation(start, 1, q1=net.q_star)
    # one factor chi_1, up to the bend of order epsilon and the rounding of c itself
    assert path[1] / path[0] == pytest.approx(net.chi_1, abs=1.2e-16 / 2.0**-40)
    assert net.distance_map(1e-30) == pytest.approx(net.chi_1 * 1e-30, rel=1e-13)


@pytest.mark.parametrize("epsilon", [-1e-3, 2.1, [0.5, 3.0]])
def test_distances_outside_their_range_are_refused(epsilon):
    with pytest.raises(InputError, match=r"epsilon must be in \[0, 2\]"):
        MeanField("tanh", 1.2, 0.3).distance_map(epsilon)


@pytest.mark.parametrize(
    ("name", "share"),
    [("tanh", 1.0), ("erf", 1.0), ("hard_tanh", 1.0), ("sigmoid", 0.5), ("sin", 0.5)],
)
@pytest.mark.parametrize("q", [1e59, 1e61, 1e160, 1e250, 1e308])
def test_bounded_activations_of_huge_signals(name, share, q):
    net = MeanField(name, 1.5, 0.3)
    assert float(net.length_map(q)) == pytest.approx(2.25 * share + 0.09, rel=1e-12)
    assert float(net.length_map_slope(q)) == pytest.approx(0, abs=1e-80)
    path = net.propagate_correlation([-1.0, 0.3, 1.0], 3, q1=q)
    np.testing.assert_allclose(path, net.propagate_correlation([-1.0, 0.3, 1.0], 3, q1=1e40), 1e-9)


@pytest.mark.parametrize(("name", "share"), [("relu", 0.5), ("gelu", 0.5), ("silu", 0.5)])
def test_exploding_signals_reach_infinity_without_nan(name, share):
    net = MeanField(name, 3.0, 0.3)
    path = net.propagate_length(1.0, 600)
    finite = path[np.isfinite(path)]
    assert finite.max() > 1e300
    assert path[-1] == math.inf
    assert (finite[-1] / finite[-2], finite[200] / finite[199]) == pytest.approx((9 * share,) * 2)
    assert (net.propagate_correlation(1.0, 600, q1=1.0) == 1).all()
    assert np.isfinite(net.propagate_correlation(0.3, 600, q1=1.0, q2=2.0)).all()


def test_silent_activations():
    shrink = Activation(
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        lambda x: 1.0 * (np.abs(x) > 0.5),
        name="softshrink",
    )
    for phi in (shrink, Activation(np.zeros_like, np.zeros_like, name="zero")):
        net = MeanField(phi, 0.9, 0.0)
        assert (net.q_star, net.c_star, net.chi_1, net.xi_c) == (0, 1, 0, 0)
        assert (net.correlation_map([-0.5, 0.5]) == 1).all()
        assert (net.propagate_correlation([-0.5, 0.5], 40, q1=1e-4)[-1] == 1).all()


def test_weak_signals_of_powers_lose_their_correlation():
    # x^2: C(c) = (1 + 2 c^2) / 3, fixed at 1/2 and, unstable, at 1.  x^3: C(c) = (3 c + 2 c^3) / 5
    square = MeanField(Activation(lambda x: x * x, lambda x: 2.0 * x), 0.5, 0.0)
    assert square.q_star == 0
    assert square.c_star == pytest.approx(0.5, abs=1e-12)
    cube = MeanField(Activation(lambda x: x**3, lambda x: 3.0 * x * x), 0.5, 0.0)
    assert (cube.q_star, cube.c_star) == (0, 0)
    assert float(cube.correlation_map(0.5)) == pytest.approx(0.35, rel=1e-12)


@pytest.mark.parametrize("gap", [1e-6, 1e-10, 1e-14])
def test_depth_scales_below_the_corner(gap):
    sigma_w = 1 - gap
    expected = -1 / (2 * math.log1p(sigma_w - 1))
    net = MeanField("tanh", sigma_w, 0.0)
    for value in (net.xi_q, net.xi_c, net.xi_grad):
        assert value == pytest.approx(expected, rel=1e-12)


def test_copies():
    for name in ("tanh", "selu", "hard_tanh"):
        net = MeanField(name, 1.2, 0.3)
        known = net.q_star, net.c_star
        for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert (again.q_star, again.c_star) == known
            assert again.activation == net.activation
            assert float(again.length_map(0.7)) == float(net.length_map(0.7))


def test_a_mesh_is_made_once_by_many_threads():
    phi = Activation(
        lambda x: np.tanh(3 * x), lambda x: 3 / np.cosh(np.clip(3 * x, -300, 300)) ** 2
    )
    mesh = mesh_of(phi)
    started = threading.Barrier(4)
    original, calls = mesh._add_shell, []

    def slow() -> None:
        calls.append(len(mesh._shells))
        threading.Event().wait(0.01)
        original()

    mesh._add_shell = slow  # type: ignore[method-assign]

    def work() -> None:
        started.wait()
        mesh.edges(8.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [0, 1, 2, 3]


def test_noise_and_gains_out_of_range():
    for noise in (MultiplicativeGaussian, AdditiveGaussian):
        with pytest.raises(InputError, match="sigma must be at most 1e"):
            noise(1e200)
    with pytest.raises(InputError, match="keep must be at least 1e-12"):
        Dropout(1e-300)
    with pytest.raises(InputError, match="sigma_w must be"):
        audit_init("tanh", 1e200)
    with pytest.raises(InputError, match="depth must be an integer"):
        MeanField("tanh", 1.0, 0.3).propagate_length(1.0, 10**15)


def test_a_scan_averages_once_for_all_networks_of_an_activation(monkeypatch):
    net = MeanField("silu", 1.41, 0.3)
    assert net.q_star > 0
    kernel, sizes = net.activation.kernel, []
    original = kernel.second_moment

    def counted(q):
        sizes.append(np.size(q))
        return original(q)

    monkeypatch.setattr(kernel, "second_moment", counted)
    again = MeanField("silu", 1.42, 0.3)
    assert again.q_star > 0
    evaluated = sum(sizes)
    assert evaluated < 100  # a scan alone is 481 lengths
    again.fixed_points()
    assert sum(sizes) == evaluated


def test_a_length_far_below_the_scan_is_found():
    # ELU: F = q - sqrt(2/pi) q^(3/2) + ..., so that sigma_w^2 - 1 = sqrt(2 q / pi) at the root
    elu = Activation(
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
        name="elu",
    )
    net = MeanField(elu, 1 + 2.0**-30, 0.0)
    expected = math.pi / 2 * (2 * 2.0**-30 + 2.0**-60) ** 2
    assert net.q_star == pytest.approx(expected, rel=1e-6)
    assert [point.stable for point in net.fixed_points()] == [False, True]


def test_the_critical_line_of_activations_that_are_flat_at_the_origin():
    # x^2: F = 3 q^2, E[phi'^2] = 4 q, hence sigma_b^2 = q/4 and sigma_w^2 = 1/(4 q)
    square = Activation(lambda x: x * x, lambda x: 2.0 * x, name="square")
    assert critical_sigma_w(square, 0.3) == pytest.approx(1 / (4 * 0.3), rel=1e-12)
    assert critical_sigma_w(square, 0.0) == math.inf
    line = critical_line(square, sigma_b=[0.0, 0.3])
    assert line.endpoint == (0, math.inf, 0)
    np.testing.assert_allclose(line.q, [0, 4 * 0.09], rtol=1e-12)
    for constant in (np.ones_like, np.zeros_like):
        with pytest.raises(InputError, match="activation must not be constant, got 'flat'"):
            critical_sigma_w(Activation(constant, np.zeros_like, name="flat"), 0.3)


def test_arguments_that_are_not_numbers():
    net = MeanField("tanh", 1.5, 0.3)
    with pytest.raises(InputError, match=r"widths must be an integer >= 1, got 1\.5"):
        net.gradient_profile(2, 1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="kinks must be real numbers"):
        Activation(np.sin, np.cos, kinks="a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="name must be a string, got 3"):
        Activation(np.sin, np.cos, name=3)  # type: ignore[arg-type]
