"""The critical line against 50-digit quadrature, closed forms, and its own definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy import special

from spinnet.errors import InputError
from spinnet.propagation.activations import ACTIVATIONS, Activation, get_activation, leaky_relu
from spinnet.propagation.critical import (
    critical_line,
    critical_sigma_w,
    doubly_critical,
    inverse_point,
)
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.kernels.erf_mixture import ErfMixtureKernel
from spinnet.propagation.kernels.piecewise_linear import PiecewiseLinearKernel

Line = Callable[[Any], tuple[Any, Any]]
EPS = float(np.finfo(float).eps)


def names(skip: tuple[str, ...] = ()) -> list[str]:
    return [name for name in ACTIVATIONS if name not in skip]


# ------------------------------------------------------------------ (sigma_w^2, sigma_b^2) of q
def erf_line(q: Any) -> tuple[Any, Any]:
    root = mp.sqrt(1 + 4 * q)
    return mp.pi / 4 * root, q - root / 2 * mp.asin(2 * q / (1 + 2 * q))


def sin_line(q: Any) -> tuple[Any, Any]:
    return 2 / (1 + mp.exp(-2 * q)), q - mp.tanh(q)


def gelu_overlap(q: Any, p: Any) -> Any:
    rest = (1 + q) ** 2 - p * p
    turn = p * (mp.mpf(1) / 4 + mp.asin(p / (1 + q)) / (2 * mp.pi))
    return turn + (q * q + p * p - 2 * q * p * p / (1 + q)) / (2 * mp.pi * mp.sqrt(rest))


def gelu_line(q: Any) -> tuple[Any, Any]:
    slope = mp.diff(lambda p: gelu_overlap(q, p), q)
    return 1 / slope, q - gelu_overlap(q, q) / slope


def solved(line: Line, sigma_b: float) -> tuple[Any, Any]:
    """sigma_w and q by bisection in ln q."""
    low, high = mp.mpf(-100), mp.mpf(35)
    goal = mp.mpf(sigma_b) ** 2
    for _ in range(150):
        middle = (low + high) / 2
        low, high = (low, middle) if line(mp.exp(middle))[1] > goal else (middle, high)
    q = mp.exp((low + high) / 2)
    return mp.sqrt(line(q)[0]), q


# ------------------------------------------------------------------ values
WITH_REFERENCES = ("tanh", "erf", "hard_tanh", "sin", "sigmoid", "gelu", "silu", "selu")


@pytest.mark.parametrize("name", WITH_REFERENCES)
def test_the_line_matches_the_frozen_references(references: dict[str, Any], name: str) -> None:
    records = [r for r in references["critical"] if r["activation"] == name]
    assert len(records) >= 2
    for record in records:
        sigma_b = float(record["sigma_b"])
        line = critical_line(name, sigma_b=[sigma_b])
        assert line.sigma_w.size == 1
        # rounding of the averages, times a condition of a few
        assert line.sigma_w[0] == pytest.approx(float(record["sigma_w"]), rel=1e-14)
        assert line.q[0] == pytest.approx(float(record["q"]), rel=1e-12)
        assert line.chi_q[0] == pytest.approx(float(record["chi_q"]), rel=1e-12)
        assert line.stable_q[0] == (float(record["chi_q"]) <= 1)
        assert critical_sigma_w(name, sigma_b) == line.sigma_w[0]


def test_the_references_hold_no_other_activation(references: dict[str, Any]) -> None:
    assert {r["activation"] for r in references["critical"]} == set(WITH_REFERENCES)


def test_published_value_of_schoenholz_et_al() -> None:
    """sigma_w^2 = 1.76 at sigma_b^2 = 0.05, the point at which that paper trains its networks."""
    assert critical_sigma_w("tanh", math.sqrt(0.05)) ** 2 == pytest.approx(1.76, abs=0.005)


@pytest.mark.parametrize("sigma_b", [1e-30, 1e-15, 1e-9, 1e-5, 1e-3, 0.03, 0.3, 1.0, 10.0])
@pytest.mark.parametrize(
    ("name", "closed_form"), [("erf", erf_line), ("sin", sin_line), ("gelu", gelu_line)]
)
def test_closed_forms_from_tiny_to_large_biases(
    name: str, closed_form: Line, sigma_b: float
) -> None:
    with mp.workdps(100):  # 60 are lost at the smallest q
        sigma_w, q = solved(closed_form, sigma_b)
        line = critical_line(name, sigma_b=[sigma_b])
        assert abs(line.sigma_w[0] / sigma_w - 1) < 2e-14
        # q is less well determined than sigma_w where the line is flat
        flat = {("gelu", 10.0): 1e-9, ("gelu", 1e-30): 1e-12, ("erf", 1e-30): 1e-12}
        assert abs(line.q[0] / q - 1) < flat.get((name, sigma_b), 1e-13)


@pytest.mark.parametrize("sigma_b", [1e-3, 1e-2, 30.0])
def test_tanh_far_from_ordinary_biases(oracle: Any, sigma_b: float) -> None:
    """Small q, where q E[phi'^2] - E[phi^2] cancels, and large q."""
    guess = (0.75 * sigma_b**2) ** (1 / 3) if sigma_b < 1 else sigma_b**2
    sigma_w, q = oracle.critical_point("tanh", sigma_b, guess, 30)
    line = critical_line("tanh", sigma_b=[sigma_b])
    assert line.sigma_w[0] == pytest.approx(float(sigma_w), rel=1e-13)
    assert line.q[0] == pytest.approx(float(q), rel=1e-12)


def test_hard_tanh_leaves_the_corner_exponentially(oracle: Any) -> None:
    """sigma_b^2 is about q^(3/2) exp(-1/2q): nothing is left of it in a plain difference."""
    line = critical_line("hard_tanh", sigma_b=[1e-5, 1e-8])
    for k, sigma_b in enumerate((1e-5, 1e-8)):
        sigma_w, q = oracle.critical_point("hard_tanh", sigma_b, float(line.q[k]), 40)
        assert line.q[k] == pytest.approx(float(q), rel=1e-9)
        assert line.sigma_w[k] - 1 == pytest.approx(float(sigma_w - 1), rel=1e-5, abs=2 * EPS)


@pytest.mark.parametrize(
    ("name", "sigma_w"),
    [("relu", math.sqrt(2)), ("leaky_relu", math.sqrt(2 / 1.01)), ("linear", 1.0)],
)
def test_homogeneous_activations_have_one_sigma_w(name: str, sigma_w: float) -> None:
    line = critical_line(name, sigma_b=[0.0, 0.3, 5.0])
    assert line.sigma_w == pytest.approx([sigma_w] * 3, rel=4 * EPS)
    assert np.isnan(line.q[0])
    assert np.isinf(line.q[1:]).all()
    assert line.chi_q.tolist() == [1, 1, 1]
    assert doubly_critical(name) == ()


def test_leaky_relu_takes_its_own_slope() -> None:
    assert critical_sigma_w(leaky_relu(0.5), 0.1) == pytest.approx(math.sqrt(1.6), rel=4 * EPS)


@pytest.mark.parametrize("name", names(skip=("relu", "leaky_relu", "linear", "softplus")))
def test_every_point_is_a_critical_fixed_point(name: str) -> None:
    """The definition, through MeanField's own maps."""
    line = critical_line(name, sigma_b=[0.2, 0.9, 2.5])
    for k in range(line.sigma_w.size):
        net = MeanField(name, float(line.sigma_w[k]), float(line.sigma_b[k]), q0=float(line.q[k]))
        q = line.q[k]
        assert net.length_map(q) == pytest.approx(q, rel=1e-12)
        assert net.length_map_slope(q) == pytest.approx(line.chi_q[k], rel=1e-12)
        if line.stable_q[k]:
            assert net.chi_1 == pytest.approx(1, abs=1e-11)
            assert net.q_star == pytest.approx(q, rel=1e-9)


# ------------------------------------------------------------------ ends of the line
@pytest.mark.parametrize(
    ("name", "sigma_w"),
    [
        ("tanh", 1.0),
        ("sin", 1.0),
        ("hard_tanh", 1.0),
        ("erf", math.sqrt(math.pi) / 2),
        ("gelu", 2.0),
        ("silu", 2.0),
        ("selu", 0.6905),
    ],
)
def test_the_line_ends_at_the_inverse_slope_at_the_origin(name: str, sigma_w: float) -> None:
    end = critical_line(name, n=1).endpoint
    assert end is not None
    # selu: the specification's four digits
    assert end.sigma_w == pytest.approx(sigma_w, rel=1e-4 if name == "selu" else 4 * EPS)
    assert (end.q, end.sigma_b) == (0.0, 0.0)
    near = critical_sigma_w(name, 1e-7)
    assert critical_sigma_w(name, 0.0) == end.sigma_w
    assert near == pytest.approx(end.sigma_w, rel=1e-3)
    assert near != end.sigma_w or name == "hard_tanh"


def test_sigmoid_begins_at_a_finite_length() -> None:
    line = critical_line("sigmoid", sigma_b=[0.0])
    end = line.endpoint
    assert end is not None
    assert line.sigma_w == pytest.approx([10.1493], abs=5e-5)
    assert line.q == pytest.approx([45.6243], abs=5e-5)
    assert (end.q, end.sigma_w, end.sigma_b) == (line.q[0], line.sigma_w[0], 0.0)
    assert "begins at q = 45.6" in line.reason
    for sigma_w, phase in ((10.14, "ordered"), (10.16, "chaotic")):
        assert MeanField("sigmoid", sigma_w, 0.0).phase == phase


def test_softplus_is_never_critical() -> None:
    line = critical_line("softplus")
    assert line.sigma_w.size == line.q.size == line.stable_q.size == 0
    assert line.endpoint is None
    assert "sigma_b^2 < 0" in line.reason
    assert doubly_critical("softplus") == ()
    with pytest.raises(InputError, match=r"no critical line: .*sigma_b\^2 < 0"):
        critical_sigma_w("softplus", 0.3)


# ------------------------------------------------------------------ stability
def test_doubly_critical_points_match_the_references(references: dict[str, Any]) -> None:
    for record in references["doubly_critical"]:
        (point,) = doubly_critical(record["activation"])
        assert point.q == pytest.approx(float(record["q"]), rel=1e-12)
        assert point.sigma_w**2 == pytest.approx(float(record["sigma_w_squared"]), rel=1e-14)
        assert point.sigma_b**2 == pytest.approx(float(record["sigma_b_squared"]), rel=1e-12)
    assert doubly_critical("gelu")[0].q == pytest.approx((3 + math.sqrt(17)) / 2, rel=1e-13)


@pytest.mark.parametrize("name", names(skip=("gelu", "silu")))
def test_other_activations_have_no_doubly_critical_point(name: str) -> None:
    assert doubly_critical(name) == ()


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_the_line_turns_stable_at_the_doubly_critical_point(name: str) -> None:
    (point,) = doubly_critical(name)
    line = critical_line(name, sigma_b=[0.0, 0.999 * point.sigma_b, 1.001 * point.sigma_b])
    assert line.stable_q.tolist() == [False, False, True]
    assert line.chi_q[1] > 1 > line.chi_q[2]
    points = MeanField(name, line.sigma_w[1], line.sigma_b[1]).fixed_points()
    match = [p for p in points if p.q == pytest.approx(line.q[1], rel=1e-6)]
    assert len(match) == 1
    assert not match[0].stable


def test_gelu_at_a_small_bias_is_unstable_by_the_published_amount() -> None:
    assert critical_line("gelu", sigma_b=[0.3]).chi_q[0] == pytest.approx(1.0456, abs=5e-5)


# ------------------------------------------------------------------ one point for each sigma_b
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kinks=st.lists(st.floats(-4, 4), min_size=1, max_size=4, unique=True),
    slopes=st.lists(st.floats(-3, 3), min_size=5, max_size=5),
    offset=st.floats(-1, 1),
)
def test_no_activation_has_two_critical_points_at_one_bias(
    kinks: list[float], slopes: list[float], offset: float
) -> None:
    """G/sqrt(q) never decreases, for piecewise-linear functions of any kind (closed forms)."""
    kernel = PiecewiseLinearKernel(sorted(kinks), slopes[: len(kinks) + 1], offset)
    q = np.geomspace(1e-3, 1e4, 200)
    slope = kernel.slope_moment(q)
    assume(slope.min() > 1e-3)
    ratio = (q - kernel.second_moment(q) / slope) / np.sqrt(q)
    rounding = 50 * EPS * np.maximum(q, kernel.second_moment(q) / slope) / np.sqrt(q)
    assert (np.diff(ratio) >= -rounding[1:] - rounding[:-1]).all()


