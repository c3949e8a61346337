"""The oracle against closed forms, its routes against each other, and the frozen numbers again.

Closed forms are those of the papers: arcsine kernels (Williams 1997), arc-cosine kernels (Cho and
Saul 2009). Digits are the ones asked of the oracle less a few for the sums; nothing is tuned.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from mpmath import mp

DIGITS = 34
# a digit or two for the condition of the closed forms, eight promised by the oracle
ENOUGH = mp.mpf("1e-26")


def close(found: Any, expected: Any, tolerance: Any = ENOUGH) -> bool:
    with mp.workdps(60):
        found, expected = mp.mpf(found), mp.mpf(expected)
        return bool(abs(found - expected) <= tolerance * max(abs(expected), mp.mpf("1e-12")))


PAIRS = [(1.0, 1.0, 0.5), (0.5, 3.0, -0.9), (100.0, 100.0, 0.99), (1e-4, 1e-4, 0.3)]


@pytest.mark.parametrize(("q1", "q2", "c"), PAIRS)
def test_erf_kernels_are_the_arcsine_and_its_derivative(
    oracle: ModuleType, q1: float, q2: float, c: float
) -> None:
    found = oracle.kernel("erf", q1, q2, c, DIGITS)
    slopes = oracle.slope_kernel("erf", q1, q2, c, DIGITS)
    with mp.workdps(60):
        q1, q2, c = mp.mpf(q1), mp.mpf(q2), mp.mpf(c)
        p, norm = c * mp.sqrt(q1 * q2), (1 + 2 * q1) * (1 + 2 * q2)
        assert close(found, 2 / mp.pi * mp.asin(2 * p / mp.sqrt(norm)))
        assert close(slopes, 4 / mp.pi / mp.sqrt(norm - 4 * p * p))


@pytest.mark.parametrize(("q1", "q2", "c"), PAIRS)
@pytest.mark.parametrize(("name", "slope"), [("relu", "0"), ("leaky_relu", "0.1")])
def test_rectifier_kernels_are_the_arc_cosine_ones(
    oracle: ModuleType, name: str, slope: str, q1: float, q2: float, c: float
) -> None:
    found = oracle.kernel(name, q1, q2, c, DIGITS)
    slopes = oracle.slope_kernel(name, q1, q2, c, DIGITS)
    with mp.workdps(60):
        q1, q2, c, a = mp.mpf(q1), mp.mpf(q2), mp.mpf(c), mp.mpf(slope)
        angle, size = mp.acos(c), mp.sqrt(q1 * q2)
        relu = size / (2 * mp.pi) * (mp.sqrt(1 - c * c) + c * (mp.pi - angle))
        assert close(found, (1 - a) ** 2 * relu + a * c * size)
        assert close(slopes, (1 - a) ** 2 * (mp.pi - angle) / (2 * mp.pi) + a)


@pytest.mark.parametrize(("q1", "q2", "c"), PAIRS)
def test_sine_kernels_are_hyperbolic(oracle: ModuleType, q1: float, q2: float, c: float) -> None:
    found = oracle.kernel("sin", q1, q2, c, DIGITS)
    slopes = oracle.slope_kernel("sin", q1, q2, c, DIGITS)
    with mp.workdps(60):
        q1, q2, c = mp.mpf(q1), mp.mpf(q2), mp.mpf(c)
        p, decay = c * mp.sqrt(q1 * q2), mp.exp(-(q1 + q2) / 2)
        assert close(found, decay * mp.sinh(p))
        assert close(slopes, decay * mp.cosh(p))


@pytest.mark.parametrize("q", [1e-4, 1.0, 100.0])
def test_one_point_averages_have_their_closed_forms(oracle: ModuleType, q: float) -> None:
    with mp.workdps(60):
        x = mp.mpf(q)
        k = 1 / mp.sqrt(2 * x)
        gauss = mp.sqrt(2 / (mp.pi * x)) * mp.exp(-1 / (2 * x))
        second = {
            "erf": 2 / mp.pi * mp.asin(2 * x / (1 + 2 * x)),
            "sin": (1 - mp.exp(-2 * x)) / 2,
            "relu": x / 2,
            "linear": x,
            "hard_tanh": x * (mp.erf(k) - gauss) + mp.erfc(k),
            "gelu": x / 4
            + x / (2 * mp.pi) * mp.asin(x / (1 + x))
            + x * x / (mp.pi * (1 + x) * mp.sqrt(1 + 2 * x)),
        }
        slope = {"erf": 4 / mp.pi / mp.sqrt(1 + 4 * x), "hard_tanh": mp.erf(k)}
        curvature = {"sin": (1 - mp.exp(-2 * x)) / 2, "erf": 16 * x / mp.pi / (1 + 4 * x) ** 1.5}
    for name, expected in second.items():
        assert close(oracle.second_moment(name, q, DIGITS), expected), name
    for name, expected in slope.items():
        assert close(oracle.slope_moment(name, q, 2, DIGITS), expected), name
    for name, expected in curvature.items():
        assert close(oracle.curvature_moment(name, q, DIGITS), expected), name


@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "gelu", "silu", "selu", "softplus"])
def test_slope_of_the_second_moment_is_its_derivative(oracle: ModuleType, name: str) -> None:
    # central difference at step 1e-8: error of order 1e-16 F''', rounding 1e-26
    with mp.workdps(DIGITS):
        step = mp.mpf("1e-8")
        above, below = (oracle.second_moment(name, 0.7 + s, DIGITS) for s in (step, -step))
        difference = (above - below) / (2 * step)
    assert close(oracle.second_moment_slope(name, 0.7, DIGITS), difference, mp.mpf("1e-13"))


@pytest.mark.parametrize("name", ["tanh", "silu", "gelu", "selu", "hard_tanh", "sigmoid"])
def test_slope_kernel_is_the_derivative_of_the_kernel(oracle: ModuleType, name: str) -> None:
    # Price's theorem, by a central difference in c as above
    with mp.workdps(DIGITS):
        step, c = mp.mpf("1e-8"), mp.mpf("0.4")
        above, below = (oracle.kernel(name, 2.0, 0.5, c + s, DIGITS) for s in (step, -step))
        difference = (above - below) / (2 * step)  # sqrt(2 * 0.5) = 1
    assert close(oracle.slope_kernel(name, 2.0, 0.5, "0.4", DIGITS), difference, mp.mpf("1e-13"))


@pytest.mark.parametrize(
    "name",
    [
        "tanh",
        "silu",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("softplus", "hard_tanh", "selu")),
    ],
)
def test_nested_quadrature_confirms_the_kernels(oracle: ModuleType, name: str) -> None:
    # ten digits, to stay near a second; at thirty the two agree to 1e-31 relative
    nested = oracle.nested_kernel(name, 1.0, 2.0, -0.6, 10)
    assert close(oracle.kernel(name, 1.0, 2.0, -0.6, DIGITS), nested, mp.mpf("1e-9"))


@pytest.mark.parametrize("name", ["tanh", "silu", "softplus"])
def test_kernel_joins_the_second_moment_at_full_correlation(oracle: ModuleType, name: str) -> None:
    # F - H = eps q E[phi'^2] - O(eps^2), two routes that share no node
    q, eps = 2.0, mp.mpf("1e-20")
    expected = q * oracle.slope_moment(name, q, 2, DIGITS) * eps
    assert close(oracle.deficit(name, q, eps, DIGITS), expected, mp.mpf("1e-18"))


def test_mpmath_quad_confirms_the_panels(oracle: ModuleType) -> None:
    with mp.workdps(DIGITS):

        def integrand(z: Any) -> Any:
            return mp.tanh(2 * z) ** 2 * mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)

        whole = 2 * mp.quad(integrand, [0, 0.5, 1, 2, 4, 8, 14])
    assert close(oracle.second_moment("tanh", 4.0, DIGITS), whole)


# --- the frozen numbers ---------------------------------------------------------------------------


def one(records: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    found = [r for r in records if all(r[key] == value for key, value in wanted.items())]
    assert found, wanted
    return found[0]


def test_every_frozen_point_satisfies_its_definitions(references: dict[str, Any]) -> None:
    # identities between the numbers of one record, to the digits shown
    with mp.workdps(40):
        for record in references["points"] + references["dropout"] + references["bistable"]:
            chi_1, chi_c, chi_q = (mp.mpf(record[k]) for k in ("chi_1", "chi_c", "chi_q"))
            assert close(record["xi_grad"], -1 / mp.log(chi_1)), record
            assert close(record["xi_c"], -1 / mp.log(chi_c)), record
            assert close(record["xi_q"], -1 / mp.log(abs(chi_q))), record
            assert close(record["one_minus_c_star"], 1 - mp.mpf(record["c_star"])), record
            assert (record["c_star"] == "1.0") == (chi_1 <= 1 and record["keep"] == "1.0"), record


def test_near_the_line_the_depth_is_one_over_the_distance(references: dict[str, Any]) -> None:
    # xi_c |chi_1 - 1| -> 1 from both sides for smooth phi, corrected at the order of the distance.
    # Where phi' jumps, 1 - C = chi_1 eps - k eps^(3/2): then 1 - chi_c = (chi_1 - 1) / 2 above the
    # line, and xi_c is twice as long there
    for record in references["near_critical"]:
        with mp.workdps(40):
            distance = float(mp.mpf(record["chi_1"]) - 1)
        kinked_above = record["chi_2"] is None and distance > 0
        limit = 2 if kinked_above else 1
        assert abs(float(record["xi_c"]) * abs(distance) / limit - 1) < 10 * abs(distance), record


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b", "keep"),
    [
        ("tanh", "1.3", "0.3", "1.0"),
        ("tanh", "2.5", "0.3", "1.0"),
        ("hard_tanh", "2.5", "0.3", "1.0"),
        ("selu", "1.2", "0.3", "1.0"),
        ("silu", "1.2", "1.0", "1.0"),
        ("relu", "1.2", "0.3", "0.9"),
    ],
)
def test_points_are_computed_again(
    oracle: ModuleType,
    references: dict[str, Any],
    name: str,
    sigma_w: str,
    sigma_b: str,
    keep: str,
) -> None:
    records = references["points"] + references["dropout"]
    record = one(records, activation=name, sigma_w=sigma_w, sigma_b=sigma_b, keep=keep)
    start = float(record["q_star"]) * 1.01
    found = oracle.solve(name, float(sigma_w), float(sigma_b), float(keep), start, 28)
    for key, value in found.items():
        if value is None:
            assert record[key] is None
        else:
            assert close(record[key], value, mp.mpf("1e-18")), key


def test_a_point_at_depth_two_million_is_computed_again(
    oracle: ModuleType, references: dict[str, Any]
) -> None:
    # not by Newton's method: C(c*) = c* and chi_c = chi(c*) at the frozen c*, as a residual
    records = [r for r in references["near_critical"] if r["activation"] == "tanh"]
    record = max(records, key=lambda r: float(r["xi_c"]))
    assert float(record["xi_c"]) > 1e6
    with mp.workdps(40):
        q, eps = mp.mpf(record["q_star"]), mp.mpf(record["one_minus_c_star"])
        gain = mp.mpf(float(record["sigma_w"])) ** 2
        # the residual relative to eps is (1 - chi_c) times the relative error of eps
        lost = gain * oracle.deficit("tanh", q, eps, 40) / q
        assert close(lost, eps, mp.mpf("1e-28") * 10)
        slope = gain * oracle.slope_kernel("tanh", q, q, 1 - eps, 40)
        assert close(1 - slope, record["one_minus_chi_c"], mp.mpf("1e-22"))


def test_critical_points_are_computed_again(oracle: ModuleType, references: dict[str, Any]) -> None:
    for name, sigma_b in (("tanh", "0.3"), ("hard_tanh", "0.3"), ("silu", "1.0")):
        record = one(references["critical"], activation=name, sigma_b=sigma_b)
        with mp.workdps(40):
            q = mp.mpf(record["q"])
            slope = oracle.slope_moment(name, q, 2, DIGITS)
            assert close(1 / slope, record["sigma_w_squared"]), name
            bias = mp.mpf(float(sigma_b)) ** 2
            gap = mp.mpf(record["sigma_w_squared"]) * oracle.second_moment(name, q, DIGITS) + bias
            assert close(gap, q), name


def test_gelu_is_doubly_critical_where_the_closed_form_says(references: dict[str, Any]) -> None:
    record = one(references["doubly_critical"], activation="gelu")
    with mp.workdps(40):
        assert close(record["q"], (3 + mp.sqrt(17)) / 2)


@pytest.mark.parametrize(
    "name",
    [
        "tanh",
        "erf",
        "relu",
        "leaky_relu",
        "hard_tanh",
        "sigmoid",
        "softplus",
        "gelu",
        "silu",
        "selu",
        "sin",
        "linear",
    ],
)
def test_averages_are_computed_again(
    oracle: ModuleType, references: dict[str, Any], name: str
) -> None:
    record = one(references["moments"], activation=name, q="1.0")
    assert close(record["second_moment_slope"], oracle.second_moment_slope(name, 1.0, DIGITS))
    with mp.workdps(40):
        ratio = mp.mpf(record["slope_moment_4"]) / mp.mpf(record["slope_moment_2"]) ** 2
        assert close(record["slope_ratio"], ratio)
    record = one(references["kernels"], activation=name, q1="0.5", q2="3.0", c="-0.9")
    assert close(record["kernel"], oracle.kernel(name, 0.5, 3.0, -0.9, DIGITS))
    record = one(references["deficits"], activation=name, q="1.0", eps="1e-08")
    assert close(record["deficit"], oracle.deficit(name, 1.0, 1e-8, DIGITS))


def test_the_geometry_follows_its_recursion(references: dict[str, Any]) -> None:
    # Poole et al. (2016), eq. 10, with the frozen chi_1 and chi_2 of the same points
    for sigma_w in ("1.3", "2.5", "4.0", "20.0"):
        point = one(references["points"], activation="tanh", sigma_w=sigma_w, sigma_b="0.3")
        curve = one(references["geometry"], sigma_w=sigma_w, first="q_star")
        with mp.workdps(40):
            q, chi_1, chi_2 = (mp.mpf(point[k]) for k in ("q_star", "chi_1", "chi_2"))
            metric, curvature = q, 1 / q
            for layer in range(10):
                assert close(curve["metric"][layer], metric)
                assert close(curve["curvature_squared"][layer], curvature)
                assert close(curve["gauss"][layer], metric * curvature)
                metric, curvature = chi_1 * metric, 3 * chi_2 / chi_1**2 + curvature / chi_1
