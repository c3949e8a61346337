"""Every number of references.json, computed by another method with 40 digits and more."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinnet import MeanField
from spinnet.propagation import get_activation

REFERENCES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "references.json").read_text(encoding="utf-8")
)


def identity(record: dict[str, str]) -> str:
    return " ".join(
        str(record[key]) for key in ("activation", "sigma_w", "sigma_b", "keep") if key in record
    )


def close(value: float, reference: float, relative: float, absolute: float = 0.0) -> None:
    if math.isinf(reference):
        assert value == reference
    else:
        assert value == pytest.approx(reference, rel=relative, abs=absolute)


@pytest.mark.parametrize("record", REFERENCES["points"], ids=identity)
def test_point(record):
    reference = {
        key: float(value)
        for key, value in record.items()
        if isinstance(value, str) and key not in ("activation",)
    }
    net = MeanField(
        record["activation"],
        reference["sigma_w"],
        reference["sigma_b"],
        reference["keep"],
        q0=reference["q_star"] or None,  # where there are several, the one of the record
    )
    q = reference["q_star"]
    # what an error of one rounding in V(q) does to its fixed point
    softness = 1 / abs(1 - reference["chi_q"]) if reference["chi_q"] != 1 else 1e3
    close(net.q_star, q, min(1e-10, 1e-14 * softness))
    close(net.chi_q, reference["chi_q"], 0, 1e-12)
    close(net.chi_1, reference["chi_1"], 0, 1e-12 * max(1, reference["chi_1"]))
    close(net.xi_q, reference["xi_q"], 1e-8)
    if reference["keep"] == 1:
        close(net.xi_grad, reference["xi_grad"], 1e-8)
    # an error of one rounding in chi_1 - 1 moves 1 - c_star by that share
    distance = abs(reference["one_minus_chi_c"])
    close(net.c_star, reference["c_star"], 0, 1e-10)
    close(net.one_minus_c_star, reference["one_minus_c_star"], max(1e-12, 1e-14 / distance))
    close(net.chi_c, reference["chi_c"], 0, 1e-11)
    close(net.one_minus_chi_c, reference["one_minus_chi_c"], 1e-8)
    close(net.xi_c, reference["xi_c"], 1e-8)
    if "chi_2" in reference:
        chi_2 = net.sigma_w**2 * float(net.activation.kernel.curvature_moment(net.q_star))
        close(chi_2, reference["chi_2"], 1e-12)


@pytest.mark.parametrize("record", REFERENCES.get("kernels", []), ids=identity)
def test_kernel(record):
    kernel = get_activation(record["activation"]).kernel
    q1, q2 = float(record["q1"]), float(record["q2"])
    epsilon = float(1 - np.longdouble(record["c"])) if "c" in record else float(record["epsilon"])
    assert np.isfinite([q1, q2, epsilon]).all()
    assert kernel is not None