def test_a_custom_activation_is_scanned_like_a_named_one() -> None:
    """x + sin(4x) has structure at two scales, and closed-form moments."""

    def moments(q: Any) -> tuple[Any, Any]:
        e = mp.exp(-8 * q)
        return (
            q + 8 * q * e + (1 - mp.exp(-32 * q)) / 2,
            1 + 8 * e + 8 * (1 + mp.exp(-32 * q)),
        )

    def closed_form(q: Any) -> tuple[Any, Any]:
        second, slope = moments(q)
        return 1 / slope, q - second / slope

    phi = Activation(
        lambda x: x + np.sin(4 * x), lambda x: 1 + 4 * np.cos(4 * x), kinks=(), name="wavy"
    )
    for sigma_b in (0.0, 0.05, 0.5, 3.0):
        line = critical_line(phi, sigma_b=[sigma_b])
        if sigma_b == 0:
            assert line.sigma_w == pytest.approx([1 / 5], rel=1e-14)
            continue
        with mp.workdps(40):
            sigma_w, q = solved(closed_form, sigma_b)
        assert line.sigma_w[0] == pytest.approx(float(sigma_w), rel=1e-12)
        assert line.q[0] == pytest.approx(float(q), rel=1e-11)


def test_a_nearly_linear_activation_bends_at_one_scale_only() -> None:
    """x + 0.03 tanh(x): q E[phi'^2] - F nearly cancels at small and at large q.

    Linear parts drop out of it, so that it is 0.03^2 times that of tanh.
    """
    phi = Activation(
        lambda x: x + 0.03 * np.tanh(x),
        lambda x: 1 + 0.03 / np.cosh(np.clip(x, -300, 300)) ** 2,
        kinks=(),
        name="skip",
    )
    q = np.geomspace(1e-5, 1e11, 9)
    tanh = get_activation("tanh").kernel
    at_tanh = critical_line("tanh", q=q)
    expected = 0.03**2 * at_tanh.sigma_b**2 * tanh.slope_moment(q)
    line = critical_line(phi, q=q)
    found = line.sigma_b**2 / line.sigma_w**2
    # beyond q = 1 what cancels is q / expected times the result: 1e9 roundings at the end
    assert found == pytest.approx(expected, rel=1e-5)
    assert found[:4] == pytest.approx(expected[:4], rel=1e-9)
    far = critical_line(phi, sigma_b=[1000.0])
    assert far.sigma_w == pytest.approx([1.0], rel=1e-9)
    assert far.q[0] == pytest.approx((1e6 / 4.787e-4) ** 2, rel=0.01)  # G = 4.787e-4 sqrt(q)


