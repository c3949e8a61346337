"""Distribution functions of stable laws against 30-digit references, and the references' origin."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from spinnet.tails import stable

HERE = Path(__file__).parent
TOLERANCE = 1e-10  # relative, of pdf, cdf and sf
SMALLEST = 1e-290  # references are normal doubles


@cache
def references() -> dict[str, list[list[str]]]:
    record: dict[str, list[list[str]]] = json.loads(
        (HERE / "stable_references.json").read_text(encoding="utf-8")
    )
    return record


@cache
def oracle() -> ModuleType:
    spec = spec_from_file_location("stable_oracle", HERE / "stable_oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alphas() -> list[str]:
    return sorted({row[0] for row in references()["standard_s0"]}, key=float)


def misfits(rows: list[list[str]], found: list[Any], k: int) -> list[str]:
    """Return what differs by more than the tolerance, in words."""
    lines = []
    for row, values in zip(rows, found, strict=True):
        for name, text, value in zip(("pdf", "cdf", "sf"), row[k : k + 3], values, strict=True):
            reference = float(text)
            error = abs(value - reference) / reference if reference else abs(value)
            if not error <= TOLERANCE:
                lines.append(f"{name}{tuple(row[:k])}: {value!r}, not {text}: {error:.1e}")
    return lines


@pytest.mark.parametrize("alpha", alphas())
def test_standard_laws_agree_with_references(alpha: str) -> None:
    rows = [row for row in references()["standard_s0"] if row[0] == alpha]
    found: list[Any] = [None] * len(rows)
    for beta in {row[1] for row in rows}:
        which = [i for i, row in enumerate(rows) if row[1] == beta]
        x = np.array([float(rows[i][2]) for i in which])
        law = float(alpha), float(beta)
        values = [f(x, *law, parametrization="S0") for f in (stable.pdf, stable.cdf, stable.sf)]
        for i, triple in zip(which, np.transpose(values), strict=True):
            found[i] = triple
    assert not misfits(rows, found, 3)


@pytest.mark.parametrize("alpha", ["0.5", "0.99", "1.0", "1.001", "1.5", "1.99"])
def test_large_arrays_agree_with_references(alpha: str) -> None:
    # long arrays may take another route (tables) than short ones
    rows = [row for row in references()["standard_s0"] if row[0] == alpha and row[1] == "0.5"]
    x = np.array([float(row[2]) for row in rows])
    padded = np.concatenate([x, np.linspace(-4.0, 4.0, 3000)])
    law = float(alpha), 0.5
    functions = (stable.pdf, stable.cdf, stable.sf)
    values = [f(padded, *law, parametrization="S0")[: x.size] for f in functions]
    assert not misfits(rows, list(np.transpose(values)), 3)


def test_scaled_laws_in_s1_agree_with_references() -> None:
    rows = references()["s1"]
    found = []
    for row in rows:
        a, b, scale, loc, x = map(float, row[:5])
        functions = (stable.pdf, stable.cdf, stable.sf)
        found.append([float(f(x, a, b, scale=scale, loc=loc)) for f in functions])
    assert not misfits(rows, found, 5)


def test_references_are_what_they_should_be() -> None:
    rows = references()["standard_s0"]
    keys = [tuple(row[:3]) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        with mp.workdps(40):
            pdf, cdf, sf = map(mp.mpf, row[3:6])
            assert abs(cdf + sf - 1) < mp.mpf(10) ** -29
            assert row[6] == "support" or min(pdf, cdf, sf) > SMALLEST
        assert row[6].count("+") >= 1 or row[6] == "support"


@pytest.mark.parametrize("place", range(0, 180, 12))
def test_references_are_made_again_by_the_oracle(place: int) -> None:
    rows = [row for row in references()["standard_s0"] if "series" in row[6] or "closed" in row[6]]
    row = rows[place % len(rows)]
    a, b, x = (mp.mpf(float(text)) for text in row[:3])
    method = oracle().contour if place % 24 else oracle().series
    value = method(a, b, x) or oracle().contour(a, b, x)
    with mp.workdps(40):
        for text, found in zip(row[3:6], value, strict=True):
            assert abs(found - mp.mpf(text)) <= mp.mpf(10) ** -25 * abs(found)


def test_nolans_integral_agrees_with_a_stored_reference() -> None:
    row = next(r for r in references()["standard_s0"] if r[0] == "1.5" and r[1:3] == ["0.0", "1.0"])
    value = oracle().nolan(*(mp.mpf(float(text)) for text in row[:3]))
    with mp.workdps(40):
        for text, found in zip(row[3:6], value, strict=True):
            assert abs(found - mp.mpf(text)) <= mp.mpf(10) ** -25 * abs(found)
