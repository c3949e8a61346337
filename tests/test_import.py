"""Importing spinnet is cheap, its names resolve, and its imports point one way."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import spinnet

ROOT = Path(spinnet.__file__).parent
# each wing may import itself, the ground, and the wings named here
GROUND = {
    "errors",
    "validation",
    "randomness",
    "memory",
    "files",
    "plotting",
    "progress",
    "runs",
    "compiling",
    "simd",
    "xoshiro",
}
ALLOWED = {
    "theory": set(),
    "tails": set(),
    "spins": {"theory"},
    "propagation": {"theory", "tails"},
    "networks": {"tails"},
    "comparison": {"spins", "networks", "tails"},
    "reporting": {"comparison", "spins", "networks", "tails", "theory"},
    "cli": {"reporting", "comparison", "spins", "propagation", "networks", "tails", "theory"},
    "__main__": {"cli"},
}
HEAVY = ("sympy", "matplotlib.pyplot", "numba", "torch", "scipy", "networkx", "tqdm")
SCRIPT = """
import json, sys, time
import numpy
start = time.process_time()
import spinnet
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def fresh_import() -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, check=True, text=True
    )
    return dict(json.loads(done.stdout))


def test_import_is_light():
    # the promise is 0.2 s of the processor over NumPy; a busy machine takes longer by the clock
    runs = [fresh_import() for _ in range(5)]
    assert statistics.median(run["seconds"] for run in runs) < 0.2
    loaded = set(runs[0]["modules"])
    assert not loaded.intersection(HEAVY)


def test_every_public_name_resolves():
    for name in spinnet.__all__:
        assert getattr(spinnet, name) is not None, name
    assert dir(spinnet) == spinnet.__all__
    assert len(set(spinnet.__all__)) == len(spinnet.__all__)


def test_the_names_for_type_checkers_are_the_public_names():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n))
    typed = {alias.asname for node in block.body for alias in node.names}
    assert typed == set(spinnet.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'spinnet' has no attribute 'nothing'"):
        _ = spinnet.nothing


def module_name(path: Path) -> str:
    parts = ["spinnet", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def statements(tree: ast.AST, deep: bool):
    """Yield the nodes that run: at import, or (`deep`) at any time; never those for types only."""
    for node in ast.iter_child_nodes(tree):
        if only_for_types(node):
            continue
        yield node
        if deep or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from statements(node, deep)


def imported(name: str, *, deep: bool) -> set[str]:
    """Return the modules of spinnet that the module `name` imports."""
    found = set()
    path = MODULES[name]
    for node in statements(ast.parse(path.read_text()), deep):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return {item for item in found if item.split(".")[0] == "spinnet"} - {name}


def wing(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_one_way(name):
    own = wing(name)
    for target in imported(name, deep=True):
        other = wing(target)
        if other in GROUND | {"", own}:  # the root holds the version and loads lazily
            continue
        assert own in ALLOWED, f"{name} is at the ground and must not import {target}"
        assert other in ALLOWED[own], f"{name} must not import {target}"


def test_every_module_has_its_place():
    wings = {wing(name) for name in MODULES} - {""}
    assert wings <= GROUND | set(ALLOWED)


def test_the_root_loads_nothing_of_its_own_at_import():
    assert imported("spinnet", deep=False) == set()


def test_no_circle():
    # CycleError names the circle
    graph = {name: imported(name, deep=False) - {"spinnet"} for name in MODULES}
    list(TopologicalSorter(graph).static_order())