def test_a_small_sharp_feature_is_not_integrated_away() -> None:
    """x + 0.03 erf(x) + 1e-7 erf(1000 x): without the linear part there is a closed form."""
    phi = Activation(
        lambda x: x + 0.03 * special.erf(x) + 1e-7 * special.erf(1000 * x),
        lambda x: 1 + (0.06 * np.exp(-x * x) + 2e-4 * np.exp(-1e6 * x * x)) / math.sqrt(math.pi),
        kinks=(),
        name="sharp",
    )
    q = np.array([0.3, 1.0])
    mixture = ErfMixtureKernel(np.array([0.03, 1e-7]), np.array([1.0, 1000.0]), 0.0)
    expected = q * mixture.slope_moment(q) - mixture.second_moment(q)
    line = critical_line(phi, q=q)
    # the sharp part is 6e-7 of it at q = 1; the difference is good to 1e-10
    assert line.sigma_b**2 / line.sigma_w**2 == pytest.approx(expected, rel=1e-8)


# ------------------------------------------------------------------ along q
@pytest.mark.parametrize("name", ["tanh", "gelu", "sigmoid", "hard_tanh"])
def test_by_length_and_by_bias_are_the_same_line(name: str) -> None:
    by_q = critical_line(name, q=np.geomspace(0.02, 90, 30))
    assert by_q.q.size == (30 if name != "sigmoid" else np.sum(np.geomspace(0.02, 90, 30) > 45.62))
    by_bias = critical_line(name, sigma_b=by_q.sigma_b)
    assert by_bias.sigma_w == pytest.approx(by_q.sigma_w, rel=1e-12)
    assert by_bias.q == pytest.approx(by_q.q, rel=1e-11)
    assert by_bias.stable_q.tolist() == by_q.stable_q.tolist()


