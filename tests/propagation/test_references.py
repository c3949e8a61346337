"""Every number of references.json, computed by another method with 40 digits and more."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinnet import KinkedActivationError, MeanField
from spinnet.propagation import Activation, get_activation
from spinnet.propagation.critical import critical_sigma_w, doubly_critical

REFERENCES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "references.json").read_text(encoding="utf-8")
)


def identity(record: dict[str, Any]) -> str:
    keys = ("activation", "sigma_w", "sigma_b", "keep", "first", "q1", "q2", "c", "q", "eps")
    named = [str(record[key]) for key in keys if isinstance(record.get(key), str)]
    return " ".join(named + ([record["q_star"][:6]] if "q_star" in record else []))


def numbers(record: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a record as doubles; those that do not exist are left out."""
    found = {}
    for key, value in record.items():
        if isinstance(value, str) and key not in ("activation", "note", "first"):
            found[key] = float(value)
    return found


def activation_of(record: dict[str, Any]) -> Activation:
    return get_activation(record["activation"])


def close(value: float, reference: float, relative: float, absolute: float = 0.0) -> None:
    if math.isinf(reference):
        assert value == reference
    else:
        assert value == pytest.approx(reference, rel=relative, abs=absolute)


POINTS = [
    record
    for section in ("points", "near_critical", "dropout", "bistable", "corner")
    for record in REFERENCES[section]
]


@pytest.mark.parametrize("record", POINTS, ids=identity)
def test_point(record):
    reference = numbers(record)
    q = reference["q_star"]
    net = MeanField(
        activation_of(record),
        reference["sigma_w"],
        reference["sigma_b"],
        reference["keep"],
        q0=q or None,  # where there are several fixed points, the one of the record
    )
    # what one rounding of V(q) does to its fixed point
    softness = 1 / max(abs(1 - reference["chi_q"]), 1e-12)
    close(net.q_star, q, min(1e-10, 1e-14 * softness), 4e-16)
    close(net.chi_q, reference["chi_q"], 0, 1e-12)
    close(net.chi_1, reference["chi_1"], 1e-12)
    close(net.c_star, reference["c_star"], 0, 1e-10)
    close(net.chi_c, reference["chi_c"], 0, 1e-11)
    # relative accuracy of what is small: one rounding of chi_1 - 1 moves 1 - c* by its share
    distance = abs(reference["one_minus_chi_c"])
    close(net.one_minus_c_star, reference["one_minus_c_star"], max(1e-12, 1e-14 / distance))
    if reference["xi_c"] <= 1e6:
        close(net.one_minus_chi_c, reference["one_minus_chi_c"], 1e-8)
        close(net.xi_c, reference["xi_c"], 1e-8)
    if abs(reference["xi_q"]) <= 1e6:
        close(net.xi_q, reference["xi_q"], 1e-8)
    growth = reference["chi_1"] / reference["keep"]
    close(net.gradient_factor, growth, 1e-12)
    if reference["keep"] == 1 and abs(reference["xi_grad"]) <= 1e6:
        close(net.xi_grad, reference["xi_grad"], 1e-8)
    if "chi_2" in reference:
        chi_2 = net.sigma_w**2 * float(net.activation.kernel.curvature_moment(net.q_star))
        close(chi_2, reference["chi_2"], 1e-10)


@pytest.mark.parametrize("record", REFERENCES["corner"], ids=identity)
def test_depth_scale_at_the_corner(record):
    # sigma_b = 0 and sigma_w within 1e-3 and 1e-6 of criticality: xi_c up to 1.5e12
    reference = numbers(record)
    net = MeanField(activation_of(record), reference["sigma_w"], 0.0)
    # the rounding of sigma_w phi'(0) is all that is lost
    lost = 1e-15 / abs(1 - reference["chi_q"])
    close(net.q_star, reference["q_star"], lost)
    close(net.xi_c, reference["xi_c"], 3 * lost)
    assert net.c_star == reference["c_star"] == 0


@pytest.mark.parametrize("record", REFERENCES["moments"], ids=identity)
def test_moments(record):
    kernel, reference = activation_of(record).kernel, numbers(record)
    q = reference["q"]
    for method in ("mean", "second_moment", "second_moment_slope"):
        close(float(getattr(kernel, method)(q)), reference[method], 1e-13, 1e-16 * q)
    close(float(kernel.slope_moment(q)), reference["slope_moment_2"], 1e-13)
    if "curvature_moment" in reference:
        close(float(kernel.curvature_moment(q)), reference["curvature_moment"], 1e-12)
    else:
        with pytest.raises(KinkedActivationError):
            kernel.curvature_moment(q)


@pytest.mark.parametrize("record", REFERENCES["kernels"], ids=identity)
def test_pair_averages(record):
    kernel, reference = activation_of(record).kernel, numbers(record)
    arguments = reference["q1"], reference["q2"], 1 - reference["c"]
    size = float(kernel.second_moment(max(arguments[:2])))
    close(float(kernel.overlap(*arguments)), reference["kernel"], 1e-12, 1e-14 * size)
    close(float(kernel.slope_overlap(*arguments)), reference["slope_kernel"], 1e-12)


@pytest.mark.parametrize("record", REFERENCES["deficits"], ids=identity)
def test_deficit_next_to_full_correlation(record):
    kernel, reference = activation_of(record).kernel, numbers(record)
    value = float(kernel.deficit(reference["q"], reference["eps"]))
    close(value, reference["deficit"], 1e-12)


@pytest.mark.parametrize("record", REFERENCES["critical"], ids=identity)
def test_critical_sigma_w(record):
    reference = numbers(record)
    found = float(critical_sigma_w(activation_of(record), reference["sigma_b"]))
    close(found, reference["sigma_w"], 1e-13)
    net = MeanField(activation_of(record), found, reference["sigma_b"], q0=reference["q"])
    close(net.q_star, reference["q"], 1e-10)


@pytest.mark.parametrize("record", REFERENCES["doubly_critical"], ids=identity)
def test_doubly_critical_point(record):
    reference = numbers(record)
    (point,) = doubly_critical(activation_of(record))
    close(point.q, reference["q"], 1e-10)
    close(point.sigma_w**2, reference["sigma_w_squared"], 1e-12)
    close(point.sigma_b**2, reference["sigma_b_squared"], 1e-10)


@pytest.mark.parametrize("record", REFERENCES["geometry"], ids=identity)
def test_geometry(record):
    sigma_w, sigma_b = float(record["sigma_w"]), float(record["sigma_b"])
    net = MeanField(activation_of(record), sigma_w, sigma_b)
    first = None if record["first"] == "q_star" else float(record["first"])
    curve = net.propagate_curve(len(record["metric"]), first)
    for ours, key in (
        (curve.metric, "metric"),
        (curve.curvature_squared, "curvature_squared"),
        (curve.gauss_metric, "gauss"),
    ):
        np.testing.assert_allclose(ours, [float(x) for x in record[key]], rtol=1e-12)
