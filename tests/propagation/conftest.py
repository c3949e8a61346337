"""The independent oracle and the frozen numbers, for every test of propagation."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """tests/propagation/oracle.py, which no package holds."""
    name = "propagation_oracle"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / "oracle.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def references() -> dict[str, Any]:
    """references.json: lists of records by section; every number a decimal string."""
    data: dict[str, Any] = json.loads((HERE / "references.json").read_text())
    return data