def test_length_zero_is_on_the_line_of_activations_that_vanish_there() -> None:
    assert critical_line("tanh", q=[0.0, 1.0]).q.tolist() == [0.0, 1.0]
    assert critical_line("sigmoid", q=[0.0, 100.0]).q.tolist() == [100.0]


def test_order_and_shape() -> None:
    bias = np.array([[2.0, 0.1], [0.5, 0.0]])
    values = critical_sigma_w("tanh", bias)
    assert values.shape == (2, 2)
    singles = [critical_sigma_w("tanh", b) for b in bias.ravel().tolist()]
    assert values.ravel() == pytest.approx(singles, rel=1e-14)
    line = critical_line("tanh", sigma_b=bias)
    assert line.sigma_b.tolist() == bias.ravel().tolist()
    assert critical_line("tanh", n=7).sigma_b.tolist() == np.linspace(0, 4, 7).tolist()
    assert isinstance(critical_sigma_w("tanh", 0.3), float)
    assert critical_sigma_w("tanh", np.zeros(0)).shape == (0,)


# ------------------------------------------------------------------ the inverse map
@pytest.mark.parametrize("name", names(skip=("relu", "leaky_relu", "linear", "softplus")))
@pytest.mark.parametrize("sigma_b", [0.8, 1.5])
def test_inverse_point_undoes_the_fixed_point(name: str, sigma_b: float) -> None:
    critical = critical_sigma_w(name, sigma_b)
    # those that grow linearly have no fixed point beyond sigma_w^2 = 2 / (slope at infinity)^2
    bound = {"gelu": math.sqrt(2), "silu": math.sqrt(2), "selu": math.sqrt(2) / 1.0507}
    sigma_w = (critical + bound[name]) / 2 if name in bound else 1.3 * critical
    net = MeanField(name, sigma_w, sigma_b)
    found = inverse_point(name, net.q_star, one_minus_c=net.one_minus_c_star)
    assert found.sigma_w == pytest.approx(net.sigma_w, rel=1e-10)
    assert found.sigma_b == pytest.approx(net.sigma_b, rel=1e-10)
    also = inverse_point(name, net.q_star, net.c_star)
    assert also.sigma_w == pytest.approx(net.sigma_w, rel=1e-9)


def test_inverse_point_tends_to_the_critical_line() -> None:
    """sigma_w - sigma_wc = sigma_wc^3 q E[phi''^2] epsilon / 4 to first order in epsilon."""
    line = critical_line("tanh", sigma_b=[0.5])
    bend = float(get_activation("tanh").kernel.curvature_moment(line.q[0]))
    slope = line.sigma_w[0] ** 3 * line.q[0] * bend / 4
    for epsilon in (1e-6, 1e-9, 1e-12):
        found = inverse_point("tanh", line.q[0], one_minus_c=epsilon)
        # a difference of rounded numbers F - H would be off by 1e-4 at the last of them
        distance = float(found.sigma_w - line.sigma_w[0])
        assert distance == pytest.approx(slope * epsilon, rel=1e-5, abs=8 * EPS)


def test_inverse_point_of_odd_activations_at_zero_correlation_has_no_bias() -> None:
    for name in ("tanh", "erf", "sin", "hard_tanh"):
        found = inverse_point(name, [0.5, 3.0], 0.0)
        moment = get_activation(name).kernel.second_moment(np.array([0.5, 3.0]))
        assert found.sigma_b.tolist() == [0, 0]
        assert found.sigma_w == pytest.approx(np.sqrt([0.5, 3.0] / moment), rel=4 * EPS)


def test_inverse_point_broadcasts_and_refuses_negative_variances() -> None:
    found = inverse_point("erf", np.array([[1.0], [2.0]]), [0.1, 0.5, 0.9])
    assert found.sigma_w.shape == found.sigma_b.shape == (2, 3)
    # ReLU is never chaotic at a finite length
    with pytest.raises(InputError, match=r"got q=1, c=0\.5, which needs sigma_b\^2 = -"):
        inverse_point("relu", 1.0, 0.5)
    with pytest.raises(InputError, match=r"needs sigma_b\^2"):
        inverse_point("sigmoid", [100.0, 1.0], 0.99)


@pytest.mark.parametrize("c", [-0.1, 1.0, 2.0, math.nan])
def test_inverse_point_refuses_correlations_outside(c: float) -> None:
    with pytest.raises(InputError, match=r"^c must be"):
        inverse_point("tanh", 1.0, c)


# ------------------------------------------------------------------ bad input
def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"sigma_b must be >= 0, got -0\.1 at index"):
        critical_sigma_w("tanh", [0.1, -0.1])
    with pytest.raises(InputError, match="sigma_b must be finite"):
        critical_sigma_w("tanh", math.nan)
    with pytest.raises(InputError, match="sigma_b must be at most 1000, got 2000"):
        critical_sigma_w("tanh", 2000.0)
    with pytest.raises(InputError, match="did you mean 'tanh'"):
        critical_line("tanhh")
    with pytest.raises(InputError, match="not both"):
        critical_line("tanh", sigma_b=0.1, q=1.0)
    with pytest.raises(InputError, match="q must be >= 0"):
        critical_line("tanh", q=-1.0)
    with pytest.raises(InputError, match="n must be an integer >= 1"):
        critical_line("tanh", n=0)
    with pytest.raises(InputError, match="q must be > 0"):
        inverse_point("tanh", 0.0, 0.5)
    with pytest.raises(InputError, match="give c or one_minus_c, got both"):
        inverse_point("tanh", 1.0, 0.5, one_minus_c=0.5)
    with pytest.raises(InputError, match=r"one_minus_c must be in \(0, 1\], got 0"):
        inverse_point("tanh", 1.0, one_minus_c=0.0)
    with pytest.raises(InputError, match="must broadcast"):
        inverse_point("tanh", [1.0, 2.0], [0.1, 0.2, 0.3])


# ------------------------------------------------------------------ presentation
def test_the_result_is_plain_data_and_draws_both_kinds_of_line() -> None:
    line = critical_line("gelu", sigma_b=np.linspace(0, 1, 21))
    data = line.to_dict()
    assert data["sigma_w"] == line.sigma_w.tolist()
    assert data["endpoint"] == {"q": 0.0, "sigma_w": 2.0, "sigma_b": 0.0}
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    solid, dashed = line.plot(ax)
    drawn = [np.isfinite(np.asarray(curve.get_ydata(), dtype=float)) for curve in (solid, dashed)]
    assert drawn[0].tolist() == line.stable_q.tolist()
    assert (drawn[0] | drawn[1]).all()
    assert np.sum(drawn[0] & drawn[1]) == 1  # they meet in one point
    assert len(critical_line("tanh").plot(Figure().subplots())) == 1
